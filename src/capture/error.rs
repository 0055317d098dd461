//! The errors of captures: the fault, its place, and advice.

use std::error::Error;
use std::fmt;
use std::io;

use super::format::{Format, Packing};
use super::limits::{MAX_EXPANSION, MAX_INTERFACES, MAX_WINDOW};
use super::looks::LooksLike;
use crate::base::text;

/// A capture cannot be read, or not further. All frames before the place were given.
#[derive(Debug)]
pub struct CaptureError(Box<Details>);

#[derive(Debug)]
struct Details {
    name: String,
    fault: Fault,
    /// `None` where the capture was not even begun.
    place: Option<Place>,
}

/// Where reading ended.
#[derive(Debug)]
pub(super) struct Place {
    /// In bytes from the first of the file; of the compressed file if `packing` is set and
    /// the compression is what is broken, of the uncompressed capture otherwise.
    pub(super) offset: u64,
    pub(super) packing: Option<Packing>,
    /// The last frame that was read.
    pub(super) after_frame: Option<u64>,
}

/// The fault of a capture; shown in words, without place or advice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    #[error("there is no such file")]
    Missing,
    /// A directory was named.
    #[error("this is a directory")]
    Directory,
    /// The file may not be read.
    #[error("the file may not be read: permission denied")]
    Permission,
    /// Standard input is a terminal.
    #[error("standard input is a terminal")]
    Terminal,
    /// Any other error of the system.
    #[error("it cannot be read: {0}")]
    Io(#[source] io::Error),
    /// No byte at all.
    #[error("empty file: not one octet in it")]
    Empty,
    /// Something else than a capture.
    #[error("this is not a capture: {0}")]
    NotACapture(LooksLike),
    /// The file ends within its header; so many bytes are there.
    #[error("the file is cut short in its header: {0} octets are all there is")]
    HeaderCut(usize),
    /// A version that is not known.
    #[error("version {major}.{minor} of {format} is not known")]
    Version {
        /// The format that has no such version.
        format: Format,
        /// The version's major number.
        major: u16,
        /// The version's minor number.
        minor: u16,
    },
    /// A pcap file ends in the middle of a record.
    #[error("the file is cut short in the middle of a packet")]
    RecordCut,
    /// A pcapng file ends in the middle of a block.
    #[error("the file is cut short in the middle of a block")]
    BlockCut,
    /// A pcap record claims more bytes than any frame has.
    #[error("corrupt record: a packet that claims {captured} octets, where {limit} is the most")]
    CorruptRecord {
        /// The claimed size of the frame, in bytes.
        captured: u32,
        /// The largest size that is believed, in bytes.
        limit: u32,
    },
    /// Zeros stand where a pcap record begins.
    #[error("zeros stand where a packet should: what follows was never written")]
    Zeros,
    /// A pcapng block states a total length that is impossible or absurd.
    #[error("corrupt block: type {kind:#x} with the impossible length {length}")]
    CorruptBlock {
        /// The block's type.
        kind: u32,
        /// The stated length, in bytes.
        length: u32,
    },
    /// A pcapng block of a possible length contradicts itself; `how` completes the sentence.
    #[error("corrupt block: type {kind:#x} {how}")]
    ContradictoryBlock {
        /// The block's type.
        kind: u32,
        /// Its claim, as the end of a sentence.
        how: &'static str,
    },
    /// A packet of an interface that its section did not describe.
    #[error(
        "unknown interface: a packet of interface {interface}, where {described} are described"
    )]
    UnknownInterface {
        /// The packet's interface, by its number in its section.
        interface: u32,
        /// How many interfaces the section described so far.
        described: usize,
    },
    /// A section describes more than [`MAX_INTERFACES`].
    #[error("more than {MAX_INTERFACES} interfaces in one section")]
    TooManyInterfaces,
    /// Compressed data ends before its end mark.
    #[error("compressed data cut short: the {0} data does not reach its end mark")]
    PackingCut(Packing),
    /// Compressed data is damaged; the words of the decompressor.
    #[error("compressed data damaged: {0} says: {words}", words = text::safe(.1))]
    PackingDamaged(Packing, String),
    /// A zstd frame needs a window of so many bytes, more than [`MAX_WINDOW`].
    #[error("zstd needs a window of {0} octets, where {MAX_WINDOW} is the most")]
    Window(u64),
    /// A zstd frame needs the dictionary of that number.
    #[error("zstd needs a dictionary, number {0}")]
    Dictionary(u32),
    /// Compressed data expands more than [`MAX_EXPANSION`] times.
    #[error("the {0} data expands more than {MAX_EXPANSION} times, as a decompression bomb does")]
    Expands(Packing),
}

impl CaptureError {
    /// An error of the capture that the user named so; without a place where it could not be
    /// opened.
    pub(super) fn new(name: &str, fault: Fault, place: Option<Place>) -> Self {
        let name = name.to_owned();
        Self(Box::new(Details { name, fault, place }))
    }

    /// The capture as the user named it.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Returns the fault.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// Where reading ended, in bytes: of the compressed file where the compression is what
    /// is broken, of the (uncompressed) capture otherwise. `None` where it was not begun.
    pub fn offset(&self) -> Option<u64> {
        self.0.place.as_ref().map(|place| place.offset)
    }

    /// The number of the last frame that was read from this capture.
    pub fn after_frame(&self) -> Option<u64> {
        self.0.place.as_ref()?.after_frame
    }
}

impl Error for CaptureError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.fault.source()
    }
}

/// One line: `file: what is wrong (where); what to do`.
impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Details { name, fault, place } = &*self.0;
        write!(f, "{}: {fault}", text::safe(name))?;
        if let Some(place) = place
            && fault.has_a_place()
        {
            write!(f, " (octet {}", place.offset)?;
            match place.packing {
                Some(packing) if fault.is_of_packing() => write!(f, " of the {packing} data")?,
                Some(packing) => write!(f, " of what {packing} unpacks to")?,
                None => {}
            }
            match place.after_frame {
                Some(frame) => write!(f, ", after frame {frame})")?,
                None => write!(f, ", before the first frame)")?,
            }
        }
        match fault.advice() {
            "" => Ok(()),
            advice => write!(f, "; {advice}"),
        }
    }
}

impl Fault {
    /// Returns the fault that an error of the source is.
    pub(super) fn of_source(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::IsADirectory => Self::Directory,
            _ => Self::Io(error),
        }
    }

    /// Whether the place helps the reader of the error.
    fn has_a_place(&self) -> bool {
        !matches!(
            self,
            Self::Directory | Self::Empty | Self::NotACapture(_) | Self::HeaderCut(_)
        )
    }

    /// Whether compression is what is broken.
    pub(super) fn is_of_packing(&self) -> bool {
        matches!(
            self,
            Self::Io(_)
                | Self::PackingCut(_)
                | Self::PackingDamaged(..)
                | Self::Window(_)
                | Self::Dictionary(_)
                | Self::Expands(_)
        )
    }

    /// Returns what the user can do, after a semicolon; empty where there is nothing.
    fn advice(&self) -> &'static str {
        match self {
            Self::Missing => "check the name",
            Self::Directory => "name the capture files in it",
            Self::Permission => "ask its owner, or copy it with sudo",
            Self::Terminal => "pipe a capture into it, or name a file",
            Self::Io(_) => "",
            Self::Empty => "capture again; was the capturing program ended before it wrote?",
            Self::NotACapture(looks) => match looks {
                LooksLike::OtherCapture(_) => "convert it with `editcap -F pcapng`",
                LooksLike::Packed(_, advice) => advice,
                LooksLike::KeyLog => "give it with --keylog, and name the capture too",
                _ => "pcap and pcapng are read, plain or in gzip, zstd or lz4",
            },
            Self::HeaderCut(_) => "copy or capture it again",
            Self::Version { .. } => "convert it with `editcap -F pcapng`",
            Self::RecordCut | Self::BlockCut => {
                "what stands before was read; end a capture with Ctrl-C, or write it with tcpdump -U"
            }
            Self::Zeros => "what stands before was read; the disk was full, or the system crashed",
            Self::CorruptRecord { .. }
            | Self::CorruptBlock { .. }
            | Self::ContradictoryBlock { .. }
            | Self::UnknownInterface { .. }
            | Self::TooManyInterfaces => {
                "what stands before was read; the file was damaged from there on, copy it again"
            }
            Self::PackingCut(_) | Self::PackingDamaged(..) => {
                "what could be unpacked was read; copy the file again"
            }
            Self::Window(_) => "unpack it with `zstd -d --long=31` first",
            Self::Dictionary(_) => "unpack it with `zstd -d -D DICTIONARY` first",
            Self::Expands(_) => "if it is meant so, unpack it and pipe it in",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_safe_line_with_file_place_and_advice() {
        let place = Place {
            offset: 4116,
            packing: None,
            after_frame: Some(40),
        };
        let error = CaptureError::new("a\x1b.pcap", Fault::RecordCut, Some(place));
        assert_eq!(
            error.to_string(),
            "a\\x1b.pcap: the file is cut short in the middle of a packet (octet 4116, after \
             frame 40); what stands before was read; end a capture with Ctrl-C, or write it \
             with tcpdump -U"
        );
        assert_eq!(
            (error.offset(), error.after_frame()),
            (Some(4116), Some(40))
        );
        let error = CaptureError::new("b", Fault::Missing, None);
        assert_eq!(
            error.to_string(),
            "b: there is no such file; check the name"
        );
    }

    #[test]
    fn the_place_in_compressed_data_names_the_data_it_counts() {
        let at = |fault| {
            let place = Place {
                offset: 9,
                packing: Some(Packing::Gzip),
                after_frame: None,
            };
            CaptureError::new("c.gz", fault, Some(place)).to_string()
        };
        let message = at(Fault::PackingCut(Packing::Gzip));
        assert!(
            message.contains("(octet 9 of the gzip data, before the first frame)"),
            "{message}"
        );
        let message = at(Fault::BlockCut);
        assert!(
            message.contains("(octet 9 of what gzip unpacks to, before"),
            "{message}"
        );
    }
}
