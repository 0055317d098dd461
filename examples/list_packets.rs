//! Lists the control packets of captures: `cargo run --example list_packets -- CAPTURE...`

#![allow(clippy::print_stdout)]

use std::error::Error;

use mqtt_inspect::base::text;
use mqtt_inspect::mqtt::ControlPacket;
use mqtt_inspect::{Options, OwnedEvent, Records};

fn main() -> Result<(), Box<dyn Error>> {
    for record in Records::open(std::env::args_os().skip(1), &Options::default()) {
        let OwnedEvent::Packet(packet) = record? else {
            continue;
        };
        let from = packet.client_id.as_deref().unwrap_or("?");
        print!(
            "{:>6}  {:?} of {}  {}",
            packet.stamp.number,
            packet.sender,
            // Text of a capture may hold control characters.
            text::safe(from),
            packet.packet_type.name(),
        );
        match packet.decode() {
            Ok(ControlPacket::Publish(publish)) => {
                let topic = packet.topic_resolved.as_deref().unwrap_or(publish.topic);
                println!("  {}  {} bytes", text::safe(topic), publish.payload.len());
            }
            Ok(_) => println!(),
            Err(malformed) => println!(
                "  malformed at byte {}: {}",
                malformed.offset,
                malformed.rule.name()
            ),
        }
    }
    Ok(())
}
