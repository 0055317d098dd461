//! TLS secrets in the format of SSLKEYLOGFILE (RFC 9850).

use foldhash::HashMap;

use crate::base::limits::Limits;

/// The longest secret, in bytes: of SHA-384, and the master secret of TLS 1.2.
const SECRET: usize = 48;

/// The use of a secret.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Label {
    /// `CLIENT_RANDOM`: the master secret of TLS 1.2.
    Master,
    /// Of the handshake in TLS 1.3, as one end sends it.
    Handshake(Writer),
    /// Of the application's first data in TLS 1.3, as one end sends it.
    Traffic(Writer),
}

impl Label {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Master, "CLIENT_RANDOM"),
        (
            Self::Handshake(Writer::Client),
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
        ),
        (
            Self::Handshake(Writer::Server),
            "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        ),
        (Self::Traffic(Writer::Client), "CLIENT_TRAFFIC_SECRET_0"),
        (Self::Traffic(Writer::Server), "SERVER_TRAFFIC_SECRET_0"),
    ];
}

/// The end whose records are decrypted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(super) enum Writer {
    Client,
    Server,
}

/// The random bytes of a ClientHello, by which a connection's secrets are found.
pub(super) type Random = [u8; 32];

/// One secret; it is not shown by `Debug`.
#[derive(Clone)]
struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// The secrets of many connections.
#[derive(Clone, Debug, Default)]
pub struct KeyLog {
    secrets: HashMap<(Random, Label), Secret>,
    limits: Limits,
    refused: u64,
}

impl KeyLog {
    /// Makes a log that keeps as many secrets as `limits` allow.
    pub fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            ..Self::default()
        }
    }

    /// Learns the secrets that `text` holds, a line each; how many it holds. Lines of other
    /// kinds, comments and broken lines are passed over.
    pub fn learn(&mut self, text: &[u8]) -> usize {
        let lines = text.split(|byte| matches!(byte, b'\n' | b'\r'));
        lines.filter(|line| self.learn_line(line).is_some()).count()
    }

    fn learn_line(&mut self, line: &[u8]) -> Option<()> {
        let mut words = line
            .split(|byte| matches!(byte, b' ' | b'\t'))
            .filter(|word| !word.is_empty());
        let label = words.next()?;
        let mut labels = Label::ALL.iter();
        let (label, _) = labels.find(|(_, name)| name.as_bytes() == label)?;
        let random = unhex(words.next()?)?.try_into().ok()?;
        let secret = unhex(words.next()?)?;
        let known = (random, *label);
        if self.secrets.len() >= self.limits.secrets && !self.secrets.contains_key(&known) {
            self.refused += 1;
            return None;
        }
        self.secrets.insert(known, Secret(secret));
        Some(())
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.secrets.is_empty()
    }

    /// Secrets that were not kept because of [`Limit::Secrets`](crate::base::limits::Limit::Secrets).
    pub const fn refused(&self) -> u64 {
        self.refused
    }

    /// A secret of the connection whose ClientHello has this random.
    pub(super) fn secret(&self, random: &Random, label: Label) -> Option<&[u8]> {
        let secret = self.secrets.get(&(*random, label))?;
        Some(&secret.0)
    }

    /// Whether there is any secret of that connection.
    pub(super) fn knows(&self, random: &Random) -> bool {
        let mut labels = Label::ALL.iter();
        labels.any(|(label, _)| self.secrets.contains_key(&(*random, *label)))
    }
}

/// Reads hexadecimal digits; `None` where they are none, or more than a secret has.
fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    if pairs.is_empty() || pairs.len() > SECRET {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| u8::try_from(digit(*high)? << 4 | digit(*low)?).ok();
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_by_random_and_label() {
        let random = "ab".repeat(32);
        let text = format!(
            "# a comment\r\nCLIENT_RANDOM {random} {}\n\
             SERVER_TRAFFIC_SECRET_0  {random}\t{}\nEXPORTER_SECRET {random} 00\n\
             CLIENT_RANDOM {random}00 00\nCLIENT_RANDOM short 00\nCLIENT_RANDOM {random} 0\n\
             CLIENT_RANDOM {random} {}\n",
            "0c".repeat(48),
            "01".repeat(32),
            "00".repeat(49)
        );
        let mut log = KeyLog::default();
        assert_eq!(log.learn(text.as_bytes()), 2);
        let random = [0xab; 32];
        assert_eq!(log.secret(&random, Label::Master), Some(&[12; 48][..]));
        assert_eq!(
            log.secret(&random, Label::Traffic(Writer::Server)),
            Some(&[1; 32][..])
        );
        assert_eq!(log.secret(&random, Label::Traffic(Writer::Client)), None);
        assert!(log.knows(&random) && !log.knows(&[0; 32]));
        assert!(!format!("{log:?}").contains("12, 12"));
    }

    #[test]
    fn secrets_beyond_their_cap_are_not_kept_and_counted() {
        let mut log = KeyLog::new(&Limits {
            secrets: 2,
            ..Limits::DEFAULT
        });
        let line = |random: &str| format!("CLIENT_RANDOM {} 00", random.repeat(32));
        for random in ["00", "01"] {
            assert_eq!(log.learn(line(random).as_bytes()), 1);
        }
        assert_eq!(log.learn(line("ff").as_bytes()), 0);
        // One that is known takes no more room.
        assert_eq!(log.learn(line("00").as_bytes()), 1);
        assert_eq!(log.refused(), 1);
    }
}
