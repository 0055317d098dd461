//! A line put together in a block of fixed size before it joins the text.
//!
//! A row of the table is two dozen short pieces. Appended to a `Vec` each asks for room and
//! writes the new length to memory: 1,070 instructions a row. Here a piece is one copy of a
//! fixed size behind one comparison, and the length stays in a register: 750, most of them
//! for digits.

use super::info::{Sink, WORD};
use super::out::{
    EIGHT_DIGITS, decimal, push_blanks, push_number, push_number_right, right_aligned,
};
use crate::base::scan::any;
use crate::base::text;

/// Octets of the block: several ordinary rows.
pub(super) const BLOCK: usize = 512;

/// The line on its way into `text`.
pub(super) struct Line<'a> {
    block: &'a mut [u8; BLOCK],
    /// Octets of the block that are in use.
    used: usize,
    text: &'a mut Vec<u8>,
    /// Something else than ASCII is in it.
    wide: bool,
}

impl<'a> Line<'a> {
    /// A line that is appended to `text`; `block` is room to work in.
    #[inline(always)]
    pub(super) fn new(block: &'a mut [u8; BLOCK], text: &'a mut Vec<u8>) -> Self {
        Self {
            block,
            used: 0,
            text,
            wide: false,
        }
    }

    /// Appends the first `used` octets of `piece`, at most all.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, piece: &[u8; N], used: usize) {
        let room = self.block.get_mut(self.used..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = *piece;
            self.used += used;
        } else {
            self.whole()
                .extend_from_slice(piece.get(..used).unwrap_or(piece));
        }
    }

    /// Appends octets of any number.
    #[inline(always)]
    pub(super) fn octets(&mut self, octets: &[u8]) {
        match self.block.get_mut(self.used..self.used + octets.len()) {
            Some(room) => {
                room.copy_from_slice(octets);
                self.used += octets.len();
            }
            None => self.whole().extend_from_slice(octets),
        }
    }

    #[inline(always)]
    pub(super) fn blanks(&mut self, count: usize) {
        match count {
            0..=16 => self.put(&[b' '; 16], count),
            17..=64 => self.put(&[b' '; 64], count),
            _ => push_blanks(self.whole(), count),
        }
    }

    /// Appends `number` in decimal, right-aligned in `width` columns.
    #[inline(always)]
    pub(super) fn number_right(&mut self, number: u64, width: usize) {
        if number < EIGHT_DIGITS && width <= 8 {
            let (text, used) = right_aligned(number as u32, width);
            self.put(&text, used);
        } else {
            push_number_right(self.whole(), number, width);
        }
    }

    /// Octets of the text with the line.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.used
    }

    /// Columns that the text takes from its octet `from` on.
    #[inline(always)]
    pub(super) fn width_from(&mut self, from: usize) -> usize {
        if !self.wide {
            return self.len() - from;
        }
        let line = self.whole().get(from..).unwrap_or_default();
        if !any(line, |octet| octet >= 0x80) {
            return line.len();
        }
        std::str::from_utf8(line).map_or(line.len(), text::width)
    }

    /// The text with all there is of the line, for what is too long or too rare for the block.
    /// By the parts and not by the line: a function that is called with the line itself
    /// would keep `used` in memory for all the others.
    #[inline(always)]
    pub(super) fn whole(&mut self) -> &mut Vec<u8> {
        hand_on(self.text, self.block, self.used);
        self.used = 0;
        self.text
    }

    /// The same, for words that may be anything.
    #[inline(always)]
    pub(super) fn any_text(&mut self) -> &mut Vec<u8> {
        self.wide = true;
        self.whole()
    }

    /// Appends octets that are all printable ASCII; `false` where they are not or there is no
    /// room, and nothing was appended.
    #[inline(always)]
    fn plain(&mut self, octets: &[u8]) -> bool {
        const PIECE: usize = 16;
        let printable = |piece: &[u8; PIECE]| {
            (piece.iter()).fold(true, |all, octet| all & matches!(octet, 0x20..=0x7e))
        };
        let Some(room) = self.block.get_mut(self.used..self.used + octets.len()) else {
            return false;
        };
        let mut plain = true;
        if let (Some(last), Some(last_room)) = (octets.last_chunk(), room.last_chunk_mut()) {
            // The last piece overlaps the one before.
            plain &= printable(last);
            *last_room = *last;
            let (pieces, _) = octets.as_chunks();
            let (rooms, _) = room.as_chunks_mut();
            for (room, piece) in rooms.iter_mut().zip(pieces) {
                plain &= printable(piece);
                *room = *piece;
            }
        } else {
            for (room, octet) in room.iter_mut().zip(octets) {
                plain &= matches!(octet, 0x20..=0x7e);
                *room = *octet;
            }
        }
        if plain {
            self.used += octets.len();
        }
        plain
    }
}

#[inline(never)]
fn hand_on(text: &mut Vec<u8>, block: &[u8; BLOCK], used: usize) {
    text.extend_from_slice(block.get(..used).unwrap_or(block));
}

impl Sink for Line<'_> {
    #[inline(always)]
    fn word(&mut self, word: &str) {
        self.wide |= !word.is_ascii();
        self.octets(word.as_bytes());
    }
    #[inline(always)]
    fn padded(&mut self, word: &[u8; WORD], length: usize) {
        self.put(word, length);
    }
    #[inline(always)]
    fn text(&mut self, text: &str) {
        if !self.plain(text.as_bytes()) {
            text::push_safe(self.any_text(), text);
        }
    }
    #[inline(always)]
    fn number(&mut self, number: u64) {
        if number < EIGHT_DIGITS {
            let (text, used) = decimal(number as u32);
            self.put(&text, used);
        } else {
            push_number(self.whole(), number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any as whatever, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    /// What may be appended.
    #[derive(Clone, Debug)]
    enum Piece {
        Text(String),
        Blanks(usize),
        Number(u64),
        Right(u64, usize),
        Padded(usize),
    }

    fn piece() -> impl Strategy<Value = Piece> {
        let number = || prop_oneof![0..200_000u64, whatever::<u64>()];
        prop_oneof![
            "[ -~]{0,40}".prop_map(Piece::Text),
            "[ -~]{400,700}".prop_map(Piece::Text),
            "\\PC{0,9}".prop_map(Piece::Text),
            "[\\x00-\\x7f\u{1b}]{0,20}".prop_map(Piece::Text),
            (0..100usize).prop_map(Piece::Blanks),
            number().prop_map(Piece::Number),
            (number(), 0..12usize).prop_map(|(number, width)| Piece::Right(number, width)),
            (0..=WORD).prop_map(Piece::Padded),
        ]
    }

    proptest! {
        #[test]
        fn a_line_of_any_length_is_what_its_pieces_are_and_as_wide(
            pieces in proptest::collection::vec(piece(), 0..40),
        ) {
            let (mut block, mut text, mut expected) =
                ([0; BLOCK], b"before".to_vec(), String::from("before"));
            let mut line = Line::new(&mut block, &mut text);
            for piece in pieces {
                match piece {
                    Piece::Text(text) => {
                        line.text(&text);
                        expected += &text::safe(&text);
                    }
                    Piece::Blanks(count) => {
                        line.blanks(count);
                        expected += &" ".repeat(count);
                    }
                    Piece::Number(number) => {
                        line.number(number);
                        expected += &number.to_string();
                    }
                    Piece::Right(number, width) => {
                        line.number_right(number, width);
                        expected += &format!("{number:>width$}");
                    }
                    Piece::Padded(length) => {
                        line.padded(&[b'x'; WORD], length);
                        expected += &"x".repeat(length);
                    }
                }
                prop_assert_eq!(line.len(), expected.len());
            }
            prop_assert_eq!(line.width_from(6), text::width(&expected[6..]));
            line.whole();
            prop_assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
