//! The fate of each message, in captures whose verdicts are known: see [`truths`].

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::tool::{run, truths};

/// Kinds of verdicts and the rule whose findings are the same.
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

/// Kinds of verdicts that no output states yet, and why.
const NOT_STATED: &[(&str, &str)] = &[
    (
        "conflicting-retransmission",
        "the first copy is kept, which the truth of the packets shows; no finding names the second",
    ),
    ("payload-kind", "payloads are not decoded"),
    ("sparkplug", "payloads are not decoded"),
];

#[test]
fn captures_with_verdicts_are_judged_as_the_truth_states() {
    let Some((folder, truths)) = truths() else {
        return;
    };
    let mut wrong = Vec::new();
    let mut compared = BTreeSet::new();
    let mut met = BTreeSet::new();
    for truth in &truths {
        let name = truth["capture"].as_str().expect("a capture's name");
        let capture = folder.join(name);
        // Most truths have no verdicts; what is there is a list of objects.
        let verdicts = match &truth["verdicts"] {
            Value::Null => continue,
            verdicts => verdicts.as_array().expect("verdicts are a list"),
        };
        for verdict in verdicts {
            let kind = verdict["kind"].as_str().expect("a verdict has a kind");
            met.insert(kind);
            if NOT_STATED.iter().any(|(other, _)| *other == kind) {
                continue;
            }
            let frames: BTreeSet<u64> = match &verdict["frames"] {
                Value::Null => BTreeSet::new(),
                frames => {
                    let frames = frames.as_array().expect("frames are a list").iter();
                    frames
                        .map(|one| one.as_u64().expect("a frame's number"))
                        .collect()
                }
            };
            let differs = match RULES.iter().find(|(known, _)| *known == kind) {
                Some((_, rule)) => by_finding(&capture, rule, &frames),
                None => by_delivery(&capture, kind, &frames),
            };
            compared.insert(kind);
            wrong.extend(differs.map(|differs| format!("{name}: {kind}: {differs}")));
        }
    }
    wrong.sort();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let missing: Vec<_> = RULES
        .iter()
        .map(|(kind, _)| kind)
        .filter(|kind| !compared.contains(*kind))
        .collect();
    assert!(missing.is_empty(), "no truth has a verdict {missing:?}");
    for (kind, _) in NOT_STATED {
        assert!(met.contains(kind), "no truth has a verdict {kind} any more");
    }
}

fn json(capture: &Path, options: &[&str]) -> Value {
    let capture = capture.to_string_lossy();
    let mut arguments: Vec<&str> = options.to_vec();
    arguments.push("--json");
    arguments.push(&capture);
    let ran = run(&arguments);
    serde_json::from_str(&ran.out).expect("JSON")
}

/// The objects of an array that every document of this kind has.
fn array<'a>(document: &'a Value, key: &str) -> &'a [Value] {
    let array = document[key].as_array();
    array.unwrap_or_else(|| panic!("the document has no array {key}"))
}

/// How the findings of `rule` differ from the verdict's frames.
fn by_finding(capture: &Path, rule: &str, frames: &BTreeSet<u64>) -> Option<String> {
    let document = json(capture, &["--check=note"]);
    let found: BTreeSet<u64> = array(&document, "findings")
        .iter()
        .filter(|finding| finding["rule"] == rule)
        .map(|finding| finding["frame"].as_u64().expect("a finding has a frame"))
        .collect();
    let right = if IN_SOME.contains(&rule) {
        !found.is_empty() && found.is_subset(frames)
    } else {
        found == *frames
    };
    (!right).then(|| format!("{found:?}, not {frames:?}"))
}

/// The verdicts about deliveries, wills and connections.
fn by_delivery(capture: &Path, kind: &str, frames: &BTreeSet<u64>) -> Option<String> {
    let document = json(capture, &["--flow", "all"]);
    let handshakes = array(&document, "handshakes");
    let deliveries: Vec<&Value> = handshakes
        .iter()
        .flat_map(|one| one["deliveries"].as_array().into_iter().flatten())
        .collect();
    let frames_where = |holds: &dyn Fn(&Value) -> bool| -> BTreeSet<u64> {
        let matching = deliveries.iter().filter(|one| holds(one));
        matching.filter_map(|one| one["frame"].as_u64()).collect()
    };
    match kind {
        "qos-downgrade" => {
            // The verdict has the frames of all copies, downgraded ones among them.
            let found = frames_where(&|one| one["downgraded"] == true);
            (found.is_empty() || !found.is_subset(frames))
                .then(|| format!("downgraded in {found:?}, not {frames:?}"))
        }
        "retained-delivery" => {
            let found = frames_where(&|one| one["stored"] == true && one.get("latency").is_none());
            (found != *frames).then(|| format!("stored copies in {found:?}, not {frames:?}"))
        }
        "fan-out" => {
            let three = |one: &&Value| {
                one["deliveries"]
                    .as_array()
                    .is_some_and(|all| all.len() == 3)
            };
            let found: BTreeSet<u64> = handshakes
                .iter()
                .filter(three)
                .filter_map(|one| one["steps"][0]["frame"].as_u64())
                .collect();
            (found != *frames).then(|| format!("three deliveries of {found:?}, not {frames:?}"))
        }
        "two-brokers" => {
            let ambiguous = deliveries.iter().any(|one| one["ambiguous"] == true);
            let takeover = array(&json(capture, &["--check=note"]), "findings")
                .iter()
                .any(|finding| finding["rule"] == "takeover");
            (deliveries.is_empty() || ambiguous || takeover)
                .then(|| "the two brokers are mixed up".to_owned())
        }
        "no-will" => {
            let found: BTreeSet<u64> = array(&document, "wills")
                .iter()
                .filter(|will| will["published"] == false)
                .filter_map(|will| will["set_frame"].as_u64())
                .collect();
            (found != *frames).then(|| format!("unpublished wills of {found:?}, not {frames:?}"))
        }
        "bridge" => {
            let found: BTreeSet<u64> = array(&json(capture, &[]), "packets")
                .iter()
                .filter(|packet| packet["connect"]["bridge"] == true)
                .filter_map(|packet| packet["frame"].as_u64())
                .collect();
            (found != *frames).then(|| format!("bridges in {found:?}, not {frames:?}"))
        }
        other => panic!("no test for verdicts of the kind {other}"),
    }
}
