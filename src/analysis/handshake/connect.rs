//! CONNECT, CONNACK, AUTH and DISCONNECT: how a connection begins and announces its end.

use std::sync::Arc;

use super::super::caps;
use super::super::context::PacketContext;
use super::super::delivery::wills::set_will;
use super::super::keys::shared;
use super::super::rules;
use super::super::state::State;
use super::super::state::link::{Goodbye, Link, Offer, Phase};
use super::exchange::{begin, settle};
use super::sessions::attach;
use crate::event::{
    ConnAckSummary, ConnectSummary, HandshakeKind, HandshakeState, Payload, Subject, WillMessage,
    between,
};
use crate::mqtt::packet::{Auth, ConnAck, Connect, Disconnect};
use crate::mqtt::{PacketType, ProtocolVersion, Sender};

/// Acts on a CONNECT.
#[inline(never)]
pub(crate) fn on_connect(cx: &mut PacketContext<'_>, connect: &Connect<'_>) {
    rules::connect::check_connect(&mut cx.check());
    let PacketContext { link, event, .. } = cx;
    if link.connect.is_some() {
        // A second CONNECT changes nothing: the server has to close.
        return;
    }
    link.version = event.version.or(connect.version());
    link.connect_stamp = Some(event.stamp);
    link.phase = Phase::Connecting;
    link.clean = connect.clean();
    link.client_id = Some(shared(connect.client_id));
    link.keep_alive = Some(connect.keep_alive);
    let properties = connect.properties;
    // 5.0 §3.1.2.11.2: an absent interval is 0, and the session ends with its connection. 3.x has
    // no interval: Clean Session 1 ends it so too, 0 keeps it for ever.
    link.session_expiry = match (link.five(), connect.clean()) {
        (true, _) => properties.session_expiry_interval().unwrap_or(0),
        (false, true) => 0,
        (false, false) => u32::MAX,
    };
    // 5.0 §3.1.2.11.3 to §3.1.2.11.9: the values that hold where a property is absent. 3.x has
    // none of these, and the side keeps no limits.
    if link.five() {
        let side = &mut link.sides.client;
        side.receive_maximum = Some(properties.receive_maximum().unwrap_or(u16::MAX));
        side.maximum_packet_size = properties.maximum_packet_size();
        side.topic_alias_maximum = properties.topic_alias_maximum().unwrap_or(0);
        link.authentication_method = properties.authentication_method().map(Box::from);
        link.wants_problem_information = properties.request_problem_information().unwrap_or(true);
        link.wants_response_information =
            properties.request_response_information().unwrap_or(false);
    }
    // Taken here, while the whole payload is at hand: what is kept of it afterwards is its
    // beginning.
    if let Some(will) = &connect.will {
        let topic = shared(will.topic);
        link.will_digest = (cx.state).digest(cx.state.topic(link.broker, &topic), will.payload);
    }
    let summary = Box::new(summary(connect));
    link.connect = Some(summary.clone());
    // Before the CONNACK: a server closes the older connection as soon as it reads the CONNECT,
    // and that end must already know its cause.
    note_takeover(cx);
    let subject = Subject::Connect(summary);
    cx.link.connecting = Some(begin(cx, HandshakeKind::Connect, None, subject));
}

/// Marks the connection whose client identifier this CONNECT takes.
fn note_takeover(cx: &mut PacketContext<'_>) {
    let (state, link) = (&mut *cx.state, &*cx.link);
    let id = link.client_id.as_ref();
    let key = id.and_then(|id| state.sessions.find(link.broker, id));
    if let Some(key) = key.filter(|_| !link.clean) {
        state.messages.comes_back(key, cx.event.stamp);
    }
    let session = key.and_then(|key| state.sessions.get_mut(key));
    let other = session.and_then(|session| {
        session.returning |= !link.clean;
        session.link
    });
    if let Some(other) = other.and_then(|other| state.links.get_mut(&other))
        && other.alive()
    {
        other.taken_over = Some((link.id, cx.event.stamp));
    }
}

/// Takes back what [`note_takeover`] marked: the CONNECT of `link` was not accepted.
#[cold]
pub(crate) fn forget_takeover(state: &mut State, link: &Link) {
    let id = link.client_id.as_ref();
    let key = id.and_then(|id| state.sessions.find(link.broker, id));
    let session = key.and_then(|key| state.sessions.get_mut(key));
    let other = session.and_then(|session| {
        session.returning = false;
        session.link
    });
    if let Some(other) = other.and_then(|other| state.links.get_mut(&other))
        && other.taken_over.is_some_and(|(by, _)| by == link.id)
    {
        other.taken_over = None;
    }
}

/// Acts on a CONNACK.
#[inline(never)]
pub(crate) fn on_connack(cx: &mut PacketContext<'_>, ack: &ConnAck<'_>) {
    rules::connect::check_connack(&mut cx.check(), ack);
    let PacketContext { link, event, .. } = cx;
    // A second CONNACK is reported above and grants nothing.
    if matches!(link.phase, Phase::Connected | Phase::Refused) {
        return;
    }
    let properties = ack.properties;
    let answer = ConnAckSummary {
        code: ack.code,
        session_present: ack.session_present,
        assigned_client_id: properties.assigned_client_identifier().map(shared),
        server_keep_alive: properties.server_keep_alive(),
        session_expiry: properties.session_expiry_interval(),
        receive_maximum: properties.receive_maximum(),
        topic_alias_maximum: properties.topic_alias_maximum(),
        maximum_packet_size: properties.maximum_packet_size(),
        maximum_qos: properties.maximum_qos().map(|qos| qos as u8),
    };
    // Two copies: one goes with the handshake, one stays for the summary of the connection.
    if let Some(connect) = &mut link.connect {
        connect.answer = Some(answer.clone());
    }
    if let Some(mut open) = link.connecting.take() {
        if let Subject::Connect(connect) = &mut open.record.subject {
            connect.answer = Some(answer.clone());
        }
        open.advance(link.gaps(), event);
        if answer.assigned_client_id.is_some() {
            // The handshake began under an empty identifier.
            open.record.client_id.clone_from(&answer.assigned_client_id);
        }
        let end = match ack.code {
            0 => HandshakeState::Complete,
            code => HandshakeState::Refused {
                packet_type: PacketType::ConnAck,
                code,
            },
        };
        settle(cx.state, cx.report, open, end);
    }
    if ack.code != 0 {
        link.phase = Phase::Refused;
        link.refusal = Some(ack.code);
        return forget_takeover(cx.state, cx.link);
    }
    link.accepted = Some(event.stamp);
    accept(link, ack, &answer);
    // 3.1 has no Session Present flag.
    let present = (link.version != Some(ProtocolVersion::V3_1)).then_some(ack.session_present);
    attach(cx, present);
    // Only an accepted CONNECT stores its will ([MQTT-3.1.2-8]; 5.0: [MQTT-3.1.2-7]).
    let connect = cx.link.connect.as_ref();
    if let Some(will) = connect.and_then(|connect| connect.will.clone())
        && cx.link.will.is_none()
        && cx.state.wanted.deliveries
    {
        set_will(cx.state, cx.report, cx.link, will);
    }
}

/// Puts in force what an accepting CONNACK grants.
fn accept(link: &mut Link, ack: &ConnAck<'_>, answer: &ConnAckSummary) {
    link.phase = Phase::Connected;
    if let Some(keep_alive) = answer.server_keep_alive {
        // The server's value replaces the client's ([MQTT-3.2.2-21] of 5.0).
        link.keep_alive = Some(keep_alive);
    }
    if link.five() {
        if let Some(expiry) = answer.session_expiry {
            // Likewise, where the server cannot keep a session for as long as was asked (5.0
            // §3.2.2.3.2).
            link.session_expiry = expiry;
        }
        link.offer = Offer::of(ack.properties);
        let side = &mut link.sides.server;
        side.receive_maximum = Some(answer.receive_maximum.unwrap_or(u16::MAX));
        side.maximum_packet_size = answer.maximum_packet_size;
        side.topic_alias_maximum = answer.topic_alias_maximum.unwrap_or(0);
    }
    if let Some(assigned) = &answer.assigned_client_id {
        link.client_id = Some(Arc::clone(assigned));
    }
}

/// Acts on an AUTH, of the CONNECT's handshake or of one of its own (5.0 §4.12.1).
#[cold]
pub(crate) fn on_auth(cx: &mut PacketContext<'_>, auth: &Auth<'_>) {
    rules::connect::check_auth(&mut cx.check(), auth);
    let PacketContext { link, event, .. } = cx;
    let gaps = link.gaps();
    if let Some(open) = &mut link.connecting {
        // The steps of an authentication stand between CONNECT and CONNACK.
        return open.advance(gaps, event);
    }
    let Some(mut open) = link.authenticating.take() else {
        // Only a client begins a re-authentication (5.0 §4.12.1); an AUTH of a server without one
        // is reported by the rules and begins nothing.
        if event.sender == Sender::Client {
            let open = begin(cx, HandshakeKind::Auth, None, Subject::Nothing);
            cx.link.authenticating = Some(open);
        }
        return;
    };
    open.advance(gaps, event);
    // The ends take turns, so the next step is the other's.
    open.from = event.sender.peer();
    // 0x00, Success: the only reason code that ends it well.
    if event.sender == Sender::Server && auth.reason_code == 0 {
        settle(cx.state, cx.report, open, HandshakeState::Complete);
    } else {
        link.authenticating = Some(open);
    }
}

/// Acts on a DISCONNECT.
#[inline(never)]
pub(crate) fn on_disconnect(cx: &mut PacketContext<'_>, disconnect: &Disconnect<'_>) {
    rules::connect::check_disconnect(&mut cx.check(), disconnect);
    let PacketContext { link, event, .. } = cx;
    let code = disconnect.reason_code;
    // A re-authentication that fails ends the connection (5.0 §4.12.1).
    if let Some(mut open) = link.authenticating.take() {
        open.advance(link.gaps(), event);
        let end = HandshakeState::Refused {
            packet_type: PacketType::Disconnect,
            code,
        };
        settle(cx.state, cx.report, open, end);
    }
    // The first DISCONNECT counts, of either end: what follows it is late.
    if link.goodbye.is_some() {
        return;
    }
    link.goodbye = Some(Goodbye {
        by: event.sender,
        code,
        stamp: event.stamp,
    });
    // 5.0 §3.14.2.2.2: a client may change the interval as it leaves, a server may not.
    if link.five()
        && event.sender == Sender::Client
        && let Some(expiry) = disconnect.properties.session_expiry_interval()
        && !rules::connect::raises_expiry(link, expiry)
    {
        link.session_expiry = expiry;
    }
    if event.sender == Sender::Client {
        leave_handshakes(cx);
    }
}

/// Judges what is open when the client sends DISCONNECT: nothing follows from either end.
fn leave_handshakes(cx: &mut PacketContext<'_>) {
    let now = cx.event.stamp;
    for sender in [Sender::Client, Sender::Server] {
        let mut opens = std::mem::take(&mut cx.link.sides[sender].open);
        let mut left: Vec<_> = opens.values_mut().collect();
        // Hash maps have no order.
        left.sort_by_key(|open| open.turn);
        for open in left {
            if rules::exchange::check_abandoned(&mut cx.check(), open) {
                open.excused = true;
            }
            // There was no time for an answer.
            let waited = between(&open.last(), &now);
            open.excused |= waited.is_some_and(|waited| waited < caps::ANSWER);
        }
        cx.link.sides[sender].open = opens;
    }
}

/// Returns a CONNECT as it is kept.
fn summary(connect: &Connect<'_>) -> ConnectSummary {
    let properties = connect.properties;
    ConnectSummary {
        protocol_name: shared(connect.protocol_name),
        protocol_level: connect.protocol_level,
        bridge: connect.bridge,
        flags: connect.flags,
        keep_alive: connect.keep_alive,
        client_id: shared(connect.client_id),
        user_name: connect.user_name.map(shared),
        // The password itself is never kept.
        password_length: connect.password.map(|password| password.len() as u64),
        session_expiry: properties.session_expiry_interval(),
        receive_maximum: properties.receive_maximum(),
        topic_alias_maximum: properties.topic_alias_maximum(),
        maximum_packet_size: properties.maximum_packet_size(),
        will: connect.will.as_ref().map(|will| WillMessage {
            topic: shared(will.topic),
            qos: will.qos,
            retain: will.retain,
            payload: Payload::of(will.payload),
            delay: will.properties.will_delay_interval().unwrap_or(0),
        }),
        answer: None,
    }
}
