//! Rules of deliveries: each copy of a message against the PUBLISH that it comes from.

use super::super::caps;
use super::super::keys::takes;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::messages::{Copy, Held, Route};
use super::claim::{Claim, Client, Frame};
use super::report::{Place, Report, client};
use crate::base::FrameStamp;
use crate::event::{Undelivered, between};
use crate::mqtt::topic::{matches, matching_part};
use crate::mqtt::{QoS, Sender};

/// Judges a copy that was joined to its message `held` on its way `route`.
pub(crate) fn judge_copy(
    state: &State,
    link: &Link,
    (held, route): (&Held, &Route),
    copy: &Copy<'_>,
    report: &mut Report,
) {
    if !report.wanted {
        return;
    }
    judge_qos(link, held, route, copy, report);
    let known = link.whole()
        && link
            .session
            .and_then(|key| state.sessions.get(key))
            .is_some_and(|session| {
                session.known && session.subscriptions.len() <= caps::LOOKED_THROUGH
            });
    if route.delivery.filters.is_empty() && known && link.bridge() != Some(true) {
        find_unsubscribed(state, link, copy, report);
    }
    judge_retain(link, held, route, copy, report);
    judge_carried(link, held, copy, report);
    judge_identifiers(link, held, route, copy, report);
}

/// Judges the QoS of a copy: the lower of the published and the granted one is due.
fn judge_qos(link: &Link, held: &Held, route: &Route, copy: &Copy<'_>, report: &mut Report) {
    let Some(granted) = route.delivery.granted else {
        return;
    };
    let due = held.qos.min(granted);
    // Several filters may be answered one by one, each at its own QoS.
    if copy.qos == due || !alone(held, route) {
        return;
    }
    let frame = Frame(held.published.number);
    let client = client(link);
    let (published, granted, due_qos) = (held.qos as u8, granted as u8, due as u8);
    let qos = copy.qos as u8;
    let claim = if copy.qos > due {
        Claim::DeliveredAbove {
            frame,
            published,
            client,
            granted,
            due: due_qos,
            qos,
        }
    } else if route.delivery.filters.len() == 1 && !route.tentative {
        Claim::DeliveredBelow {
            frame,
            published,
            client,
            granted,
            due: due_qos,
            qos,
        }
    } else {
        return;
    };
    report.find(Place::on(link, copy.stamp), claim);
}

/// Reports a copy that no visible subscription of the client takes.
fn find_unsubscribed(state: &State, link: &Link, copy: &Copy<'_>, report: &mut Report) {
    let client = client(link);
    let topic = copy.topic.name;
    let session = link.session.and_then(|key| state.sessions.get(key));
    let given_up = session.and_then(|session| {
        let mut filters = session.given_up.iter();
        filters.find(|filter| takes(filter, topic))
    });
    let claim = match given_up {
        Some(filter) => Claim::AfterUnsubscribe {
            client,
            topic,
            filter,
        },
        None => Claim::NoSubscription { client, topic },
    };
    report.suspect(link, Sender::Client, Place::on(link, copy.stamp), claim);
}

/// Judges RETAIN of a live copy ([MQTT-3.3.1-12], [MQTT-3.3.1-13]).
fn judge_retain(link: &Link, held: &Held, route: &Route, copy: &Copy<'_>, report: &mut Report) {
    if link.bridge() != Some(false) || route.delivery.filters.is_empty() || route.tentative {
        return;
    }
    let client = client(link);
    let frame = Frame(held.published.number);
    let (every, some) = route.as_published;
    if copy.retain && !some {
        let claim = Claim::LiveWithRetain { client, frame };
        report.find(Place::on(link, copy.stamp), claim);
    } else if every && some && copy.retain != held.retain {
        let claim = Claim::RetainAsPublished { client, frame };
        report.find(Place::on(link, copy.stamp), claim);
    }
}

/// Judges the properties of a 5.0 copy and the time that the message waited.
fn judge_carried(link: &Link, held: &Held, copy: &Copy<'_>, report: &mut Report) {
    let frame = Frame(held.published.number);
    let place = || Place::on(link, copy.stamp);
    if let (Some(before), Some(after)) = (held.carried.properties, copy.carried.properties)
        && before != after
    {
        report.find(place(), Claim::PropertyAltered { frame });
    }
    let Some(expiry) = held.carried.expiry else {
        return;
    };
    let Some(waited) = between(&held.published, &copy.stamp) else {
        return;
    };
    let waited = waited.nanos() / 1_000_000_000;
    // Seconds are rounded either way.
    let most_left = i64::from(expiry) - waited + 1;
    if waited > i64::from(expiry) + 1 {
        let claim = Claim::DeliveredExpired {
            frame,
            expiry,
            waited,
        };
        report.find(place(), claim);
    } else if copy.carried.properties.is_some()
        && (copy.carried.expiry).is_none_or(|left| i64::from(left) > most_left)
    {
        let claim = Claim::ExpiryNotCounted {
            frame,
            waited,
            expiry,
        };
        report.find(place(), claim);
    }
}

/// Judges the Subscription Identifiers of a 5.0 copy ([MQTT-3.3.4-3]).
fn judge_identifiers(
    link: &Link,
    held: &Held,
    route: &Route,
    copy: &Copy<'_>,
    report: &mut Report,
) {
    if !link.five() || route.tentative {
        return;
    }
    let (set, carried) = (&route.identifiers, &copy.identifiers);
    let missing = match route.delivery.filters.len() {
        1 => set.iter().any(|id| !carried.contains(id)),
        // Which of several subscriptions the copy is for is not known; each has an identifier.
        filters => filters > 1 && carried.is_empty() && !set.is_empty() && set.len() == filters,
    };
    if missing && alone(held, route) {
        let frame = Frame(held.published.number);
        let claim = Claim::IdentifierMissing { frame };
        report.find(Place::on(link, copy.stamp), claim);
    }
}

/// Reports that a message came after a later one of its publisher, topic and QoS.
#[cold]
pub(crate) fn find_out_of_order(link: &Link, copy: &Copy<'_>, frame: u64, report: &mut Report) {
    let claim = Claim::OutOfOrder {
        client: client(link),
        frame: Frame(frame),
    };
    report.find(Place::on(link, copy.stamp), claim);
}

/// Judges a stored copy that was sent.
pub(crate) fn judge_stored_copy(state: &State, link: &Link, copy: &Copy<'_>, report: &mut Report) {
    if !report.wanted {
        return;
    }
    let topic = copy.topic.name;
    if !copy.retain {
        if !link.five() {
            let claim = Claim::StoredWithoutRetain { topic };
            report.find(Place::on(link, copy.stamp), claim);
        }
        return;
    }
    let Some(session) = link.session.and_then(|key| state.sessions.get(key)) else {
        return;
    };
    let few = session.subscriptions.len() <= caps::LOOKED_THROUGH;
    if !link.five() || !session.known || !few {
        return;
    }
    let mut taking = session
        .subscriptions
        .iter()
        .filter(|(filter, _)| takes(filter, topic))
        .filter_map(|(_, key)| state.sessions.subscription(*key))
        .peekable();
    if taking.peek().is_some() && taking.all(|one| one.retain_handling() == 2) {
        let client = client(link);
        let claim = Claim::RetainedNotWanted { client, topic };
        report.find(Place::on(link, copy.stamp), claim);
    }
}

/// Judges a stored copy that is not the latest retained message of its topic, which was last
/// changed at `changed`.
pub(crate) fn judge_stale(
    state: &State,
    link: &Link,
    copy: &Copy<'_>,
    changed: Option<FrameStamp>,
    report: &mut Report,
) {
    let broker = state.brokers.get(link.broker);
    let blind = broker.is_none_or(|broker| broker.blind > 0);
    let Some(changed) = changed.filter(|_| !blind) else {
        return;
    };
    // Another publisher may be outside the capture's sight; and what crosses a change inside the
    // server is neither old nor new.
    if between(&changed, &copy.stamp).is_some_and(|since| since >= caps::IN_TRANSIT) {
        let claim = Claim::StaleRetained {
            topic: copy.topic.name,
            changed: Frame(changed.number),
        };
        report.find(Place::on(link, copy.stamp), claim);
    }
}

/// Reports that a client got back what it published, although it asked not to.
#[cold]
pub(crate) fn find_echo(link: &Link, copy: &Copy<'_>, frame: u64, report: &mut Report) {
    let claim = Claim::NoLocal {
        client: client(link),
        frame: Frame(frame),
        topic: copy.topic.name,
    };
    report.find(Place::on(link, copy.stamp), claim);
}

/// Reports that a QoS 2 message came to a subscriber a second time.
#[cold]
pub(crate) fn find_second_copy(link: &Link, copy: &Copy<'_>, frame: u64, report: &mut Report) {
    if copy.qos == QoS::ExactlyOnce {
        let claim = Claim::DeliveredTwice {
            client: client(link),
            frame: Frame(frame),
            topic: copy.topic.name,
        };
        report.find(Place::on(link, copy.stamp), claim);
    }
}

/// Reports a copy that no subscription takes; returns whether it came unasked altogether, and
/// not by a wildcard that takes no topic with `$`.
#[cold]
pub(crate) fn find_uninvited(
    state: &State,
    link: &Link,
    copy: &Copy<'_>,
    report: &mut Report,
) -> bool {
    let topic = copy.topic.name;
    let session = link.session.and_then(|key| state.sessions.get(key));
    let by_wildcard = topic.starts_with('$')
        && session.is_some_and(|session| {
            session.subscriptions.keys().any(|filter| {
                let filter = matching_part(filter);
                filter.starts_with(['+', '#']) && matches(filter, topic.trim_start_matches('$'))
            })
        });
    if !by_wildcard {
        find_unsubscribed(state, link, copy, report);
        return true;
    }
    let client = client(link);
    let claim = Claim::DollarTopic { client, topic };
    report.suspect(link, Sender::Client, Place::on(link, copy.stamp), claim);
    false
}

/// Judges a message that a subscriber was not seen to receive.
pub(crate) fn judge_undelivered(held: &Held, route: &Route, why: Undelivered, report: &mut Report) {
    if !report.wanted || held.over.is_none() {
        return;
    }
    let topic = held.topic.as_deref().unwrap_or_default();
    let subscriber = Client(route.delivery.client_id.as_deref());
    // QoS 0 may be lost, and a shared message goes to another member.
    let assured = held.qos > QoS::AtMostOnce
        && route.delivery.granted > Some(QoS::AtMostOnce)
        && route.group.is_none();
    let claim = match why {
        Undelivered::Expired => Claim::MessageExpired { topic, subscriber },
        Undelivered::Unknown if assured => Claim::MessageLost { topic, subscriber },
        _ => return,
    };
    let place = Place {
        connection: Some(held.connection),
        client_id: held.client_id.clone(),
        version: held.version,
        ..Place::nowhere(held.published)
    };
    report.find(place, claim);
}

/// Returns whether the client gets the message by this one way: with a shared subscription
/// beside its own, which of the copies came by which is not known.
fn alone(held: &Held, route: &Route) -> bool {
    let ways = held.routes.iter();
    ways.filter(|other| other.session == route.session).count() == 1
}
