//! Capture files written: pcap and pcapng, whole at every moment.

use std::io::{self, Write};

use pcap_parser::pcapng::OptionCode;

use super::format::Format;
use super::frame::LinkType;
use super::limits::{MAX_FRAME, USUAL_SNAPLEN};
use super::pcapng::block;
use crate::base::{Precision, Timestamp};

/// The snapshot length that is stated, in bytes: Wireshark takes no more.
const SNAPLEN: u32 = USUAL_SNAPLEN;

/// The longest comment, in bytes: what an option's length can state, in whole words.
const MAX_COMMENT: usize = 65_532;

/// Writes a capture with one interface, in little-endian order.
///
/// The header and each frame are one `write_all` each to the writer below, so a reader at
/// any moment finds whole records, unless the writer below itself stops in the middle (a
/// full disk).
#[derive(Debug)]
pub struct Writer<W> {
    to: W,
    format: Format,
    precision: Precision,
    /// The record at hand; kept so that no frame allocates.
    record: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Writes the header. `comment` speaks of the whole capture; pcap has no place for it.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn new(
        to: W,
        format: Format,
        link_type: LinkType,
        precision: Precision,
        comment: Option<&str>,
    ) -> io::Result<Self> {
        let mut writer = Self {
            to,
            format,
            precision,
            record: Vec::new(),
        };
        match format {
            Format::Pcap => writer.pcap_header(link_type),
            Format::PcapNg => writer.pcapng_header(link_type, comment),
        }
        writer.put()?;
        Ok(writer)
    }

    /// Writes one frame of `length` bytes on the wire, of which `bytes` were captured.
    /// `comment` speaks of this frame; pcap has no place for it.
    ///
    /// Times before 1970 become 1970; pcap cannot state times after 2106 and gives 2106.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for more bytes than [`super::USUAL_SNAPLEN`], which
    /// the header states and Wireshark insists on; else those of the writer below.
    pub fn write_frame(
        &mut self,
        time: Timestamp,
        bytes: &[u8],
        length: u32,
        comment: Option<&str>,
    ) -> io::Result<()> {
        let captured = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if captured > SNAPLEN {
            let words = "a frame longer than readers take";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let length = length.max(captured);
        let nanos = u64::try_from(time.nanos()).unwrap_or(0);
        let tick = match self.precision {
            Precision::Micro => 1_000,
            Precision::Nano => 1,
        };
        match self.format {
            Format::Pcap => {
                let seconds = u32::try_from(nanos / 1_000_000_000).unwrap_or(u32::MAX);
                let fraction = nanos % 1_000_000_000 / tick;
                self.words(&[seconds, fraction as u32, captured, length]);
                self.record.extend_from_slice(bytes);
            }
            Format::PcapNg => {
                let ticks = nanos / tick;
                let block = self.begin_block(block::ENHANCED_PACKET);
                self.words(&[0, (ticks >> 32) as u32, ticks as u32, captured, length]);
                self.padded(bytes);
                if let Some(comment) = comment {
                    self.option(OptionCode::Comment, comment.as_bytes());
                    self.option(OptionCode::EndOfOpt, &[]);
                }
                self.end_block(block);
            }
        }
        self.put()
    }

    /// Writes secrets that decrypt the frames that follow, with a kind such as
    /// [`super::Secrets::TLS_KEY_LOG`]; pcap has no place for them.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for more bytes than [`super::MAX_FRAME`]; else those
    /// of the writer below.
    pub fn write_secrets(&mut self, kind: u32, bytes: &[u8]) -> io::Result<()> {
        if self.format == Format::Pcap {
            return Ok(());
        }
        if bytes.len() > MAX_FRAME as usize {
            let words = "more secrets than readers take";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, words));
        }
        let block = self.begin_block(block::SECRETS);
        self.words(&[kind, bytes.len() as u32]);
        self.padded(bytes);
        self.end_block(block);
        self.put()
    }

    /// Flushes the writer below.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    fn pcap_header(&mut self, link_type: LinkType) {
        let magic = match self.precision {
            Precision::Micro => 0xa1b2_c3d4,
            Precision::Nano => 0xa1b2_3c4d,
        };
        // Version 2.4.
        self.words(&[magic, 4 << 16 | 2, 0, 0, SNAPLEN, link_type.0.into()]);
    }

    fn pcapng_header(&mut self, link_type: LinkType, comment: Option<&str>) {
        let section = self.begin_block(block::SECTION);
        // Version 1.0. The length of the section is not known beforehand: -1 (draft §4.1).
        self.words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        if let Some(comment) = comment {
            self.option(OptionCode::Comment, comment.as_bytes());
        }
        let application = concat!("mqtt-inspect ", env!("CARGO_PKG_VERSION"));
        self.option(OptionCode::ShbUserAppl, application.as_bytes());
        self.option(OptionCode::EndOfOpt, &[]);
        self.end_block(section);
        let interface = self.begin_block(block::INTERFACE);
        self.words(&[link_type.0.into(), SNAPLEN]);
        self.option(OptionCode::IfTsresol, &[self.precision.digits() as u8]);
        self.option(OptionCode::EndOfOpt, &[]);
        self.end_block(interface);
    }

    fn words(&mut self, numbers: &[u32]) {
        for number in numbers {
            self.record.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn padded(&mut self, bytes: &[u8]) {
        self.record.extend_from_slice(bytes);
        let padded = self.record.len().next_multiple_of(4);
        self.record.resize(padded, 0);
    }

    /// An option; a text that is too long is cut between characters.
    fn option(&mut self, code: OptionCode, value: &[u8]) {
        let mut length = value.len().min(MAX_COMMENT);
        while length < value.len() && value.get(length).is_some_and(|b| b & 0xc0 == 0x80) {
            length -= 1;
        }
        self.words(&[(length as u32) << 16 | u32::from(code.0)]);
        self.padded(value.get(..length).unwrap_or_default());
    }

    /// Begins a block, and returns where; its length is filled in at its end.
    fn begin_block(&mut self, kind: u32) -> usize {
        let start = self.record.len();
        self.words(&[kind, 0]);
        start
    }

    /// Ends the block that began at `start`.
    fn end_block(&mut self, start: usize) {
        let length = (self.record.len() - start + 4) as u32;
        self.words(&[length]);
        if let Some(at) = self.record.get_mut(start + 4..start + 8) {
            at.copy_from_slice(&length.to_le_bytes());
        }
    }

    /// Hands the record at hand on in one piece.
    fn put(&mut self) -> io::Result<()> {
        let result = self.to.write_all(&self.record);
        self.record.clear();
        result
    }
}

impl<W> Writer<W> {
    /// The writer below.
    pub fn get_ref(&self) -> &W {
        &self.to
    }

    /// The writer below.
    pub fn inner_mut(&mut self) -> &mut W {
        &mut self.to
    }

    /// The writer below, for good.
    pub fn into_inner(self) -> W {
        self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(format: Format, comment: Option<&str>) -> Vec<u8> {
        let writer = Writer::new(Vec::new(), format, LinkType(1), Precision::Nano, comment);
        writer.unwrap().into_inner()
    }

    #[test]
    fn a_pcap_header_is_the_one_of_the_format() {
        assert_eq!(
            header(Format::Pcap, Some("no place for it")),
            [
                0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0
            ]
        );
    }

    #[test]
    fn every_record_is_one_write() {
        struct Count(Vec<usize>);
        impl Write for Count {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.len());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let to = Count(Vec::new());
        let mut writer =
            Writer::new(to, Format::PcapNg, LinkType(1), Precision::Micro, Some("c")).unwrap();
        let time = Timestamp::from_nanos(-5);
        writer
            .write_frame(time, &[1; 9], 0, Some("remark"))
            .unwrap();
        writer.write_secrets(7, b"s").unwrap();
        assert_eq!(
            writer.get_ref().0.get(1..),
            Some(&[28 + 12 + 4 + 8 + 4 + 4, 24][..])
        );
    }

    #[test]
    fn a_comment_that_is_too_long_is_cut_between_characters() {
        let bytes = header(Format::PcapNg, Some(&format!("x{}", "한".repeat(30_000))));
        let length = usize::from(u16::from_le_bytes([bytes[26], bytes[27]]));
        assert!(length > 65_500 && length < MAX_COMMENT);
        assert!(std::str::from_utf8(&bytes[28..28 + length]).is_ok());
    }

    #[test]
    fn a_frame_that_no_reader_takes_is_refused_and_nothing_is_written() {
        let mut writer = Writer::new(
            Vec::new(),
            Format::Pcap,
            LinkType(1),
            Precision::Micro,
            None,
        )
        .unwrap();
        let frame = vec![0; SNAPLEN as usize + 1];
        let error = writer
            .write_frame(Timestamp::default(), &frame, 0, None)
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert_eq!(writer.get_ref().len(), 24);
    }
}
