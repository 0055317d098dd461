//! Items of a capture: frames, and what files hold besides.

use std::borrow::Cow;

use crate::base::FrameStamp;

/// A link-layer type of the tcpdump registry (`LINKTYPE_ETHERNET` is 1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct LinkType(pub u16);

/// One frame as the capture holds it; borrowed for the call that brings it.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Number, time and length of the frame.
    pub stamp: FrameStamp,
    /// The layer that the frame begins with.
    pub link_type: LinkType,
    /// The captured bytes: at most `stamp.length` of them.
    pub bytes: &'a [u8],
}

/// An item of a capture; items come in the order in which the capture holds them.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Item<'a> {
    /// A frame.
    Frame(Frame<'a>),
    /// Secrets that decrypt frames, most often those that follow.
    Secrets(Secrets<'a>),
    /// A remark that someone left in a pcapng file. It follows its subject.
    Comment(Comment<'a>),
}

/// A pcapng Decryption Secrets Block (draft-ietf-opsawg-pcapng §4.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Secrets<'a> {
    /// The format of the bytes: [`Secrets::TLS_KEY_LOG`], or another value of the registry.
    pub kind: u32,
    /// The secrets, without padding.
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
    /// Its subject.
    pub of: CommentOf,
    /// As stored: meant to be UTF-8, unchecked.
    pub bytes: &'a [u8],
    /// Which input it came from, counted from 0.
    pub file: u16,
}

impl<'a> Comment<'a> {
    /// Returns the text, with what is not UTF-8 replaced. It may hold control characters.
    pub fn text(&self) -> Cow<'a, str> {
        String::from_utf8_lossy(self.bytes)
    }
}

/// The subject of a comment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum CommentOf {
    /// The capture, or one section of it.
    Section,
    /// An interface, by its number in its section, from 0.
    Interface(u32),
    /// A frame, by its number.
    Frame(u64),
}
