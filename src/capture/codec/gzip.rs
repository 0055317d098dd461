//! gzip members (RFC 1952).
//!
//! flate2's own reader of members drops what it unpacked in the call that meets damage, up to
//! a whole buffer of sound frames; here everything before the damage is given.

use std::io::{self, BufRead, ErrorKind, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::decode::{Begun, Decode};
use super::input::Input;
use crate::capture::error::Fault;
use crate::capture::format::Packing;

/// The first bytes of a member (RFC 1952 §2.3.1).
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Flags of a member's header (RFC 1952 §2.3.1).
mod flag {
    pub(super) const HEADER_CRC: u8 = 0x02;
    pub(super) const EXTRA: u8 = 0x04;
    pub(super) const NAME: u8 = 0x08;
    pub(super) const COMMENT: u8 = 0x10;
    pub(super) const RESERVED: u8 = 0xe0;
}

/// A decoder of one gzip member.
struct Gzip {
    inflate: Decompress,
    crc: Crc,
    /// How the member ended, behind the bytes that were given last.
    ended: Option<io::Result<()>>,
}

/// Begins to decode the member before which `input` stands.
pub(super) fn begin<'a>(input: &mut Input<'a>) -> Begun<'a> {
    let begun = skip_header(input);
    begun.map_err(|error| input.fault(Packing::Gzip, &error))?;
    Ok(Box::new(Gzip {
        inflate: Decompress::new(false),
        crc: Crc::new(),
        ended: None,
    }))
}

impl<'a> Decode<'a> for Gzip {
    fn read(&mut self, input: &mut Input<'a>, into: &mut [u8]) -> Result<usize, Fault> {
        let read = self.next(input, into);
        read.map_err(|error| input.fault(Packing::Gzip, &error))
    }
}

impl Gzip {
    fn next(&mut self, input: &mut Input<'_>, into: &mut [u8]) -> io::Result<usize> {
        while self.ended.is_none() {
            let made = self.inflate(input, into)?;
            if made > 0 {
                return Ok(made);
            }
        }
        self.ended.replace(Ok(())).unwrap_or(Ok(())).map(|()| 0)
    }

    /// Bytes of the member; 0 where it made none of what it took, or has ended.
    fn inflate(&mut self, input: &mut Input<'_>, into: &mut [u8]) -> io::Result<usize> {
        let (taken, made) = (self.inflate.total_in(), self.inflate.total_out());
        let bytes = input.fill_buf()?;
        let nothing = bytes.is_empty();
        let status = self.inflate.decompress(bytes, into, FlushDecompress::None);
        let taken = (self.inflate.total_in() - taken) as usize;
        let made = (self.inflate.total_out() - made) as usize;
        input.consume(taken);
        self.crc.update(into.get(..made).unwrap_or_default());
        match status {
            Ok(Status::StreamEnd) => self.ended = Some(self.check_trailer(input)),
            Ok(_) if made == 0 && nothing => {
                self.ended = Some(Err(ErrorKind::UnexpectedEof.into()))
            }
            Ok(_) if made > 0 || taken > 0 => {}
            Ok(_) | Err(_) => self.ended = Some(Err(damaged("corrupt deflate stream"))),
        }
        Ok(made)
    }

    /// Takes the checksum and the length behind a member.
    fn check_trailer(&self, input: &mut Input<'_>) -> io::Result<()> {
        let mut stated = [0; 8];
        input.read_exact(&mut stated)?;
        let expected = u64::from(self.crc.amount()) << 32 | u64::from(self.crc.sum());
        if u64::from_le_bytes(stated) != expected {
            return Err(damaged("the checksum is wrong"));
        }
        Ok(())
    }
}

/// Takes a member's header (RFC 1952 §2.3).
fn skip_header(input: &mut Input<'_>) -> io::Result<()> {
    let mut fixed = [0; 10];
    input.read_exact(&mut fixed)?;
    // The magic number brought us here; 8 is deflate.
    let [_, _, 8, flags, ..] = fixed else {
        return Err(damaged("a header of an unknown kind"));
    };
    if flags & flag::RESERVED != 0 {
        return Err(damaged("a header of an unknown kind"));
    }
    if flags & flag::EXTRA != 0 {
        let mut length = [0; 2];
        input.read_exact(&mut length)?;
        input.skip(u16::from_le_bytes(length).into())?;
    }
    for text in [flag::NAME, flag::COMMENT] {
        if flags & text != 0 {
            // Where it has no end, what follows is missing as well.
            input.skip_until(0)?;
        }
    }
    if flags & flag::HEADER_CRC != 0 {
        input.skip(2)?;
    }
    Ok(())
}

fn damaged(how: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, how)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::super::chain::Chain;
    use super::*;

    fn read_all(packed: &[u8], portion: usize) -> (Vec<u8>, Option<String>) {
        let input = Input::new(Box::new(packed));
        let mut gzip = Chain::new(input, Packing::Gzip);
        let mut into = vec![0; portion];
        let mut all = Vec::new();
        loop {
            match gzip.read(&mut into) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend(&into[..count]),
                Err(error) => return (all, Some(error.to_string())),
            }
        }
    }

    fn sample() -> Vec<u8> {
        (0..20_000_u32).map(|i| ((i * i) >> 9) as u8).collect()
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzBuilder::new()
            .filename("a.pcap")
            .comment("made for a test")
            .extra(vec![1, 2, 3])
            .write(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn members_with_every_field_of_a_header_are_read_in_any_portions() {
        let twice = [packed(&sample()), packed(b"more")].concat();
        let plain = [sample(), b"more".to_vec()].concat();
        for portion in [1, 7, 4096, 1 << 20] {
            assert_eq!(read_all(&twice, portion), (plain.clone(), None));
        }
    }

    #[test]
    fn everything_before_a_damage_is_given_whatever_is_asked_for_at_a_time() {
        let mut packed = packed(&sample());
        let at = packed.len() / 2;
        packed[at..at + 40].fill(0xff);
        let (little, why) = read_all(&packed, 1);
        let (before, _) = read_all(&packed[..at], 1);
        assert!(!before.is_empty() && sample().starts_with(&before) && little.starts_with(&before));
        assert_eq!(read_all(&packed, 1 << 20), (little, why.clone()));
        // The stream itself, or at its end the checksum: that depends on who packed it.
        assert!(why.is_some());
    }

    #[test]
    fn an_end_that_is_cut_or_wrong_is_reported_and_loses_nothing() {
        let whole = packed(&sample());
        for cut in 1..=8 {
            let (read, why) = read_all(&whole[..whole.len() - cut], 1 << 20);
            assert_eq!(read, sample());
            assert!(why.is_some());
        }
        let mut wrong = whole;
        *wrong.last_mut().unwrap() ^= 1;
        let (_, why) = read_all(&wrong, 1 << 20);
        assert!(why.unwrap().ends_with("the checksum is wrong"));
    }
}
