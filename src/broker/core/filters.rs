//! The subscriptions of all sessions: a tree over the levels of topic filters.
//!
//! The levels of a filter or topic are limited ([`LEVELS`]), so walking the tree is bounded in
//! depth whatever a client sends.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};

use super::session::SessionKey;
use crate::mqtt::QoS;
use crate::mqtt::topic::{self, FilterTree, PausedMatching};

/// Levels that a topic or filter may have; mosquitto's limit as well.
pub(super) const LEVELS: usize = 200;

/// The options of one subscription as they were granted (5.0 §3.8.3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Granted {
    /// Maximum QoS of deliveries.
    pub(super) qos: QoS,
    /// Not to the Client that published ([MQTT-3.8.3-3]).
    pub(super) no_local: bool,
    /// The RETAIN flag is passed on as the publisher set it ([MQTT-3.3.1-13]).
    pub(super) retain_as_published: bool,
    /// Subscription Identifier (5.0 §3.8.2.1.2).
    pub(super) identifier: Option<u32>,
}

/// A subscription that a topic matched.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Match {
    pub(super) session: SessionKey,
    pub(super) qos: QoS,
    pub(super) retain_as_published: bool,
    /// Each with the order of its subscription.
    identifiers: Vec<(u64, u32)>,
    order: u64,
}

/// The search for the subscriptions that a topic matches: it may stop after any number of steps.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Where it has come to; `None` before the first step.
    paused: Option<PausedMatching>,
    complete: bool,
    /// By the order of subscription.
    found: BTreeMap<u64, Match>,
    /// Where in `found` a session stands for its own subscriptions.
    orders: HashMap<SessionKey, u64>,
}

/// One session's subscription to one filter.
#[derive(Clone, Copy, Debug)]
struct Entry {
    session: SessionKey,
    granted: Granted,
    /// When it was entered, counted: deliveries go out in this order.
    order: u64,
}

/// The members of one shared subscription (5.0 §4.8.2) and the place of the next turn.
#[derive(Debug, Default)]
struct Group {
    /// By session.
    members: Vec<Entry>,
    /// A cell, since matching a topic moves the turn and changes nothing else.
    turn: Cell<usize>,
}

/// The subscriptions to one topic filter.
#[derive(Debug, Default)]
struct Subscribers {
    /// By session.
    entries: Vec<Entry>,
    groups: BTreeMap<Box<str>, Group>,
}

/// All subscriptions of all sessions.
#[derive(Debug, Default)]
pub(super) struct Filters {
    tree: FilterTree<Subscribers>,
    /// Subscriptions entered so far: the order of the next.
    entered: u64,
}

/// A topic filter in its parts: `$share/GROUP/FILTER`, or a filter alone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Target<'a> {
    pub(super) group: Option<&'a str>,
    pub(super) filter: &'a str,
}

impl<'a> Target<'a> {
    /// `None` where the filter is not valid (5.0 §4.7.1, §4.8.2), or has more than
    /// [`LEVELS`] levels. Shared subscriptions are known to Clients of every version, as
    /// with mosquitto: 3.x could not ask for them otherwise.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if !topic::is_filter(text) || text.split('/').count() > LEVELS {
            return None;
        }
        Some(match topic::Shared::of(text) {
            Some(shared) => Self {
                group: Some(shared.group),
                filter: shared.filter,
            },
            None => Self {
                group: None,
                filter: text,
            },
        })
    }
}

/// Whether `name` may be published to: a topic name with at most [`LEVELS`] levels.
pub(super) fn is_topic_name(name: &str) -> bool {
    topic::is_name(name) && name.split('/').count() <= LEVELS
}

impl Filters {
    /// Whether there is no subscription.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    /// Enters a subscription, or replaces its options in its place ([MQTT-3.8.4-3]). Returns
    /// whether it is new.
    pub(super) fn subscribe(
        &mut self,
        target: Target<'_>,
        session: SessionKey,
        granted: Granted,
    ) -> bool {
        let Some(there) = self.tree.get_or_default(target.filter) else {
            return false;
        };
        let entries = match target.group {
            Some(group) => &mut there.groups.entry(group.into()).or_default().members,
            None => &mut there.entries,
        };
        match entries.binary_search_by_key(&session, |entry| entry.session) {
            Ok(at) => {
                if let Some(entry) = entries.get_mut(at) {
                    entry.granted = granted;
                }
                false
            }
            Err(at) => {
                self.entered += 1;
                let entry = Entry {
                    session,
                    granted,
                    order: self.entered,
                };
                entries.insert(at, entry);
                true
            }
        }
    }

    /// Removes a subscription, and the filter's place in the tree with the last of them.
    pub(super) fn unsubscribe(&mut self, target: Target<'_>, session: SessionKey) {
        let Some(there) = self.tree.get_mut(target.filter) else {
            return;
        };
        match target.group {
            None => remove(&mut there.entries, session),
            Some(name) => {
                if let Some(group) = there.groups.get_mut(name) {
                    remove(&mut group.members, session);
                    if group.members.is_empty() {
                        there.groups.remove(name);
                    }
                }
            }
        }
        if there.entries.is_empty() && there.groups.is_empty() {
            self.tree.remove(target.filter);
        }
    }

    /// Goes on with the search for the sessions that get an application message for `topic`: each
    /// once for all its own subscriptions, with the highest QoS among them ([MQTT-3.3.4-2]), and
    /// once more for each shared subscription whose turn it is. Stops where `steps` are used up.
    ///
    /// `online` is whether a session has a connection: a group's turn goes to one that has.
    pub(super) fn search(
        &self,
        topic: &str,
        publisher: SessionKey,
        online: impl Fn(SessionKey) -> bool,
        search: &mut Search,
        steps: &mut usize,
    ) {
        let mut walk = match &search.paused {
            None => self.tree.matching(topic, *steps),
            Some(paused) => self.tree.resume(topic, paused, *steps),
        };
        let mut members = 0;
        while let Some(there) = walk.next() {
            for entry in &there.entries {
                if !(entry.granted.no_local && publisher == entry.session) {
                    search.add(entry);
                }
            }
            for group in there.groups.values() {
                if let Some(found) = group.next(&online) {
                    search.found.insert(found.order, found);
                }
                members += group.members.len();
            }
            members += there.entries.len();
            if members >= walk.budget_left() {
                break;
            }
        }
        *steps = walk.budget_left().saturating_sub(members);
        search.complete = walk.is_complete();
        search.paused = Some(walk.pause());
    }
}

/// Removes a session from a list by session.
fn remove(entries: &mut Vec<Entry>, session: SessionKey) {
    if let Ok(at) = entries.binary_search_by_key(&session, |entry| entry.session) {
        entries.remove(at);
    }
}

impl Search {
    /// Whether every filter was looked at.
    pub(super) const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether nothing was found that was not taken.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Takes what was found, in the order in which they subscribed.
    pub(super) fn next(&mut self) -> Option<Match> {
        self.found.pop_first().map(|(_, found)| found)
    }

    /// Adds a session's own subscription to its others.
    fn add(&mut self, entry: &Entry) {
        let before = self.orders.get(&entry.session).copied();
        let mut found = match before.and_then(|order| self.found.remove(&order)) {
            Some(mut found) => {
                found.join(entry);
                found
            }
            None => Match::of(entry),
        };
        found.order = found.order.min(entry.order);
        self.orders.insert(entry.session, found.order);
        self.found.insert(found.order, found);
    }
}

impl Group {
    /// Chooses the member whose turn it is: turns go round among those that are connected; while
    /// none is, among all, so that the message waits in one session.
    fn next(&self, online: impl Fn(SessionKey) -> bool) -> Option<Match> {
        let count = self.members.len();
        let turns = (0..count).map(|step| (self.turn.get() + step) % count.max(1));
        let chosen = turns
            .clone()
            .find(|&at| self.members.get(at).is_some_and(|m| online(m.session)))
            .or_else(|| turns.clone().next())?;
        self.turn.set((chosen + 1) % count.max(1));
        self.members.get(chosen).map(Match::of)
    }
}

impl Match {
    fn of(entry: &Entry) -> Self {
        Self {
            session: entry.session,
            qos: entry.granted.qos,
            retain_as_published: entry.granted.retain_as_published,
            identifiers: identifier(entry).into_iter().collect(),
            order: entry.order,
        }
    }

    /// Adds another subscription of the same session: the highest QoS, every identifier
    /// ([MQTT-3.3.4-2], [MQTT-3.3.4-4]).
    fn join(&mut self, entry: &Entry) {
        self.qos = self.qos.max(entry.granted.qos);
        self.retain_as_published |= entry.granted.retain_as_published;
        self.identifiers.extend(identifier(entry));
    }

    /// The Subscription Identifiers, in the order of subscription.
    pub(super) fn identifiers(mut self) -> Vec<u32> {
        self.identifiers.sort_unstable();
        self.identifiers.into_iter().map(|(_, id)| id).collect()
    }
}

/// The Subscription Identifier with the order of its subscription.
fn identifier(entry: &Entry) -> Option<(u64, u32)> {
    Some((entry.order, entry.granted.identifier?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn granted(qos: QoS) -> Granted {
        Granted {
            qos,
            no_local: false,
            retain_as_published: false,
            identifier: None,
        }
    }

    /// All matches, found in steps of three.
    fn matches(filters: &Filters, topic: &str, online: impl Fn(SessionKey) -> bool) -> Vec<Match> {
        let mut search = Search::default();
        while !search.is_complete() {
            filters.search(topic, SessionKey(999), &online, &mut search, &mut 3);
        }
        std::iter::from_fn(|| search.next()).collect()
    }

    fn found(filters: &Filters, topic: &str) -> Vec<u64> {
        let found = matches(filters, topic, |_| true);
        found.iter().map(|found| found.session.0).collect()
    }

    #[test]
    fn the_tree_selects_as_the_specification_requires() {
        let mut filters = Filters::default();
        for (key, filter) in ["handong/csee/#", "handong/+/b", "#", "$SYS/#", "+/x"]
            .into_iter()
            .enumerate()
        {
            let target = Target::parse(filter).unwrap();
            filters.subscribe(target, SessionKey(key as u64), granted(QoS::AtMostOnce));
        }
        assert_eq!(found(&filters, "handong/csee"), [0, 2]);
        assert_eq!(found(&filters, "handong/csee/b"), [0, 1, 2]);
        assert_eq!(found(&filters, "handong/mec/a"), [2]);
        assert_eq!(found(&filters, "$SYS/a"), [3]);
        assert_eq!(found(&filters, "$SYS/x"), [3]);
        assert_eq!(found(&filters, "/x"), [2, 4]);
    }

    #[test]
    fn overlapping_subscriptions_of_one_session_give_one_delivery_at_the_highest_qos() {
        let mut filters = Filters::default();
        for (filter, qos, identifier) in [
            ("a/#", QoS::AtLeastOnce, 1),
            ("a/b", QoS::ExactlyOnce, 2),
            ("+/b", QoS::AtMostOnce, 3),
        ] {
            let granted = Granted {
                identifier: Some(identifier),
                ..granted(qos)
            };
            filters.subscribe(Target::parse(filter).unwrap(), SessionKey(1), granted);
        }
        let mut out = matches(&filters, "a/b", |_| true);
        assert_eq!(out.len(), 1);
        assert_eq!(out[0].qos, QoS::ExactlyOnce);
        assert_eq!(out.remove(0).identifiers(), [1, 2, 3]);
    }

    #[test]
    fn a_shared_subscription_takes_turns_among_those_that_are_connected() {
        let mut filters = Filters::default();
        for key in 1..=3 {
            let target = Target::parse("$share/g/jobs/#").unwrap();
            filters.subscribe(target, SessionKey(key), granted(QoS::AtLeastOnce));
        }
        let mut turns = Vec::new();
        for _ in 0..4 {
            let out = matches(&filters, "jobs/1", |key| key != SessionKey(2));
            turns.extend(out.iter().map(|found| found.session.0));
        }
        assert_eq!(turns, [1, 3, 1, 3]);
    }

    #[test]
    fn malformed_filters_and_shares_are_refused() {
        for bad in [
            "",
            "a/#/b",
            "a#",
            "a+/b",
            "#a",
            "$share/",
            "$share/g",
            "$share/g/",
            "$share//a",
            "$share/g+/a",
        ] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
        assert!(Target::parse(&"a/".repeat(LEVELS)).is_none());
        for good in ["/", "+", "#", "a//b", "$share/g//", "$SYS/#"] {
            assert!(Target::parse(good).is_some(), "{good}");
        }
    }

    proptest! {
        #[test]
        fn the_tree_and_the_plain_comparison_agree(
            filters in proptest::collection::vec("([ab+]/){0,3}[ab+#]|[$]a(/[ab+#])?", 1..12),
            topic in "([ab]/){0,3}[ab]|[$]a(/[ab])?",
        ) {
            let mut tree = Filters::default();
            let mut expected = Vec::new();
            for (key, filter) in filters.iter().enumerate() {
                tree.subscribe(
                    Target::parse(filter).unwrap(),
                    SessionKey(key as u64),
                    granted(QoS::AtMostOnce),
                );
                if crate::mqtt::topic::matches(filter, &topic) {
                    expected.push(key as u64);
                }
            }
            prop_assert_eq!(found(&tree, &topic), expected);
            for (key, filter) in filters.iter().enumerate() {
                tree.unsubscribe(Target::parse(filter).unwrap(), SessionKey(key as u64));
            }
            prop_assert!(tree.tree.is_empty());
        }
    }
}
