//! Rules of PUBLISH, SUBSCRIBE and UNSUBSCRIBE: what the server offers, what the answers grant.

use super::super::state::link::Phase;
use super::claim::Claim;
use super::report::Check;
use crate::event::Handshake;
use crate::mqtt::packet::{Publish, Subscribe};
use crate::mqtt::topic::Shared;
use crate::mqtt::{PacketType, Sender, reason};

/// Checks a PUBLISH against what its receiver allows; `named` where its topic is known.
pub(crate) fn check_publish(check: &mut Check<'_>, publish: &Publish<'_>, named: bool) {
    if !check.report.wanted {
        return;
    }
    let link = check.link;
    // In an incomplete capture the packet that set the alias may be missing.
    if !named && link.whole() {
        check.find_fault(Claim::TopicAliasUnknown {});
    }
    if let Some(alias) = publish.properties.topic_alias() {
        check_alias(check, alias);
    }
    // The server does not restrict itself; what a client allows is checked by size, alias and
    // quota.
    if check.event.sender == Sender::Server {
        return;
    }
    let qos = publish.delivery.qos() as u8;
    // [MQTT-3.2.2-11] of 5.0. Before the CONNACK, and in 3.x, everything is on offer.
    let most = link.offer.maximum_qos;
    if qos > most {
        check.find_fault(Claim::MaximumQos { qos, most });
    }
    if publish.retain && !link.offer.retain {
        check.find_fault(Claim::RetainUnavailable {});
    }
    // [MQTT-3.3.4-6]: only a server adds the identifiers.
    let mut identifiers = publish.properties.subscription_identifiers();
    if link.five() && identifiers.next().is_some() {
        check.find_fault(Claim::IdentifierFromClient {});
    }
}

/// Checks a topic alias against the receiver's Topic Alias Maximum.
fn check_alias(check: &mut Check<'_>, alias: u16) {
    let (link, sender) = (check.link, check.event.sender);
    // Until the CONNACK a client cannot know the server's maximum.
    let answered = sender == Sender::Server || link.phase == Phase::Connected;
    let most = link.sides[sender.peer()].topic_alias_maximum;
    if alias <= most || !answered || link.connect_stamp.is_none() {
        return;
    }
    // A maximum of 0 forbids every alias, by a statement of its own.
    let statements: &[&str] = match (sender, most) {
        (Sender::Client, 0) => &["MQTT-3.2.2-18", "MQTT-3.3.2-9"],
        (Sender::Client, _) => &["MQTT-3.2.2-17", "MQTT-3.3.2-9"],
        (Sender::Server, 0) => &["MQTT-3.1.2-27", "MQTT-3.3.2-11"],
        (Sender::Server, _) => &["MQTT-3.1.2-26", "MQTT-3.3.2-11"],
    };
    let place = check.place().citing(&[], statements);
    let claim = Claim::TopicAliasMaximum { alias, most };
    check.report.find_fault(place, claim);
}

/// Checks a SUBSCRIBE against the kinds of subscription that the server offers.
pub(crate) fn check_subscribe(check: &mut Check<'_>, subscribe: &Subscribe<'_>) {
    if !check.report.wanted || !check.link.five() {
        return;
    }
    let offer = &check.link.offer;
    let mut identifiers = subscribe.properties.subscription_identifiers();
    let identified = identifiers.next().is_some();
    let mut wrong = (identified && !offer.identifiers).then_some("Subscription Identifiers");
    for one in subscribe.subscriptions.iter() {
        if !offer.shared && Shared::of(one.filter).is_some() {
            wrong = Some("shared subscriptions");
        }
        if !offer.wildcards && one.filter.contains(['+', '#']) {
            wrong = Some("wildcards");
        }
    }
    if let Some(kind) = wrong {
        check.find_fault(Claim::SubscriptionUnavailable { kind });
    }
}

/// Checks the codes of a SUBACK against what was asked.
pub(crate) fn check_suback(check: &mut Check<'_>, record: &Handshake, codes: &[u8]) {
    // A count that is wrong leaves filters without a code: only those with one are compared.
    check_code_count(check, record, codes.len());
    if !check.report.wanted {
        return;
    }
    // A SUBACK that refuses all is the end of its handshake, which has a finding.
    let some_granted = codes.iter().any(|code| *code < 0x80);
    for one in record.filters() {
        let filter = &*one.filter;
        let asked = one.options & 3;
        match one.code {
            // 3.8.4: a server may grant less than was asked, never more.
            Some(granted) if granted < 3 && granted > asked => {
                check.find(Claim::GrantedAboveAsked {
                    asked,
                    filter,
                    granted,
                });
            }
            // Where all failed, the handshake's own finding reports it.
            Some(code) if code >= 0x80 && some_granted => {
                let reason = reason::name(PacketType::SubAck, check.link.version(), code);
                check.find(Claim::SubscriptionRefused {
                    filter,
                    code,
                    reason,
                });
            }
            _ => {}
        }
    }
}

/// Checks that an answer has one code for each filter ([MQTT-3.8.4-6]).
pub(crate) fn check_code_count(check: &mut Check<'_>, record: &Handshake, codes: usize) {
    let left_out = usize::try_from(record.filters_left_out).unwrap_or(usize::MAX);
    let filters = record.filters().len().saturating_add(left_out);
    if filters != codes {
        check.find(Claim::SubAckCodes { codes, filters });
    }
}

/// Reports an answer that fits no request of the client.
#[cold]
pub(crate) fn find_unfit_answer(check: &mut Check<'_>, claim: Claim<'_>) {
    if check.link.certain(Sender::Client) {
        check.suspect(Sender::Client, claim);
    }
}

/// Checks the receiver's quota of messages in flight (5.0 §4.9); returns whether it is exceeded.
pub(crate) fn check_quota(check: &mut Check<'_>) -> bool {
    let (link, sender) = (check.link, check.event.sender);
    let receiver = sender.peer();
    // 3.x has no quota.
    let Some(most) = link.sides[receiver].receive_maximum else {
        return false;
    };
    let in_flight = link.sides[sender].window.in_flight();
    // An acknowledgement in a gap would free what seems to be in flight.
    if in_flight <= u32::from(most) || !link.certain(receiver) {
        return false;
    }
    let statements: &[&str] = match sender {
        Sender::Client => &["MQTT-3.3.4-7", "MQTT-4.9.0-2"],
        Sender::Server => &["MQTT-3.3.4-9", "MQTT-4.9.0-2"],
    };
    let place = check.place().citing(&[], statements);
    let claim = Claim::ReceiveMaximum { in_flight, most };
    check.report.suspect(link, receiver, place, claim);
    true
}
