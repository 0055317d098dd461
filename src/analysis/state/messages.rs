//! The table of application messages on their way: each held until what became of it is known.
//!
//! A copy is found by the digest of topic and payload: a server gives each subscriber a packet
//! identifier of its own, so nothing else in the packet leads back to the publisher. Equal messages
//! that are on their way at the same time are ambiguous, and nothing is concluded from such a pair.
//!
//! ```text
//! add -> line -> (settled)            closed at once, or when it has lingered
//!             -> parked               a subscriber is away: closed when its session ends
//!             -> kept                 it is the stored message of its topic: closed with that
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::RangeInclusive;

use foldhash::{HashMap, HashSet};

use super::super::caps;
use super::super::keys::{MessageKey, SessionKey};
use super::message::{Carried, Copy, Held, Over, Progress, Route, Routes, fit};
use super::repeats::Repeats;
use super::sessions::Sessions;
use crate::base::limits::Limits;
use crate::base::{FrameStamp, Span, Timestamp};
use crate::event::{HandshakeState, Outcome, Undelivered, between};
use crate::mqtt::QoS;
use crate::stream::ConnectionId;

/// The messages that are held, and what is remembered of those that were.
#[derive(Debug, Default)]
pub(crate) struct Messages {
    held: HashMap<MessageKey, Held>,
    /// The deliveries that each subscriber waits for, by digest, in order of publication.
    expected: HashMap<(SessionKey, u64), Line>,
    /// Routes at QoS 0 to sessions that were away, by session: message and number.
    missed: BTreeSet<(SessionKey, MessageKey, usize)>,
    by_digest: HashMap<u64, BTreeSet<MessageKey>>,
    repeats: Repeats,
    /// In order of publication.
    line: VecDeque<MessageKey>,
    /// When the first in line is to be looked at again, unless it is settled before.
    due: Option<Timestamp>,
    /// Those that wait for a subscriber to come back.
    parked: VecDeque<MessageKey>,
    /// Those that the end of their stored message settles.
    kept: VecDeque<MessageKey>,
    /// How far each client has come that is sent messages unasked, by digest: the next one is later.
    reached: HashMap<(SessionKey, u64), Reached>,
    /// Weight of all routes, see [`Route::weight`].
    deliveries: usize,
    next: u64,
    /// Messages that came into force.
    in_force: u64,
    /// Frames of settled messages that a client must not be sent (again), and why.
    settled: HashMap<(SessionKey, u64), Settled>,
    settled_line: VecDeque<(SessionKey, u64)>,
    /// The kinds of which [`Limits::settled`] made it forget one.
    forgot: HashSet<Barred>,
}

/// Why a settled message must not come to a client.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) enum Barred {
    /// The client published it, and asked for No Local.
    OwnMessage,
    /// The client received it, at QoS 2.
    Received,
    /// Another member of the client's shared subscription received it.
    OtherMember,
    /// Another member did, unless the copy came for that client's own subscription.
    PerhapsOtherMember,
    /// The client received it, or an equal one.
    Ambiguous,
    /// The client was sent it in the frame that goes with this, and has not acknowledged that.
    Unacknowledged,
}

/// A settled message that must not come to a client.
#[derive(Clone, Copy, Debug)]
struct Settled {
    /// The frame of its PUBLISH.
    published: FrameStamp,
    /// Its properties.
    carried: Carried,
    /// Why it must not come.
    why: Barred,
}

/// The broker of the message that a copy may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum PublishedAt {
    /// That which sent the copy.
    ThisBroker,
    /// Another one, from which the message came by a bridge, or the same by another address.
    AnotherBroker,
}

/// A delivery that a copy was found to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    /// The message.
    pub(crate) key: MessageKey,
    /// The number of the route.
    pub(crate) at: usize,
    /// An equal message was on its way at the same time.
    pub(crate) ambiguous: bool,
}

/// How far a client has come that is sent equal messages unasked.
#[derive(Clone, Copy, Debug)]
struct Reached {
    /// The latest message.
    key: MessageKey,
    /// The last of those that another one may have been taken for.
    group: Option<MessageKey>,
}

/// The place of a delivery in the line of those that a subscriber waits for: that of its message in the
/// order in which they came into force, and its route.
type Place = (u64, usize);

/// The equal messages that a subscriber waits for.
#[derive(Debug, Default)]
struct Line {
    waiting: BTreeMap<Place, MessageKey>,
    /// Those up to this place in order are ambiguous: a copy came while there were more of them than
    /// are looked at.
    unclear: u64,
}

impl Messages {
    /// Adds a message, whose subscribers wait for it from now on, or once it is in force.
    pub(crate) fn add(&mut self, mut held: Held) -> MessageKey {
        let key = MessageKey(self.next);
        self.next += 1;
        held.key = key;
        if held.pending.is_none() {
            self.expect(&mut held);
        }
        self.deliveries += held.weight();
        self.repeats.note(held.digest);
        self.by_digest.entry(held.digest).or_default().insert(key);
        self.line.push_back(key);
        self.held.insert(key, held);
        key
    }

    /// Puts a message in force that was not: its subscribers wait for it on these routes.
    pub(crate) fn put_in_force(&mut self, key: MessageKey, routes: Routes) {
        let Some(mut held) = self.held.remove(&key) else {
            return;
        };
        self.deliveries = self.deliveries.saturating_sub(held.weight());
        held.pending = None;
        held.routes = routes.all;
        held.former = routes.former;
        held.left_out = routes.left_out;
        held.unsettled = routes.unsettled;
        self.expect(&mut held);
        self.deliveries += held.weight();
        self.held.insert(key, held);
    }

    /// Lets the subscribers of a message wait for it.
    fn expect(&mut self, held: &mut Held) {
        self.in_force += 1;
        held.order = self.in_force;
        for (at, route) in held.routes.iter().enumerate() {
            if route.progress == Progress::Waiting {
                let place = (route.session, held.digest);
                let line = self.expected.entry(place).or_default();
                line.waiting.insert((held.order, at), held.key);
            } else if route.is_missed() {
                self.missed.insert((route.session, held.key, at));
            }
        }
    }

    /// Notes that a client comes back with a CONNECT: its server may have read that before messages
    /// of a moment ago, where no copy shows that it had read those.
    pub(crate) fn comes_back(&mut self, session: SessionKey, connect: FrameStamp) {
        let missed = self.missed.range(of_session(session)).rev();
        for (_, key, at) in missed.take(caps::CANDIDATES) {
            let Some(held) = self.held.get_mut(key) else {
                continue;
            };
            if between(&held.in_force, &connect).is_none_or(|age| age >= caps::IN_TRANSIT) {
                return;
            }
            if !held.is_delivered()
                && let Some(route) = held.routes.get_mut(*at)
            {
                route.delivery.outcome = Outcome::NotDelivered(Undelivered::Unknown);
            }
        }
    }

    /// Returns the latest message that a client seemed to miss and that a copy is of: the server had
    /// read its PUBLISH before the end of the connection, or after the next CONNECT. `accepted` is
    /// the CONNACK of the copy's connection.
    pub(crate) fn find_missed(
        &self,
        session: SessionKey,
        accepted: FrameStamp,
        copy: &Copy<'_>,
    ) -> Option<(MessageKey, usize)> {
        if copy.qos > QoS::AtMostOnce {
            return None;
        }
        let latest = self.missed.range(of_session(session)).rev();
        let mut latest = latest
            .take(caps::CANDIDATES)
            .map(|(_, key, at)| (*key, *at));
        latest.find(|(key, at)| {
            let held = self.held.get(key).filter(|held| held.digest == copy.digest);
            held.is_some_and(|held| {
                let route = held.routes.get(*at);
                let back = route.is_some_and(|route| {
                    route.delivery.outcome == Outcome::NotDelivered(Undelivered::Unknown)
                });
                back || accepted.number < held.in_force.number
            })
        })
    }

    /// Lets a subscriber wait for a message that it seemed to miss.
    pub(crate) fn await_missed(&mut self, session: SessionKey, (key, at): (MessageKey, usize)) {
        self.missed.remove(&(session, key, at));
        if let Some(held) = self.held.get_mut(&key)
            && let Some(route) = held.routes.get_mut(at)
        {
            route.progress = Progress::Waiting;
            held.unsettled += 1;
        }
    }

    /// Returns a message that is still held.
    pub(crate) fn get(&self, key: MessageKey) -> Option<&Held> {
        self.held.get(&key)
    }

    /// Returns a message that is still held, to be changed.
    pub(crate) fn get_mut(&mut self, key: MessageKey) -> Option<&mut Held> {
        self.held.get_mut(&key)
    }

    /// Returns the keys of all messages, in order of publication.
    pub(crate) fn keys(&self) -> Vec<MessageKey> {
        let mut keys: Vec<_> = self.held.keys().copied().collect();
        keys.sort_unstable();
        keys
    }

    /// Adds a route for a copy that was not expected; returns its number.
    pub(crate) fn add_route(&mut self, key: MessageKey, route: Route) -> Option<usize> {
        let weight = route.weight();
        let held = self.get_mut(key)?;
        held.routes.push(route);
        let at = held.routes.len() - 1;
        self.deliveries += weight;
        Some(at)
    }

    /// Returns whether at most one message of a digest is held.
    pub(crate) fn is_sole(&self, digest: u64) -> bool {
        self.by_digest
            .get(&digest)
            .is_none_or(|line| line.len() == 1)
    }

    /// Returns whether a message of a digest was published before.
    pub(crate) fn has_come(&self, digest: u64) -> bool {
        self.repeats.has_come(digest)
    }

    /// Notes a copy of a message that was not seen.
    pub(crate) fn note_unseen(&mut self, digest: u64) {
        self.repeats.note_unseen(digest);
    }

    /// Returns whether several messages of a digest were published, or may have been.
    pub(crate) fn is_repeated(&self, digest: u64) -> bool {
        self.repeats.is_repeated(digest)
    }

    /// Returns whether a message of a digest is held.
    pub(crate) fn holds(&self, digest: u64) -> bool {
        self.by_digest.contains_key(&digest)
    }

    /// Returns the connections that published messages of a digest which are not in force yet.
    pub(crate) fn pending(&self, digest: u64) -> impl Iterator<Item = ConnectionId> {
        let line = self.by_digest.get(&digest).into_iter().flatten();
        let held = line.take(caps::CANDIDATES).filter_map(|key| self.get(*key));
        let pending = held.filter(|held| held.pending.is_some());
        pending.map(|held| held.connection)
    }

    /// Notes that the copies of the latest message of a digest may be of another one.
    pub(crate) fn note_doubted(&mut self, digest: u64) {
        let key = self.by_digest.get(&digest).and_then(|line| line.last());
        if let Some(held) = key.and_then(|key| self.held.get_mut(key)) {
            held.doubted = true;
        }
    }

    /// Notes that the copy of the latest message of a digest for a subscriber may have gone before
    /// it: nothing is concluded where none comes, and one that does is of it all the same.
    pub(crate) fn note_gone_before(&mut self, digest: u64, session: SessionKey) {
        let key = self.by_digest.get(&digest).and_then(|line| line.last());
        let Some(held) = key.and_then(|key| self.held.get_mut(key)) else {
            return;
        };
        let mut routes = held.routes.iter_mut();
        if let Some(route) = routes.find(|route| route.session == session)
            && route.progress == Progress::Waiting
        {
            route.progress = Progress::Done;
            route.spare += 1;
            route.delivery.ambiguous = true;
            held.unsettled = held.unsettled.saturating_sub(1);
        }
    }

    /// Returns the equal messages that a subscriber waits for, or may get a further copy of, each with
    /// its route.
    pub(crate) fn expected(
        &self,
        session: Option<SessionKey>,
        digest: u64,
    ) -> impl Iterator<Item = (&Held, &Route)> {
        let line = session.and_then(|session| self.expected.get(&(session, digest)));
        let line = line.into_iter().flat_map(|line| &line.waiting);
        line.take(caps::CANDIDATES).filter_map(|((_, at), key)| {
            let held = self.get(*key)?;
            Some((held, held.routes.get(*at)?))
        })
    }

    /// Takes the expected delivery that a copy is: of those that wait the one that fits best, of
    /// equals the earliest; else a further copy for overlapping subscriptions. Equals are
    /// ambiguous until the last of them is taken, since any of them may have been lost.
    pub(crate) fn take_expected(&mut self, session: SessionKey, copy: &Copy<'_>) -> Option<Found> {
        let Line {
            waiting: line,
            unclear,
        } = self.expected.get_mut(&(session, copy.digest))?;
        let held = &self.held;
        let of = |one: &(&Place, &MessageKey)| {
            let ((_, at), key) = *one;
            let held = held.get(key)?;
            Some((held, held.routes.get(*at)?))
        };
        let waits = |route: &Route| route.progress == Progress::Waiting;
        // The copies for overlapping subscriptions come together.
        let recent = |route: &Route| match &route.delivery.outcome {
            Outcome::Delivered(first) => {
                let since = between(&first.stamp, &copy.stamp);
                since.is_none_or(|since| since < caps::LINGER)
            }
            Outcome::NotDelivered(_) => true,
        };
        let further = |route: &Route| route.spare > 0 && recent(route);
        // Of those that wait the first that fits best, and whether another message fits as well.
        let mut best: Option<(Place, MessageKey, u32)> = None;
        let mut equal = false;
        // The last that further copies may be of, and the last of another message than that.
        let (mut last, mut other): (Option<(Place, MessageKey)>, Option<MessageKey>) = (None, None);
        for (place, key) in line.iter().take(caps::CANDIDATES) {
            let Some((held, route)) = of(&(place, key)) else {
                continue;
            };
            if waits(route) {
                let fit = fit(held, route, copy);
                match best {
                    Some((_, first, most)) if fit == most => equal |= first != *key,
                    Some((_, _, most)) if fit < most => {}
                    _ => (best, equal) = (Some((*place, *key, fit)), false),
                }
            }
            if further(route) {
                other = last
                    .map(|(_, key)| key)
                    .filter(|last| last != key)
                    .or(other);
                last = Some((*place, *key));
            }
        }
        let (place, key) = match best {
            Some((place, key, _)) => (place, key),
            // Such a copy follows the first one of its message.
            None => last?,
        };
        // Beyond those that are looked at there may be more.
        let several = best.is_some() && (equal || line.len() > caps::CANDIDATES);
        let group: Vec<(Place, MessageKey)> = match best {
            Some((_, _, most)) if several => (line.iter().take(caps::CANDIDATES))
                .filter(|one| {
                    let found = of(one);
                    found
                        .is_some_and(|(held, route)| waits(route) && fit(held, route, copy) == most)
                })
                .map(|(place, key)| (*place, *key))
                .collect(),
            _ => Vec::new(),
        };
        if several
            && line.len() > caps::CANDIDATES
            && let Some(((last, _), _)) = line.last_key_value()
        {
            *unclear = *last;
        }
        // It may be a further copy of another message.
        let extra = other.is_some() || last.is_some_and(|(_, last)| last != key);
        let (_, route) = of(&(&place, &key))?;
        let ambiguous = several || extra || place.0 <= *unclear || route.delivery.ambiguous;
        let stays = further(route);
        // So many at the front that nothing waits for any more.
        let front = line.iter().take_while(|(other, _)| **other < place);
        let stale = front
            .take_while(|one| of(one).is_none_or(|(_, route)| !waits(route) && !further(route)));
        let mut over: Vec<Place> = stale.map(|(place, _)| *place).collect();
        if !stays {
            over.push(place);
        }
        for place in over {
            line.remove(&place);
        }
        for ((_, at), key) in group {
            let held = self.held.get_mut(&key);
            if let Some(route) = held.and_then(|held| held.routes.get_mut(at)) {
                route.delivery.ambiguous = true;
            }
        }
        let (_, at) = place;
        Some(Found { key, at, ambiguous })
    }

    /// Finds the message that a copy without an expected delivery may be, where one is not
    /// longer ago than such a copy takes: of the broker that sent the copy, or of another one.
    pub(crate) fn find_unexpected(
        &mut self,
        session: SessionKey,
        copy: &Copy<'_>,
        at: PublishedAt,
        limits: &Limits,
    ) -> Option<(MessageKey, bool)> {
        let (digest, stamp) = (copy.digest, copy.stamp);
        let line = self.by_digest.get(&digest)?;
        let reached = self.reached.get(&(session, digest));
        let first = reached.map_or(Unbounded, |reached| Excluded(reached.key));
        let here = at == PublishedAt::ThisBroker;
        let mut candidates = line
            .range((first, Unbounded))
            .take(caps::CANDIDATES)
            .filter(|key| {
                self.held.get(*key).is_some_and(|held| {
                    // A stored message is held for its late copies, not for this.
                    let most = match held.stored || !here {
                        true => caps::LINGER,
                        false => caps::PATIENCE,
                    };
                    let age = between(&held.published, &stamp);
                    let may = match held.pending {
                        // Where it is not in force, its server may act at once.
                        Some(_) => here && held.over.is_none_or(Over::may_be_released),
                        None => held.routes.iter().all(|route| route.session != session),
                    };
                    let there = held.broker == copy.topic.broker;
                    there == here && may && age.is_none_or(|age| age < most)
                })
            });
        let key = *candidates.next()?;
        let last = candidates.last().copied();
        // Equal ones are ambiguous until the last of them is taken.
        let group = last.max(reached.and_then(|reached| reached.group));
        let doubted = self.settled.get(&(session, digest));
        let doubted = doubted.is_some_and(|one| {
            let age = between(&one.published, &stamp);
            one.why == Barred::Ambiguous && age.is_none_or(|age| age < caps::LINGER)
        });
        // Of one that comes again and again the next may stand behind its copy.
        let late = self.held.get(&key).is_some_and(|held| {
            let age = between(&held.in_force, &stamp);
            age.is_none_or(|age| age >= caps::IN_TRANSIT) && self.is_repeated(digest)
        });
        let ambiguous = group >= Some(key) || doubted || late;
        if self.reached.len() >= limits.ordered {
            self.reached.clear();
        }
        let here = Reached { key, group };
        self.reached.insert((session, digest), here);
        Some((key, ambiguous))
    }

    /// Remembers what of a settled message must not come any more.
    pub(crate) fn remember(&mut self, held: &Held, limits: &Limits) {
        for route in &held.routes {
            let why = match &route.delivery.outcome {
                Outcome::NotDelivered(Undelivered::NoLocal { .. }) => Barred::OwnMessage,
                Outcome::Delivered(delivered)
                    if delivered.qos == QoS::ExactlyOnce && !route.delivery.ambiguous =>
                {
                    Barred::Received
                }
                Outcome::NotDelivered(Undelivered::OtherOfGroup { .. }) => {
                    match given(held, route) {
                        Some(given) if given.beside => Barred::PerhapsOtherMember,
                        Some(given) if acknowledged(given) => Barred::OtherMember,
                        Some(_) => continue,
                        None => Barred::PerhapsOtherMember,
                    }
                }
                Outcome::Delivered(_) if route.delivery.ambiguous => Barred::Ambiguous,
                _ => continue,
            };
            let place = (route.session, held.digest);
            let settled = Settled {
                published: held.published,
                carried: held.carried,
                why,
            };
            if self.settled.insert(place, settled).is_none() {
                self.settled_line.push_back(place);
            }
            if self.settled_line.len() > limits.settled
                && let Some(oldest) = self.settled_line.pop_front()
            {
                let forgotten = self.settled.remove(&oldest);
                self.forgot.extend(forgotten.map(|one| one.why));
            }
        }
    }

    /// Returns the frame of an equal message of a moment ago that must not come to a client again,
    /// and why. `lives` knows which connections still stand.
    pub(crate) fn barred(
        &self,
        session: SessionKey,
        copy: &Copy<'_>,
        lives: impl Fn(ConnectionId) -> bool,
    ) -> Option<(FrameStamp, Barred)> {
        let recent = |stamp: &FrameStamp| {
            let age = between(stamp, &copy.stamp);
            age.is_some_and(|age| age < caps::LINGER)
        };
        let line = self.by_digest.get(&copy.digest).into_iter().flatten();
        let latest = line.rev().take(caps::CANDIDATES);
        let mut held = latest
            .filter_map(|key| self.held.get(key))
            // Another client's has other properties.
            .filter(|held| recent(&held.published) && !held.carried.differs(copy.carried));
        held.find_map(|held| {
            let mut routes = held.routes.iter().filter(|route| route.session == session);
            routes.find_map(|route| match &route.delivery.outcome {
                Outcome::NotDelivered(Undelivered::OtherOfGroup { .. }) => {
                    let given = given(held, route)?;
                    // A message that a lost member did not acknowledge may go to another.
                    let sure = acknowledged(given) || given.delivery.connection.is_some_and(&lives);
                    let sure = sure && !given.beside;
                    sure.then_some((held.published, Barred::OtherMember))
                }
                Outcome::Delivered(delivered)
                    if route.progress == Progress::Open
                        && route.spare == 0
                        && delivered.qos == copy.qos
                        && !route.delivery.ambiguous =>
                {
                    Some((delivered.stamp, Barred::Unacknowledged))
                }
                _ => None,
            })
        })
        .or_else(|| {
            let settled = self.settled.get(&(session, copy.digest));
            let may = |one: &&Settled| recent(&one.published) && !one.carried.differs(copy.carried);
            settled.filter(may).map(|one| (one.published, one.why))
        })
    }

    /// Returns whether a copy that was taken for the message `key` may be of an equal one: of one that
    /// was on its way when the client subscribed, of its own, or of one that another member of its
    /// group seems to have received.
    pub(crate) fn has_rival(&self, session: SessionKey, key: MessageKey, copy: &Copy<'_>) -> bool {
        let since = |stamp: &FrameStamp, most: Span| {
            let age = between(stamp, &copy.stamp);
            age.is_none_or(|age| age < most)
        };
        let own = |held: &Held| {
            let mut routes = held.routes.iter();
            routes
                .find(|route| route.session == session)
                .is_some_and(|route| {
                    let delivered = route.delivery.is_delivered();
                    delivered && route.spare > 0
                })
        };
        let further = self.get(key).is_some_and(own);
        let settled = self.settled.get(&(session, copy.digest));
        if settled.is_some_and(|one| match one.why {
            Barred::OwnMessage => further && since(&one.published, caps::LINGER),
            Barred::PerhapsOtherMember => since(&one.published, caps::PATIENCE),
            _ => false,
        }) {
            return true;
        }
        let line = self.by_digest.get(&copy.digest).into_iter().flatten();
        let mut others = line
            .rev()
            .take(caps::CANDIDATES)
            .filter(|other| **other != key);
        others.any(|other| {
            let Some(held) = self
                .get(*other)
                .filter(|held| held.pending.is_none() && held.broker == copy.topic.broker)
            else {
                return false;
            };
            let mut ways = held
                .routes
                .iter()
                .filter(|route| route.session == session)
                .peekable();
            if ways.peek().is_none() {
                // It may be forwarded by a subscription that came after its PUBLISH.
                let late = held.over.is_none() || since(&held.over_at, caps::IN_TRANSIT);
                return late && since(&held.published, caps::LINGER);
            }
            ways.any(|route| match route.delivery.outcome {
                Outcome::NotDelivered(Undelivered::NoLocal { .. }) => {
                    further && since(&held.published, caps::LINGER)
                }
                Outcome::NotDelivered(Undelivered::OtherOfGroup { .. }) => {
                    given(held, route).is_none_or(|given| given.beside)
                }
                _ => false,
            })
        })
    }

    /// Returns whether a copy to a client may be of a message of a moment ago that is not to come
    /// there, such as its own with No Local.
    pub(crate) fn may_be_another(&self, session: Option<SessionKey>, copy: &Copy<'_>) -> bool {
        let recent = |stamp: &FrameStamp| {
            let age = between(stamp, &copy.stamp);
            age.is_none_or(|age| age < caps::LINGER)
        };
        let line = self.by_digest.get(&copy.digest).into_iter().flatten();
        let mut latest = line.rev().take(caps::CANDIDATES);
        latest.any(|key| self.get(*key).is_some_and(|held| recent(&held.published)))
            || session
                .and_then(|session| self.settled.get(&(session, copy.digest)))
                .is_some_and(|settled| recent(&settled.published))
    }

    /// Returns the only route on which a client waits for a message of a moment ago, which must come,
    /// that is like a copy in all but its payload.
    pub(crate) fn find_unlike(
        &mut self,
        session: SessionKey,
        copy: &Copy<'_>,
    ) -> Option<&mut Route> {
        let latest = self.line.iter().rev().take(caps::CANDIDATES);
        let mut like = latest.filter_map(|key| {
            let held = self.held.get(key)?;
            let age = between(&held.published, &copy.stamp)?;
            let same_topic =
                held.broker == copy.topic.broker && held.topic.as_deref() == Some(copy.topic.name);
            if !same_topic || age >= caps::SLOW || copy.qos == QoS::AtMostOnce {
                return None;
            }
            let at = held.routes.iter().position(|route| {
                route.session == session
                    && route.progress == Progress::Waiting
                    && !route.tentative
                    && route.instead.is_none()
                    && route.delivery.granted.map(|granted| granted.min(held.qos)) == Some(copy.qos)
            })?;
            Some((*key, at))
        });
        let (key, at) = like.next()?;
        if like.next().is_some() {
            return None;
        }
        self.get_mut(key)?.routes.get_mut(at)
    }

    /// Returns whether what must not have come may have been forgotten: such a copy comes at
    /// QoS 2, or to its own publisher.
    pub(crate) fn may_have_barred(&self, qos: QoS) -> bool {
        self.forgot.contains(&Barred::OwnMessage)
            || (self.forgot.contains(&Barred::Received) && qos == QoS::ExactlyOnce)
    }

    /// Looks at a message again with the next packet, where it is the first in line.
    pub(crate) fn look_again(&mut self, key: MessageKey) {
        if self.line.front() == Some(&key) {
            self.due = None;
        }
    }

    /// Returns a message that is not to be waited for any longer at `now`, out of the line.
    pub(crate) fn next_overdue(
        &mut self,
        now: FrameStamp,
        sessions: &Sessions,
        limits: &Limits,
    ) -> Option<MessageKey> {
        // This is asked with every packet.
        if matches!((now.time, self.due), (Some(now), Some(due)) if now < due) {
            return None;
        }
        self.due = None;
        while let Some(key) = self.line.front().copied() {
            let Some(held) = self.held.get(&key) else {
                self.line.pop_front();
                continue;
            };
            let age = between(&held.published, &now)?;
            let lingers = held.over.is_some() && held.unsettled == 0;
            if held.stored {
                // Its stored message will settle it.
                self.line.pop_front();
                self.kept.push_back(key);
            } else if lingers && age >= caps::LINGER {
                self.line.pop_front();
                return Some(key);
            } else if age < caps::PATIENCE {
                // One that is settled later than it lingers is closed then.
                let rest = match age < caps::LINGER {
                    true => caps::LINGER,
                    false => caps::PATIENCE,
                };
                self.due = held.published.time.map(|time| time.plus(rest));
                return None;
            } else if held.over.is_none() || waits_for_the_absent(held, sessions, now) {
                self.line.pop_front();
                self.parked.push_back(key);
            } else {
                self.line.pop_front();
                return Some(key);
            }
            self.prune(limits);
        }
        None
    }

    /// Returns the message to give up where more are held than the limits allow, out of its
    /// line, and whether nothing that is known of it is lost.
    pub(crate) fn next_over_limit(&mut self, limits: &Limits) -> Option<(MessageKey, bool)> {
        if self.held.len() <= limits.messages && self.deliveries <= limits.deliveries {
            return None;
        }
        let key = (self.parked.pop_front())
            .or_else(|| self.line.pop_front())
            .or_else(|| self.kept.pop_front())
            .or_else(|| self.keys().first().copied())?;
        // It may have been the first of the line.
        self.due = None;
        let held = self.get(key);
        let complete = held.is_none_or(|held| held.over.is_some() && held.unsettled == 0);
        Some((key, complete))
    }

    /// Drops keys of messages that are settled, before they outnumber the others.
    fn prune(&mut self, limits: &Limits) {
        for line in [&mut self.parked, &mut self.kept] {
            if line.len() > 2 * limits.messages {
                line.retain(|key| self.held.contains_key(key));
            }
        }
    }

    /// Removes a message; nothing waits for it any more.
    pub(crate) fn remove(&mut self, key: MessageKey) -> Option<Held> {
        let mut held = self.held.remove(&key)?;
        self.look_again(key);
        self.deliveries = self.deliveries.saturating_sub(held.weight());
        for (at, route) in held.routes.iter_mut().enumerate() {
            let place = (route.session, held.digest);
            if route.absent {
                self.missed.remove(&(route.session, key, at));
            }
            if let Some(line) = self.expected.get_mut(&place) {
                let waits = line.waiting.remove(&(held.order, at)).is_some();
                route.delivery.ambiguous |=
                    waits && route.progress == Progress::Waiting && held.order <= line.unclear;
                if line.waiting.is_empty() {
                    self.expected.remove(&place);
                }
            }
        }
        if let Some(line) = self.by_digest.get_mut(&held.digest) {
            line.remove(&key);
            if line.is_empty() {
                self.by_digest.remove(&held.digest);
            }
        }
        Some(held)
    }
}

/// Returns the places in [`Messages::missed`] of a session.
const fn of_session(session: SessionKey) -> RangeInclusive<(SessionKey, MessageKey, usize)> {
    (session, MessageKey(0), 0)..=(session, MessageKey(u64::MAX), usize::MAX)
}

/// Returns the route of the member that was given a message in place of this one, where it is known
/// that it was this message.
fn given<'a>(held: &'a Held, other: &Route) -> Option<&'a Route> {
    held.routes.iter().find(|route| {
        route.group == other.group && route.delivery.is_delivered() && !route.delivery.ambiguous
    })
}

/// Returns whether a message that came on a route is acknowledged, as far as it has to be.
fn acknowledged(route: &Route) -> bool {
    match &route.delivery.outcome {
        Outcome::Delivered(delivered) => {
            matches!(delivered.state, None | Some(HandshakeState::Complete))
        }
        Outcome::NotDelivered(_) => false,
    }
}

/// Returns whether some subscriber's session waits for its client, so that the copy may come much
/// later.
fn waits_for_the_absent(held: &Held, sessions: &Sessions, now: FrameStamp) -> bool {
    held.routes.iter().any(|route| {
        route.progress != Progress::Done
            && (sessions.get(route.session))
                .is_some_and(|session| session.link.is_none() && !session.expired(now))
    })
}
