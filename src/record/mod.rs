//! The broker's traffic as a capture; scripts and scenarios that make some.

pub mod frames;
pub mod tee;
