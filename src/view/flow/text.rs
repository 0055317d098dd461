//! Draws a ladder for a terminal, with box characters or in plain ASCII.

use std::io::{self, Write};

use super::canvas::{Canvas, fit, wrap};
use super::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, after, time};
use crate::base::text::{safe, width};
use crate::base::{FrameStamp, Span, Timestamp};

/// How a ladder is drawn as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Style {
    /// In columns; a diagram is never wider, but for a lane each that must fit.
    pub width: usize,
    pub ascii: bool,
    pub colour: bool,
    /// The instant from which times are told.
    pub start: Option<Timestamp>,
}

/// The characters of a drawing.
struct Pens {
    lane: char,
    line: char,
    cross: char,
    right: char,
    left: char,
    dashed: char,
    lost: char,
    dot: char,
    ellipsis: &'static str,
    good: &'static str,
    bad: &'static str,
}

const BOXES: Pens = Pens {
    lane: '│',
    line: '─',
    cross: '┼',
    right: '▶',
    left: '◀',
    dashed: '╌',
    lost: '✗',
    dot: '●',
    ellipsis: "…",
    good: "✓",
    bad: "✗",
};
const ASCII: Pens = Pens {
    lane: '|',
    line: '-',
    cross: '+',
    right: '>',
    left: '<',
    dashed: '.',
    lost: 'x',
    dot: '*',
    ellipsis: "...",
    good: "OK:",
    bad: "NOT OK:",
};

/// The gutter's columns and their heads; the second is what follows each.
const HEADS: [(&str, &str); 3] = [("No.", " "), ("Time", "  "), ("Since", "  ")];

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";

/// Lanes are never drawn closer than this.
const CLOSEST: usize = 9;

/// Writes `ladder` to `out`, an empty line behind it.
///
/// # Errors
/// What the writer says.
pub fn draw(ladder: &Ladder, style: &Style, out: &mut impl Write) -> io::Result<()> {
    Drawing::new(ladder, style).write(out)
}

struct Drawing<'a> {
    ladder: &'a Ladder,
    style: &'a Style,
    pens: &'a Pens,
    /// Columns of frame number, time, and time since the step before.
    gutter: [usize; 3],
    /// The column of each lane, counted from the gutter.
    lanes: Vec<usize>,
    /// Columns right of the gutter.
    room: usize,
    /// A line with nothing but the lanes.
    blank: Canvas,
}

impl<'a> Drawing<'a> {
    fn new(ladder: &'a Ladder, style: &'a Style) -> Self {
        let mut drawing = Self {
            ladder,
            style,
            pens: if style.ascii { &ASCII } else { &BOXES },
            gutter: HEADS.map(|(head, _)| head.len()),
            lanes: Vec::new(),
            room: 0,
            blank: Canvas::new(0),
        };
        for row in &ladder.rows {
            let cells = match row {
                Row::Arrow(arrow) => drawing.cells(Some(arrow.stamp), arrow.since),
                Row::Note { stamp, since, .. } => drawing.cells(*stamp, *since),
                Row::Missing { .. } => continue,
            };
            for (columns, cell) in drawing.gutter.iter_mut().zip(&cells) {
                *columns = (*columns).max(width(cell));
            }
        }
        let count = ladder.lanes.len().max(1);
        let gutter = drawing.gutter_width();
        drawing.room = style.width.saturating_sub(gutter).max(CLOSEST * count);
        drawing.lanes = drawing.place(count);
        drawing.blank = Canvas::new(drawing.room);
        for lane in &drawing.lanes {
            drawing.blank.set(*lane, drawing.pens.lane);
        }
        drawing
    }

    /// The outer lanes stand as near the edges as their names let them, the others between
    /// them at equal distances.
    fn place(&self, count: usize) -> Vec<usize> {
        let most = self.room / (2 * count);
        let half = |lane: Option<&Lane>| {
            let name = lane.map_or(0, |lane| {
                width(&self.told(&lane.name)).max(lane.role.name().len())
            });
            (name / 2 + 1).min(most)
        };
        let (left, right) = (
            half(self.ladder.lanes.first()),
            half(self.ladder.lanes.last()),
        );
        if count == 1 {
            return vec![left];
        }
        let span = self.room.saturating_sub(left + right + 1);
        (0..count)
            .map(|lane| left + lane * span / (count - 1))
            .collect()
    }

    fn write(&self, out: &mut impl Write) -> io::Result<()> {
        let title = self.told(&self.ladder.title);
        let title = fit(&title, self.style.width.max(40), self.pens.ellipsis);
        writeln!(out, "{}", self.paint(BOLD, &title))?;
        if !self.ladder.lanes.is_empty() && !self.ladder.rows.is_empty() {
            self.heads(out)?;
            for row in &self.ladder.rows {
                match row {
                    Row::Arrow(arrow) => self.arrow(arrow, out)?,
                    Row::Missing { from, to, label } => self.missing(*from, *to, label, out)?,
                    Row::Note {
                        stamp,
                        since,
                        lane,
                        text,
                    } => {
                        let gutter = self.gutter(&self.cells(*stamp, *since));
                        self.note(gutter, *lane, text, out)?;
                    }
                }
            }
        }
        for verdict in &self.ladder.verdicts {
            let (mark, colour) = match verdict.tone {
                Tone::Good => (self.pens.good, GREEN),
                Tone::Bad => (self.pens.bad, RED),
                Tone::Neutral => (if self.style.ascii { "-" } else { "·" }, CYAN),
            };
            let indent = width(mark) + 3;
            for (at, line) in wrap(&self.told(&verdict.text), self.style.width.max(40) - indent)
                .iter()
                .enumerate()
            {
                if at == 0 {
                    writeln!(out, "  {} {line}", self.paint(colour, mark))?;
                } else {
                    writeln!(out, "{:indent$}{line}", "")?;
                }
            }
        }
        writeln!(out)
    }

    /// The lanes' roles and names.
    fn heads(&self, out: &mut impl Write) -> io::Result<()> {
        let spacing = match self.lanes.as_slice() {
            [first, second, ..] => second.saturating_sub(*first + 1).max(4),
            _ => self.room,
        };
        let roles: Vec<_> = self
            .ladder
            .lanes
            .iter()
            .map(|lane| lane.role.name().to_owned())
            .collect();
        let names: Vec<_> = self
            .ladder
            .lanes
            .iter()
            .map(|lane| match lane.name.rsplit_once(':') {
                // Of an endpoint that does not fit the port tells more than the address.
                Some((_, port)) if lane.role == Role::Broker && width(&lane.name) > spacing => {
                    self.told(&format!(":{port}"))
                }
                _ => self.told(&lane.name),
            })
            .collect();
        let blank = HEADS.map(|_| String::new());
        for (titles, heads) in [
            (&roles, HEADS.map(|(head, _)| head.to_owned())),
            (&names, blank),
        ] {
            let mut line = Canvas::new(self.room);
            for (lane, title) in self.lanes.iter().zip(titles) {
                let title = fit(title, spacing, self.pens.ellipsis);
                let at = lane.saturating_sub(width(&title) / 2);
                line.put(at.min(self.room.saturating_sub(width(&title))), &title);
            }
            writeln!(
                out,
                "{}{}",
                self.paint(DIM, &self.gutter(&heads)),
                line.text()
            )?;
        }
        Ok(())
    }

    fn arrow(&self, arrow: &Arrow, out: &mut impl Write) -> io::Result<()> {
        let gutter = self.gutter(&self.cells(Some(arrow.stamp), arrow.since));
        let label = self.told(&arrow.label);
        self.line(&gutter, arrow.from, arrow.to, &label, None, out)
    }

    fn missing(&self, from: usize, to: usize, label: &str, out: &mut impl Write) -> io::Result<()> {
        let label = self.told(label);
        self.line(
            &self.gutter(&self.cells(None, None)),
            from,
            to,
            &label,
            Some(RED),
            out,
        )
    }

    /// An arrow with its label: in it where it fits, else on a line above.
    fn line(
        &self,
        gutter: &str,
        from: usize,
        to: usize,
        label: &str,
        missing: Option<&str>,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let (Some(&start), Some(&end)) = (self.lanes.get(from), self.lanes.get(to)) else {
            return Ok(());
        };
        let (low, high) = (start.min(end), start.max(end));
        let inside = width(label) + 5 <= high.saturating_sub(low);
        if !inside {
            let mut above = self.bars();
            // The label may run over the lanes to its right, never over the edge.
            let at = (low + 2).min(self.room.saturating_sub(width(label)));
            let label = fit(label, self.room.saturating_sub(at), self.pens.ellipsis);
            above.put(at, &format!("{label} "));
            let line = above.text();
            let line = missing.map_or(line.clone(), |colour| self.paint(colour, &line));
            writeln!(out, "{:1$}{line}", "", self.gutter_width())?;
        }
        let mut line = self.bars();
        let pen = if missing.is_some() {
            self.pens.dashed
        } else {
            self.pens.line
        };
        for at in low + 1..high {
            let crossing = self.lanes.contains(&at) && missing.is_none();
            line.set(at, if crossing { self.pens.cross } else { pen });
        }
        let head = match (missing.is_some(), end > start) {
            (true, _) => self.pens.lost,
            (false, true) => self.pens.right,
            (false, false) => self.pens.left,
        };
        if end > start {
            line.set(end.saturating_sub(1), head);
        } else {
            line.set(end + 1, head);
        }
        if inside {
            let at = low + 1 + (high - low - 1).saturating_sub(width(label) + 2) / 2;
            line.put(at, &format!(" {label} "));
        }
        let text = line.text();
        let text = missing.map_or(text.clone(), |colour| self.paint(colour, &text));
        writeln!(out, "{}{text}", self.paint(DIM, gutter))
    }

    fn note(
        &self,
        mut gutter: String,
        lane: Option<usize>,
        text: &str,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let text = self.told(text);
        let at = lane.and_then(|lane| self.lanes.get(lane)).copied();
        let (from, room, leftwards) = self.beside(at, width(&text));
        for (line_at, part) in wrap(&text, room).iter().enumerate() {
            let mut line = self.bars();
            let from = if leftwards {
                from.saturating_sub(width(part))
            } else {
                from
            };
            line.put(from.saturating_sub(1), &format!(" {part} "));
            if let Some(at) = at {
                line.set(
                    at,
                    if line_at == 0 {
                        self.pens.dot
                    } else {
                        self.pens.lane
                    },
                );
            }
            writeln!(
                out,
                "{}{}",
                self.paint(DIM, &gutter),
                self.paint(CYAN, &line.text())
            )?;
            gutter = " ".repeat(self.gutter_width());
        }
        Ok(())
    }

    /// Where the text of a note at the lane in column `at` stands: from which column, in how
    /// many columns, and whether it ends there (left of its lane) instead. Text stands right of its
    /// lane where it fits or where there is more room, else left.
    fn beside(&self, at: Option<usize>, wanted: usize) -> (usize, usize, bool) {
        let Some(at) = at else {
            return (1, self.room.saturating_sub(2), false);
        };
        let (left, right) = (at.saturating_sub(2), self.room.saturating_sub(at + 2));
        if right >= wanted || right >= left {
            (at + 2, right, false)
        } else {
            (at.saturating_sub(1), left, true)
        }
    }

    /// The gutter's cells: frame number, time, time since the step before.
    fn cells(&self, stamp: Option<FrameStamp>, since: Option<Span>) -> [String; 3] {
        [
            stamp.map_or(String::new(), |stamp| stamp.number.to_string()),
            stamp.map_or(String::new(), |stamp| time(&stamp, self.style.start)),
            since.map_or(String::new(), after),
        ]
    }

    fn gutter(&self, cells: &[String; 3]) -> String {
        let mut line = String::new();
        for ((cell, columns), (_, behind)) in cells.iter().zip(self.gutter).zip(HEADS) {
            let blanks = columns.saturating_sub(width(cell));
            line.extend(std::iter::repeat_n(' ', blanks));
            line.push_str(cell);
            line.push_str(behind);
        }
        line
    }

    fn gutter_width(&self) -> usize {
        self.gutter.iter().sum::<usize>()
            + HEADS.iter().map(|(_, behind)| behind.len()).sum::<usize>()
    }

    /// A line with nothing but the lanes.
    fn bars(&self) -> Canvas {
        self.blank.clone()
    }

    /// Text made safe for the terminal; in ASCII drawings, ASCII.
    fn told(&self, text: &str) -> String {
        let text = safe(text);
        if !self.style.ascii || text.is_ascii() {
            return text;
        }
        text.chars()
            .map(|c| match c {
                c if c.is_ascii() => c.to_string(),
                '·' => "-".to_owned(),
                '…' => "...".to_owned(),
                '×' => "x".to_owned(),
                '→' => "->".to_owned(),
                c => c.escape_unicode().to_string(),
            })
            .collect()
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style.colour && !text.trim().is_empty() {
            format!("{colour}{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn drawn(ladder: &Ladder, width: usize, ascii: bool) -> String {
        let style = Style {
            width,
            ascii,
            colour: false,
            start: Some(Timestamp::from_nanos(0)),
        };
        let mut out = Vec::new();
        draw(ladder, &style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_ladder_fits_80_columns_and_its_lanes_stand_still() {
        for ascii in [false, true] {
            let text = drawn(&sample::qos2(), 80, ascii);
            for line in text.lines() {
                assert!(width(line) <= 80, "{line}");
            }
            let broker = sample::qos2().lanes[1].role.name();
            assert!(
                text.contains(broker) && text.contains("PUBREL (id=1)"),
                "{text}"
            );
            assert_eq!(ascii, text.is_ascii(), "{text}");
        }
    }

    #[test]
    fn an_arrow_points_at_its_receiver() {
        let text = drawn(&sample::qos2(), 120, true);
        let publish = text.lines().find(|line| line.contains("PUBLISH")).unwrap();
        let received = text.lines().find(|line| line.contains("PUBREC")).unwrap();
        assert!(publish.contains("->") && !publish.contains("<-"), "{text}");
        assert!(
            received.contains("<-") && !received.contains("->"),
            "{text}"
        );
    }

    #[test]
    fn wide_and_hostile_text_moves_no_lane() {
        let mut ladder = sample::qos2();
        ladder.lanes[0].name = "한동대학교\u{1b}[31m\u{202e}".to_owned();
        if let Row::Arrow(arrow) = &mut ladder.rows[0] {
            arrow.label = "PUBLISH [한동/서버\n/x]".to_owned();
        }
        let text = drawn(&ladder, 90, false);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        let bars = |line: &str| {
            let mut at = 0;
            let mut seen = Vec::new();
            for c in line.chars() {
                if c == '│' {
                    seen.push(at);
                }
                at += width(c.encode_utf8(&mut [0; 4]));
            }
            seen
        };
        let lanes: Vec<_> = text
            .lines()
            .map(bars)
            .filter(|bars| bars.len() == 3)
            .collect();
        assert!(lanes.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }
}
