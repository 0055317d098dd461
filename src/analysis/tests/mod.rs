//! Hand-made event sequences: what the analysis must observe of them.

mod conformance;
mod deliveries;
mod early;
mod equal;
mod handshakes;
mod hostile;
mod order;
mod properties;
mod quotas;
mod sessions;
mod transport;
mod undelivered;
mod wills;

use std::net::{IpAddr, Ipv4Addr};

use super::Analyzer;
use crate::base::limits::Limits;
use crate::base::{Endpoint, FrameStamp, Layers, Precision, Timestamp};
use crate::event::{
    Ended, Event, Finding, FirstEnd, Gap, Handshake, HandshakeKind, Incomplete, MessageDelivery,
    Needs, Opened, Outcome, PacketEvent, RetainedSummary, SessionSummary, Transport, Undelivered,
    WillSummary,
};
use crate::mqtt::testing::record;
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Sender};
use crate::stream::{Closed, Connection, ConnectionId, Direction, GapCause};

const V3: ProtocolVersion = ProtocolVersion::V3_1_1;
const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// A run with its clock and all that was reported.
struct Run {
    analyzer: Analyzer,
    version: ProtocolVersion,
    frame: u64,
    nanos: i64,
    /// Of a packet's source and destination.
    ends: [IpAddr; 2],
    transport: Transport,
    /// The file of the frames.
    file: u16,
    /// The capture shows both directions.
    both_seen: bool,
    /// Octets that the snapshot length cut off each payload.
    missing: u64,
    /// The frame of the first FIN of the connection that ends next.
    first: Option<FrameStamp>,
    handshakes: Vec<Handshake>,
    wills: Vec<WillSummary>,
    retained: Vec<RetainedSummary>,
    sessions: Vec<SessionSummary>,
    findings: Vec<Finding>,
}

impl Run {
    fn new(version: ProtocolVersion) -> Self {
        Self::with(version, &Limits::default())
    }

    fn with(version: ProtocolVersion, limits: &Limits) -> Self {
        Self {
            analyzer: Analyzer::new(Needs::ALL, limits),
            version,
            frame: 0,
            nanos: 1_000_000_000_000,
            ends: [7, 1].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))),
            transport: Transport::TCP,
            file: 0,
            both_seen: true,
            missing: 0,
            first: None,
            handshakes: Vec::new(),
            wills: Vec::new(),
            retained: Vec::new(),
            sessions: Vec::new(),
            findings: Vec::new(),
        }
    }

    fn stamp(&mut self) -> FrameStamp {
        self.frame += 1;
        self.nanos += 100_000;
        FrameStamp {
            number: self.frame,
            time: Some(Timestamp::from_nanos(self.nanos)),
            precision: Precision::Micro,
            length: 100,
            file: self.file,
        }
    }

    /// Goes on with frames of another file.
    fn in_file(&mut self, file: u16) -> &mut Self {
        self.file = file;
        self
    }

    fn observe(&mut self, event: &Event<'_>) {
        let Self {
            analyzer,
            handshakes,
            wills,
            retained,
            sessions,
            findings,
            ..
        } = self;
        analyzer.observe(event, &mut |reported| match reported {
            Event::Handshake(one) => handshakes.push((*one).clone()),
            Event::Will(one) => wills.push((*one).clone()),
            Event::Retained(one) => retained.push((*one).clone()),
            Event::Session(one) => sessions.push((*one).clone()),
            Event::Finding(one) => {
                record(one.rule);
                findings.push((*one).clone());
            }
            _ => {}
        });
    }

    fn wait(&mut self, millis: i64) -> &mut Self {
        self.nanos += millis * 1_000_000;
        self
    }

    /// A connection to a broker's port, from its SYN or from the middle.
    fn open_to(&mut self, connection: u32, port: u16, from_syn: bool) -> &mut Self {
        self.open_from(7, connection, port, from_syn)
    }

    /// The same from the host of an address that ends in `host`; that of the brokers ends in 1.
    fn open_from(&mut self, host: u8, connection: u32, port: u16, from_syn: bool) -> &mut Self {
        let stamp = self.stamp();
        let client = Endpoint {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, host)),
            port: 40_000 + u16::try_from(connection).unwrap(),
        };
        let server = Endpoint {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
            port,
        };
        let opened = Opened {
            connection: Connection {
                id: ConnectionId(connection),
                initiator: client,
                responder: server,
                handshake_seen: from_syn,
                both_seen: true,
            },
            server,
            client,
            transport: self.transport,
            proxied: None,
            stamp,
        };
        self.observe(&Event::Opened(&opened));
        self
    }

    fn open(&mut self, connection: u32) -> &mut Self {
        self.open_to(connection, 1883, true)
    }

    fn send(&mut self, connection: u32, sender: Sender, bytes: &[u8]) -> u64 {
        let stamp = self.stamp();
        let version = self.version;
        let read = ControlPacket::read(bytes, version, &mut ());
        let event = PacketEvent {
            stamp,
            index: 0,
            frames: &[stamp.number],
            connection: ConnectionId(connection),
            source: &Endpoint {
                address: self.ends[0],
                port: 1,
            },
            destination: &Endpoint {
                address: self.ends[1],
                port: 1883,
            },
            direction: match sender {
                Sender::Client => Direction::Forward,
                Sender::Server => Direction::Backward,
            },
            sender,
            transport: self.transport,
            version: Some(version),
            version_inferred: false,
            after_gap: false,
            missing: self.missing,
            packet_type: PacketType::of(bytes[0]),
            bytes,
            packet: match &read {
                Ok(packet) => Ok(packet),
                Err(malformed) => Err(*malformed),
            },
            client_id: None,
            topic_resolved: None,
            layers: &Layers::default(),
        };
        self.observe(&Event::Packet(&event));
        stamp.number
    }

    /// A packet of the client; returns its frame.
    fn client(&mut self, connection: u32, bytes: impl AsRef<[u8]>) -> u64 {
        self.send(connection, Sender::Client, bytes.as_ref())
    }

    /// A packet of the server; returns its frame.
    fn server(&mut self, connection: u32, bytes: impl AsRef<[u8]>) -> u64 {
        self.send(connection, Sender::Server, bytes.as_ref())
    }

    fn gap(&mut self, connection: u32, sender: Sender) -> &mut Self {
        let stamp = self.stamp();
        self.observe(&Event::Gap(&Gap {
            connection: ConnectionId(connection),
            sender,
            direction: Direction::Forward,
            length: 10,
            cause: GapCause::NotCaptured,
            stamp,
            discarded: 0,
        }));
        self
    }

    /// The first FIN of a connection; returns its frame.
    fn fin(&mut self, connection: u32, by: Sender) -> u64 {
        let stamp = self.stamp();
        self.fin_at(connection, by, stamp)
    }

    /// The same in a frame that may stand before others that were sent earlier.
    fn fin_at(&mut self, connection: u32, by: Sender, stamp: FrameStamp) -> u64 {
        self.first = Some(stamp);
        self.observe(&Event::FirstEnd(&FirstEnd {
            connection: ConnectionId(connection),
            by,
            reset: false,
            stamp,
            incomplete: None,
        }));
        stamp.number
    }

    fn end(&mut self, connection: u32, why: Closed, by: Option<Sender>) -> u64 {
        self.end_within(connection, why, by, None)
    }

    fn end_within(
        &mut self,
        connection: u32,
        why: Closed,
        by: Option<Sender>,
        incomplete: Option<Incomplete>,
    ) -> u64 {
        let stamp = self.stamp();
        let first = self.first.take().unwrap_or(stamp);
        let both_seen = self.both_seen;
        self.observe(&Event::Ended(&Ended {
            connection: ConnectionId(connection),
            why,
            by,
            first,
            both_seen,
            stamp,
            incomplete: [incomplete, None],
        }));
        stamp.number
    }

    fn finish(&mut self) -> &mut Self {
        let Self {
            analyzer,
            handshakes,
            wills,
            retained,
            sessions,
            findings,
            ..
        } = self;
        analyzer.finish(&mut |reported| match reported {
            Event::Handshake(one) => handshakes.push((*one).clone()),
            Event::Will(one) => wills.push((*one).clone()),
            Event::Retained(one) => retained.push((*one).clone()),
            Event::Session(one) => sessions.push((*one).clone()),
            Event::Finding(one) => {
                record(one.rule);
                findings.push((*one).clone());
            }
            _ => {}
        });
        self
    }

    /// A client that connects to the usual broker and is accepted.
    fn join(&mut self, connection: u32, id: &str) -> &mut Self {
        let version = self.version;
        self.open(connection);
        self.client(connection, connect(version, &Hello::new(id)));
        self.server(connection, connack(version, false, 0, &[]));
        self
    }

    /// A client with a lasting session.
    fn stay(&mut self, connection: u32, id: &str, present: bool) -> &mut Self {
        let version = self.version;
        let hello = Hello {
            clean: false,
            properties: if version == V5 {
                expiry(0x11, 3600)
            } else {
                Vec::new()
            },
            ..Hello::new(id)
        };
        self.open(connection);
        self.client(connection, connect(version, &hello));
        self.server(connection, connack(version, present, 0, &[]));
        self
    }

    /// A bridge of the broker at port 1883 connects to the one at 1884.
    fn bridge(&mut self, connection: u32) -> &mut Self {
        self.open_from(1, connection, 1884, true);
        let hello = Hello {
            level: 0x84,
            ..Hello::new("bridge")
        };
        self.client(connection, connect(V3, &hello));
        self.server(connection, connack(V3, false, 0, &[]));
        self
    }

    /// A subscription that is granted as asked.
    fn take(&mut self, connection: u32, filter: &str, options: u8) -> &mut Self {
        let version = self.version;
        self.client(
            connection,
            subscribe(version, 900, &[(filter, options)], &[]),
        );
        self.server(connection, suback(version, 900, &[options & 3]));
        self
    }

    fn leave(&mut self, connection: u32) -> &mut Self {
        let version = self.version;
        self.client(connection, disconnect(version, 0));
        self.end(connection, Closed::Finished, Some(Sender::Client));
        self
    }

    /// The rules of all findings, notes left out.
    fn rules(&self) -> Vec<&'static str> {
        self.findings
            .iter()
            .filter(|finding| finding.level > crate::event::Level::Note)
            .map(|finding| finding.rule)
            .collect()
    }

    /// The finding of a rule, its sentence whole.
    #[track_caller]
    fn finding(&self, rule: &str) -> &Finding {
        let found = self.findings.iter().find(|finding| finding.rule == rule);
        let finding = found.unwrap_or_else(|| panic!("no {rule} in {:#?}", self.findings));
        assert!(finding.message.ends_with('.'), "{}", finding.message);
        finding
    }

    /// The frame of the finding of a rule.
    #[track_caller]
    fn found(&self, rule: &str) -> u64 {
        self.finding(rule).stamp.number
    }

    /// The only handshake of a kind that a side began.
    #[track_caller]
    fn one(&self, kind: HandshakeKind, initiator: Sender) -> &Handshake {
        let mut all = self
            .handshakes
            .iter()
            .filter(|one| one.kind == kind && one.initiator == initiator);
        let one = all
            .next()
            .unwrap_or_else(|| panic!("{:#?}", self.handshakes));
        assert!(all.next().is_none(), "several");
        one
    }
}

/// The outcome of a delivery, in few words.
fn outcome(leg: &MessageDelivery) -> String {
    let id = leg.client_id.as_deref().unwrap_or("?");
    match &leg.outcome {
        Outcome::Delivered(delivered) => {
            let mut words = format!("{id} q{}", delivered.qos as u8);
            for (word, so) in [
                (" downgraded", delivered.downgraded),
                (" stored", delivered.stored),
                (" queued", delivered.queued),
                (" redelivered", delivered.redelivered),
                (" ambiguous", leg.ambiguous),
                (" unsubscribed", leg.filters.is_empty()),
            ] {
                if so {
                    words.push_str(word);
                }
            }
            words
        }
        Outcome::NotDelivered(why) => {
            let why = format!("{why:?}");
            let kind = why.split(" {").next().unwrap();
            let unclear = if leg.ambiguous { " ambiguous" } else { "" };
            format!("{id} not: {kind}{unclear}")
        }
    }
}

fn outcomes(record: &Handshake) -> Vec<String> {
    record.deliveries.iter().map(outcome).collect()
}

/// The wishes of a CONNECT.
struct Hello {
    id: &'static str,
    clean: bool,
    keep_alive: u16,
    will: Option<(&'static str, &'static [u8], u8, bool)>,
    will_properties: Vec<u8>,
    password: Option<&'static [u8]>,
    properties: Vec<u8>,
    level: u8,
}

impl Hello {
    fn new(id: &str) -> Self {
        Self {
            id: Box::leak(id.to_owned().into_boxed_str()),
            clean: true,
            keep_alive: 0,
            will: None,
            will_properties: Vec::new(),
            password: None,
            properties: Vec::new(),
            level: 4,
        }
    }
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    let mut left = body.len();
    loop {
        let low = u8::try_from(left % 128).unwrap();
        left /= 128;
        out.push(if left > 0 { low | 0x80 } else { low });
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(body);
    out
}

fn text(text: &str) -> Vec<u8> {
    binary(text.as_bytes())
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    let mut out = u16::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// The properties with their length; nothing before 5.0.
fn properties(version: ProtocolVersion, bytes: &[u8]) -> Vec<u8> {
    if version != V5 {
        return Vec::new();
    }
    let mut out = vec![u8::try_from(bytes.len()).unwrap()];
    out.extend_from_slice(bytes);
    out
}

/// A property of four bytes.
fn expiry(id: u8, value: u32) -> Vec<u8> {
    let mut out = vec![id];
    out.extend_from_slice(&value.to_be_bytes());
    out
}

/// A property of two bytes.
fn short(id: u8, value: u16) -> Vec<u8> {
    let mut out = vec![id];
    out.extend_from_slice(&value.to_be_bytes());
    out
}

/// A property that is a string.
fn string(id: u8, value: &str) -> Vec<u8> {
    let mut out = vec![id];
    out.extend_from_slice(&text(value));
    out
}

fn connect(version: ProtocolVersion, hello: &Hello) -> Vec<u8> {
    let mut flags = u8::from(hello.clean) << 1;
    if let Some((_, _, qos, retain)) = hello.will {
        flags |= 0x04 | qos << 3 | u8::from(retain) << 5;
    }
    if hello.password.is_some() {
        flags |= 0xc0;
    }
    let mut body = text("MQTT");
    body.push(if version == V5 { 5 } else { hello.level });
    body.push(flags);
    body.extend_from_slice(&hello.keep_alive.to_be_bytes());
    body.extend_from_slice(&properties(version, &hello.properties));
    body.extend_from_slice(&text(hello.id));
    if let Some((topic, payload, _, _)) = hello.will {
        body.extend_from_slice(&properties(version, &hello.will_properties));
        body.extend_from_slice(&text(topic));
        body.extend_from_slice(&binary(payload));
    }
    if let Some(password) = hello.password {
        body.extend_from_slice(&text("user"));
        body.extend_from_slice(&binary(password));
    }
    packet(0x10, &body)
}

fn connack(version: ProtocolVersion, present: bool, code: u8, bytes: &[u8]) -> Vec<u8> {
    let mut body = vec![u8::from(present), code];
    body.extend_from_slice(&properties(version, bytes));
    packet(0x20, &body)
}

/// The parts of a PUBLISH besides topic and payload.
#[derive(Clone, Copy, Default)]
struct Sent<'a> {
    qos: u8,
    id: u16,
    dup: bool,
    retain: bool,
    properties: &'a [u8],
}

fn publish(version: ProtocolVersion, topic: &str, payload: &[u8], sent: Sent<'_>) -> Vec<u8> {
    let first = 0x30 | u8::from(sent.dup) << 3 | sent.qos << 1 | u8::from(sent.retain);
    let mut body = text(topic);
    if sent.qos > 0 {
        body.extend_from_slice(&sent.id.to_be_bytes());
    }
    body.extend_from_slice(&properties(version, sent.properties));
    body.extend_from_slice(payload);
    packet(first, &body)
}

/// A PUBLISH above QoS 0.
fn numbered(version: ProtocolVersion, topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    let sent = Sent {
        qos,
        id,
        ..Sent::default()
    };
    publish(version, topic, payload, sent)
}

fn again(version: ProtocolVersion, topic: &str, payload: &[u8], qos: u8, id: u16) -> Vec<u8> {
    let sent = Sent {
        qos,
        id,
        dup: true,
        ..Sent::default()
    };
    publish(version, topic, payload, sent)
}

fn acknowledgement(first: u8, id: u16) -> Vec<u8> {
    packet(first, &id.to_be_bytes())
}

fn refusal(first: u8, id: u16, code: u8) -> Vec<u8> {
    let [high, low] = id.to_be_bytes();
    packet(first, &[high, low, code])
}

fn puback(id: u16) -> Vec<u8> {
    acknowledgement(0x40, id)
}

fn pubrec(id: u16) -> Vec<u8> {
    acknowledgement(0x50, id)
}

fn pubrel(id: u16) -> Vec<u8> {
    acknowledgement(0x62, id)
}

fn pubcomp(id: u16) -> Vec<u8> {
    acknowledgement(0x70, id)
}

fn subscribe(version: ProtocolVersion, id: u16, filters: &[(&str, u8)], bytes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&properties(version, bytes));
    for (filter, options) in filters {
        body.extend_from_slice(&text(filter));
        body.push(*options);
    }
    packet(0x82, &body)
}

fn suback(version: ProtocolVersion, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&properties(version, &[]));
    body.extend_from_slice(codes);
    packet(0x90, &body)
}

fn unsubscribe(version: ProtocolVersion, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&properties(version, &[]));
    for filter in filters {
        body.extend_from_slice(&text(filter));
    }
    packet(0xa2, &body)
}

fn unsuback(version: ProtocolVersion, id: u16, codes: &[u8]) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    body.extend_from_slice(&properties(version, &[]));
    if version == V5 {
        body.extend_from_slice(codes);
    }
    packet(0xb0, &body)
}

fn disconnect(version: ProtocolVersion, code: u8) -> Vec<u8> {
    if version == V5 && code != 0 {
        packet(0xe0, &[code])
    } else {
        packet(0xe0, &[])
    }
}

const PINGREQ: [u8; 2] = [0xc0, 0];
const PINGRESP: [u8; 2] = [0xd0, 0];

/// Why a leg was not delivered.
fn undelivered(leg: &MessageDelivery) -> Option<Undelivered> {
    match leg.outcome {
        Outcome::NotDelivered(why) => Some(why),
        Outcome::Delivered(_) => None,
    }
}
