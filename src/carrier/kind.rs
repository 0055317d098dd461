//! The connections of one carrier, behind an interface that knows no protocol.

use std::fmt::Debug;

use slab::Slab;

use crate::base::limits::{Limit, Limits};
use crate::stream::Direction;

use super::carried::{Carried, Carrier, Lost};

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

    /// Whether more connections are open than may be.
    fn is_overfull(&self) -> bool;

    /// Closes a connection that the limit does not leave room for.
    fn refuse(&mut self, slot: Slot);

    /// [`Carrier::client`] and [`Carrier::is_from_start`].
    fn origin(&self, slot: Slot) -> (Direction, bool);

    /// [`Carrier::announces_mqtt`].
    fn announces_mqtt(&self, slot: Slot) -> bool;

    /// [`Carrier::push`].
    fn push(
        &mut self,
        slot: Slot,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn FnMut(Carried<'_>),
    );

    /// [`Carrier::gap`].
    fn gap(&mut self, slot: Slot, direction: Direction, length: u64) -> Option<u64>;

    /// [`Carrier::close`]; the slot is free from then on.
    fn close(&mut self, slot: Slot);

    /// [`Carrier::lost`].
    fn lost(&self) -> Lost;

    /// [`Carrier::held`].
    fn held(&self) -> usize;

    /// [`Carrier::learn`].
    fn learn(&mut self, secrets: &[u8]);

    /// [`Carrier::limits`] and that on connections.
    fn limits(&self) -> Vec<(Limit, u64)>;
}

/// All connections of a carrier.
#[derive(Debug)]
pub(super) struct Connections<C: Carrier> {
    shared: C::Shared,
    open: Slab<C>,
    most: usize,
    refused: u64,
}

impl<C: Carrier> Connections<C> {
    /// Makes the place for the connections of a run.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            shared: C::shared(limits),
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

    fn is_overfull(&self) -> bool {
        self.open.len() > self.most
    }

    fn refuse(&mut self, slot: Slot) {
        self.refused += 1;
        self.close(slot);
    }

    fn origin(&self, slot: Slot) -> (Direction, bool) {
        let origin = |carrier: &C| (carrier.client(), carrier.is_from_start());
        self.open
            .get(slot)
            .map_or((Direction::Forward, false), origin)
    }

    fn announces_mqtt(&self, slot: Slot) -> bool {
        self.open.get(slot).is_some_and(C::announces_mqtt)
    }

    fn push(
        &mut self,
        slot: Slot,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn FnMut(Carried<'_>),
    ) {
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

    fn lost(&self) -> Lost {
        C::lost(&self.shared)
    }

    fn held(&self) -> usize {
        C::held(&self.shared)
    }

    fn learn(&mut self, secrets: &[u8]) {
        C::learn(&mut self.shared, secrets);
    }

    fn limits(&self) -> Vec<(Limit, u64)> {
        let own = C::CONNECTIONS.map(|limit| (limit, self.refused));
        let mut limits = Vec::from_iter(own);
        limits.extend(C::limits(&self.shared));
        limits
    }
}
