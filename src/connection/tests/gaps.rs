//! Bytes that never came, and captures that begin inside a packet.

use super::*;

/// A connection of the version with this level on which nothing was published yet.
fn accepted(level: u8) -> Run {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(level))
        .segment(DOWN, &connack(level));
    run.packets.clear();
    run
}

#[test]
fn a_publish_whose_payload_the_snapshot_length_cut_is_shown() {
    for level in [3, 4, 5] {
        for id in [0, 7] {
            let message = publish(level, "a/b", id, &[b'x'; 100]);
            let payload_at = message.len() - 100;
            for there in payload_at..message.len() {
                let mut run = accepted(level);
                run.segment(UP, &message[..there])
                    .cut(UP, message.len() - there);
                run.segment(UP, &PINGREQ).close();
                assert_eq!(run.types(), ["PUBLISH", "PINGREQ"], "{there}");
                let seen = &run.packets[0];
                assert_eq!((seen.frame, seen.rule, seen.after_gap), (3, None, false));
                assert_eq!(seen.payload.as_deref(), Some(&message[payload_at..there]));
                assert_eq!(seen.missing, (message.len() - there) as u64);
            }
        }
    }
}

#[test]
fn a_publish_in_several_cut_segments_is_shown_where_it_ends() {
    let message = publish(4, "a/b", 7, &[b'x'; 300]);
    let mut run = accepted(4);
    for part in message.chunks(100) {
        run.segment(UP, &part[..60.min(part.len())]);
        if part.len() > 60 {
            run.cut(UP, part.len() - 60);
        }
    }
    run.segment(UP, &PINGREQ).close();
    assert_eq!(run.types(), ["PUBLISH", "PINGREQ"]);
    let seen = &run.packets[0];
    assert_eq!(
        seen.payload.as_deref().map(<[u8]>::len),
        Some(60 - (message.len() - 300))
    );
    assert_eq!(
        (seen.missing, seen.frames.as_slice()),
        (message.len() as u64 - 60, &[3, 4, 5, 6][..])
    );
}

#[test]
fn a_packet_that_is_cut_before_its_payload_is_not_shown() {
    let message = publish(5, "a/b", 7, &[b'x'; 100]);
    for there in 2..message.len() - 100 {
        let mut run = accepted(5);
        run.segment(UP, &message[..there])
            .cut(UP, message.len() - there);
        run.segment(UP, &PINGREQ).close();
        assert_eq!(run.types(), ["PINGREQ"], "{there}");
    }
    // Neither is one of another type, one with a hole of another kind, or of unknown length.
    let long = subscribe(4, 1, &"a".repeat(100));
    let mut run = accepted(4);
    run.segment(UP, &long[..50]).cut(UP, long.len() - 50);
    let message = publish(4, "a/b", 7, &[b'x'; 100]);
    run.segment(UP, &message[..50])
        .gap(UP, message.len() as u64 - 50);
    run.segment(UP, &message[..50]).cut(UP, 0);
    run.segment(UP, &PINGREQ).close();
    assert_eq!(run.types(), ["PINGREQ"]);
}

#[test]
fn a_publish_that_is_cut_and_then_lost_is_not_shown() {
    let message = publish(4, "a/b", 7, &[b'x'; 100]);
    let mut run = accepted(4);
    run.segment(UP, &message[..50]).cut(UP, 10).gap(UP, 5_000);
    run.segment(UP, &PINGREQ).close();
    assert_eq!(run.types(), ["PINGREQ"]);
    let mut run = accepted(4);
    run.segment(UP, &message[..50]).cut(UP, 10).close();
    assert_eq!(run.packets, []);
    assert_eq!(
        run.others.last().map(String::as_str),
        Some("ended PUBLISH 50/109")
    );
}

fn opened() -> Run {
    let mut run = Run::to(1883);
    run.segment(UP, &connect(4)).segment(DOWN, &connack(4));
    run.packets.clear();
    run.others.clear();
    run
}

#[test]
fn a_gap_within_one_packet_costs_that_packet_alone() {
    let mut run = opened();
    let cut = publish(4, "a/b", 0, &[b'd'; 1000]);
    run.segment(UP, &cut[..400])
        .gap(UP, 300)
        .segment(UP, &cut[700..])
        .segment(UP, &PINGREQ)
        .close();
    assert_eq!(run.types(), ["PINGREQ"]);
    assert!(run.packets[0].after_gap);
    assert_eq!(run.others, ["gap 300 400", "ended"]);
}

#[test]
fn a_gap_up_to_the_end_of_a_packet_leaves_the_next_boundary_known() {
    let mut run = opened();
    let cut = publish(4, "a/b", 0, &[b'd'; 20]);
    // As a snapshot length does it, frame after frame.
    for _ in 0..3 {
        run.segment(UP, &cut[..14]).gap(UP, cut.len() as u64 - 14);
    }
    run.segment(UP, &PINGREQ).close();
    assert_eq!(run.types(), ["PINGREQ"]);
}

#[test]
fn after_a_gap_of_whole_packets_those_that_begin_a_segment_are_shown() {
    let mut run = opened();
    let large = publish(4, "gap/2", 3, &[b'd'; 1432]);
    run.segment(UP, &publish(4, "gap/0", 1, b"x"))
        .gap(UP, 744)
        .segment(UP, &large[..1208])
        .segment(UP, &large[1208..])
        .segment(DOWN, &puback(3))
        .segment(UP, &puback(9))
        .close();
    assert_eq!(run.types(), ["PUBLISH", "PUBLISH", "PUBACK", "PUBACK"]);
    assert_eq!(run.packets[1].frames, [4, 5]);
    let frames: Vec<_> = run.packets.iter().map(|seen| seen.frame).collect();
    assert_eq!(frames, [3, 5, 6, 7]);
}

#[test]
fn what_is_left_of_a_packet_whose_begin_is_lost_is_no_packet() {
    for filler in [b"A", b"@", b"0", b"d", b"\0", b"b", b"\xc0", b"1"] {
        let mut run = opened();
        let lost = publish(4, "gap/2", 3, &filler.repeat(1432));
        let next = publish(4, "gap/3", 4, &filler.repeat(2132));
        run.gap(UP, 1208).segment(UP, &lost[1208..]);
        for part in next.chunks(1208) {
            run.segment(UP, part);
        }
        run.segment(UP, &PINGREQ).close();
        assert_eq!(run.bytes_of(UP), [next, PINGREQ.to_vec()], "{filler:?}");
    }
}

#[test]
fn acknowledgements_that_a_payload_repeats_are_no_packets() {
    for pattern in [
        &b"@\x02\0\x01"[..],
        b"\xc0\0",
        b"P\x02\0\x07",
        b"0\x04\0\x01ab",
    ] {
        let mut run = opened();
        let lost = publish(4, "t", 0, &pattern.repeat(3000 / pattern.len()));
        run.gap(UP, 5);
        for part in lost[5..].chunks(1000) {
            run.segment(UP, part);
        }
        run.close();
        assert_eq!(run.packets, [], "{pattern:?}");
    }
}

#[test]
fn a_capture_that_begins_inside_a_publish_shows_what_follows_it() {
    let mut run = Run::amid(1883);
    let large = publish(4, "big/1", 1, &[b'0'; 5400]);
    run.segment(UP, &large[2000..3208])
        .segment(UP, &large[3208..4416])
        .segment(UP, &large[4416..])
        .segment(DOWN, &puback(1))
        .segment(UP, &publish(4, "aft/0", 2, b"tail 0"))
        .segment(DOWN, &puback(2))
        .close();
    assert_eq!(run.types(), ["PUBACK", "PUBLISH", "PUBACK"]);
    assert!(run.others.iter().any(|other| other.starts_with("gap 0 ")));
}

#[test]
fn packets_amid_a_segment_are_shown_once_there_is_evidence() {
    let mut run = opened();
    let small: Vec<Vec<u8>> = (1..=12)
        .map(|id| publish(4, "sensors/temperature", id, b"21.5"))
        .collect();
    let stream = small.concat();
    run.gap(UP, 17)
        .segment(UP, &stream[17..200])
        .segment(UP, &stream[200..])
        .close();
    assert_eq!(run.bytes_of(UP), small[1..]);
}

#[test]
fn packets_of_the_other_direction_keep_the_order_of_the_frames() {
    let mut run = opened();
    let large = publish(4, "t", 5, &[b'x'; 3000]);
    run.gap(UP, 100)
        .segment(UP, &large[..1448])
        .segment(DOWN, &PINGRESP)
        .segment(UP, &large[1448..2896])
        .segment(UP, &large[2896..])
        .segment(DOWN, &puback(5));
    let frames: Vec<_> = run.packets.iter().map(|seen| seen.frame).collect();
    assert_eq!(frames, [4, 6, 7]);
}

#[test]
fn a_gap_of_unknown_length_is_crossed_like_any_other() {
    let mut run = opened();
    let cut = publish(4, "a/b", 0, &[b'd'; 100]);
    run.segment(UP, &cut[..40])
        .gap(UP, 0)
        .segment(UP, &subscribe(4, 1, "a/b"))
        .close();
    assert_eq!(run.types(), ["SUBSCRIBE"]);
}

#[test]
fn bytes_that_never_prove_to_be_packets_are_reported_as_discarded() {
    let mut run = opened();
    run.gap(UP, 10).segment(UP, &[b'd'; 50]).close();
    assert_eq!(run.others, ["gap 10 0", "gap 0 50", "ended"]);
}

#[test]
fn what_is_held_for_want_of_evidence_is_bounded() {
    let mut run = opened();
    run.gap(UP, 10);
    // The start of a packet of 256 MiB that never ends.
    run.segment(UP, b"\x30\xff\xff\xff\x7f\x00\x08presence");
    for _ in 0..3000 {
        run.segment(UP, &[0x5a; 1000]);
        // A buffer that grows takes up to twice what it holds.
        assert!(run.context.held() <= (2 << 20) + (200 << 10));
    }
    assert_eq!(run.context.counters.holds_given_up, 1);
    run.segment(UP, &subscribe(4, 9, "a/b")).close();
    assert_eq!(run.types(), ["SUBSCRIBE"]);
}
