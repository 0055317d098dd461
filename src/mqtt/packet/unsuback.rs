//! UNSUBACK.

use super::own_properties;
use super::suback::codes;
use crate::base::field::FieldVisitor;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::{PacketIdentifier, PacketType, Properties, ProtocolVersion, fields as f};

/// UNSUBACK (§3.11); `codes` is empty before 5.0.
#[derive(Clone, Debug, PartialEq)]
pub struct UnsubAck<'a> {
    pub packet_id: PacketIdentifier,
    pub properties: Properties<'a>,
    pub codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let packet_id = reader.packet_id()?;
        let properties = own_properties(reader, PacketType::UnsubAck, version)?;
        let codes = match version {
            ProtocolVersion::V5_0 => {
                codes(reader, PacketType::UnsubAck, &f::UNSUBACK_REASON, version)?
            }
            _ => &[],
        };
        Ok(Self {
            packet_id,
            properties,
            codes,
        })
    }
}
