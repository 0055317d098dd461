//! lz4: the frame format, and the legacy format of early versions and of Linux kernel images.

use std::io::Read;

use lz4_flex::frame::FrameDecoder;

use super::decode::{Decode, fault};
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// The magic number of the frame format.
pub(super) const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// The magic number of the legacy format.
pub(super) const LEGACY_MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// A decoder of one lz4 frame.
struct Lz4<'a> {
    decoder: FrameDecoder<Input<'a>>,
    /// The legacy format has no end mark: its end is the end of the file.
    legacy: bool,
}

/// Begins to decode a frame. Each has a decoder of its own: the crate's buffers do not change
/// their size well.
pub(super) fn begin<'a>(input: Input<'a>) -> Box<dyn Decode<'a> + 'a> {
    Box::new(Lz4 {
        decoder: FrameDecoder::new(input),
        legacy: false,
    })
}

/// Begins to decode data in the legacy format.
pub(super) fn begin_legacy<'a>(input: Input<'a>) -> Box<dyn Decode<'a> + 'a> {
    Box::new(Lz4 {
        decoder: FrameDecoder::new(input),
        legacy: true,
    })
}

impl<'a> Decode<'a> for Lz4<'a> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        match self.decoder.read(into) {
            // The crate takes the end of the source for the end of the frame.
            Ok(0) if self.decoder.get_ref().starved() && !self.legacy => {
                Err(Fault::PackingCut(Packing::Lz4))
            }
            Ok(count) => Ok(count),
            Err(error) => Err(fault(self.decoder.get_mut(), Packing::Lz4, &error)),
        }
    }

    fn input(&self) -> &Input<'a> {
        self.decoder.get_ref()
    }

    fn into_input(self: Box<Self>) -> Input<'a> {
        self.decoder.into_inner()
    }
}
