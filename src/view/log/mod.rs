//! The log that mosquitto 2.0.11 would have written with `-v`.
//!
//! mosquitto reads a connection packet by packet and answers each before it reads the next; so a
//! packet waits here for the answer to the one before it, unless an effect of it shows earlier.
//! What it writes of a packet may hang on the answer: a CONNECT that is refused, a PUBLISH that is
//! denied, the QoS that is granted.
//!
//! What the broker kept to itself is not in a capture: the client identifier that it assigned
//! to a 3.1.1 Client (such a Client is called by its address and port), and why it closed a
//! connection for which no packet gives a reason.

mod connection;
mod verdict;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt::Display;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};

use self::connection::{Followed, Held, Phase, UNKNOWN};
use self::verdict::{Offer, Verdict, unknown_version};
use super::observer::View;
use super::out::Out;
use crate::base::{Endpoint, FrameStamp};
use crate::event::log::{Cause, Line, Way};
use crate::event::{Closed, ConnectionId, Ended, Event, FirstEnd, Opened, PacketEvent, Totals};
use crate::mqtt::packet::{Acknowledgement, ConnAck, Connect, Will};
use crate::mqtt::topic::matches;
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Sender};

/// DISCONNECT's reason code where another connection took over (5.0 §3.14.2.1).
const SESSION_TAKEN_OVER: u8 = 0x8e;

/// PUBACK's and PUBREC's reason codes for a message that is not taken.
const NOT_AUTHORIZED: u8 = 0x87;
const PACKET_TOO_LARGE: u8 = 0x95;

/// CONNACK's reason code with which mosquitto still knows the client identifier.
const BAD_AUTHENTICATION_METHOD: u8 = 0x8c;

/// Memory of all packets that wait, in bytes; what comes when there are as many waits no more.
const MOST_BYTES: usize = 16 << 20;

/// Entries of each small list that the log keeps; what lies beyond has no line of its own.
const MOST: usize = 1_000;

/// The log of a capture.
#[derive(Debug)]
pub struct Log<W: Write> {
    out: Out<W>,
    /// Only some packets are shown.
    selective: bool,
    connections: HashMap<ConnectionId, Followed>,
    /// Which connection of a Server has a client identifier.
    names: HashMap<(Endpoint, String), ConnectionId>,
    /// The accepted connections on which a PUBLISH waits that is not written, by the hash of its
    /// server and topic.
    publishing: BTreeSet<(u64, ConnectionId)>,
    hasher: RandomState,
    /// Memory of the packets that wait, in bytes.
    bytes: usize,
    /// CONNECTs whose client identifier another connection has.
    takeovers: Vec<Takeover>,
    /// The limits that Servers named.
    offers: HashMap<Endpoint, Offer>,
    /// Ends that nothing explains.
    unexplained: Vec<Unexplained>,
    /// The latest connection.
    latest: ConnectionId,
    /// The frame of the event that is being shown.
    now: FrameStamp,
}

/// A CONNECT that will take a client identifier over.
#[derive(Debug)]
struct Takeover {
    before: ConnectionId,
    by: ConnectionId,
    shown: bool,
}

/// A connection that the Server closed for no reason that shows. mosquitto has no line for it where
/// the whole broker was stopped: so it is written once the Server goes on with another one.
#[derive(Debug)]
struct Unexplained {
    server: Endpoint,
    /// Connections that were there at that time have no greater number.
    latest: ConnectionId,
    client: String,
}

impl<W: Write> Log<W> {
    /// The log goes to `writer`.
    pub fn new(writer: W) -> Self {
        Self {
            out: Out::new(writer),
            selective: false,
            connections: HashMap::new(),
            names: HashMap::new(),
            publishing: BTreeSet::new(),
            hasher: RandomState::new(),
            bytes: 0,
            takeovers: Vec::new(),
            offers: HashMap::new(),
            unexplained: Vec::new(),
            latest: ConnectionId(0),
            now: FrameStamp::default(),
        }
    }

    /// Shows the beginnings of those connections alone whose CONNECT a selection takes.
    #[must_use]
    pub fn selective(self) -> Self {
        Self {
            selective: true,
            ..self
        }
    }

    /// Writes one entry of the current event.
    fn line(&mut self, line: impl Display) -> io::Result<()> {
        self.line_at(self.now, line)
    }

    /// Writes one entry, each line with the second of a frame.
    fn line_at(&mut self, stamp: FrameStamp, line: impl Display) -> io::Result<()> {
        // A line is a write of its own in mosquitto, so each has the time.
        for text in line.to_string().split('\n') {
            if let Some(time) = stamp.time {
                write!(self.out, "{}: ", (time.nanos() / 1_000_000_000).max(0))?;
            }
            writeln!(self.out, "{text}")?;
        }
        self.out.row_done()
    }

    /// Takes an event; nothing of it is `shown` where the user's selection leaves it out.
    fn observe(&mut self, event: &Event<'_>, shown: bool) -> io::Result<()> {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Packet(seen) => {
                self.now = seen.stamp;
                match seen.sender {
                    Sender::Client => self.received(seen, shown),
                    Sender::Server => self.sent(seen, shown),
                }
            }
            Event::Gap(gap) => {
                self.now = gap.stamp;
                if let Some(followed) = self.connections.get_mut(&gap.connection) {
                    followed.sent = None;
                }
                self.release(gap.connection, usize::MAX)
            }
            Event::FirstEnd(end) => {
                self.now = end.stamp;
                self.first_end(end, shown)
            }
            Event::Ended(ended) => {
                self.now = ended.stamp;
                self.ended(ended, shown)
            }
            _ => Ok(()),
        }
    }

    /// Follows a connection from here on.
    fn opened(&mut self, opened: &Opened) -> io::Result<()> {
        let id = opened.connection.id;
        self.latest = self.latest.max(id);
        self.connections.insert(id, Followed::new(opened));
        match self.selective {
            true => Ok(()),
            false => self.announce(id),
        }
    }

    /// Writes the first line of a connection.
    fn announce(&mut self, id: ConnectionId) -> io::Result<()> {
        let followed = self.connections.get_mut(&id);
        let Some((stamp, peer, port)) = followed.and_then(|followed| {
            let stamp = followed.unannounced.take()?;
            Some((stamp, followed.client, followed.server.port))
        }) else {
            return Ok(());
        };
        self.line_at(stamp, Line::NewConnection { peer, port })
    }

    /// Takes a packet of the client.
    fn received(&mut self, seen: &PacketEvent<'_>, shown: bool) -> io::Result<()> {
        let id = seen.connection;
        let Some(followed) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over {
            return Ok(());
        }
        followed.last = seen.stamp.time.or(followed.last);
        if seen.after_gap && followed.phase == Phase::New {
            followed.phase = Phase::Active;
            followed.name = followed.nameless();
        }
        if followed.waits_too_long(seen.stamp.time) {
            self.release(id, usize::MAX)?;
        }
        if let Ok(ControlPacket::Connect(connect)) = seen.packet {
            self.asks(id, connect.client_id, shown);
        }
        if let Some(followed) = self.connections.get(&id) {
            let hash = |topic: &str| self.hasher.hash_one((followed.server, topic));
            let mut held = Held::new(seen, shown, hash);
            let offer = self.offers.get(&followed.server);
            // Behind a CONNECT it depends on how that is answered.
            held.fatal = (followed.phase != Phase::New || followed.waiting.is_empty())
                && verdict::of_packet(&held, followed, offer).is_some();
            self.hold(id, held, VecDeque::push_back);
        }
        if self.bytes > MOST_BYTES {
            self.release(id, usize::MAX)?;
        }
        self.go_on(id)
    }

    /// Notes whose client identifier a CONNECT takes over, if it is accepted.
    fn asks(&mut self, id: ConnectionId, client_id: &str, shown: bool) {
        let Some(followed) = self.connections.get(&id) else {
            return;
        };
        let name = (followed.server, client_id.to_owned());
        let before = self.names.get(&name).filter(|before| **before != id);
        if let Some(before) = before
            && self.takeovers.len() < MOST
            && followed.phase == Phase::New
        {
            self.takeovers.push(Takeover {
                before: *before,
                by: id,
                shown,
            });
        }
    }

    /// Writes what the Server has read by now: all that waits, up to a packet whose answer is not
    /// there yet.
    fn go_on(&mut self, id: ConnectionId) -> io::Result<()> {
        while let Some(followed) = self.connections.get(&id) {
            let first = followed.waiting.front();
            if followed.phase == Phase::New
                || first.is_none_or(|first| first.written || first.waits_unwritten())
            {
                break;
            }
            self.step(id)?;
        }
        self.close_late(id)
    }

    /// Writes the first packet that waits; one whose answer is to come goes on waiting for it.
    fn step(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(mut held) = self.pop(id) else {
            return Ok(());
        };
        self.write(id, &held, None)?;
        held.written = true;
        if let Some(followed) = self.connections.get(&id)
            && followed.phase != Phase::Over
            && held.is_answered()
        {
            self.hold(id, held, VecDeque::push_front);
        }
        Ok(())
    }

    /// Has a packet wait, at the end where `push` puts it.
    fn hold(&mut self, id: ConnectionId, held: Held, push: fn(&mut VecDeque<Held>, Held)) {
        let Some(followed) = self.connections.get_mut(&id) else {
            return;
        };
        self.bytes += held.weight();
        // Before CONNACK nothing that the client sends has an effect.
        if let Some(topic) = held.topic.filter(|_| !held.written)
            && followed.phase != Phase::New
        {
            self.publishing.insert((topic, id));
        }
        push(&mut followed.waiting, held);
    }

    /// Writes the first packets that wait, answered or not.
    fn release(&mut self, id: ConnectionId, count: usize) -> io::Result<()> {
        for _ in 0..count {
            let Some(held) = self.pop(id) else {
                break;
            };
            self.write(id, &held, None)?;
        }
        Ok(())
    }

    /// Takes out the first packet that waits.
    fn pop(&mut self, id: ConnectionId) -> Option<Held> {
        let followed = self.connections.get_mut(&id)?;
        let held = followed.waiting.pop_front()?;
        self.bytes = self.bytes.saturating_sub(held.weight());
        if let Some(topic) = held.topic.filter(|_| !held.written) {
            let same = |other: &Held| other.topic == Some(topic) && !other.written;
            if !followed.waiting.iter().any(same) {
                self.publishing.remove(&(topic, id));
            }
        }
        Some(held)
    }

    /// Takes a packet of the server: an answer, or a message.
    fn sent(&mut self, seen: &PacketEvent<'_>, shown: bool) -> io::Result<()> {
        let id = seen.connection;
        let Some(server) = self.connections.get(&id).map(|followed| followed.server) else {
            return Ok(());
        };
        self.goes_on(id, server)?;
        let Ok(packet) = seen.packet else {
            // What mosquitto never sends: a capture shows what another server does.
            let client = self.name(id);
            let note = format!("Malformed {} to {client}.", seen.packet_type.name());
            return self.line_if(shown, Line::Note(&note));
        };
        match packet {
            ControlPacket::Publish(publish) => {
                let topic = seen.topic_resolved.unwrap_or(publish.topic);
                self.may_be_caused(id, server, topic)?;
                if let Some(packet_id) = publish.delivery.packet_id()
                    && let Some(followed) = self.connections.get_mut(&id)
                    && let Some(sent) = &mut followed.sent
                {
                    sent.insert(packet_id.number(), publish.delivery.qos());
                }
            }
            ControlPacket::Disconnect(disconnect) => {
                return self.dismissed(id, Some(disconnect.reason_code), None, shown);
            }
            packet => {
                let followed = self.connections.get(&id);
                let place = followed.and_then(|followed| {
                    (followed.waiting.iter()).position(|held| held.is_answered_by(packet))
                });
                if let Some(place) = place {
                    self.release(id, place)?;
                }
                let asked = place.and_then(|_| self.pop(id));
                if let ControlPacket::ConnAck(ack) = packet {
                    self.answered(id, asked.as_ref(), ack, shown)?;
                    return self.go_on(id);
                }
                if let Some(asked) = asked.filter(|asked| !asked.written) {
                    self.write(id, &asked, Some(packet))?;
                }
            }
        }
        if shown {
            let client = self.name(id);
            self.line_of_packet(seen, packet, Way::Sending, &client)?;
        }
        self.go_on(id)
    }

    /// Writes the packets that a message of the Server may be an effect of, and what makes a will
    /// be published.
    fn may_be_caused(&mut self, id: ConnectionId, server: Endpoint, topic: &str) -> io::Result<()> {
        let connections = &self.connections;
        let wills = self.takeovers.iter().filter(|takeover| {
            let before = connections.get(&takeover.before);
            before.is_some_and(|before| {
                before.server == server && before.will_topic.as_deref() == Some(topic)
            })
        });
        let wills: Vec<_> = wills
            .map(|takeover| (takeover.before, takeover.shown))
            .collect();
        for (before, shown) in wills {
            self.take_over(before, shown)?;
        }
        let hash = self.hasher.hash_one((server, topic));
        let all = (hash, ConnectionId(0))..=(hash, ConnectionId(u32::MAX));
        let mut publishing: BTreeSet<_> = self.publishing.range(all).map(|(_, id)| *id).collect();
        // Its own SUBSCRIBE may be the cause, too.
        publishing.insert(id);
        let causes = publishing.into_iter().filter_map(|waiting| {
            let followed = self.connections.get(&waiting)?;
            if followed.phase == Phase::New {
                return None;
            }
            let mut held = followed.waiting.iter();
            let place = held.position(|held| held.may_cause(hash, topic, waiting == id))?;
            Some((waiting, place))
        });
        let causes: Vec<_> = causes.collect();
        for (waiting, place) in causes {
            self.release(waiting, place)?;
            self.step(waiting)?;
        }
        Ok(())
    }

    /// The client as the log calls it.
    fn name(&self, id: ConnectionId) -> String {
        let followed = self.connections.get(&id);
        followed.map_or_else(String::new, |followed| followed.name.clone())
    }

    fn line_if(&mut self, shown: bool, line: impl Display) -> io::Result<()> {
        match shown {
            true => self.line(line),
            false => Ok(()),
        }
    }

    /// Writes the lines of a packet of the client, with what its answer adds.
    fn write(
        &mut self,
        id: ConnectionId,
        held: &Held,
        answer: Option<&ControlPacket<'_>>,
    ) -> io::Result<()> {
        if held.written {
            return Ok(());
        }
        let client = self.name(id);
        held.packet.with_event(|seen| {
            let Ok(packet) = seen.packet else {
                return self.taken_malformed(seen, held.shown, &client);
            };
            match packet {
                // Its lines are those of a CONNACK.
                ControlPacket::Connect(_) => Ok(()),
                ControlPacket::Subscribe(asked) => {
                    let codes = match answer {
                        Some(ControlPacket::SubAck(ack)) => Some(ack),
                        _ => None,
                    };
                    self.line_if(held.shown, plain(seen, Way::Received, &client))?;
                    let mut codes = codes.into_iter().flat_map(|ack| ack.codes.iter().copied());
                    for one in asked.subscriptions.iter() {
                        let (filter, qos) = (one.filter, one.options & 0x03);
                        let granted = codes.next().unwrap_or(qos);
                        let qos = granted.min(qos);
                        self.line_if(held.shown, Line::Subscription { filter, qos })?;
                        let client = &client;
                        let line = Line::Subscribed {
                            client,
                            qos,
                            filter,
                        };
                        self.line_if(held.shown && granted < 0x80, line)?;
                    }
                    Ok(())
                }
                ControlPacket::Disconnect(_) => {
                    self.line_if(held.shown, plain(seen, Way::Received, &client))?;
                    self.line_if(held.shown, Line::Disconnected(&client))?;
                    self.over(id);
                    Ok(())
                }
                ControlPacket::PubAck(ack)
                | ControlPacket::PubRec(ack)
                | ControlPacket::PubComp(ack) => {
                    let (packet_type, packet_id) = (seen.packet_type, ack.packet_id);
                    self.line_if(held.shown, acknowledgement(seen, ack, &client))?;
                    let followed = self.connections.get_mut(&id);
                    let unknown = followed
                        .is_some_and(|followed| followed.acknowledges(packet_type, packet_id));
                    let (client, packet_id) = (&client, packet_id.number());
                    let warned = unknown && packet_type == PacketType::PubRec;
                    let line = Line::UnknownPubRec { client, packet_id };
                    self.line_if(held.shown && warned, line)
                }
                packet if held.shown => {
                    let way = way_of(packet, seen, answer);
                    self.line_of_packet(seen, packet, way, &client)
                }
                _ => Ok(()),
            }
        })
    }

    /// Writes the line of a packet that needs no more than itself.
    fn line_of_packet(
        &mut self,
        seen: &PacketEvent<'_>,
        packet: &ControlPacket<'_>,
        way: Way,
        client: &str,
    ) -> io::Result<()> {
        match packet {
            ControlPacket::Publish(publish) => self.line(Line::Publish {
                way,
                client,
                dup: seen.bytes.first().is_some_and(|first| first & 0x08 != 0),
                qos: publish.delivery.qos() as u8,
                retain: publish.retain,
                packet_id: publish.delivery.packet_id().map_or(0, |id| id.number()),
                topic: seen.topic_resolved.unwrap_or(publish.topic),
                length: usize::try_from(seen.payload_length(publish)).unwrap_or(usize::MAX),
            }),
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => self.line(Line::Acknowledgement {
                way,
                name: seen.packet_type.name(),
                client,
                packet_id: ack.packet_id.number(),
                reason_code: ack.reason_code,
            }),
            ControlPacket::Unsubscribe(unsubscribe) => {
                self.line(plain(seen, way, client))?;
                for filter in unsubscribe.filters.iter() {
                    self.line(Line::Filter(filter))?;
                    self.line(Line::Unsubscribed { client, filter })?;
                }
                Ok(())
            }
            ControlPacket::Auth(auth) => self.line(Line::Auth {
                way,
                client,
                reason_code: auth.reason_code,
                method: auth.properties.authentication_method().unwrap_or(""),
            }),
            _ => self.line(plain(seen, way, client)),
        }
    }

    /// Writes the line of a malformed packet of the client that the Server took all the same, as
    /// mosquitto takes some.
    fn taken_malformed(
        &mut self,
        seen: &PacketEvent<'_>,
        shown: bool,
        client: &str,
    ) -> io::Result<()> {
        if !shown {
            return Ok(());
        }
        // DUP at QoS 0, and reserved flags: without those bits the packet may be read.
        let mut bytes = seen.bytes.to_vec();
        if let Some(first) = bytes.first_mut() {
            *first &= if *first >> 4 == 3 { 0xf7 } else { 0xf0 };
        }
        let version = seen.version.unwrap_or(ProtocolVersion::V3_1_1);
        if let Ok(packet) = ControlPacket::read(&bytes, version, &mut ()) {
            return self.line_of_packet(seen, &packet, Way::Received, client);
        }
        match seen.packet_type {
            PacketType::Subscribe
            | PacketType::PingReq
            | PacketType::PingResp
            | PacketType::SubAck
            | PacketType::UnsubAck => self.line(plain(seen, Way::Received, client)),
            other => {
                let note = format!("Malformed {} from {client}.", other.name());
                self.line(Line::Note(&note))
            }
        }
    }

    /// CONNACK: only now is it known whether the Client came in, and as whom.
    fn answered(
        &mut self,
        id: ConnectionId,
        asked: Option<&Held>,
        ack: &ConnAck<'_>,
        shown: bool,
    ) -> io::Result<()> {
        let packet = asked.map(|asked| &asked.packet);
        let decoded = packet.and_then(|packet| packet.decode().ok());
        let connect = match &decoded {
            Some(ControlPacket::Connect(connect)) => Some(connect),
            _ => None,
        };
        if ack.code != 0 {
            return self.refused(id, connect, ack, shown);
        }
        let Some(followed) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let is_new = followed.phase == Phase::New;
        followed.phase = Phase::Active;
        followed.sent = (!ack.session_present).then(BTreeMap::new);
        if let Some(connect) = connect {
            followed.asks(connect);
            let name = match ack.properties.assigned_client_identifier() {
                Some(assigned) => assigned.to_owned(),
                None if !connect.client_id.is_empty() => connect.client_id.to_owned(),
                // mosquitto's name of it is not in the capture.
                None => followed.nameless(),
            };
            let former = std::mem::replace(&mut followed.name, name);
            forget_name(&mut self.names, (followed.server, former), id);
        }
        followed.alias_maximum = ack.properties.topic_alias_maximum().unwrap_or(0);
        if let Some(seconds) = ack.properties.server_keep_alive() {
            followed.keep_alive = seconds;
        }
        let (peer, server, name) = (followed.client, followed.server, followed.name.clone());
        let version = packet.and_then(|packet| packet.version);
        if version == Some(ProtocolVersion::V5_0) && self.offers.len() < MOST {
            self.offers.insert(server, Offer::of(ack));
        }
        if is_new {
            self.judge_waiting(id);
        }
        let taking = (self.takeovers.iter()).position(|takeover| takeover.by == id);
        if let Some(takeover) = taking.map(|at| self.takeovers.swap_remove(at)) {
            self.take_over(takeover.before, takeover.shown)?;
        }
        let before = match connect {
            Some(_) => self.names.insert((server, name.clone()), id),
            None => None,
        };
        if let Some(before) = before.filter(|before| *before != id) {
            self.take_over(before, asked.is_some_and(|asked| asked.shown))?;
        }
        let client = name.as_str();
        if let (Some(connect), Some(asked)) = (connect, asked.filter(|asked| asked.shown)) {
            self.announce(id)?;
            self.line(Line::NewClient {
                peer,
                client,
                level: Line::level(asked.version()),
                clean: connect.clean(),
                keep_alive: connect.keep_alive,
                user_name: connect.user_name,
                bridge: connect.bridge,
            })?;
            self.line(connect.will.as_ref().map_or(Line::NoWill, will))?;
        }
        self.line_if(shown, connack(client, ack))
    }

    /// Judges the packets that came before the CONNACK, which may have an effect from now on.
    fn judge_waiting(&mut self, id: ConnectionId) {
        let Some(followed) = self.connections.get_mut(&id) else {
            return;
        };
        let offer = self.offers.get(&followed.server);
        let mut waiting = std::mem::take(&mut followed.waiting);
        for held in &mut waiting {
            held.fatal = verdict::of_packet(held, followed, offer).is_some();
            if let Some(topic) = held.topic {
                self.publishing.insert((topic, id));
            }
        }
        followed.waiting = waiting;
    }

    /// CONNACK that refuses a Client, whose identifier mosquitto has then forgotten.
    fn refused(
        &mut self,
        id: ConnectionId,
        connect: Option<&Connect<'_>>,
        ack: &ConnAck<'_>,
        shown: bool,
    ) -> io::Result<()> {
        self.takeovers.retain(|takeover| takeover.by != id);
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        let peer = followed.client;
        let address = peer.address.to_string();
        let client = match connect {
            Some(connect) if ack.code == BAD_AUTHENTICATION_METHOD => connect.client_id,
            _ => &address,
        };
        if shown {
            self.announce(id)?;
        }
        for line in connect.map_or_else(Vec::new, |connect| unknown_version(connect, peer)) {
            self.line_if(shown, &line)?;
        }
        self.line_if(shown, connack(client, ack))?;
        let client = UNKNOWN;
        self.over(id);
        match verdict::of_refusal(ack.code) {
            Some(cause) => self.line_if(shown, Line::Ended { client, cause }),
            None => {
                let why = "connection refused";
                self.line_if(shown, Line::Dismissed { client, why })
            }
        }
    }

    /// The connection `before` lost its client identifier to another one.
    fn take_over(&mut self, before: ConnectionId, shown: bool) -> io::Result<()> {
        self.takeovers.retain(|takeover| takeover.before != before);
        let lives = (self.connections.get(&before)).is_some_and(|one| one.phase != Phase::Over);
        if !lives {
            return Ok(());
        }
        self.release(before, usize::MAX)?;
        self.over(before);
        let client = self.name(before);
        self.line_if(shown, Line::AlreadyConnected(&client))
    }

    /// The Server ends a connection: with DISCONNECT and its reason code, or with `end`.
    fn dismissed(
        &mut self,
        id: ConnectionId,
        code: Option<u8>,
        end: Option<&FirstEnd>,
        shown: bool,
    ) -> io::Result<()> {
        let taken = self.takeovers.iter().find(|takeover| takeover.before == id);
        let taken = taken.map(|takeover| takeover.shown);
        if taken.is_some() || code == Some(SESSION_TAKEN_OVER) {
            return self.take_over(id, taken.unwrap_or(shown));
        }
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over {
            return Ok(());
        }
        let offer = self.offers.get(&followed.server);
        let verdict = self.verdict(followed);
        let wrong_answer = followed.wrong_answer;
        let silent = followed.is_silent(end.and_then(|end| end.stamp.time));
        let cut = end.and_then(|end| end.incomplete);
        let too_large =
            cut.is_some_and(|cut| offer.is_some_and(|offer| offer.refuses(cut.announced)));
        let cause = match code.and_then(verdict::of_disconnect) {
            Some(cause) => Some(cause),
            None if verdict.is_some() => None,
            None if wrong_answer => Some(Cause::Protocol),
            None if silent => Some(Cause::TimedOut),
            None => too_large.then_some(Cause::Oversize),
        };
        let lines = match (verdict, cause) {
            (Some(verdict), None) => verdict,
            // The packet that the code is about is not written, but for what precedes the error.
            (Some(verdict), Some(cause)) => Verdict { cause, ..verdict },
            (None, Some(cause)) => {
                if matches!(cause, Cause::TimedOut | Cause::Administrative) {
                    self.release(id, usize::MAX)?;
                }
                cause.into()
            }
            (None, None) => return self.unexplained(id, code, shown),
        };
        self.end(id, &lines, shown)
    }

    /// Judges the first packet of a connection that is not answered.
    fn verdict(&self, followed: &Followed) -> Option<Verdict> {
        let held = followed.waiting.front().filter(|held| !held.written)?;
        let offer = self.offers.get(&followed.server);
        verdict::of_packet(held, followed, offer)
    }

    /// Writes the lines of an end that a packet brought about.
    fn end(&mut self, id: ConnectionId, verdict: &Verdict, shown: bool) -> io::Result<()> {
        for line in &verdict.lines {
            self.line_if(shown, line)?;
        }
        let (client, cause) = (&*self.name(id), verdict.cause);
        self.over(id);
        self.line_if(shown, Line::Ended { client, cause })
    }

    /// The Server ends a connection, and nothing shows why.
    fn unexplained(&mut self, id: ConnectionId, code: Option<u8>, shown: bool) -> io::Result<()> {
        self.release(id, usize::MAX)?;
        let client = self.name(id);
        let server = self.connections.get(&id).map(|followed| followed.server);
        self.over(id);
        if let Some(reason_code) = code {
            let client = &client;
            let line = Line::SendingDisconnect {
                client,
                reason_code,
            };
            return self.line_if(shown, line);
        }
        if let Some(server) = server
            && shown
            && self.unexplained.len() < MOST
        {
            self.unexplained.push(Unexplained {
                server,
                latest: self.latest,
                client,
            });
        }
        Ok(())
    }

    /// The Server goes on with a connection that was there before: so it was not stopped.
    fn goes_on(&mut self, id: ConnectionId, server: Endpoint) -> io::Result<()> {
        let mut at = 0;
        while let Some(one) = self.unexplained.get(at) {
            if one.server != server {
                at += 1;
                continue;
            }
            let one = self.unexplained.remove(at);
            if id <= one.latest {
                let (client, why) = (&*one.client, "closed by the server");
                self.line(Line::Dismissed { client, why })?;
            }
        }
        Ok(())
    }

    /// The line of a connection's end is written, or never will be.
    fn over(&mut self, id: ConnectionId) {
        if let Some(followed) = self.connections.get_mut(&id) {
            followed.phase = Phase::Over;
            for held in followed.waiting.drain(..) {
                self.bytes = self.bytes.saturating_sub(held.weight());
                if let Some(topic) = held.topic {
                    self.publishing.remove(&(topic, id));
                }
            }
        }
    }

    /// One end closes the connection or resets it.
    fn first_end(&mut self, end: &FirstEnd, shown: bool) -> io::Result<()> {
        let id = end.connection;
        if end.by == Sender::Server {
            return self.dismissed(id, None, Some(end), shown);
        }
        if end.reset {
            self.release(id, usize::MAX)?;
        }
        if let Some(followed) = self.connections.get_mut(&id) {
            // mosquitto reads what came before it.
            followed.closing = Some((*end, shown));
        }
        self.close_late(id)
    }

    /// Writes that a client closed its connection, once nothing waits that it sent before.
    fn close_late(&mut self, id: ConnectionId) -> io::Result<()> {
        let Some(followed) = self.connections.get(&id) else {
            return Ok(());
        };
        if followed.phase == Phase::Over || !followed.waiting.is_empty() {
            return Ok(());
        }
        let Some((end, shown)) = followed.closing else {
            return Ok(());
        };
        let client = followed.name.clone();
        self.over(id);
        // Inside a packet there is no error to report, and mosquitto reports that one.
        let inside = end.incomplete.is_some_and(|cut| cut.announced > 0);
        self.line_if(
            shown,
            match inside && !end.reset {
                true => Line::Dismissed {
                    client: &client,
                    why: "Success",
                },
                false => Line::Closed(&client),
            },
        )
    }

    /// Forgets a connection, and writes its end where that still waits.
    fn ended(&mut self, ended: &Ended, shown: bool) -> io::Result<()> {
        let id = ended.connection;
        let live = |log: &Self| {
            let followed = log.connections.get(&id);
            followed
                .filter(|followed| followed.phase != Phase::Over)
                .map(|one| one.closing)
        };
        if let (Some(None), Some(by)) = (live(self), ended.by) {
            // It was not known to be MQTT before.
            let end = FirstEnd {
                connection: id,
                by,
                reset: ended.why == Closed::Reset,
                stamp: ended.first,
                incomplete: None,
            };
            self.first_end(&end, shown)?;
        }
        if let Some(Some((_, shown))) = live(self) {
            let verdict = self.connections.get(&id).and_then(|one| self.verdict(one));
            if let Some(verdict) = verdict {
                self.end(id, &verdict, shown)?;
            }
        }
        self.release(id, usize::MAX)?;
        self.close_late(id)?;
        let Some(followed) = self.connections.remove(&id) else {
            return Ok(());
        };
        self.takeovers
            .retain(|one| one.before != id && one.by != id);
        forget_name(&mut self.names, (followed.server, followed.name), id);
        Ok(())
    }
}

/// Forgets that a connection has a client identifier; a newer one may have it by now.
fn forget_name(
    names: &mut HashMap<(Endpoint, String), ConnectionId>,
    name: (Endpoint, String),
    id: ConnectionId,
) {
    if names.get(&name) == Some(&id) {
        names.remove(&name);
    }
}

/// Returns the line of a packet that is listed by its name alone.
fn plain<'a>(seen: &PacketEvent<'_>, way: Way, client: &'a str) -> Line<'a> {
    Line::Plain {
        way,
        name: seen.packet_type.name(),
        client,
    }
}

/// Returns the line of an acknowledgement of the client.
fn acknowledgement<'a>(
    seen: &PacketEvent<'_>,
    ack: &Acknowledgement<'_>,
    client: &'a str,
) -> Line<'a> {
    Line::Acknowledgement {
        way: Way::Received,
        name: seen.packet_type.name(),
        client,
        packet_id: ack.packet_id.number(),
        reason_code: ack.reason_code,
    }
}

/// Returns the line of CONNACK.
fn connack<'a>(client: &'a str, ack: &ConnAck<'_>) -> Line<'a> {
    Line::SendingConnAck {
        client,
        session_present: ack.session_present,
        code: ack.code,
    }
}

/// Whether a PUBLISH of the client was taken: its answer or its topic shows where it was not.
fn way_of(
    packet: &ControlPacket<'_>,
    seen: &PacketEvent<'_>,
    answer: Option<&ControlPacket<'_>>,
) -> Way {
    let ControlPacket::Publish(publish) = packet else {
        return Way::Received;
    };
    let code = match answer {
        Some(ControlPacket::PubAck(ack) | ControlPacket::PubRec(ack)) => ack.reason_code,
        _ => 0,
    };
    let topic = seen.topic_resolved.unwrap_or(publish.topic);
    let state = "$SYS/broker/connection/+/state";
    // Only a bridge may publish there, its state.
    let reserved = topic.starts_with("$SYS") && !matches(state, topic);
    match code {
        NOT_AUTHORIZED => Way::Denied,
        PACKET_TOO_LARGE => Way::TooLarge,
        _ if reserved || topic.starts_with("$share") => Way::Denied,
        _ => Way::Received,
    }
}

/// Returns the line of a will.
fn will<'a>(will: &Will<'a>) -> Line<'a> {
    Line::Will {
        length: will.payload.len(),
        retain: will.retain,
        qos: will.qos as u8,
        topic: will.topic,
    }
}

impl<W: Write> View for Log<W> {
    fn event(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.observe(event, true)
    }

    fn left_out(&mut self, event: &Event<'_>) -> io::Result<()> {
        self.observe(event, false)
    }

    fn idle(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    fn finish(&mut self, _: &Totals) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests;
