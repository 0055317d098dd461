//! The list of link layers, and of what EtherTypes announce.

use super::ethertype::{
    ARP, BRIDGED, IPV4, IPV6, LLC_MAX, MPLS, MPLS_MULTICAST, PPP, PPPOE_SESSION, RARP,
};
use super::{cooked, ethernet, llc, mpls, null, ppp, vlan};
use crate::base::Layer;
use crate::capture::LinkType;
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::tunnel;
use crate::wire::visitor::LayerVisitor;

/// The link types that are read, by their numbers.
pub const LINK_TYPES: [u16; 15] = [
    0, 1, 9, 12, 14, 50, 51, 101, 104, 108, 113, 219, 228, 229, 276,
];

/// The commonest link type, for which there is a fast path as well.
pub(in crate::wire) const ETHERNET: LinkType = LinkType(1);

/// Takes the first header off a frame, by the capture's link type. To add one: its file, its
/// line here, and its name in `link_type`.
pub(in crate::wire) fn enter<'a>(
    link_type: LinkType,
    part: Part<'a>,
    visitor: &mut impl LayerVisitor,
) -> Step<'a> {
    match link_type.0 {
        1 => Ok((Next::Ethernet, part)),
        0 | 108 => null::read(part, visitor),
        // 12 and 14 are what BSDs write for raw IP; 228 and 229 promise one version.
        12 | 14 | 101 | 228 | 229 => {
            visitor.layer(|| Layer::RawIp);
            Ok((Next::Ip, part))
        }
        9 => Ok((Next::Ppp, part)),
        50 | 104 => ppp::read_hdlc(part),
        51 => ppp::read_pppoe(part, visitor),
        113 => cooked::read_v1(part, visitor),
        276 => cooked::read_v2(part, visitor),
        219 => Ok((Next::EtherType(MPLS), part)),
        other => Err(Skipped::LinkType(other)),
    }
}

/// Goes on behind a header that was found inside, not first.
pub(in crate::wire) fn inner<'a>(
    next: Next,
    part: Part<'a>,
    visitor: &mut impl LayerVisitor,
) -> Step<'a> {
    match next {
        Next::Ethernet => ethernet::read(part, visitor),
        Next::EtherType(ether_type) => behind(ether_type, part, visitor),
        Next::Ppp => ppp::read(part),
        Next::Ip | Next::Protocol(_) | Next::Fragment(_) => Ok((next, part)),
    }
}

/// Takes off what an EtherType other than IP announces.
fn behind<'a>(ether_type: u16, part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    match ether_type {
        IPV4 | IPV6 => Ok((Next::Ip, part)),
        ARP | RARP => Err(Skipped::Arp),
        length if length <= LLC_MAX => llc::read(part.within(usize::from(length))),
        tag if vlan::is_tag(tag) => vlan::read(part, visitor),
        MPLS | MPLS_MULTICAST => mpls::read(part, visitor),
        PPPOE_SESSION => ppp::read_pppoe(part, visitor),
        PPP => Ok((Next::Ppp, part)),
        BRIDGED => Ok((Next::Ethernet, part)),
        tunnel::ERSPAN | tunnel::ERSPAN_III => tunnel::read_erspan(ether_type, part),
        other => Err(Skipped::EtherType(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::LINK_TYPES;
    use crate::base::Layer;
    use crate::wire::Skipped;
    use crate::wire::testing::*;

    #[test]
    fn raw_ip_is_read_under_all_its_numbers() {
        for link_type in [12, 14, 101, 228] {
            let layers = assert_found(link_type, &v4(), Addresses::V4);
            assert_eq!(layers[0], Layer::RawIp);
        }
        for link_type in [12, 14, 101, 229] {
            assert_found(link_type, &v6(), Addresses::V6);
        }
        assert_eq!(dissect(101, &[0x10; 40]).unwrap_err(), Skipped::NotIp);
    }

    #[test]
    fn the_list_has_every_link_type_that_is_read() {
        let read = (0..=u16::MAX)
            .filter(|number| dissect(*number, &[]).unwrap_err() != Skipped::LinkType(*number));
        assert_eq!(read.collect::<Vec<_>>(), LINK_TYPES);
    }

    #[test]
    fn an_unknown_link_type_is_reported_by_its_number() {
        assert_eq!(dissect(105, &v4()).unwrap_err(), Skipped::LinkType(105));
    }
}
