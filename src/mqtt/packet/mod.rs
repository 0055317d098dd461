//! The fifteen control packets, one file each, and the enum over them.
//!
//! A packet borrows from its bytes: text and payloads are slices, lists (properties,
//! subscriptions, filters) are bytes found valid that are walked again on demand. So no packet
//! costs an allocation. The files know the reader and their own layout only; `suback` also reads
//! the codes of `unsuback`.

mod acknowledgement;
mod auth;
mod connack;
mod connect;
mod disconnect;
mod publish;
mod suback;
mod subscribe;
mod unsuback;
mod unsubscribe;

pub use acknowledgement::Acknowledgement;
pub use auth::Auth;
pub use connack::ConnAck;
pub use connect::{Connect, Will};
pub use disconnect::Disconnect;
pub use publish::Publish;
pub use suback::SubAck;
pub use subscribe::{Subscribe, Subscription, Subscriptions, SubscriptionsIter};
pub use unsuback::UnsubAck;
pub use unsubscribe::{TopicFilters, TopicFiltersIter, Unsubscribe};

use super::framer::{self, FixedHeader, Header};
use super::reader::{Reader, Step};
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
    SubAck(SubAck<'a>),
    /// End of subscriptions (§3.10).
    Unsubscribe(Unsubscribe<'a>),
    /// Answer to UNSUBSCRIBE (§3.11).
    UnsubAck(UnsubAck<'a>),
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
        let total = header.total_len();
        let (packet, surplus) = bytes.split_at_checked(total).unwrap_or((bytes, &[]));
        let mut reader = Reader::new(packet, fields);
        let reader = &mut reader;
        read_header(reader, header, version);
        let packet_type = header.packet_type;
        // Each arm makes the packet where the caller wants it. Made in one place for all and
        // moved from there, its fields were written in pieces and read again at once in words
        // of another size: 7 % of the table.
        macro_rules! whole {
            ($variant:ident, $read:expr) => {
                match $read.and_then(|read| end(reader, total, surplus).map(|()| read)) {
                    Ok(read) => Ok(Self::$variant(read)),
                    Err(malformed) => Err(reader.noted().unwrap_or(malformed)),
                }
            };
            ($variant:ident) => {
                end(reader, total, surplus).map(|()| Self::$variant)
            };
        }
        match packet_type {
            PacketType::Reserved => at_first(reader, Rule::PacketTypeIsNotZero),
            PacketType::Connect => whole!(Connect, Connect::read(reader)),
            PacketType::ConnAck => whole!(ConnAck, ConnAck::read(reader, header, version)),
            PacketType::Publish => {
                whole!(Publish, Publish::read(reader, header.flags, version))
            }
            PacketType::PubAck => {
                whole!(PubAck, Acknowledgement::read(reader, packet_type, version))
            }
            PacketType::PubRec => {
                whole!(PubRec, Acknowledgement::read(reader, packet_type, version))
            }
            PacketType::PubRel => {
                whole!(PubRel, Acknowledgement::read(reader, packet_type, version))
            }
            PacketType::PubComp => {
                whole!(PubComp, Acknowledgement::read(reader, packet_type, version))
            }
            PacketType::Subscribe => whole!(Subscribe, Subscribe::read(reader, version)),
            PacketType::SubAck => whole!(SubAck, SubAck::read(reader, version)),
            PacketType::Unsubscribe => whole!(Unsubscribe, Unsubscribe::read(reader, version)),
            PacketType::UnsubAck => whole!(UnsubAck, UnsubAck::read(reader, version)),
            PacketType::PingReq => whole!(PingReq),
            PacketType::PingResp => whole!(PingResp),
            PacketType::Disconnect => whole!(Disconnect, Disconnect::read(reader, version)),
            PacketType::Auth if version != ProtocolVersion::V5_0 => {
                at_first(reader, Rule::AuthComesWithFive)
            }
            PacketType::Auth => whole!(Auth, Auth::read(reader)),
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
            Self::SubAck(ack) => ack.properties,
            Self::Unsubscribe(unsubscribe) => unsubscribe.properties,
            Self::UnsubAck(ack) => ack.properties,
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
        let mut reader = Reader::new(bytes, fields);
        report_first_byte(&mut reader, *first, ProtocolVersion::V5_0);
    }
    Malformed {
        rule: Rule::FieldsFitThePacket,
        offset,
    }
}

/// Reports the fixed header and steps over it.
#[inline]
fn read_header<'a, F: FieldVisitor<'a>>(
    reader: &mut Reader<'a, '_, F>,
    header: &FixedHeader,
    version: ProtocolVersion,
) {
    if F::ACTIVE {
        let first = (header.packet_type as u8) << 4 | header.flags;
        report_first_byte(reader, first, version);
        let remaining = Value::Number(header.remaining_length.into());
        reader.report(&f::LENGTH, remaining, 1, header.header_len - 1);
    }
    reader.skip(header.header_len);
    if !flags_hold(header.packet_type, header.flags, version) {
        reader.note(Rule::ReservedHeaderFlagsHold, 0);
    }
}

/// Ends the reading of a packet that announces `total` bytes and has `surplus` behind these.
#[inline(always)]
fn end<'a, F: FieldVisitor<'a>>(
    reader: &mut Reader<'a, '_, F>,
    total: usize,
    surplus: &[u8],
) -> Step<()> {
    if reader.length() < total {
        let length = reader.length();
        reader.note(Rule::FieldsFitThePacket, length);
    } else if !surplus.is_empty() {
        reader.note(Rule::NothingFollowsTheFields, total);
    }
    reader.finish()
}

/// Returns the error of a packet whose first byte rules out that it can be read.
#[cold]
fn at_first<'a, F: FieldVisitor<'a>>(
    reader: &Reader<'a, '_, F>,
    rule: Rule,
) -> Result<ControlPacket<'a>, Malformed> {
    Err(reader.noted().unwrap_or(Malformed { rule, offset: 0 }))
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

/// Reports the first byte bit by bit.
fn report_first_byte<'a, F: FieldVisitor<'a>>(
    reader: &mut Reader<'a, '_, F>,
    first: u8,
    version: ProtocolVersion,
) {
    match (PacketType::of(first), version) {
        (PacketType::Publish, _) => {
            reader.report_bits(&f::HEADER_FLAGS, first, &f::PUBLISH_HEADER, 0);
        }
        (
            PacketType::Subscribe | PacketType::Unsubscribe | PacketType::PubRel,
            ProtocolVersion::V3_1,
        ) => reader.report_bits(&f::HEADER_FLAGS, first, &f::THREE_ONE_HEADER, 0),
        _ => reader.report_bits(&f::HEADER_FLAGS, first, &f::OTHER_HEADER, 0),
    }
}
