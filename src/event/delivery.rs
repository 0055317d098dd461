//! A message on its way to one subscriber, and how the delivery ended.

use std::sync::Arc;

use strum::IntoStaticStr;

use super::step::{HandshakeState, Step};
use crate::base::{FrameStamp, Span};
use crate::mqtt::{PacketIdentifier, QoS};
use crate::stream::ConnectionId;

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
    /// How long before the message the subscription was over or refused; `None` for one that was in
    /// force, or asked for.
    pub over: Option<Span>,
}

impl MessageDelivery {
    /// Returns whether the subscriber was sent the message.
    pub const fn is_delivered(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered(_))
    }
}

/// How a session ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum SessionOver {
    /// With its connection: it was a clean one, or had a Session Expiry Interval of 0.
    WithConnection,
    /// Its Session Expiry Interval passed without a connection.
    Expired,
    /// Its client began a new one.
    Replaced,
    /// The server had it no longer when its client came back.
    Lost,
}

/// How a leg ended.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
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
    /// How that time is shared; `None` where it is not known.
    pub shares: Option<Shares>,
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

/// The time of a message from coming into force (at QoS 2 by PUBREL, where the server acts on that)
/// to its copy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shares {
    /// The part in which nothing kept the server from sending the copy.
    pub broker: Span,
    /// The part in which the copy waited for its client: it was away, or had as many messages
    /// unacknowledged as it is ever sent.
    pub waiting: Span,
}

/// Why a subscriber with a matching subscription was not seen to receive a message, with the frame
/// that shows it.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum Undelivered {
    /// The session has had no connection since this frame; the message may be waiting in the
    /// server.
    #[strum(serialize = "session_away")]
    Away {
        /// The frame in which its connection ended.
        since: u64,
    },
    /// Shared subscription: another member of the group was given the message.
    #[strum(serialize = "other_member")]
    OtherOfGroup {
        /// The frame of the other member's copy.
        frame: u64,
    },
    /// Shared subscription: another member of the group is away, and the message may wait for it.
    #[strum(serialize = "other_member")]
    OtherIsAway {
        /// The frame in which the other member's connection ended.
        since: u64,
    },
    /// No Local: the subscriber published it itself (5.0 §3.8.3.1).
    NoLocal {
        /// The frame of the SUBSCRIBE that asks for it.
        asked: u64,
    },
    /// QoS 2 and no PUBREL seen: the message was never released to subscribers.
    NotReleased {
        /// The frame in which the publisher's handshake ended.
        until: u64,
    },
    /// The server refused the PUBLISH with this reason code.
    Refused {
        /// The reason code.
        code: u8,
        /// The frame that refused it.
        frame: u64,
    },
    /// The message's expiry interval passed while the subscriber was away.
    Expired {
        /// The frame of the PUBLISH.
        published: u64,
        /// Its Message Expiry Interval, in seconds.
        interval: u32,
    },
    /// QoS 0 and the subscriber's session had no connection: the server need not keep it.
    #[strum(serialize = "session_away")]
    AwayAtQoS0 {
        /// The frame in which its connection ended.
        since: u64,
    },
    /// The subscriber gave the subscription up.
    Unsubscribed {
        /// The frame of its UNSUBSCRIBE.
        frame: u64,
    },
    /// The subscriber's connection ended before it came.
    ConnectionEnded {
        /// The frame of that end.
        frame: u64,
    },
    /// The subscriber's session ended, and its subscriptions with it.
    SessionEnded {
        /// The frame that shows that end.
        frame: u64,
        /// How it ended.
        how: SessionOver,
    },
    /// The server refused the subscription.
    NotSubscribed {
        /// The frame of the SUBACK.
        frame: u64,
    },
    /// The subscription was asked for, and not granted yet.
    #[strum(serialize = "not_subscribed")]
    NotYetSubscribed {
        /// The frame of the SUBSCRIBE.
        asked: u64,
    },
    /// The packet is larger than the subscriber accepts (5.0 §3.1.2.11.4).
    TooLarge {
        /// The subscriber's Maximum Packet Size.
        maximum: u32,
        /// The frame of its CONNECT.
        frame: u64,
    },
    /// The session came back and was not sent it: the server may have dropped it from a full queue.
    QueueDropped {
        /// The frame in which the session came back.
        returned: u64,
        /// Messages that waited for the session.
        waited: u32,
    },
    /// As many messages to the connected subscriber were unacknowledged as it is sent at a time, and
    /// later the server went on without this one: it may have dropped it from a full queue.
    #[strum(serialize = "queue_dropped")]
    WindowFull {
        /// The frame of the PUBLISH that was the last of those.
        since: u64,
        /// Messages that waited for the subscriber when this one was published.
        waited: u32,
    },
    /// The server acknowledged the message, and the subscriber was connected and able.
    #[strum(serialize = "broker_did_not_forward")]
    NotForwarded {
        /// The frame of the acknowledgement.
        acknowledged: u64,
    },
    /// A later message of the same publisher, topic and QoS reached the subscriber.
    #[strum(serialize = "broker_did_not_forward")]
    Overtaken {
        /// The frame of the later message's copy.
        by: u64,
    },
    /// Bytes are missing from the capture, or a packet could not be read: it may be among them.
    Gap {
        /// The frame that shows the gap.
        frame: u64,
    },
    /// The capture ended before it could be expected.
    #[strum(serialize = "capture_end")]
    CaptureEnded {
        /// Its last frame.
        last: u64,
    },
    /// The analysis gave the message up because a limit was reached.
    GivenUp {
        /// The frame at which the message was given up.
        at: u64,
    },
    /// Nothing in the capture shows why.
    Unknown,
}

impl Undelivered {
    /// Returns the frame that shows it; `None` where none does.
    pub const fn frame(self) -> Option<u64> {
        match self {
            Self::Away { since }
            | Self::OtherIsAway { since }
            | Self::AwayAtQoS0 { since }
            | Self::WindowFull { since, .. } => Some(since),
            Self::OtherOfGroup { frame }
            | Self::Refused { frame, .. }
            | Self::Unsubscribed { frame }
            | Self::ConnectionEnded { frame }
            | Self::SessionEnded { frame, .. }
            | Self::NotSubscribed { frame }
            | Self::Gap { frame }
            | Self::TooLarge { frame, .. } => Some(frame),
            Self::QueueDropped { returned, .. } => Some(returned),
            Self::NotForwarded { acknowledged } => Some(acknowledged),
            Self::Overtaken { by } => Some(by),
            Self::NoLocal { asked } | Self::NotYetSubscribed { asked } => Some(asked),
            Self::NotReleased { until } => Some(until),
            Self::Expired { published, .. } => Some(published),
            Self::CaptureEnded { last } => Some(last),
            Self::GivenUp { at } => Some(at),
            Self::Unknown => None,
        }
    }
}
