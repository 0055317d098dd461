//! The text of a connection's two ends, made once and kept.

use std::net::{IpAddr, Ipv4Addr};

use super::line::Line;
use super::out::push_first;
use crate::event::{ConnectionId, Direction};

/// Texts that are kept: two directions of this many connections, by identifier. Another
/// connection in the same place makes its text anew, which costs a row some 20 ns.
const KEPT_CONNECTIONS: usize = 1024;

/// The text of one direction of a connection, in the two parts that a row needs.
#[derive(Debug)]
struct Route<const N: usize> {
    owner: Option<(ConnectionId, u32)>,
    /// Where the second part begins.
    second: usize,
    /// Octets of `text` that are in use; 0 where the text is in `long`.
    used: usize,
    /// Here and not elsewhere: to find a second place in memory was a tenth of a row's time.
    text: [u8; N],
    long: Vec<u8>,
}

impl<const N: usize> Route<N> {
    const NOTHING: Self = Self {
        owner: None,
        second: 0,
        used: 0,
        text: [0; N],
        long: Vec::new(),
    };

    /// Both parts.
    fn set(&mut self, whole: &[u8]) {
        self.long.clear();
        if let Some(text) = self.text.get_mut(..whole.len()) {
            text.copy_from_slice(whole);
            self.used = whole.len();
        } else {
            self.long.extend_from_slice(whole);
            self.used = 0;
        }
    }

    fn parts(&self) -> (&[u8], &[u8]) {
        let whole = match self.used {
            0 => &self.long,
            used => self.text.get(..used).unwrap_or(&self.text),
        };
        whole.split_at_checked(self.second).unwrap_or((whole, &[]))
    }
}

/// Endpoint texts by connection and direction, of which most have at most `N` bytes: what
/// would be made for every row again costs 340 ns a row, kept 79.
#[derive(Debug, Default)]
pub(super) struct Routes<const N: usize> {
    slots: Vec<Route<N>>,
    /// Grows when the texts look different from now on (a column became wider).
    edition: u32,
    scratch: Vec<u8>,
}

impl<const N: usize> Routes<N> {
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
            self.slots.resize_with(at + 1, || Route::NOTHING);
        }
        let Some(route) = self.slots.get_mut(at) else {
            return (&[], &[]);
        };
        let owner = Some((connection, self.edition));
        if route.owner != owner {
            route.owner = owner;
            self.scratch.clear();
            route.second = make(&mut self.scratch);
            route.set(&self.scratch);
        }
        route.parts()
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
pub(super) fn put_address<const N: usize>(line: &mut Line<'_, N>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            let (text, length) = v4_text(address);
            line.put(&text, length);
        }
        IpAddr::V6(address) => line.bytes(address.to_string().as_bytes()),
    }
}

/// An address in decimal, and how many bytes of the block that takes.
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
        let mut routes = Routes::<1>::default();
        let mut made = 0;
        let mut ask = |routes: &mut Routes<1>, id| {
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
