//! The answers: PUBACK, PUBREC, PUBREL and PUBCOMP of one shape, SUBACK and UNSUBACK of another.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketIdentifier, PacketType, ProtocolVersion};

/// PUBACK, PUBREC, PUBREL, PUBCOMP (§3.4–3.7).
#[derive(Clone, Debug, PartialEq)]
pub struct Acknowledgement<'a> {
    /// The identifier of the PUBLISH.
    pub packet_id: PacketIdentifier,
    /// 0x00 (Success) before 5.0 and where a 5.0 packet leaves it out.
    pub reason_code: u8,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
}

impl<'a> Acknowledgement<'a> {
    #[inline]
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let (reason_code, properties) = reader.reason_and_properties()?;
        Ok(Self {
            packet_id,
            reason_code,
            properties,
        })
    }
}

/// SUBACK, UNSUBACK (§3.9, §3.11).
#[derive(Clone, Debug, PartialEq)]
pub struct FilterAcknowledgement<'a> {
    /// The identifier of the SUBSCRIBE or UNSUBSCRIBE.
    pub packet_id: PacketIdentifier,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// A return code (3.x) or reason code (5.0) for each topic filter, in their order; none in an
    /// UNSUBACK before 5.0.
    pub codes: &'a [u8],
}

impl<'a> FilterAcknowledgement<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let has_codes = reader.version == ProtocolVersion::V5_0
            || reader.header.packet_type == PacketType::SubAck;
        Ok(Self {
            packet_id: reader.packet_id()?,
            properties: reader.own_properties()?,
            codes: if has_codes { codes(reader)? } else { &[] },
        })
    }
}

/// Reads one code for each topic filter, to the end of the packet.
fn codes<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<&'a [u8]> {
    let bytes = reader.ahead();
    if bytes.is_empty() {
        reader.note(Rule::AcknowledgementHasACode, reader.offset());
    }
    if F::ACTIVE {
        while !reader.is_at_end() {
            reader.reason_code()?;
        }
    } else {
        reader.skip(bytes.len());
    }
    Ok(bytes)
}
