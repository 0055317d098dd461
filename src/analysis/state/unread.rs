//! Messages whose acknowledgement their sender may not have read: they are rightly sent again.

use std::sync::Arc;

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::BrokerId;
use super::link::Link;
use crate::base::limits::Limits;
use crate::event::between;
use crate::mqtt::{BySender, Sender};

/// The messages that a client and its server may send again on the client's next connection.
#[derive(Debug, Default)]
struct OfClient {
    /// Digests of messages by identifier; 0 where it is not known.
    messages: BySender<HashMap<u16, u64>>,
    /// It is not known which: they never reached the wire, a gap may hold them, or there were too
    /// many.
    any: BySender<bool>,
}

impl OfClient {
    /// Forgets what `sender` may send again; returns how many messages that are.
    fn forget(&mut self, sender: Sender) -> usize {
        self.any[sender] = false;
        std::mem::take(&mut self.messages[sender]).len()
    }

    fn is_empty(&self) -> bool {
        let BySender { client, server } = &self.messages;
        client.is_empty() && server.is_empty() && !self.any.client && !self.any.server
    }
}

/// Messages that may be sent again, of all clients.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    clients: HashMap<(BrokerId, Arc<str>), OfClient>,
    /// Clients and messages.
    count: usize,
    /// Some clients were forgotten.
    forgot: bool,
    /// That was just now.
    full: bool,
}

impl Unread {
    /// Returns what may be sent again of a client, with room for one more.
    fn of(&mut self, broker: BrokerId, client_id: &Arc<str>, limits: &Limits) -> &mut OfClient {
        if self.count >= limits.unread {
            self.clients.clear();
            self.count = 0;
            (self.forgot, self.full) = (true, true);
        }
        let key = (broker, Arc::clone(client_id));
        let count = &mut self.count;
        self.clients.entry(key).or_insert_with(|| {
            *count += 1;
            OfClient::default()
        })
    }

    /// Returns whether [`Limits::unread`] made it forget all since the last call.
    pub(crate) fn was_full(&mut self) -> bool {
        std::mem::take(&mut self.full)
    }

    /// Notes that a message of a client was never acknowledged. Clients send it again also where
    /// the session that it belonged to is over.
    pub(crate) fn note_unacknowledged(
        &mut self,
        broker: BrokerId,
        client_id: &Arc<str>,
        (id, digest): (u16, u64),
        limits: &Limits,
    ) {
        let client = self.of(broker, client_id, limits);
        let messages = &mut client.messages.client;
        let mut more = 0;
        if messages.len() >= caps::REMEMBERED {
            client.any.client = true;
        } else if messages.insert(id, digest).is_none() {
            more = 1;
        }
        self.count += more;
    }

    /// Notes that an end's first attempt at a message may be among what the capture lacks.
    fn note_unknown(&mut self, link: &Link, sender: Sender, limits: &Limits) {
        if let Some(client_id) = &link.client_id {
            self.of(link.broker, client_id, limits).any[sender] = true;
        }
    }

    /// Notes whether anything may be sent again after the end of `link`, which was `reset` or not. A
    /// DISCONNECT of the client ends it in order; otherwise either end may have sent what never
    /// reached the wire, or not have read what came last.
    pub(crate) fn note_end(&mut self, link: &Link, reset: bool, limits: &Limits) {
        let goodbye = link.goodbye.filter(|goodbye| goodbye.by == Sender::Client);
        let server = link.sides.server.last;
        // A server that writes to a client which has closed is answered with RST, and what it has
        // not read by then is lost, the DISCONNECT included.
        let orderly = goodbye.is_some_and(|goodbye| {
            !reset && server.is_none_or(|last| last.number <= goodbye.stamp.number)
        });
        // What an end has to send again it sends soon after the CONNACK ([MQTT-4.4.0-1]).
        let accepted = link.accepted.zip(goodbye);
        let had_time = accepted
            .and_then(|(accepted, goodbye)| between(&accepted, &goodbye.stamp))
            .is_some_and(|span| span >= caps::LAST_MOMENT);
        // An acknowledgement may have crossed the DISCONNECT.
        let crossed = goodbye.is_none_or(|goodbye| {
            let last = server.and_then(|last| between(&last, &goodbye.stamp));
            last.is_some_and(|span| span < caps::CROSSING)
        });
        for sender in [Sender::Client, Sender::Server] {
            let read = match sender {
                Sender::Client => !crossed,
                Sender::Server => orderly,
            };
            if !read || !link.certain(sender) {
                self.note_unknown(link, sender, limits);
            } else if had_time {
                self.forget(link, sender);
            }
        }
    }

    /// Returns whether an end may rightly send a message again that no open handshake has.
    pub(crate) fn may_repeat(&self, link: &Link, sender: Sender, id: u16, digest: u64) -> bool {
        // Without an identifier its earlier connections are not known.
        let connect = link.connect.as_ref();
        self.forgot
            || connect.is_none_or(|connect| connect.client_id.is_empty())
            || self.is_unread(link, sender, id, digest)
    }

    /// Returns whether the acknowledgement of a message of an earlier connection may not have been
    /// read.
    pub(crate) fn is_unread(&self, link: &Link, sender: Sender, id: u16, digest: u64) -> bool {
        let key = link.client_id.as_ref();
        let key = key.map(|client_id| (link.broker, Arc::clone(client_id)));
        let Some(client) = key.and_then(|key| self.clients.get(&key)) else {
            return false;
        };
        let message = client.messages[sender].get(&id);
        client.any[sender]
            || message.is_some_and(|known| *known == digest || *known == 0 || digest == 0)
    }

    /// Forgets what a server may send again: the session is a new one.
    pub(crate) fn forget_servers(&mut self, link: &Link) {
        self.forget(link, Sender::Server);
    }

    /// Forgets what an end may send again.
    fn forget(&mut self, link: &Link, sender: Sender) {
        let Some(client_id) = link.client_id.as_ref().filter(|_| self.count > 0) else {
            return;
        };
        let key = (link.broker, Arc::clone(client_id));
        let Some(client) = self.clients.get_mut(&key) else {
            return;
        };
        let mut gone = client.forget(sender);
        if client.is_empty() {
            self.clients.remove(&key);
            gone += 1;
        }
        self.count -= gone;
    }
}
