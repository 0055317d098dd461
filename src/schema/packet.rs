//! A control packet.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_with_macros::skip_serializing_none;

use super::connect::{ConnAck, Connect, Subscription, Subscriptions};
use super::partial::PartialPacket;
use super::payload::Payload;
use super::property::{Properties, Property};
use super::value::{Instant, Seconds, is_false, is_zero, sender_name};
use crate::base::Timestamp;
use crate::event::{PacketEvent, Transport};
use crate::mqtt::packet::TopicFilters;
use crate::mqtt::{
    Breach, ControlPacket, PacketType, ProtocolVersion, Rule, reason, surely_clean, violations,
};

/// A control packet where it stands in the capture, its members in wire order as far as they
/// could be read.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Packet<'a> {
    /// The frame that carries the packet's last byte in stream order.
    pub frame: u64,
    /// The packet's place among those that end in that frame, from 0.
    pub index: u32,
    /// Every frame that carried a part, in order; absent where the packet lies in one.
    pub frames: Option<&'a [u64]>,
    /// The instant of the frame, UTC.
    pub time: Option<Instant>,
    /// Seconds since the Unix epoch, exact: read it as a decimal, not as a double.
    pub time_epoch: Option<Seconds>,
    /// Seconds since the capture's first frame.
    pub time_relative: Option<Seconds>,
    /// The IP address that it came from.
    pub src: IpAddr,
    /// The TCP port that it came from.
    pub src_port: u16,
    /// The IP address that it went to.
    pub dst: IpAddr,
    /// The TCP port that it went to.
    pub dst_port: u16,
    /// The frame's length on the wire in bytes.
    pub length: u32,
    /// The TCP connection, from 0 by its first frame in the capture.
    pub stream: u32,
    /// `client` or `server`.
    #[schemars(extend("enum" = ["client", "server"]))]
    pub sender: &'static str,
    /// The client identifier of the connection, an assigned one from CONNACK on; absent where it
    /// is not known.
    pub client_id: Option<&'a str>,
    /// The protocols that carried the packet, unless that is plain TCP: `websocket`, `tls`,
    /// `proxy` (the PROXY protocol), or several from the outside in: `tls+websocket`.
    #[serde(skip_serializing_if = "Transport::is_bare", serialize_with = "as_text")]
    #[schemars(with = "Option<&str>")]
    pub transport: Transport,
    /// A gap, or the capture's start, lies before this packet in its direction.
    #[serde(skip_serializing_if = "is_false")]
    pub after_gap: bool,
    /// The packet type's number (MQTT 5.0 §2.1.2).
    #[serde(rename = "type")]
    pub packet_type: u8,
    /// The packet type's name: `PUBLISH`.
    pub type_name: &'static str,
    /// `3.1`, `3.1.1` or `5.0`, once known; `?` for a CONNECT with another protocol level.
    pub version: Option<&'static str>,
    /// No CONNECT was seen: the version was inferred from the structure of the packets.
    #[serde(skip_serializing_if = "is_false")]
    pub version_inferred: bool,
    /// The DUP flag of a PUBLISH; in 3.1 also of PUBREL, SUBSCRIBE and UNSUBSCRIBE where set.
    pub dup: Option<bool>,
    /// The QoS of a PUBLISH; 3 only where it is malformed.
    pub qos: Option<u8>,
    /// The RETAIN flag of a PUBLISH.
    pub retain: Option<bool>,
    /// The packet identifier; 0 only where that makes the packet malformed.
    pub packet_id: Option<u16>,
    /// The topic name of a PUBLISH as it stands there: empty where an alias replaces it.
    pub topic: Option<&'a str>,
    /// The topic name that the alias stood for there and then (5.0).
    pub topic_resolved: Option<&'a str>,
    /// The members of a CONNECT.
    pub connect: Option<Box<Connect<'a>>>,
    /// The members of a CONNACK.
    pub connack: Option<ConnAck<'a>>,
    /// The subscriptions of a SUBSCRIBE in wire order.
    #[schemars(with = "Option<Vec<Subscription<'_>>>")]
    pub subscriptions: Option<Subscriptions<'a>>,
    /// The topic filters of an UNSUBSCRIBE, or what could be read of a malformed SUBSCRIBE.
    #[schemars(with = "Option<Vec<&str>>")]
    pub filters: Option<Filters<'a>>,
    /// The reason code of an acknowledgement, DISCONNECT or AUTH (5.0).
    pub reason_code: Option<u8>,
    /// That code in the words of the specification.
    pub reason_name: Option<&'static str>,
    /// The codes of a SUBACK, and of an UNSUBACK of 5.0, one for each filter.
    pub reason_codes: Option<&'a [u8]>,
    /// The properties in wire order (5.0).
    #[schemars(with = "Option<Vec<Property<'_>>>")]
    pub properties: Option<Properties<'a>>,
    /// The rules that a readable packet breaks all the same, 1,024 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Broken>,
    /// How many more it breaks.
    #[serde(skip_serializing_if = "is_zero")]
    pub errors_left_out: u64,
    /// Why the packet cannot be read to its end; what was read before stands beside it.
    pub malformed: Option<Broken>,
    /// The payload of a PUBLISH.
    pub payload: Option<Payload<'a>>,
    /// Wireshark's Info column: `Publish Message (id=1) [test]`.
    pub info: &'a str,
}

/// Decisions of a run that all of its records share.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context {
    /// The instant of the run's first frame.
    pub start: Option<Timestamp>,
    /// Passwords and other secrets are shown.
    pub secrets: bool,
}

impl<'a> Packet<'a> {
    /// The record of a packet; `info` is the text of its Info column.
    pub fn new(seen: &PacketEvent<'a>, context: Context, info: &'a str) -> Self {
        let mut packet = Self::place(seen, context, info);
        match seen.packet {
            Ok(read) => {
                packet.members(read, seen, context.secrets);
                let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
                if !surely_clean(read, seen.bytes, version) {
                    (packet.errors, packet.errors_left_out) = errors(read, seen.bytes, version);
                }
            }
            Err(malformed) => {
                packet.partial(&PartialPacket::of(seen), seen.packet_type);
                let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
                packet.malformed = Some(Broken::new(malformed.rule, malformed.offset, version));
            }
        }
        packet
    }

    /// Starts a record with the members that any packet has.
    fn place(seen: &PacketEvent<'a>, context: Context, info: &'a str) -> Self {
        let stamp = &seen.stamp;
        let version = match seen.version {
            None if seen.packet_type == PacketType::Connect => Some("?"),
            version => version.map(ProtocolVersion::name),
        };
        Self {
            frame: stamp.number,
            index: seen.index,
            frames: (seen.frames.len() > 1).then_some(seen.frames),
            time: Instant::of(stamp),
            time_epoch: Seconds::epoch(stamp),
            time_relative: Seconds::since(context.start, stamp),
            src: seen.source.address,
            src_port: seen.source.port,
            dst: seen.destination.address,
            dst_port: seen.destination.port,
            length: stamp.length,
            stream: seen.connection.0,
            sender: sender_name(seen.sender),
            client_id: seen.client_id,
            transport: seen.transport,
            after_gap: seen.after_gap,
            packet_type: seen.packet_type as u8,
            type_name: seen.packet_type.name(),
            version,
            version_inferred: seen.version.is_some() && seen.version_inferred,
            dup: repeats(seen).then_some(true),
            qos: None,
            retain: None,
            packet_id: None,
            topic: None,
            topic_resolved: None,
            connect: None,
            connack: None,
            subscriptions: None,
            filters: None,
            reason_code: None,
            reason_name: None,
            reason_codes: None,
            properties: None,
            errors: Vec::new(),
            errors_left_out: 0,
            malformed: None,
            payload: None,
            info,
        }
    }

    /// Fills in the members of this packet type.
    fn members(&mut self, packet: &ControlPacket<'a>, seen: &PacketEvent<'a>, secrets: bool) {
        let v5 = seen.version == Some(ProtocolVersion::V5_0);
        self.properties = Properties::new(packet.properties(), secrets);
        match packet {
            ControlPacket::Connect(connect) => {
                self.connect = Some(Box::new(Connect::new(connect, seen.version, secrets)));
            }
            ControlPacket::ConnAck(ack) => {
                self.connack = Some(ConnAck::new(ack.code, ack.session_present, seen.version));
            }
            ControlPacket::Publish(publish) => {
                self.dup = Some(publish.dup);
                self.qos = Some(publish.delivery.qos() as u8);
                self.retain = Some(publish.retain);
                self.packet_id = publish.delivery.packet_id().map(|id| id.number());
                self.topic = Some(publish.topic);
                self.topic_resolved = seen.topic_resolved;
                self.payload = Some(Payload::cut(publish.payload, seen.missing));
            }
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => {
                self.packet_id = Some(ack.packet_id.number());
                if v5 {
                    self.reason(seen, ack.reason_code);
                }
            }
            ControlPacket::Subscribe(subscribe) => {
                self.packet_id = Some(subscribe.packet_id.number());
                let all = Subscriptions::new(subscribe.subscriptions, seen.version);
                self.subscriptions = Some(all);
            }
            ControlPacket::SubAck(ack) => {
                self.packet_id = Some(ack.packet_id.number());
                self.reason_codes = Some(ack.codes);
            }
            ControlPacket::Unsubscribe(unsubscribe) => {
                self.packet_id = Some(unsubscribe.packet_id.number());
                self.filters = Some(Filters::Whole(unsubscribe.filters));
            }
            ControlPacket::UnsubAck(ack) => {
                self.packet_id = Some(ack.packet_id.number());
                self.reason_codes = v5.then_some(ack.codes);
            }
            ControlPacket::Disconnect(disconnect) => {
                if v5 {
                    self.reason(seen, disconnect.reason_code);
                }
            }
            ControlPacket::Auth(auth) => self.reason(seen, auth.reason_code),
            ControlPacket::PingReq | ControlPacket::PingResp => {}
        }
    }

    /// Fills in the members that could be read of a malformed packet.
    fn partial(&mut self, partial: &PartialPacket<'a>, packet_type: PacketType) {
        if let Some((dup, qos, retain)) = partial.publish_flags(packet_type) {
            (self.dup, self.qos, self.retain) = (Some(dup), Some(qos), Some(retain));
        }
        self.packet_id = partial.packet_id;
        self.reason_code = partial.reason_code;
        match packet_type {
            PacketType::Publish => self.topic = partial.topics.first().copied(),
            PacketType::Subscribe | PacketType::Unsubscribe if !partial.topics.is_empty() => {
                self.filters = Some(Filters::Read(partial.topics.clone()));
            }
            PacketType::Connect => self.connect = partial.connect().map(Box::new),
            _ => {}
        }
    }

    /// Fills in a reason code and its name.
    fn reason(&mut self, seen: &PacketEvent<'_>, code: u8) {
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        self.reason_code = Some(code);
        self.reason_name = Some(reason::name(seen.packet_type, version, code));
    }
}

/// For `serialize_with`: `tls+websocket`.
fn as_text<S: Serializer>(transport: &Transport, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(transport)
}

/// Whether a packet other than PUBLISH has DUP set: MQTT 3.1 (§3.6, §3.8, §3.10) has the flag in
/// PUBREL, SUBSCRIBE and UNSUBSCRIBE too.
fn repeats(seen: &PacketEvent<'_>) -> bool {
    use PacketType::{PubRel, Subscribe, Unsubscribe};
    seen.version == Some(ProtocolVersion::V3_1)
        && matches!(seen.packet_type, PubRel | Subscribe | Unsubscribe)
        && seen.bytes.first().is_some_and(|first| first & 0x08 != 0)
}

/// Topic filters in wire order, walked while they are written where they are many.
#[derive(Clone, Debug)]
pub enum Filters<'a> {
    /// All of an UNSUBSCRIBE.
    Whole(TopicFilters<'a>),
    /// The first ones of a malformed packet.
    Read(Vec<&'a str>),
}

impl Serialize for Filters<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(filters) => serializer.collect_seq(filters.iter()),
            Self::Read(filters) => serializer.collect_seq(filters),
        }
    }
}

/// A rule that a packet breaks.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Broken {
    /// The rule's name, stable, in kebab case: `packet-identifier-is-not-zero`.
    pub rule: &'static str,
    /// The statements of the connection's version that demand it: `MQTT-2.3.1-1`.
    pub statements: &'static [&'static str],
    /// Where it shows, in bytes from the packet's first.
    pub offset: u64,
    /// The demand of the rule, in one sentence.
    pub message: &'static str,
}

impl Broken {
    /// The rule as the connection's version numbers its statements.
    fn new(rule: Rule, offset: usize, version: ProtocolVersion) -> Self {
        Self {
            rule: rule.name(),
            statements: rule.ids(version),
            offset: offset as u64,
            message: rule.sentence(),
        }
    }
}

/// Lists the rules that a packet breaks although it can be read. Advice is left out: it breaks
/// nothing.
#[cold]
fn errors(
    packet: &ControlPacket<'_>,
    bytes: &[u8],
    version: ProtocolVersion,
) -> (Vec<Broken>, u64) {
    /// A packet of megabytes may break millions of rules.
    const MOST: usize = 1_024;
    let (mut errors, mut left_out) = (Vec::new(), 0);
    violations(packet, bytes, version, &mut |violation| {
        if violation.rule.breach() == Breach::Advice {
            return;
        }
        match errors.len() {
            0..MOST => errors.push(Broken::new(violation.rule, violation.offset, version)),
            _ => left_out += 1,
        }
    });
    (errors, left_out)
}
