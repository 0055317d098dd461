//! Parts of the control packets that the Server sends, and its reason codes (5.0 §2.4).

use crate::mqtt::framer::{Header, fixed_header};
use crate::mqtt::packet::Acknowledgement;
use crate::mqtt::{
    ControlPacket, PacketIdentifier, PacketType, Properties, PropertiesBuf, PropertyId,
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

/// The reason for refusing a CONNECT: the Connect Return code of 3.x (3.1.1 §3.2.2.3) and the
/// Reason Code of 5.0. What 3.x has no code for is "server unavailable" or "not authorized".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    return_code: u8,
    reason_code: u8,
}

impl Refusal {
    /// A protocol level that the Server does not serve.
    pub(super) const VERSION: Self = Self::new(1, 0x84);
    /// An empty client identifier where one is needed.
    pub(super) const CLIENT_IDENTIFIER: Self = Self::new(2, 0x85);
    /// An unknown user name, or a wrong password.
    pub(super) const BAD_USER: Self = Self::new(4, 0x86);
    /// No user name where one is needed.
    pub(super) const NOT_AUTHORIZED: Self = Self::new(5, 0x87);
    /// Enhanced authentication, which the Server does not have.
    pub(super) const AUTHENTICATION_METHOD: Self = Self::new(5, 0x8c);
    /// A will topic with wildcards or too many levels.
    pub(super) const WILL_TOPIC: Self = Self::new(5, TOPIC_NAME_INVALID);
    /// A limit of the Server is reached.
    pub(super) const QUOTA: Self = Self::new(3, QUOTA_EXCEEDED);
    /// A CONNECT of 5.0 that cannot be read; one of 3.x is not answered.
    pub(super) const MALFORMED: Self = Self::new(3, MALFORMED_PACKET);

    const fn new(return_code: u8, reason_code: u8) -> Self {
        Self {
            return_code,
            reason_code,
        }
    }

    pub(super) const fn code(self, version: ProtocolVersion) -> u8 {
        match version {
            ProtocolVersion::V5_0 => self.reason_code,
            ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1 => self.return_code,
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

/// A PUBACK, PUBREC, PUBREL or PUBCOMP.
pub fn acknowledgement(
    packet_type: PacketType,
    packet_id: PacketIdentifier,
    reason_code: u8,
) -> ControlPacket<'static> {
    let acknowledgement = Acknowledgement {
        packet_id,
        reason_code,
        properties: Properties::default(),
    };
    match packet_type {
        PacketType::PubRec => ControlPacket::PubRec(acknowledgement),
        PacketType::PubRel => ControlPacket::PubRel(acknowledgement),
        PacketType::PubComp => ControlPacket::PubComp(acknowledgement),
        _ => ControlPacket::PubAck(acknowledgement),
    }
}

/// Properties of values that always have a form: numbers, and an assigned client identifier.
pub(super) fn properties<'v>(
    values: impl IntoIterator<Item = (PropertyId, Option<PropertyValue<'v>>)>,
) -> PropertiesBuf {
    let mut properties = PropertiesBuf::new();
    for (id, value) in values {
        if let Some(value) = value {
            let _ = properties.push(id, value);
        }
    }
    properties
}
