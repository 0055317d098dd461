//! The tree of fields: a line for each, four blanks deeper under each branch, in Wireshark's
//! words.

use super::super::json::readable;
use super::super::out::{push_blanks, push_hex, push_number};
use crate::base::field::{Bit, Field, Fields, Value};
use crate::base::text;

/// Stands where something is cut.
const ELLIPSIS: &str = "\u{2026}";

/// Octets of binary data that a line shows, as tshark does; `-x` shows all.
const SHOWN_OCTETS: usize = 36;

/// Octets of a payload's text that are shown; the rest is counted.
const SHOWN_TEXT: usize = 4096;

/// Writes the fields that it hears.
#[derive(Debug)]
pub(super) struct Tree<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
    secrets: bool,
}

impl<'o> Tree<'o> {
    /// Under the packet's own line. `secrets`: passwords in clear.
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

    fn line(&mut self, field: &Field<'_>) {
        self.indent();
        let label = field.def.label;
        if let Value::Bits { octet, mask, .. } = field.value {
            push_bits(self.out, octet, mask);
            self.out.extend_from_slice(b" = ");
        }
        self.out.extend_from_slice(label.as_bytes());
        if field.value != Value::Heading {
            self.out.extend_from_slice(b": ");
        }
        self.value(&field.value);
        self.out.push(b'\n');
        if let Value::Octets(octets) = field.value {
            self.decoded(octets);
        }
    }

    fn value(&mut self, value: &Value<'_>) {
        let out = &mut *self.out;
        match *value {
            Value::Heading => {}
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
            Value::Flags { octet, bits } => {
                out.extend_from_slice(b"0x");
                push_hex(out, &[octet]);
                for (label, meaning) in bits.iter().filter_map(|bit: &Bit| bit.told(octet)) {
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
            Value::Octets(octets) => push_cut_hex(out, octets),
            Value::Secret(octets) if self.secrets => match readable(octets) {
                Some(text) => text::push_safe(out, text),
                None => push_cut_hex(out, octets),
            },
            Value::Secret(octets) => {
                out.push(b'(');
                push_number(out, octets.len() as u64);
                out.extend_from_slice(b" octets, not shown)");
            }
            Value::Pair(name, value) => {
                text::push_safe(out, name);
                out.extend_from_slice(b": ");
                text::push_safe(out, value);
            }
        }
    }

    /// The text that octets are, on a line that says it was not on the wire so.
    fn decoded(&mut self, octets: &[u8]) {
        let Some(text) = readable(octets).filter(|text| !text.is_empty()) else {
            return;
        };
        self.indent();
        self.out.extend_from_slice(b"[Text: ");
        let cut = text.floor_char_boundary(SHOWN_TEXT);
        text::push_safe(self.out, text.get(..cut).unwrap_or(text));
        if cut < text.len() {
            self.out.extend_from_slice(ELLIPSIS.as_bytes());
            self.out.extend_from_slice(b" (");
            push_number(self.out, octets.len() as u64);
            self.out.extend_from_slice(b" octets)");
        }
        self.out.extend_from_slice(b"]\n");
    }
}

impl<'a> Fields<'a> for Tree<'_> {
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

/// Appends `.... .1..`: the bits of `mask`, a blank in the middle of the octet.
fn push_bits(out: &mut Vec<u8>, octet: u8, mask: u8) {
    for bit in (0..8).rev() {
        out.push(match (mask >> bit & 1, octet >> bit & 1) {
            (0, _) => b'.',
            (_, 0) => b'0',
            _ => b'1',
        });
        if bit == 4 {
            out.push(b' ');
        }
    }
}

/// Appends the octets as tshark does: cut, and `<MISSING>` where there are none.
fn push_cut_hex(out: &mut Vec<u8>, octets: &[u8]) {
    match octets.get(..SHOWN_OCTETS) {
        Some(shown) if octets.len() > SHOWN_OCTETS => {
            push_hex(out, shown);
            out.extend_from_slice(ELLIPSIS.as_bytes());
        }
        _ if octets.is_empty() => out.extend_from_slice(b"<MISSING>"),
        _ => push_hex(out, octets),
    }
}
