//! Application messages on their way: each held until what became of it is known.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use super::Analyzer;
use super::brokers::BrokerId;
use super::caps;
use super::clauses as c;
use super::client::ClientKey;
use super::findings::Where;
use super::line::Line;
use super::link::name;
use super::names::Topic;
use super::outbox::Place;
use super::retained::StoredKey;
pub(super) use super::shelf::MessageKey;
use super::shelf::Shelf;
use super::wills::WillKey;
use crate::base::limits::{Limit, Limits};
use crate::base::{FrameStamp, Timestamp};
use crate::event::{
    Delivered, EndedBy, Handshake, HandshakeState, MessageDelivery, Outcome, Step, Undelivered,
    between,
};
use crate::mqtt::{PacketIdentifier, PacketType, ProtocolVersion, QoS};
use crate::stream::ConnectionId;

/// Whose leg a server's PUBLISH is, and its place among the legs.
#[derive(Clone, Copy, Debug)]
pub(super) enum LegRef {
    Message(MessageKey, usize),
    Stored(StoredKey, usize),
    Will(WillKey, usize),
}

/// How far a leg has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Progress {
    Waiting,
    /// Delivered above QoS 0 and not acknowledged.
    Open,
    Done,
}

/// A leg with what the analysis needs to know of it.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) leg: MessageDelivery,
    pub(super) client: ClientKey,
    pub(super) progress: Progress,
    /// Holes in what the server sent on the subscriber's connection, when it was published.
    pub(super) gaps: u32,
    /// The subscription was only asked for, or being given up: its silence means nothing.
    pub(super) tentative: bool,
    /// Members of one shared subscription have one number.
    pub(super) group: Option<u32>,
    /// Further copies that overlapping subscriptions may bring.
    pub(super) spare: u32,
    /// Every filter that takes the message asks for Retain As Published; some does.
    pub(super) as_published: (bool, bool),
    /// Subscription Identifiers that a copy should carry.
    pub(super) identifiers: Vec<u32>,
}

impl Route {
    /// What it counts for against [`Limits::deliveries`].
    pub(super) fn weight(&self) -> usize {
        1 + (self.leg.filters.len() + self.identifiers.len()) / 8
    }
}

/// What a message brought along for its subscribers, to be compared with the copies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Carried {
    /// Digest of the properties that a server hands on as they are; `None` before 5.0.
    pub(super) properties: Option<u64>,
    /// Message Expiry Interval, in seconds.
    pub(super) expiry: Option<u32>,
}

/// An application message that a client published.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) broker: BrokerId,
    pub(super) digest: u64,
    pub(super) place: Place,
    /// How the publisher's handshake ended, once it is over.
    pub(super) over: Option<Over>,
    /// That handshake, where handshakes are told.
    pub(super) record: Option<Box<Handshake>>,
    /// Where somebody is to be sent it.
    pub(super) topic: Option<Arc<str>>,
    pub(super) version: Option<ProtocolVersion>,
    pub(super) published: FrameStamp,
    pub(super) connection: ConnectionId,
    pub(super) client: Option<ClientKey>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) carried: Carried,
    /// Its number among all messages: the order of publication.
    pub(super) order: u64,
    pub(super) routes: Vec<Route>,
    pub(super) left_out: u32,
    /// Routes that are not done.
    pub(super) unsettled: u32,
    /// It is the stored message of its topic: late subscribers may still get it.
    pub(super) stored: bool,
    /// Its stored copies for late subscribers.
    pub(super) late: Vec<MessageDelivery>,
}

impl Held {
    /// Its legs, as counted against [`Limits::deliveries`]: what many subscriptions of one client
    /// take counts too.
    fn legs(&self) -> usize {
        self.routes.iter().map(Route::weight).sum()
    }
}

/// The end of a publisher's handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    state: HandshakeState,
    /// The publisher released its QoS 2 message with PUBREL.
    released: bool,
}

/// The messages that are held.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) held: Shelf,
    /// What each subscriber is expected to be sent, by digest, in order of publication.
    pub(super) expected: HashMap<(ClientKey, u64), Line<(MessageKey, usize)>>,
    pub(super) by_digest: HashMap<u64, Line<MessageKey>>,
    /// Room that the routes of settled messages have left.
    spare_routes: Vec<Vec<Route>>,
    /// In order of publication.
    line: VecDeque<MessageKey>,
    /// When the first in line is to be looked at again, unless it is settled before.
    due: Option<Timestamp>,
    /// Those that wait for a subscriber to come back.
    parked: VecDeque<MessageKey>,
    /// Those that the end of their stored message settles.
    kept: VecDeque<MessageKey>,
    /// The latest message that a client was sent unasked, by digest: the next one is later.
    pub(super) reached: HashMap<(ClientKey, u64), MessageKey>,
    pub(super) legs: usize,
    next: u64,
    /// Frames of settled messages that a client must not be sent (again), and why.
    settled: HashMap<(ClientKey, u64), (u64, Barred)>,
    settled_line: VecDeque<(ClientKey, u64)>,
    /// Whether [`Limits::settled`] made it forget one of a client's own messages, and one of
    /// QoS 2.
    forgotten: Forgotten,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Forgotten {
    own_message: bool,
    had_it: bool,
}

/// Why a settled message must not come to a client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Barred {
    /// The client published it, and asked for No Local.
    OwnMessage,
    /// It had it, at QoS 2.
    HadIt,
}

impl Messages {
    /// No messages yet, and as many as `limits` allow.
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn add(&mut self, held: Held) -> MessageKey {
        let order = self.next;
        self.next += 1;
        self.legs += held.legs();
        let digest = held.digest;
        let key = self.held.add(order, held);
        if let Some(held) = self.held.get(&key) {
            for (at, route) in held.routes.iter().enumerate() {
                if route.progress == Progress::Waiting {
                    let place = (route.client, digest);
                    self.expected.entry(place).or_default().push_back((key, at));
                }
            }
        }
        self.by_digest.entry(digest).or_default().push_back(key);
        self.line.push_back(key);
        key
    }

    /// Room for the routes of a message.
    pub(super) fn room_for_routes(&mut self, count: usize) -> Vec<Route> {
        let mut routes = self.spare_routes.pop().unwrap_or_default();
        // Most have one, and most are held for a while: no room for four.
        routes.reserve_exact(count);
        routes
    }

    /// Takes that room back.
    fn spare(&mut self, mut routes: Vec<Route>) {
        const KEPT: usize = 64;
        // More room than most need would lie idle for as long as the next message is held.
        const LARGEST: usize = 2;
        routes.clear();
        let room = routes.capacity();
        if room > 0 && room <= LARGEST && self.spare_routes.len() < KEPT {
            self.spare_routes.push(routes);
        }
    }

    /// Remembers what of a settled message must not come any more.
    fn remember(&mut self, digest: u64, frame: u64, routes: &[Route]) {
        for route in routes {
            let why = match &route.leg.outcome {
                Outcome::NotDelivered(Undelivered::NoLocal) => Barred::OwnMessage,
                Outcome::Delivered(delivered) if delivered.qos == QoS::ExactlyOnce => Barred::HadIt,
                _ => continue,
            };
            let place = (route.client, digest);
            if self.settled.insert(place, (frame, why)).is_none() {
                self.settled_line.push_back(place);
            }
            if self.settled_line.len() > self.limits.settled
                && let Some(oldest) = self.settled_line.pop_front()
            {
                match self.settled.remove(&oldest) {
                    Some((_, Barred::OwnMessage)) => self.forgotten.own_message = true,
                    Some((_, Barred::HadIt)) => self.forgotten.had_it = true,
                    None => {}
                }
            }
        }
    }

    /// Why a copy that nothing explains must not have come.
    pub(super) fn barred(&self, client: ClientKey, digest: u64) -> Option<(u64, Barred)> {
        self.settled.get(&(client, digest)).copied()
    }

    /// Whether what must not have come may have been forgotten: such a copy comes at QoS 2, or
    /// to its own publisher.
    pub(super) fn may_have_barred(&self, qos: QoS) -> bool {
        self.forgotten.own_message || (self.forgotten.had_it && qos == QoS::ExactlyOnce)
    }

    /// The number that the next message gets.
    pub(super) fn order(&self) -> u64 {
        self.next
    }

    /// Lets go of keys of messages that are settled, before they outnumber the others.
    fn prune(&mut self) {
        for line in [&mut self.parked, &mut self.kept] {
            if line.len() > 2 * self.limits.messages {
                line.retain(|key| self.held.contains_key(key));
            }
        }
    }

    /// Whether there is nothing to be given up at `now`.
    fn rests(&self, now: FrameStamp) -> bool {
        let waits = matches!((now.time, self.due), (Some(now), Some(due)) if now < due);
        waits && !self.over_caps()
    }

    fn over_caps(&self) -> bool {
        self.held.len() > self.limits.messages || self.legs > self.limits.deliveries
    }

    fn remove(&mut self, key: MessageKey) -> Option<Held> {
        let held = self.held.remove(&key)?;
        if self.line.front() == Some(&key) {
            self.due = None;
        }
        self.legs = self.legs.saturating_sub(held.legs());
        for route in &held.routes {
            let place = (route.client, held.digest);
            if let Some(line) = self.expected.get_mut(&place) {
                if line.front().is_some_and(|(other, _)| *other == key) {
                    line.pop_front();
                }
                if line.front().is_some_and(|(other, _)| *other <= key) {
                    line.retain(|(other, _)| *other != key);
                }
                if line.is_empty() {
                    self.expected.remove(&place);
                }
            }
        }
        if let Some(line) = self.by_digest.get_mut(&held.digest) {
            // The oldest goes first, nearly always.
            if line.front() == Some(&key) {
                line.pop_front();
            } else {
                line.retain(|other| *other != key);
            }
            if line.is_empty() {
                self.by_digest.remove(&held.digest);
            }
        }
        Some(held)
    }
}

/// A copy of a message on its way to a subscriber.
pub(super) struct Copy<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) stamp: FrameStamp,
    pub(super) connection: ConnectionId,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) dup: bool,
    pub(super) packet_id: Option<PacketIdentifier>,
    pub(super) identifiers: Vec<u32>,
    pub(super) carried: Carried,
    /// Where the steps of legs are wanted.
    pub(super) step: Option<&'a Step>,
}

impl Copy<'_> {
    /// The leg's outcome, at its first PUBLISH.
    pub(super) fn delivered(&self, published: Option<FrameStamp>, qos: QoS) -> Delivered {
        Delivered {
            stamp: self.stamp,
            latency: published.and_then(|published| between(&published, &self.stamp)),
            qos: self.qos,
            downgraded: self.qos < qos,
            retain: self.retain,
            stored: published.is_none(),
            redelivered: false,
            queued: false,
            packet_id: self.packet_id,
            state: self.packet_id.map(|_| HandshakeState::Incomplete {
                waiting_for: awaited(self.qos),
                ended_by: EndedBy::CaptureEnd,
            }),
            steps: self.step.cloned().into_iter().collect(),
        }
    }

    /// How far a leg with this copy has come.
    pub(super) fn progress(&self) -> Progress {
        if self.packet_id.is_some() {
            Progress::Open
        } else {
            Progress::Done
        }
    }
}

const fn awaited(qos: QoS) -> PacketType {
    match qos {
        QoS::ExactlyOnce => PacketType::PubRec,
        _ => PacketType::PubAck,
    }
}

/// Writes what a leg's handshake came to into the leg; its steps where it has the first.
pub(super) fn note_settled(leg: &mut MessageDelivery, record: &Handshake) {
    if let Outcome::Delivered(delivered) = &mut leg.outcome {
        // At QoS 0 nothing is awaited, so there is no state.
        delivered.state = delivered.packet_id.map(|_| record.state);
        delivered.redelivered = record.redelivered();
        if !delivered.steps.is_empty() {
            delivered.steps.clone_from(&record.steps);
        }
    }
}

impl Analyzer {
    /// A subscriber's handshake is over.
    pub(super) fn leg_settled(&mut self, leg: LegRef, record: &Handshake) {
        match leg {
            LegRef::Message(key, at) => {
                let Some(held) = self.messages.held.get_mut(&key) else {
                    return;
                };
                if let Some(route) = held.routes.get_mut(at) {
                    note_settled(&mut route.leg, record);
                    if route.progress == Progress::Open {
                        route.progress = Progress::Done;
                        held.unsettled = held.unsettled.saturating_sub(1);
                    }
                }
                self.try_settle(key);
            }
            LegRef::Stored(key, at) => self.retained.leg_settled(key, at, record),
            LegRef::Will(key, at) => self.wills.leg_settled(key, at, record),
        }
    }

    /// The publisher's handshake is over.
    pub(super) fn publisher_settled(&mut self, key: MessageKey, record: Box<Handshake>) {
        if !self.wanted.handshakes {
            self.publisher_done(key, record.state, released(&record));
            return self.outbox.spare(record);
        }
        match self.messages.held.get_mut(&key) {
            Some(held) => {
                let (state, released) = (record.state, released(&record));
                held.record = Some(record);
                self.publisher_done(key, state, released);
            }
            // It was given up at the cap, with its place.
            None => self.outbox.now(super::outbox::Told::Handshake(record)),
        }
    }

    /// [`Self::publisher_settled`] where the handshake is not told.
    pub(super) fn publisher_done(
        &mut self,
        key: MessageKey,
        state: HandshakeState,
        released: bool,
    ) {
        if let Some(held) = self.messages.held.get_mut(&key) {
            held.over = Some(Over { state, released });
            self.try_settle(key);
        }
    }

    /// Tells a message once nothing more can become of it.
    pub(super) fn try_settle(&mut self, key: MessageKey) {
        let Some(held) = self.messages.held.get(&key) else {
            return;
        };
        if held.over.is_none() || held.unsettled > 0 || held.stored {
            return;
        }
        // A copy may come that no visible subscription announces, or a further one for an
        // overlapping subscription.
        let more = held.routes.iter().any(|route| route.spare > 0)
            || self
                .brokers
                .get(held.broker)
                .is_some_and(|broker| broker.blind > 0 || broker.surprises);
        let young = match between(&held.published, &self.now) {
            Some(age) => age < caps::LINGER,
            None => false,
        };
        if more && young {
            // The clock may have gone back to where it lingers still.
            if self.messages.line.front() == Some(&key) {
                self.messages.due = None;
            }
            return;
        }
        self.tell_message(key);
    }

    /// Gives up waiting where waiting has no more use, and at the caps.
    pub(super) fn sweep(&mut self) {
        // This is asked with every packet.
        if self.messages.rests(self.now) {
            return;
        }
        self.messages.due = None;
        while let Some(key) = self.messages.line.front().copied() {
            let Some(held) = self.messages.held.get(&key) else {
                self.messages.line.pop_front();
                continue;
            };
            let Some(age) = between(&held.published, &self.now) else {
                break;
            };
            if held.stored {
                // Its stored message will settle it.
                self.messages.line.pop_front();
                self.messages.kept.push_back(key);
                self.messages.prune();
                continue;
            }
            let lingers = held.over.is_some() && held.unsettled == 0;
            if lingers && age >= caps::LINGER {
                self.messages.line.pop_front();
                self.tell_message(key);
            } else if age >= caps::PATIENCE {
                self.messages.line.pop_front();
                if held.over.is_none() || self.waits_for_the_absent(held) {
                    self.messages.parked.push_back(key);
                    self.messages.prune();
                } else {
                    self.tell_message(key);
                }
            } else {
                // One that is settled later than it lingers is told then.
                let rest = match age < caps::LINGER {
                    true => caps::LINGER,
                    false => caps::PATIENCE,
                };
                self.messages.due = held.published.time.map(|time| time.plus(rest));
                break;
            }
        }
        while self.messages.over_caps() {
            let oldest = self
                .messages
                .parked
                .pop_front()
                .or_else(|| self.messages.line.pop_front())
                .or_else(|| self.messages.kept.pop_front())
                .or_else(|| self.messages.held.keys().min());
            let Some(key) = oldest else {
                break;
            };
            // It may have been the first of the line.
            self.messages.due = None;
            // What only lingered is complete; giving it up loses nothing that is known.
            let complete = self
                .messages
                .held
                .get(&key)
                .is_none_or(|held| held.over.is_some() && held.unsettled == 0);
            if !complete {
                let stamp = self.now;
                self.findings
                    .limit_reached(&mut self.outbox, Limit::Messages, stamp);
            }
            self.tell_message(key);
        }
    }

    /// Whether some subscriber's session waits for its client, so that the copy may come
    /// much later.
    fn waits_for_the_absent(&self, held: &Held) -> bool {
        held.routes.iter().any(|route| {
            route.progress != Progress::Done
                && self
                    .clients
                    .get(route.client)
                    .is_some_and(|client| client.link.is_none() && !client.expired(self.now))
        })
    }

    /// Tells a message as it stands and forgets it.
    pub(super) fn tell_message(&mut self, key: MessageKey) {
        let Some(mut held) = self.messages.remove(key) else {
            return;
        };
        let mut routes = std::mem::take(&mut held.routes);
        if self.findings.wanted {
            self.messages
                .remember(held.digest, held.published.number, &routes);
        }
        let record = held.record.take();
        let mut legs = match routes.is_empty() || record.is_none() {
            true => Vec::new(),
            false => self.outbox.room_for_legs(),
        };
        for mut route in routes.drain(..) {
            if route.progress == Progress::Waiting {
                if route.tentative {
                    continue;
                }
                let why = self.why_undelivered(&held, &route);
                route.leg.outcome = Outcome::NotDelivered(why);
                if self.findings.wanted {
                    self.judge_undelivered(&held, &route, why);
                }
            }
            if record.is_some() {
                legs.push(route.leg);
            }
        }
        self.messages.spare(routes);
        let Some(mut record) = record else {
            // Its handshake still goes on, without its deliveries, and is told where it ends;
            // or none is told.
            self.outbox.skip(held.place);
            return;
        };
        legs.sort_by_key(|leg| match &leg.outcome {
            Outcome::Delivered(delivered) => (delivered.stamp.number, 0),
            Outcome::NotDelivered(_) => (u64::MAX, leg.connection.map_or(u32::MAX, |id| id.0)),
        });
        legs.append(&mut held.late);
        record.deliveries = legs;
        record.deliveries_left_out = held.left_out.into();
        self.tell_handshake(held.place, record);
    }

    fn why_undelivered(&self, held: &Held, route: &Route) -> Undelivered {
        if let Some(over) = held.over {
            match over.state {
                HandshakeState::Refused { code, .. } => return Undelivered::Refused(code),
                HandshakeState::Incomplete { .. } | HandshakeState::Complete
                    if held.qos == QoS::ExactlyOnce && !over.released =>
                {
                    return Undelivered::NotReleased;
                }
                _ => {}
            }
        }
        let link = self
            .clients
            .get(route.client)
            .and_then(|client| client.link);
        let expired = held.carried.expiry.is_some_and(|expiry| {
            between(&held.published, &self.now)
                .is_some_and(|waited| waited.nanos() > i64::from(expiry) * 1_000_000_000)
        });
        if route.leg.connection.is_none() {
            // Its session had no connection when the message was published.
            if expired {
                return Undelivered::Expired;
            }
            if held.qos == QoS::AtMostOnce || route.leg.granted == Some(QoS::AtMostOnce) {
                return Undelivered::AwayAtQoS0;
            }
        }
        let ended = |connection| match self.ended_with_gaps.get(&connection) {
            Some(gaps) if *gaps != route.gaps => Undelivered::Gap,
            _ => Undelivered::ConnectionEnded,
        };
        let Some(link) = link else {
            return match route.leg.connection {
                None if self.clients.get(route.client).is_some() => Undelivered::Away,
                None => Undelivered::ConnectionEnded,
                Some(before) => ended(before),
            };
        };
        if let Some(before) = route.leg.connection
            && before != link
        {
            return ended(before);
        }
        let gaps = self.links.get(link).map_or(0, |link| {
            let [_, server] = link.gaps();
            server
        });
        if gaps != route.gaps {
            return Undelivered::Gap;
        }
        match between(&held.published, &self.now) {
            Some(waited) if waited >= caps::LAST_MOMENT => Undelivered::Unknown,
            _ => Undelivered::CaptureEnded,
        }
    }

    fn judge_undelivered(&mut self, held: &Held, route: &Route, why: Undelivered) {
        let clause = match why {
            Undelivered::Expired => &c::MESSAGE_EXPIRED,
            // QoS 0 may be lost, and a shared message goes to another member.
            Undelivered::Unknown
                if held.qos > QoS::AtMostOnce
                    && route
                        .leg
                        .granted
                        .is_some_and(|granted| granted > QoS::AtMostOnce)
                    && route.group.is_none() =>
            {
                &c::MESSAGE_LOST
            }
            _ => return,
        };
        if held.over.is_none() {
            return;
        }
        let at = Where {
            stamp: held.published,
            connection: Some(held.connection),
            client_id: held.client_id.clone(),
            version: held.version,
            citing: None,
        };
        let subscriber = name(route.leg.client_id.as_deref());
        let topic = held.topic.as_deref().unwrap_or_default();
        self.findings.tell(&mut self.outbox, clause, at, || {
            if why == Undelivered::Expired {
                format!(
                    "The message to {topic} expired while {subscriber} was away: it is never delivered there."
                )
            } else {
                format!(
                    "The message to {topic} was accepted by the server and never sent to {subscriber}, which has a subscription that takes it."
                )
            }
        });
    }
}

/// Whether the publisher released a QoS 2 message with PUBREL.
fn released(record: &Handshake) -> bool {
    record
        .steps
        .iter()
        .any(|step| matches!(step.packet_type, PacketType::PubRel | PacketType::PubComp))
}
