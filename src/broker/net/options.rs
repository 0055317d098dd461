//! The options of the sockets.

use std::net::IpAddr;

use crate::base::limits::BrokerLimits;

/// Where the broker listens, and how many may connect.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// Addresses to listen on; empty for both loopback addresses.
    pub bind: Vec<IpAddr>,
    /// Port to listen on; 0 for a free one.
    pub port: u16,
    /// Connections at a time; a further one is closed at once, with a line in the log.
    pub connections: usize,
}

impl Default for NetOptions {
    fn default() -> Self {
        Self {
            bind: Vec::new(),
            port: 1883,
            connections: BrokerLimits::DEFAULT.connections,
        }
    }
}
