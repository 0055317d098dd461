//! Every capture of `testdata/captures` in every view, as it was read and found right.

use crate::tool::{captures, run};

/// The views and the arguments that ask for them.
const VIEWS: &[(&str, &[&str])] = &[
    ("table", &[]),
    ("table-utc", &["-t", "ud"]),
    ("detail", &["-V"]),
    ("hex", &["-x"]),
    ("json", &["--json"]),
    ("ndjson", &["--ndjson"]),
    ("flow", &["--flow", "all", "--width", "80"]),
    ("flow-json", &["--flow", "all", "--json"]),
    ("stats", &["--stats", "--width", "80"]),
    ("stats-json", &["--stats", "--json"]),
    ("check", &["--check=note"]),
    ("check-json", &["--check=note", "--json"]),
];

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
fn every_view_of_every_capture_is_as_it_was_found_right() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../testdata/golden");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let _bound = settings.bind_to_scope();
    for capture in captures() {
        let name = capture
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        for (view, args) in VIEWS {
            hold(&name, view, args);
        }
    }
    for (name, view, args) in FEW {
        hold(name, view, args);
    }
}

/// Holds one view of one capture against what was found right.
fn hold(name: &str, view: &str, args: &[&str]) {
    let path = format!("testdata/captures/{name}");
    let ran = run(args.iter().copied().chain([path.as_str()]));
    let status = ran
        .status
        .map_or_else(|| "killed".to_owned(), |status| status.to_string());
    let told = if ran.err.is_empty() {
        String::new()
    } else {
        format!("\n--- standard error\n{}", ran.err)
    };
    insta::assert_snapshot!(
        format!("{name}.{view}"),
        format!("{}--- exit status {status}{told}", ran.out)
    );
}
