//! Rules of deliveries: each copy of a message against the PUBLISH that it comes from.

use super::super::caps;
use super::super::keys::{MessageKey, takes};
use super::super::state::messages::{Copy, Held, Route};
use super::super::state::sessions::ClientSession;
use super::claim::{Claim, Frame, Party};
use super::clauses as c;
use super::report::{Check, Place, Report};
use crate::base::FrameStamp;
use crate::event::{Undelivered, between};
use crate::mqtt::topic::{matches, matching_part};
use crate::mqtt::{QoS, Sender};

/// Judges a copy that was joined to a message, as the route `at` of it.
pub(crate) fn judge_copy(check: &mut Check<'_>, key: MessageKey, at: usize, copy: &Copy<'_>) {
    let (state, link) = (check.state, check.link);
    let held = state.messages.get(key).filter(|_| check.report.wanted);
    let Some((held, route)) = held.and_then(|held| Some((held, held.routes.get(at)?))) else {
        return;
    };
    judge_qos(check, held, route, copy);
    if route.delivery.filters.is_empty()
        && link.whole()
        && link.bridge() != Some(true)
        && known_session(check).is_some()
    {
        find_unsubscribed(check, copy);
    }
    judge_retain(check, held, route, copy);
    judge_carried(check, held, copy);
    judge_identifiers(check, held, route, copy);
}

/// Returns the client's session where all its subscriptions are known and few enough to search.
fn known_session<'a>(check: &Check<'a>) -> Option<&'a ClientSession> {
    let session = check.state.session_of(check.link)?;
    let few = session.subscriptions.len() <= caps::LOOKED_THROUGH;
    (session.known && few).then_some(session)
}

/// Judges the QoS of a copy: the lower of the published and the granted one is due.
fn judge_qos(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    let Some(granted) = route.delivery.granted else {
        return;
    };
    let due = held.qos.min(granted);
    // Several filters may be answered one by one, each at its own QoS.
    if copy.qos == due || !alone(held, route) {
        return;
    }
    let (due_qos, qos) = (due as u8, copy.qos as u8);
    let (clause, verdict) = if copy.qos > due {
        let verdict = format!("it is delivered at QoS {due_qos} at most; here it is QoS {qos}");
        (&c::DELIVERED_ABOVE, verdict)
    } else if route.delivery.filters.len() == 1 && !route.tentative {
        let verdict = format!("QoS {due_qos} is due; it is delivered at QoS {qos}");
        (&c::DELIVERED_BELOW, verdict)
    } else {
        return;
    };
    check.find(Claim::WrongQos {
        clause,
        frame: Frame(held.published.number),
        published: held.qos as u8,
        granted: granted as u8,
        verdict: &verdict,
    });
}

/// Reports a copy that no visible subscription of the client takes.
fn find_unsubscribed(check: &mut Check<'_>, copy: &Copy<'_>) {
    let topic = copy.topic.name;
    let session = check.state.session_of(check.link);
    let given_up = session.and_then(|session| {
        let mut filters = session.given_up.iter();
        filters.find(|filter| takes(filter, topic))
    });
    let claim = match given_up {
        Some(filter) => Claim::AfterUnsubscribe { topic, filter },
        None => Claim::NoSubscription { topic },
    };
    check.suspect(Sender::Client, claim);
}

/// Judges RETAIN of a live copy ([MQTT-3.3.1-12], [MQTT-3.3.1-13]).
fn judge_retain(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    let subscribed = !route.delivery.filters.is_empty() && !route.tentative;
    if check.link.bridge() != Some(false) || !subscribed {
        return;
    }
    let frame = Frame(held.published.number);
    let (every, some) = route.as_published;
    if copy.retain && !some {
        check.find(Claim::LiveWithRetain { frame });
    } else if every && some && copy.retain != held.retain {
        check.find(Claim::RetainAsPublished { frame });
    }
}

/// Judges the properties of a 5.0 copy and the time that the message waited.
fn judge_carried(check: &mut Check<'_>, held: &Held, copy: &Copy<'_>) {
    let frame = Frame(held.published.number);
    if let (Some(before), Some(after)) = (held.carried.properties, copy.carried.properties)
        && before != after
    {
        check.find(Claim::PropertyAltered { frame });
    }
    let waited = between(&held.published, &copy.stamp);
    let (Some(expiry), Some(waited)) = (held.carried.expiry, waited) else {
        return;
    };
    let waited = waited.nanos() / 1_000_000_000;
    // Seconds are rounded either way.
    let most_left = i64::from(expiry) - waited + 1;
    if waited > i64::from(expiry) + 1 {
        check.find(Claim::DeliveredExpired {
            frame,
            expiry,
            waited,
        });
    } else if copy.carried.properties.is_some()
        && (copy.carried.expiry).is_none_or(|left| i64::from(left) > most_left)
    {
        check.find(Claim::ExpiryNotCounted {
            frame,
            waited,
            expiry,
        });
    }
}

/// Judges the Subscription Identifiers of a 5.0 copy ([MQTT-3.3.4-3]).
fn judge_identifiers(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    if !check.link.five() || route.tentative {
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
        check.find(Claim::IdentifierMissing { frame });
    }
}

/// Judges a stored copy that was sent.
pub(crate) fn judge_stored_copy(check: &mut Check<'_>, copy: &Copy<'_>) {
    if !check.report.wanted {
        return;
    }
    let topic = copy.topic.name;
    let five = check.link.five();
    if !copy.retain && !five {
        return check.find(Claim::StoredWithoutRetain { topic });
    }
    let Some(session) = known_session(check).filter(|_| copy.retain && five) else {
        return;
    };
    let sessions = &check.state.sessions;
    let mut taking = session
        .subscriptions
        .iter()
        .filter(|(filter, _)| takes(filter, topic))
        .filter_map(|(_, key)| sessions.subscription(*key))
        .peekable();
    if taking.peek().is_some() && taking.all(|one| one.retain_handling() == 2) {
        check.find(Claim::RetainedNotWanted { topic });
    }
}

/// Judges a stored copy that is not the latest retained message of its topic, which was last
/// changed at `changed`.
pub(crate) fn judge_stale(check: &mut Check<'_>, copy: &Copy<'_>, changed: Option<FrameStamp>) {
    let broker = check.state.brokers.get(check.link.broker);
    let blind = broker.is_none_or(|broker| broker.blind > 0);
    let Some(changed) = changed.filter(|_| !blind) else {
        return;
    };
    // Another publisher may be outside the capture's sight; and what crosses a change inside the
    // server is neither old nor new.
    if between(&changed, &copy.stamp).is_some_and(|since| since >= caps::IN_TRANSIT) {
        let (topic, changed) = (copy.topic.name, Frame(changed.number));
        check.find(Claim::StaleRetained { topic, changed });
    }
}

/// Reports a copy that no subscription takes; returns whether it came unasked altogether, and
/// not by a wildcard that takes no topic with `$`.
#[cold]
pub(crate) fn find_uninvited(check: &mut Check<'_>, copy: &Copy<'_>) -> bool {
    let topic = copy.topic.name;
    let session = check.state.session_of(check.link);
    let by_wildcard = topic.starts_with('$')
        && session.is_some_and(|session| {
            session.subscriptions.keys().any(|filter| {
                let filter = matching_part(filter);
                filter.starts_with(['+', '#']) && matches(filter, topic.trim_start_matches('$'))
            })
        });
    if by_wildcard {
        check.suspect(Sender::Client, Claim::DollarTopic { topic });
    } else {
        find_unsubscribed(check, copy);
    }
    !by_wildcard
}

/// Judges a message that a subscriber was not seen to receive.
pub(crate) fn judge_undelivered(held: &Held, route: &Route, why: Undelivered, report: &mut Report) {
    if !report.wanted || held.over.is_none() {
        return;
    }
    let topic = held.topic.as_deref().unwrap_or_default();
    let subscriber = Party::Client(route.delivery.client_id.as_deref());
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
