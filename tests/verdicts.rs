//! What became of each message, held against captures whose verdicts are known:
//! `MQTT_INSPECT_CAPTURES` names a folder with `NAME.truth.json` beside each capture.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::tool::{run, skipped};

/// Kinds of verdicts and the rule whose findings say the same.
const RULES: &[(&str, &str)] = &[
    ("qos1-never-acked", "qos1-never-acked"),
    ("qos2-stuck", "qos2-stuck"),
    ("redelivery", "redelivery"),
    ("keepalive-violation", "keepalive-violation"),
    ("packet-id-in-use", "packet-id-in-use"),
    ("receive-maximum-exceeded", "receive-maximum-exceeded"),
    ("connection-refused", "connection-refused"),
    ("ack-without-publish", "ack-without-publish"),
    ("message-expired", "message-expired"),
    ("no-clean-end", "no-clean-end"),
    ("will-published", "will-published"),
    ("takeover", "takeover"),
];

/// Rules whose findings stand in some of the verdict's frames only: a stored copy of a will
/// and the first of two CONNECTs are in the verdict too.
const IN_SOME: &[&str] = &["will-published", "takeover"];

#[test]
fn captures_with_verdicts_are_judged_as_the_truth_says() {
    let Some(folder) = std::env::var_os("MQTT_INSPECT_CAPTURES") else {
        skipped("MQTT_INSPECT_CAPTURES names no folder");
        return;
    };
    let mut wrong = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder that MQTT_INSPECT_CAPTURES names") {
        let path = entry.expect("an entry").path();
        if !path.to_string_lossy().ends_with(".truth.json") {
            continue;
        }
        let truth: Value =
            serde_json::from_slice(&std::fs::read(&path).expect("a truth")).expect("JSON");
        let name = truth["capture"].as_str().unwrap_or_default().to_owned();
        let capture = Path::new(&folder).join(&name);
        for verdict in truth["verdicts"].as_array().into_iter().flatten() {
            let kind = verdict["kind"].as_str().unwrap_or_default();
            let frames: BTreeSet<u64> = verdict["frames"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect();
            let differs = match RULES.iter().find(|(known, _)| *known == kind) {
                Some((_, rule)) => by_finding(&capture, rule, &frames),
                None => by_delivery(&capture, kind, &frames),
            };
            wrong.extend(differs.map(|differs| format!("{name}: {kind}: {differs}")));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn json(capture: &Path, options: &[&str]) -> Value {
    let capture = capture.to_string_lossy();
    let mut arguments: Vec<&str> = options.to_vec();
    arguments.push("--json");
    arguments.push(&capture);
    let ran = run(&arguments);
    serde_json::from_str(&ran.out).expect("JSON")
}

fn by_finding(capture: &Path, rule: &str, frames: &BTreeSet<u64>) -> Option<String> {
    let told: BTreeSet<u64> = json(capture, &["--check"])["findings"]
        .as_array()?
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .filter_map(|finding| finding["frame"].as_u64())
        .collect();
    let right = if IN_SOME.contains(&rule) {
        !told.is_empty() && told.is_subset(frames)
    } else {
        told == *frames
    };
    (!right).then(|| format!("{told:?}, not {frames:?}"))
}

/// The verdicts about deliveries.
fn by_delivery(capture: &Path, kind: &str, frames: &BTreeSet<u64>) -> Option<String> {
    let document = json(capture, &["--flow", "all"]);
    let handshakes = document["handshakes"].as_array()?;
    let legs = || {
        handshakes
            .iter()
            .flat_map(|one| one["deliveries"].as_array().into_iter().flatten())
    };
    let frames_of = |legs: &mut dyn Iterator<Item = &Value>| -> BTreeSet<u64> {
        legs.filter_map(|leg| leg["frame"].as_u64()).collect()
    };
    match kind {
        "qos-downgrade" => {
            // The verdict has the frames of all copies, downgraded ones among them.
            let told = frames_of(&mut legs().filter(|leg| leg["downgraded"] == true));
            (told.is_empty() || !told.is_subset(frames))
                .then(|| format!("downgraded in {told:?}, not {frames:?}"))
        }
        "retained-delivery" => {
            let told = frames_of(
                &mut legs().filter(|leg| leg["stored"] == true && leg.get("latency").is_none()),
            );
            (told != *frames).then(|| format!("stored copies in {told:?}, not {frames:?}"))
        }
        "fan-out" => {
            let told: BTreeSet<u64> = handshakes
                .iter()
                .filter(|one| {
                    one["deliveries"]
                        .as_array()
                        .is_some_and(|legs| legs.len() == 3)
                })
                .filter_map(|one| one["steps"][0]["frame"].as_u64())
                .collect();
            (told != *frames).then(|| format!("three deliveries of {told:?}, not {frames:?}"))
        }
        "two-brokers" => legs()
            .any(|leg| leg["ambiguous"] == true)
            .then(|| "two brokers are mixed up".to_owned()),
        _ => None,
    }
}
