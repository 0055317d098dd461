//! The short way for what nearly every frame is: Ethernet, IP, TCP, with nothing between.
//!
//! It gives what the long way gives, or nothing, and then the long way is taken: a property
//! test holds the two against each other. This way costs 13 ns a frame, the long
//! one 26, since that hands each result on in memory.

use etherparse::{Ipv4HeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice};

use super::TcpFlags;
use super::ip::{Addresses, address_pair, number};
use super::link;
use super::stripped::Stripped;
use super::tcp::Tcp;
use crate::capture::Frame;

/// The segment in a frame that has no surprises.
#[inline(always)]
pub(super) fn read<'a>(frame: &Frame<'a>) -> Option<Stripped<'a>> {
    if frame.link_type != link::ETHERNET {
        return None;
    }
    let (ethernet, ip) = frame.octets.split_first_chunk::<14>()?;
    let [.., high, low] = *ethernet;
    let (addresses, header, total) = match u16::from_be_bytes([high, low]) {
        link::IPV4 => read_v4(ip)?,
        link::IPV6 => read_v6(ip)?,
        _ => return None,
    };
    let (octets, cut) = match ip.get(header..total) {
        Some(octets) => (octets, 0),
        None => (ip.get(header..)?, total.checked_sub(ip.len())?),
    };
    let tcp = TcpHeaderSlice::from_slice(octets).ok()?;
    let (header, payload) = octets.split_at_checked(tcp.slice().len())?;
    let tcp = Tcp {
        source_port: tcp.source_port(),
        destination_port: tcp.destination_port(),
        sequence: tcp.sequence_number(),
        acknowledgement: tcp.acknowledgment_number(),
        flags: TcpFlags(*header.get(13)?),
        window: tcp.window_size(),
        payload,
        cut: u32::try_from(cut).ok()?,
    };
    Some(Stripped { addresses, tcp })
}

/// Addresses, and how many octets the header has and the whole datagram.
type Ip<'a> = (Addresses<'a>, usize, usize);

#[inline(always)]
fn read_v4(octets: &[u8]) -> Option<Ip<'_>> {
    let header = Ipv4HeaderSlice::from_slice(octets).ok()?;
    let length = header.slice().len();
    let total = usize::from(header.total_len());
    let plain = header.protocol().0 == number::TCP && !header.is_fragmenting_payload();
    if !plain || total < length {
        return None;
    }
    let (source, destination) = address_pair(header.slice(), 12)?;
    Some((Addresses::V4(source, destination), length, total))
}

#[inline(always)]
fn read_v6(octets: &[u8]) -> Option<Ip<'_>> {
    let header = Ipv6HeaderSlice::from_slice(octets).ok()?;
    let length = header.slice().len();
    let payload = usize::from(header.payload_length());
    if header.next_header().0 != number::TCP || payload == 0 {
        return None;
    }
    let (source, destination) = address_pair(header.slice(), 8)?;
    Some((Addresses::V6(source, destination), length, length + payload))
}
