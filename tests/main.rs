//! The one test program; its modules are the kinds of tests.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helper fails the test by panicking"
)]

mod broker;
mod caps;
mod cli;
mod codec_oracles;
mod damage;
mod differential;
mod faults;
mod fields;
mod files;
mod golden;
mod house;
mod judge;
mod made;
mod mosquitto_log;
mod safety;
mod schema;
mod segments;
mod stats;
mod svg;
mod talk;
mod tool;
#[path = "../benches/traffic/mod.rs"]
mod traffic;
mod truth;
mod verdicts;
