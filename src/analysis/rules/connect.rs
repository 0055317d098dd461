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
        ("MQIsdp", 3) | ("MQTT", 4 | 5)
    );
    if !known {
        report.find(Place::of(link, event), Claim::UnsupportedAccepted {});
    }
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
    if connect.client_id.is_empty() {
        match properties.assigned_client_identifier() {
            None => report.find(place.clone(), Claim::NoneAssigned {}),
            Some(id) if state.sessions.find(link.broker, &shared(id)).is_some() => {
                report.find(place.clone(), Claim::AssignedInUse {});
            }
            Some(_) => {}
        }
    }
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
    let Some(present) = present.filter(|_| report.wanted && link.connect_stamp.is_some()) else {
        return;
    };
    let client = client(link);
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
