//! The specification's own small words: versions, packet types, QoS, packet identifiers.

use std::num::NonZeroU16;

/// Which specification a connection follows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum ProtocolVersion {
    /// MQTT 3.1: protocol name `MQIsdp`, level 3.
    V3_1,
    /// MQTT 3.1.1 (OASIS): protocol name `MQTT`, level 4.
    V3_1_1,
    /// MQTT 5.0 (OASIS): protocol name `MQTT`, level 5.
    V5_0,
}

impl ProtocolVersion {
    /// As the JSON has it: `3.1`, `3.1.1`, `5.0`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_1 => "3.1",
            Self::V3_1_1 => "3.1.1",
            Self::V5_0 => "5.0",
        }
    }
}

/// Which end of the connection sent a control packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sender {
    /// The end that sends CONNECT, SUBSCRIBE, PINGREQ.
    Client,
    /// The end that accepts connections: the broker.
    Server,
}

impl Sender {
    /// The other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// MQTT Control Packet type (MQTT 5.0 §2.1.2), with 0 as what malformed traffic shows.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum PacketType {
    Reserved = 0,
    Connect = 1,
    ConnAck = 2,
    Publish = 3,
    PubAck = 4,
    PubRec = 5,
    PubRel = 6,
    PubComp = 7,
    Subscribe = 8,
    SubAck = 9,
    Unsubscribe = 10,
    UnsubAck = 11,
    PingReq = 12,
    PingResp = 13,
    Disconnect = 14,
    Auth = 15,
}

impl PacketType {
    /// All sixteen values of the field, by number.
    pub const ALL: [Self; 16] = [
        Self::Reserved,
        Self::Connect,
        Self::ConnAck,
        Self::Publish,
        Self::PubAck,
        Self::PubRec,
        Self::PubRel,
        Self::PubComp,
        Self::Subscribe,
        Self::SubAck,
        Self::Unsubscribe,
        Self::UnsubAck,
        Self::PingReq,
        Self::PingResp,
        Self::Disconnect,
        Self::Auth,
    ];

    /// The type in the first byte of a control packet.
    pub const fn of(first_byte: u8) -> Self {
        Self::ALL[(first_byte >> 4) as usize]
    }

    /// As the specification writes it: `PUBLISH`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reserved => "RESERVED0",
            Self::Connect => "CONNECT",
            Self::ConnAck => "CONNACK",
            Self::Publish => "PUBLISH",
            Self::PubAck => "PUBACK",
            Self::PubRec => "PUBREC",
            Self::PubRel => "PUBREL",
            Self::PubComp => "PUBCOMP",
            Self::Subscribe => "SUBSCRIBE",
            Self::SubAck => "SUBACK",
            Self::Unsubscribe => "UNSUBSCRIBE",
            Self::UnsubAck => "UNSUBACK",
            Self::PingReq => "PINGREQ",
            Self::PingResp => "PINGRESP",
            Self::Disconnect => "DISCONNECT",
            Self::Auth => "AUTH",
        }
    }

    /// Wireshark's words for the type, as its Info column begins: `Publish Message`.
    pub const fn wireshark(self) -> &'static str {
        match self {
            Self::Reserved => "Reserved",
            Self::Connect => "Connect Command",
            Self::ConnAck => "Connect Ack",
            Self::Publish => "Publish Message",
            Self::PubAck => "Publish Ack",
            Self::PubRec => "Publish Received",
            Self::PubRel => "Publish Release",
            Self::PubComp => "Publish Complete",
            Self::Subscribe => "Subscribe Request",
            Self::SubAck => "Subscribe Ack",
            Self::Unsubscribe => "Unsubscribe Request",
            Self::UnsubAck => "Unsubscribe Ack",
            Self::PingReq => "Ping Request",
            Self::PingResp => "Ping Response",
            Self::Disconnect => "Disconnect Req",
            Self::Auth => "Authentication Exchange",
        }
    }
}

/// Quality of Service (MQTT 5.0 §4.3).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum QoS {
    AtMostOnce = 0,
    AtLeastOnce = 1,
    ExactlyOnce = 2,
}

impl QoS {
    /// The QoS that two bits say; 3 is none ([MQTT-3.3.1-4]).
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// Packet Identifier: never 0 (MQTT 3.1.1 [MQTT-2.3.1-1], MQTT 5.0 [MQTT-2.2.1-3]).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketIdentifier(pub NonZeroU16);

impl PacketIdentifier {
    /// `None` for 0.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

/// QoS and Packet Identifier of a PUBLISH as one value: the identifier is there exactly when
/// QoS is above 0 (MQTT 3.1.1 [MQTT-2.3.1-5], MQTT 5.0 [MQTT-2.2.1-2]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    AtMostOnce,
    AtLeastOnce(PacketIdentifier),
    ExactlyOnce(PacketIdentifier),
}

impl Delivery {
    /// The QoS alone.
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce(_) => QoS::AtLeastOnce,
            Self::ExactlyOnce(_) => QoS::ExactlyOnce,
        }
    }

    /// The identifier, above QoS 0.
    pub const fn packet_id(self) -> Option<PacketIdentifier> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce(id) | Self::ExactlyOnce(id) => Some(id),
        }
    }
}
