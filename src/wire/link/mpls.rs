//! MPLS label stacks (RFC 3032), and what may lie below them.

use super::super::listen::Listen;
use super::super::part::{Next, Part};
use super::{MPLS, Skipped, Step, announced};
use crate::base::Layer;

/// Reads one label; the others come one by one.
pub(super) fn read<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let (entry, rest) = part.split::<4>()?;
    let entry = u32::from_be_bytes(*entry);
    told.layer(|| Layer::Mpls { label: entry >> 12 });
    let bottom = entry & 0x100 != 0;
    if bottom {
        below(rest)
    } else {
        Ok((Next::EtherType(MPLS), rest))
    }
}

/// No label says what it labels: the first four bits have to (RFC 4928 §3). Four and six are
/// IP, zero is the control word of an Ethernet pseudowire (RFC 4448 §4.6). A pseudowire
/// without control word begins with an address, so only its EtherType can speak for it.
fn below(rest: Part<'_>) -> Step<'_> {
    match rest.octets.first().ok_or(Skipped::CutShort)? >> 4 {
        4 | 6 => Ok((Next::Ip, rest)),
        0 => Ok((Next::Ethernet, rest.behind(4)?)),
        _ => match rest.octets.get(12..14) {
            Some(&[high, low]) if is_plausible(u16::from_be_bytes([high, low])) => {
                Ok((Next::Ethernet, rest))
            }
            _ => Err(Skipped::MplsPayload),
        },
    }
}

fn is_plausible(ether_type: u16) -> bool {
    announced(ether_type) == Next::Ip || super::vlan::is_tag(ether_type)
}
