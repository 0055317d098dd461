//! A subscriber's leg in words.

use super::words::{Name, absence};
use crate::event::{Delivered, HandshakeState, MessageDelivery, Outcome, Undelivered};
use crate::view::flow::ladder::{Say, Tone};

/// The leg's subscriber.
pub(super) fn leg_name(leg: &MessageDelivery) -> Name<'_> {
    Name {
        client_id: leg.client_id.as_deref(),
        connection: leg.connection,
    }
}

pub(super) fn delivered(leg: &MessageDelivery) -> Option<&Delivered> {
    match &leg.outcome {
        Outcome::Delivered(delivered) => Some(delivered),
        Outcome::NotDelivered(_) => None,
    }
}

pub(super) fn push_leg(out: &mut Vec<u8>, leg: &MessageDelivery) -> Tone {
    leg_name(leg).push(out);
    out.say(" (");
    if leg.filters.is_empty() {
        out.say("no visible subscription");
    } else {
        out.say("by");
        for filter in leg.filters.iter().take(3) {
            out.say(" [").say(filter).say("]");
        }
    }
    out.say("): ");
    match &leg.outcome {
        Outcome::Delivered(delivered) => {
            let tone = push_delivered(out, leg, delivered);
            if leg.ambiguous {
                out.say("; an equal message was on its way: which copy this is cannot be told");
            }
            tone
        }
        Outcome::NotDelivered(why) => {
            out.say("not delivered in this capture: ");
            push_undelivered(out, *why);
            match why {
                Undelivered::Unknown | Undelivered::ConnectionEnded => Tone::Bad,
                _ => Tone::Neutral,
            }
        }
    }
}

fn push_delivered(out: &mut Vec<u8>, leg: &MessageDelivery, delivered: &Delivered) -> Tone {
    if delivered.stored {
        out.say("stored copy in frame ");
        out.number(delivered.stamp.number);
    } else {
        out.say("delivered in frame ");
        out.number(delivered.stamp.number);
        if let Some(latency) = delivered.latency {
            out.say(" after ").span(latency);
        }
    }
    out.say(" at QoS ").number(delivered.qos as u64);
    if delivered.downgraded {
        out.say(", downgraded");
        if let Some(granted) = leg.granted {
            out.say(" (granted QoS ").number(granted as u64).say(")");
        }
    }
    if delivered.queued {
        out.say(", queued while the subscriber was away");
    }
    if delivered.redelivered {
        out.say(", redelivered");
    }
    match delivered.state {
        None | Some(HandshakeState::Complete) => Tone::Good,
        Some(HandshakeState::Refused { packet_type, code }) => {
            out.say(", refused: ").say(packet_type.name());
            out.say(" ").code(code);
            Tone::Bad
        }
        Some(HandshakeState::Incomplete {
            waiting_for,
            ended_by,
        }) => {
            out.say(", incomplete: ").say(waiting_for.name());
            out.say(" ").say(absence(ended_by));
            Tone::Bad
        }
    }
}

fn push_undelivered(out: &mut Vec<u8>, why: Undelivered) {
    out.say(match why {
        Undelivered::Away => "the session is away; the broker may keep the message for it",
        Undelivered::OtherOfGroup => "another member of the shared subscription got it",
        Undelivered::NoLocal => "No Local: it published the message itself",
        Undelivered::NotReleased => "no PUBREL: the broker may not release it yet",
        Undelivered::Refused(code) => {
            out.say("the broker refused it (").code(code).say(")");
            return;
        }
        Undelivered::Expired => "it expired while the subscriber was away",
        Undelivered::AwayAtQoS0 => "the session is away, and at QoS 0 nothing need be kept",
        Undelivered::ConnectionEnded => "its connection ended first",
        Undelivered::Gap => "octets to it are missing from the capture: it may be among them",
        Undelivered::CaptureEnded => "the capture ends first",
        Undelivered::Unknown => "nothing in the capture says why",
    });
}
