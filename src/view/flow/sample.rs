//! A ladder for the renderers' own tests.

use super::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, Verdict};
use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::PacketType;

/// A QoS 2 message whose subscriber never answers PUBREL.
pub(super) fn qos2() -> Ladder {
    let mut rows = Vec::new();
    let mut arrow = |number: u64, from, to, packet_type: PacketType, rest: &str| {
        rows.push(Row::Arrow(Arrow {
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
            label: format!("{} (id=1){rest}", packet_type.name()),
        }));
    };
    arrow(18, 0, 1, PacketType::Publish, " [test]");
    arrow(19, 1, 0, PacketType::PubRec, "");
    arrow(20, 0, 1, PacketType::PubRel, "");
    arrow(21, 1, 2, PacketType::Publish, " [test]");
    arrow(23, 2, 1, PacketType::PubRec, "");
    arrow(24, 1, 0, PacketType::PubComp, "");
    arrow(27, 1, 2, PacketType::PubRel, "");
    rows.push(Row::Note {
        since: None,
        stamp: None,
        lane: Some(2),
        text: "connection reset".to_owned(),
    });
    rows.push(Row::Missing {
        from: 2,
        to: 1,
        label: "PUBCOMP (id=1) never came".to_owned(),
    });
    let lanes = [
        (Role::Publisher, "pub"),
        (Role::Broker, "127.0.0.1:1883"),
        (Role::Subscriber, "sub"),
    ];
    let verdicts = [
        (Tone::Good, "publisher: complete in 0.106 ms"),
        (
            Tone::Bad,
            "sub: incomplete: PUBCOMP never came; connection reset",
        ),
    ];
    Ladder {
        title: "QoS 2 · test · id 1".to_owned(),
        lanes: lanes
            .map(|(role, name)| Lane {
                role,
                name: name.to_owned(),
            })
            .into(),
        rows,
        verdicts: verdicts
            .map(|(tone, text)| Verdict {
                tone,
                text: text.to_owned(),
            })
            .into(),
    }
}
