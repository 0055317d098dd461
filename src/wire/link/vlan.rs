//! VLAN tags: 802.1Q, 802.1ad, and the EtherTypes that came before 802.1ad.

use etherparse::{EtherType, SingleVlanHeaderSlice};

use super::super::listen::Listen;
use super::super::part::Part;
use super::{Skipped, Step, announced};
use crate::base::Layer;

/// Octets of tag control information and EtherType.
const LENGTH: usize = 4;
const CUSTOMER: u16 = EtherType::VLAN_TAGGED_FRAME.0;
const SERVICE: u16 = EtherType::PROVIDER_BRIDGING.0;

/// Whether the EtherType announces a tag. 0x9100 to 0x9300 were used for outer tags before
/// 802.1ad gave them 0x88a8.
pub(super) const fn is_tag(ether_type: u16) -> bool {
    matches!(ether_type, CUSTOMER | SERVICE | 0x9100 | 0x9200 | 0x9300)
}

/// Reads what stands behind the tag's own EtherType; several tags come one by one.
pub(super) fn read<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let tag = SingleVlanHeaderSlice::from_slice(part.octets).map_err(|_| Skipped::CutShort)?;
    told.layer(|| Layer::Vlan {
        id: tag.vlan_identifier().value(),
    });
    Ok((announced(tag.ether_type().0), part.behind(LENGTH)?))
}
