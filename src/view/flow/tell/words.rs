//! The words of a ladder: titles, labels, and how things ended.

use super::legs::name;
use crate::event::{
    About, Asked, Connecting, EndCause, EndedBy, Handshake, HandshakeKind, NoWill, Payload, Step,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender, reason};
use crate::view::flow::ladder::{Tone, span};

pub(super) fn topic_of(handshake: &Handshake) -> Option<&str> {
    handshake.message()?.topic.as_deref()
}

pub(super) fn title(handshake: &Handshake) -> String {
    let who = name(
        handshake.client_id.as_deref(),
        &format!("stream {}", handshake.connection.0),
    );
    let id = handshake
        .packet_id
        .map_or(String::new(), |id| format!(" · id {}", id.number()));
    let kind = match handshake.kind {
        HandshakeKind::Connect => "Connect",
        HandshakeKind::Auth => "Re-authentication",
        HandshakeKind::Qos0 => "QoS 0",
        HandshakeKind::Qos1 => "QoS 1",
        HandshakeKind::Qos2 => "QoS 2",
        HandshakeKind::Subscribe => "Subscribe",
        HandshakeKind::Unsubscribe => "Unsubscribe",
        HandshakeKind::Ping => "Ping",
    };
    match &handshake.about {
        About::Message(message) => {
            let topic = message
                .topic
                .as_deref()
                .unwrap_or("(topic set before the capture)");
            let text = message.payload.text().filter(|text| !text.is_empty());
            let text = text.map_or(String::new(), |text| {
                format!(
                    " \"{text}{}\"",
                    if message.payload.is_cut() { "…" } else { "" }
                )
            });
            format!("{kind} · {topic}{id} · {}{text}", octets(&message.payload))
        }
        About::Subscribe(filters) | About::Unsubscribe(filters) => {
            let filters: Vec<_> = filters
                .iter()
                .take(3)
                .map(|asked| format!("[{}]", asked.filter))
                .collect();
            format!("{kind} · {who} · {}{id}", filters.join(" "))
        }
        About::Connect(_) | About::Nothing => format!("{kind} · {who}{id}"),
    }
}

/// What stands at an arrow.
pub(super) fn label(
    step: &Step,
    id: Option<PacketIdentifier>,
    topic: Option<&str>,
    version: Option<ProtocolVersion>,
) -> String {
    let carries_id = !matches!(
        step.packet_type,
        PacketType::Connect
            | PacketType::ConnAck
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::Auth
    );
    let mut label = with_id(step.packet_type, id.filter(|_| carries_id));
    if step.packet_type == PacketType::Publish {
        if let Some(topic) = topic {
            label.push_str(&format!(" [{topic}]"));
        }
        if step.dup {
            label.push_str(" DUP");
        }
        if step.retain {
            label.push_str(" retain");
        }
    }
    if let Some(code) = step.reason_code
        && (code != 0 || step.packet_type == PacketType::ConnAck)
    {
        label.push_str(&format!(" {}", code_told(step.packet_type, version, code)));
    }
    label
}

pub(super) fn with_id(packet_type: PacketType, id: Option<PacketIdentifier>) -> String {
    let name = packet_type.name();
    id.map_or(name.to_owned(), |id| format!("{name} (id={})", id.number()))
}

pub(super) fn code_told(
    packet_type: PacketType,
    version: Option<ProtocolVersion>,
    code: u8,
) -> String {
    let version = version.unwrap_or(ProtocolVersion::V3_1_1);
    format!(
        "{} (0x{code:02x})",
        reason::name(packet_type, version, code)
    )
}

/// What a CONNECT asks for, in a few lines: the flags bit by bit where they are set.
pub(super) fn asked(connecting: &Connecting, version: Option<ProtocolVersion>) -> Vec<String> {
    let clean = if version == Some(ProtocolVersion::V5_0) {
        "clean start"
    } else {
        "clean session"
    };
    let flags = connecting.flags;
    let mut set = Vec::new();
    for (bit, word) in [
        (0x80, "user name"),
        (0x40, "password"),
        (0x20, "will retain"),
        (0x04, "will"),
        (0x02, clean),
    ] {
        if flags & bit != 0 {
            set.push(word.to_owned());
        }
    }
    if flags & 0x04 != 0 {
        set.push(format!("will QoS {}", flags >> 3 & 3));
    }
    let set = if set.is_empty() {
        "none".to_owned()
    } else {
        set.join(", ")
    };
    let mut lines = vec![
        format!(
            "{} level {}{}, keep alive {} s",
            connecting.protocol_name,
            connecting.protocol_level,
            if connecting.bridge { " (bridge)" } else { "" },
            connecting.keep_alive
        ),
        format!("flags 0x{flags:02x}: {set}"),
    ];
    if flags & 0x02 == 0 {
        lines.push(format!("{clean} not set: the session goes on"));
    }
    if let Some(expiry) = connecting.session_expiry {
        lines.push(format!("session expiry {expiry} s"));
    }
    if let Some(user) = &connecting.user_name {
        lines.push(format!("user name {user}"));
    }
    if let Some(will) = &connecting.will {
        let retain = if will.retain { ", retain" } else { "" };
        lines.push(format!(
            "will [{}] QoS {}{retain}, {}{}",
            will.topic,
            will.qos as u8,
            octets(&will.payload),
            if will.delay > 0 {
                format!(", delay {} s", will.delay)
            } else {
                String::new()
            }
        ));
    }
    lines
}

pub(super) fn absence(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::CaptureEnd => "was not seen before the capture ends",
        EndedBy::ConnectionClosed => "never came; connection closed",
        EndedBy::ConnectionReset => "never came; connection reset",
        EndedBy::Gap => "was not seen: octets are missing from the capture",
        EndedBy::IdentifierReused => "never came; the packet identifier was used again",
        EndedBy::TableFull => "is no longer waited for: too many open handshakes",
    }
}

pub(super) fn short_absence(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::ConnectionClosed | EndedBy::ConnectionReset | EndedBy::IdentifierReused => {
            "never came"
        }
        EndedBy::CaptureEnd | EndedBy::Gap | EndedBy::TableFull => "not seen",
    }
}

/// How a connection ended, in words.
pub(super) fn end_cause(cause: &EndCause) -> String {
    let by = |sender: &Option<Sender>| match sender {
        Some(Sender::Client) => " by the client",
        Some(Sender::Server) => " by the broker",
        None => "",
    };
    match cause {
        EndCause::Disconnect { by: sender, code } => {
            let code = if *code == 0 {
                String::new()
            } else {
                format!(" with reason 0x{code:02x}")
            };
            format!("DISCONNECT{}{code}", by(&Some(*sender)))
        }
        EndCause::Refused { code } => format!("connection refused (0x{code:02x})"),
        EndCause::Takeover { by, frame } => {
            format!(
                "taken over by the same client id on stream {} (frame {frame})",
                by.0
            )
        }
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => format!(
            "keep alive ran out: silent for {}, allowed are 1.5 x {keep_alive} s",
            span(*silence)
        ),
        EndCause::ProtocolError { frame } => {
            format!("closed by the broker after the protocol error in frame {frame}")
        }
        EndCause::Fin { by: sender } => {
            format!("connection closed{} without DISCONNECT", by(sender))
        }
        EndCause::Reset { by: sender } => format!("connection reset{}", by(sender)),
        EndCause::Replaced => "a new connection between the same endpoints".to_owned(),
        EndCause::Evicted => "no longer followed: too many connections".to_owned(),
        EndCause::CaptureEnd => "the capture ends".to_owned(),
    }
}

pub(super) fn no_will(why: NoWill) -> &'static str {
    match why {
        NoWill::Disconnected => "not published: DISCONNECT deletes the will",
        NoWill::Refused => "not published: the connection was refused",
        NoWill::StillOpen => "not published: the connection is open where the capture ends",
        NoWill::SessionResumed => {
            "not published: the client came back before the will delay was over"
        }
        NoWill::DelayRunning => "not published yet: the will delay goes on where the capture ends",
        NoWill::NoSubscriber => "due, but no subscription to its topic is visible",
        NoWill::NotSeen => "due, but not seen although a subscription to its topic is visible",
    }
}

/// A payload's length in words.
pub(super) fn octets(payload: &Payload) -> String {
    match payload.length {
        1 => "1 octet".to_owned(),
        length => format!("{length} octets"),
    }
}

/// What was answered to one filter of a SUBSCRIBE or UNSUBSCRIBE; `None` where it was not, or
/// the answer says nothing of it.
pub(super) fn answered(
    kind: HandshakeKind,
    asked: &Asked,
    version: Option<ProtocolVersion>,
) -> Option<(Tone, String)> {
    let code = asked.code?;
    let filter = &asked.filter;
    if kind == HandshakeKind::Unsubscribe {
        let tone = if code >= 0x80 { Tone::Bad } else { Tone::Good };
        let said = code_told(PacketType::UnsubAck, version, code);
        return Some((tone, format!("[{filter}]: {said}")));
    }
    let qos = asked.options & 3;
    Some(if code >= 0x80 {
        let said = code_told(PacketType::SubAck, version, code);
        (
            Tone::Bad,
            format!("[{filter}]: QoS {qos} asked, refused: {said}"),
        )
    } else {
        (
            Tone::Good,
            format!("[{filter}]: QoS {qos} asked, QoS {code} granted"),
        )
    })
}
