//! A capture's bytes, out of whatever compression they came in.

use std::io::{Cursor, Read};
use std::mem;

use super::chain::{Chain, packing};
use super::input::Input;
use super::thread::Threaded;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// A source of a capture's bytes, by where it may be read.
pub(in crate::capture) enum Origin<'a> {
    /// In this thread only.
    Here(Box<dyn Read + 'a>),
    /// In any thread: decompression goes to one of its own where that pays.
    Anywhere(Box<dyn Read + Send>),
}

/// The bytes of a capture, decompressed.
pub(in crate::capture) struct Unpacked<'a>(Stage<'a>);

enum Stage<'a> {
    /// Nothing was read.
    Start(Origin<'a>),
    Plain(Input<'a>),
    Packed(Chain<'a>),
    Threaded(Threaded),
    /// While one stage turns into another, and behind an error.
    Ended,
}

impl<'a> Unpacked<'a> {
    /// Reads nothing yet.
    pub(in crate::capture) fn new(origin: Origin<'a>) -> Self {
        Self(Stage::Start(origin))
    }

    /// Reads the next bytes into `into`, which must not be empty; returns how many, and 0
    /// where there are no more.
    ///
    /// # Errors
    /// The source fails, or its compression is cut, damaged or beyond the limits.
    pub(in crate::capture) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        if let Stage::Start(_) = self.0
            && let Stage::Start(origin) = mem::replace(&mut self.0, Stage::Ended)
        {
            self.0 = begin(origin)?;
        }
        match &mut self.0 {
            Stage::Plain(input) => input.read(into).map_err(|error| input.failure(error)),
            Stage::Packed(chain) => chain.read(into),
            Stage::Threaded(threaded) => threaded.read(into),
            Stage::Start(_) | Stage::Ended => Ok(0),
        }
    }

    /// Returns how the capture is compressed, once its first bytes were read.
    pub(in crate::capture) fn packing(&self) -> Option<Packing> {
        match &self.0 {
            Stage::Packed(chain) => Some(chain.packing()),
            Stage::Threaded(threaded) => Some(threaded.packing()),
            Stage::Start(_) | Stage::Plain(_) | Stage::Ended => None,
        }
    }

    /// Returns how many bytes were taken from the source so far, compressed ones where it is
    /// compressed.
    pub(in crate::capture) fn taken(&self) -> u64 {
        match &self.0 {
            Stage::Plain(input) => input.taken(),
            Stage::Packed(chain) => chain.taken(),
            Stage::Threaded(threaded) => threaded.taken(),
            Stage::Start(_) | Stage::Ended => 0,
        }
    }
}

/// Finds out how a source is compressed.
fn begin(origin: Origin<'_>) -> Result<Stage<'_>, Fault> {
    let mut input = match origin {
        Origin::Here(source) => Input::new(source),
        Origin::Anywhere(mut source) => {
            let mut start = Vec::new();
            let first = (&mut source).take(4).read_to_end(&mut start);
            first.map_err(Fault::of_source)?;
            let packing = packing(&start);
            let source = Cursor::new(start).chain(source);
            // Asked only where there is compression: the answer is read from several files.
            if let Some(packing) = packing.filter(|_| Threaded::pays()) {
                return Threaded::start(source, packing).map(Stage::Threaded);
            }
            Input::new(Box::new(source))
        }
    };
    match input.peek(4).map(packing) {
        Ok(None) => Ok(Stage::Plain(input)),
        Ok(Some(packing)) => Ok(Stage::Packed(Chain::new(input, packing))),
        Err(error) => Err(input.failure(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{gzip, lz4, zstd};
    use super::*;

    fn skippable(length: u32) -> Vec<u8> {
        let mut frame = 0x184d_2a53_u32.to_le_bytes().to_vec();
        frame.extend(length.to_le_bytes());
        frame.extend(vec![7; length as usize]);
        frame
    }

    fn unpack_all(mut unpacked: Unpacked<'_>) -> (Vec<u8>, Option<Fault>) {
        let mut all = Vec::new();
        let mut part = [0; 777];
        loop {
            match unpacked.read(&mut part) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend(&part[..count]),
                Err(fault) => return (all, Some(fault)),
            }
        }
    }

    fn unpack(bytes: &[u8]) -> (Vec<u8>, Option<Fault>) {
        unpack_all(Unpacked::new(Origin::Here(Box::new(bytes))))
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
                    matches!(error, Some(Fault::PackingCut(p)) if p == packing),
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
                matches!(
                    error,
                    Some(Fault::PackingDamaged(..) | Fault::PackingCut(_))
                ),
                "{error:?}"
            );
        }
        let mut packed = zstd(&plain);
        packed.extend(b"tail");
        assert!(matches!(
            unpack(&packed).1,
            Some(Fault::PackingDamaged(Packing::Zstd, _))
        ));
    }

    #[test]
    fn another_thread_gives_the_same_bytes_and_the_same_errors() {
        let plain: Vec<u8> = sample().into_iter().cycle().take(3_000_000).collect();
        for (pack, packing) in [
            (gzip as fn(&[u8]) -> Vec<u8>, Packing::Gzip),
            (zstd, Packing::Zstd),
            (lz4, Packing::Lz4),
        ] {
            let packed = pack(&plain);
            let half = packed[..packed.len() / 2].to_vec();
            for packed in [packed, half] {
                let (here, broken) = unpack(&packed);
                let origin = Origin::Anywhere(Box::new(Cursor::new(packed)));
                let (there, broken_there) = unpack_all(Unpacked::new(origin));
                assert!(here == there, "{packing}");
                assert_eq!(format!("{broken:?}"), format!("{broken_there:?}"));
            }
        }
    }

    #[test]
    fn a_zstd_window_above_the_cap_is_refused_with_its_size() {
        // Magic, no single segment, window descriptor: 2^(10 + 20) bytes.
        let packed = [0x28, 0xb5, 0x2f, 0xfd, 0, 20 << 3, 1, 0, 0];
        assert!(matches!(unpack(&packed).1, Some(Fault::Window(size)) if size == 1 << 30));
    }

    #[test]
    fn what_expands_without_end_is_given_up() {
        let input = Input::new(Box::new(Cursor::new(gzip(&vec![0; 9 << 20]))));
        let mut chain = Chain::new(input, Packing::Gzip);
        chain.free = 1 << 20;
        let (out, error) = unpack_all(Unpacked(Stage::Packed(chain)));
        assert!(
            matches!(error, Some(Fault::Expands(Packing::Gzip))),
            "{error:?}"
        );
        assert!(out.len() < 9 << 20);
    }
}
