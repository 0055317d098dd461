//! What became of each message: handshakes, deliveries, wills, sessions, findings.
//!
//! [`Analyzer`] hears every event of a run and tells stories of it. "Not seen" is never told
//! as "not sent": each conclusion asks first whether the capture has a hole where the packet
//! could have been. Everything that is held has a cap, and reaching one is a finding.
//!
//! | file | holds |
//! |---|---|
//! | `brokers` | which servers are one broker; its topic filters |
//! | `link`, `links`, `client` | what is kept of a connection, of all; of a session |
//! | `connect`, `requests`, `publish`, `acknowledge` | what each packet type does |
//! | `exchange`, `opens` | a handshake while it goes on; all of one end |
//! | `messages`, `deliver`, `explain` | from a publisher's PUBLISH to each subscriber's |
//! | `shelf`, `line`, `names` | where messages are held; queues of mostly one; topic names |
//! | `retained`, `wills`, `ends` | stored messages; wills; how connections end |
//! | `transport` | what carries MQTT, or is none |
//! | `clauses`, `findings`, `checks`, `limits`, `judge` | the rules between packets |
//! | `outbox` | what is to be told, in order |

mod acknowledge;
mod brokers;
pub mod caps;
mod checks;
pub mod clauses;
mod client;
mod connect;
mod deliver;
mod ends;
mod exchange;
mod explain;
mod findings;
mod judge;
mod limits;
mod line;
mod link;
mod links;
mod messages;
mod names;
mod opens;
mod outbox;
mod publish;
mod requests;
mod retained;
mod shelf;
#[cfg(test)]
mod tests;
mod transport;
mod wills;

use foldhash::HashMap;
use foldhash::fast::RandomState;

use crate::base::FrameStamp;
use crate::base::limits::{Limit, Limits, Reached};
use crate::event::{Ended, Event, Gap, Needs, Opened, PacketEvent};
use crate::mqtt::{ControlPacket, Sender};
use crate::stream::{ConnectionId, GapCause};
use brokers::{BrokerId, Brokers};
use client::Clients;
use client::SubscriptionKey;
use findings::Findings;
use link::Link;
use links::Links;
use messages::Messages;
use outbox::Outbox;
use retained::Retained;
use wills::Wills;

/// Hears the events of a run and tells what became of each message.
#[derive(Debug, Default)]
pub struct Analyzer {
    wanted: Needs,
    limits: Limits,
    brokers: Brokers,
    links: Links,
    clients: Clients,
    messages: Messages,
    retained: Retained,
    wills: Wills,
    findings: Findings,
    outbox: Outbox,
    /// Seeded: what it hashes comes from the network.
    hash: RandomState,
    open_handshakes: usize,
    /// Holes in what the server sent on connections that have ended, where there were any.
    ended_with_gaps: HashMap<ConnectionId, u32>,
    /// The latest message of each stream whose order is watched: those of one publisher to one
    /// topic for one subscriber, at the two QoS. By the hash of these, which is seeded: the table
    /// is large, and each copy looks elsewhere in it.
    ordered: HashMap<u64, u64>,
    names: names::Names,
    /// Room for the subscriptions that take a topic.
    found: Vec<SubscriptionKey>,
    /// How many more may be found, see [`Limits::matches_ahead`].
    matches: usize,
    now: FrameStamp,
}

impl Analyzer {
    /// Returns an analysis that reports what is wanted and keeps as much as `limits` allow.
    pub fn new(wanted: Needs, limits: &Limits) -> Self {
        let limits = *limits;
        let mut analyzer = Self {
            wanted,
            limits,
            matches: limits.matches_ahead,
            brokers: Brokers::new(limits),
            clients: Clients::new(limits),
            messages: Messages::new(limits),
            ..Self::default()
        };
        analyzer.findings.limits = limits;
        analyzer.outbox.limits = limits;
        analyzer.findings.wanted = wanted.findings;
        analyzer.outbox.in_order = wanted.handshakes && wanted.in_order;
        // Findings about deliveries and wills need the messages.
        analyzer.wanted.deliveries |= wanted.stories || wanted.findings;
        analyzer
    }

    /// Hears an event and tells what became clear by it.
    pub fn observe(&mut self, event: &Event<'_>, emit: &mut impl FnMut(&Event<'_>)) {
        match event {
            Event::Opened(opened) => self.opened(opened),
            Event::Packet(packet) => self.packet(packet),
            Event::Gap(gap) => self.gap(gap),
            Event::Ended(ended) => self.ended(ended),
            Event::NotMqtt(not_mqtt) => self.not_mqtt(not_mqtt),
            Event::Breach(breach) => self.breach(breach),
            _ => return,
        }
        self.outbox.drain(emit);
    }

    /// Tells everything that still waits: the capture is over.
    pub fn finish(&mut self, emit: &mut impl FnMut(&Event<'_>)) {
        self.finish_all(emit);
        self.outbox.drain(emit);
    }

    /// Returns how often each limit was reached.
    pub fn reached(&self) -> &Reached {
        &self.findings.reached
    }

    fn opened(&mut self, opened: &Opened) {
        self.pass(opened.stamp);
        let id = opened.connection.id;
        let broker = self.brokers.of(opened.server, opened.transport);
        if broker == BrokerId::UNKNOWN {
            self.findings
                .limit_reached(&mut self.outbox, Limit::Servers, opened.stamp);
        }
        let ends = (opened.client, opened.server);
        let link = Link::new(&opened.connection, ends, broker, opened.stamp);
        if !opened.connection.handshake_seen {
            let at = link.at(opened.stamp);
            self.findings
                .tell(&mut self.outbox, &clauses::STARTS_MIDWAY, at, || {
                    "The capture begins in the middle of this connection: what was sent before is not known.".to_owned()
                });
        }
        self.links.insert(id, Box::new(link));
    }

    fn packet(&mut self, event: &PacketEvent<'_>) {
        self.pass(event.stamp);
        self.matches = (self.matches + caps::MATCHES_A_PACKET).min(self.limits.matches_ahead);
        let Some((slot, mut link)) = self.links.take_out(event.connection) else {
            return;
        };
        link.count(event);
        if let Ok(ControlPacket::Connect(connect)) = event.packet
            && link.connect.is_none()
        {
            // Findings about the CONNECT itself name the client too.
            link.client_id = Some(exchange::shared(connect.client_id));
        }
        if event.after_gap {
            self.blinded(&mut link);
        }
        self.check_packet(&mut link, event);
        link.side(event.sender).last = Some(event.stamp);
        match event.packet {
            Ok(packet) => self.act(&mut link, event, packet),
            Err(_) => link.garbled(event),
        }
        self.sure_of(&mut link, event);
        self.links.put_back(slot, link);
    }

    fn act(&mut self, link: &mut Link, event: &PacketEvent<'_>, packet: &ControlPacket<'_>) {
        if self.findings.wanted {
            self.check_problem_information(link, event);
        }
        let handshaking = matches!(
            packet,
            ControlPacket::Connect(_)
                | ControlPacket::ConnAck(_)
                | ControlPacket::Auth(_)
                | ControlPacket::Disconnect(_)
        );
        if !handshaking && link.client.is_none() && link.refusal.is_none() {
            self.attach(link, None, event);
        }
        match packet {
            ControlPacket::Connect(connect) => self.on_connect(link, event, connect),
            ControlPacket::ConnAck(ack) => self.on_connack(link, event, ack),
            ControlPacket::Publish(publish) => self.on_publish(link, event, publish),
            ControlPacket::PubAck(ack)
            | ControlPacket::PubRec(ack)
            | ControlPacket::PubRel(ack)
            | ControlPacket::PubComp(ack) => self.on_acknowledgement(link, event, ack),
            ControlPacket::Subscribe(subscribe) if event.sender == Sender::Client => {
                self.on_subscribe(link, event, subscribe);
            }
            ControlPacket::SubAck(ack) if event.sender == Sender::Server => {
                self.on_suback(link, event, ack);
            }
            ControlPacket::Unsubscribe(unsubscribe) if event.sender == Sender::Client => {
                self.on_unsubscribe(link, event, unsubscribe);
            }
            ControlPacket::UnsubAck(ack) if event.sender == Sender::Server => {
                self.on_unsuback(link, event, ack);
            }
            ControlPacket::PingReq if event.sender == Sender::Client => {
                self.on_pingreq(link, event);
            }
            ControlPacket::PingResp if event.sender == Sender::Server => {
                self.on_pingresp(link, event);
            }
            ControlPacket::Disconnect(disconnect) => self.on_disconnect(link, event, disconnect),
            ControlPacket::Auth(auth) => self.on_auth(link, event, auth),
            // From the wrong end: told as such.
            _ => {}
        }
    }

    fn gap(&mut self, gap: &Gap) {
        self.pass(gap.stamp);
        let Some((slot, mut link)) = self.links.take_out(gap.connection) else {
            return;
        };
        link.side(gap.sender).gaps += 1;
        self.blinded(&mut link);
        let at = link.at(gap.stamp);
        let who = match gap.sender {
            Sender::Client => "the client",
            Sender::Server => "the server",
        };
        let clause = match gap.cause {
            GapCause::SnapshotLength => &clauses::FRAME_CUT,
            _ => &clauses::MISSING_OCTETS,
        };
        self.findings.tell(&mut self.outbox, clause, at, || {
            let length = match gap.length {
                0 => "Octets".to_owned(),
                1 => "1 octet".to_owned(),
                length => format!("{length} octets"),
            };
            let why = match gap.cause {
                GapCause::NotCaptured => {
                    "they were acknowledged, so they arrived, and the capture does not hold them"
                }
                GapCause::SnapshotLength => "the snapshot length cut the frame",
                GapCause::WaitingCap => "too much waited behind them",
                GapCause::HeldCap => "a control packet is larger than what is held of one",
                GapCause::Unreadable => "the WebSocket or TLS that carried them could not be read",
                GapCause::EndOfCapture => "the connection or the capture ended before they came",
            };
            format!("{length} of {who} are missing: {why}.")
        });
        self.links.put_back(slot, link);
    }

    fn ended(&mut self, ended: &Ended) {
        self.pass(ended.stamp);
        if let Some(link) = self.links.remove(ended.connection) {
            self.on_ended(*link, ended);
        }
    }

    /// The capture's clock goes on.
    fn pass(&mut self, stamp: FrameStamp) {
        // Directions are told apart, so a later frame may come first; time goes on only.
        if stamp.number >= self.now.number {
            self.now = stamp;
        }
        if self.wanted.deliveries {
            self.sweep();
            self.sweep_wills();
        }
    }
}
