//! The connections that are open.

use foldhash::HashMap;
use slab::Slab;

use super::link::Link;
use crate::stream::ConnectionId;

/// A place that a connection was taken out of, to be put back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot(usize);

/// The open connections, in slots: a packet's is looked up once, though it is out of the table
/// while the packet is acted on.
#[derive(Debug, Default)]
pub(crate) struct Links {
    slots_of: HashMap<ConnectionId, usize>,
    /// `None` while one is taken out.
    slots: Slab<Option<Box<Link>>>,
}

impl Links {
    /// Adds a connection, in place of one of the same number.
    pub(crate) fn insert(&mut self, link: Link) {
        let id = link.id;
        self.remove(id);
        let slot = self.slots.insert(Some(Box::new(link)));
        self.slots_of.insert(id, slot);
    }

    /// Returns a connection; `None` for one that is taken out.
    pub(crate) fn get(&self, id: ConnectionId) -> Option<&Link> {
        self.slots.get(*self.slots_of.get(&id)?)?.as_deref()
    }

    /// Returns a connection, to be changed; `None` for one that is taken out.
    pub(crate) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        self.slots.get_mut(*self.slots_of.get(&id)?)?.as_deref_mut()
    }

    /// Takes a connection out, to be put back, so that it and the rest can be changed together.
    pub(crate) fn take_out(&mut self, id: ConnectionId) -> Option<(Slot, Box<Link>)> {
        let slot = *self.slots_of.get(&id)?;
        Some((Slot(slot), self.slots.get_mut(slot)?.take()?))
    }

    /// Puts a connection back that was taken out.
    pub(crate) fn put_back(&mut self, slot: Slot, link: Box<Link>) {
        if let Some(place) = self.slots.get_mut(slot.0) {
            *place = Some(link);
        }
    }

    /// Removes a connection that has ended.
    pub(crate) fn remove(&mut self, id: ConnectionId) -> Option<Box<Link>> {
        self.slots.try_remove(self.slots_of.remove(&id)?)?
    }

    /// Returns the numbers of all, in ascending order.
    pub(crate) fn ids(&self) -> Vec<ConnectionId> {
        let mut ids: Vec<_> = self.slots_of.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}
