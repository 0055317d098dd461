//! The words of a ladder: titles, labels, and how things ended.

use crate::event::{
    ConnectSummary, ConnectionId, EndCause, EndedBy, FilterRequest, Handshake, HandshakeKind,
    NoWill, Payload, Step, Subject, WillMessage,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender, reason};
use crate::view::flow::ladder::{Say, Tone};

/// What becomes of a message at QoS 0.
pub(super) const SENT_ONCE: &str = "QoS 0: sent once, nothing is acknowledged";
/// Where a message went that no one was seen to receive.
pub(super) const GOES_TO_NO_ONE: &str =
    "goes to no one: no subscription that the capture shows takes it";
/// Where a message came from that no one was seen to publish.
pub(super) const NOT_SEEN: &str =
    "no PUBLISH to the broker explains this message: its publisher is not in the capture";

pub(super) fn topic_of(handshake: &Handshake) -> Option<&str> {
    handshake.message()?.topic.as_deref()
}

/// A client as a ladder names it: by its identifier, or where there is none, or an empty one,
/// by its connection.
#[derive(Clone, Copy)]
pub(super) struct Name<'a> {
    pub(super) client_id: Option<&'a str>,
    /// `None` while its session is away.
    pub(super) connection: Option<ConnectionId>,
}

impl Name<'_> {
    pub(super) fn push(self, out: &mut Vec<u8>) {
        match (self.client_id, self.connection) {
            (Some(client_id), _) if !client_id.is_empty() => out.say(client_id),
            (_, Some(connection)) => out.say("(stream ").number(connection.0.into()).say(")"),
            (_, None) => out.say("(away)"),
        };
    }
}

pub(super) fn push_title(out: &mut Vec<u8>, handshake: &Handshake) {
    let who = Name {
        client_id: handshake.client_id.as_deref(),
        connection: Some(handshake.connection),
    };
    out.say(match handshake.kind {
        HandshakeKind::Connect => "Connect",
        HandshakeKind::Auth => "Re-authentication",
        HandshakeKind::Qos0 => "QoS 0",
        HandshakeKind::Qos1 => "QoS 1",
        HandshakeKind::Qos2 => "QoS 2",
        HandshakeKind::Subscribe => "Subscribe",
        HandshakeKind::Unsubscribe => "Unsubscribe",
        HandshakeKind::Ping => "Ping",
    });
    out.say(" · ");
    match &handshake.subject {
        Subject::Message(message) => {
            let topic = message.topic.as_deref();
            out.say(topic.unwrap_or("(topic set before the capture)"));
        }
        Subject::Subscribe(filters) | Subject::Unsubscribe(filters) => {
            who.push(out);
            out.say(" · ");
            for (at, asked) in filters.iter().take(3).enumerate() {
                out.say(if at == 0 { "[" } else { " [" });
                out.say(&asked.filter).say("]");
            }
        }
        Subject::Connect(_) | Subject::Nothing => who.push(out),
    }
    if let Some(id) = handshake.packet_id {
        out.say(" · id ").number(id.number().into());
    }
    if let Subject::Message(message) = &handshake.subject {
        out.say(" · ");
        push_octets(out, &message.payload);
        if let Some(text) = message.payload.text().filter(|text| !text.is_empty()) {
            out.say(" \"").say(text);
            out.say(if message.payload.is_cut() {
                "…\""
            } else {
                "\""
            });
        }
    }
}

/// What stands at an arrow.
pub(super) fn push_label(
    out: &mut Vec<u8>,
    step: &Step,
    id: Option<PacketIdentifier>,
    topic: Option<&str>,
    version: Option<ProtocolVersion>,
) {
    let carries_id = !matches!(
        step.packet_type,
        PacketType::Connect
            | PacketType::ConnAck
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::Auth
    );
    push_with_id(out, step.packet_type, id.filter(|_| carries_id));
    if step.packet_type == PacketType::Publish {
        if let Some(topic) = topic {
            out.say(" [").say(topic).say("]");
        }
        if step.dup {
            out.say(" DUP");
        }
        if step.retain {
            out.say(" retain");
        }
    }
    if let Some(code) = step.reason_code
        && (code != 0 || step.packet_type == PacketType::ConnAck)
    {
        out.say(" ");
        push_code(out, step.packet_type, version, code);
    }
}

pub(super) fn push_with_id(
    out: &mut Vec<u8>,
    packet_type: PacketType,
    id: Option<PacketIdentifier>,
) {
    out.say(packet_type.name());
    if let Some(id) = id {
        out.say(" (id=").number(id.number().into()).say(")");
    }
}

pub(super) fn push_code(
    out: &mut Vec<u8>,
    packet_type: PacketType,
    version: Option<ProtocolVersion>,
    code: u8,
) {
    let version = version.unwrap_or(ProtocolVersion::V3_1_1);
    out.say(reason::name(packet_type, version, code));
    out.say(" (").code(code).say(")");
}

/// What a CONNECT asks for, in a few lines: the flags bit by bit where they are set.
pub(super) fn asked(
    connecting: &ConnectSummary,
    version: Option<ProtocolVersion>,
    mut line: impl FnMut(&mut dyn FnMut(&mut Vec<u8>)),
) {
    let clean = if version == Some(ProtocolVersion::V5_0) {
        "clean start"
    } else {
        "clean session"
    };
    line(&mut |out| {
        out.say(&connecting.protocol_name).say(" level ");
        out.number(connecting.protocol_level.into());
        out.say(if connecting.bridge { " (bridge)" } else { "" });
        out.say(", keep alive ");
        out.number(connecting.keep_alive.into()).say(" s");
    });
    let flags = connecting.flags;
    line(&mut |out| {
        out.say("flags ").code(flags).say(": ");
        let mut before = "";
        for (bit, word) in [
            (0x80, "user name"),
            (0x40, "password"),
            (0x20, "will retain"),
            (0x04, "will"),
            (0x02, clean),
        ] {
            if flags & bit != 0 {
                out.say(before).say(word);
                before = ", ";
            }
        }
        if flags & 0x04 != 0 {
            out.say(before).say("will QoS ");
            out.number(u64::from(flags >> 3 & 3));
        } else if before.is_empty() {
            out.say("none");
        }
    });
    if flags & 0x02 == 0 {
        line(&mut |out| {
            out.say(clean).say(" not set: the session goes on");
        });
    }
    if let Some(expiry) = connecting.session_expiry {
        line(&mut |out| {
            out.say("session expiry ").number(expiry.into()).say(" s");
        });
    }
    if let Some(user) = &connecting.user_name {
        line(&mut |out| {
            out.say("user name ").say(user);
        });
    }
    if let Some(will) = &connecting.will {
        line(&mut |out| {
            out.say("will ");
            push_will(out, will);
        });
    }
}

/// `[topic] QoS 1, retain, 4 octets, delay 5 s`.
pub(super) fn push_will(out: &mut Vec<u8>, will: &WillMessage) {
    out.say("[").say(&will.topic).say("] QoS ");
    out.number(will.qos as u64);
    out.say(if will.retain { ", retain, " } else { ", " });
    push_octets(out, &will.payload);
    if will.delay > 0 {
        out.say(", delay ").number(will.delay.into()).say(" s");
    }
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
pub(super) fn push_end_cause(out: &mut Vec<u8>, cause: &EndCause) {
    let by = |sender: &Option<Sender>| match sender {
        Some(Sender::Client) => " by the client",
        Some(Sender::Server) => " by the broker",
        None => "",
    };
    match cause {
        EndCause::Disconnect { by: sender, code } => {
            out.say("DISCONNECT").say(by(&Some(*sender)));
            if *code != 0 {
                out.say(" with reason ").code(*code);
            }
        }
        EndCause::Refused { code } => {
            out.say("connection refused (").code(*code).say(")");
        }
        EndCause::Takeover { by, frame } => {
            out.say("taken over by the same client id on stream ");
            out.number(by.0.into()).say(" (frame ");
            out.number(*frame).say(")");
        }
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => {
            out.say("keep alive ran out: silent for ").span(*silence);
            out.say(", allowed are 1.5 x ");
            out.number((*keep_alive).into()).say(" s");
        }
        EndCause::ProtocolError { frame } => {
            out.say("closed by the broker after the protocol error in frame ");
            out.number(*frame);
        }
        EndCause::Fin { by: sender } => {
            out.say("connection closed").say(by(sender));
            out.say(" without DISCONNECT");
        }
        EndCause::Reset { by: sender } => {
            out.say("connection reset").say(by(sender));
        }
        EndCause::Replaced => {
            out.say("a new connection between the same endpoints");
        }
        EndCause::Evicted => {
            out.say("no longer followed: too many connections");
        }
        EndCause::CaptureEnd => {
            out.say("the capture ends");
        }
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
pub(super) fn push_octets(out: &mut Vec<u8>, payload: &Payload) {
    out.number(payload.length);
    out.say(match payload.length {
        1 => " octet",
        _ => " octets",
    });
}

/// What was answered to one filter of a SUBSCRIBE or UNSUBSCRIBE; `None` where it was not, or
/// the answer says nothing of it.
pub(super) fn push_answered(
    out: &mut Vec<u8>,
    kind: HandshakeKind,
    asked: &FilterRequest,
    version: Option<ProtocolVersion>,
) -> Option<Tone> {
    let code = asked.code?;
    out.say("[").say(&asked.filter).say("]: ");
    if kind == HandshakeKind::Unsubscribe {
        push_code(out, PacketType::UnsubAck, version, code);
    } else {
        out.say("QoS ").number(u64::from(asked.options & 3));
        out.say(" asked, ");
        if code >= 0x80 {
            out.say("refused: ");
            push_code(out, PacketType::SubAck, version, code);
        } else {
            out.say("QoS ").number(code.into()).say(" granted");
        }
    }
    Some(if code >= 0x80 { Tone::Bad } else { Tone::Good })
}
