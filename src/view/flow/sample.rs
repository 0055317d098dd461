//! A ladder for the renderers' own tests.

use super::ladder::{Arrow, Ladder, Lane, Role, Row, Say, Tone, Verdict, Words};
use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::PacketType;

/// A QoS 2 message whose subscriber never answers PUBREL.
pub(super) fn qos2() -> Ladder {
    let mut ladder = Ladder::default();
    ladder.title = said(&mut ladder, "QoS 2 · test · id 1");
    let mut arrow = |number: u64, from, to, packet_type: PacketType, rest: &str| {
        let label = format!("{} (id=1){rest}", packet_type.name());
        let label = said(&mut ladder, &label);
        ladder.rows.push(Row::Arrow(Arrow {
            stamp: FrameStamp {
                number,
                time: Some(Timestamp::from_nanos(number as i64 * 10_000)),
                precision: Precision::Micro,
                length: 100,
                file: 0,
            },
            since: (number > 18).then(|| Span::from_nanos(10_000)),
            from,
            to,
            packet_type,
            label,
        }));
    };
    arrow(18, 0, 1, PacketType::Publish, " [test]");
    arrow(19, 1, 0, PacketType::PubRec, "");
    arrow(20, 0, 1, PacketType::PubRel, "");
    arrow(21, 1, 2, PacketType::Publish, " [test]");
    arrow(23, 2, 1, PacketType::PubRec, "");
    arrow(24, 1, 0, PacketType::PubComp, "");
    arrow(27, 1, 2, PacketType::PubRel, "");
    for (role, name) in [
        (Role::Publisher, "pub"),
        (Role::Broker, "127.0.0.1:1883"),
        (Role::Subscriber, "sub"),
    ] {
        let name = said(&mut ladder, name);
        ladder.lanes.push(Lane { role, name });
    }
    let text = said(&mut ladder, "connection reset");
    ladder.rows.push(Row::Note {
        since: None,
        stamp: None,
        lane: Some(2),
        text,
    });
    let label = said(&mut ladder, "PUBCOMP (id=1) never came");
    ladder.rows.push(Row::Missing {
        from: 2,
        to: 1,
        label,
    });
    for (tone, text) in [
        (Tone::Good, "publisher: complete in 0.106 ms"),
        (
            Tone::Bad,
            "sub: incomplete: PUBCOMP never came; connection reset",
        ),
    ] {
        let text = said(&mut ladder, text);
        ladder.verdicts.push(Verdict { tone, text });
    }
    ladder
}

/// `text` as one of the ladder's.
pub(super) fn said(ladder: &mut Ladder, text: &str) -> Words {
    ladder.words(|out| {
        out.say(text);
    })
}
