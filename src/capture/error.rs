//! The errors of captures: the fault, its place, and advice.

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
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Place {
    /// In bytes from the first of the file; of the compressed file if `packing` is set and
    /// the compression is what is broken, of the uncompressed capture otherwise.
    offset: u64,
    packing: Option<Packing>,
    /// The last frame that was read.
    after_frame: Option<u64>,
}

/// The fault of a capture.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// There is no such file.
    Missing,
    /// A directory was named.
    Directory,
    /// The file may not be read.
    Permission,
    /// Standard input is a terminal.
    Terminal,
    /// Any other error of the system.
    Io(io::Error),
    /// No byte at all.
    Empty,
    /// Something else than a capture.
    NotACapture(LooksLike),
    /// The file ends within its header; so many bytes are there.
    HeaderCut(usize),
    /// A version that is not known.
    Version {
        /// The format that has no such version.
        format: Format,
        /// The version's major number.
        major: u16,
        /// The version's minor number.
        minor: u16,
    },
    /// A pcap file ends in the middle of a record.
    RecordCut,
    /// A pcapng file ends in the middle of a block.
    BlockCut,
    /// A pcap record claims more bytes than any frame has.
    CorruptRecord {
        /// The claimed size of the frame, in bytes.
        captured: u32,
        /// The largest size that is believed, in bytes.
        limit: u32,
    },
    /// A pcapng block states a total length that is impossible or absurd.
    CorruptBlock {
        /// The block's type.
        kind: u32,
        /// The stated length, in bytes.
        length: u32,
    },
    /// A pcapng block of a possible length contradicts itself; `how` completes the sentence.
    ContradictoryBlock {
        /// The block's type.
        kind: u32,
        /// Its claim, as the end of a sentence.
        how: &'static str,
    },
    /// A packet of an interface that its section did not describe.
    UnknownInterface {
        /// The packet's interface, by its number in its section.
        interface: u32,
        /// How many interfaces the section described so far.
        described: usize,
    },
    /// A section describes more than [`MAX_INTERFACES`].
    TooManyInterfaces,
    /// Compressed data ends before its end mark.
    PackingCut(Packing),
    /// Compressed data is damaged; the words of the decompressor.
    PackingDamaged(Packing, String),
    /// A zstd frame needs a window of so many bytes, more than [`MAX_WINDOW`].
    Window(u64),
    /// A zstd frame needs the dictionary of that number.
    Dictionary(u32),
    /// Compressed data expands more than [`MAX_EXPANSION`] times.
    Expands(Packing),
}

impl CaptureError {
    /// An error of a capture that could not be opened.
    pub(super) fn unopened(name: &str, fault: Fault) -> Self {
        Self::new(name, fault, None)
    }

    /// An error `offset` bytes into a capture, behind the frame numbered `after_frame`.
    pub(super) fn at(
        name: &str,
        fault: Fault,
        offset: u64,
        packing: Option<Packing>,
        after_frame: Option<u64>,
    ) -> Self {
        let place = Place {
            offset,
            packing,
            after_frame,
        };
        Self::new(name, fault, Some(place))
    }

    fn new(name: &str, fault: Fault, place: Option<Place>) -> Self {
        Self(Box::new(Details {
            name: name.to_owned(),
            fault,
            place,
        }))
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
        self.0.place.map(|place| place.offset)
    }

    /// The number of the last frame that was read from this capture.
    pub fn after_frame(&self) -> Option<u64> {
        self.0.place.and_then(|place| place.after_frame)
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.fault {
            Fault::Io(error) => Some(error),
            _ => None,
        }
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

/// The fault in words, without place or advice.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there is no such file"),
            Self::Directory => write!(f, "this is a directory"),
            Self::Permission => write!(f, "the file may not be read: permission denied"),
            Self::Terminal => write!(f, "standard input is a terminal"),
            Self::Io(error) => write!(f, "it cannot be read: {error}"),
            Self::Empty => write!(f, "empty file: not one octet in it"),
            Self::NotACapture(looks) => write!(f, "this is not a capture: {looks}"),
            Self::HeaderCut(there) => {
                write!(
                    f,
                    "the file is cut short in its header: {there} octets are all there is"
                )
            }
            Self::Version {
                format,
                major,
                minor,
            } => {
                write!(f, "version {major}.{minor} of {format} is not known")
            }
            Self::RecordCut => write!(f, "the file is cut short in the middle of a packet"),
            Self::BlockCut => write!(f, "the file is cut short in the middle of a block"),
            Self::CorruptRecord { captured, limit } => write!(
                f,
                "corrupt record: a packet that claims {captured} octets, where {limit} is the most"
            ),
            Self::CorruptBlock { kind, length } => {
                write!(
                    f,
                    "corrupt block: type {kind:#x} with the impossible length {length}"
                )
            }
            Self::ContradictoryBlock { kind, how } => {
                write!(f, "corrupt block: type {kind:#x} {how}")
            }
            Self::UnknownInterface {
                interface,
                described,
            } => write!(
                f,
                "unknown interface: a packet of interface {interface}, where {described} are described"
            ),
            Self::TooManyInterfaces => {
                write!(f, "more than {MAX_INTERFACES} interfaces in one section")
            }
            Self::PackingCut(packing) => write!(
                f,
                "compressed data cut short: the {packing} data does not reach its end mark"
            ),
            Self::PackingDamaged(packing, words) => {
                write!(
                    f,
                    "compressed data damaged: {packing} says: {}",
                    text::safe(words)
                )
            }
            Self::Window(size) => {
                write!(
                    f,
                    "zstd needs a window of {size} octets, where {MAX_WINDOW} is the most"
                )
            }
            Self::Dictionary(id) => write!(f, "zstd needs a dictionary, number {id}"),
            Self::Expands(packing) => write!(
                f,
                "the {packing} data expands more than {MAX_EXPANSION} times, as a decompression bomb does"
            ),
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
                LooksLike::Packed(_, unpack) => match *unpack {
                    "gunzip" => "unpack it with gunzip first",
                    "bunzip2" => "unpack it with bunzip2 first",
                    "unxz" => "unpack it with unxz first",
                    _ => "unpack it first",
                },
                LooksLike::KeyLog => "give it with --keylog, and name the capture too",
                _ => "pcap and pcapng are read, plain or in gzip, zstd or lz4",
            },
            Self::HeaderCut(_) => "copy or capture it again",
            Self::Version { .. } => "convert it with `editcap -F pcapng`",
            Self::RecordCut | Self::BlockCut => {
                "what stands before was read; end a capture with Ctrl-C, or write it with tcpdump -U"
            }
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
        let error = CaptureError::at("a\x1b.pcap", Fault::RecordCut, 4116, None, Some(40));
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
        let error = CaptureError::unopened("b", Fault::Missing);
        assert_eq!(
            error.to_string(),
            "b: there is no such file; check the name"
        );
    }

    #[test]
    fn the_place_in_compressed_data_names_the_data_it_counts() {
        let at = |fault| CaptureError::at("c.gz", fault, 9, Some(Packing::Gzip), None).to_string();
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
