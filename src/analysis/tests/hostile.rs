//! Whatever comes in whatever order: nothing panics, and every handshake is reported once.

use proptest::prelude::*;

use super::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Happening {
    Open(u32, bool),
    Packet(u32, bool, u8, u16),
    Raw(u32, bool, Vec<u8>),
    Gap(u32, bool),
    End(u32, u8),
    Wait(u16),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let connection = 0..4u32;
    let one = prop_oneof![
        1 => (connection.clone(), any::<bool>()).prop_map(|(c, syn)| Happening::Open(c, syn)),
        12 => (connection.clone(), any::<bool>(), 0..22u8, 1..4u16)
            .prop_map(|(c, client, kind, id)| Happening::Packet(c, client, kind, id)),
        1 => (connection.clone(), any::<bool>(), prop::collection::vec(any::<u8>(), 2..12))
            .prop_map(|(c, client, bytes)| Happening::Raw(c, client, bytes)),
        1 => (connection.clone(), any::<bool>()).prop_map(|(c, client)| Happening::Gap(c, client)),
        1 => (connection, 0..5u8).prop_map(|(c, how)| Happening::End(c, how)),
        1 => (0..5000u16).prop_map(Happening::Wait),
    ];
    prop::collection::vec(one, 0..120)
}

fn bytes(version: ProtocolVersion, kind: u8, id: u16) -> Vec<u8> {
    let retain = Sent {
        retain: true,
        ..Sent::default()
    };
    let hello = |clean, name| Hello {
        clean,
        keep_alive: 1,
        will: Some(("t/will", b"gone", 0, true)),
        properties: if version == V5 {
            expiry(0x11, 60)
        } else {
            Vec::new()
        },
        ..Hello::new(name)
    };
    match kind {
        0 => connect(version, &hello(true, "a")),
        1 => connect(version, &hello(false, "a")),
        2 => connect(version, &hello(false, "")),
        3 => connack(version, false, 0, &[]),
        4 => connack(version, true, 0, &[]),
        5 => connack(version, false, 0x85, &[]),
        6 => publish(version, "t/x", b"x", Sent::default()),
        7 => publish(version, "t/x", b"x", retain),
        8 => numbered(version, "t/x", b"x", 1, id),
        9 => again(version, "t/x", b"x", 1, id),
        10 => numbered(version, "t/x", b"x", 2, id),
        11 => again(version, "t/x", b"y", 2, id),
        12 => puback(id),
        13 => pubrec(id),
        14 => pubrel(id),
        15 => pubcomp(id),
        16 => subscribe(version, id, &[("t/#", 1), ("$share/g/t/+", 2)], &[]),
        17 => suback(version, id, &[1, 0x80]),
        18 => unsubscribe(version, id, &["t/#"]),
        19 => unsuback(version, id, &[0]),
        20 => PINGREQ.to_vec(),
        _ => disconnect(version, 0x04),
    }
}

proptest! {
    #[test]
    fn any_order_of_events_is_reported_without_a_panic(
        happenings in happenings(),
        five in any::<bool>(),
    ) {
        let version = if five { V5 } else { V3 };
        let mut run = Run::new(version);
        let mut open = [false; 4];
        let mut requests = 0;
        for one in &happenings {
            let sender = |client: bool| if client { Sender::Client } else { Sender::Server };
            match one {
                Happening::Open(c, syn) if !open[*c as usize] => {
                    open[*c as usize] = true;
                    run.open_to(*c, 1883, *syn);
                }
                Happening::Packet(c, client, kind, id) if open[*c as usize] => {
                    let bytes = bytes(version, *kind, *id);
                    requests += u32::from(*client && matches!(kind, 6 | 7));
                    run.send(*c, sender(*client), &bytes);
                }
                Happening::Raw(c, client, bytes) if open[*c as usize] => {
                    run.send(*c, sender(*client), bytes);
                }
                Happening::Gap(c, client) if open[*c as usize] => {
                    run.gap(*c, sender(*client));
                }
                Happening::End(c, how) if open[*c as usize] => {
                    open[*c as usize] = false;
                    let (why, by) = match how {
                        0 => (Closed::Finished, Some(Sender::Client)),
                        1 => (Closed::Finished, Some(Sender::Server)),
                        2 => (Closed::Reset, None),
                        3 => (Closed::Replaced, None),
                        _ => (Closed::Evicted, None),
                    };
                    run.end(*c, why, by);
                }
                Happening::Wait(millis) => {
                    run.wait(i64::from(*millis));
                }
                _ => {}
            }
        }
        run.finish();
        // Each QoS 0 PUBLISH of a client is one record.
        let reported = run
            .handshakes
            .iter()
            .filter(|one| one.kind == HandshakeKind::Qos0 && one.initiator == Sender::Client)
            .filter(|one| one.message().is_some_and(|message| message.payload.length == 1))
            .count();
        prop_assert!(reported >= requests as usize, "{reported} of {requests}");
        // No step is reported of two handshakes.
        let mut steps: Vec<_> = run
            .handshakes
            .iter()
            .flat_map(|one| one.steps.iter().map(|step| (step.stamp.number, step.index)))
            .collect();
        let count = steps.len();
        steps.sort_unstable();
        steps.dedup();
        prop_assert_eq!(steps.len(), count);
    }
}
