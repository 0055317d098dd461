//! A ladder diagram as data: lanes, steps between them, a verdict. Three renderers draw it.
//!
//! A capture of 100 MB has 70,000 diagrams with a dozen texts each, so one [`Ladder`] is used
//! for all of them and its texts share one buffer: with a `String` a text, allocation alone
//! took a quarter of a run.

use std::borrow::Cow;

use super::short::Short;
use crate::base::text::is_printable_ascii;
use crate::base::{FrameStamp, Span};
use crate::mqtt::PacketType;
use crate::view::out::{push_first, push_number};

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

    /// Whether all texts but the title are printable ASCII, as they are in nearly every ladder:
    /// to look at all of them at once takes less than to look at each.
    #[inline]
    pub fn is_plain(&self) -> bool {
        let Words { from, to } = self.title;
        let rest = [self.texts.get(..from), self.texts.get(to..)];
        (rest.into_iter().flatten()).all(is_printable_ascii)
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

    #[inline]
    fn span(&mut self, span: Span) -> &mut Self {
        let text = Short::span(span);
        push_first(self, &text.octets, text.used);
        self
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
    Short::span(span).text()
}
