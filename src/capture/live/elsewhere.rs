//! The packet socket where there is none: it cannot be opened.

use std::io;

use crate::base::Timestamp;

/// Frames of the loopback interface; of Linux only.
#[derive(Debug)]
pub enum PacketSocket {}

impl PacketSocket {
    /// Fails.
    ///
    /// # Errors
    /// [`io::ErrorKind::Unsupported`], always.
    pub fn open_loopback() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Never called: there is no such socket.
    ///
    /// # Errors
    /// None.
    pub fn receive(&mut self) -> io::Result<Option<(Timestamp, &[u8])>> {
        match *self {}
    }

    /// Never called: there is no such socket.
    pub fn dropped(&self) -> u64 {
        match *self {}
    }
}
