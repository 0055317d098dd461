//! What is to be told, in the order in which it began.

use std::collections::VecDeque;

use crate::base::limits::Limits;
use crate::base::wanted_soon;
use crate::event::{
    Event, Finding, Handshake, HandshakeKind, MessageDelivery, RetainedSummary, SessionSummary,
    Subject, WillSummary,
};

/// Something to tell.
#[derive(Debug)]
pub(super) enum Told {
    Handshake(Box<Handshake>),
    Will(Box<WillSummary>),
    Retained(Box<RetainedSummary>),
    Session(Box<SessionSummary>),
    Finding(Box<Finding>),
}

impl Told {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Handshake(told) => Event::Handshake(told),
            Self::Will(told) => Event::Will(told),
            Self::Retained(told) => Event::Retained(told),
            Self::Session(told) => Event::Session(told),
            Self::Finding(told) => Event::Finding(told),
        }
    }
}

/// A place in the order of telling, reserved when a story begins.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Place(u64);

#[derive(Debug)]
enum Slot {
    Waiting,
    Ready(Told),
    Given,
}

/// Stories are told in the order of their first frames, as long as the wait for an early one
/// does not hold back more than [`Limits::reordered`] later ones.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Handshakes are told in their places; else places only say what began before what.
    pub(super) in_order: bool,
    pub(super) limits: Limits,
    first: u64,
    slots: VecDeque<Slot>,
    ready: Vec<Told>,
    /// Handshakes that have been told, to be used again with the room that their steps have:
    /// those of one step, and others.
    #[expect(
        clippy::vec_box,
        reason = "they go in and out, and are told, in their boxes"
    )]
    spare: [Vec<Box<Handshake>>; 2],
    /// Room that deliveries have left.
    legs: Vec<Vec<MessageDelivery>>,
}

/// Handshakes that are kept for use. An early one that goes on holds many back, which are told
/// at once then: half as many as there may be are kept, for the next time.
const SPARE: usize = Limits::DEFAULT.reordered / 2;

impl Outbox {
    pub(super) fn reserve(&mut self) -> Place {
        let place = Place(self.first.saturating_add(self.slots.len() as u64));
        if !self.in_order {
            self.first = self.first.saturating_add(1);
            return place;
        }
        self.slots.push_back(Slot::Waiting);
        if self.slots.len() > self.limits.reordered {
            self.give_front();
            self.advance();
        }
        place
    }

    /// Tells what belongs at `place`.
    pub(super) fn put(&mut self, place: Place, told: Told) {
        match self.slot(place) {
            Some(slot) => {
                *slot = Slot::Ready(told);
                self.advance();
            }
            None => self.ready.push(told),
        }
    }

    /// Nothing will be told at `place`.
    pub(super) fn skip(&mut self, place: Place) {
        if let Some(slot) = self.slot(place) {
            *slot = Slot::Given;
            self.advance();
        }
    }

    /// Tells at once, out of order.
    pub(super) fn now(&mut self, told: Told) {
        self.ready.push(told);
    }

    pub(super) fn drain(&mut self, emit: &mut impl FnMut(&Event<'_>)) {
        if self.ready.is_empty() {
            return;
        }
        let mut ready = std::mem::take(&mut self.ready);
        for told in ready.drain(..) {
            emit(&told.event());
            if let Told::Handshake(record) = told {
                self.spare(record);
            }
        }
        self.ready = ready;
    }

    /// A handshake that is used again, where there is one; all that [`Self::spare`] takes out
    /// of it is to be filled in, and the rest to be written anew.
    pub(super) fn spared(&mut self, kind: HandshakeKind) -> Option<Box<Handshake>> {
        self.spare_of(kind).pop()
    }

    #[expect(clippy::vec_box, reason = "see `spare`")]
    fn spare_of(&mut self, kind: HandshakeKind) -> &mut Vec<Box<Handshake>> {
        let [single, others] = &mut self.spare;
        match kind {
            HandshakeKind::Qos0 => single,
            _ => others,
        }
    }

    /// Room for the deliveries of a message that is told now.
    pub(super) fn room_for_legs(&mut self) -> Vec<MessageDelivery> {
        self.legs.pop().unwrap_or_default()
    }

    /// Takes a handshake that is of no more use.
    pub(super) fn spare(&mut self, mut record: Box<Handshake>) {
        /// A few have very many legs; their room is given back.
        const LEGS: usize = 64;
        let mut legs = std::mem::take(&mut record.deliveries);
        legs.clear();
        if (1..=LEGS).contains(&legs.capacity()) && self.legs.is_empty() {
            self.legs.push(legs);
        }
        let spare = self.spare_of(record.kind);
        if spare.len() < SPARE {
            record.steps.clear();
            record.subject = Subject::Nothing;
            record.client_id = None;
            record.origin = None;
            spare.push(record);
        }
    }

    /// Lets everything go that still waits for an earlier story.
    pub(super) fn flush(&mut self) {
        while !self.slots.is_empty() {
            self.give_front();
        }
    }

    /// Has what is told next brought near: those that waited for an earlier one are far away by
    /// now. The record of the one after the next, and what that of the next points to, which
    /// has come by then, if something was done since; in a burst it may not.
    fn fetch_next(&self) {
        let mut next = self.slots.iter();
        if let Some(Slot::Ready(Told::Handshake(next))) = next.next()
            && let ([first, ..], Some(last)) = (next.steps.as_slice(), next.steps.last())
        {
            wanted_soon(first);
            wanted_soon(last);
        }
        if let Some(Slot::Ready(Told::Handshake(after))) = next.next() {
            wanted_soon(&**after);
        }
    }

    fn slot(&mut self, place: Place) -> Option<&mut Slot> {
        let at = place.0.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    fn advance(&mut self) {
        while matches!(self.slots.front(), Some(Slot::Ready(_) | Slot::Given)) {
            self.give_front();
        }
    }

    fn give_front(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.first = self.first.saturating_add(1);
            if let Slot::Ready(told) = slot {
                self.ready.push(told);
            }
            self.fetch_next();
        }
    }
}
