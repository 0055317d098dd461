//! The PROXY protocol, versions 1 and 2: a header by which a proxy names the ends of the
//! connection that it passes on (`send-proxy` of HAProxy, `proxy_protocol` of nginx).
//!
//! ```text
//! version 1   PROXY TCP4 203.0.113.7 192.0.2.1 56324 1883 CR LF           107 bytes at most
//!             PROXY UNKNOWN ... CR LF
//! version 2   12 bytes of signature | 2 and command | family and protocol | length, 2 bytes
//!             | addresses and more: length bytes
//! ```
//!
//! What follows the header, and all that the other end sends, is the connection's own.

mod header;
#[cfg(test)]
mod tests;

use super::carried::{self, Call, Carried, Carrier, State};
use crate::base::field::{FieldDef, FieldType};
use crate::base::limits::{Limit, Limits};
use crate::stream::{ByDirection, Direction};
use header::Header;

/// The state that all connections of a run share.
pub type Shared = carried::Shared<Own>;

/// The part of that which is this protocol's own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Own {
    /// Connections that were taken for others because too much was held of all headers.
    heads_refused: u64,
}

/// One connection that begins with the header.
#[derive(Debug)]
pub struct ProxyProtocol {
    /// The direction in which the proxy sends the header.
    client: Direction,
    /// The first part of the header.
    held: Vec<u8>,
    states: ByDirection<State<At>>,
}

/// The place of a direction's next bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum At {
    /// In the header.
    Header,
    /// Behind it.
    #[default]
    Content,
}

impl Carrier for ProxyProtocol {
    type Own = Own;
    type At = At;

    const FIELD: &'static FieldDef = &FieldDef {
        name: "proxy",
        label: "PROXY Protocol",
        kind: FieldType::Protocol,
        help: "The PROXY protocol, version 1 or 2: a header that names the ends of the connection.",
    };

    const IS_ANSWERED: bool = false;

    fn own(_: &Limits) -> Own {
        Own::default()
    }

    fn resembles(bytes: &[u8]) -> bool {
        header::begins(bytes)
    }

    /// The front of either version's header opens one.
    fn open(_: &Shared, direction: Direction, bytes: &[u8]) -> Option<Self> {
        if !header::begins(bytes) || matches!(header::read(bytes), Header::Broken) {
            return None;
        }
        let mut states: ByDirection<State<At>> = ByDirection::default();
        *states.of_mut(direction) = State::At(At::Header);
        Some(Self {
            client: direction,
            held: Vec::new(),
            states,
        })
    }

    fn client(&self) -> Direction {
        self.client
    }

    fn is_from_start(&self) -> bool {
        true
    }

    fn state(&mut self, direction: Direction) -> &mut State<At> {
        self.states.of_mut(direction)
    }

    fn step<'a>(&mut self, call: &mut Call<'_, Own>, at: At, bytes: &'a [u8]) -> &'a [u8] {
        match at {
            At::Header => self.header(call, bytes),
            At::Content => {
                (call.sink)(Carried::Bytes(bytes));
                &[]
            }
        }
    }

    fn seek(&self, _: Direction, _: &[u8]) -> Option<usize> {
        // The content has no places of its own, so that nothing is ever sought.
        Some(0)
    }

    fn gap(&mut self, shared: &mut Shared, direction: Direction, length: u64) -> Option<u64> {
        if *self.states.of(direction) == State::At(At::Content) {
            return Some(length);
        }
        // Where the header ends is not known.
        shared.lost.discarded += self.let_go(shared).len() as u64;
        *self.states.of_mut(direction) = State::default();
        Some(0)
    }

    fn close(&mut self, shared: &mut Shared) {
        self.let_go(shared);
    }

    fn limits(own: &Own) -> Vec<(Limit, u64)> {
        vec![(Limit::Heads, own.heads_refused)]
    }
}

impl ProxyProtocol {
    /// Takes bytes of the header; returns what follows it.
    fn header<'a>(&mut self, call: &mut Call<'_, Own>, bytes: &'a [u8]) -> &'a [u8] {
        let direction = call.direction;
        let known = self.held.len();
        // No more than the longest header: what follows it is passed on from where it lies.
        let room = header::LONGEST.saturating_sub(known);
        let mine = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(mine);
        call.shared.held += mine.len();
        let over_cap = call.shared.held > call.shared.limits.heads;
        match header::read(&self.held) {
            Header::Partial if self.held.len() < header::LONGEST && !over_cap => &[],
            Header::Whole(length, proxied) => {
                self.let_go(call.shared);
                *self.states.of_mut(direction) = State::default();
                if let Some(proxied) = proxied {
                    (call.sink)(Carried::Proxied(proxied));
                }
                bytes
                    .get(length.saturating_sub(known)..)
                    .unwrap_or_default()
            }
            unread @ (Header::Partial | Header::Broken) => {
                call.shared.own.heads_refused += u64::from(unread == Header::Partial && over_cap);
                let mut held = self.let_go(call.shared);
                held.extend_from_slice(bytes.get(mine.len()..).unwrap_or_default());
                *self.states.of_mut(direction) = State::GivenUp;
                (call.sink)(Carried::Mistaken {
                    direction,
                    bytes: &held,
                });
                &[]
            }
        }
    }

    /// Lets go of what was held of the header.
    fn let_go(&mut self, shared: &mut Shared) -> Vec<u8> {
        shared.held -= self.held.len();
        std::mem::take(&mut self.held)
    }
}
