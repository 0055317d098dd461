//! The observer of the broker's sockets.

use std::io;

use crate::base::{Endpoint, Timestamp};
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// Sees everything that passes through the sockets, before it is forwarded.
///
/// An error ends the broker: what cannot be recorded is not forwarded.
pub trait Witness {
    /// A connection was accepted.
    fn opened(
        &mut self,
        now: Timestamp,
        key: ConnectionKey,
        client: Endpoint,
        server: Endpoint,
    ) -> io::Result<()>;
    /// Bytes travel.
    fn bytes(
        &mut self,
        now: Timestamp,
        key: ConnectionKey,
        from: Sender,
        bytes: &[u8],
    ) -> io::Result<()>;
    /// One direction is closed.
    fn finished(&mut self, now: Timestamp, key: ConnectionKey, from: Sender) -> io::Result<()>;
    /// The connection was reset: nothing more is reported of it.
    fn reset(&mut self, now: Timestamp, key: ConnectionKey, from: Sender) -> io::Result<()>;
    /// Both directions are closed, or the connection was left: nothing more is reported of it.
    fn gone(&mut self, now: Timestamp, key: ConnectionKey) -> io::Result<()>;
    /// Time passed; returns when to call again.
    fn tick(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>>;
    /// The broker is about to wait.
    fn flush(&mut self) -> io::Result<()>;
    /// The witness has seen enough.
    fn full(&self) -> bool;
}

/// No observer.
impl Witness for () {
    fn opened(
        &mut self,
        _: Timestamp,
        _: ConnectionKey,
        _: Endpoint,
        _: Endpoint,
    ) -> io::Result<()> {
        Ok(())
    }
    fn bytes(&mut self, _: Timestamp, _: ConnectionKey, _: Sender, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn finished(&mut self, _: Timestamp, _: ConnectionKey, _: Sender) -> io::Result<()> {
        Ok(())
    }
    fn reset(&mut self, _: Timestamp, _: ConnectionKey, _: Sender) -> io::Result<()> {
        Ok(())
    }
    fn gone(&mut self, _: Timestamp, _: ConnectionKey) -> io::Result<()> {
        Ok(())
    }
    fn tick(&mut self, _: Timestamp) -> io::Result<Option<Timestamp>> {
        Ok(None)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn full(&self) -> bool {
        false
    }
}
