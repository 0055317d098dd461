//! Events of the analysis as ladders: whose lanes, which rows, which verdicts.

use super::label::{
    UNKNOWN_TOPIC, connack_line, connect_lines, label, title, will_message, with_id,
};
use super::ladder::{Ladder, Lane, Role, Row, Shape, Tone, Verdict};
use super::verdict::{answer, delivery_verdict, names, stored_verdict, subscriber};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{
    ConnectSummary, Handshake, HandshakeKind, HandshakeState, MessageDelivery, NoWill, Origin,
    Outcome, RetainedEnd, RetainedSummary, Step, Subject, WillFate, WillSummary, between,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender};
use crate::view::words;

/// A delivery beyond this many lanes has a verdict alone: more do not fit 80 columns.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Deliveries and topic filters with a verdict each; the rest is counted.
const VERDICTS_EACH: usize = 32;

/// The lanes of a handshake's two ends.
#[derive(Clone, Copy)]
struct Ends {
    client: usize,
    broker: usize,
    version: Option<ProtocolVersion>,
}

impl Ends {
    /// Returns the lanes of a packet by its sender: from and to.
    fn of(self, sender: Sender) -> (usize, usize) {
        match sender {
            Sender::Client => (self.client, self.broker),
            Sender::Server => (self.broker, self.client),
        }
    }
}

/// Returns the ladder of a handshake. `None` for the server's copy of a message whose publisher
/// was seen: it stands in the publisher's ladder.
pub(super) fn handshake(handshake: &Handshake) -> Option<Ladder> {
    if matches!(
        handshake.origin,
        Some(Origin::Published { .. } | Origin::Will { .. })
    ) {
        return None;
    }
    let mut builder = Builder::default();
    let who = words::client(handshake.client_id.as_deref(), Some(handshake.connection));
    let message = handshake.message();
    builder.ladder.title = title(handshake, &who);
    let (server, initiator) = (handshake.server, handshake.initiator);
    let role = match (message, initiator) {
        (Some(_), Sender::Server) => Role::Subscriber,
        (Some(_), Sender::Client) => Role::Publisher,
        (None, _) => Role::Client,
    };
    // The message travels from left to right also where its publisher is not known.
    let left = (role == Role::Subscriber).then(|| builder.broker(server));
    let client = builder.lane(role, who);
    let broker = left.unwrap_or_else(|| builder.broker(server));
    let version = handshake.version;
    let ends = Ends {
        client,
        broker,
        version,
    };
    let topic = message.and_then(|message| message.topic.as_deref());
    builder.steps(&handshake.steps, handshake.packet_id, topic, ends);
    builder.deliveries(&handshake.deliveries, topic, broker, version);
    builder.sort();
    if let Subject::Connect(connect) = &handshake.subject {
        builder.connect_notes(connect, version, client);
    }
    let state = handshake.state;
    builder.missing(state, initiator, handshake.packet_id, ends);
    builder.outcome(handshake);
    builder.delivery_verdicts(&handshake.deliveries, handshake.deliveries_left_out);
    let settled = role == Role::Publisher && state == HandshakeState::Complete;
    if settled && handshake.deliveries.is_empty() {
        let text = "goes to no one: no subscription that the capture shows takes it";
        builder.verdict(Tone::Neutral, text);
    }
    Some(builder.ladder)
}

/// Returns the ladder of a will.
pub(super) fn will(will: &WillSummary) -> Ladder {
    let mut builder = Builder::default();
    let who = words::client(will.client_id.as_deref(), Some(will.connection));
    let topic = will.will.topic.as_ref();
    builder.ladder.title = format!("Will · {topic} · of {who}");
    let client = builder.lane(Role::Publisher, who);
    let broker = builder.broker(will.server);
    let registered = format!("CONNECT sets the will: {}", will_message(&will.will));
    builder.note(Some(will.set), Some(client), registered);
    let ended = words::end_cause(&will.end.cause);
    builder.note(Some(will.end.stamp), Some(client), ended.as_str());
    builder.deliveries(&will.deliveries, Some(topic), broker, None);
    builder.sort();
    let (tone, fate) = match will.fate {
        WillFate::Published(stamp) => {
            let (frame, subscribers) = (stamp.number, names(&will.deliveries));
            (
                Tone::Good,
                format!("published in frame {frame} to {subscribers}"),
            )
        }
        WillFate::NotPublished(why) => {
            let bad = matches!(why, NoWill::NotSeen);
            let tone = if bad { Tone::Bad } else { Tone::Neutral };
            (tone, words::no_will(why).to_owned())
        }
    };
    let (tone, doubt) = match (will.ambiguous, will.fate) {
        (false, _) => (tone, ""),
        (true, WillFate::Published(_)) => (Tone::Neutral, ", or an equal message was"),
        (true, _) => (Tone::Neutral, "; a copy of an equal message may be it"),
    };
    let set = will.set.number;
    builder.verdict(tone, format!("set in frame {set}; {ended}; {fate}{doubt}"));
    builder.delivery_verdicts(&will.deliveries, 0);
    builder.ladder
}

/// Returns the ladder of a stored message.
pub(super) fn retained(retained: &RetainedSummary) -> Ladder {
    let mut builder = Builder::default();
    let message = &retained.message;
    let topic = message.topic.as_deref();
    builder.ladder.title = format!(
        "Retained · {} · {}",
        topic.unwrap_or(UNKNOWN_TOPIC),
        words::octets(message.payload.length)
    );
    let publisher = retained.stored.as_ref().map(|stored| {
        let name = words::client(stored.client_id.as_deref(), Some(stored.connection));
        (builder.lane(Role::Publisher, name), stored)
    });
    let broker = builder.broker(retained.server);
    match publisher {
        Some((lane, stored)) if stored.will => {
            let text = "CONNECT sets the will that becomes the stored message";
            builder.note(Some(stored.stamp), Some(lane), text);
        }
        Some((lane, stored)) => {
            let label = format!("PUBLISH [{}] retain", topic.unwrap_or_default());
            builder.arrow(stored.stamp, (lane, broker), label);
        }
        None => {}
    }
    match retained.end {
        RetainedEnd::Replaced(stamp) => builder.note(Some(stamp), Some(broker), "replaced"),
        RetainedEnd::Cleared(stamp) => {
            builder.note(Some(stamp), Some(broker), "cleared by an empty payload");
        }
        RetainedEnd::Kept | RetainedEnd::TableFull => {}
    }
    builder.deliveries(&retained.deliveries, topic, broker, None);
    builder.sort();
    builder.verdict(Tone::Neutral, stored_verdict(retained));
    builder.delivery_verdicts(&retained.deliveries, 0);
    builder.ladder
}

/// A ladder on its way.
#[derive(Default)]
struct Builder {
    ladder: Ladder,
    /// Deliveries that were seen; at most [`SUBSCRIBERS_DRAWN`] of them have a lane.
    subscribers: usize,
}

impl Builder {
    fn lane(&mut self, role: Role, name: String) -> usize {
        self.ladder.lanes.push(Lane { role, name });
        self.ladder.lanes.len() - 1
    }

    fn broker(&mut self, server: Endpoint) -> usize {
        self.lane(Role::Broker, words::endpoint(server))
    }

    fn arrow(&mut self, stamp: FrameStamp, (from, to): (usize, usize), label: String) {
        let row = row(Some(stamp), Shape::Arrow { from, to }, label);
        self.ladder.rows.push(row);
    }

    fn note(&mut self, stamp: Option<FrameStamp>, lane: Option<usize>, text: impl Into<String>) {
        let row = row(stamp, Shape::Note { lane }, text.into());
        self.ladder.rows.push(row);
    }

    fn verdict(&mut self, tone: Tone, text: impl Into<String>) {
        let text = text.into();
        self.ladder.verdicts.push(Verdict { tone, text });
    }

    /// Adds the control packets between two ends.
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
                let stream = step.connection.0;
                let text = format!("on a new connection of the same session (stream {stream})");
                self.note(Some(step.stamp), Some(ends.client), text);
            }
            if step.after_gap {
                let text = "octets are missing from the capture before this";
                self.note(Some(step.stamp), None, text);
            }
            let label = label(step, id, topic, ends.version);
            self.arrow(step.stamp, ends.of(step.sender), label);
        }
    }

    /// Adds the subscribers' lanes and the control packets on them.
    fn deliveries(
        &mut self,
        deliveries: &[MessageDelivery],
        topic: Option<&str>,
        broker: usize,
        version: Option<ProtocolVersion>,
    ) {
        for delivery in deliveries {
            let Outcome::Delivered(delivered) = &delivery.outcome else {
                continue;
            };
            self.subscribers += 1;
            if self.subscribers > SUBSCRIBERS_DRAWN {
                continue;
            }
            let ends = Ends {
                client: self.lane(Role::Subscriber, subscriber(delivery)),
                broker,
                version,
            };
            let id = delivered.packet_id;
            self.steps(&delivered.steps, id, topic, ends);
            if let Some(state) = delivered.state {
                self.missing(state, Sender::Server, id, ends);
            }
        }
    }

    /// Adds the control packet that an incomplete handshake waits for.
    fn missing(
        &mut self,
        state: HandshakeState,
        initiator: Sender,
        id: Option<PacketIdentifier>,
        ends: Ends,
    ) {
        let HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        } = state
        else {
            return;
        };
        let (from, to) = ends.of(match waiting_for {
            PacketType::Publish
            | PacketType::PubRel
            | PacketType::Subscribe
            | PacketType::Unsubscribe => initiator,
            _ => initiator.peer(),
        });
        let (packet, absence) = (with_id(waiting_for, id), words::short_absence(ended_by));
        let row = row(
            None,
            Shape::Missing { from, to },
            format!("{packet} {absence}"),
        );
        self.ladder.rows.push(row);
    }

    /// Puts the rows in the order of their frames, those without a frame last, and computes the
    /// time between each and the one before.
    fn sort(&mut self) {
        // Stable: packets of one frame stay in the order in which they were added.
        let rows = &mut self.ladder.rows;
        rows.sort_by_key(|row| row.stamp.map_or(u64::MAX, |stamp| stamp.number));
        let mut before: Option<FrameStamp> = None;
        let mut noted = None;
        for row in rows {
            let Some(stamp) = row.stamp else { continue };
            // A note on a step shows the step's own span already.
            if noted != Some(stamp.number) {
                row.since = before.and_then(|before| between(&before, &stamp));
            }
            noted = matches!(row.shape, Shape::Note { .. }).then_some(stamp.number);
            before = Some(stamp);
        }
    }

    /// Adds what a CONNECT asks for behind its arrow, and what the CONNACK grants at the end.
    fn connect_notes(
        &mut self,
        connect: &ConnectSummary,
        version: Option<ProtocolVersion>,
        client: usize,
    ) {
        let rows = &mut self.ladder.rows;
        let lane = Some(client);
        // Of the packets in such a handshake only CONNECT's name begins like this.
        if let Some(at) = rows.iter().position(|row| row.text.starts_with("CONNECT")) {
            let notes = connect_lines(connect, version).into_iter();
            let notes = notes.map(|line| row(None, Shape::Note { lane }, line));
            rows.splice(at + 1..at + 1, notes);
        }
        let granted = connect.answer.as_ref().map(connack_line);
        if let Some(text) = granted.filter(|text| !text.is_empty()) {
            self.note(None, lane, text);
        }
    }

    /// Adds the verdicts of a handshake: how it ended, where its message came from, the answer
    /// to each filter.
    fn outcome(&mut self, handshake: &Handshake) {
        let again = match handshake.redelivered() {
            true => ", redelivered",
            false => "",
        };
        let (tone, mut text) = match handshake.state {
            HandshakeState::Complete if handshake.kind == HandshakeKind::Qos0 => {
                let text = "QoS 0: sent once, nothing is acknowledged";
                (Tone::Good, text.to_owned())
            }
            HandshakeState::Complete => {
                let took = handshake.duration();
                let took =
                    took.map_or(String::new(), |took| " in ".to_owned() + &words::span(took));
                (Tone::Good, ["complete", &took, again].concat())
            }
            HandshakeState::Refused { packet_type, code } => {
                let code = words::code(packet_type, handshake.version, code);
                (Tone::Bad, format!("refused: {} {code}", packet_type.name()))
            }
            HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            } => {
                let (packet, absence) = (waiting_for.name(), words::absence(ended_by));
                (Tone::Bad, format!("incomplete: {packet} {absence}{again}"))
            }
        };
        if handshake.steps_left_out > 0 {
            text += &format!("; {} further steps are not drawn", handshake.steps_left_out);
        }
        self.verdict(tone, text);
        let origin = match handshake.origin {
            Some(Origin::Stored {
                frame: Some(frame), ..
            }) => format!("the stored (retained) message of frame {frame}"),
            Some(Origin::Stored { frame: None, .. }) => {
                "a stored (retained) message; the capture does not show which PUBLISH stored it"
                    .to_owned()
            }
            Some(Origin::Server) => "published by the broker itself".to_owned(),
            Some(Origin::NotSeen) => "no PUBLISH to the broker explains this message: its \
                                      publisher is not in the capture"
                .to_owned(),
            Some(Origin::Published { .. } | Origin::Will { .. }) | None => String::new(),
        };
        if !origin.is_empty() {
            self.verdict(Tone::Neutral, origin);
        }
        if let Subject::Subscribe(filters) | Subject::Unsubscribe(filters) = &handshake.subject {
            let (kind, version) = (handshake.kind, handshake.version);
            let answers = filters.iter().take(VERDICTS_EACH);
            let answers = answers.filter_map(|request| answer(kind, request, version));
            self.ladder.verdicts.extend(answers);
        }
    }

    /// Adds a verdict for each of the first [`VERDICTS_EACH`] deliveries, and the number of the
    /// others.
    fn delivery_verdicts(&mut self, deliveries: &[MessageDelivery], left_out: u64) {
        if self.subscribers > SUBSCRIBERS_DRAWN {
            let text = format!(
                "the first {SUBSCRIBERS_DRAWN} of {} subscribers are drawn",
                self.subscribers
            );
            self.verdict(Tone::Neutral, text);
        }
        let verdicts = deliveries.iter().take(VERDICTS_EACH);
        self.ladder.verdicts.extend(verdicts.map(delivery_verdict));
        let more = deliveries.len().saturating_sub(VERDICTS_EACH) as u64 + left_out;
        if more > 0 {
            let text = format!("{more} further subscribers are not told here");
            self.verdict(Tone::Neutral, text);
        }
    }
}

/// Returns a row whose time since the one before is not known yet.
fn row(stamp: Option<FrameStamp>, shape: Shape, text: String) -> Row {
    Row {
        stamp,
        since: None,
        shape,
        text,
    }
}

#[cfg(test)]
mod tests;
