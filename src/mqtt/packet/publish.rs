//! PUBLISH.
//!
//! ```text
//! topic name | [packet identifier, above QoS 0] | properties (5.0) | payload, to the end
//! ```

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::Properties;
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{Delivery, ProtocolVersion};

/// PUBLISH (§3.3).
#[derive(Clone, Debug, PartialEq)]
pub struct Publish<'a> {
    /// The packet may have been sent before.
    pub dup: bool,
    /// To the Server: the message is to be stored. To a Client: it was stored, or the
    /// subscription keeps the flag (Retain As Published).
    pub retain: bool,
    /// QoS and packet identifier.
    pub delivery: Delivery,
    /// The topic name; empty in 5.0 where a Topic Alias stands for it.
    pub topic: &'a str,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// The application message's bytes.
    pub payload: &'a [u8],
}

impl<'a> Publish<'a> {
    #[inline]
    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let flags = reader.header.flags;
        let topic_at = reader.offset();
        let topic = reader.topic_name()?;
        let dup = flags & 0x08 != 0;
        let delivery = match flags & 0x06 {
            0x00 => Delivery::AtMostOnce,
            0x02 => Delivery::AtLeastOnce(reader.packet_id()?),
            0x04 => Delivery::ExactlyOnce(reader.packet_id()?),
            _ => {
                reader.note(Rule::QosIsNotThree, 0);
                Delivery::ExactlyOnce(reader.packet_id()?)
            }
        };
        // 3.1 defines DUP for QoS above 0 and has no rule about QoS 0.
        if dup && delivery == Delivery::AtMostOnce && reader.version != ProtocolVersion::V3_1 {
            reader.note(Rule::DupNeedsQos, 0);
        }
        let properties = reader.own_properties()?;
        if topic.is_empty() && properties.topic_alias().is_none() {
            reader.note(Rule::TopicNameIsNotEmpty, topic_at);
        }
        let payload_at = reader.offset();
        let payload = reader.rest();
        reader.report(&f::MESSAGE, Value::Bytes(payload), payload_at);
        Ok(Self {
            dup,
            retain: flags & 0x01 != 0,
            delivery,
            topic,
            properties,
            payload,
        })
    }

    /// Returns the low four bits of the fixed header's first byte.
    pub const fn flags(&self) -> u8 {
        (self.dup as u8) << 3 | (self.delivery.qos() as u8) << 1 | self.retain as u8
    }
}
