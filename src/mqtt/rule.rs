//! The rules that one control packet can break, named by what must hold.

use super::words::ProtocolVersion;

/// The packet cannot be parsed according to the specification (MQTT 5.0 §1.2,
/// "Malformed Packet"). What was read before `offset` stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed {
    /// The rule that is broken.
    pub rule: Rule,
    /// In bytes from the first byte of the control packet.
    pub offset: usize,
}

/// A readable packet that means something forbidden (MQTT 5.0 §1.2, "Protocol Error") or unwise.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Violation {
    /// The rule that is broken.
    pub rule: Rule,
    /// In bytes from the first byte of the control packet.
    pub offset: usize,
}

/// The severity of a broken rule.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Breach {
    /// The receiver can't make sense of the packet: reading ends with an error.
    Malformed,
    /// The packet is readable and forbidden.
    ProtocolError,
    /// The packet is legal; its sender should do better, or many receivers refuse it.
    Advice,
}

macro_rules! rules {
    ($($variant:ident $breach:ident [$($old:literal),*] [$($new:literal),*] $sentence:literal)*) => {
        /// Named by what must hold. The numbers differ between versions of the specification,
        /// so a rule is not its number.
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::IntoStaticStr)]
        #[strum(serialize_all = "kebab-case")]
        #[non_exhaustive]
        pub enum Rule {
            $(#[doc = $sentence] $variant,)*
        }

        impl Rule {
            /// Every rule, those of malformed packets first.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Returns a sentence on what must hold.
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }

            /// Returns the severity of breaking the rule.
            pub const fn breach(self) -> Breach {
                match self {
                    $(Self::$variant => Breach::$breach,)*
                }
            }

            /// Returns the statements of 3.1.1 and of 5.0.
            const fn oasis(self) -> (&'static [&'static str], &'static [&'static str]) {
                match self {
                    $(Self::$variant => (&[$($old),*], &[$($new),*]),)*
                }
            }
        }
    };
}

// Variant, how grave, statements of 3.1.1, statements of 5.0, sentence.
rules! {
    RemainingLengthHasFourOctets Malformed [] []
        "Remaining Length takes four octets at most; here a fifth follows, so nobody can tell where the packet ends."
    FieldsFitThePacket Malformed [] []
        "Every field ends within the packet; this one would go on past the end that Remaining Length sets."
    NothingFollowsTheFields Malformed [] []
        "A packet ends with its last field; here octets follow that belong to no field."
    PacketTypeIsNotZero Malformed [] []
        "Control packet type 0 is reserved and never sent."
    AuthComesWithFive Malformed [] []
        "Control packet type 15 (AUTH) came with MQTT 5.0 and is reserved before."
    ReservedHeaderFlagsHold Malformed ["MQTT-2.2.2-1", "MQTT-2.2.2-2"] ["MQTT-2.1.3-1"]
        "Only PUBLISH chooses the low four bits of its first octet; for every other packet type they are fixed."
    QosIsNotThree Malformed ["MQTT-3.3.1-4"] ["MQTT-3.3.1-4"]
        "QoS is 0, 1 or 2; a PUBLISH with both QoS bits set has none of them."
    DupNeedsQos Malformed ["MQTT-3.3.1-2"] ["MQTT-3.3.1-2"]
        "DUP marks a redelivery, and a message of QoS 0 is never redelivered, so DUP is 0 there."
    TextIsUtf8 Malformed ["MQTT-1.5.3-1"] ["MQTT-1.5.4-1"]
        "Every string is well-formed UTF-8."
    TextHasNoNull Malformed ["MQTT-1.5.3-2"] ["MQTT-1.5.4-2"]
        "No string holds the null character U+0000."
    PacketIdentifierIsNotZero Malformed ["MQTT-2.3.1-1"] ["MQTT-2.2.1-3", "MQTT-2.2.1-4"]
        "A packet identifier is never 0."
    TopicNameHasNoWildcard Malformed
        ["MQTT-3.3.2-2", "MQTT-4.7.1-1"] ["MQTT-3.3.2-2", "MQTT-4.7.0-1"]
        "A message is published to one topic: its name holds neither + nor #, which only topic filters use."
    TopicNameIsNotEmpty Malformed ["MQTT-4.7.3-1"] ["MQTT-4.7.3-1"]
        "A topic name has at least one character; only a Topic Alias (MQTT 5.0) may stand in its place."
    ConnectReservedFlagIsZero Malformed ["MQTT-3.1.2-3"] ["MQTT-3.1.2-3"]
        "Bit 0 of the Connect Flags is reserved and must be 0."
    WillFlagsNeedAWill Malformed
        ["MQTT-3.1.2-11", "MQTT-3.1.2-13", "MQTT-3.1.2-15"] ["MQTT-3.1.2-11", "MQTT-3.1.2-13"]
        "Will QoS and Will Retain are 0 where the Will Flag is 0: there is no will that they could describe."
    WillQosIsNotThree Malformed ["MQTT-3.1.2-14"] ["MQTT-3.1.2-12"]
        "The Will QoS is 0, 1 or 2."
    PasswordNeedsUserName Malformed ["MQTT-3.1.2-22"] []
        "Before MQTT 5.0 a password comes only with a user name."
    ConnackReservedFlagsAreZero Malformed [] ["MQTT-3.2.2-1"]
        "Bits 7 to 1 of the Connect Acknowledge Flags are reserved and must be 0."
    SubscribeHasAFilter Malformed ["MQTT-3.8.3-3"] ["MQTT-3.8.3-2"]
        "SUBSCRIBE asks for at least one topic filter."
    UnsubscribeHasAFilter Malformed ["MQTT-3.10.3-2"] ["MQTT-3.10.3-2"]
        "UNSUBSCRIBE names at least one topic filter."
    AcknowledgementHasACode Malformed ["MQTT-3.9.3-1"] ["MQTT-3.9.3-1", "MQTT-3.11.3-1"]
        "SUBACK (and UNSUBACK in MQTT 5.0) answers each topic filter with a code, so it holds one at least."
    SubscriptionQosIsNotThree Malformed ["MQTT-3-8.3-4"] []
        "The QoS that a subscription asks for is 0, 1 or 2."
    SubscriptionReservedBitsAreZero Malformed ["MQTT-3-8.3-4"] ["MQTT-3.8.3-5"]
        "The reserved bits of a subscription's options octet must be 0."
    RetainHandlingIsNotThree Malformed [] []
        "Retain Handling of a subscription is 0, 1 or 2."
    NoLocalIsNotShared Malformed [] ["MQTT-3.8.3-4"]
        "A shared subscription can't ask for No Local."
    VariableIntegerHasFourOctets Malformed [] []
        "A variable byte integer takes four octets at most."
    PropertiesFitThePacket Malformed [] []
        "Property Length counts octets of its own packet; here it goes past the end."
    PropertyFitsTheProperties Malformed [] []
        "Every property ends within the octets that Property Length counts."
    PropertyIsKnown Malformed [] []
        "A property's identifier is one of the 27 that MQTT 5.0 defines."
    PropertyIsAllowedHere Malformed [] []
        "Each property belongs to certain packet types only; this one has no place in this packet."
    PropertyIsNotRepeated Malformed [] []
        "Only User Property may stand several times in a packet, and Subscription Identifier in PUBLISH."
    PropertyIsZeroOrOne Malformed [] []
        "This property says no or yes: its value is 0 or 1."
    SubscriptionIdentifierIsNotZero Malformed [] []
        "A Subscription Identifier is 1 or more."
    ReceiveMaximumIsNotZero Malformed [] []
        "A Receive Maximum of 0 would allow no message at all; it is 1 or more."
    TopicAliasIsNotZero Malformed [] ["MQTT-3.3.2-8"]
        "A Topic Alias is 1 or more."
    MaximumPacketSizeIsNotZero Malformed [] []
        "A Maximum Packet Size of 0 would allow no packet at all; it is 1 or more."

    ProtocolNameIsKnown ProtocolError ["MQTT-3.1.2-1"] ["MQTT-3.1.2-1"]
        "The protocol name is MQTT, or MQIsdp in version 3.1."
    ProtocolLevelIsKnown ProtocolError ["MQTT-3.1.2-2"] ["MQTT-3.1.2-2"]
        "The protocol level is 3 (with the name MQIsdp), 4 or 5 (with MQTT)."
    LengthIsMinimal ProtocolError [] ["MQTT-1.5.5-1"]
        "A variable byte integer takes no more octets than its value needs."
    TopicFilterIsNotEmpty ProtocolError ["MQTT-4.7.3-1"] ["MQTT-4.7.3-1"]
        "A topic filter has at least one character."
    MultiLevelWildcardIsLast ProtocolError ["MQTT-4.7.1-2"] ["MQTT-4.7.1-1"]
        "In a topic filter # stands alone in the last level, as in a/b/#."
    SingleLevelWildcardIsAlone ProtocolError ["MQTT-4.7.1-3"] ["MQTT-4.7.1-2"]
        "In a topic filter + takes a whole level, as in a/+/c."
    ShareNameIsPlain ProtocolError [] ["MQTT-4.8.2-1", "MQTT-4.8.2-2"]
        "A shared subscription names its group in one level without wildcards: $share/group/filter."
    SharedSubscriptionHasAFilter ProtocolError [] ["MQTT-4.8.2-2"]
        "A shared subscription is $share/, the group's name, / and a topic filter."
    WillTopicIsATopicName ProtocolError
        ["MQTT-4.7.1-1", "MQTT-4.7.3-1"] ["MQTT-4.7.0-1", "MQTT-4.7.3-1"]
        "The will is published to one topic: its name is not empty and holds neither + nor #."
    ResponseTopicIsATopicName ProtocolError [] ["MQTT-3.3.2-14"]
        "A Response Topic is a topic name: it is not empty and holds neither + nor #."
    EmptyClientIdIsClean ProtocolError ["MQTT-3.1.3-7"] []
        "A Client without an identifier of its own must ask for a clean session."
    ClientIdFitsThreeOne ProtocolError [] []
        "In MQTT 3.1 a client identifier has 1 to 23 characters."
    AuthenticationDataNeedsAMethod ProtocolError [] []
        "Authentication Data means nothing without an Authentication Method."
    AuthHasAMethod ProtocolError [] []
        "AUTH names its Authentication Method."
    RefusalHasNoSession ProtocolError ["MQTT-3.2.2-4"] ["MQTT-3.2.2-6"]
        "A CONNACK that refuses the connection can't say that a session is present."
    ConnackCodeIsDefined ProtocolError [] ["MQTT-3.2.2-8"]
        "CONNACK uses one of the codes that this version defines for it."
    PubackCodeIsDefined ProtocolError [] ["MQTT-3.4.2-1"]
        "PUBACK uses one of the reason codes that MQTT 5.0 defines for it."
    PubrecCodeIsDefined ProtocolError [] ["MQTT-3.5.2-1"]
        "PUBREC uses one of the reason codes that MQTT 5.0 defines for it."
    PubrelCodeIsDefined ProtocolError [] ["MQTT-3.6.2-1"]
        "PUBREL uses one of the reason codes that MQTT 5.0 defines for it."
    PubcompCodeIsDefined ProtocolError [] ["MQTT-3.7.2-1"]
        "PUBCOMP uses one of the reason codes that MQTT 5.0 defines for it."
    SubackCodeIsDefined ProtocolError ["MQTT-3.9.3-2"] ["MQTT-3.9.3-2"]
        "SUBACK uses only the codes that this version defines for it."
    UnsubackCodeIsDefined ProtocolError [] ["MQTT-3.11.3-2"]
        "UNSUBACK uses one of the reason codes that MQTT 5.0 defines for it."
    DisconnectCodeIsDefined ProtocolError [] ["MQTT-3.14.2-1"]
        "DISCONNECT uses one of the reason codes that MQTT 5.0 defines for it."
    AuthCodeIsDefined ProtocolError [] ["MQTT-3.15.2-1"]
        "AUTH uses one of the reason codes that MQTT 5.0 defines for it."
    PayloadIsTheTextItClaims Advice [] []
        "A message whose Payload Format Indicator is 1 carries UTF-8 text."
    TextHasNoControlCharacter Advice [] []
        "Strings should hold no control characters and no non-characters: a receiver may refuse them."
}

impl Rule {
    /// Returns the name in JSON: `packet-identifier-is-not-zero`.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// Returns the error of a packet that breaks the rule at `offset`.
    pub(super) const fn at(self, offset: usize) -> Malformed {
        Malformed { rule: self, offset }
    }

    /// Returns the statements broken, as that version of the specification numbers them; one
    /// rule may be several, and not all have a number. MQTT 3.1 has none.
    pub const fn ids(self, version: ProtocolVersion) -> &'static [&'static str] {
        let (old, new) = self.oasis();
        match version {
            ProtocolVersion::V3_1 => &[],
            ProtocolVersion::V3_1_1 => old,
            ProtocolVersion::V5_0 => new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ShareNameIsPlain` as `share-name-is-plain`.
    fn kebab(variant: &str) -> String {
        let mut out = String::new();
        for c in variant.chars() {
            if c.is_uppercase() && !out.is_empty() {
                out.push('-');
            }
            out.extend(c.to_lowercase());
        }
        out
    }

    #[test]
    fn a_rule_is_named_by_what_must_hold() {
        for rule in Rule::ALL {
            assert_eq!(rule.name(), kebab(&format!("{rule:?}")));
            assert!(rule.sentence().ends_with('.'), "{rule:?}");
        }
    }

    #[test]
    fn statement_numbers_are_of_the_version_asked_for() {
        let rule = Rule::TextIsUtf8;
        assert_eq!(rule.ids(ProtocolVersion::V3_1), [""; 0]);
        assert_eq!(rule.ids(ProtocolVersion::V3_1_1), ["MQTT-1.5.3-1"]);
        assert_eq!(rule.ids(ProtocolVersion::V5_0), ["MQTT-1.5.4-1"]);
        for rule in Rule::ALL {
            for id in rule.oasis().0.iter().chain(rule.oasis().1) {
                assert!(id.starts_with("MQTT-"), "{id}");
            }
        }
    }
}
