//! Words to the user on standard error: each a line, each named after the program.

use std::io::{self, Write};
use std::process::ExitCode;

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
