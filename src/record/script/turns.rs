//! How clients and broker take turns.
//!
//! The order is fixed. Everything that the broker wants done is done first, one thing after
//! the other, and an eager client answers at once what it gets. Then the other clients
//! answer, in the order in which something reached them. Then the broker reads what the
//! clients wrote, in the order in which they wrote it. So nothing hangs on which thread the
//! system lets run.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use super::actor::Link;
use super::model::span;
use super::play::{Done, PATIENCE, PlayError, Player};
use crate::broker::ConnectionKey;
use crate::broker::net::{Seen, Witness};
use crate::mqtt::{PacketType, Properties, Sender};

/// Bytes that are handed to the witness and written at once.
const PORTION: usize = 65_464;

impl<W: Witness> Player<'_, W> {
    /// Until nothing more follows from what was done.
    pub(super) fn settle(&mut self) -> Result<(), PlayError> {
        loop {
            if let Some(key) = self.net.perform()? {
                let on_it = |link: &Link| link.key == key;
                let mut actors = self.actors.iter();
                if let Some(at) = actors.position(|actor| actor.link.as_ref().is_some_and(on_it)) {
                    self.receive(at, key)?;
                }
            } else if let Some(at) = self.reactions.pop_front() {
                self.react(at)?;
            } else if let Some(done) = self.done.pop_front() {
                self.bring(done)?;
            } else {
                return Ok(());
            }
        }
    }

    /// The client reads what the broker wrote to it.
    fn receive(&mut self, at: usize, key: ConnectionKey) -> Result<(), PlayError> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let state = self.net.bytes_written(key);
            let closed = self.net.is_closing(key);
            let Some(link) = self
                .actors
                .get_mut(at)
                .and_then(|actor| actor.link.as_mut())
            else {
                return Ok(());
            };
            read(link);
            let all = match state {
                Some((written, unsent)) => link.read >= written && unsent == 0,
                None => link.server_closed,
            };
            if link.server_closed || (all && !closed) {
                break;
            }
            if state.is_some_and(|(_, unsent)| unsent > 0) {
                self.net.serve_now(key)?;
            }
            if Instant::now() > deadline {
                return self.failed("what the broker sent did not arrive");
            }
            std::thread::yield_now();
        }
        if self.actor(at)?.options.eager == Some(true) {
            return self.react(at);
        }
        if !self.reactions.contains(&at) {
            self.reactions.push_back(at);
        }
        Ok(())
    }

    /// The client answers what it has received.
    fn react(&mut self, at: usize) -> Result<(), PlayError> {
        let replies = self.actor(at)?.answer();
        for bytes in replies {
            let packet_type = PacketType::of(bytes.first().copied().unwrap_or(0));
            let now = self.net.clock().now();
            let actor = self.actor(at)?;
            let Some(key) = actor.link.as_ref().map(|link| link.key) else {
                break;
            };
            if actor.drops(packet_type) {
                continue;
            }
            if actor.hold.contains(&packet_type) {
                actor.held.push(bytes);
            } else if actor.delay > Duration::ZERO {
                let due = now.plus(span(actor.delay));
                self.delays += 1;
                self.delayed.insert((due, self.delays), (at, key, bytes));
            } else {
                self.write(at, &bytes)?;
            }
        }
        let actor = self.actor(at)?;
        let closed = actor.link.as_ref().is_some_and(|link| link.server_closed);
        if closed {
            return self.close(at);
        }
        if actor.leave && actor.open.is_empty() && actor.link.is_some() {
            actor.leave = false;
            return self.disconnect(at, 0, Properties::default());
        }
        Ok(())
    }

    /// The broker reads what a client did.
    fn bring(&mut self, done: Done) -> Result<(), PlayError> {
        let deadline = Instant::now() + PATIENCE;
        let (key, expected) = match done {
            Done::Ended(key) => (key, u64::MAX),
            Done::Wrote(at) => match self.link(at) {
                Some(link) => (link.key, link.written),
                None => return Ok(()),
            },
        };
        while self.net.bytes_read(key).is_some_and(|read| read < expected) {
            self.net.serve_now(key)?;
            if Instant::now() > deadline {
                return self.failed("the broker did not read what was sent");
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    /// The client writes; the witness observes it first.
    pub(super) fn write(&mut self, at: usize, bytes: &[u8]) -> Result<(), PlayError> {
        let deadline = Instant::now() + PATIENCE;
        let Some(link) = self
            .actors
            .get_mut(at)
            .and_then(|actor| actor.link.as_mut())
        else {
            return self.failed("not connected");
        };
        for portion in bytes.chunks(PORTION) {
            self.net
                .see(link.key, Seen::Bytes(Sender::Client, portion))?;
            link.last_sent = self.net.clock().now();
            link.written += portion.len() as u64;
            let mut rest = portion;
            while !rest.is_empty() {
                match link.stream.write(rest) {
                    Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        self.net.serve_now(link.key)?;
                        if Instant::now() > deadline {
                            return self.failed("the broker does not read what is sent");
                        }
                    }
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    // The broker is gone; the client learns it when it reads.
                    Err(_) => rest = &[],
                }
            }
        }
        // The broker reads all that was written, however often that was.
        if self.done.back() != Some(&Done::Wrote(at)) {
            self.done.push_back(Done::Wrote(at));
        }
        Ok(())
    }

    /// FIN from the client.
    pub(super) fn close(&mut self, at: usize) -> Result<(), PlayError> {
        // Everything written is read before the end is.
        while let Some(place) = self.done.iter().position(|&done| done == Done::Wrote(at)) {
            self.done.remove(place);
            self.bring(Done::Wrote(at))?;
        }
        let Some(link) = self.actor(at)?.link.take() else {
            return self.failed("not connected");
        };
        self.net.see(link.key, Seen::Finished(Sender::Client))?;
        drop(link.stream);
        self.done.push_back(Done::Ended(link.key));
        Ok(())
    }

    /// RST from the client.
    pub(super) fn reset(&mut self, at: usize) -> Result<(), PlayError> {
        let Some(link) = self.actor(at)?.link.take() else {
            return self.failed("not connected");
        };
        self.net.see(link.key, Seen::Reset(Sender::Client))?;
        // With no time to linger, closing sends RST.
        let socket = socket2::SockRef::from(&link.stream);
        if let Err(error) = socket.set_linger(Some(Duration::ZERO)) {
            return self.failed(error.to_string());
        }
        drop(link.stream);
        self.done.push_back(Done::Ended(link.key));
        Ok(())
    }
}

/// Reads what is there.
fn read(link: &mut Link) {
    let mut buffer = [0; 16_384];
    loop {
        match link.stream.read(&mut buffer) {
            Ok(0) => {
                link.server_closed = true;
                return;
            }
            Ok(count) => {
                link.read += count as u64;
                link.incoming
                    .extend_from_slice(buffer.get(..count).unwrap_or_default());
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return,
                ErrorKind::Interrupted => {}
                _ => {
                    link.server_closed = true;
                    return;
                }
            },
        }
    }
}
