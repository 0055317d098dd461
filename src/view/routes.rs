//! The text of a connection's two ends, made once and kept.

use std::net::{IpAddr, Ipv4Addr};

use super::line::Line;
use super::out::push_first;
use crate::event::{ConnectionId, Direction};

/// Texts that are kept: two directions of this many connections, by identifier. Another
/// connection in the same place makes its text anew, which costs a row some 20 ns.
const KEPT_CONNECTIONS: usize = 1024;

/// The text of one direction of a connection, in the two parts that a row needs.
#[derive(Debug, Default)]
struct Route {
    owner: Option<(ConnectionId, u32)>,
    text: Vec<u8>,
    /// Where the second part begins.
    second: usize,
}

/// Endpoint texts by connection and direction: what would be made for every row again costs
/// 340 ns a row, kept 79.
#[derive(Debug, Default)]
pub(super) struct Routes {
    slots: Vec<Route>,
    /// Grows when the texts look different from now on (a column became wider).
    edition: u32,
}

impl Routes {
    /// Everything kept so far is out of date.
    pub(super) fn forget(&mut self) {
        self.edition = self.edition.wrapping_add(1);
    }

    /// The two texts of this direction of `connection`. `make` appends both where they are
    /// not kept, and returns the place where the second begins.
    #[inline]
    pub(super) fn of(
        &mut self,
        connection: ConnectionId,
        direction: Direction,
        make: impl FnOnce(&mut Vec<u8>) -> usize,
    ) -> (&[u8], &[u8]) {
        let way = usize::from(direction == Direction::Backward);
        let at = 2 * (connection.0 as usize % KEPT_CONNECTIONS) + way;
        if at >= self.slots.len() {
            self.slots.resize_with(at + 1, Route::default);
        }
        let Some(route) = self.slots.get_mut(at) else {
            return (&[], &[]);
        };
        let owner = Some((connection, self.edition));
        if route.owner != owner {
            route.owner = owner;
            route.text.clear();
            route.second = make(&mut route.text);
        }
        route
            .text
            .split_at_checked(route.second)
            .unwrap_or((&route.text, &[]))
    }
}

/// Each octet of an IPv4 address in decimal with a point behind it, and how long that is.
const OCTETS: [([u8; 4], usize); 256] = {
    let mut all = [([0; 4], 0); 256];
    let mut octet = 0;
    while octet < all.len() {
        let (text, length) = &mut all[octet];
        let mut unit = 100;
        while unit > 0 {
            if octet >= unit || unit == 1 {
                text[*length] = b'0' + (octet / unit % 10) as u8;
                *length += 1;
            }
            unit /= 10;
        }
        text[*length] = b'.';
        *length += 1;
        octet += 1;
    }
    all
};

/// Appends an address as Wireshark shows it.
pub(super) fn push_address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let (text, length) = v4_text(address);
            push_first(out, &text, length);
        }
        // RFC 5952 in the standard library: rare enough, since the text is kept.
        IpAddr::V6(address) => out.extend_from_slice(address.to_string().as_bytes()),
    }
}

/// The same.
#[inline]
pub(super) fn put_address(line: &mut Line<'_>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let (text, length) = v4_text(address);
            line.put(&text, length);
        }
        IpAddr::V6(address) => line.octets(address.to_string().as_bytes()),
    }
}

/// An address in decimal, and how many octets of the block that takes.
#[inline]
fn v4_text(address: Ipv4Addr) -> ([u8; 16], usize) {
    let (mut text, mut used) = (0, 0);
    for octet in address.octets() {
        let (part, length) = OCTETS[usize::from(octet)];
        text |= u128::from(u32::from_le_bytes(part)) << (8 * used);
        used += length;
    }
    // Without the last point.
    (text.to_le_bytes(), used - 1)
}

#[cfg(test)]
mod tests {
    use super::super::line::Lines;
    use super::*;

    #[test]
    fn a_text_is_made_once_until_its_place_is_taken_or_forgotten() {
        let mut routes = Routes::default();
        let mut made = 0;
        let mut ask = |routes: &mut Routes, id| {
            let (first, second) = routes.of(ConnectionId(id), Direction::Forward, |out| {
                made += 1;
                out.extend_from_slice(b"ab");
                1
            });
            assert_eq!((first, second), (b"a".as_slice(), b"b".as_slice()));
            made
        };
        assert_eq!(ask(&mut routes, 7), 1);
        assert_eq!(ask(&mut routes, 7), 1);
        assert_eq!(ask(&mut routes, 7 + KEPT_CONNECTIONS as u32), 2);
        assert_eq!(ask(&mut routes, 7), 3);
        routes.forget();
        assert_eq!(ask(&mut routes, 7), 4);
    }

    #[test]
    fn addresses_are_written_as_the_standard_library_writes_them() {
        for text in [
            "127.0.0.1",
            "255.0.10.200",
            "::1",
            "2001:db8::5",
            "::ffff:1.2.3.4",
        ] {
            let address = text.parse().unwrap();
            let (mut out, mut lines, mut joined) = (Vec::new(), Lines::default(), Vec::new());
            push_address(&mut out, address);
            assert_eq!(out, text.as_bytes());
            let mut line = lines.line(&mut joined);
            put_address(&mut line, address);
            line.whole();
            assert_eq!(joined, text.as_bytes());
        }
    }
}
