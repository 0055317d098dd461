//! The observer of the broker's sockets.

use std::io;

use crate::base::{Endpoint, Timestamp};
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// Something that passes through a socket, or happens to it.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    /// A connection was accepted.
    Opened {
        /// The Client's end.
        client: Endpoint,
        /// The Server's end.
        server: Endpoint,
    },
    /// Bytes travel.
    Bytes(Sender, &'a [u8]),
    /// One direction is closed.
    Finished(Sender),
    /// The connection was reset: nothing more is reported of it.
    Reset(Sender),
    /// Both directions are closed, or the connection was left: nothing more is reported of it.
    Gone,
}

/// Sees everything that passes through the sockets, before it is forwarded.
///
/// An error ends the broker: what cannot be recorded is not forwarded.
pub trait Witness {
    /// Something happens on a connection.
    fn see(&mut self, now: Timestamp, key: ConnectionKey, seen: Seen<'_>) -> io::Result<()>;

    /// Time passed; returns when to call again.
    fn tick(&mut self, _now: Timestamp) -> io::Result<Option<Timestamp>> {
        Ok(None)
    }

    /// The broker is about to wait.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    /// The witness has seen enough.
    fn full(&self) -> bool {
        false
    }
}

/// No observer.
impl Witness for () {
    fn see(&mut self, _: Timestamp, _: ConnectionKey, _: Seen<'_>) -> io::Result<()> {
        Ok(())
    }
}

/// An observer that comes later: the sockets are open before there is a file.
impl<W: Witness> Witness for Option<W> {
    fn see(&mut self, now: Timestamp, key: ConnectionKey, seen: Seen<'_>) -> io::Result<()> {
        match self {
            Some(witness) => witness.see(now, key, seen),
            None => Ok(()),
        }
    }

    fn tick(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        match self {
            Some(witness) => witness.tick(now),
            None => Ok(None),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.as_mut().map_or(Ok(()), Witness::flush)
    }

    fn full(&self) -> bool {
        self.as_ref().is_some_and(Witness::full)
    }
}
