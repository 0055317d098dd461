//! Topic names, each hashed once; the latest are shared.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::super::keys::{BrokerId, Topic};

/// Pairs of names that are remembered at a time; another name may take the place of any.
const PAIRS: usize = 2048;

/// A name that is remembered.
#[derive(Debug, Default)]
struct Known {
    hash: u64,
    /// The name, once it was asked for.
    name: Option<Arc<str>>,
}

/// The latest topic names.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Seeded: what it hashes comes from the network.
    hash: RandomState,
    /// A name stands in either place of one pair.
    pairs: Vec<[Known; 2]>,
}

impl Names {
    /// Returns the topic of a name of a broker, of at most [`caps::NAME`](super::super::caps::NAME) bytes or a shortened
    /// one.
    pub(crate) fn topic<'a>(&self, broker: BrokerId, name: &'a str) -> Topic<'a> {
        let mut hasher = self.hash.build_hasher();
        broker.hash(&mut hasher);
        name.hash(&mut hasher);
        let hash = hasher.finish();
        Topic { name, hash, broker }
    }

    /// Returns a name as a shared string: one that comes again is the same string again.
    pub(crate) fn shared(&mut self, topic: Topic<'_>) -> Arc<str> {
        let Some(known) = self.known(topic) else {
            return Arc::from(topic.name);
        };
        let name = known.name.get_or_insert_with(|| Arc::from(topic.name));
        Arc::clone(name)
    }

    /// Returns the place of a topic, which is a new one where nothing is remembered of it.
    fn known(&mut self, topic: Topic<'_>) -> Option<&mut Known> {
        if self.pairs.is_empty() {
            self.pairs.resize_with(PAIRS, Default::default);
        }
        let [first, second] = self.pairs.get_mut(topic.hash as usize % PAIRS)?;
        if first.hash != topic.hash {
            if second.hash == topic.hash {
                return Some(second);
            }
            *second = std::mem::take(first);
            first.hash = topic.hash;
        }
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: BrokerId = BrokerId(0);
    const THERE: BrokerId = BrokerId(1);

    #[test]
    fn every_name_is_itself_however_many_there_are() {
        let mut names = Names::default();
        for _ in 0..2 {
            for at in 0..5 * PAIRS {
                let name = format!("t/{at}");
                let topic = names.topic(HERE, &name);
                let shared = names.shared(topic);
                assert_eq!(*shared, name);
                assert!(Arc::ptr_eq(&shared, &names.shared(topic)));
            }
        }
    }

    #[test]
    fn a_name_is_another_topic_on_another_broker() {
        let names = Names::default();
        let here = names.topic(HERE, "a/b").hash;
        assert_ne!(here, names.topic(THERE, "a/b").hash);
        assert_eq!(here, names.topic(HERE, "a/b").hash);
    }
}
