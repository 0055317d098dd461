//! Sockets for the [`Core`]: one thread, one event loop, one order of reads and writes.
//!
//! Every byte passes a [`Witness`] before it is forwarded. Reads and writes never block, so
//! a Client that does not read holds up nobody: what it does not take waits in a queue whose
//! growth `core` and a pause in reading bound.

mod clock;
mod listen;
mod socket;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

pub use self::clock::Clock;
pub use self::listen::ListenError;
use self::listen::Listeners;
use self::socket::{Flushed, Socket};
pub use self::witness::Witness;
use super::core::{Action, BrokerOptions, ConnectionKey, Core, Ending};
use crate::base::limits::BrokerLimits;
use crate::base::{Endpoint, Span, Timestamp};
use crate::event::log::Line;
use crate::mqtt::Sender;

/// Where the broker listens, and how many may connect.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// None: both loopback addresses.
    pub bind: Vec<IpAddr>,
    /// 0: a free one.
    pub port: u16,
    /// Connections at a time; a further one is closed at once, with a line in the log.
    pub connections: usize,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            port: 1883,
            connections: BrokerLimits::DEFAULT.connections,
        }
    }
}

/// A Client that does not read this many bytes is not read from either: what it asks for
/// would only add to them.
const PAUSE: usize = 8 << 20;
/// Read at once from one connection before the others have their turn.
const READ: usize = 1 << 16;
/// Packets handled before the clock is looked at.
const AT_ONCE: usize = 4;
/// Handling what was read takes long beyond this: the rest waits for its next turn.
const LONG: Duration = Duration::from_millis(20);
/// Accepted in a row before the connections have their turn.
const ACCEPTED: usize = 256;
/// How long a closed connection may take until the Client closes too.
const LINGER: Span = Span::from_nanos(2_000_000_000);
/// Bytes that a Client may still send on a connection that the Server closed.
const LATE_BYTES: usize = 1 << 20;
/// How long to wait before accepting again when the system has no descriptor left.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);
/// Tokens of listeners count down from here; connections count up from 0.
const LISTENER: usize = usize::MAX - 8;

/// What [`Net::perform`] did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Performed {
    /// A control packet was handed to that connection.
    Sent(ConnectionKey),
    /// The Server closed that connection.
    Closed(ConnectionKey),
    /// A line was logged.
    Logged,
}

/// The broker with its sockets.
pub struct Net<W> {
    poll: Poll,
    events: Events,
    listeners: Listeners,
    /// Listeners that may have a connection waiting.
    waiting: BTreeSet<usize>,
    out_of_descriptors: bool,
    clock: Clock,
    core: Core,
    witness: W,
    sockets: BTreeMap<ConnectionKey, Socket>,
    /// Connections with something to do, so that none is read twice before another is once.
    ready: BTreeSet<ConnectionKey>,
    next_key: u64,
    limit: usize,
    log: bool,
    lines: Vec<String>,
    buffer: Vec<u8>,
}

impl<W: std::fmt::Debug> std::fmt::Debug for Net<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net")
            .field("addresses", &self.listeners.addresses)
            .field("connections", &self.sockets.len())
            .field("witness", &self.witness)
            .finish_non_exhaustive()
    }
}

impl<W: Witness> Net<W> {
    /// Opens the listening sockets.
    ///
    /// # Errors
    /// The port is in use, or the system refuses.
    pub fn listen(
        options: BrokerOptions,
        net: &NetOptions,
        witness: W,
    ) -> Result<Self, ListenError> {
        let mut listeners = listen::listen(&net.bind, net.port)?;
        let refused = |error| ListenError::Refused {
            address: SocketAddr::new(IpAddr::from([0; 4]), net.port),
            error,
        };
        let poll = Poll::new().map_err(refused)?;
        for (at, socket) in listeners.sockets.iter_mut().enumerate() {
            poll.registry()
                .register(socket, Token(LISTENER + at), Interest::READABLE)
                .map_err(refused)?;
        }
        let port = listeners.port;
        let mut lines = Vec::new();
        let log = options.log;
        if log {
            for address in &listeners.addresses {
                let family = if address.is_ipv4() { 4 } else { 6 };
                lines.push(Line::Listening { family, port }.to_string());
            }
        }
        Ok(Self {
            poll,
            events: Events::with_capacity(1_024),
            listeners,
            waiting: BTreeSet::new(),
            out_of_descriptors: false,
            clock: Clock::start(),
            core: Core::new(BrokerOptions { port, ..options }),
            witness,
            sockets: BTreeMap::new(),
            ready: BTreeSet::new(),
            next_key: 0,
            limit: net.connections,
            log,
            lines,
            buffer: vec![0; READ],
        })
    }

    /// The port that the broker listens on.
    pub fn port(&self) -> u16 {
        self.listeners.port
    }

    /// The addresses that the broker listens on.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.listeners.addresses
    }

    /// The broker's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Who watches.
    pub fn witness(&self) -> &W {
        &self.witness
    }

    /// Who watches.
    pub fn witness_mut(&mut self) -> &mut W {
        &mut self.witness
    }

    /// The witness, when the broker is no longer needed.
    pub fn into_witness(self) -> W {
        self.witness
    }

    /// The log's new lines, oldest first.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Connections that are open, or not yet closed by their Client.
    pub fn connections(&self) -> usize {
        self.sockets.len()
    }

    /// Waits at most `timeout` for something to happen, and does everything that follows.
    ///
    /// # Errors
    /// The witness failed, or the system's event queue.
    pub fn turn(&mut self, timeout: Duration) -> io::Result<()> {
        self.perform_all()?;
        self.hear(timeout, Self::perform_all)?;
        self.perform_all()
    }

    /// As [`Net::turn`], but what the core wants done is left to [`Net::perform`].
    ///
    /// # Errors
    /// The witness failed, or the system's event queue.
    pub fn listen_only(&mut self, timeout: Duration) -> io::Result<()> {
        self.hear(timeout, |_| Ok(()))
    }

    fn hear(
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
    fn wait(&mut self, timeout: Duration) -> io::Result<()> {
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

    /// What is due; returns the next deadline.
    fn time_passes(&mut self, now: Timestamp) -> io::Result<Option<Timestamp>> {
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
                self.witness.reset(now, key, Sender::Server)?;
            }
            self.drop_socket(now, key)?;
        }
        let linger = self.sockets.values().filter_map(|socket| socket.linger);
        Ok(core.into_iter().chain(witness).chain(linger).min())
    }

    /// Accepts every connection that waits.
    ///
    /// # Errors
    /// The witness failed.
    pub fn accept(&mut self) -> io::Result<()> {
        for at in std::mem::take(&mut self.waiting) {
            let mut accepted = 0;
            while let Some(listener) = self.listeners.sockets.get(at) {
                accepted += 1;
                if accepted > ACCEPTED {
                    self.waiting.insert(at);
                    break;
                }
                match listener.accept() {
                    Ok((stream, peer)) => {
                        self.out_of_descriptors = false;
                        self.admit(stream, peer)?;
                    }
                    Err(error) => match error.kind() {
                        io::ErrorKind::WouldBlock => break,
                        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted => {}
                        _ => {
                            self.accept_failed(at, &error);
                            break;
                        }
                    },
                }
            }
        }
        Ok(())
    }

    /// No descriptor is left: told once, tried again a little later.
    fn accept_failed(&mut self, at: usize, error: &io::Error) {
        self.waiting.insert(at);
        if !std::mem::replace(&mut self.out_of_descriptors, true) {
            let note = format!(
                "Connections cannot be accepted with {} open: {error}.",
                self.sockets.len()
            );
            self.note(&note);
        }
    }

    fn note(&mut self, text: &str) {
        if self.log {
            self.lines.push(Line::Note(text).to_string());
        }
    }

    fn admit(&mut self, mut stream: mio::net::TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Ok(local) = stream.local_addr() else {
            return Ok(());
        };
        let now = self.clock.now();
        let key = ConnectionKey(self.next_key);
        self.next_key += 1;
        let client = endpoint(peer);
        self.witness.opened(now, key, client, endpoint(local))?;
        if self.sockets.len() >= self.limit {
            let note = format!(
                "Connection from {peer} closed: {} connections are open, which is the limit.",
                self.limit
            );
            self.note(&note);
            self.witness.finished(now, key, Sender::Server)?;
            return self.witness.gone(now, key);
        }
        // Small packets go out at once; a failure costs speed only.
        let _ = stream.set_nodelay(true);
        let interest = Interest::READABLE | Interest::WRITABLE;
        let token = Token(key.0 as usize);
        if let Err(error) = self.poll.registry().register(&mut stream, token, interest) {
            self.note(&format!("Connection from {peer} closed: {error}."));
            self.witness.reset(now, key, Sender::Server)?;
            return Ok(());
        }
        self.sockets.insert(key, Socket::new(stream, client));
        self.core.connected(now, key, client);
        self.ready.insert(key);
        self.perform_all()
    }

    /// The open connection from that endpoint: a scripted client's own.
    pub fn find(&self, client: Endpoint) -> Option<ConnectionKey> {
        let found = self.sockets.iter().find(|(_, s)| s.client == client);
        found.map(|(&key, _)| key)
    }

    /// From now on the caller tells the witness what this Client sends, and calls
    /// [`Net::serve`] for it.
    pub fn keep_in_step(&mut self, key: ConnectionKey) {
        if let Some(socket) = self.sockets.get_mut(&key) {
            socket.in_step = true;
        }
    }

    /// Whether that connection is open, or not yet closed by its Client.
    pub fn is_open(&self, key: ConnectionKey) -> bool {
        self.sockets.contains_key(&key)
    }

    /// Whether the Server has closed that connection, or is about to once all is sent.
    pub fn is_closing(&self, key: ConnectionKey) -> bool {
        self.sockets.get(&key).is_none_or(|socket| socket.closing)
    }

    /// Bytes that were read from that connection so far; `None` once it is closed.
    pub fn bytes_read(&self, key: ConnectionKey) -> Option<u64> {
        self.sockets.get(&key).map(|socket| socket.bytes_read)
    }

    /// Bytes written to that connection so far, and bytes that wait to be; `None` once it
    /// is closed.
    pub fn bytes_written(&self, key: ConnectionKey) -> Option<(u64, usize)> {
        let socket = self.sockets.get(&key)?;
        Some((socket.bytes_written, socket.unsent()))
    }

    /// Accepts what waits, whether or not the system has told of it yet.
    ///
    /// # Errors
    /// The witness failed.
    pub fn accept_now(&mut self) -> io::Result<()> {
        self.waiting.extend(0..self.listeners.sockets.len());
        self.accept()
    }

    /// [`Net::serve`], whether or not the system has told that there is something to read.
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
            Ok(0) => self.ended(key),
            Ok(count) => self.heard(key, count),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => {
                    socket.readable = false;
                    Ok(())
                }
                io::ErrorKind::Interrupted => {
                    self.ready.insert(key);
                    Ok(())
                }
                _ => self.failed(key),
            },
        }
    }

    fn heard(&mut self, key: ConnectionKey, count: usize) -> io::Result<()> {
        let now = self.clock.now();
        let Some(socket) = self.sockets.get_mut(&key) else {
            return Ok(());
        };
        let bytes = self.buffer.get(..count).unwrap_or_default();
        socket.bytes_read += count as u64;
        self.ready.insert(key);
        if !socket.in_step {
            self.witness.bytes(now, key, Sender::Client, bytes)?;
        }
        if socket.closing {
            socket.late += count;
            if socket.late > LATE_BYTES {
                self.witness.reset(now, key, Sender::Server)?;
                return self.drop_socket(now, key);
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

    /// The Client closed its direction: so does the Server.
    fn ended(&mut self, key: ConnectionKey) -> io::Result<()> {
        let now = self.clock.now();
        let Some(socket) = self.sockets.get(&key) else {
            return Ok(());
        };
        let (in_step, finished) = (socket.in_step, socket.finished);
        if !in_step {
            self.witness.finished(now, key, Sender::Client)?;
        }
        if !finished {
            self.witness.finished(now, key, Sender::Server)?;
        }
        self.drop_socket(now, key)?;
        self.core.closed(now, key, Ending::Fin);
        Ok(())
    }

    fn failed(&mut self, key: ConnectionKey) -> io::Result<()> {
        let now = self.clock.now();
        let in_step = self.sockets.get(&key).is_some_and(|socket| socket.in_step);
        if !in_step {
            self.witness.reset(now, key, Sender::Client)?;
        }
        self.drop_socket(now, key)?;
        self.core.closed(now, key, Ending::Reset);
        Ok(())
    }

    fn drop_socket(&mut self, now: Timestamp, key: ConnectionKey) -> io::Result<()> {
        if let Some(mut socket) = self.sockets.remove(&key) {
            // The descriptor is closed with the socket; a failure leaves nothing to do.
            let _ = self.poll.registry().deregister(&mut socket.stream);
        }
        self.ready.remove(&key);
        self.witness.gone(now, key)
    }

    /// Does everything that the core wants done.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform_all(&mut self) -> io::Result<()> {
        while self.perform()?.is_some() {}
        Ok(())
    }

    /// Does the next thing that the core wants done.
    ///
    /// # Errors
    /// The witness failed.
    pub fn perform(&mut self) -> io::Result<Option<Performed>> {
        let performed = match self.core.next_action() {
            None => return Ok(None),
            Some(Action::Log(line)) => {
                self.lines.push(line);
                Performed::Logged
            }
            Some(Action::Send { connection, bytes }) => {
                if let Some(socket) = self.sockets.get_mut(&connection) {
                    socket.push(bytes);
                    self.flush(connection)?;
                }
                Performed::Sent(connection)
            }
            Some(Action::Close { connection }) => {
                if let Some(socket) = self.sockets.get_mut(&connection) {
                    socket.closing = true;
                    socket.linger = Some(self.clock.now().plus(LINGER));
                    self.flush(connection)?;
                }
                Performed::Closed(connection)
            }
        };
        Ok(Some(performed))
    }

    /// Writes what the socket takes; closes the Server's direction once nothing is left.
    fn flush(&mut self, key: ConnectionKey) -> io::Result<()> {
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
            Flushed::Failed => self.failed(key),
            Flushed::All => {
                let now = self.clock.now();
                if socket.closing && !socket.finished {
                    socket.finished = true;
                    self.witness.finished(now, key, Sender::Server)?;
                    // An error means that the Client is gone already; reading tells.
                    let _ = socket.stream.shutdown(std::net::Shutdown::Write);
                    socket.readable = true;
                    self.ready.insert(key);
                }
                Ok(())
            }
        }
    }

    /// Every Client is to be told that the Server stops: see [`Net::perform`].
    pub fn begin_to_shut_down(&mut self) {
        self.core.shut_down();
    }

    /// Tells every Client that the Server stops, and waits a moment for them to close.
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
        let now = self.clock.now();
        for key in self.sockets.keys().copied().collect::<Vec<_>>() {
            self.drop_socket(now, key)?;
        }
        self.witness.flush()
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint {
        address: address.ip(),
        port: address.port(),
    }
}
