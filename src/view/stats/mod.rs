//! `--stats`: packet types, topics, clients, handshakes, latencies, connections.
//!
//! Layers: `spans`, `topics` (what is counted) <- `tally` (everything that is counted, and the
//! records made of it) <- `tables` (the records as text) <- `mod` (the view). Tables and JSON
//! read the same records, [`crate::schema::Stats`].

pub mod section;
pub mod spans;
mod tables;
pub mod tally;
pub mod topics;

use std::io::{self, Write};

pub use section::Section;

use self::tally::Tally;
use super::json;
use super::observer::View;
use crate::base::limits::Limits;
use crate::event::{Event, HandshakeKind, LimitReached, Needs, Totals};
use crate::schema::stats::Report;
use crate::schema::{Record, Untagged};

/// Counts while the run goes on; writes its tables at the end.
pub struct Stats<W: Write> {
    out: W,
    sections: Vec<Section>,
    form: Form,
    /// Whether [`Section::Topics`] is among `sections`: asked for every packet.
    topics: bool,
    tally: Tally,
}

/// How the statistics are written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Form {
    /// Tables for people.
    Tables {
        /// At most this many columns of a terminal, where a width is known.
        width: Option<u16>,
    },
    /// One JSON document, or one line of NDJSON.
    Json(json::Form),
}

impl<W: Write> Stats<W> {
    /// Writes `sections` to `out`; counts as many topics and clients one by one as `limits` allow.
    pub fn new(out: W, sections: Vec<Section>, form: Form, limits: &Limits) -> Self {
        Self {
            out,
            topics: sections.contains(&Section::Topics),
            sections,
            form,
            tally: Tally::new(limits),
        }
    }
}

impl<W: Write> View for Stats<W> {
    fn needs(&self) -> Needs {
        let shows = |section| self.sections.contains(&section);
        Needs {
            handshakes: shows(Section::Latency) || shows(Section::Handshakes),
            deliveries: shows(Section::Latency),
            stories: shows(Section::Clients) || shows(Section::Connections),
            ..Needs::default()
        }
    }

    fn counts_once(&self) -> bool {
        true
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => self.tally.packet(seen, self.topics),
            Event::Handshake(handshake) if handshake.kind != HandshakeKind::Ping => {
                self.tally.handshake(handshake);
            }
            Event::Session(session) => self.tally.session(session),
            _ => {}
        }
        Ok(())
    }

    fn limits_reached(&self) -> Vec<LimitReached> {
        self.tally.limits_reached()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        let report = Report::new(self.tally.stats(&self.sections), totals);
        match self.form {
            Form::Tables { width } => {
                let others = self.tally.other_clients();
                tables::write(&report, others, width, &mut self.out)?;
            }
            Form::Json(form) => {
                let (record, mut document) = (Record::Stats(report), Vec::new());
                match form {
                    json::Form::Document => json::write(&mut document, &Untagged(&record))?,
                    json::Form::Lines => json::write(&mut document, &record)?,
                }
                document.push(b'\n');
                self.out.write_all(&document)?;
            }
        }
        self.out.flush()
    }
}
