//! The words between analysis and views: control packets, gaps, connections, findings.

pub mod accounting;
pub mod fields;
pub mod finding;
pub mod handshake;
pub mod log;
pub mod message;
mod needs;
mod owned;
pub mod session;
pub mod will;

pub use accounting::{Accounting, LimitReached};
pub use finding::{Cause, Finding, Level};
pub use handshake::{
    ConnAckSummary, ConnectSummary, EndedBy, FilterRequest, Handshake, HandshakeKind,
    HandshakeState, Origin, Step, Subject, WillMessage,
};
pub use message::{Delivered, Message, MessageDelivery, Outcome, Payload, Undelivered};
pub use needs::Needs;
pub use owned::{OwnedEvent, OwnedPacket};
pub use session::{ConnectionSummary, End, EndCause, SessionSummary};
pub use will::{NoWill, RetainedEnd, RetainedSummary, Stored, WillFate, WillSummary};

use crate::base::field::FieldVisitor;
use crate::base::{Endpoint, FrameStamp, Layers, Span};
pub use crate::carrier::{Breach, CarrierError, Protocol, Transport};
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Sender};
pub use crate::stream::{Closed, Connection, ConnectionId, Direction, GapCause};

/// Everything that a run reports, in the order in which it becomes known.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A connection turned out to carry MQTT (emitted before its first packet).
    Opened(&'a Opened),
    /// One control packet.
    Packet(&'a PacketEvent<'a>),
    /// Bytes of an MQTT connection that will never come.
    Gap(&'a Gap),
    /// An MQTT connection has ended, or is not followed any longer.
    Ended(&'a Ended),
    /// A connection on an MQTT port, or asked for by the user, that is not MQTT after all.
    NotMqtt(&'a NotMqtt),
    /// The carrier of an MQTT connection breaks its rules.
    Breach(&'a TransportBreach),
    /// An exchange of control packets is settled, its deliveries known.
    Handshake(&'a Handshake),
    /// A Will Message whose fate is known.
    Will(&'a WillSummary),
    /// A stored message that was replaced, cleared or kept.
    Retained(&'a RetainedSummary),
    /// A session is over, or the capture is.
    Session(&'a SessionSummary),
    /// Something wrong, odd or worth knowing.
    Finding(&'a Finding),
}

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
    /// The frame from which the connection is known: its SYN, or its first segment.
    pub stamp: FrameStamp,
}

/// One control packet where it stands in the capture.
#[derive(Clone, Copy, Debug)]
pub struct PacketEvent<'a> {
    /// The frame that carries the packet's last byte in stream order.
    pub stamp: FrameStamp,
    /// Place among the control packets ending in that frame, from 0.
    pub index: u32,
    /// Every frame that carried a part, in order; one entry where the packet lies in one.
    pub frames: &'a [u64],
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The endpoint that sent it.
    pub source: &'a Endpoint,
    /// The endpoint that it was sent to.
    pub destination: &'a Endpoint,
    /// The direction in which it was sent.
    pub direction: Direction,
    /// The end that sent it.
    pub sender: Sender,
    /// The carrier of the MQTT bytes.
    pub transport: Transport,
    /// `None` until a CONNECT or the structure of the packets shows it.
    pub version: Option<ProtocolVersion>,
    /// No CONNECT was seen: `version` was inferred from structure.
    pub version_inferred: bool,
    /// A gap or the capture's begin lies before this packet in its direction: what came
    /// before is not known.
    pub after_gap: bool,
    /// The control packet's type.
    pub packet_type: PacketType,
    /// The whole packet, or of a malformed one as much as there is.
    pub bytes: &'a [u8],
    /// The decoded packet, or what is wrong with it.
    pub packet: Result<&'a ControlPacket<'a>, Malformed>,
    /// The client identifier of the connection, from its CONNECT on; one that the Server
    /// assigned (MQTT 5.0 §3.2.2.3.7) from that CONNACK on. `None` where neither was captured,
    /// and where the identifiers of all connections reached their limit.
    pub client_id: Option<&'a str>,
    /// The topic name that a PUBLISH's alias stood for there and then.
    pub topic_resolved: Option<&'a str>,
    /// The layers below, filled in only where a view needs them.
    pub layers: &'a Layers,
}

impl<'a> PacketEvent<'a> {
    /// Reads the packet again and reports its fields; ends where decoding ended.
    pub fn describe(&self, fields: &mut impl FieldVisitor<'a>) -> Result<(), Malformed> {
        let version = self.version.unwrap_or(ProtocolVersion::V3_1_1);
        ControlPacket::read(self.bytes, version, fields).map(|_| ())
    }
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

/// How an MQTT connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The way in which it ended.
    pub why: Closed,
    /// The sender of the first FIN or of the RST, where one was seen.
    pub by: Option<Sender>,
    /// The frame, with its time.
    pub stamp: FrameStamp,
    /// A control packet that was announced and never completed: its type, the bytes that
    /// its fixed header announced and those that came.
    pub incomplete: [Option<Incomplete>; 2],
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

/// Something else where MQTT was expected.
#[derive(Clone, Copy, Debug)]
pub struct NotMqtt {
    /// The TCP connection.
    pub connection: Connection,
    /// The direction in which it was sent.
    pub direction: Direction,
    /// The frame, with its time.
    pub stamp: FrameStamp,
    /// The protocol that the bytes look like.
    pub looks_like: LooksLike,
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
pub enum LooksLike {
    /// A protocol that may carry MQTT, and why nothing is read in it, or nothing more.
    Carrier(Protocol, CarrierError),
    /// Nothing that is known.
    Unknown,
}

impl LooksLike {
    /// TLS whose secrets are not known.
    pub const TLS: Self = Self::Carrier(Protocol::Tls, CarrierError::NotOpened);
    /// HTTP that asks for no WebSocket.
    pub const HTTP: Self = Self::Carrier(Protocol::WebSocket, CarrierError::NotOpened);
}

/// A span that is only known where both frames have a time.
pub fn between(earlier: &FrameStamp, later: &FrameStamp) -> Option<Span> {
    Some(later.time?.since(earlier.time?))
}

/// The sums of a whole run: every frame is in one of the counts.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// The inputs as the user named them.
    pub files: Vec<String>,
    /// Frames read from the captures.
    pub frames: u64,
    /// Control packets emitted, malformed ones included.
    pub packets: u64,
    /// The time of the first frame that has one.
    pub first_time: Option<crate::base::Timestamp>,
    /// The time of the last frame that has one.
    pub last_time: Option<crate::base::Timestamp>,
    /// The digits of the capture's times.
    pub precision: crate::base::Precision,
    /// Frames without TCP, by reason, most frequent first.
    pub skipped: Vec<SkippedFrames>,
    /// Frames that the snapshot length cut.
    pub cut_frames: u64,
    /// Where every frame and every byte went.
    pub accounting: Accounting,
}

/// Frames that gave no TCP segment, for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SkippedFrames {
    /// Kebab case, stable.
    pub reason: &'static str,
    /// In words, with the number that goes with it: `unsupported link type 105 (IEEE 802.11)`.
    pub message: String,
    /// The number of such frames.
    pub frames: u64,
}
