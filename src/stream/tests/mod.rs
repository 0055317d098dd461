//! The promises of the TCP layer, by hand-made segments.

mod cases;
mod ends;
mod loss;
mod model;
mod order;
mod trouble;

use std::net::Ipv4Addr;

use super::*;
use crate::base::limits::Limits;
use crate::base::{Endpoint, FrameStamp, Layers, Precision, Timestamp};
use crate::wire::{Segment, TcpFlags};

const SYN: u8 = TcpFlags::SYN;
const ACK: u8 = TcpFlags::ACK;
const FIN: u8 = TcpFlags::FIN;
const RST: u8 = TcpFlags::RST;
const PSH: u8 = TcpFlags::PSH;

/// An event as a test compares it: bytes as text, frames by number.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Seen {
    Bytes(Direction, String, u64),
    Gap(Direction, u64, GapCause),
    Conflict(Direction, u64),
    End(Direction, End),
    /// With the frames between which it lasted, and whether to the end.
    Stalled(Direction, Stall, [u64; 2], bool),
    Closed(Closed),
}

use Direction::{Backward, Forward};

/// A segment between two ends, written short.
#[derive(Clone, Copy)]
struct Sent<'a> {
    ends: (u16, u16),
    flags: u8,
    sequence: u32,
    acknowledgement: u32,
    bytes: &'a [u8],
    cut: u32,
    window: u16,
}

const CLIENT: u16 = 40000;
const SERVER: u16 = 1883;

fn client(flags: u8, sequence: u32, acknowledgement: u32, bytes: &str) -> Sent<'_> {
    Sent {
        ends: (CLIENT, SERVER),
        flags,
        sequence,
        acknowledgement,
        bytes: bytes.as_bytes(),
        cut: 0,
        window: 1000,
    }
}

fn server(flags: u8, sequence: u32, acknowledgement: u32, bytes: &str) -> Sent<'_> {
    Sent {
        ends: (SERVER, CLIENT),
        ..client(flags, sequence, acknowledgement, bytes)
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        address: Ipv4Addr::new(10, 0, 0, 1).into(),
        port,
    }
}

fn stamp(number: u64) -> FrameStamp {
    FrameStamp {
        number,
        time: Some(Timestamp::from_nanos(number as i64 * 1000)),
        precision: Precision::Micro,
        length: 100,
        file: 0,
    }
}

/// An assembler whose listener writes down what it observes; its state counts the events.
struct Bench {
    assembler: Assembler<u32>,
    seen: Vec<(ConnectionId, Seen)>,
    connections: Vec<Connection>,
    /// The connection as it was with the latest event.
    last: Option<Connection>,
    frames: u64,
}

impl Bench {
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        Self {
            assembler: Assembler::new(limits),
            seen: Vec::new(),
            connections: Vec::new(),
            last: None,
            frames: 0,
        }
    }

    /// A connection whose client begins at 1001 and whose server begins at 5001; the first
    /// three frames are its handshake.
    fn opened() -> Self {
        let mut bench = Self::new();
        bench.open();
        bench
    }

    fn open(&mut self) {
        self.push(client(SYN, 1000, 0, ""));
        self.push(server(SYN | ACK, 5000, 1001, ""));
        self.push(client(ACK, 1001, 5001, ""));
    }

    fn push(&mut self, sent: Sent<'_>) {
        self.frames += 1;
        let layers = Layers::default();
        let segment = Segment {
            stamp: &stamp(self.frames),
            source: endpoint(sent.ends.0),
            destination: endpoint(sent.ends.1),
            sequence: sent.sequence,
            acknowledgement: sent.acknowledgement,
            flags: TcpFlags(sent.flags),
            window: sent.window,
            payload: sent.bytes,
            cut: sent.cut,
            layers: &layers,
        };
        let (seen, connections) = (&mut self.seen, &mut self.connections);
        let last = &mut self.last;
        self.assembler
            .push(&segment, &mut |state, connection, event| {
                *last = Some(*connection);
                observe(seen, connections, state, connection, event);
            });
    }

    fn finish(&mut self) {
        let (seen, connections) = (&mut self.seen, &mut self.connections);
        let last = &mut self.last;
        self.assembler
            .finish(&stamp(self.frames), &mut |state, connection, event| {
                *last = Some(*connection);
                observe(seen, connections, state, connection, event);
            });
    }

    /// Lets a frame pass by which whatever waits for others has waited long enough.
    fn wait(&mut self) {
        self.pass(1000);
    }

    /// Lets so many frames pass without a segment.
    fn pass(&mut self, frames: u64) {
        self.frames += frames;
        self.pass_at(stamp(self.frames));
    }

    /// Lets a frame pass after a second.
    fn rest(&mut self) {
        self.frames += 1;
        let FrameStamp { time, .. } = stamp(self.frames + 1_000_000);
        self.pass_at(FrameStamp {
            time,
            ..stamp(self.frames)
        });
    }

    fn pass_at(&mut self, stamp: FrameStamp) {
        let (seen, connections) = (&mut self.seen, &mut self.connections);
        let last = &mut self.last;
        self.assembler
            .pass(&stamp, &mut |state, connection, event| {
                *last = Some(*connection);
                observe(seen, connections, state, connection, event);
            });
    }

    /// Everything emitted since the last call.
    fn events(&mut self) -> Vec<Seen> {
        self.seen.drain(..).map(|(_, seen)| seen).collect()
    }
}

fn observe(
    seen: &mut Vec<(ConnectionId, Seen)>,
    connections: &mut Vec<Connection>,
    state: &mut u32,
    connection: &Connection,
    event: StreamEvent<'_>,
) {
    if *state == 0 {
        connections.push(*connection);
    }
    *state += 1;
    let event = match event {
        StreamEvent::Bytes {
            direction,
            bytes,
            stamp,
            ..
        } => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            Seen::Bytes(direction, text, stamp.number)
        }
        StreamEvent::Gap {
            direction,
            length,
            cause,
            ..
        } => Seen::Gap(direction, length, cause),
        StreamEvent::Conflict { direction, stamp } => Seen::Conflict(direction, stamp.number),
        StreamEvent::End { direction, how, .. } => Seen::End(direction, how),
        StreamEvent::Stalled {
            direction,
            stall,
            since,
            lasting,
            stamp,
        } => Seen::Stalled(direction, stall, [since.number, stamp.number], lasting),
        StreamEvent::Closed { why, .. } => Seen::Closed(why),
    };
    seen.push((connection.id, event));
}

fn bytes(direction: Direction, text: &str, frame: u64) -> Seen {
    Seen::Bytes(direction, text.to_owned(), frame)
}
