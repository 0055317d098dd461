//! The statistics as tables for people.

use std::io::{self, Write};

use comfy_table::{
    Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle,
};

use super::Section;
use super::spans::Spans;
use super::tally::Tally;
use super::topics::Topic;
use crate::base::text::safe;
use crate::event::Totals;
use crate::mqtt::PacketType;
use crate::view::words::span;

/// Rows that a table shows; what lies beyond is summed up in one line.
const ROWS: usize = 100;

/// Writes the tables asked for, in a fixed order.
pub(super) fn write(
    tally: &Tally,
    sections: &[Section],
    totals: &Totals,
    width: Option<u16>,
    out: &mut impl Write,
) -> io::Result<()> {
    let mut writer = Tables { width, out };
    writeln!(
        writer.out,
        "{} frames, {} control packets",
        totals.frames, totals.packets
    )?;
    for (_, section) in Section::NAMES {
        if !sections.contains(&section) {
            continue;
        }
        match section {
            Section::Types => writer.types(tally)?,
            Section::Topics => writer.topics(tally)?,
            Section::Clients => writer.clients(tally)?,
            Section::Handshakes => writer.handshakes(tally)?,
            Section::Latency => writer.latency(tally)?,
            Section::Connections => writer.connections(tally)?,
        }
    }
    Ok(())
}

struct Tables<'a, W: Write> {
    width: Option<u16>,
    out: &'a mut W,
}

impl<W: Write> Tables<'_, W> {
    fn types(&mut self, tally: &Tally) -> io::Result<()> {
        let mut rows = Vec::new();
        for (packet_type, [client, server]) in PacketType::ALL.iter().zip(&tally.types.counts) {
            if client.0 + server.0 > 0 {
                let numbers =
                    [client.0, client.1, server.0, server.1].map(|number| number.to_string());
                rows.push([vec![packet_type.name().to_owned()], numbers.to_vec()].concat());
            }
        }
        self.table(
            "Packet types",
            &["Type", "From clients", "Octets", "From servers", "Octets"],
            1,
            rows,
            0,
        )?;
        if tally.types.malformed > 0 {
            writeln!(self.out, "{} of them malformed", tally.types.malformed)?;
        }
        Ok(())
    }

    fn topics(&mut self, tally: &Tally) -> io::Result<()> {
        let mut topics: Vec<_> = tally.topics.iter().collect();
        topics.sort_by(|(a_name, a), (b_name, b)| {
            (b.messages().cmp(&a.messages())).then(a_name.cmp(b_name))
        });
        let row = |name: &str, topic: &Topic| {
            let [zero, one, two] = topic.qos;
            vec![
                name.to_owned(),
                topic.published().to_string(),
                topic.delivered().to_string(),
                topic.octets.to_string(),
                topic
                    .rate()
                    .map_or("-".to_owned(), |rate| format!("{rate:.2}")),
                format!("{zero}/{one}/{two}"),
                topic.retained.to_string(),
                topic.publishers().to_string(),
                topic.subscribers().to_string(),
            ]
        };
        let mut rows: Vec<_> = topics
            .iter()
            .take(ROWS)
            .map(|(name, topic)| row(&safe(name), topic))
            .collect();
        let others = tally.topics.others();
        if others.messages() > 0 {
            rows.push(row("(topics beyond the cap)", others));
        }
        let heads = [
            "Topic",
            "In",
            "Out",
            "Octets\nin",
            "Per\nsecond",
            "QoS\n0/1/2",
            "Retain",
            "Pubs",
            "Subs",
        ];
        self.table(
            "Topics (in: published to the broker; out: sent to subscribers)",
            &heads,
            1,
            rows,
            topics.len().saturating_sub(ROWS),
        )
    }

    fn clients(&mut self, tally: &Tally) -> io::Result<()> {
        let mut clients: Vec<_> = tally.clients.iter().collect();
        clients.sort_by(|a, b| {
            b.packets
                .iter()
                .sum::<u64>()
                .cmp(&a.packets.iter().sum())
                .then(a.client_id.cmp(&b.client_id))
        });
        let rows = clients.iter().take(ROWS).map(|client| {
            vec![
                match client.client_id.as_deref() {
                    None => "(not seen)".to_owned(),
                    Some("") => "(empty)".to_owned(),
                    Some(client_id) => safe(client_id),
                },
                client.user_name.as_deref().map_or("-".to_owned(), safe),
                client.version.unwrap_or("-").to_owned(),
                client.end.replace('_', " "),
                client
                    .keep_alive
                    .map_or("-".to_owned(), |seconds| format!("{seconds} s")),
                client.connections.to_string(),
                format!("{}/{}", client.packets[0], client.packets[1]),
                format!("{}/{}", client.octets[0], client.octets[1]),
            ]
        });
        let heads = [
            "Client id",
            "User",
            "MQTT",
            "Ended",
            "Keep\nalive",
            "Conns",
            "Packets",
            "Octets",
        ];
        let more = clients.len().saturating_sub(ROWS) + tally.other_clients as usize;
        self.table(
            "Clients (packets and octets: sent/received)",
            &heads,
            4,
            rows.collect(),
            more,
        )
    }

    fn handshakes(&mut self, tally: &Tally) -> io::Result<()> {
        let kinds = tally.kinds();
        let rows = kinds.iter().map(|(kind, counts)| {
            [
                kind.name().to_owned(),
                counts.complete.to_string(),
                counts.refused.to_string(),
                counts.incomplete.to_string(),
                counts.redelivered.to_string(),
            ]
            .to_vec()
        });
        let heads = [
            "Handshake",
            "Complete",
            "Refused",
            "Incomplete",
            "Redelivered",
        ];
        self.table("Handshakes", &heads, 1, rows.collect(), 0)?;
        let rows: Vec<_> = kinds
            .iter()
            .filter(|(_, counts)| counts.spans.count() > 0)
            .map(|(kind, counts)| [vec![kind.name().to_owned()], quantiles(&counts.spans)].concat())
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let heads = ["Handshake", "Min", "Median", "95 %", "99 %", "Max"];
        self.table(
            "Round trips (complete handshakes, first packet to last)",
            &heads,
            1,
            rows,
            0,
        )
    }

    fn latency(&mut self, tally: &Tally) -> io::Result<()> {
        let mut topics: Vec<_> = tally.latencies.iter().collect();
        topics
            .sort_by(|(a_name, a), (b_name, b)| b.count().cmp(&a.count()).then(a_name.cmp(b_name)));
        let row = |name: &str, spans: &Spans| {
            [
                vec![name.to_owned(), spans.count().to_string()],
                quantiles(spans),
            ]
            .concat()
        };
        let mut rows: Vec<_> = topics
            .iter()
            .take(ROWS)
            .map(|(name, spans)| row(&safe(name), spans))
            .collect();
        if tally.other_latencies.count() > 0 {
            rows.push(row("(topics beyond the cap)", &tally.other_latencies));
        }
        let heads = [
            "Topic",
            "Deliveries",
            "Min",
            "Median",
            "95 %",
            "99 %",
            "Max",
        ];
        self.table(
            "From publisher to subscriber",
            &heads,
            1,
            rows,
            topics.len().saturating_sub(ROWS),
        )
    }

    fn connections(&mut self, tally: &Tally) -> io::Result<()> {
        let mut ends: Vec<_> = tally.ends.iter().collect();
        ends.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        let rows = ends
            .iter()
            .map(|(cause, count)| vec![cause.replace('_', " "), count.to_string()]);
        self.table(
            "Connections",
            &["Ended by", "Connections"],
            1,
            rows.collect(),
            0,
        )
    }

    /// One table; its first `texts` columns hold text, the others numbers.
    fn table(
        &mut self,
        title: &str,
        heads: &[&str],
        texts: usize,
        rows: Vec<Vec<String>>,
        more: usize,
    ) -> io::Result<()> {
        writeln!(self.out, "\n{title}")?;
        if rows.is_empty() {
            return writeln!(self.out, "  none");
        }
        let mut table = Table::new();
        // A line under the heads alone: rows are short and many.
        table.load_style(
            TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')),
        );
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if let Some(width) = self.width {
            table.set_width(width);
        }
        let aligned = |at: usize, text: &str| {
            let side = if at < texts {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(text).set_alignment(side)
        };
        table.set_header(heads.iter().enumerate().map(|(at, head)| aligned(at, head)));
        for row in &rows {
            table.add_row(row.iter().enumerate().map(|(at, text)| aligned(at, text)));
        }
        let last = heads.len().saturating_sub(1);
        for (at, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, if at == last { 0 } else { 2 }));
            // Numbers are never broken; names are, where the width asks for it.
            if at >= texts {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        writeln!(self.out, "{}", table.trim_fmt())?;
        if more > 0 {
            writeln!(self.out, "and {more} more")?;
        }
        Ok(())
    }
}

fn quantiles(spans: &Spans) -> Vec<String> {
    match spans.quantiles() {
        Some(quantiles) => quantiles.map(span).to_vec(),
        None => vec!["-".to_owned(); 5],
    }
}
