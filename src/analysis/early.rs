//! Copies that stand in the capture before the PUBLISH that they are copies of: two capture points
//! whose clocks differ, or frames out of order.
//!
//! TCP does not show it, since publisher and subscriber have a connection each. So a copy that
//! nothing explains waits, and with it all that comes behind it; if its PUBLISH comes within the
//! window, that is taken first. This is done only where the two can stand in the wrong order: in
//! different files that are read side by side, or in a capture that has shown several such pairs.
//! The copy may be of an equal message from outside the capture all the same: what is joined so is
//! ambiguous until several messages of one file stood behind copies of another, and a second copy
//! behind the PUBLISH contradicts the pair.
//!
//! ```text
//! in the capture:   copy  SUBACK  PUBLISH          the line: copy, SUBACK
//! taken:            PUBLISH  copy  SUBACK
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foldhash::HashMap;

use super::caps;
use super::keys::{BrokerId, SessionKey};
use super::state::State;
use super::state::message::{Progress, Unexplained};
use crate::base::{FrameStamp, Span};
use crate::event::{Event, OwnedEvent, PacketEvent, between};
use crate::mqtt::{ControlPacket, PacketType, Sender};
use crate::stream::ConnectionId;

/// The time that a copy waits for its PUBLISH, and by which a PUBLISH that stands behind its copy
/// may be late: more than clocks differ that are set now and then.
const TIME: Span = Span::from_nanos(1_000_000_000);
/// Events that wait.
const EVENTS: usize = 4_096;
/// Bytes of the control packets that wait.
const BYTES: usize = 32 << 20;
/// Copies without a PUBLISH that are remembered.
const REMEMBERED: usize = 64;
/// Different messages whose copies stand before them: fewer may be accidents.
const PAIRS: usize = 3;

/// Copies that stand before their PUBLISH, and the events behind them that wait.
#[derive(Debug, Default)]
pub(super) struct EarlyCopies {
    /// The first is a copy that nothing explains.
    line: Line,
    /// The latest file of a packet.
    file: u16,
    /// A packet of an earlier file came behind it: files are read side by side.
    several_files: bool,
    /// The latest copies that nothing explained, by digest.
    unexplained: HashMap<u64, Vec<Unexplained>>,
    /// Their digests, the oldest first; some are gone.
    unexplained_line: VecDeque<u64>,
    /// Digests of the first few messages that stood behind their copies.
    seen: Vec<u64>,
    /// Of those, the copy and the PUBLISH that are furthest from each other.
    widest: Option<[FrameStamp; 2]>,
    /// The latest of those: message, subscriber and PUBLISH.
    latest: VecDeque<(u64, SessionKey, FrameStamp)>,
    /// The message and the subscriber of each copy that went before the latest PUBLISH, and was taken
    /// for one of another.
    gone_before: Vec<(u64, SessionKey)>,
    /// The message of the latest PUBLISH that was taken before copies which may be of another.
    doubted: Option<u64>,
}

/// The events that wait, by their order in the capture.
#[derive(Debug, Default)]
struct Line {
    events: BTreeMap<u64, Waiting>,
    /// The number of the next.
    next: u64,
    /// Of the control packets.
    bytes: usize,
    /// The events of each connection.
    by_connection: BTreeSet<(ConnectionId, u64)>,
    /// A client's PUBLISH, by digest.
    published: BTreeSet<(u64, u64)>,
    /// A client's PUBREL, by connection.
    released: BTreeSet<(ConnectionId, u64)>,
}

/// An event that waits.
#[derive(Debug)]
struct Waiting {
    event: OwnedEvent,
    kind: Kind,
}

/// The part that an event may have in a wait.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A server's PUBLISH of this digest, sent for the first time and not for being stored.
    Copy(u64),
    /// A client's PUBLISH of this digest: the copy may be of it.
    Publish(u64),
    /// A client's PUBREL, with which a QoS 2 message takes effect.
    Release,
    /// No part.
    Other,
}

impl EarlyCopies {
    /// Returns whether something waits.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        !self.line.events.is_empty()
    }

    /// Observes an event while nothing waits; returns whether it has to wait.
    #[inline]
    pub(super) fn begins(&mut self, state: &State, event: &Event<'_>) -> bool {
        let Event::Packet(packet) = event else {
            return false;
        };
        self.note_file(packet.stamp.file);
        packet.packet_type == PacketType::Publish && self.observe(state, packet)
    }

    /// Notes the file of a packet.
    #[inline]
    fn note_file(&mut self, file: u16) {
        self.several_files |= file < self.file;
        self.file = self.file.max(file);
    }

    /// Returns whether copies wait for their PUBLISH.
    fn waits(&self) -> bool {
        self.several_files || self.is_sure()
    }

    /// Returns whether so many copies stand before their PUBLISH that it is no accident.
    fn is_sure(&self) -> bool {
        self.seen.len() >= PAIRS
    }

    /// Observes a PUBLISH; returns whether it has to wait.
    fn observe(&mut self, state: &State, packet: &PacketEvent<'_>) -> bool {
        if packet.sender == Sender::Client {
            if !self.unexplained.is_empty() {
                self.published(state, packet);
            }
            return false;
        }
        let waits = self.waits();
        // Where none waits, the analysis reports those that nothing explains.
        if !waits && self.latest.is_empty() {
            return false;
        }
        let copy = copy_digest(state, packet);
        let copy = copy.and_then(|one| copy_of(state, packet.connection, packet.stamp, one));
        let Some(copy) = copy else {
            return false;
        };
        if !waits {
            // What does not wait contradicts at once.
            self.contradict(&copy);
            return false;
        }
        !is_explained(state, &copy) && self.may_be_early(state, copy.digest)
    }

    /// Remembers a copy that nothing explained and that did not wait.
    pub(super) fn note_unexplained(&mut self, copy: Unexplained) {
        if self.waits() {
            return;
        }
        if self.unexplained_line.len() >= REMEMBERED
            && let Some(oldest) = self.unexplained_line.pop_front()
        {
            self.unexplained.remove(&oldest);
        }
        self.unexplained_line.push_back(copy.digest);
        self.unexplained.entry(copy.digest).or_default().push(copy);
    }

    /// Observes a client's PUBLISH: a copy of it may have gone before it.
    fn published(&mut self, state: &State, packet: &PacketEvent<'_>) {
        let Some(digest) = digest(state, packet) else {
            return;
        };
        let Some(mut copies) = self.unexplained.remove(&digest) else {
            return;
        };
        copies.retain(|copy| {
            let late = between(&copy.stamp, &packet.stamp);
            is_at(state, copy, packet) && late.is_some_and(|late| late <= TIME)
        });
        // A client that passes on what it is sent publishes behind the copy, and rightly.
        if (copies.iter()).any(|copy| copy.connection == packet.connection) {
            return;
        }
        // The copy of one that comes again and again may be of one before.
        if let Some(first) = copies.first()
            && self.may_be_early(state, digest)
        {
            self.note_pair(state, first, packet.stamp);
        }
        let sessions = copies.iter().map(|copy| (digest, copy.session));
        self.gone_before.extend(sessions);
    }

    /// Returns whether a message may stand behind its copy: one that does not come again and again,
    /// or where others surely do.
    fn may_be_early(&self, state: &State, digest: u64) -> bool {
        self.is_sure() || !state.messages.is_repeated(digest)
    }

    /// Returns digest and subscriber of each copy that had gone before the latest PUBLISH.
    #[inline]
    pub(super) fn take_gone_before(&mut self) -> Vec<(u64, SessionKey)> {
        std::mem::take(&mut self.gone_before)
    }

    /// Returns the digest of the latest PUBLISH whose copies may be of another.
    pub(super) fn take_doubted(&mut self) -> Option<u64> {
        self.doubted.take()
    }

    /// Notes a copy that stands before its PUBLISH.
    fn note_pair(&mut self, state: &State, copy: &Unexplained, publish: FrameStamp) {
        // It may be of the equal message before.
        if state.messages.has_come(copy.digest) {
            return;
        }
        if !self.is_sure() && !self.seen.contains(&copy.digest) {
            self.seen.push(copy.digest);
        }
        if self.latest.len() >= REMEMBERED {
            self.latest.pop_front();
        }
        self.latest.push_back((copy.digest, copy.session, publish));
        let late = |[copy, publish]: [FrameStamp; 2]| between(&copy, &publish);
        let pair = [copy.stamp, publish];
        if self.widest.is_none_or(|widest| late(pair) > late(widest)) {
            self.widest = Some(pair);
        }
    }

    /// Notes a copy without a PUBLISH of its own: behind the PUBLISH that an equal one for its
    /// subscriber stands before, it is the copy of that. So the other one was of a message from
    /// outside the capture, and others may be so too.
    fn contradict(&mut self, copy: &Unexplained) {
        let second = |(digest, session, publish): &(u64, SessionKey, FrameStamp)| {
            let since = between(publish, &copy.stamp);
            (*digest, *session) == (copy.digest, copy.session)
                && since.is_some_and(|since| (Span::ZERO..=TIME).contains(&since))
        };
        if self.latest.iter().any(second) {
            self.seen.clear();
            self.latest.clear();
            self.widest = None;
        }
    }

    /// Returns of the copy and its PUBLISH that are furthest from each other the frames, where
    /// that copies stand before their PUBLISH is no accident.
    pub(super) fn found(&self) -> Option<[FrameStamp; 2]> {
        self.widest.filter(|_| self.is_sure())
    }

    /// Has an event wait behind the others; returns whether some of them may be taken now.
    pub(super) fn push(&mut self, state: &State, event: &Event<'_>) -> bool {
        if let Event::Packet(packet) = event {
            self.note_file(packet.stamp.file);
        }
        self.hold(state, event);
        let last = self.line.events.values().next_back();
        let first = last.and_then(|last| Some((self.first(state)?, last)));
        first.is_none_or(|(first, last)| self.is_wanted(state, &first, last)) || self.is_over()
    }

    /// Has an event wait.
    pub(super) fn hold(&mut self, state: &State, event: &Event<'_>) {
        let kind = match event {
            Event::Packet(packet) => match (packet.packet_type, packet.sender) {
                (PacketType::Publish, Sender::Client) => digest(state, packet).map(Kind::Publish),
                (PacketType::Publish, Sender::Server) => copy_digest(state, packet).map(Kind::Copy),
                (PacketType::PubRel, Sender::Client) => Some(Kind::Release),
                _ => None,
            },
            _ => None,
        };
        self.line.push(Waiting {
            event: OwnedEvent::from(event),
            kind: kind.unwrap_or(Kind::Other),
        });
    }

    /// Returns the next event to take: the first if nothing has to be waited for any more, or one
    /// that was sent before it. `over`: the capture is.
    pub(super) fn next(&mut self, state: &State, over: bool) -> Option<OwnedEvent> {
        let front = *self.line.events.keys().next()?;
        let Some(first) = self.first(state) else {
            return self.line.take(front);
        };
        let Some(at) = self.wanted(state, &first) else {
            if !over && !self.is_over() {
                return None;
            }
            self.contradict(&first);
            return self.line.take(front);
        };
        // What its connection brought before comes before it.
        let connection = self.line.events.get(&at)?.event.connection()?;
        let earliest = self.line.earliest(connection)?;
        let earliest = self.before_connect(state, earliest).unwrap_or(earliest);
        if let Some(Waiting {
            event: OwnedEvent::Packet(packet),
            kind: Kind::Publish(digest),
        }) = self.line.events.get(&earliest)
        {
            let (digest, stamp) = (*digest, packet.stamp);
            if earliest == at {
                self.note_pair(state, &first, stamp);
            }
            let certain = self.is_sure() && stamp.file != first.stamp.file;
            self.doubted = (!certain).then_some(digest);
        }
        self.line.take(earliest)
    }

    /// Returns the first event of the connection that the client of a CONNECT has left, where one comes
    /// before that.
    fn before_connect(&self, state: &State, at: u64) -> Option<u64> {
        let OwnedEvent::Packet(packet) = &self.line.events.get(&at)?.event else {
            return None;
        };
        let client_id = packet.client_id.as_deref();
        let client_id = client_id.filter(|_| packet.packet_type == PacketType::Connect)?;
        let broker = state.links.get(&packet.connection)?.broker;
        let session = state.sessions.find(broker, &client_id.into())?;
        let left = state.sessions.get(session)?.link?;
        self.line.earliest(left).filter(|first| *first < at)
    }

    /// Returns the copy for whose PUBLISH the line waits; `None` where the first event does not wait.
    fn first(&self, state: &State) -> Option<Unexplained> {
        let Waiting {
            event: OwnedEvent::Packet(packet),
            kind: Kind::Copy(digest),
        } = self.line.events.values().next()?
        else {
            return None;
        };
        let waits = self.waits() && self.may_be_early(state, *digest);
        let copy = waits.then(|| copy_of(state, packet.connection, packet.stamp, *digest))??;
        (!is_explained(state, &copy)).then_some(copy)
    }

    /// Returns the first event of the line that the first copy waits for.
    fn wanted(&self, state: &State, first: &Unexplained) -> Option<u64> {
        let published = self.line.published.range((first.digest, 0)..);
        let published = published.take_while(|(digest, _)| *digest == first.digest);
        let pending = state.messages.pending(first.digest);
        let released = pending.filter_map(|connection| {
            let (of, at) = self.line.released.range((connection, 0)..).next()?;
            (*of == connection).then_some(*at)
        });
        let wanted = |at: &u64| {
            let one = self.line.events.get(at);
            one.is_some_and(|one| self.is_wanted(state, first, one))
        };
        let published = published.take(caps::CANDIDATES).map(|(_, at)| *at);
        published.chain(released).filter(wanted).min()
    }

    /// Returns whether an event is what the first copy waits for: its PUBLISH, or the PUBREL with
    /// which that takes effect.
    fn is_wanted(&self, state: &State, first: &Unexplained, one: &Waiting) -> bool {
        let right = match one.kind {
            Kind::Publish(digest) => digest == first.digest,
            Kind::Release => true,
            _ => false,
        };
        let OwnedEvent::Packet(packet) = &one.event else {
            return false;
        };
        let possible = packet.stamp.file != first.stamp.file || self.is_sure();
        let late = between(&first.stamp, &packet.stamp);
        right
            && possible
            && late.is_none_or(|late| late <= TIME)
            && packet.connection != first.connection
            && match one.kind {
                Kind::Release => {
                    let mut pending = state.messages.pending(first.digest);
                    pending.any(|connection| connection == packet.connection)
                }
                _ => packet.with_event(|packet| is_at(state, first, packet)),
            }
    }

    /// Returns whether the first copy has waited long enough, or too much waits behind it.
    fn is_over(&self) -> bool {
        let stamp = |one: &Waiting| stamp_of(&one.event);
        let mut events = self.line.events.values();
        let (first, last) = (events.next(), events.next_back());
        let waited = first.and_then(stamp).zip(last.and_then(stamp));
        let waited = waited.and_then(|(first, last)| between(&first, &last));
        let long = waited.is_some_and(|waited| waited > TIME);
        long || self.line.events.len() > EVENTS || self.line.bytes > BYTES
    }
}

impl Line {
    fn push(&mut self, one: Waiting) {
        let at = self.next;
        self.next += 1;
        self.bytes += size(&one.event);
        if let Some(connection) = one.event.connection() {
            self.by_connection.insert((connection, at));
            if one.kind == Kind::Release {
                self.released.insert((connection, at));
            }
        }
        if let Kind::Publish(digest) = one.kind {
            self.published.insert((digest, at));
        }
        self.events.insert(at, one);
    }

    /// Returns the first event of a connection.
    fn earliest(&self, connection: ConnectionId) -> Option<u64> {
        let (of, at) = self.by_connection.range((connection, 0)..).next()?;
        (*of == connection).then_some(*at)
    }

    fn take(&mut self, at: u64) -> Option<OwnedEvent> {
        let Waiting { event, kind } = self.events.remove(&at)?;
        self.bytes -= size(&event);
        if let Some(connection) = event.connection() {
            self.by_connection.remove(&(connection, at));
            self.released.remove(&(connection, at));
        }
        if let Kind::Publish(digest) = kind {
            self.published.remove(&(digest, at));
        }
        Some(event)
    }
}

/// Returns whether the subscriber of a copy waits for a message that it may be of.
fn is_explained(state: &State, copy: &Unexplained) -> bool {
    let mut expected = state.messages.expected(Some(copy.session), copy.digest);
    expected.any(|(_, route)| route.progress == Progress::Waiting)
}

/// Returns whether a client's packet goes to the broker of a copy.
fn is_at(state: &State, copy: &Unexplained, packet: &PacketEvent<'_>) -> bool {
    match state.links.get(&packet.connection) {
        Some(link) => link.broker == copy.broker,
        // Its connection began within the window.
        None => *packet.destination == copy.server,
    }
}

/// Returns a copy, where its subscriber is known.
fn copy_of(
    state: &State,
    connection: ConnectionId,
    stamp: FrameStamp,
    digest: u64,
) -> Option<Unexplained> {
    let link = state.links.get(&connection)?;
    Unexplained::on(link, stamp, digest)
}

/// Returns the digest of a server's PUBLISH that was sent for the first time, and not for being
/// stored: a stored message may be from before the capture.
fn copy_digest(state: &State, packet: &PacketEvent<'_>) -> Option<u64> {
    match packet.packet {
        Ok(ControlPacket::Publish(publish)) if !publish.dup && !publish.retain => {
            digest(state, packet)
        }
        _ => None,
    }
}

/// Returns the digest of the message of a PUBLISH, where it was captured whole.
fn digest(state: &State, packet: &PacketEvent<'_>) -> Option<u64> {
    let Ok(ControlPacket::Publish(publish)) = packet.packet else {
        return None;
    };
    let name = match publish.topic.is_empty() {
        true => packet.topic_resolved?,
        false => publish.topic,
    };
    let whole = packet.missing == 0 && name.len() <= caps::NAME;
    // Equal messages have one digest at every broker.
    whole.then(|| state.digest(state.topic(BrokerId::UNKNOWN, name), publish.payload))
}

/// Returns the bytes of a control packet that waits.
fn size(event: &OwnedEvent) -> usize {
    match event {
        OwnedEvent::Packet(packet) => packet.bytes.len(),
        _ => 0,
    }
}

/// Returns the frame of an event that comes from the capture.
fn stamp_of(event: &OwnedEvent) -> Option<FrameStamp> {
    Some(match event {
        OwnedEvent::Opened(opened) => opened.stamp,
        OwnedEvent::Packet(packet) => packet.stamp,
        OwnedEvent::Gap(gap) => gap.stamp,
        OwnedEvent::FirstEnd(end) => end.stamp,
        OwnedEvent::Ended(ended) => ended.stamp,
        OwnedEvent::Stalled(stalled) => stalled.stamp,
        OwnedEvent::Breach(breach) => breach.stamp,
        OwnedEvent::NotMqtt(other) => other.stamp,
        _ => return None,
    })
}
