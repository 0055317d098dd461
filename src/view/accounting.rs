//! Where every frame and every byte went, in lines for `-v`.

use crate::event::Totals;

/// Returns a line for each sum of what was read and where it went; a sum of nothing has no line,
/// the frames and the bytes excepted.
pub fn accounting(totals: &Totals) -> Vec<String> {
    let sums = &totals.accounting;
    let mut lines = vec![
        format!(
            "{} frames, {} control packets",
            totals.frames, totals.packets
        ),
        format!(
            "{} frames in which control packets end, {} frames of TCP without, {} without TCP",
            sums.mqtt_frames, sums.tcp_frames, sums.skipped_frames
        ),
    ];
    for skipped in &totals.skipped {
        lines.push(format!(
            "{} frames skipped: {}",
            skipped.frames, skipped.message
        ));
    }
    lines.push(format!(
        "{} TCP connections, {} of them with MQTT",
        sums.connections, sums.mqtt_connections
    ));
    let mut bytes = format!("{} octets of TCP captured", sums.captured);
    // What comes out of TLS and WebSocket is counted besides, since both it and its carrier are
    // bytes that went somewhere.
    if sums.unwrapped > 0 {
        bytes.push_str(&format!(", {} unwrapped", sums.unwrapped));
    }
    let mut before = ": ";
    for (_, words, count) in sums.bytes() {
        if count > 0 {
            bytes.push_str(&format!("{before}{count} {words}"));
            before = ", ";
        }
    }
    lines.push(bytes);
    if sums.gaps > 0 {
        lines.push(format!(
            "{} gaps in MQTT connections, at least {} octets never captured",
            sums.gaps, sums.missing
        ));
    }
    for reached in &sums.caps {
        lines.push(format!(
            "cap reached ({}): {} {}",
            reached.name(),
            reached.times,
            reached.message()
        ));
    }
    // A packet that is lost silently would be worse than this line.
    if !sums.adds_up(totals.frames) {
        lines.push(
            "these sums do not add up, which is a fault of this program: please report it"
                .to_owned(),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits::Limit;
    use crate::event::{Accounting, LimitReached};

    #[test]
    fn sums_have_a_line_each_and_those_that_do_not_add_up_have_one_more() {
        let totals = Totals {
            frames: 10,
            packets: 4,
            accounting: Accounting {
                mqtt_frames: 3,
                tcp_frames: 7,
                captured: 50,
                in_packets: 40,
                repeated: 10,
                caps: vec![LimitReached {
                    limit: Limit::Connections,
                    times: 2,
                }],
                ..Accounting::default()
            },
            ..Totals::default()
        };
        let lines = accounting(&totals);
        assert_eq!(
            lines,
            [
                "10 frames, 4 control packets",
                "3 frames in which control packets end, 7 frames of TCP without, 0 without TCP",
                "0 TCP connections, 0 of them with MQTT",
                "50 octets of TCP captured: 40 in control packets, 10 repeated",
                "cap reached (connections): 2 connections evicted from a full table",
            ]
        );
        let more = Totals {
            frames: 11,
            ..totals
        };
        assert_eq!(accounting(&more).len(), lines.len() + 1);
    }
}
