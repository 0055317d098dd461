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
    /// A whole number, shown in decimal.
    Number(u64),
    /// A whole number with its name: `Reason Code: Success (0)`.
    Named(u64, &'static str),
    /// A bit field: `.... .1.. = Will Flag: Set`. `mask` says which bits of the octet
    /// `octet`; the value is `(octet & mask) >> trailing zeros of mask`.
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
