//! How serde_json's pieces become text: what could drive a terminal is escaped, bytes are
//! hexadecimal digits.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, Formatter};

use crate::base::text::is_unsafe;
use crate::schema::value::Text;
use crate::view::out::write_hex;

/// Compact JSON that is safe to look at: beside what JSON demands, control, bidirectional and
/// invisible format characters are escaped. The values are the same.
///
/// Keys are names of the program's own structs and need no look; what follows a key decides how
/// bytes are written. Both save a third of the instructions of `--json`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Safe {
    /// A key is being written.
    key: bool,
    /// The bytes that follow are [`Text`], no [`Hex`](crate::schema::value::Hex).
    text: bool,
}

impl Formatter for Safe {
    // A key is written in three pieces in place of five: `,"`, its name, `":`.
    #[inline]
    fn begin_object_key<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.key = true;
        writer.write_all(if first { b"\"" } else { b",\"" })
    }

    #[inline]
    fn end_object_key<W: ?Sized + Write>(&mut self, _: &mut W) -> io::Result<()> {
        self.key = false;
        Ok(())
    }

    #[inline]
    fn begin_object_value<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b"\":")
    }

    #[inline]
    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.key {
            Ok(())
        } else {
            writer.write_all(b"\"")
        }
    }

    #[inline]
    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        if self.key {
            Ok(())
        } else {
            writer.write_all(b"\"")
        }
    }

    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if self.key {
            self.text = Text::MEMBERS.contains(&fragment);
            return writer.write_all(fragment.as_bytes());
        }
        write_text(writer, fragment)
    }

    fn write_char_escape<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => write_escape(writer, '\u{8}'),
            CharEscape::FormFeed => write_escape(writer, '\u{c}'),
            CharEscape::AsciiControl(byte) => write_escape(writer, char::from(byte)),
        }
    }

    /// A decimal number of seconds: see [`Seconds::packed`](crate::schema::value::Seconds::packed).
    /// The fraction is cut (not rounded) to the digits that the capture keeps.
    fn write_i128<W: ?Sized + Write>(&mut self, writer: &mut W, packed: i128) -> io::Result<()> {
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

    /// Two lower-case hexadecimal digits a byte, in blocks: a payload may have 256 MB.
    fn write_byte_array<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        writer.write_all(b"\"")?;
        if self.text {
            let text = simdutf8::basic::from_utf8(bytes).unwrap_or_default();
            write_text(writer, text)?;
            return writer.write_all(b"\"");
        }
        for block in bytes.chunks(BLOCK) {
            let mut digits = [0; 2 * BLOCK];
            let digits = digits.get_mut(..2 * block.len()).unwrap_or_default();
            write_hex(digits, block);
            writer.write_all(digits)?;
        }
        writer.write_all(b"\"")
    }
}

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// Writes text with everything escaped that JSON or a terminal could take for more than text.
fn write_text<W: ?Sized + Write>(writer: &mut W, mut text: &str) -> io::Result<()> {
    loop {
        let (plain, rest) = text.split_at(plain_start(text.as_bytes()));
        writer.write_all(plain.as_bytes())?;
        let Some(c) = rest.chars().next() else {
            return Ok(());
        };
        match c {
            '"' => writer.write_all(b"\\\"")?,
            '\\' => writer.write_all(b"\\\\")?,
            '\n' => writer.write_all(b"\\n")?,
            '\r' => writer.write_all(b"\\r")?,
            '\t' => writer.write_all(b"\\t")?,
            c if is_unsafe(c) => write_escape(writer, c)?,
            c => writer.write_all(c.encode_utf8(&mut [0; 4]).as_bytes())?,
        }
        text = rest.get(c.len_utf8()..).unwrap_or_default();
    }
}

/// Returns how many bytes at the beginning are printable ASCII that JSON does not escape. Sixteen
/// at once without a branch: payloads are long.
fn plain_start(bytes: &[u8]) -> usize {
    let escaped = |byte: u8| !matches!(byte, 0x20..=0x7e) | (byte == b'"') | (byte == b'\\');
    let (blocks, _) = bytes.as_chunks::<16>();
    let plain = blocks
        .iter()
        .take_while(|block| !block.iter().fold(false, |any, byte| any | escaped(*byte)))
        .count();
    let rest = bytes.get(16 * plain..).unwrap_or_default();
    let more = rest.iter().position(|byte| escaped(*byte));
    16 * plain + more.unwrap_or(rest.len())
}

/// Bytes that become digits at once.
const BLOCK: usize = 256;

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
        let mut serializer = serde_json::Serializer::with_formatter(&mut out, Safe::default());
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

    #[test]
    fn bytes_are_text_under_the_keys_of_text_and_digits_under_all_others() {
        #[derive(Serialize)]
        struct Members<'a> {
            hex: Hex<'a>,
            text: Text<'a>,
            value: Hex<'a>,
            topic: Text<'a>,
            info: Text<'a>,
        }
        let (bytes, text) = (Hex(b"a\"\n"), Text("a\"\n\u{202e}한"));
        let members = Members {
            hex: bytes,
            text,
            value: bytes,
            topic: text,
            info: text,
        };
        let (digits, escaped) = ("\"61220a\"", r#""a\"\n\u202e한""#);
        assert_eq!(
            written(members),
            format!(
                "{{\"hex\":{digits},\"text\":{escaped},\"value\":{digits},\"topic\":{escaped},\"info\":{escaped}}}"
            )
        );
        assert_eq!(Text::MEMBERS, ["text", "topic", "info"]);
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
