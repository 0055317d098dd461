//! Rules of CONNECT, CONNACK, AUTH and DISCONNECT: what the two ends agree on.

use super::super::keys::{SessionKey, shared};
use super::super::state::State;
use super::super::state::link::{Link, Phase};
use super::claim::{Claim, Frame};
use super::packet::check_credentials;
use super::report::{Place, Report, client};
use crate::base::limits::Limit;
use crate::event::PacketEvent;
use crate::mqtt::packet::{Auth, ConnAck, Disconnect};
use crate::mqtt::{PacketType, ProtocolVersion, Sender, reason};

/// Checks a CONNECT, which is the only one of its connection ([MQTT-3.1.0-2]).
pub(crate) fn check_connect(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    if !report.wanted {
        return;
    }
    match link.connect_stamp {
        // The server has to close, so this is a fault of the client.
        Some(first) => {
            let first = Frame(first.number);
            report.find_fault(Place::of(link, event), Claim::SecondConnect { first });
        }
        None => check_credentials(link, event, report),
    }
}

/// Checks a CONNACK against the CONNECT that it answers.
pub(crate) fn check_connack(
    state: &State,
    link: &Link,
    event: &PacketEvent<'_>,
    ack: &ConnAck<'_>,
    report: &mut Report,
) {
    if !report.wanted {
        return;
    }
    let place = Place::of(link, event);
    // [MQTT-3.2.0-2] of 5.0: one CONNACK a connection.
    if matches!(link.phase, Phase::Connected | Phase::Refused) {
        return report.find(place, Claim::SecondConnAck {});
    }
    if ack.code != 0 {
        let claim = Claim::ConnectionRefused {
            client: client(link),
            code: ack.code,
            reason: reason::name(PacketType::ConnAck, link.version(), ack.code),
        };
        report.find(place.clone(), claim);
    }
    let Some(connect) = &link.connect else {
        return;
    };
    let id = &*connect.client_id;
    if ack.code == 0 {
        check_accepted(link, event, report);
        if link.five() {
            check_accepted_in_five(state, link, event, ack, report);
        }
    } else if !link.five()
        && ack.code == 2
        // [MQTT-3.1.3-5]: such an identifier must be accepted by every server of 3.1.1.
        && (1..=23).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        report.find(place, Claim::ClientIdRefused { id });
    }
}

/// Checks whether the server had to refuse.
fn check_accepted(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    let Some(connect) = &link.connect else {
        return;
    };
    let known = matches!(
        (&*connect.protocol_name, connect.protocol_level),
        // 3.1, 3.1.1 and 5.0. Servers refuse another level with 0x01 ([MQTT-3.1.2-2]).
        ("MQIsdp", 3) | ("MQTT", 4 | 5)
    );
    if !known {
        report.find(Place::of(link, event), Claim::UnsupportedAccepted {});
    }
    // [MQTT-3.1.3-8] of 3.1.1. 3.1 allows no empty identifier at all, and 5.0 assigns one.
    let old = !link.five() && link.version != Some(ProtocolVersion::V3_1);
    if connect.client_id.is_empty() && old && !link.clean {
        report.find(Place::of(link, event), Claim::EmptyIdAccepted {});
    }
}

/// Checks the properties of a CONNACK that accepts.
fn check_accepted_in_five(
    state: &State,
    link: &Link,
    event: &PacketEvent<'_>,
    ack: &ConnAck<'_>,
    report: &mut Report,
) {
    let Some(connect) = &link.connect else {
        return;
    };
    let place = Place::of(link, event);
    let properties = ack.properties;
    // An accepted connection keeps the method of its CONNECT ([MQTT-4.12.0-5]).
    let named = properties.authentication_method();
    match (link.authentication_method.as_deref(), named) {
        (Some(method), _) if named != Some(method) => {
            report.find(place.clone(), Claim::MethodMissing { method });
        }
        (None, Some(method)) => report.find(place.clone(), Claim::MethodFromServer { method }),
        _ => {}
    }
    // [MQTT-3.2.2-16] of 5.0: the identifier assigned is one that no other session has.
    if connect.client_id.is_empty() {
        match properties.assigned_client_identifier() {
            None => report.find(place.clone(), Claim::NoneAssigned {}),
            Some(id) if state.sessions.find(link.broker, &shared(id)).is_some() => {
                report.find(place.clone(), Claim::AssignedInUse {});
            }
            Some(_) => {}
        }
    }
    // [MQTT-3.2.2-12], [MQTT-3.2.2-13]: such a CONNECT has to be refused with 0x9b or 0x9a.
    let most = properties.maximum_qos().map_or(2, |qos| qos as u8);
    let keeps = properties.retain_available().unwrap_or(true);
    if let Some(will) = &connect.will
        && (will.qos as u8 > most || (will.retain && !keeps))
    {
        let claim = Claim::WillBeyondServer {
            client: client(link),
            qos: will.qos as u8,
            retain: will.retain.into(),
        };
        report.find(place.clone(), claim);
    }
    // [MQTT-3.1.2-28]: only for a client that asked.
    if properties.response_information().is_some() && !link.wants_response_information {
        report.find(place, Claim::ResponseInformation {});
    }
}

/// Checks Session Present against what the capture shows of the session `known`.
pub(crate) fn check_session_present(
    state: &State,
    link: &Link,
    event: &PacketEvent<'_>,
    present: Option<bool>,
    known: Option<SessionKey>,
    report: &mut Report,
) {
    // Without the CONNECT it is not known what the client asked for.
    let Some(present) = present.filter(|_| report.wanted && link.connect_stamp.is_some()) else {
        return;
    };
    let client = client(link);
    // No session is known: it may have been there before the capture.
    let Some(session) = known.and_then(|key| state.sessions.get(key)) else {
        let id = link.client_id.as_ref();
        if present && link.clean {
            report.find(Place::of(link, event), Claim::SessionAfterClean { client });
        } else if present && id.is_some_and(|id| state.sessions.is_gone(link.broker, id)) {
            report.find(Place::of(link, event), Claim::SessionHadEnded { client });
        } else if present && state.sessions.may_have_gone() {
            report.limit_reached(Limit::SessionsEnded, event.stamp);
        }
        return;
    };
    let expired = session.expired(event.stamp);
    // A session that lost its connection; a live one is taken over with all it has.
    let lasting = session.expiry > 0 && !expired;
    let claim = match present {
        // [MQTT-3.2.2-1]; 5.0: [MQTT-3.2.2-2]: Clean Session gives Session Present 0.
        true if link.clean => Claim::SessionAfterClean { client },
        true if expired && session.expiry > 0 => Claim::SessionHadExpired { client },
        false if !link.clean && lasting && session.was_connected() => {
            Claim::SessionForgotten { client }
        }
        _ => return,
    };
    report.find(Place::of(link, event), claim);
}

/// Checks an AUTH: its method and its place (5.0 §4.12).
pub(crate) fn check_auth(
    link: &Link,
    event: &PacketEvent<'_>,
    auth: &Auth<'_>,
    report: &mut Report,
) {
    // The method is named in the CONNECT, which was not captured.
    if !report.wanted || link.connect_stamp.is_none() {
        return;
    }
    let place = Place::of(link, event);
    let Some(method) = link.authentication_method.as_deref() else {
        return report.find_fault(place, Claim::AuthWithoutMethod {});
    };
    if let Some(other) = auth.properties.authentication_method()
        && *other != *method
    {
        report.find_fault(place.clone(), Claim::MethodChanged { other, method });
    }
    let code = auth.reason_code;
    let connected = link.phase == Phase::Connected;
    // Table of 5.0 §3.15.2.1: 0x18 of either end, 0x19 of a client, 0x00 of a server.
    let fits = match (event.sender, code) {
        (_, 0x18) => true,
        (Sender::Client, 0x19) | (Sender::Server, 0x00) => connected,
        _ => false,
    };
    if !fits {
        report.find_fault(place, Claim::AuthCode { code });
    }
}

/// Checks a DISCONNECT of the server, which only 5.0 has.
pub(crate) fn check_disconnect(
    link: &Link,
    event: &PacketEvent<'_>,
    disconnect: &Disconnect<'_>,
    report: &mut Report,
) {
    if !report.wanted || event.sender == Sender::Client {
        return;
    }
    let place = Place::of(link, event);
    if disconnect.properties.session_expiry_interval().is_some() {
        report.find(place.clone(), Claim::ExpiryFromServer {});
    }
    let code = disconnect.reason_code;
    // A takeover has its own finding.
    if link.five() && code >= 0x80 && code != 0x8e {
        let claim = Claim::ServerDisconnected {
            client: client(link),
            code,
            reason: reason::name(PacketType::Disconnect, link.version(), code),
        };
        report.find(place, claim);
    }
}
