//! Copies that stand in the capture before the PUBLISH that they are copies of: two capture points
//! whose clocks differ, or frames out of order.
//!
//! TCP does not show it, since publisher and subscriber have a connection each. So a copy that
//! nothing explains waits, and with it all that comes behind it; if its PUBLISH comes within the
//! window, that is taken first. This is done only where the two can stand in the wrong order: in
//! different files, or in a capture that has shown several such pairs.
//!
//! ```text
//! in the capture:   copy  SUBACK  PUBLISH          the line: copy, SUBACK
//! taken:            PUBLISH  copy  SUBACK
//! ```

use std::collections::VecDeque;

use super::caps;
use super::keys::{BrokerId, SessionKey};
use super::state::State;
use super::state::message::Progress;
use crate::base::{Endpoint, FrameStamp, Span};
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
/// Different messages whose copies stand before them in one file: fewer may be accidents.
const PAIRS: usize = 3;

/// Copies that stand before their PUBLISH, and the events behind them that wait.
#[derive(Debug, Default)]
pub(super) struct EarlyCopies {
    /// The first is a copy that nothing explains.
    line: VecDeque<Waiting>,
    /// Of the control packets in `line`.
    bytes: usize,
    /// The file of the first packet.
    file: Option<u16>,
    /// One of another file was seen.
    several_files: bool,
    /// The latest copies that nothing explained.
    unexplained: VecDeque<Unexplained>,
    /// Digests of the first few messages that stood behind their copies.
    seen: Vec<u64>,
    /// How many stood so.
    pairs: u64,
    /// Of those, the copy and the PUBLISH that are furthest from each other.
    widest: Option<[FrameStamp; 2]>,
    /// The message and the subscriber of a copy that went before the latest PUBLISH, and was taken
    /// for one of another.
    gone_before: Option<(u64, SessionKey)>,
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
    /// A client's PUBLISH of this digest: the copy may be of it.
    Publish(u64),
    /// A client's PUBREL, with which a QoS 2 message takes effect.
    Release,
    /// No part.
    Other,
}

/// A copy that nothing explains.
#[derive(Clone, Copy, Debug)]
struct Unexplained {
    broker: BrokerId,
    server: Endpoint,
    digest: u64,
    connection: ConnectionId,
    session: SessionKey,
    stamp: FrameStamp,
}

impl EarlyCopies {
    /// Returns whether something waits.
    #[inline]
    pub(super) fn is_waiting(&self) -> bool {
        !self.line.is_empty()
    }

    /// Observes an event while nothing waits; returns whether it has to wait.
    #[inline]
    pub(super) fn begins(&mut self, state: &State, event: &Event<'_>) -> bool {
        let Event::Packet(packet) = event else {
            return false;
        };
        let file = *self.file.get_or_insert(packet.stamp.file);
        self.several_files |= file != packet.stamp.file;
        packet.packet_type == PacketType::Publish && self.observe(state, packet)
    }

    /// Observes a PUBLISH; returns whether it has to wait.
    fn observe(&mut self, state: &State, packet: &PacketEvent<'_>) -> bool {
        if packet.sender == Sender::Client {
            if !self.unexplained.is_empty() {
                self.published(state, packet);
            }
            return false;
        }
        let waits = self.several_files || self.seen.len() >= PAIRS;
        let Some(copy) = unexplained(state, packet, waits) else {
            return false;
        };
        if !waits {
            if self.unexplained.len() >= REMEMBERED {
                self.unexplained.pop_front();
            }
            self.unexplained.push_back(copy);
        }
        waits
    }

    /// Observes a client's PUBLISH: a copy of it may have gone before it.
    fn published(&mut self, state: &State, packet: &PacketEvent<'_>) {
        // The copy of one that comes again and again may be of one before.
        let Some(digest) = digest(state, packet).filter(|one| self.may_be_early(state, *one))
        else {
            return;
        };
        let same = |copy: &&Unexplained| copy.digest == digest && copy.is_at(state, packet);
        // A client that passes on what it is sent publishes behind the copy, and rightly.
        let mut copies = self.unexplained.iter().filter(same);
        let passed_on = copies.any(|copy| copy.connection == packet.connection);
        let first = self.unexplained.iter().find(same).copied();
        self.unexplained.retain(|copy| copy.digest != digest);
        if let Some(copy) = first.filter(|_| !passed_on)
            && between(&copy.stamp, &packet.stamp).is_some_and(|late| late <= TIME)
        {
            // Else the copy may be of the equal message before.
            if !state.messages.has_come(digest) {
                self.note_pair(digest, [copy.stamp, packet.stamp]);
            }
            self.gone_before = Some((digest, copy.session));
        }
    }

    /// Returns whether a message may stand behind its copy: one that does not come again and again,
    /// or where others surely do.
    fn may_be_early(&self, state: &State, digest: u64) -> bool {
        self.several_files || self.seen.len() >= PAIRS || !state.messages.is_repeated(digest)
    }

    /// Returns digest and subscriber of a copy that had gone before the latest PUBLISH.
    #[inline]
    pub(super) fn take_gone_before(&mut self) -> Option<(u64, SessionKey)> {
        self.gone_before.take()
    }

    /// Notes a copy that stands before its PUBLISH.
    fn note_pair(&mut self, digest: u64, pair: [FrameStamp; 2]) {
        if self.seen.len() < PAIRS && !self.seen.contains(&digest) {
            self.seen.push(digest);
        }
        self.pairs += 1;
        let late = |[copy, publish]: [FrameStamp; 2]| between(&copy, &publish);
        if self.widest.is_none_or(|widest| late(pair) > late(widest)) {
            self.widest = Some(pair);
        }
    }

    /// Returns how many copies stand before their PUBLISH, and of the two furthest from each other
    /// the frames, where that is no accident.
    pub(super) fn found(&self) -> Option<(u64, [FrameStamp; 2])> {
        let [copy, publish] = self.widest?;
        let certain = copy.file != publish.file || self.seen.len() >= PAIRS;
        certain.then_some((self.pairs, [copy, publish]))
    }

    /// Has an event wait behind the others; returns whether some of them may be taken now.
    pub(super) fn push(&mut self, state: &State, event: &Event<'_>) -> bool {
        self.hold(state, event);
        let last = self.line.back();
        let first = last.and_then(|last| Some((self.first(state)?, last)));
        first.is_none_or(|(first, last)| self.is_wanted(state, &first, last)) || self.is_over()
    }

    /// Has an event wait.
    pub(super) fn hold(&mut self, state: &State, event: &Event<'_>) {
        let kind = match event {
            Event::Packet(packet) if packet.sender == Sender::Client => match packet.packet_type {
                PacketType::Publish => digest(state, packet).map_or(Kind::Other, Kind::Publish),
                PacketType::PubRel => Kind::Release,
                _ => Kind::Other,
            },
            _ => Kind::Other,
        };
        let event = OwnedEvent::from(event);
        self.bytes += size(&event);
        self.line.push_back(Waiting { event, kind });
    }

    /// Returns the next event to take: the first if nothing has to be waited for any more, or one
    /// that was sent before it. `over`: the capture is.
    pub(super) fn next(&mut self, state: &State, over: bool) -> Option<OwnedEvent> {
        let Some(first) = self.first(state) else {
            return self.take(0);
        };
        let wanted = |one: &Waiting| self.is_wanted(state, &first, one);
        let Some(at) = self.line.iter().position(wanted) else {
            return match over || self.is_over() {
                true => self.take(0),
                false => None,
            };
        };
        // What its connection brought before comes before it.
        let connection = self.line.get(at).and_then(|one| one.event.connection());
        let mut line = self.line.iter();
        let earlier = line.position(|one| one.event.connection() == connection);
        let earlier = earlier.unwrap_or(at);
        if let Some(Waiting {
            event: OwnedEvent::Packet(packet),
            kind: Kind::Publish(digest),
        }) = self.line.get(at)
            && earlier == at
        {
            self.note_pair(*digest, [first.stamp, packet.stamp]);
        }
        self.take(earlier)
    }

    fn take(&mut self, at: usize) -> Option<OwnedEvent> {
        let Waiting { event, .. } = self.line.remove(at)?;
        self.bytes -= size(&event);
        Some(event)
    }

    /// Returns the copy for whose PUBLISH the line waits; `None` where the first event does not wait.
    fn first(&self, state: &State) -> Option<Unexplained> {
        let OwnedEvent::Packet(packet) = &self.line.front()?.event else {
            return None;
        };
        let copy = packet.sender == Sender::Server && packet.packet_type == PacketType::Publish;
        let explain = |packet: &PacketEvent<'_>| unexplained(state, packet, true);
        copy.then(|| packet.with_event(explain)).flatten()
    }

    /// Returns whether an event is what the first copy waits for: its PUBLISH, or the PUBREL with
    /// which that takes effect.
    fn is_wanted(&self, state: &State, first: &Unexplained, one: &Waiting) -> bool {
        let right = match one.kind {
            Kind::Publish(digest) => digest == first.digest,
            Kind::Release => true,
            Kind::Other => false,
        };
        let OwnedEvent::Packet(packet) = &one.event else {
            return false;
        };
        let possible = packet.stamp.file != first.stamp.file
            || !self.seen.is_empty() && self.may_be_early(state, first.digest);
        let late = between(&first.stamp, &packet.stamp);
        right
            && possible
            && late.is_none_or(|late| late <= TIME)
            && packet.connection != first.connection
            && match one.kind {
                Kind::Release => state.messages.is_pending(first.digest, packet.connection),
                _ => packet.with_event(|packet| first.is_at(state, packet)),
            }
    }

    /// Returns whether the first copy has waited long enough, or too much waits behind it.
    fn is_over(&self) -> bool {
        let stamp = |one: &Waiting| stamp_of(&one.event);
        let (first, last) = (self.line.front(), self.line.back());
        let waited = first.and_then(stamp).zip(last.and_then(stamp));
        let waited = waited.and_then(|(first, last)| between(&first, &last));
        let long = waited.is_some_and(|waited| waited > TIME);
        long || self.line.len() > EVENTS || self.bytes > BYTES
    }
}

impl Unexplained {
    /// Returns whether a client's packet goes to the broker of the copy.
    fn is_at(&self, state: &State, packet: &PacketEvent<'_>) -> bool {
        match state.links.get(&packet.connection) {
            Some(link) => link.broker == self.broker,
            // Its connection began within the window.
            None => *packet.destination == self.server,
        }
    }
}

/// Returns a server's PUBLISH that nothing explains so far. `strict`: an equal message from before
/// does not either.
fn unexplained(state: &State, packet: &PacketEvent<'_>, strict: bool) -> Option<Unexplained> {
    let Ok(ControlPacket::Publish(publish)) = packet.packet else {
        return None;
    };
    let link = state.links.get(&packet.connection)?;
    let session = link.session.filter(|_| !publish.dup)?;
    let digest = digest(state, packet)?;
    let mut expected = state.messages.expected(Some(session), digest);
    let waits = expected.any(|(_, route)| route.progress == Progress::Waiting);
    if waits || (!strict && state.messages.holds(digest)) {
        return None;
    }
    // A stored one may be from before the capture.
    if publish.retain {
        return None;
    }
    Some(Unexplained {
        broker: link.broker,
        server: link.server,
        digest,
        connection: packet.connection,
        session,
        stamp: packet.stamp,
    })
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
        OwnedEvent::Ended(ended) => ended.stamp,
        OwnedEvent::Stalled(stalled) => stalled.stamp,
        OwnedEvent::Breach(breach) => breach.stamp,
        OwnedEvent::NotMqtt(other) => other.stamp,
        _ => return None,
    })
}
