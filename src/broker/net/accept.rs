//! Connections accepted, or closed at once where too many are open.

use std::io;
use std::net::SocketAddr;

use mio::{Interest, Token};

use super::server::Net;
use super::socket::Socket;
use super::witness::{Seen, Witness};
use crate::broker::core::ConnectionKey;
use crate::mqtt::Sender;

/// Accepted in a row before the connections have their turn.
const ACCEPTED: usize = 64;

impl<W: Witness> Net<W> {
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

    /// No descriptor is left: logged once, tried again a little later.
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

    /// Registers a new connection, or closes it at once where the limit is reached: the witness
    /// sees either.
    fn admit(&mut self, mut stream: mio::net::TcpStream, peer: SocketAddr) -> io::Result<()> {
        let Ok(local) = stream.local_addr() else {
            return Ok(());
        };
        let key = ConnectionKey(self.next_key);
        self.next_key += 1;
        let (client, server) = (peer.into(), local.into());
        self.see(key, Seen::Opened { client, server })?;
        if self.sockets.len() >= self.limit {
            let note = format!(
                "Connection from {peer} closed: {} connections are open, which is the limit.",
                self.limit
            );
            self.note(&note);
            self.see(key, Seen::Finished(Sender::Server))?;
            return self.see(key, Seen::Gone);
        }
        // Small packets go out at once; a failure costs speed only.
        let _ = stream.set_nodelay(true);
        // Room to write is asked for only once there was none: its event would give a socket its
        // place in the order before it has something to read.
        let token = Token(key.0 as usize);
        let registry = self.poll.registry();
        if let Err(error) = registry.register(&mut stream, token, Interest::READABLE) {
            self.note(&format!("Connection from {peer} closed: {error}."));
            return self.see(key, Seen::Reset(Sender::Server));
        }
        self.sockets.insert(key, Socket::new(stream, client));
        self.core.connected(self.clock.now(), key, client);
        self.line_up(key);
        self.perform_all()
    }

    /// Accepts what waits, whether or not the system has reported it yet.
    ///
    /// # Errors
    /// The witness failed.
    pub fn accept_now(&mut self) -> io::Result<()> {
        self.waiting.extend(0..self.listeners.sockets.len());
        self.accept()
    }
}
