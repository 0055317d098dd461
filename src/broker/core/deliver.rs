//! From an application message to the Clients that subscribed: routing, windows, queues.

use std::sync::Arc;

use super::action::ConnectionKey;
use super::encode;
use super::filters::Search;
use super::link::{ALIAS_BYTES, Client, Link};
use super::message::Message;
use super::server::{Core, V5};
use super::session::{Awaiting, Exchange, Outgoing, SessionKey};
use super::work::{Answer, DELIVERY, Progress, Route, Work};
use crate::event::log::{Line, Way, short};
use crate::mqtt::packet::Publish;
use crate::mqtt::{
    ControlPacket, Delivery, PacketIdentifier, PacketType, PropertiesBuf, PropertyId,
    PropertyValue, ProtocolVersion, QoS,
};

/// Bytes of a message that fits into the socket of a Client that reads.
const SMALL: usize = 64 << 10;

impl Core {
    /// Keeps a retained message and begins to hand the message to every subscription that selects
    /// its topic; `answer` follows once that is done.
    pub(super) fn route(
        &mut self,
        publisher: SessionKey,
        message: Arc<Message>,
        answer: Option<(Client, Answer)>,
    ) {
        if message.retain {
            self.retain(&message);
        }
        let route = Route {
            message,
            publisher,
            search: Search::default(),
            any: false,
            answer,
        };
        self.begin(publisher, Work::Route(route));
    }

    /// Goes on with a message: finds its subscriptions, then offers it to each.
    pub(super) fn route_on(&mut self, route: &mut Route) -> Progress {
        let message = &route.message;
        while !route.search.is_complete() {
            if self.steps == 0 {
                return Progress::Later;
            }
            let sessions = &self.sessions;
            let online = |key| sessions.get(&key).is_some_and(|s| s.connection.is_some());
            let (search, steps) = (&mut route.search, &mut self.steps);
            self.filters
                .search(&message.topic, route.publisher, online, search, steps);
        }
        route.any |= !route.search.is_empty();
        while !route.search.is_empty() {
            if self.steps == 0 {
                return Progress::Later;
            }
            let Some(found) = route.search.next() else {
                break;
            };
            self.spend(DELIVERY + message.payload.len() / 1_024);
            let session = found.session;
            let outgoing = Outgoing {
                qos: found.qos.min(message.qos),
                // [MQTT-3.3.1-12], [MQTT-3.3.1-13].
                retain: message.retain
                    && (found.retain_as_published || self.is_bridge(found.session)),
                message: Arc::clone(message),
                identifiers: found.identifiers(),
            };
            self.offer(session, outgoing);
        }
        if let Some((client, answer)) = &route.answer {
            self.answer(client, *answer, route.any);
        }
        Progress::Done
    }

    /// Acknowledges a message that was handed on; PUBACK reports whether there was a subscriber
    /// (reason code 0x10).
    fn answer(&mut self, client: &Client, answer: Answer, any: bool) {
        if !self.links.contains_key(&client.connection) {
            return;
        }
        match answer {
            Answer::Acknowledged(packet_id) => {
                let code = match any {
                    false if client.version == V5 => encode::NO_MATCHING_SUBSCRIBERS,
                    _ => encode::SUCCESS,
                };
                self.acknowledge(client, PacketType::PubAck, packet_id, code);
            }
            Answer::Complete(packet_id) => {
                self.acknowledge(client, PacketType::PubComp, packet_id, encode::SUCCESS);
            }
        }
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
                short(&message.topic)
            );
            self.log(Line::Note(&note));
        }
    }

    /// Sends a message to a session's Client, or queues it, by the policy of the module.
    pub(super) fn offer(&mut self, key: SessionKey, outgoing: Outgoing) {
        if outgoing.qos == QoS::AtMostOnce {
            let limits = self.options.limits;
            let bytes = outgoing.message.bytes();
            let all = self.unsent_bytes.saturating_add(bytes);
            let Some((connection, link)) = self.link_of(key) else {
                return;
            };
            // A Client that reads gets what is small also where all the others do not.
            let reads = link.unsent == 0 && bytes <= SMALL;
            let crowded = all > limits.all_unsent_bytes && !reads;
            if link.unsent >= limits.unsent_bytes || crowded {
                self.note_dropping(key);
            } else if let Some(client) = link.client(connection) {
                self.send_publish(&client, &outgoing, Delivery::AtMostOnce, false);
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
            self.log(Line::Dropping(&client));
        }
    }

    /// Sends what the window has room for: first what an earlier connection left open, in
    /// its order ([MQTT-4.4.0-1]), then the queue.
    pub(super) fn pump(&mut self, key: SessionKey) {
        let Some((connection, link)) = self.link_of(key) else {
            return;
        };
        let Some(client) = link.client(connection) else {
            return;
        };
        let window = link.window;
        let most = self.options.limits.unsent_bytes;
        self.resend(&client, window);
        loop {
            let Some(session) = self.sessions.get_mut(&key) else {
                return;
            };
            let link = self.links.get(&connection);
            let waits = link.is_none_or(|link| link.unsent >= most);
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
            let at = session.exchanges.len();
            session.exchanges.push_back(Exchange {
                packet_id,
                awaiting: match outgoing.qos {
                    QoS::ExactlyOnce => Awaiting::Received,
                    _ => Awaiting::Acknowledged,
                },
                outgoing,
                sent: false,
                dup: false,
            });
            self.send_exchange(&client, at);
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
    /// ([MQTT-4.4.0-1]).
    fn resend(&mut self, client: &Client, window: usize) {
        let open = |core: &Self| {
            let session = core.sessions.get(&client.session);
            session.map_or(0, |session| session.exchanges.len())
        };
        let mut at = 0;
        while at < window.min(open(self)) {
            at += usize::from(self.send_exchange(client, at));
        }
    }

    /// Sends what the exchange at that place asks for, unless this connection has seen it: PUBREL
    /// where PUBREC was received, else PUBLISH with its identifier. An exchange whose packet is too
    /// large for the Client ends; returns whether it is still open.
    fn send_exchange(&mut self, client: &Client, at: usize) -> bool {
        let session = self.sessions.get_mut(&client.session);
        let Some(exchange) = session.and_then(|session| session.exchanges.get_mut(at)) else {
            return false;
        };
        if std::mem::replace(&mut exchange.sent, true) {
            return true;
        }
        let packet_id = exchange.packet_id;
        let delivery = match exchange.awaiting {
            Awaiting::Completed => {
                self.acknowledge(client, PacketType::PubRel, packet_id, encode::SUCCESS);
                return true;
            }
            Awaiting::Received => Delivery::ExactlyOnce(packet_id),
            Awaiting::Acknowledged => Delivery::AtLeastOnce(packet_id),
        };
        let (outgoing, dup) = (exchange.outgoing.clone(), exchange.dup);
        let sent = self.send_publish(client, &outgoing, delivery, dup);
        if !sent && let Some(session) = self.sessions.get_mut(&client.session) {
            session.exchanges.remove(at);
            self.let_go(client.session, &outgoing);
        }
        sent
    }

    /// Sends an acknowledgement and logs it.
    pub(super) fn acknowledge(
        &mut self,
        client: &Client,
        packet_type: PacketType,
        packet_id: PacketIdentifier,
        reason_code: u8,
    ) {
        self.log(Line::Acknowledgement {
            way: Way::Sending,
            name: packet_type.name(),
            client: &client.name,
            packet_id: packet_id.number(),
            reason_code,
        });
        let packet = encode::acknowledgement(packet_type, packet_id, reason_code);
        self.send(client.connection, &packet);
    }

    /// Sends a PUBLISH; `false` where the Client does not take a packet of that size
    /// ([MQTT-3.1.2-24]: then it is as if it had been delivered).
    fn send_publish(
        &mut self,
        client: &Client,
        outgoing: &Outgoing,
        delivery: Delivery,
        dup: bool,
    ) -> bool {
        let Some(link) = self.links.get_mut(&client.connection) else {
            return false;
        };
        let message = &outgoing.message;
        let topic = &message.topic;
        let known = link.aliases_out.get(topic).copied();
        let next = link.aliases_out.len() as u16 + 1;
        let has_room = link.aliases_out_bytes + topic.len() <= ALIAS_BYTES;
        let alias = known.or((next <= link.alias_maximum && has_room).then_some(next));
        let seconds_left = message.seconds_left(self.now);
        let identifiers = outgoing.identifiers.iter().map(|&identifier| {
            let value = PropertyValue::Variable(identifier);
            (PropertyId::SUBSCRIPTION_IDENTIFIER, Some(value))
        });
        let own = [
            (
                PropertyId::MESSAGE_EXPIRY_INTERVAL,
                seconds_left.map(PropertyValue::FourByte),
            ),
            (PropertyId::TOPIC_ALIAS, alias.map(PropertyValue::TwoByte)),
        ];
        let mut properties = PropertiesBuf::new();
        let mut written = true;
        if link.version == ProtocolVersion::V5_0 {
            properties = encode::properties(own.into_iter().chain(identifiers));
            written = (properties.extend(message.properties.as_properties().iter())).is_ok();
        }
        let publish = Publish {
            dup,
            retain: outgoing.retain,
            delivery,
            topic: if known.is_some() { "" } else { topic },
            properties: properties.as_properties(),
            payload: &message.payload,
        };
        let mut bytes = Vec::new();
        let packet = ControlPacket::Publish(publish.clone());
        // What the Server adds can push a message over the 268,435,455 bytes of §2.1.4.
        written &= packet.write(link.version, &mut bytes).is_ok();
        if !written || bytes.len() > link.largest_packet {
            return false;
        }
        if let (None, Some(alias)) = (known, alias) {
            link.aliases_out_bytes += topic.len();
            link.aliases_out.insert(topic.clone(), alias);
        }
        self.log_publish(Way::Sending, client, &publish, topic);
        self.queue(client.connection, bytes);
        true
    }
}
