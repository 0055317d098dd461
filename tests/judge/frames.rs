//! A capture's frames, to be damaged in known ways.

use std::fs;
use std::path::Path;

use mqtt_inspect::base::{Precision, Span, Timestamp};
use mqtt_inspect::capture::{Format, Frame, Item, LinkType, Reader, Source, Writer};

use super::driver::Dice;
use super::known::{DIGITS, MARK};

/// Frames that a capture swaps came this near to each other.
const NEAR: Span = Span::from_nanos(20_000_000);

/// The damage of a capture before it is read.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Damage {
    Whole,
    /// A fifth of the frames is missing at each end.
    Cut,
    /// 2 % of the frames are missing.
    Lost,
    /// 2 % of the frames stand twice.
    Doubled,
    /// 5 % of the frames stand up to five places later.
    Reordered,
    /// Each frame has its first 96 bytes only.
    Short,
    /// Only what the clients sent.
    Uplink,
    /// Only what the broker sent.
    Downlink,
    /// Two captures, of what the clients and of what the broker sent, that are merged again.
    Merged,
}

impl Damage {
    pub(crate) const ALL: [Self; 9] = [
        Self::Whole,
        Self::Cut,
        Self::Lost,
        Self::Doubled,
        Self::Reordered,
        Self::Short,
        Self::Uplink,
        Self::Downlink,
        Self::Merged,
    ];
}

/// A frame, and its number in the whole capture.
#[derive(Clone)]
struct Kept {
    number: u64,
    time: Timestamp,
    bytes: Vec<u8>,
    length: u32,
}

/// The frames of a capture.
#[derive(Clone)]
pub(crate) struct Frames {
    link_type: LinkType,
    precision: Precision,
    frames: Vec<Kept>,
}

impl Frames {
    pub(crate) fn read(file: &Path) -> Self {
        let bytes = fs::read(file).expect("a capture");
        let mut reader = Reader::new(bytes.as_slice(), "capture");
        let mut all = Self {
            link_type: LinkType(0),
            precision: Precision::Micro,
            frames: Vec::new(),
        };
        while let Some(item) = reader.next_item().expect("a sound capture") {
            if let Item::Frame(Frame {
                stamp,
                link_type,
                bytes,
            }) = item
            {
                all.link_type = link_type;
                all.precision = stamp.precision;
                all.frames.push(Kept {
                    number: stamp.number,
                    time: stamp.time.expect("tcpdump writes times"),
                    bytes: bytes.to_vec(),
                    length: stamp.length,
                });
            }
        }
        all
    }

    /// Makes all messages equal: zeros stand for their numbers. TCP's checksums become wrong,
    /// which they are on a loopback interface anyway.
    pub(crate) fn hide(&mut self) {
        for frame in &mut self.frames {
            let mut at = 0;
            while let Some(found) = memchr::memmem::find(&frame.bytes[at..], MARK) {
                at += found + MARK.len();
                let end = (at + DIGITS).min(frame.bytes.len());
                frame.bytes[at..end].fill(b'0');
            }
        }
    }

    /// Damages the capture; `port` is the broker's.
    pub(crate) fn damage(&mut self, damage: Damage, port: u16, dice: &mut Dice) {
        let frames = &mut self.frames;
        match damage {
            Damage::Whole => {}
            // Of frames at one time those of the first capture come first.
            Damage::Merged => frames.sort_by_key(|frame| (frame.time, from(port, &frame.bytes))),
            Damage::Cut => {
                let fifth = frames.len() / 5;
                frames.drain(..fifth);
                frames.truncate(frames.len() - fifth);
            }
            Damage::Lost => frames.retain(|_| !dice.percent(2)),
            Damage::Doubled => {
                let times = |dice: &mut Dice| 1 + usize::from(dice.percent(2));
                let doubled = frames.drain(..).flat_map(|frame| {
                    let times = times(dice);
                    std::iter::repeat_n(frame, times)
                });
                *frames = doubled.collect();
            }
            Damage::Reordered => {
                for at in (0..frames.len()).rev() {
                    if dice.percent(5) {
                        let mut later = (at + 1 + dice.below(5)).min(frames.len() - 1);
                        while frames[later].time.since(frames[at].time) > NEAR {
                            later -= 1;
                        }
                        frames[at..=later].rotate_left(1);
                    }
                }
                // A capture that swaps frames stamps them as they come.
                let mut times: Vec<_> = frames.iter().map(|frame| frame.time).collect();
                times.sort();
                for (frame, time) in frames.iter_mut().zip(times) {
                    frame.time = time;
                }
            }
            Damage::Short => frames.iter_mut().for_each(|frame| frame.bytes.truncate(96)),
            Damage::Uplink => frames.retain(|frame| !from(port, &frame.bytes)),
            Damage::Downlink => frames.retain(|frame| from(port, &frame.bytes)),
        }
    }

    /// Takes those out that the broker sent.
    pub(crate) fn split(&mut self, port: u16) -> Self {
        let (sent, received) = std::mem::take(&mut self.frames)
            .into_iter()
            .partition(|frame| from(port, &frame.bytes));
        self.frames = received;
        Self {
            frames: sent,
            ..*self
        }
    }

    /// Writes the capture.
    pub(crate) fn write(&self, file: &Path) {
        let writer = Writer::new(
            Vec::new(),
            Format::Pcap,
            self.link_type,
            self.precision,
            None,
        );
        let mut writer = writer.expect("a capture in memory");
        for frame in &self.frames {
            let written = writer.write_frame(frame.time, &frame.bytes, frame.length, None);
            written.expect("a capture in memory");
        }
        fs::write(file, writer.into_inner()).expect("a file");
    }

    /// The numbers that the frames have in the whole capture, in order.
    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.number).collect()
    }
}

/// Whether an Ethernet frame with an IPv4 header comes from this TCP port.
fn from(port: u16, frame: &[u8]) -> bool {
    let header = frame
        .get(14)
        .map_or(0, |first| usize::from(first & 0x0f) * 4);
    frame.get(14 + header..).and_then(<[u8]>::first_chunk) == Some(&port.to_be_bytes())
}
