//! The blocks of a pcapng file, one by one.

use std::ops::Range;

use super::buffer::Buffer;
use super::error::Fault;
use super::format::Format;
use super::frame::CommentOf;
use super::limits::{MAX_BLOCK, MAX_DESCRIPTION, MAX_FRAME, MAX_INTERFACES};
use super::order::Order;
use super::pcapng::{self, COMMENT, FOOT, HEAD, PACKET_HEAD, Section, block};
use super::piece::Piece;
use crate::base::Precision;

/// Reads block after block of a pcapng file.
#[derive(Default)]
pub(super) struct Blocks {
    section: Section,
    /// Options of the block that was read last in which comments are still to be looked for,
    /// by their place in the buffer, and the subject of those comments.
    options: Option<(Range<usize>, CommentOf)>,
    /// Blocks whose length at the end differs from that at the beginning, which was believed.
    pub(super) disagreeing: u64,
    /// The finest precision of any interface.
    pub(super) precision: Precision,
}

impl Blocks {
    /// Reads the next comment of the block that was read last, or the next block.
    ///
    /// # Errors
    /// The file is cut or damaged here.
    #[inline]
    pub(super) fn next(&mut self, buffer: &mut Buffer<'_>) -> Result<Piece, Fault> {
        if self.options.is_some()
            && let Some(comment) = self.comment(buffer)
        {
            return Ok(comment);
        }
        if !buffer.has(HEAD)? {
            let rest = buffer.bytes();
            return if rest.is_empty() {
                Ok(Piece::End)
            } else {
                Err(Fault::BlockCut)
            };
        }
        let Some((kind, length)) = self.section.block_head(buffer.bytes()) else {
            return Err(Fault::BlockCut);
        };
        if kind == block::SECTION {
            return self.section(buffer);
        }
        if length < 12 || !length.is_multiple_of(4) || length > MAX_BLOCK {
            return Err(Fault::CorruptBlock { kind, length });
        }
        match kind {
            block::ENHANCED_PACKET | block::OLD_PACKET => self.packet(buffer, kind, length),
            block::SIMPLE_PACKET => self.simple_packet(buffer, length),
            block::INTERFACE => self.interface(buffer, length),
            block::SECRETS => self.secrets(buffer, length),
            _ => {
                let whole = buffer.skip(length as usize)?;
                if whole {
                    Ok(Piece::Nothing)
                } else {
                    Err(Fault::BlockCut)
                }
            }
        }
    }

    /// An Enhanced Packet Block, or an obsolete Packet Block: the same but for the interface.
    #[inline]
    fn packet(&mut self, buffer: &mut Buffer<'_>, kind: u32, length: u32) -> Result<Piece, Fault> {
        let whole = length as usize;
        if !buffer.has(whole)? {
            return Err(Fault::BlockCut);
        }
        let section = &self.section;
        let bytes = buffer.bytes();
        // What of the block can hold the frame and its options.
        let Some(room) = whole.checked_sub(PACKET_HEAD + FOOT) else {
            return Err(Fault::CorruptBlock { kind, length });
        };
        let Some(head) = section.packet_head(kind, bytes) else {
            return Err(Fault::BlockCut);
        };
        let Some(interface) = section.interfaces.get(head.interface as usize) else {
            let described = section.interfaces.len();
            return Err(Fault::UnknownInterface {
                interface: head.interface,
                described,
            });
        };
        let captured = head.captured as usize;
        if captured > room || head.captured > MAX_FRAME {
            let how = "claims more captured octets than it has";
            return Err(Fault::ContradictoryBlock { kind, how });
        }
        self.disagreeing += u64::from(lengths_disagree(buffer, whole));
        let start = buffer.place() + PACKET_HEAD;
        buffer.consume(whole);
        let options = captured.next_multiple_of(4);
        if options < room {
            // The reader knows the number of the frame.
            self.options = Some((start + options..start + room, CommentOf::Frame(0)));
        }
        Ok(Piece::Frame {
            time: Some(interface.clock.time(head.ticks)),
            precision: interface.clock.precision,
            length: head.length.max(head.captured),
            link_type: interface.link_type,
            place: start..start + captured,
        })
    }

    /// A Simple Packet Block (§4.4): of the section's first interface, without a time.
    fn simple_packet(&mut self, buffer: &mut Buffer<'_>, length: u32) -> Result<Piece, Fault> {
        let whole = self.whole_block(buffer, length)?;
        let section = &self.section;
        let kind = block::SIMPLE_PACKET;
        let bytes = buffer.bytes().get(..whole).unwrap_or_default();
        let Some(stated) = section.simple_length(bytes) else {
            return Err(Fault::CorruptBlock { kind, length });
        };
        let Some(interface) = section.interfaces.first() else {
            return Err(Fault::UnknownInterface {
                interface: 0,
                described: 0,
            });
        };
        // The captured length is not stated: what was on the wire, cut by the snapshot length.
        let room = length.saturating_sub(16);
        let cut = if interface.snaplen == 0 {
            u32::MAX
        } else {
            interface.snaplen
        };
        let captured = stated.min(cut).min(room);
        if captured > MAX_FRAME {
            let how = "claims more captured octets than any frame has";
            return Err(Fault::ContradictoryBlock { kind, how });
        }
        let start = buffer.place() + 12;
        buffer.consume(whole);
        Ok(Piece::Frame {
            time: None,
            precision: interface.clock.precision,
            length: stated,
            link_type: interface.link_type,
            place: start..start + captured as usize,
        })
    }

    /// A Section Header Block (§4.1): byte order and interfaces start over.
    #[cold]
    fn section(&mut self, buffer: &mut Buffer<'_>) -> Result<Piece, Fault> {
        let cut = |there: usize, offset: u64| {
            if offset == 0 {
                Fault::HeaderCut(there)
            } else {
                Fault::BlockCut
            }
        };
        if !buffer.has(12)? {
            return Err(cut(buffer.bytes().len(), buffer.offset()));
        }
        let kind = block::SECTION;
        let bytes = buffer.bytes();
        let magic = bytes
            .get(8..12)
            .and_then(|magic| magic.first_chunk().copied());
        let Some(order) = magic.and_then(pcapng::section_order) else {
            let how = "begins a section without its byte-order magic";
            return Err(Fault::ContradictoryBlock { kind, how });
        };
        let section = Section {
            order,
            interfaces: Vec::new(),
        };
        let length = section.block_head(bytes).map_or(0, |(_, length)| length);
        if length < 28 || !length.is_multiple_of(4) || length > MAX_DESCRIPTION {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let whole = length as usize;
        if !buffer.has(whole)? {
            return Err(cut(buffer.bytes().len(), buffer.offset()));
        }
        self.section = section;
        self.agree(buffer, whole);
        let bytes = buffer.bytes().get(..whole).unwrap_or_default();
        match pcapng::section_version(bytes) {
            Some((1, _)) => {}
            Some((major, minor)) => {
                let format = Format::PcapNg;
                return Err(Fault::Version {
                    format,
                    major,
                    minor,
                });
            }
            None => return Err(Fault::CorruptBlock { kind, length }),
        }
        self.comments_on(CommentOf::Section, buffer, 24, whole);
        buffer.consume(whole);
        Ok(Piece::Nothing)
    }

    /// An Interface Description Block (§4.2).
    #[cold]
    fn interface(&mut self, buffer: &mut Buffer<'_>, length: u32) -> Result<Piece, Fault> {
        let kind = block::INTERFACE;
        if length > MAX_DESCRIPTION {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let whole = self.whole_block(buffer, length)?;
        let section = &mut self.section;
        if section.interfaces.len() >= MAX_INTERFACES {
            return Err(Fault::TooManyInterfaces);
        }
        let bytes = buffer.bytes().get(..whole).unwrap_or_default();
        if !section.describe(bytes) {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let number = section.interfaces.len() - 1;
        if let Some(interface) = section.interfaces.last() {
            self.precision = self.precision.max(interface.clock.precision);
        }
        let of = CommentOf::Interface(number as u32);
        self.comments_on(of, buffer, 16, whole);
        buffer.consume(whole);
        Ok(Piece::Nothing)
    }

    /// A Decryption Secrets Block (§4.7). By hand: what the crate gives includes the padding.
    #[cold]
    fn secrets(&mut self, buffer: &mut Buffer<'_>, length: u32) -> Result<Piece, Fault> {
        let whole = self.whole_block(buffer, length)?;
        let kind = block::SECRETS;
        let section = &self.section;
        let number = |at: usize| {
            let bytes = buffer.bytes().get(at..at + 4)?;
            bytes.first_chunk().map(|&bytes| section.order.u32(bytes))
        };
        let (Some(secrets), Some(stated), Some(room)) =
            (number(8), number(12), whole.checked_sub(20))
        else {
            return Err(Fault::CorruptBlock { kind, length });
        };
        if stated as usize > room {
            let how = "claims more octets of secrets than it has";
            return Err(Fault::ContradictoryBlock { kind, how });
        }
        let start = buffer.place() + 16;
        buffer.consume(whole);
        Ok(Piece::Secrets {
            kind: secrets,
            place: start..start + stated as usize,
        })
    }

    /// Waits for a whole block; its length in bytes.
    fn whole_block(&mut self, buffer: &mut Buffer<'_>, length: u32) -> Result<usize, Fault> {
        let whole = length as usize;
        if !buffer.has(whole)? {
            return Err(Fault::BlockCut);
        }
        self.agree(buffer, whole);
        Ok(whole)
    }

    /// Makes the length at the end of a block that of its beginning: the latter frames the
    /// file, and the crate refuses blocks where they differ.
    fn agree(&mut self, buffer: &mut Buffer<'_>, whole: usize) {
        if lengths_disagree(buffer, whole) {
            self.disagreeing += 1;
            let length = match self.section.order {
                Order::Little => (whole as u32).to_le_bytes(),
                Order::Big => (whole as u32).to_be_bytes(),
            };
            let end = buffer.place() + whole;
            if let Some(foot) = buffer.slice_mut(end - FOOT..end).first_chunk_mut() {
                *foot = length;
            }
        }
    }

    /// Remembers where comments on `of` may stand among the options of the block at hand.
    fn comments_on(&mut self, of: CommentOf, buffer: &Buffer<'_>, options: usize, whole: usize) {
        let start = buffer.place();
        let place = start + options..start + whole - FOOT;
        self.options = (!place.is_empty()).then_some((place, of));
    }

    /// Returns the next comment of the block that was read last.
    #[cold]
    fn comment(&mut self, buffer: &Buffer<'_>) -> Option<Piece> {
        let (mut place, of) = self.options.take()?;
        loop {
            let (code, value, taken) = self.section.option(buffer.slice(place.clone()))?;
            let start = place.start + 4;
            let comment = start..start + value.len();
            place.start += taken;
            if code == COMMENT {
                self.options = Some((place, of));
                return Some(Piece::Comment { of, place: comment });
            }
        }
    }
}

/// Whether the length at the end of a block differs from that at its beginning.
#[inline]
fn lengths_disagree(buffer: &Buffer<'_>, whole: usize) -> bool {
    let bytes = buffer.bytes();
    bytes.get(4..8) != bytes.get(whole - FOOT..whole)
}
