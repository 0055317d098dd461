//! Brokers: which server endpoints are one server.

use std::net::IpAddr;

use foldhash::HashMap;

use super::caps;
use super::tree::Tree;
use crate::base::Endpoint;

/// A broker's place in the order of first appearance.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(super) struct BrokerId(pub(super) u32);

impl BrokerId {
    /// Beyond the cap: its messages are not followed.
    pub(super) const UNKNOWN: Self = Self(u32::MAX);
}

/// One broker.
#[derive(Debug, Default)]
pub(super) struct Broker {
    pub(super) tree: Tree,
    /// Connections whose client's subscriptions are not all known.
    pub(super) blind: u32,
    /// It has sent what no subscription explains.
    pub(super) surprises: bool,
}

/// Every broker of the capture, up to [`caps::BROKERS`].
#[derive(Debug, Default)]
pub(super) struct Brokers {
    ids: HashMap<Endpoint, BrokerId>,
    all: Vec<Broker>,
}

impl Brokers {
    /// The broker behind a server's endpoint.
    pub(super) fn of(&mut self, server: Endpoint) -> BrokerId {
        let server = one_loopback(server);
        if let Some(id) = self.ids.get(&server) {
            return *id;
        }
        if self.all.len() >= caps::BROKERS {
            return BrokerId::UNKNOWN;
        }
        let id = BrokerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Broker::default());
        self.ids.insert(server, id);
        id
    }

    pub(super) fn get_mut(&mut self, id: BrokerId) -> Option<&mut Broker> {
        self.all.get_mut(id.0 as usize)
    }

    pub(super) fn get(&self, id: BrokerId) -> Option<&Broker> {
        self.all.get(id.0 as usize)
    }
}

/// 127.0.0.1 and ::1 are two ways to the same host, and a server that listens on both with
/// one port (as mosquitto does) is one server. Between other addresses nothing says so.
fn one_loopback(endpoint: Endpoint) -> Endpoint {
    let address = match endpoint.address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(v6),
        },
        v4 => v4,
    };
    let address = if address.is_loopback() {
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST)
    } else {
        address
    };
    Endpoint {
        address,
        ..endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        let socket: std::net::SocketAddr = text.parse().unwrap();
        Endpoint {
            address: socket.ip(),
            port: socket.port(),
        }
    }

    #[test]
    fn both_loopbacks_lead_to_one_broker_and_two_ports_to_two() {
        let mut brokers = Brokers::default();
        let first = brokers.of(endpoint("127.0.0.1:1883"));
        assert_eq!(brokers.of(endpoint("[::1]:1883")), first);
        assert_ne!(brokers.of(endpoint("127.0.0.1:1884")), first);
        let lan = brokers.of(endpoint("192.0.2.1:1883"));
        assert_ne!(brokers.of(endpoint("[2001:db8::1]:1883")), lan);
        assert_eq!(brokers.of(endpoint("[::ffff:192.0.2.1]:1883")), lan);
    }
}
