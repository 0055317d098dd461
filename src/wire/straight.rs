//! The fast path for what nearly every frame is: Ethernet, IP without options, TCP, with
//! nothing between.
//!
//! It gives what the general path gives, or nothing, and then the general path is taken: a
//! property test compares the two. By hand, since the fields stand at fixed places: 70
//! instructions a frame, and 110 with etherparse's slices, which check each header for all it
//! may be.

use std::net::IpAddr;

use etherparse::IpNumber;

use super::link;
use super::segment::{NO_LAYERS, Segment, TcpFlags};
use crate::base::Endpoint;
use crate::capture::Frame;

/// Bytes of Ethernet's header.
const ETHERNET: usize = 14;

/// Bytes of IPv4's header without options (RFC 791 §3.1).
const IPV4: usize = 20;

/// Bytes of IPv6's header (RFC 8200 §3).
const IPV6: usize = 40;

/// TCP among the protocols of IP.
const TCP_NUMBER: u8 = IpNumber::TCP.0;

/// Bytes of TCP's header without options (RFC 9293 §3.1).
const TCP: usize = 20;

/// The segment in a frame that has no surprises.
#[inline(always)]
pub(super) fn read<'a>(frame: &'a Frame<'a>) -> Option<Segment<'a>> {
    if frame.link_type != link::ETHERNET {
        return None;
    }
    let (ethernet, ip) = frame.bytes.split_first_chunk::<ETHERNET>()?;
    let [.., high, low] = *ethernet;
    // The rest once for each family, so that addresses need not be distinguished again later: 1 %
    // of the table.
    match u16::from_be_bytes([high, low]) {
        link::IPV4 => {
            let words = ip.first_chunk::<IPV4>()?.as_chunks::<4>().0;
            let [
                [version_and_words, _, t0, t1],
                [_, _, f0, f1],
                [_, protocol, _, _],
                source,
                destination,
            ] = *words
            else {
                return None;
            };
            // More Fragments, or a fragment's offset.
            let fragment = u16::from_be_bytes([f0, f1]) & 0x3fff != 0;
            if version_and_words != 0x45 || fragment || protocol != TCP_NUMBER {
                return None;
            }
            let addresses = [IpAddr::from(source), IpAddr::from(destination)];
            let total = usize::from(u16::from_be_bytes([t0, t1]));
            segment(frame, addresses, ip, IPV4, total)
        }
        link::IPV6 => {
            let header = ip.first_chunk::<IPV6>()?;
            let [version, _, _, _, l0, l1, next, _, ..] = *header;
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            if version >> 4 != 6 || next != TCP_NUMBER || length == 0 {
                return None;
            }
            let (source, destination) = header.last_chunk::<32>()?.split_first_chunk::<16>()?;
            let destination = destination.first_chunk::<16>()?;
            let addresses = [IpAddr::from(*source), IpAddr::from(*destination)];
            segment(frame, addresses, ip, IPV6, IPV6 + length)
        }
        _ => None,
    }
}

/// The segment in a datagram whose header has `header` bytes and which has `total` in all.
#[inline(always)]
fn segment<'a>(
    frame: &'a Frame<'a>,
    [source, destination]: [IpAddr; 2],
    ip: &'a [u8],
    header: usize,
    total: usize,
) -> Option<Segment<'a>> {
    let tcp = ip.get(header..)?.first_chunk::<TCP>()?;
    let [
        [p0, p1, q0, q1],
        sequence,
        acknowledgement,
        [words, flags, w0, w1],
        _,
    ] = *tcp.as_chunks::<4>().0
    else {
        return None;
    };
    let length = usize::from(words >> 4) * 4;
    if length < TCP {
        return None;
    }
    let begin = header + length;
    let (payload, cut) = match ip.get(begin..total) {
        Some(payload) => (payload, 0),
        None => (ip.get(begin..)?, total.checked_sub(ip.len())?),
    };
    Some(Segment {
        stamp: &frame.stamp,
        source: Endpoint {
            address: source,
            port: u16::from_be_bytes([p0, p1]),
        },
        destination: Endpoint {
            address: destination,
            port: u16::from_be_bytes([q0, q1]),
        },
        sequence: u32::from_be_bytes(sequence),
        acknowledgement: u32::from_be_bytes(acknowledgement),
        flags: TcpFlags(flags),
        window: u16::from_be_bytes([w0, w1]),
        payload,
        cut: cut as u32,
        layers: &NO_LAYERS,
    })
}
