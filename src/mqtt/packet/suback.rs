//! SUBACK.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketIdentifier, PacketType, ProtocolVersion};
use crate::mqtt::{fields as f, reason};

/// SUBACK (§3.9).
#[derive(Clone, Debug, PartialEq)]
pub struct SubAck<'a> {
    /// The identifier of the SUBSCRIBE.
    pub packet_id: PacketIdentifier,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// A return code (3.x) or reason code (5.0) for each subscription, in their order.
    pub codes: &'a [u8],
}

impl<'a> SubAck<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = reader.own_properties(PacketType::SubAck, version)?;
        let def = match version {
            ProtocolVersion::V5_0 => &f::SUBACK_REASON,
            _ => &f::GRANTED_QOS,
        };
        let codes = codes(reader, PacketType::SubAck, def, version)?;
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }
}

/// Reads one code for each topic filter, to the end of the packet.
pub(super) fn codes<'a, F: FieldVisitor<'a>>(
    reader: &mut Reader<'a, '_, F>,
    packet_type: PacketType,
    def: &'static crate::base::field::FieldDef,
    version: ProtocolVersion,
) -> Step<&'a [u8]> {
    let bytes = reader.ahead();
    if bytes.is_empty() {
        let offset = reader.offset();
        reader.note(Rule::AcknowledgementHasACode, offset);
    }
    if F::ACTIVE {
        while !reader.is_at_end() {
            reader.named(def, |code| reason::name(packet_type, version, code))?;
        }
    } else {
        reader.skip(bytes.len());
    }
    Ok(bytes)
}
