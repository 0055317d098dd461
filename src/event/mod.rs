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

/// Everything that a run tells, in the order in which it becomes known.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A connection turned out to carry MQTT (told before its first packet).
    Opened(&'a Opened),
    /// One control packet.
    Packet(&'a PacketEvent<'a>),
    /// Octets of an MQTT connection that will never come.
    Gap(&'a Gap),
    /// An MQTT connection is told no more.
    Ended(&'a Ended),
    /// A connection on an MQTT port, or asked for by the user, that is not MQTT after all.
    NotMqtt(&'a NotMqtt),
    /// What carries an MQTT connection breaks its rules.
    Breach(&'a TransportBreach),
    /// An exchange of control packets is settled, its deliveries known.
    Handshake(&'a Handshake),
    /// What became of a Will Message.
    Will(&'a WillSummary),
    /// What became of a stored message.
    Retained(&'a RetainedSummary),
    /// A session is over, or the capture is.
    Session(&'a SessionSummary),
    /// What is wrong, odd or worth knowing.
    Finding(&'a Finding),
}

/// An MQTT connection begins to be told.
#[derive(Clone, Copy, Debug)]
pub struct Opened {
    pub connection: Connection,
    /// The end that accepts: found from the traffic.
    pub server: Endpoint,
    pub client: Endpoint,
    /// What carries MQTT on it.
    pub transport: Transport,
    /// The frame from which the connection is known: its SYN, or its first segment.
    pub stamp: FrameStamp,
}

/// One control packet where it stands in the capture.
#[derive(Clone, Copy, Debug)]
pub struct PacketEvent<'a> {
    /// The frame that carries the packet's last octet in stream order.
    pub stamp: FrameStamp,
    /// Place among the control packets ending in that frame, from 0.
    pub index: u32,
    /// Every frame that carried a part, in order; one entry where the packet lies in one.
    pub frames: &'a [u64],
    pub connection: ConnectionId,
    pub source: &'a Endpoint,
    pub destination: &'a Endpoint,
    pub direction: Direction,
    pub sender: Sender,
    /// What carried the MQTT octets.
    pub transport: Transport,
    /// `None` until a CONNECT or the structure of the packets told.
    pub version: Option<ProtocolVersion>,
    /// No CONNECT was seen: `version` was inferred from structure.
    pub version_inferred: bool,
    /// A gap or the capture's begin lies before this packet in its direction: what came
    /// before is not known.
    pub after_gap: bool,
    pub packet_type: PacketType,
    /// The whole packet, or of a malformed one as much as there is.
    pub octets: &'a [u8],
    /// The decoded packet, or what is wrong with it.
    pub packet: Result<&'a ControlPacket<'a>, Malformed>,
    /// The client identifier of the connection, from its CONNECT on; one that the Server
    /// assigned (MQTT 5.0 §3.2.2.3.7) from that CONNACK on. `None` where neither was captured,
    /// and where the identifiers of all connections reached their limit.
    pub client_id: Option<&'a str>,
    /// The topic name that a PUBLISH's alias stood for there and then.
    pub topic_resolved: Option<&'a str>,
    /// The layers below, told only when a view asked for them.
    pub layers: &'a Layers,
}

impl<'a> PacketEvent<'a> {
    /// Reads the packet again and reports its fields; ends where decoding ended.
    pub fn describe(&self, fields: &mut impl FieldVisitor<'a>) -> Result<(), Malformed> {
        let version = self.version.unwrap_or(ProtocolVersion::V3_1_1);
        ControlPacket::read(self.octets, version, fields).map(|_| ())
    }
}

/// Octets that never came.
#[derive(Clone, Copy, Debug)]
pub struct Gap {
    pub connection: ConnectionId,
    pub sender: Sender,
    pub direction: Direction,
    /// In octets; 0 where the number is unknown.
    pub length: u64,
    pub cause: GapCause,
    /// The frame by which the gap became certain.
    pub stamp: FrameStamp,
    /// Octets that were captured but could not be told apart from a packet cut by the gap.
    pub discarded: u64,
}

/// How an MQTT connection ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    pub connection: ConnectionId,
    pub why: Closed,
    /// Who sent the first FIN or the RST, where one was seen.
    pub by: Option<Sender>,
    pub stamp: FrameStamp,
    /// A control packet that was announced and never completed: its type, the octets that
    /// its fixed header announced and those that came.
    pub incomplete: [Option<Incomplete>; 2],
}

/// A control packet that never completed.
#[derive(Clone, Copy, Debug)]
pub struct Incomplete {
    pub sender: Sender,
    pub packet_type: PacketType,
    /// Octets of the whole packet as announced; 0 where Remaining Length itself is cut.
    pub announced: u64,
    pub received: u64,
    /// The frame that carried its first octet.
    pub stamp: FrameStamp,
}

/// Something else where MQTT was expected.
#[derive(Clone, Copy, Debug)]
pub struct NotMqtt {
    pub connection: Connection,
    pub direction: Direction,
    pub stamp: FrameStamp,
    pub looks_like: LooksLike,
}

/// A rule of what carries MQTT is broken, or the connection is not granted.
#[derive(Clone, Copy, Debug)]
pub struct TransportBreach {
    pub connection: ConnectionId,
    pub sender: Sender,
    pub breach: Breach,
    /// The frame where it shows.
    pub stamp: FrameStamp,
}

/// What octets that are not MQTT look like.
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

/// What a whole run read and what became of it: every frame is in one of the counts.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// The inputs as the user named them.
    pub files: Vec<String>,
    /// Frames read from the captures.
    pub frames: u64,
    /// Control packets told, malformed ones included.
    pub packets: u64,
    pub first_time: Option<crate::base::Timestamp>,
    pub last_time: Option<crate::base::Timestamp>,
    pub precision: crate::base::Precision,
    /// Frames without TCP, by reason, most frequent first.
    pub skipped: Vec<SkippedFrames>,
    /// Frames that the snapshot length cut.
    pub cut_frames: u64,
    /// Where every frame and every octet went.
    pub accounting: Accounting,
}

/// Frames that gave no TCP segment, for one reason.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SkippedFrames {
    /// Kebab case, stable.
    pub reason: &'static str,
    /// In words, with the number that goes with it: `unsupported link type 105 (IEEE 802.11)`.
    pub message: String,
    pub frames: u64,
}
