//! One connection's bytes read and handed to the core, and what the core wants done.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use super::server::Net;
use super::socket::Flushed;
use super::witness::{Seen, Witness};
use crate::base::Span;
use crate::broker::core::{Action, ConnectionKey};
use crate::mqtt::Sender;

/// A Client that does not read this many bytes is not read from either: what it asks for
/// would only add to them.
const PAUSE: usize = 8 << 20;
/// Packets handled before the clock is looked at.
const AT_ONCE: usize = 4;
/// Handling what was read takes long beyond this: the rest waits for its next turn.
const LONG: Duration = Duration::from_millis(20);
/// How long a closed connection may take until the Client closes too.
const LINGER: Span = Span::from_nanos(2_000_000_000);
/// Bytes that a Client may still send on a connection that the Server closed.
const LATE_BYTES: usize = 1 << 20;

/// How a network connection ended, seen from the Server.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Ending {
    /// The Client closed its direction.
    Fin,
    /// The connection was reset or failed.
    Reset,
}

impl<W: Witness> Net<W> {
    /// [`Net::serve`], whether or not the system has reported something to read.
    ///
    /// # Errors
    /// The witness failed.
    pub fn serve_now(&mut self, key: ConnectionKey) -> io::Result<()> {
        if let Some(socket) = self.sockets.get_mut(&key) {
            socket.readable = true;
            socket.writable = true;
        }
        self.serve(key)
    }

    /// Writes to and reads from one connection what is possible now. What the core wants
    /// done then is not done yet: see [`Net::perform`].
    ///
    /// # Errors
    /// The witness failed.
    pub fn serve(&mut self, key: ConnectionKey) -> io::Result<()> {
        self.flush(key)?;
        let Some(socket) = self.sockets.get_mut(&key) else {
            return Ok(());
        };
        if socket.unsent() > PAUSE {
            return Ok(());
        }
        if !socket.rest.is_empty() {
            let rest = std::mem::take(&mut socket.rest);
            self.hand_over(key, &rest);
            return Ok(());
        }
        if !socket.readable {
            return Ok(());
        }
        match socket.stream.read(&mut self.buffer) {
            Ok(0) => self.lost(key, Ending::Fin),
            Ok(count) => self.received(key, count),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    socket.readable = false;
                    Ok(())
                }
                io::ErrorKind::Interrupted => {
                    self.ready.insert(key);
                    Ok(())
                }
                _ => self.lost(key, Ending::Reset),
            },
        }
    }

    /// Passes `count` bytes of the buffer to the witness and then to the core. On a connection
    /// that the Server closed they are counted only; too many of them reset it.
    fn received(&mut self, key: ConnectionKey, count: usize) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&key) else {
            return Ok(());
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        socket.bytes_read += count as u64;
        self.ready.insert(key);
        if !socket.in_step {
            let seen = Seen::Bytes(Sender::Client, bytes);
            self.witness.see(self.clock.now(), key, seen)?;
        }
        if socket.closing {
            socket.late += count;
            if socket.late > LATE_BYTES {
                self.see(key, Seen::Reset(Sender::Server))?;
                return self.drop_socket(key);
            }
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.buffer);
        self.hand_over(key, bytes.get(..count).unwrap_or_default());
        self.buffer = bytes;
        Ok(())
    }

    /// Gives the core what a Client sent, as much as it handles in a while: what one Client
    /// asks for keeps no other waiting.
    fn hand_over(&mut self, key: ConnectionKey, bytes: &[u8]) {
        let began = Instant::now();
        let mut rest = bytes;
        while let Some(socket) = self.sockets.get_mut(&key) {
            if rest.is_empty() || socket.closing {
                return;
            }
            let most = match socket.in_step {
                true => usize::MAX,
                false => AT_ONCE,
            };
            if began.elapsed() > LONG && !socket.in_step {
                socket.rest = rest.to_vec();
                self.ready.insert(key);
                return;
            }
            let now = self.clock.now();
            let used = self.core.received_some(now, key, rest, most);
            rest = rest.get(used..).unwrap_or_default();
        }
    }

    /// Drops a connection that its Client closed, so the Server does too, or whose socket failed.
    fn lost(&mut self, key: ConnectionKey, how: Ending) -> io::Result<()> {
        let Some(socket) = self.sockets.get(&key) else {
            return Ok(());
        };
        let (in_step, finished) = (socket.in_step, socket.finished);
        if !in_step {
            self.see(
                key,
                match how {
                    Ending::Fin => Seen::Finished(Sender::Client),
                    Ending::Reset => Seen::Reset(Sender::Client),
                },
            )?;
        }
        if how == Ending::Fin && !finished {
            self.see(key, Seen::Finished(Sender::Server))?;
        }
        self.drop_socket(key)?;
        self.core.closed(self.clock.now(), key);
        Ok(())
    }

    /// Does everything that the core wants done.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform_all(&mut self) -> io::Result<()> {
        while self.perform()?.is_some() {}
        Ok(())
    }

    /// Does the next thing that the core wants done to a connection, and returns which one.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform(&mut self) -> io::Result<Option<ConnectionKey>> {
        while let Some(action) = self.core.next_action() {
            let key = match action {
                Action::Log(line) => {
                    self.lines.push(line);
                    continue;
                }
                Action::Send { connection, bytes } => {
                    if let Some(socket) = self.sockets.get_mut(&connection) {
                        socket.push(bytes);
                    }
                    connection
                }
                Action::Close { connection } => {
                    if let Some(socket) = self.sockets.get_mut(&connection) {
                        socket.closing = true;
                        socket.linger = Some(self.clock.now().plus(LINGER));
                    }
                    connection
                }
            };
            self.flush(key)?;
            return Ok(Some(key));
        }
        Ok(None)
    }

    /// Writes what the socket takes; closes the Server's direction once nothing is left.
    pub(super) fn flush(&mut self, key: ConnectionKey) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&key) else {
            return Ok(());
        };
        let before = socket.unsent();
        let flushed = socket.flush(key, self.clock, &mut self.witness)?;
        let (after, was_paused) = (socket.unsent(), before > PAUSE);
        if was_paused && after <= PAUSE && socket.readable {
            self.ready.insert(key);
        }
        self.core.unsent(self.clock.now(), key, after);
        match flushed {
            Flushed::Waits => Ok(()),
            Flushed::Failed => self.lost(key, Ending::Reset),
            Flushed::All => {
                if socket.closing && !socket.finished {
                    socket.finished = true;
                    let seen = Seen::Finished(Sender::Server);
                    self.witness.see(self.clock.now(), key, seen)?;
                    // An error means that the Client is gone already; the next read finds out.
                    let _ = socket.stream.shutdown(std::net::Shutdown::Write);
                    socket.readable = true;
                    self.ready.insert(key);
                }
                Ok(())
            }
        }
    }
}
