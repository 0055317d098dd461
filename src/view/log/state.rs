//! The log so far, and its lines.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Display;
use std::hash::RandomState;
use std::io::{self, Write};

use super::super::out::Out;
use super::connection::{Followed, Phase};
use super::verdict::Offer;
use crate::base::{Endpoint, FrameStamp};
use crate::event::ConnectionId;

/// Entries of each small list that the log keeps; what lies beyond has no line of its own.
pub(super) const MOST: usize = 1_000;

/// The log of a capture.
#[derive(Debug)]
pub struct Log<W: Write> {
    pub(super) out: Out<W>,
    /// Only some packets are shown.
    pub(super) selective: bool,
    pub(super) connections: HashMap<ConnectionId, Followed>,
    /// Which connection has a client identifier, by the hash of its server and that.
    pub(super) names: HashMap<u64, ConnectionId>,
    /// The accepted connections on which a PUBLISH waits that is not written, by the hash of its
    /// server and topic.
    pub(super) publishing: BTreeSet<(u64, ConnectionId)>,
    pub(super) hasher: RandomState,
    /// Memory of the packets that wait, in bytes.
    pub(super) bytes: usize,
    /// CONNECTs whose client identifier another connection has.
    pub(super) takeovers: Vec<Takeover>,
    /// The limits that Servers named.
    pub(super) offers: HashMap<Endpoint, Offer>,
    /// Ends that nothing explains.
    pub(super) unexplained: Vec<Unexplained>,
    /// The latest connection.
    pub(super) latest: ConnectionId,
    /// The frame of the event that is being shown.
    pub(super) now: FrameStamp,
}

/// A CONNECT that will take a client identifier over.
#[derive(Debug)]
pub(super) struct Takeover {
    pub(super) before: ConnectionId,
    pub(super) by: ConnectionId,
    pub(super) shown: bool,
    /// The will of the former connection, by the hash of its server and topic.
    pub(super) will: Option<u64>,
}

/// A connection that the Server closed for no reason that shows. mosquitto has no line for it where
/// the whole broker was stopped: so it is written once the Server goes on with another one.
#[derive(Debug)]
pub(super) struct Unexplained {
    pub(super) server: Endpoint,
    /// Connections that were there at that time have no greater number.
    pub(super) latest: ConnectionId,
    pub(super) client: String,
}

impl<W: Write> Log<W> {
    /// The log goes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            out: Out::new(writer),
            selective: false,
            connections: HashMap::new(),
            names: HashMap::new(),
            publishing: BTreeSet::new(),
            hasher: RandomState::new(),
            bytes: 0,
            takeovers: Vec::new(),
            offers: HashMap::new(),
            unexplained: Vec::new(),
            latest: ConnectionId(0),
            now: FrameStamp::default(),
        }
    }

    /// Shows the beginnings of those connections alone whose CONNECT a selection takes.
    #[must_use]
    pub fn selective(self) -> Self {
        Self {
            selective: true,
            ..self
        }
    }

    /// Writes one entry of the current event.
    pub(super) fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.line_at(self.now, line)
    }

    /// Writes one entry, each line with the second of a frame.
    pub(super) fn line_at(&mut self, stamp: FrameStamp, line: impl Display) -> io::Result<()> {
        // A line is a write of its own in mosquitto, so each has the time.
        for text in line.to_string().split('\n') {
            if let Some(time) = stamp.time {
                write!(self.out, "{}: ", (time.nanos() / 1_000_000_000).max(0))?;
            }
            writeln!(self.out, "{text}")?;
        }
        self.out.row_done()
    }

    /// The client as the log calls it.
    pub(super) fn name(&self, id: ConnectionId) -> String {
        let followed = self.connections.get(&id);
        followed.map_or_else(String::new, |followed| followed.name.clone())
    }

    pub(super) fn line_if(&mut self, shown: bool, line: impl Display) -> io::Result<()> {
        match shown {
            true => self.line(line),
            false => Ok(()),
        }
    }

    /// The line of a connection's end is written, or never will be.
    pub(super) fn over(&mut self, id: ConnectionId) {
        if let Some(followed) = self.connections.get_mut(&id) {
            followed.phase = Phase::Over;
            for held in followed.waiting.drain(..) {
                self.bytes = self.bytes.saturating_sub(held.weight());
                if let Some(topic) = held.topic {
                    self.publishing.remove(&(topic, id));
                }
            }
        }
    }
}

/// Forgets that a connection has a client identifier; a newer one may have it by now.
pub(super) fn forget_name(
    names: &mut HashMap<u64, ConnectionId>,
    identifier: Option<u64>,
    id: ConnectionId,
) {
    if let Some(identifier) = identifier
        && names.get(&identifier) == Some(&id)
    {
        names.remove(&identifier);
    }
}
