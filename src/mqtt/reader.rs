//! One cursor over a control packet: each field is reported as it is read.
//!
//! Two kinds of trouble. Where the place of the next field is lost, reading ends with an
//! error. Where only a value is wrong (a reserved flag, QoS 3, ill-formed text), the first
//! such rule is noted, reading goes on so that the rest is reported too, and the note becomes
//! the error at the end.
//!
//! This is the hot path of every view: with the visitor `()` the reports compile to nothing,
//! and the functions that nearly every packet calls are inlined.

use super::framer::FixedHeader;
use super::property::{self, Properties, PropertyId, PropertyPlace, PropertyType};
use super::rule::{Malformed, Rule};
use super::topic::is_wildcard;
use super::words::{PacketIdentifier, PacketType, ProtocolVersion};
use super::{fields as f, reason};
use crate::base::field::{Bit, Field, FieldDef, FieldVisitor, Value};
use crate::base::scan::any;
use crate::base::{plain_text, plain_text_without};

/// The result of reading one field: an error ends the reading of the packet.
pub(super) type Step<T> = Result<T, Malformed>;

/// A cursor over one control packet that reports to the visitor `F`.
pub(super) struct Reader<'a, 'f, F> {
    /// The packet's fixed header, which was read before.
    pub(super) header: FixedHeader,
    /// The version whose layout the packet has. A CONNECT sets its own.
    pub(super) version: ProtocolVersion,
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
    pub(super) fn new(
        bytes: &'a [u8],
        header: FixedHeader,
        version: ProtocolVersion,
        fields: &'f mut F,
    ) -> Self {
        Self {
            header,
            version,
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

    /// Returns whether nothing is left to be read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// Notes a rule broken by a value; reading goes on, and the first note counts.
    #[cold]
    pub(super) fn note(&mut self, rule: Rule, offset: usize) {
        self.noted.get_or_insert(rule.at(offset));
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

    /// Ends the reading once all fields are read; `given` bytes were there for the packet, which
    /// may be more or fewer than it announces.
    ///
    /// # Errors
    /// The first rule that was noted, or that bytes are missing or left.
    #[inline(always)]
    pub(super) fn finish(&mut self, given: usize) -> Step<()> {
        let total = self.header.total_len();
        if given < total {
            self.note(Rule::FieldsFitThePacket, given);
        } else if given > total {
            self.note(Rule::NothingFollowsTheFields, total);
        }
        if !self.is_at_end() {
            self.trailing();
        }
        self.noted.map_or(Ok(()), Err)
    }

    /// Reports and notes bytes behind the last field.
    #[cold]
    fn trailing(&mut self) {
        let start = self.at;
        self.note(Rule::NothingFollowsTheFields, start);
        let rest = self.rest();
        // Behind the fields of a CONNECT may stand a password whose flag is not set.
        let value = match self.header.packet_type {
            PacketType::Connect => Value::Secret(rest),
            _ => Value::Bytes(rest),
        };
        self.report(&f::TRAILING, value, start);
    }

    /// Reports the bytes from `start` to the next byte as a leaf.
    #[inline(always)]
    pub(super) fn report(&mut self, def: &'static FieldDef, value: Value<'a>, start: usize) {
        if F::ACTIVE {
            self.fields.field(Field {
                def,
                value,
                offset: start,
                length: self.at.saturating_sub(start),
            });
        }
    }

    /// Reads a byte of flags and reports it as a branch with its bit fields.
    #[inline(always)]
    pub(super) fn flags(&mut self, def: &'static FieldDef, bits: &'static [Bit]) -> Step<u8> {
        let offset = self.at;
        let byte = self.byte()?;
        if F::ACTIVE {
            self.fields.open(Field {
                def,
                value: Value::Flags { byte, bits },
                offset,
                length: 1,
            });
            for bit in bits {
                self.report(bit.def, bit.value(byte), offset);
            }
            self.fields.close();
        }
        Ok(byte)
    }

    /// Returns the error of a field that ends behind the packet.
    #[cold]
    fn past_the_end<T>(&self) -> Step<T> {
        Err(Rule::FieldsFitThePacket.at(self.at))
    }

    /// Returns the bytes that are left, still to be read.
    #[inline]
    pub(super) fn ahead(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Takes all bytes that are left, to be reported by the caller.
    #[inline]
    pub(super) fn rest(&mut self) -> &'a [u8] {
        let rest = self.ahead();
        self.at = self.bytes.len();
        rest
    }

    /// Takes the next `len` bytes, to be reported by the caller.
    #[inline]
    fn take(&mut self, len: usize) -> Step<&'a [u8]> {
        match self.ahead().get(..len) {
            Some(taken) => {
                self.at += len;
                Ok(taken)
            }
            None => self.past_the_end(),
        }
    }

    /// Takes the next `N` bytes, to be reported by the caller.
    #[inline]
    fn array<const N: usize>(&mut self) -> Step<[u8; N]> {
        match self.ahead().first_chunk() {
            Some(bytes) => {
                self.at += N;
                Ok(*bytes)
            }
            None => self.past_the_end(),
        }
    }

    /// Reads a byte, to be reported by the caller.
    #[inline]
    pub(super) fn byte(&mut self) -> Step<u8> {
        self.array().map(u8::from_be_bytes)
    }

    /// Reads a big endian number, to be reported by the caller.
    #[inline]
    fn two_bytes(&mut self) -> Step<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a variable byte integer (§1.5.5), to be reported by the caller.
    fn variable(&mut self) -> Step<u32> {
        let rest = self.ahead();
        match property::variable_integer(rest) {
            Some((value, len)) => {
                self.at += len;
                Ok(value)
            }
            None if rest.len() >= 4 => Err(Rule::VariableIntegerHasFourOctets.at(self.at)),
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
        let start = self.at;
        let code = self.byte()?;
        if F::ACTIVE {
            self.report(def, Value::Named(code.into(), name(code)), start);
        }
        Ok(code)
    }

    /// Reads the Reason Code, or before 5.0 the return code, of a packet that has one.
    #[inline]
    pub(super) fn reason_code(&mut self) -> Step<u8> {
        let (packet_type, version) = (self.header.packet_type, self.version);
        let def = reason::field(packet_type, version);
        self.named(def, |code| reason::name(packet_type, version, code))
    }

    /// Reads a big endian number of two bytes.
    #[inline]
    pub(super) fn number(&mut self, def: &'static FieldDef) -> Step<u16> {
        let start = self.at;
        let number = self.two_bytes()?;
        self.report(def, Value::Number(number.into()), start);
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
        Ok(self.utf8(def, bytes, self.at - bytes.len()))
    }

    /// Reports the bytes just taken as the text of a field that begins at `start`; ill-formed
    /// text is noted and read as empty.
    #[inline]
    fn utf8(&mut self, def: &'static FieldDef, bytes: &'a [u8], start: usize) -> &'a str {
        let first = self.at - bytes.len();
        let plain = plain_text(bytes);
        let Ok(text) = plain.map_or_else(|| simdutf8::basic::from_utf8(bytes), Ok) else {
            self.ill_formed(def, bytes, first);
            return "";
        };
        // Wireshark has no line for a topic of length 0: its alias stands for it.
        if F::ACTIVE && !(text.is_empty() && def.name == f::TOPIC.name) {
            self.report(def, Value::Text(text), start);
        }
        if plain.is_none() && has_null(bytes) {
            // Where a field begins with its length, the place is that of the whole text.
            let null = if start == first {
                memchr::memchr(0, bytes)
            } else {
                None
            };
            self.note(Rule::TextHasNoNull, first + null.unwrap_or(0));
        }
        text
    }

    /// Reports and notes text that is not UTF-8.
    #[cold]
    fn ill_formed(&mut self, def: &'static FieldDef, bytes: &'a [u8], start: usize) {
        self.report(def, Value::Bytes(bytes), start);
        let good = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
        self.note(Rule::TextIsUtf8, start + good);
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
        let bytes = self.binary(length, def, Value::Secret)?;
        let start = self.at - bytes.len();
        match std::str::from_utf8(bytes).map(|text| text.find('\0')) {
            Err(error) => self.note(Rule::TextIsUtf8, start + error.valid_up_to()),
            Ok(Some(at)) => self.note(Rule::TextHasNoNull, start + at),
            Ok(None) => {}
        }
        Ok(())
    }

    /// Reads binary data (§1.5.6), which is reported as `value`.
    #[inline]
    pub(super) fn binary(
        &mut self,
        length: &'static FieldDef,
        def: &'static FieldDef,
        value: impl FnOnce(&'a [u8]) -> Value<'a>,
    ) -> Step<&'a [u8]> {
        let bytes = self.prefixed(length)?;
        self.report(def, value(bytes), self.at - bytes.len());
        Ok(bytes)
    }

    /// Reads the properties of a packet that always has them in 5.0; none before.
    #[inline]
    pub(super) fn own_properties(&mut self) -> Step<Properties<'a>> {
        let place = PropertyPlace::Packet(self.header.packet_type);
        self.properties(&f::PROPERTIES, place)
    }

    /// Reads Property Length and the properties that it counts (§2.2.2); none before 5.0. What is
    /// wrong within them is noted: their end is known, so the fields behind them are read all the
    /// same.
    #[inline]
    pub(super) fn properties(
        &mut self,
        def: &'static FieldDef,
        place: PropertyPlace,
    ) -> Step<Properties<'a>> {
        if self.version != ProtocolVersion::V5_0 {
            return Ok(Properties::default());
        }
        let start = self.at;
        let length = self.variable()? as usize;
        let first = self.at;
        let whole = self.bytes;
        let end = first.saturating_add(length);
        if F::ACTIVE {
            self.fields.open(Field {
                def,
                value: Value::Heading,
                offset: start,
                // What is announced may lie beyond the packet; what is reported never does.
                length: end.min(whole.len()) - start,
            });
        }
        self.report(&f::PROPERTY_LENGTH, Value::Number(length as u64), start);
        let (Some(within), Some(bytes)) = (whole.get(..end), whole.get(first..end)) else {
            return Err(Rule::PropertiesFitThePacket.at(start));
        };
        if length > 0 {
            self.bytes = within;
            if let Err(malformed) = self.each_property(place) {
                self.note(malformed.rule, malformed.offset);
            }
            self.bytes = whole;
            self.at = end;
        }
        if F::ACTIVE {
            self.fields.close();
        }
        Ok(Properties { bytes })
    }

    /// Reads what the acknowledgements, DISCONNECT and AUTH of 5.0 end with: a Reason Code,
    /// 0x00 where it is left out, and properties, none where they are.
    pub(super) fn reason_and_properties(&mut self) -> Step<(u8, Properties<'a>)> {
        if self.version != ProtocolVersion::V5_0 || self.is_at_end() {
            return Ok((0, Properties::default()));
        }
        let code = self.reason_code()?;
        if self.is_at_end() {
            return Ok((code, Properties::default()));
        }
        Ok((code, self.own_properties()?))
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
            );
            let Some(kind) = id.kind() else {
                let rest = self.rest();
                self.report(&f::PROPERTY_UNKNOWN, Value::Bytes(rest), offset + 1);
                return Err(Rule::PropertyIsKnown.at(offset));
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
                    Rule::FieldsFitThePacket => {
                        Rule::PropertyFitsTheProperties.at(malformed.offset)
                    }
                    _ => malformed,
                })?;
        }
        Ok(())
    }

    /// Reads the value of one property and checks it.
    fn property(&mut self, id: PropertyId, kind: PropertyType) -> Step<()> {
        let start = self.at;
        let number = match kind {
            PropertyType::Byte => self.byte()?.into(),
            PropertyType::TwoByte => self.two_bytes()?.into(),
            PropertyType::FourByte => self.array().map(u32::from_be_bytes)?,
            PropertyType::Variable => self.variable()?,
            PropertyType::Binary => {
                let value = match id {
                    PropertyId::AUTHENTICATION_DATA => Value::Secret,
                    _ => Value::Bytes,
                };
                self.binary(&f::PROPERTY_TEXT_LENGTH, &f::PROPERTY_TEXT, value)?;
                return Ok(());
            }
            // Wireshark shows it as one field: length and text.
            PropertyType::Text if id == PropertyId::CONTENT_TYPE => {
                let length = self.two_bytes()?;
                let bytes = self.take(length.into())?;
                self.utf8(&f::PROPERTY_CONTENT_TYPE, bytes, start);
                return Ok(());
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
            self.report(def, value, start);
        }
        if let Some(rule) = id.value_broken(number) {
            self.note(rule, start);
        }
        Ok(())
    }
}

/// Returns whether U+0000 is among well-formed text ([MQTT-1.5.4-2]).
#[inline]
fn has_null(bytes: &[u8]) -> bool {
    any(bytes, |byte| byte == 0)
}
