//! How connections end, and what that means for all that waited on them.

use super::super::delivery::messages::{Closing, close_message};
use super::super::delivery::retained::end_stored;
use super::super::delivery::wills::{close_will, note_missed, will_falls_due};
use super::super::keys::SessionKey;
use super::super::output::Output;
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::{Link, Silence};
use super::connect::forget_takeover;
use super::exchange::give_up;
use super::sessions::{end_session, settle_pending, suspend};
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::{
    End, EndCause, Ended, EndedBy, Event, RetainedEnd, SessionOver, SessionSummary,
};
use crate::mqtt::Sender;
use crate::stream::Closed;

/// Acts on the end of a connection.
pub(crate) fn on_ended(state: &mut State, report: &mut Report, mut link: Link, ended: &Ended) {
    // A Close frame of WebSocket ends the connection, whichever end closes TCP then.
    let closed = link.close_frame.map(|(by, first)| Ended {
        by: Some(by),
        first,
        ..*ended
    });
    let ended = closed.as_ref().unwrap_or(ended);
    link.closer = ended.by;
    link.both_seen = ended.both_seen;
    for sender in [Sender::Client, Sender::Server] {
        let Some(gap) = link.silent[sender].take() else {
            continue;
        };
        if link.never_seen(sender) {
            let (count, first) = &mut state.one_direction[sender];
            if *count == 0 {
                *first = link.opened;
            }
            *count += 1;
        } else {
            rules::transport::find_gap(&link, &gap, report);
        }
    }
    report.settle_suspects(&link);
    if link.connecting.is_some() {
        forget_takeover(state, &link);
    }
    let cause = cause(&link, ended);
    let end = End {
        cause,
        // A connection is over for MQTT with its DISCONNECT, whenever TCP ends.
        stamp: match (cause, link.goodbye) {
            (EndCause::Disconnect { .. }, Some(goodbye)) => goodbye.stamp,
            // The first FIN: what the other end's FIN waits for is no part of the cause.
            _ => ended.first,
        },
    };
    if report.wanted {
        let reset = ended.why == Closed::Reset;
        state.unread.note_end(&link, reset, &state.limits);
        if state.unread.was_full() {
            report.limit_reached(Limit::Unread, ended.stamp);
        }
        rules::end::judge(state, &link, ended, &end, report);
        // An end that was not captured may have another cause.
        if let EndCause::Takeover { .. } = cause
            && ended.by.is_some()
        {
            note_takeover(state, report, &link);
        }
    }
    let ended_by = ended_by(&link, ended);
    // Messages on their way to this connection are judged by how it stood, also long after.
    let open = ended_by == EndedBy::CaptureEnd;
    if state.departs(link.id, link.standing(end.stamp, open)) {
        report.limit_reached(Limit::ConnectionsWithGaps, ended.stamp);
    }
    let pings = std::mem::take(&mut link.pings);
    // These never outlive a connection, whatever its session does.
    let connecting = link.connecting.take().into_iter();
    for open in connecting.chain(link.authenticating.take()).chain(pings) {
        give_up(state, report, &link, open, ended_by);
    }
    // A will of the connection falls due before the session lets its subscriptions go.
    will_falls_due(state, report, &link, end);
    // A connection that has ended brings no more copies for subscriptions that the capture does
    // not show.
    state.set_blind(&mut link, false);
    if link.nameless
        && let Some(broker) = state.brokers.get_mut(link.broker)
    {
        broker.nameless_ends(ended.stamp.number);
    }
    release(state, report, &mut link, ended, ended_by);
    report.settle_slow(link.id);
    note_connection(state, report, &link, end);
    if let Some(session) = link.session {
        session_may_end(state, report, session, &link, ended);
    }
}

/// Returns the cause of a connection's end, the most specific one that is known.
fn cause(link: &Link, ended: &Ended) -> EndCause {
    // A refusal is the cause, whichever end closes first.
    if let Some(code) = link.refusal {
        return EndCause::Refused { code };
    }
    let takeover = link.taken_over.map(|(by, stamp)| EndCause::Takeover {
        by,
        frame: stamp.number,
    });
    let keep_alive = |silence: Silence| EndCause::KeepAlive {
        silence: silence.span,
        keep_alive: silence.keep_alive,
    };
    if let Some(goodbye) = link.goodbye {
        // A server of 5.0 states the cause itself: 0x8e is Session taken over, 0x8d is Keep Alive
        // timeout. The frames that prove it are more specific than the code.
        let named = match (goodbye.by, goodbye.code) {
            (Sender::Server, 0x8e) => takeover,
            (Sender::Server, 0x8d) => link.silence(goodbye.stamp).map(keep_alive),
            _ => None,
        };
        return named.unwrap_or(EndCause::Disconnect {
            by: goodbye.by,
            code: goodbye.code,
        });
    }
    // Where the client closed first, the server cannot have dismissed it.
    if ended.by != Some(Sender::Client) {
        // A cause comes before its effect.
        let before = |(_, by): (_, FrameStamp)| by.number <= ended.first.number;
        if let Some(takeover) = takeover.filter(|_| link.taken_over.is_some_and(before)) {
            return takeover;
        }
        let closed = ended.by.is_some() || ended.why == Closed::Reset;
        // With an end that was not captured the effect of a silence is not proven.
        if let Some(silence) = link.excessive_silence(ended.first).filter(|_| closed) {
            return keep_alive(silence);
        }
        // The last explanation that is left for a server that closes ([MQTT-4.8.0-1]; 5.0:
        // [MQTT-4.13.1-1]).
        if let Some(fault) = link.fault.filter(|fault| ended.by.is_some() && !fault.late) {
            let frame = fault.stamp.number;
            return EndCause::ProtocolError { frame };
        }
    }
    match ended.why {
        Closed::Finished => EndCause::Fin { by: ended.by },
        Closed::Reset | Closed::Refused => EndCause::Reset { by: ended.by },
        Closed::Evicted => EndCause::Evicted,
        Closed::Replaced if ended.by.is_none() => EndCause::Replaced,
        Closed::CaptureEnd if ended.by.is_none() => EndCause::CaptureEnd,
        Closed::Replaced | Closed::CaptureEnd => EndCause::Fin { by: ended.by },
    }
}

/// Returns why the handshakes of a connection are not waited for any longer.
fn ended_by(link: &Link, ended: &Ended) -> EndedBy {
    match ended.why {
        Closed::Reset | Closed::Refused => EndedBy::ConnectionReset,
        Closed::Finished | Closed::Replaced => EndedBy::ConnectionClosed,
        Closed::Evicted => EndedBy::TableFull,
        // One FIN or a DISCONNECT was seen: the rest was merely not captured.
        Closed::CaptureEnd if ended.by.is_some() || !link.alive() => EndedBy::ConnectionClosed,
        Closed::CaptureEnd => EndedBy::CaptureEnd,
    }
}

/// Counts a takeover of a client identifier, and reports a loop of them that is over.
fn note_takeover(state: &mut State, report: &mut Report, link: &Link) {
    if let Some((_, stamp)) = link.taken_over {
        for (client_id, series) in state.takeovers.note(link, stamp, &state.limits) {
            rules::end::find_takeover_loop(&client_id, &series, report);
        }
    }
}

/// Gives the open handshakes of a connection up, or puts them aside for its session.
fn release(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    ended: &Ended,
    ended_by: EndedBy,
) {
    // QoS 1 and 2 handshakes survive their connection with the session ([MQTT-4.4.0-1]). At the
    // end of the capture nothing can follow, and without a CONNECT it is not known whether the
    // session lasts.
    let persists = link.session_expiry > 0
        && link.refusal.is_none()
        && ended.why != Closed::CaptureEnd
        && link.connect_stamp.is_some();
    if let Some(session) = link.session.filter(|_| persists) {
        rules::end::judge_owed(state, link, report);
        return suspend(state, report, link, session, ended_by);
    }
    for sender in [Sender::Client, Sender::Server] {
        let opens = std::mem::take(&mut link.sides[sender].open);
        let mut opens: Vec<_> = opens.into_values().collect();
        opens.sort_by_key(|open| open.turn);
        for open in opens {
            let ended_by = open.suspended.unwrap_or(ended_by);
            give_up(state, report, link, open, ended_by);
        }
    }
}

/// Adds a connection to its session's summary, or emits one of its own where it never came to a
/// session.
fn note_connection(state: &mut State, report: &mut Report, link: &Link, end: End) {
    if !state.wanted.stories {
        return;
    }
    let connection = link.summary(end);
    // `former`: the connection was taken over, and its session went to the newer one.
    let session = link.session.or(link.former);
    if let Some(session) = session.and_then(|key| state.sessions.get_mut(key)) {
        session.summary.add(connection);
    } else if link.session.is_none() {
        let mut summary = SessionSummary::new(link.broker.0, link.server, link.client_id.clone());
        let connect = link.connect.as_ref();
        summary.user_name = connect.and_then(|connect| connect.user_name.clone());
        summary.version = link.version;
        summary.add(connection);
        report.outbox.emit(Output::Session(Box::new(summary)));
    }
}

/// Takes the connection from its session, which goes on without one or ends.
fn session_may_end(
    state: &mut State,
    report: &mut Report,
    key: SessionKey,
    link: &Link,
    ended: &Ended,
) {
    let Some(session) = state.sessions.get_mut(key) else {
        return;
    };
    session.link = None;
    session.away_since = Some(link.goodbye.map_or(ended.stamp, |goodbye| goodbye.stamp));
    if link.sides.server.gaps > 0 {
        session.gapped = Some((ended.stamp, link.sides.server.gap));
    }
    // DISCONNECT may have changed it since the session began.
    session.expiry = link.session_expiry;
    if link.session_expiry == 0 && ended.why != Closed::CaptureEnd {
        let how = Some(SessionOver::WithConnection);
        end_session(state, report, key, EndedBy::ConnectionClosed, how);
    } else {
        state.sessions.went_away(key, &state.limits);
    }
}

/// Closes everything as it stands: nothing more comes.
pub(crate) fn finish(state: &mut State, report: &mut Report, emit: &mut impl FnMut(&Event<'_>)) {
    note_missed(state);
    // Connections first, since their ends settle handshakes that messages and wills wait for;
    // sessions last, since their summaries list the connections.
    let mut open: Vec<_> = state.links.keys().copied().collect();
    open.sort_unstable();
    for id in open {
        if let Some(link) = state.links.remove(&id) {
            let ended = Ended {
                connection: id,
                why: Closed::CaptureEnd,
                by: None,
                first: state.now,
                both_seen: false,
                stamp: state.now,
                incomplete: [None, None],
            };
            on_ended(state, report, *link, &ended);
            report.outbox.drain(emit);
        }
    }
    for (client_id, series) in state.takeovers.finish() {
        rules::end::find_takeover_loop(&client_id, &series, report);
    }
    let sessions = state.sessions.keys();
    for key in &sessions {
        settle_pending(state, report, *key, EndedBy::CaptureEnd);
    }
    // The late copies of a stored message stand with its publisher's message.
    for key in state.retained.keys() {
        end_stored(state, report, key, RetainedEnd::Kept);
        report.outbox.drain(emit);
    }
    for key in state.messages.keys() {
        close_message(state, report, key, Closing::Settled);
        report.outbox.drain(emit);
    }
    for key in state.wills.keys() {
        close_will(state, report, key);
        report.outbox.drain(emit);
    }
    for key in sessions {
        end_session(state, report, key, EndedBy::CaptureEnd, None);
        report.outbox.drain(emit);
    }
    let brokers = &state.brokers;
    report.settle_sole(|id| brokers.get(id).is_some_and(|broker| broker.outsiders));
    rules::transport::judge_outside(state, report);
    rules::transport::judge_one_direction(state, report);
    report.finish(state.now);
    report.outbox.flush();
    report.outbox.drain(emit);
}
