//! Bytes whose place is known, cut into packets, which are decoded and emitted.
//!
//! This is the hot path: a packet that lies whole in a segment is decoded where it lies.

use crate::base::{FrameStamp, Layers};
use crate::event::{
    CarrierError, Event, Gap, Incomplete, Introduction, LooksLike, NotMqtt, PacketEvent, Protocol,
    Transport,
};
use crate::mqtt::framer::{Cut, Framed, Header, RawPacket, cut, fixed_header};
use crate::mqtt::{ControlPacket, Malformed, PacketType, ProtocolVersion, Rule};
use crate::stream::{ByDirection, Direction, GapCause, StreamEvent};

use super::alias::{self, Aliases};
use super::classify::{self, Opening, agree, begins_packet, sender_of};
use super::context::{Context, Counters, Emit, Scope};
use super::partial::{Fate, Partial};
use super::peers::Peers;

/// Packets in a row with a broken structure after which a direction's framing counts as lost.
const BROKEN_CAP: u8 = 3;

/// The state of one direction's framing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Mode {
    /// The next byte begins a packet or continues the partial one.
    #[default]
    Framing,
    /// A packet of no known type ended here: what follows is believed only if it comes in a
    /// segment of its own.
    Doubtful,
    /// It is not known where a packet begins.
    Seeking,
    /// Framing broke: bytes are counted.
    GivenUp,
    /// The bytes are something else: they are counted.
    NotMqtt,
}

/// One direction of a connection: small, since most connections are idle.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) mode: Mode,
    /// A gap, or the start of the capture, lies before what comes.
    pub(super) after_gap: bool,
    /// A packet was read here, or the evidence sufficed.
    pub(super) proven: bool,
    /// Bytes came.
    pub(super) active: bool,
    /// [`Event::NotMqtt`] was emitted.
    pub(super) reported: bool,
    /// Its first bytes ask for an answer of this protocol.
    pub(super) asked: Option<Protocol>,
    /// Packets in a row whose structure is broken although their length seemed right.
    broken: u8,
    /// Segments tried in vain while the start of a packet was sought on an unknown connection.
    pub(super) tries: u8,
    /// Bytes in no packet that can be emitted, since they were last reported.
    pub(super) passed_over: u64,
    /// Those of them that were counted as not MQTT, since nothing showed that they are.
    pub(super) counted_other: u64,
    pub(super) partial: Option<Box<Partial>>,
}

/// Bytes on their way in, with where they came from.
///
/// In this order, so that `stamp` and `layers`, neighbours in [`StreamEvent`] and written
/// just before, are not read again as one wide word: the wait for that was 5 % of the table.
///
/// [`StreamEvent`]: crate::stream::StreamEvent
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Arrival<'a> {
    pub(super) stamp: &'a FrameStamp,
    pub(super) direction: Direction,
    pub(super) layers: &'a Layers,
}

impl<'a> Arrival<'a> {
    /// Returns it as an event that brings `bytes`.
    pub(super) fn event(&self, bytes: &'a [u8]) -> StreamEvent<'a> {
        StreamEvent::Bytes {
            direction: self.direction,
            bytes,
            stamp: self.stamp,
            layers: self.layers,
        }
    }
}

/// The packets of both directions.
#[derive(Debug, Default)]
pub(super) struct Packets {
    pub(super) peers: Peers,
    pub(super) transport: Transport,
    pub(super) sides: ByDirection<Side>,
    aliases: ByDirection<Option<Box<Aliases>>>,
}

impl Packets {
    /// Takes bytes of an MQTT connection in a direction where the places of packets are known:
    /// cuts them into packets and emits each.
    #[inline]
    pub(super) fn receive(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) {
        let mut rest = bytes;
        let side = self.sides.of_mut(arrival.direction);
        side.active = true;
        if side.partial.is_some() {
            rest = self.continue_partial(scope, arrival, rest);
        }
        while !rest.is_empty() {
            let side = self.sides.of_mut(arrival.direction);
            if side.mode == Mode::Doubtful {
                side.mode = Mode::GivenUp;
            }
            if side.count_unread(&mut scope.context.counters, rest) {
                return;
            }
            if !side.proven && !self.may_be_first(rest, arrival.direction) {
                return self.reject(scope, arrival, rest);
            }
            let frames = [arrival.stamp.number];
            match cut(rest) {
                Cut::Whole((packet, after)) => {
                    self.emit_packet(scope, arrival, &packet, &frames);
                    rest = after;
                }
                Cut::Partial => {
                    if let Some(malformed) = self.never_completes(rest) {
                        return self.emit_malformed(scope, arrival, rest, malformed, &frames);
                    }
                    let partial = Partial::new(scope.context, rest, arrival.stamp);
                    self.sides.of_mut(arrival.direction).partial = Some(partial);
                    return;
                }
                Cut::Malformed(_) => {
                    let (broken, after) = rest.split_at_checked(5).unwrap_or((rest, &[]));
                    self.break_off(scope, arrival, broken, &frames);
                    scope.context.counters.given_up += after.len() as u64;
                    return;
                }
            }
        }
        let side = self.sides.of_mut(arrival.direction);
        if side.mode == Mode::Doubtful {
            side.mode = Mode::Framing;
        }
    }

    /// Gives the unfinished packet what belongs to it, and emits it if that completes it. Returns
    /// what follows it.
    fn continue_partial<'a>(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &'a [u8],
    ) -> &'a [u8] {
        let side = self.sides.of_mut(arrival.direction);
        let Some(mut partial) = side.partial.take() else {
            return bytes;
        };
        let (growth, after) = partial.grow(scope.context, bytes, arrival.stamp.number);
        match (growth, partial.packet()) {
            (Framed::Partial, _) => {
                let bytes = partial.framer.bytes();
                let Some(malformed) = self.never_completes(bytes) else {
                    self.sides.of_mut(arrival.direction).partial = Some(partial);
                    return &[];
                };
                self.emit_malformed(scope, arrival, bytes, malformed, &partial.frames);
            }
            (Framed::Malformed(_), _) => {
                self.break_off(scope, arrival, partial.framer.bytes(), &partial.frames);
            }
            (Framed::Whole(()), Some(packet)) => {
                self.emit_packet(scope, arrival, &packet, &partial.frames);
            }
            (Framed::Whole(()), None) if partial.fate == Fate::Head => {
                self.emit_head(scope, arrival, &partial);
            }
            (Framed::Whole(()), None) if partial.fate == Fate::OverLimit => {
                let discarded = partial.received();
                let (direction, stamp) = (arrival.direction, arrival.stamp);
                self.emit_gap(scope, direction, 0, GapCause::HeldCap, stamp, discarded);
            }
            (Framed::Whole(()), None) => {}
        }
        partial.release(scope.context);
        after
    }

    /// Decodes a packet and emits it.
    #[inline(always)]
    fn emit_packet(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        packet: &RawPacket<'_>,
        frames: &[u64],
    ) {
        let RawPacket { bytes, header } = packet;
        if header.packet_type == PacketType::Connect {
            self.peers.learn_connect(arrival.direction, bytes);
        }
        let mut read = ControlPacket::read_after(header, bytes, self.peers.reading(), &mut ());
        self.emit_read(scope, arrival, bytes, &mut read, frames, 0);
    }

    /// Emits a PUBLISH that is complete but for the bytes that the snapshot length cut off.
    #[cold]
    pub(super) fn emit_head(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        partial: &Partial,
    ) {
        let Some((bytes, missing)) = partial.head() else {
            return;
        };
        let mut read = ControlPacket::read_cut(bytes, self.peers.reading(), &mut ());
        self.emit_read(scope, arrival, bytes, &mut read, &partial.frames, missing);
    }

    #[inline(always)]
    fn emit_read<'a>(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &'a [u8],
        read: &mut Result<ControlPacket<'a>, Malformed>,
        frames: &[u64],
        missing: u64,
    ) {
        let Scope {
            context,
            connection,
            emit,
        } = scope;
        let direction = arrival.direction;
        self.peers.learn_packet(direction, bytes, read);
        if !self.sides.of(direction).proven {
            if read.is_err() && !self.answers_connect(direction, bytes) {
                return self.reject(scope, arrival, bytes);
            }
            self.sides.of_mut(direction).proven = true;
        }
        let side = self.sides.of_mut(direction);
        match read {
            Ok(_) => side.broken = 0,
            Err(malformed) => side.count_malformed(context, malformed.rule),
        }
        context.counters.packets += 1;
        context.counters.in_packets += bytes.len() as u64;
        let mut topic_resolved = None;
        match read {
            Ok(ControlPacket::Publish(publish)) if !publish.properties.is_empty() => {
                topic_resolved = alias::follow(self.aliases.of_mut(direction), context, publish);
            }
            Ok(ControlPacket::Connect(connect)) => {
                self.peers.learn_client_id(context, connect.client_id);
            }
            Ok(ControlPacket::ConnAck(connack)) => {
                let assigned = connack.properties.assigned_client_identifier();
                let assigned = assigned.unwrap_or_default();
                self.peers.learn_client_id(context, assigned);
            }
            _ => {}
        }
        // By place, as in `ByDirection`.
        let ends = [&connection.initiator, &connection.responder];
        emit(&Event::Packet(&PacketEvent {
            stamp: *arrival.stamp,
            index: context.next_index(arrival.stamp.number),
            frames,
            connection: connection.id,
            source: ends[direction as usize],
            destination: ends[direction.reverse() as usize],
            direction,
            sender: self.peers.sender(direction),
            transport: self.transport,
            version: self.peers.version(),
            version_inferred: self.peers.version_is_inferred(),
            after_gap: self.sides.of(direction).after_gap,
            packet_type: PacketType::of(bytes.first().copied().unwrap_or(0)),
            bytes,
            missing,
            packet: read.as_ref().map_err(|malformed| *malformed),
            client_id: self.peers.client_id(),
            topic_resolved,
            layers: arrival.layers,
        }));
    }

    /// Forgets the aliases of `direction`, which stand for nothing any more.
    pub(super) fn forget_aliases(&mut self, context: &mut Context, direction: Direction) {
        if let Some(aliases) = self.aliases.of_mut(direction).take() {
            context.aliases -= aliases.cost();
        }
    }

    /// Returns the rule that the packet which begins with `bytes` breaks already, so that its
    /// receiver waits for no more of it: its type is 0, or it announces more than a packet of its
    /// type has.
    fn never_completes(&self, bytes: &[u8]) -> Option<Malformed> {
        let packet_type = PacketType::of(*bytes.first()?);
        if packet_type == PacketType::Reserved {
            return Some(Malformed {
                rule: Rule::PacketTypeIsNotZero,
                offset: 0,
            });
        }
        let three = !self.peers.version_is_inferred()
            && matches!(
                self.peers.version(),
                Some(ProtocolVersion::V3_1 | ProtocolVersion::V3_1_1)
            );
        let most = match packet_type {
            PacketType::PingReq | PacketType::PingResp => 0,
            PacketType::Disconnect if three => 0,
            PacketType::ConnAck
            | PacketType::PubAck
            | PacketType::PubRec
            | PacketType::PubRel
            | PacketType::PubComp
            | PacketType::UnsubAck
                if three =>
            {
                2
            }
            _ => return None,
        };
        match fixed_header(bytes) {
            Header::Whole(header) if header.remaining_length > most => {
                let rule = Rule::NothingFollowsTheFields;
                let offset = header.header_len + most as usize;
                Some(Malformed { rule, offset })
            }
            _ => None,
        }
    }

    /// Emits what has come of a packet that is malformed whatever else comes.
    #[cold]
    fn emit_malformed(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        malformed: Malformed,
        frames: &[u64],
    ) {
        self.emit_read(scope, arrival, bytes, &mut Err(malformed), frames, 0);
        let side = self.sides.of_mut(arrival.direction);
        if side.mode == Mode::Doubtful {
            // Nothing of its segment is left.
            side.mode = Mode::Framing;
        }
    }

    /// Emits a packet whose end is unknown, and gives its direction up.
    #[cold]
    fn break_off(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        frames: &[u64],
    ) {
        if PacketType::of(bytes.first().copied().unwrap_or(0)) == PacketType::Connect {
            self.peers.learn_connect(arrival.direction, bytes);
        }
        let mut read = ControlPacket::read(bytes, self.peers.reading(), &mut ());
        self.emit_read(scope, arrival, bytes, &mut read, frames, 0);
        let side = self.sides.of_mut(arrival.direction);
        if side.mode != Mode::NotMqtt {
            side.mode = Mode::GivenUp;
        }
    }

    /// Emits a gap of `length` bytes, 0 where that is unknown; `discarded` bytes came in vain.
    #[cold]
    pub(super) fn emit_gap(
        &self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        length: u64,
        cause: GapCause,
        stamp: &FrameStamp,
        discarded: u64,
    ) {
        (scope.emit)(&Event::Gap(&Gap {
            connection: scope.connection.id,
            sender: self.peers.sender(direction),
            direction,
            length,
            cause,
            stamp: *stamp,
            discarded,
        }));
    }

    /// Whether `bytes` may be the first packet of `direction` on an MQTT connection.
    #[cold]
    fn may_be_first(&self, bytes: &[u8], direction: Direction) -> bool {
        let Some(first) = bytes.first() else {
            return true;
        };
        let sender = sender_of(PacketType::of(*first));
        classify::opening(bytes) != Opening::Other
            || self.answers_connect(direction, bytes)
            || agree(sender, self.peers.certain_sender(direction))
                && begins_packet(bytes).unwrap_or(true)
    }

    /// Whether `bytes` are the CONNACK of a connection whose other direction is MQTT, if a malformed
    /// one.
    #[cold]
    fn answers_connect(&self, direction: Direction, bytes: &[u8]) -> bool {
        /// Longer than any CONNACK is; what announces more is another protocol.
        const MOST: u32 = 1 << 16;
        let first = bytes.first().map(|first| PacketType::of(*first));
        first == Some(PacketType::ConnAck)
            && self.sides.of(direction.reverse()).proven
            && matches!(fixed_header(bytes), Header::Whole(header) if header.remaining_length < MOST)
    }

    /// Gives up a direction of an MQTT connection, which is something else.
    #[cold]
    fn reject(&mut self, scope: &mut Scope<'_, impl Emit>, arrival: &Arrival<'_>, bytes: &[u8]) {
        let direction = arrival.direction;
        scope.context.counters.not_mqtt += bytes.len() as u64;
        self.sides.of_mut(direction).mode = Mode::NotMqtt;
        self.report_not_mqtt(scope, direction, arrival.stamp, bytes);
    }

    /// Reports once that `direction`, which begins with `bytes`, is not MQTT.
    pub(super) fn report_not_mqtt(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        stamp: &FrameStamp,
        bytes: &[u8],
    ) {
        let side = self.sides.of_mut(direction);
        if std::mem::replace(&mut side.reported, true) {
            return;
        }
        let looks_like = classify::looks_like(bytes);
        let introduction = match looks_like {
            LooksLike::Carrier(carrier, _) => {
                let introduction = carrier.introduction(bytes).unwrap_or_default();
                side.asked = introduction.asks.then_some(carrier);
                introduction
            }
            LooksLike::Unknown | LooksLike::Refused => Introduction::default(),
        };
        let answers_mqtt = self.sides.of(direction.reverse()).proven;
        (scope.emit)(&Event::NotMqtt(&NotMqtt {
            connection: *scope.connection,
            direction,
            stamp: *stamp,
            looks_like,
            introduction,
            answers_mqtt,
        }));
    }

    /// Reports at the end of a connection that `direction` asked for a carrier, and that the other
    /// end sent nothing before it ended the connection.
    #[cold]
    pub(super) fn report_unanswered(
        &self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        carrier: Protocol,
        stamp: &FrameStamp,
    ) {
        (scope.emit)(&Event::NotMqtt(&NotMqtt {
            connection: *scope.connection,
            direction,
            stamp: *stamp,
            looks_like: LooksLike::Carrier(carrier, CarrierError::Unanswered),
            introduction: Introduction::default(),
            answers_mqtt: false,
        }));
    }

    /// Takes the packet of `direction` that never completed; its bytes are accounted for.
    pub(super) fn take_incomplete(
        &mut self,
        context: &mut Context,
        direction: Direction,
    ) -> Option<Incomplete> {
        let partial = self.sides.of_mut(direction).partial.take()?;
        let incomplete = partial.incomplete(self.peers.sender(direction));
        context.counters.incomplete += partial.release(context) as u64;
        Some(incomplete)
    }
}

impl Side {
    /// Counts `bytes` where nothing is read any more; `false` where they are to be read.
    #[inline]
    pub(super) fn count_unread(&self, counters: &mut Counters, bytes: &[u8]) -> bool {
        let count = match self.mode {
            Mode::GivenUp => &mut counters.given_up,
            Mode::NotMqtt => &mut counters.not_mqtt,
            Mode::Framing | Mode::Doubtful | Mode::Seeking => return false,
        };
        *count += bytes.len() as u64;
        true
    }

    /// Counts a malformed packet: several in a row with a broken structure are no packets.
    #[cold]
    fn count_malformed(&mut self, context: &mut Context, rule: Rule) {
        context.counters.malformed += 1;
        match rule {
            Rule::PacketTypeIsNotZero
            | Rule::ReservedHeaderFlagsHold
            | Rule::FieldsFitThePacket
            | Rule::NothingFollowsTheFields
            | Rule::QosIsNotThree => {
                self.broken += 1;
                if self.broken >= BROKEN_CAP {
                    self.mode = Mode::GivenUp;
                } else if rule == Rule::PacketTypeIsNotZero {
                    // Its length, whatever this is, is not to be trusted further than to
                    // the end of its segment.
                    self.mode = Mode::Doubtful;
                }
            }
            _ => self.broken = 0,
        }
    }

    /// Puts a gap of `length` bytes, 0 where that is unknown, into the unfinished packet. Returns
    /// whether the place of the next packet is still known, and the bytes of a cut packet that
    /// were given up.
    ///
    /// With a `version`, what came of a PUBLISH is kept; it stays where the gap completes it.
    pub(super) fn cut_partial(
        &mut self,
        context: &mut Context,
        length: u64,
        version: Option<ProtocolVersion>,
    ) -> (bool, u64) {
        let Some(mut partial) = self.partial.take() else {
            return (false, 0);
        };
        let (within, given_up) = partial.cut(context, length, version);
        if within && (partial.framer.rest() != Some(0) || partial.head().is_some()) {
            self.partial = Some(partial);
        } else {
            partial.release(context);
        }
        (within, given_up)
    }

    /// Takes out the PUBLISH that a gap completed.
    pub(super) fn take_cut(&mut self) -> Option<Box<Partial>> {
        self.partial
            .take_if(|partial| partial.framer.rest() == Some(0) && partial.head().is_some())
    }
}
