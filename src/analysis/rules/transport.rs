//! Findings about what carries MQTT, and about connections that carry something else.

use super::super::state::State;
use super::claim::Claim;
use super::clauses as c;
use super::report::{Place, Report};
use crate::event::{
    Breach, CarrierError, Gap, GapCause, LooksLike, NotMqtt, Protocol, TransportBreach,
};
use crate::mqtt::{ProtocolVersion, Sender};

/// Reports that something else comes where MQTT was expected.
pub(crate) fn find_other_traffic(other: &NotMqtt, report: &mut Report) {
    use CarrierError::{Broken, Refused, Unsupported};
    use LooksLike::Carrier;
    use Protocol::{Tls, WebSocket};
    let claim = match other.looks_like {
        Carrier(WebSocket, Refused(status)) => Claim::WebSocketRefused { status },
        Carrier(WebSocket, Broken) => Claim::WebSocketBroken {},
        other => Claim::NotMqtt {
            other: match other {
                Carrier(Tls, Broken) => "TLS that its keys do not decrypt from here on",
                Carrier(Tls, Unsupported(_)) => "TLS with a cipher suite that is not decrypted",
                LooksLike::TLS => "TLS: without its keys nothing more can be told",
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
    };
    report.find(Place::on(link, event.stamp).by(event.sender), claim);
}

/// Reports bytes that the capture does not hold.
pub(crate) fn find_gap(state: &State, gap: &Gap, report: &mut Report) {
    let Some(link) = state.links.get(&gap.connection) else {
        return;
    };
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
            GapCause::HeldCap => "a control packet is larger than what is held of one",
            GapCause::Unreadable => "the WebSocket or TLS that carried them could not be read",
            GapCause::EndOfCapture => "the connection or the capture ended before they came",
        },
    };
    report.find(Place::on(link, gap.stamp), claim);
}
