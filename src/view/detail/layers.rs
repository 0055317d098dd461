//! The layers below MQTT, a summary line each, in Wireshark's words.
//!
//! Protocols and labels come from the definitions under which [`Layer`] reports its fields.

use std::fmt::Display;

use super::super::out::put;
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
        lines.item(f::TCP_SOURCE.label, source.port);
        lines.item(f::TCP_DESTINATION.label, destination.port);
        lines.close();
    }
    lines.remark(f::TCP_STREAM.label, seen.connection.0.into());
}

/// Writes each layer as a line: `Ethernet II, Src: ..., Dst: ...`.
struct Lines<'o> {
    out: &'o mut Vec<u8>,
}

impl Lines<'_> {
    /// Appends `, Src Port: 1883`.
    fn item(&mut self, label: &str, value: impl Display) {
        put(self.out, format_args!(", {label}: {value}"));
    }

    /// Appends a line in brackets: a number that stands in no header.
    fn remark(&mut self, label: &str, number: u64) {
        put(self.out, format_args!("    [{label}: {number}]\n"));
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
                let (byte, names) = (flags as u8, flag_names(flags));
                let text = format_args!("\n    {label}: 0x0{byte:02x} ({names})");
                put(self.out, text);
            }
            Value::Hex(number) => match field.def.kind {
                FieldType::Uint16 => self.item(label, format_args!("0x{:04x}", number as u16)),
                _ => self.item(label, format_args!("0x{number:08x}")),
            },
            // Wireshark's summary line does not have them either.
            _ if *field.def == f::LINUX_COOKED_TYPE || *field.def == f::NULL_FAMILY => {}
            Value::Ether([a, b, c, d, e, f]) => {
                let address = format_args!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}");
                self.item(label, address);
            }
            Value::Address(address) => self.item(label, address),
            Value::Number(number) => self.item(label, number),
            _ => self.item(label, ""),
        }
    }

    fn open(&mut self, field: Field<'a>) {
        self.out.extend_from_slice(field.def.label.as_bytes());
        if let Value::Number(version) = field.value {
            put(self.out, format_args!(" v{version}"));
        }
    }

    fn close(&mut self) {
        self.out.push(b'\n');
    }
}

/// Returns `PSH, ACK`, from the lowest bit up as Wireshark lists them.
fn flag_names(flags: u32) -> String {
    const NAMES: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];
    let set = NAMES.iter().enumerate();
    let set = set.filter(|(bit, _)| flags >> bit & 1 != 0);
    match flags {
        0 => "<None>".to_owned(),
        _ => set.map(|(_, name)| *name).collect::<Vec<_>>().join(", "),
    }
}
