//! How serde_json's pieces become text: what could drive a terminal is escaped, bytes are
//! hexadecimal digits.

use std::io::{self, Write};

use serde_json::ser::{CharEscape, Formatter};

use crate::base::text::{is_printable_ascii, is_unsafe};
use crate::view::out::write_hex;

/// Compact JSON that is safe to look at: beside what JSON demands, control, bidirectional and
/// invisible format characters are escaped. The values are the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Safe;

impl Formatter for Safe {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        // Plain printable ASCII is nearly all there is.
        if is_printable_ascii(fragment.as_bytes()) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_unsafe(*c)) {
            let (safe, from) = rest.split_at(at);
            writer.write_all(safe.as_bytes())?;
            write_escape(writer, c)?;
            rest = from.get(c.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
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

    /// Two lower-case hexadecimal digits a byte, in blocks: a payload may have 256 MB.
    fn write_byte_array<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        writer.write_all(b"\"")?;
        for block in bytes.chunks(BLOCK) {
            let mut digits = [0; 2 * BLOCK];
            let digits = digits.get_mut(..2 * block.len()).unwrap_or_default();
            write_hex(digits, block);
            writer.write_all(digits)?;
        }
        writer.write_all(b"\"")
    }
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
