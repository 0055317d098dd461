//! Bytes of an MQTT connection that are missing from the capture.

use schemars::JsonSchema;
use serde::Serialize;

use super::value::{is_zero, sender_name};
use crate::event;

/// A gap in one direction of an MQTT connection.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Gap {
    /// The frame by which the gap became certain.
    pub frame: u64,
    /// The TCP connection.
    pub stream: u32,
    /// Whose bytes are missing: `client` or `server`.
    #[schemars(extend("enum" = ["client", "server"]))]
    pub sender: &'static str,
    /// How many bytes are missing; absent where the number is unknown.
    #[serde(skip_serializing_if = "is_zero")]
    pub length: u64,
    /// `not_captured`, `snapshot_length`, `waiting_cap`, `held_cap`, `unreadable` (by TLS or
    /// WebSocket), `end_of_capture`, or `passed_over`: nothing is missing there, but `discarded`
    /// bytes behind an earlier gap or the capture's beginning belong to no packet for certain.
    pub cause: &'static str,
    /// How many captured bytes belong to a control packet that the gap cut.
    #[serde(skip_serializing_if = "is_zero")]
    pub discarded: u64,
}

impl From<&event::Gap> for Gap {
    fn from(gap: &event::Gap) -> Self {
        Self {
            frame: gap.stamp.number,
            stream: gap.connection.0,
            sender: sender_name(gap.sender),
            length: gap.length,
            cause: gap.cause.into(),
            discarded: gap.discarded,
        }
    }
}
