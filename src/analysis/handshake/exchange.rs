//! Exchanges of control packets: how each begins, is kept, is given up and is settled.

use super::super::context::PacketContext;
use super::super::delivery::messages::{delivery_settled, publisher_settled};
use super::super::keys::BrokerId;
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::open::{Open, step};
use crate::base::limits::Limit;
use crate::event::{EndedBy, Handshake, HandshakeKind, HandshakeState, Subject};
use crate::mqtt::{PacketIdentifier, PacketType, Sender};

/// Begins a handshake of the packet's sender with its first step.
pub(crate) fn begin(
    cx: &mut PacketContext<'_>,
    kind: HandshakeKind,
    packet_id: Option<PacketIdentifier>,
    subject: Subject,
) -> Open {
    let PacketContext { link, event, .. } = cx;
    let waiting = match kind {
        HandshakeKind::Connect => PacketType::ConnAck,
        HandshakeKind::Auth => PacketType::Auth,
        HandshakeKind::Qos0 => PacketType::Publish,
        HandshakeKind::Qos1 => PacketType::PubAck,
        HandshakeKind::Qos2 => PacketType::PubRec,
        HandshakeKind::Subscribe => PacketType::SubAck,
        HandshakeKind::Unsubscribe => PacketType::UnsubAck,
        HandshakeKind::Ping => PacketType::PingResp,
    };
    cx.state.open_handshakes += 1;
    let record = Box::new(Handshake {
        kind,
        connection: link.id,
        broker: link.broker.0,
        server: link.server,
        initiator: event.sender,
        client_id: link.client_id.clone(),
        version: link.version,
        packet_id,
        steps: vec![step(event)],
        steps_left_out: 0,
        state: HandshakeState::Incomplete {
            waiting_for: waiting,
            ended_by: EndedBy::CaptureEnd,
        },
        subject,
        filters_left_out: 0,
        deliveries: Vec::new(),
        deliveries_left_out: 0,
        origin: None,
    });
    cx.state.open_filters += record.filters().len();
    Open {
        record,
        turn: cx.report.outbox.reserve(),
        waiting,
        from: event.sender.peer(),
        gaps: link.gaps(),
        missing: false,
        message: None,
        delivery: None,
        publishes: 1,
        acknowledgements: 0,
        releases: 0,
        owed_before: 0,
        digest: 0,
        order: 0,
        answered: 0,
        counted: false,
        excused: false,
        suspended: None,
    }
}

/// Keeps a handshake until its next packet, unless the table is full.
pub(crate) fn keep(cx: &mut PacketContext<'_>, open: Open) {
    let Some(id) = open.record.packet_id else {
        return;
    };
    let side = &mut cx.link.sides[open.record.initiator];
    if cx.state.open_handshakes <= cx.state.limits.handshakes {
        side.open.insert(id.number(), open);
        return;
    }
    cx.report.limit_reached(Limit::Handshakes, open.last());
    // Its acknowledgement is not a stray one: what was sent counts as unknown.
    side.note_gap(cx.event.stamp.number);
    settle_incomplete(cx.state, cx.report, open, EndedBy::TableFull);
}

/// Gives a handshake up because its connection is over (or the capture is).
pub(crate) fn give_up(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    mut open: Open,
    ended_by: EndedBy,
) {
    // A server that closes over a broken rule answers nothing else.
    open.excused |= link.fault.is_some() && open.from == Sender::Server;
    // Its answer may not have come through.
    open.excused |= link.stuck == Some(open.from);
    // A capture may hold one direction only.
    open.excused |= link.never_seen(open.from);
    let ended_by = match open.may_be_missing(link.gaps()) {
        true => EndedBy::Gap,
        false => ended_by,
    };
    settle_incomplete(state, report, open, ended_by);
}

/// Gives a handshake up whose identifier is used for something else.
#[cold]
pub(crate) fn replace(cx: &mut PacketContext<'_>, open: Open) {
    let link = &mut cx.link;
    // Of one that has sent nothing, what it sends may not be captured at all.
    let silent = link.sides[open.from].packets == 0;
    let lost = silent || open.may_be_missing(link.gaps()) || link.sides[cx.event.sender].gaps > 0;
    if open.counted {
        let side = &mut link.sides[open.record.initiator];
        side.window.settle(cx.event.stamp);
    }
    if !lost && link.whole() {
        rules::exchange::find_identifier_in_use(&mut cx.check(), &open);
    }
    let ended_by = match lost {
        true => EndedBy::Gap,
        false => EndedBy::IdentifierReused,
    };
    settle_incomplete(cx.state, cx.report, open, ended_by);
}

/// Settles a handshake that goes no further.
pub(crate) fn settle_incomplete(
    state: &mut State,
    report: &mut Report,
    open: Open,
    ended_by: EndedBy,
) {
    if report.wanted
        && open.is_publish()
        && open.record.initiator == Sender::Client
        && let (Some(id), Some(client_id)) = (open.record.packet_id, &open.record.client_id)
    {
        let (broker, message) = (BrokerId(open.record.broker), (id.number(), open.digest));
        (state.unread).note_unacknowledged(broker, client_id, message, &state.limits);
        if state.unread.was_full() {
            report.limit_reached(Limit::Unread, state.now);
        }
    }
    let end = HandshakeState::Incomplete {
        waiting_for: open.waiting,
        ended_by,
    };
    settle(state, report, open, end);
}

/// Settles a handshake that is over: it is emitted, or its message waits for its deliveries.
pub(crate) fn settle(state: &mut State, report: &mut Report, open: Open, end: HandshakeState) {
    state.open_handshakes = state.open_handshakes.saturating_sub(1);
    let mut record = open.record;
    state.open_filters = state.open_filters.saturating_sub(record.filters().len());
    record.state = end;
    if report.wanted && !open.excused {
        rules::exchange::judge(state, &record, report);
    }
    if let Some(delivery) = open.delivery {
        delivery_settled(state, report, delivery, &record);
    }
    match open.message {
        Some(key) => publisher_settled(state, report, key, record),
        None => report.outbox.put_handshake(open.turn, record),
    }
}
