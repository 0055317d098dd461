//! Control packets as bytes: the other direction of `packet`.
//!
//! A value that the version has no place for is left out (properties and reason codes before
//! 5.0, Session Present in 3.1), so one packet can be written for Clients of each version.
//! Rules about values are the caller's to keep: broken packets are written as asked for, which
//! `record` needs to show what broken clients do.

use super::framer::MAX_REMAINING_LENGTH;
use super::packet::{Connect, ControlPacket, Subscriptions, TopicFilters};
use super::property::{Properties, Property, PropertyId, PropertyValue};
use super::words::{PacketIdentifier, ProtocolVersion};

/// The reason why a packet has no form in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Unwritable {
    /// A string or binary data of more than 65,535 bytes.
    #[error("a field of {bytes} octets: 65,535 is the most")]
    FieldTooLong {
        /// Its length.
        bytes: usize,
    },
    /// More than 268,435,455 bytes after the fixed header.
    #[error("a packet of {bytes} octets: 268,435,455 is the most")]
    PacketTooLarge {
        /// Remaining Length as it would be.
        bytes: usize,
    },
    /// A variable byte integer above 268,435,455.
    #[error("{number} as a variable byte integer: 268,435,455 is the most")]
    NumberTooLarge {
        /// The number.
        number: u32,
    },
    /// A property's value is not of the type that its identifier fixes.
    #[error("the value is not of the type of {}", id.wireshark())]
    PropertyOfOtherType {
        /// The identifier.
        id: PropertyId,
    },
    /// AUTH does not exist before 5.0.
    #[error("AUTH came with MQTT 5.0")]
    AuthBeforeFive,
}

/// The result of appending something to a buffer.
type Written = Result<(), Unwritable>;

impl ControlPacket<'_> {
    /// Appends the packet to `out` in the form of `version`.
    ///
    /// # Errors
    /// A value that has no form in bytes; `out` is as before.
    pub fn write(&self, version: ProtocolVersion, out: &mut Vec<u8>) -> Written {
        let start = out.len();
        let written = self.write_whole(version, out);
        if written.is_err() {
            out.truncate(start);
        }
        written
    }

    /// Appends the packet; on an error a part of it may stand in `out`.
    fn write_whole(&self, version: ProtocolVersion, out: &mut Vec<u8>) -> Written {
        out.push((self.packet_type() as u8) << 4 | self.header_flags());
        let body = out.len();
        self.write_body(version, out)?;
        let bytes = out.len() - body;
        let length = u32::try_from(bytes)
            .ok()
            .filter(|length| *length <= MAX_REMAINING_LENGTH)
            .ok_or(Unwritable::PacketTooLarge { bytes })?;
        // Written behind the body, and brought before it.
        let end = out.len();
        write_variable(length, out)?;
        let len = out.len() - end;
        if let Some(behind_the_first_byte) = out.get_mut(body..) {
            behind_the_first_byte.rotate_right(len);
        }
        Ok(())
    }

    /// Returns the low four bits of the first byte (Table 2-2).
    const fn header_flags(&self) -> u8 {
        match self {
            Self::Publish(publish) => publish.flags(),
            Self::PubRel(_) | Self::Subscribe(_) | Self::Unsubscribe(_) => 0x02,
            _ => 0x00,
        }
    }

    /// Appends everything after the fixed header.
    fn write_body(&self, version: ProtocolVersion, out: &mut Vec<u8>) -> Written {
        let five = version == ProtocolVersion::V5_0;
        match self {
            Self::Connect(connect) => return write_connect(connect, out),
            Self::ConnAck(ack) => {
                let present = ack.session_present && version != ProtocolVersion::V3_1;
                out.extend([present.into(), ack.code]);
                write_properties(ack.properties, version, out)?;
            }
            Self::Publish(publish) => {
                out.reserve(publish.topic.len() + publish.payload.len() + 16);
                write_text(publish.topic, out)?;
                if let Some(packet_id) = publish.delivery.packet_id() {
                    write_packet_id(packet_id, out);
                }
                write_properties(publish.properties, version, out)?;
                out.extend_from_slice(publish.payload);
            }
            Self::PubAck(ack) | Self::PubRec(ack) | Self::PubRel(ack) | Self::PubComp(ack) => {
                write_packet_id(ack.packet_id, out);
                write_reason(ack.reason_code, ack.properties, version, out)?;
            }
            Self::Subscribe(subscribe) => {
                write_packet_id(subscribe.packet_id, out);
                write_properties(subscribe.properties, version, out)?;
                for subscription in subscribe.subscriptions.iter() {
                    write_text(subscription.filter, out)?;
                    out.push(subscription.options & if five { 0xff } else { 0x03 });
                }
            }
            Self::SubAck(ack) | Self::UnsubAck(ack) => {
                write_packet_id(ack.packet_id, out);
                write_properties(ack.properties, version, out)?;
                if five || matches!(self, Self::SubAck(_)) {
                    out.extend_from_slice(ack.codes);
                }
            }
            Self::Unsubscribe(unsubscribe) => {
                write_packet_id(unsubscribe.packet_id, out);
                write_properties(unsubscribe.properties, version, out)?;
                out.extend_from_slice(unsubscribe.filters.bytes);
            }
            Self::PingReq | Self::PingResp => {}
            Self::Disconnect(disconnect) => {
                write_reason(disconnect.reason_code, disconnect.properties, version, out)?;
            }
            Self::Auth(_) if !five => return Err(Unwritable::AuthBeforeFive),
            Self::Auth(auth) if auth.reason_code == 0 && auth.properties.is_empty() => {}
            // Unlike the acknowledgements it has its Property Length always (§3.15.2.2.1).
            Self::Auth(auth) => {
                out.push(auth.reason_code);
                write_properties(auth.properties, version, out)?;
            }
        }
        Ok(())
    }
}

/// Appends a CONNECT's body. Its own protocol level decides the version, not the connection's.
fn write_connect(connect: &Connect<'_>, out: &mut Vec<u8>) -> Written {
    let version = connect.version().unwrap_or(ProtocolVersion::V3_1_1);
    write_text(connect.protocol_name, out)?;
    out.push(connect.protocol_level | u8::from(connect.bridge) << 7);
    out.push(connect.written_flags());
    out.extend(connect.keep_alive.to_be_bytes());
    write_properties(connect.properties, version, out)?;
    write_text(connect.client_id, out)?;
    if let Some(will) = &connect.will {
        write_properties(will.properties, version, out)?;
        write_text(will.topic, out)?;
        write_binary(will.payload, out)?;
    }
    if let Some(user_name) = connect.user_name {
        write_text(user_name, out)?;
    }
    if let Some(password) = connect.password {
        write_binary(password, out)?;
    }
    Ok(())
}

fn write_packet_id(packet_id: PacketIdentifier, out: &mut Vec<u8>) {
    out.extend(packet_id.number().to_be_bytes());
}

/// Appends reason code and properties, each left out where it has its default (§3.4.2.1).
fn write_reason(
    code: u8,
    properties: Properties<'_>,
    version: ProtocolVersion,
    out: &mut Vec<u8>,
) -> Written {
    if version != ProtocolVersion::V5_0 || (code == 0 && properties.is_empty()) {
        return Ok(());
    }
    out.push(code);
    if properties.is_empty() {
        return Ok(());
    }
    write_properties(properties, version, out)
}

/// Appends Property Length and properties; nothing before 5.0.
fn write_properties(
    properties: Properties<'_>,
    version: ProtocolVersion,
    out: &mut Vec<u8>,
) -> Written {
    if version != ProtocolVersion::V5_0 {
        return Ok(());
    }
    let bytes = properties.bytes.len();
    let length = u32::try_from(bytes).map_err(|_| Unwritable::PacketTooLarge { bytes })?;
    write_variable(length, out)?;
    out.extend_from_slice(properties.bytes);
    Ok(())
}

fn write_text(text: &str, out: &mut Vec<u8>) -> Written {
    write_binary(text.as_bytes(), out)
}

/// Appends bytes behind their two-byte length.
fn write_binary(bytes: &[u8], out: &mut Vec<u8>) -> Written {
    let length =
        u16::try_from(bytes.len()).map_err(|_| Unwritable::FieldTooLong { bytes: bytes.len() })?;
    out.extend(length.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}

/// Appends a variable byte integer (§1.5.5).
fn write_variable(number: u32, out: &mut Vec<u8>) -> Written {
    if number > MAX_REMAINING_LENGTH {
        return Err(Unwritable::NumberTooLarge { number });
    }
    let mut rest = number;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    Ok(())
}

/// Properties to be written, owned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PropertiesBuf {
    bytes: Vec<u8>,
}

impl PropertiesBuf {
    /// Returns a buffer without properties.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends a property. Order, repetition and place are the caller's to keep.
    ///
    /// # Errors
    /// The value has no form in bytes or is not of the identifier's type; nothing is
    /// appended.
    pub fn push(&mut self, id: PropertyId, value: PropertyValue<'_>) -> Written {
        let start = self.bytes.len();
        let written = self.push_whole(id, value);
        if written.is_err() {
            self.bytes.truncate(start);
        }
        written
    }

    /// Appends a property; on an error a part of it may stand in the buffer.
    fn push_whole(&mut self, id: PropertyId, value: PropertyValue<'_>) -> Written {
        if id.kind() != Some(value.kind()) {
            return Err(Unwritable::PropertyOfOtherType { id });
        }
        let out = &mut self.bytes;
        out.push(id.0);
        match value {
            PropertyValue::Byte(number) => out.push(number),
            PropertyValue::TwoByte(number) => out.extend(number.to_be_bytes()),
            PropertyValue::FourByte(number) => out.extend(number.to_be_bytes()),
            PropertyValue::Variable(number) => write_variable(number, out)?,
            PropertyValue::Binary(bytes) => write_binary(bytes, out)?,
            PropertyValue::Text(text) => write_text(text, out)?,
            PropertyValue::Pair(name, value) => {
                write_text(name, out)?;
                write_text(value, out)?;
            }
        }
        Ok(())
    }

    /// Appends properties of a packet that was read, such as those that a Server passes on.
    ///
    /// # Errors
    /// As [`PropertiesBuf::push`].
    pub fn extend<'p>(&mut self, properties: impl IntoIterator<Item = Property<'p>>) -> Written {
        for Property { id, value } in properties {
            self.push(id, value)?;
        }
        Ok(())
    }

    /// Returns the properties for a packet to be written.
    pub fn as_properties(&self) -> Properties<'_> {
        Properties { bytes: &self.bytes }
    }
}

/// Subscriptions of a SUBSCRIBE to be written, owned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SubscriptionsBuf {
    bytes: Vec<u8>,
}

impl SubscriptionsBuf {
    /// Returns a buffer without subscriptions.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends a subscription; `options` as in [`Subscription`](super::packet::Subscription).
    ///
    /// # Errors
    /// The filter is longer than 65,535 bytes.
    pub fn push(&mut self, filter: &str, options: u8) -> Written {
        write_text(filter, &mut self.bytes)?;
        self.bytes.push(options);
        Ok(())
    }

    /// Returns the subscriptions for a packet to be written.
    pub fn as_subscriptions(&self) -> Subscriptions<'_> {
        Subscriptions { bytes: &self.bytes }
    }
}

/// Topic filters of an UNSUBSCRIBE to be written, owned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TopicFiltersBuf {
    bytes: Vec<u8>,
}

impl TopicFiltersBuf {
    /// Returns a buffer without filters.
    pub const fn new() -> Self {
        Self { bytes: Vec::new() }
    }

    /// Appends a topic filter.
    ///
    /// # Errors
    /// The filter is longer than 65,535 bytes.
    pub fn push(&mut self, filter: &str) -> Written {
        write_text(filter, &mut self.bytes)
    }

    /// Returns the filters for a packet to be written.
    pub fn as_filters(&self) -> TopicFilters<'_> {
        TopicFilters { bytes: &self.bytes }
    }
}
