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

/// The socket of one connection with its queue.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    pub(super) client: Endpoint,
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// Whole packets, the first of which may be written in part.
    packets: VecDeque<Vec<u8>>,
    /// Of the first packet: bytes written, and bytes reported to the witness.
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
    /// Bytes that were read and not handled yet.
    pub(super) rest: Vec<u8>,
}

/// How far a flush came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Flushed {
    All,
    /// The Client's socket is full.
    Waits,
    Failed,
}

impl Socket {
    pub(super) fn new(stream: TcpStream, client: Endpoint) -> Self {
        Self {
            stream,
            client,
            readable: true,
            writable: true,
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
        }
    }

    pub(super) fn push(&mut self, packet: Vec<u8>) {
        if !self.closing {
            self.unsent += packet.len();
            self.packets.push_back(packet);
        }
    }

    /// Bytes that the socket has not taken.
    pub(super) const fn unsent(&self) -> usize {
        self.unsent
    }

    /// Writes packets until the socket takes no more. Each portion goes to the witness first, so
    /// that no Client ever has bytes that the capture lacks.
    ///
    /// # Errors
    /// The witness failed.
    pub(super) fn flush(
        &mut self,
        key: ConnectionKey,
        clock: Clock,
        witness: &mut impl Witness,
    ) -> io::Result<Flushed> {
        while let Some(packet) = self.packets.front() {
            if !self.writable {
                return Ok(Flushed::Waits);
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
