//! AUTH.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};

/// AUTH (§3.15), 5.0 only.
#[derive(Clone, Debug, PartialEq)]
pub struct Auth<'a> {
    /// 0x00 (Success) where it is left out.
    pub reason_code: u8,
    /// Authentication Method, Authentication Data and others.
    pub properties: Properties<'a>,
}

impl<'a> Auth<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let (reason_code, properties) = reader.reason_and_properties()?;
        Ok(Self {
            reason_code,
            properties,
        })
    }
}
