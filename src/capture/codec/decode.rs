//! The trait of a decoder, and what its errors become.

use std::fmt;

use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// A decoder of one compressed frame (zstd, lz4) or member (gzip), which owns its input.
///
/// It takes from the input just the bytes of its frame, so that the next decoder can go on
/// behind them.
pub(super) trait Decode<'a> {
    /// Decodes the next bytes into `into`, which must not be empty; returns how many, and 0
    /// at the end of the frame.
    ///
    /// # Errors
    /// The frame is cut or damaged, or its source fails. All bytes before were returned.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault>;

    /// Returns the compressed input.
    fn input(&self) -> &Input<'a>;

    /// Returns the input for what follows the frame.
    fn into_input(self: Box<Self>) -> Input<'a>;
}

/// Returns the fault behind a decoder's error: decoders wrap or lose the error of the source,
/// and call a cut what they will.
pub(super) fn fault(input: &mut Input<'_>, packing: Packing, error: &dyn fmt::Display) -> Fault {
    if let Some(error) = input.failure() {
        Fault::of_source(error)
    } else if input.starved() {
        Fault::PackingCut(packing)
    } else {
        Fault::PackingDamaged(packing, error.to_string())
    }
}
