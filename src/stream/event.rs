//! Connections, and what happens on them.

use strum::IntoStaticStr;

use super::direction::Direction;
use crate::base::{Endpoint, FrameStamp, Layers};

/// Number of a TCP connection, from 0, by its first frame in the capture.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionId(pub u32);

/// A TCP connection as an observer of the stream sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Connection {
    /// Its number in the capture.
    pub id: ConnectionId,
    /// The end that sent the SYN, or, where none was seen, the end that sent the first
    /// captured segment.
    pub initiator: Endpoint,
    /// The other end.
    pub responder: Endpoint,
    /// A SYN was seen, so `initiator` really opened the connection and its first bytes were
    /// captured from the start.
    pub handshake_seen: bool,
    /// Segments of both ends were captured: the capture shows both directions.
    pub both_seen: bool,
}

/// An event of a connection, in stream order for each direction.
#[derive(Clone, Copy, Debug)]
pub enum StreamEvent<'a> {
    /// The next bytes of a direction. `stamp` is the frame that carried them first.
    Bytes {
        /// The direction that they travel in.
        direction: Direction,
        /// At least one.
        bytes: &'a [u8],
        /// Of the frame that carried them first.
        stamp: &'a FrameStamp,
        /// The layers of that frame, where a view asked for them.
        layers: &'a Layers,
    },
    /// `length` bytes of a direction will never come; `length` 0 means an unknown number.
    Gap {
        /// The direction that they would have travelled in.
        direction: Direction,
        /// In bytes.
        length: u64,
        /// Why they will not come.
        cause: GapCause,
        /// Of the frame that made it certain.
        stamp: &'a FrameStamp,
    },
    /// An end did not read, or bytes were sent in vain, or a FIN or RST was not believed.
    Stalled {
        /// Of the end that did not read, or whose bytes were sent in vain, or in whose name it came.
        direction: Direction,
        /// The trouble.
        stall: Stall,
        /// Of the frame with which it began.
        since: &'a FrameStamp,
        /// It lasted to the end of the connection.
        lasting: bool,
        /// Of the frame with which it was over.
        stamp: &'a FrameStamp,
    },
    /// A retransmission differed from the bytes first seen; the first copy stands.
    Conflict {
        /// The direction of the segment.
        direction: Direction,
        /// Of the frame that carried the other bytes.
        stamp: &'a FrameStamp,
    },
    /// This direction is over: FIN came and everything before it was emitted, or RST.
    End {
        /// The direction that is over.
        direction: Direction,
        /// How it ended.
        how: End,
        /// Of the frame that carried FIN or RST.
        stamp: &'a FrameStamp,
    },
    /// Nothing more comes on this connection: it was reset, closed both ways and left, its
    /// endpoints were reused, it was evicted at the cap, or the capture ended.
    Closed {
        /// Why nothing more comes.
        why: Closed,
        /// Of the frame at which that became known.
        stamp: &'a FrameStamp,
    },
}

/// A trouble of TCP that keeps a connection from going on, or would have, had it been real.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stall {
    /// The end advertised a receive window of 0: its program does not read.
    ZeroWindow,
    /// The end sent the same bytes again so many times, and they were never acknowledged.
    NotAcknowledged {
        /// Retransmissions.
        times: u32,
    },
    /// A FIN in the name of the end stood where it sent other bytes: it was forged.
    FalseFin,
    /// A RST in the name of the end did not stand where one was expected, far off or with more of the
    /// end behind it: it was forged, or is of another connection.
    FalseReset,
}

/// Why bytes are missing for good.
#[derive(Clone, Copy, Debug, Eq, Hash, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
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
    /// None are missing here: the bytes between a gap, or the capture's beginning, and the first
    /// packet that is certain were captured, and belong to packets whose beginnings were not.
    PassedOver,
    /// They were captured, but what carried them (WebSocket, TLS) could not be read.
    Unreadable,
}

/// How one direction ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum End {
    /// FIN (RFC 9293 §3.6), and every byte before it came or is a gap.
    Fin,
    /// RST (RFC 9293 §3.5.2), of either end.
    Reset,
}

/// Why a connection yields no more events.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Closed {
    /// FIN from both ends.
    Finished,
    /// RST from either end.
    Reset,
    /// RST in answer to the SYN: the connection never came to be.
    Refused,
    /// A SYN began a new connection between the same endpoints.
    Replaced,
    /// The table of connections was full and this one had been silent longest.
    Evicted,
    /// The capture ended; the connection may have gone on.
    CaptureEnd,
}
