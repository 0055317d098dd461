//! PPP (RFC 1661), PPPoE sessions (RFC 2516), and the HDLC framings of serial lines.

use super::super::listen::Listen;
use super::super::part::{Next, Part};
use super::{MPLS, MPLS_MULTICAST, Skipped, Step, announced};
use crate::base::Layer;

/// Version 1, type 1.
const PPPOE_VERSION_TYPE: u8 = 0x11;
/// The session stage; any other code is discovery.
const PPPOE_SESSION_DATA: u8 = 0;

/// ```text
/// version and type 1 | code 1 | session 2 | length 2
/// ```
pub(super) fn read_pppoe<'a>(part: Part<'a>, told: &mut impl Listen) -> Step<'a> {
    let (&[version_type, code, s0, s1, l0, l1], rest) = part.split::<6>()?;
    if version_type != PPPOE_VERSION_TYPE || code != PPPOE_SESSION_DATA {
        return Err(Skipped::MalformedLink);
    }
    told.layer(|| Layer::Pppoe {
        session: u16::from_be_bytes([s0, s1]),
    });
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    Ok((Next::Ppp, rest.within(length)))
}

/// The protocol field: two octets, or one where its last bit is set (RFC 1661 §6.5). Address
/// and control may stand before it.
pub(super) fn read(part: Part<'_>) -> Step<'_> {
    let part = match part.octets {
        [0xff, 0x03, ..] => part.behind(2)?,
        _ => part,
    };
    let (protocol, rest) = match part.octets {
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

/// Link types 50 and 104. The address tells PPP (RFC 1662 §3.1) from Cisco's framing, which
/// has an EtherType behind address and control.
pub(super) fn read_hdlc(part: Part<'_>) -> Step<'_> {
    if let [0xff, 0x03, ..] = part.octets {
        return Ok((Next::Ppp, part));
    }
    let (&[_, _, high, low], rest) = part.split::<4>()?;
    Ok((announced(u16::from_be_bytes([high, low])), rest))
}
