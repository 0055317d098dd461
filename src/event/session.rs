//! Sessions: a client's connections to one broker, and how each ended.

use std::sync::Arc;

use strum::IntoStaticStr;

use super::handshake::ConnectSummary;
use crate::base::{Endpoint, FrameStamp, Span};
use crate::mqtt::{ProtocolVersion, Sender};
use crate::stream::ConnectionId;

/// One session as the capture shows it, emitted when it is over or the capture is.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionSummary {
    /// The broker, by its place in the order of first appearance.
    pub broker: u32,
    /// The server's endpoint, as the session's first connection reached it.
    pub server: Endpoint,
    /// `None` where no CONNECT was captured.
    pub client_id: Option<Arc<str>>,
    /// The server assigned the client identifier (5.0), or made one of its own for an empty
    /// one (3.1.1; then `client_id` is empty).
    pub assigned: bool,
    /// The User Name of the CONNECT.
    pub user_name: Option<Arc<str>>,
    /// The protocol version, once it is known.
    pub version: Option<ProtocolVersion>,
    /// In order; at most [`SessionSummary::CONNECTIONS_KEPT`].
    pub connections: Vec<ConnectionSummary>,
    /// Connections beyond the cap.
    pub connections_left_out: u64,
    /// Active subscriptions when the story ends.
    pub subscriptions: Vec<Arc<str>>,
}

impl SessionSummary {
    /// A client that reconnects in a loop makes very many.
    pub const CONNECTIONS_KEPT: usize = 256;

    /// Returns a session without connections yet.
    pub(crate) fn new(broker: u32, server: Endpoint, client_id: Option<Arc<str>>) -> Self {
        Self {
            broker,
            server,
            client_id,
            assigned: false,
            user_name: None,
            version: None,
            connections: Vec::new(),
            connections_left_out: 0,
            subscriptions: Vec::new(),
        }
    }

    /// Adds a connection that has ended.
    pub(crate) fn add(&mut self, connection: ConnectionSummary) {
        if self.connections.len() < Self::CONNECTIONS_KEPT {
            self.connections.push(connection);
        } else {
            self.connections_left_out += 1;
        }
    }
}

/// One MQTT connection.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnectionSummary {
    /// The TCP connection.
    pub connection: ConnectionId,
    /// The client's endpoint.
    pub client: Endpoint,
    /// The server's endpoint as the client reached it.
    pub server: Endpoint,
    /// The frame from which the connection is known.
    pub opened: FrameStamp,
    /// The CONNECT's frame; `None` where it was not captured.
    pub connect_stamp: Option<FrameStamp>,
    /// `None` where the CONNECT was not captured.
    pub connect: Option<Box<ConnectSummary>>,
    /// The keep alive in force, in seconds: the server's where it gave one.
    pub keep_alive: Option<u16>,
    /// The session expiry interval in force, in seconds: `u32::MAX` never expires; 3.x
    /// counts 0 (clean session) or never.
    pub session_expiry: Option<u32>,
    /// Control packets that each side sent: client, server.
    pub packets: [u64; 2],
    /// Bytes of those control packets.
    pub bytes: [u64; 2],
    /// The end of the connection.
    pub end: End,
}

/// The end of a connection and its cause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct End {
    /// The most specific cause that is known.
    pub cause: EndCause,
    /// The frame that made the end certain: DISCONNECT, FIN, RST, or the capture's last.
    pub stamp: FrameStamp,
}

/// The reason why a connection ended, the most specific first.
#[derive(Clone, Copy, Debug, IntoStaticStr, PartialEq)]
#[strum(serialize_all = "snake_case")]
#[non_exhaustive]
pub enum EndCause {
    /// DISCONNECT; `code` is 0x00 before 5.0.
    Disconnect {
        /// The Client, or a 5.0 Server.
        by: Sender,
        /// The reason code.
        code: u8,
    },
    /// CONNACK with this code refused it.
    Refused {
        /// The return code (3.x) or reason code (5.0).
        code: u8,
    },
    /// A CONNECT with the same client identifier on another connection took it over.
    Takeover {
        /// The newer connection.
        by: ConnectionId,
        /// The frame of its CONNECT.
        frame: u64,
    },
    /// The server closed after the client had been silent for longer than one and a half
    /// times the keep alive ([MQTT-3.1.2-24]; 5.0: [MQTT-3.1.2-22]).
    #[strum(serialize = "keep_alive_timeout")]
    KeepAlive {
        /// The time since the client's last packet.
        silence: Span,
        /// The keep alive in force, in seconds.
        keep_alive: u16,
    },
    /// The server closed after a packet of the client that breaks the protocol.
    ProtocolError {
        /// The frame of that packet.
        frame: u64,
    },
    /// FIN without DISCONNECT.
    #[strum(serialize = "connection_closed")]
    Fin {
        /// The side whose FIN came first; `None` where that is not known.
        by: Option<Sender>,
    },
    /// RST without DISCONNECT.
    #[strum(serialize = "connection_reset")]
    Reset {
        /// The side that sent it; `None` where that is not known.
        by: Option<Sender>,
    },
    /// The endpoints began a new TCP connection.
    Replaced,
    /// It was dropped from a full table.
    Evicted,
    /// Nothing in the capture ends it.
    CaptureEnd,
}
