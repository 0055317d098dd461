//! Words to the user on standard error: each a line, each named after the program.

use std::io::{self, Write};
use std::process::ExitCode;

use super::closed;
use crate::base::limits::{Change, Limit};
use crate::base::text;
use crate::event::LimitReached;

/// Reports what is wrong.
pub fn error(message: impl std::fmt::Display) {
    // Nothing can be done about a standard error that is closed.
    let _ = writeln!(
        io::stderr().lock(),
        "mqtt-inspect: {}",
        text::safe(&message.to_string())
    );
}

/// Standard output, without the buffer that the standard library keeps before it: the views
/// have their own, and a search for the last line end in each of its blocks was 1.5 % of a run.
///
/// # Errors
/// It was closed when the program started: the answer would be lost.
pub fn standard_output() -> io::Result<Box<dyn Write>> {
    if closed::standard_output() {
        return Err(io::Error::other("it is closed"));
    }
    #[cfg(unix)]
    if let Ok(own) = std::os::fd::AsFd::as_fd(&io::stdout()).try_clone_to_owned() {
        return Ok(Box::new(std::fs::File::from(own)));
    }
    Ok(Box::new(io::stdout()))
}

/// Writes an answer to standard output; a closed pipe is success.
///
/// # Errors
/// The answer is lost: one line for the user.
pub fn print(answer: &[u8]) -> Result<ExitCode, String> {
    match standard_output().and_then(|mut out| out.write_all(answer)) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("standard output: cannot be written: {error}"))
        }
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// The exit status of bad usage, or of a capture that cannot be read.
pub const TROUBLE: u8 = 2;

/// Reports why nothing could be done, and returns the exit status.
pub fn failure(message: String) -> ExitCode {
    error(message);
    TROUBLE.into()
}

/// A number of things: `1 frame`, `2 frames`.
pub fn counted(count: u64, what: &str) -> String {
    let more = if count == 1 { "" } else { "s" };
    format!("{count} {what}{more}")
}

/// Reports what is wrong with the arguments. They may be names of files that somebody else
/// gave.
pub fn usage(message: &str) {
    let mut out = io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(out, "{}", text::safe(line));
    }
}

/// Reports that a limit was reached, and the options that raise it.
pub fn cap(reached: &LimitReached) {
    let name = reached.name();
    let options: Vec<_> = Limit::ALL
        .iter()
        .map(|limit| limit.row())
        .filter(|row| row.counted_as == name && row.change == Change::Option)
        .map(|row| format!("--limit {}=...", row.name))
        .collect();
    let raise = match options.len() {
        0 => String::new(),
        1 => format!("; {} raises it", options.concat()),
        _ => format!("; {} raise it", options.join(" and ")),
    };
    error(format_args!(
        "cap reached ({name}): {} {}{raise}",
        reached.times,
        reached.message()
    ));
}
