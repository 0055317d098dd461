//! Link layers: what stands before IP, one file each.

mod cooked;
mod ethernet;
mod llc;
mod mpls;
mod null;
mod ppp;
mod vlan;

use etherparse::EtherType;

use super::layers::LayerVisitor;
use super::part::{Next, Part};
use super::{Skipped, tunnel};
use crate::base::Layer;
use crate::capture::LinkType;

pub(super) use llc::LLC_MAX;

pub(super) const IPV4: u16 = EtherType::IPV4.0;
pub(super) const IPV6: u16 = EtherType::IPV6.0;
const ARP: u16 = EtherType::ARP.0;
const RARP: u16 = 0x8035;
const MPLS: u16 = 0x8847;
const MPLS_MULTICAST: u16 = 0x8848;
const PPPOE_SESSION: u16 = 0x8864;
const PPP: u16 = 0x880b;
/// Transparent Ethernet bridging: an Ethernet frame without its checksum follows.
const BRIDGED: u16 = 0x6558;

type Step<'a> = Result<(Next, Part<'a>), Skipped>;

/// The commonest link type, for which there is a short way as well.
pub(super) const ETHERNET: LinkType = LinkType(1);

/// Takes the first header off a frame, by the capture's link type.
pub(super) fn enter<'a>(
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
pub(super) fn inner<'a>(next: Next, part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
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

/// What an EtherType is to a reader that found it: IP at once, anything else by and by.
fn announced(ether_type: u16) -> Next {
    match ether_type {
        IPV4 | IPV6 => Next::Ip,
        other => Next::EtherType(other),
    }
}

/// What a link type is called, for those that a user may meet; both those read and those not.
pub(super) const fn name(link_type: LinkType) -> Option<&'static str> {
    Some(match link_type.0 {
        0 => "BSD loopback",
        1 => "Ethernet",
        6 => "Token Ring",
        9 => "PPP",
        10 => "FDDI",
        12 | 14 | 101 => "raw IP",
        50 => "PPP in HDLC",
        51 => "PPPoE",
        104 => "Cisco HDLC",
        105 => "IEEE 802.11",
        108 => "OpenBSD loopback",
        113 => "Linux cooked capture",
        117 => "OpenBSD PF log",
        119 => "IEEE 802.11 with Prism header",
        127 => "IEEE 802.11 with radiotap header",
        163 => "IEEE 802.11 with AVS header",
        149 | 258 => "Apple packet tap",
        187 | 201 => "Bluetooth HCI",
        189 | 220 => "USB, Linux",
        192 => "per-packet information",
        195 | 215 | 230 | 283 => "IEEE 802.15.4",
        219 => "MPLS",
        227 => "CAN bus",
        228 => "IPv4",
        229 => "IPv6",
        239 => "Linux netfilter log",
        249 => "USB, Windows",
        251 | 256 => "Bluetooth Low Energy",
        252 => "Wireshark upper PDU",
        253 => "Linux netlink",
        276 => "Linux cooked capture, version 2",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::base::Layer;
    use crate::wire::Skipped;

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
    fn an_unknown_link_type_is_reported_by_its_number() {
        assert_eq!(dissect(105, &v4()).unwrap_err(), Skipped::LinkType(105));
    }
}
