//! The pcapng format (draft-ietf-opsawg-pcapng): heads of blocks, interfaces, the heads of
//! the three kinds of packet blocks.
//!
//! Blocks are framed here; pcap-parser gets slices of one whole block, and none so long that
//! the list of options that it makes (40 bytes for each 4) could matter.

use pcap_parser::PcapError;
use pcap_parser::pcapng::{
    InterfaceDescriptionBlock, OptionCode, parse_interfacedescriptionblock_be,
    parse_interfacedescriptionblock_le, parse_option_be, parse_option_le, parse_sectionheaderblock,
    parse_simplepacketblock_be, parse_simplepacketblock_le,
};

use super::frame::LinkType;
use super::order::Order;
use crate::base::{Precision, Timestamp};

/// Block types.
pub(super) mod block {
    pub(in crate::capture) const SECTION: u32 = 0x0a0d_0d0a;
    pub(in crate::capture) const INTERFACE: u32 = 1;
    pub(in crate::capture) const OLD_PACKET: u32 = 2;
    pub(in crate::capture) const SIMPLE_PACKET: u32 = 3;
    pub(in crate::capture) const ENHANCED_PACKET: u32 = 6;
    pub(in crate::capture) const SECRETS: u32 = 10;
}

/// Bytes of the head of a block (type, length) and of its end (length again).
pub(super) const HEAD: usize = 8;
pub(super) const FOOT: usize = 4;

/// Bytes of the head of an Enhanced Packet Block and of the old Packet Block.
pub(super) const PACKET_HEAD: usize = 28;

/// One section: everything in it is in one byte order, and interfaces start over.
#[derive(Debug, Default)]
pub(super) struct Section {
    pub(super) order: Order,
    pub(super) interfaces: Vec<Interface>,
}

/// The properties of an interface that its packet blocks need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    pub(super) link_type: LinkType,
    /// 0: no limit.
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
}

/// The byte order that the bytes after a section header's length state.
pub(super) fn section_order(magic: [u8; 4]) -> Option<Order> {
    match u32::from_le_bytes(magic) {
        0x1a2b_3c4d => Some(Order::Little),
        0x4d3c_2b1a => Some(Order::Big),
        _ => None,
    }
}

/// Major and minor version of a whole section header block.
pub(super) fn section_version(bytes: &[u8]) -> Option<(u16, u16)> {
    let (_, header) = parse_sectionheaderblock(bytes).ok()?;
    Some((header.major_version, header.minor_version))
}

impl Section {
    /// Type and total length of the block with which `bytes` begin.
    #[inline]
    pub(super) fn block_head(&self, bytes: &[u8]) -> Option<(u32, u32)> {
        let bytes: &[u8; HEAD] = bytes.first_chunk()?;
        let ([kind, length], _) = bytes.as_chunks::<4>() else {
            return None;
        };
        Some((self.order.u32(*kind), self.order.u32(*length)))
    }

    /// Adds the interface that a whole block describes; `false` where it cannot be read.
    pub(super) fn describe(&mut self, bytes: &[u8]) -> bool {
        let parsed = match self.order {
            Order::Little => parse_interfacedescriptionblock_le(bytes),
            Order::Big => parse_interfacedescriptionblock_be(bytes),
        };
        let Ok((_, described)) = parsed else {
            return false;
        };
        self.interfaces.push(Interface {
            link_type: LinkType(described.linktype.0 as u16),
            snaplen: described.snaplen,
            clock: Clock::new(described.if_tsresol, time_offset(&described, self.order)),
        });
        true
    }

    /// Bytes on the wire that a whole Simple Packet Block states.
    pub(super) fn simple_length(&self, bytes: &[u8]) -> Option<u32> {
        let parsed = match self.order {
            Order::Little => parse_simplepacketblock_le(bytes),
            Order::Big => parse_simplepacketblock_be(bytes),
        };
        parsed.ok().map(|(_, simple)| simple.origlen)
    }

    /// The head of the Enhanced Packet Block (§4.3), or of the obsolete Packet Block (§A),
    /// with which `bytes` begin.
    ///
    /// By hand: the crate makes a list of a packet's options, ten times their size, takes 61
    /// against 51 ns a block (100 MB in memory, without options), and it does not know the
    /// obsolete block.
    #[inline]
    pub(super) fn packet_head(&self, kind: u32, bytes: &[u8]) -> Option<PacketHead> {
        let bytes: &[u8; PACKET_HEAD] = bytes.first_chunk()?;
        let ([_, _, interface, high, low, captured, length], _) = bytes.as_chunks::<4>() else {
            return None;
        };
        let [a, b, ..] = *interface;
        let interface = if kind == block::OLD_PACKET {
            // Two bytes of interface, two of a count of drops.
            u32::from(self.order.u16([a, b]))
        } else {
            self.order.u32(*interface)
        };
        Some(PacketHead {
            interface,
            ticks: u64::from(self.order.u32(*high)) << 32 | u64::from(self.order.u32(*low)),
            captured: self.order.u32(*captured),
            length: self.order.u32(*length),
        })
    }

    /// The first option of a list: its code, its value and the bytes that the option takes;
    /// `None` at the end of the list, or where an option runs over it.
    pub(super) fn option<'a>(&self, bytes: &'a [u8]) -> Option<(u16, &'a [u8], usize)> {
        let parsed = match self.order {
            Order::Little => parse_option_le::<PcapError<&[u8]>>(bytes),
            Order::Big => parse_option_be::<PcapError<&[u8]>>(bytes),
        };
        let (rest, option) = parsed.ok()?;
        if option.code == OptionCode::EndOfOpt {
            return None;
        }
        // `value` has the padding, `len` has not.
        let value = bytes.get(4..)?.get(..usize::from(option.len))?;
        Some((option.code.0, value, bytes.len() - rest.len()))
    }
}

/// The option code of a comment, in any block.
pub(super) const COMMENT: u16 = 1;

/// `if_tsoffset` in seconds. The crate reads it as little-endian always.
fn time_offset(described: &InterfaceDescriptionBlock<'_>, order: Order) -> i64 {
    described
        .options
        .iter()
        .find(|option| option.code == OptionCode::IfTsoffset)
        .and_then(|option| option.value().first_chunk().copied())
        .map_or(0, |bytes| order.i64(bytes))
}

/// The head of a packet block.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct PacketHead {
    pub(super) interface: u32,
    /// In the interface's own units.
    pub(super) ticks: u64,
    pub(super) captured: u32,
    pub(super) length: u32,
}

/// How the ticks of an interface become nanoseconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Clock {
    scale: Scale,
    /// To be added, in nanoseconds.
    offset: i64,
    pub(super) precision: Precision,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scale {
    /// Nanoseconds in a tick.
    Times(u64),
    /// Ticks in a nanosecond.
    Per(u64),
    /// A tick is two to the minus so many seconds.
    Binary(u8),
    /// A tick is less than 10 to the minus 28 seconds: no count of them is a nanosecond.
    Nothing,
}

impl Clock {
    /// From `if_tsresol` (its highest bit means a power of two) and `if_tsoffset` in seconds.
    fn new(resolution: u8, offset: i64) -> Self {
        let exponent = resolution & 0x7f;
        let (scale, precision) = if resolution & 0x80 != 0 {
            // 2^-19 s is longer than a microsecond, 2^-20 s is shorter.
            (Scale::Binary(exponent), exponent > 19)
        } else {
            let times = |power: u8| 10_u64.checked_pow(u32::from(power));
            let scale = match exponent {
                0..=9 => times(9 - exponent).map(Scale::Times),
                _ => times(exponent - 9).map(Scale::Per),
            };
            (scale.unwrap_or(Scale::Nothing), exponent > 6)
        };
        Self {
            scale,
            offset: offset.saturating_mul(1_000_000_000),
            precision: if precision {
                Precision::Nano
            } else {
                Precision::Micro
            },
        }
    }

    /// The instant that `ticks` stand for, cut to nanoseconds, saturating.
    #[inline]
    pub(super) fn time(&self, ticks: u64) -> Timestamp {
        let nanos = match self.scale {
            Scale::Times(nanos) => ticks.saturating_mul(nanos),
            Scale::Per(ticks_per_nano) => ticks / ticks_per_nano.max(1),
            // At most 64 + 30 bits, and the shift is below 128.
            Scale::Binary(exponent) => {
                let nanos = (u128::from(ticks) * 1_000_000_000) >> exponent;
                u64::try_from(nanos).unwrap_or(u64::MAX)
            }
            Scale::Nothing => 0,
        };
        let nanos = i64::try_from(nanos).unwrap_or(i64::MAX);
        Timestamp::from_nanos(nanos.saturating_add(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nanos(resolution: u8, offset: i64, ticks: u64) -> i64 {
        Clock::new(resolution, offset).time(ticks).nanos()
    }

    #[test]
    fn ticks_of_any_resolution_become_nanoseconds() {
        assert_eq!(nanos(0, 0, 7), 7_000_000_000);
        assert_eq!(
            nanos(6, 0, 1_340_954_905_298_858),
            1_340_954_905_298_858_000
        );
        assert_eq!(nanos(9, 0, 5), 5);
        assert_eq!(nanos(12, 0, 5_999), 5);
        assert_eq!(nanos(28, 0, u64::MAX), 1);
        assert_eq!(nanos(29, 0, u64::MAX), 0);
        assert_eq!(nanos(0x7f, 0, u64::MAX), 0);
        assert_eq!(nanos(0x80 | 10, 0, 1_025), 1_000_976_562);
        assert_eq!(nanos(0x80 | 32, 0, 1 << 32), 1_000_000_000);
        assert_eq!(nanos(0xff, 0, u64::MAX), 0);
        assert_eq!(nanos(0x80, 0, 3), 3_000_000_000);
    }

    #[test]
    fn offsets_are_added_and_saturate() {
        assert_eq!(nanos(3, 1_000, 1), 1_000_001_000_000);
        assert_eq!(nanos(3, -1, 1), -999_000_000);
        assert_eq!(nanos(0, i64::MAX, u64::MAX), i64::MAX);
        assert_eq!(nanos(0, i64::MIN, 0), i64::MIN);
    }

    #[test]
    fn the_precision_is_nano_only_where_the_clock_is_finer_than_a_microsecond() {
        let precision = |resolution| Clock::new(resolution, 0).precision;
        for resolution in [0, 3, 6, 0x80 | 10, 0x80 | 19] {
            assert_eq!(precision(resolution), Precision::Micro);
        }
        for resolution in [7, 9, 12, 0x80 | 20, 0x80 | 63] {
            assert_eq!(precision(resolution), Precision::Nano);
        }
    }

    #[test]
    fn an_option_is_read_without_its_padding_and_never_past_the_list() {
        let little = Section::default();
        let list = [1, 0, 3, 0, b'a', b'b', b'c', 0, 0, 0, 0, 0];
        assert_eq!(little.option(&list), Some((1, &b"abc"[..], 8)));
        assert_eq!(little.option(&list[8..]), None);
        assert_eq!(little.option(&[1, 0, 9, 0, 1, 2]), None);
        assert_eq!(little.option(&[1, 0]), None);
        let big = Section {
            order: Order::Big,
            interfaces: Vec::new(),
        };
        assert_eq!(
            big.option(&[0, 9, 0, 1, 6, 0, 0, 0]),
            Some((9, &[6][..], 8))
        );
    }
}
