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
        let path = format!("testdata/captures/{name}");
        for (view, args) in VIEWS {
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
    }
}
