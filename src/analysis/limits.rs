//! Packets held against what the two ends agreed on.

use super::Analyzer;
use super::checks::blame;
use super::clauses as c;
use super::client::ClientKey;
use super::link::{Link, Phase};
use crate::base::limits::Limit;
use crate::event::{FilterRequest, PacketEvent};
use crate::mqtt::packet::{Auth, ConnAck, Connect, Disconnect, Publish, Subscribe};
use crate::mqtt::topic::Shared;
use crate::mqtt::{PacketType, PropertyId, ProtocolVersion, Sender, reason};

impl Analyzer {
    pub(super) fn check_connect(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        connect: &Connect<'_>,
    ) {
        if !self.findings.wanted {
            return;
        }
        let at = link.at(event.stamp);
        if let Some(first) = link.connect_stamp {
            self.findings
                .tell(&mut self.outbox, &c::SECOND_CONNECT, at, || {
                    format!("This connection had its CONNECT in frame {}; a second one is a protocol error.", first.number)
                });
            blame(link, event);
            return;
        }
        let _ = connect;
        self.check_clear_text(link, event);
    }

    pub(super) fn check_connack(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        ack: &ConnAck<'_>,
    ) {
        if !self.findings.wanted {
            return;
        }
        let at = link.at(event.stamp);
        if matches!(link.phase, Phase::Connected | Phase::Refused) {
            self.findings
                .tell(&mut self.outbox, &c::SECOND_CONNACK, at, || {
                    "This connection has had its CONNACK.".to_owned()
                });
            return;
        }
        if ack.code != 0 {
            self.tell_refusal(link, event, ack.code);
        }
        let Some(connect) = &link.connect else {
            return;
        };
        let known = matches!(
            (&*connect.protocol_name, connect.protocol_level),
            ("MQIsdp", 3) | ("MQTT", 4 | 5)
        );
        let id = connect.client_id.clone();
        let will = connect.will.clone();
        let five = link.five();
        let client = link.name();
        if ack.code == 0 {
            if !known {
                self.findings.tell(
                    &mut self.outbox,
                    &c::UNSUPPORTED_ACCEPTED,
                    at.clone(),
                    || {
                        "The server accepts a protocol name and level that no specification has."
                            .to_owned()
                    },
                );
            }
            if id.is_empty() && !five && !link.clean && link.version != Some(ProtocolVersion::V3_1)
            {
                self.findings
                    .tell(&mut self.outbox, &c::EMPTY_ID_ACCEPTED, at.clone(), || {
                        "The server accepts an empty client identifier that asks for a lasting session; it has to refuse with 0x02.".to_owned()
                    });
            }
            if five {
                self.check_method(link, event, ack);
                self.check_assigned(link, event, ack, id.is_empty());
                let most = ack.properties.maximum_qos().map_or(2, |qos| qos as u8);
                let keeps = ack.properties.retain_available().unwrap_or(true);
                if let Some(will) = &will
                    && (will.qos as u8 > most || (will.retain && !keeps))
                {
                    self.findings
                        .tell(&mut self.outbox, &c::WILL_BEYOND_SERVER, at.clone(), || {
                            format!("The server accepts {client} with a will of QoS {} and RETAIN {}, which it says it does not support.", will.qos as u8, u8::from(will.retain))
                        });
                }
                if ack.properties.response_information().is_some()
                    && !link.wants_response_information
                {
                    self.findings
                        .tell(&mut self.outbox, &c::RESPONSE_INFORMATION, at, || {
                            "CONNACK carries Response Information that the client did not ask for."
                                .to_owned()
                        });
                }
            }
        } else if !five
            && ack.code == 2
            && (1..=23).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric())
        {
            self.findings
                .tell(&mut self.outbox, &c::CLIENT_ID_REFUSED, at, || {
                    format!("The server refuses the client identifier {id}, which every server has to allow.")
                });
        }
    }

    /// An accepted connection keeps the method of its CONNECT ([MQTT-4.12.0-5]).
    fn check_method(&mut self, link: &Link, event: &PacketEvent<'_>, ack: &ConnAck<'_>) {
        let named = ack.properties.authentication_method();
        let at = link.at(event.stamp);
        match (&link.authentication_method, named) {
            (Some(method), _) if named != Some(&**method) => {
                self.findings
                    .tell(&mut self.outbox, &c::AUTH_METHOD_CHANGED, at, || {
                        format!("CONNACK does not name the Authentication Method {method} of the CONNECT.")
                    });
            }
            (None, Some(method)) => {
                self.findings
                    .tell(&mut self.outbox, &c::AUTH_WITHOUT_METHOD, at, || {
                        format!("CONNACK names the Authentication Method {method}; the CONNECT named none.")
                    });
            }
            _ => {}
        }
    }

    fn check_assigned(
        &mut self,
        link: &Link,
        event: &PacketEvent<'_>,
        ack: &ConnAck<'_>,
        empty: bool,
    ) {
        if !empty {
            return;
        }
        let assigned = ack.properties.assigned_client_identifier();
        let used = assigned.is_some_and(|id| {
            self.clients
                .find(link.broker, &super::exchange::shared(id))
                .is_some()
        });
        if assigned.is_some() && !used {
            return;
        }
        let at = link.at(event.stamp);
        self.findings
            .tell(&mut self.outbox, &c::ID_NOT_ASSIGNED, at, || {
                if used {
                    "The server assigns a client identifier that another session has.".to_owned()
                } else {
                    "The client connects without an identifier, and CONNACK assigns none."
                        .to_owned()
                }
            });
    }

    /// Session Present against what the capture shows of the session.
    pub(super) fn check_session_present(
        &mut self,
        link: &Link,
        event: &PacketEvent<'_>,
        present: Option<bool>,
        known: Option<ClientKey>,
    ) {
        let Some(present) = present else {
            return;
        };
        if !self.findings.wanted || link.connect_stamp.is_none() {
            return;
        }
        let at = link.at(event.stamp);
        let client = link.name();
        if present && link.clean {
            self.findings
                .tell(&mut self.outbox, &c::SESSION_AFTER_CLEAN, at, || {
                    format!("{client} asks for a clean start, and the server says that a session is present.")
                });
            return;
        }
        let Some(session) = known.and_then(|key| self.clients.get(key)) else {
            let gone = link
                .client_id
                .as_ref()
                .is_some_and(|id| self.clients.is_gone(link.broker, id));
            if present && gone {
                self.findings
                    .tell(&mut self.outbox, &c::SESSION_FROM_NOWHERE, at, || {
                        format!("The session of {client} had ended, and the server says that it is present.")
                    });
            } else if present && self.clients.may_have_gone() {
                self.findings
                    .limit_reached(&mut self.outbox, Limit::SessionsEnded, event.stamp);
            }
            return;
        };
        // A session that lost its connection; a live one is taken over with all it has.
        let lasting = session.expiry > 0 && !session.expired(event.stamp);
        if !present && !link.clean && lasting && session.connections_seen() {
            self.findings
                .tell(&mut self.outbox, &c::SESSION_FORGOTTEN, at, || {
                    format!(
                        "{client} left a session behind, and the server says that there is none."
                    )
                });
        } else if present && session.expired(event.stamp) && session.expiry > 0 {
            self.findings
                .tell(&mut self.outbox, &c::SESSION_FROM_NOWHERE, at, || {
                    format!("The session of {client} had expired, and the server says that it is present.")
                });
        }
    }

    pub(super) fn check_publish(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &Publish<'_>,
        named: bool,
    ) {
        if !self.findings.wanted {
            return;
        }
        if !named && link.whole() {
            self.findings
                .tell(&mut self.outbox, &c::TOPIC_ALIAS_UNKNOWN, link.at(event.stamp), || {
                    "This PUBLISH names its topic by an alias that its sender has not set on this connection.".to_owned()
                });
            blame(link, event);
        }
        if let Some(alias) = publish.properties.topic_alias() {
            let answered = event.sender == Sender::Server || link.phase == Phase::Connected;
            let most = link.side(event.sender.peer()).topic_alias_maximum;
            if alias > most && answered && link.connect_stamp.is_some() {
                let at = link.at(event.stamp).citing(
                    &[],
                    match (event.sender, most) {
                        (Sender::Client, 0) => &["MQTT-3.2.2-18", "MQTT-3.3.2-9"],
                        (Sender::Client, _) => &["MQTT-3.2.2-17", "MQTT-3.3.2-9"],
                        (Sender::Server, 0) => &["MQTT-3.1.2-27", "MQTT-3.3.2-11"],
                        (Sender::Server, _) => &["MQTT-3.1.2-26", "MQTT-3.3.2-11"],
                    },
                );
                self.findings
                    .tell(&mut self.outbox, &c::TOPIC_ALIAS_MAXIMUM, at, || {
                        format!("Topic alias {alias} is above the receiver's Topic Alias Maximum of {most}.")
                    });
                blame(link, event);
            }
        }
        if event.sender == Sender::Server {
            return;
        }
        let qos = publish.delivery.qos() as u8;
        let limits = link.limits;
        if qos > limits.maximum_qos {
            self.findings.tell(
                &mut self.outbox,
                &c::MAXIMUM_QOS,
                link.at(event.stamp),
                || {
                    format!(
                        "{} publishes at QoS {qos}; the server supports QoS {} at most.",
                        link.name(),
                        limits.maximum_qos
                    )
                },
            );
            blame(link, event);
        }
        if publish.retain && !limits.retain {
            self.findings.tell(
                &mut self.outbox,
                &c::RETAIN_UNAVAILABLE,
                link.at(event.stamp),
                || {
                    format!(
                        "{} sends a message to be retained; the server said that it retains none.",
                        link.name()
                    )
                },
            );
            blame(link, event);
        }
        if link.five()
            && publish
                .properties
                .subscription_identifiers()
                .next()
                .is_some()
        {
            self.findings.tell(
                &mut self.outbox,
                &c::IDENTIFIER_FROM_CLIENT,
                link.at(event.stamp),
                || {
                    format!(
                        "{} publishes with a Subscription Identifier, which only servers send.",
                        link.name()
                    )
                },
            );
            blame(link, event);
        }
    }

    pub(super) fn check_subscribe(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        subscribe: &Subscribe<'_>,
    ) {
        if !self.findings.wanted || !link.five() {
            return;
        }
        let limits = link.limits;
        let identified = subscribe
            .properties
            .subscription_identifiers()
            .next()
            .is_some();
        let mut wrong = (identified && !limits.identifiers).then_some("Subscription Identifiers");
        for one in subscribe.subscriptions {
            if !limits.shared && Shared::of(one.filter).is_some() {
                wrong = Some("shared subscriptions");
            }
            if !limits.wildcards && one.filter.contains(['+', '#']) {
                wrong = Some("wildcards");
            }
        }
        if let Some(what) = wrong {
            let at = link.at(event.stamp);
            let client = link.name();
            self.findings
                .tell(&mut self.outbox, &c::SUBSCRIPTION_UNAVAILABLE, at, || {
                    format!(
                        "{client} asks for {what}; the server said that it does not support them."
                    )
                });
            blame(link, event);
        }
    }

    pub(super) fn check_suback(
        &mut self,
        link: &Link,
        event: &PacketEvent<'_>,
        asked: &[FilterRequest],
        codes: &[u8],
    ) {
        self.check_code_count(link, event, asked.len(), codes.len());
        if !self.findings.wanted {
            return;
        }
        for one in asked {
            let at = link.at(event.stamp);
            match one.code {
                Some(code) if code < 3 && code > one.options & 3 => {
                    self.findings
                        .tell(&mut self.outbox, &c::GRANTED_ABOVE_ASKED, at, || {
                            format!(
                                "QoS {} was asked for {}, and QoS {code} is granted.",
                                one.options & 3,
                                one.filter
                            )
                        });
                }
                // All failed: the handshake's own finding tells it.
                Some(code) if code >= 0x80 && codes.iter().any(|code| *code < 0x80) => {
                    let reason = reason::name(PacketType::SubAck, link.version(), code);
                    self.findings
                        .tell(&mut self.outbox, &c::SUBSCRIPTION_REFUSED, at, || {
                            format!("The server refuses the subscription to {} with 0x{code:02x} ({reason}).", one.filter)
                        });
                }
                _ => {}
            }
        }
    }

    pub(super) fn check_code_count(
        &mut self,
        link: &Link,
        event: &PacketEvent<'_>,
        asked: usize,
        codes: usize,
    ) {
        if asked == codes {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        self.findings
            .tell(&mut self.outbox, &c::SUBACK_CODES, at, || {
                format!("{packet} has {codes} codes for {asked} topic filters.")
            });
    }

    pub(super) fn check_auth(&mut self, link: &mut Link, event: &PacketEvent<'_>, auth: &Auth<'_>) {
        if !self.findings.wanted || link.connect_stamp.is_none() {
            return;
        }
        let at = link.at(event.stamp);
        let Some(method) = link.authentication_method.clone() else {
            self.findings
                .tell(&mut self.outbox, &c::AUTH_WITHOUT_METHOD, at, || {
                    "AUTH comes on a connection whose CONNECT named no Authentication Method."
                        .to_owned()
                });
            blame(link, event);
            return;
        };
        if let Some(other) = auth.properties.authentication_method()
            && *other != *method
        {
            self.findings.tell(
                &mut self.outbox,
                &c::AUTH_METHOD_CHANGED,
                at.clone(),
                || {
                    format!(
                        "AUTH names the Authentication Method {other}; the CONNECT named {method}."
                    )
                },
            );
            blame(link, event);
        }
        let connected = link.phase == Phase::Connected;
        let fits = match (event.sender, auth.reason_code) {
            (_, 0x18) => true,
            (Sender::Client, 0x19) => connected,
            (Sender::Server, 0x00) => connected,
            _ => false,
        };
        if !fits {
            let code = auth.reason_code;
            self.findings.tell(&mut self.outbox, &c::AUTH_CODE, at, || {
                format!("AUTH with reason code 0x{code:02x} has no place here.")
            });
            blame(link, event);
        }
    }

    pub(super) fn check_disconnect(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        disconnect: &Disconnect<'_>,
    ) {
        if !self.findings.wanted || event.sender == Sender::Client {
            return;
        }
        let at = link.at(event.stamp);
        if disconnect.properties.session_expiry_interval().is_some() {
            self.findings
                .tell(&mut self.outbox, &c::EXPIRY_FROM_SERVER, at.clone(), || {
                    "The server's DISCONNECT carries a Session Expiry Interval.".to_owned()
                });
        }
        // A takeover has its own finding.
        if link.five() && disconnect.reason_code >= 0x80 && disconnect.reason_code != 0x8e {
            let client = link.name();
            let code = disconnect.reason_code;
            let reason = reason::name(PacketType::Disconnect, link.version(), code);
            self.findings
                .tell(&mut self.outbox, &c::SERVER_DISCONNECTED, at, || {
                    format!("The server disconnects {client} with 0x{code:02x} ({reason}).")
                });
        }
    }

    /// Reason String and User Property where the client wants none (5.0 §3.1.2.11.7).
    pub(super) fn check_problem_information(&mut self, link: &Link, event: &PacketEvent<'_>) {
        if link.wants_problem_information
            || event.sender == Sender::Client
            || matches!(
                event.packet_type,
                PacketType::Publish | PacketType::ConnAck | PacketType::Disconnect
            )
        {
            return;
        }
        let Ok(packet) = event.packet else {
            return;
        };
        let told = packet.properties().iter().any(|property| {
            matches!(
                property.id,
                PropertyId::REASON_STRING | PropertyId::USER_PROPERTY
            )
        });
        if !told {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        self.findings
            .tell(&mut self.outbox, &c::PROBLEM_INFORMATION, at, || {
                format!(
                    "{packet} explains itself although the client asked for no problem information."
                )
            });
    }
}
