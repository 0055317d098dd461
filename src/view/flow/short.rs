//! The short texts of a diagram's gutter: times, and spans between them.

use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::view::out::{EIGHT_DIGITS, decimal, micros_text};

/// Octets of the block: more than any time or span takes.
pub(super) const ROOM: usize = 32;

/// A text put together in a block of fixed size, from copies of fixed size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Short {
    pub(super) octets: [u8; ROOM],
    /// Octets of the block that are in use.
    pub(super) used: usize,
}

impl Short {
    pub(super) const EMPTY: Self = Self {
        octets: [0; ROOM],
        used: 0,
    };

    /// Appends the first `used` octets of `piece`.
    #[inline(always)]
    fn put<const N: usize>(&mut self, piece: [u8; N], used: usize) {
        let room = self.octets.get_mut(self.used..);
        if let Some(room) = room.and_then(|room| room.first_chunk_mut()) {
            *room = piece;
            self.used += used;
        }
    }

    #[cold]
    fn large(&mut self, number: u64) {
        let mut digits = itoa::Buffer::new();
        for digit in digits.format(number).bytes() {
            self.put([digit], 1);
        }
    }

    /// A text of at most sixteen octets, put together in a register: the ordinary case.
    #[inline(always)]
    fn of(word: Word) -> Self {
        let mut text = Self::EMPTY;
        if let Some(begin) = text.octets.first_chunk_mut() {
            *begin = word.octets.to_le_bytes();
        }
        text.used = word.used as usize;
        text
    }

    /// A span as people read it, with three digits below the unit: `0.106 ms`, `12.000 s`,
    /// `850 ns`; whole nanoseconds below a microsecond.
    #[inline(always)]
    pub(super) fn span(span: Span) -> Self {
        let sign = if span.nanos() < 0 { "-" } else { "" };
        Self::magnitude(sign, span)
    }

    /// The time since the step before: `+0.021 ms`.
    #[inline(always)]
    pub(super) fn after(since: Span) -> Self {
        let sign = if since.nanos() < 0 { "-" } else { "+" };
        Self::magnitude(sign, since)
    }

    #[inline(always)]
    fn magnitude(sign: &'static str, span: Span) -> Self {
        let nanos = span.nanos().unsigned_abs();
        let (whole, below, unit) = match nanos {
            0..=999 => {
                return Self::of(
                    Word::new(sign)
                        .and(decimal(nanos as u32))
                        .and((*b" ns\0\0\0\0\0", 3)),
                );
            }
            1_000..=999_999_999 => (
                nanos / 1_000_000,
                nanos / 1_000 % 1_000,
                (*b" ms\0\0\0\0\0", 3),
            ),
            _ => (
                nanos / 1_000_000_000,
                nanos / 1_000_000 % 1_000,
                (*b" s\0\0\0\0\0\0", 2),
            ),
        };
        let below = thousandths(below as u32);
        if whole < EIGHT_DIGITS {
            return Self::of(
                Word::new(sign)
                    .and(decimal(whole as u32))
                    .and(below)
                    .and(unit),
            );
        }
        let mut text = Self::of(Word::new(sign));
        text.large(whole);
        text.put(below.0, below.1);
        text.put(unit.0, unit.1);
        text
    }

    /// Seconds from `start` on with the capture's own digits; empty where either is not known.
    #[inline(always)]
    pub(super) fn time(stamp: &FrameStamp, start: Option<Timestamp>) -> Self {
        let (Some(time), Some(start)) = (stamp.time, start) else {
            return Self::EMPTY;
        };
        let nanos = time.since(start).nanos();
        let sign = if nanos < 0 { "-" } else { "" };
        let nanos = nanos.unsigned_abs();
        let (seconds, nanos) = (nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32);
        let micros = (micros_text(nanos / 1_000), 7);
        let mut text = if seconds < EIGHT_DIGITS {
            Self::of(Word::new(sign).and(decimal(seconds as u32)).and(micros))
        } else {
            let mut text = Self::of(Word::new(sign));
            text.large(seconds);
            text.put(micros.0, micros.1);
            text
        };
        if stamp.precision == Precision::Nano {
            let (digits, _) = thousandths(nanos % 1_000);
            text.put((u64::from_le_bytes(digits) >> 8).to_le_bytes(), 3);
        }
        text
    }

    pub(super) fn text(&self) -> String {
        let octets = self.octets.get(..self.used).unwrap_or(&self.octets);
        String::from_utf8_lossy(octets).into_owned()
    }
}

/// At most sixteen octets of text, the first in the lowest ones.
#[derive(Clone, Copy)]
struct Word {
    octets: u128,
    used: u32,
}

impl Word {
    /// At most eight octets.
    #[inline(always)]
    fn new(text: &'static str) -> Self {
        let word = Self { octets: 0, used: 0 };
        text.bytes().fold(word, |word, octet| {
            word.and(([octet, 0, 0, 0, 0, 0, 0, 0], 1))
        })
    }

    /// With the first `used` octets of a block behind it; the others are zero.
    #[inline(always)]
    fn and(self, (block, used): ([u8; 8], usize)) -> Self {
        Self {
            octets: self.octets | u128::from(u64::from_le_bytes(block)) << (8 * self.used),
            used: self.used + used as u32,
        }
    }
}

/// `.` and the three digits of a number of thousandths, which is below 1,000.
#[inline(always)]
const fn thousandths(number: u32) -> ([u8; 8], usize) {
    let hundreds = number / 100;
    let rest = number - 100 * hundreds;
    let tens = rest / 10;
    let digits = hundreds | tens << 8 | (rest - 10 * tens) << 16;
    let text = (digits | 0x0030_3030) << 8 | b'.' as u32;
    ((text as u64).to_le_bytes(), 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_suits_it() {
        for (nanos, told) in [
            (0, "0 ns"),
            (850, "850 ns"),
            (1_000, "0.001 ms"),
            (106_000, "0.106 ms"),
            (-58_000, "-0.058 ms"),
            (40_123_456, "40.123 ms"),
            (999_999_999, "999.999 ms"),
            (1_000_000_000, "1.000 s"),
            (61_500_000_000, "61.500 s"),
            (99_999_999_999_999_999, "99999999.999 s"),
            (100_000_000_000_000_000, "100000000.000 s"),
            (i64::MIN, "-9223372036.854 s"),
        ] {
            let span = Span::from_nanos(nanos);
            assert_eq!(Short::span(span).text(), told);
            let after = told.strip_prefix('-').map_or("+", |_| "");
            assert_eq!(Short::after(span).text(), format!("{after}{told}"));
        }
    }

    #[test]
    fn a_time_has_the_digits_of_its_capture() {
        let time = |nanos, precision, start| {
            let stamp = FrameStamp {
                time: Some(Timestamp::from_nanos(nanos)),
                precision,
                ..FrameStamp::default()
            };
            Short::time(&stamp, start).text()
        };
        let start = Some(Timestamp::from_nanos(0));
        assert_eq!(time(1_020_304_567, Precision::Micro, start), "1.020304");
        assert_eq!(time(1_020_304_567, Precision::Nano, start), "1.020304567");
        assert_eq!(time(-5_000, Precision::Micro, start), "-0.000005");
        assert_eq!(
            time(i64::MIN, Precision::Nano, start),
            "-9223372036.854775808"
        );
        assert_eq!(time(i64::MAX, Precision::Micro, start), "9223372036.854775");
        assert_eq!(time(1, Precision::Micro, None), "");
    }
}
