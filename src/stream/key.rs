//! Finds the slot of a connection by its two ends.
//!
//! One table per IP family, so that an IPv4 look-up hashes 12 bytes and not 36. Both
//! directions of a connection have the same key: the lower end stands first.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use foldhash::fast::RandomState;

use super::event::Connection;
use crate::base::Endpoint;

/// Two addresses of `N` words, lower end first, and their ports. Words of 32 bits keep it at 12
/// and 36 bytes.
#[derive(Clone, Copy, Eq, PartialEq)]
struct Ends<const N: usize> {
    addresses: [[u32; N]; 2],
    ports: u32,
}

impl<const N: usize> Hash for Ends<N> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for [a, b] in self.addresses.as_flattened().as_chunks().0 {
            state.write_u64(u64::from(*a) << 32 | u64::from(*b));
        }
        state.write_u32(self.ports);
    }
}

enum Key {
    V4(Ends<1>),
    V6(Ends<4>),
}

/// Which end of a segment's connection sent it, as the key orders them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sender {
    Lower,
    Higher,
}

impl Sender {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Lower => Self::Higher,
            Self::Higher => Self::Lower,
        }
    }
}

/// Slots by connection ends.
#[derive(Default)]
pub(super) struct Keys {
    v4: HashMap<Ends<1>, u32, RandomState>,
    v6: HashMap<Ends<4>, u32, RandomState>,
}

impl Keys {
    /// The slot of the connection between these ends, if it has one, and which end of the
    /// key `source` is.
    #[inline]
    pub(super) fn find(&self, source: &Endpoint, destination: &Endpoint) -> (Option<u32>, Sender) {
        match key(source, destination) {
            (Key::V4(key), sender) => (self.v4.get(&key).copied(), sender),
            (Key::V6(key), sender) => (self.v6.get(&key).copied(), sender),
        }
    }

    pub(super) fn insert(&mut self, one: &Endpoint, other: &Endpoint, slot: u32) {
        match key(one, other).0 {
            Key::V4(key) => self.v4.insert(key, slot),
            Key::V6(key) => self.v6.insert(key, slot),
        };
    }

    pub(super) fn remove(&mut self, connection: &Connection) {
        match key(&connection.initiator, &connection.responder).0 {
            Key::V4(key) => self.v4.remove(&key),
            Key::V6(key) => self.v6.remove(&key),
        };
    }
}

#[inline]
fn key(source: &Endpoint, destination: &Endpoint) -> (Key, Sender) {
    if let (IpAddr::V4(from), IpAddr::V4(to)) = (source.address, destination.address) {
        // Each end in one word, so that they are put in order without a branch.
        let from = u64::from(from.to_bits()) << 16 | u64::from(source.port);
        let to = u64::from(to.to_bits()) << 16 | u64::from(destination.port);
        let (lower, higher) = (from.min(to), from.max(to));
        let key = Ends {
            addresses: [[(lower >> 16) as u32], [(higher >> 16) as u32]],
            ports: ports(lower as u16, higher as u16),
        };
        let sender = [Sender::Lower, Sender::Higher][usize::from(from > to)];
        return (Key::V4(key), sender);
    }
    let from = (bits(source.address), source.port);
    let to = (bits(destination.address), destination.port);
    let (lower, higher, sender) = if from <= to {
        (from, to, Sender::Lower)
    } else {
        (to, from, Sender::Higher)
    };
    let key = Ends {
        addresses: [words(lower.0), words(higher.0)],
        ports: ports(lower.1, higher.1),
    };
    (Key::V6(key), sender)
}

#[inline]
fn ports(lower: u16, higher: u16) -> u32 {
    u32::from(lower) << 16 | u32::from(higher)
}

/// Ends of different families never meet in one segment; should a caller bring them, they
/// still have a key.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn words(bits: u128) -> [u32; 4] {
    [96, 64, 32, 0].map(|shift| (bits >> shift) as u32)
}

#[cfg(test)]
mod tests {
    use super::super::event::ConnectionId;
    use super::*;

    fn end(address: &str, port: u16) -> Endpoint {
        Endpoint {
            address: address.parse().unwrap(),
            port,
        }
    }

    #[test]
    fn both_directions_find_the_same_slot_and_know_who_sent() {
        let mut keys = Keys::default();
        for (slot, (one, other)) in [
            (end("10.0.0.1", 40000), end("10.0.0.2", 1883)),
            (end("::1", 40000), end("::1", 1883)),
            (end("10.0.0.1", 1883), end("10.0.0.2", 40000)),
        ]
        .into_iter()
        .enumerate()
        {
            keys.insert(&one, &other, slot as u32);
            let (found, sender) = keys.find(&one, &other);
            let (back, peer) = keys.find(&other, &one);
            assert_eq!((found, back), (Some(slot as u32), Some(slot as u32)));
            assert_ne!(sender, peer);
        }
    }

    #[test]
    fn an_ipv4_address_and_its_mapped_ipv6_address_are_different_ends() {
        let mut keys = Keys::default();
        keys.insert(&end("10.0.0.1", 1), &end("10.0.0.2", 2), 7);
        let (found, _) = keys.find(&end("::ffff:10.0.0.1", 1), &end("::ffff:10.0.0.2", 2));
        assert_eq!(found, None);
        keys.remove(&Connection {
            id: ConnectionId(0),
            initiator: end("10.0.0.2", 2),
            responder: end("10.0.0.1", 1),
            handshake_seen: false,
            both_seen: true,
        });
        let (found, _) = keys.find(&end("10.0.0.1", 1), &end("10.0.0.2", 2));
        assert_eq!(found, None);
    }

    #[test]
    fn keys_are_compact() {
        assert_eq!(size_of::<(Ends<1>, u32)>(), 16);
        assert_eq!(size_of::<(Ends<4>, u32)>(), 40);
    }
}
