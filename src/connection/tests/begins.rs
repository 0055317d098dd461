//! Connections from their start, and connections met in their midst.

use super::*;
use crate::event::{CarrierError, Protocol};

#[test]
fn a_connect_on_any_port_in_either_direction_makes_a_connection_mqtt() {
    for port in [1883, 2000, 443] {
        let mut run = Run::to(port);
        run.segment(UP, &connect(4))
            .segment(DOWN, &connack(4))
            .segment(UP, &PINGREQ)
            .close();
        assert_eq!(run.types(), ["CONNECT", "CONNACK", "PINGREQ"], "{port}");
        assert_eq!(run.others, [format!("opened {port}"), "ended".to_owned()]);
    }
    let mut run = Run::to(1883);
    run.segment(DOWN, &connect(4)).segment(UP, &connack(4));
    assert_eq!(run.others, ["opened 50000"]);
    assert_eq!(run.packets[0].sender, Sender::Client);
    assert_eq!(run.packets[1].sender, Sender::Server);
}

#[test]
fn the_version_of_connect_holds_for_both_directions() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(5))
        .segment(DOWN, &connack(5))
        .segment(UP, &publish(5, "a", 1, b"x"));
    let versions: Vec<_> = run.packets.iter().map(|seen| seen.version).collect();
    assert_eq!(versions, [Some(ProtocolVersion::V5_0); 3]);
    assert!(
        run.packets
            .iter()
            .all(|seen| !seen.inferred && seen.rule.is_none())
    );
    assert_eq!(run.packets[2].payload.as_deref(), Some(&b"x"[..]));
}

#[test]
fn other_protocols_on_the_mqtt_port_show_no_packet_and_are_named() {
    let cases: [(&[u8], LooksLike); 4] = [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", LooksLike::HTTP),
        (b"\x16\x03\x01\x00\x05hello", LooksLike::TLS),
        (b"hello broker\n", LooksLike::Unknown),
        (
            b"\xc7\x26\xbc\x46\xa8\x27\x90\x92\x7b\x44",
            LooksLike::Unknown,
        ),
    ];
    for (bytes, looks_like) in cases {
        let mut run = Run::to(1883);
        run.segment(UP, bytes).segment(UP, b"\r\nand so on").close();
        assert_eq!(run.packets, []);
        assert_eq!(run.others, ["not mqtt"], "{bytes:?}");
        assert_eq!(run.looks_like, [looks_like]);
    }
}

#[test]
fn a_protocol_that_begins_with_0x10_is_not_mqtt() {
    let mut run = Run::to(7000);
    run.segment(UP, b"\x10\x04nope not mqtt\n")
        .segment(DOWN, b"HELLO\r\n")
        .close();
    assert_eq!((run.packets.len(), run.others.len()), (0, 0));
}

#[test]
fn a_server_that_answers_connect_with_http_is_not_listed() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(4))
        .segment(DOWN, b"HTTP/1.1 400 Bad Request\r\n\r\n")
        .segment(DOWN, b"more")
        .close();
    assert_eq!(run.types(), ["CONNECT"]);
    assert_eq!(run.others, ["opened 1883", "not mqtt", "ended"]);
    assert_eq!(run.looks_like, [LooksLike::HTTP]);
}

#[test]
fn a_publish_before_connect_is_shown_on_an_mqtt_port() {
    let mut run = Run::to(1883);
    let bytes = [publish(4, "n/ok", 0, b"fine before"), PINGREQ.to_vec()].concat();
    run.segment(UP, &bytes).close();
    assert_eq!(run.types(), ["PUBLISH", "PINGREQ"]);
}

#[test]
fn a_malformed_connect_is_shown_as_such() {
    let mut flags = connect(4);
    flags[0] = 0x13;
    let mut run = Run::to(1883);
    run.segment(UP, &flags).segment(UP, &PINGREQ).close();
    assert_eq!(run.types(), ["CONNECT", "PINGREQ"]);
    assert_eq!(run.packets[0].rule, Some(Rule::ReservedHeaderFlagsHold));

    let mut run = Run::to(1883);
    run.segment(UP, b"\x10\x80\x80\x80\x80\x0e\x00\x04MQTT")
        .close();
    assert_eq!(
        run.packets[0].rule,
        Some(Rule::RemainingLengthHasFourOctets)
    );
    assert_eq!(run.packets.len(), 1);
}

#[test]
fn a_ping_and_its_answer_amid_a_connection_are_shown() {
    let mut run = Run::amid(1883);
    run.segment(UP, &PINGREQ).segment(DOWN, &PINGRESP).close();
    assert_eq!(run.types(), ["PINGREQ", "PINGRESP"]);
    assert!(run.packets.iter().all(|seen| seen.after_gap));
    assert_eq!(run.packets[0].version, None);
}

#[test]
fn roles_amid_a_connection_come_from_the_packets() {
    let mut run = Run::amid(1883);
    std::mem::swap(&mut run.connection.initiator, &mut run.connection.responder);
    run.segment(UP, &suback(4, 1)).segment(DOWN, &PINGREQ);
    assert_eq!(run.others, ["opened 1883"]);
    let senders: Vec<_> = run.packets.iter().map(|seen| seen.sender).collect();
    assert_eq!(senders, [Sender::Server, Sender::Client]);
}

#[test]
fn only_servers_send_subscription_identifiers() {
    for (properties, first) in [(&[2, 0x0b, 16][..], 1), (&[2, 0x01, 1], 2)] {
        let message = |properties: &[u8]| {
            let topic = &[0, 8, b'p', b'r', b'e', b's', b'e', b'n', b'c', b'e'];
            let body = [topic, properties, b"Hello MQTT from somewhere"].concat();
            [&[0x30, body.len() as u8][..], &body].concat()
        };
        let mut run = Run::amid(1337);
        for _ in 0..3 {
            run.segment(UP, &message(properties));
            run.segment(DOWN, &message(&[0]));
        }
        run.close();
        let mut servers = run.packets.iter();
        let server = servers.find(|seen| seen.sender == Sender::Server);
        assert_eq!(server.map(|seen| seen.frame), Some(first));
    }
}

#[test]
fn what_only_a_client_sends_is_not_believed_from_the_port_of_a_server() {
    let mut run = Run::amid(1883);
    run.segment(DOWN, &subscribe(4, 7, "a/b")).close();
    assert_eq!(run.packets, []);
    let mut run = Run::amid(1883);
    run.segment(UP, &subscribe(4, 7, "a/b")).close();
    assert_eq!(run.types(), ["SUBSCRIBE"]);
}

#[test]
fn a_publish_that_fills_the_longest_segment_is_believed() {
    let message = publish(4, "a/b", 0, &[0; 1500]);
    let mut run = Run::amid(1883);
    run.segment(UP, &message).close();
    assert_eq!(run.types(), ["PUBLISH"]);
    let mut run = Run::amid(1883);
    run.segment(UP, &message[..1400])
        .segment(UP, &message[..1400])
        .close();
    assert_eq!(run.packets, []);
}

#[test]
fn a_connection_met_amid_a_large_packet_is_recognised_behind_it() {
    let mut run = Run::amid(7000);
    for _ in 0..200 {
        run.segment(UP, &[b'y'; 1400]);
    }
    run.segment(UP, &publish(4, "presence", 0, b"Hello MQTT from somewhere"))
        .segment(UP, &publish(4, "presence", 0, b"Hello MQTT again"))
        .close();
    assert_eq!(run.types(), ["PUBLISH", "PUBLISH"]);
}

#[test]
fn publishes_both_ways_amid_a_connection_are_recognised_on_any_port() {
    let message = publish(4, "presence", 0, b"Hello MQTT from somewhere");
    let mut run = Run::amid(1337);
    for _ in 0..3 {
        run.segment(UP, &message).segment(DOWN, &message);
    }
    run.close();
    assert_eq!(run.packets.len(), 6);
    let frames: Vec<_> = run.packets.iter().map(|seen| seen.frame).collect();
    assert_eq!(frames, [1, 2, 3, 4, 5, 6]);
}

#[test]
fn other_protocols_amid_a_connection_are_left_alone() {
    let samples: [&[u8]; 8] = [
        b"0123456789abcdef\r\n",
        b"220 mail.example ESMTP\r\n",
        b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00",
        b"\x17\x03\x03\x00\x10abcdefghijklmnop",
        b"\x00\x00\x00\x08\x00\x00\x00\x01",
        b"\x10\x04nope",
        b"\xc0\x00\x10\x00\x20\x00",
        b"$5\r\nhello\r\n",
    ];
    for sample in samples {
        for port in [7000, 1883] {
            let mut run = Run::amid(port);
            for _ in 0..20 {
                run.segment(UP, sample).segment(DOWN, sample);
            }
            run.close();
            assert_eq!(run.packets, [], "{sample:?} on {port}");
        }
    }
}

#[test]
fn the_version_is_inferred_from_structure() {
    use ProtocolVersion::{V3_1_1, V5_0};
    let cases: [(u8, Vec<u8>, ProtocolVersion); 6] = [
        (4, publish(4, "a/b", 7, b"hello"), V3_1_1),
        (5, publish(5, "a/b", 7, b"hello"), V5_0),
        (4, subscribe(4, 7, "a/b"), V3_1_1),
        (5, subscribe(5, 7, "a/b"), V5_0),
        (5, packet(0x40, &[0, 7, 0x10]), V5_0),
        (4, publish(4, "a/b", 7, b"21.5"), V3_1_1),
    ];
    for (level, bytes, version) in cases {
        let mut run = Run::amid(1883);
        run.segment(UP, &bytes)
            .segment(UP, &publish(level, "a/b", 8, b"world"));
        let seen: Vec<_> = run
            .packets
            .iter()
            .map(|seen| (seen.version, seen.inferred))
            .collect();
        assert_eq!(seen, [(Some(version), true); 2], "{bytes:02x?}");
        assert_eq!(run.packets[1].payload.as_deref(), Some(&b"world"[..]));
    }
}

#[test]
fn what_the_user_insists_on_is_mqtt_even_where_it_is_malformed() {
    let mut run = Run::to(7000);
    run.context.options.decode_as = vec![7000];
    run.segment(UP, &[0x82, 5, 0, 1, 0, 1, b'a'])
        .segment(UP, &PINGREQ)
        .close();
    assert_eq!(run.types(), ["SUBSCRIBE", "PINGREQ"]);
    assert!(run.packets[0].rule.is_some());
}

#[test]
fn tls_on_its_own_port_is_named() {
    let mut run = Run::amid(8883);
    run.segment(UP, b"\x17\x03\x03\x00\x10abcdefghijklmnop")
        .close();
    assert_eq!(
        (run.others, run.looks_like),
        (vec!["not mqtt".to_owned()], vec![LooksLike::TLS])
    );
}

#[test]
fn packets_before_a_connect_are_recognised_on_any_port_once_it_comes() {
    for level in [3, 4, 5] {
        for first in [
            publish(level, "x", 0, b"a"),
            PINGREQ.to_vec(),
            subscribe(level, 1, "a/b"),
        ] {
            for cut in [0, 1, 5, first.len() + 3] {
                let bytes = [first.clone(), connect(level)].concat();
                let mut run = Run::to(29_000);
                let (one, other) = bytes.split_at(if cut == 0 { first.len() } else { cut });
                run.segment(UP, one).segment(UP, other);
                run.segment(DOWN, &connack(level))
                    .segment(UP, &PINGREQ)
                    .close();
                let five = |seen: &Seen| seen.version == Some(ProtocolVersion::V5_0);
                assert_eq!(
                    run.types()[1..],
                    ["CONNECT", "CONNACK", "PINGREQ"],
                    "{level} {cut}"
                );
                assert!(
                    run.packets
                        .iter()
                        .all(|seen| seen.rule.is_none() && five(seen) == (level == 5))
                );
                assert_eq!(run.others, ["opened 29000", "ended"]);
            }
        }
    }
}

#[test]
fn one_publish_alone_makes_no_connection_mqtt_on_any_port() {
    let mut run = Run::to(29_000);
    run.segment(UP, &publish(4, "x", 0, b"a"))
        .segment(UP, b"\x10\x0d\x00\x04HTTP\x04\x02\x00\x3c\x00\x01c")
        .close();
    assert_eq!(run.packets, []);
}

#[test]
fn two_ends_that_both_answer_a_connect_are_no_mqtt() {
    let keep_alive = b"\x20\x02\x00\x04";
    let open = b"\x20\x01\x00\x1c\x01\x10\x00\x18\x20\x1e\x78\x01\x00\x10\x00\x10";
    for opens in [false, true] {
        let mut run = Run::amid(4189);
        if opens {
            run.segment(UP, open).segment(DOWN, open);
        }
        for _ in 0..10 {
            run.segment(UP, keep_alive).segment(DOWN, keep_alive);
        }
        run.close();
        assert_eq!((run.packets.len(), run.others.len()), (0, 0));
    }
}

#[test]
fn a_connack_that_is_not_the_first_shows_no_mqtt() {
    let mut run = Run::amid(4189);
    run.segment(DOWN, b"\x20\x07\x00\x08\x00\x00\x00\x01");
    for code in 0..5 {
        run.segment(DOWN, &[0x20, 2, 0, code]);
    }
    run.segment(UP, &PINGREQ).close();
    assert_eq!(run.packets, []);
}

#[test]
fn a_connection_met_at_its_connack_is_recognised_on_any_port() {
    let mut run = Run::amid(7000);
    run.segment(DOWN, &connack(4))
        .segment(UP, &subscribe(4, 1, "sensors/+/state"))
        .segment(DOWN, &suback(4, 1))
        .close();
    assert_eq!(run.types(), ["CONNACK", "SUBSCRIBE", "SUBACK"]);
}

/// The first record of TLS 1.2, with the extensions.
fn client_hello(extensions: &[u8]) -> Vec<u8> {
    let random = [7; 32];
    let length = (extensions.len() as u16).to_be_bytes();
    let body = [
        &[3, 3],
        &random[..],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &length,
        extensions,
    ]
    .concat();
    let message = [&[1, 0, 0, body.len() as u8], &body[..]].concat();
    [&[22, 3, 1, 0, message.len() as u8], &message[..]].concat()
}

/// The extension for application protocols.
fn alpn(names: &[&str]) -> Vec<u8> {
    let names: Vec<_> = names
        .iter()
        .flat_map(|name| [&[name.len() as u8], name.as_bytes()].concat())
        .collect();
    let length = names.len() as u8;
    [&[0, 16, 0, length + 2, 0, length], &names[..]].concat()
}

#[test]
fn tls_is_named_on_any_port_unless_it_is_for_another_protocol() {
    let cases: [(u16, &[&str], bool); 10] = [
        (8081, &[], true),
        (1883, &[], true),
        (443, &[], true),
        (8081, &["http/1.1"], true),
        (443, &["http/1.1"], false),
        (443, &["x-amzn-mqtt-ca"], true),
        (8081, &["h2", "http/1.1"], false),
        (993, &[], false),
        (993, &["mqtt"], true),
        (8883, &["h2"], true),
    ];
    for (port, names, named) in cases {
        let hello = client_hello(&if names.is_empty() {
            Vec::new()
        } else {
            alpn(names)
        });
        let mut run = Run::to(port);
        run.segment(UP, &hello)
            .segment(DOWN, b"\x16\x03\x03\x00\x05hello")
            .segment(UP, b"\x17\x03\x03\x00\x05hello")
            .close_by(Closed::Finished);
        assert_eq!(
            run.looks_like.contains(&LooksLike::TLS),
            named,
            "{port} {names:?}"
        );
        let unanswered = LooksLike::Carrier(Protocol::Tls, CarrierError::Unanswered);
        assert!(!run.looks_like.contains(&unanswered));
        assert_eq!(run.packets, []);
    }
}

#[test]
fn a_request_that_the_other_end_leaves_unanswered_is_named_where_all_of_it_was_captured() {
    let tls = client_hello(&[]);
    let websocket =
        b"GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    for (request, carrier) in [(&tls[..], Protocol::Tls), (websocket, Protocol::WebSocket)] {
        let unanswered = LooksLike::Carrier(carrier, CarrierError::Unanswered);
        for (port, why, gap, named) in [
            (1883, Closed::Finished, false, true),
            (8081, Closed::Reset, false, true),
            (1883, Closed::CaptureEnd, false, false),
            (1883, Closed::Finished, true, false),
        ] {
            let mut run = Run::to(port);
            run.segment(UP, request);
            if gap {
                run.gap(DOWN, 20);
            }
            run.close_by(why);
            assert_eq!(
                run.looks_like.contains(&unanswered),
                named,
                "{port} {why:?} {gap}"
            );
        }
        let mut run = Run::amid(1883);
        run.segment(UP, request).close_by(Closed::Finished);
        assert!(!run.looks_like.contains(&unanswered));
    }
}

#[test]
fn an_alert_that_answers_mqtt_is_named() {
    let alert = b"\x15\x03\x01\x00\x02\x02\x46";
    let mut run = Run::to(8883);
    run.segment(UP, &connect(4)).segment(DOWN, alert).close();
    assert_eq!(run.types(), ["CONNECT"]);
    assert_eq!(run.others[1], "answers mqtt: fatal, protocol version 70");
    let mut run = Run::to(8883);
    run.segment(UP, &client_hello(&[]))
        .segment(DOWN, alert)
        .close();
    assert_eq!(run.others, ["not mqtt", "not mqtt"]);
}
