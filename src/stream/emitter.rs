//! Emits the events of a direction and counts them.

use super::direction::Direction;
use super::event::{ConnectionId, End, GapCause, Stall, StreamEvent};
use super::limits::Shared;
use super::waiting::Piece;
use crate::base::{FrameStamp, Layers};

/// Where a direction's events go, with what they and the caps need.
pub(super) struct Emitter<'a> {
    pub(super) direction: Direction,
    /// The frame being read.
    pub(super) stamp: FrameStamp,
    pub(super) layers: &'a Layers,
    pub(super) connection: ConnectionId,
    pub(super) shared: &'a mut Shared,
    pub(super) emit: &'a mut dyn FnMut(StreamEvent<'_>),
}

impl Emitter<'_> {
    /// Emits bytes of the frame being read, or those of a piece that waited.
    pub(super) fn bytes(&mut self, sequence: u32, bytes: &[u8], waited: Option<&Piece>) {
        self.shared.counts.bytes += bytes.len() as u64;
        self.shared.samples.record(self.owner(), sequence, bytes);
        let (stamp, layers) = match waited {
            Some(piece) => (&piece.stamp, piece.layers.as_deref()),
            None => (&self.stamp, Some(self.layers)),
        };
        (self.emit)(StreamEvent::Bytes {
            direction: self.direction,
            bytes,
            stamp,
            layers: layers.unwrap_or(&Layers::NONE),
        });
    }

    pub(super) fn gap(&mut self, length: u32, cause: GapCause, waited: Option<&Piece>) {
        self.shared.counts.gaps += 1;
        self.shared.counts.gap_bytes += u64::from(length);
        (self.emit)(StreamEvent::Gap {
            direction: self.direction,
            length: u64::from(length),
            cause,
            stamp: waited.map_or(&self.stamp, |piece| &piece.stamp),
        });
    }

    pub(super) fn conflict(&mut self) {
        self.shared.counts.conflicts += 1;
        (self.emit)(StreamEvent::Conflict {
            direction: self.direction,
            stamp: &self.stamp,
        });
    }

    /// Emits the end of a direction; `waited` is the frame of a FIN that came before its turn.
    pub(super) fn end(&mut self, how: End, waited: Option<FrameStamp>) {
        (self.emit)(StreamEvent::End {
            direction: self.direction,
            how,
            stamp: &waited.unwrap_or(self.stamp),
        });
    }

    /// Emits that a FIN or RST in the frame `since` is not believed.
    pub(super) fn not_ended(&mut self, stall: Stall, since: &FrameStamp) {
        (self.emit)(StreamEvent::Stalled {
            direction: self.direction,
            stall,
            since,
            lasting: false,
            stamp: &self.stamp,
        });
    }

    pub(super) fn owner(&self) -> u64 {
        owner(self.connection, self.direction)
    }
}

/// Names one direction of a connection among [`super::sample::Samples`]; never 0.
#[inline]
pub(super) fn owner(connection: ConnectionId, direction: Direction) -> u64 {
    (u64::from(connection.0) + 1) << 1 | u64::from(direction == Direction::Backward)
}
