//! The table of stored (retained) messages: one for each topic of each broker.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::{MessageKey, StoredKey, Topic, takes};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{MessageDelivery, RetainedSummary};

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
}

/// The stored messages.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    /// By the hash of the topic.
    by_topic: HashMap<u64, StoredKey>,
    /// Topics whose stored message was removed, and when.
    cleared: HashMap<u64, FrameStamp>,
    /// In order of storing.
    all: BTreeMap<StoredKey, Entry>,
    next: u64,
}

impl Retained {
    /// Returns the stored message of a topic, by the topic's hash.
    pub(crate) fn find(&self, topic: u64) -> Option<StoredKey> {
        self.by_topic.get(&topic).copied()
    }

    /// Returns when the stored message of a topic was removed; `None` where it was not, or one
    /// was stored since.
    pub(crate) fn cleared(&self, topic: u64) -> Option<FrameStamp> {
        self.cleared.get(&topic).copied()
    }

    /// Returns the stored messages that a filter takes, as far as they are few.
    pub(crate) fn taken_by(&self, filter: Topic<'_>) -> Vec<StoredKey> {
        if !filter.name.contains(['+', '#']) {
            return self.find(filter.hash).into_iter().collect();
        }
        if self.all.len() > caps::RETAINED_SEARCHED {
            return Vec::new();
        }
        let taken = self.all.iter().filter(|(_, entry)| {
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
