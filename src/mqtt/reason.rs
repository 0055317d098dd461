//! Names of return codes (3.1, 3.1.1) and reason codes (5.0) in Wireshark's words, which are
//! the specification's.

use super::fields as f;
use super::rule::Rule;
use super::words::{PacketType, ProtocolVersion};
use crate::base::field::FieldDef;

/// Returns the name of `code` in a packet of this type; `Unknown` where the version defines
/// none.
pub fn name(packet_type: PacketType, version: ProtocolVersion, code: u8) -> &'static str {
    defined(packet_type, version, code).unwrap_or("Unknown")
}

/// Returns the name of `code` in a packet of this type; `None` where the version defines none.
pub fn defined(
    packet_type: PacketType,
    version: ProtocolVersion,
    code: u8,
) -> Option<&'static str> {
    use PacketType as P;
    let five = version == ProtocolVersion::V5_0;
    match (packet_type, code) {
        // CONNACK before 5.0 (MQTT 3.1.1 §3.2.2.3), and of a server that does not know 5.0.
        (P::ConnAck, 1..=5) => connack_return(code),
        (P::ConnAck, 0) if !five => Some("Connection Accepted"),
        (P::ConnAck, _) if !five => None,
        // SUBACK before 5.0 (MQTT 3.1.1 §3.9.3); 3.1 can't refuse a subscription.
        (P::SubAck, 0..=2) if !five => f::QOS.get(usize::from(code)).copied(),
        (P::SubAck, 0x80) if version == ProtocolVersion::V3_1_1 => Some("Failure"),
        (P::SubAck, _) if !five => None,
        (P::SubAck, 0) => Some("Granted QoS 0"),
        (P::SubAck, 1) => Some("Granted QoS 1"),
        (P::SubAck, 2) => Some("Granted QoS 2"),
        (P::Disconnect, 0x00) => Some("Normal disconnection"),
        (P::Disconnect, 0x04) => Some("Disconnect with Will Message"),
        // The tables of §3.2.2.2, §3.4.2.1 to §3.7.2.1, §3.9.3, §3.11.3, §3.14.2.1 and §3.15.2.1.
        (P::ConnAck, 0x00 | 0x80..=0x8a | 0x8c | 0x90 | 0x95 | 0x97 | 0x99..=0x9d | 0x9f)
        | (P::PubAck | P::PubRec, 0x00 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90 | 0x91 | 0x97 | 0x99)
        | (P::PubRel | P::PubComp, 0x00 | 0x92)
        | (P::SubAck, 0x80 | 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2)
        | (P::UnsubAck, 0x00 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91)
        | (P::Disconnect, 0x80..=0x83 | 0x87 | 0x89 | 0x8b..=0x90 | 0x93..=0xa2)
        | (P::Auth, 0x00 | 0x18 | 0x19) => common(code),
        _ => None,
    }
}

/// Return codes that refuse a connection (MQTT 3.1.1 §3.2.2.3).
fn connack_return(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "Connection Refused: unacceptable protocol version",
        2 => "Connection Refused: identifier rejected",
        3 => "Connection Refused: server unavailable",
        4 => "Connection Refused: bad user name or password",
        5 => "Connection Refused: not authorized",
        _ => return None,
    })
}

/// Names that mean the same in every packet that has the code (MQTT 5.0 §2.4, Table 2-6).
fn common(code: u8) -> Option<&'static str> {
    Some(match code {
        0x00 => "Success",
        0x10 => "No matching subscribers",
        0x11 => "No subscription existed",
        0x18 => "Continue authentication",
        0x19 => "Re-authenticate",
        0x80 => "Unspecified error",
        0x81 => "Malformed Packet",
        0x82 => "Protocol Error",
        0x83 => "Implementation specific error",
        0x84 => "Unsupported Protocol Version",
        0x85 => "Client Identifier not valid",
        0x86 => "Bad User Name or Password",
        0x87 => "Not authorized",
        0x88 => "Server unavailable",
        0x89 => "Server busy",
        0x8a => "Banned",
        0x8b => "Server shutting down",
        0x8c => "Bad authentication method",
        0x8d => "Keep Alive timeout",
        0x8e => "Session taken over",
        0x8f => "Topic Filter invalid",
        0x90 => "Topic Name invalid",
        0x91 => "Packet Identifier in use",
        0x92 => "Packet Identifier not found",
        0x93 => "Receive Maximum exceeded",
        0x94 => "Topic Alias invalid",
        0x95 => "Packet too large",
        0x96 => "Message rate too high",
        0x97 => "Quota exceeded",
        0x98 => "Administrative action",
        0x99 => "Payload format invalid",
        0x9a => "Retain not supported",
        0x9b => "QoS not supported",
        0x9c => "Use another server",
        0x9d => "Server moved",
        0x9e => "Shared Subscription not supported",
        0x9f => "Connection rate exceeded",
        0xa0 => "Maximum connect time",
        0xa1 => "Subscription Identifiers not supported",
        0xa2 => "Wildcard Subscription not supported",
        _ => return None,
    })
}

/// Returns the field of a packet type's codes, for each of which Wireshark has one of its own.
pub(super) const fn field(packet_type: PacketType, version: ProtocolVersion) -> &'static FieldDef {
    match (packet_type, version) {
        (PacketType::ConnAck, ProtocolVersion::V5_0) => &f::CONNACK_REASON,
        (PacketType::ConnAck, _) => &f::RETURN_CODE,
        (PacketType::PubAck, _) => &f::PUBACK_REASON,
        (PacketType::PubRec, _) => &f::PUBREC_REASON,
        (PacketType::PubRel, _) => &f::PUBREL_REASON,
        (PacketType::PubComp, _) => &f::PUBCOMP_REASON,
        (PacketType::SubAck, ProtocolVersion::V5_0) => &f::SUBACK_REASON,
        (PacketType::SubAck, _) => &f::GRANTED_QOS,
        (PacketType::UnsubAck, _) => &f::UNSUBACK_REASON,
        (PacketType::Auth, _) => &f::AUTH_REASON,
        _ => &f::DISCONNECT_REASON,
    }
}

/// Returns the rule that codes of this packet type are among the defined ones.
pub(super) const fn rule(packet_type: PacketType) -> Rule {
    match packet_type {
        PacketType::ConnAck => Rule::ConnackCodeIsDefined,
        PacketType::PubAck => Rule::PubackCodeIsDefined,
        PacketType::PubRec => Rule::PubrecCodeIsDefined,
        PacketType::PubRel => Rule::PubrelCodeIsDefined,
        PacketType::PubComp => Rule::PubcompCodeIsDefined,
        PacketType::SubAck => Rule::SubackCodeIsDefined,
        PacketType::UnsubAck => Rule::UnsubackCodeIsDefined,
        PacketType::Auth => Rule::AuthCodeIsDefined,
        _ => Rule::DisconnectCodeIsDefined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_named_by_its_packet_and_version() {
        use PacketType::{ConnAck, Disconnect, PubAck, SubAck};
        use ProtocolVersion::{V3_1, V3_1_1, V5_0};
        assert_eq!(name(ConnAck, V3_1_1, 0), "Connection Accepted");
        assert_eq!(name(ConnAck, V5_0, 0), "Success");
        assert_eq!(name(SubAck, V5_0, 1), "Granted QoS 1");
        assert_eq!(name(SubAck, V3_1_1, 0x80), "Failure");
        assert_eq!(name(SubAck, V3_1, 0x80), "Unknown");
        assert_eq!(name(Disconnect, V5_0, 0), "Normal disconnection");
        assert_eq!(name(PubAck, V5_0, 0x92), "Unknown");
    }

    #[test]
    fn the_tables_have_as_many_codes_as_the_specification() {
        let count = |packet_type| {
            (0..=255)
                .filter(|code| defined(packet_type, ProtocolVersion::V5_0, *code).is_some())
                .count()
        };
        // 22 of 5.0 and five return codes of 3.1.1.
        assert_eq!(count(PacketType::ConnAck), 22 + 5);
        assert_eq!(count(PacketType::PubAck), 9);
        assert_eq!(count(PacketType::PubRec), 9);
        assert_eq!(count(PacketType::PubRel), 2);
        assert_eq!(count(PacketType::PubComp), 2);
        assert_eq!(count(PacketType::SubAck), 12);
        assert_eq!(count(PacketType::UnsubAck), 7);
        assert_eq!(count(PacketType::Disconnect), 30);
        assert_eq!(count(PacketType::Auth), 3);
    }
}
