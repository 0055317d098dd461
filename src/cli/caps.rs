//! The limits of what is held and believed, in one place: for the README and the man page.
//!
//! Whatever a capture holds, memory is bounded by these. Reaching one is told: by a gap, by an
//! event, by a message, or by `-v` and the member `accounting` of the JSON.

use std::fmt::Write as _;

use crate::analysis::caps as analysis;
use crate::carrier::{tls, websocket};
use crate::event::Handshake;
use crate::stream::Limits;
use crate::view::stats::{tally, topics};
use crate::view::{filter, json};
use crate::{broker, capture, connection, inspect, wire};

/// One limit.
struct Cap {
    what: &'static str,
    most: Most,
    /// What happens when it is reached.
    then: &'static str,
}

/// How much.
enum Most {
    Count(u64),
    Octets(u64),
    Seconds(u64),
    Times(u64),
}

const fn cap(what: &'static str, most: Most, then: &'static str) -> Cap {
    Cap { what, most, then }
}

use Most::{Count, Octets, Seconds, Times};

const CAPS: &[Cap] = &[
    cap(
        "Captured octets of a frame",
        Octets(capture::MAX_FRAME as u64),
        "the capture is damaged: an error, exit status 2",
    ),
    cap(
        "pcapng block",
        Octets(capture::MAX_BLOCK as u64),
        "the capture is damaged: an error, exit status 2",
    ),
    cap(
        "Interfaces of a pcapng section",
        Count(capture::MAX_INTERFACES as u64),
        "an error, exit status 2",
    ),
    cap(
        "Window of a zstd frame",
        Octets(capture::MAX_WINDOW),
        "an error that names the window, exit status 2",
    ),
    cap(
        "Expansion of compressed data",
        Times(capture::MAX_EXPANSION),
        "beyond the first GiB: an error, exit status 2",
    ),
    cap(
        "Headers inside each other in a frame",
        Count(wire::MAX_HEADERS as u64),
        "the frame is skipped: `too-deep`",
    ),
    cap(
        "Fragmented datagrams that wait",
        Count(wire::MAX_DATAGRAMS as u64),
        "the oldest is given up: cap `fragments`",
    ),
    cap(
        "Octets of fragments that wait",
        Octets(wire::MAX_BYTES as u64),
        "the oldest is given up: cap `fragments`",
    ),
    cap(
        "Time that a fragment waits",
        Seconds(wire::MAX_AGE.nanos() as u64 / 1_000_000_000),
        "it is given up",
    ),
    cap(
        "Reasons for skipped frames told apart",
        Count(wire::MAX_REASONS as u64),
        "the rest is counted as `other`",
    ),
    cap(
        "TCP connections at a time",
        Count(Limits::CONNECTIONS as u64),
        "one that was long silent is evicted: cap `connections`",
    ),
    cap(
        "TCP connections at a time, in a view that needs the analysis",
        Count(inspect::ANALYSED_CONNECTIONS as u64),
        "one that was long silent is evicted: cap `connections`",
    ),
    cap(
        "Closed connections that are remembered",
        Count(Limits::LINGERING as u64),
        "the oldest is forgotten",
    ),
    cap(
        "Octets that wait behind a hole, one direction",
        Octets(Limits::WAITING_BYTES as u64),
        "the hole is given up: a gap, cap `waiting`",
    ),
    cap(
        "Octets that wait behind holes, in all",
        Octets(Limits::WAITING_TOTAL as u64),
        "the oldest holes are given up: gaps, cap `waiting`",
    ),
    cap(
        "Octets of unfinished packets and undecided connections",
        Octets(connection::HELD_CAP),
        "the packet is passed over: a gap, cap `held`",
    ),
    cap(
        "Octets of an undecided direction, on an MQTT port",
        Octets(connection::SEEKING_CAP as u64),
        "the earliest are passed over: cap `undecided`",
    ),
    cap(
        "Octets of an undecided direction, on any other port",
        Octets(connection::UNKNOWN_CAP as u64),
        "the earliest are passed over: cap `undecided`",
    ),
    cap(
        "Connections in WebSocket or TLS at a time",
        Count(connection::CARRIERS_CAP as u64),
        "a further one is not followed: cap `carried`",
    ),
    cap(
        "Those of them in TLS",
        Count(tls::CONNECTIONS_CAP as u64),
        "a further one is not decrypted: cap `tls`",
    ),
    cap(
        "Secrets of TLS connections",
        Count(tls::SECRETS_CAP as u64),
        "further ones are not kept: cap `secrets`",
    ),
    cap(
        "Octets of unfinished TLS records",
        Octets(tls::HELD_CAP as u64),
        "the direction is given up: cap `records`",
    ),
    cap(
        "Octets of TLS records decrypted in vain behind gaps",
        Octets(tls::TRIES_CAP),
        "what follows a gap is not decrypted: a gap",
    ),
    cap(
        "Octets of an HTTP head that asks for WebSocket, or grants it",
        Octets(websocket::HEAD_CAP as u64),
        "the connection is no WebSocket connection",
    ),
    cap(
        "The same, in all",
        Octets(websocket::HEADS_CAP as u64),
        "the connection is no WebSocket connection: cap `heads`",
    ),
    cap(
        "Compressed directions of WebSocket connections at a time",
        Count(websocket::INFLATERS_CAP as u64),
        "a further one is not read: cap `inflaters`",
    ),
    cap(
        "Expansion of compressed WebSocket messages",
        Times(websocket::EXPANSION_CAP),
        "beyond the first GiB: the direction is given up, cap `inflated`",
    ),
    cap(
        "Frames listed for a control packet",
        Count(connection::FRAMES_CAP as u64),
        "the others are counted: cap `frames-listed`",
    ),
    cap(
        "Topic aliases of a direction",
        Count(connection::ALIASES_CAP as u64),
        "the alias stays unresolved: cap `topic-aliases`",
    ),
    cap(
        "Octets of topic names behind aliases, one direction",
        Octets(connection::TOPICS_CAP as u64),
        "the alias stays unresolved: cap `topic-aliases`",
    ),
    cap(
        "Octets of topic names behind aliases, in all",
        Octets(connection::ALIASES_TOTAL),
        "the alias stays unresolved: cap `topic-aliases`",
    ),
    cap(
        "Octets of the client identifiers of open connections",
        Octets(connection::CLIENT_IDS_TOTAL),
        "packets go without it: cap `client-ids`",
    ),
    cap(
        "Handshakes that are open",
        Count(analysis::OPEN_HANDSHAKES as u64),
        "the newest is given up: cap `handshakes`, a finding",
    ),
    cap(
        "Open handshakes of a session that waits for its next connection",
        Count(analysis::PENDING as u64),
        "the newest is given up: cap `handshakes-kept`, a finding",
    ),
    cap(
        "Application messages being followed",
        Count(analysis::MESSAGES as u64),
        "the oldest is given up: cap `messages`, a finding",
    ),
    cap(
        "Deliveries being followed",
        Count(analysis::LEGS as u64),
        "the oldest message is given up: cap `messages`, a finding",
    ),
    cap(
        "Retained messages",
        Count(analysis::RETAINED as u64),
        "the oldest is given up: cap `retained`, a finding",
    ),
    cap(
        "Wills",
        Count(analysis::WILLS as u64),
        "the oldest is given up: cap `wills`, a finding",
    ),
    cap(
        "Sessions",
        Count(analysis::SESSIONS as u64),
        "the one longest without a connection is given up: cap `sessions`, a finding",
    ),
    cap(
        "Subscriptions",
        Count(analysis::SUBSCRIPTIONS as u64),
        "the newest is not kept: cap `subscriptions`, a finding",
    ),
    cap(
        "Levels of topic filters",
        Count(analysis::FILTER_LEVELS as u64),
        "the newest is not kept: cap `subscriptions`, a finding",
    ),
    cap(
        "Subscriptions found for one topic",
        Count(2 * Handshake::DELIVERIES_KEPT as u64),
        "the rest is left out: cap `matches`, a finding",
    ),
    cap(
        "Subscriptions found for topics beyond 64 for each packet",
        Count(analysis::MATCHES_AHEAD as u64),
        "the search is cut short: cap `matches`, a finding",
    ),
    cap(
        "Servers that are told apart",
        Count(analysis::BROKERS as u64),
        "the others are taken for one: cap `servers`, a finding",
    ),
    cap(
        "Ended sessions that must not come back",
        Count(analysis::SESSIONS as u64),
        "all are forgotten; a session that comes back: cap `sessions-ended`, a finding",
    ),
    cap(
        "Ended connections with gaps",
        Count(analysis::SESSIONS as u64),
        "all are forgotten: cap `connections-with-gaps`, a finding",
    ),
    cap(
        "Settled messages that must not come to a client again",
        Count(analysis::SETTLED as u64),
        "the oldest is forgotten; a copy that it may have barred: cap `settled`, a finding",
    ),
    cap(
        "Streams of messages (publisher, topic, subscriber, QoS) whose order is watched",
        Count(analysis::ORDERED as u64),
        "all are forgotten: cap `ordered`, a finding",
    ),
    cap(
        "Handshakes and deliveries that `--flow` holds back for an earlier one",
        Count(analysis::REORDERED as u64),
        "the earliest is told when it ends, behind the others",
    ),
    cap(
        "Name that the analysis keeps: topic, filter, client identifier",
        Octets(analysis::NAME as u64),
        "its beginning, its length and a checksum stand for it",
    ),
    cap(
        "Findings of one rule",
        Count(analysis::FINDINGS_OF_A_RULE),
        "the rest is counted",
    ),
    cap(
        "Records of a kind that a JSON document holds back",
        Count(json::HELD_RECORDS as u64),
        "the rest is counted; `--ndjson` holds none",
    ),
    cap(
        "Topics in `--stats`",
        Count(topics::MOST_TOPICS as u64),
        "the rest is counted together",
    ),
    cap(
        "Octets of topics in `--stats`",
        Octets(topics::MOST_TOPIC_OCTETS as u64),
        "the rest is counted together",
    ),
    cap(
        "Clients in `--stats`",
        Count(tally::MOST_CLIENTS as u64),
        "the rest is counted together",
    ),
    cap(
        "Connections that `--client` follows",
        Count(filter::FOLLOWED_CONNECTIONS as u64),
        "no more are followed: cap `selection`",
    ),
    cap(
        "Packets whose acknowledgements `--topic` follows",
        Count(filter::FOLLOWED_IDENTIFIERS as u64),
        "no more are followed: cap `selection`",
    ),
];

/// What `record` holds of its Clients. Their own share comes first, then that of all.
fn of_record() -> Vec<Cap> {
    let broker = broker::Limits::default();
    let octets = |octets: usize| Octets(octets as u64);
    let count = |count: usize| Count(count as u64);
    let refused = "CONNECT is refused";
    let dropped = "the message is dropped for that client, and the log says so once";
    vec![
        cap(
            "Connections",
            count(broker::net::NetOptions::default().connections),
            "a further one is closed at once, with a line in the log",
        ),
        cap(
            "Time that a connection may take to bring its CONNECT",
            Seconds(broker.connect_timeout.nanos() as u64 / 1_000_000_000),
            "it is closed, with a line in the log",
        ),
        cap(
            "Control packet",
            octets(broker.packet_octets),
            "the connection is closed: packet too large",
        ),
        cap(
            "Control packet other than PUBLISH",
            octets(broker.bare_packet_octets),
            "the connection is closed: packet too large",
        ),
        cap(
            "Packets that have begun, of all clients",
            octets(broker.all_begun_octets),
            "the connection that went too far is closed",
        ),
        cap("Sessions", count(broker.sessions), refused),
        cap(
            "Names, wills, subscriptions and aliases, of all clients",
            octets(broker.all_kept_octets),
            "CONNECT or SUBSCRIBE is refused, PUBLISH with an alias ends its connection",
        ),
        cap(
            "Subscriptions of a client",
            count(broker.subscriptions),
            "SUBSCRIBE is refused, and the log says so once",
        ),
        cap(
            "Topic filters of a client",
            octets(broker.subscription_octets),
            "SUBSCRIBE is refused, and the log says so once",
        ),
        cap(
            "Messages above QoS 0 that wait for a client",
            count(broker.queued_messages),
            dropped,
        ),
        cap(
            "Octets of messages that wait for a client",
            octets(broker.queued_octets),
            dropped,
        ),
        cap(
            "QoS 2 messages of a client that it has not released",
            count(broker.unreleased_messages),
            "the connection is closed",
        ),
        cap(
            "Octets of QoS 2 messages of a client that it has not released",
            octets(broker.unreleased_octets),
            "the connection is closed",
        ),
        cap(
            "Octets of all these messages, of all clients",
            octets(broker.all_held_octets),
            "as for the messages of one client",
        ),
        cap(
            "Octets that a client does not read",
            octets(broker.unsent_octets),
            "QoS 0 is dropped for it, the rest waits; the log says so once",
        ),
        cap(
            "Octets that clients do not read, of all",
            octets(broker.all_unsent_octets),
            "QoS 0 is dropped for who does not read",
        ),
        cap(
            "Retained messages",
            count(broker.retained_messages),
            "the newest is not kept, with a line in the log",
        ),
        cap(
            "Octets of retained messages",
            octets(broker.retained_octets),
            "the newest is not kept, with a line in the log",
        ),
        cap(
            "Retained messages searched for subscriptions in a second",
            Count(broker.retained_searched),
            "a subscription gets none of them, with a line in the log",
        ),
    ]
}

/// What is limited, in the order of the table: first of the analysis, then of `record`.
pub fn names() -> [Vec<&'static str>; 2] {
    let names = |caps: &[Cap]| caps.iter().map(|cap| cap.what).collect();
    [names(CAPS), names(&of_record())]
}

impl Most {
    fn told(&self) -> String {
        match *self {
            Self::Count(count) => grouped(count),
            Self::Octets(octets) if octets >= 1 << 20 && octets.is_multiple_of(1 << 20) => {
                format!("{} MiB", octets >> 20)
            }
            Self::Octets(octets) if octets.is_multiple_of(1 << 10) => {
                format!("{} KiB", octets >> 10)
            }
            Self::Octets(octets) => format!("{} octets", grouped(octets)),
            Self::Seconds(seconds) => format!("{seconds} s"),
            Self::Times(times) => format!("{} times", grouped(times)),
        }
    }
}

/// A number with a comma before every third digit from the right.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// The limits as lines for the long help and the man page.
pub fn help() -> String {
    let mut help = "Limits, so that no capture takes memory without end (--limit raises the caps \
        connections, waiting, held and fragments; waiting-all is that of all directions):\n"
        .to_owned();
    push(&mut help, CAPS);
    help
}

/// The same for `record`.
pub fn record_help() -> String {
    let mut help = "Limits, so that no client takes memory without end:\n".to_owned();
    push(&mut help, &of_record());
    help
}

fn push(help: &mut String, caps: &[Cap]) {
    for Cap { what, most, then } in caps {
        // Writing to a String does not fail.
        let _ = writeln!(help, "  {what}: {}; then {then}", most.told());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A table of the README.
    fn table(caps: &[Cap]) -> String {
        let mut table = "| what | limit | when it is reached |\n|---|---|---|\n".to_owned();
        for Cap { what, most, then } in caps {
            writeln!(table, "| {what} | {} | {then} |", most.told()).unwrap();
        }
        table
    }

    #[test]
    fn the_readme_lists_every_limit_with_its_number() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        for table in [table(CAPS), table(&of_record())] {
            assert!(
                readme.contains(&table),
                "the section Limits of README.md must hold this table:\n{table}"
            );
        }
    }

    #[test]
    fn numbers_are_grouped_and_octets_told_in_their_largest_whole_unit() {
        assert_eq!(
            (grouped(7), grouped(1000), grouped(1234567)),
            ("7".to_owned(), "1,000".to_owned(), "1,234,567".to_owned())
        );
        assert_eq!(Octets(8 << 20).told(), "8 MiB");
        assert_eq!(Octets(64 << 10).told(), "64 KiB");
        assert_eq!(Octets(10).told(), "10 octets");
    }
}
