//! PUBACK, PUBREC, PUBREL, PUBCOMP: a PUBLISH's handshake goes on or is over.

use super::super::caps;
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::{Link, Side};
use super::super::state::open::Open;
use super::exchange::{Begin, begin, keep, settle};
use crate::base::Span;
use crate::event::{HandshakeKind, HandshakeState, PacketEvent, Subject, between};
use crate::mqtt::packet::Acknowledgement;
use crate::mqtt::{PacketType, Sender};

/// Nagle's algorithm meets TCP's delayed acknowledgement: the usual 40 ms of Linux.
const DELAYED: (Span, Span) = (Span::from_nanos(38_000_000), Span::from_nanos(48_000_000));
/// So many in succession are no accident.
const DELAYED_TOO_OFTEN: u32 = 3;

/// Acts on an acknowledgement of either end.
pub(crate) fn on_acknowledgement(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    ack: &Acknowledgement<'_>,
) {
    let initiator = match event.packet_type {
        // PUBREL alone has the direction of the PUBLISH.
        PacketType::PubRel => event.sender,
        _ => event.sender.peer(),
    };
    let id = ack.packet_id.number();
    let Some(mut open) = link.sides[initiator].open.remove(&id) else {
        return acknowledge_unknown(state, report, link, event, ack, initiator);
    };
    // 5.0 §4.3.3: PUBREC of 0x80 or above ends the handshake.
    let refused = ack.reason_code >= 0x80;
    let side = &mut link.sides[initiator];
    let (settled, in_order) = match (event.packet_type, open.record.kind) {
        (PacketType::PubAck, HandshakeKind::Qos1) => (true, pass(&mut side.acked, open.order)),
        (PacketType::PubRec, HandshakeKind::Qos2) => {
            let mut in_order = true;
            // A second PUBREC, for a redelivery, has no place in the order.
            if open.waiting == PacketType::PubRec {
                in_order = pass(&mut side.received, open.order);
                side.answered += 1;
                open.answered = side.answered;
                open.waiting = PacketType::PubRel;
                open.from = initiator;
            }
            (refused, in_order)
        }
        (PacketType::PubRel, HandshakeKind::Qos2) => {
            // PUBREL has the order of the PUBRECs ([MQTT-4.6.0-4]).
            let in_order = pass(&mut side.released, open.answered);
            link.pay(event.sender, id);
            open.waiting = PacketType::PubComp;
            open.from = initiator.peer();
            (false, in_order)
        }
        // No rule orders PUBCOMP.
        (PacketType::PubComp, HandshakeKind::Qos2) => (true, true),
        _ => {
            rules::exchange::find_wrong_acknowledgement(link, event, &open, report);
            link.sides[initiator].open.insert(id, open);
            return;
        }
    };
    if !in_order {
        rules::exchange::find_out_of_order(link, event, &open, report);
    }
    if report.wanted && is_delayed(&mut link.sides[event.sender], event, &open) {
        rules::exchange::find_delays(link, event, report);
    }
    open.advance(link.gaps(), event);
    // PUBREL is the initiator's own: it answers PUBREC and acknowledges no PUBLISH.
    if event.sender != initiator {
        open.acknowledgements += 1;
    }
    if !settled {
        link.sides[initiator].open.insert(id, open);
        return;
    }
    free_identifier(link, &open, id);
    let end = if refused {
        // A refused message must not be sent anew: a DUP with the same content would show it.
        let digests = &mut link.sides[initiator].refused;
        if digests.len() >= caps::REMEMBERED {
            digests.clear();
        }
        digests.insert(id, open.digest);
        HandshakeState::Refused {
            packet_type: event.packet_type,
            code: ack.reason_code,
        }
    } else {
        HandshakeState::Complete
    };
    settle(state, report, open, end);
}

/// Moves the latest number to `number`; returns whether that is not behind it. A packet from an
/// earlier connection has number 0, and no place in the order.
fn pass(latest: &mut u64, number: u64) -> bool {
    let in_order = number == 0 || number >= *latest;
    *latest = number.max(*latest);
    in_order
}

/// Frees the identifier of a handshake that is over, and its part of the sender's quota.
fn free_identifier(link: &mut Link, open: &Open, id: u16) {
    let side = &mut link.sides[open.record.initiator];
    if open.counted {
        side.in_flight = side.in_flight.saturating_sub(1);
    }
    // Each copy of a PUBLISH may be acknowledged.
    let owed = match open.record.kind {
        HandshakeKind::Qos1 => open.publishes.saturating_sub(open.acknowledgements),
        _ => 0,
    };
    if owed > 0 {
        expect_late(side, id, owed);
    } else if !side.late.is_empty() {
        // The identifier is done with: what follows on it is a stray.
        side.late.remove(&id);
    }
    link.pay(open.record.initiator, id);
}

/// Remembers that so many acknowledgements of an identifier may still come.
fn expect_late(side: &mut Side, id: u16, count: u32) {
    if side.late.len() >= caps::REMEMBERED {
        side.late.clear();
    }
    side.late.insert(id, count);
}

/// Acts on an acknowledgement for an identifier that is not in flight, as far as was captured.
#[cold]
fn acknowledge_unknown(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    ack: &Acknowledgement<'_>,
    initiator: Sender,
) {
    let id = ack.packet_id.number();
    let answer = match event.packet_type {
        PacketType::PubRec => Some(PacketType::PubRel),
        PacketType::PubRel => Some(PacketType::PubComp),
        _ => None,
    };
    if !state.history_known(link) || !link.certain(initiator) {
        // The PUBLISH lies before the capture or in a gap: what is left of the handshake is
        // followed.
        if let Some(waiting) = answer {
            let first = Begin {
                kind: HandshakeKind::Qos2,
                initiator,
                packet_id: Some(ack.packet_id),
                subject: Subject::Nothing,
                waiting,
            };
            let open = begin(state, report, link, event, first);
            keep(state, report, link, open);
        }
        return;
    }
    let side = &mut link.sides[initiator];
    // An acknowledgement of a redelivery, after the first one ended the handshake.
    if let Some(owed) = side.late.get_mut(&id) {
        *owed = owed.saturating_sub(1);
        if *owed == 0 {
            side.late.remove(&id);
        }
        return;
    }
    if answer.is_some() {
        // The answer to it is no second stray.
        let answers = 1 + u32::from(event.packet_type == PacketType::PubRec);
        expect_late(side, id, answers);
    }
    rules::exchange::find_stray_acknowledgement(link, event, (id, initiator), report);
}

/// Counts the answers of an end that come after 40 ms; returns whether this one makes it plain.
fn is_delayed(side: &mut Side, event: &PacketEvent<'_>, open: &Open) -> bool {
    let Some(span) = between(&open.last(), &event.stamp) else {
        return false;
    };
    let (least, most) = DELAYED;
    if span < least || span > most {
        // Only an unbroken series shows the timer.
        side.delayed = 0;
        return false;
    }
    side.delayed += 1;
    // Equal, not above: a series is reported once.
    side.delayed == DELAYED_TOO_OFTEN
}
