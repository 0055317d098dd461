//! The trait of a decoder.

use super::input::Input;
use crate::capture::error::Fault;

/// A decoder of one compressed frame (zstd, lz4) or member (gzip).
///
/// It takes from the input just the bytes of its frame, so that the next decoder can go on
/// behind them.
pub(super) trait Decode<'a> {
    /// Decodes the next bytes into `into`, which must not be empty; returns how many, and 0
    /// at the end of the frame.
    ///
    /// # Errors
    /// The frame is cut or damaged, or its source fails. All bytes before were returned.
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault>;
}

/// A decoder whose frame has begun, or why it could not.
pub(super) type Begun<'a> = Result<Box<dyn Decode<'a> + 'a>, Fault>;
