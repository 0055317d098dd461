//! Values that JSON has no type for: exact decimals, instants, bytes.

use std::borrow::Cow;
use std::net::IpAddr;

use chrono::{DateTime, Datelike, Timelike};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::ser::{Error, Serialize, Serializer};
use serde_json::value::RawValue;

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

/// Bytes that the longest decimal takes: `-9223372036.854775808`.
const DECIMAL: usize = 24;

/// Writes `number` right-aligned into `room`, padded with zeros to all of it.
fn fill_digits(room: &mut [u8], mut number: u64) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// Formats a number of seconds, its fraction cut (not rounded) to the digits that the capture
/// keeps.
fn decimal(seconds: Seconds, room: &mut [u8; DECIMAL]) -> &str {
    let places = seconds.precision.digits();
    let magnitude = seconds.nanos.unsigned_abs();
    let point = DECIMAL - places - 1;
    let mut whole = magnitude / 1_000_000_000;
    let fraction = (magnitude % 1_000_000_000) / 10_u64.pow(9 - places as u32);
    let (head, tail) = room.split_at_mut(point);
    if let Some((dot, digits)) = tail.split_first_mut() {
        *dot = b'.';
        fill_digits(digits, fraction);
    }
    let mut first = point;
    for digit in head.iter_mut().rev() {
        *digit = b'0' + (whole % 10) as u8;
        whole /= 10;
        first -= 1;
        if whole == 0 {
            break;
        }
    }
    if seconds.nanos < 0 {
        first = first.saturating_sub(1);
        if let Some(sign) = room.get_mut(first) {
            *sign = b'-';
        }
    }
    std::str::from_utf8(room.get(first..).unwrap_or_default()).unwrap_or_default()
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut room = [b'0'; DECIMAL];
        // serde_json has no decimals without its feature `arbitrary_precision`, which would
        // change every number of the program; a raw value is written as it stands.
        let number: &RawValue =
            serde_json::from_str(decimal(*self, &mut room)).map_err(S::Error::custom)?;
        number.serialize(serializer)
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
