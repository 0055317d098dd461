//! The public data model: one record for each kind of result, as plain structs.
//!
//! A record borrows from the event it is built from and lives as long as that event. JSON and
//! NDJSON serialize these structs, the statistics' tables read them, and the JSON Schema that
//! `--json-schema` prints is generated from them: the doc comment of a field is the description
//! that a reader of the schema sees.
//!
//! The files form layers, each importing from those before it only:
//! `value` -> `payload`, `property`, `accounting` -> `connect` -> `delivery`, `partial` ->
//! one file a record (`packet`, `handshake`, `will`, `retained`, `session`, `finding`, `gap`,
//! `unreadable`, `capture`, `stats`) -> `record` -> `document`.
//!
//! Rules that all records keep: members in snake case; a member is absent where the thing does
//! not exist, never `null`; sizes in bytes; times as decimal numbers of seconds with the
//! capture's own digits (6 or 9), written exactly and not by way of a floating point number;
//! frames counted from 1, TCP connections (`stream`) from 0.

pub mod accounting;
pub mod capture;
pub mod connect;
pub mod delivery;
pub mod document;
pub mod finding;
pub mod gap;
pub mod handshake;
pub mod packet;
pub mod partial;
pub mod payload;
pub mod property;
pub mod record;
pub mod retained;
pub mod session;
pub mod stats;
pub mod unreadable;
pub mod value;
pub mod will;

pub use capture::Capture;
pub use document::{Document, json_schema};
pub use finding::Finding;
pub use gap::Gap;
pub use handshake::Handshake;
pub use packet::Packet;
pub use partial::PartialPacket;
pub use payload::readable;
pub use record::{Record, Untagged};
pub use retained::Retained;
pub use session::Session;
pub use stats::Stats;
pub use unreadable::{Incomplete, NotMqtt};
pub use value::SCHEMA;
pub use will::Will;
