//! What became of each message, as JSON: the records of `--flow`, `--check` and sessions.

use super::writer::JsonWriter;
use crate::base::{FrameStamp, Span, Timestamp};
use crate::event::{
    ConnAckSummary, ConnectSummary, Delivered, End, FilterRequest, Finding, Handshake,
    HandshakeState, MessageDelivery, NoWill, Origin, Outcome, Payload, RetainedEnd,
    RetainedSummary, SessionSummary, Step, Subject, Undelivered, WillFate, WillMessage,
    WillSummary,
};
use crate::mqtt::{PacketType, ProtocolVersion, Sender, reason};
use crate::view::clock::push_seconds;

/// Members of a handshake; `start` is the run's first instant.
pub fn handshake(json: &mut JsonWriter<'_>, handshake: &Handshake, start: Option<Timestamp>) {
    json.word_member("kind", handshake.kind.name());
    json.number_member("stream", handshake.connection.0);
    json.word_member("initiator", sender(handshake.initiator));
    if let Some(id) = handshake.packet_id {
        json.number_member("packet_id", id.number());
    }
    if let Some(topic) = handshake
        .message()
        .and_then(|message| message.topic.as_deref())
    {
        json.string_member("topic", topic);
    }
    if let Some(client_id) = &handshake.client_id {
        json.string_member("client_id", client_id);
    }
    if let Some(version) = handshake.version {
        json.word_member("version", version.name());
    }
    state(json, &handshake.state, handshake.version);
    if let Some(took) = handshake.duration() {
        seconds(json, "duration", took);
    }
    if handshake.redelivered() {
        json.bool_member("redelivered", true);
    }
    match &handshake.subject {
        Subject::Message(message) => {
            json.bool_member("retain", message.retain);
            payload(json, &message.payload);
        }
        Subject::Subscribe(asked) => subscriptions(json, asked, handshake.version),
        Subject::Unsubscribe(asked) => filters(json, asked),
        Subject::Connect(connecting) => connect(json, connecting, handshake.version),
        Subject::Nothing => {}
    }
    steps(json, &handshake.steps, start);
    if handshake.steps_left_out > 0 {
        json.number_member("steps_left_out", handshake.steps_left_out);
    }
    legs(json, &handshake.deliveries, start);
    if handshake.deliveries_left_out > 0 {
        json.number_member("deliveries_left_out", handshake.deliveries_left_out);
    }
    if let Some(from) = &handshake.origin {
        json.key("origin");
        json.begin_object();
        origin(json, from);
        json.end_object();
    }
}

/// Members of a will's story.
pub fn will(json: &mut JsonWriter<'_>, story: &WillSummary, start: Option<Timestamp>) {
    json.number_member("stream", story.connection.0);
    if let Some(client_id) = &story.client_id {
        json.string_member("client_id", client_id);
    }
    json.number_member("set_frame", story.set.number);
    will_asked(json, &story.will);
    end(json, &story.end);
    match story.fate {
        WillFate::Published(stamp) => {
            json.bool_member("published", true);
            json.number_member("frame", stamp.number);
        }
        WillFate::NotPublished(why) => {
            json.bool_member("published", false);
            json.word_member("why", no_will(why));
        }
    }
    legs(json, &story.deliveries, start);
}

/// Members of a stored message's story.
pub fn retained(json: &mut JsonWriter<'_>, story: &RetainedSummary, start: Option<Timestamp>) {
    if let Some(topic) = &story.message.topic {
        json.string_member("topic", topic);
    }
    payload(json, &story.message.payload);
    if let Some(stored) = &story.stored {
        json.number_member("stored_frame", stored.stamp.number);
        json.number_member("stream", stored.connection.0);
        if let Some(client_id) = &stored.client_id {
            json.string_member("client_id", client_id);
        }
        json.bool_member("will", stored.will);
    }
    let (word, frame) = match story.end {
        RetainedEnd::Replaced(stamp) => ("replaced", Some(stamp)),
        RetainedEnd::Cleared(stamp) => ("cleared", Some(stamp)),
        RetainedEnd::Kept => ("kept", None),
        RetainedEnd::TableFull => ("table_full", None),
    };
    json.word_member("ended_by", word);
    if let Some(stamp) = frame {
        json.number_member("ended_frame", stamp.number);
    }
    legs(json, &story.deliveries, start);
}

/// Members of a session's story.
pub fn session(json: &mut JsonWriter<'_>, story: &SessionSummary) {
    if let Some(client_id) = &story.client_id {
        json.string_member("client_id", client_id);
    }
    if story.assigned {
        json.bool_member("assigned", true);
    }
    if let Some(user_name) = &story.user_name {
        json.string_member("user_name", user_name);
    }
    if let Some(version) = story.version {
        json.word_member("version", version.name());
    }
    json.key("connections");
    json.begin_array();
    for connection in &story.connections {
        json.begin_object();
        json.number_member("stream", connection.connection.0);
        json.number_member("frame", connection.opened.number);
        super::record::ends(json, connection.client, connection.server);
        if let Some(keep_alive) = connection.keep_alive {
            json.number_member("keep_alive", keep_alive);
        }
        if let Some(expiry) = connection.session_expiry {
            json.number_member("session_expiry", expiry);
        }
        for (key, [client, server]) in [
            ("packets", connection.packets),
            ("octets", connection.octets),
        ] {
            json.key(key);
            json.begin_object();
            json.number_member("client", client);
            json.number_member("server", server);
            json.end_object();
        }
        end(json, &connection.end);
        json.end_object();
    }
    json.end_array();
    if story.connections_left_out > 0 {
        json.number_member("connections_left_out", story.connections_left_out);
    }
    json.key("subscriptions");
    json.begin_array();
    for filter in &story.subscriptions {
        json.string(filter);
    }
    json.end_array();
}

/// Members of a finding.
pub fn finding(json: &mut JsonWriter<'_>, finding: &Finding) {
    json.word_member("level", finding.level.name());
    json.word_member("rule", finding.rule);
    json.words_member("statements", finding.statements);
    json.number_member("frame", finding.stamp.number);
    if let Some(connection) = finding.connection {
        json.number_member("stream", connection.0);
    }
    if let Some(client_id) = &finding.client_id {
        json.string_member("client_id", client_id);
    }
    json.string_member("message", &finding.message);
}

fn state(json: &mut JsonWriter<'_>, state: &HandshakeState, version: Option<ProtocolVersion>) {
    json.word_member("state", state.name());
    match *state {
        HandshakeState::Complete => {}
        HandshakeState::Refused { packet_type, code } => {
            let version = version.unwrap_or(ProtocolVersion::V3_1_1);
            json.word_member("refused_by", packet_type.name());
            json.number_member("reason_code", code);
            json.word_member("reason_name", reason::name(packet_type, version, code));
        }
        HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        } => {
            json.word_member("waiting_for", waiting_for.name());
            json.word_member("ended_by", ended_by.name());
        }
    }
}

fn steps(json: &mut JsonWriter<'_>, steps: &[Step], start: Option<Timestamp>) {
    json.key("steps");
    json.begin_array();
    for step in steps {
        json.begin_object();
        json.word_member("type_name", step.packet_type.name());
        json.number_member("frame", step.stamp.number);
        relative(json, &step.stamp, start);
        json.number_member("stream", step.connection.0);
        json.word_member("sender", sender(step.sender));
        if let Some(qos) = step.qos {
            json.bool_member("dup", step.dup);
            json.number_member("qos", qos as u8);
            json.bool_member("retain", step.retain);
        }
        if let Some(code) = step.reason_code {
            json.number_member("reason_code", code);
        }
        if step.after_gap {
            json.bool_member("after_gap", true);
        }
        json.end_object();
    }
    json.end_array();
}

/// `deliveries`, and beside them `not_delivered`: the subscribers that a message should have
/// reached, and why it was not seen to.
fn legs(json: &mut JsonWriter<'_>, legs: &[MessageDelivery], start: Option<Timestamp>) {
    let delivered = |leg: &&MessageDelivery| matches!(leg.outcome, Outcome::Delivered(_));
    if legs.iter().any(|leg| delivered(&leg)) {
        json.key("deliveries");
        json.begin_array();
        for leg in legs.iter().filter(delivered) {
            json.begin_object();
            subscriber(json, leg);
            if let Outcome::Delivered(delivered) = &leg.outcome {
                self::delivered(json, delivered, start);
            }
            if leg.ambiguous {
                json.bool_member("ambiguous", true);
            }
            json.end_object();
        }
        json.end_array();
    }
    if legs.iter().any(|leg| !delivered(&leg)) {
        json.key("not_delivered");
        json.begin_array();
        for leg in legs {
            let Outcome::NotDelivered(why) = leg.outcome else {
                continue;
            };
            json.begin_object();
            subscriber(json, leg);
            json.word_member("why", undelivered(why));
            json.end_object();
        }
        json.end_array();
    }
}

fn subscriber(json: &mut JsonWriter<'_>, leg: &MessageDelivery) {
    if let Some(connection) = leg.connection {
        json.number_member("stream", connection.0);
    }
    if let Some(client_id) = &leg.client_id {
        json.string_member("client_id", client_id);
    }
    json.key("filters");
    json.begin_array();
    for filter in &leg.filters {
        json.string(filter);
    }
    json.end_array();
    if let Some(granted) = leg.granted {
        json.number_member("granted_qos", granted as u8);
    }
    if !leg.subscription_ids.is_empty() {
        json.key("subscription_identifiers");
        json.begin_array();
        for id in &leg.subscription_ids {
            json.number(u64::from(*id));
        }
        json.end_array();
    }
}

fn delivered(json: &mut JsonWriter<'_>, delivered: &Delivered, start: Option<Timestamp>) {
    json.number_member("frame", delivered.stamp.number);
    relative(json, &delivered.stamp, start);
    if let Some(latency) = delivered.latency {
        seconds(json, "latency", latency);
    }
    json.number_member("qos", delivered.qos as u8);
    json.bool_member("retain", delivered.retain);
    for (key, said) in [
        ("downgraded", delivered.downgraded),
        ("stored", delivered.stored),
        ("queued", delivered.queued),
        ("redelivered", delivered.redelivered),
    ] {
        if said {
            json.bool_member(key, true);
        }
    }
    if let Some(id) = delivered.packet_id {
        json.number_member("packet_id", id.number());
    }
    // At QoS 0 nothing is awaited: the PUBLISH alone is the whole delivery.
    state(
        json,
        &delivered.state.unwrap_or(HandshakeState::Complete),
        None,
    );
    steps(json, &delivered.steps, start);
}

/// `subscriptions`: what each filter asked for and what was answered.
fn subscriptions(
    json: &mut JsonWriter<'_>,
    asked: &[FilterRequest],
    version: Option<ProtocolVersion>,
) {
    json.key("subscriptions");
    json.begin_array();
    for asked in asked {
        json.begin_object();
        json.string_member("filter", &asked.filter);
        json.number_member("qos", asked.options & 3);
        if version == Some(ProtocolVersion::V5_0) {
            json.bool_member("no_local", asked.options & 4 != 0);
            json.bool_member("retain_as_published", asked.options & 8 != 0);
            json.number_member("retain_handling", asked.options >> 4 & 3);
        }
        if let Some(code) = asked.code {
            let version = version.unwrap_or(ProtocolVersion::V3_1_1);
            json.number_member("reason_code", code);
            json.word_member(
                "reason_name",
                reason::name(PacketType::SubAck, version, code),
            );
        }
        json.end_object();
    }
    json.end_array();
}

/// `filters` of an UNSUBSCRIBE and, where the UNSUBACK told any (5.0), their `reason_codes`.
fn filters(json: &mut JsonWriter<'_>, asked: &[FilterRequest]) {
    json.key("filters");
    json.begin_array();
    for asked in asked {
        json.string(&asked.filter);
    }
    json.end_array();
    if asked.iter().any(|asked| asked.code.is_some()) {
        json.key("reason_codes");
        json.begin_array();
        for code in asked.iter().filter_map(|asked| asked.code) {
            json.number(u64::from(code));
        }
        json.end_array();
    }
}

/// `connect` and `connack`, as the packets themselves are told.
fn connect(json: &mut JsonWriter<'_>, asked: &ConnectSummary, version: Option<ProtocolVersion>) {
    json.key("connect");
    json.begin_object();
    json.string_member("protocol_name", &asked.protocol_name);
    json.number_member("protocol_level", asked.protocol_level);
    if asked.bridge {
        json.bool_member("bridge", true);
    }
    super::packet::flags(json, asked.flags, version);
    json.number_member("keep_alive", asked.keep_alive);
    json.string_member("client_id", &asked.client_id);
    if let Some(user_name) = &asked.user_name {
        json.string_member("user_name", user_name);
    }
    if let Some(length) = asked.password_length {
        json.number_member("password_length", length);
    }
    for (key, value) in [
        ("session_expiry", asked.session_expiry),
        ("receive_maximum", asked.receive_maximum.map(u32::from)),
        (
            "topic_alias_maximum",
            asked.topic_alias_maximum.map(u32::from),
        ),
        ("maximum_packet_size", asked.maximum_packet_size),
    ] {
        if let Some(value) = value {
            json.number_member(key, value);
        }
    }
    if let Some(will) = &asked.will {
        json.key("will");
        json.begin_object();
        will_asked(json, will);
        json.end_object();
    }
    json.end_object();
    if let Some(answer) = &asked.answer {
        connack(json, answer, version);
    }
}

fn connack(json: &mut JsonWriter<'_>, answer: &ConnAckSummary, version: Option<ProtocolVersion>) {
    json.key("connack");
    json.begin_object();
    json.bool_member("session_present", answer.session_present);
    let key = match version {
        Some(ProtocolVersion::V5_0) => "reason_code",
        _ => "return_code",
    };
    json.number_member(key, answer.code);
    let named = version.unwrap_or(ProtocolVersion::V3_1_1);
    json.word_member(
        "reason_name",
        reason::name(PacketType::ConnAck, named, answer.code),
    );
    if let Some(id) = &answer.assigned_client_id {
        json.string_member("assigned_client_id", id);
    }
    for (key, value) in [
        ("server_keep_alive", answer.server_keep_alive.map(u32::from)),
        ("session_expiry", answer.session_expiry),
        ("receive_maximum", answer.receive_maximum.map(u32::from)),
        (
            "topic_alias_maximum",
            answer.topic_alias_maximum.map(u32::from),
        ),
        ("maximum_packet_size", answer.maximum_packet_size),
        ("maximum_qos", answer.maximum_qos.map(u32::from)),
    ] {
        if let Some(value) = value {
            json.number_member(key, value);
        }
    }
    json.end_object();
}

fn origin(json: &mut JsonWriter<'_>, origin: &Origin) {
    let (word, connection, client_id, frame) = match origin {
        Origin::Published {
            connection,
            client_id,
            frame,
            ..
        } => (
            "published",
            Some(*connection),
            client_id.as_deref(),
            Some(*frame),
        ),
        Origin::Stored { connection, frame } => ("stored", *connection, None, *frame),
        Origin::Will {
            connection,
            client_id,
            frame,
        } => (
            "will",
            Some(*connection),
            client_id.as_deref(),
            Some(*frame),
        ),
        Origin::Server => ("server", None, None, None),
        Origin::NotSeen => ("not_seen", None, None, None),
    };
    json.word_member("kind", word);
    if let Some(connection) = connection {
        json.number_member("stream", connection.0);
    }
    if let Some(client_id) = client_id {
        json.string_member("client_id", client_id);
    }
    if let Some(frame) = frame {
        json.number_member("frame", frame);
    }
    if let Origin::Published {
        ambiguous: true, ..
    } = origin
    {
        json.bool_member("ambiguous", true);
    }
}

fn will_asked(json: &mut JsonWriter<'_>, will: &WillMessage) {
    json.string_member("topic", &will.topic);
    json.number_member("qos", will.qos as u8);
    json.bool_member("retain", will.retain);
    payload(json, &will.payload);
    if will.delay > 0 {
        json.number_member("delay", will.delay);
    }
}

/// `payload`: its length, and its text as far as the analysis keeps it.
fn payload(json: &mut JsonWriter<'_>, payload: &Payload) {
    json.key("payload");
    json.begin_object();
    json.number_member("length", payload.length);
    if let Some(text) = payload.text() {
        json.string_member(
            if payload.is_cut() {
                "text_begins"
            } else {
                "text"
            },
            text,
        );
    }
    json.end_object();
}

fn end(json: &mut JsonWriter<'_>, end: &End) {
    use crate::event::EndCause;
    json.key("end");
    json.begin_object();
    json.word_member("cause", end.cause.name());
    json.number_member("frame", end.stamp.number);
    match end.cause {
        EndCause::Disconnect { by, code } => {
            json.word_member("by", sender(by));
            json.number_member("reason_code", code);
        }
        EndCause::Refused { code } => json.number_member("reason_code", code),
        EndCause::Takeover { by, frame } => {
            json.number_member("taken_over_by", by.0);
            json.number_member("taken_over_frame", frame);
        }
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => {
            seconds(json, "silence", silence);
            json.number_member("keep_alive", keep_alive);
        }
        EndCause::ProtocolError { frame } => json.number_member("error_frame", frame),
        EndCause::Fin { by: Some(by) } | EndCause::Reset { by: Some(by) } => {
            json.word_member("by", sender(by));
        }
        EndCause::Fin { by: None }
        | EndCause::Reset { by: None }
        | EndCause::Replaced
        | EndCause::Evicted
        | EndCause::CaptureEnd => {}
    }
    json.end_object();
}

fn undelivered(why: Undelivered) -> &'static str {
    match why {
        Undelivered::Away => "away",
        Undelivered::OtherOfGroup => "other_of_group",
        Undelivered::NoLocal => "no_local",
        Undelivered::NotReleased => "not_released",
        Undelivered::Refused(_) => "refused",
        Undelivered::Expired => "expired",
        Undelivered::AwayAtQoS0 => "away_at_qos_0",
        Undelivered::ConnectionEnded => "connection_ended",
        Undelivered::Gap => "gap",
        Undelivered::CaptureEnded => "capture_end",
        Undelivered::Unknown => "unknown",
    }
}

fn no_will(why: NoWill) -> &'static str {
    match why {
        NoWill::Disconnected => "disconnected",
        NoWill::Refused => "refused",
        NoWill::StillOpen => "still_open",
        NoWill::SessionResumed => "session_resumed",
        NoWill::DelayRunning => "delay_running",
        NoWill::NoSubscriber => "no_subscriber",
        NoWill::NotSeen => "not_seen",
    }
}

fn relative(json: &mut JsonWriter<'_>, stamp: &FrameStamp, start: Option<Timestamp>) {
    if let (Some(time), Some(start)) = (stamp.time, start) {
        json.key("time_relative");
        push_seconds(json.raw(), time.since(start), stamp.precision);
        json.wrote();
    }
}

/// A span in seconds, exact to the nanosecond.
pub fn seconds(json: &mut JsonWriter<'_>, key: &'static str, span: Span) {
    json.key(key);
    push_seconds(json.raw(), span, crate::base::Precision::Nano);
    json.wrote();
}

fn sender(sender: Sender) -> &'static str {
    match sender {
        Sender::Client => "client",
        Sender::Server => "server",
    }
}
