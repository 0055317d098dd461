//! Retained messages (5.0 §3.3.1.3), bounded in number and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::message::Message;
use crate::base::Timestamp;
use crate::mqtt::topic;

/// The last retained message of each topic.
#[derive(Debug, Default)]
pub(super) struct Retained {
    by_topic: BTreeMap<Box<str>, Arc<Message>>,
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
        self.by_topic
            .insert(message.topic.clone(), Arc::clone(message));
        true
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_topic.len()
    }

    fn remove(&mut self, topic: &str) {
        if let Some(old) = self.by_topic.remove(topic) {
            self.bytes = self.bytes.saturating_sub(old.bytes());
        }
    }

    /// Those that `filter` selects and that have not expired, by topic.
    pub(super) fn select(&mut self, filter: &str, now: Timestamp) -> Vec<Arc<Message>> {
        // A filter without wildcards names one topic.
        if !filter.contains(['+', '#']) {
            let found = self.by_topic.get(filter).cloned();
            return found.filter(|m| !m.expired(now)).into_iter().collect();
        }
        self.by_topic
            .values()
            .filter(|message| topic::matches(filter, &message.topic) && !message.expired(now))
            .cloned()
            .collect()
    }

    /// Drops what has expired.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.by_topic.retain(|_, message| {
            let expired = message.expired(now);
            if expired {
                self.bytes = self.bytes.saturating_sub(message.bytes());
            }
            !expired
        });
    }
}
