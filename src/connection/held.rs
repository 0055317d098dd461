//! Bytes of one direction held back until it is known what they are, and the places in
//! them where a packet may begin.

use std::collections::VecDeque;

use crate::base::{FrameStamp, Layers};

use super::candidate::{Candidate, Expected};
use super::classify::could_begin;
use super::context::Context;
use super::pieces::{Piece, Pieces};

/// The effort that looking for packets amid a segment may take whatever its length, in bytes that
/// are read ...
const EFFORT_OF_A_SEGMENT: usize = 4 << 10;

/// ... and the most that it may take in all: what earlier segments left over is kept.
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
    /// The effort that looking for packets may still take: every byte that comes adds to it, so
    /// that the whole is linear in the input.
    effort: usize,
    /// The charge for what it takes beside the bytes.
    charged: usize,
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
        let earned = bytes.len() * context.options.limits.search;
        self.effort = (self.effort + EFFORT_OF_A_SEGMENT + earned).min(EFFORT_CAP);
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
    pub(super) fn seek(&mut self, context: &mut Context, expected: Expected, anywhere: bool) {
        let Some(piece) = self.pieces.all.back() else {
            return;
        };
        let most = context.options.limits.candidates;
        let (at, full) = (piece.at, self.pieces.is_full(piece));
        let leads_here = |candidate: &Candidate| candidate.aligned && candidate.next == at;
        if !self.candidates.iter().any(leads_here) {
            self.consider(Candidate::new(at, true, full, expected), expected, most);
        }
        // A chain that read the whole segment explains it.
        let end = self.end();
        if !anywhere || self.candidates.iter().any(|c| c.aligned && c.next == end) {
            return;
        }
        if !self.seek_within(at, full, expected, most) {
            context.counters.searches_cut += 1;
        }
    }

    /// Looks at every byte behind the place `at`, as far as the effort allows; `false` where it did
    /// not allow all.
    fn seek_within(&mut self, at: u64, full: bool, expected: Expected, most: usize) -> bool {
        let from = usize::try_from(at - self.base).unwrap_or(usize::MAX);
        for offset in from.saturating_add(1)..self.len() {
            let Some(first) = self.bytes().get(offset) else {
                break;
            };
            if !could_begin(*first, expected.versions) {
                continue;
            }
            // Segments can be made in which every place leads through all the others.
            if self.effort == 0 {
                return false;
            }
            let place = self.base + offset as u64;
            self.consider(Candidate::new(place, false, full, expected), expected, most);
        }
        true
    }

    /// Reads on from a place, and keeps it where it leads on.
    fn consider(&mut self, mut candidate: Candidate, expected: Expected, most: usize) {
        let bytes = self.bytes.get(self.gone..).unwrap_or(&[]);
        let alive = candidate.advance(bytes, self.base, &self.pieces, expected);
        self.effort = self.effort.saturating_sub(candidate.effort);
        if !alive {
            return;
        }
        if self.candidates.len() >= most {
            // Room is made at the expense of the weakest place amid a segment.
            let weakest = (self.candidates.iter().enumerate())
                .filter(|(_, other)| !other.aligned)
                .min_by_key(|(_, other)| other.score)
                .filter(|(_, other)| candidate.aligned || candidate.score > other.score);
            let Some((at, _)) = weakest else {
                return;
            };
            self.candidates.remove(at);
        }
        self.candidates.push(candidate);
    }

    /// Charges what it takes beside its bytes; memory of what is no longer held is given back.
    pub(super) fn charge(&mut self, context: &mut Context) {
        if self.is_empty() {
            (self.bytes, self.gone) = (Vec::new(), 0);
            self.pieces.all = VecDeque::new();
            self.candidates = Vec::new();
        }
        let candidates = self.candidates.iter().map(Candidate::heap).sum::<usize>()
            + self.candidates.capacity() * size_of::<Candidate>();
        let now = (self.bytes.capacity() - self.len()) + self.pieces.takes() + candidates;
        context.charge(std::mem::replace(&mut self.charged, now), now);
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
        if self.is_empty() {
            self.charge(context);
        }
        Some((piece, buffer.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::classify::Versions;
    use super::super::context::DecodingOptions;
    use super::*;

    /// PUBACKs behind a byte that begins nothing: each leads through all that follow.
    fn crowded(context: &mut Context) -> Held {
        let mut held = Held::default();
        let bytes = [&[0], b"\x40\x02\x00\x01".repeat(15_000).as_slice()].concat();
        held.push(context, &bytes, &FrameStamp::default(), &Layers::default());
        held
    }

    const EXPECTED: Expected = Expected {
        versions: Versions::BOTH,
        sender: None,
        may_open: false,
    };

    #[test]
    fn looking_within_a_segment_takes_no_more_effort_than_its_bytes_bring() {
        let mut context = Context::new(DecodingOptions::default());
        let mut held = crowded(&mut context);
        let before = held.effort;
        assert_eq!(before, EFFORT_CAP);
        held.seek(&mut context, EXPECTED, true);
        // The last place may go beyond it once.
        assert_eq!((held.effort, context.counters.searches_cut), (0, 1));
        // What a segment brings is little where the search was cut.
        let length = 10 * context.options.limits.search;
        held.push(
            &mut context,
            &[0; 10],
            &FrameStamp::default(),
            &Layers::default(),
        );
        assert_eq!(held.effort, EFFORT_OF_A_SEGMENT + length);
    }

    #[test]
    fn candidates_have_a_limit_and_the_one_with_least_evidence_goes() {
        let mut context = Context::new(DecodingOptions::default());
        context.options.limits.candidates = 3;
        let mut held = Held::default();
        // Large packets of which little is there, and whole ones behind them.
        let bytes = [
            &[0],
            b"\x30\x7f\x00\x01a".repeat(5).as_slice(),
            b"\x30\x09\x00\x04a/bc123",
        ]
        .concat();
        held.push(
            &mut context,
            &bytes,
            &FrameStamp::default(),
            &Layers::default(),
        );
        held.seek(&mut context, EXPECTED, true);
        assert_eq!(held.candidates.len(), 3);
        assert!(held.candidates.iter().any(|candidate| candidate.score > 0));
    }

    #[test]
    fn what_is_held_is_charged_with_what_it_takes_and_nothing_once_it_is_gone() {
        let mut context = Context::new(DecodingOptions::default());
        context.options.layers = true;
        let mut held = Held::default();
        for _ in 0..1000 {
            held.push(
                &mut context,
                &[0x30],
                &FrameStamp::default(),
                &Layers::default(),
            );
        }
        held.charge(&mut context);
        let each = (size_of::<Piece>() + size_of::<Layers>()) as u64;
        let least = 1000 * (1 + each);
        assert!((least..2 * least).contains(&context.held()), "{least}");
        let end = held.end();
        held.drop_before(&mut context, end);
        held.charge(&mut context);
        assert_eq!(context.held(), 0);
    }
}
