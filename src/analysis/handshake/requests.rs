//! SUBSCRIBE, UNSUBSCRIBE and PINGREQ with their answers.

use std::collections::VecDeque;
use std::sync::Arc;

use super::super::caps;
use super::super::context::PacketContext;
use super::super::keys::{SessionKey, shared};
use super::super::rules;
use super::super::rules::claim::Claim;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::StoredDue;
use super::super::state::open::Open;
use super::super::state::sessions::{Force, Subscription};
use super::exchange::{begin, give_up, keep, replace, settle};
use super::sessions::unsubscribe;
use crate::base::FrameStamp;
use crate::base::limits::Limit;
use crate::event::{
    EndedBy, FilterRequest, Handshake, HandshakeKind, HandshakeState, Subject, Undelivered,
};
use crate::mqtt::packet::{FilterAcknowledgement, Subscribe, Unsubscribe};
use crate::mqtt::topic::{Shared, filter_broken_before_five};
use crate::mqtt::{PacketIdentifier, PacketType, QoS};

/// Acts on a SUBSCRIBE.
pub(crate) fn on_subscribe(cx: &mut PacketContext<'_>, subscribe: &Subscribe<'_>) {
    rules::request::check_subscribe(&mut cx.check(), subscribe);
    free_identifier(cx, subscribe.packet_id);
    let mut all = subscribe.subscriptions.iter();
    let most = room(cx);
    let kept = all.by_ref().take(most);
    let requests: Vec<_> = kept.map(|one| asked(one.filter, one.options)).collect();
    if cx.state.wanted.deliveries
        && let Some(session) = cx.link.session
    {
        // A SUBSCRIBE has at most one identifier (5.0 §3.8.2.1.2); more are reported by the
        // codec's rules.
        let mut identifiers = subscribe.properties.subscription_identifiers();
        let identifier = identifiers.next().filter(|_| cx.link.five());
        for one in &requests {
            stored_falls_due(cx, session, one);
            add_subscription(cx, session, one, identifier);
        }
    }
    let left_out = leave_out(cx, all.map(|one| one.filter));
    if left_out > 0
        && let Some(session) = cx
            .link
            .session
            .and_then(|key| cx.state.sessions.get_mut(key))
    {
        // As where there is no room for the subscription itself.
        session.known = false;
    }
    let (id, subject) = (subscribe.packet_id, Subject::Subscribe(requests));
    let mut open = begin(cx, HandshakeKind::Subscribe, Some(id), subject);
    open.record.filters_left_out = left_out;
    keep(cx, open);
}

/// Returns how many filters of a request are kept.
fn room(cx: &PacketContext<'_>) -> usize {
    let room = (cx.state.limits.filters).saturating_sub(cx.state.open_filters);
    room.min(Handshake::FILTERS_KEPT)
}

/// Counts the filters of a request that are not kept. What becomes of the subscriptions to them is
/// not known from here on: an answer is not compared with them.
fn leave_out<'a>(cx: &mut PacketContext<'_>, filters: impl Iterator<Item = &'a str>) -> u64 {
    let mut count = 0;
    for filter in filters {
        count += 1;
        if let Some(session) = cx.link.session {
            set_force(cx.state, session, &shared(filter), Force::Leaving);
        }
    }
    if count > 0 {
        cx.report.limit_reached(Limit::Filters, cx.event.stamp);
    }
    count
}

/// Returns a filter without its answer.
fn asked(filter: &str, options: u8) -> FilterRequest {
    FilterRequest {
        filter: shared(filter),
        options,
        code: None,
    }
}

/// Gives a handshake up whose identifier a request uses.
fn free_identifier(cx: &mut PacketContext<'_>, id: PacketIdentifier) {
    // An identifier is free again once its handshake is over ([MQTT-2.3.1-2]; 5.0:
    // [MQTT-2.2.1-3]): the older handshake ended unseen, or the sender is at fault.
    if let Some(open) = cx.link.sides[cx.event.sender].open.remove(&id.number()) {
        replace(cx, open);
    }
}

/// Notes the stored messages that a new subscription is to be sent.
fn stored_falls_due(cx: &mut PacketContext<'_>, session: SessionKey, request: &FilterRequest) {
    let PacketContext { state, link, .. } = cx;
    let session = state.sessions.get(session);
    let existed = session.is_some_and(|one| one.subscriptions.contains_key(&request.filter));
    // Retain Handling of 5.0: 2 asks for none, 1 for those of new subscriptions.
    let sent = match request.options >> 4 & 3 {
        0 => true,
        1 => !existed,
        _ => false,
    };
    // A shared subscription is sent no stored messages (5.0 §4.8.2).
    if !sent || Shared::of(&request.filter).is_some() {
        return;
    }
    let filter = state.topic(link.broker, &request.filter);
    for key in state.stored_for(filter) {
        state.retained.ask(key, cx.event.stamp);
        // `#` on a broker with very many stored messages: those beyond the limit are not checked.
        if link.stored_due.len() >= caps::STORED_DUE {
            link.stored_due.retain(|due| !due.sent);
        }
        if link.stored_due.len() < caps::STORED_DUE {
            link.stored_due.push(StoredDue {
                key,
                asked: cx.event.stamp,
                sent: false,
            });
        }
    }
}

/// Adds a subscription as asked for: a server may deliver before its SUBACK.
fn add_subscription(
    cx: &mut PacketContext<'_>,
    key: SessionKey,
    request: &FilterRequest,
    identifier: Option<u32>,
) {
    let state = &mut *cx.state;
    let granted = QoS::from_bits(request.options & 3).unwrap_or(QoS::ExactlyOnce);
    let full = state.sessions.subscriptions_full(&state.limits);
    let Some(session) = state.sessions.get_mut(key) else {
        return;
    };
    // The filter is in use again, so its UNSUBSCRIBE explains no copy any more.
    session
        .given_up
        .retain(|(filter, _)| *filter != request.filter);
    session
        .refused
        .retain(|(filter, _)| *filter != request.filter);
    let broker = session.broker();
    // The same filter again replaces the subscription ([MQTT-3.8.4-3]).
    if let Some(one) = state.sessions.subscription_to(key, &request.filter) {
        one.changed |= one.options != request.options || one.identifier != identifier;
        one.options = request.options;
        one.granted = granted;
        one.identifier = identifier;
        one.asked = cx.event.stamp;
        one.renewed = one.force != Force::Leaving;
        // Its UNSUBACK has not come, and this SUBSCRIBE was sent after the UNSUBSCRIBE.
        if one.force == Force::Leaving {
            one.force = Force::Asked;
        }
        return;
    }
    let Some(broker) = state.brokers.get_mut(broker) else {
        return;
    };
    let share = Shared::of(&request.filter);
    let matched = share.map_or(&*request.filter, |share| share.filter);
    let keys = match full {
        true => None,
        false => broker.tree.get_or_default(matched),
    };
    let Some(keys) = keys else {
        if let Some(session) = state.sessions.get_mut(key) {
            // A subscription that is not kept could explain any copy: no copy of this session
            // counts as uninvited from here on.
            session.known = false;
        }
        return (cx.report).limit_reached(Limit::Subscriptions, cx.event.stamp);
    };
    // The tree finds subscriptions by the filter that topics match; a shared one is found by the
    // part behind its group.
    let subscription = state.sessions.add_subscription(Subscription {
        session: key,
        filter: Arc::clone(&request.filter),
        group: share.map(|share| shared(share.group)),
        options: request.options,
        granted,
        identifier,
        force: Force::Asked,
        asked: cx.event.stamp,
        renewed: false,
        changed: false,
    });
    keys.insert((key, subscription));
    if let Some(session) = state.sessions.get_mut(key) {
        session.breaks_filters |= filter_broken_before_five(matched).is_some();
    }
}

/// Acts on a SUBACK.
#[inline(never)]
pub(crate) fn on_suback(cx: &mut PacketContext<'_>, ack: &FilterAcknowledgement<'_>) {
    let Some(open) = take_answered(cx, HandshakeKind::Subscribe, ack.packet_id, ack.codes) else {
        return;
    };
    let requests = open.record.filters();
    rules::request::check_suback(&mut cx.check(), &open.record, ack.codes);
    if let Some(session) = cx.link.session {
        for one in requests {
            grant(cx.state, session, one, cx.event.stamp);
        }
    }
    // One filter that was granted makes the handshake a success; the others stand beside it with
    // their codes.
    let failed = ack.codes.iter().all(|code| *code >= 0x80);
    let end = match ack.codes.first() {
        Some(code) if failed => HandshakeState::Refused {
            packet_type: PacketType::SubAck,
            code: *code,
        },
        _ => HandshakeState::Complete,
    };
    settle(cx.state, cx.report, open, end);
}

/// Takes the handshake that an answer ends and writes the codes beside the filters; returns `None`
/// where the answer fits no request.
fn take_answered(
    cx: &mut PacketContext<'_>,
    kind: HandshakeKind,
    id: PacketIdentifier,
    codes: &[u8],
) -> Option<Open> {
    let id = id.number();
    let opens = &mut cx.link.sides[cx.event.sender.peer()].open;
    let claim = match opens.remove(&id) {
        Some(mut open) if open.record.kind == kind => {
            for (one, code) in open.record.filters_mut().iter_mut().zip(codes) {
                one.code = Some(*code);
            }
            open.advance(cx.link.gaps(), cx.event);
            return Some(open);
        }
        // The identifier belongs to a handshake of another kind, which goes on.
        Some(open) => {
            opens.insert(id, open);
            Claim::AnswersAnother { id }
        }
        None if cx.link.connect_stamp.is_none() => return None,
        None => Claim::AnswerWithoutRequest { id },
    };
    rules::request::find_unfit_answer(&mut cx.check(), claim);
    None
}

/// Puts a subscription in force, or ends it where it was refused.
fn grant(state: &mut State, session: SessionKey, request: &FilterRequest, stamp: FrameStamp) {
    let Some(one) = state.sessions.subscription_to(session, &request.filter) else {
        return;
    };
    let code = request.code.filter(|code| *code < 3);
    match code.and_then(QoS::from_bits) {
        Some(granted) => {
            one.granted = granted;
            one.force = Force::Granted;
        }
        // An earlier subscription to the filter stands, at the QoS that it had.
        None if one.force == Force::Granted => one.force = Force::Leaving,
        None => refuse(state, session, request, stamp),
    }
}

/// Ends a subscription that the server refused, and remembers its filter.
fn refuse(state: &mut State, key: SessionKey, request: &FilterRequest, stamp: FrameStamp) {
    if let Some(session) = state.sessions.get_mut(key)
        && request.code.is_some_and(|code| code >= 0x80)
    {
        remember(&mut session.refused, &request.filter, stamp);
        let frame = stamp.number;
        state.note_past(
            key,
            &request.filter,
            Undelivered::NotSubscribed { frame },
            stamp,
        );
    }
    unsubscribe(state, key, &request.filter);
}

/// Remembers a filter among the latest few.
fn remember(filters: &mut VecDeque<(Arc<str>, FrameStamp)>, filter: &Arc<str>, stamp: FrameStamp) {
    /// Enough to show why a copy is unexpected.
    const REMEMBERED: usize = 8;
    // The newest explain the copies that are still under way.
    if filters.len() >= REMEMBERED {
        filters.pop_front();
    }
    filters.push_back((Arc::clone(filter), stamp));
}

/// Acts on an UNSUBSCRIBE.
#[inline(never)]
pub(crate) fn on_unsubscribe(cx: &mut PacketContext<'_>, unsubscribe: &Unsubscribe<'_>) {
    free_identifier(cx, unsubscribe.packet_id);
    let mut all = unsubscribe.filters.iter();
    let most = room(cx);
    let requests: Vec<_> = all.by_ref().take(most).map(|one| asked(one, 0)).collect();
    // A server may send copies until it has acted on the request, so the subscription stays until
    // the UNSUBACK.
    if let Some(session) = cx.link.session {
        for one in &requests {
            set_force(cx.state, session, &one.filter, Force::Leaving);
        }
    }
    let left_out = leave_out(cx, all);
    let (id, subject) = (unsubscribe.packet_id, Subject::Unsubscribe(requests));
    let mut open = begin(cx, HandshakeKind::Unsubscribe, Some(id), subject);
    open.record.filters_left_out = left_out;
    keep(cx, open);
}

fn set_force(state: &mut State, session: SessionKey, filter: &str, force: Force) {
    if let Some(one) = state.sessions.subscription_to(session, filter) {
        one.force = force;
    }
}

/// Acts on an UNSUBACK.
#[inline(never)]
pub(crate) fn on_unsuback(cx: &mut PacketContext<'_>, ack: &FilterAcknowledgement<'_>) {
    let Some(open) = take_answered(cx, HandshakeKind::Unsubscribe, ack.packet_id, ack.codes) else {
        return;
    };
    let requests = open.record.filters();
    // UNSUBACK of 3.x has no codes.
    if cx.link.five() {
        rules::request::check_code_count(&mut cx.check(), &open.record, ack.codes.len());
    }
    if let Some(session) = cx.link.session {
        for one in requests {
            match one.code {
                // Refused: the subscription stays.
                Some(0x80..) => set_force(cx.state, session, &one.filter, Force::Granted),
                _ => give_filter_up(cx.state, cx.report, session, &one.filter, open.first()),
            }
        }
    }
    settle(cx.state, cx.report, open, HandshakeState::Complete);
}

/// Ends a subscription that its client gave up, and remembers its filter.
fn give_filter_up(
    state: &mut State,
    report: &mut Report,
    key: SessionKey,
    filter: &Arc<str>,
    stamp: FrameStamp,
) {
    if let Some(session) = state.sessions.get_mut(key)
        && session.subscriptions.contains_key(filter)
    {
        remember(&mut session.given_up, filter, stamp);
        if (state.sessions).note_left(key, filter, stamp, &state.limits) {
            report.limit_reached(Limit::FiltersGivenUp, stamp);
        }
        let frame = stamp.number;
        state.note_past(key, filter, Undelivered::Unsubscribed { frame }, stamp);
    }
    unsubscribe(state, key, filter);
}

/// Acts on a PINGREQ.
pub(crate) fn on_pingreq(cx: &mut PacketContext<'_>) {
    if cx.link.pings.len() >= caps::PINGS
        // PINGREQ has no identifier: a client that is never answered must not fill memory.
        && let Some(open) = cx.link.pings.pop_front()
    {
        give_up(cx.state, cx.report, cx.link, open, EndedBy::TableFull);
    }
    let open = begin(cx, HandshakeKind::Ping, None, Subject::Nothing);
    cx.link.pings.push_back(open);
}

/// Acts on a PINGRESP.
pub(crate) fn on_pingresp(cx: &mut PacketContext<'_>) {
    // Answers come in the order of the requests.
    if let Some(mut open) = cx.link.pings.pop_front() {
        open.advance(cx.link.gaps(), cx.event);
        settle(cx.state, cx.report, open, HandshakeState::Complete);
    } else {
        let claim = Claim::PingRespWithoutPingReq {};
        rules::request::find_unfit_answer(&mut cx.check(), claim);
    }
}
