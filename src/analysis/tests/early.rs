//! Copies that stand in the capture before their PUBLISH.

use super::*;
use crate::event::{HandshakeState, Origin};

/// A publisher on connection 0, and on connection 1 a subscriber to everything, of another file.
fn two_files() -> Run {
    let mut run = Run::new(V3);
    run.in_file(1).join(1, "sub").take(1, "#", 2);
    run.in_file(0).join(0, "pub").in_file(1);
    run
}

/// Whether the links of copies to their PUBLISH are certain, in the order of the copies.
fn certain(run: &Run) -> Vec<bool> {
    let copies = run.handshakes.iter();
    let copies = copies.filter_map(|one| match one.origin.as_ref()? {
        Origin::Published { ambiguous, .. } => Some(!ambiguous),
        _ => Some(false),
    });
    copies.collect()
}

/// A message of 0 to 1 at QoS 0; the copy stands first. Returns the frames of both.
fn backward(run: &mut Run, payload: &[u8], between: i64) -> [u64; 2] {
    let message = publish(V3, "t", payload, Sent::default());
    let copy = run.server(1, &message);
    let file = std::mem::take(&mut run.file);
    let sent = run.wait(between).client(0, &message);
    run.file = file;
    [copy, sent]
}

/// The frames of the PUBLISH packets that the copies are of, in the order of the copies.
fn origins(run: &Run) -> Vec<Option<u64>> {
    let copies = run.handshakes.iter();
    let copies = copies.filter_map(|one| match one.origin.as_ref()? {
        Origin::Published { frame, .. } => Some(Some(*frame)),
        Origin::NotSeen => Some(None),
        other => panic!("{other:?}"),
    });
    copies.collect()
}

#[test]
fn a_copy_of_another_file_that_stands_before_its_publish_is_of_it_and_the_clocks_differ() {
    let mut run = two_files();
    let frames = [b"x", b"y", b"z"].map(|payload| backward(&mut run, payload, 40));
    run.wait(2_000).leave(0).leave(1).finish();
    assert_eq!(origins(&run), frames.map(|[_, sent]| Some(sent)));
    // Two may be accidents.
    assert_eq!(certain(&run), [false, false, true]);
    let mut sent = run.handshakes.iter();
    let mut sent = sent.by_ref().filter(|one| !one.deliveries.is_empty());
    let Outcome::Delivered(last) = &sent.next_back().unwrap().deliveries[0].outcome else {
        panic!("{:?}", run.handshakes);
    };
    assert_eq!((last.stamp.number, last.latency), (frames[2][0], None));
    let note = run.finding("clock-skew");
    let [copy, sent] = frames[0];
    assert_eq!((note.stamp.number, &note.frames[..]), (copy, &[sent][..]));
    assert!(
        note.message
            .starts_with("The clocks of captures 2 and 1 (--clock for capture 2 with +0.04"),
        "{}",
        note.message
    );
    assert_eq!(run.findings.len(), 1);
}

#[test]
fn one_equal_message_of_another_file_shows_no_clocks_that_differ() {
    let mut run = two_files();
    let message = publish(V3, "t", b"on", Sent::default());
    for lost in [false, false, true, false, false] {
        run.wait(500);
        if !lost {
            run.in_file(0).client(0, &message);
        }
        run.in_file(1).server(1, &message);
    }
    run.wait(2_000).leave(0).leave(1).finish();
    assert!(run.findings.iter().all(|one| one.rule != "clock-skew"));
    // Only the one whose PUBLISH the capture does not hold is of none.
    let none = origins(&run).iter().filter(|one| one.is_none()).count();
    assert_eq!(none, 1);
}

#[test]
fn files_read_one_after_the_other_have_no_copies_wait() {
    let mut run = Run::new(V3);
    run.join(0, "pub").join(1, "sub").take(1, "#", 0);
    let message = publish(V3, "t", b"x", Sent::default());
    run.in_file(1).server(1, &message);
    assert!(!run.analyzer.early.is_waiting());
    // A frame of the earlier file shows that they are read side by side.
    run.in_file(0)
        .client(0, publish(V3, "t", b"y", Sent::default()));
    run.in_file(1)
        .server(1, publish(V3, "t", b"z", Sent::default()));
    assert!(run.analyzer.early.is_waiting());
    run.finish();
}

#[test]
fn a_second_publisher_of_equal_messages_outside_the_capture_is_no_skew() {
    for two in [false, true] {
        let mut run = match two {
            true => two_files(),
            false => Run::new(V3),
        };
        if !two {
            run.join(0, "pub").join(1, "sub").take(1, "#", 2);
        }
        for payload in [b"1", b"2", b"3", b"4", b"5", b"6"] {
            backward(&mut run, payload, 40);
            // The copy of the PUBLISH that is seen: the first was of the other publisher's.
            run.server(1, publish(V3, "t", payload, Sent::default()));
            run.wait(2_000);
        }
        run.leave(0).leave(1).finish();
        assert!(run.findings.iter().all(|one| one.rule != "clock-skew"));
        assert!(certain(&run).iter().all(|one| !one));
        // Only the copies of the other publisher's are of no client that is seen.
        let none = origins(&run).iter().filter(|one| one.is_none()).count();
        assert_eq!(none, 6);
    }
}

#[test]
fn a_publish_that_comes_too_late_is_none_of_the_copy() {
    let mut run = two_files();
    backward(&mut run, b"x", 1_001);
    run.leave(0).leave(1).finish();
    assert_eq!(origins(&run), [None]);
    assert!(run.findings.iter().all(|one| one.rule != "clock-skew"));
}

#[test]
fn a_qos_2_message_whose_copy_stands_first_takes_effect_at_its_pubrel() {
    let mut run = two_files();
    run.server(1, numbered(V3, "t", b"x", 2, 1));
    run.in_file(0);
    let sent = run.client(0, numbered(V3, "t", b"x", 2, 7));
    run.server(0, pubrec(7));
    run.client(0, pubrel(7));
    run.server(0, pubcomp(7));
    run.in_file(1);
    run.client(1, pubrec(1));
    run.server(1, pubrel(1));
    run.client(1, pubcomp(1));
    run.wait(2_000).leave(0).leave(1).finish();
    assert_eq!(origins(&run), [Some(sent)]);
    let record = run.one(HandshakeKind::Qos2, Sender::Client);
    assert_eq!(outcomes(record), ["sub q2 ambiguous"]);
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_publisher_that_connects_behind_the_copy_is_followed_from_its_connect() {
    let mut run = Run::new(V3);
    run.in_file(1).join(1, "sub").take(1, "#", 0);
    run.in_file(0).join(0, "other").in_file(1);
    let message = publish(V3, "t", b"x", Sent::default());
    run.server(1, &message);
    run.in_file(0).join(2, "pub");
    let sent = run.client(2, &message);
    run.wait(2_000).leave(2).leave(1).leave(0).finish();
    assert_eq!(origins(&run), [Some(sent)]);
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn what_a_client_did_on_its_earlier_connection_comes_before_it_connects_again() {
    let mut run = two_files();
    let message = publish(V3, "t", b"x", Sent::default());
    run.server(1, &message);
    // These wait behind the copy, and so does the CONNECT before its PUBLISH.
    run.in_file(0).client(0, numbered(V3, "u", b"y", 1, 7));
    let acknowledged = run.server(0, puback(7));
    run.end(0, Closed::Reset, Some(Sender::Client));
    run.join(2, "pub");
    let sent = run.client(2, &message);
    run.wait(2_000).leave(2).leave(1).finish();
    assert_eq!(origins(&run), [Some(sent)]);
    let one = run.one(HandshakeKind::Qos1, Sender::Client);
    assert_eq!(
        one.steps.last().map(|step| step.stamp.number),
        Some(acknowledged)
    );
    assert_eq!(one.state, HandshakeState::Complete);
}

#[test]
fn in_one_file_several_messages_show_it() {
    let found = |messages: &[&[u8]]| {
        let mut run = Run::new(V3);
        run.join(0, "pub").join(1, "sub").take(1, "#", 0);
        for payload in messages {
            backward(&mut run, payload, 40);
        }
        run.wait(2_000).leave(0).leave(1).finish();
        assert_eq!(run.rules(), [""; 0]);
        run.findings.iter().any(|one| one.rule == "clock-skew")
    };
    assert!(found(&[b"1", b"2", b"3"]));
    assert!(found(&[b"1", b"2", b"3", b"4", b"5"]));
    assert!(!found(&[b"1", b"2"]));
    assert!(!found(&[b"1", b"1", b"1", b"2"]));
}

#[test]
fn a_further_copy_of_an_equal_message_shows_no_clocks_that_differ() {
    let mut run = Run::new(V3);
    run.join(0, "pub").join(1, "sub").take(1, "#", 0);
    for payload in [b"1", b"2", b"3", b"4"] {
        let message = publish(V3, "t", payload, Sent::default());
        for _ in 0..2 {
            run.wait(20).client(0, &message);
            // Twice, as servers may for a subscription that the capture does not show.
            run.server(1, &message);
            run.server(1, &message);
        }
    }
    run.wait(2_000).leave(0).leave(1).finish();
    assert!(run.findings.iter().all(|one| one.rule != "clock-skew"));
}

#[test]
fn a_client_that_publishes_what_it_was_sent_stands_behind_it_rightly() {
    let mut run = Run::new(V3);
    run.join(0, "relay").take(0, "#", 0);
    run.join(1, "sub").take(1, "#", 0);
    for payload in [b"1", b"2", b"3", b"4"] {
        // Of a client outside the capture, and passed on.
        let message = publish(V3, "t", payload, Sent::default());
        run.server(0, &message);
        run.server(1, &message);
        run.wait(5).client(0, &message);
        run.server(0, &message);
        run.server(1, &message);
    }
    run.wait(2_000).leave(0).leave(1).finish();
    assert!(run.findings.iter().all(|one| one.rule != "clock-skew"));
}

#[test]
fn what_waits_has_a_bound() {
    let mut run = two_files();
    for number in 0..10_000_u32 {
        let message = publish(V3, "t", &number.to_be_bytes(), Sent::default());
        run.nanos -= 100_000;
        run.server(1, &message);
        assert!(run.analyzer.early.is_waiting());
    }
    run.finish();
    assert_eq!(origins(&run).len(), 10_000);
}
