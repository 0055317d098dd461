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

/// An IP address, with one TCP port or with any.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EndpointPattern {
    /// IPv4 or IPv6.
    pub address: IpAddr,
    /// The TCP port; `None` for every port of the address.
    pub port: Option<u16>,
}

impl EndpointPattern {
    /// Returns whether an endpoint fits.
    pub fn matches(&self, endpoint: &Endpoint) -> bool {
        self.address.to_canonical() == endpoint.address.to_canonical()
            && self.port.is_none_or(|port| port == endpoint.port)
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            address: address.ip(),
            port: address.port(),
        }
    }
}
