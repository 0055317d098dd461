//! The state that the Server keeps of a network connection.

use std::collections::HashMap;
use std::sync::Arc;

use super::action::ConnectionKey;
use super::options::BrokerOptions;
use super::session::SessionKey;
use crate::base::{Endpoint, Span, Timestamp};
use crate::mqtt::packet::Connect;
use crate::mqtt::{Framer, ProtocolVersion};

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stage {
    /// No CONNECT yet, since then.
    Opened(Timestamp),
    /// CONNECT was accepted; the session is the Client's.
    Connected(SessionKey),
}

/// The Client of a connection whose CONNECT was accepted.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) connection: ConnectionKey,
    /// Its client identifier.
    pub(super) name: Arc<str>,
    pub(super) version: ProtocolVersion,
    pub(super) session: SessionKey,
}

/// A network connection; all of it ends with the connection, unlike the session.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) peer: Endpoint,
    pub(super) stage: Stage,
    /// The client identifier, before CONNECT the address: what the log calls it.
    pub(super) name: Arc<str>,
    /// 3.1.1 until CONNECT names another.
    pub(super) version: ProtocolVersion,
    /// Holds the packet that is not whole yet.
    pub(super) framer: Framer,
    /// When its last control packet came, for the keep alive.
    pub(super) last_received: Timestamp,
    /// 1.5 times the keep alive; `None` where it is off.
    pub(super) patience: Option<Span>,
    /// Bytes on their way to the Client that its socket has not taken.
    pub(super) unsent: usize,
    /// Open exchanges that the Client takes (Receive Maximum, capped by the window).
    pub(super) window: usize,
    /// Bytes of a packet that the Client takes.
    pub(super) largest_packet: usize,
    /// The topic names that the Client's aliases stand for.
    pub(super) aliases_in: HashMap<u16, Box<str>>,
    /// Bytes of those topics.
    pub(super) aliases_in_bytes: usize,
    /// The Server's own aliases, up to the Client's Topic Alias Maximum.
    pub(super) aliases_out: HashMap<Box<str>, u16>,
    /// Bytes of those topics.
    pub(super) aliases_out_bytes: usize,
    /// Topic Alias Maximum of the Client ([MQTT-3.1.2-26]), at most [`ALIASES`].
    pub(super) alias_maximum: u16,
    /// A bridge gets retained messages with their flag, as if each of its subscriptions had asked
    /// for Retain As Published, which 3.x does not have.
    pub(super) bridge: bool,
}

/// Aliases of the Server's own for one connection: they are kept in memory by name.
pub(super) const ALIASES: u16 = 64;
/// Bytes of their topics; a topic that has no room among them is sent whole.
pub(super) const ALIAS_BYTES: usize = 16 << 10;

impl Link {
    pub(super) fn new(peer: Endpoint, now: Timestamp) -> Self {
        Self {
            peer,
            stage: Stage::Opened(now),
            name: peer.address.to_string().into(),
            version: ProtocolVersion::V3_1_1,
            framer: Framer::default(),
            last_received: now,
            patience: None,
            unsent: 0,
            window: 1,
            largest_packet: usize::MAX,
            aliases_in: HashMap::new(),
            aliases_in_bytes: 0,
            aliases_out: HashMap::new(),
            aliases_out_bytes: 0,
            alias_maximum: 0,
            bridge: false,
        }
    }

    /// The session of the Client; `None` before its CONNECT.
    pub(super) const fn session(&self) -> Option<SessionKey> {
        match self.stage {
            Stage::Opened(_) => None,
            Stage::Connected(session) => Some(session),
        }
    }

    /// The Client of this link, which `connection` names; `None` before its CONNECT.
    pub(super) fn client(&self, connection: ConnectionKey) -> Option<Client> {
        Some(Client {
            connection,
            name: Arc::clone(&self.name),
            version: self.version,
            session: self.session()?,
        })
    }

    /// Enters what an accepted CONNECT settles for this connection.
    pub(super) fn enter(
        &mut self,
        session: SessionKey,
        client_id: &Arc<str>,
        connect: &Connect<'_>,
        options: &BrokerOptions,
    ) {
        let mut keep_alive = connect.keep_alive;
        self.stage = Stage::Connected(session);
        self.name = Arc::clone(client_id);
        self.bridge = connect.bridge;
        self.window = options.window.into();
        if self.version == ProtocolVersion::V5_0 {
            let asked = &connect.properties;
            // [MQTT-3.1.2-21]: the Server's own value replaces the Client's; only 5.0 can carry it.
            keep_alive = options.server_keep_alive.unwrap_or(keep_alive);
            // Both limits apply: the Client's Receive Maximum ([MQTT-3.3.4-9]) and our own window.
            let receive_maximum = asked.receive_maximum().unwrap_or(u16::MAX);
            self.window = receive_maximum.min(options.window).into();
            let packet = asked.maximum_packet_size().map(usize::try_from);
            self.largest_packet = packet.and_then(Result::ok).unwrap_or(usize::MAX);
            self.alias_maximum = asked.topic_alias_maximum().unwrap_or(0).min(ALIASES);
        }
        // [MQTT-3.1.2-22]: one and a half times the keep alive.
        let patience = Span::from_nanos(i64::from(keep_alive) * 1_500_000_000);
        self.patience = (keep_alive > 0).then_some(patience);
    }
}
