//! What the statistics count while a run goes on. Every table has a cap; what lies beyond is
//! counted together.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::spans::Spans;
use super::topics::Topics;
use crate::event::{
    ConnectionSummary, Handshake, HandshakeKind, HandshakeState, Outcome, PacketEvent,
    SessionSummary,
};
use crate::mqtt::{ControlPacket, Sender};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Topics whose end-to-end latency is told one by one: each takes some kilobytes, and 400 where
/// no two of its latencies are alike.
pub const MOST_LATENCIES: usize = 1_000;
/// Sessions told one by one.
pub const MOST_CLIENTS: usize = 100_000;

/// Everything that the tables are made of.
#[derive(Debug, Default)]
pub struct Tally {
    pub types: Types,
    pub topics: Topics,
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
                self.topics.note(topic, seen, publish);
            }
            Ok(_) => {}
        }
    }

    #[cold]
    fn new_latency(&mut self, topic: &Arc<str>) -> &mut Spans {
        if self.latencies.len() == MOST_LATENCIES {
            return &mut self.other_latencies;
        }
        self.latencies.entry(Arc::clone(topic)).or_default()
    }

    /// The kinds of handshakes that came, in the order of [`HandshakeKind`].
    pub fn kinds(&self) -> Vec<&(HandshakeKind, Handshakes)> {
        let mut kinds: Vec<_> = self.handshakes.iter().collect();
        kinds.sort_by_key(|(kind, _)| *kind);
        kinds
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
                HandshakeState::Complete => counts.complete += 1,
                HandshakeState::Refused { .. } => counts.refused += 1,
                HandshakeState::Incomplete { .. } => counts.incomplete += 1,
            }
            // Most have a single step, and what it says is not fetched from memory for nothing.
            if handshake.steps.len() > 1 {
                counts.redelivered += u64::from(handshake.redelivered());
                if let Some(took) = handshake.duration() {
                    counts.spans.add(took);
                }
            }
        }
        if handshake.deliveries.is_empty() {
            return;
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
    pub fn session(&mut self, story: &SessionSummary) {
        for connection in &story.connections {
            self.end(connection.end.cause.name());
        }
        if self.clients.len() == MOST_CLIENTS {
            self.other_clients += 1;
            return;
        }
        let sum = |of: fn(&ConnectionSummary) -> [u64; 2]| {
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
