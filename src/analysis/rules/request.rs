//! Rules of PUBLISH, SUBSCRIBE and UNSUBSCRIBE: what the server offers, what the answers grant.

use super::super::state::link::{Link, Phase};
use super::claim::Claim;
use super::report::{Place, Report, client, party};
use crate::event::{FilterRequest, PacketEvent};
use crate::mqtt::packet::{Publish, Subscribe};
use crate::mqtt::topic::Shared;
use crate::mqtt::{PacketType, Sender, reason};

/// Checks a PUBLISH against what its receiver allows; `named` where its topic is known.
pub(crate) fn check_publish(
    link: &Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
    named: bool,
    report: &mut Report,
) {
    if !report.wanted {
        return;
    }
    // In an incomplete capture the packet that set the alias may be missing.
    if !named && link.whole() {
        report.find_fault(Place::of(link, event), Claim::TopicAliasUnknown {});
    }
    if let Some(alias) = publish.properties.topic_alias() {
        check_alias(link, event, alias, report);
    }
    // The server does not restrict itself; what a client allows is checked by size, alias and
    // quota.
    if event.sender == Sender::Server {
        return;
    }
    let client = client(link);
    let qos = publish.delivery.qos() as u8;
    // [MQTT-3.2.2-11] of 5.0. Before the CONNACK, and in 3.x, everything is on offer.
    let most = link.offer.maximum_qos;
    if qos > most {
        let claim = Claim::MaximumQos { client, qos, most };
        report.find_fault(Place::of(link, event), claim);
    }
    if publish.retain && !link.offer.retain {
        report.find_fault(Place::of(link, event), Claim::RetainUnavailable { client });
    }
    // [MQTT-3.3.4-6]: only a server adds the identifiers.
    let mut identifiers = publish.properties.subscription_identifiers();
    if link.five() && identifiers.next().is_some() {
        report.find_fault(
            Place::of(link, event),
            Claim::IdentifierFromClient { client },
        );
    }
}

/// Checks a topic alias against the receiver's Topic Alias Maximum.
fn check_alias(link: &Link, event: &PacketEvent<'_>, alias: u16, report: &mut Report) {
    // Until the CONNACK a client cannot know the server's maximum.
    let answered = event.sender == Sender::Server || link.phase == Phase::Connected;
    let most = link.sides[event.sender.peer()].topic_alias_maximum;
    if alias <= most || !answered || link.connect_stamp.is_none() {
        return;
    }
    // A maximum of 0 forbids every alias, by a statement of its own.
    let statements: &[&str] = match (event.sender, most) {
        (Sender::Client, 0) => &["MQTT-3.2.2-18", "MQTT-3.3.2-9"],
        (Sender::Client, _) => &["MQTT-3.2.2-17", "MQTT-3.3.2-9"],
        (Sender::Server, 0) => &["MQTT-3.1.2-27", "MQTT-3.3.2-11"],
        (Sender::Server, _) => &["MQTT-3.1.2-26", "MQTT-3.3.2-11"],
    };
    let place = Place::of(link, event).citing(&[], statements);
    report.find_fault(place, Claim::TopicAliasMaximum { alias, most });
}

/// Checks a SUBSCRIBE against the kinds of subscription that the server offers.
pub(crate) fn check_subscribe(
    link: &Link,
    event: &PacketEvent<'_>,
    subscribe: &Subscribe<'_>,
    report: &mut Report,
) {
    if !report.wanted || !link.five() {
        return;
    }
    let mut identifiers = subscribe.properties.subscription_identifiers();
    let identified = identifiers.next().is_some();
    let mut wrong = (identified && !link.offer.identifiers).then_some("Subscription Identifiers");
    for one in subscribe.subscriptions.iter() {
        if !link.offer.shared && Shared::of(one.filter).is_some() {
            wrong = Some("shared subscriptions");
        }
        if !link.offer.wildcards && one.filter.contains(['+', '#']) {
            wrong = Some("wildcards");
        }
    }
    if let Some(kind) = wrong {
        let client = client(link);
        let claim = Claim::SubscriptionUnavailable { client, kind };
        report.find_fault(Place::of(link, event), claim);
    }
}

/// Checks the codes of a SUBACK against what was asked.
pub(crate) fn check_suback(
    link: &Link,
    event: &PacketEvent<'_>,
    asked: &[FilterRequest],
    codes: &[u8],
    report: &mut Report,
) {
    // A count that is wrong leaves filters without a code: only those with one are compared.
    check_code_count(link, event, asked.len(), codes.len(), report);
    if !report.wanted {
        return;
    }
    // A SUBACK that refuses all is the end of its handshake, which has a finding.
    let some_granted = codes.iter().any(|code| *code < 0x80);
    for one in asked {
        let filter = &*one.filter;
        let asked = one.options & 3;
        let claim = match one.code {
            // 3.8.4: a server may grant less than was asked, never more.
            Some(granted) if granted < 3 && granted > asked => Claim::GrantedAboveAsked {
                asked,
                filter,
                granted,
            },
            // Where all failed, the handshake's own finding reports it.
            Some(code) if code >= 0x80 && some_granted => Claim::SubscriptionRefused {
                filter,
                code,
                reason: reason::name(PacketType::SubAck, link.version(), code),
            },
            _ => continue,
        };
        report.find(Place::of(link, event), claim);
    }
}

/// Checks that an answer has one code for each filter ([MQTT-3.8.4-6]).
pub(crate) fn check_code_count(
    link: &Link,
    event: &PacketEvent<'_>,
    filters: usize,
    codes: usize,
    report: &mut Report,
) {
    if filters != codes {
        let claim = Claim::SubAckCodes {
            packet: event.packet_type.name(),
            codes,
            filters,
        };
        report.find(Place::of(link, event), claim);
    }
}

/// Reports an answer to a request that does not wait for one.
#[cold]
pub(crate) fn find_stray_answer(
    link: &Link,
    event: &PacketEvent<'_>,
    id: u16,
    report: &mut Report,
) {
    if link.certain(Sender::Client) && link.connect_stamp.is_some() {
        let packet = event.packet_type.name();
        let claim = Claim::AnswerWithoutRequest { packet, id };
        report.suspect(link, Sender::Client, Place::of(link, event), claim);
    }
}

/// Reports an answer with the identifier of something else.
#[cold]
pub(crate) fn find_wrong_answer(
    link: &Link,
    event: &PacketEvent<'_>,
    id: u16,
    report: &mut Report,
) {
    if link.certain(Sender::Client) {
        let packet = event.packet_type.name();
        let claim = Claim::AnswersAnother { packet, id };
        report.suspect(link, Sender::Client, Place::of(link, event), claim);
    }
}

/// Reports a PINGRESP that answers no PINGREQ.
#[cold]
pub(crate) fn find_stray_ping(link: &Link, event: &PacketEvent<'_>, report: &mut Report) {
    if link.certain(Sender::Client) {
        let claim = Claim::PingRespWithoutPingReq {};
        report.suspect(link, Sender::Client, Place::of(link, event), claim);
    }
}

/// Checks the receiver's quota of messages in flight (5.0 §4.9); returns whether it is exceeded.
pub(crate) fn check_quota(link: &Link, event: &PacketEvent<'_>, report: &mut Report) -> bool {
    let receiver = event.sender.peer();
    // 3.x has no quota.
    let Some(most) = link.sides[receiver].receive_maximum else {
        return false;
    };
    let in_flight = link.sides[event.sender].in_flight;
    // An acknowledgement in a gap would free what seems to be in flight.
    if in_flight <= u32::from(most) || !link.certain(receiver) {
        return false;
    }
    let statements: &[&str] = match event.sender {
        Sender::Client => &["MQTT-3.3.4-7", "MQTT-4.9.0-2"],
        Sender::Server => &["MQTT-3.3.4-9", "MQTT-4.9.0-2"],
    };
    let claim = Claim::ReceiveMaximum {
        who: party(link, event.sender),
        in_flight,
        most,
    };
    let place = Place::of(link, event).citing(&[], statements);
    report.suspect(link, receiver, place, claim);
    true
}
