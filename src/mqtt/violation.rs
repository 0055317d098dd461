//! Rules that a readable packet breaks all the same: for `--check`, not for the hot path.

use super::framer::{Header, bytes_needed, fixed_header};
use super::packet::{Connect, ControlPacket};
use super::property::{Properties, PropertyId, PropertyValue};
use super::rule::{Rule, Violation};
use super::words::{Delivery, PacketType, ProtocolVersion};
use super::{fields as f, reason, topic};
use crate::base::field::{Field, FieldVisitor, Value};
use crate::base::text::is_printable_ascii;

/// Reports each rule that `packet` breaks although it was read, in no particular order; a packet
/// that is [`surely_clean`] breaks none. `bytes` and `version` are those that it was read with.
pub fn violations(
    packet: &ControlPacket<'_>,
    bytes: &[u8],
    version: ProtocolVersion,
    each: &mut dyn FnMut(Violation),
) {
    let version = match packet {
        ControlPacket::Connect(connect) => connect.version().unwrap_or(ProtocolVersion::V3_1_1),
        _ => version,
    };
    let mut check = Check {
        bytes,
        version,
        packet_type: packet.packet_type(),
        body: match fixed_header(bytes) {
            Header::Whole(header) => header.header_len,
            Header::Partial | Header::Malformed(_) => 0,
        },
        property: 0,
        each,
    };
    // The packet was read, so it is read again without an error.
    let _ = ControlPacket::read(bytes, version, &mut check);
    check.properties(packet.properties());
    match packet {
        ControlPacket::Connect(connect) => check.connect(connect),
        ControlPacket::ConnAck(ack) => {
            check.codes(&[ack.code], check.body + 1);
            if ack.session_present && ack.code != 0 {
                check.report(Rule::RefusalHasNoSession, check.body);
            }
        }
        ControlPacket::Publish(publish) => check.payload(publish.properties, publish.payload),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => check.codes(&[ack.reason_code], check.body + 2),
        ControlPacket::Subscribe(subscribe) => {
            (subscribe.subscriptions.iter()).for_each(|one| check.filter(one.filter));
        }
        ControlPacket::Unsubscribe(unsubscribe) => {
            (unsubscribe.filters.iter()).for_each(|filter| check.filter(filter));
        }
        ControlPacket::SubAck(ack) | ControlPacket::UnsubAck(ack) => {
            check.codes(ack.codes, check.place(ack.codes));
        }
        ControlPacket::Disconnect(disconnect) => {
            check.codes(&[disconnect.reason_code], check.body);
        }
        ControlPacket::Auth(auth) => {
            check.codes(&[auth.reason_code], check.body);
            // AUTH without bytes is Success and has no properties at all.
            let is_empty_success = auth.reason_code == 0 && auth.properties.is_empty();
            if auth.properties.authentication_method().is_none() && !is_empty_success {
                check.report(Rule::AuthHasAMethod, check.body);
            }
        }
        ControlPacket::PingReq | ControlPacket::PingResp => {}
    }
}

/// Returns whether a few cheap tests show that [`violations`] would report nothing, as they do
/// for nearly every packet of nearly every capture: reading each a second time took a sixth of
/// a check. `false` means that it is not known.
#[inline]
pub fn surely_clean(packet: &ControlPacket<'_>, bytes: &[u8], version: ProtocolVersion) -> bool {
    let five = version == ProtocolVersion::V5_0;
    match packet {
        ControlPacket::PingReq | ControlPacket::PingResp => bytes.len() == 2,
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => {
            // Before 5.0 there is nothing but an identifier; in 5.0 without a code it is 0.
            !five
                || bytes.len() == 4
                || (bytes.len() == 5
                    && bytes.get(1) == Some(&3)
                    && reason::defined(packet.packet_type(), version, ack.reason_code).is_some())
        }
        ControlPacket::Publish(publish) => {
            if !is_printable_ascii(publish.topic.as_bytes()) {
                return false;
            }
            if !five {
                return true;
            }
            let properties = publish.properties.bytes().len();
            let id = match publish.delivery {
                Delivery::AtMostOnce => 0,
                Delivery::AtLeastOnce(_) | Delivery::ExactlyOnce(_) => 2,
            };
            let remaining: usize = 2
                + publish.topic.len()
                + id
                + needed(properties)
                + properties
                + publish.payload.len();
            // No shorter, so neither length stands in more bytes than it needs.
            bytes.len() == 1 + needed(remaining) + remaining
                && publish.properties.iter().all(|property| {
                    match (property.id, property.value) {
                        (PropertyId::RESPONSE_TOPIC | PropertyId::AUTHENTICATION_DATA, _) => false,
                        (PropertyId::PAYLOAD_FORMAT_INDICATOR, value) => value.number() == Some(0),
                        // Whether it needs the bytes that it has is not known here.
                        (_, PropertyValue::Variable(_)) => false,
                        (_, PropertyValue::Text(text)) => is_printable_ascii(text.as_bytes()),
                        (_, PropertyValue::Pair(name, value)) => {
                            is_printable_ascii(name.as_bytes())
                                && is_printable_ascii(value.as_bytes())
                        }
                        _ => true,
                    }
                })
        }
        _ => false,
    }
}

/// Returns how many bytes a length takes at least.
fn needed(length: usize) -> usize {
    u32::try_from(length).map_or(usize::MAX, bytes_needed)
}

/// The state of [`violations`].
struct Check<'o, 'e> {
    bytes: &'o [u8],
    version: ProtocolVersion,
    packet_type: PacketType,
    /// The length of the fixed header.
    body: usize,
    /// The property whose value comes next among the fields.
    property: u8,
    each: &'e mut dyn FnMut(Violation),
}

impl Check<'_, '_> {
    fn report(&mut self, rule: Rule, offset: usize) {
        (self.each)(Violation { rule, offset });
    }

    /// Returns the place of `part`, borrowed from the packet, in it; 0 for anything else.
    fn place(&self, part: &[u8]) -> usize {
        let place = (part.as_ptr() as usize).wrapping_sub(self.bytes.as_ptr() as usize);
        if place <= self.bytes.len() { place } else { 0 }
    }

    /// Checks codes of the packet, the first of which stands at `first`.
    fn codes(&mut self, codes: &[u8], first: usize) {
        for (at, code) in codes.iter().enumerate() {
            if reason::defined(self.packet_type, self.version, *code).is_none() {
                self.report(reason::rule(self.packet_type), first + at);
            }
        }
    }

    fn filter(&mut self, filter: &str) {
        let broken = match self.version {
            ProtocolVersion::V5_0 => topic::filter_broken(filter),
            _ => topic::filter_broken_before_five(filter),
        };
        if let Some((rule, at)) = broken {
            self.report(rule, self.place(filter.as_bytes()) + at);
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        let level_at = self.body + connect.protocol_name.len() + 2;
        if connect.version().is_none() {
            self.report(Rule::ProtocolLevelIsKnown, level_at);
        } else if !matches!(connect.protocol_name, "MQTT" | "MQIsdp") {
            self.report(Rule::ProtocolNameIsKnown, self.body + 2);
        } else if !connect.is_known() {
            self.report(Rule::ProtocolLevelIsKnown, level_at);
        }
        let client_id_at = self.place(connect.client_id.as_bytes());
        match self.version {
            ProtocolVersion::V3_1 if !(1..=23).contains(&connect.client_id.chars().count()) => {
                self.report(Rule::ClientIdFitsThreeOne, client_id_at);
            }
            ProtocolVersion::V3_1_1 if connect.client_id.is_empty() && !connect.clean() => {
                self.report(Rule::EmptyClientIdIsClean, client_id_at);
            }
            _ => {}
        }
        if let Some(will) = &connect.will {
            if !topic::is_name(will.topic) {
                self.report(
                    Rule::WillTopicIsATopicName,
                    self.place(will.topic.as_bytes()),
                );
            }
            self.properties(will.properties);
            self.payload(will.properties, will.payload);
        }
    }

    fn payload(&mut self, properties: Properties<'_>, payload: &[u8]) {
        if properties.payload_is_text() == Some(true)
            && let Err(error) = std::str::from_utf8(payload)
        {
            let at = self.place(payload) + error.valid_up_to();
            self.report(Rule::PayloadIsTheTextItClaims, at);
        }
    }

    fn properties(&mut self, properties: Properties<'_>) {
        if self.version != ProtocolVersion::V5_0 || properties.is_empty() {
            return;
        }
        if let Some(response_topic) = properties.response_topic()
            && !topic::is_name(response_topic)
        {
            let at = self.place(response_topic.as_bytes());
            self.report(Rule::ResponseTopicIsATopicName, at);
        }
        if let Some(bytes) = properties.authentication_data()
            && properties.authentication_method().is_none()
            && self.packet_type != PacketType::Auth
        {
            let at = self.place(bytes);
            self.report(Rule::AuthenticationDataNeedsAMethod, at);
        }
    }
}

/// The packet's fields, which are numbers and strings as they stand in the bytes: lengths with
/// more bytes than they need, control characters in any text.
impl<'a> FieldVisitor<'a> for Check<'_, '_> {
    fn field(&mut self, field: Field<'a>) {
        let name = field.def.name;
        match field.value {
            Value::NamedHex(id, _) => self.property = id,
            Value::Number(number)
                if name == f::LENGTH.name
                    || name == f::PROPERTY_LENGTH.name
                    || (name == f::PROPERTY_NUMBER.name
                        && self.property == PropertyId::SUBSCRIPTION_IDENTIFIER.0) =>
            {
                let needed = u32::try_from(number).map_or(4, bytes_needed);
                if field.length > needed && self.version == ProtocolVersion::V5_0 {
                    self.report(Rule::LengthIsMinimal, field.offset);
                }
            }
            Value::Text(text) if !is_printable_ascii(text.as_bytes()) => {
                if let Some(at) = text.find(is_discouraged) {
                    // The field may start with its length.
                    let start = field.offset + field.length.saturating_sub(text.len());
                    self.report(Rule::TextHasNoControlCharacter, start + at);
                }
            }
            _ => {}
        }
    }

    fn open(&mut self, field: Field<'a>) {
        self.field(field);
    }

    fn close(&mut self) {}
}

/// Returns whether a string should not hold `c` (MQTT 5.0 §1.5.4, 3.1.1 §1.5.3): controls and
/// non-characters.
fn is_discouraged(c: char) -> bool {
    c.is_control() || (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}
