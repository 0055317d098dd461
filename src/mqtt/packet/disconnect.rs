//! DISCONNECT.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};

/// DISCONNECT (§3.14).
#[derive(Clone, Debug, PartialEq)]
pub struct Disconnect<'a> {
    /// 0x00 (Normal disconnection) before 5.0 and where a 5.0 packet leaves it out.
    pub reason_code: u8,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
}

impl<'a> Disconnect<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let (reason_code, properties) = reader.reason_and_properties()?;
        Ok(Self {
            reason_code,
            properties,
        })
    }
}
