//! IPv4 (RFC 791), IPv6 (RFC 8200) and the headers between them and TCP.
//!
//! Checksums are not verified: where the network card computes them, nearly every frame a
//! host captures of itself has a wrong one.

use etherparse::{
    IpAuthHeaderSlice, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice,
    Ipv6RawExtHeaderSlice, err,
};

use super::addresses::Addresses;
use super::part::{FragmentHeader, Next, Part, Step};
use super::skipped::Skipped;
use super::tunnel;
use super::visitor::LayerVisitor;
use crate::base::Layer;

/// Reads an IPv4 or IPv6 header, by its first four bits.
pub(super) fn read<'a>(
    part: Part<'a>,
    addresses: &mut Addresses<'a>,
    visitor: &mut impl LayerVisitor,
) -> Step<'a> {
    let stripped = match part.bytes.first().ok_or(Skipped::CutShort)? >> 4 {
        4 => read_v4(part, addresses)?,
        6 => read_v6(part, addresses)?,
        _ => return Err(Skipped::NotIp),
    };
    visitor.layer(|| Layer::Ip {
        source: addresses.source(),
        destination: addresses.destination(),
    });
    Ok(stripped)
}

fn read_v4<'a>(part: Part<'a>, addresses: &mut Addresses<'a>) -> Step<'a> {
    let header = Ipv4HeaderSlice::from_slice(part.bytes).map_err(|error| match error {
        err::ipv4::HeaderSliceError::Len(_) => Skipped::CutShort,
        err::ipv4::HeaderSliceError::Content(_) => Skipped::MalformedIp,
    })?;
    let length = header.slice().len();
    let rest = match usize::from(header.total_len()) {
        // Segmentation offload: the card fills the length in once it has cut the segment.
        0 => part,
        total if total < length => return Err(Skipped::MalformedIp),
        total => part.within(total),
    };
    let (source, destination) = address_pair(header.slice(), 12).ok_or(Skipped::CutShort)?;
    *addresses = Addresses::V4(source, destination);
    let fragment = FragmentHeader {
        identification: header.identification().into(),
        offset: header.fragments_offset().byte_offset(),
        more: header.more_fragments(),
        protocol: header.protocol(),
    };
    Ok((fragment.next(), rest.behind(length)?))
}

fn read_v6<'a>(part: Part<'a>, addresses: &mut Addresses<'a>) -> Step<'a> {
    let header = Ipv6HeaderSlice::from_slice(part.bytes).map_err(|_| Skipped::CutShort)?;
    let rest = part.behind(header.slice().len())?;
    let next = header.next_header();
    let rest = match usize::from(header.payload_length()) {
        0 => rest.within(jumbo(next, rest).unwrap_or(rest.length())),
        length => rest.within(length),
    };
    let (source, destination) = address_pair(header.slice(), 8).ok_or(Skipped::CutShort)?;
    *addresses = Addresses::V6(source, destination);
    Ok((Next::Protocol(next), rest))
}

/// Two addresses behind each other, at an offset in bytes from the header's first.
fn address_pair<const N: usize>(header: &[u8], offset: usize) -> Option<(&[u8; N], &[u8; N])> {
    let (source, rest) = header.get(offset..)?.split_first_chunk()?;
    Some((source, rest.first_chunk()?))
}

/// The payload length of a jumbogram (RFC 2675 §2): an option that its alignment puts first
/// among those hop by hop. Linux captures segments above 65,535 bytes with the option or
/// without it; a length that the frame does not have is not believed.
fn jumbo(next: IpNumber, rest: Part<'_>) -> Option<usize> {
    match *rest.bytes {
        [_, _, 0xc2, 4, a, b, c, d, ..] if next == IpNumber::IPV6_HEADER_HOP_BY_HOP => {
            let length = u32::from_be_bytes([a, b, c, d]);
            usize::try_from(length).ok().filter(|l| *l <= rest.length())
        }
        _ => None,
    }
}

/// Takes off a header that may stand between IP and TCP, or returns the reason for any other datagram.
/// What is an extension header in IPv6 alone is read in IPv4 all the same.
pub(super) fn protocol<'a>(
    protocol: IpNumber,
    part: Part<'a>,
    addresses: &mut Addresses<'a>,
    visitor: &mut impl LayerVisitor,
) -> Step<'a> {
    match protocol {
        IpNumber::GRE => tunnel::read_gre(part, visitor),
        IpNumber::IPV4 | IpNumber::IPV6 => Ok((Next::Ip, part)),
        IpNumber::IPV6_HEADER_HOP_BY_HOP
        | IpNumber::IPV6_ROUTE_HEADER
        | IpNumber::IPV6_DESTINATION_OPTIONS
        | IpNumber::MOBILITY_HEADER
        | IpNumber::HIP
        | IpNumber::SHIM6 => {
            let header =
                Ipv6RawExtHeaderSlice::from_slice(part.bytes).map_err(|_| Skipped::CutShort)?;
            if let Addresses::V6(_, destination) = addresses
                && protocol == IpNumber::IPV6_ROUTE_HEADER
                && let Some(last) = final_destination(header.slice())
            {
                *destination = last;
            }
            let rest = part.behind(header.slice().len())?;
            Ok((Next::Protocol(header.next_header()), rest))
        }
        IpNumber::AUTHENTICATION_HEADER => {
            let header =
                IpAuthHeaderSlice::from_slice(part.bytes).map_err(|error| match error {
                    err::ip_auth::HeaderSliceError::Len(_) => Skipped::CutShort,
                    err::ip_auth::HeaderSliceError::Content(_) => Skipped::MalformedIp,
                })?;
            let rest = part.behind(header.slice().len())?;
            Ok((Next::Protocol(header.next_header()), rest))
        }
        IpNumber::IPV6_FRAGMENTATION_HEADER if matches!(addresses, Addresses::V6(..)) => {
            let header =
                Ipv6FragmentHeaderSlice::from_slice(part.bytes).map_err(|_| Skipped::CutShort)?;
            let fragment = FragmentHeader {
                identification: header.identification(),
                offset: header.fragment_offset().byte_offset(),
                more: header.more_fragments(),
                protocol: header.next_header(),
            };
            Ok((fragment.next(), part.behind(header.slice().len())?))
        }
        other => Err(ended(other)),
    }
}

/// The reason for a protocol that never leads to TCP, so that its fragments are not kept.
pub(super) fn ended(protocol: IpNumber) -> Skipped {
    match protocol {
        IpNumber::ICMP | IpNumber::IPV6_ICMP => Skipped::Icmp,
        other => Skipped::IpProtocol(other.0),
    }
}

/// Whether a datagram of this protocol may hold a TCP segment.
pub(super) fn may_lead_to_tcp(protocol: IpNumber) -> bool {
    matches!(
        protocol,
        IpNumber::TCP
            | IpNumber::UDP
            | IpNumber::GRE
            | IpNumber::IPV4
            | IpNumber::IPV6
            | IpNumber::IPV6_HEADER_HOP_BY_HOP
            | IpNumber::IPV6_ROUTE_HEADER
            | IpNumber::IPV6_DESTINATION_OPTIONS
            | IpNumber::AUTHENTICATION_HEADER
    )
}

/// Where a datagram under way through the stations of a routing header is bound for: that is
/// the end of the connection (RFC 8200 §8.1), the header's own destination only the next
/// station. Types 0 and 2 list the stations in order, type 4 (RFC 8754 §2) in reverse.
fn final_destination(header: &[u8]) -> Option<&[u8; 16]> {
    let &[_, _, kind, segments_left, ..] = header else {
        return None;
    };
    let (stations, _) = header.get(8..)?.as_chunks::<16>();
    match kind {
        _ if segments_left == 0 => None,
        0 | 2 => stations.last(),
        4 => stations.first(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::testing::{
        Addresses, assert_found, dissect, ethernet, fragment_v4, ipv4, ipv6, join, segment, udp,
        v4, v6, whole,
    };
    use super::*;

    #[test]
    fn options_of_ipv4_are_taken_off() {
        let mut datagram = v4();
        datagram.splice(20..20, [1; 12]);
        datagram[0] = 0x48;
        datagram[3] += 12;
        assert_found(101, &datagram, Addresses::V4);
    }

    #[test]
    fn without_a_length_the_datagram_takes_the_rest_of_the_frame() {
        let mut datagram = v4();
        datagram[2..4].fill(0);
        assert_found(1, &ethernet(0x0800, &datagram), Addresses::V4);
        let mut datagram = v6();
        datagram[4..6].fill(0);
        assert_found(1, &ethernet(0x86dd, &datagram), Addresses::V6);
    }

    #[test]
    fn a_jumbogram_ends_where_its_option_states() {
        let length = 8 + segment().len() as u8;
        let options = [6, 0, 0xc2, 4, 0, 0, 0, length];
        let mut datagram = ipv6(0, &join(&[&options, &segment(), &[0; 7]]));
        datagram[4..6].fill(0);
        assert_found(101, &datagram, Addresses::V6);
    }

    #[test]
    fn a_jumbogram_longer_than_its_frame_is_not_believed() {
        let options = [6, 0, 0xc2, 4, 0xff, 0, 0, 0];
        let mut datagram = ipv6(0, &join(&[&options, &segment()]));
        datagram[4..6].fill(0);
        assert_found(101, &datagram, Addresses::V6);
    }

    #[test]
    fn extension_headers_are_taken_off_in_any_order() {
        let hop = [60, 0, 1, 4, 0, 0, 0, 0];
        let destination = [51, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let authentication = join(&[&[44, 4, 0, 0], &[7; 20]]);
        // A fragment header of a datagram that is whole.
        let atomic = [43, 0, 0, 0, 0, 0, 0, 9];
        let routing = [6, 0, 0, 0, 0, 0, 0, 0];
        let chain = [&hop[..], &destination, &authentication, &atomic, &routing];
        let payload = join(&[&chain.concat(), &segment()]);
        assert_found(101, &ipv6(0, &payload), Addresses::V6);
        let authentication = join(&[&[6, 4, 0, 0], &[7; 20], &segment()]);
        assert_found(101, &ipv4(51, &authentication), Addresses::V4);
    }

    #[test]
    fn the_last_station_of_a_routing_header_is_the_destination() {
        let last = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let other = [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8];
        for (kind, stations) in [(0, [other, last]), (4, [last, other])] {
            for segments_left in [0, 1] {
                let header = [6, 4, kind, segments_left, 1, 0, 0, 0];
                let payload = join(&[&header, &stations.concat(), &segment()]);
                let (found, _) = dissect(101, &ipv6(43, &payload)).unwrap();
                let mut expected = whole(Addresses::V6);
                if segments_left == 1 {
                    expected.destination.address = IpAddr::from(last);
                }
                assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn other_protocols_are_reported() {
        for (datagram, reason) in [
            (ipv4(1, &[8; 8]), Skipped::Icmp),
            (ipv6(58, &[128; 8]), Skipped::Icmp),
            (ipv4(17, &udp(53, b"query")), Skipped::Udp),
            (ipv4(2, &[0; 8]), Skipped::IpProtocol(2)),
            (ipv6(59, &[]), Skipped::IpProtocol(59)),
            // Nothing of the datagram could hold TCP, so the fragment is not kept.
            (fragment_v4(1, 9, 0x2000, &[0; 8]), Skipped::Icmp),
        ] {
            assert_eq!(dissect(101, &datagram).unwrap_err(), reason);
        }
    }

    #[test]
    fn headers_that_contradict_themselves_are_malformed() {
        let mut short = v4();
        short[0] = 0x44;
        assert_eq!(dissect(101, &short).unwrap_err(), Skipped::MalformedIp);
        let mut short = v4();
        short[3] = 19;
        assert_eq!(dissect(101, &short).unwrap_err(), Skipped::MalformedIp);
        let authentication = ipv6(51, &join(&[&[6, 0, 0, 0], &[0; 20]]));
        assert_eq!(
            dissect(101, &authentication).unwrap_err(),
            Skipped::MalformedIp
        );
    }
}
