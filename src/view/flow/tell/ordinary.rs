//! The stories that nearly all are: a message between a client and the broker, acknowledged,
//! about which there is nothing else to tell.

use super::teller::Teller;
use super::words::{GOES_TO_NO_ONE, NOT_SEEN};
use crate::base::Span;
use crate::base::text::is_printable_ascii;
use crate::event::{About, Handshake, HandshakeKind, Origin, Payload, State, Step};
use crate::mqtt::{PacketIdentifier, PacketType, QoS, Sender};

/// Such a story, ready to be drawn: all of its texts are printable ASCII.
#[derive(Clone, Copy, Debug)]
pub(in crate::view::flow) struct Ordinary<'a> {
    pub(in crate::view::flow) qos: QoS,
    pub(in crate::view::flow) from: Sender,
    pub(in crate::view::flow) topic: &'a [u8],
    pub(in crate::view::flow) packet_id: Option<PacketIdentifier>,
    pub(in crate::view::flow) payload: &'a Payload,
    /// The payload's beginning where that is text; else empty.
    pub(in crate::view::flow) text: &'a [u8],
    pub(in crate::view::flow) client: &'a [u8],
    pub(in crate::view::flow) server: &'a [u8],
    /// In the order of their frames, of PUBLISH and its acknowledgements alone.
    pub(in crate::view::flow) steps: &'a [Step],
    /// From the first step to the last, above QoS 0.
    pub(in crate::view::flow) took: Option<Span>,
    /// What its origin or its deliveries come to.
    pub(in crate::view::flow) verdict: &'static str,
}

impl Teller {
    /// `handshake` as an ordinary story, where it is one.
    #[inline]
    pub(in crate::view::flow) fn ordinary<'a>(
        &'a mut self,
        handshake: &'a Handshake,
    ) -> Option<Ordinary<'a>> {
        let qos = match handshake.kind {
            HandshakeKind::Qos0 => QoS::AtMostOnce,
            HandshakeKind::Qos1 => QoS::AtLeastOnce,
            HandshakeKind::Qos2 => QoS::ExactlyOnce,
            _ => return None,
        };
        let verdict = match (handshake.initiator, &handshake.origin) {
            (Sender::Client, None) => GOES_TO_NO_ONE,
            (Sender::Server, Some(Origin::NotSeen)) => NOT_SEEN,
            _ => return None,
        };
        let About::Message(message) = &handshake.about else {
            return None;
        };
        let more = handshake.steps_left_out + handshake.legs_left_out;
        if handshake.state != State::Complete || !handshake.deliveries.is_empty() || more > 0 {
            return None;
        }
        let steps = handshake.steps.as_slice();
        let took = match qos {
            QoS::AtMostOnce => None,
            _ => Some(handshake.duration()?),
        };
        let topic = message.topic.as_deref()?.as_bytes();
        let client = handshake.client_id.as_deref()?.as_bytes();
        let plain = is_printable_ascii(topic) && is_printable_ascii(client);
        if !plain || client.is_empty() || !ordinary(steps) {
            return None;
        }
        let payload = &message.payload;
        let mut text = &*payload.head;
        if !is_printable_ascii(text) {
            if payload.text().is_some() {
                return None;
            }
            text = &[];
        }
        Some(Ordinary {
            qos,
            from: handshake.initiator,
            topic,
            packet_id: handshake.packet_id,
            payload,
            text,
            client,
            server: self.server_name(handshake.server),
            steps,
            took,
            verdict,
        })
    }
}

/// Whether nothing is to be told of any step but that it was taken.
#[inline(always)]
fn ordinary(steps: &[Step]) -> bool {
    let Some(first) = steps.first() else {
        return false;
    };
    let (mut number, mut publishes) = (0, 0);
    for step in steps {
        match step.packet_type {
            PacketType::Publish => publishes += 1,
            PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {}
            _ => return false,
        }
        let told = step.dup || step.after_gap || step.reason_code.is_some_and(|code| code != 0);
        if told || step.connection != first.connection || step.stamp.number < number {
            return false;
        }
        number = step.stamp.number;
    }
    publishes == 1
}
