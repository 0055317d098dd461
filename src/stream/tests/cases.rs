//! Order: early, late, repeated, overlapping segments, and how connections are distinguished.

use super::*;

#[test]
fn bytes_in_order_are_emitted_at_once_with_their_frames() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | PSH, 1001, 5001, "abc"));
    bench.push(server(ACK | PSH, 5001, 1004, "xy"));
    bench.push(client(ACK | PSH, 1004, 5003, "d"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 4),
            bytes(Backward, "xy", 5),
            bytes(Forward, "d", 6)
        ]
    );
    assert!(bench.connections[0].handshake_seen);
    assert_eq!(bench.connections[0].initiator, endpoint(CLIENT));
    assert_eq!(bench.assembler.counts().bytes, 6);
}

#[test]
fn an_early_segment_waits_and_keeps_its_own_frame() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK, 1007, 5001, "g"));
    assert_eq!(bench.events(), []);
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 6),
            bytes(Forward, "def", 4),
            bytes(Forward, "g", 5)
        ]
    );
    bench.push(client(ACK, 1008, 5001, "h"));
    assert_eq!(bench.events(), [bytes(Forward, "h", 7)]);
}

#[test]
fn sequence_numbers_wrap_in_order_and_out_of_order() {
    let start = u32::MAX - 2;
    let mut bench = Bench::new();
    bench.push(client(SYN, start.wrapping_sub(1), 0, ""));
    bench.push(server(SYN | ACK, 5000, start, ""));
    bench.push(client(ACK, start.wrapping_add(5), 5001, "fgh"));
    bench.push(client(ACK, start, 5001, "abcde"));
    bench.push(client(ACK, start.wrapping_add(8), 5001, "i"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abcde", 4),
            bytes(Forward, "fgh", 3),
            bytes(Forward, "i", 5)
        ]
    );
}

#[test]
fn a_frame_captured_twice_is_emitted_once() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.push(client(SYN, 1000, 0, ""));
    }
    for _ in 0..2 {
        bench.push(server(SYN | ACK, 5000, 1001, ""));
    }
    for _ in 0..2 {
        bench.push(client(ACK | PSH, 1001, 5001, "abc"));
    }
    for _ in 0..2 {
        bench.push(client(ACK | FIN, 1004, 5001, ""));
    }
    for _ in 0..2 {
        bench.push(server(ACK | FIN, 5001, 1005, ""));
    }
    for _ in 0..2 {
        bench.push(client(ACK, 1005, 5002, ""));
    }
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            Seen::End(Forward, End::Fin),
            Seen::End(Backward, End::Fin),
            Seen::Closed(Closed::Finished),
        ]
    );
    assert_eq!(bench.assembler.counts().connections, 1);
    assert_eq!(bench.assembler.counts().repeated_bytes, 3);
}

#[test]
fn a_retransmission_cut_otherwise_gives_only_what_is_new() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, 1002, 5001, "bcdef"));
    bench.push(client(ACK, 1003, 5001, "c"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 4), bytes(Forward, "def", 5)]
    );
}

#[test]
fn bytes_that_wait_stand_against_a_segment_that_covers_them() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1003, 5001, "cd"));
    bench.push(client(ACK, 1006, 5001, "f"));
    bench.push(client(ACK, 1001, 5001, "abcdefgh"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "ab", 6),
            bytes(Forward, "cd", 4),
            bytes(Forward, "e", 6),
            bytes(Forward, "f", 5),
            bytes(Forward, "gh", 6),
        ]
    );
}

#[test]
fn a_differing_retransmission_is_a_conflict_and_the_first_copy_stands() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abcdef"));
    bench.push(client(ACK, 1001, 5001, "000000"));
    bench.push(client(ACK, 1010, 5001, "jkl"));
    bench.push(client(ACK, 1011, 5001, "XY"));
    bench.push(client(ACK, 1007, 5001, "ghi"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abcdef", 4),
            Seen::Conflict(Forward, 5),
            Seen::Conflict(Forward, 7),
            bytes(Forward, "ghi", 8),
            bytes(Forward, "jkl", 6),
        ]
    );
    assert_eq!(bench.assembler.counts().conflicts, 2);
}

#[test]
fn keep_alive_and_window_probes_change_nothing() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, 1003, 5001, ""));
    bench.push(client(ACK, 1003, 5001, "\0"));
    bench.push(server(ACK, 5001, 1004, ""));
    bench.push(server(ACK, 5000, 1004, ""));
    bench.push(client(ACK, 1004, 5001, "d"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 4),
            bytes(Forward, "d", 9),
            Seen::Closed(Closed::CaptureEnd)
        ]
    );
}

#[test]
fn a_window_probe_of_one_new_byte_is_emitted_once() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "a"));
    bench.push(server(ACK, 5001, 1001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "a", 4), bytes(Forward, "bc", 6)]
    );
}

#[test]
fn a_capture_may_begin_in_mid_connection() {
    let mut bench = Bench::new();
    bench.push(server(ACK, 5000, 1001, ""));
    bench.push(client(ACK, 1001, 5000, "abc"));
    bench.push(server(ACK, 5000, 1004, "xyz"));
    assert_eq!(
        bench.events(),
        [bytes(Backward, "abc", 2), bytes(Forward, "xyz", 3)]
    );
    assert!(!bench.connections[0].handshake_seen);
    assert_eq!(bench.connections[0].initiator, endpoint(SERVER));
}

#[test]
fn a_probe_at_the_start_of_a_capture_is_not_taken_for_bytes() {
    for probe in ["", "\0"] {
        for answered_first in [false, true] {
            let mut bench = Bench::new();
            if answered_first {
                bench.push(server(ACK, 5000, 1001, ""));
            }
            bench.push(client(ACK, 1000, 5000, probe));
            bench.push(server(ACK, 5000, 1001, ""));
            bench.push(client(ACK | PSH, 1001, 5000, "abc"));
            bench.finish();
            let direction = if answered_first { Backward } else { Forward };
            assert_eq!(
                bench.events(),
                [
                    bytes(direction, "abc", bench.frames),
                    Seen::Closed(Closed::CaptureEnd)
                ]
            );
        }
    }
}

#[test]
fn bytes_from_before_the_first_captured_ones_are_counted_not_emitted() {
    let mut bench = Bench::new();
    bench.push(client(ACK | PSH, 1004, 5000, "def"));
    bench.push(client(ACK | PSH, 1001, 5000, "abc"));
    assert_eq!(bench.events(), [bytes(Forward, "def", 1)]);
    assert_eq!(bench.assembler.counts().unplaced_bytes, 3);
}

#[test]
fn bytes_in_the_syn_are_emitted_and_their_retransmission_is_not() {
    let mut bench = Bench::new();
    bench.push(client(SYN, 1000, 0, "ab"));
    bench.push(server(SYN | ACK, 5000, 1003, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "ab", 1), bytes(Forward, "c", 3)]
    );
    assert_eq!(bench.assembler.counts().connections, 1);
}

#[test]
fn the_initiator_is_who_sent_the_syn_though_the_answer_is_seen_first() {
    let mut bench = Bench::new();
    bench.push(server(SYN | ACK, 5000, 1001, ""));
    bench.push(client(SYN, 1000, 0, ""));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 4), bytes(Forward, "def", 3)]
    );
    assert!(bench.connections[0].handshake_seen);
    assert_eq!(bench.assembler.counts().connections, 1);
}

#[test]
fn a_simultaneous_open_is_one_connection() {
    let mut bench = Bench::new();
    bench.push(client(SYN, 1000, 0, ""));
    bench.push(server(SYN, 5000, 0, ""));
    bench.push(client(SYN | ACK, 1000, 5001, ""));
    bench.push(server(SYN | ACK, 5000, 1001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(server(ACK, 5001, 1004, "xyz"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 5), bytes(Backward, "xyz", 6)]
    );
    assert_eq!(bench.assembler.counts().connections, 1);
}

#[test]
fn every_tcp_connection_has_a_number_by_its_first_frame() {
    let mut bench = Bench::new();
    for port in [50001, 50002, 50003] {
        bench.push(Sent {
            ends: (port, SERVER),
            ..client(SYN, 1, 0, "")
        });
    }
    bench.push(Sent {
        ends: (50002, SERVER),
        ..client(ACK, 2, 0, "b")
    });
    assert_eq!(bench.seen, [(ConnectionId(1), bytes(Forward, "b", 4))]);
    assert_eq!(bench.assembler.counts().connections, 3);
}

#[test]
fn an_end_that_talks_to_itself_does_no_harm() {
    let mut bench = Bench::new();
    for sequence in [1, 3, 2] {
        bench.push(Sent {
            ends: (7, 7),
            ..client(ACK, sequence, 2, "a")
        });
    }
    bench.finish();
    assert!(
        bench
            .events()
            .ends_with(&[Seen::Closed(Closed::CaptureEnd)])
    );
}

#[test]
fn layers_travel_with_the_bytes_that_wait() {
    use crate::base::Layer;
    let mut layers = Layers::default();
    layers.push(Layer::RawIp);
    let mut assembler = Assembler::<()>::default();
    let mut events = Vec::new();
    for (number, sequence, layers) in [
        (1, 10, &layers),
        (2, 15, &layers),
        (3, 11, &Layers::default()),
    ] {
        let segment = Segment {
            stamp: &stamp(number),
            source: endpoint(1),
            destination: endpoint(2),
            sequence,
            acknowledgement: 0,
            flags: TcpFlags(ACK),
            window: 0,
            payload: if number == 3 { b"bbbb" } else { b"a" },
            cut: 0,
            layers,
        };
        assembler.push(&segment, &mut |(), _, event| {
            if let StreamEvent::Bytes { stamp, layers, .. } = event {
                events.push((stamp.number, layers.iter().count()));
            }
        });
    }
    assert_eq!(events, [(1, 1), (3, 0), (2, 1)]);
}
