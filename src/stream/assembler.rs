//! The table of connections: segments in, events out, each with the listener's own state.
//!
//! An ordinary segment (a connection in good order, the next bytes) costs one look-up and
//! no allocation. Whatever else happens goes through `flow.rs`.

use std::collections::VecDeque;
use std::mem;

use super::emitter::owner;
use super::event::{Closed, Connection, ConnectionId, GapCause, StreamEvent};
use super::key::{Keys, Sender};
use super::limits::{Counts, Shared};
use super::slot::{Life, Slot};
use super::slots::Slots;
use super::trouble;
use super::waiting::Span;
use super::window::{Held, Window, begins, precedes};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::wire::{Segment, TcpFlags};

/// Puts the segments of every connection in order.
///
/// Each connection has a state `S` of the listener's own, which is made with the connection
/// and dropped right after its [`StreamEvent::Closed`]; so the listener needs no table.
///
/// A capture may begin in mid-connection: then the first bytes seen of a direction are its
/// first, they are emitted at once, and bytes from before them that come later (two segments
/// swapped just there) are counted as unplaced, since they can't be emitted in order any more.
#[derive(Default)]
pub struct Assembler<S> {
    keys: Keys,
    slots: Slots<S>,
    free: Vec<u32>,
    /// Slots whose connection closed, oldest first.
    to_free: VecDeque<u32>,
    /// Slots with waiting bytes, those that have waited longest first.
    to_flush: VecDeque<u32>,
    /// Where the search for a connection to evict goes on.
    hand: u32,
    next_id: u32,
    /// Segments that wait for others which stand behind them in the capture.
    window: Window,
    shared: Shared,
}

impl<S: Default> Assembler<S> {
    /// An empty table with these caps.
    pub fn new(limits: Limits) -> Self {
        let shared = Shared {
            limits,
            ..Shared::default()
        };
        Self {
            shared,
            ..Self::default()
        }
    }

    /// Returns the sums of everything pushed so far.
    pub fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Takes the next segment of the capture and emits what follows from it.
    ///
    /// Events of the other direction come first where the segment's acknowledgement gives
    /// up a hole there, so that what was answered is emitted before the answer.
    #[inline]
    pub fn push(
        &mut self,
        segment: &Segment<'_>,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let (found, sender) = self.keys.find(&segment.source, &segment.destination);
        if !self.window.is_empty() {
            self.push_behind(segment, deliver);
            return;
        }
        let Some(place) = found else {
            match self.may_follow_syn(segment) {
                true => self.window.push(segment),
                false => self.push_first(segment, sender, deliver),
            }
            return;
        };
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        slot.touched = true;
        let direction = slot.direction(sender);
        let peer = slot.flows.of(direction.reverse());
        let (peer_is_plain, acknowledged) = (peer.is_plain(), peer.next);
        let flow = slot.flows.of_mut(direction);
        const SPECIAL: u8 = TcpFlags::ACK | TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST;
        let ordinary = segment.flags.0 & SPECIAL == TcpFlags::ACK
            && segment.cut == 0
            && segment.payload.len() <= Span::LIMIT
            && flow.is_plain()
            && peer_is_plain
            && segment.sequence == flow.next
            && segment.acknowledgement.wrapping_sub(acknowledged) as i32 <= 0
            && segment.window != 0
            && slot.trouble.is_none()
            && slot.life == Life::Open;
        if !ordinary {
            let disorder = self.shared.counts.out_of_order > 0;
            if self.shared.limits.out_of_order > 0 && slot.is_early(segment, sender, disorder) {
                self.window.push(segment);
                return;
            }
            self.push_special(place, segment, sender, None, deliver);
            return;
        }
        if segment.payload.is_empty() {
            return;
        }
        flow.advance_plain(segment.payload.len() as u32);
        self.shared.counts.bytes += segment.payload.len() as u64;
        let owner = owner(slot.connection.id, direction);
        let samples = &mut self.shared.samples;
        samples.record(owner, segment.sequence, segment.payload);
        let event = StreamEvent::Bytes {
            direction,
            bytes: segment.payload,
            stamp: segment.stamp,
            layers: segment.layers,
        };
        deliver(&mut slot.state, &slot.connection, event);
    }

    /// A frame without a segment was read: what waits may have waited long enough.
    #[inline]
    pub fn pass(
        &mut self,
        stamp: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        if !self.window.is_empty() {
            self.close_window(stamp, deliver);
        }
    }

    /// The capture is over: what waits is emitted, with the holes before it, and every open
    /// connection is closed, in the order of their numbers. `last` is the last frame.
    pub fn finish(
        &mut self,
        last: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        while let Some(first) = self.window.take_first() {
            self.push_held(&first, deliver);
            self.settle_window(deliver);
        }
        let mut open: Vec<(ConnectionId, u32)> = (0..)
            .zip(self.slots.iter())
            .filter(|(_, slot)| slot.life == Life::Open)
            .map(|(place, slot)| (slot.connection.id, place))
            .collect();
        open.sort_unstable();
        for (_, place) in open {
            self.close(place, Closed::CaptureEnd, last, deliver);
        }
        *self = Self {
            shared: mem::take(&mut self.shared),
            next_id: self.next_id,
            ..Self::default()
        };
    }

    /// A segment comes while others wait.
    #[cold]
    fn push_behind(
        &mut self,
        segment: &Segment<'_>,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        // The first may have waited long enough before this one came.
        self.close_window(segment.stamp, deliver);
        let awaited = match self.window.get(0) {
            Some(first) => self.precedes(segment, &first.segment()),
            None => return self.push(segment, deliver),
        };
        self.window.push(segment);
        if awaited {
            self.settle_window(deliver);
        }
    }

    /// Takes segments from the window for which nothing has to be waited for, those first that were
    /// sent before the first.
    fn settle_window(&mut self, deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>)) {
        while let Some(first) = self.window.get(0) {
            let first = first.segment();
            let mut ready = 0;
            if self.is_early(&first) {
                let is_ready = |at: &usize| {
                    let later = self.window.get(*at).map(Held::segment);
                    later.is_some_and(|later| {
                        self.precedes(&later, &first) && !self.is_early(&later)
                    })
                };
                let Some(at) = (1..self.window.len()).find(is_ready) else {
                    return;
                };
                ready = at;
            }
            let before = *first.stamp;
            let first_resets = first.flags.has(TcpFlags::RST);
            let Some(held) = self.window.remove(ready) else {
                return;
            };
            // A RST that stands before bytes may be forged.
            if ready > 0 && !first_resets {
                let counts = &mut self.shared.counts;
                counts.note_out_of_order(held.segment().stamp, &before);
            }
            self.push_held(&held, deliver);
        }
    }

    /// Takes the segments of the window that have waited long enough.
    fn close_window(
        &mut self,
        stamp: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let limits = self.shared.limits;
        while (self.window).is_over(
            stamp,
            self.shared.counts.out_of_order > 0,
            limits.out_of_order,
            limits.waiting,
        ) && let Some(first) = self.window.take_first()
        {
            self.push_held(&first, deliver);
            self.settle_window(deliver);
        }
    }

    /// Takes a segment that has waited.
    fn push_held(
        &mut self,
        held: &Held,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let segment = &held.segment();
        let (found, sender) = self.keys.find(&segment.source, &segment.destination);
        let Some(place) = found else {
            self.push_first(segment, sender, deliver);
            return;
        };
        if let Some(slot) = self.slots.get_mut(place) {
            slot.touched = true;
        }
        self.push_special(place, segment, sender, Some(held), deliver);
    }

    /// Whether a segment waits for others of its connection.
    fn is_early(&self, segment: &Segment<'_>) -> bool {
        let (place, sender) = self.keys.find(&segment.source, &segment.destination);
        match place.and_then(|place| self.slots.get(place)) {
            Some(slot) => slot.is_early(segment, sender, self.shared.counts.out_of_order > 0),
            None => self.may_follow_syn(segment),
        }
    }

    /// Whether the SYN of a connection of which this is the first segment may stand later: in a
    /// capture out of order.
    fn may_follow_syn(&self, segment: &Segment<'_>) -> bool {
        let begins = segment.flags.has(TcpFlags::SYN) || segment.flags.has(TcpFlags::RST);
        self.shared.counts.out_of_order > 0 && !begins
    }

    /// Whether a segment was sent before the first of the window.
    fn precedes(&self, later: &Segment<'_>, first: &Segment<'_>) -> bool {
        let (place, sender) = self.keys.find(&first.source, &first.destination);
        match place.and_then(|place| self.slots.get(place)) {
            Some(slot) => begins(later, first) || precedes(later, first, slot.next(sender)),
            None => begins(later, first),
        }
    }

    #[cold]
    fn push_first(
        &mut self,
        segment: &Segment<'_>,
        sender: Sender,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let slot = self.new_slot(segment, sender);
        let place = match self.free_place(segment.stamp, deliver) {
            Some(place) => {
                self.replace(place, slot);
                place
            }
            None => self.slots.push(slot),
        };
        self.keys
            .insert(&segment.source, &segment.destination, place);
        self.push_special(place, segment, sender, None, deliver);
    }

    /// Anything but the next bytes of a connection in good order. `waited`: as in [`Slot::take`].
    #[inline(never)]
    fn push_special(
        &mut self,
        place: u32,
        segment: &Segment<'_>,
        sender: Sender,
        waited: Option<&Held>,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let Some(slot) = self.slots.get(place) else {
            return;
        };
        if slot.begins_anew(segment, sender, waited) {
            if slot.life == Life::Open {
                self.close(place, Closed::Replaced, segment.stamp, deliver);
            }
            let fresh = self.new_slot(segment, sender);
            self.replace(place, fresh);
        } else if slot.life != Life::Open {
            self.shared.counts.after_end_bytes += segment.payload.len() as u64;
            return;
        }
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        let closed = slot.take(segment, sender, waited, &mut self.shared, deliver);
        let queue = slot.has_waiting() && !slot.queued_to_flush;
        if queue {
            slot.queued_to_flush = true;
            self.to_flush.push_back(place);
        }
        if let Some(why) = closed {
            self.close(place, why, segment.stamp, deliver);
            self.linger(place);
        }
        self.keep_waiting_total(segment.stamp, deliver);
    }

    /// Numbers a new connection, which begins with `segment`.
    fn new_slot(&mut self, segment: &Segment<'_>, sender: Sender) -> Slot<S> {
        let id = ConnectionId(self.next_id);
        self.next_id = self.next_id.saturating_add(1);
        self.shared.counts.connections += 1;
        Slot::new(id, segment, sender)
    }

    /// Uses a slot for another connection; where it stands in queues, it goes on to stand.
    fn replace(&mut self, place: u32, fresh: Slot<S>) {
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = Slot {
                queued_to_free: slot.queued_to_free,
                queued_to_flush: slot.queued_to_flush,
                ..fresh
            };
        }
    }

    /// A slot for a new connection: a free one, or, when the table is full, that of a
    /// lingering or an evicted connection. `None` where the table may grow.
    fn free_place(
        &mut self,
        stamp: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let limit = self.shared.limits.connections.clamp(1, u32::MAX as usize);
        if self.slots.len() < limit {
            return None;
        }
        while let Some(place) = self.to_free.pop_front() {
            self.free(place);
            if let Some(place) = self.free.pop() {
                return Some(place);
            }
        }
        let place = self.silent_longest();
        self.shared.counts.evicted += 1;
        self.close(place, Closed::Evicted, stamp, deliver);
        if let Some(slot) = self.slots.get(place) {
            self.keys.remove(&slot.connection);
        }
        Some(place)
    }

    /// The connection to evict. The hand goes round the table and takes the first that got
    /// no segment since it last passed: close to the one silent longest, at a cost that the
    /// segments in between have paid for.
    fn silent_longest(&mut self) -> u32 {
        for _ in 0..=self.slots.len() {
            let place = self.hand;
            self.hand = if (place as usize) + 1 < self.slots.len() {
                place + 1
            } else {
                0
            };
            if let Some(slot) = self.slots.get_mut(place)
                && !mem::take(&mut slot.touched)
            {
                return place;
            }
        }
        self.hand
    }

    /// Emits what is left of a connection and that it is closed; its state is dropped.
    fn close(
        &mut self,
        place: u32,
        why: Closed,
        stamp: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        if slot.life != Life::Open {
            return;
        }
        slot.each_flow(stamp, &mut self.shared, deliver, |flow, emitter| {
            flow.flush(GapCause::EndOfCapture, emitter);
            if matches!(why, Closed::Reset | Closed::Refused) {
                flow.reset(emitter);
            }
        });
        if let Some(trouble) = slot.trouble.take() {
            self.shared.troubled -= 1;
            let (state, connection) = (&mut slot.state, &slot.connection);
            let mut emit = |event: StreamEvent<'_>| deliver(&mut *state, connection, event);
            trouble::finish(&trouble, connection, stamp, &mut emit);
        }
        let event = StreamEvent::Closed { why, stamp };
        deliver(&mut slot.state, &slot.connection, event);
        slot.state = S::default();
        slot.life = Life::Lingering;
    }

    /// Keeps a closed connection for a while, and lets the oldest such go.
    fn linger(&mut self, place: u32) {
        if let Some(slot) = self.slots.get_mut(place)
            && !mem::replace(&mut slot.queued_to_free, true)
        {
            self.to_free.push_back(place);
        }
        if self.to_free.len() > self.shared.limits.closed_connections
            && let Some(place) = self.to_free.pop_front()
        {
            self.free(place);
        }
    }

    /// Frees a slot that was taken from the queue of lingering connections, unless it is in
    /// use again.
    fn free(&mut self, place: u32) {
        let Some(slot) = self.slots.get_mut(place) else {
            return;
        };
        slot.queued_to_free = false;
        if slot.life != Life::Lingering {
            return;
        }
        slot.life = Life::Free;
        let connection = slot.connection;
        self.keys.remove(&connection);
        self.free.push(place);
    }

    /// Where too much waits in all, the connections that have waited longest give up their
    /// holes.
    fn keep_waiting_total(
        &mut self,
        stamp: &FrameStamp,
        deliver: &mut impl FnMut(&mut S, &Connection, StreamEvent<'_>),
    ) {
        while self.shared.waiting > self.shared.limits.waiting_all {
            let Some(place) = self.to_flush.pop_front() else {
                return;
            };
            let Some(slot) = self.slots.get_mut(place) else {
                continue;
            };
            slot.queued_to_flush = false;
            slot.each_flow(stamp, &mut self.shared, deliver, |flow, emitter| {
                while flow.give_up_first(emitter) {}
            });
            if slot.life == Life::Open && slot.has_ended() {
                self.close(place, Closed::Finished, stamp, deliver);
                self.linger(place);
            }
        }
    }
}

#[cfg(test)]
impl<S> Assembler<S> {
    /// Bytes waiting behind holes, as charged.
    pub(super) fn shared_waiting(&self) -> usize {
        self.shared.waiting
    }

    pub(super) fn slots_held(&self) -> usize {
        self.slots.len()
    }
}
