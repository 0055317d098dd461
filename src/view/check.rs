//! `--check`: a finding a line, and at the end how many there are of each level.

use std::io::{self, Write};

use super::{View, colour};
use crate::base::text::safe;
use crate::event::{Event, Finding, Level, Totals};

/// Writes findings as they are made.
pub struct Check<W: Write> {
    out: io::BufWriter<W>,
    colour: bool,
    /// Notes, warnings, errors.
    counts: [u64; 3],
}

impl<W: Write> Check<W> {
    /// Writes to `out`, in colour where `colour` says so.
    pub fn new(out: W, colour: bool) -> Self {
        Self {
            out: io::BufWriter::with_capacity(128 * 1024, out),
            colour,
            counts: [0; 3],
        }
    }

    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        if let Some(count) = self.counts.get_mut(finding.level as usize) {
            *count += 1;
        }
        let level = format!("{:7}", finding.level.name());
        let level = match (self.colour, finding.level) {
            (true, Level::Error) => painted(colour::ALARM, &level),
            (true, Level::Warning) => painted(colour::NOTICE, &level),
            _ => level,
        };
        write!(self.out, "{level} frame {}", finding.stamp.number)?;
        if let Some(connection) = finding.connection {
            write!(self.out, " stream {}", connection.0)?;
        }
        if let Some(client_id) = finding.client_id.as_deref().filter(|id| !id.is_empty()) {
            write!(self.out, " {}", safe(client_id))?;
        }
        write!(self.out, ": {} [{}", safe(&finding.message), finding.rule)?;
        for statement in finding.statements {
            write!(self.out, " {statement}")?;
        }
        writeln!(self.out, "]")
    }
}

impl<W: Write> View for Check<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Finding(finding) => self.finding(finding),
            _ => Ok(()),
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        let [notes, warnings, errors] = self.counts;
        writeln!(
            self.out,
            "{}, {}, {} in {}",
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(notes, "note"),
            counted(totals.packets, "control packet")
        )?;
        self.out.flush()
    }
}

fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

fn painted(colour: &[u8], text: &str) -> String {
    [
        &String::from_utf8_lossy(colour),
        text,
        &String::from_utf8_lossy(colour::RESET),
    ]
    .concat()
}
