//! Application messages on their way: when each is over, and what became of it.

use std::sync::Arc;

use super::super::caps;
use super::super::keys::{DeliveryRef, MessageKey};
use super::super::output::Output;
use super::super::rules::delivery::{judge_refused, judge_undelivered};
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::brokers::Past;
use super::super::state::link::Standing;
use super::super::state::message::{Held, Over, Progress, Route, note_settled};
use crate::base::limits::Limit;
use crate::base::{FrameStamp, Span};
use crate::event::{
    EndedBy, Handshake, HandshakeState, MessageDelivery, Outcome, SessionOver, Undelivered, between,
};
use crate::mqtt::{PacketType, QoS};

/// Notes that a subscriber's handshake is over.
pub(crate) fn delivery_settled(
    state: &mut State,
    report: &mut Report,
    delivery: DeliveryRef,
    record: &Handshake,
) {
    let (deliveries, at) = match delivery {
        DeliveryRef::Message(key, at) => {
            let Some(held) = state.messages.get_mut(key) else {
                return;
            };
            if let Some(route) = held.routes.get_mut(at) {
                note_settled(&mut route.delivery, record);
                if route.progress == Progress::Open {
                    route.progress = Progress::Done;
                    held.unsettled = held.unsettled.saturating_sub(1);
                }
            }
            return try_settle(state, report, key);
        }
        DeliveryRef::Stored(key, at) => (state.retained.deliveries(key), at),
        DeliveryRef::Will(key, at) => (state.wills.deliveries(key), at),
    };
    if let Some(delivery) = deliveries.and_then(|all| all.get_mut(at)) {
        note_settled(delivery, record);
    }
}

/// Notes that the publisher's handshake is over.
pub(crate) fn publisher_settled(
    state: &mut State,
    report: &mut Report,
    key: MessageKey,
    record: Box<Handshake>,
) {
    let over = Over {
        state: record.state,
        stamp: state.now,
    };
    if state.wanted.handshakes {
        match state.messages.get_mut(key) {
            Some(held) => held.record = Some(record),
            // It was given up at the limit, with its turn.
            None => return report.outbox.emit(Output::Handshake(record)),
        }
    }
    publisher_done(state, report, key, over);
}

/// Notes how the publisher's handshake ended, where it is not emitted.
pub(crate) fn publisher_done(state: &mut State, report: &mut Report, key: MessageKey, over: Over) {
    let now = state.now;
    if let Some(held) = state.messages.get_mut(key) {
        held.over = Some(over);
        held.over_at = now;
        if let HandshakeState::Refused { code, .. } = over.state {
            judge_refused(held, code, report);
        }
        try_settle(state, report, key);
    }
}

/// Closes a message once nothing more can become of it.
pub(crate) fn try_settle(state: &mut State, report: &mut Report, key: MessageKey) {
    let Some(held) = state.messages.get(key) else {
        return;
    };
    if held.over.is_none() || held.unsettled > 0 || held.stored {
        return;
    }
    // A copy may come that no visible subscription announces, a further one for an overlapping
    // subscription, or one for a client that comes back just now.
    let broker = state.brokers.get(held.broker);
    let more = held.routes.iter().any(|route| route.spare > 0 || route.is_missed())
        // It may come by another broker.
        || state.brokers.several()
        || broker.is_some_and(|broker| broker.blind > 0 || broker.surprises);
    let age = between(&held.published, &state.now);
    if more && age.is_some_and(|age| age < caps::LINGER) {
        // The clock may have gone back to where it lingers still.
        state.messages.look_again(key);
        return;
    }
    close_message(state, report, key, Closing::Settled);
}

/// Gives up waiting where waiting has no more use, and at the limits.
pub(crate) fn sweep(state: &mut State, report: &mut Report) {
    while let Some(key) = state
        .messages
        .next_overdue(state.now, &state.sessions, &state.limits)
    {
        close_message(state, report, key, Closing::Settled);
    }
    while let Some((key, complete)) = state.messages.next_over_limit(&state.limits) {
        // What only lingered is complete; giving it up loses nothing that is known.
        if !complete {
            report.limit_reached(Limit::Messages, state.now);
        }
        close_message(state, report, key, Closing::GivenUp);
    }
}

/// Why a message is closed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Closing {
    /// Nothing more can become of it.
    Settled,
    /// A limit was reached.
    GivenUp,
}

/// Emits a message's handshake as it stands, with its deliveries, and forgets the message.
pub(crate) fn close_message(
    state: &mut State,
    report: &mut Report,
    key: MessageKey,
    closing: Closing,
) {
    let Some(mut held) = state.messages.remove(key) else {
        return;
    };
    if report.wanted {
        state.messages.remember(&held, &state.limits);
    }
    // All are judged by how all stand.
    let undelivered: Vec<_> = (held.routes.iter().enumerate())
        .filter(|(_, route)| route.progress == Progress::Waiting && !route.tentative)
        .map(|(at, _)| (at, why_undelivered(state, &held, at, closing)))
        .collect();
    for (at, why) in undelivered {
        if let Some(route) = held.routes.get_mut(at) {
            route.delivery.outcome = Outcome::NotDelivered(why);
        }
        if let Some(route) = held.routes.get(at) {
            judge_undelivered(&held, route, why, report);
        }
    }
    let mut deliveries = Vec::new();
    let mut tentative = Vec::new();
    for route in std::mem::take(&mut held.routes) {
        if route.progress == Progress::Waiting && route.tentative {
            tentative.push(route);
            continue;
        }
        if held.record.is_some() {
            deliveries.push(route.delivery);
        }
    }
    let Some(mut record) = held.record else {
        // Its handshake still goes on, without its deliveries, and is emitted where it ends; or
        // none is wanted.
        report.outbox.skip(held.turn);
        return;
    };
    deliveries.sort_by_key(|delivery| match &delivery.outcome {
        Outcome::Delivered(delivered) => (delivered.stamp.number, 0),
        Outcome::NotDelivered(_) => {
            let connection = delivery.connection;
            (u64::MAX, connection.map_or(u32::MAX, |id| id.0))
        }
    });
    // Of a message that came to someone after all nothing need be explained.
    let unseen = |route: &Route| {
        let stood = (route.delivery.connection).and_then(|id| state.standing(id));
        match stood {
            Some(stood) => !stood.server_seen || stood.gaps != route.gaps,
            // It left without having seen an answer, as far as was captured.
            None => route.asked.is_some(),
        }
    };
    // Nor of one that a subscriber may have been sent unseen.
    let may_have_come = tentative.iter().any(unseen);
    if deliveries.is_empty() && held.late.is_empty() && !may_have_come {
        deliveries.append(&mut held.former);
        if let Some(topic) = held.topic.as_deref().filter(|_| !tentative.is_empty()) {
            let steps = state.steps(held.broker);
            let broker = state.brokers.get(held.broker);
            let past = broker.map(|broker| broker.past(topic, steps));
            let (past, taken) = past.unwrap_or_default();
            let unsure = |route| unsure(&past, route);
            deliveries.extend(tentative.into_iter().filter_map(unsure));
            state.pay(held.broker, 0, taken);
        }
    }
    deliveries.append(&mut held.late);
    record.deliveries = deliveries;
    record.deliveries_left_out = held.left_out.into();
    report.outbox.put_handshake(held.turn, record);
}

/// Returns the delivery that did not come about by a subscription that was being asked for or given up
/// when the message was published; `past` are those to its topic that are over.
fn unsure(past: &[&Past], route: Route) -> Option<MessageDelivery> {
    let filter = route.delivery.filters.first()?;
    let mut own = past
        .iter()
        .filter(|one| one.client_id == route.delivery.client_id);
    let past = own.find(|one| one.filter == *filter).map(|one| one.why);
    let over = past.filter(|why| !matches!(why, Undelivered::SessionEnded { .. }));
    let asked = || {
        let asked = route.asked?;
        Some(Undelivered::NotYetSubscribed { asked })
    };
    let why = over.or_else(asked)?;
    Some(MessageDelivery {
        outcome: Outcome::NotDelivered(why),
        granted: None,
        ..route.delivery
    })
}

/// Returns the reason why a subscriber was not seen to receive a message.
fn why_undelivered(state: &State, held: &Held, at: usize, closing: Closing) -> Undelivered {
    let Some(route) = held.routes.get(at) else {
        return Undelivered::Unknown;
    };
    match held.over {
        Some(Over {
            state: HandshakeState::Refused { code, .. },
            stamp,
        }) => {
            let frame = stamp.number;
            return Undelivered::Refused { code, frame };
        }
        Some(over) if held.pending.is_some() && over.may_be_released() => {
            let frame = over.stamp.number;
            return Undelivered::Gap { frame };
        }
        Some(over) if held.pending.is_some() => return why_not_released(held, over),
        _ => {}
    }
    let given_up = Undelivered::GivenUp {
        at: state.now.number,
    };
    if closing == Closing::GivenUp {
        return given_up;
    }
    if held.pending.is_some() {
        let last = state.now.number;
        return Undelivered::CaptureEnded { last };
    }
    // It may lie in a gap, whatever the subscriber did afterwards.
    let stood = (route.delivery.connection).map(|before| state.standing(before));
    if let Some(Some(stood)) = &stood
        && stood.gaps != route.gaps
    {
        return Undelivered::Gap { frame: stood.gap };
    }
    let absent = stood.is_none();
    if absent && may_be_back(state, held, held.in_force.number) {
        return Undelivered::Unknown;
    }
    if absent && let Some(frame) = gap_after(state, route, held.in_force) {
        return Undelivered::Gap { frame };
    }
    if state.sessions.may_have_left(held.in_force.number) {
        return given_up;
    }
    // One that was overtaken before, or that had time enough, was lost before.
    if let Some(frame) = unsubscribed(state, held, route)
        && overtaken(state, held, route).is_none_or(|by| by > frame)
    {
        return Undelivered::Unsubscribed { frame };
    }
    if let Some(since) = absent_member(state, held, route) {
        return Undelivered::OtherIsAway { since };
    }
    if may_be_unread(held) {
        return Undelivered::Unknown;
    }
    let Some(stood) = stood else {
        return why_waiting(state, held, route, held.in_force);
    };
    let Some(stood) = stood else {
        return given_up;
    };
    if let Some(why) = kept_away(held, &stood, route.gaps) {
        return why;
    }
    if route.delivery.ambiguous || state.may_be_another(held.broker, held.digest) {
        // An equal message may have come in its place.
        return Undelivered::Unknown;
    }
    let dropped = held_back(route, &stood);
    if let Some(by) = overtaken(state, held, route) {
        return dropped.unwrap_or(Undelivered::Overtaken { by });
    }
    let assured = held.qos.min(route.delivery.granted.unwrap_or(held.qos)) > QoS::AtMostOnce;
    let acknowledged = held.over.and_then(|over| over.acknowledged(held.qos));
    let from = acknowledged.unwrap_or(held.published);
    let long = between(&from, &stood.stamp).is_some_and(|waited| waited >= caps::LAST_MOMENT);
    // A client that leaves messages unacknowledged may be sent no more for now (5.0 §4.9), and
    // which member of a group is not sent it is the server's choice.
    let able = assured && stood.in_flight == 0 && route.group.is_none();
    // The client may have unsubscribed where nothing of it was captured.
    if able && stood.client_gaps > 0 {
        let frame = stood.client_gap;
        return Undelivered::Gap { frame };
    }
    if let Some(acknowledged) = acknowledged.filter(|_| able) {
        let at_once = stood.open && publisher_is_gone(state, held);
        if long || at_once {
            let acknowledged = acknowledged.number;
            return dropped.unwrap_or(Undelivered::NotForwarded { acknowledged });
        }
    }
    if !stood.open && assured && state.sessions.get(route.session).is_some() {
        return why_waiting(state, held, route, stood.stamp);
    }
    match (long, stood.open) {
        (true, _) => Undelivered::Unknown,
        (false, true) => Undelivered::CaptureEnded {
            last: stood.stamp.number,
        },
        (false, false) => {
            let frame = stood.stamp.number;
            Undelivered::ConnectionEnded { frame }
        }
    }
}

/// Returns the reason why a QoS 2 message without PUBREL was delivered to no subscriber.
fn why_not_released(held: &Held, over: Over) -> Undelivered {
    let frame = over.stamp.number;
    match over.state {
        HandshakeState::Incomplete {
            ended_by: EndedBy::CaptureEnd,
            ..
        } => Undelivered::CaptureEnded { last: frame },
        // A client that is not known may go on with its session on another connection.
        _ if held.client_id.is_none() => Undelivered::Unknown,
        _ => Undelivered::NotReleased { until: frame },
    }
}

/// Returns whether a subscriber that left in the frame `since` may have come back unseen.
fn may_be_back(state: &State, held: &Held, since: u64) -> bool {
    let broker = state.brokers.get(held.broker);
    broker.is_none_or(|broker| broker.may_be_back(since))
}

/// Returns whether the server need not have read a message: its publisher's connection ended before
/// the acknowledgement came.
fn may_be_unread(held: &Held) -> bool {
    let ended = |over: Over| match over.state {
        HandshakeState::Incomplete {
            waiting_for: PacketType::PubAck | PacketType::PubRec,
            ended_by,
        } => ended_by != EndedBy::CaptureEnd,
        _ => false,
    };
    held.qos > QoS::AtMostOnce && held.over.is_some_and(ended)
}

/// Returns the reason why a message that waited for a session without a connection, away at least
/// since `left`, was not seen to be delivered.
fn why_waiting(state: &State, held: &Held, route: &Route, left: FrameStamp) -> Undelivered {
    if route.delivery.ambiguous {
        // It may have come in the place of an equal message.
        return Undelivered::Unknown;
    }
    if may_be_back(state, held, left.number) {
        return Undelivered::Unknown;
    }
    if let Some(frame) = gap_after(state, route, left) {
        return Undelivered::Gap { frame };
    }
    let session = state.sessions.get(route.session);
    let returned = session.and_then(|session| session.latest);
    let returned = returned.filter(|(_, stamp)| stamp.number > left.number);
    let until = returned.map_or(state.now, |(_, stamp)| stamp);
    let waited = between(&held.published, &until);
    let longer =
        |expiry: &u32| waited.is_some_and(|waited| waited > Span::from_seconds(*expiry as usize));
    if let Some(interval) = held.carried.expiry.filter(longer) {
        let published = held.published.number;
        return Undelivered::Expired {
            published,
            interval,
        };
    }
    let given_up = Undelivered::GivenUp {
        at: state.now.number,
    };
    let Some(session) = session else {
        let ended = state.sessions.ended(route.session);
        return ended.map_or(given_up, |end| Undelivered::SessionEnded {
            frame: end.frame,
            how: end.how,
        });
    };
    let Some((latest, returned)) = returned else {
        let frame = session.away_since.unwrap_or(left).number;
        return match session.expired(state.now) {
            true => Undelivered::SessionEnded {
                frame,
                how: SessionOver::Expired,
            },
            false => Undelivered::Away { since: frame },
        };
    };
    let Some(stood) = state.standing(latest) else {
        return given_up;
    };
    if let Some(why) = kept_away(held, &stood, 0) {
        return why;
    }
    if stood.client_gaps > 0 {
        let frame = stood.client_gap;
        return Undelivered::Gap { frame };
    }
    let here = between(&returned, &stood.stamp);
    // Others that waited came, and it did not: the queue was served.
    let served = latest_of_stream(state, held, route);
    let served = served.is_some_and(|(_, frame)| frame > returned.number);
    let patience = if served {
        caps::IN_TRANSIT
    } else {
        caps::LAST_MOMENT
    };
    let long = here.is_some_and(|here| here >= patience) && stood.in_flight == 0;
    if long || overtaken(state, held, route).is_some() {
        return Undelivered::QueueDropped {
            returned: returned.number,
            waited: session.waited.0.max(1),
        };
    }
    match stood.open {
        true => Undelivered::CaptureEnded {
            last: stood.stamp.number,
        },
        false => Undelivered::Away {
            since: stood.stamp.number,
        },
    }
}

/// Returns the frame that shows a gap in what the server sent on a connection with which a subscriber
/// came back after the frame of `left`.
fn gap_after(state: &State, route: &Route, left: FrameStamp) -> Option<u64> {
    let (latest, gapped) = state.sessions.connections(route.session);
    let gapped = gapped.filter(|(ended, _)| ended.number > left.number);
    let latest = latest.filter(|(_, from)| from.number > left.number);
    let stood = || state.standing(latest?.0).filter(|stood| stood.gaps > 0);
    (gapped.map(|(_, frame)| frame)).or_else(|| Some(stood()?.gap))
}

/// Returns the frame of the UNSUBSCRIBE that gave up the last filter of a route before the server had
/// time enough to send the message.
fn unsubscribed(state: &State, held: &Held, route: &Route) -> Option<u64> {
    let acknowledged = held.over.and_then(|over| over.acknowledged(held.qos));
    let from = acknowledged.unwrap_or(held.in_force);
    let left = |filter: &Arc<str>| {
        let published = held.in_force.number;
        let left = (state.sessions).left_after(route.session, filter, published)?;
        let after = between(&from, &left);
        let in_time = after.is_none_or(|after| after < caps::LAST_MOMENT);
        in_time.then_some(left.number)
    };
    let frames = route.delivery.filters.iter().map(left);
    frames.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Returns the frame since which a member of the same group is away, whom the message may wait for.
fn absent_member(state: &State, held: &Held, route: &Route) -> Option<u64> {
    let connected = |route: &Route| {
        let id = route.delivery.connection;
        id.is_some_and(|id| state.standing(id).is_some_and(|stood| stood.open))
    };
    let group = route.group.filter(|_| connected(route))?;
    let mut others = held.routes.iter().take(caps::LOOKED_THROUGH);
    let absent = others.find(|other| {
        other.group == Some(group)
            && other.progress == Progress::Waiting
            && !other.tentative
            && !connected(other)
            && state.sessions.get(other.session).is_some()
    })?;
    let session = state.sessions.get(absent.session)?;
    session.away_since.map(|since| since.number)
}

/// Returns what kept a message from the client of a connection whose server had `gaps` when the message
/// came to it: a later gap, in which it may be, or the largest packet that the client accepts.
fn kept_away(held: &Held, stood: &Standing, gaps: u32) -> Option<Undelivered> {
    if stood.gaps != gaps {
        return Some(Undelivered::Gap { frame: stood.gap });
    }
    if !stood.server_seen {
        let frame = stood.began;
        return Some(Undelivered::Gap { frame });
    }
    let maximum = stood.maximum_packet_size?;
    let (named, aliased) = held.least;
    let least = if stood.aliases { aliased } else { named };
    (least > maximum as usize).then_some(Undelivered::TooLarge {
        maximum,
        frame: stood.began,
    })
}

/// Returns that a message may have been dropped from a full queue, where as many as the server has in
/// flight were before it on the way to the subscriber.
fn held_back(route: &Route, stood: &Standing) -> Option<Undelivered> {
    let ahead = route.ahead;
    let before = ahead.in_flight.saturating_add(ahead.waited.checked_sub(1)?);
    let full = ahead.in_flight > 0 && stood.window.is_some_and(|most| before >= most);
    full.then_some(Undelivered::WindowFull {
        since: ahead.since,
        waited: ahead.waited,
    })
}

/// Returns the frame in which a later message of the stream reached the subscriber.
fn overtaken(state: &State, held: &Held, route: &Route) -> Option<u64> {
    let (latest, frame) = latest_of_stream(state, held, route)?;
    // At QoS 0 nothing waits for a subscriber that comes back on another connection, and the end of
    // the one before may not have been captured.
    let due = held.qos.min(route.delivery.granted?);
    let session = state.sessions.get(route.session);
    let moved = session.and_then(|session| session.latest);
    let moved = moved
        .is_some_and(|(id, stamp)| Some(id) != route.delivery.connection && stamp.number < frame);
    let lost = due == QoS::AtMostOnce && moved;
    (latest > held.order && !held.unordered && !lost).then_some(frame)
}

/// Returns the place in order of the latest message of the stream that reached the subscriber, and
/// the frame of its copy.
fn latest_of_stream(state: &State, held: &Held, route: &Route) -> Option<(u64, u64)> {
    if route.group.is_some() {
        return None;
    }
    let topic = state.topic(held.broker, held.topic.as_deref()?).hash;
    let delivered = route.delivery.granted?.min(held.qos);
    let stream = state.stream(route.session, held.session?, topic, (held.qos, delivered));
    state.ordered.get(&stream).copied()
}

/// Returns whether the publisher's connection ended after its message was acknowledged: the server
/// went on from there. One that acknowledges first may forward it yet.
fn publisher_is_gone(state: &State, held: &Held) -> bool {
    let broker = state.brokers.get(held.broker);
    let late = broker.is_none_or(|broker| broker.acknowledges_first);
    let gone = state.standing(held.connection);
    !late && gone.is_some_and(|gone| !gone.open)
}
