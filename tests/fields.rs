//! The field registry names what Wireshark names, as Wireshark names it.

use std::collections::BTreeMap;
use std::process::Command;

use mqtt_inspect::filter::registry;

use crate::tool;

/// Fields that Wireshark does not have.
const OWN: &[&str] = &[
    "mqtt.client_id",
    "mqtt.finding.rule",
    "mqtt.handshake.state",
    "mqtt.sender",
    "mqtt.topic_resolved",
    "mqtt.trailing",
];

#[test]
fn fields_have_the_names_and_types_of_wireshark() {
    if !tool::have("tshark") {
        return;
    }
    let output = Command::new("tshark").args(["-G", "fields"]).output();
    let output = output.expect("tshark runs");
    let text = String::from_utf8_lossy(&output.stdout);
    // F, label, name, type, ...; P, label, name.
    let wireshark: BTreeMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let mut columns = line.split('\t');
            let (kind, _, name) = (columns.next()?, columns.next()?, columns.next()?);
            match kind {
                "P" => Some((name, "FT_PROTOCOL")),
                _ => Some((name, columns.next()?)),
            }
        })
        .collect();
    assert!(wireshark.len() > 10_000, "tshark lists its fields");
    let mut own = Vec::new();
    for field in registry::all() {
        match wireshark.get(field.name) {
            Some(kind) => assert_eq!(*kind, field.kind.wireshark(), "{}", field.name),
            None => own.push(field.name),
        }
    }
    own.sort_unstable();
    assert_eq!(own, OWN);
}
