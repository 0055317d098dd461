//! The TCP header (RFC 9293 §3.1).

use etherparse::TcpHeaderSlice;

use super::part::Part;
use super::{Skipped, TcpFlags};

/// A TCP header read, and the payload behind it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tcp<'a> {
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) sequence: u32,
    pub(super) acknowledgement: u32,
    pub(super) flags: TcpFlags,
    pub(super) window: u16,
    pub(super) payload: &'a [u8],
    pub(super) cut: u32,
}

/// A header without options, in bytes.
const MIN_HEADER: usize = 20;

pub(super) fn read(part: Part<'_>) -> Result<Tcp<'_>, Skipped> {
    let Ok(header) = TcpHeaderSlice::from_slice(part.bytes) else {
        return read_cut(part);
    };
    let payload = part.behind(header.slice().len())?;
    Ok(Tcp {
        source_port: header.source_port(),
        destination_port: header.destination_port(),
        sequence: header.sequence_number(),
        acknowledgement: header.acknowledgment_number(),
        flags: TcpFlags(header.slice().get(13).copied().unwrap_or_default()),
        window: header.window_size(),
        payload: payload.bytes,
        cut: u32::try_from(payload.cut).unwrap_or(u32::MAX),
    })
}

/// The snapshot length may cut within the header. As long as the flags are there, all that
/// keeps a stream in step is: the ports, the numbers, and how long header and payload were.
#[cold]
fn read_cut(part: Part<'_>) -> Result<Tcp<'_>, Skipped> {
    let (
        &[
            s0,
            s1,
            d0,
            d1,
            q0,
            q1,
            q2,
            q3,
            a0,
            a1,
            a2,
            a3,
            offset,
            flags,
        ],
        rest,
    ) = part.split::<14>()?;
    let header = usize::from(offset >> 4) * 4;
    if header < MIN_HEADER || header > part.length() {
        return Err(Skipped::MalformedTcp);
    }
    let window = rest.split::<2>().map_or([0; 2], |(window, _)| *window);
    Ok(Tcp {
        source_port: u16::from_be_bytes([s0, s1]),
        destination_port: u16::from_be_bytes([d0, d1]),
        sequence: u32::from_be_bytes([q0, q1, q2, q3]),
        acknowledgement: u32::from_be_bytes([a0, a1, a2, a3]),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes(window),
        payload: &[],
        cut: u32::try_from(part.length() - header).unwrap_or(u32::MAX),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;

    fn read_part(bytes: &[u8], cut: usize) -> Result<(Vec<u8>, u32, u16), Skipped> {
        let tcp = read(Part { bytes, cut })?;
        assert_eq!((tcp.source_port, tcp.sequence), (SOURCE_PORT, SEQUENCE));
        Ok((tcp.payload.to_vec(), tcp.cut, tcp.window))
    }

    #[test]
    fn options_are_no_payload() {
        let mut bytes = segment();
        bytes.splice(20..20, [1; 8]);
        bytes[12] = 7 << 4;
        assert_eq!(read_part(&bytes, 3), Ok((PAYLOAD.to_vec(), 3, 4096)));
    }

    #[test]
    fn a_header_cut_behind_the_flags_still_tells_the_length() {
        let bytes = segment();
        let payload = PAYLOAD.len() as u32;
        for end in 16..20 {
            let part = read_part(&bytes[..end], bytes.len() - end);
            assert_eq!(part, Ok((Vec::new(), payload, 4096)));
        }
        let part = read_part(&bytes[..14], bytes.len() - 14);
        assert_eq!(part, Ok((Vec::new(), payload, 0)));
        let part = read_part(&bytes[..13], bytes.len() - 13);
        assert_eq!(part, Err(Skipped::CutShort));
    }

    #[test]
    fn a_data_offset_below_the_header_or_beyond_the_segment_is_malformed() {
        for offset in [4 << 4, 0xf0] {
            let mut bytes = segment();
            bytes[12] = offset;
            assert_eq!(read_part(&bytes, 0), Err(Skipped::MalformedTcp));
        }
    }
}
