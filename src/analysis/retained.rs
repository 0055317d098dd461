//! Stored (retained) messages: one for each topic of each broker.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::Analyzer;
use super::caps;
use super::judge::takes;
use super::messages::{MessageKey, note_settled};
use super::names::Topic;
use super::outbox::Told;
use crate::base::limits::Limit;
use crate::base::{Endpoint, FrameStamp};
use crate::event::{Handshake, Message, MessageDelivery, RetainedEnd, RetainedSummary, Stored};

/// Names one stored message for as long as the analysis runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct StoredKey(u64);

/// A stored message.
#[derive(Debug)]
pub(super) struct Entry {
    /// The hash of its topic.
    topic: u64,
    pub(super) digest: u64,
    pub(super) story: RetainedSummary,
    /// The publisher's message, held for its late copies.
    message: Option<MessageKey>,
}

/// The stored messages.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// By the hash of the topic.
    by_topic: HashMap<u64, StoredKey>,
    /// Topics whose stored message was removed, and when.
    cleared: HashMap<u64, FrameStamp>,
    /// In order of storing.
    pub(super) all: BTreeMap<StoredKey, Entry>,
    next: u64,
}

impl Retained {
    pub(super) fn find(&self, topic: Topic<'_>) -> Option<StoredKey> {
        self.by_topic.get(&topic.hash).copied()
    }

    /// When the stored message of a topic was removed; `None` where it was not, or one was
    /// stored since.
    pub(super) fn cleared(&self, topic: Topic<'_>) -> Option<FrameStamp> {
        self.cleared.get(&topic.hash).copied()
    }

    /// The stored messages that a filter takes, as far as they are few.
    pub(super) fn taken_by(&self, filter: Topic<'_>) -> Vec<StoredKey> {
        if !filter.contains(['+', '#']) {
            return self.find(filter).into_iter().collect();
        }
        if self.all.len() > caps::RETAINED_SEARCHED {
            return Vec::new();
        }
        self.all
            .iter()
            .filter(|(_, entry)| {
                let topic = entry.story.message.topic.as_ref();
                entry.story.broker == filter.broker.0
                    && topic.is_some_and(|topic| takes(&filter, topic))
            })
            .map(|(key, _)| *key)
            .collect()
    }

    pub(super) fn get(&self, key: StoredKey) -> Option<&Entry> {
        self.all.get(&key)
    }

    /// Adds a stored copy's leg; `None` where the story has as many as it keeps.
    pub(super) fn add_leg(&mut self, key: StoredKey, leg: MessageDelivery) -> Option<usize> {
        let legs = &mut self.all.get_mut(&key)?.story.deliveries;
        if legs.len() >= Handshake::DELIVERIES_KEPT {
            return None;
        }
        legs.push(leg);
        Some(legs.len() - 1)
    }

    pub(super) fn leg_settled(&mut self, key: StoredKey, at: usize, record: &Handshake) {
        if let Some(leg) = self
            .all
            .get_mut(&key)
            .and_then(|entry| entry.story.deliveries.get_mut(at))
        {
            note_settled(leg, record);
        }
    }
}

/// A message to be stored.
pub(super) struct Storing<'a> {
    pub(super) server: Endpoint,
    pub(super) topic: Topic<'a>,
    pub(super) digest: u64,
    pub(super) message: Message,
    pub(super) by: Option<Stored>,
    pub(super) held: Option<MessageKey>,
    pub(super) stamp: FrameStamp,
}

impl Analyzer {
    /// Stores a message, replacing the one of its topic; an empty payload removes it.
    pub(super) fn store(&mut self, storing: Storing<'_>) -> Option<StoredKey> {
        let empty = storing.message.payload.length == 0;
        if let Some(old) = self.retained.find(storing.topic) {
            let end = if empty {
                RetainedEnd::Cleared(storing.stamp)
            } else {
                RetainedEnd::Replaced(storing.stamp)
            };
            self.end_stored(old, end);
        }
        if empty {
            if self.retained.cleared.len() >= self.limits.retained {
                self.retained.cleared.clear();
            }
            self.retained
                .cleared
                .insert(storing.topic.hash, storing.stamp);
            return None;
        }
        self.retained.cleared.remove(&storing.topic.hash);
        if self.retained.all.len() >= self.limits.retained
            && let Some((oldest, _)) = self.retained.all.first_key_value()
        {
            let oldest = *oldest;
            let stamp = storing.stamp;
            self.findings
                .limit_reached(&mut self.outbox, Limit::Retained, stamp);
            self.end_stored(oldest, RetainedEnd::TableFull);
        }
        let key = StoredKey(self.retained.next);
        self.retained.next += 1;
        self.retained.by_topic.insert(storing.topic.hash, key);
        self.retained.all.insert(
            key,
            Entry {
                digest: storing.digest,
                story: RetainedSummary {
                    broker: storing.topic.broker.0,
                    server: storing.server,
                    message: storing.message,
                    stored: storing.by,
                    end: RetainedEnd::Kept,
                    deliveries: Vec::new(),
                },
                message: storing.held,
                topic: storing.topic.hash,
            },
        );
        Some(key)
    }

    /// Tells a stored message's story.
    pub(super) fn end_stored(&mut self, key: StoredKey, end: RetainedEnd) {
        let Some(mut entry) = self.retained.all.remove(&key) else {
            return;
        };
        if self.retained.by_topic.get(&entry.topic) == Some(&key) {
            self.retained.by_topic.remove(&entry.topic);
        }
        entry.story.end = end;
        if let Some(message) = entry.message {
            self.stored_copies_known(message, &entry.story.deliveries);
        }
        if self.wanted.stories {
            self.outbox.now(Told::Retained(Box::new(entry.story)));
        }
    }

    /// The late copies of a message stand with its live ones.
    fn stored_copies_known(&mut self, key: MessageKey, legs: &[MessageDelivery]) {
        let Some(held) = self.messages.held.get_mut(&key) else {
            return;
        };
        held.stored = false;
        held.late.extend_from_slice(legs);
        self.try_settle(key);
    }
}
