//! A row of JSON put together in place: in the page that goes to the writer.
//!
//! A packet is two dozen short pieces. Appended to a `Vec` each asks for room, and writes the
//! new length to memory for the next one to wait for: 1,700 instructions a packet, beside its
//! topic and payload. Here a piece is one copy of a fixed size behind one comparison, and the
//! length stays in a register: 650.

use std::io::{self, Write};

use super::packet::readable;
use super::writer::{escape_simple, plain, push_escaped, room_for};
use crate::view::info::{Sink, WORD};
use crate::view::out::{EIGHT_DIGITS, decimal, push_number, write_hex};

/// Octets after which a page goes to the writer once its row is complete, as
/// [`Out`](crate::view::out::Out) has it.
const FULL: usize = 128 * 1024;

/// Octets of a page: one row more.
pub(super) const PAGE: usize = FULL + FULL / 4;

/// Octets of a capture that are written at once, at most: what they become in the worst case
/// has room in a page.
const AT_ONCE: usize = 64 * 1024;

/// Collects rows and hands them on when there is enough: no row costs a system call. A row
/// that is longer than a page goes out in pieces.
#[derive(Debug)]
pub(super) struct Page<W> {
    block: Box<[u8; PAGE]>,
    /// Octets of the block that are in use.
    used: usize,
    way: Way<W>,
}

/// Where a page goes.
#[derive(Debug)]
struct Way<W: ?Sized> {
    /// For what is written by other means.
    scratch: Vec<u8>,
    /// Why the writer refused a piece of a row: told at its end.
    refused: Option<io::Error>,
    writer: W,
}

impl<W: Write> Page<W> {
    pub(super) fn new(writer: W) -> Self {
        Self {
            block: Box::new([0; PAGE]),
            used: 0,
            way: Way {
                scratch: Vec::new(),
                refused: None,
                writer,
            },
        }
    }

    /// Begins a row.
    #[inline(always)]
    pub(super) fn row(&mut self) -> Row<'_> {
        Row {
            block: &mut self.block,
            used: self.used,
            end: &mut self.used,
            way: &mut self.way,
        }
    }

    /// Appends what `write` writes.
    pub(super) fn other(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut row = self.row();
        row.other(write);
        row.end();
    }

    /// A row is complete: hands the page on where it is full.
    #[inline]
    pub(super) fn row_done(&mut self) -> io::Result<()> {
        if self.used < FULL && self.way.refused.is_none() {
            return Ok(());
        }
        self.hand_on()
    }

    /// Hands everything on to the writer's other end.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.way.writer.flush()
    }

    #[cold]
    fn hand_on(&mut self) -> io::Result<()> {
        hand_on(&mut self.way, self.block.get(..self.used).unwrap_or(&[]));
        // Emptied on failure too: after a closed pipe nothing is to be written again.
        self.used = 0;
        self.way.refused.take().map_or(Ok(()), Err)
    }
}

#[cold]
#[inline(never)]
fn hand_on(way: &mut Way<dyn Write + '_>, octets: &[u8]) {
    if way.refused.is_none() {
        way.refused = way.writer.write_all(octets).err();
    }
}

/// A row on its way into the page.
///
/// Whatever is given one is inlined: a function that is called with the row itself would keep
/// `used` in memory for all the others.
pub(super) struct Row<'a> {
    block: &'a mut [u8; PAGE],
    /// Octets of the block that are in use.
    used: usize,
    /// Where that is kept once the row is complete.
    end: &'a mut usize,
    way: &'a mut Way<dyn Write + 'a>,
}

impl Row<'_> {
    /// The row is complete.
    #[inline(always)]
    pub(super) fn end(self) {
        *self.end = self.used;
    }

    /// Appends `piece`.
    #[inline(always)]
    pub(super) fn put<const N: usize>(&mut self, piece: &[u8; N]) {
        self.put_first(piece, N);
    }

    /// Appends the first `used` octets of `piece`, at most all.
    #[inline(always)]
    pub(super) fn put_first<const N: usize>(&mut self, piece: &[u8; N], used: usize) {
        self.make_room(N);
        let room = self.block.get_mut(self.used..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = *piece;
            self.used += used;
        }
    }

    /// Makes sure of room for `length` octets, which are at most a page.
    #[inline(always)]
    fn make_room(&mut self, length: usize) {
        if self.used > PAGE.saturating_sub(length) {
            hand_on(self.way, self.block.get(..self.used).unwrap_or(&[]));
            self.used = 0;
        }
    }

    /// Appends octets of any number.
    #[inline(always)]
    pub(super) fn octets(&mut self, octets: &[u8]) {
        for piece in octets.chunks(AT_ONCE) {
            self.make_room(piece.len());
            if let Some(room) = self.block.get_mut(self.used..self.used + piece.len()) {
                room.copy_from_slice(piece);
                self.used += piece.len();
            }
        }
    }

    /// Appends a kept text of dozens of octets. In blocks, the last of which overlaps the one
    /// before: a copy of as many octets as a variable says is a call.
    #[inline(always)]
    pub(super) fn kept(&mut self, text: &[u8]) {
        const KEPT: usize = 32;
        let room = self.block.get_mut(self.used..self.used + text.len());
        if let (Some(room), Some(last)) = (room, text.last_chunk::<KEPT>())
            && let Some(last_room) = room.last_chunk_mut()
        {
            *last_room = *last;
            let (rooms, _) = room.as_chunks_mut();
            let (blocks, _) = text.as_chunks::<KEPT>();
            for (room, block) in rooms.iter_mut().zip(blocks) {
                *room = *block;
            }
            self.used += text.len();
        } else {
            self.octets(text);
        }
    }

    /// Appends what `write` writes: for what is rare.
    #[inline(always)]
    pub(super) fn other(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut scratch = std::mem::take(&mut self.way.scratch);
        scratch.clear();
        write(&mut scratch);
        self.octets(&scratch);
        if scratch.capacity() <= PAGE {
            self.way.scratch = scratch;
        }
    }

    /// Appends two lower-case hexadecimal digits an octet.
    #[inline(always)]
    pub(super) fn hex(&mut self, octets: &[u8]) {
        for piece in octets.chunks(AT_ONCE) {
            self.make_room(2 * piece.len());
            if let Some(room) = self.block.get_mut(self.used..self.used + 2 * piece.len()) {
                write_hex(room, piece);
                self.used += room.len();
            }
        }
    }

    /// Appends the member `text`, after others, where the octets can be read as text.
    #[inline(always)]
    pub(super) fn text_member(&mut self, octets: &[u8]) {
        const KEY: &[u8; 9] = b",\"text\":\"";
        if octets.len() <= AT_ONCE {
            self.make_room(KEY.len() + room_for(octets.len()));
            let before = self.used;
            self.put(KEY);
            let room = self.block.get_mut(self.used..).unwrap_or_default();
            if let Some(used) = escape_simple(room, octets) {
                self.used += used;
                self.put(b"\"");
                return;
            }
            self.used = before;
        }
        if let Some(mut text) = readable(octets) {
            self.put(KEY);
            while !text.is_empty() {
                let cut = text.floor_char_boundary(AT_ONCE);
                let (now, later) = text.split_at_checked(cut).unwrap_or((text, ""));
                self.other(|out| push_escaped(out, now));
                text = later;
            }
            self.put(b"\"");
        }
    }
}

impl Sink for Row<'_> {
    #[inline(always)]
    fn word(&mut self, word: &str) {
        self.octets(word.as_bytes());
    }
    #[inline(always)]
    fn padded(&mut self, word: &[u8; WORD], length: usize) {
        self.put_first(word, length);
    }
    /// As it stands inside a JSON string.
    #[inline(always)]
    fn text(&mut self, text: &str) {
        let octets = text.as_bytes();
        if let Some(room) = self.block.get_mut(self.used..self.used + octets.len())
            && plain(room, octets)
        {
            self.used += octets.len();
        } else {
            self.other(|out| push_escaped(out, text));
        }
    }
    #[inline(always)]
    fn number(&mut self, number: u64) {
        if number < EIGHT_DIGITS {
            let (text, used) = decimal(number as u32);
            self.put_first(&text, used);
        } else {
            self.other(|out| push_number(out, number));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop_assert_eq, prop_oneof, proptest};

    use super::*;
    use crate::view::json::JsonWriter;

    /// What may be appended.
    #[derive(Clone, Debug)]
    enum Piece {
        Fixed(usize),
        Octets(usize),
        Number(u64),
        Text(String),
        Hex(Vec<u8>, usize),
        Member(Vec<u8>, usize),
        End,
    }

    fn piece() -> impl Strategy<Value = Piece> {
        let few = || proptest::collection::vec(any::<u8>(), 0..70);
        // As many as are written at once, and more.
        let times = || prop_oneof![9 => 1..3usize, 1 => 1..4_000usize];
        prop_oneof![
            (0..=24usize).prop_map(Piece::Fixed),
            (0..300_000usize).prop_map(Piece::Octets),
            prop_oneof![0..200_000u64, any::<u64>()].prop_map(Piece::Number),
            "[ -~]{0,70}|\\PC{0,20}".prop_map(Piece::Text),
            (few(), times()).prop_map(|(octets, times)| Piece::Hex(octets, times)),
            (few(), times()).prop_map(|(octets, times)| Piece::Member(octets, times)),
            ("[ -~\\t\\n]{0,70}|\\PC{0,20}", times())
                .prop_map(|(text, times)| Piece::Member(text.into_bytes(), times)),
            proptest::strategy::Just(Piece::End),
        ]
    }

    proptest! {
        #[test]
        fn rows_of_any_length_are_what_their_pieces_are(
            pieces in proptest::collection::vec(piece(), 0..12),
        ) {
            let (mut written, mut expected) = (Vec::new(), Vec::new());
            let mut page = Page::new(&mut written);
            let mut row = page.row();
            for piece in pieces {
                match piece {
                    Piece::Fixed(length) => {
                        row.put_first(&[b'x'; 24], length);
                        expected.resize(expected.len() + length, b'x');
                    }
                    Piece::Octets(length) => {
                        let octets = vec![b'y'; length];
                        row.octets(&octets);
                        expected.extend_from_slice(&octets);
                    }
                    Piece::Number(number) => {
                        row.number(number);
                        expected.extend_from_slice(number.to_string().as_bytes());
                    }
                    Piece::Text(text) => {
                        row.text(&text);
                        push_escaped(&mut expected, &text);
                    }
                    Piece::Hex(octets, times) => {
                        row.hex(&octets.repeat(times));
                        let digits: String = octets.iter().map(|o| format!("{o:02x}")).collect();
                        expected.extend_from_slice(digits.repeat(times).as_bytes());
                    }
                    Piece::Member(octets, times) => {
                        let octets = octets.repeat(times);
                        row.text_member(&octets);
                        if let Some(text) = readable(&octets) {
                            JsonWriter::after_value(&mut expected).string_member("text", text);
                        }
                    }
                    Piece::End => {
                        row.end();
                        page.row_done().unwrap();
                        row = page.row();
                    }
                }
            }
            row.end();
            page.flush().unwrap();
            prop_assert_eq!(written.len(), expected.len());
            prop_assert_eq!(written, expected);
        }
    }

    #[test]
    fn rows_wait_until_the_page_is_full() {
        let mut written = Vec::new();
        let mut page = Page::new(&mut written);
        page.other(|out| out.resize(FULL - 1, b'x'));
        page.row_done().unwrap();
        assert_eq!(page.used, FULL - 1);
        page.other(|out| out.push(b'x'));
        page.row_done().unwrap();
        assert_eq!(page.used, 0);
        drop(page);
        assert_eq!(written.len(), FULL);
    }

    #[test]
    fn a_writer_that_refuses_a_piece_of_a_row_is_told_of_at_its_end() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut page = Page::new(Closed);
        let mut row = page.row();
        row.hex(&[0; PAGE]);
        row.end();
        let refused = page.row_done().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(page.used, 0);
    }
}
