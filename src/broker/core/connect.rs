//! CONNECT and how connections and sessions end (5.0 §3.1, §3.14, §4.1).

use std::sync::Arc;

use super::action::{Action, ConnectionKey};
use super::encode::{self, ConnAck};
use super::filters::is_topic_name;
use super::leave::Departure;
use super::link::{ALIASES, Stage};
use super::message::{Message, seconds_span};
use super::server::{Core, V5};
use super::session::{Expiry, SESSION, Session, SessionKey, Will};
use crate::base::Span;
use crate::event::log::Line;
use crate::mqtt::packet::Connect;
use crate::mqtt::{Malformed, ProtocolVersion};

impl Core {
    /// Handles the first packet of a connection (5.0 §3.1.4): the version first, since the answer's
    /// format depends on it, then whether the Client may come in.
    pub(super) fn connect(&mut self, connection: ConnectionKey, connect: &Connect<'_>) {
        let version = match connect.version() {
            Some(version) if connect.is_known() => version,
            _ => return self.refuse_version(connection, connect.protocol_name),
        };
        if let Some(link) = self.links.get_mut(&connection) {
            link.version = version;
        }
        match self.admits(version, connect) {
            Ok(client_id) => self.accept(connection, version, connect, client_id),
            Err(refusal) => {
                let code = refusal.code(version);
                self.refuse(connection, version, connect.client_id, code);
            }
        }
    }

    /// Decides whether the Client may come in. Returns its client identifier, or `None` where the
    /// Server is to assign one.
    ///
    /// # Errors
    /// The reason for the refusal, which CONNACK carries.
    fn admits(
        &self,
        version: ProtocolVersion,
        connect: &Connect<'_>,
    ) -> Result<Option<Arc<str>>, encode::Refusal> {
        // No enhanced authentication (5.0 §4.12): a method is refused rather than ignored.
        if connect.properties.authentication_method().is_some() {
            return Err(encode::Refusal::AuthenticationMethod);
        }
        if let Some(users) = &self.options.users {
            let known = |name: &str| users.iter().find(|(user, _)| user == name);
            match connect.user_name {
                None if self.options.anonymous => {}
                None => return Err(encode::Refusal::NotAuthorized),
                Some(name) => {
                    let password = known(name).map(|(_, password)| password.as_slice());
                    // An unknown user and a wrong password get one answer, which reveals no names.
                    if password.is_none() || password != connect.password {
                        return Err(encode::Refusal::BadUser);
                    }
                }
            }
        }
        if let Some(will) = &connect.will
            && !is_topic_name(will.topic)
        {
            return Err(encode::Refusal::WillTopic);
        }
        // A session that exists is replaced, so only what it grows by is asked for; the room is
        // checked before CONNACK, which could not be taken back.
        let clean = connect.clean();
        let known = self.by_client.get(connect.client_id);
        let counted = known.and_then(|key| self.sessions.get(key));
        let counted = counted.map_or(0, |session| session.counted);
        let will = connect.will.as_ref().map_or(0, |will| {
            Message::bytes_of(will.topic, will.payload, will.properties.bytes())
        });
        let takes = SESSION + connect.client_id.len() + will;
        let many = known.is_none() && self.sessions.len() >= self.options.limits.sessions;
        let full = many || !self.has_room(takes.saturating_sub(counted));
        match connect.client_id {
            // [MQTT-3.1.3-8] of 3.1.1; 3.1 knows no empty client identifier at all.
            "" if version == ProtocolVersion::V3_1 => Err(encode::Refusal::ClientIdentifier),
            "" if version == ProtocolVersion::V3_1_1 && !clean => {
                Err(encode::Refusal::ClientIdentifier)
            }
            _ if full => Err(encode::Refusal::Quota),
            "" => Ok(None),
            client_id => Ok(Some(client_id.into())),
        }
    }

    /// Opens or resumes the session and answers with CONNACK, before any other packet
    /// ([MQTT-3.2.0-1]); what the session holds for the Client follows.
    fn accept(
        &mut self,
        connection: ConnectionKey,
        version: ProtocolVersion,
        connect: &Connect<'_>,
        client_id: Option<Arc<str>>,
    ) {
        let clean = connect.clean();
        let assigned = client_id.is_none();
        let client_id = client_id.unwrap_or_else(|| self.seed.client_id().into());
        let (key, session_present) = self.take_session(&client_id, clean);
        // 3.x has no expiry: a session with Clean Session 0 never ends (3.1.1 §3.1.2.4), one with 1
        // ends with its connection.
        let asked = match version {
            V5 => connect.properties.session_expiry_interval().unwrap_or(0),
            _ if clean => 0,
            _ => u32::MAX,
        };
        let will = connect.will.as_ref().map(|will| {
            let delay = will.properties.will_delay_interval().unwrap_or(0);
            let (topic, payload) = (will.topic, will.payload);
            let message = Message::new(
                topic,
                payload,
                will.qos,
                will.retain,
                will.properties,
                self.now,
            );
            Will {
                message,
                delay: seconds_span(delay),
            }
        });
        let session = self
            .sessions
            .entry(key)
            .or_insert_with(|| Session::new(Arc::clone(&client_id)));
        session.connection = Some(connection);
        session.expiry = Expiry::from_seconds(asked);
        // A Client that is back in time cancels the delayed will and the expiry ([MQTT-3.1.3-9]).
        session.ends_at = None;
        session.will_at = None;
        session.will = will;
        session.dropping = false;
        session.refusing = false;
        session.rewind();
        self.weigh(key);
        // [MQTT-3.1.2-21]: the Server's own value replaces the Client's, but only 5.0 can carry it.
        let keep_alive = match self.options.server_keep_alive {
            Some(seconds) if version == V5 => seconds,
            _ => connect.keep_alive,
        };
        self.enter(connection, key, &client_id, version, connect, keep_alive);
        self.log_client(connection, &client_id, version, connect);
        let answer = ConnAck {
            session_present,
            code: 0,
            assigned: (assigned && version == V5).then_some(&*client_id),
            server_keep_alive: self.options.server_keep_alive,
            receive_maximum: self.options.receive_maximum,
            topic_alias_maximum: self.options.topic_alias_maximum,
            maximum_packet_size: u32::try_from(self.options.limits.packet_bytes).ok(),
        };
        let bytes = encode::conn_ack(version, &answer);
        self.log(Line::SendingConnAck {
            client: &client_id,
            session_present,
            code: 0,
        });
        self.send(connection, bytes);
        self.pump(key);
    }

    /// Enters into the link what the CONNECT settles for this connection.
    #[expect(clippy::too_many_arguments, reason = "each is a fact of the CONNECT")]
    fn enter(
        &mut self,
        connection: ConnectionKey,
        key: SessionKey,
        client_id: &Arc<str>,
        version: ProtocolVersion,
        connect: &Connect<'_>,
        keep_alive: u16,
    ) {
        let window = self.options.window;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.stage = Stage::Connected(key);
        link.name = Arc::clone(client_id);
        link.bridge = connect.bridge;
        // [MQTT-3.1.2-22]: one and a half times the keep alive.
        link.patience =
            (keep_alive > 0).then(|| Span::from_nanos(i64::from(keep_alive) * 1_500_000_000));
        link.window = window.into();
        if version == V5 {
            // Both limits apply: the Client's Receive Maximum ([MQTT-3.3.4-9]) and our own window.
            let asked = connect.properties.receive_maximum().unwrap_or(u16::MAX);
            link.window = asked.min(window).into();
            link.largest_packet = connect
                .properties
                .maximum_packet_size()
                .and_then(|bytes| usize::try_from(bytes).ok())
                .unwrap_or(usize::MAX);
            let aliases = connect.properties.topic_alias_maximum().unwrap_or(0);
            link.alias_maximum = aliases.min(ALIASES);
        }
        let deadline = link.patience.map(|patience| self.now.plus(patience));
        if let Some(deadline) = deadline {
            self.wake_at(deadline);
        }
    }

    /// Logs the CONNECT in the two lines that mosquitto writes.
    fn log_client(
        &mut self,
        connection: ConnectionKey,
        client: &str,
        version: ProtocolVersion,
        connect: &Connect<'_>,
    ) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let peer = link.peer;
        self.log(Line::NewClient {
            peer,
            client,
            level: Line::level(version),
            clean: connect.clean(),
            keep_alive: connect.keep_alive,
            user_name: connect.user_name,
        });
        self.log(match &connect.will {
            None => Line::NoWill,
            Some(will) => Line::Will {
                length: will.payload.len(),
                retain: will.retain,
                qos: will.qos as u8,
                topic: will.topic,
            },
        });
    }

    /// Returns the session that this client identifier continues or begins, and whether it
    /// continues (Session Present, [MQTT-3.2.2-3]). A session in use loses its connection first.
    fn take_session(&mut self, client_id: &Arc<str>, clean: bool) -> (SessionKey, bool) {
        if let Some(&key) = self.by_client.get(client_id) {
            let lasts = self
                .sessions
                .get(&key)
                .is_some_and(|session| session.expiry != Expiry::WithConnection);
            let ends = clean || !lasts;
            if let Some(connection) = self.sessions.get(&key).and_then(|s| s.connection) {
                self.take_over(connection, client_id, ends);
            }
            if !ends && self.sessions.contains_key(&key) {
                return (key, true);
            }
            self.end_session(key);
        }
        self.next_session += 1;
        let key = SessionKey(self.next_session);
        self.by_client.insert(Arc::clone(client_id), key);
        (key, false)
    }

    /// Closes the older connection of the same client identifier ([MQTT-3.1.4-3]). Only 5.0 has a
    /// DISCONNECT from the Server.
    fn take_over(&mut self, connection: ConnectionKey, client: &Arc<str>, ends: bool) {
        self.log(Line::AlreadyConnected { client });
        if self
            .links
            .get(&connection)
            .is_some_and(|link| link.version == V5)
        {
            self.log(Line::SendingDisconnect {
                client,
                reason_code: encode::SESSION_TAKEN_OVER,
            });
            self.send(connection, encode::disconnect(encode::SESSION_TAKEN_OVER));
        }
        self.actions.push_back(Action::Close { connection });
        self.leave(connection, Departure::TakenOver { ends });
    }

    /// Answers a CONNECT with a refusal and closes ([MQTT-3.2.2-7]).
    fn refuse(
        &mut self,
        connection: ConnectionKey,
        version: ProtocolVersion,
        client_id: &str,
        code: u8,
    ) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        // Without CONNECT the link is named by its address.
        let address = Arc::clone(&link.name);
        let client = if client_id.is_empty() {
            &address
        } else {
            client_id
        };
        self.log(Line::SendingConnAck {
            client,
            session_present: false,
            code,
        });
        self.send(
            connection,
            encode::conn_ack(version, &ConnAck::refusal(code)),
        );
        self.actions.push_back(Action::Close { connection });
        self.log(Line::Dismissed {
            client,
            why: "connection refused",
        });
        self.leave(connection, Departure::WithoutDisconnect);
    }

    /// A protocol level that the Server does not know is answered as 3.x does it
    /// ([MQTT-3.1.2-2] of 3.1.1), since nothing is known of the Client's own version; another
    /// protocol name is not MQTT at all.
    fn refuse_version(&mut self, connection: ConnectionKey, name: &str) {
        if !matches!(name, "MQTT" | "MQIsdp") {
            let code = encode::PROTOCOL_ERROR;
            return self.dismiss(connection, code, "unknown protocol name");
        }
        let version = ProtocolVersion::V3_1_1;
        let code = encode::Refusal::Version.code(version);
        self.refuse(connection, version, "", code);
    }

    /// Ends a connection whose first packet cannot be read. A Client whose protocol level is
    /// readable and 5.0 gets a CONNACK with the reason (§4.13); for any other the format of an
    /// answer is unknown, so it gets none.
    pub(super) fn refuse_malformed(
        &mut self,
        connection: ConnectionKey,
        bytes: &[u8],
        malformed: Malformed,
    ) {
        use crate::mqtt::Rule;
        match (malformed.rule, encode::connect_level(bytes)) {
            (Rule::ProtocolLevelIsKnown, Some(_)) => self.refuse_version(connection, "MQTT"),
            (_, Some(5)) => self.refuse(connection, V5, "", encode::MALFORMED_PACKET),
            _ => self.dismiss(connection, encode::MALFORMED_PACKET, "malformed packet"),
        }
    }
}
