//! TCP reassembly: a sequence of segments of a few connections. The byte at sequence number
//! n is n, so every byte that is emitted shows whether it is in its place.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mqtt_inspect::base::limits::Limits;
use mqtt_inspect::base::{Endpoint, FrameStamp, Layers};
use mqtt_inspect::stream::{Assembler, Connection, Direction, StreamEvent};
use mqtt_inspect::wire::{Segment, TcpFlags};
use mqtt_inspect_fuzz::Input;

/// The observations of a connection.
#[derive(Default)]
struct Observed {
    sides: [Side; 2],
    closed: bool,
}

#[derive(Default)]
struct Side {
    /// The byte that comes next, where that is known.
    next: Option<u8>,
    ended: bool,
}

impl Observed {
    fn observe(&mut self, _: &Connection, event: StreamEvent<'_>) -> u64 {
        assert!(!self.closed, "nothing comes after the end");
        let at = |direction| usize::from(direction == Direction::Backward);
        match event {
            StreamEvent::Bytes {
                direction, bytes, ..
            } => {
                let side = &mut self.sides[at(direction)];
                assert!(!bytes.is_empty());
                assert!(!side.ended, "bytes after the end of their direction");
                for byte in bytes {
                    if let Some(next) = side.next {
                        assert_eq!(*byte, next, "a byte out of its place");
                    }
                    side.next = Some(byte.wrapping_add(1));
                }
                return bytes.len() as u64;
            }
            StreamEvent::Gap {
                direction, length, ..
            } => {
                let side = &mut self.sides[at(direction)];
                side.next = match length {
                    0 => None,
                    length => side.next.map(|next| next.wrapping_add(length as u8)),
                };
            }
            StreamEvent::Conflict { .. } => panic!("no segment differs from another"),
            StreamEvent::End { direction, .. } => {
                let side = &mut self.sides[at(direction)];
                assert!(!side.ended, "a direction ends once");
                side.ended = true;
            }
            StreamEvent::Stalled { .. } => {}
            StreamEvent::Closed { .. } => self.closed = true,
        }
        0
    }
}

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let limits = if input.byte() & 1 == 0 {
        Limits::default()
    } else {
        Limits {
            connections: 3,
            waiting: 4096,
            waiting_all: 8192,
            closed_connections: 2,
            ..Limits::default()
        }
    };
    let mut assembler = Assembler::<Observed>::new(limits);
    let layers = Layers::default();
    let (mut captured, mut emitted) = (0, 0);
    let mut stamp = FrameStamp::default();
    // Where each of the ends of four connections would go on.
    let mut going = [[100u32, 0x7fff_ff00]; 4];
    while !input.is_empty() {
        let kind = input.byte();
        let flags = input.byte() & 0x1f;
        let shift = i32::from(input.byte() as i8);
        let length = usize::from(input.byte());
        let connection = usize::from(kind & 3);
        let sender = usize::from(kind >> 2 & 1);
        let base = going[connection][sender];
        let sequence = match kind >> 3 & 3 {
            0 | 1 => base,
            2 => base.wrapping_add_signed(shift),
            _ => base.wrapping_add_signed(shift << (kind >> 5 << 2)),
        };
        let peer = going[connection][1 - sender];
        let acknowledgement = match kind >> 5 & 3 {
            0 | 1 => peer,
            2 => peer.wrapping_add_signed(shift),
            _ => 0,
        };
        let first = sequence.wrapping_add(u32::from(flags & TcpFlags::SYN != 0));
        let payload: Vec<u8> = (0..length)
            .map(|at| (first as u8).wrapping_add(at as u8))
            .collect();
        let cut = if kind & 0xc0 == 0xc0 { 17 } else { 0 };
        let end = first.wrapping_add(length as u32 + cut);
        if kind >> 3 & 3 != 3 {
            going[connection][sender] = end.wrapping_add(u32::from(flags & TcpFlags::FIN != 0));
        }
        let ends = [
            Endpoint {
                address: [10, 0, 0, 1].into(),
                port: 1000 + connection as u16,
            },
            Endpoint {
                address: [10, 0, 0, 2].into(),
                port: 1883,
            },
        ];
        stamp.number += 1;
        captured += length as u64;
        let segment = Segment {
            stamp: &stamp,
            source: ends[sender],
            destination: ends[1 - sender],
            sequence,
            acknowledgement,
            flags: TcpFlags(flags),
            window: 0,
            payload: &payload,
            cut,
            layers: &layers,
        };
        assembler.push(
            &segment,
            &mut |observed: &mut Observed, connection, event| {
                emitted += observed.observe(connection, event);
            },
        );
    }
    assembler.finish(&stamp, &mut |observed: &mut Observed, connection, event| {
        emitted += observed.observe(connection, event);
    });
    let counts = assembler.counts();
    let lost = counts.repeated_bytes + counts.unplaced_bytes + counts.after_end_bytes;
    assert_eq!(counts.bytes, emitted);
    assert_eq!(emitted + lost, captured, "{counts:?}");
});
