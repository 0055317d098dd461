//! SUBSCRIBE and UNSUBSCRIBE (5.0 §3.8 to §3.11).

use std::sync::Arc;

use super::action::ConnectionKey;
use super::encode;
use super::filters::{Granted, Target};
use super::server::{Core, V5};
use super::session::{LEVEL, Outgoing, SUBSCRIPTION, SessionKey};
use crate::event::log::{Line, Way};
use crate::mqtt::packet::{Subscribe, Subscription, Unsubscribe};
use crate::mqtt::{PacketType, ProtocolVersion};

/// A new subscription that is to get the retained messages it selects, once SUBACK is sent.
struct Wanted {
    filter: Box<str>,
    granted: Granted,
}

impl Core {
    /// Handles a SUBSCRIBE: one SUBACK answers all its filters ([MQTT-3.8.4-5]), and retained
    /// messages follow it.
    pub(super) fn subscribe(&mut self, connection: ConnectionKey, subscribe: &Subscribe<'_>) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let (client, version) = (Arc::clone(&link.name), link.version);
        let Some(key) = link.session() else {
            return;
        };
        self.log(Line::Plain {
            way: Way::Received,
            name: "SUBSCRIBE",
            client: &client,
        });
        let identifier = subscribe.properties.subscription_identifiers().next();
        let mut codes = Vec::new();
        let mut wanted = Vec::new();
        for subscription in subscribe.subscriptions.iter() {
            self.log(Line::Subscription {
                filter: subscription.filter,
                qos: subscription.options & 0x03,
            });
            let Some(target) = Target::parse(subscription.filter) else {
                if version == V5 {
                    codes.push(encode::TOPIC_FILTER_INVALID);
                    continue;
                }
                // 3.x has no word for it that a Client could act on; mosquitto closes too.
                let code = encode::TOPIC_FILTER_INVALID;
                return self.dismiss(connection, code, "topic filter invalid");
            };
            // [MQTT-3.8.3-4].
            if version == V5 && target.group.is_some() && subscription.options & 0x04 != 0 {
                let code = encode::PROTOCOL_ERROR;
                return self.dismiss(connection, code, "no local on a shared subscription");
            }
            let (code, retained) =
                self.enter_subscription(key, version, target, &subscription, identifier);
            if code < 0x80 {
                self.log(Line::Subscribed {
                    client: &client,
                    qos: subscription.options & 0x03,
                    filter: subscription.filter,
                });
            }
            codes.push(code);
            wanted.extend(retained);
        }
        self.log(Line::Plain {
            way: Way::Sending,
            name: "SUBACK",
            client: &client,
        });
        let bytes = encode::codes(version, PacketType::SubAck, subscribe.packet_id, &codes);
        self.send(connection, bytes);
        for wanted in wanted {
            self.send_retained(key, &wanted);
        }
    }

    /// Enters one subscription: its code for SUBACK, and what it wants of the retained
    /// messages by its Retain Handling (5.0 §3.8.3.1).
    fn enter_subscription(
        &mut self,
        key: SessionKey,
        version: ProtocolVersion,
        target: Target<'_>,
        subscription: &Subscription<'_>,
        identifier: Option<u32>,
    ) -> (u8, Option<Wanted>) {
        let options = if version == V5 {
            subscription.options
        } else {
            subscription.options & 0x03
        };
        let granted = Granted {
            qos: subscription.qos(),
            no_local: options & 0x04 != 0,
            retain_as_published: options & 0x08 != 0,
            identifier,
        };
        let limits = self.options.limits;
        let Some(session) = self.sessions.get_mut(&key) else {
            return (encode::UNSPECIFIED_ERROR, None);
        };
        let new = !session.subscriptions.contains(subscription.filter);
        let bytes = session.subscription_bytes + subscription.filter.len();
        let levels = subscription.filter.split('/').count();
        let takes = SUBSCRIPTION + 2 * subscription.filter.len() + levels * LEVEL;
        let full = self.kept_bytes.saturating_add(takes) > limits.all_kept_bytes;
        if new
            && (session.subscriptions.len() >= limits.subscriptions
                || bytes > limits.subscription_bytes
                || full)
        {
            let client = Arc::clone(&session.client_id);
            if !std::mem::replace(&mut session.refusing, true) {
                let note = format!(
                    "Subscriptions of {client} are refused: it has {}.",
                    if full {
                        "no room, too much memory is in use"
                    } else {
                        "as many as one Client may have"
                    }
                );
                self.log(Line::Note(&note));
            }
            let code = match version {
                V5 => encode::QUOTA_EXCEEDED,
                _ => encode::UNSPECIFIED_ERROR,
            };
            return (code, None);
        }
        if session.subscriptions.insert(subscription.filter.into()) {
            session.subscription_bytes = bytes;
            session.subscription_levels += levels;
        }
        self.weigh(key);
        self.filters.subscribe(target, key, granted);
        let handling = if version == V5 {
            subscription.retain_handling()
        } else {
            0
        };
        let wants = target.group.is_none() && (handling == 0 || (handling == 1 && new));
        let wanted = wants.then(|| Wanted {
            filter: target.filter.into(),
            granted,
        });
        (granted.qos as u8, wanted)
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

    fn send_retained(&mut self, key: SessionKey, wanted: &Wanted) {
        if !self.may_search() {
            let note = format!(
                "Retained messages for '{}' are left out: too many are asked for at once.",
                wanted.filter
            );
            return self.log(Line::Note(&note));
        }
        for message in self.retained.select(&wanted.filter, self.now) {
            let outgoing = Outgoing {
                qos: wanted.granted.qos.min(message.qos),
                retain: true,
                identifiers: wanted.granted.identifier.into_iter().collect(),
                message,
            };
            self.offer(key, outgoing);
        }
    }

    /// Handles an UNSUBSCRIBE; messages that wait for the Client already stay in its queue.
    pub(super) fn unsubscribe(&mut self, connection: ConnectionKey, unsubscribe: &Unsubscribe<'_>) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let (client, version) = (Arc::clone(&link.name), link.version);
        let Some(key) = link.session() else {
            return;
        };
        self.log(Line::Plain {
            way: Way::Received,
            name: "UNSUBSCRIBE",
            client: &client,
        });
        let mut codes = Vec::new();
        for filter in unsubscribe.filters.iter() {
            self.log(Line::Filter { filter });
            let known = self.sessions.get_mut(&key).is_some_and(|session| {
                let known = session.subscriptions.remove(filter);
                if known {
                    let left = session.subscription_bytes.saturating_sub(filter.len());
                    session.subscription_bytes = left;
                    session.subscription_levels -= filter.split('/').count();
                }
                known
            });
            if known && let Some(target) = Target::parse(filter) {
                self.filters.unsubscribe(target, key);
            }
            self.log(Line::Unsubscribed {
                client: &client,
                filter,
            });
            codes.push(if known {
                encode::SUCCESS
            } else {
                encode::NO_SUBSCRIPTION_EXISTED
            });
        }
        self.weigh(key);
        self.log(Line::Plain {
            way: Way::Sending,
            name: "UNSUBACK",
            client: &client,
        });
        // 3.x has no codes for the filters (3.1.1 §3.11).
        let codes: &[u8] = if version == V5 { &codes } else { &[] };
        let bytes = encode::codes(version, PacketType::UnsubAck, unsubscribe.packet_id, codes);
        self.send(connection, bytes);
    }
}
