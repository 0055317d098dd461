//! Topic filters as a tree of levels: which subscriptions take a topic name.

use foldhash::HashMap;

use super::caps;

/// Names one subscription for as long as the analysis runs.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct SubscriptionKey(pub(super) u64);

/// The filters of one broker.
#[derive(Debug)]
pub(super) struct Tree {
    /// The root is the first; levels are never removed, only emptied.
    levels: Vec<Level>,
    /// The latest level below each; 0 for none.
    newest_below: Vec<u32>,
}

#[derive(Debug, Default)]
struct Level {
    /// By the filter's next level. The first stands apart, for most levels have but one below
    /// them, and those below `+` and `#`, for every topic is held against them.
    first: Option<(Box<str>, u32)>,
    below: HashMap<Box<str>, u32>,
    any: Option<u32>,
    many: Option<u32>,
    here: Vec<SubscriptionKey>,
}

impl Level {
    fn next(&self, part: &str) -> Option<u32> {
        match part {
            "+" => self.any,
            "#" => self.many,
            part => self.named(part),
        }
    }

    fn named(&self, part: &str) -> Option<u32> {
        match &self.first {
            Some((first, next)) if **first == *part => Some(*next),
            _ => self.below.get(part).copied(),
        }
    }

    fn add(&mut self, part: &str, next: u32) {
        match part {
            "+" => self.any = Some(next),
            "#" => self.many = Some(next),
            part if self.first.is_none() => self.first = Some((part.into(), next)),
            part => {
                self.below.insert(part.into(), next);
            }
        }
    }
}

/// Room for the search through a tree.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Ways of a topic that are still to be gone: a level, and from which octet on the topic
    /// lies below it; `None` behind its end.
    ways: Vec<(u32, Option<usize>)>,
    /// The levels that it came by.
    pub(super) passed: Vec<u32>,
    /// The levels whose subscriptions take the topic.
    pub(super) taking: Vec<u32>,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            levels: vec![Level::default()],
            newest_below: vec![0],
        }
    }
}

impl Tree {
    /// Levels that the tree holds.
    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// Adds a subscription to `filter`.
    pub(super) fn insert(&mut self, filter: &str, key: SubscriptionKey) {
        let mut at = 0;
        for part in filter.split('/') {
            let Some(level) = self.levels.get(at) else {
                return;
            };
            at = match level.next(part) {
                Some(next) => next as usize,
                None => {
                    let next = self.levels.len();
                    let Ok(number) = u32::try_from(next) else {
                        return;
                    };
                    self.levels.push(Level::default());
                    self.newest_below.push(0);
                    if let Some(newest) = self.newest_below.get_mut(at) {
                        *newest = number;
                    }
                    if let Some(level) = self.levels.get_mut(at) {
                        level.add(part, number);
                    }
                    next
                }
            };
        }
        if let Some(level) = self.levels.get_mut(at) {
            level.here.push(key);
        }
    }

    /// Removes a subscription to `filter`.
    pub(super) fn remove(&mut self, filter: &str, key: SubscriptionKey) {
        let mut at = 0;
        for part in filter.split('/') {
            match self.levels.get(at).and_then(|level| level.next(part)) {
                Some(next) => at = next as usize,
                None => return,
            }
        }
        if let Some(level) = self.levels.get_mut(at) {
            level.here.retain(|other| *other != key);
        }
    }

    /// Appends the subscriptions that take `topic` to `found` (MQTT 5.0 §4.7), at most
    /// `most` of them; whether those are all. If so, `walk` knows their levels: those take the
    /// topic until [`Self::has_grown`] below one that it passed.
    pub(super) fn matching(
        &self,
        topic: &str,
        most: usize,
        walk: &mut Walk,
        found: &mut Vec<SubscriptionKey>,
    ) -> bool {
        let Walk {
            ways,
            passed,
            taking,
        } = walk;
        ways.clear();
        passed.clear();
        taking.clear();
        ways.push((0, Some(0)));
        let mut steps = 0;
        while let Some((at, from)) = ways.pop() {
            // Filters made for it can make a topic take very many ways.
            steps += 1;
            if steps > caps::STEPS_OF_A_MATCH || found.len() > most {
                found.truncate(most);
                return false;
            }
            let Some(level) = self.levels.get(at as usize) else {
                continue;
            };
            passed.push(at);
            // Filters that begin with a wildcard don't take topics that begin with $
            // ([MQTT-4.7.2-1]).
            let wildcards = at != 0 || !topic.starts_with('$');
            if wildcards && let Some(many) = level.many {
                // `a/#` takes `a` too.
                if let Some(level) = self.levels.get(many as usize) {
                    taking.push(many);
                    found.extend_from_slice(&level.here);
                }
            }
            let Some((from, rest)) = from.and_then(|from| Some((from, topic.get(from..)?))) else {
                taking.push(at);
                found.extend_from_slice(&level.here);
                continue;
            };
            let length = rest.bytes().position(|octet| octet == b'/');
            let part = rest.get(..length.unwrap_or(rest.len())).unwrap_or(rest);
            let below = length.map(|length| from + length + 1);
            if wildcards && let Some(any) = level.any {
                ways.push((any, below));
            }
            // No name has a level `+` or `#`: those stand apart.
            if let Some(same) = level.named(part) {
                ways.push((same, below));
            }
        }
        let all = found.len() <= most;
        found.truncate(most);
        all
    }

    /// Whether one of `levels` has got another level below it since the tree had `had` levels.
    pub(super) fn has_grown(&self, levels: &[u32], had: usize) -> bool {
        let newest = |at: &u32| self.newest_below.get(*at as usize).copied();
        let grown = |at: &u32| newest(at).is_some_and(|newest| newest as usize >= had);
        levels.iter().any(grown)
    }

    /// [`Self::matching`] for a topic of which `levels` are known to take it.
    pub(super) fn subscribed(
        &self,
        levels: &[u32],
        most: usize,
        found: &mut Vec<SubscriptionKey>,
    ) -> bool {
        for at in levels {
            if let Some(level) = self.levels.get(*at as usize) {
                found.extend_from_slice(&level.here);
            }
            if found.len() > most {
                found.truncate(most);
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::topic;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_tree_finds_what_each_filter_alone_takes(
            filters in prop::collection::vec("[ab+]{0,1}(/[ab+]{0,1}){0,3}(/#)?", 0..12),
            topic in "[ab$]{0,1}(/[ab]{0,1}){0,4}",
        ) {
            let mut tree = Tree::default();
            for (at, filter) in filters.iter().enumerate() {
                tree.insert(filter, SubscriptionKey(at as u64));
            }
            let mut found = Vec::new();
            let mut walk = Walk::default();
            prop_assert!(tree.matching(&topic, usize::MAX, &mut walk, &mut found));
            for most in 0..=found.len() {
                let (mut some, mut again) = (Vec::new(), Vec::new());
                let all = tree.matching(&topic, most, &mut Walk::default(), &mut some);
                prop_assert_eq!(all, most == found.len());
                prop_assert_eq!(all, tree.subscribed(&walk.taking, most, &mut again));
                prop_assert_eq!(some, again);
            }
            found.sort();
            let expected: Vec<_> = (0..filters.len())
                .filter(|at| topic::matches(&filters[*at], &topic))
                .map(|at| SubscriptionKey(at as u64))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }

    proptest! {
        #[test]
        fn what_takes_a_topic_is_known_until_a_level_that_was_passed_grows(
            filters in prop::collection::vec("[ab+]{0,1}(/[ab+]{0,1}){0,3}(/#)?", 0..12),
            before in 0..12_usize,
            topic in "[ab$]{0,1}(/[ab]{0,1}){0,4}",
        ) {
            let (mut tree, mut walk, mut found) = (Tree::default(), Walk::default(), Vec::new());
            let (mut passed, mut taking, mut had) = (Vec::new(), Vec::new(), 0);
            for (at, filter) in filters.iter().enumerate() {
                if at == before.min(filters.len() - 1) {
                    tree.matching(&topic, usize::MAX, &mut walk, &mut found);
                    passed.clone_from(&walk.passed);
                    taking.clone_from(&walk.taking);
                    had = tree.len();
                }
                tree.insert(filter, SubscriptionKey(at as u64));
            }
            if !tree.has_grown(&passed, had) {
                let (mut known, mut searched) = (Vec::new(), Vec::new());
                tree.subscribed(&taking, usize::MAX, &mut known);
                tree.matching(&topic, usize::MAX, &mut walk, &mut searched);
                prop_assert_eq!(known, searched);
            }
        }
    }

    #[test]
    fn a_removed_subscription_takes_nothing() {
        let mut tree = Tree::default();
        tree.insert("a/#", SubscriptionKey(1));
        tree.insert("a/#", SubscriptionKey(2));
        tree.remove("a/#", SubscriptionKey(1));
        let mut found = Vec::new();
        tree.matching("a", usize::MAX, &mut Walk::default(), &mut found);
        assert_eq!(found, [SubscriptionKey(2)]);
    }
}
