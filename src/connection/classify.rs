//! Classification of bytes by the little that stands at their front: a CONNECT, another
//! protocol, or what may be a packet's fixed header.

use std::ops::RangeInclusive;

use crate::carrier::{CarrierError, Protocol};
use crate::event::LooksLike;
use crate::mqtt::framer::{Header, fixed_header};
use crate::mqtt::{PacketType, ProtocolVersion, Sender};

/// The versions that bytes without a CONNECT may follow: 3.1 and 3.1.1 look alike.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Versions {
    pub(super) three: bool,
    pub(super) five: bool,
}

impl Versions {
    pub(super) const BOTH: Self = Self {
        three: true,
        five: true,
    };

    pub(super) const fn only(version: ProtocolVersion) -> Self {
        let five = matches!(version, ProtocolVersion::V5_0);
        Self { three: !five, five }
    }

    pub(super) const fn both(self) -> bool {
        self.three && self.five
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self {
            three: self.three && other.three,
            five: self.five && other.five,
        }
    }

    pub(super) const fn is_empty(self) -> bool {
        !self.three && !self.five
    }
}

/// The end that alone may send a packet of this type, if one does (MQTT 5.0 Table 2-1). DISCONNECT
/// from a Server and AUTH are of 5.0 alone; that is left to [`may_begin`].
pub(super) const fn sender_of(packet_type: PacketType) -> Option<Sender> {
    match packet_type {
        PacketType::Connect
        | PacketType::Subscribe
        | PacketType::Unsubscribe
        | PacketType::PingReq => Some(Sender::Client),
        PacketType::ConnAck | PacketType::SubAck | PacketType::UnsubAck | PacketType::PingResp => {
            Some(Sender::Server)
        }
        _ => None,
    }
}

/// Whether two findings about one sender agree: `None` stands for either end.
pub(super) fn agree(one: Option<Sender>, other: Option<Sender>) -> bool {
    one.is_none() || other.is_none() || one == other
}

/// The versions under which a packet may begin with these bytes: flags as they must be
/// (MQTT 5.0 Table 2-2) and a Remaining Length that its type allows. Cheap, and wrong for
/// nearly all bytes that are no packet.
pub(super) fn may_begin(first: u8, remaining: usize, versions: Versions) -> Versions {
    /// Without an upper bound.
    const ANY: usize = usize::MAX;
    /// No packet is as long.
    const NEVER: RangeInclusive<usize> = ANY..=ANY;
    let flags = first & 15;
    // The flags, and the bounds of Remaining Length in 3.1.1 and in 5.0.
    let (fits, three, five) = match PacketType::of(first) {
        PacketType::Publish => {
            let (dup, qos) = (flags & 8 != 0, flags >> 1 & 3);
            let least = if qos == 0 { 3 } else { 5 };
            (qos < 3 && !(dup && qos == 0), least..=ANY, least..=ANY)
        }
        // DUP was allowed there by 3.1; that is left to bytes whose place is known.
        PacketType::Subscribe => (flags == 2, 6..=ANY, 7..=ANY),
        PacketType::Unsubscribe => (flags == 2, 5..=ANY, 6..=ANY),
        PacketType::PubRel => (flags == 2, 2..=2, 2..=ANY),
        PacketType::PubAck | PacketType::PubRec | PacketType::PubComp => {
            (flags == 0, 2..=2, 2..=ANY)
        }
        PacketType::SubAck => (flags == 0, 3..=ANY, 4..=ANY),
        PacketType::UnsubAck => (flags == 0, 2..=2, 4..=ANY),
        PacketType::PingReq | PacketType::PingResp => (flags == 0, 0..=0, 0..=0),
        PacketType::Disconnect => (flags == 0, 0..=0, 0..=ANY),
        PacketType::Auth => (flags == 0, NEVER, 0..=ANY),
        PacketType::ConnAck => (flags == 0, 2..=2, 3..=ANY),
        PacketType::Connect => (flags == 0, 12..=ANY, 12..=ANY),
        PacketType::Reserved => (false, 0..=0, 0..=0),
    };
    versions.and(Versions {
        three: fits && three.contains(&remaining),
        five: fits && five.contains(&remaining),
    })
}

/// Whether a packet of any version may begin with `bytes`; `None` where their fixed header is not
/// complete.
pub(super) fn begins_packet(bytes: &[u8]) -> Option<bool> {
    match fixed_header(bytes) {
        Header::Whole(header) => {
            let remaining = header.total_len() - header.header_len;
            Some(!may_begin(*bytes.first()?, remaining, Versions::BOTH).is_empty())
        }
        Header::Partial => None,
        Header::Malformed(_) => Some(false),
    }
}

/// Whether a packet may begin with `first`, whatever its length.
pub(super) fn could_begin(first: u8, versions: Versions) -> bool {
    [0, 2, 4, 64]
        .iter()
        .any(|remaining| !may_begin(first, *remaining, versions).is_empty())
}

/// The class of a direction's first bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Opening {
    /// A CONNECT with MQTT's name, sound or not.
    Connect,
    /// It may become one when more bytes come.
    Unfinished,
    /// Something else.
    Other,
}

/// Looks for a CONNECT at the front of `bytes`, by its protocol name. Flags and lengths may
/// be wrong: then it is a malformed CONNECT, which is to be shown.
pub(super) fn opening(bytes: &[u8]) -> Opening {
    match bytes.first() {
        None => return Opening::Unfinished,
        Some(first) if first >> 4 != 1 => return Opening::Other,
        Some(_) => {}
    }
    let names: [&[u8]; 2] = [b"\x00\x04MQTT", b"\x00\x06MQIsdp"];
    let after = match fixed_header(bytes) {
        Header::Whole(header) if header.remaining_length < 8 => return Opening::Other,
        Header::Whole(header) => bytes.get(header.header_len..).unwrap_or(&[]),
        Header::Partial => return Opening::Unfinished,
        // Remaining Length has too many bytes; the name may follow them all the same.
        Header::Malformed(_) => {
            let lengths = bytes.iter().skip(1).take(8);
            let more = lengths.take_while(|byte| **byte >= 0x80).count();
            bytes.get(more + 2..).unwrap_or(&[])
        }
    };
    if names.iter().any(|name| after.starts_with(name)) {
        Opening::Connect
    } else if names.iter().any(|name| name.starts_with(after)) {
        Opening::Unfinished
    } else {
        Opening::Other
    }
}

/// The version that the protocol level of a CONNECT names, `None` where there is none such.
pub(super) fn connect_version(bytes: &[u8]) -> Option<ProtocolVersion> {
    let Header::Whole(header) = fixed_header(bytes) else {
        return None;
    };
    let body = bytes.get(header.header_len..)?;
    let (length, rest) = body.split_first_chunk()?;
    let level = rest.get(usize::from(u16::from_be_bytes(*length)))?;
    // Bit 7 is set by bridges of mosquitto.
    match level & 0x7f {
        3 => Some(ProtocolVersion::V3_1),
        4 => Some(ProtocolVersion::V3_1_1),
        5 => Some(ProtocolVersion::V5_0),
        _ => None,
    }
}

/// Returns the protocol that bytes which are not MQTT look like.
pub(super) fn looks_like(bytes: &[u8]) -> LooksLike {
    let mut carriers = Protocol::ALL.iter();
    let resembled = carriers.find(|protocol| protocol.resembles(bytes));
    resembled.map_or(LooksLike::Unknown, |protocol| {
        LooksLike::Carrier(*protocol, CarrierError::NotOpened)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_is_known_by_its_name_however_wrong_the_rest_is() {
        let sound = b"\x10\x10\x00\x04MQTT\x04\x02\x00\x3c\x00\x04fine";
        assert_eq!(opening(sound), Opening::Connect);
        assert_eq!(connect_version(sound), Some(ProtocolVersion::V3_1_1));
        for cut in 0..8 {
            assert_eq!(opening(&sound[..cut]), Opening::Unfinished, "{cut}");
        }
        assert_eq!(opening(b"\x13\x10\x00\x04MQTT\x04"), Opening::Connect);
        assert_eq!(
            opening(b"\x10\x80\x80\x80\x80\x0e\x00\x04MQTT"),
            Opening::Connect
        );
        assert_eq!(opening(b"\x10\x0c\x00\x06MQIsdp\x83\x02"), Opening::Connect);
        let bridge = b"\x10\x0c\x00\x06MQIsdp\x83\x02\x00\x00";
        assert_eq!(connect_version(bridge), Some(ProtocolVersion::V3_1));
    }

    #[test]
    fn an_byte_of_0x10_alone_makes_no_connect() {
        assert_eq!(opening(b"\x10\x04nope not mqtt\n"), Opening::Other);
        assert_eq!(opening(b"\x10\x20nope not mqtt\n"), Opening::Other);
        assert_eq!(opening(b"GET / HTTP/1.1\r\n"), Opening::Other);
    }

    #[test]
    fn tls_and_http_are_distinguished() {
        assert_eq!(looks_like(b"\x16\x03\x01\x02\x00"), LooksLike::TLS);
        assert_eq!(looks_like(b"HTTP/1.1 400 Bad"), LooksLike::HTTP);
        assert_eq!(looks_like(b"hello"), LooksLike::Unknown);
    }

    #[test]
    fn text_rarely_begins_a_packet() {
        for text in ["AAAA", "GET / HTTP", "dddd", "hello", "\r\n", "{\"a\":1}"] {
            let bytes = text.as_bytes();
            let versions = may_begin(bytes[0], usize::from(bytes[1]), Versions::BOTH);
            assert!(versions.is_empty(), "{text}");
        }
    }
}
