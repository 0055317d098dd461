//! mqtt-inspect: every MQTT control packet of a capture, and what became of each message.
//!
//! The house, from the ground up; a module imports only modules above it, and only those
//! that its line in `tests/house.rs` allows:
//!
//! | module | holds |
//! |---|---|
//! | [`base`] | words that every layer shares: time, frames' stamps, fields, safe text |
//! | [`capture`] | pcap and pcapng files as frames; the writer that `record` uses |
//! | [`wire`] | a frame's link layers, tunnels, IP and TCP header taken off: a segment |
//! | [`stream`] | segments put in order: each connection's octets, gaps told |
//! | [`carrier`] | WebSocket and TLS taken off |
//! | [`mqtt`] | octets as control packets and back; pure |
//! | [`event`] | the words between analysis and views |
//! | [`schema`] | the public data model: one serializable record for each kind of result |
//! | [`connection`] | a connection's octets recognised as MQTT, framed, decoded |
//! | [`analysis`] | what became of each message: handshakes, deliveries, wills, findings |
//! | [`filter`] | the registry of all fields, for asking |
//! | [`view`] | table, detail, JSON, ladders, statistics |
//! | [`broker`] | an MQTT server without I/O, and its sockets |
//! | [`record`] | the broker's traffic as a capture; scenarios |
//! | [`inspect`] | the pipeline, top to bottom on one screen |
//! | [`cli`] | arguments, typed; the plan, decided |

pub mod analysis;
pub mod base;
pub mod broker;
pub mod capture;
pub mod carrier;
pub mod cli;
pub mod connection;
pub mod event;
pub mod filter;
pub mod inspect;
pub mod mqtt;
pub mod record;
pub mod schema;
pub mod stream;
pub mod view;
pub mod wire;
