//! Why a subscriber did not receive a message: each reason, and what just misses it.

use super::*;
use crate::event::SessionOver;

/// A QoS 1 message of connection 9 that the server acknowledges; returns the two frames.
fn post(run: &mut Run, topic: &str, payload: &[u8], id: u16) -> (u64, u64) {
    let version = run.version;
    let sent = run.client(9, numbered(version, topic, payload, 1, id));
    (sent, run.server(9, puback(id)))
}

/// The delivery of such a message.
fn hand(run: &mut Run, connection: u32, payload: &[u8], id: u16) -> u64 {
    let version = run.version;
    let frame = run.server(connection, numbered(version, "t", payload, 1, id));
    run.client(connection, puback(id));
    frame
}

/// The reasons for the messages of connection 9, in their order.
fn reasons(run: &Run) -> Vec<Option<Undelivered>> {
    let sent = (run.handshakes.iter()).filter(|one| one.connection == ConnectionId(9));
    let sent = sent.filter(|one| one.message().is_some());
    let all: Vec<_> = sent
        .flat_map(|one| &one.deliveries)
        .map(undelivered)
        .collect();
    for why in all.iter().flatten() {
        let frames = 1..=run.frame;
        let shown = why.frame().is_some_and(|frame| frames.contains(&frame));
        assert!(shown || *why == Undelivered::Unknown, "{why:?}");
    }
    all
}

#[test]
fn a_message_that_a_later_one_overtook_is_lost() {
    let mut run = Run::new(V3);
    run.join(0, "s").take(0, "t", 1).join(9, "p");
    let (lost, _) = post(&mut run, "t", b"1", 1);
    post(&mut run, "t", b"2", 2);
    let by = hand(&mut run, 0, b"2", 1);
    run.leave(0).leave(9).finish();
    assert_eq!(reasons(&run), [Some(Undelivered::Overtaken { by }), None]);
    assert_eq!(run.found("message-not-delivered"), lost);
    assert_eq!(run.finding("message-not-delivered").frames, [by]);
}

#[test]
fn a_later_message_of_another_publisher_or_qos_overtakes_nothing() {
    let mut run = Run::new(V3);
    run.join(0, "s").take(0, "t", 2).join(9, "p").join(8, "q");
    post(&mut run, "t", b"1", 1);
    run.client(8, numbered(V3, "t", b"2", 1, 1));
    run.server(8, puback(1));
    hand(&mut run, 0, b"2", 1);
    run.client(9, publish(V3, "t", b"3", Sent::default()));
    run.server(0, publish(V3, "t", b"3", Sent::default()));
    run.finish();
    let last = run.frame;
    assert_eq!(
        reasons(&run),
        [Some(Undelivered::CaptureEnded { last }), None]
    );
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn an_acknowledged_message_is_due_within_a_second() {
    for (millis, lost) in [(990, false), (1010, true)] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        let (_, acknowledged) = post(&mut run, "t", b"1", 1);
        run.wait(millis);
        run.client(0, PINGREQ);
        run.finish();
        let why = match lost {
            true => Undelivered::NotForwarded { acknowledged },
            false => Undelivered::CaptureEnded { last: run.frame },
        };
        assert_eq!(reasons(&run), [Some(why)]);
        let found = run.rules().contains(&"message-not-delivered");
        assert_eq!(found, lost);
    }
}

#[test]
fn a_message_that_was_never_acknowledged_is_no_fault_of_the_server() {
    let mut run = Run::new(V3);
    run.join(0, "s").take(0, "t", 1).join(9, "p");
    run.client(9, numbered(V3, "t", b"1", 1, 1));
    run.wait(5000);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.finish();
    assert_eq!(reasons(&run), [Some(Undelivered::Unknown)]);
    assert!(!run.rules().contains(&"message-not-delivered"));
}

#[test]
fn a_subscriber_that_acknowledges_nothing_may_have_to_wait() {
    let mut run = Run::new(V3);
    run.join(0, "s").take(0, "t", 1).join(9, "p");
    post(&mut run, "t", b"1", 1);
    run.server(0, numbered(V3, "t", b"1", 1, 1));
    post(&mut run, "t", b"2", 2);
    run.wait(5000);
    run.client(0, PINGREQ);
    run.finish();
    assert_eq!(reasons(&run), [None, Some(Undelivered::Unknown)]);
    assert!(!run.rules().contains(&"message-not-delivered"));
}

#[test]
fn a_server_that_has_done_with_the_publisher_has_done_with_its_messages() {
    // One that acknowledges before it forwards may forward yet.
    for acknowledges_first in [false, true] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        let sent = run.client(9, numbered(V3, "t", b"1", 1, 1));
        if acknowledges_first {
            run.server(9, puback(1));
            hand(&mut run, 0, b"1", 1);
        } else {
            hand(&mut run, 0, b"1", 1);
            run.server(9, puback(1));
        }
        let (lost, acknowledged) = post(&mut run, "t", b"2", 2);
        run.leave(9).finish();
        let why = match acknowledges_first {
            false => Undelivered::NotForwarded { acknowledged },
            true => Undelivered::CaptureEnded { last: run.frame },
        };
        assert_eq!(reasons(&run), [None, Some(why)]);
        assert!(lost > sent);
        let found = run.rules().contains(&"message-not-delivered");
        assert_eq!(found, !acknowledges_first);
    }
}

#[test]
fn a_subscriber_may_have_unsubscribed_in_a_gap() {
    for sender in [None, Some(Sender::Client)] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        if let Some(sender) = sender {
            run.gap(0, sender);
        }
        let frame = run.frame;
        let (_, acknowledged) = post(&mut run, "t", b"1", 1);
        run.wait(2000);
        run.client(0, PINGREQ);
        run.finish();
        let why = match sender {
            Some(_) => Undelivered::Gap { frame },
            None => Undelivered::NotForwarded { acknowledged },
        };
        assert_eq!(reasons(&run), [Some(why)]);
        let found = run.rules().contains(&"message-not-delivered");
        assert_eq!(found, sender.is_none());
    }
}

#[test]
fn a_message_that_was_lost_before_its_subscriber_unsubscribed_is_lost() {
    for (millis, lost) in [(900, false), (1100, true)] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        let (_, acknowledged) = post(&mut run, "t", b"1", 1);
        run.wait(millis);
        let frame = run.client(0, unsubscribe(V3, 5, &["t"]));
        run.server(0, unsuback(V3, 5, &[]));
        run.wait(2000);
        run.client(0, PINGREQ);
        run.finish();
        let why = match lost {
            true => Undelivered::NotForwarded { acknowledged },
            false => Undelivered::Unsubscribed { frame },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

#[test]
fn a_qos_2_message_waits_from_its_release_on() {
    for released_first in [true, false] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "t", 2).join(9, "p");
        run.leave(0);
        run.client(9, numbered(V3, "t", b"1", 2, 1));
        run.server(9, pubrec(1));
        let release = |run: &mut Run| {
            run.client(9, pubrel(1));
            run.server(9, pubcomp(1));
        };
        if released_first {
            release(&mut run);
        }
        run.stay(1, "s", true);
        let returned = run.frame - 1;
        run.wait(2000);
        let left = run.client(1, disconnect(V3, 0));
        run.end(1, Closed::Finished, Some(Sender::Client));
        if !released_first {
            release(&mut run);
        }
        run.finish();
        let why = match reasons(&run)[..] {
            [Some(why)] => why,
            ref other => panic!("{other:?}"),
        };
        match (released_first, why) {
            (true, Undelivered::QueueDropped { returned: at, .. }) => {
                assert!(at.abs_diff(returned) <= 1)
            }
            (false, Undelivered::Away { since }) => assert_eq!(since, left),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_connection_that_ends_at_once_is_the_reason_and_later_not() {
    for (millis, ended) in [(5, true), (1500, false)] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        let (_, acknowledged) = post(&mut run, "t", b"1", 1);
        run.wait(millis);
        let frame = run.client(0, disconnect(V3, 0));
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.finish();
        let why = match ended {
            true => Undelivered::ConnectionEnded { frame },
            false => Undelivered::NotForwarded { acknowledged },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

#[test]
fn a_packet_above_the_subscribers_maximum_is_not_sent() {
    // 2 octets of fixed header, 3 of the topic name, 2 of the identifier, 1 of the properties.
    for (maximum, large) in [(57, true), (66, false)] {
        let mut run = Run::new(V5);
        let hello = Hello {
            properties: expiry(0x27, maximum),
            ..Hello::new("s")
        };
        run.open(0);
        let frame = run.client(0, connect(V5, &hello));
        run.server(0, connack(V5, false, 0, &[]));
        run.take(0, "t", 1).join(9, "p");
        let (_, acknowledged) = post(&mut run, "t", &[b'x'; 58], 1);
        run.wait(2000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.finish();
        let why = match large {
            true => Undelivered::TooLarge { maximum, frame },
            false => Undelivered::NotForwarded { acknowledged },
        };
        assert_eq!(reasons(&run), [Some(why)]);
        let found = run.rules().contains(&"message-not-delivered");
        assert_eq!(found, !large);
    }
}

#[test]
fn a_subscription_that_is_given_up_takes_nothing_more() {
    for filter in ["t", "u"] {
        let mut run = Run::new(V3);
        run.join(0, "s")
            .take(0, "t", 1)
            .take(0, "u", 1)
            .join(9, "p");
        let (_, acknowledged) = post(&mut run, "t", b"1", 1);
        let frame = run.client(0, unsubscribe(V3, 5, &[filter]));
        run.server(0, unsuback(V3, 5, &[]));
        run.wait(2000);
        run.client(0, PINGREQ);
        run.finish();
        let why = match filter {
            "t" => Undelivered::Unsubscribed { frame },
            _ => Undelivered::NotForwarded { acknowledged },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

#[test]
fn a_message_that_came_by_a_later_subscription_overtook_none_from_before() {
    for again in [false, true] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        post(&mut run, "t", b"1", 1);
        let frame = run.client(0, unsubscribe(V3, 5, &["t"]));
        run.server(0, unsuback(V3, 5, &[]));
        if again {
            run.take(0, "#", 1);
            post(&mut run, "t", b"2", 2);
            run.server(0, numbered(V3, "t", b"2", 1, 7));
            run.client(0, puback(7));
        }
        run.wait(2000).leave(0).finish();
        let why = reasons(&run)[0];
        assert_eq!(why, Some(Undelivered::Unsubscribed { frame }));
        assert!(!run.rules().contains(&"message-not-delivered"));
    }
}

#[test]
fn a_gap_before_its_subscriber_unsubscribed_may_hold_the_message() {
    for gap in [true, false] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1).join(9, "p");
        post(&mut run, "t", b"1", 1);
        if gap {
            run.gap(0, Sender::Server);
        }
        let frame = run.client(0, unsubscribe(V3, 5, &["t"]));
        run.server(0, unsuback(V3, 5, &[]));
        run.wait(2000).leave(0).finish();
        match reasons(&run)[0] {
            Some(Undelivered::Gap { .. }) => assert!(gap),
            why => assert_eq!(
                (why, gap),
                (Some(Undelivered::Unsubscribed { frame }), false)
            ),
        }
    }
}

#[test]
fn a_session_that_came_back_without_the_message_lost_it() {
    for millis in [None, Some(50), Some(1500)] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "t", 1);
        let since = run.client(0, disconnect(V3, 0));
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.join(9, "p");
        post(&mut run, "t", b"1", 1);
        post(&mut run, "t", b"2", 2);
        if let Some(millis) = millis {
            run.stay(1, "s", true);
            let returned = run.frame;
            hand(&mut run, 1, b"1", 1);
            run.wait(millis);
            run.client(1, PINGREQ);
            run.finish();
            let why = match millis {
                50 => Undelivered::CaptureEnded { last: run.frame },
                _ => Undelivered::QueueDropped {
                    returned,
                    waited: 2,
                },
            };
            assert_eq!(reasons(&run), [None, Some(why)]);
            let found = run.rules().contains(&"message-not-delivered");
            assert_eq!(found, millis == 1500);
        } else {
            run.finish();
            assert_eq!(reasons(&run), [Some(Undelivered::Away { since }); 2]);
        }
    }
}

#[test]
fn a_clean_session_of_3_1_does_not_outlive_a_takeover() {
    for clean in [true, false] {
        let mut run = Run::new(V3);
        run.version = ProtocolVersion::V3_1;
        let hello = |clean| Hello {
            clean,
            level: 3,
            ..Hello::new("s")
        };
        run.open(0);
        run.client(0, connect_31(&hello(clean)));
        run.server(0, connack(V3, false, 0, &[]));
        run.take(0, "t", 1).open(1);
        run.client(1, connect_31(&hello(false)));
        let joined = run.server(1, connack(V3, false, 0, &[]));
        run.end(0, Closed::Finished, Some(Sender::Server));
        run.join(9, "p");
        post(&mut run, "t", b"1", 1);
        run.wait(100);
        run.client(1, PINGREQ);
        run.finish();
        // The first session's subscription takes it only where that session goes on.
        let why = match clean {
            true => Undelivered::SessionEnded {
                frame: joined,
                how: SessionOver::WithConnection,
            },
            false => Undelivered::CaptureEnded { last: run.frame },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

/// A CONNECT of 3.1.
fn connect_31(hello: &Hello) -> Vec<u8> {
    let mut body = text("MQIsdp");
    body.extend_from_slice(&[3, u8::from(hello.clean) << 1, 0, 0]);
    body.extend_from_slice(&text(hello.id));
    packet(0x10, &body)
}

#[test]
fn a_gap_after_the_return_may_hide_the_copy() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false)
        .take(0, "t", 1)
        .leave(0)
        .join(9, "p");
    post(&mut run, "t", b"1", 1);
    run.stay(1, "s", true).gap(1, Sender::Server);
    let frame = run.frame;
    run.leave(1).finish();
    assert_eq!(reasons(&run), [Some(Undelivered::Gap { frame })]);
    assert_eq!(run.rules(), ["missing-octets"]);
}

#[test]
fn a_session_that_the_server_lost_takes_its_messages_along() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false)
        .take(0, "t", 1)
        .leave(0)
        .join(9, "p");
    post(&mut run, "t", b"1", 1);
    run.stay(1, "s", false);
    let frame = run.frame;
    run.wait(5000).leave(1).finish();
    let how = SessionOver::Lost;
    assert_eq!(
        reasons(&run),
        [Some(Undelivered::SessionEnded { frame, how })]
    );
}

#[test]
fn a_message_for_an_absent_member_of_a_group_is_not_missed_by_the_others() {
    for present in [false, true] {
        let mut run = Run::new(V5);
        run.stay(0, "a", false).take(0, "$share/g/t", 1);
        run.join(1, "b").take(1, "$share/g/t", 1);
        let mut since = 0;
        if !present {
            since = run.client(0, disconnect(V5, 0));
            run.end(0, Closed::Finished, Some(Sender::Client));
        }
        run.join(9, "p");
        post(&mut run, "t", b"1", 1);
        run.wait(2000);
        run.client(1, PINGREQ);
        run.server(1, PINGRESP);
        run.finish();
        let mut expected = [Some(Undelivered::Unknown); 2];
        if !present {
            expected = [
                Some(Undelivered::OtherIsAway { since }),
                Some(Undelivered::Away { since }),
            ];
        }
        let mut reasons = reasons(&run);
        reasons.sort_by_key(|why| !matches!(why, Some(Undelivered::OtherIsAway { .. })));
        assert_eq!(reasons, expected);
        assert_eq!(run.rules(), [""; 0]);
    }
}

#[test]
fn a_limit_gives_no_reason() {
    let limits = Limits {
        messages: 1,
        ..Limits::DEFAULT
    };
    let mut run = Run::with(V3, &limits);
    run.stay(0, "s", false)
        .take(0, "t", 1)
        .leave(0)
        .join(9, "p");
    post(&mut run, "t", b"1", 1);
    post(&mut run, "t", b"2", 2);
    run.finish();
    let [first, second] = reasons(&run)[..] else {
        panic!()
    };
    assert!(matches!(first, Some(Undelivered::GivenUp { .. })));
    assert!(matches!(second, Some(Undelivered::Away { .. })));
}

#[test]
fn where_filters_that_were_given_up_are_forgotten_messages_from_before_have_no_reason() {
    for most in [2, 1] {
        let limits = Limits {
            filters_given_up: most,
            ..Limits::DEFAULT
        };
        let mut run = Run::with(V3, &limits);
        run.join(0, "s").take(0, "t", 1).take(0, "u", 1);
        run.join(9, "p");
        post(&mut run, "t", b"1", 1);
        let frame = run.client(0, unsubscribe(V3, 5, &["t"]));
        run.server(0, unsuback(V3, 5, &[]));
        run.client(0, unsubscribe(V3, 6, &["u"]));
        run.server(0, unsuback(V3, 6, &[]));
        run.wait(2000).leave(9).finish();
        let forgot = matches!(reasons(&run)[0], Some(Undelivered::GivenUp { .. }));
        assert_eq!(forgot, most == 1);
        let left = reasons(&run)[0] == Some(Undelivered::Unsubscribed { frame });
        assert_eq!(left, most == 2);
    }
}

#[test]
fn a_copy_is_not_of_a_message_at_qos_0_for_the_absent() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).take(0, "t", 0);
    let since = run.client(0, disconnect(V3, 0));
    run.end(0, Closed::Finished, Some(Sender::Client));
    run.join(9, "p");
    run.client(9, publish(V3, "t", b"on", Sent::default()));
    run.wait(150).stay(1, "s", true);
    run.client(9, publish(V3, "t", b"on", Sent::default()));
    run.server(1, publish(V3, "t", b"on", Sent::default()));
    run.wait(3000);
    run.leave(1).finish();
    assert_eq!(
        reasons(&run),
        [Some(Undelivered::AwayAtQoS0 { since }), None]
    );
}

#[test]
fn a_gap_on_a_later_connection_of_a_session_that_is_over_may_hold_the_message() {
    for gap in [true, false] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "t", 1).leave(0);
        run.join(9, "p");
        post(&mut run, "t", b"1", 1);
        run.wait(1000).stay(1, "s", true);
        if gap {
            run.gap(1, Sender::Server);
        }
        run.wait(1500).leave(1).wait(500);
        // A clean start ends the session.
        run.join(2, "s").wait(2000).leave(2).leave(9).finish();
        let why = reasons(&run)[0];
        let held = matches!(why, Some(Undelivered::Gap { .. }));
        assert_eq!(held, gap, "{why:?}");
        assert!(
            gap || matches!(why, Some(Undelivered::SessionEnded { .. })),
            "{why:?}"
        );
    }
}

#[test]
fn a_client_that_comes_back_may_be_sent_what_the_server_read_after_its_connect() {
    // The time from PUBLISH to CONNECT; whether a copy for another shows before that the server had
    // read the message; whether one comes to the client.
    for (millis, before, comes) in [
        (5, false, true),
        (5, false, false),
        (5, true, false),
        (150, false, false),
    ] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "t", 0);
        let since = run.client(0, disconnect(V3, 0));
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.join(2, "other").take(2, "t", 0).join(9, "p");
        let post = || publish(V3, "t", b"1", Sent::default());
        run.client(9, post());
        if before {
            run.server(2, post());
        }
        run.wait(millis);
        run.stay(1, "s", true);
        if !before {
            run.server(2, post());
        }
        if comes {
            run.server(1, post());
        }
        run.wait(3000).leave(1).finish();
        let sent = run.one(HandshakeKind::Qos0, Sender::Client);
        let mut deliveries = sent.deliveries.iter();
        let own = deliveries.find(|one| one.client_id.as_deref() == Some("s"));
        let own = own.expect("the client's");
        assert!(!own.ambiguous);
        match &own.outcome {
            Outcome::Delivered(delivered) => assert!(comes && !delivered.queued),
            Outcome::NotDelivered(Undelivered::Unknown) => {
                assert!(!comes && !before && millis < 100)
            }
            other => assert_eq!(
                *other,
                Outcome::NotDelivered(Undelivered::AwayAtQoS0 { since })
            ),
        }
        let missed = matches!(
            own.outcome,
            Outcome::NotDelivered(Undelivered::AwayAtQoS0 { .. })
        );
        assert_eq!(missed, before || millis > 100);
    }
}

#[test]
fn a_client_that_leaves_may_be_sent_what_the_server_read_before_its_disconnect() {
    for comes in [true, false] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "t", 0).join(9, "p");
        let since = run.client(0, disconnect(V3, 0));
        run.client(9, publish(V3, "t", b"1", Sent::default()));
        if comes {
            run.server(0, publish(V3, "t", b"1", Sent::default()));
        }
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.wait(3000).leave(9).finish();
        let why = (!comes).then_some(Undelivered::AwayAtQoS0 { since });
        assert_eq!(reasons(&run), [why]);
    }
}

#[test]
fn a_message_that_goes_to_no_one_names_the_subscriptions_that_are_over() {
    for topic in ["line/alarm", "other"] {
        let mut run = Run::new(V3);
        run.join(0, "ended").take(0, "line/#", 1);
        run.join(1, "left").take(1, "line/alarm", 1);
        run.join(2, "refused");
        let left = run.client(1, unsubscribe(V3, 5, &["line/alarm"]));
        run.server(1, unsuback(V3, 5, &[]));
        run.client(2, subscribe(V3, 1, &[("line/+", 1)], &[]));
        let refused = run.server(2, suback(V3, 1, &[0x80]));
        run.client(0, disconnect(V3, 0));
        let ended = run.end(0, Closed::Finished, Some(Sender::Client));
        run.join(9, "p");
        post(&mut run, topic, b"1", 1);
        run.leave(9).finish();
        let mut expected = vec![
            Some(Undelivered::SessionEnded {
                frame: ended,
                how: SessionOver::WithConnection,
            }),
            Some(Undelivered::NotSubscribed { frame: refused }),
            Some(Undelivered::Unsubscribed { frame: left }),
        ];
        if topic == "other" {
            expected.clear();
        }
        assert_eq!(reasons(&run), expected);
    }
}

#[test]
fn a_message_that_someone_takes_names_no_subscriptions_that_are_over() {
    let mut run = Run::new(V3);
    run.join(0, "ended").take(0, "t", 1).leave(0);
    run.join(1, "s").take(1, "t", 1).join(9, "p");
    run.client(9, numbered(V3, "t", b"1", 1, 1));
    hand(&mut run, 1, b"1", 1);
    run.server(9, puback(1));
    run.leave(9).finish();
    assert_eq!(reasons(&run), [None]);
}

#[test]
fn a_message_that_was_not_released_waits_until_its_connection_ends() {
    for gap in [false, true] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 2).join(9, "p");
        run.client(9, numbered(V3, "t", b"1", 2, 1));
        run.server(9, pubrec(1));
        if gap {
            run.gap(9, Sender::Client);
        }
        let until = run.end(9, Closed::Reset, Some(Sender::Client));
        run.wait(2000).leave(0).finish();
        let why = match gap {
            false => Undelivered::NotReleased { until },
            true => Undelivered::Gap { frame: until },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

#[test]
fn a_message_expires_where_its_interval_is_over() {
    for (interval, expired) in [(1, true), (3, false)] {
        let mut run = Run::new(V5);
        run.stay(0, "s", false).take(0, "t", 1);
        let since = run.client(0, disconnect(V5, 0));
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.join(9, "p");
        let sent = Sent {
            qos: 1,
            id: 1,
            properties: &expiry(0x02, interval),
            ..Sent::default()
        };
        let published = run.client(9, publish(V5, "t", b"1", sent));
        run.server(9, puback(1));
        run.wait(2000).leave(9).finish();
        let why = match expired {
            true => Undelivered::Expired {
                published,
                interval,
            },
            false => Undelivered::Away { since },
        };
        assert_eq!(reasons(&run), [Some(why)]);
    }
}

#[test]
fn a_message_behind_a_full_window_may_have_been_dropped() {
    // The Receive Maximum, where one is set; else what the server was seen to hold back at.
    for (maximum, window, full) in [
        (Some(2), 2, true),
        (Some(3), 2, false),
        (None, 2, true),
        (None, 0, false),
    ] {
        let mut run = Run::new(V5);
        let hello = Hello {
            properties: maximum.map_or_else(Vec::new, |maximum| short(0x21, maximum)),
            ..Hello::new("s")
        };
        run.open(0);
        run.client(0, connect(V5, &hello));
        run.server(0, connack(V5, false, 0, &[]));
        run.take(0, "t", 1).join(9, "p");
        let version = run.version;
        let mut since = 0;
        for id in [1, 2] {
            post(&mut run, "t", &[id], id.into());
            since = run.server(0, numbered(version, "t", &[id], 1, id.into()));
        }
        // The third waits until there is room, but where nothing holds it back.
        post(&mut run, "t", &[3], 3);
        if maximum.is_none() {
            run.wait(if window > 0 { 200 } else { 20 });
            run.client(0, puback(1));
            since = run.server(0, numbered(version, "t", &[3], 1, 3));
        }
        post(&mut run, "t", &[4], 4);
        post(&mut run, "t", &[5], 5);
        run.client(0, puback(2));
        let by = run.server(0, numbered(version, "t", &[5], 1, 4));
        run.wait(100).leave(0).leave(9).finish();
        let lost = if maximum.is_none() { 3 } else { 2 };
        let why = reasons(&run)[lost].unwrap();
        match (full, why) {
            (true, Undelivered::WindowFull { since: at, waited }) => {
                assert_eq!((at, waited), (since, 1), "{maximum:?}");
            }
            (false, Undelivered::Overtaken { by: at }) => assert_eq!(at, by),
            other => panic!("{maximum:?} {window}: {other:?}"),
        }
        assert!(run.rules().contains(&"message-not-delivered"));
    }
}

#[test]
fn how_a_session_ended_is_shown() {
    use SessionOver::{Expired, Lost, Replaced, WithConnection};
    for how in [WithConnection, Expired, Replaced, Lost] {
        let mut run = Run::new(V5);
        let hello = |clean, seconds| Hello {
            clean,
            properties: expiry(0x11, seconds),
            ..Hello::new("s")
        };
        let seconds = match how {
            WithConnection => 0,
            Expired => 1,
            _ => 3600,
        };
        run.open(0);
        run.client(0, connect(V5, &hello(true, seconds)));
        run.server(0, connack(V5, false, 0, &[]));
        run.take(0, "t", 1);
        run.client(0, disconnect(V5, 0));
        let mut frame = run.end(0, Closed::Finished, Some(Sender::Client));
        run.wait(2000);
        if how != WithConnection {
            run.open(1);
            run.client(1, connect(V5, &hello(how == Replaced, 3600)));
            frame = run.server(1, connack(V5, false, 0, &[]));
        }
        run.join(9, "p").wait(8);
        post(&mut run, "t", b"1", 1);
        run.leave(9).finish();
        let why = Undelivered::SessionEnded { frame, how };
        assert_eq!(reasons(&run), [Some(why)]);
        let one = run.one(HandshakeKind::Qos1, Sender::Client);
        let over = one.deliveries[0].over.unwrap().nanos() / 1_000_000;
        assert!((8..2100).contains(&over), "{over}");
    }
}

#[test]
fn a_subscription_that_was_being_asked_for_or_given_up_is_no_missing_one() {
    for beside in ["asked", "refused", "given up", "never"] {
        let mut run = Run::new(V3);
        run.join(0, "s").join(9, "p");
        let mut shown = 0;
        if beside == "given up" {
            run.take(0, "t", 1);
            shown = run.client(0, unsubscribe(V3, 5, &["t"]));
        } else if beside != "never" {
            shown = run.client(0, subscribe(V3, 5, &[("t", 1)], &[]));
        }
        post(&mut run, "t", b"1", 1);
        let why = match beside {
            "asked" => {
                run.server(0, suback(V3, 5, &[1]));
                Some(Undelivered::NotYetSubscribed { asked: shown })
            }
            "refused" => {
                let frame = run.server(0, suback(V3, 5, &[0x80]));
                Some(Undelivered::NotSubscribed { frame })
            }
            "given up" => {
                run.server(0, unsuback(V3, 5, &[]));
                Some(Undelivered::Unsubscribed { frame: shown })
            }
            _ => None,
        };
        run.wait(2000).leave(0).leave(9).finish();
        let expected: Vec<_> = why.map(Some).into_iter().collect();
        assert_eq!(reasons(&run), expected, "{beside}");
        assert!(!run.rules().contains(&"message-not-delivered"));
    }
}

#[test]
fn an_absent_subscriber_may_be_back_on_a_connection_whose_connect_was_not_captured() {
    for nameless in [true, false] {
        for (qos, away) in [(0, "AwayAtQoS0"), (1, "Away")] {
            let mut run = Run::new(V3);
            run.stay(0, "s", false)
                .take(0, "t", 1)
                .leave(0)
                .join(1, "p");
            if nameless {
                run.open_to(2, 1883, false);
                run.client(2, PINGREQ);
                run.server(2, PINGRESP);
            }
            run.client(1, numbered(V3, "t", b"x", qos, 1));
            if qos > 0 {
                run.server(1, puback(1));
            }
            run.wait(5_000).leave(1).finish();
            let sent = run.handshakes.iter().find(|one| !one.deliveries.is_empty());
            let why = outcomes(sent.unwrap()).join(" ");
            let expected = if nameless { "Unknown" } else { away };
            assert!(why.contains(expected), "{nameless} {qos}: {why}");
        }
    }
}

#[test]
fn a_client_that_is_not_known_may_release_its_message_on_another_connection() {
    for known in [false, true] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "t", 1);
        match known {
            true => run.join(1, "p"),
            false => run.open_to(1, 1883, false),
        };
        run.client(1, numbered(V3, "t", b"x", 2, 1));
        run.server(1, pubrec(1));
        run.wait(2_000).end(1, Closed::Reset, Some(Sender::Client));
        run.wait(5_000).leave(0).finish();
        let sent = run.handshakes.iter().find(|one| !one.deliveries.is_empty());
        let why = outcomes(sent.unwrap()).join(" ");
        assert_eq!(why.contains("NotReleased"), known, "{why}");
        assert_eq!(run.rules().contains(&"qos2-stuck"), known);
    }
}
