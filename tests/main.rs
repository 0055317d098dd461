//! The one test program; its modules are the kinds of tests.

#![expect(
    clippy::expect_used,
    reason = "a test's helper fails the test by panicking"
)]

mod cli;
mod codec_oracles;
mod differential;
mod golden;
mod house;
mod svg;
mod tool;
mod truth;
