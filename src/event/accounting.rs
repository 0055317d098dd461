//! Where every frame and every byte of a run went.

use crate::base::limits::Limit;

/// The sums of everything that was read; nothing is left over.
///
/// Frames: [`mqtt_frames`](Self::mqtt_frames) + [`tcp_frames`](Self::tcp_frames) +
/// [`skipped_frames`](Self::skipped_frames) are the frames read. Bytes:
/// [`captured`](Self::captured) and [`unwrapped`](Self::unwrapped) together are the sum of all
/// from [`repeated`](Self::repeated) to [`wrapped`](Self::wrapped). In bytes unless
/// documented otherwise.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Accounting {
    /// Frames in which a control packet ended.
    pub mqtt_frames: u64,
    /// Frames with TCP in which none did: other protocols, segments without bytes, parts of
    /// packets that end in a later frame, repetitions.
    pub tcp_frames: u64,
    /// Frames without TCP: the sum of [`Totals::skipped`](super::Totals::skipped).
    pub skipped_frames: u64,
    /// TCP connections.
    pub connections: u64,
    /// Those of them that carried MQTT.
    pub mqtt_connections: u64,

    /// Payload of all TCP segments that was captured.
    pub captured: u64,
    /// Came out of WebSocket, TLS and the PROXY protocol, and is counted as if it had been captured bare.
    pub unwrapped: u64,
    /// Came again: retransmissions, frames captured twice.
    pub repeated: u64,
    /// Without a place in their stream: from before the first byte of a connection that the
    /// capture joined, outside any window, in a reset.
    pub unplaced: u64,
    /// Behind FIN, or of a connection that was closed.
    pub after_end: u64,
    /// In control packets that were emitted.
    pub in_packets: u64,
    /// In control packets that never completed.
    pub incomplete: u64,
    /// In control packets that a gap cut, or passed over while a packet's begin was sought.
    pub discarded: u64,
    /// In control packets that the cap on held bytes kept from being emitted.
    pub over_cap: u64,
    /// Behind broken framing, where nothing is guessed at.
    pub given_up: u64,
    /// In connections, or directions of them, that are not MQTT.
    pub not_mqtt: u64,
    /// Of what carries MQTT (WebSocket, TLS, the PROXY protocol), from its handshakes to its frame
    /// and record headers: what came out of it is `unwrapped`.
    pub wrapped: u64,

    /// Bytes of MQTT connections that were never captured, where their number is known.
    pub missing: u64,
    /// Gaps in MQTT connections.
    pub gaps: u64,
    /// Limits that were reached; those that were not are left out.
    pub caps: Vec<LimitReached>,
}

/// A limit that was reached.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LimitReached {
    /// The limit under whose name it is counted.
    pub limit: Limit,
    /// How often it was reached.
    pub times: u64,
}

impl LimitReached {
    /// Returns the stable name in kebab case.
    pub const fn name(&self) -> &'static str {
        self.limit.row().name
    }

    /// Returns what happened, to stand behind the number of times: `connections evicted from a
    /// full table`.
    pub const fn message(&self) -> &'static str {
        self.limit.row().message
    }
}

impl From<(Limit, u64)> for LimitReached {
    fn from((limit, times): (Limit, u64)) -> Self {
        Self { limit, times }
    }
}

impl Accounting {
    /// Returns what the bytes became: a stable key, words, and how many. Their sum is that of
    /// [`captured`](Self::captured) and [`unwrapped`](Self::unwrapped).
    pub fn bytes(&self) -> [(&'static str, &'static str, u64); 10] {
        [
            ("in_packets", "in control packets", self.in_packets),
            (
                "incomplete",
                "in control packets that never completed",
                self.incomplete,
            ),
            (
                "discarded",
                "of packets cut by a gap or before the first whole one",
                self.discarded,
            ),
            (
                "over_cap",
                "of packets larger than what may be held",
                self.over_cap,
            ),
            ("given_up", "behind broken framing", self.given_up),
            ("not_mqtt", "not MQTT", self.not_mqtt),
            (
                "wrapped",
                "of what carried MQTT (WebSocket, TLS, the PROXY protocol)",
                self.wrapped,
            ),
            ("repeated", "repeated", self.repeated),
            ("unplaced", "without a place in their stream", self.unplaced),
            (
                "after_end",
                "after the end of their connection",
                self.after_end,
            ),
        ]
    }

    /// Returns whether everything adds up, for a run that read `frames` frames.
    pub fn adds_up(&self, frames: u64) -> bool {
        let bytes: u64 = self.bytes().iter().map(|(_, _, bytes)| bytes).sum();
        self.mqtt_frames + self.tcp_frames + self.skipped_frames == frames
            && bytes == self.captured + self.unwrapped
    }
}
