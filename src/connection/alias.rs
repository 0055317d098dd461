//! Topic aliases of one direction (MQTT 5.0 §3.3.2.3.4), as they stand at the moment.

/// Aliases kept for one direction; MQTT allows 65,535.
pub const ALIASES_CAP: usize = 4096;

/// Bytes of topic names kept for one direction.
pub const TOPICS_CAP: usize = 1 << 20;

/// Bytes of topic names kept in all, each with `ALIAS_COST` besides.
pub const ALIASES_TOTAL: u64 = 64 << 20;

/// What an alias takes besides its topic name: its entry, and the name's allocation.
const ALIAS_COST: usize = 48;

/// Which topic name each alias stands for.
#[derive(Debug, Default)]
pub(super) struct Aliases {
    /// Sorted by alias: most connections use a few, set once.
    topics: Vec<(u16, Box<str>)>,
    /// Bytes of all names.
    bytes: usize,
}

impl Aliases {
    /// The topic name that `alias` stands for.
    pub(super) fn topic(&self, alias: u16) -> Option<&str> {
        let at = self.at(alias).ok()?;
        self.topics.get(at).map(|(_, topic)| topic.as_ref())
    }

    /// In bytes, as charged against [`ALIASES_TOTAL`].
    pub(super) fn cost(&self) -> u64 {
        (self.bytes + self.topics.len() * ALIAS_COST) as u64
    }

    /// From now on `alias` stands for `topic`, as long as that costs no more than `room`.
    /// `false` where a cap kept it out; then the alias stands for nothing, rather than for
    /// what it was.
    pub(super) fn set(&mut self, alias: u16, topic: &str, room: u64) -> bool {
        let room = (topic.len() + ALIAS_COST) as u64 <= room;
        let at = self.at(alias);
        if let Ok(at) = at
            && let Some((_, known)) = self.topics.get_mut(at)
        {
            if **known == *topic {
                return true;
            }
            self.bytes -= known.len();
            if !room || self.bytes + topic.len() > TOPICS_CAP {
                self.topics.remove(at);
                return false;
            }
            *known = topic.into();
            self.bytes += topic.len();
            return true;
        }
        let full = self.topics.len() >= ALIASES_CAP;
        if !room || full || self.bytes + topic.len() > TOPICS_CAP {
            return false;
        }
        let at = at.unwrap_or_else(|at| at).min(self.topics.len());
        self.topics.insert(at, (alias, topic.into()));
        self.bytes += topic.len();
        true
    }

    fn at(&self, alias: u16) -> Result<usize, usize> {
        self.topics
            .binary_search_by_key(&alias, |(alias, _)| *alias)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alias_stands_for_the_topic_it_was_last_given() {
        let mut aliases = Aliases::default();
        assert!(aliases.set(7, "a/b", 100) && aliases.set(1, "c", 100));
        assert_eq!((aliases.topic(7), aliases.topic(2)), (Some("a/b"), None));
        assert!(aliases.set(7, "d", 100));
        assert_eq!((aliases.topic(7), aliases.topic(1)), (Some("d"), Some("c")));
    }

    #[test]
    fn an_alias_beyond_the_cap_stands_for_nothing() {
        let mut aliases = Aliases::default();
        let long = "x".repeat(60_000);
        let kept = (1..=100)
            .filter(|alias| aliases.set(*alias, &long, u64::MAX))
            .count();
        assert_eq!(kept, TOPICS_CAP / long.len());
        assert_eq!(aliases.topic(100), None);
        let mut aliases = Aliases::default();
        let kept = (1..=u16::MAX)
            .filter(|alias| aliases.set(*alias, "t", u64::MAX))
            .count();
        assert_eq!(kept, ALIASES_CAP);
        assert!(!aliases.set(1, "other", 10));
        assert_eq!(aliases.topic(1), None);
    }
}
