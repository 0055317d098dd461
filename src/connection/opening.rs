//! How a connection begins: a CONNECT is proof of MQTT, other protocols show themselves too.

use crate::carrier::{CarrierError, Protocol};
use crate::event::LooksLike;
use crate::mqtt::ProtocolVersion;
use crate::mqtt::framer::{Header, fixed_header};

/// What the first bytes of a direction say.
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
            let lengths = bytes.get(1..).unwrap_or(&[]);
            let more = lengths
                .iter()
                .take(8)
                .take_while(|byte| **byte >= 0x80)
                .count();
            lengths.get(more + 1..).unwrap_or(&[])
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

/// What bytes that are not MQTT look like.
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
    fn tls_and_http_are_told_apart() {
        assert_eq!(looks_like(b"\x16\x03\x01\x02\x00"), LooksLike::TLS);
        assert_eq!(looks_like(b"HTTP/1.1 400 Bad"), LooksLike::HTTP);
        assert_eq!(looks_like(b"hello"), LooksLike::Unknown);
    }
}
