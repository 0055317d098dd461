//! One end of a TCP connection.

use std::net::{IpAddr, SocketAddr};

/// An IP address and a TCP port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// IPv4 or IPv6; an IPv4-mapped IPv6 address stays IPv6.
    pub address: IpAddr,
    /// The TCP port, in host order.
    pub port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
        }
    }
}
