//! One control packet as JSON, member by member.

use super::super::clock::{Clock, DateText, TimeFormat, push_seconds};
use super::super::heard::Heard;
use super::super::info::{self, JsonText, Sink};
use super::super::out::{joined, micros_text};
use super::super::routes::Routes;
use super::record;
use super::row::Row;
use super::writer::JsonWriter;
use crate::base::scan::any;
use crate::base::{FrameStamp, Precision, Span, Timestamp};
use crate::event::PacketEvent;
use crate::mqtt::packet::{Connect, ControlPacket, Publish, Subscribe, Will};
use crate::mqtt::{
    Breach, Malformed, PacketType, Properties, PropertyId, PropertyValue, ProtocolVersion, Rule,
    names_a_secret, reason, surely_clean, violations,
};

/// Octets of a payload from which on it stands behind everything else.
const LARGE_PAYLOAD: usize = 64 * 1024;

/// Writes the members of packets; keeps what their rows share.
///
/// What nearly every packet has is written in place, piece by piece; what is rare goes by a
/// [`JsonWriter`].
#[derive(Debug)]
pub(super) struct PacketMembers {
    secrets: bool,
    clock: Clock,
    second: Second,
    routes: Routes<ENDS>,
}

impl PacketMembers {
    /// `secrets`: passwords in clear.
    pub(super) fn new(secrets: bool) -> Self {
        Self {
            secrets,
            clock: Clock::new(TimeFormat::Relative),
            second: Second::with(Timestamp::default()),
            routes: Routes::default(),
        }
    }

    /// The run's first frame was read.
    pub(super) fn frame(&mut self, stamp: &FrameStamp) {
        self.clock.frame(stamp);
    }

    /// Writes the members of `seen`, `frame` first and without a comma before it, into an
    /// object that is open.
    #[inline(always)]
    pub(super) fn push(&mut self, row: &mut Row<'_>, seen: &PacketEvent<'_>) {
        self.place(row, seen);
        let (kind, length) = kind(seen);
        row.put_first(kind, *length);
        if seen.version.is_some() && seen.version_inferred {
            row.put(b",\"version_inferred\":true");
        }
        if repeats(seen) {
            row.put(b",\"dup\":true");
        }
        let mut large = None;
        match seen.packet {
            Ok(packet @ ControlPacket::Publish(publish)) => {
                self.publish(row, publish, seen);
                errors(row, packet, seen);
                if publish.payload.len() < LARGE_PAYLOAD {
                    payload_member(row, publish.payload);
                } else {
                    large = Some(publish.payload);
                }
            }
            Ok(packet) => {
                self.packet(row, packet, seen);
                errors(row, packet, seen);
            }
            Err(malformed) => row.other(|out| broken_off(out, &malformed, seen)),
        }
        row.put(b",\"info\":\"");
        if !info::ordinary_words(row, seen) {
            row.other(|out| info::words(&mut JsonText(out), seen));
        }
        row.put(b"\"");
        if let Some(payload) = large {
            payload_member(row, payload);
        }
    }

    /// Where and when.
    #[inline(always)]
    fn place(&mut self, row: &mut Row<'_>, seen: &PacketEvent<'_>) {
        let stamp = &seen.stamp;
        row.put(b"\"frame\":");
        row.number(stamp.number);
        row.put(b",\"index\":");
        row.number(seen.index.into());
        if seen.frames.len() > 1 {
            row.other(|out| frames(out, seen.frames));
        }
        if let (Some(time), Some((seconds, micros))) = (stamp.time, self.clock.micros(stamp)) {
            let (second, fraction) = self.second.of(time);
            row.put(second);
            row.put_first(&micros_text(fraction / 1_000), 7);
            row.put(b"Z\",\"time_relative\":");
            row.number(seconds);
            row.put_first(&micros_text(micros), 7);
        } else if let Some(time) = stamp.time {
            row.other(|out| times(out, time, self.clock.relative(stamp), stamp.precision));
        }
        let (ends, stream) = self
            .routes
            .of(seen.connection, seen.direction, |text| route(text, seen));
        row.kept(ends);
        row.number(stamp.length.into());
        if let Some(stream) = stream.first_chunk::<STREAM>() {
            row.put_first(stream, usize::from(stream[STREAM - 1]));
        }
        if !seen.transport.is_bare() {
            row.octets(format!(",\"transport\":\"{}\"", seen.transport).as_bytes());
        }
        if seen.after_gap {
            row.put(b",\"after_gap\":true");
        }
    }

    #[inline(always)]
    fn publish(&self, row: &mut Row<'_>, publish: &Publish<'_>, seen: &PacketEvent<'_>) {
        let flags = usize::from(publish.dup) << 3
            | (publish.delivery.qos() as usize) << 1
            | usize::from(publish.retain);
        let (flags, length) = &FLAGS[flags];
        row.put_first(flags, *length);
        if let Some(id) = publish.delivery.packet_id() {
            row.put(b",\"packet_id\":");
            row.number(id.number().into());
        }
        row.put(b",\"topic\":\"");
        row.text(publish.topic);
        row.put(b"\"");
        if let Some(topic) = seen.topic_resolved {
            row.put(b",\"topic_resolved\":\"");
            row.text(topic);
            row.put(b"\"");
        }
        self.properties(row, &publish.properties);
    }

    #[inline(always)]
    fn properties(&self, row: &mut Row<'_>, all: &Properties<'_>) {
        if !all.is_empty() {
            row.other(|out| properties(&mut JsonWriter::after_value(out), all, self.secrets));
        }
    }

    /// The members of a packet other than PUBLISH.
    #[inline(always)]
    fn packet(&self, row: &mut Row<'_>, packet: &ControlPacket<'_>, seen: &PacketEvent<'_>) {
        match packet {
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => {
                row.put(b",\"packet_id\":");
                row.number(ack.packet_id.number().into());
                if seen.version == Some(ProtocolVersion::V5_0) {
                    if ack.reason_code == 0 {
                        row.put(b",\"reason_code\":0,\"reason_name\":\"Success\"");
                    } else {
                        row.other(|out| {
                            named(&mut JsonWriter::after_value(out), seen, ack.reason_code);
                        });
                    }
                }
                self.properties(row, &ack.properties);
            }
            ControlPacket::PingReq | ControlPacket::PingResp => {}
            packet => row.other(|out| {
                self.other_packet(&mut JsonWriter::after_value(out), packet, seen);
            }),
        }
    }

    /// The members of a packet that is no part of a message on its way.
    fn other_packet(
        &self,
        json: &mut JsonWriter<'_>,
        packet: &ControlPacket<'_>,
        seen: &PacketEvent<'_>,
    ) {
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        let v5 = version == ProtocolVersion::V5_0;
        match packet {
            ControlPacket::Connect(connect) => {
                self.connect(json, connect, seen.version);
                properties(json, &connect.properties, self.secrets);
            }
            ControlPacket::ConnAck(ack) => {
                json.key("connack");
                json.begin_object();
                json.bool_member("session_present", ack.session_present);
                json.number_member(if v5 { "reason_code" } else { "return_code" }, ack.code);
                json.word_member(
                    "reason_name",
                    reason::name(PacketType::ConnAck, version, ack.code),
                );
                json.end_object();
                properties(json, &ack.properties, self.secrets);
            }
            ControlPacket::Subscribe(subscribe) => subscriptions(json, subscribe, v5, self.secrets),
            ControlPacket::SubAck(ack) => {
                json.number_member("packet_id", ack.packet_id.number());
                codes(json, ack.codes);
                properties(json, &ack.properties, self.secrets);
            }
            ControlPacket::Unsubscribe(unsubscribe) => {
                json.number_member("packet_id", unsubscribe.packet_id.number());
                json.key("filters");
                json.begin_array();
                for filter in unsubscribe.filters.iter() {
                    json.string(filter);
                }
                json.end_array();
                properties(json, &unsubscribe.properties, self.secrets);
            }
            ControlPacket::UnsubAck(ack) => {
                json.number_member("packet_id", ack.packet_id.number());
                if v5 {
                    codes(json, ack.codes);
                }
                properties(json, &ack.properties, self.secrets);
            }
            ControlPacket::Disconnect(disconnect) => {
                if v5 {
                    named(json, seen, disconnect.reason_code);
                }
                properties(json, &disconnect.properties, self.secrets);
            }
            ControlPacket::Auth(auth) => {
                named(json, seen, auth.reason_code);
                properties(json, &auth.properties, self.secrets);
            }
            // Written in place.
            ControlPacket::Publish(_)
            | ControlPacket::PubAck(_)
            | ControlPacket::PubRec(_)
            | ControlPacket::PubRel(_)
            | ControlPacket::PubComp(_)
            | ControlPacket::PingReq
            | ControlPacket::PingResp => {}
        }
    }

    fn connect(
        &self,
        json: &mut JsonWriter<'_>,
        connect: &Connect<'_>,
        version: Option<ProtocolVersion>,
    ) {
        json.key("connect");
        json.begin_object();
        json.string_member("protocol_name", connect.protocol_name);
        json.number_member("protocol_level", connect.protocol_level);
        if connect.bridge {
            json.bool_member("bridge", true);
        }
        flags(json, connect.flags, version);
        json.number_member("keep_alive", connect.keep_alive);
        json.string_member("client_id", connect.client_id);
        if let Some(user) = connect.user_name {
            json.string_member("user_name", user);
        }
        if let Some(password) = connect.password {
            json.number_member("password_length", password.len() as u64);
            if self.secrets {
                json.key("password");
                payload(json, password);
            }
        }
        if let Some(message) = &connect.will {
            json.key("will");
            will(json, message, self.secrets);
        }
        json.end_object();
    }
}

/// The Connect Flags octet, bit by bit.
pub(crate) fn flags(json: &mut JsonWriter<'_>, flags: u8, version: Option<ProtocolVersion>) {
    let bit = |mask: u8| flags & mask != 0;
    json.key("flags");
    json.begin_object();
    json.number_member("byte", flags);
    json.bool_member("user_name", bit(0x80));
    json.bool_member("password", bit(0x40));
    json.bool_member("will_retain", bit(0x20));
    json.number_member("will_qos", flags >> 3 & 3);
    json.bool_member("will", bit(0x04));
    let clean = match version {
        Some(ProtocolVersion::V5_0) => "clean_start",
        _ => "clean_session",
    };
    json.bool_member(clean, bit(0x02));
    json.bool_member("reserved", bit(0x01));
    json.end_object();
}

fn will(json: &mut JsonWriter<'_>, will: &Will<'_>, secrets: bool) {
    json.begin_object();
    json.string_member("topic", will.topic);
    json.number_member("qos", will.qos as u8);
    json.bool_member("retain", will.retain);
    json.key("payload");
    payload(json, will.payload);
    properties(json, &will.properties, secrets);
    json.end_object();
}

/// Whether a packet other than PUBLISH has DUP set: MQTT 3.1 (§3.8, §3.10, §3.6) has the
/// flag in SUBSCRIBE, UNSUBSCRIBE and PUBREL too.
fn repeats(seen: &PacketEvent<'_>) -> bool {
    use PacketType::{PubRel, Subscribe, Unsubscribe};
    seen.version == Some(ProtocolVersion::V3_1)
        && matches!(seen.packet_type, PubRel | Subscribe | Unsubscribe)
        && seen.octets.first().is_some_and(|first| first & 0x08 != 0)
}

/// `errors`: what a readable packet breaks all the same; absent where that is nothing.
#[inline(always)]
fn errors(row: &mut Row<'_>, packet: &ControlPacket<'_>, seen: &PacketEvent<'_>) {
    let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
    if !surely_clean(packet, seen.octets, version) {
        row.other(|out| list_errors(out, packet, seen, version));
    }
}

fn list_errors(
    out: &mut Vec<u8>,
    packet: &ControlPacket<'_>,
    seen: &PacketEvent<'_>,
    version: ProtocolVersion,
) {
    let mut json = JsonWriter::after_value(out);
    let mut any = false;
    violations(packet, seen.octets, version, &mut |violation| {
        if violation.rule.breach() == Breach::Advice {
            return;
        }
        if !any {
            json.key("errors");
            json.begin_array();
        }
        any = true;
        broken(&mut json, violation.rule, violation.offset, version);
    });
    if any {
        json.end_array();
    }
}

/// The members of a malformed packet: what was heard before the octet that stopped the decoder,
/// and what is wrong there.
#[cold]
fn broken_off(out: &mut Vec<u8>, malformed: &Malformed, seen: &PacketEvent<'_>) {
    let mut json = JsonWriter::after_value(out);
    let mut heard = Heard::default();
    // It ends where decoding ended.
    let _ = seen.describe(&mut heard);
    heard.tell(&mut json, seen.packet_type);
    let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
    json.key("malformed");
    broken(&mut json, malformed.rule, malformed.offset, version);
}

/// Octets that are kept of `stream`, the last one being its length.
const STREAM: usize = 24;

/// Octets of what [`route`] makes of two IPv4 addresses, at most.
const ENDS: usize = 128;

/// What is kept of a direction of a connection: `src` to `dst_port` and the key of `length`;
/// then `stream`. Where the second begins.
fn route(out: &mut Vec<u8>, seen: &PacketEvent<'_>) -> usize {
    let mut json = JsonWriter::after_value(out);
    record::ends(&mut json, *seen.source, *seen.destination);
    out.extend_from_slice(b",\"length\":");
    let second = out.len();
    JsonWriter::after_value(out).number_member("stream", seen.connection.0);
    let length = out.len() - second;
    out.resize(second + STREAM - 1, b' ');
    out.push(length as u8);
    second
}

/// `frames`: every frame that carried a part.
fn frames(out: &mut Vec<u8>, frames: &[u64]) {
    let mut json = JsonWriter::after_value(out);
    json.key("frames");
    json.begin_array();
    for &frame in frames {
        json.number(frame);
    }
    json.end_array();
}

/// `time` and `time_relative` of any capture: nine digits, or before the first frame.
fn times(out: &mut Vec<u8>, time: Timestamp, relative: Option<Span>, precision: Precision) {
    let mut json = JsonWriter::after_value(out);
    json.key("time");
    let out = json.raw();
    out.push(b'"');
    DateText::utc().push_rfc3339(out, time, precision);
    out.push(b'"');
    json.wrote();
    if let Some(span) = relative {
        json.key("time_relative");
        push_seconds(json.raw(), span, precision);
    }
}

/// A Reason Code and its name.
fn named(json: &mut JsonWriter<'_>, seen: &PacketEvent<'_>, code: u8) {
    let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
    json.number_member("reason_code", code);
    json.word_member("reason_name", reason::name(seen.packet_type, version, code));
}

/// The member `time` up to its second, made once a second: thousands of packets share it.
#[derive(Debug)]
struct Second {
    /// When it begins, in nanoseconds since the Unix epoch.
    begin: i64,
    text: [u8; SECOND],
}

/// Octets of `,"time":"2026-11-22T06:56:01`.
const SECOND: usize = 28;

const NANOS: i64 = 1_000_000_000;

impl Second {
    fn with(time: Timestamp) -> Self {
        let mut text = b",\"time\":\"".to_vec();
        DateText::utc().push_rfc3339(&mut text, time, Precision::Micro);
        Self {
            // The earliest second begins before the earliest instant.
            begin: time.nanos().div_euclid(NANOS).wrapping_mul(NANOS),
            text: *text.first_chunk().unwrap_or(&[b' '; SECOND]),
        }
    }

    /// The text for `time`, and the nanoseconds after it.
    #[inline(always)]
    fn of(&mut self, time: Timestamp) -> (&[u8; SECOND], u32) {
        if !(0..NANOS).contains(&time.nanos().wrapping_sub(self.begin)) {
            *self = Self::with(time);
        }
        let nanos = time.nanos().wrapping_sub(self.begin);
        (&self.text, nanos as u32)
    }
}

/// `type`, `type_name` and `version`, none of them first, for each packet type and version.
const KINDS: [[([u8; 64], usize); 4]; 16] = {
    let mut all = [[([b' '; 64], 0); 4]; 16];
    let mut number = 0;
    while number < all.len() {
        let packet_type = PacketType::ALL[number];
        let mut version = 0;
        while version < all[number].len() {
            let name = match version {
                1 => ProtocolVersion::V3_1.name(),
                2 => ProtocolVersion::V3_1_1.name(),
                3 => ProtocolVersion::V5_0.name(),
                // Its protocol level is none that any specification knows.
                _ if matches!(packet_type, PacketType::Connect) => "?",
                _ => "",
            };
            let tens = [b'0' + (number / 10) as u8];
            let ones = [b'0' + (number % 10) as u8];
            let has_version = !name.is_empty();
            all[number][version] = joined(&[
                b",\"type\":",
                if number < 10 { b"" } else { &tens },
                &ones,
                b",\"type_name\":\"",
                packet_type.name().as_bytes(),
                if has_version {
                    b"\",\"version\":\""
                } else {
                    b""
                },
                name.as_bytes(),
                b"\"",
            ]);
            version += 1;
        }
        number += 1;
    }
    all
};

/// `dup`, `qos` and `retain`, none of them first, by the flags of a PUBLISH.
const FLAGS: [([u8; 40], usize); 16] = {
    let mut all = [([b' '; 40], 0); 16];
    let mut flags = 0;
    while flags < all.len() {
        let dup: &[u8] = if flags & 8 == 0 { b"false" } else { b"true" };
        let retain: &[u8] = if flags & 1 == 0 { b"false" } else { b"true" };
        let qos = [b'0' + (flags >> 1 & 3) as u8];
        all[flags] = joined(&[
            b",\"dup\":",
            dup,
            b",\"qos\":",
            &qos,
            b",\"retain\":",
            retain,
        ]);
        flags += 1;
    }
    all
};

/// The entry of [`KINDS`].
#[inline(always)]
fn kind(seen: &PacketEvent<'_>) -> &'static ([u8; 64], usize) {
    let version = match seen.version {
        None => 0,
        Some(ProtocolVersion::V3_1) => 1,
        Some(ProtocolVersion::V3_1_1) => 2,
        Some(ProtocolVersion::V5_0) => 3,
    };
    &KINDS[seen.packet_type as usize][version]
}

/// A rule that is broken: `{"rule", "statements", "offset", "message"}`.
fn broken(json: &mut JsonWriter<'_>, rule: Rule, offset: usize, version: ProtocolVersion) {
    json.begin_object();
    json.word_member("rule", rule.name());
    json.words_member("statements", rule.ids(version));
    json.number_member("offset", offset as u64);
    json.word_member("message", rule.sentence());
    json.end_object();
}

fn subscriptions(json: &mut JsonWriter<'_>, subscribe: &Subscribe<'_>, v5: bool, secrets: bool) {
    json.number_member("packet_id", subscribe.packet_id.number());
    json.key("subscriptions");
    json.begin_array();
    for one in subscribe.subscriptions.iter() {
        json.begin_object();
        json.string_member("filter", one.filter);
        json.number_member("qos", one.options & 3);
        if v5 {
            json.bool_member("no_local", one.options & 0x04 != 0);
            json.bool_member("retain_as_published", one.options & 0x08 != 0);
            json.number_member("retain_handling", one.options >> 4 & 3);
        }
        json.end_object();
    }
    json.end_array();
    properties(json, &subscribe.properties, secrets);
}

fn codes(json: &mut JsonWriter<'_>, codes: &[u8]) {
    json.key("reason_codes");
    json.begin_array();
    for &code in codes {
        json.number(code.into());
    }
    json.end_array();
}

/// `properties`, in wire order; absent where there are none. Binary ones are hexadecimal.
///
/// Unless `secrets` are asked for, Authentication Data has a `length` in place of its `value`,
/// and of a User Property whose name names a secret the value is empty, with its length as
/// `value_length`, both in bytes.
fn properties(json: &mut JsonWriter<'_>, properties: &Properties<'_>, secrets: bool) {
    if properties.is_empty() {
        return;
    }
    json.key("properties");
    json.begin_array();
    for property in properties.iter() {
        json.begin_object();
        json.number_member("id", property.id.0);
        json.word_member("name", property.id.name());
        if let (PropertyId::AUTHENTICATION_DATA, PropertyValue::Binary(bytes), false) =
            (property.id, property.value, secrets)
        {
            json.number_member("length", bytes.len() as u64);
            json.end_object();
            continue;
        }
        json.key("value");
        match property.value {
            PropertyValue::Byte(number) => json.number(number.into()),
            PropertyValue::TwoByte(number) => json.number(number.into()),
            PropertyValue::FourByte(number) | PropertyValue::Variable(number) => {
                json.number(number.into());
            }
            PropertyValue::Binary(octets) => json.hex(octets),
            PropertyValue::Text(text) => json.string(text),
            PropertyValue::Pair(name, value) => {
                let hidden = !secrets && names_a_secret(name);
                json.begin_array();
                json.string(name);
                json.string(if hidden { "" } else { value });
                json.end_array();
                if hidden {
                    json.number_member("value_length", value.len() as u64);
                }
            }
        }
        json.end_object();
    }
    json.end_array();
}

/// `{"length", "hex", "text"?}`.
fn payload(json: &mut JsonWriter<'_>, octets: &[u8]) {
    json.begin_object();
    json.number_member("length", octets.len() as u64);
    json.key("hex");
    json.hex(octets);
    if let Some(text) = readable(octets) {
        json.string_member("text", text);
    }
    json.end_object();
}

/// The member `payload`: the same.
#[inline(always)]
fn payload_member(row: &mut Row<'_>, octets: &[u8]) {
    row.put(b",\"payload\":{\"length\":");
    row.number(octets.len() as u64);
    row.put(b",\"hex\":\"");
    row.hex(octets);
    row.put(b"\"");
    row.text_member(octets);
    row.put(b"}");
}

/// The octets as text, where they are well-formed UTF-8 without control characters other than
/// tab and line ends.
pub fn readable(octets: &[u8]) -> Option<&str> {
    // What is no text is full of them: this is found sooner than that it is no UTF-8.
    let is_control = |octet: u8| {
        (octet < 0x20) & (octet != b'\t') & (octet != b'\n') & (octet != b'\r') | (octet == 0x7f)
    };
    if any(octets, is_control) {
        return None;
    }
    let text = simdutf8::basic::from_utf8(octets).ok()?;
    // The control characters above ASCII, U+0080 to U+009F, begin with an octet that is rare.
    let above = memchr::memchr_iter(0xc2, octets)
        .any(|at| octets.get(at + 1).is_some_and(|next| *next < 0xa0));
    (!above).then_some(text)
}
