//! Topic names, each hashed once, and what is remembered of the latest.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use foldhash::fast::RandomState;

use super::brokers::BrokerId;
use super::tree::{Tree, Walk};
use crate::base::wanted_soon;

/// Pairs of names that are remembered at a time; another name may take the place of any.
const PAIRS: usize = 2048;
/// Levels of a filter tree that are remembered of a name: those that the search passed, then
/// those whose filters take it.
const LEVELS: usize = 8;

/// A topic name of a broker. All that is known of it is found by its hash, which is seeded: as
/// with the digests of messages, no two names are reckoned with that have the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Topic<'a> {
    pub(super) name: &'a str,
    /// Of broker and name.
    pub(super) hash: u64,
    pub(super) broker: BrokerId,
}

impl Deref for Topic<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        self.name
    }
}

impl fmt::Display for Topic<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(formatter)
    }
}

/// What is remembered of a name, in one cache line: names that come again are mostly far away
/// by then.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Known {
    hash: u64,
    /// The name, once it was asked for.
    name: Option<Arc<str>>,
    /// Levels that its broker's filter tree had when it was searched; 0 for not at all.
    tree_had: u32,
    levels: [u32; LEVELS],
    passed: u8,
    taking: u8,
}

/// The latest topic names.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Seeded: what it hashes comes from the network.
    hash: RandomState,
    /// A name stands in either place of one pair.
    pairs: Vec<[Known; 2]>,
}

impl Names {
    /// A name of a broker, of at most [`caps::NAME`](super::caps::NAME) octets or a shortened
    /// one.
    pub(super) fn topic<'a>(&self, broker: BrokerId, name: &'a str) -> Topic<'a> {
        let mut hasher = self.hash.build_hasher();
        broker.hash(&mut hasher);
        name.hash(&mut hasher);
        let hash = hasher.finish();
        if let Some([first, _]) = self.pairs.get(hash as usize % PAIRS) {
            wanted_soon(first);
        }
        Topic { name, hash, broker }
    }

    /// A name as a shared string: one that comes again is the same string again.
    pub(super) fn shared(&mut self, topic: Topic<'_>) -> Arc<str> {
        let Some(known) = self.known(topic) else {
            return Arc::from(topic.name);
        };
        let name = known.name.get_or_insert_with(|| Arc::from(topic.name));
        Arc::clone(name)
    }

    /// The levels of `tree` whose filters take a topic, where they are remembered still.
    pub(super) fn taking(&mut self, topic: Topic<'_>, tree: &Tree) -> Option<&[u32]> {
        let known = self.known(topic)?;
        let (passed, others) = known.levels.split_at_checked(known.passed.into())?;
        let had = known.tree_had as usize;
        if had != tree.len() {
            if had == 0 || tree.has_grown(passed, had) {
                return None;
            }
            known.tree_had = u32::try_from(tree.len()).unwrap_or(0);
        }
        others.get(..known.taking.into())
    }

    /// Remembers what a search through all of `tree` for a topic found, where that is little.
    pub(super) fn remember(&mut self, topic: Topic<'_>, tree: &Tree, walk: &Walk) {
        let Some(known) = self.known(topic) else {
            return;
        };
        known.tree_had = 0;
        let (passed, taking) = (walk.passed.len(), walk.taking.len());
        if passed + taking <= LEVELS {
            let levels = walk.passed.iter().chain(&walk.taking);
            for (place, level) in known.levels.iter_mut().zip(levels) {
                *place = *level;
            }
            known.passed = passed as u8;
            known.taking = taking as u8;
            known.tree_had = u32::try_from(tree.len()).unwrap_or(0);
        }
    }

    /// The place of a topic, which is a new one where nothing is remembered of it.
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
    use super::super::tree::SubscriptionKey;
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
    fn what_is_known_of_a_name_fills_a_cache_line() {
        assert_eq!(size_of::<Known>(), 64);
    }

    #[test]
    fn a_name_is_another_topic_on_another_broker() {
        let names = Names::default();
        let here = names.topic(HERE, "a/b").hash;
        assert_ne!(here, names.topic(THERE, "a/b").hash);
        assert_eq!(here, names.topic(HERE, "a/b").hash);
    }

    fn search(names: &mut Names, topic: Topic<'_>, tree: &Tree) {
        let mut walk = Walk::default();
        assert!(tree.matching(&topic, usize::MAX, &mut walk, &mut Vec::new()));
        names.remember(topic, tree, &walk);
    }

    #[test]
    fn what_takes_a_name_is_remembered_until_the_tree_grows_on_its_way() {
        let (mut names, mut tree) = (Names::default(), Tree::default());
        tree.insert("a/+", SubscriptionKey(1));
        let topic = names.topic(HERE, "a/b");
        assert_eq!(names.taking(topic, &tree), None);
        search(&mut names, topic, &tree);
        tree.insert("a/+", SubscriptionKey(2));
        tree.insert("a/+/c/d", SubscriptionKey(3));
        assert_eq!(names.taking(topic, &tree), None);
        search(&mut names, topic, &tree);
        tree.insert("a/+/c/e", SubscriptionKey(4));
        assert_eq!(names.taking(topic, &tree), Some(&[2][..]));
        tree.insert("a/b", SubscriptionKey(5));
        assert_eq!(names.taking(topic, &tree), None);
        search(&mut names, topic, &tree);
        assert_eq!(names.taking(topic, &tree).map(<[_]>::len), Some(2));
    }

    #[test]
    fn what_takes_a_name_by_many_levels_is_not_remembered() {
        let (mut names, mut tree) = (Names::default(), Tree::default());
        let topic = names.topic(HERE, "a/b/c/d");
        for filter in ["#", "a/#", "a/b/#"] {
            search(&mut names, topic, &tree);
            assert!(names.taking(topic, &tree).is_some());
            tree.insert(filter, SubscriptionKey(1));
        }
        tree.insert("a/b/c/d", SubscriptionKey(1));
        tree.insert("a/b/c/#", SubscriptionKey(1));
        search(&mut names, topic, &tree);
        assert_eq!(names.taking(topic, &tree), None);
    }

    #[test]
    fn a_name_that_made_room_for_another_keeps_what_was_remembered() {
        let (mut names, mut tree) = (Names::default(), Tree::default());
        tree.insert("#", SubscriptionKey(1));
        let first = names.topic(HERE, "0");
        search(&mut names, first, &tree);
        let place = |topic: Topic<'_>| topic.hash as usize % PAIRS;
        let mut others = (1..).map(|at: u32| at.to_string());
        let beside = others.find(|name| place(names.topic(HERE, name)) == place(first));
        let beside = beside.unwrap();
        names.shared(names.topic(HERE, &beside));
        assert_eq!(names.taking(first, &tree), Some(&[1][..]));
    }
}
