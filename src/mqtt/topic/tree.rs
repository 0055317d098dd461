//! Topic filters as a tree of their levels: which of many filters a topic name matches.
//!
//! ```text
//! a/+/c = 1        (root) -- a -- + -- c = 1
//! a/#   = 2                  |
//! b     = 3                  +--- # = 2
//!                  (root) -- b = 3
//! ```
//!
//! A topic name walks down from the root: at each level to the child of the same name, to `+`
//! and to `#`. So it costs as much as filters have levels in common with it, not as many as
//! there are.

use foldhash::HashMap;
use slab::Slab;

/// A map from topic filters to values, looked up by the topic name that the filters match.
///
/// Filters must be valid (see [`is_filter`](super::is_filter)) and without the prefix of a
/// shared subscription; one that is not is a filter that matches little or nothing, never an
/// error. No call recurses, so a filter of 65,535 levels takes no stack.
#[derive(Debug)]
pub struct FilterTree<T> {
    levels: Slab<Level<T>>,
    root: usize,
    most_levels: usize,
    /// Levels entered so far.
    entered: u64,
}

/// A level of a filter, found by the levels before it.
#[derive(Debug)]
struct Level<T> {
    /// Which of all levels ever entered it is: its place may be another's later.
    number: u64,
    /// The value of the filter that ends here.
    value: Option<T>,
    /// The level `+` below: kept beside the names since every topic name asks for it.
    single: Option<usize>,
    /// The level `#` below, likewise.
    multi: Option<usize>,
    /// Levels below by their text.
    named: HashMap<Box<str>, usize>,
}

impl<T> Level<T> {
    fn new(number: u64) -> Self {
        Self {
            number,
            value: None,
            single: None,
            multi: None,
            named: HashMap::default(),
        }
    }

    fn below(&self, part: &str) -> Option<usize> {
        match part {
            "+" => self.single,
            "#" => self.multi,
            part => self.named.get(part).copied(),
        }
    }

    /// Sets the level below, or removes it.
    fn link(&mut self, part: &str, below: Option<usize>) {
        match (part, below) {
            ("+", _) => self.single = below,
            ("#", _) => self.multi = below,
            (_, Some(below)) => drop(self.named.insert(part.into(), below)),
            (_, None) => drop(self.named.remove(part)),
        }
    }

    fn is_empty(&self) -> bool {
        self.value.is_none()
            && self.single.is_none()
            && self.multi.is_none()
            && self.named.is_empty()
    }
}

impl<T> Default for FilterTree<T> {
    /// A tree without a limit: the caller bounds what it inserts.
    fn default() -> Self {
        Self::with_limit(usize::MAX)
    }
}

impl<T> FilterTree<T> {
    /// A tree that never holds more than `most_levels` levels, over all filters.
    pub fn with_limit(most_levels: usize) -> Self {
        let mut levels = Slab::new();
        let root = levels.insert(Level::new(0));
        Self {
            levels,
            root,
            most_levels,
            entered: 0,
        }
    }

    /// Returns whether no filter has a value.
    pub fn is_empty(&self) -> bool {
        self.levels.len() <= 1
    }

    /// Returns the value of `filter`.
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut T> {
        let mut at = self.root;
        for part in filter.split('/') {
            at = self.levels.get(at)?.below(part)?;
        }
        self.levels.get_mut(at)?.value.as_mut()
    }

    /// Returns the value of `filter`, a default one where it has none yet; `None` where its
    /// levels could exceed the limit of the tree.
    pub fn get_or_default(&mut self, filter: &str) -> Option<&mut T>
    where
        T: Default,
    {
        let added = filter.split('/').count();
        if self.levels.len().saturating_add(added) > self.most_levels {
            return self.get_mut(filter);
        }
        let mut at = self.root;
        for part in filter.split('/') {
            at = match self.levels.get(at)?.below(part) {
                Some(below) => below,
                None => {
                    self.entered += 1;
                    let below = self.levels.insert(Level::new(self.entered));
                    self.levels.get_mut(at)?.link(part, Some(below));
                    below
                }
            };
        }
        Some(self.levels.get_mut(at)?.value.get_or_insert_default())
    }

    /// Removes the value of `filter`, and the levels that no other filter has.
    pub fn remove(&mut self, filter: &str) -> Option<T> {
        let mut at = self.root;
        let mut above = Vec::new();
        for part in filter.split('/') {
            above.push((at, part));
            at = self.levels.get(at)?.below(part)?;
        }
        let value = self.levels.get_mut(at)?.value.take();
        while let Some((parent, part)) = above.pop() {
            if !self.levels.get(at).is_some_and(Level::is_empty) {
                break;
            }
            self.levels.try_remove(at);
            self.levels.get_mut(parent)?.link(part, None);
            at = parent;
        }
        value
    }

    /// Returns the values of all filters that match the topic name `name`, each once, in no
    /// particular order.
    ///
    /// `budget` bounds the levels that are visited: filters made for it (`+/+/a`, `+/a/+`, ...)
    /// let one name visit a number of levels exponential in its length. Where it is used up the
    /// iterator ends early, see [`Matching::is_complete`].
    pub fn matching<'t, 'n>(&'t self, name: &'n str, budget: usize) -> Matching<'t, 'n, T> {
        Matching {
            tree: self,
            // A filter that begins with a wildcard matches no name that begins with $
            // ([MQTT-4.7.2-1]).
            reserved: name.starts_with('$'),
            pending: vec![(self.root, Some(name))],
            budget,
        }
    }
}

impl<T> FilterTree<T> {
    /// Goes on with a walk for the topic name `name` that was paused. A filter that was removed in
    /// the meantime is not found any more, one that was added may be.
    pub fn resume<'t, 'n>(
        &'t self,
        name: &'n str,
        paused: &PausedMatching,
        budget: usize,
    ) -> Matching<'t, 'n, T> {
        let same = |at: usize, number| self.levels.get(at).is_some_and(|l| l.number == number);
        let below = |left: usize| name.get(name.len().saturating_sub(left)..);
        let pending = paused.pending.iter();
        Matching {
            tree: self,
            reserved: name.starts_with('$'),
            pending: pending
                .filter(|&&(at, number, _)| same(at, number))
                .map(|&(at, _, left)| (at, left.and_then(below)))
                .collect(),
            budget,
        }
    }
}

/// Where a walk of [`Matching`] has come to: it holds nothing of the tree, which may change.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PausedMatching {
    /// Levels still to be visited: place, number, and bytes of the topic name below it.
    pending: Vec<(usize, u64, Option<usize>)>,
}

/// The values of the filters that match a topic name, see [`FilterTree::matching`].
#[derive(Debug)]
pub struct Matching<'t, 'n, T> {
    tree: &'t FilterTree<T>,
    reserved: bool,
    /// Levels still to be visited, each with the part of the name below it; `None` behind its
    /// last level. A visited level is replaced by three at most, one level further down, so
    /// this is bounded by three times the depth of the tree.
    pending: Vec<(usize, Option<&'n str>)>,
    budget: usize,
}

impl<T> Matching<'_, '_, T> {
    /// Returns whether nothing was left out because the budget was used up; of meaning once
    /// the iterator has ended.
    pub fn is_complete(&self) -> bool {
        self.pending.is_empty()
    }

    /// Leaves the walk where it is, for [`FilterTree::resume`].
    pub fn pause(self) -> PausedMatching {
        let number = |at: usize| self.tree.levels.get(at).map_or(u64::MAX, |l| l.number);
        let pending = self.pending.iter();
        PausedMatching {
            pending: pending
                .map(|&(at, rest)| (at, number(at), rest.map(str::len)))
                .collect(),
        }
    }

    /// Returns how many more levels may be visited.
    pub const fn budget_left(&self) -> usize {
        self.budget
    }
}

impl<'t, T> Iterator for Matching<'t, '_, T> {
    type Item = &'t T;

    fn next(&mut self) -> Option<&'t T> {
        while self.budget > 0 {
            let (at, rest) = self.pending.pop()?;
            self.budget -= 1;
            let Some(level) = self.tree.levels.get(at) else {
                continue;
            };
            let wildcards = at != self.tree.root || !self.reserved;
            if let Some(rest) = rest {
                let (part, below) = first_level(rest);
                if wildcards && let Some(single) = level.single {
                    self.pending.push((single, below));
                }
                // A level of a name that looks like a wildcard is none, so `below` is not asked.
                if let Some(same) = level.named.get(part) {
                    self.pending.push((*same, below));
                }
            }
            // `a/#` matches `a` too ([MQTT-4.7.1-2] of 3.1.1, §4.7.1.2).
            if wildcards && let Some(multi) = level.multi {
                self.pending.push((multi, None));
            }
            if rest.is_none() && level.value.is_some() {
                return level.value.as_ref();
            }
        }
        None
    }
}

/// Returns the first level of a topic name, and what comes below it.
fn first_level(name: &str) -> (&str, Option<&str>) {
    // By bytes: levels are short, and a search for a character takes three times as long.
    let end = name.bytes().position(|byte| byte == b'/');
    match end.and_then(|end| name.split_at_checked(end)) {
        Some((level, below)) => (level, below.strip_prefix('/')),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter;
    use super::*;
    use proptest::prelude::*;

    const FILTERS: &str = "[$]?[ab+]{0,1}(/[ab+]{0,1}){0,3}(/#)?|#";
    const NAMES: &str = "[$]?[ab]{0,1}(/[ab]{0,1}){0,4}";

    fn found(tree: &FilterTree<Vec<usize>>, name: &str) -> Vec<usize> {
        let mut matching = tree.matching(name, usize::MAX);
        let mut found: Vec<usize> = matching.by_ref().flatten().copied().collect();
        assert!(matching.is_complete());
        found.sort_unstable();
        found
    }

    proptest! {
        #[test]
        fn the_tree_finds_what_each_filter_alone_matches(
            filters in prop::collection::vec(FILTERS, 0..12),
            removed in prop::collection::vec(any::<bool>(), 12),
            name in NAMES,
        ) {
            let mut tree = FilterTree::<Vec<usize>>::default();
            for (at, filter) in filters.iter().enumerate() {
                tree.get_or_default(filter).unwrap().push(at);
            }
            for gone in [false, true] {
                let there = |at: &usize| !(gone && removed[*at]);
                let expected: Vec<usize> = (0..filters.len())
                    .filter(|at| there(at) && filter::matches(&filters[*at], &name))
                    .collect();
                prop_assert_eq!(found(&tree, &name), expected);
                for (at, filter) in filters.iter().enumerate().filter(|(at, _)| removed[*at]) {
                    if let Some(values) = tree.get_mut(filter) {
                        values.retain(|value| *value != at);
                        if values.is_empty() {
                            tree.remove(filter);
                        }
                    }
                }
            }
            for filter in &filters {
                tree.remove(filter);
            }
            prop_assert!(tree.is_empty());
        }

        #[test]
        fn a_budget_cuts_the_walk_short_and_the_walk_reports_it(
            filters in prop::collection::vec(FILTERS, 1..12),
            name in NAMES,
            budget in 0..20_usize,
        ) {
            let mut tree = FilterTree::<Vec<usize>>::default();
            for filter in &filters {
                tree.get_or_default(filter).unwrap().push(0);
            }
            let all = found(&tree, &name).len();
            let mut matching = tree.matching(&name, budget);
            let some = matching.by_ref().map(Vec::len).sum::<usize>();
            prop_assert!(matching.budget_left() <= budget);
            prop_assert!(matching.is_complete() || matching.budget_left() == 0);
            prop_assert!(some == all || (some < all && !matching.is_complete()));
        }

        #[test]
        fn a_walk_in_steps_finds_what_a_whole_one_does_but_for_filters_that_are_gone(
            filters in prop::collection::vec(FILTERS, 1..12),
            removed in prop::collection::vec(any::<bool>(), 12),
            name in NAMES,
            budget in 1..6_usize,
        ) {
            let mut tree = FilterTree::<Vec<usize>>::default();
            for (at, filter) in filters.iter().enumerate() {
                tree.get_or_default(filter).unwrap().push(at);
            }
            let mut in_steps = Vec::new();
            let mut walk = tree.matching(&name, budget);
            loop {
                in_steps.extend(walk.by_ref().flatten().copied());
                if walk.is_complete() {
                    break;
                }
                let paused = walk.pause();
                walk = tree.resume(&name, &paused, budget);
            }
            in_steps.sort_unstable();
            prop_assert_eq!(&in_steps, &found(&tree, &name));

            let mut walk = tree.matching(&name, budget);
            let mut some: Vec<usize> = walk.by_ref().flatten().copied().collect();
            let paused = walk.pause();
            let gone = |at: &usize| removed[*at];
            for at in (0..filters.len()).filter(gone) {
                tree.remove(&filters[at]);
            }
            // Their places are taken by others.
            for number in 0..filters.len() {
                tree.get_or_default(&format!("other/{number}")).unwrap().push(usize::MAX);
            }
            let rest = tree.resume(&name, &paused, usize::MAX);
            some.extend(rest.flatten().copied());
            some.sort_unstable();
            prop_assert!(some.iter().all(|at| in_steps.contains(at)));
            prop_assert!(found(&tree, &name).iter().all(|at| some.contains(at)));
        }

        #[test]
        fn a_tree_never_grows_beyond_its_limit(
            filters in prop::collection::vec(FILTERS, 0..12),
            limit in 1..12_usize,
        ) {
            let mut tree = FilterTree::<Vec<usize>>::with_limit(limit);
            for filter in &filters {
                if let Some(values) = tree.get_or_default(filter) {
                    values.push(0);
                }
                prop_assert!(tree.levels.len() <= limit);
            }
        }
    }

    #[test]
    fn a_filter_of_very_many_levels_takes_no_stack() {
        let filter = "/".repeat(65_535);
        let mut tree = FilterTree::<Vec<usize>>::default();
        tree.get_or_default(&filter).unwrap().push(1);
        assert_eq!(found(&tree, &filter), [1]);
        assert_eq!(tree.remove(&filter), Some(vec![1]));
        assert!(tree.is_empty());
    }
}
