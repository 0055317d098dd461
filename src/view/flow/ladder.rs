//! A ladder diagram as data: lanes, rows between them, verdicts. Three renderers draw it.
//!
//! ```text
//!   publisher      broker      subscriber     lanes
//!       │─ PUBLISH ──▶│             │         rows: arrows,
//!       │             │─ PUBLISH ──▶│               packets that are missing,
//!       │             ●  replaced   │               notes
//!   ✓ complete in 0.106 ms                    verdicts
//! ```

use strum::IntoStaticStr;

use crate::base::{FrameStamp, Span};

/// One diagram. Its texts may hold raw text from the capture: the renderers make it safe.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ladder {
    /// The subject: `QoS 2 · test · id 1`.
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
    /// Its part in this diagram.
    pub role: Role,
    /// Client identifier, or the endpoint where none is known.
    pub name: String,
}

/// A participant's part in a diagram.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "lowercase")]
pub enum Role {
    /// The client that publishes the message.
    Publisher,
    /// A client in an exchange that carries no message.
    Client,
    /// The server.
    Broker,
    /// A client that receives the message.
    Subscriber,
}

impl Role {
    /// Returns the word above the lane.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// One line of the diagram.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The frame that shows it, if any: of an arrow, the one that carries the packet's last byte.
    pub stamp: Option<FrameStamp>,
    /// Since the step before in this diagram.
    pub since: Option<Span>,
    /// How it is drawn.
    pub shape: Shape,
    /// `PUBLISH (id=1) [test] DUP`, `PUBACK (id=7) never came`, or a note's few words.
    pub text: String,
}

/// How a row is drawn. Lanes are places in [`Ladder::lanes`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    /// A control packet from lane to lane.
    Arrow {
        /// The sender's lane.
        from: usize,
        /// The receiver's lane.
        to: usize,
    },
    /// A control packet that should have come and was not seen.
    Missing {
        /// The lane that owes it.
        from: usize,
        /// The lane that waits for it.
        to: usize,
    },
    /// Something that happened that is no control packet.
    Note {
        /// The lane that it belongs to; `None` where it concerns all.
        lane: Option<usize>,
    },
}

/// A line on how an exchange ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Decides mark and colour.
    pub tone: Tone,
    /// One sentence without its full stop.
    pub text: String,
}

/// Good, bad, or neither.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Tone {
    /// As the protocol has it.
    Good,
    /// Something is missing or was refused.
    Bad,
    /// A fact.
    Neutral,
}
