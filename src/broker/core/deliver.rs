//! From an application message to the Clients that subscribed: routing, windows, queues.

use std::sync::Arc;

use super::action::ConnectionKey;
use super::encode::{self, Sent};
use super::link::{ALIAS_BYTES, Link};
use super::message::Message;
use super::server::Core;
use super::session::{Awaiting, Exchange, Outgoing, SessionKey};
use crate::event::log::{Line, Way};
use crate::mqtt::{Delivery, QoS};

impl Core {
    /// Keeps a retained message and hands the message to every subscription that selects its
    /// topic. Returns whether there was one: PUBACK reports it (reason code 0x10).
    pub(super) fn route(&mut self, publisher: Option<SessionKey>, message: Arc<Message>) -> bool {
        if message.retain {
            self.retain(&message);
        }
        let mut matches = std::mem::take(&mut self.matches);
        let sessions = &self.sessions;
        let online = |key| sessions.get(&key).is_some_and(|s| s.connection.is_some());
        self.filters
            .matches(&message.topic, publisher, online, &mut matches);
        let any = !matches.is_empty();
        for found in matches.drain(..) {
            let outgoing = Outgoing {
                qos: found.qos.min(message.qos),
                // [MQTT-3.3.1-12], [MQTT-3.3.1-13].
                retain: message.retain
                    && (found.retain_as_published || self.is_bridge(found.session)),
                identifiers: found.identifiers,
                message: Arc::clone(&message),
            };
            self.offer(found.session, outgoing);
        }
        self.matches = matches;
        any
    }

    fn is_bridge(&self, key: SessionKey) -> bool {
        self.link_of(key).is_some_and(|(_, link)| link.bridge)
    }

    fn link_of(&self, key: SessionKey) -> Option<(ConnectionKey, &Link)> {
        let connection = self.sessions.get(&key)?.connection?;
        Some((connection, self.links.get(&connection)?))
    }

    /// Keeps a retained message, or logs that the store is full; the message is delivered anyway.
    fn retain(&mut self, message: &Arc<Message>) {
        let limits = self.options.limits;
        let (most, bytes) = (limits.retained_messages, limits.retained_bytes);
        if !self.retained.set(message, most, bytes) {
            let note = format!(
                "Retained message for '{}' not kept: the store is full.",
                message.topic
            );
            self.log(Line::Note(&note));
        }
    }

    /// Sends a message to a session's Client, or queues it, by the policy of the module.
    pub(super) fn offer(&mut self, key: SessionKey, outgoing: Outgoing) {
        if outgoing.qos == QoS::AtMostOnce {
            let limits = self.options.limits;
            let crowded = self.unsent_bytes >= limits.all_unsent_bytes;
            match self.link_of(key) {
                Some((connection, link))
                    if link.unsent < limits.unsent_bytes && !(crowded && link.unsent > 0) =>
                {
                    self.send_publish(connection, &outgoing, Delivery::AtMostOnce, false);
                }
                Some(_) => self.note_dropping(key),
                None => {}
            }
            return;
        }
        let bytes = outgoing.bytes();
        let limits = self.options.limits;
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if session.queue.len() >= limits.queued_messages
            || session.queued_bytes.saturating_add(bytes) > limits.queued_bytes
            || self.held_bytes.saturating_add(bytes) > limits.all_held_bytes
        {
            return self.note_dropping(key);
        }
        session.queued_bytes += bytes;
        self.held_bytes += bytes;
        session.queue.push_back(outgoing);
        self.pump(key);
    }

    /// Logs that messages for a Client are dropped, once until its queue is empty again.
    fn note_dropping(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key)
            && !std::mem::replace(&mut session.dropping, true)
        {
            let client = Arc::clone(&session.client_id);
            self.log(Line::Dropping { client: &client });
        }
    }

    /// Sends what the window has room for: first what an earlier connection left open, in
    /// its order ([MQTT-4.4.0-1]), then the queue.
    pub(super) fn pump(&mut self, key: SessionKey) {
        let Some((connection, link)) = self.link_of(key) else {
            return;
        };
        let window = link.window;
        let most = self.options.limits.unsent_bytes;
        self.resend(key, connection, window);
        loop {
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            let waits = self
                .links
                .get(&connection)
                .is_none_or(|link| link.unsent >= most);
            if waits || session.exchanges.len() >= window {
                return;
            }
            let Some(outgoing) = session.queue.pop_front() else {
                session.dropping = false;
                return;
            };
            if outgoing.message.expired(self.now) {
                self.let_go(key, &outgoing);
                continue;
            }
            let Some(packet_id) = session.take_packet_id() else {
                session.queue.push_front(outgoing);
                return;
            };
            let (delivery, awaiting) = match outgoing.qos {
                QoS::ExactlyOnce => (Delivery::ExactlyOnce(packet_id), Awaiting::Received),
                _ => (Delivery::AtLeastOnce(packet_id), Awaiting::Acknowledged),
            };
            session.exchanges.push_back(Exchange {
                packet_id,
                outgoing: outgoing.clone(),
                awaiting,
                sent: true,
                dup: false,
            });
            if !self.send_publish(connection, &outgoing, delivery, false)
                && let Some(session) = self.sessions.get_mut(&key)
            {
                session.exchanges.pop_back();
                self.let_go(key, &outgoing);
            }
        }
    }

    /// A session holds this message no longer.
    pub(super) fn let_go(&mut self, key: SessionKey, outgoing: &Outgoing) {
        let bytes = outgoing.bytes();
        if let Some(session) = self.sessions.get_mut(&key) {
            session.queued_bytes = session.queued_bytes.saturating_sub(bytes);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
        }
    }

    /// Repeats the open exchanges that this connection has not seen, as far as the window reaches
    /// ([MQTT-4.4.0-1]): PUBREL where PUBREC was received, else PUBLISH with its identifier.
    fn resend(&mut self, key: SessionKey, connection: ConnectionKey, window: usize) {
        let mut at = 0;
        while at < window {
            let Some(exchange) = self
                .sessions
                .get_mut(&key)
                .and_then(|session| session.exchanges.get_mut(at))
            else {
                return;
            };
            at += 1;
            if std::mem::replace(&mut exchange.sent, true) {
                continue;
            }
            let (packet_id, dup) = (exchange.packet_id, exchange.dup);
            let delivery = match exchange.awaiting {
                Awaiting::Completed => {
                    self.send_pub_rel(connection, packet_id, encode::SUCCESS);
                    continue;
                }
                Awaiting::Received => Delivery::ExactlyOnce(packet_id),
                Awaiting::Acknowledged => Delivery::AtLeastOnce(packet_id),
            };
            let outgoing = exchange.outgoing.clone();
            if !self.send_publish(connection, &outgoing, delivery, dup)
                && let Some(session) = self.sessions.get_mut(&key)
            {
                at -= 1;
                session.exchanges.remove(at);
                self.let_go(key, &outgoing);
            }
        }
    }

    /// Sends a PUBLISH; `false` where the Client does not take a packet of that size
    /// ([MQTT-3.1.2-24]: then it is as if it had been delivered).
    fn send_publish(
        &mut self,
        connection: ConnectionKey,
        outgoing: &Outgoing,
        delivery: Delivery,
        dup: bool,
    ) -> bool {
        let Some(link) = self.links.get_mut(&connection) else {
            return false;
        };
        let message = &outgoing.message;
        let topic = &message.topic;
        let (mut alias, mut known) = (None, false);
        if link.alias_maximum > 0 {
            alias = link.aliases_out.get(topic).copied();
            known = alias.is_some();
            let next = link.aliases_out.len() as u16 + 1;
            let fits = link.aliases_out_bytes + topic.len() <= ALIAS_BYTES;
            if alias.is_none() && next <= link.alias_maximum && fits {
                alias = Some(next);
            }
        }
        let sent = Sent {
            dup,
            retain: outgoing.retain,
            delivery,
            topic: if known { "" } else { topic },
            alias,
            seconds_left: message.seconds_left(self.now),
            identifiers: &outgoing.identifiers,
            message,
        };
        let Some(bytes) = encode::publish(link.version, &sent) else {
            return false;
        };
        if bytes.len() > link.largest_packet {
            return false;
        }
        if let Some(alias) = alias
            && !known
        {
            link.aliases_out_bytes += topic.len();
            link.aliases_out.insert(topic.clone(), alias);
        }
        let client = Arc::clone(&link.name);
        self.log(Line::Publish {
            way: Way::Sending,
            client: &client,
            dup,
            qos: delivery.qos() as u8,
            retain: outgoing.retain,
            packet_id: delivery.packet_id().map_or(0, |id| id.number()),
            topic,
            length: message.payload.len(),
        });
        self.send(connection, bytes);
        true
    }
}
