//! The Server's state, and what all that happens to it shares: books, actions, log, deadlines.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::action::{Action, ConnectionKey};
use super::filters::Filters;
use super::link::{Client, Link};
use super::options::BrokerOptions;
use super::retained::Retained;
use super::session::{Session, SessionKey};
use super::work::Works;
use crate::base::Timestamp;
use crate::broker::seed::Seed;
use crate::event::log::{Line, Way};
use crate::mqtt::packet::{Disconnect, Publish};
use crate::mqtt::{ControlPacket, PacketType, Properties, ProtocolVersion};

/// Short, since most rules that depend on the version depend on this one.
pub(super) const V5: ProtocolVersion = ProtocolVersion::V5_0;

/// The Server.
#[derive(Debug)]
pub struct Core {
    pub(super) options: BrokerOptions,
    /// The time of the call at hand.
    pub(super) now: Timestamp,
    pub(super) seed: Seed,
    pub(super) links: HashMap<ConnectionKey, Link>,
    pub(super) sessions: BTreeMap<SessionKey, Session>,
    /// Sessions by client identifier.
    pub(super) by_client: HashMap<Arc<str>, SessionKey>,
    pub(super) next_session: u64,
    pub(super) filters: Filters,
    pub(super) retained: Retained,
    /// Bytes of the messages that sessions hold.
    pub(super) held_bytes: usize,
    /// Bytes that Clients have not taken.
    pub(super) unsent_bytes: usize,
    /// Bytes of packets that have begun.
    pub(super) partial_bytes: usize,
    /// Bytes that sessions and topic aliases take.
    pub(super) kept_bytes: usize,
    pub(super) actions: VecDeque<Action>,
    /// No deadline lies before this instant.
    pub(super) wake: Option<Timestamp>,
    /// Steps that are left of the call at hand.
    pub(super) steps: usize,
    /// Work that was left unfinished, by session.
    pub(super) works: HashMap<SessionKey, Works>,
    /// Sessions with work that can go on, the next one first.
    pub(super) ring: VecDeque<SessionKey>,
}

impl Core {
    /// A Server without connections.
    pub fn new(options: BrokerOptions) -> Self {
        Self {
            seed: Seed::new(options.seed),
            options,
            now: Timestamp::default(),
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
            actions: VecDeque::new(),
            wake: None,
            steps: 0,
            works: HashMap::new(),
            ring: VecDeque::new(),
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

    /// Counts anew what a session takes.
    pub(super) fn weigh(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(&key) {
            let bytes = session.bytes();
            let before = std::mem::replace(&mut session.counted, bytes);
            self.kept_bytes = self.kept_bytes.saturating_sub(before) + bytes;
        }
    }

    /// Whether so many bytes more may be kept of sessions and aliases.
    pub(super) const fn has_room(&self, bytes: usize) -> bool {
        self.kept_bytes.saturating_add(bytes) <= self.options.limits.all_kept_bytes
    }

    /// Uses up so many steps.
    pub(super) const fn spend(&mut self, steps: usize) {
        self.steps = self.steps.saturating_sub(steps);
    }

    /// Logs a control packet by its name alone.
    pub(super) fn log_packet(&mut self, way: Way, packet_type: PacketType, client: &Client) {
        self.log(Line::Plain {
            way,
            name: packet_type.name(),
            client: &client.name,
        });
    }

    /// Logs a PUBLISH; `topic` is its topic name with an alias resolved.
    pub(super) fn log_publish(
        &mut self,
        way: Way,
        client: &Client,
        publish: &Publish<'_>,
        topic: &str,
    ) {
        self.log(Line::Publish {
            way,
            client: &client.name,
            dup: publish.dup,
            qos: publish.delivery.qos() as u8,
            retain: publish.retain,
            packet_id: publish.delivery.packet_id().map_or(0, |id| id.number()),
            topic,
            length: publish.payload.len(),
        });
    }

    /// Sends a control packet of the Server's own: these are small and have a form in bytes.
    pub(super) fn send(&mut self, connection: ConnectionKey, packet: &ControlPacket<'_>) {
        let mut bytes = Vec::new();
        if let Some(link) = self.links.get(&connection)
            && packet.write(link.version, &mut bytes).is_ok()
        {
            self.queue(connection, bytes);
        }
    }

    /// Queues a control packet, which counts as unsent until the caller reports otherwise.
    pub(super) fn queue(&mut self, connection: ConnectionKey, bytes: Vec<u8>) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.unsent += bytes.len();
            self.unsent_bytes += bytes.len();
            self.actions.push_back(Action::Send { connection, bytes });
        }
    }

    /// Gives a Client the reason why its connection ends in a DISCONNECT (§4.13.1): one that is
    /// connected with 5.0, since 3.x has no packet for it.
    pub(super) fn send_disconnect(&mut self, connection: ConnectionKey, reason_code: u8) {
        let link = self.links.get(&connection);
        let client = link.and_then(|link| link.client(connection));
        if let Some(client) = client.filter(|client| client.version == V5) {
            let client = &client.name;
            self.log(Line::SendingDisconnect {
                client,
                reason_code,
            });
            let disconnect = Disconnect {
                reason_code,
                properties: Properties::default(),
            };
            self.send(connection, &ControlPacket::Disconnect(disconnect));
        }
    }

    /// Adds a line to the log, in order with the packets.
    pub(super) fn log(&mut self, line: Line<'_>) {
        if self.options.log {
            self.actions.push_back(Action::Log(line.to_string()));
        }
    }

    /// Has [`Core::tick`] look for what is due at `at`, or before.
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
    }
}
