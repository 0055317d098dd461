//! What the sockets are opened with.

use std::net::IpAddr;

use crate::base::limits::BrokerLimits;

/// Where the broker listens, and how many may connect.
#[derive(Clone, Debug)]
pub struct NetOptions {
    /// None: both loopback addresses.
    pub bind: Vec<IpAddr>,
    /// 0: a free one.
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
