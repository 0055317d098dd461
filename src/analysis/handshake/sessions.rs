//! Sessions: which one a connection belongs to, what waits for its next connection, its end.

use std::sync::Arc;

use super::super::caps;
use super::super::context::PacketContext;
use super::super::delivery::wills::{client_came_back, will_may_stop};
use super::super::keys::SessionKey;
use super::super::output::Output;
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::open::Open;
use super::super::state::sessions::ClientSession;
use super::exchange::{give_up, settle_incomplete};
use crate::base::limits::Limit;
use crate::event::{EndedBy, SessionOver, SessionSummary, Undelivered, between};
use crate::mqtt::topic::matching_part;
use crate::mqtt::{BySender, Sender};

/// Joins a connection to its session. Without a CONNACK (not captured, or not yet sent) `present`
/// is `None`, and what is known of the client identifier decides.
pub(crate) fn attach(cx: &mut PacketContext<'_>, present: Option<bool>) {
    if let Some(key) = cx.link.session {
        // Joined before its CONNACK, by the client identifier alone, which the CONNACK now
        // contradicts.
        if present == Some(false) && !cx.link.clean {
            forget_resumed(cx, key);
        }
        return;
    }
    if cx.link.client_id.is_none()
        && let Some(broker) = cx.state.brokers.get_mut(cx.link.broker)
    {
        cx.link.nameless = true;
        broker.nameless_begins();
    }
    let id = cx.link.client_id.as_ref();
    let known = id.and_then(|id| cx.state.sessions.find(cx.link.broker, id));
    rules::connect::check_session_present(&mut cx.check(), present, known);
    let PacketContext {
        state,
        report,
        link,
        event,
    } = cx;
    if let Some(key) = known {
        leave_old_link(state, report, link, key);
    }
    // A session that lasts no longer than its connection ends with that at a takeover too; where
    // there is no Session Present (3.1) nothing else shows it.
    let passing = |key| {
        let session = state.sessions.get(key);
        session.is_some_and(|session| session.expiry == 0 && session.latest.is_some())
    };
    let over = present.is_none() && link.connect_stamp.is_some() && known.is_some_and(passing);
    let key = match known {
        // Clean Session or Clean Start begins a new session, and so does Session Present 0.
        Some(key) if !link.clean && !over && present != Some(false) => key,
        _ => {
            state.unread.forget_servers(link);
            if let Some(key) = known {
                let expired = (state.sessions.get(key)).is_some_and(|one| one.expired(state.now));
                let how = match () {
                    () if expired => SessionOver::Expired,
                    () if over => SessionOver::WithConnection,
                    () if link.clean => SessionOver::Replaced,
                    () => SessionOver::Lost,
                };
                end_session(state, report, key, EndedBy::ConnectionClosed, Some(how));
            }
            begin_session(state, report, link, present)
        }
    };
    link.session = Some(key);
    let Some(session) = state.sessions.get_mut(key) else {
        return;
    };
    session.link = Some(link.id);
    session.resumed |= session.latest.is_some();
    session.latest = Some((link.id, event.stamp));
    session.returning = false;
    session.away_since = None;
    session.expiry = link.session_expiry;
    // The latest version that is known: a CONNECT that was not captured brings none.
    let summary = &mut session.summary;
    summary.version = link.version.or(summary.version);
    if let Some(connect) = &link.connect {
        summary.user_name.clone_from(&connect.user_name);
        summary.assigned |= connect.client_id.is_empty();
    }
    let will = session.delayed_will.take();
    for (sender, opens) in std::mem::take(&mut session.pending) {
        for (id, mut open) in opens {
            // Gaps are counted by connection: those of the earlier one were judged when it ended.
            let answered_unseen = open.missing;
            open.move_to(link.gaps());
            // The sender of a PUBLISH without an answer owes it anew ([MQTT-4.4.0-1]), unless the
            // answer was in a gap.
            if open.is_publish() && open.from == sender.peer() && !answered_unseen {
                link.owed[sender].push(id);
            }
            link.sides[sender].open.insert(id, open);
        }
    }
    if let Some(will) = will {
        will_may_stop(state, will, event.stamp);
    }
    client_came_back(state, link, event.stamp);
    state.mark_blind(link);
}

/// Adds a session of a connection; where there is no room, that which has been without a
/// connection longest is forgotten.
fn begin_session(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    present: Option<bool>,
) -> SessionKey {
    if state.sessions.len() >= state.limits.sessions {
        report.limit_reached(Limit::Sessions, state.now);
        if let Some(oldest) = state.sessions.longest_away() {
            // It goes on for the server: its end here proves nothing.
            if let Some(session) = state.sessions.get_mut(oldest) {
                session.known = false;
            }
            end_session(state, report, oldest, EndedBy::TableFull, None);
        }
    }
    // Only of a session that was seen to begin is it known that it had no subscriptions.
    let known = link.connect_stamp.is_some() && (link.clean || present == Some(false));
    let summary = SessionSummary::new(link.broker.0, link.server, link.client_id.clone());
    state.sessions.add(ClientSession::new(summary, known))
}

/// Suspends what waits on an earlier connection of the session: it goes on here.
fn leave_old_link(state: &mut State, report: &mut Report, link: &Link, key: SessionKey) {
    let session = state.sessions.get(key);
    let old = session.and_then(|session| session.link);
    let Some(old) = old.filter(|old| *old != link.id) else {
        return;
    };
    if let Some(mut other) = state.links.remove(&old) {
        if report.wanted {
            (state.unread).note_end(&other, false, &state.limits);
        }
        suspend(state, report, &mut other, key, EndedBy::ConnectionClosed);
        // The older connection may go on for a while: its end must not end the session.
        other.session = None;
        other.former = Some(key);
        // Both may go on in turn: the first time counts.
        other.superseded.get_or_insert(state.now);
        state.links.insert(old, other);
    }
}

/// Puts a connection's open handshakes aside for the session's next connection.
pub(crate) fn suspend(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    key: SessionKey,
    ended_by: EndedBy,
) {
    if let Some(session) = state.sessions.get_mut(key) {
        let unseen = link.never_seen(Sender::Client);
        session.cut |= !link.whole() || unseen || link.never_seen(Sender::Server);
        // What its client asked for in a gap is in force on later connections too.
        session.known &= link.sides.client.gaps == 0 && !unseen;
    }
    for sender in [Sender::Client, Sender::Server] {
        for (id, mut open) in std::mem::take(&mut link.sides[sender].open) {
            // SUBSCRIBE, UNSUBSCRIBE and PINGREQ are no part of the session state (§3.1.2.4; 5.0:
            // §4.1).
            if !open.is_publish() {
                give_up(state, report, link, open, ended_by);
                continue;
            }
            open.missing = open.may_be_missing(link.gaps()) || link.never_seen(open.from);
            // There was no time for an answer.
            let waited = between(&open.last(), &state.now);
            open.excused |= waited.is_some_and(|waited| waited < caps::ANSWER);
            match state.sessions.get_mut(key) {
                Some(session) if session.pending[sender].len() < state.limits.handshakes_kept => {
                    open.suspended = Some(ended_by);
                    session.pending[sender].insert(id, open);
                }
                _ => {
                    report.limit_reached(Limit::HandshakesKept, state.now);
                    give_up(state, report, link, open, EndedBy::TableFull);
                }
            }
        }
    }
}

/// Gives up what a session kept: the CONNACK shows that it is a new one.
fn forget_resumed(cx: &mut PacketContext<'_>, key: SessionKey) {
    let (state, link) = (&mut *cx.state, &mut *cx.link);
    for sender in [Sender::Client, Sender::Server] {
        for (id, open) in std::mem::take(&mut link.sides[sender].open) {
            // Those that this connection began stay.
            match open.suspended {
                Some(ended_by) => give_up(state, cx.report, link, open, ended_by),
                None => {
                    link.sides[sender].open.insert(id, open);
                }
            }
        }
    }
    link.owed = BySender::default();
    // A client may subscribe before it has read its CONNACK (5.0 §3.1.4): that is of the new session.
    let begun = link.connect_stamp.map_or(0, |connect| connect.number);
    let frame = state.now.number;
    for (filter, asked) in subscriptions(state, key) {
        if asked < begun {
            let how = SessionOver::Lost;
            let why = Undelivered::SessionEnded { frame, how };
            state.note_past(key, &filter, why, state.now);
            unsubscribe(state, key, &filter);
        }
    }
    if let Some(session) = state.sessions.get_mut(key) {
        session.known = true;
        state.mark_blind(link);
    }
}

/// Ends a session: its handshakes, its subscriptions, its summary. `how` is `None` for one that goes on
/// for the server: it is given up at a limit or at the end of the capture.
pub(crate) fn end_session(
    state: &mut State,
    report: &mut Report,
    key: SessionKey,
    ended_by: EndedBy,
    how: Option<SessionOver>,
) {
    if let Some(how) = how {
        let frame = state.now.number;
        state.sessions.note_end(key, (frame, how), &state.limits);
        note_past(state, key, Undelivered::SessionEnded { frame, how });
    }
    let mut subscriptions = unsubscribe_all(state, key);
    settle_pending(state, report, key, ended_by);
    let Some(mut session) = state.sessions.remove(key, &state.limits) else {
        return;
    };
    if state.wanted.stories {
        // Hash maps have no order.
        subscriptions.sort();
        session.summary.subscriptions = subscriptions;
        report
            .outbox
            .emit(Output::Session(Box::new(session.summary)));
    }
}

/// Remembers the subscriptions of a session that is over.
fn note_past(state: &mut State, key: SessionKey, why: Undelivered) {
    let session = (state.sessions.get(key)).filter(|_| state.wanted.details);
    let filters = session.map(|session| session.subscriptions.keys().cloned().collect());
    let filters: Vec<_> = filters.unwrap_or_default();
    for filter in &filters {
        state.note_past(key, filter, why, state.now);
    }
}

/// Gives up the handshakes that wait for a session's next connection.
pub(crate) fn settle_pending(
    state: &mut State,
    report: &mut Report,
    key: SessionKey,
    ended_by: EndedBy,
) {
    let Some(session) = state.sessions.get_mut(key) else {
        return;
    };
    let BySender { client, server } = std::mem::take(&mut session.pending);
    let mut opens: Vec<Open> = client.into_values().chain(server.into_values()).collect();
    // Hash maps have no order, and the output is to be the same in every run.
    opens.sort_by_key(|open| open.turn);
    for open in opens {
        let ended_by = match open.missing {
            // Its answer may have been in a gap of the connection that it was suspended from.
            true => EndedBy::Gap,
            false => open.suspended.unwrap_or(ended_by),
        };
        settle_incomplete(state, report, open, ended_by);
    }
}

/// Ends a subscription of a session.
pub(crate) fn unsubscribe(state: &mut State, session: SessionKey, filter: &str) {
    let Some((broker, key)) = state.sessions.remove_subscription(session, filter) else {
        return;
    };
    let matched = matching_part(filter);
    if let Some(broker) = state.brokers.get_mut(broker)
        && let Some(keys) = broker.tree.get_mut(matched)
    {
        keys.remove(&(session, key));
        // Empty entries would count as levels of filters.
        if keys.is_empty() {
            broker.tree.remove(matched);
        }
    }
}

/// Ends all subscriptions of a session; returns their filters.
fn unsubscribe_all(state: &mut State, key: SessionKey) -> Vec<Arc<str>> {
    let filters = subscriptions(state, key).into_iter();
    let ended = |(filter, _): (Arc<str>, u64)| {
        unsubscribe(state, key, &filter);
        filter
    };
    filters.map(ended).collect()
}

/// Returns the filters of a session's subscriptions, each with the frame of the latest SUBSCRIBE
/// that asked for it. Copied, since each removal changes the session.
fn subscriptions(state: &State, key: SessionKey) -> Vec<(Arc<str>, u64)> {
    let session = state.sessions.get(key).into_iter();
    let keys = session.flat_map(|session| session.subscriptions.values());
    let all = keys.filter_map(|key| state.sessions.subscription(*key));
    all.map(|one| (Arc::clone(&one.filter), one.asked.number))
        .collect()
}
