//! The event loop, turn by turn: time, the system's events, every connection once.

use std::io;
use std::time::{Duration, Instant};

use mio::Token;

use super::server::{LISTENER, Net};
use super::witness::{Seen, Witness};
use crate::base::Timestamp;
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// How long to wait before accepting again when the system has no descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

impl<W: Witness> Net<W> {
    /// Waits at most `timeout` for something to happen, and does everything that follows.
    ///
    /// # Errors
    /// The witness failed, or the system's event queue.
    pub fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        self.perform_all()?;
        self.turn_with(timeout, Self::perform_all)?;
        self.perform_all()
    }

    /// As [`Net::turn`], but what the core wants done is left to [`Net::perform`].
    ///
    /// # Errors
    /// The witness failed, or the system's event queue.
    pub fn listen_only(&mut self, timeout: Duration) -> io::Result<()> {
        self.turn_with(timeout, |_| Ok(()))
    }

    /// One turn; `then` runs after each step that may have given the core something to do.
    pub(super) fn turn_with(
        &mut self,
        timeout: Duration,
        mut then: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let now = self.clock.now();
        let due = self.time_passes(now)?;
        then(self)?;
        let timeout = if self.core.has_actions() {
            Duration::ZERO
        } else {
            due.map_or(timeout, |at| {
                let nanos = u64::try_from(at.since(now).nanos()).unwrap_or(0);
                timeout.min(Duration::from_nanos(nanos))
            })
        };
        self.witness.flush()?;
        self.wait(timeout)?;
        self.accept()?;
        // Those that become ready meanwhile wait for the next turn.
        for key in std::mem::take(&mut self.ready) {
            self.serve(key)?;
            then(self)?;
        }
        Ok(())
    }

    /// Collects what is ready, waiting at most `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let more = !self.waiting.is_empty() && !self.out_of_descriptors;
        let timeout = if more || !self.ready.is_empty() {
            Duration::ZERO
        } else if self.out_of_descriptors {
            timeout.min(ACCEPT_AGAIN)
        } else {
            timeout
        };
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            other => other?,
        }
        for event in &self.events {
            let Token(token) = event.token();
            if token >= LISTENER {
                self.waiting.insert(token - LISTENER);
                continue;
            }
            let key = ConnectionKey(token as u64);
            if let Some(socket) = self.sockets.get_mut(&key) {
                socket.readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                socket.writable |= event.is_writable();
                self.ready.insert(key);
            }
        }
        Ok(())
    }

    /// Does what is due; returns the next deadline.
    pub(super) fn time_passes(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        let core = self.core.tick(now);
        let witness = self.witness.tick(now)?;
        let late: Vec<_> = self
            .sockets
            .iter()
            .filter(|(_, socket)| socket.linger.is_some_and(|at| at <= now))
            .map(|(&key, socket)| (key, socket.unsent() > 0))
            .collect();
        for (key, unsent) in late {
            if unsent {
                self.see(key, Seen::Reset(Sender::Server))?;
            }
            self.drop_socket(key)?;
        }
        let linger = self.sockets.values().filter_map(|socket| socket.linger);
        Ok(core.into_iter().chain(witness).chain(linger).min())
    }

    /// Queues the end of every connection: see [`Net::perform`].
    pub fn begin_to_shut_down(&mut self) {
        self.core.shut_down();
    }

    /// Ends every connection, and waits at most `patience` for the Clients to close.
    ///
    /// # Errors
    /// The witness failed.
    pub fn shut_down(&mut self, patience: Duration) -> io::Result<()> {
        self.begin_to_shut_down();
        let until = Instant::now() + patience;
        while !self.sockets.is_empty() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            self.turn(left)?;
        }
        self.perform_all()?;
        for key in self.sockets.keys().copied().collect::<Vec<_>>() {
            self.drop_socket(key)?;
        }
        self.witness.flush()
    }
}
