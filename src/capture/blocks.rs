//! The blocks of a pcapng file, one by one.

use std::ops::Range;

use pcap_parser::pcapng::OptionCode;

use super::buffer::Buffer;
use super::error::Fault;
use super::format::Format;
use super::frame::CommentOf;
use super::limits::{MAX_BLOCK, MAX_DESCRIPTION, MAX_FRAME, MAX_INTERFACES};
use super::order::Order;
use super::pcapng::{Block, FOOT, HEAD, Interface, block, option};
use super::piece::Piece;
use crate::base::Precision;

/// Bytes of the head of an Enhanced Packet Block and of the old Packet Block.
const PACKET_HEAD: usize = 28;

/// Reads block after block of a pcapng file.
#[derive(Default)]
pub(super) struct Blocks {
    /// The byte order of the section at hand.
    order: Order,
    /// The interfaces that the section described so far.
    interfaces: Vec<Interface>,
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
        if !buffer.has(HEAD)? && buffer.bytes().is_empty() {
            return Ok(Piece::End);
        }
        let (mut kind, mut length) = self.head(buffer)?;
        // The type of a section header reads the same in either byte order.
        if kind == block::SECTION {
            self.begin_section(buffer)?;
            (kind, length) = self.head(buffer)?;
        }
        let possible = match kind {
            block::SECTION => 28..=MAX_DESCRIPTION,
            block::INTERFACE => 12..=MAX_DESCRIPTION,
            _ => 12..=MAX_BLOCK,
        };
        if !length.is_multiple_of(4) || !possible.contains(&length) {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let whole = length as usize;
        match kind {
            block::ENHANCED_PACKET | block::OLD_PACKET | block::SIMPLE_PACKET => {}
            block::SECTION | block::INTERFACE | block::SECRETS => {}
            _ if buffer.skip(whole)? => return Ok(Piece::Nothing),
            _ => return Err(Fault::BlockCut),
        }
        if !buffer.has(whole)? {
            return Err(match buffer.offset() {
                0 => Fault::HeaderCut(buffer.bytes().len()),
                _ => Fault::BlockCut,
            });
        }
        let block = Block {
            kind,
            order: self.order,
            place: buffer.place(),
            bytes: buffer.bytes().get(..whole).unwrap_or_default(),
        };
        let agrees = block.bytes.get(4..8) == block.bytes.get(whole - FOOT..);
        let piece = match kind {
            block::SECTION => self.section(&block),
            block::INTERFACE => self.interface(&block),
            block::SECRETS => secrets(&block),
            block::SIMPLE_PACKET => self.simple_packet(&block),
            _ => self.packet(&block),
        };
        let packet = matches!(kind, block::ENHANCED_PACKET | block::OLD_PACKET);
        if !agrees && (piece.is_ok() || !packet) {
            self.disagreeing += 1;
        }
        let piece = piece?;
        buffer.consume(whole);
        Ok(piece)
    }

    /// Type and total length of the block at hand.
    #[inline]
    fn head(&self, buffer: &Buffer<'_>) -> Result<(u32, u32), Fault> {
        let head: Option<&[u8; HEAD]> = buffer.bytes().first_chunk();
        match head.map(|head| head.as_chunks::<4>().0) {
            Some(&[kind, length]) => Ok((self.order.u32(kind), self.order.u32(length))),
            _ => Err(Fault::BlockCut),
        }
    }

    /// At a Section Header Block (§4.1) byte order and interfaces start over.
    #[cold]
    fn begin_section(&mut self, buffer: &mut Buffer<'_>) -> Result<(), Fault> {
        if !buffer.has(12)? {
            return Err(Fault::BlockCut);
        }
        self.order = match buffer.bytes().get(8..12) {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            _ => {
                let kind = block::SECTION;
                let how = "begins a section without its byte-order magic";
                return Err(Fault::ContradictoryBlock { kind, how });
            }
        };
        self.interfaces.clear();
        Ok(())
    }

    #[cold]
    fn section(&mut self, block: &Block<'_>) -> Result<Piece, Fault> {
        let (major, minor) = block.version()?;
        if major != 1 {
            let format = Format::PcapNg;
            return Err(Fault::Version {
                format,
                major,
                minor,
            });
        }
        self.comments_on(CommentOf::Section, block, 24)
    }

    /// An Interface Description Block (§4.2).
    #[cold]
    fn interface(&mut self, block: &Block<'_>) -> Result<Piece, Fault> {
        let number = self.interfaces.len();
        if number >= MAX_INTERFACES {
            return Err(Fault::TooManyInterfaces);
        }
        let interface = block.interface()?;
        self.precision = self.precision.max(interface.clock.precision);
        self.interfaces.push(interface);
        self.comments_on(CommentOf::Interface(number as u32), block, 16)
    }

    /// An Enhanced Packet Block (§4.3), or an obsolete Packet Block (§A): the same but for the
    /// interface.
    ///
    /// By hand: pcap-parser makes a list of a packet's options, ten times their size, takes 61
    /// against 51 ns a block (100 MB in memory, without options), and it does not know the
    /// obsolete block.
    #[inline]
    fn packet(&mut self, block: &Block<'_>) -> Result<Piece, Fault> {
        // What of the block can hold the frame and its options.
        let room = block.room(PACKET_HEAD)?;
        let head: Option<&[u8; PACKET_HEAD]> = block.bytes.first_chunk();
        let Some(&[_, _, interface, high, low, captured, length]) =
            head.map(|head| head.as_chunks::<4>().0)
        else {
            return Err(block.corrupt());
        };
        let [a, b, ..] = interface;
        let interface = match block.kind {
            // Two bytes of interface, two of a count of drops.
            block::OLD_PACKET => u32::from(self.order.u16([a, b])),
            _ => self.order.u32(interface),
        };
        let [high, low, captured, length] =
            [high, low, captured, length].map(|number| self.order.u32(number));
        let interface = self.described(interface)?;
        if captured as usize > room || captured > MAX_FRAME {
            return Err(block.contradictory("claims more captured octets than it has"));
        }
        let place = block.range(PACKET_HEAD, captured as usize);
        let options = place.start + captured.next_multiple_of(4) as usize..place.start + room;
        let ticks = u64::from(high) << 32 | u64::from(low);
        let frame = Piece::Frame {
            time: Some(interface.clock.time(ticks)),
            precision: interface.clock.precision,
            length: length.max(captured),
            link_type: interface.link_type,
            place,
        };
        if !options.is_empty() {
            // The reader knows the number of the frame.
            self.options = Some((options, CommentOf::Frame(0)));
        }
        Ok(frame)
    }

    /// A Simple Packet Block (§4.4): of the section's first interface, without a time.
    fn simple_packet(&mut self, block: &Block<'_>) -> Result<Piece, Fault> {
        let room = block.room(12)?;
        let stated = block.u32(8)?;
        let interface = self.described(0)?;
        // The captured length is not stated: what was on the wire, cut by the snapshot length.
        let cut = match interface.snaplen {
            0 => u32::MAX,
            snaplen => snaplen,
        };
        let captured = stated.min(cut).min(room as u32);
        if captured > MAX_FRAME {
            return Err(block.contradictory("claims more captured octets than any frame has"));
        }
        Ok(Piece::Frame {
            time: None,
            precision: interface.clock.precision,
            length: stated,
            link_type: interface.link_type,
            place: block.range(12, captured as usize),
        })
    }

    /// Returns an interface of the section.
    #[inline]
    fn described(&self, interface: u32) -> Result<&Interface, Fault> {
        match self.interfaces.get(interface as usize) {
            Some(found) => Ok(found),
            None => Err(Fault::UnknownInterface {
                interface,
                described: self.interfaces.len(),
            }),
        }
    }

    /// Remembers where comments on `of` may stand: in the options of a block behind its first
    /// `head` bytes.
    fn comments_on(
        &mut self,
        of: CommentOf,
        block: &Block<'_>,
        head: usize,
    ) -> Result<Piece, Fault> {
        let place = block.range(head, block.room(head)?);
        self.options = (!place.is_empty()).then_some((place, of));
        Ok(Piece::Nothing)
    }

    /// Returns the next comment of the block that was read last.
    #[cold]
    fn comment(&mut self, buffer: &Buffer<'_>) -> Option<Piece> {
        let (place, of) = self.options.take()?;
        let mut list = buffer.slice(place.clone());
        loop {
            let start = place.end - list.len() + 4;
            let (code, value, rest) = option(self.order, list)?;
            list = rest;
            if code == OptionCode::Comment {
                self.options = Some((place.end - rest.len()..place.end, of));
                let place = start..start + value.len();
                return Some(Piece::Comment { of, place });
            }
        }
    }
}

/// A Decryption Secrets Block (§4.7).
#[cold]
fn secrets(block: &Block<'_>) -> Result<Piece, Fault> {
    let room = block.room(16)?;
    let (kind, stated) = (block.u32(8)?, block.u32(12)? as usize);
    if stated > room {
        return Err(block.contradictory("claims more octets of secrets than it has"));
    }
    let place = block.range(16, stated);
    Ok(Piece::Secrets { kind, place })
}
