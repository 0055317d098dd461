//! One connection: how far it has come, what each end sent, what is in flight.
//!
//! A gap in a direction makes what its sender did uncertain, so gaps are counted and compared
//! wherever "not seen" would become "not sent".

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::HashMap;

use super::super::caps::{IN_TRANSIT, KEEP_ALIVE_LATE};
use super::super::keys::{BrokerId, SessionKey, StoredKey, WillKey};
use super::open::{Open, Opens};
use super::window::Window;
use crate::base::{Endpoint, FrameStamp, Span};
use crate::event::{ConnectSummary, ConnectionSummary, End, Gap, PacketEvent, between};
use crate::mqtt::{BySender, PacketType, Properties, ProtocolVersion, Sender};
use crate::stream::{Connection, ConnectionId};

/// How far the connection has come, as far as the capture shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Phase {
    /// The capture begins in the middle: CONNECT and CONNACK were not seen.
    Unknown,
    /// Captured from its first byte, and no packet yet.
    Fresh,
    /// CONNECT, and no CONNACK yet.
    Connecting,
    /// CONNACK accepted.
    Connected,
    /// CONNACK refused.
    Refused,
}

/// A DISCONNECT.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goodbye {
    /// The end that did it.
    pub(crate) by: Sender,
    /// The return or reason code.
    pub(crate) code: u8,
    /// The frame of the packet.
    pub(crate) stamp: FrameStamp,
}

/// A rule that a client's packet broke.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    /// The frame of the packet.
    pub(crate) stamp: FrameStamp,
    /// Packets that the server had sent by then.
    pub(crate) answers: u64,
    /// One end had closed the connection by then.
    pub(crate) late: bool,
}

/// A connection as a message finds it that was to be sent on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The frame of its end, or the latest one.
    pub(crate) stamp: FrameStamp,
    /// It goes on, as far as was captured.
    pub(crate) open: bool,
    /// Something that the server sent was captured.
    pub(crate) server_seen: bool,
    /// Gaps and unreadable packets in what the server sent.
    pub(crate) gaps: u32,
    /// The frame that shows the latest of those.
    pub(crate) gap: u64,
    /// The same of the client: it may have given up a subscription there.
    pub(crate) client_gaps: u32,
    /// The frame that shows the latest of those.
    pub(crate) client_gap: u64,
    /// Messages that the client has not acknowledged: the server may have more to send.
    pub(crate) in_flight: u32,
    /// The messages above QoS 0 that the server has in flight at most, where that is known.
    pub(crate) window: Option<u32>,
    /// The largest packet that the client accepts, in bytes (5.0).
    pub(crate) maximum_packet_size: Option<u32>,
    /// The client accepts topic aliases (5.0): a copy may lack its topic name.
    pub(crate) aliases: bool,
    /// The frame of the CONNECT, or the first one.
    pub(crate) began: u64,
}

/// How long a client has sent nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silence {
    /// The frame of its latest packet.
    pub(crate) since: FrameStamp,
    /// The time since then.
    pub(crate) span: Span,
    /// The keep alive in force, in seconds.
    pub(crate) keep_alive: u16,
}

impl Silence {
    /// Returns whether a server that enforces the keep alive had closed the connection by then.
    pub(crate) fn is_beyond_doubt(&self) -> bool {
        let most = i64::from(self.keep_alive) * 1_500_000_000;
        self.span.nanos() > most + KEEP_ALIVE_LATE.nanos()
    }
}

/// One direction of a connection. In this order: what each packet touches is near.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct Side {
    /// The latest packet.
    pub(crate) last: Option<FrameStamp>,
    /// Its type, and its size in bytes.
    pub(crate) last_packet: Option<(PacketType, u64)>,
    /// Control packets that it sent.
    pub(crate) packets: u64,
    /// Bytes of those packets.
    pub(crate) bytes: u64,
    /// Holes in what this end sent, the capture's begin in the middle included.
    pub(crate) gaps: u32,
    /// Malformed packets: what their sender meant is not known.
    pub(crate) garbled: u32,
    /// The frame that shows the latest of those and of the holes.
    pub(crate) gap: u64,
    /// The largest packet that this end accepts, in bytes (5.0).
    pub(crate) maximum_packet_size: Option<u32>,
    /// Receive Maximum: messages above QoS 0 that the other end may have in flight (5.0).
    pub(crate) receive_maximum: Option<u16>,
    /// The highest topic alias that this end accepts (5.0); 0 for none.
    pub(crate) topic_alias_maximum: u16,
    /// Answers in succession that took about 40 ms.
    pub(crate) delayed: u32,
    /// PUBLISH packets above QoS 0 that are not acknowledged: the send quota in use.
    pub(crate) window: Window,
    /// The frame of the latest PUBLISH of those.
    pub(crate) filled: u64,
    /// The fewest in flight at which this end held a message back.
    pub(crate) held_at: Option<u32>,
    /// Handshakes that this end began and that are not over, by packet identifier.
    pub(crate) open: Opens,
    /// Counts the PUBLISH packets of this end, and the PUBREC packets that answered them.
    pub(crate) published: u64,
    /// PUBREC packets that answered them.
    pub(crate) answered: u64,
    /// The places in order of sending of the latest PUBLISH that the peer acknowledged with
    /// PUBACK and with PUBREC, and of the latest PUBREC that this end answered with PUBREL.
    pub(crate) acked: u64,
    /// The number of the latest PUBLISH that the peer answered with PUBREC.
    pub(crate) received: u64,
    /// The number of the latest PUBREC that this end answered with PUBREL.
    pub(crate) released: u64,
    /// Acknowledgements that may still come for settled redeliveries, by identifier.
    pub(crate) late: HashMap<u16, u32>,
    /// Digests of messages that the peer refused, by identifier.
    pub(crate) refused: HashMap<u16, u64>,
    /// The latest packet in a frame before that of `last`.
    pub(crate) before: Option<FrameStamp>,
}

impl Side {
    /// Counts a PUBLISH above QoS 0 that this end sends.
    pub(crate) fn fills(&mut self, stamp: FrameStamp) {
        self.window.send(stamp);
        self.filled = stamp.number;
    }

    /// Notes that a message waited behind so many in flight.
    pub(crate) fn holds_back(&mut self, in_flight: u32) {
        let least = self.held_at.map_or(in_flight, |held| held.min(in_flight));
        self.held_at = Some(least).filter(|least| *least > 0);
    }

    /// Notes a hole in what this end sent, which a frame shows.
    pub(crate) fn note_gap(&mut self, frame: u64) {
        self.gaps += 1;
        self.gap = frame;
    }
}

/// One connection. In this order: what each packet touches is near.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Link {
    /// Its number in the capture.
    pub(crate) id: ConnectionId,
    /// The broker, by its place in the order of first appearance.
    pub(crate) broker: BrokerId,
    /// The session, once it is known which.
    pub(crate) session: Option<SessionKey>,
    /// The client identifier, an assigned one from CONNACK on.
    pub(crate) client_id: Option<Arc<str>>,
    /// How far it has come.
    pub(crate) phase: Phase,
    /// The protocol version, once a packet shows it.
    pub(crate) version: Option<ProtocolVersion>,
    /// In seconds, as in force.
    pub(crate) keep_alive: Option<u16>,
    /// The code of a CONNACK that refused it.
    pub(crate) refusal: Option<u8>,
    /// A packet behind DISCONNECT or a refusal was reported: once is enough.
    pub(crate) late_packet_reported: bool,
    /// A silence beyond the keep alive was reported: once is enough.
    pub(crate) silence_reported: bool,
    /// A silence of the client for which the server should have closed the connection, until it is
    /// seen whether it did.
    pub(crate) lapse: Option<Silence>,
    /// After another connection took its place, the server answered what its client sent.
    pub(crate) outlived: bool,
    /// The client did not read for a time: what was sent to it may have waited.
    pub(crate) slow_reader: bool,
    /// The end that first sent its FIN or RST, or a Close frame of the WebSocket that carries it, and
    /// that frame.
    pub(crate) closing: Option<(Sender, FrameStamp)>,
    /// The client sent a packet after that.
    pub(crate) after_close: bool,
    /// The end whose packets TCP did not bring to the other any more.
    pub(crate) stuck: Option<Sender>,
    /// Request Problem Information (5.0).
    pub(crate) wants_problem_information: bool,
    /// Request Response Information (5.0).
    pub(crate) wants_response_information: bool,
    /// Clean Session, or Clean Start in 5.0.
    pub(crate) clean: bool,
    /// The parts of MQTT 5.0 that the server offers.
    pub(crate) offer: Offer,
    /// It counts among its broker's connections whose client is not known.
    pub(crate) nameless: bool,
    /// It counts among its broker's blind connections.
    pub(crate) blind: bool,
    /// Who closed it first.
    pub(crate) closer: Option<Sender>,
    /// The first Close frame of the WebSocket that carries it, and who sent it.
    pub(crate) close_frame: Option<(Sender, FrameStamp)>,
    /// Segments of both ends were captured, as its end shows.
    pub(crate) both_seen: bool,
    /// The first gap of an end of which no packet was captured: perhaps none at all was.
    pub(crate) silent: BySender<Option<Gap>>,
    /// The frame of the CONNACK that accepted it.
    pub(crate) accepted: Option<FrameStamp>,
    /// In seconds; of 3.x: 0 or `u32::MAX`.
    pub(crate) session_expiry: u32,
    /// The first DISCONNECT.
    pub(crate) goodbye: Option<Goodbye>,
    /// The client's latest packet that breaks the protocol.
    pub(crate) fault: Option<Fault>,
    /// The two directions.
    pub(crate) sides: BySender<Side>,
    /// The CONNECT, where it was captured, with its answer.
    pub(crate) connect: Option<Box<ConnectSummary>>,
    /// The frame of the CONNECT.
    pub(crate) connect_stamp: Option<FrameStamp>,
    /// The server's endpoint as the client reached it.
    pub(crate) server: Endpoint,
    /// The client's endpoint.
    pub(crate) client_end: Endpoint,
    /// The frame from which the connection is known.
    pub(crate) opened: FrameStamp,
    /// The session that another connection took over.
    pub(crate) former: Option<SessionKey>,
    /// The frame with which the server accepted the connection that took its client identifier.
    pub(crate) superseded: Option<FrameStamp>,
    /// Digest of the will's topic and payload.
    pub(crate) will_digest: u64,
    /// Authentication Method of the CONNECT (5.0).
    pub(crate) authentication_method: Option<Box<str>>,
    /// The handshake of CONNECT, until CONNACK.
    pub(crate) connecting: Option<Open>,
    /// A re-authentication that goes on (5.0 §4.12.1).
    pub(crate) authenticating: Option<Open>,
    /// PINGREQ packets without an answer, the oldest first; at most
    /// [`PINGS`](super::super::caps::PINGS).
    pub(crate) pings: VecDeque<Open>,
    /// Another connection took its client identifier.
    pub(crate) taken_over: Option<(ConnectionId, FrameStamp)>,
    /// The will that it set.
    pub(crate) will: Option<WillKey>,
    /// The resumed session still owes these redeliveries, by sender.
    pub(crate) owed: BySender<Vec<u16>>,
    /// Stored messages that a new subscription takes.
    pub(crate) stored_due: Vec<StoredDue>,
}

/// A stored message that a SUBSCRIBE asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StoredDue {
    pub(crate) key: StoredKey,
    /// The frame of the SUBSCRIBE.
    pub(crate) asked: FrameStamp,
    /// A copy came. Further filters of the SUBSCRIBE may bring further ones.
    pub(crate) sent: bool,
}

/// The parts of MQTT 5.0 that a CONNACK offers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Offer {
    /// Maximum QoS.
    pub(crate) maximum_qos: u8,
    /// Retain Available.
    pub(crate) retain: bool,
    /// Wildcard Subscription Available.
    pub(crate) wildcards: bool,
    /// Subscription Identifiers Available.
    pub(crate) identifiers: bool,
    /// Shared Subscription Available.
    pub(crate) shared: bool,
}

impl Offer {
    /// Returns what the properties of a CONNACK offer: an absent one allows everything (5.0
    /// §3.2.2.3).
    pub(crate) fn of(properties: Properties<'_>) -> Self {
        Self {
            maximum_qos: properties.maximum_qos().map_or(2, |qos| qos as u8),
            retain: properties.retain_available().unwrap_or(true),
            wildcards: properties.wildcard_subscription_available().unwrap_or(true),
            identifiers: properties
                .subscription_identifiers_available()
                .unwrap_or(true),
            shared: properties.shared_subscription_available().unwrap_or(true),
        }
    }
}

impl Link {
    /// Returns a connection of which nothing has been seen but its opening.
    pub(crate) fn new(
        connection: &Connection,
        ends: (Endpoint, Endpoint),
        broker: BrokerId,
        stamp: FrameStamp,
    ) -> Self {
        let (client_end, server) = ends;
        let mut sides = BySender::<Side>::default();
        let phase = if connection.handshake_seen {
            Phase::Fresh
        } else {
            sides.client.note_gap(stamp.number);
            sides.server.note_gap(stamp.number);
            Phase::Unknown
        };
        Self {
            id: connection.id,
            broker,
            server,
            client_end,
            opened: stamp,
            phase,
            sides,
            version: None,
            session: None,
            former: None,
            superseded: None,
            will_digest: 0,
            blind: false,
            nameless: false,
            client_id: None,
            connect: None,
            connect_stamp: None,
            clean: false,
            keep_alive: None,
            session_expiry: 0,
            authentication_method: None,
            wants_problem_information: true,
            wants_response_information: true,
            connecting: None,
            authenticating: None,
            pings: VecDeque::new(),
            goodbye: None,
            refusal: None,
            closer: None,
            both_seen: false,
            silent: BySender::default(),
            accepted: None,
            fault: None,
            close_frame: None,
            taken_over: None,
            will: None,
            offer: Offer::of(Properties::default()),
            owed: BySender::default(),
            stored_due: Vec::new(),
            late_packet_reported: false,
            silence_reported: false,
            lapse: None,
            outlived: false,
            slow_reader: false,
            closing: None,
            after_close: false,
            stuck: None,
        }
    }

    /// Returns how the connection stands at `stamp`, where it is open still or ends.
    pub(crate) fn standing(&self, stamp: FrameStamp, open: bool) -> Standing {
        let BySender { client, server } = &self.sides;
        let unseen = self.unseen();
        Standing {
            stamp: self.goodbye.map_or(stamp, |goodbye| goodbye.stamp),
            open,
            server_seen: !self.never_seen(Sender::Server),
            gaps: unseen.server,
            gap: server.gap,
            client_gaps: unseen.client,
            client_gap: client.gap,
            in_flight: server.window.in_flight(),
            window: match client.receive_maximum {
                Some(maximum) => Some(
                    server
                        .held_at
                        .map_or(maximum.into(), |held| held.min(maximum.into())),
                ),
                None => server.held_at,
            },
            maximum_packet_size: client.maximum_packet_size,
            aliases: client.topic_alias_maximum > 0,
            began: self.began().number,
        }
    }

    /// Returns the gaps in what each end sent.
    pub(crate) fn gaps(&self) -> BySender<u32> {
        BySender::new(self.sides.client.gaps, self.sides.server.gaps)
    }

    /// Returns the gaps and the unreadable packets in what each end sent.
    pub(crate) fn unseen(&self) -> BySender<u32> {
        let BySender { client, server } = &self.sides;
        BySender::new(client.gaps + client.garbled, server.gaps + server.garbled)
    }

    /// Nothing at all was captured of what an end sent: not even that it closed.
    pub(crate) fn never_seen(&self, sender: Sender) -> bool {
        let side = &self.sides[sender];
        side.packets == 0 && side.garbled == 0 && self.closer != Some(sender) && !self.both_seen
    }

    /// Everything that an end sent was captured and could be read.
    pub(crate) fn certain(&self, sender: Sender) -> bool {
        let side = &self.sides[sender];
        side.gaps == 0 && side.garbled == 0
    }

    /// Everything that either end sent was captured and could be read.
    pub(crate) fn whole(&self) -> bool {
        self.certain(Sender::Client) && self.certain(Sender::Server)
    }

    /// A packet could not be read: what it meant is not known.
    pub(crate) fn garbled(&mut self, event: &PacketEvent<'_>) {
        let side = &mut self.sides[event.sender];
        side.garbled += 1;
        side.gap = event.stamp.number;
        if event.packet_type == PacketType::Connect && self.phase == Phase::Fresh {
            self.phase = Phase::Unknown;
        }
    }

    /// Returns whether the connection is still of use to its client: no DISCONNECT, no refusal.
    pub(crate) fn alive(&self) -> bool {
        self.goodbye.is_none() && self.refusal.is_none()
    }

    /// Returns the frame in which the client left: that of the DISCONNECT, or of its FIN where the
    /// server has had time to see that.
    pub(crate) fn left(&self, now: FrameStamp) -> Option<FrameStamp> {
        let fin = self.closing.filter(|(by, stamp)| {
            let since = between(stamp, &now);
            *by == Sender::Client && since.is_some_and(|since| since >= IN_TRANSIT)
        });
        let goodbye = self.goodbye.map(|goodbye| goodbye.stamp);
        goodbye.or_else(|| Some(fin?.1))
    }

    /// Returns the protocol version, 3.1.1 where it is not known.
    pub(crate) fn version(&self) -> ProtocolVersion {
        self.version.unwrap_or(ProtocolVersion::V3_1_1)
    }

    /// Returns whether the connection is known to speak MQTT 5.0.
    pub(crate) fn five(&self) -> bool {
        self.version == Some(ProtocolVersion::V5_0)
    }

    /// Counts a packet, and a gap before it that its event shows.
    pub(crate) fn count(&mut self, event: &PacketEvent<'_>) {
        if event.version.is_some() {
            self.version = event.version;
        }
        let side = &mut self.sides[event.sender];
        if event.after_gap && side.gaps == 0 {
            side.note_gap(event.stamp.number);
        }
        side.packets += 1;
        side.bytes = side.bytes.saturating_add(event.bytes.len() as u64);
    }

    /// Returns whether its client is a bridge, where the CONNECT was captured.
    pub(crate) fn bridge(&self) -> Option<bool> {
        self.connect.as_ref().map(|connect| connect.bridge)
    }

    /// Returns the frame of its CONNECT, or the first where that was not captured.
    pub(crate) fn began(&self) -> FrameStamp {
        self.connect_stamp.unwrap_or(self.opened)
    }

    /// Returns the client's silence at `stamp`, where it has sent something and a keep alive is in
    /// force.
    pub(crate) fn silence(&self, stamp: FrameStamp) -> Option<Silence> {
        // Before its CONNACK a client has nothing to keep alive.
        if matches!(self.phase, Phase::Connecting | Phase::Refused) {
            return None;
        }
        let since = self.sides.client.last?;
        let waited_until = self.accepted.filter(|ack| ack.number > since.number);
        Some(Silence {
            since,
            span: between(&waited_until.unwrap_or(since), &stamp)?,
            keep_alive: self.keep_alive.filter(|seconds| *seconds > 0)?,
        })
    }

    /// Returns that silence where it is surely longer than one and a half times the keep alive: a
    /// packet in a gap would have broken it.
    pub(crate) fn excessive_silence(&self, stamp: FrameStamp) -> Option<Silence> {
        let silence = self.silence(stamp)?;
        let most = i64::from(silence.keep_alive) * 1_500_000_000;
        (silence.span.nanos() > most && self.sides.client.gaps == 0).then_some(silence)
    }

    /// Notes the client's latest packet that breaks the protocol.
    pub(crate) fn blame(&mut self, stamp: FrameStamp) {
        self.fault = Some(Fault {
            stamp,
            answers: self.sides.server.packets,
            late: self.closing.is_some(),
        });
    }

    /// Notes that a redelivery which a resumed session owed has come.
    pub(crate) fn pay(&mut self, sender: Sender, id: u16) {
        let owed = &mut self.owed[sender];
        if !owed.is_empty() {
            owed.retain(|other| *other != id);
        }
    }

    /// Returns its record, which ends with `end`.
    pub(crate) fn summary(&self, end: End) -> ConnectionSummary {
        let BySender { client, server } = &self.sides;
        ConnectionSummary {
            connection: self.id,
            client: self.client_end,
            server: self.server,
            opened: self.opened,
            connect_stamp: self.connect_stamp,
            connect: self.connect.clone(),
            keep_alive: self.keep_alive,
            session_expiry: self.connect.is_some().then_some(self.session_expiry),
            packets: [client.packets, server.packets],
            bytes: [client.bytes, server.bytes],
            end,
        }
    }
}
