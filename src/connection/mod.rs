//! A connection's bytes recognised as MQTT, cut into packets, decoded.
//!
//! In: the [`StreamEvent`](crate::stream::StreamEvent)s of one TCP connection. Out:
//! [`Event`](crate::event::Event)s. Packets are emitted straight from the segment that carried
//! them; only one that straddles segments is copied. Where it is not known that the bytes are
//! MQTT, or where a packet begins (the capture began in mid-connection, a gap swallowed a fixed
//! header), bytes are held back until the evidence suffices: silence is better than a phantom.
//! Every byte ends in exactly one of the [`Counters`].
//!
//! ```text
//! StreamEvent -> decoder -> carrier of another protocol -> decoder (of what it carries)
//!                   |
//!                   +-> recognise -> resync -> recognition -> packets -> Event
//!                       first bytes  places    held bytes     whole packets
//! ```
//!
//! Layers of this room, each importing those before it only:
//! - `context` (shared by all connections), `classify` (the first bytes of anything), `pieces`;
//! - `alias`, `partial`, `score` (the evidence in a packet);
//! - `candidate` (a chain of packets from a place), `peers` (who is the Client, which version);
//! - `held` (bytes and the candidates in them), `packets` (framing where places are known);
//! - `recognition` (the state), `resync` (its decisions), `recognise` (first bytes), `decoder`;
//! - `twins` (connections that the capture holds twice) and `copies` (events without those), which
//!   only read events.

mod alias;
mod candidate;
mod classify;
mod context;
mod copies;
mod decoder;
mod held;
mod packets;
mod partial;
mod peers;
mod pieces;
mod recognise;
mod recognition;
mod resync;
mod score;
mod twins;

#[cfg(test)]
mod tests;

pub use context::{Context, Counters, DecodingOptions};
pub(crate) use copies::Copies;
pub use decoder::Decoder;
