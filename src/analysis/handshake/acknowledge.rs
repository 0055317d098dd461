//! PUBACK, PUBREC, PUBREL, PUBCOMP: a PUBLISH's handshake goes on or is over.

use foldhash::HashMap;

use super::super::caps;
use super::super::context::PacketContext;
use super::super::delivery::explain::note_release;
use super::super::delivery::retained::put_in_force;
use super::super::rules;
use super::super::rules::claim::Claim;
use super::super::state::link::Link;
use super::super::state::open::Open;
use super::exchange::{begin, keep, settle};
use crate::base::{FrameStamp, Span};
use crate::event::{HandshakeKind, HandshakeState, PacketEvent, Subject, between};
use crate::mqtt::packet::Acknowledgement;
use crate::mqtt::{PacketType, Sender};

/// Nagle's algorithm meets TCP's delayed acknowledgement: the usual 40 ms of Linux.
const DELAYED: (Span, Span) = (Span::from_nanos(38_000_000), Span::from_nanos(48_000_000));
/// So many in succession are no accident.
const DELAYED_TOO_OFTEN: u32 = 3;

/// Acts on an acknowledgement of either end.
pub(crate) fn on_acknowledgement(cx: &mut PacketContext<'_>, ack: &Acknowledgement<'_>) {
    let event = cx.event;
    let initiator = match event.packet_type {
        // PUBREL alone has the direction of the PUBLISH.
        PacketType::PubRel => event.sender,
        _ => event.sender.peer(),
    };
    let id = ack.packet_id.number();
    let side = &mut cx.link.sides[initiator];
    let Some(mut open) = side.open.remove(&id) else {
        return acknowledge_unknown(cx, ack, initiator);
    };
    // 5.0 §4.3.3: PUBREC of 0x80 or above ends the handshake.
    let refused = ack.reason_code >= 0x80;
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
            cx.link.pay(event.sender, id);
            open.releases = open.releases.saturating_add(1);
            open.waiting = PacketType::PubComp;
            open.from = initiator.peer();
            (false, in_order)
        }
        // No rule orders PUBCOMP.
        (PacketType::PubComp, HandshakeKind::Qos2) => (true, true),
        // It answers the handshake that had the identifier before.
        _ if open.owed_before > 0 => {
            open.owed_before -= 1;
            side.open.insert(id, open);
            return;
        }
        _ => {
            rules::exchange::find_wrong_acknowledgement(&mut cx.check(), &open);
            cx.link.sides[initiator].open.insert(id, open);
            return;
        }
    };
    if !in_order {
        rules::exchange::find_out_of_order(&mut cx.check(), &open);
    }
    if cx.report.wanted && is_delayed(cx.link, event, &open) {
        cx.check().find(Claim::DelayedAck {});
    }
    open.advance(cx.link.gaps(), event);
    // PUBCOMP answers a PUBREL that the capture may miss.
    if let (PacketType::PubRel | PacketType::PubComp, Some(key)) = (event.packet_type, open.message)
    {
        note_release(cx.state, key, event.stamp);
        put_in_force(cx.state, cx.report, cx.link, key, event.stamp);
    }
    // PUBREL is the initiator's own: it answers PUBREC and acknowledges no PUBLISH.
    if event.sender != initiator {
        open.acknowledgements += 1;
    }
    if !settled {
        cx.link.sides[initiator].open.insert(id, open);
        return;
    }
    free_identifier(cx.link, &open, id, event.stamp);
    let mut end = HandshakeState::Complete;
    if refused {
        // A refused message must not be sent anew: a DUP with the same content would show it.
        remember(&mut cx.link.sides[initiator].refused, id, open.digest);
        end = HandshakeState::Refused {
            packet_type: event.packet_type,
            code: ack.reason_code,
        };
    }
    settle(cx.state, cx.report, open, end);
}

/// Moves the latest number to `number`; returns whether that is not behind it. A packet from an
/// earlier connection has number 0, and no place in the order.
fn pass(latest: &mut u64, number: u64) -> bool {
    let in_order = number == 0 || number >= *latest;
    *latest = number.max(*latest);
    in_order
}

/// Frees the identifier of a handshake that is over, and its part of the sender's quota.
fn free_identifier(link: &mut Link, open: &Open, id: u16, stamp: FrameStamp) {
    let side = &mut link.sides[open.record.initiator];
    if open.counted {
        side.window.settle(stamp);
    }
    let owed = open.owed();
    if owed > 0 {
        remember(&mut side.late, id, owed);
    } else if !side.late.is_empty() {
        // The identifier is done with: what follows on it is a stray.
        side.late.remove(&id);
    }
    link.pay(open.record.initiator, id);
}

/// Remembers something of an identifier, and forgets all that was remembered where it is too much.
fn remember<T>(remembered: &mut HashMap<u16, T>, id: u16, value: T) {
    if remembered.len() >= caps::REMEMBERED {
        remembered.clear();
    }
    remembered.insert(id, value);
}

/// Acts on an acknowledgement for an identifier that is not in flight, as far as was captured.
#[cold]
fn acknowledge_unknown(cx: &mut PacketContext<'_>, ack: &Acknowledgement<'_>, initiator: Sender) {
    let id = ack.packet_id.number();
    let answer = match cx.event.packet_type {
        PacketType::PubRec => Some(PacketType::PubRel),
        PacketType::PubRel => Some(PacketType::PubComp),
        _ => None,
    };
    if !cx.state.history_known(cx.link) || !cx.link.certain(initiator) {
        // The PUBLISH lies before the capture or in a gap: what is left of the handshake is
        // followed.
        if let Some(waiting) = answer {
            let id = Some(ack.packet_id);
            let mut open = begin(cx, HandshakeKind::Qos2, id, Subject::Nothing);
            open.record.initiator = initiator;
            open.waiting = waiting;
            keep(cx, open);
        }
        return;
    }
    let side = &mut cx.link.sides[initiator];
    // An acknowledgement of a redelivery, after the first one ended the handshake.
    if let Some(owed) = side.late.get_mut(&id) {
        *owed = owed.saturating_sub(1);
        if *owed == 0 {
            side.late.remove(&id);
        }
        return;
    }
    // The PUBCOMP that ended it on an earlier connection may not have been read.
    let unread = (cx.state.unread).is_unread(cx.link, initiator, id, 0);
    if cx.event.packet_type == PacketType::PubRel && unread {
        remember(&mut cx.link.sides[initiator].late, id, 1);
        return;
    }
    if answer.is_some() {
        // The answer to it is no second stray.
        let answers = 1 + u32::from(cx.event.packet_type == PacketType::PubRec);
        remember(&mut cx.link.sides[initiator].late, id, answers);
    }
    // Its handshakes went to the connection that took over.
    if cx.link.taken_over.is_some() {
        return;
    }
    cx.check()
        .suspect(initiator, Claim::AckWithoutPublish { id });
}

/// Counts the answers of an end that come after 40 ms; returns whether this one makes it plain.
///
/// Nagle's algorithm holds an answer back only while something sent before it is not acknowledged,
/// and every segment of the peer acknowledges. So a packet of the same end must have gone out as
/// long ago, in a frame of its own, and nothing must have come from the peer since.
fn is_delayed(link: &mut Link, event: &PacketEvent<'_>, open: &Open) -> bool {
    let in_time = |span: Span| DELAYED.0 <= span && span <= DELAYED.1;
    let peers_last = link.sides[event.sender.peer()].last;
    let side = &mut link.sides[event.sender];
    let outstanding = side.before.filter(|before| {
        peers_last.is_none_or(|last| last.number < before.number)
            && between(before, &event.stamp).is_some_and(in_time)
    });
    let Some(span) = between(&open.last(), &event.stamp) else {
        return false;
    };
    if !in_time(span) || outstanding.is_none() {
        // Only an unbroken series shows the timer.
        side.delayed = 0;
        return false;
    }
    side.delayed += 1;
    // Equal, not above: a series is reported once.
    side.delayed == DELAYED_TOO_OFTEN
}
