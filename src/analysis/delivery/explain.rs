//! The origin of a server's PUBLISH: a message on its way, a stored one, a will.

use super::super::caps;
use super::super::context::PacketContext;
use super::super::keys::{DeliveryRef, MessageKey};
use super::super::rules;
use super::super::rules::claim::{Claim, Frame};
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::messages::{Barred, Copy, Found, Progress, Route, add_delivery};
use super::messages::try_settle;
use super::subscribers::{filters_of, is_subscribed};
use super::wills::will_was_published;
use crate::base::limits::Limit;
use crate::event::{Handshake, MessageDelivery, Origin, Outcome, Undelivered};
use crate::mqtt::QoS;

/// The origin of a server's PUBLISH, and the delivery that it is.
pub(crate) struct Explained {
    /// The message, stored message or will that it is a copy of.
    pub(crate) origin: Origin,
    /// `None` where nothing explains it, or where no more deliveries are kept.
    pub(crate) delivery: Option<DeliveryRef>,
}

/// Finds out where a server's PUBLISH comes from, and joins it to its message.
pub(crate) fn explain(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Explained {
    // RETAIN 1 marks a stored copy, unless a subscription asks for RETAIN as published or the
    // client is a bridge, which keeps it too.
    let stored_first = copy.retain && !keeps_retain(cx.state, cx.link, copy);
    let stored = match stored_first {
        true => explain_stored(cx, copy),
        false => None,
    };
    // From the surest to the least sure: a delivery that waits for this copy, a will, a message of
    // which it is not known that this client takes it.
    let explained = stored
        .or_else(|| explain_expected(cx, copy))
        .or_else(|| explain_will(cx, copy))
        .or_else(|| explain_unexpected(cx, copy))
        .or_else(|| match stored_first {
            true => None,
            false => explain_stored(cx, copy),
        });
    if let Some(explained) = explained {
        return explained;
    }
    if copy.retain
        && let Some(cleared) = cx.state.retained.cleared(copy.topic.hash)
    {
        rules::delivery::judge_stale(&mut cx.check(), copy, Some(cleared));
    }
    judge_unexplained(cx, copy);
    let origin = if copy.retain {
        Origin::Stored {
            connection: None,
            frame: None,
        }
    // 4.7.2: servers publish their own state there.
    } else if copy.topic.name.starts_with('$') {
        Origin::Server
    } else {
        Origin::NotSeen
    };
    Explained {
        origin,
        delivery: None,
    }
}

/// Returns whether a live copy to this client may carry RETAIN 1.
fn keeps_retain(state: &State, link: &Link, copy: &Copy<'_>) -> bool {
    if link.bridge() == Some(true) {
        return true;
    }
    let expected = |session| state.messages.first_expected(session, copy.digest);
    link.session.and_then(expected).is_some_and(|route| {
        // The subscription was in force on this very connection when the message was published,
        // so its live copy is due; or RETAIN as published was asked for.
        let (_, some) = route.as_published;
        let live = !route.tentative && route.delivery.connection == Some(link.id);
        route.progress == Progress::Waiting && (some || live)
    })
}

/// Returns the delivery that a copy without a known subscription is.
fn delivery_of(cx: &PacketContext<'_>, copy: &Copy<'_>, outcome: Outcome) -> MessageDelivery {
    MessageDelivery {
        connection: Some(cx.link.id),
        client_id: cx.link.client_id.clone(),
        filters: filters_of(cx.state, cx.link.session, copy.topic.name),
        granted: None,
        subscription_ids: copy.identifiers.clone(),
        outcome,
        ambiguous: false,
    }
}

/// Joins a copy to the stored message of its topic.
fn explain_stored(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let key = cx.state.retained.find(copy.topic.hash)?;
    // Whatever the payload: the server did send a stored message of this topic.
    cx.link.stored_due.retain(|(due, _)| *due != key);
    let entry = cx.state.retained.get(key)?;
    let stored = entry.summary.stored.clone();
    // Another message: an earlier one of the topic, if it is marked as a stored one.
    if entry.digest != copy.digest {
        if copy.retain {
            let changed = stored.map(|stored| stored.stamp);
            rules::delivery::judge_stale(&mut cx.check(), copy, changed);
        }
        return None;
    }
    let outcome = Outcome::Delivered(copy.delivered(None, entry.summary.message.qos));
    let delivery = delivery_of(cx, copy, outcome);
    let at = add_delivery(cx.state.retained.deliveries(key)?, delivery);
    rules::delivery::judge_stored_copy(&mut cx.check(), copy);
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
fn explain_expected(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let found = cx.state.messages.take_expected(cx.link.session?, copy)?;
    deliver(cx, found, copy)
}

/// Joins a copy to the delivery that it is.
fn deliver(cx: &mut PacketContext<'_>, found: Found, copy: &Copy<'_>) -> Option<Explained> {
    let Found { key, at, ambiguous } = found;
    let here = cx.link.id;
    let held = cx.state.messages.get_mut(key)?;
    let origin = Origin::Published {
        connection: held.connection,
        client_id: held.client_id.clone(),
        frame: held.published.number,
        ambiguous,
    };
    let mut delivered = copy.delivered(Some(held.published), held.qos);
    let route = held.routes.get_mut(at)?;
    let mut place = at;
    if route.progress == Progress::Waiting {
        let delivery = &mut route.delivery;
        // The subscriber was away, or on another connection, when the message was published.
        delivered.queued = delivery.connection != Some(here);
        delivery.connection = Some(here);
        delivery.subscription_ids.clone_from(&copy.identifiers);
        delivery.outcome = Outcome::Delivered(delivered);
        delivery.ambiguous = ambiguous;
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
        let delivery = MessageDelivery {
            subscription_ids: copy.identifiers.clone(),
            outcome: Outcome::Delivered(delivered),
            ambiguous,
            ..route.delivery.clone()
        };
        let further = Route {
            progress: copy.progress(),
            as_published: route.as_published,
            ..Route::new(route.session, delivery)
        };
        held.unsettled += u32::from(further.progress == Progress::Open);
        place = cx.state.messages.add_route(key, further)?;
    }
    rules::delivery::judge_copy(&mut cx.check(), key, place, copy);
    judge_order(cx, key, place, copy);
    try_settle(cx.state, cx.report, key);
    Some(Explained {
        origin,
        delivery: Some(DeliveryRef::Message(key, place)),
    })
}

/// Joins a copy to the will that it is.
fn explain_will(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let session = cx.link.session;
    let key = cx.state.wills.find(copy.digest, session)?;
    let will = cx.state.wills.get(key)?;
    // A will without Will Retain is never stored, and a live copy has RETAIN 0.
    if copy.retain && !will.summary.will.retain {
        return None;
    }
    rules::will::check_copy(will, copy.stamp, cx.report);
    let origin = Origin::Will {
        connection: will.summary.connection,
        client_id: will.summary.client_id.clone(),
        frame: will.summary.set.number,
    };
    let mut delivered = copy.delivered(None, will.summary.will.qos);
    // RETAIN as published sets the flag on live copies too, and a will is live.
    delivered.stored = false;
    let delivery = delivery_of(cx, copy, Outcome::Delivered(delivered));
    let at = (cx.state.wills).add_delivery(key, session, delivery, copy.stamp);
    will_was_published(cx.state, cx.report, key, copy.stamp);
    Some(Explained {
        origin,
        delivery: at.map(|at| DeliveryRef::Will(key, at)),
    })
}

/// Joins a copy to a message that was published and not expected here: the subscription lies
/// before the capture, or was acted on before it was seen.
fn explain_unexpected(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let session = cx.link.session?;
    let messages = &mut cx.state.messages;
    let (key, ambiguous) = messages.find_unexpected(session, copy, &cx.state.limits)?;
    let held = messages.get_mut(key)?;
    if held.routes.len() >= Handshake::DELIVERIES_KEPT {
        // Counted, so that the summary adds up.
        held.left_out += 1;
        return None;
    }
    // `deliver` takes it off again when the copy is done.
    held.unsettled += 1;
    let unknown = Outcome::NotDelivered(Undelivered::Unknown);
    let route = Route {
        // No subscription is known: nothing may be concluded from a copy that is missing.
        tentative: true,
        as_published: (false, true),
        ..Route::new(session, delivery_of(cx, copy, unknown))
    };
    let at = cx.state.messages.add_route(key, route)?;
    deliver(cx, Found { key, at, ambiguous }, copy)
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
fn judge_order(cx: &mut PacketContext<'_>, key: MessageKey, at: usize, copy: &Copy<'_>) {
    let state = &mut *cx.state;
    let Some(held) = state.messages.get(key).filter(|_| cx.report.wanted) else {
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
    let (topic, subscriber) = (copy.topic.hash, route.session);
    let stream = state.hash_of((subscriber, publisher, topic, held.qos, copy.qos));
    let frame = Frame(held.published.number);
    if state.ordered.len() >= state.limits.ordered {
        // Order is judged anew from here on.
        state.ordered.clear();
        cx.report.limit_reached(Limit::Ordered, copy.stamp);
    }
    let latest = state.ordered.entry(stream).or_insert(key);
    if key >= *latest {
        *latest = key;
    } else {
        cx.check().find(Claim::OutOfOrder { frame });
    }
}

/// Judges a server's PUBLISH that nothing in the capture explains.
fn judge_unexplained(cx: &mut PacketContext<'_>, copy: &Copy<'_>) {
    let wanted = cx.report.wanted && cx.link.whole();
    let Some(key) = cx.link.session.filter(|_| wanted) else {
        return;
    };
    let topic = copy.topic.name;
    if !copy.retain && !copy.dup {
        match cx.state.messages.barred(key, copy.digest) {
            // No Local (5.0 §3.8.3.1): the client's own message came back.
            Some((frame, Barred::OwnMessage)) => {
                let frame = Frame(frame);
                return cx.check().find(Claim::NoLocal { frame, topic });
            }
            Some((frame, Barred::Received)) => {
                if copy.qos == QoS::ExactlyOnce {
                    let frame = Frame(frame);
                    cx.check().find(Claim::DeliveredTwice { frame, topic });
                }
                return;
            }
            // Forgotten for lack of room: then nothing can be concluded.
            None if cx.state.messages.may_have_barred(copy.qos) => {
                cx.report.limit_reached(Limit::Settled, copy.stamp);
            }
            None => {}
        }
    }
    let Some(session) = cx.state.sessions.get(key) else {
        return;
    };
    let few = session.subscriptions.len() <= caps::LOOKED_THROUGH;
    // A subscription from before the capture would explain the copy, and bridges subscribe in ways
    // of their own. Very many subscriptions are not searched.
    if !session.known || !few || cx.link.bridge() != Some(false) {
        return;
    }
    if is_subscribed(cx.state, key, copy.topic) {
        return;
    }
    // Servers can subscribe on their clients' behalf: from here on messages wait a moment for
    // copies that no client asked for.
    if rules::delivery::find_uninvited(&mut cx.check(), copy)
        && let Some(broker) = cx.state.brokers.get_mut(cx.link.broker)
    {
        broker.surprises = true;
    }
}
