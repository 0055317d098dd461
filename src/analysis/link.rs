//! What the analysis keeps of one connection.

use std::collections::VecDeque;
use std::sync::Arc;

use foldhash::{HashMap, HashMapExt};

use super::brokers::BrokerId;
use super::clauses::Clause;
use super::client::ClientKey;
use super::exchange::Open;
use super::findings::Where;
use super::opens::Opens;
use super::retained::StoredKey;
use super::wills::WillKey;
use crate::base::{Endpoint, FrameStamp};
use crate::event::{ConnectSummary, PacketEvent};
use crate::mqtt::{PacketType, ProtocolVersion, Sender};
use crate::stream::{Connection, ConnectionId};

/// How far the connection has come, as far as the capture shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The capture begins in the middle: CONNECT and CONNACK were not seen.
    Unknown,
    /// From its first octet, and no packet yet.
    Fresh,
    /// CONNECT, and no CONNACK yet.
    Connecting,
    Connected,
    /// CONNACK refused.
    Refused,
}

/// A DISCONNECT.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goodbye {
    pub(super) by: Sender,
    pub(super) code: u8,
    pub(super) stamp: FrameStamp,
}

/// A rule that a client's packet broke.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) stamp: FrameStamp,
    /// Packets that the server had sent by then.
    pub(super) answers: u64,
}

/// One direction of a connection. In this order: what each packet touches is near.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Side {
    /// The latest packet.
    pub(super) last: Option<FrameStamp>,
    pub(super) packets: u64,
    pub(super) octets: u64,
    /// Holes in what this end sent, the capture's begin in the middle included.
    pub(super) gaps: u32,
    /// Malformed packets: what their sender meant is not known.
    pub(super) garbled: u32,
    pub(super) maximum_packet_size: Option<u32>,
    /// What this end lets the other send (5.0).
    pub(super) receive_maximum: Option<u16>,
    pub(super) topic_alias_maximum: u16,
    /// Answers in succession that took about 40 ms.
    pub(super) delayed: u32,
    /// PUBLISH packets above QoS 0 that are not acknowledged: the send quota in use.
    pub(super) in_flight: u32,
    /// Handshakes that this end began and that are not over, by packet identifier.
    pub(super) open: Opens,
    /// Counts the PUBLISH packets of this end, and the PUBREC packets that answered them.
    pub(super) published: u64,
    pub(super) answered: u64,
    /// The places in order of sending of the latest PUBLISH that the peer acknowledged with
    /// PUBACK and with PUBREC, and of the latest PUBREC that this end answered with PUBREL.
    pub(super) acked: u64,
    pub(super) received: u64,
    pub(super) released: u64,
    /// Acknowledgements that may still come for settled redeliveries, by identifier.
    pub(super) late: HashMap<u16, u32>,
    /// Digests of messages that the peer refused, by identifier.
    pub(super) refused: HashMap<u16, u64>,
}

/// One connection. In this order: what each packet touches is near.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Link {
    pub(super) id: ConnectionId,
    pub(super) broker: BrokerId,
    /// The session, once it is known which.
    pub(super) client: Option<ClientKey>,
    pub(super) client_id: Option<Arc<str>>,
    pub(super) phase: Phase,
    pub(super) version: Option<ProtocolVersion>,
    /// In seconds, as in force.
    pub(super) keep_alive: Option<u16>,
    pub(super) refusal: Option<u8>,
    pub(super) told_late_packet: bool,
    pub(super) told_silence: bool,
    pub(super) wants_problem_information: bool,
    pub(super) wants_response_information: bool,
    pub(super) clean: bool,
    /// What the server does not offer (5.0).
    pub(super) limits: ServerLimits,
    /// It counts among its broker's blind connections.
    pub(super) blind: bool,
    /// Who closed it first.
    pub(super) closer: Option<Sender>,
    /// In seconds; of 3.x: 0 or `u32::MAX`.
    pub(super) session_expiry: u32,
    /// Findings that a hole in what an end sent would explain, until that end's next packet
    /// shows that there is none.
    pub(super) suspects: Vec<Suspect>,
    pub(super) goodbye: Option<Goodbye>,
    pub(super) fault: Option<Fault>,
    pub(super) sides: [Side; 2],
    pub(super) connect: Option<Box<ConnectSummary>>,
    pub(super) connect_stamp: Option<FrameStamp>,
    pub(super) server: Endpoint,
    pub(super) client_end: Endpoint,
    pub(super) opened: FrameStamp,
    /// The session that another connection took over.
    pub(super) former: Option<ClientKey>,
    /// Digest of the will's topic and payload.
    pub(super) will_digest: u64,
    pub(super) authentication_method: Option<Box<str>>,
    pub(super) connecting: Option<Open>,
    pub(super) authenticating: Option<Open>,
    pub(super) pings: VecDeque<Open>,
    /// Another connection took its client identifier.
    pub(super) taken_over: Option<(ConnectionId, FrameStamp)>,
    pub(super) will: Option<WillKey>,
    /// The resumed session still owes these redeliveries, by sender.
    pub(super) owed: [Vec<u16>; 2],
    /// Stored messages that a new subscription takes, with the frame of its SUBSCRIBE.
    pub(super) stored_due: Vec<(StoredKey, FrameStamp)>,
}

/// A finding that is not sure yet.
#[derive(Debug)]
pub(super) struct Suspect {
    pub(super) clause: &'static Clause,
    /// The frame that it is about.
    pub(super) frame: u64,
    /// `None` where it is only counted.
    pub(super) told: Option<Box<(Where, String)>>,
    /// Whose missing octets would explain it.
    pub(super) depends: Sender,
    pub(super) gaps: u32,
}

/// What a CONNACK said that the server does not offer.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerLimits {
    pub(super) maximum_qos: u8,
    pub(super) retain: bool,
    pub(super) wildcards: bool,
    pub(super) identifiers: bool,
    pub(super) shared: bool,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            maximum_qos: 2,
            retain: true,
            wildcards: true,
            identifiers: true,
            shared: true,
        }
    }
}

impl Link {
    pub(super) fn new(
        connection: &Connection,
        ends: (Endpoint, Endpoint),
        broker: BrokerId,
        stamp: FrameStamp,
    ) -> Self {
        let (client_end, server) = ends;
        let mut sides = [Side::default(), Side::default()];
        let phase = if connection.handshake_seen {
            Phase::Fresh
        } else {
            for side in &mut sides {
                side.gaps = 1;
            }
            Phase::Unknown
        };
        Self {
            id: connection.id,
            broker,
            server,
            client_end,
            opened: stamp,
            phase,
            version: None,
            sides,
            client: None,
            former: None,
            will_digest: 0,
            blind: false,
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
            fault: None,
            taken_over: None,
            will: None,
            limits: ServerLimits::default(),
            owed: [Vec::new(), Vec::new()],
            stored_due: Vec::new(),
            told_late_packet: false,
            told_silence: false,
            suspects: Vec::new(),
        }
    }

    pub(super) fn side(&mut self, sender: Sender) -> &mut Side {
        let [client, server] = &mut self.sides;
        match sender {
            Sender::Client => client,
            Sender::Server => server,
        }
    }

    pub(super) fn gaps(&self) -> [u32; 2] {
        let [client, server] = &self.sides;
        [client.gaps, server.gaps]
    }

    pub(super) fn gaps_of(&self, sender: Sender) -> u32 {
        let [client, server] = self.gaps();
        match sender {
            Sender::Client => client,
            Sender::Server => server,
        }
    }

    /// Nothing at all was captured of what an end sent: not even that it closed.
    pub(super) fn never_heard(&self, sender: Sender) -> bool {
        let [client, server] = &self.sides;
        let side = match sender {
            Sender::Client => client,
            Sender::Server => server,
        };
        side.packets == 0 && side.garbled == 0 && self.closer != Some(sender)
    }

    /// Everything that an end sent was captured and could be read.
    pub(super) fn certain(&self, sender: Sender) -> bool {
        let [client, server] = &self.sides;
        let side = match sender {
            Sender::Client => client,
            Sender::Server => server,
        };
        side.gaps == 0 && side.garbled == 0
    }

    /// Everything that either end sent was captured and could be read.
    pub(super) fn whole(&self) -> bool {
        self.certain(Sender::Client) && self.certain(Sender::Server)
    }

    /// A packet could not be read: what it meant is not known.
    pub(super) fn garbled(&mut self, event: &PacketEvent<'_>) {
        self.side(event.sender).garbled += 1;
        if event.packet_type == PacketType::Connect && self.phase == Phase::Fresh {
            self.phase = Phase::Unknown;
        }
    }

    /// The connection is still of use to its client: neither end has said goodbye.
    pub(super) fn alive(&self) -> bool {
        self.goodbye.is_none() && self.refusal.is_none()
    }

    pub(super) fn version(&self) -> ProtocolVersion {
        self.version.unwrap_or(ProtocolVersion::V3_1_1)
    }

    pub(super) fn five(&self) -> bool {
        self.version == Some(ProtocolVersion::V5_0)
    }

    /// A place for a finding about this connection.
    pub(super) fn at(&self, stamp: FrameStamp) -> Where {
        Where {
            stamp,
            connection: Some(self.id),
            client_id: self.client_id.clone(),
            version: self.version,
            citing: None,
        }
    }

    /// The client by the name that a sentence uses.
    pub(super) fn name(&self) -> String {
        name(self.client_id.as_deref())
    }

    /// Counts a packet, and what its event says of gaps before it.
    pub(super) fn count(&mut self, event: &PacketEvent<'_>) {
        if event.version.is_some() {
            self.version = event.version;
        }
        let side = self.side(event.sender);
        if event.after_gap && side.gaps == 0 {
            side.gaps = 1;
        }
        side.packets += 1;
        side.octets = side.octets.saturating_add(event.octets.len() as u64);
    }
}

/// A client by the name that a sentence uses.
pub(super) fn name(client_id: Option<&str>) -> String {
    match client_id {
        Some("") => "the client without an identifier".to_owned(),
        Some(id) => ["client ", id].concat(),
        None => "the client".to_owned(),
    }
}

/// Handshakes of both ends that wait for a connection of their session.
pub(super) type Pending = [HashMap<u16, Open>; 2];

/// No handshakes.
pub(super) fn nothing_pending() -> Pending {
    [HashMap::new(), HashMap::new()]
}
