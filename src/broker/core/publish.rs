//! PUBLISH from Clients and the acknowledgements of both directions (5.0 §3.3 to §3.7, §4.3).

use std::sync::Arc;

use super::encode;
use super::filters::is_topic_name;
use super::link::{Client, Link};
use super::message::Message;
use super::server::{Core, V5};
use super::session::{Awaiting, SessionKey};
use super::work::Answer;
use crate::event::log::{Line, Way};
use crate::mqtt::packet::{Acknowledgement, Publish};
use crate::mqtt::{Delivery, PacketIdentifier, PacketType};

impl Core {
    /// Handles a PUBLISH: resolves its alias, then routes it or, at QoS 2, keeps it.
    pub(super) fn publish(&mut self, client: &Client, publish: &Publish<'_>) {
        let connection = client.connection;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let limit = self.options.limits.all_kept_bytes;
        let room = limit.saturating_sub(self.kept_bytes);
        let before = link.aliases_in_bytes;
        let resolved = resolve(publish, link, self.options.topic_alias_maximum, room);
        let kept = self.kept_bytes.saturating_sub(before);
        self.kept_bytes = kept + link.aliases_in_bytes;
        let topic = resolved.as_deref().unwrap_or(publish.topic);
        self.log_publish(Way::Received, client, publish, topic);
        if let Err((code, why)) = resolved {
            return self.dismiss(connection, code, why);
        }
        if !is_topic_name(topic) {
            return self.dismiss(connection, encode::TOPIC_NAME_INVALID, "topic name invalid");
        }
        let message = Arc::new(Message::new(
            topic,
            publish.payload,
            publish.delivery.qos(),
            publish.retain,
            publish.properties,
            self.now,
        ));
        match publish.delivery {
            Delivery::AtMostOnce => self.route(client.session, message, None),
            Delivery::AtLeastOnce(packet_id) => {
                // mosquitto's order: the subscribers first, then the publisher.
                let answer = (client.clone(), Answer::Acknowledged(packet_id));
                self.route(client.session, message, Some(answer));
            }
            Delivery::ExactlyOnce(packet_id) => self.receive(client, packet_id, message),
        }
    }

    /// Keeps a QoS 2 message until its PUBREL, so that a repetition is distinguished from a new one
    /// ([MQTT-4.3.3-10]), and answers with PUBREC.
    fn receive(&mut self, client: &Client, packet_id: PacketIdentifier, message: Arc<Message>) {
        let connection = client.connection;
        let limits = self.options.limits;
        let Some(session) = self.sessions.get_mut(&client.session) else {
            return;
        };
        if !session.unreleased.contains_key(&packet_id) {
            let unreleased = session.unreleased.len();
            // [MQTT-3.3.4-7]: more than the Server announced.
            if client.version == V5 && unreleased >= usize::from(self.options.receive_maximum) {
                let code = encode::RECEIVE_MAXIMUM_EXCEEDED;
                return self.dismiss(connection, code, "receive maximum exceeded");
            }
            let bytes = message.bytes();
            if unreleased >= limits.unreleased_messages
                || session.unreleased_bytes.saturating_add(bytes) > limits.unreleased_bytes
                || self.held_bytes.saturating_add(bytes) > limits.all_held_bytes
            {
                let why = "too many QoS 2 messages not released";
                return self.dismiss(connection, encode::QUOTA_EXCEEDED, why);
            }
            session.unreleased_bytes += bytes;
            self.held_bytes += bytes;
            session.unreleased.insert(packet_id, message);
        }
        self.acknowledge(client, PacketType::PubRec, packet_id, encode::SUCCESS);
    }

    /// Handles a PUBACK, PUBREC, PUBREL or PUBCOMP.
    pub(super) fn acknowledged(
        &mut self,
        client: &Client,
        packet_type: PacketType,
        ack: &Acknowledgement<'_>,
    ) {
        self.log(Line::Acknowledgement {
            way: Way::Received,
            name: packet_type.name(),
            client: &client.name,
            packet_id: ack.packet_id.number(),
            reason_code: ack.reason_code,
        });
        let (session, packet_id) = (client.session, ack.packet_id);
        match packet_type {
            PacketType::PubRel => self.released(client, packet_id),
            PacketType::PubRec if ack.reason_code < 0x80 => self.pub_rec(client, packet_id),
            // [MQTT-4.3.3-4]: the exchange ends here.
            PacketType::PubRec => self.finish(session, packet_id, Awaiting::Received),
            PacketType::PubComp => self.finish(session, packet_id, Awaiting::Completed),
            _ => self.finish(session, packet_id, Awaiting::Acknowledged),
        }
    }

    /// Handles a PUBREL: the message is routed now, and a second PUBREL finds none.
    fn released(&mut self, client: &Client, packet_id: PacketIdentifier) {
        let message = self.sessions.get_mut(&client.session).and_then(|session| {
            let message = session.unreleased.remove(&packet_id)?;
            let bytes = message.bytes();
            session.unreleased_bytes = session.unreleased_bytes.saturating_sub(bytes);
            self.held_bytes = self.held_bytes.saturating_sub(bytes);
            Some(message)
        });
        let code = match message {
            Some(message) if !message.expired(self.now) => {
                let answer = (client.clone(), Answer::Complete(packet_id));
                return self.route(client.session, message, Some(answer));
            }
            Some(_) => encode::SUCCESS,
            None => encode::PACKET_IDENTIFIER_NOT_FOUND,
        };
        self.acknowledge(client, PacketType::PubComp, packet_id, code);
    }

    /// Handles a PUBREC with PUBREL; a repeated one is answered alike, since the PUBREL may have
    /// been lost with a connection.
    fn pub_rec(&mut self, client: &Client, packet_id: PacketIdentifier) {
        let Some(session) = self.sessions.get_mut(&client.session) else {
            return;
        };
        let first = session.awaits(packet_id, Awaiting::Received);
        let known = first.or_else(|| session.awaits(packet_id, Awaiting::Completed));
        let code = match known.and_then(|at| session.exchanges.get_mut(at)) {
            Some(exchange) => {
                exchange.awaiting = Awaiting::Completed;
                encode::SUCCESS
            }
            None => encode::PACKET_IDENTIFIER_NOT_FOUND,
        };
        self.acknowledge(client, PacketType::PubRel, packet_id, code);
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
