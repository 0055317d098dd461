//! The sockets and what all that happens to them shares, from opening to closing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::{Events, Interest, Poll, Token};

use super::clock::Clock;
use super::listen::{self, ListenError, Listeners};
use super::socket::Socket;
use super::witness::{Seen, Witness};
use crate::base::Endpoint;
use crate::broker::core::{BrokerOptions, ConnectionKey, Core};
use crate::event::log::Line;

/// Read at once from one connection before the others have their turn.
pub(super) const READ: usize = 1 << 16;
/// Tokens of listeners count down from here; connections count up from 0.
pub(super) const LISTENER: usize = usize::MAX - 8;

/// The broker with its sockets.
pub struct Net<W> {
    pub(super) poll: Poll,
    pub(super) events: Events,
    pub(super) listeners: Listeners,
    /// Listeners that may have a connection waiting.
    pub(super) waiting: BTreeSet<usize>,
    pub(super) out_of_descriptors: bool,
    pub(super) clock: Clock,
    pub(super) core: Core,
    pub(super) witness: W,
    pub(super) sockets: BTreeMap<ConnectionKey, Socket>,
    /// Connections with something to do, in the order in which that came: see [`Net::line_up`].
    queue: VecDeque<ConnectionKey>,
    /// Bytes that were read and not handled yet, of all connections.
    pub(super) unhandled: usize,
    pub(super) next_key: u64,
    pub(super) limit: usize,
    pub(super) log: bool,
    pub(super) lines: Vec<String>,
    pub(super) buffer: Vec<u8>,
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
    /// Opens the listening sockets on the addresses in `bind`, on both loopback addresses where it
    /// is empty. A connection beyond the limit is closed at once, with a line in the log.
    ///
    /// # Errors
    /// The port is in use, or the system refuses.
    pub fn listen(
        options: BrokerOptions,
        bind: &[IpAddr],
        witness: W,
    ) -> Result<Self, ListenError> {
        let mut listeners = listen::listen(bind, options.port)?;
        let refused = |error| ListenError::Refused {
            address: SocketAddr::new(IpAddr::from([0; 4]), options.port),
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
            limit: options.limits.connections,
            core: Core::new(BrokerOptions { port, ..options }),
            witness,
            sockets: BTreeMap::new(),
            queue: VecDeque::new(),
            unhandled: 0,
            next_key: 0,
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

    /// The observer of the traffic.
    pub fn witness(&self) -> &W {
        &self.witness
    }

    /// The observer of the traffic, to be changed.
    pub fn witness_mut(&mut self) -> &mut W {
        &mut self.witness
    }

    /// The log's new lines, oldest first.
    pub fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines)
    }

    /// Connections that are open, or not yet closed by their Client.
    pub fn connections(&self) -> usize {
        self.sockets.len()
    }

    /// The open connection from that endpoint: a scripted client's own. From now on the caller
    /// reports to the witness the bytes that this Client sends, and calls [`Net::serve`] for it.
    pub fn keep_in_step(&mut self, client: Endpoint) -> Option<ConnectionKey> {
        let mut sockets = self.sockets.iter_mut();
        let (&key, socket) = sockets.find(|(_, socket)| socket.client == client)?;
        socket.in_step = true;
        Some(key)
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

    /// Adds a line to the log, where it is wanted.
    pub(super) fn note(&mut self, text: &str) {
        if self.log {
            self.lines.push(Line::Note(text).to_string());
        }
    }

    /// Reports to the witness what happens on a connection.
    ///
    /// # Errors
    /// The witness failed.
    pub fn see(&mut self, key: ConnectionKey, seen: Seen<'_>) -> io::Result<()> {
        self.witness.see(self.clock.now(), key, seen)
    }

    /// Puts a connection at the end of the queue, unless it has its place there.
    pub(super) fn line_up(&mut self, key: ConnectionKey) {
        if let Some(socket) = self.sockets.get_mut(&key)
            && !std::mem::replace(&mut socket.queued, true)
        {
            self.queue.push_back(key);
        }
    }

    /// Takes the connection whose turn it is; one that is gone has none.
    pub(super) fn next_in_line(&mut self) -> Option<ConnectionKey> {
        loop {
            let key = self.queue.pop_front()?;
            if let Some(socket) = self.sockets.get_mut(&key) {
                socket.queued = false;
                return Some(key);
            }
        }
    }

    /// The connections in the queue, the next one first.
    pub(super) const fn line(&self) -> &VecDeque<ConnectionKey> {
        &self.queue
    }

    /// Closes a socket and forgets its connection.
    pub(super) fn drop_socket(&mut self, key: ConnectionKey) -> io::Result<()> {
        if let Some(mut socket) = self.sockets.remove(&key) {
            self.unhandled = self
                .unhandled
                .saturating_sub(socket.rest.len() - socket.handled);
            // The descriptor is closed with the socket; a failure leaves nothing to do.
            let _ = self.poll.registry().deregister(&mut socket.stream);
        }
        self.see(key, Seen::Gone)
    }
}
