//! The connections of one carrier, behind an interface that knows no protocol.

use std::fmt::Debug;

use slab::Slab;

use crate::base::limits::{Limit, Limits};
use crate::stream::Direction;

use super::carried::{Carrier, Lost, Shared, Sink};

/// A connection of one kind: the number of its slot.
pub type Slot = usize;

/// A carrier's connections and what they share: [`Carrier`] for many connections, so that it can
/// be a trait object.
///
/// A call for a slot that is free does nothing.
pub trait Kind: Debug {
    /// [`Carrier::open`].
    fn open(&mut self, direction: Direction, bytes: &[u8]) -> Option<Slot>;

    /// [`Carrier::join`].
    fn join(&mut self, direction: Direction, bytes: &[u8]) -> Option<(Slot, Vec<u8>)>;

    /// Keeps a connection that was opened or joined if there is room for it, else closes it.
    /// Returns its [`Carrier::client`] and [`Carrier::is_from_start`].
    fn admit(&mut self, slot: Slot, is_room: bool) -> Option<(Direction, bool)>;

    /// [`Carrier::announces_mqtt`].
    fn announces_mqtt(&self, slot: Slot) -> bool;

    /// [`Carrier::push`].
    fn push(&mut self, slot: Slot, direction: Direction, bytes: &[u8], sink: &mut Sink<'_>);

    /// [`Carrier::gap`].
    fn gap(&mut self, slot: Slot, direction: Direction, length: u64) -> Option<u64>;

    /// [`Carrier::close`]; the slot is free from then on.
    fn close(&mut self, slot: Slot);

    /// Returns the bytes lost since the last call.
    fn take_lost(&mut self) -> Lost;

    /// Returns the bytes held now.
    fn held(&self) -> usize;

    /// [`Carrier::learn`].
    fn learn(&mut self, secrets: &[u8]);

    /// [`Carrier::took`].
    fn took(&mut self, bytes: u64);

    /// [`Carrier::limits`] and that on connections.
    fn limits(&self) -> Vec<(Limit, u64)>;
}

/// All connections of a carrier.
#[derive(Debug)]
pub(super) struct Connections<C: Carrier> {
    shared: Shared<C::Own>,
    open: Slab<C>,
    most: usize,
    refused: u64,
}

impl<C: Carrier> Connections<C> {
    /// Makes the place for the connections of a run.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            shared: Shared {
                limits: *limits,
                lost: Lost::default(),
                held: 0,
                own: C::own(limits),
            },
            open: Slab::new(),
            most: C::CONNECTIONS.map_or(usize::MAX, |limit| limits.get(limit)),
            refused: 0,
        }
    }
}

impl<C: Carrier> Kind for Connections<C> {
    fn open(&mut self, direction: Direction, bytes: &[u8]) -> Option<Slot> {
        let opened = C::open(&self.shared, direction, bytes)?;
        Some(self.open.insert(opened))
    }

    fn join(&mut self, direction: Direction, bytes: &[u8]) -> Option<(Slot, Vec<u8>)> {
        let (joined, beginning) = C::join(direction, bytes)?;
        Some((self.open.insert(joined), beginning))
    }

    fn admit(&mut self, slot: Slot, is_room: bool) -> Option<(Direction, bool)> {
        let is_full = self.open.len() > self.most;
        self.refused += u64::from(is_room && is_full);
        if is_full || !is_room {
            self.close(slot);
        }
        let carrier = self.open.get(slot)?;
        Some((carrier.client(), carrier.is_from_start()))
    }

    fn announces_mqtt(&self, slot: Slot) -> bool {
        self.open.get(slot).is_some_and(C::announces_mqtt)
    }

    fn push(&mut self, slot: Slot, direction: Direction, bytes: &[u8], sink: &mut Sink<'_>) {
        if let Some(carrier) = self.open.get_mut(slot) {
            carrier.push(&mut self.shared, direction, bytes, sink);
        }
    }

    fn gap(&mut self, slot: Slot, direction: Direction, length: u64) -> Option<u64> {
        let carrier = self.open.get_mut(slot)?;
        carrier.gap(&mut self.shared, direction, length)
    }

    fn close(&mut self, slot: Slot) {
        if let Some(mut carrier) = self.open.try_remove(slot) {
            carrier.close(&mut self.shared);
        }
    }

    fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.shared.lost)
    }

    fn held(&self) -> usize {
        self.shared.held
    }

    fn learn(&mut self, secrets: &[u8]) {
        C::learn(&mut self.shared.own, secrets);
    }

    fn took(&mut self, bytes: u64) {
        C::took(&mut self.shared.own, bytes);
    }

    fn limits(&self) -> Vec<(Limit, u64)> {
        let mut limits = C::limits(&self.shared.own);
        limits.splice(0..0, C::CONNECTIONS.map(|limit| (limit, self.refused)));
        limits
    }
}
