//! One connection's socket and what waits to be written to it.

use std::collections::VecDeque;
use std::io::{self, Write};

use mio::net::TcpStream;

use super::clock::Clock;
use super::witness::{Seen, Witness};
use crate::base::{Endpoint, Timestamp};
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// Bytes reported to the witness and then written at once: a full segment of loopback, so that
/// at most one segment was reported and not written when a Client stops reading.
const PORTION: usize = 65_464;

/// Bytes written to one connection before the others have their turn.
const AT_ONCE: usize = 4 * PORTION;

/// The socket of one connection with its queue.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) client: Endpoint,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The system reports when it takes more.
    pub(super) waits: bool,
    /// Whole packets, small ones several in a piece: each piece takes some 50 bytes besides its
    /// content, and a packet may have five. The first may be written in part.
    packets: VecDeque<Vec<u8>>,
    /// Of the first piece: bytes written, and bytes reported to the witness.
    written: usize,
    witnessed: usize,
    unsent: usize,
    /// The Server sends nothing more than what waits.
    pub(super) closing: bool,
    /// The Server's direction is closed.
    pub(super) finished: bool,
    /// When to stop waiting for the Client to close too.
    pub(super) linger: Option<Timestamp>,
    /// Bytes that came after the Server had closed.
    pub(super) late: usize,
    pub(super) bytes_read: u64,
    pub(super) bytes_written: u64,
    /// The Client runs in this thread and reports to the witness itself.
    pub(super) in_step: bool,
    /// Bytes that were read, and how many of them are handled.
    pub(super) rest: Vec<u8>,
    pub(super) handled: usize,
    /// The Client closed its direction, behind `rest`; or the socket failed.
    pub(super) ending: Option<Ending>,
    /// It stands in the queue of those with something to do.
    pub(super) queued: bool,
}

/// How a network connection ended, seen from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Ending {
    /// The Client closed its direction.
    Fin,
    /// The connection was reset or failed.
    Reset,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    All,
    /// The Client's socket is full.
    Waits,
    /// So much was written that others have their turn first.
    Yields,
    Failed,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, client: Endpoint) -> Self {
        Self {
            stream,
            client,
            readable: true,
            writable: true,
            waits: false,
            packets: VecDeque::new(),
            written: 0,
            witnessed: 0,
            unsent: 0,
            closing: false,
            finished: false,
            linger: None,
            late: 0,
            bytes_read: 0,
            bytes_written: 0,
            in_step: false,
            rest: Vec::new(),
            handled: 0,
            ending: None,
            queued: false,
        }
    }

    pub(super) fn push(&mut self, packet: Vec<u8>) {
        if !self.closing {
            self.unsent += packet.len();
            match self.packets.back_mut() {
                Some(last) if last.len() + packet.len() <= PORTION => last.extend(packet),
                _ => self.packets.push_back(packet),
            }
        }
    }

    /// Whether something came that the Server has not handled: read, or still to be read.
    pub(super) const fn has_input(&self) -> bool {
        self.readable || !self.rest.is_empty() || self.ending.is_some()
    }

    /// Bytes that the socket has not taken.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// The pieces in which packets wait.
    #[cfg(test)]
    pub(super) fn pieces(&self) -> usize {
        self.packets.len()
    }

    /// Writes packets until the socket takes no more, or others should have their turn. Each portion
    /// goes to the witness first, so that no Client ever has bytes that the capture lacks.
    ///
    /// # Errors
    /// The witness failed.
    pub(super) fn flush(
        &mut self,
        key: ConnectionKey,
        clock: Clock,
        witness: &mut impl Witness,
    ) -> io::Result<Flushed> {
        let mut written = 0;
        while let Some(packet) = self.packets.front() {
            if !self.writable {
                return Ok(Flushed::Waits);
            }
            if written >= AT_ONCE {
                return Ok(Flushed::Yields);
            }
            if self.witnessed == self.written {
                let end = packet.len().min(self.written + PORTION);
                let portion = packet.get(self.written..end).unwrap_or_default();
                witness.see(clock.now(), key, Seen::Bytes(Sender::Server, portion))?;
                self.witnessed = end;
            }
            let portion = packet.get(self.written..self.witnessed).unwrap_or_default();
            match self.stream.write(portion) {
                Ok(count) => {
                    written += count;
                    self.written += count;
                    self.bytes_written += count as u64;
                    self.unsent = self.unsent.saturating_sub(count);
                    if self.written >= packet.len() {
                        self.packets.pop_front();
                        self.written = 0;
                        self.witnessed = 0;
                    }
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => self.writable = false,
                    io::ErrorKind::Interrupted => {}
                    _ => return Ok(Flushed::Failed),
                },
            }
        }
        Ok(Flushed::All)
    }
}
