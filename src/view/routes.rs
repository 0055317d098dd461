//! The text of a connection's two ends, made once and kept.

use std::net::IpAddr;

use super::info::Sink;
use super::line::Line;
use crate::event::{ConnectionId, Direction};

/// Texts that are kept: two directions of this many connections, by identifier. Another
/// connection in the same place makes its text anew.
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

/// Appends an address as Wireshark shows it.
#[inline]
pub(super) fn put_address<const N: usize>(line: &mut Line<'_, N>, address: IpAddr) {
    match address {
        IpAddr::V4(address) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                line.bytes(if at > 0 { b"." } else { b"" });
                line.number(octet.into());
            }
        }
        // RFC 5952 in the standard library: rare enough, since the text is kept.
        IpAddr::V6(address) => line.bytes(address.to_string().as_bytes()),
    }
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
            let (mut lines, mut joined) = (Lines::default(), Vec::new());
            let mut line = lines.line(&mut joined);
            put_address(&mut line, address);
            line.whole();
            assert_eq!(joined, text.as_bytes());
        }
    }
}
