//! Ethernet (link type 1): IEEE 802.3 with an EtherType or a length.

use etherparse::Ethernet2HeaderSlice;

use super::ethertype::announced;
use crate::base::Layer;
use crate::wire::part::{Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// Bytes of destination address, source address and EtherType.
const LENGTH: usize = 14;

pub(super) fn read<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let header = Ethernet2HeaderSlice::from_slice(part.bytes).map_err(|_| Skipped::CutShort)?;
    visitor.layer(|| Layer::Ethernet {
        destination: header.destination(),
        source: header.source(),
    });
    Ok((announced(header.ether_type().0), part.behind(LENGTH)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::wire::Skipped;

    #[test]
    fn both_versions_of_ip_are_found() {
        let layers = assert_found(1, &ethernet(0x0800, &v4()), Addresses::V4);
        assert_eq!(layers.first(), Some(&ETHERNET));
        assert_eq!(layers.len(), 3);
        assert_found(1, &ethernet(0x86dd, &v6()), Addresses::V6);
    }

    #[test]
    fn what_pads_a_frame_is_no_payload() {
        for datagram in [ethernet(0x0800, &v4()), ethernet(0x86dd, &v6())] {
            let padded = join(&[&datagram, &[0x30; 46]]);
            let (found, _) = dissect(1, &padded).unwrap();
            assert_eq!((found.payload.as_slice(), found.cut), (PAYLOAD, 0));
        }
    }

    #[test]
    fn other_ethertypes_are_reported() {
        assert_eq!(
            dissect(1, &ethernet(0x0806, &[0; 28])).unwrap_err(),
            Skipped::Arp
        );
        let lldp = dissect(1, &ethernet(0x88cc, &[0; 28]));
        assert_eq!(lldp.unwrap_err(), Skipped::EtherType(0x88cc));
        assert_eq!(dissect(1, &[0; 13]).unwrap_err(), Skipped::CutShort);
    }
}
