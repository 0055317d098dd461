//! Several captures, one after the other.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use super::error::CaptureError;
use super::frame::{Frame, Item};
use super::reader::Reader;
use super::source::{Source, Summary};

/// Captures read one after the other; their frames are numbered on.
///
/// A capture that cannot be read further ends there, and the next one goes on behind it.
pub struct Sequence<'a> {
    /// The capture at hand and those that follow.
    readers: VecDeque<Reader<'a>>,
    /// The sums of the captures before.
    before: Summary,
    /// Bytes taken from their sources.
    taken: u64,
}

impl<'a> Sequence<'a> {
    /// A sequence of readers that have given nothing yet. Their inputs are numbered in this
    /// order, from 0; more than 65,536 share the last number.
    pub fn new(readers: impl IntoIterator<Item = Reader<'a>>) -> Self {
        Self {
            readers: Reader::numbered(readers).collect(),
            before: Summary::default(),
            taken: 0,
        }
    }
}

impl Source for Sequence<'_> {
    fn next_item(&mut self) -> Result<Option<Item<'_>>, CaptureError> {
        while let Some(reader) = self.readers.front_mut() {
            if let Some(piece) = reader.advance()? {
                let reader = self.readers.front();
                return Ok(reader.and_then(|reader| reader.item(&piece, reader.last_number())));
            }
            let frames = reader.last_number();
            self.before = self.before.join(reader.summary());
            self.taken += reader.taken();
            self.readers.pop_front();
            if let Some(next) = self.readers.front_mut() {
                next.count_on(frames);
            }
        }
        Ok(None)
    }

    fn frames_at_hand(
        &mut self,
        visit: &mut dyn FnMut(&Frame<'_>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.readers.front_mut() {
            Some(reader) => reader.frames_at_hand(visit),
            None => ControlFlow::Continue(()),
        }
    }

    fn taken(&self) -> u64 {
        self.taken + self.readers.front().map_or(0, Reader::taken)
    }

    fn summary(&self) -> Summary {
        let at_hand = self.readers.front().map(Reader::summary);
        self.before.join(at_hand.unwrap_or_default())
    }
}
