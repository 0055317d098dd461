//! The connections that are open, in slots: a packet's is looked up once, though it is out of
//! the table while the packet is acted on.

use foldhash::HashMap;

use super::link::Link;
use crate::stream::ConnectionId;

/// Where a connection that was taken out belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot(u32);

/// What is kept of each connection.
#[derive(Debug, Default)]
pub(super) struct Links {
    slots_of: HashMap<ConnectionId, u32>,
    /// Empty where one is taken out, or was removed.
    slots: Vec<Option<Box<Link>>>,
    /// Slots of those that were removed.
    free: Vec<u32>,
}

impl Links {
    pub(super) fn insert(&mut self, id: ConnectionId, link: Box<Link>) {
        let slots = &mut self.slots;
        let free = &mut self.free;
        let slot = *self.slots_of.entry(id).or_insert_with(|| {
            free.pop().unwrap_or_else(|| {
                slots.push(None);
                u32::try_from(slots.len() - 1).unwrap_or(u32::MAX)
            })
        });
        self.put_back(Slot(slot), link);
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Link> {
        let slot = self.slots_of.get(&id)?;
        self.slots.get(*slot as usize)?.as_deref()
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Link> {
        let slot = self.slots_of.get(&id)?;
        self.slots.get_mut(*slot as usize)?.as_deref_mut()
    }

    /// Takes a connection out, to be put back, so that it and the rest can be changed
    /// together.
    pub(super) fn take_out(&mut self, id: ConnectionId) -> Option<(Slot, Box<Link>)> {
        let slot = *self.slots_of.get(&id)?;
        let link = self.slots.get_mut(slot as usize)?.take()?;
        Some((Slot(slot), link))
    }

    pub(super) fn put_back(&mut self, slot: Slot, link: Box<Link>) {
        if let Some(place) = self.slots.get_mut(slot.0 as usize) {
            *place = Some(link);
        }
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Link>> {
        let slot = self.slots_of.remove(&id)?;
        self.free.push(slot);
        self.slots.get_mut(slot as usize)?.take()
    }

    /// In no order.
    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.slots_of.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::brokers::BrokerId;
    use super::*;
    use crate::base::{Endpoint, FrameStamp};
    use crate::stream::Connection;

    fn link(id: u32) -> Box<Link> {
        let end = Endpoint {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 1883,
        };
        let connection = Connection {
            id: ConnectionId(id),
            initiator: end,
            responder: end,
            handshake_seen: true,
        };
        let stamp = FrameStamp::default();
        Box::new(Link::new(&connection, (end, end), BrokerId(0), stamp))
    }

    #[test]
    fn a_link_is_found_under_its_own_connection_only() {
        let mut links = Links::default();
        for id in 0..4 {
            links.insert(ConnectionId(id), link(id));
        }
        assert_eq!(links.remove(ConnectionId(1)).map(|link| link.id.0), Some(1));
        links.insert(ConnectionId(7), link(7));
        links.insert(ConnectionId(8), link(8));
        let mut ids: Vec<_> = links.ids().map(|id| id.0).collect();
        ids.sort_unstable();
        assert_eq!(ids, [0, 2, 3, 7, 8]);
        for id in ids {
            let found = links.get(ConnectionId(id)).map(|link| link.id.0);
            assert_eq!(found, Some(id));
        }
        assert!(links.get(ConnectionId(1)).is_none());
    }

    #[test]
    fn a_link_that_is_taken_out_is_not_there_until_it_is_put_back() {
        let mut links = Links::default();
        links.insert(ConnectionId(1), link(1));
        let (slot, taken) = links.take_out(ConnectionId(1)).unwrap();
        assert!(links.get_mut(ConnectionId(1)).is_none());
        assert!(links.take_out(ConnectionId(1)).is_none());
        links.put_back(slot, taken);
        assert!(links.get_mut(ConnectionId(1)).is_some());
    }
}
