//! The state of the analysis: plain data in tables, which draw no conclusions.
//!
//! Tables keep their indexes private; the records in them (a connection, a session, a message)
//! are plain data with open fields.
//!
//! | file | holds |
//! |---|---|
//! | `brokers` | which server endpoints are one broker; its topic filters |
//! | `open` | a handshake that goes on |
//! | `link` | a connection |
//! | `sessions` | the clients' sessions and their subscriptions |
//! | `unread` | messages whose acknowledgement may not have been read |
//! | `takeovers` | client identifiers that several connections took |
//! | `message` | an application message, the deliveries that are expected of it, a copy |
//! | `repeats` | which messages came more than once |
//! | `messages` | the table of messages |
//! | `retained`, `wills` | stored messages; wills |
//!
//! Layers: `brokers, open, repeats <- link, sessions, message <- takeovers, unread, messages <- retained, wills <- State`.

pub(crate) mod brokers;
pub(crate) mod link;
pub(crate) mod message;
pub(crate) mod messages;
pub(crate) mod open;
pub(crate) mod repeats;
pub(crate) mod retained;
pub(crate) mod sessions;
pub(crate) mod takeovers;
pub(crate) mod unread;
pub(crate) mod wills;
pub(crate) mod window;

use std::cell::Cell;
use std::collections::VecDeque;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use super::caps;
use super::keys::{BrokerId, SessionKey, StoredKey, SubscriptionKey, Topic, takes};
use crate::base::FrameStamp;
use crate::base::limits::Limits;
use crate::event::{Needs, Undelivered};
use crate::mqtt::packet::Publish;
use crate::mqtt::topic::matching_part;
use crate::mqtt::{BySender, PropertyId, PropertyValue, ProtocolVersion, QoS};
use crate::stream::ConnectionId;
use brokers::{Broker, Brokers, Past};
use link::{Link, Standing};
use message::{Carried, Unexplained};
use messages::Messages;
use retained::Retained;
use sessions::{ClientSession, Sessions, Subscription};
use takeovers::AllTakeovers;
use unread::Unread;
use wills::Wills;

/// Topic names that are shared at a time.
const NAMES: usize = 4096;

/// Everything that is known of the traffic so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The conclusions that are wanted.
    pub(crate) wanted: Needs,
    /// The limits of the run.
    pub(crate) limits: Limits,
    /// The latest frame: the clock of the capture.
    pub(crate) now: FrameStamp,
    /// By end: connections of which only what the other end sent was captured, and the frame that
    /// shows the first.
    pub(crate) one_direction: BySender<(u64, FrameStamp)>,
    /// Two captures, or two parts of one, have clocks that differ.
    pub(crate) clocks_differ: bool,
    /// Brokers, and their topic filters.
    pub(crate) brokers: Brokers,
    /// Open connections. One is taken out while a packet of it is acted on.
    pub(crate) links: HashMap<ConnectionId, Box<Link>>,
    /// Sessions, and their subscriptions.
    pub(crate) sessions: Sessions,
    /// Takeovers of client identifiers.
    pub(crate) takeovers: AllTakeovers,
    /// Messages that may rightly be sent again.
    pub(crate) unread: Unread,
    /// Messages on their way.
    pub(crate) messages: Messages,
    /// The copy that nothing explained just now.
    pub(crate) unexplained: Option<Unexplained>,
    /// Stored messages.
    pub(crate) retained: Retained,
    /// Wills that may still be published.
    pub(crate) wills: Wills,
    /// Topic names by their hash: one that comes again is the same string again.
    names: HashMap<u64, Arc<str>>,
    /// Handshakes that go on, of all connections and suspended ones.
    pub(crate) open_handshakes: usize,
    /// The filters that those keep.
    pub(crate) open_filters: usize,
    /// How connections that have ended stood then, as far as that is remembered.
    departed: HashMap<ConnectionId, Standing>,
    /// Those in the order of their ends.
    departures: VecDeque<ConnectionId>,
    /// The latest message of each stream whose order is watched, by its place in order, and the
    /// frame of its copy. A stream is of one publisher to one topic for one subscriber, at the two
    /// QoS; the key is the hash of these.
    pub(crate) ordered: HashMap<u64, (u64, u64)>,
    /// Subscriptions that may still be found beyond those that traffic has earned, see
    /// [`Limits::matches_ahead`].
    ahead: Cell<usize>,
    /// A search for subscriptions was cut short.
    cut_short: Cell<bool>,
    /// Seeded: what it hashes comes from the network.
    hash: RandomState,
}

impl State {
    /// Returns the state before the first frame.
    pub(crate) fn new(wanted: Needs, limits: Limits) -> Self {
        Self {
            wanted,
            limits,
            ahead: Cell::new(limits.matches_ahead),
            ..Self::default()
        }
    }

    /// Returns a seeded hash.
    pub(crate) fn hash_of(&self, value: impl Hash) -> u64 {
        self.hash.hash_one(value)
    }

    /// Returns the digest of topic name and payload: equal messages have the same, on whichever
    /// broker, since a message may pass from one to another.
    pub(crate) fn digest(&self, topic: Topic<'_>, payload: &[u8]) -> u64 {
        self.hash_of((topic.name_hash, payload))
    }

    /// Returns what a PUBLISH brings along for its subscribers (5.0 §3.3.2.3).
    pub(crate) fn carried(&self, publish: &Publish<'_>, version: ProtocolVersion) -> Carried {
        if version != ProtocolVersion::V5_0 {
            return Carried::default();
        }
        let mut hasher = self.hash.build_hasher();
        let mut expiry = None;
        // User properties keep their order; the order of the others means nothing.
        let mut others = 0_u64;
        let mut any = false;
        for property in publish.properties.iter() {
            let value = property.value;
            match property.id {
                PropertyId::MESSAGE_EXPIRY_INTERVAL => expiry = value.number(),
                PropertyId::SUBSCRIPTION_IDENTIFIER | PropertyId::TOPIC_ALIAS => {}
                PropertyId::USER_PROPERTY => {
                    any = true;
                    if let PropertyValue::Pair(name, value) = value {
                        (name, value).hash(&mut hasher);
                    }
                }
                id => {
                    any = true;
                    let one = (id, value.number(), value.text(), value.binary());
                    others = others.wrapping_add(self.hash_of(one));
                }
            }
        }
        others.hash(&mut hasher);
        Carried {
            properties: Some(hasher.finish()),
            any,
            expiry,
        }
    }

    /// Returns a connection's session, once it is known which.
    pub(crate) fn session_of(&self, link: &Link) -> Option<&ClientSession> {
        self.sessions.get(link.session?)
    }

    /// Returns whether everything of a connection's session was captured, so that what was not
    /// seen was not sent.
    pub(crate) fn history_known(&self, link: &Link) -> bool {
        let session = self.session_of(link);
        link.connect_stamp.is_some() && session.is_some_and(|session| session.known && !session.cut)
    }

    /// Returns how a subscriber's connection stands now, or stood when it ended; `None` where that
    /// was forgotten.
    pub(crate) fn standing(&self, id: ConnectionId) -> Option<Standing> {
        match self.links.get(&id) {
            Some(link) => Some(link.standing(self.now, link.alive())),
            None => self.departed.get(&id).copied(),
        }
    }

    /// Remembers how a connection stood when it ended; returns whether the gaps of another one were
    /// forgotten for it.
    pub(crate) fn departs(&mut self, id: ConnectionId, stood: Standing) -> bool {
        self.departed.insert(id, stood);
        self.departures.push_back(id);
        if self.departures.len() <= self.limits.connections_with_gaps {
            return false;
        }
        let oldest = self.departures.pop_front();
        let forgotten = oldest.and_then(|oldest| self.departed.remove(&oldest));
        forgotten.is_some_and(|stood| stood.gaps > 0)
    }

    /// Remembers a subscription of a session that is over or was refused.
    pub(crate) fn note_past(
        &mut self,
        key: SessionKey,
        filter: &Arc<str>,
        why: Undelivered,
        since: FrameStamp,
    ) {
        let session = self.sessions.get(key).filter(|_| self.wanted.details);
        let Some(session) = session else {
            return;
        };
        let past = Past {
            client_id: session.summary.client_id.clone(),
            filter: Arc::clone(filter),
            why,
            since,
        };
        if let Some(broker) = self.brokers.get_mut(session.broker()) {
            broker.note_past(matching_part(filter), past);
        }
    }

    /// Returns the name of the stream in which the messages of one publisher to one topic reach a
    /// subscriber in order, published and delivered at these QoS (§4.6).
    pub(crate) fn stream(
        &self,
        subscriber: SessionKey,
        publisher: SessionKey,
        topic: u64,
        (published, delivered): (QoS, QoS),
    ) -> u64 {
        self.hash_of((subscriber, publisher, topic, published, delivered))
    }

    /// Returns the subscriptions that take a topic, as many as may be found now, and whether those are
    /// all.
    pub(crate) fn subscriptions_to(&self, topic: Topic<'_>) -> (Vec<SubscriptionKey>, bool) {
        let mut found = Vec::new();
        let Some(broker) = self.brokers.get(topic.broker) else {
            return (found, true);
        };
        let most = self.budget(topic.broker).min(self.limits.matches);
        let steps = self.steps(topic.broker);
        let mut matching = broker.tree.matching(topic.name, steps);
        for keys in &mut matching {
            let room = most + 1 - found.len();
            found.extend(keys.iter().map(|(_, key)| *key).take(room));
            if found.len() > most {
                break;
            }
        }
        let all = found.len() <= most && matching.is_complete();
        let taken = steps - matching.budget_left();
        found.truncate(most);
        self.pay(topic.broker, found.len(), taken);
        (found, all)
    }

    /// Returns the subscriptions of a session that take a topic, in the order in which they began;
    /// `None` where that is not known.
    pub(crate) fn taking(
        &self,
        key: SessionKey,
        topic: Topic<'_>,
    ) -> Option<Vec<(SubscriptionKey, &Subscription)>> {
        let session = self.sessions.get(key)?;
        // What takes a topic that is no filter, only its server knows.
        if session.breaks_filters {
            return None;
        }
        let mut own = Vec::new();
        let broker = self.brokers.get(topic.broker);
        let Some(broker) = broker.filter(|_| !session.subscriptions.is_empty()) else {
            return Some(own);
        };
        let steps = self.steps(topic.broker);
        let mut matching = broker.tree.matching(topic.name, steps);
        let of_session = (key, SubscriptionKey(0))..=(key, SubscriptionKey(u64::MAX));
        for keys in &mut matching {
            let keys = keys.range(of_session.clone()).map(|(_, key)| *key);
            own.extend(keys.filter_map(|key| Some((key, self.sessions.subscription(key)?))));
        }
        self.pay(topic.broker, 0, steps - matching.budget_left());
        if !matching.is_complete() {
            self.cut_short.set(true);
            return None;
        }
        own.sort_unstable_by_key(|(key, _)| *key);
        Some(own)
    }

    /// Returns whether a session has a subscription that takes a topic; `None` where that is not
    /// known.
    pub(crate) fn is_subscribed(&self, key: SessionKey, topic: Topic<'_>) -> Option<bool> {
        self.taking(key, topic).map(|taking| !taking.is_empty())
    }

    /// Returns whether a filter takes a topic; `None` where no more filters may be compared now.
    pub(crate) fn filter_takes(&self, filter: &str, topic: Topic<'_>) -> Option<bool> {
        /// Bytes that are compared in the time that a level of the tree takes.
        const BYTES: usize = 16;
        let cost = 1 + filter.len().min(topic.name.len()) / BYTES;
        if self.budget(topic.broker) < cost {
            self.cut_short.set(true);
            return None;
        }
        self.pay(topic.broker, cost, 0);
        Some(takes(filter, topic.name))
    }

    /// Returns the stored messages that a new subscription takes; by wildcards, where all are few
    /// enough to be looked through.
    pub(crate) fn stored_for(&self, filter: Topic<'_>) -> Vec<StoredKey> {
        if !filter.name.contains(['+', '#']) {
            return self.retained.find(filter.hash).into_iter().collect();
        }
        let all = self.retained.len();
        if all > caps::RETAINED_SEARCHED {
            return Vec::new();
        }
        let most = self.budget(filter.broker);
        if all > self.steps(filter.broker) {
            self.cut_short.set(true);
            return Vec::new();
        }
        let mut taken = self.retained.taken_by(filter);
        if taken.len() > most {
            self.cut_short.set(true);
            taken.truncate(most);
        }
        self.pay(filter.broker, taken.len(), all);
        taken
    }

    /// Returns whether a search was cut short since this was called last.
    pub(crate) fn was_cut_short(&self) -> bool {
        self.cut_short.take()
    }

    /// Adds the bytes of a packet to what may be searched of its broker.
    pub(crate) fn earn(&self, broker: BrokerId, bytes: usize) {
        if let Some(broker) = self.brokers.get(broker) {
            let earned = broker.earned.get().saturating_add(bytes);
            broker.earned.set(earned.min(self.limits.matches_ahead));
        }
    }

    /// Returns how many subscriptions of a broker may be found now.
    fn budget(&self, broker: BrokerId) -> usize {
        let broker = self.brokers.get(broker);
        let earned = broker.map_or(0, |broker| broker.earned.get());
        earned.saturating_add(self.ahead.get())
    }

    /// Returns how many levels of a broker's filters may be compared with a topic now.
    pub(crate) fn steps(&self, broker: BrokerId) -> usize {
        caps::STEPS_OF_A_MATCH.min(caps::STEPS_FREE.saturating_add(self.budget(broker)))
    }

    /// Takes subscriptions that were found, or levels of filters that were compared beyond those of an
    /// ordinary topic, from what may be searched of a broker.
    pub(crate) fn pay(&self, broker: BrokerId, found: usize, steps: usize) {
        let cost = found.max(steps.saturating_sub(caps::STEPS_FREE));
        let earned = self.brokers.get(broker).map(|broker| &broker.earned);
        let paid = earned.map_or(0, |earned| earned.get().min(cost));
        if let Some(earned) = earned {
            earned.set(earned.get() - paid);
        }
        self.ahead.set(self.ahead.get().saturating_sub(cost - paid));
    }

    /// Counts a connection among those of its broker whose subscriptions are not all known, or no
    /// longer.
    pub(crate) fn mark_blind(&mut self, link: &mut Link) {
        let session = self.session_of(link);
        let known = session.is_some_and(|session| session.known);
        if !link.whole() {
            self.note_gap(link.broker);
        }
        self.set_blind(link, !known || !link.whole());
    }

    /// Notes that not all that a connection of a broker brought is known.
    pub(crate) fn note_gap(&mut self, broker: BrokerId) {
        if let Some(broker) = self.brokers.get_mut(broker) {
            broker.gapped = true;
        }
    }

    /// Returns whether a copy of a message or a will may be of an equal one that was not seen: equal
    /// ones have come before, and not all that its broker received is known.
    pub(crate) fn may_be_another(&self, broker: BrokerId, digest: u64) -> bool {
        let all_seen = (self.brokers.get(broker)).is_some_and(Broker::is_all_seen);
        !all_seen && (self.messages.is_repeated(digest) || self.wills.are_common(digest))
    }

    /// Sets whether a connection counts among its broker's blind ones.
    pub(crate) fn set_blind(&mut self, link: &mut Link, blind: bool) {
        if blind != link.blind
            && let Some(broker) = self.brokers.get_mut(link.broker)
        {
            broker.blind = match blind {
                true => broker.blind.saturating_add(1),
                false => broker.blind.saturating_sub(1),
            };
            link.blind = blind;
        }
    }

    /// Returns the topic of a name of a broker, of at most [`caps::NAME`] bytes or a shortened one.
    pub(crate) fn topic<'a>(&self, broker: BrokerId, name: &'a str) -> Topic<'a> {
        let name_hash = self.hash_of(name);
        Topic {
            name,
            name_hash,
            hash: self.hash_of((broker, name_hash)),
            broker,
        }
    }

    /// Returns a name as a shared string.
    pub(crate) fn shared(&mut self, topic: Topic<'_>) -> Arc<str> {
        if self.names.len() >= NAMES && !self.names.contains_key(&topic.hash) {
            self.names.clear();
        }
        let name = self.names.entry(topic.hash);
        Arc::clone(name.or_insert_with(|| Arc::from(topic.name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: BrokerId = BrokerId(0);
    const THERE: BrokerId = BrokerId(1);

    #[test]
    fn every_name_is_itself_however_many_there_are() {
        let mut state = State::new(Needs::ALL, Limits::DEFAULT);
        for _ in 0..2 {
            for at in 0..5 * NAMES {
                let name = format!("t/{at}");
                let topic = state.topic(HERE, &name);
                let shared = state.shared(topic);
                assert_eq!(*shared, name);
                assert!(Arc::ptr_eq(&shared, &state.shared(topic)));
            }
        }
    }

    /// Returns a state in which two brokers have `subscriptions` to `filter` each, of one session each.
    fn subscribed(filter: &str, subscriptions: usize, limits: Limits) -> (State, [SessionKey; 2]) {
        let mut state = State::new(Needs::ALL, limits);
        let keys = [HERE, THERE].map(|id| {
            let end = |last| crate::base::Endpoint {
                address: std::net::Ipv4Addr::new(192, 0, 2, last).into(),
                port: 1883,
            };
            let (client, server) = (end(9), end(id.0 as u8));
            let transport = crate::event::Transport::TCP;
            let found = state.brokers.of((client, server), transport, &limits);
            assert_eq!(found, id);
            let summary = crate::event::SessionSummary::new(id.0, server, None);
            let session = state.sessions.add(ClientSession::new(summary, true));
            for at in 0..subscriptions {
                let key = state.sessions.add_subscription(Subscription {
                    session,
                    filter: format!("$share/{at}/{filter}").into(),
                    group: Some(at.to_string().into()),
                    options: 0,
                    granted: QoS::AtMostOnce,
                    identifier: None,
                    force: sessions::Force::Granted,
                    asked: FrameStamp::default(),
                    renewed: false,
                    changed: false,
                });
                let tree = &mut state.brokers.get_mut(id).unwrap().tree;
                tree.get_or_default(filter).unwrap().insert((session, key));
            }
            session
        });
        (state, keys)
    }

    #[test]
    fn subscriptions_are_found_as_far_as_the_packets_of_their_broker_paid_for_them() {
        let limits = Limits {
            matches_ahead: 30,
            ..Limits::DEFAULT
        };
        let (state, _) = subscribed("t", 20, limits);
        let find = |broker| {
            let (found, all) = state.subscriptions_to(state.topic(broker, "t"));
            (found.len(), all)
        };
        assert_eq!(find(HERE), (20, true));
        assert_eq!(find(HERE), (10, false));
        state.earn(HERE, 19);
        assert_eq!(find(HERE), (19, false));
        state.earn(HERE, 20);
        // What one earned is no other's.
        assert_eq!(find(THERE), (0, false));
        assert_eq!(find(HERE), (20, true));
        // No more is put by than there was in the beginning.
        state.earn(THERE, 1_000);
        assert_eq!(find(THERE), (20, true));
        assert_eq!(find(THERE), (10, false));
    }

    #[test]
    fn the_levels_of_an_ordinary_topic_cost_nothing_and_further_ones_are_paid() {
        let limits = Limits {
            matches_ahead: 100,
            ..Limits::DEFAULT
        };
        let filter = "+/".repeat(100) + "x";
        let (state, [session, _]) = subscribed(&filter, 1, limits);
        let short = state.topic(HERE, "a/b/c");
        for _ in 0..1_000 {
            assert_eq!(state.is_subscribed(session, short), Some(false));
        }
        // 101 levels, of which 37 are paid.
        let name = "a/".repeat(100) + "y";
        let long = state.topic(HERE, &name);
        for known in [true, true, false] {
            assert_eq!(state.is_subscribed(session, long).is_some(), known);
        }
        assert!(state.was_cut_short());
        assert!(!state.was_cut_short());
        assert_eq!(state.is_subscribed(session, short), Some(false));
        state.earn(HERE, 38);
        assert_eq!(state.is_subscribed(session, long), Some(false));
    }

    #[test]
    fn filters_are_compared_one_by_one_as_far_as_packets_paid_for_it() {
        let limits = Limits {
            matches_ahead: 10,
            ..Limits::DEFAULT
        };
        let (state, _) = subscribed("t", 0, limits);
        let name = "a/".repeat(32);
        let topic = state.topic(HERE, &name);
        assert_eq!(state.filter_takes("a/#", topic), Some(true));
        assert_eq!(state.filter_takes("b/#", topic), Some(false));
        assert_eq!(state.filter_takes(&name, topic), Some(true));
        assert_eq!(state.filter_takes(&name, topic), None);
        assert_eq!(state.filter_takes("a/#", topic), Some(true));
        assert!(state.was_cut_short());
    }

    #[test]
    fn a_name_is_another_topic_on_another_broker() {
        let state = State::new(Needs::ALL, Limits::DEFAULT);
        let here = state.topic(HERE, "a/b").hash;
        assert_ne!(here, state.topic(THERE, "a/b").hash);
        assert_eq!(here, state.topic(HERE, "a/b").hash);
    }
}
