//! Turns what the analysis found into ladders: whose lanes, which steps, what verdict.

use std::net::IpAddr;

use super::ladder::{Arrow, Ladder, Lane, Role, Row, Tone, Verdict, span};
use crate::base::{Endpoint, FrameStamp};
use crate::event::{
    About, Asked, Connecting, Delivered, EndCause, EndedBy, Handshake, HandshakeKind, Leg, NoWill,
    Origin, Outcome, RetainedEnd, RetainedStory, State, Step, Undelivered, WillFate, WillStory,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, QoS, Sender, reason};

/// A subscriber's leg beyond this many lanes is told in its verdict alone.
const SUBSCRIBERS_DRAWN: usize = 4;

/// Verdicts of single legs beyond this many are summed up.
const LEGS_TOLD: usize = 32;

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
            "CONNECT sets the will: [{topic}] QoS {}{}, {} octets{}",
            story.will.qos as u8,
            if story.will.retain { ", retain" } else { "" },
            story.will.payload.length,
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
    if let WillFate::Published(stamp) = story.fate {
        teller.note(
            Some(stamp),
            Some(broker),
            "the broker publishes the will".to_owned(),
        );
    }
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
                format!("published in frame {} to {}", stamp.number, to.join(", ")),
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

/// The ladder of a stored message.
pub(super) fn retained(story: &RetainedStory) -> Ladder {
    let mut teller = Teller::default();
    let topic = story.message.topic.as_deref();
    teller.ladder.title = format!(
        "Retained · {} · {} octets",
        topic.unwrap_or("(topic set before the capture)"),
        story.message.payload.length
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
    /// Lanes of subscribers, beside the client and the broker.
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
            if self.subscribers == SUBSCRIBERS_DRAWN {
                return;
            }
            self.subscribers += 1;
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
        self.ladder.rows.push(Row::Note { stamp, lane, text });
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
        for row in &mut self.ladder.rows {
            match row {
                Row::Arrow(arrow) => {
                    arrow.since =
                        before.and_then(|before| crate::event::between(&before, &arrow.stamp));
                    before = Some(arrow.stamp);
                }
                Row::Note {
                    stamp: Some(stamp), ..
                } => before = Some(*stamp),
                Row::Missing { .. } | Row::Note { .. } => {}
            }
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
                self.answer(handshake.kind, asked, handshake.version);
            }
        }
    }

    fn answer(&mut self, kind: HandshakeKind, asked: &Asked, version: Option<ProtocolVersion>) {
        let (packet_type, verb) = match kind {
            HandshakeKind::Subscribe => {
                (PacketType::SubAck, format!(" at QoS {}", asked.options & 3))
            }
            _ => (PacketType::UnsubAck, String::new()),
        };
        let Some(code) = asked.code else { return };
        let tone = if code >= 0x80 { Tone::Bad } else { Tone::Good };
        let said = code_told(packet_type, version, code);
        self.verdict(tone, format!("[{}]{verb}: {said}", asked.filter));
    }

    /// A verdict for each leg; many are summed up.
    fn legs_told(&mut self, legs: &[Leg], left_out: u64) {
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

fn topic_of(handshake: &Handshake) -> Option<&str> {
    handshake.message()?.topic.as_deref()
}

fn title(handshake: &Handshake) -> String {
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
            format!(
                "{kind} · {topic}{id} · {} octets{text}",
                message.payload.length
            )
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

fn with_id(packet_type: PacketType, id: Option<PacketIdentifier>) -> String {
    let name = packet_type.name();
    id.map_or(name.to_owned(), |id| format!("{name} (id={})", id.number()))
}

fn code_told(packet_type: PacketType, version: Option<ProtocolVersion>, code: u8) -> String {
    let version = version.unwrap_or(ProtocolVersion::V3_1_1);
    format!(
        "{} (0x{code:02x})",
        reason::name(packet_type, version, code)
    )
}

/// What a CONNECT asks for, in a few lines: the flags bit by bit where they are set.
fn asked(connecting: &Connecting, version: Option<ProtocolVersion>) -> Vec<String> {
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
            "will [{}] QoS {}{retain}, {} octets",
            will.topic, will.qos as u8, will.payload.length
        ));
    }
    lines
}

/// The client identifier; where there is none, or an empty one, what stands in its place.
fn name(client_id: Option<&str>, otherwise: &str) -> String {
    match client_id {
        Some("") | None => format!("({otherwise})"),
        Some(client_id) => client_id.to_owned(),
    }
}

/// The number of a leg's connection, as `name` takes it.
fn leg_stream(leg: &Leg) -> String {
    leg.connection.map_or("away".to_owned(), |connection| {
        format!("stream {}", connection.0)
    })
}

fn leg_name(leg: &Leg) -> String {
    name(leg.client_id.as_deref(), &leg_stream(leg))
}

fn delivered(leg: &Leg) -> Option<&Delivered> {
    match &leg.outcome {
        Outcome::Delivered(delivered) => Some(delivered),
        Outcome::NotDelivered(_) => None,
    }
}

fn leg_told(leg: &Leg) -> (Tone, String) {
    let who = leg_name(leg);
    let filters: Vec<_> = leg
        .filters
        .iter()
        .take(3)
        .map(|filter| format!("[{filter}]"))
        .collect();
    let by = if filters.is_empty() {
        "no visible subscription".to_owned()
    } else {
        format!("by {}", filters.join(" "))
    };
    let ambiguous = if leg.ambiguous {
        "; an equal message was on its way: which copy this is cannot be told"
    } else {
        ""
    };
    match &leg.outcome {
        Outcome::Delivered(delivered) => {
            let mut told = vec![if delivered.stored {
                format!(
                    "stored copy in frame {} at QoS {}",
                    delivered.stamp.number, delivered.qos as u8
                )
            } else {
                let latency = delivered
                    .latency
                    .map_or(String::new(), |latency| format!(" after {}", span(latency)));
                format!(
                    "delivered in frame {}{latency} at QoS {}",
                    delivered.stamp.number, delivered.qos as u8
                )
            }];
            if delivered.downgraded {
                let granted = leg.granted.map_or(String::new(), |qos: QoS| {
                    format!(" (granted QoS {})", qos as u8)
                });
                told.push(format!("downgraded{granted}"));
            }
            if delivered.queued {
                told.push("queued while the subscriber was away".to_owned());
            }
            if delivered.redelivered {
                told.push("redelivered".to_owned());
            }
            let tone = match delivered.state {
                None | Some(State::Complete) => Tone::Good,
                Some(State::Refused { packet_type, code }) => {
                    told.push(format!("refused: {} 0x{code:02x}", packet_type.name()));
                    Tone::Bad
                }
                Some(State::Incomplete {
                    waiting_for,
                    ended_by,
                }) => {
                    told.push(format!(
                        "incomplete: {} {}",
                        waiting_for.name(),
                        absence(ended_by)
                    ));
                    Tone::Bad
                }
            };
            (
                tone,
                format!("{who} ({by}): {}{ambiguous}", told.join(", ")),
            )
        }
        Outcome::NotDelivered(why) => {
            let tone = match why {
                Undelivered::Unknown | Undelivered::ConnectionEnded => Tone::Bad,
                _ => Tone::Neutral,
            };
            (
                tone,
                format!(
                    "{who} ({by}): not delivered in this capture: {}",
                    undelivered(*why)
                ),
            )
        }
    }
}

fn undelivered(why: Undelivered) -> String {
    match why {
        Undelivered::Away => {
            "the session is away; the broker may keep the message for it".to_owned()
        }
        Undelivered::OtherOfGroup => "another member of the shared subscription got it".to_owned(),
        Undelivered::NoLocal => "No Local: it published the message itself".to_owned(),
        Undelivered::NotReleased => "no PUBREL: the broker may not release it yet".to_owned(),
        Undelivered::Refused(code) => format!("the broker refused it (0x{code:02x})"),
        Undelivered::Expired => "it expired while the subscriber was away".to_owned(),
        Undelivered::AwayAtQoS0 => {
            "the session is away, and at QoS 0 nothing need be kept".to_owned()
        }
        Undelivered::ConnectionEnded => "its connection ended first".to_owned(),
        Undelivered::Gap => {
            "octets to it are missing from the capture: it may be among them".to_owned()
        }
        Undelivered::CaptureEnded => "the capture ends first".to_owned(),
        Undelivered::Unknown => "nothing in the capture says why".to_owned(),
    }
}

fn absence(ended_by: EndedBy) -> &'static str {
    match ended_by {
        EndedBy::CaptureEnd => "was not seen before the capture ends",
        EndedBy::ConnectionClosed => "never came; connection closed",
        EndedBy::ConnectionReset => "never came; connection reset",
        EndedBy::Gap => "was not seen: octets are missing from the capture",
        EndedBy::IdentifierReused => "never came; the packet identifier was used again",
        EndedBy::TableFull => "is no longer waited for: too many open handshakes",
    }
}

fn short_absence(ended_by: EndedBy) -> &'static str {
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

fn no_will(why: NoWill) -> &'static str {
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
