//! The MQTT server without I/O: bytes and the time in, [`Action`]s out.
//!
//! Deterministic: the same calls with the same seed give the same actions in the same order.
//! What a Client may make the Server keep is capped by [`BrokerLimits`]; reaching a cap is told in
//! the log and, where the protocol has a word for it, to the Client.
//!
//! Policy where queues are full: a QoS 0 message is dropped for a Client that does not read
//! ([`BrokerLimits::unsent_bytes`], [`BrokerLimits::all_unsent_bytes`]); above QoS 0 it waits, and the
//! newest message is dropped once the Client's queue is full ([`BrokerLimits::queued_messages`],
//! [`BrokerLimits::queued_bytes`], [`BrokerLimits::all_held_bytes`]).

mod connect;
mod deliver;
mod encode;
mod filters;
mod link;
mod message;
mod publish;
mod retained;
mod session;
mod subscribe;
#[cfg(test)]
mod tests;
mod tick;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use self::filters::{Filters, Match};
use self::link::{Link, Stage};
use self::retained::Retained;
use self::session::{Session, SessionKey};
use super::Seed;
use crate::base::limits::BrokerLimits;
use crate::base::{Endpoint, Span, Timestamp};
use crate::event::log::{Line, Way};
use crate::mqtt::framer::{Cut, FixedHeader, Header, cut, fixed_header};
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Rule};

/// Names a network connection; the caller chooses, and never twice.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ConnectionKey(pub u64);

/// What the Server wants done, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// One control packet for the Client.
    Send {
        connection: ConnectionKey,
        bytes: Vec<u8>,
    },
    /// Nothing more is said to the Client: close once everything before is sent.
    Close { connection: ConnectionKey },
    /// A line for the log.
    Log(String),
}

/// How a network connection ended, seen from the Server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Ending {
    /// The Client closed its direction.
    Fin,
    /// The connection was reset or failed.
    Reset,
}

/// How the Server serves.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where assigned client identifiers come from.
    pub seed: u64,
    /// Whether the log is wanted.
    pub log: bool,
    /// The port, for the log.
    pub port: u16,
    /// User names and passwords; `None` lets everybody in.
    pub users: Option<Vec<(String, Vec<u8>)>>,
    /// Whether a Client without user name is let in where there are users.
    pub anonymous: bool,
    /// Topic Alias Maximum that the Server announces (5.0).
    pub topic_alias_maximum: u16,
    /// Receive Maximum that the Server announces (5.0).
    pub receive_maximum: u16,
    /// Server Keep Alive (5.0) in seconds, instead of what the Client asks for.
    pub server_keep_alive: Option<u16>,
    /// Handshakes above QoS 0 that the Server has open with one Client; a 5.0 Client may ask for
    /// fewer.
    pub window: u16,
    /// How long a connection may take to bring its CONNECT.
    pub connect_timeout: Span,
    /// How much is kept of the Clients.
    pub limits: BrokerLimits,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            seed: 1,
            log: true,
            port: 1883,
            users: None,
            anonymous: true,
            topic_alias_maximum: 10,
            receive_maximum: 20,
            server_keep_alive: None,
            window: 20,
            connect_timeout: Span::from_seconds(BrokerLimits::DEFAULT.connect_seconds),
            limits: BrokerLimits::default(),
        }
    }
}

/// The Server.
#[derive(Debug)]
pub struct Core {
    options: BrokerOptions,
    seed: Seed,
    links: HashMap<ConnectionKey, Link>,
    sessions: BTreeMap<SessionKey, Session>,
    by_client: HashMap<Arc<str>, SessionKey>,
    next_session: u64,
    filters: Filters,
    retained: Retained,
    /// Bytes of the messages that sessions hold.
    held_bytes: usize,
    /// Bytes that Clients have not taken.
    unsent_bytes: usize,
    /// Bytes of packets that have begun.
    partial_bytes: usize,
    /// Bytes that sessions and topic aliases take.
    kept_bytes: usize,
    /// Retained messages that subscriptions were held against, since that instant.
    searched: (Timestamp, usize),
    actions: VecDeque<Action>,
    /// No deadline lies before this instant.
    wake: Option<Timestamp>,
    matches: Vec<Match>,
}

impl Core {
    /// A Server that nobody is connected to.
    pub fn new(options: BrokerOptions) -> Self {
        Self {
            seed: Seed::new(options.seed),
            options,
            links: HashMap::new(),
            sessions: BTreeMap::new(),
            by_client: HashMap::new(),
            next_session: 0,
            filters: Filters::default(),
            retained: Retained::default(),
            held_bytes: 0,
            unsent_bytes: 0,
            partial_bytes: 0,
            kept_bytes: 0,
            searched: (Timestamp::from_nanos(0), 0),
            actions: VecDeque::new(),
            wake: None,
            matches: Vec::new(),
        }
    }

    /// The next thing to do, oldest first.
    pub fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Whether [`Core::next_action`] has one.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// A network connection was accepted.
    pub fn connected(&mut self, now: Timestamp, connection: ConnectionKey, peer: Endpoint) {
        self.log(Line::NewConnection {
            peer,
            port: self.options.port,
        });
        self.links.insert(connection, Link::new(peer, now));
        self.wake_at(now.plus(self.options.connect_timeout));
    }

    /// The next bytes that a Client sent, in any portions.
    pub fn received(&mut self, now: Timestamp, connection: ConnectionKey, bytes: &[u8]) {
        self.received_some(now, connection, bytes, usize::MAX);
    }

    /// As [`Core::received`], but no more than `most` packets are handled: so that others
    /// can have their turn. Returns how many of the bytes were taken; the others are to be
    /// given again.
    pub fn received_some(
        &mut self,
        now: Timestamp,
        connection: ConnectionKey,
        bytes: &[u8],
        most: usize,
    ) -> usize {
        let Some(link) = self.links.get_mut(&connection) else {
            return bytes.len();
        };
        // While its packets are handled the link has none: what is left comes back to it.
        let mut begun = std::mem::take(&mut link.begun);
        self.partial_bytes = self.partial_bytes.saturating_sub(begun.len());
        let before = begun.len();
        let (used, stopped) = if begun.is_empty() {
            let (used, stopped) = self.packets(now, connection, bytes, most);
            if !stopped {
                begun.extend_from_slice(bytes.get(used..).unwrap_or_default());
            }
            (used, stopped)
        } else {
            begun.extend_from_slice(bytes);
            let (used, stopped) = self.packets(now, connection, &begun, most);
            begun.drain(..used.min(begun.len()));
            (used, stopped)
        };
        let Some(link) = self.links.get_mut(&connection) else {
            return bytes.len();
        };
        if stopped {
            // Whole packets may wait: the link has a part of one only.
            return used.saturating_sub(before);
        }
        self.partial_bytes += begun.len();
        link.begun = begun;
        if self.partial_bytes > self.options.limits.all_partial_bytes {
            self.dismiss(
                now,
                connection,
                encode::QUOTA_EXCEEDED,
                "too much memory in use",
            );
        }
        bytes.len()
    }

    /// How many bytes the caller still holds for a Client that does not read them.
    pub fn unsent(&mut self, now: Timestamp, connection: ConnectionKey, bytes: usize) {
        let most = self.options.limits.unsent_bytes;
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        let before = std::mem::replace(&mut link.unsent, bytes);
        self.unsent_bytes = self.unsent_bytes.saturating_sub(before) + bytes;
        // What waited for the Client to read goes on.
        if before >= most
            && bytes < most
            && let Some(key) = link.session()
        {
            self.pump(now, key);
        }
    }

    /// A network connection ended without the Server's doing.
    pub fn closed(&mut self, now: Timestamp, connection: ConnectionKey, how: Ending) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = Arc::clone(&link.name);
        self.log(match how {
            Ending::Fin => Line::Closed { client: &client },
            Ending::Reset => Line::SocketError { client: &client },
        });
        self.leave(now, connection, Departure::WithoutDisconnect);
    }

    /// Handles each whole packet at the begin of `bytes`, but no more than `most`; returns
    /// how many bytes they took, and whether there may be more.
    fn packets(
        &mut self,
        now: Timestamp,
        connection: ConnectionKey,
        bytes: &[u8],
        most: usize,
    ) -> (usize, bool) {
        let mut rest = bytes;
        let mut handled = 0;
        while let Some(link) = self.links.get(&connection) {
            // Something else than MQTT need not be waited for until it fills a packet.
            let opened = matches!(link.stage, Stage::Opened(_));
            if opened && rest.first().is_some_and(|&first| first != CONNECT) {
                self.dismiss(now, connection, encode::PROTOCOL_ERROR, "no CONNECT");
                break;
            }
            if let Header::Whole(header) = fixed_header(rest)
                && let Some((code, why)) = self.too_large(header)
            {
                self.dismiss(now, connection, code, why);
                break;
            }
            match cut(rest) {
                Cut::Whole { .. } if handled == most => {
                    return (bytes.len() - rest.len(), true);
                }
                Cut::Whole { packet, rest: next } => {
                    rest = next;
                    handled += 1;
                    self.packet(now, connection, packet.bytes);
                }
                Cut::Needs { .. } => break,
                Cut::Malformed(_) => {
                    self.dismiss(
                        now,
                        connection,
                        encode::MALFORMED_PACKET,
                        "malformed packet",
                    );
                    break;
                }
            }
        }
        (bytes.len() - rest.len(), false)
    }

    /// The reason code and the words for a packet that is not waited for, by its size.
    fn too_large(&self, header: FixedHeader) -> Option<(u8, &'static str)> {
        let limits = &self.options.limits;
        let bare = header.packet_type != PacketType::Publish;
        match header.total_len() {
            bytes if bytes > limits.packet_bytes => {
                Some((encode::PACKET_TOO_LARGE, "packet too large"))
            }
            // Smaller than what was announced, so it is not for its size as such.
            bytes if bare && bytes > limits.bare_packet_bytes => Some((
                encode::QUOTA_EXCEEDED,
                "packet too large for one without a message",
            )),
            _ => None,
        }
    }

    /// Counts anew what a session takes.
    fn weigh(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            let bytes = session.bytes();
            let before = std::mem::replace(&mut session.counted, bytes);
            self.kept_bytes = self.kept_bytes.saturating_sub(before) + bytes;
        }
    }

    /// Whether so many bytes more may be kept of sessions and aliases.
    const fn has_room(&self, bytes: usize) -> bool {
        self.kept_bytes.saturating_add(bytes) <= self.options.limits.all_kept_bytes
    }

    fn packet(&mut self, now: Timestamp, connection: ConnectionKey, bytes: &[u8]) {
        let Some(link) = self.links.get_mut(&connection) else {
            return;
        };
        link.last_heard = now;
        let version = link.version;
        let connected = matches!(link.stage, Stage::Connected(_));
        match (connected, ControlPacket::read(bytes, version, &mut ())) {
            (false, Ok(ControlPacket::Connect(connect))) => self.connect(now, connection, &connect),
            (false, Ok(_)) => self.dismiss(now, connection, encode::PROTOCOL_ERROR, "no CONNECT"),
            (false, Err(malformed)) => self.refuse_malformed(now, connection, bytes, malformed),
            (true, Ok(packet)) => self.dispatch(now, connection, &packet),
            (true, Err(malformed)) => {
                let code = match malformed.rule {
                    Rule::TopicNameHasNoWildcard => encode::TOPIC_NAME_INVALID,
                    Rule::TopicAliasIsNotZero => encode::TOPIC_ALIAS_INVALID,
                    Rule::NoLocalIsNotShared
                    | Rule::PropertyIsNotRepeated
                    | Rule::ReceiveMaximumIsNotZero
                    | Rule::SubscriptionIdentifierIsNotZero
                    | Rule::SubscribeHasAFilter
                    | Rule::UnsubscribeHasAFilter => encode::PROTOCOL_ERROR,
                    _ => encode::MALFORMED_PACKET,
                };
                self.dismiss(now, connection, code, "malformed packet");
            }
        }
    }

    fn dispatch(&mut self, now: Timestamp, connection: ConnectionKey, packet: &ControlPacket<'_>) {
        match packet {
            ControlPacket::Publish(publish) => self.publish(now, connection, publish),
            ControlPacket::PubAck(ack) => self.pub_ack(now, connection, ack),
            ControlPacket::PubRec(ack) => self.pub_rec(now, connection, ack),
            ControlPacket::PubRel(ack) => self.pub_rel(now, connection, ack),
            ControlPacket::PubComp(ack) => self.pub_comp(now, connection, ack),
            ControlPacket::Subscribe(subscribe) => self.subscribe(now, connection, subscribe),
            ControlPacket::Unsubscribe(unsubscribe) => self.unsubscribe(connection, unsubscribe),
            ControlPacket::PingReq => self.ping(connection),
            ControlPacket::Disconnect(disconnect) => self.disconnect(now, connection, disconnect),
            ControlPacket::Connect(_)
            | ControlPacket::ConnAck(_)
            | ControlPacket::SubAck(_)
            | ControlPacket::UnsubAck(_)
            | ControlPacket::PingResp
            | ControlPacket::Auth(_) => {
                self.log_received(connection, packet.packet_type());
                self.dismiss(now, connection, encode::PROTOCOL_ERROR, "protocol error");
            }
        }
    }

    fn log_received(&mut self, connection: ConnectionKey, packet_type: PacketType) {
        if let Some(link) = self.links.get(&connection) {
            let client = Arc::clone(&link.name);
            self.log(Line::Plain {
                way: Way::Received,
                name: packet_type.name(),
                client: &client,
            });
        }
    }

    /// Ends a connection for what its Client did, and says why where the version can.
    fn dismiss(&mut self, now: Timestamp, connection: ConnectionKey, code: u8, why: &str) {
        let Some(link) = self.links.get(&connection) else {
            return;
        };
        let client = Arc::clone(&link.name);
        let tell = matches!(link.stage, Stage::Connected(_)) && link.version == V5;
        if tell {
            self.log(Line::SendingDisconnect {
                client: &client,
                reason_code: code,
            });
            self.send(connection, encode::disconnect(code));
        }
        self.actions.push_back(Action::Close { connection });
        self.log(Line::Dismissed {
            client: &client,
            why,
        });
        self.leave(now, connection, Departure::WithoutDisconnect);
    }

    fn send(&mut self, connection: ConnectionKey, bytes: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.unsent += bytes.len();
            self.unsent_bytes += bytes.len();
            self.actions.push_back(Action::Send { connection, bytes });
        }
    }

    fn log(&mut self, line: Line<'_>) {
        if self.options.log {
            self.actions.push_back(Action::Log(line.to_string()));
        }
    }

    fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}

/// The first byte of every CONNECT ([MQTT-3.1.0-1]).
const CONNECT: u8 = 0x10;

const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// How a Client leaves: whether its will is published hangs on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Departure {
    /// DISCONNECT with reason code 0x00, or any of 3.x.
    Normal,
    /// DISCONNECT with another reason code (0x04 asks for the will).
    WithReason,
    /// The connection closed first.
    WithoutDisconnect,
    /// Another connection of the same client identifier took over; `ends` tells whether the
    /// session ended with it.
    TakenOver { ends: bool },
}
