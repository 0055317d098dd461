//! The layers below MQTT, a summary line each, in Wireshark's words.
//!
//! Protocols and labels come from the definitions under which [`Layer`] reports its fields.

use super::super::out::{push_hex, push_number};
use super::super::routes::push_address;
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
        lines.item(f::TCP_SOURCE.label, &Value::Number(source.port.into()));
        lines.item(
            f::TCP_DESTINATION.label,
            &Value::Number(destination.port.into()),
        );
        lines.out.push(b'\n');
    }
    lines.remark(f::TCP_STREAM.label, seen.connection.0.into());
}

/// Writes each layer as a line: `Ethernet II, Src: ..., Dst: ...`.
struct Lines<'o> {
    out: &'o mut Vec<u8>,
}

impl Lines<'_> {
    /// Appends `, Src Port: 1883`.
    fn item(&mut self, label: &str, value: &Value<'_>) {
        self.out.extend_from_slice(b", ");
        self.out.extend_from_slice(label.as_bytes());
        self.out.extend_from_slice(b": ");
        match *value {
            Value::Ether(address) => push_mac(self.out, address),
            Value::Address(address) => push_address(self.out, address),
            Value::Number(number) => push_number(self.out, number),
            _ => {}
        }
    }

    /// Appends a line in brackets: a number that stands in no header.
    fn remark(&mut self, label: &str, number: u64) {
        self.out.extend_from_slice(b"    [");
        self.out.extend_from_slice(label.as_bytes());
        self.out.extend_from_slice(b": ");
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
                self.out.extend_from_slice(b"\n    ");
                self.out.extend_from_slice(label.as_bytes());
                self.out.extend_from_slice(b": 0x0");
                push_hex(self.out, &[flags as u8]);
                push_flags(self.out, flags);
            }
            Value::Hex(number) => {
                self.out.extend_from_slice(b", ");
                self.out.extend_from_slice(label.as_bytes());
                self.out.extend_from_slice(b": 0x");
                let bytes = number.to_be_bytes();
                match field.def.kind {
                    FieldType::Uint16 => push_hex(self.out, &bytes[2..]),
                    _ => push_hex(self.out, &bytes),
                }
            }
            // Wireshark's summary line does not have them either.
            _ if *field.def == f::LINUX_COOKED_TYPE || *field.def == f::NULL_FAMILY => {}
            value => self.item(label, &value),
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
fn push_flags(out: &mut Vec<u8>, flags: u32) {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let mut before = " (";
    for (bit, name) in NAMES.iter().enumerate() {
        if flags >> bit & 1 != 0 {
            out.extend_from_slice(before.as_bytes());
            out.extend_from_slice(name.as_bytes());
            before = ", ";
        }
    }
    out.extend_from_slice(if flags == 0 { b" (<None>)" } else { b")" });
}

/// Appends `02:00:5e:10:00:01`.
fn push_mac(out: &mut Vec<u8>, address: [u8; 6]) {
    for (at, byte) in address.into_iter().enumerate() {
        if at > 0 {
            out.push(b':');
        }
        push_hex(out, &[byte]);
    }
}
