//! A line of cells, one a column, and text cut or broken to columns.
//!
//! ```text
//! column   0    1    2    3    4
//! cell    'a'  '한' WIDE '│'  ' '      WIDE: the second column of the character before it
//! ```

use crate::base::text::width;

/// The second column of a wide character; never a character of a drawing.
const WIDE: char = '\0';

/// A line of columns; a wide character takes two of them. What is drawn later covers what was
/// there before, and nothing is drawn beyond the last column.
pub(super) struct Canvas {
    cells: Vec<char>,
    /// Combining characters, and the column whose character they stand on. Rare, so a list.
    marks: Vec<(usize, char)>,
}

impl Canvas {
    /// Makes a line of `columns` blanks.
    pub(super) fn new(columns: usize) -> Self {
        Self {
            cells: vec![' '; columns],
            marks: Vec::new(),
        }
    }

    /// Makes the line blank again.
    pub(super) fn clear(&mut self) {
        self.cells.fill(' ');
        self.marks.clear();
    }

    /// Puts a character that is one column wide at column `at`. A wide character that it covers
    /// by half becomes a blank.
    pub(super) fn set(&mut self, at: usize, c: char) {
        if self.cells.get(at) == Some(&WIDE) {
            self.blank(at.saturating_sub(1));
        }
        if self.cells.get(at + 1) == Some(&WIDE) {
            self.blank(at + 1);
        }
        self.blank(at);
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = c;
        }
    }

    fn blank(&mut self, at: usize) {
        if let Some(cell) = self.cells.get_mut(at) {
            *cell = ' ';
        }
        self.marks.retain(|(marked, _)| *marked != at);
    }

    /// Puts `text` from column `at` on, as far as there is room, and returns the column behind
    /// it.
    pub(super) fn put(&mut self, at: usize, text: &str) -> usize {
        let mut at = at;
        let mut before = None;
        for c in text.chars() {
            let columns = columns_of(c);
            if columns == 0 {
                self.marks.extend(before.map(|before| (before, c)));
                continue;
            }
            if at + columns > self.cells.len() {
                break;
            }
            self.set(at, c);
            if columns == 2 {
                self.set(at + 1, ' ');
                if let Some(cell) = self.cells.get_mut(at + 1) {
                    *cell = WIDE;
                }
            }
            before = Some(at);
            at += columns;
        }
        at
    }

    /// Appends the line to `out`, without the blanks at its end.
    pub(super) fn push_to(&self, out: &mut String) {
        let begin = out.len();
        for (at, c) in self.cells.iter().enumerate() {
            if *c != WIDE {
                out.push(*c);
            }
            if !self.marks.is_empty() {
                let marks = self.marks.iter().filter(|(marked, _)| *marked == at);
                out.extend(marks.map(|(_, mark)| mark));
            }
        }
        let length = out.get(begin..).map_or(0, |line| line.trim_end().len());
        out.truncate(begin + length);
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
pub(super) fn fit(text: &str, room: usize, ellipsis: &str) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(width(ellipsis));
    let (mut cut, mut taken) = (String::new(), 0);
    for c in text.chars() {
        taken += columns_of(c);
        if taken > room {
            break;
        }
        cut.push(c);
    }
    cut + ellipsis
}

/// Returns `text` in lines of at most `room` columns (but eight), broken at blanks where there
/// are any. No line is empty.
pub(super) fn wrap(text: &str, room: usize) -> Vec<String> {
    let room = room.max(8);
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let mut word = word;
        loop {
            let line = lines.last().map_or(0, |line| width(line));
            let blank = usize::from(line > 0);
            if line + blank + width(word) <= room {
                break;
            }
            if line > 0 {
                lines.push(String::new());
                continue;
            }
            let head = fit(word, room, "");
            let (head, rest) = word.split_at(head.len());
            lines.push(head.to_owned());
            lines.push(String::new());
            word = rest;
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_wide_character_is_never_left_behind() {
        for at in 0..4 {
            let (mut canvas, mut line) = (Canvas::new(6), String::new());
            canvas.put(1, "한e\u{301}");
            canvas.set(at, '|');
            canvas.push_to(&mut line);
            assert!(width(&line) <= 4, "{line}");
            let before = line.split('|').next().unwrap();
            assert_eq!(width(before), at, "{line}");
        }
    }

    #[test]
    fn long_text_is_wrapped_without_losing_a_character() {
        let text = "incomplete: PUBCOMP never came; connection reset averyveryverylongword";
        let lines = wrap(text, 12);
        assert!(lines.iter().all(|line| width(line) <= 12));
        let joined: String = lines.concat().replace(' ', "");
        assert_eq!(joined, text.replace(' ', ""));
    }
}
