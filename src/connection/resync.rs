//! Resynchronisation: from which place on are the bytes of a direction packets?
//!
//! Asked of a connection that may be MQTT, and of one that is behind a gap. Evidence counts from
//! both directions: an answer that fits its question is evidence for either.

use crate::base::{FrameStamp, Layers};
use crate::event::LooksLike;
use crate::stream::{DIRECTIONS, Direction, GapCause};

use super::candidate::{AGREEMENT_CAP, Candidate, Expected};
use super::classify::{self, Opening};
use super::context::{Context, Emit, Scope};
use super::held::Held;
use super::packets::{Arrival, Mode};
use super::recognition::{Expectation, Phase, Recognition};

/// Segments of a connection joined midway that may fail to begin a packet, where nothing is
/// evidence for MQTT, before it counts as something else.
pub(super) const TRIES_CAP: u8 = 250;

/// Bytes of another protocol that are looked at for what they state of it.
const START_CAP: usize = 4096;

/// Bits of evidence that make a chain of packets believed.
mod enough {
    /// From the start of a segment, where MQTT is expected: one acknowledgement that fills
    /// its segment. Senders hand over whole packets.
    pub(super) const AT_A_SEGMENT: u32 = 12;
    /// The same where that segment was filled up: it may well go on with a packet.
    pub(super) const AT_A_FULL_SEGMENT: u32 = 24;
    /// From the middle of a segment: there are a thousand places to try.
    pub(super) const AMID_A_SEGMENT: u32 = 36;
    /// The same where the chain leads to a place that is believed.
    pub(super) const BEFORE_A_BEGIN: u32 = 26;
    /// Where the port is no evidence.
    pub(super) const UNEXPECTED: u32 = 40;
    /// The most that one direction is worth for the other.
    pub(super) const FROM_THE_OTHER: u32 = 30;
    /// An unfinished packet at the start of a segment that is worth waiting for.
    pub(super) const WORTH_WAITING: u32 = 16;
}

impl Recognition {
    /// Returns what may come in `direction`.
    fn expected(&self, scope: &Scope<'_, impl Emit>, direction: Direction) -> Expected {
        let side = self.packets.sides.of(direction);
        Expected {
            versions: self.packets.peers.versions(),
            sender: self.sender(scope, direction),
            may_open: !side.proven && side.passed_over == 0,
        }
    }

    /// Follows the candidates of `direction` into its last segment and looks for new ones.
    pub(super) fn search(&mut self, scope: &mut Scope<'_, impl Emit>, direction: Direction) {
        let expected = self.expected(scope, direction);
        let anywhere = self.phase == Phase::Mqtt || self.expectation(scope) != Expectation::None;
        let side = self.packets.sides.of(direction);
        let Some(undecided) = self.undecided.as_deref_mut() else {
            return;
        };
        let held = undecided.held.of_mut(direction);
        let only = held
            .first_piece()
            .is_some_and(|piece| piece.end() == held.end());
        match side.mode {
            Mode::Seeking => {
                held.advance(expected);
                held.seek(scope.context, expected, anywhere);
            }
            // The place of the next packet is known; the chain is followed for its notes.
            _ if only => {
                let partial = side.partial.as_ref();
                match partial.map_or(Some(0), |partial| partial.framer.rest()) {
                    Some(rest) => {
                        held.expect_at(held.base() + rest as u64, expected);
                        held.advance(expected);
                    }
                    None => held.candidates.clear(),
                }
            }
            _ => held.advance(expected),
        }
        held.charge(scope.context);
    }

    /// Decides what can be decided, and emits what need no longer be held.
    pub(super) fn decide(&mut self, scope: &mut Scope<'_, impl Emit>) {
        while let Some((direction, start)) = DIRECTIONS
            .into_iter()
            .find_map(|direction| Some((direction, self.find(scope, direction)?)))
        {
            self.accept(scope, direction, start);
        }
        for direction in DIRECTIONS {
            self.trim(scope, direction);
        }
        self.settle(scope);
    }

    /// Finds the place in `direction` from which the packets are believed.
    fn find(&self, scope: &Scope<'_, impl Emit>, direction: Direction) -> Option<u64> {
        let mode = self.mode(direction);
        let undecided = self.phase == Phase::Undecided;
        if mode != Mode::Seeking && !(mode == Mode::Framing && undecided) {
            return None;
        }
        let both = &self.undecided.as_deref()?.held;
        let held = both.of(direction);
        // A CONNECT is known by its name, long before it is complete.
        if undecided && classify::opening(held.bytes()) == Opening::Connect {
            return Some(held.base());
        }
        let unknown = undecided && self.expectation(scope) == Expectation::None;
        let other = best(both.of(direction.reverse()));
        let expected = self.expected(scope, direction);
        let chosen = held
            .candidates
            .iter()
            .filter(|candidate| candidate.fits(expected) && is_enough(candidate, other, unknown))
            .min_by_key(|candidate| (!candidate.aligned, candidate.start))?;
        // A large packet that began at a segment before this one may be what this place is
        // a part of.
        let end = held.end();
        let in_doubt = held.candidates.iter().any(|candidate| {
            candidate.aligned
                && candidate.start < chosen.start
                && candidate.is_open(end)
                && candidate.head >= enough::WORTH_WAITING
        });
        if in_doubt {
            return None;
        }
        let leads_there = |candidate: &&Candidate| {
            candidate.meets_segment.is_some_and(|(place, score)| {
                place == chosen.start && score >= enough::BEFORE_A_BEGIN
            })
        };
        let earlier = held.candidates.iter().filter(leads_there);
        let earlier = earlier.max_by_key(|candidate| candidate.score);
        Some(earlier.unwrap_or(chosen).start)
    }

    /// Accepts that `direction` is MQTT from `start` on, where a packet begins.
    fn accept(&mut self, scope: &mut Scope<'_, impl Emit>, direction: Direction, start: u64) {
        let Some(undecided) = self.undecided.as_deref_mut() else {
            return;
        };
        let held = undecided.held.of_mut(direction);
        let mut candidates = std::mem::take(&mut held.candidates).into_iter();
        let chosen = candidates.find(|candidate| candidate.start == start);
        let dropped = held.drop_before(scope.context, start) as u64;
        held.charge(scope.context);
        let here = held.first_piece().map(|piece| piece.stamp);
        let stamp = undecided.first.or(here).unwrap_or_default();
        let here = here.unwrap_or(stamp);
        let peers = &mut self.packets.peers;
        if self.phase == Phase::Undecided && classify::opening(held.bytes()) == Opening::Connect {
            peers.learn_connect(direction, held.bytes());
        }
        if let Some(chosen) = chosen {
            peers.learn_chain(direction, chosen.versions, chosen.lean, chosen.sender);
        }
        self.pass_over(scope.context, direction, dropped);
        self.believe(scope, direction, &stamp);
        self.packets.sides.of_mut(direction).proven = true;
        self.report_passed_over(scope, direction, &here);
    }

    /// Lets go of what no candidate of `direction` needs, and of more where a limit is reached.
    fn trim(&mut self, scope: &mut Scope<'_, impl Emit>, direction: Direction) {
        let mode = self.mode(direction);
        let undecided = self.phase == Phase::Undecided;
        let expectation = self.expectation(scope);
        let context = &mut *scope.context;
        let Some(held) = self.undecided.as_deref_mut() else {
            return;
        };
        let held = held.held.of_mut(direction);
        if held.is_empty() || mode == Mode::Framing && !undecided {
            return;
        }
        let limits = context.options.limits;
        let limit = if undecided && expectation == Expectation::None {
            limits.undecided_elsewhere
        } else {
            limits.undecided
        };
        let first = held.first_piece().map(|piece| piece.stamp);
        // As many as state what another protocol is.
        let start = match classify::looks_like(held.bytes()) {
            LooksLike::Carrier(..) => held.bytes().get(..START_CAP).unwrap_or(held.bytes()),
            LooksLike::Unknown | LooksLike::Refused => &[],
        };
        let start = start.to_vec();
        let mut dropped = held.drop_unneeded(context);
        let full = |held: &Held, context: &Context| {
            held.len() > limit || context.held() > limits.held as u64 && !held.is_empty()
        };
        if full(held, context) {
            context.counters.holds_given_up += 1;
            while full(held, context) {
                dropped += held.drop_earliest(context);
                held.charge(context);
            }
        }
        held.charge(context);
        let empty = held.is_empty();
        self.pass_over(context, direction, dropped as u64);
        if !empty || !undecided {
            return;
        }
        let side = self.packets.sides.of_mut(direction);
        side.tries = side.tries.saturating_add(1);
        let hopeless = side.tries >= TRIES_CAP && expectation == Expectation::None;
        if side.mode == Mode::Framing || hopeless {
            side.mode = Mode::NotMqtt;
            if expectation != Expectation::None {
                let stamp = first.unwrap_or_default();
                self.packets
                    .report_not_mqtt(scope, direction, &stamp, &start);
            }
        }
    }

    /// Takes a gap of `length` bytes, 0 where that is unknown, behind which a packet must be found
    /// again unless it lies within one.
    #[cold]
    pub(super) fn gap(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        length: u64,
        cause: GapCause,
        stamp: &FrameStamp,
    ) {
        self.begin(scope.connection);
        if self.phase == Phase::Other {
            return;
        }
        let is_mqtt = self.phase == Phase::Mqtt;
        if is_mqtt && self.mode(direction) == Mode::Framing {
            // What is held of it came before the gap and is in no doubt.
            self.release(scope);
        }
        let mut discarded = self.drop_held(scope.context, direction);
        let side = self.packets.sides.of_mut(direction);
        let was_after_gap = std::mem::replace(&mut side.after_gap, true);
        if matches!(side.mode, Mode::NotMqtt | Mode::GivenUp) {
            return;
        }
        let peers = &self.packets.peers;
        // What is shown must not depend on a version that is guessed.
        let version = (cause == GapCause::SnapshotLength && is_mqtt && !peers.versions().both())
            .then(|| peers.reading());
        let (known, cut) = side.cut_partial(scope.context, length, version);
        discarded += cut;
        if !known {
            side.mode = Mode::Seeking;
        }
        // A packet that was lost may have given them another meaning.
        self.packets.forget_aliases(scope.context, direction);
        if is_mqtt {
            scope.context.counters.gaps += 1;
            scope.context.counters.missing += length;
            self.packets
                .emit_gap(scope, direction, length, cause, stamp, discarded);
            if let Some(cut) = self.packets.sides.of_mut(direction).take_cut() {
                let layers = Layers::default();
                let arrival = Arrival {
                    stamp,
                    direction,
                    layers: &layers,
                };
                // The gap is in it, not before it.
                self.packets.sides.of_mut(direction).after_gap = was_after_gap;
                self.packets.emit_head(scope, &arrival, &cut);
                self.packets.sides.of_mut(direction).after_gap = true;
                cut.release(scope.context);
            }
            self.settle(scope);
        }
    }
}

/// Returns the chain with most evidence in its direction.
fn best(held: &Held) -> Option<&Candidate> {
    held.candidates
        .iter()
        .filter(|candidate| candidate.aligned)
        .max_by_key(|candidate| candidate.score)
}

/// Whether the evidence for a chain suffices, with that of the other direction.
fn is_enough(candidate: &Candidate, other: Option<&Candidate>, unknown: bool) -> bool {
    let wanted = match (candidate.aligned, candidate.from_full) {
        _ if unknown => enough::UNEXPECTED,
        (true, false) => enough::AT_A_SEGMENT,
        (true, true) => enough::AT_A_FULL_SEGMENT,
        (false, _) => enough::AMID_A_SEGMENT,
    };
    if candidate.score >= wanted {
        return true;
    }
    // Two ends that both send what one of them alone may send: that is another protocol.
    let same_end =
        |other: &&Candidate| candidate.sender.is_some() && candidate.sender == other.sender;
    let Some(other) = other.filter(|other| !same_end(other)) else {
        return false;
    };
    let of_other = if unknown {
        other.score.min(enough::FROM_THE_OTHER)
    } else {
        0
    };
    // The comparison costs most and decides least, so it comes last.
    candidate.score + of_other + AGREEMENT_CAP >= wanted
        && candidate.score + of_other + candidate.agreement(other) >= wanted
}
