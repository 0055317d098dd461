//! The yield of one record or block of a capture file.

use std::ops::Range;

use super::frame::{CommentOf, LinkType};
use crate::base::{Precision, Timestamp};

/// A part of a capture file by its place in the buffer: it borrows nothing, so it can wait for
/// its turn.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// A frame, not yet numbered.
    Frame {
        /// `None` in a Simple Packet Block.
        time: Option<Timestamp>,
        precision: Precision,
        /// Bytes on the wire.
        length: u32,
        link_type: LinkType,
        place: Range<usize>,
    },
    Secrets {
        kind: u32,
        place: Range<usize>,
    },
    /// `of` has no number yet where it is a frame: it is the one that was read last.
    Comment {
        of: CommentOf,
        place: Range<usize>,
    },
    /// A block that gives nothing.
    Nothing,
    /// The header of another file: users join files with `cat`.
    AnotherFile,
    /// The end, between two records or blocks.
    End,
}
