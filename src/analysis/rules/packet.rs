//! Rules that every packet goes through: its sender, its turn, its size, the codec's rules.

use super::super::state::link::{Link, Phase, exceeds};
use super::claim::{Claim, Frame};
use super::report::{Place, Report, client};
use crate::event::PacketEvent;
use crate::mqtt::{ControlPacket, PacketType, PropertyId, Sender, surely_clean, violations};

/// Facts that the connection remembers once they are reported, so that each is reported once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Remarks {
    /// The client was silent for longer than its keep alive allows.
    pub(crate) silence: bool,
    /// A packet came out of turn: how the connection began counts as unknown.
    pub(crate) out_of_turn: bool,
    /// A packet followed a DISCONNECT or a refusal.
    pub(crate) late_packet: bool,
    /// The server went on after the client's fault.
    pub(crate) tolerated: bool,
}

/// Checks a packet before it is acted on.
pub(crate) fn check(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> Remarks {
    let mut remarks = Remarks::default();
    if !report.wanted {
        return remarks;
    }
    remarks.silence = check_keep_alive(link, event, report);
    check_sender(link, event, report);
    remarks.out_of_turn = check_turn(link, event, report);
    // One finding a connection: what goes on after DISCONNECT often goes on for long.
    remarks.late_packet = !link.late_packet_reported && check_late(link, event, report);
    check_size(link, event, report);
    match event.packet {
        Err(malformed) => report.find_broken_rule(link, event, malformed.rule),
        // Most packets are proven clean by a look at a few bytes; the rules one by one cost much
        // more.
        Ok(packet) if !surely_clean(packet, event.bytes, link.version()) => {
            check_codec_rules(link, event, packet, report);
        }
        Ok(_) => {}
    }
    remarks.tolerated = check_tolerance(link, event, report);
    remarks
}

/// Checks the rules of the codec that a readable packet may break all the same.
#[cold]
fn check_codec_rules(
    link: &Link,
    event: &PacketEvent<'_>,
    packet: &ControlPacket<'_>,
    report: &mut Report,
) {
    violations(packet, event.bytes, link.version(), &mut |one| {
        report.find_broken_rule(link, event, one.rule);
    });
}

/// Checks the time since the client's packet before this one ([MQTT-3.1.2-23]).
fn check_keep_alive(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> bool {
    // A packet in a gap would have broken the silence; and a slow client would be reported with
    // every packet.
    if event.sender != Sender::Client || link.gaps_of(Sender::Client) > 0 || link.silence_reported {
        return false;
    }
    let Some((silence, keep_alive)) = link.silence(event.stamp) else {
        return false;
    };
    let Some(last) = link
        .sides
        .client
        .last
        .filter(|_| exceeds(silence, keep_alive))
    else {
        return false;
    };
    let claim = Claim::KeepAlive {
        client: client(link),
        seconds: silence.seconds(),
        keep_alive,
        how: "and went on then",
    };
    report.find(Place::on(link, last), claim);
    true
}

/// Checks whether this end may send this type of packet at all.
fn check_sender(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    use PacketType as P;
    let packet = event.packet_type.name();
    // Where the version is not known, both directions are allowed.
    let before_five = link.version.is_some() && !link.five();
    let claim = match (event.sender, event.packet_type) {
        (Sender::Client, P::ConnAck | P::SubAck | P::UnsubAck | P::PingResp) => {
            Claim::ClientSendsServers {
                client: client(link),
                packet,
            }
        }
        (Sender::Server, P::Connect | P::Subscribe | P::Unsubscribe | P::PingReq) => {
            Claim::ServerSendsClients { packet, until: "" }
        }
        (Sender::Server, P::Disconnect) if before_five => Claim::ServerSendsClients {
            packet,
            until: " before MQTT 5.0",
        },
        _ => return,
    };
    report.find_fault(Place::of(link, event), claim);
}

/// Checks that CONNECT comes first, then CONNACK, then the rest. Returns whether it did not.
fn check_turn(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> bool {
    let packet = event.packet_type.name();
    let client_gaps = link.gaps_of(Sender::Client) > 0;
    let server_gaps = link.gaps_of(Sender::Server) > 0;
    match (link.phase, event.sender, event.packet_type) {
        // A second CONNECT has its own rule.
        (_, _, PacketType::Connect) if event.sender == Sender::Client => {}
        // [MQTT-3.1.0-1]; `Fresh` is a connection whose beginning was captured.
        (Phase::Fresh, Sender::Client, _) if !client_gaps => {
            let claim = Claim::PacketBeforeConnect { packet };
            report.find_fault(Place::of(link, event), claim);
            return true;
        }
        // AUTH may come before CONNACK (5.0 §4.12).
        (_, Sender::Server, PacketType::ConnAck | PacketType::Auth) => {}
        // [MQTT-3.2.0-1]: CONNACK is the server's first packet.
        (Phase::Fresh | Phase::Connecting, Sender::Server, _) if !client_gaps && !server_gaps => {
            let claim = Claim::PacketBeforeConnAck { packet };
            report.find(Place::of(link, event), claim);
            return true;
        }
        (_, _, PacketType::Auth | PacketType::Disconnect) => {}
        // A client may go on before the CONNACK (3.1.4), but not during enhanced authentication
        // ([MQTT-3.1.2-30]).
        (Phase::Connecting, Sender::Client, _)
            if link.authentication_method.is_some() && !server_gaps =>
        {
            let client = client(link);
            let claim = Claim::PacketBeforeAuthentication { client, packet };
            report.find_fault(Place::of(link, event), claim);
        }
        _ => {}
    }
    false
}

/// Checks that nothing follows DISCONNECT and a refusal. Returns whether something did.
fn check_late(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> bool {
    let packet = event.packet_type.name();
    let claim = match link.goodbye {
        // The other end may not have read the DISCONNECT yet.
        Some(goodbye) if goodbye.by == event.sender => Claim::PacketAfterDisconnect {
            packet,
            disconnect: Frame(goodbye.stamp.number),
        },
        _ if link.phase == Phase::Refused
            && event.sender == Sender::Client
            && event.packet_type != PacketType::Disconnect =>
        {
            Claim::PacketAfterRefusal {
                client: client(link),
                packet,
            }
        }
        _ => return false,
    };
    report.find(Place::of(link, event), claim);
    true
}

/// Checks a packet's size against the receiver's Maximum Packet Size (5.0 §3.1.2.11.4).
fn check_size(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    let size = event.bytes.len() as u64;
    // The whole control packet counts, fixed header included.
    let most = link.sides[event.sender.peer()].maximum_packet_size;
    if let Some(most) = most.filter(|most| size > u64::from(*most)) {
        let statements = too_large(event);
        let place = Place::of(link, event).citing(statements, statements);
        let packet = event.packet_type.name();
        report.find_fault(place, Claim::PacketTooLarge { packet, size, most });
    }
}

/// Checks whether a server goes on after a client's packet that breaks the protocol.
fn check_tolerance(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> bool {
    let Some(fault) = link.fault else {
        return false;
    };
    // One packet may have been under way; DISCONNECT and CONNACK announce the end.
    let goes_on = event.sender == Sender::Server
        && !matches!(
            event.packet_type,
            PacketType::Disconnect | PacketType::ConnAck
        )
        && link.sides.server.packets > fault.answers + 1
        && (link.sides.client.last).is_some_and(|last| last.number > fault.stamp.number);
    if goes_on {
        let fault = Frame(fault.stamp.number);
        report.find(Place::of(link, event), Claim::ViolationTolerated { fault });
    }
    goes_on
}

/// Reports a password that crosses the network unencrypted.
pub(crate) fn check_credentials(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    // An empty password gives nothing away.
    if !event.transport.is_encrypted()
        && let Ok(ControlPacket::Connect(connect)) = event.packet
        && let Some(password) = connect.password.filter(|password| !password.is_empty())
    {
        let claim = Claim::Credentials {
            client: client(link),
            length: password.len(),
        };
        report.find(Place::of(link, event), claim);
    }
}

/// Checks Reason String and User Property where the client wants none (5.0 §3.1.2.11.7).
pub(crate) fn check_problem_information(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    // [MQTT-3.1.2-29]: these three may explain themselves all the same.
    let exempt = matches!(
        event.packet_type,
        PacketType::Publish | PacketType::ConnAck | PacketType::Disconnect
    );
    if link.wants_problem_information || event.sender == Sender::Client || exempt {
        return;
    }
    let explains = event.packet.is_ok_and(|packet| {
        packet.properties().iter().any(|property| {
            matches!(
                property.id,
                PropertyId::REASON_STRING | PropertyId::USER_PROPERTY
            )
        })
    });
    if explains {
        let packet = event.packet_type.name();
        report.find(Place::of(link, event), Claim::ProblemInformation { packet });
    }
}

/// Returns the statements that a packet above the Maximum Packet Size breaks.
fn too_large(event: &PacketEvent<'_>) -> &'static [&'static str] {
    // Reason String and User Property are the first to be left out, so a packet with properties
    // breaks their statements; any other breaks that of its receiver.
    let wordy = match event.packet {
        Ok(packet) => !packet.properties().is_empty(),
        Err(_) => false,
    };
    match (event.sender, event.packet_type) {
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
