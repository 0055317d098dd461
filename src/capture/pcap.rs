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

/// Frames of one file are not so far from each other, in nanoseconds: ten years.
const YEARS: u64 = 10 * 366 * 86_400 * 1_000_000_000;

/// How the records of a file are laid out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    order: Order,
    /// Nanoseconds in a unit of the fraction of a second.
    unit: u32,
    /// Bytes of the head of a record: 16, or more in the "modified" formats.
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

/// Bytes that a head of a record may have under a magic number, beside those that are usual for
/// it. Both are libpcap patched by A. Kuznetsov: the one that Red Hat 6.1 shipped left the magic
/// number as it was, the one of SuSE 6.3 has more bytes than other "modified" files.
const fn unusual_head(usual: usize) -> usize {
    match usual {
        24 => 28,
        _ => 24,
    }
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
        Some((self.stated(bytes), behind))
    }

    /// The statements of a head's first bytes, which all layouts have.
    #[inline(always)]
    fn stated(&self, head: &[u8; 16]) -> Head {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *head;
        let seconds = i64::from(self.order.u32([a, b, c, d]));
        let fraction = i64::from(self.order.u32([e, f, g, h])) * i64::from(self.unit);
        Head {
            // At most 4.3e18 + 4.3e12: it cannot overflow.
            time: Timestamp::from_nanos(seconds * 1_000_000_000 + fraction),
            captured: self.order.u32([i, j, k, l]),
            length: self.order.u32([m, n, o, p]),
        }
    }

    /// Returns the layout with the head that the records have, found from the first of them, with
    /// which `buffer` begins: the usual one unless the second record stands where only the other
    /// one leads.
    ///
    /// No more is read than the first record unless its first bytes look like an unusual head's
    /// last, so that the first frame of a pipe need not wait for the second.
    #[cold]
    pub(super) fn settled(self, buffer: &mut Buffer<'_>) -> Self {
        let unusual = unusual_head(self.head);
        if self.unit == 1 || !buffer.peeks(unusual) {
            return self;
        }
        let Some(first) = buffer.bytes().first_chunk::<16>().copied() else {
            return self;
        };
        let captured = self.stated(&first).captured as usize;
        let is_possible =
            self.is_plausible(&first, &first) && self.could_be_modified(buffer.bytes());
        // All that the second record's head may need.
        if !is_possible || buffer.peeks(self.head + captured + 16) && self.leads(buffer, &first) {
            return self;
        }
        let other = Self {
            head: unusual,
            ..self
        };
        let is_next = buffer.peeks(unusual + captured + 16) && other.leads(buffer, &first);
        let is_last = buffer.bytes().len() == unusual + captured;
        if is_next || is_last { other } else { self }
    }

    /// Whether the bytes behind the 16 that all heads have may be the rest of a modified head:
    ///
    /// ```text
    /// interface, 4 bytes | Ethernet's protocol, 2 | direction, 1: 0 to 4 | 0 or more bytes
    /// ```
    fn could_be_modified(&self, record: &[u8]) -> bool {
        // Those libpcaps had no cooked captures, whose first bytes look like an interface's number.
        let is_old = matches!(self.link_type.0, 1 | 6 | 9 | 12 | 101);
        let Some([a, b, c, d, _, _, direction, _]) = record.get(16..24).filter(|_| is_old) else {
            return false;
        };
        let interface = self.order.u32([*a, *b, *c, *d]);
        matches!(interface, 1..=0xffff) && *direction <= 4
    }

    /// Whether a record seems to stand behind the one whose head begins with `first`.
    fn leads(&self, buffer: &Buffer<'_>, first: &[u8; 16]) -> bool {
        let captured = self.stated(first).captured as usize;
        let behind = buffer.bytes().get(self.head + captured..);
        let head = behind.and_then(|bytes| bytes.first_chunk());
        head.is_some_and(|head| self.is_plausible(head, first))
    }

    /// Whether `head` seems to be one, in a file whose first one begins with `first`.
    fn is_plausible(&self, head: &[u8; 16], first: &[u8; 16]) -> bool {
        let [_, _, _, _, a, b, c, d, ..] = *head;
        let micros = self.order.u32([a, b, c, d]);
        let head = self.stated(head);
        let since = head.time.since(self.stated(first).time).nanos();
        (1..=self.limit).contains(&head.captured)
            && (head.captured..=self.limit).contains(&head.length)
            && micros < 1_000_000
            && since.unsigned_abs() < YEARS
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
        if head.captured == 0 {
            if begins_file(buffer) {
                return Ok(Piece::AnotherFile);
            }
            // A file that was not written to its end has zeros there. No frame is as empty as that.
            let zeros = |bytes: &[u8]| bytes.iter().all(|byte| *byte == 0);
            if buffer.bytes().get(..self.head).is_some_and(zeros) {
                return Err(Fault::Zeros);
            }
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
