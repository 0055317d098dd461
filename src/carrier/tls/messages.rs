//! Handshake messages, which records may cut anywhere (RFC 8446 §4).
//!
//! ```text
//!  message      | kind | length, 3 bytes | body ...
//!  ServerHello  | version, 2 | random, 32 | n | session, n | suite, 2 | compression, 1 |
//!               | extensions' length, 2 | (type, 2 | length, 2 | value ...) ...
//! ```

use super::keylog::Random;

/// Bytes of a message that is read; a longer one is passed over. A ServerHello takes some hundred
/// bytes; certificates, which may be far longer, are never read.
const MESSAGE_CAP: usize = 4096;

/// The random of a ServerHello that is a HelloRetryRequest (RFC 8446 §4.1.3).
const RETRY: Random = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A message that changes what follows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Message {
    /// It settles the keys.
    ServerHello(ServerHello),
    /// In TLS 1.3 the application's keys follow it.
    Finished,
    /// The sender's next record is of new keys (RFC 8446 §4.6.3).
    KeyUpdate,
}

/// The choices of a ServerHello.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct ServerHello {
    pub(super) random: Random,
    /// Cipher suite.
    pub(super) suite: u16,
    /// By the version field, which 1.3 sets to 1.2 as well.
    pub(super) is_1_2: bool,
    /// By the extension supported_versions (RFC 8446 §4.2.1).
    pub(super) is_1_3: bool,
    /// The extension of RFC 7366.
    pub(super) encrypt_then_mac: bool,
}

/// The messages of one direction.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The first part of a message that is read.
    held: Vec<u8>,
    /// Bytes left of one that is passed over.
    left: usize,
}

impl Messages {
    /// Takes a part of the handshake; returns the messages that end in it and matter.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut found = Vec::new();
        let mut rest = bytes;
        loop {
            let (_, behind) = rest.split_at_checked(self.left).unwrap_or((rest, &[]));
            self.left -= rest.len() - behind.len();
            rest = behind;
            let wanted = match self.held.as_slice() {
                &[_, high, middle, low, ..] => {
                    4 + u32::from_be_bytes([0, high, middle, low]) as usize
                }
                _ => 4,
            };
            let (mine, behind) = rest
                .split_at_checked(wanted - self.held.len())
                .unwrap_or((rest, &[]));
            self.held.extend_from_slice(mine);
            rest = behind;
            let &[kind, high, middle, low, ref body @ ..] = self.held.as_slice() else {
                return found;
            };
            let length = u32::from_be_bytes([0, high, middle, low]) as usize;
            let matters = matches!(kind, SERVER_HELLO | FINISHED | KEY_UPDATE);
            if !matters || length > MESSAGE_CAP {
                self.left = length;
                self.held.clear();
            } else if body.len() == length {
                found.extend(match kind {
                    SERVER_HELLO => server_hello(body).map(Message::ServerHello),
                    FINISHED => Some(Message::Finished),
                    _ => Some(Message::KeyUpdate),
                });
                self.held = Vec::new();
            }
            if rest.is_empty() {
                return found;
            }
        }
    }
}

const SERVER_HELLO: u8 = 2;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

/// RFC 8446 §4.1.3. `None` for a HelloRetryRequest.
fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let (version, rest) = body.split_first_chunk::<2>()?;
    let (random, rest) = rest.split_first_chunk::<32>()?;
    let (session, rest) = rest.split_first()?;
    let rest = rest.get(usize::from(*session)..)?;
    let (suite, rest) = rest.split_first_chunk::<2>()?;
    let mut hello = ServerHello {
        random: *random,
        suite: u16::from_be_bytes(*suite),
        is_1_2: *version == [3, 3],
        is_1_3: false,
        encrypt_then_mac: false,
    };
    // The compression method, and the length of the extensions if there are any.
    let mut extensions = rest.get(3..).unwrap_or_default();
    while let Some((&[a, b, c, d], behind)) = extensions.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([c, d]));
        let value = behind.get(..length)?;
        match u16::from_be_bytes([a, b]) {
            22 => hello.encrypt_then_mac = true,
            43 => hello.is_1_3 = value == [3, 4],
            _ => {}
        }
        extensions = behind.get(length..)?;
    }
    (*random != RETRY).then_some(hello)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(version: [u8; 2], extensions: &[u8]) -> Vec<u8> {
        let mut body = version.to_vec();
        body.extend([7; 32]);
        body.extend([2, 0, 0, 0x13, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        body
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32).to_be_bytes();
        [&[kind], &length[1..], body].concat()
    }

    #[test]
    fn messages_are_read_however_records_cut_them() {
        let body = hello([3, 3], &[0, 43, 0, 2, 3, 4, 0, 22, 0, 0]);
        let all = [
            message(2, &body),
            message(11, &[0; 700]),
            message(20, &[1; 32]),
            message(14, &[]),
            message(24, &[0]),
            message(2, &[0; 5000]),
            message(20, &[]),
        ]
        .concat();
        let wanted = [
            Message::ServerHello(ServerHello {
                random: [7; 32],
                suite: 0x1301,
                is_1_2: true,
                is_1_3: true,
                encrypt_then_mac: true,
            }),
            Message::Finished,
            Message::KeyUpdate,
            Message::Finished,
        ];
        for part in [1, 2, 3, 5, 40, 1000, all.len()] {
            let mut messages = Messages::default();
            let found: Vec<_> = all
                .chunks(part)
                .flat_map(|part| messages.push(part))
                .collect();
            assert_eq!(found, wanted, "{part}");
            assert_eq!((messages.held.len(), messages.left), (0, 0));
        }
    }

    #[test]
    fn a_retry_is_no_agreement() {
        let mut body = hello([3, 3], &[]);
        assert!(server_hello(&body).is_some_and(|hello| !hello.is_1_3));
        body[2..34].copy_from_slice(&RETRY);
        assert_eq!(server_hello(&body), None);
        assert_eq!(server_hello(&body[..30]), None);
        assert!(server_hello(&hello([3, 1], &[])).is_some_and(|hello| !hello.is_1_2));
    }
}
