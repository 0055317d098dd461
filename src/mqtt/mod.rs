//! The MQTT codec: bytes in, borrowed control packets out, and back.
//!
//! ```text
//! stream of bytes -> Framer -> RawPacket -> ControlPacket::read -> ControlPacket, or Malformed
//!                                                |                      |
//!                                          FieldVisitor             violations, ControlPacket::write
//! ```
//!
//! Pure: no I/O, no clock, no memory of earlier packets. What a packet means in its session is
//! for `analysis` to find out. Versions 3.1, 3.1.1 and 5.0 share every file: 5.0 adds properties
//! and reason codes to a packet type, it does not make a second PUBLISH.
//!
//! | to add | touch |
//! |---|---|
//! | a property | a row of the table in `property.rs` |
//! | a reason code | `reason.rs` |
//! | a field of the detail tree | a row of the list in `fields.rs`, and the packet that reports it |
//! | a rule that one packet can break | a row of the table in `rule.rs`, and its check in the packet or in `violation.rs` |
//!
//! Layers, each importing only those before it: `words` <- `by_sender`, `fields`, `rule` <-
//! `framer`, `property`, `reason`, `topic` <- `reader` <- `packet` <- `violation`, `writer`.
//!
//! Sections (§) are those of MQTT 5.0 where no other version is named.

mod by_sender;
pub mod fields;
pub mod framer;
pub mod packet;
pub mod property;
mod reader;
pub mod reason;
pub mod rule;
pub mod topic;
mod violation;
pub mod words;
pub mod writer;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use by_sender::BySender;
pub use framer::{Framer, RawPacket};
pub use packet::ControlPacket;
pub use property::{Properties, Property, PropertyId, PropertyValue, names_a_secret};
pub use rule::{Breach, Malformed, Rule, Violation};
pub use violation::{surely_clean, violations};
pub use words::{Delivery, PacketIdentifier, PacketType, ProtocolVersion, QoS, Sender};
pub use writer::{PropertiesBuf, SubscriptionsBuf, TopicFiltersBuf, Unwritable};
