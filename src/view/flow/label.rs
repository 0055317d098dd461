//! The words on ladders: titles, labels of arrows, notes on CONNECT.

use crate::event::{ConnAckSummary, ConnectSummary, Handshake, Step, Subject, WillMessage};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion};
use crate::view::words;

/// Stands for the topic of a PUBLISH by alias whose alias was set before the capture.
pub(super) const UNKNOWN_TOPIC: &str = "(topic set before the capture)";

/// Bytes set aside for a label: nearly every one is shorter.
const LINE: usize = 80;

/// Returns `QoS 2 · test · id 1 · 13 octets "hello handong"`.
pub(super) fn title(handshake: &Handshake, who: &str) -> String {
    let kind = words::handshake_kind(handshake.kind);
    let id = handshake.packet_id;
    let id = id.map_or(String::new(), |id| {
        " · id ".to_owned() + &id.number().to_string()
    });
    match &handshake.subject {
        Subject::Message(message) => {
            let topic = message.topic.as_deref().unwrap_or(UNKNOWN_TOPIC);
            let octets = words::octets(message.payload.length);
            let text = message.payload.text().filter(|text| !text.is_empty());
            let cut = if message.payload.is_cut() { "…" } else { "" };
            let text = text.map_or(String::new(), |text| [" \"", text, cut, "\""].concat());
            [kind, " · ", topic, &id, " · ", &octets, &text].concat()
        }
        Subject::Subscribe(filters) | Subject::Unsubscribe(filters) => {
            let filters = bracketed(filters.iter().map(|one| &*one.filter));
            format!("{kind} · {who} · {filters}{id}")
        }
        Subject::Connect(_) | Subject::Nothing => format!("{kind} · {who}{id}"),
    }
}

/// Returns the first three filters: `[a/#] [b]`.
pub(super) fn bracketed<'a>(filters: impl Iterator<Item = &'a str>) -> String {
    let filters = filters.take(3).map(|filter| format!("[{filter}]"));
    filters.collect::<Vec<_>>().join(" ")
}

/// Returns the label of a step's arrow: `PUBLISH (id=1) [test] DUP`.
pub(super) fn label(
    step: &Step,
    id: Option<PacketIdentifier>,
    topic: Option<&str>,
    version: Option<ProtocolVersion>,
) -> String {
    let mut label = with_id(step.packet_type, id);
    if step.packet_type == PacketType::Publish {
        if let Some(topic) = topic {
            label.extend([" [", topic, "]"]);
        }
        label += if step.dup { " DUP" } else { "" };
        label += if step.retain { " retain" } else { "" };
    }
    if let Some(code) = step.reason_code
        && (code != 0 || step.packet_type == PacketType::ConnAck)
    {
        label += " ";
        label += &words::code(step.packet_type, version, code);
    }
    label
}

/// Returns `PUBACK (id=7)`.
pub(super) fn with_id(packet_type: PacketType, id: Option<PacketIdentifier>) -> String {
    let mut text = String::with_capacity(LINE);
    text += packet_type.name();
    if let Some(id) = id {
        text.extend([" (id=", &id.number().to_string(), ")"]);
    }
    text
}

/// Returns what a CONNECT asks for, in a few lines: the flags bit by bit where they are set
/// (3.1.1 and 5.0 §3.1.2.3).
pub(super) fn connect_lines(
    connect: &ConnectSummary,
    version: Option<ProtocolVersion>,
) -> Vec<String> {
    let clean = match version {
        Some(ProtocolVersion::V5_0) => "clean start",
        _ => "clean session",
    };
    let flags = connect.flags;
    let will_qos = format!("will QoS {}", flags >> 3 & 3);
    let set = [
        (flags & 0x80 != 0, "user name"),
        (flags & 0x40 != 0, "password"),
        (flags & 0x20 != 0, "will retain"),
        (flags & 0x04 != 0, "will"),
        (flags & 0x02 != 0, clean),
        (flags & 0x04 != 0, &will_qos),
        (flags & 0xe6 == 0, "none"),
    ];
    let set = set.iter().filter(|(set, _)| *set).map(|(_, name)| *name);
    let set = set.collect::<Vec<_>>().join(", ");
    let (name, level) = (&connect.protocol_name, connect.protocol_level);
    let bridge = if connect.bridge { " (bridge)" } else { "" };
    let keep_alive = connect.keep_alive;
    let lines = [
        Some(format!(
            "{name} level {level}{bridge}, keep alive {keep_alive} s"
        )),
        Some(format!("flags 0x{flags:02x}: {set}")),
        (flags & 0x02 == 0).then(|| format!("{clean} not set: the session goes on")),
        (connect.session_expiry).map(|expiry| format!("session expiry {expiry} s")),
        (connect.user_name.as_ref()).map(|user| format!("user name {user}")),
        (connect.will.as_ref()).map(|will| format!("will {}", will_message(will))),
    ];
    lines.into_iter().flatten().collect()
}

/// Returns what a CONNACK grants beyond its code; empty where that is nothing.
pub(super) fn connack_line(answer: &ConnAckSummary) -> String {
    let assigned = answer.assigned_client_id.as_ref();
    let parts = [
        (answer.session_present).then(|| "session present".to_owned()),
        assigned.map(|id| format!("assigned client id {id}")),
        (answer.server_keep_alive).map(|seconds| format!("server keep alive {seconds} s")),
        (answer.receive_maximum).map(|most| format!("receive maximum {most}")),
        (answer.maximum_qos).map(|qos| format!("maximum QoS {qos}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Returns `[topic] QoS 1, retain, 4 octets, delay 5 s`.
pub(super) fn will_message(will: &WillMessage) -> String {
    let retain = if will.retain { "retain, " } else { "" };
    let delay = match will.delay {
        0 => String::new(),
        seconds => format!(", delay {seconds} s"),
    };
    let (topic, qos) = (&will.topic, will.qos as u8);
    let length = words::octets(will.payload.length);
    format!("[{topic}] QoS {qos}, {retain}{length}{delay}")
}
