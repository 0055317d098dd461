//! The two ends of a connection: which is the Client, its identifier, and the version they speak.

use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Sender};
use crate::stream::{Connection, Direction};

use super::classify::{self, Versions, sender_of};
use super::context::Context;
use super::score::{self, LEAN_TO_FIVE};

/// Everything known of the two ends.
#[derive(Debug, Default)]
pub(super) struct Peers {
    version: Option<ProtocolVersion>,
    version_from: VersionFrom,
    /// How much structure speaks for 5.0 (above 0) where both versions fit.
    lean: i8,
    /// The direction in which the Client sends.
    client: Option<Direction>,
    /// A packet shows who the Client is; else it is the likelier end.
    client_certain: bool,
    /// The client identifier, once a CONNECT or a CONNACK named one.
    client_id: Option<Box<str>>,
}

/// How the version is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum VersionFrom {
    /// Not yet, or from packets that fit other versions as well.
    #[default]
    Guess,
    /// From packets that fit no other version.
    Structure,
    /// From CONNECT, even where its level is none that is known.
    Connect,
}

impl Peers {
    /// Returns the direction in which the Client sends, which is the first one as long as nothing
    /// is known.
    #[inline]
    pub(super) fn client(&self) -> Direction {
        self.client.unwrap_or(Direction::Forward)
    }

    /// Returns the end that sends in `direction`.
    #[inline]
    pub(super) fn sender(&self, direction: Direction) -> Sender {
        [Sender::Client, Sender::Server][usize::from(self.client() != direction)]
    }

    #[inline]
    pub(super) fn client_id(&self) -> Option<&str> {
        self.client_id.as_deref()
    }

    pub(super) const fn version(&self) -> Option<ProtocolVersion> {
        self.version
    }

    /// Returns the version to read by: 3.1.1 as long as none is known.
    #[inline]
    pub(super) fn reading(&self) -> ProtocolVersion {
        self.version.unwrap_or(ProtocolVersion::V3_1_1)
    }

    /// Whether the version is known from structure alone.
    #[inline]
    pub(super) fn version_is_inferred(&self) -> bool {
        self.version_from != VersionFrom::Connect && self.version.is_some()
    }

    /// Returns the versions that packets may have.
    pub(super) const fn versions(&self) -> Versions {
        match (self.version_from, self.version) {
            (VersionFrom::Connect | VersionFrom::Structure, Some(version)) => {
                Versions::only(version)
            }
            _ => Versions::BOTH,
        }
    }

    /// Returns the end that sends in `direction`, if packets show it.
    pub(super) fn certain_sender(&self, direction: Direction) -> Option<Sender> {
        self.client_certain.then(|| self.sender(direction))
    }

    /// Learns from the first bytes of a CONNECT in `direction`.
    #[cold]
    pub(super) fn learn_connect(&mut self, direction: Direction, bytes: &[u8]) {
        // A second CONNECT is a protocol error; the first one stands. Its first bytes may have
        // been read already, before its level came.
        if self.version_from == VersionFrom::Connect && self.version.is_some() {
            return;
        }
        self.version_from = VersionFrom::Connect;
        self.version = classify::connect_version(bytes);
        self.learn_sender(direction, Some(Sender::Client));
    }

    /// Learns from a packet that was read, and reads it again where it shows that the version is
    /// another one.
    #[inline]
    pub(super) fn learn_packet<'a>(
        &mut self,
        direction: Direction,
        bytes: &'a [u8],
        read: &mut Result<ControlPacket<'a>, Malformed>,
    ) {
        if self.version_from == VersionFrom::Guess || read.is_err() {
            self.reconsider_version(bytes, read);
        }
        if !self.client_certain {
            let packet_type = PacketType::of(bytes.first().copied().unwrap_or(0));
            let shown = sender_of(packet_type).or_else(|| shown_sender(read.as_ref().ok()?));
            self.learn_sender(direction, shown);
        }
    }

    /// Derives the version from structure, where no CONNECT names it or the packet doesn't fit.
    #[cold]
    fn reconsider_version<'a>(
        &mut self,
        bytes: &'a [u8],
        read: &mut Result<ControlPacket<'a>, Malformed>,
    ) {
        // A CONNECT with a level that is none leaves the version open.
        if self.version_from == VersionFrom::Connect && self.version.is_some() {
            return;
        }
        let fits = score::versions(bytes);
        if fits.is_empty() {
            return;
        }
        let before = self.version;
        if !fits.both() {
            // A version from structure that a later packet contradicts was wrong.
            self.learn_structure(fits);
        } else if read.is_ok() && self.version_from == VersionFrom::Guess {
            self.learn_lean(score::lean_to_five(bytes));
        }
        if self.version != before {
            *read = ControlPacket::read(bytes, self.reading(), &mut ());
        }
    }

    /// Learns from a chain of packets that is believed.
    pub(super) fn learn_chain(
        &mut self,
        direction: Direction,
        versions: Versions,
        lean: i8,
        sender: Option<Sender>,
    ) {
        if self.version_from == VersionFrom::Guess {
            self.learn_lean(lean);
            if !versions.both() {
                self.learn_structure(versions);
            }
        }
        if !self.client_certain {
            self.learn_sender(direction, sender);
        }
    }

    /// One version alone fits.
    fn learn_structure(&mut self, versions: Versions) {
        self.version_from = VersionFrom::Structure;
        self.version = Some(if versions.five {
            ProtocolVersion::V5_0
        } else {
            ProtocolVersion::V3_1_1
        });
    }

    /// Both versions fit, with a lean to 5.0.
    fn learn_lean(&mut self, lean: i8) {
        self.lean = self.lean.saturating_add(lean);
        if self.lean >= LEAN_TO_FIVE {
            self.version = Some(ProtocolVersion::V5_0);
        }
    }

    /// Learns that `sender`, if it is one end only, sends in `direction`.
    #[cold]
    fn learn_sender(&mut self, direction: Direction, sender: Option<Sender>) {
        let Some(sender) = sender else {
            return;
        };
        self.client = Some(match sender {
            Sender::Client => direction,
            Sender::Server => direction.reverse(),
        });
        self.client_certain = true;
    }

    /// Takes the likelier end for the Client where no packet shows it: that which sent the SYN,
    /// else the peer of one on a port where MQTT is expected, else that with the higher port.
    pub(super) fn assume_client(&mut self, connection: &Connection, server: Option<Direction>) {
        let likely = match server {
            _ if connection.handshake_seen => Direction::Forward,
            Some(server) => server.reverse(),
            None if connection.initiator.port < connection.responder.port => Direction::Backward,
            None => Direction::Forward,
        };
        self.client.get_or_insert(likely);
    }

    /// Keeps the first identifier that the connection names: a second CONNECT is a protocol
    /// error, and nothing is assigned where the Client named itself.
    #[cold]
    pub(super) fn learn_client_id(&mut self, context: &mut Context, client_id: &str) {
        if client_id.is_empty() || self.client_id.is_some() {
            return;
        }
        let length = client_id.len() as u64;
        if context.client_ids.saturating_add(length) > context.options.limits.client_ids as u64 {
            context.counters.client_ids_refused += 1;
            return;
        }
        context.client_ids += length;
        self.client_id = Some(client_id.into());
    }

    /// Gives the room of the identifier to others: the connection is over.
    pub(super) fn forget_client_id(&mut self, context: &mut Context) {
        if let Some(client_id) = self.client_id.take() {
            context.client_ids -= client_id.len() as u64;
        }
    }
}
/// Returns the end that a packet's members show as its sender, where its type shows none: a client
/// never sends a Subscription Identifier with a message ([MQTT-3.3.4-6]).
fn shown_sender(packet: &ControlPacket<'_>) -> Option<Sender> {
    let ControlPacket::Publish(publish) = packet else {
        return None;
    };
    let mut identifiers = publish.properties.subscription_identifiers();
    identifiers.next().map(|_| Sender::Server)
}
