//! Rules of CONNECT, CONNACK, AUTH and DISCONNECT: what the two ends agree on.

use super::super::keys::{SessionKey, shared};
use super::super::state::link::Link;
use super::super::state::link::Phase;
use super::claim::{Claim, Frame};
use super::packet::check_credentials;
use super::report::Check;
use crate::base::limits::Limit;
use crate::event::ConnectSummary;
use crate::mqtt::packet::{Auth, ConnAck, Disconnect};
use crate::mqtt::{PacketType, ProtocolVersion, Rule, Sender, reason};

/// Checks a CONNECT, which is the only one of its connection ([MQTT-3.1.0-2]).
pub(crate) fn check_connect(check: &mut Check<'_>) {
    if !check.report.wanted {
        return;
    }
    match check.link.connect_stamp {
        // The server has to close, so this is a fault of the client.
        Some(first) => {
            let first = Frame(first.number);
            check.find_fault(Claim::SecondConnect { first });
        }
        None => check_credentials(check),
    }
}

/// Checks a CONNACK against the CONNECT that it answers.
pub(crate) fn check_connack(check: &mut Check<'_>, ack: &ConnAck<'_>) {
    if !check.report.wanted {
        return;
    }
    let link = check.link;
    // [MQTT-3.2.0-2] of 5.0: one CONNACK a connection.
    if matches!(link.phase, Phase::Connected | Phase::Refused) {
        return check.find(Claim::SecondConnAck {});
    }
    let code = ack.code;
    // 5.0 refuses with 0x80 and above, servers that do not know it with 1 to 5; what lies between is
    // no code, which the codec reports.
    if code != 0 && !(link.five() && (6..0x80).contains(&code)) {
        let reason = reason::name(PacketType::ConnAck, link.version(), code);
        check.find(Claim::ConnectionRefused { code, reason });
    }
    let Some(connect) = &link.connect else {
        return;
    };
    let id = &*connect.client_id;
    if code == 0 {
        check_accepted(check, connect);
        if link.five() {
            check_accepted_in_five(check, connect, ack);
        }
    } else if code == if link.five() { 0x85 } else { 2 }
        // [MQTT-3.1.3-5]: such an identifier must be accepted by every server.
        && (1..=23).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    {
        check.find(Claim::ClientIdRefused { id });
    }
}

/// Checks whether the server had to refuse.
fn check_accepted(check: &mut Check<'_>, connect: &ConnectSummary) {
    let link = check.link;
    let known = matches!(
        (&*connect.protocol_name, connect.protocol_level),
        // 3.1, 3.1.1 and 5.0. Servers refuse another level with 0x01 ([MQTT-3.1.2-2]).
        ("MQIsdp", 3) | ("MQTT", 4 | 5)
    );
    if !known {
        check.find(Claim::UnsupportedAccepted {});
    }
    // [MQTT-3.1.3-8] of 3.1.1. 3.1 allows no empty identifier at all, and 5.0 assigns one.
    let old = !link.five() && link.version != Some(ProtocolVersion::V3_1);
    if connect.client_id.is_empty() && old && !link.clean {
        check.find(Claim::EmptyIdAccepted {});
    }
}

/// Checks the properties of a CONNACK that accepts.
fn check_accepted_in_five(check: &mut Check<'_>, connect: &ConnectSummary, ack: &ConnAck<'_>) {
    let link = check.link;
    let properties = ack.properties;
    // An accepted connection keeps the method of its CONNECT ([MQTT-4.12.0-5]).
    let named = properties.authentication_method();
    match (link.authentication_method.as_deref(), named) {
        (Some(method), _) if named != Some(method) => check.find(Claim::MethodMissing { method }),
        (None, Some(method)) => check.find(Claim::MethodFromServer { method }),
        _ => {}
    }
    // [MQTT-3.2.2-16] of 5.0: the identifier assigned is one that no other session has.
    if connect.client_id.is_empty() {
        match properties.assigned_client_identifier() {
            None => check.find(Claim::NoneAssigned {}),
            Some(id) if (check.state.sessions.find(link.broker, &shared(id))).is_some() => {
                check.find(Claim::AssignedInUse {});
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
        let (qos, retain) = (will.qos as u8, will.retain.into());
        check.find(Claim::WillBeyondServer { qos, retain });
    }
    // [MQTT-3.1.2-28]: only for a client that asked.
    if properties.response_information().is_some() && !link.wants_response_information {
        check.find(Claim::ResponseInformation {});
    }
}

/// Checks Session Present against what the capture shows of the session `known`.
pub(crate) fn check_session_present(
    check: &mut Check<'_>,
    present: Option<bool>,
    known: Option<SessionKey>,
) {
    let (state, link) = (check.state, check.link);
    // Without the CONNECT it is not known what the client asked for.
    let wanted = check.report.wanted && link.connect_stamp.is_some();
    let Some(present) = present.filter(|_| wanted) else {
        return;
    };
    // No session is known: it may have been there before the capture.
    let Some(session) = known.and_then(|key| state.sessions.get(key)) else {
        let id = link.client_id.as_ref();
        if present && link.clean {
            check.find(Claim::SessionAfterClean {});
        } else if present && id.is_some_and(|id| state.sessions.is_gone(link.broker, id)) {
            check.find_unless_outsiders(Claim::SessionHadEnded {});
        } else if present && state.sessions.may_have_gone() {
            (check.report).limit_reached(Limit::SessionsEnded, check.event.stamp);
        }
        return;
    };
    let expired = session.expired(check.event.stamp);
    // A session that lost its connection; a live one is taken over with all it has.
    let lasting = session.expiry > 0 && !expired;
    match present {
        // [MQTT-3.2.2-1]; 5.0: [MQTT-3.2.2-2]: Clean Session gives Session Present 0.
        true if link.clean => check.find(Claim::SessionAfterClean {}),
        true if expired && session.expiry > 0 => {
            check.find_unless_outsiders(Claim::SessionHadExpired {})
        }
        false if !link.clean && lasting && session.was_connected() => {
            check.find_unless_outsiders(Claim::SessionForgotten {});
        }
        _ => {}
    }
}

/// Checks an AUTH: its method and its place (5.0 §4.12).
pub(crate) fn check_auth(check: &mut Check<'_>, auth: &Auth<'_>) {
    let link = check.link;
    // The method is named in the CONNECT, which was not captured.
    if !check.report.wanted || link.connect_stamp.is_none() {
        return;
    }
    let Some(method) = link.authentication_method.as_deref() else {
        return check.find_fault(Claim::AuthWithoutMethod {});
    };
    if let Some(other) = auth.properties.authentication_method()
        && *other != *method
    {
        check.find_fault(Claim::MethodChanged { other, method });
    }
    let code = auth.reason_code;
    let connected = link.phase == Phase::Connected;
    // Table of 5.0 §3.15.2.1: 0x18 of either end, 0x19 of a client, 0x00 of a server.
    let fits = match (check.event.sender, code) {
        (_, 0x18) => true,
        (Sender::Client, 0x19) | (Sender::Server, 0x00) => connected,
        _ => false,
    };
    if !fits {
        check.find_fault(Claim::AuthCode { code });
    }
}

/// Returns whether a DISCONNECT of the client with this interval raises one that was 0 in its
/// CONNECT: the server does not act on it.
pub(crate) fn raises_expiry(link: &Link, expiry: u32) -> bool {
    let connect = link.connect.as_ref().filter(|_| link.five());
    expiry > 0 && connect.is_some_and(|connect| connect.session_expiry.unwrap_or(0) == 0)
}

/// Returns whether only the other end sends DISCONNECT with this code (5.0 table 3-10).
fn is_of_other_end(sender: Sender, code: u8) -> bool {
    match sender {
        Sender::Client => matches!(code, 0x87 | 0x89 | 0x8b | 0x8d | 0x8e | 0x8f | 0x9a..=0xa2),
        Sender::Server => code == 0x04,
    }
}

/// Checks a DISCONNECT of 5.0.
pub(crate) fn check_disconnect(check: &mut Check<'_>, disconnect: &Disconnect<'_>) {
    if !check.report.wanted {
        return;
    }
    let code = disconnect.reason_code;
    if check.link.five() && is_of_other_end(check.event.sender, code) {
        (check.report).find_broken_rule(check.link, check.event, Rule::DisconnectCodeIsDefined);
    }
    if check.event.sender == Sender::Client {
        // 5.0 §3.14.2.2.2, which numbers no statement.
        if let Some(expiry) = disconnect.properties.session_expiry_interval()
            && raises_expiry(check.link, expiry)
        {
            check.find(Claim::ExpiryRaised { expiry });
        }
        return;
    }
    if disconnect.properties.session_expiry_interval().is_some() {
        check.find(Claim::ExpiryFromServer {});
    }
    let link = check.link;
    // A takeover has its own finding.
    if link.five() && code >= 0x80 && code != 0x8e {
        let reason = reason::name(PacketType::Disconnect, link.version(), code);
        check.find(Claim::ServerDisconnected { code, reason });
    }
}
