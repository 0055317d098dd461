//! Cuts a stream of bytes into control packets by their fixed headers (MQTT 5.0 §2.1).
//!
//! ```text
//!   byte 1              bytes 2 to 5 at most
//! | type  | flags |   | Remaining Length     |   what it counts: the rest of the packet
//!   7 .. 4  3 .. 0      7 bits a byte, low first; bit 7 set: another byte follows
//! ```
//!
//! [`cut`] and [`fixed_header`] hold nothing; [`Framer`] keeps the one packet that has begun.
//! Memory is taken as bytes arrive, never because a Remaining Length announces them.

use super::rule::{Malformed, Rule};
use super::words::PacketType;

/// The largest Remaining Length that four bytes can hold: 268,435,455 (MQTT 5.0 §1.5.5).
pub const MAX_REMAINING_LENGTH: u32 = 0x0fff_ffff;

/// Bytes of a buffer that [`Framer`] keeps for the next packet; a larger one is freed.
pub const KEPT_BUFFER: usize = 64 << 10;

/// The most bytes of a fixed header.
const MAX_HEADER: usize = 5;

/// Returns how many bytes a variable byte integer needs for `value` (MQTT 5.0 §1.5.5); 5.0
/// forbids more ([MQTT-1.5.5-1]), 3.1 and 3.1.1 have no rule about it.
pub const fn bytes_needed(value: u32) -> usize {
    match value {
        0..=0x7f => 1,
        0x80..=0x3fff => 2,
        0x4000..=0x1f_ffff => 3,
        _ => 4,
    }
}

/// The fixed header of a control packet: its first byte and Remaining Length.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FixedHeader {
    /// The high four bits of the first byte.
    pub packet_type: PacketType,
    /// The low four bits of the first byte.
    pub flags: u8,
    /// In bytes: 2 to 5.
    pub header_len: usize,
    /// Bytes that follow the fixed header.
    pub remaining_length: u32,
}

impl FixedHeader {
    /// Returns how many bytes the whole control packet has.
    pub const fn total_len(&self) -> usize {
        self.header_len + self.remaining_length as usize
    }
}

/// The beginning of a stream's next bytes, as far as they have come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Framed<T> {
    /// It is there.
    Whole(T),
    /// More bytes are needed.
    Partial,
    /// Remaining Length goes on after its fourth byte: the end of the packet is not known.
    Malformed(Malformed),
}

/// A fixed header; partial without its first byte or all of Remaining Length.
pub type Header = Framed<FixedHeader>;

/// A control packet, and the bytes after it.
pub type Cut<'a> = Framed<(RawPacket<'a>, &'a [u8])>;

/// Reads the fixed header at the beginning of `bytes`.
#[inline]
pub fn fixed_header(bytes: &[u8]) -> Header {
    // One or two bytes of Remaining Length, as nearly all packets have and in no order that a
    // branch could foresee: without a branch. A third of the time of framing went there.
    if let [first, low, high, ..] = *bytes {
        let two = low >> 7;
        let high = high & 0_u8.wrapping_sub(two);
        if high < 0x80 {
            return Header::Whole(FixedHeader {
                packet_type: PacketType::of(first),
                flags: first & 0x0f,
                header_len: 2 + usize::from(two),
                remaining_length: u32::from(low & 0x7f) | u32::from(high) << 7,
            });
        }
    }
    any_fixed_header(bytes)
}

/// Reads a fixed header of any length, see [`fixed_header`].
fn any_fixed_header(bytes: &[u8]) -> Header {
    let [first, lengths @ ..] = bytes else {
        return Header::Partial;
    };
    let mut remaining_length = 0;
    for (at, byte) in lengths.iter().take(4).enumerate() {
        remaining_length |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Header::Whole(FixedHeader {
                packet_type: PacketType::of(*first),
                flags: first & 0x0f,
                header_len: at + 2,
                remaining_length,
            });
        }
    }
    if lengths.len() < 4 {
        return Header::Partial;
    }
    Header::Malformed(Malformed {
        rule: Rule::RemainingLengthHasFourOctets,
        offset: 4,
    })
}

/// A control packet cut out of a stream, not yet decoded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RawPacket<'a> {
    /// The whole packet, fixed header included.
    pub bytes: &'a [u8],
    /// Its fixed header.
    pub header: FixedHeader,
}

/// Cuts the first control packet off `bytes`.
#[inline]
pub fn cut(bytes: &[u8]) -> Cut<'_> {
    match fixed_header(bytes) {
        Header::Whole(header) => match bytes.split_at_checked(header.total_len()) {
            Some((bytes, rest)) => Cut::Whole((RawPacket { bytes, header }, rest)),
            None => Cut::Partial,
        },
        Header::Partial => Cut::Partial,
        Header::Malformed(malformed) => Cut::Malformed(malformed),
    }
}

/// A reassembler of control packets from bytes that arrive in any portions.
///
/// It keeps the one packet that has begun, as many of its bytes as have arrived. Limits are the
/// caller's: [`Framer::header`] announces how large the packet becomes.
#[derive(Debug, Default)]
pub struct Framer {
    /// The bytes that came: all of them or, once they are dropped, none.
    bytes: Vec<u8>,
    /// Bytes that came, or were skipped.
    passed: usize,
    /// `None` as long as it is not complete.
    header: Option<FixedHeader>,
}

impl Framer {
    /// Returns the next packet of the stream that goes on with `bytes`, and takes what belongs to
    /// it out of them; `None` where more is needed, all of `bytes` being taken. A packet that
    /// lies whole in `bytes` is not copied.
    ///
    /// # Errors
    /// The end of the packet is not known. The framer must not be used again.
    pub fn next<'a, 'b: 'a>(
        &'a mut self,
        bytes: &mut &'b [u8],
    ) -> Option<Result<RawPacket<'a>, Malformed>> {
        if self.rest() == Some(0) {
            self.clear();
        }
        if self.passed == 0
            && let Cut::Whole((packet, rest)) = cut(bytes)
        {
            *bytes = rest;
            return Some(Ok(packet));
        }
        let growth;
        (growth, *bytes) = self.grow(bytes);
        match (growth, self.header) {
            (Framed::Whole(()), Some(header)) => Some(Ok(RawPacket {
                bytes: &self.bytes,
                header,
            })),
            (Framed::Malformed(malformed), _) => Some(Err(malformed)),
            _ => None,
        }
    }

    /// Adds those of `bytes` that belong to the packet that has begun, or begin one; also returns
    /// what follows them.
    pub fn grow<'a>(&mut self, bytes: &'a [u8]) -> (Framed<()>, &'a [u8]) {
        let mut rest = bytes;
        if self.header.is_none() {
            // As many as the longest fixed header has; those behind the packet go again.
            let known = self.bytes.len();
            let missing = MAX_HEADER.saturating_sub(known);
            self.bytes.extend(bytes.iter().take(missing));
            let read = fixed_header(&self.bytes);
            if let Header::Whole(header) = read {
                self.bytes.truncate(header.total_len());
                self.header = Some(header);
            }
            self.passed = self.bytes.len();
            rest = bytes.get(self.passed - known..).unwrap_or_default();
            if let Header::Malformed(malformed) = read {
                return (Framed::Malformed(malformed), rest);
            }
        }
        let Some(missing) = self.rest() else {
            return (Framed::Partial, rest);
        };
        let (own, after) = rest.split_at_checked(missing).unwrap_or((rest, &[]));
        // Else they were dropped.
        if self.bytes.len() == self.passed {
            self.bytes.extend_from_slice(own);
        }
        self.passed += own.len();
        match own.len() == missing {
            true => (Framed::Whole(()), after),
            false => (Framed::Partial, after),
        }
    }

    /// Drops the bytes that came; what follows is only counted. Before the fixed header is complete,
    /// the packet's end is lost with them.
    pub fn drop_bytes(&mut self) {
        self.bytes = Vec::new();
    }

    /// Counts `length` bytes, which never come, as if they had, and drops the others. `false` where
    /// they are none, or are not known to belong to the packet that has begun.
    pub fn skip(&mut self, length: u64) -> bool {
        match (self.rest(), usize::try_from(length)) {
            (Some(rest), Ok(length)) if (1..=rest).contains(&length) => {
                self.drop_bytes();
                self.passed += length;
                true
            }
            _ => false,
        }
    }

    /// Makes room for the next packet.
    pub fn clear(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        if bytes.capacity() > KEPT_BUFFER {
            bytes = Vec::new();
        }
        *self = Self {
            bytes,
            ..Self::default()
        };
    }

    /// Returns the fixed header of the packet that has begun, once it is complete.
    pub const fn header(&self) -> Option<FixedHeader> {
        self.header
    }

    /// Returns the bytes that are kept of the packet that has begun, or was completed last.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the same where the packet is not complete, else nothing.
    pub fn pending(&self) -> &[u8] {
        match self.rest() {
            Some(0) => &[],
            _ => &self.bytes,
        }
    }

    /// Returns how many bytes of it came or were skipped.
    pub const fn passed(&self) -> usize {
        self.passed
    }

    /// Returns how many bytes it needs, where its length is known.
    pub fn rest(&self) -> Option<usize> {
        Some(self.header?.total_len() - self.passed)
    }

    /// Returns how many bytes fit in its buffer.
    pub fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_split_of_a_stream_yields_the_same_packets() {
        let stream = [0x30, 3, 0, 1, b'a', 0xc0, 0, 0x40, 2, 0, 7];
        for at in 0..=stream.len() {
            let mut framer = Framer::default();
            let mut lengths = Vec::new();
            for mut part in [&stream[..at], &stream[at..]] {
                while let Some(raw) = framer.next(&mut part) {
                    lengths.push(raw.unwrap().bytes.len());
                }
                assert!(part.is_empty());
            }
            assert_eq!(
                (lengths, framer.passed()),
                (vec![5, 2, 4], 0),
                "split at {at}"
            );
        }
    }

    #[test]
    fn byte_by_byte_is_as_good_as_at_once() {
        let mut stream = vec![0x30, 0x81, 0x02, 0, 1, b'a'];
        stream.resize(260, b'x');
        stream.extend([0xd0, 0x00]);
        let mut framer = Framer::default();
        let mut lengths = Vec::new();
        for byte in &stream {
            let raw = framer.next(&mut std::slice::from_ref(byte));
            lengths.extend(raw.map(|raw| raw.unwrap().bytes.len()));
        }
        assert_eq!(lengths, [260, 2]);
    }

    #[test]
    fn short_lengths_are_read_as_any_length_is() {
        for low in 0..=u8::MAX {
            for high in [0, 1, 0x7f, 0x80, 0xff] {
                let bytes = [0x32, low, high, 1];
                for there in 0..bytes.len() {
                    let bytes = &bytes[..there];
                    assert_eq!(fixed_header(bytes), any_fixed_header(bytes));
                }
            }
        }
    }

    #[test]
    fn remaining_length_of_five_bytes_ends_the_stream() {
        let bytes = [0x30, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(fixed_header(&bytes[..4]), Header::Partial);
        let malformed = Malformed {
            rule: Rule::RemainingLengthHasFourOctets,
            offset: 4,
        };
        assert_eq!(cut(&bytes), Cut::Malformed(malformed));
        for at in 0..=bytes.len() {
            let mut framer = Framer::default();
            let (mut before, mut behind) = bytes.split_at(at);
            let broken = Some(Err(malformed));
            let found = framer.next(&mut before) == broken || framer.next(&mut behind) == broken;
            assert!(found, "split at {at}");
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut framer = Framer::default();
        assert_eq!(
            framer.next(&mut &[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1][..]),
            None
        );
        assert!(framer.capacity() < 64);
        assert_eq!(framer.rest(), Some(268_435_453));
    }

    #[test]
    fn a_header_announces_its_packet_before_the_rest_comes() {
        for at in 0..3 {
            let bytes = [0x30, 0x80, 0x01];
            let mut framer = Framer::default();
            for mut part in [&bytes[..at], &bytes[at..]] {
                assert_eq!(framer.next(&mut part), None);
            }
            let announced = framer.header().map(|header| header.total_len());
            assert_eq!(announced, Some(131), "split at {at}");
        }
    }

    #[test]
    fn bytes_that_never_come_are_counted_within_their_packet_alone() {
        let mut framer = Framer::default();
        assert!(!framer.skip(1));
        assert_eq!(framer.grow(&[0x30, 10, 0, 1]), (Framed::Partial, &[][..]));
        assert!(!framer.skip(0) && !framer.skip(9));
        assert!(framer.skip(5));
        assert!(framer.bytes().is_empty());
        let rest = [b'x', b'y', b'z', 0xc0, 0];
        assert_eq!(framer.grow(&rest), (Framed::Whole(()), &rest[3..]));
        assert!(framer.bytes().is_empty());
    }

    #[test]
    fn a_large_buffer_is_freed_once_its_packet_is_complete() {
        let mut packet = vec![0x30, 0xa0, 0x8d, 0x06];
        packet.resize(4 + 100_000, 0);
        let mut framer = Framer::default();
        assert_eq!(framer.next(&mut &packet[..9]), None);
        assert!(
            framer
                .next(&mut &packet[9..])
                .is_some_and(|raw| raw.is_ok())
        );
        assert_eq!(framer.next(&mut &[][..]), None);
        assert_eq!((framer.passed(), framer.capacity()), (0, 0));
    }
}
