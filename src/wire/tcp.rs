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

/// A header without options, in octets.
const MIN_HEADER: usize = 20;

#[inline]
pub(super) fn read(part: Part<'_>) -> Result<Tcp<'_>, Skipped> {
    let Ok(header) = TcpHeaderSlice::from_slice(part.octets) else {
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
        payload: payload.octets,
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
