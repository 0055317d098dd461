//! IEEE 802.2 LLC, as it stands behind a length in place of an EtherType, with SNAP.

use super::ethertype::{LLC_MAX, announced};
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;

/// Unnumbered information: the only control byte that carries datagrams.
const UNNUMBERED: u8 = 0x03;

pub(super) fn read(part: Part<'_>) -> Step<'_> {
    let ([destination, source, control], rest) = part.split::<3>()?;
    match (destination, source, *control) {
        // SNAP: an organisation, then what it numbers. Ethernet's own numbers are those of
        // organisation 0 (RFC 1042) and of 00-00-f8 (802.1H bridge tunnel).
        (0xaa | 0xab, 0xaa | 0xab, UNNUMBERED) => {
            let (snap, rest) = rest.split::<5>()?;
            match *snap {
                [0, 0, 0 | 0xf8, high, low] => match u16::from_be_bytes([high, low]) {
                    length if length <= LLC_MAX => Err(Skipped::Llc),
                    ether_type => Ok((announced(ether_type), rest)),
                },
                _ => Err(Skipped::Llc),
            }
        }
        // The service access point that IP has of its own.
        (0x06, 0x06, UNNUMBERED) => Ok((Next::Ip, rest)),
        _ => Err(Skipped::Llc),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::wire::Skipped;

    fn framed(llc: &[u8]) -> Vec<u8> {
        // The padding of a short frame lies behind the length.
        join(&[&ethernet(llc.len() as u16, llc), &[0; 8]])
    }

    #[test]
    fn ip_is_found_behind_snap_and_behind_its_own_access_point() {
        for organisation in [[0, 0, 0], [0, 0, 0xf8]] {
            let llc = join(&[&[0xaa, 0xaa, 3], &organisation, &[0x86, 0xdd], &v6()]);
            assert_found(1, &framed(&llc), Addresses::V6);
        }
        assert_found(1, &framed(&join(&[&[6, 6, 3], &v4()])), Addresses::V4);
    }

    #[test]
    fn spanning_tree_and_other_organisations_are_skipped() {
        for llc in [
            &[0x42, 0x42, 3, 0, 0][..],
            &[0xaa, 0xaa, 3, 0, 0, 0xc, 0x20, 0],
        ] {
            assert_eq!(dissect(1, &framed(llc)).unwrap_err(), Skipped::Llc);
        }
    }
}
