//! Values that JSON has no type for: exact decimals, instants, bytes.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Datelike, Timelike};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Serialize, Serializer};

use crate::base::{Endpoint, FrameStamp, Precision, Span, Timestamp};
use crate::mqtt::Sender;

/// The version of the data model, the member `schema` of every document.
pub const SCHEMA: &str = "mqtt-inspect/1";

/// For `skip_serializing_if`: a flag that is only written where it holds.
pub(super) fn is_false(flag: &bool) -> bool {
    !flag
}

/// For `skip_serializing_if`: a count that is only written where there is something to count.
pub(super) fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Returns `client` or `server`.
pub const fn sender_name(sender: Sender) -> &'static str {
    match sender {
        Sender::Client => "client",
        Sender::Server => "server",
    }
}

/// A number of seconds with 6 or 9 decimal places, exact.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seconds {
    nanos: i64,
    precision: Precision,
}

impl Seconds {
    /// A duration that the analysis computed, with 9 decimal places.
    pub const fn exact(span: Span) -> Self {
        Self {
            nanos: span.nanos(),
            precision: Precision::Nano,
        }
    }

    /// Packs nanoseconds and precision into the one integer type that no other member has: the
    /// nanoseconds doubled, plus 1 where 9 decimal places are shown.
    pub const fn packed(self) -> i128 {
        2 * self.nanos as i128 + matches!(self.precision, Precision::Nano) as i128
    }

    /// The duration.
    pub const fn span(self) -> Span {
        Span::from_nanos(self.nanos)
    }

    /// The time of a frame since `start`, the instant of the run's first frame; `None` where
    /// either has no time.
    pub fn since(start: Option<Timestamp>, stamp: &FrameStamp) -> Option<Self> {
        Some(Self {
            nanos: stamp.time?.since(start?).nanos(),
            precision: stamp.precision,
        })
    }

    /// The time of a frame since the Unix epoch; `None` where the capture has no times.
    pub fn epoch(stamp: &FrameStamp) -> Option<Self> {
        Some(Self {
            nanos: stamp.time?.nanos(),
            precision: stamp.precision,
        })
    }
}

impl Serialize for Seconds {
    /// Serialized as [`Seconds::packed`] has it: the JSON writer's formatter turns that into a
    /// decimal on the way. serde has no decimals, and serde_json's exact numbers
    /// (`arbitrary_precision`) would change every number of the program.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i128(self.packed())
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "number"})
    }
}

/// An instant in RFC 3339, UTC, with 6 or 9 decimal places: `2026-11-22T06:56:01.505717Z`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Instant {
    time: Timestamp,
    precision: Precision,
}

impl Instant {
    /// An instant as a capture of this precision shows it.
    pub const fn new(time: Timestamp, precision: Precision) -> Self {
        Self { time, precision }
    }

    /// The instant of a frame; `None` where the capture has no times.
    pub fn of(stamp: &FrameStamp) -> Option<Self> {
        Some(Self::new(stamp.time?, stamp.precision))
    }
}

/// Writes `number` right-aligned into `room`, padded with zeros to all of it.
fn fill_digits(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

impl Serialize for Instant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let nanos = self.time.nanos();
        let fraction = nanos.rem_euclid(1_000_000_000) as u64;
        // The years of a `Timestamp` lie between 1677 and 2262: chrono has them all.
        let civil = DateTime::from_timestamp(nanos.div_euclid(1_000_000_000), 0)
            .unwrap_or_default()
            .naive_utc();
        let mut text = *b"0000-00-00T00:00:00.000000000Z";
        for (from, to, number) in [
            (0, 4, civil.year().unsigned_abs()),
            (5, 7, civil.month()),
            (8, 10, civil.day()),
            (11, 13, civil.hour()),
            (14, 16, civil.minute()),
            (17, 19, civil.second()),
        ] {
            if let Some(room) = text.get_mut(from..to) {
                fill_digits(room, number.into());
            }
        }
        let end = 20 + self.precision.digits();
        if let Some(room) = text.get_mut(20..end) {
            fill_digits(
                room,
                fraction / 10_u64.pow(9 - self.precision.digits() as u32),
            );
        }
        if let Some(zone) = text.get_mut(end) {
            *zone = b'Z';
        }
        let text = text.get(..=end).unwrap_or_default();
        serializer.serialize_str(std::str::from_utf8(text).unwrap_or_default())
    }
}

impl JsonSchema for Instant {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "date-time"})
    }
}

/// Bytes, which JSON shows as two lower-case hexadecimal digits each.
///
/// Serialized as bytes: the JSON writer's formatter turns them into digits on the way, so that
/// a payload of 256 MB needs no string of twice its size.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq)]
#[schemars(inline, transparent, extend("pattern" = "^([0-9a-f]{2})*$"))]
pub struct Hex<'a>(#[schemars(with = "String")] pub &'a [u8]);

impl Serialize for Hex<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// The two ends of a connection, as the sender of a packet sees them.
#[derive(Clone, Copy, Debug, Eq, JsonSchema, PartialEq, serde::Serialize)]
pub struct Ends {
    /// The IP address that it came from.
    pub src: IpAddr,
    /// The TCP port that it came from.
    pub src_port: u16,
    /// The IP address that it went to.
    pub dst: IpAddr,
    /// The TCP port that it went to.
    pub dst_port: u16,
}

impl Ends {
    /// From `source` to `destination`.
    pub const fn new(source: Endpoint, destination: Endpoint) -> Self {
        Self {
            src: source.address,
            src_port: source.port,
            dst: destination.address,
            dst_port: destination.port,
        }
    }
}
