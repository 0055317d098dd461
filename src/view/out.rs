//! The one large buffer between a view and its writer.

use std::fmt;
use std::io::{self, Write};

/// Bytes after which the buffer goes to the writer. Larger writes gain nothing on a pipe
/// (its own buffer is 64 KiB), smaller ones cost a system call each.
const FULL: usize = 128 * 1024;

/// Bytes that the buffer keeps after one giant row; more is given back.
const KEPT: usize = 4 * FULL;

/// Collects whole rows and hands them on when there is enough: no row costs a system call.
#[derive(Debug)]
pub struct Out<W: Write> {
    buffer: Vec<u8>,
    writer: W,
}

impl<W: Write> Out<W> {
    /// Returns an empty buffer in front of `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            buffer: Vec::with_capacity(FULL + FULL / 8),
            writer,
        }
    }

    /// Where rows are appended.
    #[inline]
    pub fn text(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// A row is complete: hands the buffer on where it is full.
    #[inline]
    pub fn row_done(&mut self) -> io::Result<()> {
        if self.buffer.len() < FULL {
            return Ok(());
        }
        self.hand_on()
    }

    /// Hands everything on to the writer's other end.
    pub fn flush(&mut self) -> io::Result<()> {
        self.hand_on()?;
        self.writer.flush()
    }

    #[cold]
    fn hand_on(&mut self) -> io::Result<()> {
        let written = self.writer.write_all(&self.buffer);
        // Emptied on failure too: after a closed pipe nothing is to be written again.
        self.buffer.clear();
        if self.buffer.capacity() > KEPT {
            self.buffer.shrink_to(FULL);
        }
        written
    }
}

/// For rows that are serialized: one that is longer than the buffer goes out in pieces, so that a
/// giant payload costs no copy of itself.
impl<W: Write> Write for Out<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.buffer.len() + bytes.len() > KEPT {
            self.hand_on()?;
        }
        if bytes.len() > KEPT {
            return self.writer.write_all(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Self::flush(self)
    }
}

/// Appends formatted text, where a row is not hot: a buffer takes everything, so nothing can fail.
pub(super) fn put(out: &mut Vec<u8>, text: fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
}

/// Appends pieces of text: what a line that comes with every packet is made of.
pub(super) fn push_all<const N: usize>(out: &mut Vec<u8>, pieces: [&str; N]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
}

/// Appends the first `used` bytes of `block`, at most all.
///
/// A copy of a fixed size and a cut: a few instructions. A copy of as many bytes as a
/// variable holds is a call, and a row has a dozen of them: 1,115 instructions a row with
/// calls, 650 without.
#[inline(always)]
pub fn push_first<const N: usize>(out: &mut Vec<u8>, block: &[u8; N], used: usize) {
    let end = out.len() + used;
    out.extend_from_slice(block);
    out.truncate(end);
}

/// Numbers below this have at most eight digits.
pub(super) const EIGHT_DIGITS: u64 = 100_000_000;

/// The three digits of each number below 1,000, and in the fourth byte how many of them are
/// leading zeros: a number is three digits at once, read and not computed.
const TRIPLES: [[u8; 4]; 1000] = {
    let mut all = [[0; 4]; 1000];
    let mut number = 0;
    while number < all.len() {
        let zeros = (number < 100) as u8 + (number < 10) as u8;
        let [hundreds, tens, ones] = [number / 100, number / 10 % 10, number % 10];
        all[number] = [
            b'0' + hundreds as u8,
            b'0' + tens as u8,
            b'0' + ones as u8,
            zeros,
        ];
        number += 1;
    }
    all
};

/// The last three digits of `number` in the lower three bytes, and how many leading zeros
/// these have.
#[inline(always)]
fn triple(number: u32) -> (u64, usize) {
    let word = u32::from_le_bytes(TRIPLES[number as usize % 1000]);
    (u64::from(word & 0x00ff_ffff), (word >> 24) as usize)
}

/// The last three of a number's digits, and one byte that is not part of them.
#[inline(always)]
pub(super) fn last_three(number: u64) -> [u8; 4] {
    TRIPLES[(number % 1000) as usize]
}

const BLANKS: u64 = u64::from_le_bytes(*b"        ");

/// A number below 10^8 in decimal, and how many bytes of the block that takes; the others
/// are NUL.
#[inline(always)]
pub(super) fn decimal(number: u32) -> ([u8; 8], usize) {
    let (text, used) = digits(number);
    (text.to_le_bytes(), used)
}

/// The same, first digit in the lowest byte.
#[inline(always)]
fn digits(number: u32) -> (u64, usize) {
    let (low, zeros) = triple(number);
    if number < 1000 {
        return (low >> (8 * zeros), 3 - zeros);
    }
    let (middle, zeros) = triple(number / 1000);
    let lower = middle | low << 24;
    if number < 1_000_000 {
        return (lower >> (8 * zeros), 6 - zeros);
    }
    // Below 100, so that one of its three digits is a zero.
    let (high, zeros) = triple(number / 1_000_000);
    let used = 3 - zeros;
    (high >> (8 * zeros) | lower << (8 * used), 6 + used)
}

/// The same, right-aligned in `width` columns, which are at most eight (more where the number
/// needs more).
#[inline(always)]
pub(super) fn right_aligned(number: u32, width: usize) -> ([u8; 8], usize) {
    let (text, used) = digits(number);
    let blanks = width.saturating_sub(used);
    // Eight blanks moved out by eight bytes leave none, and are never asked for: a number
    // has a digit.
    let text = text << (8 * blanks) | BLANKS & ((1 << (8 * blanks)) - 1);
    (text.to_le_bytes(), used + blanks)
}

/// Appends `number` in decimal.
#[inline]
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    if number < 10 {
        out.push(b'0' + number as u8);
    } else if number < EIGHT_DIGITS {
        let (text, used) = decimal(number as u32);
        push_first(out, &text, used);
    } else {
        out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }
}

/// `.` and the six digits of a number of microseconds, which is below 10^6; then one byte
/// that is not part of it.
#[inline(always)]
pub(super) fn micros_text(micros: u32) -> [u8; 8] {
    let ((upper, _), (lower, _)) = (triple(micros / 1000), triple(micros % 1000));
    (u64::from(b'.') | upper << 8 | lower << 32).to_le_bytes()
}

/// Appends `count` blanks.
pub fn push_blanks(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b' ');
}

/// Appends two lower-case hexadecimal digits an byte.
pub fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    let begin = out.len();
    out.resize(begin + 2 * bytes.len(), b'0');
    write_hex(out.get_mut(begin..).unwrap_or_default(), bytes);
}

/// Writes two lower-case hexadecimal digits a byte into `room`, which has place for just those.
pub(super) fn write_hex(room: &mut [u8], bytes: &[u8]) {
    let written = const_hex::encode_to_slice(bytes, room);
    debug_assert!(written.is_ok(), "room for {} bytes", bytes.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_wait_until_the_buffer_is_full_and_none_is_lost() {
        let mut written = Vec::new();
        let mut out = Out::new(&mut written);
        out.text().extend_from_slice(b"one\n");
        out.row_done().unwrap();
        assert_eq!(out.text(), b"one\n");
        out.text().resize(FULL, b'x');
        out.row_done().unwrap();
        assert!(out.text().is_empty());
        out.text().extend_from_slice(b"end");
        out.flush().unwrap();
        assert_eq!(written.len(), FULL + 3);
    }

    #[test]
    fn numbers_and_bytes_are_written_as_format_would_write_them() {
        let mut out = Vec::new();
        push_hex(&mut out, &[0, 0x1f, 0xff]);
        assert_eq!(out, b"001fff");
        for number in [
            0,
            9,
            10,
            99,
            100,
            9_999,
            10_000,
            12_345_678,
            99_999_999,
            100_000_000,
            u64::MAX,
        ] {
            let mut plain = Vec::new();
            push_number(&mut plain, number);
            assert_eq!(String::from_utf8(plain).unwrap(), format!("{number}"));
        }
        for number in 0..10_000 {
            let mut out = Vec::new();
            push_number(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
        for micros in [0, 7, 456_435, 999_999] {
            let text = &micros_text(micros)[..7];
            assert_eq!(text, format!(".{micros:06}").as_bytes());
        }
        let bytes: Vec<u8> = (0..=255).collect();
        for length in (0..100).chain([256]) {
            let bytes = &bytes[256 - length..];
            let mut hex = Vec::new();
            push_hex(&mut hex, bytes);
            let expected: String = bytes.iter().map(|o| format!("{o:02x}")).collect();
            assert_eq!(String::from_utf8(hex).unwrap(), expected);
        }
    }
}
