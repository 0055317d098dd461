//! The rules that make a packet malformed, named by what must hold.

/// The packet cannot be parsed according to the specification (MQTT 5.0 §1.2,
/// "Malformed Packet"). What was read before `offset` stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Malformed {
    pub rule: Rule,
    /// In octets from the first octet of the control packet.
    pub offset: usize,
}

/// Named by what must hold. The numbers differ between versions of the specification, so a
/// rule is not its number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Rule {
    FieldsFitThePacket,
}
