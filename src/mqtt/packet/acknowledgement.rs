//! PUBACK, PUBREC, PUBREL and PUBCOMP: one shape.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::words::PacketIdentifier;

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
