//! Draws a ladder for a terminal, with box characters or in plain ASCII.
//!
//! Each line is written from left to right in pieces, the lanes and arrows between the texts
//! copied from lines that were drawn once for all ladders whose lanes stand alike. Composed
//! column by column, as characters, a line took ten times as long, and lines were nine tenths of
//! a run.

mod gutter;
mod pieces;
mod placement;
mod rows;

use super::canvas::{Canvas, fit};
use super::ladder::{Ladder, Role, Row};
use crate::base::Timestamp;
use crate::base::text::width;
use crate::view::line::{BLOCK, Line};
use crate::view::out::joined;

use gutter::Gutter;
use pieces::{Drawn, put_run};
use placement::{Placements, Spread};

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
    lane: Pen,
    line: Pen,
    cross: Pen,
    right: Pen,
    left: Pen,
    dashed: Pen,
    lost: Pen,
    dot: Pen,
    ellipsis: Pen,
    good: Pen,
    bad: Pen,
    neutral: Pen,
}

/// One of them, and its octets in a block of fixed size.
#[derive(Debug)]
struct Pen {
    text: &'static str,
    block: [u8; 8],
}

const fn pen(text: &'static str) -> Pen {
    let (block, _) = joined(&[text.as_bytes()]);
    Pen { text, block }
}

impl Pen {
    #[inline(always)]
    fn put(&self, line: &mut Line<'_>) {
        line.put(&self.block, self.text.len());
    }
}

static BOXES: Pens = Pens {
    lane: pen("│"),
    line: pen("─"),
    cross: pen("┼"),
    right: pen("▶"),
    left: pen("◀"),
    dashed: pen("╌"),
    lost: pen("✗"),
    dot: pen("●"),
    ellipsis: pen("…"),
    good: pen("✓"),
    bad: pen("✗"),
    neutral: pen("·"),
};
static ASCII: Pens = Pens {
    lane: pen("|"),
    line: pen("-"),
    cross: pen("+"),
    right: pen(">"),
    left: pen("<"),
    dashed: pen("."),
    lost: pen("x"),
    dot: pen("*"),
    ellipsis: pen("..."),
    good: pen("OK:"),
    bad: pen("NOT OK:"),
    neutral: pen("-"),
};

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
    sheet: Sheet,
    /// Where pieces are put together.
    block: [u8; BLOCK],
}

/// Where everything of a ladder stands.
#[derive(Debug)]
struct Sheet {
    style: Style,
    pens: &'static Pens,
    /// Every text but the title is printable ASCII.
    plain: bool,
    gutter: Gutter,
    placements: Placements,
    /// Columns right of the gutter.
    room: usize,
}

impl Painter {
    /// Draws in `style`.
    pub fn new(style: Style) -> Self {
        let sheet = Sheet {
            style,
            pens: if style.ascii { &ASCII } else { &BOXES },
            plain: false,
            gutter: Gutter::default(),
            placements: Placements::default(),
            room: 0,
        };
        Self {
            sheet,
            block: [0; BLOCK],
        }
    }

    /// Sets the instant from which times are told.
    pub fn start_at(&mut self, start: Option<Timestamp>) {
        self.sheet.style.start = start;
    }

    /// Appends `ladder` to `out`, an empty line behind it.
    pub fn draw(&mut self, ladder: &Ladder, out: &mut Vec<u8>) {
        self.sheet.lay_out(ladder);
        let mut line = Line::new(&mut self.block, out);
        self.sheet.draw(ladder, &mut line);
        line.whole();
    }
}

impl Sheet {
    #[inline(always)]
    fn draw(&mut self, ladder: &Ladder, line: &mut Line<'_>) {
        let begin = line.len();
        let title = self.measured(ladder.octets(ladder.title));
        self.put_fitted(line, &title, self.style.width.max(40));
        self.paint(line, begin, BOLD);
        line.put(b"\n", 1);
        if !ladder.lanes.is_empty() && !ladder.rows.is_empty() {
            self.heads(ladder, line);
            for (at, row) in ladder.rows.iter().enumerate() {
                let (ends, label, missing) = match row {
                    Row::Arrow(arrow) => ((arrow.from, arrow.to), arrow.label, false),
                    Row::Missing { from, to, label } => ((*from, *to), *label, true),
                    Row::Note { lane, text, .. } => {
                        let text = self.drawn(ladder.octets(*text));
                        self.note(line.whole(), at, *lane, &text);
                        continue;
                    }
                };
                let label = self.drawn(ladder.octets(label));
                self.arrow(line, at, ends, &label, missing);
            }
        }
        for verdict in &ladder.verdicts {
            let text = self.drawn(ladder.octets(verdict.text));
            self.verdict(line, verdict.tone, &text);
        }
        line.put(b"\n", 1);
    }

    /// Finds the columns of the gutter and of the lanes.
    #[inline(always)]
    fn lay_out(&mut self, ladder: &Ladder) {
        self.plain = ladder.is_plain();
        let rows = ladder.rows.iter().map(|row| match row {
            Row::Arrow(arrow) => (Some(&arrow.stamp), arrow.since),
            Row::Note { stamp, since, .. } => (stamp.as_ref(), *since),
            Row::Missing { .. } => (None, None),
        });
        self.gutter.fill(rows, self.style.start);
        let count = ladder.lanes.len().max(1);
        let room = self.style.width.saturating_sub(self.gutter.width());
        self.room = room.max(CLOSEST * count);
        self.place(ladder, count);
    }

    /// The outer lanes stand as near the edges as their names let them, the others between
    /// them at equal distances.
    #[inline(always)]
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
        let spread = Spread {
            room: self.room,
            lanes: count,
            left,
            right,
        };
        self.placements.place(spread, self.pens);
    }

    /// The lanes' roles and names.
    #[inline(always)]
    fn heads(&mut self, ladder: &Ladder, line: &mut Line<'_>) {
        let widths = self.gutter.widths();
        let known = self.placements.now().find_heads(widths, &ladder.lanes);
        let at = known.unwrap_or_else(|| {
            let roles = self.roles(ladder);
            let placement = self.placements.now_mut();
            placement.keep_heads(widths, &ladder.lanes, roles)
        });
        let roles = self.placements.now().heads(at);
        put_run(line, &roles.octets, roles.used);
        let spacing = self.spacing();
        line.blanks(self.gutter.width());
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
        self.titles(line, names, spacing);
    }

    /// The line of the lanes' roles, with the gutter's heads.
    #[cold]
    fn roles(&self, ladder: &Ladder) -> Vec<u8> {
        let (mut block, mut out) = ([0; BLOCK], Vec::new());
        let mut line = Line::new(&mut block, &mut out);
        self.gutter.put_heads(&mut line);
        self.paint(&mut line, 0, DIM);
        let roles = ladder.lanes.iter().map(|lane| lane.role.name());
        let roles = roles.map(|role| Drawn::plain(role.as_bytes()));
        self.titles(&mut line, roles, self.spacing());
        line.whole();
        out
    }

    fn lanes(&self) -> &[usize] {
        &self.placements.now().lanes
    }

    /// Columns that a text above a lane may take.
    fn spacing(&self) -> usize {
        match self.lanes() {
            [first, second, ..] => second.saturating_sub(*first + 1).max(4),
            _ => self.room,
        }
    }

    /// A line with a text in the middle of each lane.
    #[inline(always)]
    fn titles<'t>(
        &self,
        line: &mut Line<'_>,
        titles: impl Iterator<Item = Drawn<'t>> + Clone,
        spacing: usize,
    ) {
        let begin = line.len();
        let mut column = 0;
        let mut last = None;
        for (lane, title) in self.lanes().iter().zip(titles.clone()) {
            let width = title.width.min(spacing);
            let at = self.middle(*lane, width);
            // Texts that meet, or are wider than they look, are laid over each other.
            if at < column || !title.plain {
                return self.titles_over(line.whole(), begin, titles, spacing);
            }
            line.blanks(at - column);
            column = at + self.put_fitted(line, &title, spacing);
            last = title
                .octets
                .last()
                .copied()
                .filter(|_| title.width <= spacing);
        }
        if last.is_none_or(|last| last == b' ') {
            trim(line.whole(), begin);
        }
        line.put(b"\n", 1);
    }

    /// Where a text of `width` columns begins, whose middle is to be in column `at`.
    fn middle(&self, at: usize, width: usize) -> usize {
        (at.saturating_sub(width / 2)).min(self.room.saturating_sub(width))
    }

    /// The same for any texts, which may lie over each other.
    #[cold]
    fn titles_over<'t>(
        &self,
        out: &mut Vec<u8>,
        begin: usize,
        titles: impl Iterator<Item = Drawn<'t>>,
        spacing: usize,
    ) {
        out.truncate(begin);
        let mut canvas = Canvas::new(self.room);
        for (lane, title) in self.lanes().iter().zip(titles) {
            let text = fit(&title.text(), spacing, self.pens.ellipsis.text);
            canvas.put(self.middle(*lane, width(&text)), &text);
        }
        out.extend_from_slice(canvas.text().as_bytes());
        trim(out, begin);
        out.push(b'\n');
    }

    /// Colours what stands in the line from `begin` on.
    #[inline(always)]
    fn paint(&self, line: &mut Line<'_>, begin: usize, colour: &str) {
        if self.style.colour {
            paint(line.whole(), begin, colour);
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
    use proptest::prelude::*;
    use proptest::{collection, option, sample::select};

    use super::super::ladder::{Arrow, Lane, Tone, Verdict};
    use super::super::sample;
    use super::*;
    use crate::base::{FrameStamp, Precision, Span};
    use crate::mqtt::PacketType;

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

    /// Any ladder, with lanes that are not there too.
    fn ladders() -> impl Strategy<Value = Ladder> {
        let role = select(&[
            Role::Publisher,
            Role::Client,
            Role::Broker,
            Role::Subscriber,
        ]);
        let lanes = collection::vec((role, texts()), 0..7);
        let row = (0..4, stamps(), spans(), (0usize..7, 0usize..7), texts());
        let rows = collection::vec(row, 0..7);
        let tone = select(&[Tone::Good, Tone::Bad, Tone::Neutral]);
        let verdicts = collection::vec((tone, texts()), 0..3);
        (texts(), lanes, rows, verdicts).prop_map(|(title, lanes, rows, verdicts)| {
            let mut ladder = Ladder::default();
            ladder.title = sample::said(&mut ladder, &title);
            for (role, name) in lanes {
                let name = sample::said(&mut ladder, &name);
                ladder.lanes.push(Lane { role, name });
            }
            for (kind, stamp, since, (from, to), text) in rows {
                let text = sample::said(&mut ladder, &text);
                ladder.rows.push(match kind {
                    0 | 1 => Row::Arrow(Arrow {
                        stamp,
                        since,
                        from,
                        to,
                        packet_type: PacketType::Publish,
                        label: text,
                    }),
                    2 => Row::Missing {
                        from,
                        to,
                        label: text,
                    },
                    _ => Row::Note {
                        stamp: Some(stamp).filter(|_| to > 2),
                        since,
                        lane: Some(from).filter(|_| to > 1),
                        text,
                    },
                });
            }
            for (tone, text) in verdicts {
                let text = sample::said(&mut ladder, &text);
                ladder.verdicts.push(Verdict { tone, text });
            }
            ladder
        })
    }

    proptest! {
        #[test]
        fn what_a_painter_drew_before_changes_nothing(
            ladders in collection::vec(ladders(), 1..10),
            order in collection::vec(any::<prop::sample::Index>(), 1..20),
            width in prop_oneof![4 => 40usize..130, 1 => 0usize..40, 1 => 130usize..700],
            ascii: bool,
            colour: bool,
        ) {
            let style = Style { width, ascii, colour, start: Some(Timestamp::from_nanos(0)) };
            let mut painter = Painter::new(style);
            for at in order {
                let ladder = at.get(&ladders);
                let (mut again, mut anew) = (Vec::new(), Vec::new());
                painter.draw(ladder, &mut again);
                Painter::new(style).draw(ladder, &mut anew);
                let (again, anew) = (String::from_utf8(again)?, String::from_utf8(anew)?);
                prop_assert_eq!(again, anew);
            }
        }
    }
}
