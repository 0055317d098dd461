//! Topic aliases of one direction (MQTT 5.0 §3.3.2.3.4), as they stand at the moment.

use std::collections::BTreeMap;

use crate::base::limits::Limits;
use crate::mqtt::packet::Publish;

use super::context::Context;

/// Memory of an alias besides its topic name: its entry, and the name's allocation.
const ALIAS_COST: usize = 48;

/// The topic names that aliases stand for.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    topics: BTreeMap<u16, Box<str>>,
    /// Bytes of all names.
    bytes: usize,
}

impl Aliases {
    /// Lets `alias` stand for `topic` from now on, as far as the limits allow.
    fn learn(&mut self, context: &mut Context, alias: u16, topic: &str) {
        let limits = context.options.limits;
        let before = self.cost();
        let room = (limits.topic_alias_bytes_all as u64).saturating_sub(context.aliases);
        if !self.set(alias, topic, &limits, room) {
            context.counters.aliases_refused += 1;
        }
        context.aliases = context.aliases - before + self.cost();
    }

    /// Returns the topic name that `alias` stands for.
    fn topic(&self, alias: u16) -> Option<&str> {
        self.topics.get(&alias).map(AsRef::as_ref)
    }

    /// Returns the memory taken, in bytes, as charged against the limit over all connections.
    pub(super) fn cost(&self) -> u64 {
        (self.bytes + self.topics.len() * ALIAS_COST) as u64
    }

    /// Lets `alias` stand for `topic`, as long as that costs no more than `room`. `false` where a
    /// limit kept it out; then the alias stands for nothing, rather than for what it was.
    fn set(&mut self, alias: u16, topic: &str, limits: &Limits, room: u64) -> bool {
        if self.topic(alias) == Some(topic) {
            return true;
        }
        if let Some(known) = self.topics.remove(&alias) {
            self.bytes -= known.len();
        }
        let fits = (topic.len() + ALIAS_COST) as u64 <= room
            && self.topics.len() < limits.topic_aliases
            && self.bytes + topic.len() <= limits.topic_alias_bytes;
        if fits {
            self.topics.insert(alias, topic.into());
            self.bytes += topic.len();
        }
        fits
    }
}

/// Follows the alias of a PUBLISH, if it has one, on a direction with `aliases`: learns which topic
/// name it stands for, or returns that name.
#[cold]
pub(super) fn follow<'a>(
    aliases: &'a mut Option<Box<Aliases>>,
    context: &mut Context,
    publish: &Publish<'_>,
) -> Option<&'a str> {
    let alias = publish.properties.topic_alias()?;
    if publish.topic.is_empty() {
        return aliases.as_ref()?.topic(alias);
    }
    let aliases = aliases.get_or_insert_default();
    aliases.learn(context, alias, publish.topic);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_topic_it_was_last_given() {
        let mut aliases = Aliases::default();
        let mut set = |alias, topic| aliases.set(alias, topic, &Limits::DEFAULT, 100);
        assert!(set(7, "a/b") && set(1, "c") && set(7, "d"));
        assert_eq!((aliases.topic(7), aliases.topic(1)), (Some("d"), Some("c")));
        assert_eq!(aliases.topic(2), None);
    }

    #[test]
    fn an_alias_beyond_the_cap_stands_for_nothing() {
        let limits = Limits {
            topic_aliases: 3,
            topic_alias_bytes: 20,
            ..Limits::DEFAULT
        };
        for (topic, most) in [("ten bytes.", 2), ("t", 3)] {
            let mut aliases = Aliases::default();
            let kept = (1..=10).filter(|alias| aliases.set(*alias, topic, &limits, u64::MAX));
            assert_eq!(kept.count(), most);
            assert_eq!(aliases.topic(10), None);
            assert!(!aliases.set(1, "other", &limits, 10));
            assert_eq!(aliases.topic(1), None);
        }
    }
}
