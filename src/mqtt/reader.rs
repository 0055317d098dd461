//! One cursor over a control packet: each field is reported as it is read.
//!
//! Two kinds of trouble. Where the place of the next field is lost, reading ends with an
//! error. Where only a value is wrong (a reserved flag, QoS 3, ill-formed text), the first
//! such rule is noted, reading goes on so that the rest is reported too, and the note becomes
//! the error at the end.
//!
//! This is the hot path of every view: with the visitor `()` the reports compile to nothing,
//! and the functions that nearly every packet calls are inlined.

use super::property::{self, PropertyPlace, PropertyType};
use super::property::{Properties, PropertyId};
use super::rule::{Malformed, Rule};
use super::topic::is_wildcard;
use super::words::{PacketIdentifier, PacketType, ProtocolVersion};
use super::{fields as f, reason};
use crate::base::field::{Bit, Field, FieldDef, FieldVisitor, Value};
use crate::base::scan::any;
use crate::base::{plain_text, plain_text_without};

/// The result of reading one field: an error ends the reading of the packet.
pub(super) type Step<T> = Result<T, Malformed>;

/// How bytes are reported.
#[derive(Clone, Copy)]
pub(super) enum Visibility {
    /// As [`Value::Bytes`].
    Open,
    /// As [`Value::Secret`].
    Secret,
}

/// A cursor over one control packet that reports to the visitor `F`.
pub(super) struct Reader<'a, 'f, F> {
    /// From the packet's first byte to the end of what may be read.
    bytes: &'a [u8],
    /// Never beyond the end of `bytes`.
    at: usize,
    fields: &'f mut F,
    /// The first rule broken by a value.
    noted: Option<Malformed>,
}

impl<'a, 'f, F: FieldVisitor<'a>> Reader<'a, 'f, F> {
    #[inline]
    pub(super) fn new(bytes: &'a [u8], fields: &'f mut F) -> Self {
        Self {
            bytes,
            at: 0,
            fields,
            noted: None,
        }
    }

    /// Returns the place of the next byte, from the first of the packet.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// Returns how many bytes may be read in all.
    pub(super) const fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Returns whether nothing is left to be read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Notes a rule broken by a value; reading goes on, and the first note counts.
    #[cold]
    pub(super) fn note(&mut self, rule: Rule, offset: usize) {
        self.noted.get_or_insert(Malformed { rule, offset });
    }

    /// Returns the first rule broken by a value.
    pub(super) const fn noted(&self) -> Option<Malformed> {
        self.noted
    }

    /// Forgets what was noted: the packet follows rules that are not known here.
    pub(super) fn forgive(&mut self) {
        self.noted = None;
    }

    /// Steps over bytes that were reported already.
    pub(super) fn skip(&mut self, bytes: usize) {
        self.at = self.at.saturating_add(bytes).min(self.bytes.len());
    }

    /// Ends the reading once all fields are read.
    ///
    /// # Errors
    /// The first rule that was noted, or that bytes are left.
    #[inline]
    pub(super) fn finish(&mut self) -> Step<()> {
        if !self.is_at_end() {
            let offset = self.at;
            self.note(Rule::NothingFollowsTheFields, offset);
            let rest = self.bytes.get(offset..).unwrap_or(&[]);
            // Behind the fields of a CONNECT may stand a password whose flag is not set.
            let packet_type = self.bytes.first().map(|first| PacketType::of(*first));
            let value = match packet_type {
                Some(PacketType::Connect) => Value::Secret(rest),
                _ => Value::Bytes(rest),
            };
            self.report(&f::TRAILING, value, offset, rest.len());
        }
        match self.noted {
            None => Ok(()),
            Some(malformed) => Err(malformed),
        }
    }

    /// Reports a leaf.
    #[inline(always)]
    pub(super) fn report(
        &mut self,
        def: &'static FieldDef,
        value: Value<'a>,
        offset: usize,
        length: usize,
    ) {
        if F::ACTIVE {
            self.fields.field(Field {
                def,
                value,
                offset,
                length,
            });
        }
    }

    /// Reports the field that starts a branch.
    #[inline(always)]
    pub(super) fn open(
        &mut self,
        def: &'static FieldDef,
        value: Value<'a>,
        offset: usize,
        length: usize,
    ) {
        if F::ACTIVE {
            self.fields.open(Field {
                def,
                value,
                offset,
                length,
            });
        }
    }

    /// Ends the innermost branch.
    #[inline(always)]
    pub(super) fn close(&mut self) {
        if F::ACTIVE {
            self.fields.close();
        }
    }

    /// Reports a byte of flags as a branch with its bit fields.
    #[inline(always)]
    pub(super) fn report_bits(
        &mut self,
        def: &'static FieldDef,
        byte: u8,
        bits: &'static [Bit],
        offset: usize,
    ) {
        if F::ACTIVE {
            self.open(def, Value::Flags { byte, bits }, offset, 1);
            for bit in bits {
                self.report(bit.def, bit.value(byte), offset, 1);
            }
            self.close();
        }
    }

    /// Returns the error of a field that ends behind the packet.
    #[cold]
    fn past_the_end<T>(&self) -> Step<T> {
        Err(Malformed {
            rule: Rule::FieldsFitThePacket,
            offset: self.at,
        })
    }

    /// Takes the next `len` bytes, to be reported by the caller.
    #[inline]
    fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        match rest.split_at_checked(len) {
            Some((taken, _)) => {
                self.at += len;
                Ok(taken)
            }
            None => self.past_the_end(),
        }
    }

    /// Reads a byte, to be reported by the caller.
    #[inline]
    pub(super) fn byte(&mut self) -> Step<u8> {
        match self.bytes.get(self.at) {
            Some(byte) => {
                self.at += 1;
                Ok(*byte)
            }
            None => self.past_the_end(),
        }
    }

    /// Reads a big endian number, to be reported by the caller.
    #[inline]
    fn two_bytes(&mut self) -> Step<u16> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        match rest.first_chunk() {
            Some(bytes) => {
                self.at += 2;
                Ok(u16::from_be_bytes(*bytes))
            }
            None => self.past_the_end(),
        }
    }

    /// Reads a big endian number, to be reported by the caller.
    fn four_bytes(&mut self) -> Step<u32> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        match rest.first_chunk() {
            Some(bytes) => {
                self.at += 4;
                Ok(u32::from_be_bytes(*bytes))
            }
            None => self.past_the_end(),
        }
    }

    /// Reads a variable byte integer (§1.5.5), to be reported by the caller.
    fn variable(&mut self) -> Step<u32> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        match property::variable_integer(rest) {
            Some((value, len)) => {
                self.at += len;
                Ok(value)
            }
            None if rest.len() >= 4 => Err(Malformed {
                rule: Rule::VariableIntegerHasFourOctets,
                offset: self.at,
            }),
            None => self.past_the_end(),
        }
    }

    /// Reads a code and reports it with its name.
    #[inline]
    pub(super) fn named(
        &mut self,
        def: &'static FieldDef,
        name: impl FnOnce(u8) -> &'static str,
    ) -> Step<u8> {
        let offset = self.at;
        let code = self.byte()?;
        if F::ACTIVE {
            self.report(def, Value::Named(code.into(), name(code)), offset, 1);
        }
        Ok(code)
    }

    /// Reads a big endian number of two bytes.
    #[inline]
    pub(super) fn number(&mut self, def: &'static FieldDef) -> Step<u16> {
        let offset = self.at;
        let number = self.two_bytes()?;
        self.report(def, Value::Number(number.into()), offset, 2);
        Ok(number)
    }

    /// Reads a packet identifier; 0 is noted and read as 1.
    #[inline]
    pub(super) fn packet_id(&mut self) -> Step<PacketIdentifier> {
        let offset = self.at;
        let number = self.number(&f::PACKET_ID)?;
        Ok(match PacketIdentifier::new(number) {
            Some(id) => id,
            None => {
                self.note(Rule::PacketIdentifierIsNotZero, offset);
                PacketIdentifier(std::num::NonZeroU16::MIN)
            }
        })
    }

    /// Reads bytes behind their two-byte length; only the length is reported.
    #[inline]
    fn prefixed(&mut self, length: &'static FieldDef) -> Step<&'a [u8]> {
        let len = self.number(length)?;
        self.take(len.into())
    }

    /// Reads a UTF-8 string (§1.5.4); an ill-formed one is noted and read as empty.
    #[inline]
    pub(super) fn text(
        &mut self,
        length: &'static FieldDef,
        def: &'static FieldDef,
    ) -> Step<&'a str> {
        let bytes = self.prefixed(length)?;
        let offset = self.at - bytes.len();
        let plain = plain_text(bytes);
        match plain.map_or_else(|| simdutf8::basic::from_utf8(bytes), Ok) {
            Ok(text) => {
                // Wireshark has no line for a topic of length 0: its alias stands for it.
                if F::ACTIVE && !(text.is_empty() && def.name == f::TOPIC.name) {
                    self.report(def, Value::Text(text), offset, bytes.len());
                }
                if plain.is_none() && has_null(bytes) {
                    let at = memchr::memchr(0, bytes).unwrap_or(0);
                    self.note(Rule::TextHasNoNull, offset + at);
                }
                Ok(text)
            }
            Err(_) => {
                self.ill_formed(def, bytes, offset);
                Ok("")
            }
        }
    }

    /// Reads a topic name (§3.3.2.1): text in which a wildcard is noted.
    #[inline]
    pub(super) fn topic_name(&mut self) -> Step<&'a str> {
        let start = self.at;
        if !F::ACTIVE {
            // Nearly always one look shows that nothing is wrong.
            let bytes = self.prefixed(&f::TOPIC_LENGTH)?;
            if let Some(topic) = plain_text_without(bytes, is_wildcard) {
                return Ok(topic);
            }
            self.at = start;
        }
        let topic = self.text(&f::TOPIC_LENGTH, &f::TOPIC)?;
        if let Some(at) = topic.bytes().position(is_wildcard) {
            self.note(Rule::TopicNameHasNoWildcard, start + 2 + at);
        }
        Ok(topic)
    }

    /// Reads text that is reported as a secret.
    fn secret_text(&mut self, length: &'static FieldDef, def: &'static FieldDef) -> Step<()> {
        let bytes = self.binary(length, def, Visibility::Secret)?;
        let offset = self.at - bytes.len();
        match simdutf8::compat::from_utf8(bytes) {
            Err(error) => self.note(Rule::TextIsUtf8, offset + error.valid_up_to()),
            Ok(_) => {
                if let Some(at) = memchr::memchr(0, bytes) {
                    self.note(Rule::TextHasNoNull, offset + at);
                }
            }
        }
        Ok(())
    }

    /// Reports and notes text that is not UTF-8.
    #[cold]
    fn ill_formed(&mut self, def: &'static FieldDef, bytes: &'a [u8], offset: usize) {
        self.report(def, Value::Bytes(bytes), offset, bytes.len());
        let good = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        self.note(Rule::TextIsUtf8, offset + good);
    }

    /// Reads binary data (§1.5.6).
    #[inline]
    pub(super) fn binary(
        &mut self,
        length: &'static FieldDef,
        def: &'static FieldDef,
        visibility: Visibility,
    ) -> Step<&'a [u8]> {
        let bytes = self.prefixed(length)?;
        let value = match visibility {
            Visibility::Open => Value::Bytes(bytes),
            Visibility::Secret => Value::Secret(bytes),
        };
        self.report(def, value, self.at - bytes.len(), bytes.len());
        Ok(bytes)
    }

    /// Returns the bytes that are left, still to be read.
    #[inline]
    pub(super) fn ahead(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Takes all bytes that are left, to be reported by the caller.
    #[inline]
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        self.at = self.bytes.len();
        rest
    }

    /// Reads Property Length and the properties that it counts (§2.2.2). What is wrong within
    /// them is noted: their end is known, so the fields behind them are read all the same.
    #[inline]
    pub(super) fn properties(
        &mut self,
        def: &'static FieldDef,
        place: PropertyPlace,
    ) -> Step<Properties<'a>> {
        let start = self.at;
        let length = match self.variable() {
            Ok(length) => length as usize,
            Err(malformed) => return Err(malformed),
        };
        let first = self.at;
        let whole = self.bytes;
        let end = first.saturating_add(length);
        // What is announced may lie beyond the packet; what is reported never does.
        self.open(def, Value::Heading, start, end.min(whole.len()) - start);
        self.report(
            &f::PROPERTY_LENGTH,
            Value::Number(length as u64),
            start,
            first - start,
        );
        let (Some(within), Some(bytes)) = (whole.get(..end), whole.get(first..end)) else {
            return Err(Malformed {
                rule: Rule::PropertiesFitThePacket,
                offset: start,
            });
        };
        if length > 0 {
            self.bytes = within;
            if let Err(malformed) = self.each_property(place) {
                self.note(malformed.rule, malformed.offset);
            }
            self.bytes = whole;
            self.at = end;
        }
        self.close();
        Ok(Properties { bytes })
    }

    /// Reads the properties of a packet that always has them in 5.0; none before.
    #[inline]
    pub(super) fn own_properties(
        &mut self,
        packet_type: PacketType,
        version: ProtocolVersion,
    ) -> Step<Properties<'a>> {
        match version {
            ProtocolVersion::V5_0 => {
                self.properties(&f::PROPERTIES, PropertyPlace::Packet(packet_type))
            }
            _ => Ok(Properties::default()),
        }
    }

    /// Reads what the acknowledgements, DISCONNECT and AUTH of 5.0 end with: a Reason Code,
    /// 0x00 where it is left out, and properties, none where they are.
    pub(super) fn reason_and_properties(
        &mut self,
        packet_type: PacketType,
        def: &'static FieldDef,
        version: ProtocolVersion,
    ) -> Step<(u8, Properties<'a>)> {
        if version != ProtocolVersion::V5_0 || self.is_at_end() {
            return Ok((0, Properties::default()));
        }
        let code = self.named(def, |code| reason::name(packet_type, version, code))?;
        if self.is_at_end() {
            return Ok((code, Properties::default()));
        }
        Ok((code, self.own_properties(packet_type, version)?))
    }

    /// Reads properties up to the end of what may be read.
    ///
    /// # Errors
    /// An identifier that is not defined, or a value that goes on past the end: the place of
    /// the next property is lost.
    fn each_property(&mut self, place: PropertyPlace) -> Step<()> {
        let mut seen = 0u64;
        while !self.is_at_end() {
            let offset = self.at;
            let id = PropertyId(self.byte()?);
            self.report(
                &f::PROPERTY_ID,
                Value::NamedHex(id.0, id.wireshark()),
                offset,
                1,
            );
            let Some(kind) = id.kind() else {
                let rest = self.rest();
                self.report(
                    &f::PROPERTY_UNKNOWN,
                    Value::Bytes(rest),
                    offset + 1,
                    rest.len(),
                );
                return Err(Malformed {
                    rule: Rule::PropertyIsKnown,
                    offset,
                });
            };
            // Identifiers end at 42, so each has its bit.
            let bit = 1u64 << (id.0 & 63);
            if seen & bit != 0 && !id.may_repeat(place) {
                self.note(Rule::PropertyIsNotRepeated, offset);
            }
            seen |= bit;
            if !id.is_allowed(place) {
                self.note(Rule::PropertyIsAllowedHere, offset);
            }
            self.property(id, kind)
                .map_err(|malformed| match malformed.rule {
                    Rule::FieldsFitThePacket => Malformed {
                        rule: Rule::PropertyFitsTheProperties,
                        ..malformed
                    },
                    _ => malformed,
                })?;
        }
        Ok(())
    }

    /// Reads the value of one property and checks it.
    fn property(&mut self, id: PropertyId, kind: PropertyType) -> Step<()> {
        let offset = self.at;
        let number = match kind {
            PropertyType::Byte => self.byte()?.into(),
            PropertyType::TwoByte => self.two_bytes()?.into(),
            PropertyType::FourByte => self.four_bytes()?,
            PropertyType::Variable => self.variable()?,
            PropertyType::Binary => {
                let visibility = match id {
                    PropertyId::AUTHENTICATION_DATA => Visibility::Secret,
                    _ => Visibility::Open,
                };
                self.binary(&f::PROPERTY_TEXT_LENGTH, &f::PROPERTY_TEXT, visibility)?;
                return Ok(());
            }
            PropertyType::Text if id == PropertyId::CONTENT_TYPE => {
                return self.content_type();
            }
            PropertyType::Text => {
                self.text(&f::PROPERTY_TEXT_LENGTH, &f::PROPERTY_TEXT)?;
                return Ok(());
            }
            PropertyType::Pair => {
                let name = self.text(&f::PROPERTY_KEY_LENGTH, &f::PROPERTY_KEY)?;
                if F::ACTIVE && property::names_a_secret(name) {
                    return self.secret_text(&f::PROPERTY_VALUE_LENGTH, &f::PROPERTY_VALUE);
                }
                self.text(&f::PROPERTY_VALUE_LENGTH, &f::PROPERTY_VALUE)?;
                return Ok(());
            }
        };
        if F::ACTIVE {
            let (def, value) = match id {
                PropertyId::TOPIC_ALIAS => (&f::PROPERTY_TOPIC_ALIAS, Value::Number(number.into())),
                PropertyId::MAXIMUM_QOS => {
                    let name = f::QOS.get(number as usize).copied().unwrap_or("Unknown");
                    (&f::PROPERTY_MAXIMUM_QOS, Value::Named(number.into(), name))
                }
                _ => (&f::PROPERTY_NUMBER, Value::Number(number.into())),
            };
            self.report(def, value, offset, self.at - offset);
        }
        if let Some(rule) = id.value_broken(number) {
            self.note(rule, offset);
        }
        Ok(())
    }

    /// Reads a content type, which Wireshark shows as one field: length and text.
    fn content_type(&mut self) -> Step<()> {
        let offset = self.at;
        let len = self.two_bytes()?;
        let bytes = self.take(len.into())?;
        let plain = plain_text(bytes);
        match plain.map_or_else(|| simdutf8::basic::from_utf8(bytes), Ok) {
            Ok(text) => {
                let length = self.at - offset;
                self.report(&f::PROPERTY_CONTENT_TYPE, Value::Text(text), offset, length);
                if plain.is_none() && has_null(bytes) {
                    self.note(Rule::TextHasNoNull, offset + 2);
                }
            }
            Err(_) => self.ill_formed(&f::PROPERTY_CONTENT_TYPE, bytes, offset + 2),
        }
        Ok(())
    }
}

/// Returns whether U+0000 is among well-formed text ([MQTT-1.5.4-2]).
#[inline]
pub(super) fn has_null(bytes: &[u8]) -> bool {
    any(bytes, |byte| byte == 0)
}
