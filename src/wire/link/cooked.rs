//! Linux cooked capture, what `-i any` writes: SLL (113) and SLL2 (276).

use super::ethertype::{LLC_MAX, announced};
use super::llc;
use crate::base::Layer;
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// `ARPHRD_NETLINK`: the protocol is a netlink family, not an EtherType.
const NETLINK: u16 = 824;
/// `ETH_P_802_2`: an LLC frame follows, without a length.
const LLC_FRAME: u16 = 4;

/// ```text
/// packet type 2 | device type 2 | address length 2 | address 8 | protocol 2
/// ```
pub(super) fn read_v1<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (header, rest) = part.split::<16>()?;
    let [p0, p1, d0, d1, _, _, _, _, _, _, _, _, _, _, e0, e1] = *header;
    visitor.layer(|| Layer::LinuxCooked {
        version: 1,
        packet_type: u16::from_be_bytes([p0, p1]),
    });
    let device_type = u16::from_be_bytes([d0, d1]);
    protocol(device_type, u16::from_be_bytes([e0, e1]), rest)
}

/// ```text
/// protocol 2 | reserved 2 | interface 4 | device type 2 | packet type 1 | address length 1
/// | address 8
/// ```
pub(super) fn read_v2<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (header, rest) = part.split::<20>()?;
    let [e0, e1, _, _, _, _, _, _, d0, d1, packet_type, ..] = *header;
    visitor.layer(|| Layer::LinuxCooked {
        version: 2,
        packet_type: u16::from(packet_type),
    });
    let device_type = u16::from_be_bytes([d0, d1]);
    protocol(device_type, u16::from_be_bytes([e0, e1]), rest)
}

fn protocol(device_type: u16, protocol: u16, rest: Part<'_>) -> Step<'_> {
    match protocol {
        _ if device_type == NETLINK => Err(Skipped::EtherType(protocol)),
        LLC_FRAME => llc::read(rest),
        // Some tunnel devices leave the protocol open; the version decides.
        0 if matches!(rest.bytes, [0x45..=0x4f | 0x60..=0x6f, ..]) => Ok((Next::Ip, rest)),
        // Below the EtherTypes Linux has numbers of its own, which are no lengths here.
        other if other <= LLC_MAX => Err(Skipped::EtherType(other)),
        ether_type => Ok((announced(ether_type), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::base::Layer;
    use crate::wire::Skipped;

    fn sll(device_type: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
        let [d0, d1] = device_type.to_be_bytes();
        let header = [0, 4, d0, d1, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        join(&[&header, &protocol.to_be_bytes(), payload])
    }

    fn sll2(device_type: u16, protocol: u16, payload: &[u8]) -> Vec<u8> {
        let [d0, d1] = device_type.to_be_bytes();
        let header = [0, 0, 0, 0, 0, 3, d0, d1, 4, 6, 0, 0, 0, 0, 0, 0, 0, 0];
        join(&[&protocol.to_be_bytes(), &header, payload])
    }

    #[test]
    fn every_device_type_is_read_loopback_and_tunnels_too() {
        for device_type in [1, 512, 768, 772, 776, 778, 65534] {
            let layers = assert_found(113, &sll(device_type, 0x0800, &v4()), Addresses::V4);
            let packet_type = 4;
            let version = 1;
            assert_eq!(
                layers[0],
                Layer::LinuxCooked {
                    version,
                    packet_type
                }
            );
            let layers = assert_found(276, &sll2(device_type, 0x86dd, &v6()), Addresses::V6);
            let version = 2;
            assert_eq!(
                layers[0],
                Layer::LinuxCooked {
                    version,
                    packet_type
                }
            );
        }
    }

    #[test]
    fn tags_may_stand_in_the_payload() {
        let tagged = join(&[&[0, 5, 0x81, 0, 0, 6, 8, 0], &v4()]);
        for frame in [
            (113, sll(1, 0x88a8, &tagged)),
            (276, sll2(1, 0x8100, &tagged)),
        ] {
            let layers = assert_found(frame.0, &frame.1, Addresses::V4);
            assert_eq!(layers[1..3], [Layer::Vlan { id: 5 }, Layer::Vlan { id: 6 }]);
        }
    }

    #[test]
    fn linux_own_protocol_numbers_are_no_lengths() {
        let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()]);
        assert_found(113, &sll(1, 4, &snap), Addresses::V4);
        let control_area = dissect(276, &sll2(280, 0x0c, &[0; 16]));
        assert_eq!(control_area.unwrap_err(), Skipped::EtherType(0x0c));
        let netlink = dissect(113, &sll(824, 0, &v4()));
        assert_eq!(netlink.unwrap_err(), Skipped::EtherType(0));
    }

    #[test]
    fn a_tunnel_that_names_no_protocol_is_reported_by_the_version() {
        assert_found(113, &sll(65534, 0, &v6()), Addresses::V6);
        let other = dissect(113, &sll(65534, 0, &[0; 40]));
        assert_eq!(other.unwrap_err(), Skipped::EtherType(0));
    }
}
