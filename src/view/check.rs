//! `--check`: a finding a line, and at the end how many there are of each level.

use std::io::{self, Write};

use super::colour;
use super::observer::View;
use super::out::Out;
use crate::base::text::safe;
use crate::event::{Event, Finding, Level, Needs, Totals};

/// Writes findings as they are made.
pub struct Check<W: Write> {
    out: Out<W>,
    colour: bool,
    /// Notes, warnings, errors.
    counts: [u64; 3],
}

impl<W: Write> Check<W> {
    /// Writes to `out`, with colours where `colour` is set.
    pub fn new(out: W, colour: bool) -> Self {
        Self {
            out: Out::new(out),
            colour,
            counts: [0; 3],
        }
    }

    /// Writes a finding as one line: level, frame, stream, client, message, rule and statements.
    fn finding(&mut self, finding: &Finding) -> io::Result<()> {
        if let Some(count) = self.counts.get_mut(finding.level as usize) {
            *count += 1;
        }
        let (paint, reset) = match finding.level {
            Level::Error => colour::around(colour::ALARM, self.colour),
            Level::Warning => colour::around(colour::NOTICE, self.colour),
            Level::Note => ("", ""),
        };
        let (level, frame): (&str, _) = (finding.level.into(), finding.stamp.number);
        write!(self.out, "{paint}{level:<7}{reset} frame {frame}")?;
        if let Some(connection) = finding.connection {
            write!(self.out, " stream {}", connection.0)?;
        }
        // An empty identifier would leave two blanks in a row.
        if let Some(client_id) = finding.client_id.as_deref().filter(|id| !id.is_empty()) {
            write!(self.out, " {}", safe(client_id))?;
        }
        // Messages quote topics and identifiers, which come from the traffic.
        let message = safe(&finding.message);
        let names = [&[finding.rule], finding.statements].concat().join(" ");
        writeln!(self.out, ": {message} [{names}]")?;
        self.out.row_done()
    }
}

impl<W: Write> View for Check<W> {
    fn needs(&self) -> Needs {
        Needs {
            findings: true,
            ..Needs::default()
        }
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Finding(finding) => self.finding(finding),
            _ => Ok(()),
        }
    }

    /// Nothing may wait in the buffer while a live capture does.
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

/// Returns `1 error`, `2 errors`.
fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
