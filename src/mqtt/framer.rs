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
pub const KEPT_BUFFER: usize = 16 * 1024;

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

/// The result of reading a fixed header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Header {
    /// The fixed header is there.
    Whole(FixedHeader),
    /// More bytes are needed: the first byte or a part of Remaining Length is missing.
    Partial,
    /// Remaining Length goes on after its fourth byte: the end of the packet is not known.
    Malformed(Malformed),
}

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
    /// Bytes of the fixed header: 2 to 5.
    pub header_len: usize,
}

/// The result of cutting the first packet off some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut<'a> {
    /// The first packet is complete.
    Whole {
        /// The packet.
        packet: RawPacket<'a>,
        /// The bytes after it.
        rest: &'a [u8],
    },
    /// The packet is not complete.
    Needs {
        /// Bytes that are still missing; `None` where Remaining Length itself is cut.
        more: Option<usize>,
    },
    /// The end of the packet is not known.
    Malformed(Malformed),
}

/// Cuts the first control packet off `bytes`.
#[inline]
pub fn cut(bytes: &[u8]) -> Cut<'_> {
    match fixed_header(bytes) {
        Header::Whole(header) => match bytes.split_at_checked(header.total_len()) {
            Some((packet, rest)) => Cut::Whole {
                packet: RawPacket {
                    bytes: packet,
                    header_len: header.header_len,
                },
                rest,
            },
            None => Cut::Needs {
                more: Some(header.total_len() - bytes.len()),
            },
        },
        Header::Partial => Cut::Needs { more: None },
        Header::Malformed(malformed) => Cut::Malformed(malformed),
    }
}

/// The reason why a stream can't be cut any further.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Uncut {
    /// Remaining Length has more than four bytes.
    Malformed(Malformed),
    /// A packet announces more bytes than the limit.
    TooLarge {
        /// The packet's type.
        packet_type: PacketType,
        /// Bytes of the whole packet as announced.
        announced: usize,
    },
}

/// A reassembler of control packets from bytes that arrive in any portions.
///
/// It keeps at most the packet that has started, so at most `limit` bytes, and only as many of
/// them as have arrived.
#[derive(Debug)]
pub struct Framer {
    /// The packet that has begun; never a whole one.
    pending: Vec<u8>,
    limit: usize,
}

impl Default for Framer {
    /// Without a limit other than the protocol's own.
    fn default() -> Self {
        Self::new(MAX_REMAINING_LENGTH as usize + 5)
    }
}

impl Framer {
    /// Makes a framer that accepts packets of at most `limit` bytes, fixed header included.
    pub const fn new(limit: usize) -> Self {
        Self {
            pending: Vec::new(),
            limit,
        }
    }

    /// Returns the bytes of the packet that has started.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    /// Takes the next bytes of the stream and hands each packet that they complete to
    /// `each`. A packet that lies whole in `bytes` is not copied.
    ///
    /// # Errors
    /// The stream can't be cut any further; packets before that place were handed over. The
    /// framer must not be used again.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(RawPacket<'_>)) -> Result<(), Uncut> {
        let mut bytes = bytes;
        while !self.pending.is_empty() {
            let Some(missing) = self.missing()? else {
                return self.held(bytes);
            };
            let (part, rest) = bytes.split_at(missing.min(bytes.len()));
            self.pending.extend_from_slice(part);
            bytes = rest;
            if let Cut::Whole { packet, .. } = cut(&self.pending) {
                each(packet);
                self.clear();
            } else if bytes.is_empty() {
                self.missing()?;
                return Ok(());
            }
        }
        loop {
            match cut(bytes) {
                Cut::Whole { packet, rest } => {
                    self.within_limit(bytes)?;
                    each(packet);
                    bytes = rest;
                }
                Cut::Needs { .. } => {
                    self.within_limit(bytes)?;
                    return self.held(bytes);
                }
                Cut::Malformed(malformed) => return Err(Uncut::Malformed(malformed)),
            }
        }
    }

    /// Returns how many bytes the pending packet needs next: one where Remaining Length is cut.
    fn missing(&self) -> Result<Option<usize>, Uncut> {
        self.within_limit(&self.pending)?;
        match cut(&self.pending) {
            Cut::Whole { .. } => Ok(None),
            Cut::Needs { more } => Ok(Some(more.unwrap_or(1))),
            Cut::Malformed(malformed) => Err(Uncut::Malformed(malformed)),
        }
    }

    /// Fails where a header, whole or not, announces more than the limit.
    fn within_limit(&self, bytes: &[u8]) -> Result<(), Uncut> {
        match fixed_header(bytes) {
            Header::Whole(header) if header.total_len() > self.limit => Err(Uncut::TooLarge {
                packet_type: header.packet_type,
                announced: header.total_len(),
            }),
            _ => Ok(()),
        }
    }

    fn held(&mut self, bytes: &[u8]) -> Result<(), Uncut> {
        self.pending.extend_from_slice(bytes);
        Ok(())
    }

    fn clear(&mut self) {
        if self.pending.capacity() > KEPT_BUFFER {
            self.pending = Vec::new();
        } else {
            self.pending.clear();
        }
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
            for part in [&stream[..at], &stream[at..]] {
                framer
                    .push(part, |raw| lengths.push(raw.bytes.len()))
                    .unwrap();
            }
            assert_eq!(
                (lengths, framer.pending().len()),
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
            framer
                .push(&[*byte], |raw| lengths.push(raw.bytes.len()))
                .unwrap();
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
            let first = framer.push(&bytes[..at], |_| panic!("no packet"));
            let both = first.and_then(|()| framer.push(&bytes[at..], |_| panic!("no packet")));
            assert_eq!(both, Err(Uncut::Malformed(malformed)), "split at {at}");
        }
    }

    #[test]
    fn an_announced_length_takes_no_memory() {
        let mut framer = Framer::default();
        framer
            .push(&[0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1], |_| {
                panic!("no packet")
            })
            .unwrap();
        assert!(framer.pending.capacity() < 64);
        assert_eq!(
            cut(framer.pending()),
            Cut::Needs {
                more: Some(268_435_453)
            }
        );
    }

    #[test]
    fn a_packet_above_the_limit_is_refused_by_its_header_alone() {
        for at in 0..3 {
            let bytes = [0x30, 0x80, 0x01];
            let mut framer = Framer::new(100);
            let first = framer.push(&bytes[..at], |_| panic!("no packet"));
            let both = first.and_then(|()| framer.push(&bytes[at..], |_| panic!("no packet")));
            assert_eq!(
                both,
                Err(Uncut::TooLarge {
                    packet_type: PacketType::Publish,
                    announced: 131
                })
            );
        }
    }

    #[test]
    fn a_large_buffer_is_freed_once_its_packet_is_complete() {
        let mut packet = vec![0x30, 0xa0, 0x8d, 0x06];
        packet.resize(4 + 100_000, 0);
        let mut framer = Framer::default();
        framer.push(&packet[..9], |_| panic!("no packet")).unwrap();
        let mut reported = 0;
        framer.push(&packet[9..], |_| reported += 1).unwrap();
        assert_eq!((reported, framer.pending.capacity()), (1, 0));
    }
}
