//! Rules of how connections end: what was left undone, keep alive, takeovers.

use std::sync::Arc;

use super::super::caps;
use super::super::state::State;
use super::super::state::link::{Link, Phase};
use super::super::state::takeovers::Takeovers;
use super::claim::{Claim, Frame};
use super::clauses::{self as c, Clause};
use super::report::{Place, Report};
use crate::base::{FrameStamp, Span};
use crate::event::{End, EndCause, Ended, between};
use crate::mqtt::{PacketType, QoS, Sender};
use crate::stream::Closed;

/// Judges the end of a connection.
pub(crate) fn judge(state: &State, link: &Link, ended: &Ended, end: &End, report: &mut Report) {
    judge_stored_due(state, link, report);
    judge_incomplete(link, ended, report);
    judge_unanswered(link, ended, report);
    judge_coexistence(state, link, ended, report);
    // No FIN and no RST was seen.
    let unseen = ended.why == Closed::CaptureEnd && ended.by.is_none();
    match end.cause {
        EndCause::Takeover { frame, .. } => judge_takeover(link, ended, frame, report),
        EndCause::Reset { by } if by != Some(Sender::Server) => {
            let place = Place {
                // Attributed only where the sender of the RST is known.
                by,
                ..Place::on(link, end.stamp)
            };
            let how = match by {
                Some(_) => "reset the connection",
                None => "did not end the connection: it was reset",
            };
            report.find(place, Claim::ConnectionReset { how });
        }
        EndCause::Fin {
            by: Some(Sender::Server),
        }
        | EndCause::Reset { .. }
        | EndCause::ProtocolError { .. } => judge_dismissal(link, ended, end, report),
        // After a refusal the server closes (3.2.2.3; 5.0: §3.2.2.2).
        EndCause::Refused { .. } if unseen || ended.by == Some(Sender::Client) => {
            let refused = (link.sides.server.last, Sender::Server);
            judge_left_open(link, refused, &c::LEFT_OPEN_AFTER_REFUSAL, ended, report);
        }
        // The sender of DISCONNECT closes (3.14.4).
        EndCause::Disconnect { by, .. } if unseen => {
            let goodbye = link.goodbye.map(|goodbye| goodbye.stamp);
            judge_left_open(link, (goodbye, by), &c::LEFT_OPEN, ended, report);
        }
        _ => {}
    }
    // Reported once, when the client went on: the end adds nothing then.
    let mut silent = link.silence_reported;
    if let EndCause::KeepAlive { .. } | EndCause::CaptureEnd = end.cause {
        silent |= judge_silence(link, ended, end, report);
    }
    // A client that is gone without FIN, RST and DISCONNECT: power lost, network lost, or its
    // process stopped.
    let only_by_server = |by: Option<Sender>| by != Some(Sender::Client);
    let abandoned = ended.why == Closed::CaptureEnd
        && only_by_server(ended.by)
        && only_by_server(link.goodbye.map(|goodbye| goodbye.by))
        && (link.taken_over.is_some() || silent);
    if abandoned {
        report.find(Place::on(link, link.began()), Claim::NoCleanEnd {});
    }
}

/// Reports stored messages that a subscription took and that never came.
fn judge_stored_due(state: &State, link: &Link, report: &mut Report) {
    // Bridges are sent stored messages by rules of their own, and a gap may hold the copy.
    // So may a client that was not captured have cleared it, or one whose connection has a gap.
    let broker = state.brokers.get(link.broker);
    let all_seen = broker.is_some_and(|broker| !broker.gapped && !broker.outsiders);
    if link.bridge() != Some(false) || !link.whole() || !all_seen {
        return;
    }
    for due in link.stored_due.iter().filter(|due| !due.sent) {
        let waited = between(&due.asked, &state.now);
        let Some(entry) = state.retained.get(due.key) else {
            continue;
        };
        // A will is stored when the server notices, and what was stored a moment before may not
        // have been there yet.
        let there = entry.summary.stored.as_ref().is_some_and(|stored| {
            let since = between(&stored.stamp, &due.asked);
            !stored.will
                && entry.ended.is_none()
                && since.is_some_and(|since| since >= caps::IN_TRANSIT)
        });
        // Until it is acknowledged, the server need not have acted on it.
        let message = entry.message.and_then(|key| state.messages.get(key));
        let acted = message.is_none_or(|held| {
            let over = held.over.and_then(|over| over.acknowledged(held.qos));
            held.qos == QoS::AtMostOnce || over.is_some()
        });
        let expired = message.is_some_and(|held| {
            let since = between(&held.published, &due.asked);
            let left = (held.carried.expiry).zip(since);
            // Seconds are rounded either way.
            left.is_some_and(|(expiry, since)| since.seconds() + 1.0 >= f64::from(expiry))
        });
        if there
            && acted
            && !expired
            // The server had time to send it before the capture or the connection was over.
            && waited.is_some_and(|waited| waited >= caps::SLOW)
            && let Some(topic) = entry.summary.message.topic.as_deref()
        {
            let claim = Claim::RetainedNotSent { topic };
            report.find_unless_outsiders(link.broker, Place::on(link, due.asked), claim);
        }
    }
}

/// Reports packets that were announced and never completed.
fn judge_incomplete(link: &Link, ended: &Ended, report: &mut Report) {
    // The rest may follow after the capture.
    if ended.why == Closed::CaptureEnd {
        return;
    }
    for one in ended.incomplete.iter().flatten() {
        // Behind a packet that could not be read it is not known where the next one begins.
        if !link.certain(one.sender) {
            continue;
        }
        let packet = one.packet_type.name();
        let claim = match one.announced {
            // Not even the length arrived whole.
            0 => Claim::CutInRemainingLength { packet },
            announced => Claim::IncompletePacket {
                packet,
                announced,
                received: one.received,
            },
        };
        report.find(Place::on(link, one.stamp).by(one.sender), claim);
    }
}

/// Reports a CONNECT that the server never answered ([MQTT-3.1.4-4]; 5.0: [MQTT-3.1.4-5]).
fn judge_unanswered(link: &Link, ended: &Ended, report: &mut Report) {
    let Some(open) = &link.connecting else {
        return;
    };
    // A server closes over a CONNECT that breaks the protocol, or gives the reason in a DISCONNECT; during
    // enhanced authentication it may be the client's turn.
    let last = open.last();
    let clients_turn = link.sides.server.packets > 0;
    let excused = link.fault.is_some() || link.goodbye.is_some_and(|end| end.by == Sender::Server);
    if excused
        || clients_turn
        || open.may_be_missing(link.gaps())
        || link.never_seen(Sender::Server)
        || !link.certain(Sender::Client)
    {
        return;
    }
    let (patience, how) = match (ended.by, ended.why) {
        (Some(Sender::Server), Closed::Reset) => {
            (Span::default(), "the server reset the connection")
        }
        (Some(Sender::Server), _) => (Span::default(), "the server closed the connection"),
        (Some(Sender::Client), _) => (caps::ANSWER, "the client gave up"),
        (None, Closed::CaptureEnd) => (caps::LAST_MOMENT, "the capture ends"),
        (None, Closed::Evicted) => return,
        (None, Closed::Reset) => (caps::ANSWER, "the connection was reset"),
        (None, _) => (caps::ANSWER, "the connection was over"),
    };
    // A DISCONNECT is the client's end, whenever TCP ends.
    let end = link.goodbye.map_or(ended.first, |goodbye| goodbye.stamp);
    let Some(waited) = between(&last, &end).filter(|waited| *waited >= patience) else {
        return;
    };
    let claim = Claim::ConnectUnanswered {
        seconds: waited.seconds(),
        how,
        end: Frame(end.number),
    };
    report.find(Place::on(link, last).by(Sender::Server), claim);
}

/// Reports that the server closed the connection, and after which packet of the client. A CONNECT
/// without an answer has a finding of its own.
fn judge_dismissal(link: &Link, ended: &Ended, end: &End, report: &mut Report) {
    /// An end this soon after a packet may be the answer to it.
    const AT_ONCE: Span = Span::from_nanos(100_000_000);
    if ended.by != Some(Sender::Server) || link.phase == Phase::Connecting {
        return;
    }
    let side = &link.sides.client;
    let how = match end.cause {
        EndCause::Fin { .. } => "closed",
        _ if ended.why == Closed::Reset => "reset",
        _ => "closed",
    };
    let (Some(last), Some((packet_type, octets))) = (side.last, side.last_packet) else {
        return;
    };
    let (packet, frame) = (packet_type.name(), Frame(last.number));
    // In the order of the stream: frames may have changed places.
    if link.after_close {
        let claim = Claim::ClosedBeforePacket {
            how,
            packet,
            octets,
            last: frame,
        };
        return report.find(Place::on(link, end.stamp), claim);
    }
    let Some(waited) = between(&last, &end.stamp) else {
        return;
    };
    let waited = waited.max(Span::default());
    let remark = match end.cause {
        EndCause::ProtocolError { frame } if frame == last.number => ", which breaks the protocol",
        // The receiver's limits and permissions are not in the capture.
        _ if waited <= AT_ONCE && packet_type == PacketType::Publish => {
            ": it may be too large, malformed or not permitted there"
        }
        _ => "",
    };
    let claim = Claim::ClosedByServer {
        how,
        seconds: waited.seconds(),
        packet,
        octets,
        last: frame,
        remark,
    };
    report.find(Place::on(link, end.stamp), claim);
}

/// Reports a connection that stays open after its last packet at `since`, although `by` had to close
/// it.
fn judge_left_open(
    link: &Link,
    (since, by): (Option<FrameStamp>, Sender),
    clause: &'static Clause,
    ended: &Ended,
    report: &mut Report,
) {
    /// Long enough for both ends to have closed.
    const MOMENT: Span = Span::from_nanos(5_000_000_000);
    let Some(since) = since.filter(|_| link.whole()) else {
        return;
    };
    // In the end the other one closed it: then it surely had not been closed before.
    let patience = match ended.by {
        None => MOMENT,
        Some(_) => caps::SLOW,
    };
    if between(&since, &ended.first).is_some_and(|open| open >= patience) {
        let last = Frame(since.number);
        let place = Place::on(link, since).by(by);
        report.find(place, Claim::LeftOpen { clause, last });
    }
}

/// Reports that another connection took the client identifier, with the CONNECT of `frame`.
fn judge_takeover(link: &Link, ended: &Ended, frame: u64, report: &mut Report) {
    let Some((_, stamp)) = link.taken_over else {
        return;
    };
    let (first, second) = (Frame(link.began().number), Frame(frame));
    let claim = Claim::Takeover { second, first };
    report.find(Place::on(link, stamp), claim);
    // 5.0 §3.1.4: DISCONNECT with 0x8e precedes the close.
    if link.five()
        && ended.by == Some(Sender::Server)
        && link.goodbye.is_none()
        && link.certain(Sender::Server)
        // A connection that was never accepted has no session to be taken.
        && link.phase == Phase::Connected
    {
        let place = Place::on(link, ended.first);
        report.find(place, Claim::TakeoverUnannounced { second });
    }
}

/// Reports an older connection that its server did not end long after the newer CONNECT
/// ([MQTT-3.1.4-2]; 5.0: [MQTT-3.1.4-3]).
fn judge_coexistence(state: &State, link: &Link, ended: &Ended, report: &mut Report) {
    let (Some((_, stamp)), Some(accepted)) = (link.taken_over, link.superseded) else {
        return;
    };
    // Without an end of its own it is not known how long it lived.
    let lost = matches!(ended.why, Closed::Evicted | Closed::Replaced);
    // To a client that did not read, what was sent before the takeover came long after.
    if lost || !link.whole() || link.slow_reader {
        return;
    }
    let end = match link.goodbye {
        Some(goodbye) if goodbye.by == Sender::Server => return,
        Some(goodbye) => goodbye.stamp,
        None if ended.by == Some(Sender::Server) => return,
        None => ended.first,
    };
    let long = |end: FrameStamp| between(&accepted, &end).is_some_and(|since| since > caps::SLOW);
    let mut last = link.sides.iter().filter_map(|side| side.last);
    // Use shows that it lived, as does a server that answers its FIN.
    let used = last.any(long) || ended.why == Closed::Finished;
    // Where the capture lacks frames of the broker, it may lack the end of one that was not used.
    let gapped = (state.brokers.get(link.broker)).is_none_or(|broker| broker.gapped);
    let open = ended.why == Closed::CaptureEnd && ended.by.is_none() && !gapped;
    if link.outlived || long(end) && (used || open) {
        let first = Frame(link.began().number);
        report.find(Place::on(link, stamp), Claim::TakeoverNotEnforced { first });
    }
}

/// Reports that clients took an identifier from each other again and again.
#[cold]
pub(crate) fn find_takeover_loop(client_id: &Arc<str>, series: &Takeovers, report: &mut Report) {
    let hosts = match series.hosts() {
        [] => String::new(),
        [one] => format!("all by connections from {one}"),
        [one, two] => format!("by connections from {one} and {two}"),
        [one, two, ..] => format!("by connections from {one}, {two} and others"),
    };
    let (first, last) = series.span();
    let claim = Claim::TakeoverLoop {
        times: series.count(),
        seconds: between(&first, &last).map_or(0.0, Span::seconds),
        last: Frame(last.number),
        hosts: &hosts,
        why: match series.hosts() {
            [_, _, ..] => {
                "two clients seem to use one identifier, and each reconnects when the other pushes \
                 it off"
            }
            // No claim which: both look the same from here.
            _ => {
                "two clients there use one identifier and push each other off, or one reconnects \
                 before the server has seen its connection end"
            }
        },
    };
    let place = Place {
        connection: Some(series.connection),
        client_id: Some(Arc::clone(client_id)),
        version: series.version,
        ..Place::nowhere(first)
    };
    report.find(place, claim);
}

/// Judges the client's silence before the end; returns whether it was too long.
fn judge_silence(link: &Link, ended: &Ended, end: &End, report: &mut Report) -> bool {
    let Some(silence) = link.excessive_silence(ended.first) else {
        return false;
    };
    let (seconds, keep_alive) = (silence.span.seconds(), silence.keep_alive);
    let place = Place::on(link, silence.since);
    let claim = Claim::KeepAlive {
        seconds,
        keep_alive,
        how: match end.cause {
            EndCause::KeepAlive { .. } => "and the server closed the connection",
            _ => "until the capture ends",
        },
    };
    report.find(place.clone(), claim);
    let ignored = silence.is_beyond_doubt() && link.taken_over.is_none();
    if ignored && end.cause == EndCause::CaptureEnd {
        let claim = Claim::KeepAliveNotEnforced {
            seconds,
            keep_alive,
        };
        report.find(place, claim);
    }
    true
}

/// Reports redeliveries that the session owed when this connection began and that never came.
pub(crate) fn judge_owed(state: &State, link: &Link, report: &mut Report) {
    if !report.wanted || !link.whole() {
        return;
    }
    let began = link.connect_stamp;
    let lived = began.and_then(|began| between(&began, &state.now));
    // Too short a time to have sent anything anew.
    if lived.is_none_or(|lived| lived < caps::LAST_MOMENT) {
        return;
    }
    for sender in [Sender::Client, Sender::Server] {
        for id in &link.owed[sender] {
            // Still open: neither sent anew nor settled by a late acknowledgement.
            if let Some(open) = link.sides[sender].open.get(id) {
                let first = Frame(open.first().number);
                let place = Place::on(link, link.began()).by(sender);
                report.find(place, Claim::NotResent { first });
            }
        }
    }
}
