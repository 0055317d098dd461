//! Fields: the one description of a packet's bytes that decoder, detail tree, hex dump and
//! filters share.
//!
//! A layer defines its fields once, as [`FieldDef`] constants. Its decoder makes one pass over
//! the bytes and reports each field to a [`FieldVisitor`]; decoding for speed is the same
//! function with `&mut ()`, for which the reports compile to nothing. So no view can disagree
//! with the decoder.

use std::net::IpAddr;

/// A field as the registry knows it, independent of any packet.
#[derive(Debug, Eq, PartialEq)]
pub struct FieldDef {
    /// Wireshark's filter name where it has one (`mqtt.topic`), else in the same manner.
    pub name: &'static str,
    /// The label in the detail tree (`Topic`).
    pub label: &'static str,
    /// The type of its values, Wireshark's where Wireshark has the field.
    pub kind: FieldType,
    /// One line for `help fields`: the meaning, the unit, the section of the specification.
    pub help: &'static str,
}

/// The type of a field's values, as Wireshark names it (`ftypes/ftypes.h`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, strum::IntoStaticStr)]
#[strum(prefix = "FT_", serialize_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum FieldType {
    /// A layer: present or not.
    Protocol,
    /// A heading without a value.
    None,
    /// Set or not set.
    Boolean,
    /// An unsigned number of at most 8 bits.
    Uint8,
    /// An unsigned number of at most 16 bits.
    Uint16,
    /// An unsigned number of at most 24 bits.
    Uint24,
    /// An unsigned number of at most 32 bits.
    Uint32,
    /// An unsigned number of at most 64 bits.
    Uint64,
    /// Bytes of any kind.
    Bytes,
    /// Text.
    String,
    /// Text with its length prefix counted in.
    #[strum(serialize = "UINT_STRING")]
    PrefixedString,
    /// A MAC address.
    Ether,
    /// An IPv4 address.
    #[strum(serialize = "IPv4")]
    Ipv4,
    /// An IPv6 address.
    #[strum(serialize = "IPv6")]
    Ipv6,
    /// An instant.
    AbsoluteTime,
    /// A span of time.
    RelativeTime,
}

impl FieldType {
    /// Returns the name in `tshark -G fields`: `FT_UINT16`.
    pub fn wireshark(self) -> &'static str {
        self.into()
    }
}

/// Defines fields as constants, and all of them as the list `ALL` for the registry:
/// `CONSTANT "name" "Label" Type "Help.";`.
macro_rules! fields {
    ($($constant:ident $name:literal $label:literal $kind:ident $help:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`: ", $help)]
            pub const $constant: $crate::base::field::FieldDef = $crate::base::field::FieldDef {
                name: $name,
                label: $label,
                kind: $crate::base::field::FieldType::$kind,
                help: $help,
            };
        )*

        /// Every field of this layer, for the registry.
        pub static ALL: &[&$crate::base::field::FieldDef] = &[$(&$constant),*];
    };
}
pub(crate) use fields;

/// The value that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Value<'a> {
    /// A branch that is only a heading: `Properties`, with no colon after it.
    Heading,
    /// A whole number, shown in decimal.
    Number(u64),
    /// A whole number with its name: `Reason Code: Success (0)`.
    Named(u64, &'static str),
    /// A whole number with its name, shown in hexadecimal: `ID: Topic Alias (0x23)`.
    NamedHex(u8, &'static str),
    /// A byte of bit fields, reported by `open`; its bit fields follow as [`Value::Bits`].
    /// Its own line gathers them: `Connect Flags: 0x06, QoS Level: At most once delivery
    /// (Fire and Forget), Will Flag` (see [`Bit::in_summary`]).
    Flags {
        /// The whole byte.
        byte: u8,
        /// Its bit fields, from the highest bit down.
        bits: &'static [Bit],
    },
    /// A bit field: `.... .1.. = Will Flag: Set`. The value is `(byte & mask) >> trailing
    /// zeros of mask`.
    ///
    /// After the label stands `meaning` where [`Value::bits_number`] is `None`, otherwise
    /// `meaning (number)`, or the number alone where `meaning` is empty.
    Bits {
        /// The whole byte.
        byte: u8,
        /// The field's adjacent bits.
        mask: u8,
        /// The meaning of the value; empty where the number is all there is.
        meaning: &'static str,
    },
    /// Text that is well-formed UTF-8 (it may hold control characters: escape it).
    Text(&'a str),
    /// Bytes of any kind: payloads, binary data, text that is not UTF-8.
    Bytes(&'a [u8]),
    /// Bytes of which only the length is shown unless secrets are asked for.
    Secret(&'a [u8]),
    /// A whole number, shown in hexadecimal with all digits of its type.
    Hex(u32),
    /// A MAC address.
    Ether([u8; 6]),
    /// An IP address.
    Address(IpAddr),
}

impl Value<'_> {
    /// Returns the number that a bit field's line shows; `None` where its meaning is enough
    /// (`Set`, `Not set`, `0x0`) and for every other kind of value.
    pub fn bits_number(&self) -> Option<u8> {
        match *self {
            Self::Bits {
                meaning: "Set" | "Not set",
                ..
            } => None,
            Self::Bits { meaning, .. } if meaning.starts_with("0x") => None,
            Self::Bits { byte, mask, .. } => Some(bits_of(byte, mask)),
            _ => None,
        }
    }
}

/// One bit field of a byte of flags: made once, as a constant.
#[derive(Debug, Eq, PartialEq)]
pub struct Bit {
    /// Name, label and type.
    pub def: &'static FieldDef,
    /// Adjacent bits.
    pub mask: u8,
    /// The meanings of its values, by number; empty where the number is all there is.
    pub meanings: &'static [&'static str],
    /// How the line of the whole byte shows it.
    pub summary: Summary,
}

/// How a bit field shows in the line of its byte.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Summary {
    /// Not at all.
    Absent,
    /// Its label, if any of its bits is set: `, Will Flag`.
    WhenSet,
    /// Label and meaning: `, QoS Level: At most once delivery (Fire and Forget)`.
    Meaning,
}

impl Bit {
    /// The meanings of a flag.
    pub const FLAG: &'static [&'static str] = &["Not set", "Set"];

    /// Returns the field's number in `byte`.
    pub const fn number(&self, byte: u8) -> u8 {
        bits_of(byte, self.mask)
    }

    /// Returns the field's meaning in `byte`; empty where the number is all there is.
    pub fn meaning(&self, byte: u8) -> &'static str {
        let number = usize::from(self.number(byte));
        // A flag of several reserved bits is set if any of them is.
        let number = match self.summary {
            Summary::WhenSet => number.min(1),
            Summary::Absent | Summary::Meaning => number,
        };
        self.meanings.get(number).copied().unwrap_or("")
    }

    /// Returns what the line of the whole byte shows of this field: its label, and its meaning
    /// where that is shown too.
    pub fn in_summary(&self, byte: u8) -> Option<(&'static str, Option<&'static str>)> {
        match self.summary {
            Summary::Absent => None,
            Summary::WhenSet => (byte & self.mask != 0).then_some((self.def.label, None)),
            Summary::Meaning => Some((self.def.label, Some(self.meaning(byte)))),
        }
    }

    /// Returns the field as the value of its own line.
    pub fn value(&self, byte: u8) -> Value<'static> {
        Value::Bits {
            byte,
            mask: self.mask,
            meaning: self.meaning(byte),
        }
    }
}

/// Shifts the bits under `mask` down to bit 0; 0 for an empty mask.
const fn bits_of(byte: u8, mask: u8) -> u8 {
    match mask {
        0 => 0,
        mask => (byte & mask) >> mask.trailing_zeros(),
    }
}

/// A field as it stands in one packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Name, label and type.
    pub def: &'static FieldDef,
    /// The value that was read.
    pub value: Value<'a>,
    /// In bytes from the first byte of the control packet; 0 for fields of the layers below.
    pub offset: usize,
    /// In bytes; 0 for fields of the layers below.
    pub length: usize,
}

/// A receiver of the fields of a packet, in wire order.
///
/// `open`/`close` bracket a branch of the tree (flags of a byte, a list of properties, one
/// subscription). A branch's own field comes with `open`; its children follow.
pub trait FieldVisitor<'a> {
    /// Whether reports have an effect: a decoder skips the work that only serves them where
    /// this is `false`.
    const ACTIVE: bool = true;
    /// Receives a leaf.
    fn field(&mut self, field: Field<'a>);
    /// Receives the field that starts a branch; its children follow until `close`.
    fn open(&mut self, field: Field<'a>);
    /// Ends the innermost open branch. After a malformed packet branches may stay open.
    fn close(&mut self);
}

/// The visitor of a decoder that runs for its result alone.
impl<'a> FieldVisitor<'a> for () {
    const ACTIVE: bool = false;
    #[inline(always)]
    fn field(&mut self, _: Field<'a>) {}
    #[inline(always)]
    fn open(&mut self, _: Field<'a>) {}
    #[inline(always)]
    fn close(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const QOS: Bit = Bit {
        def: &FieldDef {
            name: "mqtt.qos",
            label: "QoS Level",
            kind: FieldType::Uint8,
            help: "",
        },
        mask: 0x06,
        meanings: &["zero", "one", "two", "three"],
        summary: Summary::Meaning,
    };
    const RESERVED: Bit = Bit {
        def: &FieldDef {
            name: "mqtt.conack.flags.reserved",
            label: "Reserved",
            kind: FieldType::Uint8,
            help: "",
        },
        mask: 0xfe,
        meanings: Bit::FLAG,
        summary: Summary::WhenSet,
    };

    #[test]
    fn a_bit_field_shows_its_number_unless_its_meaning_is_enough() {
        assert_eq!(QOS.value(0x04).bits_number(), Some(2));
        assert_eq!(QOS.meaning(0xfd), "two");
        assert_eq!(RESERVED.value(0x30).bits_number(), None);
        assert_eq!(RESERVED.meaning(0x30), "Set");
        assert_eq!(RESERVED.meaning(0x01), "Not set");
    }

    #[test]
    fn the_line_of_a_byte_of_flags_names_those_that_are_set() {
        assert_eq!(QOS.in_summary(0), Some(("QoS Level", Some("zero"))));
        assert_eq!(RESERVED.in_summary(1), None);
        assert_eq!(RESERVED.in_summary(2), Some(("Reserved", None)));
    }
}
