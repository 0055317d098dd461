//! Draws ladders as one Mermaid sequence diagram.

use std::io::{self, Write};

use super::ladder::{Ladder, Shape};
use crate::base::text::is_unsafe;
use crate::view::words;

/// Writes ladders behind each other as one `sequenceDiagram`.
#[derive(Debug, Default)]
pub struct Mermaid {
    /// The participants declared so far, by role and name; their identifiers are `p0`, `p1`…
    declared: Vec<(&'static str, String)>,
}

impl Mermaid {
    /// Adds one ladder.
    ///
    /// # Errors
    /// The writer's error.
    pub fn draw(&mut self, ladder: &Ladder, out: &mut impl Write) -> io::Result<()> {
        if self.declared.is_empty() {
            writeln!(out, "sequenceDiagram")?;
        }
        let mut lanes = Vec::with_capacity(ladder.lanes.len());
        for lane in &ladder.lanes {
            let (role, name) = (lane.role.name(), &lane.name);
            let known = |one: &(&str, String)| one.0 == role && one.1 == *name;
            let at = self.declared.iter().position(known);
            if at.is_none() {
                let (number, name) = (self.declared.len(), escaped(name));
                writeln!(out, "    participant p{number} as {role} {name}")?;
                self.declared.push((role, lane.name.clone()));
            }
            lanes.push(at.unwrap_or(self.declared.len() - 1));
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
    fn text_from_the_capture_stays_text() {
        let text = escaped("<script>;\n#p0->>p1: x");
        assert!(
            !text.contains('<') && !text.contains('\n') && !text.contains("->>"),
            "{text}"
        );
    }
}
