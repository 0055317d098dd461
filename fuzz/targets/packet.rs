//! Every packet decoder in every version: reading is the same with a visitor and without, every field
//! lies within the packet, and what is written of what was read can be read and written again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::base::field::{Field, FieldVisitor};
use mqtt_inspect::mqtt::{ControlPacket, ProtocolVersion};

/// Visits every field and checks its place.
struct Listener {
    length: usize,
    depth: usize,
    fields: usize,
}

impl Listener {
    fn check(&mut self, field: &Field<'_>) {
        self.fields += 1;
        let end = field.offset.checked_add(field.length);
        assert!(end.is_some_and(|end| end <= self.length), "{field:?}");
    }
}

impl<'a> FieldVisitor<'a> for Listener {
    fn field(&mut self, field: Field<'a>) {
        self.check(&field);
    }
    fn open(&mut self, field: Field<'a>) {
        self.check(&field);
        self.depth += 1;
    }
    fn close(&mut self) {
        assert!(self.depth > 0, "what is closed was opened");
        self.depth -= 1;
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((version, bytes)) = data.split_first() else {
        return;
    };
    let version = match version % 3 {
        0 => ProtocolVersion::V3_1,
        1 => ProtocolVersion::V3_1_1,
        _ => ProtocolVersion::V5_0,
    };
    let read = ControlPacket::read(bytes, version, &mut ());
    let mut listener = Listener {
        length: bytes.len(),
        depth: 0,
        fields: 0,
    };
    let visited = ControlPacket::read(bytes, version, &mut listener);
    assert_eq!(read, visited);
    match read {
        Ok(packet) => {
            assert_eq!(listener.depth, 0, "what is opened is closed");
            let version = match &packet {
                ControlPacket::Connect(connect) => connect.version().unwrap_or(version),
                _ => version,
            };
            let mut written = Vec::new();
            if packet.write(version, &mut written).is_ok() {
                // Not every bit that a reader ignores is written, but what is written stays.
                let again = ControlPacket::read(&written, version, &mut ());
                let again = again.expect("what is written can be read");
                let mut twice = Vec::new();
                assert_eq!(again.write(version, &mut twice), Ok(()));
                assert_eq!(twice, written);
            }
        }
        Err(malformed) => assert!(malformed.offset <= bytes.len()),
    }
});
