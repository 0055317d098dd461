//! A ladder diagram as data: lanes, steps between them, a verdict. Three renderers draw it.

use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::PacketType;

/// One diagram.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    /// What it is about: `QoS 2 · test · id 1`. Raw text from the capture may stand in it, as
    /// in every text here: the renderers make it safe.
    pub title: String,
    /// Left to right.
    pub lanes: Vec<Lane>,
    /// Top to bottom.
    pub rows: Vec<Row>,
    /// How it ended, in a line or a few.
    pub verdicts: Vec<Verdict>,
}

/// One participant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lane {
    pub role: Role,
    /// Client identifier, or the endpoint where none is known.
    pub name: String,
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
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A control packet from lane to lane.
    Arrow(Arrow),
    /// A control packet that should have come and was not seen.
    Missing {
        from: usize,
        to: usize,
        label: String,
    },
    /// Something that happened that is no control packet, at a lane or across all.
    Note {
        stamp: Option<FrameStamp>,
        /// Since the step before in this diagram.
        since: Option<Span>,
        lane: Option<usize>,
        text: String,
    },
}

/// A control packet on its way.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrow {
    pub stamp: FrameStamp,
    /// Since the step before in this diagram.
    pub since: Option<Span>,
    pub from: usize,
    pub to: usize,
    pub packet_type: PacketType,
    /// `PUBLISH (id=1) [test] DUP`.
    pub label: String,
}

/// A line that tells how the story ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    pub tone: Tone,
    pub text: String,
}

/// Good, bad, or neither.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tone {
    Good,
    Bad,
    Neutral,
}

impl Verdict {
    /// A verdict of one tone.
    pub fn new(tone: Tone, text: impl Into<String>) -> Self {
        Self {
            tone,
            text: text.into(),
        }
    }
}

/// A span as people read it, with three digits below the unit: `0.106 ms`, `12.000 s`,
/// `850 ns`; whole nanoseconds below a microsecond.
pub fn span(span: Span) -> String {
    let nanos = span.nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    match nanos {
        0..=999 => format!("{sign}{nanos} ns"),
        1_000..=999_999_999 => format!(
            "{sign}{}.{:03} ms",
            nanos / 1_000_000,
            nanos / 1_000 % 1_000
        ),
        _ => format!(
            "{sign}{}.{:03} s",
            nanos / 1_000_000_000,
            nanos / 1_000_000 % 1_000
        ),
    }
}

/// The time since the step before: `+0.021 ms`.
pub(super) fn after(since: Span) -> String {
    let told = span(since);
    if told.starts_with('-') {
        told
    } else {
        format!("+{told}")
    }
}

/// Seconds from `start` on with the capture's own digits; empty where either is not known.
pub(super) fn time(stamp: &FrameStamp, start: Option<Timestamp>) -> String {
    let (Some(time), Some(start)) = (stamp.time, start) else {
        return String::new();
    };
    let nanos = time.since(start).nanos();
    let sign = if nanos < 0 { "-" } else { "" };
    let nanos = nanos.unsigned_abs();
    let (seconds, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    match stamp.precision {
        Precision::Micro => format!("{sign}{seconds}.{:06}", nanos / 1_000),
        Precision::Nano => format!("{sign}{seconds}.{nanos:09}"),
    }
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
