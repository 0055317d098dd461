//! The log that mosquitto 2.0.11 would have written with `-v`.
//!
//! mosquitto reads a connection packet by packet and answers each before it reads the next; so a
//! packet waits here for the answer to the one before it, unless an effect of it shows earlier.
//! What it writes of a packet may hang on the answer: a CONNECT that is refused, a PUBLISH that is
//! denied, the QoS that is granted.
//!
//! What the broker kept to itself is not in a capture: the client identifier that it assigned
//! to a 3.1.1 Client (such a Client is called by its address and port), and why it closed a
//! connection for which no packet gives a reason.

mod connection;
mod ends;
mod packets;
mod state;
mod verdict;
mod waiting;

use std::io::{self, Write};

use self::connection::Followed;
pub use self::state::Log;
use super::observer::View;
use crate::event::log::Line;
use crate::event::{ConnectionId, Event, Opened, Totals};
use crate::mqtt::Sender;

impl<W: Write> Log<W> {
    /// Takes an event; nothing of it is `shown` where the user's selection leaves it out.
    fn observe(&mut self, event: &Event<'_>, shown: bool) -> io::Result<()> {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Packet(seen) => {
                self.now = seen.stamp;
                match seen.sender {
                    Sender::Client => self.received(seen, shown),
                    Sender::Server => self.sent(seen, shown),
                }
            }
            Event::Gap(gap) => {
                self.now = gap.stamp;
                if let Some(followed) = self.connections.get_mut(&gap.connection) {
                    followed.sent = None;
                }
                self.release(gap.connection, usize::MAX)
            }
            Event::FirstEnd(end) => {
                self.now = end.stamp;
                self.first_end(end, shown)
            }
            Event::Ended(ended) => {
                self.now = ended.stamp;
                self.ended(ended, shown)
            }
            _ => Ok(()),
        }
    }

    /// Follows a connection from here on.
    fn opened(&mut self, opened: &Opened) -> io::Result<()> {
        let id = opened.connection.id;
        self.latest = self.latest.max(id);
        self.connections.insert(id, Followed::new(opened));
        match self.selective {
            true => Ok(()),
            false => self.announce(id),
        }
    }

    /// Writes the first line of a connection.
    fn announce(&mut self, id: ConnectionId) -> io::Result<()> {
        let followed = self.connections.get_mut(&id);
        let Some((stamp, peer, port)) = followed.and_then(|followed| {
            let stamp = followed.unannounced.take()?;
            Some((stamp, followed.client, followed.server.port))
        }) else {
            return Ok(());
        };
        self.line_at(stamp, Line::NewConnection { peer, port })
    }
}

impl<W: Write> View for Log<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.observe(event, true)
    }

    fn left_out(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.observe(event, false)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
