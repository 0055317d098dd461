//! Whatever is lost, no packet is shown that was not sent.

use super::*;
use proptest::prelude::*;

/// One packet of a Client.
fn sent(level: u8) -> impl Strategy<Value = Vec<u8>> {
    let topic = "[a-z]{1,8}(/[a-z0-9]{1,8}){0,3}";
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        proptest::collection::vec(any::<u8>(), 0..4000),
        "[ -~]{1,300}".prop_map(String::into_bytes),
        (any::<u8>(), 1..3000_usize).prop_map(|(byte, length)| vec![byte; length]),
    ];
    prop_oneof![
        6 => (topic, 0..2000_u16, payload)
            .prop_map(move |(topic, id, payload)| publish(level, &topic, id, &payload)),
        2 => (1..2000_u16).prop_map(puback),
        1 => Just(PINGREQ.to_vec()),
        1 => (1..2000_u16, topic).prop_map(move |(id, filter)| subscribe(level, id, &filter)),
    ]
}

/// Segments as a sender with a maximum segment size of 1,448 makes them: each packet on its
/// own, or all in one go.
fn segments(packets: &[Vec<u8>], coalesced: bool) -> Vec<Vec<u8>> {
    if coalesced {
        packets.concat().chunks(1448).map(<[u8]>::to_vec).collect()
    } else {
        let parts = packets.iter().flat_map(|packet| packet.chunks(1448));
        parts.map(<[u8]>::to_vec).collect()
    }
}

/// Plays the segments that `lost` does not list as lost; the number of
/// packets, and those emitted.
fn play(
    run: &mut Run,
    packets: &[Vec<u8>],
    coalesced: bool,
    lost: &[bool],
) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let segments = segments(packets, coalesced);
    let mut gap = 0;
    let mut whole = vec![true; packets.iter().map(Vec::len).sum()];
    let mut at = 0;
    for (number, segment) in segments.iter().enumerate() {
        if lost.get(number).copied().unwrap_or(false) {
            gap += segment.len() as u64;
            whole[at..at + segment.len()].fill(false);
        } else {
            if gap > 0 {
                run.gap(UP, std::mem::take(&mut gap));
            }
            run.segment(UP, segment);
        }
        at += segment.len();
    }
    run.close();
    let mut at = 0;
    let mut present = Vec::new();
    for packet in packets {
        let end = at + packet.len();
        if whole[at..end].iter().all(|byte| *byte) {
            present.push(packet.clone());
        }
        at = end;
    }
    (present, run.bytes_of(UP))
}

/// Whether `seen` can be made from `sent` by leaving some out.
fn is_part_of(seen: &[Vec<u8>], sent: &[Vec<u8>]) -> bool {
    let mut sent = sent.iter();
    seen.iter().all(|packet| sent.any(|other| other == packet))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_phantom_is_shown_whatever_segments_are_lost(
        (level, packets) in prop_oneof![Just(4), Just(5)].prop_flat_map(|level| {
            (Just(level), proptest::collection::vec(sent(level), 1..40))
        }),
        lost in proptest::collection::vec(proptest::bool::weighted(0.2), 40),
        coalesced: bool,
    ) {
        let mut run = Run::to(1883);
        run.segment(UP, &connect(level)).segment(DOWN, &connack(level));
        run.packets.clear();
        let (present, seen) = play(&mut run, &packets, coalesced, &lost);
        prop_assert!(is_part_of(&seen, &present));
    }

    #[test]
    fn no_phantom_is_shown_wherever_the_capture_begins(
        packets in prop_oneof![Just(4), Just(5)]
            .prop_flat_map(|level| proptest::collection::vec(sent(level), 1..40)),
        missing in 0..40_usize,
        coalesced: bool,
    ) {
        let mut run = Run::amid(1883);
        let lost = vec![true; missing];
        let (present, seen) = play(&mut run, &packets, coalesced, &lost);
        prop_assert!(is_part_of(&seen, &present));
    }

    #[test]
    fn any_cut_of_a_stream_gives_the_same_packets(
        packets in proptest::collection::vec(sent(5), 1..10),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..20),
    ) {
        let packets: Vec<Vec<u8>> = std::iter::once(connect(5)).chain(packets).collect();
        let stream = packets.concat();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.extend([0, stream.len()]);
        cuts.sort_unstable();
        let mut run = Run::to(4000);
        for part in cuts.windows(2) {
            if part[0] < part[1] {
                run.segment(UP, &stream[part[0]..part[1]]);
            }
        }
        run.close();
        prop_assert_eq!(run.bytes_of(UP), packets);
    }

    #[test]
    fn anything_at_all_is_accounted_for(
        steps in proptest::collection::vec(
            (any::<bool>(), 0..6_u8, proptest::collection::vec(any::<u8>(), 0..300)), 0..60),
        begun: bool,
        connected: bool,
    ) {
        let mut run = if begun { Run::to(1883) } else { Run::amid(1883) };
        if connected {
            run.segment(UP, &connect(5));
        }
        for (up, kind, bytes) in &steps {
            let direction = if *up { UP } else { DOWN };
            match kind {
                0 => run.gap(direction, bytes.len() as u64),
                1 => run.segment(direction, &PINGREQ),
                2 => run.segment(direction, &publish(5, "a/b", 3, bytes)),
                _ => run.segment(direction, bytes),
            };
        }
        run.close();
    }
}

#[test]
fn after_gaps_nearly_every_whole_packet_is_shown_where_packets_begin_segments() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut present_in_all, mut seen_in_all) = ([0, 0], [0, 0]);
    for round in 0..300 {
        let strategy = (
            proptest::collection::vec(sent(4), 1..60),
            proptest::collection::vec(proptest::bool::weighted(0.1), 80),
        );
        let (packets, lost) = strategy.new_tree(&mut runner).expect("a value").current();
        let coalesced = round % 2;
        let mut run = Run::to(1883);
        run.segment(UP, &connect(4)).segment(DOWN, &connack(4));
        run.packets.clear();
        let (present, seen) = play(&mut run, &packets, coalesced == 1, &lost);
        assert!(is_part_of(&seen, &present));
        present_in_all[coalesced] += present.len();
        seen_in_all[coalesced] += seen.len();
    }
    let percent = |kind: usize| seen_in_all[kind] * 100 / present_in_all[kind];
    assert!(percent(0) >= 98, "{seen_in_all:?} of {present_in_all:?}");
    assert!(percent(1) >= 90, "{seen_in_all:?} of {present_in_all:?}");
}

/// Segments of random bytes, the same in every run. What begins a segment as a packet would
/// and goes on as packets do passes for one: that cannot be distinguished, but it is rare.
#[test]
fn random_bytes_after_a_gap_hardly_ever_make_a_packet() {
    let mut state = 1883_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize
    };
    let (mut segments, mut seen) = (0, 0);
    for _ in 0..500 {
        let mut run = Run::to(1883);
        run.segment(UP, &connect(4)).segment(DOWN, &connack(4));
        run.gap(UP, 1000);
        for _ in 0..20 {
            let length = 1 + random() % 1447;
            let bytes: Vec<u8> = (0..length).map(|_| random() as u8).collect();
            run.segment(UP, &bytes);
            segments += 1;
        }
        run.close();
        seen += run.packets.len() - 2;
    }
    assert!(seen * 2_000 <= segments, "{seen} in {segments} segments");
}
