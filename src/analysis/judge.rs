//! Findings about deliveries.

use std::hash::BuildHasher;

use super::Analyzer;
use super::caps;
use super::clauses as c;
use super::link::Link;
use super::messages::{Barred, Copy, Held, MessageKey, Route};
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::between;
use crate::mqtt::topic::{matches, matching_part};
use crate::mqtt::{ProtocolVersion, QoS, Sender};

impl Analyzer {
    /// The findings about a copy that was joined to its message.
    pub(super) fn judge_copy(
        &mut self,
        link: &mut Link,
        key: MessageKey,
        at: usize,
        copy: &Copy<'_>,
    ) {
        if !self.findings.wanted {
            return;
        }
        let Some(held) = self.messages.held.get(&key) else {
            return;
        };
        let Some(route) = held.routes.get(at) else {
            return;
        };
        let frame = held.published.number;
        let bridge = link.connect.as_ref().is_some_and(|connect| connect.bridge);
        let known = link
            .client
            .and_then(|client| self.clients.get(client))
            .is_some_and(|client| {
                client.known && client.subscriptions.len() <= caps::LOOKED_THROUGH
            })
            && link.whole();
        let unsubscribed = route.leg.filters.is_empty() && known && !bridge;
        if let Some(granted) = route.leg.granted {
            let due = held.qos.min(granted);
            // Several filters may be answered one by one, each at its own QoS.
            if copy.qos > due && alone(held, route) {
                self.findings
                    .tell(&mut self.outbox, &c::DELIVERED_ABOVE, link.at(copy.stamp), || {
                        format!(
                            "The message of frame {frame} was published at QoS {} and {} was granted QoS {}, so it is delivered at QoS {} at most; here it is QoS {}.",
                            held.qos as u8, link.name(), granted as u8, due as u8, copy.qos as u8
                        )
                    });
            } else if copy.qos < due
                && route.leg.filters.len() == 1
                && !route.tentative
                && alone(held, route)
            {
                self.findings
                    .tell(&mut self.outbox, &c::DELIVERED_BELOW, link.at(copy.stamp), || {
                        format!(
                            "The message of frame {frame} was published at QoS {} and {} was granted QoS {}, so QoS {} is due; it is delivered at QoS {}.",
                            held.qos as u8, link.name(), granted as u8, due as u8, copy.qos as u8
                        )
                    });
            }
        }
        if unsubscribed {
            self.judge_unsubscribed(link, copy);
        }
        self.judge_retain(link, key, at, copy);
        self.judge_carried(link, key, at, copy);
        self.judge_order(link, key, at, copy);
    }

    /// A copy that no visible subscription of the client takes.
    fn judge_unsubscribed(&mut self, link: &mut Link, copy: &Copy<'_>) {
        let topic = copy.topic;
        let session = link.client.and_then(|client| self.clients.get(client));
        let given_up = session.and_then(|client| {
            let mut filters = client.given_up.iter();
            filters.find(|filter| takes(filter, &topic)).cloned()
        });
        let clause = match given_up {
            Some(_) => &c::AFTER_UNSUBSCRIBE,
            None => &c::NO_SUBSCRIPTION,
        };
        if self.findings.only_counts(clause.name) {
            return self.suspect_one_more(link, Sender::Client, clause, copy.stamp.number);
        }
        let at = link.at(copy.stamp);
        let client = link.name();
        // One copy each into room of the right size: a broker that nobody saw subscriptions of
        // has this finding for every message.
        self.suspect(link, Sender::Client, clause, at, || {
            let (why, filter, end) = match &given_up {
                Some(filter) => (" although it gave up its subscription to ", &**filter, "."),
                None => (" and has no subscription that takes it.", "", ""),
            };
            [&client, " is sent ", &topic, why, filter, end].concat()
        });
    }

    fn judge_retain(&mut self, link: &Link, key: MessageKey, at: usize, copy: &Copy<'_>) {
        let Some(held) = self.messages.held.get(&key) else {
            return;
        };
        let Some(route) = held.routes.get(at) else {
            return;
        };
        if link.connect.as_ref().is_none_or(|connect| connect.bridge)
            || route.leg.filters.is_empty()
            || route.tentative
        {
            return;
        }
        let frame = held.published.number;
        let (every, some) = route.as_published;
        if copy.retain && !some {
            let at = link.at(copy.stamp);
            self.findings
                .tell(&mut self.outbox, &c::LIVE_WITH_RETAIN, at, || {
                    format!("{} gets the message of frame {frame} live, so RETAIN should be 0 (1 marks stored messages).", link.name())
                });
        } else if every && some && copy.retain != held.retain {
            let at = link.at(copy.stamp);
            self.findings
                .tell(&mut self.outbox, &c::RETAIN_AS_PUBLISHED, at, || {
                    format!("{} asked for RETAIN as published, and gets the message of frame {frame} with another RETAIN.", link.name())
                });
        }
    }

    /// Properties, expiry and identifiers of a 5.0 copy.
    fn judge_carried(&mut self, link: &Link, key: MessageKey, at: usize, copy: &Copy<'_>) {
        let Some(held) = self.messages.held.get(&key) else {
            return;
        };
        let Some(route) = held.routes.get(at) else {
            return;
        };
        let frame = held.published.number;
        if let (Some(before), Some(after)) = (held.carried.properties, copy.carried.properties)
            && before != after
        {
            self.findings
                .tell(&mut self.outbox, &c::PROPERTY_ALTERED, link.at(copy.stamp), || {
                    format!("The properties of the message of frame {frame} are not those that this copy carries.")
                });
        }
        if let Some(expiry) = held.carried.expiry
            && let Some(waited) = between(&held.published, &copy.stamp)
        {
            let waited = waited.nanos() / 1_000_000_000;
            if waited > i64::from(expiry) + 1 {
                self.findings
                    .tell(&mut self.outbox, &c::DELIVERED_EXPIRED, link.at(copy.stamp), || {
                        format!("The message of frame {frame} was to expire after {expiry} s and is delivered after {waited} s.")
                    });
            } else if copy.carried.properties.is_some() {
                // Seconds are rounded either way.
                let left = copy.carried.expiry.map(i64::from);
                if left.is_none_or(|left| left > i64::from(expiry) - waited + 1) {
                    self.findings
                        .tell(&mut self.outbox, &c::EXPIRY_NOT_COUNTED, link.at(copy.stamp), || {
                            format!("The message of frame {frame} waited {waited} s of its {expiry} s, and its copy does not say so.")
                        });
                }
            }
        }
        if link.five() && !route.tentative {
            let missing = if route.leg.filters.len() > 1 && copy.identifiers.is_empty() {
                !route.identifiers.is_empty() && route.identifiers.len() == route.leg.filters.len()
            } else {
                route.leg.filters.len() == 1
                    && route
                        .identifiers
                        .iter()
                        .any(|id| !copy.identifiers.contains(id))
            };
            if missing && alone(held, route) {
                self.findings
                    .tell(&mut self.outbox, &c::IDENTIFIER_MISSING, link.at(copy.stamp), || {
                        format!("The copy of the message of frame {frame} lacks the Subscription Identifier that the subscription set.")
                    });
            }
        }
    }

    fn judge_order(&mut self, link: &Link, key: MessageKey, at: usize, copy: &Copy<'_>) {
        let Some(held) = self.messages.held.get(&key) else {
            return;
        };
        let Some(route) = held.routes.get(at) else {
            return;
        };
        // Which of two equal messages this is can't be told; a redelivery has its own order.
        if copy.dup || route.leg.ambiguous || route.group.is_some() || held.client.is_none() {
            return;
        }
        let Some(publisher) = held.client else {
            return;
        };
        if self.ordered.len() >= self.limits.ordered {
            self.ordered.clear();
            self.findings
                .limit_reached(&mut self.outbox, Limit::Ordered, copy.stamp);
        }
        let stream = (route.client, publisher, copy.topic.hash, held.qos, copy.qos);
        let stream = self.hash.hash_one(stream);
        let order = held.order;
        let frame = held.published.number;
        let latest = self.ordered.entry(stream).or_insert(order);
        if order >= *latest {
            *latest = order;
            return;
        }
        let at = link.at(copy.stamp);
        let client = link.name();
        self.findings
            .tell(&mut self.outbox, &c::OUT_OF_ORDER, at, || {
                format!("{client} gets the message of frame {frame} after a later one of the same publisher, topic and QoS.")
            });
    }

    /// A stored copy that was sent.
    pub(super) fn judge_stored_copy(&mut self, link: &Link, copy: &Copy<'_>) {
        let topic = copy.topic;
        if !self.findings.wanted {
            return;
        }
        let five = link.version == Some(ProtocolVersion::V5_0);
        if !copy.retain {
            if !five {
                let at = link.at(copy.stamp);
                self.findings
                    .tell(&mut self.outbox, &c::STORED_WITHOUT_RETAIN, at, || {
                        format!("The stored message of {topic} is sent with RETAIN 0, as if it were live.")
                    });
            }
            return;
        }
        let Some(client) = link.client.and_then(|client| self.clients.get(client)) else {
            return;
        };
        let few = client.subscriptions.len() <= caps::LOOKED_THROUGH;
        let unwanted = five && client.known && few && {
            let mut options = client
                .subscriptions
                .iter()
                .filter(|(filter, _)| takes(filter, &topic))
                .filter_map(|(_, key)| self.clients.subscriptions.get(key))
                .peekable();
            options.peek().is_some() && options.all(|one| one.options >> 4 & 3 == 2)
        };
        if unwanted {
            let at = link.at(copy.stamp);
            let client = link.name();
            self.findings
                .tell(&mut self.outbox, &c::RETAINED_NOT_WANTED, at, || {
                    format!("{client} asked for no stored messages (Retain Handling 2) and is sent that of {topic}.")
                });
        }
    }

    /// A stored copy that is not the latest retained message of its topic.
    pub(super) fn judge_stale(
        &mut self,
        link: &Link,
        copy: &Copy<'_>,
        changed: Option<FrameStamp>,
    ) {
        let topic = copy.topic;
        let blind = self
            .brokers
            .get(link.broker)
            .is_none_or(|broker| broker.blind > 0);
        // Another publisher may be outside the capture's sight; and what crosses a change
        // inside the server is neither old nor new.
        let settled = changed.is_some_and(|changed| {
            between(&changed, &copy.stamp).is_some_and(|since| since >= caps::IN_TRANSIT)
        });
        if blind || !settled {
            return;
        }
        let at = link.at(copy.stamp);
        let frame = changed.map_or(0, |changed| changed.number);
        self.findings
            .tell(&mut self.outbox, &c::STALE_RETAINED, at, || {
                format!("The stored message of {topic} was last changed in frame {frame}, and this is not what that left.")
            });
    }

    /// A server's PUBLISH that nothing in the capture explains.
    pub(super) fn judge_unexplained(&mut self, link: &mut Link, digest: u64, copy: &Copy<'_>) {
        let topic = copy.topic;
        if !self.findings.wanted || !link.whole() {
            return;
        }
        if !copy.retain
            && !copy.dup
            && let Some(client) = link.client
        {
            match self.messages.barred(client, digest) {
                Some((frame, Barred::OwnMessage)) => {
                    return self.judge_echo(link, copy, frame);
                }
                Some((frame, Barred::HadIt)) => return self.judge_twice(link, copy, frame),
                None if self.messages.may_have_barred(copy.qos) => {
                    self.findings
                        .limit_reached(&mut self.outbox, Limit::Settled, copy.stamp)
                }
                None => {}
            }
        }
        let Some((key, client)) = link
            .client
            .and_then(|key| Some((key, self.clients.get(key)?)))
        else {
            return;
        };
        if !client.known
            || client.subscriptions.len() > caps::LOOKED_THROUGH
            || link.connect.as_ref().is_none_or(|connect| connect.bridge)
        {
            return;
        }
        if self.is_subscribed(key, topic) {
            return;
        }
        let by_wildcard = topic.starts_with('$')
            && self.clients.get(key).is_some_and(|client| {
                client.subscriptions.keys().any(|filter| {
                    let filter = matching_part(filter);
                    filter.starts_with(['+', '#']) && matches(filter, topic.trim_start_matches('$'))
                })
            });
        if !by_wildcard {
            // Servers can subscribe on their clients' behalf: from here on messages wait a
            // moment for copies that nobody asked for.
            if let Some(broker) = self.brokers.get_mut(link.broker) {
                broker.surprises = true;
            }
            self.judge_unsubscribed(link, copy);
            return;
        }
        let at = link.at(copy.stamp);
        let client = link.name();
        self.suspect(link, Sender::Client, &c::DOLLAR_TOPIC, at, || {
            format!("{client} is sent {topic} for a filter that begins with a wildcard, which takes no topic that begins with $.")
        });
    }

    /// A client got back what it published, although it asked not to.
    #[cold]
    fn judge_echo(&mut self, link: &Link, copy: &Copy<'_>, frame: u64) {
        let topic = copy.topic;
        let at = link.at(copy.stamp);
        let client = link.name();
        self.findings.tell(&mut self.outbox, &c::NO_LOCAL, at, || {
            format!("{client} asked for No Local and gets back its own message of frame {frame} to {topic}.")
        });
    }

    /// A QoS 2 message came to a subscriber a second time.
    #[cold]
    fn judge_twice(&mut self, link: &Link, copy: &Copy<'_>, frame: u64) {
        let topic = copy.topic;
        if copy.qos != QoS::ExactlyOnce {
            return;
        }
        let at = link.at(copy.stamp);
        let client = link.name();
        self.findings
            .tell(&mut self.outbox, &c::DELIVERED_TWICE, at, || {
                format!(
                    "{client} gets the QoS 2 message of frame {frame} to {topic} a second time."
                )
            });
    }
}

/// Whether a filter as subscribed takes a topic.
pub(super) fn takes(filter: &str, topic: &str) -> bool {
    let filter = matching_part(filter);
    !part_before_wildcards(filter, topic) && matches(filter, topic)
}

/// Whether a filter and a topic differ before the filter's first wildcard: most pairs do, and
/// that is cheaper to see than that they match.
fn part_before_wildcards(filter: &str, topic: &str) -> bool {
    let mut pairs = filter.bytes().zip(topic.bytes());
    let decisive = pairs.find(|(ours, theirs)| ours != theirs || matches!(ours, b'+' | b'#'));
    decisive.is_some_and(|(ours, _)| !matches!(ours, b'+' | b'#'))
}

/// Whether the client gets the message by this one way: with a shared subscription beside its
/// own, which of the copies came by which cannot be told.
fn alone(held: &Held, route: &Route) -> bool {
    let same = held
        .routes
        .iter()
        .filter(|other| other.client == route.client);
    same.count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_filter_takes_what_it_matches(
            filter in "[ab+]{0,2}(/[ab+]{0,2}){0,3}(/?#)?",
            topic in "[ab$]{0,2}(/[ab]{0,2}){0,4}",
        ) {
            prop_assert_eq!(takes(&filter, &topic), matches(&filter, &topic));
        }
    }
}
