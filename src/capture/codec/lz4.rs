//! lz4: the frame format, and the legacy format of early versions and of Linux kernel images.
//!
//! ```text
//! magic, 4 | flags | block size | content size, 8? | header checksum | blocks | 0, 4 | content checksum, 4?
//! block: length, 4 | bytes | checksum, 4?
//! ```
//!
//! Frames are read here, and blocks by the crate: its own reader of frames makes and clears buffers
//! of twice the largest block for each frame, and there may be one for every 20 bytes.

use std::hash::Hasher;
use std::io::{self, ErrorKind, Read};
use std::mem;

use lz4_flex::block::{decompress_into, decompress_into_with_dict};
use lz4_flex::frame::FrameDecoder;
use twox_hash::XxHash32;

use super::decode::{Begun, Decode};
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// The magic number of the frame format.
pub(super) const MAGIC: [u8; 4] = 0x184d_2204_u32.to_le_bytes();

/// The magic number of the legacy format.
pub(super) const LEGACY_MAGIC: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// Flags of a frame's header.
mod flag {
    pub(super) const VERSION: u8 = 0xc0;
    pub(super) const VERSION_1: u8 = 0x40;
    pub(super) const INDEPENDENT: u8 = 0x20;
    pub(super) const BLOCK_CHECKSUM: u8 = 0x10;
    pub(super) const CONTENT_SIZE: u8 = 0x08;
    pub(super) const CONTENT_CHECKSUM: u8 = 0x04;
    pub(super) const RESERVED: u8 = 0x02;
    pub(super) const DICTIONARY: u8 = 0x01;
}

/// Bytes before a block that it may refer to.
const WINDOW: usize = 64 << 10;

/// The bit of a block's length that marks it as not compressed.
const STORED: u32 = 1 << 31;

/// A byte of a compressed block makes fewer bytes than this.
const EXPANSION: usize = 256;

/// A decoder of one frame.
struct Frame {
    flags: u8,
    /// The largest block, in bytes.
    most: usize,
    /// The bytes of the whole frame, where its header states them.
    size: Option<u64>,
    /// Of the block at hand, compressed.
    packed: Vec<u8>,
    /// The last blocks.
    out: Vec<u8>,
    /// How many bytes of those were given.
    given: usize,
    length: u64,
    checksum: XxHash32,
    ended: bool,
}

/// Begins to decode the frame before which `input` stands.
pub(super) fn begin<'a>(input: &mut Input<'a>) -> Begun<'a> {
    let begun = Frame::begin(input);
    let frame = begun.map_err(|error| input.fault(Packing::Lz4, &error))?;
    Ok(Box::new(frame))
}

impl<'a> Decode<'a> for Frame {
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault> {
        loop {
            let mut rest = self.out.get(self.given..).unwrap_or_default();
            let count = rest.read(into).map_err(Fault::Io)?;
            if count > 0 || self.ended {
                self.given += count;
                return Ok(count);
            }
            let next = self.next_block(input);
            next.map_err(|error| input.fault(Packing::Lz4, &error))?;
        }
    }
}

impl Frame {
    fn begin(input: &mut Input<'_>) -> io::Result<Self> {
        let mut header = [0; 6];
        input.read_exact(&mut header)?;
        let [_, _, _, _, flags, block] = header;
        let is_known = flags & flag::VERSION == flag::VERSION_1 && flags & flag::RESERVED == 0;
        let most = match block {
            0x40 => 64 << 10,
            0x50 => 256 << 10,
            0x60 => 1 << 20,
            0x70 => 4 << 20,
            _ => 0,
        };
        if !is_known || most == 0 {
            return Err(damaged("a header of an unknown kind"));
        }
        if flags & flag::DICTIONARY != 0 {
            return Err(damaged("it needs a dictionary"));
        }
        let mut described = vec![flags, block];
        let mut size = None;
        if flags & flag::CONTENT_SIZE != 0 {
            let mut stated = [0; 8];
            input.read_exact(&mut stated)?;
            described.extend(stated);
            size = Some(u64::from_le_bytes(stated));
        }
        let [checksum, ..] = read_array::<1>(input)?;
        let [_, expected, ..] = XxHash32::oneshot(0, &described).to_le_bytes();
        if checksum != expected {
            return Err(damaged("the checksum of a header is wrong"));
        }
        Ok(Self {
            flags,
            most,
            size,
            packed: Vec::new(),
            out: Vec::new(),
            given: 0,
            length: 0,
            checksum: XxHash32::with_seed(0),
            ended: false,
        })
    }

    /// Decodes the next block, or takes the end of the frame.
    fn next_block(&mut self, input: &mut Input<'_>) -> io::Result<()> {
        let word = u32::from_le_bytes(read_array(input)?);
        if word == 0 {
            return self.end(input);
        }
        let length = (word & !STORED) as usize;
        if length > self.most {
            return Err(damaged("a block is too large"));
        }
        // Moved only when as much is gone as stays, so that each byte moves once on average.
        if self.flags & flag::INDEPENDENT != 0 {
            self.out.clear();
        } else if self.out.len() >= 2 * WINDOW {
            self.out.drain(..self.out.len() - WINDOW);
        }
        self.given = self.out.len();
        self.packed.clear();
        // Only as bytes arrive: a length that is a lie takes no memory.
        input.take(length as u64).read_to_end(&mut self.packed)?;
        if self.packed.len() < length {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if self.flags & flag::BLOCK_CHECKSUM != 0
            && u32::from_le_bytes(read_array(input)?) != XxHash32::oneshot(0, &self.packed)
        {
            return Err(damaged("the checksum of a block is wrong"));
        }
        if word & STORED != 0 {
            self.out.extend_from_slice(&self.packed);
        } else {
            self.decompress()?;
        }
        let block = self.out.get(self.given..).unwrap_or_default();
        self.length += block.len() as u64;
        if self.flags & flag::CONTENT_CHECKSUM != 0 {
            self.checksum.write(block);
        }
        Ok(())
    }

    /// Decompresses the block at hand behind those before it.
    fn decompress(&mut self) -> io::Result<()> {
        let before = self.out.len();
        let room = self.most.min(EXPANSION * self.packed.len());
        self.out.resize(before + room, 0);
        let Some((window, block)) = self.out.split_at_mut_checked(before) else {
            return Err(damaged("a block is too large"));
        };
        let made = match window {
            [] => decompress_into(&self.packed, block),
            window => decompress_into_with_dict(&self.packed, block, window),
        };
        let made = made.map_err(|error| io::Error::new(ErrorKind::InvalidData, error));
        self.out
            .truncate(before + made.as_ref().map_or(0, |made| *made));
        made.map(|_| ())
    }

    /// Takes what stands behind the last block.
    fn end(&mut self, input: &mut Input<'_>) -> io::Result<()> {
        if self.size.is_some_and(|size| size != self.length) {
            return Err(damaged("its length is not that of its header"));
        }
        if self.flags & flag::CONTENT_CHECKSUM != 0
            && u32::from_le_bytes(read_array(input)?) != self.checksum.finish_32()
        {
            return Err(damaged("the checksum is wrong"));
        }
        self.ended = true;
        Ok(())
    }
}

fn read_array<const COUNT: usize>(input: &mut Input<'_>) -> io::Result<[u8; COUNT]> {
    let mut bytes = [0; COUNT];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(how: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, how)
}

/// A decoder of the legacy format, which has no end mark: its end is the end of the file.
struct Legacy<'a> {
    /// Its source is the input during a call, and empty between two.
    decoder: FrameDecoder<Input<'a>>,
}

/// Begins to decode data in the legacy format.
pub(super) fn begin_legacy<'a>(_: &mut Input<'a>) -> Begun<'a> {
    let decoder = FrameDecoder::new(Input::new(Box::new(io::empty())));
    Ok(Box::new(Legacy { decoder }))
}

impl<'a> Decode<'a> for Legacy<'a> {
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault> {
        mem::swap(self.decoder.get_mut(), input);
        let read = self.decoder.read(into);
        mem::swap(self.decoder.get_mut(), input);
        read.map_err(|error| input.fault(Packing::Lz4, &error))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};

    use super::super::chain::Chain;
    use super::*;

    fn packed(bytes: &[u8], info: FrameInfo) -> Vec<u8> {
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn read_all(packed: &[u8], portion: usize) -> (Vec<u8>, Option<String>) {
        let mut chain = Chain::new(Input::new(Box::new(packed)), Packing::Lz4);
        let (mut into, mut all) = (vec![0; portion], Vec::new());
        loop {
            match chain.read(&mut into) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend_from_slice(into.get(..count).unwrap()),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    fn sample(length: usize) -> Vec<u8> {
        let noise = (0..length as u64).map(|at| (at.wrapping_mul(at * 7919) >> 9) as u8);
        let mut bytes: Vec<u8> = noise.collect();
        // What repeats, near and 60 KB away.
        for at in 60_000..length {
            if at % 3 > 0 {
                bytes[at] = bytes[at - 60_000];
            }
        }
        let end = length.min(50_000);
        bytes.splice(10_000.min(end)..end, vec![7; end.saturating_sub(10_000)]);
        bytes
    }

    #[test]
    fn frames_with_every_field_of_a_header_are_read_in_any_portions() {
        for mode in [BlockMode::Linked, BlockMode::Independent] {
            for size in [BlockSize::Max64KB, BlockSize::Max256KB, BlockSize::Max4MB] {
                for length in [0, 1, 100, 700_000] {
                    let plain = sample(length);
                    let info = FrameInfo::new().block_mode(mode).block_size(size);
                    let checked = info
                        .clone()
                        .block_checksums(true)
                        .content_checksum(true)
                        .content_size(Some(length as u64));
                    let both = [packed(&plain, info), packed(&plain, checked)].concat();
                    let twice = plain.repeat(2);
                    for portion in [777, 1 << 20] {
                        let (read, why) = read_all(&both, portion);
                        assert!(read == twice && why.is_none(), "{length}: {why:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn damage_anywhere_in_a_checked_frame_is_reported() {
        let plain = sample(300);
        let info = FrameInfo::new()
            .content_checksum(true)
            .block_checksums(true);
        let whole = packed(&plain, info);
        for at in 4..whole.len() {
            let mut wrong = whole.clone();
            wrong[at] ^= 0x20;
            let (read, why) = read_all(&wrong, 1 << 20);
            assert!(plain.starts_with(&read) && why.is_some(), "{at}");
        }
    }

    #[test]
    fn a_frame_takes_memory_for_what_it_holds_and_not_for_what_it_might() {
        // A stored byte, a byte and a repetition of it, and the end.
        let blocks = [
            1, 0, 0, 0x80, b'x', 4, 0, 0, 0, 0x10, b'y', 1, 0, 0, 0, 0, 0,
        ];
        let described = [0x40, 0x70];
        let checksum = XxHash32::oneshot(0, &described).to_le_bytes()[1];
        let bytes = [&MAGIC[..], &described, &[checksum], &blocks].concat();
        let mut input = Input::new(Box::new(&bytes[..]));
        let mut frame = Frame::begin(&mut input).unwrap();
        assert_eq!(frame.most, 4 << 20);
        while !frame.ended && frame.next_block(&mut input).is_ok() {}
        let takes = frame.out.capacity() + frame.packed.capacity();
        assert!(takes < 4096, "{takes}");
    }
}
