//! The tree of fields: a line for each, four blanks deeper under each branch, in Wireshark's
//! words.

use std::io::{self, Write};

use super::super::out::{Out, push_all, push_blanks, push_hex, push_number, put};
use crate::base::field::{Bit, Field, FieldVisitor, Value};
use crate::base::text;
use crate::schema::readable;

/// The mark where something is cut.
const ELLIPSIS: &str = "\u{2026}";

/// Bytes of binary data that a line shows, as tshark does; `-x` shows all.
const SHOWN_BYTES: usize = 36;

/// Bytes of a payload's text that are shown; the rest is counted.
const SHOWN_TEXT: usize = 4096;

/// A visitor that writes each field as a line. A packet of megabytes has many times as many bytes of
/// lines: they are handed on one by one.
#[derive(Debug)]
pub(super) struct Tree<'o, W: Write> {
    out: &'o mut Out<W>,
    /// Whether the lines could be handed on.
    written: io::Result<()>,
    /// Open branches, the packet's own line included.
    depth: usize,
    /// Secrets are shown.
    secrets: bool,
}

impl<'o, W: Write> Tree<'o, W> {
    /// Makes the visitor for the fields under the packet's own line; with `secrets` passwords
    /// are shown.
    pub(super) fn new(out: &'o mut Out<W>, secrets: bool) -> Self {
        Self {
            out,
            written: Ok(()),
            depth: 1,
            secrets,
        }
    }

    /// Returns whether all lines could be handed on.
    ///
    /// # Errors
    /// The output cannot be written to.
    pub(super) fn finish(self) -> io::Result<()> {
        self.written
    }

    /// Appends the field's line: `Label: value`, for bit fields with the bits before it.
    fn line(&mut self, field: &Field<'_>) {
        if self.written.is_err() {
            return;
        }
        let out = self.out.text();
        push_blanks(out, 4 * self.depth);
        if let Value::Bits { byte, mask, .. } = field.value {
            out.extend_from_slice(&bits(byte, mask));
            out.extend_from_slice(b" = ");
        }
        out.extend_from_slice(field.def.label.as_bytes());
        if field.value != Value::Heading {
            out.extend_from_slice(b": ");
        }
        self.value(&field.value);
        self.out.text().push(b'\n');
        if let Value::Bytes(bytes) = field.value {
            self.decoded(bytes);
        }
        self.written = self.out.row_done();
    }

    /// Appends the value without a line end.
    fn value(&mut self, value: &Value<'_>) {
        let out = self.out.text();
        match *value {
            // Values of the layers below, which have lines of their own.
            Value::Heading | Value::Hex(_) | Value::Ether(_) | Value::Address(_) => {}
            Value::Number(number) => push_number(out, number),
            Value::Named(number, name) => push_named(out, name, number),
            Value::NamedHex(number, name) => {
                push_all(out, [name, " (0x"]);
                push_hex(out, &[number]);
                out.push(b')');
            }
            Value::Flags { byte, bits } => {
                out.extend_from_slice(b"0x");
                push_hex(out, &[byte]);
                for (label, meaning) in bits.iter().filter_map(|bit: &Bit| bit.in_summary(byte)) {
                    match meaning {
                        Some(meaning) => push_all(out, [", ", label, ": ", meaning]),
                        None => push_all(out, [", ", label]),
                    }
                }
            }
            Value::Bits { meaning, .. } => match value.bits_number() {
                None => out.extend_from_slice(meaning.as_bytes()),
                Some(number) if meaning.is_empty() => push_number(out, number.into()),
                Some(number) => push_named(out, meaning, number.into()),
            },
            Value::Text(text) => text::push_safe(out, text),
            Value::Bytes(bytes) => push_cut_hex(out, bytes),
            Value::Secret(bytes) if self.secrets => match readable(bytes) {
                Some(text) => text::push_safe(out, text),
                None => push_cut_hex(out, bytes),
            },
            Value::Secret(bytes) => {
                put(out, format_args!("({} octets, not shown)", bytes.len()));
            }
        }
    }

    /// Appends the text that bytes may be, on a line in brackets: it is no field of the packet.
    fn decoded(&mut self, bytes: &[u8]) {
        let Some(text) = readable(bytes).filter(|text| !text.is_empty()) else {
            return;
        };
        let (shown, rest) = text.split_at(text.floor_char_boundary(SHOWN_TEXT));
        let out = self.out.text();
        push_blanks(out, 4 * self.depth);
        out.extend_from_slice(b"[Text: ");
        text::push_safe(out, shown);
        if !rest.is_empty() {
            put(out, format_args!("{ELLIPSIS} ({} octets)", bytes.len()));
        }
        out.extend_from_slice(b"]\n");
    }
}

impl<'a, W: Write> FieldVisitor<'a> for Tree<'_, W> {
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

/// Appends `Success (0)`.
fn push_named(out: &mut Vec<u8>, name: &str, number: u64) {
    push_all(out, [name, " ("]);
    push_number(out, number);
    out.push(b')');
}

/// Returns `.... .1..`: the bits of `mask`, a blank in the middle of the byte.
fn bits(byte: u8, mask: u8) -> [u8; 9] {
    let mut text = *b".... ....";
    let places = [0, 1, 2, 3, 5, 6, 7, 8];
    for (bit, place) in (0..8).rev().zip(places) {
        if mask >> bit & 1 != 0 {
            text[place] = b'0' + (byte >> bit & 1);
        }
    }
    text
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
