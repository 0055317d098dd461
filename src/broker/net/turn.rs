//! The event loop, turn by turn: time, the system's events, every connection once.

use std::io;
use std::time::{Duration, Instant};

use mio::{Events, Token};

use super::server::{LISTENER, Net};
use super::socket::Socket;
use super::witness::{Seen, Witness};
use crate::base::Timestamp;
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// How long to wait before accepting again when the system has no descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// New input is looked for so often at least, however much there is to do.
const TURN: Duration = Duration::from_millis(5);
/// The least time in a turn for each connection with something to do: with a hundred of them, each
/// has its turn every 25 ms.
const SLICE: Duration = Duration::from_micros(250);

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
    ///
    /// The order in which sockets became readable is that of the system's events. All of them are
    /// read before the first byte is handled: what comes while one is handled must not be taken for
    /// earlier than what another's socket holds already.
    pub(super) fn turn_with(
        &mut self,
        timeout: Duration,
        mut then: impl FnMut(&mut Self) -> io::Result<()>,
    ) -> io::Result<()> {
        let now = self.clock.now();
        let due = self.deadline(now)?;
        let timeout = if self.core.has_actions() || self.core.has_work() {
            Duration::ZERO
        } else {
            due.map_or(timeout, |at| {
                let nanos = u64::try_from(at.since(now).nanos()).unwrap_or(0);
                timeout.min(Duration::from_nanos(nanos))
            })
        };
        self.witness.flush()?;
        self.wait(timeout)?;
        for key in self.line().iter().copied().collect::<Vec<_>>() {
            self.take_in(key)?;
        }
        // Those that line up meanwhile wait for the next turn, and what comes to other sockets
        // waits for it no longer than `TURN`.
        let (began, waiting) = (Instant::now(), self.line().len());
        let slice = (TURN / u32::try_from(waiting).unwrap_or(u32::MAX).max(1)).max(SLICE);
        for number in 0.. {
            let next = if number < waiting {
                self.next_in_line()
            } else {
                None
            };
            if let Some(key) = next {
                self.serve_for(key, slice, &mut then)?;
                then(self)?;
            }
            // Unfinished work has a turn with each connection, and the time that is left.
            let has_work = self.core.has_work();
            if has_work {
                self.work();
                then(self)?;
            }
            if (next.is_none() && !has_work) || began.elapsed() > TURN {
                break;
            }
        }
        // Only now: a Client is not silent whose packets were not read yet.
        self.time_passes(self.clock.now())?;
        then(self)
    }

    /// Collects what is ready, waiting at most `timeout`.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<()> {
        let more = !self.waiting.is_empty() && !self.out_of_descriptors;
        let timeout = if more || !self.line().is_empty() {
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
        self.accept()?;
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(token) = event.token();
            if token >= LISTENER {
                self.waiting.insert(token - LISTENER);
                self.accept()?;
                continue;
            }
            let key = ConnectionKey(token as u64);
            if let Some(socket) = self.sockets.get_mut(&key) {
                socket.readable |=
                    event.is_readable() || event.is_read_closed() || event.is_error();
                socket.writable |= event.is_writable();
                self.line_up(key);
            }
        }
        self.events = events;
        Ok(())
    }

    /// The instant at which something is due next.
    fn deadline(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
        let witness = self.witness.tick(now)?;
        let linger = self.sockets.values().filter_map(|socket| socket.linger);
        Ok(self
            .core
            .deadline()
            .into_iter()
            .chain(witness)
            .chain(linger)
            .min())
    }

    /// Does what is due.
    pub(super) fn time_passes(&mut self, now: Timestamp) -> io::Result<()> {
        let sockets = &self.sockets;
        let has_input = |key| sockets.get(&key).is_some_and(Socket::has_input);
        self.core.tick_unless(now, has_input);
        self.witness.tick(now)?;
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
        Ok(())
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

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::super::server::READ;
    use super::*;
    use crate::broker::core::BrokerOptions;

    const SUBSCRIBE: &[u8] = b"\x82\x06\0\x01\0\x01t\0";
    const PUBLISH: &[u8] = b"\x30\x04\0\x01tx";

    fn broker() -> Net<()> {
        let options = BrokerOptions {
            port: 0,
            ..BrokerOptions::default()
        };
        Net::listen(options, &[], ()).unwrap()
    }

    /// A Client whose CONNECT was answered.
    fn client(net: &mut Net<()>, name: u8) -> TcpStream {
        let mut stream = TcpStream::connect(net.addresses()[0]).unwrap();
        // Else a packet is held back until the one before it is acknowledged.
        stream.set_nodelay(true).unwrap();
        stream
            .write_all(&[
                0x10, 13, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0, 0, 1, name,
            ])
            .unwrap();
        assert_eq!(read(net, &mut stream, 4), [0x20, 2, 0, 0]);
        stream
    }

    /// So many bytes of a Client's, and turns of the broker until it has them.
    fn read(net: &mut Net<()>, stream: &mut TcpStream, count: usize) -> Vec<u8> {
        stream.set_nonblocking(true).unwrap();
        let mut bytes = vec![0; count];
        let mut read = 0;
        while read < count {
            net.turn(Duration::from_millis(1)).unwrap();
            match stream.read(&mut bytes[read..]) {
                Ok(more) => read += more,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        bytes
    }

    #[test]
    fn sockets_are_served_in_the_order_in_which_they_became_readable() {
        let mut net = broker();
        let mut clients = [client(&mut net, b'a'), client(&mut net, b'b')];
        for subscriber in [1, 0, 1, 0] {
            let [publisher, subscriber] = match (&mut clients, subscriber) {
                ([first, second], 1) => [first, second],
                ([first, second], _) => [second, first],
            };
            subscriber.write_all(SUBSCRIBE).unwrap();
            publisher.write_all(PUBLISH).unwrap();
            let expected = [b"\x90\x03\0\x01\0", PUBLISH].concat();
            assert_eq!(read(&mut net, subscriber, 11), expected);
            subscriber.write_all(b"\xa2\x05\0\x02\0\x01t").unwrap();
            assert_eq!(read(&mut net, subscriber, 4), [0xb0, 2, 0, 2]);
        }
    }

    #[test]
    fn what_another_socket_holds_already_is_handled_before_what_comes_later() {
        let mut net = broker();
        let (mut a, mut b) = (client(&mut net, b'a'), client(&mut net, b'b'));
        // The first Client has its place in the queue, since it sent something.
        a.write_all(b"\xc0\0").unwrap();
        net.turn(Duration::from_millis(100)).unwrap();
        b.write_all(SUBSCRIBE).unwrap();
        a.write_all(PUBLISH).unwrap();
        let expected = [b"\x90\x03\0\x01\0", PUBLISH].concat();
        assert_eq!(read(&mut net, &mut b, 11), expected);
    }

    #[test]
    fn a_client_that_sends_without_end_has_a_turn_like_any_other() {
        let mut net = broker();
        let (mut flood, mut other) = (client(&mut net, b'a'), client(&mut net, b'b'));
        flood.set_nonblocking(true).unwrap();
        let pings = b"\xc0\0".repeat(100_000);
        let sent = flood.write(&pings).unwrap();
        other.write_all(b"\xc0\0").unwrap();
        // Both are read, then each has a turn; the flood takes many.
        let mut turns = 0;
        other.set_nonblocking(true).unwrap();
        while other.read(&mut [0; 2]).is_err() {
            net.turn(Duration::from_millis(1)).unwrap();
            turns += 1;
        }
        assert!(turns <= 3, "{turns}");
        // Nothing that was read is lost.
        assert!(sent > 2 * READ);
        read(&mut net, &mut flood, sent);
    }

    #[test]
    fn small_packets_that_wait_are_held_in_few_pieces() {
        let mut net = broker();
        let mut stream = client(&mut net, b'a');
        let key = *net.sockets.keys().next().unwrap();
        let socket = net.sockets.get_mut(&key).unwrap();
        for _ in 0..40_000 {
            socket.push(b"\x30\x03\0\x01t".to_vec());
        }
        assert_eq!(socket.unsent(), 200_000);
        assert_eq!(socket.pieces(), 4);
        net.line_up(key);
        let all = read(&mut net, &mut stream, 200_000);
        assert!(all.chunks(5).all(|packet| packet == b"\x30\x03\0\x01t"));
    }
}
