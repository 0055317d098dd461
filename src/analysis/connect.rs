//! CONNECT, CONNACK, AUTH and DISCONNECT: which session a connection belongs to.

use std::sync::Arc;

use super::Analyzer;
use super::client::{Client, ClientKey};
use super::exchange::{Begin, shared};
use super::link::{Goodbye, Link, Phase, ServerLimits, nothing_pending};
use crate::base::limits::Limit;
use crate::event::{
    ConnAckSummary, ConnectSummary, EndedBy, HandshakeKind, HandshakeState, PacketEvent, Payload,
    Subject, WillMessage,
};
use crate::mqtt::packet::{Auth, ConnAck, Connect, Disconnect};
use crate::mqtt::{PacketType, ProtocolVersion, Sender};

impl Analyzer {
    #[inline(never)]
    pub(super) fn on_connect(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        connect: &Connect<'_>,
    ) {
        self.check_connect(link, event, connect);
        if link.connect.is_some() {
            // A second CONNECT changes nothing: the server has to close.
            return;
        }
        link.version = event.version.or(connect.version());
        link.connect_stamp = Some(event.stamp);
        link.phase = Phase::Connecting;
        link.clean = connect.clean();
        link.client_id = Some(shared(connect.client_id));
        link.keep_alive = Some(connect.keep_alive);
        let properties = connect.properties;
        let five = link.five();
        link.session_expiry = match (five, connect.clean()) {
            (true, _) => properties.session_expiry_interval().unwrap_or(0),
            (false, true) => 0,
            (false, false) => u32::MAX,
        };
        if five {
            let side = link.side(Sender::Client);
            side.receive_maximum = Some(properties.receive_maximum().unwrap_or(u16::MAX));
            side.maximum_packet_size = properties.maximum_packet_size();
            side.topic_alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
            link.authentication_method = properties.authentication_method().map(Box::from);
            link.wants_problem_information =
                properties.request_problem_information().unwrap_or(true);
            link.wants_response_information =
                properties.request_response_information().unwrap_or(false);
        }
        if let Some(will) = &connect.will {
            let topic = shared(will.topic);
            let topic = self.names.topic(link.broker, &topic);
            link.will_digest = self.digest(topic, will.payload);
        }
        let asked = connecting(connect);
        link.connect = Some(Box::new(asked.clone()));
        self.watch_takeover(link, event);
        let open = self.begin(
            link,
            event,
            Begin {
                kind: HandshakeKind::Connect,
                initiator: event.sender,
                packet_id: None,
                subject: Subject::Connect(Box::new(asked)),
                waiting: PacketType::ConnAck,
                from: event.sender.peer(),
            },
        );
        link.connecting = Some(open);
    }

    /// Marks the connection whose client identifier this CONNECT takes.
    fn watch_takeover(&mut self, link: &Link, event: &PacketEvent<'_>) {
        let Some(id) = &link.client_id else {
            return;
        };
        let other = self
            .clients
            .find(link.broker, id)
            .and_then(|key| self.clients.get(key))
            .and_then(|client| client.link);
        if let Some(other) = other.and_then(|other| self.links.get_mut(other))
            && other.alive()
        {
            other.taken_over = Some((link.id, event.stamp));
        }
    }

    #[inline(never)]
    pub(super) fn on_connack(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        ack: &ConnAck<'_>,
    ) {
        self.check_connack(link, event, ack);
        if matches!(link.phase, Phase::Connected | Phase::Refused) {
            return;
        }
        let five = link.five();
        let properties = ack.properties;
        let answer = ConnAckSummary {
            code: ack.code,
            session_present: ack.session_present,
            assigned_client_id: properties.assigned_client_identifier().map(shared),
            server_keep_alive: properties.server_keep_alive(),
            session_expiry: properties.session_expiry_interval(),
            receive_maximum: properties.receive_maximum(),
            topic_alias_maximum: properties.topic_alias_maximum(),
            maximum_packet_size: properties.maximum_packet_size(),
            maximum_qos: properties.maximum_qos().map(|qos| qos as u8),
        };
        if let Some(connect) = &mut link.connect {
            connect.answer = Some(answer.clone());
        }
        if let Some(mut open) = link.connecting.take() {
            if let Subject::Connect(connect) = &mut open.record.subject {
                connect.answer = Some(answer.clone());
            }
            open.advance(link, event);
            if answer.assigned_client_id.is_some() {
                open.record.client_id.clone_from(&answer.assigned_client_id);
            }
            let state = if ack.code == 0 {
                HandshakeState::Complete
            } else {
                HandshakeState::Refused {
                    packet_type: PacketType::ConnAck,
                    code: ack.code,
                }
            };
            self.settle(open, state);
        }
        if ack.code != 0 {
            link.phase = Phase::Refused;
            link.refusal = Some(ack.code);
            return;
        }
        link.phase = Phase::Connected;
        if let Some(keep_alive) = answer.server_keep_alive {
            link.keep_alive = Some(keep_alive);
        }
        if five {
            if let Some(expiry) = answer.session_expiry {
                link.session_expiry = expiry;
            }
            link.limits = ServerLimits {
                maximum_qos: answer.maximum_qos.unwrap_or(2),
                retain: properties.retain_available().unwrap_or(true),
                wildcards: properties.wildcard_subscription_available().unwrap_or(true),
                identifiers: properties
                    .subscription_identifiers_available()
                    .unwrap_or(true),
                shared: properties.shared_subscription_available().unwrap_or(true),
            };
            let side = link.side(Sender::Server);
            side.receive_maximum = Some(answer.receive_maximum.unwrap_or(u16::MAX));
            side.maximum_packet_size = answer.maximum_packet_size;
            side.topic_alias_maximum = answer.topic_alias_maximum.unwrap_or(0);
        }
        if let Some(assigned) = &answer.assigned_client_id {
            link.client_id = Some(Arc::clone(assigned));
        }
        // 3.1 has no Session Present flag.
        let present = (link.version != Some(ProtocolVersion::V3_1)).then_some(ack.session_present);
        self.attach(link, present, event);
        self.register_will(link);
    }

    fn register_will(&mut self, link: &mut Link) {
        let Some(will) = link
            .connect
            .as_ref()
            .and_then(|connect| connect.will.clone())
        else {
            return;
        };
        if link.will.is_some() || !self.wanted.deliveries {
            return;
        }
        self.set_will(link, will);
    }

    /// Joins a connection to its session. Without a CONNACK (not captured, or not yet sent)
    /// `present` is `None`, and what is known of the client identifier decides.
    pub(super) fn attach(
        &mut self,
        link: &mut Link,
        present: Option<bool>,
        event: &PacketEvent<'_>,
    ) {
        if let Some(client) = link.client {
            if present == Some(false) && !link.clean {
                self.forget_resumed(link, client);
            }
            return;
        }
        let known = match &link.client_id {
            Some(id) => self.clients.find(link.broker, id),
            None => None,
        };
        self.check_session_present(link, event, present, known);
        let resumed = match known {
            Some(key) if !link.clean && present != Some(false) => Some(key),
            Some(key) => {
                self.leave_old_link(link, key);
                self.end_client(key, EndedBy::ConnectionClosed);
                None
            }
            None => None,
        };
        let key = match resumed {
            Some(key) => {
                self.leave_old_link(link, key);
                key
            }
            None => self.new_client(link, present),
        };
        link.client = Some(key);
        if let Some(client) = self.clients.get_mut(key) {
            client.link = Some(link.id);
            client.away_since = None;
            client.expiry = link.session_expiry;
            client.version = link.version.or(client.version);
            if let Some(connect) = &link.connect {
                client.user_name.clone_from(&connect.user_name);
                client.assigned |= connect.client_id.is_empty();
            }
            let known = client.known;
            let will = client.delayed_will.take();
            let pending = std::mem::replace(&mut client.pending, nothing_pending());
            let [ours, theirs] = pending;
            for (sender, opens) in [(Sender::Client, ours), (Sender::Server, theirs)] {
                for (id, mut open) in opens {
                    open.move_to(link);
                    let [client_owes, server_owes] = &mut link.owed;
                    let owed = match sender {
                        Sender::Client => client_owes,
                        Sender::Server => server_owes,
                    };
                    if open.is_publish() && open.from == sender.peer() {
                        owed.push(id);
                    }
                    link.side(sender).open.insert(id, open);
                }
            }
            if let Some(will) = will {
                self.will_may_stop(will, event.stamp);
            }
            self.mark_blind(link, known);
        }
    }

    /// Counts the connections of a broker whose subscriptions are not all known.
    fn mark_blind(&mut self, link: &mut Link, known: bool) {
        let blind = !known || !link.whole();
        if blind != link.blind
            && let Some(broker) = self.brokers.get_mut(link.broker)
        {
            broker.blind = if blind {
                broker.blind.saturating_add(1)
            } else {
                broker.blind.saturating_sub(1)
            };
            link.blind = blind;
        }
    }

    /// A gap may hide subscriptions.
    pub(super) fn blinded(&mut self, link: &mut Link) {
        let known = link
            .client
            .and_then(|client| self.clients.get(client))
            .is_some_and(|client| client.known);
        self.mark_blind(link, known);
    }

    fn new_client(&mut self, link: &Link, present: Option<bool>) -> ClientKey {
        if self.clients.all.len() >= self.limits.sessions {
            let stamp = self.now;
            self.findings
                .limit_reached(&mut self.outbox, Limit::Sessions, stamp);
            if let Some(oldest) = self.clients.longest_away() {
                // It goes on for the server: its end here proves nothing.
                if let Some(client) = self.clients.get_mut(oldest) {
                    client.known = false;
                }
                self.end_client(oldest, EndedBy::TableFull);
            }
        }
        let mut client = Client::new(link.broker, link.server, link.client_id.clone());
        client.known = link.connect_stamp.is_some() && (link.clean || present == Some(false));
        self.clients.add(client)
    }

    /// The session has another connection still: what waits there goes on here.
    fn leave_old_link(&mut self, link: &Link, key: ClientKey) {
        let Some(old) = self.clients.get(key).and_then(|client| client.link) else {
            return;
        };
        if old == link.id {
            return;
        }
        let Some((slot, mut other)) = self.links.take_out(old) else {
            return;
        };
        self.suspend(&mut other, key, EndedBy::ConnectionClosed);
        other.client = None;
        other.former = Some(key);
        self.links.put_back(slot, other);
    }

    /// Puts a connection's open handshakes aside for the session's next connection.
    pub(super) fn suspend(&mut self, link: &mut Link, key: ClientKey, ended_by: EndedBy) {
        for sender in [Sender::Client, Sender::Server] {
            let opens = std::mem::take(&mut link.side(sender).open);
            for (id, mut open) in opens {
                if !open.is_publish() {
                    self.give_up(link, open, ended_by);
                    continue;
                }
                let full = self
                    .clients
                    .get(key)
                    .is_none_or(|client| client.pending_of(sender) >= self.limits.handshakes_kept);
                if full {
                    let stamp = self.now;
                    self.findings
                        .limit_reached(&mut self.outbox, Limit::HandshakesKept, stamp);
                    self.give_up(link, open, EndedBy::TableFull);
                    continue;
                }
                open.missing = open.may_be_missing(link);
                open.suspended = Some(ended_by);
                match self.clients.get_mut(key) {
                    Some(client) => {
                        let [ours, theirs] = &mut client.pending;
                        match sender {
                            Sender::Client => ours.insert(id, open),
                            Sender::Server => theirs.insert(id, open),
                        };
                    }
                    None => self.give_up(link, open, ended_by),
                }
            }
        }
    }

    /// The CONNACK says that the session that seemed to go on is a new one.
    fn forget_resumed(&mut self, link: &mut Link, key: ClientKey) {
        for sender in [Sender::Client, Sender::Server] {
            let opens = std::mem::take(&mut link.side(sender).open);
            for (id, open) in opens {
                match open.suspended {
                    Some(ended_by) => self.give_up(link, open, ended_by),
                    None => {
                        link.side(sender).open.insert(id, open);
                    }
                }
            }
        }
        link.owed = [Vec::new(), Vec::new()];
        let filters: Vec<Arc<str>> = match self.clients.get(key) {
            Some(client) => client.subscriptions.keys().cloned().collect(),
            None => return,
        };
        for filter in filters {
            self.unsubscribe(key, &filter);
        }
        if let Some(client) = self.clients.get_mut(key) {
            client.known = true;
        }
        self.blinded(link);
    }

    #[cold]
    pub(super) fn on_auth(&mut self, link: &mut Link, event: &PacketEvent<'_>, auth: &Auth<'_>) {
        self.check_auth(link, event, auth);
        if let Some(mut open) = link.connecting.take() {
            open.advance(link, event);
            link.connecting = Some(open);
            return;
        }
        let Some(mut open) = link.authenticating.take() else {
            if event.sender == Sender::Client {
                let open = self.begin(
                    link,
                    event,
                    Begin {
                        kind: HandshakeKind::Auth,
                        initiator: event.sender,
                        packet_id: None,
                        subject: Subject::Nothing,
                        waiting: PacketType::Auth,
                        from: Sender::Server,
                    },
                );
                link.authenticating = Some(open);
            }
            return;
        };
        open.advance(link, event);
        open.from = event.sender.peer();
        if event.sender == Sender::Server && auth.reason_code == 0 {
            self.settle(open, HandshakeState::Complete);
        } else {
            link.authenticating = Some(open);
        }
    }

    #[inline(never)]
    pub(super) fn on_disconnect(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        disconnect: &Disconnect<'_>,
    ) {
        self.check_disconnect(link, event, disconnect);
        if let Some(mut open) = link.authenticating.take() {
            open.advance(link, event);
            self.settle(
                open,
                HandshakeState::Refused {
                    packet_type: PacketType::Disconnect,
                    code: disconnect.reason_code,
                },
            );
        }
        if link.goodbye.is_some() {
            return;
        }
        link.goodbye = Some(Goodbye {
            by: event.sender,
            code: disconnect.reason_code,
            stamp: event.stamp,
        });
        if link.five()
            && event.sender == Sender::Client
            && let Some(expiry) = disconnect.properties.session_expiry_interval()
        {
            link.session_expiry = expiry;
        }
    }
}

/// A CONNECT as it is kept.
fn connecting(connect: &Connect<'_>) -> ConnectSummary {
    let properties = connect.properties;
    ConnectSummary {
        protocol_name: shared(connect.protocol_name),
        protocol_level: connect.protocol_level,
        bridge: connect.bridge,
        flags: connect.flags,
        keep_alive: connect.keep_alive,
        client_id: shared(connect.client_id),
        user_name: connect.user_name.map(shared),
        password_length: connect.password.map(|password| password.len() as u64),
        session_expiry: properties.session_expiry_interval(),
        receive_maximum: properties.receive_maximum(),
        topic_alias_maximum: properties.topic_alias_maximum(),
        maximum_packet_size: properties.maximum_packet_size(),
        will: connect.will.as_ref().map(|will| WillMessage {
            topic: shared(will.topic),
            qos: will.qos,
            retain: will.retain,
            payload: Payload::of(will.payload),
            delay: will.properties.will_delay_interval().unwrap_or(0),
        }),
        answer: None,
    }
}
