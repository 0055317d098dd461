//! One client of a script: what it knows of its connection, and how it answers.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::TcpStream;
use std::time::Duration;

use super::model::{Client, ConnectOptions, Will};
use crate::base::Timestamp;
use crate::broker::ConnectionKey;
use crate::mqtt::packet::{self, Acknowledgement, Connect};
use crate::mqtt::{
    ControlPacket, Framer, PacketIdentifier, PacketType, Properties, ProtocolVersion, QoS,
};

/// Packets that a client remembers for a `wait`; older ones are forgotten.
const REMEMBERED: usize = 100_000;

/// A client of a script at play: its connection, its session, and how it answers.
#[derive(Debug)]
pub(super) struct Actor {
    pub(super) name: String,
    /// The options of its last CONNECT.
    pub(super) options: ConnectOptions,
    /// `None` while it is not connected.
    pub(super) link: Option<Link>,
    /// Packets that came and no `wait` has asked for yet.
    pub(super) received: VecDeque<Received>,
    /// Own exchanges that are open: what to send again should the session be continued.
    pub(super) open: BTreeMap<PacketIdentifier, Vec<u8>>,
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
    next_packet_id: u16,
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
pub(super) struct Received {
    pub(super) packet_type: PacketType,
    /// The topic name of a PUBLISH, an alias resolved.
    pub(super) topic: Option<String>,
}

/// An answer that a client wants to send.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) packet_type: PacketType,
    pub(super) bytes: Vec<u8>,
}

impl Actor {
    /// A client that has not connected.
    pub(super) fn new(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            options: client.options.clone(),
            link: None,
            received: VecDeque::new(),
            open: BTreeMap::new(),
            leave: false,
            hold: Vec::new(),
            held: Vec::new(),
            drop: Vec::new(),
            delay: Duration::ZERO,
            next_packet_id: 1,
        }
    }

    /// The next packet identifier that no open exchange uses.
    pub(super) fn take_packet_id(&mut self) -> Option<PacketIdentifier> {
        for _ in 0..u16::MAX {
            let number = self.next_packet_id;
            self.next_packet_id = number.checked_add(1).unwrap_or(1);
            let id = PacketIdentifier::new(number)?;
            if !self.open.contains_key(&id) {
                return Some(id);
            }
        }
        None
    }

    /// The CONNECT that the options ask for.
    pub(super) fn connect_packet(&self) -> Vec<u8> {
        let options = &self.options;
        let mut connect = Connect::new(options.version, &options.client_id);
        if !options.clean {
            connect.flags = 0;
        }
        connect.keep_alive = options.keep_alive;
        connect.properties = options.properties.as_properties();
        connect.user_name = options.user_name.as_deref();
        connect.password = options.password.as_deref().map(str::as_bytes);
        connect.will = options.will.as_ref().map(|will: &Will| packet::Will {
            qos: will.qos,
            retain: will.retain,
            properties: will.properties.as_properties(),
            topic: &will.topic,
            payload: &will.payload,
        });
        written(options.version, &ControlPacket::Connect(connect))
    }

    /// Takes in what was read: remembers each packet, and returns the answers to them.
    pub(super) fn answer(&mut self) -> Vec<Reply> {
        let Some(link) = &mut self.link else {
            return Vec::new();
        };
        let incoming = std::mem::take(&mut link.incoming);
        let version = self.options.version;
        let mut replies = Vec::new();
        let (received, open) = (&mut self.received, &mut self.open);
        let next_packet_id = &mut self.next_packet_id;
        let aliases = &mut link.aliases;
        // The broker frames correctly; should it not, the client receives nothing more.
        let mut rest = incoming.as_slice();
        while let Some(Ok(raw)) = link.framer.next(&mut rest) {
            let Ok(packet) = ControlPacket::read(raw.bytes, version, &mut ()) else {
                continue;
            };
            if received.len() >= REMEMBERED {
                received.pop_front();
            }
            received.push_back(Received {
                packet_type: packet.packet_type(),
                topic: topic_of(&packet, aliases),
            });
            if matches!(&packet, ControlPacket::ConnAck(ack) if !ack.session_present) {
                *next_packet_id = 1;
            }
            answer_one(&packet, version, open, &mut replies);
        }
        replies
    }

    /// Whether an answer of that type is to be dropped now.
    pub(super) fn drops(&mut self, packet_type: PacketType) -> bool {
        let found = self
            .drop
            .iter_mut()
            .find(|(dropped, left)| *dropped == packet_type && *left > 0);
        match found {
            Some((_, left)) => {
                *left -= 1;
                true
            }
            None => false,
        }
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
    open: &mut BTreeMap<PacketIdentifier, Vec<u8>>,
    replies: &mut Vec<Reply>,
) {
    let acknowledge = |packet_id| Acknowledgement {
        packet_id,
        reason_code: 0,
        properties: Properties::default(),
    };
    let reply = match packet {
        ControlPacket::ConnAck(ack) if ack.code == 0 && ack.session_present => {
            // What the Server did not acknowledge is sent again ([MQTT-4.4.0-1]).
            for bytes in open.values_mut() {
                let packet_type = PacketType::of(bytes.first().copied().unwrap_or(0));
                if packet_type == PacketType::Publish
                    && let Some(first) = bytes.first_mut()
                {
                    *first |= 0x08;
                }
                replies.push(Reply {
                    packet_type,
                    bytes: bytes.clone(),
                });
            }
            return;
        }
        ControlPacket::ConnAck(_) => return open.clear(),
        ControlPacket::Publish(publish) => {
            let Some(packet_id) = publish.delivery.packet_id() else {
                return;
            };
            match publish.delivery.qos() {
                QoS::ExactlyOnce => ControlPacket::PubRec(acknowledge(packet_id)),
                _ => ControlPacket::PubAck(acknowledge(packet_id)),
            }
        }
        ControlPacket::PubRec(ack) if ack.reason_code < 0x80 => {
            let release = ControlPacket::PubRel(acknowledge(ack.packet_id));
            if let Some(again) = open.get_mut(&ack.packet_id) {
                *again = written(version, &release);
            }
            release
        }
        ControlPacket::PubAck(ack) | ControlPacket::PubRec(ack) | ControlPacket::PubComp(ack) => {
            open.remove(&ack.packet_id);
            return;
        }
        ControlPacket::PubRel(ack) => ControlPacket::PubComp(acknowledge(ack.packet_id)),
        _ => return,
    };
    replies.push(Reply {
        packet_type: reply.packet_type(),
        bytes: written(version, &reply),
    });
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
