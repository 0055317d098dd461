//! Emits the events of a direction and counts them.

use super::direction::Direction;
use super::event::{End, GapCause, StreamEvent};
use super::limits::Shared;
use crate::base::{FrameStamp, Layers};

/// Where a direction's events go, with what they and the caps need.
pub(super) struct Emitter<'a> {
    pub(super) direction: Direction,
    /// The frame being read.
    pub(super) stamp: FrameStamp,
    pub(super) layers: &'a Layers,
    /// Names the connection among [`super::sample::Samples`].
    pub(super) owner: u64,
    pub(super) shared: &'a mut Shared,
    pub(super) emit: &'a mut dyn FnMut(StreamEvent<'_>),
}

impl Emitter<'_> {
    pub(super) fn bytes(
        &mut self,
        sequence: u32,
        bytes: &[u8],
        stamp: &FrameStamp,
        layers: &Layers,
    ) {
        self.shared.counts.bytes += bytes.len() as u64;
        self.shared.samples.record(self.owner(), sequence, bytes);
        (self.emit)(StreamEvent::Bytes {
            direction: self.direction,
            bytes,
            stamp,
            layers,
        });
    }

    pub(super) fn gap(&mut self, length: u32, cause: GapCause, stamp: &FrameStamp) {
        self.shared.counts.gaps += 1;
        self.shared.counts.gap_bytes += u64::from(length);
        (self.emit)(StreamEvent::Gap {
            direction: self.direction,
            length: u64::from(length),
            cause,
            stamp,
        });
    }

    pub(super) fn conflict(&mut self) {
        self.shared.counts.conflicts += 1;
        (self.emit)(StreamEvent::Conflict {
            direction: self.direction,
            stamp: &self.stamp,
        });
    }

    pub(super) fn end(&mut self, how: End, stamp: &FrameStamp) {
        (self.emit)(StreamEvent::End {
            direction: self.direction,
            how,
            stamp,
        });
    }

    pub(super) fn owner(&self) -> u64 {
        owner_of(self.owner, self.direction)
    }
}

/// Names one direction of a connection among the samples.
#[inline]
pub(super) fn owner_of(connection: u64, direction: Direction) -> u64 {
    connection << 1 | u64::from(direction == Direction::Backward)
}
