//! The opening handshake: an HTTP request that asks for WebSocket, and its answer
//! (RFC 6455 §4).

/// Fields of a head; one with more is not read.
const FIELDS: usize = 128;

/// The subprotocols that one end names in Sec-WebSocket-Protocol.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Subprotocols {
    /// `mqtt` itself.
    pub(super) mqtt: bool,
    /// A name of MQTT, if an old one: `mqttv3.1`.
    pub(super) of_mqtt: bool,
}

impl Subprotocols {
    fn add(&mut self, list: &[u8]) {
        for name in list.split(|byte| *byte == b',') {
            let name = name.trim_ascii();
            self.mqtt |= name == b"mqtt";
            let front = name.get(..4).unwrap_or_default();
            self.of_mqtt |= front.eq_ignore_ascii_case(b"mqtt");
        }
    }
}

/// An HTTP request.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Request {
    /// It asks for WebSocket.
    pub(super) upgrades: bool,
    pub(super) offers: Subprotocols,
}

/// An HTTP response.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) upgrades: bool,
    pub(super) selects: Subprotocols,
    /// It agrees to permessage-deflate (RFC 7692).
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
pub(super) fn request(head: &[u8]) -> Option<Request> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Request::new(&mut fields);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let mut request = Request {
        upgrades: parsed.method == Some("GET") && upgrades(parsed.headers),
        ..Request::default()
    };
    for list in values(parsed.headers, "Sec-WebSocket-Protocol") {
        request.offers.add(list);
    }
    Some(request)
}

/// Reads the head of a response; `None` where it is none.
pub(super) fn response(head: &[u8]) -> Option<Response> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS];
    let mut parsed = httparse::Response::new(&mut fields);
    if !parsed.parse(head).ok()?.is_complete() {
        return None;
    }
    let status = parsed.code?;
    let mut response = Response {
        status,
        upgrades: status == 101 && upgrades(parsed.headers),
        ..Response::default()
    };
    for list in values(parsed.headers, "Sec-WebSocket-Protocol") {
        response.selects.add(list);
    }
    response.deflates = values(parsed.headers, "Sec-WebSocket-Extensions")
        .flat_map(|list| list.split(|byte| matches!(byte, b',' | b';')))
        .any(|name| {
            name.trim_ascii()
                .eq_ignore_ascii_case(b"permessage-deflate")
        });
    Some(response)
}

/// Whether a head is an interim response, behind which the final one comes (RFC 9110 §15.2).
pub(super) fn is_interim(head: &[u8]) -> bool {
    response(head).is_some_and(|response| matches!(response.status, 100 | 102..=199))
}

fn upgrades(fields: &[httparse::Header<'_>]) -> bool {
    values(fields, "Upgrade")
        .flat_map(|list| list.split(|byte| *byte == b','))
        .any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
}

fn values<'a>(
    fields: &'a [httparse::Header<'a>],
    name: &'static str,
) -> impl Iterator<Item = &'a [u8]> {
    fields
        .iter()
        .filter(move |field| field.name.eq_ignore_ascii_case(name))
        .map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_for_what_it_asks_for() {
        let head = b"GET /mqtt HTTP/1.1\r\nHost: a\r\nconnection: keep-alive, Upgrade\r\n\
            upgrade: WebSocket\r\nSec-WebSocket-Protocol: chat, mqttv3.1,mqtt\r\n\r\n";
        let asked = request(head).unwrap();
        assert!(asked.upgrades && asked.offers.mqtt && asked.offers.of_mqtt);
        let old = b"GET / HTTP/1.1\nUpgrade: websocket\nSec-WebSocket-Protocol: mqttv3.1\n\n";
        let asked = request(old).unwrap();
        assert!(asked.upgrades && asked.offers.of_mqtt && !asked.offers.mqtt);
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
        assert!(granted.upgrades && granted.selects.mqtt && granted.deflates);
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
