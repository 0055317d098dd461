//! Events without those of connections that are copies: what is counted and concluded is of the first.
//!
//! Until its packets have shown whether a connection is a copy, its events wait; those of a copy are
//! dropped.

use std::collections::HashSet;

use super::twins::Twins;
use crate::event::{Event, Opened, OwnedEvent};
use crate::mqtt::Sender;
use crate::stream::ConnectionId;

/// Events of a connection that wait: more than its first few packets are no copy's.
const EVENTS: usize = 64;
/// Bytes of the control packets that wait, of one connection.
const BYTES: usize = 1 << 20;

/// A connection that may be a copy, with its events so far.
#[derive(Debug)]
struct Suspect {
    connection: ConnectionId,
    events: Vec<OwnedEvent>,
    bytes: usize,
}

/// Passes events on, without those of connections that are copies of earlier ones.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    twins: Twins,
    /// The latest connection that began: its first packet comes next.
    opened: Option<Opened>,
    suspects: Vec<Suspect>,
    /// Copies that are open.
    dropped: HashSet<ConnectionId>,
    /// How many were found.
    count: u64,
}

impl Copies {
    /// Returns how many copies were found.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Observes an event, and passes on what is certain of it and of those before.
    #[inline]
    pub(crate) fn observe(&mut self, event: &Event<'_>, pass: &mut impl FnMut(&Event<'_>)) {
        if let Event::Opened(opened) = event {
            if let Some(before) = self.opened.replace(**opened) {
                pass(&Event::Opened(&before));
            }
            return;
        }
        if let Event::Packet(packet) = event
            && let Some(twice) = self.twins.observe(packet)
        {
            self.count += 1;
            let is_copy = |suspect: &mut Suspect| suspect.connection == twice.connection;
            if self.suspects.extract_if(.., is_copy).next().is_some() {
                self.dropped.insert(twice.connection);
            }
            pass(&Event::SeenTwice(&twice));
        }
        if self.opened.is_none() && self.suspects.is_empty() && self.dropped.is_empty() {
            return pass(event);
        }
        self.part(event);
        self.sort(event, pass);
    }

    /// Passes on everything that waits: the capture is over.
    pub(crate) fn finish(&mut self, pass: &mut impl FnMut(&Event<'_>)) {
        if let Some(opened) = self.opened.take() {
            pass(&Event::Opened(&opened));
        }
        for suspect in self.suspects.drain(..) {
            suspect.pass(pass);
        }
    }

    /// Compares two connections no further where an event shows that they are two.
    fn part(&mut self, event: &Event<'_>) {
        let (connection, by, stamp) = match event {
            Event::FirstEnd(end) => (end.connection, Some(end.by), end.stamp),
            Event::Ended(ended) => (ended.connection, ended.by, ended.stamp),
            _ => return,
        };
        self.twins.expire(&stamp);
        // A server closes the older of two clients with one identifier. The end by its client may
        // stand before the last packets of the copy.
        if by != Some(Sender::Client) {
            self.twins.forget_copies_of(connection);
        }
    }

    /// Passes an event on, has it wait, or drops it.
    fn sort(&mut self, event: &Event<'_>, pass: &mut impl FnMut(&Event<'_>)) {
        let twins = &self.twins;
        let cleared = |suspect: &mut Suspect| !twins.is_suspect(suspect.connection);
        for suspect in self.suspects.extract_if(.., cleared) {
            suspect.pass(pass);
        }
        let connection = event.connection();
        if let Some(opened) = self.opened.take() {
            let id = opened.connection.id;
            match connection == Some(id) && self.twins.is_suspect(id) {
                true => self.suspects.push(Suspect {
                    connection: id,
                    events: vec![OwnedEvent::Opened(opened)],
                    bytes: 0,
                }),
                false => pass(&Event::Opened(&opened)),
            }
        }
        let Some(connection) = connection else {
            return pass(event);
        };
        let ended = matches!(event, Event::Ended(_));
        if self.dropped.contains(&connection) {
            if ended {
                self.dropped.remove(&connection);
            }
            return;
        }
        let mut suspects = self.suspects.iter_mut();
        let Some(suspect) = suspects.find(|suspect| suspect.connection == connection) else {
            return pass(event);
        };
        if let Event::Packet(packet) = event {
            suspect.bytes += packet.bytes.len();
        }
        suspect.events.push(event.into());
        if ended || suspect.events.len() > EVENTS || suspect.bytes > BYTES {
            self.twins.forget(connection);
            let this = |suspect: &mut Suspect| suspect.connection == connection;
            for suspect in self.suspects.extract_if(.., this) {
                suspect.pass(pass);
            }
        }
    }
}

impl Suspect {
    /// Passes on the events of what is no copy.
    fn pass(self, pass: &mut impl FnMut(&Event<'_>)) {
        for event in self.events {
            event.with_event(|event| pass(event));
        }
    }
}
