//! MQTT in packet captures: every control packet, and what became of each message.
//!
//! The program `mqtt-inspect` is a thin layer over this library. [`Records`] is its simplest face, an
//! iterator over owned events of captures:
//!
//! ```
//! use mqtt_inspect::mqtt::ControlPacket;
//! use mqtt_inspect::{OwnedEvent, Records};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/captures/qos2.pcap");
//! for record in Records::open([capture], &Default::default()) {
//!     match record? {
//!         OwnedEvent::Packet(packet) => {
//!             if let Ok(ControlPacket::Publish(publish)) = packet.decode() {
//!                 println!("frame {}: {}", packet.stamp.number, publish.topic);
//!             }
//!         }
//!         OwnedEvent::Handshake(handshake) => println!("{:?}", handshake.state),
//!         OwnedEvent::Finding(finding) => println!("{}", finding.rule),
//!         _ => {}
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Where no copy is wanted, [`inspect::read`] pushes borrowed events into a [`view::View`] of your
//! own. One control packet is decoded by [`mqtt::ControlPacket::read`]. `examples/` has a program for
//! each of the three ways.
//!
//! # The house
//!
//! A frame's way through the crate, from the ground up; a room (module) imports only rooms above it,
//! and only those that its line in `tests/house.rs` allows:
//!
//! | room | holds |
//! |---|---|
//! | [`base`] | time, endpoints, field definitions, escaping, the table of limits |
//! | [`capture`] | sources of frames: files, pipes, several merged; the kernel's packet socket; codecs; the pcapng writer; files that are written |
//! | [`wire`] | a frame's link, tunnel, IP and transport headers taken off: a TCP segment or a UDP datagram |
//! | [`stream`] | TCP reassembly: each direction's bytes in order, and its gaps |
//! | [`carrier`] | protocols that may carry MQTT inside a stream: TLS, WebSocket |
//! | [`mqtt`] | control packets from bytes and back, rules, topics; pure |
//! | [`event`] | what decoding and analysis report |
//! | [`connection`] | a connection's bytes recognised as MQTT, framed, decoded |
//! | [`analysis`] | what became of each message: handshakes, deliveries, wills, sessions, findings |
//! | [`schema`] | the public data model, from which JSON and its JSON Schema come |
//! | [`filter`] | the registry of all fields |
//! | [`view`] | table, detail tree, JSON, ladders, findings, statistics, log |
//! | [`broker`] | an MQTT server: a core without I/O, and its sockets |
//! | [`record`] | the broker's traffic as a capture; scenarios |
//! | [`inspect`] | the pipeline, top to bottom on one screen |
//! | `records` | the pipeline as an iterator |
//! | [`cli`] | arguments, typed; the plan, decided |
//!
//! ```text
//! Source -> Dissector -> Assembler -> Decoder ----------> Event -> View
//! frames    segments     bytes        control packets \-> Analyzer -> Event -> View
//! ```
//!
//! Lower layers push and upper layers observe; a borrowed value lives as long as the call that brings
//! it, so memory is bounded by the connections and not by the capture. No code that reads captures asks
//! the system for the time. CONTRIBUTING.md lists where a change goes.

#![warn(missing_docs)]

pub mod analysis;
pub mod base;
pub mod broker;
pub mod capture;
pub mod carrier;
#[doc(hidden)]
pub mod cli;
pub mod connection;
pub mod event;
pub mod filter;
pub mod inspect;
pub mod mqtt;
pub mod record;
mod records;
pub mod schema;
pub mod stream;
pub mod view;
pub mod wire;

pub use event::{OwnedEvent, OwnedPacket};
pub use inspect::Options;
pub use records::Records;
