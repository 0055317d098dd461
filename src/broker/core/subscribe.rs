//! SUBSCRIBE and UNSUBSCRIBE (5.0 §3.8 to §3.11).

use std::collections::VecDeque;

use super::encode;
use super::filters::{Granted, Target};
use super::link::Client;
use super::server::{Core, V5};
use super::session::{LEVEL, Outgoing, SUBSCRIPTION};
use super::work::{AHEAD, DELIVERY, FILTER, Progress, Subscribing, Unsubscribing, Wanted, Work};
use crate::event::log::{Line, Way, short};
use crate::mqtt::packet::TopicFilters;
use crate::mqtt::packet::{
    FilterAcknowledgement, Subscribe, Subscription, Subscriptions, Unsubscribe,
};
use crate::mqtt::{ControlPacket, PacketType, Properties};

impl Core {
    /// Handles a SUBSCRIBE: one SUBACK answers all its filters ([MQTT-3.8.4-5]), and retained
    /// messages follow it.
    pub(super) fn subscribe(&mut self, client: &Client, subscribe: &Subscribe<'_>) {
        self.log_packet(Way::Received, PacketType::Subscribe, client);
        let subscribing = Subscribing {
            client: client.clone(),
            packet_id: subscribe.packet_id,
            identifier: subscribe.properties.subscription_identifiers().next(),
            subscriptions: subscribe.subscriptions.as_bytes().into(),
            done: 0,
            codes: Vec::new(),
            answered: false,
            wanted: VecDeque::new(),
            after: None,
            before: 0,
        };
        self.begin(client.session, Work::Subscribe(subscribing));
    }

    /// Goes on with a SUBSCRIBE.
    pub(super) fn subscribe_on(&mut self, subscribing: &mut Subscribing) -> Progress {
        let client = subscribing.client.clone();
        let connection = client.connection;
        while !subscribing.answered {
            if !self.links.contains_key(&connection) {
                return Progress::Done;
            }
            if self.steps == 0 {
                return Progress::Later;
            }
            let bytes = subscribing.subscriptions.get(subscribing.done..);
            let next = Subscriptions::new(bytes.unwrap_or_default()).iter().next();
            let Some(mut subscription) = next else {
                subscribing.answered = true;
                subscribing.before = self.retained.entered();
                self.log_packet(Way::Sending, PacketType::SubAck, &client);
                let answer = FilterAcknowledgement {
                    packet_id: subscribing.packet_id,
                    properties: Properties::default(),
                    codes: &subscribing.codes,
                };
                self.send(connection, &ControlPacket::SubAck(answer));
                break;
            };
            // Length, filter, options.
            subscribing.done += 2 + subscription.filter.len() + 1;
            self.spend(FILTER + subscription.filter.len() / 16);
            if client.version != V5 {
                // 3.x has no option but the QoS.
                subscription.options &= 0x03;
            }
            match self.subscribe_to(&client, subscription, subscribing.identifier) {
                Ok((code, wanted)) => {
                    subscribing.codes.push(code);
                    subscribing.wanted.extend(wanted);
                }
                Err((code, why)) => {
                    self.dismiss(connection, code, why);
                    return Progress::Done;
                }
            }
        }
        self.send_retained(subscribing)
    }

    /// Handles one subscription: returns its reason code, and the filter that is to get the retained
    /// messages it selects.
    ///
    /// # Errors
    /// The reason code and the words with which the connection ends.
    fn subscribe_to(
        &mut self,
        client: &Client,
        subscription: Subscription<'_>,
        identifier: Option<u32>,
    ) -> Result<(u8, Option<Wanted>), (u8, &'static str)> {
        let (filter, qos) = (subscription.filter, subscription.options & 0x03);
        self.log(Line::Subscription { filter, qos });
        let Some(target) = Target::parse(filter) else {
            if client.version == V5 {
                return Ok((encode::TOPIC_FILTER_INVALID, None));
            }
            // 3.x has no word for it that a Client could act on; mosquitto closes too.
            return Err((encode::TOPIC_FILTER_INVALID, "topic filter invalid"));
        };
        // [MQTT-3.8.3-4].
        if target.group.is_some() && subscription.no_local() {
            let why = "no local on a shared subscription";
            return Err((encode::PROTOCOL_ERROR, why));
        }
        let granted = Granted {
            qos: subscription.qos(),
            no_local: subscription.no_local(),
            retain_as_published: subscription.retain_as_published(),
            identifier,
        };
        let new = match self.enter_subscription(client, target, filter, granted) {
            Ok(new) => new,
            Err(code) => return Ok((code, None)),
        };
        self.log(Line::Subscribed {
            client: &client.name,
            qos,
            filter,
        });
        // Retain Handling (5.0 §3.8.3.1).
        let handling = subscription.retain_handling();
        let wanted = target.group.is_none() && (handling == 0 || (handling == 1 && new));
        let wanted = wanted.then(|| (target.filter.into(), granted));
        Ok((granted.qos as u8, wanted))
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

    /// Goes on with the retained messages that a SUBSCRIBE asked for, as fast as its Client reads:
    /// there may be very many, and filters that select them again.
    fn send_retained(&mut self, subscribing: &mut Subscribing) -> Progress {
        let key = subscribing.client.session;
        while let Some((filter, granted)) = subscribing.wanted.front() {
            let Some(session) = self.sessions.get(&key) else {
                return Progress::Done;
            };
            if self.steps == 0 {
                return Progress::Later;
            }
            let link = session.connection.and_then(|key| self.links.get(&key));
            if link.is_some_and(|link| link.unsent >= AHEAD) {
                return Progress::Unread;
            }
            let (after, before) = (&mut subscribing.after, subscribing.before);
            let (now, steps) = (self.now, &mut self.steps);
            match self.retained.next(filter, after, before, now, steps) {
                Some(message) => {
                    let outgoing = Outgoing {
                        qos: granted.qos.min(message.qos),
                        retain: true,
                        identifiers: granted.identifier.into_iter().collect(),
                        message,
                    };
                    self.spend(DELIVERY + outgoing.message.payload.len() / 1_024);
                    self.offer(key, outgoing);
                }
                None if self.steps == 0 => {}
                None => {
                    // A filter costs something also where nothing is compared with it.
                    self.spend(1);
                    subscribing.wanted.pop_front();
                    subscribing.after = None;
                }
            }
        }
        Progress::Done
    }

    /// Handles an UNSUBSCRIBE; messages that wait for the Client already stay in its queue.
    pub(super) fn unsubscribe(&mut self, client: &Client, unsubscribe: &Unsubscribe<'_>) {
        self.log_packet(Way::Received, PacketType::Unsubscribe, client);
        let unsubscribing = Unsubscribing {
            client: client.clone(),
            packet_id: unsubscribe.packet_id,
            filters: unsubscribe.filters.as_bytes().into(),
            done: 0,
            codes: Vec::new(),
        };
        self.begin(client.session, Work::Unsubscribe(unsubscribing));
    }

    /// Goes on with an UNSUBSCRIBE.
    pub(super) fn unsubscribe_on(&mut self, unsubscribing: &mut Unsubscribing) -> Progress {
        let client = unsubscribing.client.clone();
        loop {
            if !self.links.contains_key(&client.connection) {
                return Progress::Done;
            }
            if self.steps == 0 {
                return Progress::Later;
            }
            let bytes = unsubscribing.filters.get(unsubscribing.done..);
            let next = TopicFilters::new(bytes.unwrap_or_default()).iter().next();
            let Some(filter) = next else {
                break;
            };
            unsubscribing.done += 2 + filter.len();
            self.spend(FILTER + filter.len() / 16);
            let code = self.remove_subscription(&client, filter);
            unsubscribing.codes.push(code);
        }
        self.weigh(client.session);
        self.log_packet(Way::Sending, PacketType::UnsubAck, &client);
        // 3.x has no codes for the filters (3.1.1 §3.11): the packet is written without.
        let answer = FilterAcknowledgement {
            packet_id: unsubscribing.packet_id,
            properties: Properties::default(),
            codes: &unsubscribing.codes,
        };
        self.send(client.connection, &ControlPacket::UnsubAck(answer));
        Progress::Done
    }

    /// Removes one subscription; returns the code for UNSUBACK.
    fn remove_subscription(&mut self, client: &Client, filter: &str) -> u8 {
        let key = client.session;
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
        code
    }
}
