//! From a client's PUBLISH to its subscribers: the deliveries that are expected of it.

use std::sync::Arc;

use foldhash::HashMap;

use super::super::context::PacketContext;
use super::super::keys::{MessageKey, SessionKey, Topic, Turn};
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::message::{Ahead, Held, Pending, Progress, Route, Routes};
use super::super::state::sessions::{Force, Subscription};
use crate::base::limits::Limit;
use crate::event::{Handshake, MessageDelivery, Outcome, Undelivered, between};
use crate::mqtt::QoS;
use crate::mqtt::packet::Publish;

/// Holds a client's message and works out who is to be sent it; one that is not in force, only who
/// would be.
pub(crate) fn hold_message(
    cx: &mut PacketContext<'_>,
    publish: &Publish<'_>,
    topic: Topic<'_>,
    digest: u64,
    turn: Turn,
    pending: Option<Box<Pending>>,
) -> MessageKey {
    let PacketContext { state, link, .. } = cx;
    let qos = publish.delivery.qos();
    let publisher = Publisher {
        session: link.session,
        bridge: link.bridge() == Some(true),
    };
    let routes = routes(state, cx.report, topic, Some(publisher), Some(link));
    let routes = counted(state, routes, topic, qos, pending.is_none());
    let held = Held {
        // Given when it is added.
        key: MessageKey(0),
        order: 0,
        forwarded: None,
        unordered: false,
        doubted: false,
        broker: link.broker,
        digest,
        turn,
        over: None,
        over_at: cx.event.stamp,
        record: None,
        topic: (!routes.all.is_empty()).then(|| state.shared(topic)),
        version: link.version,
        published: cx.event.stamp,
        in_force: cx.event.stamp,
        connection: link.id,
        session: link.session,
        client_id: link.client_id.clone(),
        qos,
        retain: publish.retain,
        from_bridge: publisher.bridge,
        pending,
        least: least_size(publish, topic),
        carried: state.carried(publish, link.version()),
        former: routes.former,
        left_out: routes.left_out,
        unsettled: routes.unsettled,
        routes: routes.all,
        stored: false,
        late: Vec::new(),
    };
    state.messages.add(held)
}

/// Puts a message in force for the subscribers of this moment; returns its topic and the stored
/// message that it becomes. `out` is the connection that is out of the table.
pub(crate) fn release(
    state: &mut State,
    report: &mut Report,
    out: &Link,
    key: MessageKey,
) -> Option<Box<Pending>> {
    let held = state.messages.get_mut(key)?;
    let pending = held.pending.take()?;
    let (broker, qos) = (held.broker, held.qos);
    held.in_force = state.now;
    let publisher = Publisher {
        session: held.session,
        bridge: held.from_bridge,
    };
    held.topic = Some(Arc::clone(&pending.topic));
    let topic = state.topic(broker, &pending.topic);
    let routes = routes(state, report, topic, Some(publisher), Some(out));
    let routes = counted(state, routes, topic, qos, true);
    state.messages.put_in_force(key, routes);
    Some(pending)
}

/// Counts the routes of a message; of one in force, those to absent subscribers wait or are done.
fn counted(
    state: &mut State,
    mut routes: Vec<Route>,
    topic: Topic<'_>,
    qos: QoS,
    in_force: bool,
) -> Routes {
    let left_out = routes.len().saturating_sub(Handshake::DELIVERIES_KEPT);
    routes.truncate(Handshake::DELIVERIES_KEPT);
    for route in routes.iter_mut().filter(|_| in_force) {
        let due = route
            .delivery
            .granted
            .map_or(qos, |granted| granted.min(qos));
        // At QoS 0 nothing waits for the connected.
        if due == QoS::AtMostOnce && !route.absent {
            continue;
        }
        let Some(session) = state.sessions.get_mut(route.session) else {
            continue;
        };
        let expected = route.progress == Progress::Waiting && !route.tentative;
        if due > QoS::AtMostOnce && route.absent {
            session.waits();
        } else if due > QoS::AtMostOnce && expected && route.group.is_none() {
            (route.ahead.number, route.ahead.waited) = session.is_due();
        } else if route.absent && expected {
            // Servers keep nothing for the absent at QoS 0: no copy that comes later is of it.
            route.progress = Progress::Done;
            // Its TCP connection may go on behind that.
            let left = || state.links.get(&session.link?)?.left(state.now);
            let since = session.away_since.or_else(left).unwrap_or(state.now);
            let since = since.number;
            let broker = state.brokers.get(topic.broker);
            let why = match broker.is_none_or(|broker| broker.may_be_back(since)) {
                true => Undelivered::Unknown,
                false => Undelivered::AwayAtQoS0 { since },
            };
            route.delivery.outcome = Outcome::NotDelivered(why);
        }
    }
    let unsettled = routes.iter().filter(|one| one.progress != Progress::Done);
    let former = match routes.iter().any(|route| !route.tentative) {
        true => Vec::new(),
        false => former(state, topic),
    };
    Routes {
        former,
        left_out: u32::try_from(left_out).unwrap_or(u32::MAX),
        unsettled: u32::try_from(unsettled.count()).unwrap_or(u32::MAX),
        all: routes,
    }
}

/// Returns the ways to the subscribers of a message to `topic`, were it published by the server
/// itself; without those of which it is not known that they are to be sent it.
pub(crate) fn would_take(state: &mut State, report: &mut Report, topic: Topic<'_>) -> Vec<Route> {
    let mut routes = routes(state, report, topic, None, None);
    routes.retain(|route| !route.tentative && route.group.is_none());
    routes
}

/// The client that published a message.
#[derive(Clone, Copy, Debug)]
struct Publisher {
    session: Option<SessionKey>,
    bridge: bool,
}

/// Returns one route for each subscriber, and for each member of each group that shares a
/// subscription.
fn routes(
    state: &mut State,
    report: &mut Report,
    topic: Topic<'_>,
    publisher: Option<Publisher>,
    out: Option<&Link>,
) -> Vec<Route> {
    let (mut found, all) = state.subscriptions_to(topic);
    if !all {
        report.limit_reached(Limit::Matches, state.now);
    }
    if found.len() > 1 {
        found.sort_by_cached_key(|key| {
            let one = state.sessions.subscription(*key);
            one.map(|one| (one.session, one.group.is_some(), *key))
        });
    }
    // Most have one, and most are held for a while: no room for four.
    let mut routes: Vec<Route> = Vec::with_capacity(found.len());
    let mut groups: HashMap<(Arc<str>, Arc<str>), u32> = HashMap::default();
    for key in &found {
        let Some(one) = state.sessions.subscription(*key) else {
            continue;
        };
        let own = publisher.filter(|client| client.session == Some(one.session));
        // A server may send a bridge nothing of its own back, so that no message goes in a circle:
        // a copy is joined where it comes, and none is expected.
        if own.is_some_and(|client| client.bridge) {
            continue;
        }
        let tentative = one.force != Force::Granted;
        if own.is_some() && one.no_local() && !tentative {
            routes.push(Route {
                progress: Progress::Done,
                ..route(
                    state,
                    one,
                    out,
                    Undelivered::NoLocal {
                        asked: one.asked.number,
                    },
                )
            });
            continue;
        }
        let group = one.group.as_ref().map(|group| {
            let named = (Arc::clone(group), Arc::clone(&one.filter));
            let next = u32::try_from(groups.len()).unwrap_or(u32::MAX);
            *groups.entry(named).or_insert(next)
        });
        let kept = one.retain_as_published();
        let as_published = (kept && !one.changed, kept || one.changed);
        let identifier = one.identifier.filter(|_| !one.changed);
        match routes.last_mut() {
            Some(last)
                if last.session == one.session
                    && last.group.is_none()
                    && group.is_none()
                    && last.progress == Progress::Waiting =>
            {
                last.delivery.filters.push(Arc::clone(&one.filter));
                last.delivery.granted = last.delivery.granted.max(Some(one.granted));
                last.tentative &= tentative;
                last.spare += 1;
                last.as_published.0 &= as_published.0;
                last.as_published.1 |= as_published.1;
                last.identifiers.extend(identifier);
            }
            _ => routes.push(Route {
                tentative,
                asked: (one.force == Force::Asked).then_some(one.asked.number),
                group,
                as_published,
                identifiers: identifier.into_iter().collect(),
                ..route(state, one, out, Undelivered::Unknown)
            }),
        }
    }
    // They are in the order of their sessions.
    for at in 1..routes.len() {
        if let Some([one, other]) = routes.get_mut(at - 1..=at)
            && one.session == other.session
        {
            one.beside = true;
            other.beside = true;
        }
    }
    routes
}

/// Returns the subscriptions to a topic that are over, as deliveries that did not come about.
fn former(state: &mut State, topic: Topic<'_>) -> Vec<MessageDelivery> {
    if !state.wanted.details {
        return Vec::new();
    }
    let most = state.steps(topic.broker);
    let broker = state.brokers.get(topic.broker);
    let past = broker.map(|broker| broker.past(topic.name, most));
    let (past, steps) = past.unwrap_or_default();
    let former = past.into_iter().map(|one| MessageDelivery {
        connection: None,
        client_id: one.client_id.clone(),
        filters: vec![Arc::clone(&one.filter)],
        granted: None,
        subscription_ids: Vec::new(),
        outcome: Outcome::NotDelivered(one.why),
        ambiguous: false,
        over: between(&one.since, &state.now),
    });
    let former = former.collect();
    state.pay(topic.broker, 0, steps);
    former
}

/// Returns the bytes that a copy of a message has at least, with its topic name and without.
fn least_size(publish: &Publish<'_>, topic: Topic<'_>) -> (usize, usize) {
    // The fixed header, the length of the topic name and that of the properties.
    const HEADERS: usize = 2 + 2 + 1;
    // A topic alias belongs to the publisher's connection.
    const ALIAS: usize = 3;
    let properties = publish.properties;
    let alias = properties.topic_alias().map_or(0, |_| ALIAS);
    let carried = properties.bytes().len().saturating_sub(alias);
    let aliased = HEADERS + carried + publish.payload.len();
    (aliased + topic.name.len(), aliased)
}

/// Returns the route to the subscriber of a subscription, on which nothing has come yet.
fn route(state: &State, one: &Subscription, out: Option<&Link>, why: Undelivered) -> Route {
    let session = state.sessions.get(one.session);
    // A link is out of the table while its packet is acted on.
    let link = session
        .and_then(|session| session.link)
        .and_then(|id| match out {
            Some(link) if link.id == id => Some(link),
            _ => state.links.get(&id).map(Box::as_ref),
        })
        .filter(|link| link.alive() && link.left(state.now).is_none());
    let absent = link.is_none() && session.is_some_and(|session| !session.returning);
    let delivery = MessageDelivery {
        connection: link.map(|link| link.id),
        client_id: session.and_then(|session| session.summary.client_id.clone()),
        filters: vec![Arc::clone(&one.filter)],
        granted: Some(one.granted),
        subscription_ids: Vec::new(),
        outcome: Outcome::NotDelivered(why),
        ambiguous: false,
        over: None,
    };
    let ahead = link.map(|link| Ahead {
        in_flight: link.sides.server.window.in_flight(),
        since: link.sides.server.filled,
        ..Ahead::default()
    });
    Route {
        ahead: ahead.unwrap_or_default(),
        gaps: link.map_or(0, |link| link.unseen().server),
        full: link.map(|link| link.sides.server.window.full_until(state.now)),
        absent,
        ..Route::new(one.session, delivery)
    }
}

/// Returns the filters of a session that take a topic now, in the order of their subscriptions.
pub(crate) fn filters_of(
    state: &State,
    session: Option<SessionKey>,
    topic: Topic<'_>,
) -> Vec<Arc<str>> {
    let taking = session.and_then(|key| state.taking(key, topic));
    let taking = taking.unwrap_or_default().into_iter();
    taking.map(|(_, one)| Arc::clone(&one.filter)).collect()
}
