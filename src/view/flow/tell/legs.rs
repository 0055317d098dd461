//! A subscriber's leg in words.

use super::words::absence;
use crate::event::{Delivered, Leg, Outcome, State, Undelivered};
use crate::mqtt::QoS;
use crate::view::flow::ladder::{Tone, span};

/// The client identifier; where there is none, or an empty one, what stands in its place.
pub(super) fn name(client_id: Option<&str>, otherwise: &str) -> String {
    match client_id {
        Some("") | None => format!("({otherwise})"),
        Some(client_id) => client_id.to_owned(),
    }
}

/// The number of a leg's connection, as `name` takes it.
pub(super) fn leg_stream(leg: &Leg) -> String {
    leg.connection.map_or("away".to_owned(), |connection| {
        format!("stream {}", connection.0)
    })
}

pub(super) fn leg_name(leg: &Leg) -> String {
    name(leg.client_id.as_deref(), &leg_stream(leg))
}

pub(super) fn delivered(leg: &Leg) -> Option<&Delivered> {
    match &leg.outcome {
        Outcome::Delivered(delivered) => Some(delivered),
        Outcome::NotDelivered(_) => None,
    }
}

pub(super) fn leg_told(leg: &Leg) -> (Tone, String) {
    let who = leg_name(leg);
    let filters: Vec<_> = leg
        .filters
        .iter()
        .take(3)
        .map(|filter| format!("[{filter}]"))
        .collect();
    let by = if filters.is_empty() {
        "no visible subscription".to_owned()
    } else {
        format!("by {}", filters.join(" "))
    };
    let ambiguous = if leg.ambiguous {
        "; an equal message was on its way: which copy this is cannot be told"
    } else {
        ""
    };
    match &leg.outcome {
        Outcome::Delivered(delivered) => {
            let mut told = vec![if delivered.stored {
                format!(
                    "stored copy in frame {} at QoS {}",
                    delivered.stamp.number, delivered.qos as u8
                )
            } else {
                let latency = delivered
                    .latency
                    .map_or(String::new(), |latency| format!(" after {}", span(latency)));
                format!(
                    "delivered in frame {}{latency} at QoS {}",
                    delivered.stamp.number, delivered.qos as u8
                )
            }];
            if delivered.downgraded {
                let granted = leg.granted.map_or(String::new(), |qos: QoS| {
                    format!(" (granted QoS {})", qos as u8)
                });
                told.push(format!("downgraded{granted}"));
            }
            if delivered.queued {
                told.push("queued while the subscriber was away".to_owned());
            }
            if delivered.redelivered {
                told.push("redelivered".to_owned());
            }
            let tone = match delivered.state {
                None | Some(State::Complete) => Tone::Good,
                Some(State::Refused { packet_type, code }) => {
                    told.push(format!("refused: {} 0x{code:02x}", packet_type.name()));
                    Tone::Bad
                }
                Some(State::Incomplete {
                    waiting_for,
                    ended_by,
                }) => {
                    told.push(format!(
                        "incomplete: {} {}",
                        waiting_for.name(),
                        absence(ended_by)
                    ));
                    Tone::Bad
                }
            };
            (
                tone,
                format!("{who} ({by}): {}{ambiguous}", told.join(", ")),
            )
        }
        Outcome::NotDelivered(why) => {
            let tone = match why {
                Undelivered::Unknown | Undelivered::ConnectionEnded => Tone::Bad,
                _ => Tone::Neutral,
            };
            (
                tone,
                format!(
                    "{who} ({by}): not delivered in this capture: {}",
                    undelivered(*why)
                ),
            )
        }
    }
}

pub(super) fn undelivered(why: Undelivered) -> String {
    match why {
        Undelivered::Away => {
            "the session is away; the broker may keep the message for it".to_owned()
        }
        Undelivered::OtherOfGroup => "another member of the shared subscription got it".to_owned(),
        Undelivered::NoLocal => "No Local: it published the message itself".to_owned(),
        Undelivered::NotReleased => "no PUBREL: the broker may not release it yet".to_owned(),
        Undelivered::Refused(code) => format!("the broker refused it (0x{code:02x})"),
        Undelivered::Expired => "it expired while the subscriber was away".to_owned(),
        Undelivered::AwayAtQoS0 => {
            "the session is away, and at QoS 0 nothing need be kept".to_owned()
        }
        Undelivered::ConnectionEnded => "its connection ended first".to_owned(),
        Undelivered::Gap => {
            "octets to it are missing from the capture: it may be among them".to_owned()
        }
        Undelivered::CaptureEnded => "the capture ends first".to_owned(),
        Undelivered::Unknown => "nothing in the capture says why".to_owned(),
    }
}
