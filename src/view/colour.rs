//! Colours of a terminal: by packet type, red for what is malformed.

use crate::mqtt::PacketType;

/// Ends a colour.
pub const RESET: &[u8] = b"\x1b[0m";
/// The colour of errors.
pub const ALARM: &[u8] = b"\x1b[1;31m";
/// The colour of what is missing or worth a second look.
pub const NOTICE: &[u8] = b"\x1b[33m";
/// The look of headings.
pub const HEADING: &[u8] = b"\x1b[1m";

/// The colour of a control packet: one for a connection's begin and end, one for messages,
/// one for acknowledgements, one for subscriptions, one for pings.
pub const fn of(packet_type: PacketType) -> &'static [u8] {
    match packet_type {
        PacketType::Connect | PacketType::ConnAck | PacketType::Disconnect | PacketType::Auth => {
            b"\x1b[32m"
        }
        PacketType::Publish => b"\x1b[36m",
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
            b"\x1b[34m"
        }
        PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe
        | PacketType::UnsubAck => b"\x1b[35m",
        PacketType::PingReq | PacketType::PingResp => b"\x1b[2m",
        PacketType::Reserved => ALARM,
    }
}
