//! Segments that stand in the capture before others that were sent earlier.

use super::*;
use crate::base::limits::Limits;

#[test]
fn acknowledged_bytes_that_stand_a_few_frames_later_come_first_and_are_no_gap() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1007, "ack"));
    bench.push(client(ACK, 1007, 5004, "next"));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 7),
            bytes(Forward, "def", 6),
            bytes(Backward, "ack", 4),
            bytes(Forward, "next", 5),
        ]
    );
    let counts = bench.assembler.counts();
    assert_eq!((counts.gaps, counts.out_of_order), (0, 2));
    let first = counts.first_out_of_order.unwrap();
    assert_eq!(first.map(|stamp| stamp.number), [6, 4]);
}

#[test]
fn other_connections_keep_their_place_behind_the_segment_that_waits() {
    let mut bench = Bench::opened();
    let ends = (50_000, SERVER);
    bench.push(Sent {
        ends,
        ..client(SYN, 0, 0, "")
    });
    bench.push(Sent {
        ends: (SERVER, 50_000),
        ..server(SYN | ACK, 0, 1, "")
    });
    bench.push(server(ACK, 5001, 1004, "ack"));
    bench.push(Sent {
        ends,
        ..client(ACK, 1, 1, "other")
    });
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 8),
            bytes(Backward, "ack", 6),
            bytes(Forward, "other", 7),
        ]
    );
}

#[test]
fn in_a_capture_out_of_order_the_answer_to_a_syn_may_stand_behind_what_acknowledges_it() {
    for disorder in [true, false] {
        let mut bench = Bench::opened();
        if disorder {
            bench.push(server(ACK, 5001, 1004, "ack"));
        }
        bench.push(client(ACK, 1001, 5001, "abc"));
        bench.events();
        let (there, back) = ((50_000, SERVER), (SERVER, 50_000));
        for sent in [
            client(SYN, 0, 0, ""),
            client(ACK, 1, 4, "def"),
            server(SYN | ACK, 0, 1, ""),
            server(ACK, 1, 1, "ghi"),
        ] {
            let ends = if sent.ends.0 == SERVER { back } else { there };
            bench.push(Sent { ends, ..sent });
        }
        bench.finish();
        // What it acknowledges comes first.
        let events = bench.events();
        let first = matches!(&events[0], Seen::Bytes(Backward, bytes, _) if bytes == "ghi");
        assert_eq!(first, disorder, "{events:?}");
    }
}

#[test]
fn after_the_window_the_gap_stands_where_it_would_have_stood() {
    let missed = |frames| {
        let mut bench = Bench::with(Limits {
            out_of_order: 10,
            ..Limits::default()
        });
        bench.open();
        bench.push(client(ACK, 1004, 5001, "def"));
        bench.push(server(ACK, 5001, 1007, "ack"));
        bench.pass(frames);
        bench.push(client(ACK, 1001, 5001, "abc"));
        bench.events()
    };
    assert_eq!(
        missed(8),
        [
            bytes(Forward, "abc", 14),
            bytes(Forward, "def", 4),
            bytes(Backward, "ack", 5),
        ]
    );
    let gap = [
        Seen::Gap(Forward, 3, GapCause::NotCaptured),
        bytes(Forward, "def", 4),
        bytes(Backward, "ack", 5),
    ];
    assert_eq!(missed(9), gap);
    // The clock of the tests goes on by a microsecond a frame.
    let mut bench = Bench::with(Limits {
        out_of_order: usize::MAX,
        ..Limits::default()
    });
    bench.open();
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(server(ACK, 5001, 1007, "ack"));
    bench.pass(200_000);
    assert_eq!(bench.events(), []);
    bench.pass(1);
    assert_eq!(bench.events(), gap);
}

#[test]
fn what_was_lost_holds_back_a_quiet_capture_only_where_frames_stood_out_of_order() {
    for disorder in [false, true] {
        let mut bench = Bench::opened();
        let mut at = 1001;
        if disorder {
            bench.push(server(ACK, 5001, 1004, ""));
            bench.push(client(ACK, 1001, 5001, "abc"));
            at = 1004;
        }
        bench.events();
        bench.push(server(ACK, 5001, at + 3, "ack"));
        bench.rest();
        let acknowledged = bytes(Backward, "ack", bench.frames - 1);
        if disorder {
            assert_eq!(bench.events(), []);
            for _ in 0..5 {
                bench.rest();
            }
        }
        assert_eq!(bench.events().last(), Some(&acknowledged));
    }
}

#[test]
fn a_direction_that_is_not_captured_is_waited_for_once_at_most() {
    let begins = [client(SYN, 1000, 0, ""), server(SYN | ACK, 5000, 1001, "")];
    for begins in [&begins[..], &begins[1..]] {
        let mut bench = Bench::new();
        begins.iter().for_each(|sent| bench.push(*sent));
        bench.push(server(ACK, 5001, 1011, "abc"));
        assert_eq!(bench.events(), []);
        bench.wait();
        let frames = bench.frames - 1000;
        assert_eq!(bench.events(), [bytes(Backward, "abc", frames)]);
        bench.push(server(ACK, 5004, 1021, "def"));
        assert_eq!(bench.events(), [bytes(Backward, "def", bench.frames)]);
    }
    // Without a SYN nothing is waited for.
    let mut bench = Bench::new();
    bench.push(server(ACK, 5001, 1011, "abc"));
    bench.push(server(ACK, 5004, 1021, "def"));
    assert_eq!(bench.events().len(), 2);
}

#[test]
fn a_reset_waits_for_the_bytes_before_it() {
    let mut bench = Bench::opened();
    bench.push(client(RST, 1004, 0, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            Seen::End(Forward, End::Reset),
            Seen::End(Backward, End::Reset),
            Seen::Closed(Closed::Reset),
        ]
    );
}

#[test]
fn in_a_capture_out_of_order_a_connection_waits_for_its_syn() {
    let begun = |disorder: bool| {
        let mut bench = Bench::opened();
        if disorder {
            bench.push(server(ACK, 5001, 1004, ""));
        }
        bench.push(client(ACK, 1001, 5001, "abc"));
        let begun = bench.events();
        assert_eq!(begun.len(), 1);
        let ends = (50_000, SERVER);
        bench.push(Sent {
            ends,
            ..client(ACK, 1, 1, "connect")
        });
        bench.push(Sent {
            ends: (SERVER, 50_000),
            ..server(SYN | ACK, 0, 1, "")
        });
        bench.push(Sent {
            ends,
            ..client(SYN, 0, 0, "")
        });
        bench.finish();
        let seen = &bench.connections;
        assert_eq!(seen.len(), 2);
        seen[1].handshake_seen
    };
    assert!(begun(true));
    assert!(!begun(false));
}

#[test]
fn what_waits_at_the_end_of_the_capture_is_taken_as_it_stands() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1004, "ack"));
    bench.push(client(ACK, 1004, 5004, "def"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Backward, "ack", 4),
            Seen::Gap(Forward, 3, GapCause::NotCaptured),
            bytes(Forward, "def", 5),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn both_ends_are_seen_without_a_syn_too() {
    for begins in [
        server(SYN | ACK, 5000, 1001, ""),
        server(ACK, 5000, 1001, "x"),
    ] {
        let mut bench = Bench::new();
        bench.push(begins);
        bench.push(client(ACK, 1001, 5001, "abc"));
        bench.push(server(ACK, 5001, 1004, "def"));
        bench.push(client(ACK, 1004, 5004, "ghi"));
        assert!(bench.last.unwrap().both_seen);
        let mut bench = Bench::new();
        bench.push(begins);
        bench.push(server(ACK, 5001, 1001, "def"));
        assert!(!bench.last.unwrap().both_seen);
    }
}

#[test]
fn a_hole_that_is_acknowledged_piece_by_piece_is_one_gap() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1011, 5001, "def"));
    for read in [1003, 1007, 1011, 1014] {
        bench.push(server(ACK, 5001, read, ""));
    }
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 10, GapCause::NotCaptured),
            bytes(Forward, "def", 4),
        ]
    );
    // What came meanwhile is none of it.
    bench.push(client(ACK, 1024, 5001, "jkl"));
    bench.push(server(ACK, 5001, 1018, ""));
    bench.push(client(ACK, 1018, 5001, "ghi"));
    bench.push(server(ACK, 5001, 1027, ""));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 4, GapCause::NotCaptured),
            bytes(Forward, "ghi", bench.frames - 1001),
            Seen::Gap(Forward, 3, GapCause::NotCaptured),
            bytes(Forward, "jkl", bench.frames - 1003),
        ]
    );
}

#[test]
fn a_hole_before_the_end_and_one_across_a_retransmission_are_one_gap_each() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK | FIN, 1010, 5001, ""));
    bench.push(server(ACK, 5001, 1011, ""));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 3, GapCause::NotCaptured),
            bytes(Forward, "def", 4),
            Seen::Gap(Forward, 3, GapCause::NotCaptured),
            Seen::End(Forward, End::Fin),
        ]
    );
    assert_eq!(bench.assembler.counts().repeated_bytes, 3);
}
