//! CONNECT, CONNACK and subscriptions: one shape for packets, handshakes and what could be read
//! of a malformed packet.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_with_macros::skip_serializing_none;

use super::payload::Payload;
use super::property::{Properties, Property};
use super::value::is_false;
use crate::event::{self, ConnAckSummary, ConnectSummary, FilterRequest};
use crate::mqtt::{PacketType, ProtocolVersion, packet, reason};

/// The request of a CONNECT (MQTT 5.0 §3.1).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Connect<'a> {
    /// `MQTT`, or `MQIsdp` before 3.1.1.
    pub protocol_name: &'a str,
    /// 3, 4 or 5, without mosquitto's bridge bit.
    pub protocol_level: Option<u8>,
    /// Bit 7 of the protocol level is set, as mosquitto's bridges do.
    #[serde(skip_serializing_if = "is_false")]
    pub bridge: bool,
    /// The Connect Flags, bit by bit.
    pub flags: Option<ConnectFlags>,
    /// In seconds, as the client asked; 0 turns the mechanism off.
    pub keep_alive: Option<u16>,
    /// The client identifier as sent; empty where the server is to assign one.
    pub client_id: Option<&'a str>,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// The number of bytes of the password.
    pub password_length: Option<u64>,
    /// The password, only where secrets are shown (`--show-secrets`).
    pub password: Option<Payload<'a>>,
    /// Session Expiry Interval in seconds; 4294967295 never expires. On handshakes (5.0).
    pub session_expiry: Option<u32>,
    /// Receive Maximum, in messages. On handshakes (5.0).
    pub receive_maximum: Option<u16>,
    /// The highest topic alias that the client takes. On handshakes (5.0).
    pub topic_alias_maximum: Option<u16>,
    /// The largest packet that the client takes, in bytes. On handshakes (5.0).
    pub maximum_packet_size: Option<u32>,
    /// The Will Message that the client registers.
    pub will: Option<WillMessage<'a>>,
}

impl<'a> Connect<'a> {
    /// The CONNECT packet; the password in clear where `secrets` are shown.
    pub fn new(
        connect: &packet::Connect<'a>,
        version: Option<ProtocolVersion>,
        secrets: bool,
    ) -> Self {
        Self {
            protocol_name: connect.protocol_name,
            protocol_level: Some(connect.protocol_level),
            bridge: connect.bridge,
            flags: Some(ConnectFlags::new(connect.flags, version)),
            keep_alive: Some(connect.keep_alive),
            client_id: Some(connect.client_id),
            user_name: connect.user_name,
            password_length: connect.password.map(|password| password.len() as u64),
            password: connect.password.filter(|_| secrets).map(Payload::whole),
            will: (connect.will.as_ref()).map(|will| WillMessage::new(will, secrets)),
            ..Self::default()
        }
    }

    /// The CONNECT of a handshake.
    pub fn of_handshake(connect: &'a ConnectSummary, version: Option<ProtocolVersion>) -> Self {
        Self {
            protocol_name: &connect.protocol_name,
            protocol_level: Some(connect.protocol_level),
            bridge: connect.bridge,
            flags: Some(ConnectFlags::new(connect.flags, version)),
            keep_alive: Some(connect.keep_alive),
            client_id: Some(&connect.client_id),
            user_name: connect.user_name.as_deref(),
            password_length: connect.password_length,
            password: None,
            session_expiry: connect.session_expiry,
            receive_maximum: connect.receive_maximum,
            topic_alias_maximum: connect.topic_alias_maximum,
            maximum_packet_size: connect.maximum_packet_size,
            will: connect.will.as_ref().map(WillMessage::from),
        }
    }
}

/// The Connect Flags (MQTT 5.0 §3.1.2.3).
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct ConnectFlags {
    /// The byte as it stood on the wire.
    pub byte: u8,
    /// Bit 7: a user name follows.
    pub user_name: bool,
    /// Bit 6: a password follows.
    pub password: bool,
    /// Bit 5: the Will Message is to be stored.
    pub will_retain: bool,
    /// Bits 4 and 3: the Will Message's QoS, 3 too where the packet is malformed.
    pub will_qos: u8,
    /// Bit 2: a Will Message follows.
    pub will: bool,
    /// Bit 1 before 5.0.
    pub clean_session: Option<bool>,
    /// Bit 1 in 5.0.
    pub clean_start: Option<bool>,
    /// Bit 0, which must be 0.
    pub reserved: bool,
}

impl ConnectFlags {
    /// The bits of `byte`; bit 1 has the name that `version` gives it.
    pub fn new(byte: u8, version: Option<ProtocolVersion>) -> Self {
        let bit = |mask: u8| byte & mask != 0;
        let v5 = version == Some(ProtocolVersion::V5_0);
        Self {
            byte,
            user_name: bit(0x80),
            password: bit(0x40),
            will_retain: bit(0x20),
            will_qos: byte >> 3 & 3,
            will: bit(0x04),
            clean_session: (!v5).then_some(bit(0x02)),
            clean_start: v5.then_some(bit(0x02)),
            reserved: bit(0x01),
        }
    }
}

/// A Will Message as a CONNECT registers it (MQTT 5.0 §3.1.2.5).
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct WillMessage<'a> {
    /// The Will Topic.
    pub topic: &'a str,
    /// The Will QoS.
    pub qos: u8,
    /// The Will Retain flag.
    pub retain: bool,
    /// The Will Payload.
    pub payload: Payload<'a>,
    /// Its properties in wire order (5.0, on packets).
    #[schemars(with = "Option<Vec<Property<'_>>>")]
    pub properties: Option<Properties<'a>>,
    /// Will Delay Interval in seconds, where it is above 0 (5.0, on handshakes and wills).
    pub delay: Option<u32>,
}

impl<'a> WillMessage<'a> {
    fn new(will: &packet::Will<'a>, secrets: bool) -> Self {
        Self {
            topic: will.topic,
            qos: will.qos as u8,
            retain: will.retain,
            payload: Payload::whole(will.payload),
            properties: Properties::new(will.properties, secrets),
            delay: None,
        }
    }
}

impl<'a> From<&'a event::WillMessage> for WillMessage<'a> {
    fn from(will: &'a event::WillMessage) -> Self {
        Self {
            topic: &will.topic,
            qos: will.qos as u8,
            retain: will.retain,
            payload: Payload::from(&will.payload),
            properties: None,
            delay: (will.delay > 0).then_some(will.delay),
        }
    }
}

/// The answer of a CONNACK (MQTT 5.0 §3.2).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct ConnAck<'a> {
    /// The server has a session of this client.
    pub session_present: bool,
    /// Connect Return Code before 5.0.
    pub return_code: Option<u8>,
    /// Connect Reason Code in 5.0.
    pub reason_code: Option<u8>,
    /// The code in the words of the specification.
    pub reason_name: &'static str,
    /// The client identifier that the server assigned. On handshakes (5.0).
    pub assigned_client_id: Option<&'a str>,
    /// Server Keep Alive in seconds. On handshakes (5.0).
    pub server_keep_alive: Option<u16>,
    /// Session Expiry Interval in seconds. On handshakes (5.0).
    pub session_expiry: Option<u32>,
    /// Receive Maximum, in messages. On handshakes (5.0).
    pub receive_maximum: Option<u16>,
    /// The highest topic alias that the server takes. On handshakes (5.0).
    pub topic_alias_maximum: Option<u16>,
    /// The largest packet that the server takes, in bytes. On handshakes (5.0).
    pub maximum_packet_size: Option<u32>,
    /// The highest QoS that the server supports. On handshakes (5.0).
    pub maximum_qos: Option<u8>,
}

impl<'a> ConnAck<'a> {
    /// The two members that every CONNACK has.
    pub fn new(code: u8, session_present: bool, version: Option<ProtocolVersion>) -> Self {
        let named = version.unwrap_or(ProtocolVersion::V3_1_1);
        let v5 = named == ProtocolVersion::V5_0;
        Self {
            session_present,
            return_code: (!v5).then_some(code),
            reason_code: v5.then_some(code),
            reason_name: reason::name(PacketType::ConnAck, named, code),
            ..Self::default()
        }
    }

    /// The CONNACK of a handshake.
    pub fn of_handshake(answer: &'a ConnAckSummary, version: Option<ProtocolVersion>) -> Self {
        Self {
            assigned_client_id: answer.assigned_client_id.as_deref(),
            server_keep_alive: answer.server_keep_alive,
            session_expiry: answer.session_expiry,
            receive_maximum: answer.receive_maximum,
            topic_alias_maximum: answer.topic_alias_maximum,
            maximum_packet_size: answer.maximum_packet_size,
            maximum_qos: answer.maximum_qos,
            ..Self::new(answer.code, answer.session_present, version)
        }
    }
}

/// One subscription of a SUBSCRIBE (MQTT 5.0 §3.8.3).
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Subscription<'a> {
    /// The topic filter.
    pub filter: &'a str,
    /// The highest QoS that is asked for.
    pub qos: u8,
    /// Messages that the subscriber publishes itself are not wanted (5.0).
    pub no_local: Option<bool>,
    /// Messages keep the RETAIN flag with which they were published (5.0).
    pub retain_as_published: Option<bool>,
    /// When stored messages are sent (5.0): 0 at every SUBSCRIBE, 1 at a new subscription,
    /// 2 never.
    pub retain_handling: Option<u8>,
    /// The SUBACK's code for it. On handshakes, once answered.
    pub reason_code: Option<u8>,
    /// That code in the words of the specification.
    pub reason_name: Option<&'static str>,
}

impl<'a> Subscription<'a> {
    /// A filter and its Subscription Options byte.
    pub fn new(filter: &'a str, options: u8, version: Option<ProtocolVersion>) -> Self {
        let v5 = version == Some(ProtocolVersion::V5_0);
        Self {
            filter,
            qos: options & 0x03,
            no_local: v5.then_some(options & 0x04 != 0),
            retain_as_published: v5.then_some(options & 0x08 != 0),
            retain_handling: v5.then_some(options >> 4 & 0x03),
            ..Self::default()
        }
    }

    /// A subscription of a handshake, with its answer.
    pub fn of_handshake(asked: &'a FilterRequest, version: Option<ProtocolVersion>) -> Self {
        let named = version.unwrap_or(ProtocolVersion::V3_1_1);
        let name = |code| reason::name(PacketType::SubAck, named, code);
        Self {
            reason_code: asked.code,
            reason_name: asked.code.map(name),
            ..Self::new(&asked.filter, asked.options, version)
        }
    }
}

/// The subscriptions of a SUBSCRIBE packet in wire order, walked while they are written.
#[derive(Clone, Copy, Debug)]
pub struct Subscriptions<'a> {
    subscriptions: packet::Subscriptions<'a>,
    version: Option<ProtocolVersion>,
}

impl<'a> Subscriptions<'a> {
    /// The subscriptions as `version` has them.
    pub const fn new(
        subscriptions: packet::Subscriptions<'a>,
        version: Option<ProtocolVersion>,
    ) -> Self {
        Self {
            subscriptions,
            version,
        }
    }
}

impl Serialize for Subscriptions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let all = self.subscriptions.iter();
        serializer
            .collect_seq(all.map(|one| Subscription::new(one.filter, one.options, self.version)))
    }
}
