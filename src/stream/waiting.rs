//! Bytes that came before their turn, kept until the hole in front of them is filled or
//! given up.
//!
//! Pieces never overlap: what is already held stands, a later copy only fills the holes
//! between. Every operation costs at most a step for each byte of the segment that brings
//! it, and a limited number for those that the snapshot length cut from it, so the whole is linear
//! in the input whatever the input is.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::base::{FrameStamp, Layers};

/// The cost of a piece besides its bytes, charged against the caps: its place in the tree
/// (nodes may be half empty) and its allocation.
pub(super) const PIECE_COST: usize = 224;

/// The cost of a direction's first piece besides: the box and the tree's first node.
pub(super) const WAITING_COST: usize = 1536;

/// Bytes in stream order: captured ones, then those that the snapshot length cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    bytes: &'a [u8],
    cut: u32,
}

impl<'a> Span<'a> {
    /// No segment is longer; what a caller brings beyond it is left off, so that lengths
    /// never overflow.
    pub(super) const LIMIT: usize = 1 << 24;

    pub(super) fn new(bytes: &'a [u8], cut: u32) -> Self {
        Self {
            bytes: bytes.get(..Self::LIMIT).unwrap_or(bytes),
            cut: cut.min(Self::LIMIT as u32),
        }
    }

    pub(super) fn len(self) -> u32 {
        self.bytes.len() as u32 + self.cut
    }

    pub(super) fn is_empty(self) -> bool {
        self.len() == 0
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn cut(self) -> u32 {
        self.cut
    }

    /// Bytes of it that were captured.
    pub(super) fn captured(self) -> u64 {
        self.bytes.len() as u64
    }

    /// The first `count` of it, or all.
    pub(super) fn first(self, count: u32) -> Self {
        let bytes = self.bytes.get(..count as usize).unwrap_or(self.bytes);
        let cut = self.cut.min(count - bytes.len() as u32);
        Self { bytes, cut }
    }

    /// All but the first `count` of it.
    pub(super) fn skip(self, count: u32) -> Self {
        let bytes = self.bytes.get(count as usize..).unwrap_or_default();
        let captured = self.bytes.len() - bytes.len();
        let cut = self.cut.saturating_sub(count - captured as u32);
        Self { bytes, cut }
    }
}

/// Bytes that wait, as a [`Span`], and the frame that carried them first.
#[derive(Debug)]
pub(super) struct Piece {
    bytes: Box<[u8]>,
    cut: u32,
    pub(super) stamp: FrameStamp,
    pub(super) layers: Option<Box<Layers>>,
}

impl Piece {
    pub(super) fn span(&self) -> Span<'_> {
        Span::new(&self.bytes, self.cut)
    }

    /// In bytes, as charged against the caps.
    fn cost(&self) -> usize {
        let layers = self.layers.as_ref().map_or(0, |_| size_of::<Layers>());
        PIECE_COST + self.bytes.len() + layers
    }
}

/// The outcome of adding a span.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Added {
    /// Captured bytes that lie on what is held already.
    pub(super) repeated: u64,
    /// Some of those differed from the copy that is held.
    pub(super) conflict: bool,
    /// Bytes that the snapshot length cut were left off: the span lies over too many pieces.
    pub(super) left_off: bool,
}

/// Pieces of one direction by position.
///
/// Positions count bytes from wherever the direction stood when this was made, so that
/// sequence numbers that wrap need no thought here.
#[derive(Debug)]
pub(super) struct Waiting {
    pieces: BTreeMap<u64, Piece>,
    /// Position of the next byte in turn.
    turn: u64,
    /// In bytes, as charged against the caps.
    cost: usize,
    /// The frame that carried FIN before its turn.
    pub(super) fin: Option<FrameStamp>,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            pieces: BTreeMap::new(),
            turn: 0,
            cost: WAITING_COST,
            fin: None,
        }
    }
}

impl Waiting {
    pub(super) fn cost(&self) -> usize {
        self.cost
    }

    /// Captured bytes that wait.
    pub(super) fn bytes(&self) -> u64 {
        let pieces = self.pieces.values();
        pieces.map(|piece| piece.bytes.len() as u64).sum()
    }

    /// Whether no bytes wait; FIN may.
    pub(super) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Bytes from the turn to the first piece.
    pub(super) fn hole(&self) -> Option<u32> {
        let (position, _) = self.pieces.first_key_value()?;
        Some(position.saturating_sub(self.turn) as u32)
    }

    /// Bytes from the turn to behind the last piece.
    pub(super) fn end(&self) -> u32 {
        let last = self.pieces.last_key_value();
        last.map_or(0, |(position, piece)| {
            (position + u64::from(piece.span().len())).saturating_sub(self.turn) as u32
        })
    }

    /// `count` bytes were emitted or given up. They must not reach into the first piece.
    pub(super) fn advance(&mut self, count: u32) {
        self.turn += u64::from(count);
    }

    /// Takes the first piece out if its turn has come.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let first = self.pieces.first_entry()?;
        if *first.key() > self.turn {
            return None;
        }
        let piece = first.remove();
        self.cost -= piece.cost();
        Some(piece)
    }

    /// Adds what of `span` is not held, which begins `ahead` bytes after the turn. Its captured bytes
    /// are all added; those that were cut as far as behind `most` pieces.
    pub(super) fn add(
        &mut self,
        ahead: u32,
        span: Span<'_>,
        most: usize,
        stamp: &FrameStamp,
        layers: &Layers,
    ) -> Added {
        let mut added = Added::default();
        let from = self.turn + u64::from(ahead);
        let end = from + u64::from(span.len());
        let mut at = from;
        if let Some((start, piece)) = self.pieces.range(..=from).next_back() {
            at += u64::from(compare(from, span, *start, piece, &mut added));
        }
        let mut steps = span.bytes.len() + most;
        while at < end {
            if steps == 0 {
                added.left_off = true;
                break;
            }
            steps -= 1;
            let next = self.pieces.range(at..end).next();
            let until = next.map_or(end, |(start, _)| *start);
            let known = next.map_or(0, |(start, piece)| {
                compare(from, span, *start, piece, &mut added)
            });
            let part = span.skip((at - from) as u32).first((until - at) as u32);
            self.hold(at, part, stamp, layers);
            at = until + u64::from(known);
        }
        added
    }

    fn hold(&mut self, at: u64, part: Span<'_>, stamp: &FrameStamp, layers: &Layers) {
        let empty = layers.iter().next().is_none();
        let piece = Piece {
            bytes: part.bytes.into(),
            cut: part.cut,
            stamp: *stamp,
            layers: (!empty).then(|| Box::new(*layers)),
        };
        if !part.is_empty()
            && let Entry::Vacant(place) = self.pieces.entry(at)
        {
            self.cost += piece.cost();
            place.insert(piece);
        }
    }
}

/// Compares the part of `span` (which begins at `from`) that lies on `piece` (which begins at
/// `start`) with it; returns how many bytes that part has.
fn compare(from: u64, span: Span<'_>, start: u64, piece: &Piece, added: &mut Added) -> u32 {
    let held = piece.span();
    let low = from.max(start);
    let high = (from + u64::from(span.len())).min(start + u64::from(held.len()));
    if high <= low {
        return 0;
    }
    let count = (high - low) as u32;
    let again = span.skip((low - from) as u32).first(count).bytes;
    let first = held.skip((low - start) as u32).bytes;
    added.repeated += again.len() as u64;
    added.conflict |= first.iter().zip(again).any(|(first, again)| first != again);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u64) -> FrameStamp {
        FrameStamp {
            number,
            ..FrameStamp::default()
        }
    }

    fn add(waiting: &mut Waiting, ahead: u32, bytes: &[u8], frame: u64) -> Added {
        let span = Span::new(bytes, 0);
        waiting.add(ahead, span, 2, &stamp(frame), &Layers::default())
    }

    fn drain(waiting: &mut Waiting) -> Vec<(u64, Vec<u8>)> {
        let mut out = Vec::new();
        while let Some(piece) = waiting.next() {
            assert_eq!(piece.cut, 0);
            waiting.advance(piece.span().len());
            out.push((piece.stamp.number, piece.bytes.into_vec()));
        }
        out
    }

    #[test]
    fn the_first_copy_stands_and_a_later_one_fills_what_is_between() {
        let mut waiting = Waiting::default();
        assert_eq!(add(&mut waiting, 2, b"cd", 1), Added::default());
        assert_eq!(add(&mut waiting, 6, b"gh", 2), Added::default());
        let added = add(&mut waiting, 0, b"abcdefghij", 3);
        assert_eq!(added.repeated, 4);
        assert!(!added.conflict);
        let seen: Vec<_> = drain(&mut waiting);
        assert_eq!(
            seen,
            [
                (3, b"ab".to_vec()),
                (1, b"cd".to_vec()),
                (3, b"ef".to_vec()),
                (2, b"gh".to_vec()),
                (3, b"ij".to_vec()),
            ]
        );
        assert_eq!(waiting.cost(), WAITING_COST);
    }

    #[test]
    fn a_copy_that_differs_is_a_conflict_and_is_not_taken() {
        let mut waiting = Waiting::default();
        add(&mut waiting, 0, b"abcd", 1);
        let added = add(&mut waiting, 2, b"cX", 2);
        assert_eq!((added.repeated, added.conflict), (2, true));
        assert_eq!(drain(&mut waiting), [(1, b"abcd".to_vec())]);
    }

    #[test]
    fn what_the_snapshot_length_cut_is_held_behind_the_bytes() {
        let mut waiting = Waiting::default();
        let span = Span::new(b"ab", 5);
        waiting.add(3, span, 2, &stamp(1), &Layers::default());
        assert_eq!(waiting.hole(), Some(3));
        waiting.advance(3);
        let piece = waiting.next().unwrap();
        assert_eq!((&*piece.bytes, piece.cut), (&b"ab"[..], 5));
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_cut_span_over_many_pieces_takes_a_limited_number_of_steps() {
        for most in [3, 2] {
            let mut waiting = Waiting::default();
            for at in 0..3 {
                add(&mut waiting, 2 + 2 * at, b"x", 1);
            }
            // Captured bytes over the first piece, and what was cut over the others.
            let span = Span::new(b"ax", 5);
            let added = waiting.add(1, span, most - 1, &stamp(2), &Layers::default());
            assert_eq!(added.left_off, most == 2);
            let held: u32 = waiting
                .pieces
                .values()
                .map(|piece| piece.span().len())
                .sum();
            assert_eq!(held, 4 + most as u32);
            assert_eq!(waiting.hole(), Some(1));
        }
    }

    #[test]
    fn a_span_is_cut_at_either_end_across_its_two_parts() {
        let span = Span::new(b"abc", 4);
        assert_eq!(span.len(), 7);
        assert_eq!(
            (span.first(2).bytes(), span.first(2).cut()),
            (&b"ab"[..], 0)
        );
        assert_eq!(
            (span.first(5).bytes(), span.first(5).cut()),
            (&b"abc"[..], 2)
        );
        assert_eq!((span.skip(2).bytes(), span.skip(2).cut()), (&b"c"[..], 4));
        assert_eq!((span.skip(5).bytes(), span.skip(5).cut()), (&b""[..], 2));
        assert!(span.skip(9).is_empty());
        assert_eq!(span.first(9).len(), 7);
    }
}
