//! The table of stored (retained) messages: one for each topic of each broker.

use std::collections::{BTreeMap, VecDeque};

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::{MessageKey, StoredKey, Topic, WillKey, takes};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{
    HandshakeState, MessageDelivery, Outcome, RetainedEnd, RetainedSummary, between,
};

/// A stored message.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The hash of its topic.
    pub(crate) topic: u64,
    /// Digest of topic and payload.
    pub(crate) digest: u64,
    /// The stored message as it is reported.
    pub(crate) summary: RetainedSummary,
    /// The publisher's message, held for its late copies.
    pub(crate) message: Option<MessageKey>,
    /// The will that it is.
    pub(crate) will: Option<WillKey>,
    /// The latest SUBSCRIBE that took it: its copy may be on its way.
    pub(crate) asked: Option<FrameStamp>,
    /// How it ended, where it is kept for copies on their way only.
    pub(crate) ended: Option<RetainedEnd>,
}

impl Entry {
    /// Returns whether a copy of it may be on its way at `stamp`, or waits for its
    /// acknowledgement.
    pub(crate) fn may_be_on_its_way(&self, stamp: FrameStamp) -> bool {
        let asked = |asked| between(&asked, &stamp).is_none_or(|since| since < caps::LINGER);
        let open = |one: &MessageDelivery| match &one.outcome {
            Outcome::Delivered(delivered) => {
                matches!(delivered.state, Some(HandshakeState::Incomplete { .. }))
            }
            Outcome::NotDelivered(_) => false,
        };
        self.asked.is_some_and(asked) || self.summary.deliveries.iter().any(open)
    }
}

/// The stored messages.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    /// By the hash of the topic.
    by_topic: HashMap<u64, StoredKey>,
    /// Topics whose stored message was removed, and when.
    cleared: HashMap<u64, FrameStamp>,
    /// The digests of the latest few messages that a topic had before, the latest first.
    before: HashMap<u64, [Option<u64>; caps::BEFORE]>,
    /// In order of storing.
    all: BTreeMap<StoredKey, Entry>,
    /// Those of all that were replaced or removed, and when.
    former: VecDeque<(StoredKey, FrameStamp)>,
    next: u64,
}

impl Retained {
    /// Returns the stored message of a topic, by the topic's hash.
    pub(crate) fn find(&self, topic: u64) -> Option<StoredKey> {
        self.by_topic.get(&topic).copied()
    }

    /// Returns the latest message with this digest that was stored for a topic before.
    pub(crate) fn find_former(&self, topic: u64, digest: u64) -> Option<StoredKey> {
        let latest = self.former.iter().rev().take(caps::CANDIDATES);
        let mut keys = latest.map(|(key, _)| *key);
        keys.find(|key| {
            let entry = self.all.get(key);
            entry.is_some_and(|entry| entry.topic == topic && entry.digest == digest)
        })
    }

    /// Notes that the stored message of a topic is replaced or removed.
    pub(crate) fn note_before(&mut self, key: StoredKey, limits: &Limits) {
        let Some(entry) = self.all.get(&key) else {
            return;
        };
        if self.before.len() >= limits.retained && !self.before.contains_key(&entry.topic) {
            self.before.clear();
        }
        let before = self.before.entry(entry.topic).or_default();
        if before.first() != Some(&Some(entry.digest)) {
            before.rotate_right(1);
            before[0] = Some(entry.digest);
        }
    }

    /// Returns whether a topic is known to have had a stored message with this digest before.
    pub(crate) fn had_before(&self, topic: u64, digest: u64) -> bool {
        let before = self.before.get(&topic);
        before.is_some_and(|before| before.contains(&Some(digest)))
    }

    /// Notes that a SUBSCRIBE took a stored message.
    pub(crate) fn ask(&mut self, key: StoredKey, stamp: FrameStamp) {
        if let Some(entry) = self.all.get_mut(&key) {
            entry.asked = Some(stamp);
        }
    }

    /// Keeps a message that is stored no longer, for copies that are on their way.
    pub(crate) fn keep_former(&mut self, key: StoredKey, end: RetainedEnd, stamp: FrameStamp) {
        if let Some(entry) = self.all.get_mut(&key) {
            entry.ended = Some(end);
            self.by_topic.remove(&entry.topic);
            self.former.push_back((key, stamp));
        }
    }

    /// Returns a message that was kept for copies on their way, of which there are none at `now`,
    /// or too many are kept.
    pub(crate) fn next_former(&mut self, now: FrameStamp) -> Option<StoredKey> {
        let (key, ended) = self.former.front().copied()?;
        let over = between(&ended, &now).is_some_and(|since| since >= caps::LINGER);
        if !over && self.former.len() <= caps::FORMER {
            return None;
        }
        self.former.pop_front();
        Some(key)
    }

    /// Returns when the stored message of a topic was removed; `None` where it was not, or one
    /// was stored since.
    pub(crate) fn cleared(&self, topic: u64) -> Option<FrameStamp> {
        self.cleared.get(&topic).copied()
    }

    /// Returns how many are kept, those included that are stored no longer.
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Returns the stored messages that a filter with wildcards takes: all are looked through.
    pub(crate) fn taken_by(&self, filter: Topic<'_>) -> Vec<StoredKey> {
        let taken = self.all.iter().filter(|(_, entry)| {
            if entry.ended.is_some() {
                return false;
            }
            let topic = entry.summary.message.topic.as_ref();
            entry.summary.broker == filter.broker.0
                && topic.is_some_and(|topic| takes(filter.name, topic))
        });
        taken.map(|(key, _)| *key).collect()
    }

    /// Returns a stored message that is still there.
    pub(crate) fn get(&self, key: StoredKey) -> Option<&Entry> {
        self.all.get(&key)
    }

    /// Returns the keys of all, in order of storing.
    pub(crate) fn keys(&self) -> Vec<StoredKey> {
        self.all.keys().copied().collect()
    }

    /// Returns the oldest message where there is no room for another.
    pub(crate) fn oldest_if_full(&self, limits: &Limits) -> Option<StoredKey> {
        let (oldest, _) = self.all.first_key_value()?;
        (self.all.len() >= limits.retained).then_some(*oldest)
    }

    /// Notes that the stored message of a topic was removed.
    pub(crate) fn clear(&mut self, topic: u64, stamp: FrameStamp, limits: &Limits) {
        if self.cleared.len() >= limits.retained {
            self.cleared.clear();
        }
        self.cleared.insert(topic, stamp);
    }

    /// Adds the stored message of its topic, which has none.
    pub(crate) fn add(&mut self, entry: Entry) {
        let key = StoredKey(self.next);
        self.next += 1;
        self.cleared.remove(&entry.topic);
        self.by_topic.insert(entry.topic, key);
        self.all.insert(key, entry);
    }

    /// Removes a stored message.
    pub(crate) fn remove(&mut self, key: StoredKey) -> Option<Entry> {
        let entry = self.all.remove(&key)?;
        if self.by_topic.get(&entry.topic) == Some(&key) {
            self.by_topic.remove(&entry.topic);
        }
        Some(entry)
    }

    /// Returns the deliveries of a stored message's copies.
    pub(crate) fn deliveries(&mut self, key: StoredKey) -> Option<&mut Vec<MessageDelivery>> {
        Some(&mut self.all.get_mut(&key)?.summary.deliveries)
    }
}
