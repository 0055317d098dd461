//! Compared with tshark, packet by packet and field by field.

use std::collections::BTreeSet;
use std::process::Command;

use crate::tool::{captures, have, run};

/// Captures that tshark reads differently, each with the reason. The test fails where an entry is
/// needed no more.
const READ_OTHERWISE: &[(&str, &str)] = &[
    ("other-port.pcap", "tshark knows MQTT on port 1883 only"),
    (
        "websocket.pcap",
        "tshark does not hand the bytes of WebSocket to MQTT; they are compared on their own",
    ),
    (
        "malformed.pcap",
        "of the rules broken here tshark sees a few; ours stand in the golden files",
    ),
    (
        "snaplen80.pcap",
        "tshark does not read a control packet that the snapshot length cut",
    ),
    (
        "gap.pcap",
        "tshark reads what follows a gap as if nothing were missing",
    ),
];

/// Lines of tshark's tree that ours words differently: how they begin, and the reason. The test
/// fails where none of the lines is missing in our tree.
const REWORDED: &[(&str, &str)] = &[
    (
        "Message: ",
        "tshark shows the bytes in hexadecimal; ours are compared through the JSON",
    ),
    (
        "Value: ",
        "tshark shows text and bytes of a property alike; compared by identifier",
    ),
    (
        "Unknown version",
        "where no CONNECT was seen we infer the version and mark it",
    ),
    ("Severity level: ", "an opinion of tshark's, not a field"),
    ("Group: ", "an opinion of tshark's, not a field"),
    ("Expert Info", "an opinion of tshark's, not a field"),
];

/// A control packet as tshark reads it.
struct Theirs {
    frame: u64,
    packet_type: u64,
    /// The lines of the tree, outermost first.
    lines: Vec<String>,
    payload: Option<String>,
}

#[test]
fn what_comes_out_of_websocket_is_what_tshark_takes_out_of_it() {
    if !have("tshark") {
        return;
    }
    let path = "testdata/captures/websocket.pcap";
    let fields = ["-e", "frame.number", "-e", "data.data"];
    let theirs = Command::new("tshark")
        .args(["-r", path, "-Y", "websocket and data", "-T", "fields"])
        .args(fields)
        .output()
        .expect("tshark runs");
    let theirs = String::from_utf8(theirs.stdout).expect("UTF-8");
    let theirs: Vec<(&str, &str)> = theirs
        .lines()
        .map(|line| line.split_once('\t').expect("two fields"))
        .collect();
    assert!(theirs.len() > 15, "{theirs:?}");
    let shown = run(["-x", path]).out;
    for (frame, bytes) in theirs {
        let row = format!("{frame:>5} ");
        let from = shown.lines().skip_while(|line| !line.starts_with(&row));
        let dump = from.skip(1).take_while(|line| !line.is_empty());
        let digits = dump.filter_map(|line| line.get(6..53));
        let ours: String = digits.collect::<String>().replace(' ', "");
        assert_eq!(ours, bytes, "frame {frame}");
    }
}

#[test]
fn every_packet_and_field_that_tshark_shows_is_shown() {
    if !have("tshark") {
        return;
    }
    let mut compared = Compared::default();
    for capture in captures() {
        let name = capture.file_name().expect("a name").to_string_lossy();
        let exempt = READ_OTHERWISE.iter().any(|(file, _)| *file == name);
        if exempt {
            let differences = differences(&name, &mut Compared::default());
            assert!(
                !differences.is_empty(),
                "tshark reads {name} as we do: its exception is needed no more"
            );
        } else {
            let differences = differences(&name, &mut compared);
            assert!(differences.is_empty(), "{}", differences.join("\n"));
        }
    }
    let Compared { lines, reworded } = compared;
    assert!(lines > 1_000, "only {lines} fields were compared");
    let unneeded: Vec<_> = REWORDED
        .iter()
        .filter(|(begin, _)| !reworded.contains(begin))
        .collect();
    assert!(
        unneeded.is_empty(),
        "our trees have every such line of tshark's: {unneeded:?}"
    );
}

/// A count of what was compared in all captures.
#[derive(Default)]
struct Compared {
    lines: usize,
    /// Entries of [`REWORDED`] that stand for a line that our tree does not have.
    reworded: BTreeSet<&'static str>,
}

/// How our packets, their trees and payloads differ from tshark's.
fn differences(name: &str, compared: &mut Compared) -> Vec<String> {
    let path = format!("testdata/captures/{name}");
    let theirs = tshark(&path);
    let json: serde_json::Value =
        serde_json::from_str(&run(["--json", &path]).out).expect("the JSON parses");
    let ours = json["packets"].as_array().expect("packets");
    let our_places: Vec<_> = ours
        .iter()
        .map(|packet| (packet["frame"].as_u64(), packet["type"].as_u64()))
        .collect();
    let their_places: Vec<_> = theirs
        .iter()
        .map(|packet| (Some(packet.frame), Some(packet.packet_type)))
        .collect();
    if our_places != their_places {
        return vec![format!(
            "{name}: the frames and types of the packets: {our_places:?}, not {their_places:?}"
        )];
    }
    let detail = run(["-V", "--show-secrets", &path]).out;
    let trees = trees(&detail);
    assert_eq!(trees.len(), theirs.len(), "{name}: trees");
    let mut differences = Vec::new();
    for ((packet, tree), json) in theirs.iter().zip(&trees).zip(ours) {
        let mut left = tree.iter();
        for line in &packet.lines {
            if let Some((begin, _)) = REWORDED.iter().find(|(begin, _)| line.starts_with(begin)) {
                if !tree.contains(&line.as_str()) {
                    compared.reworded.insert(begin);
                }
                continue;
            }
            if !left.any(|ours| ours == line) {
                differences.push(format!(
                    "{name} frame {}: tshark's line is not in our tree, or not in its place: {line}\n{}",
                    packet.frame,
                    tree.join("\n")
                ));
                break;
            }
            compared.lines += 1;
        }
        let payload = json["payload"]["hex"].as_str();
        if packet.payload.is_some() && payload != packet.payload.as_deref() {
            differences.push(format!(
                "{name} frame {}: the payload is {payload:?}",
                packet.frame
            ));
        }
    }
    differences
}

/// The MQTT part of each packet of the detail view, its lines without their indentation.
fn trees(detail: &str) -> Vec<Vec<&str>> {
    let mut trees: Vec<Vec<&str>> = Vec::new();
    let mut inside = false;
    for line in detail.lines() {
        if line.starts_with("MQ Telemetry Transport Protocol") {
            trees.push(Vec::new());
            inside = true;
        } else if !line.starts_with(' ') {
            inside = false;
        }
        if let (true, Some(tree)) = (inside, trees.last_mut()) {
            tree.push(line.trim_start());
        }
    }
    trees
}

/// tshark's reading of a capture. PDML holds a field a line.
fn tshark(path: &str) -> Vec<Theirs> {
    let output = Command::new("tshark")
        .args([
            "-r",
            path,
            "-Y",
            "mqtt",
            "-T",
            "pdml",
            "-o",
            "tcp.reassemble_out_of_order:TRUE",
        ])
        .output()
        .expect("tshark runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    // 2 for a capture that is cut short.
    let ended = matches!(output.status.code(), Some(0 | 2));
    assert!(ended, "tshark -r {path}: {errors}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut packets: Vec<Theirs> = Vec::new();
    let (mut frame, mut inside) = (0, false);
    for line in text.lines().map(str::trim_start) {
        if line.starts_with("<proto ") {
            inside = attribute(line, "name").as_deref() == Some("mqtt");
            if inside {
                let lines = vec![attribute(line, "showname").unwrap_or_default()];
                packets.push(Theirs {
                    frame,
                    packet_type: 0,
                    lines,
                    payload: None,
                });
            }
            continue;
        }
        if line.starts_with("</proto>") {
            inside = false;
        }
        let Some(name) = line
            .starts_with("<field ")
            .then(|| attribute(line, "name"))
            .flatten()
        else {
            continue;
        };
        let show = attribute(line, "show").unwrap_or_default();
        if name == "frame.number" {
            frame = show.parse().expect("a frame number");
        }
        let Some(packet) = packets.last_mut().filter(|_| inside) else {
            continue;
        };
        match name.as_str() {
            "mqtt.msgtype" => packet.packet_type = show.parse().expect("a packet type"),
            "mqtt.msg" => packet.payload = attribute(line, "value"),
            _ => {}
        }
        packet.lines.extend(attribute(line, "showname"));
    }
    packets
}

/// An attribute of a line of XML, its entities resolved.
fn attribute(line: &str, name: &str) -> Option<String> {
    let from = line.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = &line[from..from + line[from..].find('"')?];
    let plain = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#x27;", "'"),
        ("&amp;", "&"),
    ];
    Some(plain.iter().fold(value.to_owned(), |value, (entity, is)| {
        value.replace(entity, is)
    }))
}
