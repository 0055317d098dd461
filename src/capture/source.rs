//! The trait of frame sources.

use std::ops::ControlFlow;

use super::error::CaptureError;
use super::frame::{Frame, Item};
use crate::base::{Precision, Timestamp};

/// A source of frames: a file or pipe ([`Reader`](super::Reader)), several one after the other
/// ([`Sequence`](super::Sequence)) or merged by time ([`Merge`](super::Merge)).
///
/// A run takes a `&mut dyn Source`: a virtual call for each batch of frames, and one back for
/// each frame. Where nothing is at hand, [`Source::next_item`] waits; a source that may wait
/// long announces it to its opener first (see [`open`](super::open())), so that what a view holds
/// back only for speed can be shown.
pub trait Source {
    /// Returns the next item; `None` at the end of the source.
    ///
    /// # Errors
    /// The fault of a capture, with its file and place; it is returned once. A source of
    /// several captures goes on with the others: call again until `None`.
    fn next_item(&mut self) -> Result<Option<Item<'_>>, CaptureError>;

    /// Hands over the frames that are at hand without reading, until `visit` breaks. There may
    /// be none, and [`Source::next_item`] goes on behind them.
    fn frames_at_hand(
        &mut self,
        visit: &mut dyn FnMut(&Frame<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let _ = visit;
        ControlFlow::Continue(())
    }

    /// Returns how many bytes were taken from files and pipes so far, for a progress bar:
    /// compressed ones where they are compressed, and at most one buffer ahead of the frame at
    /// hand.
    fn taken(&self) -> u64;

    /// Returns what was read so far, after an error too.
    fn summary(&self) -> Summary;
}

/// Sums over everything that was read from a source.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Summary {
    /// Frames that were read.
    pub frames: u64,
    /// The time of the first frame that has one; of several captures, the earliest.
    pub first_time: Option<Timestamp>,
    /// The time of the last frame that has one; of several captures, the latest.
    pub last_time: Option<Timestamp>,
    /// The finest precision of any frame, or interface.
    pub precision: Precision,
    /// Blocks whose length at the end differs from that at the beginning, which was believed.
    pub disagreeing_lengths: u64,
}

impl Summary {
    /// Returns what was read from two captures together.
    pub(super) fn join(self, other: Self) -> Self {
        Self {
            frames: self.frames + other.frames,
            first_time: self.first_time.into_iter().chain(other.first_time).min(),
            last_time: self.last_time.max(other.last_time),
            precision: self.precision.max(other.precision),
            disagreeing_lengths: self.disagreeing_lengths + other.disagreeing_lengths,
        }
    }
}
