//! Payloads, the same members wherever one stands.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::value::Hex;
use crate::base::scan::any;
use crate::event;

/// The payload of a PUBLISH or a Will Message, or a password where secrets are shown.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Payload<'a> {
    /// The number of bytes of the whole payload.
    pub length: u64,
    /// The bytes, two hexadecimal digits each: all of them, or the first `kept`.
    pub hex: Hex<'a>,
    /// How many bytes from its beginning `hex` and `text` stand for, where that is less than
    /// `length`: handshakes, wills and stored messages keep the first 48 bytes of a payload, and of
    /// one that the snapshot length cut there is what was captured.
    pub kept: Option<u64>,
    /// The same bytes as text, where they are well-formed UTF-8 without control characters
    /// other than tab and line ends.
    pub text: Option<&'a str>,
}

impl<'a> Payload<'a> {
    /// A payload of which all bytes are at hand.
    pub fn whole(bytes: &'a [u8]) -> Self {
        Self::cut(bytes, 0)
    }

    /// A payload whose last `missing` bytes were not captured.
    #[inline]
    pub fn cut(bytes: &'a [u8], missing: u64) -> Self {
        let length = bytes.len() as u64;
        Self {
            length: length + missing,
            hex: Hex(bytes),
            kept: (missing > 0).then_some(length),
            text: readable(bytes),
        }
    }
}

impl<'a> From<&'a event::Payload> for Payload<'a> {
    fn from(payload: &'a event::Payload) -> Self {
        let head = payload.head();
        // A character that the cut goes through is left out of the text.
        let text = payload.text().and_then(|text| readable(text.as_bytes()));
        Self {
            length: payload.length,
            hex: Hex(head),
            kept: payload.is_cut().then_some(head.len() as u64),
            text,
        }
    }
}

/// Returns the bytes as text, where they are well-formed UTF-8 without control characters other
/// than tab and line ends.
pub fn readable(bytes: &[u8]) -> Option<&str> {
    // Binary payloads are full of control characters: this ends sooner than looking for UTF-8.
    let is_control = |byte: u8| {
        (byte < 0x20) & (byte != b'\t') & (byte != b'\n') & (byte != b'\r') | (byte == 0x7f)
    };
    if any(bytes, is_control) {
        return None;
    }
    let text = simdutf8::basic::from_utf8(bytes).ok()?;
    // The control characters above ASCII, U+0080 to U+009F, begin with a byte that is rare.
    let above = memchr::memchr_iter(0xc2, bytes)
        .any(|at| bytes.get(at + 1).is_some_and(|next| *next < 0xa0));
    (!above).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::readable;

    #[test]
    fn text_is_given_only_where_it_can_be_read() {
        for (payload, text) in [
            (b"a\tb\r\n".as_slice(), Some("a\tb\r\n")),
            ("한동".as_bytes(), Some("한동")),
            (b"\x1b[31m", None),
            (b"\xff", None),
            (b"\xc2\x85", None),
            (b"", Some("")),
        ] {
            assert_eq!(readable(payload), text);
        }
    }
}
