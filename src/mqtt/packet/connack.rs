//! CONNACK.

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::framer::FixedHeader;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{PacketType, ProtocolVersion};
use crate::mqtt::{fields as f, reason};

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
    pub(super) fn read<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        header: &FixedHeader,
        version: ProtocolVersion,
    ) -> Step<Self> {
        let offset = reader.offset();
        let flags = reader.byte()?;
        if version == ProtocolVersion::V3_1 {
            // "Reserved values, not used" in 3.1 (§3.2): whatever stands there is legal.
            let set = if flags == 0 { "Not set" } else { "Set" };
            reader.report(&f::CONNACK_RESERVED, Value::Text(set), offset, 1);
        } else {
            reader.report_bits(&f::CONNACK_FLAGS, flags, &f::CONNACK_BITS, offset);
            if flags & 0xfe != 0 {
                reader.note(Rule::ConnackReservedFlagsAreZero, offset);
            }
        }
        let def = match version {
            ProtocolVersion::V5_0 => &f::CONNACK_REASON,
            _ => &f::RETURN_CODE,
        };
        let code = reader.named(def, |code| reason::name(PacketType::ConnAck, version, code))?;
        // A server that does not know 5.0 refuses in the layout of 3.1.1 (§3.1.2.2).
        let old_refusal = header.remaining_length == 2 && matches!(code, 1..=5);
        let properties = if old_refusal {
            Properties::default()
        } else {
            reader.own_properties(PacketType::ConnAck, version)?
        };
        Ok(Self {
            session_present: version != ProtocolVersion::V3_1 && flags & 0x01 != 0,
            code,
            properties,
        })
    }
}
