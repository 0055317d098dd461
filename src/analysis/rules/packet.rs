//! Rules that every packet goes through: its sender, its turn, its size, the codec's rules.

use super::super::state::link::{Phase, Silence};
use super::claim::{Claim, Frame};
use super::report::{Check, Place};
use crate::event::{Level, PacketEvent};
use crate::mqtt::{ControlPacket, PacketType, PropertyId, Sender, surely_clean, violations};

/// Facts that the connection remembers once they are reported, so that each is reported once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remarks {
    /// The client was silent for longer than its keep alive allows.
    pub(crate) silence: Option<Silence>,
    /// A packet came out of turn: how the connection began counts as unknown.
    pub(crate) out_of_turn: bool,
    /// A packet followed a DISCONNECT or a refusal.
    pub(crate) late_packet: bool,
    /// The server went on after the client's fault.
    pub(crate) tolerated: bool,
}

/// Checks a packet before it is acted on.
pub(crate) fn check(check: &mut Check<'_>) -> Remarks {
    let mut remarks = Remarks::default();
    if !check.report.wanted {
        return remarks;
    }
    remarks.silence = check_keep_alive(check);
    check_sender(check);
    remarks.out_of_turn = check_turn(check);
    // One finding a connection: what goes on after DISCONNECT often goes on for long.
    remarks.late_packet = !check.link.late_packet_reported && check_late(check);
    check_size(check);
    let event = check.event;
    match event.packet {
        Err(malformed) => (check.report).find_broken_rule(check.link, event, malformed.rule),
        // Most packets are proven clean by a look at a few bytes; the rules one by one cost much
        // more.
        Ok(packet) if !surely_clean(packet, event.bytes, check.link.version()) => {
            check_codec_rules(check, packet);
        }
        Ok(_) => {}
    }
    remarks.tolerated = check_tolerance(check);
    remarks
}

/// Checks the rules of the codec that a readable packet may break all the same.
#[cold]
fn check_codec_rules(check: &mut Check<'_>, packet: &ControlPacket<'_>) {
    let (link, event) = (check.link, check.event);
    violations(packet, event.bytes, link.version(), &mut |one| {
        check.report.find_broken_rule(link, event, one.rule);
    });
}

/// Checks the time since the client's packet before this one ([MQTT-3.1.2-23]).
fn check_keep_alive(check: &mut Check<'_>) -> Option<Silence> {
    let (link, event) = (check.link, check.event);
    if event.sender == Sender::Server {
        check_enforcement(check);
        return None;
    }
    // A slow client would be reported with every packet.
    if link.silence_reported {
        return None;
    }
    let silence = link.excessive_silence(event.stamp)?;
    let claim = Claim::KeepAlive {
        seconds: silence.span.seconds(),
        keep_alive: silence.keep_alive,
        how: "and went on then",
    };
    check.report.find(Place::on(link, silence.since), claim);
    Some(silence)
}

/// Reports a server that goes on after a silence for which it had to close the connection
/// ([MQTT-3.1.2-24]; 5.0: [MQTT-3.1.2-22]).
fn check_enforcement(check: &mut Check<'_>) {
    let link = check.link;
    if let Some(silence) = link.lapse {
        let claim = Claim::KeepAliveNotEnforced {
            seconds: silence.span.seconds(),
            keep_alive: silence.keep_alive,
        };
        check.report.find(Place::on(link, silence.since), claim);
    }
}

/// Checks whether this end may send this type of packet at all.
fn check_sender(check: &mut Check<'_>) {
    use PacketType as P;
    // Where the version is not known, both directions are allowed.
    let before_five = check.link.version.is_some() && !check.link.five();
    let claim = match (check.event.sender, check.event.packet_type) {
        (Sender::Client, P::ConnAck | P::SubAck | P::UnsubAck | P::PingResp) => {
            Claim::ClientSendsServers {}
        }
        (Sender::Server, P::Connect | P::Subscribe | P::Unsubscribe | P::PingReq) => {
            Claim::ServerSendsClients { until: "" }
        }
        (Sender::Server, P::Disconnect) if before_five => Claim::ServerSendsClients {
            until: " before MQTT 5.0",
        },
        _ => return,
    };
    check.find_fault(claim);
}

/// Checks that CONNECT comes first, then CONNACK, then the rest. Returns whether it did not.
fn check_turn(check: &mut Check<'_>) -> bool {
    let (link, event) = (check.link, check.event);
    let client_gaps = link.sides.client.gaps > 0;
    let server_gaps = link.sides.server.gaps > 0;
    match (link.phase, event.sender, event.packet_type) {
        // A second CONNECT has its own rule.
        (_, Sender::Client, PacketType::Connect) => {}
        // [MQTT-3.1.0-1]; `Fresh` is a connection whose beginning was captured.
        (Phase::Fresh, Sender::Client, _) if !client_gaps => {
            check.find_fault(Claim::PacketBeforeConnect {});
            return true;
        }
        // AUTH may come before CONNACK (5.0 §4.12).
        (_, Sender::Server, PacketType::ConnAck | PacketType::Auth) => {}
        // [MQTT-3.2.0-1]: CONNACK is the server's first packet.
        (Phase::Fresh | Phase::Connecting, Sender::Server, _) if !client_gaps && !server_gaps => {
            check.find(Claim::PacketBeforeConnAck {});
            return true;
        }
        (_, _, PacketType::Auth | PacketType::Disconnect) => {}
        // A client may go on before the CONNACK (3.1.4), but not during enhanced authentication
        // ([MQTT-3.1.2-30]).
        (Phase::Connecting, Sender::Client, _)
            if link.authentication_method.is_some() && !server_gaps =>
        {
            check.find_fault(Claim::PacketBeforeAuthentication {});
        }
        _ => {}
    }
    false
}

/// Checks that nothing follows DISCONNECT and a refusal. Returns whether something did.
fn check_late(check: &mut Check<'_>) -> bool {
    let (link, event) = (check.link, check.event);
    let claim = match link.goodbye {
        // The other end may not have read the DISCONNECT yet.
        Some(goodbye) if goodbye.by == event.sender => Claim::PacketAfterDisconnect {
            disconnect: Frame(goodbye.stamp.number),
        },
        _ if link.phase == Phase::Refused
            && event.sender == Sender::Client
            && event.packet_type != PacketType::Disconnect =>
        {
            Claim::PacketAfterRefusal {}
        }
        _ => return false,
    };
    check.find(claim);
    true
}

/// Checks a packet's size against the receiver's Maximum Packet Size (5.0 §3.1.2.11.4).
fn check_size(check: &mut Check<'_>) {
    // The whole control packet counts, fixed header included.
    let size = check.event.bytes.len() as u64;
    let most = check.link.sides[check.event.sender.peer()].maximum_packet_size;
    if let Some(most) = most.filter(|most| size > u64::from(*most)) {
        let statements = too_large(check);
        let place = check.place().citing(statements, statements);
        let claim = Claim::PacketTooLarge { size, most };
        check.report.find_fault(place, claim);
    }
}

/// Checks whether a server goes on after a client's packet that breaks the protocol.
fn check_tolerance(check: &mut Check<'_>) -> bool {
    let (sides, packet) = (&check.link.sides, check.event.packet_type);
    let Some(fault) = check.link.fault else {
        return false;
    };
    // One packet may have been under way; DISCONNECT and CONNACK announce the end.
    let goes_on = check.event.sender == Sender::Server
        && !matches!(packet, PacketType::Disconnect | PacketType::ConnAck)
        && sides.server.packets > fault.answers + 1
        && (sides.client.last).is_some_and(|last| last.number > fault.stamp.number);
    if goes_on {
        let fault = Frame(fault.stamp.number);
        check.find(Claim::ViolationTolerated { fault });
    }
    goes_on
}

/// Reports a password that crosses the network unencrypted.
pub(crate) fn check_credentials(check: &mut Check<'_>) {
    // An empty password gives nothing away.
    if !check.event.transport.is_encrypted()
        && let Ok(ControlPacket::Connect(connect)) = check.event.packet
        && let Some(password) = connect.password.filter(|password| !password.is_empty())
    {
        let length = password.len();
        if stays_on_host(check.event) {
            let place = check.place().at(Level::Note);
            let claim = Claim::CredentialsOnLoopback { length };
            return check.report.find(place, claim);
        }
        check.find(Claim::Credentials { length });
    }
}

/// Whether a packet crosses no network: both ends have loopback addresses, or the same one.
fn stays_on_host(event: &PacketEvent<'_>) -> bool {
    let [one, other] = [event.source, event.destination].map(|end| end.address.to_canonical());
    one == other || one.is_loopback() && other.is_loopback()
}

/// Checks Reason String and User Property where the client wants none (5.0 §3.1.2.11.7).
pub(crate) fn check_problem_information(check: &mut Check<'_>) {
    use PacketType as P;
    let event = check.event;
    // [MQTT-3.1.2-29]: these three may explain themselves all the same.
    let exempt = matches!(event.packet_type, P::Publish | P::ConnAck | P::Disconnect);
    if check.link.wants_problem_information || event.sender == Sender::Client || exempt {
        return;
    }
    let explains = |id| matches!(id, PropertyId::REASON_STRING | PropertyId::USER_PROPERTY);
    if let Ok(packet) = event.packet
        && packet.properties().iter().any(|one| explains(one.id))
    {
        check.find(Claim::ProblemInformation {});
    }
}

/// Returns the statements that a packet above the Maximum Packet Size breaks.
fn too_large(check: &Check<'_>) -> &'static [&'static str] {
    // Reason String and User Property are the first to be left out, so a packet with properties
    // breaks their statements; any other breaks that of its receiver.
    let packet = check.event.packet;
    let wordy = packet.is_ok_and(|packet| !packet.properties().is_empty());
    match (check.event.sender, check.event.packet_type) {
        (_, PacketType::PubAck) if wordy => &["MQTT-3.4.2-2", "MQTT-3.4.2-3"],
        (_, PacketType::PubRec) if wordy => &["MQTT-3.5.2-2", "MQTT-3.5.2-3"],
        (_, PacketType::PubRel) if wordy => &["MQTT-3.6.2-2", "MQTT-3.6.2-3"],
        (_, PacketType::PubComp) if wordy => &["MQTT-3.7.2-2", "MQTT-3.7.2-3"],
        (_, PacketType::Disconnect) if wordy => &["MQTT-3.14.2-3", "MQTT-3.14.2-4"],
        (_, PacketType::Auth) if wordy => &["MQTT-3.15.2-2", "MQTT-3.15.2-3"],
        (_, PacketType::ConnAck) if wordy => &["MQTT-3.2.2-19", "MQTT-3.2.2-20"],
        (_, PacketType::SubAck) if wordy => &["MQTT-3.9.2-1", "MQTT-3.9.2-2"],
        (_, PacketType::UnsubAck) if wordy => &["MQTT-3.11.2-1", "MQTT-3.11.2-2"],
        (Sender::Client, _) => &["MQTT-3.2.2-15"],
        (Sender::Server, _) => &["MQTT-3.1.2-24", "MQTT-3.1.2-25"],
    }
}
