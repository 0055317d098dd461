//! What was published on each topic.
//!
//! A capture speaks of its topics in no order, so what is kept of one is seldom at hand when
//! the next packet names it: a packet touches few lines of memory here, and waits for fewer.

use super::places::{Name, Places};
use crate::base::{Span, Timestamp};
use crate::event::PacketEvent;
use crate::mqtt::Sender;
use crate::mqtt::packet::Publish;

/// Topics told one by one.
pub const MOST_TOPICS: usize = 100_000;
/// Octets of their names.
pub const MOST_TOPIC_OCTETS: usize = 64 << 20;
/// Publishers and subscribers of one topic that are told apart.
pub const MOST_PEERS: usize = 1_000;

/// Every topic up to the caps.
#[derive(Debug, Default)]
pub struct Topics {
    places: Places,
    told: Vec<Told>,
    /// Octets of their names.
    octets: usize,
    /// Messages on topics beyond the caps.
    others: Topic,
}

/// A topic: four lines of memory.
#[derive(Debug)]
#[repr(align(64))]
struct Told {
    name: Name,
    topic: Topic,
}

impl Topics {
    /// Where messages on the topic `name` are counted.
    #[inline]
    pub(super) fn entry(&mut self, name: &str) -> &mut Topic {
        let hash = self.places.hash(name);
        let is = |place: usize| {
            let told = self.told.get(place);
            told.is_some_and(|told| told.name.octets() == name.as_bytes())
        };
        let place = match self.places.find(hash, is) {
            Some(place) => place,
            None => self.place_for(name, hash),
        };
        match self.told.get_mut(place) {
            Some(told) => &mut told.topic,
            None => &mut self.others,
        }
    }

    /// The place of a new topic; one that there is not, where it has none.
    #[cold]
    fn place_for(&mut self, name: &str, hash: u64) -> usize {
        let octets = self.octets + name.len();
        let place = self.told.len();
        if place == MOST_TOPICS || octets > MOST_TOPIC_OCTETS {
            return usize::MAX;
        }
        self.octets = octets;
        let hash_of = |places: &Places, place: usize| {
            let told = self.told.get(place);
            told.map_or(0, |told| places.hash(told.name.text()))
        };
        self.places.insert(hash, place, hash_of);
        self.told.push(Told {
            name: Name::new(name),
            topic: Topic::default(),
        });
        place
    }

    /// Each topic that is told, with its name, in the order of their first messages.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Topic)> {
        (self.told.iter()).map(|told| (told.name.text(), &told.topic))
    }

    /// Messages on topics beyond the caps.
    pub fn others(&self) -> &Topic {
        &self.others
    }
}

/// What was published on one topic.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    clients: Side,
    servers: Side,
    /// Octets of payload that clients published.
    pub octets: u64,
    /// Of the packets from clients, by QoS.
    pub qos: [u64; 3],
    /// PUBLISH packets from clients with RETAIN.
    pub retained: u64,
}

/// The PUBLISH packets from one side: a line of memory.
#[derive(Clone, Debug, Default)]
#[repr(align(64))]
struct Side {
    packets: u64,
    /// The first and the last.
    times: Option<(Timestamp, Timestamp)>,
    connections: Peers,
}

impl Topic {
    pub(super) fn add(&mut self, seen: &PacketEvent<'_>, publish: &Publish<'_>) {
        let side = match seen.sender {
            Sender::Client => {
                self.octets += publish.payload.len() as u64;
                self.retained += u64::from(publish.retain);
                if let Some(count) = self.qos.get_mut(publish.delivery.qos() as usize) {
                    *count += 1;
                }
                &mut self.clients
            }
            Sender::Server => &mut self.servers,
        };
        side.packets += 1;
        side.connections.add(seen.connection.0);
        if let Some(now) = seen.stamp.time {
            let first = side.times.map_or(now, |(first, _)| first);
            side.times = Some((first, now));
        }
    }

    /// PUBLISH packets from clients.
    pub fn published(&self) -> u64 {
        self.clients.packets
    }

    /// PUBLISH packets from servers.
    pub fn delivered(&self) -> u64 {
        self.servers.packets
    }

    /// PUBLISH packets of both.
    pub fn messages(&self) -> u64 {
        self.published() + self.delivered()
    }

    /// Connections that published, at most [`MOST_PEERS`].
    pub fn publishers(&self) -> usize {
        self.clients.connections.told.len()
    }

    /// Connections that received, at most [`MOST_PEERS`].
    pub fn subscribers(&self) -> usize {
        self.servers.connections.told.len()
    }

    /// How many messages clients published and in how long; of what servers sent where no
    /// client's PUBLISH was seen.
    fn counted(&self) -> Option<(u64, Span)> {
        let side = match self.published() {
            0 => &self.servers,
            _ => &self.clients,
        };
        let (first, last) = side.times?;
        Some((side.packets, last.since(first)))
    }

    /// From the first message to the last.
    pub fn span(&self) -> Option<Span> {
        self.counted().map(|(_, span)| span)
    }

    /// Messages a second between the first and the last.
    pub fn rate(&self) -> Option<f64> {
        let (count, span) = self.counted()?;
        let seconds = span.seconds();
        (seconds > 0.0 && count > 1).then(|| (count - 1) as f64 / seconds)
    }
}

/// Connections, each counted once, up to [`MOST_PEERS`].
#[derive(Clone, Debug, Default)]
struct Peers {
    /// In order where they are more than [`LOOKED_THROUGH`].
    told: Vec<u32>,
}

/// Connections that are looked through one after the other, many at once: where each of the
/// next searched may lie cannot be foreseen, and that cost more than all of the comparisons.
const LOOKED_THROUGH: usize = 64;

impl Peers {
    #[inline]
    fn add(&mut self, connection: u32) {
        if self.told.len() > LOOKED_THROUGH {
            self.add_to_many(connection);
        } else if !self.told.contains(&connection) {
            self.told.push(connection);
            if self.told.len() > LOOKED_THROUGH {
                self.told.sort_unstable();
            }
        }
    }

    #[inline(never)]
    fn add_to_many(&mut self, connection: u32) {
        if self.told.len() < MOST_PEERS
            && let Err(at) = self.told.binary_search(&connection)
        {
            self.told.insert(at, connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_published_messages() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let side = |packets, last| Side {
            packets,
            times: Some((at(0), at(last))),
            ..Side::default()
        };
        let mut topic = Topic {
            clients: side(3, 4),
            servers: side(9, 1),
            ..Topic::default()
        };
        assert_eq!(topic.rate(), Some(0.5));
        topic.clients.packets = 0;
        assert_eq!(topic.rate(), Some(8.0));
        topic.servers.packets = 1;
        assert_eq!(topic.rate(), None);
    }

    #[test]
    fn each_connection_counts_once_up_to_the_cap() {
        for (connections, told) in [(1, 1), (64, 64), (65, 65), (1_000, 1_000), (5_000, 1_000)] {
            let mut peers = Peers::default();
            for at in 0..20_000_u32 {
                peers.add(at * 11 % connections);
            }
            assert_eq!(peers.told.len(), told, "{connections}");
        }
    }

    #[test]
    fn a_topic_beyond_the_cap_on_octets_is_counted_with_the_others() {
        let mut topics = Topics::default();
        topics.entry("one").octets += 1;
        topics.octets = MOST_TOPIC_OCTETS;
        topics.entry("two").octets += 2;
        topics.entry("one").octets += 4;
        let told: Vec<_> = topics
            .iter()
            .map(|(name, topic)| (name, topic.octets))
            .collect();
        assert_eq!((told, topics.others().octets), (vec![("one", 5)], 2));
    }
}
