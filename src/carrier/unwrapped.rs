//! What comes out of a protocol that carries another: WebSocket, TLS.

use super::websocket::Breach;
use crate::stream::Direction;

/// What comes out of a connection, in order for each direction.
#[derive(Clone, Copy, Debug)]
pub enum Unwrapped<'a> {
    /// The next octets of data.
    Octets(&'a [u8]),
    /// An unknown number of octets of data is missing.
    Gap,
    /// A rule is broken here.
    Breach(Breach),
    /// The Server did not grant the WebSocket connection: the status of its HTTP response.
    Refused(u16),
    /// The TLS cipher suite of this number is not decrypted: nothing more comes out.
    Suite(u16),
    /// What comes cannot be unwrapped: nothing of this direction is read from here on.
    Broken,
    /// It is more than may be, by a cap that counts it: nothing of this direction is read from
    /// here on.
    OverCap,
    /// It is no connection of this kind after all: these octets were held of a direction. Nothing
    /// more comes out but those of the other.
    Other {
        direction: Direction,
        octets: &'a [u8],
    },
}

/// Octets out of which nothing came.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Lost {
    /// Beside a gap.
    pub discarded: u64,
    /// Behind what cannot be unwrapped.
    pub given_up: u64,
}

/// One connection of a protocol that carries another.
pub trait Unwrap {
    /// What all such connections of a run share.
    type Shared: Default;

    /// Takes the next octets of `direction`, which came in one segment.
    fn push(
        &mut self,
        shared: &mut Self::Shared,
        direction: Direction,
        octets: &[u8],
        each: &mut impl FnMut(Unwrapped<'_>),
    );

    /// `length` octets of `direction` never came, an unknown number where it is 0. The octets of
    /// data that are missing then: `Some(0)` where nobody knows, `None` where there are none.
    fn gap(&mut self, shared: &mut Self::Shared, direction: Direction, length: u64) -> Option<u64>;

    /// The connection is over: gives back what it held of `shared`.
    fn close(&mut self, shared: &mut Self::Shared);

    /// The direction in which the one sends that opened the connection.
    fn client(&self) -> Direction;

    /// What was lost until now on all such connections.
    fn lost(shared: &Self::Shared) -> Lost;
}
