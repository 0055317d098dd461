//! MQTT 5.0: limits that one end sets for the other.

use super::*;

fn open_with(run: &mut Run, hello: &[u8], answer: &[u8]) {
    run.open(0);
    let hello = Hello {
        properties: hello.to_vec(),
        ..Hello::new("a")
    };
    run.client(0, connect(V5, &hello));
    run.server(0, connack(V5, false, 0, answer));
}

#[test]
fn no_more_is_in_flight_than_the_receiver_allows() {
    let mut run = Run::new(V5);
    open_with(&mut run, &short(0x21, 2), &short(0x21, 1));
    run.take(0, "t", 1);
    for id in 1..=2 {
        run.server(0, numbered(V5, "t", &[id as u8], 1, id));
    }
    run.client(0, puback(1));
    run.server(0, numbered(V5, "t", b"3", 1, 3));
    let servers = run.server(0, numbered(V5, "t", b"4", 1, 4));
    run.client(0, puback(2));
    run.client(0, numbered(V5, "u", b"x", 2, 1));
    run.server(0, pubrec(1));
    let clients = run.client(0, numbered(V5, "u", b"y", 1, 2));
    run.server(0, PINGRESP);
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    let reported: Vec<_> = run
        .findings
        .iter()
        .filter(|one| one.rule == "receive-maximum-exceeded")
        .map(|one| one.stamp.number)
        .collect();
    assert_eq!(reported, [servers, clients]);
}

#[test]
fn a_gap_may_hide_the_acknowledgement_that_makes_room() {
    let mut run = Run::new(V5);
    open_with(&mut run, &short(0x21, 1), &[]);
    run.server(0, numbered(V5, "t", b"1", 1, 1));
    run.gap(0, Sender::Client);
    run.server(0, numbered(V5, "t", b"2", 1, 2));
    run.client(0, puback(2));
    run.leave(0).finish();
    assert!(
        run.findings
            .iter()
            .all(|one| one.rule != "receive-maximum-exceeded")
    );
}

#[test]
fn no_packet_is_larger_than_the_receiver_allows() {
    let mut run = Run::new(V5);
    open_with(&mut run, &expiry(0x27, 60), &expiry(0x27, 60));
    run.take(0, "t", 1);
    let clients = run.client(0, publish(V5, "u", &[b'x'; 80], Sent::default()));
    let servers = run.server(0, publish(V5, "t", &[b'x'; 80], Sent::default()));
    run.client(0, numbered(V5, "u", b"y", 1, 1));
    let mut body = vec![0, 1, 0];
    body.extend(properties(V5, &string(0x1f, &"w".repeat(60))));
    run.server(0, packet(0x40, &body));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    let reported: Vec<_> = run
        .findings
        .iter()
        .filter(|one| one.rule == "packet-too-large")
        .collect();
    assert_eq!(reported.len(), 3);
    assert_eq!(reported[0].stamp.number, clients);
    assert_eq!(reported[0].statements, ["MQTT-3.2.2-15"]);
    assert_eq!(reported[1].stamp.number, servers);
    assert_eq!(reported[1].statements, ["MQTT-3.1.2-24", "MQTT-3.1.2-25"]);
    assert_eq!(reported[2].statements, ["MQTT-3.4.2-2", "MQTT-3.4.2-3"]);
}

#[test]
fn topic_aliases_stay_below_the_receivers_maximum() {
    let mut run = Run::new(V5);
    open_with(&mut run, &short(0x22, 3), &short(0x22, 5));
    run.take(0, "t", 0);
    let alias = |number| short(0x23, number);
    let at = |properties| Sent {
        properties,
        ..Sent::default()
    };
    let (four, five, six) = (alias(4), alias(5), alias(6));
    run.client(0, publish(V5, "u", b"x", at(&five)));
    let clients = run.client(0, publish(V5, "u", b"y", at(&six)));
    let servers = run.server(0, publish(V5, "t", b"z", at(&four)));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    let reported: Vec<_> = run
        .findings
        .iter()
        .filter(|one| one.rule == "topic-alias-above-maximum")
        .map(|one| one.stamp.number)
        .collect();
    assert_eq!(reported, [clients, servers]);
}

#[test]
fn an_alias_is_set_before_it_stands_alone() {
    let mut run = Run::new(V5);
    open_with(&mut run, &[], &short(0x22, 5));
    let alias = short(0x23, 1);
    let sent = Sent {
        properties: &alias,
        ..Sent::default()
    };
    let frame = run.client(0, publish(V5, "", b"x", sent));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("topic-alias-unknown"), frame);
}

#[test]
fn a_client_asks_for_nothing_that_the_server_does_not_offer() {
    let mut run = Run::new(V5);
    // Maximum QoS 1, no retain, no wildcards, no identifiers, no shared subscriptions.
    open_with(
        &mut run,
        &[],
        &[0x24, 1, 0x25, 0, 0x28, 0, 0x29, 0, 0x2a, 0],
    );
    let qos = run.client(0, numbered(V5, "t", b"x", 2, 1));
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    let retained = run.client(0, publish(V5, "t", b"x", retain));
    let mut asked = Vec::new();
    for (id, filter, bytes) in [
        (2, "a/#", &[][..]),
        (3, "a", &[0x0b, 1][..]),
        (4, "$share/g/a", &[][..]),
    ] {
        asked.push(run.client(0, subscribe(V5, id, &[(filter, 0)], bytes)));
    }
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("qos-above-maximum"), qos);
    assert_eq!(run.found("retain-unavailable"), retained);
    let reported: Vec<_> = run
        .findings
        .iter()
        .filter(|one| one.rule == "subscription-unavailable")
        .map(|one| one.stamp.number)
        .collect();
    assert_eq!(reported, asked);
}

#[test]
fn a_server_refuses_a_will_that_it_does_not_support() {
    let mut run = Run::new(V5);
    run.open(0);
    let hello = Hello {
        will: Some(("w", b"gone", 2, false)),
        ..Hello::new("a")
    };
    run.client(0, connect(V5, &hello));
    let frame = run.server(0, connack(V5, false, 0, &[0x24, 1]));
    run.leave(0).finish();
    assert_eq!(run.found("will-beyond-the-server"), frame);
}
