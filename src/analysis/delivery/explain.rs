//! The origin of a server's PUBLISH: a message on its way, a stored one, a will.

use super::super::caps;
use super::super::context::PacketContext;
use super::super::keys::{DeliveryRef, MessageKey, SessionKey, StoredKey};
use super::super::rules;
use super::super::rules::claim::{Claim, Frame};
use super::super::rules::report::Check;
use super::super::state::State;
use super::super::state::brokers::Broker;
use super::super::state::link::Link;
use super::super::state::message::{Copy, Progress, Route, Unexplained, add_delivery};
use super::super::state::messages::{Barred, Found, PublishedAt};
use super::super::state::retained::Entry;
use super::super::state::wills::{Likelihood, Likely, Testament};
use super::messages::try_settle;
use super::retained::put_in_force;
use super::subscribers::filters_of;
use super::wills::will_was_published;
use crate::base::limits::Limit;
use crate::base::{FrameStamp, Span};
use crate::event::{
    Handshake, HandshakeState, MessageDelivery, NoWill, Origin, Outcome, Shares, Undelivered,
    WillFate, between,
};
use crate::mqtt::{PacketType, QoS, Sender};

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
    let marked = copy.retain && !keeps_retain(cx.state, cx.link, copy);
    let stored_first = marked || answers_subscribe(cx.state, cx.link, copy);
    let stored = match stored_first {
        true => explain_stored(cx, copy),
        false => None,
    };
    // From the surest to the least sure: a delivery that waits for this copy, a will, a message of
    // which it is not known that this client takes it.
    let explained = stored
        .or_else(|| explain_expected(cx, copy))
        .or_else(|| explain_missed(cx, copy))
        .or_else(|| explain_will(cx, copy, true))
        .or_else(|| explain_unexpected(cx, copy, PublishedAt::ThisBroker))
        .or_else(|| explain_will(cx, copy, false))
        .or_else(|| explain_from_other_broker(cx, copy))
        .or_else(|| match copy.retain && !stored_first {
            true => explain_stored(cx, copy),
            false => None,
        });
    if let Some(explained) = explained {
        return explained;
    }
    let understood = judge_unexplained(cx, copy);
    let origin = if copy.retain {
        // No client of the capture has stored it since.
        if changed_before(cx, copy).is_some()
            && !(cx.state.retained).had_before(copy.topic.hash, copy.digest)
            && let Some(broker) = cx.state.brokers.get_mut(cx.link.broker)
        {
            broker.outsiders = true;
        }
        cx.state.messages.note_unseen(copy.digest);
        Origin::Stored {
            connection: None,
            frame: None,
        }
    // 4.7.2: servers publish their own state there. Other topics with `$` have publishers.
    } else if is_of_server(copy.topic.name) {
        Origin::Server
    } else {
        // Every publisher of the capture is known, and this is none of theirs; a server that sends
        // what no client subscribed to makes it up.
        let session = cx.state.session_of(cx.link);
        let known = session.is_some_and(|one| one.known);
        let subscribed = |key| cx.state.is_subscribed(key, copy.topic) == Some(true);
        let surely = !understood
            && cx.link.whole()
            && !copy.dup
            && known
            && cx.link.session.is_some_and(subscribed);
        if !understood && let Some(broker) = cx.state.brokers.get_mut(cx.link.broker) {
            broker.outsiders = true;
            if surely && broker.blind == 0 && !broker.gapped {
                let (_, copies) = broker.outside.get_or_insert((copy.stamp, 0));
                *copies += 1;
            }
        }
        if !copy.dup && cx.event.missing == 0 && !cx.state.messages.holds(copy.digest) {
            cx.state.unexplained = Unexplained::on(cx.link, copy.stamp, copy.digest);
        }
        cx.state.messages.note_unseen(copy.digest);
        Origin::NotSeen
    };
    Explained {
        origin,
        delivery: None,
    }
}

/// Returns whether the topic is one that servers publish to.
fn is_of_server(topic: &str) -> bool {
    topic == "$SYS" || topic.starts_with("$SYS/")
}

/// Returns whether a copy without RETAIN can only be the stored message that a SUBSCRIBE asked for:
/// it was stored well before that, nothing else is on its way, and every publisher is captured.
fn answers_subscribe(state: &State, link: &Link, copy: &Copy<'_>) -> bool {
    if copy.retain || link.stored_due.is_empty() || !link.whole() || link.bridge() != Some(false) {
        return false;
    }
    let entry = state.retained.find(copy.topic.hash).and_then(|key| {
        let mut due = link.stored_due.iter();
        let due = due.find(|due| due.key == key && !due.sent)?;
        Some((state.retained.get(key)?, due.asked))
    });
    let Some((entry, asked)) = entry.filter(|(entry, _)| entry.digest == copy.digest) else {
        return false;
    };
    let stored = entry.summary.stored.as_ref().filter(|one| !one.will);
    let before = stored.and_then(|stored| between(&stored.stamp, &asked));
    let since = between(&asked, &copy.stamp);
    let mut expected = state.messages.expected(link.session, copy.digest);
    let broker = state.brokers.get(copy.topic.broker);
    before.is_some_and(|before| before >= caps::IN_TRANSIT)
        && since.is_some_and(|since| since < caps::STORED_COPY)
        && expected.all(|(_, route)| route.progress != Progress::Waiting)
        && broker.is_some_and(|broker| broker.blind == 0 && !broker.outsiders)
        && state.session_of(link).is_some_and(|session| session.known)
}

/// Returns whether a live copy to this client may carry RETAIN 1.
fn keeps_retain(state: &State, link: &Link, copy: &Copy<'_>) -> bool {
    if link.bridge() == Some(true) {
        return true;
    }
    let mut expected = state.messages.expected(link.session, copy.digest);
    expected.any(|(held, route)| {
        // The subscription was in force on this very connection when the message was published,
        // so its live copy is due; or RETAIN as published was asked for.
        let (_, some) = route.as_published;
        // A stored one that is due has RETAIN 1 too, and comes first.
        let stored = state.retained.find(copy.topic.hash);
        let due = link.stored_due.iter().any(|due| {
            let since = between(&due.asked, &copy.stamp);
            Some(due.key) == stored && since.is_some_and(|since| since < caps::STORED_COPY)
        });
        // Which member of a group is sent the live copy is the server's choice.
        let surely = !route.tentative && route.group.is_none();
        let live = !due && surely && route.delivery.connection == Some(link.id);
        let waiting = route.progress == Progress::Waiting;
        // A further copy may be the one for a filter with RETAIN as published.
        let kept = some && held.retain && !due && (waiting || route.spare > 0);
        kept || live && waiting
    })
}

/// Returns the delivery that a copy without a known subscription is.
fn delivery_of(cx: &PacketContext<'_>, copy: &Copy<'_>, outcome: Outcome) -> MessageDelivery {
    MessageDelivery {
        connection: Some(cx.link.id),
        client_id: cx.link.client_id.clone(),
        filters: filters_of(cx.state, cx.link.session, copy.topic),
        granted: None,
        subscription_ids: copy.identifiers.clone(),
        outcome,
        ambiguous: false,
        over: None,
    }
}

/// Joins a copy to the stored message of its topic, or to one that was stored before.
fn explain_stored(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let (retained, topic) = (&cx.state.retained, copy.topic.hash);
    let current = retained.find(topic);
    // Whatever the payload: the server did send a stored message of this topic.
    let of_topic = |key| retained.get(key).is_none_or(|entry| entry.topic == topic);
    let due = cx.link.stored_due.iter_mut();
    due.filter(|due| of_topic(due.key))
        .for_each(|due| due.sent = true);
    let entry = current.and_then(|key| Some((key, retained.get(key)?)));
    let equal = entry.filter(|(_, entry)| entry.digest == copy.digest);
    let key = match equal {
        Some((key, _)) => key,
        None if copy.retain => {
            let former = retained.find_former(topic, copy.digest);
            if retained.had_before(topic, copy.digest)
                && let Some(changed) = changed_before(cx, copy)
            {
                rules::delivery::judge_stale(&mut cx.check(), copy, changed);
            }
            former.or_else(|| stored_elsewhere(cx.state, copy))?
        }
        None => return None,
    };
    let entry = cx.state.retained.get(key)?;
    let stored = entry.summary.stored.clone();
    let outcome = Outcome::Delivered(copy.delivered(None, entry.summary.message.qos));
    // An equal one may have been stored unseen.
    let another = (cx.state).may_be_another(copy.topic.broker, copy.digest);
    let mut delivery = delivery_of(cx, copy, outcome);
    delivery.ambiguous = another;
    let deliveries = cx.state.retained.deliveries(key)?;
    let here = Some(cx.link.id);
    let mut latest = deliveries.iter().rev().take(caps::CANDIDATES);
    let again = latest.any(|one| one.connection == here);
    let at = add_delivery(deliveries, delivery);
    rules::delivery::judge_stored_copy(&mut cx.check(), copy, again);
    // It was published by now, even if no live copy is in the capture.
    let will = cx.state.retained.get(key).and_then(|entry| entry.will);
    if let Some(will) = will.and_then(|will| cx.state.wills.get_mut(will)) {
        will.published(copy.stamp);
    }
    let origin = match stored {
        Some(stored) if stored.will => Origin::Will {
            connection: stored.connection,
            client_id: stored.client_id,
            frame: stored.stamp.number,
            ambiguous: another,
        },
        stored => {
            let stored = stored.filter(|_| !another);
            Origin::Stored {
                connection: stored.as_ref().map(|stored| stored.connection),
                frame: stored.as_ref().map(|stored| stored.stamp.number),
            }
        }
    };
    Some(Explained {
        origin,
        delivery: at.map(|at| DeliveryRef::Stored(key, at)),
    })
}

/// Returns the frame in which the stored message of a topic was last changed, where a stored copy
/// that is not of what the topic has now answers a SUBSCRIBE that surely came later.
fn changed_before(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<FrameStamp> {
    let retained = &cx.state.retained;
    let current = retained.find(copy.topic.hash);
    let changed = match current.and_then(|key| retained.get(key)) {
        Some(entry) => took_effect(cx.state, entry),
        None => retained.cleared(copy.topic.hash),
    }?;
    rules::delivery::is_late(&cx.check(), copy, changed).then_some(changed)
}

/// Returns an equal message that another broker of the capture stores, from which messages come to
/// this one.
fn stored_elsewhere(state: &mut State, copy: &Copy<'_>) -> Option<StoredKey> {
    let here = copy.topic.broker;
    let stored = |other| {
        let topic = state.topic(other, copy.topic.name).hash;
        let key = state.retained.find(topic)?;
        let entry = state.retained.get(key)?;
        (entry.digest == copy.digest).then_some((other, key))
    };
    let equal: Vec<_> = state.brokers.others(here).filter_map(stored).collect();
    let mut equal = equal.into_iter();
    equal.find_map(|(other, key)| {
        let joined = state.brokers.crosses(here, other, copy.digest);
        joined.then_some(key)
    })
}

/// Returns the frame from which on a stored message was surely the one of its topic; `None` where
/// no frame shows it.
fn took_effect(state: &State, entry: &Entry) -> Option<FrameStamp> {
    let stored = entry.summary.stored.as_ref()?;
    if stored.will {
        let will = entry.will.and_then(|key| state.wills.get(key))?;
        return match will.summary.fate {
            WillFate::Published(stamp) => Some(stamp),
            WillFate::NotPublished(_) => None,
        };
    }
    let held = entry.message.and_then(|key| state.messages.get(key));
    match held.filter(|held| held.qos > QoS::AtMostOnce) {
        // Until it is acknowledged, the server need not have acted on it.
        Some(held) => held
            .over
            .is_some_and(|over| over.state == HandshakeState::Complete)
            .then_some(held.over_at),
        None => Some(stored.stamp),
    }
}

/// Joins a copy to a message that its subscriber waits for.
fn explain_expected(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let session = cx.link.session?;
    let mut found = cx.state.messages.take_expected(session, copy)?;
    found.ambiguous |=
        cx.state.messages.has_rival(session, found.key, copy) || missed(cx, copy).is_some();
    let held = cx.state.messages.get(found.key);
    let route = held.and_then(|held| held.routes.get(found.at));
    let granted = route.and_then(|route| route.delivery.granted);
    let fits = held.is_some_and(|held| copy.qos <= held.qos && granted >= Some(copy.qos));
    // An equal will is due to the same subscriber; or one of a connection that seems to live on
    // explains the QoS better.
    let likely = likely_will(cx, copy).filter(|one| match one.likelihood {
        Likelihood::Awaited => true,
        Likelihood::Open => !fits,
        _ => false,
    });
    if let Some(Likely { key, rivals, .. }) = likely {
        found.ambiguous = true;
        cx.state.wills.doubt(rivals.into_iter().chain([key]));
    }
    deliver(cx, found, copy)
}

/// Returns whether a copy may answer a SUBSCRIBE of a moment ago with an equal message that was
/// stored unseen.
fn may_be_stored_unseen(cx: &PacketContext<'_>, copy: &Copy<'_>) -> bool {
    let broker = cx.state.brokers.get(copy.topic.broker);
    if broker.is_some_and(Broker::is_all_seen) {
        return false;
    }
    let Some(session) = cx.link.session else {
        return false;
    };
    let taking = cx.state.taking(session, copy.topic);
    taking.is_none_or(|taking| {
        taking.iter().any(|(_, one)| {
            let since = between(&one.asked, &copy.stamp);
            since.is_some_and(|since| since < caps::STORED_COPY)
        })
    })
}

/// Joins a copy at QoS 0 to a message that its subscriber seemed to miss, being away.
fn explain_missed(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    let session = cx.link.session?;
    let (key, at) = missed(cx, copy)?;
    let here = cx.link.id;
    cx.state.messages.await_missed(session, (key, at));
    let held = cx.state.messages.get_mut(key)?;
    held.routes.get_mut(at)?.delivery.connection = Some(here);
    let ambiguous = missed(cx, copy).is_some();
    deliver(cx, Found { key, at, ambiguous }, copy)
}

/// Returns the message that the subscriber of a copy seemed to miss and that this is of, and the
/// number of its route.
fn missed(cx: &PacketContext<'_>, copy: &Copy<'_>) -> Option<(MessageKey, usize)> {
    let (session, accepted) = cx.link.session.zip(cx.link.accepted)?;
    cx.state.messages.find_missed(session, accepted, copy)
}

/// Returns how the time of a copy since its message came into force is shared between the broker
/// and the wait for its client; `None` where that is not known.
fn shares(link: &Link, in_force: FrameStamp, route: &Route, copy: &Copy<'_>) -> Option<Shares> {
    let all = between(&in_force, &copy.stamp)?.nanos().max(0);
    let here = route.delivery.connection == Some(link.id);
    // The client was away until then.
    let away = match here {
        true => 0,
        false => between(&in_force, &link.accepted?)?.nanos().max(0),
    };
    let before = match here {
        true => route.full?,
        false => Span::ZERO,
    };
    let full = match copy.qos {
        QoS::AtMostOnce => 0,
        _ => link.sides.server.window.waited(before).nanos(),
    };
    let waiting = away.saturating_add(full).min(all);
    Some(Shares {
        broker: Span::from_nanos(all - waiting),
        waiting: Span::from_nanos(waiting),
    })
}

/// Joins a copy to the delivery that it is.
fn deliver(cx: &mut PacketContext<'_>, found: Found, copy: &Copy<'_>) -> Option<Explained> {
    let Found { key, at, ambiguous } = found;
    let here = cx.link.id;
    // Of a payload that was cut only the length is compared.
    let cut = cx.event.missing > 0;
    let another = cut
        || (cx.state).may_be_another(copy.topic.broker, copy.digest)
        || (copy.retain && may_be_stored_unseen(cx, copy));
    let held = cx.state.messages.get_mut(key)?;
    // A copy with other properties may be of an equal message from outside the capture.
    let altered = !ambiguous && held.carried.differs(copy.carried);
    let ambiguous = ambiguous || altered || another || held.doubted;
    let origin = Origin::Published {
        connection: held.connection,
        client_id: held.client_id.clone(),
        frame: held.published.number,
        ambiguous,
    };
    // A copy at QoS 0 or one for the absent comes when it may.
    let live = held
        .routes
        .get(at)
        .is_some_and(|route| route.delivery.connection == Some(here));
    let late = live
        && held
            .over
            .is_some_and(|over| over.acknowledged(held.qos).is_some());
    let broker = held.broker;
    let released = held.in_force.number > held.published.number;
    if live
        && !ambiguous
        && held.qos == QoS::ExactlyOnce
        && released
        && copy.stamp.number > held.in_force.number
        && !held.is_delivered()
        && let Some(broker) = cx.state.brokers.get_mut(broker)
    {
        broker.forwards_late();
    }
    let waited = between(&held.in_force, &copy.stamp);
    let mut delivered = copy.delivered(Some(held.published), held.qos);
    let route = held.routes.get_mut(at)?;
    // It would be that to some other message, perhaps, or between two clocks.
    if ambiguous || cx.state.clocks_differ {
        delivered.latency = None;
    } else {
        delivered.shares = shares(cx.link, held.in_force, route, copy);
    }
    let ahead = route.ahead;
    // It waited until the client acknowledged another one.
    let client = &cx.link.sides.client;
    let made_room = client
        .last
        .filter(|_| {
            (client.last_packet).is_some_and(|(kind, _)| {
                matches!(
                    kind,
                    PacketType::PubAck | PacketType::PubRec | PacketType::PubComp
                )
            })
        })
        .and_then(|last| between(&last, &copy.stamp))
        .is_some_and(|span| span < caps::ANSWER);
    let held_back =
        live && !ambiguous && made_room && waited.is_some_and(|waited| waited >= caps::IN_TRANSIT);
    // One with another payload seemed to have come in its place.
    let outsiders = route.instead.is_some();
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
            done += settle_other_members(&mut held.routes, group, at, copy.stamp.number);
        }
        held.unsettled = held.unsettled.saturating_sub(done);
    } else {
        // Another copy of the same message, for another of its subscriptions.
        route.spare = route.spare.saturating_sub(1);
        route.beside = true;
        let delivery = MessageDelivery {
            subscription_ids: copy.identifiers.clone(),
            outcome: Outcome::Delivered(delivered),
            ambiguous,
            ..route.delivery.clone()
        };
        let further = Route {
            progress: copy.progress(),
            beside: true,
            as_published: route.as_published,
            ..Route::new(route.session, delivery)
        };
        held.unsettled += u32::from(further.progress == Progress::Open);
        place = cx.state.messages.add_route(key, further)?;
    }
    if held_back && ahead.waited > 0 {
        cx.link.sides.server.holds_back(ahead.in_flight);
    }
    if ahead.number > 0
        && let Some(session) = cx
            .link
            .session
            .and_then(|key| cx.state.sessions.get_mut(key))
    {
        session.was_sent(ahead.number);
    }
    if let Some(broker) = cx.state.brokers.get_mut(broker) {
        broker.acknowledges_first |= late;
        broker.outsiders |= outsiders;
    }
    // A bridge has a QoS and properties of its own.
    let held = cx.state.messages.get(key);
    if held.is_some_and(|held| held.broker == copy.topic.broker) {
        if altered {
            rules::delivery::judge_altered(&mut cx.check(), key, place);
        }
        rules::delivery::judge_copy(&mut cx.check(), key, place, copy);
        judge_order(cx, key, place, copy);
    }
    try_settle(cx.state, cx.report, key);
    Some(Explained {
        origin,
        delivery: Some(DeliveryRef::Message(key, place)),
    })
}

/// Returns the will that a copy may be.
fn likely_will(cx: &PacketContext<'_>, copy: &Copy<'_>) -> Option<Likely> {
    let joined = |other| cx.state.brokers.joined(copy.topic.broker, other);
    cx.state.wills.find(copy, cx.link.session, joined)
}

/// Returns whether the server has cause to end the connection of a will that still stands: its client
/// connected anew, was silent for too long or closes.
fn is_about_to_end(state: &State, will: &Testament, now: FrameStamp) -> bool {
    let link = state.links.get(&will.summary.connection);
    link.is_none_or(|link| {
        link.closing.is_some()
            || link.fault.is_some()
            || link.taken_over.is_some()
            || link.excessive_silence(now).is_some()
    })
}

/// Joins a copy to the will that it is, where the subscriber waits for that or where nothing else
/// explains the copy.
fn explain_will(cx: &mut PacketContext<'_>, copy: &Copy<'_>, awaited: bool) -> Option<Explained> {
    let Likely {
        key,
        likelihood,
        rivals,
    } = likely_will(cx, copy)?;
    if awaited != (likelihood == Likelihood::Awaited) {
        return None;
    }
    let session = cx.link.session;
    let will = cx.state.wills.get(key)?;
    // A will without Will Retain is never stored, and a live copy has RETAIN 0.
    if copy.retain && !will.summary.will.retain {
        return None;
    }
    // An equal one may have been stored before, by another connection of its client.
    let deleted =
        will.returned || will.summary.fate == WillFate::NotPublished(NoWill::Disconnected);
    if deleted && copy.retain && !keeps_retain(cx.state, cx.link, copy) {
        return None;
    }
    // A message that must not come here explains the copy too.
    let another = !awaited && cx.state.messages.may_be_another(session, copy);
    let another = another || (cx.state).may_be_another(copy.topic.broker, copy.digest);
    let lives = likelihood == Likelihood::Open && !is_about_to_end(cx.state, will, copy.stamp);
    let ambiguous = another || lives || !rivals.is_empty() || will.doubtful;
    if ambiguous && likelihood == Likelihood::Over {
        return None;
    }
    if !ambiguous {
        rules::will::check_copy(cx.state, will, copy.stamp, cx.report);
        let mut check = Check {
            state: &*cx.state,
            link: &*cx.link,
            event: cx.event,
            report: &mut *cx.report,
        };
        rules::will::check_qos(&mut check, will, copy);
    }
    let origin = Origin::Will {
        connection: will.summary.connection,
        client_id: will.summary.client_id.clone(),
        frame: will.summary.set.number,
        ambiguous,
    };
    let mut delivered = copy.delivered(None, will.summary.will.qos);
    // RETAIN as published sets the flag on live copies too, and a will is live.
    delivered.stored = false;
    let mut delivery = delivery_of(cx, copy, Outcome::Delivered(delivered));
    delivery.ambiguous = ambiguous;
    let at = (cx.state.wills).add_delivery(key, session, delivery, copy.stamp, &cx.state.limits);
    if ambiguous {
        cx.state.wills.doubt(rivals.into_iter().chain([key]));
    } else {
        will_was_published(cx.state, cx.report, key, copy.stamp);
    }
    Some(Explained {
        origin,
        delivery: at.map(|at| DeliveryRef::Will(key, at)),
    })
}

/// Joins a copy to a message that was published and not expected here: the subscription lies
/// before the capture, or was acted on before it was seen.
fn explain_unexpected(
    cx: &mut PacketContext<'_>,
    copy: &Copy<'_>,
    published: PublishedAt,
) -> Option<Explained> {
    let session = cx.link.session?;
    let messages = &mut cx.state.messages;
    let (key, mut ambiguous) =
        messages.find_unexpected(session, copy, published, &cx.state.limits)?;
    let (here, there) = (copy.topic.broker, messages.get(key)?.broker);
    // The server may have seen the end of a connection with an equal will.
    let likely = likely_will(cx, copy).filter(|one| one.likelihood != Likelihood::Over);
    if let Some(Likely { key, rivals, .. }) = likely {
        ambiguous = true;
        cx.state.wills.doubt(rivals.into_iter().chain([key]));
    }
    // Two brokers that have nothing to do with each other may have equal messages.
    if here != there && !cx.state.brokers.crosses(here, there, copy.digest) {
        ambiguous = true;
        if let Some(broker) = cx.state.brokers.get_mut(here) {
            broker.outsiders = true;
        }
    }
    if cx.state.messages.get(key)?.pending.is_some() {
        act_at_publish(cx, key, copy);
        if let Some(found) = cx.state.messages.take_expected(session, copy) {
            return deliver(cx, found, copy);
        }
    }
    let held = cx.state.messages.get_mut(key)?;
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

/// Joins a copy to a message that was published to another broker of the capture: by a bridge, or
/// since the two are one broker at several addresses.
fn explain_from_other_broker(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> Option<Explained> {
    if copy.retain || !cx.state.brokers.several() {
        return None;
    }
    explain_unexpected(cx, copy, PublishedAt::AnotherBroker)
}

/// Puts a QoS 2 message in force that was forwarded before its PUBREL, as brokers do that act at
/// PUBLISH. Until the broker is known to be one, the copy may be of an equal message from outside the
/// capture, so that nothing is concluded from it.
fn act_at_publish(cx: &mut PacketContext<'_>, key: MessageKey, copy: &Copy<'_>) {
    let state = &mut *cx.state;
    let held = state.messages.get(key);
    let publisher = held.and_then(|held| state.links.get(&held.connection));
    // Else the PUBREL may be in a gap.
    let unreleased = publisher.is_some_and(|link| link.certain(Sender::Client));
    let broker = state.brokers.get(cx.link.broker);
    let known = !unreleased || broker.is_some_and(|broker| broker.acts_at_publish);
    let sole = state.messages.is_sole(copy.digest);
    put_in_force(state, cx.report, cx.link, key, copy.stamp);
    let Some(held) = state.messages.get_mut(key) else {
        return;
    };
    held.unordered = !unreleased;
    held.forwarded = Some(copy.stamp).filter(|_| unreleased && sole);
    for route in held.routes.iter_mut().filter(|_| !known) {
        route.delivery.ambiguous = true;
    }
}

/// Learns from the PUBREL of a message whether its broker forwarded it earlier: by the clock of the
/// capture, since frames may stand out of order.
pub(crate) fn note_release(state: &mut State, key: MessageKey, stamp: FrameStamp) {
    let Some(held) = state.messages.get_mut(key) else {
        return;
    };
    let forwarded = held.forwarded.take();
    let before = forwarded.and_then(|copy| between(&copy, &stamp));
    if before.is_some_and(|before| before > Span::ZERO)
        && let Some(broker) = state.brokers.get_mut(held.broker)
    {
        broker.forwards_early(held.digest);
    }
}

/// Settles the routes to the other members of a group: one was given the message, so they are not
/// waited for. Returns how many those were.
fn settle_other_members(routes: &mut [Route], group: u32, given: usize, frame: u64) -> u32 {
    let mut others = 0;
    for (at, route) in routes.iter_mut().enumerate() {
        if at != given && route.group == Some(group) && route.progress == Progress::Waiting {
            route.progress = Progress::Done;
            route.delivery.outcome = Outcome::NotDelivered(Undelivered::OtherOfGroup { frame });
            others += 1;
        }
    }
    others
}

/// Notes the latest message of a stream, and reports one that comes after a later one.
fn judge_order(cx: &mut PacketContext<'_>, key: MessageKey, at: usize, copy: &Copy<'_>) {
    let state = &mut *cx.state;
    let Some(held) = state.messages.get(key) else {
        return;
    };
    let (Some(route), Some(publisher)) = (held.routes.get(at), held.session) else {
        return;
    };
    // Which of two equal messages this is is not known; a redelivery has its own order.
    if copy.dup || route.delivery.ambiguous || route.group.is_some() || held.unordered {
        return;
    }
    // Without a visible subscription the copy may be of an equal message before the capture.
    if route.delivery.granted.is_none() {
        return;
    }
    // Order holds for one publisher, topic and QoS on the way to one subscriber (§4.6). A hash of
    // these is kept in place of the texts.
    let (topic, subscriber) = (copy.topic.hash, route.session);
    let stream = state.stream(subscriber, publisher, topic, (held.qos, copy.qos));
    let frame = Frame(held.published.number);
    if state.ordered.len() >= state.limits.ordered {
        // Order is judged anew from here on.
        state.ordered.clear();
        cx.report.limit_reached(Limit::Ordered, copy.stamp);
    }
    let here = (held.order, copy.stamp.number);
    let latest = state.ordered.entry(stream).or_insert(here);
    if here.0 >= latest.0 {
        *latest = here;
    } else if cx.report.wanted {
        cx.check().find(Claim::OutOfOrder { frame });
    }
}

/// Judges a server's PUBLISH that nothing in the capture explains; returns whether it is understood
/// all the same.
fn judge_unexplained(cx: &mut PacketContext<'_>, copy: &Copy<'_>) -> bool {
    let wanted = cx.report.wanted && cx.link.whole();
    let Some(key) = cx.link.session.filter(|_| wanted) else {
        return false;
    };
    let Some(session) = cx.state.sessions.get(key) else {
        return false;
    };
    let known = session.known;
    let subscribed = cx.state.is_subscribed(key, copy.topic);
    if !copy.retain && !copy.dup && judge_barred(cx, key, copy, known) {
        return true;
    }
    // A subscription from before the capture would explain the copy, and bridges subscribe in ways
    // of their own.
    let Some(subscribed) = subscribed.filter(|_| known && cx.link.bridge() == Some(false)) else {
        return false;
    };
    if subscribed {
        return !copy.retain && note_unlike(cx, key, copy);
    }
    // Servers can subscribe on their clients' behalf: from here on messages wait a moment for
    // copies that no client asked for.
    if rules::delivery::find_uninvited(&mut cx.check(), copy)
        && let Some(broker) = cx.state.brokers.get_mut(cx.link.broker)
    {
        broker.surprises = true;
    }
    false
}

/// Judges a copy by an equal message that must not come to its client; returns whether there is
/// one.
fn judge_barred(cx: &mut PacketContext<'_>, key: SessionKey, copy: &Copy<'_>, known: bool) -> bool {
    let topic = copy.topic.name;
    let (state, here) = (&*cx.state, cx.link.id);
    let lives = |id| id == here || state.links.get(&id).is_some_and(|link| link.alive());
    let Some((stamp, why)) = state.messages.barred(key, copy, lives) else {
        // Forgotten for lack of room: then nothing can be concluded.
        if state.messages.may_have_barred(copy.qos) {
            cx.report.limit_reached(Limit::Settled, copy.stamp);
        }
        return false;
    };
    let frame = Frame(stamp.number);
    let broker = state.brokers.get(copy.topic.broker);
    // Else it may be an equal message of a client that is not in the capture or that a gap holds, or
    // come by a subscription that is not. Of a payload that was cut only the length is known.
    let all_seen = broker.is_some_and(Broker::is_all_seen);
    if !known || !all_seen || cx.event.missing > 0 {
        return false;
    }
    // Each further subscription may bring a copy, one of a moment ago too.
    let single = || filters_of(state, Some(key), copy.topic).len() == 1;
    let claim = match why {
        // No Local (5.0 §3.8.3.1): the client's own message came back.
        Barred::OwnMessage => Claim::NoLocal { frame, topic },
        Barred::Received if copy.qos == QoS::ExactlyOnce && single() => {
            Claim::DeliveredTwice { frame, topic }
        }
        Barred::OtherMember if single() => Claim::SharedTwice { frame, topic },
        Barred::Unacknowledged if copy.qos > QoS::AtMostOnce && single() => {
            let first = frame;
            Claim::SentTwice { first, topic }
        }
        _ => return false,
    };
    cx.check().find_unless_outsiders(claim);
    true
}

/// Notes a copy on the way to its subscriber that nothing else explains than a message with
/// another payload; returns whether there is such a message.
fn note_unlike(cx: &mut PacketContext<'_>, key: SessionKey, copy: &Copy<'_>) -> bool {
    let broker = cx.state.brokers.get(copy.topic.broker);
    // A client that is not in the capture would explain it better.
    if !broker.is_some_and(|broker| broker.blind == 0 && !broker.surprises && !broker.outsiders) {
        return false;
    }
    let unlike = cx.state.messages.find_unlike(key, copy);
    let found = unlike.is_some();
    if let Some(route) = unlike {
        route.instead = Some(copy.stamp.number);
    }
    found
}
