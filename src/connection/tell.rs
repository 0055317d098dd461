//! A packet cut out of its connection: decoded, its place in the connection known, told.

use crate::event::{Event, Gap, PacketEvent};
use crate::mqtt::framer::{FixedHeader, Header, fixed_header};
use crate::mqtt::packet::Publish;
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Rule, Sender};
use crate::stream::{Direction, GapCause};

use super::alias::ALIASES_TOTAL;
use super::context::CLIENT_IDS_TOTAL;
use super::framing::Partial;
use super::opening::{self, Opening};
use super::plausible::{Roles, Versions, may_begin};
use super::weigh;
use super::{Arrival, Context, Decoder, Mode, VersionFrom};

/// Packets in a row with a broken structure after which a direction's framing counts as lost.
const BROKEN_CAP: u8 = 3;

/// As much as must speak for 5.0 before packets that fit 3.1.1 too are read as 5.0.
pub(super) const LEAN_TO_FIVE: i8 = 3;

type Read<'a> = Result<ControlPacket<'a>, Malformed>;

impl Decoder {
    /// Decodes the packet in `bytes` and tells it.
    pub(super) fn tell(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        frames: &[u64],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        match fixed_header(bytes) {
            Header::Whole(header) => {
                self.tell_whole(context, arrival, &header, bytes, frames, emit);
            }
            Header::Partial | Header::Malformed(_) => {
                if PacketType::of(bytes.first().copied().unwrap_or(0)) == PacketType::Connect {
                    self.hear_connect(arrival.direction, bytes);
                }
                let mut read = ControlPacket::read(bytes, self.reading(), &mut ());
                self.tell_read(context, arrival, bytes, &mut read, frames, emit);
            }
        }
    }

    /// [`Decoder::tell`] where the packet's fixed header was read.
    #[inline(always)]
    pub(super) fn tell_whole(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        header: &FixedHeader,
        bytes: &[u8],
        frames: &[u64],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if header.packet_type == PacketType::Connect {
            self.hear_connect(arrival.direction, bytes);
        }
        let mut read = ControlPacket::read_after(header, bytes, self.reading(), &mut ());
        self.tell_read(context, arrival, bytes, &mut read, frames, emit);
    }

    #[inline(always)]
    fn tell_read<'a>(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &'a [u8],
        read: &mut Read<'a>,
        frames: &[u64],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let packet_type = PacketType::of(bytes.first().copied().unwrap_or(0));
        if self.version_from == VersionFrom::Guess || read.is_err() {
            self.reconsider(bytes, read);
        }
        if !self.client_certain {
            self.learn_roles(arrival.direction, packet_type);
        }
        let side = self.sides.of_mut(arrival.direction);
        if !side.proven {
            if read.is_err() {
                return self.not_mqtt(context, arrival, bytes, emit);
            }
            side.proven = true;
        }
        match read {
            Ok(_) => side.broken = 0,
            Err(malformed) => self.malformed(context, arrival.direction, malformed.rule),
        }
        context.counters.packets += 1;
        context.counters.in_packets += bytes.len() as u64;
        let topic_resolved = match read {
            Ok(ControlPacket::Publish(publish)) if !publish.properties.is_empty() => {
                self.learn_alias(context, arrival.direction, publish);
                self.resolve(arrival.direction, publish)
            }
            Ok(ControlPacket::Connect(connect)) => {
                self.learn_client_id(context, connect.client_id);
                None
            }
            Ok(ControlPacket::ConnAck(connack)) => {
                let assigned = connack.properties.assigned_client_identifier();
                self.learn_client_id(context, assigned.unwrap_or_default());
                None
            }
            _ => None,
        };
        // By place, as in `ByDirection`.
        let ends = [&arrival.connection.initiator, &arrival.connection.responder];
        let source = ends[arrival.direction as usize];
        let destination = ends[arrival.direction.reverse() as usize];
        emit(&Event::Packet(&PacketEvent {
            stamp: *arrival.stamp,
            index: context.next_index(arrival.stamp.number),
            frames,
            connection: arrival.connection.id,
            source,
            destination,
            direction: arrival.direction,
            sender: self.sender(arrival.direction),
            transport: self.transport,
            version: self.version,
            version_inferred: self.version_from != VersionFrom::Connect && self.version.is_some(),
            after_gap: self.sides.of(arrival.direction).after_gap,
            packet_type,
            octets: bytes,
            packet: read.as_ref().map_err(|malformed| *malformed),
            client_id: self.client_id.as_deref(),
            topic_resolved,
            layers: arrival.layers,
        }));
    }

    /// The version to read by: 3.1.1 as long as nothing tells.
    #[inline]
    pub(super) fn reading(&self) -> ProtocolVersion {
        self.version.unwrap_or(ProtocolVersion::V3_1_1)
    }

    /// Learns what a CONNECT tells of its connection.
    #[cold]
    pub(super) fn hear_connect(&mut self, direction: Direction, bytes: &[u8]) {
        // A second CONNECT is a protocol error; the first one stands. Its begin may have been
        // heard already, before its level came.
        if self.version_from == VersionFrom::Connect && self.version.is_some() {
            return;
        }
        self.version_from = VersionFrom::Connect;
        self.version = opening::connect_version(bytes);
        self.client = Some(direction);
        self.client_certain = true;
    }

    /// No CONNECT told the version, or the packet doesn't fit it: does structure tell?
    #[cold]
    fn reconsider<'a>(&mut self, bytes: &'a [u8], read: &mut Read<'a>) {
        if self.version_from == VersionFrom::Connect {
            return;
        }
        let fits = weigh::versions(bytes);
        if fits.is_empty() {
            return;
        }
        if !fits.both() {
            let version = if fits.five() {
                ProtocolVersion::V5_0
            } else {
                ProtocolVersion::V3_1_1
            };
            // A version from structure that a later packet contradicts was wrong.
            self.version_from = VersionFrom::Structure;
            self.version = Some(version);
            *read = ControlPacket::read(bytes, version, &mut ());
        } else if read.is_ok() && self.version_from == VersionFrom::Guess {
            self.lean = self.lean.saturating_add(weigh::lean_to_five(bytes));
            if self.lean >= LEAN_TO_FIVE && self.version != Some(ProtocolVersion::V5_0) {
                self.version = Some(ProtocolVersion::V5_0);
                *read = ControlPacket::read(bytes, ProtocolVersion::V5_0, &mut ());
            }
        }
    }

    /// Learns who the Client is from what only one end sends.
    #[cold]
    fn learn_roles(&mut self, direction: Direction, packet_type: PacketType) {
        let client = match Roles::of(packet_type).sender() {
            Some(Sender::Client) => direction,
            Some(Sender::Server) => direction.reverse(),
            None => return,
        };
        self.client = Some(client);
        self.client_certain = true;
    }

    #[cold]
    fn malformed(&mut self, context: &mut Context, direction: Direction, rule: Rule) {
        context.counters.malformed += 1;
        let side = self.sides.of_mut(direction);
        match rule {
            Rule::PacketTypeIsNotZero
            | Rule::ReservedHeaderFlagsHold
            | Rule::FieldsFitThePacket
            | Rule::NothingFollowsTheFields
            | Rule::QosIsNotThree => {
                side.broken += 1;
                if side.broken >= BROKEN_CAP {
                    side.mode = Mode::GivenUp;
                } else if rule == Rule::PacketTypeIsNotZero {
                    // Whatever this is, its length is not to be trusted further than to
                    // the end of its segment.
                    side.mode = Mode::Doubtful;
                }
            }
            _ => side.broken = 0,
        }
    }

    /// Tells a packet whose end nobody can know, and gives its direction up.
    #[cold]
    pub(super) fn break_off(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        frames: &[u64],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.tell(context, arrival, bytes, frames, emit);
        let side = self.sides.of_mut(arrival.direction);
        if side.mode != Mode::NotMqtt {
            side.mode = Mode::GivenUp;
        }
    }

    /// Tells that a packet was framed but not kept.
    #[cold]
    pub(super) fn tell_over_cap(
        &mut self,
        arrival: &Arrival<'_>,
        partial: &Partial,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        emit(&Event::Gap(&Gap {
            connection: arrival.connection.id,
            sender: self.sender(arrival.direction),
            direction: arrival.direction,
            length: 0,
            cause: GapCause::HeldCap,
            stamp: *arrival.stamp,
            discarded: partial.received(),
        }));
    }

    /// Whether `bytes` may be the first packet of `direction` on an MQTT connection.
    #[cold]
    pub(super) fn may_be_first(&self, bytes: &[u8], direction: Direction) -> bool {
        let Some(first) = bytes.first() else {
            return true;
        };
        if opening::opening(bytes) != Opening::Other {
            return true;
        }
        let roles = Roles::of(PacketType::of(*first));
        if self.client_certain && roles.and(Roles::only(self.sender(direction))).is_empty() {
            return false;
        }
        match fixed_header(bytes) {
            Header::Whole(header) => {
                let remaining = usize::try_from(header.remaining_length).unwrap_or(usize::MAX);
                !may_begin(*first, remaining, Versions::BOTH).is_empty()
            }
            Header::Partial => true,
            Header::Malformed(_) => false,
        }
    }

    /// This direction of an MQTT connection is something else.
    #[cold]
    pub(super) fn not_mqtt(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        context.counters.not_mqtt += bytes.len() as u64;
        self.sides.of_mut(arrival.direction).mode = Mode::NotMqtt;
        self.tell_not_mqtt(
            arrival.connection,
            arrival.direction,
            arrival.stamp,
            bytes,
            emit,
        );
    }

    /// Keeps the first identifier that the connection names: a second CONNECT is a protocol
    /// error, and nothing is assigned where the Client named itself.
    #[cold]
    fn learn_client_id(&mut self, context: &mut Context, client_id: &str) {
        if client_id.is_empty() || self.client_id.is_some() {
            return;
        }
        let length = client_id.len() as u64;
        if context.client_ids.saturating_add(length) > CLIENT_IDS_TOTAL {
            context.counters.client_ids_refused += 1;
            return;
        }
        context.client_ids += length;
        self.client_id = Some(client_id.into());
    }

    /// The connection is over: its identifier gives its room to others.
    pub(super) fn forget_client_id(&mut self, context: &mut Context) {
        if let Some(client_id) = self.client_id.take() {
            context.client_ids -= client_id.len() as u64;
        }
    }

    /// Learns the topic alias that a PUBLISH sets.
    #[cold]
    fn learn_alias(&mut self, context: &mut Context, direction: Direction, publish: &Publish<'_>) {
        let Some(alias) = publish.properties.topic_alias() else {
            return;
        };
        if publish.topic.is_empty() {
            return;
        }
        let aliases = self.aliases.of_mut(direction).get_or_insert_default();
        let before = aliases.cost();
        let room = ALIASES_TOTAL.saturating_sub(context.aliases);
        if !aliases.set(alias, publish.topic, room) {
            context.counters.aliases_refused += 1;
        }
        context.aliases = context.aliases - before + aliases.cost();
    }

    /// The aliases of `direction` stand for nothing any more.
    pub(super) fn forget_aliases(&mut self, context: &mut Context, direction: Direction) {
        if let Some(aliases) = self.aliases.of_mut(direction).take() {
            context.aliases -= aliases.cost();
        }
    }

    /// The topic name that a PUBLISH without one stands for.
    fn resolve(&self, direction: Direction, publish: &Publish<'_>) -> Option<&str> {
        if !publish.topic.is_empty() {
            return None;
        }
        let alias = publish.properties.topic_alias()?;
        self.aliases.of(direction).as_ref()?.topic(alias)
    }
}
