//! Files that are written, and what ends a recording: nothing is lost that was there before.
#![cfg(unix)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs shell words with the program as `$B`, in a folder of its own.
fn shell(folder: &Path, words: &str) -> Output {
    Command::new("sh")
        .args(["-c", words])
        .current_dir(folder)
        .env("B", env!("CARGO_BIN_EXE_mqtt-inspect"))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .output()
        .expect("a shell")
}

/// The text on standard output.
fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_gets_the_limit_of_descriptors_that_the_program_started_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let ran = shell(
        folder.path(),
        "ulimit -Sn 100 && $B record -q --port 0 -o a.pcap -- sh -c 'ulimit -Sn >limit'; cat limit",
    );
    assert_eq!(text(&ran).trim(), "100", "{ran:?}");
}
