//! PPP (RFC 1661), PPPoE sessions (RFC 2516), and the HDLC framings of serial lines.

use super::ethertype::{MPLS, MPLS_MULTICAST, announced};
use crate::base::Layer;
use crate::wire::part::{Next, Part, Step};
use crate::wire::skipped::Skipped;
use crate::wire::visitor::LayerVisitor;

/// Version 1, type 1.
const PPPOE_VERSION_TYPE: u8 = 0x11;
/// The session stage; any other code is discovery.
const PPPOE_SESSION_DATA: u8 = 0;

/// ```text
/// version and type 1 | code 1 | session 2 | length 2
/// ```
pub(super) fn read_pppoe<'a>(part: Part<'a>, visitor: &mut impl LayerVisitor) -> Step<'a> {
    let (&[version_type, code, s0, s1, l0, l1], rest) = part.split::<6>()?;
    if version_type != PPPOE_VERSION_TYPE || code != PPPOE_SESSION_DATA {
        return Err(Skipped::MalformedLink);
    }
    visitor.layer(|| Layer::Pppoe {
        session: u16::from_be_bytes([s0, s1]),
    });
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    Ok((Next::Ppp, rest.within(length)))
}

/// The protocol field: two bytes, or one where its last bit is set (RFC 1661 §6.5). Address
/// and control may stand before it.
pub(super) fn read(part: Part<'_>) -> Step<'_> {
    let part = match part.bytes {
        [0xff] => return Err(Skipped::CutShort),
        [0xff, 0x03, ..] => part.behind(2)?,
        _ => part,
    };
    let (protocol, rest) = match part.bytes {
        [compressed, ..] if compressed & 1 == 1 => (u16::from(*compressed), part.behind(1)?),
        _ => {
            let (protocol, rest) = part.split::<2>()?;
            (u16::from_be_bytes(*protocol), rest)
        }
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Next::Ip, rest)),
        0x0281 => Ok((Next::EtherType(MPLS), rest)),
        0x0283 => Ok((Next::EtherType(MPLS_MULTICAST), rest)),
        other => Err(Skipped::PppProtocol(other)),
    }
}

/// Link types 50 and 104. The address distinguishes PPP (RFC 1662 §3.1) from Cisco's framing, which
/// has an EtherType behind address and control.
pub(super) fn read_hdlc(part: Part<'_>) -> Step<'_> {
    if let [0xff, 0x03, ..] = part.bytes {
        return Ok((Next::Ppp, part));
    }
    let (&[_, _, high, low], rest) = part.split::<4>()?;
    Ok((announced(u16::from_be_bytes([high, low])), rest))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::*;
    use crate::base::Layer;
    use crate::wire::Skipped;

    #[test]
    fn pppoe_sessions_are_read_and_their_padding_is_not() {
        let length = 2 + v6().len() as u8;
        let header = [0x11, 0, 0, 9, 0, length, 0, 0x57];
        let session = join(&[&header, &v6(), &[0; 9]]);
        let layers = assert_found(1, &ethernet(0x8864, &session), Addresses::V6);
        assert_eq!(layers[1], Layer::Pppoe { session: 9 });
        assert_found(51, &session, Addresses::V6);
    }

    #[test]
    fn what_is_no_session_is_malformed() {
        for header in [[0x21, 0, 0, 9, 0, 2], [0x11, 9, 0, 9, 0, 2]] {
            let frame = ethernet(0x8864, &join(&[&header, &[0, 0x21]]));
            assert_eq!(dissect(1, &frame).unwrap_err(), Skipped::MalformedLink);
        }
    }

    #[test]
    fn ppp_is_read_with_address_and_control_and_with_a_short_protocol() {
        for header in [
            &[0, 0x21][..],
            &[0x21],
            &[0xff, 3, 0, 0x21],
            &[0xff, 3, 0x21],
        ] {
            assert_found(9, &join(&[header, &v4()]), Addresses::V4);
        }
        let labelled = join(&[&[0x02, 0x81, 0, 2, 0x41, 64], &v6()]);
        assert_found(9, &labelled, Addresses::V6);
        let link_control = dissect(9, &[0xff, 3, 0xc0, 0x21, 1, 1, 0, 4]);
        assert_eq!(link_control.unwrap_err(), Skipped::PppProtocol(0xc021));
    }

    #[test]
    fn serial_lines_are_distinguished_by_their_address() {
        for link_type in [50, 104] {
            assert_found(
                link_type,
                &join(&[&[0xff, 3, 0, 0x57], &v6()]),
                Addresses::V6,
            );
            assert_found(link_type, &join(&[&[0x0f, 0, 8, 0], &v4()]), Addresses::V4);
        }
    }
}
