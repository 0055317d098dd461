//! DISCONNECT.

use crate::base::field::FieldVisitor;
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::words::{PacketType, ProtocolVersion};

/// DISCONNECT (§3.14). `reason_code` is 0x00 before 5.0 and where 5.0 leaves it out.
#[derive(Clone, Debug, PartialEq)]
pub struct Disconnect<'a> {
    pub reason_code: u8,
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let packet_type = PacketType::Disconnect;
        let (reason_code, properties) =
            reader.reason_and_properties(packet_type, &f::DISCONNECT_REASON, version)?;
        Ok(Self {
            reason_code,
            properties,
        })
    }
}
