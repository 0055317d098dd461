//! The command line as a user meets it: errors, pipes, selections.

use std::io::Read;
use std::process::{Command, Stdio};

use mqtt_inspect::base::Precision;
use mqtt_inspect::capture::{Format, Item, LinkType, Reader, Source, Writer};

use crate::tool::{inspect, run};

/// A capture of the project's own.
fn capture(name: &str) -> String {
    format!("testdata/captures/{name}")
}

/// A file with `bytes` in a folder that is removed with the returned guard.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a file");
    let path = path.to_string_lossy().into_owned();
    (folder, path)
}

#[test]
fn a_file_that_cannot_be_read_is_one_clear_line_and_exit_status_2() {
    let png = b"\x89PNG\r\n\x1a\n0000000000000000";
    for (name, bytes) in [
        ("a.png", &png[..]),
        ("a.txt", b"No. Time Source\n1 0.0 ::1\n"),
        ("empty.pcap", b""),
        ("short.pcap", b"\xd4\xc3\xb2\xa1\x02\x00"),
        (
            "broken.gz",
            b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03garbage",
        ),
    ] {
        let (_folder, path) = file(name, bytes);
        let ran = run([&path]);
        assert_eq!(ran.status, Some(2), "{name}: {}", ran.err);
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{name}: {}", ran.err);
        assert!(ran.err.contains(name), "{name}: {}", ran.err);
        assert!(!ran.err.contains("panicked"), "{}", ran.err);
    }
    for path in ["no-such-file.pcap", "src"] {
        let ran = run([path]);
        assert_eq!(
            (ran.status, ran.err.trim_end().lines().count()),
            (Some(2), 1),
            "{}",
            ran.err
        );
        assert!(ran.err.contains(path), "{}", ran.err);
    }
}

#[test]
fn a_link_type_that_is_not_read_is_one_clear_line_and_exit_status_2() {
    let capture = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0,
        0, //
        0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 8, 1,
    ];
    let (_folder, path) = file("radio.pcap", &capture);
    let ran = run([&path]);
    assert_eq!((ran.status, ran.err.lines().count()), (Some(2), 1));
    assert!(
        ran.err.contains("radio.pcap: unsupported link type 105"),
        "{}",
        ran.err
    );
}

#[test]
fn an_empty_capture_is_no_error_and_is_reported_as_empty() {
    let header = [
        0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
    ];
    let (_folder, path) = file("empty.pcap", &header);
    let ran = run([&path]);
    assert_eq!(ran.status, Some(0), "{}", ran.err);
    assert!(!ran.err.is_empty());
}

#[test]
fn what_can_be_read_of_a_cut_capture_is_shown_before_the_error() {
    let ran = run([capture("cut-in-record.pcap")]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.out.contains("Publish Message [handong]"), "{}", ran.out);
    assert!(ran.err.contains("cut-in-record.pcap"), "{}", ran.err);
}

#[test]
fn a_closed_pipe_is_success_and_quiet() {
    let mut child = inspect()
        .args(std::iter::repeat_n(capture("wildcards.pcap"), 60))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut first = [0; 1];
    child
        .stdout
        .take()
        .expect("a pipe")
        .read_exact(&mut first)
        .expect("a first byte");
    let done = child.wait_with_output().expect("the program ends");
    assert!(done.status.success(), "{:?}", done.status);
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn a_capture_from_standard_input_gives_the_same_rows() {
    let from_file = run([capture("qos2.pcap")]).out;
    let input = std::fs::File::open(capture("qos2.pcap")).expect("a capture");
    let piped = crate::tool::ran(inspect().arg("-").stdin(input).output().expect("a run"));
    assert_eq!(piped.out, from_file);
    assert_eq!(run([capture("qos2.pcapng.gz")]).out, from_file);
}

#[test]
fn passwords_are_shown_only_when_asked_for() {
    let views: [&[&str]; 6] = [
        &[],
        &["-V"],
        &["-x"],
        &["-V", "-x"],
        &["--json"],
        &["--ndjson"],
    ];
    let hex = "73 65 63 72 65 74";
    for view in views {
        let ran = run(view
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain([capture("mqtt31.pcap")]));
        assert!(
            !ran.out.contains("secret") && !ran.out.contains(hex),
            "{view:?}: {}",
            ran.out
        );
    }
    let shown = run([
        "-V".to_owned(),
        "--show-secrets".to_owned(),
        capture("mqtt31.pcap"),
    ])
    .out;
    assert!(shown.contains("secret"), "{shown}");
}

#[test]
fn selections_keep_what_they_name() {
    let rows = |args: &[&str]| {
        let ran = run(args
            .iter()
            .map(|arg| (*arg).to_owned())
            .chain([capture("wildcards.pcap")]));
        assert_eq!(ran.status, Some(0), "{}", ran.err);
        ran.out
            .lines()
            .filter(|line| line.contains("MQTT"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let publishes = rows(&["--type", "PUBLISH"]);
    assert!(
        publishes.iter().all(|row| row.contains("Publish Message")) && publishes.len() == 13,
        "{publishes:#?}"
    );
    let topic = rows(&["--topic", "handong/mec/+", "--type", "publish"]);
    assert!(
        topic.iter().all(|row| row.contains("[handong/mec/")) && topic.len() == 3,
        "{topic:#?}"
    );
    assert_eq!(rows(&["--client", "nobody"]).len(), 0);
    assert!(!rows(&["--client", "first"]).is_empty());
}

#[test]
fn the_output_file_is_never_an_input_file() {
    let (_folder, path) = file(
        "x.pcap",
        &std::fs::read(capture("qos0.pcap")).expect("a capture"),
    );
    let ran = run(["-o", &path, &path]);
    assert_eq!(ran.status, Some(2));
    assert_eq!(
        std::fs::read(&path).expect("a file"),
        std::fs::read(capture("qos0.pcap")).expect("a capture")
    );
}

#[cfg(unix)]
#[test]
fn the_output_file_is_not_what_standard_input_is_read_from() {
    let bytes = std::fs::read(capture("qos0.pcap")).expect("a capture");
    let (_folder, path) = file("in.pcap", &bytes);
    let done = Command::new(env!("CARGO_BIN_EXE_mqtt-inspect"))
        .args(["-", "-o", &path])
        .stdin(std::fs::File::open(&path).expect("a file"))
        .output()
        .expect("the program");
    assert_eq!(done.status.code(), Some(2));
    assert_eq!(std::fs::read(&path).expect("a file"), bytes);
}

#[test]
fn hostile_names_of_files_reach_the_terminal_escaped() {
    let hostile = "a\u{1b}[31m\u{202e}b\u{9b}";
    for args in [
        vec![hostile.to_owned()],
        vec![format!("--{hostile}")],
        vec![
            "--topic".to_owned(),
            format!("{hostile}/#/x"),
            "x".to_owned(),
        ],
        vec![
            "x".to_owned(),
            "-o".to_owned(),
            format!("/nowhere/{hostile}"),
        ],
        vec!["record".to_owned(), format!("--script={hostile}")],
        vec!["record".to_owned(), format!("--scenario={hostile}")],
    ] {
        let done = Command::new(env!("CARGO_BIN_EXE_mqtt-inspect"))
            .args(&args)
            .output()
            .expect("the program");
        assert_eq!(done.status.code(), Some(2), "{args:?}");
        let errors = String::from_utf8(done.stderr).expect("text");
        let raw = |c: char| c != '\n' && mqtt_inspect::base::text::is_unsafe(c);
        assert!(!errors.contains(raw), "{errors:?}");
        assert!(errors.contains("b"), "{errors:?}");
    }
}

#[test]
fn bad_usage_is_exit_status_2() {
    for args in [
        &["--no-such-option"][..],
        &[],
        &["-t", "zz", "x"],
        &["--type", "NOPE", "x"],
        &["-d", "udp", "x"],
        &["-c", "0", "x"],
    ] {
        assert_eq!(run(args).status, Some(2), "{args:?}");
    }
    assert_eq!(run(["--help"]).status, Some(0));
    assert_eq!(run(["--version"]).status, Some(0));
}

#[test]
fn an_answer_with_nothing_in_it_states_that() {
    for args in [["--flow", "qos2"], ["--topic", "nothing"]] {
        let ran = run(args
            .map(str::to_owned)
            .into_iter()
            .chain([capture("qos0.pcap")]));
        assert_eq!((ran.status, ran.out.as_str()), (Some(0), ""));
        assert!(ran.err.contains("nothing of this kind"), "{}", ran.err);
    }
}

#[test]
fn a_key_log_decrypts_what_a_capture_holds_no_secrets_for() {
    let whole = std::fs::read(capture("tls.pcapng")).expect("the capture");
    let mut reader = Reader::new(&whole[..], "tls.pcapng");
    let (format, link) = (Format::Pcap, LinkType(1));
    let mut bare = Writer::new(Vec::new(), format, link, Precision::Micro, None).expect("a writer");
    let mut secrets = Vec::new();
    while let Some(item) = reader.next_item().expect("the capture is sound") {
        match item {
            Item::Frame(frame) => {
                let time = frame.stamp.time.expect("a time");
                let length = frame.stamp.length;
                bare.write_frame(time, frame.bytes, length, None)
                    .expect("a frame");
            }
            Item::Secrets(one) => secrets.extend_from_slice(one.bytes),
            // Comments decrypt nothing.
            _ => {}
        }
    }
    let (_folder, bare) = file("bare.pcap", &bare.into_inner());
    let (_other, keys) = file("keys.log", &secrets);
    let shown = |args: &[&str]| run(args).out;
    assert!(!shown(&[&bare]).contains("MQTT  "));
    assert!(shown(&[&bare]).contains("needs the keys (--keylog)"));
    let decrypted = shown(&["--keylog", &keys, &bare]);
    assert_eq!(decrypted, shown(&[&capture("tls.pcapng")]));
    assert_eq!(decrypted.matches("Connect Command").count(), 4);
}

#[test]
fn a_key_log_without_secrets_is_one_clear_line_and_exit_status_2() {
    let (_folder, path) = file("not-keys.txt", b"hello\n");
    for (path, why) in [
        (path.as_str(), "no TLS secret"),
        ("nowhere.log", "nowhere.log"),
    ] {
        let ran = run(["--keylog", path, &capture("tls.pcapng")]);
        assert_eq!((ran.status, ran.out.as_str()), (Some(2), ""));
        assert_eq!(ran.err.trim_end().lines().count(), 1, "{}", ran.err);
        assert!(ran.err.contains(why), "{}", ran.err);
    }
}
