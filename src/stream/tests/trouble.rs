//! Ends that do not read, bytes that are sent in vain.

use super::*;

/// The client, which advertises this window and has acknowledged up to 5001 + `read`.
fn reads(window: u16, read: u32) -> Sent<'static> {
    Sent {
        window,
        ..client(ACK, 1001, 5001 + read, "")
    }
}

impl Bench {
    /// The stalls among what was emitted since the last call.
    fn stalls(&mut self) -> Vec<Seen> {
        let mut events = self.events();
        events.retain(|seen| matches!(seen, Seen::Stalled(..)));
        events
    }
}

#[test]
fn a_closed_window_lasts_until_it_opens_or_the_connection_is_over() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1001, "abc"));
    bench.push(reads(0, 3));
    bench.push(reads(0, 3));
    assert_eq!(bench.stalls(), []);
    bench.push(reads(9, 3));
    let stall = |frames, lasting| [Seen::Stalled(Forward, Stall::ZeroWindow, frames, lasting)];
    assert_eq!(bench.stalls(), stall([5, 7], false));
    bench.push(reads(9, 3));
    assert_eq!(bench.stalls(), []);
    bench.push(reads(0, 3));
    bench.push(reads(0, 3));
    bench.push(server(RST | ACK, 5004, 1001, ""));
    assert_eq!(bench.stalls(), stall([9, 11], true));
}

#[test]
fn one_window_of_0_may_be_an_older_segment_that_comes_late() {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1001, "abc"));
    bench.push(reads(9, 3));
    bench.push(reads(0, 0));
    bench.push(server(RST | ACK, 5004, 1001, ""));
    assert_eq!(bench.stalls(), []);
}

#[test]
fn a_reset_has_no_window() {
    let mut bench = Bench::opened();
    bench.push(Sent {
        window: 0,
        ..server(RST | ACK, 5001, 1001, "")
    });
    assert_eq!(bench.stalls(), []);
}

/// The server sends the same bytes again so often, with a second or a moment between.
fn again(times: u64, pause: u64) -> Bench {
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1001, "abc"));
    for _ in 0..times {
        bench.frames += pause;
        bench.push(server(ACK, 5001, 1001, "abc"));
    }
    bench
}

/// A second, in frames as the tests count time.
const SECOND: u64 = 1_000_000;

#[test]
fn bytes_that_are_never_acknowledged_are_reported_at_the_end() {
    let mut bench = again(3, SECOND);
    assert_eq!(bench.stalls(), []);
    bench.push(client(RST, 1001, 0, ""));
    let times = Stall::NotAcknowledged { times: 3 };
    let frames = [SECOND + 5, 3 * SECOND + 8];
    assert_eq!(
        bench.stalls(),
        [Seen::Stalled(Backward, times, frames, true)]
    );
}

#[test]
fn an_acknowledgement_ends_what_was_sent_again() {
    let mut bench = again(3, SECOND);
    bench.push(reads(1000, 3));
    bench.finish();
    assert_eq!(bench.stalls(), []);
    // An older one does not.
    let mut bench = again(3, SECOND);
    bench.push(reads(1000, 0));
    bench.finish();
    assert_eq!(bench.stalls().len(), 1);
}

#[test]
fn copies_and_few_tries_are_no_trouble() {
    for (times, pause) in [(2, SECOND), (9, 1)] {
        let mut bench = again(times, pause);
        bench.finish();
        assert_eq!(bench.stalls(), [], "{times}");
    }
    // Probes of one byte that was read.
    let mut bench = Bench::opened();
    bench.push(server(ACK, 5001, 1001, "abc"));
    for _ in 0..5 {
        bench.frames += SECOND;
        bench.push(server(ACK, 5003, 1001, "c"));
    }
    bench.finish();
    assert_eq!(bench.stalls(), []);
}

#[test]
fn acknowledgements_that_were_not_captured_prove_nothing() {
    let mut bench = Bench::new();
    bench.push(server(ACK, 5001, 1001, "abc"));
    for _ in 0..4 {
        bench.frames += SECOND;
        bench.push(server(ACK, 5001, 1001, "abc"));
    }
    bench.finish();
    assert_eq!(bench.stalls(), []);
}

#[test]
fn connections_with_trouble_beyond_their_limit_are_not_watched_and_counted() {
    for (troubled, watched) in [(1, true), (0, false)] {
        let mut bench = Bench::with(Limits {
            troubled,
            ..Limits::default()
        });
        bench.open();
        bench.push(server(ACK, 5001, 1001, "abc"));
        // Each that is over makes room.
        for _ in 0..2 {
            bench.push(reads(0, 3));
            bench.push(reads(0, 3));
            bench.push(reads(9, 3));
        }
        let stalls = if watched { 2 } else { 0 };
        assert_eq!(bench.stalls().len(), stalls);
        let counted = if watched { 0 } else { 4 };
        assert_eq!(bench.assembler.counts().not_watched, counted);
    }
}
