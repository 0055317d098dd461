//! The lines of packets.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::io::{self, Write};

use super::connection::{Held, Phase};
use super::state::{Log, MOST, forget_name};
use super::verdict::{self, Offer};
use crate::event::log::{Line, Way, kept};
use crate::event::{ConnectionId, PacketEvent};
use crate::mqtt::packet::{Acknowledgement, ConnAck, Will};
use crate::mqtt::topic::matches;
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion};

/// PUBACK's and PUBREC's reason codes for a message that is not taken.
const NOT_AUTHORIZED: u8 = 0x87;
const PACKET_TOO_LARGE: u8 = 0x95;

impl<W: Write> Log<W> {
    /// Writes the lines of a packet of the client, with what its answer adds.
    pub(super) fn write(
        &mut self,
        id: ConnectionId,
        held: &Held,
        answer: Option<&ControlPacket<'_>>,
    ) -> io::Result<()> {
        if held.written {
            return Ok(());
        }
        let client = self.name(id);
        held.packet.with_event(|seen| {
            let Ok(packet) = seen.packet else {
                return self.taken_malformed(seen, held.shown, &client);
            };
            match packet {
                // Its lines are those of a CONNACK.
                ControlPacket::Connect(_) => Ok(()),
                ControlPacket::Subscribe(asked) => {
                    let codes = match answer {
                        Some(ControlPacket::SubAck(ack)) => Some(ack),
                        _ => None,
                    };
                    self.line_if(held.shown, plain(seen, Way::Received, &client))?;
                    let mut codes = codes.into_iter().flat_map(|ack| ack.codes.iter().copied());
                    for one in asked.subscriptions.iter() {
                        let (filter, qos) = (one.filter, one.options & 0x03);
                        let granted = codes.next().unwrap_or(qos);
                        let qos = granted.min(qos);
                        self.line_if(held.shown, Line::Subscription { filter, qos })?;
                        let client = &client;
                        let line = Line::Subscribed {
                            client,
                            qos,
                            filter,
                        };
                        self.line_if(held.shown && granted < 0x80, line)?;
                    }
                    Ok(())
                }
                ControlPacket::Disconnect(_) => {
                    self.line_if(held.shown, plain(seen, Way::Received, &client))?;
                    self.line_if(held.shown, Line::Disconnected(&client))?;
                    self.over(id);
                    Ok(())
                }
                ControlPacket::PubAck(ack)
                | ControlPacket::PubRec(ack)
                | ControlPacket::PubComp(ack) => {
                    let (packet_type, packet_id) = (seen.packet_type, ack.packet_id);
                    self.line_if(held.shown, acknowledgement(seen, ack, &client))?;
                    let followed = self.connections.get_mut(&id);
                    let unknown = followed
                        .is_some_and(|followed| followed.acknowledges(packet_type, packet_id));
                    let (client, packet_id) = (&client, packet_id.number());
                    let warned = unknown && packet_type == PacketType::PubRec;
                    let line = Line::UnknownPubRec { client, packet_id };
                    self.line_if(held.shown && warned, line)
                }
                packet if held.shown => {
                    let way = way_of(packet, seen, answer);
                    self.line_of_packet(seen, packet, way, &client)
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes the line of a packet that needs no more than itself.
    pub(super) fn line_of_packet(
        &mut self,
        seen: &PacketEvent<'_>,
        packet: &ControlPacket<'_>,
        way: Way,
        client: &str,
    ) -> io::Result<()> {
        match packet {
            ControlPacket::Publish(publish) => self.line(Line::Publish {
                way,
                client,
                dup: seen.bytes.first().is_some_and(|first| first & 0x08 != 0),
                qos: publish.delivery.qos() as u8,
                retain: publish.retain,
                packet_id: publish.delivery.packet_id().map_or(0, |id| id.number()),
                topic: seen.topic_resolved.unwrap_or(publish.topic),
                length: usize::try_from(seen.payload_length(publish)).unwrap_or(usize::MAX),
            }),
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => self.line(Line::Acknowledgement {
                way,
                name: seen.packet_type.name(),
                client,
                packet_id: ack.packet_id.number(),
                reason_code: ack.reason_code,
            }),
            ControlPacket::Unsubscribe(unsubscribe) => {
                self.line(plain(seen, way, client))?;
                for filter in unsubscribe.filters.iter() {
                    self.line(Line::Filter(filter))?;
                    self.line(Line::Unsubscribed { client, filter })?;
                }
                Ok(())
            }
            ControlPacket::Auth(auth) => self.line(Line::Auth {
                way,
                client,
                reason_code: auth.reason_code,
                method: auth.properties.authentication_method().unwrap_or(""),
            }),
            _ => self.line(plain(seen, way, client)),
        }
    }

    /// Writes the line of a malformed packet of the client that the Server took all the same, as
    /// mosquitto takes some.
    pub(super) fn taken_malformed(
        &mut self,
        seen: &PacketEvent<'_>,
        shown: bool,
        client: &str,
    ) -> io::Result<()> {
        if !shown {
            return Ok(());
        }
        // DUP at QoS 0, and reserved flags: without those bits the packet may be read.
        let mut bytes = seen.bytes.to_vec();
        if let Some(first) = bytes.first_mut() {
            *first &= if *first >> 4 == 3 { 0xf7 } else { 0xf0 };
        }
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        if let Ok(packet) = ControlPacket::read(&bytes, version, &mut ()) {
            return self.line_of_packet(seen, &packet, Way::Received, client);
        }
        match seen.packet_type {
            PacketType::Subscribe
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::SubAck
            | PacketType::UnsubAck => self.line(plain(seen, Way::Received, client)),
            other => {
                let note = format!("Malformed {} from {client}.", other.name());
                self.line(Line::Note(&note))
            }
        }
    }

    /// CONNACK: only now is it known whether the Client came in, and as whom.
    pub(super) fn answered(
        &mut self,
        id: ConnectionId,
        asked: Option<&Held>,
        ack: &ConnAck<'_>,
        shown: bool,
    ) -> io::Result<()> {
        let packet = asked.map(|asked| &asked.packet);
        let decoded = packet.and_then(|packet| packet.decode().ok());
        let connect = match &decoded {
            Some(ControlPacket::Connect(connect)) => Some(connect),
            _ => None,
        };
        if ack.code != 0 {
            return self.refused(id, connect, ack, shown);
        }
        let Some(followed) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let is_new = followed.phase == Phase::New;
        followed.phase = Phase::Active;
        followed.sent = (!ack.session_present).then(BTreeMap::new);
        if let Some(connect) = connect {
            let (server, hasher) = (followed.server, &self.hasher);
            let hash = |text: &str| hasher.hash_one((server, text));
            followed.asks(connect, hash);
            let nameless = followed.nameless();
            let name = match ack.properties.assigned_client_identifier() {
                Some(assigned) => assigned,
                None if !connect.client_id.is_empty() => connect.client_id,
                // mosquitto's name of it is not in the capture.
                None => &nameless,
            };
            followed.name = kept(name).into_owned();
            let former = followed.identifier.replace(hash(name));
            forget_name(&mut self.names, former, id);
        }
        followed.alias_maximum = ack.properties.topic_alias_maximum().unwrap_or(0);
        if let Some(seconds) = ack.properties.server_keep_alive() {
            followed.keep_alive = seconds;
        }
        let (peer, server, name) = (followed.client, followed.server, followed.name.clone());
        let identifier = followed.identifier;
        let version = packet.and_then(|packet| packet.version);
        if version == Some(ProtocolVersion::V5_0) && self.offers.len() < MOST {
            self.offers.insert(server, Offer::of(ack));
        }
        if is_new {
            self.judge_waiting(id);
        }
        let taking = (self.takeovers.iter()).position(|takeover| takeover.by == id);
        if let Some(takeover) = taking.map(|at| self.takeovers.swap_remove(at)) {
            self.take_over(takeover.before, takeover.shown)?;
        }
        let before = match connect {
            Some(_) => identifier.and_then(|identifier| self.names.insert(identifier, id)),
            None => None,
        };
        if let Some(before) = before.filter(|before| *before != id) {
            self.take_over(before, asked.is_some_and(|asked| asked.shown))?;
        }
        let client = name.as_str();
        if let (Some(connect), Some(asked)) = (connect, asked.filter(|asked| asked.shown)) {
            self.announce(id)?;
            self.line(Line::NewClient {
                peer,
                client,
                level: Line::level(asked.version()),
                clean: connect.clean(),
                keep_alive: connect.keep_alive,
                user_name: connect.user_name,
                bridge: connect.bridge,
            })?;
            self.line(connect.will.as_ref().map_or(Line::NoWill, will))?;
        }
        self.line_if(shown, connack(client, ack))
    }

    /// Judges the packets that came before the CONNACK, which may have an effect from now on.
    pub(super) fn judge_waiting(&mut self, id: ConnectionId) {
        let Some(followed) = self.connections.get_mut(&id) else {
            return;
        };
        let offer = self.offers.get(&followed.server);
        let mut waiting = std::mem::take(&mut followed.waiting);
        for held in &mut waiting {
            held.fatal = verdict::of_packet(held, followed, offer).is_some();
            if let Some(topic) = held.topic {
                self.publishing.insert((topic, id));
            }
        }
        followed.waiting = waiting;
    }
}

/// Returns the line of a packet that is listed by its name alone.
fn plain<'a>(seen: &PacketEvent<'_>, way: Way, client: &'a str) -> Line<'a> {
    Line::Plain {
        way,
        name: seen.packet_type.name(),
        client,
    }
}

/// Returns the line of an acknowledgement of the client.
fn acknowledgement<'a>(
    seen: &PacketEvent<'_>,
    ack: &Acknowledgement<'_>,
    client: &'a str,
) -> Line<'a> {
    Line::Acknowledgement {
        way: Way::Received,
        name: seen.packet_type.name(),
        client,
        packet_id: ack.packet_id.number(),
        reason_code: ack.reason_code,
    }
}

/// Returns the line of CONNACK.
pub(super) fn connack<'a>(client: &'a str, ack: &ConnAck<'_>) -> Line<'a> {
    Line::SendingConnAck {
        client,
        session_present: ack.session_present,
        code: ack.code,
    }
}

/// Whether a PUBLISH of the client was taken: its answer or its topic shows where it was not.
fn way_of(
    packet: &ControlPacket<'_>,
    seen: &PacketEvent<'_>,
    answer: Option<&ControlPacket<'_>>,
) -> Way {
    let ControlPacket::Publish(publish) = packet else {
        return Way::Received;
    };
    let code = match answer {
        Some(ControlPacket::PubAck(ack) | ControlPacket::PubRec(ack)) => ack.reason_code,
        _ => 0,
    };
    let topic = seen.topic_resolved.unwrap_or(publish.topic);
    let state = "$SYS/broker/connection/+/state";
    // Only a bridge may publish there, its state.
    let reserved = topic.starts_with("$SYS") && !matches(state, topic);
    match code {
        NOT_AUTHORIZED => Way::Denied,
        PACKET_TOO_LARGE => Way::TooLarge,
        _ if reserved || topic.starts_with("$share") => Way::Denied,
        _ => Way::Received,
    }
}

/// Returns the line of a will.
fn will<'a>(will: &Will<'a>) -> Line<'a> {
    Line::Will {
        length: will.payload.len(),
        retain: will.retain,
        qos: will.qos as u8,
        topic: will.topic,
    }
}
