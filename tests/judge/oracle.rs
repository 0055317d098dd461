//! The truth of a run: the hidden numbers in the untouched capture, beside what the driver knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use mqtt_inspect::mqtt::topic::{matches, matching_part};
use mqtt_inspect::mqtt::{ControlPacket, PacketType, Sender};
use mqtt_inspect::{OwnedEvent, Records};

use super::client::read;
use super::known::{End, Known, MessageId, id_of};

/// A control packet of the capture.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) frame: u64,
    /// The client's.
    pub(crate) port: u16,
    pub(crate) sender: Sender,
    pub(crate) packet_type: PacketType,
    pub(crate) packet_id: Option<u16>,
    /// The message of a PUBLISH that is the driver's.
    pub(crate) message: Option<MessageId>,
    pub(crate) dup: bool,
    pub(crate) retain: bool,
}

/// Everything that is known of a run.
pub(crate) struct Truth {
    pub(crate) known: Known,
    pub(crate) packets: Vec<Seen>,
    /// Places in `packets` by frame.
    by_frame: BTreeMap<u64, Vec<usize>>,
    /// Places in `packets` of the copies of a message.
    copies: BTreeMap<MessageId, Vec<usize>>,
    /// Places in `packets` of the PUBLISH packets of its publisher.
    published: BTreeMap<MessageId, Vec<usize>>,
    /// By the client's port.
    receive_maximum: BTreeMap<u16, usize>,
}

impl Truth {
    /// Reads the untouched capture and checks it against the driver's own notes.
    pub(crate) fn read(capture: &Path, known: Known) -> Self {
        let mut truth = Self {
            known,
            packets: Vec::new(),
            by_frame: BTreeMap::new(),
            copies: BTreeMap::new(),
            published: BTreeMap::new(),
            receive_maximum: BTreeMap::new(),
        };
        for record in Records::open([capture], &Default::default()) {
            if let OwnedEvent::Packet(packet) = record.expect("a sound capture") {
                let client = match packet.sender {
                    Sender::Client => packet.source,
                    Sender::Server => packet.destination,
                };
                let mut seen = Seen {
                    frame: packet.stamp.number,
                    port: client.port,
                    sender: packet.sender,
                    packet_type: packet.packet_type,
                    packet_id: None,
                    message: None,
                    dup: false,
                    retain: false,
                };
                let version = packet.version.expect("every connection has its CONNECT");
                match read(&packet.bytes, version) {
                    ControlPacket::Publish(publish) => {
                        seen.packet_id = publish.delivery.packet_id().map(|id| id.number());
                        seen.message = id_of(publish.payload);
                        seen.dup = publish.dup;
                        seen.retain = publish.retain;
                    }
                    ControlPacket::PubAck(ack)
                    | ControlPacket::PubRec(ack)
                    | ControlPacket::PubRel(ack)
                    | ControlPacket::PubComp(ack) => {
                        seen.packet_id = Some(ack.packet_id.number());
                    }
                    ControlPacket::Connect(connect) => {
                        let properties = connect.properties;
                        let maximum = properties.receive_maximum().map_or(65_535, usize::from);
                        truth.receive_maximum.insert(client.port, maximum);
                    }
                    _ => {}
                }
                truth.add(seen);
            }
        }
        truth
    }

    fn add(&mut self, seen: Seen) {
        let place = self.packets.len();
        self.by_frame.entry(seen.frame).or_default().push(place);
        if let Some(message) = seen.message {
            let list = match seen.sender {
                Sender::Client => &mut self.published,
                Sender::Server => &mut self.copies,
            };
            list.entry(message).or_default().push(place);
        }
        self.packets.push(seen);
    }

    /// The capture holds what the driver received, and what it sent and did not cut off: tcpdump has
    /// dropped nothing.
    pub(crate) fn is_whole(&self) -> bool {
        let captured: BTreeSet<_> = self
            .packets
            .iter()
            .filter_map(|seen| Some((seen.port, seen.sender, seen.message?)))
            .collect();
        self.known.seen.iter().all(|noted| {
            let (port, sender, _) = noted;
            let end = self.known.links[port].end;
            let sure = *sender == Sender::Server || matches!(end, End::Open | End::Disconnect);
            !sure || captured.contains(noted)
        })
    }

    /// The control packets that end in a frame.
    pub(crate) fn in_frame(&self, frame: u64) -> impl Iterator<Item = &Seen> {
        let places = self.by_frame.get(&frame).into_iter().flatten();
        places.map(|place| &self.packets[*place])
    }

    /// The messages that a frame may be named for: PUBLISH packets of `sender` that end there, those
    /// with this packet identifier where it is given.
    pub(crate) fn messages(
        &self,
        frame: u64,
        sender: Sender,
        packet_id: Option<u16>,
    ) -> BTreeSet<MessageId> {
        self.in_frame(frame)
            .filter(|seen| seen.sender == sender && seen.packet_type == PacketType::Publish)
            .filter(|seen| packet_id.is_none() || seen.packet_id == packet_id)
            .filter_map(|seen| seen.message)
            .collect()
    }

    /// Every PUBLISH with which the broker sent a message.
    pub(crate) fn copies(&self, message: MessageId) -> impl Iterator<Item = &Seen> {
        let places = self.copies.get(&message).into_iter().flatten();
        places.map(|place| &self.packets[*place])
    }

    /// Every PUBLISH with which its publisher sent a message.
    pub(crate) fn published(&self, message: MessageId) -> impl Iterator<Item = &Seen> {
        let places = self.published.get(&message).into_iter().flatten();
        places.map(|place| &self.packets[*place])
    }

    /// The client of a port.
    pub(crate) fn client(&self, port: u16) -> &str {
        let link = self.known.links.get(&port);
        link.map_or("", |link| &link.client)
    }

    /// Whether the broker sent a live copy of a message to a client for one of `filters`, up to the
    /// frame `last`, as far as the copy shows it: a client that also has a filter of the other kind, shared or not, may have
    /// got it for that.
    pub(crate) fn surely_got(
        &self,
        client: &str,
        message: MessageId,
        filters: &[&str],
        last: u64,
    ) -> bool {
        let about = &self.known.messages[&message];
        let is_shared = |filter: &str| filter.starts_with("$share/");
        let shared = filters.iter().any(|filter| is_shared(filter));
        let another = self.known.subscribed.iter().any(|(name, filter)| {
            name == client
                && matches(matching_part(filter), &about.topic)
                && (is_shared(filter) != shared)
        });
        let may_be_stored =
            |copy: &Seen| about.retain && (copy.retain || self.keeps_retain(client));
        !another
            && self
                .copies(message)
                .filter(|copy| copy.frame <= last)
                .any(|copy| self.client(copy.port) == client && !may_be_stored(copy))
    }

    /// Whether RETAIN shows nothing about the copies that a client gets.
    pub(crate) fn keeps_retain(&self, client: &str) -> bool {
        self.known.retain_as_published.contains(client)
    }

    /// Whether the broker had more messages in flight on a connection, when it sent the PUBLISH of
    /// `frame`, than the client's Receive Maximum.
    pub(crate) fn exceeds_receive_maximum(&self, port: u16, frame: u64) -> bool {
        let mut in_flight = BTreeSet::new();
        for seen in self.packets.iter().filter(|seen| seen.port == port) {
            match (seen.sender, seen.packet_type, seen.packet_id) {
                (Sender::Server, PacketType::Publish, Some(id)) => drop(in_flight.insert(id)),
                (Sender::Client, PacketType::PubAck | PacketType::PubComp, Some(id)) => {
                    in_flight.remove(&id);
                }
                _ => {}
            }
            if seen.frame == frame {
                break;
            }
        }
        let maximum = self.receive_maximum.get(&port);
        maximum.is_some_and(|maximum| in_flight.len() > *maximum)
    }
}
