//! Events of the analysis as ladders: whose lanes, which rows, which verdicts.

use super::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, Verdict};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{
    ConnAckSummary, ConnectSummary, ConnectionId, Delivered, EndedBy, FilterRequest, Handshake,
    HandshakeKind, HandshakeState, MessageDelivery, NoWill, Origin, Outcome, RetainedEnd,
    RetainedSummary, Step, Subject, Undelivered, WillFate, WillMessage, WillSummary, between,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, Sender};
use crate::view::words::{self, ClientName};

/// A delivery beyond this many lanes has a verdict alone: more do not fit 80 columns.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Deliveries and topic filters with a verdict each; the rest is counted.
const VERDICTS_EACH: usize = 32;

/// Bytes set aside for a title or a label: nearly every one is shorter.
const LINE: usize = 80;

/// Subscribers that a will's verdict names.
const NAMES_LISTED: usize = 4;

/// Stands for the topic of a PUBLISH by alias whose alias was set before the capture.
const UNKNOWN_TOPIC: &str = "(topic set before the capture)";

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
    let who = name_of(handshake.client_id.as_deref(), handshake.connection);
    let message = handshake.message();
    // The message travels from left to right also where its publisher is not known.
    let (client, broker) = match (message, handshake.initiator) {
        (Some(_), Sender::Server) => {
            let broker = builder.broker(handshake.server);
            (builder.lane(Role::Subscriber, who), broker)
        }
        (Some(_), Sender::Client) => {
            let client = builder.lane(Role::Publisher, who);
            (client, builder.broker(handshake.server))
        }
        (None, _) => {
            let client = builder.lane(Role::Client, who);
            (client, builder.broker(handshake.server))
        }
    };
    builder.ladder.title = title(handshake);
    let ends = Ends {
        client,
        broker,
        version: handshake.version,
    };
    let topic = message.and_then(|message| message.topic.as_deref());
    builder.steps(&handshake.steps, handshake.packet_id, topic, ends);
    builder.deliveries(&handshake.deliveries, topic, broker, handshake.version);
    builder.sort();
    if let Subject::Connect(connect) = &handshake.subject {
        builder.connect_notes(connect, handshake.version, client);
    }
    builder.missing(handshake, ends);
    builder.outcome(handshake);
    builder.delivery_verdicts(&handshake.deliveries, handshake.deliveries_left_out);
    let published = message.is_some() && handshake.initiator == Sender::Client;
    if published && handshake.state == HandshakeState::Complete && handshake.deliveries.is_empty() {
        let text = "goes to no one: no subscription that the capture shows takes it";
        builder.verdict(Tone::Neutral, text);
    }
    Some(builder.ladder)
}

/// Returns the ladder of a will.
pub(super) fn will(will: &WillSummary) -> Ladder {
    let mut builder = Builder::default();
    let who = name_of(will.client_id.as_deref(), will.connection);
    let client = builder.lane(Role::Publisher, who);
    let broker = builder.broker(will.server);
    let topic = will.will.topic.as_ref();
    builder.ladder.title = format!("Will · {topic} · of {who}");
    let registered = format!("CONNECT sets the will: {}", will_message(&will.will));
    builder.note(Some(will.set), Some(client), registered);
    let ended = words::end_cause(&will.end.cause);
    builder.note(Some(will.end.stamp), Some(client), ended.clone());
    builder.deliveries(&will.deliveries, Some(topic), broker, None);
    builder.sort();
    let (tone, fate) = match will.fate {
        WillFate::Published(stamp) => {
            let subscribers = names(will.deliveries.iter().filter(|one| is_delivered(one)));
            let text = format!("published in frame {} to {subscribers}", stamp.number);
            (Tone::Good, text)
        }
        WillFate::NotPublished(why) => {
            let tone = match why {
                NoWill::NotSeen => Tone::Bad,
                _ => Tone::Neutral,
            };
            (tone, words::no_will(why).to_owned())
        }
    };
    let set = will.set.number;
    builder.verdict(tone, format!("set in frame {set}; {ended}; {fate}"));
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
        let name = name_of(stored.client_id.as_deref(), stored.connection);
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
            builder.arrow(stored.stamp, (lane, broker), PacketType::Publish, label);
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
    fn lane(&mut self, role: Role, name: ClientName<'_>) -> usize {
        let name = name.text().into_owned();
        self.ladder.lanes.push(Lane { role, name });
        self.ladder.lanes.len() - 1
    }

    fn broker(&mut self, server: Endpoint) -> usize {
        self.ladder.lanes.push(Lane {
            role: Role::Broker,
            name: words::endpoint(server),
        });
        self.ladder.lanes.len() - 1
    }

    fn arrow(
        &mut self,
        stamp: FrameStamp,
        (from, to): (usize, usize),
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

    fn note(&mut self, stamp: Option<FrameStamp>, lane: Option<usize>, text: impl Into<String>) {
        self.ladder.rows.push(note(stamp, lane, text.into()));
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
            self.arrow(step.stamp, ends.of(step.sender), step.packet_type, label);
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
            self.steps(&delivered.steps, delivered.packet_id, topic, ends);
            if let Some(HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            }) = delivered.state
            {
                let sender = match waiting_for {
                    PacketType::PubRel => Sender::Server,
                    _ => Sender::Client,
                };
                self.absent(ends.of(sender), waiting_for, delivered.packet_id, ended_by);
            }
        }
    }

    /// Adds the control packet that an incomplete handshake waits for.
    fn missing(&mut self, handshake: &Handshake, ends: Ends) {
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
        let sender = match initiator_sends {
            true => handshake.initiator,
            false => handshake.initiator.peer(),
        };
        self.absent(ends.of(sender), waiting_for, handshake.packet_id, ended_by);
    }

    /// Adds a control packet that was not seen to travel.
    fn absent(
        &mut self,
        (from, to): (usize, usize),
        packet_type: PacketType,
        id: Option<PacketIdentifier>,
        ended_by: EndedBy,
    ) {
        let packet = with_id(packet_type, id);
        let label = format!("{packet} {}", words::short_absence(ended_by));
        self.ladder.rows.push(Row::Missing { from, to, label });
    }

    /// Puts the rows in the order of their frames, those without a frame last, and computes the
    /// time between each and the one before.
    fn sort(&mut self) {
        // Stable: packets of one frame stay in the order in which they were added.
        self.ladder
            .rows
            .sort_by_key(|row| row.when().0.map_or(u64::MAX, |stamp| stamp.number));
        let mut before: Option<FrameStamp> = None;
        let mut noted = None;
        for row in &mut self.ladder.rows {
            let (stamp, since, is_note) = match row {
                Row::Arrow(arrow) => (arrow.stamp, &mut arrow.since, false),
                Row::Note {
                    stamp: Some(stamp),
                    since,
                    ..
                } => (*stamp, since, true),
                Row::Missing { .. } | Row::Note { .. } => continue,
            };
            // A note on a step shows the step's own span already.
            if noted != Some(stamp.number) {
                *since = before.and_then(|before| between(&before, &stamp));
            }
            noted = is_note.then_some(stamp.number);
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
        let at = rows.iter().position(
            |row| matches!(row, Row::Arrow(arrow) if arrow.packet_type == PacketType::Connect),
        );
        if let Some(at) = at {
            let notes = connect_lines(connect, version).into_iter();
            let notes = notes.map(|line| note(None, Some(client), line));
            rows.splice(at + 1..at + 1, notes);
        }
        let granted = connect.answer.as_ref().map(connack_line);
        if let Some(text) = granted.filter(|text| !text.is_empty()) {
            self.note(None, Some(client), text);
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
                let took = took.map_or(String::new(), |took| format!(" in {}", words::span(took)));
                (Tone::Good, format!("complete{took}{again}"))
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
        match &handshake.origin {
            Some(Origin::Stored {
                frame: Some(frame), ..
            }) => {
                let text = format!("the stored (retained) message of frame {frame}");
                self.verdict(Tone::Neutral, text);
            }
            Some(Origin::Stored { frame: None, .. }) => {
                let text = "a stored (retained) message from before the capture";
                self.verdict(Tone::Neutral, text);
            }
            Some(Origin::Server) => self.verdict(Tone::Neutral, "published by the broker itself"),
            Some(Origin::NotSeen) => {
                let text = "no PUBLISH to the broker explains this message: its publisher is not \
                            in the capture";
                self.verdict(Tone::Neutral, text);
            }
            Some(Origin::Published { .. } | Origin::Will { .. }) | None => {}
        }
        if let Subject::Subscribe(filters) | Subject::Unsubscribe(filters) = &handshake.subject {
            for request in filters.iter().take(VERDICTS_EACH) {
                if let Some((tone, text)) = answer(handshake.kind, request, handshake.version) {
                    self.verdict(tone, text);
                }
            }
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
        for delivery in deliveries.iter().take(VERDICTS_EACH) {
            let (tone, text) = delivery_verdict(delivery);
            self.verdict(tone, text);
        }
        let more = deliveries.len().saturating_sub(VERDICTS_EACH) as u64 + left_out;
        if more > 0 {
            let text = format!("{more} further subscribers are not told here");
            self.verdict(Tone::Neutral, text);
        }
    }
}

fn note(stamp: Option<FrameStamp>, lane: Option<usize>, text: String) -> Row {
    Row::Note {
        stamp,
        since: None,
        lane,
        text,
    }
}

fn name_of(client_id: Option<&str>, connection: ConnectionId) -> ClientName<'_> {
    ClientName {
        client_id,
        connection: Some(connection),
    }
}

fn subscriber(delivery: &MessageDelivery) -> ClientName<'_> {
    ClientName {
        client_id: delivery.client_id.as_deref(),
        connection: delivery.connection,
    }
}

fn is_delivered(delivery: &MessageDelivery) -> bool {
    matches!(delivery.outcome, Outcome::Delivered(_))
}

/// `QoS 2 · test · id 1 · 13 octets "hello handong"`.
fn title(handshake: &Handshake) -> String {
    let mut title = String::with_capacity(LINE);
    title += words::handshake_kind(handshake.kind);
    title += " · ";
    let who = name_of(handshake.client_id.as_deref(), handshake.connection).text();
    match &handshake.subject {
        Subject::Message(message) => title += message.topic.as_deref().unwrap_or(UNKNOWN_TOPIC),
        Subject::Subscribe(filters) | Subject::Unsubscribe(filters) => {
            title += &who;
            title += " · ";
            title += &bracketed(filters.iter().map(|one| &*one.filter));
        }
        Subject::Connect(_) | Subject::Nothing => title += &who,
    }
    if let Some(id) = handshake.packet_id {
        title += " · id ";
        title += &id.number().to_string();
    }
    if let Subject::Message(message) = &handshake.subject {
        let payload = &message.payload;
        title += " · ";
        title += &words::octets(payload.length);
        if let Some(text) = payload.text().filter(|text| !text.is_empty()) {
            title += " \"";
            title += text;
            title += if payload.is_cut() { "…\"" } else { "\"" };
        }
    }
    title
}

/// Returns the first three filters: `[a/#] [b]`.
fn bracketed<'a>(filters: impl Iterator<Item = &'a str>) -> String {
    let filters = filters.take(3).map(|filter| format!("[{filter}]"));
    filters.collect::<Vec<_>>().join(" ")
}

/// Returns the label of a step's arrow: `PUBLISH (id=1) [test] DUP`.
fn label(
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
            label += " [";
            label += topic;
            label += "]";
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

/// `PUBACK (id=7)`.
fn with_id(packet_type: PacketType, id: Option<PacketIdentifier>) -> String {
    let mut text = String::with_capacity(LINE);
    text += packet_type.name();
    if let Some(id) = id {
        text += " (id=";
        text += &id.number().to_string();
        text += ")";
    }
    text
}

/// Returns what a CONNECT asks for, in a few lines: the flags bit by bit where they are set
/// (3.1.1 and 5.0 §3.1.2.3).
fn connect_lines(connect: &ConnectSummary, version: Option<ProtocolVersion>) -> Vec<String> {
    let clean = match version {
        Some(ProtocolVersion::V5_0) => "clean start",
        _ => "clean session",
    };
    let flags = connect.flags;
    let bits = [
        (0x80, "user name"),
        (0x40, "password"),
        (0x20, "will retain"),
        (0x04, "will"),
        (0x02, clean),
    ];
    let set = bits.iter().filter(|(bit, _)| flags & bit != 0);
    let mut set: Vec<_> = set.map(|(_, name)| (*name).to_owned()).collect();
    if flags & 0x04 != 0 {
        set.push(format!("will QoS {}", flags >> 3 & 3));
    } else if set.is_empty() {
        set.push("none".to_owned());
    }
    let mut lines = vec![
        format!(
            "{} level {}{}, keep alive {} s",
            connect.protocol_name,
            connect.protocol_level,
            if connect.bridge { " (bridge)" } else { "" },
            connect.keep_alive
        ),
        format!("flags 0x{flags:02x}: {}", set.join(", ")),
    ];
    if flags & 0x02 == 0 {
        lines.push(format!("{clean} not set: the session goes on"));
    }
    lines.extend(
        connect
            .session_expiry
            .map(|expiry| format!("session expiry {expiry} s")),
    );
    lines.extend(
        connect
            .user_name
            .as_ref()
            .map(|user| format!("user name {user}")),
    );
    lines.extend(
        connect
            .will
            .as_ref()
            .map(|will| format!("will {}", will_message(will))),
    );
    lines
}

/// Returns what a CONNACK grants beyond its code; empty where that is nothing.
fn connack_line(answer: &ConnAckSummary) -> String {
    let mut parts = Vec::new();
    if answer.session_present {
        parts.push("session present".to_owned());
    }
    let assigned = answer.assigned_client_id.as_ref();
    parts.extend(assigned.map(|id| format!("assigned client id {id}")));
    let keep_alive = answer.server_keep_alive;
    parts.extend(keep_alive.map(|seconds| format!("server keep alive {seconds} s")));
    let receive = answer.receive_maximum;
    parts.extend(receive.map(|most| format!("receive maximum {most}")));
    parts.extend(answer.maximum_qos.map(|qos| format!("maximum QoS {qos}")));
    parts.join(", ")
}

/// `[topic] QoS 1, retain, 4 octets, delay 5 s`.
fn will_message(will: &WillMessage) -> String {
    let retain = if will.retain { "retain, " } else { "" };
    let delay = match will.delay {
        0 => String::new(),
        seconds => format!(", delay {seconds} s"),
    };
    let (topic, qos) = (&will.topic, will.qos as u8);
    let length = words::octets(will.payload.length);
    format!("[{topic}] QoS {qos}, {retain}{length}{delay}")
}

/// Returns the answer to one filter of a SUBSCRIBE or UNSUBSCRIBE; `None` where it had none, or
/// none with a code (UNSUBACK before 5.0).
fn answer(
    kind: HandshakeKind,
    request: &FilterRequest,
    version: Option<ProtocolVersion>,
) -> Option<(Tone, String)> {
    let code = request.code?;
    let refused = code >= 0x80;
    let text = if kind == HandshakeKind::Unsubscribe {
        words::code(PacketType::UnsubAck, version, code)
    } else {
        let granted = match refused {
            true => format!(
                "refused: {}",
                words::code(PacketType::SubAck, version, code)
            ),
            false => format!("QoS {code} granted"),
        };
        format!("QoS {} asked, {granted}", request.options & 3)
    };
    let tone = if refused { Tone::Bad } else { Tone::Good };
    Some((tone, format!("[{}]: {text}", request.filter)))
}

/// Returns the first few of many subscribers' names.
fn names<'a>(deliveries: impl Iterator<Item = &'a MessageDelivery>) -> String {
    let mut names: Vec<_> = deliveries.map(|one| subscriber(one).to_string()).collect();
    let more = names.len().saturating_sub(NAMES_LISTED);
    names.truncate(NAMES_LISTED);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &rest
}

/// Returns where a stored message came from, what became of it, and how often it was sent.
fn stored_verdict(retained: &RetainedSummary) -> String {
    let stored = match &retained.stored {
        Some(stored) if stored.will => {
            let frame = stored.stamp.number;
            format!("the will set in frame {frame}, stored once published")
        }
        Some(stored) => format!("stored in frame {}", stored.stamp.number),
        None => "stored before the capture".to_owned(),
    };
    let end = match retained.end {
        RetainedEnd::Replaced(stamp) => format!("replaced in frame {}", stamp.number),
        RetainedEnd::Cleared(stamp) => format!("cleared in frame {}", stamp.number),
        RetainedEnd::Kept => "still stored where the capture ends".to_owned(),
        RetainedEnd::TableFull => "no longer followed: too many stored messages".to_owned(),
    };
    let copies = retained.deliveries.iter().filter(|one| is_delivered(one));
    let copies = match copies.count() {
        0 => "no stored copy was sent".to_owned(),
        1 => "1 stored copy was sent".to_owned(),
        copies => format!("{copies} stored copies were sent"),
    };
    format!("{stored}; {end}; {copies}")
}

/// Returns what became of a message for one subscriber, and by which subscription.
fn delivery_verdict(delivery: &MessageDelivery) -> (Tone, String) {
    let by = match delivery.filters.is_empty() {
        true => "no visible subscription".to_owned(),
        false => format!(
            "by {}",
            bracketed(delivery.filters.iter().map(|one| &**one))
        ),
    };
    let (tone, outcome) = match &delivery.outcome {
        Outcome::Delivered(delivered) => {
            let (tone, mut text) = delivered_verdict(delivery, delivered);
            if delivery.ambiguous {
                text += "; an equal message was on its way: which copy this is cannot be told";
            }
            (tone, text)
        }
        Outcome::NotDelivered(why) => {
            let tone = match why {
                Undelivered::Unknown | Undelivered::ConnectionEnded => Tone::Bad,
                _ => Tone::Neutral,
            };
            let why = words::undelivered(*why);
            (tone, format!("not delivered in this capture: {why}"))
        }
    };
    (tone, format!("{} ({by}): {outcome}", subscriber(delivery)))
}

fn delivered_verdict(delivery: &MessageDelivery, delivered: &Delivered) -> (Tone, String) {
    let frame = delivered.stamp.number;
    let (qos, latency) = (delivered.qos as u8, delivered.latency);
    let mut text = match (delivered.stored, latency) {
        (true, _) => format!("stored copy in frame {frame} at QoS {qos}"),
        (false, None) => format!("delivered in frame {frame} at QoS {qos}"),
        (false, Some(latency)) => {
            let latency = words::span(latency);
            format!("delivered in frame {frame} after {latency} at QoS {qos}")
        }
    };
    if delivered.downgraded {
        text += ", downgraded";
        if let Some(granted) = delivery.granted {
            text += &format!(" (granted QoS {})", granted as u8);
        }
    }
    if delivered.queued {
        text += ", queued while the subscriber was away";
    }
    if delivered.redelivered {
        text += ", redelivered";
    }
    let tone = match delivered.state {
        None | Some(HandshakeState::Complete) => Tone::Good,
        Some(HandshakeState::Refused { packet_type, code }) => {
            text += &format!(", refused: {} 0x{code:02x}", packet_type.name());
            Tone::Bad
        }
        Some(HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        }) => {
            let (packet, absence) = (waiting_for.name(), words::absence(ended_by));
            text += &format!(", incomplete: {packet} {absence}");
            Tone::Bad
        }
    };
    (tone, text)
}

#[cfg(test)]
mod tests;
