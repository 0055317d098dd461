//! Compression of whole captures, recognised by content: one file a format.
//!
//! ```text
//! input <- decode <- gzip, zstd, lz4 <- chain <- thread <- unpack
//! ```
//!
//! `input` counts and looks ahead, `decode` is the trait of a decoder of one compressed frame,
//! `chain` lists the formats and decodes frame after frame, `thread` does so in a thread of
//! its own, and `unpack` decides what a source needs. To add a format: its file, and its line
//! in the list of `chain`.
//!
//! Streamed: memory is the decoder's window, whatever the data claims, and data that expands
//! without end is given up ([`MAX_EXPANSION`](super::MAX_EXPANSION)).

mod chain;
mod decode;
mod gzip;
mod input;
mod lz4;
#[cfg(test)]
pub(super) mod testing;
mod thread;
mod unpack;
mod zstd;

pub(super) use unpack::{Origin, Unpacked};
