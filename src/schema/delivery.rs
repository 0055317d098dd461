//! An application message on its way: the steps of a handshake, how it ended, and what each
//! subscriber received.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::value::{Seconds, is_false, sender_name};
use crate::base::Timestamp;
use crate::event::{self, HandshakeState, MessageDelivery};
use crate::mqtt::{ProtocolVersion, reason};

/// One control packet of a handshake.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Step {
    /// The packet type: `PUBREC`.
    pub type_name: &'static str,
    /// The frame that carries the packet's last byte in stream order.
    pub frame: u64,
    /// Seconds since the capture's first frame.
    pub time_relative: Option<Seconds>,
    /// The TCP connection: a redelivery may travel on a later one of the session.
    pub stream: u32,
    /// `client` or `server`.
    #[schemars(extend("enum" = ["client", "server"]))]
    pub sender: &'static str,
    /// The DUP flag of a PUBLISH.
    pub dup: Option<bool>,
    /// The QoS of a PUBLISH.
    pub qos: Option<u8>,
    /// The RETAIN flag of a PUBLISH.
    pub retain: Option<bool>,
    /// The code of an acknowledgement or AUTH of 5.0, and of CONNACK of any version.
    pub reason_code: Option<u8>,
    /// Bytes of the same direction are missing between the step before and this one.
    #[serde(skip_serializing_if = "is_false")]
    pub after_gap: bool,
}

impl Step {
    /// The steps of a handshake; `start` is the instant of the run's first frame.
    pub fn all(steps: &[event::Step], start: Option<Timestamp>) -> Vec<Self> {
        steps.iter().map(|step| Self::new(step, start)).collect()
    }

    fn new(step: &event::Step, start: Option<Timestamp>) -> Self {
        Self {
            type_name: step.packet_type.name(),
            frame: step.stamp.number,
            time_relative: Seconds::since(start, &step.stamp),
            stream: step.connection.0,
            sender: sender_name(step.sender),
            dup: step.qos.map(|_| step.dup),
            qos: step.qos.map(|qos| qos as u8),
            retain: step.qos.map(|_| step.retain),
            reason_code: step.reason_code,
            after_gap: step.after_gap,
        }
    }
}

/// How a handshake ended, as far as the capture shows it.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct State {
    /// `complete`, `refused` (by a code of 128 or above; 3.x: a CONNACK other than 0 or a SUBACK
    /// of failures only) or `incomplete`.
    #[schemars(extend("enum" = ["complete", "refused", "incomplete"]))]
    pub state: &'static str,
    /// The packet type that refused.
    pub refused_by: Option<&'static str>,
    /// Its code.
    pub reason_code: Option<u8>,
    /// That code in the words of the specification.
    pub reason_name: Option<&'static str>,
    /// The packet type that never came, where the handshake is incomplete.
    pub waiting_for: Option<&'static str>,
    /// Why it is not waited for any longer: `capture_end`, `connection_closed`,
    /// `connection_reset`, `gap`, `identifier_reused` or `table_full`.
    pub ended_by: Option<&'static str>,
}

impl State {
    /// The state of a handshake on a connection of this version.
    pub fn new(state: HandshakeState, version: Option<ProtocolVersion>) -> Self {
        let mut shown = Self {
            state: state.into(),
            ..Self::default()
        };
        match state {
            HandshakeState::Complete => {}
            HandshakeState::Refused { packet_type, code } => {
                let version = version.unwrap_or(ProtocolVersion::V3_1_1);
                shown.refused_by = Some(packet_type.name());
                shown.reason_code = Some(code);
                shown.reason_name = Some(reason::name(packet_type, version, code));
            }
            HandshakeState::Incomplete {
                waiting_for,
                ended_by,
            } => {
                shown.waiting_for = Some(waiting_for.name());
                shown.ended_by = Some(ended_by.into());
            }
        }
        shown
    }
}

/// The fate of a message for its subscribers: those that received it, and those that a
/// matching subscription would have let expect it.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
pub struct Deliveries<'a> {
    /// One entry for each subscriber that was sent the message.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub deliveries: Vec<Delivery<'a>>,
    /// One entry for each subscriber that was not seen to receive it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_delivered: Vec<NotDelivered<'a>>,
}

impl<'a> Deliveries<'a> {
    /// The subscribers' sides; `start` is the instant of the run's first frame.
    pub fn new(all: &'a [MessageDelivery], start: Option<Timestamp>) -> Self {
        let mut sorted = Self::default();
        for one in all {
            match &one.outcome {
                event::Outcome::Delivered(delivered) => {
                    sorted.deliveries.push(Delivery::new(one, delivered, start));
                }
                event::Outcome::NotDelivered(why) => sorted.not_delivered.push(NotDelivered {
                    subscriber: Subscriber::from(one),
                    why: why.into(),
                    frames: why.frame().into_iter().collect(),
                    ambiguous: one.ambiguous,
                }),
            }
        }
        sorted
    }
}

/// A subscriber and the subscriptions that a message matches.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Subscriber<'a> {
    /// Its TCP connection; absent while its session has none.
    pub stream: Option<u32>,
    /// Its client identifier; absent where its CONNECT was not captured.
    pub client_id: Option<&'a str>,
    /// Every filter of it that the topic matches; empty where no SUBSCRIBE was seen.
    pub filters: Vec<&'a str>,
    /// The highest QoS that was granted to those filters.
    pub granted_qos: Option<u8>,
    /// The Subscription Identifiers that the PUBLISH carried (5.0).
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    pub subscription_identifiers: &'a [u32],
}

impl<'a> From<&'a MessageDelivery> for Subscriber<'a> {
    fn from(one: &'a MessageDelivery) -> Self {
        Self {
            stream: one.connection.map(|connection| connection.0),
            client_id: one.client_id.as_deref(),
            filters: one.filters.iter().map(|filter| &**filter).collect(),
            granted_qos: one.granted.map(|qos| qos as u8),
            subscription_identifiers: &one.subscription_ids,
        }
    }
}

/// The copy of a message that one subscriber was sent.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Delivery<'a> {
    /// Who received it.
    #[serde(flatten)]
    pub subscriber: Subscriber<'a>,
    /// The frame of the first PUBLISH to this subscriber.
    pub frame: u64,
    /// Seconds since the capture's first frame.
    pub time_relative: Option<Seconds>,
    /// Seconds from the publisher's first PUBLISH to this one; absent for a stored copy.
    pub latency: Option<Seconds>,
    /// The QoS of the copy.
    pub qos: u8,
    /// RETAIN as the subscriber received it.
    pub retain: bool,
    /// The QoS is lower than the publisher's.
    #[serde(skip_serializing_if = "is_false")]
    pub downgraded: bool,
    /// The copy is the stored message of its topic, sent because of a new subscription.
    #[serde(skip_serializing_if = "is_false")]
    pub stored: bool,
    /// The session had no connection when the message was published.
    #[serde(skip_serializing_if = "is_false")]
    pub queued: bool,
    /// It was sent again with DUP at least once.
    #[serde(skip_serializing_if = "is_false")]
    pub redelivered: bool,
    /// The packet identifier of the copy; absent at QoS 0.
    pub packet_id: Option<u16>,
    /// How the copy's handshake ended; at QoS 0 the PUBLISH alone is complete.
    #[serde(flatten)]
    pub state: State,
    /// The copy's control packets, PUBLISH first.
    pub steps: Vec<Step>,
    /// An equal message was on its way too, or may not have been seen: this copy may be the other's, and
    /// nothing is concluded from it.
    #[serde(skip_serializing_if = "is_false")]
    pub ambiguous: bool,
}

impl<'a> Delivery<'a> {
    fn new(
        one: &'a MessageDelivery,
        delivered: &event::Delivered,
        start: Option<Timestamp>,
    ) -> Self {
        let state = delivered.state.unwrap_or(HandshakeState::Complete);
        Self {
            subscriber: Subscriber::from(one),
            frame: delivered.stamp.number,
            time_relative: Seconds::since(start, &delivered.stamp),
            latency: delivered.latency.map(Seconds::exact),
            qos: delivered.qos as u8,
            retain: delivered.retain,
            downgraded: delivered.downgraded,
            stored: delivered.stored,
            queued: delivered.queued,
            redelivered: delivered.redelivered,
            packet_id: delivered.packet_id.map(|id| id.number()),
            state: State::new(state, None),
            steps: Step::all(&delivered.steps, start),
            ambiguous: one.ambiguous,
        }
    }
}

/// A subscriber that was not seen to receive a message.
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct NotDelivered<'a> {
    /// Who did not receive it.
    #[serde(flatten)]
    pub subscriber: Subscriber<'a>,
    /// Why, as far as the capture shows it: `session_away`, `other_member` (shared subscription),
    /// `no_local`, `not_released` (QoS 2 without PUBREL), `refused`, `expired`, `unsubscribed`,
    /// `not_subscribed` (refused, or not granted yet), `connection_ended`, `session_ended`, `too_large`, `queue_dropped` (possibly: the session was
    /// away, or as much was unacknowledged as it is sent at a time), `broker_did_not_forward`, `gap`, `capture_end`, `given_up` (a limit was reached) or
    /// `unknown`.
    pub why: &'static str,
    /// The frames that show it; absent where it is `unknown`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub frames: Vec<u64>,
    /// An equal message was on its way too, or may not have been seen: this one may have been delivered in its
    /// place, and nothing is concluded.
    #[serde(skip_serializing_if = "is_false")]
    pub ambiguous: bool,
}
