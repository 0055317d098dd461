//! The records beside packets: their members, for this view and for others.

use super::super::clock::DateText;
use super::super::routes::push_address;
use super::writer::JsonWriter;
use crate::base::Endpoint;
use crate::event::{
    Accounting, CarrierError, Closed, Direction, Ended, Gap, GapCause, Incomplete, LooksLike,
    NotMqtt, Protocol, Totals,
};
use crate::mqtt::Sender;

/// Members of `capture`: what was read.
pub fn capture(json: &mut JsonWriter<'_>, totals: &Totals, date: &mut DateText) {
    json.key("files");
    json.begin_array();
    for file in &totals.files {
        json.string(file);
    }
    json.end_array();
    json.number_member("frames", totals.frames);
    json.number_member("packets", totals.packets);
    for (key, time) in [
        ("first_time", totals.first_time),
        ("last_time", totals.last_time),
    ] {
        if let Some(time) = time {
            json.key(key);
            let out = json.raw();
            out.push(b'"');
            date.push_rfc3339(out, time, totals.precision);
            out.push(b'"');
            json.wrote();
        }
    }
    if totals.cut_frames > 0 {
        json.number_member("cut_frames", totals.cut_frames);
    }
    if !totals.skipped.is_empty() {
        json.key("skipped");
        json.begin_array();
        for skipped in &totals.skipped {
            json.begin_object();
            json.word_member("reason", skipped.reason);
            json.string_member("told", &skipped.message);
            json.number_member("frames", skipped.frames);
            json.end_object();
        }
        json.end_array();
    }
    if totals.accounting != Accounting::default() {
        accounting(json, &totals.accounting);
    }
}

/// The member `accounting`: where every frame and every octet went.
fn accounting(json: &mut JsonWriter<'_>, accounting: &Accounting) {
    json.key("accounting");
    json.begin_object();
    json.number_member("connections", accounting.connections);
    json.number_member("mqtt_connections", accounting.mqtt_connections);
    json.number_member("mqtt_frames", accounting.mqtt_frames);
    json.number_member("tcp_frames", accounting.tcp_frames);
    json.number_member("skipped_frames", accounting.skipped_frames);
    json.number_member("captured_octets", accounting.captured);
    json.number_member("unwrapped_octets", accounting.unwrapped);
    json.key("octets");
    json.begin_object();
    for (key, _, octets) in accounting.octets() {
        json.number_member(key, octets);
    }
    json.end_object();
    json.number_member("gaps", accounting.gaps);
    json.number_member("missing_octets", accounting.missing);
    if !accounting.caps.is_empty() {
        json.key("caps_reached");
        json.begin_array();
        for reached in &accounting.caps {
            json.begin_object();
            json.word_member("cap", reached.name());
            json.string_member("told", reached.message());
            json.number_member("times", reached.times);
            json.end_object();
        }
        json.end_array();
    }
    json.end_object();
}

/// Members of a gap.
pub fn gap(json: &mut JsonWriter<'_>, gap: &Gap) {
    json.number_member("frame", gap.stamp.number);
    json.number_member("stream", gap.connection.0);
    json.word_member("sender", sender(gap.sender));
    if gap.length > 0 {
        json.number_member("length", gap.length);
    }
    json.word_member(
        "cause",
        match gap.cause {
            GapCause::NotCaptured => "not_captured",
            GapCause::SnapshotLength => "snapshot_length",
            GapCause::WaitingCap => "waiting_cap",
            GapCause::HeldCap => "held_cap",
            GapCause::Unreadable => "unreadable",
            GapCause::EndOfCapture => "end_of_capture",
        },
    );
    if gap.discarded > 0 {
        json.number_member("discarded", gap.discarded);
    }
}

/// Members of a packet that never completed; `frame` is the one with its first octet.
pub fn incomplete(json: &mut JsonWriter<'_>, ended: &Ended, incomplete: &Incomplete) {
    json.number_member("frame", incomplete.stamp.number);
    json.number_member("stream", ended.connection.0);
    json.word_member("sender", sender(incomplete.sender));
    json.number_member("type", incomplete.packet_type as u8);
    json.word_member("type_name", incomplete.packet_type.name());
    if incomplete.announced > 0 {
        json.number_member("announced", incomplete.announced);
    }
    json.number_member("received", incomplete.received);
    json.word_member("ended_by", closed(ended.why));
}

/// Members of a connection that is not MQTT.
pub fn not_mqtt(json: &mut JsonWriter<'_>, not: &NotMqtt) {
    json.number_member("frame", not.stamp.number);
    json.number_member("stream", not.connection.id.0);
    let (source, destination) = match not.direction {
        Direction::Forward => (not.connection.initiator, not.connection.responder),
        Direction::Backward => (not.connection.responder, not.connection.initiator),
    };
    ends(json, source, destination);
    json.word_member(
        "looks_like",
        match not.looks_like {
            // A WebSocket connection that never opened is HTTP.
            LooksLike::Carrier(Protocol::WebSocket, error) if error != CarrierError::Broken => {
                "http"
            }
            LooksLike::Carrier(protocol, _) => protocol.name(),
            LooksLike::Unknown => "unknown",
        },
    );
    match not.looks_like {
        LooksLike::Carrier(_, CarrierError::Refused(status)) => {
            json.number_member("status", status)
        }
        LooksLike::Carrier(_, CarrierError::Unsupported(suite)) => {
            json.number_member("cipher_suite", suite);
        }
        _ => {}
    }
}

/// Members `src`, `src_port`, `dst`, `dst_port`.
pub fn ends(json: &mut JsonWriter<'_>, source: Endpoint, destination: Endpoint) {
    for (address, port, endpoint) in [
        ("src", "src_port", source),
        ("dst", "dst_port", destination),
    ] {
        json.key(address);
        let out = json.raw();
        out.push(b'"');
        push_address(out, endpoint.address);
        out.push(b'"');
        json.wrote();
        json.number_member(port, endpoint.port);
    }
}

/// `client` or `server`.
pub const fn sender(sender: Sender) -> &'static str {
    match sender {
        Sender::Client => "client",
        Sender::Server => "server",
    }
}

/// What ended a connection: `connection_closed`, `capture_end`.
pub const fn closed(why: Closed) -> &'static str {
    match why {
        Closed::Finished => "connection_closed",
        Closed::Reset => "connection_reset",
        Closed::Replaced => "connection_replaced",
        Closed::Evicted => "evicted",
        Closed::CaptureEnd => "capture_end",
    }
}
