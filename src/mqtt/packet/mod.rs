//! The fifteen control packets, one file each, and the enum over them.

use super::{Delivery, PacketIdentifier, Properties, QoS};

/// A control packet that was read whole, borrowing from its octets.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlPacket<'a> {
    Connect(Connect<'a>),
    ConnAck(ConnAck<'a>),
    Publish(Publish<'a>),
    PubAck(Acknowledgement<'a>),
    PubRec(Acknowledgement<'a>),
    PubRel(Acknowledgement<'a>),
    PubComp(Acknowledgement<'a>),
    Subscribe(Subscribe<'a>),
    SubAck(SubAck<'a>),
    Unsubscribe(Unsubscribe<'a>),
    UnsubAck(UnsubAck<'a>),
    PingReq,
    PingResp,
    Disconnect(Disconnect<'a>),
    Auth(Auth<'a>),
}

// Shapes fixed for the layers above; reading and writing come with the codec.

/// CONNECT (MQTT 5.0 §3.1). `protocol_level` is without the bridge bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Connect<'a> {
    pub protocol_name: &'a str,
    pub protocol_level: u8,
    /// Bit 7 of the level octet: set by mosquitto's bridges.
    pub bridge: bool,
    /// The Connect Flags octet as it stood on the wire.
    pub flags: u8,
    /// In seconds; 0 turns the mechanism off.
    pub keep_alive: u16,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    pub client_id: &'a str,
    pub will: Option<Will<'a>>,
    pub user_name: Option<&'a str>,
    pub password: Option<&'a [u8]>,
}

/// The Will Message that a CONNECT registers (MQTT 5.0 §3.1.2.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Will<'a> {
    pub qos: QoS,
    pub retain: bool,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    pub topic: &'a str,
    pub payload: &'a [u8],
}

/// CONNACK (§3.2). `code` is the Connect Return code (3.x) or the Reason Code (5.0).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnAck<'a> {
    pub session_present: bool,
    pub code: u8,
    pub properties: Properties<'a>,
}

/// PUBLISH (§3.3). An empty topic is legal in 5.0 with a Topic Alias.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish<'a> {
    pub dup: bool,
    pub retain: bool,
    pub delivery: Delivery,
    pub topic: &'a str,
    pub properties: Properties<'a>,
    pub payload: &'a [u8],
}

/// PUBACK, PUBREC, PUBREL, PUBCOMP (§3.4–3.7).
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement<'a> {
    pub packet_id: PacketIdentifier,
    /// 0x00 (Success) before 5.0 and where a 5.0 packet leaves it out.
    pub reason_code: u8,
    pub properties: Properties<'a>,
}

/// SUBSCRIBE (§3.8).
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribe<'a> {
    pub packet_id: PacketIdentifier,
    pub properties: Properties<'a>,
    pub subscriptions: Subscriptions<'a>,
}

/// SUBACK (§3.9): a return or reason code for each subscription, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct SubAck<'a> {
    pub packet_id: PacketIdentifier,
    pub properties: Properties<'a>,
    pub codes: &'a [u8],
}

/// UNSUBSCRIBE (§3.10).
#[derive(Clone, Debug, PartialEq)]
pub struct Unsubscribe<'a> {
    pub packet_id: PacketIdentifier,
    pub properties: Properties<'a>,
    pub filters: TopicFilters<'a>,
}

/// UNSUBACK (§3.11); `codes` is empty before 5.0.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsubAck<'a> {
    pub packet_id: PacketIdentifier,
    pub properties: Properties<'a>,
    pub codes: &'a [u8],
}

/// DISCONNECT (§3.14). `reason_code` is 0x00 before 5.0 and where 5.0 leaves it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Disconnect<'a> {
    pub reason_code: u8,
    pub properties: Properties<'a>,
}

/// AUTH (§3.15), 5.0 only.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth<'a> {
    pub reason_code: u8,
    pub properties: Properties<'a>,
}

/// The subscriptions of a SUBSCRIBE: octets already found valid, walked again on demand, so
/// that no packet costs an allocation.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct Subscriptions<'a> {
    pub(super) octets: &'a [u8],
}

/// One subscription: a filter and its options octet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Subscription<'a> {
    pub filter: &'a str,
    /// The Subscription Options octet (5.0 §3.8.3.1); before 5.0 only the QoS bits.
    pub options: u8,
}

/// The topic filters of an UNSUBSCRIBE: octets already found valid.
#[derive(Clone, Copy, Debug, PartialEq, Default)]
pub struct TopicFilters<'a> {
    pub(super) octets: &'a [u8],
}

/// Reads the packet in `octets` for `fields` to hear.
///
/// # Errors
/// What makes the packet malformed; `fields` has heard everything before it.
pub fn describe<'a>(
    octets: &'a [u8],
    version: super::ProtocolVersion,
    fields: &mut impl crate::base::field::Fields<'a>,
) -> Result<(), super::Malformed> {
    let _ = (octets, version, fields);
    Ok(())
}
