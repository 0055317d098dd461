//! The outbox: events that are to be emitted, handshakes in the order in which they began.

use std::collections::VecDeque;

use super::keys::Turn;
use crate::base::limits::Limits;
use crate::event::{
    Event, Finding, Handshake, Needs, RetainedSummary, SessionSummary, WillSummary,
};

/// An event of the analysis, owned until it is emitted.
#[derive(Debug)]
pub(crate) enum Output {
    /// A settled exchange of control packets.
    Handshake(Box<Handshake>),
    /// The fate of a will.
    Will(Box<WillSummary>),
    /// A stored message that was replaced, cleared or kept.
    Retained(Box<RetainedSummary>),
    /// A session that is over.
    Session(Box<SessionSummary>),
    /// A finding, emitted as soon as it is sure.
    Finding(Box<Finding>),
}

impl Output {
    fn event(&self) -> Event<'_> {
        match self {
            Self::Handshake(handshake) => Event::Handshake(handshake),
            Self::Will(will) => Event::Will(will),
            Self::Retained(retained) => Event::Retained(retained),
            Self::Session(session) => Event::Session(session),
            Self::Finding(finding) => Event::Finding(finding),
        }
    }
}

/// The state of a turn.
#[derive(Debug)]
enum Slot {
    Waiting,
    Ready(Box<Handshake>),
    Skipped,
}

/// The events that wait to be emitted.
///
/// Handshakes are emitted in the order of their first frames, as long as the wait for an early
/// one does not hold back more than [`Limits::reordered`] later ones, or more than
/// [`Limits::deliveries`] deliveries and filters of those.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// Handshakes are emitted at all.
    handshakes: bool,
    /// They are emitted in their turns; else turns only show what began before what.
    in_order: bool,
    limits: Limits,
    /// The turn of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    /// Deliveries and filters of the handshakes in slots.
    parts: usize,
    ready: Vec<Output>,
}

impl Outbox {
    /// Returns an empty outbox for what is wanted.
    pub(crate) fn new(wanted: Needs, limits: Limits) -> Self {
        Self {
            handshakes: wanted.handshakes,
            in_order: wanted.handshakes && wanted.in_order,
            limits,
            ..Self::default()
        }
    }

    /// Reserves the next turn for a handshake that begins.
    pub(crate) fn reserve(&mut self) -> Turn {
        let turn = Turn(self.first.saturating_add(self.slots.len() as u64));
        if !self.in_order {
            self.first = self.first.saturating_add(1);
            return turn;
        }
        self.slots.push_back(Slot::Waiting);
        if self.slots.len() > self.limits.reordered {
            self.give_front();
            self.advance();
        }
        turn
    }

    /// Emits a handshake in its turn, where handshakes are wanted.
    pub(crate) fn put_handshake(&mut self, turn: Turn, handshake: Box<Handshake>) {
        if !self.handshakes {
            return self.skip(turn);
        }
        let parts = parts(&handshake);
        match self.slot(turn) {
            Some(slot) => {
                *slot = Slot::Ready(handshake);
                self.parts += parts;
                while self.parts > self.limits.deliveries && !self.slots.is_empty() {
                    self.give_front();
                }
                self.advance();
            }
            None => self.ready.push(Output::Handshake(handshake)),
        }
    }

    /// Gives a turn up: no handshake is emitted in it.
    pub(crate) fn skip(&mut self, turn: Turn) {
        if let Some(slot) = self.slot(turn) {
            *slot = Slot::Skipped;
            self.advance();
        }
    }

    /// Emits an event at once, out of order.
    pub(crate) fn emit(&mut self, output: Output) {
        self.ready.push(output);
    }

    /// Hands what is ready to `emit`.
    pub(crate) fn drain(&mut self, emit: &mut impl FnMut(&Event<'_>)) {
        for output in self.ready.drain(..) {
            emit(&output.event());
        }
    }

    /// Makes everything ready that still waits for an earlier handshake.
    pub(crate) fn flush(&mut self) {
        while !self.slots.is_empty() {
            self.give_front();
        }
    }

    fn slot(&mut self, turn: Turn) -> Option<&mut Slot> {
        let at = turn.0.checked_sub(self.first)?;
        self.slots.get_mut(usize::try_from(at).ok()?)
    }

    fn advance(&mut self) {
        while matches!(self.slots.front(), Some(Slot::Ready(_) | Slot::Skipped)) {
            self.give_front();
        }
    }

    fn give_front(&mut self) {
        if let Some(slot) = self.slots.pop_front() {
            self.first = self.first.saturating_add(1);
            if let Slot::Ready(handshake) = slot {
                self.parts = self.parts.saturating_sub(parts(&handshake));
                self.ready.push(Output::Handshake(handshake));
            }
        }
    }
}

/// Returns what a handshake has thousands of, where it has any.
fn parts(handshake: &Handshake) -> usize {
    handshake.deliveries.len() + handshake.filters().len()
}
