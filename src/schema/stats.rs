//! The statistics of `--stats`: what the tables show and JSON holds.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::capture::Capture;
use super::value::{SCHEMA, Seconds, is_false};
use crate::base::Span;
use crate::event::Totals;

/// The statistics and the capture that they are of: a document, or a line of NDJSON.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Report<'a> {
    /// The version of the data model.
    pub schema: &'static str,
    /// The sections that were asked for.
    pub stats: Stats<'a>,
    /// The captures that were read.
    pub capture: Capture<'a>,
}

impl<'a> Report<'a> {
    /// The report at the end of a run.
    pub fn new(stats: Stats<'a>, totals: &'a Totals) -> Self {
        Self {
            schema: SCHEMA,
            stats,
            capture: Capture::from(totals),
        }
    }
}

/// The sections that were asked for, each a list of rows.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Stats<'a> {
    /// Packet types that came, by number.
    pub types: Option<Vec<TypeRow>>,
    /// Topics by name, at most 100,000.
    pub topics: Option<Vec<TopicRow<'a>>>,
    /// Clients in the order in which their first sessions ended, at most 100,000.
    pub clients: Option<&'a [ClientRow]>,
    /// Kinds of handshakes that came.
    pub handshakes: Option<Vec<HandshakeRow>>,
    /// Topics by name, with the time from publisher to subscriber, at most 1,000.
    pub latency: Option<Vec<LatencyRow<'a>>>,
    /// How connections ended, in the order in which each cause first came.
    pub connections: Option<&'a [EndRow]>,
    /// Malformed control packets.
    pub malformed: u64,
}

/// The control packets of one type.
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct TypeRow {
    /// The packet type's number.
    #[serde(rename = "type")]
    pub packet_type: u8,
    /// The packet type's name.
    pub type_name: &'static str,
    /// How many of both sides.
    pub packets: u64,
    /// How many that clients sent.
    pub from_clients: u64,
    /// How many bytes those have.
    pub octets_from_clients: u64,
    /// How many that servers sent.
    pub from_servers: u64,
    /// How many bytes those have.
    pub octets_from_servers: u64,
}

/// The PUBLISH packets of one topic.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct TopicRow<'a> {
    /// The topic name, an alias resolved; absent on the row of topics beyond the limit.
    pub topic: Option<&'a str>,
    /// The row counts all topics beyond the limit together.
    #[serde(skip_serializing_if = "is_false")]
    pub beyond_cap: bool,
    /// How many clients sent.
    pub published: u64,
    /// How many servers sent.
    pub delivered: u64,
    /// Bytes of payload that clients sent.
    pub octets: u64,
    /// How many clients sent with RETAIN.
    pub retained: u64,
    /// How many clients sent at QoS 0.
    pub qos_0: u64,
    /// How many clients sent at QoS 1.
    pub qos_1: u64,
    /// How many clients sent at QoS 2.
    pub qos_2: u64,
    /// Clients that published, counted up to 1,000; one without an identifier counts once a
    /// connection.
    pub publishers: u64,
    /// Clients that received, counted up to 1,000.
    pub subscribers: u64,
    /// Seconds from the first message to the last: of clients, or of servers where no client's
    /// was seen.
    pub span: Option<Seconds>,
}

impl TopicRow<'_> {
    /// PUBLISH packets of both sides.
    pub const fn messages(&self) -> u64 {
        self.published + self.delivered
    }

    /// Messages a second between the first and the last, of the side that `span` is of; `None`
    /// where there are less than two or they came at once.
    pub fn rate(&self) -> Option<f64> {
        let count = match self.published {
            0 => self.delivered,
            published => published,
        };
        let seconds = self.span?.span().seconds();
        (seconds > 0.0 && count > 1).then(|| (count - 1) as f64 / seconds)
    }
}

/// One client: the sessions of a client identifier, or one session without one.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct ClientRow {
    /// The client identifier; absent where no CONNECT was captured.
    pub client_id: Option<Box<str>>,
    /// The user name.
    pub user_name: Option<Box<str>>,
    /// `3.1`, `3.1.1` or `5.0`, once known.
    pub version: Option<&'static str>,
    /// The keep alive of the last connection in seconds.
    pub keep_alive: Option<u16>,
    /// How many connections.
    pub connections: u64,
    /// Control packets that the client sent.
    pub packets_sent: u64,
    /// Control packets that it received.
    pub packets_received: u64,
    /// How many bytes those sent have.
    pub octets_sent: u64,
    /// How many bytes those received have.
    pub octets_received: u64,
    /// How the last connection ended.
    pub ended_by: &'static str,
}

/// The handshakes of one kind.
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct HandshakeRow {
    /// `connect`, `qos1`, ...
    pub kind: &'static str,
    /// How many were complete.
    pub complete: u64,
    /// How many were refused.
    pub refused: u64,
    /// How many never completed.
    pub incomplete: u64,
    /// How many had their PUBLISH sent again.
    pub redelivered: u64,
    /// From the first packet to the last.
    #[serde(flatten)]
    pub quantiles: Option<Quantiles>,
}

/// The time from publisher to subscriber on one topic.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct LatencyRow<'a> {
    /// The topic name; absent on the row of topics beyond the limit.
    pub topic: Option<&'a str>,
    /// The row counts all topics beyond the limit together.
    #[serde(skip_serializing_if = "is_false")]
    pub beyond_cap: bool,
    /// How many deliveries whose message is certain.
    pub deliveries: u64,
    /// From the publisher's PUBLISH to the subscriber's.
    #[serde(flatten)]
    pub quantiles: Option<Quantiles>,
    /// The part of it in which nothing kept the server from sending the copy, from the moment when
    /// the message came into force: at QoS 2 with the publisher's PUBREL, where the server acts on
    /// that.
    pub broker: Option<Quantiles>,
    /// The part in which the copy waited for the subscriber: it had no connection, or as many
    /// messages unacknowledged as it is ever sent (Receive Maximum, the server's own limit).
    pub waiting: Option<Quantiles>,
}

/// Connections that ended for one cause.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct EndRow {
    /// The cause: `disconnect`.
    pub ended_by: &'static str,
    /// How many.
    pub connections: u64,
}

/// Durations in seconds: the ends exact, those between to three digits.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Quantiles {
    /// The shortest.
    pub min: Seconds,
    /// Half take no longer.
    pub median: Seconds,
    /// 95 % take no longer.
    pub p95: Seconds,
    /// 99 % take no longer.
    pub p99: Seconds,
    /// The longest.
    pub max: Seconds,
}

impl From<[Span; 5]> for Quantiles {
    fn from(quantiles: [Span; 5]) -> Self {
        let [min, median, p95, p99, max] = quantiles.map(Seconds::exact);
        Self {
            min,
            median,
            p95,
            p99,
            max,
        }
    }
}
