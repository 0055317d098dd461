use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use proptest::prelude::*;

use super::cipher::testing;
use super::*;

const UP: Direction = Direction::Forward;
const DOWN: Direction = Direction::Backward;
const CLIENT: Random = [1; 32];
const SERVER: Random = [2; 32];

fn record(content: u8, fragment: &[u8]) -> Vec<u8> {
    let length = (fragment.len() as u16).to_be_bytes();
    [&[content, 3, 3][..], &length, fragment].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_be_bytes();
    [&[kind][..], &length[1..], body].concat()
}

fn client_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &CLIENT, &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    record(HANDSHAKE, &message(1, &body))
}

/// Of TLS 1.3 where it has the extension, else of 1.2.
fn server_hello(suite: u16, is_1_3: bool) -> Vec<u8> {
    let [high, low] = suite.to_be_bytes();
    let extensions: &[u8] = if is_1_3 {
        &[0, 6, 0, 43, 0, 2, 3, 4]
    } else {
        &[0, 0]
    };
    let body = [&[3, 3][..], &SERVER, &[0, high, low, 0], extensions].concat();
    record(HANDSHAKE, &message(2, &body))
}

/// The secret of a label, different for each.
fn secret(label: &str) -> Vec<u8> {
    label.bytes().cycle().take(32).collect()
}

const LABELS: [&str; 4] = [
    "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
    "SERVER_HANDSHAKE_TRAFFIC_SECRET",
    "CLIENT_TRAFFIC_SECRET_0",
    "SERVER_TRAFFIC_SECRET_0",
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A log with the secrets of these labels.
fn keylog(labels: &[&str]) -> KeyLog {
    let mut log = KeyLog::default();
    for label in labels {
        let line = format!("{label} {} {}", hex(&CLIENT), hex(&secret(label)));
        assert_eq!(log.learn(line.as_bytes()), 1);
    }
    log
}

/// One end's keys, and the number of its next record.
struct Sealer {
    secret: Vec<u8>,
    number: u64,
}

impl Sealer {
    fn new(label: &str) -> Self {
        Self {
            secret: secret(label),
            number: 0,
        }
    }

    /// An encrypted record of TLS 1.3.
    fn seal(&mut self, content: u8, bytes: &[u8]) -> Vec<u8> {
        let (key, mut nonce) = testing::keys(&self.secret);
        for (byte, number) in nonce.iter_mut().skip(4).zip(self.number.to_be_bytes()) {
            *byte ^= number;
        }
        self.number += 1;
        let mut sealed = [bytes, &[content, 0, 0]].concat();
        let header = record(APPLICATION_DATA, &vec![0; sealed.len() + 16]);
        let cipher = Aes128Gcm::new_from_slice(&key).unwrap();
        let nonce = (&nonce).into();
        cipher
            .encrypt_in_place(nonce, &header[..5], &mut sealed)
            .unwrap();
        record(APPLICATION_DATA, &sealed)
    }

    fn key_update(&mut self) -> Vec<u8> {
        let sealed = self.seal(HANDSHAKE, &message(24, &[0]));
        self.secret = next_secret(suite(0x1301).unwrap(), &self.secret);
        self.number = 0;
        sealed
    }
}

/// A connection, and what came out of it.
#[derive(Default)]
struct Run {
    shared: Shared,
    tls: Option<Tls>,
    bytes: ByDirection<Vec<u8>>,
    others: Vec<String>,
}

impl Run {
    fn knowing(labels: &[&str]) -> Self {
        let mut run = Self::default();
        run.shared.own.keylog = keylog(labels);
        run
    }

    /// A connection of TLS 1.3 whose handshake is over.
    fn opened() -> (Self, Sealer, Sealer) {
        let mut run = Self::knowing(&LABELS);
        run.segment(UP, &client_hello());
        let mut server = Sealer::new(LABELS[1]);
        let finished = server.seal(HANDSHAKE, &message(20, &[0; 32]));
        run.segment(
            DOWN,
            &[server_hello(0x1301, true), record(20, &[1]), finished].concat(),
        );
        let mut client = Sealer::new(LABELS[0]);
        let finished = client.seal(HANDSHAKE, &message(20, &[0; 32]));
        run.segment(UP, &[record(20, &[1]), finished].concat());
        (run, Sealer::new(LABELS[2]), Sealer::new(LABELS[3]))
    }

    fn segment(&mut self, direction: Direction, bytes: &[u8]) -> &mut Self {
        if self.tls.is_none() {
            self.tls = Tls::open(&self.shared, direction, bytes);
        }
        let Some(tls) = &mut self.tls else {
            return self;
        };
        let (out, others) = (self.bytes.of_mut(direction), &mut self.others);
        tls.push(&mut self.shared, direction, bytes, &mut |carried| {
            match carried {
                Carried::Bytes(bytes) => out.extend_from_slice(bytes),
                Carried::Mistaken { bytes, .. } => others.push(format!("other {}", bytes.len())),
                Carried::Failed(error) => others.push(format!("{error:?}")),
                other => others.push(format!("{other:?}")),
            }
            0
        });
        self
    }

    fn gap(&mut self, direction: Direction, length: usize) -> Option<u64> {
        let tls = self.tls.as_mut().unwrap();
        tls.gap(&mut self.shared, direction, length as u64)
    }

    fn close(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.close(&mut self.shared);
        }
        assert_eq!(self.shared.held, 0);
    }
}

#[test]
fn data_of_both_ends_comes_out() {
    let (mut run, mut client, mut server) = Run::opened();
    run.segment(UP, &client.seal(APPLICATION_DATA, b"ask"));
    run.segment(DOWN, &server.seal(APPLICATION_DATA, b"answer"));
    let two = [
        client.seal(APPLICATION_DATA, b" and"),
        client.seal(APPLICATION_DATA, b" again"),
    ];
    run.segment(UP, &two.concat());
    assert_eq!(
        (&run.bytes.of(UP)[..], &run.bytes.of(DOWN)[..]),
        (&b"ask and again"[..], &b"answer"[..])
    );
    assert!(run.others.is_empty());
    run.close();
}

#[test]
fn without_secrets_nothing_is_opened() {
    let mut run = Run::default();
    run.segment(UP, &client_hello());
    assert!(run.tls.is_none());
    run.shared.own.keylog = keylog(&LABELS);
    assert!(Tls::open(&run.shared, UP, b"\x16\x03\x01\x00\x05hello").is_none());
    let other = format!("CLIENT_RANDOM {} 00", "09".repeat(32));
    run.shared.own.keylog = KeyLog::default();
    run.shared.own.keylog.learn(other.as_bytes());
    assert!(Tls::open(&run.shared, UP, &client_hello()).is_none());
    // Cut before the random, it may be known: held until it is there.
    run.segment(UP, &client_hello()[..20])
        .segment(UP, &client_hello()[20..]);
    assert_eq!(run.others, [format!("other {}", client_hello().len())]);
    run.close();
}

#[test]
fn keys_are_updated() {
    let (mut run, mut client, _) = Run::opened();
    for part in ["one ", "two ", "three"] {
        run.segment(UP, &client.seal(APPLICATION_DATA, part.as_bytes()));
        run.segment(UP, &client.key_update());
    }
    assert_eq!(run.bytes.of(UP), b"one two three");
}

#[test]
fn the_secrets_of_the_data_suffice() {
    let mut run = Run::knowing(&LABELS[2..]);
    run.segment(UP, &client_hello())
        .segment(DOWN, &server_hello(0x1301, true));
    let mut handshake = Sealer::new("unknown");
    for direction in [UP, DOWN] {
        run.segment(
            direction,
            &handshake.seal(HANDSHAKE, &message(20, &[0; 32])),
        );
    }
    run.segment(UP, &Sealer::new(LABELS[2]).seal(APPLICATION_DATA, b"up"));
    run.segment(
        DOWN,
        &Sealer::new(LABELS[3]).seal(APPLICATION_DATA, b"down"),
    );
    assert_eq!(
        (&run.bytes.of(UP)[..], &run.bytes.of(DOWN)[..]),
        (&b"up"[..], &b"down"[..])
    );
}

#[test]
fn data_sent_early_is_passed_over() {
    let mut run = Run::knowing(&LABELS);
    run.segment(UP, &client_hello());
    let mut early = Sealer::new("early");
    run.segment(DOWN, &server_hello(0x1301, true));
    run.segment(UP, &early.seal(APPLICATION_DATA, b"early"));
    run.segment(
        UP,
        &Sealer::new(LABELS[0]).seal(HANDSHAKE, &message(20, &[0; 32])),
    );
    run.segment(UP, &Sealer::new(LABELS[2]).seal(APPLICATION_DATA, b"data"));
    assert_eq!(run.bytes.of(UP), b"data");
    assert!(run.shared.lost.discarded > 0 && run.others.is_empty());
}

#[test]
fn keys_that_never_fit_end_a_direction() {
    let (mut run, ..) = Run::opened();
    let mut wrong = Sealer::new("wrong");
    run.segment(UP, &wrong.seal(APPLICATION_DATA, b"?"));
    assert_eq!(run.others, ["Broken"]);
    let mut run = Run::knowing(&LABELS);
    run.segment(UP, &client_hello())
        .segment(DOWN, &server_hello(0x1301, true));
    for _ in 0..=FOREIGN_CAP {
        assert!(run.others.is_empty());
        run.segment(UP, &wrong.seal(APPLICATION_DATA, b"?"));
    }
    assert_eq!(run.others, ["Broken"]);
}

#[test]
fn a_suite_that_is_not_decrypted_is_named() {
    for (suite, is_1_3) in [(0x0041, false), (0x1399, true)] {
        let mut run = Run::knowing(&LABELS);
        run.segment(UP, &client_hello())
            .segment(DOWN, &server_hello(suite, is_1_3));
        assert_eq!(run.others, [format!("Unsupported({suite})")]);
        run.segment(UP, &record(APPLICATION_DATA, &[0; 30]));
        assert_eq!(run.shared.lost.given_up, 35);
    }
}

#[test]
fn a_gap_in_a_record_costs_that_record() {
    let (mut run, mut client, _) = Run::opened();
    let sealed = client.seal(APPLICATION_DATA, &[b'x'; 100]);
    run.segment(UP, &sealed[..20]);
    assert_eq!(run.gap(UP, 30), Some(0));
    assert_eq!(run.gap(UP, 10), Some(0));
    run.segment(
        UP,
        &[&sealed[60..], &client.seal(APPLICATION_DATA, b"next")].concat(),
    );
    assert_eq!(run.bytes.of(UP), b"next");
    run.close();
}

#[test]
fn behind_any_other_gap_records_are_found_again_with_their_number() {
    let (mut run, mut client, _) = Run::opened();
    let lost: Vec<_> = (0..50)
        .map(|_| client.seal(APPLICATION_DATA, b"lost"))
        .collect();
    let lost = lost.concat();
    assert_eq!(run.gap(UP, lost.len() - 3), Some(0));
    run.segment(UP, &lost[lost.len() - 3..]);
    run.segment(UP, &client.seal(APPLICATION_DATA, b"found"));
    run.segment(UP, &client.seal(APPLICATION_DATA, b" again"));
    assert_eq!(run.bytes.of(UP), b"found again");
    // As many as were lost were tried.
    let sealed = lost.len() as u64 / 50;
    assert_eq!(run.shared.own.tries, 50 * (sealed + 1 + EFFORT_OF_A_TRY));
    run.close();
}

#[test]
fn records_that_fill_segments_are_found_again_behind_a_gap() {
    let (mut run, mut client, _) = Run::opened();
    let sealed: Vec<_> = (0..400_u16)
        .map(|at| client.seal(APPLICATION_DATA, &at.to_be_bytes().repeat(10)))
        .collect();
    let bytes = sealed.concat();
    for (number, segment) in bytes.chunks(1448).enumerate() {
        if number == 2 {
            run.gap(UP, segment.len());
        } else {
            run.segment(UP, segment);
        }
    }
    let others = run.bytes.of(UP).len() / 20;
    assert!((360..400).contains(&others), "{others}");
    assert!(
        run.bytes
            .of(UP)
            .ends_with(&399_u16.to_be_bytes().repeat(10))
    );
    run.close();
}

#[test]
fn decryptions_tried_behind_gaps_have_a_cap() {
    let (mut run, mut client, _) = Run::opened();
    run.segment(UP, &client.seal(APPLICATION_DATA, b"first"));
    // The record behind the gap brings 16 for each of its 38 bytes: not more than one try.
    run.shared.limits.decrypted_in_vain = 0;
    run.shared.own.tries = EFFORT_A_BYTE * run.shared.own.sealed;
    let lost = client.seal(APPLICATION_DATA, b"lost");
    run.gap(UP, lost.len());
    run.segment(UP, &client.seal(APPLICATION_DATA, b"too small"));
    assert_eq!(run.bytes.of(UP), b"first");
    assert_eq!(run.others, ["Gap"]);
    assert_eq!(run.shared.own.tried_too_much, 1);
    run.segment(UP, &record(APPLICATION_DATA, &[0; 30]));
    assert_eq!(run.bytes.of(UP), b"first");
}

#[test]
fn records_are_held_up_to_their_cap() {
    let (mut run, mut client, _) = Run::opened();
    run.shared.limits.records = 10;
    run.segment(UP, &client.seal(APPLICATION_DATA, b"whole"));
    let sealed = client.seal(APPLICATION_DATA, b"cut");
    run.segment(UP, &sealed[..20]);
    assert_eq!(
        (&run.others[..], run.shared.own.over_cap),
        (&["OverLimit".to_owned()][..], 1)
    );
    assert_eq!(run.bytes.of(UP), b"whole");
    run.close();
}

proptest! {
    #[test]
    fn however_a_connection_is_cut_the_same_comes_out(
        parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..10),
        cuts in proptest::collection::vec(1..90_usize, 1..30),
    ) {
        let (mut run, mut client, _) = Run::opened();
        let sealed: Vec<_> = parts.iter().map(|part| client.seal(APPLICATION_DATA, part)).collect();
        let sealed = sealed.concat();
        let mut rest = &sealed[..];
        for cut in cuts.iter().cycle() {
            let (segment, behind) = rest.split_at(rest.len().min(*cut));
            run.segment(UP, segment);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(run.bytes.of(UP), &parts.concat());
        prop_assert!(run.others.is_empty());
        run.close();
    }

    #[test]
    fn a_handshake_may_be_cut_anywhere(cut in 1..60_usize) {
        let mut run = Run::knowing(&LABELS);
        let mut server = Sealer::new(LABELS[1]);
        let finished = server.seal(HANDSHAKE, &message(20, &[0; 32]));
        let data = Sealer::new(LABELS[3]).seal(APPLICATION_DATA, b"data");
        for part in client_hello().chunks(cut) {
            run.segment(UP, part);
        }
        for part in [server_hello(0x1301, true), finished, data].concat().chunks(cut) {
            run.segment(DOWN, part);
        }
        prop_assert_eq!(&run.bytes.of(DOWN)[..], b"data");
    }

    #[test]
    fn nothing_that_follows_a_handshake_panics(
        parts in proptest::collection::vec(
            (any::<bool>(), 18..26_u8, proptest::collection::vec(any::<u8>(), 0..40), 0..90_usize),
            0..30),
    ) {
        let (mut run, ..) = Run::opened();
        for (up, content, bytes, gap) in parts {
            let direction = if up { UP } else { DOWN };
            run.segment(direction, &record(content, &bytes));
            if gap > 60 {
                run.gap(direction, gap - 61);
            } else if gap > 50 {
                run.segment(direction, &bytes);
            }
        }
        run.close();
    }
}
