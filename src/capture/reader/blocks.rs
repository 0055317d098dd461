//! The blocks of a pcapng file, one by one.

use std::io::Read;

use super::{Fault, Reader, Remarks, State, Step, Turn};
use crate::capture::order::Order;
use crate::capture::pcapng::{
    self, COMMENT, FOOT, HEAD, MAX_BLOCK, MAX_DESCRIPTION, MAX_INTERFACES, PACKET_HEAD, Section,
    block,
};
use crate::capture::{CommentOf, Format, MAX_FRAME};

impl<R: Read> Reader<R> {
    /// One block of a pcapng file.
    #[inline]
    pub(super) fn block(&mut self) -> Result<Turn, Fault> {
        if !self.buffer.has(HEAD)? {
            let rest = self.buffer.bytes();
            return if rest.is_empty() {
                Ok(Turn::End)
            } else {
                Err(Fault::BlockCut)
            };
        }
        let State::PcapNg(section) = &self.state else {
            return Ok(Turn::End);
        };
        let Some((kind, length)) = section.block_head(self.buffer.bytes()) else {
            return Err(Fault::BlockCut);
        };
        if kind == block::SECTION {
            return self.section();
        }
        if length < 12 || !length.is_multiple_of(4) || length > MAX_BLOCK {
            return Err(Fault::CorruptBlock { kind, length });
        }
        match kind {
            block::ENHANCED_PACKET | block::OLD_PACKET => self.packet(kind, length),
            block::SIMPLE_PACKET => self.simple_packet(length),
            block::INTERFACE => self.interface(length),
            block::SECRETS => self.secrets(length),
            _ => {
                let whole = self.buffer.skip(length as usize)?;
                if whole {
                    Ok(Turn::Again)
                } else {
                    Err(Fault::BlockCut)
                }
            }
        }
    }

    /// An Enhanced Packet Block, or an obsolete Packet Block: the same but for the interface.
    #[inline]
    fn packet(&mut self, kind: u32, length: u32) -> Result<Turn, Fault> {
        let whole = length as usize;
        if !self.buffer.has(whole)? {
            return Err(Fault::BlockCut);
        }
        let State::PcapNg(section) = &self.state else {
            return Ok(Turn::End);
        };
        let bytes = self.buffer.bytes();
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
        self.disagreeing += u64::from(self.lengths_disagree(whole));
        let (time, precision) = (interface.clock.time(head.ticks), interface.clock.precision);
        let link_type = interface.link_type;
        let start = self.buffer.place() + PACKET_HEAD;
        self.buffer.consume(whole);
        let options = captured.next_multiple_of(4);
        let step = self.frame(
            Some(time),
            precision,
            head.length.max(head.captured),
            link_type,
            start..start + captured,
        );
        if options < room {
            let of = CommentOf::Frame(self.number);
            self.remarks = Some(Remarks {
                places: start + options..start + room,
                of,
            });
        }
        Ok(Turn::Step(step))
    }

    /// A Simple Packet Block (§4.4): of the section's first interface, without a time.
    fn simple_packet(&mut self, length: u32) -> Result<Turn, Fault> {
        let whole = self.whole_block(length)?;
        let State::PcapNg(section) = &self.state else {
            return Ok(Turn::End);
        };
        let kind = block::SIMPLE_PACKET;
        let bytes = self.buffer.bytes().get(..whole).unwrap_or_default();
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
        let link_type = interface.link_type;
        let precision = interface.clock.precision;
        let start = self.buffer.place() + 12;
        self.buffer.consume(whole);
        let places = start..start + captured as usize;
        Ok(Turn::Step(
            self.frame(None, precision, stated, link_type, places),
        ))
    }

    /// A Section Header Block (§4.1): byte order and interfaces start over.
    #[cold]
    fn section(&mut self) -> Result<Turn, Fault> {
        let cut = |there: usize, offset: u64| {
            if offset == 0 {
                Fault::HeaderCut(there)
            } else {
                Fault::BlockCut
            }
        };
        if !self.buffer.has(12)? {
            return Err(cut(self.buffer.bytes().len(), self.buffer.offset()));
        }
        let kind = block::SECTION;
        let bytes = self.buffer.bytes();
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
        if !self.buffer.has(whole)? {
            return Err(cut(self.buffer.bytes().len(), self.buffer.offset()));
        }
        self.state = State::PcapNg(section);
        self.agree(whole, order);
        let bytes = self.buffer.bytes().get(..whole).unwrap_or_default();
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
        self.remark_on(CommentOf::Section, 24, whole);
        self.buffer.consume(whole);
        Ok(Turn::Again)
    }

    /// An Interface Description Block (§4.2).
    #[cold]
    fn interface(&mut self, length: u32) -> Result<Turn, Fault> {
        let kind = block::INTERFACE;
        if length > MAX_DESCRIPTION {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let whole = self.whole_block(length)?;
        let State::PcapNg(section) = &mut self.state else {
            return Ok(Turn::End);
        };
        if section.interfaces.len() >= MAX_INTERFACES {
            return Err(Fault::TooManyInterfaces);
        }
        let bytes = self.buffer.bytes().get(..whole).unwrap_or_default();
        if !section.describe(bytes) {
            return Err(Fault::CorruptBlock { kind, length });
        }
        let number = section.interfaces.len() - 1;
        if let Some(interface) = section.interfaces.last() {
            self.precision = self.precision.max(interface.clock.precision);
        }
        self.remark_on(CommentOf::Interface(number as u32), 16, whole);
        self.buffer.consume(whole);
        Ok(Turn::Again)
    }

    /// A Decryption Secrets Block (§4.7). By hand: what the crate gives includes the padding.
    #[cold]
    fn secrets(&mut self, length: u32) -> Result<Turn, Fault> {
        let whole = self.whole_block(length)?;
        let kind = block::SECRETS;
        let State::PcapNg(section) = &self.state else {
            return Ok(Turn::End);
        };
        let number = |at: usize| {
            let bytes = self.buffer.bytes().get(at..at + 4)?;
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
        let start = self.buffer.place() + 16;
        self.buffer.consume(whole);
        let places = start..start + stated as usize;
        Ok(Turn::Step(Step::Secrets {
            kind: secrets,
            places,
        }))
    }

    /// Waits for a whole block; its length in bytes.
    fn whole_block(&mut self, length: u32) -> Result<usize, Fault> {
        let whole = length as usize;
        if !self.buffer.has(whole)? {
            return Err(Fault::BlockCut);
        }
        if let State::PcapNg(section) = &self.state {
            self.agree(whole, section.order);
        }
        Ok(whole)
    }

    /// Whether the length at the end of a block differs from that at its beginning.
    #[inline]
    fn lengths_disagree(&self, whole: usize) -> bool {
        let bytes = self.buffer.bytes();
        bytes.get(4..8) != bytes.get(whole - FOOT..whole)
    }

    /// Makes the length at the end of a block that of its beginning: the latter frames the
    /// file, and the crate refuses blocks where they differ.
    fn agree(&mut self, whole: usize, order: Order) {
        if self.lengths_disagree(whole) {
            self.disagreeing += 1;
            let length = match order {
                Order::Little => (whole as u32).to_le_bytes(),
                Order::Big => (whole as u32).to_be_bytes(),
            };
            let end = self.buffer.place() + whole;
            if let Some(foot) = self.buffer.slice_mut(end - FOOT..end).first_chunk_mut() {
                *foot = length;
            }
        }
    }

    /// Remembers the comments that stand among the options of the block at hand.
    fn remark_on(&mut self, of: CommentOf, options: usize, whole: usize) {
        let start = self.buffer.place();
        let places = start + options..start + whole - FOOT;
        if !places.is_empty() {
            self.remarks = Some(Remarks { places, of });
        }
    }

    /// The next comment of the block that was read last.
    #[cold]
    pub(super) fn remark(&mut self) -> Option<Step> {
        let Remarks { mut places, of } = self.remarks.take()?;
        let State::PcapNg(section) = &self.state else {
            return None;
        };
        loop {
            let (code, value, taken) = section.option(self.buffer.slice(places.clone()))?;
            let start = places.start + 4;
            let comment = start..start + value.len();
            places.start += taken;
            if code == COMMENT {
                self.remarks = Some(Remarks { places, of });
                return Some(Step::Comment {
                    of,
                    places: comment,
                });
            }
        }
    }
}
