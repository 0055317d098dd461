//! Every control packet of captures whose truth is known: see [`truths`].

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tool::{run, truths};

/// Members of a truth's packet and where the JSON has them, as JSON pointers.
const FIELDS: &[(&str, &str)] = &[
    ("src", "/src"),
    ("src_port", "/src_port"),
    ("dst", "/dst"),
    ("dst_port", "/dst_port"),
    ("length", "/length"),
    ("type_name", "/type_name"),
    ("dup", "/dup"),
    ("qos", "/qos"),
    ("retain", "/retain"),
    ("packet_id", "/packet_id"),
    ("topic", "/topic"),
    ("payload_len", "/payload/length"),
    ("payload_hex", "/payload/hex"),
    ("client_id", "/connect/client_id"),
    ("protocol_name", "/connect/protocol_name"),
    ("protocol_level", "/connect/protocol_level"),
    ("keepalive", "/connect/keep_alive"),
    ("connect_flags", "/connect/flags/byte"),
    ("will_topic", "/connect/will/topic"),
    ("will_qos", "/connect/will/qos"),
    ("will_retain", "/connect/will/retain"),
    ("will_payload_hex", "/connect/will/payload/hex"),
    ("username", "/connect/user_name"),
    ("password_len", "/connect/password_length"),
    ("session_present", "/connack/session_present"),
    ("reason_codes", "/reason_codes"),
    ("properties", "/properties"),
    ("will_properties", "/connect/will/properties"),
];

#[test]
fn captures_with_a_truth_are_read_as_the_truth_states() {
    let Some((folder, truths)) = truths() else {
        return;
    };
    let mut wrong = Vec::new();
    for truth in &truths {
        compare_capture(&folder, truth, &mut wrong);
    }
    assert!(
        wrong.is_empty(),
        "{} differences in {} captures:\n{}",
        wrong.len(),
        truths.len(),
        wrong.join("\n")
    );
}

/// Adds every difference between a capture's truth and what is shown of it.
fn compare_capture(folder: &Path, truth: &Value, wrong: &mut Vec<String>) {
    let name = truth["capture"].as_str().expect("a capture's name");
    let mut args = vec![PathBuf::from("--json"), folder.join(name)];
    if let Some(keylog) = truth["keylog"].as_str() {
        args.extend([PathBuf::from("--keylog"), folder.join(keylog)]);
    }
    let ran = run(args);
    if !matches!(ran.status, Some(0 | 2)) {
        wrong.push(format!("{name}: ended with {:?}: {}", ran.status, ran.err));
        return;
    }
    let shown: Value = match serde_json::from_str(&ran.out) {
        Ok(shown) => shown,
        Err(error) if !ran.out.is_empty() => {
            return wrong.push(format!("{name}: not JSON: {error}"));
        }
        Err(_) => Value::Null,
    };
    match truth["expect"]["exit"].as_str() {
        Some("zero") if ran.status != Some(0) => {
            wrong.push(format!("{name}: exit status {:?}", ran.status))
        }
        Some("non-zero") if ran.status == Some(0) => wrong.push(format!("{name}: exit status 0")),
        _ => {}
    }
    if !truth["expect"]["warning"].is_null() && ran.err.is_empty() {
        wrong.push(format!("{name}: nothing on standard error"));
    }
    let none = Vec::new();
    let theirs = truth["packets"].as_array().expect("a truth has packets");
    // A capture of which nothing could be read may have no document at all.
    let ours = match &shown["packets"] {
        Value::Array(packets) => packets,
        _ if ran.status == Some(2) => &none,
        _ => return wrong.push(format!("{name}: no packets in the JSON")),
    };
    let mut used = vec![false; ours.len()];
    for packet in theirs {
        let found = (0..ours.len()).find(|at| !used[*at] && same_place(packet, &ours[*at]));
        match found {
            Some(at) => {
                used[at] = true;
                compare_packet(name, packet, &ours[at], wrong);
            }
            None if packet["optional"] == true => {}
            None => wrong.push(format!(
                "{name}: frame {} {} is missing",
                packet["frame"], packet["type_name"]
            )),
        }
    }
    for (at, packet) in ours.iter().enumerate() {
        // The truths list what was captured whole.
        let cut = !packet["payload"]["kept"].is_null();
        if !used[at] && !cut && packet.get("malformed").is_none() {
            wrong.push(format!(
                "{name}: frame {} {} is not in the truth",
                packet["frame"], packet["type_name"]
            ));
        }
    }
}

/// Whether both are the packet of that type, identifier and ports that ends in that frame.
fn same_place(truth: &Value, shown: &Value) -> bool {
    let frames = truth["frame_alt"].as_array().into_iter().flatten();
    std::iter::once(&truth["frame"])
        .chain(frames)
        .any(|frame| *frame == shown["frame"])
        && ["type", "src_port", "dst_port"]
            .iter()
            .all(|key| truth[key] == shown[key])
        && (truth["packet_id"] == shown["packet_id"] || truth["malformed"].is_string())
        && (truth["payload_len"].is_null()
            || soft(truth, "payload_len")
            || shown["payload"]["length"] == truth["payload_len"]
            || shown["payload"].is_null())
}

fn compare_packet(name: &str, truth: &Value, shown: &Value, wrong: &mut Vec<String>) {
    if truth["malformed"].is_string() || truth["unsupported_protocol"] == true {
        return;
    }
    for (key, pointer) in FIELDS {
        let Some(expected) = truth.get(key).filter(|_| !soft(truth, key)) else {
            continue;
        };
        let actual = shown.pointer(pointer).unwrap_or(&Value::Null);
        let nothing = actual.is_null()
            && (expected == ""
                || expected == false
                || expected.as_array().is_some_and(Vec::is_empty));
        let resolved = *key == "topic" && !truth["topic_resolved"].is_null() && actual == "";
        if actual != expected && !nothing && !resolved {
            wrong.push(format!(
                "{name}: frame {} {}: {key} is {actual}, not {expected}",
                truth["frame"], truth["type_name"]
            ));
        }
    }
    if let (Some(expected), Some(actual)) = (truth["time"].as_str(), shown["time"].as_str()) {
        let digits = actual.trim_end_matches('Z');
        if !expected.starts_with(digits) {
            wrong.push(format!(
                "{name}: frame {}: time is {actual}, not {expected}",
                truth["frame"]
            ));
        }
    }
}

/// Whether the truth leaves a member open for this packet.
fn soft(truth: &Value, key: &str) -> bool {
    truth["soft"]
        .as_array()
        .is_some_and(|keys| keys.iter().any(|soft| soft == key))
}
