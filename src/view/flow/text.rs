//! Draws a ladder for a terminal, with box characters or in plain ASCII.
//!
//! Each line is a gutter (frame number, time, time since the step before) and the lanes with what
//! belongs to the row over them. Colour is put around whole parts of a finished line.

use std::borrow::Cow;

use super::ladder::{Ladder, Role, Row, Shape, Tone, Verdict};
use super::line::{LaneLine, cut, fit, wrap};
use crate::base::Timestamp;
use crate::base::text::{safe, width};
use crate::view::out::push_blanks;
use crate::view::words;

/// How a ladder is drawn as text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TextStyle {
    /// In columns; a diagram is never wider, unless its lanes need more to fit at all.
    pub width: usize,
    /// No characters but ASCII.
    pub ascii: bool,
    /// SGR colours.
    pub colour: bool,
}

/// The characters of a drawing, one column each but for the last four.
struct Pens {
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
    neutral: &'static str,
}

static BOXES: Pens = Pens {
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
    neutral: "·",
};

static ASCII: Pens = Pens {
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
    neutral: "-",
};

const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const CYAN: &str = "\x1b[36m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";

/// Columns below which lanes are never drawn closer: a short label must fit between them.
const CLOSEST: usize = 9;

/// Columns below which titles and verdicts are not broken: shorter lines are unreadable.
const NARROWEST: usize = 40;

/// Appends `ladder` to `out`, an empty line behind it. Times count from `start`.
pub fn draw(ladder: &Ladder, style: TextStyle, start: Option<Timestamp>, out: &mut Vec<u8>) {
    let cells: Vec<_> = ladder.rows.iter().map(|row| gutter(row, start)).collect();
    let mut drawing = Drawing::of(ladder, style, &cells, out);
    let title = drawing.safe(&ladder.title);
    let title = fit(&title, style.width.max(NARROWEST), drawing.pens.ellipsis);
    drawing.push_painted(BOLD, &title);
    drawing.out.push(b'\n');
    if !ladder.lanes.is_empty() && !ladder.rows.is_empty() {
        drawing.heads(ladder);
        for (row, cells) in ladder.rows.iter().zip(&cells) {
            drawing.row(row, cells);
        }
    }
    for verdict in &ladder.verdicts {
        drawing.verdict(verdict);
    }
    drawing.out.push(b'\n');
}

/// The text of a row's gutter: frame number, time, time since the step before.
pub(super) fn gutter(row: &Row, start: Option<Timestamp>) -> [String; 3] {
    let (number, time) = row.stamp.map_or_else(Default::default, |stamp| {
        (stamp.number.to_string(), words::seconds(&stamp, start))
    });
    [number, time, row.since.map_or(String::new(), words::since)]
}

/// Where everything of a ladder stands, and the text so far.
struct Drawing<'a> {
    style: TextStyle,
    pens: &'static Pens,
    /// Columns of each part of the gutter.
    widths: [usize; 3],
    /// Columns right of the gutter.
    room: usize,
    /// The column of each lane, counted from the gutter.
    lanes: Vec<usize>,
    out: &'a mut Vec<u8>,
}

/// The heads of the gutter's columns.
const HEADS: [&str; 3] = ["No.", "Time", "Since"];

/// A gutter with nothing in it.
const NO_CELLS: [&str; 3] = [""; 3];

/// Blanks behind each of the gutter's columns.
const BEHIND: [usize; 3] = [1, 2, 2];

impl<'a> Drawing<'a> {
    fn of(ladder: &Ladder, style: TextStyle, cells: &[[String; 3]], out: &'a mut Vec<u8>) -> Self {
        let mut widths = HEADS.map(str::len);
        for row in cells {
            for (widest, cell) in widths.iter_mut().zip(row) {
                *widest = (*widest).max(cell.len());
            }
        }
        let gutter = widths.iter().chain(&BEHIND).sum::<usize>();
        let count = ladder.lanes.len().max(1);
        let mut drawing = Self {
            style,
            pens: if style.ascii { &ASCII } else { &BOXES },
            widths,
            room: style.width.saturating_sub(gutter).max(CLOSEST * count),
            lanes: Vec::new(),
            out,
        };
        drawing.place(ladder);
        drawing
    }

    /// Places the outer lanes as near the edges as their names let them, the others between
    /// them at equal distances.
    fn place(&mut self, ladder: &Ladder) {
        let (Some(first), Some(last)) = (ladder.lanes.first(), ladder.lanes.last()) else {
            return;
        };
        let count = ladder.lanes.len();
        let most = self.room / (2 * count);
        let [left, right] = [first, last].map(|lane| {
            let name = width(&self.safe(&lane.name)).max(lane.role.name().len());
            (name / 2 + 1).min(most)
        });
        let span = self.room.saturating_sub(left + right + 1);
        let between = count.saturating_sub(1).max(1);
        self.lanes = (0..count).map(|at| left + at * span / between).collect();
    }

    /// Returns text made safe for the terminal; in ASCII drawings, ASCII.
    fn safe<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let text = safe(text);
        if !self.style.ascii || text.is_ascii() {
            return text;
        }
        let mut ascii = String::new();
        for c in text.chars() {
            match c {
                c if c.is_ascii() => ascii.push(c),
                '·' => ascii.push('-'),
                '…' => ascii.push_str("..."),
                '×' => ascii.push('x'),
                '→' => ascii.push_str("->"),
                c => ascii.extend(c.escape_unicode()),
            }
        }
        Cow::Owned(ascii)
    }

    /// Appends `text` in a colour, where there are colours and it is not blank.
    fn push_painted(&mut self, colour: &str, text: &str) {
        let start = self.out.len();
        self.out.extend_from_slice(text.as_bytes());
        self.paint(start, colour);
    }

    /// Puts a colour around what was written from `start` on, where there are colours and that is
    /// not blank.
    fn paint(&mut self, start: usize, colour: &str) {
        let text = self.out.get(start..).unwrap_or_default();
        if self.style.colour && !text.trim_ascii().is_empty() {
            self.out.splice(start..start, colour.bytes());
            self.out.extend_from_slice(b"\x1b[0m");
        }
    }

    /// Appends a gutter.
    fn push_gutter<T: AsRef<str>>(&mut self, cells: &[T; 3]) {
        let start = self.out.len();
        for ((cell, columns), behind) in cells.iter().zip(self.widths).zip(BEHIND) {
            let cell = cell.as_ref();
            push_blanks(self.out, columns.saturating_sub(cell.len()));
            self.out.extend_from_slice(cell.as_bytes());
            push_blanks(self.out, behind);
        }
        self.paint(start, DIM);
    }

    /// Appends a line: its gutter and what stands over the lanes, in a colour if there is one.
    fn push_line<T: AsRef<str>>(
        &mut self,
        cells: &[T; 3],
        line: &LaneLine<'_>,
        colour: Option<&str>,
    ) {
        self.push_gutter(cells);
        let start = self.out.len();
        line.push_to(self.out);
        self.end_line(start, colour);
    }

    /// Ends a line: what was written from `start` on loses the blanks at its end, and has a colour
    /// if there is one.
    fn end_line(&mut self, start: usize, colour: Option<&str>) {
        while self.out.len() > start && self.out.ends_with(b" ") {
            self.out.pop();
        }
        if let Some(colour) = colour {
            self.paint(start, colour);
        }
        self.out.push(b'\n');
    }

    /// Returns a line with nothing but the lanes.
    fn line<'t>(&self) -> LaneLine<'t> {
        LaneLine::new(self.room, &self.lanes, self.pens.lane)
    }

    /// Appends the lines with the lanes' roles and names.
    fn heads(&mut self, ladder: &Ladder) {
        let spacing = match self.lanes.as_slice() {
            [first, second, ..] => second.saturating_sub(*first + 1).max(4),
            _ => self.room,
        };
        let roles = ladder.lanes.iter().map(|lane| lane.role.name().into());
        let names = ladder.lanes.iter().map(|lane| {
            let name = self.safe(&lane.name);
            // Of an endpoint that does not fit, the port distinguishes more than the address.
            match lane.name.rfind(':') {
                Some(colon) if lane.role == Role::Broker && width(&name) > spacing => {
                    self.safe(lane.name.get(colon..).unwrap_or_default())
                }
                _ => name,
            }
        });
        let (roles, names): (Vec<_>, Vec<_>) = (roles.collect(), names.collect());
        self.titles(&HEADS, &roles, spacing);
        self.titles(&NO_CELLS, &names, spacing);
    }

    /// Appends a line with a text in the middle above each lane, of at most `spacing` columns.
    fn titles(&mut self, cells: &[&str; 3], titles: &[Cow<'_, str>], spacing: usize) {
        self.push_gutter(cells);
        let (start, mut behind) = (self.out.len(), 0);
        let placed = self.lanes.iter().zip(titles).map(|(lane, title)| {
            let title = fit(title, spacing, self.pens.ellipsis);
            let columns = width(&title);
            let at = lane.saturating_sub(columns / 2);
            (at.min(self.room.saturating_sub(columns)), title)
        });
        let mut placed = placed.peekable();
        while let Some((at, title)) = placed.next() {
            // Moved in from the edge, a title may reach into the one before.
            let end = placed.peek().map_or(self.room, |(next, _)| *next);
            let title = cut(&title, end.saturating_sub(at));
            push_blanks(self.out, at.saturating_sub(behind));
            self.out.extend_from_slice(title.as_bytes());
            behind = behind.max(at) + width(title);
        }
        self.end_line(start, None);
    }

    /// Appends a row: nothing where it names a lane that does not exist.
    fn row(&mut self, row: &Row, cells: &[String; 3]) {
        let text = self.safe(&row.text);
        match row.shape {
            Shape::Arrow { from, to } => self.arrow((from, to), &text, cells, None),
            Shape::Missing { from, to } => self.arrow((from, to), &text, cells, Some(RED)),
            Shape::Note { lane } => self.note(lane, &text, cells),
        }
    }

    /// Appends an arrow with its label: in it where it fits, else on a line above. An arrow of a
    /// `missing` packet is dashed, and has that colour.
    fn arrow(
        &mut self,
        (from, to): (usize, usize),
        label: &str,
        cells: &[String; 3],
        missing: Option<&str>,
    ) {
        let (Some(&start), Some(&end)) = (self.lanes.get(from), self.lanes.get(to)) else {
            return;
        };
        let pens = self.pens;
        let (low, high) = (start.min(end), start.max(end));
        let room = high - low;
        let columns = width(label);
        let inside = columns + 5 <= room;
        if !inside {
            // The label may run over the lanes to its right, never over the edge.
            let at = (low + 2).min(self.room.saturating_sub(columns));
            let label = fit(label, self.room - at, pens.ellipsis);
            let mut line = self.line();
            let behind = line.put(at, &label, self.room);
            line.put(behind, " ", self.room);
            self.push_line(&NO_CELLS, &line, missing);
        }
        let rightwards = end > start;
        let (shaft, cross, tip) = match (missing, rightwards) {
            (Some(_), _) => (pens.dashed, pens.dashed, pens.lost),
            (None, true) => (pens.line, pens.cross, pens.right),
            (None, false) => (pens.line, pens.cross, pens.left),
        };
        let mut line = self.line();
        if room > 1 {
            line.fill(low + 1..high, shaft, cross);
            line.mark(if rightwards { high - 1 } else { low + 1 }, tip);
        }
        if inside {
            let at = line.put(low + 1 + (room - columns - 3) / 2, " ", high);
            let at = line.put(at, label, high);
            line.put(at, " ", high);
        }
        self.push_line(cells, &line, missing);
    }

    /// Appends a note beside its lane, in as many lines as it takes.
    fn note(&mut self, lane: Option<usize>, text: &str, cells: &[String; 3]) {
        let at = lane.and_then(|lane| self.lanes.get(lane)).copied();
        let (left, right) = match at {
            Some(at) => (at.saturating_sub(2), self.room.saturating_sub(at + 2)),
            None => (0, self.room.saturating_sub(2)),
        };
        // Right of its lane where the text fits or where there is more room, else left.
        let leftwards = right < width(text) && right < left;
        let end = at.filter(|_| leftwards).unwrap_or(self.room);
        for (number, part) in wrap(text, if leftwards { left } else { right }).enumerate() {
            let from = match at {
                None => 0,
                Some(at) if leftwards => at.saturating_sub(width(part) + 2),
                Some(at) => at + 1,
            };
            let mut line = self.line();
            if let (0, Some(at)) = (number, at) {
                line.mark(at, self.pens.dot);
            }
            let from = line.put(from, " ", end);
            let from = line.put(from, part, end);
            line.put(from, " ", end);
            match number {
                0 => self.push_line(cells, &line, Some(CYAN)),
                _ => self.push_line(&NO_CELLS, &line, Some(CYAN)),
            }
        }
    }

    /// Appends a verdict, in as many lines as it takes.
    fn verdict(&mut self, verdict: &Verdict) {
        let (mark, colour) = match verdict.tone {
            Tone::Good => (self.pens.good, GREEN),
            Tone::Bad => (self.pens.bad, RED),
            Tone::Neutral => (self.pens.neutral, CYAN),
        };
        let indent = width(mark) + 3;
        let room = self.style.width.max(NARROWEST) - indent;
        for (line, part) in wrap(&self.safe(&verdict.text), room).enumerate() {
            if line == 0 {
                push_blanks(self.out, 2);
                self.push_painted(colour, mark);
                self.out.push(b' ');
            } else {
                push_blanks(self.out, indent);
            }
            self.out.extend_from_slice(part.as_bytes());
            self.out.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::{collection, option, sample::select};

    use super::super::ladder::Lane;
    use super::super::sample;
    use super::*;
    use crate::base::{FrameStamp, Precision, Span};

    fn drawn(ladder: &Ladder, width: usize, ascii: bool) -> String {
        let style = TextStyle {
            width,
            ascii,
            colour: false,
        };
        let mut out = Vec::new();
        draw(ladder, style, Some(Timestamp::from_nanos(0)), &mut out);
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

    /// The columns of a line's lanes.
    fn bars(line: &str) -> Vec<usize> {
        let mut at = 0;
        let mut seen = Vec::new();
        for c in line.chars() {
            if c == '│' {
                seen.push(at);
            }
            at += width(c.encode_utf8(&mut [0; 4]));
        }
        seen
    }

    #[test]
    fn wide_and_hostile_text_moves_no_lane() {
        let mut ladder = sample::qos2();
        ladder.lanes[0].name = "한동대학교\u{1b}[31m\u{202e}".to_owned();
        ladder.rows[0].text = "PUBLISH [한동/서버\n/x]".to_owned();
        let text = drawn(&ladder, 90, false);
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
        let lanes: Vec<_> = text
            .lines()
            .map(bars)
            .filter(|bars| bars.len() == 3)
            .collect();
        assert!(lanes.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            8 => "[ -~]{0,30}",
            3 => "[a-z]{1,12}( [a-z]{1,9}){0,12}",
            3 => "[ -~·…]{0,60}",
            1 => "[ -~·…é한×→\u{1b}\u{202e}\n\u{7f}\u{a0}\u{301}]{0,40}",
        ]
    }

    fn spans() -> impl Strategy<Value = Option<Span>> {
        option::of(prop_oneof![0i64..3_000_000, 0i64..4_000_000_000_000].prop_map(Span::from_nanos))
    }

    fn stamps() -> impl Strategy<Value = FrameStamp> {
        let numbers = prop_oneof![0u64..999, 0u64..99_999_999_999];
        (numbers, spans()).prop_map(|(number, since)| FrameStamp {
            number,
            time: since.map(|since| Timestamp::from_nanos(since.nanos())),
            precision: Precision::Micro,
            length: 100,
            file: 0,
        })
    }

    /// Any ladder; some of its rows name lanes that it has not.
    fn ladders() -> impl Strategy<Value = Ladder> {
        let role = select(&[
            Role::Publisher,
            Role::Client,
            Role::Broker,
            Role::Subscriber,
        ]);
        let lane = (role, texts()).prop_map(|(role, name)| Lane { role, name });
        let row = (0..4, stamps(), spans(), (0usize..7, 0usize..7), texts());
        let row = row.prop_map(|(kind, stamp, since, (from, to), text)| Row {
            stamp: Some(stamp).filter(|_| kind < 2 || kind == 3 && to > 2),
            since: since.filter(|_| kind != 2),
            shape: match kind {
                0 | 1 => Shape::Arrow { from, to },
                2 => Shape::Missing { from, to },
                _ => Shape::Note {
                    lane: Some(from).filter(|_| to > 1),
                },
            },
            text,
        });
        let tone = select(&[Tone::Good, Tone::Bad, Tone::Neutral]);
        let verdict = (tone, texts()).prop_map(|(tone, text)| Verdict { tone, text });
        (
            texts(),
            collection::vec(lane, 0..7),
            collection::vec(row, 0..7),
            collection::vec(verdict, 0..3),
        )
            .prop_map(|(title, lanes, rows, verdicts)| Ladder {
                title,
                lanes,
                rows,
                verdicts,
            })
    }

    proptest! {
        #[test]
        fn any_ladder_keeps_to_its_width_and_drives_no_terminal(
            ladder in ladders(),
            width in prop_oneof![4 => 100usize..130, 1 => 0usize..40, 1 => 130usize..700],
            ascii: bool,
        ) {
            let text = drawn(&ladder, width, ascii);
            prop_assert!(text.ends_with('\n'));
            let drives = text.contains(['\u{1b}', '\u{202e}', '\r']);
            prop_assert!(!drives);
            prop_assert!(!ascii || text.is_ascii());
            // The gutter of a hundred columns leaves room for seven lanes.
            if width >= 110 {
                for line in text.lines() {
                    prop_assert!(super::width(line) <= width, "{line}");
                }
            }
        }
    }
}
