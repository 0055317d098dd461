//! Text from a capture made safe for a terminal.
//!
//! No text of a capture may move the cursor, change colours, reorder a line or end it: each
//! control character, bidirectional control and other invisible format character becomes a
//! visible escape.

use std::borrow::Cow;

use super::scan::any;

/// Returns whether `c` must not reach a terminal as it is: C0, DEL and C1 controls, line and
/// paragraph separators, bidirectional controls, zero-width and other invisible format
/// characters, fillers, variation selectors, tags, and non-characters.
#[inline]
pub fn is_unsafe(c: char) -> bool {
    // Nearly every character is printable ASCII; one comparison settles it.
    !matches!(c, ' '..='~') && is_unsafe_elsewhere(c)
}

/// Unicode's categories Cc, Cf, Zl and Zp and its property Default_Ignorable_Code_Point, without the
/// number signs of Arabic and other scripts (Prepended_Concatenation_Mark): those are seen.
fn is_unsafe_elsewhere(c: char) -> bool {
    matches!(c,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}'
        | '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fdd0}'..='\u{fdef}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
        || (c as u32) & 0xfffe == 0xfffe
}

/// Returns whether every byte is printable ASCII (0x20 to 0x7e).
#[inline]
pub fn is_printable_ascii(bytes: &[u8]) -> bool {
    !any(bytes, |byte| !matches!(byte, 0x20..=0x7e))
}

/// Returns whether `text` may reach a terminal as it is: no character of it [`is_unsafe`].
#[inline]
pub fn is_safe(text: &str) -> bool {
    is_printable_ascii(text.as_bytes()) || !text.chars().any(is_unsafe)
}

/// Appends `text` to `out` with every unsafe character escaped: `\n`, `\r`, `\t`, `\x1b`,
/// `\u{202e}`. A backslash stays single: the escapes are for safety, not for parsing back.
#[inline]
pub fn push_safe(out: &mut Vec<u8>, text: &str) {
    // Plain printable ASCII is nearly all there is; it is copied whole.
    if is_printable_ascii(text.as_bytes()) {
        out.extend_from_slice(text.as_bytes());
    } else {
        push_safe_slowly(out, text);
    }
}

#[cold]
fn push_safe_slowly(out: &mut Vec<u8>, text: &str) {
    let mut utf8 = [0; 4];
    for c in text.chars() {
        if is_unsafe(c) {
            push_escape(out, c);
        } else {
            out.extend_from_slice(c.encode_utf8(&mut utf8).as_bytes());
        }
    }
}

/// Returns `text` with every unsafe character escaped as in [`push_safe`], for the views that
/// are not hot.
#[inline]
pub fn safe(text: &str) -> Cow<'_, str> {
    match is_safe(text) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(escaped(text)),
    }
}

#[cold]
fn escaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    push_safe_slowly(&mut out, text);
    String::from_utf8_lossy(&out).into_owned()
}

/// Returns the columns that safe text takes in a terminal: wide characters (Hangul, CJK) take
/// two.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    unicode_width::UnicodeWidthStr::width(text)
}

fn push_escape(out: &mut Vec<u8>, c: char) {
    let escape = match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if (c as u32) < 0x100 => format!("\\x{:02x}", c as u32),
        c => format!("\\u{{{:x}}}", c as u32),
    };
    out.extend_from_slice(escape.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_drive_a_terminal_is_made_visible() {
        assert_eq!(safe("a\u{1b}[31mb\nc\0"), "a\\x1b[31mb\\nc\\x00");
        assert_eq!(safe("x\u{202e}y\u{9b}z"), "x\\u{202e}y\\x9bz");
    }

    #[test]
    fn no_character_that_is_not_seen_stays() {
        for c in [
            '\u{34f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{180b}',
            '\u{200d}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{fff8}',
            '\u{13437}',
            '\u{e0041}',
            '\u{e01ef}',
        ] {
            let text = format!("a{c}b");
            assert_eq!(safe(&text), format!("a\\u{{{:x}}}b", c as u32));
        }
    }

    #[test]
    fn ordinary_text_of_any_script_stays_as_it_is() {
        // Arabic, with its number sign; Hindi; an emoji.
        for text in ["\u{600}١٢", "नमस्ते", "🌡 21°"] {
            assert_eq!(safe(text), text);
        }
        assert_eq!(safe("한동/서버 ä \\"), "한동/서버 ä \\");
        assert_eq!(width("한동"), 4);
    }
}
