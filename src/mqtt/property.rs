//! Properties (MQTT 5.0 §2.2.2): identifiers, their types, where each is allowed.

/// A property's identifier (MQTT 5.0 §2.2.2.2, Table 2-4).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct PropertyId(pub u8);

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

/// One property as it stands in its packet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Property<'a> {
    pub id: PropertyId,
    pub value: PropertyValue<'a>,
}

/// The properties of a packet: octets already found valid (after the length), walked again
/// on demand in wire order, so that no packet costs an allocation. Empty before 5.0.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Properties<'a> {
    pub(super) octets: &'a [u8],
}
