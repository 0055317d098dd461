//! The fields of control packets under Wireshark's names, types and labels, and the bit fields
//! of their bytes of flags.

use super::words::PacketType;
use crate::base::field::{Bit, FieldDef, Summary, fields};

// Sections are those of MQTT 5.0.
fields! {
    HEADER_FLAGS "mqtt.hdrflags" "Header Flags" Uint8 "First byte: packet type and flags (2.1.1).";
    MESSAGE_TYPE "mqtt.msgtype" "Message Type" Uint8 "Control packet type, 1 to 15 (2.1.2).";
    DUP "mqtt.dupflag" "DUP Flag" Boolean "The PUBLISH may have been sent before (3.3.1.1).";
    QOS_LEVEL "mqtt.qos" "QoS Level" Uint8 "Quality of service of a PUBLISH, 0 to 2 (3.3.1.2).";
    RETAIN "mqtt.retain" "Retain" Boolean "The message is to be stored, or was stored (3.3.1.3).";
    HEADER_RESERVED "mqtt.hdr_reserved" "Reserved" Uint8 "Low four bits, fixed except in PUBLISH (2.1.3).";
    RETAIN_RESERVED "mqtt.retain_reserved" "Reserved" Uint8 "Lowest bit where MQTT 3.1 has DUP and QoS.";
    LENGTH "mqtt.len" "Msg Len" Uint64 "Remaining Length: bytes after the fixed header (2.1.4).";
    PROTOCOL_NAME_LENGTH "mqtt.proto_len" "Protocol Name Length" Uint16 "Length of the protocol name in bytes.";
    PROTOCOL_NAME "mqtt.protoname" "Protocol Name" String "MQTT, or MQIsdp in version 3.1 (3.1.2.1).";
    VERSION "mqtt.ver" "Version" Uint8 "Protocol level: 3, 4 (for 3.1.1) or 5 (3.1.2.2).";
    CONNECT_FLAGS "mqtt.conflags" "Connect Flags" Uint8 "All Connect Flags (3.1.2.3).";
    USER_NAME_FLAG "mqtt.conflag.uname" "User Name Flag" Boolean "A user name follows (3.1.2.8).";
    PASSWORD_FLAG "mqtt.conflag.passwd" "Password Flag" Boolean "A password follows (3.1.2.9).";
    WILL_RETAIN "mqtt.conflag.retain" "Will Retain" Boolean "The will is to be stored (3.1.2.7).";
    WILL_QOS "mqtt.conflag.qos" "QoS Level" Uint8 "Quality of service of the will, 0 to 2 (3.1.2.6).";
    WILL_FLAG "mqtt.conflag.willflag" "Will Flag" Boolean "A will follows (3.1.2.5).";
    CLEAN "mqtt.conflag.cleansess" "Clean Session Flag" Boolean "Clean Session, Clean Start in 5.0 (3.1.2.4).";
    CONNECT_RESERVED "mqtt.conflag.reserved" "(Reserved)" Boolean "Must be 0 (3.1.2.3).";
    KEEP_ALIVE "mqtt.kalive" "Keep Alive" Uint16 "Longest silence of the client in seconds, 0 for any (3.1.2.10).";
    CLIENT_ID_LENGTH "mqtt.clientid_len" "Client ID Length" Uint16 "Length of the client identifier in bytes.";
    CLIENT_ID "mqtt.clientid" "Client ID" String "Client identifier in a CONNECT (3.1.3.1).";
    WILL_TOPIC_LENGTH "mqtt.willtopic_len" "Will Topic Length" Uint16 "Length of the will topic in bytes.";
    WILL_TOPIC "mqtt.willtopic" "Will Topic" String "Topic name of the will (3.1.3.3).";
    WILL_MESSAGE_LENGTH "mqtt.willmsg_len" "Will Message Length" Uint16 "Length of the will's payload in bytes.";
    WILL_MESSAGE "mqtt.willmsg" "Will Message" Bytes "Payload of the will (3.1.3.4).";
    USER_NAME_LENGTH "mqtt.username_len" "User Name Length" Uint16 "Length of the user name in bytes.";
    USER_NAME "mqtt.username" "User Name" String "User name in a CONNECT (3.1.3.5).";
    PASSWORD_LENGTH "mqtt.passwd_len" "Password Length" Uint16 "Length of the password in bytes.";
    PASSWORD "mqtt.passwd" "Password" String "Password in a CONNECT, shown only with --show-secrets (3.1.3.6).";
    CONNACK_FLAGS "mqtt.conack.flags" "Acknowledge Flags" Uint8 "Connect Acknowledge Flags (3.2.2.1).";
    CONNACK_RESERVED "mqtt.conack.flags.reserved" "Reserved" Boolean "Must be 0 from 3.1.1 on (3.2.2.1).";
    SESSION_PRESENT "mqtt.conack.flags.sp" "Session Present" Boolean "The server has kept the session (3.2.2.1.1).";
    RETURN_CODE "mqtt.conack.val" "Return Code" Uint8 "Connect Return code of 3.1 and 3.1.1.";
    PACKET_ID "mqtt.msgid" "Message Identifier" Uint16 "Packet identifier, 1 to 65535 (2.2.1).";
    TOPIC_LENGTH "mqtt.topic_len" "Topic Length" Uint16 "Length of the topic name or filter in bytes.";
    TOPIC "mqtt.topic" "Topic" String "Topic name of a PUBLISH, topic filter of a SUBSCRIBE or UNSUBSCRIBE (4.7).";
    MESSAGE "mqtt.msg" "Message" Bytes "Payload of a PUBLISH (3.3.3).";
    REQUESTED_QOS "mqtt.sub.qos" "Requested QoS" Uint8 "Quality of service that a SUBSCRIBE of 3.x asks for.";
    GRANTED_QOS "mqtt.suback.qos" "Granted QoS" Uint8 "Return code in a SUBACK of 3.x.";
    SUBSCRIPTION_OPTIONS "mqtt.subscription_options" "Subscription Options" Uint8 "All options of a subscription (3.8.3.1).";
    SUBSCRIPTION_RESERVED "mqtt.subscription_options_reserved" "Reserved" Uint8 "Must be 0 (3.8.3.1).";
    RETAIN_HANDLING "mqtt.subscription_options_retain" "Retain Handling" Uint8 "When stored messages are sent: 0 always, 1 if the subscription is new, 2 never.";
    RETAIN_AS_PUBLISHED "mqtt.subscription_options_rap" "Retain As Published" Boolean "Copies keep the RETAIN flag (3.8.3.1).";
    NO_LOCAL "mqtt.subscription_options_nl" "No Local" Boolean "The client's own messages are not sent to it (3.8.3.1).";
    SUBSCRIPTION_QOS "mqtt.subscription_options_qos" "QoS" Uint8 "Maximum quality of service that is asked for (3.8.3.1).";
    CONNACK_REASON "mqtt.connack.reason_code" "Reason Code" Uint8 "Reason code of CONNACK (3.2.2.2).";
    PUBACK_REASON "mqtt.puback.reason_code" "Reason Code" Uint8 "Reason code of PUBACK (3.4.2.1).";
    PUBREC_REASON "mqtt.pubrec.reason_code" "Reason Code" Uint8 "Reason code of PUBREC (3.5.2.1).";
    PUBREL_REASON "mqtt.pubrel.reason_code" "Reason Code" Uint8 "Reason code of PUBREL (3.6.2.1).";
    PUBCOMP_REASON "mqtt.pubcomp.reason_code" "Reason Code" Uint8 "Reason code of PUBCOMP (3.7.2.1).";
    SUBACK_REASON "mqtt.suback.reason_code" "Reason Code" Uint8 "Reason code of a subscription (3.9.3).";
    UNSUBACK_REASON "mqtt.unsuback.reason_code" "Reason Code" Uint8 "Reason code of an unsubscription (3.11.3).";
    DISCONNECT_REASON "mqtt.disconnect.reason_code" "Reason Code" Uint8 "Reason code of DISCONNECT (3.14.2.1).";
    AUTH_REASON "mqtt.auth.reason_code" "Reason Code" Uint8 "Reason code of AUTH (3.15.2.1).";
    PROPERTIES "mqtt.properties" "Properties" None "The packet has properties (2.2.2).";
    WILL_PROPERTIES "mqtt.will_properties" "Will Properties" None "The will has properties (3.1.3.2).";
    PROPERTY_LENGTH "mqtt.property_len" "Total Length" Uint64 "Length of all properties in bytes (2.2.2.1).";
    PROPERTY_ID "mqtt.property_id" "ID" Uint8 "Identifier of a property (2.2.2.2).";
    PROPERTY_NUMBER "mqtt.prop_number" "Value" Uint32 "Value of a property that is a number.";
    PROPERTY_CONTENT_TYPE "mqtt.property.content_type" "Content Type" PrefixedString "Content Type of a message (3.3.2.3.9).";
    PROPERTY_MAXIMUM_QOS "mqtt.property.max_qos" "QoS" Uint8 "Maximum QoS of the server (3.2.2.3.4).";
    PROPERTY_TOPIC_ALIAS "mqtt.property.topic_alias" "Topic Alias" Uint16 "Topic Alias of a PUBLISH (3.3.2.3.4).";
    PROPERTY_UNKNOWN "mqtt.prop_unknown" "Unknown Property" String "What follows an identifier that is not defined.";
    PROPERTY_TEXT_LENGTH "mqtt.prop_string_len" "Length" Uint32 "Length of a property's text or binary data in bytes.";
    PROPERTY_TEXT "mqtt.prop_string" "Value" String "Value of a property that is text or binary data.";
    PROPERTY_KEY_LENGTH "mqtt.prop_key_len" "Key Length" Uint32 "Length of a user property's name in bytes.";
    PROPERTY_KEY "mqtt.prop_key" "Key" String "Name of a user property.";
    PROPERTY_VALUE_LENGTH "mqtt.prop_value_len" "Value Length" Uint32 "Length of a user property's value in bytes.";
    PROPERTY_VALUE "mqtt.prop_value" "Value" String "Value of a user property.";
    TRAILING "mqtt.trailing" "Octets after the last field" Bytes "Bytes of a malformed packet behind its last field; not in Wireshark.";
}

/// Wireshark's words for the two bits of a QoS, by number.
pub const QOS: &[&str] = &[
    "At most once delivery (Fire and Forget)",
    "At least once delivery (Acknowledged deliver)",
    "Exactly once delivery (Assured Delivery)",
    "Reserved",
];

/// Wireshark's words for the packet types, by number.
const TYPES: &[&str] = &{
    let mut words = [""; PacketType::ALL.len()];
    let mut at = 0;
    while at < words.len() {
        words[at] = PacketType::ALL[at].wireshark();
        at += 1;
    }
    words
};

const fn bit(
    def: &'static FieldDef,
    mask: u8,
    meanings: &'static [&'static str],
    summary: Summary,
) -> Bit {
    Bit {
        def,
        mask,
        meanings,
        summary,
    }
}

const fn flag(def: &'static FieldDef, mask: u8) -> Bit {
    bit(def, mask, Bit::FLAG, Summary::WhenSet)
}

/// A number whose meaning is shown in the line of the whole byte too.
const fn number(def: &'static FieldDef, mask: u8, meanings: &'static [&'static str]) -> Bit {
    bit(def, mask, meanings, Summary::Meaning)
}

/// Reserved bits, which the line of the whole byte leaves out.
const fn reserved(def: &'static FieldDef, mask: u8, meanings: &'static [&'static str]) -> Bit {
    bit(def, mask, meanings, Summary::Absent)
}

const TYPE_BITS: Bit = number(&MESSAGE_TYPE, 0xf0, TYPES);
const DUP_BIT: Bit = flag(&DUP, 0x08);
const QOS_BITS: Bit = number(&QOS_LEVEL, 0x06, QOS);

/// The first byte of a PUBLISH.
pub static PUBLISH_HEADER: [Bit; 4] = [TYPE_BITS, DUP_BIT, QOS_BITS, flag(&RETAIN, 0x01)];

/// The first byte of any other packet.
pub static OTHER_HEADER: [Bit; 2] = [TYPE_BITS, reserved(&HEADER_RESERVED, 0x0f, &[])];

/// The first byte of SUBSCRIBE, UNSUBSCRIBE and PUBREL in MQTT 3.1, which have DUP and QoS.
pub static THREE_ONE_HEADER: [Bit; 4] = [
    TYPE_BITS,
    DUP_BIT,
    QOS_BITS,
    reserved(&RETAIN_RESERVED, 0x01, &[]),
];

/// The Connect Flags (MQTT 5.0 §3.1.2.3).
pub static CONNECT_BITS: [Bit; 7] = [
    flag(&USER_NAME_FLAG, 0x80),
    flag(&PASSWORD_FLAG, 0x40),
    flag(&WILL_RETAIN, 0x20),
    number(&WILL_QOS, 0x18, QOS),
    flag(&WILL_FLAG, 0x04),
    flag(&CLEAN, 0x02),
    flag(&CONNECT_RESERVED, 0x01),
];

/// The Connect Acknowledge Flags (MQTT 5.0 §3.2.2.1).
pub static CONNACK_BITS: [Bit; 2] = [flag(&CONNACK_RESERVED, 0xfe), flag(&SESSION_PRESENT, 0x01)];

/// The Subscription Options (MQTT 5.0 §3.8.3.1).
pub static SUBSCRIPTION_BITS: [Bit; 5] = [
    reserved(&SUBSCRIPTION_RESERVED, 0xc0, &["0x0", "0x1", "0x2", "0x3"]),
    number(
        &RETAIN_HANDLING,
        0x30,
        &[
            "Send msgs at subscription time",
            "Send msgs if subscription does not exist",
            "Do not send msgs at subscription time",
            "Reserved",
        ],
    ),
    flag(&RETAIN_AS_PUBLISHED, 0x08),
    flag(&NO_LOCAL, 0x04),
    number(&SUBSCRIPTION_QOS, 0x03, QOS),
];
