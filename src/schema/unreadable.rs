//! Bytes that could not be read as MQTT: packets that never completed, connections of another
//! protocol.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::value::{Ends, is_zero, sender_name};
use crate::event::{self, CarrierError, Closed, Direction, Ended, LooksLike, Protocol};

/// A control packet that never completed.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Incomplete {
    /// The frame that carries its first byte.
    pub frame: u64,
    /// The TCP connection.
    pub stream: u32,
    /// `client` or `server`.
    #[schemars(extend("enum" = ["client", "server"]))]
    pub sender: &'static str,
    /// The packet type's number.
    #[serde(rename = "type")]
    pub packet_type: u8,
    /// The packet type's name.
    pub type_name: &'static str,
    /// The number of bytes that its fixed header announces; absent where that is cut itself.
    #[serde(skip_serializing_if = "is_zero")]
    pub announced: u64,
    /// The number of bytes that came.
    pub received: u64,
    /// `connection_closed`, `connection_reset`, `connection_replaced`, `evicted` or
    /// `capture_end`.
    pub ended_by: &'static str,
}

impl Incomplete {
    /// The record of a packet that was cut when its connection ended.
    pub fn new(ended: &Ended, incomplete: &event::Incomplete) -> Self {
        Self {
            frame: incomplete.stamp.number,
            stream: ended.connection.0,
            sender: sender_name(incomplete.sender),
            packet_type: incomplete.packet_type as u8,
            type_name: incomplete.packet_type.name(),
            announced: incomplete.announced,
            received: incomplete.received,
            ended_by: match ended.why {
                Closed::Finished => "connection_closed",
                Closed::Reset | Closed::Refused => "connection_reset",
                Closed::Replaced => "connection_replaced",
                Closed::Evicted => "evicted",
                Closed::CaptureEnd => "capture_end",
            },
        }
    }
}

/// A connection on an MQTT port, or one that the user asked for, that is not MQTT after all.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct NotMqtt<'a> {
    /// The frame by which that became certain.
    pub frame: u64,
    /// The TCP connection.
    pub stream: u32,
    /// Who sent the bytes that are not MQTT to whom.
    #[serde(flatten)]
    pub ends: Ends,
    /// `tls`, `http`, `websocket`, `unknown`, or `refused`: the SYN was answered by RST.
    pub looks_like: &'static str,
    /// The status of the HTTP response that refused an upgrade to WebSocket.
    pub status: Option<u16>,
    /// The TLS cipher suite that the server chose, or that is not decrypted although its secrets are
    /// known.
    pub cipher_suite: Option<u16>,
    /// The version of TLS that is chosen, or the highest that is offered: `1.3`.
    pub tls_version: Option<&'static str>,
    /// The host name that a ClientHello asks for (SNI).
    pub server_name: Option<&'a str>,
    /// The application protocols that a ClientHello offers (ALPN).
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub alpn: &'a [Box<str>],
    /// The number of the TLS alert that comes in place of an answer (RFC 8446 §6).
    pub alert: Option<u8>,
    /// The other end was asked for TLS or WebSocket, and closed the connection without an answer.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unanswered: bool,
    /// The other direction of the connection is MQTT.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub answers_mqtt: bool,
}

impl<'a> From<&'a event::NotMqtt> for NotMqtt<'a> {
    fn from(not: &'a event::NotMqtt) -> Self {
        let (source, destination) = match not.direction {
            Direction::Forward => (not.connection.initiator, not.connection.responder),
            Direction::Backward => (not.connection.responder, not.connection.initiator),
        };
        let looks_like = match not.looks_like {
            // A WebSocket connection that never opened is HTTP.
            LooksLike::Carrier(Protocol::WebSocket, error) if error != CarrierError::Broken => {
                "http"
            }
            LooksLike::Carrier(protocol, _) => protocol.name(),
            LooksLike::Refused => "refused",
            LooksLike::Unknown => "unknown",
        };
        let (status, cipher_suite) = match not.looks_like {
            LooksLike::Carrier(_, CarrierError::Refused(status)) => (Some(status), None),
            LooksLike::Carrier(_, CarrierError::Unsupported(suite)) => (None, Some(suite)),
            _ => (None, not.introduction.cipher_suite),
        };
        let unanswered = matches!(
            not.looks_like,
            LooksLike::Carrier(_, CarrierError::Unanswered)
        );
        Self {
            frame: not.stamp.number,
            stream: not.connection.id.0,
            ends: Ends::new(source, destination),
            looks_like,
            status,
            cipher_suite,
            tls_version: not.introduction.version,
            server_name: not.introduction.server_name.as_deref(),
            alpn: &not.introduction.protocols,
            alert: not.introduction.alert.map(|alert| alert.description),
            unanswered,
            answers_mqtt: not.answers_mqtt,
        }
    }
}
