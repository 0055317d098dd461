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
                Closed::Reset => "connection_reset",
                Closed::Replaced => "connection_replaced",
                Closed::Evicted => "evicted",
                Closed::CaptureEnd => "capture_end",
            },
        }
    }
}

/// A connection on an MQTT port, or one that the user asked for, that is not MQTT after all.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct NotMqtt {
    /// The frame by which that became certain.
    pub frame: u64,
    /// The TCP connection.
    pub stream: u32,
    /// Who sent the bytes that are not MQTT to whom.
    #[serde(flatten)]
    pub ends: Ends,
    /// `tls`, `http`, `websocket` or `unknown`.
    pub looks_like: &'static str,
    /// The status of the HTTP response that refused an upgrade to WebSocket.
    pub status: Option<u16>,
    /// The TLS cipher suite that is not decrypted although its secrets are known.
    pub cipher_suite: Option<u16>,
}

impl From<&event::NotMqtt> for NotMqtt {
    fn from(not: &event::NotMqtt) -> Self {
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
            LooksLike::Unknown => "unknown",
        };
        let (status, cipher_suite) = match not.looks_like {
            LooksLike::Carrier(_, CarrierError::Refused(status)) => (Some(status), None),
            LooksLike::Carrier(_, CarrierError::Unsupported(suite)) => (None, Some(suite)),
            _ => (None, None),
        };
        Self {
            frame: not.stamp.number,
            stream: not.connection.id.0,
            ends: Ends::new(source, destination),
            looks_like,
            status,
            cipher_suite,
        }
    }
}
