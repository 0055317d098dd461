//! The layers below MQTT, a summary line each, in Wireshark's words.
//!
//! Protocols and labels come from the definitions under which [`Layer`] reports its fields.

use super::super::out::{push_all, push_hex, push_number, put};
use crate::base::field::{Field, FieldType, FieldVisitor, Value};
use crate::base::{Layer, layer_fields as f};
use crate::event::PacketEvent;

/// Appends the lines of the frame's layers; where they were not kept, of those that every
/// packet has.
pub(super) fn push(out: &mut Vec<u8>, seen: &PacketEvent<'_>) {
    let mut lines = Lines { out };
    let mut any = false;
    for layer in seen.layers.iter() {
        any = true;
        layer.report(&mut lines);
    }
    if !any {
        let (source, destination) = (*seen.source, *seen.destination);
        Layer::Ip {
            source: source.address,
            destination: destination.address,
        }
        .report(&mut lines);
        lines.out.extend_from_slice(f::TCP.label.as_bytes());
        push_number(lines.item(f::TCP_SOURCE.label), source.port.into());
        push_number(
            lines.item(f::TCP_DESTINATION.label),
            destination.port.into(),
        );
        lines.close();
    }
    lines.remark(f::TCP_STREAM.label, seen.connection.0.into());
}

/// Writes each layer as a line: `Ethernet II, Src: ..., Dst: ...`.
struct Lines<'o> {
    out: &'o mut Vec<u8>,
}

impl Lines<'_> {
    /// Appends `, Src Port: `; returns where the value goes.
    fn item(&mut self, label: &str) -> &mut Vec<u8> {
        push_all(self.out, [", ", label, ": "]);
        self.out
    }

    /// Appends a line in brackets: a number that stands in no header.
    fn remark(&mut self, label: &str, number: u64) {
        push_all(self.out, ["    [", label, ": "]);
        push_number(self.out, number);
        self.out.extend_from_slice(b"]\n");
    }
}

impl<'a> FieldVisitor<'a> for Lines<'_> {
    fn field(&mut self, field: Field<'a>) {
        let label = field.def.label;
        match field.value {
            // Of no layer but of the datagram that several frames brought.
            Value::Number(fragments) if *field.def == f::IP_FRAGMENTS => {
                self.remark(label, fragments);
            }
            Value::Hex(flags) if *field.def == f::TCP_FLAGS => {
                push_all(self.out, ["\n    ", label, ": 0x0"]);
                push_hex(self.out, &[flags as u8]);
                push_flag_names(self.out, flags);
            }
            Value::Hex(number) => {
                let out = self.item(label);
                out.extend_from_slice(b"0x");
                match field.def.kind {
                    FieldType::Uint16 => push_hex(out, &(number as u16).to_be_bytes()),
                    _ => push_hex(out, &number.to_be_bytes()),
                }
            }
            // Wireshark's summary line does not have them either.
            _ if *field.def == f::LINUX_COOKED_TYPE || *field.def == f::NULL_FAMILY => {}
            Value::Ether(address) => {
                let out = self.item(label);
                for byte in address {
                    push_hex(out, &[byte]);
                    out.push(b':');
                }
                out.pop();
            }
            Value::Address(address) => put(self.item(label), format_args!("{address}")),
            Value::Number(number) => push_number(self.item(label), number),
            _ => drop(self.item(label)),
        }
    }

    fn open(&mut self, field: Field<'a>) {
        self.out.extend_from_slice(field.def.label.as_bytes());
        if let Value::Number(version) = field.value {
            self.out.extend_from_slice(b" v");
            push_number(self.out, version);
        }
    }

    fn close(&mut self) {
        self.out.push(b'\n');
    }
}

/// Appends ` (PSH, ACK)`, from the lowest bit up as Wireshark lists them.
fn push_flag_names(out: &mut Vec<u8>, flags: u32) {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let mut before = " (";
    for (_, name) in (NAMES.iter().enumerate()).filter(|(bit, _)| flags >> bit & 1 != 0) {
        push_all(out, [before, name]);
        before = ", ";
    }
    let end = if flags == 0 { " (<None>)" } else { ")" };
    out.extend_from_slice(end.as_bytes());
}
