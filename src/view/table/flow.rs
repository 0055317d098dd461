//! A row that must keep to a terminal's width: cells flow on to another line where they don't
//! fit, and nothing is ever cut.

use super::super::colour;
use super::super::out::push_blanks;
use crate::base::text;

/// Blanks before the second and later lines of a row.
const INDENT: usize = 6;

/// The least room for Info beside the other columns; with less it gets lines of its own.
const LEAST_INFO: usize = 20;

/// One row before it is laid out; its buffers are used again for the next row.
#[derive(Debug, Default)]
pub(super) struct Row {
    text: String,
    cells: Vec<Cell>,
    words: String,
    extras: String,
    last: String,
    scratch: Vec<u8>,
}

/// A cell of the left part: where it ends in `text`, its column's width, its alignment.
#[derive(Clone, Copy, Debug)]
struct Cell {
    from: usize,
    to: usize,
    width: usize,
    right: bool,
}

impl Row {
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cells.clear();
    }

    /// Adds a cell of ASCII text.
    pub(super) fn cell(&mut self, width: usize, right: bool, fill: impl FnOnce(&mut Vec<u8>)) {
        let from = self.text.len();
        fill_text(&mut self.scratch, fill);
        self.text.push_str(&String::from_utf8_lossy(&self.scratch));
        self.cells.push(Cell {
            from,
            to: self.text.len(),
            width,
            right,
        });
    }

    /// Wireshark's words of Info.
    pub(super) fn words(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        fill_into(&mut self.scratch, &mut self.words, fill);
    }

    /// The part behind them, two blanks before it.
    pub(super) fn extras(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        fill_into(&mut self.scratch, &mut self.extras, fill);
    }

    /// The last column.
    pub(super) fn last(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        fill_into(&mut self.scratch, &mut self.last, fill);
    }

    /// Appends the row on lines of at most `width` columns, where its words allow that.
    pub(super) fn lay_out(
        &mut self,
        out: &mut Vec<u8>,
        width: usize,
        between: usize,
        paint: Option<&[u8]>,
    ) {
        let mut line = Line {
            out,
            used: 0,
            width,
            paint,
            painting: false,
        };
        for cell in &self.cells {
            let text = self.text.get(cell.from..cell.to).unwrap_or_default();
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
        let (words, extras) = (text::width(&self.words), text::width(&self.extras));
        let last = self.last.len();
        // At least one blank before the last column, two where there is room.
        let needs = |info: usize| between + info + 1 + last;
        if line.room() < needs(words) || line.room() < needs(LEAST_INFO.min(words)) {
            line.next();
        } else {
            line.blanks(between);
        }
        if line.room() >= words + extras + 1 + last {
            line.painted(&self.words);
            line.painted(&self.extras);
            line.at_right(&self.last);
            return;
        }
        line.wrapped(&self.words);
        if line.room() < 1 + last {
            line.next();
        }
        line.at_right(&self.last);
        if !self.extras.is_empty() {
            line.next();
            line.wrapped(self.extras.trim_start());
        }
    }
}

fn fill_text(scratch: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    scratch.clear();
    fill(scratch);
}

fn fill_into(scratch: &mut Vec<u8>, text: &mut String, fill: impl FnOnce(&mut Vec<u8>)) {
    fill_text(scratch, fill);
    text.clear();
    text.push_str(&String::from_utf8_lossy(scratch));
}

/// The line being written.
struct Line<'o, 'p> {
    out: &'o mut Vec<u8>,
    /// Columns used so far.
    used: usize,
    width: usize,
    paint: Option<&'p [u8]>,
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
            self.out.extend_from_slice(colour::RESET);
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
            self.out.extend_from_slice(paint);
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
