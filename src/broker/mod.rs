//! An MQTT server: [`core`] without I/O, [`net`] with its sockets.
//!
//! It serves MQTT 3.1, 3.1.1 and 5.0 on one port, for loopback: to be captured, studied and
//! tested against. Whatever it does is decided in `core` from packets and the time; `net`
//! carries bytes, and a [`net::Witness`] sees each of them before it is forwarded.

pub mod core;
pub mod net;
mod packet_ids;
mod seed;

pub use self::core::{Action, BrokerOptions, ConnectionKey, Core, acknowledgement};
pub use packet_ids::PacketIdentifiers;
pub use seed::Seed;
