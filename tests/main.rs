//! The one test program; its modules are the kinds of tests.

mod cli;
mod differential;
mod golden;
mod house;
mod tool;
mod truth;
