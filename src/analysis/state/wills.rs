//! The table of wills: from the CONNECT that sets one to its publication, or to the reason for
//! none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::{BrokerId, SessionKey, WillKey};
use super::message::{Copy, Route, add_delivery};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{MessageDelivery, NoWill, WillFate, WillSummary, between};
use crate::mqtt::ProtocolVersion;

/// Digests of wills that are distinguished; beyond it every will counts as common.
const SET_BY: usize = 16_384;

/// A will that may still be published.
#[derive(Debug)]
pub(crate) struct Testament {
    /// The hash of its topic.
    pub(crate) topic: u64,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    /// The session whose client set it.
    pub(crate) session: Option<SessionKey>,
    /// The protocol version of its connection.
    pub(crate) version: Option<ProtocolVersion>,
    /// The will as it is reported.
    pub(crate) summary: WillSummary,
    /// The ways to the subscribers that were there when it fell due, without its own client.
    pub(crate) expected: Vec<Route>,
    /// Its connection has ended, in a way that publishes it.
    pub(crate) due: bool,
    /// The seconds from the end of its connection for which the server holds it back.
    pub(crate) held_back: u32,
    /// Its client came back before the delay was over.
    pub(crate) returned: bool,
    /// Why servers do not publish it although it is due.
    pub(crate) excused: Option<NoWill>,
    /// The frame that shows a gap in which the true cause of its connection's end may lie.
    pub(crate) unseen: Option<u64>,
    /// Its place in the order in which wills fell due.
    pub(crate) turn: Option<u64>,
    /// A copy may have been this will or an equal message.
    pub(crate) doubtful: bool,
    /// A copy surely was this will.
    pub(crate) certain: bool,
    /// Sessions that were sent it, and how many further copies overlapping subscriptions may
    /// bring each.
    pub(crate) received: HashMap<SessionKey, usize>,
}

impl Testament {
    /// Returns its Will Delay Interval in nanoseconds.
    pub(crate) fn delay_nanos(&self) -> i64 {
        i64::from(self.summary.will.delay) * 1_000_000_000
    }

    /// Returns the ways to those subscribers that it is expected for and that were not sent it.
    pub(crate) fn missing(&self) -> impl Iterator<Item = &Route> {
        let expected = self.expected.iter();
        expected.filter(|route| !self.received.contains_key(&route.session))
    }

    /// Returns how likely a copy that is sent to `session` in the frame of `stamp` is this will; `None`
    /// where it cannot be.
    fn likelihood(&self, session: Option<SessionKey>, stamp: &FrameStamp) -> Option<Likelihood> {
        let gone = between(&self.summary.end.stamp, stamp);
        let soon = gone.is_none_or(|gone| gone.nanos() < self.delay_nanos() + caps::LINGER.nanos());
        if let Some(further) = session.and_then(|session| self.received.get(&session)) {
            // The copies for overlapping subscriptions come together.
            return (*further > 0 && (soon || !self.due)).then_some(Likelihood::Awaited);
        }
        if !self.due {
            let open = self.summary.fate == WillFate::NotPublished(NoWill::StillOpen);
            return Some(
                match open || matches!(self.summary.fate, WillFate::Published(_)) {
                    true => Likelihood::Open,
                    false => Likelihood::Over,
                },
            );
        }
        let mut expected = self.expected.iter();
        let awaited = match expected.find(|route| Some(route.session) == session) {
            Some(route) => soon || route.delivery.connection.is_none(),
            // Its subscription may have come during the delay, or not be in the capture.
            None => soon && (session.is_none() || self.delay_nanos() > 0),
        };
        // One that servers need not publish is less likely than those that they must.
        Some(match awaited && self.excused.is_none() {
            true => Likelihood::Awaited,
            false => Likelihood::Late,
        })
    }

    /// Notes that a copy was sent to `session`, which it has `filters` filters for.
    fn goes_to(&mut self, session: SessionKey, filters: usize) {
        let further = self.received.entry(session);
        further
            .and_modify(|further| *further = further.saturating_sub(1))
            .or_insert_with(|| filters.saturating_sub(1));
    }

    /// Notes that it was published, at the latest with the frame of `stamp`.
    pub(crate) fn published(&mut self, stamp: FrameStamp) {
        if !matches!(self.summary.fate, WillFate::Published(_)) {
            self.summary.fate = WillFate::Published(stamp);
        }
    }
}

/// Wills that are equal.
#[derive(Debug, Default)]
struct Equals {
    /// Those that are not due.
    open: BTreeSet<WillKey>,
    /// Those that are due, in that order.
    due: BTreeMap<u64, WillKey>,
}

/// How likely a copy is a will, the likeliest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Likelihood {
    /// The subscriber waits for it.
    Awaited,
    /// The connection that set it seems to live on: the server may have seen its end before.
    Open,
    /// It fell due long ago, or for others.
    Late,
    /// It must not be published any more.
    Over,
}

/// The will that a copy may be.
#[derive(Debug)]
pub(crate) struct Likely {
    /// The likeliest, and of equally likely ones the first.
    pub(crate) key: WillKey,
    pub(crate) likelihood: Likelihood,
    /// Others that it may be.
    pub(crate) rivals: Vec<WillKey>,
}

/// The wills.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    /// In order of their CONNECTs.
    all: BTreeMap<WillKey, Testament>,
    by_digest: HashMap<u64, Equals>,
    /// The place in order of the latest will that a session was sent, by digest: the next of equal
    /// ones is later, as long as these are remembered.
    reached: HashMap<(SessionKey, u64), u64>,
    /// Wills that fell due.
    fallen_due: u64,
    /// The client that set a will, by digest; `None` where several set equal ones.
    set_by: HashMap<u64, Option<Arc<str>>>,
    /// In the order in which their connections ended.
    ended: VecDeque<(WillKey, FrameStamp)>,
    next: u64,
}

impl Wills {
    /// Adds a will.
    pub(crate) fn add(&mut self, will: Testament) -> WillKey {
        let key = WillKey(self.next);
        self.next += 1;
        let equals = self.by_digest.entry(will.digest).or_default();
        equals.open.insert(key);
        if self.set_by.len() < SET_BY {
            let client_id = &will.summary.client_id;
            let by = self.set_by.entry(will.digest);
            let by = by.or_insert_with(|| client_id.clone());
            if by != client_id {
                *by = None;
            }
        }
        self.all.insert(key, will);
        key
    }

    /// Returns whether several clients set wills of a digest, or may have: one that was not seen may
    /// have set another.
    pub(crate) fn are_common(&self, digest: u64) -> bool {
        let by = self.set_by.get(&digest);
        by.map_or(self.set_by.len() >= SET_BY, Option::is_none)
    }

    /// Returns a will that may still be published.
    pub(crate) fn get(&self, key: WillKey) -> Option<&Testament> {
        self.all.get(&key)
    }

    /// Returns a will that may still be published, to be changed.
    pub(crate) fn get_mut(&mut self, key: WillKey) -> Option<&mut Testament> {
        self.all.get_mut(&key)
    }

    /// Returns the keys of all, in order of their CONNECTs.
    pub(crate) fn keys(&self) -> Vec<WillKey> {
        self.all.keys().copied().collect()
    }

    /// Returns the oldest will where there is no room for another.
    pub(crate) fn oldest_if_full(&self, limits: &Limits) -> Option<WillKey> {
        let (oldest, _) = self.all.first_key_value()?;
        (self.all.len() >= limits.wills).then_some(*oldest)
    }

    /// Returns the will that a copy to `session` may be: of this broker, or one that is due of a
    /// broker that is `joined` with it.
    pub(crate) fn find(
        &self,
        copy: &Copy<'_>,
        session: Option<SessionKey>,
        joined: impl Fn(BrokerId) -> bool,
    ) -> Option<Likely> {
        let equals = self.by_digest.get(&copy.digest)?;
        let reached = session.and_then(|session| self.reached.get(&(session, copy.digest)));
        let due = equals.due.range(reached.copied().unwrap_or(0)..);
        let due = due.map(|(_, key)| key).take(caps::CANDIDATES);
        let open = equals.open.iter().take(caps::CANDIDATES);
        let known = |key: &WillKey| {
            let will = self.all.get(key)?;
            let likelihood = will.likelihood(session, &copy.stamp)?;
            Some((*key, likelihood, BrokerId(will.summary.broker)))
        };
        let all = due.chain(open).filter_map(known);
        let (mut here, elsewhere): (Vec<_>, Vec<_>) =
            all.partition(|(_, _, broker)| *broker == copy.topic.broker);
        if here.is_empty() {
            let due = [Likelihood::Awaited, Likelihood::Late];
            let mut elsewhere = elsewhere.into_iter();
            here.extend(elsewhere.find(|(_, one, broker)| due.contains(one) && joined(*broker)));
        }
        let (key, likelihood, _) = *here.iter().min_by_key(|(_, likelihood, _)| *likelihood)?;
        let equal = |other: Likelihood| other == likelihood || likelihood != Likelihood::Awaited;
        let rivals = here.into_iter();
        let rivals = rivals.filter(|(other, one, _)| *other != key && equal(*one));
        Some(Likely {
            key,
            likelihood,
            rivals: rivals.map(|(key, ..)| key).collect(),
        })
    }

    /// Notes that a copy may have been any of these wills.
    pub(crate) fn doubt(&mut self, keys: impl IntoIterator<Item = WillKey>) {
        for key in keys {
            if let Some(will) = self.all.get_mut(&key) {
                will.doubtful = true;
            }
        }
    }

    /// Notes that a will fell due.
    pub(crate) fn falls_due(&mut self, key: WillKey) {
        let Some(will) = self.all.get_mut(&key) else {
            return;
        };
        self.fallen_due += 1;
        will.due = true;
        will.turn = Some(self.fallen_due);
        if let Some(equals) = self.by_digest.get_mut(&will.digest) {
            equals.open.remove(&key);
            equals.due.insert(self.fallen_due, key);
        }
    }

    /// Adds the delivery of a copy that was sent to `session`; returns `None` where there are as
    /// many as are kept.
    pub(crate) fn add_delivery(
        &mut self,
        key: WillKey,
        session: Option<SessionKey>,
        delivery: MessageDelivery,
        stamp: FrameStamp,
        limits: &Limits,
    ) -> Option<usize> {
        let will = self.all.get_mut(&key)?;
        will.published(stamp);
        will.certain |= !delivery.ambiguous;
        if let Some(session) = session {
            will.goes_to(session, delivery.filters.len());
            if self.reached.len() >= limits.ordered {
                self.reached.clear();
            }
            let reached = will.turn.map(|turn| ((session, will.digest), turn));
            self.reached.extend(reached);
        }
        add_delivery(&mut will.summary.deliveries, delivery)
    }

    /// Returns the wills whose connections ended last, the latest first.
    pub(crate) fn latest(&self) -> Vec<WillKey> {
        let ended = self.ended.iter().rev().take(caps::CANDIDATES);
        ended.map(|(key, _)| *key).collect()
    }

    /// Returns the deliveries of a will's copies.
    pub(crate) fn deliveries(&mut self, key: WillKey) -> Option<&mut Vec<MessageDelivery>> {
        Some(&mut self.all.get_mut(&key)?.summary.deliveries)
    }

    /// Notes the end of the connection that set a will.
    pub(crate) fn connection_ended(&mut self, key: WillKey, stamp: FrameStamp) {
        self.ended.push_back((key, stamp));
    }

    /// Returns a will that nothing more can become of at `now`.
    pub(crate) fn next_overdue(&mut self, now: FrameStamp) -> Option<WillKey> {
        let (key, ended) = self.ended.front().copied()?;
        // None is over earlier; this is asked with every packet.
        let gone = between(&ended, &now).filter(|gone| *gone >= caps::LINGER)?;
        let wait = match self.all.get(&key) {
            Some(will) if will.due => caps::PATIENCE.nanos() + will.delay_nanos(),
            _ => 0,
        };
        if gone.nanos() < wait {
            return None;
        }
        self.ended.pop_front();
        Some(key)
    }

    /// Removes a will.
    pub(crate) fn remove(&mut self, key: WillKey) -> Option<Testament> {
        let will = self.all.remove(&key)?;
        if let Some(equals) = self.by_digest.get_mut(&will.digest) {
            match will.turn {
                Some(turn) => drop(equals.due.remove(&turn)),
                None => drop(equals.open.remove(&key)),
            }
            if equals.due.is_empty() && equals.open.is_empty() {
                self.by_digest.remove(&will.digest);
            }
        }
        Some(will)
    }
}
