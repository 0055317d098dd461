//! Connections: their beginning and end, their gaps, and what was found in place of MQTT.

use crate::base::{Endpoint, FrameStamp};
use crate::carrier::{Breach, CarrierError, Introduction, Protocol, Proxied, Transport};
use crate::mqtt::{PacketType, Sender};
use crate::stream::{Closed, Connection, ConnectionId, Direction, GapCause, Stall};

/// An MQTT connection begins to be followed.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    /// The TCP connection.
    pub connection: Connection,
    /// The end that accepts: found from the traffic.
    pub server: Endpoint,
    /// The end that opens the connection.
    pub client: Endpoint,
    /// The carrier of MQTT on it.
    pub transport: Transport,
    /// The ends that a proxy in front of the server named, by the PROXY protocol.
    pub proxied: Option<Proxied>,
    /// The frame from which the connection is known: its SYN, or its first segment.
    pub stamp: FrameStamp,
}

/// Bytes that never came.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The end that sent it.
    pub sender: Sender,
    /// The direction in which it was sent.
    pub direction: Direction,
    /// In bytes; 0 where the number is unknown.
    pub length: u64,
    /// The reason why they never came.
    pub cause: GapCause,
    /// The frame by which the gap became certain.
    pub stamp: FrameStamp,
    /// Bytes that were captured, and may belong to a packet that the gap cut.
    pub discarded: u64,
}

impl Gap {
    /// Returns whether the bytes were sent, and are not in the capture.
    pub const fn is_not_captured(&self) -> bool {
        matches!(self.cause, GapCause::NotCaptured | GapCause::EndOfCapture)
    }
}

/// One end of an MQTT connection sends nothing more: its FIN or RST came first.
#[derive(Clone, Copy, Debug)]
pub struct FirstEnd {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The end that sent the FIN or RST.
    pub by: Sender,
    /// It is a RST.
    pub reset: bool,
    /// The frame of the FIN or RST.
    pub stamp: FrameStamp,
    /// A control packet of the client that was announced and is not complete.
    pub incomplete: Option<Incomplete>,
}

/// How an MQTT connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The way in which it ended.
    pub why: Closed,
    /// The sender of the first FIN or of the RST, where one was seen.
    pub by: Option<Sender>,
    /// The frame of the first FIN or of the RST; `stamp` where none was seen.
    pub first: FrameStamp,
    /// Segments of both ends were captured.
    pub both_seen: bool,
    /// The frame by which nothing more comes, with its time.
    pub stamp: FrameStamp,
    /// A control packet that was announced and never completed: its type, the bytes that
    /// its fixed header announced and those that came.
    pub incomplete: [Option<Incomplete>; 2],
}

/// TCP kept an MQTT connection from going on.
#[derive(Clone, Copy, Debug)]
pub struct Stalled {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The end that did not read, or whose bytes were never acknowledged, or that did not end.
    pub sender: Sender,
    /// The trouble.
    pub stall: Stall,
    /// The frame with which it began.
    pub since: FrameStamp,
    /// It lasted to the end of the connection.
    pub lasting: bool,
    /// The frame with which it was over.
    pub stamp: FrameStamp,
}

/// A control packet that never completed.
#[derive(Clone, Copy, Debug)]
pub struct Incomplete {
    /// The end that sent it.
    pub sender: Sender,
    /// The control packet's type.
    pub packet_type: PacketType,
    /// Bytes of the whole packet as announced; 0 where Remaining Length itself is cut.
    pub announced: u64,
    /// Bytes of it that came.
    pub received: u64,
    /// The frame that carried its first byte.
    pub stamp: FrameStamp,
}

/// Two connections carry the same packets in step: the capture holds one of them twice.
#[derive(Clone, Copy, Debug)]
pub struct SeenTwice {
    /// The TCP connection that began later.
    pub connection: ConnectionId,
    /// The one that began before it.
    pub other: ConnectionId,
    /// The frame of the CONNECT of that one.
    pub first: FrameStamp,
    /// The frame of its own CONNECT.
    pub began: FrameStamp,
    /// The frame by which it became certain.
    pub stamp: FrameStamp,
}

/// Frames that do not stand in the capture in the order in which they were sent: the capture is
/// over, and this is how many there were.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disorder {
    /// Segments behind others of their connection that were sent later.
    pub late: u64,
    /// The frames of the first of these and of that before which it was sent.
    pub first_late: Option<[FrameStamp; 2]>,
    /// Frames with an earlier time than the frame before them, of the same file.
    pub back: u64,
    /// The first of these and the frame before it.
    pub first_back: Option<[FrameStamp; 2]>,
    /// Of the segments of another file than that before which they were sent, the one furthest from
    /// it, and that.
    pub skew: Option<[FrameStamp; 2]>,
}

/// Something else where MQTT was expected.
#[derive(Clone, Debug)]
pub struct NotMqtt {
    /// The TCP connection.
    pub connection: Connection,
    /// The direction in which it was sent.
    pub direction: Direction,
    /// The frame, with its time.
    pub stamp: FrameStamp,
    /// The protocol that the bytes look like.
    pub looks_like: LooksLike,
    /// The statements of the first bytes that are not encrypted.
    pub introduction: Introduction,
    /// The other direction is MQTT: this is the answer to it.
    pub answers_mqtt: bool,
}

/// A rule of what carries MQTT is broken, or the connection is not granted.
#[derive(Clone, Copy, Debug)]
pub struct TransportBreach {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The end that sent it.
    pub sender: Sender,
    /// The rule that is broken.
    pub breach: Breach,
    /// The frame where it shows.
    pub stamp: FrameStamp,
}

/// The protocol that bytes which are not MQTT look like.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum LooksLike {
    /// A protocol that may carry MQTT, and why nothing is read in it, or nothing more.
    Carrier(Protocol, CarrierError),
    /// No protocol at all: the SYN was answered by RST.
    Refused,
    /// Nothing that is known.
    Unknown,
}

impl LooksLike {
    /// TLS whose secrets are not known.
    pub const TLS: Self = Self::Carrier(Protocol::Tls, CarrierError::NotOpened);
    /// HTTP that asks for no WebSocket.
    pub const HTTP: Self = Self::Carrier(Protocol::WebSocket, CarrierError::NotOpened);
}
