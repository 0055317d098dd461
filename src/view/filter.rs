//! Only the packets that the user asked for: by topic, by client, by packet type.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU16;

use foldhash::{HashSet, HashSetExt};

use super::info::topic_of;
use super::observer::View;
use crate::base::FrameStamp;
use crate::base::limits::{Limit, Limits};
use crate::event::{
    ConnectionId, Event, Handshake, LimitReached, MessageDelivery, Needs, Origin, PacketEvent,
    Subject, Totals,
};
use crate::mqtt::packet::ControlPacket;
use crate::mqtt::topic::overlap;
use crate::mqtt::{PacketIdentifier, PacketType, Sender};

/// The selection that the user asked for; a member that is `None` lets everything through.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selection {
    /// A topic filter, by MQTT's own wildcard rules. It selects a PUBLISH by its topic
    /// (aliases resolved), a CONNECT by its will topic, SUBSCRIBE and UNSUBSCRIBE by any
    /// filter that could select a topic in common, and what acknowledges those packets.
    pub topic: Option<String>,
    /// A client identifier, also one that the Server assigned: all packets of its
    /// connections, in both directions.
    pub client: Option<String>,
    /// Packet types; none selects all.
    pub types: Vec<PacketType>,
}

impl Selection {
    /// Whether everything is let through.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// Lets through to a view what the selection takes.
#[derive(Debug)]
pub struct Filtered<V> {
    selection: Selection,
    view: V,
    /// Connections of the client asked for.
    connections: HashSet<ConnectionId>,
    /// Identifiers of packets that carried the topic and wait for acknowledgement, by who
    /// sent them: both ends count on their own.
    open: BTreeSet<(ConnectionId, Sender, PacketIdentifier)>,
    /// Packets and connections that could not be followed because a cap was reached.
    unfollowed: u64,
    limits: Limits,
}

impl<V: View> Filtered<V> {
    /// Returns a view that passes to `view` only what `selection` selects, and follows as many
    /// connections and packet identifiers as `limits` allow.
    pub fn new(selection: Selection, view: V, limits: &Limits) -> Self {
        Self {
            selection,
            view,
            connections: HashSet::new(),
            open: BTreeSet::new(),
            unfollowed: 0,
            limits: *limits,
        }
    }

    fn takes(&mut self, seen: &PacketEvent<'_>) -> bool {
        // Each is asked even if another has refused: both remember what they see.
        let client = self.takes_client(seen);
        let topic = self.takes_topic(seen);
        let types = &self.selection.types;
        client && topic && (types.is_empty() || types.contains(&seen.packet_type))
    }

    fn takes_client(&mut self, seen: &PacketEvent<'_>) -> bool {
        let Some(client) = self.selection.client.as_deref() else {
            return true;
        };
        let named = match &seen.packet {
            Ok(ControlPacket::Connect(connect)) => Some(connect.client_id),
            Ok(ControlPacket::ConnAck(ack)) => ack.properties.assigned_client_identifier(),
            _ => None,
        };
        if named == Some(client) {
            if self.connections.len() < self.limits.selection {
                self.connections.insert(seen.connection);
            } else {
                self.unfollowed += 1;
            }
            return true;
        }
        self.connections.contains(&seen.connection)
    }

    fn takes_topic(&mut self, seen: &PacketEvent<'_>) -> bool {
        let Some(wanted) = self.selection.topic.as_deref() else {
            return true;
        };
        let Ok(packet) = &seen.packet else {
            return false;
        };
        // Whose identifier an acknowledgement answers, and whether it is the last to do so.
        let (sender, id, last) = match packet {
            ControlPacket::Publish(publish) => {
                let topic = topic_of(publish, seen);
                let takes = !topic.is_empty() && overlap(wanted, topic);
                return self.follow(seen, publish.delivery.packet_id(), takes);
            }
            ControlPacket::Connect(connect) => {
                let will = connect.will.as_ref();
                return will.is_some_and(|will| overlap(wanted, will.topic));
            }
            ControlPacket::Subscribe(subscribe) => {
                let mut filters = subscribe.subscriptions.iter();
                let takes = filters.any(|one| overlap(wanted, one.filter));
                return self.follow(seen, Some(subscribe.packet_id), takes);
            }
            ControlPacket::Unsubscribe(unsubscribe) => {
                let mut filters = unsubscribe.filters.iter();
                let takes = filters.any(|filter| overlap(wanted, filter));
                return self.follow(seen, Some(unsubscribe.packet_id), takes);
            }
            ControlPacket::PubRec(ack) => {
                (seen.sender.peer(), ack.packet_id, ack.reason_code >= 0x80)
            }
            ControlPacket::PubRel(ack) => (seen.sender, ack.packet_id, false),
            ControlPacket::PubAck(ack) | ControlPacket::PubComp(ack) => {
                (seen.sender.peer(), ack.packet_id, true)
            }
            ControlPacket::SubAck(ack) => (Sender::Client, ack.packet_id, true),
            ControlPacket::UnsubAck(ack) => (Sender::Client, ack.packet_id, true),
            ControlPacket::ConnAck(_)
            | ControlPacket::PingReq
            | ControlPacket::PingResp
            | ControlPacket::Disconnect(_)
            | ControlPacket::Auth(_) => return false,
        };
        let key = (seen.connection, sender, id);
        match last {
            true => self.open.remove(&key),
            false => self.open.contains(&key),
        }
    }

    /// Remembers or forgets the identifier of a packet that begins a handshake; returns whether the
    /// packet is let through.
    fn follow(
        &mut self,
        seen: &PacketEvent<'_>,
        id: Option<PacketIdentifier>,
        takes: bool,
    ) -> bool {
        let Some(id) = id else { return takes };
        let key = (seen.connection, seen.sender, id);
        if !takes {
            self.open.remove(&key);
        } else if self.open.len() < self.limits.selection_packets {
            self.open.insert(key);
        } else {
            self.unfollowed += 1;
        }
        takes
    }

    /// Whether the story of an exchange is let through.
    fn takes_handshake(&self, handshake: &Handshake) -> bool {
        // A server's copy is also its publisher's.
        let publisher = match &handshake.origin {
            Some(Origin::Published { client_id, .. } | Origin::Will { client_id, .. }) => {
                client_id.as_deref()
            }
            _ => None,
        };
        let clients = [handshake.client_id.as_deref(), publisher];
        let takes = |topics: &mut dyn Iterator<Item = &str>| {
            self.takes_story(&clients, &handshake.deliveries, topics)
        };
        match &handshake.subject {
            Subject::Message(message) => takes(&mut message.topic.as_deref().into_iter()),
            Subject::Connect(connect) => {
                takes(&mut connect.will.as_ref().map(|will| &*will.topic).into_iter())
            }
            Subject::Subscribe(asked) | Subject::Unsubscribe(asked) => {
                takes(&mut asked.iter().map(|one| &*one.filter))
            }
            Subject::Nothing => takes(&mut std::iter::empty()),
        }
    }

    /// Whether a story of these clients, of those that its messages went to, and of these topics
    /// (or filters) is let through.
    fn takes_story<'s>(
        &self,
        clients: &[Option<&str>],
        deliveries: &[MessageDelivery],
        topics: impl IntoIterator<Item = &'s str>,
    ) -> bool {
        let Selection { topic, client, .. } = &self.selection;
        let clients = clients.iter().copied();
        let subscribers = deliveries.iter().map(|leg| leg.client_id.as_deref());
        let mut clients = clients.chain(subscribers).flatten();
        let mut topics = topics.into_iter();
        (client.as_deref()).is_none_or(|wanted| clients.any(|id| id == wanted))
            && (topic.as_deref()).is_none_or(|wanted| topics.any(|topic| overlap(wanted, topic)))
    }

    /// Whether what concerns a whole connection is let through.
    fn takes_connection(&self, connection: ConnectionId) -> bool {
        self.selection.client.is_none() || self.connections.contains(&connection)
    }

    fn forget(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        let first = (
            connection,
            Sender::Client,
            PacketIdentifier(NonZeroU16::MIN),
        );
        let later = self
            .open
            .range(first..)
            .take_while(|(of, ..)| *of == connection);
        for one in later.copied().collect::<Vec<_>>() {
            self.open.remove(&one);
        }
    }
}

impl<V: View> View for Filtered<V> {
    fn frame(&mut self, stamp: &FrameStamp) {
        self.view.frame(stamp);
    }

    fn needs(&self) -> Needs {
        self.view.needs()
    }

    fn counts_once(&self) -> bool {
        self.view.counts_once()
    }

    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        let takes = match event {
            Event::Opened(_) => true,
            Event::Packet(seen) => self.takes(seen),
            Event::Gap(gap) => self.takes_connection(gap.connection),
            // A line of its own, of no topic and no packet type.
            Event::FirstEnd(ending) => {
                let Selection { topic, types, .. } = &self.selection;
                topic.is_none() && types.is_empty() && self.takes_connection(ending.connection)
            }
            Event::Ended(ended) => {
                let takes = self.takes_connection(ended.connection);
                self.forget(ended.connection);
                takes
            }
            Event::NotMqtt(_) => self.selection.client.is_none(),
            // The analysis makes findings of them.
            Event::Breach(_) | Event::SeenTwice(_) | Event::Disorder(_) | Event::Stalled(_) => {
                false
            }
            Event::Handshake(handshake) => self.takes_handshake(handshake),
            Event::Will(story) => {
                let client = story.client_id.as_deref();
                self.takes_story(&[client], &story.deliveries, [&*story.will.topic])
            }
            Event::Retained(story) => {
                let stored = story.stored.as_ref();
                let client = stored.and_then(|one| one.client_id.as_deref());
                let topic = story.message.topic.as_deref();
                self.takes_story(&[client], &story.deliveries, topic)
            }
            Event::Session(story) => {
                let filters = story.subscriptions.iter().map(|filter| &**filter);
                self.takes_story(&[story.client_id.as_deref()], &[], filters)
            }
            // What a finding is about has no topic of its own: better one too many.
            Event::Finding(finding) => match &self.selection.client {
                Some(client) => finding.client_id.as_deref() == Some(client),
                None => true,
            },
        };
        if takes {
            self.view.event(event)
        } else {
            self.view.left_out(event)
        }
    }

    fn idle(&mut self) -> io::Result<()> {
        self.view.idle()
    }

    fn limits_reached(&self) -> Vec<LimitReached> {
        let mut caps = self.view.limits_reached();
        if self.unfollowed > 0 {
            caps.push((Limit::Selection, self.unfollowed).into());
        }
        caps
    }

    fn finish(&mut self, totals: &Totals) -> io::Result<()> {
        self.view.finish(totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::samples::{Sample, recorded};

    fn select(selection: Selection, samples: &[Sample]) -> Vec<&'static str> {
        recorded(samples, |seen| {
            Filtered::new(selection, seen, &Limits::DEFAULT)
        })
    }

    fn conversation() -> Vec<Sample> {
        vec![
            Sample::connect(1, "a", None),
            Sample::connect(2, "b", Some("t/will")),
            Sample::server(2, &[0x20, 2, 0, 0]),
            Sample::client(1, b"\x82\x08\x00\x01\x00\x03t/#\x01"),
            Sample::server(1, &[0x90, 3, 0, 1, 1]),
            Sample::client(2, b"\x34\x06\x00\x02\x00\x01uX"),
            Sample::server(2, &[0x50, 2, 0, 2]),
            Sample::client(2, b"\x34\x07\x00\x03t/u\x00\x03"),
            Sample::server(2, &[0x50, 2, 0, 3]),
            Sample::client(2, &[0x62, 2, 0, 3]),
            Sample::server(2, &[0x70, 2, 0, 3]),
            Sample::server(1, b"\x30\x05\x00\x03t/u"),
            Sample::client(1, &[0xc0, 0]),
        ]
    }

    #[test]
    fn a_topic_selects_the_packets_that_carry_it_and_their_acknowledgements() {
        let selection = Selection {
            topic: Some("t/#".to_owned()),
            ..Selection::default()
        };
        assert_eq!(
            select(selection, &conversation()),
            [
                "CONNECT",
                "SUBSCRIBE",
                "SUBACK",
                "PUBLISH",
                "PUBREC",
                "PUBREL",
                "PUBCOMP",
                "PUBLISH"
            ]
        );
    }

    #[test]
    fn a_client_selects_its_connections_in_both_directions() {
        let selection = Selection {
            client: Some("a".to_owned()),
            ..Selection::default()
        };
        assert_eq!(
            select(selection, &conversation()),
            ["CONNECT", "SUBSCRIBE", "SUBACK", "PUBLISH", "PINGREQ"]
        );
    }

    #[test]
    fn types_narrow_what_topic_and_client_take() {
        let selection = Selection {
            client: Some("b".to_owned()),
            types: vec![PacketType::PubRec, PacketType::ConnAck],
            ..Selection::default()
        };
        assert_eq!(
            select(selection, &conversation()),
            ["CONNACK", "PUBREC", "PUBREC"]
        );
    }
}
