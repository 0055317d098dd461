//! An application message as the analysis keeps it, and each subscriber's leg of its way.

use std::ops::Deref;
use std::sync::Arc;

use super::handshake::{HandshakeState, Step};
use crate::base::{FrameStamp, Span};
use crate::mqtt::{PacketIdentifier, QoS};
use crate::stream::ConnectionId;

/// An application message, reduced to what conclusions about it need.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// The topic name, an alias resolved; `None` where the alias was set before the capture.
    pub topic: Option<Arc<str>>,
    /// The QoS.
    pub qos: QoS,
    /// RETAIN as the sender set it.
    pub retain: bool,
    /// The beginning of the payload, and its length.
    pub payload: Payload,
}

/// The beginning of a payload and its length.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Payload {
    /// In bytes.
    pub length: u64,
    /// At most [`Payload::KEPT`] bytes from the start.
    pub head: Head,
}

/// The beginning of a payload, in place: every PUBLISH has one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Head {
    bytes: [u8; Payload::KEPT],
    length: u8,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            bytes: [0; Payload::KEPT],
            length: 0,
        }
    }
}

impl Deref for Head {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let length = usize::from(self.length);
        self.bytes.get(..length).unwrap_or(&self.bytes)
    }
}

impl Payload {
    /// Enough to recognise a message by in a diagram.
    pub const KEPT: usize = 48;

    /// Returns the length of a payload and a copy of its head.
    pub fn of(bytes: &[u8]) -> Self {
        let mut head = Head::default();
        for (kept, byte) in head.bytes.iter_mut().zip(bytes) {
            *kept = *byte;
        }
        head.length = bytes.len().min(Self::KEPT) as u8;
        Self {
            length: bytes.len() as u64,
            head,
        }
    }

    /// The head as text, where it is well-formed UTF-8 up to a character cut at its end.
    pub fn text(&self) -> Option<&str> {
        match std::str::from_utf8(&self.head) {
            Ok(text) => Some(text),
            Err(error) if error.error_len().is_none() && self.is_cut() => {
                let (whole, _) = self.head.split_at_checked(error.valid_up_to())?;
                std::str::from_utf8(whole).ok()
            }
            Err(_) => None,
        }
    }

    /// Returns whether the payload goes on behind the head.
    pub fn is_cut(&self) -> bool {
        self.length > self.head.len() as u64
    }
}

/// A delivery: an application message on its way to one subscriber, and its end.
#[derive(Clone, Debug, PartialEq)]
pub struct MessageDelivery {
    /// The subscriber's connection; `None` while its session has none.
    pub connection: Option<ConnectionId>,
    /// `None` where the subscriber's CONNECT was not captured.
    pub client_id: Option<Arc<str>>,
    /// Every filter of the subscriber that takes the message, as subscribed; empty where no
    /// subscription was seen.
    pub filters: Vec<Arc<str>>,
    /// The highest QoS granted to those filters; `None` where none was seen.
    pub granted: Option<QoS>,
    /// Subscription Identifiers that the delivered PUBLISH carried (5.0).
    pub subscription_ids: Vec<u32>,
    /// The end of the delivery.
    pub outcome: Outcome,
    /// An equal message was on its way at the same time: which of them this copy is is not
    /// known, and the earliest was taken.
    pub ambiguous: bool,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The subscriber was sent it.
    Delivered(Delivered),
    /// The subscriber was not seen to be sent it.
    NotDelivered(Undelivered),
}

/// The server's PUBLISH to one subscriber and its handshake.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// The frame of the first PUBLISH to this subscriber.
    pub stamp: FrameStamp,
    /// From the publisher's first PUBLISH to the subscriber's; `None` for a stored copy (it
    /// is not live traffic) and where a frame has no time.
    pub latency: Option<Span>,
    /// The QoS.
    pub qos: QoS,
    /// `qos` is lower than the publisher's.
    pub downgraded: bool,
    /// RETAIN as the subscriber received it.
    pub retain: bool,
    /// The copy is the stored (retained) message, sent because of a new subscription.
    pub stored: bool,
    /// It was sent again with DUP at least once.
    pub redelivered: bool,
    /// The subscriber's session was without a connection when the message was published.
    pub queued: bool,
    /// The packet identifier of the copy; `None` at QoS 0.
    pub packet_id: Option<PacketIdentifier>,
    /// `None` at QoS 0: nothing is awaited.
    pub state: Option<HandshakeState>,
    /// The leg's control packets, PUBLISH first; none where no view wants them.
    pub steps: Vec<Step>,
}

/// Why a subscriber with a matching subscription was not seen to receive a message.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Undelivered {
    /// The session had no connection; the message may be waiting in the server.
    Away,
    /// Shared subscription: another member of the group was given the message.
    OtherOfGroup,
    /// No Local: the subscriber published it itself (5.0 §3.8.3.1).
    NoLocal,
    /// QoS 2 and no PUBREL seen: the message was never released to subscribers.
    NotReleased,
    /// The server refused the PUBLISH with this reason code.
    Refused(u8),
    /// The message's expiry interval passed while the subscriber was away.
    Expired,
    /// QoS 0 and the subscriber's session had no connection: the server need not keep it.
    AwayAtQoS0,
    /// The subscriber's connection ended before it came.
    ConnectionEnded,
    /// Bytes to the subscriber are missing from the capture: it may be among them.
    Gap,
    /// The capture ended before it could be expected.
    CaptureEnded,
    /// Nothing in the capture shows why.
    Unknown,
}
