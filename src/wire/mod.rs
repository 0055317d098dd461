//! Frames in, TCP segments out: link layers, tunnels, IP, fragments and TCP headers stripped.
//!
//! A frame gives one segment or one reason why there is none ([`Skipped`]). Headers are read
//! by etherparse's slices one at a time, which costs nothing over reading them by hand; its
//! slicers of whole packets cost 92 to 130 ns a frame and know fewer layers.

mod dissector;
mod fragments;
mod ip;
mod layers;
mod link;
mod part;
mod skipped;
mod straight;
mod stripped;
mod tcp;
#[cfg(test)]
mod testing;
mod tunnel;

pub use dissector::{Dissector, MAX_HEADERS, MAX_REASONS, Options, Tally};
pub use fragments::FragmentTally;
pub use skipped::Skipped;

use crate::base::{Endpoint, FrameStamp, Layers};

/// One TCP segment, borrowing its payload from the frame (or from the buffer in which its
/// fragments were put together).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Of the frame that brought it, or completed it. Not a copy: a stamp that is read again
    /// right after it was written, in words of another size, has to wait for the memory.
    pub stamp: &'a FrameStamp,
    pub source: Endpoint,
    pub destination: Endpoint,
    pub sequence: u32,
    pub acknowledgement: u32,
    pub flags: TcpFlags,
    pub window: u16,
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after those, and were cut by the snapshot length.
    pub cut: u32,
    /// Filled only where a view asked for it.
    pub layers: &'a Layers,
}

/// The flags byte of a TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;

    /// Whether all of `bits` are set.
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}
