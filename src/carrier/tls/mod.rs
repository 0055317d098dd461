//! TLS 1.2 and 1.3 (RFC 5246, RFC 8446): the application data of connections whose secrets are
//! known.
//!
//! In: the bytes of each direction of a TCP connection, and its gaps. Out: the application data as
//! a stream of its own. Nothing is verified but that a record was decrypted with the right key:
//! certificates and Finished messages are not looked at.
//!
//! ```text
//!  record  | type, 20..=23 | 3, 0..=4 | length, 2 bytes | fragment: length bytes |
//! ```
//!
//! A record is decrypted by its keys and its number in its direction, which is not sent. So a gap
//! costs more than its bytes: the number of the next record has to be found by trial.

mod cipher;
mod introduction;
mod keylog;
mod messages;
#[cfg(test)]
mod tests;

pub use keylog::KeyLog;

use super::carried::{self, Call, Carried, Carrier, CarrierError, Introduction, State};
use crate::base::field::{FieldDef, FieldType};
use crate::base::limits::{Limit, Limits};
use crate::stream::{ByDirection, DIRECTIONS, Direction};
use cipher::{Cipher, Suite, next_secret, suite};
use keylog::{Label, Random, Writer};
use messages::{Message, Messages, ServerHello};

/// Records that one gap is taken to have swallowed at most.
const SWALLOWED_CAP: u64 = 4_096;

/// Records at the start of a direction that may be of other keys: data that was sent early.
const FOREIGN_CAP: u8 = 64;

/// The effort of a try to decrypt a record, beside that for its bytes.
const EFFORT_OF_A_TRY: u64 = 512;

/// The effort that each byte of records adds to what may be tried.
const EFFORT_A_BYTE: u64 = 16;

/// Bytes that a gap of unknown length is taken to have swallowed.
const UNKNOWN: u64 = 8 << 10;

/// Bytes of a record's header.
const HEADER: usize = 5;

/// The most bytes of a record's fragment (RFC 5246 §6.2.3).
const FRAGMENT_CAP: usize = (16 << 10) + 2048;

/// The bytes of a connection up to the end of the ClientHello's random.
const HELLO: usize = 43;

/// The state that all TLS connections of a run share.
pub type Shared = carried::Shared<Own>;

/// The part of it that no other carrier has.
#[derive(Debug, Default)]
pub struct Own {
    /// The secrets that are known.
    pub keylog: KeyLog,
    /// The effort of decrypting in vain behind gaps, in bytes.
    tries: u64,
    /// Bytes of encrypted records.
    sealed: u64,
    /// Records not decrypted because of [`Limit::DecryptedInVain`].
    tried_too_much: u64,
    /// Directions given up because of [`Limit::Records`].
    pub over_cap: u64,
    plain: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct Tls {
    client: Direction,
    random: Random,
    agreed: Option<Agreed>,
    sides: ByDirection<Side>,
}

/// The choices of the ServerHello.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    suite: Suite,
    hello: ServerHello,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    state: State<At>,
    /// A gap came before: the next record may be of another number.
    after_gap: bool,
    /// The first part of a record.
    held: Vec<u8>,
    /// Handshake messages that records carry.
    messages: Messages,
    /// `None` as long as records are not encrypted.
    cipher: Option<Cipher>,
    /// The number of the next record of these keys.
    number: u64,
    /// Records that a gap may have swallowed.
    swallowed: u64,
    /// The traffic secret, once it is the application's.
    secret: Vec<u8>,
    /// Records that these keys did not fit, none of which they did fit before.
    foreign: u8,
    proven: bool,
}

/// The place of a direction's next bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum At {
    /// In the ClientHello.
    Hello,
    /// In a record, at its start or behind the part that is held.
    #[default]
    Record,
    /// In a record that a gap cut: bytes left of it.
    Cut(usize),
}

impl Carrier for Tls {
    type Own = Own;
    type At = At;

    const FIELD: &'static FieldDef = &FieldDef {
        name: "tls",
        label: "Transport Layer Security",
        kind: FieldType::Protocol,
        help: "TLS, decrypted with the secrets of --keylog or of the capture.",
    };
    const PORTS: &'static [u16] = &[8883];
    const CONNECTIONS: Option<Limit> = Some(Limit::Tls);
    const ENCRYPTS: bool = true;

    fn own(limits: &Limits) -> Self::Own {
        Own {
            keylog: KeyLog::new(limits),
            ..Own::default()
        }
    }

    fn resembles(bytes: &[u8]) -> bool {
        // Type and version of a record (RFC 8446 §5.1).
        matches!(bytes, [20..=23, 3, 0..=4, ..])
    }

    fn introduction(bytes: &[u8]) -> Option<Introduction> {
        introduction::read(bytes)
    }

    /// Only a ClientHello whose secrets are known opens one, or what may become one.
    fn open(shared: &Shared, direction: Direction, bytes: &[u8]) -> Option<Self> {
        if shared.own.keylog.is_empty() || !begins(bytes) {
            return None;
        }
        if random(bytes).is_some_and(|random| !shared.own.keylog.knows(&random)) {
            return None;
        }
        let mut sides: ByDirection<Side> = ByDirection::default();
        sides.of_mut(direction).state = State::At(At::Hello);
        Some(Self {
            client: direction,
            random: Random::default(),
            agreed: None,
            sides,
        })
    }

    fn is_from_start(&self) -> bool {
        true
    }

    fn state(&mut self, direction: Direction) -> &mut State<At> {
        &mut self.sides.of_mut(direction).state
    }

    fn step<'a>(&mut self, call: &mut Call<'_, Own>, at: At, bytes: &'a [u8]) -> &'a [u8] {
        match at {
            At::Hello => {
                self.hello(call, bytes);
                &[]
            }
            At::Record => self.records(call, bytes),
            At::Cut(left) => {
                let (mine, behind) = bytes.split_at_checked(left).unwrap_or((bytes, &[]));
                call.shared.lost.discarded += mine.len() as u64;
                *self.state(call.direction) = cut(left - mine.len());
                behind
            }
        }
    }

    fn seek(&self, _: Direction, bytes: &[u8]) -> Option<usize> {
        seek(bytes)
    }

    fn pass_by(&mut self, direction: Direction, bytes: u64) {
        self.sides.of_mut(direction).swallow(bytes);
    }

    fn gap(&mut self, shared: &mut Shared, direction: Direction, length: u64) -> Option<u64> {
        let side = self.sides.of_mut(direction);
        side.after_gap = true;
        side.messages = Messages::default();
        // Bytes missing of the record that the gap cut: a gap within them loses this record alone.
        let (left, is_new) = match side.state {
            State::GivenUp => return None,
            State::At(At::Cut(left)) => (left, false),
            State::At(At::Record) => {
                let missing = whole(&side.held).map(|whole| whole - side.held.len());
                (missing.unwrap_or(0), true)
            }
            State::At(At::Hello) | State::Seeking => (0, true),
        };
        shared.lost.discarded += side.let_go(shared).len() as u64;
        match usize::try_from(length) {
            Ok(length) if length > 0 && length <= left => {
                side.number += u64::from(is_new && side.cipher.is_some());
                side.state = cut(left - length);
            }
            _ => {
                side.swallow(if length == 0 { UNKNOWN } else { length });
                side.state = State::Seeking;
            }
        }
        Some(0)
    }

    fn close(&mut self, shared: &mut Shared) {
        for direction in DIRECTIONS {
            self.sides.of_mut(direction).let_go(shared);
        }
    }

    fn client(&self) -> Direction {
        self.client
    }

    fn learn(own: &mut Own, secrets: &[u8]) {
        own.keylog.learn(secrets);
    }

    fn limits(own: &Own) -> Vec<(Limit, u64)> {
        vec![
            (Limit::Secrets, own.keylog.refused()),
            (Limit::Records, own.over_cap),
            (Limit::DecryptedInVain, own.tried_too_much),
        ]
    }
}

impl Tls {
    /// Bytes of the ClientHello, until its random is known.
    fn hello(&mut self, call: &mut Call<'_, Own>, bytes: &[u8]) {
        let Call {
            shared,
            direction,
            sink,
        } = call;
        let side = self.sides.of_mut(*direction);
        side.held.extend_from_slice(bytes);
        shared.held += bytes.len();
        let random = random(&side.held);
        if random.is_none() && begins(&side.held) {
            return;
        }
        let held = side.let_go(shared);
        match random.filter(|random| shared.own.keylog.knows(random)) {
            Some(random) => {
                self.random = random;
                side.state = State::default();
                self.push(shared, *direction, &held, sink);
            }
            None => {
                sink(Carried::Mistaken {
                    direction: *direction,
                    bytes: &held,
                });
            }
        }
    }

    /// Bytes of records, up to the end of the first; what follows it.
    fn records<'a>(&mut self, call: &mut Call<'_, Own>, bytes: &'a [u8]) -> &'a [u8] {
        let side = self.sides.of_mut(call.direction);
        let known = side.held.len();
        if known == 0
            && let Some(whole) = whole(bytes)
            && let Some((record, behind)) = bytes.split_at_checked(whole)
        {
            self.record(call, record);
            return behind;
        }
        // The header first: from it follows how long the record is.
        let wanted = match whole(&side.held) {
            Some(whole) => whole - known,
            None => HEADER - known.min(HEADER),
        };
        let (mine, behind) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
        side.held.extend_from_slice(mine);
        let shared = &mut *call.shared;
        shared.held += mine.len();
        let over_cap = shared.held > shared.limits.records;
        shared.own.over_cap += u64::from(over_cap);
        match whole(&side.held) {
            None if side.held.len() >= HEADER => side.break_off(call),
            _ if over_cap => {
                let held = side.let_go(shared).len();
                side.state = call.stop_at_limit(held);
            }
            Some(whole) if whole == side.held.len() => {
                let record = side.let_go(shared);
                self.record(call, &record);
            }
            _ => {}
        }
        behind
    }

    /// One record.
    fn record(&mut self, call: &mut Call<'_, Own>, record: &[u8]) {
        let content = record.first().copied().unwrap_or(0);
        let side = self.sides.of_mut(call.direction);
        if side.cipher.is_some() {
            // In TLS 1.3 a ChangeCipherSpec has no meaning and is not encrypted (RFC 8446 §5).
            if !(content == CHANGE_CIPHER_SPEC && self.is_1_3()) {
                self.sealed(call, record);
            }
            return;
        }
        match content {
            HANDSHAKE => {
                let fragment = record.get(HEADER..).unwrap_or_default();
                for message in side.messages.push(fragment) {
                    if let Message::ServerHello(hello) = message {
                        self.agree(call, hello);
                    }
                }
            }
            CHANGE_CIPHER_SPEC if self.agreed.is_some_and(|agreed| !agreed.hello.is_1_3) => {
                self.change_cipher(call);
            }
            APPLICATION_DATA => call.shared.lost.discarded += record.len() as u64,
            _ => {}
        }
    }

    /// An encrypted record.
    fn sealed(&mut self, call: &mut Call<'_, Own>, record: &[u8]) {
        let shared = &mut *call.shared;
        let mut plain = std::mem::take(&mut shared.own.plain);
        shared.own.sealed += record.len() as u64;
        let opened = self.decrypt(shared, call.direction, record, &mut plain);
        let is_1_3 = self.is_1_3();
        let side = self.sides.of_mut(call.direction);
        match opened {
            Some(APPLICATION_DATA) if !plain.is_empty() => {
                (call.sink)(Carried::Bytes(&plain));
            }
            Some(HANDSHAKE) if is_1_3 => {
                for message in side.messages.push(&plain) {
                    self.follow(&shared.own.keylog, call.direction, message);
                }
            }
            Some(_) => {}
            None if !side.proven && side.foreign < FOREIGN_CAP => {
                side.foreign += 1;
                shared.lost.discarded += record.len() as u64;
            }
            None if side.after_gap && tries_left(shared, record) > 0 => {
                side.state = call.break_off(record.len(), true);
            }
            None => {
                shared.own.tried_too_much += u64::from(side.after_gap);
                shared.lost.given_up += record.len() as u64;
                side.break_off(call);
            }
        }
        call.shared.own.plain = plain;
    }

    /// Decrypts a record into `plain`; its content type.
    fn decrypt(
        &mut self,
        shared: &mut Shared,
        direction: Direction,
        record: &[u8],
        plain: &mut Vec<u8>,
    ) -> Option<u8> {
        let side = self.sides.of(direction);
        let swallowed = side.swallowed.min(tries_left(shared, record));
        let tries = &mut shared.own.tries;
        let mut try_all = |cipher: &Cipher, from: u64| {
            // Without authentication any number would do.
            let more = if cipher.is_authenticated() {
                swallowed
            } else {
                0
            };
            let mut numbers = from..=from.saturating_add(more);
            numbers.find_map(|number| {
                if number > from {
                    *tries += record.len() as u64 + EFFORT_OF_A_TRY;
                }
                Some((number, cipher.open(number, record, plain)?))
            })
        };
        let cipher = side.cipher.as_ref()?;
        let mut found = try_all(cipher, side.number);
        // Finished was not seen, or its keys are not known.
        let mut later = None;
        if found.is_none() && side.secret.is_empty() {
            later = self.traffic(&shared.own.keylog, direction);
            found = later.as_ref().and_then(|(cipher, _)| try_all(cipher, 0));
        }
        let (number, content) = found?;
        let side = self.sides.of_mut(direction);
        if let Some((cipher, secret)) = later {
            side.cipher = Some(cipher);
            side.secret = secret;
        }
        side.number = number + 1;
        side.swallowed = 0;
        side.proven = true;
        Some(content)
    }

    /// Follows a message of an encrypted handshake of TLS 1.3 to the keys that it begins.
    fn follow(&mut self, keylog: &KeyLog, direction: Direction, message: Message) {
        let side = self.sides.of(direction);
        let next = match message {
            Message::Finished if side.secret.is_empty() => self.traffic(keylog, direction),
            Message::KeyUpdate if !side.secret.is_empty() => self.agreed.and_then(|agreed| {
                let secret = next_secret(agreed.suite, &side.secret);
                Some((Cipher::of_secret(agreed.suite, &secret)?, secret))
            }),
            _ => None,
        };
        if let Some((cipher, secret)) = next {
            let side = self.sides.of_mut(direction);
            side.cipher = Some(cipher);
            side.secret = secret;
            side.number = 0;
        }
    }

    /// The first keys of the application's data in TLS 1.3, and their secret.
    fn traffic(&self, keylog: &KeyLog, direction: Direction) -> Option<(Cipher, Vec<u8>)> {
        let agreed = self.agreed.filter(|agreed| agreed.hello.is_1_3)?;
        let secret = keylog.secret(&self.random, Label::Traffic(self.writer(direction)))?;
        Some((Cipher::of_secret(agreed.suite, secret)?, secret.to_vec()))
    }

    fn writer(&self, direction: Direction) -> Writer {
        if direction == self.client {
            Writer::Client
        } else {
            Writer::Server
        }
    }

    fn is_1_3(&self) -> bool {
        self.agreed.is_some_and(|agreed| agreed.hello.is_1_3)
    }

    /// Takes the choices of the ServerHello, and the keys that follow from them.
    fn agree(&mut self, call: &mut Call<'_, Own>, hello: ServerHello) {
        if call.direction == self.client || self.agreed.is_some() {
            return;
        }
        let Some(suite) = suite(hello.suite).filter(|_| hello.is_1_2 || hello.is_1_3) else {
            for direction in DIRECTIONS {
                let side = self.sides.of_mut(direction);
                side.let_go(call.shared);
                side.state = State::GivenUp;
            }
            (call.sink)(Carried::Failed(CarrierError::Unsupported(hello.suite)));
            return;
        };
        self.agreed = Some(Agreed { suite, hello });
        if !hello.is_1_3 {
            return;
        }
        let keylog = &call.shared.own.keylog;
        for direction in DIRECTIONS {
            let secret = keylog.secret(&self.random, Label::Handshake(self.writer(direction)));
            let cipher = secret.and_then(|secret| Cipher::of_secret(suite, secret));
            // Where that one is not known, the next may be.
            let next = || Some(self.traffic(keylog, direction)?.0);
            let cipher = cipher.or_else(next);
            let side = self.sides.of_mut(direction);
            side.number = 0;
            side.cipher = cipher;
        }
    }

    /// From here on, what the sender sends in TLS 1.2 is encrypted.
    fn change_cipher(&mut self, call: &mut Call<'_, Own>) {
        let writer = self.writer(call.direction);
        let master = call.shared.own.keylog.secret(&self.random, Label::Master);
        let cipher = self.agreed.zip(master).and_then(|(agreed, master)| {
            let randoms = (&self.random, &agreed.hello.random);
            let mac_outside = agreed.hello.encrypt_then_mac;
            Cipher::of_master(agreed.suite, master, randoms, writer, mac_outside)
        });
        let side = self.sides.of_mut(call.direction);
        side.number = 0;
        side.cipher = cipher;
        if side.cipher.is_none() {
            side.break_off(call);
        }
    }
}

/// Content types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

impl Side {
    /// Gives up what is held and no record.
    fn break_off(&mut self, call: &mut Call<'_, Own>) {
        let held = self.let_go(call.shared).len();
        self.state = call.break_off(held, self.after_gap);
    }

    /// So many bytes of records were not read.
    fn swallow(&mut self, bytes: u64) {
        // A record takes 22 bytes at least.
        let records = bytes / 22 + 1;
        self.swallowed = self.swallowed.saturating_add(records).min(SWALLOWED_CAP);
    }

    /// Lets go of what was held of a record.
    fn let_go(&mut self, shared: &mut Shared) -> Vec<u8> {
        shared.held -= self.held.len();
        std::mem::take(&mut self.held)
    }
}

/// Returns how often `record` may be decrypted in vain: a try costs effort, and the bytes of records
/// bring it, so that the whole is linear in the input.
fn tries_left(shared: &Shared, record: &[u8]) -> u64 {
    let brought = EFFORT_A_BYTE * shared.own.sealed;
    let most = brought.saturating_add(shared.limits.decrypted_in_vain as u64);
    most.saturating_sub(shared.own.tries) / (record.len() as u64 + EFFORT_OF_A_TRY)
}

/// The state in which `left` bytes are missing of a record that a gap cut.
fn cut(left: usize) -> State<At> {
    State::At(match left {
        0 => At::Record,
        left => At::Cut(left),
    })
}

/// Bytes of the whole record at the front of `bytes`, where its header is there and sound.
fn whole(bytes: &[u8]) -> Option<usize> {
    let &[20..=24, 3, 0..=4, high, low, ..] = bytes else {
        return None;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    (length <= FRAGMENT_CAP).then_some(HEADER + length)
}

/// Records in a row that are believed whatever follows them.
const ROW: usize = 4;

/// Where in a segment records begin again behind a gap. Whether it is one shows when it is
/// decrypted.
fn seek(bytes: &[u8]) -> Option<usize> {
    (0..bytes.len()).find(|at| is_row(bytes.get(*at..).unwrap_or_default()))
}

/// Whether `bytes` are whole records one behind the other, or the first part of the last.
fn is_row(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    for _ in 0..ROW {
        match whole(rest).map(|whole| rest.get(whole..)) {
            Some(Some([]) | None) => return true,
            Some(Some(behind)) => rest = behind,
            // The next header may be cut.
            None => return rest.len() < HEADER && rest.len() < bytes.len(),
        }
    }
    true
}

/// Whether `bytes` begin a ClientHello, as far as they go.
fn begins(bytes: &[u8]) -> bool {
    let known = [22..=22, 3..=3, 0..=4, 0..=255, 0..=255, 1..=1];
    let mut both = bytes.iter().zip(known);
    !bytes.is_empty() && both.all(|(byte, known)| known.contains(byte))
}

/// The random of the ClientHello at the front of `bytes`.
fn random(bytes: &[u8]) -> Option<Random> {
    bytes.get(HELLO - 32..HELLO)?.try_into().ok()
}
