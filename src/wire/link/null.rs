//! BSD loopback: NULL (0) and LOOP (108), four bytes of address family.

use crate::base::Layer;
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// `AF_INET`, everywhere.
const INET: u32 = 2;
/// `AF_INET6`: Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30.
const INET6: [u32; 5] = [10, 23, 24, 28, 30];

/// NULL is written in the order of the host that captured, which the file does not record, and
/// LOOP in network order. No family is above 255, so the order that gives a small number is
/// the right one.
pub(super) fn read<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (family, rest) = part.split::<4>()?;
    let family = u32::from_be_bytes(*family).min(u32::from_le_bytes(*family));
    visitor.layer(|| Layer::Null { family });
    if family == INET || INET6.contains(&family) {
        Ok((Next::Ip, rest))
    } else {
        Err(Skipped::AddressFamily(family))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use super::INET6;
    use crate::base::Layer;
    use crate::wire::Skipped;

    #[test]
    fn every_family_of_ipv6_is_known_in_both_orders() {
        for family in INET6 {
            for order in [family.to_le_bytes(), family.to_be_bytes()] {
                for link_type in [0, 108] {
                    let frame = join(&[&order, &v6()]);
                    let layers = assert_found(link_type, &frame, Addresses::V6);
                    assert_eq!(layers[0], Layer::Null { family });
                }
            }
        }
        assert_found(0, &join(&[&[2, 0, 0, 0], &v4()]), Addresses::V4);
        assert_found(0, &join(&[&[0, 0, 0, 2], &v4()]), Addresses::V4);
    }

    #[test]
    fn other_families_are_reported() {
        let appletalk = dissect(0, &join(&[&[0, 0, 0, 16], &v4()]));
        assert_eq!(appletalk.unwrap_err(), Skipped::AddressFamily(16));
    }
}
