use std::sync::Arc;

use super::*;
use crate::base::{Endpoint, FrameStamp, Precision, Span, Timestamp};
use crate::event::{
    ConnectSummary, ConnectionId, Delivered, End, EndCause, EndedBy, FilterRequest, HandshakeKind,
    HandshakeState, Message, MessageDelivery, NoWill, Outcome, Payload, SessionOver, Step, Stored,
    Undelivered, WillMessage,
};
use crate::mqtt::{PacketIdentifier, ProtocolVersion, QoS};

const SERVER: Endpoint = Endpoint {
    address: std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
    port: 1883,
};

fn stamp(number: u64) -> FrameStamp {
    FrameStamp {
        number,
        time: Some(Timestamp::from_nanos(number as i64 * 1_000_000)),
        precision: Precision::Micro,
        length: 100,
        file: 0,
    }
}

fn step(packet_type: PacketType, sender: Sender, frame: u64) -> Step {
    Step {
        packet_type,
        sender,
        stamp: stamp(frame),
        index: 0,
        connection: ConnectionId(0),
        dup: false,
        qos: (packet_type == PacketType::Publish).then_some(QoS::AtLeastOnce),
        retain: false,
        reason_code: None,
        after_gap: false,
    }
}

fn message(topic: &str, qos: QoS) -> Message {
    Message {
        topic: Some(topic.into()),
        qos,
        retain: false,
        payload: Payload::of(b"21.5"),
    }
}

fn story(
    kind: HandshakeKind,
    steps: Vec<Step>,
    state: HandshakeState,
    subject: Subject,
) -> Handshake {
    Handshake {
        kind,
        connection: ConnectionId(0),
        broker: 0,
        server: SERVER,
        initiator: Sender::Client,
        client_id: Some("pub".into()),
        version: Some(ProtocolVersion::V3_1_1),
        packet_id: PacketIdentifier::new(7).filter(|_| kind != HandshakeKind::Connect),
        steps,
        steps_left_out: 0,
        state,
        subject,
        deliveries: Vec::new(),
        deliveries_left_out: 0,
        filters_left_out: 0,
        origin: None,
    }
}

fn leg(client_id: &str, frame: u64, state: Option<HandshakeState>) -> MessageDelivery {
    MessageDelivery {
        connection: Some(ConnectionId(1)),
        client_id: Some(client_id.into()),
        filters: vec!["t/#".into()],
        granted: Some(QoS::AtLeastOnce),
        subscription_ids: Vec::new(),
        outcome: Outcome::Delivered(Delivered {
            stamp: stamp(frame),
            latency: Some(Span::from_nanos(3_000_000)),
            shares: None,
            qos: QoS::AtLeastOnce,
            downgraded: false,
            retain: false,
            stored: false,
            redelivered: false,
            queued: false,
            packet_id: PacketIdentifier::new(9),
            state,
            steps: vec![step(PacketType::Publish, Sender::Server, frame)],
        }),
        ambiguous: false,
        over: None,
    }
}

fn qos1(deliveries: Vec<MessageDelivery>) -> Handshake {
    let steps = vec![
        step(PacketType::Publish, Sender::Client, 4),
        step(PacketType::PubAck, Sender::Server, 6),
    ];
    let subject = Subject::Message(message("t/a", QoS::AtLeastOnce));
    Handshake {
        deliveries,
        ..story(
            HandshakeKind::Qos1,
            steps,
            HandshakeState::Complete,
            subject,
        )
    }
}

fn verdicts(ladder: &Ladder) -> Vec<(Tone, &str)> {
    let verdicts = ladder.verdicts.iter();
    verdicts
        .map(|verdict| (verdict.tone, verdict.text.as_str()))
        .collect()
}

/// The rows in a word each: `PUBLISH (id=7) [t/a] 0>1`.
fn rows(ladder: &Ladder) -> Vec<String> {
    let rows = ladder.rows.iter();
    rows.map(|row| match (row.shape, &row.text) {
        (Shape::Arrow { from, to }, label) => format!("{label} {from}>{to}"),
        (Shape::Missing { from, to }, label) => format!("{label} {from}x{to}"),
        (Shape::Note { .. }, text) => format!("({text})"),
    })
    .collect()
}

#[test]
fn a_message_goes_from_its_publisher_through_the_broker_to_its_subscriber() {
    let ladder = handshake(&qos1(vec![leg("sub", 5, Some(HandshakeState::Complete))])).unwrap();
    let roles: Vec<_> = ladder.lanes.iter().map(|lane| lane.role).collect();
    assert_eq!(roles, [Role::Publisher, Role::Broker, Role::Subscriber]);
    assert_eq!(
        rows(&ladder),
        [
            "PUBLISH (id=7) [t/a] 0>1",
            "PUBLISH (id=9) [t/a] 1>2",
            "PUBACK (id=7) 1>0",
        ]
    );
    assert_eq!(
        verdicts(&ladder),
        [
            (Tone::Good, "complete in 2.000 ms"),
            (
                Tone::Good,
                "sub (by [t/#]): delivered in frame 5 after 3.000 ms at QoS 1"
            ),
        ]
    );
    let since = ladder.rows.iter().map(|row| row.since.map(Span::nanos));
    let since: Vec<_> = since.collect();
    assert_eq!(since, [None, Some(1_000_000), Some(1_000_000)]);
}

#[test]
fn the_step_that_never_came_is_drawn_as_missing_from_the_end_that_owes_it() {
    for (waiting_for, ended_by, row, expected) in [
        (
            PacketType::PubComp,
            EndedBy::ConnectionReset,
            "PUBCOMP (id=7) never came 1x0",
            "incomplete: PUBCOMP never came; connection reset",
        ),
        (
            PacketType::PubRel,
            EndedBy::ConnectionClosed,
            "PUBREL (id=7) never came 0x1",
            "incomplete: PUBREL never came; connection closed",
        ),
        // A packet that was not captured is never reported as not sent.
        (
            PacketType::PubRec,
            EndedBy::Gap,
            "PUBREC (id=7) not seen 1x0",
            "incomplete: PUBREC was not seen: octets are missing from the capture",
        ),
    ] {
        let state = HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        };
        let steps = vec![step(PacketType::Publish, Sender::Client, 4)];
        let subject = Subject::Message(message("t/a", QoS::ExactlyOnce));
        let ladder = handshake(&story(HandshakeKind::Qos2, steps, state, subject)).unwrap();
        assert_eq!(rows(&ladder).last().map(String::as_str), Some(row));
        assert_eq!(verdicts(&ladder), [(Tone::Bad, expected)]);
    }
}

#[test]
fn a_servers_copy_has_a_ladder_of_its_own_only_where_its_publisher_was_not_seen() {
    let mut copy = qos1(Vec::new());
    copy.initiator = Sender::Server;
    for step in &mut copy.steps {
        step.sender = step.sender.peer();
    }
    copy.origin = Some(Origin::NotSeen);
    let ladder = handshake(&copy).unwrap();
    assert_eq!(ladder.lanes[0].role, Role::Broker);
    assert_eq!(ladder.lanes[1].role, Role::Subscriber);
    assert_eq!(
        rows(&ladder),
        ["PUBLISH (id=7) [t/a] 0>1", "PUBACK (id=7) 1>0"]
    );
    copy.origin = Some(Origin::Published {
        connection: ConnectionId(3),
        client_id: None,
        frame: 3,
        ambiguous: false,
    });
    assert_eq!(handshake(&copy), None);
}

#[test]
fn a_redelivery_on_a_new_connection_is_noted_and_its_span_once() {
    let mut again = step(PacketType::Publish, Sender::Client, 9);
    (again.dup, again.connection) = (true, ConnectionId(4));
    let mut answer = step(PacketType::PubAck, Sender::Server, 10);
    answer.connection = ConnectionId(4);
    let mut redelivered = qos1(Vec::new());
    redelivered.steps.truncate(1);
    redelivered.steps.extend([again, answer]);
    let ladder = handshake(&redelivered).unwrap();
    assert_eq!(
        rows(&ladder),
        [
            "PUBLISH (id=7) [t/a] 0>1",
            "(on a new connection of the same session (stream 4))",
            "PUBLISH (id=7) [t/a] DUP 0>1",
            "PUBACK (id=7) 1>0",
        ]
    );
    assert_eq!(ladder.rows[2].since, None);
}

#[test]
fn many_subscribers_have_verdicts_though_few_are_drawn() {
    let legs = (0..40)
        .map(|at| leg(&format!("s{at}"), 5 + at, Some(HandshakeState::Complete)))
        .collect();
    let ladder = handshake(&qos1(legs)).unwrap();
    assert_eq!(ladder.lanes.len(), 6);
    let verdicts = verdicts(&ladder);
    assert_eq!(verdicts[1].1, "the first 4 of 40 subscribers are drawn");
    assert!(verdicts[2].1.starts_with("s0 "));
    assert_eq!(
        verdicts.last().unwrap().1,
        "8 further subscribers are not told here"
    );
}

#[test]
fn a_subscription_that_is_over_shows_until_when_it_was_one() {
    let mut gone = leg("dash", 0, None);
    gone.connection = None;
    gone.over = Some(Span::from_nanos(8_000_000));
    for (why, text) in [
        (
            Undelivered::SessionEnded {
                frame: 42,
                how: SessionOver::WithConnection,
            },
            "dash had [t/#] until frame 42 (its clean session ended 8.000 ms before)",
        ),
        (
            Undelivered::SessionEnded {
                frame: 42,
                how: SessionOver::Lost,
            },
            "dash had [t/#] until frame 42 (the broker had lost its session by then, 8.000 ms before)",
        ),
        (
            Undelivered::Unsubscribed { frame: 42 },
            "dash had [t/#] until frame 42 (it unsubscribed 8.000 ms before)",
        ),
        (
            Undelivered::NotSubscribed { frame: 42 },
            "dash asked for [t/#] and was refused in frame 42, 8.000 ms before",
        ),
    ] {
        gone.outcome = Outcome::NotDelivered(why);
        let verdict = delivery_verdict(&gone);
        assert_eq!((verdict.tone, &*verdict.text), (Tone::Neutral, text));
    }
}

#[test]
fn a_delivery_shows_its_subscription_its_trouble_and_why_nothing_came() {
    let mut away = leg("off", 5, None);
    away.outcome = Outcome::NotDelivered(Undelivered::AwayAtQoS0 { since: 4 });
    let mut stuck = leg(
        "slow",
        5,
        Some(HandshakeState::Incomplete {
            waiting_for: PacketType::PubAck,
            ended_by: EndedBy::CaptureEnd,
        }),
    );
    stuck.filters.clear();
    stuck.ambiguous = true;
    let ladder = handshake(&qos1(vec![away, stuck])).unwrap();
    let verdicts = verdicts(&ladder);
    assert_eq!(
        verdicts[1],
        (
            Tone::Neutral,
            "off (by [t/#]): not delivered in this capture: the session is away since frame 4, and at QoS 0 \
             nothing need be kept"
        )
    );
    assert_eq!(verdicts[2].0, Tone::Bad);
    assert!(
        verdicts[2]
            .1
            .starts_with("slow (no visible subscription): ")
    );
    assert!(
        verdicts[2]
            .1
            .contains("incomplete: PUBACK was not seen before the capture ends")
    );
    assert!(verdicts[2].1.ends_with("the copy of an equal message"));
}

#[test]
fn subscribe_shows_the_qos_asked_and_the_qos_granted() {
    let asked = |filter: &str, code| FilterRequest {
        filter: filter.into(),
        options: 2,
        code: Some(code),
    };
    let steps = vec![
        step(PacketType::Subscribe, Sender::Client, 4),
        step(PacketType::SubAck, Sender::Server, 6),
    ];
    let subject = Subject::Subscribe(vec![asked("a/#", 1), asked("b", 0x80)]);
    let ladder = handshake(&story(
        HandshakeKind::Subscribe,
        steps,
        HandshakeState::Complete,
        subject,
    ))
    .unwrap();
    let verdicts = verdicts(&ladder);
    assert_eq!(
        verdicts[1],
        (Tone::Good, "[a/#]: QoS 2 asked, QoS 1 granted")
    );
    assert_eq!(verdicts[2].0, Tone::Bad);
    assert!(verdicts[2].1.starts_with("[b]: QoS 2 asked, refused: "));
}

#[test]
fn connect_is_shown_with_its_flags_decoded() {
    let connecting = ConnectSummary {
        protocol_name: "MQTT".into(),
        protocol_level: 4,
        flags: 0xee,
        keep_alive: 30,
        user_name: Some("ann".into()),
        will: Some(asked_will()),
        ..ConnectSummary::default()
    };
    let steps = vec![step(PacketType::Connect, Sender::Client, 4)];
    let state = HandshakeState::Incomplete {
        waiting_for: PacketType::ConnAck,
        ended_by: EndedBy::CaptureEnd,
    };
    let subject = Subject::Connect(Box::new(connecting));
    let ladder = handshake(&story(HandshakeKind::Connect, steps, state, subject)).unwrap();
    let rows = rows(&ladder);
    assert!(
        rows.contains(
            &"(flags 0xee: user name, password, will retain, will, clean session, will QoS 1)"
                .to_owned()
        ),
        "{rows:?}"
    );
    assert!(rows.contains(&"(user name ann)".to_owned()));
    assert!(rows.contains(&"(will [t/gone] QoS 1, retain, 1 octet)".to_owned()));
}

fn asked_will() -> WillMessage {
    WillMessage {
        topic: "t/gone".into(),
        qos: QoS::AtLeastOnce,
        retain: true,
        payload: Payload::of(b"x"),
        delay: 0,
    }
}

fn a_will(cause: EndCause, fate: WillFate, deliveries: Vec<MessageDelivery>) -> WillSummary {
    WillSummary {
        connection: ConnectionId(0),
        broker: 0,
        server: SERVER,
        client_id: Some("dev".into()),
        set: stamp(4),
        will: asked_will(),
        end: End {
            cause,
            stamp: stamp(8),
        },
        fate,
        ambiguous: false,
        deliveries,
    }
}

#[test]
fn a_will_shows_where_it_was_set_how_the_connection_ended_and_who_got_it() {
    let cause = EndCause::Fin { by: None };
    let legs = vec![leg("w1", 9, None), leg("w2", 10, None)];
    let ladder = will(&a_will(cause, WillFate::Published(stamp(9)), legs));
    assert_eq!(
        verdicts(&ladder)[0],
        (
            Tone::Good,
            "set in frame 4; connection closed without DISCONNECT; published in frame 9 to w1, w2"
        )
    );
    let cause = EndCause::Disconnect {
        by: Sender::Client,
        code: 0,
    };
    let fate = WillFate::NotPublished(NoWill::Disconnected);
    let ladder = will(&a_will(cause, fate, Vec::new()));
    assert_eq!(
        verdicts(&ladder),
        [(
            Tone::Neutral,
            "set in frame 4; DISCONNECT by the client; not published: DISCONNECT deletes the will"
        )]
    );
}

#[test]
fn a_stored_message_shows_who_stored_it_what_replaced_it_and_who_got_a_copy() {
    let mut copy = leg("late", 20, None);
    if let Outcome::Delivered(delivered) = &mut copy.outcome {
        delivered.stored = true;
        delivered.latency = None;
    }
    let story = RetainedSummary {
        broker: 0,
        server: SERVER,
        message: message("t/state", QoS::AtMostOnce),
        stored: Some(Stored {
            stamp: stamp(4),
            connection: ConnectionId(0),
            client_id: Some(Arc::from("pub")),
            will: false,
        }),
        end: RetainedEnd::Replaced(stamp(30)),
        deliveries: vec![copy],
    };
    let ladder = retained(&story);
    assert_eq!(
        rows(&ladder),
        [
            "PUBLISH [t/state] retain 0>1",
            "PUBLISH (id=9) [t/state] 1>2",
            "(replaced)"
        ]
    );
    assert_eq!(
        verdicts(&ladder),
        [
            (
                Tone::Neutral,
                "stored in frame 4; replaced in frame 30; 1 stored copy was sent"
            ),
            (
                Tone::Good,
                "late (by [t/#]): stored copy in frame 20 at QoS 1"
            ),
        ]
    );
}
