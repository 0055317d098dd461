//! From a publisher's PUBLISH to each subscriber's: what is expected, and what explains a
//! server's PUBLISH.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::HashMap;

use super::Session;
use super::caps;
use super::client::{ClientKey, Force, Subscription};
use super::judge::takes;
use super::link::Link;
use super::messages::{Carried, Copy, Held, LegRef, MessageKey, Progress, Route};
use super::names::Topic;
use super::outbox::Place;
use super::tree::SubscriptionKey;
use crate::base::{Few, FrameStamp};
use crate::event::{Handshake, Leg, Origin, Outcome, Undelivered, between};
use crate::mqtt::packet::Publish;
use crate::mqtt::{PropertyId, ProtocolVersion, QoS};

/// A PUBLISH of a client, as the deliveries need it.
pub(super) struct Published<'a> {
    pub(super) topic: Topic<'a>,
    pub(super) digest: u64,
    pub(super) qos: QoS,
    pub(super) retain: bool,
    pub(super) place: Place,
    pub(super) stamp: FrameStamp,
    pub(super) carried: Carried,
}

/// What explains a server's PUBLISH.
pub(super) struct Explained {
    pub(super) origin: Origin,
    pub(super) leg: Option<LegRef>,
}

impl Session {
    /// Topic and payload as a number: equal messages on one broker have one.
    pub(super) fn digest(&self, topic: Topic<'_>, payload: &[u8]) -> u64 {
        let mut hasher = self.hash.build_hasher();
        topic.hash.hash(&mut hasher);
        payload.hash(&mut hasher);
        hasher.finish()
    }

    /// The properties that a server hands on, as a number (5.0 §3.3.2.3).
    pub(super) fn carried(&self, publish: &Publish<'_>, version: ProtocolVersion) -> Carried {
        if version != ProtocolVersion::V5_0 {
            return Carried::default();
        }
        let mut hasher = self.hash.build_hasher();
        let mut expiry = None;
        // User properties keep their order; the order of the others means nothing.
        let mut others = 0_u64;
        for property in publish.properties.iter() {
            match property.id {
                PropertyId::MESSAGE_EXPIRY_INTERVAL => expiry = property.value.number(),
                PropertyId::SUBSCRIPTION_IDENTIFIER | PropertyId::TOPIC_ALIAS => {}
                PropertyId::USER_PROPERTY => {
                    if let crate::mqtt::PropertyValue::Pair(name, value) = property.value {
                        (name, value).hash(&mut hasher);
                    }
                }
                id => {
                    let one = (
                        id,
                        property.value.number(),
                        property.value.text(),
                        property.value.binary(),
                    );
                    others = others.wrapping_add(self.hash.hash_one(one));
                }
            }
        }
        others.hash(&mut hasher);
        Carried {
            properties: Some(hasher.finish()),
            expiry,
        }
    }

    /// Holds a client's message and works out who is to be sent it.
    pub(super) fn publish_message(&mut self, link: &Link, published: &Published<'_>) -> MessageKey {
        let mut routes = self.routes(published.topic, Some(link));
        let mut left_out = 0;
        if routes.len() > Handshake::LEGS_KEPT {
            left_out = u32::try_from(routes.len() - Handshake::LEGS_KEPT).unwrap_or(u32::MAX);
            routes.truncate(Handshake::LEGS_KEPT);
        }
        let topic = (!routes.is_empty()).then(|| self.names.shared(published.topic));
        let unsettled = routes
            .iter()
            .filter(|route| route.progress != Progress::Done)
            .count();
        self.messages.add(Held {
            broker: link.broker,
            digest: published.digest,
            place: published.place,
            over: None,
            record: None,
            topic,
            version: link.version,
            published: published.stamp,
            connection: link.id,
            client: link.client,
            client_id: link.client_id.clone(),
            qos: published.qos,
            retain: published.retain,
            carried: published.carried,
            order: self.messages.order(),
            routes,
            left_out,
            unsettled: u32::try_from(unsettled).unwrap_or(u32::MAX),
            stored: false,
            late: Vec::new(),
        })
    }

    /// The subscribers that would be sent a message to `topic`, were it published by the
    /// server itself.
    pub(super) fn would_take(&mut self, topic: Topic<'_>) -> Vec<(ClientKey, Leg)> {
        self.routes(topic, None)
            .into_iter()
            .filter(|route| !route.tentative && route.group.is_none())
            .map(|route| (route.client, route.leg))
            .collect()
    }

    /// One route for each subscriber, and for each member of each group that shares a
    /// subscription.
    fn routes(&mut self, topic: Topic<'_>, publisher: Option<&Link>) -> Vec<Route> {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        self.find_subscriptions(topic, &mut found);
        if found.is_empty() {
            self.found = found;
            return Vec::new();
        }
        let subscriptions = &self.clients.subscriptions;
        if found.len() > 1 {
            found.sort_by_cached_key(|key| {
                subscriptions
                    .get(key)
                    .map(|one| (one.client, one.group.is_some(), *key))
            });
        }
        let mut routes = self.messages.room_for_routes(found.len());
        let mut groups: HashMap<(Arc<str>, Arc<str>), u32> = HashMap::default();
        for key in &found {
            let Some(one) = self.clients.subscriptions.get(key) else {
                continue;
            };
            let tentative = one.force != Force::Granted;
            let own = publisher.is_some_and(|link| link.client == Some(one.client));
            if own && one.no_local() && !tentative {
                routes.push(self.route(one, publisher, RouteKind::NoLocal));
                continue;
            }
            let group = one.group.as_ref().map(|group| {
                let named = (Arc::clone(group), Arc::clone(&one.filter));
                let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
                *groups.entry(named).or_insert(next)
            });
            let kind = RouteKind::Expected { group, tentative };
            let as_published = one.retain_as_published();
            match routes.last_mut() {
                Some(last)
                    if last.client == one.client
                        && last.group.is_none()
                        && group.is_none()
                        && last.progress == Progress::Waiting =>
                {
                    last.leg.filters.push(Arc::clone(&one.filter));
                    last.leg.granted = last.leg.granted.max(Some(one.granted));
                    last.tentative &= tentative;
                    last.spare += 1;
                    last.as_published.0 &= as_published;
                    last.as_published.1 |= as_published;
                    last.identifiers.extend(one.identifier);
                }
                _ => {
                    let mut route = self.route(one, publisher, kind);
                    route.as_published = (as_published, as_published);
                    route.identifiers.extend(one.identifier);
                    routes.push(route);
                }
            }
        }
        self.found = found;
        routes
    }

    /// Appends the subscriptions that take a topic to `found`, as many as may be found now.
    fn find_subscriptions(&mut self, topic: Topic<'_>, found: &mut Vec<SubscriptionKey>) {
        let most = self.matches.min(2 * Handshake::LEGS_KEPT);
        let all = self.search(topic, most, found);
        self.matches -= found.len();
        if !all {
            self.findings.table_full(
                &mut self.outbox,
                "subscriptions found for a topic",
                most,
                self.now,
            );
        }
    }

    /// Appends the subscriptions that take a topic to `found`, at most `most` of them; whether
    /// those are all.
    fn search(&mut self, topic: Topic<'_>, most: usize, found: &mut Vec<SubscriptionKey>) -> bool {
        let Some(broker) = self.brokers.get(topic.broker) else {
            return true;
        };
        let tree = &broker.tree;
        if let Some(levels) = self.names.taking(topic, tree) {
            return tree.subscribed(levels, most, found);
        }
        let all = tree.matching(&topic, most, &mut self.walk, found);
        if all {
            self.names.remember(topic, tree, &self.walk);
        }
        all
    }

    /// Whether a subscription of a client, which has few, takes a topic.
    pub(super) fn is_subscribed(&mut self, client: ClientKey, topic: Topic<'_>) -> bool {
        let mut found = std::mem::take(&mut self.found);
        found.clear();
        let all = self.search(topic, caps::LOOKED_THROUGH, &mut found);
        let subscriptions = &self.clients.subscriptions;
        let is_its = |key| {
            subscriptions
                .get(key)
                .is_some_and(|one| one.client == client)
        };
        let taken = match self.clients.get(client) {
            Some(client) if client.breaks_filters || !all => {
                let mut filters = client.subscriptions.keys();
                filters.any(|filter| takes(filter, &topic))
            }
            _ => found.iter().any(is_its),
        };
        self.found = found;
        taken
    }

    fn route(&self, one: &Subscription, publisher: Option<&Link>, kind: RouteKind) -> Route {
        let session = self.clients.get(one.client);
        // The publisher's own link is out of the table while its packet is acted on.
        let link = session
            .and_then(|session| session.link)
            .and_then(|id| match publisher {
                Some(link) if link.id == id => Some(link),
                _ => self.links.get(id),
            })
            .filter(|link| link.alive());
        let (progress, why, group, tentative) = match kind {
            RouteKind::NoLocal => (Progress::Done, Undelivered::NoLocal, None, false),
            RouteKind::Expected { group, tentative } => {
                (Progress::Waiting, Undelivered::Unknown, group, tentative)
            }
        };
        Route {
            leg: Leg {
                connection: link.map(|link| link.id),
                client_id: session.and_then(|session| session.client_id.clone()),
                filters: Few::one(Arc::clone(&one.filter)),
                granted: Some(one.granted),
                subscription_ids: Vec::new(),
                outcome: Outcome::NotDelivered(why),
                ambiguous: false,
            },
            client: one.client,
            progress,
            gaps: link.map_or(0, |link| {
                let [_, server] = link.gaps();
                server
            }),
            tentative,
            group,
            spare: 0,
            as_published: (false, false),
            identifiers: Vec::new(),
        }
    }

    /// Finds out where a server's PUBLISH comes from, and joins it to its message.
    pub(super) fn explain(&mut self, link: &mut Link, digest: u64, copy: &Copy<'_>) -> Explained {
        // RETAIN 1 marks a stored copy, unless a subscription asks for RETAIN as published or
        // the client is a bridge, which keeps it too.
        let stored_first = copy.retain && !self.keeps_retain(link, digest);
        if stored_first && let Some(explained) = self.explain_stored(link, digest, copy) {
            return explained;
        }
        if let Some(explained) = self.explain_expected(link, digest, copy) {
            return explained;
        }
        if let Some(explained) = self.explain_will(link, digest, copy) {
            return explained;
        }
        if let Some(explained) = self.explain_unexpected(link, digest, copy) {
            return explained;
        }
        if !stored_first && let Some(explained) = self.explain_stored(link, digest, copy) {
            return explained;
        }
        if copy.retain
            && let Some(cleared) = self.retained.cleared(copy.topic)
        {
            self.judge_stale(link, copy, Some(cleared));
        }
        let origin = if copy.retain {
            Origin::Stored {
                connection: None,
                frame: None,
            }
        } else if copy.topic.starts_with('$') {
            Origin::Server
        } else {
            Origin::NotSeen
        };
        self.judge_unexplained(link, digest, copy);
        Explained { origin, leg: None }
    }

    fn keeps_retain(&self, link: &Link, digest: u64) -> bool {
        if link.connect.as_ref().is_some_and(|connect| connect.bridge) {
            return true;
        }
        let Some(client) = link.client else {
            return false;
        };
        self.messages
            .expected
            .get(&(client, digest))
            .and_then(|line| line.front())
            .and_then(|(key, at)| self.messages.held.get(key)?.routes.get(*at))
            .is_some_and(|route| {
                // The subscription was in force on this very connection when the message was
                // published, so its live copy is due; or RETAIN as published was asked for.
                let (_, some) = route.as_published;
                let live = !route.tentative && route.leg.connection == Some(link.id);
                route.progress == Progress::Waiting && (some || live)
            })
    }

    fn explain_stored(
        &mut self,
        link: &mut Link,
        digest: u64,
        copy: &Copy<'_>,
    ) -> Option<Explained> {
        let key = self.retained.find(copy.topic)?;
        link.stored_due.retain(|(due, _)| *due != key);
        let filters = self.filters_of(link.client, &copy.topic);
        let entry = self.retained.get_mut(key)?;
        if entry.digest != digest {
            if copy.retain {
                let by = entry.story.stored.as_ref().map(|stored| stored.stamp);
                self.judge_stale(link, copy, by);
            }
            return None;
        }
        let published = entry.story.message.qos;
        let stored = entry.story.stored.clone();
        let leg = Leg {
            connection: Some(copy.connection),
            client_id: copy.client_id.clone(),
            filters,
            granted: None,
            subscription_ids: copy.identifiers.clone(),
            outcome: Outcome::Delivered(copy.delivered(None, published)),
            ambiguous: false,
        };
        let at = self.retained.add_leg(key, leg);
        self.judge_stored_copy(link, copy);
        let origin = match stored {
            Some(stored) if stored.will => Origin::Will {
                connection: stored.connection,
                client_id: stored.client_id,
                frame: stored.stamp.number,
            },
            stored => Origin::Stored {
                connection: stored.as_ref().map(|stored| stored.connection),
                frame: stored.as_ref().map(|stored| stored.stamp.number),
            },
        };
        Some(Explained {
            origin,
            leg: at.map(|at| LegRef::Stored(key, at)),
        })
    }

    /// The filters of a client that take a topic now, in the order of their subscriptions.
    pub(super) fn filters_of(&self, client: Option<ClientKey>, topic: &str) -> Few<Arc<str>> {
        let Some(client) = client.and_then(|client| self.clients.get(client)) else {
            return Few::None;
        };
        let mut taking: Vec<_> = client
            .subscriptions
            .iter()
            .take(caps::LOOKED_THROUGH)
            .filter(|(filter, _)| takes(filter, topic))
            .collect();
        // The table has no order of its own; two runs tell the same.
        taking.sort_unstable_by_key(|(_, key)| **key);
        taking
            .into_iter()
            .map(|(filter, _)| Arc::clone(filter))
            .collect()
    }

    fn explain_expected(
        &mut self,
        link: &mut Link,
        digest: u64,
        copy: &Copy<'_>,
    ) -> Option<Explained> {
        let client = link.client?;
        let line = self.messages.expected.get_mut(&(client, digest))?;
        let held = &self.messages.held;
        // The earliest message that still waits; among its legs the one that fits best.
        let mut chosen: Option<(u32, usize, MessageKey, usize)> = None;
        let mut others = false;
        let mut stale = 0;
        for (at, (key, leg)) in line.iter().enumerate().take(caps::CANDIDATES) {
            let Some((message, route)) = held
                .get(key)
                .and_then(|held| Some((held, held.routes.get(*leg)?)))
            else {
                stale += usize::from(at == stale);
                continue;
            };
            if route.progress != Progress::Waiting {
                stale += usize::from(at == stale && route.spare == 0);
                continue;
            }
            let fit = fit(route, message.qos, copy);
            match chosen {
                None => chosen = Some((fit, at, *key, *leg)),
                Some((best, _, first, _)) if first == *key => {
                    if fit > best {
                        chosen = Some((fit, at, *key, *leg));
                    }
                }
                Some(_) => others = true,
            }
        }
        // A further copy for overlapping subscriptions else.
        let chosen = chosen.map(|(_, at, key, leg)| (at, key, leg)).or_else(|| {
            line.iter()
                .enumerate()
                .take(caps::CANDIDATES)
                .find_map(|(at, (key, leg))| {
                    let route = held.get(key)?.routes.get(*leg)?;
                    (route.spare > 0).then_some((at, *key, *leg))
                })
        });
        let (at, key, leg) = chosen?;
        let more = held
            .get(&key)
            .and_then(|held| held.routes.get(leg))
            .is_some_and(|route| route.spare > 0);
        if !more {
            line.remove(at);
        }
        for _ in 0..stale.min(at) {
            line.pop_front();
        }
        Some(self.deliver(link, key, leg, copy, others))
    }

    /// Joins a copy to the leg that it is.
    fn deliver(
        &mut self,
        link: &mut Link,
        key: MessageKey,
        at: usize,
        copy: &Copy<'_>,
        ambiguous: bool,
    ) -> Explained {
        let Some(held) = self.messages.held.get_mut(&key) else {
            return Explained {
                origin: Origin::NotSeen,
                leg: None,
            };
        };
        let mut delivered = copy.delivered(Some(held.published), held.qos);
        let mut place = at;
        let first = held
            .routes
            .get(at)
            .is_some_and(|route| route.progress == Progress::Waiting);
        if first {
            if let Some(route) = held.routes.get_mut(at) {
                delivered.queued = route.leg.connection != Some(copy.connection);
                route.leg.connection = Some(copy.connection);
                route.leg.subscription_ids.clone_from(&copy.identifiers);
                route.leg.outcome = Outcome::Delivered(delivered);
                route.leg.ambiguous = ambiguous;
                route.progress = copy.progress();
                if route.progress == Progress::Done {
                    held.unsettled = held.unsettled.saturating_sub(1);
                }
                if let Some(group) = route.group {
                    held.unsettled =
                        held.unsettled
                            .saturating_sub(others_of_group(&mut held.routes, group, at));
                }
            }
        } else if let Some(route) = held.routes.get_mut(at) {
            // Another copy of the same message, for another of its subscriptions.
            route.spare = route.spare.saturating_sub(1);
            let mut leg = route.leg.clone();
            leg.subscription_ids.clone_from(&copy.identifiers);
            leg.outcome = Outcome::Delivered(delivered);
            leg.ambiguous = ambiguous;
            let client = route.client;
            let as_published = route.as_published;
            place = held.routes.len();
            self.messages.legs += 1 + leg.filters.len() / 8;
            if copy.progress() == Progress::Open {
                held.unsettled += 1;
            }
            held.routes.push(Route {
                leg,
                client,
                progress: copy.progress(),
                gaps: 0,
                tentative: false,
                group: None,
                spare: 0,
                as_published,
                identifiers: Vec::new(),
            });
        }
        let origin = Origin::Published {
            connection: held.connection,
            client_id: held.client_id.clone(),
            frame: held.published.number,
            ambiguous,
        };
        self.judge_copy(link, key, place, copy);
        self.try_settle(key);
        Explained {
            origin,
            leg: Some(LegRef::Message(key, place)),
        }
    }

    fn explain_will(&mut self, link: &Link, digest: u64, copy: &Copy<'_>) -> Option<Explained> {
        let key = self.wills.explain(digest, link.client)?;
        let topic = Arc::clone(&self.wills.all.get(&key)?.story.will.topic);
        if copy.retain && !self.wills.all.get(&key)?.story.will.retain {
            return None;
        }
        self.judge_will_copy(key, copy.stamp);
        let filters = self.filters_of(link.client, &topic);
        let will = self.wills.all.get(&key)?;
        let origin = Origin::Will {
            connection: will.story.connection,
            client_id: will.story.client_id.clone(),
            frame: will.story.set.number,
        };
        let mut delivered = copy.delivered(None, will.story.will.qos);
        delivered.stored = false;
        let leg = Leg {
            connection: Some(copy.connection),
            client_id: copy.client_id.clone(),
            filters,
            granted: None,
            subscription_ids: copy.identifiers.clone(),
            outcome: Outcome::Delivered(delivered),
            ambiguous: false,
        };
        let at = self.wills.add_leg(key, link.client, leg, copy.stamp);
        self.will_was_published(key, copy.stamp);
        Some(Explained {
            origin,
            leg: at.map(|at| LegRef::Will(key, at)),
        })
    }

    /// A message that was published and not expected here: the subscription lies before the
    /// capture, or was acted on before it was seen.
    fn explain_unexpected(
        &mut self,
        link: &mut Link,
        digest: u64,
        copy: &Copy<'_>,
    ) -> Option<Explained> {
        let client = link.client?;
        let line = self.messages.by_digest.get(&digest)?;
        let reached = self.messages.reached.get(&(client, digest));
        let from = line.partition_point(|key| reached.is_some_and(|reached| key <= reached));
        let mut candidates = line.iter().skip(from).take(caps::CANDIDATES).filter(|key| {
            self.messages.held.get(key).is_some_and(|held| {
                held.routes.iter().all(|route| route.client != client)
                    && between(&held.published, &copy.stamp).is_none_or(|age| {
                        // A stored message is held for its late copies, not for this.
                        age < if held.stored {
                            caps::LINGER
                        } else {
                            caps::PATIENCE
                        }
                    })
            })
        });
        let key = *candidates.next()?;
        let ambiguous = candidates.next().is_some();
        drop(candidates);
        if self.messages.reached.len() >= caps::ORDERED {
            self.messages.reached.clear();
        }
        self.messages.reached.insert((client, digest), key);
        let filters = self.filters_of(Some(client), &copy.topic);
        let held = self.messages.held.get_mut(&key)?;
        if held.routes.len() >= Handshake::LEGS_KEPT {
            held.left_out += 1;
            return None;
        }
        let at = held.routes.len();
        held.unsettled += 1;
        self.messages.legs += 1 + filters.len() / 8;
        held.routes.push(Route {
            leg: Leg {
                connection: Some(copy.connection),
                client_id: copy.client_id.clone(),
                filters,
                granted: None,
                subscription_ids: Vec::new(),
                outcome: Outcome::NotDelivered(Undelivered::Unknown),
                ambiguous,
            },
            client,
            progress: Progress::Waiting,
            gaps: 0,
            tentative: true,
            group: None,
            spare: 0,
            as_published: (false, true),
            identifiers: Vec::new(),
        });
        Some(self.deliver(link, key, at, copy, ambiguous))
    }
}

/// How well a copy fits a leg of its message: identifiers say most, QoS the rest.
fn fit(route: &Route, published: QoS, copy: &Copy<'_>) -> u32 {
    let identified = if copy.identifiers.is_empty() {
        route.identifiers.is_empty()
    } else {
        copy.identifiers
            .iter()
            .any(|id| route.identifiers.contains(id))
    };
    let due = route.leg.granted.map(|granted| granted.min(published));
    2 * u32::from(identified) + u32::from(due == Some(copy.qos))
}

enum RouteKind {
    NoLocal,
    Expected { group: Option<u32>, tentative: bool },
}

/// One member of a group was given the message: the others are not waited for. Says how many
/// those were.
fn others_of_group(routes: &mut [Route], group: u32, given: usize) -> u32 {
    let mut others = 0;
    for (at, route) in routes.iter_mut().enumerate() {
        if at != given && route.group == Some(group) && route.progress == Progress::Waiting {
            route.progress = Progress::Done;
            route.leg.outcome = Outcome::NotDelivered(Undelivered::OtherOfGroup);
            others += 1;
        }
    }
    others
}
