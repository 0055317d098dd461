//! Findings about what carries MQTT, and about connections that carry something else.

use super::super::caps;
use super::super::state::State;
use super::super::state::link::{Link, Phase};
use super::claim::{Claim, Frame};
use super::clauses as c;
use super::report::{Place, Report};
use crate::base::{FrameStamp, Span};
use crate::event::{
    Breach, CarrierError, Disorder, Gap, GapCause, Level, LooksLike, NotMqtt, Protocol, SeenTwice,
    Stall, Stalled, TransportBreach, between,
};
use crate::mqtt::{ProtocolVersion, Sender};

/// Reports that something else comes where MQTT was expected.
pub(crate) fn find_other_traffic(other: &NotMqtt, report: &mut Report) {
    use CarrierError::{Broken, Refused, Unanswered, Unsupported};
    use LooksLike::Carrier;
    use Protocol::{Tls, WebSocket};
    if let (LooksLike::TLS, Some(alert)) = (other.looks_like, other.introduction.alert)
        && other.answers_mqtt
    {
        let alert = alert.to_string();
        let claim = Claim::TlsExpected { alert: &alert };
        let place = Place {
            connection: Some(other.connection.id),
            ..Place::nowhere(other.stamp)
        };
        return report.find(place.at(Level::Warning), claim);
    }
    let claim = match other.looks_like {
        Carrier(WebSocket, Unanswered) => Claim::Unasked { what: "WebSocket" },
        Carrier(Tls, Unanswered) => Claim::Unasked { what: "TLS" },
        LooksLike::Refused => Claim::PortClosed {
            port: other.connection.responder.port,
        },
        Carrier(WebSocket, Refused(status)) => Claim::WebSocketRefused { status },
        Carrier(WebSocket, Broken) => Claim::WebSocketBroken {},
        other => Claim::NotMqtt {
            other: match other {
                Carrier(Tls, Broken) => "TLS that its keys do not decrypt from here on",
                Carrier(Tls, Unsupported(_)) => "TLS with a cipher suite that is not decrypted",
                LooksLike::TLS => "TLS: what is inside needs its keys (--keylog)",
                LooksLike::HTTP => "HTTP",
                _ => "something else",
            },
        },
    };
    let place = Place {
        connection: Some(other.connection.id),
        ..Place::nowhere(other.stamp)
    };
    report.find(place, claim);
}

/// Reports that a rule of what carries MQTT is broken.
pub(crate) fn find_breach(state: &State, event: &TransportBreach, report: &mut Report) {
    let Some(link) = state.links.get(&event.connection) else {
        return;
    };
    let mut place = Place::on(link, event.stamp).by(event.sender);
    // MQTT 3.1 has another name for the subprotocol.
    let old = link.version() == ProtocolVersion::V3_1;
    let claim = match event.breach {
        Breach::NotOffered | Breach::NotSelected if old => return,
        Breach::TextFrame => Claim::WebSocketText {},
        Breach::NotOffered => Claim::WebSocketNotOffered {},
        Breach::NotSelected => Claim::WebSocketNotSelected {},
        Breach::Masking => match event.sender {
            Sender::Client => Claim::WebSocketUnmasked {},
            Sender::Server => Claim::WebSocketMasked {},
        },
        // The end of a connection, or the answer to a Close frame.
        Breach::Closed(1000 | 1001 | 1005) => return,
        Breach::Closed(_) if link.close_frame.is_some() => return,
        Breach::Closed(code) => {
            // RFC 6455 section 7.4.2: applications give these a meaning of their own.
            if (3000..5000).contains(&code) {
                place = place.at(Level::Note);
            }
            Claim::WebSocketClosed {
                code,
                meaning: close_code(code),
                instead: match link.phase {
                    Phase::Connecting if event.sender == Sender::Server => " instead of a CONNACK",
                    _ => "",
                },
            }
        }
    };
    report.find(place, claim);
}

/// Returns the meaning of a code with which WebSocket is closed (RFC 6455 §7.4.1), in brackets.
const fn close_code(code: u16) -> &'static str {
    match code {
        1002 => " (protocol error)",
        1003 => " (a kind of data that is not accepted)",
        1007 => " (data that does not fit its kind)",
        1008 => " (policy)",
        1009 => " (message too big)",
        1010 => " (an extension is missing)",
        1011 => " (internal error)",
        1012 => " (restart)",
        1013 => " (try again later)",
        3000..=3999 => " (of a library or an application)",
        4000..=4999 => " (of private use)",
        _ => "",
    }
}

/// Reports a connection that the capture holds twice.
pub(crate) fn find_seen_twice(state: &State, twice: &SeenTwice, report: &mut Report) {
    let claim = Claim::SeenTwice {
        other: twice.other.0,
        first: Frame(twice.first.number),
    };
    let other = state.links.get(&twice.other);
    let place = Place {
        connection: Some(twice.connection),
        client_id: other.and_then(|other| other.client_id.clone()),
        version: other.and_then(|other| other.version),
        ..Place::nowhere(twice.began)
    };
    report.find(place, claim);
}

/// Reports that frames stand out of order: by the clocks of two captures, by what TCP shows, by
/// `copies` that stand before their PUBLISH (the two that are furthest from each other), or by
/// their times.
pub(crate) fn find_disorder(
    disorder: &Disorder,
    copies: Option<[FrameStamp; 2]>,
    report: &mut Report,
) {
    let skew = disorder.skew.map(|[late, early]| [early, late]);
    let pairs = skew.into_iter().chain(copies);
    let by = |[early, late]: &[FrameStamp; 2]| between(early, late);
    // Within a file whose frames TCP shows to be out of order, copies are so too.
    let clocks = |[early, late]: &[FrameStamp; 2]| early.file != late.file || disorder.late == 0;
    if let Some(pair) = pairs.filter(clocks).max_by_key(by)
        && let Some(skew) = by(&pair).filter(|skew| *skew > Span::ZERO)
    {
        let [early, late] = pair;
        let captures = pair.map(|stamp| u32::from(stamp.file) + 1);
        let what = match captures {
            [one, other] if one == other => "two capture points of this capture".to_owned(),
            // What follows stands first: its times are too small.
            [one, other] => format!(
                "captures {one} and {other} (--clock for capture {one} with +{:.6} or more sets it right)",
                skew.seconds()
            ),
        };
        let claim = Claim::ClockSkew {
            what: &what,
            seconds: skew.seconds(),
            early: Frame(early.number),
            late: Frame(late.number),
        };
        report.find(Place::nowhere(early), claim);
    }
    let one_file = |[late, early]: &[FrameStamp; 2]| late.file == early.file;
    if let Some([late, early]) = disorder.first_late.filter(one_file) {
        let frames = match disorder.late {
            1 => "1 frame stands".to_owned(),
            count => format!("{count} frames stand"),
        };
        let claim = Claim::FramesLate {
            frames: &frames,
            late: Frame(late.number),
            early: Frame(early.number),
        };
        report.find(Place::nowhere(late), claim);
    } else if let Some([late, early]) = disorder.first_back {
        let frames = match disorder.back {
            1 => "1 frame has".to_owned(),
            count => format!("{count} frames have"),
        };
        let claim = Claim::FramesBack {
            frames: &frames,
            late: Frame(late.number),
            early: Frame(early.number),
        };
        report.find(Place::nowhere(late), claim);
    }
}

/// Reports connections of which the capture holds only what one end sent.
pub(crate) fn judge_one_direction(state: &State, report: &mut Report) {
    for (missing, sender, other) in [
        ("clients", Sender::Client, "servers"),
        ("servers", Sender::Server, "clients"),
    ] {
        let (count, first) = state.one_direction[sender];
        if count > 0 {
            let claim = Claim::OneDirection {
                count,
                other,
                missing,
            };
            report.find(Place::nowhere(first), claim);
        }
    }
}

/// Reports brokers that have clients outside the capture.
pub(crate) fn judge_outside(state: &State, report: &mut Report) {
    /// One or two may have other causes: a message from before the capture, a limit.
    const FEW: u64 = 2;
    /// The first few that stood before their PUBLISH were taken for such.
    const FEW_OUT_OF_ORDER: u64 = 64;
    // A client whose CONNECT was not captured may have set the will that such a copy is.
    if report.has_found(&c::STARTS_MIDWAY) {
        return;
    }
    let few = match report.has_found(&c::CLOCK_SKEW) || report.has_found(&c::FRAMES_OUT_OF_ORDER) {
        true => FEW_OUT_OF_ORDER,
        false => FEW,
    };
    for broker in state.brokers.iter() {
        if let Some((first, copies)) = broker.outside.filter(|(_, copies)| *copies > few) {
            report.find(Place::nowhere(first), Claim::Outside { copies });
        }
    }
}

/// Reports that TCP kept a connection from going on.
pub(crate) fn find_stall(state: &State, stalled: &Stalled, report: &mut Report) {
    let Some(link) = state.links.get(&stalled.connection) else {
        return;
    };
    let Some(span) = between(&stalled.since, &stalled.stamp) else {
        return;
    };
    let seconds = span.seconds();
    let last = Frame(stalled.stamp.number);
    let sender = match stalled.sender {
        Sender::Client => "the client",
        Sender::Server => "the server",
    };
    let (claim, by) = match stalled.stall {
        // A full buffer for a moment is no trouble.
        Stall::ZeroWindow if span < caps::SLOW => return,
        Stall::ZeroWindow => (Claim::SlowConsumer { seconds, last }, stalled.sender),
        Stall::FalseFin | Stall::FalseReset => {
            let what = match stalled.stall {
                Stall::FalseFin => "A FIN",
                _ => "A RST",
            };
            let claim = Claim::NotEnded { what, sender };
            return report.find(Place::on(link, stalled.since), claim);
        }
        Stall::NotAcknowledged { times } => {
            let claim = Claim::NotAcknowledged {
                sender,
                times,
                seconds,
                last,
            };
            (claim, stalled.sender.peer())
        }
    };
    report.find(Place::on(link, stalled.since).by(by), claim);
}

/// Reports bytes that the capture does not hold.
pub(crate) fn find_gap(link: &Link, gap: &Gap, report: &mut Report) {
    // Frames cut by the snapshot length are the capture's own fault, and can be avoided.
    let clause = match gap.cause {
        GapCause::SnapshotLength => &c::FRAME_CUT,
        _ => &c::MISSING_OCTETS,
    };
    let length = match gap.length {
        // How many is not known.
        0 => "Octets".to_owned(),
        1 => "1 octet".to_owned(),
        length => format!("{length} octets"),
    };
    let claim = Claim::Missing {
        clause,
        length: &length,
        who: match gap.sender {
            Sender::Client => "the client",
            Sender::Server => "the server",
        },
        why: match gap.cause {
            GapCause::NotCaptured => {
                "they were acknowledged, so they arrived, and the capture does not hold them"
            }
            GapCause::SnapshotLength => "the snapshot length cut the frame",
            GapCause::WaitingCap => "too much waited behind them",
            // Their gap, or the capture's beginning, has a finding of its own.
            GapCause::PassedOver => return,
            GapCause::HeldCap => "a control packet is larger than what is held of one",
            GapCause::Unreadable => "the WebSocket or TLS that carried them could not be read",
            GapCause::EndOfCapture => "the connection or the capture ended before they came",
        },
    };
    report.find(Place::on(link, gap.stamp), claim);
}
