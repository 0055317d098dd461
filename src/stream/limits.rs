//! The caps of the table of connections, and the sums of what became of everything.

use super::sample::Samples;

/// The caps of an [`Assembler`](super::Assembler). Reaching one is reported by an event or a counter, never silent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Connections in the table at once. A new one then evicts one that has long been
    /// silent ([`Closed::Evicted`](super::Closed::Evicted)).
    pub connections: usize,
    /// Bytes that wait behind a hole, for one direction of a connection. Beyond it the
    /// first hole is given up ([`GapCause::WaitingCap`](super::GapCause::WaitingCap)).
    pub waiting_bytes: usize,
    /// The same for all connections together; the connection that has waited longest gives
    /// up its holes.
    pub waiting_total: usize,
    /// Connections kept after their end, so that what still comes of them opens no new one.
    pub lingering: usize,
}

impl Limits {
    /// Half a million; with a listener's state of 300 bytes each, some 250 MB.
    pub const CONNECTIONS: usize = 500_000;
    /// 8 MiB: above the largest window that Linux offers by itself (6 MiB). Each held
    /// segment counts 224 bytes besides its payload.
    pub const WAITING_BYTES: usize = 8 << 20;
    /// 64 MiB.
    pub const WAITING_TOTAL: usize = 64 << 20;
    /// 8192: some seconds of a thousand connections a second.
    pub const LINGERING: usize = 8192;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Self::CONNECTIONS,
            waiting_bytes: Self::WAITING_BYTES,
            waiting_total: Self::WAITING_TOTAL,
            lingering: Self::LINGERING,
        }
    }
}

/// What became of everything that was pushed, summed over all connections.
///
/// `bytes + repeated_bytes + unplaced_bytes + after_end_bytes` are the captured payload
/// bytes of all segments.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counts {
    /// TCP connections, by the rule of [`ConnectionId`](super::ConnectionId).
    pub connections: u64,
    /// Bytes emitted.
    pub bytes: u64,
    /// Gaps emitted, of whatever cause.
    pub gaps: u64,
    /// Bytes emitted as gaps; a gap of unknown length adds nothing.
    pub gap_bytes: u64,
    /// Bytes that came again (retransmissions, frames captured twice), or after they were
    /// given up.
    pub repeated_bytes: u64,
    /// Retransmitted segments that differed from the first copy.
    pub conflicts: u64,
    /// Captured bytes that have no place in their stream: from before the first captured
    /// byte of a connection that the capture joined, far outside any window, or in a reset.
    pub unplaced_bytes: u64,
    /// Bytes after FIN, or after the connection was closed.
    pub after_end_bytes: u64,
    /// Segments with FIN or RST at a place where neither can be, which was not believed.
    pub ignored_segments: u64,
    /// Holes given up because a cap on waiting bytes was reached.
    pub waiting_cap: u64,
    /// Connections evicted because the table was full.
    pub evicted: u64,
}

/// What all connections share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counts: Counts,
    pub(super) limits: Limits,
    pub(super) samples: Samples,
    /// Bytes waiting behind holes, as charged against the caps.
    pub(super) waiting: usize,
}
