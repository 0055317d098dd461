//! Fields told aloud: the one description of a packet's octets that every view hears.
//!
//! A decoder makes one pass over a packet and tells each field as it reads it; decoding for
//! speed is the same function with nobody listening (`&mut ()`). So the detail tree, the
//! JSON of a malformed packet and filters can never disagree with the decoder.

/// What a field is, apart from any packet: made once, as a constant.
#[derive(Debug, Eq, PartialEq)]
pub struct FieldDef {
    /// Wireshark's filter name where it has one (`mqtt.topic`), else in the same manner.
    pub name: &'static str,
    /// The label of the detail tree (`Topic`).
    pub label: &'static str,
}

/// The value that was read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A branch that is only a heading: `Properties`, with no colon after it.
    Heading,
    /// A whole number, shown in decimal.
    Number(u64),
    /// A whole number with its name: `Reason Code: Success (0)`.
    Named(u64, &'static str),
    /// A whole number with its name, shown in hexadecimal: `ID: Topic Alias (0x23)`.
    NamedHex(u8, &'static str),
    /// An octet of bit fields, told by `open`; its bit fields follow as [`Value::Bits`].
    /// Its own line gathers them: `Connect Flags: 0x06, QoS Level: At most once delivery
    /// (Fire and Forget), Will Flag` (see [`Bit::told`]).
    Flags { octet: u8, bits: &'static [Bit] },
    /// A bit field: `.... .1.. = Will Flag: Set`. `mask` says which bits of the octet
    /// `octet`; the value is `(octet & mask) >> trailing zeros of mask`.
    ///
    /// After the label stands `meaning` where [`Value::bits_number`] is `None`, otherwise
    /// `meaning (number)`, or the number alone where `meaning` is empty.
    Bits {
        octet: u8,
        mask: u8,
        meaning: &'static str,
    },
    /// Text that is well-formed UTF-8 (it may hold control characters: escape it).
    Text(&'a str),
    /// Octets of any kind: payloads, binary data, text that is not UTF-8.
    Octets(&'a [u8]),
    /// Octets that are shown as their length only unless secrets are asked for.
    Secret(&'a [u8]),
    /// Name and value of a user property.
    Pair(&'a str, &'a str),
}

impl Value<'_> {
    /// The number that a bit field's line shows; `None` where its meaning says it all (`Set`,
    /// `Not set`, `0x0`) and for every other kind of value.
    pub fn bits_number(&self) -> Option<u8> {
        match *self {
            Self::Bits {
                meaning: "Set" | "Not set",
                ..
            } => None,
            Self::Bits { meaning, .. } if meaning.starts_with("0x") => None,
            Self::Bits { octet, mask, .. } => Some(bits_of(octet, mask)),
            _ => None,
        }
    }
}

/// One bit field of an octet of flags: made once, as a constant.
#[derive(Debug, Eq, PartialEq)]
pub struct Bit {
    pub def: FieldDef,
    /// Adjacent bits.
    pub mask: u8,
    /// What its values mean, by number; empty where the number says it all.
    pub meanings: &'static [&'static str],
    /// How the line of the whole octet shows it.
    pub summary: Summary,
}

/// How a bit field shows in the line of its octet.
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
    /// What the field's meanings are where it is a flag.
    pub const FLAG: &'static [&'static str] = &["Not set", "Set"];

    /// The field's number in `octet`.
    pub const fn number(&self, octet: u8) -> u8 {
        bits_of(octet, self.mask)
    }

    /// What the field means in `octet`; empty where only the number says it.
    pub fn meaning(&self, octet: u8) -> &'static str {
        let number = usize::from(self.number(octet));
        // A flag of several reserved bits is set if any of them is.
        let number = match self.summary {
            Summary::WhenSet => number.min(1),
            Summary::Absent | Summary::Meaning => number,
        };
        self.meanings.get(number).copied().unwrap_or("")
    }

    /// What the line of the whole octet says of this field: its label, and its meaning
    /// where that stands there too.
    pub fn told(&self, octet: u8) -> Option<(&'static str, Option<&'static str>)> {
        match self.summary {
            Summary::Absent => None,
            Summary::WhenSet => (octet & self.mask != 0).then_some((self.def.label, None)),
            Summary::Meaning => Some((self.def.label, Some(self.meaning(octet)))),
        }
    }

    /// The field as a value of its own line.
    pub fn value(&self, octet: u8) -> Value<'static> {
        Value::Bits {
            octet,
            mask: self.mask,
            meaning: self.meaning(octet),
        }
    }
}

const fn bits_of(octet: u8, mask: u8) -> u8 {
    match mask {
        0 => 0,
        mask => (octet & mask) >> mask.trailing_zeros(),
    }
}

/// A field as it stands in one packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    pub def: &'static FieldDef,
    pub value: Value<'a>,
    /// In octets from the first octet of the control packet.
    pub offset: usize,
    /// In octets.
    pub length: usize,
}

/// Whoever listens while a packet is read.
///
/// `open`/`close` bracket a branch of the tree (flags of an octet, a list of properties, one
/// subscription). A branch's own field is told by `open`; its children follow.
pub trait Fields<'a> {
    /// Whether anybody listens: a decoder may skip work that only serves telling.
    const LISTENING: bool = true;
    /// A leaf.
    fn field(&mut self, field: Field<'a>);
    /// A branch begins; `field` is its own line.
    fn open(&mut self, field: Field<'a>);
    /// The innermost open branch ends. After a malformed packet branches may stay open.
    fn close(&mut self);
}

/// Nobody listens.
impl<'a> Fields<'a> for () {
    const LISTENING: bool = false;
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
        def: FieldDef {
            name: "mqtt.qos",
            label: "QoS Level",
        },
        mask: 0x06,
        meanings: &["zero", "one", "two", "three"],
        summary: Summary::Meaning,
    };
    const RESERVED: Bit = Bit {
        def: FieldDef {
            name: "mqtt.conack.flags.reserved",
            label: "Reserved",
        },
        mask: 0xfe,
        meanings: Bit::FLAG,
        summary: Summary::WhenSet,
    };

    #[test]
    fn a_bit_field_shows_its_number_unless_its_meaning_says_it_all() {
        assert_eq!(QOS.value(0x04).bits_number(), Some(2));
        assert_eq!(QOS.meaning(0xfd), "two");
        assert_eq!(RESERVED.value(0x30).bits_number(), None);
        assert_eq!(RESERVED.meaning(0x30), "Set");
        assert_eq!(RESERVED.meaning(0x01), "Not set");
    }

    #[test]
    fn the_line_of_an_octet_of_flags_tells_those_that_are_set() {
        assert_eq!(QOS.told(0), Some(("QoS Level", Some("zero"))));
        assert_eq!(RESERVED.told(1), None);
        assert_eq!(RESERVED.told(2), Some(("Reserved", None)));
    }
}
