//! A ladder diagram as data: lanes, steps between them, a verdict. Three renderers draw it.
//!
//! A capture of 100 MB has 70,000 diagrams with a dozen texts each, so one [`Ladder`] is used
//! for all of them and its texts share one buffer: with a `String` a text, allocation alone
//! took a quarter of a run.

use std::borrow::Cow;

use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::PacketType;
use crate::view::out::{push_micros, push_number};

/// One diagram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    /// Every text, one behind the other. Raw text from the capture may stand in each: the
    /// renderers make it safe.
    texts: Vec<u8>,
    /// What it is about: `QoS 2 · test · id 1`.
    pub title: Words,
    /// Left to right.
    pub lanes: Vec<Lane>,
    /// Top to bottom.
    pub rows: Vec<Row>,
    /// How it ended, in a line or a few.
    pub verdicts: Vec<Verdict>,
}

/// A text of a ladder.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Words {
    from: usize,
    to: usize,
}

impl Ladder {
    /// Begins anew, in the room that the last diagram took.
    pub fn clear(&mut self) {
        self.texts.clear();
        self.title = Words::default();
        self.lanes.clear();
        self.rows.clear();
        self.verdicts.clear();
    }

    /// The text that `tell` appends.
    #[inline]
    pub fn words(&mut self, tell: impl FnOnce(&mut Vec<u8>)) -> Words {
        let from = self.texts.len();
        tell(&mut self.texts);
        let to = self.texts.len();
        Words { from, to }
    }

    /// A text's octets, which are UTF-8.
    #[inline]
    pub fn octets(&self, words: Words) -> &[u8] {
        self.texts.get(words.from..words.to).unwrap_or_default()
    }

    /// A text.
    pub fn text(&self, words: Words) -> Cow<'_, str> {
        String::from_utf8_lossy(self.octets(words))
    }
}

/// Appends what texts are made of.
pub(super) trait Say {
    fn say(&mut self, text: &str) -> &mut Self;
    fn number(&mut self, number: u64) -> &mut Self;
    /// `0x8e`.
    fn code(&mut self, code: u8) -> &mut Self;
    /// As [`span`] tells it.
    fn span(&mut self, span: Span) -> &mut Self;
}

impl Say for Vec<u8> {
    #[inline]
    fn say(&mut self, text: &str) -> &mut Self {
        self.extend_from_slice(text.as_bytes());
        self
    }

    #[inline]
    fn number(&mut self, number: u64) -> &mut Self {
        push_number(self, number);
        self
    }

    fn code(&mut self, code: u8) -> &mut Self {
        self.say("0x");
        crate::view::out::push_hex(self, &[code]);
        self
    }

    fn span(&mut self, span: Span) -> &mut Self {
        let nanos = span.nanos();
        if nanos < 0 {
            self.push(b'-');
        }
        let nanos = nanos.unsigned_abs();
        let (unit, name) = match nanos {
            0..=999 => return self.number(nanos).say(" ns"),
            1_000..=999_999_999 => (1_000_000, " ms"),
            _ => (1_000_000_000, " s"),
        };
        push_number(self, nanos / unit);
        let digits = nanos / (unit / 1_000) % 1_000;
        let digit = |place| b'0' + (digits / place % 10) as u8;
        self.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
        self.say(name)
    }
}

/// One participant.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lane {
    pub role: Role,
    /// Client identifier, or the endpoint where none is known.
    pub name: Words,
}

/// What a participant does in this diagram.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    Publisher,
    Client,
    Broker,
    Subscriber,
}

impl Role {
    /// The word above the lane.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Client => "client",
            Self::Broker => "broker",
            Self::Subscriber => "subscriber",
        }
    }
}

/// One line of the diagram.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Row {
    /// A control packet from lane to lane.
    Arrow(Arrow),
    /// A control packet that should have come and was not seen.
    Missing {
        from: usize,
        to: usize,
        label: Words,
    },
    /// Something that happened that is no control packet, at a lane or across all.
    Note {
        stamp: Option<FrameStamp>,
        /// Since the step before in this diagram.
        since: Option<Span>,
        lane: Option<usize>,
        text: Words,
    },
}

/// A control packet on its way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Arrow {
    pub stamp: FrameStamp,
    /// Since the step before in this diagram.
    pub since: Option<Span>,
    pub from: usize,
    pub to: usize,
    pub packet_type: PacketType,
    /// `PUBLISH (id=1) [test] DUP`.
    pub label: Words,
}

/// A line that tells how the story ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub tone: Tone,
    pub text: Words,
}

/// Good, bad, or neither.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tone {
    Good,
    Bad,
    Neutral,
}

/// A span as people read it, with three digits below the unit: `0.106 ms`, `12.000 s`,
/// `850 ns`; whole nanoseconds below a microsecond.
pub fn span(span: Span) -> String {
    told(|out| {
        out.span(span);
    })
}

/// The time since the step before: `+0.021 ms`.
pub(super) fn after(since: Span) -> String {
    told(|out| push_after(out, since))
}

/// Appends the time since the step before.
pub(super) fn push_after(out: &mut Vec<u8>, since: Span) {
    if since.nanos() >= 0 {
        out.push(b'+');
    }
    out.span(since);
}

/// Seconds from `start` on with the capture's own digits; empty where either is not known.
pub(super) fn time(stamp: &FrameStamp, start: Option<Timestamp>) -> String {
    told(|out| push_time(out, stamp, start))
}

/// Appends the seconds from `start` on.
pub(super) fn push_time(out: &mut Vec<u8>, stamp: &FrameStamp, start: Option<Timestamp>) {
    let (Some(time), Some(start)) = (stamp.time, start) else {
        return;
    };
    let nanos = time.since(start).nanos();
    if nanos < 0 {
        out.push(b'-');
    }
    let nanos = nanos.unsigned_abs();
    let (seconds, nanos) = (nanos / 1_000_000_000, (nanos % 1_000_000_000) as u32);
    push_number(out, seconds);
    push_micros(out, nanos / 1_000);
    if stamp.precision == Precision::Nano {
        let digit = |place| b'0' + (nanos / place % 10) as u8;
        out.extend_from_slice(&[digit(100), digit(10), digit(1)]);
    }
}

fn told(tell: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    tell(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_suits_it() {
        for (nanos, told) in [
            (0, "0 ns"),
            (850, "850 ns"),
            (106_000, "0.106 ms"),
            (-58_000, "-0.058 ms"),
            (40_123_456, "40.123 ms"),
            (61_500_000_000, "61.500 s"),
        ] {
            assert_eq!(span(Span::from_nanos(nanos)), told);
        }
    }
}
