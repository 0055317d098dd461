//! The promises of the codec as a whole: reading and writing agree, no bytes make it panic,
//! every rule is noticed, and the tree is Wireshark's.

use proptest::prelude::*;

use super::ProtocolVersion::{V3_1, V3_1_1, V5_0};
use super::rule::Breach;
use super::testing::{Lines, parts, record};
use super::{
    ControlPacket, Malformed, PropertiesBuf, PropertyId, PropertyValue, ProtocolVersion, Rule,
    Unwritable, surely_clean, violations,
};

const VERSIONS: [ProtocolVersion; 3] = [V3_1, V3_1_1, V5_0];

/// Returns the verdict without a visitor, which must be that with one.
fn verdict(bytes: &[u8], version: ProtocolVersion) -> Result<ControlPacket<'_>, Malformed> {
    let quiet = ControlPacket::read(bytes, version, &mut ());
    let mut lines = Lines::default();
    let reported = ControlPacket::read(bytes, version, &mut lines);
    assert_eq!(quiet, reported, "{bytes:02x?}");
    if quiet.is_ok() {
        assert_eq!(lines.depth, 0, "every branch is closed: {bytes:02x?}");
    }
    for (offset, length) in lines.places {
        let end = offset.checked_add(length);
        assert!(end.is_some_and(|end| end <= bytes.len()), "{bytes:02x?}");
    }
    quiet
}

#[test]
fn properties_that_claim_to_end_beyond_the_packet_are_reported_within_it() {
    let bytes = b"\x30\x08\x00\x03n/x\x7f\x01\x00";
    let malformed = verdict(bytes, V5_0).expect_err("127 octets of properties");
    assert_eq!(malformed.rule, Rule::PropertiesFitThePacket);
}

#[test]
fn what_has_no_form_in_bytes_is_refused_with_the_reason() {
    let long = "t".repeat(65_536);
    let bytes = of(0x30, b"\0\x01t");
    let Ok(ControlPacket::Publish(mut publish)) = verdict(&bytes, V3_1_1) else {
        panic!("a PUBLISH");
    };
    publish.topic = &long;
    let mut out = vec![0xaa];
    let why = ControlPacket::Publish(publish).write(V3_1_1, &mut out);
    assert_eq!(why, Err(Unwritable::FieldTooLong { bytes: 65_536 }));
    assert_eq!(
        Unwritable::FieldTooLong { bytes: 65_536 }.to_string(),
        "a field of 65536 octets: 65,535 is the most"
    );
    assert_eq!(out, [0xaa], "nothing of it is left behind");

    let mut properties = PropertiesBuf::new();
    let id = PropertyId::SUBSCRIPTION_IDENTIFIER;
    let one = PropertyValue::Variable(1);
    properties.push(id, one).unwrap();
    let before = properties.clone();
    let large = PropertyValue::Variable(268_435_456);
    let number = 268_435_456;
    assert_eq!(
        properties.push(id, large),
        Err(Unwritable::NumberTooLarge { number })
    );
    let other = PropertyValue::Byte(1);
    assert_eq!(
        properties.push(id, other),
        Err(Unwritable::PropertyOfOtherType { id })
    );
    let text = PropertyValue::Text(&long);
    assert_eq!(
        properties.push(PropertyId::REASON_STRING, text),
        Err(Unwritable::FieldTooLong { bytes: 65_536 })
    );
    assert_eq!(properties, before, "nothing of them is left behind");
}

fn broken(bytes: &[u8], version: ProtocolVersion) -> Vec<(Rule, usize)> {
    let packet = verdict(bytes, version).expect("readable");
    let mut rules = Vec::new();
    violations(&packet, bytes, version, &mut |violation| {
        rules.push((violation.rule, violation.offset));
    });
    rules
}

proptest! {
    #[test]
    fn what_is_written_is_read(parts in parts()) {
        parts.with(|packet| {
            let mut bytes = vec![0xaa];
            packet.write(parts.version, &mut bytes).unwrap();
            let read = verdict(&bytes[1..], parts.version);
            assert_eq!(read.as_ref(), Ok(&packet));
            let mut again = Vec::new();
            packet.write(parts.version, &mut again).unwrap();
            assert_eq!(again, &bytes[1..]);
        });
    }

    #[test]
    fn a_prefix_of_a_packet_is_no_packet(parts in parts(), cut in any::<prop::sample::Index>()) {
        parts.with(|packet| {
            let mut bytes = Vec::new();
            packet.write(parts.version, &mut bytes).unwrap();
            let cut = cut.index(bytes.len());
            assert!(verdict(&bytes[..cut], parts.version).is_err());
        });
    }

    #[test]
    fn a_damaged_packet_makes_nothing_panic(
        parts in parts(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        parts.with(|packet| {
            let mut bytes = Vec::new();
            packet.write(parts.version, &mut bytes).unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            for version in VERSIONS {
                if let Ok(packet) = verdict(&bytes, version) {
                    violations(&packet, &bytes, version, &mut |violation| {
                        assert!(violation.offset <= bytes.len());
                        assert!(!surely_clean(&packet, &bytes, version), "{violation:?}");
                    });
                }
            }
        });
    }

    #[test]
    fn no_bytes_make_anything_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        for version in VERSIONS {
            let _ = verdict(&bytes, version);
        }
    }

    #[test]
    fn no_bytes_behind_a_right_header_make_anything_panic(
        first in any::<u8>(),
        body in proptest::collection::vec(prop_oneof![any::<u8>(), 0..4u8], 0..60),
    ) {
        let mut bytes = vec![first, body.len() as u8];
        bytes.extend(&body);
        for version in VERSIONS {
            if let Ok(packet) = verdict(&bytes, version) {
                violations(&packet, &bytes, version, &mut |_| {});
            }
        }
    }
}

/// A packet's body behind its fixed header.
fn of(first: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first, body.len() as u8];
    bytes.extend(body);
    bytes
}

/// A CONNECT of level 4 with those flags and that payload.
fn connect(level: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut body = b"\0\x04MQTT".to_vec();
    body.extend([level, flags, 0, 60]);
    body.extend(payload);
    of(0x10, &body)
}

/// Packets that can't be read: the rule, where it shows, the version, the bytes.
fn malformed() -> Vec<(Rule, usize, ProtocolVersion, Vec<u8>)> {
    vec![
        (
            Rule::RemainingLengthHasFourOctets,
            4,
            V3_1_1,
            vec![0x30, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        (Rule::FieldsFitThePacket, 4, V3_1_1, of(0x30, b"\0\x0an/x")),
        (Rule::FieldsFitThePacket, 1, V3_1_1, vec![0x30]),
        (
            Rule::FieldsFitThePacket,
            6,
            V3_1_1,
            vec![0x30, 9, 0, 1, b'a', b'x'],
        ),
        (Rule::NothingFollowsTheFields, 2, V3_1_1, of(0xc0, &[0])),
        (
            Rule::NothingFollowsTheFields,
            4,
            V3_1_1,
            of(0x40, &[0, 1, 0]),
        ),
        (
            Rule::NothingFollowsTheFields,
            2,
            V3_1_1,
            vec![0xc0, 0, 0xc0],
        ),
        (Rule::PacketTypeIsNotZero, 0, V5_0, of(0x00, &[])),
        (Rule::AuthComesWithFive, 0, V3_1_1, of(0xf0, &[])),
        (
            Rule::ReservedHeaderFlagsHold,
            0,
            V3_1_1,
            of(0x80, b"\0\x01\0\x03n/x\0"),
        ),
        (Rule::ReservedHeaderFlagsHold, 0, V3_1_1, of(0x60, &[0, 5])),
        (Rule::ReservedHeaderFlagsHold, 0, V5_0, of(0xc1, &[])),
        (
            Rule::ReservedHeaderFlagsHold,
            0,
            V3_1,
            of(0x84, b"\0\x01\0\x03n/x\0"),
        ),
        (
            Rule::QosIsNotThree,
            0,
            V3_1,
            of(0x36, b"\0\x03n/q\0\x07three"),
        ),
        (Rule::DupNeedsQos, 0, V3_1_1, of(0x38, b"\0\x03n/q")),
        (Rule::TextIsUtf8, 6, V3_1_1, of(0x30, b"\0\x04n/\xff\xfex")),
        (
            Rule::TextIsUtf8,
            6,
            V5_0,
            of(0x30, b"\0\x05n/\xed\xa0\x80\0x"),
        ),
        (Rule::TextHasNoNull, 6, V3_1_1, of(0x30, b"\0\x04n/\0zx")),
        (
            Rule::PacketIdentifierIsNotZero,
            7,
            V3_1_1,
            of(0x32, b"\0\x03n/z\0\0x"),
        ),
        (Rule::PacketIdentifierIsNotZero, 2, V3_1, of(0x40, &[0, 0])),
        (
            Rule::TopicNameHasNoWildcard,
            6,
            V3_1_1,
            of(0x30, b"\0\x03n/#x"),
        ),
        (
            Rule::TopicNameHasNoWildcard,
            6,
            V3_1_1,
            of(0x30, b"\0\x05n/+/bx"),
        ),
        (Rule::TopicNameIsNotEmpty, 2, V3_1_1, of(0x30, b"\0\0x")),
        (Rule::TopicNameIsNotEmpty, 2, V5_0, of(0x30, b"\0\0\0x")),
        (
            Rule::ConnectReservedFlagIsZero,
            9,
            V3_1_1,
            connect(4, 0x03, b"\0\x01a"),
        ),
        (
            Rule::WillFlagsNeedAWill,
            9,
            V3_1_1,
            connect(4, 0x22, b"\0\x01a"),
        ),
        (
            Rule::WillFlagsNeedAWill,
            9,
            V5_0,
            connect(5, 0x0a, b"\0\0\x01a"),
        ),
        (
            Rule::WillQosIsNotThree,
            9,
            V3_1_1,
            connect(4, 0x1e, b"\0\x01a\0\x01t\0\0"),
        ),
        (
            Rule::PasswordNeedsUserName,
            9,
            V3_1_1,
            connect(4, 0x42, b"\0\x01a\0\x01p"),
        ),
        (
            Rule::ProtocolLevelIsKnown,
            8,
            V3_1_1,
            connect(6, 0x02, b"\0\0\x01a"),
        ),
        (
            Rule::ConnackReservedFlagsAreZero,
            2,
            V3_1_1,
            of(0x20, &[2, 0]),
        ),
        (Rule::SubscribeHasAFilter, 4, V3_1_1, of(0x82, &[0, 1])),
        (Rule::UnsubscribeHasAFilter, 4, V3_1_1, of(0xa2, &[0, 1])),
        (Rule::AcknowledgementHasACode, 4, V3_1_1, of(0x90, &[0, 1])),
        (Rule::AcknowledgementHasACode, 5, V5_0, of(0xb0, &[0, 1, 0])),
        (
            Rule::SubscriptionQosIsNotThree,
            7,
            V3_1_1,
            of(0x82, b"\0\x01\0\x01a\x03"),
        ),
        (
            Rule::SubscriptionReservedBitsAreZero,
            7,
            V3_1_1,
            of(0x82, b"\0\x01\0\x01a\x04"),
        ),
        (
            Rule::SubscriptionReservedBitsAreZero,
            8,
            V5_0,
            of(0x82, b"\0\x01\0\0\x01a\x40"),
        ),
        (
            Rule::RetainHandlingIsNotThree,
            8,
            V5_0,
            of(0x82, b"\0\x01\0\0\x01a\x30"),
        ),
        (
            Rule::NoLocalIsNotShared,
            17,
            V5_0,
            of(0x82, b"\0\x01\0\0\x0a$share/g/a\x04"),
        ),
        (
            Rule::VariableIntegerHasFourOctets,
            5,
            V5_0,
            of(0x30, b"\0\x01a\xff\xff\xff\xff\x01"),
        ),
        (
            Rule::PropertiesFitThePacket,
            7,
            V5_0,
            of(0x30, b"\0\x03n/x\x7f\x01\0"),
        ),
        (
            Rule::PropertyFitsTheProperties,
            7,
            V5_0,
            of(0x30, b"\0\x01a\x03\x02\0\0x"),
        ),
        (
            Rule::PropertyIsKnown,
            6,
            V5_0,
            of(0x30, b"\0\x01a\x02\x7f\0x"),
        ),
        (
            Rule::PropertyIsAllowedHere,
            6,
            V5_0,
            of(0x30, b"\0\x01a\x05\x11\0\0\0\x05x"),
        ),
        (
            Rule::PropertyIsNotRepeated,
            8,
            V5_0,
            of(0x30, b"\0\x01a\x04\x01\x01\x01\x01x"),
        ),
        (
            Rule::PropertyIsZeroOrOne,
            7,
            V5_0,
            of(0x30, b"\0\x01a\x02\x01\x02x"),
        ),
        (
            Rule::SubscriptionIdentifierIsNotZero,
            6,
            V5_0,
            of(0x82, b"\0\x01\x02\x0b\0\0\x01a\0"),
        ),
        (
            Rule::ReceiveMaximumIsNotZero,
            6,
            V5_0,
            of(0x20, &[0, 0, 3, 0x21, 0, 0]),
        ),
        (
            Rule::TopicAliasIsNotZero,
            7,
            V5_0,
            of(0x30, b"\0\x01a\x03\x23\0\0x"),
        ),
        (
            Rule::MaximumPacketSizeIsNotZero,
            6,
            V5_0,
            of(0x20, &[0, 0, 5, 0x27, 0, 0, 0, 0]),
        ),
    ]
}

/// Packets that are read and forbidden, or unwise.
fn readable() -> Vec<(Rule, usize, ProtocolVersion, Vec<u8>)> {
    let published = |properties: &[u8], payload: &[u8]| {
        let mut body = b"\0\x01a".to_vec();
        body.push(properties.len() as u8);
        body.extend(properties);
        body.extend(payload);
        of(0x30, &body)
    };
    vec![
        (
            Rule::ProtocolNameIsKnown,
            4,
            V3_1_1,
            of(0x10, b"\0\x04MQTX\x04\x02\0\x3c\0\x01a"),
        ),
        (
            Rule::ProtocolLevelIsKnown,
            8,
            V3_1_1,
            connect(6, 0x02, b"\0\x03lv6"),
        ),
        (
            Rule::ProtocolLevelIsKnown,
            8,
            V3_1_1,
            connect(3, 0x02, b"\0\x03lv3"),
        ),
        (
            Rule::ProtocolLevelIsKnown,
            10,
            V5_0,
            of(0x10, b"\0\x06MQIsdp\x04\x02\0\x3c\0\x01a"),
        ),
        (Rule::LengthIsMinimal, 1, V5_0, vec![0xc0, 0x80, 0x00]),
        (
            Rule::LengthIsMinimal,
            5,
            V5_0,
            of(0x30, b"\0\x01a\x80\x00x"),
        ),
        (
            Rule::LengthIsMinimal,
            7,
            V5_0,
            published(b"\x0b\x81\x00", b""),
        ),
        (
            Rule::TopicFilterIsNotEmpty,
            6,
            V3_1_1,
            of(0x82, b"\0\x01\0\0\0"),
        ),
        (
            Rule::MultiLevelWildcardIsLast,
            8,
            V3_1_1,
            of(0x82, b"\0\x05\0\x05n/#/x\0"),
        ),
        (
            Rule::SingleLevelWildcardIsAlone,
            6,
            V3_1_1,
            of(0xa2, b"\0\x05\0\x02n+"),
        ),
        (
            Rule::ShareNameIsPlain,
            14,
            V5_0,
            of(0x82, b"\0\x01\0\0\x09$share//a\0"),
        ),
        (
            Rule::SharedSubscriptionHasAFilter,
            15,
            V5_0,
            of(0x82, b"\0\x01\0\0\x08$share/g\0"),
        ),
        (
            Rule::WillTopicIsATopicName,
            17,
            V3_1_1,
            connect(4, 0x06, b"\0\x01a\0\x02w#\0\0"),
        ),
        (
            Rule::ResponseTopicIsATopicName,
            9,
            V5_0,
            published(b"\x08\0\x01+", b""),
        ),
        (
            Rule::EmptyClientIdIsClean,
            14,
            V3_1_1,
            connect(4, 0x00, b"\0\0"),
        ),
        (
            Rule::ClientIdFitsThreeOne,
            16,
            V3_1_1,
            of(0x10, b"\0\x06MQIsdp\x03\x02\0\x3c\0\0"),
        ),
        (
            Rule::AuthenticationDataNeedsAMethod,
            16,
            V3_1_1,
            connect(5, 0x02, b"\x04\x16\0\x01x\0\x01a"),
        ),
        (Rule::AuthHasAMethod, 2, V5_0, of(0xf0, &[0x18, 0])),
        (Rule::RefusalHasNoSession, 2, V3_1_1, of(0x20, &[1, 5])),
        (Rule::ConnackCodeIsDefined, 3, V3_1_1, of(0x20, &[0, 6])),
        (Rule::ConnackCodeIsDefined, 3, V5_0, of(0x20, &[0, 0x92, 0])),
        (Rule::PubackCodeIsDefined, 4, V5_0, of(0x40, &[0, 1, 1])),
        (Rule::PubrecCodeIsDefined, 4, V5_0, of(0x50, &[0, 1, 0x92])),
        (Rule::PubrelCodeIsDefined, 4, V5_0, of(0x62, &[0, 1, 0x10])),
        (Rule::PubcompCodeIsDefined, 4, V5_0, of(0x70, &[0, 1, 0x10])),
        (
            Rule::SubackCodeIsDefined,
            5,
            V3_1_1,
            of(0x90, &[0, 1, 1, 3]),
        ),
        (Rule::SubackCodeIsDefined, 4, V3_1, of(0x90, &[0, 1, 0x80])),
        (
            Rule::UnsubackCodeIsDefined,
            5,
            V5_0,
            of(0xb0, &[0, 1, 0, 2]),
        ),
        (Rule::DisconnectCodeIsDefined, 2, V5_0, of(0xe0, &[1])),
        (
            Rule::AuthCodeIsDefined,
            2,
            V5_0,
            of(0xf0, b"\x01\x04\x15\0\x01m"),
        ),
        (
            Rule::PayloadIsTheTextItClaims,
            9,
            V5_0,
            published(b"\x01\x01", b"a\xff"),
        ),
        (
            Rule::TextHasNoControlCharacter,
            5,
            V3_1_1,
            of(0x30, b"\0\x02a\x1b"),
        ),
    ]
}

#[test]
fn each_malformed_packet_is_reported_by_its_rule_and_place() {
    for (rule, offset, version, bytes) in malformed() {
        let reported = verdict(&bytes, version).map(|_| ());
        assert_eq!(reported, Err(Malformed { rule, offset }), "{bytes:02x?}");
        record(rule.name());
    }
}

#[test]
fn each_protocol_error_is_reported_by_its_rule_and_place() {
    for (rule, offset, version, bytes) in readable() {
        assert_eq!(broken(&bytes, version), [(rule, offset)], "{bytes:02x?}");
        record(rule.name());
    }
}

#[test]
fn what_cannot_be_parsed_breaks_a_rule_of_the_format() {
    for (rule, ..) in malformed() {
        let breach = rule.breach();
        assert!(
            breach == Breach::Malformed || rule == Rule::ProtocolLevelIsKnown,
            "{rule:?}"
        );
    }
}

#[test]
fn mqtt_3_1_is_laxer() {
    // A SUBSCRIBE and a PUBREL sent again, DUP at QoS 0, flags of CONNACK without a meaning.
    for bytes in [
        of(0x8a, b"\0\x05\0\x08legacy/d\x01"),
        of(0x6a, &[0, 3]),
        of(0x38, b"\0\x01a"),
        of(0x20, &[0xff, 0]),
    ] {
        assert!(verdict(&bytes, V3_1).is_ok(), "{bytes:02x?}");
        assert!(verdict(&bytes, V3_1_1).is_err(), "{bytes:02x?}");
    }
    // User name and password may be announced and missing.
    let bytes = of(0x10, b"\0\x06MQIsdp\x03\xc2\0\x3c\0\x01a\0\x01u");
    let Ok(ControlPacket::Connect(connect)) = verdict(&bytes, V3_1) else {
        panic!("readable");
    };
    assert_eq!((connect.user_name, connect.password), (Some("u"), None));
}

#[test]
fn a_bridge_is_recognised_by_its_level() {
    let bytes = connect(0x84, 0x02, b"\0\x01a");
    let Ok(ControlPacket::Connect(connect)) = verdict(&bytes, V5_0) else {
        panic!("readable");
    };
    assert!(connect.bridge && connect.is_known());
    assert_eq!(connect.version(), Some(V3_1_1));
}

#[test]
fn a_server_that_knows_no_five_refuses_in_the_old_shape() {
    let bytes = of(0x20, &[0, 1]);
    assert!(verdict(&bytes, V5_0).is_ok());
    assert_eq!(broken(&bytes, V5_0), []);
    assert!(verdict(&of(0x20, &[0, 0]), V5_0).is_err());
}

#[test]
fn what_follows_a_wrong_value_is_reported_all_the_same() {
    let mut lines = Lines::default();
    let bytes = of(0x36, b"\0\x03n/q\0\x07three");
    assert!(ControlPacket::read(&bytes, V3_1_1, &mut lines).is_err());
    assert_eq!(lines.lines.last().unwrap(), "Message: 7468726565");
}

#[test]
fn a_connect_is_shown_in_wiresharks_words() {
    let bytes =
        b"\x10\x2b\0\x04MQTT\x04\xf6\0\x09\0\x05plc-7\0\x0bplc/7/alive\0\x04dead\0\x01u\0\x02pw";
    let mut bytes = bytes.to_vec();
    bytes[1] = (bytes.len() - 2) as u8;
    let mut lines = Lines::default();
    ControlPacket::read(&bytes, V3_1_1, &mut lines).unwrap();
    assert_eq!(
        lines.lines.join("\n"),
        "\
Header Flags: 0x10, Message Type: Connect Command
  0001 .... = Message Type: Connect Command (1)
  .... 0000 = Reserved: 0
Msg Len: 43
Protocol Name Length: 4
Protocol Name: MQTT
Version: MQTT v3.1.1 (4)
Connect Flags: 0xf6, User Name Flag, Password Flag, Will Retain, QoS Level: Exactly once delivery (Assured Delivery), Will Flag, Clean Session Flag
  1... .... = User Name Flag: Set
  .1.. .... = Password Flag: Set
  ..1. .... = Will Retain: Set
  ...1 0... = QoS Level: Exactly once delivery (Assured Delivery) (2)
  .... .1.. = Will Flag: Set
  .... ..1. = Clean Session Flag: Set
  .... ...0 = (Reserved): Not set
Keep Alive: 9
Client ID Length: 5
Client ID: plc-7
Will Topic Length: 11
Will Topic: plc/7/alive
Will Message Length: 4
Will Message: 64656164
User Name Length: 1
User Name: u
Password Length: 2
Password: <2 octets>"
    );
}

#[test]
fn properties_and_options_are_shown_in_wiresharks_words() {
    let bytes = of(
        0x82,
        b"\0\x0a\x0b\x0b\x80\x01\x26\0\x02k1\0\x01v\0\x05a/+/b\x2d",
    );
    let mut bytes = bytes;
    bytes[4] = 11;
    let mut lines = Lines::default();
    ControlPacket::read(&bytes, V5_0, &mut lines).unwrap();
    assert_eq!(
        lines.lines.join("\n"),
        "\
Header Flags: 0x82, Message Type: Subscribe Request
  1000 .... = Message Type: Subscribe Request (8)
  .... 0010 = Reserved: 2
Msg Len: 22
Message Identifier: 10
Properties
  Total Length: 11
  ID: Subscription Identifier (0x0b)
  Value: 128
  ID: User Property (0x26)
  Key Length: 2
  Key: k1
  Value Length: 1
  Value: v
Topic Length: 5
Topic: a/+/b
Subscription Options: 0x2d, Retain Handling: Do not send msgs at subscription time, Retain As Published, No Local, QoS: At least once delivery (Acknowledged deliver)
  00.. .... = Reserved: 0x0
  ..10 .... = Retain Handling: Do not send msgs at subscription time (2)
  .... 1... = Retain As Published: Set
  .... .1.. = No Local: Set
  .... ..01 = QoS: At least once delivery (Acknowledged deliver) (1)"
    );
}

#[test]
fn acknowledgements_are_shown_in_wiresharks_words() {
    let reported = |bytes: &[u8], version| {
        let mut lines = Lines::default();
        ControlPacket::read(bytes, version, &mut lines).unwrap();
        lines.lines.split_off(4).join("\n")
    };
    assert_eq!(
        reported(&of(0x20, &[1, 0]), V3_1_1),
        "Acknowledge Flags: 0x01, Session Present
  0000 000. = Reserved: Not set
  .... ...1 = Session Present: Set
Return Code: Connection Accepted (0)"
    );
    assert_eq!(
        reported(&of(0x20, &[0, 0]), V3_1),
        "Reserved: Not set\nReturn Code: Connection Accepted (0)"
    );
    assert_eq!(
        reported(&of(0x90, &[0, 1, 0x80]), V3_1_1),
        "Message Identifier: 1\nGranted QoS: Failure (128)"
    );
    assert_eq!(
        reported(&of(0x62, &[0, 3]), V3_1),
        "  .... ...0 = Reserved: 0\nMsg Len: 2\nMessage Identifier: 3"
    );
}
