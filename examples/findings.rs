//! Checks a device's capture in a test of your own: `cargo run --example findings -- CAPTURE`
//!
//! Exits with 1 where a client breaks the specification.

#![allow(clippy::print_stdout)]

use std::error::Error;
use std::process::ExitCode;

use mqtt_inspect::base::text;
use mqtt_inspect::event::{Cause, Level};
use mqtt_inspect::{Options, OwnedEvent, Records};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut records = Records::open(std::env::args_os().skip(1), &Options::default());
    let mut broken = 0;
    for record in records.by_ref() {
        let OwnedEvent::Finding(finding) = record? else {
            continue;
        };
        let level: &str = finding.level.into();
        println!(
            "frame {}: {level}: {}: {}",
            finding.stamp.number,
            finding.rule,
            text::safe(&finding.message)
        );
        broken += u32::from(finding.level == Level::Error && finding.by == Cause::Client);
    }
    let packets = records.totals().map_or(0, |totals| totals.packets);
    println!("{packets} control packets, {broken} errors of clients");
    Ok(if broken == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
