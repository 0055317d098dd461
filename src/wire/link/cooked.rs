//! Linux cooked capture, what `-i any` writes: SLL (113) and SLL2 (276).

use super::super::listen::Listen;
use super::super::part::{Next, Part};
use super::{Skipped, Step, announced, llc};
use crate::base::Layer;

/// `ARPHRD_NETLINK`: the protocol is a netlink family, not an EtherType.
const NETLINK: u16 = 824;
/// `ETH_P_802_2`: an LLC frame follows, without a length.
const LLC_FRAME: u16 = 4;

// etherparse's slice of version 1 refuses the device types of loopback (772) and of tunnels
// (65534), which are the commonest, and it has none of version 2.

/// ```text
/// packet type 2 | device type 2 | address length 2 | address 8 | protocol 2
/// ```
pub(super) fn read_v1<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let (header, rest) = part.split::<16>()?;
    let [p0, p1, d0, d1, _, _, _, _, _, _, _, _, _, _, e0, e1] = *header;
    told.layer(|| Layer::LinuxCooked {
        version: 1,
        packet_type: u16::from_be_bytes([p0, p1]),
    });
    protocol(
        u16::from_be_bytes([d0, d1]),
        u16::from_be_bytes([e0, e1]),
        rest,
    )
}

/// ```text
/// protocol 2 | reserved 2 | interface 4 | device type 2 | packet type 1 | address length 1
/// | address 8
/// ```
pub(super) fn read_v2<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let (header, rest) = part.split::<20>()?;
    let [e0, e1, _, _, _, _, _, _, d0, d1, packet_type, ..] = *header;
    told.layer(|| Layer::LinuxCooked {
        version: 2,
        packet_type: u16::from(packet_type),
    });
    protocol(
        u16::from_be_bytes([d0, d1]),
        u16::from_be_bytes([e0, e1]),
        rest,
    )
}

fn protocol(device_type: u16, protocol: u16, rest: Part<'_>) -> Step<'_> {
    match protocol {
        _ if device_type == NETLINK => Err(Skipped::EtherType(protocol)),
        LLC_FRAME => llc::read(rest),
        // Some tunnel devices leave the protocol open; the version tells.
        0 if matches!(rest.octets, [0x45..=0x4f | 0x60..=0x6f, ..]) => Ok((Next::Ip, rest)),
        // Below the EtherTypes Linux has numbers of its own, which are no lengths here.
        other if other <= llc::LLC_MAX => Err(Skipped::EtherType(other)),
        ether_type => Ok((announced(ether_type), rest)),
    }
}
