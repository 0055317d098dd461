//! How serde_json's pieces become text: what could drive a terminal is escaped, bytes are
//! hexadecimal digits.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, Formatter};

use crate::base::scan::{BLOCK, any, blocks_without};
use crate::base::text::{is_printable_ascii, is_unsafe};
use crate::view::out;

/// Compact JSON that is safe to look at: beside what JSON demands, control, bidirectional and
/// invisible format characters are escaped. The values are the same.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        write_text(writer, fragment)
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        write_char(
            writer,
            match escape {
                CharEscape::Quote => '"',
                CharEscape::ReverseSolidus => '\\',
                CharEscape::Solidus => '/',
                CharEscape::LineFeed => '\n',
                CharEscape::CarriageReturn => '\r',
                CharEscape::Tab => '\t',
                CharEscape::Backspace => '\u{8}',
                CharEscape::FormFeed => '\u{c}',
                CharEscape::AsciiControl(byte) => char::from(byte),
            },
        )
    }

    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, packed: i128) -> io::Result<()> {
        write_seconds(writer, packed)
    }

    fn write_byte_array<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        writer.write_all(b"\"")?;
        write_hex(writer, bytes)?;
        writer.write_all(b"\"")
    }
}

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// Writes a decimal number of seconds: see [`Seconds::packed`](crate::schema::value::Seconds::packed).
/// The fraction is cut (not rounded) to the digits that the capture keeps.
pub(super) fn write_seconds<W: ?Sized + Write>(writer: &mut W, packed: i128) -> io::Result<()> {
    let (nanos, nano) = (packed >> 1, packed & 1 == 1);
    if nanos < 0 {
        writer.write_all(b"-")?;
    }
    let magnitude = nanos.unsigned_abs() as u64;
    let (whole, fraction) = (magnitude / NANOS, magnitude % NANOS);
    writer.write_all(itoa::Buffer::new().format(whole).as_bytes())?;
    // Nine digits behind a one that becomes the point: their leading zeros are there.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(NANOS + fraction).as_bytes();
    let shown = if nano { 1..10 } else { 1..7 };
    writer.write_all(b".")?;
    writer.write_all(digits.get(shown).unwrap_or_default())
}

/// Bytes that become digits at once.
const HEX_BLOCK: usize = 256;

/// Writes two lower-case hexadecimal digits a byte, in blocks: a payload may have 256 MB.
pub(super) fn write_hex<W: ?Sized + Write>(writer: &mut W, bytes: &[u8]) -> io::Result<()> {
    for block in bytes.chunks(HEX_BLOCK) {
        let mut digits = [0; 2 * HEX_BLOCK];
        let digits = digits.get_mut(..2 * block.len()).unwrap_or_default();
        out::write_hex(digits, block);
        writer.write_all(digits)?;
    }
    Ok(())
}

/// Writes text with everything escaped that JSON or a terminal could take for more than text.
#[inline]
pub(super) fn write_text<W: ?Sized + Write>(writer: &mut W, text: &str) -> io::Result<()> {
    if any(text.as_bytes(), is_escaped) {
        write_escaped(writer, text)
    } else {
        writer.write_all(text.as_bytes())
    }
}

/// Returns whether a byte of text needs a closer look: all that is not printable ASCII does.
pub(super) fn is_escaped(byte: u8) -> bool {
    !matches!(byte, 0x20..=0x7e) | (byte == b'"') | (byte == b'\\')
}

/// The same, for text that has something to escape.
fn write_escaped<W: ?Sized + Write>(writer: &mut W, mut text: &str) -> io::Result<()> {
    while !text.is_empty() {
        let (plain, rest) = text.split_at(blocks_without(text.as_bytes(), is_escaped));
        writer.write_all(plain.as_bytes())?;
        let (block, rest) = rest.split_at(rest.ceil_char_boundary(BLOCK));
        if is_printable_ascii(block.as_bytes()) {
            write_quoted(writer, block.as_bytes())?;
        } else {
            block.chars().try_for_each(|c| write_char(writer, c))?;
        }
        text = rest;
    }
    Ok(())
}

/// Writes a block of printable ASCII with a backslash before each quote and backslash: JSON in a
/// payload is full of them.
fn write_quoted<W: ?Sized + Write>(writer: &mut W, block: &[u8]) -> io::Result<()> {
    let mut quoted = [b'\\'; 2 * BLOCK];
    let mut length = 0;
    for byte in block {
        length += usize::from(matches!(byte, b'"' | b'\\'));
        quoted[length % (2 * BLOCK)] = *byte;
        length += 1;
    }
    writer.write_all(quoted.get(..length).unwrap_or_default())
}

/// Writes one character, escaped where it must be.
fn write_char<W: ?Sized + Write>(writer: &mut W, c: char) -> io::Result<()> {
    match c {
        '"' => writer.write_all(b"\\\""),
        '\\' => writer.write_all(b"\\\\"),
        '\n' => writer.write_all(b"\\n"),
        '\r' => writer.write_all(b"\\r"),
        '\t' => writer.write_all(b"\\t"),
        c if is_unsafe(c) => write_escape(writer, c),
        c => writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes()),
    }
}

/// Writes `\u202e`, or two of them where the character is above U+FFFF.
fn write_escape<W: ?Sized + Write>(writer: &mut W, c: char) -> io::Result<()> {
    for unit in c.encode_utf16(&mut [0; 2]) {
        write!(writer, "\\u{unit:04x}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::text;
    use crate::schema::value::Hex;
    use proptest::prelude::*;
    use serde::Serialize;

    fn written(value: impl Serialize) -> String {
        let mut out = Vec::new();
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Safe);
        value.serialize(&mut serializer).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn control_and_bidirectional_characters_are_escaped_as_four_digits() {
        assert_eq!(
            written("a\"\\\n\r\t/\u{8}\u{c}\u{1b}\u{7f}\u{9b}\u{202e}\u{e0001}한"),
            r#""a\"\\\n\r\t/\u0008\u000c\u001b\u007f\u009b\u202e\udb40\udc01한""#
        );
    }

    #[test]
    fn bytes_of_any_number_are_two_digits_each() {
        for length in [0, 1, 31, 32, 255, 256, 257, 1_000] {
            let bytes: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(written(Hex(&bytes)), format!("\"{digits}\""));
        }
    }

    proptest! {
        #[test]
        fn any_text_comes_back_the_same_and_is_safe_to_look_at(text in "(?s).{0,40}", plain in "[ -~]{0,20}") {
            for text in [text.clone(), plain + &text] {
                let written = written(&text);
                prop_assert!(!written.chars().any(text::is_unsafe));
                prop_assert_eq!(serde_json::from_str::<String>(&written).unwrap(), text);
            }
        }
    }
}
