//! CONNECT and the will in it.
//!
//! ```text
//! protocol name | level | Connect Flags | Keep Alive | properties (5.0)
//! client identifier | [will properties (5.0), topic, payload] | [user name] | [password]
//! ```

use crate::base::field::{FieldVisitor, Value};
use crate::mqtt::fields as f;
use crate::mqtt::property::{Properties, PropertyPlace};
use crate::mqtt::reader::{Reader, Step};
use crate::mqtt::rule::Rule;
use crate::mqtt::words::{ProtocolVersion, QoS};

/// The bit of the protocol level that mosquitto's bridges set to make themselves known.
const BRIDGE_BIT: u8 = 0x80;

/// The Connect Flag Clean Session (3.x), Clean Start (5.0).
const CLEAN: u8 = 0x02;

/// CONNECT (MQTT 5.0 §3.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Connect<'a> {
    /// `MQTT`, or `MQIsdp` in 3.1.
    pub protocol_name: &'a str,
    /// Without the bridge bit: 3, 4 or 5 in a packet of a known version.
    pub protocol_level: u8,
    /// Bit 7 of the level byte: set by mosquitto's bridges.
    pub bridge: bool,
    /// The Connect Flags byte as it stood on the wire.
    pub flags: u8,
    /// In seconds; 0 turns the mechanism off.
    pub keep_alive: u16,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// Empty where the Server is to choose one.
    pub client_id: &'a str,
    /// The will, if the Will Flag is set.
    pub will: Option<Will<'a>>,
    /// The user name, if its flag is set.
    pub user_name: Option<&'a str>,
    /// The password, if its flag is set: a secret.
    pub password: Option<&'a [u8]>,
}

/// The Will Message that a CONNECT registers (MQTT 5.0 §3.1.2.5).
#[derive(Clone, Debug, PartialEq)]
pub struct Will<'a> {
    /// The QoS at which it is published.
    pub qos: QoS,
    /// Whether it is published with RETAIN.
    pub retain: bool,
    /// Empty before 5.0.
    pub properties: Properties<'a>,
    /// The topic name.
    pub topic: &'a str,
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Connect<'a> {
    /// Makes a CONNECT of `version` with Clean Session, without will, user name and password.
    pub const fn new(version: ProtocolVersion, client_id: &'a str) -> Self {
        let (protocol_name, protocol_level) = match version {
            ProtocolVersion::V3_1 => ("MQIsdp", 3),
            ProtocolVersion::V3_1_1 => ("MQTT", 4),
            ProtocolVersion::V5_0 => ("MQTT", 5),
        };
        Self {
            protocol_name,
            protocol_level,
            bridge: false,
            flags: CLEAN,
            keep_alive: 60,
            properties: Properties { bytes: &[] },
            client_id,
            will: None,
            user_name: None,
            password: None,
        }
    }

    /// Returns the flags as they are written: Clean Session from `flags`, all others from the
    /// members that are there.
    pub(in crate::mqtt) fn written_flags(&self) -> u8 {
        let will = self.will.as_ref().map_or(0, |will| {
            0x04 | (will.qos as u8) << 3 | u8::from(will.retain) << 5
        });
        let user_name = u8::from(self.user_name.is_some()) << 7;
        let password = u8::from(self.password.is_some()) << 6;
        self.flags & CLEAN | will | user_name | password
    }

    /// Returns the version of the protocol level; `None` for a level that is none of 3, 4
    /// and 5, whose packet was read in the layout of 3.1.1. The protocol name is not asked:
    /// see [`Connect::is_known`].
    pub const fn version(&self) -> Option<ProtocolVersion> {
        version_of(self.protocol_level)
    }

    /// Returns whether protocol name and level go together in one of the specifications.
    pub fn is_known(&self) -> bool {
        matches!(
            (self.protocol_name, self.protocol_level),
            ("MQIsdp", 3) | ("MQTT", 4 | 5)
        )
    }

    /// Returns Clean Session (3.x) or Clean Start (5.0).
    pub const fn clean(&self) -> bool {
        self.flags & CLEAN != 0
    }

    pub(super) fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>) -> Step<Self> {
        let protocol_name = reader.text(&f::PROTOCOL_NAME_LENGTH, &f::PROTOCOL_NAME)?;
        let level_at = reader.offset();
        let level = reader.named(&f::VERSION, level_name)?;
        let known = version_of(level & !BRIDGE_BIT);
        reader.version = known.unwrap_or(ProtocolVersion::V3_1_1);
        let rest = Self::read_rest(reader, protocol_name, level);
        if known.is_some() {
            return rest;
        }
        // The rules of an unknown level are not known: all that matters is that its layout is
        // that of 3.1.1.
        reader.forgive();
        if rest.is_err() || !reader.is_at_end() {
            return Err(Rule::ProtocolLevelIsKnown.at(level_at));
        }
        rest
    }

    /// Reads everything behind the protocol level.
    fn read_rest<F: FieldVisitor<'a>>(
        reader: &mut Reader<'a, '_, F>,
        protocol_name: &'a str,
        level: u8,
    ) -> Step<Self> {
        let flags_at = reader.offset();
        let flags = reader.flags(&f::CONNECT_FLAGS, &f::CONNECT_BITS)?;
        check_flags(reader, flags, flags_at);
        let keep_alive = reader.number(&f::KEEP_ALIVE)?;
        let properties = reader.own_properties()?;
        let client_id = reader.text(&f::CLIENT_ID_LENGTH, &f::CLIENT_ID)?;
        let will = match flags & 0x04 {
            0 => None,
            _ => Some(Will::read(reader, flags)?),
        };
        // In 3.1 Remaining Length takes precedence: a name or password that is announced
        // may be missing (§3.1, "User name").
        let may_miss = reader.version == ProtocolVersion::V3_1;
        let user_name = if flags & 0x80 == 0 || (may_miss && reader.is_at_end()) {
            None
        } else {
            Some(reader.text(&f::USER_NAME_LENGTH, &f::USER_NAME)?)
        };
        let password = if flags & 0x40 == 0 || (may_miss && reader.is_at_end()) {
            None
        } else {
            Some(reader.binary(&f::PASSWORD_LENGTH, &f::PASSWORD, Value::Secret)?)
        };
        Ok(Self {
            protocol_name,
            protocol_level: level & !BRIDGE_BIT,
            bridge: level & BRIDGE_BIT != 0,
            flags,
            keep_alive,
            properties,
            client_id,
            will,
            user_name,
            password,
        })
    }
}

impl<'a> Will<'a> {
    fn read<F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>, flags: u8) -> Step<Self> {
        Ok(Self {
            // QoS 3 is noted with the flags, so this value never gets out.
            qos: QoS::from_bits(flags >> 3 & 0x03).unwrap_or(QoS::ExactlyOnce),
            retain: flags & 0x20 != 0,
            properties: reader.properties(&f::WILL_PROPERTIES, PropertyPlace::Will)?,
            topic: reader.text(&f::WILL_TOPIC_LENGTH, &f::WILL_TOPIC)?,
            payload: reader.binary(&f::WILL_MESSAGE_LENGTH, &f::WILL_MESSAGE, Value::Bytes)?,
        })
    }
}

/// Notes the Connect Flags that the packet's version forbids.
fn check_flags<'a, F: FieldVisitor<'a>>(reader: &mut Reader<'a, '_, F>, flags: u8, offset: usize) {
    if flags & 0x18 == 0x18 {
        reader.note(Rule::WillQosIsNotThree, offset);
    }
    // 3.1 does not use bit 0, and ignores what has no meaning (§3.1, "Connect flags").
    if reader.version == ProtocolVersion::V3_1 {
        return;
    }
    if flags & 0x01 != 0 {
        reader.note(Rule::ConnectReservedFlagIsZero, offset);
    }
    if flags & 0x04 == 0 && flags & 0x38 != 0 {
        reader.note(Rule::WillFlagsNeedAWill, offset);
    }
    if reader.version == ProtocolVersion::V3_1_1 && flags & 0xc0 == 0x40 {
        reader.note(Rule::PasswordNeedsUserName, offset);
    }
}

/// Returns the version of a protocol level without the bridge bit.
const fn version_of(level: u8) -> Option<ProtocolVersion> {
    match level {
        3 => Some(ProtocolVersion::V3_1),
        4 => Some(ProtocolVersion::V3_1_1),
        5 => Some(ProtocolVersion::V5_0),
        _ => None,
    }
}

/// Returns Wireshark's words for a protocol level with the bridge bit.
const fn level_name(level: u8) -> &'static str {
    match level {
        3 => "MQTT v3.1",
        4 => "MQTT v3.1.1",
        5 => "MQTT v5.0",
        0x83 => "MQTT v3.1, bridge",
        0x84 => "MQTT v3.1.1, bridge",
        0x85 => "MQTT v5.0, bridge",
        _ => "Unknown",
    }
}
