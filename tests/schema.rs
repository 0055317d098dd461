//! All that `--json` and `--ndjson` write is valid by the schema that `--json-schema` prints.

use std::path::PathBuf;

use chrono::DateTime;
use jsonschema::Validator;
use serde_json::Value;

use crate::tool::{captures, run};

/// The views that have JSON.
const VIEWS: &[&[&str]] = &[&[], &["--flow", "all"], &["--check=note"], &["--stats"]];

/// The captures of the project, and one of ten of those in the folder that
/// `MQTT_INSPECT_CAPTURES` names: all of them take minutes.
fn files() -> Vec<PathBuf> {
    let mut files = captures();
    if let Some(folder) = std::env::var_os("MQTT_INSPECT_CAPTURES").filter(|name| name != "none") {
        let made = std::fs::read_dir(folder).expect("the folder of captures");
        let mut made: Vec<_> = made.map(|entry| entry.expect("entry").path()).collect();
        made.sort();
        let named = |path: &PathBuf| path.to_string_lossy().contains(".pcap");
        files.extend(made.into_iter().filter(named).step_by(10));
    }
    files
}

/// Validates a definition of the schema: `Document`, or `Record` for a line.
fn validator(definition: &str) -> Validator {
    let ran = run(["--json-schema"]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    let mut schema: Value = serde_json::from_str(&ran.out).expect("the schema is JSON");
    let both = schema["anyOf"].as_array().expect("two forms");
    let name = format!("#/$defs/{definition}");
    assert!(both.iter().any(|one| one["$ref"] == *name), "{definition}");
    // By itself, so that an error names the member and not only the form.
    schema["anyOf"] = serde_json::json!([{"$ref": name}]);
    jsonschema::validator_for(&schema).expect("the schema is a schema")
}

fn hold(validator: &Validator, value: &Value, of: &str) {
    let errors: Vec<_> = validator
        .iter_errors(value)
        .map(|error| format!("{}: {error:.400}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{of}: {}", errors.join("\n"));
}

fn arguments<'a>(form: &'a str, view: &[&'a str], file: &'a str) -> Vec<&'a str> {
    [&[form], view, &[file]].concat()
}

#[test]
fn documents_and_lines_of_every_view_are_valid_by_the_schema() {
    let (document_form, line_form) = (validator("Document"), validator("Record"));
    let (mut documents, mut lines) = (0, 0);
    for file in files() {
        let name = file.to_string_lossy();
        for view in VIEWS {
            let of = format!("{name} {view:?}");
            let ran = run(arguments("--json", view, &name));
            let document: Value = serde_json::from_str(&ran.out).expect("a document is JSON");
            assert!(document.get("capture").is_some(), "{of}");
            hold(&document_form, &document, &of);
            documents += 1;
            let ran = run(arguments("--ndjson", view, &name));
            for line in ran.out.lines() {
                let record: Value = serde_json::from_str(line).expect("a line is JSON");
                assert!(record.get("record").is_some(), "{of}");
                hold(&line_form, &record, &of);
                lines += 1;
            }
        }
    }
    assert!(documents > 70 && lines > 500, "{documents} {lines}");
}

#[test]
fn what_the_schema_does_not_know_is_refused() {
    let validator = validator("Document");
    let ran = run(["--json", "testdata/captures/gap.pcap"]);
    let document: Value = serde_json::from_str(&ran.out).expect("a document is JSON");
    for (member, value) in [
        ("gaps_untold", Value::from(1)),
        ("packets", Value::from("none")),
        ("schema", Value::from("mqtt-inspect/0")),
    ] {
        let mut wrong = document.clone();
        wrong[member] = value;
        assert!(!validator.is_valid(&wrong), "{member}");
    }
}

/// The digits behind `"time_epoch":`, not by way of a double.
#[test]
fn time_epoch_is_the_instant_of_time_to_the_last_digit() {
    let mut packets = 0;
    for file in captures() {
        let ran = run(["--ndjson".as_ref(), file.as_path()]);
        for line in ran.out.lines() {
            let Some((_, rest)) = line.split_once("\"time_epoch\":") else {
                continue;
            };
            let epoch = rest.split(',').next().expect("a number");
            let record: Value = serde_json::from_str(line).expect("a line is JSON");
            let time = record["time"].as_str().expect("a time");
            let instant = DateTime::parse_from_rfc3339(time).expect("RFC 3339");
            let (_, digits) = time.trim_end_matches('Z').split_once('.').expect("digits");
            assert!(matches!(digits.len(), 6 | 9), "{time}");
            assert_eq!(epoch, format!("{}.{digits}", instant.timestamp()));
            packets += 1;
        }
    }
    assert!(packets > 300, "{packets}");
}
