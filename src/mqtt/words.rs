//! The specification's small terms: versions, packet types, QoS, packet identifiers.

use std::num::NonZeroU16;

/// The version of the specification that a connection follows.
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
    /// Returns the name in JSON: `3.1`, `3.1.1`, `5.0`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V3_1 => "3.1",
            Self::V3_1_1 => "3.1.1",
            Self::V5_0 => "5.0",
        }
    }
}

/// The end of the connection that sent a control packet.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Sender {
    /// The end that sends CONNECT, SUBSCRIBE, PINGREQ.
    Client,
    /// The end that accepts connections: the broker.
    Server,
}

impl Sender {
    /// Returns the other end.
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

macro_rules! packet_types {
    ($(#[doc = $doc:literal] $variant:ident = $number:literal $name:literal $wireshark:literal;)*) => {
        /// A control packet type (MQTT 5.0 §2.1.2). The number is that on the wire.
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        #[repr(u8)]
        pub enum PacketType {
            $(#[doc = $doc] $variant = $number,)*
        }

        impl PacketType {
            /// All sixteen values of the field, by number.
            pub const ALL: [Self; 16] = [$(Self::$variant),*];

            /// Returns the name in the specification: `PUBLISH`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// Returns Wireshark's words, with which its Info column starts: `Publish Message`.
            pub const fn wireshark(self) -> &'static str {
                match self {
                    $(Self::$variant => $wireshark,)*
                }
            }
        }
    };
}

// Variant, number, name in the specification, Wireshark's words.
packet_types! {
    /// Never sent; malformed traffic shows it.
    Reserved = 0 "RESERVED0" "Reserved";
    /// Client to Server: connection request (§3.1).
    Connect = 1 "CONNECT" "Connect Command";
    /// Server to Client: answer to CONNECT (§3.2).
    ConnAck = 2 "CONNACK" "Connect Ack";
    /// Either end: an application message (§3.3).
    Publish = 3 "PUBLISH" "Publish Message";
    /// Either end: answer to a PUBLISH of QoS 1 (§3.4).
    PubAck = 4 "PUBACK" "Publish Ack";
    /// Either end: answer to a PUBLISH of QoS 2 (§3.5).
    PubRec = 5 "PUBREC" "Publish Received";
    /// Either end: answer to PUBREC (§3.6).
    PubRel = 6 "PUBREL" "Publish Release";
    /// Either end: answer to PUBREL (§3.7).
    PubComp = 7 "PUBCOMP" "Publish Complete";
    /// Client to Server: subscription request (§3.8).
    Subscribe = 8 "SUBSCRIBE" "Subscribe Request";
    /// Server to Client: answer to SUBSCRIBE (§3.9).
    SubAck = 9 "SUBACK" "Subscribe Ack";
    /// Client to Server: end of subscriptions (§3.10).
    Unsubscribe = 10 "UNSUBSCRIBE" "Unsubscribe Request";
    /// Server to Client: answer to UNSUBSCRIBE (§3.11).
    UnsubAck = 11 "UNSUBACK" "Unsubscribe Ack";
    /// Client to Server: sign of life (§3.12).
    PingReq = 12 "PINGREQ" "Ping Request";
    /// Server to Client: answer to PINGREQ (§3.13).
    PingResp = 13 "PINGRESP" "Ping Response";
    /// End of the connection, by the Client; in 5.0 by either end (§3.14).
    Disconnect = 14 "DISCONNECT" "Disconnect Req";
    /// Either end, 5.0 only: a step of extended authentication (§3.15).
    Auth = 15 "AUTH" "Authentication Exchange";
}

impl PacketType {
    /// Returns the type in the first byte of a control packet.
    pub const fn of(first_byte: u8) -> Self {
        Self::ALL[(first_byte >> 4) as usize]
    }
}

/// Quality of Service (MQTT 5.0 §4.3).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum QoS {
    /// Sent once and not acknowledged (§4.3.1).
    #[default]
    AtMostOnce = 0,
    /// Sent until PUBACK comes; the receiver may get it twice (§4.3.2).
    AtLeastOnce = 1,
    /// PUBLISH, PUBREC, PUBREL, PUBCOMP: the receiver gets it once (§4.3.3).
    ExactlyOnce = 2,
}

impl QoS {
    /// Returns the QoS of two bits; `None` for 3, which is not allowed ([MQTT-3.3.1-4]), and for
    /// any larger number.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }
}

/// A packet identifier: never 0 (MQTT 3.1.1 [MQTT-2.3.1-1], MQTT 5.0 [MQTT-2.2.1-3]).
///
/// Both ends choose theirs independently, so a table is keyed by [`Sender`] and identifier.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PacketIdentifier(pub NonZeroU16);

impl PacketIdentifier {
    /// Returns the identifier of that number; `None` for 0.
    pub const fn new(number: u16) -> Option<Self> {
        match NonZeroU16::new(number) {
            Some(number) => Some(Self(number)),
            None => None,
        }
    }

    /// Returns the number on the wire.
    pub const fn number(self) -> u16 {
        self.0.get()
    }
}

/// QoS and packet identifier of a PUBLISH as one value: the identifier is there exactly when
/// QoS is above 0 (MQTT 3.1.1 [MQTT-2.3.1-5], MQTT 5.0 [MQTT-2.2.1-2]).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// QoS 0.
    AtMostOnce,
    /// QoS 1.
    AtLeastOnce(PacketIdentifier),
    /// QoS 2.
    ExactlyOnce(PacketIdentifier),
}

impl Delivery {
    /// Returns the QoS alone.
    pub const fn qos(self) -> QoS {
        match self {
            Self::AtMostOnce => QoS::AtMostOnce,
            Self::AtLeastOnce(_) => QoS::AtLeastOnce,
            Self::ExactlyOnce(_) => QoS::ExactlyOnce,
        }
    }

    /// Returns the identifier; `None` at QoS 0.
    pub const fn packet_id(self) -> Option<PacketIdentifier> {
        match self {
            Self::AtMostOnce => None,
            Self::AtLeastOnce(id) | Self::ExactlyOnce(id) => Some(id),
        }
    }
}
