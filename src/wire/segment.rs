//! TCP segments and UDP datagrams, which frames come down to.

use crate::base::{Endpoint, FrameStamp, Layers};

/// The innermost transport header of a frame, with its payload.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Dissected<'a> {
    /// A TCP segment.
    Segment(Segment<'a>),
    /// A UDP datagram that carries no tunnel known here.
    Datagram(Datagram<'a>),
}

/// One TCP segment, borrowing its payload from the frame (or from the buffer in which its
/// fragments were put together).
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Of the frame that brought it, or completed it. Not a copy: a stamp that is read again
    /// right after it was written, in words of another size, has to wait for the memory.
    pub stamp: &'a FrameStamp,
    /// Address and port of the sender.
    pub source: Endpoint,
    /// Address and port of the receiver.
    pub destination: Endpoint,
    /// The sequence number of the first payload byte, or of SYN.
    pub sequence: u32,
    /// The next sequence number that the sender expects; 0 without ACK in ordinary stacks.
    pub acknowledgement: u32,
    /// The control bits.
    pub flags: TcpFlags,
    /// The receive window as in the header: not scaled; 65,535 where the header is cut before it.
    pub window: u16,
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after those, and were cut by the snapshot length.
    pub cut: u32,
    /// The headers of the frame, outermost first. Filled only where a view asked for it.
    pub layers: &'a Layers,
}

/// One UDP datagram (RFC 768), borrowing its payload as a [`Segment`] does.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Of the frame that brought it, or completed it.
    pub stamp: &'a FrameStamp,
    /// Address and port of the sender.
    pub source: Endpoint,
    /// Address and port of the receiver.
    pub destination: Endpoint,
    /// The payload bytes that were captured.
    pub payload: &'a [u8],
    /// Payload bytes that were on the wire after those, and were cut by the snapshot length.
    pub cut: u32,
    /// The headers of the frame, outermost first. Filled only where a view asked for it.
    pub layers: &'a Layers,
}

/// The control bits of a TCP header (RFC 9293 §3.1).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TcpFlags(pub u8);

impl TcpFlags {
    /// The sender sends nothing more.
    pub const FIN: u8 = 0x01;
    /// Sequence numbers begin here.
    pub const SYN: u8 = 0x02;
    /// The connection is reset.
    pub const RST: u8 = 0x04;
    /// The receiver should hand the payload on at once.
    pub const PSH: u8 = 0x08;
    /// The acknowledgement number is valid.
    pub const ACK: u8 = 0x10;

    /// Whether all of `bits` are set.
    pub const fn has(self, bits: u8) -> bool {
        self.0 & bits == bits
    }
}

/// The layers of a frame whose layers no view asked for.
pub(super) static NO_LAYERS: Layers = Layers::NONE;
