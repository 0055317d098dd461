//! Every limit of the table is reached by a test. Those of the analysis and the views are lowered by
//! `--limit` and reached by whole captures, as a user would reach them.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mqtt_inspect::base::limits::{BrokerLimit, Limit};
use mqtt_inspect::inspect::Outcome;
use mqtt_inspect::mqtt::Sender::{self, Client, Server};

use crate::damage::shown::{Shown, shown};
use crate::talk::{Made, RST, Talk, endpoint, packet, text};

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
        "a_full_table_evicts_who_was_silent_longest_and_reports_it",
    ),
    (
        "analysed-connections",
        "connections_at_a_time_are_limited_and_the_limit_can_be_changed",
    ),
    (
        "overlaps",
        "a_cut_span_over_many_pieces_takes_a_limited_number_of_steps",
    ),
    (
        "troubled",
        "connections_with_trouble_beyond_their_limit_are_not_watched_and_counted",
    ),
    ("closed-connections", "lingering_connections_have_a_cap"),
    ("waiting", "waiting_bytes_of_a_direction_have_a_cap"),
    (
        "waiting-all",
        "waiting_bytes_in_all_have_a_cap_and_the_longest_waiting_go_first",
    ),
    (
        "held",
        "a_packet_beyond_the_cap_is_counted_and_the_next_one_is_emitted",
    ),
    ("undecided", "what_is_held_for_want_of_evidence_is_bounded"),
    (
        "undecided-elsewhere",
        "what_is_held_for_want_of_evidence_is_bounded",
    ),
    (
        "candidates",
        "candidates_have_a_limit_and_the_one_with_least_evidence_goes",
    ),
    (
        "search",
        "looking_within_a_segment_takes_no_more_effort_than_its_bytes_bring",
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
        "handshakes_beyond_their_limit_are_given_up_and_counted",
    ),
    (
        "handshakes-kept",
        "handshakes_of_an_absent_client_beyond_their_limit_are_given_up_and_counted",
    ),
    (
        "filters",
        "of_a_request_so_many_filters_are_kept_and_the_others_are_counted",
    ),
    (
        "messages",
        "messages_beyond_their_limit_are_given_up_and_counted",
    ),
    (
        "deliveries",
        "deliveries_beyond_their_limit_are_given_up_and_counted",
    ),
    (
        "retained",
        "retained_messages_beyond_their_limit_are_given_up_and_counted",
    ),
    ("wills", "wills_beyond_their_limit_are_given_up_and_counted"),
    (
        "sessions",
        "sessions_beyond_their_limit_are_given_up_and_counted",
    ),
    (
        "subscriptions",
        "subscriptions_beyond_their_limit_are_not_kept_and_counted",
    ),
    (
        "filter-levels",
        "levels_of_filters_beyond_their_limit_are_not_kept_and_counted",
    ),
    (
        "matches",
        "subscriptions_found_beyond_their_limit_are_left_out_and_counted",
    ),
    (
        "matches-ahead",
        "overlapping_filters_are_searched_within_a_budget_and_the_rest_is_counted",
    ),
    ("servers", "servers_beyond_their_limit_are_counted"),
    (
        "sessions-ended",
        "sessions_that_come_back_are_counted_where_ended_ones_were_forgotten",
    ),
    (
        "filters-given-up",
        "filters_that_were_given_up_and_are_forgotten_are_counted",
    ),
    (
        "connections-with-gaps",
        "connections_with_gaps_that_are_forgotten_are_counted",
    ),
    ("unread", "what_may_be_sent_again_is_forgotten_and_counted"),
    (
        "settled",
        "copies_are_counted_where_settled_messages_were_forgotten",
    ),
    (
        "ordered",
        "streams_of_messages_that_are_forgotten_are_counted",
    ),
    (
        "out-of-order",
        "after_the_window_the_gap_stands_where_it_would_have_stood",
    ),
    (
        "reordered",
        "a_handshake_outlasted_by_too_many_is_reported_behind_them",
    ),
    ("name-bytes", "a_long_name_is_shortened_and_stays_distinct"),
    ("findings", "what_was_reported_too_often_is_counted"),
    (
        "json-records",
        "a_document_holds_no_more_records_than_its_limit_and_counts_the_rest",
    ),
    (
        "stats-topics",
        "topics_beyond_their_limit_are_counted_together",
    ),
    (
        "stats-topic-bytes",
        "bytes_of_topics_beyond_their_limit_are_counted_together",
    ),
    (
        "stats-latencies",
        "latencies_beyond_their_limit_are_counted_together",
    ),
    (
        "stats-clients",
        "clients_beyond_their_limit_are_counted_together",
    ),
    (
        "selection",
        "connections_that_cannot_be_followed_are_counted",
    ),
    (
        "selection-packets",
        "packets_that_cannot_be_followed_are_counted",
    ),
];

/// The same for `record`.
const REACHED_BY_CLIENTS: &[(&str, &str)] = &[
    (
        "connections",
        "a_flood_of_connections_is_refused_and_logged",
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
        "subscriptions_of_a_client_are_capped_by_number_and_bytes",
    ),
    (
        "subscription-bytes",
        "subscriptions_of_a_client_are_capped_by_number_and_bytes",
    ),
    (
        "queued-messages",
        "a_full_queue_drops_the_newest_and_logs_it_once",
    ),
    (
        "queued-bytes",
        "bytes_of_messages_are_capped_for_one_client_and_for_all",
    ),
    (
        "unreleased-messages",
        "messages_that_are_not_released_are_capped_by_number_and_bytes",
    ),
    (
        "unreleased-bytes",
        "messages_that_are_not_released_are_capped_by_number_and_bytes",
    ),
    (
        "all-held-bytes",
        "bytes_of_messages_are_capped_for_one_client_and_for_all",
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
        "retained_messages_are_capped_by_number_and_bytes",
    ),
    (
        "retained-bytes",
        "retained_messages_are_capped_by_number_and_bytes",
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

impl Made {
    /// A connection of client number `number`, from its SYN on.
    fn opened(&mut self, number: u32) -> Talk {
        let mut talk = Talk::new(number);
        self.open(&mut talk);
        talk
    }

    /// A client that is accepted; its session lasts.
    fn joined(&mut self, number: u32, id: &str) -> Talk {
        let mut talk = self.opened(number);
        self.greet(&mut talk, id, None);
        talk
    }

    fn greet(&mut self, talk: &mut Talk, id: &str, will: Option<&str>) {
        let flags = if will.is_some() { 4 } else { 0 };
        let mut body = b"\0\x04MQTT\x04".to_vec();
        body.extend([flags, 0, 0]);
        body.extend(text(id));
        if let Some(topic) = will {
            body.extend(text(topic));
            body.extend(text("gone"));
        }
        self.send(talk, Client, &packet(0x10, &body));
        self.send(talk, Server, b"\x20\x02\0\0");
    }

    fn reset(&mut self, mut talk: Talk) {
        self.segment(&mut talk, Client, RST, &[]);
    }

    /// Runs under these options of the command line.
    fn shown(self, line: &str) -> (Outcome, Vec<u8>) {
        let shown = Shown::of(line);
        self::shown(self.into_bytes().as_slice(), &shown, &shown.options())
    }

    /// The limits that a run reached, and how often.
    fn reached(self, line: &str) -> Vec<(&'static str, u64)> {
        let (outcome, _) = self.shown(line);
        let caps = outcome.totals.accounting.caps.iter();
        caps.map(|reached| (reached.name(), reached.times))
            .collect()
    }
}

/// A PUBLISH above QoS 0.
fn numbered(first: u8, topic: &str, id: u16) -> Vec<u8> {
    packet(first, &[text(topic), id.to_be_bytes().to_vec()].concat())
}

/// PUBLISH packets at QoS 1 with the identifiers 1 to `count`.
fn unacknowledged(count: u16) -> Vec<u8> {
    (1..=count).flat_map(|id| numbered(0x32, "t", id)).collect()
}

fn subscribe(id: u16, filter: &str) -> Vec<u8> {
    let body = [id.to_be_bytes().to_vec(), text(filter), vec![1]].concat();
    packet(0x82, &body)
}

fn puback(id: u16) -> Vec<u8> {
    [&[0x40, 2], &id.to_be_bytes()[..]].concat()
}

/// Asserts that exactly this limit was reached.
#[track_caller]
fn only(reached: &[(&str, u64)], limit: &str) {
    let names: Vec<_> = reached.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, [limit], "{reached:?}");
}

#[test]
fn handshakes_beyond_their_limit_are_given_up_and_counted() {
    let mut made = Made::new();
    for number in 0..3 {
        let mut talk = made.joined(number, &format!("c{number}"));
        made.send(&mut talk, Client, &unacknowledged(5));
    }
    only(
        &made.reached("--flow connect --limit handshakes=10"),
        "handshakes",
    );
}

#[test]
fn handshakes_of_an_absent_client_beyond_their_limit_are_given_up_and_counted() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    made.send(&mut talk, Client, &unacknowledged(25));
    made.reset(talk);
    let reached = made.reached("--flow qos1 --limit handshakes-kept=10");
    assert_eq!(reached, [("handshakes-kept", 15)]);
}

/// So many subscribers that are away, and one publisher's messages for them.
fn undelivered(subscribers: u32, messages: u16) -> Made {
    let mut made = Made::new();
    for number in 0..subscribers {
        let mut talk = made.joined(number, &format!("s{number}"));
        made.send(&mut talk, Client, &subscribe(1, "t/#"));
        made.send(&mut talk, Server, &[0x90, 3, 0, 1, 1]);
        made.reset(talk);
    }
    let mut talk = made.joined(subscribers, "p");
    for id in 1..=messages {
        made.send(&mut talk, Client, &numbered(0x32, &format!("t/{id}"), id));
        made.send(&mut talk, Server, &puback(id));
    }
    made
}

#[test]
fn messages_beyond_their_limit_are_given_up_and_counted() {
    assert_eq!(undelivered(1, 20).reached("--stats"), []);
    only(
        &undelivered(1, 20).reached("--stats --limit messages=10"),
        "messages",
    );
}

#[test]
fn deliveries_beyond_their_limit_are_given_up_and_counted() {
    only(
        &undelivered(5, 20).reached("--check --limit deliveries=50"),
        "messages",
    );
}

/// A client whose filters, two to the power of `levels` many, all take a topic of so many
/// levels; it is gone. The topic.
fn overlapping(made: &mut Made, levels: usize) -> String {
    // As many filters of a SUBSCRIBE are kept.
    const MOST: usize = 4_096;
    let mut talk = made.joined(0, "s");
    let all: Vec<usize> = (0..1 << levels).collect();
    for part in all.chunks(MOST) {
        let mut body = vec![0, 1];
        for number in part {
            let levels = (0..levels).map(|bit| if number >> bit & 1 == 0 { "a" } else { "+" });
            body.extend(text(&levels.collect::<Vec<_>>().join("/")));
            body.push(1);
        }
        made.send(&mut talk, Client, &packet(0x82, &body));
        let answer = [vec![0, 1], vec![1; part.len()]].concat();
        made.send(&mut talk, Server, &packet(0x90, &answer));
    }
    made.reset(talk);
    vec!["a"; levels].join("/")
}

#[test]
fn subscriptions_found_beyond_their_limit_are_left_out_and_counted() {
    let mut made = Made::new();
    let topic = overlapping(&mut made, 14);
    let mut talk = made.joined(1, "p");
    made.send(&mut talk, Client, &packet(0x30, &text(&topic)));
    only(&made.reached("--check"), "matches");
}

#[test]
fn overlapping_filters_are_searched_within_a_budget_and_the_rest_is_counted() {
    let made = || {
        let mut made = Made::new();
        let topic = overlapping(&mut made, 9);
        let mut talk = made.joined(1, "p");
        made.send(&mut talk, Client, &packet(0x30, &text(&topic)).repeat(20));
        made
    };
    assert_eq!(made().reached("--flow will"), []);
    only(
        &made().reached("--flow will --limit matches-ahead=1000"),
        "matches",
    );
}

#[test]
fn many_subscriptions_of_one_client_count_as_many_deliveries() {
    let mut made = Made::new();
    let topic = overlapping(&mut made, 6);
    let mut talk = made.joined(1, "p");
    for id in 1..=20 {
        made.send(&mut talk, Client, &numbered(0x32, &topic, id));
        made.send(&mut talk, Server, &puback(id));
    }
    only(
        &made.reached("--flow qos1 --limit deliveries=100"),
        "messages",
    );
}

#[test]
fn retained_messages_beyond_their_limit_are_given_up_and_counted() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    let all: Vec<u8> = (0..15)
        .flat_map(|n| packet(0x31, &[text(&format!("t/{n}")), vec![1]].concat()))
        .collect();
    made.send(&mut talk, Client, &all);
    only(
        &made.reached("--flow retain --limit retained=10"),
        "retained",
    );
}

#[test]
fn wills_beyond_their_limit_are_given_up_and_counted() {
    let mut made = Made::new();
    for number in 0..15 {
        let mut talk = made.opened(number);
        made.greet(&mut talk, &format!("c{number}"), Some("w"));
    }
    only(&made.reached("--flow will --limit wills=10"), "wills");
}

#[test]
fn sessions_beyond_their_limit_are_given_up_and_counted() {
    let mut made = Made::new();
    for number in 0..15 {
        let talk = made.joined(number, &format!("c{number}"));
        made.reset(talk);
    }
    only(&made.reached("--check --limit sessions=10"), "sessions");
}

#[test]
fn subscriptions_beyond_their_limit_are_not_kept_and_counted() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    let mut body = vec![0, 1];
    for n in 0..15 {
        body.extend(text(&n.to_string()));
        body.push(0);
    }
    made.send(&mut talk, Client, &packet(0x82, &body));
    let answer = [vec![0, 1], vec![0; 15]].concat();
    made.send(&mut talk, Server, &packet(0x90, &answer));
    let reached = made.reached("--flow subscribe,qos1 --limit subscriptions=10");
    only(&reached, "subscriptions");
}

#[test]
fn levels_of_filters_beyond_their_limit_are_not_kept_and_counted() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    // 10 levels each, none of them shared.
    for id in 1..=5 {
        let filter = format!("{id}{}", "/a".repeat(9));
        made.send(&mut talk, Client, &subscribe(id, &filter));
        let answer = [&[0x90, 3], &id.to_be_bytes()[..], &[1]].concat();
        made.send(&mut talk, Server, &answer);
    }
    only(
        &made.reached("--check --limit filter-levels=40"),
        "subscriptions",
    );
}

#[test]
fn servers_beyond_their_limit_are_counted() {
    let mut made = Made::new();
    for number in 0..15 {
        let mut talk = Talk::new(0);
        talk.server = endpoint([172, 16, 0, number], 1883);
        made.open(&mut talk);
        made.greet(&mut talk, "", None);
        made.reset(talk);
    }
    let reached = made.reached("--check --limit servers=10");
    assert!(
        reached.iter().any(|(name, _)| *name == "servers"),
        "{reached:?}"
    );
}

#[test]
fn sessions_that_come_back_are_counted_where_ended_ones_were_forgotten() {
    let mut made = Made::new();
    let session = |made: &mut Made, id: u32, clean: u8, present: u8| {
        let mut talk = made.opened(id);
        let body = [
            b"\0\x04MQTT\x04",
            &[clean, 0, 0][..],
            &text(&format!("c{id}")),
        ]
        .concat();
        made.send(&mut talk, Client, &packet(0x10, &body));
        made.send(&mut talk, Server, &[0x20, 2, present, 0]);
        made.send(&mut talk, Client, &[0xe0, 0]);
        made.reset(talk);
    };
    // Each ends with its connection.
    for id in 0..=10 {
        session(&mut made, id, 2, 0);
    }
    session(&mut made, 0, 0, 1);
    let reached = made.reached("--check --limit sessions-ended=10");
    assert_eq!(reached, [("sessions-ended", 1)]);
}

#[test]
fn filters_that_were_given_up_and_are_forgotten_are_counted() {
    let mut made = Made::new();
    let mut talk = made.opened(0);
    made.greet(&mut talk, "a", None);
    for id in 1..=11 {
        made.send(&mut talk, Client, &subscribe(id, "t"));
        made.send(&mut talk, Server, &[0x90, 3, 0, id as u8, 1]);
        made.send(&mut talk, Client, &[0xa2, 5, 0, id as u8, 0, 1, b't']);
        made.send(&mut talk, Server, &[0xb0, 2, 0, id as u8]);
    }
    let reached = made.reached("--check --limit filters-given-up=10");
    assert_eq!(reached, [("filters-given-up", 1)]);
}

#[test]
fn connections_with_gaps_that_are_forgotten_are_counted() {
    let mut made = Made::new();
    for number in 0..=10 {
        let mut talk = made.opened(number);
        made.greet(&mut talk, "", None);
        // What the capture missed.
        talk.server_next += 2;
        made.send(&mut talk, Server, &[0xd0, 0]);
        made.reset(talk);
    }
    let reached = made.reached("--check --limit connections-with-gaps=10");
    assert!(
        reached.contains(&("connections-with-gaps", 1)),
        "{reached:?}"
    );
}

#[test]
fn what_may_be_sent_again_is_forgotten_and_counted() {
    let mut made = Made::new();
    for number in 0..=10 {
        let talk = made.joined(number, &format!("c{number}"));
        made.reset(talk);
    }
    let reached = made.reached("--check --limit unread=10");
    assert_eq!(reached, [("unread", 1)]);
}

/// A subscriber to everything at QoS 2, and a publisher.
fn pair() -> (Made, Talk, Talk) {
    let mut made = Made::new();
    let mut subscriber = made.joined(0, "s");
    let body = [vec![0, 1], text("#"), vec![2]].concat();
    made.send(&mut subscriber, Client, &packet(0x82, &body));
    made.send(&mut subscriber, Server, &[0x90, 3, 0, 1, 2]);
    let publisher = made.joined(1, "p");
    (made, publisher, subscriber)
}

/// A QoS 2 message from its sender with all its answers.
fn exactly_once(made: &mut Made, talk: &mut Talk, sender: Sender, topic: &str, id: u16) {
    let receiver = match sender {
        Client => Server,
        Server => Client,
    };
    let [a, b] = id.to_be_bytes();
    made.send(talk, sender, &numbered(0x34, topic, id));
    made.send(talk, receiver, &[0x50, 2, a, b]);
    made.send(talk, sender, &[0x62, 2, a, b]);
    made.send(talk, receiver, &[0x70, 2, a, b]);
}

#[test]
fn copies_are_counted_where_settled_messages_were_forgotten() {
    let (mut made, mut publisher, mut subscriber) = pair();
    for id in 1..=11 {
        let topic = format!("t/{id}");
        exactly_once(&mut made, &mut publisher, Client, &topic, id);
        exactly_once(&mut made, &mut subscriber, Server, &topic, id);
    }
    // The second is remembered, and this is a finding; the first is not any more.
    exactly_once(&mut made, &mut subscriber, Server, "t/2", 20_000);
    exactly_once(&mut made, &mut subscriber, Server, "t/1", 20_001);
    assert_eq!(made.reached("--check --limit settled=10"), [("settled", 1)]);
}

#[test]
fn streams_of_messages_that_are_forgotten_are_counted() {
    let (mut made, mut publisher, mut subscriber) = pair();
    for number in 0..=10 {
        let message = packet(0x30, &text(&format!("t/{number}")));
        made.send(&mut publisher, Client, &message);
        made.send(&mut subscriber, Server, &message);
    }
    assert_eq!(made.reached("--check --limit ordered=10"), [("ordered", 1)]);
}

#[test]
fn a_handshake_outlasted_by_too_many_is_reported_behind_them() {
    let place_of_the_earliest = |others: usize| {
        let (mut made, mut publisher, mut subscriber) = pair();
        made.send(&mut publisher, Client, &numbered(0x32, "early", 1));
        for _ in 0..others {
            let message = packet(0x30, &text("late"));
            made.send(&mut publisher, Client, &message);
            made.send(&mut subscriber, Server, &message);
        }
        made.send(&mut publisher, Server, &puback(1));
        let (_, drawn) = made.shown("--flow all --limit reordered=32");
        let drawn = String::from_utf8(drawn).expect("a terminal's text");
        let stories = drawn.lines().filter(|line| line.starts_with("QoS "));
        let stories: Vec<_> = stories.collect();
        assert_eq!(stories.len(), others + 1, "none is lost");
        stories.iter().position(|title| title.contains("early"))
    };
    // Each of the others is a PUBLISH and its delivery.
    assert_eq!(place_of_the_earliest(15), Some(0));
    assert_eq!(place_of_the_earliest(16), Some(16));
}

#[test]
fn topics_beyond_their_limit_are_counted_together() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    let all: Vec<u8> = (0..25)
        .flat_map(|n| packet(0x30, &text(&format!("t/{n}"))))
        .collect();
    made.send(&mut talk, Client, &all);
    let reached = made.reached("--stats=topics --json --limit stats-topics=20");
    assert_eq!(reached, [("stats-topics", 5)]);
}

#[test]
fn latencies_beyond_their_limit_are_counted_together() {
    let mut made = Made::new();
    let mut subscriber = made.joined(0, "s");
    made.send(&mut subscriber, Client, &subscribe(1, "t/#"));
    made.send(&mut subscriber, Server, &[0x90, 3, 0, 1, 1]);
    let mut publisher = made.joined(1, "p");
    for number in 0..25 {
        let publish = packet(0x30, &text(&format!("t/{number}")));
        made.send(&mut publisher, Client, &publish);
        made.send(&mut subscriber, Server, &publish);
    }
    let reached = made.reached("--stats=latency --limit stats-latencies=20");
    assert_eq!(reached, [("stats-latencies", 5)]);
}

#[test]
fn clients_beyond_their_limit_are_counted_together() {
    let mut made = Made::new();
    for number in 0..25 {
        let talk = made.joined(number, &format!("c{number}"));
        made.reset(talk);
    }
    let reached = made.reached("--stats=clients --json --limit stats-clients=20");
    assert!(reached.contains(&("stats-clients", 5)), "{reached:?}");
}

#[test]
fn bytes_of_topics_beyond_their_limit_are_counted_together() {
    let mut made = Made::new();
    let mut talk = made.joined(0, "c");
    for number in 0..25 {
        let topic = format!("{number:0100}");
        made.send(&mut talk, Client, &packet(0x30, &text(&topic)));
    }
    let reached = made.reached("--stats=topics --limit stats-topic-bytes=2000");
    assert_eq!(reached, [("stats-topics", 5)]);
}

#[test]
fn connections_at_a_time_are_limited_and_the_limit_can_be_changed() {
    let made = || {
        let mut made = Made::new();
        for number in 0..50 {
            made.joined(number, "c");
        }
        made
    };
    for view in ["", "--check"] {
        let reached = |limit: &str| made().reached(&format!("{view} {limit}"));
        assert_eq!(reached(""), []);
        assert_eq!(reached("--limit connections=20"), [("connections", 30)]);
    }
    // That of the analysis is another, and is changed with the first.
    let own = "--limit analysed-connections=20";
    assert_eq!(made().reached(own), []);
    assert_eq!(
        made().reached(&format!("--check {own}")),
        [("connections", 30)]
    );
    let raised = format!("--check {own} --limit connections=50");
    assert_eq!(made().reached(&raised), []);
}

#[test]
fn other_limits_are_honoured() {
    // A packet that never ends, and a hole before it.
    let made = || {
        let mut made = Made::new();
        let mut talk = made.joined(0, "c");
        made.send(&mut talk, Client, &[0x30, 0xff, 0xff, 0x7f, 0, 1, b't']);
        made.send(&mut talk, Client, &[0; 200_000]);
        let mut holed = made.joined(1, "d");
        holed.client_next += 1;
        made.send(&mut holed, Client, &[0; 5_000]);
        made
    };
    for (option, limit) in [
        ("", None),
        ("--limit held=1KiB", Some("held")),
        ("--limit waiting=1KiB", Some("waiting")),
        ("--limit waiting-all=1KiB", Some("waiting")),
    ] {
        let reached = made().reached(option);
        let names: Vec<_> = reached.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, Vec::from_iter(limit), "{option}");
    }
}

#[test]
fn connections_that_cannot_be_followed_are_counted() {
    let mut made = Made::new();
    for number in 0..25 {
        made.joined(number, "same");
    }
    let reached = made.reached("--client same --limit selection=20");
    assert_eq!(reached, [("selection", 5)]);
}

#[test]
fn packets_that_cannot_be_followed_are_counted() {
    let mut made = Made::new();
    for number in 0..2 {
        let mut talk = made.joined(number, &format!("c{number}"));
        made.send(&mut talk, Client, &unacknowledged(15));
    }
    let reached = made.reached("--topic t --limit selection-packets=20");
    assert_eq!(reached, [("selection", 10)]);
}
