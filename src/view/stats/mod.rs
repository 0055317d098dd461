//! Summary tables: packet types, topics, clients, handshakes, latencies, connections.

mod json;
mod places;
pub mod spans;
mod tables;
pub mod tally;
pub mod topics;

use std::io::{self, Write};

use self::tally::Tally;
use super::View;
use crate::base::limits::Limit;
use crate::event::{Event, HandshakeKind, LimitReached, Needs, Totals};

/// What `--stats` may be narrowed to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Section {
    Types,
    Topics,
    Clients,
    Handshakes,
    Latency,
    Connections,
}

impl Section {
    /// Every section with the word that asks for it.
    pub const NAMES: [(&'static str, Self); 6] = [
        ("types", Self::Types),
        ("topics", Self::Topics),
        ("clients", Self::Clients),
        ("handshakes", Self::Handshakes),
        ("latency", Self::Latency),
        ("connections", Self::Connections),
    ];
}

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
    /// Tables of at most this many columns of a terminal, where a width is known.
    Tables {
        width: Option<u16>,
    },
    Json,
    NdJson,
}

impl<W: Write> Stats<W> {
    /// Writes the tables of `sections` to `out`.
    pub fn new(out: W, sections: Vec<Section>, form: Form) -> Self {
        Self {
            out,
            topics: sections.contains(&Section::Topics),
            sections,
            form,
            tally: Tally::default(),
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

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => self.tally.packet(seen, self.topics),
            Event::Handshake(handshake) if handshake.kind != HandshakeKind::Ping => {
                self.tally.handshake(handshake);
            }
            Event::Session(story) => self.tally.session(story),
            _ => {}
        }
        Ok(())
    }

    fn caps(&self) -> Vec<LimitReached> {
        let Tally {
            topics,
            other_latencies,
            other_clients,
            ..
        } = &self.tally;
        let all = [
            (Limit::StatsTopics, topics.others().messages()),
            (Limit::StatsLatencies, other_latencies.count()),
            (Limit::StatsClients, *other_clients),
        ];
        let reached = all.into_iter().filter(|(_, times)| *times > 0);
        reached.map(LimitReached::from).collect()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        self.tally.topics.count_noted();
        match self.form {
            Form::Tables { width } => {
                tables::write(&self.tally, &self.sections, totals, width, &mut self.out)?
            }
            Form::Json | Form::NdJson => {
                let mut document = Vec::new();
                let lines = self.form == Form::NdJson;
                json::write(&self.tally, &self.sections, totals, lines, &mut document);
                self.out.write_all(&document)?;
            }
        }
        self.out.flush()
    }
}
