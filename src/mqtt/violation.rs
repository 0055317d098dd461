//! Rules that a readable packet breaks all the same: for the check, not for the hot path.

use super::framer::{Header, fixed_header};
use super::packet::{Connect, ControlPacket, Publish};
use super::property::{PropertyId, PropertyType, variable_integer};
use super::rule::Violation;
use super::{PacketType, Properties, ProtocolVersion, Rule, reason, topic};

/// Tells each rule that `packet` breaks although it was read, in no particular order.
/// `octets` is what it was read from, `version` what it was read by.
pub fn violations(
    packet: &ControlPacket<'_>,
    octets: &[u8],
    version: ProtocolVersion,
    each: &mut dyn FnMut(Violation),
) {
    let version = match packet {
        ControlPacket::Connect(connect) => connect.version().unwrap_or(ProtocolVersion::V3_1_1),
        _ => version,
    };
    let mut check = Check {
        octets,
        version,
        each,
    };
    check.lengths();
    check.texts(packet);
    check.properties(packet.packet_type(), packet.properties());
    match packet {
        ControlPacket::Connect(connect) => check.connect(connect),
        ControlPacket::ConnAck(ack) => {
            check.code(PacketType::ConnAck, ack.code, 1);
            if ack.session_present && ack.code != 0 {
                check.tell_at_body(Rule::RefusalHasNoSession, 0);
            }
        }
        ControlPacket::Publish(publish) => check.publish(publish),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => check.code(packet.packet_type(), ack.reason_code, 2),
        ControlPacket::Subscribe(subscribe) => {
            for subscription in subscribe.subscriptions {
                check.filter(subscription.filter);
            }
        }
        ControlPacket::Unsubscribe(unsubscribe) => {
            for filter in unsubscribe.filters {
                check.filter(filter);
            }
        }
        ControlPacket::SubAck(ack) => check.codes(PacketType::SubAck, ack.codes),
        ControlPacket::UnsubAck(ack) => check.codes(PacketType::UnsubAck, ack.codes),
        ControlPacket::Disconnect(disconnect) => {
            check.code(PacketType::Disconnect, disconnect.reason_code, 0);
        }
        ControlPacket::Auth(auth) => {
            check.code(PacketType::Auth, auth.reason_code, 0);
            // AUTH without octets is Success and has no properties at all.
            let says_nothing = auth.reason_code == 0 && auth.properties.is_empty();
            if auth.properties.authentication_method().is_none() && !says_nothing {
                check.tell_at_body(Rule::AuthHasAMethod, 0);
            }
        }
        ControlPacket::PingReq | ControlPacket::PingResp => {}
    }
}

struct Check<'o, 'e> {
    octets: &'o [u8],
    version: ProtocolVersion,
    each: &'e mut dyn FnMut(Violation),
}

impl Check<'_, '_> {
    fn tell(&mut self, rule: Rule, offset: usize) {
        (self.each)(Violation { rule, offset });
    }

    fn header_len(&self) -> usize {
        match fixed_header(self.octets) {
            Header::Whole(header) => header.header_len,
            Header::Partial | Header::Malformed(_) => 0,
        }
    }

    /// `offset` in octets from the end of the fixed header.
    fn tell_at_body(&mut self, rule: Rule, offset: usize) {
        self.tell(rule, self.header_len().saturating_add(offset));
    }

    /// Where `part`, borrowed from the packet, stands in it.
    fn place(&self, part: &[u8]) -> usize {
        let place = (part.as_ptr() as usize).wrapping_sub(self.octets.as_ptr() as usize);
        if place <= self.octets.len() { place } else { 0 }
    }

    /// Variable byte integers that are longer than need be: Remaining Length here, those of
    /// properties with the properties.
    fn lengths(&mut self) {
        let five = self.version == ProtocolVersion::V5_0;
        if let Header::Whole(header) = fixed_header(self.octets)
            && five
            && !header.is_minimal()
        {
            self.tell(Rule::LengthIsMinimal, 1);
        }
    }

    fn code(&mut self, packet_type: PacketType, code: u8, offset: usize) {
        let checked = self.version == ProtocolVersion::V5_0 || packet_type == PacketType::ConnAck;
        if checked && reason::defined(packet_type, self.version, code).is_none() {
            self.tell_at_body(code_rule(packet_type), offset);
        }
    }

    fn codes(&mut self, packet_type: PacketType, codes: &[u8]) {
        let begin = self.place(codes);
        for (at, code) in codes.iter().enumerate() {
            if reason::defined(packet_type, self.version, *code).is_none() {
                self.tell(code_rule(packet_type), begin + at);
            }
        }
    }

    fn filter(&mut self, filter: &str) {
        let broken = match self.version {
            ProtocolVersion::V5_0 => topic::filter_broken(filter),
            _ => topic::filter_broken_before_five(filter),
        };
        if let Some((rule, at)) = broken {
            self.tell(rule, self.place(filter.as_bytes()) + at);
        }
    }

    fn connect(&mut self, connect: &Connect<'_>) {
        let level_at = connect.protocol_name.len() + 2;
        if connect.version().is_none() {
            self.tell_at_body(Rule::ProtocolLevelIsKnown, level_at);
        } else if !matches!(connect.protocol_name, "MQTT" | "MQIsdp") {
            self.tell_at_body(Rule::ProtocolNameIsKnown, 2);
        } else if !connect.is_known() {
            self.tell_at_body(Rule::ProtocolLevelIsKnown, level_at);
        }
        let client_id_at = self.place(connect.client_id.as_bytes());
        match self.version {
            ProtocolVersion::V3_1 if !(1..=23).contains(&connect.client_id.chars().count()) => {
                self.tell(Rule::ClientIdFitsThreeOne, client_id_at);
            }
            ProtocolVersion::V3_1_1 if connect.client_id.is_empty() && !connect.clean() => {
                self.tell(Rule::EmptyClientIdIsClean, client_id_at);
            }
            _ => {}
        }
        if let Some(will) = &connect.will {
            if !topic::is_name(will.topic) {
                self.tell(
                    Rule::WillTopicIsATopicName,
                    self.place(will.topic.as_bytes()),
                );
            }
            self.properties(PacketType::Connect, will.properties);
            self.payload(will.properties, will.payload);
        }
    }

    fn publish(&mut self, publish: &Publish<'_>) {
        self.payload(publish.properties, publish.payload);
    }

    fn payload(&mut self, properties: Properties<'_>, payload: &[u8]) {
        if properties.payload_is_text() == Some(true)
            && let Err(error) = std::str::from_utf8(payload)
        {
            let at = self.place(payload) + error.valid_up_to();
            self.tell(Rule::PayloadIsTheTextItClaims, at);
        }
    }

    fn properties(&mut self, packet_type: PacketType, properties: Properties<'_>) {
        if self.version != ProtocolVersion::V5_0 || properties.is_empty() {
            return;
        }
        let begin = self.place(properties.octets());
        self.property_length(begin, properties.octets().len());
        if let Some(response_topic) = properties.response_topic()
            && !topic::is_name(response_topic)
        {
            let at = self.place(response_topic.as_bytes());
            self.tell(Rule::ResponseTopicIsATopicName, at);
        }
        if let Some(octets) = properties.authentication_data()
            && properties.authentication_method().is_none()
            && packet_type != PacketType::Auth
        {
            let at = self.place(octets);
            self.tell(Rule::AuthenticationDataNeedsAMethod, at);
        }
        self.identifiers(begin, properties);
    }

    /// Property Length stands before its properties; it is longer than need be if its last
    /// octet adds nothing.
    fn property_length(&mut self, begin: usize, length: usize) {
        let needed = match length {
            0..=0x7f => 1,
            0x80..=0x3fff => 2,
            0x4000..=0x1f_ffff => 3,
            _ => 4,
        };
        let minimal = begin
            .checked_sub(needed)
            .and_then(|at| self.octets.get(at..begin))
            .and_then(variable_integer);
        if minimal.is_none_or(|(value, _)| value as usize != length) {
            self.tell(Rule::LengthIsMinimal, begin.saturating_sub(1));
        }
    }

    /// Subscription Identifiers that are longer than need be.
    fn identifiers(&mut self, begin: usize, properties: Properties<'_>) {
        let mut rest = properties.iter();
        loop {
            let before = rest.octets().len();
            let Some(property) = rest.next() else { return };
            if property.id.kind() != Some(PropertyType::Variable) {
                continue;
            }
            let taken = before - rest.octets().len();
            let last = begin + properties.octets().len() - rest.octets().len() - 1;
            // More than identifier and one octet, and the last adds nothing.
            if taken > 2 && self.octets.get(last) == Some(&0) {
                self.tell(Rule::LengthIsMinimal, last);
            }
        }
    }

    fn texts(&mut self, packet: &ControlPacket<'_>) {
        let mut text = |text: &str| {
            if let Some(at) = text.find(is_discouraged) {
                let at = self.place(text.as_bytes()) + at;
                self.tell(Rule::TextHasNoControlCharacter, at);
            }
        };
        match packet {
            ControlPacket::Connect(connect) => {
                text(connect.client_id);
                connect.user_name.into_iter().for_each(&mut text);
                connect.will.iter().for_each(|will| text(will.topic));
            }
            ControlPacket::Publish(publish) => text(publish.topic),
            ControlPacket::Subscribe(subscribe) => subscribe
                .subscriptions
                .iter()
                .for_each(|subscription| text(subscription.filter)),
            ControlPacket::Unsubscribe(unsubscribe) => {
                unsubscribe.filters.iter().for_each(&mut text);
            }
            _ => {}
        }
        for property in packet.properties() {
            if property.id == PropertyId::USER_PROPERTY {
                continue;
            }
            property.value.text().into_iter().for_each(&mut text);
        }
    }
}

/// Characters that a string should not hold (MQTT 5.0 §1.5.4, 3.1.1 §1.5.3): controls and
/// non-characters.
fn is_discouraged(c: char) -> bool {
    c.is_control() || (c as u32) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&c)
}

const fn code_rule(packet_type: PacketType) -> Rule {
    match packet_type {
        PacketType::ConnAck => Rule::ConnackCodeIsDefined,
        PacketType::PubAck => Rule::PubackCodeIsDefined,
        PacketType::PubRec => Rule::PubrecCodeIsDefined,
        PacketType::PubRel => Rule::PubrelCodeIsDefined,
        PacketType::PubComp => Rule::PubcompCodeIsDefined,
        PacketType::SubAck => Rule::SubackCodeIsDefined,
        PacketType::UnsubAck => Rule::UnsubackCodeIsDefined,
        PacketType::Auth => Rule::AuthCodeIsDefined,
        _ => Rule::DisconnectCodeIsDefined,
    }
}
