//! The command line: arguments, typed; the plan, decided.

use std::process::ExitCode;

/// Runs the program on the process's own arguments and streams.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
