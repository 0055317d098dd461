//! Turns what the analysis found into ladders: whose lanes, which steps, what verdict.

mod legs;
#[cfg(test)]
mod tests;
mod words;

use std::net::IpAddr;

use self::legs::{delivered, leg_name, leg_stream, leg_told, name};
use self::words::{
    absence, answered, asked, code_told, end_cause, label, no_will, octets, short_absence, title,
    topic_of, with_id,
};
use super::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, Verdict, span};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{
    About, Connecting, Handshake, HandshakeKind, Leg, NoWill, Origin, RetainedEnd, RetainedStory,
    State, Step, WillFate, WillStory,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender};

/// A subscriber's leg beyond this many lanes is told in its verdict alone.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Verdicts of single legs beyond this many are summed up.
const LEGS_TOLD: usize = 32;

/// Subscribers that a will's verdict names.
const NAMES_TOLD: usize = 4;

/// The ladder of a handshake. `None` for the server's leg of a message whose publisher was
/// seen: it stands in the publisher's ladder.
pub(super) fn handshake(handshake: &Handshake) -> Option<Ladder> {
    if matches!(
        handshake.origin,
        Some(Origin::Published { .. } | Origin::Will { .. })
    ) {
        return None;
    }
    let mut teller = Teller::default();
    let client = teller.lane(
        match (handshake.message(), handshake.initiator) {
            (Some(_), Sender::Client) => Role::Publisher,
            _ => Role::Client,
        },
        handshake.client_id.as_deref(),
        &format!("stream {}", handshake.connection.0),
    );
    let broker = teller.broker(handshake.server);
    let (client, broker) = match (handshake.message(), handshake.initiator) {
        // A message whose publisher is not known travels from left to right all the same.
        (Some(_), Sender::Server) => {
            teller.ladder.lanes.swap(client, broker);
            if let Some(lane) = teller.ladder.lanes.last_mut() {
                lane.role = Role::Subscriber;
            }
            (broker, client)
        }
        _ => (client, broker),
    };
    teller.ladder.title = title(handshake);
    let ends = Ends {
        client,
        broker,
        version: handshake.version,
    };
    teller.steps(
        &handshake.steps,
        handshake.packet_id,
        topic_of(handshake),
        ends,
    );
    teller.legs(
        &handshake.deliveries,
        topic_of(handshake),
        broker,
        handshake.version,
    );
    teller.sort();
    if let About::Connect(connecting) = &handshake.about {
        teller.connecting(connecting, handshake.version, client);
    }
    teller.missing(handshake, ends);
    teller.verdict_of(handshake);
    teller.legs_told(&handshake.deliveries, handshake.legs_left_out);
    Some(teller.ladder)
}

/// The ladder of a will.
pub(super) fn will(story: &WillStory) -> Ladder {
    let mut teller = Teller::default();
    let stream = format!("stream {}", story.connection.0);
    let client = teller.lane(Role::Publisher, story.client_id.as_deref(), &stream);
    let broker = teller.broker(story.server);
    let topic = story.will.topic.as_ref();
    teller.ladder.title = format!(
        "Will · {topic} · of {}",
        name(story.client_id.as_deref(), &stream)
    );
    teller.note(
        Some(story.set),
        Some(client),
        format!(
            "CONNECT sets the will: [{topic}] QoS {}{}, {}{}",
            story.will.qos as u8,
            if story.will.retain { ", retain" } else { "" },
            octets(&story.will.payload),
            if story.will.delay > 0 {
                format!(", delay {} s", story.will.delay)
            } else {
                String::new()
            }
        ),
    );
    teller.note(
        Some(story.end.stamp),
        Some(client),
        end_cause(&story.end.cause),
    );
    teller.legs(&story.deliveries, Some(topic), broker, None);
    teller.sort();
    let how = format!(
        "set in frame {}; {}",
        story.set.number,
        end_cause(&story.end.cause)
    );
    let (tone, fate) = match story.fate {
        WillFate::Published(stamp) => {
            let to: Vec<_> = story
                .deliveries
                .iter()
                .filter(|leg| delivered(leg).is_some())
                .map(leg_name)
                .collect();
            (
                Tone::Good,
                format!("published in frame {} to {}", stamp.number, listed(&to)),
            )
        }
        WillFate::NotPublished(why) => match why {
            NoWill::NotSeen => (Tone::Bad, no_will(why).to_owned()),
            _ => (Tone::Neutral, no_will(why).to_owned()),
        },
    };
    teller.verdict(tone, format!("{how}; {fate}"));
    teller.legs_told(&story.deliveries, 0);
    teller.ladder
}

/// The first few of many names.
fn listed(names: &[String]) -> String {
    match names.split_at_checked(NAMES_TOLD) {
        Some((first, rest)) if !rest.is_empty() => {
            format!("{} and {} more", first.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// The ladder of a stored message.
pub(super) fn retained(story: &RetainedStory) -> Ladder {
    let mut teller = Teller::default();
    let topic = story.message.topic.as_deref();
    teller.ladder.title = format!(
        "Retained · {} · {}",
        topic.unwrap_or("(topic set before the capture)"),
        octets(&story.message.payload)
    );
    let publisher = story.stored.as_ref().map(|stored| {
        let stream = format!("stream {}", stored.connection.0);
        (
            teller.lane(Role::Publisher, stored.client_id.as_deref(), &stream),
            stored,
        )
    });
    let broker = teller.broker(story.server);
    let mut told = Vec::new();
    match publisher {
        Some((lane, stored)) => {
            let packet_type = PacketType::Publish;
            let what = if stored.will {
                "its will is stored"
            } else {
                "PUBLISH"
            };
            if stored.will {
                teller.note(Some(stored.stamp), Some(lane), what.to_owned());
            } else {
                let label = format!("PUBLISH [{}] retain", topic.unwrap_or(""));
                teller.arrow(stored.stamp, lane, broker, packet_type, label);
            }
            told.push(format!("stored in frame {}", stored.stamp.number));
        }
        None => told.push("stored before the capture".to_owned()),
    }
    match story.end {
        RetainedEnd::Replaced(stamp) => {
            teller.note(Some(stamp), Some(broker), "replaced".to_owned());
            told.push(format!("replaced in frame {}", stamp.number));
        }
        RetainedEnd::Cleared(stamp) => {
            teller.note(
                Some(stamp),
                Some(broker),
                "cleared by an empty payload".to_owned(),
            );
            told.push(format!("cleared in frame {}", stamp.number));
        }
        RetainedEnd::Kept => told.push("still stored where the capture ends".to_owned()),
        RetainedEnd::TableFull => {
            told.push("no longer followed: too many stored messages".to_owned())
        }
    }
    teller.legs(&story.deliveries, topic, broker, None);
    teller.sort();
    let copies = story
        .deliveries
        .iter()
        .filter(|leg| delivered(leg).is_some())
        .count();
    told.push(match copies {
        0 => "no stored copy was sent".to_owned(),
        1 => "1 stored copy was sent".to_owned(),
        copies => format!("{copies} stored copies were sent"),
    });
    teller.verdict(Tone::Neutral, told.join("; "));
    teller.legs_told(&story.deliveries, 0);
    teller.ladder
}

/// The lanes of a handshake's two ends.
#[derive(Clone, Copy)]
struct Ends {
    client: usize,
    broker: usize,
    version: Option<ProtocolVersion>,
}

#[derive(Default)]
struct Teller {
    ladder: Ladder,
    /// Legs that were delivered; at most [`SUBSCRIBERS_DRAWN`] of them have a lane.
    subscribers: usize,
}

impl Teller {
    fn lane(&mut self, role: Role, client_id: Option<&str>, otherwise: &str) -> usize {
        let name = name(client_id, otherwise);
        self.ladder.lanes.push(Lane { role, name });
        self.ladder.lanes.len() - 1
    }

    fn broker(&mut self, server: Endpoint) -> usize {
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

    fn steps(
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
    fn legs(
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

    fn arrow(
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

    fn note(&mut self, stamp: Option<FrameStamp>, lane: Option<usize>, text: String) {
        self.ladder.rows.push(Row::Note {
            stamp,
            since: None,
            lane,
            text,
        });
    }

    /// Puts the rows in the order of their frames, what is missing last, and tells how long
    /// after the step before each arrow came.
    fn sort(&mut self) {
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
    fn connecting(
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

    fn missing(&mut self, handshake: &Handshake, ends: Ends) {
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

    fn verdict(&mut self, tone: Tone, text: String) {
        self.ladder.verdicts.push(Verdict::new(tone, text));
    }

    fn verdict_of(&mut self, handshake: &Handshake) {
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
    fn legs_told(&mut self, legs: &[Leg], left_out: u64) {
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
