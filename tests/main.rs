//! The one test program; its modules are the kinds of tests.

#![expect(
    clippy::expect_used,
    reason = "a test's helper fails the test by panicking"
)]

mod cli;
mod codec_oracles;
mod damage;
mod differential;
mod golden;
mod house;
mod segments;
mod tool;
mod truth;
