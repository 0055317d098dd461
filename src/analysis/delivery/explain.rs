//! The origin of a server's PUBLISH: a message on its way, a stored one, a will.

use super::super::caps;
use super::super::keys::{DeliveryRef, MessageKey};
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::messages::{Barred, Copy, Found, Progress, Route};
use super::messages::try_settle;
use super::subscribers::{filters_of, is_subscribed};
use super::wills::will_was_published;
use crate::base::limits::Limit;
use crate::event::{Handshake, MessageDelivery, Origin, Outcome, Undelivered};

/// The origin of a server's PUBLISH, and the delivery that it is.
pub(crate) struct Explained {
    /// The message, stored message or will that it is a copy of.
    pub(crate) origin: Origin,
    /// `None` where nothing explains it, or where no more deliveries are kept.
    pub(crate) delivery: Option<DeliveryRef>,
}

/// Finds out where a server's PUBLISH comes from, and joins it to its message.
pub(crate) fn explain(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    digest: u64,
    copy: &Copy<'_>,
) -> Explained {
    // RETAIN 1 marks a stored copy, unless a subscription asks for RETAIN as published or the
    // client is a bridge, which keeps it too.
    let stored_first = copy.retain && !keeps_retain(state, link, digest);
    if stored_first && let Some(explained) = explain_stored(state, report, link, digest, copy) {
        return explained;
    }
    // From the surest to the least sure: a delivery that waits for this copy, a will, a message of
    // which it is not known that this client takes it.
    let explained = explain_expected(state, report, link, digest, copy)
        .or_else(|| explain_will(state, report, link, digest, copy))
        .or_else(|| explain_unexpected(state, report, link, digest, copy));
    if let Some(explained) = explained {
        return explained;
    }
    if !stored_first && let Some(explained) = explain_stored(state, report, link, digest, copy) {
        return explained;
    }
    if copy.retain
        && let Some(cleared) = state.retained.cleared(copy.topic)
    {
        rules::delivery::judge_stale(state, link, copy, Some(cleared), report);
    }
    let origin = if copy.retain {
        Origin::Stored {
            connection: None,
            frame: None,
        }
    // 4.7.2: servers publish their own state there.
    } else if copy.topic.starts_with('$') {
        Origin::Server
    } else {
        Origin::NotSeen
    };
    judge_unexplained(state, report, link, digest, copy);
    Explained {
        origin,
        delivery: None,
    }
}

/// Returns whether a live copy to this client may carry RETAIN 1.
fn keeps_retain(state: &State, link: &Link, digest: u64) -> bool {
    if link.bridge() == Some(true) {
        return true;
    }
    let expected = |session| state.messages.first_expected(session, digest);
    link.session.and_then(expected).is_some_and(|route| {
        // The subscription was in force on this very connection when the message was published,
        // so its live copy is due; or RETAIN as published was asked for.
        let (_, some) = route.as_published;
        let live = !route.tentative && route.delivery.connection == Some(link.id);
        route.progress == Progress::Waiting && (some || live)
    })
}

/// Returns the delivery that a copy without a known subscription is.
fn delivery_of(state: &State, link: &Link, copy: &Copy<'_>, outcome: Outcome) -> MessageDelivery {
    MessageDelivery {
        connection: Some(copy.connection),
        client_id: copy.client_id.clone(),
        filters: filters_of(state, link.session, &copy.topic),
        granted: None,
        subscription_ids: copy.identifiers.clone(),
        outcome,
        ambiguous: false,
    }
}

/// Joins a copy to the stored message of its topic.
fn explain_stored(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    digest: u64,
    copy: &Copy<'_>,
) -> Option<Explained> {
    let key = state.retained.find(copy.topic)?;
    // Whatever the payload: the server did send a stored message of this topic.
    link.stored_due.retain(|(due, _)| *due != key);
    let entry = state.retained.get(key)?;
    let stored = entry.summary.stored.clone();
    // Another message: an earlier one of the topic, if it is marked as a stored one.
    if entry.digest != digest {
        if copy.retain {
            let changed = stored.map(|stored| stored.stamp);
            rules::delivery::judge_stale(state, link, copy, changed, report);
        }
        return None;
    }
    let outcome = Outcome::Delivered(copy.delivered(None, entry.summary.message.qos));
    let delivery = delivery_of(state, link, copy, outcome);
    let at = state.retained.add_delivery(key, delivery);
    rules::delivery::judge_stored_copy(state, link, copy, report);
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
        delivery: at.map(|at| DeliveryRef::Stored(key, at)),
    })
}

/// Joins a copy to a message that its subscriber waits for.
fn explain_expected(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    digest: u64,
    copy: &Copy<'_>,
) -> Option<Explained> {
    let found = state.messages.take_expected(link.session?, digest, copy)?;
    Some(deliver(state, report, link, found, copy))
}

/// Joins a copy to the delivery that it is.
fn deliver(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    Found { key, at, ambiguous }: Found,
    copy: &Copy<'_>,
) -> Explained {
    let unseen = Explained {
        origin: Origin::NotSeen,
        delivery: None,
    };
    let Some(held) = state.messages.get_mut(key) else {
        return unseen;
    };
    let mut delivered = copy.delivered(Some(held.published), held.qos);
    let Some(route) = held.routes.get_mut(at) else {
        return unseen;
    };
    let mut place = at;
    if route.progress == Progress::Waiting {
        // The subscriber was away, or on another connection, when the message was published.
        delivered.queued = route.delivery.connection != Some(copy.connection);
        route.delivery.connection = Some(copy.connection);
        route
            .delivery
            .subscription_ids
            .clone_from(&copy.identifiers);
        route.delivery.outcome = Outcome::Delivered(delivered);
        route.delivery.ambiguous = ambiguous;
        route.progress = copy.progress();
        let mut done = u32::from(route.progress == Progress::Done);
        // A shared subscription: one member of the group is given the message (5.0 §4.8.2).
        if let Some(group) = route.group {
            done += settle_other_members(&mut held.routes, group, at);
        }
        held.unsettled = held.unsettled.saturating_sub(done);
    } else {
        // Another copy of the same message, for another of its subscriptions.
        route.spare = route.spare.saturating_sub(1);
        let further = Route {
            delivery: MessageDelivery {
                subscription_ids: copy.identifiers.clone(),
                outcome: Outcome::Delivered(delivered),
                ambiguous,
                ..route.delivery.clone()
            },
            session: route.session,
            progress: copy.progress(),
            gaps: 0,
            tentative: false,
            group: None,
            spare: 0,
            as_published: route.as_published,
            identifiers: Vec::new(),
        };
        held.unsettled += u32::from(further.progress == Progress::Open);
        place = state.messages.add_route(key, further).unwrap_or(at);
    }
    let Some(held) = state.messages.get(key) else {
        return unseen;
    };
    let origin = Origin::Published {
        connection: held.connection,
        client_id: held.client_id.clone(),
        frame: held.published.number,
        ambiguous,
    };
    if let Some(route) = held.routes.get(place) {
        rules::delivery::judge_copy(state, link, (held, route), copy, report);
    }
    judge_order(state, report, link, key, place, copy);
    try_settle(state, report, key);
    Explained {
        origin,
        delivery: Some(DeliveryRef::Message(key, place)),
    }
}

/// Joins a copy to the will that it is.
fn explain_will(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    digest: u64,
    copy: &Copy<'_>,
) -> Option<Explained> {
    let key = state.wills.find(digest, link.session)?;
    let will = state.wills.get(key)?;
    // A will without Will Retain is never stored, and a live copy has RETAIN 0.
    if copy.retain && !will.summary.will.retain {
        return None;
    }
    rules::will::check_copy(will, copy.stamp, report);
    let origin = Origin::Will {
        connection: will.summary.connection,
        client_id: will.summary.client_id.clone(),
        frame: will.summary.set.number,
    };
    let mut delivered = copy.delivered(None, will.summary.will.qos);
    // RETAIN as published sets the flag on live copies too, and a will is live.
    delivered.stored = false;
    let delivery = MessageDelivery {
        filters: filters_of(state, link.session, &will.summary.will.topic),
        ..delivery_of(state, link, copy, Outcome::Delivered(delivered))
    };
    let at = state
        .wills
        .add_delivery(key, link.session, delivery, copy.stamp);
    will_was_published(state, report, key, copy.stamp);
    Some(Explained {
        origin,
        delivery: at.map(|at| DeliveryRef::Will(key, at)),
    })
}

/// Joins a copy to a message that was published and not expected here: the subscription lies
/// before the capture, or was acted on before it was seen.
fn explain_unexpected(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    digest: u64,
    copy: &Copy<'_>,
) -> Option<Explained> {
    let session = link.session?;
    let messages = &mut state.messages;
    let (key, ambiguous) = messages.find_unexpected(session, digest, copy.stamp)?;
    let held = messages.get_mut(key)?;
    if held.routes.len() >= Handshake::DELIVERIES_KEPT {
        // Counted, so that the summary adds up.
        held.left_out += 1;
        return None;
    }
    // `deliver` takes it off again when the copy is done.
    held.unsettled += 1;
    let route = Route {
        delivery: MessageDelivery {
            subscription_ids: Vec::new(),
            ambiguous,
            ..delivery_of(
                state,
                link,
                copy,
                Outcome::NotDelivered(Undelivered::Unknown),
            )
        },
        session,
        progress: Progress::Waiting,
        gaps: 0,
        // No subscription is known: nothing may be concluded from a copy that is missing.
        tentative: true,
        group: None,
        spare: 0,
        as_published: (false, true),
        identifiers: Vec::new(),
    };
    let at = state.messages.add_route(key, route)?;
    let found = Found { key, at, ambiguous };
    Some(deliver(state, report, link, found, copy))
}

/// Settles the routes to the other members of a group: one was given the message, so they are not
/// waited for. Returns how many those were.
fn settle_other_members(routes: &mut [Route], group: u32, given: usize) -> u32 {
    let mut others = 0;
    for (at, route) in routes.iter_mut().enumerate() {
        if at != given && route.group == Some(group) && route.progress == Progress::Waiting {
            route.progress = Progress::Done;
            route.delivery.outcome = Outcome::NotDelivered(Undelivered::OtherOfGroup);
            others += 1;
        }
    }
    others
}

/// Notes the latest message of a stream, and reports one that comes after a later one.
fn judge_order(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    key: MessageKey,
    at: usize,
    copy: &Copy<'_>,
) {
    let Some(held) = state.messages.get(key).filter(|_| report.wanted) else {
        return;
    };
    let (Some(route), Some(publisher)) = (held.routes.get(at), held.session) else {
        return;
    };
    // Which of two equal messages this is is not known; a redelivery has its own order.
    if copy.dup || route.delivery.ambiguous || route.group.is_some() {
        return;
    }
    // Order holds for one publisher, topic and QoS on the way to one subscriber (§4.6). A hash of
    // these is kept in place of the texts.
    let stream = (
        route.session,
        publisher,
        copy.topic.hash,
        held.qos,
        copy.qos,
    );
    let (stream, frame) = (state.hash_of(stream), held.published.number);
    if state.ordered.len() >= state.limits.ordered {
        // Order is judged anew from here on.
        state.ordered.clear();
        report.limit_reached(Limit::Ordered, copy.stamp);
    }
    let latest = state.ordered.entry(stream).or_insert(key.order);
    if key.order >= *latest {
        *latest = key.order;
    } else {
        rules::delivery::find_out_of_order(link, copy, frame, report);
    }
}

/// Judges a server's PUBLISH that nothing in the capture explains.
fn judge_unexplained(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    digest: u64,
    copy: &Copy<'_>,
) {
    let Some(key) = link.session.filter(|_| report.wanted && link.whole()) else {
        return;
    };
    if !copy.retain && !copy.dup {
        match state.messages.barred(key, digest) {
            Some((frame, Barred::OwnMessage)) => {
                // No Local (5.0 §3.8.3.1): the client's own message came back.
                return rules::delivery::find_echo(link, copy, frame, report);
            }
            Some((frame, Barred::Received)) => {
                return rules::delivery::find_second_copy(link, copy, frame, report);
            }
            // Forgotten for lack of room: then nothing can be concluded.
            None if state.messages.may_have_barred(copy.qos) => {
                report.limit_reached(Limit::Settled, copy.stamp);
            }
            None => {}
        }
    }
    let Some(session) = state.sessions.get(key) else {
        return;
    };
    let few = session.subscriptions.len() <= caps::LOOKED_THROUGH;
    // A subscription from before the capture would explain the copy, and bridges subscribe in ways
    // of their own. Very many subscriptions are not searched.
    if !session.known || !few || link.bridge() != Some(false) {
        return;
    }
    if is_subscribed(state, key, copy.topic) {
        return;
    }
    // Servers can subscribe on their clients' behalf: from here on messages wait a moment for
    // copies that no client asked for.
    if rules::delivery::find_uninvited(state, link, copy, report)
        && let Some(broker) = state.brokers.get_mut(link.broker)
    {
        broker.surprises = true;
    }
}
