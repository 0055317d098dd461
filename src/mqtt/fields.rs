//! The fields of control packets under Wireshark's names and labels, and the bit fields of
//! their octets of flags.

use crate::base::field::{Bit, FieldDef, Summary};

macro_rules! fields {
    ($($constant:ident $name:literal $label:literal;)*) => {
        $(pub const $constant: FieldDef = FieldDef { name: $name, label: $label };)*
    };
}

fields! {
    HEADER_FLAGS "mqtt.hdrflags" "Header Flags";
    LENGTH "mqtt.len" "Msg Len";
    PROTOCOL_NAME_LENGTH "mqtt.proto_len" "Protocol Name Length";
    PROTOCOL_NAME "mqtt.protoname" "Protocol Name";
    VERSION "mqtt.ver" "Version";
    CONNECT_FLAGS "mqtt.conflags" "Connect Flags";
    KEEP_ALIVE "mqtt.kalive" "Keep Alive";
    CLIENT_ID_LENGTH "mqtt.clientid_len" "Client ID Length";
    CLIENT_ID "mqtt.clientid" "Client ID";
    WILL_TOPIC_LENGTH "mqtt.willtopic_len" "Will Topic Length";
    WILL_TOPIC "mqtt.willtopic" "Will Topic";
    WILL_MESSAGE_LENGTH "mqtt.willmsg_len" "Will Message Length";
    WILL_MESSAGE "mqtt.willmsg" "Will Message";
    USER_NAME_LENGTH "mqtt.username_len" "User Name Length";
    USER_NAME "mqtt.username" "User Name";
    PASSWORD_LENGTH "mqtt.passwd_len" "Password Length";
    PASSWORD "mqtt.passwd" "Password";
    CONNACK_FLAGS "mqtt.conack.flags" "Acknowledge Flags";
    CONNACK_RESERVED "mqtt.conack.flags.reserved" "Reserved";
    RETURN_CODE "mqtt.conack.val" "Return Code";
    PACKET_ID "mqtt.msgid" "Message Identifier";
    TOPIC_LENGTH "mqtt.topic_len" "Topic Length";
    TOPIC "mqtt.topic" "Topic";
    MESSAGE "mqtt.msg" "Message";
    REQUESTED_QOS "mqtt.sub.qos" "Requested QoS";
    GRANTED_QOS "mqtt.suback.qos" "Granted QoS";
    SUBSCRIPTION_OPTIONS "mqtt.subscription_options" "Subscription Options";
    CONNACK_REASON "mqtt.connack.reason_code" "Reason Code";
    PUBACK_REASON "mqtt.puback.reason_code" "Reason Code";
    PUBREC_REASON "mqtt.pubrec.reason_code" "Reason Code";
    PUBREL_REASON "mqtt.pubrel.reason_code" "Reason Code";
    PUBCOMP_REASON "mqtt.pubcomp.reason_code" "Reason Code";
    SUBACK_REASON "mqtt.suback.reason_code" "Reason Code";
    UNSUBACK_REASON "mqtt.unsuback.reason_code" "Reason Code";
    DISCONNECT_REASON "mqtt.disconnect.reason_code" "Reason Code";
    AUTH_REASON "mqtt.auth.reason_code" "Reason Code";
    PROPERTIES "mqtt.properties" "Properties";
    WILL_PROPERTIES "mqtt.will_properties" "Will Properties";
    PROPERTY_LENGTH "mqtt.property_len" "Total Length";
    PROPERTY_ID "mqtt.property_id" "ID";
    PROPERTY_NUMBER "mqtt.prop_number" "Value";
    PROPERTY_CONTENT_TYPE "mqtt.property.content_type" "Content Type";
    PROPERTY_MAXIMUM_QOS "mqtt.property.max_qos" "QoS";
    PROPERTY_TOPIC_ALIAS "mqtt.property.topic_alias" "Topic Alias";
    PROPERTY_UNKNOWN "mqtt.prop_unknown" "Unknown Property";
    PROPERTY_TEXT_LENGTH "mqtt.prop_string_len" "Length";
    PROPERTY_TEXT "mqtt.prop_string" "Value";
    PROPERTY_KEY_LENGTH "mqtt.prop_key_len" "Key Length";
    PROPERTY_KEY "mqtt.prop_key" "Key";
    PROPERTY_VALUE_LENGTH "mqtt.prop_value_len" "Value Length";
    PROPERTY_VALUE "mqtt.prop_value" "Value";
    // Wireshark has no name for octets that belong to no field.
    TRAILING "mqtt.trailing" "Octets after the last field";
}

/// Wireshark's words for the two bits of a QoS, by number.
pub const QOS: &[&str] = &[
    "At most once delivery (Fire and Forget)",
    "At least once delivery (Acknowledged deliver)",
    "Exactly once delivery (Assured Delivery)",
    "Reserved",
];

const TYPES: &[&str] = &[
    "Reserved",
    "Connect Command",
    "Connect Ack",
    "Publish Message",
    "Publish Ack",
    "Publish Received",
    "Publish Release",
    "Publish Complete",
    "Subscribe Request",
    "Subscribe Ack",
    "Unsubscribe Request",
    "Unsubscribe Ack",
    "Ping Request",
    "Ping Response",
    "Disconnect Req",
    "Authentication Exchange",
];

const fn bit(
    name: &'static str,
    label: &'static str,
    mask: u8,
    meanings: &'static [&'static str],
    summary: Summary,
) -> Bit {
    Bit {
        def: FieldDef { name, label },
        mask,
        meanings,
        summary,
    }
}

const fn flag(name: &'static str, label: &'static str, mask: u8) -> Bit {
    bit(name, label, mask, Bit::FLAG, Summary::WhenSet)
}

const TYPE: Bit = bit(
    "mqtt.msgtype",
    "Message Type",
    0xf0,
    TYPES,
    Summary::Meaning,
);
const DUP: Bit = flag("mqtt.dupflag", "DUP Flag", 0x08);
const HEADER_QOS: Bit = bit("mqtt.qos", "QoS Level", 0x06, QOS, Summary::Meaning);

/// The first octet of a PUBLISH.
pub static PUBLISH_HEADER: [Bit; 4] = [TYPE, DUP, HEADER_QOS, flag("mqtt.retain", "Retain", 0x01)];

/// The first octet of any other packet.
pub static OTHER_HEADER: [Bit; 2] = [
    TYPE,
    bit("mqtt.hdr_reserved", "Reserved", 0x0f, &[], Summary::Absent),
];

/// The first octet of SUBSCRIBE, UNSUBSCRIBE and PUBREL in MQTT 3.1, which have DUP and QoS.
pub static THREE_ONE_HEADER: [Bit; 4] = [
    TYPE,
    DUP,
    HEADER_QOS,
    bit(
        "mqtt.retain_reserved",
        "Reserved",
        0x01,
        &[],
        Summary::Absent,
    ),
];

/// The Connect Flags (MQTT 5.0 §3.1.2.3).
pub static CONNECT_BITS: [Bit; 7] = [
    flag("mqtt.conflag.uname", "User Name Flag", 0x80),
    flag("mqtt.conflag.passwd", "Password Flag", 0x40),
    flag("mqtt.conflag.retain", "Will Retain", 0x20),
    bit("mqtt.conflag.qos", "QoS Level", 0x18, QOS, Summary::Meaning),
    flag("mqtt.conflag.willflag", "Will Flag", 0x04),
    flag("mqtt.conflag.cleansess", "Clean Session Flag", 0x02),
    flag("mqtt.conflag.reserved", "(Reserved)", 0x01),
];

/// The Connect Acknowledge Flags (§3.2.2.1).
pub static CONNACK_BITS: [Bit; 2] = [
    flag("mqtt.conack.flags.reserved", "Reserved", 0xfe),
    flag("mqtt.conack.flags.sp", "Session Present", 0x01),
];

/// The Subscription Options (MQTT 5.0 §3.8.3.1).
pub static SUBSCRIPTION_BITS: [Bit; 5] = [
    bit(
        "mqtt.subscription_options_reserved",
        "Reserved",
        0xc0,
        &["0x0", "0x1", "0x2", "0x3"],
        Summary::Absent,
    ),
    bit(
        "mqtt.subscription_options_retain",
        "Retain Handling",
        0x30,
        &[
            "Send msgs at subscription time",
            "Send msgs if subscription does not exist",
            "Do not send msgs at subscription time",
            "Reserved",
        ],
        Summary::Meaning,
    ),
    flag("mqtt.subscription_options_rap", "Retain As Published", 0x08),
    flag("mqtt.subscription_options_nl", "No Local", 0x04),
    bit(
        "mqtt.subscription_options_qos",
        "QoS",
        0x03,
        QOS,
        Summary::Meaning,
    ),
];
