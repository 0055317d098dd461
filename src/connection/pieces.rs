//! Segments whose bytes are held, and where packets lie in them: senders hand over whole packets,
//! so the bounds of segments are evidence.

use std::collections::VecDeque;

use crate::base::{FrameStamp, Layers};

/// The position of a packet in the segments that brought it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// It ends where a segment ends that had room for more.
    pub(super) ends_a_segment: bool,
    /// It is all that a filled-up segment holds.
    pub(super) fills_a_segment: bool,
    /// It begins in a segment that was filled up: more of the same may surround it, so small
    /// packets there are no evidence.
    pub(super) in_full_segment: bool,
}

/// A segment at least this long, in bytes, may have been filled up: 536 is the least that
/// every TCP takes (RFC 9293 §3.7.1), less room for options.
const FULL_SEGMENT: usize = 500;

/// One segment, without its bytes.
#[derive(Debug)]
pub(super) struct Piece {
    /// In bytes from the start of what the direction held.
    pub(super) at: u64,
    /// In bytes.
    pub(super) length: usize,
    pub(super) stamp: FrameStamp,
    /// Kept only where a view wants them.
    pub(super) layers: Option<Box<Layers>>,
}

impl Piece {
    pub(super) fn end(&self) -> u64 {
        self.at + self.length as u64
    }
}

/// The segments that brought the bytes, in order.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    pub(super) all: VecDeque<Piece>,
    /// The longest segment.
    longest: usize,
}

impl Pieces {
    /// Appends a segment.
    pub(super) fn push(&mut self, piece: Piece) {
        self.longest = self.longest.max(piece.length);
        self.all.push_back(piece);
    }

    /// Returns the bytes of memory that they take.
    pub(super) fn takes(&self) -> usize {
        let layers = match self.all.back() {
            Some(Piece {
                layers: Some(_), ..
            }) => self.all.len() * size_of::<Layers>(),
            _ => 0,
        };
        self.all.capacity() * size_of::<Piece>() + layers
    }

    /// Forgets the segments that end at `place` or before.
    pub(super) fn drop_before(&mut self, place: u64) {
        while self
            .all
            .pop_front_if(|piece| piece.end() <= place)
            .is_some()
        {}
    }

    /// Whether a segment begins at `place`.
    pub(super) fn begins(&self, place: u64) -> bool {
        let found = self.all.binary_search_by_key(&place, |piece| piece.at);
        found.is_ok()
    }

    /// Returns how a packet from `start` to `end` lies in its segments.
    pub(super) fn place(&self, start: u64, end: u64) -> Place {
        let first = self.around(start);
        let last = self.around(end.saturating_sub(1));
        Place {
            fills_a_segment: first.is_some_and(|piece| {
                piece.at == start && piece.end() == end && self.is_full(piece)
            }),
            ends_a_segment: last.is_some_and(|piece| piece.end() == end && !self.is_full(piece)),
            in_full_segment: first.is_some_and(|piece| self.is_full(piece)),
        }
    }

    /// Whether the segment was filled up, so that its end is no evidence.
    pub(super) fn is_full(&self, piece: &Piece) -> bool {
        piece.length >= FULL_SEGMENT && piece.length >= self.longest
    }

    fn around(&self, place: u64) -> Option<&Piece> {
        let after = self.all.partition_point(|piece| piece.at <= place);
        self.all.get(after.checked_sub(1)?)
    }
}
