//! One connection: its two directions, the listener's state, and which segments are its own.

use super::direction::{ByDirection, DIRECTIONS, Direction};
use super::emitter::Emitter;
use super::event::{Closed, Connection, ConnectionId, GapCause, Stall, StreamEvent};
use super::flow::Flow;
use super::key::Sender;
use super::limits::Shared;
use super::trouble::{self, Trouble};
use super::waiting::Span;
use super::window::Held;
use crate::base::{FrameStamp, Layers};
use crate::wire::{Segment, TcpFlags};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Life {
    /// In no table; waits to be used again.
    Free,
    Open,
    /// Closed, and its event emitted; kept so that what still comes of it opens no new connection.
    Lingering,
}

/// One connection of the table.
///
/// With 100,000 of them each segment waits for its slot's cache lines to come from memory.
/// What every segment asks comes first and in one pair of lines; the listener's state, which
/// a segment without payload never touches, comes last.
#[repr(C, align(64))]
pub(super) struct Slot<S> {
    pub(super) life: Life,
    /// Which end of the key the initiator is.
    pub(super) initiator: Sender,
    /// A segment came since the eviction hand last passed.
    pub(super) touched: bool,
    /// Whose segments came, by direction.
    pub(super) seen: [bool; 2],
    /// Stands in the queue of lingering connections. As a mark of the slot and not of its
    /// connection, it keeps each slot in the queue at most once.
    pub(super) queued_to_free: bool,
    /// The same for the queue of connections with waiting bytes.
    pub(super) queued_to_flush: bool,
    /// The end in whose name a RST came that stood where none was expected.
    pub(super) doubtful: Option<Sender>,
    pub(super) flows: ByDirection<Flow>,
    /// Signs of trouble, where there are any.
    pub(super) trouble: Option<Box<Trouble>>,
    pub(super) connection: Connection,
    pub(super) state: S,
}

impl<S> Slot<S> {
    /// A new connection, which begins with `segment`.
    pub(super) fn new(id: ConnectionId, segment: &Segment<'_>, sender: Sender) -> Self
    where
        S: Default,
    {
        let syn = segment.flags.has(TcpFlags::SYN);
        let answer = syn && segment.flags.has(TcpFlags::ACK);
        let (initiator, responder) = if answer {
            (segment.destination, segment.source)
        } else {
            (segment.source, segment.destination)
        };
        Self {
            connection: Connection {
                id,
                initiator,
                responder,
                handshake_seen: syn,
                both_seen: false,
            },
            seen: [false; 2],
            flows: ByDirection::default(),
            trouble: None,
            state: S::default(),
            life: Life::Open,
            initiator: if answer { sender.other() } else { sender },
            touched: true,
            queued_to_free: false,
            queued_to_flush: false,
            doubtful: None,
        }
    }

    pub(super) fn direction(&self, sender: Sender) -> Direction {
        DIRECTIONS[usize::from(sender != self.initiator)]
    }

    fn flow(&self, direction: Direction) -> &Flow {
        self.flows.of(direction)
    }

    /// Where the direction of an end goes on, and the other.
    pub(super) fn next(&self, sender: Sender) -> (u32, u32) {
        let direction = self.direction(sender);
        let (flow, peer) = (self.flow(direction), self.flow(direction.reverse()));
        (flow.next, peer.next)
    }

    pub(super) fn has_waiting(&self) -> bool {
        DIRECTIONS.iter().any(|&way| self.flow(way).has_waiting())
    }

    /// Whether `segment` begins a new connection between the ends of an old one.
    ///
    /// A SYN does whose number is not the old connection's, or that follows the old one's end
    /// (a client that was refused tries again with the same number); the same SYN again is a
    /// retransmission. A SYN-ACK does where it answers a SYN of another number.
    ///
    /// `waited`: others stood before it for which it had to wait.
    pub(super) fn begins_anew(
        &self,
        segment: &Segment<'_>,
        sender: Sender,
        waited: Option<&Held>,
    ) -> bool {
        if segment.flags.has(TcpFlags::RST) {
            return false;
        }
        let direction = self.direction(sender);
        let flow = self.flow(direction);
        let peer = self.flow(direction.reverse());
        let lingering = self.life != Life::Open;
        if !segment.flags.has(TcpFlags::SYN) {
            // Bytes far from where the closed connection ended are another connection's, whose
            // SYN was not captured. Where a doubtful RST closed it, it goes on with the next bytes;
            // those of the other end may have been on their way when the RST came.
            let end = self
                .doubtful
                .filter(|end| *end == sender || waited.is_none());
            let goes_on = end.is_some() && segment.sequence == flow.next;
            let elsewhere = !flow.reaches(segment.sequence);
            return lingering && !segment.payload.is_empty() && (elsewhere || goes_on);
        }
        let first = segment.sequence.wrapping_add(1);
        if !segment.flags.has(TcpFlags::ACK) {
            let other = flow.begins_at(first).map(|same| !same);
            return lingering || other.unwrap_or(peer.has_begun() && !peer.has_syn());
        }
        let answers = peer
            .begins_at(segment.acknowledgement)
            .unwrap_or(!lingering);
        let answers_bytes = peer.has_begun() && peer.next == segment.acknowledgement;
        if answers || (answers_bytes && !flow.has_syn()) {
            return false;
        }
        // An answer to something else: another connection, unless this one has only begun.
        flow.begins_at(first) != Some(true) && (lingering || peer.has_begun() || !peer.has_syn())
    }

    /// Returns whether a RST of this connection is one that the peer does not believe (RFC 5961 §3.2).
    pub(super) fn doubts(&self, segment: &Segment<'_>, sender: Sender) -> bool {
        let flow = self.flow(self.direction(sender));
        let is_open = self.life == Life::Open && segment.flags.has(TcpFlags::RST);
        is_open && !flow.expects_reset(segment.sequence) && !flow.is_older(segment.sequence)
    }

    /// Returns whether a segment acknowledges bytes that have not come, or resets the connection
    /// where none was expected: they may stand later in the capture, or show that it goes on. One wait
    /// is enough: until something of that direction comes, the capture does not hold it. In a capture
    /// in `disorder` the answer to its SYN may stand later too.
    pub(super) fn is_early(&self, segment: &Segment<'_>, sender: Sender, disorder: bool) -> bool {
        let direction = self.direction(sender);
        let (flow, peer) = (self.flow(direction), self.flow(direction.reverse()));
        let flags = segment.flags;
        if self.life != Life::Open || flags.has(TcpFlags::SYN) {
            return false;
        }
        let answered = flow.is_based() || !segment.payload.is_empty();
        (self.doubts(segment, sender) && self.doubtful.is_none())
            || (flags.has(TcpFlags::RST) && flow.unseen() == 0 && flow.lacks(segment.sequence))
            || (flags.has(TcpFlags::ACK)
                && peer.unseen() == 0
                && peer.lacks(segment.acknowledgement)
                && !peer.is_challenged(answered))
            || (disorder && flags.has(TcpFlags::ACK) && flow.has_syn() && !peer.is_based())
    }

    /// Takes a segment of this connection; returns why it closes if it does. `waited`: as in
    /// [`begins_anew`](Self::begins_anew).
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        sender: Sender,
        waited: Option<&Held>,
        shared: &mut Shared,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) -> Option<Closed> {
        let direction = self.direction(sender);
        let flags = segment.flags;
        let doubts = self.doubts(segment, sender);
        let sends_more = waited.is_some_and(|held| held.gone_on);
        let gone_on = doubts && (sends_more || self.doubtful.is_some());
        let first_doubt = doubts && self.doubtful.is_none();
        if doubts {
            self.doubtful = Some(sender);
        }
        let (syn, ack) = (flags.has(TcpFlags::SYN), flags.has(TcpFlags::ACK));
        self.connection.handshake_seen |= syn;
        // The first segment of an end is never an ordinary one.
        if !self.seen[direction as usize] {
            self.seen[direction as usize] = true;
            self.flows.of_mut(direction).show();
        }
        self.connection.both_seen = self.seen == [true; 2];
        let connection = &self.connection;
        let state = &mut self.state;
        let emitter = &mut Emitter {
            direction: direction.reverse(),
            stamp: *segment.stamp,
            layers: segment.layers,
            connection: connection.id,
            shared,
            emit: &mut |event| deliver(state, connection, event),
        };
        let (flow, peer) = self.flows.pair_mut(direction);
        let span = Span::new(segment.payload, segment.cut);
        if flags.has(TcpFlags::RST) {
            emitter.shared.counts.unplaced_bytes += segment.payload.len() as u64;
            // The end of its sender's direction comes first: it names who reset the connection.
            emitter.direction = direction;
            if gone_on || !flow.allows_reset(segment.sequence) {
                emitter.shared.counts.ignored_segments += 1;
                if first_doubt {
                    emitter.not_ended(Stall::FalseReset, segment.stamp);
                }
                return None;
            }
            flow.flush(GapCause::EndOfCapture, emitter);
            flow.reset(emitter);
            let answers = flags.has(TcpFlags::ACK) && segment.acknowledgement == peer.start;
            let only_syn = peer.has_syn() && !peer.has_begun() && !flow.is_based();
            return Some(match answers && only_syn {
                true => Closed::Refused,
                false => Closed::Reset,
            });
        }
        let first = segment.sequence.wrapping_add(u32::from(syn));
        if ack && !syn {
            let next = flow.is_based().then_some(flow.next);
            if let Some(since) =
                trouble::observe(&mut self.trouble, direction, segment, next, emitter.shared)
            {
                (emitter.emit)(StreamEvent::Stalled {
                    direction,
                    stall: Stall::ZeroWindow,
                    since: &since,
                    lasting: false,
                    stamp: segment.stamp,
                });
            }
        }
        if syn {
            flow.begin_by_syn(first);
        }
        // What is acknowledged behind its own SYN, before anything else, is the SYN of the other end.
        let shows_syn = syn || (flow.has_syn() && !flow.has_begun() && flow.start == first);
        if ack && shows_syn && !peer.is_based() {
            peer.begin_by_syn(segment.acknowledgement);
            peer.hide();
        } else if ack {
            let answered = flow.is_based() || !span.is_empty();
            peer.acknowledge(segment.acknowledgement, answered, emitter);
        }
        emitter.direction = direction;
        if span.is_empty() {
            flow.note_sent(first);
        } else {
            flow.take(first, span, flags.has(TcpFlags::PSH), emitter);
        }
        if flags.has(TcpFlags::FIN) {
            flow.finish(first.wrapping_add(span.len()), emitter);
        }
        self.has_ended().then_some(Closed::Finished)
    }

    /// Whether both directions have ended.
    pub(super) fn has_ended(&self) -> bool {
        DIRECTIONS.iter().all(|&way| self.flow(way).has_ended())
    }

    /// Acts on both directions, with `stamp` as the frame being read.
    pub(super) fn each_flow(
        &mut self,
        stamp: &FrameStamp,
        shared: &mut Shared,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
        mut act: impl FnMut(&mut Flow, &mut Emitter<'_>),
    ) {
        let connection = &self.connection;
        let state = &mut self.state;
        let mut emitter = Emitter {
            direction: Direction::Forward,
            stamp: *stamp,
            layers: &Layers::default(),
            connection: connection.id,
            shared,
            emit: &mut |event| deliver(state, connection, event),
        };
        for direction in DIRECTIONS {
            emitter.direction = direction;
            act(self.flows.of_mut(direction), &mut emitter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_takes_little_memory() {
        assert!(size_of::<Slot<()>>() <= 192);
    }
}
