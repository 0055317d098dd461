//! Decodes one control packet: `cargo run --example decode_one -- 32 09 00 01 61 00 07 68 65 6c 6c`
//!
//! Prints the decoded packet, then each field with its Wireshark name and its place in the packet.

#![allow(clippy::print_stdout)]

use std::error::Error;

use mqtt_inspect::base::field::{Field, FieldVisitor, Value};
use mqtt_inspect::mqtt::{ControlPacket, ProtocolVersion};

/// Prints fields as the decoder reports them, deeper branches further to the right.
#[derive(Default)]
struct Printer {
    depth: usize,
}

impl<'a> FieldVisitor<'a> for Printer {
    fn field(&mut self, field: Field<'a>) {
        let value = match field.value {
            // Its bit fields follow, a line each.
            Value::Flags { byte, .. } => format!("{byte:#04x}"),
            value => format!("{value:?}"),
        };
        println!(
            "{:3}+{:<3} {:indent$}{} = {value}",
            field.offset,
            field.length,
            "",
            field.def.name,
            indent = 2 * self.depth
        );
    }

    fn open(&mut self, field: Field<'a>) {
        self.field(field);
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut bytes = Vec::new();
    for argument in std::env::args().skip(1) {
        bytes.push(u8::from_str_radix(&argument, 16)?);
    }
    match ControlPacket::read(&bytes, ProtocolVersion::V3_1_1, &mut Printer::default()) {
        Ok(packet) => println!("{packet:?}"),
        Err(malformed) => println!(
            "malformed at byte {}: {:?}",
            malformed.offset, malformed.rule
        ),
    }
    Ok(())
}
