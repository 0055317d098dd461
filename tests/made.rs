//! Counts of made traffic: what is shown equals what was made, packet type by packet type,
//! whatever befell the segments on their way.

use std::collections::BTreeMap;
use std::io::BufWriter;

use serde_json::Value;

use crate::tool::run;
use crate::traffic::{Recipe, generate};

#[test]
fn nothing_is_missing_and_nothing_is_invented_in_good_traffic() {
    compare("mixed", 2_000_000, 11);
    compare("tiny", 1_000_000, 12);
    compare("many", 2_000_000, 13);
}

#[test]
fn swapped_late_and_repeated_segments_cost_no_packet_and_lost_ones_only_what_they_cut() {
    for seed in 21..25 {
        compare("faults", 2_000_000, seed);
    }
}

#[test]
fn the_same_seed_makes_the_same_bytes() {
    let made = |seed| {
        let mut capture = Vec::new();
        let recipe = Recipe::named("faults", 100_000, seed).expect("a kind");
        generate(&recipe, &mut capture).expect("memory takes it");
        capture
    };
    assert!(made(1) == made(1));
    assert!(made(1) != made(2));
}

/// Compares the table of packet types with the manifest.
fn compare(kind: &str, bytes: u64, seed: u64) {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let recipe = Recipe::named(kind, bytes, seed).expect("a kind");
    let made = generate(&recipe, BufWriter::new(&file)).expect("the file takes it");
    let made: Value = serde_json::from_str(&made.to_string()).expect("JSON");
    let ran = run(["--ndjson".as_ref(), file.path()]);
    assert_eq!(ran.status, Some(0), "{kind} {seed}: {}", ran.err);
    let mut shown: BTreeMap<String, u64> = BTreeMap::new();
    let mut gaps = 0;
    for line in ran.out.lines() {
        let record: Value = serde_json::from_str(line).expect("a record");
        match record["record"].as_str() {
            Some("packet") => {
                assert!(record.get("malformed").is_none(), "{kind} {seed}: {line}");
                let name = record["type_name"].as_str().expect("a type");
                *shown.entry(name.to_owned()).or_default() += 1;
            }
            Some("gap") => gaps += 1,
            Some("summary" | "capture") => {
                assert_eq!(record["frames"], made["frames"], "{kind} {seed}");
            }
            _ => {}
        }
    }
    for (name, count) in made["by_type"].as_object().expect("counts") {
        let whole = count.as_u64().unwrap_or(0) - made["hit"][name].as_u64().unwrap_or(0);
        let count = shown.get(name).copied().unwrap_or(0);
        assert_eq!(count, whole, "{kind} {seed}: {name}");
    }
    assert_eq!(gaps > 0, made["lost"] != 0, "{kind} {seed}");
}
