//! Recognition, framing, gaps: what the streams of one connection bring ends in exactly one
//! count, and nothing is held when it is over.

#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::base::{Endpoint, FrameStamp, Layers};
use mqtt_inspect::connection::{Context, Decoder, DecodingOptions};
use mqtt_inspect::event::Event;
use mqtt_inspect::stream::{
    Closed, Connection, ConnectionId, Direction, End, GapCause, StreamEvent,
};
use mqtt_inspect_fuzz::Input;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let setting = input.byte();
    let mut options = DecodingOptions::default();
    if setting & 1 != 0 {
        options.limits.held = 200;
    }
    let port = if setting & 2 == 0 { 1883 } else { 12345 };
    if setting & 12 == 12 {
        options.decode_as.push(port);
    }
    let mut context = Context::new(options);
    let mut decoder = Decoder::default();
    let end = |host: u8, port| Endpoint {
        address: [10, 0, 0, host].into(),
        port,
    };
    let connection = Connection {
        id: ConnectionId(0),
        initiator: end(1, 40_000),
        responder: end(2, port),
        handshake_seen: setting & 16 == 0,
        both_seen: true,
    };
    let mut places = HashSet::new();
    let (mut packets, mut bytes_seen, mut open) = (0, 0, false);
    let mut emit = |event: &Event<'_>| match event {
        Event::Opened(_) => {
            assert!(!open, "a connection is opened once");
            open = true;
        }
        Event::Packet(packet) => {
            assert!(open, "a packet comes after its connection");
            assert!(!packet.bytes.is_empty());
            assert!(packet.frames.contains(&packet.stamp.number));
            assert!(places.insert((packet.stamp.number, packet.index)));
            packets += 1;
            bytes_seen += packet.bytes.len() as u64;
        }
        Event::Gap(_) | Event::Ended(_) => assert!(open),
        _ => {}
    };
    let layers = Layers::default();
    let mut stamp = FrameStamp::default();
    while !input.is_empty() {
        let kind = input.byte();
        stamp.number += 1;
        let direction = if kind & 1 == 0 {
            Direction::Forward
        } else {
            Direction::Backward
        };
        let event = match kind >> 1 & 15 {
            0 => StreamEvent::Gap {
                direction,
                length: u64::from(input.byte()),
                cause: GapCause::NotCaptured,
                stamp: &stamp,
            },
            1 if kind >> 5 == 7 => StreamEvent::End {
                direction,
                how: End::Fin,
                stamp: &stamp,
            },
            long => {
                let length = usize::from(input.byte()) << (long & 1);
                let bytes = input.take(length.max(1));
                if bytes.is_empty() {
                    continue;
                }
                StreamEvent::Bytes {
                    direction,
                    bytes,
                    stamp: &stamp,
                    layers: &layers,
                }
            }
        };
        decoder.on(&mut context, &connection, event, &mut emit);
    }
    let closed = StreamEvent::Closed {
        why: Closed::CaptureEnd,
        stamp: &stamp,
    };
    decoder.on(&mut context, &connection, closed, &mut emit);
    let counters = context.counters;
    assert_eq!(context.held(), 0);
    assert_eq!(counters.packets, packets);
    assert_eq!(counters.in_packets, bytes_seen);
    let frames: HashSet<u64> = places.iter().map(|(frame, _)| *frame).collect();
    assert_eq!(counters.frames, frames.len() as u64);
    let sum = counters.in_packets
        + counters.discarded
        + counters.over_cap
        + counters.given_up
        + counters.not_mqtt
        + counters.incomplete
        + counters.wrapped;
    assert_eq!(sum, counters.bytes, "{counters:?}");
});
