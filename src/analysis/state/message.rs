//! An application message on its way, the deliveries that are expected of it, and a copy that may
//! be one of them.

use std::sync::Arc;

use super::super::keys::{BrokerId, MessageKey, SessionKey, Topic, Turn};
use super::link::Link;
use crate::base::{Endpoint, FrameStamp, Span};
use crate::event::{
    Delivered, EndedBy, Handshake, HandshakeState, MessageDelivery, Outcome, RetainedSummary, Step,
    Undelivered, between,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, QoS};
use crate::stream::ConnectionId;

/// How far a delivery has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Progress {
    /// Nothing has come yet.
    Waiting,
    /// Delivered above QoS 0 and not acknowledged.
    Open,
    /// Delivered and acknowledged, or not waited for any longer.
    Done,
}

/// The messages above QoS 0 before another one on the way to a connected subscriber, when that comes
/// into force.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Ahead {
    /// Those that the subscriber has not acknowledged.
    pub(crate) in_flight: u32,
    /// The frame of the latest PUBLISH of those.
    pub(crate) since: u64,
    /// Those that it has not been sent, this one included; 0 where they are not counted.
    pub(crate) waited: u32,
    /// Its number among the messages of the session that are counted so.
    pub(crate) number: u32,
}

/// A delivery with what the analysis needs to know of it.
#[derive(Debug)]
pub(crate) struct Route {
    /// The delivery as it is reported.
    pub(crate) delivery: MessageDelivery,
    /// The subscriber's session.
    pub(crate) session: SessionKey,
    /// How far it has come.
    pub(crate) progress: Progress,
    /// Holes in what the server sent on the subscriber's connection, when it was published.
    pub(crate) gaps: u32,
    /// For how long the connection had no room for more messages, when it was published; `None`
    /// where there was none, or the message came unexpected.
    pub(crate) full: Option<Span>,
    /// The subscription was only asked for, or being given up: its silence means nothing.
    pub(crate) tentative: bool,
    /// The frame of the SUBSCRIBE, where it was not answered.
    pub(crate) asked: Option<u64>,
    /// The session had no connection when it was published, and none was being made.
    pub(crate) absent: bool,
    /// Members of one shared subscription have one number.
    pub(crate) group: Option<u32>,
    /// The client has another way to the message: a shared subscription beside its own, or a further
    /// copy. Which of the copies came by which is not known.
    pub(crate) beside: bool,
    /// Further copies that overlapping subscriptions may bring.
    pub(crate) spare: u32,
    /// Every filter that takes the message asks for Retain As Published; some does.
    pub(crate) as_published: (bool, bool),
    /// Subscription Identifiers that a copy should carry.
    pub(crate) identifiers: Vec<u32>,
    /// The frame of a copy that is like this one and has another payload.
    pub(crate) instead: Option<u64>,
    /// The messages before it.
    pub(crate) ahead: Ahead,
}

impl Route {
    /// Returns a route on which nothing has come yet.
    pub(crate) fn new(session: SessionKey, delivery: MessageDelivery) -> Self {
        Self {
            delivery,
            session,
            progress: Progress::Waiting,
            gaps: 0,
            full: None,
            tentative: false,
            beside: false,
            asked: None,
            absent: false,
            group: None,
            spare: 0,
            as_published: (false, false),
            identifiers: Vec::new(),
            instead: None,
            ahead: Ahead::default(),
        }
    }

    /// Returns whether it is at QoS 0 and its client was away, or may have been: servers do not keep
    /// such a message.
    pub(crate) fn is_missed(&self) -> bool {
        let done = self.absent && self.progress == Progress::Done;
        done && matches!(
            self.delivery.outcome,
            Outcome::NotDelivered(Undelivered::AwayAtQoS0 { .. } | Undelivered::Unknown)
        )
    }

    /// Returns its weight against `Limits::deliveries`: one, and one more for each eight filters
    /// and identifiers that it keeps.
    pub(crate) fn weight(&self) -> usize {
        1 + (self.delivery.filters.len() + self.identifiers.len()) / 8
    }
}

/// The routes of a message that comes into force.
#[derive(Debug)]
pub(crate) struct Routes {
    /// As many as are kept.
    pub(crate) all: Vec<Route>,
    /// Where there are none, subscriptions that are over.
    pub(crate) former: Vec<MessageDelivery>,
    /// Those beyond.
    pub(crate) left_out: u32,
    /// Those of them that are not done.
    pub(crate) unsettled: u32,
}

/// The properties of a message that are compared with those of its copies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carried {
    /// Digest of the properties that a server hands on as they are; `None` before 5.0.
    pub(crate) properties: Option<u64>,
    /// There are some of those.
    pub(crate) any: bool,
    /// Message Expiry Interval, in seconds.
    pub(crate) expiry: Option<u32>,
}

impl Carried {
    /// Returns whether the properties of a message and of a copy are known to differ.
    pub(crate) fn differs(self, copy: Self) -> bool {
        let both = self.properties.zip(copy.properties);
        both.is_some_and(|(published, delivered)| published != delivered)
    }
}

/// A QoS 2 message that the server need not have acted on: it was not released.
#[derive(Debug)]
pub(crate) struct Pending {
    /// The topic.
    pub(crate) topic: Arc<str>,
    /// The stored message that it becomes, where it is retained.
    pub(crate) stored: Option<RetainedSummary>,
}

/// An application message that a client published.
#[derive(Debug)]
pub(crate) struct Held {
    /// Its number.
    pub(crate) key: MessageKey,
    /// The broker, by its place in the order of first appearance.
    pub(crate) broker: BrokerId,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    /// The turn of its handshake in the output.
    pub(crate) turn: Turn,
    /// How the publisher's handshake ended, once it is over.
    pub(crate) over: Option<Over>,
    /// The frame in which it ended.
    pub(crate) over_at: FrameStamp,
    /// That handshake, where handshakes are wanted.
    pub(crate) record: Option<Box<Handshake>>,
    /// Where a subscriber is to be sent it.
    pub(crate) topic: Option<Arc<str>>,
    /// The publisher's protocol version.
    pub(crate) version: Option<ProtocolVersion>,
    /// The frame of the publisher's first PUBLISH.
    pub(crate) published: FrameStamp,
    /// The frame in which it came into force: that of the PUBLISH, or for QoS 2 of the PUBREL.
    pub(crate) in_force: FrameStamp,
    /// The publisher's connection.
    pub(crate) connection: ConnectionId,
    /// The publisher's session.
    pub(crate) session: Option<SessionKey>,
    /// The publisher's client identifier.
    pub(crate) client_id: Option<Arc<str>>,
    /// The QoS of the PUBLISH.
    pub(crate) qos: QoS,
    /// RETAIN as published.
    pub(crate) retain: bool,
    /// Bytes that a copy has at least: with its topic name, and without.
    pub(crate) least: (usize, usize),
    /// The properties that subscribers get too.
    pub(crate) carried: Carried,
    /// Its publisher is a bridge.
    pub(crate) from_bridge: bool,
    /// It is not in force yet: nothing is owed to its subscribers.
    pub(crate) pending: Option<Box<Pending>>,
    /// Its place in the order in which messages came into force.
    pub(crate) order: u64,
    /// The first copy, where it stands before its PUBREL and can be of no other message.
    pub(crate) forwarded: Option<FrameStamp>,
    /// That place is not known: its PUBREL was not seen.
    pub(crate) unordered: bool,
    /// Its PUBLISH stands behind a copy that may be of another one.
    pub(crate) doubted: bool,
    /// The ways to its subscribers, further copies included.
    pub(crate) routes: Vec<Route>,
    /// Where no subscription takes it, those that would have taken it earlier.
    pub(crate) former: Vec<MessageDelivery>,
    /// Deliveries beyond [`Handshake::DELIVERIES_KEPT`].
    pub(crate) left_out: u32,
    /// Routes that are not done.
    pub(crate) unsettled: u32,
    /// It is the stored message of its topic: late subscribers may still get it.
    pub(crate) stored: bool,
    /// Its stored copies for late subscribers.
    pub(crate) late: Vec<MessageDelivery>,
}

impl Held {
    /// Returns whether some subscriber was sent it.
    pub(crate) fn is_delivered(&self) -> bool {
        (self.routes.iter()).any(|route| route.delivery.is_delivered())
    }

    /// Returns the weight of its routes against `Limits::deliveries`: that many subscriptions of
    /// one client take it counts too.
    pub(super) fn weight(&self) -> usize {
        self.routes.iter().map(Route::weight).sum()
    }
}

/// The end of a publisher's handshake.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Over {
    /// The end of the publisher's handshake.
    pub(crate) state: HandshakeState,
    /// The frame of the end.
    pub(crate) stamp: FrameStamp,
}

impl Over {
    /// Returns whether a PUBREL may be among what was not captured.
    pub(crate) fn may_be_released(self) -> bool {
        let HandshakeState::Incomplete { ended_by, .. } = self.state else {
            return false;
        };
        ended_by == EndedBy::Gap
    }

    /// Returns the frame in which the server acknowledged the message; `None` at QoS 0 and where
    /// it did not.
    pub(crate) fn acknowledged(self, qos: QoS) -> Option<FrameStamp> {
        let complete = self.state == HandshakeState::Complete && qos > QoS::AtMostOnce;
        complete.then_some(self.stamp)
    }
}

/// Returns how well a copy fits a route of a message: the properties that are handed on count most,
/// then identifiers, QoS, and RETAIN where it is as published.
pub(super) fn fit(held: &Held, route: &Route, copy: &Copy<'_>) -> u32 {
    let carried = match (held.carried.properties, copy.carried.properties) {
        (Some(published), Some(delivered)) => published == delivered,
        // Before 5.0 there are none.
        (None, Some(_)) => !copy.carried.any,
        (_, None) => true,
    };
    let mut identifiers = copy.identifiers.iter();
    let identified = match copy.identifiers.is_empty() {
        true => route.identifiers.is_empty(),
        false => identifiers.any(|id| route.identifiers.contains(id)),
    };
    let due = route.delivery.granted.map(|granted| granted.min(held.qos));
    let (as_published, _) = route.as_published;
    let retained = !as_published || copy.retain == held.retain;
    8 * u32::from(carried)
        + 4 * u32::from(identified)
        + 2 * u32::from(due == Some(copy.qos))
        + u32::from(retained)
}

/// A copy that nothing explains.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unexplained {
    pub(crate) broker: BrokerId,
    pub(crate) server: Endpoint,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    pub(crate) connection: ConnectionId,
    pub(crate) session: SessionKey,
    pub(crate) stamp: FrameStamp,
}

impl Unexplained {
    /// Returns a copy on a connection, where its subscriber is known.
    pub(crate) fn on(link: &Link, stamp: FrameStamp, digest: u64) -> Option<Self> {
        Some(Self {
            broker: link.broker,
            server: link.server,
            digest,
            connection: link.id,
            session: link.session?,
            stamp,
        })
    }
}

/// A copy of a message on its way to a subscriber.
pub(crate) struct Copy<'a> {
    /// Its topic.
    pub(crate) topic: Topic<'a>,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    /// The frame of the copy.
    pub(crate) stamp: FrameStamp,
    /// The QoS of the PUBLISH.
    pub(crate) qos: QoS,
    /// RETAIN as published.
    pub(crate) retain: bool,
    /// DUP of the copy.
    pub(crate) dup: bool,
    /// The packet identifier; `None` at QoS 0.
    pub(crate) packet_id: Option<PacketIdentifier>,
    /// Subscription Identifiers of the copy (5.0).
    pub(crate) identifiers: Vec<u32>,
    /// The properties that subscribers get too.
    pub(crate) carried: Carried,
    /// Where the steps of deliveries are wanted.
    pub(crate) step: Option<Step>,
}

impl Copy<'_> {
    /// The delivery's outcome, at its first PUBLISH.
    pub(crate) fn delivered(&self, published: Option<FrameStamp>, qos: QoS) -> Delivered {
        Delivered {
            stamp: self.stamp,
            // Not where the clock went back, or the clocks of two captures differ.
            latency: published
                .and_then(|published| between(&published, &self.stamp))
                .filter(|latency| *latency >= Span::ZERO),
            shares: None,
            qos: self.qos,
            downgraded: self.qos < qos,
            retain: self.retain,
            stored: published.is_none(),
            redelivered: false,
            queued: false,
            packet_id: self.packet_id,
            state: self.packet_id.map(|_| HandshakeState::Incomplete {
                waiting_for: match self.qos {
                    QoS::ExactlyOnce => PacketType::PubRec,
                    _ => PacketType::PubAck,
                },
                ended_by: EndedBy::CaptureEnd,
            }),
            steps: self.step.iter().cloned().collect(),
        }
    }

    /// How far a delivery with this copy has come.
    pub(crate) fn progress(&self) -> Progress {
        match self.packet_id {
            Some(_) => Progress::Open,
            None => Progress::Done,
        }
    }
}

/// Adds the delivery of a copy; returns its place, or `None` where there are as many as are kept.
pub(crate) fn add_delivery(
    deliveries: &mut Vec<MessageDelivery>,
    delivery: MessageDelivery,
) -> Option<usize> {
    let at = deliveries.len();
    if at >= Handshake::DELIVERIES_KEPT {
        return None;
    }
    deliveries.push(delivery);
    Some(at)
}

/// Writes what a delivery's handshake came to into the delivery; its steps where it has the first.
pub(crate) fn note_settled(delivery: &mut MessageDelivery, record: &Handshake) {
    if let Outcome::Delivered(delivered) = &mut delivery.outcome {
        // At QoS 0 nothing is awaited, so there is no state.
        delivered.state = delivered.packet_id.map(|_| record.state);
        delivered.redelivered = record.redelivered();
        if !delivered.steps.is_empty() {
            delivered.steps.clone_from(&record.steps);
        }
    }
}
