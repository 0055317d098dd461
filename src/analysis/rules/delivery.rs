//! Rules of deliveries: each copy of a message against the PUBLISH that it comes from.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::caps;
use super::super::keys::{MessageKey, SessionKey, Topic};
use super::super::state::brokers::Broker;
use super::super::state::message::{Copy, Held, Over, Route};
use super::claim::{Claim, Frame, Party};
use super::clauses as c;
use super::report::{Check, Place, Report};
use crate::base::FrameStamp;
use crate::event::{HandshakeState, Outcome, Undelivered, between};
use crate::mqtt::topic::matching_part;
use crate::mqtt::{QoS, Sender};

/// Judges a copy that was joined to a message, as the route `at` of it.
pub(crate) fn judge_copy(check: &mut Check<'_>, key: MessageKey, at: usize, copy: &Copy<'_>) {
    let (state, link) = (check.state, check.link);
    let held = state.messages.get(key).filter(|_| check.report.wanted);
    let Some((held, route)) = held.and_then(|held| Some((held, held.routes.get(at)?))) else {
        return;
    };
    if let Some(Over {
        state: HandshakeState::Refused { code, .. },
        ..
    }) = held.over
    {
        report_refused(held, route, code, check.report);
    }
    // The copy may be of another message.
    if route.delivery.ambiguous {
        return;
    }
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

/// Judges a copy whose properties are not those of the only message that it may be, as the route `at`
/// of it: unless an equal message comes from outside the capture, they were altered.
pub(crate) fn judge_altered(check: &mut Check<'_>, key: MessageKey, at: usize) {
    let state = check.state;
    let broker = state.brokers.get(check.link.broker);
    let held = state.messages.get(key);
    let route = held.and_then(|held| held.routes.get(at));
    if let Some(held) = held
        && route.is_some_and(|route| !route.tentative)
        && broker.is_some_and(Broker::is_all_seen)
    {
        let frame = Frame(held.published.number);
        check.find_unless_outsiders(Claim::PropertyAltered { frame });
    }
}

/// Returns the client's session where all its subscriptions were seen.
fn known_session(check: &Check<'_>) -> Option<SessionKey> {
    let session = check.state.session_of(check.link)?;
    // It may have subscribed on a connection that does not show whose it is.
    let broker = check.state.brokers.get(check.link.broker);
    let elsewhere = session.resumed && broker.is_none_or(|broker| broker.may_be_back(0));
    let known = session.known && !session.cut && !elsewhere;
    check.link.session.filter(|_| known)
}

/// Judges the QoS of a copy: the lower of the published and the granted one is due.
fn judge_qos(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    let Some(granted) = route.delivery.granted else {
        return;
    };
    let due = held.qos.min(granted);
    // Several filters may be answered one by one, each at its own QoS.
    if copy.qos == due || route.beside {
        return;
    }
    let (due_qos, qos) = (due as u8, copy.qos as u8);
    let (clause, verdict) = if copy.qos > due {
        let verdict = format!("it is delivered at QoS {due_qos} at most; here it is QoS {qos}");
        (&c::DELIVERED_ABOVE, verdict)
    } else if route.delivery.filters.len() == 1
        && !route.tentative
        && known_session(check).is_some()
    {
        let verdict = format!("QoS {due_qos} is due; it is delivered at QoS {qos}");
        (&c::DELIVERED_BELOW, verdict)
    } else {
        return;
    };
    check.find_unless_outsiders(Claim::WrongQos {
        clause,
        frame: Frame(held.published.number),
        published: held.qos as u8,
        granted: granted as u8,
        verdict: &verdict,
    });
}

/// Reports a copy that no visible subscription of the client takes.
fn find_unsubscribed<'a>(check: &mut Check<'a>, copy: &Copy<'_>) {
    // Taken over: it may have waited to be sent since its session was here.
    if check.link.superseded.is_some() {
        return;
    }
    let topic = copy.topic.name;
    let (state, session) = (check.state, check.state.session_of(check.link));
    // `None` where it is not known which of them take the topic.
    let taking = |filters: &'a VecDeque<(Arc<str>, FrameStamp)>| {
        for (filter, _) in filters {
            if state.filter_takes(filter, copy.topic)? {
                return Some(Some(filter));
            }
        }
        Some(None)
    };
    let former = match session {
        Some(session) => taking(&session.given_up).zip(taking(&session.refused)),
        None => Some((None, None)),
    };
    let Some((given_up, refused)) = former else {
        return;
    };
    let claim = match (given_up, refused) {
        (Some(filter), _) => Claim::AfterUnsubscribe { topic, filter },
        (None, Some(filter)) => Claim::RefusedSubscriptionServed { topic, filter },
        (None, None) => Claim::NoSubscription { topic },
    };
    // It may have subscribed on a connection that was not captured.
    let broker = check.state.brokers.get(check.link.broker);
    let outsiders = broker.is_none_or(|broker| broker.outsiders);
    if outsiders && session.is_some_and(|session| session.resumed) {
        return;
    }
    check.suspect(Sender::Client, claim);
}

/// Judges RETAIN of a live copy ([MQTT-3.3.1-12], [MQTT-3.3.1-13]).
fn judge_retain(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    let subscribed = !route.delivery.filters.is_empty() && !route.tentative;
    if check.link.bridge() != Some(false) || !subscribed || route.beside {
        return;
    }
    let frame = Frame(held.published.number);
    let (every, some) = route.as_published;
    if copy.retain && !some {
        check.find(Claim::LiveWithRetain { frame });
    } else if every && some && copy.retain != held.retain {
        check.find_unless_outsiders(Claim::RetainAsPublished { frame });
    }
}

/// Judges the properties of a 5.0 copy and the time that the message waited.
fn judge_carried(check: &mut Check<'_>, held: &Held, copy: &Copy<'_>) {
    let frame = Frame(held.published.number);
    let waited = between(&held.published, &copy.stamp);
    let (Some(expiry), Some(waited)) = (held.carried.expiry, waited) else {
        return;
    };
    let waited = waited.nanos() / 1_000_000_000;
    // Seconds are rounded either way, and a property of 0 may be left out.
    let most_left = i64::from(expiry) - waited + 1;
    let counted = match copy.carried.expiry {
        Some(left) => i64::from(left) <= most_left,
        None => most_left <= 2,
    };
    if waited > i64::from(expiry) + 1 {
        check.find_unless_outsiders(Claim::DeliveredExpired {
            frame,
            expiry,
            waited,
        });
    } else if copy.carried.properties.is_some() && !counted {
        check.find_unless_outsiders(Claim::ExpiryNotCounted {
            frame,
            waited,
            expiry,
        });
    }
}

/// Judges the Subscription Identifiers of a 5.0 copy ([MQTT-3.3.4-3]).
fn judge_identifiers(check: &mut Check<'_>, held: &Held, route: &Route, copy: &Copy<'_>) {
    // A SUBSCRIBE in a gap may have set another one.
    if !check.link.five() || route.tentative || !check.state.history_known(check.link) {
        return;
    }
    let (set, carried) = (&route.identifiers, &copy.identifiers);
    let missing = match route.delivery.filters.len() {
        1 => set.iter().any(|id| !carried.contains(id)),
        // Which of several subscriptions the copy is for is not known; each has an identifier.
        filters => filters > 1 && carried.is_empty() && !set.is_empty() && set.len() == filters,
    };
    if missing && !route.beside {
        let frame = Frame(held.published.number);
        check.find(Claim::IdentifierMissing { frame });
    }
}

/// Judges a stored copy that was sent, `again` to a connection that was sent it before.
pub(crate) fn judge_stored_copy(check: &mut Check<'_>, copy: &Copy<'_>, again: bool) {
    if !check.report.wanted {
        return;
    }
    let topic = copy.topic.name;
    // Where it is joined to a stored message without RETAIN, nothing else explains it.
    if !copy.retain {
        return check.find(Claim::StoredWithoutRetain { topic });
    }
    let five = check.link.five();
    let Some(session) = known_session(check).filter(|_| five) else {
        return;
    };
    let Some(taking) = check.state.taking(session, copy.topic) else {
        return;
    };
    let wanted = match &*taking {
        [] => true,
        // The first copy answered the first SUBSCRIBE.
        [(_, one)] if one.retain_handling() == 1 && !one.changed => !(one.renewed && again),
        all => all.iter().any(|(_, one)| {
            // A live copy may have RETAIN 1 too, its PUBLISH being unseen or behind it.
            let live = one.retain_as_published() && asked(check, copy).is_none();
            one.retain_handling() != 2 || one.changed || live
        }),
    };
    if !wanted {
        check.find(Claim::RetainedNotWanted { topic });
    }
}

/// Returns whether a stored copy answers a SUBSCRIBE that surely came after the last change of its
/// topic's stored message, in the frame of `changed`.
pub(crate) fn is_late(check: &Check<'_>, copy: &Copy<'_>, changed: FrameStamp) -> bool {
    // What crosses a change inside the server is neither old nor new.
    let since = asked(check, copy).and_then(|asked| between(&changed, &asked));
    // Of a payload that was cut only the length is known.
    check.event.missing == 0 && since.is_some_and(|since| since >= caps::IN_TRANSIT)
}

/// Judges a late stored copy of what its topic had before its last change, in the frame of
/// `changed`.
pub(crate) fn judge_stale(check: &mut Check<'_>, copy: &Copy<'_>, changed: FrameStamp) {
    let broker = check.state.brokers.get(check.link.broker);
    // What its stored messages are is known where each comes from a client in the capture: not from
    // outside, not in a gap, and not from another broker by a bridge.
    let all_seen = broker.is_some_and(Broker::is_all_seen);
    if all_seen && !check.state.brokers.several() {
        let (topic, changed) = (copy.topic.name, Frame(changed.number));
        check.find_unless_outsiders(Claim::StaleRetained { topic, changed });
    }
}

/// Returns the first SUBSCRIBE that a stored copy may answer: a server looks the message up when it
/// acts on that.
fn asked(check: &Check<'_>, copy: &Copy<'_>) -> Option<FrameStamp> {
    let taking = check.state.taking(known_session(check)?, copy.topic)?;
    taking
        .into_iter()
        .map(|(_, one)| one.asked)
        .filter(|asked| {
            let waited = between(asked, &copy.stamp);
            waited.is_some_and(|waited| waited < caps::STORED_COPY)
        })
        .min_by_key(|asked| asked.number)
}

/// Reports a copy that no subscription takes; returns whether it may have come unasked altogether,
/// and not by a wildcard that takes no topic with `$`.
#[cold]
pub(crate) fn find_uninvited(check: &mut Check<'_>, copy: &Copy<'_>) -> bool {
    let topic = copy.topic.name;
    let by_wildcard = match topic.starts_with('$') {
        true => takes_without_dollar(check, copy),
        false => Some(false),
    };
    match by_wildcard {
        Some(true) => check.suspect(Sender::Client, Claim::DollarTopic { topic }),
        Some(false) => find_unsubscribed(check, copy),
        None => {}
    }
    by_wildcard != Some(true)
}

/// Returns whether the client has a subscription that begins with a wildcard and would take the topic
/// of a copy were there no `$`; `None` where that is not known.
fn takes_without_dollar(check: &Check<'_>, copy: &Copy<'_>) -> Option<bool> {
    let name = copy.topic.name.trim_start_matches('$');
    let topic = Topic { name, ..copy.topic };
    let taking = check.state.taking(check.link.session?, topic)?;
    let mut filters = taking.iter().map(|(_, one)| matching_part(&one.filter));
    Some(filters.any(|filter| filter.starts_with(['+', '#'])))
}

/// Judges the copies of a message that its server refuses now.
pub(crate) fn judge_refused(held: &Held, code: u8, report: &mut Report) {
    for route in &held.routes {
        report_refused(held, route, code, report);
    }
}

/// Reports the copy of a refused message, where it is known to be one.
fn report_refused(held: &Held, route: &Route, code: u8, report: &mut Report) {
    let Outcome::Delivered(delivered) = &route.delivery.outcome else {
        return;
    };
    let latency = delivered.latency;
    if route.delivery.ambiguous || latency.is_none_or(|latency| latency >= caps::LINGER) {
        return;
    }
    let place = Place {
        connection: route.delivery.connection,
        client_id: route.delivery.client_id.clone(),
        version: held.version,
        ..Place::nowhere(delivered.stamp)
    };
    let claim = Claim::RefusedMessageDelivered {
        frame: Frame(held.published.number),
        topic: held.topic.as_deref().unwrap_or_default(),
        code,
    };
    report.find(place, claim);
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
    let there = matches!(
        why,
        Undelivered::Unknown
            | Undelivered::ConnectionEnded { .. }
            | Undelivered::NotForwarded { .. }
            | Undelivered::Overtaken { .. }
            | Undelivered::CaptureEnded { .. }
    );
    let place = Place {
        connection: Some(held.connection),
        client_id: held.client_id.clone(),
        version: held.version,
        ..Place::nowhere(held.published)
    };
    let sure = assured && !route.delivery.ambiguous;
    if let Some(copy) = route.instead.filter(|_| there && sure) {
        let claim = Claim::PayloadAltered {
            copy: Frame(copy),
            topic,
            subscriber,
        };
        return report.find_unless_outsiders(held.broker, place, claim);
    }
    let claim = match why {
        Undelivered::Expired { .. } => Claim::MessageExpired { topic, subscriber },
        // An equal message may have come in its place.
        _ if !sure => return,
        Undelivered::NotForwarded { acknowledged } => Claim::MessageLost {
            topic,
            subscriber,
            acknowledged: Frame(acknowledged),
        },
        Undelivered::Overtaken { by } => Claim::MessageOvertaken {
            topic,
            subscriber,
            by: Frame(by),
        },
        Undelivered::WindowFull { since, waited } => Claim::MessageHeldBack {
            topic,
            subscriber,
            since: Frame(since),
            waited,
        },
        Undelivered::QueueDropped { returned, waited } => Claim::MessageDropped {
            topic,
            subscriber,
            returned: Frame(returned),
            waited,
        },
        _ => return,
    };
    report.find(place, claim);
}
