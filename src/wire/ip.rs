//! IPv4 (RFC 791), IPv6 (RFC 8200) and the headers between them and TCP.
//!
//! Checksums are not verified: where the network card computes them, nearly every frame a
//! host captures of itself has a wrong one.

use std::net::{IpAddr, Ipv6Addr};

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err,
};

use super::listen::Listen;
use super::part::{FragmentHeader, Next, Part};
use super::{Skipped, tunnel};
use crate::base::Layer;

/// The protocol numbers that are looked into.
pub(super) mod number {
    use super::IpNumber;

    pub(in super::super) const TCP: u8 = IpNumber::TCP.0;
    pub(in super::super) const UDP: u8 = IpNumber::UDP.0;
    pub(in super::super) const ICMP: u8 = IpNumber::ICMP.0;
    pub(in super::super) const ICMPV6: u8 = IpNumber::IPV6_ICMP.0;
    pub(in super::super) const IPV4: u8 = IpNumber::IPV4.0;
    pub(in super::super) const IPV6: u8 = IpNumber::IPV6.0;
    pub(in super::super) const GRE: u8 = IpNumber::GRE.0;
    pub(in super::super) const AUTHENTICATION: u8 = IpNumber::AUTHENTICATION_HEADER.0;
    pub(in super::super) const HOP_BY_HOP: u8 = IpNumber::IPV6_HEADER_HOP_BY_HOP.0;
    pub(in super::super) const ROUTING: u8 = IpNumber::IPV6_ROUTE_HEADER.0;
    pub(in super::super) const FRAGMENT: u8 = IpNumber::IPV6_FRAGMENTATION_HEADER.0;
    pub(in super::super) const DESTINATION: u8 = IpNumber::IPV6_DESTINATION_OPTIONS.0;
    pub(in super::super) const MOBILITY: u8 = IpNumber::MOBILITY_HEADER.0;
    pub(in super::super) const HIP: u8 = IpNumber::HIP.0;
    pub(in super::super) const SHIM6: u8 = IpNumber::SHIM6.0;
}

/// Source and destination of the innermost IP header read so far.
pub(super) type Addresses = (IpAddr, IpAddr);

/// Reads an IPv4 or IPv6 header, as its first four bits say.
#[inline]
pub(super) fn read<'a>(
    part: Part<'a>,
    addresses: &mut Addresses,
    told: &mut impl Listen,
) -> Result<(Next, Part<'a>), Skipped> {
    let stripped = match part.octets.first().ok_or(Skipped::CutShort)? >> 4 {
        4 => read_v4(part, addresses)?,
        6 => read_v6(part, addresses)?,
        _ => return Err(Skipped::NotIp),
    };
    told.layer(|| Layer::Ip {
        source: addresses.0,
        destination: addresses.1,
    });
    Ok(stripped)
}

#[inline]
fn read_v4<'a>(part: Part<'a>, addresses: &mut Addresses) -> Result<(Next, Part<'a>), Skipped> {
    let header = Ipv4HeaderSlice::from_slice(part.octets).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => Skipped::CutShort,
        err::ipv4::HeaderSliceError::Content(_) => Skipped::MalformedIp,
    })?;
    let length = header.slice().len();
    let part = match usize::from(header.total_len()) {
        // Segmentation offload: the card fills the length in once it has cut the segment.
        0 => part,
        total if total < length => return Err(Skipped::MalformedIp),
        total => part.within(total),
    };
    *addresses = (
        IpAddr::V4(header.source_addr()),
        IpAddr::V4(header.destination_addr()),
    );
    let rest = part.behind(length)?;
    let protocol = header.protocol().0;
    if !header.is_fragmenting_payload() {
        return Ok((Next::Protocol(protocol), rest));
    }
    let fragment = FragmentHeader {
        identification: u32::from(header.identification()),
        offset: header.fragments_offset().byte_offset(),
        more: header.more_fragments(),
        protocol,
    };
    Ok((Next::Fragment(fragment), rest))
}

#[inline]
fn read_v6<'a>(part: Part<'a>, addresses: &mut Addresses) -> Result<(Next, Part<'a>), Skipped> {
    let header = Ipv6HeaderSlice::from_slice(part.octets).map_err(|_| Skipped::CutShort)?;
    let rest = part.behind(header.slice().len())?;
    let next = header.next_header().0;
    let rest = match usize::from(header.payload_length()) {
        0 => rest.within(jumbo(next, rest).unwrap_or(rest.length())),
        length => rest.within(length),
    };
    *addresses = (
        IpAddr::V6(header.source_addr()),
        IpAddr::V6(header.destination_addr()),
    );
    Ok((Next::Protocol(next), rest))
}

/// The payload length of a jumbogram (RFC 2675 §2): an option that its alignment puts first
/// among those hop by hop. Linux captures segments above 65,535 octets with the option or
/// without it; a length that the frame does not have is not believed.
fn jumbo(next: u8, rest: Part<'_>) -> Option<usize> {
    match *rest.octets {
        [_, _, 0xc2, 4, a, b, c, d, ..] if next == number::HOP_BY_HOP => {
            let length = u32::from_be_bytes([a, b, c, d]);
            usize::try_from(length).ok().filter(|l| *l <= rest.length())
        }
        _ => None,
    }
}

/// Takes off a header that may stand between IP and TCP, or says what else the datagram is.
/// What is an extension header in IPv6 alone is read in IPv4 all the same.
pub(super) fn protocol<'a>(
    protocol: u8,
    part: Part<'a>,
    addresses: &mut Addresses,
    told: &mut impl Listen,
) -> Result<(Next, Part<'a>), Skipped> {
    match protocol {
        number::UDP => tunnel::read_udp(part, told),
        number::GRE => tunnel::read_gre(part, told),
        number::IPV4 | number::IPV6 => Ok((Next::Ip, part)),
        number::HOP_BY_HOP
        | number::ROUTING
        | number::DESTINATION
        | number::MOBILITY
        | number::HIP
        | number::SHIM6 => {
            let header =
                Ipv6RawExtHeaderSlice::from_slice(part.octets).map_err(|_| Skipped::CutShort)?;
            if let IpAddr::V6(destination) = &mut addresses.1
                && protocol == number::ROUTING
                && let Some(last) = final_destination(header.slice())
            {
                *destination = last;
            }
            let rest = part.behind(header.slice().len())?;
            Ok((Next::Protocol(header.next_header().0), rest))
        }
        number::AUTHENTICATION => {
            let header =
                IpAuthHeaderSlice::from_slice(part.octets).map_err(|error| match error {
                    err::ip_auth::HeaderSliceError::Len(_) => Skipped::CutShort,
                    err::ip_auth::HeaderSliceError::Content(_) => Skipped::MalformedIp,
                })?;
            let rest = part.behind(header.slice().len())?;
            Ok((Next::Protocol(header.next_header().0), rest))
        }
        number::FRAGMENT if addresses.0.is_ipv6() => {
            let header =
                Ipv6FragmentHeaderSlice::from_slice(part.octets).map_err(|_| Skipped::CutShort)?;
            let rest = part.behind(header.slice().len())?;
            let protocol = header.next_header().0;
            // A datagram in one fragment is whole, whatever else has its identification
            // (RFC 6946 §4).
            if !header.is_fragmenting_payload() {
                return Ok((Next::Protocol(protocol), rest));
            }
            let fragment = FragmentHeader {
                identification: header.identification(),
                offset: header.fragment_offset().byte_offset(),
                more: header.more_fragments(),
                protocol,
            };
            Ok((Next::Fragment(fragment), rest))
        }
        other => Err(ended(other)),
    }
}

/// The reason for a protocol that never leads to TCP, so that its fragments are not kept.
pub(super) fn ended(protocol: u8) -> Skipped {
    match protocol {
        number::ICMP | number::ICMPV6 => Skipped::Icmp,
        other => Skipped::IpProtocol(other),
    }
}

/// Whether a datagram of this protocol may hold a TCP segment.
pub(super) fn may_lead_to_tcp(protocol: u8) -> bool {
    matches!(
        protocol,
        number::TCP
            | number::UDP
            | number::GRE
            | number::IPV4
            | number::IPV6
            | number::HOP_BY_HOP
            | number::ROUTING
            | number::DESTINATION
            | number::AUTHENTICATION
    )
}

/// Where a datagram under way through the stations of a routing header is bound for: that is
/// the end of the connection (RFC 8200 §8.1), the header's own destination only the next
/// station. Types 0 and 2 list the stations in order, type 4 (RFC 8754 §2) in reverse.
fn final_destination(header: &[u8]) -> Option<Ipv6Addr> {
    let &[_, _, kind, segments_left, ..] = header else {
        return None;
    };
    let (stations, _) = header.get(8..)?.as_chunks::<16>();
    let last = match kind {
        _ if segments_left == 0 => None,
        0 | 2 => stations.last(),
        4 => stations.first(),
        _ => None,
    };
    last.map(|octets| Ipv6Addr::from(*octets))
}
