//! A line of text by columns, and text cut or broken to columns.

use crate::base::text::width;

/// The second column of a wide character.
const SECOND: char = '\0';

/// A line of columns; a wide character takes two of them.
#[derive(Clone)]
pub(super) struct Canvas {
    columns: Vec<char>,
    /// Combining characters and the column whose character they stand on.
    marks: Vec<(usize, char)>,
}

impl Canvas {
    pub(super) fn new(room: usize) -> Self {
        Self {
            columns: vec![' '; room],
            marks: Vec::new(),
        }
    }

    /// Puts a character one column wide at column `at`.
    pub(super) fn set(&mut self, at: usize, c: char) {
        if self.columns.get(at) == Some(&SECOND) {
            self.clear(at.saturating_sub(1));
        }
        if self.columns.get(at + 1) == Some(&SECOND) {
            self.clear(at + 1);
        }
        self.clear(at);
        if let Some(column) = self.columns.get_mut(at) {
            *column = c;
        }
    }

    fn clear(&mut self, at: usize) {
        if let Some(column) = self.columns.get_mut(at) {
            *column = ' ';
        }
        if !self.marks.is_empty() {
            self.marks.retain(|(marked, _)| *marked != at);
        }
    }

    /// Puts `text` from column `at` on; what lies beyond the edge is left out.
    pub(super) fn put(&mut self, at: usize, text: &str) {
        let mut at = at;
        let mut before = None;
        for c in text.chars() {
            match columns_of(c) {
                0 => self.marks.extend(before.map(|before| (before, c))),
                taken => {
                    if at + taken > self.columns.len() {
                        return;
                    }
                    self.set(at, c);
                    if taken == 2 {
                        self.set(at + 1, ' ');
                        if let Some(column) = self.columns.get_mut(at + 1) {
                            *column = SECOND;
                        }
                    }
                    before = Some(at);
                    at += taken;
                }
            }
        }
    }

    /// The line without the blanks at its end.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(self.columns.len() * 3);
        for (at, c) in self.columns.iter().enumerate() {
            if *c != SECOND {
                text.push(*c);
            }
            if !self.marks.is_empty() {
                text.extend(
                    self.marks
                        .iter()
                        .filter(|(marked, _)| *marked == at)
                        .map(|(_, mark)| mark),
                );
            }
        }
        text.truncate(text.trim_end().len());
        text
    }
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() {
        1
    } else {
        width(c.encode_utf8(&mut [0; 4]))
    }
}

/// `text` cut to `room` columns, the cut shown.
pub(super) fn fit(text: &str, room: usize, ellipsis: &str) -> String {
    if width(text) <= room {
        return text.to_owned();
    }
    let room = room.saturating_sub(width(ellipsis));
    let (mut cut, mut taken) = (String::new(), 0);
    for c in text.chars() {
        taken += width(c.encode_utf8(&mut [0; 4]));
        if taken > room {
            break;
        }
        cut.push(c);
    }
    cut + ellipsis
}

/// `text` in lines of at most `room` columns, broken at blanks where there are any.
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
            let mut canvas = Canvas::new(6);
            canvas.put(1, "한e\u{301}");
            canvas.set(at, '|');
            assert!(width(&canvas.text()) <= 4, "{}", canvas.text());
            let bar = canvas.text();
            let before = bar.split('|').next().unwrap();
            assert_eq!(width(before), at, "{bar}");
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
