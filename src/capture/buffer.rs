//! One buffer between the source and the parsers: it slides over the capture's bytes.

use std::ops::Range;

use super::codec::{Origin, Unpacked};
use super::error::Fault;
use super::limits::BUFFER;

/// The capture's bytes from a place on, as many as are needed at a time.
///
/// Bytes that were consumed stay readable by [`Buffer::slice`] until more are asked for, so
/// that a frame can be handed out after its record is done with.
pub(super) struct Buffer<'a> {
    source: Unpacked<'a>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `bytes` begins, in bytes from the first of the (uncompressed) capture.
    base: u64,
    ended: bool,
    /// Why the source could not be read further when bytes were looked at ahead.
    failed: Option<Fault>,
}

impl<'a> Buffer<'a> {
    /// Reads nothing yet.
    pub(super) fn new(origin: Origin<'a>) -> Self {
        Self {
            source: Unpacked::new(origin),
            bytes: Vec::new(),
            start: 0,
            end: 0,
            base: 0,
            ended: false,
            failed: None,
        }
    }

    /// Whether `count` bytes are there, after reading as many as needed. `false` where the
    /// capture ends before. The caller bounds `count`.
    #[inline]
    pub(super) fn has(&mut self, count: usize) -> Result<bool, Fault> {
        if self.end - self.start >= count {
            return Ok(true);
        }
        self.fill(count)
    }

    /// Whether `count` bytes are there, as [`has`](Self::has). Where the source cannot be read, the
    /// error waits for the first call that needs what is lacking: what stands before can be read.
    pub(super) fn peeks(&mut self, count: usize) -> bool {
        self.failed.is_none()
            && self.has(count).unwrap_or_else(|fault| {
                self.failed = Some(fault);
                false
            })
    }

    #[cold]
    fn fill(&mut self, count: usize) -> Result<bool, Fault> {
        if let Some(fault) = self.failed.take() {
            return Err(fault);
        }
        if self.ended {
            return Ok(false);
        }
        self.slide(count);
        while self.end < count {
            if self.end == self.bytes.len() {
                // Only as bytes arrive: a length that is a lie costs its sender as much.
                let larger = (self.bytes.len() * 2).max(BUFFER);
                self.bytes.resize(larger.min(count.max(BUFFER)), 0);
            }
            let room = self.bytes.get_mut(self.end..).unwrap_or_default();
            let read = self.source.read(room)?;
            if read == 0 {
                self.ended = true;
                return Ok(false);
            }
            self.end += read;
        }
        Ok(true)
    }

    /// Moves what is left to the front; gives back the room that a large record took.
    fn slide(&mut self, count: usize) {
        let left = self.end - self.start;
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
        }
        if count <= BUFFER {
            self.bytes.truncate(BUFFER);
            self.bytes.shrink_to(BUFFER);
        }
        self.base += self.start as u64;
        self.start = 0;
        self.end = left;
    }

    /// Passes over `count` bytes, which need not be there yet, without holding them.
    pub(super) fn skip(&mut self, count: usize) -> Result<bool, Fault> {
        let mut left = count;
        loop {
            let step = left.min(self.end - self.start);
            self.consume(step);
            left -= step;
            if left == 0 {
                return Ok(true);
            }
            if !self.has(1)? {
                return Ok(false);
            }
        }
    }

    /// Returns the bytes that are there and not consumed.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// Consumes bytes that are there.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
    }

    /// The place in the buffer of the next byte, for [`Buffer::slice`].
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.start
    }

    /// Bytes by their places, valid until more are read.
    #[inline]
    pub(super) fn slice(&self, places: Range<usize>) -> &[u8] {
        self.bytes.get(places).unwrap_or_default()
    }

    /// Where the next byte stands, in bytes from the first of the (uncompressed) capture.
    pub(super) fn offset(&self) -> u64 {
        self.base + self.start as u64
    }

    /// Returns the source, for what it counts.
    pub(super) fn source(&self) -> &Unpacked<'a> {
        &self.source
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_record_grows_the_buffer_as_it_comes_and_the_room_is_given_back() {
        let capture: Vec<u8> = (0..3_000_000_u32).map(|i| (i >> 8) as u8).collect();
        let mut buffer = Buffer::new(Origin::Here(Box::new(&capture[..])));
        assert!(buffer.has(10).unwrap());
        buffer.consume(10);
        assert!(buffer.has(1_000_000).unwrap());
        assert_eq!(buffer.bytes().get(..1_000_000), capture.get(10..1_000_010));
        buffer.consume(1_000_000);
        assert_eq!(buffer.offset(), 1_000_010);
        assert!(buffer.skip(100).unwrap());
        while buffer.has(500).unwrap() {
            assert_eq!(buffer.bytes()[0], capture[buffer.offset() as usize]);
            buffer.consume(500);
        }
        assert_eq!(buffer.bytes.len(), BUFFER);
        assert!(!buffer.has(usize::MAX).unwrap());
        assert!(!buffer.skip(1_000).unwrap());
        assert_eq!(buffer.offset(), 3_000_000);
    }

    #[test]
    fn a_length_that_is_a_lie_reserves_no_memory() {
        let mut buffer = Buffer::new(Origin::Here(Box::new(&b"only this"[..])));
        assert!(!buffer.has(60 << 20).unwrap());
        assert_eq!(buffer.bytes.len(), BUFFER);
        assert_eq!(buffer.bytes(), b"only this");
    }
}
