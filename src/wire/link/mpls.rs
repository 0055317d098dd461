//! MPLS label stacks (RFC 3032), and what may lie below them.

use super::ethertype::{MPLS, announced};
use crate::base::Layer;
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// Reads one label; the others come one by one.
pub(super) fn read<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (entry, rest) = part.split::<4>()?;
    let entry = u32::from_be_bytes(*entry);
    visitor.layer(|| Layer::Mpls { label: entry >> 12 });
    let bottom = entry & 0x100 != 0;
    if bottom {
        below(rest)
    } else {
        Ok((Next::EtherType(MPLS), rest))
    }
}

/// A label does not name what it labels: the first four bits have to (RFC 4928 §3). Four and six are
/// IP, zero is the control word of an Ethernet pseudowire (RFC 4448 §4.6). A pseudowire
/// without control word begins with an address, so only its EtherType can speak for it.
fn below(rest: Part<'_>) -> Step<'_> {
    match rest.bytes.first().ok_or(Skipped::CutShort)? >> 4 {
        4 | 6 => Ok((Next::Ip, rest)),
        0 => Ok((Next::Ethernet, rest.behind(4)?)),
        _ => match rest.bytes.get(12..14) {
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

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::base::Layer;
    use crate::wire::Skipped;

    const LABEL: [u8; 4] = [0, 1, 0x40, 64];
    const BOTTOM: [u8; 4] = [0, 2, 0x41, 64];

    #[test]
    fn a_stack_of_labels_comes_off_and_the_version_decides_what_is_below() {
        let frame = ethernet(0x8847, &join(&[&LABEL, &BOTTOM, &v4()]));
        let layers = assert_found(1, &frame, Addresses::V4);
        assert_eq!(
            layers[1..3],
            [Layer::Mpls { label: 20 }, Layer::Mpls { label: 36 }]
        );
        assert_found(
            1,
            &ethernet(0x8848, &join(&[&BOTTOM, &v6()])),
            Addresses::V6,
        );
        assert_found(219, &join(&[&BOTTOM, &v6()]), Addresses::V6);
    }

    #[test]
    fn pseudowires_are_read_with_a_control_word_and_without() {
        let inner = ethernet(0x0800, &v4());
        let with = join(&[&BOTTOM, &[0; 4], &inner]);
        assert_found(1, &ethernet(0x8847, &with), Addresses::V4);
        let mut without = join(&[&BOTTOM, &inner]);
        without[4] = 0x12;
        assert_found(1, &ethernet(0x8847, &without), Addresses::V4);
    }

    #[test]
    fn anything_else_below_is_skipped() {
        let frame = ethernet(0x8847, &join(&[&BOTTOM, &[0x10; 40]]));
        assert_eq!(dissect(1, &frame).unwrap_err(), Skipped::MplsPayload);
    }
}
