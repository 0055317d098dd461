//! Decisions: is this connection MQTT, and where does a packet begin?
//!
//! While one direction is undecided its bytes are held, and those of the other direction
//! behind them, so that what is told comes in the order of the frames. Evidence counts from
//! both: an answer that fits its question speaks for either.

use crate::base::FrameStamp;
use crate::event::Event;
use crate::mqtt::{ProtocolVersion, Sender};
use crate::stream::{Connection, Direction};

use super::candidate::{AGREEMENT_CAP, Candidate, Expected};
use super::held::Held;
use super::opening::{self, Opening};
use super::plausible::{Roles, Versions};
use super::{
    ByDirection, Context, DIRECTIONS, Decoder, Expectation, Mode, Phase, VersionFrom,
    likely_client, server_by_port, tell,
};

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
    pub(super) held: ByDirection<Held>,
    /// The first frame that brought bytes.
    pub(super) first: Option<FrameStamp>,
}
impl Decoder {
    /// What may come in `direction`.
    fn expected(
        &self,
        context: &Context,
        connection: &Connection,
        direction: Direction,
    ) -> Expected {
        let versions = match (self.version_from, self.version) {
            (VersionFrom::Connect | VersionFrom::Structure, Some(version)) => {
                Versions::only(version)
            }
            _ => Versions::BOTH,
        };
        let roles = if self.client_certain {
            Roles::only(self.sender(direction))
        } else {
            server_by_port(context, connection).map_or(Roles::BOTH, |server| {
                Roles::only(if server == direction {
                    Sender::Server
                } else {
                    Sender::Client
                })
            })
        };
        Expected {
            versions,
            roles,
            may_open: !self.sides.of(direction).proven,
        }
    }

    /// Follows the candidates of `direction` into its last segment and looks for new ones.
    pub(super) fn search(
        &mut self,
        context: &Context,
        connection: &Connection,
        direction: Direction,
    ) {
        let expected = self.expected(context, connection, direction);
        let anywhere =
            self.phase == Phase::Mqtt || self.expectation(context, connection) != Expectation::None;
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
    pub(super) fn deliberate(
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
        if undecided && opening::opening(held.bytes()) == Opening::Connect {
            return Some(held.base());
        }
        let unknown = undecided && self.expectation(context, connection) == Expectation::None;
        let other = best(deliberation.held.of(direction.reverse()));
        let expected = self.expected(context, connection, direction);
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
        let connect = opening::opening(held.bytes()) == Opening::Connect;
        let begin = held.bytes().get(..32).unwrap_or(held.bytes()).to_vec();
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
        use ProtocolVersion::{V3_1_1, V5_0};
        self.lean = self.lean.saturating_add(lean);
        if !versions.both() {
            self.version = Some(if versions.five() { V5_0 } else { V3_1_1 });
            self.version_from = VersionFrom::Structure;
        } else if self.lean >= tell::LEAN_TO_FIVE {
            self.version = Some(V5_0);
        }
    }

    /// The connection is MQTT, and packets of `direction` can be framed.
    pub(super) fn believe(
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
}

/// The chain that says most of its direction.
fn best(held: &Held) -> Option<&Candidate> {
    held.candidates
        .iter()
        .filter(|candidate| candidate.aligned)
        .max_by_key(|candidate| candidate.score)
}

/// Whether the evidence for a chain suffices, with what the other direction says for it.
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
    let Some(other) = other else {
        return false;
    };
    let said = if unknown {
        other.score.min(enough::FROM_THE_OTHER)
    } else {
        0
    };
    // The comparison costs most and decides least, so it comes last.
    candidate.score + said + AGREEMENT_CAP >= wanted
        && candidate.score + said + candidate.agreement(other) >= wanted
}
