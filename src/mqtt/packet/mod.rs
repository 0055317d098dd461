//! The fifteen control packets, one file a shape, and the enum over them.
//!
//! A packet borrows from its bytes: text and payloads are slices, lists (properties,
//! subscriptions, filters) are bytes found valid that are walked again on demand. So no packet
//! costs an allocation. The files know the reader and their own layout only.

mod acknowledgement;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod subscribe;
mod unsubscribe;

pub use acknowledgement::{Acknowledgement, FilterAcknowledgement};
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use publish::Publish;
pub use subscribe::{Subscribe, Subscription, Subscriptions};
pub use unsubscribe::{TopicFilters, Unsubscribe};

use super::framer::{self, FixedHeader, Header};
use super::reader::Reader;
use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::rule::{Malformed, Rule};
use crate::mqtt::words::{PacketType, ProtocolVersion};

/// A control packet that was read whole, borrowing from its bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum ControlPacket<'a> {
    /// Connection request (§3.1).
    Connect(Connect<'a>),
    /// Answer to CONNECT (§3.2).
    ConnAck(ConnAck<'a>),
    /// Application message (§3.3).
    Publish(Publish<'a>),
    /// Answer at QoS 1 (§3.4).
    PubAck(Acknowledgement<'a>),
    /// First answer at QoS 2 (§3.5).
    PubRec(Acknowledgement<'a>),
    /// Second step at QoS 2 (§3.6).
    PubRel(Acknowledgement<'a>),
    /// Last step at QoS 2 (§3.7).
    PubComp(Acknowledgement<'a>),
    /// Subscription request (§3.8).
    Subscribe(Subscribe<'a>),
    /// Answer to SUBSCRIBE (§3.9).
    SubAck(FilterAcknowledgement<'a>),
    /// End of subscriptions (§3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// Answer to UNSUBSCRIBE (§3.11).
    UnsubAck(FilterAcknowledgement<'a>),
    /// Sign of life (§3.12): two bytes.
    PingReq,
    /// Answer to PINGREQ (§3.13): two bytes.
    PingResp,
    /// End of the connection (§3.14).
    Disconnect(Disconnect<'a>),
    /// Step of extended authentication (§3.15).
    Auth(Auth<'a>),
}

impl<'a> ControlPacket<'a> {
    /// Reads the packet that `bytes` hold from its first byte to its last and reports each field
    /// to `fields` in wire order; with `&mut ()` that costs nothing.
    ///
    /// `version` is what the connection agreed on. A CONNECT has its own and ignores it: one
    /// whose protocol level is none of 3, 4 and 5 is read as 3.1.1 (see [`Connect::version`]).
    ///
    /// # Errors
    /// The first rule that makes the packet malformed. Everything before that place has been
    /// reported, and what follows it where the place of the next field is still known.
    pub fn read(
        bytes: &'a [u8],
        version: ProtocolVersion,
        fields: &mut impl FieldVisitor<'a>,
    ) -> Result<Self, Malformed> {
        match framer::fixed_header(bytes) {
            Header::Whole(header) => Self::read_after(&header, bytes, version, fields),
            Header::Partial => Err(cut_header(bytes, bytes.len(), fields)),
            Header::Malformed(malformed) => {
                cut_header(bytes, malformed.offset, fields);
                Err(malformed)
            }
        }
    }

    /// Reads a packet whose fixed header was read already, see [`ControlPacket::read`].
    ///
    /// # Errors
    /// As there.
    pub fn read_after(
        header: &FixedHeader,
        bytes: &'a [u8],
        version: ProtocolVersion,
        fields: &mut impl FieldVisitor<'a>,
    ) -> Result<Self, Malformed> {
        // Bytes beyond those that the header announces are no part of the packet.
        let packet = bytes.get(..header.total_len()).unwrap_or(bytes);
        let mut reader = Reader::new(packet, *header, version, fields);
        let reader = &mut reader;
        read_header(reader);
        // Each arm makes the packet where the caller wants it. Made in one place for all and
        // moved from there, its fields were written in pieces and read again at once in words
        // of another size: 7 % of the table.
        macro_rules! whole {
            ($variant:ident($body:ident)) => {
                match $body::read(reader).and_then(|read| reader.finish(bytes.len()).map(|()| read))
                {
                    Ok(read) => Ok(Self::$variant(read)),
                    Err(malformed) => Err(reader.noted().unwrap_or(malformed)),
                }
            };
        }
        match header.packet_type {
            PacketType::Reserved => at_first(reader, Rule::PacketTypeIsNotZero),
            PacketType::Connect => whole!(Connect(Connect)),
            PacketType::ConnAck => whole!(ConnAck(ConnAck)),
            PacketType::Publish => whole!(Publish(Publish)),
            PacketType::PubAck => whole!(PubAck(Acknowledgement)),
            PacketType::PubRec => whole!(PubRec(Acknowledgement)),
            PacketType::PubRel => whole!(PubRel(Acknowledgement)),
            PacketType::PubComp => whole!(PubComp(Acknowledgement)),
            PacketType::Subscribe => whole!(Subscribe(Subscribe)),
            PacketType::SubAck => whole!(SubAck(FilterAcknowledgement)),
            PacketType::Unsubscribe => whole!(Unsubscribe(Unsubscribe)),
            PacketType::UnsubAck => whole!(UnsubAck(FilterAcknowledgement)),
            PacketType::PingReq => reader.finish(bytes.len()).map(|()| Self::PingReq),
            PacketType::PingResp => reader.finish(bytes.len()).map(|()| Self::PingResp),
            PacketType::Disconnect => whole!(Disconnect(Disconnect)),
            PacketType::Auth if version != ProtocolVersion::V5_0 => {
                at_first(reader, Rule::AuthComesWithFive)
            }
            PacketType::Auth => whole!(Auth(Auth)),
        }
    }

    /// Reads a PUBLISH whose payload is cut: `bytes` are its first, and the rest was not captured.
    ///
    /// # Errors
    /// As [`ControlPacket::read`]; also where it is no PUBLISH, or cut before its payload.
    #[cold]
    pub fn read_cut(
        bytes: &'a [u8],
        version: ProtocolVersion,
        fields: &mut impl FieldVisitor<'a>,
    ) -> Result<Self, Malformed> {
        let Header::Whole(header) = framer::fixed_header(bytes) else {
            return Err(Rule::FieldsFitThePacket.at(bytes.len()));
        };
        let reader = &mut Reader::new(bytes, header, version, fields);
        read_header(reader);
        if header.packet_type != PacketType::Publish {
            return Err(Rule::FieldsFitThePacket.at(bytes.len()));
        }
        let read = Publish::read(reader);
        let read = read.and_then(|read| reader.finish(header.total_len()).map(|()| read));
        match read {
            Ok(publish) => Ok(Self::Publish(publish)),
            Err(malformed) => Err(reader.noted().unwrap_or(malformed)),
        }
    }

    /// Returns the packet's type.
    pub const fn packet_type(&self) -> PacketType {
        match self {
            Self::Connect(_) => PacketType::Connect,
            Self::ConnAck(_) => PacketType::ConnAck,
            Self::Publish(_) => PacketType::Publish,
            Self::PubAck(_) => PacketType::PubAck,
            Self::PubRec(_) => PacketType::PubRec,
            Self::PubRel(_) => PacketType::PubRel,
            Self::PubComp(_) => PacketType::PubComp,
            Self::Subscribe(_) => PacketType::Subscribe,
            Self::SubAck(_) => PacketType::SubAck,
            Self::Unsubscribe(_) => PacketType::Unsubscribe,
            Self::UnsubAck(_) => PacketType::UnsubAck,
            Self::PingReq => PacketType::PingReq,
            Self::PingResp => PacketType::PingResp,
            Self::Disconnect(_) => PacketType::Disconnect,
            Self::Auth(_) => PacketType::Auth,
        }
    }

    /// Returns the packet's own properties (not those of a will); empty where it has none.
    pub const fn properties(&self) -> Properties<'a> {
        match self {
            Self::Connect(connect) => connect.properties,
            Self::ConnAck(ack) => ack.properties,
            Self::Publish(publish) => publish.properties,
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => {
                ack.properties
            }
            Self::Subscribe(subscribe) => subscribe.properties,
            Self::SubAck(ack) | Self::UnsubAck(ack) => ack.properties,
            Self::Unsubscribe(unsubscribe) => unsubscribe.properties,
            Self::PingReq | Self::PingResp => Properties { bytes: &[] },
            Self::Disconnect(disconnect) => disconnect.properties,
            Self::Auth(auth) => auth.properties,
        }
    }
}

/// Reports what there is of a fixed header that is cut.
#[cold]
fn cut_header<'a>(bytes: &'a [u8], offset: usize, fields: &mut impl FieldVisitor<'a>) -> Malformed {
    if let Some(first) = bytes.first() {
        let header = FixedHeader {
            packet_type: PacketType::of(*first),
            flags: first & 0x0f,
            header_len: 1,
            remaining_length: 0,
        };
        read_first_byte(&mut Reader::new(
            bytes,
            header,
            ProtocolVersion::V5_0,
            fields,
        ));
        if header.packet_type == PacketType::Reserved {
            return Rule::PacketTypeIsNotZero.at(0);
        }
    }
    Rule::FieldsFitThePacket.at(offset)
}

/// Reports the fixed header and steps over it.
#[inline]
fn read_header<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) {
    let header = reader.header;
    if F::ACTIVE {
        read_first_byte(reader);
        reader.skip(header.header_len - 1);
        reader.report(&f::LENGTH, Value::Number(header.remaining_length.into()), 1);
    } else {
        reader.skip(header.header_len);
    }
    if !flags_hold(header.packet_type, header.flags, reader.version) {
        reader.note(Rule::ReservedHeaderFlagsHold, 0);
    }
}

/// Returns the error of a packet whose first byte rules out that it can be read.
#[cold]
fn at_first<'a, F: FieldVisitor<'a>>(
    reader: &Reader<'a, '_, F>,
    rule: Rule,
) -> Result<ControlPacket<'a>, Malformed> {
    Err(reader.noted().unwrap_or(rule.at(0)))
}

/// Returns whether the low four bits of the first byte are as they must be (Table 2-2). MQTT 3.1
/// does not use them except in SUBSCRIBE, UNSUBSCRIBE and PUBREL, which are of QoS 1 there
/// and may be redelivered with DUP.
fn flags_hold(packet_type: PacketType, flags: u8, version: ProtocolVersion) -> bool {
    let of_qos_1 = matches!(
        packet_type,
        PacketType::PubRel | PacketType::Subscribe | PacketType::Unsubscribe
    );
    match (packet_type, version) {
        // Their flags are their own, or the type alone is wrong enough.
        (PacketType::Publish | PacketType::Reserved, _) => true,
        (PacketType::Auth, ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1) => true,
        // A CONNECT has its own version, which is not known here yet.
        (PacketType::Connect, _) => flags == 0x00,
        (_, ProtocolVersion::V3_1) => !of_qos_1 || flags & 0x06 == 0x02,
        _ => flags == if of_qos_1 { 0x02 } else { 0x00 },
    }
}

/// Reads the first byte and reports it bit by bit.
fn read_first_byte<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) {
    let bits: &[_] = match (reader.header.packet_type, reader.version) {
        (PacketType::Publish, _) => &f::PUBLISH_HEADER,
        (
            PacketType::Subscribe | PacketType::Unsubscribe | PacketType::PubRel,
            ProtocolVersion::V3_1,
        ) => &f::THREE_ONE_HEADER,
        _ => &f::OTHER_HEADER,
    };
    // It is there: the header was made from it.
    let _ = reader.flags(&f::HEADER_FLAGS, bits);
}
