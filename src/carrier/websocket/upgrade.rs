//! The opening handshake: an HTTP request that asks for WebSocket, and its answer
//! (RFC 6455 §4).

/// Fields of a head; one with more is not read.
const FIELDS: usize = 128;

/// The head of a request or of a response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Head {
    /// Of a response, else 0.
    pub(super) status: u16,
    /// It asks for WebSocket, or grants it.
    pub(super) upgrades: bool,
    /// Sec-WebSocket-Protocol names `mqtt` itself.
    pub(super) names_mqtt: bool,
    /// It names MQTT, if by an old name: `mqttv3.1`.
    pub(super) names_any_mqtt: bool,
    /// It offers or agrees to permessage-deflate (RFC 7692).
    pub(super) deflates: bool,
}

/// Where the head at the front of `bytes` ends, if an empty line is there; the first `known`
/// bytes were looked through before.
pub(super) fn end_of_head(bytes: &[u8], known: usize) -> Option<usize> {
    let from = known.saturating_sub(3);
    let mut searched = bytes.get(from..)?;
    let mut at = from;
    loop {
        let line = memchr::memchr(b'\n', searched)? + 1;
        let behind = searched.get(line..)?;
        at += line;
        if behind.starts_with(b"\r\n") {
            return Some(at + 2);
        }
        if behind.starts_with(b"\n") {
            return Some(at + 1);
        }
        searched = behind;
    }
}

/// Reads the head of a request; `None` where it is none.
pub(super) fn request(head: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    let is_whole = parsed.parse(head).ok()?.is_complete();
    is_whole.then(|| read(0, parsed.method == Some("GET"), parsed.headers))
}

/// Reads the head of a response; `None` where it is none.
pub(super) fn response(head: &[u8]) -> Option<Head> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    let is_whole = parsed.parse(head).ok()?.is_complete();
    let status = parsed.code?;
    is_whole.then(|| read(status, status == 101, parsed.headers))
}

/// Whether a head is an interim response, behind which the final one comes (RFC 9110 §15.2).
pub(super) fn is_interim(head: &[u8]) -> bool {
    response(head).is_some_and(|response| matches!(response.status, 100 | 102..=199))
}

/// Reads the fields of a head, which can be for WebSocket only where `may_upgrade`.
fn read(status: u16, may_upgrade: bool, fields: &[httparse::Header<'_>]) -> Head {
    let mut head = Head {
        status,
        ..Head::default()
    };
    for field in fields {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        for name in field.value.split(|byte| *byte == b',') {
            if is("Upgrade") {
                let asks = name.trim_ascii().eq_ignore_ascii_case(b"websocket");
                head.upgrades |= may_upgrade && asks;
            } else if is("Sec-WebSocket-Protocol") {
                let name = name.trim_ascii();
                head.names_mqtt |= name == b"mqtt";
                let front = name.get(..4).unwrap_or_default();
                head.names_any_mqtt |= front.eq_ignore_ascii_case(b"mqtt");
            } else if is("Sec-WebSocket-Extensions") {
                // Parameters follow an extension's name.
                let mut words = name.split(|byte| *byte == b';');
                let deflate = b"permessage-deflate";
                head.deflates |= words.any(|word| word.trim_ascii().eq_ignore_ascii_case(deflate));
            }
        }
    }
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_for_what_it_asks_for() {
        let head = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nconnection: keep-alive, Upgrade\r\n\
            upgrade: WebSocket\r\nSec-WebSocket-Protocol: chat, mqttv3.1,mqtt\r\n\r\n";
        let asked = request(head).unwrap();
        assert!(asked.upgrades && asked.names_mqtt && asked.names_any_mqtt);
        let old = b"GET / HTTP/1.1\nUpgrade: websocket\nSec-WebSocket-Protocol: mqttv3.1\n\n";
        let asked = request(old).unwrap();
        assert!(asked.upgrades && asked.names_any_mqtt && !asked.names_mqtt);
        assert!(
            !request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .unwrap()
                .upgrades
        );
        assert!(
            !request(b"POST / HTTP/1.1\r\nUpgrade: websocket\r\n\r\n")
                .unwrap()
                .upgrades
        );
        assert_eq!(request(b"\x10\x00\r\n\r\n"), None);
    }

    #[test]
    fn a_response_is_read_for_what_it_grants() {
        let head = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Protocol: mqtt\r\n\
            Sec-WebSocket-Extensions: x-other, permessage-deflate; server_no_context_takeover\r\n\r\n";
        let granted = response(head).unwrap();
        assert!(granted.upgrades && granted.names_mqtt && granted.deflates);
        let refused = response(b"HTTP/1.1 403 Forbidden\r\n\r\n").unwrap();
        assert_eq!((refused.status, refused.upgrades), (403, false));
    }

    #[test]
    fn the_end_of_a_head_is_found_wherever_it_is_cut() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\nmore";
        for known in 0..head.len() - 4 {
            assert_eq!(end_of_head(head, known), Some(head.len() - 4), "{known}");
        }
        for cut in 0..head.len() - 4 {
            assert_eq!(end_of_head(&head[..cut], 0), None, "{cut}");
        }
        assert_eq!(end_of_head(b"GET / HTTP/1.1\n\nmore", 0), Some(16));
    }
}
