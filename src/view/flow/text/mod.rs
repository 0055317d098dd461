//! Draws a ladder for a terminal, with box characters or in plain ASCII.
//!
//! Each line is written from left to right into the view's buffer, the lanes between the
//! texts copied from one line that holds nothing else. Composed column by column, as
//! characters, a line took ten times as long, and lines were nine tenths of a run.

mod pieces;

use std::borrow::Cow;

use super::canvas::{Canvas, fit};
use super::ladder::{Ladder, Role, Row, Tone, push_after, push_time};
use crate::base::Timestamp;
use crate::base::text::width;
use crate::view::out::{push_blanks, push_number};

use pieces::Drawn;

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
#[derive(Debug)]
struct Pens {
    /// This and the next seven take one column each, and all of a set the same octets.
    lane: &'static str,
    line: &'static str,
    cross: &'static str,
    right: &'static str,
    left: &'static str,
    dashed: &'static str,
    lost: &'static str,
    dot: &'static str,
    ellipsis: &'static str,
    good: &'static str,
    bad: &'static str,
}

const BOXES: Pens = Pens {
    lane: "│",
    line: "─",
    cross: "┼",
    right: "▶",
    left: "◀",
    dashed: "╌",
    lost: "✗",
    dot: "●",
    ellipsis: "…",
    good: "✓",
    bad: "✗",
};
const ASCII: Pens = Pens {
    lane: "|",
    line: "-",
    cross: "+",
    right: ">",
    left: "<",
    dashed: ".",
    lost: "x",
    dot: "*",
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

/// Draws ladders, one at a time, in room that is used again.
#[derive(Debug)]
pub struct Painter {
    style: Style,
    pens: &'static Pens,
    /// Columns of frame number, time, and time since the step before.
    gutter: [usize; 3],
    /// What stands in those columns, row by row.
    cells: Vec<u8>,
    /// Where each cell ends in `cells`: three a row.
    ends: Vec<usize>,
    /// The column of each lane, counted from the gutter.
    lanes: Vec<usize>,
    /// Columns right of the gutter.
    room: usize,
    /// A line with nothing but the lanes, up to the last of them.
    bars: Vec<u8>,
    /// As much of an arrow's line, whole and dashed, as any arrow needs.
    line: Vec<u8>,
    dashed: Vec<u8>,
}

impl Painter {
    /// Draws in `style`.
    pub fn new(style: Style) -> Self {
        Self {
            style,
            pens: if style.ascii { &ASCII } else { &BOXES },
            gutter: [0; 3],
            cells: Vec::new(),
            ends: Vec::new(),
            lanes: Vec::new(),
            room: 0,
            bars: Vec::new(),
            line: Vec::new(),
            dashed: Vec::new(),
        }
    }

    /// Sets the instant from which times are told.
    pub fn start_at(&mut self, start: Option<Timestamp>) {
        self.style.start = start;
    }

    /// Appends `ladder` to `out`, an empty line behind it.
    pub fn draw(&mut self, ladder: &Ladder, out: &mut Vec<u8>) {
        self.lay_out(ladder);
        let begin = out.len();
        let title = self.drawn(ladder.octets(ladder.title));
        self.push_fitted(out, &title, self.style.width.max(40));
        self.paint(out, begin, BOLD);
        out.push(b'\n');
        if !ladder.lanes.is_empty() && !ladder.rows.is_empty() {
            self.heads(ladder, out);
            for (at, row) in ladder.rows.iter().enumerate() {
                match row {
                    Row::Arrow(arrow) => {
                        let label = self.drawn(ladder.octets(arrow.label));
                        self.arrow(out, at, (arrow.from, arrow.to), &label, false);
                    }
                    Row::Missing { from, to, label } => {
                        let label = self.drawn(ladder.octets(*label));
                        self.arrow(out, at, (*from, *to), &label, true);
                    }
                    Row::Note { lane, text, .. } => {
                        let text = self.drawn(ladder.octets(*text));
                        self.note(out, at, *lane, &text);
                    }
                }
            }
        }
        for verdict in &ladder.verdicts {
            let text = self.drawn(ladder.octets(verdict.text));
            self.verdict(out, verdict.tone, &text);
        }
        out.push(b'\n');
    }

    /// Finds the columns of the gutter and of the lanes.
    fn lay_out(&mut self, ladder: &Ladder) {
        self.gutter = HEADS.map(|(head, _)| head.len());
        self.cells.clear();
        self.ends.clear();
        for row in &ladder.rows {
            let (stamp, since) = match row {
                Row::Arrow(arrow) => (Some(&arrow.stamp), arrow.since),
                Row::Note { stamp, since, .. } => (stamp.as_ref(), *since),
                Row::Missing { .. } => (None, None),
            };
            let mut begin = self.cells.len();
            for (column, columns) in self.gutter.iter_mut().enumerate() {
                match (column, stamp, since) {
                    (0, Some(stamp), _) => push_number(&mut self.cells, stamp.number),
                    (1, Some(stamp), _) => push_time(&mut self.cells, stamp, self.style.start),
                    (2, _, Some(since)) => push_after(&mut self.cells, since),
                    _ => {}
                }
                *columns = (*columns).max(self.cells.len() - begin);
                begin = self.cells.len();
                self.ends.push(begin);
            }
        }
        let count = ladder.lanes.len().max(1);
        let room = self.style.width.saturating_sub(self.gutter_width());
        self.room = room.max(CLOSEST * count);
        self.place(ladder, count);
        let Self {
            bars, lanes, pens, ..
        } = self;
        bars.clear();
        let mut before = 0;
        for lane in &*lanes {
            push_blanks(bars, lane - before);
            bars.extend_from_slice(pens.lane.as_bytes());
            before = lane + 1;
        }
        let octets = self.room * pens.line.len();
        if self.line.len() < octets {
            self.line = pens.line.repeat(self.room).into_bytes();
            self.dashed = pens.dashed.repeat(self.room).into_bytes();
        }
    }

    /// The outer lanes stand as near the edges as their names let them, the others between
    /// them at equal distances.
    fn place(&mut self, ladder: &Ladder, count: usize) {
        let most = self.room / (2 * count);
        let half = |at: usize| {
            let name = ladder.lanes.get(at).map_or(0, |lane| {
                let name = self.drawn(ladder.octets(lane.name));
                name.width.max(lane.role.name().len())
            });
            (name / 2 + 1).min(most)
        };
        let (left, right) = (half(0), half(ladder.lanes.len().wrapping_sub(1)));
        self.lanes.clear();
        if count == 1 {
            self.lanes.push(left);
            return;
        }
        let span = self.room.saturating_sub(left + right + 1);
        let lanes = (0..count).map(|lane| left + lane * span / (count - 1));
        self.lanes.extend(lanes);
    }

    /// The lanes' roles and names.
    fn heads(&self, ladder: &Ladder, out: &mut Vec<u8>) {
        let spacing = match self.lanes.as_slice() {
            [first, second, ..] => second.saturating_sub(*first + 1).max(4),
            _ => self.room,
        };
        let begin = out.len();
        for ((head, behind), columns) in HEADS.iter().zip(self.gutter) {
            push_blanks(out, columns.saturating_sub(head.len()));
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(behind.as_bytes());
        }
        self.paint(out, begin, DIM);
        let roles = ladder.lanes.iter().map(|lane| lane.role.name());
        let roles = roles.map(|role| Drawn {
            octets: Cow::Borrowed(role.as_bytes()),
            width: role.len(),
            plain: true,
        });
        self.titles(out, roles, spacing);
        push_blanks(out, self.gutter_width());
        let names = ladder.lanes.iter().map(|lane| {
            let name = ladder.octets(lane.name);
            let drawn = self.drawn(name);
            // Of an endpoint that does not fit the port tells more than the address.
            if lane.role == Role::Broker
                && drawn.width > spacing
                && let Some(colon) = name.iter().rposition(|octet| *octet == b':')
            {
                return self.drawn(name.get(colon..).unwrap_or_default());
            }
            drawn
        });
        self.titles(out, names, spacing);
    }

    /// A line with a text in the middle of each lane.
    fn titles<'t>(
        &self,
        out: &mut Vec<u8>,
        titles: impl Iterator<Item = Drawn<'t>>,
        spacing: usize,
    ) {
        let begin = out.len();
        let mut column = 0;
        let mut canvas = None;
        for (lane, title) in self.lanes.iter().zip(titles) {
            let width = match title.plain {
                true => title.width.min(spacing),
                false => width(&fit(&title.text(), spacing, self.pens.ellipsis)),
            };
            let at = lane.saturating_sub(width / 2);
            let at = at.min(self.room.saturating_sub(width));
            // Texts that meet, or are wider than they look, are laid over each other.
            if canvas.is_none() && (at < column || !title.plain) {
                let mut over = Canvas::new(self.room);
                let so_far = String::from_utf8_lossy(out.get(begin..).unwrap_or_default());
                over.put(0, &so_far);
                out.truncate(begin);
                canvas = Some(over);
            }
            if let Some(canvas) = &mut canvas {
                canvas.put(at, &fit(&title.text(), spacing, self.pens.ellipsis));
                continue;
            }
            push_blanks(out, at - column);
            column = at + self.push_fitted(out, &title, spacing);
        }
        if let Some(canvas) = canvas {
            out.extend_from_slice(canvas.text().as_bytes());
        }
        self.end_line(out, begin);
    }

    /// An arrow with its label: in it where it fits, else on a line above.
    fn arrow(
        &self,
        out: &mut Vec<u8>,
        row: usize,
        (from, to): (usize, usize),
        label: &Drawn<'_>,
        missing: bool,
    ) {
        let (Some(&start), Some(&end)) = (self.lanes.get(from), self.lanes.get(to)) else {
            return;
        };
        let (low, high) = (start.min(end), start.max(end));
        let inside = label.width + 5 <= high.saturating_sub(low);
        if !inside {
            push_blanks(out, self.gutter_width());
            let begin = out.len();
            // The label may run over the lanes to its right, never over the edge.
            let at = (low + 2).min(self.room.saturating_sub(label.width));
            self.lanes_before(out, at);
            let room = self.room.saturating_sub(at);
            let behind = at + self.push_fitted(out, label, room);
            self.blank_and_lanes(out, begin, behind);
            if missing {
                self.paint(out, begin, RED);
            }
            out.push(b'\n');
        }
        self.push_gutter(out, row);
        let begin = out.len();
        self.lanes_before(out, low + 1);
        let head = match (missing, end > start) {
            (true, _) => self.pens.lost,
            (false, true) => self.pens.right,
            (false, false) => self.pens.left,
        };
        let mut column = low + 1;
        if end <= start {
            out.extend_from_slice(head.as_bytes());
            column += 1;
        }
        // A head to the right takes the last column.
        let last = high.saturating_sub(usize::from(end > start));
        if inside {
            let room = high - low - 1;
            let at = low + 1 + room.saturating_sub(label.width + 2) / 2;
            self.push_line(out, column, at, missing);
            out.push(b' ');
            let room = self.room.saturating_sub(at + 1);
            column = at + 1 + self.push_cut(out, label, room);
            if column < self.room {
                out.push(b' ');
                column += 1;
            }
        }
        self.push_line(out, column, last, missing);
        if end > start && column <= last {
            out.extend_from_slice(head.as_bytes());
        }
        self.lanes_from(out, begin, column.max(high));
        if missing {
            self.paint(out, begin, RED);
        }
        out.push(b'\n');
    }

    fn note(&self, out: &mut Vec<u8>, row: usize, lane: Option<usize>, text: &Drawn<'_>) {
        let at = lane.and_then(|lane| self.lanes.get(lane)).copied();
        let (from, room, leftwards) = self.beside(at, text.width);
        let mut first = true;
        self.wrapped(text, room, |part| {
            if first {
                self.push_gutter(out, row);
            } else {
                push_blanks(out, self.gutter_width());
            }
            let begin = out.len();
            let from = match leftwards {
                true => from.saturating_sub(part.width),
                false => from,
            };
            let from = from.saturating_sub(1);
            let dot = if first { self.pens.dot } else { self.pens.lane };
            let to = from + part.width + 2;
            if part.plain && at.is_none_or(|at| !(from..to).contains(&at)) {
                self.lanes_before(out, from);
                out.push(b' ');
                let room = self.room.saturating_sub(from + 1);
                let behind = from + 1 + self.push_cut(out, part, room);
                // The note's lane stands before the text or behind it and its blank.
                let place = at.map(|at| match at < from {
                    true => begin + self.octet_of(at),
                    false => out.len() + 1 + self.octet_of(at) - self.octet_of(behind + 1),
                });
                self.blank_and_lanes(out, begin, behind);
                if let Some(place) = place
                    && let Some(lane) = out.get_mut(place..place + dot.len())
                {
                    lane.copy_from_slice(dot.as_bytes());
                }
            } else {
                let mut canvas = Canvas::new(self.room);
                for lane in &self.lanes {
                    canvas.put(*lane, self.pens.lane);
                }
                canvas.put(from, &format!(" {} ", part.text()));
                if let Some(at) = at {
                    canvas.put(at, dot);
                }
                out.extend_from_slice(canvas.text().as_bytes());
            }
            self.paint(out, begin, CYAN);
            out.push(b'\n');
            first = false;
        });
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

    fn verdict(&self, out: &mut Vec<u8>, tone: Tone, text: &Drawn<'_>) {
        let (mark, colour) = match tone {
            Tone::Good => (self.pens.good, GREEN),
            Tone::Bad => (self.pens.bad, RED),
            Tone::Neutral => (if self.style.ascii { "-" } else { "·" }, CYAN),
        };
        let columns = match self.style.ascii {
            true => mark.len(),
            false => 1,
        };
        let indent = columns + 3;
        let mut first = true;
        self.wrapped(text, self.style.width.max(40) - indent, |line| {
            if first {
                out.extend_from_slice(b"  ");
                let begin = out.len();
                out.extend_from_slice(mark.as_bytes());
                self.paint(out, begin, colour);
                out.push(b' ');
            } else {
                push_blanks(out, indent);
            }
            out.extend_from_slice(&line.octets);
            out.push(b'\n');
            first = false;
        });
    }

    /// The gutter of a row.
    fn push_gutter(&self, out: &mut Vec<u8>, row: usize) {
        let begin = out.len();
        let first = 3 * row;
        let mut from = match first.checked_sub(1) {
            Some(before) => self.ends.get(before).copied().unwrap_or(0),
            None => 0,
        };
        let ends = self.ends.get(first..).unwrap_or_default();
        for ((end, columns), (_, behind)) in ends.iter().zip(self.gutter).zip(HEADS) {
            let cell = self.cells.get(from..*end).unwrap_or_default();
            push_blanks(out, columns.saturating_sub(cell.len()));
            out.extend_from_slice(cell);
            out.extend_from_slice(behind.as_bytes());
            from = *end;
        }
        self.paint(out, begin, DIM);
    }

    fn gutter_width(&self) -> usize {
        self.gutter.iter().sum::<usize>()
            + HEADS.iter().map(|(_, behind)| behind.len()).sum::<usize>()
    }

    /// Where column `column` of the lanes' line begins, in octets.
    fn octet_of(&self, column: usize) -> usize {
        let before = self.lanes.iter().filter(|lane| **lane < column).count();
        column + before * (self.pens.lane.len() - 1)
    }

    /// The lanes' line up to column `column`.
    fn lanes_before(&self, out: &mut Vec<u8>, column: usize) {
        let end = self.octet_of(column);
        match self.bars.get(..end) {
            Some(bars) => out.extend_from_slice(bars),
            None => {
                out.extend_from_slice(&self.bars);
                push_blanks(out, end - self.bars.len());
            }
        }
    }

    /// The lanes' line from column `column` on; where no lane is left, the line that begins at
    /// `begin` ends with its last character.
    fn lanes_from(&self, out: &mut Vec<u8>, begin: usize, column: usize) {
        if self.lanes.last().is_some_and(|last| column <= *last) {
            let bars = self.bars.get(self.octet_of(column)..);
            out.extend_from_slice(bars.unwrap_or_default());
        } else {
            trim(out, begin);
        }
    }

    /// A blank in column `column`, the lanes behind it.
    fn blank_and_lanes(&self, out: &mut Vec<u8>, begin: usize, column: usize) {
        if column < self.room {
            out.push(b' ');
        }
        self.lanes_from(out, begin, column + 1);
    }

    /// An arrow's line from column `from` up to `to`, over the lanes on its way.
    fn push_line(&self, out: &mut Vec<u8>, from: usize, to: usize, missing: bool) {
        let pen = self.pens.line.len();
        let mut push = |line: &[u8], columns: usize| {
            out.extend_from_slice(line.get(..columns * pen).unwrap_or(line));
        };
        if missing {
            return push(&self.dashed, to.saturating_sub(from));
        }
        let mut from = from;
        for lane in self.lanes.iter().filter(|lane| **lane < to) {
            if *lane >= from {
                push(&self.line, lane - from);
                push(self.pens.cross.as_bytes(), 1);
                from = lane + 1;
            }
        }
        push(&self.line, to.saturating_sub(from));
    }

    fn end_line(&self, out: &mut Vec<u8>, begin: usize) {
        trim(out, begin);
        out.push(b'\n');
    }

    /// Colours what stands in `out` from `begin` on.
    #[inline]
    fn paint(&self, out: &mut Vec<u8>, begin: usize, colour: &str) {
        if self.style.colour {
            paint(out, begin, colour);
        }
    }
}

#[cold]
fn paint(out: &mut Vec<u8>, begin: usize, colour: &str) {
    let told = String::from_utf8_lossy(out.get(begin..).unwrap_or_default());
    if !told.trim().is_empty() {
        out.splice(begin..begin, colour.bytes());
        out.extend_from_slice(b"\x1b[0m");
    }
}

/// Takes the blanks from the end of the line that begins at `begin`.
fn trim(out: &mut Vec<u8>, begin: usize) {
    let line = out.get(begin..).unwrap_or_default();
    let mut length = line.trim_ascii_end().len();
    // There are other blanks than that of ASCII.
    if let Some(line @ [.., 0x80..=0xff]) = line.get(..length) {
        length = String::from_utf8_lossy(line).trim_end().len();
    }
    out.truncate(begin + length);
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
        Painter::new(style).draw(ladder, &mut out);
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
        ladder.lanes[0].name = sample::said(&mut ladder, "한동대학교\u{1b}[31m\u{202e}");
        let label = sample::said(&mut ladder, "PUBLISH [한동/서버\n/x]");
        if let Row::Arrow(arrow) = &mut ladder.rows[0] {
            arrow.label = label;
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
