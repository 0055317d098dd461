//! The codec compared with two others: what they encode is read with the same meaning, and
//! the three agree on which packets are valid, but for a list of reasoned differences.
//! Neither knows 3.1 but for CONNECT: what it encodes as 3.1.1 is read as 3.1 too.
//!
//! mqtt-proto makes up packets in its own types and encodes them. Ours reads the bytes and
//! writes them again; mqtt-proto must read its own packet from what ours wrote. rmqtt-codec
//! reads the same bytes and encodes them its way; ours must read the same packet from that.

use std::cell::RefCell;
use std::collections::BTreeMap;

use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use mqtt_inspect::mqtt::ProtocolVersion::{self, V3_1, V3_1_1, V5_0};
use mqtt_inspect::mqtt::packet::{Connect, Will};
use mqtt_inspect::mqtt::rule::Breach;
use mqtt_inspect::mqtt::{ControlPacket, Malformed, PacketType, Properties, Rule, violations};
use mqtt_proto::{Protocol, v3, v5};
use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseResult, TestRunner};
use tokio_util::codec::{Decoder, Encoder};

const VERSIONS: [ProtocolVersion; 3] = [V3_1, V3_1_1, V5_0];

/// The verdict of mqtt-proto or rmqtt-codec on some bytes: the packet as bytes of its own
/// encoding, or the words of its error.
type Theirs = Result<Vec<u8>, String>;

fn proto(bytes: &[u8], version: ProtocolVersion) -> Theirs {
    let read = match version {
        ProtocolVersion::V5_0 => v5::Packet::decode(bytes)
            .map_err(|error| error.to_string())
            .map(|packet| packet.and_then(|packet| packet.encode().ok())),
        _ => v3::Packet::decode(bytes)
            .map_err(|error| error.to_string())
            .map(|packet| packet.and_then(|packet| packet.encode().ok())),
    };
    read?
        .map(|encoded| encoded.as_ref().to_vec())
        .ok_or_else(|| "incomplete".to_owned())
}

fn rmqtt(bytes: &[u8], version: ProtocolVersion) -> Theirs {
    let mut bytes = BytesMut::from(bytes);
    let mut out = BytesMut::new();
    let read = match version {
        ProtocolVersion::V5_0 => {
            let mut codec = rmqtt_codec::v5::Codec::default();
            let read = codec
                .decode(&mut bytes)
                .map_err(|error| error.to_string())?;
            // Another codec encodes: this one has learnt from CONNECT what to leave out.
            let mut codec = rmqtt_codec::v5::Codec::default();
            read.map(|(packet, _)| {
                codec
                    .encode(packet, &mut out)
                    .map_err(|error| error.to_string())
            })
        }
        _ => {
            let mut codec = rmqtt_codec::v3::Codec::default();
            let read = codec
                .decode(&mut bytes)
                .map_err(|error| error.to_string())?;
            read.map(|(packet, _)| {
                codec
                    .encode(packet, &mut out)
                    .map_err(|error| error.to_string())
            })
        }
    };
    read.ok_or_else(|| "incomplete".to_owned())??;
    Ok(out.to_vec())
}

fn ours(bytes: &[u8], version: ProtocolVersion) -> Result<ControlPacket<'_>, Malformed> {
    ControlPacket::read(bytes, version, &mut ())
}

/// The meaning of a packet, whatever the order of its properties: codecs that keep them in fields
/// write them in an order of their own. Properties of one identifier keep theirs.
fn meaning(packet: &ControlPacket<'_>) -> (String, Vec<(String, u8)>) {
    let sorted = |properties: Properties<'_>| {
        let mut all: Vec<_> = properties.iter().collect();
        all.sort_by_key(|property| property.id.0);
        all.iter()
            .map(|property| (format!("{property:?}"), property.id.0))
            .collect::<Vec<_>>()
    };
    let mut bare = packet.clone();
    let mut properties = sorted(packet.properties());
    match &mut bare {
        ControlPacket::Connect(Connect {
            properties: own,
            will,
            ..
        }) => {
            *own = Properties::default();
            if let Some(Will {
                properties: own, ..
            }) = will
            {
                properties.extend(sorted(*own));
                *own = Properties::default();
            }
        }
        ControlPacket::ConnAck(ack) => ack.properties = Properties::default(),
        ControlPacket::Publish(publish) => publish.properties = Properties::default(),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => ack.properties = Properties::default(),
        ControlPacket::Subscribe(subscribe) => subscribe.properties = Properties::default(),
        ControlPacket::SubAck(ack) => ack.properties = Properties::default(),
        ControlPacket::Unsubscribe(unsubscribe) => unsubscribe.properties = Properties::default(),
        ControlPacket::UnsubAck(ack) => ack.properties = Properties::default(),
        ControlPacket::Disconnect(disconnect) => disconnect.properties = Properties::default(),
        ControlPacket::Auth(auth) => auth.properties = Properties::default(),
        ControlPacket::PingReq | ControlPacket::PingResp => {}
    }
    (format!("{bare:?}"), properties)
}

/// The same cases in every run: a difference so rare that the lists below lack it must not
/// fail a run in which nothing changed.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 5000,
        rng_seed: RngSeed::Fixed(1883),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// Packets by version and type on which a codec and ours agreed.
type Agreed = BTreeMap<(&'static str, &'static str), usize>;

/// Holds ours against a codec in many packets, and every packet type of every version among
/// them. `same` holds one packet against what the codec made of it.
fn hold(
    codec: &Codec,
    same: impl Fn(&ControlPacket<'_>, &[u8], ProtocolVersion) -> TestCaseResult,
) {
    let agreed = RefCell::new(Agreed::new());
    let outcome = TestRunner::new(config()).run(&seeds(), |seed| {
        let Some((bytes, version)) = made(&seed) else {
            return Ok(());
        };
        let (packet, theirs) = match (ours(&bytes, version), (codec.reads)(&bytes, version)) {
            (Ok(packet), Ok(theirs)) => (packet, theirs),
            (ours, theirs) => {
                let known = difference(&bytes, version, ours, theirs).is_none_or(|one| match one {
                    Difference::Taken(rule) => codec.takes.iter().any(|(known, ..)| *known == rule),
                    Difference::Refused(why) => {
                        codec.refuses.iter().any(|(known, ..)| *known == why)
                    }
                });
                prop_assert!(known, "{bytes:02x?}");
                return Ok(());
            }
        };
        same(&packet, &theirs, version)?;
        let version = match &packet {
            ControlPacket::Connect(connect) => connect.version().unwrap_or(version),
            _ => version,
        };
        let kind = (version.name(), packet.packet_type().name());
        *agreed.borrow_mut().entry(kind).or_default() += 1;
        Ok(())
    });
    if let Err(failed) = outcome {
        panic!("{failed}");
    }
    let agreed = agreed.into_inner();
    for version in VERSIONS {
        // AUTH came with 5.0.
        let last = if version == V5_0 { 15 } else { 14 };
        for packet_type in 1..=last {
            let name = PacketType::of(packet_type << 4).name();
            let times = agreed.get(&(version.name(), name)).copied().unwrap_or(0);
            assert!(times >= 5, "{name} of {version:?}: {times} times");
        }
    }
}

#[test]
fn what_mqtt_proto_encodes_is_read_with_its_meaning() {
    hold(&PROTO, |packet, theirs, version| {
        if altered(packet, theirs, version) {
            return Ok(());
        }
        prop_assert_eq!(meaning(&ours(theirs, version).unwrap()), meaning(packet));
        // Theirs is read from what ours writes.
        let mut written = Vec::new();
        packet.write(version, &mut written).unwrap();
        prop_assert_eq!(proto(&written, version), Ok(theirs.to_vec()));
        Ok(())
    });
}

#[test]
fn what_rmqtt_codec_encodes_is_read_with_its_meaning() {
    hold(&RMQTT, |packet, theirs, version| {
        if version == V3_1 && cut_off(packet) {
            return Ok(());
        }
        // It gives every CONNECT before 5.0 the level of 3.1.1, with the name of 3.1 too.
        let mut theirs = theirs.to_vec();
        if let ControlPacket::Connect(connect) = packet
            && connect.protocol_level == 3
        {
            let level = theirs.windows(7).position(|bytes| bytes == b"MQIsdp\x04");
            theirs[level.unwrap() + 6] = 3;
        }
        let again = ours(&theirs, version).unwrap();
        let ((bare, properties), (again, kept)) = (meaning(packet), meaning(&again));
        prop_assert_eq!(again, bare);
        // Properties that state the default it leaves out.
        let mut kept = kept.iter().peekable();
        for (property, id) in properties {
            if kept.next_if(|(kept, _)| *kept == property).is_none() {
                prop_assert!(LEFT_OUT.iter().any(|(left, _)| *left == id), "{property}");
            }
        }
        prop_assert_eq!(kept.next(), None);
        Ok(())
    });
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn fields_mean_what_they_mean_to_mqtt_proto(seed in seeds()) {
        let Ok(theirs) = v5::Packet::arbitrary(&mut Unstructured::new(&seed.bytes)) else {
            return Ok(());
        };
        let Ok(bytes) = theirs.encode() else { return Ok(()) };
        if let Ok(packet) = ours(bytes.as_ref(), V5_0) {
            same_fields(&theirs, &packet);
        }
    }
}

#[test]
fn every_reasoned_difference_is_one() {
    for codec in [PROTO, RMQTT] {
        let taken = codec
            .takes
            .iter()
            .map(|&(rule, version, bytes)| (Difference::Taken(rule), version, bytes));
        let refused = codec
            .refuses
            .iter()
            .map(|&(why, version, bytes)| (Difference::Refused(why), version, bytes));
        for (reasoned, version, bytes) in taken.chain(refused) {
            let (ours, theirs) = (ours(bytes, version), (codec.reads)(bytes, version));
            let is = match (&ours, &theirs) {
                (Ok(_), Ok(_)) => None,
                _ => difference(bytes, version, ours, theirs),
            };
            assert_eq!(is, Some(reasoned), "{bytes:02x?}");
        }
    }
}

#[test]
fn what_other_codecs_alter_they_alter() {
    let failed = b"\x90\x03\0\x01\x80";
    for version in [V3_1, V3_1_1] {
        assert_eq!(proto(failed, version).unwrap(), b"\x90\x03\0\x01\x03");
    }
    let present = b"\x20\x02\x01\0";
    assert_eq!(proto(present, V3_1).unwrap(), present);
    assert!(matches!(
        ours(present, V3_1),
        Ok(ControlPacket::ConnAck(ack)) if !ack.session_present
    ));
    let subscribe = b"\x82\x06\0\x01\0\x01f\x81";
    assert!(ours(subscribe, V3_1).is_ok());
    assert_eq!(
        rmqtt(subscribe, V3_1).unwrap(),
        b"\x82\x06\0\x01\0\x01f\x01"
    );
    for &(id, bytes) in LEFT_OUT {
        let has = |bytes: &[u8]| {
            let (_, properties) = meaning(&ours(bytes, V5_0).unwrap());
            properties.iter().any(|(_, one)| *one == id)
        };
        assert!(has(bytes), "{id:02x}");
        assert!(!has(&rmqtt(bytes, V5_0).unwrap()), "{id:02x}");
    }
}

/// One of the other codecs, and where it differs from ours on purpose. Each difference has a
/// packet that shows it.
struct Codec {
    reads: fn(&[u8], ProtocolVersion) -> Theirs,
    /// Ours refuses, theirs takes, although the packet breaks the rule.
    takes: &'static [(Rule, ProtocolVersion, &'static [u8])],
    /// Ours reads and finds no protocol error, theirs refuses.
    refuses: &'static [(Why, ProtocolVersion, &'static [u8])],
}

/// Why ours reads what others refuse.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Why {
    /// 3.1 does not use the header flags but in PUBLISH, and DUP in SUBSCRIBE, UNSUBSCRIBE and
    /// PUBREL, which have QoS 1 there. Others hold it to the rules of 3.1.1.
    HeaderFlagsOfThreeOne,
    /// Nor does it use the first byte of CONNACK.
    ConnackOfThreeOne,
    /// Nor the upper six bits beside the QoS of a subscription.
    OptionsOfThreeOne,
    /// Nor a flag of CONNECT; and a user name that is announced may be missing.
    ConnectOfThreeOne,
    /// mosquitto's bridge bit in the protocol level.
    Bridge,
    /// Whether a payload is the text that it claims to be need not be looked at.
    PayloadFormat,
    /// AUTH with a Reason Code and no Property Length, as mosquitto takes it.
    AuthWithoutPropertyLength,
    /// A Message Expiry Interval of 0.
    Expired,
    /// An empty client identifier that keeps its session, which 5.0 allows.
    EmptyClientId,
}

/// A packet that one codec takes and another does not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Difference {
    Taken(Rule),
    Refused(Why),
}

const PROTO: Codec = Codec {
    reads: proto,
    takes: &[
        // Not looked at: U+0000 in strings, empty topics, DUP at QoS 0, user name and password.
        (
            Rule::TextHasNoNull,
            V3_1_1,
            b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01\0",
        ),
        (Rule::TopicNameIsNotEmpty, V3_1_1, b"\x30\x02\0\0"),
        (Rule::DupNeedsQos, V3_1_1, b"\x38\x03\0\x01t"),
        (
            Rule::PasswordNeedsUserName,
            V3_1_1,
            b"\x10\x0f\0\x04MQTT\x04\x42\0\0\0\x01c\0\0",
        ),
        (
            Rule::WillFlagsNeedAWill,
            V3_1_1,
            b"\x10\x0d\0\x04MQTT\x04\x22\0\0\0\x01c",
        ),
        (
            Rule::ReceiveMaximumIsNotZero,
            V5_0,
            b"\x20\x06\0\0\x03\x21\0\0",
        ),
        (
            Rule::MaximumPacketSizeIsNotZero,
            V5_0,
            b"\x20\x08\0\0\x05\x27\0\0\0\0",
        ),
        (
            Rule::TopicAliasIsNotZero,
            V5_0,
            b"\x30\x07\0\x01t\x03\x23\0\0",
        ),
        (
            Rule::SubscriptionIdentifierIsNotZero,
            V5_0,
            b"\x30\x06\0\x01t\x02\x0b\0",
        ),
        // A SUBACK answers at least one filter, since SUBSCRIBE has at least one.
        (Rule::AcknowledgementHasACode, V3_1_1, b"\x90\x02\0\x01"),
        // Remaining Length of packets without a body is not looked at; bytes are left over.
        (Rule::FieldsFitThePacket, V3_1_1, b"\xc0\x01"),
        (Rule::NothingFollowsTheFields, V3_1_1, b"\xc0\x01\0"),
        // Properties are read past the packet.
        (
            Rule::PropertiesFitThePacket,
            V5_0,
            b"\x40\x07\0\x01\0\x04\x1f\0\x01s",
        ),
    ],
    refuses: &[
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\x8a\x06\0\x01\0\x01f\0"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\xaa\x05\0\x01\0\x01f"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\x6a\x02\0\x01"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\xdd\0"),
        (Why::ConnackOfThreeOne, V3_1, b"\x20\x02\x02\0"),
        (Why::OptionsOfThreeOne, V3_1, b"\x82\x06\0\x01\0\x01f\x81"),
        (
            Why::ConnectOfThreeOne,
            V3_1,
            b"\x10\x0f\0\x06MQIsdp\x03\x03\0\0\0\x01c",
        ),
        (
            Why::ConnectOfThreeOne,
            V3_1,
            b"\x10\x0f\0\x06MQIsdp\x03\x80\0\0\0\x01c",
        ),
        (
            Why::Bridge,
            V3_1_1,
            b"\x10\x0d\0\x04MQTT\x84\x02\0\0\0\x01c",
        ),
        (Why::PayloadFormat, V5_0, b"\x30\x07\0\x01t\x02\x01\x01\xff"),
        (Why::AuthWithoutPropertyLength, V5_0, b"\xf0\x01\0"),
    ],
};

const RMQTT: Codec = Codec {
    reads: rmqtt,
    takes: &[
        (Rule::TextHasNoNull, V3_1_1, b"\x30\x03\0\x01\0"),
        (Rule::TopicNameIsNotEmpty, V5_0, b"\x30\x03\0\0\0"),
        (Rule::TopicNameHasNoWildcard, V3_1_1, b"\x30\x03\0\x01+"),
        (Rule::DupNeedsQos, V3_1_1, b"\x38\x03\0\x01t"),
        (
            Rule::PasswordNeedsUserName,
            V3_1_1,
            b"\x10\x0f\0\x04MQTT\x04\x42\0\0\0\x01c\0\0",
        ),
        // Of a will that there is not, in 5.0 only.
        (
            Rule::WillFlagsNeedAWill,
            V5_0,
            b"\x10\x0e\0\x04MQTT\x05\x22\0\0\0\0\x01c",
        ),
        (
            Rule::WillQosIsNotThree,
            V5_0,
            b"\x10\x0e\0\x04MQTT\x05\x1a\0\0\0\0\x01c",
        ),
        (Rule::AcknowledgementHasACode, V3_1_1, b"\x90\x02\0\x01"),
        (Rule::NothingFollowsTheFields, V3_1_1, b"\xc0\x01\0"),
        (
            Rule::MaximumPacketSizeIsNotZero,
            V5_0,
            b"\x20\x08\0\0\x05\x27\0\0\0\0",
        ),
        // Reserved bits of the options are cut off before 5.0.
        (
            Rule::SubscriptionReservedBitsAreZero,
            V3_1_1,
            b"\x82\x06\0\x01\0\x01f\x81",
        ),
        // Maximum QoS 2 is taken.
        (Rule::PropertyIsZeroOrOne, V5_0, b"\x20\x05\0\0\x02\x24\x02"),
    ],
    refuses: &[
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\x8a\x06\0\x01\0\x01f\0"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\xaa\x05\0\x01\0\x01f"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\x6a\x02\0\x01"),
        (Why::HeaderFlagsOfThreeOne, V3_1, b"\xdd\0"),
        (Why::ConnackOfThreeOne, V3_1, b"\x20\x02\x02\0"),
        (
            Why::ConnectOfThreeOne,
            V3_1,
            b"\x10\x0f\0\x06MQIsdp\x03\x03\0\0\0\x01c",
        ),
        (
            Why::ConnectOfThreeOne,
            V3_1,
            b"\x10\x0f\0\x06MQIsdp\x03\x80\0\0\0\x01c",
        ),
        (
            Why::Bridge,
            V3_1_1,
            b"\x10\x0d\0\x04MQTT\x84\x02\0\0\0\x01c",
        ),
        (Why::Expired, V5_0, b"\x30\x09\0\x01t\x05\x02\0\0\0\0"),
        (
            Why::EmptyClientId,
            V5_0,
            b"\x10\x0d\0\x04MQTT\x05\0\0\0\0\0\0",
        ),
    ],
};

/// Properties that rmqtt-codec leaves out where they state the default: each with a
/// packet that loses it.
const LEFT_OUT: &[(u8, &[u8])] = &[
    (0x01, b"\x30\x06\0\x01t\x02\x01\0"),
    (
        0x11,
        b"\x10\x13\0\x04MQTT\x05\x02\0\0\x05\x11\0\0\0\0\0\x01c",
    ),
    (0x17, b"\x10\x10\0\x04MQTT\x05\x02\0\0\x02\x17\x01\0\x01c"),
    (0x19, b"\x10\x10\0\x04MQTT\x05\x02\0\0\x02\x19\0\0\x01c"),
    (0x22, b"\x10\x11\0\x04MQTT\x05\x02\0\0\x03\x22\0\0\0\x01c"),
    (0x25, b"\x20\x05\0\0\x02\x25\x01"),
    (0x28, b"\x20\x05\0\0\x02\x28\x01"),
    (0x29, b"\x20\x05\0\0\x02\x29\x01"),
    (0x2a, b"\x20\x05\0\0\x02\x2a\x01"),
];

/// Whether mqtt-proto writes the packet with another meaning: before 5.0 the return code
/// Failure (128) as 3, and in CONNACK of 3.1 Session Present, of which 3.1 knows nothing.
fn altered(packet: &ControlPacket<'_>, theirs: &[u8], version: ProtocolVersion) -> bool {
    match packet {
        ControlPacket::SubAck(ack) => version != V5_0 && ack.codes.contains(&0x80),
        ControlPacket::ConnAck(_) => version == V3_1 && theirs[2] != 0,
        _ => false,
    }
}

/// Whether 3.1 leaves bits unused in the packet, which rmqtt-codec cuts off.
fn cut_off(packet: &ControlPacket<'_>) -> bool {
    let ControlPacket::Subscribe(subscribe) = packet else {
        return false;
    };
    let mut all = subscribe.subscriptions.iter();
    all.any(|one| one.options & 0xfc != 0)
}

/// Where only one of two takes a packet: how they differ, if the packet is one that ours lists
/// no protocol error of.
fn difference(
    bytes: &[u8],
    version: ProtocolVersion,
    ours: Result<ControlPacket<'_>, Malformed>,
    theirs: Theirs,
) -> Option<Difference> {
    let (packet, error) = match (ours, theirs) {
        (Err(malformed), Ok(_)) => return Some(Difference::Taken(malformed.rule)),
        (Ok(packet), Err(error)) => (packet, error),
        _ => return None,
    };
    let mut forbidden = false;
    violations(&packet, bytes, version, &mut |violation| {
        forbidden |= violation.rule.breach() == Breach::ProtocolError;
    });
    if forbidden {
        return None;
    }
    let three_one = version == V3_1;
    let flags = bytes[0] & 0x0f;
    let of_qos_1 = matches!(
        packet.packet_type(),
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
    );
    let why = match &packet {
        _ if claims_text(&packet) => Why::PayloadFormat,
        ControlPacket::Connect(connect) if connect.bridge => Why::Bridge,
        ControlPacket::Connect(connect) if connect.protocol_level == 3 => Why::ConnectOfThreeOne,
        ControlPacket::Connect(connect) if connect.client_id.is_empty() => Why::EmptyClientId,
        ControlPacket::Publish(publish)
            if publish.properties.message_expiry_interval() == Some(0) =>
        {
            Why::Expired
        }
        ControlPacket::Auth(_) => Why::AuthWithoutPropertyLength,
        _ if three_one && flags != if of_qos_1 { 0x02 } else { 0x00 } => Why::HeaderFlagsOfThreeOne,
        ControlPacket::Subscribe(_) if three_one => Why::OptionsOfThreeOne,
        ControlPacket::ConnAck(_) if three_one => Why::ConnackOfThreeOne,
        _ => panic!("{error} {bytes:02x?}"),
    };
    Some(Difference::Refused(why))
}

/// Whether a payload is marked as text and is none.
fn claims_text(packet: &ControlPacket<'_>) -> bool {
    let (properties, payload) = match packet {
        ControlPacket::Publish(publish) => (publish.properties, publish.payload),
        ControlPacket::Connect(Connect {
            will: Some(will), ..
        }) => (will.properties, will.payload),
        _ => return false,
    };
    properties.payload_is_text() == Some(true) && std::str::from_utf8(payload).is_err()
}

/// Of what a packet is made, and what is changed in it.
#[derive(Clone, Debug)]
struct Seed {
    bytes: Vec<u8>,
    version: ProtocolVersion,
    /// A CONNECT of this version, and no packet of any type.
    connect: bool,
    /// An byte somewhere.
    damage: Option<(prop::sample::Index, u8)>,
    /// The low four bits of the first byte.
    flags: Option<u8>,
}

fn seeds() -> impl Strategy<Value = Seed> {
    let byte = prop_oneof![8 => b'a'..=b'z', 1 => any::<u8>(), 1 => 0..4u8];
    let damage = (any::<prop::sample::Index>(), any::<u8>());
    (
        // The first bytes choose the packet type.
        (any::<[u8; 4]>(), proptest::collection::vec(byte, 20..400)),
        prop::sample::select(VERSIONS.to_vec()),
        proptest::bool::weighted(0.1),
        proptest::option::weighted(0.4, damage),
        proptest::option::weighted(0.1, 0..16u8),
    )
        .prop_map(|((first, rest), version, connect, damage, flags)| Seed {
            bytes: [&first[..], &rest].concat(),
            version,
            connect,
            damage,
            flags,
        })
}

/// A packet of mqtt-proto's making, as bytes, perhaps changed. Those of 3.1 but CONNECT have
/// the layout of 3.1.1.
fn made(seed: &Seed) -> Option<(Vec<u8>, ProtocolVersion)> {
    let mut source = Unstructured::new(&seed.bytes);
    let encoded = match (seed.version, seed.connect) {
        (V5_0, false) => v5::Packet::arbitrary(&mut source).ok()?.encode(),
        (_, false) => v3::Packet::arbitrary(&mut source).ok()?.encode(),
        (V5_0, true) => {
            let mut connect = v5::Connect::arbitrary(&mut source).ok()?;
            connect.protocol = Protocol::V500;
            v5::Packet::Connect(connect).encode()
        }
        (version, true) => {
            let mut connect = v3::Connect::arbitrary(&mut source).ok()?;
            connect.protocol = match version {
                V3_1 => Protocol::V310,
                _ => Protocol::V311,
            };
            v3::Packet::Connect(connect).encode()
        }
    };
    let encoded = encoded.ok()?;
    let mut bytes = encoded.as_ref().to_vec();
    if let Some((at, byte)) = seed.damage {
        let at = at.index(bytes.len());
        bytes[at] = byte;
    }
    if let Some(flags) = seed.flags {
        bytes[0] = bytes[0] & 0xf0 | flags;
    }
    Some((bytes, seed.version))
}

fn same_fields(theirs: &v5::Packet, ours: &ControlPacket<'_>) {
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    match (theirs, ours) {
        (v5::Packet::Connect(theirs), ControlPacket::Connect(ours)) => {
            assert_eq!(theirs.clean_start, ours.clean());
            assert_eq!(theirs.keep_alive, ours.keep_alive);
            assert_eq!(*theirs.client_id, *ours.client_id);
            assert_eq!(theirs.username.as_deref(), ours.user_name);
            assert_eq!(theirs.password.as_deref(), ours.password);
            let (read, properties) = (&theirs.properties, ours.properties);
            assert_eq!(
                read.session_expiry_interval,
                properties.session_expiry_interval()
            );
            assert_eq!(read.receive_max, properties.receive_maximum());
            assert_eq!(read.max_packet_size, properties.maximum_packet_size());
            assert_eq!(read.topic_alias_max, properties.topic_alias_maximum());
            assert_eq!(
                read.request_problem_info,
                properties.request_problem_information()
            );
            assert_eq!(
                read.request_response_info,
                properties.request_response_information()
            );
            assert_eq!(
                read.auth_method.as_deref(),
                properties.authentication_method()
            );
            let (Some(theirs), Some(ours)) = (&theirs.last_will, &ours.will) else {
                assert!(theirs.last_will.is_none() && ours.will.is_none());
                return;
            };
            assert_eq!(theirs.qos as u8, ours.qos as u8);
            assert_eq!(theirs.retain, ours.retain);
            assert_eq!(*theirs.topic_name, *ours.topic);
            assert_eq!(*theirs.payload, *ours.payload);
            let (read, properties) = (&theirs.properties, ours.properties);
            assert_eq!(read.delay_interval, properties.will_delay_interval());
            assert_eq!(read.content_type.as_deref(), properties.content_type());
        }
        (v5::Packet::Connack(theirs), ControlPacket::ConnAck(ours)) => {
            assert_eq!(theirs.session_present, ours.session_present);
            assert_eq!(theirs.reason_code as u8, ours.code);
            let (read, properties) = (&theirs.properties, ours.properties);
            assert_eq!(
                read.max_qos.map(|qos| qos as u8),
                properties.maximum_qos().map(|qos| qos as u8)
            );
            assert_eq!(read.retain_available, properties.retain_available());
            assert_eq!(
                text(&read.assigned_client_id).as_deref(),
                properties.assigned_client_identifier()
            );
            assert_eq!(
                text(&read.reason_string).as_deref(),
                properties.reason_string()
            );
            assert_eq!(
                text(&read.response_info).as_deref(),
                properties.response_information()
            );
            assert_eq!(
                text(&read.server_reference).as_deref(),
                properties.server_reference()
            );
            assert_eq!(read.server_keep_alive, properties.server_keep_alive());
            assert_eq!(
                read.wildcard_subscription_available,
                properties.wildcard_subscription_available()
            );
            assert_eq!(
                read.subscription_id_available,
                properties.subscription_identifiers_available()
            );
            assert_eq!(
                read.shared_subscription_available,
                properties.shared_subscription_available()
            );
            assert_eq!(
                read.user_properties.len(),
                properties.user_properties().count()
            );
        }
        (v5::Packet::Publish(theirs), ControlPacket::Publish(ours)) => {
            assert_eq!((theirs.dup, theirs.retain), (ours.dup, ours.retain));
            assert_eq!(*theirs.topic_name, *ours.topic);
            assert_eq!(*theirs.payload, *ours.payload);
            assert_eq!(
                theirs.qos_pid.pid().map(mqtt_proto::Pid::value),
                ours.delivery.packet_id().map(|id| id.number())
            );
            let (read, properties) = (&theirs.properties, ours.properties);
            assert_eq!(read.payload_is_utf8, properties.payload_is_text());
            assert_eq!(
                read.message_expiry_interval,
                properties.message_expiry_interval()
            );
            assert_eq!(read.topic_alias, properties.topic_alias());
            assert_eq!(read.response_topic.as_deref(), properties.response_topic());
            assert_eq!(
                read.correlation_data.as_deref(),
                properties.correlation_data()
            );
            assert_eq!(
                read.subscription_id.map(|id| id.value()),
                properties.subscription_identifiers().next()
            );
        }
        (v5::Packet::Subscribe(theirs), ControlPacket::Subscribe(ours)) => {
            assert_eq!(theirs.topics.len(), ours.subscriptions.iter().count());
            for ((filter, options), ours) in theirs.topics.iter().zip(ours.subscriptions.iter()) {
                assert_eq!(**filter, *ours.filter);
                assert_eq!(options.max_qos as u8, ours.qos() as u8);
                assert_eq!(options.no_local, ours.no_local());
                assert_eq!(options.retain_as_published, ours.retain_as_published());
                assert_eq!(options.retain_handling as u8, ours.retain_handling());
            }
        }
        (v5::Packet::Suback(theirs), ControlPacket::SubAck(ours)) => {
            let codes: Vec<u8> = theirs.topics.iter().map(|code| *code as u8).collect();
            assert_eq!(codes, ours.codes);
        }
        (v5::Packet::Disconnect(theirs), ControlPacket::Disconnect(ours)) => {
            assert_eq!(theirs.reason_code as u8, ours.reason_code);
        }
        _ => {}
    }
}
