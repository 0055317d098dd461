//! Scores: the evidence in a packet, in bits, which is how unlikely it is that bytes which are no
//! packet look like this one.
//!
//! The figures are plain counting. A first byte with sound flags is one in 16 (4 bits), a
//! length that must be one value, or that ends with its segment, one in 256 (8 bits), the
//! upper byte of a short topic's length another 8, a character of a topic a little above
//! one bit, since two bytes in five are printable.

use crate::mqtt::{ControlPacket, Delivery, PacketType, ProtocolVersion};

use super::classify::Versions;
use super::pieces::Place;

/// As much as must speak for 5.0 before packets that fit 3.1.1 too are read as 5.0.
pub(super) const LEAN_TO_FIVE: i8 = 3;

/// Bits of evidence in one packet that was read without error.
pub(super) fn score(packet: &ControlPacket<'_>, place: Place) -> u32 {
    let small = if place.in_full_segment { 0 } else { 12 };
    // A length of two bytes or more that must be this one value, or of one byte.
    let ends = match (place.fills_a_segment, place.ends_a_segment) {
        (true, _) => 12,
        (_, true) => 8,
        _ => 0,
    };
    match packet {
        ControlPacket::Connect(connect) if connect.is_known() => 60,
        ControlPacket::Connect(_) => 20,
        ControlPacket::ConnAck(_) => 20,
        ControlPacket::Publish(publish) => 4 + ends + text(publish.topic),
        ControlPacket::PubAck(_)
        | ControlPacket::PubRec(_)
        | ControlPacket::PubRel(_)
        | ControlPacket::PubComp(_)
        | ControlPacket::PingReq
        | ControlPacket::PingResp
        | ControlPacket::Disconnect(_)
        | ControlPacket::Auth(_)
        | ControlPacket::UnsubAck(_) => small,
        ControlPacket::SubAck(_) => small + small / 3,
        ControlPacket::Subscribe(subscribe) => {
            let filter = subscribe.subscriptions.iter().next();
            12 + filter.map_or(0, |subscription| text(subscription.filter))
        }
        ControlPacket::Unsubscribe(unsubscribe) => {
            12 + unsubscribe.filters.iter().next().map_or(0, text)
        }
    }
}

/// Bits in a text that fits its length.
pub(super) fn text(text: impl AsRef<[u8]>) -> u32 {
    let length = u32::try_from(text.as_ref().len()).unwrap_or(u32::MAX);
    let upper = if length < 256 { 8 } else { 0 };
    upper + (length.min(16) * 5) / 4
}

/// Reads `bytes` as a packet of `version` that breaks no rule, not even one that leaves it
/// readable: what is only guessed to be a packet gets no benefit of doubt.
pub(super) fn read_strictly(bytes: &[u8], version: ProtocolVersion) -> Option<ControlPacket<'_>> {
    ControlPacket::read(bytes, version, &mut ())
        .ok()
        .filter(|packet| is_strict(packet, version))
}

/// The versions under which `bytes` are a packet that breaks no rule.
pub(super) fn versions(bytes: &[u8]) -> Versions {
    Versions {
        three: read_strictly(bytes, ProtocolVersion::V3_1_1).is_some(),
        five: read_strictly(bytes, ProtocolVersion::V5_0).is_some(),
    }
}

/// How much a packet that fits both versions speaks for 5.0.
pub(super) fn lean_to_five(bytes: &[u8]) -> i8 {
    match ControlPacket::read(bytes, ProtocolVersion::V5_0, &mut ()) {
        Ok(ControlPacket::Publish(publish)) => {
            let text = std::str::from_utf8(publish.payload);
            // Properties that all make sense, or a 0 that alone keeps a text from being one.
            let is_text = !publish.payload.is_empty() && text.is_ok_and(is_plain);
            if is_text || !publish.properties.is_empty() {
                LEAN_TO_FIVE
            } else {
                1
            }
        }
        Ok(ControlPacket::SubAck(_)) => 1,
        _ => 0,
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .chars()
            .all(|c| !c.is_control() || matches!(c, '\t' | '\n' | '\r'))
}

fn is_strict(packet: &ControlPacket<'_>, version: ProtocolVersion) -> bool {
    let five = version == ProtocolVersion::V5_0;
    match packet {
        ControlPacket::ConnAck(connack) if five => connack.code == 0 || connack.code >= 0x80,
        ControlPacket::ConnAck(connack) => connack.code <= 5,
        ControlPacket::Publish(publish) => {
            is_plain(publish.topic) || five && publish.topic.is_empty()
        }
        ControlPacket::Subscribe(subscribe) => subscribe
            .subscriptions
            .iter()
            .all(|subscription| is_plain(subscription.filter)),
        ControlPacket::Unsubscribe(unsubscribe) => unsubscribe.filters.iter().all(is_plain),
        ControlPacket::SubAck(suback) => suback.codes.iter().all(|code| {
            matches!(code, 0..=2 | 0x80)
                || five && matches!(code, 0x83 | 0x87 | 0x8f | 0x91 | 0x97 | 0x9e | 0xa1 | 0xa2)
        }),
        ControlPacket::UnsubAck(unsuback) => unsuback
            .codes
            .iter()
            .all(|code| matches!(code, 0 | 0x11 | 0x80 | 0x83 | 0x87 | 0x8f | 0x91)),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => matches!(
            ack.reason_code,
            0 | 0x10 | 0x80 | 0x83 | 0x87 | 0x90..=0x92 | 0x97 | 0x99
        ),
        ControlPacket::Disconnect(disconnect) => {
            matches!(disconnect.reason_code, 0 | 4 | 0x80..=0xa2)
        }
        ControlPacket::Auth(auth) => matches!(auth.reason_code, 0 | 0x18 | 0x19),
        ControlPacket::Connect(_) | ControlPacket::PingReq | ControlPacket::PingResp => true,
    }
}

/// A packet's type with its identifier, 0 where it has none.
pub(super) type Note = (PacketType, u16);

/// Returns the answer that a packet asks for, and the answer that it is itself.
pub(super) fn notes(packet: &ControlPacket<'_>) -> (Option<Note>, Option<Note>) {
    let own = packet.packet_type();
    let (answer, id) = match packet {
        ControlPacket::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => return (None, None),
            Delivery::AtLeastOnce(id) => (Some(PacketType::PubAck), id.number()),
            Delivery::ExactlyOnce(id) => (Some(PacketType::PubRec), id.number()),
        },
        ControlPacket::PubAck(ack) | ControlPacket::PubComp(ack) => (None, ack.packet_id.number()),
        ControlPacket::PubRec(ack) => (Some(PacketType::PubRel), ack.packet_id.number()),
        ControlPacket::PubRel(ack) => (Some(PacketType::PubComp), ack.packet_id.number()),
        ControlPacket::Subscribe(asks) => (Some(PacketType::SubAck), asks.packet_id.number()),
        ControlPacket::SubAck(ack) => (None, ack.packet_id.number()),
        ControlPacket::Unsubscribe(asks) => (Some(PacketType::UnsubAck), asks.packet_id.number()),
        ControlPacket::UnsubAck(ack) => (None, ack.packet_id.number()),
        ControlPacket::PingReq => (Some(PacketType::PingResp), 0),
        ControlPacket::Connect(_) => (Some(PacketType::ConnAck), 0),
        ControlPacket::PingResp | ControlPacket::ConnAck(_) => (None, 0),
        ControlPacket::Disconnect(_) | ControlPacket::Auth(_) => return (None, None),
    };
    let asks = matches!(
        own,
        PacketType::Publish
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Connect
    );
    (
        answer.map(|answer| (answer, id)),
        (!asks).then_some((own, id)),
    )
}
