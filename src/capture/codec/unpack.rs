//! A capture's bytes, out of whatever compression they came in.

use std::io::{Cursor, Read};

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
pub(in crate::capture) struct Unpacked<'a> {
    stage: Stage<'a>,
    packing: Option<Packing>,
}

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
        Self {
            stage: Stage::Start(origin),
            packing: None,
        }
    }

    /// Reads the next bytes into `into`, which must not be empty; returns how many, and 0
    /// where there are no more.
    ///
    /// # Errors
    /// The source fails, or its compression is cut, damaged or beyond the limits.
    pub(in crate::capture) fn read(&mut self, into: &mut [u8]) -> Result<usize, Fault> {
        if matches!(self.stage, Stage::Start(_)) {
            self.stage = self.begin()?;
        }
        match &mut self.stage {
            Stage::Plain(input) => match input.read(into) {
                Ok(count) => Ok(count),
                Err(error) => Err(Fault::of_source(input.failure().unwrap_or(error))),
            },
            Stage::Packed(chain) => {
                let read = chain.read(into);
                self.packing = Some(chain.packing());
                read
            }
            Stage::Threaded(threaded) => threaded.read(into).map_err(|(fault, packing)| {
                self.packing = Some(packing);
                fault
            }),
            Stage::Start(_) | Stage::Ended => Ok(0),
        }
    }

    /// Finds out how the source is compressed.
    fn begin(&mut self) -> Result<Stage<'a>, Fault> {
        let source: Box<dyn Read + 'a> = match std::mem::replace(&mut self.stage, Stage::Ended) {
            Stage::Start(Origin::Here(source)) => source,
            Stage::Start(Origin::Anywhere(mut source)) => {
                let mut start = Vec::new();
                let first = (&mut source).take(4).read_to_end(&mut start);
                first.map_err(Fault::of_source)?;
                self.packing = packing(&start);
                let source = Cursor::new(start).chain(source);
                // Asked only where there is compression: the answer is read from several files.
                if let Some(packing) = self.packing.filter(|_| Threaded::pays()) {
                    return Threaded::start(source, packing).map(Stage::Threaded);
                }
                Box::new(source)
            }
            other => return Ok(other),
        };
        let mut input = Input::new(source);
        self.packing = match input.peek(4) {
            Ok(start) => packing(start),
            Err(error) => return Err(Fault::of_source(input.failure().unwrap_or(error))),
        };
        Ok(match self.packing {
            None => Stage::Plain(input),
            Some(packing) => Stage::Packed(Chain::new(input, packing)),
        })
    }

    /// Returns how the capture is compressed, once its first bytes were read.
    pub(in crate::capture) fn packing(&self) -> Option<Packing> {
        self.packing
    }

    /// Returns how many bytes were taken from the source so far, compressed ones where it is
    /// compressed.
    pub(in crate::capture) fn taken(&self) -> u64 {
        match &self.stage {
            Stage::Plain(input) => input.taken(),
            Stage::Packed(chain) => chain.taken(),
            Stage::Threaded(threaded) => threaded.taken(),
            Stage::Start(_) | Stage::Ended => 0,
        }
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
        let unpacked = Unpacked {
            stage: Stage::Packed(Chain::new(input, Packing::Gzip).with_free(1 << 20)),
            packing: None,
        };
        let (out, error) = unpack_all(unpacked);
        assert!(
            matches!(error, Some(Fault::Expands(Packing::Gzip))),
            "{error:?}"
        );
        assert!(out.len() < 9 << 20);
    }
}
