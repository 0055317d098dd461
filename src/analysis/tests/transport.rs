//! The carriers of MQTT.

use super::*;
use crate::event::{
    Alert, Breach, CarrierError, Cause, Disorder, Introduction, Level, LooksLike, NotMqtt,
    Protocol, SeenTwice, Stall, Stalled, TransportBreach,
};
use crate::mqtt::ProtocolVersion;

impl Run {
    fn breach(&mut self, sender: Sender, breach: Breach) -> &mut Self {
        let stamp = self.stamp();
        self.observe(&Event::Breach(&TransportBreach {
            connection: ConnectionId(0),
            sender,
            breach,
            stamp,
        }));
        self
    }

    fn not_mqtt(&mut self, looks_like: LooksLike) -> &mut Self {
        self.not_mqtt_but(looks_like, None)
    }

    /// The same, with an alert that answers MQTT.
    fn not_mqtt_but(&mut self, looks_like: LooksLike, alert: Option<Alert>) -> &mut Self {
        let stamp = self.stamp();
        let end = |port| Endpoint {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port,
        };
        self.observe(&Event::NotMqtt(&NotMqtt {
            connection: Connection {
                id: ConnectionId(9),
                initiator: end(50_000),
                responder: end(9001),
                handshake_seen: true,
                both_seen: true,
            },
            direction: Direction::Backward,
            stamp,
            looks_like,
            introduction: Introduction {
                alert,
                ..Introduction::default()
            },
            answers_mqtt: alert.is_some(),
        }));
        self
    }
}

#[test]
fn each_rule_of_websocket_has_a_finding() {
    let rules = [
        (
            Sender::Client,
            Breach::TextFrame,
            "websocket-text-frame",
            Some("MQTT-6.0.0-1"),
        ),
        (
            Sender::Client,
            Breach::NotOffered,
            "websocket-subprotocol-not-offered",
            Some("MQTT-6.0.0-3"),
        ),
        (
            Sender::Server,
            Breach::NotSelected,
            "websocket-subprotocol-not-selected",
            Some("MQTT-6.0.0-4"),
        ),
        (Sender::Server, Breach::Masking, "websocket-masking", None),
    ];
    for version in [V3, V5] {
        let mut run = Run::new(version);
        run.join(0, "page");
        for (sender, breach, rule, statement) in rules {
            run.breach(sender, breach);
            let found = run.finding(rule);
            assert_eq!(found.statements.first().copied(), statement);
            assert!(
                found.message.contains("page") || sender == Sender::Server,
                "{}",
                found.message
            );
        }
    }
}

#[test]
fn mqtt_3_1_has_a_subprotocol_of_another_name() {
    let mut run = Run::new(ProtocolVersion::V3_1);
    run.join(0, "old");
    run.breach(Sender::Client, Breach::NotOffered);
    run.breach(Sender::Server, Breach::NotSelected);
    assert!(
        run.findings
            .iter()
            .all(|found| !found.rule.starts_with("websocket"))
    );
    run.breach(Sender::Client, Breach::TextFrame);
    run.finding("websocket-text-frame");
}

/// A connection of client `a` that TCP kept from going on for so many milliseconds, with a PUBLISH
/// and a DISCONNECT of the client that are not answered.
fn stalled(sender: Sender, stall: Stall, millis: i64, lasting: bool) -> Run {
    let mut run = Run::new(V3);
    run.join(0, "a");
    run.client(0, numbered(V3, "t", b"x", 1, 1));
    let since = run.stamp();
    run.wait(millis);
    let stamp = run.stamp();
    run.observe(&Event::Stalled(&Stalled {
        connection: ConnectionId(0),
        sender,
        stall,
        since,
        lasting,
        stamp,
    }));
    run.wait(5000).end(0, Closed::Reset, Some(Sender::Client));
    run.finish();
    run
}

#[test]
fn an_end_that_does_not_read_is_reported_and_the_other_is_not_blamed() {
    let run = stalled(Sender::Client, Stall::ZeroWindow, 1500, true);
    assert_eq!(run.rules(), ["slow-consumer"]);
    let found = run.finding("slow-consumer");
    assert_eq!((found.by, &*found.frames), (Cause::Client, &[6][..]));
    // It was over in time, or soon: the PUBACK is the server's to send.
    let run = stalled(Sender::Client, Stall::ZeroWindow, 1500, false);
    assert_eq!(run.rules(), ["slow-consumer", "qos1-never-acked"]);
    let run = stalled(Sender::Client, Stall::ZeroWindow, 900, false);
    assert_eq!(run.rules(), ["qos1-never-acked"]);
}

#[test]
fn octets_in_vain_are_reported_and_their_sender_is_not_blamed() {
    let times = Stall::NotAcknowledged { times: 7 };
    let run = stalled(Sender::Server, times, 1500, true);
    assert_eq!(run.rules(), ["tcp-not-acknowledged"]);
    assert_eq!(run.finding("tcp-not-acknowledged").by, Cause::Client);
    let run = stalled(Sender::Client, times, 1500, true);
    assert_eq!(run.rules(), ["tcp-not-acknowledged", "qos1-never-acked"]);
}

#[test]
fn an_end_that_is_not_believed_is_reported() {
    for (stall, what) in [(Stall::FalseReset, "A RST"), (Stall::FalseFin, "A FIN")] {
        let run = stalled(Sender::Client, stall, 1, false);
        let found = run.finding("tcp-end-not-believed");
        let expected = format!("{what} in the name of the client stands where none was expected");
        assert!(found.message.starts_with(&expected), "{}", found.message);
        assert_eq!((found.by, &*found.frames), (Cause::Network, &[][..]));
    }
}

#[test]
fn a_port_without_a_listener_is_reported() {
    let mut run = Run::new(V3);
    run.not_mqtt(LooksLike::Refused);
    let found = run.finding("connection-refused");
    assert_eq!(found.by, Cause::Server);
    assert!(
        found.message.contains("to port 9001 was refused"),
        "{}",
        found.message
    );
}

#[test]
fn a_websocket_connection_that_is_refused_or_breaks_is_reported() {
    let mut run = Run::new(V3);
    run.not_mqtt(LooksLike::Carrier(
        Protocol::WebSocket,
        CarrierError::Refused(401),
    ));
    assert!(run.finding("websocket-refused").message.contains("401"));
    run.not_mqtt(LooksLike::Carrier(
        Protocol::WebSocket,
        CarrierError::Broken,
    ));
    run.finding("websocket-broken");
}

#[test]
fn a_port_that_expects_tls_or_does_not_is_reported() {
    let mut run = Run::new(V3);
    run.not_mqtt_but(
        LooksLike::TLS,
        Some(Alert {
            fatal: true,
            description: 70,
        }),
    );
    let found = run.finding("not-mqtt");
    assert_eq!(found.level, Level::Warning);
    assert!(
        found.message.contains("fatal, protocol version 70"),
        "{}",
        found.message
    );
    for (carrier, name) in [(Protocol::Tls, "TLS"), (Protocol::WebSocket, "WebSocket")] {
        let mut run = Run::new(V3);
        run.not_mqtt(LooksLike::Carrier(carrier, CarrierError::Unanswered));
        let found = run.finding("not-mqtt");
        assert!(
            found.message.contains(&format!("without {name}")),
            "{}",
            found.message
        );
        assert_eq!(found.level, Level::Note);
    }
}

#[test]
fn a_websocket_that_closes_with_a_fault_is_reported() {
    let mut run = Run::new(V3);
    run.open(0);
    run.client(0, connect(V3, &Hello::new("page")));
    run.breach(Sender::Server, Breach::Closed(1002));
    let message = &run.finding("websocket-closed").message;
    assert!(
        message.contains("1002 (protocol error) instead of a CONNACK"),
        "{message}"
    );
    // The answer repeats the code.
    run.breach(Sender::Client, Breach::Closed(1002));
    assert_eq!(run.finding("websocket-closed").by, Sender::Server.into());
}

#[test]
fn a_websocket_that_closes_with_a_private_code_is_a_note_and_without_a_fault_nothing() {
    for (code, level) in [
        (3000, Some(Level::Note)),
        (4999, Some(Level::Note)),
        (2999, Some(Level::Warning)),
        (5000, Some(Level::Warning)),
        (1000, None),
        (1001, None),
        (1005, None),
    ] {
        let mut run = Run::new(V3);
        run.join(0, "page")
            .breach(Sender::Client, Breach::Closed(code))
            .breach(Sender::Server, Breach::Closed(code));
        let found: Vec<_> = run
            .findings
            .iter()
            .filter(|one| one.rule == "websocket-closed")
            .map(|one| (one.level, one.by))
            .collect();
        let wanted = level.map(|level| (level, Sender::Client.into()));
        assert_eq!(found, Vec::from_iter(wanted), "{code}");
    }
}

#[test]
fn the_first_close_frame_ends_a_websocket_whichever_end_closes_tcp() {
    for (first, by_server) in [(Sender::Client, 0), (Sender::Server, 1)] {
        let mut run = Run::new(V3);
        run.join(0, "page").breach(first, Breach::Closed(1000));
        run.breach(first.peer(), Breach::Closed(1000));
        run.end(0, Closed::Finished, Some(Sender::Server));
        let closed = run.findings.iter();
        let closed = closed.filter(|one| one.rule == "closed-by-server");
        assert_eq!(closed.count(), by_server);
    }
}

#[test]
fn a_connection_that_the_capture_holds_twice_is_reported_at_its_copy() {
    let mut run = Run::new(ProtocolVersion::V3_1_1);
    run.open(0).open_to(1, 1884, true);
    let hello = connect(run.version, &Hello::new("a"));
    let first = run.client(0, &hello);
    let second = run.client(1, &hello);
    let stamp = |number| FrameStamp {
        number,
        ..FrameStamp::default()
    };
    run.observe(&Event::SeenTwice(&SeenTwice {
        connection: ConnectionId(1),
        other: ConnectionId(0),
        first: stamp(first),
        began: stamp(second),
        stamp: stamp(second),
    }));
    let finding = run.finding("seen-twice");
    assert_eq!(
        (finding.stamp.number, &finding.frames[..]),
        (second, &[first][..])
    );
    assert_eq!(finding.by, crate::event::Cause::Network);
}

#[test]
fn frames_out_of_order_are_one_note_by_what_tcp_shows_or_else_by_their_times() {
    let stamps = |frames: [u64; 2]| {
        Some(frames.map(|number| FrameStamp {
            number,
            ..FrameStamp::default()
        }))
    };
    let back = Disorder {
        back: 2,
        first_back: stamps([4, 3]),
        ..Disorder::default()
    };
    let both = Disorder {
        late: 7,
        first_late: stamps([9, 8]),
        ..back
    };
    for (disorder, frame, begins) in [(both, 9, "7 frames"), (back, 4, "2 frames")] {
        let mut run = Run::new(V3);
        run.observe(&Event::Disorder(&disorder));
        run.finish();
        assert_eq!(run.findings.len(), 1);
        let note = run.finding("frames-out-of-order");
        assert_eq!(note.stamp.number, frame);
        assert_eq!(note.frames, [frame - 1]);
        assert!(note.message.starts_with(begins), "{}", note.message);
    }
}

#[test]
fn one_hole_is_one_finding_whatever_lies_behind_it() {
    let mut run = Run::new(V3);
    run.join(0, "a").gap(0, Sender::Server);
    let stamp = run.stamp();
    run.observe(&Event::Gap(&Gap {
        connection: ConnectionId(0),
        sender: Sender::Server,
        direction: Direction::Backward,
        length: 0,
        cause: GapCause::PassedOver,
        stamp,
        discarded: 100,
    }));
    run.leave(0).finish();
    assert_eq!(run.rules(), ["missing-octets"]);
}
