//! The cost of the TCP layer for a segment: `cargo bench --bench stream`.
//!
//! Nothing is asserted here; the listener counts bytes, so that no work can be left out.

use std::net::Ipv4Addr;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use mqtt_inspect::base::{Endpoint, FrameStamp, Layers};
use mqtt_inspect::stream::{Assembler, StreamEvent};
use mqtt_inspect::wire::{Segment, TcpFlags};

/// Segments of one run.
const SEGMENTS: usize = 1 << 20;

fn main() {
    divan::main();
}

/// A segment without its payload: which connection, and where.
struct Place {
    source: Endpoint,
    destination: Endpoint,
    sequence: u32,
    flags: u8,
}

fn endpoint(client: u32) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::from_bits(0x0a00_0000 + client).into(),
        port: 40000,
    }
}

fn server() -> Endpoint {
    Endpoint {
        address: Ipv4Addr::new(192, 0, 2, 1).into(),
        port: 1883,
    }
}

/// Connections talk in turn. Of each `swap` segments of a connection, two come in the wrong
/// order; 0 leaves all in order.
fn traffic(connections: usize, size: usize, swap: usize) -> Vec<Place> {
    let rounds = SEGMENTS / connections;
    let mut places = Vec::with_capacity(SEGMENTS + connections);
    for client in 0..connections as u32 {
        // The answer to a SYN bases both directions.
        places.push(Place {
            source: server(),
            destination: endpoint(client),
            sequence: u32::MAX,
            flags: TcpFlags::SYN | TcpFlags::ACK,
        });
    }
    for round in 0..rounds {
        let turn = match round.checked_rem(swap) {
            Some(1) if round + 1 < rounds => round + 1,
            Some(2) => round - 1,
            _ => round,
        };
        for client in 0..connections as u32 {
            places.push(Place {
                source: endpoint(client),
                destination: server(),
                sequence: (turn * size) as u32,
                flags: TcpFlags::ACK,
            });
        }
    }
    places
}

/// State of about the size that a listener keeps.
#[derive(Default)]
struct State {
    bytes: u64,
    _rest: [u64; 24],
}

fn run(places: &[Place], payload: &[u8]) -> u64 {
    let mut assembler = Assembler::<State>::default();
    let layers = Layers::default();
    let mut total = 0;
    let mut count = |state: &mut State, _: &_, event: StreamEvent<'_>| {
        if let StreamEvent::Bytes { bytes, .. } = event {
            state.bytes += bytes.len() as u64;
            total += bytes.len() as u64;
        }
    };
    for (number, place) in (1..).zip(places) {
        let stamp = FrameStamp {
            number,
            ..FrameStamp::default()
        };
        let segment = Segment {
            stamp: &stamp,
            source: place.source,
            destination: place.destination,
            sequence: place.sequence,
            acknowledgement: 0,
            flags: TcpFlags(place.flags),
            window: 1000,
            payload: if place.flags == TcpFlags::ACK {
                payload
            } else {
                &[]
            },
            cut: 0,
            layers: &layers,
        };
        assembler.push(black_box(&segment), &mut count);
    }
    assembler.finish(&FrameStamp::default(), &mut count);
    total
}

#[divan::bench(sample_count = 20, args = [1, 200, 10_000, 100_000])]
fn in_order(bencher: Bencher<'_, '_>, connections: usize) {
    let places = traffic(connections, 200, 0);
    let payload = [7; 200];
    bencher
        .counter(ItemsCount::new(places.len()))
        .bench(|| run(&places, &payload));
}

#[divan::bench(sample_count = 20, args = [20, 5])]
fn two_of_so_many_swapped(bencher: Bencher<'_, '_>, swap: usize) {
    let places = traffic(200, 200, swap);
    let payload = [7; 200];
    bencher
        .counter(ItemsCount::new(places.len()))
        .bench(|| run(&places, &payload));
}
