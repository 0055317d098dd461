//! Words to the user on standard error: each a line, each named after the program.

use std::io::{self, Write};

use super::values;
use crate::base::text;
use crate::event::{CapReached, Totals};
use crate::view::accounting;

/// Says what is wrong.
pub fn error(message: impl std::fmt::Display) {
    // Nothing can be done about a standard error that is closed.
    let _ = writeln!(
        io::stderr().lock(),
        "mqtt-inspect: {}",
        text::safe(&message.to_string())
    );
}

/// A number of things: `1 frame`, `2 frames`.
pub fn counted(count: u64, what: &str) -> String {
    let more = if count == 1 { "" } else { "s" };
    format!("{count} {what}{more}")
}

/// Says what is wrong with the arguments. They may be names of files that somebody else
/// gave.
pub fn usage(message: &str) {
    let mut out = io::stderr().lock();
    for line in message.lines() {
        let _ = writeln!(out, "{}", text::safe(line));
    }
}

/// Tells that a cap was reached, and how it is raised where it can be.
pub fn cap(reached: &CapReached) {
    let raise = match reached.cap {
        "waiting" => "; --limit waiting=... and --limit waiting-all=... raise it".to_owned(),
        name if values::LIMITS.contains(&name) => format!("; --limit {name}=... raises it"),
        _ => String::new(),
    };
    let CapReached { cap, told, times } = reached;
    error(format_args!("cap reached ({cap}): {times} {told}{raise}"));
}

/// Tells what was read, under `-v`.
pub fn totals(totals: &Totals) {
    for line in accounting(totals) {
        error(line);
    }
}
