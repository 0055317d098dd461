//! From a publisher's PUBLISH to its subscribers: which copies are expected.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use foldhash::HashMap;

use super::Analyzer;
use super::caps;
use super::client::SubscriptionKey;
use super::client::{ClientKey, Force, Subscription};
use super::judge::takes;
use super::link::Link;
use super::messages::{Carried, Held, MessageKey, Progress, Route};
use super::names::Topic;
use super::outbox::Place;
use crate::base::limits::Limit;
use crate::base::{Few, FrameStamp};
use crate::event::{Handshake, MessageDelivery, Outcome, Undelivered};
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

impl Analyzer {
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
        if routes.len() > Handshake::DELIVERIES_KEPT {
            left_out = u32::try_from(routes.len() - Handshake::DELIVERIES_KEPT).unwrap_or(u32::MAX);
            routes.truncate(Handshake::DELIVERIES_KEPT);
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
    pub(super) fn would_take(&mut self, topic: Topic<'_>) -> Vec<(ClientKey, MessageDelivery)> {
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
        let most = self.matches.min(self.limits.matches);
        let all = self.search(topic, most, found);
        self.matches -= found.len();
        if !all {
            self.findings
                .limit_reached(&mut self.outbox, Limit::Matches, self.now);
        }
    }

    /// Appends the subscriptions that take a topic to `found`, at most `most` of them; whether
    /// those are all.
    fn search(&mut self, topic: Topic<'_>, most: usize, found: &mut Vec<SubscriptionKey>) -> bool {
        let Some(broker) = self.brokers.get(topic.broker) else {
            return true;
        };
        let mut matching = broker.tree.matching(&topic, caps::STEPS_OF_A_MATCH);
        for keys in &mut matching {
            found.extend_from_slice(keys);
            if found.len() > most {
                found.truncate(most);
                return false;
            }
        }
        matching.is_complete()
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
            leg: MessageDelivery {
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
}

enum RouteKind {
    NoLocal,
    Expected { group: Option<u32>, tentative: bool },
}
