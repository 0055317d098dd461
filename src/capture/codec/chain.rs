//! The compressed formats, and frames decoded one after the other.

use super::decode::{Begun, Decode};
use super::input::Input;
use super::{gzip, lz4, zstd};
use crate::capture::error::Fault;
use crate::capture::format::Packing;
use crate::capture::limits::{FREE_EXPANSION, MAX_EXPANSION};

/// Begins to decode the frame before which the input stands.
type Begin = for<'a> fn(&mut Input<'a>) -> Begun<'a>;

/// A compressed format, how its frames begin, and what decodes them.
type Codec = (Packing, &'static [u8], Begin);

/// All formats that are read. To add one: its file, and its line here.
const CODECS: [Codec; 4] = [
    (Packing::Gzip, &gzip::MAGIC, gzip::begin),
    (Packing::Zstd, &zstd::MAGIC, zstd::begin),
    (Packing::Lz4, &lz4::MAGIC, lz4::begin),
    (Packing::Lz4, &lz4::LEGACY_MAGIC, lz4::begin_legacy),
];

fn codec(start: &[u8]) -> Option<&'static Codec> {
    CODECS.iter().find(|(_, magic, _)| start.starts_with(magic))
}

/// Whether a frame without data begins so; zstd and lz4 share the numbers (RFC 8878 §3.1.2).
fn is_skippable(start: &[u8]) -> bool {
    let magic = start.first_chunk().copied().map(u32::from_le_bytes);
    magic.is_some_and(|magic| magic & 0xffff_fff0 == 0x184d_2a50)
}

/// Returns how data that begins with `start`, of at least four bytes where there are so many,
/// is compressed; `None` where it is not.
pub(super) fn packing(start: &[u8]) -> Option<Packing> {
    match codec(start) {
        Some((packing, ..)) => Some(*packing),
        // Which of the two formats it is, the next frame decides.
        None => is_skippable(start).then_some(Packing::Zstd),
    }
}

/// Compressed frames of any format, decoded one after the other.
pub(super) struct Chain<'a> {
    input: Input<'a>,
    /// The frame at hand; `None` before the magic number of one, and at the end.
    frame: Option<Box<dyn Decode<'a> + 'a>>,
    packing: Packing,
    /// Decoded bytes that were given.
    produced: u64,
    /// How many of them may be given whatever the size of the data.
    pub(super) free: u64,
}

impl<'a> Chain<'a> {
    /// A chain of `input`, whose first frame is packed by `packing`. Reads nothing yet.
    pub(super) fn new(input: Input<'a>, packing: Packing) -> Self {
        Self {
            input,
            frame: None,
            packing,
            produced: 0,
            free: FREE_EXPANSION,
        }
    }

    /// Decodes the next bytes into `into`, which must not be empty; returns how many, and 0
    /// where there are no more.
    ///
    /// # Errors
    /// A frame is cut or damaged, or expands too far, or the source fails.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let Some(frame) = &mut self.frame else {
                let Some(begin) = self.next_frame()? else {
                    return Ok(0);
                };
                self.frame = Some(begin(&mut self.input)?);
                continue;
            };
            let count = frame.read(&mut self.input, into)?;
            if count == 0 {
                self.frame = None;
                continue;
            }
            self.produced += count as u64;
            if self.produced > self.free && self.produced / MAX_EXPANSION > self.taken() {
                return Err(Fault::Expands(self.packing));
            }
            return Ok(count);
        }
    }

    /// Goes on to the next frame, and returns what begins to decode it; `None` at the end.
    fn next_frame(&mut self) -> Result<Option<Begin>, Fault> {
        loop {
            let start = match self.input.peek(8) {
                Ok(start) => start,
                Err(error) => return Err(self.input.fault(self.packing, &error)),
            };
            if start.is_empty() {
                return Ok(None);
            }
            if let Some((packing, _, begin)) = codec(start) {
                self.packing = *packing;
                return Ok(Some(*begin));
            }
            if start.len() < 4 {
                return Err(Fault::PackingCut(self.packing));
            }
            if !is_skippable(start) {
                let words = "what follows a frame is not compressed data".to_owned();
                return Err(Fault::PackingDamaged(self.packing, words));
            }
            let Some(length) = start.get(4..8).and_then(<[u8]>::first_chunk) else {
                return Err(Fault::PackingCut(self.packing));
            };
            let length = 8 + u64::from(u32::from_le_bytes(*length));
            let skipped = self.input.skip(length);
            skipped.map_err(|error| self.input.fault(self.packing, &error))?;
        }
    }

    /// Returns the format of the frame that was read last.
    pub(super) fn packing(&self) -> Packing {
        self.packing
    }

    /// Returns how many compressed bytes were taken from the source so far.
    pub(super) fn taken(&self) -> u64 {
        self.input.taken()
    }
}
