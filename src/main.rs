//! Parse, run, exit; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    mqtt_inspect::cli::main()
}
