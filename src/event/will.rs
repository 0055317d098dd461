//! Wills and retained messages: two ways in which a message outlives its publisher.

use std::sync::Arc;

use strum::IntoStaticStr;

use super::delivery::MessageDelivery;
use super::handshake::WillMessage;
use super::message::Message;
use super::session::End;
use crate::base::{Endpoint, FrameStamp};
use crate::stream::ConnectionId;

/// A Will Message from the CONNECT that set it to its end.
#[derive(Clone, Debug, PartialEq)]
pub struct WillSummary {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The broker, by its place in the order of first appearance.
    pub broker: u32,
    /// The server's endpoint as the client reached it.
    pub server: Endpoint,
    /// The client that published it.
    pub client_id: Option<Arc<str>>,
    /// The CONNECT's frame.
    pub set: FrameStamp,
    /// The Will Message itself.
    pub will: WillMessage,
    /// How the connection that set it ended.
    pub end: End,
    /// Whether and when it was published.
    pub fate: WillFate,
    /// Equal wills or messages were on their way at the same time: the copies may be those.
    pub ambiguous: bool,
    /// Each subscriber's leg; empty unless published.
    pub deliveries: Vec<MessageDelivery>,
}

/// The fate of a will: whether and when it was published.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum WillFate {
    /// First seen in this frame.
    Published(FrameStamp),
    /// It was not seen to be published.
    NotPublished(NoWill),
}

/// The reason why a will was not seen.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum NoWill {
    /// DISCONNECT with reason 0x00 deletes it ([MQTT-3.1.2-10]; 3.1.1: [MQTT-3.14.4-3]).
    Disconnected,
    /// The connection was refused: the will was never registered.
    Refused,
    /// The connection is still open where the capture ends.
    StillOpen,
    /// A new connection of the session came before the Will Delay Interval passed (5.0).
    SessionResumed,
    /// Another connection went on with the session, and servers differ in whether they publish the
    /// will then.
    TakenOver,
    /// The capture ends before the Will Delay Interval does (5.0).
    DelayRunning,
    /// It was due, and no subscription to its topic is visible.
    NoSubscriber,
    /// It was due, and a subscriber with a matching subscription did not get it.
    NotSeen,
}

/// A stored message of one topic, from the PUBLISH that stored it to its replacement.
#[derive(Clone, Debug, PartialEq)]
pub struct RetainedSummary {
    /// The broker, by its place in the order of first appearance.
    pub broker: u32,
    /// The server's endpoint as the client reached it.
    pub server: Endpoint,
    /// The stored message.
    pub message: Message,
    /// Who stored it and in which frame; `None` where it was stored before the capture.
    pub stored: Option<Stored>,
    /// The end of its storing.
    pub end: RetainedEnd,
    /// Stored copies that subscribers were sent; live copies stand on the handshake.
    pub deliveries: Vec<MessageDelivery>,
}

/// The PUBLISH that stored a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The frame that stored it.
    pub stamp: FrameStamp,
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The client that published it.
    pub client_id: Option<Arc<str>>,
    /// It was a Will Message with Will Retain.
    pub will: bool,
}

/// How a stored message ended.
#[derive(Clone, Copy, Debug, Eq, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum RetainedEnd {
    /// Another retained PUBLISH to the topic took its place.
    Replaced(FrameStamp),
    /// A retained PUBLISH with an empty payload removed it ([MQTT-3.3.1-10]; 5.0:
    /// [MQTT-3.3.1-6]).
    Cleared(FrameStamp),
    /// It was still stored where the capture ends, as far as the capture shows.
    Kept,
    /// The table of stored messages reached its cap.
    TableFull,
}
