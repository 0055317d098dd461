//! The frame that brought some bytes, as far as every layer needs to know it.

use super::time::{Precision, Timestamp};

/// Identifies a frame of the capture wherever its bytes travel.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FrameStamp {
    /// Counts every frame of the run from 1. Several files given together count on.
    pub number: u64,
    /// The instant of capture; `None` where the capture has none (a pcapng Simple Packet
    /// Block).
    pub time: Option<Timestamp>,
    /// How many digits of `time` the capture keeps.
    pub precision: Precision,
    /// The frame's length on the wire, in bytes, whatever was captured of it.
    pub length: u32,
    /// Which input the frame came from, counted from 0 in the order given.
    pub file: u16,
}
