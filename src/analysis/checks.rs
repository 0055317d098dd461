//! What each packet must be where it stands: the order of packets, their senders, limits.

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::ends::{exceeds, silence};
use super::exchange::Open;
use super::findings::Where;
use super::link::{Fault, Link, Phase, Suspect};
use crate::event::{Level, PacketEvent};
use crate::mqtt::rule::Breach;
use crate::mqtt::{
    ControlPacket, Malformed, PacketType, Rule, Sender, reason, surely_clean, violations,
};

impl Analyzer {
    /// The checks that every packet goes through before it is acted on.
    pub(super) fn check_packet(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        if !self.findings.wanted {
            return;
        }
        self.check_pace(link, event);
        self.check_place(link, event);
        self.check_size(link, event);
        match event.packet {
            Err(malformed) => self.tell_malformed(link, event, malformed),
            Ok(packet) => {
                if !surely_clean(packet, event.octets, link.version()) {
                    self.check_rules(link, event, packet);
                }
            }
        }
        self.check_tolerance(link, event);
    }

    /// The rules of the codec that a readable packet may break all the same.
    #[cold]
    fn check_rules(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        packet: &ControlPacket<'_>,
    ) {
        let mut broken = Vec::new();
        let version = link.version();
        violations(packet, event.octets, version, &mut |one| broken.push(one));
        for one in broken {
            self.tell_rule(link, event, one.rule);
        }
    }

    #[cold]
    fn tell_malformed(&mut self, link: &mut Link, event: &PacketEvent<'_>, malformed: Malformed) {
        self.tell_rule(link, event, malformed.rule);
    }

    /// Tells a broken rule of the codec.
    #[cold]
    fn tell_rule(&mut self, link: &mut Link, event: &PacketEvent<'_>, rule: Rule) {
        let level = match rule.breach() {
            Breach::Malformed | Breach::ProtocolError => Level::Error,
            Breach::Advice => Level::Note,
        };
        if level == Level::Error {
            blame(link, event);
        }
        let at = link.at(event.stamp);
        let statements = rule.ids(link.version());
        let packet = event.packet_type.name();
        let who = match event.sender {
            Sender::Client => link.name(),
            Sender::Server => "the server".to_owned(),
        };
        self.findings.tell_as(
            &mut self.outbox,
            (level, rule.name(), statements),
            at,
            || format!("{packet} of {who}: {}", rule.sentence()),
        );
    }

    /// Keep alive: the time since the client's packet before this one.
    fn check_pace(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        if event.sender != Sender::Client || link.gaps_of(Sender::Client) > 0 {
            return;
        }
        let Some((silence, keep_alive)) = silence(link, event.stamp) else {
            return;
        };
        if !exceeds(silence, keep_alive) || link.told_silence {
            return;
        }
        if let Some(last) = link.side(Sender::Client).last {
            link.told_silence = true;
            self.tell_silence(link, last, silence, keep_alive, "and went on then");
        }
    }

    /// What may stand here at all.
    fn check_place(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        let wrong = match event.sender {
            Sender::Client => matches!(
                event.packet_type,
                PacketType::ConnAck
                    | PacketType::SubAck
                    | PacketType::UnsubAck
                    | PacketType::PingResp
            ),
            Sender::Server => {
                matches!(
                    event.packet_type,
                    PacketType::Connect
                        | PacketType::Subscribe
                        | PacketType::Unsubscribe
                        | PacketType::PingReq
                ) || (event.packet_type == PacketType::Disconnect
                    && link.version.is_some()
                    && !link.five())
            }
        };
        if wrong {
            let packet = event.packet_type.name();
            let at = link.at(event.stamp);
            let client = link.name();
            self.findings
                .tell(&mut self.outbox, &c::WRONG_SENDER, at, || {
                    match event.sender {
                        Sender::Client => {
                            format!("{client} sends {packet}, which only servers send.")
                        }
                        Sender::Server => format!(
                            "The server sends {packet}, which only clients send{}.",
                            if event.packet_type == PacketType::Disconnect {
                                " before MQTT 5.0"
                            } else {
                                ""
                            }
                        ),
                    }
                });
            blame(link, event);
        }
        self.check_turn(link, event);
        let after = link
            .goodbye
            .filter(|goodbye| goodbye.by == event.sender && !link.told_late_packet);
        if let Some(goodbye) = after {
            link.told_late_packet = true;
            let at = link.at(event.stamp);
            let said = goodbye.stamp.number;
            let packet = event.packet_type.name();
            self.findings
                .tell(&mut self.outbox, &c::PACKET_AFTER_DISCONNECT, at, || {
                    format!("{packet} follows the DISCONNECT of frame {said}, after which its sender must be silent.")
                });
        }
        if link.phase == Phase::Refused
            && event.sender == Sender::Client
            && event.packet_type != PacketType::Disconnect
            && !link.told_late_packet
        {
            link.told_late_packet = true;
            let at = link.at(event.stamp);
            let packet = event.packet_type.name();
            let client = link.name();
            self.findings
                .tell(&mut self.outbox, &c::PACKET_AFTER_REFUSAL, at, || {
                    format!("{client} sends {packet} although its connection was refused.")
                });
        }
    }

    /// CONNECT first, then CONNACK, then the rest.
    fn check_turn(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        match (link.phase, event.sender) {
            (Phase::Fresh, Sender::Client)
                if event.packet_type != PacketType::Connect
                    && link.gaps_of(Sender::Client) == 0 =>
            {
                let packet = event.packet_type.name();
                // Told once: from here on the begin of the connection counts as unknown.
                link.phase = Phase::Unknown;
                self.findings.tell(
                    &mut self.outbox,
                    &c::PACKET_BEFORE_CONNECT,
                    link.at(event.stamp),
                    || {
                        format!(
                            "{packet} is the first packet of this connection; it must be CONNECT."
                        )
                    },
                );
                blame(link, event);
            }
            (Phase::Fresh | Phase::Connecting, Sender::Server)
                if !matches!(event.packet_type, PacketType::ConnAck | PacketType::Auth)
                    && link.gaps_of(Sender::Server) == 0
                    && link.gaps_of(Sender::Client) == 0 =>
            {
                let packet = event.packet_type.name();
                link.phase = Phase::Unknown;
                self.findings
                    .tell(&mut self.outbox, &c::PACKET_BEFORE_CONNACK, link.at(event.stamp), || {
                        format!("The server sends {packet} before it accepted the connection with CONNACK.")
                    });
            }
            (Phase::Connecting, Sender::Client)
                if link.authentication_method.is_some()
                    && !matches!(
                        event.packet_type,
                        PacketType::Auth | PacketType::Disconnect | PacketType::Connect
                    )
                    && link.gaps_of(Sender::Server) == 0 =>
            {
                let packet = event.packet_type.name();
                let client = link.name();
                self.findings.tell(
                    &mut self.outbox,
                    &c::PACKET_BEFORE_AUTHENTICATION,
                    link.at(event.stamp),
                    || format!("{client} sends {packet} before its authentication is over."),
                );
                blame(link, event);
            }
            _ => {}
        }
    }

    fn check_size(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        let Some(most) = link.side(event.sender.peer()).maximum_packet_size else {
            return;
        };
        let size = event.octets.len() as u64;
        if size <= u64::from(most) {
            return;
        }
        let at = link.at(event.stamp);
        let packet = event.packet_type.name();
        let statements = too_large(event);
        self.findings.tell_as(
            &mut self.outbox,
            (Level::Error, c::PACKET_TOO_LARGE.name, statements),
            at,
            || format!("{packet} has {size} octets; its receiver allows {most}."),
        );
        blame(link, event);
    }

    /// A server that goes on after a client's packet that breaks the protocol.
    fn check_tolerance(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        let Some(fault) = link.fault else {
            return;
        };
        let [client, server] = &link.sides;
        // One packet may have been under way; DISCONNECT and CONNACK say goodbye.
        let goes_on = event.sender == Sender::Server
            && !matches!(
                event.packet_type,
                PacketType::Disconnect | PacketType::ConnAck
            )
            && server.packets > fault.answers + 1
            && client
                .last
                .is_some_and(|last| last.number > fault.stamp.number);
        if !goes_on {
            return;
        }
        link.fault = None;
        let at = link.at(event.stamp);
        let frame = fault.stamp.number;
        self.findings
            .tell(&mut self.outbox, &c::VIOLATION_TOLERATED, at, || {
                format!("The server goes on although the client's packet of frame {frame} breaks the protocol; it should have closed the connection.")
            });
    }

    /// Tells a finding once it is sure that no hole in what `depends` sent explains it.
    pub(super) fn suspect(
        &mut self,
        link: &mut Link,
        depends: Sender,
        clause: &'static c::Clause,
        at: Where,
        message: impl FnOnce() -> String,
    ) {
        if !self.findings.wanted {
            return;
        }
        if link.suspects.len() >= caps::SUSPECTS {
            self.findings.tell(&mut self.outbox, clause, at, message);
        } else if self.findings.only_counts(clause.name) {
            self.suspect_one_more(link, depends, clause, at.stamp.number);
        } else {
            link.suspects.push(Suspect {
                clause,
                frame: at.stamp.number,
                told: Some(Box::new((at, message()))),
                depends,
                gaps: link.gaps_of(depends),
            });
        }
    }

    /// [`Self::suspect`] for a rule whose findings are only counted.
    pub(super) fn suspect_one_more(
        &mut self,
        link: &mut Link,
        depends: Sender,
        clause: &'static c::Clause,
        frame: u64,
    ) {
        if link.suspects.len() >= caps::SUSPECTS {
            self.findings.count(clause.name);
            return;
        }
        link.suspects.push(Suspect {
            clause,
            frame,
            told: None,
            depends,
            gaps: link.gaps_of(depends),
        });
    }

    /// A packet of `event`'s sender came in order: what its side was suspected of missing
    /// before is not missing, or a gap has been told by now.
    pub(super) fn sure_of(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        let mut at = 0;
        while let Some(one) = link.suspects.get(at) {
            if one.depends == event.sender && one.frame < event.stamp.number {
                let one = link.suspects.remove(at);
                self.tell_suspect(link, one);
            } else {
                at += 1;
            }
        }
    }

    /// Tells a suspect that no gap has explained.
    pub(super) fn tell_suspect(&mut self, link: &Link, one: Suspect) {
        if link.gaps_of(one.depends) != one.gaps {
            return;
        }
        match one.told {
            Some(told) => {
                let (at, message) = *told;
                self.findings
                    .tell(&mut self.outbox, one.clause, at, || message);
            }
            None => {
                self.findings.count(one.clause.name);
            }
        }
    }

    /// A DUP on what was never seen before.
    #[cold]
    pub(super) fn check_first_dup(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &crate::mqtt::packet::Publish<'_>,
        digest: u64,
    ) {
        let id = publish.delivery.packet_id().map_or(0, |id| id.number());
        if link.side(event.sender).refused.get(&id) == Some(&digest) {
            let at = link.at(event.stamp);
            self.findings
                .tell(&mut self.outbox, &c::RESENT_AFTER_REFUSAL, at, || {
                    format!("The message with identifier {id} is sent again although the receiver refused it.")
                });
            return;
        }
        if !link.whole() || !self.history_known(link) {
            return;
        }
        let at = link.at(event.stamp);
        self.findings
            .tell(&mut self.outbox, &c::DUP_ON_FIRST, at, || {
                "This PUBLISH says that it is a redelivery (DUP 1), and no earlier one waits for an acknowledgement.".to_owned()
            });
    }

    /// A redelivery.
    #[cold]
    pub(super) fn check_repeat(
        &mut self,
        link: &mut Link,
        event: &PacketEvent<'_>,
        publish: &crate::mqtt::packet::Publish<'_>,
        open: &Open,
    ) {
        if !self.findings.wanted {
            return;
        }
        let at = link.at(event.stamp);
        let first = open.first().number;
        let id = publish.delivery.packet_id().map_or(0, |id| id.number());
        let moved = open
            .record
            .steps
            .last()
            .is_some_and(|step| step.connection != link.id);
        if !publish.dup {
            self.findings.tell(
                &mut self.outbox,
                &c::REDELIVERY_WITHOUT_DUP,
                at.clone(),
                || {
                    format!(
                        "The message of frame {first} (identifier {id}) is sent again without DUP."
                    )
                },
            );
        }
        if open.waiting == PacketType::PubComp {
            self.findings.tell(
                &mut self.outbox,
                &c::PUBLISH_AFTER_PUBREL,
                at.clone(),
                || {
                    format!(
                        "The PUBLISH of frame {first} is sent again although its PUBREL was sent."
                    )
                },
            );
        } else if !moved && link.five() && !open.may_be_missing(link) {
            self.findings
                .tell(&mut self.outbox, &c::RESENT_EARLY, at.clone(), || {
                    format!("The PUBLISH of frame {first} is sent again on the same connection; from MQTT 5.0 on that needs a new one.")
                });
        }
        if moved {
            self.check_resent_order(link, event, open, id);
        }
        self.findings
            .tell(&mut self.outbox, &c::REDELIVERY, at, || {
                let where_to = if moved { "on a new connection" } else { "on the same connection" };
                format!("The PUBLISH of frame {first} (identifier {id}) is sent again {where_to}: it was not acknowledged.")
            });
    }

    /// What is sent again keeps the order of the first sendings.
    #[cold]
    fn check_resent_order(&mut self, link: &Link, event: &PacketEvent<'_>, open: &Open, id: u16) {
        let [client_owes, server_owes] = &link.owed;
        let owed = match event.sender {
            Sender::Client => client_owes,
            Sender::Server => server_owes,
        };
        let [client, server] = &link.sides;
        let side = match event.sender {
            Sender::Client => client,
            Sender::Server => server,
        };
        /// Enough for what clients keep in flight.
        const COMPARED: usize = 64;
        if owed.len() > COMPARED {
            return;
        }
        let earlier = owed
            .iter()
            .filter(|other| **other != id)
            .filter_map(|other| event_place(side, *other))
            .any(|place| place < open.place);
        // The Client's rule (MQTT 5.0 §4.6).
        if earlier && event.sender == Sender::Client {
            let at = link.at(event.stamp);
            self.findings
                .tell(&mut self.outbox, &c::RESENT_OUT_OF_ORDER, at, || {
                    "This message is sent again before an earlier one that is not acknowledged either.".to_owned()
                });
        }
    }

    /// The receiver's quota (5.0).
    pub(super) fn check_quota(&mut self, link: &mut Link, event: &PacketEvent<'_>) {
        let Some(most) = link.side(event.sender.peer()).receive_maximum else {
            return;
        };
        let under_way = link.side(event.sender).in_flight;
        // An acknowledgement in a gap would free what seems to be in flight.
        if under_way <= u32::from(most) || !link.certain(event.sender.peer()) {
            return;
        }
        let at = match event.sender {
            Sender::Client => link
                .at(event.stamp)
                .citing(&[], &["MQTT-3.3.4-7", "MQTT-4.9.0-2"]),
            Sender::Server => link
                .at(event.stamp)
                .citing(&[], &["MQTT-3.3.4-9", "MQTT-4.9.0-2"]),
        };
        let who = match event.sender {
            Sender::Client => link.name(),
            Sender::Server => "The server".to_owned(),
        };
        self.suspect(link, event.sender.peer(), &c::RECEIVE_MAXIMUM, at, || {
                format!("{who} has {under_way} messages above QoS 0 in flight; the receiver's Receive Maximum is {most}.")
            });
        blame(link, event);
    }

    #[inline(never)]
    pub(super) fn check_clear_text(&mut self, link: &Link, event: &PacketEvent<'_>) {
        if event.transport.is_encrypted() {
            return;
        }
        let Ok(ControlPacket::Connect(connect)) = event.packet else {
            return;
        };
        let Some(password) = connect.password.filter(|password| !password.is_empty()) else {
            return;
        };
        let at = link.at(event.stamp);
        let client = link.name();
        let length = password.len();
        self.findings
            .tell(&mut self.outbox, &c::CREDENTIALS, at, || {
                format!("The password of {client} ({length} octets) crosses the network unencrypted: anyone on the way can read it. Use TLS.")
            });
    }

    #[cold]
    pub(super) fn tell_refusal(&mut self, link: &Link, event: &PacketEvent<'_>, code: u8) {
        let at = link.at(event.stamp);
        let client = link.name();
        let reason = reason::name(PacketType::ConnAck, link.version(), code);
        self.findings
            .tell(&mut self.outbox, &c::CONNECTION_REFUSED, at, || {
                format!(
                    "The server refuses the connection of {client} with 0x{code:02x} ({reason})."
                )
            });
    }
}

fn event_place(side: &super::link::Side, id: u16) -> Option<super::outbox::Place> {
    side.open.get(id).map(|open| open.place)
}

/// Remembers the client's latest packet that breaks the protocol.
pub(super) fn blame(link: &mut Link, event: &PacketEvent<'_>) {
    if event.sender == Sender::Client {
        let [_, server] = &link.sides;
        link.fault = Some(Fault {
            stamp: event.stamp,
            answers: server.packets,
        });
    }
}

/// The statements that a packet above the Maximum Packet Size breaks.
fn too_large(event: &PacketEvent<'_>) -> &'static [&'static str] {
    let wordy = match event.packet {
        Ok(packet) => !packet.properties().is_empty(),
        Err(_) => false,
    };
    match (event.sender, event.packet_type) {
        (_, PacketType::PubAck) if wordy => &["MQTT-3.4.2-2", "MQTT-3.4.2-3"],
        (_, PacketType::PubRec) if wordy => &["MQTT-3.5.2-2", "MQTT-3.5.2-3"],
        (_, PacketType::PubRel) if wordy => &["MQTT-3.6.2-2", "MQTT-3.6.2-3"],
        (_, PacketType::PubComp) if wordy => &["MQTT-3.7.2-2", "MQTT-3.7.2-3"],
        (_, PacketType::Disconnect) if wordy => &["MQTT-3.14.2-3", "MQTT-3.14.2-4"],
        (_, PacketType::Auth) if wordy => &["MQTT-3.15.2-2", "MQTT-3.15.2-3"],
        (_, PacketType::ConnAck) if wordy => &["MQTT-3.2.2-19", "MQTT-3.2.2-20"],
        (_, PacketType::SubAck) if wordy => &["MQTT-3.9.2-1", "MQTT-3.9.2-2"],
        (_, PacketType::UnsubAck) if wordy => &["MQTT-3.11.2-1", "MQTT-3.11.2-2"],
        (Sender::Client, _) => &["MQTT-3.2.2-15"],
        (Sender::Server, _) => &["MQTT-3.1.2-24", "MQTT-3.1.2-25"],
    }
}
