//! Draws ladders as one self-contained SVG: no script, no font or style from elsewhere.

use std::io::{self, Write};

use super::ladder::{Ladder, Row, Shape, Tone};
use super::line::wrap;
use super::text::gutter;
use crate::base::Timestamp;
use crate::base::text::{is_unsafe, width};

/// One column of the monospace font at its size, in pixels, a little wide so that no font
/// makes labels meet.
const COLUMN: usize = 8;
const ROW: usize = 34;
const MARGIN: usize = 16;
/// Labels longer than this are cut: a topic name may have 65,535 bytes.
const LONGEST: usize = 72;
/// Verdicts are broken into lines of at most so many columns.
const VERDICT: usize = 110;
/// Lanes are never drawn closer than this, in columns.
const CLOSEST: usize = 14;

/// Collects ladders and writes them as one picture: its height stands at its beginning.
#[derive(Debug, Default)]
pub struct Svg {
    body: String,
    width: usize,
    height: usize,
    drawn: usize,
    left_out: u64,
}

impl Svg {
    /// More diagrams than this are counted, not drawn: no reader scrolls further, and the picture
    /// is held in memory until its size is known.
    pub const MOST: usize = 1_000;

    /// Adds one ladder below the ones before. Times count from `start`.
    pub fn draw(&mut self, ladder: &Ladder, start: Option<Timestamp>) {
        if self.drawn == Self::MOST {
            self.left_out += 1;
            return;
        }
        self.drawn += 1;
        let layout = Layout::of(ladder, start);
        let lanes = &layout.lanes;
        self.width = self.width.max(layout.right + MARGIN);
        let title = cut_to(&ladder.title, VERDICT);
        self.reaches(MARGIN, &title);
        let mut y = self.height + MARGIN + 18;
        self.text("title", MARGIN, y, "start", &title);
        if !ladder.rows.is_empty() {
            y += 28;
            for (lane, x) in ladder.lanes.iter().zip(lanes) {
                self.text("role", *x, y, "middle", lane.role.name());
                self.text("name", *x, y + 17, "middle", &cut(&lane.name));
            }
            let top = y + 24;
            y = top;
            let bars = self.body.len();
            for row in &ladder.rows {
                y += ROW;
                self.row(row, &gutter(row, start), &layout, y);
            }
            y += 12;
            let lines = lanes.iter().map(|x| {
                format!("<line class=\"lane\" x1=\"{x}\" y1=\"{top}\" x2=\"{x}\" y2=\"{y}\"/>\n")
            });
            // Behind the arrows and their labels.
            self.body.insert_str(bars, &lines.collect::<String>());
        }
        for verdict in &ladder.verdicts {
            let (class, mark) = match verdict.tone {
                Tone::Good => ("good", "✓"),
                Tone::Bad => ("bad", "✗"),
                Tone::Neutral => ("neutral", "·"),
            };
            let from = MARGIN + 2 * COLUMN;
            for (at, line) in wrap(&visible(&verdict.text), VERDICT).enumerate() {
                if at == 0 {
                    y += 24;
                    self.text(class, MARGIN, y, "start", mark);
                } else {
                    y += 18;
                }
                self.text(class, from, y, "start", line);
                self.reaches(from, line);
            }
        }
        self.height = y + MARGIN;
    }

    /// Makes the picture wide enough for `text` from `x` on.
    fn reaches(&mut self, x: usize, text: &str) {
        self.width = self.width.max(x + columns(text) * COLUMN + MARGIN);
    }

    /// Adds a row, after its frame number, time and time since the step before, each ending at its
    /// column's end.
    fn row(&mut self, row: &Row, cells: &[String; 3], layout: &Layout, y: usize) {
        for (cell, end) in cells.iter().zip(layout.cells) {
            if !cell.is_empty() {
                self.text("gutter", end, y + 4, "end", cell);
            }
        }
        let lane = |at: usize| layout.lanes.get(at).copied();
        let text = cut(&row.text);
        match row.shape {
            Shape::Arrow { from, to } | Shape::Missing { from, to } => {
                let (Some(from), Some(to)) = (lane(from), lane(to)) else {
                    return;
                };
                let missing = matches!(row.shape, Shape::Missing { .. });
                let (class, label) = match missing {
                    true => ("missing", "bad label"),
                    false => ("arrow", "label"),
                };
                let (tip, back) = match (missing, to > from) {
                    (true, _) => (to, to),
                    (false, true) => (to - 1, to - 9),
                    (false, false) => (to + 1, to + 9),
                };
                self.body += &format!(
                    "<line class=\"{class}\" x1=\"{from}\" y1=\"{y}\" x2=\"{tip}\" y2=\"{y}\"/>"
                );
                if !missing {
                    let (above, below) = (y - 4, y + 4);
                    self.body += &format!(
                        "<path class=\"head\" d=\"M{tip} {y}L{back} {above}L{back} {below}Z\"/>"
                    );
                }
                self.body.push('\n');
                self.text(label, (from + to) / 2, y - 6, "middle", &text);
            }
            Shape::Note { lane: at } => {
                let x = at.and_then(lane);
                if let Some(x) = x {
                    self.body +=
                        &format!("<circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>\n");
                }
                let from = x.map_or(layout.gutter, |x| x + 10);
                self.text("note label", from, y + 4, "start", &text);
            }
        }
    }

    fn text(&mut self, class: &str, x: usize, y: usize, anchor: &str, text: &str) {
        let text = escaped(text);
        self.body += &format!(
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>\n"
        );
    }

    /// Writes the picture.
    ///
    /// # Errors
    /// The writer's error.
    pub fn finish(mut self, out: &mut impl Write) -> io::Result<()> {
        if self.left_out > 0 {
            let y = self.height + 24;
            let note = format!("{} more diagrams are left out", self.left_out);
            self.text("neutral", MARGIN, y, "start", &note);
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

/// Where the parts of one ladder stand, in pixels from the left.
struct Layout {
    /// The ends of the gutter's columns.
    cells: [usize; 3],
    /// Where notes at no lane begin.
    gutter: usize,
    lanes: Vec<usize>,
    /// The end of what reaches furthest to the right.
    right: usize,
}

impl Layout {
    /// Places the lanes so that no label reaches beyond the lanes that it joins, and
    /// no two names meet.
    fn of(ladder: &Ladder, start: Option<Timestamp>) -> Self {
        let mut widths = [0; 3];
        for row in &ladder.rows {
            for (widest, cell) in widths.iter_mut().zip(gutter(row, start)) {
                *widest = (*widest).max(width(&cell));
            }
        }
        let mut end = MARGIN;
        let cells = widths.map(|columns| {
            end += (columns + 2) * COLUMN;
            end - 2 * COLUMN
        });
        let name = |at: usize| {
            let lane = ladder.lanes.get(at);
            lane.map_or(0, |lane| columns(&cut(&lane.name)).max(10))
        };
        let labels = ladder.rows.iter().filter_map(|row| match row.shape {
            Shape::Arrow { from, to } | Shape::Missing { from, to } => {
                Some((from.min(to), from.max(to), columns(&cut(&row.text)) + 4))
            }
            Shape::Note { .. } => None,
        });
        let labels: Vec<_> = labels.collect();
        let mut lanes = vec![end + name(0) * COLUMN / 2];
        for at in 1..ladder.lanes.len() {
            let names = (name(at - 1) + name(at)) / 2 + 2;
            let before = lanes.last().copied().unwrap_or(end);
            let mut x = before + names.max(CLOSEST) * COLUMN;
            for (low, _, label) in labels.iter().filter(|(_, high, _)| *high == at) {
                if let Some(low) = lanes.get(*low) {
                    x = x.max(low + label * COLUMN);
                }
            }
            lanes.push(x);
        }
        let last = ladder.lanes.len().saturating_sub(1);
        let mut right = lanes.last().map_or(end, |x| x + name(last) * COLUMN / 2);
        for row in &ladder.rows {
            if let Shape::Note { lane } = row.shape {
                let lane = lane.and_then(|lane| lanes.get(lane));
                let from = lane.map_or(end, |x| x + 10);
                right = right.max(from + columns(&cut(&row.text)) * COLUMN);
            }
        }
        Self {
            cells,
            gutter: end,
            lanes,
            right,
        }
    }
}

/// Columns that text takes once it is escaped.
fn columns(text: &str) -> usize {
    width(&visible(text))
}

fn cut(text: &str) -> String {
    cut_to(text, LONGEST)
}

fn cut_to(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    text.chars().take(longest - 1).chain(['…']).collect()
}

/// Text with nothing invisible in it.
fn visible(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) {
            true => visible.extend(c.escape_unicode()),
            false => visible.push(c),
        }
    }
    visible
}

/// Text as XML takes it: markup escaped, nothing invisible.
fn escaped(text: &str) -> String {
    let text = visible(text).replace('&', "&amp;");
    let text = text.replace('<', "&lt;").replace('>', "&gt;");
    text.replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn drawn(ladder: &Ladder) -> String {
        let mut svg = Svg::default();
        svg.draw(ladder, Some(Timestamp::from_nanos(0)));
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
        let title = "<script>alert(1)</script>\u{0}\u{202e}";
        ladder.title = title.to_owned();
        let svg = drawn(&ladder);
        assert!(svg.contains("&lt;script&gt;") && !svg.contains("<script"));
        assert!(!svg.contains('\u{0}') && !svg.contains('\u{202e}'));
    }

    #[test]
    fn neighbouring_lanes_leave_room_for_the_label_between_them() {
        let mut ladder = sample::qos2();
        let label = "PUBLISH (id=1) [a/rather/long/topic/name/of/some/plant]";
        ladder.rows[0].text = label.to_owned();
        let lanes = Layout::of(&ladder, None).lanes;
        assert!(lanes[1] - lanes[0] >= label.len() * COLUMN);
    }

    #[test]
    fn a_label_over_several_lanes_stays_between_the_lanes_that_it_joins() {
        let mut ladder = sample::qos2();
        let long = "PUBLISH (id=1) [a/topic/name/that/is/longer/than/two/lanes]";
        ladder.rows[0].shape = Shape::Arrow { from: 0, to: 2 };
        ladder.rows[0].text = long.to_owned();
        let lanes = Layout::of(&ladder, None).lanes;
        assert!(lanes[2] - lanes[0] >= long.len() * COLUMN);
    }
}
