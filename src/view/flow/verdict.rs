//! Verdicts below ladders: what became of each delivery.

use super::label::bracketed;
use super::ladder::{Tone, Verdict};
use crate::base::Span;
use crate::event::{
    Delivered, FilterRequest, HandshakeKind, HandshakeState, MessageDelivery, Outcome, RetainedEnd,
    RetainedSummary, SessionOver, Undelivered,
};
use crate::mqtt::{PacketType, ProtocolVersion};
use crate::view::words;

/// Subscribers that a will's verdict names.
const NAMES_LISTED: usize = 4;

pub(super) fn subscriber(delivery: &MessageDelivery) -> String {
    words::client(delivery.client_id.as_deref(), delivery.connection)
}

pub(super) fn is_delivered(delivery: &&MessageDelivery) -> bool {
    delivery.is_delivered()
}

/// Returns the answer to one filter of a SUBSCRIBE or UNSUBSCRIBE; `None` where it had none, or
/// none with a code (UNSUBACK before 5.0).
pub(super) fn answer(
    kind: HandshakeKind,
    request: &FilterRequest,
    version: Option<ProtocolVersion>,
) -> Option<Verdict> {
    let code = request.code?;
    let (filter, asked) = (&request.filter, request.options & 3);
    let tone = if code >= 0x80 { Tone::Bad } else { Tone::Good };
    let text = match (kind, tone) {
        (HandshakeKind::Unsubscribe, _) => words::code(PacketType::UnsubAck, version, code),
        (_, Tone::Bad) => {
            let code = words::code(PacketType::SubAck, version, code);
            format!("QoS {asked} asked, refused: {code}")
        }
        _ => format!("QoS {asked} asked, QoS {code} granted"),
    };
    let text = format!("[{filter}]: {text}");
    Some(Verdict { tone, text })
}

/// Returns the names of the subscribers that a message came to, of many the first few.
pub(super) fn names(deliveries: &[MessageDelivery]) -> String {
    let names = deliveries.iter().filter(is_delivered).map(subscriber);
    let mut names: Vec<_> = names.collect();
    let more = names.len().saturating_sub(NAMES_LISTED);
    names.truncate(NAMES_LISTED);
    let rest = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    names.join(", ") + &rest
}

/// Returns where a stored message came from, what became of it, and how often it was sent.
pub(super) fn stored_verdict(retained: &RetainedSummary) -> String {
    let stored = match &retained.stored {
        Some(stored) if stored.will => {
            let frame = stored.stamp.number;
            format!("the will set in frame {frame}, stored once published")
        }
        Some(stored) => format!("stored in frame {}", stored.stamp.number),
        None => "stored before the capture".to_owned(),
    };
    let end = match retained.end {
        RetainedEnd::Replaced(stamp) => format!("replaced in frame {}", stamp.number),
        RetainedEnd::Cleared(stamp) => format!("cleared in frame {}", stamp.number),
        RetainedEnd::Kept => "still stored where the capture ends".to_owned(),
        RetainedEnd::TableFull => "no longer followed: too many stored messages".to_owned(),
    };
    let copies = match retained.deliveries.iter().filter(is_delivered).count() {
        0 => "no stored copy was sent".to_owned(),
        1 => "1 stored copy was sent".to_owned(),
        copies => format!("{copies} stored copies were sent"),
    };
    format!("{stored}; {end}; {copies}")
}

/// Returns what became of a message for one subscriber, and by which subscription.
pub(super) fn delivery_verdict(delivery: &MessageDelivery) -> Verdict {
    if let (Some(before), Outcome::NotDelivered(why)) = (delivery.over, &delivery.outcome) {
        let tone = Tone::Neutral;
        let text = former_verdict(delivery, *why, before);
        return Verdict { tone, text };
    }
    let by = match bracketed(delivery.filters.iter().map(|one| &**one)) {
        filters if filters.is_empty() => "no visible subscription".to_owned(),
        filters => format!("by {filters}"),
    };
    let (tone, outcome) = match &delivery.outcome {
        Outcome::Delivered(delivered) => {
            let (tone, mut text) = delivered_verdict(delivery, delivered);
            if delivery.ambiguous {
                text += "; this may be the copy of an equal message";
            }
            (tone, text)
        }
        Outcome::NotDelivered(why) => {
            let tone = match why {
                Undelivered::Unknown
                | Undelivered::ConnectionEnded { .. }
                | Undelivered::NotForwarded { .. }
                | Undelivered::Overtaken { .. }
                | Undelivered::QueueDropped { .. }
                | Undelivered::WindowFull { .. } => Tone::Bad,
                _ => Tone::Neutral,
            };
            let why = words::undelivered(*why);
            let mut text = format!("not delivered in this capture: {why}");
            if delivery.ambiguous {
                text += "; an equal message may have come in its place";
            }
            (tone, text)
        }
    };
    let text = format!("{} ({by}): {outcome}", subscriber(delivery));
    Verdict { tone, text }
}

/// Returns the words for a subscription that was over before the message: `dash had [line/alarm] until
/// frame 42 (its clean session ended 8 ms before)`.
pub(super) fn former_verdict(delivery: &MessageDelivery, why: Undelivered, before: Span) -> String {
    let who = subscriber(delivery);
    let filters = bracketed(delivery.filters.iter().map(|one| &**one));
    let before = words::span(before);
    let frame = why.frame().unwrap_or_default();
    let end = match why {
        Undelivered::SessionEnded { how, .. } => match how {
            SessionOver::WithConnection => "its clean session ended",
            SessionOver::Expired => "its session had expired by then,",
            SessionOver::Replaced => "it began a new session",
            SessionOver::Lost => "the broker had lost its session by then,",
        },
        Undelivered::NotSubscribed { .. } => {
            return format!(
                "{who} asked for {filters} and was refused in frame {frame}, {before} before"
            );
        }
        _ => "it unsubscribed",
    };
    format!("{who} had {filters} until frame {frame} ({end} {before} before)")
}

pub(super) fn delivered_verdict(
    delivery: &MessageDelivery,
    delivered: &Delivered,
) -> (Tone, String) {
    let (frame, qos) = (delivered.stamp.number, delivered.qos as u8);
    let mut text = match (delivered.stored, delivered.latency) {
        (true, _) => format!("stored copy in frame {frame} at QoS {qos}"),
        (false, None) => format!("delivered in frame {frame} at QoS {qos}"),
        (false, Some(latency)) => {
            let latency = words::span(latency);
            format!("delivered in frame {frame} after {latency} at QoS {qos}")
        }
    };
    if delivered.downgraded {
        text += ", downgraded";
        if let Some(granted) = delivery.granted {
            text += &format!(" (granted QoS {})", granted as u8);
        }
    }
    if delivered.queued {
        text += ", queued while the subscriber was away";
    }
    if delivered.redelivered {
        text += ", redelivered";
    }
    match delivered.state {
        None | Some(HandshakeState::Complete) => (Tone::Good, text),
        Some(HandshakeState::Refused { packet_type, code }) => {
            let refused = packet_type.name();
            (
                Tone::Bad,
                format!("{text}, refused: {refused} 0x{code:02x}"),
            )
        }
        Some(HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        }) => {
            let (packet, absence) = (waiting_for.name(), words::absence(ended_by));
            (Tone::Bad, format!("{text}, incomplete: {packet} {absence}"))
        }
    }
}
