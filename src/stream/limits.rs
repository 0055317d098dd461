//! The sums of what became of everything that was pushed, and what connections share.

use super::sample::Samples;
use crate::base::FrameStamp;
use crate::base::limits::Limits;

/// Sums of everything that was pushed, over all connections.
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
    /// Segments cut by the snapshot length that lie over too many others.
    pub overlaps_cut: u64,
    /// Segments with signs of trouble of connections that are not watched: too many are.
    pub not_watched: u64,
    /// Connections evicted because the table was full.
    pub evicted: u64,
    /// Segments that stand behind others of their connection that were sent later: most often
    /// behind the acknowledgement of their bytes.
    pub out_of_order: u64,
    /// The frames of the first such segment and of that before which it was sent.
    pub first_out_of_order: Option<[FrameStamp; 2]>,
    /// Of those of another file than that before which they were sent, the one furthest from it,
    /// and that.
    pub skew: Option<[FrameStamp; 2]>,
}

impl Counts {
    /// Counts a segment in the frame `late` that was sent before that of the frame `early`.
    pub(super) fn note_out_of_order(&mut self, late: &FrameStamp, early: &FrameStamp) {
        self.out_of_order += 1;
        let pair = [*late, *early];
        self.first_out_of_order.get_or_insert(pair);
        let by = |[late, early]: [FrameStamp; 2]| Some(late.time?.since(early.time?));
        if late.file != early.file && self.skew.is_none_or(|widest| by(pair) > by(widest)) {
            self.skew = Some(pair);
        }
    }
}

/// The state that all connections share.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) counts: Counts,
    pub(super) limits: Limits,
    pub(super) samples: Samples,
    /// Bytes waiting behind holes, as charged against the caps.
    pub(super) waiting: usize,
    /// Connections whose trouble is watched.
    pub(super) troubled: usize,
}
