//! A client that speaks MQTT as the specification wants it, and notes what it does otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use mqtt_inspect::mqtt::framer::{Cut, cut};
use mqtt_inspect::mqtt::packet::{Acknowledgement, ConnAck, Publish};
use mqtt_inspect::mqtt::{
    ControlPacket, Delivery, Malformed, PacketIdentifier, PropertiesBuf, PropertyId, PropertyValue,
    ProtocolVersion, QoS, Rule, Sender,
};

use super::broker::dial;
use super::known::{End, Known, Link, MessageId, id_of};

/// A message that the client sends, from its PUBLISH to the end of its handshake.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    pub(crate) topic: String,
    pub(crate) qos: QoS,
    pub(crate) retain: bool,
    pub(crate) payload: Vec<u8>,
    pub(crate) properties: PropertiesBuf,
    released: bool,
}

/// A client, its session, and its connection while it has one.
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) version: ProtocolVersion,
    pub(crate) wire: Option<Wire>,
    /// Connections that another of the client took over, until the broker closes them.
    old: Vec<Wire>,
    /// Messages that it sends, in order.
    sending: Vec<(PacketIdentifier, Outgoing)>,
    /// QoS 2 messages that it received and that were not released.
    received: BTreeSet<PacketIdentifier>,
    next_id: u16,
    pub(crate) filters: BTreeSet<String>,
    /// Its last connection was one with a clean session: nothing of that lives on.
    was_clean: bool,
}

/// A connection, and what holds for it alone.
pub(crate) struct Wire {
    stream: TcpStream,
    pub(crate) port: u16,
    version: ProtocolVersion,
    bytes: Vec<u8>,
    /// It acknowledges nothing any more, as a program that hangs.
    pub(crate) hangs: bool,
    /// It sends no PUBREL any more.
    pub(crate) keeps_back: bool,
    /// How many messages it may have in flight.
    quota: usize,
    /// Topics by alias, and the largest that the broker takes.
    aliases: BTreeMap<u16, String>,
    alias_maximum: u16,
    ended: bool,
}

impl Client {
    pub(crate) fn new(name: String, version: ProtocolVersion) -> Self {
        Self {
            name,
            version,
            wire: None,
            old: Vec::new(),
            sending: Vec::new(),
            received: BTreeSet::new(),
            next_id: 1,
            filters: BTreeSet::new(),
            was_clean: true,
        }
    }

    /// Sends CONNECT, waits for CONNACK and goes on with what is in flight.
    pub(crate) fn connect(
        &mut self,
        to: u16,
        (packet, clean, will): (&[u8], bool, Option<MessageId>),
        known: &mut Known,
    ) {
        if let Some(old) = self.wire.take() {
            known.end(old.port, End::TakenOver);
            self.old.push(old);
        }
        // A port names one connection of a run.
        let mut others = Vec::new();
        let (stream, port) = loop {
            let stream = dial(to);
            let port = stream.local_addr().expect("an address").port();
            if !known.links.contains_key(&port) {
                break (stream, port);
            }
            others.push(stream);
        };
        let link = Link {
            client: self.name.clone(),
            version: self.version,
            end: End::Open,
            will,
            withheld: false,
        };
        known.links.insert(port, link);
        let mut wire = Wire {
            stream,
            port,
            version: self.version,
            bytes: Vec::new(),
            hangs: false,
            keeps_back: false,
            quota: 15,
            aliases: BTreeMap::new(),
            alias_maximum: 0,
            ended: false,
        };
        wire.send(packet);
        let until = Instant::now() + Duration::from_secs(2);
        let connack = loop {
            wire.read();
            if let Some(bytes) = wire.next_packet() {
                break bytes;
            }
            // amqtt does not answer each.
            if wire.ended || Instant::now() >= until {
                return known.end(port, End::ByBroker);
            }
            thread::sleep(Duration::from_micros(200));
        };
        let Ok(ControlPacket::ConnAck(ack)) = ControlPacket::read(&connack, self.version, &mut ())
        else {
            panic!("{}: {connack:02x?} for a CONNACK", self.name);
        };
        assert_eq!(ack.code, 0, "{}: refused", self.name);
        self.resume(&ack, clean);
        let quota = ack.properties.receive_maximum().map_or(15, usize::from);
        wire.quota = quota.min(15);
        wire.alias_maximum = ack.properties.topic_alias_maximum().unwrap_or(0);
        for (packet_id, message) in &self.sending {
            if message.released {
                wire.acknowledge(*packet_id, ControlPacket::PubRel);
            } else {
                wire.publish(Some(*packet_id), message, true, &message.topic);
            }
        }
        self.wire = Some(wire);
    }

    /// Forgets what belonged to a session that is gone.
    fn resume(&mut self, ack: &ConnAck<'_>, clean: bool) {
        let present = match self.version {
            ProtocolVersion::V3_1 => !clean && !self.was_clean,
            _ => ack.session_present,
        };
        self.was_clean = clean;
        if !present {
            self.sending.clear();
            self.received.clear();
            self.filters.clear();
        }
    }

    /// Whether it may begin another handshake.
    pub(crate) fn may_publish(&self) -> bool {
        let wire = self.wire.as_ref();
        wire.is_some_and(|wire| self.sending.len() < wire.quota)
    }

    /// A packet identifier that is not in use.
    pub(crate) fn free_id(&mut self) -> PacketIdentifier {
        loop {
            let id = PacketIdentifier::new(self.next_id);
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if let Some(id) = id
                && self.sending.iter().all(|(other, _)| *other != id)
            {
                return id;
            }
        }
    }

    /// Publishes a message; with `alias` the topic goes as one where the broker takes it.
    pub(crate) fn publish(&mut self, message: Outgoing, alias: Option<u16>, known: &mut Known) {
        let packet_id = (message.qos != QoS::AtMostOnce).then(|| self.free_id());
        let Some(wire) = &mut self.wire else {
            return;
        };
        if let Some(id) = id_of(&message.payload) {
            known.seen.insert((wire.port, Sender::Client, id));
        }
        match alias.filter(|alias| *alias <= wire.alias_maximum) {
            None => wire.publish(packet_id, &message, false, &message.topic),
            Some(alias) => {
                let mut with = message.clone();
                let value = PropertyValue::TwoByte(alias);
                with.properties
                    .push(PropertyId::TOPIC_ALIAS, value)
                    .expect("fits");
                let known = wire.aliases.insert(alias, message.topic.clone());
                let topic = match known {
                    Some(known) if known == message.topic => "",
                    _ => &message.topic,
                };
                wire.publish(packet_id, &with, false, topic);
            }
        }
        if let Some(packet_id) = packet_id {
            self.sending.push((packet_id, message));
        }
    }

    /// Reads what came and answers it.
    pub(crate) fn serve(&mut self, known: &mut Known) {
        for wire in &mut self.old {
            wire.read();
            while let Some(bytes) = wire.next_packet() {
                wire.note(&bytes, known);
            }
        }
        self.old.retain(|wire| !wire.ended);
        let Some(mut wire) = self.wire.take() else {
            return;
        };
        wire.read();
        while let Some(bytes) = wire.next_packet() {
            wire.note(&bytes, known);
            self.answer(&mut wire, &bytes, known);
        }
        if wire.ended {
            known.end(wire.port, End::ByBroker);
        } else {
            self.wire = Some(wire);
        }
    }

    fn answer(&mut self, wire: &mut Wire, bytes: &[u8], known: &mut Known) {
        match read(bytes, self.version) {
            ControlPacket::Publish(publish) => {
                if wire.hangs {
                    return known.withhold(wire.port);
                }
                match publish.delivery {
                    Delivery::AtMostOnce => {}
                    Delivery::AtLeastOnce(id) => wire.acknowledge(id, ControlPacket::PubAck),
                    Delivery::ExactlyOnce(id) => {
                        self.received.insert(id);
                        wire.acknowledge(id, ControlPacket::PubRec);
                    }
                }
            }
            ControlPacket::PubRel(ack) => {
                if wire.hangs {
                    return known.withhold(wire.port);
                }
                self.received.remove(&ack.packet_id);
                wire.acknowledge(ack.packet_id, ControlPacket::PubComp);
            }
            ControlPacket::PubRec(ack) => {
                let own = self.sending.iter_mut().find(|(id, _)| *id == ack.packet_id);
                let Some((_, message)) = own else { return };
                if ack.reason_code >= 0x80 {
                    return self.sending.retain(|(id, _)| *id != ack.packet_id);
                }
                if wire.keeps_back {
                    return known.withhold(wire.port);
                }
                message.released = true;
                if let Some(id) = id_of(&message.payload) {
                    known.released.insert(id);
                }
                wire.acknowledge(ack.packet_id, ControlPacket::PubRel);
            }
            ControlPacket::PubAck(ack) | ControlPacket::PubComp(ack) => {
                self.sending.retain(|(id, _)| *id != ack.packet_id);
            }
            _ => {}
        }
    }

    /// Ends the connection in one of the ways there are.
    pub(crate) fn leave(&mut self, how: End, known: &mut Known) {
        let Some(mut wire) = self.wire.take() else {
            return;
        };
        known.end(wire.port, how);
        match how {
            End::Disconnect => wire.send(&[0xe0, 0]),
            End::DisconnectWithWill => wire.send(&[0xe0, 1, 4]),
            End::Reset => {
                let linger = socket2::SockRef::from(&wire.stream).set_linger(Some(Duration::ZERO));
                linger.expect("an option of TCP");
            }
            _ => {}
        }
    }
}

/// Reads a packet of a broker. aedes sets DUP at QoS 0, which is read all the same.
pub(crate) fn read(bytes: &[u8], version: ProtocolVersion) -> ControlPacket<'_> {
    let packet = ControlPacket::read(bytes, version, &mut ());
    let Err(Malformed { rule, .. }) = packet else {
        return packet.expect("it is read");
    };
    assert_eq!(rule, Rule::DupNeedsQos, "{bytes:02x?}");
    let version = ProtocolVersion::V3_1;
    let packet = ControlPacket::read(bytes, version, &mut ());
    packet.expect("3.1 has no rule about DUP")
}

impl Outgoing {
    pub(crate) fn new(topic: &str, qos: QoS, retain: bool, payload: Vec<u8>) -> Self {
        Self {
            topic: topic.to_owned(),
            qos,
            retain,
            payload,
            properties: PropertiesBuf::new(),
            released: false,
        }
    }
}

impl Wire {
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        // The broker may have closed: what is lost then is lost.
        if self.stream.write_all(bytes).is_err() {
            self.ended = true;
        }
    }

    fn acknowledge(
        &mut self,
        packet_id: PacketIdentifier,
        kind: fn(Acknowledgement<'static>) -> ControlPacket<'static>,
    ) {
        let packet = kind(Acknowledgement {
            packet_id,
            reason_code: 0,
            properties: Default::default(),
        });
        self.write(&packet);
    }

    fn publish(
        &mut self,
        packet_id: Option<PacketIdentifier>,
        message: &Outgoing,
        dup: bool,
        topic: &str,
    ) {
        let delivery = match (message.qos, packet_id) {
            (QoS::AtLeastOnce, Some(id)) => Delivery::AtLeastOnce(id),
            (QoS::ExactlyOnce, Some(id)) => Delivery::ExactlyOnce(id),
            _ => Delivery::AtMostOnce,
        };
        self.write(&ControlPacket::Publish(Publish {
            dup,
            retain: message.retain,
            delivery,
            topic,
            properties: message.properties.as_properties(),
            payload: &message.payload,
        }));
    }

    pub(crate) fn write(&mut self, packet: &ControlPacket<'_>) {
        let mut bytes = Vec::new();
        packet.write(self.version, &mut bytes).expect("a packet");
        self.send(&bytes);
    }

    fn read(&mut self) {
        let mut buffer = [0; 16 << 10];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.ended = true,
                Ok(count) => self.bytes.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    fn next_packet(&mut self) -> Option<Vec<u8>> {
        let length = match cut(&self.bytes) {
            Cut::Whole((packet, _)) => packet.bytes.len(),
            _ => return None,
        };
        Some(self.bytes.drain(..length).collect())
    }

    /// Notes the message that a PUBLISH of the broker brought.
    fn note(&self, bytes: &[u8], known: &mut Known) {
        if let ControlPacket::Publish(publish) = read(bytes, self.version)
            && let Some(id) = id_of(publish.payload)
        {
            known.seen.insert((self.port, Sender::Server, id));
        }
    }
}
