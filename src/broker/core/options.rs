//! How the Server serves: what a script or a test sets.

use std::collections::BTreeMap;

use crate::base::Span;
use crate::base::limits::BrokerLimits;

/// How the Server serves.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    /// Where assigned client identifiers come from.
    pub seed: u64,
    /// Whether the log is wanted.
    pub log: bool,
    /// Port to listen on, 0 for a free one; the log names it.
    pub port: u16,
    /// Passwords by user name; none let everybody in.
    pub users: BTreeMap<String, String>,
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
            users: BTreeMap::new(),
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
