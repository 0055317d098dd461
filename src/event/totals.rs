//! The sums of a run.

use super::accounting::Accounting;
use crate::base::{Precision, Timestamp};

/// The sums of a whole run: every frame is in one of the counts.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// The inputs as the user named them.
    pub files: Vec<String>,
    /// Frames read from the captures.
    pub frames: u64,
    /// Control packets emitted, malformed ones included.
    pub packets: u64,
    /// Connections that carry the same packets as an earlier one, in step: the capture holds it
    /// twice, and statistics and findings are of the first.
    pub seen_twice: u64,
    /// The time of the first frame that has one.
    pub first_time: Option<Timestamp>,
    /// The time of the last frame that has one.
    pub last_time: Option<Timestamp>,
    /// The digits of the capture's times.
    pub precision: Precision,
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
