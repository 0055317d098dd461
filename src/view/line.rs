//! Lines put together in a block of fixed size before they join the text.
//!
//! A row of the table is two dozen short pieces. Appended to a `Vec` each asks for room and
//! writes the new length to memory: 1,070 instructions a row. Here a piece is one copy of a
//! fixed size behind one comparison, and the length stays in a register: 470.

use std::fmt;

use super::info::{Sink, WORD};
use super::out::{EIGHT_DIGITS, decimal, last_three, push_blanks, push_number, put, right_aligned};
use crate::base::scan::{any, copy_where};
use crate::base::text;

/// Bytes of the block: several ordinary rows.
pub(super) const BLOCK: usize = 512;

/// Bytes of the block of [`Lines`]: some thirty ordinary rows.
const LINES: usize = 8 * BLOCK;

/// Lines that join the text together: each for itself is a copy of a length that the
/// compiler does not know, which is a call.
#[derive(Debug)]
pub(super) struct Lines {
    block: Box<[u8; LINES]>,
    /// Bytes of the block that are in use.
    used: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            block: Box::new([0; LINES]),
            used: 0,
        }
    }
}

impl Lines {
    /// Begins a line, which is appended to `text` sooner or later; [`Lines::keep`] ends it.
    #[inline(always)]
    pub(super) fn line<'a>(&'a mut self, text: &'a mut Vec<u8>) -> Line<'a, LINES> {
        Line {
            used: self.used,
            ..Line::new(&mut self.block, text)
        }
    }

    /// Keeps the lines up to the end of the last one, at byte `used` of the block.
    #[inline(always)]
    pub(super) fn keep(&mut self, used: usize, text: &mut Vec<u8>) {
        self.used = used;
        if self.used > LINES - BLOCK {
            self.join(text);
        }
    }

    /// `text` with all lines.
    pub(super) fn join<'a>(&mut self, text: &'a mut Vec<u8>) -> &'a mut Vec<u8> {
        hand_on(text, &*self.block, self.used);
        self.used = 0;
        text
    }
}

/// A line on its way into the text.
pub(super) struct Line<'a, const N: usize = BLOCK> {
    block: &'a mut [u8; N],
    /// Bytes of the block that are in use.
    used: usize,
    text: &'a mut Vec<u8>,
    /// Something else than ASCII is in it.
    wide: bool,
}

impl<'a, const N: usize> Line<'a, N> {
    /// A line that is appended to `text`; `block` is room to work in.
    #[inline(always)]
    pub(super) fn new(block: &'a mut [u8; N], text: &'a mut Vec<u8>) -> Self {
        Self {
            block,
            used: 0,
            text,
            wide: false,
        }
    }

    /// Bytes of the block that are in use.
    #[inline(always)]
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Appends the first `used` bytes of `piece`, at most all.
    #[inline(always)]
    pub(super) fn put<const P: usize>(&mut self, piece: &[u8; P], used: usize) {
        let room = self.block.get_mut(self.used..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = *piece;
            self.used += used;
        } else {
            self.whole()
                .extend_from_slice(piece.get(..used).unwrap_or(piece));
        }
    }

    /// Appends bytes of any number.
    #[inline(always)]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        match self.block.get_mut(self.used..self.used + bytes.len()) {
            Some(room) => {
                room.copy_from_slice(bytes);
                self.used += bytes.len();
            }
            None => self.whole().extend_from_slice(bytes),
        }
    }

    #[inline(always)]
    pub(super) fn blanks(&mut self, count: usize) {
        match count {
            0..=8 => self.put(&[b' '; 8], count),
            9..=64 => self.put(&[b' '; 64], count),
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
            put(self.whole(), format_args!("{number:>width$}"));
        }
    }

    /// The same, for a number that lines have in common: its text is taken from `kept`.
    #[inline(always)]
    pub(super) fn number_kept(&mut self, kept: &mut Kept, number: u64, width: usize) {
        if (kept.number, kept.width) != (number, width) && !kept.renew(number, width) {
            return put(self.whole(), format_args!("{number:>width$}"));
        }
        self.put(&kept.text, kept.used);
    }

    /// The same, for a number that grows from line to line: all but its last three digits
    /// are taken from `kept`.
    #[inline(always)]
    pub(super) fn number_rising(&mut self, kept: &mut Kept, number: u64, width: usize) {
        if number < 1000 || width < 3 {
            return self.number_right(number, width);
        }
        self.number_kept(kept, number / 1000, width - 3);
        self.put(&last_three(number), 3);
    }

    /// Bytes of the text with the line.
    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.text.len() + self.used
    }

    /// Columns that the text takes from its byte `from` on.
    #[inline(always)]
    pub(super) fn width_from(&mut self, from: usize) -> usize {
        if !self.wide {
            return self.len() - from;
        }
        let line = self.whole().get(from..).unwrap_or_default();
        if !any(line, |byte| byte >= 0x80) {
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

    /// Lets `write` go on with the line in a separate value: what is called there keeps `used` in memory
    /// for itself alone.
    #[inline(always)]
    pub(super) fn separately(&mut self, write: impl FnOnce(&mut Line<'_, N>)) {
        let mut line = Line {
            block: self.block,
            used: self.used,
            text: self.text,
            wide: self.wide,
        };
        write(&mut line);
        (self.used, self.wide) = (line.used, line.wide);
    }

    /// Appends bytes that are all printable ASCII; `false` where they are not or there is no
    /// room, and nothing was appended.
    #[inline(always)]
    fn plain(&mut self, bytes: &[u8]) -> bool {
        let room = self.block.get_mut(self.used..self.used + bytes.len());
        let plain =
            room.is_some_and(|room| copy_where(room, bytes, |byte| matches!(byte, 0x20..=0x7e)));
        if plain {
            self.used += bytes.len();
        }
        plain
    }
}

/// The text of a number that the line before had as well.
#[derive(Debug)]
pub(super) struct Kept {
    number: u64,
    width: usize,
    text: [u8; 8],
    used: usize,
}

impl Kept {
    pub(super) const NOTHING: Self = Self {
        number: u64::MAX,
        width: usize::MAX,
        text: [0; 8],
        used: 0,
    };

    /// Makes the text; `false` where it may have more than eight columns, and is not kept.
    #[cold]
    fn renew(&mut self, number: u64, width: usize) -> bool {
        let fits = number < EIGHT_DIGITS && width <= 8;
        if fits {
            let (text, used) = right_aligned(number as u32, width);
            *self = Self {
                number,
                width,
                text,
                used,
            };
        }
        fits
    }
}

#[cold]
fn hand_on(text: &mut Vec<u8>, block: &[u8], used: usize) {
    text.extend_from_slice(block.get(..used).unwrap_or(block));
}

impl<const N: usize> Sink for Line<'_, N> {
    #[inline(always)]
    fn word(&mut self, word: &str) {
        self.wide |= !word.is_ascii();
        self.bytes(word.as_bytes());
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
    fn format(&mut self, text: fmt::Arguments<'_>) {
        let _ = fmt::Write::write_fmt(self, text);
    }
}

/// For text that is safe already.
impl<const N: usize> fmt::Write for Line<'_, N> {
    fn write_str(&mut self, word: &str) -> fmt::Result {
        self.word(word);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any as whatever, prop_assert_eq, prop_oneof, proptest};

    use super::*;

    /// A piece that may be appended.
    #[derive(Clone, Debug)]
    enum Piece {
        Text(String),
        Blanks(usize),
        Number(u64),
        Right(u64, usize),
        Kept(u64, usize),
        Rising(u64, usize),
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
            (0..3u64, 0..12usize).prop_map(|(number, width)| Piece::Kept(number, width)),
            (number(), 0..12usize).prop_map(|(number, width)| Piece::Kept(number, width)),
            (number(), 0..12usize).prop_map(|(number, width)| Piece::Rising(number, width)),
            (0..=WORD).prop_map(Piece::Padded),
        ]
    }

    proptest! {
        #[test]
        fn a_line_of_any_length_is_what_its_pieces_are_and_as_wide(
            pieces in proptest::collection::vec(piece(), 0..40),
        ) {
            let (mut lines, mut text, mut expected) =
                (Lines::default(), b"before".to_vec(), String::from("before"));
            let (mut kept, mut rising) = (Kept::NOTHING, Kept::NOTHING);
            let mut line = lines.line(&mut text);
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
                    Piece::Kept(number, width) => {
                        line.number_kept(&mut kept, number, width);
                        expected += &format!("{number:>width$}");
                    }
                    Piece::Rising(number, width) => {
                        line.number_rising(&mut rising, number, width);
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
            let used = line.used();
            lines.keep(used, &mut text);
            lines.join(&mut text);
            prop_assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }
}
