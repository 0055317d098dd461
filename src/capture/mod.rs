//! Capture files in, frames out: pcap and pcapng, plain or compressed, from files and pipes;
//! and the writer that `record` uses.
//!
//! A [`Source`] gives frames, comments and secrets, each borrowed for the call that brings it:
//! [`Reader`] those of one file or pipe, [`Sequence`] those of several one after the other,
//! [`Merge`] those of several by time. The meaning of a link type is `wire`'s business.
//!
//! ```text
//! limits, format, frame, order, looks <- error <- codec/ <- buffer
//!     buffer, piece <- pcap, pcapng <- blocks <- source, reader <- sequence, merge, open
//!     pcapng <- writer
//!     live/
//! ```
//!
//! What is held, whatever a capture claims: one buffer of [`BUFFER`] bytes that grows, only
//! as bytes arrive, up to [`MAX_BLOCK`] and shrinks again; [`MAX_INTERFACES`] interfaces of a
//! section; and the window of the decompressor, up to [`MAX_WINDOW`].

mod blocks;
mod buffer;
mod codec;
mod error;
mod format;
mod frame;
mod limits;
pub mod live;
mod looks;
mod merge;
mod open;
mod order;
mod output;
mod pcap;
mod pcapng;
mod piece;
mod reader;
mod sequence;
mod source;
mod writer;

pub use error::{CaptureError, Fault};
pub use format::{Format, Packing};
pub use frame::{Comment, CommentOf, Frame, Item, LinkType, Secrets};
pub use limits::{
    BUFFER, FREE_EXPANSION, MAX_BLOCK, MAX_DESCRIPTION, MAX_EXPANSION, MAX_FRAME, MAX_INTERFACES,
    MAX_WINDOW, USUAL_SNAPLEN,
};
pub use looks::LooksLike;
pub use merge::Merge;
pub use open::{can_be_opened, open};
pub(crate) use output::create_private_folder;
pub use output::{OutputError, OutputFault, OutputFile, OutputOptions, is_same};
pub use reader::Reader;
pub use sequence::Sequence;
pub use source::{Source, Summary};
pub use writer::Writer;
