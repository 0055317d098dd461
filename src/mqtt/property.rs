//! Properties (MQTT 5.0 §2.2.2): identifiers, their types, where each is allowed.

use super::rule::Rule;
use super::words::{PacketType, QoS};
use crate::base::plain_text;

/// A property's identifier (MQTT 5.0 §2.2.2.2, Table 2-4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PropertyId(pub u8);

/// The data type that an identifier fixes (MQTT 5.0 §1.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PropertyType {
    Byte,
    TwoByte,
    FourByte,
    Variable,
    Binary,
    Text,
    Pair,
}

/// Where a property may stand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PropertyPlace {
    /// Among the properties of a packet of this type.
    Packet(PacketType),
    /// Among the will properties of a CONNECT.
    Will,
}

impl PropertyPlace {
    const fn bit(self) -> u16 {
        match self {
            // Type 0 has no properties, so its bit is free.
            Self::Will => 1,
            Self::Packet(packet_type) => 1 << packet_type as u16,
        }
    }
}

/// A line of Table 2-4.
struct Definition {
    id: PropertyId,
    name: &'static str,
    wireshark: &'static str,
    kind: PropertyType,
    /// Bits of [`PropertyPlace::bit`].
    places: u16,
    /// What its value must not break.
    value_rule: Option<Rule>,
}

const WILL: u16 = PropertyPlace::Will.bit();
const CONNECT: u16 = PropertyPlace::Packet(PacketType::Connect).bit();
const CONNACK: u16 = PropertyPlace::Packet(PacketType::ConnAck).bit();
const PUBLISH: u16 = PropertyPlace::Packet(PacketType::Publish).bit();
const SUBSCRIBE: u16 = PropertyPlace::Packet(PacketType::Subscribe).bit();
const DISCONNECT: u16 = PropertyPlace::Packet(PacketType::Disconnect).bit();
const AUTH: u16 = PropertyPlace::Packet(PacketType::Auth).bit();
const ACKNOWLEDGEMENTS: u16 = PropertyPlace::Packet(PacketType::PubAck).bit()
    | PropertyPlace::Packet(PacketType::PubRec).bit()
    | PropertyPlace::Packet(PacketType::PubRel).bit()
    | PropertyPlace::Packet(PacketType::PubComp).bit()
    | PropertyPlace::Packet(PacketType::SubAck).bit()
    | PropertyPlace::Packet(PacketType::UnsubAck).bit();
const EVERYWHERE: u16 = WILL
    | CONNECT
    | CONNACK
    | PUBLISH
    | ACKNOWLEDGEMENTS
    | SUBSCRIBE
    | PropertyPlace::Packet(PacketType::Unsubscribe).bit()
    | DISCONNECT
    | AUTH;

macro_rules! properties {
    ($($constant:ident $id:literal $kind:ident $name:literal $wireshark:literal ($places:expr) $rule:expr;)*) => {
        impl PropertyId {
            $(#[doc = $wireshark] pub const $constant: Self = Self($id);)*

            /// All 27, by number.
            pub const ALL: [Self; 27] = [$(Self::$constant),*];

            #[inline]
            fn definition(self) -> Option<&'static Definition> {
                match self.0 {
                    $($id => {
                        static DEFINITION: Definition = Definition {
                            id: PropertyId($id),
                            name: $name,
                            wireshark: $wireshark,
                            kind: PropertyType::$kind,
                            places: $places,
                            value_rule: $rule,
                        };
                        Some(&DEFINITION)
                    })*
                    _ => None,
                }
            }
        }
    };
}

properties! {
    PAYLOAD_FORMAT_INDICATOR 0x01 Byte "payload_format_indicator" "Payload Format Indicator"
        (PUBLISH | WILL) Some(Rule::PropertyIsZeroOrOne);
    MESSAGE_EXPIRY_INTERVAL 0x02 FourByte "message_expiry_interval" "Publication Expiry Interval"
        (PUBLISH | WILL) None;
    CONTENT_TYPE 0x03 Text "content_type" "Content Type" (PUBLISH | WILL) None;
    RESPONSE_TOPIC 0x08 Text "response_topic" "Response Topic" (PUBLISH | WILL) None;
    CORRELATION_DATA 0x09 Binary "correlation_data" "Correlation Data" (PUBLISH | WILL) None;
    SUBSCRIPTION_IDENTIFIER 0x0b Variable "subscription_identifier" "Subscription Identifier"
        (PUBLISH | SUBSCRIBE) Some(Rule::SubscriptionIdentifierIsNotZero);
    SESSION_EXPIRY_INTERVAL 0x11 FourByte "session_expiry_interval" "Session Expiry Interval"
        (CONNECT | CONNACK | DISCONNECT) None;
    ASSIGNED_CLIENT_IDENTIFIER 0x12 Text "assigned_client_identifier" "Assigned Client Identifier"
        (CONNACK) None;
    SERVER_KEEP_ALIVE 0x13 TwoByte "server_keep_alive" "Server Keep Alive" (CONNACK) None;
    AUTHENTICATION_METHOD 0x15 Text "authentication_method" "Authentication Method"
        (CONNECT | CONNACK | AUTH) None;
    AUTHENTICATION_DATA 0x16 Binary "authentication_data" "Authentication Data"
        (CONNECT | CONNACK | AUTH) None;
    REQUEST_PROBLEM_INFORMATION 0x17 Byte "request_problem_information"
        "Request Problem Information" (CONNECT) Some(Rule::PropertyIsZeroOrOne);
    WILL_DELAY_INTERVAL 0x18 FourByte "will_delay_interval" "Will Delay Interval" (WILL) None;
    REQUEST_RESPONSE_INFORMATION 0x19 Byte "request_response_information"
        "Request Response Information" (CONNECT) Some(Rule::PropertyIsZeroOrOne);
    RESPONSE_INFORMATION 0x1a Text "response_information" "Response Information" (CONNACK) None;
    SERVER_REFERENCE 0x1c Text "server_reference" "Server Reference" (CONNACK | DISCONNECT) None;
    REASON_STRING 0x1f Text "reason_string" "Reason String"
        (CONNACK | ACKNOWLEDGEMENTS | DISCONNECT | AUTH) None;
    RECEIVE_MAXIMUM 0x21 TwoByte "receive_maximum" "Receive Maximum"
        (CONNECT | CONNACK) Some(Rule::ReceiveMaximumIsNotZero);
    TOPIC_ALIAS_MAXIMUM 0x22 TwoByte "topic_alias_maximum" "Topic Alias Maximum"
        (CONNECT | CONNACK) None;
    TOPIC_ALIAS 0x23 TwoByte "topic_alias" "Topic Alias"
        (PUBLISH) Some(Rule::TopicAliasIsNotZero);
    MAXIMUM_QOS 0x24 Byte "maximum_qos" "Maximum QoS"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne);
    RETAIN_AVAILABLE 0x25 Byte "retain_available" "Retain Available"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne);
    USER_PROPERTY 0x26 Pair "user_property" "User Property" (EVERYWHERE) None;
    MAXIMUM_PACKET_SIZE 0x27 FourByte "maximum_packet_size" "Maximum Packet Size"
        (CONNECT | CONNACK) Some(Rule::MaximumPacketSizeIsNotZero);
    WILDCARD_SUBSCRIPTION_AVAILABLE 0x28 Byte "wildcard_subscription_available"
        "Wildcard Subscription Available" (CONNACK) Some(Rule::PropertyIsZeroOrOne);
    SUBSCRIPTION_IDENTIFIER_AVAILABLE 0x29 Byte "subscription_identifiers_available"
        "Subscription Identifier Available" (CONNACK) Some(Rule::PropertyIsZeroOrOne);
    SHARED_SUBSCRIPTION_AVAILABLE 0x2a Byte "shared_subscription_available"
        "Shared Subscription Available" (CONNACK) Some(Rule::PropertyIsZeroOrOne);
}

impl PropertyId {
    /// In snake_case, as the JSON has it: `topic_alias`. `unknown` for no identifier.
    pub fn name(self) -> &'static str {
        self.definition().map_or("unknown", |known| known.name)
    }

    /// Wireshark's words: `Topic Alias`. `Unknown` for no identifier.
    pub fn wireshark(self) -> &'static str {
        self.definition().map_or("Unknown", |known| known.wireshark)
    }

    /// The type of its value; `None` for no identifier.
    pub fn kind(self) -> Option<PropertyType> {
        self.definition().map(|known| known.kind)
    }

    /// Whether it may stand there.
    pub fn is_allowed(self, place: PropertyPlace) -> bool {
        self.definition()
            .is_some_and(|known| known.places & place.bit() != 0)
    }

    /// Whether it may stand there several times.
    pub fn may_repeat(self, place: PropertyPlace) -> bool {
        self == Self::USER_PROPERTY
            || (self == Self::SUBSCRIPTION_IDENTIFIER
                && place == PropertyPlace::Packet(PacketType::Publish))
    }

    /// The rule that this numeric value breaks.
    pub(super) fn value_broken(self, value: u32) -> Option<Rule> {
        let rule = self.definition()?.value_rule?;
        let holds = match rule {
            Rule::PropertyIsZeroOrOne => value <= 1,
            _ => value != 0,
        };
        (!holds).then_some(rule)
    }
}

/// A value in the type that its identifier fixes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PropertyValue<'a> {
    Byte(u8),
    TwoByte(u16),
    FourByte(u32),
    Variable(u32),
    Binary(&'a [u8]),
    Text(&'a str),
    Pair(&'a str, &'a str),
}

impl<'a> PropertyValue<'a> {
    /// The type that the value has.
    pub const fn kind(&self) -> PropertyType {
        match self {
            Self::Byte(_) => PropertyType::Byte,
            Self::TwoByte(_) => PropertyType::TwoByte,
            Self::FourByte(_) => PropertyType::FourByte,
            Self::Variable(_) => PropertyType::Variable,
            Self::Binary(_) => PropertyType::Binary,
            Self::Text(_) => PropertyType::Text,
            Self::Pair(..) => PropertyType::Pair,
        }
    }

    /// The number that it is, of whatever width.
    pub fn number(&self) -> Option<u32> {
        match *self {
            Self::Byte(value) => Some(value.into()),
            Self::TwoByte(value) => Some(value.into()),
            Self::FourByte(value) | Self::Variable(value) => Some(value),
            _ => None,
        }
    }

    /// The string that it is.
    pub fn text(&self) -> Option<&'a str> {
        match *self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The binary data that it is.
    pub fn binary(&self) -> Option<&'a [u8]> {
        match *self {
            Self::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// One property as it stands in its packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Property<'a> {
    pub id: PropertyId,
    pub value: PropertyValue<'a>,
}

/// The properties of a packet: bytes already found valid (after the length), walked again
/// on demand in wire order, so that no packet costs an allocation. Empty before 5.0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Properties<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that Property Length counts.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// In wire order.
    pub const fn iter(&self) -> PropertiesIter<'a> {
        PropertiesIter { bytes: self.bytes }
    }

    /// The first property of that identifier. The others are passed over unread.
    pub fn find(&self, id: PropertyId) -> Option<PropertyValue<'a>> {
        let mut bytes = self.bytes;
        loop {
            let (found, rest) = bytes.split_first()?;
            let kind = PropertyId(*found).kind()?;
            if *found == id.0 {
                return Some(value_at(kind, rest)?.0);
            }
            bytes = rest.get(length_at(kind, rest)?..)?;
        }
    }

    fn two_byte(&self, id: PropertyId) -> Option<u16> {
        match self.find(id)? {
            PropertyValue::TwoByte(value) => Some(value),
            _ => None,
        }
    }

    fn four_byte(&self, id: PropertyId) -> Option<u32> {
        self.find(id)?.number()
    }

    fn flag(&self, id: PropertyId) -> Option<bool> {
        Some(self.find(id)?.number()? != 0)
    }

    fn text(&self, id: PropertyId) -> Option<&'a str> {
        self.find(id)?.text()
    }

    /// Whether the payload claims to be UTF-8 text (§3.3.2.3.2).
    pub fn payload_is_text(&self) -> Option<bool> {
        self.flag(PropertyId::PAYLOAD_FORMAT_INDICATOR)
    }

    /// In seconds (§3.3.2.3.3).
    pub fn message_expiry_interval(&self) -> Option<u32> {
        self.four_byte(PropertyId::MESSAGE_EXPIRY_INTERVAL)
    }

    /// §3.3.2.3.9.
    pub fn content_type(&self) -> Option<&'a str> {
        self.text(PropertyId::CONTENT_TYPE)
    }

    /// §3.3.2.3.5.
    pub fn response_topic(&self) -> Option<&'a str> {
        self.text(PropertyId::RESPONSE_TOPIC)
    }

    /// §3.3.2.3.6.
    pub fn correlation_data(&self) -> Option<&'a [u8]> {
        self.find(PropertyId::CORRELATION_DATA)?.binary()
    }

    /// All of them, in wire order: a PUBLISH may carry several (§3.3.2.3.8).
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|property| match property.value {
            PropertyValue::Variable(value) => Some(value),
            _ => None,
        })
    }

    /// In seconds; 0xffff_ffff never ends (§3.1.2.11.2).
    pub fn session_expiry_interval(&self) -> Option<u32> {
        self.four_byte(PropertyId::SESSION_EXPIRY_INTERVAL)
    }

    /// §3.2.2.3.7.
    pub fn assigned_client_identifier(&self) -> Option<&'a str> {
        self.text(PropertyId::ASSIGNED_CLIENT_IDENTIFIER)
    }

    /// In seconds (§3.2.2.3.14).
    pub fn server_keep_alive(&self) -> Option<u16> {
        self.two_byte(PropertyId::SERVER_KEEP_ALIVE)
    }

    /// §3.1.2.11.9.
    pub fn authentication_method(&self) -> Option<&'a str> {
        self.text(PropertyId::AUTHENTICATION_METHOD)
    }

    /// §3.1.2.11.10.
    pub fn authentication_data(&self) -> Option<&'a [u8]> {
        self.find(PropertyId::AUTHENTICATION_DATA)?.binary()
    }

    /// §3.1.2.11.7.
    pub fn request_problem_information(&self) -> Option<bool> {
        self.flag(PropertyId::REQUEST_PROBLEM_INFORMATION)
    }

    /// §3.1.2.11.6.
    pub fn request_response_information(&self) -> Option<bool> {
        self.flag(PropertyId::REQUEST_RESPONSE_INFORMATION)
    }

    /// In seconds (§3.1.3.2.2).
    pub fn will_delay_interval(&self) -> Option<u32> {
        self.four_byte(PropertyId::WILL_DELAY_INTERVAL)
    }

    /// §3.2.2.3.15.
    pub fn response_information(&self) -> Option<&'a str> {
        self.text(PropertyId::RESPONSE_INFORMATION)
    }

    /// §3.2.2.3.16.
    pub fn server_reference(&self) -> Option<&'a str> {
        self.text(PropertyId::SERVER_REFERENCE)
    }

    /// §3.2.2.3.9.
    pub fn reason_string(&self) -> Option<&'a str> {
        self.text(PropertyId::REASON_STRING)
    }

    /// How many messages above QoS 0 may wait for their acknowledgement (§3.1.2.11.3).
    pub fn receive_maximum(&self) -> Option<u16> {
        self.two_byte(PropertyId::RECEIVE_MAXIMUM)
    }

    /// The highest alias that the sender of this property takes (§3.1.2.11.5).
    pub fn topic_alias_maximum(&self) -> Option<u16> {
        self.two_byte(PropertyId::TOPIC_ALIAS_MAXIMUM)
    }

    /// §3.3.2.3.4.
    pub fn topic_alias(&self) -> Option<u16> {
        self.two_byte(PropertyId::TOPIC_ALIAS)
    }

    /// §3.2.2.3.4.
    pub fn maximum_qos(&self) -> Option<QoS> {
        let number = self.find(PropertyId::MAXIMUM_QOS)?.number()?;
        QoS::from_bits(u8::try_from(number).ok()?)
    }

    /// §3.2.2.3.5.
    pub fn retain_available(&self) -> Option<bool> {
        self.flag(PropertyId::RETAIN_AVAILABLE)
    }

    /// Names and values in wire order; a name may come again (§3.3.2.3.7).
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property.value {
            PropertyValue::Pair(name, value) => Some((name, value)),
            _ => None,
        })
    }

    /// In bytes of the whole control packet (§3.1.2.11.4).
    pub fn maximum_packet_size(&self) -> Option<u32> {
        self.four_byte(PropertyId::MAXIMUM_PACKET_SIZE)
    }

    /// §3.2.2.3.11.
    pub fn wildcard_subscription_available(&self) -> Option<bool> {
        self.flag(PropertyId::WILDCARD_SUBSCRIPTION_AVAILABLE)
    }

    /// §3.2.2.3.12.
    pub fn subscription_identifiers_available(&self) -> Option<bool> {
        self.flag(PropertyId::SUBSCRIPTION_IDENTIFIER_AVAILABLE)
    }

    /// §3.2.2.3.13.
    pub fn shared_subscription_available(&self) -> Option<bool> {
        self.flag(PropertyId::SHARED_SUBSCRIPTION_AVAILABLE)
    }
}

impl<'a> IntoIterator for Properties<'a> {
    type Item = Property<'a>;
    type IntoIter = PropertiesIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Walks properties that were found valid; ends at anything else.
#[derive(Clone, Debug)]
pub struct PropertiesIter<'a> {
    bytes: &'a [u8],
}

impl<'a> Iterator for PropertiesIter<'a> {
    type Item = Property<'a>;

    fn next(&mut self) -> Option<Property<'a>> {
        let (id, rest) = self.bytes.split_first()?;
        let id = PropertyId(*id);
        let known = id.definition()?;
        let (value, rest) = value_at(known.kind, rest)?;
        self.bytes = rest;
        Some(Property {
            id: known.id,
            value,
        })
    }
}

fn value_at(kind: PropertyType, bytes: &[u8]) -> Option<(PropertyValue<'_>, &[u8])> {
    Some(match kind {
        PropertyType::Byte => {
            let (value, rest) = bytes.split_first()?;
            (PropertyValue::Byte(*value), rest)
        }
        PropertyType::TwoByte => {
            let (value, rest) = bytes.split_first_chunk()?;
            (PropertyValue::TwoByte(u16::from_be_bytes(*value)), rest)
        }
        PropertyType::FourByte => {
            let (value, rest) = bytes.split_first_chunk()?;
            (PropertyValue::FourByte(u32::from_be_bytes(*value)), rest)
        }
        PropertyType::Variable => {
            let (value, len) = variable_integer(bytes)?;
            (PropertyValue::Variable(value), bytes.get(len..)?)
        }
        PropertyType::Binary => {
            let (value, rest) = prefixed(bytes)?;
            (PropertyValue::Binary(value), rest)
        }
        PropertyType::Text => {
            let (value, rest) = prefixed_text(bytes)?;
            (PropertyValue::Text(value), rest)
        }
        PropertyType::Pair => {
            let (name, rest) = prefixed_text(bytes)?;
            let (value, rest) = prefixed_text(rest)?;
            (PropertyValue::Pair(name, value), rest)
        }
    })
}

/// How many bytes a value takes.
fn length_at(kind: PropertyType, bytes: &[u8]) -> Option<usize> {
    let prefixed = |bytes: &[u8]| {
        let length = bytes.first_chunk()?;
        Some(2 + usize::from(u16::from_be_bytes(*length)))
    };
    Some(match kind {
        PropertyType::Byte => 1,
        PropertyType::TwoByte => 2,
        PropertyType::FourByte => 4,
        PropertyType::Variable => variable_integer(bytes)?.1,
        PropertyType::Binary | PropertyType::Text => prefixed(bytes)?,
        PropertyType::Pair => {
            let name = prefixed(bytes)?;
            name + prefixed(bytes.get(name..)?)?
        }
    })
}

/// A variable byte integer and how many bytes it takes; `None` if it is cut or too long.
pub(super) fn variable_integer(bytes: &[u8]) -> Option<(u32, usize)> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some((value, at + 1));
        }
    }
    None
}

/// Bytes behind their two-byte length, and what follows them.
pub(super) fn prefixed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

/// [`prefixed`] as text.
pub(super) fn prefixed_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (bytes, rest) = prefixed(bytes)?;
    let text = plain_text(bytes).or_else(|| simdutf8::basic::from_utf8(bytes).ok())?;
    Some((text, rest))
}

/// Whether a User Property of this name is likely to hold what should not be read over a
/// shoulder: clients hand passwords and tokens on in such properties where their broker asks
/// for more than CONNECT has room for.
pub fn names_a_secret(name: &str) -> bool {
    const WORDS: [&str; 11] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "credential",
        "authorization",
        "apikey",
        "accesskey",
        "privatekey",
        "sasl",
    ];
    let letters: String = (name.chars())
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    WORDS.iter().any(|word| letters.contains(word)) || matches!(&*letters, "pwd" | "pass" | "jwt")
}

#[cfg(test)]
mod tests {
    use super::names_a_secret;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "password",
            "X-API-Key",
            "accessToken",
            "Authorization",
            "pwd",
            "SASL.data",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
        for name in ["", "region", "pass-count", "path", "키"] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
