//! Builds a ladder from steps and legs.

use std::io::Write;
use std::net::IpAddr;

use super::legs::{delivered, leg_name, push_leg};
use super::words::{
    NOT_SEEN, Name, SENT_ONCE, absence, asked, push_answered, push_code, push_label, push_with_id,
    short_absence,
};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{
    ConnAckSummary, ConnectSummary, EndedBy, Handshake, HandshakeKind, HandshakeState,
    MessageDelivery, Origin, Step, Subject,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender};
use crate::view::flow::ladder::{Arrow, Ladder, Lane, Role, Row, Say, Tone, Verdict};

/// A subscriber's leg beyond this many lanes is told in its verdict alone.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Verdicts of single legs beyond this many are summed up.
const LEGS_TOLD: usize = 32;

/// Servers whose names are kept: to write an address takes as long as a line of a ladder.
const SERVERS_KEPT: usize = 8;

/// The lanes of a handshake's two ends.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: usize,
    pub(super) broker: usize,
    pub(super) version: Option<ProtocolVersion>,
}

/// Builds ladders, one at a time.
#[derive(Debug, Default)]
pub(in crate::view::flow) struct Teller {
    pub(super) ladder: Ladder,
    /// The latest servers and their names, at most [`SERVERS_KEPT`].
    servers: Vec<(Endpoint, Vec<u8>)>,
    /// Legs that were delivered; at most [`SUBSCRIBERS_DRAWN`] of them have a lane.
    subscribers: usize,
}

impl Teller {
    /// Begins a ladder.
    pub(super) fn begin(&mut self) {
        self.ladder.clear();
        self.subscribers = 0;
    }

    pub(super) fn lane(&mut self, role: Role, name: Name<'_>) -> usize {
        let name = self.ladder.words(|out| name.push(out));
        self.ladder.lanes.push(Lane { role, name });
        self.ladder.lanes.len() - 1
    }

    pub(super) fn broker(&mut self, server: Endpoint) -> usize {
        let known = self.server_at(server);
        let told = self.servers.get(known).map(|(_, told)| told.as_slice());
        let name = self
            .ladder
            .words(|out| out.extend_from_slice(told.unwrap_or_default()));
        self.ladder.lanes.push(Lane {
            role: Role::Broker,
            name,
        });
        self.ladder.lanes.len() - 1
    }

    /// Where in `servers` it stands now.
    #[inline]
    fn server_at(&mut self, server: Endpoint) -> usize {
        let known = (self.servers.iter()).position(|(known, _)| *known == server);
        known.unwrap_or_else(|| self.new_server(server))
    }

    /// Where in `servers` a new one stands now.
    #[cold]
    fn new_server(&mut self, server: Endpoint) -> usize {
        let mut told = Vec::new();
        let _ = match server.address {
            IpAddr::V4(address) => write!(told, "{address}:{}", server.port),
            IpAddr::V6(address) => write!(told, "[{address}]:{}", server.port),
        };
        if self.servers.len() == SERVERS_KEPT {
            self.servers.remove(0);
        }
        self.servers.push((server, told));
        self.servers.len() - 1
    }

    pub(super) fn steps(
        &mut self,
        steps: &[Step],
        id: Option<PacketIdentifier>,
        topic: Option<&str>,
        ends: Ends,
    ) {
        let mut connection = steps.first().map(|step| step.connection);
        for step in steps {
            if connection.replace(step.connection) != Some(step.connection) {
                self.note(Some(step.stamp), Some(ends.client), |out| {
                    out.say("on a new connection of the same session (stream ");
                    out.number(step.connection.0.into()).say(")");
                });
            }
            if step.after_gap {
                self.note(Some(step.stamp), None, |out| {
                    out.say("octets are missing from the capture before this");
                });
            }
            let (from, to) = match step.sender {
                Sender::Client => (ends.client, ends.broker),
                Sender::Server => (ends.broker, ends.client),
            };
            self.arrow(step.stamp, from, to, step.packet_type, |out| {
                push_label(out, step, id, topic, ends.version);
            });
        }
    }

    /// The subscribers' lanes and the control packets on them.
    pub(super) fn legs(
        &mut self,
        legs: &[MessageDelivery],
        topic: Option<&str>,
        broker: usize,
        version: Option<ProtocolVersion>,
    ) {
        for leg in legs {
            let Some(delivered) = delivered(leg) else {
                continue;
            };
            self.subscribers += 1;
            if self.subscribers > SUBSCRIBERS_DRAWN {
                continue;
            }
            let lane = self.lane(Role::Subscriber, leg_name(leg));
            let ends = Ends {
                client: lane,
                broker,
                version,
            };
            self.steps(&delivered.steps, delivered.packet_id, topic, ends);
            if let Some(HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            }) = delivered.state
            {
                let (from, to) = match waiting_for {
                    PacketType::PubRel => (broker, lane),
                    _ => (lane, broker),
                };
                self.gone(from, to, (waiting_for, delivered.packet_id), ended_by);
            }
        }
    }

    /// A control packet that was not seen to travel.
    fn gone(
        &mut self,
        from: usize,
        to: usize,
        (packet_type, id): (PacketType, Option<PacketIdentifier>),
        ended_by: EndedBy,
    ) {
        let label = self.ladder.words(|out| {
            push_with_id(out, packet_type, id);
            out.say(" ").say(short_absence(ended_by));
        });
        self.ladder.rows.push(Row::Missing { from, to, label });
    }

    pub(super) fn arrow(
        &mut self,
        stamp: FrameStamp,
        from: usize,
        to: usize,
        packet_type: PacketType,
        label: impl FnOnce(&mut Vec<u8>),
    ) {
        let label = self.ladder.words(label);
        self.ladder.rows.push(Row::Arrow(Arrow {
            stamp,
            since: None,
            from,
            to,
            packet_type,
            label,
        }));
    }

    pub(super) fn note(
        &mut self,
        stamp: Option<FrameStamp>,
        lane: Option<usize>,
        text: impl FnOnce(&mut Vec<u8>),
    ) {
        let text = self.ladder.words(text);
        self.ladder.rows.push(Row::Note {
            stamp,
            since: None,
            lane,
            text,
        });
    }

    /// Puts the rows in the order of their frames, what is missing last, and tells how long
    /// after the step before each arrow came.
    pub(super) fn sort(&mut self) {
        // Stable: packets of one frame stay in the order in which they were told.
        self.ladder.rows.sort_by_key(|row| match row {
            Row::Arrow(Arrow { stamp, .. })
            | Row::Note {
                stamp: Some(stamp), ..
            } => stamp.number,
            Row::Missing { .. } | Row::Note { stamp: None, .. } => u64::MAX,
        });
        let mut before: Option<FrameStamp> = None;
        let mut noted = None;
        for row in &mut self.ladder.rows {
            let (stamp, since, note) = match row {
                Row::Arrow(arrow) => (arrow.stamp, &mut arrow.since, false),
                Row::Note {
                    stamp: Some(stamp),
                    since,
                    ..
                } => (*stamp, since, true),
                Row::Missing { .. } | Row::Note { .. } => continue,
            };
            // A note on a step has told the step's own span.
            if noted != Some(stamp.number) {
                *since = before.and_then(|before| crate::event::between(&before, &stamp));
            }
            noted = note.then_some(stamp.number);
            before = Some(stamp);
        }
    }

    /// What a CONNECT says, behind its arrow; what the CONNACK says, behind its own.
    pub(super) fn connecting(
        &mut self,
        connecting: &ConnectSummary,
        version: Option<ProtocolVersion>,
        client: usize,
    ) {
        let mut notes = Vec::new();
        asked(connecting, version, |tell| {
            notes.push(Row::Note {
                stamp: None,
                since: None,
                lane: Some(client),
                text: self.ladder.words(|out| tell(out)),
            });
        });
        let at = self.ladder.rows.iter().position(
            |row| matches!(row, Row::Arrow(arrow) if arrow.packet_type == PacketType::Connect),
        );
        if let Some(at) = at {
            self.ladder.rows.splice(at + 1..at + 1, notes.drain(..));
        }
        if let Some(answer) = &connecting.answer {
            let told = self.ladder.words(|out| push_answer(out, answer));
            if !self.ladder.octets(told).is_empty() {
                self.ladder.rows.push(Row::Note {
                    stamp: None,
                    since: None,
                    lane: Some(client),
                    text: told,
                });
            }
        }
    }

    pub(super) fn missing(&mut self, handshake: &Handshake, ends: Ends) {
        let HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        } = handshake.state
        else {
            return;
        };
        let initiator_sends = matches!(
            waiting_for,
            PacketType::Publish
                | PacketType::PubRel
                | PacketType::Subscribe
                | PacketType::Unsubscribe
        );
        let sender = if initiator_sends {
            handshake.initiator
        } else {
            handshake.initiator.peer()
        };
        let (from, to) = match sender {
            Sender::Client => (ends.client, ends.broker),
            Sender::Server => (ends.broker, ends.client),
        };
        self.gone(from, to, (waiting_for, handshake.packet_id), ended_by);
    }

    pub(super) fn verdict(&mut self, tone: Tone, text: &str) {
        self.verdict_with(|out| {
            out.say(text);
            tone
        });
    }

    /// A verdict whose tone its text brings along.
    pub(super) fn verdict_with(&mut self, tell: impl FnOnce(&mut Vec<u8>) -> Tone) {
        let mut tone = Tone::Neutral;
        let text = self.ladder.words(|out| tone = tell(out));
        self.ladder.verdicts.push(Verdict { tone, text });
    }

    pub(super) fn verdict_of(&mut self, handshake: &Handshake) {
        let repeated = || match handshake.redelivered() {
            true => ", redelivered",
            false => "",
        };
        self.verdict_with(|out| {
            let tone = match handshake.state {
                HandshakeState::Complete if handshake.kind == HandshakeKind::Qos0 => {
                    out.say(SENT_ONCE);
                    Tone::Good
                }
                HandshakeState::Complete => {
                    out.say("complete");
                    if let Some(took) = handshake.duration() {
                        out.say(" in ").span(took);
                    }
                    out.say(repeated());
                    Tone::Good
                }
                HandshakeState::Refused { packet_type, code } => {
                    out.say("refused: ").say(packet_type.name()).say(" ");
                    push_code(out, packet_type, handshake.version, code);
                    Tone::Bad
                }
                HandshakeState::Incomplete {
                    waiting_for,
                    ended_by,
                } => {
                    out.say("incomplete: ").say(waiting_for.name()).say(" ");
                    out.say(absence(ended_by)).say(repeated());
                    Tone::Bad
                }
            };
            if handshake.steps_left_out > 0 {
                out.say("; ").number(handshake.steps_left_out);
                out.say(" further steps are not drawn");
            }
            tone
        });
        match &handshake.origin {
            Some(Origin::Stored {
                frame: Some(frame), ..
            }) => {
                self.verdict_with(|out| {
                    out.say("the stored (retained) message of frame ");
                    out.number(*frame);
                    Tone::Neutral
                });
            }
            Some(Origin::Stored { frame: None, .. }) => {
                let text = "a stored (retained) message from before the capture";
                self.verdict(Tone::Neutral, text);
            }
            Some(Origin::Server) => self.verdict(Tone::Neutral, "published by the broker itself"),
            Some(Origin::NotSeen) => self.verdict(Tone::Neutral, NOT_SEEN),
            Some(Origin::Published { .. } | Origin::Will { .. }) | None => {}
        }
        if let Subject::Subscribe(filters) | Subject::Unsubscribe(filters) = &handshake.subject {
            for asked in filters.iter().take(LEGS_TOLD) {
                let mut tone = None;
                let text = self.ladder.words(|out| {
                    tone = push_answered(out, handshake.kind, asked, handshake.version);
                });
                if let Some(tone) = tone {
                    self.ladder.verdicts.push(Verdict { tone, text });
                }
            }
        }
    }

    /// A verdict for each leg; many are summed up.
    pub(super) fn legs_told(&mut self, legs: &[MessageDelivery], left_out: u64) {
        if self.subscribers > SUBSCRIBERS_DRAWN {
            let subscribers = self.subscribers as u64;
            self.verdict_with(|out| {
                out.say("the first ").number(SUBSCRIBERS_DRAWN as u64);
                out.say(" of ").number(subscribers);
                out.say(" subscribers are drawn");
                Tone::Neutral
            });
        }
        for leg in legs.iter().take(LEGS_TOLD) {
            self.verdict_with(|out| push_leg(out, leg));
        }
        let more = legs.len().saturating_sub(LEGS_TOLD) as u64 + left_out;
        if more > 0 {
            self.verdict_with(|out| {
                out.number(more);
                out.say(" further subscribers are not told here");
                Tone::Neutral
            });
        }
    }
}

/// What a CONNACK says beyond its code; nothing where it says nothing.
fn push_answer(out: &mut Vec<u8>, answer: &ConnAckSummary) {
    let begin = out.len();
    let next = |out: &mut Vec<u8>| {
        if out.len() > begin {
            out.say(", ");
        }
    };
    if answer.session_present {
        out.say("session present");
    }
    if let Some(id) = &answer.assigned_client_id {
        next(out);
        out.say("assigned client id ").say(id);
    }
    if let Some(keep_alive) = answer.server_keep_alive {
        next(out);
        out.say("server keep alive ").number(keep_alive.into());
        out.say(" s");
    }
    if let Some(most) = answer.receive_maximum {
        next(out);
        out.say("receive maximum ").number(most.into());
    }
    if let Some(qos) = answer.maximum_qos {
        next(out);
        out.say("maximum QoS ").number(qos.into());
    }
}
