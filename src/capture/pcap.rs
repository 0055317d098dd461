//! The pcap format (draft-ietf-opsawg-pcap): its header and the heads of its records.

use pcap_parser::parse_pcap_header;

use super::buffer::Buffer;
use super::error::Fault;
use super::format::Format;
use super::frame::LinkType;
use super::limits::{MAX_FRAME, USUAL_SNAPLEN};
use super::order::Order;
use super::piece::Piece;
use crate::base::{Precision, Timestamp};

/// Bytes of the file's header.
pub(super) const HEADER: usize = 24;

/// How the records of a file are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    order: Order,
    /// Nanoseconds in a unit of the fraction of a second.
    unit: u32,
    /// Bytes of the head of a record: 16, or 24 in the "modified" format.
    pub(super) head: usize,
    pub(super) precision: Precision,
    pub(super) link_type: LinkType,
    /// More captured bytes than this in a record mean damage.
    pub(super) limit: u32,
}

/// The head of a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Head {
    pub(super) time: Timestamp,
    /// Bytes that follow.
    pub(super) captured: u32,
    /// Bytes on the wire.
    pub(super) length: u32,
}

/// Byte order, nanoseconds in a unit, bytes of a record's head.
const fn by_magic(magic: [u8; 4]) -> Option<(Order, u32, usize)> {
    Some(match u32::from_be_bytes(magic) {
        0xa1b2_c3d4 => (Order::Big, 1_000, 16),
        0xd4c3_b2a1 => (Order::Little, 1_000, 16),
        0xa1b2_3c4d => (Order::Big, 1, 16),
        0x4d3c_b2a1 => (Order::Little, 1, 16),
        0xa1b2_cd34 => (Order::Big, 1_000, 24),
        0x34cd_b2a1 => (Order::Little, 1_000, 24),
        _ => return None,
    })
}

/// Whether a file that begins so is a pcap file.
pub(super) const fn is_magic(magic: [u8; 4]) -> bool {
    by_magic(magic).is_some()
}

/// The layout that the header of a file states; `None` where it is none.
pub(super) fn layout(mut header: [u8; HEADER]) -> Option<Result<Layout, Fault>> {
    let (order, unit, head) = by_magic(*header.first_chunk()?)?;
    // The crate does not know the "modified" magic number in big-endian order; all else in
    // the header is the same.
    if let Some(magic) = header.first_chunk_mut() {
        *magic = match order {
            Order::Little => 0xd4c3_b2a1_u32.to_be_bytes(),
            Order::Big => 0xa1b2_c3d4_u32.to_be_bytes(),
        };
    }
    let (_, stated) = parse_pcap_header(&header).ok()?;
    if stated.version_major != 2 {
        return Some(Err(Fault::Version {
            format: Format::Pcap,
            major: stated.version_major,
            minor: stated.version_minor,
        }));
    }
    Some(Ok(Layout {
        order,
        unit,
        head,
        precision: if unit == 1 {
            Precision::Nano
        } else {
            Precision::Micro
        },
        // The upper half states the length of the frame check sequence; IP's own length cuts
        // that off later.
        link_type: LinkType(stated.network.0 as u16),
        limit: stated.snaplen.clamp(USUAL_SNAPLEN, MAX_FRAME),
    }))
}

impl Layout {
    /// The head of the record with which `bytes` begin, and what stands behind it; `None`
    /// where they are too few.
    ///
    /// By hand: the crate's parser wants the whole record before it states how long that is,
    /// and it knows the "modified" format in one order only. The speed is the same.
    #[inline]
    pub(super) fn head<'a>(&self, bytes: &'a [u8]) -> Option<(Head, &'a [u8])> {
        let behind = bytes.get(self.head..)?;
        let bytes: &[u8; 16] = bytes.first_chunk()?;
        let ([seconds, fraction, captured, length], _) = bytes.as_chunks::<4>() else {
            return None;
        };
        let seconds = i64::from(self.order.u32(*seconds));
        let fraction = i64::from(self.order.u32(*fraction)) * i64::from(self.unit);
        let head = Head {
            // At most 4.3e18 + 4.3e12: it cannot overflow.
            time: Timestamp::from_nanos(seconds * 1_000_000_000 + fraction),
            captured: self.order.u32(*captured),
            length: self.order.u32(*length),
        };
        Some((head, behind))
    }

    /// Reads the next record.
    ///
    /// # Errors
    /// The file is cut or damaged here.
    #[inline]
    pub(super) fn next(&self, buffer: &mut Buffer<'_>) -> Result<Piece, Fault> {
        let head = if buffer.has(self.head)? {
            self.head(buffer.bytes())
        } else {
            None
        };
        let Some((head, _)) = head else {
            return if buffer.bytes().is_empty() {
                Ok(Piece::End)
            } else {
                Err(Fault::RecordCut)
            };
        };
        if head.captured > self.limit {
            let (captured, limit) = (head.captured, self.limit);
            return Err(Fault::CorruptRecord { captured, limit });
        }
        if head.captured == 0 && begins_file(buffer) {
            return Ok(Piece::AnotherFile);
        }
        let whole = self.head + head.captured as usize;
        if !buffer.has(whole)? {
            return Err(Fault::RecordCut);
        }
        let start = buffer.place();
        buffer.consume(whole);
        Ok(Piece::Frame {
            time: Some(head.time),
            precision: self.precision,
            length: head.length.max(head.captured),
            link_type: self.link_type,
            place: start + self.head..start + whole,
        })
    }
}

/// Whether the header of another pcap file stands where a record would. Such a header reads as
/// an empty frame of the year 2055 or later.
#[cold]
fn begins_file(buffer: &mut Buffer<'_>) -> bool {
    let magic = buffer.bytes().first_chunk().copied();
    magic.is_some_and(is_magic)
        && matches!(buffer.has(HEADER), Ok(true))
        && buffer.bytes().get(8..16) == Some(&[0; 8])
        && (buffer.bytes().first_chunk().copied())
            .and_then(layout)
            .is_some_and(|layout| layout.is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(magic: u32, order: Order, snaplen: u32) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let two = |n: u16| {
            if order == Order::Big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        let four = |n: u32| {
            if order == Order::Big {
                n.to_be_bytes()
            } else {
                n.to_le_bytes()
            }
        };
        header[..4].copy_from_slice(&four(magic));
        header[4..6].copy_from_slice(&two(2));
        header[6..8].copy_from_slice(&two(4));
        header[16..20].copy_from_slice(&four(snaplen));
        header[20..].copy_from_slice(&four(0xf000_0071));
        header
    }

    #[test]
    fn six_magic_numbers_give_six_layouts() {
        for order in [Order::Little, Order::Big] {
            for (magic, unit, head) in [
                (0xa1b2_c3d4, 1_000, 16),
                (0xa1b2_3c4d, 1, 16),
                (0xa1b2_cd34, 1_000, 24),
            ] {
                let layout = layout(header(magic, order, 0)).unwrap().unwrap();
                assert_eq!(
                    (layout.order, layout.unit, layout.head),
                    (order, unit, head)
                );
                assert_eq!(
                    (layout.link_type, layout.limit),
                    (LinkType(113), USUAL_SNAPLEN)
                );
            }
        }
        assert!(layout([7; HEADER]).is_none());
    }

    #[test]
    fn the_snapshot_length_raises_the_limit_up_to_the_cap() {
        let limit = |snaplen| {
            layout(header(0xa1b2_c3d4, Order::Little, snaplen))
                .unwrap()
                .unwrap()
                .limit
        };
        assert_eq!(
            [limit(96), limit(1 << 20), limit(u32::MAX)],
            [USUAL_SNAPLEN, 1 << 20, MAX_FRAME]
        );
    }

    #[test]
    fn any_head_is_read_without_overflow() {
        let layout = layout(header(0xa1b2_c3d4, Order::Big, 0)).unwrap().unwrap();
        let (head, behind) = layout.head(&[0xff; 18]).unwrap();
        assert!(head.time.nanos() > 4_000_000_000_000_000_000);
        assert_eq!(behind, [0xff; 2]);
        assert_eq!(layout.head(&[0xff; 15]), None);
    }
}
