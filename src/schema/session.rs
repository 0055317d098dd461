//! A client's session: its connections to one broker, and how each ended.

use schemars::JsonSchema;
use serde::Serialize;
use serde_with_macros::skip_serializing_none;

use super::value::{Ends, Seconds, is_false, is_zero, sender_name};
use crate::event::{self, ConnectionSummary, EndCause, SessionSummary};

/// One session as far as the capture shows it.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Session<'a> {
    /// The client identifier; absent where no CONNECT was captured.
    pub client_id: Option<&'a str>,
    /// The server assigned the identifier, or made one of its own for an empty one (3.1.1).
    #[serde(skip_serializing_if = "is_false")]
    pub assigned: bool,
    /// The user name.
    pub user_name: Option<&'a str>,
    /// `3.1`, `3.1.1` or `5.0`, once known.
    pub version: Option<&'static str>,
    /// Its connections in order, at most 256.
    pub connections: Vec<Connection>,
    /// How many more there were.
    #[serde(skip_serializing_if = "is_zero")]
    pub connections_left_out: u64,
    /// The topic filters that are subscribed where the session or the capture ends.
    pub subscriptions: Vec<&'a str>,
}

impl<'a> From<&'a SessionSummary> for Session<'a> {
    fn from(summary: &'a SessionSummary) -> Self {
        Self {
            client_id: summary.client_id.as_deref(),
            assigned: summary.assigned,
            user_name: summary.user_name.as_deref(),
            version: summary.version.map(|version| version.name()),
            connections: summary.connections.iter().map(Connection::from).collect(),
            connections_left_out: summary.connections_left_out,
            subscriptions: summary
                .subscriptions
                .iter()
                .map(|filter| &**filter)
                .collect(),
        }
    }
}

/// One MQTT connection of a session.
#[skip_serializing_none]
#[derive(Clone, Debug, JsonSchema, Serialize)]
pub struct Connection {
    /// The TCP connection, from 0 by its first frame in the capture.
    pub stream: u32,
    /// The frame from which it is known.
    pub frame: u64,
    /// The client's end (source) and the server's (destination).
    #[serde(flatten)]
    pub ends: Ends,
    /// The keep alive in force in seconds: the server's where it gave one.
    pub keep_alive: Option<u16>,
    /// The session expiry interval in force in seconds; 4294967295 never expires.
    pub session_expiry: Option<u32>,
    /// How many control packets each side sent.
    pub packets: BothSides,
    /// How many bytes those control packets have.
    pub octets: BothSides,
    /// How it ended.
    pub end: End,
}

impl From<&ConnectionSummary> for Connection {
    fn from(summary: &ConnectionSummary) -> Self {
        Self {
            stream: summary.connection.0,
            frame: summary.opened.number,
            ends: Ends::new(summary.client, summary.server),
            keep_alive: summary.keep_alive,
            session_expiry: summary.session_expiry,
            packets: BothSides::from(summary.packets),
            octets: BothSides::from(summary.bytes),
            end: End::from(&summary.end),
        }
    }
}

/// A number for each side of a connection.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
pub struct BothSides {
    /// From the client.
    pub client: u64,
    /// From the server.
    pub server: u64,
}

impl From<[u64; 2]> for BothSides {
    fn from([client, server]: [u64; 2]) -> Self {
        Self { client, server }
    }
}

/// How a connection ended.
#[skip_serializing_none]
#[derive(Clone, Copy, Debug, Default, JsonSchema, Serialize)]
pub struct End {
    /// `disconnect`, `refused`, `takeover`, `keep_alive_timeout`, `protocol_error`,
    /// `connection_closed`, `connection_reset`, `replaced`, `evicted` or `capture_end`.
    pub cause: &'static str,
    /// The frame that made the end certain.
    pub frame: u64,
    /// Who ended it, `client` or `server`, where that was seen.
    pub by: Option<&'static str>,
    /// The code of the DISCONNECT (0 before 5.0) or of the CONNACK that refused.
    pub reason_code: Option<u8>,
    /// The TCP connection that took the session over.
    pub taken_over_by: Option<u32>,
    /// The frame of its CONNECT.
    pub taken_over_frame: Option<u64>,
    /// For how many seconds the client had been silent when the server closed.
    pub silence: Option<Seconds>,
    /// The keep alive in force then, in seconds.
    pub keep_alive: Option<u16>,
    /// The frame of the packet that broke the protocol.
    pub error_frame: Option<u64>,
}

impl From<&event::End> for End {
    fn from(end: &event::End) -> Self {
        let shown = Self {
            cause: end.cause.into(),
            frame: end.stamp.number,
            ..Self::default()
        };
        match end.cause {
            EndCause::Disconnect { by, code } => Self {
                by: Some(sender_name(by)),
                reason_code: Some(code),
                ..shown
            },
            EndCause::Refused { code } => Self {
                reason_code: Some(code),
                ..shown
            },
            EndCause::Takeover { by, frame } => Self {
                taken_over_by: Some(by.0),
                taken_over_frame: Some(frame),
                ..shown
            },
            EndCause::KeepAlive {
                silence,
                keep_alive,
            } => Self {
                silence: Some(Seconds::exact(silence)),
                keep_alive: Some(keep_alive),
                ..shown
            },
            EndCause::ProtocolError { frame } => Self {
                error_frame: Some(frame),
                ..shown
            },
            EndCause::Fin { by } | EndCause::Reset { by } => Self {
                by: by.map(sender_name),
                ..shown
            },
            EndCause::Replaced | EndCause::Evicted | EndCause::CaptureEnd => shown,
        }
    }
}
