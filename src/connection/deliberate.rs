//! Decisions: is this connection MQTT, and where does a packet begin?
//!
//! While one direction is undecided its octets are held, and those of the other direction
//! behind them, so that what is told comes in the order of the frames. Evidence counts from
//! both: an answer that fits its question speaks for either.

use crate::base::{FrameStamp, Layers};
use crate::event::{Event, Gap};
use crate::mqtt::Sender;
use crate::stream::{Connection, Direction, GapCause};

use super::candidate::{Candidate, Expected};
use super::held::{Held, Piece};
use super::opening::{self, Opening};
use super::plausible::{Roles, Versions, may_begin};
use super::{
    Arrival, Both, Context, DIRECTIONS, Decoder, Expectation, Hole, Mode, Phase, VersionFrom,
    expectation, likely_client, tell,
};

/// Octets of one direction held for want of evidence, where MQTT is expected: a packet this
/// large can still prove itself after a gap.
const SEEKING_CAP: usize = 1 << 20;

/// The same where nothing speaks for MQTT.
const UNKNOWN_CAP: usize = 64 << 10;

/// Octets of the direction that is not in doubt, held back for the order of the frames.
const BEHIND_CAP: usize = 256 << 10;

/// Segments of a connection met in its midst that may fail to begin a packet, where nothing
/// speaks for MQTT, before it counts as something else.
const TRIES_CAP: u8 = 64;

/// Bits of evidence that make a chain of packets believed.
mod enough {
    /// From the begin of a segment, where MQTT is expected: one acknowledgement that fills
    /// its segment. Senders hand over whole packets.
    pub(super) const AT_A_SEGMENT: u32 = 12;
    /// The same where that segment was filled up: it may well go on with a packet.
    pub(super) const AT_A_FULL_SEGMENT: u32 = 24;
    /// From amid a segment: there are a thousand places to try.
    pub(super) const AMID_A_SEGMENT: u32 = 36;
    /// The same where the chain leads to a begin that is believed.
    pub(super) const BEFORE_A_BEGIN: u32 = 26;
    /// Where the port says nothing.
    pub(super) const UNEXPECTED: u32 = 40;
    /// What one direction can say for the other.
    pub(super) const FROM_THE_OTHER: u32 = 30;
    /// An unfinished packet at the begin of a segment that is worth waiting for.
    pub(super) const WORTH_WAITING: u32 = 16;
}

/// What is held of a connection while something is undecided.
#[derive(Debug, Default)]
pub(super) struct Deliberation {
    held: Both<Held>,
    /// The first frame that brought octets.
    first: Option<FrameStamp>,
}

impl Decoder {
    /// Octets of a connection, or of a direction, that is undecided.
    #[cold]
    pub(super) fn receive_undecided(
        &mut self,
        context: &mut Context,
        arrival: Arrival<'_>,
        octets: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if octets.is_empty() {
            return;
        }
        let Arrival {
            connection,
            direction,
            stamp,
            layers,
        } = arrival;
        if self.phase == Phase::New {
            self.begin(connection);
        }
        if self.phase == Phase::Undecided && self.recognise(context, arrival, octets, emit) {
            return;
        }
        let side = self.sides.of_mut(direction);
        side.heard = true;
        match side.mode {
            Mode::NotMqtt => context.counters.not_mqtt += octets.len() as u64,
            Mode::GivenUp => context.counters.given_up += octets.len() as u64,
            Mode::Framing | Mode::Seeking => {
                let deliberation = self.deliberation.get_or_insert_default();
                deliberation.first.get_or_insert(*stamp);
                let held = deliberation.held.of_mut(direction);
                held.push(context, octets, stamp, layers);
                self.search(context, connection, direction);
                self.deliberate(context, connection, emit);
            }
        }
    }

    /// What the very first octets of a direction tell at once; `true` where they are dealt
    /// with.
    fn recognise(
        &mut self,
        context: &mut Context,
        arrival: Arrival<'_>,
        octets: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> bool {
        let Arrival {
            connection,
            direction,
            stamp,
            ..
        } = arrival;
        let mode = self.sides.of(direction).mode;
        let waiting = |d: &Deliberation| !d.held.of(direction).is_empty();
        if !matches!(mode, Mode::Framing | Mode::Seeking)
            || self.deliberation.as_deref().is_some_and(waiting)
        {
            return false;
        }
        let expectation = expectation(context, connection);
        let opening = opening::opening(octets);
        let insisted = expectation == Expectation::Insisted && mode == Mode::Framing;
        if opening == Opening::Connect || insisted {
            if opening == Opening::Connect {
                self.hear_connect(direction, octets);
            }
            if insisted {
                // Whatever comes is a packet, if a malformed one.
                for direction in DIRECTIONS {
                    self.sides.of_mut(direction).proven = true;
                }
            }
            self.believe(context, connection, direction, stamp, emit);
            self.sides.of_mut(direction).proven = true;
            self.tell_passed_over(context, connection, direction, stamp, emit);
            if self.deliberation.is_none() {
                self.receive(context, arrival, octets, emit);
                return true;
            }
            return false;
        }
        let first = octets.first().copied().unwrap_or(0);
        let remaining = octets.get(1).copied().unwrap_or(0);
        let long = octets.len() < 2 || remaining >= 0x80;
        let possible = if long {
            super::candidate::could_begin(first, Versions::BOTH)
        } else {
            !may_begin(first, remaining.into(), Versions::BOTH).is_empty()
        };
        // Nearly all that is not MQTT ends here, without a single octet being held.
        if expectation == Expectation::None && !possible && opening == Opening::Other {
            self.pass_by(context, arrival, octets, emit);
            return true;
        }
        false
    }

    /// Octets that begin no packet on a connection that nothing else speaks for.
    fn pass_by(
        &mut self,
        context: &mut Context,
        arrival: Arrival<'_>,
        octets: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.pass_over(context, arrival.direction, octets.len() as u64);
        let side = self.sides.of_mut(arrival.direction);
        side.heard = true;
        side.tries = side.tries.saturating_add(1);
        let tls = super::expects_tls(arrival.connection)
            && opening::looks_like(octets) == crate::event::LooksLike::Tls;
        if side.mode == Mode::Framing || side.tries >= TRIES_CAP || tls {
            side.mode = Mode::NotMqtt;
        }
        if tls {
            self.tell_not_mqtt(
                arrival.connection,
                arrival.direction,
                arrival.stamp,
                octets,
                emit,
            );
        }
        self.forget_others();
    }

    fn forget_others(&mut self) {
        let over = |direction| self.sides.of(direction).mode == Mode::NotMqtt;
        if self.phase == Phase::Undecided && DIRECTIONS.into_iter().all(over) {
            self.phase = Phase::Other;
        }
    }

    /// What may come in `direction`.
    fn expected(&self, direction: Direction) -> Expected {
        let versions = match (self.version_from, self.version) {
            (VersionFrom::Connect | VersionFrom::Structure, Some(version)) => {
                Versions::only(version)
            }
            _ => Versions::BOTH,
        };
        let roles = if self.client_certain {
            Roles::only(self.sender(direction))
        } else {
            Roles::BOTH
        };
        Expected {
            versions,
            roles,
            may_open: !self.sides.of(direction).proven,
        }
    }

    /// Follows the candidates of `direction` into its last segment and looks for new ones.
    fn search(&mut self, context: &Context, connection: &Connection, direction: Direction) {
        let expected = self.expected(direction);
        let anywhere =
            self.phase == Phase::Mqtt || expectation(context, connection) != Expectation::None;
        let side = self.sides.of(direction);
        let Some(deliberation) = self.deliberation.as_deref_mut() else {
            return;
        };
        let held = deliberation.held.of_mut(direction);
        let only = held
            .first_piece()
            .is_some_and(|piece| piece.end() == held.end());
        match side.mode {
            Mode::Seeking => {
                held.advance(expected);
                held.seek(expected, anywhere);
            }
            // The place of the next packet is known; the chain is followed for its notes.
            _ if only => {
                let begun = side
                    .partial
                    .as_ref()
                    .map_or(Some(0), |partial| partial.rest());
                match begun {
                    Some(rest) => {
                        held.expect_at(held.base() + rest, expected);
                        held.advance(expected);
                    }
                    None => held.candidates.clear(),
                }
            }
            _ => held.advance(expected),
        }
    }

    /// Decides what can be decided, and tells what need no longer be held.
    fn deliberate(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        loop {
            let found = DIRECTIONS.into_iter().find_map(|direction| {
                Some((direction, self.found(context, connection, direction)?))
            });
            let Some((direction, start)) = found else {
                break;
            };
            self.accept(context, connection, direction, start, emit);
        }
        for direction in DIRECTIONS {
            self.trim(context, connection, direction, emit);
        }
        self.settle(context, connection, emit);
    }

    /// The place in `direction` from which the packets are believed.
    fn found(
        &self,
        context: &Context,
        connection: &Connection,
        direction: Direction,
    ) -> Option<u64> {
        let mode = self.sides.of(direction).mode;
        let undecided = self.phase == Phase::Undecided;
        if mode != Mode::Seeking && !(mode == Mode::Framing && undecided) {
            return None;
        }
        let deliberation = self.deliberation.as_deref()?;
        let held = deliberation.held.of(direction);
        // A CONNECT is known by its name, long before it is complete.
        if undecided && opening::opening(held.octets()) == Opening::Connect {
            return Some(held.base());
        }
        let other = best(deliberation.held.of(direction.reverse()));
        let expected = self.expected(direction);
        let unknown = undecided && expectation(context, connection) == Expectation::None;
        let end = held.end();
        let enough = |candidate: &&Candidate| {
            let agreement = other.map_or(0, |other| candidate.agreement(other));
            let score = candidate.score + agreement;
            if candidate.packets == 0
                || candidate.versions.and(expected.versions).is_empty()
                || candidate.roles.and(expected.roles).is_empty()
            {
                return false;
            }
            if unknown {
                let other = other.map_or(0, |other| other.score.min(enough::FROM_THE_OTHER));
                return score + other >= enough::UNEXPECTED;
            }
            match (candidate.aligned, candidate.from_full) {
                (true, false) => score >= enough::AT_A_SEGMENT,
                (true, true) => score >= enough::AT_A_FULL_SEGMENT,
                (false, _) => score >= enough::AMID_A_SEGMENT,
            }
        };
        let mut believed: Vec<&Candidate> = held.candidates.iter().filter(enough).collect();
        believed.sort_by_key(|candidate| (!candidate.aligned, candidate.start));
        let chosen = *believed.first()?;
        // A large packet that began at a segment before this one may be what this place is
        // a part of.
        let in_doubt = held.candidates.iter().any(|candidate| {
            candidate.aligned
                && candidate.start < chosen.start
                && candidate.is_open(end)
                && candidate.head >= enough::WORTH_WAITING
        });
        if in_doubt {
            return None;
        }
        let earlier = held
            .candidates
            .iter()
            .filter(|candidate| {
                candidate.meets_segment.is_some_and(|(place, score)| {
                    place == chosen.start && score >= enough::BEFORE_A_BEGIN
                })
            })
            .max_by_key(|candidate| candidate.score);
        Some(earlier.map_or(chosen.start, |candidate| candidate.start))
    }

    /// From `start` on, `direction` is MQTT and its packets' places are known.
    fn accept(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        direction: Direction,
        start: u64,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Some(deliberation) = self.deliberation.as_deref_mut() else {
            return;
        };
        let held = deliberation.held.of_mut(direction);
        let chosen = held
            .candidates
            .iter()
            .find(|candidate| candidate.start == start);
        let (versions, roles, lean) = chosen.map_or((Versions::BOTH, Roles::BOTH, 0), |chosen| {
            (chosen.versions, chosen.roles, chosen.lean)
        });
        let dropped = held.drop_before(context, start) as u64;
        held.candidates.clear();
        let stamp = deliberation
            .first
            .or_else(|| held.first_piece().map(|piece| piece.stamp))
            .unwrap_or_default();
        let here = held.first_piece().map_or(stamp, |piece| piece.stamp);
        let connect = opening::opening(held.octets()) == Opening::Connect;
        let begin = held.octets().get(..32).unwrap_or(held.octets()).to_vec();
        self.pass_over(context, direction, dropped);
        if connect && self.phase == Phase::Undecided {
            self.hear_connect(direction, &begin);
        }
        self.learn_version(versions, lean);
        if !self.client_certain
            && let Some(sender) = roles.sender()
        {
            self.client = Some(match sender {
                Sender::Client => direction,
                Sender::Server => direction.reverse(),
            });
            self.client_certain = true;
        }
        self.believe(context, connection, direction, &stamp, emit);
        self.sides.of_mut(direction).proven = true;
        self.tell_passed_over(context, connection, direction, &here, emit);
    }

    /// What the structure of an accepted chain says of the version.
    fn learn_version(&mut self, versions: Versions, lean: i8) {
        if self.version_from != VersionFrom::Guess {
            return;
        }
        use crate::mqtt::ProtocolVersion::{V3_1_1, V5_0};
        self.lean = self.lean.saturating_add(lean);
        if !versions.both() {
            self.version = Some(if versions.five() { V5_0 } else { V3_1_1 });
            self.version_from = VersionFrom::Structure;
        } else if self.lean >= tell::LEAN_TO_FIVE {
            self.version = Some(V5_0);
        }
    }

    /// The connection is MQTT, and packets of `direction` can be framed.
    fn believe(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        direction: Direction,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let side = self.sides.of_mut(direction);
        side.mode = Mode::Framing;
        if self.phase != Phase::Mqtt {
            if self.client.is_none() {
                self.client = Some(likely_client(context, connection));
            }
            self.open(context, connection, stamp, emit);
        }
    }

    /// Octets of `direction` that belong to no packet that can be told.
    fn pass_over(&mut self, context: &mut Context, direction: Direction, octets: u64) {
        let side = self.sides.of_mut(direction);
        side.passed_over += octets;
        if self.phase == Phase::Mqtt {
            context.counters.discarded += octets;
        } else {
            context.counters.not_mqtt += octets;
            side.counted_other += octets;
        }
    }

    /// What was passed over in `direction` of an MQTT connection until now.
    fn take_passed_over(&mut self, context: &mut Context, direction: Direction) -> u64 {
        let side = self.sides.of_mut(direction);
        let counted_other = std::mem::take(&mut side.counted_other);
        context.counters.not_mqtt -= counted_other;
        context.counters.discarded += counted_other;
        std::mem::take(&mut side.passed_over)
    }

    /// Tells what was passed over in `direction` until now.
    fn tell_passed_over(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        direction: Direction,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let discarded = self.take_passed_over(context, direction);
        if discarded > 0 {
            emit(&Event::Gap(&Gap {
                connection: connection.id,
                sender: self.sender(direction),
                direction,
                length: 0,
                cause: GapCause::NotCaptured,
                stamp: *stamp,
                discarded,
            }));
        }
    }

    /// Lets go of what no candidate of `direction` needs, and of more where a cap is reached.
    fn trim(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        direction: Direction,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let mode = self.sides.of(direction).mode;
        let undecided = self.phase == Phase::Undecided;
        let Some(deliberation) = self.deliberation.as_deref_mut() else {
            return;
        };
        let held = deliberation.held.of_mut(direction);
        if held.is_empty() || mode == Mode::Framing && !undecided {
            return;
        }
        let expectation = expectation(context, connection);
        let cap = if undecided && expectation == Expectation::None {
            UNKNOWN_CAP
        } else {
            SEEKING_CAP
        };
        let first = held
            .first_piece()
            .map(|piece| piece.stamp)
            .unwrap_or_default();
        let begin = held.octets().get(..32).unwrap_or(held.octets()).to_vec();
        let mut dropped = held.drop_unneeded(context);
        let full = |held: &Held, context: &Context| {
            held.len() > cap || context.held() > context.options.held_cap && !held.is_empty()
        };
        if full(held, context) {
            context.counters.holds_given_up += 1;
            while full(held, context) {
                dropped += held.drop_earliest(context);
            }
        }
        let empty = held.is_empty();
        self.pass_over(context, direction, dropped as u64);
        if !empty || !undecided {
            return;
        }
        let side = self.sides.of_mut(direction);
        side.tries = side.tries.saturating_add(1);
        let hopeless = side.tries >= TRIES_CAP && expectation == Expectation::None;
        if side.mode == Mode::Framing || hopeless {
            side.mode = Mode::NotMqtt;
            if expectation != Expectation::None {
                self.tell_not_mqtt(connection, direction, &first, &begin, emit);
            }
        }
    }

    /// Tells what is decided, in the order of the frames.
    fn settle(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.forget_others();
        let Some(deliberation) = self.deliberation.as_deref() else {
            return;
        };
        let in_doubt = |direction: &Direction| {
            let waits = match self.sides.of(*direction).mode {
                Mode::Seeking => true,
                _ => self.phase == Phase::Undecided,
            };
            waits && !deliberation.held.of(*direction).is_empty()
        };
        if !DIRECTIONS.iter().any(in_doubt) {
            self.release(context, connection, emit);
        } else if self.phase == Phase::Mqtt {
            let long = |direction: &Direction| {
                self.sides.of(*direction).mode != Mode::Seeking
                    && deliberation.held.of(*direction).len() > BEHIND_CAP
            };
            if DIRECTIONS.iter().any(long) {
                self.release(context, connection, emit);
            }
        }
    }

    /// Hands over what is held of every direction that is not in doubt.
    fn release(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Some(mut deliberation) = self.deliberation.take() else {
            return;
        };
        let mut buffer = Vec::new();
        while let Some(direction) = self.next_to_release(&deliberation) {
            let held = deliberation.held.of_mut(direction);
            let Some((piece, octets)) = held.pop(&mut buffer, context) else {
                break;
            };
            let Piece { stamp, layers, .. } = piece;
            let none = Layers::default();
            let arrival = Arrival {
                connection,
                direction,
                stamp: &stamp,
                layers: layers.as_deref().unwrap_or(&none),
            };
            self.receive(context, arrival, octets, emit);
        }
        let kept = |direction: &Direction| !deliberation.held.of(*direction).is_empty();
        if DIRECTIONS.iter().any(kept) {
            self.deliberation = Some(deliberation);
        }
    }

    /// The direction whose first held segment is the older one, of those not in doubt.
    fn next_to_release(&self, deliberation: &Deliberation) -> Option<Direction> {
        DIRECTIONS
            .into_iter()
            .filter(|direction| self.sides.of(*direction).mode != Mode::Seeking)
            .filter_map(|direction| {
                let piece = deliberation.held.of(direction).first_piece()?;
                Some((piece.stamp.number, direction))
            })
            .min_by_key(|(number, _)| *number)
            .map(|(_, direction)| direction)
    }

    /// Octets never came.
    #[cold]
    pub(super) fn gap(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        hole: &Hole<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if self.phase == Phase::New {
            self.begin(connection);
        }
        if self.phase == Phase::Other {
            return;
        }
        let direction = hole.direction;
        if self.phase == Phase::Mqtt && self.sides.of(direction).mode == Mode::Framing {
            // What is held of it came before the gap and is in no doubt.
            self.release(context, connection, emit);
        }
        let mut given_up = self.drop_held(context, direction);
        let side = self.sides.of_mut(direction);
        side.after_gap = true;
        if matches!(side.mode, Mode::NotMqtt | Mode::GivenUp) {
            return;
        }
        let (known, cut) = self.cut_partial(context, direction, hole.length);
        given_up += cut;
        if !known {
            self.sides.of_mut(direction).mode = Mode::Seeking;
        }
        // A packet that was lost may have given them another meaning.
        *self.aliases.of_mut(direction) = None;
        if self.phase == Phase::Mqtt {
            context.counters.gaps += 1;
            context.counters.missing += hole.length;
            let sender = self.sender(direction);
            emit(&Event::Gap(&hole.event(connection, sender, given_up)));
            self.settle(context, connection, emit);
        }
    }

    /// Gives up what is held of `direction`; how many octets of an MQTT connection that is.
    fn drop_held(&mut self, context: &mut Context, direction: Direction) -> u64 {
        let Some(deliberation) = self.deliberation.as_deref_mut() else {
            return 0;
        };
        let held = deliberation.held.of_mut(direction);
        let end = held.end();
        let dropped = held.drop_before(context, end) as u64;
        held.candidates.clear();
        self.pass_over(context, direction, dropped);
        if self.phase == Phase::Mqtt {
            self.take_passed_over(context, direction)
        } else {
            0
        }
    }

    /// The connection is over: what is not decided never will be.
    pub(super) fn close_deliberation(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if self.phase == Phase::Mqtt {
            self.release(context, connection, emit);
        }
        for direction in DIRECTIONS {
            let discarded = self.drop_held(context, direction);
            if discarded > 0 {
                emit(&Event::Gap(&Gap {
                    connection: connection.id,
                    sender: self.sender(direction),
                    direction,
                    length: 0,
                    cause: GapCause::EndOfCapture,
                    stamp: *stamp,
                    discarded,
                }));
            }
        }
        self.deliberation = None;
    }
}

/// The chain that says most of its direction.
fn best(held: &Held) -> Option<&Candidate> {
    held.candidates
        .iter()
        .filter(|candidate| candidate.aligned)
        .max_by_key(|candidate| candidate.score)
}
