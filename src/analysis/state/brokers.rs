//! The table of brokers: which server endpoints are one server, and its topic filters.

use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::{HashMap, HashSet};

use super::super::caps;
use super::super::keys::{BrokerId, SessionKey, SubscriptionKey};
use crate::base::limits::Limits;
use crate::base::{Endpoint, EndpointPattern, FrameStamp};
use crate::event::{Transport, Undelivered};
use crate::mqtt::topic::FilterTree;

/// A subscription that is over or was refused: it shows why a message goes to no one.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    /// The subscriber.
    pub(crate) client_id: Option<Arc<str>>,
    /// As subscribed.
    pub(crate) filter: Arc<str>,
    /// Why it takes nothing.
    pub(crate) why: Undelivered,
    /// Since when.
    pub(crate) since: FrameStamp,
}

/// One broker.
#[derive(Debug, Default)]
pub(crate) struct Broker {
    /// The subscriptions by the filter that topic names are matched with, those of a session side by
    /// side.
    pub(crate) tree: FilterTree<BTreeSet<(SessionKey, SubscriptionKey)>>,
    /// Subscriptions that may be found and levels of filters that may be compared: as many as its
    /// packets had bytes, those that were paid taken off.
    pub(crate) earned: Cell<usize>,
    /// Subscriptions that are over, the latest few of each filter.
    past: FilterTree<Vec<Past>>,
    /// Connections whose client's subscriptions are not all known.
    pub(crate) blind: u32,
    /// Connections whose client is not known.
    nameless: u32,
    /// The frame in which the latest such one ended.
    nameless_end: u64,
    /// It has sent what no subscription explains.
    pub(crate) surprises: bool,
    /// It has sent what no client in the capture published.
    pub(crate) outsiders: bool,
    /// A connection of it has had a gap, or packets that could not be read.
    pub(crate) gapped: bool,
    /// The first frame and the number of copies that surely come from a client that was not
    /// captured.
    pub(crate) outside: Option<(FrameStamp, u64)>,
    /// Addresses at which it is reached.
    addresses: Vec<IpAddr>,
    /// It acts on a QoS 2 message before PUBREL: it has been seen to forward two.
    pub(crate) acts_at_publish: bool,
    /// The latest message that it forwarded before PUBREL.
    early: Option<u64>,
    /// QoS 2 messages that it forwarded before PUBREL, and those after it.
    forwarded_early: u32,
    forwarded_late: u32,
    /// It has acknowledged a message before it sent the first copy.
    pub(crate) acknowledges_first: bool,
}

impl Broker {
    /// Returns whether every subscription and every message of it is known, as far as is seen:
    /// none of a client outside the capture, none in a gap.
    pub(crate) fn is_all_seen(&self) -> bool {
        self.blind == 0 && !self.gapped && !self.outsiders
    }

    /// Counts a connection whose client is not known.
    pub(crate) fn nameless_begins(&mut self) {
        self.nameless = self.nameless.saturating_add(1);
    }

    /// Notes the end of such a connection in a frame.
    pub(crate) fn nameless_ends(&mut self, frame: u64) {
        self.nameless = self.nameless.saturating_sub(1);
        self.nameless_end = frame;
    }

    /// Returns whether a client that left in the frame `since` may have come back unseen: on a
    /// connection whose CONNECT was not captured.
    pub(crate) fn may_be_back(&self, since: u64) -> bool {
        self.nameless > 0 || self.nameless_end > since
    }

    /// Notes a QoS 2 message of which a copy came before its PUBREL, with no equal one on its way. It
    /// takes two: a client outside the capture may publish one equal message just then, and hardly
    /// two. And more than came after their PUBREL: frames may stand out of order.
    pub(crate) fn forwards_early(&mut self, digest: u64) {
        if !self.outsiders && self.early.replace(digest) != Some(digest) {
            self.forwarded_early = self.forwarded_early.saturating_add(1);
            self.acts_at_publish |=
                self.forwarded_early > 1 && self.forwarded_early > self.forwarded_late;
        }
    }

    /// Notes a QoS 2 message of which the first copy came after its PUBREL.
    pub(crate) const fn forwards_late(&mut self) {
        self.forwarded_late = self.forwarded_late.saturating_add(1);
    }

    /// Remembers a subscription that is over; `matched` is the filter that topic names are matched
    /// with.
    pub(crate) fn note_past(&mut self, matched: &str, past: Past) {
        // Beyond the limit of filters nothing is remembered.
        if let Some(all) = self.past.get_or_default(matched) {
            all.retain(|one| one.client_id != past.client_id);
            if all.len() >= caps::PAST {
                all.remove(0);
            }
            all.push(past);
        }
    }

    /// Returns the latest few subscriptions to a topic that are over, of each client one; and how many
    /// levels of filters were compared, at most `steps`.
    pub(crate) fn past(&self, topic: &str, steps: usize) -> (Vec<&Past>, usize) {
        let mut found: Vec<&Past> = Vec::new();
        if self.past.is_empty() {
            return (found, 0);
        }
        let mut matching = self.past.matching(topic, steps);
        found.extend(matching.by_ref().take(caps::PAST).flatten());
        let taken = steps - matching.budget_left();
        // The latest first.
        found.sort_by_key(|one| (&one.client_id, Reverse(one.why.frame())));
        found.dedup_by_key(|one| &one.client_id);
        found.sort_by_key(|one| Reverse(one.why.frame()));
        found.truncate(caps::PAST);
        (found, taken)
    }
}

/// Every broker of the capture, up to [`Limits::servers`](crate::base::limits::Limits::servers).
#[derive(Debug, Default)]
pub(crate) struct Brokers {
    ids: HashMap<Endpoint, BrokerId>,
    hosts: HashMap<IpAddr, Host>,
    all: Vec<Broker>,
    /// Endpoints that the user named as one broker, and which it is, once it was seen.
    named: Vec<(Vec<EndpointPattern>, Option<BrokerId>)>,
    /// The addresses of the host on whose loopback was captured: those that it reaches itself at.
    own: HashSet<IpAddr>,
    /// The address of that host by which its brokers are found.
    here: Option<IpAddr>,
    /// Brokers to which a bridge connected, and the bridge's address; at most [`caps::BRIDGES`].
    bridges: Vec<(BrokerId, IpAddr)>,
    /// Digests of messages that seem to have passed between two brokers, by the two in order;
    /// at most [`caps::BRIDGES`].
    crossed: HashMap<(BrokerId, BrokerId), Vec<u64>>,
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
    /// Sets the lists of endpoints that the user named, each as one broker.
    pub(crate) fn name(&mut self, named: &[Vec<EndpointPattern>]) {
        self.named = named.iter().map(|one| (one.clone(), None)).collect();
    }

    /// Returns whether there are several brokers.
    pub(crate) fn several(&self) -> bool {
        self.all.len() > 1
    }

    /// Returns the brokers that are not `but`, the first few.
    pub(crate) fn others(&self, but: BrokerId) -> impl Iterator<Item = BrokerId> {
        /// Enough for what stands in one capture.
        const COMPARED: u32 = 16;
        let all = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let few = (0..all.min(COMPARED)).map(BrokerId);
        few.filter(move |other| *other != but)
    }

    /// Notes that a bridge connects to a broker from an address.
    pub(crate) fn note_bridge(&mut self, to: BrokerId, from: IpAddr) {
        if !self.bridges.contains(&(to, from)) && self.bridges.len() < caps::BRIDGES {
            self.bridges.push((to, from));
        }
    }

    /// Returns whether messages pass between two brokers: a bridge connects one with the other, or
    /// several messages have crossed.
    pub(crate) fn joined(&self, one: BrokerId, other: BrokerId) -> bool {
        let crossed = self.crossed.get(&(one.min(other), one.max(other)));
        crossed.is_some_and(|digests| digests.len() >= caps::CROSSED)
            || self.bridges.iter().any(|(to, from)| {
                (*to == one && self.only_other_at(*from, one) == Some(other))
                    || (*to == other && self.only_other_at(*from, other) == Some(one))
            })
    }

    /// Notes that a message seems to have passed between two brokers; returns whether they are
    /// [`joined`](Self::joined) as far as is known without it.
    pub(crate) fn crosses(&mut self, one: BrokerId, other: BrokerId, digest: u64) -> bool {
        let joined = self.joined(one, other);
        let room = self.crossed.len() < caps::BRIDGES;
        let pair = (one.min(other), one.max(other));
        if !joined && (room || self.crossed.contains_key(&pair)) {
            let digests = self.crossed.entry(pair).or_default();
            if !digests.contains(&digest) {
                digests.push(digest);
            }
        }
        joined
    }

    /// Returns the broker at an address, where there is one besides `but`.
    fn only_other_at(&self, address: IpAddr, but: BrokerId) -> Option<BrokerId> {
        let host = self.host(address);
        let mut there = self.others(but).filter(|id| {
            let broker = self.get(*id);
            broker.is_some_and(|one| one.addresses.iter().any(|at| self.host(*at) == host))
        });
        there.next().filter(|_| there.next().is_none())
    }

    /// Returns the address by which the host of an address is known.
    fn host(&self, address: IpAddr) -> IpAddr {
        let address = one_loopback(Endpoint { address, port: 0 }).address;
        match address.is_loopback() || self.own.contains(&address) {
            true => self.here.unwrap_or(address),
            false => address,
        }
    }

    /// The broker behind the server's endpoint of a client and a server, to which `transport`
    /// carries MQTT.
    ///
    /// One broker listens bare on one port, in WebSocket on another and in TLS on a third; two
    /// bare ports are two brokers.
    pub(crate) fn of(
        &mut self,
        (client, server): (Endpoint, Endpoint),
        transport: Transport,
        limits: &Limits,
    ) -> BrokerId {
        let of_user = |(patterns, _): &(Vec<EndpointPattern>, _)| {
            patterns.iter().any(|pattern| pattern.matches(&server))
        };
        let named = self.named.iter().position(of_user);
        if let Some((_, Some(id))) = named.and_then(|at| self.named.get(at)) {
            let id = *id;
            self.note_address(id, server.address);
            return id;
        }
        let place = self.place(client, server, limits);
        let id = self.of_host(place, transport, limits);
        self.note_address(id, server.address);
        if let Some((_, known)) = named.and_then(|at| self.named.get_mut(at))
            && id != BrokerId::UNKNOWN
        {
            *known = Some(id);
        }
        id
    }

    /// Notes that a broker is reached at an address.
    fn note_address(&mut self, id: BrokerId, address: IpAddr) {
        if let Some(broker) = self.get_mut(id)
            && !broker.addresses.contains(&address)
            && broker.addresses.len() < caps::ADDRESSES
        {
            broker.addresses.push(address);
        }
    }

    /// Returns a server's endpoint with the address by which its host is known.
    fn place(&mut self, client: Endpoint, server: Endpoint, limits: &Limits) -> Endpoint {
        let server = one_loopback(server);
        let to_itself = one_loopback(client).address == server.address;
        if to_itself && !self.own.contains(&server.address) && self.own.len() < limits.servers {
            self.own.insert(server.address);
        }
        if !server.address.is_loopback() && !self.own.contains(&server.address) {
            return server;
        }
        // A connection from a host to an address of its own shows that the address is the host's,
        // and so is the loopback: a server behind one port of both is one server.
        let address = *self.here.get_or_insert(server.address);
        match self.ids.contains_key(&server) {
            true => server,
            false => Endpoint { address, ..server },
        }
    }

    /// The broker behind an endpoint.
    fn of_host(&mut self, server: Endpoint, transport: Transport, limits: &Limits) -> BrokerId {
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
            // Each filter has that many.
            past: FilterTree::with_limit(limits.filter_levels / caps::PAST),
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

    /// Returns every broker, in the order of first appearance.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Broker> {
        self.all.iter()
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
        let mut of = |text, transport| {
            brokers.of(
                (endpoint("192.0.2.9:1"), endpoint(text)),
                transport,
                &Limits::DEFAULT,
            )
        };
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
        let mut of = |text, transport| {
            brokers.of(
                (endpoint("192.0.2.9:1"), endpoint(text)),
                transport,
                &Limits::DEFAULT,
            )
        };
        let first = of("127.0.0.1:1883", Transport::TCP);
        assert_eq!(of("[::1]:1883", Transport::TCP), first);
        assert_ne!(of("127.0.0.1:1884", Transport::TCP), first);
        let lan = of("192.0.2.1:1883", Transport::TCP);
        assert_ne!(of("[2001:db8::1]:1883", Transport::TCP), lan);
        assert_eq!(of("[::ffff:192.0.2.1]:1883", Transport::TCP), lan);
    }

    #[test]
    fn a_hosts_own_addresses_lead_to_one_broker() {
        let (lan, local) = ("192.0.2.1:1883", "127.0.0.1:1883");
        let (host, other) = ("192.0.2.1:50000", "192.0.2.9:50000");
        // Whichever comes first, as long as the host's own address shows before both are two.
        for order in [
            vec![(host, lan), ("127.0.0.1:50000", local), (other, lan)],
            vec![("127.0.0.1:50000", local), (host, lan), (other, lan)],
            vec![(other, lan), (host, lan), ("127.0.0.1:50000", local)],
        ] {
            let mut brokers = Brokers::default();
            let ids = order.iter().map(|(client, server)| {
                let ends = (endpoint(client), endpoint(server));
                brokers.of(ends, Transport::TCP, &Limits::DEFAULT)
            });
            let ids: Vec<_> = ids.collect();
            assert_eq!(ids, [ids[0]; 3], "{order:?}");
        }
        // Another host's address is another broker.
        let mut brokers = Brokers::default();
        let mut of = |client, server| {
            let ends = (endpoint(client), endpoint(server));
            brokers.of(ends, Transport::TCP, &Limits::DEFAULT)
        };
        assert_ne!(of(other, lan), of("127.0.0.1:50000", local));
    }

    #[test]
    fn a_bridge_joins_two_brokers_and_so_do_several_messages() {
        let mut brokers = Brokers::default();
        let mut of = |text| {
            let ends = (endpoint("192.0.2.9:1"), endpoint(text));
            brokers.of(ends, Transport::TCP, &Limits::DEFAULT)
        };
        let (one, other) = (of("192.0.2.1:1883"), of("192.0.2.2:1883"));
        let third = of("192.0.2.3:1883");
        brokers.note_bridge(one, endpoint("192.0.2.9:2").address);
        assert!(!brokers.joined(one, other) && !brokers.joined(one, third));
        brokers.note_bridge(one, endpoint("192.0.2.2:2").address);
        assert!(brokers.joined(one, other) && brokers.joined(other, one));
        assert!(!brokers.joined(one, third) && !brokers.joined(other, third));
        // The same message again is none besides.
        for digest in [1, 1, 2, 2, 3] {
            assert!(!brokers.crosses(third, one, digest));
        }
        assert!(brokers.crosses(one, third, 4) && brokers.joined(third, one));
        assert!(!brokers.joined(third, other));
    }

    #[test]
    fn endpoints_that_the_user_names_are_one_broker() {
        let mut brokers = Brokers::default();
        let pattern = |text: &str, port| EndpointPattern {
            address: text.parse().unwrap(),
            port,
        };
        brokers.name(&[vec![
            pattern("192.0.2.1", Some(1883)),
            pattern("2001:db8::1", None),
        ]]);
        let client = endpoint("192.0.2.9:1");
        let mut of = |text| {
            let ends = (client, endpoint(text));
            brokers.of(ends, Transport::TCP, &Limits::DEFAULT)
        };
        let first = of("192.0.2.1:1883");
        assert_eq!(of("[2001:db8::1]:1884"), first);
        assert_eq!(of("192.0.2.1:1883"), first);
        assert_ne!(of("192.0.2.1:1884"), first);
    }
}
