//! Colours of a terminal: by packet type, red for what is malformed.

use crate::event::PacketEvent;
use crate::mqtt::PacketType;

/// Ends a colour.
pub const RESET: &str = "\x1b[0m";
/// The colour of errors.
pub const ALARM: &str = "\x1b[1;31m";
/// The colour of what is missing or worth a second look.
pub const NOTICE: &str = "\x1b[33m";
/// The look of headings.
pub const HEADING: &str = "\x1b[1m";

/// Returns what stands before and behind a text of this colour: nothing where `shown` is not set.
pub fn around(colour: &'static str, shown: bool) -> (&'static str, &'static str) {
    match shown {
        true => (colour, RESET),
        false => ("", ""),
    }
}

/// Returns the colour of a control packet: red where it is malformed, else that of its type.
pub fn of_packet(seen: &PacketEvent<'_>) -> &'static str {
    match seen.packet {
        Ok(_) => of(seen.packet_type),
        Err(_) => ALARM,
    }
}

/// Returns the colour of a packet type: one for a connection's begin and end, one for messages, one
/// for acknowledgements, one for subscriptions, one for pings.
pub const fn of(packet_type: PacketType) -> &'static str {
    match packet_type {
        PacketType::Connect | PacketType::ConnAck | PacketType::Disconnect | PacketType::Auth => {
            "\x1b[32m"
        }
        PacketType::Publish => "\x1b[36m",
        PacketType::PubAck | PacketType::PubRec | PacketType::PubRel | PacketType::PubComp => {
            "\x1b[34m"
        }
        PacketType::Subscribe
        | PacketType::SubAck
        | PacketType::Unsubscribe
        | PacketType::UnsubAck => "\x1b[35m",
        PacketType::PingReq | PacketType::PingResp => "\x1b[2m",
        PacketType::Reserved => ALARM,
    }
}
