//! The table of brokers: which server endpoints are one server, and its topic filters.

use std::net::IpAddr;

use foldhash::HashMap;

use super::super::keys::{BrokerId, SubscriptionKey};
use crate::base::Endpoint;
use crate::base::limits::Limits;
use crate::event::Transport;
use crate::mqtt::topic::FilterTree;

/// One broker.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// The subscriptions by the filter that topic names are matched with.
    pub(crate) tree: FilterTree<Vec<SubscriptionKey>>,
    /// Connections whose client's subscriptions are not all known.
    pub(crate) blind: u32,
    /// It has sent what no subscription explains.
    pub(crate) surprises: bool,
    /// It has sent what no client in the capture published.
    pub(crate) outsiders: bool,
}

/// Every broker of the capture, up to [`Limits::servers`](crate::base::limits::Limits::servers).
#[derive(Debug, Default)]
pub(crate) struct Brokers {
    ids: HashMap<Endpoint, BrokerId>,
    hosts: HashMap<IpAddr, Host>,
    all: Vec<Broker>,
}

/// The server endpoints at one address.
#[derive(Debug)]
struct Host {
    broker: BrokerId,
    /// The carriers by which it is reached, each through one port.
    transports: Vec<Transport>,
    /// Two ports with the same transport: there are several brokers, and it is not known to which
    /// a third port belongs.
    several: bool,
}

impl Brokers {
    /// The broker behind a server's endpoint, to which `transport` carries MQTT.
    ///
    /// One broker listens bare on one port, in WebSocket on another and in TLS on a third; two
    /// bare ports are two brokers.
    pub(crate) fn of(
        &mut self,
        server: Endpoint,
        transport: Transport,
        limits: &Limits,
    ) -> BrokerId {
        let server = one_loopback(server);
        if let Some(id) = self.ids.get(&server) {
            return *id;
        }
        if let Some(host) = self.hosts.get_mut(&server.address) {
            host.several |= host.transports.contains(&transport);
            if !host.several {
                host.transports.push(transport);
                self.ids.insert(server, host.broker);
                return host.broker;
            }
        }
        if self.all.len() >= limits.servers {
            return BrokerId::UNKNOWN;
        }
        let id = BrokerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(Broker {
            tree: FilterTree::with_limit(limits.filter_levels),
            ..Broker::default()
        });
        self.ids.insert(server, id);
        self.hosts.entry(server.address).or_insert_with(|| Host {
            broker: id,
            transports: vec![transport],
            several: false,
        });
        id
    }

    /// Returns a broker, to be changed.
    pub(crate) fn get_mut(&mut self, id: BrokerId) -> Option<&mut Broker> {
        self.all.get_mut(id.0 as usize)
    }

    /// Returns a broker; `None` for one beyond the limit.
    pub(crate) fn get(&self, id: BrokerId) -> Option<&Broker> {
        self.all.get(id.0 as usize)
    }
}

/// 127.0.0.1 and ::1 are two ways to the same host, and a server that listens on both with
/// one port (as mosquitto does) is one server. Between other addresses nothing shows it.
fn one_loopback(endpoint: Endpoint) -> Endpoint {
    let mut address = endpoint.address.to_canonical();
    if address.is_loopback() {
        address = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    }
    Endpoint {
        address,
        ..endpoint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Protocol;

    fn endpoint(text: &str) -> Endpoint {
        let socket: std::net::SocketAddr = text.parse().unwrap();
        Endpoint {
            address: socket.ip(),
            port: socket.port(),
        }
    }

    #[test]
    fn one_broker_listens_on_a_port_for_each_transport() {
        let tcp = Transport::TCP;
        let (tls, websocket) = (tcp.with(Protocol::Tls), tcp.with(Protocol::WebSocket));
        let mut brokers = Brokers::default();
        let mut of = |text, transport| brokers.of(endpoint(text), transport, &Limits::DEFAULT);
        let first = of("192.0.2.1:9001", websocket);
        assert_eq!(of("192.0.2.1:1883", tcp), first);
        assert_eq!(of("192.0.2.1:8883", tls), first);
        assert_ne!(of("192.0.2.2:9001", websocket), first);
        // Two brokers at one address.
        assert_ne!(of("192.0.2.1:1884", tcp), first);
        let unclear = of("192.0.2.1:9002", tls.with(Protocol::WebSocket));
        assert_ne!(unclear, first);
        assert_eq!(of("192.0.2.1:9001", websocket), first);
    }

    #[test]
    fn both_loopbacks_lead_to_one_broker_and_two_ports_to_two() {
        let mut brokers = Brokers::default();
        let mut of = |text, transport| brokers.of(endpoint(text), transport, &Limits::DEFAULT);
        let first = of("127.0.0.1:1883", Transport::TCP);
        assert_eq!(of("[::1]:1883", Transport::TCP), first);
        assert_ne!(of("127.0.0.1:1884", Transport::TCP), first);
        let lan = of("192.0.2.1:1883", Transport::TCP);
        assert_ne!(of("[2001:db8::1]:1883", Transport::TCP), lan);
        assert_eq!(of("[::ffff:192.0.2.1]:1883", Transport::TCP), lan);
    }
}
