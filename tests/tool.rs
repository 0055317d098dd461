//! Runs the built program, and the other programs that a test may compare it with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The program under test, with a surrounding that no terminal or locale of the developer's
/// can change.
pub(crate) fn inspect() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mqtt-inspect"));
    command
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("TZ", "UTC")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("NO_COLOR")
        .env_remove("COLUMNS")
        .stdin(Stdio::null());
    command
}

/// The output of a run, as text, with its exit status.
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs the program with `args`.
pub(crate) fn run<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Ran {
    ran(inspect().args(args).output().expect("the program starts"))
}

/// The text of an output.
pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        status: output.status.code(),
        out: String::from_utf8(output.stdout).expect("standard output is UTF-8"),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The captures that ship with the project, by name.
pub(crate) fn captures() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/captures");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("testdata")
        .map(|entry| entry.expect("entry").path())
        .collect();
    files.sort();
    files
}

/// Whether `program` can be run. Where it can't, the test reports that and passes, unless `CI` or
/// `MQTT_INSPECT_REQUIRE_TOOLS` is set: then it fails.
pub(crate) fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .stdin(Stdio::null())
        .status()
        .is_ok();
    needs(program, found)
}

/// The same for something that was looked for already.
pub(crate) fn needs(program: &str, found: bool) -> bool {
    assert!(
        found || !required(),
        "{program} is required here and was not found"
    );
    if !found {
        skipped(&format!("{program} is not installed"));
    }
    found
}

/// Whether a missing tool or folder is a failure, as it is in CI.
fn required() -> bool {
    let set = |name| std::env::var_os(name).is_some();
    set("CI") || set("MQTT_INSPECT_REQUIRE_TOOLS")
}

/// The truths of the folder that `MQTT_INSPECT_CAPTURES` names (`NAME.truth.json` beside each
/// capture), sorted by name, and the folder.
///
/// `None` where the variable is not set or is `none`, and the test is skipped. In CI only `none`
/// skips it: a folder that was forgotten there is a failure.
pub(crate) fn truths() -> Option<(PathBuf, Vec<Value>)> {
    let Some(folder) = std::env::var_os("MQTT_INSPECT_CAPTURES") else {
        assert!(
            !required(),
            "MQTT_INSPECT_CAPTURES names no folder; `none` skips this test"
        );
        skipped("MQTT_INSPECT_CAPTURES names no folder");
        return None;
    };
    if folder == "none" {
        skipped("MQTT_INSPECT_CAPTURES is none");
        return None;
    }
    let folder = PathBuf::from(folder);
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder that MQTT_INSPECT_CAPTURES names")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().ends_with(".truth.json"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no truth in {}", folder.display());
    let truth =
        |path| serde_json::from_slice(&std::fs::read(path).expect("a truth")).expect("JSON");
    let truths = files.iter().map(truth).collect();
    Some((folder, truths))
}

/// Reports on standard error why a test did nothing.
#[expect(
    clippy::print_stderr,
    reason = "a message for the reader of the test run"
)]
pub(crate) fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}
