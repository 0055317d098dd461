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

/// A folder with the capture `in.pcap`, a key log `k.log`, a script `s.toml`, a text `imp` and a named
/// pipe `pipe`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let place = |name: &str| folder.path().join(name);
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/captures/qos2.pcap");
    std::fs::copy(capture, place("in.pcap")).expect("a capture");
    let key = format!("CLIENT_RANDOM {:064} {:096}\n", 1, 1);
    std::fs::write(place("k.log"), key).expect("a key log");
    let script = "[[clients]]\nname = 'a'\n[[steps]]\nconnect = { client = 'a' }\n";
    std::fs::write(place("s.toml"), script).expect("a script");
    std::fs::write(place("imp"), "important\n").expect("a text");
    assert!(shell(folder.path(), "mkfifo pipe").status.success());
    folder
}

/// Each file of a folder, with its text.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut all: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.display().to_string();
            let bytes = path
                .is_file()
                .then(|| std::fs::read(&path).expect("a file"));
            (name, bytes.unwrap_or_default())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn a_command_line_that_fails_leaves_every_file_as_it_was() {
    let folder = folder();
    let set_up =
        "ln k.log hard; ln -s in.pcap soft; ln -s nothing dangling; mkdir sub; ln pipe pipe2";
    assert!(shell(folder.path(), set_up).status.success());
    let before = contents(folder.path());
    for words in [
        // Inputs, by any name.
        "$B in.pcap --force -o in.pcap",
        "$B in.pcap --force -o soft",
        "$B soft --force -o in.pcap",
        "$B in.pcap --keylog k.log --force -o k.log",
        "$B in.pcap --keylog k.log --force -o hard",
        "$B - --force -o in.pcap <in.pcap",
        "$B pipe --force -o pipe2",
        "cat in.pcap | $B - --force -o /dev/stdin",
        "$B record -q --port 0 --force -o s.toml --script s.toml",
        "$B record -q --port 0 --force -o ./sub/../s.toml --script s.toml",
        "$B record -q --port 0 --force -o s.toml --script /dev/stdin <s.toml",
        "$B in.pcap >>in.pcap",
        "$B - <in.pcap >>soft",
        // Files that are there.
        "$B in.pcap -o imp",
        "$B in.pcap -o dangling",
        "$B in.pcap --force -o dangling",
        "$B in.pcap -o sub",
        "$B record -q --port 0 --scenario basic -o imp",
        "$B record -q --port 0 --scenario basic --force -o sub",
        "$B record -q --port 0 --scenario basic -o -",
        // Nothing that could be read.
        "$B nowhere.pcap --force -o imp",
        "$B nowhere.pcap --json --force -o imp",
        "$B nowhere.pcap -o new",
        "$B imp --force -o k.log",
        "$B imp --json --force -o k.log",
        "$B imp --json -o new",
        "$B in.pcap --keylog nowhere --force -o imp",
        "$B in.pcap --keylog imp -o new",
        "$B record -q --port 0 --script nowhere -o new",
        // Recordings that do not begin.
        "$B record -q --port 0 --scenario basic --check -o pipe",
        "$B record -q --port 0 --scenario basic --json -o pipe",
        "$B record -q --port 0 --force -o imp -- ./no-such-command",
        "$B record -q --port 0 -o new -- ./no-such-command",
        "$B record -q --port 0 -- ./no-such-command",
        "$B record -q --port 0 --bind 192.0.2.1 --force -o imp",
        "$B record -q --port 0 --bind 192.0.2.1 -o new",
        "$B record -q --port 0 --bind 192.0.2.1 --force -o pipe",
    ] {
        let ran = shell(folder.path(), words);
        assert_eq!(ran.status.code(), Some(2), "{words}: {ran:?}");
        assert_eq!(
            ran.stderr.iter().filter(|&&b| b == b'\n').count(),
            1,
            "{words}: {ran:?}"
        );
        assert!(contents(folder.path()) == before, "{words}: {ran:?}");
        let pipe = shell(folder.path(), "test -p pipe");
        assert!(pipe.status.success(), "{words}");
    }
}

#[test]
fn force_replaces_a_file_and_only_with_what_was_read() {
    let folder = folder();
    let ran = shell(
        folder.path(),
        "$B in.pcap >right && $B in.pcap --force -o imp && cmp imp right \
         && $B record -q --port 0 --scenario basic --force -o imp >out && $B imp >right && cmp out right \
         && stat -c %a imp && $B in.pcap -o new && ls -a | grep -c mqtt-inspect",
    );
    assert_eq!(text(&ran), "600\n0\n", "{ran:?}");
}

#[test]
fn an_error_names_the_file_with_what_was_recorded_where_there_is_one() {
    let folder = folder();
    let ping = "[[steps]]\nping = { client = 'a' }\n";
    let step = |steps: &str| format!("[[clients]]\nname = 'a'\n{steps}{ping}");
    let connect =
        "[[steps]]\nconnect = { client = 'a' }\n[[steps]]\ndisconnect = { client = 'a' }\n";
    for (steps, output, named) in [
        (connect, "-o new", true),
        (connect, "", false),
        ("", "-o none", false),
        ("", "--force -o imp", false),
    ] {
        std::fs::write(folder.path().join("s.toml"), step(steps)).expect("a script");
        let ran = shell(
            folder.path(),
            &format!("$B record -q --port 0 --script s.toml {output}"),
        );
        let messages = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(ran.status.code(), Some(2), "{messages}");
        assert!(messages.contains("not connected"), "{messages}");
        assert_eq!(messages.contains("is in new"), named, "{messages}");
        assert_eq!(messages.contains("(what was"), named, "{messages}");
    }
    let left = shell(folder.path(), "test -s new && ! test -e none && cat imp");
    assert_eq!(text(&left), "important\n", "{left:?}");
}

#[test]
fn a_named_pipe_and_a_device_are_written_to_with_or_without_force() {
    let folder = folder();
    for force in ["", "--force"] {
        let words = format!(
            "set -e; $B in.pcap >right
             cat pipe >got & $B in.pcap {force} -o pipe; wait; cmp got right
             cat pipe >got & $B record -q --port 0 --scenario basic {force} -o pipe; wait
             $B got | grep -c 'Connect Command'; test -p pipe
             $B in.pcap {force} -o /dev/null; test -c /dev/null
             $B record -q --port 0 --scenario basic {force} -o /dev/null; test -c /dev/null",
        );
        let ran = shell(folder.path(), &words);
        assert!(ran.status.success(), "{ran:?}");
        assert_ne!(text(&ran).trim(), "0");
    }
}

#[test]
fn a_temporary_capture_is_named_or_removed() {
    let folder = tempfile::tempdir().expect("a folder");
    let left = || contents(folder.path()).len();
    for (words, status) in [
        ("$B record --port 0 -- false", 1),
        ("$B record --port 0 -- sh -c 'exit 7'", 7),
        ("$B record --port 0 -- ./no-such-command", 2),
        ("$B record -q --port 0 --scenario basic", 0),
    ] {
        let ran = shell(folder.path(), words);
        assert_eq!(ran.status.code(), Some(status), "{words}: {ran:?}");
        assert_eq!(left(), 0, "{words}: {ran:?}");
    }
    let ran = shell(folder.path(), "$B record --port 0 --scenario basic");
    assert!(ran.status.success(), "{ran:?}");
    let messages = String::from_utf8_lossy(&ran.stderr).into_owned();
    let named = messages
        .lines()
        .find_map(|line| line.split_once(" are in "));
    let (_, path) = named.expect("its name");
    let words = format!("stat -c %a {path} $(dirname {path})");
    assert_eq!(text(&shell(folder.path(), &words)), "600\n700\n");
}

/// Starts a recording in words, waits until `ready`, and sends one signal to it: its exit status, and
/// whether that came in time.
#[cfg(target_os = "linux")]
fn ended_by(
    folder: &Path,
    words: &str,
    signal: &str,
    ready: &str,
) -> Option<std::process::ExitStatus> {
    let mut child = Command::new("sh")
        .args(["-c", words])
        .current_dir(folder)
        .env("B", env!("CARGO_BIN_EXE_mqtt-inspect"))
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let id = child.id();
    for _ in 0..500 {
        std::thread::sleep(std::time::Duration::from_millis(20));
        if shell(folder, &ready.replace("$P", &id.to_string()))
            .status
            .success()
        {
            break;
        }
    }
    shell(
        folder,
        &format!("kill -{signal} {id}").replace("$P", &id.to_string()),
    );
    for _ in 0..1_000 {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    child.kill().expect("it runs");
    child.wait().expect("it ran");
    None
}

#[cfg(target_os = "linux")]
#[test]
fn one_signal_ends_a_recording_in_every_state() {
    let folder = folder();
    std::fs::write(
        folder.path().join("many.toml"),
        "[[clients]]\nname = 'a'\n[[steps]]\nconnect = { client = 'a' }\n[[steps]]\n\
         publish = { client = 'a', topic = 't', payload_octets = 1000, count = 4000000000 }\n",
    )
    .expect("a script");
    // Its handlers are installed.
    let caught = "grep -q '^SigCgt:.*[4-7c-f]...$' /proc/$P/status";
    let growing = "test \"$(stat -c %s made)\" -gt 1000000";
    // A pipe that is opened and never read.
    let reader = "sleep 60 <>pipe & exec";
    for signal in ["INT", "TERM"] {
        for (words, ready, status) in [
            (
                "exec $B record --port 0 --force -o pipe".to_owned(),
                caught,
                2,
            ),
            (
                format!("{reader} $B record --port 0 -o pipe --script many.toml"),
                caught,
                2,
            ),
            ("exec $B record -q --port 0".to_owned(), caught, 0),
            (
                "exec $B record -q --port 0 -o made --script many.toml --stats".to_owned(),
                growing,
                0,
            ),
        ] {
            let ended = ended_by(folder.path(), &words, signal, ready);
            let status_now = ended.and_then(|status| status.code());
            assert_eq!(status_now, Some(status), "{signal}: {words}: {ended:?}");
            shell(folder.path(), "rm -f made");
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn one_signal_ends_a_recording_whose_log_has_no_reader_and_two_end_it_at_once() {
    let folder = folder();
    let steps = "[[steps]]\npublish = { client = 'a', topic = 't', count = 100000 }\n";
    let script = std::fs::read_to_string(folder.path().join("s.toml")).expect("a script");
    std::fs::write(folder.path().join("s.toml"), script + steps).expect("a script");
    let record = "sleep 50 <>pipe & exec $B record --port 0 -o made --script s.toml 2>pipe";
    // Waits in the system to write to the full pipe.
    let waits = "grep -q pipe_write /proc/$P/wchan";
    let ended = ended_by(folder.path(), record, "INT", waits);
    assert_eq!(ended.and_then(|status| status.code()), Some(2), "{ended:?}");
    let twice = "INT $P; sleep 0.2; kill -TERM".to_owned();
    shell(folder.path(), "rm made");
    let ended = ended_by(folder.path(), record, &twice, waits);
    // By the signal itself.
    assert_eq!(ended.map(|status| status.code()), Some(None), "{ended:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn an_answer_that_is_lost_is_exit_status_2() {
    let folder = folder();
    for words in [
        "$B in.pcap",
        "$B in.pcap --json",
        "$B --json-schema",
        "$B help limits",
        "$B --help",
        "$B --version",
        "$B record --list-scenarios",
        "$B record -q --port 0 --scenario basic",
    ] {
        for lost in [">&-", ">/dev/full"] {
            let ran = shell(folder.path(), &format!("{words} {lost}"));
            assert_eq!(ran.status.code(), Some(2), "{words} {lost}: {ran:?}");
            let messages = String::from_utf8_lossy(&ran.stderr).into_owned();
            assert!(
                messages.contains("standard output"),
                "{words} {lost}: {messages}"
            );
        }
        for quiet in [">/dev/null", "1<>/dev/null", "| head -c 1 >/dev/null"] {
            let ran = shell(folder.path(), &format!("{words} {quiet}"));
            assert_eq!(ran.status.code(), Some(0), "{words} {quiet}: {ran:?}");
        }
    }
    // The answer goes elsewhere.
    let ran = shell(folder.path(), "$B in.pcap -o answer >&- && test -s answer");
    assert_eq!(ran.status.code(), Some(0), "{ran:?}");
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
