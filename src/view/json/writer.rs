//! A JSON writer by hand: commas in the right places, text always valid, nothing between a
//! value and the buffer.

use super::super::out::{push_first, push_hex, push_number};
use crate::base::scan::copy_where;
use crate::base::{quote_by_shuffle, room_to_quote, text};

/// Appends one JSON value to a buffer. Keys are the caller's: it must not give one twice.
#[derive(Debug)]
pub struct JsonWriter<'a> {
    out: &'a mut Vec<u8>,
    /// A value stands before: the next one in this object or array needs a comma.
    comma: bool,
}

impl<'a> JsonWriter<'a> {
    /// Begins where a value may stand.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: false }
    }

    /// Goes on in an object or array that has values already.
    pub fn after_value(out: &'a mut Vec<u8>) -> Self {
        Self { out, comma: true }
    }

    /// The buffer, for a value written by other means; call [`JsonWriter::wrote`] after it.
    pub fn raw(&mut self) -> &mut Vec<u8> {
        self.separate();
        self.out
    }

    /// A value was written by other means.
    pub fn wrote(&mut self) {
        self.comma = true;
    }

    pub fn begin_object(&mut self) {
        self.separate();
        self.out.push(b'{');
        self.comma = false;
    }

    pub fn end_object(&mut self) {
        self.out.push(b'}');
        self.comma = true;
    }

    pub fn begin_array(&mut self) {
        self.separate();
        self.out.push(b'[');
        self.comma = false;
    }

    pub fn end_array(&mut self) {
        self.out.push(b']');
        self.comma = true;
    }

    /// The key of the next value. Keys are the program's own words: nothing in them needs an
    /// escape.
    #[inline(always)]
    pub fn key(&mut self, key: &'static str) {
        self.out
            .extend_from_slice(if self.comma { b",\"" } else { b"\"" });
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.comma = false;
    }

    #[inline(always)]
    pub fn number(&mut self, number: u64) {
        self.separate();
        push_number(self.out, number);
        self.comma = true;
    }

    #[inline(always)]
    pub fn bool(&mut self, value: bool) {
        self.separate();
        self.out
            .extend_from_slice(if value { b"true" } else { b"false" });
        self.comma = true;
    }

    /// Any text: escaped.
    #[inline]
    pub fn string(&mut self, text: &str) {
        self.separate();
        self.out.push(b'"');
        push_escaped(self.out, text);
        self.out.push(b'"');
        self.comma = true;
    }

    /// Text of the program's own that needs no escape.
    #[inline(always)]
    pub fn word(&mut self, word: &'static str) {
        self.separate();
        self.out.push(b'"');
        self.out.extend_from_slice(word.as_bytes());
        self.out.push(b'"');
        self.comma = true;
    }

    /// Octets as a string of hexadecimal digits.
    pub fn hex(&mut self, octets: &[u8]) {
        self.separate();
        self.out.push(b'"');
        push_hex(self.out, octets);
        self.out.push(b'"');
        self.comma = true;
    }

    #[inline(always)]
    pub fn number_member(&mut self, key: &'static str, number: impl Into<u64>) {
        self.key(key);
        self.number(number.into());
    }

    #[inline(always)]
    pub fn bool_member(&mut self, key: &'static str, value: bool) {
        self.key(key);
        self.bool(value);
    }

    #[inline]
    pub fn string_member(&mut self, key: &'static str, text: &str) {
        self.key(key);
        self.string(text);
    }

    #[inline(always)]
    pub fn word_member(&mut self, key: &'static str, word: &'static str) {
        self.key(key);
        self.word(word);
    }

    /// An array of strings that need no escape.
    pub fn words_member(&mut self, key: &'static str, words: &[&'static str]) {
        self.key(key);
        self.begin_array();
        for word in words {
            self.word(word);
        }
        self.end_array();
    }

    #[inline(always)]
    fn separate(&mut self) {
        if self.comma {
            self.out.push(b',');
        }
    }
}

/// Appends `text` as it stands inside a JSON string. Beside what JSON demands, characters
/// that could drive a terminal are escaped: the value is the same, and the document may be
/// looked at.
///
/// In blocks of fixed size, since payloads that are JSON themselves have a quotation mark
/// every few octets: looking for the next one costs a mispredicted branch each, a third of
/// the time of a whole run.
pub fn push_escaped(out: &mut Vec<u8>, text: &str) {
    let octets = text.as_bytes();
    let mut at = 0;
    while let Some(rest) = octets.get(at..).filter(|rest| !rest.is_empty()) {
        let (block, length) = match rest.first_chunk() {
            Some(block) => (*block, BLOCK),
            None => (padded(rest), rest.len()),
        };
        if is_plain(&block) {
            push_first(out, &block, length);
            at += length;
        } else if is_simple(&block) {
            push_simple(out, &block, length);
            at += length;
        } else {
            let plain = plain_tail(rest.get(..length).unwrap_or(rest));
            out.extend_from_slice(rest.get(..plain).unwrap_or_default());
            at += plain;
            at += push_special(out, text, at);
        }
    }
}

/// The last octets of a text, with blanks behind them.
#[inline(always)]
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = [b' '; BLOCK];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    block
}

/// What stands in a JSON string for each octet of simple text: itself, or a backslash and a
/// letter; then how many octets that is.
const SIMPLE: [([u8; 2], u8); 256] = {
    let mut all = [([0, b' '], 1); 256];
    let mut octet = 0;
    while octet < all.len() {
        all[octet].0[0] = octet as u8;
        octet += 1;
    }
    all[b'"' as usize] = (*b"\\\"", 2);
    all[b'\\' as usize] = (*b"\\\\", 2);
    all[b'\n' as usize] = (*b"\\n", 2);
    all[b'\r' as usize] = (*b"\\r", 2);
    all[b'\t' as usize] = (*b"\\t", 2);
    all
};

/// Octets that a block may take escaped, and one more pair that is written and not used.
const ROOM: usize = 2 * BLOCK + 2;

/// Appends the first `length` octets of simple text, escaped.
#[inline(always)]
fn push_simple(out: &mut Vec<u8>, block: &[u8; BLOCK], length: usize) {
    let begin = out.len();
    out.extend_from_slice(&[b' '; ROOM]);
    let used = out.last_chunk_mut().map_or(0, |room| simple(room, block));
    // Behind the text the block holds blanks, each of which took one.
    out.truncate(begin + used - (BLOCK - length));
}

/// Writes simple text escaped; how many octets that takes. Without a branch: two octets are
/// written for each, and the next ones over the second where that is not needed. And in their
/// place: a copy of what was just written would wait for it.
#[inline(always)]
fn simple(room: &mut [u8; ROOM], block: &[u8; BLOCK]) -> usize {
    let mut used = 0;
    for octet in block {
        let (text, length) = SIMPLE[usize::from(*octet)];
        // At most 2 * 15: the remainder is for the compiler.
        let at = used % (2 * BLOCK);
        room[at] = text[0];
        room[at + 1] = text[1];
        used += usize::from(length);
    }
    used
}

/// Octets of the room that [`escape_simple`] needs for so many.
pub(super) const fn room_for(octets: usize) -> usize {
    room_to_quote(octets)
}

/// Writes text escaped into `room`; how many octets that takes. `None` where something else
/// than printable ASCII, tabs and line ends is in it, or there is no [`room_for`] it: what was
/// written is worth nothing then. So whether it can be read is found on the way, and nothing
/// is looked at twice.
#[inline]
pub(super) fn escape_simple(room: &mut [u8], octets: &[u8]) -> Option<usize> {
    quote_by_shuffle(room, octets).unwrap_or_else(|| escape_simple_anywhere(room, octets))
}

/// The same, for any processor.
fn escape_simple_anywhere(room: &mut [u8], octets: &[u8]) -> Option<usize> {
    let mut used = 0;
    let mut block_of = |block: &[u8; BLOCK]| {
        let room = room.get_mut(used..)?.first_chunk_mut::<ROOM>()?;
        if is_plain(block) {
            *room.first_chunk_mut()? = *block;
            used += BLOCK;
        } else if is_simple(block) {
            used += simple(room, block);
        } else {
            return None;
        }
        Some(used)
    };
    let (blocks, rest) = octets.as_chunks();
    for block in blocks {
        block_of(block)?;
    }
    let used = block_of(&padded(rest))?;
    // Behind the text the block holds blanks, each of which took one.
    Some(used - (BLOCK - rest.len()))
}

/// Copies octets that are all printable ASCII which JSON leaves as it is into a room for just
/// those; `false` where they are not, and what was written is worth nothing.
#[inline(always)]
pub(super) fn plain(room: &mut [u8], octets: &[u8]) -> bool {
    copy_where(room, octets, is_plain_octet)
}

/// Appends the character at `at`; how many octets it has.
fn push_special(out: &mut Vec<u8>, text: &str, at: usize) -> usize {
    let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) else {
        return 1;
    };
    push_char(out, c);
    c.len_utf8()
}

/// Octets that are looked at together.
const BLOCK: usize = 16;

/// Whether JSON leaves an octet as it is, and it is printable ASCII.
#[inline(always)]
fn is_plain_octet(octet: u8) -> bool {
    matches!(octet, 0x20..=0x7e) & (octet != b'"') & (octet != b'\\')
}

/// Without a branch inside: one comparison of each kind for the whole block.
#[inline(always)]
fn is_plain(block: &[u8; BLOCK]) -> bool {
    (block.iter()).fold(true, |plain, octet| plain & is_plain_octet(*octet))
}

/// Whether all is printable ASCII, tabs and line ends.
#[inline(always)]
fn is_simple(block: &[u8; BLOCK]) -> bool {
    let simple = |octet: u8| {
        matches!(octet, 0x20..=0x7e) | (octet == b'\n') | (octet == b'\r') | (octet == b'\t')
    };
    (block.iter()).fold(true, |all, octet| all & simple(*octet))
}

fn plain_tail(octets: &[u8]) -> usize {
    let special = octets.iter().position(|octet| !is_plain_octet(*octet));
    special.unwrap_or(octets.len())
}

fn push_char(out: &mut Vec<u8>, c: char) {
    let short = match c {
        '"' => b"\\\"",
        '\\' => b"\\\\",
        '\n' => b"\\n",
        '\r' => b"\\r",
        '\t' => b"\\t",
        c if text::is_unsafe(c) => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                push_hex(out, &unit.to_be_bytes());
            }
            return;
        }
        c => {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return;
        }
    };
    out.extend_from_slice(short);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_are_separated_and_nested() {
        let mut out = Vec::new();
        let mut json = JsonWriter::new(&mut out);
        json.begin_object();
        json.number_member("a", 1u32);
        json.key("b");
        json.begin_array();
        json.bool(true);
        json.hex(&[1, 0xab]);
        json.begin_object();
        json.end_object();
        json.end_array();
        json.words_member("c", &["x", "y"]);
        json.end_object();
        assert_eq!(out, br#"{"a":1,"b":[true,"01ab",{}],"c":["x","y"]}"#);
    }

    proptest! {
        #[test]
        fn any_text_comes_back_the_same_and_is_safe_to_look_at(text in ".{0,40}", cut in "[ -~]{0,20}") {
            for text in [text.clone(), cut + &text] {
                let mut out = Vec::new();
                JsonWriter::new(&mut out).string(&text);
                let written = std::str::from_utf8(&out).unwrap();
                prop_assert!(!written.chars().any(text::is_unsafe));
                prop_assert_eq!(serde_json::from_str::<String>(written).unwrap(), text);
            }
        }

        #[test]
        fn any_ascii_that_can_be_read_is_written_as_any_text_is(
            octets in proptest::collection::vec(0..128u8, 0..70),
            text in "[ !\"#\\\\a-f\t\n\r]{0,70}",
        ) {
            for octets in [octets.as_slice(), text.as_bytes()] {
                let text = std::str::from_utf8(octets).unwrap();
                let mut expected = Vec::new();
                push_escaped(&mut expected, text);
                let is_simple = |octet| matches!(octet, b' '..=b'~' | b'\t' | b'\n' | b'\r');
                let simple = octets.iter().all(|octet| is_simple(*octet));
                for escape in [escape_simple, escape_simple_anywhere] {
                    let mut room = vec![0; room_for(octets.len())];
                    let written = escape(&mut room, octets).map(|used| &room[..used]);
                    prop_assert_eq!(written, simple.then_some(expected.as_slice()));
                }
                let mut room = vec![0; octets.len()];
                let is_plain = plain(&mut room, octets);
                prop_assert_eq!(is_plain, expected == octets);
                prop_assert!(!is_plain || room == octets);
            }
        }

        #[test]
        fn any_ascii_comes_back_the_same(octets in proptest::collection::vec(0..128u8, 0..40)) {
            let text = String::from_utf8(octets).unwrap();
            let mut out = Vec::new();
            JsonWriter::new(&mut out).string(&text);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }
    }
}
