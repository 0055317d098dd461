//! zstd frames (RFC 8878).

use std::io::Read;

use ruzstd::decoding::BlockDecodingStrategy::UptoBlocks;
use ruzstd::decoding::FrameDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};

use super::decode::{Begun, Decode};
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;
use crate::capture::limits::MAX_WINDOW;

/// The magic number of a frame (RFC 8878 §3.1.1).
pub(super) const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// The header of an empty raw block that is the last (RFC 8878 §3.1.1.2), and a checksum.
const LAST_BLOCK: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];

/// A decoder of one zstd frame.
struct Zstd {
    decoder: FrameDecoder,
    /// Why the frame ends here, once the bytes decoded before are all that is left to give.
    broken: Option<Fault>,
}

/// Begins to decode the frame before which `input` stands.
pub(super) fn begin<'a>(input: &mut Input<'a>) -> Begun<'a> {
    let mut decoder = FrameDecoder::new();
    decoder.set_max_window_size(MAX_WINDOW);
    let begun = decoder.init(&mut *input);
    begun.map_err(|error| fault(input, &error))?;
    let broken = None;
    Ok(Box::new(Zstd { decoder, broken }))
}

fn fault(input: &mut Input<'_>, error: &FrameDecoderError) -> Fault {
    match error {
        FrameDecoderError::WindowSizeTooBig { requested, .. } => Fault::Window(*requested),
        FrameDecoderError::DictNotProvided { dict_id } => Fault::Dictionary(*dict_id),
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
            Fault::PackingDamaged(Packing::Zstd, "a frame begins wrongly".to_owned())
        }
        error => input.fault(Packing::Zstd, error),
    }
}

impl Zstd {
    /// Decodes blocks until some bytes can be given, or the frame ends or breaks.
    ///
    /// The crate keeps a window of what it decoded until the frame ends. Where the frame
    /// breaks, that window is brought out by an empty last block.
    fn decode(&mut self, input: &mut Input<'_>) {
        while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
            let Err(error) = self.decoder.decode_blocks(&mut *input, UptoBlocks(1)) else {
                continue;
            };
            self.broken = Some(fault(input, &error));
            let ended = self.decoder.decode_blocks(&LAST_BLOCK[..], UptoBlocks(1));
            if ended.is_err() || !self.decoder.is_finished() {
                return;
            }
        }
    }
}

impl<'a> Decode<'a> for Zstd {
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault> {
        self.decode(input);
        let read = self.decoder.read(into);
        let count = read.map_err(|error| input.fault(Packing::Zstd, &error))?;
        if count > 0 {
            return Ok(count);
        }
        if let Some(broken) = self.broken.take() {
            return Err(broken);
        }
        let stated = self.decoder.get_checksum_from_data();
        if stated.is_some() && stated != self.decoder.get_calculated_checksum() {
            let words = "the content checksum is wrong".to_owned();
            return Err(Fault::PackingDamaged(Packing::Zstd, words));
        }
        Ok(0)
    }
}
