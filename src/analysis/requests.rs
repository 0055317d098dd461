//! SUBSCRIBE, UNSUBSCRIBE and PINGREQ with their answers.

use std::sync::Arc;

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::client::{ClientKey, Force, Subscription};
use super::exchange::{Begin, shared};
use super::link::Link;
use crate::base::limits::Limit;
use crate::event::{FilterRequest, HandshakeKind, HandshakeState, PacketEvent, Subject};
use crate::mqtt::packet::{SubAck, Subscribe, UnsubAck, Unsubscribe};
use crate::mqtt::topic::{Shared, filter_broken_before_five};
use crate::mqtt::{PacketType, QoS, Sender};

impl Analyzer {
    pub(super) fn on_subscribe(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        subscribe: &Subscribe<'_>,
    ) {
        self.check_subscribe(link, event, subscribe);
        let id = subscribe.packet_id;
        if let Some(open) = link.side(event.sender).open.remove(id.number()) {
            self.replace(link, event, open);
        }
        let asked: Vec<FilterRequest> = subscribe
            .subscriptions
            .iter()
            .map(|one| FilterRequest {
                filter: shared(one.filter),
                options: one.options,
                code: None,
            })
            .collect();
        if self.wanted.deliveries
            && let Some(client) = link.client
        {
            let identifier = if link.five() {
                subscribe.properties.subscription_identifiers().next()
            } else {
                None
            };
            for one in &asked {
                self.stored_falls_due(link, client, one, event);
                self.subscribe(client, one, identifier, event);
            }
        }
        let open = self.begin(
            link,
            event,
            Begin {
                kind: HandshakeKind::Subscribe,
                initiator: event.sender,
                packet_id: Some(id),
                subject: Subject::Subscribe(asked),
                waiting: PacketType::SubAck,
                from: event.sender.peer(),
            },
        );
        self.keep(link, open);
    }

    /// A new subscription is to be sent the stored messages that it takes.
    fn stored_falls_due(
        &self,
        link: &mut Link,
        client: ClientKey,
        asked: &FilterRequest,
        event: &PacketEvent<'_>,
    ) {
        if !self.findings.wanted || Shared::of(&asked.filter).is_some() {
            return;
        }
        // Retain Handling of 5.0: 2 asks for none, 1 for those of new subscriptions.
        let existed = self
            .clients
            .get(client)
            .is_some_and(|session| session.subscriptions.contains_key(&asked.filter));
        match asked.options >> 4 & 3 {
            0 => {}
            1 if !existed => {}
            _ => return,
        }
        let filter = self.names.topic(link.broker, &asked.filter);
        for key in self.retained.taken_by(filter) {
            if link.stored_due.len() < caps::STORED_DUE {
                link.stored_due.push((key, event.stamp));
            }
        }
    }

    /// Notes a subscription as asked for: a server may deliver before its SUBACK.
    fn subscribe(
        &mut self,
        client: ClientKey,
        asked: &FilterRequest,
        identifier: Option<u32>,
        event: &PacketEvent<'_>,
    ) {
        let granted = QoS::from_bits(asked.options & 3).unwrap_or(QoS::ExactlyOnce);
        let Some(session) = self.clients.all.get_mut(&client) else {
            return;
        };
        session.given_up.retain(|filter| *filter != asked.filter);
        // The same filter again replaces the subscription ([MQTT-3.8.4-3]).
        if let Some(key) = session.subscriptions.get(&asked.filter) {
            if let Some(one) = self.clients.subscriptions.get_mut(key) {
                one.options = asked.options;
                one.granted = granted;
                one.identifier = identifier;
                if one.force == Force::Leaving {
                    one.force = Force::Asked;
                }
            }
            return;
        }
        let broker = session.broker;
        let Some(entry) = self.brokers.get_mut(broker) else {
            return;
        };
        let share = Shared::of(&asked.filter);
        let matched = share.map_or(&*asked.filter, |share| share.filter);
        let full = self.clients.subscriptions.len() >= self.limits.subscriptions;
        let keys = match full {
            true => None,
            false => entry.tree.get_or_default(matched),
        };
        let Some(keys) = keys else {
            session.known = false;
            self.findings
                .limit_reached(&mut self.outbox, Limit::Subscriptions, event.stamp);
            return;
        };
        let subscription = Subscription {
            client,
            filter: Arc::clone(&asked.filter),
            group: share.map(|share| shared(share.group)),
            options: asked.options,
            granted,
            identifier,
            force: Force::Asked,
        };
        let key = self.clients.new_subscription(subscription);
        keys.push(key);
        if let Some(session) = self.clients.all.get_mut(&client) {
            session.subscriptions.insert(Arc::clone(&asked.filter), key);
            session.breaks_filters |= filter_broken_before_five(matched).is_some();
        }
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&mut self, client: ClientKey, filter: &Arc<str>) {
        let Some(session) = self.clients.all.get_mut(&client) else {
            return;
        };
        let Some(key) = session.subscriptions.remove(filter) else {
            return;
        };
        let broker = session.broker;
        self.clients.subscriptions.remove(&key);
        if let Some(entry) = self.brokers.get_mut(broker) {
            let matched = crate::mqtt::topic::matching_part(filter);
            if let Some(keys) = entry.tree.get_mut(matched) {
                keys.retain(|other| *other != key);
                if keys.is_empty() {
                    entry.tree.remove(matched);
                }
            }
        }
    }

    #[inline(never)]
    pub(super) fn on_suback(&mut self, link: &mut Link, event: &PacketEvent<'_>, ack: &SubAck<'_>) {
        let id = ack.packet_id.number();
        let Some(mut open) = link.side(event.sender.peer()).open.remove(id) else {
            self.stray_answer(link, event, id);
            return;
        };
        let Subject::Subscribe(asked) = &mut open.record.subject else {
            self.answers_another(link, event, id);
            link.side(event.sender.peer()).open.insert(id, open);
            return;
        };
        for (one, code) in asked.iter_mut().zip(ack.codes) {
            one.code = Some(*code);
        }
        let asked = asked.clone();
        self.check_suback(link, event, &asked, ack.codes);
        let failed = ack.codes.iter().all(|code| *code >= 0x80);
        if let Some(client) = link.client {
            for one in &asked {
                self.granted(client, one);
            }
        }
        open.advance(link, event);
        let state = match ack.codes.first() {
            Some(code) if failed => HandshakeState::Refused {
                packet_type: PacketType::SubAck,
                code: *code,
            },
            _ => HandshakeState::Complete,
        };
        self.settle(open, state);
    }

    fn granted(&mut self, client: ClientKey, asked: &FilterRequest) {
        let key = self
            .clients
            .get(client)
            .and_then(|session| session.subscriptions.get(&asked.filter))
            .copied();
        let Some(key) = key else {
            return;
        };
        match asked.code.map(QoS::from_bits) {
            Some(Some(granted)) if asked.code.is_some_and(|code| code < 3) => {
                if let Some(one) = self.clients.subscriptions.get_mut(&key) {
                    one.granted = granted;
                    one.force = Force::Granted;
                }
            }
            // An earlier subscription to the filter stands, but whether there was one is not
            // always known: the failed one is what was seen last.
            _ => self.unsubscribe(client, &asked.filter),
        }
    }

    #[inline(never)]
    pub(super) fn on_unsubscribe(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        unsubscribe: &Unsubscribe<'_>,
    ) {
        let id = unsubscribe.packet_id;
        if let Some(open) = link.side(event.sender).open.remove(id.number()) {
            self.replace(link, event, open);
        }
        let asked: Vec<FilterRequest> = unsubscribe
            .filters
            .iter()
            .map(|filter| FilterRequest {
                filter: shared(filter),
                options: 0,
                code: None,
            })
            .collect();
        if let Some(client) = link.client.and_then(|client| self.clients.get(client)) {
            let keys: Vec<_> = asked
                .iter()
                .filter_map(|one| client.subscriptions.get(&one.filter).copied())
                .collect();
            for key in keys {
                if let Some(one) = self.clients.subscriptions.get_mut(&key) {
                    one.force = Force::Leaving;
                }
            }
        }
        let open = self.begin(
            link,
            event,
            Begin {
                kind: HandshakeKind::Unsubscribe,
                initiator: event.sender,
                packet_id: Some(id),
                subject: Subject::Unsubscribe(asked),
                waiting: PacketType::UnsubAck,
                from: event.sender.peer(),
            },
        );
        self.keep(link, open);
    }

    #[inline(never)]
    pub(super) fn on_unsuback(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        ack: &UnsubAck<'_>,
    ) {
        let id = ack.packet_id.number();
        let Some(mut open) = link.side(event.sender.peer()).open.remove(id) else {
            self.stray_answer(link, event, id);
            return;
        };
        let Subject::Unsubscribe(asked) = &mut open.record.subject else {
            self.answers_another(link, event, id);
            link.side(event.sender.peer()).open.insert(id, open);
            return;
        };
        for (one, code) in asked.iter_mut().zip(ack.codes) {
            one.code = Some(*code);
        }
        let asked = asked.clone();
        if link.five() {
            self.check_code_count(link, event, asked.len(), ack.codes.len());
        }
        if let Some(client) = link.client {
            for one in &asked {
                if one.code.is_none_or(|code| code < 0x80) {
                    self.gave_up(client, &one.filter);
                } else if let Some(key) = self
                    .clients
                    .get(client)
                    .and_then(|session| session.subscriptions.get(&one.filter).copied())
                    && let Some(one) = self.clients.subscriptions.get_mut(&key)
                {
                    one.force = Force::Granted;
                }
            }
        }
        open.advance(link, event);
        self.settle(open, HandshakeState::Complete);
    }

    fn gave_up(&mut self, client: ClientKey, filter: &Arc<str>) {
        /// Enough to say why a copy is unexpected.
        const GIVEN_UP: usize = 8;
        if let Some(session) = self.clients.get_mut(client)
            && session.subscriptions.contains_key(filter)
        {
            if session.given_up.len() >= GIVEN_UP {
                session.given_up.pop_front();
            }
            session.given_up.push_back(Arc::clone(filter));
        }
        self.unsubscribe(client, filter);
    }

    #[cold]
    fn stray_answer(&mut self, link: &mut Link, event: &PacketEvent<'_>, id: u16) {
        if !link.certain(Sender::Client) || link.connect_stamp.is_none() {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        self.suspect(link, Sender::Client, &c::SUBACK_WITHOUT_SUBSCRIBE, at, || {
                format!("{packet} answers a request with packet identifier {id}, and no such request waits for an answer.")
            });
    }

    #[cold]
    fn answers_another(&mut self, link: &mut Link, event: &PacketEvent<'_>, id: u16) {
        if !link.certain(Sender::Client) {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        self.suspect(link, Sender::Client, &c::WRONG_ACKNOWLEDGEMENT, at, || {
            format!("{packet} does not answer what was sent with packet identifier {id}.")
        });
    }

    pub(super) fn on_pingreq(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        if link.pings.len() >= caps::PINGS
            && let Some(open) = link.pings.pop_front()
        {
            self.give_up(link, open, crate::event::EndedBy::TableFull);
        }
        let open = self.begin(
            link,
            event,
            Begin {
                kind: HandshakeKind::Ping,
                initiator: event.sender,
                packet_id: None,
                subject: Subject::Nothing,
                waiting: PacketType::PingResp,
                from: event.sender.peer(),
            },
        );
        link.pings.push_back(open);
    }

    pub(super) fn on_pingresp(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        match link.pings.pop_front() {
            Some(mut open) => {
                open.advance(link, event);
                self.settle(open, HandshakeState::Complete);
            }
            None if link.certain(Sender::Client) => {
                let at = link.at(event.stamp);
                self.suspect(
                    link,
                    Sender::Client,
                    &c::PINGRESP_WITHOUT_PINGREQ,
                    at,
                    || "PINGRESP answers a PINGREQ, and none was sent.".to_owned(),
                );
            }
            None => {}
        }
    }
}
