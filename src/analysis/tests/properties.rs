//! MQTT 5.0: what a server hands on, and AUTH.

use super::*;

fn with<'a>(properties: &'a [u8]) -> Sent<'a> {
    Sent {
        properties,
        ..Sent::default()
    }
}

#[test]
fn properties_are_handed_on_as_they_are() {
    let mut run = Run::new(V5);
    run.join(0, "s").take(0, "t", 0);
    run.join(1, "p");
    let mut first = vec![0x26];
    first.extend(text("a"));
    first.extend(text("1"));
    let mut second = vec![0x26];
    second.extend(text("b"));
    second.extend(text("2"));
    let sent = [first.clone(), second.clone(), string(0x03, "text/plain")].concat();
    let swapped = [second, first, string(0x03, "text/plain")].concat();
    run.client(1, publish(V5, "t", b"x", with(&sent)));
    run.server(0, publish(V5, "t", b"x", with(&sent)));
    run.client(1, publish(V5, "t", b"y", with(&sent)));
    let frame = run.server(0, publish(V5, "t", b"y", with(&swapped)));
    run.leave(0).leave(1).finish();
    assert_eq!(run.rules(), ["property-altered"]);
    assert_eq!(run.found("property-altered"), frame);
}

#[test]
fn the_expiry_counts_down_while_a_message_waits() {
    let mut run = Run::new(V5);
    run.stay(0, "s", false).take(0, "t", 1).leave(0);
    run.join(1, "p");
    let minute = expiry(0x02, 40);
    for id in 1..=3 {
        let sent = Sent {
            qos: 1,
            id,
            properties: &minute,
            ..Sent::default()
        };
        run.client(1, publish(V5, "t", &[b'0' + id as u8], sent));
        run.server(1, puback(id));
    }
    run.leave(1).wait(30_000).stay(2, "s", true);
    let half = expiry(0x02, 10);
    let copy = |id, properties| Sent {
        qos: 1,
        id,
        properties,
        ..Sent::default()
    };
    run.server(2, publish(V5, "t", b"1", copy(1, &half)));
    run.client(2, puback(1));
    let unchanged = run.server(2, publish(V5, "t", b"2", copy(2, &minute)));
    run.client(2, puback(2));
    run.wait(15_000);
    let late = run.server(2, publish(V5, "t", b"3", copy(3, &half)));
    run.client(2, puback(3));
    run.leave(2).finish();
    assert_eq!(run.found("message-expiry-not-counted-down"), unchanged);
    assert_eq!(run.found("delivered-after-expiry"), late);
    assert_eq!(run.rules().len(), 2);
}

#[test]
fn an_interval_that_is_as_good_as_over_may_be_left_out() {
    for (interval, reported) in [(1, false), (3, true)] {
        let mut run = Run::new(V5);
        run.join(0, "s").take(0, "t", 0).join(1, "p");
        let interval = expiry(0x02, interval);
        let sent = Sent {
            properties: &interval,
            ..Sent::default()
        };
        run.client(1, publish(V5, "t", b"x", sent));
        run.server(0, publish(V5, "t", b"x", Sent::default()));
        run.leave(0).leave(1).finish();
        let found = run.rules().contains(&"message-expiry-not-counted-down");
        assert_eq!(found, reported);
    }
}

#[test]
fn a_copy_carries_the_subscriptions_identifier() {
    let mut run = Run::new(V5);
    run.join(0, "s");
    run.client(0, subscribe(V5, 1, &[("t", 0)], &[0x0b, 7]));
    run.server(0, suback(V5, 1, &[0]));
    run.join(1, "p");
    run.client(1, publish(V5, "t", b"x", Sent::default()));
    run.server(0, publish(V5, "t", b"x", with(&[0x0b, 7])));
    run.client(1, publish(V5, "t", b"y", Sent::default()));
    let frame = run.server(0, publish(V5, "t", b"y", Sent::default()));
    run.leave(0).leave(1).finish();
    assert_eq!(run.rules(), ["subscription-identifier-missing"]);
    assert_eq!(run.found("subscription-identifier-missing"), frame);
    let one = run
        .handshakes
        .iter()
        .find(|one| !one.deliveries.is_empty())
        .unwrap();
    assert_eq!(one.deliveries[0].subscription_ids, [7]);
}

#[test]
fn a_copy_may_cross_the_subscribe_that_gives_its_subscription_an_identifier() {
    let mut run = Run::new(V5);
    run.join(0, "s").take(0, "t", 0).join(1, "p");
    run.client(0, subscribe(V5, 1, &[("t", 0)], &[0x0b, 7]));
    run.client(1, publish(V5, "t", b"x", Sent::default()));
    run.server(0, publish(V5, "t", b"x", Sent::default()));
    run.server(0, suback(V5, 1, &[0]));
    run.leave(0).leave(1).finish();
    assert_eq!(run.rules(), [""; 0]);
}

#[test]
fn a_client_publishes_without_subscription_identifiers() {
    let mut run = Run::new(V5);
    run.join(1, "p");
    let frame = run.client(1, publish(V5, "t", b"x", with(&[0x0b, 7])));
    run.leave(1).finish();
    assert_eq!(run.found("subscription-identifier-from-client"), frame);
}

#[test]
fn a_servers_disconnect_has_no_session_expiry() {
    let mut run = Run::new(V5);
    run.join(1, "p");
    let mut body = vec![0x8b];
    body.extend(properties(V5, &expiry(0x11, 5)));
    let frame = run.server(1, packet(0xe0, &body));
    run.end(1, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("session-expiry-from-server"), frame);
    assert_eq!(run.found("server-disconnected"), frame);
}

#[test]
fn a_client_does_not_raise_a_session_expiry_of_0() {
    for (connected, left, raised) in [(None, 5, true), (Some(60), 5, false), (None, 0, false)] {
        let mut run = Run::new(V5);
        run.open(0);
        let hello = Hello {
            properties: connected.map_or(Vec::new(), |seconds| expiry(0x11, seconds)),
            ..Hello::new("a")
        };
        run.client(0, connect(V5, &hello));
        run.server(0, connack(V5, false, 0, &[]));
        let mut body = vec![0];
        body.extend(properties(V5, &expiry(0x11, left)));
        let frame = run.client(0, packet(0xe0, &body));
        run.end(0, Closed::Finished, Some(Sender::Client));
        run.finish();
        let found = run.findings.first().map(|one| (one.rule, one.stamp.number));
        let expected = raised.then_some(("session-expiry-raised", frame));
        assert_eq!(found, expected, "{connected:?} {left}");
    }
}

#[test]
fn information_comes_where_it_is_wanted() {
    let mut run = Run::new(V5);
    run.open(0);
    let hello = Hello {
        // Request Problem Information 0.
        properties: vec![0x17, 0],
        ..Hello::new("a")
    };
    run.client(0, connect(V5, &hello));
    let reported = run.server(0, connack(V5, false, 0, &string(0x1a, "info")));
    run.client(0, numbered(V5, "t", b"x", 1, 1));
    let mut body = vec![0, 1, 0];
    body.extend(properties(V5, &string(0x1f, "why")));
    let explained = run.server(0, packet(0x40, &body));
    run.leave(0).finish();
    assert_eq!(run.found("response-information-not-asked-for"), reported);
    assert_eq!(run.found("problem-information-not-wanted"), explained);
}

fn auth(code: u8, method: &str) -> Vec<u8> {
    let mut body = vec![code];
    body.extend(properties(V5, &string(0x15, method)));
    packet(0xf0, &body)
}

fn with_method(id: &str) -> Hello {
    Hello {
        properties: string(0x15, "SCRAM"),
        ..Hello::new(id)
    }
}

#[test]
fn authentication_goes_back_and_forth_until_connack() {
    let mut run = Run::new(V5);
    run.open(0);
    run.client(0, connect(V5, &with_method("a")));
    run.server(0, auth(0x18, "SCRAM"));
    run.client(0, auth(0x18, "SCRAM"));
    run.server(0, connack(V5, false, 0, &string(0x15, "SCRAM")));
    run.client(0, auth(0x19, "SCRAM"));
    run.server(0, auth(0x18, "SCRAM"));
    run.client(0, auth(0x18, "SCRAM"));
    run.server(0, auth(0x00, "SCRAM"));
    run.leave(0).finish();
    assert_eq!(run.rules(), [""; 0]);
    assert_eq!(
        run.one(HandshakeKind::Connect, Sender::Client).steps.len(),
        4
    );
    let again = run.one(HandshakeKind::Auth, Sender::Client);
    assert_eq!(again.state, crate::event::HandshakeState::Complete);
    assert_eq!(again.steps.len(), 4);
}

#[test]
fn auth_keeps_to_its_method_and_codes() {
    let mut run = Run::new(V5);
    run.join(0, "plain");
    let without = run.client(0, auth(0x19, "SCRAM"));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.open(1);
    run.client(1, connect(V5, &with_method("a")));
    let changed = run.server(1, auth(0x18, "OTHER"));
    let wrong = run.client(1, auth(0x19, "SCRAM"));
    let early = run.client(1, publish(V5, "t", b"x", Sent::default()));
    run.end(1, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("auth-without-method"), without);
    assert_eq!(run.found("auth-method-changed"), changed);
    assert_eq!(run.found("auth-code-out-of-place"), wrong);
    assert_eq!(run.found("packet-before-authentication"), early);
}

#[test]
fn a_connack_names_the_method_of_the_connect_and_no_other() {
    let mut run = Run::new(V5);
    run.open(0);
    run.client(0, connect(V5, &with_method("a")));
    let missing = run.server(0, connack(V5, false, 0, &[]));
    run.leave(0);
    run.open(1);
    run.client(1, connect(V5, &Hello::new("b")));
    let surplus = run.server(1, connack(V5, false, 0, &string(0x15, "SCRAM")));
    run.leave(1).finish();
    assert_eq!(run.found("auth-method-changed"), missing);
    assert_eq!(run.found("auth-without-method"), surplus);
}
