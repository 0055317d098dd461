//! The time column, in tshark's ways.

use std::io::Write;

use chrono::{DateTime, Local};

use super::out::{last_three, micros_text, push_first, push_number};
use crate::base::{FrameStamp, Precision, Span, Timestamp};

/// The form of the time column, with tshark's letters for `-t`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TimeFormat {
    /// `r`: seconds since the first frame of the run.
    #[default]
    Relative,
    /// `a`: local time of day.
    Absolute,
    /// `ad`: local date and time of day.
    AbsoluteDate,
    /// `d`: seconds since the frame before, shown or not.
    Delta,
    /// `dd`: seconds since the row before.
    DeltaDisplayed,
    /// `e`: seconds since the Unix epoch.
    Epoch,
    /// `u`: UTC time of day.
    Utc,
    /// `ud`: UTC date and time of day.
    UtcDate,
}

impl TimeFormat {
    /// Returns whether times are those of the machine's zone.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Absolute | Self::AbsoluteDate)
    }
}

/// Frames whose times are remembered for `-t d`: a packet may end in a frame that was
/// captured before others of its stream.
const REMEMBERED_FRAMES: usize = 1024;

/// Turns frames' stamps into the text of the time column.
#[derive(Debug)]
pub struct Clock {
    format: TimeFormat,
    first: Option<Timestamp>,
    /// Number and time of the latest frames, at their number modulo the length.
    frames: Vec<(u64, Option<Timestamp>)>,
    /// The row before.
    shown: Option<Timestamp>,
    date: DateText,
}

impl Clock {
    /// Returns a clock that has shown no row yet.
    pub fn new(format: TimeFormat) -> Self {
        Self {
            format,
            first: None,
            frames: Vec::new(),
            shown: None,
            date: DateText::new(format),
        }
    }

    /// Returns whether the stamp of every frame is needed, or the first one is enough.
    pub fn needs_frames(&self) -> bool {
        self.format == TimeFormat::Delta
    }

    /// A frame was read.
    pub fn frame(&mut self, stamp: &FrameStamp) {
        if self.first.is_none() {
            self.first = stamp.time;
        }
        if self.needs_frames() {
            self.frames.resize(REMEMBERED_FRAMES, (0, None));
            if let Some(slot) = self.frames.get_mut(Self::slot(stamp.number)) {
                *slot = (stamp.number, stamp.time);
            }
        }
    }

    /// The span since the first frame, where both have a time.
    pub fn relative(&mut self, stamp: &FrameStamp) -> Option<Span> {
        Some(self.since_first(stamp.time?))
    }

    /// Appends the time column of a row; `-` where the capture has no time.
    #[inline]
    pub fn push(&mut self, out: &mut Vec<u8>, stamp: &FrameStamp) {
        let Some(time) = stamp.time else {
            out.push(b'-');
            return;
        };
        let span = match self.format {
            TimeFormat::Relative => self.since_first(time),
            TimeFormat::Epoch => Span::from_nanos(time.nanos()),
            TimeFormat::Delta => match self.since_previous_frame(stamp.number, time) {
                Some(span) => span,
                None => {
                    out.push(b'-');
                    return;
                }
            },
            TimeFormat::DeltaDisplayed => time.since(self.shown.replace(time).unwrap_or(time)),
            TimeFormat::Absolute | TimeFormat::Utc => {
                self.date.push_time(out, time, stamp.precision);
                return;
            }
            TimeFormat::AbsoluteDate | TimeFormat::UtcDate => {
                self.date.push_date_time(out, time, stamp.precision);
                return;
            }
        };
        push_seconds(out, span, stamp.precision);
    }

    /// Seconds and microseconds of a row's time where the column shows nothing else of it: the
    /// ordinary case, for a caller that writes them itself.
    #[inline]
    pub(super) fn micros(&mut self, stamp: &FrameStamp) -> Option<(u64, u32)> {
        if self.format != TimeFormat::Relative || stamp.precision != Precision::Micro {
            return None;
        }
        let nanos = u64::try_from(self.since_first(stamp.time?).nanos()).ok()?;
        Some((
            nanos / 1_000_000_000,
            (nanos % 1_000_000_000) as u32 / 1_000,
        ))
    }

    #[inline]
    fn since_first(&mut self, time: Timestamp) -> Span {
        time.since(*self.first.get_or_insert(time))
    }

    fn since_previous_frame(&self, number: u64, time: Timestamp) -> Option<Span> {
        let previous = number.saturating_sub(1);
        if previous == 0 {
            return Some(Span::ZERO);
        }
        let &(kept, earlier) = self.frames.get(Self::slot(previous))?;
        (kept == previous).then_some(())?;
        Some(time.since(earlier?))
    }

    const fn slot(number: u64) -> usize {
        (number % REMEMBERED_FRAMES as u64) as usize
    }
}

/// Appends a span in seconds with 6 or 9 digits: `0.456435`, `-1.000000`. Exact: no floating
/// point on the way.
#[inline]
pub fn push_seconds(out: &mut Vec<u8>, span: Span, precision: Precision) {
    let nanos = span.nanos();
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    push_number(out, nanos / 1_000_000_000);
    push_fraction(out, (nanos % 1_000_000_000) as u32, precision);
}

/// Appends `.` and the digits that the capture keeps of `nanos` (below a second).
#[inline]
fn push_fraction(out: &mut Vec<u8>, nanos: u32, precision: Precision) {
    let micros = nanos / 1000;
    push_first(out, &micros_text(micros), 7);
    if precision == Precision::Nano {
        push_first(out, &last_three(nanos.into()), 3);
    }
}

/// Date and time of day; the text of a second is made once and kept, since thousands of
/// packets share it.
#[derive(Debug)]
pub struct DateText {
    /// In the zone of the machine, not in UTC.
    local: bool,
    second: i64,
    /// `2026-11-22 06:56:01`, or nothing yet.
    text: Vec<u8>,
}

/// Bytes of `2026-11-22 `.
const DATE_LENGTH: usize = 11;

impl DateText {
    /// Returns the clock of the zone that `format` shows: the machine's or UTC.
    pub fn new(format: TimeFormat) -> Self {
        Self {
            local: format.is_local(),
            second: 0,
            text: Vec::new(),
        }
    }

    /// Appends the date, a blank and the time of day.
    pub fn push_date_time(&mut self, out: &mut Vec<u8>, time: Timestamp, precision: Precision) {
        let nanos = self.turn_to(time);
        out.extend_from_slice(&self.text);
        push_fraction(out, nanos, precision);
    }

    /// Appends the time of day.
    pub fn push_time(&mut self, out: &mut Vec<u8>, time: Timestamp, precision: Precision) {
        let nanos = self.turn_to(time);
        out.extend_from_slice(self.text.get(DATE_LENGTH..).unwrap_or_default());
        push_fraction(out, nanos, precision);
    }

    /// Makes `text` the second of `time`; returns the nanoseconds after it.
    fn turn_to(&mut self, time: Timestamp) -> u32 {
        let second = time.nanos().div_euclid(1_000_000_000);
        if second != self.second || self.text.is_empty() {
            self.second = second;
            let utc = DateTime::from_timestamp(second, 0).unwrap_or_default();
            let civil = match self.local {
                false => utc.naive_utc(),
                true => utc.with_timezone(&Local).naive_local(),
            };
            self.text.clear();
            // A buffer takes everything. The years of a `Timestamp` lie between 1677 and 2262.
            let _ = write!(self.text, "{civil}");
        }
        time.nanos().rem_euclid(1_000_000_000) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp(number: u64, nanos: i64) -> FrameStamp {
        FrameStamp {
            number,
            time: Some(Timestamp::from_nanos(nanos)),
            ..FrameStamp::default()
        }
    }

    fn shown(clock: &mut Clock, stamp: &FrameStamp) -> String {
        let mut out = Vec::new();
        clock.push(&mut out, stamp);
        String::from_utf8(out).unwrap()
    }

    const NOON: i64 = 1_795_334_745_215_025_000;

    #[test]
    fn each_letter_gives_the_time_that_tshark_shows() {
        let later = FrameStamp {
            precision: Precision::Nano,
            ..stamp(3, NOON + 1_500_000_001)
        };
        for (format, first, second) in [
            (TimeFormat::Relative, "0.000000", "1.500000001"),
            (
                TimeFormat::Epoch,
                "1795334745.215025",
                "1795334746.715025001",
            ),
            (TimeFormat::Utc, "08:05:45.215025", "08:05:46.715025001"),
            (
                TimeFormat::UtcDate,
                "2026-11-22 08:05:45.215025",
                "2026-11-22 08:05:46.715025001",
            ),
            (TimeFormat::Delta, "0.000000", "0.500000001"),
            (TimeFormat::DeltaDisplayed, "0.000000", "1.500000001"),
        ] {
            let mut clock = Clock::new(format);
            for frame in [stamp(1, NOON), stamp(2, NOON + 1_000_000_000), later] {
                clock.frame(&frame);
            }
            assert_eq!(shown(&mut clock, &stamp(1, NOON)), first, "{format:?}");
            assert_eq!(shown(&mut clock, &later), second, "{format:?}");
        }
    }

    #[test]
    fn a_clock_that_steps_back_gives_a_negative_time_and_no_time_a_dash() {
        let mut clock = Clock::new(TimeFormat::Relative);
        clock.frame(&stamp(1, NOON));
        assert_eq!(shown(&mut clock, &stamp(2, NOON - 250_000)), "-0.000250");
        assert_eq!(shown(&mut clock, &FrameStamp::default()), "-");
    }

    proptest! {
        #[test]
        fn dates_equal_those_of_chrono(nanos in i64::MIN..i64::MAX) {
            let mut out = Vec::new();
            let time = Timestamp::from_nanos(nanos);
            DateText::new(TimeFormat::UtcDate).push_date_time(&mut out, time, Precision::Nano);
            let expected = chrono::DateTime::from_timestamp_nanos(nanos)
                .format("%Y-%m-%d %H:%M:%S%.9f")
                .to_string();
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
        }
    }
}
