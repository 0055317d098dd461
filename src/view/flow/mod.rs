//! Ladder diagrams: what became of each message, drawn.

mod build;
mod label;
pub mod ladder;
mod line;
pub mod mermaid;
#[cfg(test)]
mod sample;
pub mod svg;
pub mod text;
mod verdict;

use std::io::{self, Write};

use self::mermaid::Mermaid;
use self::svg::Svg;
use self::text::TextStyle;
use super::observer::View;
use super::out::Out;
use crate::base::{FrameStamp, Timestamp};
use crate::event::{Event, HandshakeKind, Needs, Outcome, Totals};
use crate::mqtt::QoS;

/// The kinds of ladders that `--flow` draws.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FlowKind {
    /// PUBLISH, PUBACK.
    Qos1,
    /// PUBLISH, PUBREC, PUBREL, PUBCOMP.
    Qos2,
    /// CONNECT and CONNACK, with the AUTH packets between them.
    Connect,
    /// SUBSCRIBE and UNSUBSCRIBE with their answers.
    Subscribe,
    /// A will from its CONNECT to its subscribers.
    Will,
    /// A stored message from its publisher to its subscribers.
    Retain,
    /// Handshakes of every kind except PINGREQ, wills and stored messages.
    All,
}

impl FlowKind {
    /// Every kind with the word that asks for it.
    pub const NAMES: [(&'static str, Self); 7] = [
        ("qos1", Self::Qos1),
        ("qos2", Self::Qos2),
        ("connect", Self::Connect),
        ("subscribe", Self::Subscribe),
        ("will", Self::Will),
        ("retain", Self::Retain),
        ("all", Self::All),
    ];

    /// Returns what ladders of `kinds` are drawn from.
    pub fn needs(kinds: &[Self]) -> Needs {
        let any = |of: &[Self]| {
            let mut kinds = kinds.iter();
            kinds.any(|kind| *kind == Self::All || of.contains(kind))
        };
        let messages = any(&[Self::Qos1, Self::Qos2]);
        let stories = any(&[Self::Will, Self::Retain]);
        Needs {
            handshakes: messages || any(&[Self::Connect, Self::Subscribe]),
            in_order: true,
            deliveries: messages || stories,
            stories,
            details: true,
            ..Needs::default()
        }
    }

    /// Whether this kind asks for the story in `event`.
    #[inline]
    pub fn takes(self, event: &Event<'_>) -> bool {
        let kind = match event {
            Event::Handshake(handshake) => match handshake.kind {
                HandshakeKind::Qos1 => Self::Qos1,
                HandshakeKind::Qos2 => Self::Qos2,
                HandshakeKind::Connect => Self::Connect,
                HandshakeKind::Subscribe | HandshakeKind::Unsubscribe => Self::Subscribe,
                HandshakeKind::Qos0 | HandshakeKind::Auth => Self::All,
                HandshakeKind::Ping => return false,
            },
            Event::Will(_) => Self::Will,
            Event::Retained(_) => Self::Retain,
            _ => return false,
        };
        self == kind || self == Self::All
    }

    /// Whether the ladder of `event` belongs to this kind: a message's also where a subscriber
    /// was sent it at the QoS asked for, since that leg has no ladder of its own.
    #[inline]
    fn draws(self, event: &Event<'_>) -> bool {
        let qos = match self {
            Self::Qos1 => QoS::AtLeastOnce,
            Self::Qos2 => QoS::ExactlyOnce,
            _ => return self.takes(event),
        };
        let deliveries = match event {
            Event::Handshake(handshake) => &handshake.deliveries,
            Event::Will(story) => &story.deliveries,
            _ => return false,
        };
        self.takes(event)
            || deliveries.iter().any(
                |leg| matches!(&leg.outcome, Outcome::Delivered(delivered) if delivered.qos == qos),
            )
    }
}

/// How ladders are written, and what was written so far.
#[derive(Debug)]
pub enum Diagram {
    /// For a terminal.
    Text(TextStyle),
    /// One Mermaid sequence diagram.
    Mermaid(Mermaid),
    /// One self-contained picture.
    Svg(Svg),
}

/// Draws the ladders of the kinds asked for, in the order of their events: handshakes in
/// that of their first frames, as far as they can be held back for it.
pub struct Flow<W: Write> {
    out: Out<W>,
    kinds: Vec<FlowKind>,
    start: Option<Timestamp>,
    diagram: Diagram,
}

impl<W: Write> Flow<W> {
    /// Draws the stories of `kinds` to `out`.
    pub fn new(out: W, kinds: Vec<FlowKind>, diagram: Diagram) -> Self {
        Self {
            out: Out::new(out),
            kinds,
            start: None,
            diagram,
        }
    }
}

impl<W: Write> View for Flow<W> {
    fn needs(&self) -> Needs {
        FlowKind::needs(&self.kinds)
    }

    fn frame(&mut self, stamp: &FrameStamp) {
        self.start = self.start.or(stamp.time);
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        if !self.kinds.iter().any(|kind| kind.draws(event)) {
            return Ok(());
        }
        let ladder = match event {
            Event::Handshake(handshake) => build::handshake(handshake),
            Event::Will(story) => Some(build::will(story)),
            Event::Retained(story) => Some(build::retained(story)),
            _ => None,
        };
        let Some(ladder) = ladder else {
            return Ok(());
        };
        match &mut self.diagram {
            Diagram::Text(style) => {
                text::draw(&ladder, *style, self.start, self.out.text());
            }
            Diagram::Mermaid(mermaid) => mermaid.draw(&ladder, self.out.text())?,
            Diagram::Svg(svg) => svg.draw(&ladder, self.start),
        }
        self.out.row_done()
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        if let Diagram::Svg(svg) = &mut self.diagram {
            std::mem::take(svg).finish(self.out.text())?;
        }
        self.out.flush()
    }
}
