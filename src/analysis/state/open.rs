//! A handshake while it goes on: the steps so far, the packet that it waits for.

use foldhash::HashMap;

use super::super::keys::{DeliveryRef, MessageKey, Turn};
use crate::base::FrameStamp;
use crate::event::{EndedBy, Handshake, HandshakeKind, PacketEvent, Step};
use crate::mqtt::{BySender, ControlPacket, PacketType, ProtocolVersion, Sender};

/// The handshakes of one end that are not over, by packet identifier.
pub(crate) type Opens = HashMap<u16, Open>;

/// A handshake that is not over.
#[derive(Debug)]
pub(crate) struct Open {
    /// The handshake as it is reported.
    pub(crate) record: Box<Handshake>,
    /// Its turn in the output.
    pub(crate) turn: Turn,
    /// The packet that comes next.
    pub(crate) waiting: PacketType,
    /// The end that is to send it.
    pub(crate) from: Sender,
    /// Gaps of both directions at the latest step.
    pub(crate) gaps: BySender<u32>,
    /// Bytes of the awaited direction are missing from an earlier connection.
    pub(crate) missing: bool,
    /// The key of the publisher's message.
    pub(crate) message: Option<MessageKey>,
    /// The delivery that a server's PUBLISH is.
    pub(crate) delivery: Option<DeliveryRef>,
    /// PUBLISH packets, redeliveries included.
    pub(crate) publishes: u32,
    /// Acknowledgements of those.
    pub(crate) acknowledgements: u32,
    /// PUBREL packets, those sent again included.
    pub(crate) releases: u32,
    /// Acknowledgements that may still come for handshakes whose identifier this one took.
    pub(crate) owed_before: u32,
    /// Digest of topic and payload; 0 where an alias hides the topic.
    pub(crate) digest: u64,
    /// Number of the PUBLISH among its sender's on this connection; 0 where it was not sent on
    /// it.
    pub(crate) order: u64,
    /// Number of the PUBREC among those that its receiver got; 0 for none.
    pub(crate) answered: u64,
    /// It takes a part of its sender's send quota.
    pub(crate) counted: bool,
    /// Something else explains that it goes no further: its silence is no finding.
    pub(crate) excused: bool,
    /// The end of the connection on which it waited, until another one continues it.
    pub(crate) suspended: Option<EndedBy>,
}

impl Open {
    /// Appends a step, on a connection with so many gaps.
    pub(crate) fn advance(&mut self, gaps: BySender<u32>, event: &PacketEvent<'_>) {
        let mut step = step(event);
        step.after_gap = gaps[step.sender] != self.gaps[step.sender];
        self.gaps = gaps;
        self.missing = false;
        if self.record.steps.len() >= Handshake::STEPS_KEPT {
            // The latest step is worth more than the one before it.
            self.record.steps_left_out += 1;
            self.record.steps.pop();
        }
        self.record.steps.push(step);
    }

    /// Returns whether the packet that it waits for may be among bytes that the capture misses.
    pub(crate) fn may_be_missing(&self, gaps: BySender<u32>) -> bool {
        self.missing || gaps[self.from] != self.gaps[self.from]
    }

    /// Returns how many acknowledgements may still come: each copy of a PUBLISH and of a PUBREL
    /// is acknowledged.
    pub(crate) fn owed(&self) -> u32 {
        let asked = match self.record.kind {
            HandshakeKind::Qos1 => self.publishes,
            HandshakeKind::Qos2 => self.publishes.saturating_add(self.releases),
            _ => 0,
        };
        let owed = asked.saturating_sub(self.acknowledgements);
        owed.saturating_add(self.owed_before)
    }

    /// Returns the frame of its first step.
    pub(crate) fn first(&self) -> FrameStamp {
        let first = self.record.steps.first();
        first.map(|step| step.stamp).unwrap_or_default()
    }

    /// Returns the frame of its latest step.
    pub(crate) fn last(&self) -> FrameStamp {
        let last = self.record.steps.last();
        last.map(|step| step.stamp).unwrap_or_default()
    }

    /// Returns whether it began with a PUBLISH, which a later connection may continue.
    pub(crate) fn is_publish(&self) -> bool {
        matches!(self.record.kind, HandshakeKind::Qos1 | HandshakeKind::Qos2)
    }

    /// Waits on another connection of the session, with so many gaps.
    pub(crate) fn move_to(&mut self, gaps: BySender<u32>) {
        self.gaps = gaps;
        self.order = 0;
        self.answered = 0;
        self.counted = false;
    }
}

/// Returns the step that a control packet is.
pub(crate) fn step(event: &PacketEvent<'_>) -> Step {
    let mut step = Step {
        packet_type: event.packet_type,
        sender: event.sender,
        stamp: event.stamp,
        index: event.index,
        connection: event.connection,
        dup: false,
        qos: None,
        retain: false,
        reason_code: None,
        after_gap: false,
    };
    let five = event.version == Some(ProtocolVersion::V5_0);
    match event.packet {
        Ok(ControlPacket::Publish(publish)) => {
            step.dup = publish.dup;
            step.qos = Some(publish.delivery.qos());
            step.retain = publish.retain;
        }
        Ok(ControlPacket::ConnAck(ack)) => step.reason_code = Some(ack.code),
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) if five => step.reason_code = Some(ack.reason_code),
        Ok(ControlPacket::Disconnect(disconnect)) if five => {
            step.reason_code = Some(disconnect.reason_code);
        }
        Ok(ControlPacket::Auth(auth)) => step.reason_code = Some(auth.reason_code),
        _ => {}
    }
    step
}
