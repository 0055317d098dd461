//! TCP: segments in, each connection's bytes out, in order, once.
//!
//! What never comes is a gap, emitted with its length; nothing is lost in silence.

mod assembler;
mod emitter;
mod flow;
mod key;
mod limits;
mod sample;
mod slot;
mod slots;
#[cfg(test)]
mod tests;
mod waiting;

use crate::base::{Endpoint, FrameStamp, Layers};

pub use assembler::Assembler;
pub use limits::Counts;

/// Number of a TCP connection, from 0, by its first frame in the capture.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u32);

/// Which way bytes travel on a connection. `Forward` is from [`Connection::initiator`].
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    Forward,
    Backward,
}

impl Direction {
    /// The other way.
    pub const fn reverse(self) -> Self {
        match self {
            Self::Forward => Self::Backward,
            Self::Backward => Self::Forward,
        }
    }
}

/// Both directions, as [`ByDirection`] has them.
pub const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Backward];

/// One of something for each direction.
///
/// Found by its place and not by a branch: which direction comes next is what a processor
/// predicts worst.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByDirection<T>([T; 2]);

impl<T> ByDirection<T> {
    #[inline]
    pub const fn of(&self, direction: Direction) -> &T {
        &self.0[direction as usize]
    }

    #[inline]
    pub const fn of_mut(&mut self, direction: Direction) -> &mut T {
        &mut self.0[direction as usize]
    }

    /// That of `direction`, and the other.
    #[inline]
    pub const fn pair_mut(&mut self, direction: Direction) -> (&mut T, &mut T) {
        let [forward, backward] = &mut self.0;
        match direction {
            Direction::Forward => (forward, backward),
            Direction::Backward => (backward, forward),
        }
    }
}

/// A TCP connection as every listener sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connection {
    pub id: ConnectionId,
    /// The end that sent the SYN, or, where none was seen, the end that sent the first
    /// captured segment.
    pub initiator: Endpoint,
    pub responder: Endpoint,
    /// A SYN was seen, so `initiator` really opened the connection and its first bytes were
    /// captured from the start.
    pub handshake_seen: bool,
}

/// What happens on a connection, in stream order for each direction.
#[derive(Clone, Copy, Debug)]
pub enum StreamEvent<'a> {
    /// The next bytes of a direction. `stamp` is the frame that carried them first.
    Bytes {
        direction: Direction,
        bytes: &'a [u8],
        stamp: &'a FrameStamp,
        layers: &'a Layers,
    },
    /// `length` bytes of a direction will never come; `length` 0 means an unknown number.
    Gap {
        direction: Direction,
        length: u64,
        cause: GapCause,
        stamp: &'a FrameStamp,
    },
    /// A retransmission differed from the bytes first seen; the first copy stands.
    Conflict {
        direction: Direction,
        stamp: &'a FrameStamp,
    },
    /// This direction is over: FIN came and everything before it was emitted, or RST.
    End {
        direction: Direction,
        how: End,
        stamp: &'a FrameStamp,
    },
    /// Nothing more comes on this connection: it was reset, closed both ways and left, its
    /// endpoints were reused, it was evicted at the cap, or the capture ended.
    Closed { why: Closed, stamp: &'a FrameStamp },
}

/// Why bytes are missing for good.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum GapCause {
    /// The peer acknowledged bytes that the capture does not hold.
    NotCaptured,
    /// The snapshot length cut the frame.
    SnapshotLength,
    /// The bytes waiting behind the hole reached their cap.
    WaitingCap,
    /// The connection or the capture ended before they came.
    EndOfCapture,
    /// They were captured, but a control packet reached the cap on bytes that are held.
    HeldCap,
    /// They were captured, but what carried them (WebSocket, TLS) could not be read.
    Unreadable,
}

/// How one direction ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum End {
    Fin,
    Reset,
}

/// Why a connection yields no more events.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Closed {
    /// FIN from both ends.
    Finished,
    Reset,
    /// A SYN began a new connection between the same endpoints.
    Replaced,
    /// The table of connections was full and this one had been silent longest.
    Evicted,
    CaptureEnd,
}
