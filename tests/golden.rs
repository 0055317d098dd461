//! Golden files: captures in the views, as they were read and found right.
//!
//! Where a change of the output is meant, `INSTA_UPDATE=always cargo test --test main golden`
//! writes the files of `testdata/golden` anew, and `git diff` shows what became of them.

use crate::tool::{captures, run};

/// The views of every capture, and the arguments that ask for them.
const VIEWS: &[(&str, &[&str])] = &[
    ("table", &[]),
    ("json", &["--json"]),
    ("ndjson", &["--ndjson"]),
    ("flow", &["--flow", "all", "--width", "80"]),
    ("flow-json", &["--flow", "all", "--json"]),
    ("stats", &["--stats", "--width", "80"]),
    ("stats-json", &["--stats", "--json"]),
    ("check", &["--check=note"]),
    ("check-json", &["--check=note", "--json"]),
];

/// Views of [`IN_DETAIL`] only: each field and byte of them is compared with tshark besides.
const DETAIL_VIEWS: &[(&str, &[&str])] = &[
    ("table-utc", &["-t", "ud"]),
    ("detail", &["-V"]),
    ("hex", &["-x"]),
];

/// Cooked capture and IPv6 at QoS 2; every property of 5.0; packets that break rules.
const IN_DETAIL: &[&str] = &["qos2.pcap", "v5-properties.pcap", "malformed.pcap"];

/// The capture that holds the same as [`PLAIN`], in pcapng and compressed.
const COMPRESSED: &str = "qos2.pcapng.gz";
const PLAIN: &str = "qos2.pcap";

/// Views that one capture or two are enough for.
const FEW: &[(&str, &str, &[&str])] = &[
    (
        "qos2.pcap",
        "flow-ascii",
        &["--flow", "qos2", "--ascii", "--width", "80"],
    ),
    (
        "qos2.pcap",
        "flow-colour",
        &["--flow", "qos2", "--color", "always"],
    ),
    (
        "qos2.pcap",
        "flow-svg",
        &["--flow", "qos2", "--format", "svg"],
    ),
    (
        "qos2.pcap",
        "flow-mermaid",
        &["--flow", "qos2", "--format", "mermaid"],
    ),
    (
        "will.pcap",
        "flow-svg",
        &["--flow", "will", "--format", "svg"],
    ),
    (
        "will.pcap",
        "flow-mermaid",
        &["--flow", "will", "--format", "mermaid"],
    ),
    (
        "v5-properties.pcap",
        "flow-ndjson",
        &["--flow", "connect,subscribe", "--ndjson"],
    ),
    (
        "wildcards.pcap",
        "flow-topic",
        &["--flow", "all", "--topic", "handong/#", "--width", "120"],
    ),
    (
        "offline-queue.pcap",
        "flow-qos1",
        &["--flow", "qos1", "--width", "80"],
    ),
    (
        "offline-queue.pcap",
        "flow-json-client",
        &["--flow", "all", "--json", "--client", "keeper"],
    ),
    (
        "malformed.pcap",
        "check-client",
        &["--check=note", "--client", "nobody"],
    ),
    ("qos1.pcap", "stats-types", &["--stats=types,handshakes"]),
];

#[test]
fn views_of_captures_are_as_they_were_found_right() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../testdata/golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for capture in captures() {
        let name = capture.file_name().expect("a name").to_string_lossy();
        for (view, args) in VIEWS.iter().filter(|_| name != COMPRESSED) {
            compare(&name, view, args);
        }
    }
    for name in IN_DETAIL {
        for (view, args) in DETAIL_VIEWS {
            compare(name, view, args);
        }
    }
    for (name, view, args) in FEW {
        compare(name, view, args);
    }
}

#[test]
fn a_compressed_pcapng_capture_gives_the_same_table_as_the_plain_one() {
    let [plain, compressed] =
        [PLAIN, COMPRESSED].map(|name| run([format!("testdata/captures/{name}")]));
    assert_eq!(
        plain.out.lines().count(),
        28,
        "a row for each packet and a title"
    );
    assert_eq!(plain.out, compressed.out);
    assert_eq!((compressed.status, compressed.err.as_str()), (Some(0), ""));
}

#[test]
fn every_golden_file_is_compared() {
    let captures = captures();
    let mut expected: Vec<_> = captures
        .iter()
        .map(|capture| capture.file_name().expect("a name").to_string_lossy())
        .filter(|name| name != COMPRESSED)
        .flat_map(|name| {
            VIEWS
                .iter()
                .map(move |(view, _)| format!("{name}.{view}.snap"))
        })
        .collect();
    for name in IN_DETAIL {
        expected.extend(
            DETAIL_VIEWS
                .iter()
                .map(|(view, _)| format!("{name}.{view}.snap")),
        );
    }
    expected.extend(
        FEW.iter()
            .map(|(name, view, _)| format!("{name}.{view}.snap")),
    );
    expected.sort();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the golden files")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .filter(|name| name.ends_with(".snap"))
        .collect();
    files.sort();
    assert_eq!(files, expected);
}

/// Compares one view of one capture with its golden file.
fn compare(name: &str, view: &str, args: &[&str]) {
    let path = format!("testdata/captures/{name}");
    let ran = run(args.iter().copied().chain([path.as_str()]));
    let status = ran
        .status
        .map_or_else(|| "killed".to_owned(), |status| status.to_string());
    let messages = if ran.err.is_empty() {
        String::new()
    } else {
        format!("\n--- standard error\n{}", ran.err)
    };
    insta::assert_snapshot!(
        format!("{name}.{view}"),
        format!("{}--- exit status {status}{messages}", ran.out)
    );
}
