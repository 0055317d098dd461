//! lz4: the frame format, and the legacy format of early versions and of Linux kernel images.

use std::io::{self, Read};
use std::mem;

use lz4_flex::frame::FrameDecoder;

use super::decode::{Begun, Decode};
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// The magic number of the frame format.
pub(super) const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// The magic number of the legacy format.
pub(super) const LEGACY_MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// A decoder of one lz4 frame.
struct Lz4<'a> {
    /// Its source is the input during a call, and empty between two.
    decoder: FrameDecoder<Input<'a>>,
    /// The legacy format has no end mark: its end is the end of the file.
    legacy: bool,
}

/// Begins to decode a frame, or data in the legacy format. Each has a decoder of its own: the
/// crate's buffers do not change their size well.
pub(super) fn begin<'a>(legacy: bool) -> Begun<'a> {
    let decoder = FrameDecoder::new(Input::new(Box::new(io::empty())));
    Ok(Box::new(Lz4 { decoder, legacy }))
}

impl<'a> Decode<'a> for Lz4<'a> {
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault> {
        mem::swap(self.decoder.get_mut(), input);
        let read = self.decoder.read(into);
        mem::swap(self.decoder.get_mut(), input);
        match read {
            // The crate takes the end of the source for the end of the frame.
            Ok(0) if input.starved() && !self.legacy => Err(Fault::PackingCut(Packing::Lz4)),
            Ok(count) => Ok(count),
            Err(error) => Err(input.fault(Packing::Lz4, &error)),
        }
    }
}
