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
    fn add(&mut self, sender: Sender, id: u16, digest: u64) {
        let messages = &mut self.messages[sender];
        if messages.len() >= caps::REMEMBERED {
            messages.clear();
            self.any[sender] = true;
        }
        messages.insert(id, digest);
    }
}

/// Messages that may be sent again, of all clients.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    clients: HashMap<(BrokerId, Arc<str>), OfClient>,
    /// Some clients were forgotten.
    forgot: bool,
}

impl Unread {
    fn of(&mut self, broker: BrokerId, client_id: &Arc<str>, limits: &Limits) -> &mut OfClient {
        let key = (broker, Arc::clone(client_id));
        if self.clients.len() >= limits.sessions && !self.clients.contains_key(&key) {
            self.clients.clear();
            self.forgot = true;
        }
        self.clients.entry(key).or_default()
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
        self.of(broker, client_id, limits)
            .add(Sender::Client, id, digest);
    }

    /// Notes that an end's first attempt at a message may be among what the capture lacks.
    fn note_unknown(&mut self, link: &Link, sender: Sender, limits: &Limits) {
        if let Some(client_id) = &link.client_id {
            self.of(link.broker, client_id, limits).any[sender] = true;
        }
    }

    /// Notes whether anything may be sent again after the end of `link`. A DISCONNECT of the client
    /// ends it in order; otherwise either end may have sent what never reached the wire, or not
    /// have read what came last.
    pub(crate) fn note_end(&mut self, link: &Link, limits: &Limits) {
        let goodbye = link.goodbye.filter(|goodbye| goodbye.by == Sender::Client);
        for sender in [Sender::Client, Sender::Server] {
            // An acknowledgement may have crossed the DISCONNECT.
            let last = link.sides[sender.peer()].last;
            let read = goodbye.is_some_and(|goodbye| {
                sender == Sender::Server
                    || last
                        .and_then(|last| between(&last, &goodbye.stamp))
                        .is_none_or(|span| span >= caps::CROSSING)
            });
            if !read || !link.certain(sender) {
                self.note_unknown(link, sender, limits);
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
        if let Some(client_id) = &link.client_id
            && let Some(client) = (self.clients).get_mut(&(link.broker, Arc::clone(client_id)))
        {
            client.messages.server.clear();
            client.any.server = false;
        }
    }
}
