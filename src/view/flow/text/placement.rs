//! Where the lanes of a ladder stand, and the lines that depend on nothing else.

use super::super::ladder::{Lane, Role};
use super::Pens;
use super::pieces::RUN;
use crate::view::out::push_blanks;

/// Placements that are kept. Few ladders in a row have the same; names, spans and the number of
/// subscribers make some dozens, which come again and again.
const KEPT: usize = 64;

/// Lines of roles that are kept of each.
const HEADS: usize = 8;

/// What a placement is made from, all in columns but the number of lanes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Spread {
    /// Right of the gutter.
    pub(super) room: usize,
    pub(super) lanes: usize,
    /// Left of the first lane, and right of the last.
    pub(super) left: usize,
    pub(super) right: usize,
}

impl Spread {
    /// Where a placement made from it is kept.
    #[inline(always)]
    fn place(self) -> usize {
        // Odd factors: spreads that differ a little stand apart.
        let all = self.room + 7 * self.lanes + 19 * self.left + 29 * self.right;
        all % KEPT
    }
}

/// A line that is drawn again and again. Behind what is used of it stand [`RUN`] octets more, so
/// that a part can be copied in a block of fixed size.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    pub(super) octets: Vec<u8>,
    pub(super) used: usize,
}

impl Pattern {
    fn new(mut octets: Vec<u8>) -> Self {
        let used = octets.len();
        push_blanks(&mut octets, RUN);
        Self { octets, used }
    }

    /// What stands from octet `from` on, and how much of it is used.
    #[inline(always)]
    pub(super) fn rest_from(&self, from: usize) -> (&[u8], usize) {
        let rest = self.octets.get(from..).unwrap_or_default();
        (rest, self.used.saturating_sub(from))
    }
}

/// An arrow between two lanes with all other lanes, and no label.
#[derive(Debug)]
struct Arrow {
    from: usize,
    to: usize,
    missing: bool,
    line: Pattern,
}

/// The roles above the lanes, with the gutter's heads.
#[derive(Debug)]
struct Heads {
    /// Of the gutter's columns.
    widths: [usize; 3],
    roles: Vec<Role>,
    line: Pattern,
}

/// Where the lanes stand.
#[derive(Debug, Default)]
pub(super) struct Placement {
    spread: Spread,
    /// The column of each lane, counted from the gutter.
    pub(super) lanes: Vec<usize>,
    /// Nothing but the lanes.
    pub(super) bars: Pattern,
    /// Those that were asked for.
    arrows: Vec<Arrow>,
    heads: Vec<Heads>,
}

impl Placement {
    fn new(spread: Spread, pens: &Pens) -> Self {
        let Spread {
            room,
            lanes: count,
            left,
            right,
        } = spread;
        let mut lanes = vec![left];
        if count > 1 {
            let span = room.saturating_sub(left + right + 1);
            lanes.extend((1..count).map(|lane| left + lane * span / (count - 1)));
        }
        let mut bars = Vec::new();
        let mut before = 0;
        for lane in &lanes {
            push_blanks(&mut bars, lane - before);
            bars.extend_from_slice(pens.lane.text.as_bytes());
            before = lane + 1;
        }
        let mut bars = Pattern::new(bars);
        // A part of it may end anywhere in the room.
        push_blanks(&mut bars.octets, room.saturating_sub(before));
        Self {
            spread,
            lanes,
            bars,
            arrows: Vec::new(),
            heads: Vec::new(),
        }
    }

    /// Where column `column` of the lanes' line begins, in octets.
    #[inline(always)]
    pub(super) fn octet_of(&self, column: usize, pens: &Pens) -> usize {
        let before = self.lanes.iter().filter(|lane| **lane < column).count();
        column + before * (pens.lane.text.len() - 1)
    }

    /// The line of an arrow from lane to lane, or of one that is missing.
    #[inline(always)]
    pub(super) fn arrow(&mut self, from: usize, to: usize, missing: bool, pens: &Pens) -> &Pattern {
        let is_it = |one: &Arrow| (one.from, one.to, one.missing) == (from, to, missing);
        let known = self.arrows.iter().position(is_it);
        let at = known.unwrap_or_else(|| self.new_arrow(from, to, missing, pens));
        self.arrows.get(at).map_or(&self.bars, |arrow| &arrow.line)
    }

    #[cold]
    fn new_arrow(&mut self, from: usize, to: usize, missing: bool, pens: &Pens) -> usize {
        let column = |lane: usize| self.lanes.get(lane).copied().unwrap_or_default();
        let (start, end) = (column(from), column(to));
        let (low, high) = (start.min(end), start.max(end));
        // Next to the lane to which it points.
        let (head, pen) = match end > start {
            true => (high.saturating_sub(1), &pens.right),
            false => (low + 1, &pens.left),
        };
        let bars = &self.bars.octets;
        let (before, behind) = (low + 1, high.max(low + 1));
        let (before, behind) = (self.octet_of(before, pens), self.octet_of(behind, pens));
        let mut line = bars.get(..before).unwrap_or_default().to_vec();
        for column in low + 1..high {
            let pen = match (column == head, missing) {
                (true, true) => &pens.lost,
                (true, false) => pen,
                (false, true) => &pens.dashed,
                (false, false) if self.lanes.contains(&column) => &pens.cross,
                (false, false) => &pens.line,
            };
            line.extend_from_slice(pen.text.as_bytes());
        }
        line.extend_from_slice(bars.get(behind..self.bars.used).unwrap_or_default());
        self.arrows.push(Arrow {
            from,
            to,
            missing,
            line: Pattern::new(line),
        });
        self.arrows.len() - 1
    }

    /// Where the line of the roles of `lanes` behind a gutter of these widths is kept.
    #[inline(always)]
    pub(super) fn find_heads(&self, widths: [usize; 3], lanes: &[Lane]) -> Option<usize> {
        self.heads.iter().position(|heads| {
            let roles = lanes.iter().map(|lane| lane.role);
            heads.widths == widths && heads.roles.iter().copied().eq(roles)
        })
    }

    /// Keeps it, and says where.
    pub(super) fn keep_heads(
        &mut self,
        widths: [usize; 3],
        lanes: &[Lane],
        line: Vec<u8>,
    ) -> usize {
        if self.heads.len() == HEADS {
            self.heads.clear();
        }
        self.heads.push(Heads {
            widths,
            roles: lanes.iter().map(|lane| lane.role).collect(),
            line: Pattern::new(line),
        });
        self.heads.len() - 1
    }

    /// The line that is kept at `at`.
    #[inline(always)]
    pub(super) fn heads(&self, at: usize) -> &Pattern {
        self.heads.get(at).map_or(&self.bars, |heads| &heads.line)
    }
}

/// The placements of the latest ladders, each in the one place that its spread chooses.
#[derive(Debug)]
pub(super) struct Placements {
    kept: Vec<Placement>,
    now: usize,
}

impl Default for Placements {
    fn default() -> Self {
        let mut kept = Vec::new();
        kept.resize_with(KEPT, Placement::default);
        Self { kept, now: 0 }
    }
}

impl Placements {
    /// Makes [`Self::now`] what `spread` says.
    #[inline(always)]
    pub(super) fn place(&mut self, spread: Spread, pens: &Pens) {
        self.now = spread.place();
        if self.now().spread != spread {
            self.make(spread, pens);
        }
    }

    #[cold]
    fn make(&mut self, spread: Spread, pens: &Pens) {
        if let Some(place) = self.kept.get_mut(self.now) {
            *place = Placement::new(spread, pens);
        }
    }

    /// The placement of the ladder in hand.
    #[inline(always)]
    pub(super) fn now(&self) -> &Placement {
        &self.kept[self.now % KEPT]
    }

    #[inline(always)]
    pub(super) fn now_mut(&mut self) -> &mut Placement {
        &mut self.kept[self.now % KEPT]
    }
}
