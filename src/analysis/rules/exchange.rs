//! Rules of handshakes: redeliveries, acknowledgements, the end of each exchange.

use super::super::caps;
use super::super::keys::BrokerId;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::open::Open;
use super::claim::{Claim, Frame, Party};
use super::clauses as c;
use super::report::{Answer, Check, Place, Report, Statements};
use crate::event::{EndedBy, Handshake, HandshakeKind, HandshakeState, Step, Subject, between};
use crate::mqtt::packet::Publish;
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, QoS, Sender, reason};

/// Checks a DUP on what was never seen before.
#[cold]
pub(crate) fn check_first_dup(check: &mut Check<'_>, publish: &Publish<'_>, digest: u64) {
    let link = check.link;
    let id = publish.delivery.packet_id().map_or(0, |id| id.number());
    // Sent anew although its receiver refused it for good (5.0 §4.4).
    if link.sides[check.event.sender].refused.get(&id) == Some(&digest) {
        check.find(Claim::ResentAfterRefusal { id });
    // The first copy may lie before the capture, in a gap, or on a connection of the session that
    // was not captured.
    } else if link.whole()
        && check.state.history_known(link)
        && !(check.state.unread).may_repeat(link, check.event.sender, id, digest)
    {
        check.find(Claim::DupOnFirst {});
    }
}

/// Checks a redelivery of what `open` waits for.
#[cold]
pub(crate) fn check_repeat(check: &mut Check<'_>, publish: &Publish<'_>, open: &Open) {
    if !check.report.wanted {
        return;
    }
    let link = check.link;
    let first = Frame(open.first().number);
    let id = publish.delivery.packet_id().map_or(0, |id| id.number());
    let last = open.record.steps.last();
    // On another connection than the step before.
    let moved = last.is_some_and(|step| step.connection != link.id);
    // [MQTT-3.3.1-1]: every redelivery has DUP 1.
    if !publish.dup {
        check.find(Claim::RedeliveryWithoutDup { first, id });
    }
    // [MQTT-4.3.3-1]; 5.0: [MQTT-4.3.3-6]: after PUBREL the message must not be sent anew.
    if open.waiting == PacketType::PubComp {
        check.find(Claim::PublishAfterPubRel { first });
    // 5.0 sends anew only on a new connection ([MQTT-4.4.0-1]); 3.1.1 allows it at any time, but
    // does not ask for it.
    } else if !moved && link.five() && !open.may_be_missing(link.gaps()) {
        check.find(Claim::ResentEarly { first });
    }
    // The Client's rule (MQTT 5.0 §4.6).
    if moved && check.event.sender == Sender::Client && owes_an_earlier_one(link, open, id) {
        check.find(Claim::ResentOutOfOrder {});
    }
    let place = match moved {
        true => "on a new connection",
        false => "on the same connection",
    };
    check.find(Claim::Redelivery { first, id, place });
}

/// Checks whether a client's DISCONNECT abandons a QoS 2 message that it has not released: without
/// a session nothing goes on with it. Returns whether it does.
pub(crate) fn check_abandoned(check: &mut Check<'_>, open: &Open) -> bool {
    let link = check.link;
    let record = &*open.record;
    let unreleased = record.kind == HandshakeKind::Qos2
        && record.initiator == Sender::Client
        && matches!(open.waiting, PacketType::PubRec | PacketType::PubRel);
    let last = open.last();
    // After a longer time it is the server's answer that is late.
    let patience = match open.waiting {
        PacketType::PubRec => caps::ANSWER,
        _ => caps::SLOW,
    };
    let waited = between(&last, &check.event.stamp).filter(|waited| *waited < patience);
    let Some(waited) = waited.filter(|_| unreleased && link.session_expiry == 0) else {
        return false;
    };
    // What the server sends may not be captured at all.
    let known = link.whole() && link.sides.server.packets > 0;
    if !check.report.wanted || open.may_be_missing(link.gaps()) || !known {
        return false;
    }
    let claim = Claim::Abandoned {
        subject: &subject_words(record),
        seconds: waited.seconds(),
        last: Frame(last.number),
        packet_type: record
            .steps
            .last()
            .map_or("", |step| step.packet_type.name()),
        disconnect: Frame(check.event.stamp.number),
    };
    let place = Place::in_handshake(record, open.first()).by(Sender::Client);
    let place = place.citing(&["MQTT-4.3.3-1"], &["MQTT-4.3.3-4"]);
    check.report.find(place, claim);
    true
}

/// Returns whether the client still owes a redelivery of a message before that of `open`.
fn owes_an_earlier_one(link: &Link, open: &Open, id: u16) -> bool {
    /// Enough for what clients keep in flight.
    const COMPARED: usize = 64;
    let owed = &link.owed.client;
    let opens = &link.sides.client.open;
    // Each redelivery would search the whole list: with thousands in flight that is quadratic.
    owed.len() <= COMPARED
        && owed
            .iter()
            .filter(|other| **other != id)
            .filter_map(|other| opens.get(other))
            .any(|other| other.turn < open.turn)
}

/// Reports that a packet takes the identifier of a handshake that is not over.
#[cold]
pub(crate) fn find_identifier_in_use(check: &mut Check<'_>, open: &Open) {
    let (link, event) = (check.link, check.event);
    // The statements of 3.1.1, then those of 5.0, which number theirs anew.
    let (old, new): (Statements, Statements) = match (event.sender, event.packet) {
        (Sender::Server, _) => (&["MQTT-2.3.1-4"], &["MQTT-2.2.1-4"]),
        (Sender::Client, Ok(ControlPacket::Publish(publish)))
            if publish.delivery.qos() == QoS::ExactlyOnce =>
        {
            (
                &["MQTT-2.3.1-2", "MQTT-4.3.3-1"],
                &["MQTT-2.2.1-3", "MQTT-4.3.3-1"],
            )
        }
        (Sender::Client, Ok(ControlPacket::Publish(_))) => (
            &["MQTT-2.3.1-2", "MQTT-4.3.2-1"],
            &["MQTT-2.2.1-3", "MQTT-4.3.2-1"],
        ),
        (Sender::Client, _) => (&["MQTT-2.3.1-2"], &["MQTT-2.2.1-3"]),
    };
    let claim = Claim::PacketIdInUse {
        id: open.record.packet_id.map_or(0, |id| id.number()),
        first: Frame(open.first().number),
        waiting: open.waiting.name(),
    };
    let place = check.place().citing(old, new);
    (check.report).suspect(link, event.sender.peer(), place, claim);
}

/// Reports an acknowledgement of another kind of handshake than `open` is.
#[cold]
pub(crate) fn find_wrong_acknowledgement(check: &mut Check<'_>, open: &Open) {
    let initiator = open.record.initiator;
    // Its own handshake may have begun in a gap.
    if open.may_be_missing(check.link.gaps()) || !check.link.certain(initiator) {
        return;
    }
    let first = Frame(open.first().number);
    let kind = match open.record.kind {
        HandshakeKind::Qos1 => "QoS 1",
        HandshakeKind::Qos2 => "QoS 2",
        HandshakeKind::Subscribe => "a SUBSCRIBE",
        _ => "an UNSUBSCRIBE",
    };
    check.suspect(initiator, Claim::WrongAcknowledgement { first, kind });
}

/// Reports that a client's acknowledgement comes after that of a later packet (MQTT 5.0 §4.6).
#[cold]
pub(crate) fn find_out_of_order(check: &mut Check<'_>, open: &Open) {
    // A missing packet could be the one that puts the order right; a server's own order is not
    // judged.
    if check.event.sender != Sender::Client || !check.link.whole() {
        return;
    }
    let first = Frame(open.first().number);
    check.find(match check.event.packet_type {
        PacketType::PubAck => Claim::PubAckOutOfOrder { first },
        PacketType::PubRec => Claim::PubRecOutOfOrder { first },
        _ => Claim::PubRelOutOfOrder { first },
    });
}

/// Judges the end of a handshake.
pub(crate) fn judge(state: &State, record: &Handshake, report: &mut Report) {
    match record.state {
        HandshakeState::Complete => judge_pace(record, report),
        HandshakeState::Refused { packet_type, code } => {
            judge_refusal(record, packet_type, code, report);
        }
        HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        } => judge_silence(state, record, waiting_for, ended_by, report),
    }
}

/// Judges how long the slowest answer of a handshake took.
fn judge_pace(record: &Handshake, report: &mut Report) {
    // CONNECT may wait for a human, a database, a password.
    if record.kind == HandshakeKind::Connect {
        return;
    }
    let answer = |pair: &'_ [Step]| match pair {
        [earlier, later]
            if earlier.sender != later.sender
                && earlier.connection == later.connection
                // Behind a gap the answer may have been an earlier packet.
                && !later.after_gap =>
        {
            let span = between(&earlier.stamp, &later.stamp)?;
            Some(Answer {
                span,
                stamp: later.stamp,
                packet_type: later.packet_type,
                sender: later.sender,
            })
        }
        _ => None,
    };
    let answers = record.steps.windows(2).filter_map(answer);
    if let Some(slowest) = answers.max_by_key(|answer| answer.span)
        && slowest.span > caps::SLOW
    {
        let place = Place::in_handshake(record, slowest.stamp).by(slowest.sender);
        report.slow_answer(place, slowest);
    }
}

/// Reports a refused handshake that has no finding of its own.
#[cold]
fn judge_refusal(record: &Handshake, packet_type: PacketType, code: u8, report: &mut Report) {
    let clause = match record.kind {
        // The others have findings where their answers are checked.
        HandshakeKind::Qos1 | HandshakeKind::Qos2 => &c::PUBLISH_REFUSED,
        HandshakeKind::Subscribe => &c::SUBSCRIPTION_REFUSED,
        _ => return,
    };
    let Some(step) = record.steps.last() else {
        return;
    };
    let version = record.version.unwrap_or(ProtocolVersion::V3_1_1);
    let claim = Claim::HandshakeRefused {
        clause,
        packet: packet_type.name(),
        subject: &subject_words(record),
        code,
        reason: reason::name(packet_type, version, code),
    };
    let place = Place::in_handshake(record, step.stamp).by(step.sender);
    report.find(place, claim);
}

/// Reports a handshake whose next packet never came.
#[cold]
fn judge_silence(
    state: &State,
    record: &Handshake,
    waiting_for: PacketType,
    ended_by: EndedBy,
    report: &mut Report,
) {
    let how = match ended_by {
        EndedBy::CaptureEnd => "until the capture ends",
        EndedBy::ConnectionClosed => "before the connection was closed",
        EndedBy::ConnectionReset => "before the connection was reset",
        // In a gap, in a table that was full, or on an identifier used anew: nothing is known of
        // the answer, or another finding reports it.
        _ => return,
    };
    let (Some(first), Some(last)) = (record.steps.first(), record.steps.last()) else {
        return;
    };
    // A client may go on with its session on a connection that does not show whose it is.
    let message = matches!(record.kind, HandshakeKind::Qos1 | HandshakeKind::Qos2);
    let broker = state.brokers.get(BrokerId(record.broker));
    let elsewhere = record.client_id.is_none()
        || broker.is_none_or(|broker| broker.may_be_back(last.stamp.number));
    if message && elsewhere && ended_by != EndedBy::CaptureEnd {
        return;
    }
    // What was sent in the last moment may have been answered after it: the capture ends, or the
    // other end's close crossed it on the wire.
    let patience = match ended_by {
        EndedBy::CaptureEnd => caps::LAST_MOMENT,
        _ => caps::ANSWER,
    };
    // A session may go on for long without the connection, of which the first FIN is the end.
    let stood = state.standing(last.connection).filter(|stood| !stood.open);
    let until = stood.map_or(state.now, |stood| stood.stamp);
    if between(&last.stamp, &until).is_some_and(|waited| waited < patience) {
        return;
    }
    let clause = match record.kind {
        HandshakeKind::Qos1 => &c::QOS1_NEVER_ACKED,
        HandshakeKind::Qos2 => &c::QOS2_STUCK,
        HandshakeKind::Subscribe => &c::SUBSCRIBE_UNANSWERED,
        HandshakeKind::Unsubscribe => &c::UNSUBSCRIBE_UNANSWERED,
        HandshakeKind::Ping => &c::PING_UNANSWERED,
        // A CONNECT is judged with the end of its connection, which has its reason.
        HandshakeKind::Connect | HandshakeKind::Auth | HandshakeKind::Qos0 => return,
    };
    // A message is found at its PUBLISH; a request at the packet that had no answer.
    let place = match record.kind {
        HandshakeKind::Qos1 | HandshakeKind::Qos2 => Place::in_handshake(record, first.stamp),
        _ => Place::in_handshake(record, last.stamp),
    };
    let place = place.by(match waiting_for {
        PacketType::PubRel => record.initiator,
        _ => record.initiator.peer(),
    });
    // The statements name who had to answer: the receiver, or after PUBREC the sender.
    let place = match (record.kind, waiting_for) {
        (HandshakeKind::Qos1, _) => place.citing(
            &["MQTT-4.3.2-2", "MQTT-3.3.4-1"],
            &["MQTT-4.3.2-4", "MQTT-3.3.4-1"],
        ),
        (_, PacketType::PubRel) => place.citing(&["MQTT-4.3.3-1"], &["MQTT-4.3.3-4"]),
        (_, PacketType::PubComp) => place.citing(&["MQTT-4.3.3-2"], &["MQTT-4.3.3-11"]),
        (HandshakeKind::Qos2, _) => place.citing(
            &["MQTT-4.3.3-2", "MQTT-3.3.4-1"],
            &["MQTT-4.3.3-8", "MQTT-3.3.4-1"],
        ),
        _ => place,
    };
    let client = Party::Client(record.client_id.as_deref());
    let begun = match record.initiator {
        Sender::Client => format!("{client} sent"),
        Sender::Server => format!("the server sent {client}"),
    };
    let (last, subject) = (last.packet_type.name(), subject_words(record));
    let what = match record.kind {
        HandshakeKind::Qos2 => {
            format!("The QoS 2 handshake that {begun} for {subject} stops after {last}")
        }
        _ => format!("{last}, which {begun} for {subject}, is not answered"),
    };
    let claim = Claim::Unanswered {
        clause,
        what: &what,
        waiting: waiting_for.name(),
        how,
    };
    report.find(place, claim);
}

/// Returns the subject of a handshake, for a sentence.
fn subject_words(record: &Handshake) -> String {
    let id = record.packet_id;
    let id = id.map_or(String::new(), |id| format!(" (identifier {})", id.number()));
    match &record.subject {
        Subject::Message(message) => match &message.topic {
            Some(topic) => format!("the message to {topic}{id}"),
            None => format!("a message{id}"),
        },
        Subject::Subscribe(asked) | Subject::Unsubscribe(asked) => match asked.as_slice() {
            [] => format!("no filter{id}"),
            [one] => format!("the filter {}{id}", one.filter),
            [one, rest @ ..] => {
                let more = rest.len() as u64 + record.filters_left_out;
                format!("the filter {} and {more} more{id}", one.filter)
            }
        },
        Subject::Connect(_) => "its connection".to_owned(),
        Subject::Nothing if record.kind == HandshakeKind::Ping => "keep alive".to_owned(),
        Subject::Nothing => format!("a message{id}"),
    }
}
