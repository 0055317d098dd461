//! PUBLISH from Clients and the acknowledgements of both directions (5.0 §3.3 to §3.7, §4.3).

use std::sync::Arc;

use super::action::ConnectionKey;
use super::encode;
use super::filters::is_topic_name;
use super::link::Link;
use super::message::Message;
use super::server::{Core, V5};
use super::session::{Awaiting, SessionKey};
use crate::event::log::{Line, Way};
use crate::mqtt::packet::{Acknowledgement, Publish};
use crate::mqtt::{Delivery, PacketIdentifier, PacketType};

impl Core {
    /// Handles a PUBLISH: resolves its alias, then routes it or, at QoS 2, keeps it.
    pub(super) fn publish(&mut self, connection: ConnectionKey, publish: &Publish<'_>) {
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let Some(key) = link.session() else {
            return;
        };
        let client = Arc::clone(&link.name);
        let version = link.version;
        let most = self.options.topic_alias_maximum;
        let limit = self.options.limits.all_kept_bytes;
        let room = limit.saturating_sub(self.kept_bytes);
        let before = link.aliases_in_bytes;
        let (topic, wrong) = match resolve(publish, link, most, room) {
            Ok(topic) => (topic, None),
            Err(wrong) => (publish.topic.into(), Some(wrong)),
        };
        let kept = self.kept_bytes.saturating_sub(before);
        self.kept_bytes = kept + link.aliases_in_bytes;
        self.log(Line::Publish {
            way: Way::Received,
            client: &client,
            dup: publish.dup,
            qos: publish.delivery.qos() as u8,
            retain: publish.retain,
            packet_id: publish.delivery.packet_id().map_or(0, |id| id.number()),
            topic: &topic,
            length: publish.payload.len(),
        });
        if let Some((code, why)) = wrong {
            return self.dismiss(connection, code, why);
        }
        if !is_topic_name(&topic) {
            let code = encode::TOPIC_NAME_INVALID;
            return self.dismiss(connection, code, "topic name invalid");
        }
        let message = Arc::new(Message::new(
            &topic,
            publish.payload,
            publish.delivery.qos(),
            publish.retain,
            publish.properties,
            self.now,
        ));
        match publish.delivery {
            Delivery::AtMostOnce => {
                self.route(Some(key), message);
            }
            Delivery::AtLeastOnce(packet_id) => {
                // mosquitto's order: the subscribers first, then the publisher.
                let matched = self.route(Some(key), message);
                let code = if matched || version != V5 {
                    encode::SUCCESS
                } else {
                    encode::NO_MATCHING_SUBSCRIBERS
                };
                self.acknowledge(connection, PacketType::PubAck, packet_id, code);
            }
            Delivery::ExactlyOnce(packet_id) => {
                self.receive(connection, key, packet_id, message);
            }
        }
    }

    /// Keeps a QoS 2 message until its PUBREL, so that a repetition is distinguished from a new one
    /// ([MQTT-4.3.3-10]), and answers with PUBREC.
    fn receive(
        &mut self,
        connection: ConnectionKey,
        key: SessionKey,
        packet_id: PacketIdentifier,
        message: Arc<Message>,
    ) {
        let limits = self.options.limits;
        let v5 = self
            .links
            .get(&connection)
            .is_some_and(|link| link.version == V5);
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if !session.unreleased.contains_key(&packet_id) {
            // [MQTT-3.3.4-7]: more than the Server announced.
            if v5 && session.unreleased.len() >= usize::from(self.options.receive_maximum) {
                let code = encode::RECEIVE_MAXIMUM_EXCEEDED;
                return self.dismiss(connection, code, "receive maximum exceeded");
            }
            let bytes = message.bytes();
            if session.unreleased.len() >= limits.unreleased_messages
                || session.unreleased_bytes.saturating_add(bytes) > limits.unreleased_bytes
                || self.held_bytes.saturating_add(bytes) > limits.all_held_bytes
            {
                let code = encode::QUOTA_EXCEEDED;
                return self.dismiss(connection, code, "too many QoS 2 messages not released");
            }
            session.unreleased_bytes += bytes;
            self.held_bytes += bytes;
            session.unreleased.insert(packet_id, message);
        }
        self.acknowledge(connection, PacketType::PubRec, packet_id, encode::SUCCESS);
    }

    /// Handles a PUBREL: the message is routed now, and a second PUBREL finds none.
    pub(super) fn pub_rel(&mut self, connection: ConnectionKey, ack: &Acknowledgement<'_>) {
        let Some(key) = self.acknowledged(connection, "PUBREL", ack) else {
            return;
        };
        let message = self.sessions.get_mut(&key).and_then(|session| {
            let message = session.unreleased.remove(&ack.packet_id)?;
            let bytes = message.bytes();
            session.unreleased_bytes = session.unreleased_bytes.saturating_sub(bytes);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            Some(message)
        });
        let code = match message {
            Some(message) => {
                if !message.expired(self.now) {
                    self.route(Some(key), message);
                }
                encode::SUCCESS
            }
            None => encode::PACKET_IDENTIFIER_NOT_FOUND,
        };
        self.acknowledge(connection, PacketType::PubComp, ack.packet_id, code);
    }

    pub(super) fn pub_ack(&mut self, connection: ConnectionKey, ack: &Acknowledgement<'_>) {
        if let Some(key) = self.acknowledged(connection, "PUBACK", ack) {
            self.finish(key, ack.packet_id, Awaiting::Acknowledged);
        }
    }

    /// Handles a PUBREC with PUBREL; a repeated one is answered alike, since the PUBREL may have
    /// been lost with a connection.
    pub(super) fn pub_rec(&mut self, connection: ConnectionKey, ack: &Acknowledgement<'_>) {
        let Some(key) = self.acknowledged(connection, "PUBREC", ack) else {
            return;
        };
        if ack.reason_code >= 0x80 {
            // [MQTT-4.3.3-4]: the exchange ends here.
            return self.finish(key, ack.packet_id, Awaiting::Received);
        }
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        let first = session.awaits(ack.packet_id, Awaiting::Received);
        let known = first.or_else(|| session.awaits(ack.packet_id, Awaiting::Completed));
        let code = match known.and_then(|at| session.exchanges.get_mut(at)) {
            Some(exchange) => {
                exchange.awaiting = Awaiting::Completed;
                encode::SUCCESS
            }
            None => encode::PACKET_IDENTIFIER_NOT_FOUND,
        };
        self.send_pub_rel(connection, ack.packet_id, code);
    }

    pub(super) fn pub_comp(&mut self, connection: ConnectionKey, ack: &Acknowledgement<'_>) {
        if let Some(key) = self.acknowledged(connection, "PUBCOMP", ack) {
            self.finish(key, ack.packet_id, Awaiting::Completed);
        }
    }

    /// An exchange is over: its identifier is free and the window has room. Nothing happens
    /// for an identifier that no exchange uses: an acknowledgement may come twice.
    fn finish(&mut self, key: SessionKey, packet_id: PacketIdentifier, awaiting: Awaiting) {
        let Some(session) = self.sessions.get_mut(&key) else {
            return;
        };
        if let Some(at) = session.awaits(packet_id, awaiting) {
            if let Some(over) = session.exchanges.remove(at) {
                self.let_go(key, &over.outgoing);
            }
            self.pump(key);
        }
    }

    /// Logs an acknowledgement and returns the session that it belongs to.
    fn acknowledged(
        &mut self,
        connection: ConnectionKey,
        name: &'static str,
        ack: &Acknowledgement<'_>,
    ) -> Option<SessionKey> {
        let link = self.links.get(&connection)?;
        let client = Arc::clone(&link.name);
        let key = link.session()?;
        self.log(Line::Acknowledgement {
            way: Way::Received,
            name,
            client: &client,
            packet_id: ack.packet_id.number(),
            reason_code: ack.reason_code,
        });
        Some(key)
    }

    pub(super) fn send_pub_rel(
        &mut self,
        connection: ConnectionKey,
        packet_id: PacketIdentifier,
        code: u8,
    ) {
        self.acknowledge(connection, PacketType::PubRel, packet_id, code);
    }

    /// Sends an acknowledgement and logs it.
    fn acknowledge(
        &mut self,
        connection: ConnectionKey,
        packet_type: PacketType,
        packet_id: PacketIdentifier,
        code: u8,
    ) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = Arc::clone(&link.name);
        let bytes = encode::acknowledgement(link.version, packet_type, packet_id, code);
        self.log(Line::Acknowledgement {
            way: Way::Sending,
            name: packet_type.name(),
            client: &client,
            packet_id: packet_id.number(),
            reason_code: code,
        });
        self.send(connection, bytes);
    }

    /// Answers a PINGREQ ([MQTT-3.12.4-1]).
    pub(super) fn ping(&mut self, connection: ConnectionKey) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = Arc::clone(&link.name);
        for (way, name) in [(Way::Received, "PINGREQ"), (Way::Sending, "PINGRESP")] {
            let client = &client;
            self.log(Line::Plain { way, name, client });
        }
        self.send(connection, encode::ping_response());
    }
}

/// The topic name that a PUBLISH means, its alias taken into account (5.0 §3.3.2.3.4); or the
/// reason code and words for what is wrong with the alias.
fn resolve(
    publish: &Publish<'_>,
    link: &mut Link,
    most: u16,
    room: usize,
) -> Result<Box<str>, (u8, &'static str)> {
    let Some(alias) = publish.properties.topic_alias() else {
        return Ok(publish.topic.into());
    };
    // [MQTT-3.2.2-17]: above what the Server announced.
    if alias > most {
        return Err((encode::TOPIC_ALIAS_INVALID, "topic alias invalid"));
    }
    if publish.topic.is_empty() {
        let known = link.aliases_in.get(&alias).cloned();
        return known.ok_or((encode::PROTOCOL_ERROR, "topic alias unknown"));
    }
    let before = link.aliases_in.get(&alias).map_or(0, |topic| topic.len());
    let more = publish.topic.len().saturating_sub(before);
    if more > room {
        return Err((encode::QUOTA_EXCEEDED, "too much memory in use"));
    }
    link.aliases_in.insert(alias, publish.topic.into());
    link.aliases_in_bytes = link.aliases_in_bytes + publish.topic.len() - before;
    Ok(publish.topic.into())
}
