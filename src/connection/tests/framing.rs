//! Packets in segments of any size, malformed packets, caps, topic aliases.

use super::*;
use crate::event::LooksLike;

fn opened() -> Run {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(4)).segment(DOWN, &connack(4));
    run.packets.clear();
    run
}

#[test]
fn any_segmentation_down_to_one_byte_gives_the_same_packets() {
    let packets = [
        connect(4),
        publish(4, "a/b", 1, &[b'x'; 300]),
        subscribe(4, 2, "#"),
        PINGREQ.to_vec(),
        publish(4, "c", 0, b""),
        DISCONNECT.to_vec(),
    ];
    let stream = packets.concat();
    for size in [1, 2, 3, 5, 7, 100, 311, stream.len()] {
        let mut run = Run::to(4444);
        for part in stream.chunks(size) {
            run.segment(UP, part);
        }
        run.close();
        assert_eq!(run.bytes_of(UP), packets, "{size}");
        let mut end = 0;
        for seen in &run.packets {
            let begin = end;
            end += seen.bytes.len();
            let frames: Vec<u64> = (begin / size..=(end - 1) / size)
                .map(|f| f as u64 + 1)
                .collect();
            assert_eq!(
                (&seen.frames, seen.frame),
                (&frames, frames[frames.len() - 1])
            );
        }
    }
}

#[test]
fn packets_that_end_in_one_frame_are_counted_from_0() {
    let mut run = opened();
    let bytes = [PINGREQ.to_vec(), publish(4, "a", 0, b"x"), PINGREQ.to_vec()].concat();
    run.segment(UP, &bytes).segment(UP, &PINGREQ);
    let places: Vec<_> = run
        .packets
        .iter()
        .map(|seen| (seen.frame, seen.index))
        .collect();
    assert_eq!(places, [(3, 0), (3, 1), (3, 2), (4, 0)]);
}

#[test]
fn after_a_malformed_packet_of_known_length_the_next_one_is_read() {
    let mut run = opened();
    run.segment(UP, &[0xc1, 0]).segment(UP, &PINGREQ).close();
    assert_eq!(run.packets[0].rule, Some(Rule::ReservedHeaderFlagsHold));
    assert_eq!(run.packets[1].rule, None);
}

#[test]
fn nothing_is_guessed_at_after_broken_framing() {
    for broken in [
        &b"\x30\xff\xff\xff\xff\x01\x00\x03a/b"[..],
        &[0, 0, 0xc0, 0],
    ] {
        let mut run = opened();
        run.segment(UP, broken).segment(UP, &PINGREQ).close();
        assert_eq!(run.packets.len(), 1);
        assert!(run.packets[0].rule.is_some());
        assert!(run.context.counters.given_up >= 2);
    }
    // One byte a segment is no different.
    let mut run = opened();
    for byte in b"\x30\xff\xff\xff\xff\x01\x00\x03a/b" {
        run.segment(UP, &[*byte]);
    }
    run.close();
    assert_eq!(run.packets.len(), 1);
    assert_eq!(run.packets[0].bytes, b"\x30\xff\xff\xff\xff");
}

#[test]
fn a_packet_of_type_0_that_fills_its_segment_leaves_the_framing_intact() {
    let mut run = opened();
    run.segment(UP, &[0, 3, 1, 2, 3])
        .segment(UP, &PINGREQ)
        .close();
    assert_eq!(run.packets[0].rule, Some(Rule::PacketTypeIsNotZero));
    assert_eq!(run.types(), ["RESERVED0", "PINGREQ"]);
}

#[test]
fn auth_before_5_0_is_malformed() {
    let mut run = opened();
    run.segment(UP, &[0xf0, 0]).close();
    assert!(run.packets[0].rule.is_some());
}

#[test]
fn an_announced_length_reserves_no_memory() {
    let mut run = opened();
    run.segment(UP, b"\x30\xff\xff\xff\x7f\x00\x01at the front of 256 MiB");
    assert!(run.context.held() < 100);
    let partial = run
        .decoder
        .own
        .packets
        .sides
        .of(UP)
        .partial
        .as_ref()
        .expect("unfinished");
    assert!(partial.framer.capacity() < 1000);
    run.close();
    assert_eq!(
        run.others.last().map(String::as_str),
        Some("ended PUBLISH 30/268435460")
    );
}

#[test]
fn a_packet_beyond_the_cap_is_counted_and_the_next_one_is_emitted() {
    let mut run = opened();
    run.context.options.limits.held = 99_999;
    let large = publish(4, "big", 0, &vec![7; 200_000]);
    // Larger than what is held for small packets and than the cap.
    let stream = [large.clone(), PINGREQ.to_vec()].concat();
    for part in stream.chunks(1000) {
        run.segment(UP, part);
    }
    run.close();
    assert_eq!(run.types(), ["PINGREQ"]);
    assert_eq!(run.context.counters.packets_over_cap, 1);
    assert_eq!(run.context.counters.over_cap, large.len() as u64);
    assert!(run.others.contains(&format!("gap 0 {}", large.len())));
}

#[test]
fn the_frames_of_a_packet_are_listed_up_to_a_cap() {
    let mut run = opened();
    run.context.options.limits.frames_listed = 20;
    let large = publish(4, "b", 0, &[7; 30]);
    for byte in &large {
        run.segment(UP, std::slice::from_ref(byte));
    }
    assert_eq!(run.packets.len(), 1);
    assert_eq!(run.packets[0].frames.len(), 20);
    assert_eq!(
        run.context.counters.frames_unlisted,
        large.len() as u64 - 20
    );
}

fn alias(topic: &str, alias: u8) -> Vec<u8> {
    packet(0x30, &[text(topic), vec![3, 0x23, 0, alias, b'x']].concat())
}

#[test]
fn a_topic_alias_stands_for_what_its_own_direction_last_gave_it() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(5)).segment(DOWN, &connack(5));
    run.segment(UP, &alias("up", 1))
        .segment(DOWN, &alias("down", 1))
        .segment(UP, &alias("", 1))
        .segment(DOWN, &alias("", 1))
        .segment(UP, &alias("other", 1))
        .segment(UP, &alias("", 1))
        .segment(UP, &alias("", 2));
    let resolved: Vec<_> = run.packets[2..]
        .iter()
        .map(|t| t.resolved.as_deref())
        .collect();
    let up_down = [
        None,
        None,
        Some("up"),
        Some("down"),
        None,
        Some("other"),
        None,
    ];
    assert_eq!(resolved, up_down);
}

#[test]
fn after_a_gap_an_alias_is_not_trusted() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(5)).segment(UP, &alias("up", 1));
    run.gap(UP, 50).segment(UP, &alias("", 1));
    assert_eq!(run.packets.len(), 3);
    assert_eq!(run.packets[2].resolved, None);
}

#[test]
fn a_refused_connection_to_a_port_of_mqtt_is_reported() {
    for (port, expected) in [(1883, &[LooksLike::Refused][..]), (8000, &[])] {
        let mut run = Run::to(port);
        run.on(StreamEvent::Closed {
            why: Closed::Refused,
            stamp: &FrameStamp::default(),
        });
        assert_eq!(run.looks_like, expected, "port {port}");
    }
}

#[test]
fn an_idle_connection_takes_little_memory() {
    assert!(size_of::<Decoder>() <= 152, "{}", size_of::<Decoder>());
}

#[test]
fn topic_aliases_have_a_cap_over_all_connections() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(5)).segment(DOWN, &connack(5));
    run.context.options.limits.topic_alias_bytes_all = 60;
    run.segment(UP, &alias("up", 1))
        .segment(UP, &alias("too", 2));
    run.segment(UP, &alias("", 1)).segment(UP, &alias("", 2));
    let resolved: Vec<_> = run
        .packets
        .iter()
        .map(|seen| seen.resolved.as_deref())
        .collect();
    assert!(resolved.ends_with(&[Some("up"), None]), "{resolved:?}");
    assert_eq!(run.context.counters.aliases_refused, 1);
    run.close();
    assert_eq!(run.context.aliases, 0);
}

/// The client identifier of each packet, in order.
fn client_ids(run: &Run) -> Vec<Option<&str>> {
    run.packets.iter().map(|p| p.client_id.as_deref()).collect()
}

/// CONNECT of 5.0 with an empty client identifier.
fn nameless() -> Vec<u8> {
    packet(0x10, b"\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00")
}

/// CONNACK of 5.0 that assigns `client_id`.
fn assigning(client_id: &str) -> Vec<u8> {
    let value = text(client_id);
    let length = value.len() as u8 + 1;
    packet(0x20, &[&[0, 0, length, 0x12], &value[..]].concat())
}

#[test]
fn packets_name_their_client_from_connect_or_from_the_connack_that_assigns_it() {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(5)).segment(DOWN, &assigning("no"));
    run.segment(DOWN, &publish(5, "t", 0, b"x"))
        .segment(UP, &connect(4));
    assert_eq!(client_ids(&run), [Some("client"); 4]);

    let mut run = Run::to(1883);
    run.segment(UP, &nameless())
        .segment(DOWN, &assigning("auto"));
    run.segment(UP, &PINGREQ);
    assert_eq!(client_ids(&run), [None, Some("auto"), Some("auto")]);

    let mut run = Run::amid(1883);
    run.segment(UP, &publish(4, "topic", 0, b"x"));
    assert_eq!(client_ids(&run), [None]);
}

#[test]
fn client_identifiers_have_a_limit_over_all_connections() {
    for (room, kept) in [(6, Some("client")), (5, None)] {
        let mut run = Run::to(1883);
        run.context.options.limits.client_ids = room;
        run.segment(UP, &connect(4)).segment(UP, &PINGREQ);
        assert_eq!(client_ids(&run), [kept, kept]);
        assert_eq!(
            run.context.counters.client_ids_refused,
            u64::from(kept.is_none())
        );
        run.close();
        assert_eq!(run.context.client_ids, 0);
    }
}

#[test]
fn a_packet_that_can_never_be_one_is_reported_at_once() {
    let zero = Rule::PacketTypeIsNotZero;
    let long = Rule::NothingFollowsTheFields;
    let cases: [(u8, &[u8], Rule); 6] = [
        (4, b"\x0a\xc0", zero),
        (5, b"\x00", zero),
        (4, b"\x0f\x7fabc", zero),
        (5, b"\xc0\xff\xff\x7f", long),
        (4, b"\x40\xff\x7f\x00\x01", long),
        (3, b"\xe0\x05", long),
    ];
    for (level, bytes, rule) in cases {
        for cut in 1..=bytes.len() {
            let mut run = Run::to(1883);
            run.segment(UP, &connect(level))
                .segment(DOWN, &connack(level));
            let (one, other) = bytes.split_at(cut);
            run.segment(UP, one);
            if !other.is_empty() && rule == long {
                run.segment(UP, other);
            }
            let seen = &run.packets[2];
            assert_eq!(seen.rule, Some(rule), "{bytes:02x?} at {cut}");
            run.segment(UP, &PINGREQ).close();
            assert_eq!(run.types().last(), Some(&"PINGREQ"));
            assert_eq!(run.others, ["opened 1883", "ended"]);
        }
    }
}

#[test]
fn a_long_packet_that_may_be_one_is_waited_for() {
    // From 5.0 on acknowledgements have properties; without a CONNECT it may be 5.0.
    for (level, bytes) in [
        (5, &b"\x40\xff\x7f\x00\x01"[..]),
        (4, b"\x30\xff\x7f\x00\x01a"),
    ] {
        let mut run = Run::to(1883);
        run.segment(UP, &connect(level))
            .segment(DOWN, &connack(level));
        run.segment(UP, bytes);
        assert_eq!(run.packets.len(), 2);
        run.close();
        assert!(run.others[1].starts_with("ended P"));
    }
}
