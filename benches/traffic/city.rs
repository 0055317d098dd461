//! A server and its clients: who connects, subscribes, publishes, and who receives it.

use std::io::{self, Write};

use mqtt_inspect::mqtt::packet::{
    Acknowledgement, ConnAck, Connect, Disconnect, FilterAcknowledgement, Publish, Subscribe,
    Unsubscribe, Will,
};
use mqtt_inspect::mqtt::{
    ControlPacket, Delivery, PacketIdentifier, Properties, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion, QoS, SubscriptionsBuf, TopicFiltersBuf,
};

use super::wires::{End, Fate, Tap, Wire};
use super::{Chance, Kind, Manifest, Recipe};

/// Subscribers that a topic has at most.
const CROWD: usize = 4;

/// Connections with frames that wait for their turn, at most: their frames alternate.
const BUSY: usize = 8;

/// Topic aliases that either end takes.
const ALIASES: u16 = 8;

const FILLER: &[u8] = br#"{"temperature":21.5,"humidity":48,"unit":"C","room":"k1"} "#;

/// One Client's connection.
struct Client {
    wire: Wire,
    version: ProtocolVersion,
    /// The last packet identifier that each end chose.
    ids: [u16; 2],
    /// The topics whose alias was set, by alias, for each end.
    aliases: [Vec<usize>; 2],
    topics: Vec<usize>,
}

pub(super) struct City<'r, W: Write> {
    recipe: &'r Recipe,
    chance: Chance,
    tap: Tap<W>,
    clients: Vec<Client>,
    /// How many connections are to be open.
    wanted: usize,
    /// Connections with frames that wait.
    busy: Vec<usize>,
    topics: Vec<String>,
    subscribers: Vec<Vec<usize>>,
    packet: Vec<u8>,
    payload: Vec<u8>,
}

impl<'r, W: Write> City<'r, W> {
    pub(super) fn new(recipe: &'r Recipe, to: W) -> io::Result<Self> {
        let wanted = match recipe.kind {
            Kind::Many => recipe.bytes / 1500,
            Kind::Mixed => 20 + recipe.bytes / 400_000,
            Kind::Tiny => 20 + recipe.bytes / 100_000,
        };
        let topics: Vec<String> = (0..wanted.max(50))
            .map(|number| match recipe.kind {
                Kind::Tiny => format!("t/{}", number % 1000),
                _ => format!("site/{}/room/{}/sensor/{number}", number % 7, number % 91),
            })
            .collect();
        Ok(Self {
            recipe,
            chance: Chance(recipe.seed),
            tap: Tap::new(to)?,
            clients: Vec::new(),
            wanted: usize::try_from(wanted).unwrap_or(usize::MAX).max(2),
            busy: Vec::new(),
            subscribers: vec![Vec::new(); topics.len()],
            topics,
            packet: Vec::new(),
            payload: Vec::new(),
        })
    }

    pub(super) fn live(mut self) -> io::Result<Manifest> {
        while self.tap.manifest.bytes < self.recipe.bytes {
            let opening = if self.recipe.kind == Kind::Many { 6 } else { 3 };
            if self.clients.len() < self.wanted && self.chance.happens(opening, 10) {
                let client = self.new_client();
                self.clients.push(client);
                self.greet(self.clients.len() - 1);
            } else if !self.clients.is_empty() {
                let at = self.chance.below(self.clients.len() as u64) as usize;
                self.act(at)?;
            }
            while self.busy.len() > BUSY {
                let place = self.chance.below(self.busy.len() as u64) as usize;
                self.let_go(place)?;
            }
        }
        for at in 0..self.clients.len() {
            self.flush(at);
        }
        while !self.busy.is_empty() {
            self.let_go(0)?;
        }
        self.tap.done()
    }

    /// Writes a few frames of a busy connection.
    fn let_go(&mut self, place: usize) -> io::Result<()> {
        let at = self.busy[place];
        for _ in 0..self.chance.within(1, 4) {
            let wire = &mut self.clients[at].wire;
            wire.write_next(&mut self.tap, &mut self.chance)?;
        }
        if self.clients[at].wire.is_idle() {
            self.busy.swap_remove(place);
        }
        Ok(())
    }

    /// Writes all that waits of a connection: others are to receive it.
    fn drain(&mut self, at: usize) -> io::Result<()> {
        self.flush(at);
        while !self.clients[at].wire.is_idle() {
            let wire = &mut self.clients[at].wire;
            wire.write_next(&mut self.tap, &mut self.chance)?;
        }
        self.busy.retain(|busy| *busy != at);
        Ok(())
    }

    fn flush(&mut self, at: usize) {
        let fate = &mut Fate {
            recipe: self.recipe,
            chance: &mut self.chance,
            manifest: &mut self.tap.manifest,
        };
        let wire = &mut self.clients[at].wire;
        wire.flush(End::Client, fate);
        wire.flush(End::Server, fate);
        self.note_busy(at);
    }

    fn note_busy(&mut self, at: usize) {
        if !self.clients[at].wire.is_idle() && !self.busy.contains(&at) {
            self.busy.push(at);
        }
    }

    fn put(&mut self, at: usize, from: End, packet: &ControlPacket<'_>) {
        let client = &mut self.clients[at];
        self.packet.clear();
        let written = packet.write(client.version, &mut self.packet);
        debug_assert_eq!(written, Ok(()));
        let fate = &mut Fate {
            recipe: self.recipe,
            chance: &mut self.chance,
            manifest: &mut self.tap.manifest,
        };
        client.wire.put(from, &self.packet, fate);
    }

    fn new_client(&mut self) -> Client {
        let number = self.tap.manifest.connections as u32;
        self.tap.manifest.connections += 1;
        let timestamps = self.recipe.kind != Kind::Tiny;
        let version = match self.chance.below(10) {
            0 => ProtocolVersion::V3_1,
            1..=3 => ProtocolVersion::V5_0,
            _ => ProtocolVersion::V3_1_1,
        };
        Client {
            wire: Wire::open(number, &mut self.chance, timestamps),
            version,
            ids: [0; 2],
            aliases: Default::default(),
            topics: Vec::new(),
        }
    }

    /// CONNECT, CONNACK and the first subscription.
    fn greet(&mut self, at: usize) {
        let id = format!("client-{:08x}", self.chance.next() as u32);
        let version = self.clients[at].version;
        let mut properties = PropertiesBuf::new();
        let mut answer = PropertiesBuf::new();
        if version == ProtocolVersion::V5_0 {
            let maximum = PropertyValue::TwoByte(ALIASES);
            for made in [&mut properties, &mut answer] {
                let pushed = made.push(PropertyId::TOPIC_ALIAS_MAXIMUM, maximum);
                debug_assert_eq!(pushed, Ok(()));
            }
        }
        let user = self.chance.happens(1, 3);
        let mut connect = Connect {
            properties: properties.as_properties(),
            user_name: user.then_some("user"),
            password: user.then_some(b"secret"),
            ..Connect::new(version, &id)
        };
        if self.chance.happens(1, 10) {
            connect.will = Some(Will {
                qos: QoS::AtLeastOnce,
                retain: false,
                properties: Properties::default(),
                topic: "will/of/nobody",
                payload: b"gone",
            });
        }
        self.put(at, End::Client, &ControlPacket::Connect(connect));
        let connack = ConnAck {
            session_present: false,
            code: 0,
            properties: answer.as_properties(),
        };
        self.put(at, End::Server, &ControlPacket::ConnAck(connack));
        self.subscribe(at);
        self.note_busy(at);
    }

    fn act(&mut self, at: usize) -> io::Result<()> {
        match self.chance.below(1000) {
            0..900 => self.publish(at)?,
            900..950 => {
                self.put(at, End::Client, &ControlPacket::PingReq);
                self.put(at, End::Server, &ControlPacket::PingResp);
            }
            950..970 => self.subscribe(at),
            970..985 => self.unsubscribe(at),
            _ if self.recipe.kind == Kind::Many => {}
            _ => return self.replace(at),
        }
        // What is not flushed goes out with what this connection sends next.
        if self.chance.happens(3, 4) {
            self.flush(at);
        }
        self.note_busy(at);
        Ok(())
    }

    /// A Client leaves and another takes its place.
    fn replace(&mut self, at: usize) -> io::Result<()> {
        let disconnect = Disconnect {
            reason_code: 0,
            properties: Properties::default(),
        };
        self.put(at, End::Client, &ControlPacket::Disconnect(disconnect));
        let fate = &mut Fate {
            recipe: self.recipe,
            chance: &mut self.chance,
            manifest: &mut self.tap.manifest,
        };
        self.clients[at].wire.close(fate);
        self.drain(at)?;
        for topic in std::mem::take(&mut self.clients[at].topics) {
            self.subscribers[topic].retain(|subscriber| *subscriber != at);
        }
        self.clients[at] = self.new_client();
        self.greet(at);
        Ok(())
    }

    fn next_id(&mut self, at: usize, end: End) -> PacketIdentifier {
        let last = &mut self.clients[at].ids[end as usize];
        *last = (*last % u16::MAX) + 1;
        PacketIdentifier::new(*last).unwrap_or(PacketIdentifier(std::num::NonZeroU16::MIN))
    }

    fn subscribe(&mut self, at: usize) {
        let mut subscriptions = SubscriptionsBuf::new();
        let mut codes = Vec::new();
        for _ in 0..self.chance.within(1, 2) {
            let topic = self.chance.below(self.topics.len() as u64) as usize;
            let pushed = subscriptions.push(&self.topics[topic], 2);
            debug_assert_eq!(pushed, Ok(()));
            codes.push(2);
            let crowd = &mut self.subscribers[topic];
            if crowd.len() < CROWD && !crowd.contains(&at) {
                crowd.push(at);
                self.clients[at].topics.push(topic);
            }
        }
        let packet_id = self.next_id(at, End::Client);
        let subscribe = Subscribe {
            packet_id,
            properties: Properties::default(),
            subscriptions: subscriptions.as_subscriptions(),
        };
        self.put(at, End::Client, &ControlPacket::Subscribe(subscribe));
        let suback = FilterAcknowledgement {
            packet_id,
            properties: Properties::default(),
            codes: &codes,
        };
        self.put(at, End::Server, &ControlPacket::SubAck(suback));
    }

    fn unsubscribe(&mut self, at: usize) {
        let Some(topic) = self.clients[at].topics.pop() else {
            return;
        };
        self.subscribers[topic].retain(|subscriber| *subscriber != at);
        let mut filters = TopicFiltersBuf::new();
        let pushed = filters.push(&self.topics[topic]);
        debug_assert_eq!(pushed, Ok(()));
        let packet_id = self.next_id(at, End::Client);
        let unsubscribe = Unsubscribe {
            packet_id,
            properties: Properties::default(),
            filters: filters.as_filters(),
        };
        self.put(at, End::Client, &ControlPacket::Unsubscribe(unsubscribe));
        let five = self.clients[at].version == ProtocolVersion::V5_0;
        let unsuback = FilterAcknowledgement {
            packet_id,
            properties: Properties::default(),
            codes: if five { &[0] } else { &[] },
        };
        self.put(at, End::Server, &ControlPacket::UnsubAck(unsuback));
    }

    /// A Client publishes, and those who subscribed receive it.
    fn publish(&mut self, at: usize) -> io::Result<()> {
        let topic = self.chance.below(self.topics.len() as u64) as usize;
        let qos = match (self.recipe.kind, self.chance.below(10)) {
            (_, 0..5) => QoS::AtMostOnce,
            (Kind::Tiny, _) | (_, 5..8) => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let size = self.size(at, topic, qos);
        self.payload.clear();
        self.payload.extend(FILLER.iter().cycle().take(size));
        self.exchange(at, End::Client, topic, qos);
        let crowd = self.subscribers[topic].clone();
        if crowd.is_empty() {
            return Ok(());
        }
        self.drain(at)?;
        for subscriber in crowd {
            self.exchange(subscriber, End::Server, topic, qos);
            if self.chance.happens(3, 4) {
                self.flush(subscriber);
            }
            self.note_busy(subscriber);
        }
        Ok(())
    }

    /// Bytes of the next payload.
    fn size(&mut self, at: usize, topic: usize, qos: QoS) -> usize {
        if self.recipe.kind == Kind::Tiny {
            let id = if qos == QoS::AtMostOnce { 0 } else { 2 };
            let headers = self.clients[at].wire.headers() + 2 + 2 + id;
            return 100_usize
                .saturating_sub(headers + self.topics[topic].len())
                .max(1);
        }
        let (from, to) = match self.chance.below(1000) {
            0..700 => (10, 200),
            700..940 => (200, 1400),
            940..998 => (1400, 8000),
            _ => (8000, 60_000),
        };
        self.chance.within(from, to) as usize
    }

    /// PUBLISH and its acknowledgements.
    fn exchange(&mut self, at: usize, from: End, topic: usize, qos: QoS) {
        let to = match from {
            End::Client => End::Server,
            End::Server => End::Client,
        };
        let mut properties = PropertiesBuf::new();
        let by_alias = self.alias(at, from, topic, &mut properties);
        let delivery = match qos {
            QoS::AtMostOnce => Delivery::AtMostOnce,
            QoS::AtLeastOnce => Delivery::AtLeastOnce(self.next_id(at, from)),
            QoS::ExactlyOnce => Delivery::ExactlyOnce(self.next_id(at, from)),
        };
        let name = self.topics[topic].clone();
        let payload = std::mem::take(&mut self.payload);
        let publish = Publish {
            dup: false,
            retain: from == End::Client && self.chance.happens(1, 50),
            delivery,
            topic: if by_alias { "" } else { &name },
            properties: properties.as_properties(),
            payload: &payload,
        };
        self.put(at, from, &ControlPacket::Publish(publish));
        self.payload = payload;
        match delivery {
            Delivery::AtMostOnce => {}
            Delivery::AtLeastOnce(id) => {
                let ack = success(id);
                self.put(at, to, &ControlPacket::PubAck(ack));
            }
            Delivery::ExactlyOnce(id) => {
                let ack = || success(id);
                self.put(at, to, &ControlPacket::PubRec(ack()));
                self.put(at, from, &ControlPacket::PubRel(ack()));
                self.put(at, to, &ControlPacket::PubComp(ack()));
            }
        }
    }

    /// Gives a 5.0 PUBLISH its properties; whether an alias stands for the topic name.
    fn alias(&mut self, at: usize, from: End, topic: usize, made: &mut PropertiesBuf) -> bool {
        if self.clients[at].version != ProtocolVersion::V5_0 || self.recipe.kind == Kind::Tiny {
            return false;
        }
        let known = &mut self.clients[at].aliases[from as usize];
        let place = known.iter().position(|known| *known == topic);
        let number = match place {
            Some(place) => place + 1,
            None if known.len() < usize::from(ALIASES) && self.chance.happens(1, 4) => {
                known.push(topic);
                known.len()
            }
            None => return false,
        };
        let pushed = [
            made.push(PropertyId::CONTENT_TYPE, PropertyValue::Text("json")),
            made.push(
                PropertyId::TOPIC_ALIAS,
                PropertyValue::TwoByte(number as u16),
            ),
        ];
        debug_assert_eq!(pushed, [Ok(()); 2]);
        place.is_some()
    }
}

fn success(packet_id: PacketIdentifier) -> Acknowledgement<'static> {
    Acknowledgement {
        packet_id,
        reason_code: 0,
        properties: Properties::default(),
    }
}
