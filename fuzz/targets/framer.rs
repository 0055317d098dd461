//! The framer: in whatever portions bytes arrive, the same packets are cut out of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::mqtt::framer::{Cut, Framer, cut};
use mqtt_inspect_fuzz::Input;

/// The packets at the front of `bytes`, and whether the end of the next one is unknown.
fn whole(mut bytes: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut packets = Vec::new();
    loop {
        match cut(bytes) {
            Cut::Whole((packet, rest)) => {
                packets.push(packet.bytes);
                bytes = rest;
            }
            Cut::Partial => return (packets, false),
            Cut::Malformed(_) => return (packets, true),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let sizes: Vec<usize> = (0..4).map(|_| usize::from(input.byte())).collect();
    let bytes = input.0;
    let (packets, broken) = whole(bytes);
    let mut framer = Framer::default();
    let mut found = Vec::new();
    let mut failed = false;
    for size in sizes.iter().cycle().take(4 * bytes.len() + 4) {
        // At least one byte in four portions.
        let mut portion = input.take((*size).max(usize::from(size == &sizes[0])));
        while let Some(packet) = framer.next(&mut portion) {
            let Ok(packet) = packet else {
                failed = true;
                break;
            };
            found.push(packet.bytes.to_vec());
        }
        if failed || input.is_empty() {
            break;
        }
    }
    assert_eq!(failed, broken);
    assert_eq!(found, packets);
});
