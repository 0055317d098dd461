//! The MQTT codec: bytes in, borrowed control packets out, and back.
//!
//! Pure: no I/O, no clock, no memory of earlier packets. What a packet means in its
//! session is `session`'s business. Versions 3.1, 3.1.1 and 5.0 share every file: 5.0 adds
//! properties and reason codes to a packet type, it does not make a second PUBLISH.

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
