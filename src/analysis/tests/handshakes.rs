//! Handshakes: complete, refused, incomplete; identifiers; redeliveries.

use super::*;
use crate::event::Cause;
use crate::event::{EndedBy, HandshakeState, Level};

#[test]
fn a_qos_2_handshake_has_four_steps_and_a_duration() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.server(0, pubrec(7));
    run.client(0, pubrel(7));
    run.server(0, pubcomp(7));
    run.leave(0).finish();
    let one = run.one(HandshakeKind::Qos2, Sender::Client);
    assert_eq!(one.state, HandshakeState::Complete);
    assert_eq!(one.steps.len(), 4);
    assert_eq!(one.duration().unwrap().nanos(), 300_000);
    assert_eq!(one.client_id.as_deref(), Some("p"));
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_publish_that_is_never_acknowledged_waits_for_its_puback() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    let frame = run.server(0, numbered(V3, "t", b"x", 1, 1));
    run.wait(400).leave(0).finish();
    let one = run.one(HandshakeKind::Qos1, Sender::Server);
    assert_eq!(
        one.state,
        HandshakeState::Incomplete {
            waiting_for: PacketType::PubAck,
            ended_by: EndedBy::ConnectionClosed
        }
    );
    assert_eq!(run.found("qos1-never-acked"), frame);
}

#[test]
fn an_acknowledgement_that_crosses_the_farewell_is_no_finding() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.take(0, "t", 1);
    run.join(1, "p");
    run.client(1, numbered(V3, "t", b"x", 1, 1));
    run.server(0, numbered(V3, "t", b"x", 1, 1));
    run.server(1, puback(1));
    run.leave(0).leave(1).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_qos_2_handshake_that_stops_names_its_last_packet() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    let frame = run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.server(0, pubrec(7));
    run.wait(2000).end(0, Closed::Reset, Some(Sender::Client));
    run.finish();
    let one = run.one(HandshakeKind::Qos2, Sender::Client);
    assert_eq!(
        one.state,
        HandshakeState::Incomplete {
            waiting_for: PacketType::PubRel,
            ended_by: EndedBy::ConnectionReset
        }
    );
    let finding = run.finding("qos2-stuck");
    assert_eq!(finding.stamp.number, frame);
    assert!(
        finding.message.contains("PUBREL never came"),
        "{}",
        finding.message
    );
}

#[test]
fn what_a_gap_may_hide_is_not_reported_as_not_sent() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.server(0, numbered(V3, "t", b"x", 1, 1));
    run.gap(0, Sender::Client).wait(2000).leave(0).finish();
    let one = run.one(HandshakeKind::Qos1, Sender::Server);
    assert_eq!(
        one.state,
        HandshakeState::Incomplete {
            waiting_for: PacketType::PubAck,
            ended_by: EndedBy::Gap
        }
    );
    assert_eq!(run.rules(), ["missing-octets"]);
}

#[test]
fn a_capture_that_begins_midway_blames_neither_end() {
    let mut run = Run::new(V3);
    run.open_to(0, 1883, false);
    run.client(0, puback(5));
    run.server(0, pubcomp(6));
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.server(0, suback(V3, 9, &[0]));
    run.server(0, publish(V3, "t", b"x", Sent::default()));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    assert_eq!(run.finding("starts-midway").level, Level::Note);
}

#[test]
fn what_is_left_of_a_handshake_is_reported_where_its_start_was_not_captured() {
    let mut run = Run::new(V3);
    run.open_to(0, 1883, false);
    run.client(0, pubrel(6));
    run.server(0, pubcomp(6));
    run.leave(0).finish();
    let one = run.one(HandshakeKind::Qos2, Sender::Client);
    assert_eq!(one.state, HandshakeState::Complete);
    assert_eq!(one.steps.len(), 2);
}

#[test]
fn a_redelivery_on_a_new_connection_belongs_to_its_handshake() {
    for version in [V3, V5] {
        let mut run = Run::new(version);
        run.stay(0, "s", false).take(0, "t", 1);
        run.server(0, numbered(version, "t", b"x", 1, 1));
        run.wait(2000).end(0, Closed::Reset, Some(Sender::Client));
        run.stay(1, "s", true);
        let dup = run.server(1, again(version, "t", b"x", 1, 1));
        run.client(1, puback(1));
        run.leave(1).finish();
        let one = run.one(HandshakeKind::Qos1, Sender::Server);
        assert_eq!(one.state, HandshakeState::Complete, "{version:?}");
        assert!(one.redelivered());
        assert_eq!(one.connection, ConnectionId(0));
        let places: Vec<_> = one.steps.iter().map(|step| step.connection.0).collect();
        assert_eq!(places, [0, 1, 1]);
        assert_eq!(run.found("redelivery"), dup);
        assert_eq!(run.rules(), [""; 0], "{version:?}");
    }
}

#[test]
fn a_session_that_is_gone_gives_its_handshakes_up() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false);
    run.server(0, numbered(V3, "t", b"x", 1, 1));
    run.wait(2000).end(0, Closed::Reset, Some(Sender::Client));
    run.join(1, "s").leave(1).finish();
    assert_eq!(
        run.one(HandshakeKind::Qos1, Sender::Server).state,
        HandshakeState::Incomplete {
            waiting_for: PacketType::PubAck,
            ended_by: EndedBy::ConnectionReset
        }
    );
}

#[test]
fn an_identifier_is_free_after_its_handshake_and_not_before() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"one", 1, 5));
    run.server(0, puback(5));
    run.client(0, numbered(V3, "t", b"two", 1, 5));
    run.server(0, puback(5));
    run.client(0, numbered(V3, "t", b"three", 2, 6));
    run.server(0, pubrec(6));
    let clash = run.client(0, numbered(V3, "t", b"four", 2, 6));
    run.server(0, pubrec(6));
    run.client(0, pubrel(6));
    run.server(0, pubcomp(6));
    run.leave(0).finish();
    assert_eq!(run.rules(), ["packet-id-in-use"]);
    assert_eq!(run.found("packet-id-in-use"), clash);
    let states: Vec<_> = run
        .handshakes
        .iter()
        .filter(|one| one.kind == HandshakeKind::Qos2)
        .map(|one| one.state)
        .collect();
    assert_eq!(
        states,
        [
            HandshakeState::Incomplete {
                waiting_for: PacketType::PubRel,
                ended_by: EndedBy::IdentifierReused
            },
            HandshakeState::Complete
        ]
    );
}

#[test]
fn client_and_server_count_identifiers_separately() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.take(0, "t", 1);
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    run.server(0, numbered(V3, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.client(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    assert_eq!(
        run.one(HandshakeKind::Qos1, Sender::Client).state,
        HandshakeState::Complete
    );
    assert_eq!(
        run.one(HandshakeKind::Qos1, Sender::Server).state,
        HandshakeState::Complete
    );
}

#[test]
fn a_redelivery_has_dup() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    let frame = run.client(0, numbered(V3, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.found("redelivery-without-dup"), frame);
}

#[test]
fn a_first_sending_has_no_dup() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    let frame = run.client(0, again(V3, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.found("dup-on-first-delivery"), frame);
}

#[test]
fn each_copy_of_a_publish_may_be_acknowledged() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    run.client(0, again(V3, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.server(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_five_client_resends_on_a_new_connection_only() {
    let mut run = Run::new(V5);
    run.join(0, "p");
    run.client(0, numbered(V5, "t", b"x", 1, 1));
    let frame = run.client(0, again(V5, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.found("resent-without-reconnecting"), frame);
}

#[test]
fn after_pubrel_the_publish_is_not_sent_again() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 1));
    run.server(0, pubrec(1));
    run.client(0, pubrel(1));
    let frame = run.client(0, again(V3, "t", b"x", 2, 1));
    run.server(0, pubcomp(1));
    run.leave(0).finish();
    assert_eq!(run.found("publish-after-pubrel"), frame);
}

#[test]
fn what_a_resumed_session_owes_is_sent_again() {
    let mut run = Run::new(V3);
    run.stay(0, "p", false);
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    run.wait(2000).end(0, Closed::Reset, Some(Sender::Client));
    run.stay(1, "p", true);
    run.wait(3000).leave(1).finish();
    assert!(
        run.finding("not-resent-after-reconnecting")
            .message
            .contains("Client p")
    );
}

#[test]
fn redeliveries_keep_their_order() {
    let mut run = Run::new(V3);
    run.stay(0, "p", false);
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    run.client(0, numbered(V3, "t", b"y", 1, 2));
    run.end(0, Closed::Reset, Some(Sender::Client));
    run.stay(1, "p", true);
    let frame = run.client(1, again(V3, "t", b"y", 1, 2));
    run.client(1, again(V3, "t", b"x", 1, 1));
    run.server(1, puback(2));
    run.server(1, puback(1));
    run.leave(1).finish();
    assert_eq!(run.found("resent-out-of-order"), frame);
}

#[test]
fn a_refused_message_is_not_sent_again() {
    let mut run = Run::new(V5);
    run.stay(0, "p", false);
    run.client(0, numbered(V5, "t", b"x", 1, 1));
    run.server(0, refusal(0x40, 1, 0x87));
    let frame = run.client(0, again(V5, "t", b"x", 1, 1));
    run.server(0, puback(1));
    run.leave(0).finish();
    assert_eq!(run.found("resent-after-refusal"), frame);
    assert_eq!(run.finding("publish-refused").level, Level::Warning);
    let refused = run
        .handshakes
        .iter()
        .any(|one| matches!(one.state, HandshakeState::Refused { code: 0x87, .. }));
    assert!(refused);
}

#[test]
fn an_acknowledgement_for_nothing_is_reported() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    let frames = [
        run.client(0, puback(1)),
        run.client(0, pubrec(2)),
        run.client(0, pubrel(3)),
        run.client(0, pubcomp(4)),
    ];
    // The server's answers are answers.
    run.server(0, pubrel(2));
    run.client(0, pubcomp(2));
    run.server(0, pubcomp(3));
    run.leave(0).finish();
    let reported: Vec<_> = run
        .findings
        .iter()
        .filter(|finding| finding.rule == "ack-without-publish")
        .map(|finding| finding.stamp.number)
        .collect();
    let mut reported = reported;
    reported.sort_unstable();
    assert_eq!(reported, frames);
}

#[test]
fn a_gap_that_is_certain_later_explains_any_number_of_acknowledgements() {
    for gap in [true, false] {
        let mut run = Run::new(V3);
        run.join(0, "s");
        for id in 1..200 {
            run.client(0, puback(id));
        }
        if gap {
            run.gap(0, Sender::Server);
        }
        run.leave(0).finish();
        assert_eq!(run.rules().contains(&"ack-without-publish"), !gap);
    }
}

#[test]
fn a_gap_that_is_certain_later_explains_an_acknowledgement_for_nothing() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.client(0, puback(1));
    run.gap(0, Sender::Server);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(run.rules(), ["missing-octets"]);
}

#[test]
fn answers_to_requests_name_a_request() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    let stray = run.server(0, suback(V3, 1, &[0]));
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    let ping = run.server(0, PINGRESP);
    run.client(0, subscribe(V3, 2, &[("a", 0)], &[]));
    let wrong = run.server(0, puback(2));
    run.server(0, suback(V3, 2, &[0]));
    run.leave(0).finish();
    assert_eq!(run.found("suback-without-subscribe"), stray);
    assert_eq!(run.found("pingresp-without-pingreq"), ping);
    assert_eq!(run.found("wrong-acknowledgement"), wrong);
}

#[test]
fn qos_2_is_not_acknowledged_with_puback() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 1));
    let frame = run.server(0, puback(1));
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(run.found("wrong-acknowledgement"), frame);
}

#[test]
fn requests_without_answers_are_reported() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    let subscribed = run.client(0, subscribe(V3, 1, &[("a", 0)], &[]));
    let given_up = run.client(0, unsubscribe(V3, 2, &["a"]));
    let ping = run.client(0, PINGREQ);
    run.wait(5000).leave(0).finish();
    assert_eq!(run.found("subscribe-unanswered"), subscribed);
    assert_eq!(run.found("unsubscribe-unanswered"), given_up);
    assert_eq!(run.found("ping-unanswered"), ping);
}

#[test]
fn a_connect_without_an_answer_is_reported() {
    let mut run = Run::new(V3);
    run.open(0);
    let frame = run.client(0, connect(V3, &Hello::new("a")));
    run.wait(5000)
        .end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("connect-unanswered"), frame);
    assert_eq!(
        run.sessions.len(),
        1,
        "the connection is reported all the same"
    );
}

/// A CONNECT without an answer whose connection ends so, after so many milliseconds.
fn unanswered(millis: i64, why: Closed, by: Option<Sender>) -> Run {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    run.wait(millis).end(0, why, by);
    run.finish();
    run
}

#[test]
fn a_connect_is_unanswered_by_whichever_end_closes() {
    use Sender::{Client, Server};
    for (millis, why, by, words) in [
        (1, Closed::Finished, Some(Server), "the server closed"),
        (1, Closed::Reset, Some(Server), "the server reset"),
        (300, Closed::Finished, Some(Client), "the client gave up"),
        (1000, Closed::CaptureEnd, None, "the capture ends"),
    ] {
        let run = unanswered(millis, why, by);
        assert_eq!(run.rules(), ["connect-unanswered"], "{words}");
        let found = run.finding("connect-unanswered");
        assert_eq!(found.by, Cause::Server);
        assert!(found.message.contains(words), "{}", found.message);
    }
    // The answer may have crossed the end, or come after the capture.
    for (millis, why, by) in [
        (40, Closed::Finished, Some(Client)),
        (900, Closed::CaptureEnd, None),
        (5000, Closed::Evicted, None),
    ] {
        assert_eq!(unanswered(millis, why, by).rules(), [""; 0]);
    }
}

#[test]
fn a_connect_whose_answer_may_be_missing_is_not_unanswered() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    run.gap(0, Sender::Server);
    run.wait(5000)
        .end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.rules(), ["missing-octets"]);
}

#[test]
fn a_disconnect_abandons_a_qos_2_message() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    let frame = run.client(0, numbered(V3, "t", b"x", 2, 1));
    run.leave(0).wait(5000).finish();
    assert_eq!(run.rules(), ["qos2-stuck"]);
    let found = run.finding("qos2-stuck");
    assert_eq!((found.stamp.number, found.by), (frame, Cause::Client));
    assert_eq!(found.frames, [frame + 1]);

    // A session keeps it; a released one is the server's; a late PUBREC is the server's fault.
    let mut run = Run::new(V3);
    run.stay(0, "p", false);
    run.client(0, numbered(V3, "t", b"x", 2, 1));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 1));
    run.server(0, pubrec(1));
    run.client(0, pubrel(1));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    for (waited, by) in [(40, Cause::Client), (60, Cause::Server)] {
        let mut run = Run::new(V3);
        run.join(0, "p");
        run.client(0, numbered(V3, "t", b"x", 2, 1));
        run.wait(waited).leave(0).finish();
        assert_eq!(run.finding("qos2-stuck").by, by);
    }
}

#[test]
fn each_pubrel_is_answered() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.server(0, pubrec(7));
    run.client(0, pubrel(7));
    run.client(0, pubrel(7));
    run.server(0, pubcomp(7));
    run.server(0, pubcomp(7));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);

    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.server(0, pubrec(7));
    run.client(0, pubrel(7));
    run.server(0, pubcomp(7));
    let stray = run.server(0, pubcomp(7));
    run.leave(0).finish();
    assert_eq!(run.rules(), ["ack-without-publish"]);
    assert_eq!(run.found("ack-without-publish"), stray);
}

#[test]
fn a_server_may_answer_both_messages_of_one_identifier() {
    for (qos, second) in [(1, puback(5)), (2, pubrec(5))] {
        let mut run = Run::new(V3);
        run.join(0, "p");
        run.client(0, numbered(V3, "t", b"x", qos, 5));
        run.client(0, numbered(V3, "t", b"y", 1, 5));
        run.server(0, &second);
        run.server(0, puback(5));
        run.leave(0).finish();
        assert_eq!(run.rules(), ["packet-id-in-use"], "QoS {qos}");
    }
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 1, 5));
    run.client(0, numbered(V3, "t", b"y", 1, 5));
    for _ in 0..3 {
        run.server(0, puback(5));
    }
    run.leave(0).finish();
    assert_eq!(run.rules(), ["packet-id-in-use", "ack-without-publish"]);
}

/// A connection of a lasting session that ends so, and another one on which an end sends with DUP
/// what the capture does not show in flight.
fn dup_after(sender: Sender, end: impl FnOnce(&mut Run)) -> Run {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).take(0, "t", 1);
    run.wait(5000);
    end(&mut run);
    run.wait(5000).stay(1, "s", true);
    let dup = again(V3, "t", b"x", 1, 7);
    match sender {
        Sender::Server => {
            run.server(1, dup);
            run.client(1, puback(7));
        }
        Sender::Client => {
            run.client(1, dup);
            run.server(1, puback(7));
        }
    }
    run.leave(1).finish();
    run
}

#[test]
fn what_may_not_have_been_read_is_sent_again_with_dup() {
    let found = |run: &Run| run.rules().contains(&"dup-on-first-delivery");
    for sender in [Sender::Client, Sender::Server] {
        // The first attempt may have gone to a connection that was dead.
        for (why, by) in [
            (Closed::Reset, Sender::Client),
            (Closed::Reset, Sender::Server),
            (Closed::Finished, Sender::Server),
        ] {
            let run = dup_after(sender, |run| {
                run.end(0, why, Some(by));
            });
            assert!(!found(&run), "{sender:?} {by:?}");
        }
        let run = dup_after(sender, |run| {
            run.gap(0, sender).leave(0);
        });
        assert!(!found(&run), "{sender:?}");
        // It ended in order: there was no first attempt.
        let run = dup_after(sender, |run| {
            run.leave(0);
        });
        assert!(found(&run), "{sender:?}");
    }
    // The server wrote to a client that had closed: what it had not read was lost.
    let run = dup_after(Sender::Server, |run| {
        run.client(0, disconnect(V3, 0));
        run.server(0, PINGRESP);
        run.end(0, Closed::Finished, Some(Sender::Client));
    });
    assert!(!found(&run));
    // An acknowledgement that crossed the DISCONNECT.
    let run = dup_after(Sender::Client, |run| {
        run.client(0, numbered(V3, "t", b"x", 1, 7));
        run.server(0, puback(7));
        run.leave(0);
    });
    assert!(!found(&run));
}

#[test]
fn what_may_be_sent_again_is_sent_soon_on_the_next_connection() {
    for sender in [Sender::Client, Sender::Server] {
        for (millis, expected) in [(500, false), (1500, true)] {
            let run = dup_after(sender, |run| {
                run.end(0, Closed::Reset, Some(Sender::Client));
                run.stay(2, "s", true).wait(millis).leave(2);
            });
            let found = run.rules().contains(&"dup-on-first-delivery");
            assert_eq!(found, expected, "{sender:?} {millis}");
        }
    }
}

#[test]
fn a_client_may_send_again_what_a_lost_session_had() {
    for (digest, expected) in [(b"x", false), (b"y", true)] {
        let mut run = Run::new(V3);
        run.stay(0, "p", false);
        run.client(0, numbered(V3, "t", b"x", 1, 1));
        run.wait(2000).leave(0);
        run.stay(1, "p", false);
        run.client(1, again(V3, "t", digest, 1, 1));
        run.server(1, puback(1));
        run.leave(1).finish();
        let found = run.rules().contains(&"dup-on-first-delivery");
        assert_eq!(found, expected);
    }
}

#[test]
fn a_capture_of_one_direction_blames_neither_end() {
    let mut run = Run::new(V3);
    run.both_seen = false;
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    run.client(0, subscribe(V3, 1, &[("a", 0)], &[]));
    run.client(0, numbered(V3, "t", b"x", 1, 2));
    run.wait(5000).leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn slow_answers_and_the_40_ms_pattern_are_reported() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    for id in 1..=3 {
        run.client(0, numbered(V3, "t", b"x", 1, id));
        // A copy of the message before: what follows it waits for TCP's acknowledgement.
        run.server(0, publish(V3, "other", b"x", Sent::default()));
        run.wait(41);
        run.server(0, puback(id));
    }
    run.client(0, numbered(V3, "t", b"x", 1, 9));
    run.wait(1500);
    let slow = run.server(0, puback(9));
    run.leave(0).finish();
    assert_eq!(run.found("slow-acknowledgement"), slow);
    assert_eq!(run.finding("delayed-ack-40-ms").level, Level::Note);
}

#[test]
fn what_an_earlier_connection_of_the_session_lost_in_a_gap_is_not_missed_later() {
    // PUBLISH and PUBREC in a gap, then PUBREL.
    for gap in [false, true] {
        let mut run = Run::new(V3);
        run.stay(0, "p", false);
        if gap {
            run.gap(0, Sender::Client);
        }
        run.wait(2000).leave(0);
        run.stay(1, "p", true);
        run.client(1, pubrel(5));
        run.server(1, pubcomp(5));
        run.wait(2000).leave(1).finish();
        assert_eq!(run.rules().contains(&"ack-without-publish"), !gap);
    }
    // PUBACK in a gap: nothing is owed.
    for gap in [false, true] {
        let mut run = Run::new(V3);
        run.stay(0, "p", false);
        run.client(0, numbered(V3, "t", b"x", 1, 5));
        if gap {
            run.gap(0, Sender::Server);
        }
        run.wait(2000).end(0, Closed::Reset, Some(Sender::Client));
        run.stay(1, "p", true);
        run.wait(3000).leave(1).finish();
        assert_eq!(run.rules().contains(&"not-resent-after-reconnecting"), !gap);
    }
}

#[test]
fn answers_after_40_ms_are_no_pattern_where_nothing_is_outstanding() {
    // Nothing was sent before the answer; it was, and the peer's next packet acknowledges it; it
    // went out long before, or just before.
    for (before, between, millis) in [
        (false, false, 0),
        (true, true, 0),
        (true, false, 100),
        (true, false, 41),
    ] {
        let mut run = Run::new(V3);
        run.join(0, "p");
        for id in 1..=6 {
            if millis == 100 {
                run.server(0, publish(V3, "other", b"x", Sent::default()));
                run.wait(millis);
            }
            run.client(0, numbered(V3, "t", b"x", 1, id));
            if before && millis == 0 {
                run.server(0, publish(V3, "other", b"x", Sent::default()));
            }
            if between {
                run.client(0, PINGREQ);
                run.client(0, publish(V3, "t", b"y", Sent::default()));
            }
            run.wait(41);
            if millis == 41 {
                run.server(0, publish(V3, "other", b"x", Sent::default()));
            }
            run.server(0, puback(id));
        }
        run.leave(0).finish();
        assert!(
            !run.rules().contains(&"delayed-ack-40-ms"),
            "{before} {between} {millis}"
        );
    }
}

#[test]
fn slow_answers_of_one_end_are_one_finding_with_their_number_and_the_slowest() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    for id in 1..=4 {
        run.server(0, numbered(V3, "t", b"x", 1, id));
    }
    let mut answers = Vec::new();
    for id in 1..=4 {
        run.wait(if id == 3 { 900 } else { 400 });
        answers.push(run.client(0, puback(id)));
    }
    // The other end's one slow answer has a finding of its own.
    run.client(0, numbered(V3, "t", b"x", 1, 9));
    run.wait(1500);
    let other = run.server(0, puback(9));
    run.leave(0).finish();
    let slow = run
        .findings
        .iter()
        .filter(|one| one.rule == "slow-acknowledgement");
    let [client, server] = slow.collect::<Vec<_>>()[..] else {
        panic!("{:#?}", run.findings);
    };
    // The first two came within a second.
    let repeats = client.repeats.unwrap();
    assert_eq!(
        (repeats.count, repeats.first_frame, repeats.last_frame),
        (2, answers[2], answers[3])
    );
    assert_eq!(
        (client.stamp.number, client.by),
        (answers[2], crate::event::Cause::Client)
    );
    assert_eq!(client.frames, [answers[3]]);
    assert!(
        client.message.starts_with("From here to frame"),
        "{}",
        client.message
    );
    assert_eq!((server.stamp.number, server.repeats), (other, None));
}

#[test]
fn suback_answers_each_filter_with_what_was_asked_or_less() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.client(0, subscribe(V3, 1, &[("a", 0), ("b", 1)], &[]));
    let above = run.server(0, suback(V3, 1, &[1, 0x80]));
    run.client(0, subscribe(V3, 2, &[("c", 0), ("d", 1)], &[]));
    let short = run.server(0, suback(V3, 2, &[0]));
    run.leave(0).finish();
    assert_eq!(run.found("granted-above-asked"), above);
    assert_eq!(run.found("subscription-refused"), above);
    assert_eq!(run.found("suback-codes-match"), short);
}

#[test]
fn a_subscription_that_fails_whole_is_refused() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.client(0, subscribe(V3, 1, &[("a", 0)], &[]));
    let frame = run.server(0, suback(V3, 1, &[0x80]));
    run.leave(0).finish();
    assert_eq!(run.found("subscription-refused"), frame);
    assert!(matches!(
        run.one(HandshakeKind::Subscribe, Sender::Client).state,
        HandshakeState::Refused { code: 0x80, .. }
    ));
}

#[test]
fn a_client_acknowledges_in_order() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    for (id, qos) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        run.server(0, numbered(V3, "t", &[id as u8], qos, id));
    }
    run.client(0, puback(2));
    let late = run.client(0, puback(1));
    run.client(0, pubrec(4));
    let late_too = run.client(0, pubrec(3));
    for id in [3, 4] {
        run.server(0, pubrel(id));
        run.client(0, pubcomp(id));
    }
    run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.client(0, numbered(V3, "t", b"y", 2, 8));
    run.server(0, pubrec(7));
    run.server(0, pubrec(8));
    run.client(0, pubrel(8));
    let released_late = run.client(0, pubrel(7));
    run.server(0, pubcomp(7));
    run.server(0, pubcomp(8));
    run.leave(0).finish();
    assert_eq!(run.found("puback-out-of-order"), late);
    assert_eq!(run.found("pubrec-out-of-order"), late_too);
    assert_eq!(run.found("pubrel-out-of-order"), released_late);
}

#[test]
fn handshakes_are_reported_in_the_order_of_their_first_frames() {
    let mut run = Run::new(V3);
    run.join(0, "p");
    run.client(0, numbered(V3, "t", b"x", 2, 1));
    run.client(0, numbered(V3, "t", b"y", 1, 2));
    run.server(0, puback(2));
    run.server(0, pubrec(1));
    run.client(0, pubrel(1));
    run.server(0, pubcomp(1));
    run.leave(0).finish();
    let firsts: Vec<_> = run
        .handshakes
        .iter()
        .map(|one| one.steps[0].stamp.number)
        .collect();
    assert!(firsts.is_sorted(), "{firsts:?}");
}

#[test]
fn a_ping_is_a_handshake_too() {
    let mut run = Run::new(V3);
    run.join(0, "s");
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(
        run.one(HandshakeKind::Ping, Sender::Client).state,
        HandshakeState::Complete
    );
}

#[test]
fn of_many_pings_without_an_answer_the_first_is_given_up() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    for _ in 0..=super::super::caps::PINGS {
        run.client(0, PINGREQ);
    }
    let given_up: Vec<_> = run
        .handshakes
        .iter()
        .filter(|one| one.kind == HandshakeKind::Ping)
        .map(|one| one.state)
        .collect();
    assert_eq!(
        given_up,
        [HandshakeState::Incomplete {
            waiting_for: PacketType::PingResp,
            ended_by: EndedBy::TableFull
        }]
    );
}

#[test]
fn what_comes_after_the_first_fin_of_a_lasting_session_need_not_be_answered() {
    for (waited, stuck) in [(0, false), (2000, true)] {
        let mut run = Run::new(V3);
        run.stay(0, "p", false);
        run.client(0, numbered(V3, "t", b"x", 2, 7));
        if stuck {
            run.server(0, pubrec(7));
        }
        run.wait(waited).fin(0, Sender::Client);
        if !stuck {
            run.server(0, pubrec(7));
        }
        run.end(0, Closed::Reset, Some(Sender::Client));
        run.join(1, "other").wait(5000).leave(1).finish();
        let found = run.rules().contains(&"qos2-stuck");
        assert_eq!(found, stuck);
    }
}
