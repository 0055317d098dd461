//! Bytes of one direction held back until it is known what they are, and the places in
//! them where a packet may begin.

use crate::base::{FrameStamp, Layers};

use super::candidate::{Candidate, Expected};
use super::classify::could_begin;
use super::context::Context;
use super::pieces::{Piece, Pieces};

/// Places that are followed at a time in one direction.
const CANDIDATES_CAP: usize = 64;

/// The effort that looking for packets within one segment may take, in bytes that are read, beside
/// a share for its length.
const EFFORT_CAP: usize = 256 << 10;

/// The bytes of one direction that are held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    /// How many of `bytes` are no longer held; they are moved out now and then.
    gone: usize,
    /// The place of the first byte that is held.
    base: u64,
    pieces: Pieces,
    pub(super) candidates: Vec<Candidate>,
}

impl Held {
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.gone
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    pub(super) fn end(&self) -> u64 {
        self.base + self.len() as u64
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.gone..).unwrap_or(&[])
    }

    /// The first segment that is held.
    pub(super) fn first_piece(&self) -> Option<&Piece> {
        self.pieces.all.front()
    }

    pub(super) fn push(
        &mut self,
        context: &mut Context,
        bytes: &[u8],
        stamp: &FrameStamp,
        layers: &Layers,
    ) {
        let at = self.end();
        self.bytes.extend_from_slice(bytes);
        context.hold(bytes.len());
        self.pieces.push(Piece {
            at,
            length: bytes.len(),
            stamp: *stamp,
            layers: context.options.layers.then(|| Box::new(*layers)),
        });
    }

    /// Follows `place` alone: there a packet begins, if the direction is MQTT.
    pub(super) fn expect_at(&mut self, place: u64, expected: Expected) {
        self.candidates.clear();
        self.candidates
            .push(Candidate::new(place, true, false, expected));
    }

    /// Reads on with every candidate; those that led nowhere are forgotten.
    pub(super) fn advance(&mut self, expected: Expected) {
        let bytes = self.bytes.get(self.gone..).unwrap_or(&[]);
        let (base, pieces) = (self.base, &self.pieces);
        self.candidates
            .retain_mut(|candidate| candidate.advance(bytes, base, pieces, expected));
    }

    /// Looks for places where a packet may begin in the segment that came last: its start,
    /// and every other byte if `anywhere`.
    pub(super) fn seek(&mut self, expected: Expected, anywhere: bool) {
        let Some(piece) = self.pieces.all.back() else {
            return;
        };
        let (at, full) = (piece.at, self.pieces.is_full(piece));
        let leads_here = |candidate: &Candidate| candidate.aligned && candidate.next == at;
        if !self.candidates.iter().any(leads_here) {
            self.consider(Candidate::new(at, true, full, expected), expected);
        }
        // A chain that read the whole segment explains it.
        let end = self.end();
        if !anywhere || self.candidates.iter().any(|c| c.aligned && c.next == end) {
            return;
        }
        self.seek_within(at, full, expected);
    }

    /// Looks at every byte behind the place `at`, as far as the effort allows; what reading
    /// took.
    fn seek_within(&mut self, at: u64, full: bool, expected: Expected) -> usize {
        let from = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        let length = self.len().saturating_sub(from);
        let mut effort = 0;
        for offset in from.saturating_add(1)..self.len() {
            // Segments can be made in which every place leads through all the others.
            if effort > EFFORT_CAP + 16 * length {
                break;
            }
            let Some(first) = self.bytes().get(offset) else {
                break;
            };
            if could_begin(*first, expected.versions) {
                let place = self.base + offset as u64;
                effort += self.consider(Candidate::new(place, false, full, expected), expected);
            }
        }
        effort
    }

    /// Reads on from a place, and keeps it where it leads on; what reading took.
    fn consider(&mut self, mut candidate: Candidate, expected: Expected) -> usize {
        let bytes = self.bytes.get(self.gone..).unwrap_or(&[]);
        let alive = candidate.advance(bytes, self.base, &self.pieces, expected);
        let effort = candidate.effort;
        if !alive {
            return effort;
        }
        if self.candidates.len() >= CANDIDATES_CAP {
            // Room is made at the expense of the weakest place amid a segment.
            let weakest = (0..self.candidates.len())
                .filter(|at| self.candidates.get(*at).is_some_and(|c| !c.aligned))
                .min_by_key(|at| self.candidates.get(*at).map_or(0, |c| c.score));
            match weakest {
                Some(at) if candidate.aligned => drop(self.candidates.remove(at)),
                _ => return effort,
            }
        }
        self.candidates.push(candidate);
        effort
    }

    /// Lets go of everything before `place`; how many bytes that were.
    pub(super) fn drop_before(&mut self, context: &mut Context, place: u64) -> usize {
        let place = place.clamp(self.base, self.end());
        let count = usize::try_from(place - self.base).unwrap_or(usize::MAX);
        context.let_go(count);
        self.gone += count;
        self.base = place;
        self.pieces.drop_before(place);
        self.candidates.retain(|candidate| candidate.start >= place);
        // Moved only when half is gone, so that each byte moves once on average.
        if self.gone > self.bytes.len() / 2 {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
        count
    }

    /// Lets go of everything that no candidate needs; how many bytes that were.
    pub(super) fn drop_unneeded(&mut self, context: &mut Context) -> usize {
        let needed = self.candidates.iter().map(|candidate| candidate.start);
        let place = needed.min().unwrap_or(self.end());
        self.drop_before(context, place)
    }

    /// Lets go of the earliest candidate and what it alone needed.
    pub(super) fn drop_earliest(&mut self, context: &mut Context) -> usize {
        let starts = self.candidates.iter().map(|candidate| candidate.start);
        let earliest = starts.min();
        self.candidates
            .retain(|candidate| Some(candidate.start) != earliest);
        self.drop_unneeded(context)
    }

    /// Takes the first segment out, with its bytes that are still held.
    pub(super) fn pop<'a>(
        &mut self,
        buffer: &'a mut Vec<u8>,
        context: &mut Context,
    ) -> Option<(Piece, &'a [u8])> {
        let piece = self.pieces.all.pop_front()?;
        let length = usize::try_from(piece.end().saturating_sub(self.base)).unwrap_or(0);
        buffer.clear();
        buffer.extend_from_slice(self.bytes().get(..length).unwrap_or(&[]));
        context.let_go(buffer.len());
        self.gone += buffer.len();
        self.base += buffer.len() as u64;
        Some((piece, buffer.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::classify::Versions;
    use super::super::context::DecodingOptions;
    use super::*;

    #[test]
    fn looking_within_a_segment_takes_a_bounded_effort() {
        let expected = Expected {
            versions: Versions::BOTH,
            sender: None,
            may_open: false,
        };
        let mut context = Context::new(DecodingOptions::default());
        let mut held = Held::default();
        // PUBACKs behind a byte that begins nothing: each leads through all that follow.
        let bytes = [&[0], b"\x40\x02\x00\x01".repeat(15_000).as_slice()].concat();
        held.push(
            &mut context,
            &bytes,
            &FrameStamp::default(),
            &Layers::default(),
        );
        let effort = held.seek_within(0, false, expected);
        // The last place may go beyond it once.
        let most = EFFORT_CAP + 16 * bytes.len() + 40 * 15_000;
        assert!(effort > EFFORT_CAP && effort <= most, "{effort} of {most}");
    }
}
