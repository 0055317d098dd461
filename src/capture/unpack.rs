//! Compression taken off, by content: gzip members, zstd and lz4 frames, any number of them.
//!
//! Streamed: memory is the decompressor's window, whatever the data claims, and data that
//! expands without end is given up ([`MAX_EXPANSION`]).

use std::fmt;
use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder as ZstdDecoder};

use super::apart::{Apart, Sent};
use super::gzip::Gzip;
use super::input::Input;

/// The largest window of a zstd frame that is decompressed, in bytes: what the zstd program
/// itself accepts without being asked.
pub const MAX_WINDOW: u64 = 128 << 20;

/// How many times its size compressed data may expand once it has given [`FREE_EXPANSION`]
/// bytes; a capture of nothing but pings stays below 100, a bomb goes far above.
pub const MAX_EXPANSION: u64 = 1000;

/// Bytes that compressed data may give whatever its size.
pub const FREE_EXPANSION: u64 = 1 << 30;

/// How a capture is compressed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Packing {
    Gzip,
    Zstd,
    Lz4,
}

impl fmt::Display for Packing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
        })
    }
}

/// Why no more bytes come, other than that there are no more.
#[derive(Debug)]
pub(super) enum Broken {
    /// The source itself failed.
    Source(io::Error),
    /// The compressed data ends before its end mark.
    Cut(Packing),
    /// The compressed data contradicts itself or its checksum.
    Damaged(Packing, String),
    /// A zstd frame asks for a window of so many bytes.
    Window(u64),
    /// A zstd frame needs a dictionary, which is not supported.
    Dictionary(u32),
    /// The limit of expansion is reached.
    Expands(Packing),
}

/// The bytes of a capture, out of whatever compression it came in.
pub(super) struct Unpacked<R: Read> {
    stage: Stage<R>,
    packing: Option<Packing>,
    looked: bool,
    produced: u64,
    free: u64,
    detach: Option<Detach<R>>,
}

/// Makes of a source one that another thread may read, if that is possible.
pub(super) type Detach<R> = fn(R) -> Result<Sent, R>;

enum Stage<R: Read> {
    Plain(Input<R>),
    Gzip(Box<Gzip<R>>),
    /// Before the magic number of a zstd, lz4 or skippable frame.
    Between(Input<R>),
    /// With what broke the frame, once what was decoded before is all that is left to give.
    Zstd(Box<ZstdDecoder>, Input<R>, Option<Broken>),
    Lz4(Box<Lz4Decoder<Input<R>>>, Lz4Kind),
    /// Another thread does it.
    Apart(Apart),
    /// While one stage turns into another.
    Turning,
}

/// The legacy format of lz4 has no end mark: its end is the end of the file.
#[derive(Clone, Copy, PartialEq)]
enum Lz4Kind {
    Frame,
    Legacy,
}

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();
const LZ4: [u8; 4] = 0x184d_2204_u32.to_le_bytes();
const LZ4_LEGACY: [u8; 4] = 0x184c_2102_u32.to_le_bytes();

/// zstd and lz4 share the magic numbers of frames to be skipped (RFC 8878 §3.1.2).
const fn is_skippable(magic: [u8; 4]) -> bool {
    u32::from_le_bytes(magic) & 0xffff_fff0 == 0x184d_2a50
}

impl<R: Read> Unpacked<R> {
    /// Reads nothing yet.
    pub(super) fn new(source: R) -> Self {
        Self {
            stage: Stage::Plain(Input::new(source)),
            packing: None,
            looked: false,
            produced: 0,
            free: FREE_EXPANSION,
            detach: None,
        }
    }

    /// The same; what is compressed is decompressed in another thread where that pays and
    /// `detach` allows it.
    pub(super) fn apart(source: R, detach: Detach<R>) -> Self {
        Self {
            detach: Some(detach),
            ..Self::new(source)
        }
    }

    /// What is known to be compressed so.
    pub(super) fn of(input: Input<R>, packing: Packing) -> Self {
        Self {
            stage: match packing {
                Packing::Gzip => Stage::Gzip(Box::new(Gzip::new(input))),
                Packing::Zstd | Packing::Lz4 => Stage::Between(input),
            },
            packing: Some(packing),
            looked: true,
            produced: 0,
            free: FREE_EXPANSION,
            detach: None,
        }
    }

    /// The next bytes; 0 where there are no more. `into` must not be empty.
    pub(super) fn read(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        if !self.looked {
            self.looked = true;
            self.look()?;
        }
        let count = match &mut self.stage {
            Stage::Plain(input) => return input.read(into).map_err(|error| plain(input, error)),
            Stage::Apart(apart) => {
                return apart.read(into).map_err(|(broken, packing)| {
                    self.packing = packing;
                    broken
                });
            }
            _ => self.unpack(into)?,
        };
        self.produced += count as u64;
        if self.produced > self.free && self.produced / MAX_EXPANSION > self.taken() {
            return Err(Broken::Expands(self.packing.unwrap_or(Packing::Gzip)));
        }
        Ok(count)
    }

    /// Finds out how the bytes are compressed.
    fn look(&mut self) -> Result<(), Broken> {
        let Stage::Plain(input) = &mut self.stage else {
            return Ok(());
        };
        let magic = match input.peek(4) {
            Ok(start) => start,
            Err(error) => return Err(plain(input, error)),
        };
        let packing = if magic.starts_with(&GZIP) {
            Some(Packing::Gzip)
        } else {
            match magic.first_chunk() {
                Some(&ZSTD) => Some(Packing::Zstd),
                Some(&LZ4 | &LZ4_LEGACY) => Some(Packing::Lz4),
                // Which of the two it is, the next frame decides.
                Some(&magic) if is_skippable(magic) => Some(Packing::Zstd),
                _ => None,
            }
        };
        let Some(packing) = packing else {
            return Ok(());
        };
        self.packing = Some(packing);
        let Stage::Plain(mut input) = std::mem::replace(&mut self.stage, Stage::Turning) else {
            return Ok(());
        };
        // Asked only now: the answer is read from several files, and few captures need it.
        if let Some(detach) = self.detach.filter(|_| Apart::pays()) {
            match input.try_map(detach) {
                Ok(input) => {
                    self.stage = Stage::Apart(Apart::start(input, packing)?);
                    return Ok(());
                }
                Err(same) => input = same,
            }
        }
        self.stage = Self::of(input, packing).stage;
        Ok(())
    }

    /// Decompressed bytes; 0 where there are no more.
    fn unpack(&mut self, into: &mut [u8]) -> Result<usize, Broken> {
        loop {
            match &mut self.stage {
                Stage::Plain(_) | Stage::Apart(_) | Stage::Turning => return Ok(0),
                Stage::Gzip(decoder) => {
                    let result = decoder.read(into);
                    return result
                        .map_err(|error| broken(decoder.input_mut(), Packing::Gzip, &error));
                }
                Stage::Between(_) => {
                    if !self.next_frame()? {
                        return Ok(0);
                    }
                }
                Stage::Zstd(decoder, input, broken) => {
                    let count = read_zstd(decoder, input, broken, into)?;
                    if count > 0 {
                        return Ok(count);
                    }
                    if let Some(broken) = broken.take() {
                        return Err(broken);
                    }
                    let stated = decoder.get_checksum_from_data();
                    if stated.is_some() && stated != decoder.get_calculated_checksum() {
                        let words = "the content checksum is wrong".to_owned();
                        return Err(Broken::Damaged(Packing::Zstd, words));
                    }
                    if let Stage::Zstd(_, input, _) =
                        std::mem::replace(&mut self.stage, Stage::Turning)
                    {
                        self.stage = Stage::Between(input);
                    }
                }
                Stage::Lz4(decoder, kind) => {
                    let count = match decoder.read(into) {
                        Ok(count) => count,
                        Err(error) => {
                            return Err(broken(decoder.get_mut(), Packing::Lz4, &error));
                        }
                    };
                    if count > 0 {
                        return Ok(count);
                    }
                    // The crate takes the end of the source for the end of the frame.
                    if decoder.get_ref().starved() && *kind == Lz4Kind::Frame {
                        return Err(Broken::Cut(Packing::Lz4));
                    }
                    if let Stage::Lz4(decoder, _) =
                        std::mem::replace(&mut self.stage, Stage::Turning)
                    {
                        self.stage = Stage::Between(decoder.into_inner());
                    }
                }
            }
        }
    }

    /// From between two frames into the next one; `false` where there is none.
    fn next_frame(&mut self) -> Result<bool, Broken> {
        let packing = self.packing.unwrap_or(Packing::Zstd);
        let Stage::Between(input) = &mut self.stage else {
            return Ok(false);
        };
        let magic = match input.peek(4) {
            Ok([]) => return Ok(false),
            Ok(start) => start.first_chunk().copied(),
            Err(error) => return Err(broken(input, packing, &error)),
        };
        let Some(magic) = magic else {
            return Err(Broken::Cut(packing));
        };
        match magic {
            ZSTD => self.packing = Some(Packing::Zstd),
            LZ4 | LZ4_LEGACY => self.packing = Some(Packing::Lz4),
            magic if is_skippable(magic) => return skip_frame(input, packing),
            _ => {
                let words = "what follows a frame is not compressed data".to_owned();
                return Err(Broken::Damaged(packing, words));
            }
        }
        let Stage::Between(mut input) = std::mem::replace(&mut self.stage, Stage::Turning) else {
            return Ok(false);
        };
        if magic == ZSTD {
            let mut decoder = Box::new(ZstdDecoder::new());
            decoder.set_max_window_size(MAX_WINDOW);
            let begun = decoder.init(&mut input);
            let begun = begun.map_err(|error| zstd_broken(&mut input, &error));
            self.stage = Stage::Zstd(decoder, input, None);
            begun?;
        } else {
            // A decoder for each frame: the crate's buffers do not change their size well.
            let kind = if magic == LZ4 {
                Lz4Kind::Frame
            } else {
                Lz4Kind::Legacy
            };
            self.stage = Stage::Lz4(Box::new(Lz4Decoder::new(input)), kind);
        }
        Ok(true)
    }
}

impl<R: Read> Unpacked<R> {
    /// How the capture is compressed, once its first bytes were read.
    pub(super) fn packing(&self) -> Option<Packing> {
        self.packing
    }

    /// Bytes taken from the source so far, compressed ones where it is compressed.
    pub(super) fn taken(&self) -> u64 {
        match &self.stage {
            Stage::Apart(apart) => apart.taken(),
            _ => self.input().map_or(0, Input::taken),
        }
    }

    /// The source, as long as this thread has it.
    pub(super) fn source(&self) -> Option<&R> {
        self.input().map(Input::source)
    }

    fn input(&self) -> Option<&Input<R>> {
        match &self.stage {
            Stage::Plain(input) | Stage::Between(input) | Stage::Zstd(_, input, _) => Some(input),
            Stage::Gzip(decoder) => Some(decoder.input()),
            Stage::Lz4(decoder, _) => Some(decoder.get_ref()),
            Stage::Apart(_) | Stage::Turning => None,
        }
    }
}

/// Takes a frame that holds no data; `true` always, there may be more.
fn skip_frame<R: Read>(input: &mut Input<R>, packing: Packing) -> Result<bool, Broken> {
    let length = match input.peek(8) {
        Ok(start) => start
            .get(4..8)
            .and_then(|length| length.first_chunk().copied()),
        Err(error) => return Err(broken(input, packing, &error)),
    };
    let Some(length) = length else {
        return Err(Broken::Cut(packing));
    };
    let length = 8 + u64::from(u32::from_le_bytes(length));
    let before = input.taken();
    if let Err(error) = input.skip(length) {
        return Err(broken(input, packing, &error));
    }
    if input.taken() - before < length {
        return Err(Broken::Cut(packing));
    }
    Ok(true)
}

/// Bytes of one zstd frame; 0 at its end.
///
/// The crate keeps a window of what it decoded until the frame ends. Where the frame breaks,
/// that window is brought out by an empty last block, and `broken` holds the error.
fn read_zstd<R: Read>(
    decoder: &mut ZstdDecoder,
    input: &mut Input<R>,
    broken: &mut Option<Broken>,
    into: &mut [u8],
) -> Result<usize, Broken> {
    /// The header of an empty raw block that is the last (RFC 8878 §3.1.1.2), and a checksum.
    const LAST: [u8; 7] = [1, 0, 0, 0, 0, 0, 0];
    while decoder.can_collect() == 0 && !decoder.is_finished() {
        let strategy = BlockDecodingStrategy::UptoBlocks(1);
        let Err(error) = decoder.decode_blocks(&mut *input, strategy) else {
            continue;
        };
        *broken = Some(zstd_broken(input, &error));
        let strategy = BlockDecodingStrategy::UptoBlocks(1);
        if decoder.decode_blocks(&LAST[..], strategy).is_err() || !decoder.is_finished() {
            return Ok(0);
        }
    }
    decoder
        .read(into)
        .map_err(|error| self::broken(input, Packing::Zstd, &error))
}

/// An error below which nothing decompresses.
fn plain<R: Read>(input: &mut Input<R>, error: io::Error) -> Broken {
    Broken::Source(input.failure().unwrap_or(error))
}

/// What is behind the error of a decompressor.
fn broken<R: Read>(input: &mut Input<R>, packing: Packing, error: &dyn fmt::Display) -> Broken {
    if let Some(error) = input.failure() {
        Broken::Source(error)
    } else if input.starved() {
        Broken::Cut(packing)
    } else {
        Broken::Damaged(packing, error.to_string())
    }
}

fn zstd_broken<R: Read>(input: &mut Input<R>, error: &FrameDecoderError) -> Broken {
    match error {
        FrameDecoderError::WindowSizeTooBig { requested, .. } => Broken::Window(*requested),
        FrameDecoderError::DictNotProvided { dict_id } => Broken::Dictionary(*dict_id),
        FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::BadMagicNumber(_)) => {
            Broken::Damaged(Packing::Zstd, "a frame begins wrongly".to_owned())
        }
        error => broken(input, Packing::Zstd, error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write;

    use super::*;

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
        use ruzstd::encoding::{CompressionLevel, compress_to_vec};
        compress_to_vec(bytes, CompressionLevel::Fastest)
    }

    pub(crate) fn lz4(bytes: &[u8]) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn skippable(length: u32) -> Vec<u8> {
        let mut frame = 0x184d_2a53_u32.to_le_bytes().to_vec();
        frame.extend(length.to_le_bytes());
        frame.extend(vec![7; length as usize]);
        frame
    }

    fn unpack_all(mut unpacked: Unpacked<impl Read>) -> (Vec<u8>, Option<Broken>) {
        let mut all = Vec::new();
        let mut part = [0; 777];
        loop {
            match unpacked.read(&mut part) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend(&part[..count]),
                Err(broken) => return (all, Some(broken)),
            }
        }
    }

    fn unpack(bytes: &[u8]) -> (Vec<u8>, Option<Broken>) {
        unpack_all(Unpacked::new(bytes))
    }

    fn sample() -> Vec<u8> {
        (0..300_000_u32)
            .map(|i| (i.wrapping_mul(i) >> 7) as u8 & 15)
            .collect()
    }

    #[test]
    fn several_members_and_frames_and_skippable_ones_come_out_as_one() {
        let plain = sample();
        let (a, b) = plain.split_at(100_001);
        for pack in [gzip, zstd, lz4] {
            let mut packed = pack(a);
            packed.extend(pack(b));
            let (out, error) = unpack(&packed);
            assert!(out == plain && error.is_none(), "{error:?}");
        }
        let mut packed = skippable(3);
        packed.extend(lz4(a));
        packed.extend(skippable(0));
        packed.extend(zstd(b));
        let (out, error) = unpack(&packed);
        assert!(out == plain && error.is_none(), "{error:?}");
    }

    #[test]
    fn what_is_not_compressed_stays_as_it_is() {
        assert_eq!(unpack(b"abc").0, b"abc");
        assert_eq!(unpack(b"").0, b"");
        assert_eq!(unpack(&sample()).0, sample());
    }

    #[test]
    fn a_cut_is_reported_wherever_it_is_and_what_is_before_it_comes_out() {
        let plain = sample();
        for (pack, packing) in [
            (gzip as fn(&[u8]) -> Vec<u8>, Packing::Gzip),
            (zstd, Packing::Zstd),
            (lz4, Packing::Lz4),
        ] {
            let packed = pack(&plain);
            for cut in (4..packed.len())
                .step_by(packed.len() / 50 + 1)
                .chain([packed.len() - 1])
            {
                let (out, error) = unpack(&packed[..cut]);
                assert!(plain.starts_with(&out));
                assert!(
                    matches!(error, Some(Broken::Cut(p)) if p == packing),
                    "{cut}: {error:?}"
                );
            }
            assert!(unpack(&packed[..packed.len() - 1]).0.len() > plain.len() / 2);
        }
    }

    #[test]
    fn damage_is_reported_and_never_silent() {
        let plain = sample();
        for pack in [gzip, lz4] {
            let mut packed = pack(&plain);
            let middle = packed.len() / 2;
            packed[middle] ^= 0x10;
            let (_, error) = unpack(&packed);
            assert!(
                matches!(error, Some(Broken::Damaged(..) | Broken::Cut(_))),
                "{error:?}"
            );
        }
        let mut packed = zstd(&plain);
        packed.extend(b"tail");
        assert!(matches!(
            unpack(&packed).1,
            Some(Broken::Damaged(Packing::Zstd, _))
        ));
    }

    #[test]
    fn another_thread_gives_the_same_bytes_and_the_same_errors() {
        let plain: Vec<u8> = sample().into_iter().cycle().take(3_000_000).collect();
        let sent = |bytes: io::Cursor<Vec<u8>>| Ok(Box::new(bytes) as Sent);
        for (pack, packing) in [
            (gzip as fn(&[u8]) -> Vec<u8>, Packing::Gzip),
            (zstd, Packing::Zstd),
            (lz4, Packing::Lz4),
        ] {
            let packed = pack(&plain);
            let half = packed[..packed.len() / 2].to_vec();
            for packed in [packed, half] {
                let (here, broken) = unpack(&packed);
                let apart = Unpacked {
                    detach: Some(sent),
                    ..Unpacked::new(io::Cursor::new(packed))
                };
                let (there, broken_there) = unpack_all(apart);
                assert!(here == there, "{packing}");
                assert_eq!(format!("{broken:?}"), format!("{broken_there:?}"));
            }
        }
    }

    #[test]
    fn a_zstd_window_above_the_cap_is_refused_with_its_size() {
        // Magic, no single segment, window descriptor: 2^(10 + 20) bytes.
        let packed = [0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0];
        assert!(matches!(unpack(&packed).1, Some(Broken::Window(size)) if size == 1 << 30));
    }

    #[test]
    fn what_expands_without_end_is_given_up() {
        let mut unpacked = Unpacked::new(io::Cursor::new(gzip(&vec![0; 9 << 20])));
        unpacked.free = 1 << 20;
        let (out, error) = unpack_all(unpacked);
        assert!(
            matches!(error, Some(Broken::Expands(Packing::Gzip))),
            "{error:?}"
        );
        assert!(out.len() < 9 << 20);
    }
}
