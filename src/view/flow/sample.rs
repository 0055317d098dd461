//! A ladder for the renderers' own tests.

use super::ladder::{Ladder, Lane, Role, Row, Shape, Tone, Verdict};
use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::PacketType;

/// A QoS 2 message whose subscriber never answers PUBREL.
pub(super) fn qos2() -> Ladder {
    let row = |stamp, shape, text: &str| Row {
        stamp,
        since: None,
        shape,
        text: text.to_owned(),
    };
    let arrow = |number: u64, from, to, packet_type: PacketType, rest: &str| {
        let stamp = FrameStamp {
            number,
            time: Some(Timestamp::from_nanos(number as i64 * 10_000)),
            precision: Precision::Micro,
            length: 100,
            file: 0,
        };
        let text = format!("{} (id=1){rest}", packet_type.name());
        Row {
            since: (number > 18).then(|| Span::from_nanos(10_000)),
            ..row(Some(stamp), Shape::Arrow { from, to }, &text)
        }
    };
    let rows = vec![
        arrow(18, 0, 1, PacketType::Publish, " [test]"),
        arrow(19, 1, 0, PacketType::PubRec, ""),
        arrow(20, 0, 1, PacketType::PubRel, ""),
        arrow(21, 1, 2, PacketType::Publish, " [test]"),
        arrow(23, 2, 1, PacketType::PubRec, ""),
        arrow(24, 1, 0, PacketType::PubComp, ""),
        arrow(27, 1, 2, PacketType::PubRel, ""),
        row(None, Shape::Note { lane: Some(2) }, "connection reset"),
        row(
            None,
            Shape::Missing { from: 2, to: 1 },
            "PUBCOMP (id=1) never came",
        ),
    ];
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
