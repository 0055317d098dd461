//! Draws ladders as one Mermaid sequence diagram.

use std::io::{self, Write};

use std::hash::BuildHasher;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::ladder::{Ladder, Shape};
use crate::base::text::is_unsafe;
use crate::view::words;

/// Participants that are known again. Beyond them one is declared anew, which a diagram may do.
const KNOWN: usize = 65_536;

/// Writes ladders behind each other as one `sequenceDiagram`.
#[derive(Debug, Default)]
pub struct Mermaid {
    /// The numbers of the latest participants by the hash of role and name, which is seeded. Their
    /// identifiers are `p0`, `p1`…
    declared: HashMap<u64, usize>,
    /// Participants declared so far.
    count: usize,
    hash: RandomState,
}

impl Mermaid {
    /// Adds one ladder.
    ///
    /// # Errors
    /// The writer's error.
    pub fn draw(&mut self, ladder: &Ladder, out: &mut impl Write) -> io::Result<()> {
        if self.count == 0 {
            writeln!(out, "sequenceDiagram")?;
        }
        let mut lanes = Vec::with_capacity(ladder.lanes.len());
        for lane in &ladder.lanes {
            lanes.push(self.participant(lane.role.name(), &lane.name, out)?);
        }
        let over = match lanes.as_slice() {
            [] => return Ok(()),
            [first, .., last] if first != last => format!("p{first},p{last}"),
            [first, ..] => format!("p{first}"),
        };
        writeln!(out, "    Note over {over}: {}", escaped(&ladder.title))?;
        for row in &ladder.rows {
            let text = escaped(&row.text);
            let lane = |at: usize| lanes.get(at).copied();
            let since = row.since.map(|since| format!(", {}", words::since(since)));
            let frame = row.stamp.map_or(String::new(), |stamp| match row.shape {
                Shape::Note { .. } => format!(" (frame {})", stamp.number),
                _ => format!(" (frame {}{})", stamp.number, since.unwrap_or_default()),
            });
            match row.shape {
                Shape::Arrow { from, to } | Shape::Missing { from, to } => {
                    let (Some(from), Some(to)) = (lane(from), lane(to)) else {
                        continue;
                    };
                    let arrow = match row.shape {
                        Shape::Missing { .. } => "--x",
                        _ => "->>",
                    };
                    writeln!(out, "    p{from}{arrow}p{to}: {text}{frame}")?;
                }
                Shape::Note { lane: at } => {
                    let at = at.and_then(lane).map(|at| format!("p{at}"));
                    let over = at.as_ref().unwrap_or(&over);
                    writeln!(out, "    Note over {over}: {text}{frame}")?;
                }
            }
        }
        for verdict in &ladder.verdicts {
            writeln!(out, "    Note over {over}: {}", escaped(&verdict.text))?;
        }
        Ok(())
    }

    /// Returns the number of a participant, which is declared unless it is known.
    fn participant(&mut self, role: &str, name: &str, out: &mut impl Write) -> io::Result<usize> {
        let hash = self.hash.hash_one((role, name));
        if let Some(number) = self.declared.get(&hash) {
            return Ok(*number);
        }
        if self.declared.len() >= KNOWN {
            self.declared.clear();
        }
        let number = self.count;
        writeln!(out, "    participant p{number} as {role} {}", escaped(name))?;
        self.declared.insert(hash, number);
        self.count += 1;
        Ok(number)
    }
}

/// Text as Mermaid takes it: what its grammar or an HTML page could take for more than text
/// becomes an entity (`#35;` is `#`), control characters too.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '#' | ';' | '<' | '>' | '&' | '"' | '\'' | '`' | '%' | ':' | '\\' | '{' | '}' => {
                out.push_str(&format!("#{};", c as u32));
            }
            c if is_unsafe(c) => out.push_str(&format!("\u{fffd}({:x})", c as u32)),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn every_step_and_the_verdict_stand_in_the_diagram() {
        let mut out = Vec::new();
        let mut mermaid = Mermaid::default();
        mermaid.draw(&sample::qos2(), &mut out).unwrap();
        mermaid.draw(&sample::qos2(), &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.starts_with("sequenceDiagram\n    participant p0 as publisher pub\n"),
            "{text}"
        );
        assert_eq!(text.matches("participant").count(), 3);
        assert_eq!(text.matches("sequenceDiagram").count(), 1);
        assert!(
            text.contains("p0->>p1: PUBLISH (id=1) [test] (frame 18"),
            "{text}"
        );
        assert!(
            text.contains("p2--xp1: PUBCOMP (id=1) never came"),
            "{text}"
        );
    }

    #[test]
    fn a_participant_is_known_again_among_very_many_and_beyond_them_declared_anew() {
        let mut mermaid = Mermaid::default();
        let mut out = Vec::new();
        let mut number = |name: usize| {
            let name = name.to_string();
            let number = mermaid.participant("client", &name, &mut out).unwrap();
            (number, mermaid.declared.len())
        };
        for name in 0..KNOWN {
            assert_eq!(number(name), (name, name + 1));
        }
        assert_eq!(number(0), (0, KNOWN));
        assert_eq!(number(KNOWN), (KNOWN, 1));
        assert_eq!(number(0), (KNOWN + 1, 2));
    }

    #[test]
    fn text_from_the_capture_stays_text() {
        let text = escaped("<script>;\n#p0->>p1: x");
        assert!(
            !text.contains('<') && !text.contains('\n') && !text.contains("->>"),
            "{text}"
        );
    }
}
