//! One end of a TCP connection.

use std::net::IpAddr;

/// An IP address and a TCP port.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Endpoint {
    /// IPv4 or IPv6; an IPv4-mapped IPv6 address stays IPv6.
    pub address: IpAddr,
    /// The TCP port, in host order.
    pub port: u16,
}
