//! Retained messages (5.0 §3.3.1.3), bounded in number and bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use super::message::Message;
use crate::base::Timestamp;
use crate::mqtt::topic;

/// The last retained message of each topic.
#[derive(Debug, Default)]
pub(super) struct Retained {
    /// Each with its number among all that were entered.
    by_topic: BTreeMap<Box<str>, (u64, Arc<Message>)>,
    entered: u64,
    /// Topics of those that expire, by the time.
    expiring: BTreeSet<(Timestamp, Box<str>)>,
    bytes: usize,
}

impl Retained {
    /// Keeps, replaces, or with an empty payload clears ([MQTT-3.3.1-6]). `false`: a cap is
    /// reached and the message was not kept.
    pub(super) fn set(&mut self, message: &Arc<Message>, most: usize, bytes: usize) -> bool {
        self.remove(&message.topic);
        if message.payload.is_empty() {
            return true;
        }
        if self.by_topic.len() >= most || self.bytes.saturating_add(message.bytes()) > bytes {
            return false;
        }
        self.bytes += message.bytes();
        if let Some(at) = message.expires() {
            self.expiring.insert((at, message.topic.clone()));
        }
        self.entered += 1;
        let entry = (self.entered, Arc::clone(message));
        self.by_topic.insert(message.topic.clone(), entry);
        true
    }

    /// How many were entered so far.
    pub(super) const fn entered(&self) -> u64 {
        self.entered
    }

    fn remove(&mut self, topic: &str) {
        if let Some((_, old)) = self.by_topic.remove(topic) {
            self.bytes = self.bytes.saturating_sub(old.bytes());
            if let Some(at) = old.expires() {
                self.expiring.remove(&(at, old.topic.clone()));
            }
        }
    }

    /// The next one by topic behind `after` that `filter` selects, that has not expired, and that
    /// was among the first `before` entered. Each comparison is a step; `after` is the last topic
    /// that was compared. `None` where there is no other, or no step is left.
    pub(super) fn next(
        &self,
        filter: &str,
        after: &mut Option<Box<str>>,
        before: u64,
        now: Timestamp,
        steps: &mut usize,
    ) -> Option<Arc<Message>> {
        // All that a filter selects begin with what it has before its first wildcard, and a filter
        // without wildcards names one topic. `a/#` selects `a` too.
        let wildcard = filter.find(['+', '#']);
        let prefix = filter.get(..wildcard.unwrap_or(filter.len()));
        let prefix = prefix.unwrap_or_default();
        let prefix = match wildcard {
            Some(_) => prefix.strip_suffix('/').unwrap_or(prefix),
            None => prefix,
        };
        let from = match after.as_deref() {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(prefix),
        };
        for (topic, (entered, message)) in self.by_topic.range::<str, _>((from, Bound::Unbounded)) {
            let other = match wildcard {
                Some(_) => !topic.starts_with(prefix),
                None => **topic != *filter,
            };
            if other || *steps == 0 {
                return None;
            }
            *steps -= 1;
            let selected = *entered <= before && topic::matches(filter, topic);
            if *steps == 0 || selected {
                *after = Some(topic.clone());
            }
            if selected && !message.expired(now) {
                return Some(Arc::clone(message));
            }
        }
        None
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Timestamp) {
        while let Some((at, topic)) = self.expiring.pop_first() {
            if at > now {
                self.expiring.insert((at, topic));
                return;
            }
            self.remove(&topic);
        }
    }
}
