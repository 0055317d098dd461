//! The state that the Server keeps of a Client between connections (5.0 §4.1).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::action::ConnectionKey;
use super::message::Message;
use crate::base::{Span, Timestamp};
use crate::broker::packet_ids::PacketIdentifiers;
use crate::mqtt::{PacketIdentifier, QoS};

/// Names a session for as long as the Server runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SessionKey(pub(super) u64);

/// How long a session outlives its connection (5.0 §3.1.2.11.2).
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Expiry {
    /// It ends with its connection: a clean session of 3.x.
    #[default]
    WithConnection,
    /// It ends so long after its connection.
    After(Span),
    /// It stays until the Client ends it.
    Never,
}

impl Expiry {
    /// From the property's seconds: 0 and 0xFFFFFFFF have meanings of their own.
    pub(super) const fn from_seconds(seconds: u32) -> Self {
        match seconds {
            0 => Self::WithConnection,
            u32::MAX => Self::Never,
            seconds => Self::After(Span::from_nanos(seconds as i64 * 1_000_000_000)),
        }
    }
}

/// A will that waits to be published (5.0 §3.1.2.5).
#[derive(Clone, Debug)]
pub(super) struct Will {
    pub(super) message: Message,
    /// Will Delay Interval (5.0 §3.1.3.2.2); zero before 5.0.
    pub(super) delay: Span,
}

/// An application message on its way to a Client, with what its subscription granted.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) message: Arc<Message>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    /// Subscription Identifiers of the subscriptions that matched.
    pub(super) identifiers: Vec<u32>,
}

/// An exchange above QoS 0 that the Server began.
#[derive(Clone, Debug)]
pub(super) struct Exchange {
    pub(super) packet_id: PacketIdentifier,
    pub(super) outgoing: Outgoing,
    pub(super) awaiting: Awaiting,
    /// Sent on this connection; what is not is sent again once the Client is back.
    pub(super) sent: bool,
    /// Sent on an earlier connection: the next sending is a re-delivery ([MQTT-3.3.1-1]).
    pub(super) dup: bool,
}

/// The packet that an exchange waits for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Awaiting {
    /// PUBACK.
    Acknowledged,
    /// PUBREC.
    Received,
    /// PUBCOMP.
    Completed,
}

/// Bytes that a session takes by itself, roughly.
pub(super) const SESSION: usize = 600;
/// Bytes that a subscription takes without its filter, roughly.
pub(super) const SUBSCRIPTION: usize = 100;
/// Bytes of a level of a filter that no other filter shares (a table of four places).
pub(super) const LEVEL: usize = 512;

/// A session; it outlives its connection by its expiry.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) client_id: Arc<str>,
    pub(super) connection: Option<ConnectionKey>,
    pub(super) expiry: Expiry,
    /// While disconnected: when the session ends.
    pub(super) ends_at: Option<Timestamp>,
    pub(super) will: Option<Will>,
    /// While disconnected: when the will is published.
    pub(super) will_at: Option<Timestamp>,
    /// Topic filters as the Client wrote them.
    pub(super) subscriptions: BTreeSet<Box<str>>,
    pub(super) subscription_bytes: usize,
    /// Levels of those filters.
    pub(super) subscription_levels: usize,
    /// [`Session::bytes`] when the Server counted it last.
    pub(super) counted: usize,
    /// In the order of first sending ([MQTT-4.6.0-5]).
    pub(super) exchanges: VecDeque<Exchange>,
    /// Waiting for room in the window, or for the Client to come back.
    pub(super) queue: VecDeque<Outgoing>,
    /// Bytes of the messages in `exchanges` and `queue`.
    pub(super) queued_bytes: usize,
    /// The queue reached its limit and this was logged.
    pub(super) dropping: bool,
    /// A limit on subscriptions was reached and this was logged.
    pub(super) refusing: bool,
    /// Received at QoS 2 and not yet released: a PUBLISH with one of these identifiers is a
    /// repetition.
    pub(super) unreleased: BTreeMap<PacketIdentifier, Arc<Message>>,
    pub(super) unreleased_bytes: usize,
    packet_ids: PacketIdentifiers,
}

impl Outgoing {
    /// Bytes that it takes in memory, roughly, for the limits.
    pub(super) fn bytes(&self) -> usize {
        self.message.bytes() + self.identifiers.len() * size_of::<u32>()
    }
}

impl Session {
    pub(super) fn new(client_id: Arc<str>) -> Self {
        Self {
            client_id,
            ..Self::default()
        }
    }

    /// Bytes that it takes in memory without its messages, roughly, for the limits. A filter
    /// counts twice: it is kept here and in the tree.
    pub(super) fn bytes(&self) -> usize {
        let will = self.will.as_ref().map_or(0, |will| will.message.bytes());
        SESSION
            + self.client_id.len()
            + will
            + self.subscriptions.len() * SUBSCRIPTION
            + self.subscription_bytes * 2
            + self.subscription_levels * LEVEL
    }

    /// The next packet identifier that no exchange uses ([MQTT-2.2.1-4]); `None` when all
    /// 65,535 are in use.
    pub(super) fn take_packet_id(&mut self) -> Option<PacketIdentifier> {
        let exchanges = &self.exchanges;
        let in_use = |id| exchanges.iter().any(|other| other.packet_id == id);
        self.packet_ids.take(in_use)
    }

    /// The exchange with `packet_id` that waits for `awaiting`, by its place.
    pub(super) fn awaits(&self, packet_id: PacketIdentifier, awaiting: Awaiting) -> Option<usize> {
        self.exchanges
            .iter()
            .position(|other| other.packet_id == packet_id && other.awaiting == awaiting)
    }

    /// The connection is gone: everything that was sent will be sent again.
    pub(super) fn rewind(&mut self) {
        for exchange in &mut self.exchanges {
            if exchange.sent {
                exchange.dup = true;
                exchange.sent = false;
            }
        }
    }
}
