//! Sessions, client identifiers, keep alive, takeovers, ends.

use super::*;
use crate::base::limits::Limit;
use crate::event::{Cause, EndCause, Level, Stall, Stalled};

fn cause(run: &Run, connection: u32) -> EndCause {
    run.sessions
        .iter()
        .flat_map(|session| &session.connections)
        .find(|one| one.connection.0 == connection)
        .unwrap()
        .end
        .cause
}

#[test]
fn a_session_goes_on_across_connections() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).take(0, "t", 1).leave(0);
    run.stay(1, "s", true).leave(1).finish();
    assert_eq!(run.sessions.len(), 1);
    let session = &run.sessions[0];
    assert_eq!(session.client_id.as_deref(), Some("s"));
    assert_eq!(session.connections.len(), 2);
    assert_eq!(session.subscriptions.len(), 1);
    assert_eq!(session.connections[0].packets, [3, 2]);
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_clean_start_finds_no_session() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    let frame = run.server(0, connack(V3, true, 0, &[]));
    run.leave(0).finish();
    assert_eq!(run.found("session-present-after-clean-start"), frame);
}

#[test]
fn a_server_remembers_the_session_that_it_was_asked_to_keep() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).leave(0);
    run.open(1);
    let hello = Hello {
        clean: false,
        ..Hello::new("s")
    };
    run.client(1, connect(V3, &hello));
    let frame = run.server(1, connack(V3, false, 0, &[]));
    run.leave(1).finish();
    assert_eq!(run.found("session-forgotten"), frame);
    assert_eq!(run.sessions.len(), 2);
}

#[test]
fn what_a_client_asks_for_before_its_connack_is_of_the_new_session() {
    for (before, over) in [("t", "other"), ("other", "third")] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "other", 1).leave(0);
        run.open(1);
        let hello = Hello {
            clean: false,
            ..Hello::new("s")
        };
        run.client(1, connect(V3, &hello));
        run.client(1, subscribe(V3, 7, &[(before, 1)], &[]));
        run.server(1, connack(V3, false, 0, &[]));
        run.server(1, suback(V3, 7, &[1]));
        run.join(2, "p");
        run.client(2, numbered(V3, before, b"x", 1, 1));
        run.server(2, puback(1));
        run.server(1, numbered(V3, before, b"x", 1, 1));
        run.client(1, puback(1));
        // Not asked for again: the session that had it is over.
        let frame = run.server(1, numbered(V3, over, b"y", 1, 2));
        run.client(1, puback(2));
        run.leave(1).leave(2).finish();
        assert_eq!(run.found("delivery-without-subscription"), frame);
        assert_eq!(run.rules(), ["delivery-without-subscription"], "{before}");
    }
}

#[test]
fn an_expired_session_is_not_present() {
    let mut run = Run::new(V5);
    run.stay(0, "s", false).leave(0).wait(3_700_000);
    run.open(1);
    let hello = Hello {
        clean: false,
        ..Hello::new("s")
    };
    run.client(1, connect(V5, &hello));
    let frame = run.server(1, connack(V5, true, 0, &[]));
    run.leave(1).finish();
    assert_eq!(run.found("session-from-nowhere"), frame);
}

#[test]
fn a_session_that_ended_is_not_present() {
    let mut run = Run::new(V3);
    run.join(0, "s").leave(0);
    run.open(1);
    let hello = Hello {
        clean: false,
        ..Hello::new("s")
    };
    run.client(1, connect(V3, &hello));
    let frame = run.server(1, connack(V3, true, 0, &[]));
    run.leave(1).finish();
    assert_eq!(run.found("session-from-nowhere"), frame);
}

#[test]
fn an_empty_identifier_needs_a_clean_session_or_an_assigned_one() {
    let mut run = Run::new(V3);
    run.open(0);
    let hello = Hello {
        clean: false,
        ..Hello::new("")
    };
    run.client(0, connect(V3, &hello));
    let accepted = run.server(0, connack(V3, false, 0, &[]));
    run.leave(0).finish();
    assert_eq!(run.found("empty-client-id-accepted"), accepted);
    run.finding("empty-client-id-is-clean");

    let mut run = Run::new(V5);
    run.open(0);
    run.client(0, connect(V5, &Hello::new("")));
    let unassigned = run.server(0, connack(V5, false, 0, &[]));
    run.leave(0);
    run.open(1);
    run.client(1, connect(V5, &Hello::new("")));
    run.server(1, connack(V5, false, 0, &string(0x12, "given")));
    run.leave(1).finish();
    assert_eq!(run.rules(), ["client-id-not-assigned"]);
    assert_eq!(run.found("client-id-not-assigned"), unassigned);
    let given = &run.sessions[1];
    assert_eq!(given.client_id.as_deref(), Some("given"));
    assert!(given.assigned);
}

#[test]
fn a_plain_identifier_is_not_refused() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("abc123")));
    let frame = run.server(0, connack(V3, false, 2, &[]));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("plain-client-id-refused"), frame);
    assert_eq!(cause(&run, 0), EndCause::Refused { code: 2 });
}

#[test]
fn an_unknown_protocol_is_refused() {
    let mut run = Run::new(V3);
    run.open(0);
    let hello = Hello {
        level: 9,
        ..Hello::new("a")
    };
    run.client(0, connect(V3, &hello));
    let frame = run.server(0, connack(V3, false, 0, &[]));
    run.leave(0).finish();
    assert_eq!(run.found("unsupported-version-accepted"), frame);
}

fn with_keep_alive(run: &mut Run, id: &str, seconds: u16) {
    let version = run.version;
    run.open(0);
    let hello = Hello {
        keep_alive: seconds,
        ..Hello::new(id)
    };
    run.client(0, connect(version, &hello));
    run.server(0, connack(version, false, 0, &[]));
}

#[test]
fn silence_beyond_the_keep_alive_is_measured() {
    let mut run = Run::new(V3);
    with_keep_alive(&mut run, "sleepy", 1);
    let last = run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.wait(1900)
        .end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("keepalive-violation"), last);
    assert!(matches!(
        cause(&run, 0),
        EndCause::KeepAlive { silence, keep_alive: 1 } if silence.nanos() > 1_900_000_000
    ));
}

#[test]
fn a_dutiful_client_pings_in_time() {
    let mut run = Run::new(V3);
    with_keep_alive(&mut run, "dutiful", 1);
    for _ in 0..5 {
        run.wait(1100);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
    }
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_silence_ends_with_the_servers_fin() {
    let mut run = Run::new(V3);
    with_keep_alive(&mut run, "blocked", 1);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.wait(1600);
    let fin = run.fin(0, Sender::Server);
    run.wait(3000)
        .end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    let end = run.sessions[0].connections[0].end;
    assert_eq!(end.stamp.number, fin);
    assert!(matches!(
        end.cause,
        EndCause::KeepAlive { silence, .. } if silence.nanos() < 1_700_000_000
    ));
}

#[test]
fn before_connack_there_is_nothing_to_keep_alive() {
    let mut run = Run::new(V3);
    run.open(0);
    let hello = Hello {
        keep_alive: 1,
        ..Hello::new("a")
    };
    let frame = run.client(0, connect(V3, &hello));
    run.wait(100_000).end(0, Closed::CaptureEnd, None);
    run.finish();
    assert_eq!(run.rules(), ["connect-unanswered"]);
    assert_eq!(run.found("connect-unanswered"), frame);

    // A CONNACK that comes late begins the keep alive anew.
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &hello));
    run.wait(5000);
    run.server(0, connack(V3, false, 0, &[]));
    run.wait(1000);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_server_that_answers_after_a_silence_did_not_enforce_the_keep_alive() {
    for (silence, answers, rules) in [
        (
            4000,
            true,
            &["keepalive-violation", "keepalive-not-enforced"][..],
        ),
        // The server may have closed by then, or its clock was late.
        (4000, false, &["keepalive-violation"][..]),
        (3400, true, &["keepalive-violation"][..]),
    ] {
        let mut run = Run::new(V3);
        with_keep_alive(&mut run, "a", 1);
        run.wait(silence);
        run.client(0, PINGREQ);
        if answers {
            run.server(0, PINGRESP);
        }
        run.end(0, Closed::Finished, Some(Sender::Server));
        run.finish();
        assert_eq!(run.rules(), rules, "{silence} {answers}");
    }
}

#[test]
fn a_server_enforces_the_keep_alive() {
    let mut run = Run::new(V3);
    with_keep_alive(&mut run, "a", 1);
    let last = run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.wait(20_000).join(1, "b").finish();
    assert_eq!(run.found("keepalive-violation"), last);
    assert_eq!(run.found("keepalive-not-enforced"), last);
    assert_eq!(run.finding("no-clean-end").level, Level::Note);
}

#[test]
fn the_servers_keep_alive_counts() {
    let mut run = Run::new(V5);
    run.open(0);
    let hello = Hello {
        keep_alive: 60,
        ..Hello::new("a")
    };
    run.client(0, connect(V5, &hello));
    run.server(0, connack(V5, false, 0, &short(0x13, 1)));
    let last = run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.wait(1900);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(run.found("keepalive-violation"), last);
    assert_eq!(run.sessions[0].connections[0].keep_alive, Some(1));
}

#[test]
fn a_second_connection_of_an_identifier_takes_over() {
    let mut run = Run::new(V3);
    run.join(0, "twin").join(1, "twin");
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.leave(1).finish();
    let takeover = run.finding("takeover");
    assert!(matches!(cause(&run, 0), EndCause::Takeover { by, frame }
        if by == ConnectionId(1) && frame == takeover.stamp.number));
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_five_server_reports_that_the_session_was_taken_over() {
    let mut run = Run::new(V5);
    run.join(0, "twin");
    run.open(1);
    run.client(1, connect(V5, &Hello::new("twin")));
    run.server(0, disconnect(V5, 0x8e));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.server(1, connack(V5, false, 0, &[]));
    run.leave(1).finish();
    assert!(matches!(cause(&run, 0), EndCause::Takeover { .. }));
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_five_server_announces_a_takeover_with_disconnect() {
    let mut run = Run::new(V5);
    run.join(0, "twin").join(1, "twin");
    let frame = run.end(0, Closed::Finished, Some(Sender::Server));
    run.leave(1).finish();
    // Servers that are in use leave it out where the session ends: the text asks for it, and no
    // statement does.
    let found = run.finding("takeover-without-disconnect");
    assert_eq!(found.level, Level::Note);
    assert_eq!((found.stamp.number, found.by), (frame, Cause::Server));
    assert_eq!(found.statements, ["MQTT-3.1.4-3"]);

    // The client was faster, or the DISCONNECT may be in a gap, or it is no MQTT 5.0.
    for (version, by, gap) in [
        (V5, Sender::Client, false),
        (V5, Sender::Server, true),
        (V3, Sender::Server, false),
    ] {
        let mut run = Run::new(version);
        run.join(0, "twin").join(1, "twin");
        if gap {
            run.gap(0, Sender::Server);
        }
        run.end(0, Closed::Finished, Some(by));
        run.leave(1).finish();
        let mut rules = run.findings.iter().map(|one| one.rule);
        assert!(!rules.any(|rule| rule == "takeover-without-disconnect"));
    }
}

/// Takeovers of one identifier, with these pauses before them.
fn takeovers(pauses: &[i64]) -> Run {
    let mut run = Run::new(V3);
    run.join(0, "twin");
    for (at, pause) in (1..).zip(pauses) {
        run.wait(*pause).join(at, "twin");
        run.end(at - 1, Closed::Finished, Some(Sender::Server));
    }
    run.finish();
    run
}

#[test]
fn two_clients_that_push_each_other_off_are_one_loop() {
    let run = takeovers(&[1000; 7]);
    assert_eq!(run.rules(), ["takeover-loop"]);
    let found = run.finding("takeover-loop");
    assert_eq!(found.level, Level::Warning);
    assert!(
        found.message.contains("taken over 7 times within 6.0 s"),
        "{}",
        found.message
    );
    assert!(found.message.contains("192.0.2.7"), "{}", found.message);
    assert!(
        found.message.contains("or one reconnects"),
        "{}",
        found.message
    );
}

#[test]
fn two_clients_of_two_hosts_that_push_each_other_off_are_surely_two() {
    let mut run = Run::new(V3);
    for at in 0..8 {
        run.wait(1000).open_from(7 + at as u8 % 2, at, 1883, true);
        run.client(at, connect(V3, &Hello::new("twin")));
        run.server(at, connack(V3, false, 0, &[]));
        if at > 0 {
            run.end(at - 1, Closed::Finished, Some(Sender::Server));
        }
    }
    run.finish();
    let message = &run.finding("takeover-loop").message;
    assert!(message.contains("two clients seem to use one"), "{message}");
    assert!(!message.contains("or one reconnects"), "{message}");
}

#[test]
fn connections_whose_ends_were_not_captured_are_no_loop() {
    for seen in [true, false] {
        let mut run = Run::new(V3);
        for at in 0..4 {
            run.wait(1000).join(at, "twin");
            if at > 0 && seen {
                run.end(at - 1, Closed::Finished, Some(Sender::Server));
            }
        }
        for at in 0..3 {
            if !seen {
                run.end(at, Closed::CaptureEnd, None);
            }
        }
        run.finish();
        assert_eq!(run.rules().contains(&"takeover-loop"), seen);
    }
}

#[test]
fn takeovers_now_and_then_are_no_loop() {
    assert_eq!(takeovers(&[1000, 1000]).rules(), [""; 0]);
    assert_eq!(takeovers(&[31_000; 5]).rules(), [""; 0]);
    // Two loops with a long pause between them.
    let pauses = [1000, 1000, 1000, 100_000, 1000, 1000];
    assert_eq!(takeovers(&pauses).rules(), ["takeover-loop"; 2]);
}

#[test]
fn two_connections_of_one_identifier_do_not_live_side_by_side() {
    // In a capture with gaps the FIN of the older one may be missing.
    for (gap, used, reported) in [(false, 1, true), (true, 1, false), (true, 0, true)] {
        let mut run = Run::new(V3);
        run.join(0, "twin").join(1, "twin").join(2, "other");
        if gap {
            run.gap(2, Sender::Client);
        }
        run.wait(5000);
        run.client(used, PINGREQ);
        run.server(used, PINGRESP);
        run.wait(5000);
        run.client(1, PINGREQ);
        run.server(1, PINGRESP);
        run.finish();
        let found = run.rules().contains(&"takeover-not-enforced");
        assert_eq!(found, reported, "{gap} {used}");
    }
}

#[test]
fn what_waited_to_be_sent_since_before_a_takeover_is_no_sign_of_life() {
    // How long after the takeover the copy comes and the client resets, and whether it did not read.
    for (millis, slow, reported) in [
        (500, false, false),
        (3000, true, false),
        (3000, false, true),
    ] {
        let mut run = Run::new(V3);
        run.join(0, "twin").take(0, "t", 0);
        let since = run.stamp();
        run.join(1, "twin").wait(millis);
        if slow {
            let stamp = run.stamp();
            run.observe(&Event::Stalled(&Stalled {
                connection: ConnectionId(0),
                sender: Sender::Client,
                stall: Stall::ZeroWindow,
                since,
                lasting: false,
                stamp,
            }));
        }
        run.server(0, publish(V3, "t", b"x", Sent::default()));
        run.end(0, Closed::Reset, Some(Sender::Client));
        run.finish();
        let rules = run.rules();
        let found = rules.contains(&"takeover-not-enforced");
        assert_eq!(found, reported, "{millis} {slow} {rules:?}");
        assert!(
            !rules.contains(&"delivery-without-subscription"),
            "{rules:?}"
        );
    }
    // An answer within that time is one.
    let mut run = Run::new(V3);
    run.join(0, "twin").join(1, "twin").wait(500);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.end(0, Closed::Reset, Some(Sender::Client));
    run.finish();
    run.finding("takeover-not-enforced");
}

#[test]
fn what_a_client_asked_for_in_a_gap_lasts_as_long_as_its_session() {
    for (gap, rules) in [(true, &[][..]), (false, &["delivery-without-subscription"])] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false);
        if gap {
            run.gap(0, Sender::Client);
        }
        run.leave(0).stay(1, "s", true);
        run.server(1, publish(V3, "t", b"x", Sent::default()));
        run.leave(1).finish();
        let found = run.rules();
        let found: Vec<_> = found
            .iter()
            .filter(|rule| **rule != "missing-octets")
            .collect();
        assert_eq!(found, rules.iter().collect::<Vec<_>>(), "{gap}");
    }
}

#[test]
fn a_connect_that_was_refused_or_never_answered_takes_nothing_over() {
    for answer in [Some(5), None] {
        let mut run = Run::new(V3);
        run.join(0, "twin").open(1);
        run.client(1, connect(V3, &Hello::new("twin")));
        if let Some(code) = answer {
            run.server(1, connack(V3, false, code, &[]));
        }
        run.end(1, Closed::Finished, Some(Sender::Client));
        run.wait(5000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.finish();
        assert!(
            !run.rules().contains(&"takeover-not-enforced"),
            "{:?}",
            run.rules()
        );
    }
}

#[test]
fn a_close_by_the_server_is_reported_with_the_packet_before_it() {
    for (why, how) in [(Closed::Reset, "reset"), (Closed::Finished, "closed")] {
        let mut run = Run::new(V3);
        run.join(0, "a");
        let last = run.client(0, publish(V3, "t", &[0; 500], Sent::default()));
        let end = run.end(0, why, Some(Sender::Server));
        run.finish();
        let found = run.finding("closed-by-server");
        assert_eq!((found.stamp.number, found.by), (end, Cause::Server));
        assert_eq!((found.level, &*found.frames), (Level::Note, &[last][..]));
        let words = format!("The server {how} the connection of client a 0.000100 s after");
        assert!(found.message.starts_with(&words), "{}", found.message);
        assert!(found.message.contains("too large"), "{}", found.message);
    }
    // What came after the first FIN is not what the server answered with it, a fault neither.
    for bytes in [
        publish(V3, "t", b"x", Sent::default()),
        subscribe(V3, 0, &[("t", 0)], &[]),
    ] {
        let mut run = Run::new(V3);
        run.join(0, "a");
        let fin = run.fin(0, Sender::Server);
        let late = run.client(0, bytes);
        run.end(0, Closed::Reset, Some(Sender::Server));
        run.finish();
        let found = run.finding("closed-by-server");
        assert_eq!((found.stamp.number, &*found.frames), (fin, &[late][..]));
        assert!(
            found.message.contains("it did not read"),
            "{}",
            found.message
        );
    }
    // What was sent before it, in a frame that stands behind it in the capture, is.
    let mut run = Run::new(V3);
    run.join(0, "a");
    let fin = run.stamp();
    let last = run.client(0, subscribe(V3, 0, &[("t", 0)], &[]));
    run.fin_at(0, Sender::Server, fin);
    run.end(0, Closed::Reset, Some(Sender::Server));
    run.finish();
    let found = run.finding("closed-by-server");
    assert_eq!(
        (found.stamp.number, &*found.frames),
        (fin.number, &[last][..])
    );
    let words = "0.000000 s after its SUBSCRIBE";
    assert!(found.message.contains(words), "{}", found.message);
    assert!(
        found.message.contains("breaks the protocol"),
        "{}",
        found.message
    );
    // The client did it, or the end has a cause of its own: no such finding.
    let mut run = Run::new(V3);
    run.join(0, "a").join(1, "b").join(2, "c");
    run.end(0, Closed::Reset, Some(Sender::Client));
    run.end(1, Closed::Reset, None);
    run.client(2, disconnect(V3, 0));
    run.end(2, Closed::Finished, Some(Sender::Server));
    run.finish();
    let rules: Vec<_> = run.findings.iter().map(|one| one.rule).collect();
    assert_eq!(rules, ["connection-reset"; 2]);
}

#[test]
fn each_end_has_its_cause() {
    let mut run = Run::new(V3);
    for at in 0..3 {
        run.join(at, &format!("c{at}"));
    }
    run.end(0, Closed::Finished, Some(Sender::Client));
    run.end(1, Closed::Reset, Some(Sender::Server));
    run.finish();
    assert_eq!(
        cause(&run, 0),
        EndCause::Fin {
            by: Some(Sender::Client)
        }
    );
    assert_eq!(
        cause(&run, 1),
        EndCause::Reset {
            by: Some(Sender::Server)
        }
    );
    assert_eq!(cause(&run, 2), EndCause::CaptureEnd);
}

/// Client `s` leaves its clean session and finds one all the same, while `w` is sent so many
/// messages of a publisher that is not in the capture.
fn a_session_after_its_end(outside: usize) -> Run {
    let mut run = Run::new(V3);
    run.join(7, "w").take(7, "#", 0);
    run.join(0, "s").leave(0);
    run.open(1);
    let hello = Hello {
        clean: false,
        ..Hello::new("s")
    };
    run.client(1, connect(V3, &hello));
    run.server(1, connack(V3, true, 0, &[]));
    run.leave(1);
    for at in 0..outside {
        run.server(7, publish(V3, "far", &[at as u8], Sent::default()));
    }
    run.wait(5000).leave(7).finish();
    run
}

#[test]
fn what_clients_outside_the_capture_may_have_done_is_no_finding() {
    let run = a_session_after_its_end(0);
    assert_eq!(run.rules(), ["session-from-nowhere"]);
    // One copy may have another cause, and shows enough to be silent.
    assert_eq!(a_session_after_its_end(1).rules(), [""; 0]);
    let run = a_session_after_its_end(3);
    assert_eq!(run.rules(), [""; 0]);
    let note = run.finding("one-sided-capture");
    assert!(note.message.contains("3 copies"), "{}", note.message);
}

#[test]
fn connections_of_which_one_direction_was_captured_are_one_note() {
    for both_seen in [false, true] {
        let mut run = Run::new(V3);
        run.both_seen = both_seen;
        for connection in [0, 1] {
            let hello = Hello {
                clean: false,
                ..Hello::new(["a", "b"][connection as usize])
            };
            run.open(connection);
            run.client(connection, connect(V3, &hello));
            run.client(connection, numbered(V3, "t", b"x", 1, 1));
            run.client(connection, numbered(V3, "t", b"y", 2, 2));
            // The same identifier again: nothing shows that the first was not acknowledged.
            run.client(connection, numbered(V3, "t", b"z", 1, 1));
            run.client(connection, disconnect(V3, 0));
            run.gap(connection, Sender::Server);
            run.end(connection, Closed::Finished, Some(Sender::Client));
        }
        run.finish();
        if both_seen {
            assert!(run.rules().contains(&"missing-octets"));
            continue;
        }
        assert_eq!(run.rules(), [""; 0]);
        let note = run.finding("one-sided-capture");
        assert!(
            note.message
                .starts_with("Of 2 connections the capture holds only what the clients sent"),
            "{}",
            note.message
        );
        assert_eq!(note.stamp.number, 1);
    }
}

#[test]
fn a_session_may_have_subscribed_on_a_connection_that_was_not_captured() {
    for (resumed, outsider) in [(true, true), (true, false), (false, false)] {
        let mut run = Run::new(V3);
        run.join(2, "pub").stay(0, "a", false);
        if resumed {
            run.end(0, Closed::Finished, Some(Sender::Client));
            run.stay(1, "a", true);
        }
        let here = u32::from(resumed);
        if outsider {
            run.join(3, "other").take(3, "#", 0);
            run.server(3, publish(V3, "from/outside", b"x", Sent::default()));
        }
        let message = publish(V3, "t", b"x", Sent::default());
        run.client(2, &message);
        run.server(here, &message);
        run.client(here, PINGREQ);
        run.server(here, PINGRESP);
        run.leave(here).leave(2).finish();
        let found = run.rules().contains(&"delivery-without-subscription");
        assert_eq!(found, !outsider, "{resumed}");
    }
}

#[test]
fn an_acknowledgement_that_crosses_a_takeover_is_no_stray() {
    for takeover in [true, false] {
        let mut run = Run::new(V3);
        run.stay(0, "a", false).take(0, "#", 1);
        run.join(2, "pub");
        run.client(2, numbered(V3, "t", b"x", 1, 1));
        run.server(2, puback(1));
        run.server(0, numbered(V3, "t", b"x", 1, 4));
        if takeover {
            run.stay(1, "a", true);
        } else {
            run.client(0, puback(4));
        }
        run.client(0, puback(4));
        run.client(0, PINGREQ);
        run.server(2, PINGRESP);
        run.end(0, Closed::Finished, Some(Sender::Server));
        run.leave(2).finish();
        let found = run.rules().contains(&"ack-without-publish");
        assert_eq!(found, !takeover);
    }
}

/// A run in which so many filters are kept of the requests that wait for their answers.
fn with_filters(filters: usize) -> Run {
    let limits = Limits {
        filters,
        ..Limits::DEFAULT
    };
    Run::with(V3, &limits)
}

/// A SUBSCRIBE of five filters, whose first is granted.
fn ask_for_five(run: &mut Run) {
    let asked = ["a", "b", "c", "d", "e"].map(|filter| (filter, 1));
    run.client(0, subscribe(V3, 7, &asked, &[]));
    run.server(0, suback(V3, 7, &[1; 5]));
}

#[test]
fn of_a_request_so_many_filters_are_kept_and_the_others_are_counted() {
    let mut run = with_filters(3);
    run.join(0, "sub");
    ask_for_five(&mut run);
    run.server(0, publish(V3, "e", b"x", Sent::default()));
    // The first has its answer: there is room again.
    let asked = ["a", "b", "c"];
    run.client(0, unsubscribe(V3, 8, &asked));
    run.server(0, unsuback(V3, 8, &[]));
    run.leave(0).finish();
    let one = run.one(HandshakeKind::Subscribe, Sender::Client);
    assert_eq!((one.filters().len(), one.filters_left_out), (3, 2));
    let one = run.one(HandshakeKind::Unsubscribe, Sender::Client);
    assert_eq!((one.filters().len(), one.filters_left_out), (3, 0));
    // The number of codes is right, and a subscription that is not kept explains any copy.
    assert_eq!(run.rules(), Vec::<&str>::new());
    assert_eq!(run.analyzer.reached().times(Limit::Filters), 1);
}

#[test]
fn a_request_that_just_fits_is_kept_whole() {
    let mut run = with_filters(5);
    run.join(0, "sub");
    ask_for_five(&mut run);
    run.server(0, publish(V3, "e", b"x", Sent::default()));
    run.server(0, publish(V3, "f", b"x", Sent::default()));
    run.server(0, PINGRESP);
    run.leave(0).finish();
    let one = run.one(HandshakeKind::Subscribe, Sender::Client);
    assert_eq!((one.filters().len(), one.filters_left_out), (5, 0));
    assert!(
        run.rules().contains(&"delivery-without-subscription"),
        "{:?}",
        run.rules()
    );
}

#[test]
fn nothing_is_missed_by_a_filter_that_an_unsubscribe_too_long_to_be_kept_names() {
    let mut run = with_filters(3);
    run.join(0, "sub").join(1, "pub");
    for filter in ["a", "b", "c", "d"] {
        run.take(0, filter, 1);
    }
    run.client(0, unsubscribe(V3, 8, &["a", "b", "c", "d"]));
    run.server(0, unsuback(V3, 8, &[]));
    for (id, topic) in [(1, "c"), (2, "d")] {
        run.client(1, numbered(V3, topic, b"x", 1, id));
        run.server(1, puback(id));
    }
    run.wait(5_000).leave(0).leave(1).finish();
    assert!(
        !run.rules().contains(&"message-not-delivered"),
        "{:?}",
        run.rules()
    );
}
