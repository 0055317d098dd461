//! SUBACK.

use crate::base::field::FieldVisitor;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::PacketIdentifier;

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
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        Ok(Self {
            packet_id: reader.packet_id()?,
            properties: reader.own_properties()?,
            codes: codes(reader)?,
        })
    }
}

/// Reads one code for each topic filter, to the end of the packet.
pub(super) fn codes<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<&'a [u8]> {
    let bytes = reader.ahead();
    if bytes.is_empty() {
        reader.note(Rule::AcknowledgementHasACode, reader.offset());
    }
    if F::ACTIVE {
        while !reader.is_at_end() {
            reader.reason_code()?;
        }
    } else {
        reader.skip(bytes.len());
    }
    Ok(bytes)
}
