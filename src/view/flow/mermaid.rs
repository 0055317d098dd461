//! Draws ladders as one Mermaid sequence diagram.

use std::io::{self, Write};

use super::ladder::{Ladder, Row};
use crate::base::text::is_unsafe;
use crate::view::words;

/// Writes ladders behind each other as one `sequenceDiagram`.
#[derive(Debug, Default)]
pub struct Mermaid {
    begun: bool,
    /// The participants declared so far, by role and name; their identifiers are `p0`, `p1`…
    declared: Vec<(&'static str, String)>,
}

impl Mermaid {
    /// Adds one ladder.
    ///
    /// # Errors
    /// The writer's error.
    pub fn draw(&mut self, ladder: &Ladder, out: &mut impl Write) -> io::Result<()> {
        if !self.begun {
            writeln!(out, "sequenceDiagram")?;
            self.begun = true;
        }
        let mut lanes = Vec::with_capacity(ladder.lanes.len());
        for lane in &ladder.lanes {
            let key = (lane.role.name(), lane.name.clone());
            let at = match self.declared.iter().position(|declared| *declared == key) {
                Some(at) => at,
                None => {
                    let at = self.declared.len();
                    writeln!(
                        out,
                        "    participant p{at} as {} {}",
                        lane.role.name(),
                        escaped(&key.1)
                    )?;
                    self.declared.push(key);
                    at
                }
            };
            lanes.push(at);
        }
        let (Some(first), Some(last)) = (lanes.first(), lanes.last()) else {
            return Ok(());
        };
        let over = if first == last {
            format!("p{first}")
        } else {
            format!("p{first},p{last}")
        };
        writeln!(out, "    Note over {over}: {}", escaped(&ladder.title))?;
        for row in &ladder.rows {
            match row {
                Row::Arrow(arrow) => {
                    let (Some(from), Some(to)) = (lanes.get(arrow.from), lanes.get(arrow.to))
                    else {
                        continue;
                    };
                    let since = arrow
                        .since
                        .map_or(String::new(), |since| format!(", {}", words::since(since)));
                    let frame = arrow.stamp.number;
                    writeln!(
                        out,
                        "    p{from}->>p{to}: {} (frame {frame}{since})",
                        escaped(&arrow.label)
                    )?;
                }
                Row::Missing { from, to, label } => {
                    let (Some(from), Some(to)) = (lanes.get(*from), lanes.get(*to)) else {
                        continue;
                    };
                    writeln!(out, "    p{from}--xp{to}: {}", escaped(label))?;
                }
                Row::Note {
                    stamp, lane, text, ..
                } => {
                    let over = lane
                        .and_then(|lane| lanes.get(lane))
                        .map_or(over.clone(), |lane| format!("p{lane}"));
                    let frame =
                        stamp.map_or(String::new(), |stamp| format!(" (frame {})", stamp.number));
                    writeln!(out, "    Note over {over}: {}{frame}", escaped(text))?;
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
