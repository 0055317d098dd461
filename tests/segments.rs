//! However a connection's bytes are cut, shuffled, repeated or overlapped, the whole
//! pipeline gives the same packets, each in the frame that carried its last byte first.

use std::io;

use mqtt_inspect::event::{Event, Totals};
use mqtt_inspect::inspect::{self, Options};
use mqtt_inspect::mqtt::Sender;
use mqtt_inspect::stream::Direction;
use mqtt_inspect::view::View;
use proptest::collection::vec;
use proptest::prelude::*;

use crate::talk::{ACK, Made, PSH_ACK, Talk};

/// Client and Server take turns; the first two turns open the connection.
const TURNS_3: [&[u8]; 8] = [
    b"\x10\x0d\0\x04MQTT\x04\x02\0\x3c\0\x01c",
    b"\x20\x02\0\0",
    b"\x82\x08\0\x01\0\x03a/#\x01\x32\x0a\0\x03a/b\0\x02one\xc0\0",
    b"\x90\x03\0\x01\x01\x32\x0a\0\x03a/b\0\x01one\x40\x02\0\x02\xd0\0",
    b"\x40\x02\0\x01\x34\x0b\0\x03a/b\0\x03\xc0\0\xd0\0\x30\x05\0\x03a/c",
    b"\x50\x02\0\x03\x30\x05\0\x03a/c",
    b"\x62\x02\0\x03\xa2\x07\0\x04\0\x03a/#",
    b"\x70\x02\0\x03\xb0\x02\0\x04",
];

const TURNS_5: [&[u8]; 6] = [
    b"\x10\x0e\0\x04MQTT\x05\x02\0\x3c\0\0\x01c",
    b"\x20\x06\0\0\x03\x22\0\x0a",
    b"\x32\x0e\0\x03a/b\0\x07\x03\x23\0\x01two\x30\x07\0\0\x03\x23\0\x01x",
    b"\x40\x04\0\x07\x10\0\x30\x09\0\x03a/c\0zzz",
    b"\xe0\x02\x04\0",
    b"\xe0\x02\x8b\0",
];

/// A segment of one direction: the place of its first byte in the stream, and its bytes.
#[derive(Clone)]
struct Segment {
    direction: Direction,
    from: usize,
    bytes: Vec<u8>,
}

/// A packet as it is reported: its direction, its frame, its bytes.
type Packet = (Direction, u64, Vec<u8>);

#[derive(Default)]
struct Seen {
    packets: Vec<Packet>,
    strange: Vec<String>,
}

impl View for Seen {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        match event {
            Event::Packet(seen) => {
                let bytes = seen.bytes.to_vec();
                self.packets
                    .push((seen.direction, seen.stamp.number, bytes));
                if let Err(malformed) = seen.packet {
                    self.strange.push(format!("{malformed:?}"));
                }
            }
            Event::Gap(gap) => self.strange.push(format!("{gap:?}")),
            _ => {}
        }
        Ok(())
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes of each direction, and the packets in them: their directions and last bytes.
struct Script {
    streams: [Vec<u8>; 2],
    packets: Vec<(Direction, usize, Vec<u8>)>,
}

fn place(direction: Direction) -> usize {
    usize::from(direction == Direction::Backward)
}

/// All lengths here fit one byte.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut packets = Vec::new();
    while let Some(length) = bytes.get(1) {
        let (packet, rest) = bytes.split_at(2 + usize::from(*length));
        packets.push(packet);
        bytes = rest;
    }
    packets
}

fn turn(at: usize) -> Direction {
    match at % 2 {
        0 => Direction::Forward,
        _ => Direction::Backward,
    }
}

fn script(turns: &[&[u8]]) -> Script {
    let mut script = Script {
        streams: [Vec::new(), Vec::new()],
        packets: Vec::new(),
    };
    for (at, bytes) in turns.iter().enumerate() {
        let direction = turn(at);
        let stream = &mut script.streams[place(direction)];
        for packet in split(bytes) {
            stream.extend_from_slice(packet);
            let last = stream.len() - 1;
            script.packets.push((direction, last, packet.to_vec()));
        }
    }
    script
}

/// How the bytes travel.
#[derive(Clone, Debug)]
struct Travel {
    cuts: Vec<usize>,
    /// By how many places a segment comes late.
    late: Vec<usize>,
    /// How many bytes a segment repeats of what came before it.
    back: Vec<usize>,
    twice: Vec<bool>,
    starts: (u32, u32),
}

fn travel() -> impl Strategy<Value = Travel> {
    (
        vec(1..30usize, 1..40),
        vec(0..6usize, 1..40),
        vec(0..9usize, 1..40),
        vec(any::<bool>(), 1..40),
        any::<(u32, u32)>(),
    )
        .prop_map(|(cuts, late, back, twice, starts)| Travel {
            cuts,
            late,
            back,
            twice,
            starts,
        })
}

/// The turns as segments, in the order in which the capture has them. The first two turns
/// keep theirs: an answer is not reported before its question.
fn segments(turns: &[&[u8]], travel: &Travel) -> Vec<Segment> {
    let mut streams = [Vec::new(), Vec::new()];
    let mut cuts = travel.cuts.iter().cycle();
    let mut back = travel.back.iter().cycle();
    let mut late = travel.late.iter().cycle();
    let mut twice = travel.twice.iter().cycle();
    let mut sent: Vec<(usize, Segment)> = Vec::new();
    for (at, bytes) in turns.iter().enumerate() {
        let direction = turn(at);
        let stream: &mut Vec<u8> = &mut streams[place(direction)];
        let mut rest = *bytes;
        while let Some(cut) = cuts.next().filter(|_| !rest.is_empty()) {
            let (piece, after) = rest.split_at((*cut).min(rest.len()));
            rest = after;
            let from = stream.len().saturating_sub(*back.next().unwrap_or(&0));
            stream.extend_from_slice(piece);
            let segment = Segment {
                direction,
                from,
                bytes: stream[from..].to_vec(),
            };
            let shift = if at < 2 {
                0
            } else {
                *late.next().unwrap_or(&0)
            };
            let key = sent.len() + shift;
            if twice.next() == Some(&true) {
                sent.push((key, segment.clone()));
            }
            sent.push((key, segment));
        }
    }
    sent.sort_by_key(|(key, _)| *key);
    sent.into_iter().map(|(_, segment)| segment).collect()
}

/// The capture of `segments`, behind a handshake, and for each byte of each direction the
/// frame that carried it first. Each end acknowledges what it has in order.
fn capture(segments: &[Segment], script: &Script, starts: [u32; 2]) -> (Vec<u8>, [Vec<u64>; 2]) {
    let mut made = Made::new();
    let mut talk = Talk::new(0);
    talk.client_next = starts[0].wrapping_sub(1);
    talk.server_next = starts[1].wrapping_sub(1);
    made.open(&mut talk);
    made.segment(&mut talk, Sender::Client, ACK, &[]);
    let mut carriers = [0, 1].map(|at: usize| vec![0u64; script.streams[at].len()]);
    for segment in segments {
        let own = place(segment.direction);
        let have = |frames: &[u64]| frames.iter().take_while(|frame| **frame != 0).count() as u32;
        let acknowledgement = starts[1 - own].wrapping_add(have(&carriers[1 - own]));
        let sequence = starts[own].wrapping_add(segment.from as u32);
        let sender = match segment.direction {
            Direction::Forward => Sender::Client,
            Direction::Backward => Sender::Server,
        };
        let numbers = (sequence, acknowledgement);
        made.frame(&talk, sender, PSH_ACK, numbers, &segment.bytes);
        let to = segment.from + segment.bytes.len();
        for carrier in &mut carriers[own][segment.from..to] {
            if *carrier == 0 {
                *carrier = made.frames;
            }
        }
    }
    (made.into_bytes(), carriers)
}

fn check(turns: &[&[u8]], travel: &Travel) -> Result<(), TestCaseError> {
    let script = script(turns);
    let segments = segments(turns, travel);
    let starts = [travel.starts.0, travel.starts.1];
    let (bytes, carriers) = capture(&segments, &script, starts);
    let mut seen = Seen::default();
    let outcome = inspect::read(bytes.as_slice(), "made", &Options::default(), &mut seen);
    prop_assert!(outcome.unreadable.is_empty());
    prop_assert_eq!(seen.strange, Vec::<String>::new());
    for direction in [Direction::Forward, Direction::Backward] {
        let expected: Vec<Packet> = script
            .packets
            .iter()
            .filter(|(of, ..)| *of == direction)
            .map(|(of, last, bytes)| (*of, carriers[place(*of)][*last], bytes.clone()))
            .collect();
        let found: Vec<Packet> = seen
            .packets
            .iter()
            .filter(|(of, ..)| *of == direction)
            .cloned()
            .collect();
        prop_assert_eq!(found, expected);
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_way_of_cutting_shuffling_repeating_and_overlapping_gives_the_same_packets(
        travel in travel(),
    ) {
        check(&TURNS_3, &travel)?;
        check(&TURNS_5, &travel)?;
    }
}

#[test]
fn one_byte_a_segment_gives_the_same_packets() {
    let travel = Travel {
        cuts: vec![1],
        late: vec![0],
        back: vec![0],
        twice: vec![false],
        starts: (u32::MAX - 20, u32::MAX - 5),
    };
    for turns in [&TURNS_3[..], &TURNS_5] {
        check(turns, &travel).expect("the same packets");
    }
}
