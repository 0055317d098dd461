//! The rows of a ladder and what stands below it.

use super::super::canvas::Canvas;
use super::super::ladder::Tone;
use super::pieces::{Drawn, put_run};
use super::{CYAN, GREEN, RED, Sheet, paint, trim};
use crate::view::line::{BLOCK, Line};
use crate::view::out::push_blanks;

impl Sheet {
    /// An arrow with its label: in it where it fits, else on a line above.
    #[inline(always)]
    pub(super) fn arrow(
        &mut self,
        line: &mut Line<'_>,
        row: usize,
        (from, to): (usize, usize),
        label: &Drawn<'_>,
        missing: bool,
    ) {
        let (Some(&start), Some(&end)) = (self.lanes().get(from), self.lanes().get(to)) else {
            return;
        };
        let (low, high) = (start.min(end), start.max(end));
        let room = high.saturating_sub(low);
        let inside = label.width + 5 <= room;
        if !inside {
            self.label_above(line, low, label, missing);
        }
        self.put_gutter(line, row);
        let begin = line.len();
        // In place of so many columns of the arrow's line: the label, and a blank on each side.
        let cut = inside.then(|| {
            let before = (room - 1 - (label.width + 2)) / 2;
            let octet = self.octet_of(low + 1) + before * self.pens.line.text.len();
            let columns = label.width + 2;
            (octet, octet + columns * self.pens.line.text.len())
        });
        let pens = self.pens;
        let arrow = self.placements.now_mut().arrow(from, to, missing, pens);
        if let Some((octet, behind)) = cut {
            put_run(line, &arrow.octets, octet);
            line.put(b" ", 1);
            line.octets(&label.octets);
            line.put(b" ", 1);
            let (rest, used) = arrow.rest_from(behind);
            put_run(line, rest, used);
        } else {
            put_run(line, &arrow.octets, arrow.used);
        }
        if missing {
            self.paint(line, begin, RED);
        }
        line.put(b"\n", 1);
    }

    /// The line above an arrow that begins or ends at column `low`.
    #[inline(always)]
    fn label_above(&self, line: &mut Line<'_>, low: usize, label: &Drawn<'_>, missing: bool) {
        line.blanks(self.gutter.width());
        let begin = line.len();
        // The label may run over the lanes to its right, never over the edge.
        let at = (low + 2).min(self.room.saturating_sub(label.width));
        self.lanes_before(line, at);
        let behind = at + self.put_fitted(line, label, self.room.saturating_sub(at));
        self.blank_and_lanes(line, begin, behind);
        if missing {
            self.paint(line, begin, RED);
        }
        line.put(b"\n", 1);
    }

    /// Something that is no control packet. Seldom more than a few in a hundred ladders.
    #[inline(never)]
    pub(super) fn note(
        &self,
        out: &mut Vec<u8>,
        row: usize,
        lane: Option<usize>,
        text: &Drawn<'_>,
    ) {
        let at = lane.and_then(|lane| self.lanes().get(lane)).copied();
        let (from, room, leftwards) = self.beside(at, text.width);
        let mut first = true;
        let mut block = [0; BLOCK];
        self.wrapped(text, room, |part| {
            let mut line = Line::new(&mut block, out);
            if first {
                self.put_gutter(&mut line, row);
            } else {
                line.blanks(self.gutter.width());
            }
            let begin = line.len();
            let from = match leftwards {
                true => from.saturating_sub(part.width),
                false => from,
            };
            let from = from.saturating_sub(1);
            let dot = if first {
                self.pens.dot.text
            } else {
                self.pens.lane.text
            };
            let to = from + part.width + 2;
            if part.plain && at.is_none_or(|at| !(from..to).contains(&at)) {
                self.lanes_before(&mut line, from);
                line.put(b" ", 1);
                let room = self.room.saturating_sub(from + 1);
                let behind = from + 1 + self.put_cut(&mut line, part, room);
                // The note's lane stands before the text or behind it and its blank.
                let place = at.map(|at| match at < from {
                    true => begin + self.octet_of(at),
                    false => line.len() + 1 + self.octet_of(at) - self.octet_of(behind + 1),
                });
                self.blank_and_lanes(&mut line, begin, behind);
                if let Some(place) = place
                    && let Some(lane) = line.whole().get_mut(place..place + dot.len())
                {
                    lane.copy_from_slice(dot.as_bytes());
                }
            } else {
                let mut canvas = Canvas::new(self.room);
                for lane in self.lanes() {
                    canvas.put(*lane, self.pens.lane.text);
                }
                canvas.put(from, &format!(" {} ", part.text()));
                if let Some(at) = at {
                    canvas.put(at, dot);
                }
                line.octets(canvas.text().as_bytes());
            }
            self.paint(&mut line, begin, CYAN);
            line.put(b"\n", 1);
            line.whole();
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

    #[inline(always)]
    pub(super) fn verdict(&self, line: &mut Line<'_>, tone: Tone, text: &Drawn<'_>) {
        let (mark, colour) = match tone {
            Tone::Good => (&self.pens.good, GREEN),
            Tone::Bad => (&self.pens.bad, RED),
            Tone::Neutral => (&self.pens.neutral, CYAN),
        };
        let columns = match self.style.ascii {
            true => mark.text.len(),
            false => 1,
        };
        let indent = columns + 3;
        let room = self.style.width.max(40) - indent;
        if !Self::in_one_line(text, room) {
            return self.long_verdict(line.whole(), (mark.text, colour), text, indent);
        }
        line.put(b"  ", 2);
        let begin = line.len();
        mark.put(line);
        self.paint(line, begin, colour);
        line.put(b" ", 1);
        line.octets(&text.octets);
        line.put(b"\n", 1);
    }

    #[cold]
    fn long_verdict(
        &self,
        out: &mut Vec<u8>,
        (mark, colour): (&str, &str),
        text: &Drawn<'_>,
        indent: usize,
    ) {
        let mut first = true;
        self.wrapped(text, self.style.width.max(40) - indent, |line| {
            if first {
                out.extend_from_slice(b"  ");
                let begin = out.len();
                out.extend_from_slice(mark.as_bytes());
                if self.style.colour {
                    paint(out, begin, colour);
                }
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
    #[inline(always)]
    fn put_gutter(&self, line: &mut Line<'_>, row: usize) {
        let begin = line.len();
        self.gutter.put(line, row);
        self.paint(line, begin, super::DIM);
    }

    /// Where column `column` of the lanes' line begins, in octets.
    #[inline(always)]
    fn octet_of(&self, column: usize) -> usize {
        self.placements.now().octet_of(column, self.pens)
    }

    /// The lanes' line up to column `column`.
    #[inline(always)]
    fn lanes_before(&self, line: &mut Line<'_>, column: usize) {
        let bars = &self.placements.now().bars;
        put_run(line, &bars.octets, self.octet_of(column));
    }

    /// The lanes' line from column `column` on; where no lane is left, the line that begins at
    /// `begin` ends with its last character.
    #[inline(always)]
    fn lanes_from(&self, line: &mut Line<'_>, begin: usize, column: usize) {
        if self.lanes().last().is_some_and(|last| column <= *last) {
            let (bars, used) = self.placements.now().bars.rest_from(self.octet_of(column));
            put_run(line, bars, used);
        } else {
            trim(line.whole(), begin);
        }
    }

    /// A blank in column `column`, the lanes behind it.
    #[inline(always)]
    fn blank_and_lanes(&self, line: &mut Line<'_>, begin: usize, column: usize) {
        if column < self.room {
            line.put(b" ", 1);
        }
        self.lanes_from(line, begin, column + 1);
    }
}
