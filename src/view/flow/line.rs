//! A line written over the lanes, and text cut or broken to columns.
//!
//! ```text
//! column   0 1 2 3 4 5 6 7 8 9
//!              │           │      lanes at 2 and 8
//!              │─ PUBACK ─▶│      fill(3..8), put(7, "▶"), put(4, " PUBACK ")
//! ```

use std::borrow::Cow;
use std::ops::Range;

use crate::base::text::width;

/// A line of fixed length; text in it stands over the lanes.
pub(super) struct LaneLine<'a> {
    /// The text that begins in each column: empty where a wider one goes on.
    columns: Vec<&'a str>,
}

impl<'a> LaneLine<'a> {
    /// Returns a line of so many columns, blank but for `lane` in the columns of `lanes`.
    pub(super) fn new(columns: usize, lanes: &[usize], lane: &'a str) -> Self {
        let mut line = Self {
            columns: vec![" "; columns],
        };
        for at in lanes {
            line.mark(*at, lane);
        }
        line
    }

    /// Writes `pen`, which is one column wide, in column `at`, if there is one.
    pub(super) fn mark(&mut self, at: usize, pen: &'a str) {
        if let Some(column) = self.columns.get_mut(at) {
            *column = pen;
        }
    }

    /// Writes `text` from column `at` on, as far as there is room before column `end`. Returns the
    /// column behind it.
    pub(super) fn put(&mut self, at: usize, text: &'a str, end: usize) -> usize {
        let text = cut(text, end.min(self.columns.len()).saturating_sub(at));
        let behind = (at + width(text)).min(self.columns.len());
        if let Some([first, covered @ ..]) = self.columns.get_mut(at..behind) {
            *first = text;
            covered.fill("");
        }
        behind
    }

    /// Writes `shaft` in these columns, and `cross` where a lane stands in one.
    pub(super) fn fill(&mut self, columns: Range<usize>, shaft: &'a str, cross: &'a str) {
        for column in self.columns.get_mut(columns).unwrap_or_default() {
            *column = if *column == " " { shaft } else { cross };
        }
    }

    /// Appends the line.
    pub(super) fn push_to(&self, out: &mut Vec<u8>) {
        out.reserve(3 * self.columns.len());
        for text in &self.columns {
            // A copy of one or three bytes, nearly every column's, is a few instructions; of as
            // many as a variable holds, a call.
            match *text.as_bytes() {
                [] => {}
                [byte] => out.push(byte),
                [a, b, c] => out.extend_from_slice(&[a, b, c]),
                ref text => out.extend_from_slice(text),
            }
        }
    }
}

/// Returns `text` cut to `room` columns, with `ellipsis` where something was cut off.
pub(super) fn fit<'a>(text: &'a str, room: usize, ellipsis: &str) -> Cow<'a, str> {
    if fits(text, room) {
        return Cow::Borrowed(text);
    }
    let head = head(text, room.saturating_sub(width(ellipsis)));
    Cow::Owned(format!("{head}{ellipsis}"))
}

/// Returns as much of `text` as `room` columns take.
pub(super) fn cut(text: &str, room: usize) -> &str {
    match fits(text, room) {
        true => text,
        false => head(text, room),
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
        taken += match c.is_ascii() {
            true => 1,
            false => width(c.encode_utf8(&mut [0; 4])),
        };
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
            let mut line = LaneLine::new(8, &[0, 2, 6], "|");
            line.put(1, "*", 8);
            line.put(2, "한e\u{301}한", end);
            let mut text = b"before ".to_vec();
            line.push_to(&mut text);
            let expected = match end {
                0..=3 => "|*|   | ",
                4 => "|*한  | ",
                5 | 6 => "|*한e\u{301} | ",
                _ => "|*한e\u{301}한 ",
            };
            let expected = format!("before {expected}");
            assert_eq!(String::from_utf8(text).unwrap(), expected, "{end}");
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
