//! Bytes that never come: holes, their evidence, their caps.

use super::*;
use crate::base::limits::Limits;

#[test]
fn a_hole_is_a_gap_once_the_peer_acknowledged_it_and_before_the_peers_own_bytes() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, 1014, 5001, "def"));
    bench.push(server(ACK, 5001, 1004, ""));
    assert_eq!(bench.events(), [bytes(Forward, "abc", 4)]);
    bench.push(server(ACK, 5001, 1017, "xyz"));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 10, GapCause::NotCaptured),
            bytes(Forward, "def", 5),
            bytes(Backward, "xyz", 7),
        ]
    );
}

#[test]
fn acknowledged_bytes_are_a_gap_when_later_ones_come() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1011, ""));
    bench.push(server(ACK, 5001, 1011, "xyz"));
    bench.push(client(ACK, 1011, 5004, "abc"));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            bytes(Backward, "xyz", 5),
            Seen::Gap(Forward, 10, GapCause::NotCaptured),
            bytes(Forward, "abc", 6)
        ]
    );
}

#[test]
fn bytes_seen_after_their_acknowledgement_are_not_lost() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1007, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            bytes(Forward, "def", 6),
            Seen::Closed(Closed::CaptureEnd)
        ]
    );
}

#[test]
fn of_a_hole_acknowledged_in_part_the_rest_may_still_come() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1007, 5001, "ghi"));
    bench.push(server(ACK, 5001, 1004, ""));
    bench.wait();
    assert_eq!(
        bench.events(),
        [Seen::Gap(Forward, 3, GapCause::NotCaptured)]
    );
    bench.push(client(ACK, 1001, 5001, "abcdef"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "def", 1006), bytes(Forward, "ghi", 4)]
    );
}

#[test]
fn acknowledged_bytes_that_never_came_are_a_gap_at_the_end() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(server(ACK, 5001, 1011, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 4),
            Seen::Gap(Forward, 7, GapCause::NotCaptured),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn bytes_that_an_end_went_past_are_a_gap_at_the_end() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1011, 5001, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 10, GapCause::EndOfCapture),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn a_fin_that_was_not_captured_is_no_gap() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(server(ACK, 5001, 1005, ""));
    bench.push(client(ACK, 1005, 5001, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 4), Seen::Closed(Closed::CaptureEnd),]
    );
}

#[test]
fn a_direction_of_which_nothing_was_captured_is_a_gap_at_the_end() {
    let mut bench = Bench::new();
    bench.push(server(ACK, 5000, 1001, "x"));
    bench.push(server(ACK, 5001, 1101, "y"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "x", 1),
            bytes(Forward, "y", 2),
            Seen::Gap(Backward, 100, GapCause::NotCaptured),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn an_acknowledgement_from_nowhere_is_no_evidence() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1001 + (1 << 30), ""));
    bench.push(server(ACK, 5001, 1001u32.wrapping_sub(1 << 30), ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 6), Seen::Closed(Closed::CaptureEnd),]
    );
}

#[test]
fn a_challenge_ack_of_an_older_connection_is_no_evidence() {
    let mut bench = Bench::new();
    bench.push(client(SYN, 1000, 0, ""));
    bench.push(server(ACK, 777, 5_000, ""));
    bench.push(client(SYN, 1000, 0, ""));
    bench.push(server(SYN | ACK, 5000, 1001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(server(ACK, 5001, 1004, "xyz"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            bytes(Backward, "xyz", 6),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn an_answer_to_a_syn_that_was_not_captured_shows_by_what_acknowledges_it() {
    for seen in [true, false] {
        let mut bench = Bench::new();
        bench.push(client(SYN, 1000, 0, ""));
        if seen {
            bench.push(client(ACK, 1001, 5001, ""));
        }
        bench.push(client(ACK, 1001, 5001, "abc"));
        // The first three bytes of the server were not captured either.
        bench.push(client(ACK, 1004, 5004, ""));
        bench.push(server(ACK, 5004, 1004, "def"));
        bench.finish();
        let events = bench.events();
        let gap = Seen::Gap(Backward, 3, GapCause::NotCaptured);
        assert!(events.contains(&gap), "{events:?}");
    }
}

#[test]
fn what_the_snapshot_length_cut_is_a_gap_in_its_place() {
    let mut bench = Bench::opened();
    bench.push(Sent {
        cut: 7,
        ..client(ACK, 1001, 5001, "abc")
    });
    bench.push(Sent {
        cut: 5,
        ..client(ACK, 1014, 5001, "n")
    });
    bench.push(Sent {
        cut: 3,
        ..client(ACK, 1011, 5001, "")
    });
    bench.push(client(ACK, 1020, 5001, "z"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 4),
            Seen::Gap(Forward, 7, GapCause::SnapshotLength),
            Seen::Gap(Forward, 3, GapCause::SnapshotLength),
            bytes(Forward, "n", 5),
            Seen::Gap(Forward, 5, GapCause::SnapshotLength),
            bytes(Forward, "z", 7),
        ]
    );
}

#[test]
fn what_waits_at_the_end_is_emitted_with_its_holes() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK, 1010, 5001, "jkl"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 3, GapCause::EndOfCapture),
            bytes(Forward, "def", 4),
            Seen::Gap(Forward, 3, GapCause::EndOfCapture),
            bytes(Forward, "jkl", 5),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn waiting_bytes_of_a_direction_have_a_cap() {
    let mut bench = Bench::with(Limits {
        waiting: 4096,
        ..Limits::default()
    });
    bench.open();
    let kilo = "k".repeat(1024);
    for at in [0u32, 1, 2, 3] {
        bench.push(client(ACK, 1011 + 2000 * at, 5001, &kilo));
    }
    let events = bench.events();
    assert_eq!(events[0], Seen::Gap(Forward, 10, GapCause::WaitingCap));
    assert!(matches!(events[1], Seen::Bytes(..)));
    assert!(bench.assembler.counts().waiting_cap > 0);
    bench.push(client(ACK, 1001, 5001, &"a".repeat(10)));
    assert_eq!(bench.events(), [], "given up is given up");
    bench.finish();
    assert_eq!(bench.assembler.shared_waiting(), 0);
}

#[test]
fn waiting_bytes_in_all_have_a_cap_and_the_longest_waiting_go_first() {
    let mut bench = Bench::with(Limits {
        waiting_all: 20_000,
        ..Limits::default()
    });
    let kilo = "k".repeat(1024);
    for port in 0..100 {
        let ends = (50_000 + port, SERVER);
        bench.push(Sent {
            ends,
            ..client(SYN, 9, 0, "")
        });
        bench.push(Sent {
            ends,
            ..client(ACK, 20, 0, &kilo)
        });
        assert!(bench.assembler.shared_waiting() <= 20_000);
    }
    let gaps: Vec<_> = bench
        .seen
        .iter()
        .filter(|(_, seen)| matches!(seen, Seen::Gap(..)))
        .map(|(id, _)| id.0)
        .collect();
    assert!(gaps.len() > 80 && gaps.is_sorted() && gaps[0] == 0);
    bench.finish();
    assert_eq!(bench.assembler.shared_waiting(), 0);
    assert_eq!(bench.assembler.counts().bytes, 102_400);
}

#[test]
fn a_stream_lost_from_sight_goes_on_behind_a_gap_of_unknown_length() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    let far = 1001 + (1 << 31);
    bench.push(client(ACK, far, 5001, "lost"));
    assert_eq!(bench.events(), [bytes(Forward, "abc", 4)]);
    bench.push(client(ACK, far + 4, 5001, "found"));
    bench.push(client(ACK, far + 9, 5001, "again"));
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 0, GapCause::NotCaptured),
            bytes(Forward, "found", 6),
            bytes(Forward, "again", 7)
        ]
    );
}

#[test]
fn a_single_segment_from_nowhere_is_not_believed() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1 << 31, 5001, "evil"));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, (1 << 31) + 4, 5001, "evil"));
    bench.push(client(ACK, 1004, 5001, "def"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 5), bytes(Forward, "def", 7)]
    );
    assert_eq!(bench.assembler.counts().unplaced_bytes, 8);
}
