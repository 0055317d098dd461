//! Properties (MQTT 5.0 §2.2.2): identifiers, their types, where each is allowed.
//!
//! ```text
//! Property Length | identifier | value | identifier | value ...
//!     1 to 4      |     1      | by identifier                   bytes
//! ```
//!
//! The first property of an identifier that is not defined ends all reading: its length is not
//! known.

use super::rule::Rule;
use super::words::{PacketType, QoS};
use crate::base::plain_text;

/// A property's identifier (MQTT 5.0 §2.2.2.2, Table 2-4), also one that is not defined.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PropertyId(pub u8);

/// The data type that an identifier fixes (MQTT 5.0 §1.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PropertyType {
    /// One byte.
    Byte,
    /// Two bytes, big endian.
    TwoByte,
    /// Four bytes, big endian.
    FourByte,
    /// Variable byte integer, at most 268,435,455.
    Variable,
    /// Binary data behind its two-byte length.
    Binary,
    /// UTF-8 text behind its two-byte length.
    Text,
    /// Two UTF-8 texts, each behind its two-byte length.
    Pair,
}

/// A place where properties stand.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PropertyPlace {
    /// Among the properties of a packet of this type.
    Packet(PacketType),
    /// Among the will properties of a CONNECT.
    Will,
}

impl PropertyPlace {
    /// Returns the bit of this place in [`Definition::places`].
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
    name: &'static str,
    wireshark: &'static str,
    kind: PropertyType,
    /// Bits of [`PropertyPlace::bit`].
    places: u16,
    /// The rule that its value must keep.
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
    ($(
        #[doc = $doc:literal]
        $constant:ident $id:literal $kind:ident $name:literal $wireshark:literal
        ($places:expr) $rule:expr $(=> $accessor:ident: $getter:ident -> $type:ty)?;
    )*) => {
        impl PropertyId {
            $(#[doc = $doc] pub const $constant: Self = Self($id);)*

            /// Every identifier, by number.
            pub const ALL: &'static [Self] = &[$(Self::$constant),*];

            #[inline]
            fn definition(self) -> Option<&'static Definition> {
                match self.0 {
                    $($id => {
                        static DEFINITION: Definition = Definition {
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

        impl<'a> Properties<'a> {
            $($(
                #[doc = $doc]
                pub fn $accessor(&self) -> Option<$type> {
                    self.$getter(PropertyId::$constant)
                }
            )?)*
        }
    };
}

// One row a property, which is all that decoding and the views need: identifier, type of the
// value, name in JSON, Wireshark's name, where it may stand, the rule its value must keep, and a
// typed accessor of `Properties` (its name, how the value is read, its type).
properties! {
    /// Whether the payload claims to be UTF-8 text (§3.3.2.3.2).
    PAYLOAD_FORMAT_INDICATOR 0x01 Byte "payload_format_indicator" "Payload Format Indicator"
        (PUBLISH | WILL) Some(Rule::PropertyIsZeroOrOne) => payload_is_text: flag -> bool;
    /// Lifetime of the message in seconds (§3.3.2.3.3).
    MESSAGE_EXPIRY_INTERVAL 0x02 FourByte "message_expiry_interval" "Publication Expiry Interval"
        (PUBLISH | WILL) None => message_expiry_interval: four_byte -> u32;
    /// Kind of the payload, mostly a MIME type (§3.3.2.3.9).
    CONTENT_TYPE 0x03 Text "content_type" "Content Type"
        (PUBLISH | WILL) None => content_type: text -> &'a str;
    /// Topic name for the answer to a request (§3.3.2.3.5).
    RESPONSE_TOPIC 0x08 Text "response_topic" "Response Topic"
        (PUBLISH | WILL) None => response_topic: text -> &'a str;
    /// Data by which a requester recognises the answer (§3.3.2.3.6).
    CORRELATION_DATA 0x09 Binary "correlation_data" "Correlation Data"
        (PUBLISH | WILL) None => correlation_data: binary -> &'a [u8];
    /// Number of a subscription, 1 to 268,435,455 (§3.8.2.1.2, §3.3.2.3.8).
    SUBSCRIPTION_IDENTIFIER 0x0b Variable "subscription_identifier" "Subscription Identifier"
        (PUBLISH | SUBSCRIBE) Some(Rule::SubscriptionIdentifierIsNotZero);
    /// Lifetime of the session after its connection in seconds; 0xffff_ffff: no end (§3.1.2.11.2).
    SESSION_EXPIRY_INTERVAL 0x11 FourByte "session_expiry_interval" "Session Expiry Interval"
        (CONNECT | CONNACK | DISCONNECT) None => session_expiry_interval: four_byte -> u32;
    /// Client identifier that the Server chose (§3.2.2.3.7).
    ASSIGNED_CLIENT_IDENTIFIER 0x12 Text "assigned_client_identifier" "Assigned Client Identifier"
        (CONNACK) None => assigned_client_identifier: text -> &'a str;
    /// Keep Alive that replaces the Client's, in seconds (§3.2.2.3.14).
    SERVER_KEEP_ALIVE 0x13 TwoByte "server_keep_alive" "Server Keep Alive"
        (CONNACK) None => server_keep_alive: two_byte -> u16;
    /// Name of the extended authentication (§3.1.2.11.9).
    AUTHENTICATION_METHOD 0x15 Text "authentication_method" "Authentication Method"
        (CONNECT | CONNACK | AUTH) None => authentication_method: text -> &'a str;
    /// Data of the extended authentication: a secret (§3.1.2.11.10).
    AUTHENTICATION_DATA 0x16 Binary "authentication_data" "Authentication Data"
        (CONNECT | CONNACK | AUTH) None => authentication_data: binary -> &'a [u8];
    /// Whether reason strings and user properties may come with any packet (§3.1.2.11.7).
    REQUEST_PROBLEM_INFORMATION 0x17 Byte "request_problem_information" "Request Problem Information"
        (CONNECT) Some(Rule::PropertyIsZeroOrOne) => request_problem_information: flag -> bool;
    /// Time from the end of the connection to the will, in seconds (§3.1.3.2.2).
    WILL_DELAY_INTERVAL 0x18 FourByte "will_delay_interval" "Will Delay Interval"
        (WILL) None => will_delay_interval: four_byte -> u32;
    /// Whether Response Information is asked for (§3.1.2.11.6).
    REQUEST_RESPONSE_INFORMATION 0x19 Byte "request_response_information" "Request Response Information"
        (CONNECT) Some(Rule::PropertyIsZeroOrOne) => request_response_information: flag -> bool;
    /// Basis for response topics (§3.2.2.3.15).
    RESPONSE_INFORMATION 0x1a Text "response_information" "Response Information"
        (CONNACK) None => response_information: text -> &'a str;
    /// Another server to use (§3.2.2.3.16).
    SERVER_REFERENCE 0x1c Text "server_reference" "Server Reference"
        (CONNACK | DISCONNECT) None => server_reference: text -> &'a str;
    /// Text for diagnosis, not to be parsed (§3.2.2.3.9).
    REASON_STRING 0x1f Text "reason_string" "Reason String"
        (CONNACK | ACKNOWLEDGEMENTS | DISCONNECT | AUTH) None => reason_string: text -> &'a str;
    /// How many messages above QoS 0 may wait for their acknowledgement (§3.1.2.11.3).
    RECEIVE_MAXIMUM 0x21 TwoByte "receive_maximum" "Receive Maximum"
        (CONNECT | CONNACK) Some(Rule::ReceiveMaximumIsNotZero) => receive_maximum: two_byte -> u16;
    /// Highest alias that the sender of this property accepts (§3.1.2.11.5).
    TOPIC_ALIAS_MAXIMUM 0x22 TwoByte "topic_alias_maximum" "Topic Alias Maximum"
        (CONNECT | CONNACK) None => topic_alias_maximum: two_byte -> u16;
    /// Number that stands for a topic name on this connection (§3.3.2.3.4).
    TOPIC_ALIAS 0x23 TwoByte "topic_alias" "Topic Alias"
        (PUBLISH) Some(Rule::TopicAliasIsNotZero) => topic_alias: two_byte -> u16;
    /// Highest QoS that the Server supports; absent for 2 (§3.2.2.3.4).
    MAXIMUM_QOS 0x24 Byte "maximum_qos" "Maximum QoS"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne) => maximum_qos: qos -> QoS;
    /// Whether the Server stores messages (§3.2.2.3.5).
    RETAIN_AVAILABLE 0x25 Byte "retain_available" "Retain Available"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne) => retain_available: flag -> bool;
    /// Name and value of any meaning; may come several times (§3.1.2.11.8).
    USER_PROPERTY 0x26 Pair "user_property" "User Property"
        (EVERYWHERE) None;
    /// Largest control packet that the sender of this property accepts, in bytes (§3.1.2.11.4).
    MAXIMUM_PACKET_SIZE 0x27 FourByte "maximum_packet_size" "Maximum Packet Size"
        (CONNECT | CONNACK) Some(Rule::MaximumPacketSizeIsNotZero) => maximum_packet_size: four_byte -> u32;
    /// Whether filters may have wildcards (§3.2.2.3.11).
    WILDCARD_SUBSCRIPTION_AVAILABLE 0x28 Byte "wildcard_subscription_available" "Wildcard Subscription Available"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne) => wildcard_subscription_available: flag -> bool;
    /// Whether subscriptions may have identifiers (§3.2.2.3.12).
    SUBSCRIPTION_IDENTIFIER_AVAILABLE 0x29 Byte "subscription_identifiers_available" "Subscription Identifier Available"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne) => subscription_identifiers_available: flag -> bool;
    /// Whether subscriptions may be shared (§3.2.2.3.13).
    SHARED_SUBSCRIPTION_AVAILABLE 0x2a Byte "shared_subscription_available" "Shared Subscription Available"
        (CONNACK) Some(Rule::PropertyIsZeroOrOne) => shared_subscription_available: flag -> bool;
}

impl PropertyId {
    /// Returns the name in JSON: `topic_alias`; `unknown` where it is not defined.
    pub fn name(self) -> &'static str {
        self.definition().map_or("unknown", |known| known.name)
    }

    /// Returns Wireshark's words: `Topic Alias`; `Unknown` where it is not defined.
    pub fn wireshark(self) -> &'static str {
        self.definition().map_or("Unknown", |known| known.wireshark)
    }

    /// Returns the type of its value; `None` where it is not defined.
    pub fn kind(self) -> Option<PropertyType> {
        self.definition().map(|known| known.kind)
    }

    /// Returns whether it may stand there.
    pub fn is_allowed(self, place: PropertyPlace) -> bool {
        self.definition()
            .is_some_and(|known| known.places & place.bit() != 0)
    }

    /// Returns whether it may stand there several times (§2.2.2.2, §3.3.2.3.8).
    pub fn may_repeat(self, place: PropertyPlace) -> bool {
        self == Self::USER_PROPERTY
            || (self == Self::SUBSCRIPTION_IDENTIFIER
                && place == PropertyPlace::Packet(PacketType::Publish))
    }

    /// Returns the rule that this numeric value breaks.
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
    /// [`PropertyType::Byte`].
    Byte(u8),
    /// [`PropertyType::TwoByte`].
    TwoByte(u16),
    /// [`PropertyType::FourByte`].
    FourByte(u32),
    /// [`PropertyType::Variable`].
    Variable(u32),
    /// [`PropertyType::Binary`].
    Binary(&'a [u8]),
    /// [`PropertyType::Text`].
    Text(&'a str),
    /// [`PropertyType::Pair`]: name and value.
    Pair(&'a str, &'a str),
}

impl<'a> PropertyValue<'a> {
    /// Returns the value of that type in all of `bytes`; `None` if its text is ill-formed.
    fn of(kind: PropertyType, bytes: &'a [u8]) -> Option<Self> {
        Some(match kind {
            PropertyType::Byte => Self::Byte(*bytes.first()?),
            PropertyType::TwoByte => Self::TwoByte(u16::from_be_bytes(*bytes.first_chunk()?)),
            PropertyType::FourByte => Self::FourByte(u32::from_be_bytes(*bytes.first_chunk()?)),
            PropertyType::Variable => Self::Variable(variable_integer(bytes)?.0),
            PropertyType::Binary => Self::Binary(bytes.get(2..)?),
            PropertyType::Text => Self::Text(prefixed_text(bytes)?.0),
            PropertyType::Pair => {
                let (name, rest) = prefixed_text(bytes)?;
                Self::Pair(name, prefixed_text(rest)?.0)
            }
        })
    }

    /// Returns the type of the value.
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

    /// Returns the number, of any width; `None` for other types.
    pub fn number(&self) -> Option<u32> {
        match *self {
            Self::Byte(value) => Some(value.into()),
            Self::TwoByte(value) => Some(value.into()),
            Self::FourByte(value) | Self::Variable(value) => Some(value),
            _ => None,
        }
    }

    /// Returns the text; `None` for other types.
    pub fn text(&self) -> Option<&'a str> {
        match *self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the binary data; `None` for other types.
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
    /// A defined identifier.
    pub id: PropertyId,
    /// The value in the type of that identifier.
    pub value: PropertyValue<'a>,
}

/// The properties of a packet: bytes already found valid (after Property Length), walked again
/// on demand in wire order, so that no packet costs an allocation. Empty before 5.0.
///
/// Where a property comes several times, which is malformed except for two of them, the typed
/// accessors return the first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Properties<'a> {
    pub(super) bytes: &'a [u8],
}

impl<'a> Properties<'a> {
    /// Returns whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns the bytes that Property Length counts.
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Returns identifiers, types and undecoded values in wire order, to the first that is cut or
    /// not defined.
    fn undecoded(&self) -> impl Iterator<Item = (PropertyId, PropertyType, &'a [u8])> + use<'a> {
        let mut bytes = self.bytes;
        std::iter::from_fn(move || {
            let (id, rest) = bytes.split_first()?;
            let id = PropertyId(*id);
            let kind = id.kind()?;
            let (value, rest) = rest.split_at_checked(length_at(kind, rest)?)?;
            bytes = rest;
            Some((id, kind, value))
        })
    }

    /// Returns the properties in wire order.
    pub fn iter(&self) -> impl Iterator<Item = Property<'a>> + use<'a> {
        self.undecoded().map_while(|(id, kind, bytes)| {
            let value = PropertyValue::of(kind, bytes)?;
            Some(Property { id, value })
        })
    }

    /// Returns the first property of that identifier. Those before it are stepped over by their
    /// lengths alone: this runs for nearly every packet of 5.0 to find an alias.
    pub fn find(&self, id: PropertyId) -> Option<PropertyValue<'a>> {
        let (_, kind, bytes) = self.undecoded().find(|(found, ..)| *found == id)?;
        PropertyValue::of(kind, bytes)
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

    fn binary(&self, id: PropertyId) -> Option<&'a [u8]> {
        self.find(id)?.binary()
    }

    fn qos(&self, id: PropertyId) -> Option<QoS> {
        QoS::from_bits(u8::try_from(self.find(id)?.number()?).ok()?)
    }

    /// Returns all Subscription Identifiers in wire order: a PUBLISH may carry several
    /// (§3.3.2.3.8).
    pub fn subscription_identifiers(&self) -> impl Iterator<Item = u32> + use<'a> {
        self.iter().filter_map(|property| match property.value {
            PropertyValue::Variable(value) => Some(value),
            _ => None,
        })
    }

    /// Returns names and values of the User Properties in wire order; a name may come again
    /// (§3.3.2.3.7).
    pub fn user_properties(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.iter().filter_map(|property| match property.value {
            PropertyValue::Pair(name, value) => Some((name, value)),
            _ => None,
        })
    }
}

/// Returns how many bytes a value takes, without a look at its text.
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

/// Returns a variable byte integer and how many bytes it takes; `None` if it is cut or has more
/// than four (§1.5.5).
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

/// Splits text behind its two-byte length off (§1.5.4).
pub(super) fn prefixed_text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (len, rest) = bytes.split_first_chunk()?;
    let (bytes, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
    let text = plain_text(bytes).or_else(|| simdutf8::basic::from_utf8(bytes).ok())?;
    Some((text, rest))
}

/// Returns whether a User Property of this name is likely to hold a secret: clients pass
/// passwords and tokens in such properties where their broker asks for more than CONNECT has
/// room for.
///
/// A name is split into words where case changes and at all but letters and digits: `X-API-Key` and
/// `xApiKey` are `x`, `api` and `key`. One word is enough; `design` has none.
pub fn names_a_secret(name: &str) -> bool {
    // `PassWord`, `api-key` and `pass` as the last word: `user-pass`, not `pass-count`.
    let letters: String = (name.chars())
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    let mut word = String::new();
    let mut before = ' ';
    let mut all = name.chars().peekable();
    while let Some(c) = all.next() {
        let after_lower = before.is_ascii_lowercase() || before.is_ascii_digit();
        // The last upper case before a lower one: `APIKey` is `api` and `key`.
        let last_upper =
            before.is_ascii_uppercase() && all.peek().is_some_and(char::is_ascii_lowercase);
        let begins = c.is_ascii_uppercase() && (after_lower || last_upper);
        if begins || !c.is_ascii_alphanumeric() {
            if is_secret(&word) {
                return true;
            }
            word.clear();
        }
        if c.is_ascii_alphanumeric() {
            word.push(c.to_ascii_lowercase());
        }
        before = c;
    }
    is_secret(&word) || word == "pass" || is_secret(&letters)
}

/// Returns whether a word in lower case speaks of a secret; in the plural too, or with a number
/// behind it.
fn is_secret(word: &str) -> bool {
    const WORDS: [&str; 23] = [
        "auth",
        "authdata",
        "authentication",
        "bearer",
        "cookie",
        "cred",
        "csrf",
        "hmac",
        "jwt",
        "key",
        "oauth",
        "otp",
        "passcode",
        "passkey",
        "pin",
        "psk",
        "pwd",
        "sas",
        "sasl",
        "session",
        "sessionid",
        "sid",
        "sig",
    ];
    // Others are written before these without anything between: `userpassword`, `idtoken`.
    const ENDINGS: [&str; 13] = [
        "accesskey",
        "apikey",
        "authkey",
        "authorization",
        "credential",
        "passphrase",
        "passwd",
        "password",
        "privatekey",
        "secret",
        "secretkey",
        "signature",
        "token",
    ];
    let word = word.trim_end_matches(|c: char| c.is_ascii_digit());
    [word, word.strip_suffix('s').unwrap_or(word)]
        .into_iter()
        .any(|word| WORDS.contains(&word) || ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

#[cfg(test)]
mod tests {
    use super::names_a_secret;

    #[test]
    fn names_of_secrets_are_known_however_they_are_written() {
        for name in [
            "password",
            "Passwords",
            "PassWord",
            "userpassword",
            "user-pass",
            "X-API-Key",
            "xApiKey",
            "APIKey",
            "apikey2",
            "accessToken",
            "access_token",
            "Authorization",
            "x.auth",
            "BearerValue",
            "set-cookie",
            "sessionid",
            "sessionID",
            "sig",
            "pin",
            "pwd",
            "SASL.data",
            "키_token",
        ] {
            assert!(names_a_secret(name), "{name}");
        }
    }

    #[test]
    fn a_word_within_a_word_is_no_secret() {
        for name in [
            "",
            "region",
            "design",
            "author",
            "spinning",
            "signal",
            "keyboard",
            "passenger-count",
            "pass-count",
            "secretary",
            "tokenizer",
            "monkey",
            "compass",
            "machine",
            "path",
            "키",
        ] {
            assert!(!names_a_secret(name), "{name}");
        }
    }
}
