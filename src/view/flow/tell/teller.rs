//! Builds a ladder from steps and legs.

use std::net::IpAddr;

use super::legs::{delivered, leg_stream, leg_told, name};
use super::words::{absence, answered, asked, code_told, label, short_absence, with_id};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{About, Connecting, Handshake, HandshakeKind, Leg, Origin, State, Step};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender};
use crate::view::flow::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, Verdict, span};

/// A subscriber's leg beyond this many lanes is told in its verdict alone.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Verdicts of single legs beyond this many are summed up.
const LEGS_TOLD: usize = 32;

/// The lanes of a handshake's two ends.
#[derive(Clone, Copy)]
pub(super) struct Ends {
    pub(super) client: usize,
    pub(super) broker: usize,
    pub(super) version: Option<ProtocolVersion>,
}

/// Builds one ladder.
#[derive(Default)]
pub(super) struct Teller {
    pub(super) ladder: Ladder,
    /// Legs that were delivered; at most [`SUBSCRIBERS_DRAWN`] of them have a lane.
    subscribers: usize,
}

impl Teller {
    pub(super) fn lane(&mut self, role: Role, client_id: Option<&str>, otherwise: &str) -> usize {
        let name = name(client_id, otherwise);
        self.ladder.lanes.push(Lane { role, name });
        self.ladder.lanes.len() - 1
    }

    pub(super) fn broker(&mut self, server: Endpoint) -> usize {
        let name = match server.address {
            IpAddr::V4(address) => format!("{address}:{}", server.port),
            IpAddr::V6(address) => format!("[{address}]:{}", server.port),
        };
        self.ladder.lanes.push(Lane {
            role: Role::Broker,
            name,
        });
        self.ladder.lanes.len() - 1
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
                let text = format!(
                    "on a new connection of the same session (stream {})",
                    step.connection.0
                );
                self.note(Some(step.stamp), Some(ends.client), text);
            }
            if step.after_gap {
                let text = "octets are missing from the capture before this".to_owned();
                self.note(Some(step.stamp), None, text);
            }
            let (from, to) = match step.sender {
                Sender::Client => (ends.client, ends.broker),
                Sender::Server => (ends.broker, ends.client),
            };
            self.arrow(
                step.stamp,
                from,
                to,
                step.packet_type,
                label(step, id, topic, ends.version),
            );
        }
    }

    /// The subscribers' lanes and the control packets on them.
    pub(super) fn legs(
        &mut self,
        legs: &[Leg],
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
            let lane = self.lane(Role::Subscriber, leg.client_id.as_deref(), &leg_stream(leg));
            let ends = Ends {
                client: lane,
                broker,
                version,
            };
            self.steps(&delivered.steps, delivered.packet_id, topic, ends);
            if let Some(State::Incomplete {
                waiting_for,
                ended_by,
            }) = delivered.state
            {
                let (from, to) = match waiting_for {
                    PacketType::PubRel => (broker, lane),
                    _ => (lane, broker),
                };
                let label = format!(
                    "{} {}",
                    with_id(waiting_for, delivered.packet_id),
                    short_absence(ended_by)
                );
                self.ladder.rows.push(Row::Missing { from, to, label });
            }
        }
    }

    pub(super) fn arrow(
        &mut self,
        stamp: FrameStamp,
        from: usize,
        to: usize,
        packet_type: PacketType,
        label: String,
    ) {
        self.ladder.rows.push(Row::Arrow(Arrow {
            stamp,
            since: None,
            from,
            to,
            packet_type,
            label,
        }));
    }

    pub(super) fn note(&mut self, stamp: Option<FrameStamp>, lane: Option<usize>, text: String) {
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
        connecting: &Connecting,
        version: Option<ProtocolVersion>,
        client: usize,
    ) {
        let mut notes: Vec<_> = asked(connecting, version)
            .into_iter()
            .map(|text| Row::Note {
                stamp: None,
                since: None,
                lane: Some(client),
                text,
            })
            .collect();
        let at = self.ladder.rows.iter().position(
            |row| matches!(row, Row::Arrow(arrow) if arrow.packet_type == PacketType::Connect),
        );
        if let Some(at) = at {
            self.ladder.rows.splice(at + 1..at + 1, notes.drain(..));
        }
        if let Some(answer) = &connecting.answer {
            let mut told = Vec::new();
            if answer.session_present {
                told.push("session present".to_owned());
            }
            if let Some(id) = &answer.assigned_client_id {
                told.push(format!("assigned client id {id}"));
            }
            if let Some(keep_alive) = answer.server_keep_alive {
                told.push(format!("server keep alive {keep_alive} s"));
            }
            if let Some(most) = answer.receive_maximum {
                told.push(format!("receive maximum {most}"));
            }
            if let Some(qos) = answer.maximum_qos {
                told.push(format!("maximum QoS {qos}"));
            }
            if !told.is_empty() {
                self.note(None, Some(client), told.join(", "));
            }
        }
    }

    pub(super) fn missing(&mut self, handshake: &Handshake, ends: Ends) {
        let State::Incomplete {
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
        let label = format!(
            "{} {}",
            with_id(waiting_for, handshake.packet_id),
            short_absence(ended_by)
        );
        self.ladder.rows.push(Row::Missing { from, to, label });
    }

    pub(super) fn verdict(&mut self, tone: Tone, text: String) {
        self.ladder.verdicts.push(Verdict::new(tone, text));
    }

    pub(super) fn verdict_of(&mut self, handshake: &Handshake) {
        let repeated = if handshake.redelivered() {
            ", redelivered"
        } else {
            ""
        };
        let (tone, mut text) = match handshake.state {
            State::Complete if handshake.kind == HandshakeKind::Qos0 => (
                Tone::Good,
                "QoS 0: sent once, nothing is acknowledged".to_owned(),
            ),
            State::Complete => {
                let took = handshake
                    .duration()
                    .map_or(String::new(), |took| format!(" in {}", span(took)));
                (Tone::Good, format!("complete{took}{repeated}"))
            }
            State::Refused { packet_type, code } => (
                Tone::Bad,
                format!(
                    "refused: {} {}",
                    packet_type.name(),
                    code_told(packet_type, handshake.version, code)
                ),
            ),
            State::Incomplete {
                waiting_for,
                ended_by,
            } => (
                Tone::Bad,
                format!(
                    "incomplete: {} {}{repeated}",
                    waiting_for.name(),
                    absence(ended_by)
                ),
            ),
        };
        if handshake.steps_left_out > 0 {
            text.push_str(&format!(
                "; {} further steps are not drawn",
                handshake.steps_left_out
            ));
        }
        self.verdict(tone, text);
        match &handshake.origin {
            Some(Origin::Stored {
                frame: Some(frame), ..
            }) => {
                self.verdict(
                    Tone::Neutral,
                    format!("the stored (retained) message of frame {frame}"),
                );
            }
            Some(Origin::Stored { frame: None, .. }) => {
                let text = "a stored (retained) message from before the capture";
                self.verdict(Tone::Neutral, text.to_owned());
            }
            Some(Origin::Server) => {
                self.verdict(Tone::Neutral, "published by the broker itself".to_owned())
            }
            Some(Origin::NotSeen) => {
                let text = "no PUBLISH to the broker explains this message: its publisher is not in the capture";
                self.verdict(Tone::Neutral, text.to_owned());
            }
            Some(Origin::Published { .. } | Origin::Will { .. }) | None => {}
        }
        if let About::Subscribe(filters) | About::Unsubscribe(filters) = &handshake.about {
            for asked in filters.iter().take(LEGS_TOLD) {
                if let Some((tone, text)) = answered(handshake.kind, asked, handshake.version) {
                    self.verdict(tone, text);
                }
            }
        }
    }

    /// A verdict for each leg; many are summed up.
    pub(super) fn legs_told(&mut self, legs: &[Leg], left_out: u64) {
        if self.subscribers > SUBSCRIBERS_DRAWN {
            let text = format!(
                "the first {SUBSCRIBERS_DRAWN} of {} subscribers are drawn",
                self.subscribers
            );
            self.verdict(Tone::Neutral, text);
        }
        for leg in legs.iter().take(LEGS_TOLD) {
            let (tone, text) = leg_told(leg);
            self.verdict(tone, text);
        }
        let more = legs.len().saturating_sub(LEGS_TOLD) as u64 + left_out;
        if more > 0 {
            self.verdict(
                Tone::Neutral,
                format!("{more} further subscribers are not told here"),
            );
        }
    }
}
