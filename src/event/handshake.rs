//! Handshakes: the control packets that belong together, and how each exchange ended.

use std::sync::Arc;

use strum::IntoStaticStr;

use super::delivery::MessageDelivery;
use super::message::{Message, Payload};
use super::step::{HandshakeState, Step, between};
use crate::base::{Endpoint, Span};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, QoS, Sender};
use crate::stream::ConnectionId;

/// One exchange of control packets, emitted when it is settled: over, and its deliveries known.
///
/// A QoS 0 PUBLISH is emitted as a handshake of a single step, so that every application message
/// has one record.
#[derive(Clone, Debug, PartialEq)]
pub struct Handshake {
    /// The kind of exchange.
    pub kind: HandshakeKind,
    /// The connection on which it began.
    pub connection: ConnectionId,
    /// The server endpoint's place in the order of first appearance: connections of one
    /// broker share it.
    pub broker: u32,
    /// The server's endpoint as the client reached it: the name of the ladder's middle lane.
    pub server: Endpoint,
    /// Who sent the first packet.
    pub initiator: Sender,
    /// Of the connection's client; `None` where its CONNECT was not captured.
    pub client_id: Option<Arc<str>>,
    /// The protocol version of its connection, once it is known.
    pub version: Option<ProtocolVersion>,
    /// `None` for CONNECT, PINGREQ, AUTH and PUBLISH at QoS 0.
    pub packet_id: Option<PacketIdentifier>,
    /// In order; the first may be an acknowledgement where the capture begins in between.
    pub steps: Vec<Step>,
    /// Steps beyond [`Handshake::STEPS_KEPT`] that are not in `steps`.
    pub steps_left_out: u64,
    /// The end that it came to.
    pub state: HandshakeState,
    /// The request or the message of its first packet.
    pub subject: Subject,
    /// Filters beyond [`Handshake::FILTERS_KEPT`], or beyond the room for them, that are not in
    /// `subject`.
    pub filters_left_out: u64,
    /// On a publisher's PUBLISH: what became of it for each subscriber.
    pub deliveries: Vec<MessageDelivery>,
    /// Legs beyond [`Handshake::DELIVERIES_KEPT`] that are not in `deliveries`.
    pub deliveries_left_out: u64,
    /// On a server's PUBLISH: where the message came from.
    pub origin: Option<Origin>,
}

impl Handshake {
    /// Redeliveries can go on for ever.
    pub const STEPS_KEPT: usize = 64;
    /// A message may go to very many subscribers.
    pub const DELIVERIES_KEPT: usize = 4096;
    /// A SUBSCRIBE may have millions of filters.
    pub const FILTERS_KEPT: usize = 4096;

    /// From the first step to the last; `None` where a frame has no time or the handshake is
    /// incomplete.
    pub fn duration(&self) -> Option<Span> {
        if matches!(self.state, HandshakeState::Incomplete { .. }) || self.steps.len() < 2 {
            return None;
        }
        between(&self.steps.first()?.stamp, &self.steps.last()?.stamp)
    }

    /// The message of a PUBLISH.
    pub fn message(&self) -> Option<&Message> {
        match &self.subject {
            Subject::Message(message) => Some(message),
            _ => None,
        }
    }

    /// Returns the filters of a SUBSCRIBE or UNSUBSCRIBE, with their answers.
    pub fn filters(&self) -> &[FilterRequest] {
        match &self.subject {
            Subject::Subscribe(filters) | Subject::Unsubscribe(filters) => filters,
            _ => &[],
        }
    }

    /// Returns these filters, to be answered.
    pub(crate) fn filters_mut(&mut self) -> &mut [FilterRequest] {
        match &mut self.subject {
            Subject::Subscribe(filters) | Subject::Unsubscribe(filters) => filters,
            _ => &mut [],
        }
    }

    /// Returns whether a PUBLISH was sent more than once.
    pub fn redelivered(&self) -> bool {
        self.steps
            .iter()
            .filter(|step| step.packet_type == PacketType::Publish)
            .count()
            > 1
    }
}

/// The kind of an exchange.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, Ord, PartialEq, PartialOrd)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum HandshakeKind {
    /// CONNECT .. CONNACK, AUTH between them included.
    Connect,
    /// Re-authentication (5.0 §4.12.1); AUTH within CONNECT belongs to that handshake.
    Auth,
    /// A PUBLISH of QoS 0, which nothing answers.
    Qos0,
    /// PUBLISH .. PUBACK.
    Qos1,
    /// PUBLISH .. PUBREC .. PUBREL .. PUBCOMP.
    Qos2,
    /// SUBSCRIBE .. SUBACK.
    Subscribe,
    /// UNSUBSCRIBE .. UNSUBACK.
    Unsubscribe,
    /// PINGREQ .. PINGRESP.
    Ping,
}

/// The request or the message of a handshake's first packet.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Subject {
    /// The application message of a PUBLISH.
    Message(Message),
    /// The CONNECT, with its answer.
    Connect(Box<ConnectSummary>),
    /// The filters of a SUBSCRIBE, with their answers.
    Subscribe(Vec<FilterRequest>),
    /// The filters of an UNSUBSCRIBE, with their answers.
    Unsubscribe(Vec<FilterRequest>),
    /// PINGREQ, AUTH, or a first packet that was not captured.
    Nothing,
}

/// A CONNECT, decoded, with what the CONNACK answered.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectSummary {
    /// `MQTT`, or `MQIsdp` in 3.1.
    pub protocol_name: Arc<str>,
    /// Without the bridge bit.
    pub protocol_level: u8,
    /// The client is a bridge: mosquitto sets the highest bit of the protocol level.
    pub bridge: bool,
    /// The Connect Flags byte as it stood on the wire.
    pub flags: u8,
    /// In seconds, as the client asked.
    pub keep_alive: u16,
    /// As the client sent it; empty where it asked for one to be assigned.
    pub client_id: Arc<str>,
    /// The User Name of the CONNECT.
    pub user_name: Option<Arc<str>>,
    /// In bytes: passwords themselves are never kept.
    pub password_length: Option<u64>,
    /// Session Expiry Interval, in seconds (5.0).
    pub session_expiry: Option<u32>,
    /// Receive Maximum: messages above QoS 0 that may be in flight (5.0).
    pub receive_maximum: Option<u16>,
    /// Topic Alias Maximum: the highest alias that may be used (5.0).
    pub topic_alias_maximum: Option<u16>,
    /// Maximum Packet Size, in bytes (5.0).
    pub maximum_packet_size: Option<u32>,
    /// The Will Message that the CONNECT registers.
    pub will: Option<WillMessage>,
    /// `None` until the CONNACK came.
    pub answer: Option<ConnAckSummary>,
}

/// The Will Message as a CONNECT registers it.
#[derive(Clone, Debug, PartialEq)]
pub struct WillMessage {
    /// The Will Topic.
    pub topic: Arc<str>,
    /// The Will QoS.
    pub qos: QoS,
    /// Will Retain.
    pub retain: bool,
    /// The Will Payload.
    pub payload: Payload,
    /// In seconds; 0 before 5.0.
    pub delay: u32,
}

/// The answer of a CONNACK.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnAckSummary {
    /// The return or reason code; 0 accepts the connection.
    pub code: u8,
    /// Session Present: the server goes on with a session.
    pub session_present: bool,
    /// Assigned Client Identifier (5.0).
    pub assigned_client_id: Option<Arc<str>>,
    /// Server Keep Alive, in seconds: it replaces the client's (5.0).
    pub server_keep_alive: Option<u16>,
    /// Session Expiry Interval, in seconds (5.0).
    pub session_expiry: Option<u32>,
    /// Receive Maximum: messages above QoS 0 that may be in flight (5.0).
    pub receive_maximum: Option<u16>,
    /// Topic Alias Maximum: the highest alias that may be used (5.0).
    pub topic_alias_maximum: Option<u16>,
    /// Maximum Packet Size, in bytes (5.0).
    pub maximum_packet_size: Option<u32>,
    /// Maximum QoS that the server supports (5.0).
    pub maximum_qos: Option<u8>,
}

/// One filter of a SUBSCRIBE or UNSUBSCRIBE, with its answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FilterRequest {
    /// The topic filter, a share's prefix included.
    pub filter: Arc<str>,
    /// The Subscription Options byte; 0 in UNSUBSCRIBE.
    pub options: u8,
    /// The return or reason code; `None` while unanswered, and for UNSUBACK before 5.0.
    pub code: Option<u8>,
}

/// Where a message that a server sent came from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origin {
    /// A client's PUBLISH.
    Published {
        /// The publisher's connection.
        connection: ConnectionId,
        /// The publisher; `None` where its CONNECT was not captured.
        client_id: Option<Arc<str>>,
        /// The frame in which the PUBLISH ends.
        frame: u64,
        /// An equal message was on its way too, or may not have been seen, and the earliest was taken.
        ambiguous: bool,
    },
    /// The stored message of its topic, sent because of a new subscription; the frame that
    /// stored it, where that was captured.
    Stored {
        /// The connection of its publisher.
        connection: Option<ConnectionId>,
        /// The frame in which that PUBLISH ends.
        frame: Option<u64>,
    },
    /// A Will Message; the frame of the CONNECT that set it.
    Will {
        /// The connection that ended without a normal DISCONNECT.
        connection: ConnectionId,
        /// Its client.
        client_id: Option<Arc<str>>,
        /// The frame of the CONNECT.
        frame: u64,
        /// An equal will or message was on its way at the same time.
        ambiguous: bool,
    },
    /// The server's own (`$SYS/...`).
    Server,
    /// No PUBLISH in the capture explains it.
    NotSeen,
}
