//! Application messages on their way: when each is over, and what became of it.

use super::super::caps;
use super::super::keys::{DeliveryRef, MessageKey};
use super::super::output::Output;
use super::super::rules::delivery::{judge_refused, judge_undelivered};
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::messages::{Held, Over, Progress, Route, note_settled};
use crate::base::Span;
use crate::base::limits::Limit;
use crate::event::{Handshake, HandshakeState, Outcome, Undelivered, between};
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
        released: released(&record),
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
    // A copy may come that no visible subscription announces, or a further one for an overlapping
    // subscription.
    let broker = state.brokers.get(held.broker);
    let more = held.routes.iter().any(|route| route.spare > 0)
        // It may come by another broker.
        || state.brokers.several()
        || broker.is_some_and(|broker| broker.blind > 0 || broker.surprises);
    let age = between(&held.published, &state.now);
    if more && age.is_some_and(|age| age < caps::LINGER) {
        // The clock may have gone back to where it lingers still.
        state.messages.look_again(key);
        return;
    }
    close_message(state, report, key);
}

/// Gives up waiting where waiting has no more use, and at the limits.
pub(crate) fn sweep(state: &mut State, report: &mut Report) {
    while let Some(key) = state
        .messages
        .next_overdue(state.now, &state.sessions, &state.limits)
    {
        close_message(state, report, key);
    }
    while let Some((key, complete)) = state.messages.next_over_limit(&state.limits) {
        // What only lingered is complete; giving it up loses nothing that is known.
        if !complete {
            report.limit_reached(Limit::Messages, state.now);
        }
        close_message(state, report, key);
    }
}

/// Emits a message's handshake as it stands, with its deliveries, and forgets the message.
pub(crate) fn close_message(state: &mut State, report: &mut Report, key: MessageKey) {
    let Some(mut held) = state.messages.remove(key) else {
        return;
    };
    if report.wanted {
        state.messages.remember(&held, &state.limits);
    }
    let mut deliveries = Vec::new();
    for mut route in std::mem::take(&mut held.routes) {
        if route.progress == Progress::Waiting {
            if route.tentative {
                continue;
            }
            let why = why_undelivered(state, &held, &route);
            route.delivery.outcome = Outcome::NotDelivered(why);
            judge_undelivered(&held, &route, why, report);
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
    deliveries.append(&mut held.late);
    record.deliveries = deliveries;
    record.deliveries_left_out = held.left_out.into();
    report.outbox.put_handshake(held.turn, record);
}

/// Returns the reason why a subscriber was not seen to receive a message.
fn why_undelivered(state: &State, held: &Held, route: &Route) -> Undelivered {
    match held.over {
        Some(Over {
            state: HandshakeState::Refused { code, .. },
            ..
        }) => return Undelivered::Refused(code),
        Some(over) if held.qos == QoS::ExactlyOnce && !over.released => {
            return Undelivered::NotReleased;
        }
        _ => {}
    }
    let waited = between(&held.published, &state.now);
    let before = route.delivery.connection;
    // Its session had no connection when the message was published.
    if before.is_none() {
        let longer =
            |expiry: u32| waited.is_some_and(|waited| waited > Span::from_seconds(expiry as usize));
        if held.carried.expiry.is_some_and(longer) {
            return Undelivered::Expired;
        }
        if held.qos == QoS::AtMostOnce || route.delivery.granted == Some(QoS::AtMostOnce) {
            return Undelivered::AwayAtQoS0;
        }
    }
    let session = state.sessions.get(route.session);
    let now = session.and_then(|session| session.link);
    // The connection at that time, or the first one since.
    let Some(now) = now.filter(|now| before.is_none_or(|before| before == *now)) else {
        let gaps = before.and_then(|before| state.ended_with_gaps.get(&before));
        return match before {
            Some(_) if gaps.is_some_and(|gaps| *gaps != route.gaps) => Undelivered::Gap,
            None if session.is_some() => Undelivered::Away,
            _ => Undelivered::ConnectionEnded,
        };
    };
    let link = state.links.get(&now);
    if link.map_or(0, |link| link.sides.server.gaps) != route.gaps {
        return Undelivered::Gap;
    }
    match waited {
        Some(waited) if waited >= caps::LAST_MOMENT => Undelivered::Unknown,
        _ => Undelivered::CaptureEnded,
    }
}

/// Returns whether the publisher released a QoS 2 message with PUBREL.
fn released(record: &Handshake) -> bool {
    let release = |packet| matches!(packet, PacketType::PubRel | PacketType::PubComp);
    let mut steps = record.steps.iter();
    steps.any(|step| release(step.packet_type))
}
