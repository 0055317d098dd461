//! Wills: when each falls due, whether it is published, what became of it.

use std::sync::Arc;

use foldhash::HashMap;

use super::super::caps;
use super::super::keys::{BrokerId, SessionKey, WillKey};
use super::super::output::Output;
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::message::Route;
use super::super::state::retained::Entry;
use super::super::state::wills::Testament;
use super::retained::store;
use super::subscribers::would_take;
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::{
    End, EndCause, Message, MessageDelivery, NoWill, Outcome, RetainedEnd, RetainedSummary, Stored,
    Undelivered, WillFate, WillMessage, WillSummary, between,
};
use crate::mqtt::{QoS, Sender};

/// Notes that a CONNECT which the server accepted set a will.
pub(crate) fn set_will(state: &mut State, report: &mut Report, link: &mut Link, will: WillMessage) {
    // The oldest is emitted as it stands: what becomes of it is not followed.
    if let Some(oldest) = state.wills.oldest_if_full(&state.limits) {
        report.limit_reached(Limit::Wills, state.now);
        close_will(state, report, oldest);
    }
    let set = link.began();
    let topic = state.topic(link.broker, &will.topic).hash;
    let summary = WillSummary {
        connection: link.id,
        broker: link.broker.0,
        server: link.server,
        client_id: link.client_id.clone(),
        set,
        will,
        end: End {
            // Until the connection ends.
            cause: EndCause::CaptureEnd,
            stamp: set,
        },
        fate: WillFate::NotPublished(NoWill::StillOpen),
        ambiguous: false,
        deliveries: Vec::new(),
    };
    link.will = Some(state.wills.add(Testament {
        topic,
        digest: link.will_digest,
        session: link.session,
        version: link.version,
        summary,
        expected: Vec::new(),
        due: false,
        held_back: 0,
        returned: false,
        excused: None,
        unseen: None,
        turn: None,
        doubtful: false,
        certain: false,
        received: HashMap::default(),
    }));
}

/// Notes that the connection which set the will has ended.
pub(crate) fn will_falls_due(state: &mut State, report: &mut Report, link: &Link, end: End) {
    let set = link.will;
    let Some((key, will)) = set.and_then(|key| Some((key, state.wills.get_mut(key)?))) else {
        return;
    };
    will.summary.end = end;
    // The connection still stood: the will may be published after the capture.
    if end.cause == EndCause::CaptureEnd {
        return;
    }
    let at_peace = EndCause::Disconnect {
        by: Sender::Client,
        code: 0,
    };
    // DISCONNECT deletes the will ([MQTT-3.1.2-10]; 5.0: only with reason code 0x00).
    if end.cause == at_peace {
        // It stays known for a moment: its publication would be an error.
        if let WillFate::NotPublished(why) = &mut will.summary.fate {
            *why = NoWill::Disconnected;
        }
        return state.wills.connection_ended(key, end.stamp);
    }
    let (topic, session) = (Arc::clone(&will.summary.will.topic), will.session);
    let delayed = will.summary.will.delay > 0;
    if delayed && resumed_by_takeover(state, link, session) {
        stop(state, key);
        return state.wills.connection_ended(key, end.stamp);
    }
    state.wills.connection_ended(key, end.stamp);
    let taken_over = link.taken_over.is_some();
    let goes_on = goes_on_after_takeover(state, link, session);
    let unseen = unseen_cause(state, link, &end);
    let topic = state.topic(link.broker, &topic);
    // The subscribers of this moment; a copy to one that comes during the delay is added when it
    // is seen.
    let expected = would_take(state, report, topic);
    state.wills.falls_due(key);
    let Some(will) = state.wills.get_mut(key) else {
        return;
    };
    // No longer than the session lasts (5.0 §3.1.3.2.2).
    will.held_back = will.summary.will.delay.min(link.session_expiry);
    will.unseen = unseen;
    will.excused = match taken_over {
        true if delayed => Some(NoWill::SessionResumed),
        true if goes_on => Some(NoWill::TakenOver),
        _ => None,
    };
    let missing = expected.into_iter();
    will.expected = missing
        // The client is gone, and of a session that another connection has it is not known when
        // the server moved it there.
        .filter(|route| Some(route.session) != session)
        // Servers may publish before the end of the connection is seen here.
        .filter(|route| !will.received.contains_key(&route.session))
        .collect();
    if let WillFate::NotPublished(why) = &mut will.summary.fate {
        *why = match will.expected.is_empty() {
            true => NoWill::NoSubscriber,
            false => NoWill::NotSeen,
        };
    }
    if delayed {
        if let Some(session) = will.session.and_then(|key| state.sessions.get_mut(key)) {
            // The next CONNECT of the session may stop it (5.0 §3.1.3.2.2).
            session.delayed_will = Some(key);
        }
    } else if will.summary.will.retain {
        let entry = stored_entry(key, will);
        store(state, report, entry, end.stamp);
    }
}

/// Returns the frame that shows a gap in which what deletes or delays a will may lie: a DISCONNECT, or
/// where the server closed without a visible cause the CONNECT that took its client over.
fn unseen_cause(state: &State, link: &Link, end: &End) -> Option<u64> {
    let client = &link.sides.client;
    if client.gaps > 0 {
        return Some(client.gap);
    }
    let (EndCause::Fin { by } | EndCause::Reset { by }) = end.cause else {
        return None;
    };
    let broker = state.brokers.get(link.broker)?;
    (broker.gapped && by != Some(Sender::Client)).then_some(end.stamp.number)
}

/// Returns whether the connection that took the client identifier goes on with the session.
fn resumed_by_takeover(state: &State, link: &Link, session: Option<SessionKey>) -> bool {
    let by = link.taken_over.and_then(|(by, _)| state.links.get(&by));
    session.is_some() && by.is_some_and(|by| by.session == session)
}

/// Returns whether the session of a connection that was taken over goes on, as far as is known.
fn goes_on_after_takeover(state: &State, link: &Link, session: Option<SessionKey>) -> bool {
    let by = link.taken_over.and_then(|(by, _)| state.links.get(&by));
    // Servers close the earlier connection before they answer the CONNECT.
    let asked = |by: &Link| by.session.is_none() && !by.clean && link.session_expiry > 0;
    by.is_some_and(|by| by.session == session || asked(by))
}

/// Notes that the client of a connection came back: mosquitto publishes no delayed will then, also
/// where the session of the will is over.
pub(crate) fn client_came_back(state: &mut State, link: &Link, stamp: FrameStamp) {
    for key in state.wills.latest() {
        if let Some(will) = state.wills.get_mut(key)
            && will.due
            && will.summary.broker == link.broker.0
            && will.summary.client_id == link.client_id
            && between(&will.summary.end.stamp, &stamp)
                .is_some_and(|gone| gone.nanos() < will.delay_nanos())
        {
            will.excused = Some(NoWill::SessionResumed);
        }
    }
}

/// Notes that a delayed will is not to be published any more.
fn stop(state: &mut State, key: WillKey) {
    if let Some(will) = state.wills.get_mut(key)
        && let WillFate::NotPublished(why) = &mut will.summary.fate
    {
        *why = NoWill::SessionResumed;
        will.returned = true;
    }
}

/// Stores a delayed will with Will Retain once its publication is seen.
pub(crate) fn will_was_published(
    state: &mut State,
    report: &mut Report,
    key: WillKey,
    stamp: FrameStamp,
) {
    let will = state.wills.get(key);
    let Some(will) = will.filter(|will| will.summary.will.retain) else {
        return;
    };
    let entry = stored_entry(key, will);
    let stored = state.retained.find(entry.topic);
    let stored = stored.and_then(|stored| state.retained.get(stored));
    // Several copies are seen of one publication, which stores it once.
    if stored.is_none_or(|stored| stored.digest != entry.digest) {
        store(state, report, entry, stamp);
    }
}

/// Notes that a client came back: the delayed will of its earlier connection is not to be
/// published any more ([MQTT-3.1.3-9]).
pub(crate) fn will_may_stop(state: &mut State, key: WillKey, stamp: FrameStamp) {
    let Some(will) = state.wills.get(key) else {
        return;
    };
    let delay = will.delay_nanos();
    let gone = between(&will.summary.end.stamp, &stamp);
    // After the delay the will was published already, or should have been.
    if gone.is_some_and(|gone| gone.nanos() < delay) {
        stop(state, key);
    }
}

/// Notes what kept the wills that are due from their subscribers, while it is still known who has a
/// connection.
pub(crate) fn note_missed(state: &mut State) {
    for key in state.wills.keys() {
        let expected = state.wills.get(key).map(|will| missed(state, will));
        if let Some(missed) = expected
            && let Some(will) = state.wills.get_mut(key)
        {
            will.summary.deliveries.extend(missed);
            will.expected.clear();
        }
    }
}

/// Returns the deliveries to subscribers that were not seen to be sent a will that is due.
fn missed(state: &State, will: &Testament) -> Vec<MessageDelivery> {
    will.missing()
        .map(|route| MessageDelivery {
            outcome: Outcome::NotDelivered(why_missed(state, will, route)),
            ..route.delivery.clone()
        })
        .collect()
}

/// Returns the reason why a subscriber was not seen to be sent a will.
fn why_missed(state: &State, will: &Testament, route: &Route) -> Undelivered {
    let Some(connection) = route.delivery.connection else {
        let broker = state.brokers.get(BrokerId(will.summary.broker));
        let since = will.summary.end.stamp.number;
        if broker.is_none_or(|broker| broker.may_be_back(since)) {
            return Undelivered::Unknown;
        }
        let due = route.delivery.granted.min(Some(will.summary.will.qos));
        let Some(session) = state.sessions.get(route.session) else {
            return match state.sessions.ended(route.session) {
                Some(end) => Undelivered::SessionEnded {
                    frame: end.frame,
                    how: end.how,
                },
                None => {
                    let at = state.now.number;
                    Undelivered::GivenUp { at }
                }
            };
        };
        let Some(since) = session.away_since else {
            return Undelivered::Unknown;
        };
        let since = since.number;
        return match due {
            Some(QoS::AtMostOnce) => Undelivered::AwayAtQoS0 { since },
            _ => Undelivered::Away { since },
        };
    };
    let Some(stood) = state.standing(connection) else {
        let at = state.now.number;
        return Undelivered::GivenUp { at };
    };
    if stood.gaps != route.gaps {
        let frame = stood.gap;
        Undelivered::Gap { frame }
    } else if let Some(frame) = will.unseen {
        Undelivered::Gap { frame }
    // With messages in flight it may not have been its turn yet.
    } else if stood.open || outlived(will, stood.stamp) && stood.in_flight == 0 {
        Undelivered::Unknown
    } else {
        let frame = stood.stamp.number;
        Undelivered::ConnectionEnded { frame }
    }
}

/// Returns whether a will was due long enough before `end` for its server to have published it.
fn outlived(will: &Testament, end: FrameStamp) -> bool {
    let due = between(&will.summary.end.stamp, &end);
    due.is_some_and(|due| due.nanos() > will.delay_nanos() + caps::LAST_MOMENT.nanos())
}

/// Closes the wills that nothing more can become of.
pub(crate) fn sweep_wills(state: &mut State, report: &mut Report) {
    while let Some(key) = state.wills.next_overdue(state.now) {
        close_will(state, report, key);
    }
}

/// Emits what became of a will, and forgets it.
pub(crate) fn close_will(state: &mut State, report: &mut Report, key: WillKey) {
    let Some(mut will) = state.wills.remove(key) else {
        return;
    };
    if let (Some(why), WillFate::NotPublished(NoWill::NotSeen)) = (will.excused, will.summary.fate)
    {
        will.summary.fate = WillFate::NotPublished(why);
    }
    let missed = missed(state, &will);
    let delay = will.delay_nanos();
    let summary = &mut will.summary;
    summary.ambiguous = will.doubtful && !will.certain;
    if let WillFate::NotPublished(why) = &mut summary.fate
        && will.due
        && *why == NoWill::NotSeen
    {
        let gone = between(&summary.end.stamp, &state.now);
        // Servers publish some time after the delay is over: at the end of the capture this may be
        // yet to come.
        if gone.is_none_or(|gone| gone.nanos() < delay + caps::LAST_MOMENT.nanos()) {
            *why = NoWill::DelayRunning;
        }
    }
    // A will that was not due missed no subscriber.
    if let WillFate::Published(_) | WillFate::NotPublished(NoWill::NotSeen) = summary.fate {
        summary.deliveries.extend(missed);
    } else {
        // Only the copies that were sent.
        let sent = MessageDelivery::is_delivered;
        summary.deliveries.retain(sent);
    }
    let missed = summary.deliveries.iter_mut();
    missed
        .filter(|one| matches!(one.outcome, Outcome::NotDelivered(_)))
        .for_each(|one| one.ambiguous = will.doubtful);
    // Its copies for late subscribers, as far as they were sent by now.
    let stored = state.retained.find(will.topic);
    let stored = stored.and_then(|stored| state.retained.get(stored));
    if let Some(stored) = stored.filter(|stored| stored.will == Some(key)) {
        let late = stored.summary.deliveries.iter().cloned();
        summary.deliveries.extend(late);
    }
    rules::will::judge(&will, report);
    if state.wanted.stories {
        report.outbox.emit(Output::Will(Box::new(will.summary)));
    }
}

/// Returns a will as a message to be stored.
fn stored_entry(key: WillKey, will: &Testament) -> Entry {
    let summary = &will.summary;
    Entry {
        topic: will.topic,
        digest: will.digest,
        summary: RetainedSummary {
            broker: summary.broker,
            server: summary.server,
            message: Message {
                topic: Some(Arc::clone(&summary.will.topic)),
                qos: summary.will.qos,
                retain: true,
                payload: summary.will.payload.clone(),
            },
            stored: Some(Stored {
                stamp: summary.set,
                connection: summary.connection,
                client_id: summary.client_id.clone(),
                will: true,
            }),
            end: RetainedEnd::Kept,
            deliveries: Vec::new(),
        },
        message: None,
        will: Some(key),
        asked: None,
        ended: None,
    }
}
