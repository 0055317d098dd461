//! MQTT in WebSocket.

use super::*;
use crate::base::limits::{Limit, Limits};
use crate::carrier::Carriers;
use crate::event::{CarrierError, Protocol};
use proptest::prelude::*;

const MQTT: &str = "Sec-WebSocket-Protocol: mqtt\r\n";

fn request(fields: &str) -> Vec<u8> {
    let line = "GET /mqtt HTTP/1.1\r\nUpgrade: websocket\r\n";
    [line, fields, "\r\n"].concat().into_bytes()
}

fn response(fields: &str) -> Vec<u8> {
    let line = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n";
    [line, fields, "\r\n"].concat().into_bytes()
}

/// A binary frame, masked where it is the Client's.
fn frame(direction: Direction, payload: &[u8]) -> Vec<u8> {
    let masked = if direction == UP { 0x80 } else { 0 };
    let mut frame = match payload.len() {
        length @ ..126 => vec![0x82, masked | length as u8],
        length => {
            let [high, low] = (length as u16).to_be_bytes();
            vec![0x82, masked | 126, high, low]
        }
    };
    let key = if masked == 0 { [0; 4] } else { [9, 8, 7, 6] };
    frame.extend(key.iter().take(if masked == 0 { 0 } else { 4 }));
    frame.extend(
        payload
            .iter()
            .enumerate()
            .map(|(at, byte)| byte ^ key[at % 4]),
    );
    frame
}

/// How often `limit` was reached.
fn reached(carriers: &Carriers, limit: Limit) -> u64 {
    let limits = carriers.limits();
    let found = limits.iter().find(|(found, _)| *found == limit);
    found.map_or(0, |(_, times)| *times)
}

/// A connection over WebSocket to `port`, with its handshakes.
fn opened(port: u16) -> Run {
    let mut run = Run::to(port);
    run.segment(UP, &request(MQTT))
        .segment(DOWN, &response(MQTT));
    run.segment(UP, &frame(UP, &connect(4)));
    run.segment(DOWN, &frame(DOWN, &connack(4)));
    run
}

#[test]
fn mqtt_behind_the_header_of_a_proxy_is_found_on_any_port_and_its_ends_are_named() {
    let header = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883\r\n";
    for port in [1883, 40_000] {
        for cut in [6, 20, header.len(), header.len() + 3] {
            let all = [&header[..], &connect(4)].concat();
            let mut run = Run::to(port);
            run.segment(UP, &all[..cut]).segment(UP, &all[cut..]);
            run.segment(DOWN, &connack(4))
                .segment(UP, &publish(4, "a", 1, b"x"))
                .gap(DOWN, 9)
                .segment(DOWN, &puback(1))
                .close();
            assert_eq!(run.types(), ["CONNECT", "CONNACK", "PUBLISH", "PUBACK"]);
            let transport = Transport::TCP.with(Protocol::Proxy);
            assert!(run.packets.iter().all(|seen| seen.transport == transport));
            assert_eq!(
                run.others[..2],
                [
                    format!("opened {port} for 203.0.113.7:56324"),
                    "gap 9 0".to_owned()
                ]
            );
        }
    }
}

#[test]
fn websocket_lies_behind_the_header_of_a_proxy() {
    let mut run = Run::to(9001);
    let header = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    run.segment(UP, &[&header[..], &request(MQTT)].concat())
        .segment(DOWN, &response(MQTT))
        .segment(UP, &frame(UP, &connect(4)))
        .segment(DOWN, &frame(DOWN, &connack(4)))
        .close();
    assert_eq!(run.types(), ["CONNECT", "CONNACK"]);
    assert_eq!(run.packets[0].transport.to_string(), "proxy+websocket");
    assert_eq!(run.others, ["opened 9001", "ended"]);
}

#[test]
fn what_only_begins_like_the_header_of_a_proxy_is_not_mqtt() {
    for rest in [&b"TCP4 no\r\n"[..], b"\0\0\0\0", b"UNKNOWN\r\n220 mail\r\n"] {
        for port in [1883, 25] {
            let mut run = Run::to(port);
            run.segment(UP, b"PROXY ")
                .segment(UP, rest)
                .segment(UP, b"more")
                .close();
            assert_eq!(run.packets, []);
        }
    }
}

#[test]
fn mqtt_in_websocket_is_found_on_any_port() {
    for port in [80, 1883, 8080, 8083, 9001, 40_000] {
        let mut run = opened(port);
        run.close();
        assert_eq!(run.types(), ["CONNECT", "CONNACK"], "{port}");
        assert!(
            run.packets
                .iter()
                .all(|seen| seen.transport == Transport::TCP.with(Protocol::WebSocket))
        );
        assert_eq!((run.packets[0].frame, run.packets[1].frame), (3, 4));
        assert_eq!(run.others, [format!("opened {port}"), "ended".to_owned()]);
        assert_eq!(run.context.counters.connections, 1);
    }
}

#[test]
fn packets_and_frames_are_not_aligned() {
    let mut run = opened(9001);
    let packets = [
        publish(4, "a/b", 0, b"one"),
        publish(4, "a/b", 7, &[b'x'; 300]),
    ]
    .concat();
    run.segment(UP, &frame(UP, &packets[..20]));
    run.segment(UP, &frame(UP, &packets[20..200]));
    run.segment(UP, &frame(UP, &packets[200..]));
    assert_eq!(run.packets[2].frame, 5);
    assert_eq!(run.packets[3].frames, [5, 6, 7]);
    run.close();
}

#[test]
fn websocket_that_is_not_mqtt_is_not_emitted() {
    let mut run = Run::to(8080);
    let chat = "Sec-WebSocket-Protocol: chat\r\n";
    run.segment(UP, &request(chat))
        .segment(DOWN, &response(chat));
    for _ in 0..5 {
        run.segment(UP, &frame(UP, b"{\"hello\": \"world\"}"));
        run.segment(DOWN, &frame(DOWN, b"{\"answer\": 42}"));
    }
    assert_eq!(run.context.carriers.in_use().0, 0);
    run.segment(UP, &frame(UP, &connect(4)));
    run.close();
    assert!(
        run.packets.is_empty() && run.others.is_empty(),
        "{:?}",
        run.others
    );
}

#[test]
fn plain_http_is_what_it_was() {
    let mut run = Run::to(80);
    run.segment(UP, b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a long");
    run.segment(UP, b" one\r\n\r\n");
    run.segment(DOWN, b"HTTP/1.1 200 OK\r\n\r\nhello");
    run.close();
    let counters = &run.context.counters;
    assert_eq!(counters.not_mqtt, counters.bytes);
    assert!(run.others.is_empty());
}

#[test]
fn a_refused_upgrade_is_reported_with_its_status_where_mqtt_was_asked_for() {
    let mut run = Run::to(443);
    run.segment(UP, &request(MQTT));
    run.segment(DOWN, b"HTTP/1.1 401 Unauthorized\r\n\r\n");
    run.close();
    assert_eq!(
        run.looks_like,
        [LooksLike::Carrier(
            Protocol::WebSocket,
            CarrierError::Refused(401)
        )]
    );
    let mut run = Run::to(443);
    run.segment(UP, &request(""))
        .segment(DOWN, b"HTTP/1.1 401 Unauthorized\r\n\r\n");
    run.close();
    assert!(run.looks_like.is_empty());
}

#[test]
fn what_was_held_of_a_connection_that_is_refused_is_held_no_longer() {
    // Frames before the response, which then refuses.
    let mut run = Run::to(9001);
    run.segment(UP, &request(MQTT))
        .segment(UP, &frame(UP, &connect(4)[..3]));
    run.segment(DOWN, b"HTTP/1.1 404 Not Found\r\n\r\n");
    run.close();
    let mut run = Run::to(9001);
    run.segment(UP, &request(MQTT))
        .segment(UP, &frame(UP, &connect(4)));
    run.segment(DOWN, b"HTTP/1.1 404 Not Found\r\n\r\n");
    run.segment(UP, &frame(UP, &PINGREQ));
    run.close();
    assert_eq!(run.types(), ["CONNECT", "PINGREQ"]);
}

#[test]
fn broken_rules_are_reported_once_and_only_of_mqtt() {
    let mut run = Run::to(9001);
    run.segment(UP, &request("")).segment(DOWN, &response(""));
    for packet in [
        connect(4),
        publish(4, "a", 0, b"b"),
        publish(4, "a", 0, b"b"),
    ] {
        let mut bare = frame(DOWN, &packet);
        bare[0] = 0x81;
        run.segment(UP, &bare);
    }
    run.close();
    let seen = [
        "opened 9001",
        "Client NotOffered",
        "Client Masking",
        "Client TextFrame",
        "ended",
    ];
    assert_eq!(run.others, seen);
    assert_eq!(run.packets.len(), 3);
}

#[test]
fn what_the_handshake_breaks_is_reported_behind_the_connection() {
    let mut run = Run::to(9001);
    let old = "Sec-WebSocket-Protocol: mqttv3.1\r\n";
    run.segment(UP, &request(old)).segment(DOWN, &response(old));
    let mut other = Run::to(9001);
    other
        .segment(UP, &request(MQTT))
        .segment(DOWN, &response(old));
    other.segment(UP, &frame(UP, &connect(4)));
    assert_eq!(other.others, ["opened 9001", "Server NotSelected"]);
    run.segment(UP, &frame(UP, &connect(4)));
    run.close();
    assert_eq!(run.others, ["opened 9001", "Client NotOffered", "ended"]);
}

#[test]
fn broken_frames_end_their_direction_and_are_reported() {
    let mut run = opened(9001);
    run.segment(DOWN, &[0xff; 20])
        .segment(DOWN, &frame(DOWN, &PINGRESP));
    run.segment(UP, &frame(UP, &PINGREQ));
    run.close();
    assert_eq!(run.types(), ["CONNECT", "CONNACK", "PINGREQ"]);
    assert_eq!(
        run.looks_like,
        [LooksLike::Carrier(
            Protocol::WebSocket,
            CarrierError::Broken
        )]
    );
    assert_eq!(run.context.counters.given_up, 24);
}

#[test]
fn a_gap_within_a_payload_costs_that_packet_only() {
    let mut run = opened(9001);
    let sent = frame(UP, &publish(4, "a/b", 7, &[b'x'; 100]));
    run.segment(UP, &sent[..30])
        .gap(UP, 40)
        .segment(UP, &sent[70..]);
    run.segment(UP, &frame(UP, &PINGREQ));
    run.close();
    assert_eq!(run.types(), ["CONNECT", "CONNACK", "PINGREQ"]);
    assert_eq!(run.context.counters.missing, 40);
    assert!(run.packets[2].after_gap);
}

#[test]
fn a_gap_between_frames_is_bridged_where_frames_go_on() {
    let mut run = opened(9001);
    run.gap(DOWN, 500);
    for id in 1..4 {
        run.segment(
            DOWN,
            &frame(DOWN, &publish(4, "some/topic", id, b"and a payload")),
        );
    }
    run.close();
    assert_eq!(run.types()[2..], ["PUBLISH"; 3]);
}

#[test]
fn a_connection_is_joined_in_its_midst() {
    let mut run = Run::amid(9001);
    run.segment(DOWN, &[0x89, 0]);
    for id in 1..5 {
        run.segment(
            UP,
            &frame(UP, &publish(4, "some/topic/of/mine", id, b"and a payload")),
        );
        run.segment(DOWN, &frame(DOWN, &puback(id)));
    }
    run.close();
    assert_eq!(run.types(), ["PUBLISH", "PUBACK"].repeat(4));
    assert!(
        run.packets
            .iter()
            .all(|seen| seen.transport == Transport::TCP.with(Protocol::WebSocket))
    );
}

#[test]
fn what_is_held_bare_does_not_keep_a_connection_from_being_joined() {
    let mut run = Run::amid(9001);
    // A frame of one byte of a packet: it looks like the start of a SUBSCRIBE.
    run.segment(UP, &[0x82, 0x81, 0x11, 0x22, 0x33, 0x44, 0xd1]);
    for id in 1..5 {
        run.segment(
            DOWN,
            &frame(DOWN, &publish(4, "some/topic", id, b"and a payload")),
        );
        run.segment(UP, &frame(UP, &puback(id)));
    }
    run.close();
    assert_eq!(run.types(), ["PUBLISH", "PUBACK"].repeat(4));
}

#[test]
fn a_subscribe_of_a_joined_connection_is_no_frame() {
    let mut run = Run::amid(1883);
    run.segment(UP, &subscribe(4, 1, "a/b"))
        .segment(DOWN, &suback(4, 1));
    run.close();
    assert_eq!(run.types(), ["SUBSCRIBE", "SUBACK"]);
    assert_eq!(run.packets[0].transport, Transport::TCP);
}

#[test]
fn websockets_beyond_their_cap_are_not_followed_and_counted() {
    let mut run = Run::to(9001);
    let none = Limits {
        carried: 0,
        ..Limits::DEFAULT
    };
    run.context.carriers = Carriers::new(&none);
    run.segment(UP, &request(MQTT))
        .segment(DOWN, &response(MQTT));
    run.segment(UP, &frame(UP, &connect(4)));
    assert!(run.packets.is_empty());
    assert_eq!(reached(&run.context.carriers, Limit::Carried), 1);
    run.close();
}

#[test]
fn tls_connections_beyond_their_cap_are_not_decrypted_and_counted() {
    let hello = [
        &[22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3][..],
        &[7; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
    ];
    let mut run = Run::to(8883);
    let secret = format!("CLIENT_RANDOM {} {}", "07".repeat(32), "01".repeat(48));
    run.context.learn_secrets(secret.as_bytes());
    run.segment(UP, &hello.concat());
    assert_eq!(run.context.carriers.in_use().0, 1);
    run.close();
    let mut run = Run::to(8883);
    let none = Limits {
        tls: 0,
        ..Limits::DEFAULT
    };
    run.context.carriers = Carriers::new(&none);
    run.context.learn_secrets(secret.as_bytes());
    run.segment(UP, &hello.concat());
    assert_eq!(reached(&run.context.carriers, Limit::Tls), 1);
    assert_eq!(run.looks_like, [LooksLike::TLS]);
    run.close();
}

#[test]
fn websocket_in_websocket_is_not_followed() {
    let mut run = Run::to(9001);
    run.segment(UP, &request(MQTT))
        .segment(DOWN, &response(MQTT));
    run.segment(UP, &frame(UP, &request(MQTT)));
    run.segment(UP, &frame(UP, &frame(UP, &connect(4))));
    run.close();
    assert!(run.packets.is_empty());
}

proptest! {
    #[test]
    fn however_segments_are_cut_the_same_packets_come_out(
        ids in proptest::collection::vec(1..100_u16, 1..10),
        parts in proptest::collection::vec(1..60_usize, 1..20),
        cuts in proptest::collection::vec(1..50_usize, 1..20),
    ) {
        let packets: Vec<Vec<u8>> = ids.iter().map(|id| publish(4, "a/b", *id, &[7; 90])).collect();
        let all = [vec![connect(4)], packets].concat().concat();
        let mut bytes = request(MQTT);
        let mut rest = &all[..];
        for part in parts.iter().cycle() {
            let (payload, behind) = rest.split_at(rest.len().min(*part));
            bytes.extend(frame(UP, payload));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        let mut run = Run::to(9001);
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            let (segment, behind) = rest.split_at(rest.len().min(*cut));
            run.segment(UP, segment);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        run.close();
        prop_assert_eq!(run.bytes_of(UP).concat(), all);
    }
}

#[test]
fn every_close_frame_is_reported_with_its_code() {
    for code in [1000, 1001, 1002, 1008, 4001] {
        let mut run = opened(9001);
        let [high, low] = u16::to_be_bytes(code);
        run.segment(DOWN, &[0x88, 4, high, low, b'n', b'o']);
        // Masked, and without a code.
        run.segment(UP, &[0x88, 0x82, 9, 8, 7, 6, high ^ 9, low ^ 8]);
        run.segment(DOWN, &[0x88, 0]).close();
        let found: Vec<_> = run
            .others
            .iter()
            .filter(|one| one.contains("Closed"))
            .collect();
        let wanted = [
            format!("Server Closed({code})"),
            format!("Client Closed({code})"),
            "Server Closed(1005)".to_owned(),
        ];
        assert_eq!(found, wanted.iter().collect::<Vec<_>>());
    }
}
