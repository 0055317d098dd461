//! What the statistics count while a run goes on. Every table has a cap; what lies beyond is
//! counted together.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::spans::Spans;
use crate::base::{Span, Timestamp};
use crate::event::{
    ConnectionStory, Handshake, HandshakeKind, Outcome, PacketEvent, SessionStory, State,
};
use crate::mqtt::{ControlPacket, QoS, Sender};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Topics told one by one.
pub const MOST_TOPICS: usize = 100_000;
/// Octets of their names.
pub const MOST_TOPIC_OCTETS: usize = 64 << 20;
/// Topics whose end-to-end latency is told one by one: each takes some kilobytes.
pub const MOST_LATENCIES: usize = 1_000;
/// Sessions told one by one.
pub const MOST_CLIENTS: usize = 100_000;
/// Publishers and subscribers of one topic that are told apart.
pub const MOST_PEERS: usize = 1_000;

/// Everything that the tables are made of.
#[derive(Debug, Default)]
pub struct Tally {
    pub types: Types,
    pub topics: Map<Box<str>, Topic>,
    /// Octets of their names.
    topic_octets: usize,
    /// Messages on topics beyond the cap.
    pub other_topics: Topic,
    pub handshakes: Vec<(HandshakeKind, Handshakes)>,
    pub latencies: Map<Arc<str>, Spans>,
    /// Deliveries on topics beyond the cap.
    pub other_latencies: Spans,
    pub clients: Vec<Client>,
    /// Sessions beyond the cap.
    pub other_clients: u64,
    /// How connections ended: cause and number.
    pub ends: Vec<(&'static str, u64)>,
}

/// Control packets and their octets by type and sender.
#[derive(Clone, Debug, Default)]
pub struct Types {
    /// By packet type, then client, server: packets, octets.
    pub counts: [[(u64, u64); 2]; 16],
    pub malformed: u64,
}

/// What was published on one topic.
#[derive(Clone, Debug, Default)]
pub struct Topic {
    /// PUBLISH packets from clients and from servers.
    pub published: u64,
    pub delivered: u64,
    /// Octets of payload that clients published.
    pub octets: u64,
    /// Of the packets from clients (from servers where a client was never seen), by QoS.
    pub qos: [u64; 3],
    /// PUBLISH packets from clients with RETAIN.
    pub retained: u64,
    /// The first and the last PUBLISH from clients, and from servers.
    times: [Option<(Timestamp, Timestamp)>; 2],
    /// Connections, at most [`MOST_PEERS`] each.
    publishers: Vec<u32>,
    subscribers: Vec<u32>,
}

impl Topic {
    fn add(&mut self, seen: &PacketEvent<'_>, qos: QoS, retain: bool, octets: u64) {
        let peers = match seen.sender {
            Sender::Client => {
                self.published += 1;
                self.octets += octets;
                self.retained += u64::from(retain);
                if let Some(count) = self.qos.get_mut(qos as usize) {
                    *count += 1;
                }
                &mut self.publishers
            }
            Sender::Server => {
                self.delivered += 1;
                &mut self.subscribers
            }
        };
        // Kept in order: a look-up stays cheap, and connections mostly come in order.
        if let Err(at) = peers.binary_search(&seen.connection.0)
            && peers.len() < MOST_PEERS
        {
            peers.insert(at, seen.connection.0);
        }
        let times = match seen.sender {
            Sender::Client => self.times.first_mut(),
            Sender::Server => self.times.last_mut(),
        };
        if let (Some(times), Some(now)) = (times, seen.stamp.time) {
            let first = times.map_or(now, |(first, _)| first);
            *times = Some((first, now));
        }
    }

    /// Connections that published, at most [`MOST_PEERS`].
    pub fn publishers(&self) -> usize {
        self.publishers.len()
    }

    /// Connections that received, at most [`MOST_PEERS`].
    pub fn subscribers(&self) -> usize {
        self.subscribers.len()
    }

    /// How many messages clients published and in how long; of what servers sent where no
    /// client's PUBLISH was seen.
    fn counted(&self) -> Option<(u64, Span)> {
        let [client, server] = self.times;
        let (count, times) = if self.published > 0 {
            (self.published, client)
        } else {
            (self.delivered, server)
        };
        let (first, last) = times?;
        Some((count, last.since(first)))
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

/// Handshakes of one kind.
#[derive(Clone, Debug, Default)]
pub struct Handshakes {
    pub complete: u64,
    pub refused: u64,
    pub incomplete: u64,
    pub redelivered: u64,
    /// From the first packet to the last.
    pub spans: Spans,
}

/// A session, reduced to its row.
#[derive(Clone, Debug)]
pub struct Client {
    pub client_id: Option<Arc<str>>,
    pub version: Option<&'static str>,
    pub user_name: Option<Arc<str>>,
    pub keep_alive: Option<u16>,
    pub connections: u64,
    /// From the client, to the client.
    pub packets: [u64; 2],
    pub octets: [u64; 2],
    pub end: &'static str,
}

impl Tally {
    /// Counts a control packet; its topic too where `topics` says so.
    pub fn packet(&mut self, seen: &PacketEvent<'_>, topics: bool) {
        let sender = match seen.sender {
            Sender::Client => 0,
            Sender::Server => 1,
        };
        let counts = self.types.counts.get_mut(seen.packet_type as usize);
        if let Some((packets, octets)) = counts.and_then(|counts| counts.get_mut(sender)) {
            *packets += 1;
            *octets += seen.octets.len() as u64;
        }
        match seen.packet {
            Err(_) => self.types.malformed += 1,
            Ok(ControlPacket::Publish(publish)) if topics => {
                let topic = seen.topic_resolved.unwrap_or(publish.topic);
                let qos = publish.delivery.qos();
                let octets = publish.payload.len() as u64;
                match self.topics.get_mut(topic) {
                    Some(entry) => entry.add(seen, qos, publish.retain, octets),
                    None => self.new_topic(topic).add(seen, qos, publish.retain, octets),
                }
            }
            Ok(_) => {}
        }
    }

    #[cold]
    fn new_topic(&mut self, topic: &str) -> &mut Topic {
        let octets = self.topic_octets + topic.len();
        if self.topics.len() == MOST_TOPICS || octets > MOST_TOPIC_OCTETS {
            return &mut self.other_topics;
        }
        self.topic_octets = octets;
        self.topics.entry(topic.into()).or_default()
    }

    #[cold]
    fn new_latency(&mut self, topic: &Arc<str>) -> &mut Spans {
        if self.latencies.len() == MOST_LATENCIES {
            return &mut self.other_latencies;
        }
        self.latencies.entry(Arc::clone(topic)).or_default()
    }

    /// Counts a settled handshake and its deliveries.
    pub fn handshake(&mut self, handshake: &Handshake) {
        let at = match self
            .handshakes
            .iter()
            .position(|(kind, _)| *kind == handshake.kind)
        {
            Some(at) => at,
            None => {
                self.handshakes
                    .push((handshake.kind, Handshakes::default()));
                self.handshakes.len() - 1
            }
        };
        if let Some((_, counts)) = self.handshakes.get_mut(at) {
            match handshake.state {
                State::Complete => counts.complete += 1,
                State::Refused { .. } => counts.refused += 1,
                State::Incomplete { .. } => counts.incomplete += 1,
            }
            counts.redelivered += u64::from(handshake.redelivered());
            if let Some(took) = handshake.duration() {
                counts.spans.add(took);
            }
        }
        let Some(topic) = handshake
            .message()
            .and_then(|message| message.topic.as_ref())
        else {
            return;
        };
        for leg in &handshake.deliveries {
            let Outcome::Delivered(delivered) = &leg.outcome else {
                continue;
            };
            let Some(latency) = delivered.latency else {
                continue;
            };
            match self.latencies.get_mut(topic) {
                Some(spans) => spans.add(latency),
                None => self.new_latency(topic).add(latency),
            }
        }
    }

    /// Counts a session and its connections.
    pub fn session(&mut self, story: &SessionStory) {
        for connection in &story.connections {
            self.end(connection.end.cause.name());
        }
        if self.clients.len() == MOST_CLIENTS {
            self.other_clients += 1;
            return;
        }
        let sum = |of: fn(&ConnectionStory) -> [u64; 2]| {
            story
                .connections
                .iter()
                .map(of)
                .fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
        };
        self.clients.push(Client {
            client_id: story.client_id.clone(),
            version: story.version.map(|version| version.name()),
            user_name: story.user_name.clone(),
            keep_alive: story
                .connections
                .last()
                .and_then(|connection| connection.keep_alive),
            connections: story.connections.len() as u64 + story.connections_left_out,
            packets: sum(|connection| connection.packets),
            octets: sum(|connection| connection.octets),
            end: story
                .connections
                .last()
                .map_or("", |connection| connection.end.cause.name()),
        });
    }

    fn end(&mut self, cause: &'static str) {
        match self.ends.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, count)) => *count += 1,
            None => self.ends.push((cause, 1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_published_messages() {
        let at = |seconds: i64| Timestamp::from_nanos(seconds * 1_000_000_000);
        let mut topic = Topic {
            published: 3,
            delivered: 9,
            times: [Some((at(0), at(4))), Some((at(0), at(1)))],
            ..Topic::default()
        };
        assert_eq!(topic.rate(), Some(0.5));
        topic.published = 0;
        assert_eq!(topic.rate(), Some(8.0));
        topic.delivered = 1;
        assert_eq!(topic.rate(), None);
    }
}
