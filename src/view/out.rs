//! The one large buffer between a view and its writer.

use std::io::{self, Write};

/// Octets after which the buffer goes to the writer. Larger writes gain nothing on a pipe
/// (its own buffer is 64 KiB), smaller ones cost a system call each.
const FULL: usize = 128 * 1024;

/// What the buffer keeps after one giant row; more is given back.
const KEPT: usize = 4 * FULL;

/// Collects whole rows and hands them on when there is enough: no row costs a system call.
#[derive(Debug)]
pub struct Out<W: Write> {
    buffer: Vec<u8>,
    writer: W,
}

impl<W: Write> Out<W> {
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

/// Appends `number` in decimal.
#[inline]
pub fn push_number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Appends `number` in decimal, right-aligned in `width` columns (more where it needs more).
#[inline]
pub fn push_number_right(out: &mut Vec<u8>, number: u64, width: usize) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(number);
    push_blanks(out, width.saturating_sub(digits.len()));
    out.extend_from_slice(digits.as_bytes());
}

/// Appends `count` blanks.
#[inline]
pub fn push_blanks(out: &mut Vec<u8>, count: usize) {
    out.resize(out.len() + count, b' ');
}

/// Appends two lower-case hexadecimal digits an octet.
pub fn push_hex(out: &mut Vec<u8>, octets: &[u8]) {
    // A table of pairs and one reservation: 231 ns a message with its payload, against 469
    // where digits are pushed one by one.
    const BLOCK: usize = 64;
    let mut text = [0; 2 * BLOCK];
    out.reserve(2 * octets.len());
    for block in octets.chunks(BLOCK) {
        let (pairs, _) = text.as_chunks_mut::<2>();
        for (pair, octet) in pairs.iter_mut().zip(block) {
            *pair = HEX[usize::from(*octet)];
        }
        out.extend_from_slice(text.get(..2 * block.len()).unwrap_or_default());
    }
}

/// The two lower-case hexadecimal digits of every octet.
const HEX: [[u8; 2]; 256] = {
    let digits = *b"0123456789abcdef";
    let mut table = [[0; 2]; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = [digits[octet >> 4], digits[octet & 15]];
        octet += 1;
    }
    table
};

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
    fn numbers_and_octets_are_written_as_format_would_write_them() {
        let mut out = Vec::new();
        push_number_right(&mut out, 42, 5);
        push_number_right(&mut out, 123_456, 2);
        push_hex(&mut out, &[0, 0x1f, 0xff]);
        assert_eq!(out, b"   42123456001fff");
        let octets: Vec<u8> = (0..200).collect();
        let mut hex = Vec::new();
        push_hex(&mut hex, &octets);
        let expected: String = octets.iter().map(|o| format!("{o:02x}")).collect();
        assert_eq!(String::from_utf8(hex).unwrap(), expected);
    }
}
