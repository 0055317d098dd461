//! Ethernet (link type 1): IEEE 802.3 with an EtherType or a length.

use etherparse::Ethernet2HeaderSlice;

use super::super::listen::Listen;
use super::super::part::Part;
use super::{Skipped, Step, announced};
use crate::base::Layer;

/// Octets of destination address, source address and EtherType.
const LENGTH: usize = 14;

#[inline]
pub(super) fn read<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let header = Ethernet2HeaderSlice::from_slice(part.octets).map_err(|_| Skipped::CutShort)?;
    told.layer(|| Layer::Ethernet {
        destination: header.destination(),
        source: header.source(),
    });
    Ok((announced(header.ether_type().0), part.behind(LENGTH)?))
}
