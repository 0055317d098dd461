//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, options, and the clocks of interfaces.
//!
//! By hand: crates refuse blocks whose two lengths differ, list all options of a packet (61
//! against 51 ns a block without any), and do not know the obsolete Packet Block.

use std::ops::Range;

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

/// Codes of options.
pub(super) mod option {
    pub(in crate::capture) const END: u16 = 0;
    /// In any block.
    pub(in crate::capture) const COMMENT: u16 = 1;
    pub(in crate::capture) const SHB_USERAPPL: u16 = 4;
    pub(in crate::capture) const IF_TSRESOL: u16 = 9;
    pub(in crate::capture) const IF_TSOFFSET: u16 = 14;
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
    pub(super) fn u16(&self, at: usize) -> Result<u16, Fault> {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk);
        Ok(self.order.u16(*bytes.ok_or_else(|| self.corrupt())?))
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

    /// Returns the interface that the block describes (§4.2).
    pub(super) fn interface(&self) -> Result<Interface, Fault> {
        let room = self.room(16)?;
        let (mut resolution, mut offset) = (6, None);
        let mut list = self.bytes.get(16..16 + room).unwrap_or_default();
        while let Some(option) = Options::first(self.order, list) {
            match (option.code, option.padded) {
                (option::IF_TSRESOL, &[value, ..]) => resolution = value,
                (option::IF_TSOFFSET, value) if offset.is_none() => {
                    offset = Some(
                        value
                            .first_chunk()
                            .map_or(0, |&bytes| self.order.i64(bytes)),
                    );
                }
                _ => {}
            }
            list = option.rest;
        }
        Ok(Interface {
            link_type: LinkType(self.u16(8)?),
            snaplen: self.u32(12)?,
            clock: Clock::new(resolution, offset.unwrap_or_default()),
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

/// An option, and the list behind it.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Options<'a> {
    pub(super) code: u16,
    /// Bytes of the value without its padding.
    pub(super) length: usize,
    pub(super) padded: &'a [u8],
    pub(super) rest: &'a [u8],
}

impl<'a> Options<'a> {
    /// Splits the first option off a list; `None` where it runs over the list.
    pub(super) fn first(order: Order, list: &'a [u8]) -> Option<Self> {
        let (&[c0, c1, l0, l1], rest) = list.split_first_chunk()?;
        let length = usize::from(order.u16([l0, l1]));
        let (padded, rest) = rest.split_at_checked(length.next_multiple_of(4))?;
        Some(Self {
            code: order.u16([c0, c1]),
            length,
            padded,
            rest,
        })
    }
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
    fn an_option_is_read_with_its_padding_and_never_past_the_list() {
        let little = |list| Options::first(Order::Little, list);
        let list = [1, 0, 3, 0, b'a', b'b', b'c', 0, 0, 0, 0, 0];
        let option = little(&list[..]).unwrap();
        assert_eq!((option.code, option.length), (1, 3));
        assert_eq!((option.padded, option.rest), (&b"abc\0"[..], &list[8..]));
        assert_eq!(little(&list[8..]).unwrap().code, option::END);
        assert_eq!(little(&[1, 0, 9, 0, 1, 2]), None);
        assert_eq!(little(&[1, 0]), None);
        let big = Options::first(Order::Big, &[0, 9, 0, 1, 6, 0, 0, 0]).unwrap();
        assert_eq!((big.code, big.length, big.padded[0]), (9, 1, 6));
    }
}
