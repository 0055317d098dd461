//! PUBLISH, from a client and from a server.

use super::super::caps;
use super::super::context::PacketContext;
use super::super::delivery::explain::explain;
use super::super::delivery::messages::publisher_done;
use super::super::delivery::retained::store_published;
use super::super::delivery::subscribers::hold_message;
use super::super::keys::{MessageKey, Topic, Turn, shared};
use super::super::rules;
use super::super::state::State;
use super::super::state::message::{Copy, Over, Pending};
use super::super::state::open::{Open, step};
use super::exchange::{begin, keep, replace, settle};
use crate::event::{
    HandshakeKind, HandshakeState, Message, Payload, RetainedEnd, RetainedSummary, Stored, Subject,
};
use crate::mqtt::packet::Publish;
use crate::mqtt::{Delivery, QoS, Sender};

/// Acts on a PUBLISH of either end.
pub(crate) fn on_publish(cx: &mut PacketContext<'_>, publish: &Publish<'_>) {
    let event = cx.event;
    // An empty topic name stands for that of its alias (5.0 §3.3.2.3.4); `None` where the capture
    // does not hold the packet that set the alias.
    let text = match publish.topic.is_empty() {
        true => event.topic_resolved,
        false => Some(publish.topic),
    };
    // Topics are compared as they are kept: long ones cut, with a checksum of the whole.
    let short = text.filter(|text| text.len() > caps::NAME).map(shared);
    let name = short.as_deref().or(text);
    let topic = name.map(|name| cx.state.topic(cx.link.broker, name));
    rules::request::check_publish(&mut cx.check(), publish, topic.is_some());
    let digest = topic.map_or(0, |topic| match event.missing {
        0 => cx.state.digest(topic, publish.payload),
        // How much of it was captured depends on the headers before it, so that not even its
        // beginning can be compared: those of one length count as equal.
        _ => (cx.state).digest(topic, &event.payload_length(publish).to_be_bytes()),
    });
    let id = publish.delivery.packet_id();
    let opens = &mut cx.link.sides[event.sender].open;
    let mut owed_before = 0;
    // The identifier is in use: a redelivery, or a handshake that ended unseen.
    if let Some(open) = id.and_then(|id| opens.remove(&id.number())) {
        match join_repeat(cx, publish, digest, open) {
            None => return,
            Some(replaced) => {
                owed_before = replaced.owed();
                replace(cx, replaced);
            }
        }
    } else if publish.dup {
        rules::exchange::check_first_dup(&mut cx.check(), publish, digest);
    }
    // The identifier begins a new handshake, so the message refused on it before no longer matters.
    if let Some(id) = id {
        let refused = &mut cx.link.sides[event.sender].refused;
        if !refused.is_empty() {
            refused.remove(&id.number());
        }
    }
    // Without a topic name a message cannot be matched with a subscription.
    let followed = topic.filter(|_| cx.state.wanted.deliveries);
    let kind = kind(publish);
    // Most messages are of QoS 0: where no view asks for handshakes, none is made.
    if kind == HandshakeKind::Qos0 && !cx.state.wanted.handshakes {
        if let Some(topic) = followed {
            follow_only(cx, publish, topic, digest);
        }
        return;
    }
    let subject = Subject::Message(message(cx.state, publish, topic, cx.event.missing));
    let mut open = begin(cx, kind, id, subject);
    open.digest = digest;
    open.owed_before = owed_before;
    if let Some(topic) = followed {
        match event.sender {
            Sender::Client => {
                open.message = Some(publish_from_client(cx, publish, topic, digest, open.turn));
            }
            Sender::Server => {
                let copy = copy(cx, publish, topic, digest);
                let explained = explain(cx, &copy);
                open.record.origin = Some(explained.origin);
                open.delivery = explained.delivery;
            }
        }
    }
    if kind == HandshakeKind::Qos0 {
        return settle(cx.state, cx.report, open, HandshakeState::Complete);
    }
    // The order decides whether acknowledgements come in the order of their PUBLISH
    // ([MQTT-4.6.0-2]); the count is that of Receive Maximum (5.0 §4.9).
    let side = &mut cx.link.sides[event.sender];
    side.published += 1;
    open.order = side.published;
    open.counted = true;
    side.fills(event.stamp);
    // A PUBLISH above the quota is a protocol error: what the server does next is judged by it.
    if rules::request::check_quota(&mut cx.check()) && event.sender == Sender::Client {
        cx.link.blame(event.stamp);
    }
    keep(cx, open);
}

/// Returns the kind of handshake that a PUBLISH begins.
fn kind(publish: &Publish<'_>) -> HandshakeKind {
    match publish.delivery {
        Delivery::AtMostOnce => HandshakeKind::Qos0,
        Delivery::AtLeastOnce(_) => HandshakeKind::Qos1,
        Delivery::ExactlyOnce(_) => HandshakeKind::Qos2,
    }
}

/// Returns the message of a PUBLISH as it is kept.
fn message(
    state: &mut State,
    publish: &Publish<'_>,
    topic: Option<Topic<'_>>,
    missing: u64,
) -> Message {
    Message {
        topic: topic.map(|topic| state.shared(topic)),
        qos: publish.delivery.qos(),
        retain: publish.retain,
        payload: Payload::of_cut(publish.payload, missing),
    }
}

/// Follows a PUBLISH at QoS 0 where handshakes are not wanted: it is over at once.
fn follow_only(cx: &mut PacketContext<'_>, publish: &Publish<'_>, topic: Topic<'_>, digest: u64) {
    match cx.event.sender {
        Sender::Client => {
            // A turn is reserved although no handshake takes it: order among messages comes from
            // it.
            let turn = cx.report.outbox.reserve();
            let key = publish_from_client(cx, publish, topic, digest, turn);
            let over = Over {
                state: HandshakeState::Complete,
                stamp: cx.event.stamp,
            };
            publisher_done(cx.state, cx.report, key, over);
        }
        // At QoS 0 the copy is all of its delivery.
        Sender::Server => {
            let copy = copy(cx, publish, topic, digest);
            explain(cx, &copy);
        }
    }
}

/// Joins a redelivery to its handshake, which is not over; returns the handshake where the
/// PUBLISH is none, and takes its identifier.
#[cold]
fn join_repeat(
    cx: &mut PacketContext<'_>,
    publish: &Publish<'_>,
    digest: u64,
    mut open: Open,
) -> Option<Open> {
    // A topic that an alias hides has no digest.
    let other = open.digest != digest && open.digest != 0 && digest != 0;
    // Its acknowledgement may have passed unseen: then it is an equal message, sent anew.
    let anew = !publish.dup && open.may_be_missing(cx.link.gaps());
    if open.record.kind != kind(publish) || other || anew {
        return Some(open);
    }
    // Here it is a redelivery: it goes on with the handshake that it repeats.
    rules::exchange::check_repeat(&mut cx.check(), publish, &open);
    open.publishes += 1;
    open.suspended = None;
    open.excused = false;
    open.advance(cx.link.gaps(), cx.event);
    let side = &mut cx.link.sides[cx.event.sender];
    // A handshake that an earlier connection of the session began has no order and no place in the
    // quota of this one yet.
    if open.order == 0 {
        side.published += 1;
        open.order = side.published;
    }
    if !open.counted {
        open.counted = true;
        side.fills(cx.event.stamp);
    }
    if let Some(id) = publish.delivery.packet_id() {
        side.open.insert(id.number(), open);
        // One of those that the session owed is sent anew.
        cx.link.pay(cx.event.sender, id.number());
    }
    None
}

/// Holds a client's message for its subscribers, and stores it where it is retained.
fn publish_from_client(
    cx: &mut PacketContext<'_>,
    publish: &Publish<'_>,
    topic: Topic<'_>,
    digest: u64,
    turn: Turn,
) -> MessageKey {
    let PacketContext { link, event, .. } = cx;
    let summary = publish.retain.then(|| RetainedSummary {
        broker: topic.broker.0,
        server: link.server,
        message: message(cx.state, publish, Some(topic), event.missing),
        stored: Some(Stored {
            stamp: event.stamp,
            connection: link.id,
            client_id: link.client_id.clone(),
            will: false,
        }),
        end: RetainedEnd::Kept,
        deliveries: Vec::new(),
    });
    // A server acts on a QoS 2 message when it is released (mosquitto), or at once (figure 4.3): the
    // first copy that comes before PUBREL shows that.
    let broker = cx.state.brokers.get(topic.broker);
    let at_once = broker.is_some_and(|broker| broker.acts_at_publish);
    if publish.delivery.qos() == QoS::ExactlyOnce && !at_once {
        let pending = Box::new(Pending {
            topic: cx.state.shared(topic),
            stored: summary,
        });
        return hold_message(cx, publish, topic, digest, turn, Some(pending));
    }
    let key = hold_message(cx, publish, topic, digest, turn, None);
    if let Some(summary) = summary {
        store_published(cx.state, cx.report, key, summary, cx.event.stamp);
    }
    key
}

/// Returns a server's PUBLISH as a copy of some message.
fn copy<'a>(
    cx: &PacketContext<'_>,
    publish: &Publish<'_>,
    topic: Topic<'a>,
    digest: u64,
) -> Copy<'a> {
    let identifiers = publish.properties.subscription_identifiers();
    Copy {
        topic,
        digest,
        stamp: cx.event.stamp,
        qos: publish.delivery.qos(),
        retain: publish.retain,
        dup: publish.dup,
        packet_id: publish.delivery.packet_id(),
        identifiers: match cx.link.five() {
            // 3.x has no properties, so nothing is kept for them.
            true => identifiers.collect(),
            false => Vec::new(),
        },
        carried: cx.state.carried(publish, cx.link.version()),
        step: cx.state.wanted.details.then(|| step(cx.event)),
    }
}
