//! EtherTypes (the IEEE registry), as link layers and GRE number what they carry.

use etherparse::EtherType;

use crate::wire::part::Next;

pub(in crate::wire) const IPV4: u16 = EtherType::IPV4.0;
pub(in crate::wire) const IPV6: u16 = EtherType::IPV6.0;
pub(super) const ARP: u16 = EtherType::ARP.0;
pub(super) const RARP: u16 = 0x8035;
pub(super) const MPLS: u16 = 0x8847;
pub(super) const MPLS_MULTICAST: u16 = 0x8848;
pub(super) const PPPOE_SESSION: u16 = 0x8864;
pub(super) const PPP: u16 = 0x880b;
/// Transparent Ethernet bridging: an Ethernet frame without its checksum follows.
pub(super) const BRIDGED: u16 = 0x6558;

/// The largest value that is a length and not an EtherType (IEEE 802.3 §3.2.6).
pub(super) const LLC_MAX: u16 = 1500;

/// Returns what an EtherType leads to: IP at once, anything else header by header.
pub(super) fn announced(ether_type: u16) -> Next {
    match ether_type {
        IPV4 | IPV6 => Next::Ip,
        other => Next::EtherType(other),
    }
}
