//! The header of the PROXY protocol, as HAProxy's `proxy-protocol.txt` defines it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::base::Endpoint;
use crate::carrier::carried::Proxied;

/// With what version 1 begins.
const TEXT: &[u8] = b"PROXY ";

/// With what version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The most bytes of a header of version 1, with its line end (section 2.1).
const LONGEST_TEXT: usize = 107;

/// The most bytes of a header that are read. Version 2 may announce 64 KiB of additions, and
/// proxies send some hundred bytes of them at most.
pub(super) const LONGEST: usize = 4096;

/// The header at the front of some bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Header {
    /// All of it is there: its length in bytes, and the ends that it names, if it names any.
    Whole(usize, Option<Proxied>),
    /// It goes on.
    Partial,
    /// No header begins like this.
    Broken,
}

/// Whether `bytes` begin like a header of either version.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(TEXT) || bytes.starts_with(SIGNATURE)
}

/// Reads the header at the front of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Header {
    match bytes.starts_with(SIGNATURE) {
        true => binary(bytes),
        false => text(bytes),
    }
}

/// Version 1.
fn text(bytes: &[u8]) -> Header {
    let front = bytes.get(..LONGEST_TEXT).unwrap_or(bytes);
    let Some(end) = front.windows(2).position(|two| two == b"\r\n") else {
        let is_printable = front.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r'));
        return match is_printable && front.len() < LONGEST_TEXT {
            true => Header::Partial,
            false => Header::Broken,
        };
    };
    let Some(line) = front
        .get(..end)
        .and_then(|line| std::str::from_utf8(line).ok())
    else {
        return Header::Broken;
    };
    let mut words = line.split(' ').skip(1);
    let proxied = match words.next() {
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut address = || {
                let address: IpAddr = words.next()?.parse().ok()?;
                (address.is_ipv4() == (family == "TCP4")).then_some(address)
            };
            let (client, server) = (address(), address());
            let mut port = || words.next()?.parse::<u16>().ok();
            let ports = (port(), port());
            match (client, server, ports, words.next()) {
                (Some(client), Some(server), (Some(from), Some(to)), None) => Some(Proxied {
                    client: Endpoint {
                        address: client,
                        port: from,
                    },
                    server: Endpoint {
                        address: server,
                        port: to,
                    },
                }),
                _ => return Header::Broken,
            }
        }
        _ => return Header::Broken,
    };
    Header::Whole(end + 2, proxied)
}

/// Version 2.
fn binary(bytes: &[u8]) -> Header {
    let Some(fixed) = bytes.get(SIGNATURE.len()..SIGNATURE.len() + 4) else {
        return Header::Partial;
    };
    let &[command, family, high, low] = fixed else {
        return Header::Broken;
    };
    // Commands are LOCAL, a connection of the proxy's own, and PROXY.
    if command >> 4 != 2 || command & 15 > 1 {
        return Header::Broken;
    }
    let start = SIGNATURE.len() + 4;
    let end = start + usize::from(u16::from_be_bytes([high, low]));
    if end > LONGEST {
        return Header::Broken;
    }
    let Some(addresses) = bytes.get(start..end) else {
        return Header::Partial;
    };
    let is_proxied = command & 15 == 1;
    let proxied = match family {
        0x11 => four(addresses),
        0x21 => six(addresses),
        _ => None,
    };
    Header::Whole(end, proxied.filter(|_| is_proxied))
}

/// The addresses of IPv4 and TCP.
fn four(bytes: &[u8]) -> Option<Proxied> {
    let &[a, b, c, d, e, f, g, h, i, j, k, l] = bytes.first_chunk::<12>()?;
    let end = |address: [u8; 4], port| Endpoint {
        address: IpAddr::V4(Ipv4Addr::from(address)),
        port: u16::from_be_bytes(port),
    };
    Some(Proxied {
        client: end([a, b, c, d], [i, j]),
        server: end([e, f, g, h], [k, l]),
    })
}

/// The addresses of IPv6 and TCP.
fn six(bytes: &[u8]) -> Option<Proxied> {
    let (client, rest) = bytes.split_first_chunk::<16>()?;
    let (server, rest) = rest.split_first_chunk::<16>()?;
    let &[a, b, c, d] = rest.first_chunk::<4>()?;
    let end = |address: [u8; 16], port| Endpoint {
        address: IpAddr::V6(Ipv6Addr::from(address)),
        port: u16::from_be_bytes(port),
    };
    Some(Proxied {
        client: end(*client, [a, b]),
        server: end(*server, [c, d]),
    })
}
