//! The server held to the specification, by packets made by hand.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::session::SessionKey;
use super::*;
use crate::base::limits::BrokerLimits;
use crate::base::{Endpoint, Span, Timestamp};
use crate::mqtt::packet::{
    Acknowledgement, Connect, Disconnect, Publish, Subscribe, Unsubscribe, Will,
};
use crate::mqtt::{
    ControlPacket, Delivery, PacketIdentifier, PacketType, Properties, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion, QoS, SubscriptionsBuf, TopicFiltersBuf,
};

use ProtocolVersion::{V3_1, V3_1_1, V5_0};

/// A Server, its clock, and the packets that each connection was sent, as words.
struct Bench {
    core: Core,
    now: Timestamp,
    versions: BTreeMap<ConnectionKey, ProtocolVersion>,
    log: Vec<String>,
    order: Vec<(ConnectionKey, String)>,
}

type Key = ConnectionKey;

impl Bench {
    fn new() -> Self {
        Self::with(BrokerOptions::default())
    }

    fn with(options: BrokerOptions) -> Self {
        Self {
            core: Core::new(options),
            now: Timestamp::from_nanos(1_000_000_000_000),
            versions: BTreeMap::new(),
            log: Vec::new(),
            order: Vec::new(),
        }
    }

    fn open(&mut self, version: ProtocolVersion) -> Key {
        let key = ConnectionKey(self.versions.len() as u64);
        let peer = Endpoint {
            address: [127, 0, 0, 1].into(),
            port: 40_000 + key.0 as u16,
        };
        self.versions.insert(key, version);
        self.core.connected(self.now, key, peer);
        self.collect();
        key
    }

    fn collect(&mut self) {
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Send { connection, bytes } => {
                    let words = words(self.versions[&connection], &bytes);
                    self.order.push((connection, words));
                    self.core.unsent(self.now, connection, 0);
                }
                Action::Close { connection } => self.order.push((connection, "close".to_owned())),
                Action::Log(line) => self.log.push(line),
            }
        }
    }

    fn raw(&mut self, key: Key, bytes: &[u8]) {
        self.core.received(self.now, key, bytes);
        self.collect();
    }

    fn send(&mut self, key: Key, packet: &ControlPacket<'_>) {
        let mut bytes = Vec::new();
        packet.write(self.versions[&key], &mut bytes).unwrap();
        self.raw(key, &bytes);
    }

    /// Takes what was sent since the last call, to all Clients.
    fn sent(&mut self) -> Vec<(u64, String)> {
        let all = std::mem::take(&mut self.order);
        all.into_iter().map(|(key, words)| (key.0, words)).collect()
    }

    /// Takes what was sent to `key` and not taken yet.
    fn sent_to(&mut self, key: Key) -> Vec<String> {
        let all = std::mem::take(&mut self.order);
        let (own, other) = all.into_iter().partition(|(to, _)| *to == key);
        self.order = other;
        own.into_iter().map(|(_, words)| words).collect()
    }

    fn client(&mut self, version: ProtocolVersion, id: &str) -> Key {
        self.client_with(version, id, |_| {})
    }

    fn client_with<'c>(
        &mut self,
        version: ProtocolVersion,
        id: &'c str,
        adapt: impl FnOnce(&mut Connect<'c>),
    ) -> Key {
        let key = self.open(version);
        let mut connect = Connect::new(version, id);
        connect.keep_alive = 0;
        adapt(&mut connect);
        self.send(key, &ControlPacket::Connect(connect));
        key
    }

    /// Connects and takes the CONNACK away.
    fn joined(&mut self, version: ProtocolVersion, id: &str) -> Key {
        let key = self.client(version, id);
        let sent = self.sent_to(key);
        assert!(sent[0].starts_with("CONNACK 0 0"), "{sent:?}");
        key
    }

    fn subscribe(&mut self, key: Key, filter: &str, options: u8) {
        self.subscribe_with(key, filter, options, &PropertiesBuf::new());
        let answer = self
            .order
            .iter()
            .position(|(to, words)| *to == key && words.starts_with("SUBACK"));
        self.order.remove(answer.expect("a SUBACK"));
    }

    fn subscribe_with(&mut self, key: Key, filter: &str, options: u8, with: &PropertiesBuf) {
        let mut subscriptions = SubscriptionsBuf::new();
        subscriptions.push(filter, options).unwrap();
        let packet = ControlPacket::Subscribe(Subscribe {
            packet_id: id(1),
            properties: with.as_properties(),
            subscriptions: subscriptions.as_subscriptions(),
        });
        self.send(key, &packet);
    }

    fn publish(&mut self, key: Key, topic: &str, payload: &str, qos: u8, packet_id: u16) {
        self.publish_with(key, topic, payload, delivery(qos, packet_id), |_| {});
    }

    fn publish_with<'p>(
        &mut self,
        key: Key,
        topic: &'p str,
        payload: &'p str,
        delivery: Delivery,
        adapt: impl FnOnce(&mut Publish<'p>),
    ) {
        let mut publish = Publish {
            dup: false,
            retain: false,
            delivery,
            topic,
            properties: Properties::default(),
            payload: payload.as_bytes(),
        };
        adapt(&mut publish);
        let mut bytes = Vec::new();
        ControlPacket::Publish(publish)
            .write(self.versions[&key], &mut bytes)
            .unwrap();
        self.raw(key, &bytes);
    }

    fn ack(&mut self, key: Key, packet_type: PacketType, packet_id: u16) {
        self.send(key, &encode::acknowledgement(packet_type, id(packet_id), 0));
    }

    fn retain(&mut self, key: Key, topic: &str, payload: &str) {
        self.publish_with(key, topic, payload, Delivery::AtMostOnce, |publish| {
            publish.retain = true;
        });
    }

    fn leave(&mut self, key: Key, reason_code: u8) {
        let packet = ControlPacket::Disconnect(Disconnect {
            reason_code,
            properties: Properties::default(),
        });
        self.send(key, &packet);
        assert_eq!(self.sent_to(key), ["close"]);
    }

    fn vanish(&mut self, key: Key) {
        self.core.closed(self.now, key);
        self.collect();
    }

    fn pass(&mut self, milliseconds: i64) {
        self.now = self.now.plus(Span::from_nanos(milliseconds * 1_000_000));
        self.core.tick(self.now);
        self.collect();
    }
}

fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn delivery(qos: u8, packet_id: u16) -> Delivery {
    match qos {
        0 => Delivery::AtMostOnce,
        1 => Delivery::AtLeastOnce(id(packet_id)),
        _ => Delivery::ExactlyOnce(id(packet_id)),
    }
}

fn with(properties: &[(PropertyId, PropertyValue<'_>)]) -> PropertiesBuf {
    let mut out = PropertiesBuf::new();
    for (id, value) in properties {
        out.push(*id, *value).unwrap();
    }
    out
}

fn words(version: ProtocolVersion, bytes: &[u8]) -> String {
    let packet = ControlPacket::read(bytes, version, &mut ()).expect("a well-formed packet");
    let name = packet.packet_type().name();
    let fields = match &packet {
        ControlPacket::ConnAck(ack) => format!(" {} {}", u8::from(ack.session_present), ack.code),
        ControlPacket::Publish(publish) => format!(
            " q{} m{} d{} r{} {} {}",
            publish.delivery.qos() as u8,
            publish.delivery.packet_id().map_or(0, |id| id.number()),
            u8::from(publish.dup),
            u8::from(publish.retain),
            publish.topic,
            String::from_utf8_lossy(publish.payload)
        ),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => {
            format!(" m{} {}", ack.packet_id.number(), ack.reason_code)
        }
        ControlPacket::SubAck(ack) => format!(" {:?}", ack.codes),
        ControlPacket::UnsubAck(ack) => format!(" {:?}", ack.codes),
        ControlPacket::Disconnect(disconnect) => format!(" {}", disconnect.reason_code),
        _ => String::new(),
    };
    let properties: Vec<_> = packet
        .properties()
        .iter()
        .filter(|_| !matches!(packet, ControlPacket::ConnAck(_)))
        .map(|property| format!(" {}={:?}", property.id.name(), property.value))
        .collect();
    format!("{name}{fields}{}", properties.concat())
}

#[test]
fn each_delivery_is_at_the_lower_of_the_two_qos_and_in_mosquittos_order() {
    for published in 0..3 {
        for granted in 0..3 {
            let mut bench = Bench::new();
            let (sub, publisher) = (bench.joined(V3_1_1, "s"), bench.joined(V3_1_1, "p"));
            bench.subscribe(sub, "t", granted);
            bench.publish(publisher, "t", "x", published, 7);
            if published == 2 {
                assert_eq!(bench.sent(), [(1, "PUBREC m7 0".to_owned())]);
                bench.ack(publisher, PacketType::PubRel, 7);
            }
            let qos = published.min(granted);
            let packet_id = u8::from(qos > 0);
            let mut expected = vec![(0, format!("PUBLISH q{qos} m{packet_id} d0 r0 t x"))];
            match published {
                1 => expected.push((1, "PUBACK m7 0".to_owned())),
                2 => expected.push((1, "PUBCOMP m7 0".to_owned())),
                _ => {}
            }
            assert_eq!(bench.sent(), expected, "{published} {granted}");
        }
    }
}

#[test]
fn a_qos_2_message_is_delivered_once_however_often_it_is_sent() {
    let mut bench = Bench::new();
    let (sub, publisher) = (bench.joined(V3_1_1, "s"), bench.joined(V3_1_1, "p"));
    bench.subscribe(sub, "t", 0);
    for _ in 0..3 {
        bench.publish(publisher, "t", "x", 2, 7);
    }
    bench.ack(publisher, PacketType::PubRel, 7);
    bench.ack(publisher, PacketType::PubRel, 7);
    assert_eq!(bench.sent_to(sub), ["PUBLISH q0 m0 d0 r0 t x"]);
    assert_eq!(
        bench.sent_to(publisher),
        [
            "PUBREC m7 0",
            "PUBREC m7 0",
            "PUBREC m7 0",
            "PUBCOMP m7 0",
            "PUBCOMP m7 0"
        ]
    );
    // The identifier is free again: a new message.
    bench.publish(publisher, "t", "y", 2, 7);
    bench.ack(publisher, PacketType::PubRel, 7);
    assert_eq!(bench.sent_to(sub), ["PUBLISH q0 m0 d0 r0 t y"]);
}

#[test]
fn an_unknown_release_is_completed_and_in_5_with_its_reason() {
    let mut bench = Bench::new();
    let (old, new) = (bench.joined(V3_1_1, "a"), bench.joined(V5_0, "b"));
    bench.ack(old, PacketType::PubRel, 9);
    bench.ack(new, PacketType::PubRel, 9);
    bench.ack(new, PacketType::PubRec, 9);
    assert_eq!(
        bench.sent(),
        [
            (0, "PUBCOMP m9 0".to_owned()),
            (1, "PUBCOMP m9 146".to_owned()),
            (1, "PUBREL m9 146".to_owned())
        ]
    );
}

#[test]
fn connack_answers_each_connect_as_its_version_has_it() {
    let mut bench = Bench::new();
    let not_clean = |connect: &mut Connect<'_>| connect.flags = 0;
    bench.client(V3_1, "");
    bench.client_with(V3_1_1, "", not_clean);
    bench.client(V3_1_1, "");
    bench.client_with(V3_1_1, "kept", not_clean);
    let words: Vec<_> = bench.sent().into_iter().map(|(_, words)| words).collect();
    let expected = [
        "CONNACK 0 2",
        "close",
        "CONNACK 0 2",
        "close",
        "CONNACK 0 0",
        "CONNACK 0 0",
    ];
    assert_eq!(words, expected);
    assert!(bench.log.iter().any(|line| line.contains("as auto-")));
}

#[test]
fn a_5_client_without_identifier_receives_one_and_the_limits() {
    let mut bench = Bench::new();
    let key = bench.open(V5_0);
    let mut bytes = Vec::new();
    let connect = ControlPacket::Connect(Connect::new(V5_0, ""));
    connect.write(V5_0, &mut bytes).unwrap();
    bench.core.received(bench.now, key, &bytes);
    let actions = std::iter::from_fn(|| bench.core.next_action());
    let answer = actions.filter_map(|action| match action {
        Action::Send { bytes, .. } => Some(bytes),
        _ => None,
    });
    let answer = answer.last().unwrap();
    let Ok(ControlPacket::ConnAck(ack)) = ControlPacket::read(&answer, V5_0, &mut ()) else {
        panic!("no CONNACK");
    };
    let assigned = ack.properties.assigned_client_identifier().unwrap();
    assert!(assigned.starts_with("auto-"));
    assert_eq!(ack.properties.receive_maximum(), Some(20));
    assert_eq!(ack.properties.topic_alias_maximum(), Some(10));
}

#[test]
fn who_is_let_in_is_decided_by_user_and_password() {
    let mut bench = Bench::with(BrokerOptions {
        users: BTreeMap::from([("ann".to_owned(), "secret".to_owned())]),
        anonymous: false,
        ..BrokerOptions::default()
    });
    for (version, user_name, password, code) in [
        (V3_1_1, Some("ann"), Some("secret"), 0),
        (V3_1_1, Some("ann"), Some("guess"), 4),
        (V3_1_1, Some("bob"), None, 4),
        (V3_1_1, None, None, 5),
        (V5_0, Some("ann"), None, 0x86),
        (V5_0, None, None, 0x87),
    ] {
        let key = bench.client_with(version, "c", |connect| {
            connect.user_name = user_name;
            connect.password = password.map(str::as_bytes);
        });
        let sent = bench.sent_to(key);
        assert_eq!(
            sent[0],
            format!("CONNACK 0 {code}"),
            "{user_name:?} {password:?}"
        );
        assert_eq!(sent.len(), if code == 0 { 1 } else { 2 });
    }
}

#[test]
fn an_unknown_version_is_refused_and_something_else_than_mqtt_is_closed() {
    let mut bench = Bench::new();
    for (bytes, expected) in [
        (
            &b"\x10\x0c\0\x04MQTT\x09\x02\0\x3c\0\0"[..],
            &["CONNACK 0 1", "close"][..],
        ),
        (b"\x10\x0c\0\x04HTTP\x04\x02\0\x3c\0\0", &["close"]),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &["close"]),
        (b"\xc0\0", &["close"]),
        (b"\x10\xff\xff\xff\xff\x7f", &["close"]),
    ] {
        let key = bench.open(V3_1_1);
        bench.raw(key, bytes);
        assert_eq!(bench.sent_to(key), expected, "{bytes:?}");
    }
}

#[test]
fn a_will_is_published_unless_the_client_disconnects() {
    for (version, farewell, published) in [
        (V3_1_1, None, true),
        (V3_1_1, Some(0), false),
        (V5_0, Some(0), false),
        (V5_0, Some(4), true),
        (V5_0, None, true),
    ] {
        let mut bench = Bench::new();
        let watch = bench.joined(V3_1_1, "watch");
        bench.subscribe(watch, "will", 1);
        let key = bench.client_with(version, "w", |connect| {
            connect.will = Some(Will {
                qos: QoS::AtLeastOnce,
                retain: false,
                properties: Properties::default(),
                topic: "will",
                payload: b"gone",
            });
        });
        bench.sent();
        match farewell {
            Some(reason) => bench.leave(key, reason),
            None => bench.vanish(key),
        }
        let expected: &[&str] = if published {
            &["PUBLISH q1 m1 d0 r0 will gone"]
        } else {
            &[]
        };
        assert_eq!(bench.sent_to(watch), expected, "{version:?} {farewell:?}");
    }
}

/// A 5.0 client `id` with a will that waits `delay` seconds, its session `expiry` seconds.
fn delayed_will(bench: &mut Bench, id: &str, delay: u32, expiry: u32) -> Key {
    let will = with(&[(
        PropertyId::WILL_DELAY_INTERVAL,
        PropertyValue::FourByte(delay),
    )]);
    let session = with(&[(
        PropertyId::SESSION_EXPIRY_INTERVAL,
        PropertyValue::FourByte(expiry),
    )]);
    let key = bench.open(V5_0);
    let mut connect = Connect::new(V5_0, id);
    connect.keep_alive = 0;
    connect.flags = 0;
    connect.properties = session.as_properties();
    connect.will = Some(Will {
        qos: QoS::AtMostOnce,
        retain: false,
        properties: will.as_properties(),
        topic: "will",
        payload: b"gone",
    });
    bench.send(key, &ControlPacket::Connect(connect));
    bench.sent_to(key);
    key
}

#[test]
fn a_delayed_will_waits_for_its_time_or_the_end_of_the_session() {
    for (delay, expiry, milliseconds) in [(5, 60, 5_000), (60, 3, 3_000), (5, 0, 0)] {
        let mut bench = Bench::new();
        let watch = bench.joined(V3_1_1, "watch");
        bench.subscribe(watch, "will", 0);
        let key = delayed_will(&mut bench, "w", delay, expiry);
        bench.vanish(key);
        if milliseconds > 0 {
            bench.pass(milliseconds - 1);
            assert_eq!(bench.sent(), []);
            bench.pass(1);
        }
        assert_eq!(bench.sent_to(watch), ["PUBLISH q0 m0 d0 r0 will gone"]);
        bench.pass(100_000);
        assert_eq!(bench.sent(), []);
    }
}

#[test]
fn coming_back_in_time_takes_the_delayed_will_back() {
    let mut bench = Bench::new();
    let watch = bench.joined(V3_1_1, "watch");
    bench.subscribe(watch, "will", 0);
    let key = delayed_will(&mut bench, "w", 5, 60);
    bench.vanish(key);
    bench.pass(4_000);
    let again = delayed_will(&mut bench, "w", 5, 60);
    bench.pass(20_000);
    assert_eq!(bench.sent_to(watch), [""; 0]);
    bench.leave(again, 0);
    bench.pass(20_000);
    assert_eq!(bench.sent(), []);
}

#[test]
fn retained_messages_are_set_replaced_cleared_and_sent_to_who_comes_later() {
    let mut bench = Bench::new();
    let (sub, publisher) = (bench.joined(V3_1_1, "s"), bench.joined(V3_1_1, "p"));
    bench.subscribe(sub, "r/#", 0);
    bench.retain(publisher, "r/a", "1");
    bench.retain(publisher, "r/a", "2");
    bench.retain(publisher, "r/b", "3");
    bench.retain(publisher, "r/b", "");
    let live = bench.sent_to(sub);
    assert_eq!(live.len(), 4);
    assert!(live.iter().all(|words| words.contains(" r0 ")));
    let late = bench.joined(V5_0, "late");
    bench.subscribe(late, "r/#", 1);
    assert_eq!(bench.sent_to(late), ["PUBLISH q0 m0 d0 r1 r/a 2"]);
    // Retain Handling 1: the subscription is not new; 2: never.
    bench.subscribe(late, "r/#", 0x11);
    bench.subscribe(late, "r/+", 0x21);
    assert_eq!(bench.sent_to(late), [""; 0]);
    bench.subscribe(late, "r/#", 0x01);
    assert_eq!(bench.sent_to(late), ["PUBLISH q0 m0 d0 r1 r/a 2"]);
}

#[test]
fn retain_as_published_and_no_local_hold() {
    let mut bench = Bench::new();
    let (own, other) = (bench.joined(V5_0, "own"), bench.joined(V5_0, "other"));
    bench.subscribe(own, "t", 0x04);
    bench.subscribe(other, "t", 0x08);
    bench.retain(own, "t", "x");
    assert_eq!(bench.sent(), [(1, "PUBLISH q0 m0 d0 r1 t x".to_owned())]);
    bench.publish(other, "t", "y", 0, 0);
    assert_eq!(
        bench.sent(),
        [
            (0, "PUBLISH q0 m0 d0 r0 t y".to_owned()),
            (1, "PUBLISH q0 m0 d0 r0 t y".to_owned())
        ]
    );
}

#[test]
fn messages_wait_for_a_client_that_is_away_and_open_exchanges_go_on_with_dup() {
    let mut bench = Bench::new();
    let publisher = bench.joined(V3_1_1, "p");
    let stay = |bench: &mut Bench| {
        let key = bench.client_with(V3_1_1, "worker", |connect| connect.flags = 0);
        (key, bench.sent_to(key))
    };
    let (worker, _) = stay(&mut bench);
    bench.subscribe(worker, "jobs", 2);
    bench.publish(publisher, "jobs", "a", 1, 1);
    bench.publish(publisher, "jobs", "b", 2, 2);
    bench.ack(publisher, PacketType::PubRel, 2);
    bench.ack(worker, PacketType::PubRec, 2);
    bench.vanish(worker);
    bench.publish(publisher, "jobs", "c", 0, 0);
    bench.publish(publisher, "jobs", "d", 1, 3);
    bench.sent();
    let (worker, sent) = stay(&mut bench);
    assert_eq!(
        sent,
        [
            "CONNACK 1 0",
            "PUBLISH q1 m1 d1 r0 jobs a",
            "PUBREL m2 0",
            "PUBLISH q1 m3 d0 r0 jobs d"
        ]
    );
    bench.ack(worker, PacketType::PubAck, 1);
    bench.ack(worker, PacketType::PubComp, 2);
    bench.ack(worker, PacketType::PubAck, 3);
    bench.vanish(worker);
    let (worker, sent) = stay(&mut bench);
    assert_eq!(sent, ["CONNACK 1 0"]);
    bench.leave(worker, 0);
    let clean = bench.client(V3_1_1, "worker");
    assert_eq!(bench.sent_to(clean), ["CONNACK 0 0"]);
}

#[test]
fn a_session_ends_when_its_expiry_has_passed() {
    let mut bench = Bench::new();
    let key = delayed_will(&mut bench, "w", 0, 10);
    bench.subscribe(key, "t", 1);
    bench.vanish(key);
    bench.pass(9_999);
    assert_eq!(bench.core.sessions.len(), 1);
    bench.pass(1);
    assert_eq!(bench.core.sessions.len(), 0);
    assert!(bench.core.filters.is_empty());
}

#[test]
fn the_second_connection_of_a_client_identifier_takes_over() {
    let mut bench = Bench::new();
    let first = bench.joined(V5_0, "twin");
    bench.client(V3_1_1, "twin");
    assert_eq!(
        bench.sent(),
        [
            (0, "DISCONNECT 142".to_owned()),
            (0, "close".to_owned()),
            (1, "CONNACK 0 0".to_owned())
        ]
    );
    bench.raw(first, &[0xc0, 0]);
    assert_eq!(bench.sent(), [], "the old connection is sent no more");
}

#[test]
fn who_is_silent_for_one_and_a_half_keep_alives_is_closed() {
    let mut bench = Bench::new();
    let silent = bench.client_with(V5_0, "silent", |connect| connect.keep_alive = 2);
    let lively = bench.client_with(V3_1_1, "lively", |connect| connect.keep_alive = 2);
    let never = bench.client_with(V3_1_1, "never", |connect| connect.keep_alive = 0);
    bench.sent();
    bench.pass(2_000);
    bench.raw(lively, &[0xc0, 0]);
    bench.pass(999);
    assert_eq!(bench.sent(), [(1, "PINGRESP".to_owned())]);
    bench.pass(1);
    assert_eq!(bench.sent_to(silent), ["DISCONNECT 141", "close"]);
    bench.pass(2_000);
    assert_eq!(bench.sent_to(lively), ["close"]);
    bench.pass(1_000_000);
    assert_eq!(bench.sent_to(never), [""; 0]);
}

#[test]
fn a_client_whose_packets_were_not_handed_over_yet_is_not_silent() {
    let mut bench = Bench::new();
    let keys = ["a", "b"].map(|id| {
        bench.client_with(V5_0, id, |connect| connect.keep_alive = 10);
        ConnectionKey(bench.versions.len() as u64 - 1)
    });
    bench.sent();
    bench.now = bench.now.plus(Span::from_nanos(15_000_000_000));
    bench.core.tick_unless(bench.now, |key| key == keys[0]);
    bench.collect();
    assert_eq!(bench.sent_to(keys[0]), [""; 0]);
    assert_eq!(bench.sent_to(keys[1]), ["DISCONNECT 141", "close"]);
    // From then on it may be silent for as long again.
    assert_eq!(
        bench.core.deadline(),
        Some(bench.now.plus(Span::from_nanos(15_000_000_000)))
    );
}

#[test]
fn a_connection_that_brings_no_connect_is_closed_in_time() {
    let mut bench = Bench::new();
    let key = bench.open(V3_1_1);
    bench.raw(key, &[0x10]);
    bench.pass(29_999);
    assert_eq!(bench.sent(), []);
    bench.pass(1);
    assert_eq!(bench.sent_to(key), ["close"]);
}

#[test]
fn properties_are_passed_on_and_the_expiry_is_what_is_left_of_it() {
    let mut bench = Bench::new();
    let publisher = bench.joined(V5_0, "p");
    let key = delayed_will(&mut bench, "s", 0, 600);
    let identifier = with(&[(
        PropertyId::SUBSCRIPTION_IDENTIFIER,
        PropertyValue::Variable(300),
    )]);
    bench.subscribe_with(key, "t", 1, &identifier);
    bench.sent();
    bench.leave(key, 0);
    let properties = with(&[
        (
            PropertyId::MESSAGE_EXPIRY_INTERVAL,
            PropertyValue::FourByte(10),
        ),
        (PropertyId::CONTENT_TYPE, PropertyValue::Text("text/plain")),
        (PropertyId::USER_PROPERTY, PropertyValue::Pair("k", "1")),
        (PropertyId::USER_PROPERTY, PropertyValue::Pair("k", "2")),
        (PropertyId::CORRELATION_DATA, PropertyValue::Binary(b"42")),
    ]);
    for payload in ["x", "y"] {
        let delivery = delivery(1, 1);
        bench.publish_with(publisher, "t", payload, delivery, |publish| {
            publish.properties = properties.as_properties();
        });
        bench.pass(3_500);
    }
    bench.sent();
    bench.pass(3_000);
    bench.client_with(V5_0, "s", |connect| connect.flags = 0);
    let sent = bench.sent();
    let words: Vec<_> = sent.iter().map(|(_, words)| words.as_str()).collect();
    // The first expired at 10 s; of the second, 3.5 s are left.
    assert_eq!(
        words,
        [
            "CONNACK 1 0",
            "PUBLISH q1 m1 d0 r0 t y message_expiry_interval=FourByte(4) \
             subscription_identifier=Variable(300) content_type=Text(\"text/plain\") \
             user_property=Pair(\"k\", \"1\") user_property=Pair(\"k\", \"2\") \
             correlation_data=Binary([52, 50])"
        ]
    );
}

#[test]
fn an_alias_stands_for_the_topic_that_its_own_direction_gave_it() {
    let mut bench = Bench::new();
    let aliases = with(&[(PropertyId::TOPIC_ALIAS_MAXIMUM, PropertyValue::TwoByte(1))]);
    let sub = bench.open(V5_0);
    let mut connect = Connect::new(V5_0, "s");
    connect.properties = aliases.as_properties();
    bench.send(sub, &ControlPacket::Connect(connect));
    let publisher = bench.joined(V5_0, "p");
    bench.sent();
    bench.subscribe(sub, "#", 0);
    let mut publish = |topic: &str, alias| {
        let properties = with(&[(PropertyId::TOPIC_ALIAS, PropertyValue::TwoByte(alias))]);
        bench.publish_with(publisher, topic, "x", Delivery::AtMostOnce, |publish| {
            publish.properties = properties.as_properties();
        });
        bench.sent()
    };
    let one = |words: &str| vec![(0, words.to_owned())];
    assert_eq!(
        publish("a", 7),
        one("PUBLISH q0 m0 d0 r0 a x topic_alias=TwoByte(1)")
    );
    assert_eq!(
        publish("", 7),
        one("PUBLISH q0 m0 d0 r0  x topic_alias=TwoByte(1)")
    );
    assert_eq!(publish("b", 7), one("PUBLISH q0 m0 d0 r0 b x"));
    assert_eq!(publish("", 7), one("PUBLISH q0 m0 d0 r0 b x"));
    let refused = publish("", 11);
    assert_eq!(refused[0], (1, "DISCONNECT 148".to_owned()));
}

#[test]
fn no_more_exchanges_are_open_than_the_receive_maximum_allows() {
    let mut bench = Bench::new();
    let most = with(&[(PropertyId::RECEIVE_MAXIMUM, PropertyValue::TwoByte(2))]);
    let sub = bench.open(V5_0);
    let mut connect = Connect::new(V5_0, "s");
    connect.properties = most.as_properties();
    bench.send(sub, &ControlPacket::Connect(connect));
    let publisher = bench.joined(V5_0, "p");
    bench.sent();
    bench.subscribe(sub, "t", 2);
    for number in 1..=4 {
        bench.publish(publisher, "t", "x", 1, number);
    }
    assert_eq!(bench.sent_to(sub).len(), 2);
    bench.ack(sub, PacketType::PubAck, 1);
    assert_eq!(bench.sent_to(sub), ["PUBLISH q1 m3 d0 r0 t x"]);
    // And the other way round: the Server takes 20.
    for number in 1..=21 {
        bench.publish(publisher, "u", "x", 2, number);
    }
    let sent = bench.sent_to(publisher);
    assert_eq!(sent[sent.len() - 2..], ["DISCONNECT 147", "close"]);
}

#[test]
fn a_client_gets_no_packet_larger_than_it_takes_nor_sends_one() {
    let mut bench = Bench::with(BrokerOptions {
        limits: BrokerLimits {
            packet_bytes: 100,
            ..BrokerLimits::default()
        },
        ..BrokerOptions::default()
    });
    let most = with(&[(PropertyId::MAXIMUM_PACKET_SIZE, PropertyValue::FourByte(20))]);
    let sub = bench.open(V5_0);
    let mut connect = Connect::new(V5_0, "s");
    connect.properties = most.as_properties();
    bench.send(sub, &ControlPacket::Connect(connect));
    let publisher = bench.joined(V5_0, "p");
    bench.sent();
    bench.subscribe(sub, "t", 1);
    bench.publish(publisher, "t", &"x".repeat(40), 1, 1);
    bench.publish(publisher, "t", "small", 1, 2);
    assert_eq!(bench.sent_to(sub), ["PUBLISH q1 m2 d0 r0 t small"]);
    bench.sent();
    bench.raw(publisher, &[0x30, 0xff, 0xff, 0x03]);
    assert_eq!(bench.sent_to(publisher), ["DISCONNECT 149", "close"]);
}

#[test]
fn reason_codes_distinguish_no_subscriber_from_no_subscription() {
    let mut bench = Bench::new();
    let key = bench.joined(V5_0, "c");
    bench.publish(key, "t", "x", 1, 1);
    bench.subscribe(key, "t", 0);
    let mut filters = TopicFiltersBuf::new();
    filters.push("t").unwrap();
    filters.push("u").unwrap();
    bench.send(
        key,
        &ControlPacket::Unsubscribe(Unsubscribe {
            packet_id: id(2),
            properties: Properties::default(),
            filters: filters.as_filters(),
        }),
    );
    assert_eq!(bench.sent_to(key), ["PUBACK m1 16", "UNSUBACK [0, 17]"]);
}

#[test]
fn malformed_packets_end_the_connection_with_a_reason_and_harm_no_other() {
    for (bytes, reason) in [
        (&[0x36, 3, 0, 1, b'a'][..], 129),
        (&[0x82, 3, 0, 1, 0], 130),
        (&[0x30, 4, 0, 1, b'#', 0], 144),
        (&[0x20, 3, 0, 0, 0], 130),
        (&[0xf0, 2, 0x18, 0], 130),
        (&[0x30, 0xff, 0xff, 0xff, 0xff], 129),
        (
            &[0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 5, 2, 0, 60, 0, 0, 0],
            130,
        ),
    ] {
        let mut bench = Bench::new();
        let (sub, bad) = (bench.joined(V3_1_1, "s"), bench.joined(V5_0, "bad"));
        bench.subscribe(sub, "t", 0);
        bench.raw(bad, bytes);
        assert_eq!(
            bench.sent_to(bad),
            [format!("DISCONNECT {reason}"), "close".to_owned()],
            "{bytes:x?}"
        );
        let good = bench.joined(V3_1_1, "good");
        bench.publish(good, "t", "x", 0, 0);
        assert_eq!(bench.sent_to(sub).len(), 1);
    }
}

#[test]
fn a_full_queue_drops_the_newest_and_logs_it_once() {
    let mut bench = Bench::with(BrokerOptions {
        limits: BrokerLimits {
            queued_messages: 2,
            ..BrokerLimits::default()
        },
        ..BrokerOptions::default()
    });
    let publisher = bench.joined(V3_1_1, "p");
    let key = delayed_will(&mut bench, "s", 0, 600);
    bench.subscribe(key, "t", 1);
    bench.leave(key, 0);
    for (number, payload) in ["a", "b", "c", "d"].into_iter().enumerate() {
        bench.publish(publisher, "t", payload, 1, number as u16 + 1);
    }
    let logged = bench.log.iter().filter(|line| line.contains("dropped"));
    assert_eq!(logged.count(), 1);
    bench.sent();
    bench.client_with(V5_0, "s", |connect| connect.flags = 0);
    let sent: Vec<_> = bench.sent().into_iter().map(|(_, words)| words).collect();
    assert_eq!(
        sent,
        [
            "CONNACK 1 0",
            "PUBLISH q1 m1 d0 r0 t a",
            "PUBLISH q1 m2 d0 r0 t b"
        ]
    );
    assert_eq!(bench.core.sessions[&SessionKey(2)].queue.len(), 0);
}

#[test]
fn qos_0_is_dropped_for_a_client_that_does_not_read() {
    let mut bench = Bench::new();
    let (sub, publisher) = (bench.joined(V3_1_1, "s"), bench.joined(V3_1_1, "p"));
    bench.subscribe(sub, "t", 0);
    bench.core.unsent(bench.now, sub, 1 << 30);
    bench.publish(publisher, "t", "lost", 0, 0);
    bench.core.unsent(bench.now, sub, 0);
    bench.publish(publisher, "t", "kept", 0, 0);
    assert_eq!(bench.sent_to(sub), ["PUBLISH q0 m0 d0 r0 t kept"]);
}

#[test]
fn above_qos_0_messages_wait_for_a_client_that_does_not_read() {
    let mut bench = Bench::new();
    let (sub, publisher) = (bench.joined(V3_1_1, "s"), bench.joined(V3_1_1, "p"));
    bench.subscribe(sub, "t", 1);
    bench.core.unsent(bench.now, sub, 1 << 30);
    bench.publish(publisher, "t", "kept", 1, 1);
    assert_eq!(bench.sent_to(sub), [""; 0]);
    bench.core.unsent(bench.now, sub, 0);
    bench.collect();
    assert_eq!(bench.sent_to(sub), ["PUBLISH q1 m1 d0 r0 t kept"]);
}

#[test]
fn packets_that_have_begun_are_capped_over_all_clients() {
    let mut bench = Bench::with(BrokerOptions {
        limits: BrokerLimits {
            all_partial_bytes: 100,
            ..BrokerLimits::default()
        },
        ..BrokerOptions::default()
    });
    let (first, second) = (bench.joined(V3_1_1, "a"), bench.joined(V5_0, "b"));
    for key in [first, second] {
        let mut begun = vec![0x30, 0xff, 0x01];
        begun.resize(60, 0);
        bench.raw(key, &begun);
    }
    assert_eq!(bench.sent_to(first), [""; 0]);
    assert_eq!(bench.sent_to(second), ["DISCONNECT 151", "close"]);
    assert_eq!(bench.core.partial_bytes, 60);
}

/// A server that keeps little of its Clients.
fn narrow(limits: BrokerLimits) -> Bench {
    Bench::with(BrokerOptions {
        limits,
        ..BrokerOptions::default()
    })
}

#[test]
fn sessions_without_a_name_of_their_own_are_capped_too() {
    let mut bench = narrow(BrokerLimits {
        sessions: 2,
        ..BrokerLimits::default()
    });
    let lasting = with(&[(
        PropertyId::SESSION_EXPIRY_INTERVAL,
        PropertyValue::FourByte(u32::MAX),
    )]);
    for expected in ["CONNACK 0 0", "CONNACK 0 0", "CONNACK 0 151"] {
        let key = bench.client_with(V5_0, "", |connect| {
            connect.properties = lasting.as_properties();
        });
        let sent = bench.sent_to(key);
        assert!(sent[0].starts_with(expected), "{sent:?}");
        bench.vanish(key);
    }
    assert_eq!(bench.core.sessions.len(), 2);
}

#[test]
fn what_sessions_keep_is_capped_over_all_clients() {
    let mut bench = narrow(BrokerLimits {
        all_kept_bytes: 4_000,
        ..BrokerLimits::default()
    });
    // Names.
    let long = "n".repeat(5_000);
    let refused = bench.client(V5_0, &long);
    assert_eq!(bench.sent_to(refused), ["CONNACK 0 151", "close"]);
    // Wills.
    let payload = vec![0; 5_000];
    let refused = bench.client_with(V5_0, "w", |connect| {
        connect.will = Some(Will {
            qos: QoS::AtMostOnce,
            retain: false,
            properties: Properties::default(),
            topic: "w",
            payload: &payload,
        });
    });
    assert_eq!(bench.sent_to(refused), ["CONNACK 0 151", "close"]);
    // Subscriptions, level by level; what is given back can be had again.
    let key = bench.joined(V5_0, "s");
    for (filter, answer) in [
        ("a/b/c/d", "SUBACK [0]"),
        ("b/b/c/d", "SUBACK [151]"),
        ("a", "SUBACK [0]"),
    ] {
        bench.subscribe_with(key, filter, 0, &PropertiesBuf::new());
        assert_eq!(bench.sent_to(key), [answer], "{filter}");
    }
    let logged = |bench: &Bench| {
        let lines = bench.log.iter().filter(|line| line.contains("are refused"));
        lines.count()
    };
    bench.subscribe(key, "b/b/c/d", 0);
    assert_eq!(logged(&bench), 1);
    // The same Client may come again: its session is counted already.
    let again = bench.joined(V5_0, "s");
    // Topics behind aliases.
    let alias = with(&[(PropertyId::TOPIC_ALIAS, PropertyValue::TwoByte(1))]);
    let topic = "t".repeat(4_500);
    bench.sent();
    bench.publish_with(again, &topic, "", Delivery::AtMostOnce, |publish| {
        publish.properties = alias.as_properties();
    });
    assert_eq!(bench.sent_to(again), ["DISCONNECT 151", "close"]);
    bench.vanish(again);
}

#[test]
fn subscriptions_of_a_client_are_capped_by_number_and_bytes() {
    let mut bench = narrow(BrokerLimits {
        subscriptions: 2,
        subscription_bytes: 10,
        ..BrokerLimits::default()
    });
    let (many, long) = (bench.joined(V5_0, "many"), bench.joined(V3_1_1, "long"));
    for (key, filter, answer) in [
        (many, "a", "SUBACK [0]"),
        (many, "b", "SUBACK [0]"),
        (many, "c", "SUBACK [151]"),
        (many, "a", "SUBACK [0]"),
        (long, "12345", "SUBACK [0]"),
        (long, "123456", "SUBACK [128]"),
    ] {
        bench.subscribe_with(key, filter, 0, &PropertiesBuf::new());
        assert_eq!(bench.sent_to(key), [answer], "{filter}");
    }
    let logged = bench.log.iter().filter(|line| line.contains("are refused"));
    assert_eq!(logged.count(), 2);
}

#[test]
fn bytes_of_messages_are_capped_for_one_client_and_for_all() {
    for limits in [
        BrokerLimits {
            queued_bytes: 1_000,
            ..BrokerLimits::default()
        },
        BrokerLimits {
            all_held_bytes: 1_000,
            ..BrokerLimits::default()
        },
    ] {
        let mut bench = narrow(limits);
        let (sub, publisher) = (bench.joined(V5_0, "sub"), bench.joined(V5_0, "pub"));
        bench.subscribe(sub, "#", 1);
        for id in 1..=3 {
            bench.publish(publisher, "t", &"x".repeat(400), 1, id);
        }
        let got = bench.sent_to(sub);
        assert_eq!(got.len(), 1, "{got:?}");
        let logged = bench.log.iter().filter(|line| line.contains("dropped"));
        assert_eq!(logged.count(), 1, "{:?}", bench.log);
    }
}

#[test]
fn messages_that_are_not_released_are_capped_by_number_and_bytes() {
    for limits in [
        BrokerLimits {
            unreleased_messages: 2,
            ..BrokerLimits::default()
        },
        BrokerLimits {
            unreleased_bytes: 400,
            ..BrokerLimits::default()
        },
    ] {
        let mut bench = narrow(limits);
        let key = bench.joined(V5_0, "c");
        for id in 1..=3 {
            bench.publish(key, "t", "x", 2, id);
        }
        let sent = bench.sent_to(key);
        let (last, before) = sent.split_last_chunk::<2>().map(|(a, b)| (b, a)).unwrap();
        assert_eq!(last, &["DISCONNECT 151", "close"]);
        assert_eq!(before.len(), 2);
    }
}

#[test]
fn qos_0_is_dropped_where_all_clients_together_do_not_read() {
    let mut bench = narrow(BrokerLimits {
        all_unsent_bytes: 100,
        ..BrokerLimits::default()
    });
    let (slow, quick) = (bench.joined(V5_0, "slow"), bench.joined(V5_0, "quick"));
    for key in [slow, quick] {
        bench.subscribe(key, "#", 0);
    }
    bench.core.unsent(bench.now, slow, 200);
    bench.publish(quick, "t", "x", 0, 0);
    assert_eq!(bench.sent_to(slow), [""; 0]);
    assert_eq!(bench.sent_to(quick).len(), 1);
}

#[test]
fn retained_messages_are_capped_by_number_and_bytes() {
    for limits in [
        BrokerLimits {
            retained_messages: 1,
            ..BrokerLimits::default()
        },
        BrokerLimits {
            retained_bytes: 200,
            ..BrokerLimits::default()
        },
    ] {
        let mut bench = narrow(limits);
        let key = bench.joined(V5_0, "c");
        bench.retain(key, "a", "x");
        bench.retain(key, "b", "x");
        let last = bench.log.last().map(String::as_str);
        let logged = "Retained message for 'b' not kept: the store is full.";
        assert_eq!(last, Some(logged));
        // It may be replaced all the same.
        bench.retain(key, "a", "y");
        bench.subscribe(key, "#", 0);
        assert_eq!(bench.sent_to(key), ["PUBLISH q0 m0 d0 r1 a y"]);
    }
}

#[test]
fn only_a_packet_with_a_message_may_be_very_large() {
    let mut bench = Bench::new();
    let key = bench.joined(V5_0, "c");
    // Two megabytes of SUBSCRIBE are not waited for.
    bench.raw(key, &[0x82, 0x80, 0x80, 0x80, 0x01, 0, 1]);
    assert_eq!(bench.sent_to(key), ["DISCONNECT 151", "close"]);
    let key = bench.joined(V5_0, "d");
    bench.raw(key, &[0x30, 0x80, 0x80, 0x80, 0x01, 0, 1]);
    assert_eq!(bench.sent_to(key), [""; 0]);
}

/// Hands packets over in steps, each session with work left in turn. Returns what was sent in each
/// turn.
fn in_steps(bench: &mut Bench, key: Key, bytes: &[u8], steps: usize) -> Vec<Vec<(u64, String)>> {
    let mut turns = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() || bench.core.has_work() {
        let used = bench.core.received_some(bench.now, key, rest, steps);
        rest = &rest[used..];
        bench.collect();
        turns.push(bench.sent());
        bench.core.work(bench.now, steps);
        bench.collect();
        turns.push(bench.sent());
    }
    turns
}

fn ping(bench: &mut Bench, key: Key) {
    bench.core.received_some(bench.now, key, b"\xc0\0", 64);
    bench.collect();
    assert_eq!(bench.sent_to(key), ["PINGRESP"]);
}

#[test]
fn retained_messages_are_sent_in_steps_and_others_have_their_turn_between() {
    let mut bench = Bench::new();
    let (key, other) = (bench.joined(V5_0, "c"), bench.joined(V5_0, "o"));
    for number in 100..300 {
        bench.retain(other, &format!("r/{number}"), "kept");
    }
    // Three times all messages, and then a packet that waits for its turn.
    let subscribe = b"\x82\x11\0\x01\0\0\x01#\0\0\x03r/#\0\0\x01#\0".as_slice();
    let bytes = [subscribe, b"\xc0\0"].concat();
    let mut rest = bytes.as_slice();
    let mut sent = Vec::new();
    let mut turns = 0;
    while !rest.is_empty() || bench.core.has_work() {
        let used = bench.core.received_some(bench.now, key, rest, 64);
        rest = &rest[used..];
        bench.core.work(bench.now, 64);
        bench.collect();
        let now = bench.sent_to(key);
        assert!(now.len() <= 2 * 64 / 8 + 2, "{now:?}");
        sent.extend(now);
        turns += 1;
        ping(&mut bench, other);
    }
    assert!(turns >= 600 * 8 / 64, "{turns}");
    assert_eq!(sent.len(), 602);
    assert_eq!(sent[0], "SUBACK [0, 0, 0]");
    for all in sent[1..601].chunks(200) {
        assert_eq!(all[0], "PUBLISH q0 m0 d0 r1 r/100 kept");
        assert_eq!(all[199], "PUBLISH q0 m0 d0 r1 r/299 kept");
    }
    assert_eq!(sent[601], "PINGRESP");
}

#[test]
fn a_retained_message_that_came_after_suback_is_not_sent_twice() {
    let mut bench = Bench::new();
    let (key, other) = (bench.joined(V5_0, "c"), bench.joined(V5_0, "o"));
    for number in 100..150 {
        bench.retain(other, &format!("r/{number}"), "old");
    }
    let subscribe = b"\x82\x07\0\x01\0\0\x01#\0";
    assert_eq!(bench.core.received_some(bench.now, key, subscribe, 64), 9);
    assert!(bench.core.has_work());
    for topic in ["r/149", "s"] {
        bench.retain(other, topic, "new");
    }
    while bench.core.has_work() {
        bench.core.work(bench.now, 64);
        bench.collect();
    }
    let sent = bench.sent_to(key);
    assert_eq!(sent.len(), 1 + 49 + 2);
    for topic in ["r/149", "s"] {
        let of_it = sent.iter().filter(|words| words.contains(topic));
        let live = format!("PUBLISH q0 m0 d0 r0 {topic} new");
        assert_eq!(of_it.collect::<Vec<_>>(), [&live]);
    }
}

#[test]
fn retained_messages_wait_for_a_client_that_does_not_read_and_none_is_lost() {
    let mut bench = Bench::new();
    let (key, other) = (bench.joined(V3_1_1, "c"), bench.joined(V3_1_1, "o"));
    for number in 0..8 {
        bench.retain(other, &format!("r/{number}"), &"x".repeat(300_000));
    }
    bench
        .core
        .received(bench.now, key, b"\x82\x06\0\x01\0\x01#\0");
    let sent = |bench: &mut Bench| {
        let mut bytes = 0;
        while let Some(action) = bench.core.next_action() {
            if let Action::Send { bytes: packet, .. } = action {
                bytes += packet.len();
            }
        }
        bytes
    };
    // Four messages are more than a mebibyte.
    assert_eq!(sent(&mut bench), 5 + 4 * 300_009);
    assert!(!bench.core.has_work());
    bench.core.unsent(bench.now, key, 1 << 20);
    assert!(!bench.core.has_work());
    bench.core.unsent(bench.now, key, (1 << 20) - 1);
    assert!(bench.core.has_work());
    bench.core.unsent(bench.now, key, 0);
    assert_eq!(bench.core.work(bench.now, usize::MAX), None);
    assert_eq!(sent(&mut bench), 4 * 300_009);
    assert!(bench.core.is_busy(key));
    bench.core.unsent(bench.now, key, 0);
    assert_eq!(bench.core.work(bench.now, usize::MAX), Some(key));
    assert!(!bench.core.is_busy(key));
    assert_eq!(bench.core.partial_bytes, 0);
}

#[test]
fn a_message_finds_its_subscriptions_in_steps_and_nothing_overtakes_it() {
    let mut bench = Bench::new();
    let (sub, publisher) = (bench.joined(V5_0, "s"), bench.joined(V5_0, "p"));
    let other = bench.joined(V5_0, "o");
    // 2^8 filters that one name matches all.
    for number in 0..256_u32 {
        let level = |at: u32| if number >> at & 1 == 1 { "+" } else { "a" };
        let filter = (0..8).map(level).collect::<Vec<_>>().join("/");
        bench.subscribe(sub, &filter, 0);
    }
    let mut bytes = Vec::new();
    for (topic, payload) in [("a/a/a/a/a/a/a/a", "first"), ("a/a/a/a/a/a/a/a", "second")] {
        let publish = Publish {
            dup: false,
            retain: false,
            delivery: delivery(1, 1),
            topic,
            properties: Properties::default(),
            payload: payload.as_bytes(),
        };
        ControlPacket::Publish(publish)
            .write(V5_0, &mut bytes)
            .unwrap();
    }
    let mut rest = bytes.as_slice();
    let mut turns = 0;
    let mut sent = Vec::new();
    while !rest.is_empty() || bench.core.has_work() {
        let used = bench.core.received_some(bench.now, publisher, rest, 64);
        rest = &rest[used..];
        bench.core.work(bench.now, 64);
        bench.collect();
        ping(&mut bench, other);
        sent.extend(bench.sent());
        turns += 1;
    }
    // 510 levels and 256 entries for each.
    assert!(turns > 2 * 510 / 128, "{turns}");
    let expected = [
        (
            sub.0,
            "PUBLISH q0 m0 d0 r0 a/a/a/a/a/a/a/a first".to_owned(),
        ),
        (publisher.0, "PUBACK m1 0".to_owned()),
        (
            sub.0,
            "PUBLISH q0 m0 d0 r0 a/a/a/a/a/a/a/a second".to_owned(),
        ),
        (publisher.0, "PUBACK m1 0".to_owned()),
    ];
    assert_eq!(sent, expected);
}

#[test]
fn many_subscribers_get_a_message_in_steps_and_all_of_them_once() {
    let mut bench = Bench::new();
    let publisher = bench.joined(V3_1_1, "p");
    let subscribers: Vec<_> = (0..50)
        .map(|n| bench.joined(V3_1_1, &format!("s{n}")))
        .collect();
    for &key in &subscribers {
        bench.subscribe(key, "t", 0);
    }
    let turns = in_steps(&mut bench, publisher, b"\x30\x04\0\x01tx", 64);
    assert!(turns.iter().all(|sent| sent.len() <= 64 / 8 + 1));
    let order: Vec<_> = turns.into_iter().flatten().map(|(key, _)| key).collect();
    assert_eq!(
        order,
        subscribers.iter().map(|key| key.0).collect::<Vec<_>>()
    );
}

#[test]
fn a_subscribe_of_many_filters_is_entered_in_steps() {
    let mut bench = Bench::new();
    let key = bench.joined(V3_1_1, "c");
    let mut subscriptions = SubscriptionsBuf::new();
    for number in 0..1_000 {
        subscriptions.push(&number.to_string(), 0).unwrap();
    }
    let mut bytes = Vec::new();
    ControlPacket::Subscribe(Subscribe {
        packet_id: id(1),
        properties: Properties::default(),
        subscriptions: subscriptions.as_subscriptions(),
    })
    .write(V3_1_1, &mut bytes)
    .unwrap();
    let turns = in_steps(&mut bench, key, &bytes, 64);
    assert!(turns.len() >= 1_000 * 8 / 64);
    let sent: Vec<_> = turns.into_iter().flatten().collect();
    assert_eq!(sent.len(), 1);
    assert!(sent[0].1.starts_with("SUBACK [0, 0,"));
    assert_eq!(bench.core.partial_bytes, 0);

    let mut filters = TopicFiltersBuf::new();
    for number in 0..1_001 {
        filters.push(&number.to_string()).unwrap();
    }
    bytes.clear();
    ControlPacket::Unsubscribe(Unsubscribe {
        packet_id: id(2),
        properties: Properties::default(),
        filters: filters.as_filters(),
    })
    .write(V3_1_1, &mut bytes)
    .unwrap();
    let turns = in_steps(&mut bench, key, &bytes, 64);
    assert!(turns.len() >= 1_000 * 8 / 64);
    assert_eq!(turns.into_iter().flatten().count(), 1);
    assert!(bench.core.filters.is_empty());
    assert_eq!(bench.core.partial_bytes, 0);
}

#[test]
fn retained_messages_expire_each_at_its_time() {
    let mut bench = Bench::new();
    let key = bench.joined(V5_0, "c");
    // The time is looked at for a Client with a keep alive.
    bench.client_with(V5_0, "k", |connect| connect.keep_alive = 1);
    let mut retain = |topic, seconds| {
        let expiry = with(&[(
            PropertyId::MESSAGE_EXPIRY_INTERVAL,
            PropertyValue::FourByte(seconds),
        )]);
        bench.publish_with(key, topic, "x", Delivery::AtMostOnce, |publish| {
            publish.retain = true;
            publish.properties = expiry.as_properties();
        });
    };
    retain("a", 1);
    retain("b", 1);
    retain("b", 100);
    retain("c", 2);
    bench.retain(key, "d", "x");
    bench.pass(1_500);
    bench.sent();
    bench.subscribe(key, "#", 0);
    let sent = bench.sent_to(key);
    assert_eq!(sent.len(), 3, "{sent:?}");
}

#[test]
fn qos_0_of_many_bytes_is_dropped_where_it_would_go_beyond_what_all_clients_may_not_read() {
    let mut bench = narrow(BrokerLimits {
        all_unsent_bytes: 300_000,
        ..BrokerLimits::default()
    });
    let publisher = bench.joined(V5_0, "p");
    let subscribers = ["a", "b", "c"].map(|name| bench.joined(V5_0, name));
    for key in subscribers {
        bench.subscribe(key, "#", 0);
    }
    let publish = |bench: &mut Bench, payload: &str| {
        let mut bytes = Vec::new();
        ControlPacket::Publish(Publish {
            dup: false,
            retain: false,
            delivery: Delivery::AtMostOnce,
            topic: "t",
            properties: Properties::default(),
            payload: payload.as_bytes(),
        })
        .write(V5_0, &mut bytes)
        .unwrap();
        bench.core.received(bench.now, publisher, &bytes);
        let mut sent = 0;
        while let Some(action) = bench.core.next_action() {
            sent += usize::from(matches!(action, Action::Send { .. }));
        }
        sent
    };
    // Two have room, the third does not; what is small goes to it all the same, since it reads.
    assert_eq!(publish(&mut bench, &"x".repeat(140_000)), 2);
    assert_eq!(publish(&mut bench, &"x".repeat(60_000)), 1);
}

#[test]
fn packets_that_are_not_handled_to_the_end_are_capped_over_all_clients() {
    // Each charges its 70,000 bytes sixteen times while it is handled.
    for (room, second_is_closed) in [(2_300_000, false), (2_200_000, true)] {
        let mut bench = narrow(BrokerLimits {
            all_partial_bytes: room,
            ..BrokerLimits::default()
        });
        let (first, second) = (bench.joined(V3_1_1, "a"), bench.joined(V3_1_1, "b"));
        let mut subscriptions = SubscriptionsBuf::new();
        for _ in 0..17_500 {
            subscriptions.push("t", 0).unwrap();
        }
        let mut bytes = Vec::new();
        ControlPacket::Subscribe(Subscribe {
            packet_id: id(1),
            properties: Properties::default(),
            subscriptions: subscriptions.as_subscriptions(),
        })
        .write(V3_1_1, &mut bytes)
        .unwrap();
        for key in [first, second] {
            bench.core.received_some(bench.now, key, &bytes, 64);
        }
        assert!(bench.core.is_busy(first));
        bench.collect();
        assert_eq!(bench.sent_to(second) == ["close"], second_is_closed);
        // What is small is let through.
        let third = bench.joined(V3_1_1, "c");
        bench.subscribe(third, "t", 0);
    }
}

#[test]
fn work_that_is_left_when_its_client_goes_is_finished_and_forgotten() {
    let mut bench = Bench::new();
    let (key, other) = (bench.joined(V3_1_1, "c"), bench.joined(V3_1_1, "o"));
    let subscribers: Vec<_> = (0..50)
        .map(|n| bench.joined(V3_1_1, &format!("s{n}")))
        .collect();
    for &key in &subscribers {
        bench.subscribe(key, "t", 0);
    }
    for number in 0..50 {
        bench.retain(other, &format!("r/{number}"), "x");
    }
    bench
        .core
        .received_some(bench.now, key, b"\x31\x04\0\x01tx", 16);
    bench
        .core
        .received_some(bench.now, other, b"\x82\x06\0\x01\0\x01#\0", 64);
    assert!(bench.core.is_busy(key) && bench.core.is_busy(other));
    bench.vanish(key);
    bench.vanish(other);
    while bench.core.has_work() {
        bench.core.work(bench.now, 16);
        bench.collect();
    }
    let got = bench.sent();
    let got = got
        .iter()
        .filter(|(_, words)| words == "PUBLISH q0 m0 d0 r0 t x");
    assert_eq!(got.count(), 50);
    assert!(bench.core.works.is_empty());
    assert_eq!(bench.core.partial_bytes, 0);
}

#[test]
fn packets_may_come_in_any_portions() {
    let mut bytes = Vec::new();
    let connect = ControlPacket::Connect(Connect::new(V3_1_1, "a"));
    connect.write(V3_1_1, &mut bytes).unwrap();
    bytes.extend([0x82, 6, 0, 1, 0, 1, b't', 1]);
    bytes.extend([0x32, 6, 0, 1, b't', 0, 9, b'x', 0xc0, 0]);
    let expected = {
        let mut bench = Bench::new();
        let key = bench.open(V3_1_1);
        bench.raw(key, &bytes);
        bench.sent()
    };
    assert_eq!(expected.len(), 5);
    for at in 0..bytes.len() {
        let mut bench = Bench::new();
        let key = bench.open(V3_1_1);
        bench.raw(key, &bytes[..at]);
        bench.raw(key, &bytes[at..]);
        assert_eq!(bench.sent(), expected, "split at {at}");
    }
    // A few at a time, after a part of the first.
    for (at, most) in (0..20).zip([1, 2, 3].into_iter().cycle()) {
        let mut bench = Bench::new();
        let key = bench.open(V3_1_1);
        bench.raw(key, &bytes[..at]);
        let mut rest = &bytes[at..];
        let mut turns = 0;
        while !rest.is_empty() {
            let used = bench.core.received_some(bench.now, key, rest, most * 16);
            rest = &rest[used..];
            turns += 1;
            bench.core.work(bench.now, usize::MAX);
        }
        bench.collect();
        assert_eq!(bench.sent(), expected, "{most} at a time after {at}");
        assert!(turns >= 3 / most, "{turns} turns");
    }
}

#[test]
fn the_same_calls_with_the_same_seed_give_the_same_actions() {
    let play = || {
        let mut bench = Bench::new();
        for _ in 0..3 {
            let key = bench.client(V3_1_1, "");
            bench.subscribe(key, "#", 2);
            bench.publish(key, "t", "x", 2, 1);
            bench.ack(key, PacketType::PubRel, 1);
        }
        (bench.sent(), bench.log)
    };
    assert_eq!(play(), play());
}

/// The next step of a client of the property test.
#[derive(Clone, Debug)]
enum Move {
    Connect {
        clean: bool,
        keep_alive: u16,
    },
    Subscribe {
        filter: &'static str,
        options: u8,
    },
    Unsubscribe {
        filter: &'static str,
    },
    Publish {
        topic: &'static str,
        qos: u8,
        id: u16,
        retain: bool,
    },
    Acknowledge {
        kind: u8,
        id: u16,
    },
    Disconnect,
    Vanish,
    Pass(i64),
    Bytes(Vec<u8>),
}

fn moves() -> impl Strategy<Value = Move> {
    let filter = prop_oneof![
        Just("#"),
        Just("a/+"),
        Just("a/b"),
        Just("$share/g/a/#"),
        Just("a/#/b")
    ];
    let topic = prop_oneof![Just("a/b"), Just("a"), Just("$x"), Just("a/#")];
    prop_oneof![
        (any::<bool>(), 0..3_u16)
            .prop_map(|(clean, keep_alive)| Move::Connect { clean, keep_alive }),
        (filter.clone(), 0..0x30_u8)
            .prop_map(|(filter, options)| Move::Subscribe { filter, options }),
        filter.prop_map(|filter| Move::Unsubscribe { filter }),
        (topic, 0..3_u8, 1..4_u16, any::<bool>()).prop_map(|(topic, qos, id, retain)| {
            Move::Publish {
                topic,
                qos,
                id,
                retain,
            }
        }),
        (4..8_u8, 1..5_u16).prop_map(|(kind, id)| Move::Acknowledge { kind, id }),
        Just(Move::Disconnect),
        Just(Move::Vanish),
        (0..5_000_i64).prop_map(Move::Pass),
        proptest::collection::vec(any::<u8>(), 0..12).prop_map(Move::Bytes),
    ]
}

fn make(bench: &mut Bench, keys: &mut [Option<Key>; 3], who: usize, what: &Move) {
    const VERSIONS: [ProtocolVersion; 3] = [V3_1, V3_1_1, V5_0];
    let Some(key) = keys[who] else {
        if let Move::Connect { clean, keep_alive } = what {
            let name = ["one", "two", "two"][who];
            keys[who] = Some(bench.client_with(VERSIONS[who], name, |connect| {
                connect.flags = if *clean { 2 } else { 0 };
                connect.keep_alive = *keep_alive;
            }));
        }
        return;
    };
    match what {
        Move::Connect { .. } => bench.send(key, &ControlPacket::PingReq),
        Move::Subscribe { filter, options } => {
            let options = if VERSIONS[who] == V5_0 {
                *options
            } else {
                options & 3
            };
            let options = if options & 3 == 3 {
                options & !1
            } else {
                options
            };
            bench.subscribe_with(key, filter, options, &PropertiesBuf::new());
        }
        Move::Unsubscribe { filter } => {
            let mut filters = TopicFiltersBuf::new();
            filters.push(filter).unwrap();
            bench.send(
                key,
                &ControlPacket::Unsubscribe(Unsubscribe {
                    packet_id: id(1),
                    properties: Properties::default(),
                    filters: filters.as_filters(),
                }),
            );
        }
        Move::Publish {
            topic,
            qos,
            id,
            retain,
        } => {
            bench.publish_with(key, topic, "x", delivery(*qos, *id), |publish| {
                publish.retain = *retain;
            });
        }
        Move::Acknowledge { kind, id: number } => {
            let acknowledgement = Acknowledgement {
                packet_id: id(*number),
                reason_code: 0,
                properties: Properties::default(),
            };
            bench.send(
                key,
                &match kind {
                    4 => ControlPacket::PubAck(acknowledgement),
                    5 => ControlPacket::PubRec(acknowledgement),
                    6 => ControlPacket::PubRel(acknowledgement),
                    _ => ControlPacket::PubComp(acknowledgement),
                },
            );
        }
        Move::Disconnect => {
            let packet = ControlPacket::Disconnect(Disconnect {
                reason_code: 0,
                properties: Properties::default(),
            });
            bench.send(key, &packet);
        }
        Move::Vanish => {
            bench.vanish(key);
            keys[who] = None;
        }
        Move::Pass(milliseconds) => bench.pass(*milliseconds),
        Move::Bytes(bytes) => bench.raw(key, bytes),
    }
}

proptest! {
    #[test]
    fn whatever_several_clients_do_the_server_keeps_its_books(
        script in proptest::collection::vec((0..3_usize, moves()), 1..80),
    ) {
        let mut bench = Bench::new();
        let mut keys = [None; 3];
        for (who, what) in &script {
            make(&mut bench, &mut keys, *who, what);
            for (_, words) in bench.sent() {
                if words == "close" {
                    continue;
                }
                prop_assert!(!words.is_empty());
            }
            for key in &mut keys {
                if key.is_some_and(|key| !bench.core.links.contains_key(&key)) {
                    *key = None;
                }
            }
            let core = &bench.core;
            // Each connection in a session is that session's, and the other way round.
            for (key, session) in &core.sessions {
                if let Some(connection) = session.connection {
                    prop_assert_eq!(core.links[&connection].session(), Some(*key));
                }
                prop_assert_eq!(core.by_client.get(&session.client_id), Some(key));
                let ids: std::collections::BTreeSet<_> =
                    session.exchanges.iter().map(|exchange| exchange.packet_id).collect();
                prop_assert_eq!(ids.len(), session.exchanges.len());
                prop_assert!(session.exchanges.len() <= usize::from(core.options.window));
            }
            let mut held = 0;
            let mut kept = 0;
            for session in core.sessions.values() {
                let exchanges = session.exchanges.iter().map(|exchange| &exchange.outgoing);
                let waiting = exchanges.chain(&session.queue).map(|out| out.bytes());
                prop_assert_eq!(waiting.sum::<usize>(), session.queued_bytes);
                let unreleased = session.unreleased.values().map(|message| message.bytes());
                prop_assert_eq!(unreleased.sum::<usize>(), session.unreleased_bytes);
                let filters = session.subscriptions.iter().map(|filter| filter.len());
                prop_assert_eq!(filters.sum::<usize>(), session.subscription_bytes);
                let filters = session.subscriptions.iter();
                let levels = filters.map(|filter| filter.split('/').count());
                prop_assert_eq!(levels.sum::<usize>(), session.subscription_levels);
                prop_assert_eq!(session.bytes(), session.counted);
                kept += session.counted;
                held += session.queued_bytes + session.unreleased_bytes;
            }
            prop_assert_eq!(held, core.held_bytes);
            let begun = core.links.values().map(|link| link.framer.pending().len());
            prop_assert_eq!(begun.sum::<usize>(), core.partial_bytes);
            for link in core.links.values() {
                let topics = link.aliases_in.values().map(|topic| topic.len());
                prop_assert_eq!(topics.sum::<usize>(), link.aliases_in_bytes);
                kept += link.aliases_in_bytes;
            }
            prop_assert_eq!(kept, core.kept_bytes);
            prop_assert_eq!(core.unsent_bytes, 0);
            prop_assert_eq!(core.by_client.len(), core.sessions.len());
        }
    }
}
