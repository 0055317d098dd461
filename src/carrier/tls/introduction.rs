//! The statements of a connection's first record that are not encrypted: which versions a
//! ClientHello offers and for which server and protocols, what a ServerHello chooses, why an alert
//! ends it.
//!
//! ```text
//!  ClientHello  | version, 2 | random, 32 | n | session, n | n, 2 | suites, n | n | compressions, n
//!               | extensions' length, 2 | (type, 2 | length, 2 | value ...) ...
//!  alert        | level | description |
//! ```

use super::messages::{self, Message};
use crate::carrier::carried::{Alert, Introduction};

/// Content types (RFC 8446 §5.1).
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;

/// Bytes of a record's header.
const HEADER: usize = 5;

/// Texts of a ClientHello that are kept, in bytes: a host name has 253 at most.
const TEXT_CAP: usize = 255;

/// Application protocols of a ClientHello that are kept.
const PROTOCOLS_CAP: usize = 8;

/// Reads the record at the front of `bytes`, which may be cut.
pub(super) fn read(bytes: &[u8]) -> Option<Introduction> {
    let &[content, 3, 0..=4, ..] = bytes else {
        return None;
    };
    let fragment = bytes.get(HEADER..)?;
    match (content, fragment) {
        (HANDSHAKE, [1, _, _, _, body @ ..]) => client_hello(body),
        (HANDSHAKE, [2, ..]) => server_hello(fragment),
        (ALERT, &[level @ 1..=2, description, ..]) => Some(Introduction {
            alert: Some(Alert {
                fatal: level == 2,
                description,
            }),
            ..Introduction::default()
        }),
        _ => None,
    }
}

/// RFC 8446 §4.1.2. Whatever of it is cut is left out.
fn client_hello(body: &[u8]) -> Option<Introduction> {
    let (version, rest) = body.split_first_chunk::<2>()?;
    let mut hello = Introduction {
        asks: true,
        version: version_name(u16::from_be_bytes(*version)),
        ..Introduction::default()
    };
    // A hello that is cut is one all the same.
    let _ = extensions(rest, &mut hello);
    Some(hello)
}

/// Reads what stands behind the version of a ClientHello, as far as it goes.
fn extensions(rest: &[u8], hello: &mut Introduction) -> Option<()> {
    let rest = rest.get(32..)?;
    let (session, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*session)..)?;
    let (suites, rest) = rest.split_first_chunk::<2>()?;
    let rest = rest.get(usize::from(u16::from_be_bytes(*suites))..)?;
    let (compressions, rest) = rest.split_first()?;
    let mut rest = rest.get(usize::from(*compressions) + 2..)?;
    while let Some((&[a, b, c, d], behind)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let value = behind.get(..length)?;
        match u16::from_be_bytes([a, b]) {
            0 => hello.server_name = server_name(value),
            16 => hello.protocols = protocols(value),
            43 => {
                let offered = value.get(1..)?.as_chunks::<2>().0.iter();
                let known = offered.map(|version| u16::from_be_bytes(*version));
                let highest = known
                    .filter(|version| version_name(*version).is_some())
                    .max();
                hello.version = highest.and_then(version_name).or(hello.version);
            }
            _ => {}
        }
        rest = behind.get(length..)?;
    }
    Some(())
}

/// The first host name of the extension server_name (RFC 6066 §3).
fn server_name(value: &[u8]) -> Option<Box<str>> {
    match value {
        &[_, _, 0, high, low, ref rest @ ..] => {
            text(rest.get(..usize::from(u16::from_be_bytes([high, low])))?)
        }
        _ => None,
    }
}

/// The extension application_layer_protocol_negotiation (RFC 7301 §3.1).
fn protocols(value: &[u8]) -> Vec<Box<str>> {
    let mut rest = value.get(2..).unwrap_or_default();
    let mut found = Vec::new();
    while let Some((length, behind)) = rest.split_first()
        && let Some((name, behind)) = behind.split_at_checked(usize::from(*length))
        && found.len() < PROTOCOLS_CAP
    {
        found.extend(text(name));
        rest = behind;
    }
    found
}

/// A text of a hello, which is ASCII.
fn text(bytes: &[u8]) -> Option<Box<str>> {
    let is_plain = bytes.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(bytes).ok()?;
    (is_plain && (1..=TEXT_CAP).contains(&text.len())).then(|| text.into())
}

/// The choices of a ServerHello, where all of it is there.
fn server_hello(fragment: &[u8]) -> Option<Introduction> {
    let mut found = messages::Messages::default().push(fragment).into_iter();
    let Some(Message::ServerHello(hello)) = found.next() else {
        return None;
    };
    Some(Introduction {
        version: match hello.is_1_3 {
            true => Some("1.3"),
            false => match fragment {
                &[_, _, _, _, high, low, ..] => version_name(u16::from_be_bytes([high, low])),
                _ => None,
            },
        },
        cipher_suite: Some(hello.suite),
        ..Introduction::default()
    })
}

/// A version of TLS by the number that stands for it (RFC 8446 §4.2.1).
fn version_name(version: u16) -> Option<&'static str> {
    Some(match version {
        0x0300 => "SSL 3.0",
        0x0301 => "1.0",
        0x0302 => "1.1",
        0x0303 => "1.2",
        0x0304 => "1.3",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extension(number: u16, value: &[u8]) -> Vec<u8> {
        let length = (value.len() as u16).to_be_bytes();
        [&number.to_be_bytes(), &length[..], value].concat()
    }

    fn hello(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 9, 9, 0, 2, 0x13, 1, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let length = (body.len() as u32).to_be_bytes();
        let message = [&[1], &length[1..], &body].concat();
        let length = (message.len() as u16).to_be_bytes();
        [&[22, 3, 1], &length[..], &message].concat()
    }

    #[test]
    fn a_client_hello_names_versions_server_and_protocols_however_much_of_it_is_there() {
        let all = hello(
            &[
                extension(0, b"\0\x09\0\0\x06broker"),
                extension(43, &[4, 3, 4, 3, 3]),
                extension(16, b"\0\x0e\x04mqtt\x08http/1.1"),
            ]
            .concat(),
        );
        let found = read(&all).unwrap();
        assert!(found.asks && found.alert.is_none());
        assert_eq!(found.version, Some("1.3"));
        assert_eq!(found.server_name.as_deref(), Some("broker"));
        assert_eq!(found.protocols, ["mqtt".into(), "http/1.1".into()]);
        for cut in 11..all.len() {
            assert!(read(&all[..cut]).is_some_and(|found| found.asks), "{cut}");
        }
        assert_eq!(read(&hello(&[])).unwrap().version, Some("1.2"));
        // A name that would move the cursor is none.
        let hostile = hello(&extension(0, b"\0\x07\0\0\x04\x1b[2J"));
        assert_eq!(read(&hostile).unwrap().server_name, None);
    }

    #[test]
    fn an_alert_names_its_reason() {
        let alert = read(b"\x15\x03\x01\0\x02\x02\x46").unwrap().alert.unwrap();
        assert_eq!((alert.fatal, alert.description), (true, 70));
        assert_eq!(alert.to_string(), "fatal, protocol version 70");
        // Encrypted, or no alert at all.
        assert_eq!(read(b"\x15\x03\x03\0\x1a\xff\x46abc"), None);
        assert_eq!(read(b"\x10\x03\x03\0\x02\x02\x46"), None);
    }
}
