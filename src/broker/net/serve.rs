//! One connection's bytes read and handed to the core, and what the core wants done.

use std::io::{self, Read};
use std::time::{Duration, Instant};

use mio::{Interest, Token};

use super::server::{Net, READ};
use super::socket::{Ending, Flushed, Socket};
use super::witness::{Seen, Witness};
use crate::base::Span;
use crate::broker::core::{Action, ConnectionKey};
use crate::mqtt::Sender;

/// A Client that does not read this many bytes is not read from either: what it asks for
/// would only add to them.
const PAUSE: usize = 8 << 20;
/// Steps of the core before the clock is looked at: some four small packets.
const STEPS: usize = 64;
/// Steps of work that was left unfinished, before others have their turn.
const WORK_STEPS: usize = 256;
/// While so much is read and not handled, no more is read.
const UNHANDLED: usize = 64 << 20;
/// How long a closed connection may take until the Client closes too.
const LINGER: Span = Span::from_nanos(2_000_000_000);
/// Bytes that a Client may still send on a connection that the Server closed.
const LATE_BYTES: usize = 1 << 20;

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

    /// Writes to and reads from one connection what is possible now, and has the core handle it,
    /// all of it where the Client is in step. What the core wants done then is not done yet: see
    /// [`Net::perform`].
    ///
    /// # Errors
    /// The witness failed.
    pub fn serve(&mut self, key: ConnectionKey) -> io::Result<()> {
        self.serve_for(key, Duration::ZERO, &mut |_| Ok(()))
    }

    /// As [`Net::serve`], for about as long as `slice`: then the connection lines up again.
    /// `then` runs after each step that may have given the core something to do.
    pub(super) fn serve_for(
        &mut self,
        key: ConnectionKey,
        slice: Duration,
        then: &mut impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let began = Instant::now();
        self.flush(key)?;
        self.take_in(key)?;
        while let Some(socket) = self.sockets.get_mut(&key) {
            // It lines up again once the Client reads, or the work is done.
            if socket.unsent() > PAUSE || self.core.is_busy(key) {
                return Ok(());
            }
            if socket.rest.is_empty() {
                if let Some(ending) = socket.ending {
                    return self.lost(key, ending);
                }
                if socket.readable {
                    self.line_up(key);
                }
                return Ok(());
            }
            self.hand_over(key);
            then(self)?;
            let goes_on = self.sockets.get(&key).is_some_and(Socket::has_input);
            if began.elapsed() > slice && goes_on {
                self.line_up(key);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads what a connection brought, unless there is something of it that is not handled yet.
    ///
    /// # Errors
    /// The witness failed.
    pub(super) fn take_in(&mut self, key: ConnectionKey) -> io::Result<()> {
        while let Some(socket) = self.sockets.get_mut(&key) {
            let full = socket.unsent() > PAUSE || self.unhandled > UNHANDLED;
            // All that is there, so that what comes later has its place behind that of others.
            let enough = socket.handled > 0 || socket.rest.len() >= READ;
            if !socket.readable || enough || socket.ending.is_some() || full {
                return Ok(());
            }
            match socket.stream.read(&mut self.buffer) {
                Ok(0) => socket.ending = Some(Ending::Fin),
                Ok(count) => self.received(key, count)?,
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => socket.readable = false,
                    io::ErrorKind::Interrupted => {}
                    _ => socket.ending = Some(Ending::Reset),
                },
            }
        }
        Ok(())
    }

    /// Passes `count` bytes of the buffer to the witness, and keeps them for the core. On a
    /// connection that the Server closed they are counted only; too many of them reset it.
    fn received(&mut self, key: ConnectionKey, count: usize) -> io::Result<()> {
        let Some(socket) = self.sockets.get_mut(&key) else {
            return Ok(());
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        socket.bytes_read += count as u64;
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
        socket.rest.extend_from_slice(bytes);
        self.unhandled += count;
        Ok(())
    }

    /// Gives the core some of what a Client sent: all of it where the Client is in step.
    fn hand_over(&mut self, key: ConnectionKey) {
        let Some(socket) = self.sockets.get_mut(&key) else {
            return;
        };
        let mut rest = std::mem::take(&mut socket.rest);
        let most = match socket.in_step {
            true => usize::MAX,
            false => STEPS,
        };
        let closing = socket.closing;
        let now = self.clock.now();
        let unhandled = rest.get(socket.handled..).unwrap_or_default();
        let used = match closing {
            true => unhandled.len(),
            false => self.core.received_some(now, key, unhandled, most),
        };
        self.unhandled = self.unhandled.saturating_sub(used);
        socket.handled += used;
        if socket.handled >= rest.len() {
            socket.handled = 0;
            rest = Vec::new();
        }
        socket.rest = rest;
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

    /// Does everything that the core wants done now; work that was left unfinished has its turns.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform_all(&mut self) -> io::Result<()> {
        while self.perform_next()?.is_some() {}
        Ok(())
    }

    /// Does the next thing that the core wants done to a connection, and returns which one. Work
    /// that was left unfinished is done for it.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform(&mut self) -> io::Result<Option<ConnectionKey>> {
        loop {
            let performed = self.perform_next()?;
            if performed.is_some() || !self.core.has_work() {
                return Ok(performed);
            }
            self.work();
        }
    }

    /// Goes on with the unfinished work whose turn it is.
    pub(super) fn work(&mut self) {
        if let Some(key) = self.core.work(self.clock.now(), WORK_STEPS) {
            self.line_up(key);
        }
    }

    /// Does the next thing that the core wants done to a connection, and returns which one.
    fn perform_next(&mut self) -> io::Result<Option<ConnectionKey>> {
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
        let after = socket.unsent();
        let waits = flushed == Flushed::Waits;
        if waits != socket.waits {
            let interest = match waits {
                true => Interest::READABLE | Interest::WRITABLE,
                false => Interest::READABLE,
            };
            let token = Token(key.0 as usize);
            let registry = self.poll.registry();
            registry.reregister(&mut socket.stream, token, interest)?;
            socket.waits = waits;
        }
        let goes_on = before > PAUSE && after <= PAUSE && socket.has_input();
        let ends = flushed == Flushed::All && socket.closing && !socket.finished;
        if ends {
            socket.finished = true;
            let seen = Seen::Finished(Sender::Server);
            self.witness.see(self.clock.now(), key, seen)?;
            // An error means that the Client is gone already; the next read finds out.
            let _ = socket.stream.shutdown(std::net::Shutdown::Write);
            socket.readable = true;
        }
        self.core.unsent(self.clock.now(), key, after);
        if goes_on || ends || flushed == Flushed::Yields {
            self.line_up(key);
        }
        match flushed {
            Flushed::Failed => self.lost(key, Ending::Reset),
            _ => Ok(()),
        }
    }
}
