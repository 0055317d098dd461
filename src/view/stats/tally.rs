//! The counters of the statistics, and the records made of them at the end of a run. Every
//! table has a limit; what lies beyond is counted together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::section::Section;
use super::spans::Spans;
use super::topics::Topics;
use crate::base::Span;
use crate::base::limits::{Limit, Limits};
use crate::event::{
    ConnectionSummary, Handshake, HandshakeKind, HandshakeState, LimitReached, Outcome,
    PacketEvent, SessionSummary, Shares,
};
use crate::mqtt::{ControlPacket, PacketType, Sender};
use crate::schema::Stats;
use crate::schema::stats::{ClientRow, EndRow, HandshakeRow, LatencyRow, Quantiles, TypeRow};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Everything that the records are made of.
#[derive(Debug, Default)]
pub struct Tally {
    /// By packet type; their names and sums are filled in at the end.
    types: [TypeRow; 16],
    malformed: u64,
    topics: Topics,
    /// With the times from the first packet to the last.
    handshakes: BTreeMap<HandshakeKind, (HandshakeRow, Spans)>,
    latencies: Map<Arc<str>, Latencies>,
    /// Deliveries on topics beyond the limit.
    other_latencies: Latencies,
    clients: Vec<ClientRow>,
    /// The rows of client identifiers, by broker.
    client_rows: Map<(u32, Arc<str>), usize>,
    /// Sessions beyond the limit.
    other_clients: u64,
    ends: Vec<EndRow>,
    limits: Limits,
}

/// The times from publisher to subscriber on one topic.
#[derive(Debug, Default)]
struct Latencies {
    all: Spans,
    /// The part that is the server's own.
    broker: Spans,
    /// The part spent waiting for the subscriber.
    waiting: Spans,
}

impl Latencies {
    fn add(&mut self, latency: Span, shares: Option<Shares>) {
        self.all.add(latency);
        if let Some(shares) = shares {
            self.broker.add(shares.broker);
            self.waiting.add(shares.waiting);
        }
    }
}

impl Tally {
    /// Nothing counted yet; as many topics and clients one by one as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self {
            topics: Topics::new(limits),
            limits: *limits,
            ..Self::default()
        }
    }

    /// Counts a control packet; its topic too where `topics` is set.
    pub fn packet(&mut self, seen: &PacketEvent<'_>, topics: bool) {
        if let Some(row) = self.types.get_mut(seen.packet_type as usize) {
            let (packets, octets) = match seen.sender {
                Sender::Client => (&mut row.from_clients, &mut row.octets_from_clients),
                Sender::Server => (&mut row.from_servers, &mut row.octets_from_servers),
            };
            *packets += 1;
            *octets += seen.bytes.len() as u64;
        }
        match seen.packet {
            Err(_) => self.malformed += 1,
            Ok(ControlPacket::Publish(publish)) if topics => {
                let topic = seen.topic_resolved.unwrap_or(publish.topic);
                self.topics.add(topic, seen, publish);
            }
            Ok(_) => {}
        }
    }

    /// Counts a settled handshake and its deliveries.
    pub fn handshake(&mut self, handshake: &Handshake) {
        let (row, spans) = self.handshakes.entry(handshake.kind).or_default();
        match handshake.state {
            HandshakeState::Complete => row.complete += 1,
            HandshakeState::Refused { .. } => row.refused += 1,
            HandshakeState::Incomplete { .. } => row.incomplete += 1,
        }
        row.redelivered += u64::from(handshake.redelivered());
        if let Some(took) = handshake.duration() {
            spans.add(took);
        }
        let topic = handshake
            .message()
            .and_then(|message| message.topic.as_ref());
        for leg in &handshake.deliveries {
            if let (Some(topic), Outcome::Delivered(delivered)) = (topic, &leg.outcome)
                && let Some(latency) = delivered.latency
            {
                self.latencies_of(topic).add(latency, delivered.shares);
            }
        }
    }

    /// Returns the latencies of a topic, or those of all topics beyond the limit.
    fn latencies_of(&mut self, topic: &Arc<str>) -> &mut Latencies {
        if self.latencies.len() >= self.limits.stats_latencies
            && !self.latencies.contains_key(topic)
        {
            return &mut self.other_latencies;
        }
        self.latencies.entry(Arc::clone(topic)).or_default()
    }

    /// Counts a session and its connections.
    pub fn session(&mut self, session: &SessionSummary) {
        for connection in &session.connections {
            self.end(connection.end.cause.into());
        }
        // A session whose connections were counted with another one of its client.
        let (Some(last), connections) = (session.connections.last(), &session.connections) else {
            return;
        };
        let sum = |of: fn(&ConnectionSummary) -> [u64; 2]| {
            (connections.iter().map(of)).fold([0, 0], |[a, b], [c, d]| [a + c, b + d])
        };
        let [packets_sent, packets_received] = sum(|connection| connection.packets);
        let [octets_sent, octets_received] = sum(|connection| connection.bytes);
        let Some(row) = self.client_row(session) else {
            self.other_clients += 1;
            return;
        };
        row.user_name = session.user_name.as_deref().map(Box::from);
        row.version = session.version.map(|version| version.name());
        row.keep_alive = last.keep_alive;
        row.connections += connections.len() as u64 + session.connections_left_out;
        row.packets_sent += packets_sent;
        row.packets_received += packets_received;
        row.octets_sent += octets_sent;
        row.octets_received += octets_received;
        row.ended_by = last.end.cause.into();
    }

    /// Returns the row of a session's client, a new one where it has none yet; `None` beyond the
    /// limit. Clients without an identifier cannot be distinguished: each session has a
    /// row.
    fn client_row(&mut self, session: &SessionSummary) -> Option<&mut ClientRow> {
        let named = session.client_id.as_ref().filter(|id| !id.is_empty());
        let named = named.map(|id| (session.broker, Arc::clone(id)));
        let known = named.as_ref().and_then(|named| self.client_rows.get(named));
        let at = match known {
            Some(at) => *at,
            None if self.clients.len() >= self.limits.stats_clients => return None,
            None => {
                self.clients.push(ClientRow {
                    client_id: session.client_id.as_deref().map(Box::from),
                    ..ClientRow::default()
                });
                let at = self.clients.len() - 1;
                if let Some(named) = named {
                    self.client_rows.insert(named, at);
                }
                at
            }
        };
        self.clients.get_mut(at)
    }

    /// Counts the end of a connection; there are few causes.
    fn end(&mut self, cause: &'static str) {
        match self.ends.iter_mut().find(|row| row.ended_by == cause) {
            Some(row) => row.connections += 1,
            None => self.ends.push(EndRow {
                ended_by: cause,
                connections: 1,
            }),
        }
    }

    /// Returns the limits that were reached, each with the number of times.
    pub fn limits_reached(&self) -> Vec<LimitReached> {
        let all = [
            (Limit::StatsTopics, self.topics.others()),
            (Limit::StatsLatencies, self.other_latencies.all.count()),
            (Limit::StatsClients, self.other_clients),
        ];
        let reached = all.into_iter().filter(|(_, times)| *times > 0);
        reached.map(LimitReached::from).collect()
    }

    /// Returns the number of sessions beyond the limit, which have no row.
    pub fn other_clients(&self) -> u64 {
        self.other_clients
    }

    /// Returns the records of the sections asked for.
    pub fn stats(&self, sections: &[Section]) -> Stats<'_> {
        let asked = |section| sections.contains(&section);
        Stats {
            types: asked(Section::Types).then(|| self.type_rows()),
            topics: asked(Section::Topics).then(|| self.topics.rows()),
            clients: asked(Section::Clients).then_some(self.clients.as_slice()),
            handshakes: asked(Section::Handshakes).then(|| self.handshake_rows()),
            latency: asked(Section::Latency).then(|| self.latency_rows()),
            connections: asked(Section::Connections).then_some(self.ends.as_slice()),
            malformed: self.malformed,
        }
    }

    /// Returns a row for each packet type that came, by its number.
    fn type_rows(&self) -> Vec<TypeRow> {
        let all = PacketType::ALL.iter().zip(&self.types);
        let rows = all.map(|(packet_type, row)| TypeRow {
            packet_type: *packet_type as u8,
            type_name: packet_type.name(),
            packets: row.from_clients + row.from_servers,
            ..*row
        });
        rows.filter(|row| row.packets > 0).collect()
    }

    /// Returns a row for each kind that came, in the order of [`HandshakeKind`].
    fn handshake_rows(&self) -> Vec<HandshakeRow> {
        let rows = self
            .handshakes
            .iter()
            .map(|(kind, (row, spans))| HandshakeRow {
                kind: kind.into(),
                quantiles: spans.quantiles().map(Quantiles::from),
                ..*row
            });
        rows.collect()
    }

    /// Returns a row for each topic by name, and one for those beyond the limit.
    fn latency_rows(&self) -> Vec<LatencyRow<'_>> {
        let mut topics: Vec<_> = self.latencies.iter().collect();
        topics.sort_unstable_by_key(|(name, _)| *name);
        let quantiles = |spans: &Spans| spans.quantiles().map(Quantiles::from);
        let row = |topic: Option<_>, times: &Latencies| LatencyRow {
            topic,
            beyond_cap: topic.is_none(),
            deliveries: times.all.count(),
            quantiles: quantiles(&times.all),
            broker: quantiles(&times.broker),
            waiting: quantiles(&times.waiting),
        };
        let others = &self.other_latencies;
        let rows = topics
            .into_iter()
            .map(|(name, times)| row(Some(&**name), times));
        let others = (others.all.count() > 0).then(|| row(None, others));
        rows.chain(others).collect()
    }
}
