//! Rules of wills: when they are published, and when they must not be.

use std::cmp::Ordering;

use super::super::caps;
use super::super::state::State;
use super::super::state::message::Copy;
use super::super::state::wills::Testament;
use super::claim::{Claim, Frame, Party};
use super::clauses as c;
use super::report::{Check, Place, Report};
use crate::base::{FrameStamp, Span};
use crate::event::{EndCause, MessageDelivery, NoWill, Outcome, Undelivered, WillFate, between};
use crate::mqtt::Sender;

/// Checks whether a will whose copy is sent must not be published, or not yet.
pub(crate) fn check_copy(state: &State, will: &Testament, stamp: FrameStamp, report: &mut Report) {
    let summary = &will.summary;
    let set = Frame(summary.set.number);
    let topic = &*summary.will.topic;
    // [MQTT-3.14.4-3]: DISCONNECT with 0x00 deletes the will; a client that is back in time stops
    // a delayed one.
    let claim = if summary.fate == WillFate::NotPublished(NoWill::Disconnected) {
        Claim::WillAfterDisconnect { set, topic }
    } else if will.returned {
        Claim::WillAfterReturn { set, topic }
    } else if let Some(gone) = too_early(state, will, stamp) {
        let (seconds, due) = (gone.seconds(), will.held_back);
        Claim::WillBeforeDelay {
            set,
            topic,
            seconds,
            due,
        }
    } else {
        return;
    };
    report.find(place(will, stamp), claim);
}

/// Checks the QoS of a will's copy: the lower of the will's and the granted one is due.
pub(crate) fn check_qos(check: &mut Check<'_>, will: &Testament, copy: &Copy<'_>) {
    let link = check.link;
    let expected = will.expected.iter();
    let mut routes = expected.filter(|route| Some(route.session) == link.session);
    let here = will.summary.broker == link.broker.0 && link.bridge() == Some(false);
    // Several filters may be answered one by one, each at its own QoS.
    let route = routes
        .next()
        .filter(|route| here && route.delivery.filters.len() == 1);
    let Some(granted) = route.and_then(|route| route.delivery.granted) else {
        return;
    };
    let due = will.summary.will.qos.min(granted);
    let clause = match copy.qos.cmp(&due) {
        Ordering::Equal => return,
        Ordering::Greater => &c::DELIVERED_ABOVE,
        Ordering::Less => &c::DELIVERED_BELOW,
    };
    check.find(Claim::WillQos {
        clause,
        set: Frame(will.summary.set.number),
        qos: will.summary.will.qos as u8,
        granted: granted as u8,
        sent: copy.qos as u8,
    });
}

/// Returns the time from the end of its connection to `stamp` where a will is held back for longer
/// ([MQTT-3.1.2-8] of 5.0).
fn too_early(state: &State, will: &Testament, stamp: FrameStamp) -> Option<Span> {
    // A session that ends publishes the will at once.
    let lasts = will
        .session
        .is_some_and(|key| state.sessions.get(key).is_some());
    let gone = between(&will.summary.end.stamp, &stamp).filter(|_| will.due && lasts)?;
    // Servers count in whole seconds, from the moment at which they notice the end.
    let early =
        gone.nanos() + caps::KEEP_ALIVE_LATE.nanos() < i64::from(will.held_back) * 1_000_000_000;
    early.then_some(gone)
}

/// Judges a will whose end is known.
pub(crate) fn judge(will: &Testament, report: &mut Report) {
    let summary = &will.summary;
    if !report.wanted || summary.ambiguous {
        return;
    }
    let topic = &*summary.will.topic;
    let cause = end_words(&summary.end.cause);
    match summary.fate {
        WillFate::Published(stamp) => {
            let receivers: Vec<String> = summary
                .deliveries
                .iter()
                .filter(|delivery| delivery.is_delivered())
                .map(|delivery| Party::Client(delivery.client_id.as_deref()).to_string())
                .collect();
            let claim = Claim::WillPublished {
                set: Frame(summary.set.number),
                topic,
                receivers: &receivers.join(", "),
                cause: &cause,
            };
            report.find(place(will, stamp), claim);
        }
        // Only `Unknown` is a copy that was due and that nothing in the capture explains.
        WillFate::NotPublished(NoWill::NotSeen) => {
            let missed = Outcome::NotDelivered(Undelivered::Unknown);
            // What waits for an absent subscriber may be lost with its session.
            let there = |one: &&MessageDelivery| one.connection.is_some() && !one.ambiguous;
            let mut there = summary.deliveries.iter().filter(there);
            if there.any(|one| one.outcome == missed) {
                let cause = &cause;
                let claim = Claim::WillNotPublished { cause, topic };
                report.find(place(will, summary.set), claim);
            }
        }
        WillFate::NotPublished(_) => {}
    }
}

/// Returns the place of a finding about a will.
fn place(will: &Testament, stamp: FrameStamp) -> Place {
    Place {
        connection: Some(will.summary.connection),
        client_id: will.summary.client_id.clone(),
        version: will.version,
        ..Place::nowhere(stamp)
    }
}

/// Returns the end of a connection, to go on from "because".
fn end_words(cause: &EndCause) -> String {
    match cause {
        EndCause::Disconnect {
            by: Sender::Client,
            code: 0x04,
        } => "it asked for that in its DISCONNECT (0x04)".to_owned(),
        EndCause::Disconnect { by, code } => match by {
            Sender::Client => format!("it sent DISCONNECT (0x{code:02x})"),
            Sender::Server => format!("the server sent DISCONNECT (0x{code:02x})"),
        },
        EndCause::Refused { code } => format!("the connection was refused (0x{code:02x})"),
        EndCause::Takeover { frame, .. } => {
            format!("another connection took its client identifier (frame {frame})")
        }
        EndCause::KeepAlive {
            silence,
            keep_alive,
        } => format!(
            "it was silent for {:.1} s with a keep alive of {keep_alive} s",
            silence.seconds()
        ),
        EndCause::ProtocolError { frame } => {
            format!("the server closed the connection after the packet of frame {frame}")
        }
        EndCause::Fin { by } => match by {
            Some(Sender::Client) => "the client closed the connection without DISCONNECT",
            Some(Sender::Server) => "the server closed the connection",
            None => "the connection was closed without DISCONNECT",
        }
        .to_owned(),
        EndCause::Reset { .. } => "the connection was reset without DISCONNECT".to_owned(),
        EndCause::Replaced => "its endpoints began a new connection".to_owned(),
        EndCause::Evicted => "the connection was no longer followed".to_owned(),
        EndCause::CaptureEnd => "its connection ended unseen".to_owned(),
    }
}
