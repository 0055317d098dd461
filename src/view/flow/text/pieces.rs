//! The texts of a ladder: made safe, measured, cut and broken into lines.

use std::borrow::Cow;

use super::super::canvas::{fit, wrap};
use super::Sheet;
use crate::base::text::{is_printable_ascii, safe, width};
use crate::view::line::Line;

/// Octets of the longest part of a pattern that is copied in a block of fixed size: what stands
/// on either side of a label in an arrow from edge to edge of 100 columns. Longer ones take a
/// call.
pub(super) const RUN: usize = 192;

/// Appends the first `used` octets of a pattern: of fixed size where as many octets as that
/// stand there.
#[inline(always)]
pub(super) fn put_run(line: &mut Line<'_>, pattern: &[u8], used: usize) {
    if let Some(block) = pattern.first_chunk::<64>()
        && used <= 64
    {
        line.put(block, used);
    } else if let Some(block) = pattern.first_chunk::<RUN>()
        && used <= RUN
    {
        line.put(block, used);
    } else {
        line.octets(pattern.get(..used).unwrap_or(pattern));
    }
}

/// A text as it is drawn: safe for the terminal, in ASCII drawings ASCII.
pub(super) struct Drawn<'t> {
    pub(super) octets: Cow<'t, [u8]>,
    /// In columns.
    pub(super) width: usize,
    /// Each character takes one column.
    pub(super) plain: bool,
}

impl<'t> Drawn<'t> {
    /// Printable ASCII.
    #[inline(always)]
    pub(super) fn plain(octets: &'t [u8]) -> Self {
        Self {
            width: octets.len(),
            octets: Cow::Borrowed(octets),
            plain: true,
        }
    }

    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.octets)
    }
}

impl Sheet {
    /// Text made safe for the terminal; in ASCII drawings, ASCII.
    #[inline(always)]
    pub(super) fn drawn<'t>(&self, octets: &'t [u8]) -> Drawn<'t> {
        match self.plain {
            true => Drawn::plain(octets),
            false => self.measured(octets),
        }
    }

    /// The same where it is not known to be printable ASCII.
    #[inline(never)]
    pub(super) fn measured<'t>(&self, octets: &'t [u8]) -> Drawn<'t> {
        let plain = match self.style.ascii {
            true => is_printable_ascii(octets).then_some(octets.len()),
            false => plain_width(octets),
        };
        match plain {
            Some(width) => Drawn {
                width,
                ..Drawn::plain(octets)
            },
            None => self.drawn_slowly(octets),
        }
    }

    #[cold]
    fn drawn_slowly(&self, octets: &[u8]) -> Drawn<'static> {
        let mut text = safe(&String::from_utf8_lossy(octets));
        if self.style.ascii && !text.is_ascii() {
            text = text
                .chars()
                .map(|c| match c {
                    c if c.is_ascii() => c.to_string(),
                    '·' => "-".to_owned(),
                    '…' => "...".to_owned(),
                    '×' => "x".to_owned(),
                    '→' => "->".to_owned(),
                    c => c.escape_unicode().to_string(),
                })
                .collect();
        }
        Drawn {
            width: width(&text),
            plain: text.is_ascii(),
            octets: Cow::Owned(text.into_bytes()),
        }
    }

    /// Appends `text`, cut to `room` columns with an ellipsis where it is longer; the columns
    /// that it took.
    #[inline(always)]
    pub(super) fn put_fitted(&self, line: &mut Line<'_>, text: &Drawn<'_>, room: usize) -> usize {
        if text.width <= room {
            return self.put_cut(line, text, room);
        }
        if !text.plain {
            let cut = fit(&text.text(), room, self.pens.ellipsis.text);
            return push_columns(line.whole(), &cut, room);
        }
        let ellipsis = if self.style.ascii { 3 } else { 1 };
        let kept = room.saturating_sub(ellipsis);
        self.put_cut(line, text, kept);
        self.pens.ellipsis.put(line);
        kept + ellipsis
    }

    /// Appends as much of `text` as has room in `room` columns; the columns that it took.
    #[inline(always)]
    pub(super) fn put_cut(&self, line: &mut Line<'_>, text: &Drawn<'_>, room: usize) -> usize {
        if !text.plain {
            return push_columns(line.whole(), &text.text(), room);
        }
        if text.width <= room {
            line.octets(&text.octets);
            return text.width;
        }
        let end = end_of_column(&text.octets, room);
        line.octets(text.octets.get(..end).unwrap_or_default());
        room
    }

    /// Whether `text` is one line of at most `room` columns just as it is.
    #[inline(always)]
    pub(super) fn in_one_line(text: &Drawn<'_>, room: usize) -> bool {
        let fits = text.plain && text.width <= room.max(8);
        fits && !text.octets.is_empty() && !text.octets.starts_with(b" ")
    }

    /// Hands on `text` in lines of at most `room` columns.
    pub(super) fn wrapped(&self, text: &Drawn<'_>, room: usize, mut each: impl FnMut(&Drawn<'_>)) {
        if Self::in_one_line(text, room) {
            return each(text);
        }
        if text.plain && self.wrapped_plainly(text, room.max(8), &mut each).is_some() {
            return;
        }
        for part in wrap(&text.text(), room) {
            each(&Drawn {
                width: width(&part),
                plain: text.plain,
                octets: Cow::Owned(part.into_bytes()),
            });
        }
    }

    /// [`wrap`] of ASCII that has single blanks between its words and words that have room:
    /// lines end at the last blank that has room. `None`, and nothing handed on, for others.
    pub(super) fn wrapped_plainly(
        &self,
        text: &Drawn<'_>,
        room: usize,
        each: &mut impl FnMut(&Drawn<'_>),
    ) -> Option<()> {
        let octets = &*text.octets;
        let doubled = |pair: &[u8]| pair == b"  ";
        if octets.len() != text.width || octets.windows(2).any(doubled) {
            return None;
        }
        if octets.is_empty() || octets.starts_with(b" ") || octets.ends_with(b" ") {
            return None;
        }
        let line_of = |rest: &[u8]| match rest.get(..=room) {
            None => Some(rest.len()),
            Some(begin) => begin.iter().rposition(|octet| *octet == b' '),
        };
        let lines = |each: &mut dyn FnMut(&[u8])| {
            let mut rest = octets;
            while !rest.is_empty() {
                let (line, behind) = rest.split_at_checked(line_of(rest)?)?;
                each(line);
                rest = behind.get(1..).unwrap_or_default();
            }
            Some(())
        };
        // Once to see that every word has room, once for good.
        lines(&mut |_| {})?;
        lines(&mut |line| {
            each(&Drawn {
                octets: Cow::Borrowed(line),
                width: line.len(),
                plain: true,
            });
        })
    }
}

/// Where the first `columns` columns of a text end, in octets: each character takes one column
/// and begins at each octet that continues none. The text has more columns.
fn end_of_column(octets: &[u8], columns: usize) -> usize {
    let continues = |octet: &u8| octet & 0xc0 == 0x80;
    let (head, rest) = octets.split_at_checked(columns).unwrap_or_default();
    // As many octets as columns are counted at once, eight of them in a word; what they lack
    // one by one.
    let (words, odd) = head.as_chunks::<8>();
    let in_word = |word: &[u8; 8]| {
        let word = u64::from_le_bytes(*word);
        let ones = (word & !(word << 1)) >> 7 & EACH;
        (ones.wrapping_mul(EACH) >> 56) as usize
    };
    let mut lacking = words.iter().map(in_word).sum::<usize>();
    lacking += odd.iter().filter(|octet| continues(octet)).count();
    let mut end = columns;
    for octet in rest {
        if !continues(octet) {
            if lacking == 0 {
                break;
            }
            lacking -= 1;
        }
        end += 1;
    }
    end
}

/// 1 in each octet of a word.
const EACH: u64 = 0x0101_0101_0101_0101;

/// How many octets of a word are printable ASCII before the first that is not.
#[inline(always)]
fn printable(word: [u8; 8]) -> usize {
    let word = u64::from_le_bytes(word);
    // The highest bit of an octet that is below a blank, or DEL, or no ASCII. What is carried goes
    // into later octets, and only from one that fails itself.
    let wrong = word.wrapping_sub(0x20 * EACH) | word | word.wrapping_add(EACH);
    (wrong & (0x80 * EACH)).trailing_zeros() as usize / 8
}

/// Appends as many characters of `text` as have room in `room` columns, a wide one taking two;
/// the columns that they took.
fn push_columns(out: &mut Vec<u8>, text: &str, room: usize) -> usize {
    let mut taken = 0;
    for c in text.chars() {
        let mut utf8 = [0; 4];
        let c = c.encode_utf8(&mut utf8);
        let columns = width(c);
        if taken + columns > room {
            break;
        }
        out.extend_from_slice(c.as_bytes());
        taken += columns;
    }
    taken
}

/// The columns of a text that has only printable ASCII, `·` and `…`, as nearly every text
/// does; `None` for others.
fn plain_width(octets: &[u8]) -> Option<usize> {
    let mut columns = octets.len();
    let mut rest = octets;
    loop {
        let ascii = match rest.first_chunk::<8>() {
            Some(word) => printable(*word),
            None => {
                let other = rest.iter().position(|octet| !(0x20..=0x7e).contains(octet));
                other.unwrap_or(rest.len())
            }
        };
        rest = match rest.get(ascii..)? {
            [] => return Some(columns),
            behind if ascii == 8 => behind,
            [0xc2, 0xb7, behind @ ..] => {
                columns -= 1;
                behind
            }
            [0xe2, 0x80, 0xa6, behind @ ..] => {
                columns -= 2;
                behind
            }
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn columns_of_plain_text_are_its_characters(
            text in "([ -~·…]|[a-z]{9}){0,40}",
            other in "[\\x00-\\x1f\\x7f-\\u{9f}é한]",
            at in any::<prop::sample::Index>(),
        ) {
            let columns = text.chars().count();
            prop_assert_eq!(plain_width(text.as_bytes()), Some(columns));
            for (column, (octet, _)) in text.char_indices().enumerate() {
                prop_assert_eq!(end_of_column(text.as_bytes(), column), octet);
            }
            let mut text: Vec<_> = text.chars().collect();
            let at = at.index(text.len() + 1);
            text.insert(at, other.chars().next().unwrap());
            let text: String = text.into_iter().collect();
            prop_assert_eq!(plain_width(text.as_bytes()), None);
        }
    }
}
