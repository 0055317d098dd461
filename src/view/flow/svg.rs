//! Draws ladders as one self-contained SVG: no script, no font or style from elsewhere.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::ladder::{Arrow, Ladder, Row, Tone, span};
use crate::base::text::{is_unsafe, width};
use crate::base::{FrameStamp, Timestamp};

/// One column of the monospace font at its size, in pixels, a little wide so that no font
/// makes labels meet.
const COLUMN: usize = 8;
const ROW: usize = 34;
const GUTTER: usize = 230;
const MARGIN: usize = 16;
/// Labels longer than this are cut: a topic name may have 65,535 octets.
const LONGEST: usize = 72;

/// Collects ladders and writes them as one picture: its height stands at its beginning.
#[derive(Debug, Default)]
pub struct Svg {
    start: Option<Timestamp>,
    body: String,
    width: usize,
    height: usize,
    drawn: usize,
    left_out: u64,
}

impl Svg {
    /// More diagrams than this are counted, not drawn: nobody scrolls further, and the picture
    /// is held in memory until its size is known.
    pub const MOST: usize = 1_000;

    /// `start` is the instant from which times are told.
    pub fn new(start: Option<Timestamp>) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// Sets the instant from which times are told, unless it is known.
    pub fn start_at(&mut self, start: Option<Timestamp>) {
        self.start = self.start.or(start);
    }

    /// Adds one ladder below the ones before.
    pub fn draw(&mut self, ladder: &Ladder) {
        if self.drawn == Self::MOST {
            self.left_out += 1;
            return;
        }
        self.drawn += 1;
        let lanes = lanes(ladder);
        let right = lanes.last().copied().unwrap_or(GUTTER) + reach(ladder) + MARGIN;
        let texts = std::iter::once(&ladder.title)
            .chain(ladder.verdicts.iter().map(|verdict| &verdict.text));
        let widest = texts
            .map(|text| 2 * MARGIN + (width(&told(text)) + 4) * COLUMN)
            .max()
            .unwrap_or(0);
        self.width = self.width.max(right).max(widest);
        let mut y = self.height + MARGIN + 18;
        self.text("title", MARGIN, y, "start", &ladder.title);
        if !ladder.rows.is_empty() {
            y += 28;
            for (lane, x) in ladder.lanes.iter().zip(&lanes) {
                self.text("role", *x, y, "middle", lane.role.name());
                self.text("name", *x, y + 17, "middle", &cut(&lane.name));
            }
            let top = y + 24;
            y = top;
            let bars = self.body.len();
            for row in &ladder.rows {
                y += ROW;
                self.row(row, &lanes, y);
            }
            let mut lines = String::new();
            for x in &lanes {
                let _ = writeln!(
                    lines,
                    "<line class=\"lane\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{}\"/>",
                    y + 12
                );
            }
            // Behind the arrows and their labels.
            self.body.insert_str(bars, &lines);
            y += 12;
        }
        for verdict in &ladder.verdicts {
            y += 24;
            let (class, mark) = match verdict.tone {
                Tone::Good => ("good", "✓ "),
                Tone::Bad => ("bad", "✗ "),
                Tone::Neutral => ("neutral", "· "),
            };
            self.text(
                class,
                MARGIN,
                y,
                "start",
                &format!("{mark}{}", verdict.text),
            );
        }
        self.height = y + MARGIN;
    }

    fn row(&mut self, row: &Row, lanes: &[usize], y: usize) {
        match row {
            Row::Arrow(arrow) => self.arrow(arrow, lanes, y),
            Row::Missing { from, to, label } => {
                let (Some(&from), Some(&to)) = (lanes.get(*from), lanes.get(*to)) else {
                    return;
                };
                let middle = (from + to) / 2;
                let _ = writeln!(
                    self.body,
                    "<line class=\"missing\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>"
                );
                self.text("bad label", middle, y - 6, "middle", &cut(label));
            }
            Row::Note { stamp, lane, text } => {
                if let Some(stamp) = stamp {
                    self.gutter(stamp, None, y);
                }
                let x = lane.and_then(|lane| lanes.get(lane)).copied();
                if let Some(x) = x {
                    let _ = writeln!(
                        self.body,
                        "<circle class=\"dot\" cx=\"{x}\" cy=\"{}\" r=\"4\"/>",
                        y - 4
                    );
                }
                let from = x.map_or(GUTTER, |x| x + 10);
                self.text("note label", from, y, "start", &cut(text));
            }
        }
    }

    fn arrow(&mut self, arrow: &Arrow, lanes: &[usize], y: usize) {
        let (Some(&from), Some(&to)) = (lanes.get(arrow.from), lanes.get(arrow.to)) else {
            return;
        };
        self.gutter(
            &arrow.stamp,
            arrow.since.map(|since| format!("+{}", span(since))),
            y,
        );
        let (tip, back) = if to > from {
            (to - 1, to - 9)
        } else {
            (to + 1, to + 9)
        };
        let _ = writeln!(
            self.body,
            "<line class=\"arrow\" x1=\"{from}\" y1=\"{y}\" x2=\"{tip}\" y2=\"{y}\"/>\
             <path class=\"head\" d=\"M{tip} {y}L{back} {}L{back} {}Z\"/>",
            y - 4,
            y + 4
        );
        self.text(
            "label",
            (from + to) / 2,
            y - 6,
            "middle",
            &cut(&arrow.label),
        );
    }

    fn gutter(&mut self, stamp: &FrameStamp, since: Option<String>, y: usize) {
        self.text("gutter", 60, y + 4, "end", &stamp.number.to_string());
        if let (Some(time), Some(start)) = (stamp.time, self.start) {
            self.text(
                "gutter",
                140,
                y + 4,
                "end",
                &format!("{:.6}", time.since(start).seconds()),
            );
        }
        if let Some(since) = since {
            self.text("gutter", GUTTER - 8, y + 4, "end", &since);
        }
    }

    fn text(&mut self, class: &str, x: usize, y: usize, anchor: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
            told(text)
        );
    }

    /// Writes the picture.
    ///
    /// # Errors
    /// What the writer says.
    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.left_out > 0 {
            let y = self.height + 24;
            let said = format!("{} more diagrams are left out", self.left_out);
            self.text("neutral", MARGIN, y, "start", &said);
            self.height = y + MARGIN;
        }
        let (width, height) = (self.width.max(320), self.height.max(40));
        write!(
            out,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\">\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>\n{}</svg>\n",
            self.body
        )
    }
}

const STYLE: &str = "\
text{font:13px ui-monospace,Menlo,Consolas,\"DejaVu Sans Mono\",monospace;fill:#1b1f24}\
.paper{fill:#fff}.title{font-weight:bold}.role{fill:#57606a}.name{font-weight:bold}\
.lane{stroke:#8c959f}.arrow{stroke:#0969da;stroke-width:1.5}.head{fill:#0969da}\
.missing{stroke:#cf222e;stroke-width:1.5;stroke-dasharray:5 4}.gutter{fill:#57606a;font-size:12px}\
.label,.note{paint-order:stroke;stroke:#fff;stroke-width:4px}.note{fill:#8250df}.dot{fill:#8250df}\
.good{fill:#1a7f37}.bad{fill:#cf222e}.neutral{fill:#57606a}";

/// The column of each lane: far enough apart that no label between two neighbours meets
/// another lane's, and no two names meet.
fn lanes(ladder: &Ladder) -> Vec<usize> {
    let name = |at: usize| {
        ladder
            .lanes
            .get(at)
            .map_or(0, |lane| columns(&lane.name).max(10))
    };
    let mut lanes = vec![GUTTER + MARGIN + name(0) * COLUMN / 2];
    for at in 1..ladder.lanes.len() {
        let names = (name(at - 1) + name(at)) / 2 + 2;
        let labels = ladder.rows.iter().filter_map(|row| match row {
            Row::Arrow(arrow) => Some((arrow.from, arrow.to, &arrow.label)),
            Row::Missing { from, to, label } => Some((*from, *to, label)),
            Row::Note { .. } => None,
        });
        let labels = labels
            .filter(|(from, to, _)| from.min(to) + 1 == at && from.max(to) == &at)
            .map(|(_, _, label)| columns(label) + 4)
            .max()
            .unwrap_or(0);
        let before = lanes.last().copied().unwrap_or(GUTTER);
        lanes.push(before + names.max(labels).max(14) * COLUMN);
    }
    lanes
}

/// Pixels that text may take to the right of the last lane.
fn reach(ladder: &Ladder) -> usize {
    let last = ladder.lanes.len().saturating_sub(1);
    let notes = ladder.rows.iter().filter_map(|row| match row {
        Row::Note { text, .. } => Some(columns(text) * COLUMN + 12),
        _ => None,
    });
    let name = ladder
        .lanes
        .get(last)
        .map_or(0, |lane| columns(&lane.name).max(10) * COLUMN / 2);
    notes.max().unwrap_or(0).max(name)
}

/// Columns that a label takes once it is cut and escaped.
fn columns(text: &str) -> usize {
    width(&visible(&cut(text)))
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Text with nothing invisible in it.
fn visible(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let told = if is_unsafe(c) {
                format!("\\u{{{:x}}}", c as u32)
            } else {
                c.to_string()
            };
            told.chars().collect::<Vec<_>>()
        })
        .collect()
}

/// Text as XML takes it: markup escaped, nothing invisible.
fn told(text: &str) -> String {
    let mut told = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => told.push_str("&lt;"),
            '>' => told.push_str("&gt;"),
            '&' => told.push_str("&amp;"),
            '"' => told.push_str("&quot;"),
            '\'' => told.push_str("&#39;"),
            c => told.push(c),
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn drawn(ladder: &Ladder) -> String {
        let mut svg = Svg::new(Some(Timestamp::from_nanos(0)));
        svg.draw(ladder);
        let mut out = Vec::new();
        svg.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_picture_holds_every_label_and_the_verdict() {
        let svg = drawn(&sample::qos2());
        for text in [
            "PUBLISH (id=1) [test]",
            "PUBREC (id=1)",
            "PUBCOMP (id=1) never came",
            "incomplete",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("href") && !svg.contains("<script"));
    }

    #[test]
    fn text_from_the_capture_stays_text() {
        let mut ladder = sample::qos2();
        ladder.title = "<script>alert(1)</script>\u{0}\u{202e}".to_owned();
        let svg = drawn(&ladder);
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"));
        assert!(!svg.contains('\u{0}') && !svg.contains('\u{202e}'));
    }

    #[test]
    fn neighbouring_lanes_leave_room_for_the_label_between_them() {
        let mut ladder = sample::qos2();
        let label = "PUBLISH (id=1) [a/rather/long/topic/name/of/some/plant]";
        if let Row::Arrow(arrow) = &mut ladder.rows[0] {
            arrow.label = label.to_owned();
        }
        let lanes = lanes(&ladder);
        assert!(lanes[1] - lanes[0] >= label.len() * COLUMN);
    }
}
