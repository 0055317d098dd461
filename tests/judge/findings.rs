//! Findings of level error and warning: each must rest on something that the driver did.

use mqtt_inspect::mqtt::{ProtocolVersion, Sender};
use serde_json::Value;

use super::compare::{Shown, Table, Verdict, array, short};
use super::known::{End, Link};

/// Compares every finding.
pub(crate) fn compare(shown: &Shown<'_>, table: &mut Table) {
    for finding in array(&shown.findings, "findings") {
        if finding["level"] == "note" {
            continue;
        }
        let verdict = match confirmed(shown, finding) {
            true => Verdict::Right,
            false => Verdict::Wrong,
        };
        table.count("finding", verdict, || short(finding));
    }
}

fn confirmed(shown: &Shown<'_>, finding: &Value) -> bool {
    let known = &shown.truth.known;
    let rule = finding["rule"].as_str().unwrap_or("");
    let port = shown.port(&finding["stream"]);
    let link = port.and_then(|port| known.links.get(&port));
    let frame = shown.frame(&finding["frame"]);
    let by = finding["by"].as_str().unwrap_or("");
    let held = |link: &Link| link.withheld;
    match rule {
        "missing-octets" | "frame-cut" | "incomplete-packet" => !shown.whole,
        // The client hung, or kept PUBREL back.
        "qos1-never-acked" | "qos2-stuck" => by == "client" && link.is_some_and(held),
        "server-disconnected" => link.is_some_and(|link| {
            link.version == ProtocolVersion::V5_0
                && matches!(link.end, End::TakenOver | End::ByBroker)
        }),
        // mosquitto does that where several messages wait.
        "receive-maximum-exceeded" => {
            by == "server"
                && port.is_some_and(|port| shown.truth.exceeds_receive_maximum(port, frame))
        }
        "takeover-loop" => {
            let client = finding["client_id"].as_str().unwrap_or("");
            let links = known.links.values();
            links
                .filter(|link| link.client == client && link.end == End::TakenOver)
                .count()
                >= 3
        }
        // mosquitto does that after a restart, with what it had not sent before.
        "dup-on-first-delivery" => {
            let truth = shown.truth;
            let client = port.map_or("", |port| truth.client(port));
            let messages = truth.messages(frame, Sender::Server, None);
            by == "server"
                && messages.into_iter().any(|message| {
                    let mut copies = truth.copies(message);
                    copies
                        .find(|copy| truth.client(copy.port) == client)
                        .is_some_and(|first| first.frame == frame && first.dup)
                })
        }
        "session-forgotten" => known.losses > 0,
        _ => false,
    }
}
