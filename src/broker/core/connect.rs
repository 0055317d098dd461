//! CONNECT: who is let in, and with which session (5.0 §3.1, §4.1).

use std::sync::Arc;

use super::action::{Action, ConnectionKey};
use super::encode::{self, Refusal};
use super::filters::is_topic_name;
use super::leave::Departure;
use super::message::{Message, seconds_span};
use super::server::{Core, V5};
use super::session::{Expiry, SESSION, Session, SessionKey, Will};
use crate::event::log::Line;
use crate::mqtt::packet::{ConnAck, Connect};
use crate::mqtt::{
    ControlPacket, Malformed, Properties, PropertyId, PropertyValue, ProtocolVersion, Rule,
};

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
            Ok(()) => self.accept(connection, version, connect),
            Err(refusal) => self.refuse(connection, connect.client_id, refusal),
        }
    }

    /// Decides whether the Client may come in.
    ///
    /// # Errors
    /// The reason for the refusal, which CONNACK carries.
    fn admits(&self, version: ProtocolVersion, connect: &Connect<'_>) -> Result<(), Refusal> {
        // No enhanced authentication (5.0 §4.12): a method is refused rather than ignored.
        if connect.properties.authentication_method().is_some() {
            return Err(Refusal::AUTHENTICATION_METHOD);
        }
        let users = &self.options.users;
        match connect.user_name {
            _ if users.is_empty() => {}
            None if self.options.anonymous => {}
            None => return Err(Refusal::NOT_AUTHORIZED),
            Some(name) => {
                let password = users.get(name).map(String::as_bytes);
                // An unknown user and a wrong password get one answer, which reveals no names.
                if password.is_none() || password != connect.password {
                    return Err(Refusal::BAD_USER);
                }
            }
        }
        if let Some(will) = &connect.will
            && !is_topic_name(will.topic)
        {
            return Err(Refusal::WILL_TOPIC);
        }
        // [MQTT-3.1.3-8] of 3.1.1; 3.1 knows no empty client identifier at all.
        let must_name_itself = match version {
            ProtocolVersion::V3_1 => true,
            ProtocolVersion::V3_1_1 => !connect.clean(),
            V5 => false,
        };
        if must_name_itself && connect.client_id.is_empty() {
            return Err(Refusal::CLIENT_IDENTIFIER);
        }
        // A session that exists is replaced, so only what it grows by is asked for; the room is
        // checked before CONNACK, which could not be taken back.
        let known = self.by_client.get(connect.client_id);
        let counted = known.and_then(|key| self.sessions.get(key));
        let counted = counted.map_or(0, |session| session.counted);
        let will = connect.will.as_ref().map_or(0, |will| {
            Message::bytes_of(will.topic, will.payload, will.properties.bytes())
        });
        let takes = SESSION + connect.client_id.len() + will;
        let many = known.is_none() && self.sessions.len() >= self.options.limits.sessions;
        if many || !self.has_room(takes.saturating_sub(counted)) {
            return Err(Refusal::QUOTA);
        }
        Ok(())
    }

    /// Opens or resumes the session and answers with CONNACK, before any other packet
    /// ([MQTT-3.2.0-1]); what the session holds for the Client follows.
    fn accept(
        &mut self,
        connection: ConnectionKey,
        version: ProtocolVersion,
        connect: &Connect<'_>,
    ) {
        let clean = connect.clean();
        let (client_id, assigned): (Arc<str>, _) = match connect.client_id {
            "" => (self.seed.client_id().into(), true),
            client_id => (client_id.into(), false),
        };
        let (key, session_present) = self.take_session(&client_id, clean);
        // 3.x has no expiry: a session with Clean Session 0 never ends (3.1.1 §3.1.2.4), one with 1
        // ends with its connection.
        let asked = match version {
            V5 => connect.properties.session_expiry_interval().unwrap_or(0),
            _ if clean => 0,
            _ => u32::MAX,
        };
        let session = self
            .sessions
            .entry(key)
            .or_insert_with(|| Session::new(Arc::clone(&client_id)));
        session.connection = Some(connection);
        session.expiry = Expiry::from_seconds(asked);
        // A Client that is back in time cancels the delayed will and the expiry ([MQTT-3.1.3-9]).
        session.ends_at = None;
        session.will_at = None;
        session.will = connect.will.as_ref().map(|will| {
            let delay = will.properties.will_delay_interval().unwrap_or(0);
            let (topic, qos, retain) = (will.topic, will.qos, will.retain);
            let payload = will.payload;
            Will {
                message: Message::new(topic, payload, qos, retain, will.properties, self.now),
                delay: seconds_span(delay),
            }
        });
        session.dropping = false;
        session.refusing = false;
        session.rewind();
        self.weigh(key);
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.enter(key, &client_id, connect, &self.options);
        let (peer, patience) = (link.peer, link.patience);
        if let Some(patience) = patience {
            self.wake_at(self.now.plus(patience));
        }
        self.log(Line::NewClient {
            peer,
            client: &client_id,
            level: Line::level(version),
            clean,
            keep_alive: connect.keep_alive,
            user_name: connect.user_name,
            bridge: connect.bridge,
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
        let options = &self.options;
        let packet_bytes = u32::try_from(options.limits.packet_bytes).ok();
        let two_byte = |number| Some(PropertyValue::TwoByte(number));
        // The assigned identifier is where the Client sent none ([MQTT-3.2.2-16]).
        let properties = encode::properties([
            (
                PropertyId::ASSIGNED_CLIENT_IDENTIFIER,
                assigned.then_some(PropertyValue::Text(&client_id)),
            ),
            (
                PropertyId::TOPIC_ALIAS_MAXIMUM,
                two_byte(options.topic_alias_maximum),
            ),
            (
                PropertyId::RECEIVE_MAXIMUM,
                two_byte(options.receive_maximum),
            ),
            (
                PropertyId::MAXIMUM_PACKET_SIZE,
                packet_bytes.map(PropertyValue::FourByte),
            ),
            (
                PropertyId::SERVER_KEEP_ALIVE,
                options.server_keep_alive.and_then(two_byte),
            ),
        ]);
        self.send_conn_ack(
            connection,
            &client_id,
            ConnAck {
                session_present,
                code: encode::SUCCESS,
                properties: properties.as_properties(),
            },
        );
        self.pump(key);
    }

    /// Sends a CONNACK and logs it.
    fn send_conn_ack(&mut self, connection: ConnectionKey, client: &str, answer: ConnAck<'_>) {
        self.log(Line::SendingConnAck {
            client,
            session_present: answer.session_present,
            code: answer.code,
        });
        self.send(connection, &ControlPacket::ConnAck(answer));
    }

    /// Returns the session that this client identifier continues or begins, and whether it
    /// continues (Session Present, [MQTT-3.2.2-3]). A session in use loses its connection first.
    fn take_session(&mut self, client_id: &Arc<str>, clean: bool) -> (SessionKey, bool) {
        if let Some(&key) = self.by_client.get(client_id) {
            let session = self.sessions.get(&key);
            let lasts = session.is_some_and(|s| s.expiry != Expiry::WithConnection);
            let ends = clean || !lasts;
            if let Some(connection) = session.and_then(|s| s.connection) {
                // The older connection is closed ([MQTT-3.1.4-3]).
                self.log(Line::AlreadyConnected(client_id));
                self.send_disconnect(connection, encode::SESSION_TAKEN_OVER);
                self.actions.push_back(Action::Close { connection });
                self.leave(connection, Departure::TakenOver { ends });
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

    /// Answers a CONNECT with a refusal and closes ([MQTT-3.2.2-7]). No session is present
    /// ([MQTT-3.2.2-6]), and no property describes one.
    fn refuse(&mut self, connection: ConnectionKey, client_id: &str, refusal: Refusal) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let code = refusal.code(link.version);
        // Without CONNECT the link is named by its address.
        let address = Arc::clone(&link.name);
        let client = match client_id {
            "" => &address,
            client_id => client_id,
        };
        let answer = ConnAck {
            session_present: false,
            code,
            properties: Properties::default(),
        };
        self.send_conn_ack(connection, client, answer);
        self.actions.push_back(Action::Close { connection });
        let why = "connection refused";
        self.log(Line::Dismissed { client, why });
        self.leave(connection, Departure::WithoutDisconnect);
    }

    /// A protocol level that the Server does not know is answered as 3.x does it
    /// ([MQTT-3.1.2-2] of 3.1.1), since nothing is known of the Client's own version; another
    /// protocol name is not MQTT at all.
    fn refuse_version(&mut self, connection: ConnectionKey, name: &str) {
        match name {
            "MQTT" | "MQIsdp" => self.refuse(connection, "", Refusal::VERSION),
            _ => self.dismiss(connection, encode::PROTOCOL_ERROR, "unknown protocol name"),
        }
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
        match (malformed.rule, encode::connect_level(bytes)) {
            (Rule::ProtocolLevelIsKnown, Some(_)) => self.refuse_version(connection, "MQTT"),
            (_, Some(5)) => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.version = V5;
                }
                self.refuse(connection, "", Refusal::MALFORMED);
            }
            _ => self.dismiss(connection, encode::MALFORMED_PACKET, "malformed packet"),
        }
    }
}
