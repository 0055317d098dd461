//! A connection as the lines of the log need it.

use std::collections::{BTreeMap, VecDeque};

use crate::base::{Endpoint, FrameStamp, Timestamp};
use crate::event::{FirstEnd, Opened, OwnedPacket, PacketEvent};
use crate::mqtt::packet::{Connect, Subscribe};
use crate::mqtt::topic::{filter_broken, matches};
use crate::mqtt::{ControlPacket, PacketIdentifier, PacketType, ProtocolVersion, QoS};

/// mosquitto's word for a client whose CONNECT it has not accepted.
pub(super) const UNKNOWN: &str = "<unknown>";

/// Packets of a client that wait for an answer to the one before them; more are written at once.
pub(super) const MOST_WAITING: usize = 64;

/// Bytes of a SUBSCRIBE whose topic filters are matched against the messages that the server sends;
/// each message would search through those of a longer one.
const LONGEST_SEARCHED: usize = 16 << 10;

/// Bytes of SUBSCRIBE packets of a connection that are searched at first; each byte of a message
/// brings [`SEARCHED_A_BYTE`] more.
const MOST_SEARCHED: usize = 1 << 20;
const SEARCHED_A_BYTE: usize = 64;

/// How long a packet waits for the answer to the one before it, in nanoseconds.
const LONGEST_WAIT: i64 = 1_000_000_000;

/// The state of a connection that its lines need.
#[derive(Debug)]
pub(super) struct Followed {
    pub(super) client: Endpoint,
    pub(super) server: Endpoint,
    /// The client identifier once it is accepted; where it is not known, mosquitto's word for it
    /// or the client's address and port. As much as a line shows.
    pub(super) name: String,
    /// The client identifier, once it is accepted, by the hash of the server and that.
    pub(super) identifier: Option<u64>,
    pub(super) phase: Phase,
    /// The frame of "New connection", until that line is written.
    pub(super) unannounced: Option<FrameStamp>,
    /// Packets of the client that are not answered, or come behind one that is not.
    pub(super) waiting: VecDeque<Held>,
    /// In seconds; the server's where it gave one.
    pub(super) keep_alive: u16,
    /// The will, by the hash of the server and its topic.
    pub(super) will: Option<u64>,
    /// Bytes of SUBSCRIBE packets that may still be searched for the topics of messages.
    pub(super) search: usize,
    /// When the client's last packet came.
    pub(super) last: Option<Timestamp>,
    /// The session ends with the connection (5.0): DISCONNECT cannot change that.
    pub(super) ends_session: bool,
    /// The greatest topic alias that the server takes (5.0).
    pub(super) alias_maximum: u16,
    /// Messages above QoS 0 on their way to the client; `None` where not all of them are known.
    pub(super) sent: Option<BTreeMap<u16, QoS>>,
    /// The client acknowledged one of them as if it had another QoS.
    pub(super) wrong_answer: bool,
    /// The client closed; packets that it sent before are not answered yet.
    pub(super) closing: Option<(FirstEnd, bool)>,
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// No CONNECT was accepted yet.
    New,
    /// A CONNECT was accepted, or the connection began before the capture.
    Active,
    /// The line of its end is written, or never will be.
    Over,
}

/// A packet of the client that waits.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) packet: OwnedPacket,
    /// Of a PUBLISH that can be read, a hash of its server and its topic.
    pub(super) topic: Option<u64>,
    /// Of a packet that can be read and has one.
    packet_id: Option<PacketIdentifier>,
    /// The user's selection takes it.
    pub(super) shown: bool,
    /// Its line is written: it only waits for its answer.
    pub(super) written: bool,
    /// mosquitto ends the connection for it.
    pub(super) fatal: bool,
}

impl Followed {
    pub(super) fn new(opened: &Opened) -> Self {
        let Endpoint { address, port } = opened.client;
        let begins = opened.connection.handshake_seen;
        Self {
            client: opened.client,
            server: opened.server,
            name: match begins {
                true => UNKNOWN.to_owned(),
                false => format!("{address}:{port}"),
            },
            phase: match begins {
                true => Phase::New,
                false => Phase::Active,
            },
            unannounced: Some(opened.stamp),
            waiting: VecDeque::new(),
            keep_alive: 0,
            identifier: None,
            will: None,
            search: MOST_SEARCHED,
            last: None,
            ends_session: false,
            alias_maximum: 0,
            sent: None,
            wrong_answer: false,
            closing: None,
        }
    }

    /// The client by its address and port: no identifier of it is in the capture.
    pub(super) fn nameless(&self) -> String {
        let Endpoint { address, port } = self.client;
        format!("{address}:{port}")
    }

    /// Notes a CONNECT that the server may accept.
    pub(super) fn asks(&mut self, connect: &Connect<'_>, hash: impl FnOnce(&str) -> u64) {
        self.keep_alive = connect.keep_alive;
        let expiry = connect.properties.session_expiry_interval();
        self.ends_session = expiry.unwrap_or(0) == 0;
        let will = connect.will.as_ref();
        self.will = will.map(|will| hash(will.topic));
    }

    /// Notes an acknowledgement of a message; returns whether none such is on its way.
    pub(super) fn acknowledges(&mut self, packet_type: PacketType, id: PacketIdentifier) -> bool {
        let Some(sent) = &mut self.sent else {
            return false;
        };
        let due = match packet_type {
            PacketType::PubAck => QoS::AtLeastOnce,
            _ => QoS::ExactlyOnce,
        };
        let found = sent.get(&id.number()).copied();
        self.wrong_answer |= found.is_some_and(|qos| qos != due);
        if packet_type != PacketType::PubRec {
            sent.remove(&id.number());
        }
        found.is_none()
    }

    /// Whether the client was silent for longer than mosquitto allows, which counts whole seconds.
    pub(super) fn is_silent(&self, now: Option<Timestamp>) -> bool {
        let longest = i64::from(self.keep_alive) * 3 / 2;
        match (now, self.last) {
            (Some(now), Some(last)) if self.keep_alive > 0 => {
                now.since(last).nanos() > longest * 1_000_000_000
            }
            _ => false,
        }
    }

    /// Returns the place of the first packet that waits and that a message of the server may be an
    /// effect of, where there is one. `hash` is that of server and topic; of a message to this
    /// very connection, `size` is its bytes.
    pub(super) fn cause(&mut self, hash: u64, topic: &str, size: Option<usize>) -> Option<usize> {
        let earned = size.unwrap_or(0).saturating_mul(SEARCHED_A_BYTE);
        self.search = self.search.saturating_add(earned).min(MOST_SEARCHED);
        let search = &mut self.search;
        let mut waiting = self.waiting.iter();
        waiting.position(|held| held.may_cause(hash, topic, size.is_some(), search))
    }

    /// Whether the first packet that waits does so for too long, or too many do.
    pub(super) fn waits_too_long(&self, now: Option<Timestamp>) -> bool {
        let first = self.waiting.front().and_then(|held| held.packet.stamp.time);
        let late = match (now, first) {
            (Some(now), Some(first)) => now.since(first).nanos() > LONGEST_WAIT,
            _ => false,
        };
        late || self.waiting.len() >= MOST_WAITING
    }
}

impl Held {
    /// A packet whose topic, if it has one, is hashed by `hash`.
    pub(super) fn new(seen: &PacketEvent<'_>, shown: bool, hash: impl FnOnce(&str) -> u64) -> Self {
        let mut packet = OwnedPacket::from(seen);
        // No line has these.
        packet.frames = Vec::new();
        packet.client_id = None;
        let mut topic = None;
        if let Ok(ControlPacket::Publish(publish)) = seen.packet {
            // Of the payload only its length is shown.
            packet
                .bytes
                .truncate(packet.bytes.len() - publish.payload.len());
            packet.bytes.shrink_to_fit();
            packet.missing += publish.payload.len() as u64;
            topic = Some(hash(seen.topic_resolved.unwrap_or(publish.topic)));
        }
        Self {
            packet,
            topic,
            packet_id: seen.packet.ok().and_then(packet_id),
            shown,
            written: false,
            fatal: false,
        }
    }

    /// The memory that it takes, in bytes.
    pub(super) fn weight(&self) -> usize {
        let topic = self.packet.topic_resolved.as_ref();
        size_of::<Self>() + self.packet.bytes.len() + topic.map_or(0, |topic| topic.len())
    }

    /// Whether its line waits for the answer, which decides its text.
    pub(super) fn waits_unwritten(&self) -> bool {
        match self.packet.packet_type {
            PacketType::Connect | PacketType::Subscribe | PacketType::Unsubscribe => true,
            PacketType::Publish if self.qos() > 0 => true,
            _ => self.fatal || self.packet.malformed.is_some(),
        }
    }

    /// Whether the server answers it.
    pub(super) fn is_answered(&self) -> bool {
        match self.packet.packet_type {
            PacketType::Publish => self.qos() > 0,
            PacketType::Connect
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::Subscribe
            | PacketType::Unsubscribe
            | PacketType::PingReq
            | PacketType::Auth => true,
            _ => false,
        }
    }

    /// The QoS bits of a PUBLISH.
    fn qos(&self) -> u8 {
        self.packet.bytes.first().map_or(0, |first| first >> 1 & 3)
    }

    /// Whether a packet of the server is the answer to this one.
    pub(super) fn is_answered_by(&self, answer: &ControlPacket<'_>) -> bool {
        // mosquitto answers some malformed ones all the same.
        let malformed = self.packet.malformed.is_some();
        let same = || self.packet_id.is_some() && self.packet_id == packet_id(answer);
        match (self.packet.packet_type, answer) {
            (PacketType::PingReq, ControlPacket::PingResp) => true,
            (PacketType::Connect, ControlPacket::ConnAck(_))
            | (PacketType::Auth, ControlPacket::Auth(_)) => !malformed,
            (PacketType::Subscribe, ControlPacket::SubAck(_)) => malformed || same(),
            (PacketType::Publish, ControlPacket::PubAck(_) | ControlPacket::PubRec(_))
            | (PacketType::PubRel, ControlPacket::PubComp(_))
            | (PacketType::PubRec, ControlPacket::PubRel(_))
            | (PacketType::Unsubscribe, ControlPacket::UnsubAck(_)) => same(),
            _ => false,
        }
    }

    /// Whether a message of the server may be an effect of this packet: a copy of it, or one for
    /// its subscription where that is of the `same` connection. `hash` is that of server and topic;
    /// what is searched is taken from `search`.
    fn may_cause(&self, hash: u64, topic: &str, same: bool, search: &mut usize) -> bool {
        if self.written {
            return false;
        }
        match self.packet.packet_type {
            PacketType::Publish => self.topic == Some(hash),
            PacketType::Subscribe if same && self.packet.bytes.len() <= LONGEST_SEARCHED => {
                let Some(left) = search.checked_sub(self.packet.bytes.len()) else {
                    return false;
                };
                *search = left;
                matches!(self.packet.decode(), Ok(ControlPacket::Subscribe(one)) if takes(&one, topic))
            }
            _ => false,
        }
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.packet.version.unwrap_or(ProtocolVersion::V3_1_1)
    }
}

/// The packet identifier of a packet that asks for an answer, or is one.
fn packet_id(packet: &ControlPacket<'_>) -> Option<PacketIdentifier> {
    match packet {
        ControlPacket::Publish(publish) => publish.delivery.packet_id(),
        ControlPacket::PubAck(ack)
        | ControlPacket::PubRec(ack)
        | ControlPacket::PubRel(ack)
        | ControlPacket::PubComp(ack) => Some(ack.packet_id),
        ControlPacket::Subscribe(asked) => Some(asked.packet_id),
        ControlPacket::SubAck(ack) => Some(ack.packet_id),
        ControlPacket::Unsubscribe(asked) => Some(asked.packet_id),
        ControlPacket::UnsubAck(ack) => Some(ack.packet_id),
        _ => None,
    }
}

/// Whether one of the subscriptions takes messages of `topic`.
fn takes(subscribe: &Subscribe<'_>, topic: &str) -> bool {
    let mut filters = subscribe.subscriptions.iter().map(|one| one.filter);
    filters.any(|filter| filter_broken(filter).is_none() && matches(filter, topic))
}
