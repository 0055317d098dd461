//! `--check`: a finding a line, and at the end how many there are of each level.

use std::io::{self, Write};

use super::colour;
use super::observer::View;
use super::out::{Out, push_blanks, push_number};
use crate::base::text::push_safe;
use crate::event::{Event, Finding, Level, Needs, Totals};

/// Columns of the longest level's name.
const LEVEL: usize = 7;

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
        let paint = match finding.level {
            Level::Error if self.colour => Some(colour::ALARM),
            Level::Warning if self.colour => Some(colour::NOTICE),
            _ => None,
        };
        let text = self.out.text();
        text.extend_from_slice(paint.unwrap_or_default());
        let level = finding.level.name();
        text.extend_from_slice(level.as_bytes());
        push_blanks(text, LEVEL.saturating_sub(level.len()));
        if paint.is_some() {
            text.extend_from_slice(colour::RESET);
        }
        text.extend_from_slice(b" frame ");
        push_number(text, finding.stamp.number);
        if let Some(connection) = finding.connection {
            text.extend_from_slice(b" stream ");
            push_number(text, connection.0.into());
        }
        // An empty identifier would leave two blanks in a row.
        if let Some(client_id) = finding.client_id.as_deref().filter(|id| !id.is_empty()) {
            text.push(b' ');
            push_safe(text, client_id);
        }
        text.extend_from_slice(b": ");
        // Messages quote topics and identifiers, which come from the traffic.
        push_safe(text, &finding.message);
        text.extend_from_slice(b" [");
        for (at, name) in [finding.rule].iter().chain(finding.statements).enumerate() {
            if at > 0 {
                text.push(b' ');
            }
            text.extend_from_slice(name.as_bytes());
        }
        text.extend_from_slice(b"]\n");
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
        let _ = writeln!(
            self.out.text(),
            "{}, {}, {} in {}",
            counted(errors, "error"),
            counted(warnings, "warning"),
            counted(notes, "note"),
            counted(totals.packets, "control packet")
        );
        self.out.flush()
    }
}

/// Returns `1 error`, `2 errors`.
fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}
