//! Where every frame and every byte of a run went.

use schemars::JsonSchema;
use serde::Serialize;

use crate::event;

/// The fate of everything that was read; the sums add up.
///
/// `mqtt_frames` + `tcp_frames` + `skipped_frames` are the frames read; the members of `octets`
/// add up to `captured_octets` + `unwrapped_octets`.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Accounting {
    /// TCP connections.
    pub connections: u64,
    /// Those of them that carried MQTT.
    pub mqtt_connections: u64,
    /// Frames in which a control packet ends.
    pub mqtt_frames: u64,
    /// Frames of TCP in which none does.
    pub tcp_frames: u64,
    /// Frames without TCP.
    pub skipped_frames: u64,
    /// Bytes of TCP payload that were captured.
    pub captured_octets: u64,
    /// Bytes that came out of WebSocket, TLS and the PROXY protocol.
    pub unwrapped_octets: u64,
    /// The fate of those bytes.
    pub octets: Octets,
    /// Gaps in MQTT connections.
    pub gaps: u64,
    /// Bytes of MQTT connections that were never captured, where their number is known.
    pub missing_octets: u64,
    /// The limits that were reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub caps_reached: Vec<LimitReached>,
}

/// The fate of the payload of all TCP connections, in bytes.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Octets {
    /// In control packets that are reported.
    pub in_packets: u64,
    /// In control packets that never completed.
    pub incomplete: u64,
    /// Of packets cut by a gap, or before the first whole one.
    pub discarded: u64,
    /// Of packets larger than what may be held.
    pub over_cap: u64,
    /// Behind broken framing.
    pub given_up: u64,
    /// Of connections that are not MQTT.
    pub not_mqtt: u64,
    /// Of WebSocket, TLS and the PROXY protocol, whose content is counted above.
    pub wrapped: u64,
    /// Captured again: retransmissions, frames captured twice.
    pub repeated: u64,
    /// Without a place in their stream.
    pub unplaced: u64,
    /// After the end of their connection.
    pub after_end: u64,
}

/// A limit that was reached.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct LimitReached {
    /// The limit's name, stable, in kebab case.
    pub cap: &'static str,
    /// The effect, to stand behind `times`: `connections evicted from a full table`.
    pub message: &'static str,
    /// How often.
    pub times: u64,
}

impl From<&event::Accounting> for Accounting {
    fn from(sums: &event::Accounting) -> Self {
        Self {
            connections: sums.connections,
            mqtt_connections: sums.mqtt_connections,
            mqtt_frames: sums.mqtt_frames,
            tcp_frames: sums.tcp_frames,
            skipped_frames: sums.skipped_frames,
            captured_octets: sums.captured,
            unwrapped_octets: sums.unwrapped,
            octets: Octets {
                in_packets: sums.in_packets,
                incomplete: sums.incomplete,
                discarded: sums.discarded,
                over_cap: sums.over_cap,
                given_up: sums.given_up,
                not_mqtt: sums.not_mqtt,
                wrapped: sums.wrapped,
                repeated: sums.repeated,
                unplaced: sums.unplaced,
                after_end: sums.after_end,
            },
            gaps: sums.gaps,
            missing_octets: sums.missing,
            caps_reached: sums.caps.iter().map(LimitReached::from).collect(),
        }
    }
}

impl From<&event::LimitReached> for LimitReached {
    fn from(reached: &event::LimitReached) -> Self {
        Self {
            cap: reached.name(),
            message: reached.message(),
            times: reached.times,
        }
    }
}
