//! A handshake while it goes on: what came, what it waits for, how it is settled.

use std::hash::{DefaultHasher, Hasher};
use std::sync::Arc;

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::findings::Where;
use super::link::{Link, name};
use super::messages::{LegRef, MessageKey};
use super::outbox::{Place, Told};
use crate::base::limits::Limit;
use crate::base::{FrameStamp, Span};
use crate::event::{
    EndedBy, Handshake, HandshakeKind, HandshakeState, PacketEvent, Step, Subject, between,
};
use crate::mqtt::{ControlPacket, PacketIdentifier, PacketType, ProtocolVersion, Sender};

/// A handshake that is not over.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) record: Box<Handshake>,
    pub(super) place: Place,
    pub(super) waiting: PacketType,
    /// Who is to send it.
    pub(super) from: Sender,
    /// Holes of both directions at the latest step.
    pub(super) gaps: [u32; 2],
    /// Octets of the awaited direction are missing from an earlier connection.
    pub(super) missing: bool,
    /// What the publisher's message is held under.
    pub(super) message: Option<MessageKey>,
    /// Whose leg a server's PUBLISH is.
    pub(super) leg: Option<LegRef>,
    pub(super) publishes: u32,
    pub(super) acknowledgements: u32,
    /// Digest of topic and payload.
    pub(super) key: u64,
    /// Place of the PUBLISH among its sender's on this connection; 0 where it was not sent
    /// on it.
    pub(super) order: u64,
    /// Place of the PUBREC among those that its receiver got; 0 for none.
    pub(super) answered: u64,
    /// It takes a part of its sender's send quota.
    pub(super) counted: bool,
    /// Something else explains that it goes no further: its silence is no finding.
    pub(super) excused: bool,
    /// The end of the connection on which it waited, until another one continues it.
    pub(super) suspended: Option<EndedBy>,
}

impl Open {
    /// Appends a step; says whether octets of its direction are missing before it.
    pub(super) fn advance(&mut self, link: &Link, event: &PacketEvent<'_>) {
        let mut step = step(event);
        step.after_gap = link.gaps_of(step.sender) != gaps_of(self.gaps, step.sender);
        self.gaps = link.gaps();
        self.missing = false;
        if self.record.steps.len() < Handshake::STEPS_KEPT {
            self.record.steps.push(step);
        } else {
            // The latest step is worth more than the one before it.
            self.record.steps_left_out += 1;
            self.record.steps.pop();
            self.record.steps.push(step);
        }
    }

    /// Whether the packet that it waits for may be among octets that the capture misses.
    pub(super) fn may_be_missing(&self, link: &Link) -> bool {
        self.missing || link.gaps_of(self.from) != gaps_of(self.gaps, self.from)
    }

    pub(super) fn first(&self) -> FrameStamp {
        self.record
            .steps
            .first()
            .map(|step| step.stamp)
            .unwrap_or_default()
    }

    pub(super) fn last(&self) -> FrameStamp {
        self.record
            .steps
            .last()
            .map(|step| step.stamp)
            .unwrap_or_default()
    }

    pub(super) fn is_publish(&self) -> bool {
        matches!(self.record.kind, HandshakeKind::Qos1 | HandshakeKind::Qos2)
    }

    /// Waits on another connection of the session.
    pub(super) fn move_to(&mut self, link: &Link) {
        self.gaps = link.gaps();
        self.order = 0;
        self.answered = 0;
        self.counted = false;
    }
}

fn gaps_of(gaps: [u32; 2], sender: Sender) -> u32 {
    let [client, server] = gaps;
    match sender {
        Sender::Client => client,
        Sender::Server => server,
    }
}

/// The step that a control packet is.
pub(super) fn step(event: &PacketEvent<'_>) -> Step {
    let mut step = Step {
        packet_type: event.packet_type,
        sender: event.sender,
        stamp: event.stamp,
        index: event.index,
        connection: event.connection,
        dup: false,
        qos: None,
        retain: false,
        reason_code: None,
        after_gap: false,
    };
    let five = event.version == Some(ProtocolVersion::V5_0);
    match event.packet {
        Ok(ControlPacket::Publish(publish)) => {
            step.dup = publish.dup;
            step.qos = Some(publish.delivery.qos());
            step.retain = publish.retain;
        }
        Ok(ControlPacket::ConnAck(ack)) => step.reason_code = Some(ack.code),
        Ok(
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack),
        ) if five => step.reason_code = Some(ack.reason_code),
        Ok(ControlPacket::Disconnect(disconnect)) if five => {
            step.reason_code = Some(disconnect.reason_code);
        }
        Ok(ControlPacket::Auth(auth)) => step.reason_code = Some(auth.reason_code),
        _ => {}
    }
    step
}

/// What begins a handshake.
pub(super) struct Begin {
    pub(super) kind: HandshakeKind,
    pub(super) initiator: Sender,
    pub(super) packet_id: Option<PacketIdentifier>,
    pub(super) subject: Subject,
    pub(super) waiting: PacketType,
    pub(super) from: Sender,
}

impl Analyzer {
    /// A handshake with its first step.
    pub(super) fn begin(&mut self, link: &Link, event: &PacketEvent<'_>, begin: Begin) -> Open {
        self.open_handshakes += 1;
        let state = HandshakeState::Incomplete {
            waiting_for: begin.waiting,
            ended_by: EndedBy::CaptureEnd,
        };
        let record = match self.outbox.spared(begin.kind) {
            // In its place: it is large.
            Some(mut record) => {
                record.kind = begin.kind;
                record.connection = link.id;
                record.broker = link.broker.0;
                record.server = link.server;
                record.initiator = begin.initiator;
                record.client_id.clone_from(&link.client_id);
                record.version = link.version;
                record.packet_id = begin.packet_id;
                record.steps.push(step(event));
                record.steps_left_out = 0;
                record.state = state;
                record.subject = begin.subject;
                record.deliveries_left_out = 0;
                record
            }
            None => Box::new(Handshake {
                kind: begin.kind,
                connection: link.id,
                broker: link.broker.0,
                server: link.server,
                initiator: begin.initiator,
                client_id: link.client_id.clone(),
                version: link.version,
                packet_id: begin.packet_id,
                steps: vec![step(event)],
                steps_left_out: 0,
                state,
                subject: begin.subject,
                deliveries: Vec::new(),
                deliveries_left_out: 0,
                origin: None,
            }),
        };
        Open {
            record,
            place: self.outbox.reserve(),
            waiting: begin.waiting,
            from: begin.from,
            gaps: link.gaps(),
            missing: false,
            message: None,
            leg: None,
            publishes: 1,
            acknowledgements: 0,
            key: 0,
            order: 0,
            answered: 0,
            counted: false,
            excused: false,
            suspended: None,
        }
    }

    /// Keeps a handshake until its next packet, unless the table is full.
    pub(super) fn keep(&mut self, link: &mut Link, open: Open) {
        let Some(id) = open.record.packet_id else {
            return;
        };
        if self.open_handshakes > self.limits.handshakes {
            let stamp = open.last();
            self.findings
                .limit_reached(&mut self.outbox, Limit::Handshakes, stamp);
            // Its acknowledgement is not a stray one: treat what was sent as unknown.
            let initiator = open.record.initiator;
            let waiting_for = open.waiting;
            link.side(initiator).gaps += 1;
            self.settle(
                open,
                HandshakeState::Incomplete {
                    waiting_for,
                    ended_by: EndedBy::TableFull,
                },
            );
            return;
        }
        let initiator = open.record.initiator;
        link.side(initiator).open.insert(id.number(), open);
    }

    /// Gives a handshake up because its connection is over (or the capture is).
    pub(super) fn give_up(&mut self, link: &Link, mut open: Open, ended_by: EndedBy) {
        // A server that closes over a broken rule answers nothing else.
        open.excused |= link.fault.is_some() && open.from == Sender::Server;
        // A capture may hold one direction only.
        open.excused |= link.never_heard(open.from);
        let ended_by = if open.may_be_missing(link) {
            EndedBy::Gap
        } else {
            ended_by
        };
        let waiting_for = open.waiting;
        self.settle(
            open,
            HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            },
        );
    }

    /// A handshake is over: it is told, or its message waits for its deliveries.
    pub(super) fn settle(&mut self, open: Open, state: HandshakeState) {
        self.open_handshakes = self.open_handshakes.saturating_sub(1);
        let Open {
            mut record,
            place,
            message,
            leg,
            excused,
            ..
        } = open;
        record.state = state;
        if self.findings.wanted && !excused {
            self.judge(&record);
        }
        if let Some(leg) = leg {
            self.leg_settled(leg, &record);
        }
        match message {
            Some(key) => self.publisher_settled(key, record),
            None => self.tell_handshake(place, record),
        }
    }

    pub(super) fn tell_handshake(&mut self, place: Place, record: Box<Handshake>) {
        if self.wanted.handshakes {
            self.outbox.put(place, Told::Handshake(record));
        } else {
            self.outbox.skip(place);
            self.outbox.spare(record);
        }
    }

    /// The findings about a handshake's end.
    fn judge(&mut self, record: &Handshake) {
        match record.state {
            HandshakeState::Complete => self.judge_pace(record),
            HandshakeState::Refused { packet_type, code } => {
                self.judge_refusal(record, packet_type, code)
            }
            HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            } => self.judge_silence(record, waiting_for, ended_by),
        }
    }

    fn judge_pace(&mut self, record: &Handshake) {
        let Some(slowest) = record
            .steps
            .windows(2)
            .filter_map(|pair| match pair {
                [earlier, later]
                    if earlier.sender != later.sender
                        && earlier.connection == later.connection
                        && !later.after_gap =>
                {
                    Some((between(&earlier.stamp, &later.stamp)?, later))
                }
                _ => None,
            })
            .max_by_key(|(span, _)| *span)
        else {
            return;
        };
        let (span, step) = slowest;
        // CONNECT may wait for a human, a database, a password.
        if span > caps::SLOW && record.kind != HandshakeKind::Connect {
            let at = place_of(record, step.stamp);
            let packet = step.packet_type.name();
            self.findings
                .tell(&mut self.outbox, &c::SLOW_ACKNOWLEDGEMENT, at, || {
                    format!(
                        "{packet} came {:.3} s after the packet that it answers: the receiver or the network is slow.",
                        span.seconds()
                    )
                });
        }
    }

    #[cold]
    fn judge_refusal(&mut self, record: &Handshake, packet_type: PacketType, code: u8) {
        let clause = match record.kind {
            HandshakeKind::Qos1 | HandshakeKind::Qos2 => &c::PUBLISH_REFUSED,
            HandshakeKind::Subscribe => &c::SUBSCRIPTION_REFUSED,
            _ => return,
        };
        let Some(step) = record.steps.last() else {
            return;
        };
        let version = record.version.unwrap_or(ProtocolVersion::V3_1_1);
        let reason = crate::mqtt::reason::name(packet_type, version, code);
        let at = place_of(record, step.stamp);
        let what = topic_words(record);
        self.findings.tell(&mut self.outbox, clause, at, || {
            format!(
                "{} refused {what} with 0x{code:02x} ({reason}).",
                packet_type.name()
            )
        });
    }

    #[cold]
    fn judge_silence(&mut self, record: &Handshake, waiting_for: PacketType, ended_by: EndedBy) {
        let how = match ended_by {
            EndedBy::CaptureEnd => "until the capture ends",
            EndedBy::ConnectionClosed => "before the connection was closed",
            EndedBy::ConnectionReset => "before the connection was reset",
            EndedBy::Gap | EndedBy::IdentifierReused | EndedBy::TableFull => return,
        };
        let Some(last) = record.steps.last() else {
            return;
        };
        // What was sent in the last moment may have been answered after it: the capture ends,
        // or the farewell of the other end crossed it on the wire.
        let patience = match ended_by {
            EndedBy::CaptureEnd => caps::LAST_MOMENT,
            _ => Span::from_nanos(50_000_000),
        };
        let waited = between(&last.stamp, &self.now);
        if waited.is_some_and(|waited| waited < patience) {
            return;
        }
        let (clause, stamp) = match record.kind {
            HandshakeKind::Qos1 => (&c::QOS1_NEVER_ACKED, self.first_publish(record)),
            HandshakeKind::Qos2 => (&c::QOS2_STUCK, self.first_publish(record)),
            HandshakeKind::Subscribe => (&c::SUBSCRIBE_UNANSWERED, last.stamp),
            HandshakeKind::Unsubscribe => (&c::UNSUBSCRIBE_UNANSWERED, last.stamp),
            HandshakeKind::Ping => (&c::PING_UNANSWERED, last.stamp),
            HandshakeKind::Connect => (&c::CONNECT_UNANSWERED, last.stamp),
            HandshakeKind::Auth | HandshakeKind::Qos0 => return,
        };
        let at = match (record.kind, waiting_for) {
            (HandshakeKind::Qos1, _) => place_of(record, stamp).citing(
                &["MQTT-4.3.2-2", "MQTT-3.3.4-1"],
                &["MQTT-4.3.2-4", "MQTT-3.3.4-1"],
            ),
            (HandshakeKind::Qos2, PacketType::PubRel) => {
                place_of(record, stamp).citing(&["MQTT-4.3.3-1"], &["MQTT-4.3.3-4"])
            }
            (HandshakeKind::Qos2, PacketType::PubComp) => {
                place_of(record, stamp).citing(&["MQTT-4.3.3-2"], &["MQTT-4.3.3-11"])
            }
            (HandshakeKind::Qos2, _) => place_of(record, stamp).citing(
                &["MQTT-4.3.3-2", "MQTT-3.3.4-1"],
                &["MQTT-4.3.3-8", "MQTT-3.3.4-1"],
            ),
            _ => place_of(record, stamp),
        };
        let what = topic_words(record);
        let client = name(record.client_id.as_deref());
        let begun = match record.initiator {
            Sender::Client => format!("{client} sent"),
            Sender::Server => format!("the server sent {client}"),
        };
        let last = last.packet_type.name();
        self.findings.tell(&mut self.outbox, clause, at, || {
            let subject = if record.kind == HandshakeKind::Qos2 {
                format!("The QoS 2 handshake that {begun} for {what} stops after {last}")
            } else {
                format!("{last}, which {begun} for {what}, is not answered")
            };
            format!("{subject}: {} never came {how}.", waiting_for.name())
        });
    }

    fn first_publish(&self, record: &Handshake) -> FrameStamp {
        record
            .steps
            .first()
            .map(|step| step.stamp)
            .unwrap_or_default()
    }
}

/// A place for a finding about a handshake.
pub(super) fn place_of(record: &Handshake, stamp: FrameStamp) -> Where {
    Where {
        stamp,
        connection: record
            .steps
            .iter()
            .find(|step| step.stamp.number == stamp.number)
            .map(|step| step.connection)
            .or(Some(record.connection)),
        client_id: record.client_id.clone(),
        version: record.version,
        citing: None,
    }
}

/// What a handshake is about, for a sentence.
fn topic_words(record: &Handshake) -> String {
    let id = record
        .packet_id
        .map(|id| format!(" (identifier {})", id.number()))
        .unwrap_or_default();
    match &record.subject {
        Subject::Message(message) => match &message.topic {
            Some(topic) => format!("the message to {topic}{id}"),
            None => format!("a message{id}"),
        },
        Subject::Subscribe(asked) | Subject::Unsubscribe(asked) => match asked.as_slice() {
            [] => format!("no filter{id}"),
            [one] => format!("the filter {}{id}", one.filter),
            [one, rest @ ..] => format!("the filter {} and {} more{id}", one.filter, rest.len()),
        },
        Subject::Connect(_) => "its connection".to_owned(),
        Subject::Nothing => match record.kind {
            HandshakeKind::Ping => "keep alive".to_owned(),
            _ => format!("a message{id}"),
        },
    }
}

/// A shared string of a packet's text, which stands for a longer one than [`caps::NAME`] by
/// its beginning, its length and a checksum: so thousands of names of 64 KiB take little, and
/// the same name is the same still.
pub(super) fn shared(text: &str) -> Arc<str> {
    if text.len() <= caps::NAME {
        return Arc::from(text);
    }
    let begin = text
        .get(..text.floor_char_boundary(caps::NAME))
        .unwrap_or_default();
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    let checksum = hasher.finish();
    format!("{begin}… ({} octets, {checksum:016x})", text.len()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_kept_short_and_apart_from_others() {
        let long = "é".repeat(30_000);
        let kept = shared(&long);
        assert!(kept.len() < caps::NAME + 60, "{kept}");
        assert_eq!(kept, shared(&long));
        assert_ne!(kept, shared(&format!("{long}x")));
        assert_eq!(&*shared("a/b"), "a/b");
    }
}
