//! A row that must keep to a terminal's width: cells flow on to another line where they don't
//! fit, and nothing is ever cut.

use std::fmt::Display;

use super::super::colour;
use super::super::out::{push_blanks, put};
use crate::base::text;

/// Blanks before the second and later lines of a row.
const INDENT: usize = 6;

/// One row before it is laid out; its buffers are used again for the next row.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: Vec<u8>,
    cells: Vec<Cell>,
    /// Wireshark's words of Info, as they are.
    pub(super) words: Vec<u8>,
    /// The part behind them, two blanks before it.
    pub(super) extras: Vec<u8>,
    /// The last column.
    pub(super) last: Vec<u8>,
}

/// A cell of the left part: where it ends in `text`, its column's width, its alignment.
#[derive(Clone, Copy, Debug)]
struct Cell {
    to: usize,
    width: usize,
    right: bool,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        for text in [
            &mut self.text,
            &mut self.words,
            &mut self.extras,
            &mut self.last,
        ] {
            text.clear();
        }
    }

    /// Adds a cell of ASCII text.
    pub(super) fn cell(&mut self, width: usize, right: bool, text: impl Display) {
        put(&mut self.text, format_args!("{text}"));
        let to = self.text.len();
        self.cells.push(Cell { to, width, right });
    }

    /// Appends the row on lines of at most `width` columns, where its words allow that.
    pub(super) fn lay_out(
        &mut self,
        out: &mut Vec<u8>,
        width: usize,
        between: usize,
        paint: Option<&str>,
    ) {
        let mut line = Line {
            out,
            used: 0,
            width,
            paint,
            painting: false,
        };
        let mut from = 0;
        for cell in &self.cells {
            let text = text_of(self.text.get(from..cell.to).unwrap_or_default());
            from = cell.to;
            let size = cell.width.max(text.len());
            if line.used > 0 {
                if line.used + between + text.len() > width {
                    line.next();
                } else {
                    line.blanks(between);
                }
            }
            let pad = size - text.len();
            if cell.right && line.used + size <= width {
                line.blanks(pad);
            }
            line.plain(text);
            if !cell.right && line.used + pad <= width {
                line.blanks(pad);
            }
        }
        self.lay_out_info(&mut line, between);
        line.stop_painting();
        line.out.push(b'\n');
    }

    fn lay_out_info(&self, line: &mut Line<'_, '_>, between: usize) {
        let [words, extras] = [&self.words, &self.extras].map(|text| text::safe(text_of(text)));
        let (words, extras, last) = (&*words, &*extras, text_of(&self.last));
        let info = text::width(words);
        // At least one blank before the last column, two where there is room.
        if line.room() < between + info + 1 + last.len() {
            line.next();
        } else {
            line.blanks(between);
        }
        if line.room() >= info + text::width(extras) + 1 + last.len() {
            line.painted(words);
            line.painted(extras);
            line.at_right(last);
            return;
        }
        line.wrapped(words);
        if line.room() < 1 + last.len() {
            line.next();
        }
        line.at_right(last);
        if !extras.is_empty() {
            line.next();
            line.wrapped(extras.trim_start());
        }
    }
}

/// Returns the text that was made of a packet, which is UTF-8.
fn text_of(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or_default()
}

/// The line being written.
struct Line<'o, 'p> {
    out: &'o mut Vec<u8>,
    /// Columns used so far.
    used: usize,
    width: usize,
    paint: Option<&'p str>,
    /// The colour of the text that is written now.
    painting: bool,
}

impl Line<'_, '_> {
    fn room(&self) -> usize {
        self.width.saturating_sub(self.used)
    }

    fn next(&mut self) {
        self.stop_painting();
        while self.out.last() == Some(&b' ') {
            self.out.pop();
        }
        self.out.push(b'\n');
        self.used = 0;
        self.blanks(INDENT.min(self.width / 2));
    }

    fn stop_painting(&mut self) {
        if std::mem::take(&mut self.painting) {
            self.out.extend_from_slice(colour::RESET.as_bytes());
        }
    }

    fn blanks(&mut self, count: usize) {
        push_blanks(self.out, count);
        self.used += count;
    }

    fn plain(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
        self.used += text::width(text);
    }

    fn painted(&mut self, text: &str) {
        if let (Some(paint), false) = (self.paint, self.painting) {
            self.out.extend_from_slice(paint.as_bytes());
            self.painting = true;
        }
        self.plain(text);
    }

    /// Text that ends at the right edge.
    fn at_right(&mut self, text: &str) {
        self.stop_painting();
        self.blanks(self.room().saturating_sub(text.len()));
        self.plain(text);
    }

    /// Text on as many lines as it needs: broken at blanks, and where a word alone is too
    /// long, between two characters.
    fn wrapped(&mut self, text: &str) {
        for (at, word) in text.split(' ').enumerate() {
            let size = text::width(word);
            let blank = usize::from(at > 0);
            if at > 0 && self.room() < blank + size {
                self.next();
            } else {
                self.blanks(blank);
            }
            self.broken(word);
        }
    }

    fn broken(&mut self, word: &str) {
        let mut rest = word;
        while text::width(rest) > self.room() {
            let mut columns = 0;
            let cut = rest
                .char_indices()
                .find(|(_, c)| {
                    columns += text::width(c.encode_utf8(&mut [0; 4]));
                    columns > self.room()
                })
                .map_or(rest.len(), |(at, _)| at);
            let (now, later) = rest.split_at_checked(cut).unwrap_or((rest, ""));
            if now.is_empty() && self.used > INDENT.min(self.width / 2) {
                self.next();
                continue;
            }
            if now.is_empty() || later.is_empty() {
                break;
            }
            self.painted(now);
            self.next();
            rest = later;
        }
        self.painted(rest);
    }
}
