//! A handshake: control packets that belong together, and what became of the message.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::connect::{ConnAck, Connect, Subscription};
use super::delivery::{Deliveries, State, Step};
use super::payload::Payload;
use super::value::{Seconds, is_false, is_zero, sender_name};
use crate::base::Timestamp;
use crate::event::{self, Subject};

/// One exchange of control packets: PUBLISH to PUBACK or PUBCOMP, SUBSCRIBE to SUBACK, and so
/// on; a PUBLISH at QoS 0 is one of a single step.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Handshake<'a> {
    /// `connect`, `auth`, `qos0`, `qos1`, `qos2`, `subscribe`, `unsubscribe` or `ping`.
    pub kind: &'static str,
    /// The TCP connection on which it began.
    pub stream: u32,
    /// Who sent the first packet: `client` or `server`.
    #[schemars(extend("enum" = ["client", "server"]))]
    pub initiator: &'static str,
    /// The packet identifier; absent where the packets have none.
    pub packet_id: Option<u16>,
    /// The topic name of a PUBLISH, an alias resolved; absent where it is not known.
    pub topic: Option<&'a str>,
    /// The client identifier of the connection.
    pub client_id: Option<&'a str>,
    /// `3.1`, `3.1.1` or `5.0`, once known.
    pub version: Option<&'static str>,
    /// How it ended.
    #[serde(flatten)]
    pub state: State,
    /// Seconds from the first step to the last; absent where it is incomplete.
    pub duration: Option<Seconds>,
    /// The PUBLISH was sent more than once.
    #[serde(skip_serializing_if = "is_false")]
    pub redelivered: bool,
    /// The RETAIN flag of a PUBLISH.
    pub retain: Option<bool>,
    /// The payload of a PUBLISH.
    pub payload: Option<Payload<'a>>,
    /// The subscriptions of a SUBSCRIBE, each with its answer.
    pub subscriptions: Option<Vec<Subscription<'a>>>,
    /// The topic filters of an UNSUBSCRIBE.
    pub filters: Option<Vec<&'a str>>,
    /// How many more filters a SUBSCRIBE or UNSUBSCRIBE had than the 4,096 listed at most.
    #[serde(skip_serializing_if = "is_zero")]
    pub filters_left_out: u64,
    /// The UNSUBACK's codes for them (5.0).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reason_codes: Vec<u8>,
    /// The members of a CONNECT.
    pub connect: Option<Connect<'a>>,
    /// The members of its CONNACK.
    pub connack: Option<ConnAck<'a>>,
    /// Its control packets in order, at most 64.
    pub steps: Vec<Step>,
    /// How many more there were.
    #[serde(skip_serializing_if = "is_zero")]
    pub steps_left_out: u64,
    /// The fate of a client's PUBLISH for each subscriber.
    #[serde(flatten)]
    pub deliveries: Deliveries<'a>,
    /// How many more subscribers there were than the 4,096 listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub deliveries_left_out: u64,
    /// Where a server's PUBLISH came from.
    pub origin: Option<Origin<'a>>,
}

impl<'a> Handshake<'a> {
    /// The record of a handshake; `start` is the instant of the run's first frame.
    pub fn new(handshake: &'a event::Handshake, start: Option<Timestamp>) -> Self {
        let version = handshake.version;
        let mut shown = Self {
            kind: handshake.kind.into(),
            stream: handshake.connection.0,
            initiator: sender_name(handshake.initiator),
            packet_id: handshake.packet_id.map(|id| id.number()),
            topic: handshake
                .message()
                .and_then(|message| message.topic.as_deref()),
            client_id: handshake.client_id.as_deref(),
            version: version.map(|version| version.name()),
            state: State::new(handshake.state, version),
            duration: handshake.duration().map(Seconds::exact),
            redelivered: handshake.redelivered(),
            steps: Step::all(&handshake.steps, start),
            steps_left_out: handshake.steps_left_out,
            deliveries: Deliveries::new(&handshake.deliveries, start),
            deliveries_left_out: handshake.deliveries_left_out,
            filters_left_out: handshake.filters_left_out,
            origin: handshake.origin.as_ref().map(Origin::from),
            ..Self::default()
        };
        match &handshake.subject {
            Subject::Message(message) => {
                shown.retain = Some(message.retain);
                shown.payload = Some(Payload::from(&message.payload));
            }
            Subject::Subscribe(asked) => {
                let all = asked
                    .iter()
                    .map(|one| Subscription::of_handshake(one, version));
                shown.subscriptions = Some(all.collect());
            }
            Subject::Unsubscribe(asked) => {
                shown.filters = Some(asked.iter().map(|one| &*one.filter).collect());
                shown.reason_codes = asked.iter().filter_map(|one| one.code).collect();
            }
            Subject::Connect(connect) => {
                let answer = |answer| ConnAck::of_handshake(answer, version);
                shown.connect = Some(Connect::of_handshake(connect, version));
                shown.connack = connect.answer.as_ref().map(answer);
            }
            Subject::Nothing => {}
        }
        shown
    }
}

/// Where a message that a server sent came from.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct Origin<'a> {
    /// `published` by a client, `stored` for its topic, a `will`, the `server`'s own
    /// (`$SYS/...`), or `not_seen` in the capture.
    pub kind: &'static str,
    /// The TCP connection of the publisher.
    pub stream: Option<u32>,
    /// Its client identifier.
    pub client_id: Option<&'a str>,
    /// The frame of the PUBLISH, or of the CONNECT that set the will.
    pub frame: Option<u64>,
    /// An equal message was on its way too, or may not have been seen: it may be that one.
    #[serde(skip_serializing_if = "is_false")]
    pub ambiguous: bool,
}

impl<'a> From<&'a event::Origin> for Origin<'a> {
    fn from(origin: &'a event::Origin) -> Self {
        let (kind, connection, client_id, frame) = match origin {
            event::Origin::Published {
                connection,
                client_id,
                frame,
                ..
            } => (
                "published",
                Some(connection),
                client_id.as_deref(),
                Some(*frame),
            ),
            event::Origin::Stored { connection, frame } => {
                ("stored", connection.as_ref(), None, *frame)
            }
            event::Origin::Will {
                connection,
                client_id,
                frame,
                ..
            } => ("will", Some(connection), client_id.as_deref(), Some(*frame)),
            event::Origin::Server => ("server", None, None, None),
            event::Origin::NotSeen => ("not_seen", None, None, None),
        };
        Self {
            kind,
            stream: connection.map(|connection| connection.0),
            client_id,
            frame,
            ambiguous: matches!(
                origin,
                event::Origin::Published {
                    ambiguous: true,
                    ..
                } | event::Origin::Will {
                    ambiguous: true,
                    ..
                }
            ),
        }
    }
}
