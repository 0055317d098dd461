//! The table of limits: how much is kept of any capture, and of any client of `record`.
//!
//! Captures hold what attackers and broken devices sent, so every table and buffer has a limit. A
//! limit is one row here. From the row come the fields of [`Limits`], the names that `--limit`
//! takes, `help limits`, the member `accounting.caps_reached` of JSON, the messages on standard
//! error, and the test that each limit is reached by a test.
//!
//! Layers take the [`Limits`] of a run when they are made and count in [`Reached`] what they gave
//! up; the pipeline adds these counts up. A test lowers one limit instead of filling its table:
//!
//! ```
//! use mqtt_inspect::base::limits::{Limit, Limits};
//!
//! let limits = Limits { handshakes: 4, ..Limits::default() };
//! assert_eq!(limits.get(Limit::Handshakes), 4);
//! assert_eq!(Limit::from_name("handshakes"), Some(Limit::Handshakes));
//! ```

/// A limit as users see it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Row {
    /// The stable name in kebab case, as `--limit` takes it.
    pub name: &'static str,
    /// The thing that is limited, for users: a noun phrase, or a few sentences.
    pub about: &'static str,
    /// The value unless the user chooses another, in [`unit`](Self::unit).
    pub default: usize,
    /// The unit of the value.
    pub unit: Unit,
    /// Whether `--limit` can change it.
    pub change: Change,
    /// The effect of reaching it, for users.
    pub then: &'static str,
    /// The name under which reaching it is counted, which several limits of one table share;
    /// empty where nothing is counted.
    pub counted_as: &'static str,
    /// The effect in words that follow a number: `connections evicted from a full table`. Empty
    /// where another row counts, or nothing does.
    pub message: &'static str,
}

/// The unit of a limit's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// A number of things.
    Count,
    /// Bytes of data, or of what is charged for it.
    Bytes,
    /// Seconds of the capture's clock.
    Seconds,
    /// Output as a multiple of the input.
    Times,
}

/// Whether a limit can be changed by the user.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// `--limit NAME=VALUE` sets another value.
    Option,
    /// It is part of what a format or a fast path rests on.
    Fixed,
}

impl Unit {
    /// Writes `value` with its unit, bytes in the largest unit that divides them.
    pub fn format(self, value: usize) -> String {
        match self {
            Self::Count => grouped(value),
            Self::Bytes if value >= 1 << 20 && value.is_multiple_of(1 << 20) => {
                format!("{} MiB", grouped(value >> 20))
            }
            Self::Bytes if value >= 1 << 10 && value.is_multiple_of(1 << 10) => {
                format!("{} KiB", value >> 10)
            }
            Self::Bytes => format!("{} bytes", grouped(value)),
            Self::Seconds => format!("{value} s"),
            Self::Times => format!("{} times", grouped(value)),
        }
    }
}

/// Writes a number with a comma before every third digit from the right.
fn grouped(number: usize) -> String {
    match number {
        0..1_000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1_000), number % 1_000),
    }
}

/// Expands to an enum of limits and a struct with their values.
///
/// A row: its documentation, which `help limits` prints; variant, field and public name; default,
/// unit and [`Change`]; what happens then; and, where that is counted, the row under whose name
/// it is, with the words behind the number where that is the row itself.
macro_rules! limits {
    ($(#[$limit_doc:meta])* $limit:ident, $(#[$limits_doc:meta])* $limits:ident;
     $($(#[doc = $about:literal])+
       $variant:ident $field:ident $name:literal $default:expr, $unit:ident $change:ident,
       $then:literal $(=> $counted_as:literal $($message:literal)?)?;)*) => {
        $(#[$limit_doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum $limit {
            $($(#[doc = $about])+ $variant),*
        }

        impl $limit {
            /// Every limit, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Returns its row of the table.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$variant => &Row {
                        name: $name,
                        about: concat!($($about),+),
                        default: $default,
                        unit: Unit::$unit,
                        change: Change::$change,
                        then: $then,
                        counted_as: concat!($($counted_as)?),
                        message: concat!($($($message)?)?),
                    }),*
                }
            }

            /// Returns the limit of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|limit| limit.row().name == name)
            }
        }

        $(#[$limits_doc])*
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        pub struct $limits {
            $($(#[doc = $about])+ pub $field: usize),*
        }

        impl $limits {
            /// The values of the table.
            pub const DEFAULT: Self = Self { $($field: $default),* };

            /// Returns the value of `limit`, in the unit of its row.
            pub const fn get(&self, limit: $limit) -> usize {
                match limit {
                    $($limit::$variant => self.$field),*
                }
            }

            /// Sets the value of `limit`, in the unit of its row.
            pub const fn set(&mut self, limit: $limit, value: usize) {
                match limit {
                    $($limit::$variant => self.$field = value),*
                }
            }
        }

        impl Default for $limits {
            fn default() -> Self {
                Self::DEFAULT
            }
        }
    };
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

limits! {
    /// A limit of reading and analysing captures.
    Limit,
    /// The limits of reading and analysing captures, in the units of their rows.
    Limits;

    // capture

    /// Captured bytes of a frame.
    FrameBytes frame_bytes "frame-bytes" 16 * MIB, Bytes Fixed,
        "the capture is damaged: an error, exit status 2";
    /// Bytes of a pcapng block.
    BlockBytes block_bytes "block-bytes" 17 * MIB, Bytes Fixed,
        "the capture is damaged: an error, exit status 2";
    /// Interfaces of a pcapng section.
    Interfaces interfaces "interfaces" 65_536, Count Fixed,
        "an error, exit status 2";
    // What the zstd program itself accepts without being asked.
    /// Window of a zstd frame.
    ZstdWindow zstd_window "zstd-window" 128 * MIB, Bytes Fixed,
        "an error that names the window, exit status 2";
    // A capture of nothing but pings stays below 100, a bomb goes far above.
    /// Expansion of compressed captures, beyond the first GiB.
    Expansion expansion "expansion" 1_000, Times Fixed,
        "an error, exit status 2";

    // wire

    // An ordinary frame has three, one with tags and two tunnels about twelve.
    /// Headers inside each other in a frame.
    Headers headers "headers" 32, Count Fixed,
        "the frame is skipped: too-deep";
    // What they take in memory may be twice that, and as much again for notes on what has come.
    /// Bytes of fragments that wait for the others of their datagrams.
    Fragments fragments "fragments" 4 * MIB, Bytes Option,
        "the oldest datagram is given up"
        => "fragments" "fragmented datagrams given up for want of room";
    /// Fragmented datagrams that wait.
    FragmentedDatagrams fragmented_datagrams "fragmented-datagrams" 1_024, Count Option,
        "the oldest is given up" => "fragments";
    // Linux waits as long.
    /// Seconds that a fragment waits.
    FragmentSeconds fragment_seconds "fragment-seconds" 30, Seconds Option,
        "it is given up";
    // A reason's number comes from the traffic: there are as many as an attacker likes.
    /// Reasons for skipped frames that are counted one by one.
    SkipReasons skip_reasons "skip-reasons" 256, Count Fixed,
        "the rest is counted as other";

    // stream

    // With a listener's state of 300 bytes each, some 250 MB.
    /// TCP connections at a time.
    Connections connections "connections" 500_000, Count Option,
        "one that was long silent is evicted"
        => "connections" "connections evicted from a full table";
    // The analysis keeps some five kilobytes of each, with its session and what it asked for.
    /// TCP connections at a time, in a view that needs the analysis. Changing connections changes
    /// this too.
    AnalysedConnections analysed_connections "analysed-connections" 80_000, Count Option,
        "one that was long silent is evicted" => "connections";
    // Some seconds of a thousand connections a second.
    /// Closed connections that are remembered, so that what still comes of them opens no new one.
    ClosedConnections closed_connections "closed-connections" 8_192, Count Option,
        "the oldest is forgotten";
    // Above the largest window that Linux offers by itself (6 MiB). Each held segment counts 224
    // bytes besides its payload.
    /// Bytes that wait behind a hole, for one direction of a connection.
    Waiting waiting "waiting" 8 * MIB, Bytes Option,
        "the hole is given up: a gap"
        => "waiting" "holes given up because too much waited behind them";
    /// Bytes that wait behind holes, of all connections.
    WaitingAll waiting_all "waiting-all" 64 * MIB, Bytes Option,
        "the oldest holes are given up: gaps" => "waiting";

    // One that the receiver's network card put together lies over 45 others.
    /// Segments that wait and over which one lies that the snapshot length cut, for the bytes that it
    /// lacks.
    Overlaps overlaps "overlaps" 64, Count Option,
        "the rest of those is a gap"
        => "overlaps" "segments cut by the snapshot length that lie over too many others";

    // Each takes some 300 bytes.
    /// Connections at a time with TCP trouble that is watched: a receive window of 0, bytes sent again.
    Troubled troubled "troubled" 65_536, Count Option,
        "a further one is not watched"
        => "troubled" "segments of connections whose TCP trouble was not watched because too many had any";

    // Beyond it, or after the time, the octets are taken for lost: nothing is given up that could be
    // counted.
    /// Frames for which a segment, and all behind it, waits for the octets that it acknowledges, for
    /// 0.2 s of the capture's clock at most (in a capture that has shown frames out of order, 5 frames
    /// at least): they may stand later in the capture. 0 never waits.
    OutOfOrder out_of_order "out-of-order" 256, Count Option,
        "the octets are a gap";

    // connection

    /// Bytes of unfinished control packets and undecided connections.
    Held held "held" 128 * MIB, Bytes Option,
        "the packet is passed over: a gap"
        => "held" "control packets passed over because too much was held";
    // A packet this large can still prove itself after a gap.
    /// Bytes of a direction that is not known to be MQTT, on an MQTT port.
    Undecided undecided "undecided" MIB, Bytes Option,
        "the earliest are passed over" => "undecided"
        "times that undecided octets were passed over because too much was held";
    /// Bytes of a direction that is not known to be MQTT, on any other port.
    UndecidedElsewhere undecided_elsewhere "undecided-elsewhere" 64 * KIB, Bytes Option,
        "the earliest are passed over" => "undecided";
    // Nothing is counted: amid ordinary traffic most are none, and the one with least evidence goes.
    /// Places in a direction that may begin a packet and are followed at a time, in a capture that
    /// begins amid its connections or behind a gap.
    Candidates candidates "candidates" 8, Count Option,
        "the one with least evidence is given up";
    // A byte takes some nanoseconds.
    /// Effort of looking for packets amid a segment, in bytes that are read for each byte that came;
    /// 4 KiB more for each segment, and at most 256 KiB at once.
    Search search "search" 32, Times Option,
        "the rest of the segment is not looked at" => "search"
        "segments amid which no further packet was sought because that took too much";
    // Each takes some 500 bytes.
    /// Connections in WebSocket, TLS or behind a PROXY header at a time.
    Carried carried "carried" 200_000, Count Option,
        "a further one is not followed"
        => "carried" "connections in WebSocket or TLS not followed because too many were";
    // 256 MiB in segments of 1,460 bytes are 184,000 frames.
    /// Frames that are listed for one control packet.
    FramesListed frames_listed "frames-listed" 262_144, Count Option,
        "the others are counted"
        => "frames-listed" "frames left out of the list of a control packet's frames";
    // MQTT allows 65,535.
    /// Topic aliases of a direction.
    TopicAliases topic_aliases "topic-aliases" 4_096, Count Option,
        "the alias stays unresolved"
        => "topic-aliases" "topic aliases not kept because a connection's table was full";
    /// Bytes of topic names behind aliases, of one direction.
    TopicAliasBytes topic_alias_bytes "topic-alias-bytes" MIB, Bytes Option,
        "the alias stays unresolved" => "topic-aliases";
    /// Bytes of topic names behind aliases, of all connections.
    TopicAliasBytesAll topic_alias_bytes_all "topic-alias-bytes-all" 64 * MIB, Bytes Option,
        "the alias stays unresolved" => "topic-aliases";

    /// Bytes of the client identifiers of open connections.
    ClientIds client_ids "client-ids" 64 * MIB, Bytes Option,
        "packets go without it" => "client-ids"
        "client identifiers not kept because those of all connections were too long";

    // carrier

    // Each takes some 3 KB.
    /// Connections in TLS that are decrypted at a time.
    Tls tls "tls" 20_000, Count Option,
        "a further one is not decrypted"
        => "tls" "TLS connections not decrypted because too many were";
    // Each takes some 120 bytes.
    /// Secrets of TLS connections.
    Secrets secrets "secrets" 500_000, Count Option,
        "further ones are not kept"
        => "secrets" "TLS secrets not kept because too many were";
    /// Bytes of unfinished TLS records.
    Records records "records" 64 * MIB, Bytes Option,
        "the direction is given up"
        => "records" "TLS directions given up because too much of records was held";
    // Half a second of the slowest cipher.
    /// Bytes of TLS records decrypted in vain to find how many records a gap swallowed, beside 16 for
    /// each byte of records. A try counts 512 bytes more.
    DecryptedInVain decrypted_in_vain "decrypted-in-vain" 64 * MIB, Bytes Option,
        "what follows a gap is not decrypted: a gap"
        => "decrypted-in-vain" "TLS records behind a gap not decrypted because finding their numbers took too much";
    // More than the 8 KiB that common servers take.
    /// Bytes of an HTTP head that asks for WebSocket, or grants it.
    HeadBytes head_bytes "head-bytes" 16 * KIB, Bytes Option,
        "the connection is no WebSocket connection";
    /// Bytes of such heads, of all connections.
    Heads heads "heads" 16 * MIB, Bytes Option,
        "the connection is no WebSocket connection"
        => "heads" "connections taken for others because too much of HTTP heads and PROXY headers was held";
    // Each takes some 50 KB.
    /// Compressed directions of WebSocket connections at a time.
    Inflaters inflaters "inflaters" 1_024, Count Option,
        "a further one is not read"
        => "inflaters" "compressed WebSocket directions not read because too many were";
    /// Expansion of compressed WebSocket messages beyond the first 64 MiB, as a multiple of their size,
    /// or of the captures' files where those are smaller. A control packet counts 256 bytes more.
    Inflated inflated "inflated" 100, Times Option,
        "the direction is given up" => "inflated"
        "compressed WebSocket directions given up because they expand too far";

    // analysis

    /// Handshakes that are open, of all connections.
    Handshakes handshakes "handshakes" 131_072, Count Option,
        "the newest is given up"
        => "handshakes" "handshakes that the analysis gave up";
    /// Open handshakes that a session keeps for its next connection, of either end.
    HandshakesKept handshakes_kept "handshakes-kept" 1_024, Count Option,
        "the newest is given up" => "handshakes-kept"
        "handshakes of sessions without a connection that the analysis gave up";
    // Each takes some 100 bytes; the shortest has four on the wire.
    /// Filters of SUBSCRIBE and UNSUBSCRIBE packets that wait for their answers. Of one packet 4,096
    /// are kept at most.
    Filters filters "filters" 262_144, Count Option,
        "the others are counted; a subscription to them is not kept"
        => "filters" "requests of which the analysis did not keep all filters";
    /// Application messages whose deliveries are not all known.
    Messages messages "messages" 32_768, Count Option,
        "the oldest is given up" => "messages"
        "messages that the analysis gave up before all deliveries were known";
    /// Deliveries of those messages.
    Deliveries deliveries "deliveries" 131_072, Count Option,
        "the oldest message is given up" => "messages";
    /// Retained messages.
    Retained retained "retained" 8_192, Count Option,
        "the oldest is given up"
        => "retained" "retained messages that the analysis gave up";
    /// Wills whose fate is open.
    Wills wills "wills" 16_384, Count Option,
        "the oldest is given up"
        => "wills" "wills that the analysis gave up";
    /// Sessions, with and without a connection.
    Sessions sessions "sessions" 65_536, Count Option,
        "the one longest without a connection is given up"
        => "sessions" "sessions that the analysis gave up";
    /// Subscriptions of those sessions.
    Subscriptions subscriptions "subscriptions" 131_072, Count Option,
        "the newest is not kept"
        => "subscriptions" "subscriptions that the analysis did not keep";
    /// Levels of topic filters, of one broker.
    FilterLevels filter_levels "filter-levels" 524_288, Count Option,
        "the newest subscription is not kept" => "subscriptions";
    // Twice the deliveries that are listed on one handshake.
    /// Subscriptions found for one topic.
    Matches matches "matches" 8_192, Count Fixed,
        "the rest is left out"
        => "matches" "messages of which the analysis does not know all subscribers";
    // A message that reaches its subscribers earns as much as it costs; only where thousands of
    // filters take messages that no client receives is the search cut short. Each takes some 0.5 µs.
    /// Subscriptions found for topics, and levels of filters compared with one beyond 64, that the
    /// control packets of their broker have not paid for: a byte pays for one.
    MatchesAhead matches_ahead "matches-ahead" 524_288, Count Option,
        "the search is cut short" => "matches";
    /// Servers that are distinguished.
    Servers servers "servers" 65_536, Count Option,
        "the others are taken for one"
        => "servers" "connections to servers that the analysis does not tell apart";
    /// Ended sessions that must not come back.
    SessionsEnded sessions_ended "sessions-ended" 65_536, Count Option,
        "all are forgotten; a session that comes back is counted"
        => "sessions-ended" "sessions that came back and may have ended before";
    /// Filters that clients gave up, for messages that were on their way to them.
    FiltersGivenUp filters_given_up "filters-given-up" 65_536, Count Option,
        "all are forgotten, and messages from before have no reason"
        => "filters-given-up" "times that filters which clients gave up were forgotten";
    /// Ended connections, with their gaps, for messages that were on their way to them.
    ConnectionsWithGaps connections_with_gaps "connections-with-gaps" 65_536, Count Option,
        "the oldest is forgotten" => "connections-with-gaps"
        "connections of which the analysis forgot that they had gaps";
    /// Clients and messages that may be sent again, since their acknowledgements may not have been read.
    Unread unread "unread" 131_072, Count Option,
        "all are forgotten: a repetition is no finding any more"
        => "unread" "times that the analysis forgot what may be sent again";
    /// Settled messages that must not come to a client again.
    Settled settled "settled" 16_384, Count Option,
        "the oldest is forgotten; a copy that it may have barred is counted"
        => "settled" "copies that the analysis held against the latest settled messages only";
    /// Streams of messages (publisher, topic, subscriber, QoS) whose order is watched.
    Ordered ordered "ordered" 65_536, Count Option,
        "all are forgotten"
        => "ordered" "times that the analysis forgot what had been delivered last";
    // No verdict is lost beyond it, so nothing is counted. Where something is always under way
    // this many wait all the time: 2,048 have room in a processor's second cache, eight times as
    // many took a fifth longer in all.
    /// Handshakes and deliveries that --flow holds back for an earlier one.
    Reordered reordered "reordered" 2_048, Count Option,
        "the earliest is reported when it ends, behind the others";
    /// Bytes of a name that the analysis keeps: topic, filter, client identifier.
    NameBytes name_bytes "name-bytes" KIB, Bytes Fixed,
        "its beginning, its length and a checksum stand for it";
    /// Findings of one rule that are reported one by one.
    Findings findings "findings" 10_000, Count Option,
        "the rest is counted";

    // view

    // About 10 MB.
    /// Records of a kind that a JSON document holds back until its packets are over.
    JsonRecords json_records "json-records" 50_000, Count Option,
        "the rest is counted; --ndjson holds none";
    /// Topics in --stats.
    StatsTopics stats_topics "stats-topics" 100_000, Count Option,
        "the rest is counted together"
        => "stats-topics" "messages of topics that are counted together";
    /// Bytes of topics in --stats.
    StatsTopicBytes stats_topic_bytes "stats-topic-bytes" 64 * MIB, Bytes Option,
        "the rest is counted together" => "stats-topics";
    // Each takes some kilobytes, and 400 where no two of its latencies are alike.
    /// Topics in --stats whose latencies are counted one by one.
    StatsLatencies stats_latencies "stats-latencies" 1_000, Count Option,
        "the rest is counted together"
        => "stats-latencies" "deliveries on topics that are counted together";
    /// Clients in --stats.
    StatsClients stats_clients "stats-clients" 100_000, Count Option,
        "the rest is counted together"
        => "stats-clients" "clients that are only counted";
    /// Connections that --client follows.
    Selection selection "selection" 65_536, Count Option,
        "no more are followed" => "selection"
        "packets or connections that --topic and --client could not follow";
    /// Packets whose acknowledgements --topic follows.
    SelectionPackets selection_packets "selection-packets" 65_536, Count Option,
        "no more are followed" => "selection";
}

limits! {
    /// A limit of what the broker of `record` keeps of its clients.
    BrokerLimit,
    /// The limits of what the broker of `record` keeps of its clients, in the units of their rows.
    BrokerLimits;

    /// Connections at a time.
    Connections connections "connections" 4_096, Count Fixed,
        "a further one is closed at once, with a line in the log";
    /// Seconds that a connection may take to bring its CONNECT.
    ConnectSeconds connect_seconds "connect-seconds" 30, Seconds Fixed,
        "it is closed, with a line in the log";
    /// Bytes of a control packet, fixed header included.
    PacketBytes packet_bytes "packet-bytes" 64 * MIB, Bytes Fixed,
        "the connection is closed: packet too large";
    // SUBSCRIBE with a million filters would keep all others waiting.
    /// Bytes of a control packet other than PUBLISH.
    BarePacketBytes bare_packet_bytes "bare-packet-bytes" MIB, Bytes Fixed,
        "the connection is closed: packet too large";
    /// Bytes of packets that are not whole yet, or not handled to the end, of all clients.
    AllPartialBytes all_partial_bytes "all-partial-bytes" 512 * MIB, Bytes Fixed,
        "the connection that went too far is closed";
    /// Sessions, connected or not.
    Sessions sessions "sessions" 20_000, Count Fixed,
        "CONNECT is refused";
    /// Bytes of names, wills, subscriptions and aliases, of all clients.
    AllKeptBytes all_kept_bytes "all-kept-bytes" 256 * MIB, Bytes Fixed,
        "CONNECT or SUBSCRIBE is refused, PUBLISH with an alias ends its connection";
    /// Subscriptions of a client.
    Subscriptions subscriptions "subscriptions" 10_000, Count Fixed,
        "SUBSCRIBE is refused, and the log mentions it once";
    /// Bytes of topic filters of a client.
    SubscriptionBytes subscription_bytes "subscription-bytes" MIB, Bytes Fixed,
        "SUBSCRIBE is refused, and the log mentions it once";
    /// Messages above QoS 0 that wait for a client.
    QueuedMessages queued_messages "queued-messages" 100_000, Count Fixed,
        "the message is dropped for that client, and the log mentions it once";
    /// Bytes of messages that wait for a client, and of those in its open handshakes.
    QueuedBytes queued_bytes "queued-bytes" 64 * MIB, Bytes Fixed,
        "the message is dropped for that client, and the log mentions it once";
    /// QoS 2 messages of a client that it has not released.
    UnreleasedMessages unreleased_messages "unreleased-messages" 10_000, Count Fixed,
        "the connection is closed";
    /// Bytes of QoS 2 messages of a client that it has not released.
    UnreleasedBytes unreleased_bytes "unreleased-bytes" 64 * MIB, Bytes Fixed,
        "the connection is closed";
    /// Bytes of all these messages, of all clients.
    AllHeldBytes all_held_bytes "all-held-bytes" 512 * MIB, Bytes Fixed,
        "as for the messages of one client";
    /// Bytes that a client does not read.
    UnsentBytes unsent_bytes "unsent-bytes" 16 * MIB, Bytes Fixed,
        "QoS 0 is dropped for it, the rest waits; the log mentions it once";
    /// Bytes that clients do not read, of all clients.
    AllUnsentBytes all_unsent_bytes "all-unsent-bytes" 256 * MIB, Bytes Fixed,
        "QoS 0 is dropped for those that do not read";
    /// Retained messages.
    RetainedMessages retained_messages "retained-messages" 100_000, Count Fixed,
        "the newest is not kept, with a line in the log";
    /// Bytes of retained messages.
    RetainedBytes retained_bytes "retained-bytes" 256 * MIB, Bytes Fixed,
        "the newest is not kept, with a line in the log";
}

/// How often each limit was reached, as a layer counts it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Reached(Vec<(Limit, u64)>);

impl Reached {
    /// Counts that `limit` was reached `times` times, and returns how often it was in all.
    pub fn add(&mut self, limit: Limit, times: u64) -> u64 {
        match self.0.iter_mut().find(|(one, _)| *one == limit) {
            Some((_, sum)) => *sum = sum.saturating_add(times),
            None if times == 0 => {}
            None => self.0.push((limit, times)),
        }
        self.times(limit)
    }

    /// Returns how often `limit` was reached.
    pub fn times(&self, limit: Limit) -> u64 {
        let mut all = self.iter();
        all.find_map(|(one, times)| (one == limit).then_some(times))
            .unwrap_or(0)
    }

    /// Iterates over the limits that were reached, in the order in which they first were.
    pub fn iter(&self) -> impl Iterator<Item = (Limit, u64)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_counts_have_a_row_with_a_message() {
        for rows in [
            Limit::ALL
                .iter()
                .map(|limit| limit.row())
                .collect::<Vec<_>>(),
            BrokerLimit::ALL.iter().map(|limit| limit.row()).collect(),
        ] {
            let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
            assert_eq!(names.len(), rows.len());
            for row in &rows {
                let own = row.counted_as == row.name;
                assert_eq!(!row.message.is_empty(), own, "{}", row.name);
                assert!(row.counted_as.is_empty() || names.contains(row.counted_as));
                assert!(row.default > 0 && row.about.ends_with('.'), "{}", row.name);
            }
        }
    }

    #[test]
    fn every_limit_is_set_by_its_name() {
        for &limit in Limit::ALL {
            let mut limits = Limits::default();
            assert_eq!(limits.get(limit), limit.row().default);
            limits.set(limit, 7);
            assert_eq!(limits.get(limit), 7);
            assert_eq!(Limit::from_name(limit.row().name), Some(limit));
        }
    }

    #[test]
    fn values_are_grouped_and_bytes_stand_in_their_largest_whole_unit() {
        assert_eq!(Unit::Count.format(1_234_567), "1,234,567");
        assert_eq!(Unit::Count.format(100), "100");
        assert_eq!(Unit::Bytes.format(8 << 20), "8 MiB");
        assert_eq!(Unit::Bytes.format(64 << 10), "64 KiB");
        assert_eq!(Unit::Bytes.format(10), "10 bytes");
    }

    #[test]
    fn reached_limits_add_up_and_what_did_not_occur_is_left_out() {
        let mut reached = Reached::default();
        assert_eq!(reached.add(Limit::Wills, 2), 2);
        assert_eq!(reached.add(Limit::Wills, 1), 3);
        assert_eq!(reached.add(Limit::Held, 0), 0);
        assert_eq!(reached.iter().collect::<Vec<_>>(), [(Limit::Wills, 3)]);
    }
}
