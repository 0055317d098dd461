//! CONNACK.

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::ProtocolVersion;

/// CONNACK (§3.2).
#[derive(Clone, Debug, PartialEq)]
pub struct ConnAck<'a> {
    /// Session Present; `false` in 3.1, which does not have it.
    pub session_present: bool,
    /// The Connect Return code (3.x) or the Reason Code (5.0); 0 accepts the connection.
    pub code: u8,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
}

impl<'a> ConnAck<'a> {
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let offset = reader.offset();
        let session_present = if reader.version == ProtocolVersion::V3_1 {
            // "Reserved values, not used" in 3.1 (§3.2): whatever stands there is legal.
            let set = if reader.byte()? == 0 {
                "Not set"
            } else {
                "Set"
            };
            reader.report(&f::CONNACK_RESERVED, Value::Text(set), offset);
            false
        } else {
            let flags = reader.flags(&f::CONNACK_FLAGS, &f::CONNACK_BITS)?;
            if flags & 0xfe != 0 {
                reader.note(Rule::ConnackReservedFlagsAreZero, offset);
            }
            flags & 0x01 != 0
        };
        let code = reader.reason_code()?;
        // A server that does not know 5.0 refuses in the layout of 3.1.1 (§3.1.2.2).
        let old_refusal = reader.header.remaining_length == 2 && matches!(code, 1..=5);
        let properties = if old_refusal {
            Properties::default()
        } else {
            reader.own_properties()?
        };
        Ok(Self {
            session_present,
            code,
            properties,
        })
    }
}
