//! SUBSCRIBE and UNSUBSCRIBE (5.0 §3.8 to §3.11).

use super::encode;
use super::filters::{Granted, Target};
use super::link::Client;
use super::server::{Core, V5};
use super::session::{LEVEL, Outgoing, SUBSCRIPTION, SessionKey};
use crate::event::log::{Line, Way, short};
use crate::mqtt::packet::{FilterAcknowledgement, Subscribe, Unsubscribe};
use crate::mqtt::{ControlPacket, PacketType, Properties};

impl Core {
    /// Handles a SUBSCRIBE: one SUBACK answers all its filters ([MQTT-3.8.4-5]), and retained
    /// messages follow it.
    pub(super) fn subscribe(&mut self, client: &Client, subscribe: &Subscribe<'_>) {
        let connection = client.connection;
        self.log_packet(Way::Received, PacketType::Subscribe, client);
        let identifier = subscribe.properties.subscription_identifiers().next();
        let mut codes = Vec::new();
        // Filters that are to get the retained messages they select, once SUBACK is sent.
        let mut wanted = Vec::new();
        for mut subscription in subscribe.subscriptions.iter() {
            if client.version != V5 {
                // 3.x has no option but the QoS.
                subscription.options &= 0x03;
            }
            let (filter, qos) = (subscription.filter, subscription.options & 0x03);
            self.log(Line::Subscription { filter, qos });
            let Some(target) = Target::parse(filter) else {
                if client.version == V5 {
                    codes.push(encode::TOPIC_FILTER_INVALID);
                    continue;
                }
                // 3.x has no word for it that a Client could act on; mosquitto closes too.
                let code = encode::TOPIC_FILTER_INVALID;
                return self.dismiss(connection, code, "topic filter invalid");
            };
            // [MQTT-3.8.3-4].
            if target.group.is_some() && subscription.no_local() {
                let why = "no local on a shared subscription";
                return self.dismiss(connection, encode::PROTOCOL_ERROR, why);
            }
            let granted = Granted {
                qos: subscription.qos(),
                no_local: subscription.no_local(),
                retain_as_published: subscription.retain_as_published(),
                identifier,
            };
            let new = match self.enter_subscription(client, target, filter, granted) {
                Ok(new) => new,
                Err(code) => {
                    codes.push(code);
                    continue;
                }
            };
            self.log(Line::Subscribed {
                client: &client.name,
                qos,
                filter,
            });
            codes.push(granted.qos as u8);
            // Retain Handling (5.0 §3.8.3.1).
            let handling = subscription.retain_handling();
            if target.group.is_none() && (handling == 0 || (handling == 1 && new)) {
                wanted.push((target.filter, granted));
            }
        }
        self.log_packet(Way::Sending, PacketType::SubAck, client);
        let answer = FilterAcknowledgement {
            packet_id: subscribe.packet_id,
            properties: Properties::default(),
            codes: &codes,
        };
        self.send(connection, &ControlPacket::SubAck(answer));
        for (filter, granted) in wanted {
            self.send_retained(client.session, filter, granted);
        }
    }

    /// Enters one subscription; returns whether it is new.
    ///
    /// # Errors
    /// The code for SUBACK where a limit is reached.
    fn enter_subscription(
        &mut self,
        client: &Client,
        target: Target<'_>,
        filter: &str,
        granted: Granted,
    ) -> Result<bool, u8> {
        let key = client.session;
        let limits = self.options.limits;
        let levels = filter.split('/').count();
        let full = !self.has_room(SUBSCRIPTION + 2 * filter.len() + levels * LEVEL);
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(encode::UNSPECIFIED_ERROR);
        };
        let new = !session.subscriptions.contains(filter);
        let bytes = session.subscription_bytes + filter.len();
        let many = session.subscriptions.len() >= limits.subscriptions;
        if new && (many || bytes > limits.subscription_bytes || full) {
            if !std::mem::replace(&mut session.refusing, true) {
                let why = match full {
                    true => "no room, too much memory is in use",
                    false => "as many as one Client may have",
                };
                let name = &client.name;
                let name = short(name);
                let note = format!("Subscriptions of {name} are refused: it has {why}.");
                self.log(Line::Note(&note));
            }
            return Err(match client.version {
                V5 => encode::QUOTA_EXCEEDED,
                _ => encode::UNSPECIFIED_ERROR,
            });
        }
        if new {
            session.subscriptions.insert(filter.into());
            session.subscription_bytes = bytes;
            session.subscription_levels += levels;
        }
        self.weigh(key);
        self.filters.subscribe(target, key, granted);
        Ok(new)
    }

    /// Whether one more subscription may be compared with the retained messages in this second:
    /// each comparison walks all of them, and a SUBSCRIBE may bring thousands of filters.
    fn may_search(&mut self) -> bool {
        let (since, searched) = &mut self.searched;
        if self.now.since(*since).nanos() >= 1_000_000_000 {
            (*since, *searched) = (self.now, 0);
        }
        *searched += 1 + self.retained.len();
        *searched <= self.options.limits.retained_searched
    }

    fn send_retained(&mut self, key: SessionKey, filter: &str, granted: Granted) {
        if !self.may_search() {
            let note = format!(
                "Retained messages for '{}' are left out: too many are asked for at once.",
                short(filter)
            );
            return self.log(Line::Note(&note));
        }
        for message in self.retained.select(filter, self.now) {
            let outgoing = Outgoing {
                qos: granted.qos.min(message.qos),
                retain: true,
                identifiers: granted.identifier.into_iter().collect(),
                message,
            };
            self.offer(key, outgoing);
        }
    }

    /// Handles an UNSUBSCRIBE; messages that wait for the Client already stay in its queue.
    pub(super) fn unsubscribe(&mut self, client: &Client, unsubscribe: &Unsubscribe<'_>) {
        let key = client.session;
        self.log_packet(Way::Received, PacketType::Unsubscribe, client);
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            self.log(Line::Filter(filter));
            let mut code = encode::NO_SUBSCRIPTION_EXISTED;
            if let Some(session) = self.sessions.get_mut(&key)
                && session.subscriptions.remove(filter)
            {
                code = encode::SUCCESS;
                let left = session.subscription_bytes.saturating_sub(filter.len());
                session.subscription_bytes = left;
                session.subscription_levels -= filter.split('/').count();
                if let Some(target) = Target::parse(filter) {
                    self.filters.unsubscribe(target, key);
                }
            }
            let client = &client.name;
            self.log(Line::Unsubscribed { client, filter });
            codes.push(code);
        }
        self.weigh(key);
        self.log_packet(Way::Sending, PacketType::UnsubAck, client);
        // 3.x has no codes for the filters (3.1.1 §3.11): the packet is written without.
        let answer = FilterAcknowledgement {
            packet_id: unsubscribe.packet_id,
            properties: Properties::default(),
            codes: &codes,
        };
        self.send(client.connection, &ControlPacket::UnsubAck(answer));
    }
}
