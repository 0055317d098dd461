//! The table of wills: from the CONNECT that sets one to its publication, or to the reason for
//! none.

use std::collections::{BTreeMap, VecDeque};

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
    /// Sessions that were sent it, and how many further copies overlapping subscriptions may
    /// bring each.
    pub(crate) received: Vec<(SessionKey, usize)>,
}

impl Testament {
    /// Returns its Will Delay Interval in nanoseconds.
    pub(crate) fn delay_nanos(&self) -> i64 {
        i64::from(self.summary.will.delay) * 1_000_000_000
    }

    /// Returns whether a copy that is sent to `session` may be this will.
    fn may_go_to(&self, session: SessionKey) -> bool {
        let mut received = self.received.iter();
        let there = received.find(|(other, _)| *other == session);
        there.is_none_or(|(_, further)| *further > 0)
    }

    /// Notes that a copy was sent to `session`, which it has `filters` filters for.
    fn goes_to(&mut self, session: SessionKey, filters: usize) {
        let mut received = self.received.iter_mut();
        match received.find(|(other, _)| *other == session) {
            Some((_, further)) => *further = further.saturating_sub(1),
            None => self.received.push((session, filters.saturating_sub(1))),
        }
        self.expected.retain(|route| route.session != session);
    }

    /// Notes that it was published, at the latest with the frame of `stamp`.
    pub(crate) fn published(&mut self, stamp: FrameStamp) {
        if !matches!(self.summary.fate, WillFate::Published(_)) {
            self.summary.fate = WillFate::Published(stamp);
        }
    }
}

/// The wills.
#[derive(Debug, Default)]
pub(crate) struct Wills {
    /// In order of their CONNECTs.
    all: BTreeMap<WillKey, Testament>,
    by_digest: HashMap<u64, VecDeque<WillKey>>,
    /// In the order in which their connections ended.
    ended: VecDeque<(WillKey, FrameStamp)>,
    next: u64,
}

impl Wills {
    /// Adds a will.
    pub(crate) fn add(&mut self, will: Testament) -> WillKey {
        let key = WillKey(self.next);
        self.next += 1;
        let line = self.by_digest.entry(will.digest).or_default();
        line.push_back(key);
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
    /// whose connection seems to live on; of this broker, or of one that is `joined` with it.
    pub(crate) fn find(
        &self,
        digest: u64,
        session: Option<SessionKey>,
        broker: BrokerId,
        joined: impl Fn(BrokerId) -> bool,
    ) -> Option<WillKey> {
        let will = |key: &WillKey| self.all.get(key);
        let unsent = |will: &Testament| session.is_none_or(|one| will.may_go_to(one));
        let line = self.by_digest.get(&digest)?.iter();
        let all = line.filter(|key| will(key).is_some_and(unsent));
        let here = |key: &&WillKey| will(key).is_some_and(|one| one.summary.broker == broker.0);
        let mut open = all.clone().filter(here);
        // The earliest of those; of another broker only one that is due.
        let of = |key: &&WillKey| will(key).map(|one| BrokerId(one.summary.broker));
        let due = |key: &&WillKey| will(key).is_some_and(|will| will.due);
        let first = open.clone().find(due).or_else(|| open.next());
        let mut elsewhere = all.filter(due).take(caps::CANDIDATES);
        let joined = |key: &&WillKey| of(key).is_some_and(&joined);
        first.or_else(|| elsewhere.find(joined)).copied()
    }

    /// Adds the delivery of a copy that was sent to `session`; returns `None` where there are as
    /// many as are kept.
    pub(crate) fn add_delivery(
        &mut self,
        key: WillKey,
        session: Option<SessionKey>,
        delivery: MessageDelivery,
        stamp: FrameStamp,
    ) -> Option<usize> {
        let will = self.all.get_mut(&key)?;
        will.published(stamp);
        if let Some(session) = session {
            will.goes_to(session, delivery.filters.len());
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
        if let Some(line) = self.by_digest.get_mut(&will.digest) {
            line.retain(|other| *other != key);
            if line.is_empty() {
                self.by_digest.remove(&will.digest);
            }
        }
        Some(will)
    }
}
