//! Properties: the assembler against a slow one that keeps everything.

use crate::base::limits::Limits;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Bytes of a stream such that each place has its own.
fn stream(length: usize) -> Vec<u8> {
    (0..length).map(|at| b'!' + (at * 7 % 90) as u8).collect()
}

/// Segments of one stream: where each begins and ends.
fn pieces(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    vec(1..40usize, 1..40).prop_map(move |lengths| {
        let mut out = Vec::new();
        let mut at = 0;
        for size in lengths.into_iter().cycle() {
            if at >= length {
                break;
            }
            let end = (at + size).min(length);
            out.push((at, end));
            at = end;
        }
        out
    })
}

/// A damaged order of sending: each piece once at least, shuffled within a window, some
/// again, some with other boundaries.
fn damaged(length: usize) -> impl Strategy<Value = Vec<(usize, usize)>> {
    let extra = vec((0..length, 1..60usize, 0..1000usize), 0..20);
    (pieces(length), vec(0..6usize, 400), extra).prop_map(move |(pieces, jumps, extra)| {
        let mut keyed: Vec<(usize, (usize, usize))> = pieces
            .into_iter()
            .enumerate()
            .map(|(at, piece)| (at + jumps.get(at).copied().unwrap_or(0), piece))
            .collect();
        keyed.sort_by_key(|(key, _)| *key);
        let mut order: Vec<_> = keyed.into_iter().map(|(_, piece)| piece).collect();
        for (start, size, place) in extra {
            let place = place % (order.len() + 1);
            order.insert(place, (start, (start + size).min(length)));
        }
        order
    })
}

/// Which frame carried each byte first.
fn first_carriers(length: usize, sent: &[(u64, usize, usize)]) -> Vec<u64> {
    let mut frames = vec![0; length];
    for (frame, start, end) in sent {
        for place in &mut frames[*start..*end] {
            if *place == 0 {
                *place = *frame;
            }
        }
    }
    frames
}

/// Bytes and the frame of each, as emitted.
fn emitted_bytes(seen: &[(ConnectionId, Seen)], wanted: Direction) -> (Vec<u8>, Vec<u64>) {
    let mut bytes = Vec::new();
    let mut frames = Vec::new();
    for (_, seen) in seen {
        if let Seen::Bytes(direction, text, frame) = seen
            && *direction == wanted
        {
            bytes.extend_from_slice(text.as_bytes());
            frames.extend(std::iter::repeat_n(*frame, text.len()));
        }
    }
    (bytes, frames)
}

proptest! {
    #[test]
    fn any_cutting_shuffling_and_overlapping_of_both_directions_gives_the_same_bytes(
        up in damaged(300),
        down in damaged(200),
        turns in vec(any::<bool>(), 1..200),
        starts in any::<(u32, u32)>(),
        acknowledging in any::<bool>(),
    ) {
        let (up_bytes, down_bytes) = (stream(300), stream(200));
        let mut bench = Bench::new();
        bench.push(client(SYN, starts.0.wrapping_sub(1), 0, ""));
        bench.push(server(SYN | ACK, starts.1.wrapping_sub(1), starts.0, ""));
        let (mut ups, mut downs) = (up.iter(), down.iter());
        let mut sent = (Vec::new(), Vec::new());
        let mut turns = turns.iter().cycle();
        loop {
            let (from_client, piece) = match (turns.next(), ups.len(), downs.len()) {
                (_, 0, 0) => break,
                (_, _, 0) => (true, ups.next()),
                (_, 0, _) => (false, downs.next()),
                (Some(&true), ..) => (true, ups.next()),
                _ => (false, downs.next()),
            };
            let (start, end) = *piece.unwrap();
            let frame = bench.frames + 1;
            // An honest peer acknowledges what it has in order.
            let have = |sent: &[(u64, usize, usize)], length| {
                let frames = first_carriers(length, sent);
                frames.iter().position(|frame| *frame == 0).unwrap_or(length) as u32
            };
            if from_client {
                let ack = if acknowledging { have(&sent.1, 200) } else { 0 };
                bench.push(Sent {
                    bytes: &up_bytes[start..end],
                    ..client(ACK, starts.0.wrapping_add(start as u32), starts.1.wrapping_add(ack), "")
                });
                sent.0.push((frame, start, end));
            } else {
                let ack = if acknowledging { have(&sent.0, 300) } else { 0 };
                bench.push(Sent {
                    bytes: &down_bytes[start..end],
                    ..server(ACK, starts.1.wrapping_add(start as u32), starts.0.wrapping_add(ack), "")
                });
                sent.1.push((frame, start, end));
            }
        }
        let waiting = bench.assembler.shared_waiting();
        prop_assert_eq!(waiting, 0);
        let strange = bench.seen.iter().any(|(_, seen)| !matches!(seen, Seen::Bytes(..)));
        prop_assert!(!strange, "{:?}", bench.seen);
        let (bytes, frames) = emitted_bytes(&bench.seen, Forward);
        prop_assert_eq!(bytes, up_bytes);
        prop_assert_eq!(frames, first_carriers(300, &sent.0));
        let (bytes, frames) = emitted_bytes(&bench.seen, Backward);
        prop_assert_eq!(bytes, down_bytes);
        prop_assert_eq!(frames, first_carriers(200, &sent.1));
    }

    #[test]
    fn frames_swapped_within_five_places_give_the_same_bytes_and_no_gap(
        turns in vec((any::<bool>(), 1..40usize), 1..60),
        jumps in vec(0..6usize, 130),
        start in any::<u32>(),
    ) {
        let bytes = stream(4000);
        let (mut up, mut down) = (0, 0);
        let mut sent = Vec::new();
        for (from_client, length) in turns {
            let at = |place: usize| start.wrapping_add(place as u32);
            let (place, other) = match from_client {
                true => (&mut up, down),
                false => (&mut down, up),
            };
            let part = &bytes[*place..*place + length];
            let segment = |bytes, sequence, acknowledgement, from_client| Sent {
                bytes,
                ..match from_client {
                    true => client(ACK | PSH, sequence, acknowledgement, ""),
                    false => server(ACK | PSH, sequence, acknowledgement, ""),
                }
            };
            sent.push(segment(part, at(*place), at(other), from_client));
            *place += length;
            // The other end acknowledges at once.
            sent.push(segment(&[], at(other), at(*place), !from_client));
        }
        let mut order: Vec<usize> = (0..sent.len()).collect();
        order.sort_by_key(|at| at + jumps[*at]);
        let mut bench = Bench::new();
        bench.push(client(SYN, start.wrapping_sub(1), 0, ""));
        bench.push(server(SYN | ACK, start.wrapping_sub(1), start, ""));
        order.iter().for_each(|at| bench.push(sent[*at]));
        bench.finish();
        let strange = bench.seen.iter().filter(|(_, seen)| !matches!(seen, Seen::Bytes(..)));
        prop_assert_eq!(strange.count(), 1, "{:?}", bench.seen);
        prop_assert_eq!(emitted_bytes(&bench.seen, Forward).0, &bytes[..up]);
        prop_assert_eq!(emitted_bytes(&bench.seen, Backward).0, &bytes[..down]);
    }

    #[test]
    fn bytes_and_gaps_together_fill_the_stream_whatever_is_lost(
        order in damaged(300),
        kept in vec(prop::bool::weighted(0.7), 1..100),
        cuts in vec(prop_oneof![4 => Just(0u32), 1 => 1..30u32], 1..50),
        cap in prop_oneof![Just(Limits::DEFAULT.waiting), 300..4000usize],
        start in any::<u32>(),
        acks in vec(prop::option::weighted(0.2, 0..300u32), 1..50),
    ) {
        let bytes = stream(300);
        let mut bench = Bench::with(Limits { waiting: cap, ..Limits::default() });
        bench.push(client(SYN, start.wrapping_sub(1), 0, ""));
        bench.push(server(SYN | ACK, 4999, start, ""));
        let mut highest = 0;
        let (mut cuts, mut acks) = (cuts.iter().cycle(), acks.iter().cycle());
        for (&(from, to), kept) in order.iter().zip(kept.iter().cycle()) {
            if !kept {
                continue;
            }
            let cut = (*cuts.next().unwrap()).min((to - from) as u32);
            bench.push(Sent {
                bytes: &bytes[from..to - cut as usize],
                cut,
                ..client(ACK, start.wrapping_add(from as u32), 5000, "")
            });
            highest = highest.max(to);
            if let Some(ack) = acks.next().unwrap() {
                bench.push(server(ACK, 5000, start.wrapping_add(*ack), ""));
            }
        }
        bench.finish();
        let mut at = 0usize;
        for (_, seen) in &bench.seen {
            match seen {
                Seen::Bytes(Forward, text, _) => {
                    prop_assert_eq!(text.as_bytes(), &bytes[at..at + text.len()]);
                    at += text.len();
                }
                Seen::Gap(Forward, length, _) => at += *length as usize,
                Seen::Closed(_) => {}
                other => prop_assert!(false, "{:?}", other),
            }
        }
        prop_assert!(at >= highest && at <= 300, "{} {}", at, highest);
        prop_assert_eq!(bench.assembler.shared_waiting(), 0);
    }

    #[test]
    fn a_soup_of_segments_is_survived_and_every_connection_closes_once(
        soup in vec(
            (0..3u16, any::<bool>(), 0..64u8, 0..12u32, 0..12u32, 0..60usize, 0..9u32),
            0..300,
        ),
        limits in (1..4usize, 0..3usize, 300..6000usize, 1000..9000usize),
    ) {
        let limits = Limits {
            connections: limits.0,
            closed_connections: limits.1,
            waiting: limits.2,
            waiting_all: limits.3,
            ..Limits::default()
        };
        let bytes = stream(60);
        let far = [0, 1, 2, 20, 40, 100, 1 << 20, 1 << 26, (1 << 26) + 1, 1 << 31, u32::MAX, u32::MAX - 9];
        let mut bench = Bench::with(limits);
        for (port, back, flags, sequence, ack, length, cut) in soup {
            let ends = if back { (SERVER, port) } else { (port, SERVER) };
            // Flags that matter most come often alone.
            let flags = if flags > 31 { ACK } else { flags };
            bench.push(Sent {
                ends,
                flags,
                sequence: far[sequence as usize],
                acknowledgement: far[ack as usize],
                bytes: &bytes[..length],
                cut: cut / 8,
                window: 1000,
            });
            prop_assert!(bench.assembler.shared_waiting() <= limits.waiting_all);
        }
        bench.finish();
        prop_assert_eq!(bench.assembler.shared_waiting(), 0);
        let seen = bench.assembler.counts().connections as usize;
        let mut closed = vec![0; seen];
        let mut ended = vec![[false; 2]; seen];
        for (id, seen) in &bench.seen {
            let id = id.0 as usize;
            prop_assert_eq!(closed[id], 0, "told after Closed");
            let end = |direction: Direction| usize::from(direction == Backward);
            match seen {
                Seen::Closed(_) => closed[id] += 1,
                Seen::End(direction, _) => {
                    prop_assert!(!ended[id][end(*direction)], "a direction ends once");
                    ended[id][end(*direction)] = true;
                }
                Seen::Bytes(direction, ..) | Seen::Gap(direction, ..) => {
                    prop_assert!(!ended[id][end(*direction)], "told after its end");
                }
                Seen::Conflict(..) | Seen::Stalled(..) => {}
            }
        }
        prop_assert!(closed.iter().all(|times| *times == 1));
    }
}
