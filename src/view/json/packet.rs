//! One control packet as JSON, member by member.

use std::io::{self, Write};

use super::super::clock::{Clock, DateText, TimeFormat, push_seconds};
use super::super::heard::Heard;
use super::super::info::{self, JsonText};
use super::super::out::{Out, push_hex};
use super::super::routes::Routes;
use super::record;
use super::writer::{JsonWriter, plain_prefix, push_escaped};
use crate::base::FrameStamp;
use crate::event::{PacketEvent, Transport};
use crate::mqtt::packet::{Connect, ControlPacket, Publish, Subscribe, Will};
use crate::mqtt::{
    Breach, PacketType, Properties, PropertyValue, ProtocolVersion, Rule, names_a_secret, reason,
    violations,
};

/// Octets of what is kept of two IPv4 ends, at most.
const ENDS: usize = 128;

/// Octets of a payload from which on it goes to the writer in pieces.
const LARGE_PAYLOAD: usize = 64 * 1024;

/// Writes the members of packets; keeps what their rows share.
#[derive(Debug)]
pub struct PacketMembers {
    secrets: bool,
    clock: Clock,
    date: DateText,
    routes: Routes<ENDS>,
}

impl PacketMembers {
    /// `secrets`: passwords in clear.
    pub fn new(secrets: bool) -> Self {
        Self {
            secrets,
            clock: Clock::new(TimeFormat::Relative),
            date: DateText::utc(),
            routes: Routes::default(),
        }
    }

    /// The run's first frame was read.
    pub fn frame(&mut self, stamp: &FrameStamp) {
        self.clock.frame(stamp);
    }

    /// Writes the members of `seen` into an object that is open. Returns its payload if that
    /// is so large that the caller must write it in pieces, as the last member.
    pub fn push<'a>(
        &mut self,
        json: &mut JsonWriter<'_>,
        seen: &PacketEvent<'a>,
    ) -> Option<&'a [u8]> {
        self.place(json, seen);
        json.number_member("type", seen.packet_type as u8);
        json.word_member("type_name", seen.packet_type.name());
        match seen.version {
            Some(version) => {
                json.word_member("version", version.name());
                if seen.version_inferred {
                    json.bool_member("version_inferred", true);
                }
            }
            // Its protocol level is none that any specification knows.
            None if seen.packet_type == PacketType::Connect => json.word_member("version", "?"),
            None => {}
        }
        if repeats(seen) {
            json.bool_member("dup", true);
        }
        let mut large = None;
        match &seen.packet {
            Ok(packet) => {
                self.packet(json, packet, seen);
                errors(json, packet, seen);
                if let ControlPacket::Publish(publish) = packet {
                    if publish.payload.len() < LARGE_PAYLOAD {
                        json.key("payload");
                        payload(json, publish.payload);
                    } else {
                        large = Some(publish.payload);
                    }
                }
            }
            Err(malformed) => {
                let mut heard = Heard::default();
                // What was read before the octet that stopped the decoder was heard.
                let _ = seen.describe(&mut heard);
                heard.tell(json, seen.packet_type);
                let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
                json.key("malformed");
                broken(json, malformed.rule, malformed.offset, version);
            }
        }
        json.key("info");
        let out = json.raw();
        out.push(b'"');
        info::words(&mut JsonText(out), seen);
        out.push(b'"');
        json.wrote();
        large
    }

    /// Where and when.
    fn place(&mut self, json: &mut JsonWriter<'_>, seen: &PacketEvent<'_>) {
        let stamp = &seen.stamp;
        json.number_member("frame", stamp.number);
        json.number_member("index", seen.index);
        if seen.frames.len() > 1 {
            json.key("frames");
            json.begin_array();
            for &frame in seen.frames {
                json.number(frame);
            }
            json.end_array();
        }
        if let Some(time) = stamp.time {
            json.key("time");
            let out = json.raw();
            out.push(b'"');
            self.date.push_rfc3339(out, time, stamp.precision);
            out.push(b'"');
            json.wrote();
            if let Some(span) = self.clock.relative(stamp) {
                json.key("time_relative");
                push_seconds(json.raw(), span, stamp.precision);
                json.wrote();
            }
        }
        let (ends, _) = self.routes.of(seen.connection, seen.direction, |text| {
            record::ends(
                &mut JsonWriter::after_value(text),
                seen.source,
                seen.destination,
            );
            text.len()
        });
        // The kept text begins with its comma.
        json.members(ends);
        json.number_member("length", stamp.length);
        json.number_member("stream", seen.connection.0);
        match seen.transport {
            Transport::Tcp => {}
            Transport::WebSocket => json.word_member("transport", "websocket"),
            Transport::Tls => json.word_member("transport", "tls"),
            Transport::TlsWebSocket => json.word_member("transport", "tls+websocket"),
        }
        if seen.after_gap {
            json.bool_member("after_gap", true);
        }
    }

    fn packet(
        &self,
        json: &mut JsonWriter<'_>,
        packet: &ControlPacket<'_>,
        seen: &PacketEvent<'_>,
    ) {
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        let named = |json: &mut JsonWriter<'_>, code: u8| {
            json.number_member("reason_code", code);
            json.word_member("reason_name", reason::name(seen.packet_type, version, code));
        };
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
            ControlPacket::Publish(publish) => publish_members(json, publish, seen, self.secrets),
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => {
                json.number_member("packet_id", ack.packet_id.number());
                if v5 {
                    named(json, ack.reason_code);
                }
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
            ControlPacket::PingReq | ControlPacket::PingResp => {}
            ControlPacket::Disconnect(disconnect) => {
                if v5 {
                    named(json, disconnect.reason_code);
                }
                properties(json, &disconnect.properties, self.secrets);
            }
            ControlPacket::Auth(auth) => {
                named(json, auth.reason_code);
                properties(json, &auth.properties, self.secrets);
            }
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

fn publish_members(
    json: &mut JsonWriter<'_>,
    publish: &Publish<'_>,
    seen: &PacketEvent<'_>,
    secrets: bool,
) {
    json.bool_member("dup", publish.dup);
    json.number_member("qos", publish.delivery.qos() as u8);
    json.bool_member("retain", publish.retain);
    if let Some(id) = publish.delivery.packet_id() {
        json.number_member("packet_id", id.number());
    }
    json.string_member("topic", publish.topic);
    if let Some(topic) = seen.topic_resolved {
        json.string_member("topic_resolved", topic);
    }
    properties(json, &publish.properties, secrets);
}

/// `errors`: what a readable packet breaks all the same; absent where that is nothing.
fn errors(json: &mut JsonWriter<'_>, packet: &ControlPacket<'_>, seen: &PacketEvent<'_>) {
    let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
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
        broken(json, violation.rule, violation.offset, version);
    });
    if any {
        json.end_array();
    }
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

/// `properties`, in wire order; absent where there are none. Binary ones are hexadecimal. Of a
/// User Property whose name speaks of a secret the value is empty, and `value_length` says
/// how many octets it has, unless `secrets` are asked for.
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
pub(super) fn payload(json: &mut JsonWriter<'_>, octets: &[u8]) {
    json.begin_object();
    json.number_member("length", octets.len() as u64);
    json.key("hex");
    json.hex(octets);
    if plain_prefix(octets) == octets.len() {
        json.key("text");
        json.plain(octets);
    } else if let Some(text) = readable(octets) {
        json.string_member("text", text);
    }
    json.end_object();
}

/// The octets as text, where they are well-formed UTF-8 without control characters other than
/// tab and line ends.
pub fn readable(octets: &[u8]) -> Option<&str> {
    let text = simdutf8::basic::from_utf8(octets).ok()?;
    // Octet by octet without a branch, since all of a payload must be looked at; the control
    // characters above ASCII, U+0080 to U+009F, begin with an octet that is rare.
    let is_control = |octet: u8| {
        (octet < 0x20) & (octet != b'\t') & (octet != b'\n') & (octet != b'\r') | (octet == 0x7f)
    };
    let control = (octets.iter()).fold(false, |found, octet| found | is_control(*octet));
    let above = || {
        memchr::memchr_iter(0xc2, octets)
            .any(|at| octets.get(at + 1).is_some_and(|next| *next < 0xa0))
    };
    (!control && !above()).then_some(text)
}

/// Writes the member `payload` after others, handing the buffer on between pieces, so that
/// memory stays that of the packet and not of its text.
pub(super) fn stream_payload<W: Write>(out: &mut Out<W>, octets: &[u8]) -> io::Result<()> {
    out.text().extend_from_slice(b",\"payload\":{");
    JsonWriter::new(out.text()).number_member("length", octets.len() as u64);
    out.text().extend_from_slice(b",\"hex\":\"");
    for piece in octets.chunks(LARGE_PAYLOAD) {
        push_hex(out.text(), piece);
        out.row_done()?;
    }
    out.text().push(b'"');
    if let Some(mut text) = readable(octets) {
        out.text().extend_from_slice(b",\"text\":\"");
        while !text.is_empty() {
            let cut = text.floor_char_boundary(LARGE_PAYLOAD);
            let (now, later) = text.split_at_checked(cut).unwrap_or((text, ""));
            push_escaped(out.text(), now);
            out.row_done()?;
            text = later;
        }
        out.text().push(b'"');
    }
    out.text().push(b'}');
    Ok(())
}
