//! VLAN tags: 802.1Q, 802.1ad, and the EtherTypes that came before 802.1ad.

use etherparse::{EtherType, SingleVlanHeaderSlice};

use super::ethertype::announced;
use crate::base::Layer;
use crate::wire::part::{Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// Bytes of tag control information and EtherType.
const LENGTH: usize = 4;
const CUSTOMER: u16 = EtherType::VLAN_TAGGED_FRAME.0;
const SERVICE: u16 = EtherType::PROVIDER_BRIDGING.0;

/// Whether the EtherType announces a tag. 0x9100 to 0x9300 were used for outer tags before
/// 802.1ad gave them 0x88a8.
pub(super) const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, CUSTOMER | SERVICE | 0x9100 | 0x9200 | 0x9300)
}

/// Reads what stands behind the tag's own EtherType; several tags come one by one.
pub(super) fn read<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let tag = SingleVlanHeaderSlice::from_slice(part.bytes).map_err(|_| Skipped::CutShort)?;
    visitor.layer(|| Layer::Vlan {
        id: tag.vlan_identifier().value(),
    });
    Ok((announced(tag.ether_type().0), part.behind(LENGTH)?))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::base::Layer;
    use crate::wire::{MAX_HEADERS, Skipped};

    #[test]
    fn tags_are_taken_off_one_by_one_and_reported_without_their_priority() {
        for outer in [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300] {
            let tags = [
                0xe0, 5, 0x81, 0x00, 0x00, 6, 0x91, 0x00, 0x0f, 0xff, 0x86, 0xdd,
            ];
            let frame = ethernet(outer, &join(&[&tags, &v6()]));
            let layers = assert_found(1, &frame, Addresses::V6);
            let ids = [5, 6, 0xfff].map(|id| Layer::Vlan { id });
            assert_eq!(layers[1..4], ids);
        }
    }

    #[test]
    fn a_tag_may_stand_before_an_llc_frame() {
        let snap = join(&[&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0], &v4()]);
        let tag = [0, 5, 0, snap.len() as u8];
        assert_found(1, &ethernet(0x8100, &join(&[&tag, &snap])), Addresses::V4);
    }

    #[test]
    fn a_frame_of_tags_alone_comes_to_an_end() {
        let tags = [0, 1, 0x81, 0].repeat(MAX_HEADERS);
        let frame = ethernet(0x8100, &tags);
        assert_eq!(dissect(1, &frame).unwrap_err(), Skipped::TooDeep);
    }
}
