//! Damages captures: bits flipped, bytes cut, frames dropped, repeated, shuffled. The same
//! seed does the same damage.

use mqtt_inspect::base::{Precision, Timestamp};
use mqtt_inspect::capture::{Format, Frame, Item, LinkType, Reader, Source, Writer};

/// A frame of a capture, owned.
#[derive(Clone)]
struct Kept {
    time: Timestamp,
    bytes: Vec<u8>,
    length: u32,
}

/// Damages `capture` in ways that `seed` decides.
pub fn damage(capture: &[u8], seed: u64) -> Vec<u8> {
    let mut dice = Dice(seed);
    let mut bytes = if dice.below(4) == 0 {
        capture.to_vec()
    } else {
        damage_frames(capture, &mut dice).unwrap_or_else(|| capture.to_vec())
    };
    if dice.below(2) == 0 {
        damage_bytes(&mut bytes, &mut dice);
    }
    bytes
}

/// Random numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not with, `end`; 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        self.next().checked_rem(end as u64).unwrap_or(0) as usize
    }
}

/// Bytes of the file itself: flipped, overwritten, cut out, repeated, cut off.
fn damage_bytes(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..=dice.below(6) {
        let at = dice.below(bytes.len());
        let Some(rest) = bytes.get_mut(at..) else {
            return;
        };
        let length = dice.below(rest.len().min(40)) + 1;
        match dice.below(16) {
            0..=7 => flip(bytes, at, dice),
            8..=10 => {
                let new = dice.next().to_le_bytes();
                rest.iter_mut().zip(new).for_each(|(old, new)| *old = new);
            }
            11 | 12 => drop(bytes.drain(at..(at + length).min(bytes.len()))),
            13 | 14 => {
                let again: Vec<u8> = rest.iter().take(length).copied().collect();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at),
        }
    }
}

fn flip(bytes: &mut [u8], at: usize, dice: &mut Dice) {
    if let Some(byte) = bytes.get_mut(at) {
        *byte ^= 1 << dice.below(8);
    }
}

/// Frames: dropped, repeated, swapped, their bytes flipped, their ends cut. `None` where the
/// capture has no frame.
fn damage_frames(capture: &[u8], dice: &mut Dice) -> Option<Vec<u8>> {
    let (link_type, mut frames) = frames(capture)?;
    // Seldom much, mostly little: a little damage reaches deeper.
    let percent = [1, 3, 10, 40][dice.below(4)];
    let kinds = dice.next();
    let hits = |dice: &mut Dice| dice.below(100) < percent;
    if kinds & 1 != 0 {
        frames.retain(|_| !hits(dice));
    }
    if kinds & 2 != 0 {
        let mut repeated = Vec::with_capacity(frames.len());
        for frame in frames {
            let times = 1 + usize::from(hits(dice));
            repeated.extend(std::iter::repeat_n(frame, times));
        }
        frames = repeated;
    }
    if kinds & 4 != 0 {
        let count = frames.len();
        for at in 0..count {
            if hits(dice) {
                let other = (at + dice.below(8)).min(count - 1);
                frames.swap(at, other);
            }
        }
    }
    if kinds & 8 != 0 {
        for frame in &mut frames {
            if hits(dice) {
                let at = dice.below(frame.bytes.len());
                flip(&mut frame.bytes, at, dice);
            }
        }
    }
    if kinds & 16 != 0 {
        for frame in &mut frames {
            if hits(dice) {
                let length = dice.below(frame.bytes.len() + 1);
                frame.bytes.truncate(length);
            }
        }
    }
    if kinds & 96 == 96 {
        let most = 40 + dice.below(100);
        frames
            .iter_mut()
            .for_each(|frame| frame.bytes.truncate(most));
    }
    let format = if kinds & 128 == 0 {
        Format::Pcap
    } else {
        Format::PcapNg
    };
    let mut writer = Writer::new(Vec::new(), format, link_type, Precision::Micro, None).ok()?;
    for frame in &frames {
        let length = frame.length.max(frame.bytes.len() as u32);
        writer
            .write_frame(frame.time, &frame.bytes, length, None)
            .ok()?;
    }
    Some(writer.into_inner())
}

/// The frames of `capture` that have the link type of its first one.
fn frames(capture: &[u8]) -> Option<(LinkType, Vec<Kept>)> {
    let mut reader = Reader::new(capture, "capture");
    let mut first = None;
    let mut frames = Vec::new();
    while let Ok(Some(item)) = reader.next_item() {
        let Item::Frame(Frame {
            stamp,
            link_type,
            bytes,
        }) = item
        else {
            continue;
        };
        if *first.get_or_insert(link_type) == link_type {
            frames.push(Kept {
                time: stamp.time.unwrap_or(Timestamp::from_nanos(0)),
                bytes: bytes.to_vec(),
                length: stamp.length,
            });
        }
    }
    Some((first?, frames))
}
