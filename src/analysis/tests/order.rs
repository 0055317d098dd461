//! Which packet may stand where.

use super::*;
use crate::event::{Introduction, Level, LooksLike, NotMqtt, Protocol};

#[test]
fn connect_is_first_and_comes_once() {
    let mut run = Run::new(V3);
    run.open(0);
    let first = run.client(0, publish(V3, "t", b"x", Sent::default()));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.join(1, "a");
    let second = run.client(1, connect(V3, &Hello::new("a")));
    run.end(1, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("packet-before-connect"), first);
    assert_eq!(run.found("second-connect"), second);
    assert_eq!(run.rules().len(), 2);
    assert_eq!(run.sessions.len(), 2);
}

#[test]
fn a_connect_that_cannot_be_read_is_a_connect_all_the_same() {
    let mut run = Run::new(V3);
    run.open(0);
    let mut bytes = connect(V3, &Hello::new("a"));
    bytes[9] |= 0x01;
    run.client(0, &bytes);
    run.client(0, PINGREQ);
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.rules(), ["connect-reserved-flag-is-zero"]);
}

#[test]
fn connack_is_the_servers_first_and_comes_once() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    let early = run.server(0, PINGRESP);
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.join(1, "b");
    let second = run.server(1, connack(V3, false, 0, &[]));
    run.leave(1).finish();
    assert_eq!(run.found("packet-before-connack"), early);
    assert_eq!(run.found("second-connack"), second);
}

#[test]
fn a_server_disconnects_after_its_connack_only() {
    let mut run = Run::new(V5);
    run.open(0);
    run.client(0, connect(V5, &Hello::new("a")));
    let early = run.server(0, disconnect(V5, 0x89));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("packet-before-connack"), early);
}

#[test]
fn each_end_sends_its_own_packet_types() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    let ping = run.server(0, PINGREQ);
    run.end(0, Closed::Finished, Some(Sender::Client));
    run.finish();
    assert_eq!(run.found("wrong-sender"), ping);
    let mut run = Run::new(V3);
    run.join(0, "a");
    let pong = run.client(0, PINGRESP);
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("wrong-sender"), pong);
    let mut run = Run::new(V3);
    run.join(0, "a");
    let bye = run.server(0, disconnect(V3, 0));
    run.end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.found("wrong-sender"), bye);
}

#[test]
fn nothing_follows_disconnect() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    run.client(0, disconnect(V3, 0));
    let late = run.client(0, PINGREQ);
    run.end(0, Closed::Finished, Some(Sender::Client));
    run.finish();
    assert_eq!(run.found("packet-after-disconnect"), late);
}

#[test]
fn after_disconnect_the_connection_is_closed() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    let bye = run.client(0, disconnect(V3, 0));
    run.wait(10_000).finish();
    assert_eq!(run.rules(), [""; 0], "nothing went on after it");
    let mut run = Run::new(V3);
    run.join(0, "a");
    run.client(0, disconnect(V3, 0));
    run.wait(10_000).join(1, "b").finish();
    assert_eq!(run.found("left-open-after-disconnect"), bye);
}

#[test]
fn a_refused_connection_is_over() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("a")));
    let refused = run.server(0, connack(V3, false, 5, &[]));
    let late = run.client(0, PINGREQ);
    run.wait(10_000).join(1, "b").finish();
    assert_eq!(run.found("connection-refused"), refused);
    assert_eq!(run.found("packet-after-refusal"), late);
    assert_eq!(run.found("left-open-after-refusal"), refused);
}

#[test]
fn a_server_does_not_tolerate_a_broken_rule() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    // Reserved flags of PINGREQ.
    run.client(0, [0xc1, 0]);
    run.server(0, PINGRESP);
    run.client(0, PINGREQ);
    let frame = run.server(0, PINGRESP);
    run.leave(0).finish();
    assert_eq!(
        run.finding("reserved-header-flags-hold").statements,
        ["MQTT-2.2.2-1", "MQTT-2.2.2-2"]
    );
    assert_eq!(run.found("violation-tolerated"), frame);
}

#[test]
fn a_server_that_closes_over_a_broken_rule_is_not_expected_to_answer() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    let wrong = run.client(0, subscribe(V3, 1, &[("a/#/b", 0)], &[]));
    run.wait(2000)
        .end(0, Closed::Finished, Some(Sender::Server));
    run.finish();
    assert_eq!(run.rules(), ["multi-level-wildcard-is-last"]);
    assert!(matches!(
        run.sessions[0].connections[0].end.cause,
        crate::event::EndCause::ProtocolError { frame } if frame == wrong
    ));
}

#[test]
fn a_password_in_clear_text_is_reported_and_one_in_tls_is_not() {
    for (transport, reported) in [(Transport::TCP, 1), (Transport::TCP.with(Protocol::Tls), 0)] {
        let mut run = Run::new(V3);
        run.transport = transport;
        run.open(0);
        let hello = Hello {
            password: Some(b"secret"),
            ..Hello::new("a")
        };
        run.client(0, connect(V3, &hello));
        run.server(0, connack(V3, false, 0, &[]));
        run.leave(0).finish();
        assert_eq!(run.rules().len(), reported);
        assert!(
            run.findings
                .iter()
                .all(|one| !one.message.contains("secret"))
        );
        if reported == 1 {
            assert_eq!(run.finding("credentials-in-clear-text").statements, [""; 0]);
        }
    }
}

#[test]
fn a_password_that_stays_on_its_host_is_a_note() {
    let host = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let mapped = "::ffff:127.0.0.1".parse().unwrap();
    for (ends, level) in [
        ([IpAddr::V4(Ipv4Addr::LOCALHOST); 2], Level::Note),
        (
            [mapped, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))],
            Level::Note,
        ),
        ([host(1), host(1)], Level::Note),
        ([host(1), host(2)], Level::Warning),
        ([IpAddr::V4(Ipv4Addr::LOCALHOST), host(2)], Level::Warning),
    ] {
        let mut run = Run::new(V3);
        run.ends = ends;
        run.open(0);
        let hello = Hello {
            password: Some(b"secret"),
            ..Hello::new("a")
        };
        run.client(0, connect(V3, &hello));
        assert_eq!(
            run.finding("credentials-in-clear-text").level,
            level,
            "{ends:?}"
        );
    }
}

#[test]
fn a_packet_that_never_completes_is_reported() {
    let mut run = Run::new(V3);
    run.join(0, "a");
    let stamp = run.stamp();
    let cut = Incomplete {
        sender: Sender::Client,
        packet_type: PacketType::Publish,
        announced: 81,
        received: 30,
        stamp,
    };
    run.end_within(0, Closed::Reset, Some(Sender::Client), Some(cut));
    run.finish();
    assert_eq!(run.found("incomplete-packet"), stamp.number);
    run.finding("connection-reset");
}

#[test]
fn what_the_capture_lacks_is_reported() {
    let mut run = Run::new(V3);
    run.join(0, "a").gap(0, Sender::Client);
    run.finding("missing-octets");
    let stamp = run.stamp();
    run.observe(&Event::Gap(&Gap {
        connection: ConnectionId(0),
        sender: Sender::Client,
        direction: Direction::Forward,
        length: 1,
        cause: GapCause::SnapshotLength,
        stamp,
        discarded: 0,
    }));
    run.finding("frame-cut");
    run.observe(&Event::NotMqtt(&NotMqtt {
        connection: Connection {
            id: ConnectionId(9),
            initiator: Endpoint {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 1,
            },
            responder: Endpoint {
                address: IpAddr::V4(Ipv4Addr::LOCALHOST),
                port: 2,
            },
            handshake_seen: true,
            both_seen: true,
        },
        direction: Direction::Forward,
        stamp,
        looks_like: LooksLike::TLS,
        introduction: Introduction::default(),
        answers_mqtt: false,
    }));
    assert!(run.finding("not-mqtt").message.contains("TLS"));
}

#[test]
fn what_was_reported_too_often_is_counted() {
    let limits = Limits {
        findings: 10,
        ..Limits::default()
    };
    let mut run = Run::with(V3, &limits);
    run.join(0, "a");
    for _ in 0..15 {
        run.client(0, puback(1));
        run.server(0, PINGRESP);
    }
    run.finish();
    let last = &run.finding("more-findings").message;
    assert!(last.starts_with("5 more findings"), "{last}");
}

#[test]
fn a_full_table_is_reported() {
    let limits = Limits {
        retained: 3,
        ..Limits::default()
    };
    let mut run = Run::with(V3, &limits);
    run.join(0, "p");
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    for at in 0..=3 {
        run.client(0, publish(V3, &format!("t/{at}"), b"x", retain));
    }
    let message = &run.finding("table-full").message;
    assert!(
        message.contains("retained reached its limit of 3"),
        "{message}"
    );
    run.finish();
    assert_eq!(run.retained.len(), 4);
}
