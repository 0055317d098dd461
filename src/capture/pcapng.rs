//! The pcapng format (draft-ietf-opsawg-pcapng): whole blocks, options, and the clocks of
//! interfaces.
//!
//! Blocks are framed in `blocks`; pcap-parser gets slices of one whole block, and none so long
//! that the list of options that it makes (40 bytes for each 4) could matter.

use std::ops::Range;

use pcap_parser::PcapError;
use pcap_parser::pcapng::{
    OptionCode, parse_interfacedescriptionblock_be, parse_interfacedescriptionblock_le,
    parse_option_be, parse_option_le, parse_sectionheaderblock,
};

use super::error::Fault;
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

/// A whole block, as the buffer holds it.
pub(super) struct Block<'b> {
    pub(super) kind: u32,
    pub(super) order: Order,
    /// Where it begins in the buffer.
    pub(super) place: usize,
    pub(super) bytes: &'b [u8],
}

impl Block<'_> {
    /// Returns the place in the buffer of `length` bytes behind the first `head` of the block.
    pub(super) fn range(&self, head: usize, length: usize) -> Range<usize> {
        let start = self.place + head;
        start..start + length
    }

    /// Returns how many bytes there are between a head of `head` bytes and the length at the end.
    #[inline]
    pub(super) fn room(&self, head: usize) -> Result<usize, Fault> {
        let room = self.bytes.len().checked_sub(head + FOOT);
        room.ok_or_else(|| self.corrupt())
    }

    /// Returns the number at an offset.
    pub(super) fn u32(&self, at: usize) -> Result<u32, Fault> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        Ok(self.order.u32(*bytes.ok_or_else(|| self.corrupt())?))
    }

    #[cold]
    pub(super) fn corrupt(&self) -> Fault {
        Fault::CorruptBlock {
            kind: self.kind,
            length: self.bytes.len() as u32,
        }
    }

    #[cold]
    pub(super) fn contradictory(&self, how: &'static str) -> Fault {
        let kind = self.kind;
        Fault::ContradictoryBlock { kind, how }
    }

    /// Major and minor version of a Section Header Block (§4.1).
    pub(super) fn version(&self) -> Result<(u16, u16), Fault> {
        let parsed = parse_sectionheaderblock(self.bytes);
        let (_, section) = parsed.map_err(|_| self.corrupt())?;
        Ok((section.major_version, section.minor_version))
    }

    /// Returns the interface that an Interface Description Block (§4.2) describes.
    pub(super) fn interface(&self) -> Result<Interface, Fault> {
        // The length at the beginning is believed; the crate insists that both agree.
        let body = self.bytes.get(..self.room(0)?).unwrap_or_default();
        let bytes = [body, body.get(4..HEAD).unwrap_or_default()].concat();
        let parsed = match self.order {
            Order::Little => parse_interfacedescriptionblock_le(&bytes),
            Order::Big => parse_interfacedescriptionblock_be(&bytes),
        };
        let (_, described) = parsed.map_err(|_| self.corrupt())?;
        // The crate reads `if_tsoffset`, in seconds, as little-endian always.
        let mut options = described.options.iter();
        let offset = options.find(|option| option.code == OptionCode::IfTsoffset);
        let offset = offset.and_then(|option| option.value().first_chunk());
        let offset = offset.map_or(0, |&bytes| self.order.i64(bytes));
        Ok(Interface {
            link_type: LinkType(described.linktype.0 as u16),
            snaplen: described.snaplen,
            clock: Clock::new(described.if_tsresol, offset),
        })
    }
}

/// The properties of an interface that its packet blocks need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interface {
    pub(super) link_type: LinkType,
    /// 0: no limit.
    pub(super) snaplen: u32,
    pub(super) clock: Clock,
}

/// Splits the first option off a list: its code, its value and the list behind it; `None` at
/// the end of the list, or where an option runs over it.
pub(super) fn option(order: Order, list: &[u8]) -> Option<(OptionCode, &[u8], &[u8])> {
    let parsed = match order {
        Order::Little => parse_option_le::<PcapError<&[u8]>>(list),
        Order::Big => parse_option_be::<PcapError<&[u8]>>(list),
    };
    let (rest, option) = parsed.ok()?;
    if option.code == OptionCode::EndOfOpt {
        return None;
    }
    // The crate's value has the padding, its length has not.
    let value = list.get(4..)?.get(..usize::from(option.len))?;
    Some((option.code, value, rest))
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
        let little = |list| option(Order::Little, list);
        let list = [1, 0, 3, 0, b'a', b'b', b'c', 0, 0, 0, 0, 0];
        let comment = (OptionCode::Comment, &b"abc"[..], &list[8..]);
        assert_eq!(little(&list[..]), Some(comment));
        assert_eq!(little(&list[8..]), None);
        assert_eq!(little(&[1, 0, 9, 0, 1, 2]), None);
        assert_eq!(little(&[1, 0]), None);
        let resolution = (OptionCode::IfTsresol, &[6][..], &[][..]);
        let list = [0, 9, 0, 1, 6, 0, 0, 0];
        assert_eq!(option(Order::Big, &list), Some(resolution));
    }
}
