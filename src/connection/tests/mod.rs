//! A connection played to a decoder, and the events it emitted.

mod begins;
mod carrier;
mod framing;
mod gaps;
mod properties;

use std::net::{IpAddr, Ipv4Addr};

use super::{Context, Decoder, DecodingOptions};
use crate::base::{Endpoint, FrameStamp, Layers};
use crate::event::{Event, LooksLike, Transport};
use crate::mqtt::{ControlPacket, ProtocolVersion, Rule, Sender};
use crate::stream::{Closed, Connection, ConnectionId, Direction, GapCause, StreamEvent};

pub(super) use Direction::{Backward as DOWN, Forward as UP};

/// One emitted packet, reduced to what the tests ask about.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) direction: Direction,
    pub(super) bytes: Vec<u8>,
    pub(super) frames: Vec<u64>,
    pub(super) frame: u64,
    pub(super) index: u32,
    pub(super) sender: Sender,
    pub(super) version: Option<ProtocolVersion>,
    pub(super) inferred: bool,
    pub(super) after_gap: bool,
    pub(super) client_id: Option<String>,
    pub(super) resolved: Option<String>,
    pub(super) rule: Option<Rule>,
    pub(super) payload: Option<Vec<u8>>,
    pub(super) transport: Transport,
    pub(super) missing: u64,
}

/// A run over one connection.
pub(super) struct Run {
    pub(super) context: Context,
    pub(super) decoder: Decoder,
    pub(super) connection: Connection,
    pub(super) frame: u64,
    pub(super) packets: Vec<Seen>,
    /// In the order emitted: `opened`, `gap LENGTH DISCARDED`, `not mqtt`, `ended`, breaches.
    pub(super) others: Vec<String>,
    pub(super) looks_like: Vec<LooksLike>,
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        address: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port,
    }
}

impl Run {
    /// A connection to `port`, with its handshake.
    pub(super) fn to(port: u16) -> Self {
        Self {
            context: Context::new(DecodingOptions::default()),
            decoder: Decoder::default(),
            connection: Connection {
                id: ConnectionId(0),
                initiator: endpoint(50_000),
                responder: endpoint(port),
                handshake_seen: true,
                both_seen: true,
            },
            frame: 0,
            packets: Vec::new(),
            others: Vec::new(),
            looks_like: Vec::new(),
        }
    }

    /// A connection to `port` that was open before the capture began.
    pub(super) fn amid(port: u16) -> Self {
        let mut run = Self::to(port);
        run.connection.handshake_seen = false;
        run
    }

    fn on(&mut self, event: StreamEvent<'_>) {
        let (packets, others) = (&mut self.packets, &mut self.others);
        let looks_like = &mut self.looks_like;
        let mut emit = |event: &Event<'_>| match event {
            Event::Packet(seen) => packets.push(Seen {
                direction: seen.direction,
                bytes: seen.bytes.to_vec(),
                frames: seen.frames.to_vec(),
                frame: seen.stamp.number,
                index: seen.index,
                sender: seen.sender,
                version: seen.version,
                inferred: seen.version_inferred,
                after_gap: seen.after_gap,
                client_id: seen.client_id.map(str::to_owned),
                resolved: seen.topic_resolved.map(str::to_owned),
                rule: seen.packet.err().map(|malformed| malformed.rule),
                payload: match seen.packet {
                    Ok(ControlPacket::Publish(publish)) => Some(publish.payload.to_vec()),
                    _ => None,
                },
                transport: seen.transport,
                missing: seen.missing,
            }),
            Event::Opened(opened) => {
                let proxied = opened.proxied.map(|proxied| proxied.client);
                let client = proxied.map(|end| format!(" for {}:{}", end.address, end.port));
                let port = opened.server.port;
                others.push(format!("opened {port}{}", client.unwrap_or_default()));
            }
            Event::Gap(gap) => others.push(format!("gap {} {}", gap.length, gap.discarded)),
            Event::NotMqtt(not) => {
                looks_like.push(not.looks_like);
                others.push(match (not.answers_mqtt, not.introduction.alert) {
                    (true, Some(alert)) => format!("answers mqtt: {alert}"),
                    _ => "not mqtt".to_owned(),
                });
            }
            Event::Breach(seen) => {
                others.push(format!("{:?} {:?}", seen.sender, seen.breach));
            }
            // Ended repeats it.
            Event::FirstEnd(_) => {}
            Event::Ended(ended) => {
                let incomplete = ended.incomplete.iter().flatten();
                let incomplete: Vec<_> = incomplete
                    .map(|i| format!(" {} {}/{}", i.packet_type.name(), i.received, i.announced))
                    .collect();
                others.push(format!("ended{}", incomplete.concat()));
            }
            _ => unreachable!("a decoder emits no more than that"),
        };
        self.decoder
            .on(&mut self.context, &self.connection, event, &mut emit);
    }

    /// One segment in a frame of its own.
    pub(super) fn segment(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        self.frame += 1;
        let stamp = FrameStamp {
            number: self.frame,
            ..FrameStamp::default()
        };
        self.on(StreamEvent::Bytes {
            direction,
            bytes,
            stamp: &stamp,
            layers: &Layers::default(),
        });
        self
    }

    pub(super) fn gap(&mut self, direction: Direction, length: u64) -> &mut Self {
        self.gap_of(direction, length, GapCause::NotCaptured)
    }

    /// Bytes that the snapshot length cut off.
    pub(super) fn cut(&mut self, direction: Direction, length: usize) -> &mut Self {
        self.gap_of(direction, length as u64, GapCause::SnapshotLength)
    }

    fn gap_of(&mut self, direction: Direction, length: u64, cause: GapCause) -> &mut Self {
        let stamp = FrameStamp {
            number: self.frame,
            ..FrameStamp::default()
        };
        self.on(StreamEvent::Gap {
            direction,
            length,
            cause,
            stamp: &stamp,
        });
        self
    }

    /// The end of the capture.
    pub(super) fn close(&mut self) -> &mut Self {
        self.close_by(Closed::CaptureEnd)
    }

    /// The end of the connection. Every byte must have been accounted for.
    pub(super) fn close_by(&mut self, why: Closed) -> &mut Self {
        let stamp = FrameStamp::default();
        self.on(StreamEvent::Closed { why, stamp: &stamp });
        let c = &self.context.counters;
        assert_eq!(
            c.bytes,
            c.in_packets
                + c.discarded
                + c.over_cap
                + c.given_up
                + c.not_mqtt
                + c.incomplete
                + c.wrapped,
            "{c:?}"
        );
        assert_eq!(self.context.held(), 0);
        assert_eq!(self.context.carriers.in_use(), (0, 0));
        self
    }

    /// The bytes of all packets emitted in `direction`, one after the other.
    pub(super) fn bytes_of(&self, direction: Direction) -> Vec<Vec<u8>> {
        self.packets
            .iter()
            .filter(|seen| seen.direction == direction)
            .map(|seen| seen.bytes.clone())
            .collect()
    }

    /// The packet types emitted, in order.
    pub(super) fn types(&self) -> Vec<&'static str> {
        self.packets
            .iter()
            .map(|seen| crate::mqtt::PacketType::of(seen.bytes[0]).name())
            .collect()
    }
}

pub(super) fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    let mut remaining = body.len();
    loop {
        let more = if remaining > 0x7f { 0x80 } else { 0 };
        bytes.push((remaining & 0x7f) as u8 | more);
        remaining >>= 7;
        if remaining == 0 {
            break;
        }
    }
    bytes.extend_from_slice(body);
    bytes
}

pub(super) fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat()
}

/// CONNECT of the version with this level.
pub(super) fn connect(level: u8) -> Vec<u8> {
    let name = if level == 3 { "MQIsdp" } else { "MQTT" };
    let mut body = [text(name), vec![level, 2, 0, 60]].concat();
    if level == 5 {
        body.push(0);
    }
    body.extend(text("client"));
    packet(0x10, &body)
}

pub(super) fn connack(level: u8) -> Vec<u8> {
    if level == 5 {
        packet(0x20, &[0, 0, 0])
    } else {
        packet(0x20, &[0, 0])
    }
}

/// PUBLISH with QoS 0 for identifier 0, else 1.
pub(super) fn publish(level: u8, topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = text(topic);
    if id > 0 {
        body.extend(id.to_be_bytes());
    }
    if level == 5 {
        body.push(0);
    }
    body.extend_from_slice(payload);
    packet(if id > 0 { 0x32 } else { 0x30 }, &body)
}

pub(super) fn puback(id: u16) -> Vec<u8> {
    packet(0x40, &id.to_be_bytes())
}

pub(super) fn subscribe(level: u8, id: u16, filter: &str) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    body.extend(text(filter));
    body.push(0);
    packet(0x82, &body)
}

pub(super) fn suback(level: u8, id: u16) -> Vec<u8> {
    let mut body = id.to_be_bytes().to_vec();
    if level == 5 {
        body.push(0);
    }
    body.push(0);
    packet(0x90, &body)
}

pub(super) const PINGREQ: [u8; 2] = [0xc0, 0];
pub(super) const PINGRESP: [u8; 2] = [0xd0, 0];
pub(super) const DISCONNECT: [u8; 2] = [0xe0, 0];
