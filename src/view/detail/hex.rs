//! Bytes as Wireshark dumps them: sixteen a line, in hexadecimal and in ASCII.
//!
//! ```text
//! 0000  10 22 00 04 4d 51 54 54 04 ** ** 3c 00 00 00 0e   ."..MQTT.**<....
//! ```
//!
//! A secret's bytes are stars: their number shows, as the length field does anyway.

use std::io::{self, Write};
use std::ops::Range;

use super::super::out::{Out, push_blanks, push_hex, put};
use crate::base::field::{Field, FieldVisitor, Value};
use crate::event::PacketEvent;
use crate::mqtt::{PacketType, ProtocolVersion, fields, names_a_secret};

/// Bytes of a line.
const LINE: usize = 16;

/// The bytes that a dump does not show: passwords, unless secrets were asked for.
#[derive(Debug, Default)]
pub struct Hidden {
    /// One behind the other, as the decoder reports them.
    ranges: Vec<Range<usize>>,
    /// The name of a secret user property was the last field: its value comes next.
    expected: bool,
}

impl Hidden {
    /// Finds what to hide of this packet; nothing where secrets were asked for.
    ///
    /// Only CONNECT and packets of 5.0, which have properties, carry secrets. In a malformed
    /// CONNECT or AUTH their place is not known, so everything from the byte that stopped the
    /// decoder on is hidden; and so in a packet whose secret property is cut.
    pub fn of(seen: &PacketEvent<'_>, secrets: bool) -> Self {
        let mut hidden = Self::default();
        let secret = matches!(seen.packet_type, PacketType::Connect | PacketType::Auth);
        if (secret || seen.version == Some(ProtocolVersion::V5_0)) && !secrets {
            let read = seen.describe(&mut hidden);
            if let Err(malformed) = read
                && (secret || hidden.expected)
            {
                hidden.ranges.push(malformed.offset..usize::MAX);
            }
        }
        hidden
    }

    /// Returns whether the byte at that offset is hidden. A packet may have a million secrets.
    fn hides(&self, at: usize) -> bool {
        let next = self.ranges.partition_point(|range| range.end <= at);
        self.ranges
            .get(next)
            .is_some_and(|range| range.contains(&at))
    }
}

impl<'a> FieldVisitor<'a> for Hidden {
    fn field(&mut self, field: Field<'a>) {
        if let Value::Text(name) = field.value
            && field.def.name == fields::PROPERTY_KEY.name
        {
            self.expected = names_a_secret(name);
        }
        if let Value::Secret(bytes) = field.value {
            self.expected = false;
            // A length prefix may be counted in; the value is the end of its field.
            let end = field.offset.saturating_add(field.length);
            self.ranges.push(end.saturating_sub(bytes.len())..end);
        }
    }
    fn open(&mut self, field: Field<'a>) {
        self.field(field);
    }
    fn close(&mut self) {}
}

/// Appends the dump of `bytes` and writes the buffer out where it is full: a packet of
/// megabytes is not held as text.
///
/// # Errors
/// The output cannot be written to.
pub fn dump<W: Write>(out: &mut Out<W>, bytes: &[u8], hidden: &Hidden) -> io::Result<()> {
    let digits = if bytes.len() > 0x1_0000 { 8 } else { 4 };
    for (number, line) in bytes.chunks(LINE).enumerate() {
        push_line(out.text(), number * LINE, digits, line, hidden);
        out.row_done()?;
    }
    Ok(())
}

/// Appends one line; `digits` of its offset are shown.
fn push_line(out: &mut Vec<u8>, offset: usize, digits: usize, line: &[u8], hidden: &Hidden) {
    put(out, format_args!("{offset:0digits$x} "));
    for (at, byte) in (offset..).zip(line) {
        out.push(b' ');
        if hidden.hides(at) {
            out.extend_from_slice(b"**");
        } else {
            push_hex(out, &[*byte]);
        }
    }
    push_blanks(out, 3 * (LINE - line.len()) + 3);
    for (at, byte) in (offset..).zip(line) {
        out.push(match byte {
            _ if hidden.hides(at) => b'*',
            0x20..=0x7e => *byte,
            _ => b'.',
        });
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dumped(bytes: &[u8], hidden: &Hidden) -> String {
        let mut written = Vec::new();
        let mut out = Out::new(&mut written);
        dump(&mut out, bytes, hidden).unwrap();
        out.flush().unwrap();
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_dump_has_sixteen_bytes_a_line() {
        let bytes = b"\x10\x0c\x00\x04MQTT\x04\x02\x00<\x00\x00\x1b[m";
        assert_eq!(
            dumped(bytes, &Hidden::default()),
            "0000  10 0c 00 04 4d 51 54 54 04 02 00 3c 00 00 1b 5b   ....MQTT...<...[\n\
             0010  6d                                                m\n"
        );
    }

    #[test]
    fn hidden_bytes_are_counted_and_not_shown() {
        let hidden = Hidden {
            ranges: std::iter::once(1..3).collect(),
            ..Hidden::default()
        };
        assert_eq!(
            dumped(b"abcd", &hidden),
            "0000  61 ** ** 64                                       a**d\n"
        );
    }

    #[test]
    fn a_long_packet_has_longer_offsets() {
        let text = dumped(&vec![0; 0x1_0001], &Hidden::default());
        assert!(text.ends_with("00010000  00                                                .\n"));
    }
}
