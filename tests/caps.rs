//! Every limit of the table is reached by a test, and the limits of the analysis by
//! whole captures: what a run tells of them is what a user sees.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mqtt_inspect::base::limits::{BrokerLimit, Limit};
use mqtt_inspect::base::{Precision, Timestamp};
use mqtt_inspect::capture::{Format, LinkType, Writer};
use mqtt_inspect::inspect::Outcome;

use crate::damage::shown::{Shown, shown};

/// Each limit of the analysis and the test that reaches it.
const REACHED: &[(&str, &str)] = &[
    (
        "frame-bytes",
        "frames_up_to_the_cap_are_read_where_the_header_allows_them",
    ),
    (
        "block-bytes",
        "a_record_that_claims_too_much_is_corrupt_and_takes_no_memory",
    ),
    (
        "interfaces",
        "a_section_keeps_no_more_interfaces_than_the_cap",
    ),
    (
        "zstd-window",
        "a_zstd_window_above_the_cap_is_refused_with_its_size",
    ),
    ("expansion", "what_expands_without_end_is_given_up"),
    (
        "headers",
        "ip_in_ip_is_read_in_every_pairing_and_to_a_bounded_depth",
    ),
    (
        "fragmented-datagrams",
        "beyond_the_cap_on_datagrams_the_oldest_is_given_up",
    ),
    (
        "fragments",
        "beyond_the_cap_on_bytes_the_oldest_is_given_up_but_not_for_itself",
    ),
    (
        "fragment-seconds",
        "old_datagrams_are_given_up_by_the_captures_clock",
    ),
    (
        "skip-reasons",
        "reasons_beyond_their_cap_are_counted_together",
    ),
    (
        "connections",
        "a_full_table_evicts_who_was_silent_longest_and_says_so",
    ),
    (
        "analysed-connections",
        "connections_at_a_time_are_limited_and_the_limit_can_be_raised",
    ),
    ("closed-connections", "lingering_connections_have_a_cap"),
    ("waiting", "waiting_bytes_of_a_direction_have_a_cap"),
    (
        "waiting-all",
        "waiting_bytes_in_all_have_a_cap_and_the_longest_waiting_go_first",
    ),
    (
        "held",
        "a_packet_beyond_the_cap_is_counted_and_the_next_one_is_told",
    ),
    ("undecided", "what_is_held_for_want_of_evidence_is_bounded"),
    (
        "undecided-elsewhere",
        "what_is_held_for_want_of_evidence_is_bounded",
    ),
    (
        "carried",
        "websockets_beyond_their_cap_are_not_followed_and_counted",
    ),
    (
        "tls",
        "tls_connections_beyond_their_cap_are_not_decrypted_and_counted",
    ),
    (
        "secrets",
        "secrets_beyond_their_cap_are_not_kept_and_counted",
    ),
    ("records", "records_are_held_up_to_their_cap"),
    (
        "decrypted-in-vain",
        "decryptions_tried_behind_gaps_have_a_cap",
    ),
    (
        "head-bytes",
        "a_head_that_does_not_end_is_held_up_to_its_cap",
    ),
    ("heads", "heads_of_all_connections_are_held_up_to_their_cap"),
    (
        "inflaters",
        "directions_beyond_the_cap_on_inflaters_are_given_up",
    ),
    ("inflated", "messages_that_expand_without_end_are_given_up"),
    (
        "frames-listed",
        "the_frames_of_a_packet_are_listed_up_to_a_cap",
    ),
    (
        "topic-aliases",
        "an_alias_beyond_the_cap_stands_for_nothing",
    ),
    (
        "topic-alias-bytes",
        "an_alias_beyond_the_cap_stands_for_nothing",
    ),
    (
        "topic-alias-bytes-all",
        "topic_aliases_have_a_cap_over_all_connections",
    ),
    (
        "client-ids",
        "client_identifiers_have_a_limit_over_all_connections",
    ),
    (
        "handshakes",
        "handshakes_beyond_their_cap_are_given_up_and_told",
    ),
    (
        "handshakes-kept",
        "handshakes_of_an_absent_client_beyond_their_cap_are_given_up_and_told",
    ),
    (
        "messages",
        "messages_beyond_their_cap_are_given_up_and_told",
    ),
    (
        "deliveries",
        "deliveries_beyond_their_cap_are_given_up_and_told",
    ),
    (
        "retained",
        "retained_messages_beyond_their_cap_are_given_up_and_told",
    ),
    ("wills", "wills_beyond_their_cap_are_given_up_and_told"),
    (
        "sessions",
        "sessions_beyond_their_cap_are_given_up_and_told",
    ),
    (
        "subscriptions",
        "subscriptions_beyond_their_cap_are_not_kept_and_told",
    ),
    (
        "filter-levels",
        "levels_of_filters_beyond_their_cap_are_not_kept_and_told",
    ),
    (
        "matches",
        "subscriptions_found_beyond_their_cap_are_left_out_and_told",
    ),
    (
        "matches-ahead",
        "overlapping_filters_of_thousands_are_searched_within_a_budget_and_told",
    ),
    ("servers", "servers_beyond_their_cap_are_told"),
    (
        "sessions-ended",
        "sessions_that_come_back_are_told_where_ended_ones_were_forgotten",
    ),
    (
        "connections-with-gaps",
        "connections_with_gaps_that_are_forgotten_are_told",
    ),
    (
        "settled",
        "copies_are_told_where_settled_messages_were_forgotten",
    ),
    ("ordered", "streams_of_messages_that_are_forgotten_are_told"),
    (
        "reordered",
        "a_handshake_outlasted_by_too_many_is_told_behind_them",
    ),
    (
        "name-bytes",
        "a_long_name_is_kept_short_and_apart_from_others",
    ),
    ("findings", "what_was_told_too_often_is_counted"),
    (
        "json-records",
        "a_document_holds_no_more_records_than_its_cap_and_says_so",
    ),
    (
        "stats-topics",
        "topics_beyond_their_cap_are_counted_together",
    ),
    (
        "stats-topic-bytes",
        "octets_of_topics_beyond_their_cap_are_counted_together",
    ),
    (
        "stats-latencies",
        "latencies_beyond_their_cap_are_counted_together",
    ),
    (
        "stats-clients",
        "clients_beyond_their_cap_are_counted_together",
    ),
    ("selection", "connections_that_cannot_be_followed_are_told"),
    (
        "selection-packets",
        "packets_that_cannot_be_followed_are_told",
    ),
];

/// The same for `record`.
const REACHED_BY_CLIENTS: &[(&str, &str)] = &[
    (
        "connections",
        "a_flood_of_connections_is_refused_and_the_log_says_so",
    ),
    (
        "connect-seconds",
        "a_connection_that_brings_no_connect_is_closed_in_time",
    ),
    (
        "packet-bytes",
        "a_client_gets_no_packet_larger_than_it_takes_nor_sends_one",
    ),
    (
        "bare-packet-bytes",
        "only_a_packet_with_a_message_may_be_very_large",
    ),
    (
        "all-partial-bytes",
        "packets_that_have_begun_are_capped_over_all_clients",
    ),
    (
        "sessions",
        "sessions_without_a_name_of_their_own_are_capped_too",
    ),
    (
        "all-kept-bytes",
        "what_sessions_keep_is_capped_over_all_clients",
    ),
    (
        "subscriptions",
        "subscriptions_of_a_client_are_capped_by_number_and_octets",
    ),
    (
        "subscription-bytes",
        "subscriptions_of_a_client_are_capped_by_number_and_octets",
    ),
    (
        "queued-messages",
        "a_full_queue_drops_the_newest_and_says_so_once",
    ),
    (
        "queued-bytes",
        "octets_of_messages_are_capped_for_one_client_and_for_all",
    ),
    (
        "unreleased-messages",
        "messages_that_are_not_released_are_capped_by_number_and_octets",
    ),
    (
        "unreleased-bytes",
        "messages_that_are_not_released_are_capped_by_number_and_octets",
    ),
    (
        "all-held-bytes",
        "octets_of_messages_are_capped_for_one_client_and_for_all",
    ),
    (
        "unsent-bytes",
        "qos_0_is_dropped_for_a_client_that_does_not_read",
    ),
    (
        "all-unsent-bytes",
        "qos_0_is_dropped_where_all_clients_together_do_not_read",
    ),
    (
        "retained-messages",
        "retained_messages_are_capped_by_number_and_octets",
    ),
    (
        "retained-bytes",
        "retained_messages_are_capped_by_number_and_octets",
    ),
    (
        "retained-searched",
        "retained_messages_are_searched_so_often_in_a_second",
    ),
];

/// Every function of the sources and tests, by name.
fn functions(folder: &Path, all: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("text");
            let mut tests = text.split("#[test]\n").skip(1);
            all.extend(tests.by_ref().filter_map(|test| {
                let (_, after) = test.split_once("fn ")?;
                Some(after.split('(').next()?.to_owned())
            }));
            // Those of proptest! stand after its own attribute.
        }
    }
}

#[test]
fn every_limit_of_the_table_is_reached_by_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = Vec::new();
    for folder in ["src", "tests"] {
        functions(&root.join(folder), &mut tests);
    }
    let all = Limit::ALL.iter().map(|limit| limit.row().name);
    let of_record = BrokerLimit::ALL.iter().map(|limit| limit.row().name);
    let names: [BTreeSet<_>; 2] = [all.collect(), of_record.collect()];
    for (names, reached) in names.iter().zip([REACHED, REACHED_BY_CLIENTS]) {
        let listed: BTreeSet<_> = reached.iter().map(|(name, _)| *name).collect();
        assert_eq!(*names, listed);
        for (name, test) in reached {
            assert!(
                tests.iter().any(|one| one == test),
                "{name}: no test {test}"
            );
        }
    }
}

/// A capture made in memory: raw IPv4, no checksums.
struct Made {
    writer: Writer<Vec<u8>>,
    nanos: i64,
}

/// One connection of such a capture.
struct Line {
    client: ([u8; 4], u16),
    server: ([u8; 4], u16),
    next: [u32; 2],
}

const SYN: u8 = 0x02;
const PSH_ACK: u8 = 0x18;
const RST: u8 = 0x04;

impl Made {
    fn new() -> Self {
        let writer = Writer::new(
            Vec::new(),
            Format::Pcap,
            LinkType(101),
            Precision::Micro,
            None,
        );
        Self {
            writer: writer.expect("a capture in memory"),
            nanos: 1_700_000_000_000_000_000,
        }
    }

    fn segment(&mut self, line: &mut Line, sender: usize, flags: u8, payload: &[u8]) {
        let (from, to) = match sender {
            0 => (line.client, line.server),
            _ => (line.server, line.client),
        };
        let mut frame = vec![0x45, 0];
        frame.extend((40 + payload.len() as u16).to_be_bytes());
        frame.extend([0, 0, 0, 0, 64, 6, 0, 0]);
        frame.extend(from.0);
        frame.extend(to.0);
        frame.extend(from.1.to_be_bytes());
        frame.extend(to.1.to_be_bytes());
        frame.extend(line.next[sender].to_be_bytes());
        frame.extend(line.next[1 - sender].to_be_bytes());
        frame.extend([0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        frame.extend(payload);
        let length = payload.len() as u32 + u32::from(flags & SYN != 0);
        line.next[sender] = line.next[sender].wrapping_add(length);
        self.nanos += 1_000;
        let time = Timestamp::from_nanos(self.nanos);
        let length = frame.len() as u32;
        self.writer
            .write_frame(time, &frame, length, None)
            .expect("a capture in memory");
    }

    /// A connection from its SYN on.
    fn open(&mut self, number: u32) -> Line {
        self.open_to(number, ([192, 168, 0, 1], 1883))
    }

    fn open_to(&mut self, number: u32, server: ([u8; 4], u16)) -> Line {
        let [_, a, b, c] = (number / 50_000).to_be_bytes();
        let mut line = Line {
            client: ([10, a, b, c], 10_000 + (number % 50_000) as u16),
            server,
            next: [0, 0],
        };
        self.segment(&mut line, 0, SYN, &[]);
        self.segment(&mut line, 1, SYN | 0x10, &[]);
        line
    }

    /// Octets of one end, in as large segments as there are.
    fn send(&mut self, line: &mut Line, sender: usize, octets: &[u8]) {
        for part in octets.chunks(60_000) {
            self.segment(line, sender, PSH_ACK, part);
        }
    }

    /// A client that is accepted; its session lasts.
    fn join(&mut self, number: u32, id: &str) -> Line {
        let mut line = self.open(number);
        self.greet(&mut line, id, None);
        line
    }

    fn greet(&mut self, line: &mut Line, id: &str, will: Option<&str>) {
        let flags = if will.is_some() { 4 } else { 0 };
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.extend([flags, 0, 0]);
        body.extend(text(id));
        if let Some(topic) = will {
            body.extend(text(topic));
            body.extend(text("gone"));
        }
        self.send(line, 0, &packet(0x10, &body));
        self.send(line, 1, b"\x20\x02\0\0");
    }

    fn reset(&mut self, mut line: Line) {
        self.segment(&mut line, 0, RST, &[]);
    }

    /// What a run shows under these options of the command line.
    fn shown(self, line: &str) -> (Outcome, Vec<u8>) {
        let capture = self.writer.into_inner();
        let shown = Shown::of(line);
        self::shown(capture.as_slice(), &shown, &shown.options())
    }

    /// What it tells of caps.
    fn caps(self, line: &str) -> Vec<(&'static str, u64)> {
        let (outcome, _) = self.shown(line);
        let caps = outcome.totals.accounting.caps.iter();
        caps.map(|reached| (reached.name(), reached.times))
            .collect()
    }
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut length = body.len();
    loop {
        let more = length > 0x7f;
        packet.push((length & 0x7f) as u8 | if more { 0x80 } else { 0 });
        length >>= 7;
        if !more {
            break;
        }
    }
    packet.extend(body);
    packet
}

/// A PUBLISH above QoS 0.
fn numbered(first: u8, topic: &str, id: u16) -> Vec<u8> {
    packet(first, &[text(topic), id.to_be_bytes().to_vec()].concat())
}

fn subscribe(id: u16, filter: &str) -> Vec<u8> {
    let body = [id.to_be_bytes().to_vec(), text(filter), vec![1]].concat();
    packet(0x82, &body)
}

/// Whether exactly this cap was reached.
#[track_caller]
fn only(caps: &[(&str, u64)], cap: &str) {
    let names: Vec<_> = caps.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [cap], "{caps:?}");
}

#[test]
fn handshakes_beyond_their_cap_are_given_up_and_told() {
    let mut made = Made::new();
    for number in 0..3 {
        let mut line = made.join(number, &format!("c{number}"));
        let all: Vec<u8> = (1..=50_000)
            .flat_map(|id| numbered(0x32, "t", id))
            .collect();
        made.send(&mut line, 0, &all);
    }
    only(&made.caps("--flow connect"), "handshakes");
}

#[test]
fn handshakes_of_an_absent_client_beyond_their_cap_are_given_up_and_told() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    let all: Vec<u8> = (1..=2_000).flat_map(|id| numbered(0x32, "t", id)).collect();
    made.send(&mut line, 0, &all);
    made.reset(line);
    let caps = made.caps("--flow qos1");
    assert_eq!(caps, [("handshakes-kept", 2_000 - 1_024)]);
}

/// So many subscribers that are away, and one publisher's messages for them.
fn undelivered(subscribers: u32, messages: u16) -> Made {
    let mut made = Made::new();
    for number in 0..subscribers {
        let mut line = made.join(number, &format!("s{number}"));
        made.send(&mut line, 0, &subscribe(1, "t/#"));
        made.send(&mut line, 1, &[0x90, 3, 0, 1, 1]);
        made.reset(line);
    }
    let mut line = made.join(subscribers, "p");
    for id in 1..=messages {
        made.send(&mut line, 0, &numbered(0x32, &format!("t/{id}"), id));
        made.send(&mut line, 1, &[&[0x40, 2], &id.to_be_bytes()[..]].concat());
    }
    made
}

#[test]
fn messages_beyond_their_cap_are_given_up_and_told() {
    only(&undelivered(1, 17_000).caps("--stats"), "messages");
}

#[test]
fn deliveries_beyond_their_cap_are_given_up_and_told() {
    only(&undelivered(100, 1_500).caps("--check"), "messages");
}

/// A client whose filters, two to the power of `levels` many, all take a topic of so many
/// levels; it is gone. The topic.
fn overlapping(made: &mut Made, levels: usize) -> String {
    let mut line = made.join(0, "s");
    let mut body = id_octets(1);
    for number in 0..1_usize << levels {
        let levels = (0..levels).map(|bit| if number >> bit & 1 == 0 { "a" } else { "+" });
        body.extend(text(&levels.collect::<Vec<_>>().join("/")));
        body.push(1);
    }
    made.send(&mut line, 0, &packet(0x82, &body));
    let answer = [id_octets(1), vec![1; 1 << levels]].concat();
    made.send(&mut line, 1, &packet(0x90, &answer));
    made.reset(line);
    vec!["a"; levels].join("/")
}

#[test]
fn subscriptions_found_beyond_their_cap_are_left_out_and_told() {
    let mut made = Made::new();
    let topic = overlapping(&mut made, 14);
    let mut line = made.join(1, "p");
    made.send(&mut line, 0, &packet(0x30, &text(&topic)));
    only(&made.caps("--check"), "matches");
}

#[test]
fn overlapping_filters_of_thousands_are_searched_within_a_budget_and_told() {
    let mut made = Made::new();
    let topic = overlapping(&mut made, 9);
    let mut line = made.join(1, "p");
    let all = packet(0x30, &text(&topic)).repeat(5_200);
    made.send(&mut line, 0, &all);
    let caps = made.caps("--flow will");
    assert!(caps.iter().any(|(cap, _)| *cap == "matches"), "{caps:?}");
}

#[test]
fn many_subscriptions_of_one_client_count_as_many_deliveries() {
    let mut made = Made::new();
    let topic = overlapping(&mut made, 9);
    let mut line = made.join(1, "p");
    for id in 1..=2_100 {
        made.send(&mut line, 0, &numbered(0x32, &topic, id));
        made.send(&mut line, 1, &[&[0x40, 2], &id.to_be_bytes()[..]].concat());
    }
    only(&made.caps("--flow qos1"), "messages");
}

#[test]
fn retained_messages_beyond_their_cap_are_given_up_and_told() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    let all: Vec<u8> = (0..8_200)
        .flat_map(|n| packet(0x31, &[text(&format!("t/{n}")), vec![1]].concat()))
        .collect();
    made.send(&mut line, 0, &all);
    only(&made.caps("--flow retain"), "retained");
}

#[test]
fn wills_beyond_their_cap_are_given_up_and_told() {
    let mut made = Made::new();
    for number in 0..16_400 {
        let mut line = made.open(number);
        made.greet(&mut line, &format!("c{number}"), Some("w"));
    }
    only(&made.caps("--flow will"), "wills");
}

#[test]
fn sessions_beyond_their_cap_are_given_up_and_told() {
    let mut made = Made::new();
    for number in 0..65_600 {
        let line = made.join(number, &format!("c{number}"));
        made.reset(line);
    }
    only(&made.caps("--check"), "sessions");
}

#[test]
fn subscriptions_beyond_their_cap_are_not_kept_and_told() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    for id in 1..=140 {
        let mut body = id_octets(id);
        for n in 0..1_000 {
            body.extend(text(&format!("{id}-{n}")));
            body.push(0);
        }
        made.send(&mut line, 0, &packet(0x82, &body));
        let answer = [id_octets(id), vec![0; 1_000]].concat();
        made.send(&mut line, 1, &packet(0x90, &answer));
    }
    only(&made.caps("--flow subscribe,qos1"), "subscriptions");
}

fn id_octets(id: u16) -> Vec<u8> {
    id.to_be_bytes().to_vec()
}

#[test]
fn levels_of_filters_beyond_their_cap_are_not_kept_and_told() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    // 500 levels each, none of them shared.
    for id in 1..=1_100 {
        let filter = format!("{id}{}", "/a".repeat(499));
        made.send(&mut line, 0, &subscribe(id, &filter));
        let answer = [&[0x90, 3], &id.to_be_bytes()[..], &[1]].concat();
        made.send(&mut line, 1, &answer);
    }
    only(&made.caps("--check"), "subscriptions");
}

#[test]
fn servers_beyond_their_cap_are_told() {
    let mut made = Made::new();
    for number in 0..65_600_u32 {
        let [_, a, b, c] = number.to_be_bytes();
        let mut line = made.open_to(0, ([172, a, b, c], 1883));
        made.greet(&mut line, "", None);
        made.reset(line);
    }
    let caps = made.caps("--check");
    assert!(caps.iter().any(|(cap, _)| *cap == "servers"), "{caps:?}");
}

#[test]
fn sessions_that_come_back_are_told_where_ended_ones_were_forgotten() {
    let mut made = Made::new();
    let session = |made: &mut Made, id: u32, clean: u8, present: u8| {
        let mut line = made.open(id);
        let body = [
            b"\0\x04MQTT\x04",
            &[clean, 0, 0][..],
            &text(&format!("c{id}")),
        ]
        .concat();
        made.send(&mut line, 0, &packet(0x10, &body));
        made.send(&mut line, 1, &[0x20, 2, present, 0]);
        made.send(&mut line, 0, &[0xe0, 0]);
        made.reset(line);
    };
    // Each ends with its connection.
    for id in 0..65_537 {
        session(&mut made, id, 2, 0);
    }
    session(&mut made, 0, 0, 1);
    assert_eq!(made.caps("--check"), [("sessions-ended", 1)]);
}

#[test]
fn connections_with_gaps_that_are_forgotten_are_told() {
    let mut made = Made::new();
    for number in 0..65_537 {
        let mut line = made.open(number);
        made.greet(&mut line, "", None);
        // What the capture missed.
        line.next[1] += 2;
        made.send(&mut line, 1, &[0xd0, 0]);
        made.reset(line);
    }
    let caps = made.caps("--check");
    assert!(caps.contains(&("connections-with-gaps", 1)), "{caps:?}");
}

/// A subscriber to everything at QoS 2, and a publisher.
fn pair() -> (Made, Line, Line) {
    let mut made = Made::new();
    let mut subscriber = made.join(0, "s");
    let body = [id_octets(1), text("#"), vec![2]].concat();
    made.send(&mut subscriber, 0, &packet(0x82, &body));
    made.send(&mut subscriber, 1, &[0x90, 3, 0, 1, 2]);
    let publisher = made.join(1, "p");
    (made, publisher, subscriber)
}

/// A QoS 2 message from its sender with all its answers.
fn exactly_once(made: &mut Made, line: &mut Line, sender: usize, topic: &str, id: u16) {
    let [a, b] = id.to_be_bytes();
    made.send(line, sender, &numbered(0x34, topic, id));
    made.send(line, 1 - sender, &[0x50, 2, a, b]);
    made.send(line, sender, &[0x62, 2, a, b]);
    made.send(line, 1 - sender, &[0x70, 2, a, b]);
}

#[test]
fn copies_are_told_where_settled_messages_were_forgotten() {
    let (mut made, mut publisher, mut subscriber) = pair();
    for id in 1..=16_385 {
        let topic = format!("t/{id}");
        exactly_once(&mut made, &mut publisher, 0, &topic, id);
        exactly_once(&mut made, &mut subscriber, 1, &topic, id);
    }
    // The second is remembered, and this is a finding; the first is not any more.
    exactly_once(&mut made, &mut subscriber, 1, "t/2", 20_000);
    exactly_once(&mut made, &mut subscriber, 1, "t/1", 20_001);
    assert_eq!(made.caps("--check"), [("settled", 1)]);
}

#[test]
fn streams_of_messages_that_are_forgotten_are_told() {
    let (mut made, mut publisher, mut subscriber) = pair();
    for number in 0..65_537 {
        let message = packet(0x30, &text(&format!("t/{number}")));
        made.send(&mut publisher, 0, &message);
        made.send(&mut subscriber, 1, &message);
    }
    assert_eq!(made.caps("--check"), [("ordered", 1)]);
}

#[test]
fn a_handshake_outlasted_by_too_many_is_told_behind_them() {
    let place_of_the_earliest = |others: usize| {
        let (mut made, mut publisher, mut subscriber) = pair();
        made.send(&mut publisher, 0, &numbered(0x32, "early", 1));
        for _ in 0..others {
            let message = packet(0x30, &text("late"));
            made.send(&mut publisher, 0, &message);
            made.send(&mut subscriber, 1, &message);
        }
        made.send(&mut publisher, 1, &[0x40, 2, 0, 1]);
        let (_, drawn) = made.shown("--flow all");
        let drawn = String::from_utf8(drawn).expect("a terminal's text");
        let stories = drawn.lines().filter(|line| line.starts_with("QoS "));
        let stories: Vec<_> = stories.collect();
        assert_eq!(stories.len(), others + 1, "none is lost");
        stories.iter().position(|title| title.contains("early"))
    };
    // Each of the others is a PUBLISH and its delivery.
    assert_eq!(place_of_the_earliest(1_023), Some(0));
    assert_eq!(place_of_the_earliest(1_024), Some(1_024));
}

#[test]
fn topics_beyond_their_cap_are_counted_together() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    let all: Vec<u8> = (0..100_010)
        .flat_map(|n| packet(0x30, &text(&format!("t/{n}"))))
        .collect();
    made.send(&mut line, 0, &all);
    assert_eq!(made.caps("--stats=topics --json"), [("stats-topics", 10)]);
}

#[test]
fn latencies_beyond_their_cap_are_counted_together() {
    let mut made = Made::new();
    let mut subscriber = made.join(0, "s");
    made.send(&mut subscriber, 0, &subscribe(1, "t/#"));
    made.send(&mut subscriber, 1, &[0x90, 3, 0, 1, 1]);
    let mut publisher = made.join(1, "p");
    for number in 0..1_010 {
        let publish = packet(0x30, &text(&format!("t/{number}")));
        made.send(&mut publisher, 0, &publish);
        made.send(&mut subscriber, 1, &publish);
    }
    let caps = made.caps("--stats=latency");
    assert_eq!(caps, [("stats-latencies", 10)]);
}

#[test]
fn clients_beyond_their_cap_are_counted_together() {
    let mut made = Made::new();
    for number in 0..100_010 {
        let line = made.join(number, &format!("c{number}"));
        made.reset(line);
    }
    let caps = made.caps("--stats=clients --json");
    assert!(caps.contains(&("stats-clients", 10)), "{caps:?}");
}

#[test]
fn octets_of_topics_beyond_their_cap_are_counted_together() {
    let mut made = Made::new();
    let mut line = made.join(0, "c");
    for number in 0..1_030 {
        let topic = format!("{number:065530}");
        made.send(&mut line, 0, &packet(0x30, &text(&topic)));
    }
    assert_eq!(
        made.caps("--stats=topics"),
        [("stats-topics", 1_030 - 1_024)]
    );
}

#[test]
fn connections_at_a_time_are_limited_and_the_limit_can_be_raised() {
    let made = || {
        let mut made = Made::new();
        for number in 0..50 {
            made.join(number, "c");
        }
        made
    };
    for view in ["", "--check"] {
        let caps = |limit: &str| made().caps(&format!("{view} {limit}"));
        assert_eq!(caps(""), []);
        assert_eq!(caps("--limit connections=20"), [("connections", 30)]);
    }
    // That of the analysis is lower, and is raised too.
    let many = || {
        let mut made = Made::new();
        for number in 0..200_010 {
            made.open(number);
        }
        made
    };
    assert_eq!(many().caps("--check"), [("connections", 10)]);
    assert_eq!(many().caps("--check --limit connections=300000"), []);
}

#[test]
fn other_limits_are_honoured() {
    // A packet that never ends, and a hole before it.
    let made = || {
        let mut made = Made::new();
        let mut line = made.join(0, "c");
        made.send(&mut line, 0, &[0x30, 0xff, 0xff, 0x7f, 0, 1, b't']);
        made.send(&mut line, 0, &[0; 200_000]);
        let mut holed = made.join(1, "d");
        holed.next[0] += 1;
        made.send(&mut holed, 0, &[0; 5_000]);
        made
    };
    for (limit, cap) in [
        ("", None),
        ("--limit held=1KiB", Some("held")),
        ("--limit waiting=1KiB", Some("waiting")),
        ("--limit waiting-all=1KiB", Some("waiting")),
    ] {
        let caps = made().caps(limit);
        let names: Vec<_> = caps.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, Vec::from_iter(cap), "{limit}");
    }
}

#[test]
fn connections_that_cannot_be_followed_are_told() {
    let mut made = Made::new();
    for number in 0..65_540 {
        made.join(number, "same");
    }
    assert_eq!(made.caps("--client same"), [("selection", 4)]);
}

#[test]
fn packets_that_cannot_be_followed_are_told() {
    let mut made = Made::new();
    for number in 0..2 {
        let mut line = made.join(number, &format!("c{number}"));
        let all: Vec<u8> = (1..=33_000)
            .flat_map(|id| numbered(0x32, "t", id))
            .collect();
        made.send(&mut line, 0, &all);
    }
    assert_eq!(made.caps("--topic t"), [("selection", 66_000 - 65_536)]);
}
