//! The statistics as tables for people.

use std::cmp::Reverse;
use std::io::{self, Write};

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

use crate::base::Span;
use crate::base::text::safe;
use crate::schema::stats::{
    ClientRow, EndRow, HandshakeRow, LatencyRow, Quantiles, Report, TopicRow, TypeRow,
};
use crate::view::words::span;

/// Rows that a table shows; how many more there are stands below it.
const ROWS: usize = 100;

/// The row of all topics beyond the limit.
const BEYOND: &str = "(topics beyond the cap)";

/// One table before it is laid out.
struct Layout {
    title: &'static str,
    /// The heads of the columns, a bar between them; `\n` breaks a line.
    heads: &'static str,
    /// The first columns hold text, the others numbers.
    texts: usize,
    rows: Vec<Vec<String>>,
    /// Rows that are not shown.
    more: usize,
}

/// Writes the tables of the sections asked for, in a fixed order; `other_clients` have no row.
pub(super) fn write(
    report: &Report<'_>,
    other_clients: u64,
    width: Option<u16>,
    out: &mut impl Write,
) -> io::Result<()> {
    let (stats, capture) = (&report.stats, &report.capture);
    let (frames, packets) = (capture.frames, capture.packets);
    writeln!(out, "{frames} frames, {packets} control packets")?;
    if let Some(rows) = &stats.types {
        types(rows).write(width, out)?;
        if stats.malformed > 0 {
            writeln!(out, "{} of them malformed", stats.malformed)?;
        }
    }
    if let Some(rows) = &stats.topics {
        topics(rows).write(width, out)?;
    }
    if let Some(rows) = &stats.clients {
        clients(rows, other_clients).write(width, out)?;
    }
    if let Some(rows) = &stats.handshakes {
        handshakes(rows).write(width, out)?;
        let trips = round_trips(rows);
        if !trips.rows.is_empty() {
            trips.write(width, out)?;
        }
    }
    if let Some(rows) = &stats.latency {
        latency(rows).write(width, out)?;
        let waiting = waiting(rows);
        if !waiting.rows.is_empty() {
            waiting.write(width, out)?;
        }
    }
    if let Some(rows) = &stats.connections {
        connections(rows).write(width, out)?;
    }
    Ok(())
}

/// Control packets by type and sender.
fn types(rows: &[TypeRow]) -> Layout {
    let rows = rows.iter().map(|row| {
        let clients = [row.from_clients, row.octets_from_clients];
        let servers = [row.from_servers, row.octets_from_servers];
        cells(row.type_name, [clients, servers].as_flattened())
    });
    let heads = "Type|From clients|Octets|From servers|Octets";
    Layout::new("Packet types", heads, rows)
}

/// Topics, those with the most messages first.
fn topics(rows: &[TopicRow<'_>]) -> Layout {
    let mut rows: Vec<_> = rows.iter().collect();
    // The most messages first; the sum of those beyond the limit stands last.
    rows.sort_by_key(|row| (row.beyond_cap, Reverse(row.messages()), row.topic));
    let (rows, more) = shown(rows, |row| row.beyond_cap);
    let rows = rows.into_iter().map(|row| {
        let mut cells = cells(
            &row.topic.map_or(BEYOND.into(), safe),
            &[row.published, row.delivered, row.octets],
        );
        cells.push(or_dash(row.rate().map(|rate| format!("{rate:.2}"))));
        cells.push(format!("{}/{}/{}", row.qos_0, row.qos_1, row.qos_2));
        let peers = [row.retained, row.publishers, row.subscribers];
        cells.extend(peers.map(|count| count.to_string()));
        cells
    });
    Layout {
        more,
        ..Layout::new(
            "Topics (in: published to the broker; out: sent to subscribers)",
            "Topic|In|Out|Octets\nin|Per\nsecond|QoS\n0/1/2|Retain|Pubs|Subs",
            rows,
        )
    }
}

/// Sessions, those with the most packets first; `others` have no row.
fn clients(rows: &[ClientRow], others: u64) -> Layout {
    let mut rows: Vec<_> = rows.iter().collect();
    let packets = |row: &ClientRow| row.packets_sent + row.packets_received;
    rows.sort_by_key(|row| (Reverse(packets(row)), row.client_id.as_deref()));
    let (rows, more) = shown(rows, |_| false);
    let rows = rows.into_iter().map(|row| {
        vec![
            match row.client_id.as_deref() {
                None => "(not seen)".to_owned(),
                Some("") => "(empty)".to_owned(),
                Some(client_id) => safe(client_id).into_owned(),
            },
            or_dash(row.user_name.as_deref().map(|name| safe(name).into_owned())),
            or_dash(row.version.map(str::to_owned)),
            row.ended_by.replace('_', " "),
            or_dash(row.keep_alive.map(|seconds| format!("{seconds} s"))),
            row.connections.to_string(),
            format!("{}/{}", row.packets_sent, row.packets_received),
            format!("{}/{}", row.octets_sent, row.octets_received),
        ]
    });
    Layout {
        texts: 4,
        more: more + others as usize,
        ..Layout::new(
            "Clients (packets and octets: sent/received)",
            "Client id|User|MQTT|Ended|Keep\nalive|Conns|Packets|Octets",
            rows,
        )
    }
}

/// Handshakes by kind.
fn handshakes(rows: &[HandshakeRow]) -> Layout {
    let rows = rows.iter().map(|row| {
        let counts = [row.complete, row.refused, row.incomplete, row.redelivered];
        cells(row.kind, &counts)
    });
    let heads = "Handshake|Complete|Refused|Incomplete|Redelivered";
    Layout::new("Handshakes", heads, rows)
}

/// How long handshakes took, by kind; without rows where no frame has a time.
fn round_trips(rows: &[HandshakeRow]) -> Layout {
    let timed = rows.iter().filter(|row| row.quantiles.is_some());
    let rows = timed.map(|row| [cells(row.kind, &[]), quantiles(row.quantiles).to_vec()].concat());
    let title = "Round trips (complete handshakes, first packet to last)";
    Layout::new(title, "Handshake|Min|Median|95 %|99 %|Max", rows)
}

/// From publisher to subscriber, the topics with the most deliveries first.
fn latency(rows: &[LatencyRow<'_>]) -> Layout {
    let heads = "Topic|Deliveries|Min|Median|95 %|99 %|Max";
    by_topic(rows, "From publisher to subscriber", heads, |row| {
        let mut cells = vec![row.deliveries.to_string()];
        cells.extend(quantiles(row.quantiles));
        cells
    })
}

/// The shares of the broker and of slow subscribers in that, for topics whose copies waited.
fn waiting(rows: &[LatencyRow<'_>]) -> Layout {
    let waited = |row: &&LatencyRow<'_>| {
        let waiting = row.waiting.map(|waiting| waiting.max.span());
        waiting.is_some_and(|longest| longest > Span::ZERO)
    };
    let rows: Vec<_> = rows.iter().filter(waited).copied().collect();
    let heads = "Topic|Broker\nmedian|Broker\n95 %|Waiting\nmedian|Waiting\n95 %|Waiting\nmax";
    let title = "Of that: the broker's own time, and waiting for the subscriber";
    by_topic(&rows, title, heads, |row| {
        let [_, broker, broker_p95, ..] = quantiles(row.broker);
        let [_, median, p95, _, max] = quantiles(row.waiting);
        vec![broker, broker_p95, median, p95, max]
    })
}

/// Returns a table with a row for each topic, those with the most deliveries first.
fn by_topic(
    rows: &[LatencyRow<'_>],
    title: &'static str,
    heads: &'static str,
    cells: impl Fn(&LatencyRow<'_>) -> Vec<String>,
) -> Layout {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (row.beyond_cap, Reverse(row.deliveries), row.topic));
    let (rows, more) = shown(rows, |row| row.beyond_cap);
    let rows = rows.into_iter().map(|row| {
        let topic = row.topic.map_or(BEYOND.into(), safe).into_owned();
        std::iter::once(topic).chain(cells(row)).collect()
    });
    Layout {
        more,
        ..Layout::new(title, heads, rows)
    }
}

/// How connections ended, the most frequent cause first.
fn connections(rows: &[EndRow]) -> Layout {
    let mut rows: Vec<_> = rows.iter().collect();
    rows.sort_by_key(|row| (Reverse(row.connections), row.ended_by));
    let rows = rows.into_iter();
    let rows = rows.map(|row| cells(&row.ended_by.replace('_', " "), &[row.connections]));
    Layout::new("Connections", "Ended by|Connections", rows)
}

/// Returns the cells of a name and of numbers.
fn cells(name: &str, numbers: &[u64]) -> Vec<String> {
    let numbers = numbers.iter().map(u64::to_string);
    std::iter::once(name.to_owned()).chain(numbers).collect()
}

/// Takes out the rows that a table does not show: all but the first [`ROWS`] and those that are
/// `always` shown. Returns the others, and how many were taken out.
fn shown<T>(mut rows: Vec<&T>, always: impl Fn(&T) -> bool) -> (Vec<&T>, usize) {
    let (all, mut at) = (rows.len(), 0);
    rows.retain(|row| {
        at += 1;
        at <= ROWS || always(row)
    });
    let more = all - rows.len();
    (rows, more)
}

/// Shows what is not known as a dash.
fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// The cells of five columns: minimum, median, 95th and 99th percentile, maximum.
fn quantiles(quantiles: Option<Quantiles>) -> [String; 5] {
    match quantiles {
        Some(Quantiles {
            min,
            median,
            p95,
            p99,
            max,
        }) => [min, median, p95, p99, max].map(|seconds| span(seconds.span())),
        None => std::array::from_fn(|_| or_dash(None)),
    }
}

impl Layout {
    /// Returns a table of which the first column holds text, and that shows all of its rows.
    fn new(
        title: &'static str,
        heads: &'static str,
        rows: impl Iterator<Item = Vec<String>>,
    ) -> Self {
        Self {
            title,
            heads,
            texts: 1,
            rows: rows.collect(),
            more: 0,
        }
    }

    /// Lays the table out in at most `width` columns, where a width is known.
    fn write(&self, width: Option<u16>, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "\n{}", self.title)?;
        if self.rows.is_empty() {
            return writeln!(out, "  none");
        }
        let mut table = Table::new();
        // A line under the heads alone: rows are short and many.
        table.load_style(
            TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')),
        );
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = width {
            table.set_width(width);
        }
        let aligned = |at: usize, text: &str| {
            let side = if at < self.texts {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(text).set_alignment(side)
        };
        let heads = || self.heads.split('|').enumerate();
        table.set_header(heads().map(|(at, head)| aligned(at, head)));
        for row in &self.rows {
            table.add_row(row.iter().enumerate().map(|(at, text)| aligned(at, text)));
        }
        let last = heads().count().saturating_sub(1);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if at == last { 0 } else { 2 }));
            // Numbers are never broken; names are, where the width asks for it.
            if at >= self.texts {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        writeln!(out, "{}", table.trim_fmt())?;
        if self.more > 0 {
            writeln!(out, "and {} more", self.more)?;
        }
        Ok(())
    }
}
