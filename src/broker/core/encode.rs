//! The control packets that the Server sends, as bytes, and its reason codes (5.0 §2.4).

use super::message::Message;
use crate::mqtt::framer::{Header, fixed_header};
use crate::mqtt::packet::{self, Acknowledgement, Disconnect, Publish, SubAck, UnsubAck};
use crate::mqtt::{
    ControlPacket, Delivery, PacketIdentifier, PacketType, Properties, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion,
};

// Reason codes that the Server uses (5.0 table 2-6).

pub(super) const SUCCESS: u8 = 0x00;
pub(super) const NO_MATCHING_SUBSCRIBERS: u8 = 0x10;
pub(super) const NO_SUBSCRIPTION_EXISTED: u8 = 0x11;
pub(super) const UNSPECIFIED_ERROR: u8 = 0x80;
pub(super) const MALFORMED_PACKET: u8 = 0x81;
pub(super) const PROTOCOL_ERROR: u8 = 0x82;
pub(super) const SERVER_SHUTTING_DOWN: u8 = 0x8b;
pub(super) const KEEP_ALIVE_TIMEOUT: u8 = 0x8d;
pub(super) const SESSION_TAKEN_OVER: u8 = 0x8e;
pub(super) const TOPIC_FILTER_INVALID: u8 = 0x8f;
pub(super) const TOPIC_NAME_INVALID: u8 = 0x90;
pub(super) const PACKET_IDENTIFIER_NOT_FOUND: u8 = 0x92;
pub(super) const RECEIVE_MAXIMUM_EXCEEDED: u8 = 0x93;
pub(super) const TOPIC_ALIAS_INVALID: u8 = 0x94;
pub(super) const PACKET_TOO_LARGE: u8 = 0x95;
pub(super) const QUOTA_EXCEEDED: u8 = 0x97;

/// The reason for refusing a CONNECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Refusal {
    /// A protocol level that the Server does not serve.
    Version,
    /// An empty client identifier where one is needed.
    ClientIdentifier,
    /// An unknown user name, or a wrong password.
    BadUser,
    /// No user name where one is needed.
    NotAuthorized,
    /// Enhanced authentication, which the Server does not have.
    AuthenticationMethod,
    /// A will topic with wildcards or too many levels.
    WillTopic,
    /// A limit of the Server is reached.
    Quota,
}

impl Refusal {
    /// The Connect Return code of 3.x (3.1.1 §3.2.2.3) or the Reason Code of 5.0. What 3.x
    /// has no code for is "server unavailable" or "not authorized".
    pub(super) const fn code(self, version: ProtocolVersion) -> u8 {
        let five = matches!(version, ProtocolVersion::V5_0);
        match self {
            Self::Version if five => 0x84,
            Self::Version => 1,
            Self::ClientIdentifier if five => 0x85,
            Self::ClientIdentifier => 2,
            Self::BadUser if five => 0x86,
            Self::BadUser => 4,
            Self::NotAuthorized if five => 0x87,
            Self::NotAuthorized => 5,
            Self::AuthenticationMethod if five => 0x8c,
            Self::AuthenticationMethod => 5,
            Self::WillTopic if five => TOPIC_NAME_INVALID,
            Self::WillTopic => 5,
            Self::Quota if five => QUOTA_EXCEEDED,
            Self::Quota => 3,
        }
    }
}

/// The protocol level of a CONNECT, however broken the rest of it is; without the bridge bit.
///
/// ```text
///  0x10  remaining length (1..=4)  00 04 'M' 'Q' 'T' 'T'          level ...   3.1.1, 5.0
///  0x10  remaining length (1..=4)  00 06 'M' 'Q' 'I' 's' 'd' 'p'  level ...   3.1
/// ```
pub(super) fn connect_level(bytes: &[u8]) -> Option<u8> {
    let Header::Whole(header) = fixed_header(bytes) else {
        return None;
    };
    if header.packet_type != PacketType::Connect {
        return None;
    }
    let level = match bytes.get(header.header_len..)? {
        [0, 4, b'M', b'Q', b'T', b'T', level, ..] => level,
        [0, 6, b'M', b'Q', b'I', b's', b'd', b'p', level, ..] => level,
        _ => return None,
    };
    // Bit 7 marks a bridge by mosquitto's convention.
    Some(level & 0x7f)
}

/// The contents of a CONNACK; the properties are written for 5.0 alone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ConnAck<'a> {
    pub(super) session_present: bool,
    /// Reason Code of 5.0 or Connect Return code of 3.x.
    pub(super) code: u8,
    /// Assigned Client Identifier, where the Client sent none ([MQTT-3.2.2-16]).
    pub(super) assigned: Option<&'a str>,
    /// In seconds.
    pub(super) server_keep_alive: Option<u16>,
    pub(super) receive_maximum: u16,
    pub(super) topic_alias_maximum: u16,
    /// In bytes.
    pub(super) maximum_packet_size: Option<u32>,
}

impl ConnAck<'_> {
    /// A refusal: no session is present ([MQTT-3.2.2-6]).
    pub(super) fn refusal(code: u8) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }
}

/// Writes a CONNACK. A refusal carries no properties: they describe a session that does not exist.
pub(super) fn conn_ack(version: ProtocolVersion, answer: &ConnAck<'_>) -> Vec<u8> {
    let mut properties = Written::default();
    if answer.code == 0 {
        properties.put(
            PropertyId::ASSIGNED_CLIENT_IDENTIFIER,
            answer.assigned.map(PropertyValue::Text),
        );
        properties.put(
            PropertyId::TOPIC_ALIAS_MAXIMUM,
            Some(PropertyValue::TwoByte(answer.topic_alias_maximum)),
        );
        properties.put(
            PropertyId::RECEIVE_MAXIMUM,
            Some(PropertyValue::TwoByte(answer.receive_maximum)),
        );
        properties.put(
            PropertyId::MAXIMUM_PACKET_SIZE,
            answer.maximum_packet_size.map(PropertyValue::FourByte),
        );
        properties.put(
            PropertyId::SERVER_KEEP_ALIVE,
            answer.server_keep_alive.map(PropertyValue::TwoByte),
        );
    }
    bytes(
        version,
        &ControlPacket::ConnAck(packet::ConnAck {
            session_present: answer.session_present,
            code: answer.code,
            properties: properties.0.as_properties(),
        }),
    )
}

/// The contents of a PUBLISH to a subscriber.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent<'a> {
    pub(super) dup: bool,
    pub(super) retain: bool,
    pub(super) delivery: Delivery,
    /// Empty where the alias alone stands for it.
    pub(super) topic: &'a str,
    /// Topic Alias in the direction from the Server.
    pub(super) alias: Option<u16>,
    /// The rest of the Message Expiry Interval, in seconds ([MQTT-3.3.2-6]).
    pub(super) seconds_left: Option<u32>,
    /// Subscription Identifiers of the subscriptions that matched ([MQTT-3.3.4-3]).
    pub(super) identifiers: &'a [u32],
    pub(super) message: &'a Message,
}

/// Writes a PUBLISH; `None` where no control packet is large enough for it: the properties that
/// the Server adds can push a message over the 268,435,455 bytes of §2.1.4.
pub(super) fn publish(version: ProtocolVersion, sent: &Sent<'_>) -> Option<Vec<u8>> {
    let mut properties = Written::default();
    if version == ProtocolVersion::V5_0 {
        properties.put(
            PropertyId::MESSAGE_EXPIRY_INTERVAL,
            sent.seconds_left.map(PropertyValue::FourByte),
        );
        properties.put(
            PropertyId::TOPIC_ALIAS,
            sent.alias.map(PropertyValue::TwoByte),
        );
        for &identifier in sent.identifiers {
            properties.put(
                PropertyId::SUBSCRIPTION_IDENTIFIER,
                Some(PropertyValue::Variable(identifier)),
            );
        }
        let passed = sent.message.properties.as_properties();
        properties.0.extend(passed.iter()).ok()?;
    }
    let packet = ControlPacket::Publish(Publish {
        dup: sent.dup,
        retain: sent.retain,
        delivery: sent.delivery,
        topic: sent.topic,
        properties: properties.0.as_properties(),
        payload: &sent.message.payload,
    });
    let mut out = Vec::new();
    packet.write(version, &mut out).ok()?;
    Some(out)
}

/// Writes a PUBACK, PUBREC, PUBREL or PUBCOMP.
pub(super) fn acknowledgement(
    version: ProtocolVersion,
    packet_type: PacketType,
    packet_id: PacketIdentifier,
    reason_code: u8,
) -> Vec<u8> {
    let acknowledgement = Acknowledgement {
        packet_id,
        reason_code,
        properties: Properties::default(),
    };
    let packet = match packet_type {
        PacketType::PubRec => ControlPacket::PubRec(acknowledgement),
        PacketType::PubRel => ControlPacket::PubRel(acknowledgement),
        PacketType::PubComp => ControlPacket::PubComp(acknowledgement),
        _ => ControlPacket::PubAck(acknowledgement),
    };
    bytes(version, &packet)
}

/// Writes a SUBACK or UNSUBACK with a code for each filter ([MQTT-3.9.3-1]).
pub(super) fn codes(
    version: ProtocolVersion,
    packet_type: PacketType,
    packet_id: PacketIdentifier,
    codes: &[u8],
) -> Vec<u8> {
    let properties = Properties::default();
    let packet = match packet_type {
        PacketType::UnsubAck => ControlPacket::UnsubAck(UnsubAck {
            packet_id,
            properties,
            codes,
        }),
        _ => ControlPacket::SubAck(SubAck {
            packet_id,
            properties,
            codes,
        }),
    };
    bytes(version, &packet)
}

/// Writes a PINGRESP, which is the same in every version.
pub(super) fn ping_response() -> Vec<u8> {
    bytes(ProtocolVersion::V3_1_1, &ControlPacket::PingResp)
}

/// Writes a DISCONNECT from the Server, which exists in 5.0 only (§3.14).
pub(super) fn disconnect(reason_code: u8) -> Vec<u8> {
    let disconnect = Disconnect {
        reason_code,
        properties: Properties::default(),
    };
    bytes(
        ProtocolVersion::V5_0,
        &ControlPacket::Disconnect(disconnect),
    )
}

/// The Server's own answers are small and well formed: each has a form in bytes.
fn bytes(version: ProtocolVersion, packet: &ControlPacket<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match packet.write(version, &mut out) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

/// Properties in the making, of values that always have a form.
#[derive(Default)]
struct Written(PropertiesBuf);

impl Written {
    fn put(&mut self, id: PropertyId, value: Option<PropertyValue<'_>>) {
        if let Some(value) = value {
            // The assigned identifier is short and every type is the identifier's own.
            let _ = self.0.push(id, value);
        }
    }
}
