//! Tunnels: GRE (RFC 2784, 2890, 2637) with ERSPAN in it, and VXLAN (RFC 7348) and Geneve
//! (RFC 8926) in UDP. IP in IP needs no header of its own.

use super::addresses::Addresses;
use super::part::{Next, Part, Step};
use super::segment::{Datagram, NO_LAYERS};
use super::skipped::Skipped;
use super::visitor::LayerVisitor;
use crate::base::{FrameStamp, Layer};

/// Bytes of a UDP header.
const UDP_HEADER: usize = 8;

/// Port mirroring within GRE, types I and II: with a sequence number there is a header before
/// the mirrored frame, without one there is none.
pub(super) const ERSPAN: u16 = 0x88be;
/// Port mirroring within GRE, type III.
pub(super) const ERSPAN_III: u16 = 0x22eb;

const GRE_CHECKSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_ACKNOWLEDGEMENT: u16 = 0x0080;
const GRE_VERSION: u16 = 0x0007;

/// The port that IANA gave VXLAN, and the one Linux used before.
const VXLAN_PORTS: [u16; 2] = [4789, 8472];
const GENEVE_PORT: u16 = 6081;

/// Reads a GRE header; what follows is numbered by EtherType.
pub(super) fn read_gre<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (&[f0, f1, p0, p1], rest) = part.split::<4>()?;
    let flags = u16::from_be_bytes([f0, f1]);
    let protocol = u16::from_be_bytes([p0, p1]);
    // Version 1 is PPTP's: its key holds a length and a call, and it may acknowledge.
    let version = flags & GRE_VERSION;
    if flags & GRE_ROUTING != 0 || version > 1 {
        return Err(Skipped::Gre);
    }
    let has = |bit| flags & bit != 0;
    let length = |present| if present { 4 } else { 0 };
    let rest = rest.behind(length(has(GRE_CHECKSUM)))?;
    let key = match has(GRE_KEY) {
        true => Some(u32::from_be_bytes(*rest.split::<4>()?.0)),
        false => None,
    };
    let numbered = has(GRE_SEQUENCE);
    let acknowledged = version == 1 && has(GRE_ACKNOWLEDGEMENT);
    let rest = rest.behind(length(has(GRE_KEY)) + length(numbered) + length(acknowledged))?;
    visitor.layer(|| Layer::Gre { key });
    match protocol {
        ERSPAN if !numbered => Ok((Next::Ethernet, rest)),
        other => Ok((Next::EtherType(other), rest)),
    }
}

/// Takes off the ERSPAN header before a mirrored Ethernet frame.
pub(super) fn read_erspan(ether_type: u16, part: Part<'_>) -> Step<'_> {
    let length = match part.bytes {
        _ if ether_type == ERSPAN => 8,
        // The last bit is set where eight bytes more follow, which depend on the platform.
        [_, _, _, _, _, _, _, _, _, _, _, last, ..] if last & 1 == 1 => 20,
        _ => 12,
    };
    Ok((Next::Ethernet, part.behind(length)?))
}

/// A UDP header read, and its payload.
pub(super) enum Udp<'a> {
    Tunnel(Next, Part<'a>),
    Datagram(Datagram<'a>),
}

/// Reads a UDP header (RFC 768) and, where its destination port is a tunnel's, the tunnel's
/// header.
pub(super) fn read_udp<'a>(
    part: Part<'a>,
    stamp: &'a FrameStamp,
    addresses: &Addresses<'_>,
    visitor: &mut impl LayerVisitor,
) -> Result<Udp<'a>, Skipped> {
    let (&[s0, s1, d0, d1, l0, l1, ..], rest) = part.split::<UDP_HEADER>()?;
    let rest = match usize::from(u16::from_be_bytes([l0, l1])) {
        // Jumbograms (RFC 2675 §4), and segmentation offload.
        0 => rest,
        length => rest.within(length.saturating_sub(UDP_HEADER)),
    };
    let (source, destination) = addresses.endpoints([s0, s1, d0, d1]);
    visitor.layer(|| Layer::Udp {
        source: source.port,
        destination: destination.port,
    });
    let tunnel = match destination.port {
        GENEVE_PORT => read_geneve(rest)?,
        port if VXLAN_PORTS.contains(&port) => read_vxlan(rest, visitor)?,
        _ => None,
    };
    if let Some((next, inner)) = tunnel {
        return Ok(Udp::Tunnel(next, inner));
    }
    Ok(Udp::Datagram(Datagram {
        stamp,
        source,
        destination,
        payload: rest.bytes,
        cut: u32::try_from(rest.cut).unwrap_or(u32::MAX),
        layers: &NO_LAYERS,
    }))
}

/// Reads a VXLAN header; `None` where the identifier is not valid: it is something else on
/// that port.
///
/// ```text
/// flags 1 | reserved 3 | VNI 3 | reserved 1
/// ```
fn read_vxlan<'a>(
    part: Part<'a>,
    visitor: &mut impl LayerVisitor,
) -> Result<Option<(Next, Part<'a>)>, Skipped> {
    let (&[flags, _, _, _, v0, v1, v2, _], rest) = part.split::<8>()?;
    if flags & 0x08 == 0 {
        return Ok(None);
    }
    visitor.layer(|| Layer::Vxlan {
        vni: u32::from_be_bytes([0, v0, v1, v2]),
    });
    Ok(Some((Next::Ethernet, rest)))
}

/// Reads a Geneve header; `None` where it is of another version.
///
/// ```text
/// version 2 bits, options' length in 4 bytes 6 bits | flags 1 | protocol 2 | VNI 3 | reserved 1
/// ```
fn read_geneve(part: Part<'_>) -> Result<Option<(Next, Part<'_>)>, Skipped> {
    let (&[first, _, p0, p1, ..], rest) = part.split::<8>()?;
    if first >> 6 != 0 {
        return Ok(None);
    }
    let options = usize::from(first & 0x3f) * 4;
    let protocol = u16::from_be_bytes([p0, p1]);
    Ok(Some((Next::EtherType(protocol), rest.behind(options)?)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{
        Addresses, ETHERNET, assert_found, dissect, ethernet, frame, ipv4, ipv6, join, udp, v4, v6,
    };
    use super::*;
    use crate::wire::dissector::MAX_HEADERS;
    use crate::wire::{Dissected, Dissector, DissectorOptions};

    #[test]
    fn gre_is_read_with_any_of_its_fields() {
        for (flags, fields, key) in [
            (0, 0, None),
            (0x80, 4, None),
            (0x20, 4, Some(0x0707_0707)),
            (0xb0, 12, Some(0x0707_0707)),
        ] {
            let fields = vec![7; fields];
            let gre = join(&[&[flags, 0, 0x86, 0xdd], &fields, &v6()]);
            let layers = assert_found(101, &ipv4(47, &gre), Addresses::V6);
            assert_eq!(layers[2], Layer::Gre { key });
            let bridged = ethernet(0x0800, &v4());
            let gre = join(&[&[flags, 0, 0x65, 0x58], &fields, &bridged]);
            let layers = assert_found(101, &ipv6(47, &gre), Addresses::V4);
            assert_eq!(layers[3], ETHERNET);
        }
    }

    #[test]
    fn gre_of_pptp_holds_ppp() {
        let gre = [0x30, 0x81, 0x88, 0x0b, 0, 9, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2];
        let gre = join(&[&gre, &[0xff, 3, 0, 0x21], &v4()]);
        assert_found(101, &ipv4(47, &gre), Addresses::V4);
    }

    #[test]
    fn gre_that_is_not_known_is_reported() {
        for flags in [[0x40, 0], [0, 2]] {
            let gre = join(&[&flags, &[8, 0], &v4()]);
            assert_eq!(dissect(101, &ipv4(47, &gre)).unwrap_err(), Skipped::Gre);
        }
    }

    #[test]
    fn mirrored_frames_are_read_in_all_three_types() {
        let frame = ethernet(0x0800, &v4());
        let mut with_more = [0; 20];
        with_more[11] = 1;
        for (gre, header) in [
            (&[0, 0, 0x88, 0xbe][..], &[][..]),
            (
                &[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1],
                &[0x10, 0, 0, 0, 0, 0, 0, 0],
            ),
            (&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &[0; 12]),
            (&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1], &with_more),
        ] {
            let gre = join(&[gre, header, &frame]);
            assert_found(101, &ipv4(47, &gre), Addresses::V4);
        }
    }

    #[test]
    fn vxlan_is_read_on_both_ports_and_nothing_else_is_taken_for_it() {
        let header = [8, 0, 0, 0, 0, 1, 0, 0];
        for port in VXLAN_PORTS {
            let vxlan = udp(port, &join(&[&header, &ethernet(0x86dd, &v6())]));
            let layers = assert_found(101, &ipv4(17, &vxlan), Addresses::V6);
            assert_eq!(layers[3], Layer::Vxlan { vni: 0x100 });
        }
        let other = udp(4789, &join(&[&[0; 8], &ethernet(0x86dd, &v6())]));
        assert_eq!(dissect(101, &ipv4(17, &other)).unwrap_err(), Skipped::Udp);
        let other = udp(1883, &join(&[&header, &ethernet(0x86dd, &v6())]));
        assert_eq!(dissect(101, &ipv4(17, &other)).unwrap_err(), Skipped::Udp);
    }

    #[test]
    fn geneve_is_read_with_options() {
        let header = [2, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 0, 1, 9, 9, 9, 9];
        let geneve = udp(GENEVE_PORT, &join(&[&header, &ethernet(0x0800, &v4())]));
        assert_found(101, &ipv6(17, &geneve), Addresses::V4);
    }

    #[test]
    fn ip_in_ip_is_read_in_every_pairing_and_to_a_bounded_depth() {
        assert_found(101, &ipv4(4, &v4()), Addresses::V4);
        assert_found(101, &ipv4(41, &v6()), Addresses::V6);
        assert_found(101, &ipv6(4, &v4()), Addresses::V4);
        assert_found(101, &ipv6(41, &v6()), Addresses::V6);
        let mut nested = v4();
        for _ in 0..MAX_HEADERS {
            nested = ipv4(4, &nested);
        }
        assert_eq!(dissect(101, &nested).unwrap_err(), Skipped::TooDeep);
    }

    #[test]
    fn a_datagram_without_a_tunnel_has_its_ends_and_what_was_captured_of_its_payload() {
        let whole = ipv4(17, &udp(5353, b"payload"));
        let captured = &whole[..whole.len() - 3];
        let frame = frame(1, 101, captured, whole.len());
        let mut dissector = Dissector::new(DissectorOptions::default());
        let Ok(Dissected::Datagram(datagram)) = dissector.dissect(&frame) else {
            panic!("a datagram");
        };
        assert_eq!(datagram.destination.port, 5353);
        assert_eq!((datagram.payload, datagram.cut), (&b"payl"[..], 3));
        assert_eq!(dissector.tally().skipped[&Skipped::Udp], 1);
    }
}
