//! Wills: published to whom, or why not.

use super::*;
use crate::event::{NoWill, WillFate};

/// A subscriber `w` to `will/#` and a client `a` with a will.
fn run_with_will(version: ProtocolVersion, will_properties: Vec<u8>, retain: bool) -> Run {
    let mut run = Run::new(version);
    run.join(0, "w").take(0, "will/#", 0);
    run.open(1);
    let hello = Hello {
        will: Some(("will/a", b"gone", 0, retain)),
        will_properties,
        properties: if version == V5 {
            expiry(0x11, 60)
        } else {
            Vec::new()
        },
        clean: version != V5,
        ..Hello::new("a")
    };
    run.client(1, connect(version, &hello));
    run.server(1, connack(version, false, 0, &[]));
    run
}

fn will() -> Vec<u8> {
    publish(V3, "will/a", b"gone", Sent::default())
}

fn will_five() -> Vec<u8> {
    publish(V5, "will/a", b"gone", Sent::default())
}

#[test]
fn a_will_is_published_after_a_reset() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    let frame = run.server(0, will());
    run.leave(0).finish();
    let story = &run.wills[0];
    assert!(matches!(story.fate, WillFate::Published(stamp) if stamp.number == frame));
    assert_eq!(story.deliveries.len(), 1);
    assert_eq!(outcome(&story.deliveries[0]), "w q0");
    assert_eq!(run.found("will-published"), frame);
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_will_may_be_seen_before_the_end_of_its_connection() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.wait(5000);
    let frame = run.server(0, will());
    run.end(1, Closed::Finished, Some(Sender::Server));
    run.leave(0).finish();
    assert!(matches!(run.wills[0].fate, WillFate::Published(stamp) if stamp.number == frame));
}

#[test]
fn disconnect_deletes_the_will() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.leave(1).wait(5000).leave(0).finish();
    assert_eq!(
        run.wills[0].fate,
        WillFate::NotPublished(NoWill::Disconnected)
    );
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_stored_copy_that_equals_a_deleted_will_may_be_of_an_earlier_one() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    let hello = Hello {
        will: Some(("w", b"gone", 1, true)),
        ..Hello::new("b")
    };
    run.open(1);
    run.client(1, connect(V3, &hello));
    run.server(1, connack(V3, false, 0, &[]));
    run.leave(1).take(0, "#", 1);
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    run.server(0, publish(V3, "w", b"gone", retain));
    run.leave(0).finish();
    assert!(
        run.findings
            .iter()
            .all(|one| one.rule != "will-after-disconnect")
    );
}

#[test]
fn a_will_after_disconnect_is_an_error() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.leave(1);
    let frame = run.server(0, will());
    run.leave(0).finish();
    assert_eq!(run.found("will-after-disconnect"), frame);
}

#[test]
fn disconnect_with_will_publishes_it() {
    let mut run = run_with_will(V5, Vec::new(), false);
    run.client(1, disconnect(V5, 0x04));
    run.end(1, Closed::Finished, Some(Sender::Client));
    let frame = run.server(0, will_five());
    run.leave(0).finish();
    assert!(matches!(run.wills[0].fate, WillFate::Published(stamp) if stamp.number == frame));
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_client_that_returns_in_time_stops_its_delayed_will() {
    let mut run = run_with_will(V5, expiry(0x18, 10), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.wait(2000).stay(2, "a", true);
    let frame = run.server(0, will_five());
    run.leave(2).leave(0).finish();
    assert_eq!(run.found("will-after-return"), frame);

    let mut run = run_with_will(V5, expiry(0x18, 10), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.wait(2000).stay(2, "a", true);
    run.leave(2).leave(0).finish();
    assert_eq!(
        run.wills[0].fate,
        WillFate::NotPublished(NoWill::SessionResumed)
    );
}

#[test]
fn a_will_that_is_published_before_its_delay_is_over_is_reported() {
    // The session lasts for 60 s; a delay of 100 s is over with it.
    for (delay, gone, early) in [
        (10, 5_000, true),
        (10, 9_000, false),
        (100, 50_000, true),
        (100, 60_000, false),
    ] {
        let mut run = run_with_will(V5, expiry(0x18, delay), false);
        run.end(1, Closed::Reset, Some(Sender::Client));
        let frame = run.wait(gone).server(0, will_five());
        run.leave(0).finish();
        let found = run.rules().contains(&"will-before-its-delay");
        assert_eq!(found, early, "{delay} {gone}");
        if early {
            assert_eq!(run.found("will-before-its-delay"), frame);
        }
    }
}

#[test]
fn a_delayed_will_may_lie_behind_the_captures_end() {
    let mut run = run_with_will(V5, expiry(0x18, 10), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.wait(1000).leave(0).finish();
    assert_eq!(
        run.wills[0].fate,
        WillFate::NotPublished(NoWill::DelayRunning)
    );
}

#[test]
fn a_due_will_that_a_subscriber_misses_is_reported() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    for _ in 0..3 {
        run.wait(30_000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
    }
    run.leave(0).finish();
    assert_eq!(run.wills[0].fate, WillFate::NotPublished(NoWill::NotSeen));
    run.finding("will-not-published");
}

#[test]
fn a_will_may_have_no_listener() {
    let mut run = Run::new(V3);
    run.open(1);
    let hello = Hello {
        will: Some(("w", b"gone", 0, false)),
        ..Hello::new("a")
    };
    run.client(1, connect(V3, &hello));
    run.server(1, connack(V3, false, 0, &[]));
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.finish();
    assert_eq!(
        run.wills[0].fate,
        WillFate::NotPublished(NoWill::NoSubscriber)
    );
}

#[test]
fn a_will_of_a_living_connection_is_open() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.finish();
    assert_eq!(run.wills[0].fate, WillFate::NotPublished(NoWill::StillOpen));
}

#[test]
fn a_retained_will_is_stored_for_late_subscribers() {
    let mut run = run_with_will(V3, Vec::new(), true);
    let set = run.frame - 1;
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.server(0, will());
    run.join(2, "late").take(2, "will/#", 0);
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    run.server(2, publish(V3, "will/a", b"gone", retain));
    run.leave(2).leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    let stored = run.retained[0].stored.as_ref().unwrap();
    assert!(stored.will);
    assert_eq!(stored.stamp.number, set);
    assert_eq!(run.retained[0].deliveries.len(), 1);
}

#[test]
fn a_will_without_retain_is_not_stored() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.join(5, "p");
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    run.client(5, publish(V3, "will/a", b"here", retain));
    run.server(0, publish(V3, "will/a", b"here", Sent::default()));
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.server(0, will());
    run.wait(500).join(2, "late").take(2, "will/#", 0);
    run.server(2, publish(V3, "will/a", b"gone", retain));
    run.leave(2).leave(0).finish();
    // The copy is of an equal message that a client outside the capture stored.
    assert!(run.retained.iter().all(|one| one.deliveries.is_empty()));
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_will_comes_from_another_broker_where_messages_pass_between_the_two() {
    for bridge in [false, true] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "w", 0);
        if bridge {
            run.bridge(9);
        }
        run.open_to(1, 1884, true);
        let hello = Hello {
            will: Some(("w", b"gone", 0, false)),
            ..Hello::new("a")
        };
        run.client(1, connect(V3, &hello));
        run.server(1, connack(V3, false, 0, &[]));
        run.end(1, Closed::Reset, Some(Sender::Client));
        run.server(0, publish(V3, "w", b"gone", Sent::default()));
        run.leave(0).finish();
        let published = matches!(run.wills[0].fate, WillFate::Published(_));
        assert_eq!(published, bridge);
        assert_eq!(run.wills[0].deliveries.len(), usize::from(bridge));
        assert_eq!(run.rules(), [""; 0]);
    }
}

/// A client `a` with a will to `w`, which has ended.
fn gone(run: &mut Run, connection: u32, will: (&'static str, &'static [u8], u8, bool)) {
    gone_of(run, connection, "a", will);
}

/// The same of a client of this name.
fn gone_of(
    run: &mut Run,
    connection: u32,
    id: &str,
    will: (&'static str, &'static [u8], u8, bool),
) {
    let version = run.version;
    run.open(connection);
    let hello = Hello {
        will: Some(will),
        ..Hello::new(id)
    };
    run.client(connection, connect(version, &hello));
    run.server(connection, connack(version, false, 0, &[]));
}

#[test]
fn a_will_is_not_owed_to_its_own_client() {
    let mut run = Run::new(V3);
    gone(&mut run, 1, ("w", b"gone", 1, false));
    run.take(1, "w", 1);
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.join(0, "other");
    run.wait(90_000).leave(0).finish();
    assert_eq!(
        run.wills[0].fate,
        WillFate::NotPublished(NoWill::NoSubscriber)
    );
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_will_is_not_owed_to_a_subscriber_that_is_away() {
    for (qos, why) in [(0, "AwayAtQoS0"), (1, "Away")] {
        let mut run = Run::new(V3);
        run.stay(0, "s", false).take(0, "w", qos).leave(0);
        gone(&mut run, 1, ("w", b"gone", 1, false));
        run.end(1, Closed::Reset, Some(Sender::Client));
        run.join(2, "other").wait(90_000).leave(2).finish();
        assert_eq!(run.rules(), [""; 0]);
        assert_eq!(
            outcome(&run.wills[0].deliveries[0]),
            format!("s not: {why}")
        );
    }
}

#[test]
fn a_subscriber_that_is_there_at_the_captures_end_misses_a_will() {
    let mut run = run_with_will(V3, Vec::new(), false);
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.wait(5000);
    run.client(0, PINGREQ);
    run.server(0, PINGRESP);
    run.finish();
    run.finding("will-not-published");

    // One that leaves soon may do so before the server notices.
    for (stays, misses) in [(500, false), (1500, true)] {
        let mut run = run_with_will(V3, Vec::new(), false);
        run.end(1, Closed::Reset, Some(Sender::Client));
        run.wait(stays).leave(0).wait(90_000).join(2, "x").finish();
        let found = run.rules().contains(&"will-not-published");
        assert_eq!(found, misses, "{stays}");
    }
}

#[test]
fn the_stored_copy_of_a_will_shows_that_it_was_published() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).take(0, "w", 0).leave(0);
    gone(&mut run, 1, ("w", b"gone", 0, true));
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.wait(300).join(2, "late").take(2, "w", 0);
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    let copy = run.server(2, publish(V3, "w", b"gone", retain));
    run.wait(2000).leave(2).finish();
    let will = &run.wills[0];
    assert!(matches!(will.fate, WillFate::Published(stamp) if stamp.number == copy));
    let deliveries: Vec<_> = will.deliveries.iter().map(outcome).collect();
    assert_eq!(deliveries, ["s not: AwayAtQoS0", "late q0 stored"]);
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn each_overlapping_subscription_may_bring_a_will() {
    let mut run = Run::new(V3);
    run.join(0, "s").take(0, "w/+", 0).take(0, "w/#", 1);
    gone(&mut run, 1, ("w/d", b"gone", 1, false));
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.server(0, publish(V3, "w/d", b"gone", Sent::default()));
    run.server(0, numbered(V3, "w/d", b"gone", 1, 1));
    run.client(0, puback(1));
    // One more than there are subscriptions.
    run.server(0, publish(V3, "w/d", b"gone", Sent::default()));
    run.leave(0).finish();
    let deliveries: Vec<_> = run.wills[0].deliveries.iter().map(outcome).collect();
    assert_eq!(deliveries, ["s q0 downgraded", "s q1"]);
}

#[test]
fn a_disconnect_or_a_takeover_may_lie_in_a_gap() {
    // A gap of its client; one of another client, where the server closes.
    for (gap, by, missed) in [
        (None, Sender::Server, true),
        (Some(1), Sender::Client, false),
        (Some(2), Sender::Server, false),
        (Some(2), Sender::Client, true),
    ] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "w/d", 0).join(2, "other");
        gone(&mut run, 1, ("w/d", b"gone", 0, false));
        if let Some(gap) = gap {
            run.gap(gap, Sender::Client);
        }
        run.end(1, Closed::Finished, Some(by));
        run.wait(90_000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.leave(0).finish();
        let found = run.rules().contains(&"will-not-published");
        assert_eq!(found, missed, "{gap:?} {by:?}");
    }
}

#[test]
fn which_of_equal_wills_a_copy_is_remains_open() {
    for (second, reported) in [(&b"gone"[..], false), (b"lost", true)] {
        let mut run = Run::new(V3);
        run.join(0, "s").take(0, "w/d", 0);
        for (connection, payload) in [(1, &b"gone"[..]), (2, second)] {
            gone(&mut run, connection, ("w/d", payload, 0, false));
            run.end(connection, Closed::Reset, Some(Sender::Client));
        }
        run.server(0, publish(V3, "w/d", b"gone", Sent::default()));
        run.wait(90_000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.leave(0).finish();
        assert_eq!(run.rules().contains(&"will-not-published"), reported);
        let mut copies = run.wills.iter().flat_map(|will| &will.deliveries);
        assert_eq!(copies.any(|copy| copy.ambiguous), !reported);
    }
}

#[test]
fn a_stored_copy_may_be_of_an_equal_will_of_a_client_that_was_not_seen() {
    // Another client set an equal will; not all of the broker's connections were captured.
    for (equal, blind) in [(true, true), (true, false), (false, true)] {
        let mut run = Run::new(V3);
        run.join(9, "s");
        gone(&mut run, 1, ("w/d", b"gone", 0, true));
        run.end(1, Closed::Reset, Some(Sender::Client));
        let payload: &[u8] = if equal { b"gone" } else { b"lost" };
        gone_of(&mut run, 2, "b", ("w/d", payload, 0, true));
        if blind {
            run.open_to(3, 1883, false).client(3, PINGREQ);
        }
        run.wait(500).take(9, "#", 0);
        let retain = Sent {
            retain: true,
            ..Sent::default()
        };
        run.server(9, publish(V3, "w/d", b"gone", retain));
        run.leave(9).finish();
        let mut copies = run.retained.iter().flat_map(|one| &one.deliveries);
        let copy = copies.next().expect("a stored copy");
        assert_eq!(copy.ambiguous, equal && blind, "{equal} {blind}");
    }
}

#[test]
fn a_client_that_is_back_in_time_misses_no_delayed_will_of_a_session_that_is_over() {
    for (wait, missed) in [(2_000, false), (12_000, true)] {
        let mut run = run_with_will(V5, expiry(0x18, 10), false);
        run.end(1, Closed::Reset, Some(Sender::Client));
        // A clean start: the earlier session is over.
        run.wait(wait).join(2, "a").wait(90_000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.finish();
        assert_eq!(run.rules().contains(&"will-not-published"), missed);
    }
}

#[test]
fn a_takeover_in_time_stops_a_delayed_will() {
    for (delay, fate) in [
        (10, WillFate::NotPublished(NoWill::SessionResumed)),
        (0, WillFate::NotPublished(NoWill::TakenOver)),
    ] {
        let mut run = run_with_will(V5, expiry(0x18, delay), false);
        run.wait(2000).stay(2, "a", true);
        run.end(1, Closed::Finished, Some(Sender::Server));
        run.wait(2000).leave(2).wait(60_000);
        run.client(0, PINGREQ);
        run.server(0, PINGRESP);
        run.finish();
        assert_eq!(run.wills[0].fate, fate, "{delay}");
    }
}

#[test]
fn a_will_that_waits_for_an_absent_subscriber_is_lost_with_its_session() {
    let mut run = Run::new(V3);
    run.stay(0, "s", false).take(0, "w", 1);
    run.end(0, Closed::Reset, Some(Sender::Client));
    gone(&mut run, 1, ("w", b"gone", 1, false));
    run.end(1, Closed::Reset, Some(Sender::Client));
    // A clean session discards what waited.
    run.wait(20).join(2, "s").take(2, "other", 1);
    run.wait(90_000).leave(2).finish();
    assert_eq!(run.rules(), [""; 0]);
    assert_eq!(outcome(&run.wills[0].deliveries[0]), "s not: SessionEnded");
}

#[test]
fn of_equal_wills_it_is_open_which_one_was_published() {
    let mut run = Run::new(V3);
    run.join(0, "w").take(0, "w", 0);
    gone_of(&mut run, 1, "a", ("w", b"gone", 0, false));
    gone_of(&mut run, 2, "b", ("w", b"gone", 0, false));
    run.end(1, Closed::Reset, Some(Sender::Client));
    run.end(2, Closed::Reset, Some(Sender::Client));
    let copy = publish(V3, "w", b"gone", Sent::default());
    run.server(0, copy);
    run.wait(90_000).leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    assert!(run.wills.iter().all(|will| will.ambiguous));
    assert_eq!(outcome(&run.wills[0].deliveries[0]), "w q0 ambiguous");
}

#[test]
fn the_will_that_a_subscriber_waits_for_is_likelier_than_one_of_a_living_connection() {
    let mut run = Run::new(V3);
    run.join(0, "w").take(0, "w", 0);
    gone_of(&mut run, 1, "a", ("w", b"gone", 0, false));
    gone_of(&mut run, 2, "b", ("w", b"gone", 0, false));
    run.end(2, Closed::Reset, Some(Sender::Client));
    run.server(0, publish(V3, "w", b"gone", Sent::default()));
    run.wait(5000).leave(1).leave(0).finish();
    let published = |will: &WillSummary| matches!(will.fate, WillFate::Published(_));
    let fates: Vec<_> = run
        .wills
        .iter()
        .map(|will| (published(will), will.ambiguous))
        .collect();
    assert_eq!(
        fates.iter().filter(|fate| **fate == (true, false)).count(),
        1
    );
    assert_eq!(
        fates.iter().filter(|fate| **fate == (false, false)).count(),
        1
    );
}

#[test]
fn an_own_message_with_no_local_may_be_what_looks_like_a_will_that_was_deleted() {
    let mut run = Run::new(V5);
    run.join(0, "s").take(0, "w", 0x04);
    run.open(1);
    let hello = Hello {
        will: Some(("w", b"x", 0, false)),
        ..Hello::new("a")
    };
    run.client(1, connect(V5, &hello));
    run.server(1, connack(V5, false, 0, &[]));
    run.leave(1);
    run.client(0, publish(V5, "w", b"x", Sent::default()));
    run.server(0, publish(V5, "w", b"x", Sent::default()));
    run.leave(0).finish();
    assert!(!run.rules().contains(&"will-after-disconnect"));
}
