//! Draws ladders as one self-contained SVG: no script, no font or style from elsewhere.

use std::fmt::Write as _;
use std::io::{self, Write};

use super::ladder::{Ladder, Row, Tone};
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
    start: Option<Timestamp>,
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

    /// `start` is the instant from which times count.
    pub fn new(start: Option<Timestamp>) -> Self {
        Self {
            start,
            ..Self::default()
        }
    }

    /// Sets the instant from which times count, unless it is known.
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
        let layout = Layout::of(ladder, self.start);
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
                self.row(row, &layout, y);
            }
            let mut lines = String::new();
            for x in lanes {
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
            let (class, mark) = match verdict.tone {
                Tone::Good => ("good", "✓"),
                Tone::Bad => ("bad", "✗"),
                Tone::Neutral => ("neutral", "·"),
            };
            for (at, line) in wrap(&visible(&verdict.text), VERDICT).enumerate() {
                y += if at == 0 { 24 } else { 18 };
                if at == 0 {
                    self.text(class, MARGIN, y, "start", mark);
                }
                let from = MARGIN + 2 * COLUMN;
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

    fn row(&mut self, row: &Row, layout: &Layout, y: usize) {
        let lane = |at: usize| layout.lanes.get(at).copied();
        match row {
            Row::Arrow(arrow) => {
                let (Some(from), Some(to)) = (lane(arrow.from), lane(arrow.to)) else {
                    return;
                };
                self.gutter(layout, &gutter(row, self.start), y);
                let label = cut(&arrow.label);
                self.arrow(&label, (from, to), y);
            }
            Row::Missing { from, to, label } => {
                let (Some(from), Some(to)) = (lane(*from), lane(*to)) else {
                    return;
                };
                let _ = writeln!(
                    self.body,
                    "<line class=\"missing\" x1=\"{from}\" y1=\"{y}\" x2=\"{to}\" y2=\"{y}\"/>"
                );
                self.text("bad label", (from + to) / 2, y - 6, "middle", &cut(label));
            }
            Row::Note { lane: at, text, .. } => {
                self.gutter(layout, &gutter(row, self.start), y);
                let x = at.and_then(lane);
                if let Some(x) = x {
                    let _ = writeln!(
                        self.body,
                        "<circle class=\"dot\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"
                    );
                }
                let from = x.map_or(layout.gutter, |x| x + 10);
                self.text("note label", from, y + 4, "start", &cut(text));
            }
        }
    }

    fn arrow(&mut self, label: &str, (from, to): (usize, usize), y: usize) {
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
        let middle = (from + to) / 2;
        self.text("label", middle, y - 6, "middle", label);
    }

    /// Frame number, time, time since the step before, each ending at its column's end.
    fn gutter(&mut self, layout: &Layout, cells: &[String; 3], y: usize) {
        for (cell, end) in cells.iter().zip(layout.cells) {
            if !cell.is_empty() {
                self.text("gutter", end, y + 4, "end", cell);
            }
        }
    }

    fn text(&mut self, class: &str, x: usize, y: usize, anchor: &str, text: &str) {
        let _ = writeln!(
            self.body,
            "<text class=\"{class}\" x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>",
            escaped(text)
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
        let labels: Vec<_> = ladder
            .rows
            .iter()
            .filter_map(|row| match row {
                Row::Arrow(arrow) => Some((arrow.from, arrow.to, &arrow.label)),
                Row::Missing { from, to, label } => Some((*from, *to, label)),
                Row::Note { .. } => None,
            })
            .map(|(from, to, label)| (from.min(to), from.max(to), columns(&cut(label)) + 4))
            .collect();
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
            if let Row::Note { lane, text, .. } = row {
                let lane = lane.and_then(|lane| lanes.get(lane));
                let from = lane.map_or(end, |x| x + 10);
                right = right.max(from + columns(&cut(text)) * COLUMN);
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
    text.chars()
        .flat_map(|c| {
            let shown = if is_unsafe(c) {
                format!("\\u{{{:x}}}", c as u32)
            } else {
                c.to_string()
            };
            shown.chars().collect::<Vec<_>>()
        })
        .collect()
}

/// Text as XML takes it: markup escaped, nothing invisible.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in visible(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
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
        if let Row::Arrow(arrow) = &mut ladder.rows[0] {
            arrow.label = label.to_owned();
        }
        let lanes = Layout::of(&ladder, None).lanes;
        assert!(lanes[1] - lanes[0] >= label.len() * COLUMN);
    }

    #[test]
    fn a_label_over_several_lanes_stays_between_the_lanes_that_it_joins() {
        let mut ladder = sample::qos2();
        let long = "PUBLISH (id=1) [a/topic/name/that/is/longer/than/two/lanes]";
        if let Row::Arrow(arrow) = &mut ladder.rows[0] {
            (arrow.from, arrow.to, arrow.label) = (0, 2, long.to_owned());
        }
        let lanes = Layout::of(&ladder, None).lanes;
        assert!(lanes[2] - lanes[0] >= long.len() * COLUMN);
    }
}
