//! The columns left of a ladder: frame number, time, and time since the step before.

use super::super::short::Short;
use crate::base::{FrameStamp, Span, Timestamp};
use crate::view::line::Line;

/// A column's head in a block of fixed size, with the blanks behind it.
struct Head {
    block: [u8; 8],
    /// Octets of the head.
    used: usize,
    /// Blanks behind the column.
    behind: usize,
}

const NUMBER: Head = Head {
    block: *b"No.     ",
    used: 3,
    behind: 1,
};
const TIME: Head = Head {
    block: *b"Time    ",
    used: 4,
    behind: 2,
};
const SINCE: Head = Head {
    block: *b"Since   ",
    used: 5,
    behind: 2,
};

/// What stands in the columns, row by row, and how wide they are.
#[derive(Debug, Default)]
pub(super) struct Gutter {
    rows: Vec<Cells>,
    number: usize,
    time: usize,
    since: usize,
}

#[derive(Debug)]
struct Cells {
    number: Option<u64>,
    time: Short,
    since: Short,
}

impl Gutter {
    /// Takes when each row was, and how long after the one before; times are told from `start`
    /// on.
    #[inline(always)]
    pub(super) fn fill<'a>(
        &mut self,
        rows: impl Iterator<Item = (Option<&'a FrameStamp>, Option<Span>)>,
        start: Option<Timestamp>,
    ) {
        self.rows.clear();
        let (mut greatest, mut time, mut since) = (0, TIME.used, SINCE.used);
        for (stamp, after) in rows {
            let cells = Cells {
                number: stamp.map(|stamp| stamp.number),
                time: match stamp {
                    Some(stamp) => Short::time(stamp, start),
                    None => Short::EMPTY,
                },
                since: match after {
                    Some(after) => Short::after(after),
                    None => Short::EMPTY,
                },
            };
            greatest = greatest.max(cells.number.unwrap_or(0));
            time = time.max(cells.time.used);
            since = since.max(cells.since.used);
            self.rows.push(cells);
        }
        let digits = greatest
            .checked_ilog10()
            .map_or(1, |zeros| zeros as usize + 1);
        self.number = digits.max(NUMBER.used);
        self.time = time;
        self.since = since;
    }

    /// Columns of each.
    #[inline(always)]
    pub(super) fn widths(&self) -> [usize; 3] {
        [self.number, self.time, self.since]
    }

    /// Columns of all, with the blanks behind them.
    #[inline(always)]
    pub(super) fn width(&self) -> usize {
        self.number + NUMBER.behind + self.time + TIME.behind + self.since + SINCE.behind
    }

    /// The columns' heads.
    #[inline(always)]
    pub(super) fn put_heads(&self, line: &mut Line<'_>) {
        for (columns, head) in [
            (self.number, NUMBER),
            (self.time, TIME),
            (self.since, SINCE),
        ] {
            line.blanks(columns - head.used);
            line.put(&head.block, head.used + head.behind);
        }
    }

    /// What stands left of row `row`.
    #[inline(always)]
    pub(super) fn put(&self, line: &mut Line<'_>, row: usize) {
        let Some(cells) = self.rows.get(row) else {
            return;
        };
        match cells.number {
            Some(number) => line.number_right(number, self.number),
            None => line.blanks(self.number),
        }
        let mut behind = NUMBER.behind;
        for (columns, cell) in [(self.time, &cells.time), (self.since, &cells.since)] {
            line.blanks(behind + columns - cell.used);
            line.put(&cell.octets, cell.used);
            behind = TIME.behind;
        }
        line.put(b"  ", SINCE.behind);
    }
}
