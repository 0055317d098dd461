//! PUBLISH, from a client and from a server.

use super::super::caps;
use super::super::delivery::explain::{Explained, explain};
use super::super::delivery::messages::publisher_done;
use super::super::delivery::retained::{Storing, store};
use super::super::delivery::subscribers::{Published, publish_message};
use super::super::keys::{MessageKey, Topic, Turn, shared};
use super::super::rules;
use super::super::rules::report::Report;
use super::super::state::State;
use super::super::state::link::Link;
use super::super::state::messages::{Copy, Over};
use super::super::state::open::{Open, step};
use super::exchange::{Begin, begin, keep, replace, settle};
use crate::event::{HandshakeKind, HandshakeState, Message, PacketEvent, Payload, Stored, Subject};
use crate::mqtt::packet::Publish;
use crate::mqtt::{Delivery, PacketType, Sender};

/// Acts on a PUBLISH of either end.
pub(crate) fn on_publish(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
) {
    // An empty topic name stands for that of its alias (5.0 §3.3.2.3.4); `None` where the capture
    // does not hold the packet that set the alias.
    let text = match publish.topic.is_empty() {
        true => event.topic_resolved,
        false => Some(publish.topic),
    };
    // Topics are compared as they are kept: long ones cut, with a checksum of the whole.
    let short = text.filter(|text| text.len() > caps::NAME).map(shared);
    let name = short.as_deref().or(text);
    let topic = name.map(|name| state.topic(link.broker, name));
    rules::request::check_publish(link, event, publish, topic.is_some(), report);
    let digest = topic.map_or(0, |topic| state.digest(topic, publish.payload));
    let id = publish.delivery.packet_id();
    let opens = &mut link.sides[event.sender].open;
    // The identifier is in use: a redelivery, or a handshake that ended unseen.
    if let Some(open) = id.and_then(|id| opens.remove(&id.number())) {
        match join_repeat(report, link, event, publish, digest, open) {
            None => return,
            Some(replaced) => replace(state, report, link, event, replaced),
        }
    } else if publish.dup {
        rules::exchange::check_first_dup(state, link, event, publish, digest, report);
    }
    // The identifier begins a new handshake, so the message refused on it before no longer matters.
    if let Some(id) = id {
        let refused = &mut link.sides[event.sender].refused;
        if !refused.is_empty() {
            refused.remove(&id.number());
        }
    }
    let (kind, waiting) = match publish.delivery {
        Delivery::AtMostOnce => (HandshakeKind::Qos0, PacketType::Publish),
        Delivery::AtLeastOnce(_) => (HandshakeKind::Qos1, PacketType::PubAck),
        Delivery::ExactlyOnce(_) => (HandshakeKind::Qos2, PacketType::PubRec),
    };
    // Most messages are of QoS 0: where no view asks for handshakes, none is made.
    if kind == HandshakeKind::Qos0 && !state.wanted.handshakes {
        return follow_only(state, report, link, event, publish, topic, digest);
    }
    let first = Begin {
        kind,
        initiator: event.sender,
        packet_id: id,
        subject: Subject::Message(Message {
            topic: topic.map(|topic| state.names.shared(topic)),
            qos: publish.delivery.qos(),
            retain: publish.retain,
            payload: Payload::of(publish.payload),
        }),
        waiting,
    };
    let mut open = begin(state, report, link, event, first);
    open.digest = digest;
    // Without a topic name a message cannot be matched with a subscription.
    if let Some(topic) = topic.filter(|_| state.wanted.deliveries) {
        match event.sender {
            Sender::Client => {
                let known = (topic, open.turn, digest);
                let key = publish_from_client(state, report, link, event, publish, known);
                open.message = Some(key);
            }
            Sender::Server => {
                let known = (topic, digest);
                let explained = explain_from_server(state, report, link, event, publish, known);
                open.record.origin = Some(explained.origin);
                open.delivery = explained.delivery;
            }
        }
    }
    if kind == HandshakeKind::Qos0 {
        return settle(state, report, open, HandshakeState::Complete);
    }
    // The order decides whether acknowledgements come in the order of their PUBLISH
    // ([MQTT-4.6.0-2]); the count is that of Receive Maximum (5.0 §4.9).
    let side = &mut link.sides[event.sender];
    side.published += 1;
    open.order = side.published;
    open.counted = true;
    side.in_flight += 1;
    // A PUBLISH above the quota is a protocol error: what the server does next is judged by it.
    if rules::request::check_quota(link, event, report) {
        link.blame(event);
    }
    keep(state, report, link, open);
}

/// Follows a PUBLISH at QoS 0 where handshakes are not wanted: it is over at once.
fn follow_only(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
    topic: Option<Topic<'_>>,
    digest: u64,
) {
    let Some(topic) = topic.filter(|_| state.wanted.deliveries) else {
        return;
    };
    match event.sender {
        Sender::Client => {
            let known = (topic, report.outbox.reserve(), digest);
            // A turn is reserved although no handshake takes it: order among messages comes from
            // it.
            let key = publish_from_client(state, report, link, event, publish, known);
            let over = Over {
                state: HandshakeState::Complete,
                released: false,
            };
            publisher_done(state, report, key, over);
        }
        // At QoS 0 the copy is all of its delivery.
        Sender::Server => {
            explain_from_server(state, report, link, event, publish, (topic, digest));
        }
    }
}

/// Joins a redelivery to its handshake, which is not over; returns the handshake where the
/// PUBLISH is none, and takes its identifier.
#[cold]
fn join_repeat(
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
    digest: u64,
    mut open: Open,
) -> Option<Open> {
    let kind = match publish.delivery {
        Delivery::ExactlyOnce(_) => HandshakeKind::Qos2,
        _ => HandshakeKind::Qos1,
    };
    // A topic that an alias hides has no digest.
    let other = open.digest != digest && open.digest != 0 && digest != 0;
    // Its acknowledgement may have passed unseen: then it is an equal message, sent anew.
    let anew = !publish.dup && open.may_be_missing(link.gaps());
    if open.record.kind != kind || other || anew {
        return Some(open);
    }
    // Here it is a redelivery: it goes on with the handshake that it repeats.
    rules::exchange::check_repeat(link, event, publish, &open, report);
    open.publishes += 1;
    open.suspended = None;
    open.advance(link.gaps(), event);
    let side = &mut link.sides[event.sender];
    // A handshake that an earlier connection of the session began has no order and no place in the
    // quota of this one yet.
    if open.order == 0 {
        side.published += 1;
        open.order = side.published;
    }
    if !open.counted {
        open.counted = true;
        side.in_flight += 1;
    }
    if let Some(id) = publish.delivery.packet_id() {
        side.open.insert(id.number(), open);
        // One of those that the session owed is sent anew.
        link.pay(event.sender, id.number());
    }
    None
}

/// Holds a client's message for its subscribers, and stores it where it is retained.
fn publish_from_client(
    state: &mut State,
    report: &mut Report,
    link: &Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
    (topic, turn, digest): (Topic<'_>, Turn, u64),
) -> MessageKey {
    let published = Published {
        topic,
        digest,
        qos: publish.delivery.qos(),
        retain: publish.retain,
        turn,
        stamp: event.stamp,
        carried: state.carried(publish, link.version()),
    };
    let key = publish_message(state, report, link, &published);
    if publish.retain {
        let storing = Storing {
            server: link.server,
            topic,
            digest,
            message: Message {
                topic: Some(state.names.shared(topic)),
                qos: publish.delivery.qos(),
                retain: true,
                payload: Payload::of(publish.payload),
            },
            by: Some(Stored {
                stamp: event.stamp,
                connection: link.id,
                client_id: link.client_id.clone(),
                will: false,
            }),
            held: Some(key),
            stamp: event.stamp,
        };
        // A stored message is the same message: late copies of it belong to this publisher's.
        if store(state, report, storing).is_some()
            && let Some(held) = state.messages.get_mut(key)
        {
            held.stored = true;
        }
    }
    key
}

/// Explains a server's PUBLISH.
fn explain_from_server(
    state: &mut State,
    report: &mut Report,
    link: &mut Link,
    event: &PacketEvent<'_>,
    publish: &Publish<'_>,
    (topic, digest): (Topic<'_>, u64),
) -> Explained {
    let step = state.wanted.steps.then(|| step(event));
    let identifiers = publish.properties.subscription_identifiers();
    let copy = Copy {
        topic,
        stamp: event.stamp,
        connection: link.id,
        client_id: link.client_id.clone(),
        qos: publish.delivery.qos(),
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.delivery.packet_id(),
        identifiers: match link.five() {
            // 3.x has no properties, so nothing is kept for them.
            true => identifiers.collect(),
            false => Vec::new(),
        },
        carried: state.carried(publish, link.version()),
        step: step.as_ref(),
    };
    explain(state, report, link, digest, &copy)
}
