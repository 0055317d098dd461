//! Link layers, tunnels, IP, fragments, TCP headers: a sequence of frames gives the same
//! segments whether anybody asks for the layers or not, and every frame is counted.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::base::{FrameStamp, Timestamp};
use mqtt_inspect::capture::{Frame, LinkType};
use mqtt_inspect::wire::{Dissected, Dissector, DissectorOptions, LINK_TYPES, Segment};
use mqtt_inspect_fuzz::Input;

fn parts(segment: &Segment<'_>) -> impl PartialEq + std::fmt::Debug {
    (
        (segment.source, segment.destination),
        (segment.sequence, segment.acknowledgement),
        (segment.flags, segment.window, segment.cut),
        segment.payload.to_vec(),
    )
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let mut plain = Dissector::new(DissectorOptions::default());
    let mut asked = Dissector::new(DissectorOptions {
        layers: true,
        ..DissectorOptions::default()
    });
    let mut number = 0;
    while !input.is_empty() {
        let kind = input.byte();
        let link_type = LINK_TYPES[usize::from(kind & 0x0f) % LINK_TYPES.len()];
        let cut = if kind & 0x10 == 0 { 0 } else { input.byte() };
        let length = usize::from(input.pair()) % 2048;
        let bytes = input.take(length);
        number += 1;
        let frame = Frame {
            stamp: FrameStamp {
                number,
                length: bytes.len() as u32 + u32::from(cut),
                time: Some(Timestamp::from_nanos(number as i64 * 1_000_000_000)),
                ..FrameStamp::default()
            },
            link_type: LinkType(link_type),
            bytes,
        };
        let found = plain.dissect(&frame);
        let again = asked.dissect(&frame);
        match (&found, &again) {
            (Ok(Dissected::Segment(found)), Ok(Dissected::Segment(again))) => {
                assert_eq!(parts(found), parts(again));
                assert!(again.layers.iter().count() > 0);
            }
            (Ok(Dissected::Datagram(found)), Ok(Dissected::Datagram(again))) => {
                assert_eq!(found.source, again.source);
                assert_eq!(found.destination, again.destination);
                assert_eq!((found.payload, found.cut), (again.payload, again.cut));
                assert!(again.layers.iter().count() > 0);
            }
            (Err(found), Err(again)) => assert_eq!(found, again),
            _ => panic!("{found:?} but {again:?}"),
        }
    }
    let tally = plain.tally();
    let skipped: u64 = tally.skipped.values().sum();
    assert_eq!(tally.frames, number);
    assert_eq!(tally.segments + skipped + tally.others, number);
});
