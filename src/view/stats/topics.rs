//! What was published on each topic.
//!
//! A capture speaks of its topics in no order, so what is kept of one is seldom at hand when
//! the next packet names it. A packet touches few lines of memory here; and packets are noted
//! and then counted many at once, so that the processor waits for the lines of several
//! together.

use std::mem::take;

use super::places::{Name, Places};
use crate::base::{Span, Timestamp};
use crate::event::PacketEvent;
use crate::mqtt::packet::Publish;
use crate::mqtt::{QoS, Sender};

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
    /// Still to be counted, and the names of their topics one behind the other. All of those
    /// have room among `told`, so `others` never lacks any.
    noted: Vec<Note>,
    names: Vec<u8>,
}

/// PUBLISH packets that are counted at once, at most, and octets of their topics' names.
const NOTED: usize = 128;
const NOTED_OCTETS: usize = 16 << 10;

/// What is counted of a PUBLISH.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// Of the topic's name, and where in `names` that ends.
    hash: u64,
    end: usize,
    sender: Sender,
    connection: u32,
    time: Option<Timestamp>,
    qos: QoS,
    retain: bool,
    /// Of payload.
    octets: u64,
}

/// A topic: four lines of memory.
#[derive(Debug)]
#[repr(align(64))]
struct Told {
    name: Name,
    topic: Topic,
}

impl Topics {
    /// Notes a PUBLISH on the topic `name`.
    #[inline]
    pub(super) fn note(&mut self, name: &str, seen: &PacketEvent<'_>, publish: &Publish<'_>) {
        let note = Note {
            hash: self.places.hash(name.as_bytes()),
            end: self.names.len() + name.len(),
            sender: seen.sender,
            connection: seen.connection.0,
            time: seen.stamp.time,
            qos: publish.delivery.qos(),
            retain: publish.retain,
            octets: publish.payload.len() as u64,
        };
        self.keep(name, note);
    }

    #[inline]
    fn keep(&mut self, name: &str, note: Note) {
        self.names.extend_from_slice(name.as_bytes());
        self.noted.push(note);
        let enough = self.noted.len() == NOTED || self.names.len() > NOTED_OCTETS;
        let last_room = self.told.len() + self.noted.len() >= MOST_TOPICS
            || self.octets + self.names.len() >= MOST_TOPIC_OCTETS;
        if enough || last_room {
            self.count_noted();
        }
    }

    /// Counts what was noted.
    #[inline(never)]
    pub(super) fn count_noted(&mut self) {
        let (noted, names) = (take(&mut self.noted), take(&mut self.names));
        let mut begin = 0;
        for note in &noted {
            let name = names.get(begin..note.end).unwrap_or_default();
            begin = note.end;
            self.entry(name, note.hash).add(note);
        }
        (self.noted, self.names) = (noted, names);
        self.noted.clear();
        self.names.clear();
        self.names.shrink_to(2 * NOTED_OCTETS);
    }

    /// Where messages on the topic `name` are counted.
    #[inline]
    fn entry(&mut self, name: &[u8], hash: u64) -> &mut Topic {
        let is = |place: usize| {
            let told = self.told.get(place);
            told.is_some_and(|told| told.name.octets() == name)
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
    fn place_for(&mut self, name: &[u8], hash: u64) -> usize {
        let octets = self.octets + name.len();
        let place = self.told.len();
        if place == MOST_TOPICS || octets > MOST_TOPIC_OCTETS {
            return usize::MAX;
        }
        self.octets = octets;
        let hash_of = |places: &Places, place: usize| {
            let told = self.told.get(place);
            told.map_or(0, |told| places.hash(told.name.octets()))
        };
        self.places.insert(hash, place, hash_of);
        self.told.push(Told {
            name: Name::new(name),
            topic: Topic::default(),
        });
        place
    }

    /// Each topic that is told and counted, with its name, in the order of their first messages.
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
    fn add(&mut self, note: &Note) {
        let side = match note.sender {
            Sender::Client => {
                self.octets += note.octets;
                self.retained += u64::from(note.retain);
                if let Some(count) = self.qos.get_mut(note.qos as usize) {
                    *count += 1;
                }
                &mut self.clients
            }
            Sender::Server => &mut self.servers,
        };
        side.packets += 1;
        side.connections.add(note.connection);
        if let Some(now) = note.time {
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

    /// Notes a PUBLISH of as many octets.
    fn note(topics: &mut Topics, name: &str, octets: u64) {
        let note = Note {
            hash: topics.places.hash(name.as_bytes()),
            end: topics.names.len() + name.len(),
            sender: Sender::Client,
            connection: 1,
            time: None,
            qos: QoS::AtMostOnce,
            retain: false,
            octets,
        };
        topics.keep(name, note);
    }

    #[test]
    fn what_is_noted_is_counted_by_and_by_and_all_of_it_at_the_end() {
        let mut topics = Topics::default();
        for at in 0..10_000_u64 {
            note(
                &mut topics,
                &format!("{}{}", at % 7, "/".repeat(at as usize % 3)),
                at,
            );
            assert!(topics.noted.len() < NOTED && topics.names.len() <= NOTED_OCTETS);
        }
        note(&mut topics, &"/".repeat(65_535), 1);
        topics.count_noted();
        let sum: u64 = topics.iter().map(|(_, topic)| topic.octets).sum();
        assert_eq!((topics.iter().count(), sum), (22, 9_999 * 5_000 + 1));
    }

    #[test]
    fn messages_on_topics_beyond_the_caps_are_known_as_soon_as_they_come() {
        let mut topics = Topics::default();
        note(&mut topics, "one", 1);
        topics.octets = MOST_TOPIC_OCTETS - 3;
        note(&mut topics, "two", 2);
        note(&mut topics, "one", 4);
        let told: Vec<_> = (topics.iter())
            .map(|(name, topic)| (name, topic.octets))
            .collect();
        assert_eq!((told, topics.others().octets), (vec![("one", 5)], 2));
    }

    #[test]
    fn a_topic_more_than_there_may_be_is_counted_with_the_others() {
        let mut topics = Topics::default();
        for at in 0..=MOST_TOPICS {
            note(&mut topics, &at.to_string(), 1);
        }
        let others = topics.others().messages();
        assert_eq!((topics.iter().count(), others), (MOST_TOPICS, 1));
    }
}
