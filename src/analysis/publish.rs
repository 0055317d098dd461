//! PUBLISH, from a client and from a server.

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::deliver::Published;
use super::exchange::{Begin, Open, shared, step};
use super::explain::Explained;
use super::link::Link;
use super::messages::{Copy, MessageKey};
use super::names::Topic;
use super::outbox::Place;
use super::retained::Storing;
use crate::event::{HandshakeKind, HandshakeState, Message, PacketEvent, Payload, Stored, Subject};
use crate::mqtt::packet::Publish;
use crate::mqtt::{ControlPacket, Delivery, PacketType, ProtocolVersion, QoS, Sender};

impl Analyzer {
    /// A PUBLISH of either end.
    pub(super) fn on_publish(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
    ) {
        let text = if publish.topic.is_empty() {
            event.topic_resolved
        } else {
            Some(publish.topic)
        };
        let short = text.filter(|text| text.len() > caps::NAME).map(shared);
        let name = short.as_deref().or(text);
        let topic = name.map(|name| self.names.topic(link.broker, name));
        self.check_publish(link, event, publish, topic.is_some());
        let digest = match topic {
            Some(topic) => self.digest(topic, publish.payload),
            None => 0,
        };
        if let Some(id) = publish.delivery.packet_id()
            && let Some(open) = link.side(event.sender).open.remove(id.number())
        {
            match self.repeats(link, event, publish, digest, open) {
                None => return,
                Some(replaced) => self.replace(link, event, replaced),
            }
        } else if publish.dup {
            self.check_first_dup(link, event, publish, digest);
        }
        if let Some(id) = publish.delivery.packet_id() {
            let refused = &mut link.side(event.sender).refused;
            if !refused.is_empty() {
                refused.remove(&id.number());
            }
        }
        let (kind, waiting) = match publish.delivery {
            Delivery::AtMostOnce => (HandshakeKind::Qos0, PacketType::Publish),
            Delivery::AtLeastOnce(_) => (HandshakeKind::Qos1, PacketType::PubAck),
            Delivery::ExactlyOnce(_) => (HandshakeKind::Qos2, PacketType::PubRec),
        };
        if kind == HandshakeKind::Qos0 && !self.wanted.handshakes {
            return self.publish_untold(link, event, publish, topic, digest);
        }
        let message = Message {
            topic: topic.map(|topic| self.names.shared(topic)),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            payload: Payload::of(publish.payload),
        };
        let mut open = self.begin(
            link,
            event,
            Begin {
                kind,
                initiator: event.sender,
                packet_id: publish.delivery.packet_id(),
                subject: Subject::Message(message),
                waiting,
                from: event.sender.peer(),
            },
        );
        open.key = digest;
        if let Some(topic) = topic
            && self.wanted.deliveries
        {
            match event.sender {
                Sender::Client => {
                    let key =
                        self.published_by_client(link, event, publish, topic, (open.place, digest));
                    open.message = Some(key);
                }
                Sender::Server => {
                    let explained = self.sent_by_server(link, event, publish, topic, digest);
                    open.record.origin = Some(explained.origin);
                    open.leg = explained.leg;
                }
            }
        }
        if kind == HandshakeKind::Qos0 {
            self.settle(open, HandshakeState::Complete);
            return;
        }
        let side = link.side(event.sender);
        side.published += 1;
        open.order = side.published;
        open.counted = true;
        side.in_flight += 1;
        self.check_quota(link, event);
        self.keep(link, open);
    }

    /// A PUBLISH at QoS 0, where handshakes are not told: it is over at once, and nobody hears
    /// of it.
    fn publish_untold(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
        topic: Option<Topic<'_>>,
        digest: u64,
    ) {
        let Some(topic) = topic.filter(|_| self.wanted.deliveries) else {
            return;
        };
        match event.sender {
            Sender::Client => {
                let place = self.outbox.reserve();
                let key = self.published_by_client(link, event, publish, topic, (place, digest));
                self.publisher_done(key, HandshakeState::Complete, false);
            }
            // At QoS 0 the copy is all of its leg.
            Sender::Server => {
                self.sent_by_server(link, event, publish, topic, digest);
            }
        }
    }

    /// Another PUBLISH with the identifier of a handshake that is not over: a redelivery is
    /// joined to it; what it replaces comes back.
    #[cold]
    fn repeats(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
        digest: u64,
        mut open: Open,
    ) -> Option<Open> {
        let kind = match publish.delivery {
            Delivery::ExactlyOnce(_) => HandshakeKind::Qos2,
            _ => HandshakeKind::Qos1,
        };
        // Before 5.0 a topic that an alias hides has no digest.
        if open.record.kind != kind || (open.key != digest && open.key != 0 && digest != 0) {
            return Some(open);
        }
        if !publish.dup && open.may_be_missing(link) {
            // Its acknowledgement may have passed unseen: the same words, said anew.
            return Some(open);
        }
        self.check_repeat(link, event, publish, &open);
        open.publishes += 1;
        open.suspended = None;
        open.advance(link, event);
        let side = link.side(event.sender);
        if open.order == 0 {
            side.published += 1;
            open.order = side.published;
        }
        if !open.counted {
            open.counted = true;
            side.in_flight += 1;
        }
        if let Some(id) = publish.delivery.packet_id() {
            side.open.insert(id.number(), open);
            self.paid(link, event.sender, id.number());
        }
        None
    }

    /// The identifier of a handshake is used for something else.
    #[cold]
    pub(super) fn replace(&mut self, link: &mut Link, event: &PacketEvent<'_>, open: Open) {
        let lost = open.may_be_missing(link) || link.gaps_of(event.sender) > 0;
        let garbled = !link.whole();
        if !lost && !garbled {
            let at = match (event.sender, event.packet) {
                (Sender::Server, _) => link
                    .at(event.stamp)
                    .citing(&["MQTT-2.3.1-4"], &["MQTT-2.2.1-4"]),
                (Sender::Client, Ok(ControlPacket::Publish(publish)))
                    if publish.delivery.qos() == QoS::ExactlyOnce =>
                {
                    link.at(event.stamp).citing(
                        &["MQTT-2.3.1-2", "MQTT-4.3.3-1"],
                        &["MQTT-2.2.1-3", "MQTT-4.3.3-1"],
                    )
                }
                (Sender::Client, Ok(ControlPacket::Publish(_))) => link.at(event.stamp).citing(
                    &["MQTT-2.3.1-2", "MQTT-4.3.2-1"],
                    &["MQTT-2.2.1-3", "MQTT-4.3.2-1"],
                ),
                (Sender::Client, _) => link
                    .at(event.stamp)
                    .citing(&["MQTT-2.3.1-2"], &["MQTT-2.2.1-3"]),
            };
            let first = open.first().number;
            let waiting = open.waiting.name();
            let who = match event.sender {
                Sender::Client => link.name(),
                Sender::Server => "The server".to_owned(),
            };
            let id = open.record.packet_id.map_or(0, |id| id.number());
            self.suspect(link, event.sender.peer(), &c::PACKET_ID_IN_USE, at, || {
                    format!(
                        "{who} uses packet identifier {id} although the handshake of frame {first} still has it: {waiting} has not come."
                    )
                });
        }
        if open.counted {
            let side = link.side(open.record.initiator);
            side.in_flight = side.in_flight.saturating_sub(1);
        }
        let waiting_for = open.waiting;
        let ended_by = if lost {
            crate::event::EndedBy::Gap
        } else {
            crate::event::EndedBy::IdentifierReused
        };
        self.settle(
            open,
            HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            },
        );
    }

    fn published_by_client(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
        topic: Topic<'_>,
        (place, digest): (Place, u64),
    ) -> MessageKey {
        let version = link.version.unwrap_or(ProtocolVersion::V3_1_1);
        let published = Published {
            topic,
            digest,
            qos: publish.delivery.qos(),
            retain: publish.retain,
            place,
            stamp: event.stamp,
            carried: self.carried(publish, version),
        };
        let key = self.publish_message(link, &published);
        if publish.retain {
            let storing = Storing {
                server: link.server,
                topic,
                digest,
                message: Message {
                    topic: Some(self.names.shared(topic)),
                    qos: publish.delivery.qos(),
                    retain: true,
                    payload: Payload::of(publish.payload),
                },
                by: Some(Stored {
                    stamp: event.stamp,
                    connection: link.id,
                    client_id: link.client_id.clone(),
                    will: false,
                }),
                held: Some(key),
                stamp: event.stamp,
            };
            if self.store(storing).is_some()
                && let Some(held) = self.messages.held.get_mut(&key)
            {
                held.stored = true;
            }
        }
        key
    }

    fn sent_by_server(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
        topic: Topic<'_>,
        digest: u64,
    ) -> Explained {
        let version = link.version.unwrap_or(ProtocolVersion::V3_1_1);
        let step = self.wanted.steps.then(|| step(event));
        let copy = Copy {
            topic,
            stamp: event.stamp,
            connection: link.id,
            client_id: link.client_id.clone(),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.delivery.packet_id(),
            identifiers: if version == ProtocolVersion::V5_0 {
                publish.properties.subscription_identifiers().collect()
            } else {
                Vec::new()
            },
            carried: self.carried(publish, version),
            step: step.as_ref(),
        };
        self.explain(link, digest, &copy)
    }
}
