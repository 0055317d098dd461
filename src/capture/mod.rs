//! Capture files in, frames out: pcap and pcapng, plain or compressed, from files and pipes;
//! and the writer that `record` uses.
//!
//! [`Reader`] pulls: [`Reader::next_item`] gives the next frame, comment or secrets, borrowed
//! from one bounded buffer; [`read`] pushes on top of it. [`Merge`] joins several captures by
//! time. What a link type means is `wire`'s business.
//!
//! What is held, whatever a capture claims: one buffer of [`BUFFER`] bytes that grows, only
//! as bytes arrive, up to [`MAX_BLOCK`] and shrinks again; [`MAX_INTERFACES`] interfaces of a
//! section; and the window of the decompressor, up to [`MAX_WINDOW`].

mod apart;
mod buffer;
mod error;
mod gzip;
mod input;
mod looks;
mod merge;
mod open;
mod order;
mod pcap;
mod pcapng;
mod reader;
mod unpack;
mod writer;

use std::borrow::Cow;

use crate::base::FrameStamp;

pub use buffer::BUFFER;
pub use error::{CaptureError, Fault};
pub use looks::LooksLike;
pub use merge::Merge;
pub use open::{Source, open};
pub use pcap::{MAX_FRAME, USUAL_SNAPLEN};
pub use pcapng::{MAX_BLOCK, MAX_DESCRIPTION, MAX_INTERFACES};
pub use reader::{Reader, Summary, read};
pub use unpack::{FREE_EXPANSION, MAX_EXPANSION, MAX_WINDOW, Packing};
pub use writer::{Format, Writer};

/// A link-layer type of the tcpdump registry (`LINKTYPE_ETHERNET` is 1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LinkType(pub u16);

/// One frame as the capture holds it; borrowed for the call that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    pub stamp: FrameStamp,
    pub link_type: LinkType,
    /// What was captured: at most `stamp.length` bytes.
    pub bytes: &'a [u8],
}

/// What a capture holds, in the order in which it holds it.
#[derive(Clone, Copy, Debug)]
pub enum Item<'a> {
    Frame(Frame<'a>),
    /// Secrets that decrypt frames, most often those that follow.
    Secrets(Secrets<'a>),
    /// A remark that someone left in a pcapng file. It follows what it speaks of.
    Comment(Comment<'a>),
}

/// A pcapng Decryption Secrets Block (draft-ietf-opsawg-pcapng §4.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Secrets<'a> {
    /// What the bytes are: [`Secrets::TLS_KEY_LOG`], or another value of the registry.
    pub kind: u32,
    pub bytes: &'a [u8],
    /// Which input they came from, counted from 0.
    pub file: u16,
}

impl Secrets<'_> {
    /// The bytes are the text of an `SSLKEYLOGFILE`.
    pub const TLS_KEY_LOG: u32 = 0x544c_534b;
}

/// A comment of a pcapng file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Comment<'a> {
    pub of: CommentOf,
    /// As stored: meant to be UTF-8, unchecked.
    pub bytes: &'a [u8],
    /// Which input it came from, counted from 0.
    pub file: u16,
}

impl<'a> Comment<'a> {
    /// The text, with what is not UTF-8 replaced. It may hold control characters.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

/// What a comment speaks of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CommentOf {
    /// The capture, or one section of it.
    Section,
    /// An interface, by its number in its section, from 0.
    Interface(u32),
    /// A frame, by its number.
    Frame(u64),
}
