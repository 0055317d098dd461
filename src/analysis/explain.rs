//! What explains a server's PUBLISH: a message on its way, a stored one, a will.

use std::sync::Arc;

use super::Analyzer;
use super::caps;
use super::client::ClientKey;
use super::judge::takes;
use super::link::Link;
use super::messages::{Copy, LegRef, MessageKey, Progress, Route};
use crate::base::Few;
use crate::event::{Handshake, MessageDelivery, Origin, Outcome, Undelivered, between};
use crate::mqtt::QoS;

/// What explains a server's PUBLISH.
pub(super) struct Explained {
    pub(super) origin: Origin,
    pub(super) leg: Option<LegRef>,
}

impl Analyzer {
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
        let entry = self.retained.get(key)?;
        if entry.digest != digest {
            if copy.retain {
                let by = entry.story.stored.as_ref().map(|stored| stored.stamp);
                self.judge_stale(link, copy, by);
            }
            return None;
        }
        let published = entry.story.message.qos;
        let stored = entry.story.stored.clone();
        let filters = self.filters_of(link.client, &copy.topic);
        let leg = MessageDelivery {
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
        let leg = MessageDelivery {
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
        if self.messages.reached.len() >= self.limits.ordered {
            self.messages.reached.clear();
        }
        self.messages.reached.insert((client, digest), key);
        let filters = self.filters_of(Some(client), &copy.topic);
        let held = self.messages.held.get_mut(&key)?;
        if held.routes.len() >= Handshake::DELIVERIES_KEPT {
            held.left_out += 1;
            return None;
        }
        let at = held.routes.len();
        held.unsettled += 1;
        self.messages.legs += 1 + filters.len() / 8;
        held.routes.push(Route {
            leg: MessageDelivery {
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
