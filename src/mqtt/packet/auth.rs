//! AUTH.

use super::reason_and_properties;
use crate::base::field::FieldVisitor;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::{PacketType, Properties, ProtocolVersion, fields as f};

/// AUTH (§3.15), 5.0 only.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth<'a> {
    pub reason_code: u8,
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let (reason_code, properties) = reason_and_properties(
            reader,
            PacketType::Auth,
            &f::AUTH_REASON,
            ProtocolVersion::V5_0,
        )?;
        Ok(Self {
            reason_code,
            properties,
        })
    }
}
