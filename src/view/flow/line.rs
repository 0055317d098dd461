//! A line written over the lanes, and text cut or broken to columns.
//!
//! ```text
//! column   0 1 2 3 4 5 6 7 8 9
//!              │           │      lanes at 2 and 8
//!              │─ PUBACK ─▶│      lanes_to(3), fill_to, text, fill_to, lanes_to(10)
//! ```

use std::borrow::Cow;

use crate::base::text::width;

/// A line under way from left to right. Nothing is written beyond its last column.
pub(super) struct LaneLine<'a> {
    out: &'a mut Vec<u8>,
    /// Where the line starts in `out`.
    start: usize,
    /// The column of each lane, ascending.
    lanes: &'a [usize],
    /// The character of a lane.
    lane: &'static str,
    /// The column that is written next.
    at: usize,
    columns: usize,
}

impl<'a> LaneLine<'a> {
    /// Begins a line of `columns` columns at the end of `out`.
    pub(super) fn new(
        out: &'a mut Vec<u8>,
        lanes: &'a [usize],
        lane: &'static str,
        columns: usize,
    ) -> Self {
        Self {
            start: out.len(),
            out,
            lanes,
            lane,
            at: 0,
            columns,
        }
    }

    /// Writes lanes with blanks between them up to column `to`, exclusive.
    pub(super) fn lanes_to(&mut self, to: usize) {
        self.fill_to(to, " ", self.lane);
    }

    /// Writes `fill` up to column `to`, exclusive, with `cross` on the lanes. Both are one column
    /// wide.
    pub(super) fn fill_to(&mut self, to: usize, fill: &str, cross: &str) {
        let to = to.min(self.columns);
        for &lane in self.lanes {
            if lane >= self.at && lane < to {
                push_run(self.out, fill, lane - self.at);
                self.out.extend_from_slice(cross.as_bytes());
                self.at = lane + 1;
            }
        }
        push_run(self.out, fill, to.saturating_sub(self.at));
        self.at = self.at.max(to);
    }

    /// Writes `pen`, which is one column wide, in column `at` unless that is written already.
    pub(super) fn mark(&mut self, at: usize, pen: &str) {
        self.lanes_to(at);
        if at == self.at && at < self.columns {
            self.out.extend_from_slice(pen.as_bytes());
            self.at += 1;
        }
    }

    /// Writes `text` from the next column on, as far as there is room before column `end`.
    pub(super) fn text(&mut self, text: &str, end: usize) {
        let room = end.min(self.columns).saturating_sub(self.at);
        let text = fit(text, room, "");
        self.out.extend_from_slice(text.as_bytes());
        self.at += width(&text);
    }

    /// Writes the lanes that are left and takes back the blanks at the end. Returns the buffer,
    /// and where in it the line starts.
    pub(super) fn finish(mut self) -> (&'a mut Vec<u8>, usize) {
        self.lanes_to(self.columns);
        while self.out.len() > self.start && self.out.last() == Some(&b' ') {
            self.out.pop();
        }
        (self.out, self.start)
    }
}

/// Appends a character `count` times.
pub(super) fn push_run(out: &mut Vec<u8>, c: &str, count: usize) {
    match c.as_bytes() {
        // Blanks, and all of an ASCII drawing: most runs.
        [byte] => out.resize(out.len() + count, *byte),
        _ => out.extend_from_slice(c.repeat(count).as_bytes()),
    }
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() {
        1
    } else {
        width(c.encode_utf8(&mut [0; 4]))
    }
}

/// Returns `text` cut to `room` columns, with `ellipsis` where something was cut off.
pub(super) fn fit<'a>(text: &'a str, room: usize, ellipsis: &str) -> Cow<'a, str> {
    if fits(text, room) {
        return Cow::Borrowed(text);
    }
    let head = head(text, room.saturating_sub(width(ellipsis)));
    match ellipsis {
        "" => Cow::Borrowed(head),
        _ => Cow::Owned(format!("{head}{ellipsis}")),
    }
}

/// Returns whether `text` takes at most `room` columns.
fn fits(text: &str, room: usize) -> bool {
    // No character takes more columns than bytes.
    text.len() <= room || width(text) <= room
}

/// Returns the longest beginning of `text` whose characters take at most `room` columns.
fn head(text: &str, room: usize) -> &str {
    let mut taken = 0;
    for (at, c) in text.char_indices() {
        taken += columns_of(c);
        if taken > room {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// Returns `text` in lines of at most `room` columns (but eight), broken at blanks where there
/// are any. No line is empty.
pub(super) fn wrap(text: &str, room: usize) -> impl Iterator<Item = &str> {
    let room = room.max(8);
    let mut rest = text;
    std::iter::from_fn(move || {
        // Blanks at which a line is broken belong to no line.
        rest = rest.trim_start_matches(' ');
        let line = first_line(rest, room);
        rest = rest.get(line.len()..).unwrap_or_default();
        Some(line).filter(|line| !line.is_empty())
    })
}

/// Returns the words at the beginning of `text` that one line takes; of a word that is longer
/// than a line, what fits.
fn first_line(text: &str, room: usize) -> &str {
    if text.len() <= room {
        return text;
    }
    let (mut end, mut taken) = (0, 0);
    for word in text.split(' ') {
        taken += width(word);
        if taken > room {
            return match end {
                0 => head(text, room),
                end => text.get(..end - 1).unwrap_or_default(),
            };
        }
        // The blank behind the word.
        end += word.len() + 1;
        taken += 1;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_covers_lanes_and_keeps_to_its_columns() {
        for end in 0..9 {
            let mut out = Vec::new();
            let mut line = LaneLine::new(&mut out, &[0, 2, 6], "|", 8);
            line.mark(1, "*");
            line.text("한e\u{301}한", end);
            line.finish();
            let line = String::from_utf8(out).unwrap();
            let expected = match end {
                0..=3 => "|*|   |",
                4 => "|*한  |",
                5 | 6 => "|*한e\u{301} |",
                _ => "|*한e\u{301}한",
            };
            assert_eq!(line, expected, "{end}");
        }
    }

    #[test]
    fn long_text_is_wrapped_without_losing_a_character() {
        let text = "incomplete: PUBCOMP never came; connection reset averyveryverylongword";
        let lines: Vec<_> = wrap(text, 12).collect();
        assert!(lines.iter().all(|line| width(line) <= 12));
        let joined: String = lines.concat().replace(' ', "");
        assert_eq!(joined, text.replace(' ', ""));
    }

    #[test]
    fn blanks_where_a_line_is_broken_are_left_out() {
        let lines: Vec<_> = wrap("  one two  three   ", 8).collect();
        assert_eq!(lines, ["one two ", "three   "]);
        assert_eq!(wrap("   ", 8).count(), 0);
    }
}
