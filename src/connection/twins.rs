//! Connections that the capture holds twice: on both sides of a docker-proxy or of address
//! translation, or at two capture points.
//!
//! The copies have other addresses or ports, so TCP does not show it; the control packets do. Two
//! connections that begin with the same CONNECT, and whose packets then come in step, one by one,
//! are one. A second client with the same identifier is out of step: the first has its CONNACK long
//! before. So are the clients of two servers, but by accident: where neither the server nor a host or
//! a port is the same, the packets must come as through a proxy, the server's from behind it first, or
//! nearly at once.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use crate::base::{Endpoint, FrameStamp, Span};
use crate::event::{PacketEvent, SeenTwice, between};
use crate::mqtt::{BySender, ControlPacket, PacketType, Sender};
use crate::stream::ConnectionId;

/// CONNECT packets that are remembered for the same one on another connection.
const REMEMBERED: usize = 64;
/// Pairs that are compared at a time.
const PAIRS: usize = 64;
/// Packets that must be the same, of both ends.
const COMPARED: usize = 4;
/// Packets of one end by which one connection may be ahead of the other: those of one segment.
const AHEAD: usize = 8;
/// The two copies of a packet come within this time: the way through a proxy or a router, or the
/// skew of two capture points.
const SKEW: Span = Span::from_nanos(20_000_000);
/// The same where nothing else shows that the two are one: no two servers answer so alike.
const AT_ONCE: Span = Span::from_nanos(100_000);
/// A pair that is not decided by then is forgotten.
const UNDECIDED: Span = Span::from_nanos(10_000_000_000);

/// A packet of one connection whose copy is awaited on the other.
#[derive(Clone, Copy, Debug)]
struct Awaited {
    digest: u64,
    stamp: FrameStamp,
}

/// A CONNECT.
#[derive(Clone, Copy, Debug)]
struct Begun {
    connection: ConnectionId,
    client: Endpoint,
    server: Endpoint,
    packet: Awaited,
}

/// Two connections that began with the same CONNECT.
#[derive(Debug)]
struct Pair {
    ids: [ConnectionId; 2],
    first: Awaited,
    /// The CONNECT of the second.
    began: FrameStamp,
    /// Packets of the server that must be the same: one that lets a second client with the same
    /// identifier in answers the first no longer.
    answers: usize,
    /// The first must be ahead with the client's packets, and the second with the server's, or all
    /// must come at once.
    nested: bool,
    /// The two copies of a packet must come within this time.
    within: Span,
    /// By sender: the packets by which one of the two is ahead, and which.
    ahead: BySender<(Option<ConnectionId>, VecDeque<Awaited>)>,
    /// By sender: packets that were the same.
    same: BySender<usize>,
}

/// Recognises connections that the capture holds twice.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    hash: RandomState,
    /// The latest CONNECT packets, in order.
    connects: VecDeque<Begun>,
    pairs: Vec<Pair>,
}

impl Twins {
    /// Takes a control packet, and returns the two connections where it shows that they are one.
    #[inline]
    pub(crate) fn observe(&mut self, event: &PacketEvent<'_>) -> Option<SeenTwice> {
        if event.packet_type == PacketType::Connect && event.sender == Sender::Client {
            self.connect(event);
            None
        } else if self.pairs.is_empty() {
            None
        } else {
            self.compare(event)
        }
    }

    /// Returns whether a connection may turn out to be a copy of an earlier one.
    pub(crate) fn is_suspect(&self, connection: ConnectionId) -> bool {
        self.pairs.iter().any(|pair| pair.ids[1] == connection)
    }

    /// Compares a connection no further.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.pairs.retain(|pair| pair.ids[1] != connection);
    }

    /// Looks for copies of a connection no further.
    pub(crate) fn forget_copies_of(&mut self, connection: ConnectionId) {
        self.pairs.retain(|pair| pair.ids[0] != connection);
    }

    /// Forgets pairs of which a packet has waited for its copy too long.
    pub(crate) fn expire(&mut self, now: &FrameStamp) {
        self.pairs.retain(|pair| pair.is_in_time(now));
    }

    #[cold]
    fn connect(&mut self, event: &PacketEvent<'_>) {
        let begun = Begun {
            connection: event.connection,
            client: *event.source,
            server: *event.destination,
            packet: self.packet(event),
        };
        // Without an identifier the CONNECT packets of many clients are the same.
        if let Ok(ControlPacket::Connect(connect)) = event.packet
            && connect.client_id.is_empty()
        {
            return;
        }
        while let Some(oldest) = self.connects.front()
            && (self.connects.len() >= REMEMBERED || !oldest.packet.is_near(&event.stamp, SKEW))
        {
            self.connects.pop_front();
        }
        let same = |other: &&Begun| {
            other.packet.digest == begun.packet.digest
                && other.connection != begun.connection
                && other.may_be(&begun)
        };
        if let Some(other) = self.connects.iter().find(same) {
            if self.pairs.len() >= PAIRS {
                self.pairs.remove(0);
            }
            self.pairs.push(Pair {
                ids: [other.connection, begun.connection],
                first: other.packet,
                began: event.stamp,
                answers: 1 + usize::from(other.server == begun.server),
                nested: !other.shares_an_end(&begun),
                within: SKEW,
                ahead: BySender::default(),
                same: BySender::new(1, 0),
            });
        }
        self.connects.push_back(begun);
    }

    #[cold]
    fn compare(&mut self, event: &PacketEvent<'_>) -> Option<SeenTwice> {
        let now = &event.stamp;
        self.expire(now);
        let holds = |pair: &Pair| pair.ids.contains(&event.connection);
        let at = self.pairs.iter().position(holds)?;
        let packet = self.packet(event);
        let pair = self.pairs.get_mut(at)?;
        let in_step = pair.take(event, packet);
        let (client, server) = (pair.same.client, pair.same.server);
        let decided = client + server >= COMPARED && server >= pair.answers;
        let twice = SeenTwice {
            connection: pair.ids[1],
            other: pair.ids[0],
            first: pair.first.stamp,
            began: pair.began,
            stamp: *now,
        };
        if decided || !in_step {
            self.pairs.remove(at);
        }
        (decided && in_step).then_some(twice)
    }

    fn packet(&self, event: &PacketEvent<'_>) -> Awaited {
        Awaited {
            digest: self.hash.hash_one(event.bytes),
            stamp: event.stamp,
        }
    }
}

impl Begun {
    /// Returns whether addresses and ports allow that both are one. Translation and proxies give
    /// the client another address or leave it its port; a proxy on the client's own host gives it
    /// another port, and is one connection's server and the other's client.
    fn may_be(&self, other: &Self) -> bool {
        let same_host = self.client.address == other.client.address;
        !same_host
            || self.client.port == other.client.port
            || (self.server != other.server && self.is_proxied(other))
    }

    /// Returns whether the two have one server, or a host or port in common as translation and
    /// proxies leave them.
    fn shares_an_end(&self, other: &Self) -> bool {
        self.server == other.server
            || self.client.port == other.client.port
            || self.is_proxied(other)
    }

    /// Returns whether the server of one is the host of the other's client.
    fn is_proxied(&self, other: &Self) -> bool {
        self.server.address == other.client.address || other.server.address == self.client.address
    }
}

impl Awaited {
    /// Returns whether a frame stands within `span` of it; true where times are not known.
    fn is_near(&self, stamp: &FrameStamp, span: Span) -> bool {
        let distance = between(&self.stamp, stamp);
        distance
            .is_none_or(|distance| distance.nanos().unsigned_abs() <= span.nanos().unsigned_abs())
    }
}

impl Pair {
    /// Returns whether the pair may still turn out to be one connection.
    fn is_in_time(&self, now: &FrameStamp) -> bool {
        let in_time = |(_, awaited): &(_, VecDeque<Awaited>)| {
            (awaited.front()).is_none_or(|first| first.is_near(now, SKEW))
        };
        self.first.is_near(now, UNDECIDED) && self.ahead.iter().all(in_time)
    }

    /// Takes a packet of one of the two; returns whether they are still in step.
    fn take(&mut self, event: &PacketEvent<'_>, packet: Awaited) -> bool {
        let (leader, awaited) = &mut self.ahead[event.sender];
        if awaited.is_empty() {
            *leader = Some(event.connection);
            let is_first = event.connection == self.ids[0];
            if self.nested && is_first != (event.sender == Sender::Client) {
                self.within = AT_ONCE;
            }
        }
        if *leader == Some(event.connection) {
            awaited.push_back(packet);
            return awaited.len() <= AHEAD;
        }
        self.same[event.sender] += 1;
        awaited.pop_front().is_some_and(|first| {
            first.digest == packet.digest && first.is_near(&packet.stamp, self.within)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::base::{Layers, Timestamp};
    use crate::carrier::Transport;
    use crate::mqtt::ProtocolVersion;
    use crate::stream::Direction;

    const CONNECT: &[u8] = b"\x10connect";
    const CONNACK: &[u8] = b"\x20connack";
    const SUBSCRIBE: &[u8] = b"\x82subscribe";
    const SUBACK: &[u8] = b"\x90suback";

    /// Observes packets: connection, bytes, microseconds since the packet before. The server has
    /// the number of `servers`. Returns the pairs found.
    fn found(servers: [u8; 2], packets: &[(u32, &[u8], i64)]) -> Vec<(u32, u32)> {
        found_from([(99, 40_000); 2], servers, packets)
    }

    /// The same, with the last number of the client's address and its port on each connection.
    fn found_from(
        clients: [(u8, u16); 2],
        servers: [u8; 2],
        packets: &[(u32, &[u8], i64)],
    ) -> Vec<(u32, u32)> {
        observed(clients, servers, packets).1
    }

    /// The same, with what the packets leave behind.
    fn observed(
        clients: [(u8, u16); 2],
        servers: [u8; 2],
        packets: &[(u32, &[u8], i64)],
    ) -> (Twins, Vec<(u32, u32)>) {
        let mut twins = Twins::default();
        let mut micros = 0;
        let mut found = Vec::new();
        for (number, (connection, bytes, later)) in (1..).zip(packets) {
            micros += later;
            let end = |last, port| Endpoint {
                address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)),
                port,
            };
            let (client, port) = clients[*connection as usize];
            let read = ControlPacket::read(bytes, ProtocolVersion::V3_1_1, &mut ());
            let sender = match bytes[0] >> 4 {
                2 | 9 => Sender::Server,
                _ => Sender::Client,
            };
            let event = PacketEvent {
                stamp: FrameStamp {
                    number,
                    time: Some(Timestamp::from_nanos(micros * 1000)),
                    ..FrameStamp::default()
                },
                index: 0,
                frames: &[number],
                connection: ConnectionId(*connection),
                source: &end(client, port),
                destination: &end(servers[*connection as usize], 1883),
                direction: Direction::Forward,
                sender,
                transport: Transport::TCP,
                version: None,
                version_inferred: false,
                after_gap: false,
                missing: 0,
                packet_type: PacketType::of(bytes[0]),
                bytes,
                packet: read.as_ref().map_err(|malformed| *malformed),
                client_id: None,
                topic_resolved: None,
                layers: &Layers::default(),
            };
            let twice = twins.observe(&event);
            found.extend(twice.map(|twice| (twice.other.0, twice.connection.0)));
        }
        (twins, found)
    }

    #[test]
    fn packets_in_step_are_one_connection() {
        let step = |bytes| [(0, bytes, 1000), (1, bytes, 20)];
        let all = [CONNECT, CONNACK, SUBSCRIBE, SUBACK].map(step).concat();
        assert_eq!(found([1, 2], &all), [(0, 1)]);
        assert_eq!(found([1, 1], &all), [(0, 1)]);
        // A proxy's server side answers first.
        let nested = [
            (0, CONNECT, 0),
            (1, CONNECT, 30),
            (1, CONNACK, 100),
            (0, CONNACK, 30),
            (0, SUBSCRIBE, 5_000_000),
            (1, SUBSCRIBE, 30),
            (1, SUBACK, 30),
            (0, SUBACK, 30),
        ];
        assert_eq!(found([1, 1], &nested), [(0, 1)]);
    }

    #[test]
    fn two_connections_of_one_host_are_no_copies_but_through_its_own_proxy() {
        let step = |bytes| [(0, bytes, 1000), (1, bytes, 20)];
        let all = [CONNECT, CONNACK, SUBSCRIBE, SUBACK].map(step).concat();
        let two = [(99, 40_000), (99, 40_001)];
        // Two servers, or one.
        assert_eq!(found_from(two, [1, 2], &all), []);
        assert_eq!(found_from(two, [1, 1], &all), []);
        assert_eq!(found_from(two, [99, 2], &all), [(0, 1)]);
    }

    #[test]
    fn two_clients_of_two_servers_are_no_copies_unless_one_passes_on_what_the_other_does() {
        let two = [(99, 40_000), (98, 40_001)];
        let step = |bytes| [(0, bytes, 1000), (1, bytes, 200)];
        let all = [CONNECT, CONNACK, SUBSCRIBE, SUBACK].map(step).concat();
        assert_eq!(found_from(two, [1, 2], &all), []);
        let at_once = |bytes| [(0, bytes, 1000), (1, bytes, 20)];
        let at_once = [CONNECT, CONNACK, SUBSCRIBE, SUBACK].map(at_once).concat();
        assert_eq!(found_from(two, [1, 2], &at_once), [(0, 1)]);
        let back = |bytes| [(1, bytes, 1000), (0, bytes, 200)];
        let [connect, subscribe] = [CONNECT, SUBSCRIBE].map(step);
        let [connack, suback] = [CONNACK, SUBACK].map(back);
        let nested = [connect, connack, subscribe, suback].concat();
        assert_eq!(found_from(two, [1, 2], &nested), [(0, 1)]);
        // One server, or the client's port is kept: either order.
        assert_eq!(found_from(two, [1, 1], &all), [(0, 1)]);
        let port = [(99, 40_000), (98, 40_000)];
        assert_eq!(found_from(port, [1, 2], &all), [(0, 1)]);
    }

    #[test]
    fn clients_without_an_identifier_are_alike_and_no_copies() {
        let connect: &[u8] = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00";
        let step = |bytes| [(0, bytes, 1000), (1, bytes, 20)];
        let all = [connect, CONNACK, SUBSCRIBE, SUBACK].map(step).concat();
        assert_eq!(found_from([(99, 40_000), (98, 40_001)], [1, 2], &all), []);
    }

    #[test]
    fn a_client_that_takes_over_is_no_copy() {
        let after = [
            (0, CONNECT, 0),
            (0, CONNACK, 100),
            (0, SUBSCRIBE, 100),
            (0, SUBACK, 100),
            (1, CONNECT, 100),
            (1, CONNACK, 100),
            (1, SUBSCRIBE, 100),
            (1, SUBACK, 100),
        ];
        assert_eq!(found([1, 1], &after), []);
        // Both at once: the first has no answer but its CONNACK.
        let both = [
            (0, CONNECT, 0),
            (1, CONNECT, 10),
            (0, CONNACK, 10),
            (1, CONNACK, 10),
            (0, SUBSCRIBE, 10),
            (1, SUBSCRIBE, 10),
            (1, SUBACK, 10),
        ];
        assert_eq!(found([1, 1], &both), []);
    }

    #[test]
    fn a_pair_is_no_suspect_any_more_once_a_packet_waits_too_long_or_the_first_is_closed() {
        let begun = [(0, CONNECT, 0), (1, CONNECT, 100), (0, CONNACK, 100)];
        let (mut twins, _) = observed([(99, 40_000); 2], [1, 1], &begun);
        let second = ConnectionId(1);
        assert!(twins.is_suspect(second));
        let later = |micros: i64| FrameStamp {
            number: 4,
            time: Some(Timestamp::from_nanos(micros * 1000)),
            ..FrameStamp::default()
        };
        twins.expire(&later(20_200));
        assert!(twins.is_suspect(second));
        twins.forget_copies_of(second);
        assert!(twins.is_suspect(second));
        let (mut late, _) = observed([(99, 40_000); 2], [1, 1], &begun);
        late.expire(&later(20_201));
        assert!(!late.is_suspect(second));
        twins.forget_copies_of(ConnectionId(0));
        assert!(!twins.is_suspect(second));
    }

    #[test]
    fn packets_that_differ_or_come_late_are_no_copies() {
        let other: &[u8] = b"\x82subscribe other";
        let differs = [
            (0, CONNECT, 0),
            (1, CONNECT, 10),
            (0, CONNACK, 10),
            (1, CONNACK, 10),
            (0, SUBSCRIBE, 10),
            (1, other, 10),
            (0, SUBACK, 10),
            (1, SUBACK, 10),
        ];
        assert_eq!(found([1, 2], &differs), []);
        let late = |bytes| [(0, bytes, 1000), (1, bytes, 21_000)];
        let late = [CONNECT, CONNACK, SUBSCRIBE, SUBACK].map(late).concat();
        assert_eq!(found([1, 2], &late), []);
    }
}
