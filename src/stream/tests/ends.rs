//! How connections end, and how their endpoints are used again.

use super::*;
use crate::base::limits::Limits;

#[test]
fn fin_with_bytes_and_before_its_turn_ends_the_direction_after_them() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1004, 5001, "def"));
    assert_eq!(bench.events(), []);
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            bytes(Forward, "def", 4),
            Seen::End(Forward, End::Fin)
        ]
    );
    bench.push(server(ACK, 5001, 1008, "still talks"));
    bench.push(server(ACK | FIN, 5012, 1008, ""));
    assert_eq!(
        bench.events(),
        [
            bytes(Backward, "still talks", 6),
            Seen::End(Backward, End::Fin),
            Seen::Closed(Closed::Finished),
        ]
    );
}

#[test]
fn a_bare_fin_waits_for_the_bytes_before_it() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1004, 5001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    assert_eq!(
        bench.events(),
        [bytes(Forward, "abc", 5), Seen::End(Forward, End::Fin)]
    );
}

#[test]
fn a_hole_before_fin_is_a_gap_once_it_is_acknowledged() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1004, 5001, ""));
    bench.push(server(ACK, 5001, 1005, ""));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 3, GapCause::NotCaptured),
            Seen::End(Forward, End::Fin)
        ]
    );
}

#[test]
fn bytes_after_fin_are_counted_and_not_emitted() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1006, 5001, "late"));
    bench.push(client(ACK | FIN, 1001, 5001, "abc"));
    bench.push(client(ACK, 1004, 5001, "more"));
    bench.push(client(ACK | FIN, 1008, 5001, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            Seen::End(Forward, End::Fin),
            Seen::Closed(Closed::CaptureEnd)
        ]
    );
    assert_eq!(bench.assembler.counts().after_end_bytes, 8);
    assert_eq!(bench.assembler.shared_waiting(), 0);
}

#[test]
fn reset_ends_both_directions_and_what_waited_is_emitted_first() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(Sent {
        bytes: b"why",
        ..server(RST | ACK, 5001, 1001, "")
    });
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(RST, 1001, 0, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            // The end that reset it comes first.
            Seen::End(Backward, End::Reset),
            Seen::Gap(Forward, 3, GapCause::EndOfCapture),
            bytes(Forward, "def", 4),
            Seen::End(Forward, End::Reset),
            Seen::Closed(Closed::Reset),
        ]
    );
    assert_eq!(bench.assembler.counts().connections, 1);
}

#[test]
fn a_direction_that_ended_by_fin_does_not_end_again_by_reset() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1001, 5001, ""));
    bench.push(server(RST | ACK, 5001, 1002, ""));
    assert_eq!(
        bench.events(),
        [
            Seen::End(Forward, End::Fin),
            Seen::End(Backward, End::Reset),
            Seen::Closed(Closed::Reset)
        ]
    );
}

#[test]
fn a_reset_from_nowhere_is_not_believed() {
    let mut bench = Bench::opened();
    bench.push(client(RST, 1 << 31, 0, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.wait();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            Seen::Stalled(Forward, Stall::FalseReset, [4, 4], false)
        ]
    );
    assert_eq!(bench.assembler.counts().ignored_segments, 1);
    // Nor is it where nothing more comes.
    let mut bench = Bench::opened();
    bench.push(client(RST, 1 << 31, 0, ""));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            Seen::Stalled(Forward, Stall::FalseReset, [4, 4], false),
            Seen::Closed(Closed::CaptureEnd)
        ]
    );
}

#[test]
fn a_reset_off_its_place_ends_a_connection_only_where_its_end_sends_no_more() {
    for (sequence, goes_on) in [(1002, true), (1500, false)] {
        let mut bench = Bench::opened();
        bench.push(client(ACK, 1001, 5001, "abc"));
        bench.push(client(RST, sequence, 0, ""));
        bench.push(server(ACK, 5001, 1004, "x"));
        if goes_on {
            bench.push(client(ACK, 1004, 5002, "def"));
            // Another one is passed over at once.
            bench.push(client(RST, sequence, 0, ""));
        }
        bench.events();
        bench.wait();
        let seen = bench.events();
        let expected = match goes_on {
            true => vec![
                Seen::Stalled(Forward, Stall::FalseReset, [5, 5], false),
                bytes(Backward, "x", 6),
                bytes(Forward, "def", 7),
            ],
            false => vec![
                Seen::End(Forward, End::Reset),
                Seen::End(Backward, End::Reset),
                Seen::Closed(Closed::Reset),
            ],
        };
        assert_eq!(seen, expected, "{sequence}");
    }
}

#[test]
fn a_connection_that_goes_on_long_after_a_reset_off_its_place_is_another_one() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(RST, 1002, 0, ""));
    bench.rest();
    bench.push(client(ACK, 1004, 5001, "def"));
    let last = bench.seen.pop();
    assert_eq!(last, Some((ConnectionId(1), bytes(Forward, "def", 7))));
    // So it does with the next bytes of the other end.
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(server(RST, 5100, 0, ""));
    bench.rest();
    bench.push(client(ACK, 1004, 5001, "def"));
    let last = bench.seen.pop();
    assert_eq!(last, Some((ConnectionId(1), bytes(Forward, "def", 7))));
    // At its place it is believed, and what follows is of no connection.
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(RST, 1004, 0, ""));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.finish();
    assert_eq!(bench.assembler.counts().after_end_bytes, 3);
    assert_eq!(bench.assembler.counts().connections, 1);
}

#[test]
fn a_fin_ahead_of_the_bytes_is_dropped_where_another_ends_them_before() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 2000, 5001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    // One behind it is none.
    bench.push(client(ACK | FIN, 2001, 5001, ""));
    bench.push(client(ACK | FIN, 1004, 5001, ""));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            Seen::Stalled(Forward, Stall::FalseFin, [4, 7], false),
            Seen::End(Forward, End::Fin),
        ]
    );
    assert_eq!(bench.assembler.counts().ignored_segments, 2);
}

#[test]
fn a_fin_ahead_of_the_bytes_is_dropped_where_they_go_on_beyond_it() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1005, 5001, ""));
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(ACK, 1004, 5001, "def"));
    bench.push(client(ACK | FIN, 1007, 5001, ""));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 5),
            bytes(Forward, "def", 6),
            Seen::Stalled(Forward, Stall::FalseFin, [4, 6], false),
            Seen::End(Forward, End::Fin),
        ]
    );
}

#[test]
fn the_reset_of_an_older_connection_leaves_the_new_one_open() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "abc"));
    bench.push(client(SYN, 2000, 0, ""));
    bench.push(server(ACK, 5001, 1004, ""));
    bench.push(client(RST, 1004, 0, ""));
    bench.push(client(SYN, 2000, 0, ""));
    bench.push(server(SYN | ACK, 9000, 2001, ""));
    bench.push(client(ACK, 2001, 9001, "new"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "abc", 4),
            Seen::Closed(Closed::Replaced),
            bytes(Forward, "new", 10),
            Seen::Closed(Closed::CaptureEnd),
        ]
    );
}

#[test]
fn a_refused_connection_is_closed_and_another_try_is_another_connection() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.push(client(SYN, 1000, 0, ""));
        bench.push(server(RST | ACK, 0, 1001, ""));
    }
    let closed = [
        Seen::End(Backward, End::Reset),
        Seen::End(Forward, End::Reset),
        Seen::Closed(Closed::Refused),
    ];
    assert_eq!(bench.events(), [closed.clone(), closed].concat());
    assert_eq!(bench.assembler.counts().connections, 2);
}

#[test]
fn a_connection_that_came_to_be_is_not_refused() {
    // The RST comes after SYN-ACK, or names another number, or is the client's own.
    let endings: [&[Sent<'_>]; 3] = [
        &[
            server(SYN | ACK, 5000, 1001, ""),
            server(RST | ACK, 5001, 1001, ""),
        ],
        &[server(RST | ACK, 0, 999, "")],
        &[client(RST | ACK, 1001, 1, "")],
    ];
    for ending in endings {
        let mut bench = Bench::new();
        bench.push(client(SYN, 1000, 0, ""));
        for segment in ending {
            bench.push(*segment);
        }
        let last = bench.events().pop();
        assert_eq!(last, Some(Seen::Closed(Closed::Reset)));
    }
}

#[test]
fn the_same_endpoints_are_used_again_after_a_proper_end() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1001, 5001, ""));
    bench.push(server(ACK | FIN, 5001, 1002, ""));
    bench.push(client(ACK, 1002, 5002, ""));
    bench.push(client(SYN, 900_000, 0, ""));
    bench.push(server(SYN | ACK, 70, 900_001, ""));
    bench.push(client(ACK, 900_001, 71, "new"));
    bench.events();
    bench.push(server(ACK, 71, 900_004, "yes"));
    assert_eq!(bench.seen, [(ConnectionId(1), bytes(Backward, "yes", 10))]);
}

#[test]
fn a_syn_with_another_number_replaces_a_connection_that_never_ended() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "old"));
    bench.push(server(ACK, 5010, 1004, "waits"));
    bench.push(client(SYN, 2000, 0, ""));
    bench.push(server(SYN | ACK, 8000, 2001, ""));
    bench.push(client(ACK, 2001, 8001, "new"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "old", 4),
            Seen::Gap(Backward, 9, GapCause::EndOfCapture),
            bytes(Backward, "waits", 5),
            Seen::Closed(Closed::Replaced),
            bytes(Forward, "new", 8),
        ]
    );
    assert_eq!(bench.connections[1].id, ConnectionId(1));
}

#[test]
fn a_new_connection_whose_syn_was_not_captured_shows_by_the_answer() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "old"));
    bench.push(server(SYN | ACK, 8000, 2001, ""));
    bench.push(client(ACK, 2001, 8001, "new"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "old", 4),
            Seen::Closed(Closed::Replaced),
            bytes(Forward, "new", 6),
        ]
    );
}

#[test]
fn after_the_end_bytes_from_far_away_are_another_connection() {
    let mut bench = Bench::opened();
    bench.push(client(RST, 1001, 0, ""));
    bench.push(client(ACK, 1001, 5001, "late"));
    bench.events();
    bench.push(client(ACK | PSH, 1 << 30, 99, "other"));
    assert_eq!(bench.seen, [(ConnectionId(1), bytes(Forward, "other", 6))]);
    assert_eq!(bench.assembler.counts().after_end_bytes, 4);
}

#[test]
fn a_syn_after_a_connection_that_the_capture_joined_is_another_connection() {
    let mut bench = Bench::new();
    bench.push(server(ACK, 5000, 1001, "x"));
    bench.push(client(SYN, 4000, 0, ""));
    bench.push(client(ACK, 4001, 0, "new"));
    assert_eq!(
        bench.events(),
        [
            bytes(Forward, "x", 1),
            Seen::Closed(Closed::Replaced),
            bytes(Forward, "new", 3)
        ]
    );
    assert_eq!(bench.connections[1].initiator, endpoint(CLIENT));
}

#[test]
fn the_state_is_new_for_each_connection() {
    let mut bench = Bench::opened();
    bench.push(client(ACK, 1001, 5001, "a"));
    bench.push(client(SYN, 2000, 0, ""));
    bench.push(client(ACK, 2001, 0, "b"));
    // A state of 0 writes the connection down: it was 0 at each connection's first event.
    assert_eq!(bench.connections.len(), 2);
}

#[test]
fn a_full_table_evicts_who_was_silent_longest_and_reports_it() {
    let mut bench = Bench::with(Limits {
        connections: 3,
        ..Limits::default()
    });
    for port in 1..=3 {
        bench.push(Sent {
            ends: (port, SERVER),
            ..client(ACK | PSH, 1, 0, "a")
        });
    }
    // The first new one makes the hand go round once and takes the first slot.
    for port in 4..=5 {
        for talker in [3, port] {
            bench.push(Sent {
                ends: (talker, SERVER),
                ..client(ACK | PSH, 2, 0, "b")
            });
        }
    }
    let evicted: Vec<_> = bench
        .seen
        .iter()
        .filter(|(_, seen)| *seen == Seen::Closed(Closed::Evicted))
        .map(|(id, _)| id.0)
        .collect();
    assert_eq!(evicted, [0, 1]);
    assert_eq!(bench.assembler.counts().evicted, 2);
    bench.seen.clear();
    bench.finish();
    let closed: Vec<_> = bench.seen.iter().map(|(id, _)| id.0).collect();
    assert_eq!(closed, [2, 3, 4]);
}

#[test]
fn closed_connections_make_room_before_an_open_one_is_evicted() {
    let mut bench = Bench::with(Limits {
        connections: 2,
        ..Limits::default()
    });
    for port in 1..=50 {
        let ends = (port, SERVER);
        bench.push(Sent {
            ends,
            ..client(ACK | PSH, 1, 0, "a")
        });
        if port > 1 {
            bench.push(Sent {
                ends,
                ..client(RST, 2, 0, "")
            });
        }
    }
    assert_eq!(bench.assembler.counts().evicted, 0);
    assert_eq!(bench.assembler.counts().connections, 50);
}

#[test]
fn lingering_connections_have_a_cap() {
    for lingering in [0, 5] {
        let mut bench = Bench::with(Limits {
            closed_connections: lingering,
            ..Limits::default()
        });
        for port in 1..=50 {
            let ends = (port, SERVER);
            bench.push(Sent {
                ends,
                ..client(ACK | PSH, 1, 0, "a")
            });
            bench.push(Sent {
                ends,
                ..client(RST, 2, 0, "")
            });
        }
        assert!(bench.assembler.slots_held() <= lingering + 1);
        assert_eq!(bench.assembler.counts().bytes, 50);
    }
}

#[test]
fn a_stray_stream_behind_an_end_that_was_held_back_is_counted() {
    let mut bench = Bench::opened();
    bench.push(client(ACK | FIN, 1010, 5001, "end"));
    let far = 1001_u32.wrapping_sub(1 << 27);
    bench.push(client(ACK, far, 5001, "abc"));
    bench.push(client(ACK, far.wrapping_add(3), 5001, "defg"));
    bench.finish();
    assert_eq!(
        bench.events(),
        [
            Seen::Gap(Forward, 9, GapCause::NotCaptured),
            bytes(Forward, "end", 4),
            Seen::End(Forward, End::Fin),
            Seen::Closed(Closed::CaptureEnd)
        ]
    );
    let counts = bench.assembler.counts();
    assert_eq!((counts.unplaced_bytes, counts.after_end_bytes), (3, 4));
}
