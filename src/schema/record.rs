//! Any record, with or without the member that names its kind.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::capture::Capture;
use super::finding::Finding;
use super::gap::Gap;
use super::handshake::Handshake;
use super::packet::Packet;
use super::retained::Retained;
use super::session::Session;
use super::stats::Report;
use super::unreadable::{Incomplete, NotMqtt};
use super::will::Will;

/// A line of NDJSON: the member `record` names its kind.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[serde(tag = "record", rename_all = "snake_case")]
#[non_exhaustive]
#[expect(
    clippy::large_enum_variant,
    reason = "built and written in one go, and nearly all are packets: a box would be an allocation each"
)]
pub enum Record<'a> {
    /// A control packet.
    Packet(Packet<'a>),
    /// A settled exchange of control packets.
    Handshake(Handshake<'a>),
    /// A Will Message and how it ended.
    Will(Will<'a>),
    /// A stored message and how it ended.
    Retained(Retained<'a>),
    /// A session and its connections.
    Session(Session<'a>),
    /// Something wrong, odd or worth knowing.
    Finding(Finding<'a>),
    /// Bytes that were never captured.
    Gap(Gap),
    /// A control packet that never completed.
    Incomplete(Incomplete),
    /// A connection that is not MQTT after all.
    NotMqtt(NotMqtt<'a>),
    /// The captures that were read, the last line of every view but the statistics.
    Capture(Capture<'a>),
    /// The statistics.
    Stats(Report<'a>),
}

/// A record as it stands in a document: its place there names its kind.
#[derive(Clone, Copy, Debug)]
pub struct Untagged<'r, 'a>(pub &'r Record<'a>);

impl Serialize for Untagged<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Record::Packet(record) => record.serialize(serializer),
            Record::Handshake(record) => record.serialize(serializer),
            Record::Will(record) => record.serialize(serializer),
            Record::Retained(record) => record.serialize(serializer),
            Record::Session(record) => record.serialize(serializer),
            Record::Finding(record) => record.serialize(serializer),
            Record::Gap(record) => record.serialize(serializer),
            Record::Incomplete(record) => record.serialize(serializer),
            Record::NotMqtt(record) => record.serialize(serializer),
            Record::Capture(record) => record.serialize(serializer),
            Record::Stats(record) => record.serialize(serializer),
        }
    }
}
