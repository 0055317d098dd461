//! The TCP header (RFC 9293 §3.1).

use super::addresses::Addresses;
use super::part::Part;
use super::segment::{NO_LAYERS, Segment, TcpFlags};
use super::skipped::Skipped;
use crate::base::{FrameStamp, Layer};

/// A header without options, in bytes.
const MIN_HEADER: usize = 20;

/// Reads the segment with which `part` begins, without its layers.
///
/// The snapshot length may cut within the header. As long as the flags are there, all that
/// keeps a stream in step is: the ports, the numbers, and how long header and payload were.
///
/// ```text
/// ports 2 + 2 | sequence 4 | acknowledgement 4 | header length, flags 1 + 1 | window 2 | ..
/// ```
pub(super) fn read<'a>(
    part: Part<'a>,
    stamp: &'a FrameStamp,
    addresses: &Addresses<'_>,
) -> Result<Segment<'a>, Skipped> {
    let (ports, rest) = part.split::<4>()?;
    let (sequence, rest) = rest.split::<4>()?;
    let (acknowledgement, rest) = rest.split::<4>()?;
    let (&[words, flags], rest) = rest.split::<2>()?;
    // A window that was cut off is not one of 0, which would be a sign of trouble.
    let window = rest
        .split::<2>()
        .map_or([u8::MAX; 2], |(window, _)| *window);
    let header = usize::from(words >> 4) * 4;
    if header < MIN_HEADER || header > part.length() {
        return Err(Skipped::MalformedTcp);
    }
    let payload = part.behind(header).unwrap_or(Part {
        bytes: &[],
        cut: part.length() - header,
    });
    let (source, destination) = addresses.endpoints(*ports);
    Ok(Segment {
        stamp,
        source,
        destination,
        sequence: u32::from_be_bytes(*sequence),
        acknowledgement: u32::from_be_bytes(*acknowledgement),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes(window),
        payload: payload.bytes,
        cut: u32::try_from(payload.cut).unwrap_or(u32::MAX),
        layers: &NO_LAYERS,
    })
}

/// Returns the layer that a segment is.
pub(super) fn layer(segment: &Segment<'_>) -> Layer {
    Layer::Tcp {
        source: segment.source,
        destination: segment.destination,
        sequence: segment.sequence,
        acknowledgement: segment.acknowledgement,
        flags: segment.flags.0,
        length: (segment.payload.len() as u32).saturating_add(segment.cut),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{PAYLOAD, SEQUENCE, SOURCE_PORT, segment};
    use super::*;

    fn read_part(bytes: &[u8], cut: usize) -> Result<(Vec<u8>, u32, u16), Skipped> {
        let stamp = FrameStamp::default();
        let tcp = read(Part { bytes, cut }, &stamp, &Addresses::NONE)?;
        assert_eq!((tcp.source.port, tcp.sequence), (SOURCE_PORT, SEQUENCE));
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
    fn a_header_cut_behind_the_flags_still_gives_the_length() {
        let bytes = segment();
        let payload = PAYLOAD.len() as u32;
        for end in 16..20 {
            let part = read_part(&bytes[..end], bytes.len() - end);
            assert_eq!(part, Ok((Vec::new(), payload, 4096)));
        }
        let part = read_part(&bytes[..14], bytes.len() - 14);
        assert_eq!(part, Ok((Vec::new(), payload, u16::MAX)));
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
