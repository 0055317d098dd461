//! UNSUBACK.

use super::suback::codes;
use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::words::{PacketIdentifier, ProtocolVersion};

/// UNSUBACK (§3.11).
#[derive(Clone, Debug, PartialEq)]
pub struct UnsubAck<'a> {
    /// The identifier of the UNSUBSCRIBE.
    pub packet_id: PacketIdentifier,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// A reason code for each topic filter, in their order; empty before 5.0.
    pub codes: &'a [u8],
}

impl<'a> UnsubAck<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        Ok(Self {
            packet_id: reader.packet_id()?,
            properties: reader.own_properties()?,
            codes: match reader.version {
                ProtocolVersion::V5_0 => codes(reader)?,
                _ => &[],
            },
        })
    }
}
