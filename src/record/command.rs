//! The command that a recording runs.

use std::ffi::{OsStr, OsString};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::error::RecordError;

/// How long a command may take to end once it is asked to, before it is killed.
const FAREWELL: Duration = Duration::from_secs(2);

/// A command under way.
#[derive(Debug)]
pub(super) struct Command {
    child: Child,
}

impl Command {
    /// Starts the command with `MQTT_HOST` and `MQTT_PORT` set, and `{host}` and `{port}`
    /// replaced in its arguments.
    pub(super) fn start(line: &[OsString], host: &str, port: u16) -> Result<Self, RecordError> {
        let mut words = line.iter().map(|word| filled(word, host, port));
        let program = words.next().unwrap_or_default();
        let child = std::process::Command::new(&program)
            .args(words)
            .env("MQTT_HOST", host)
            .env("MQTT_PORT", port.to_string())
            .spawn()
            .map_err(|error| RecordError::Command {
                program: program.to_string_lossy().into_owned(),
                error,
            })?;
        Ok(Self { child })
    }

    /// Its exit status, once it has ended; 128 and the signal's number, as a shell has it,
    /// where a signal ended it.
    pub(super) fn ended(&mut self) -> Option<i32> {
        match self.child.try_wait() {
            Ok(status) => status.map(code),
            // It is unknown what became of it.
            Err(_) => Some(1),
        }
    }

    /// Waits a moment for the command to end by itself (Ctrl-C reached it too), then ends it.
    pub(super) fn stop(&mut self) -> Option<i32> {
        let deadline = Instant::now() + FAREWELL;
        while Instant::now() < deadline {
            if let Some(status) = self.ended() {
                return Some(status);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It may have ended in this moment; either way it is waited for.
        let _ = self.child.kill();
        self.child.wait().ok().map(code)
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Returns a word of the command with `{host}` and `{port}` filled in.
fn filled(word: &OsStr, host: &str, port: u16) -> OsString {
    match word.to_str() {
        Some(text) => text
            .replace("{host}", host)
            .replace("{port}", &port.to_string())
            .into(),
        None => word.to_owned(),
    }
}

#[cfg(unix)]
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    let signal = status.signal().map(|signal| 128 + signal);
    status.code().or(signal).unwrap_or(1)
}

#[cfg(not(unix))]
fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_and_port_are_filled_in() {
        let filled = filled(OsStr::new("mqtt://{host}:{port}/{x}"), "127.0.0.1", 1884);
        assert_eq!(filled, "mqtt://127.0.0.1:1884/{x}");
    }

    #[cfg(unix)]
    #[test]
    fn the_exit_status_is_passed_on() {
        let run = |script: &str| {
            let line = ["sh", "-c", script].map(OsString::from);
            let mut command = Command::start(&line, "127.0.0.1", 1884).unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                if let Some(status) = command.ended() {
                    return status;
                }
                assert!(Instant::now() < deadline, "the command does not end");
                std::thread::sleep(Duration::from_millis(5));
            }
        };
        assert_eq!(run("exit 7"), 7);
        assert_eq!(run("kill -9 $$"), 137);
        assert_eq!(run("test \"$MQTT_HOST:$MQTT_PORT\" = 127.0.0.1:1884"), 0);
    }

    #[test]
    fn a_command_that_does_not_exist_is_an_error_that_names_it() {
        let line = [OsString::from("no-such-command-anywhere")];
        let error = Command::start(&line, "127.0.0.1", 1).unwrap_err();
        assert!(error.to_string().contains("no-such-command-anywhere"));
    }
}
