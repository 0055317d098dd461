//! Why mosquitto 2.0 ends a connection, judged by the packet that it did not answer.
//!
//! The words are those of 2.0.11, the texts of later 2.0 releases differ in few places.

use super::connection::{Followed, Held, Phase};
use crate::base::Endpoint;
use crate::base::text::safe;
use crate::event::log::{Cause, Line, Way};
use crate::mqtt::packet::{ConnAck, Connect, Subscribe, Unsubscribe};
use crate::mqtt::topic::filter_broken_before_five;
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Rule};

/// The limits that a server named in a CONNACK of 5.0. They hold for its other connections too.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Offer {
    maximum_packet_size: Option<u32>,
    maximum_qos: Option<u8>,
    retain_unavailable: bool,
}

/// The lines and the cause with which a packet ends its connection.
#[derive(Debug)]
pub(super) struct Verdict {
    /// Lines before that of the end, safe for a terminal.
    pub(super) lines: Vec<String>,
    pub(super) cause: Cause,
}

impl Offer {
    pub(super) fn of(ack: &ConnAck<'_>) -> Self {
        Self {
            maximum_packet_size: ack.properties.maximum_packet_size(),
            maximum_qos: ack.properties.maximum_qos().map(|qos| qos as u8),
            retain_unavailable: ack.properties.retain_available() == Some(false),
        }
    }

    /// Whether a packet of that many bytes is too large: mosquitto counts its first byte and what
    /// its Remaining Length counts.
    pub(super) fn refuses(&self, length: u64) -> bool {
        let header = match length {
            0..=129 => 2,
            130..=16_386 => 3,
            16_387..=2_097_155 => 4,
            _ => 5,
        };
        let maximum = self.maximum_packet_size.map(u64::from);
        maximum.is_some_and(|maximum| length.saturating_sub(header) + 1 > maximum)
    }
}

/// The end that a reason code of the server's DISCONNECT (5.0) stands for in mosquitto; `None` for
/// codes that it does not send.
pub(super) const fn of_disconnect(code: u8) -> Option<Cause> {
    Some(match code {
        0x81 => Cause::Malformed,
        0x82 => Cause::Protocol,
        0x8d => Cause::TimedOut,
        0x94 | 0x9a => Cause::Bad("Unknown error."),
        0x95 => Cause::Oversize,
        0x98 => Cause::Administrative,
        0x9b => Cause::Bad("Requested QoS not supported on server."),
        _ => return None,
    })
}

/// The end that follows a CONNACK with this code; `None` for codes that mosquitto does not send.
pub(super) const fn of_refusal(code: u8) -> Option<Cause> {
    Some(match code {
        1 | 2 | 0x80 | 0x84 | 0x85 => Cause::Protocol,
        4 | 5 | 0x86 | 0x87 => Cause::NotAuthorised,
        0x8c | 0x9a | 0x9b => Cause::Unsupported,
        0x95 => Cause::OversizePayload,
        _ => return None,
    })
}

/// Judges the packet after which the server closed; `None` where mosquitto takes such packets.
pub(super) fn of_packet(
    held: &Held,
    followed: &Followed,
    offer: Option<&Offer>,
) -> Option<Verdict> {
    let packet = &held.packet;
    let version = held.version();
    let (phase, client) = (followed.phase, (&*followed.name, followed.client));
    if phase == Phase::New && packet.packet_type != PacketType::Connect {
        return Some(Cause::Protocol.into());
    }
    if phase == Phase::Active && packet.packet_type == PacketType::Connect {
        let client = safe(client.0);
        let line = format!("Bad client {client} sending multiple CONNECT messages.");
        return Some(Verdict::new(vec![line], Cause::Protocol));
    }
    let size = packet.bytes.len() as u64 + packet.missing;
    if offer.is_some_and(|offer| offer.refuses(size)) {
        return Some(Cause::Oversize.into());
    }
    match packet.decode() {
        Err(malformed) => of_malformed(held, malformed, client),
        Ok(ControlPacket::Connect(connect)) => of_connect(&connect, client.1, offer),
        Ok(ControlPacket::ConnAck(_)) => {
            Some(Cause::Bad("Invalid function arguments provided.").into())
        }
        Ok(ControlPacket::Publish(publish)) => {
            if let Some(alias) = publish.properties.topic_alias() {
                if alias > followed.alias_maximum && !packet.after_gap {
                    return of_disconnect(0x94).map(Verdict::from);
                }
                if publish.topic.is_empty() && packet.topic_resolved.is_none() {
                    return Some(Cause::Protocol.into());
                }
            }
            let offer = offer?;
            let client = safe(client.0);
            let qos = publish.delivery.qos() as u8;
            if offer.maximum_qos.is_some_and(|maximum| qos > maximum) {
                let line = format!("Too high QoS in PUBLISH from {client}, disconnecting.");
                return Some(Verdict {
                    lines: vec![line],
                    cause: of_disconnect(0x9b)?,
                });
            }
            let retained = publish.retain && offer.retain_unavailable;
            of_disconnect(0x9a).filter(|_| retained).map(Verdict::from)
        }
        Ok(ControlPacket::Subscribe(asked)) => of_subscribe(&asked, version, client),
        Ok(ControlPacket::Unsubscribe(asked)) => of_unsubscribe(&asked, client.0),
        Ok(ControlPacket::Disconnect(disconnect)) => {
            let expiry = disconnect.properties.session_expiry_interval();
            let raises = followed.ends_session && expiry.is_some_and(|seconds| seconds > 0);
            raises.then(|| Cause::Protocol.into())
        }
        Ok(ControlPacket::Auth(_)) => Some(Cause::Protocol.into()),
        Ok(_) => None,
    }
}

fn of_malformed(held: &Held, malformed: Malformed, client: (&str, Endpoint)) -> Option<Verdict> {
    let packet = &held.packet;
    let (client, Endpoint { address, .. }) = client;
    let Malformed { rule, offset } = malformed;
    let unsupported = || match rule {
        Rule::PropertyIsKnown => {
            let id = packet.bytes.get(offset).copied().unwrap_or(0);
            vec![format!("Unsupported property type: {id}")]
        }
        _ => Vec::new(),
    };
    let plain = Line::Plain {
        way: Way::Received,
        name: packet.packet_type.name(),
        client,
    };
    let plain = plain.to_string();
    if rule == Rule::RemainingLengthHasFourOctets {
        return Some(Cause::Protocol.into());
    }
    Some(match packet.packet_type {
        PacketType::Connect => {
            let lines = match rule {
                Rule::WillQosIsNotThree => {
                    vec![format!("Invalid Will QoS in CONNECT from {address}.")]
                }
                Rule::PasswordNeedsUserName => {
                    let id = safe(client_id(&packet.bytes).unwrap_or(client));
                    vec![format!(
                        "Protocol error from {id}: password without username, closing connection."
                    )]
                }
                _ => unsupported(),
            };
            Verdict::new(lines, Cause::Protocol)
        }
        PacketType::Publish => match rule {
            Rule::DupNeedsQos => return None,
            Rule::QosIsNotThree => {
                let client = safe(client);
                let line = format!("Invalid QoS in PUBLISH from {client}, disconnecting.");
                Verdict::new(vec![line], Cause::Malformed)
            }
            Rule::PacketIdentifierIsNotZero | Rule::TopicNameHasNoWildcard => {
                Cause::Protocol.into()
            }
            Rule::TopicNameIsNotEmpty if held.version() == ProtocolVersion::V5_0 => {
                Cause::Protocol.into()
            }
            Rule::PropertyIsNotRepeated => Cause::Bad("Duplicate property in property list").into(),
            _ => Verdict::new(unsupported(), Cause::Malformed),
        },
        PacketType::Subscribe => {
            let mut lines = vec![plain];
            match rule {
                Rule::NoLocalIsNotShared => return None,
                Rule::SubscriptionQosIsNotThree => lines.push(format!(
                    "Invalid QoS in subscription command from {address}, disconnecting."
                )),
                _ => lines.extend(unsupported()),
            }
            Verdict::new(lines, Cause::Malformed)
        }
        PacketType::Unsubscribe => {
            let lines = std::iter::once(plain).chain(unsupported()).collect();
            Verdict::new(lines, Cause::Malformed)
        }
        PacketType::PubAck | PacketType::PubRec | PacketType::PubComp
            if rule == Rule::ReservedHeaderFlagsHold =>
        {
            return None;
        }
        PacketType::PingReq | PacketType::PingResp | PacketType::SubAck | PacketType::UnsubAck => {
            return None;
        }
        PacketType::Disconnect => match rule {
            Rule::ReservedHeaderFlagsHold => Verdict::new(vec![plain], Cause::Protocol),
            Rule::PropertyIsKnown => Verdict::new(unsupported(), Cause::Malformed),
            _ => Cause::Protocol.into(),
        },
        _ => Cause::Protocol.into(),
    })
}

fn of_connect(connect: &Connect<'_>, client: Endpoint, offer: Option<&Offer>) -> Option<Verdict> {
    if !connect.is_known() {
        return Some(Verdict::new(
            unknown_version(connect, client),
            Cause::Protocol,
        ));
    }
    let (offer, will) = (offer?, connect.will.as_ref()?);
    let qos = will.qos as u8;
    let refused = offer.maximum_qos.is_some_and(|maximum| qos > maximum)
        || will.retain && offer.retain_unavailable;
    refused.then(|| Cause::Unsupported.into())
}

/// The line of a CONNECT of a protocol or version that mosquitto does not know.
pub(super) fn unknown_version(connect: &Connect<'_>, client: Endpoint) -> Vec<String> {
    let (name, address) = (connect.protocol_name, client.address);
    let shown = safe(name);
    let level = connect.protocol_level | u8::from(connect.bridge) << 7;
    match name {
        _ if connect.is_known() => Vec::new(),
        "MQTT" | "MQIsdp" => {
            vec![format!(
                "Invalid protocol version {level} in CONNECT from {address}."
            )]
        }
        _ if matches!(name.len(), 4 | 6) => {
            vec![format!(
                "Invalid protocol \"{shown}\" in CONNECT from {address}."
            )]
        }
        _ => Vec::new(),
    }
}

/// A SUBSCRIBE is entered filter by filter, up to the one that is not valid.
fn of_subscribe(
    asked: &Subscribe<'_>,
    version: ProtocolVersion,
    (client, Endpoint { address, .. }): (&str, Endpoint),
) -> Option<Verdict> {
    let (way, name) = (Way::Received, "SUBSCRIBE");
    let mut lines = vec![Line::Plain { way, name, client }.to_string()];
    for one in asked.subscriptions.iter() {
        let (filter, qos) = (one.filter, one.options & 0x03);
        if filter_broken_before_five(filter).is_some() {
            if !filter.is_empty() {
                lines.push(format!(
                    "Invalid subscription string from {address}, disconnecting."
                ));
            }
            return Some(Verdict::new(lines, Cause::Malformed));
        }
        if qos > 2 && version == ProtocolVersion::V5_0 {
            lines.push(format!(
                "Invalid QoS in subscription command from {address}, disconnecting."
            ));
            return Some(Verdict::new(lines, Cause::Malformed));
        }
        lines.push(Line::Subscription { filter, qos }.to_string());
        lines.push(
            Line::Subscribed {
                client,
                qos,
                filter,
            }
            .to_string(),
        );
    }
    None
}

fn of_unsubscribe(asked: &Unsubscribe<'_>, client: &str) -> Option<Verdict> {
    let (way, name) = (Way::Received, "UNSUBSCRIBE");
    let mut lines = vec![Line::Plain { way, name, client }.to_string()];
    for filter in asked.filters.iter() {
        if filter_broken_before_five(filter).is_some() {
            let client = safe(client);
            let kind = if filter.is_empty() {
                "Empty"
            } else {
                "Invalid"
            };
            lines.push(format!(
                "{kind} unsubscription string from {client}, disconnecting."
            ));
            return Some(Verdict::new(lines, Cause::Malformed));
        }
        lines.push(Line::Filter(filter).to_string());
        lines.push(Line::Unsubscribed { client, filter }.to_string());
    }
    None
}

/// The client identifier of a CONNECT of 3.x that could not be read to its end.
fn client_id(bytes: &[u8]) -> Option<&str> {
    let length = bytes
        .get(1..5)?
        .iter()
        .take_while(|byte| **byte > 0x7f)
        .count();
    let rest = bytes.get(2 + length..)?;
    let text = |bytes: &'_ [u8]| -> Option<usize> {
        let (length, _) = bytes.split_first_chunk::<2>()?;
        Some(usize::from(u16::from_be_bytes(*length)))
    };
    // Protocol name, level, flags and keep alive.
    let rest = rest.get(2 + text(rest)? + 4..)?;
    std::str::from_utf8(rest.get(2..2 + text(rest)?)?).ok()
}

impl Verdict {
    fn new(lines: Vec<String>, cause: Cause) -> Self {
        Self { lines, cause }
    }
}

impl From<Cause> for Verdict {
    fn from(cause: Cause) -> Self {
        Self::new(Vec::new(), cause)
    }
}
