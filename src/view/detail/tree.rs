//! The tree of fields: a line for each, four blanks deeper under each branch, in Wireshark's
//! words.

use super::super::out::{push_blanks, push_hex, push_number};
use crate::base::field::{Bit, Field, FieldVisitor, Value};
use crate::base::text;
use crate::schema::readable;

/// The mark where something is cut.
const ELLIPSIS: &str = "\u{2026}";

/// Bytes of binary data that a line shows, as tshark does; `-x` shows all.
const SHOWN_BYTES: usize = 36;

/// Bytes of a payload's text that are shown; the rest is counted.
const SHOWN_TEXT: usize = 4096;

/// A visitor that writes each field as a line.
#[derive(Debug)]
pub(super) struct Tree<'o> {
    out: &'o mut Vec<u8>,
    /// Open branches, the packet's own line included.
    depth: usize,
    /// Secrets are shown.
    secrets: bool,
}

impl<'o> Tree<'o> {
    /// Makes the visitor for the fields under the packet's own line; with `secrets` passwords
    /// are shown.
    pub(super) fn new(out: &'o mut Vec<u8>, secrets: bool) -> Self {
        Self {
            out,
            depth: 1,
            secrets,
        }
    }

    fn indent(&mut self) {
        push_blanks(self.out, 4 * self.depth);
    }

    /// Appends the field's line: `Label: value`, for bit fields with the bits before it.
    fn line(&mut self, field: &Field<'_>) {
        self.indent();
        let label = field.def.label;
        if let Value::Bits { byte, mask, .. } = field.value {
            push_bits(self.out, byte, mask);
            self.out.extend_from_slice(b" = ");
        }
        self.out.extend_from_slice(label.as_bytes());
        if field.value != Value::Heading {
            self.out.extend_from_slice(b": ");
        }
        self.value(&field.value);
        self.out.push(b'\n');
        if let Value::Bytes(bytes) = field.value {
            self.decoded(bytes);
        }
    }

    /// Appends the value without a line end.
    fn value(&mut self, value: &Value<'_>) {
        let out = &mut *self.out;
        match *value {
            // Values of the layers below, which have lines of their own.
            Value::Heading | Value::Hex(_) | Value::Ether(_) | Value::Address(_) => {}
            Value::Number(number) => push_number(out, number),
            Value::Named(number, name) => {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b" (");
                push_number(out, number);
                out.push(b')');
            }
            Value::NamedHex(number, name) => {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b" (0x");
                push_hex(out, &[number]);
                out.push(b')');
            }
            Value::Flags { byte, bits } => {
                out.extend_from_slice(b"0x");
                push_hex(out, &[byte]);
                for (label, meaning) in bits.iter().filter_map(|bit: &Bit| bit.in_summary(byte)) {
                    out.extend_from_slice(b", ");
                    out.extend_from_slice(label.as_bytes());
                    if let Some(meaning) = meaning {
                        out.extend_from_slice(b": ");
                        out.extend_from_slice(meaning.as_bytes());
                    }
                }
            }
            Value::Bits { meaning, .. } => {
                out.extend_from_slice(meaning.as_bytes());
                match value.bits_number() {
                    Some(number) if meaning.is_empty() => push_number(out, number.into()),
                    Some(number) => {
                        out.extend_from_slice(b" (");
                        push_number(out, number.into());
                        out.push(b')');
                    }
                    None => {}
                }
            }
            Value::Text(text) => text::push_safe(out, text),
            Value::Bytes(bytes) => push_cut_hex(out, bytes),
            Value::Secret(bytes) if self.secrets => match readable(bytes) {
                Some(text) => text::push_safe(out, text),
                None => push_cut_hex(out, bytes),
            },
            Value::Secret(bytes) => {
                out.push(b'(');
                push_number(out, bytes.len() as u64);
                out.extend_from_slice(b" octets, not shown)");
            }
        }
    }

    /// Appends the text that bytes may be, on a line in brackets: it is no field of the packet.
    fn decoded(&mut self, bytes: &[u8]) {
        let Some(text) = readable(bytes).filter(|text| !text.is_empty()) else {
            return;
        };
        self.indent();
        self.out.extend_from_slice(b"[Text: ");
        let cut = text.floor_char_boundary(SHOWN_TEXT);
        text::push_safe(self.out, text.get(..cut).unwrap_or(text));
        if cut < text.len() {
            self.out.extend_from_slice(ELLIPSIS.as_bytes());
            self.out.extend_from_slice(b" (");
            push_number(self.out, bytes.len() as u64);
            self.out.extend_from_slice(b" octets)");
        }
        self.out.extend_from_slice(b"]\n");
    }
}

impl<'a> FieldVisitor<'a> for Tree<'_> {
    fn field(&mut self, field: Field<'a>) {
        self.line(&field);
    }
    fn open(&mut self, field: Field<'a>) {
        self.line(&field);
        self.depth += 1;
    }
    fn close(&mut self) {
        self.depth = self.depth.saturating_sub(1).max(1);
    }
}

/// Appends `.... .1..`: the bits of `mask`, a blank in the middle of the byte.
fn push_bits(out: &mut Vec<u8>, byte: u8, mask: u8) {
    for bit in (0..8).rev() {
        out.push(match (mask >> bit & 1, byte >> bit & 1) {
            (0, _) => b'.',
            (_, 0) => b'0',
            _ => b'1',
        });
        if bit == 4 {
            out.push(b' ');
        }
    }
}

/// Appends the bytes as tshark does: cut, and `<MISSING>` where there are none.
fn push_cut_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    match bytes.get(..SHOWN_BYTES) {
        Some(shown) if bytes.len() > SHOWN_BYTES => {
            push_hex(out, shown);
            out.extend_from_slice(ELLIPSIS.as_bytes());
        }
        _ if bytes.is_empty() => out.extend_from_slice(b"<MISSING>"),
        _ => push_hex(out, bytes),
    }
}
