//! The table of wills: from the CONNECT that sets one to its publication, or to the reason for
//! none.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::{BrokerId, SessionKey, WillKey};
use super::message::{Route, add_delivery};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{MessageDelivery, NoWill, WillFate, WillSummary, between};
use crate::mqtt::ProtocolVersion;

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
    /// An equal one was due when a copy came: any of them may have been published.
    pub(crate) mixed: bool,
    /// Its place in the order in which wills fell due.
    pub(crate) turn: Option<u64>,
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

    /// Returns whether a copy that is sent to `session` may be this will.
    fn may_go_to(&self, session: SessionKey) -> bool {
        let there = self.received.get(&session);
        there.is_none_or(|further| *further > 0)
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
        self.all.insert(key, will);
        key
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

    /// Returns the will that a server's PUBLISH to `session` may be: one that fell due before one
    /// whose connection seems to live on, and of these one that servers publish; of this broker, or
    /// of one that is `joined` with it. Several that it may be are mixed up from then on.
    pub(crate) fn find(
        &mut self,
        digest: u64,
        session: Option<SessionKey>,
        broker: BrokerId,
        joined: impl Fn(BrokerId) -> bool,
    ) -> Option<WillKey> {
        let equals = self.by_digest.get(&digest)?;
        let will = |key: &&WillKey| self.all.get(*key);
        let unsent = |key: &&WillKey| {
            let will = will(key);
            will.is_some_and(|will| session.is_none_or(|one| will.may_go_to(one)))
        };
        let of = |key: &&WillKey| will(key).map(|one| BrokerId(one.summary.broker));
        let here = |key: &&WillKey| of(key) == Some(broker);
        let joined = |key: &&WillKey| of(key).is_some_and(&joined);
        let reached = session.and_then(|session| self.reached.get(&(session, digest)));
        let due = equals.due.range(reached.copied().unwrap_or(0)..);
        let mut due = due
            .map(|(_, key)| key)
            .take(caps::CANDIDATES)
            .filter(unsent);
        let mut open = equals.open.iter().take(caps::CANDIDATES).filter(unsent);
        let owed = |key: &&WillKey| will(key).is_some_and(|will| will.excused.is_none());
        let several: Vec<_> = due.clone().filter(here).filter(owed).copied().collect();
        // The earliest of those; of another broker only one that is due.
        let first = several.first().or_else(|| due.clone().find(here));
        let first = first.or_else(|| open.find(here));
        let found = first.or_else(|| due.find(joined)).copied();
        for key in several.iter().filter(|_| several.len() > 1) {
            if let Some(will) = self.all.get_mut(key) {
                will.mixed = true;
            }
        }
        found
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
