//! One client of a script: what it knows of its connection, and how it answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::TcpStream;
use std::time::Duration;

use super::model::{Client, ConnectOptions};
use crate::base::Timestamp;
use crate::broker::{ConnectionKey, PacketIdentifiers, acknowledgement};
use crate::mqtt::packet::{self, Connect};
use crate::mqtt::{ControlPacket, Delivery, Framer, PacketIdentifier, PacketType, ProtocolVersion};

/// Packets that a client remembers for a `wait`; older ones are forgotten.
const REMEMBERED: usize = 100_000;
/// Bytes of their topics.
const REMEMBERED_BYTES: usize = 64 << 20;
/// Bytes of packets that a client keeps to send them again; two of the largest that a step sends fit.
const OPEN_BYTES: usize = 160 << 20;

/// A client of a script at play: its connection, its session, and how it answers.
#[derive(Debug, Default)]
pub(super) struct Actor {
    pub(super) name: String,
    /// Its options in the script.
    pub(super) own_options: ConnectOptions,
    /// The options of its last CONNECT.
    pub(super) options: ConnectOptions,
    /// `None` while it is not connected.
    pub(super) link: Option<Link>,
    /// Packets that came and no `wait` has asked for yet.
    pub(super) received: ReceivedPackets,
    /// Own exchanges that are open: what to send again should the session be continued.
    pub(super) open: OpenExchanges,
    /// DISCONNECT once no exchange is open.
    pub(super) leave: bool,
    /// Types of answers that are held back until a `release`.
    pub(super) hold: Vec<PacketType>,
    /// The answers that were held back, as bytes.
    pub(super) held: Vec<Vec<u8>>,
    /// Types of answers that are not sent, and how many more of each.
    pub(super) drop: Vec<(PacketType, u32)>,
    /// How long every answer waits.
    pub(super) delay: Duration,
    packet_ids: PacketIdentifiers,
}

/// A client's end of its connection.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) stream: TcpStream,
    pub(super) key: ConnectionKey,
    /// Bytes written and read so far.
    pub(super) written: u64,
    pub(super) read: u64,
    /// When it last wrote, for its keep alive.
    pub(super) last_sent: Timestamp,
    /// Read and not yet answered.
    pub(super) incoming: Vec<u8>,
    pub(super) framer: Framer,
    /// The Server closed its direction.
    pub(super) server_closed: bool,
    /// Topic names by the aliases that the broker gave them (MQTT 5.0 §3.3.2.3.4).
    pub(super) aliases: HashMap<u16, String>,
}

/// A packet that came.
#[derive(Debug)]
struct Received {
    packet_type: PacketType,
    /// The topic name of a PUBLISH, an alias resolved.
    topic: Option<String>,
}

impl Received {
    fn is(&self, packet_type: PacketType, topic: Option<&str>) -> bool {
        self.packet_type == packet_type && (topic.is_none() || self.topic.as_deref() == topic)
    }

    fn bytes(&self) -> usize {
        self.topic.as_ref().map_or(0, String::len)
    }
}

/// Packets that came, oldest first, as far as the limits go.
#[derive(Debug, Default)]
pub(super) struct ReceivedPackets {
    packets: VecDeque<Received>,
    /// Bytes of their topics.
    bytes: usize,
}

impl ReceivedPackets {
    /// Remembers a packet, and forgets the oldest beyond the limits.
    fn push(&mut self, packet: Received) {
        self.bytes += packet.bytes();
        self.packets.push_back(packet);
        while self.packets.len() > REMEMBERED || self.bytes > REMEMBERED_BYTES {
            self.forget();
        }
    }

    fn forget(&mut self) {
        let oldest = self.packets.pop_front();
        self.bytes -= oldest.map_or(0, |packet| packet.bytes());
    }

    /// The place of the first of that type, and with that topic where one is given.
    pub(super) fn find(&self, packet_type: PacketType, topic: Option<&str>) -> Option<usize> {
        let mut packets = self.packets.iter();
        packets.position(|packet| packet.is(packet_type, topic))
    }

    /// Forgets the packet at a place, and those before it.
    pub(super) fn forget_up_to(&mut self, place: usize) {
        (0..=place).for_each(|_| self.forget());
    }
}

/// Packets that open exchanges sent last, by packet identifier.
#[derive(Debug, Default)]
pub(super) struct OpenExchanges {
    packets: BTreeMap<PacketIdentifier, Vec<u8>>,
    /// Bytes of all these packets.
    bytes: usize,
}

impl OpenExchanges {
    /// Whether a packet of that length can be kept beside the others.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.bytes.saturating_add(length) <= OPEN_BYTES
    }

    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Keeps the packet that an exchange sent last.
    pub(super) fn keep(&mut self, id: PacketIdentifier, packet: Vec<u8>) {
        self.end(id);
        self.bytes += packet.len();
        self.packets.insert(id, packet);
    }

    fn end(&mut self, id: PacketIdentifier) {
        let ended = self.packets.remove(&id);
        self.bytes -= ended.map_or(0, |packet| packet.len());
    }
}

impl Actor {
    /// A client that has not connected.
    pub(super) fn new(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            own_options: client.options.clone(),
            ..Self::default()
        }
    }

    /// The next packet identifier that no open exchange uses.
    pub(super) fn take_packet_id(&mut self) -> Option<PacketIdentifier> {
        self.packet_ids
            .take(|id| self.open.packets.contains_key(&id))
    }

    /// The CONNECT that the options ask for.
    pub(super) fn connect_packet(&self) -> Vec<u8> {
        let options = &self.options;
        let version = options.version();
        let client_id = options.client_id.as_deref().map_or("", String::as_str);
        let mut connect = Connect::new(version, client_id);
        if options.clean == Some(false) {
            connect.flags = 0;
        }
        connect.keep_alive = options.keep_alive();
        if let Some(properties) = &options.properties {
            connect.properties = properties.as_properties();
        }
        connect.user_name = options.user_name.as_deref().map(String::as_str);
        connect.password = options.password.as_deref().map(String::as_bytes);
        connect.will = options.will.as_ref().map(|will| packet::Will {
            qos: *will.qos,
            retain: will.retain,
            properties: will.properties.as_properties(),
            topic: &will.topic,
            payload: will.payload.as_bytes(),
        });
        written(version, &ControlPacket::Connect(connect))
    }

    /// Takes in what was read: remembers each packet, and returns the answers to them.
    pub(super) fn answer(&mut self) -> Vec<Vec<u8>> {
        let Some(link) = &mut self.link else {
            return Vec::new();
        };
        let incoming = std::mem::take(&mut link.incoming);
        let version = self.options.version();
        let mut replies = Vec::new();
        // The broker frames correctly; should it not, the client receives nothing more.
        let mut rest = incoming.as_slice();
        while let Some(Ok(raw)) = link.framer.next(&mut rest) {
            let Ok(packet) = ControlPacket::read(raw.bytes, version, &mut ()) else {
                continue;
            };
            self.received.push(Received {
                packet_type: packet.packet_type(),
                topic: topic_of(&packet, &mut link.aliases),
            });
            if matches!(&packet, ControlPacket::ConnAck(ack) if !ack.session_present) {
                self.packet_ids = PacketIdentifiers::default();
            }
            answer_one(&packet, version, &mut self.open, &mut replies);
        }
        replies
    }

    /// Has so many more answers of that type dropped: one entry a type, however many steps ask for it.
    pub(super) fn drop_more(&mut self, packet_type: PacketType, count: u32) {
        let mut dropped = self.drop.iter_mut();
        match dropped.find(|(dropped, _)| *dropped == packet_type) {
            Some((_, left)) => *left = left.saturating_add(count),
            None => self.drop.push((packet_type, count)),
        }
    }

    /// Whether an answer of that type is to be dropped now.
    pub(super) fn drops(&mut self, packet_type: PacketType) -> bool {
        let mut dropped = self.drop.iter_mut();
        let found = dropped.find(|(dropped, left)| *dropped == packet_type && *left > 0);
        found.map(|(_, left)| *left -= 1).is_some()
    }
}

/// Returns the topic name of a PUBLISH, and remembers its alias.
fn topic_of(packet: &ControlPacket<'_>, aliases: &mut HashMap<u16, String>) -> Option<String> {
    let ControlPacket::Publish(publish) = packet else {
        return None;
    };
    match publish.properties.topic_alias() {
        Some(alias) if publish.topic.is_empty() => aliases.get(&alias).cloned(),
        Some(alias) => {
            aliases.insert(alias, publish.topic.to_owned());
            Some(publish.topic.to_owned())
        }
        None => Some(publish.topic.to_owned()),
    }
}

/// Adds the answers to a packet, and updates the open exchanges: those of QoS 1 and 2 (MQTT
/// 5.0 §4.3), and what is sent again when a session is continued.
fn answer_one(
    packet: &ControlPacket<'_>,
    version: ProtocolVersion,
    open: &mut OpenExchanges,
    replies: &mut Vec<Vec<u8>>,
) {
    let (packet_type, packet_id) = match packet {
        ControlPacket::ConnAck(ack) if ack.code == 0 && ack.session_present => {
            // What the Server did not acknowledge is sent again ([MQTT-4.4.0-1]).
            for bytes in open.packets.values_mut() {
                let first = bytes.first_mut();
                if let Some(first) = first
                    && PacketType::of(*first) == PacketType::Publish
                {
                    *first |= 0x08;
                }
                replies.push(bytes.clone());
            }
            return;
        }
        ControlPacket::ConnAck(_) => {
            *open = OpenExchanges::default();
            return;
        }
        ControlPacket::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => return,
            Delivery::AtLeastOnce(id) => (PacketType::PubAck, id),
            Delivery::ExactlyOnce(id) => (PacketType::PubRec, id),
        },
        ControlPacket::PubRec(ack) if ack.reason_code < 0x80 => (PacketType::PubRel, ack.packet_id),
        ControlPacket::PubAck(ack) | ControlPacket::PubRec(ack) | ControlPacket::PubComp(ack) => {
            open.end(ack.packet_id);
            return;
        }
        ControlPacket::PubRel(ack) => (PacketType::PubComp, ack.packet_id),
        _ => return,
    };
    let reply = written(version, &acknowledgement(packet_type, packet_id, 0));
    if packet_type == PacketType::PubRel && open.packets.contains_key(&packet_id) {
        open.keep(packet_id, reply.clone());
    }
    replies.push(reply);
}

/// The packet as bytes. What a script can ask for was checked to have a form; a packet that
/// has none, as one longer than the protocol knows, is not sent.
pub(super) fn written(version: ProtocolVersion, packet: &ControlPacket<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    match packet.write(version, &mut out) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u16) -> PacketIdentifier {
        PacketIdentifier::new(number).unwrap()
    }

    #[test]
    fn packets_are_kept_for_a_second_sending_up_to_their_limit() {
        let mut open = OpenExchanges::default();
        open.keep(id(1), vec![0; OPEN_BYTES - 10]);
        assert!(open.has_room(10) && !open.has_room(11));
        open.keep(id(1), vec![0; 4]);
        assert!(open.has_room(OPEN_BYTES - 4) && !open.has_room(OPEN_BYTES - 3));
        open.end(id(1));
        open.end(id(2));
        assert!(open.is_empty() && open.has_room(OPEN_BYTES));
    }

    #[test]
    fn answers_to_drop_are_counted_by_type() {
        let mut actor = Actor::default();
        for count in [1, u32::MAX, 1] {
            actor.drop_more(PacketType::PubAck, count);
            actor.drop_more(PacketType::PubRec, 1);
        }
        assert_eq!(actor.drop.len(), 2);
        let mut dropped = || actor.drops(PacketType::PubRec);
        assert_eq!(
            [dropped(), dropped(), dropped(), dropped()],
            [true, true, true, false]
        );
        assert!(actor.drops(PacketType::PubAck));
    }

    #[test]
    fn the_oldest_packets_are_forgotten_beyond_their_number_or_the_bytes_of_their_topics() {
        let publish = |topic: String| Received {
            packet_type: PacketType::Publish,
            topic: Some(topic),
        };
        let mut received = ReceivedPackets::default();
        let topic = |number: usize| format!("{number:065535}");
        let fit = REMEMBERED_BYTES / 65_535;
        for number in 0..=fit {
            received.push(publish(topic(number)));
        }
        let find = |received: &ReceivedPackets, number| {
            received.find(PacketType::Publish, Some(&topic(number)))
        };
        assert_eq!(find(&received, 0), None);
        assert_eq!(find(&received, 1), Some(0));
        received.forget_up_to(1);
        assert_eq!(find(&received, 3), Some(0));
        for _ in 0..=REMEMBERED {
            received.push(publish(String::new()));
        }
        assert_eq!(received.packets.len(), REMEMBERED);
        assert_eq!(received.bytes, 0);
    }
}
