//! Held against tshark, packet by packet and field by field.

use std::process::Command;

use crate::tool::{captures, have, run};

/// Where we differ from tshark on purpose, or where tshark is wrong: capture, frame (0 for all
/// of the capture), and the reason. The list may only shrink, or grow with a reason.
const REASONED: &[(&str, u64, &str)] = &[
    ("other-port.pcap", 0, "tshark knows MQTT on port 1883 only"),
    (
        "websocket.pcap",
        0,
        "tshark does not hand the octets of WebSocket to MQTT; they are compared on their own",
    ),
    (
        "octet-by-octet.pcap",
        0,
        "tshark loses the stream when a segment ends inside Remaining Length",
    ),
    (
        "malformed.pcap",
        0,
        "of the rules broken here tshark sees a few; what we tell stands in the golden files",
    ),
    (
        "snaplen80.pcap",
        0,
        "tshark does not read a control packet that the snapshot length cut",
    ),
    (
        "gap.pcap",
        0,
        "tshark reads what follows a gap as if nothing were missing",
    ),
];

/// Lines of tshark's tree that ours words differently: how they begin, and the reason.
const REWORDED: &[(&str, &str)] = &[
    (
        "Message: ",
        "tshark shows the octets in hexadecimal; ours are compared through the JSON",
    ),
    ("Will Message: ", "as Message"),
    ("Password: ", "never shown unless asked for"),
    (
        "Value: ",
        "tshark shows text and octets of a property alike; compared by identifier",
    ),
    ("Key: ", "we show a user property on one line"),
    (
        "Unknown version",
        "where no CONNECT was seen we infer the version, and say so",
    ),
    ("Severity level: ", "an opinion of tshark's, not a field"),
    ("Group: ", "an opinion of tshark's, not a field"),
    ("[Expert Info", "an opinion of tshark's, not a field"),
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
    for (frame, octets) in theirs {
        let row = format!("{frame:>5} ");
        let from = shown.lines().skip_while(|line| !line.starts_with(&row));
        let dump = from.skip(1).take_while(|line| !line.is_empty());
        let digits = dump.filter_map(|line| line.get(6..53));
        let ours: String = digits.collect::<String>().replace(' ', "");
        assert_eq!(ours, octets, "frame {frame}");
    }
}

#[test]
fn every_packet_and_field_that_tshark_shows_is_shown() {
    if !have("tshark") {
        return;
    }
    let mut compared = 0;
    for capture in captures() {
        let name = capture
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if REASONED
            .iter()
            .any(|(file, frame, _)| *file == name && *frame == 0)
        {
            continue;
        }
        let path = format!("testdata/captures/{name}");
        let theirs = tshark(&path);
        let json: serde_json::Value =
            serde_json::from_str(&run(["--json", &path]).out).expect("the JSON parses");
        let ours = json["packets"].as_array().expect("packets");
        let listed =
            |packet: &serde_json::Value| (packet["frame"].as_u64(), packet["type"].as_u64());
        assert_eq!(
            ours.iter().map(listed).collect::<Vec<_>>(),
            theirs
                .iter()
                .map(|packet| (Some(packet.frame), Some(packet.packet_type)))
                .collect::<Vec<_>>(),
            "{name}: the frames and types of the packets"
        );
        let detail = run(["-V", "--show-secrets", &path]).out;
        let trees = trees(&detail);
        assert_eq!(trees.len(), theirs.len(), "{name}: trees");
        for ((packet, tree), json) in theirs.iter().zip(&trees).zip(ours) {
            if REASONED
                .iter()
                .any(|(file, frame, _)| *file == name && *frame == packet.frame)
            {
                continue;
            }
            let mut left = tree.iter();
            for line in &packet.lines {
                if REWORDED.iter().any(|(begin, _)| line.starts_with(begin)) {
                    continue;
                }
                assert!(
                    left.any(|ours| ours == line),
                    "{name} frame {}: tshark's line is not in our tree, or not in its place: {line}\n{}",
                    packet.frame,
                    tree.join("\n")
                );
                compared += 1;
            }
            if let Some(payload) = &packet.payload {
                assert_eq!(
                    json["payload"]["hex"].as_str(),
                    Some(payload.as_str()),
                    "{name} frame {}",
                    packet.frame
                );
            }
        }
    }
    assert!(compared > 1_000, "only {compared} fields were compared");
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
