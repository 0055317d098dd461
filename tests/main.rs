//! The one test program; its modules are the kinds of tests.

#![expect(
    clippy::expect_used,
    reason = "a test's helper fails the test by panicking"
)]

mod cli;
mod conformance;
mod differential;
mod golden;
mod house;
mod tool;
mod truth;
