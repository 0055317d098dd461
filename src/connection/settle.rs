//! What is decided leaves the hold: told, or passed over; gaps and the end of a connection
//! decide too.

use crate::base::{FrameStamp, Layers};
use crate::event::{Event, Gap};
use crate::stream::{Connection, Direction, GapCause};

use super::held::{Held, Piece};
use super::recognise::TRIES_CAP;
use super::{Arrival, Context, DIRECTIONS, Decoder, Deliberation, Expectation, Hole, Mode, Phase};

/// Bytes of one direction held for want of evidence, where MQTT is expected: a packet this
/// large can still prove itself after a gap.
pub const SEEKING_CAP: usize = 1 << 20;

/// The same where nothing speaks for MQTT.
pub const UNKNOWN_CAP: usize = 64 << 10;

/// Bytes of the direction that is not in doubt, held back for the order of the frames.
pub const BEHIND_CAP: usize = 256 << 10;

impl Decoder {
    /// Bytes of `direction` that belong to no packet that can be told.
    pub(super) fn pass_over(&mut self, context: &mut Context, direction: Direction, bytes: u64) {
        let side = self.sides.of_mut(direction);
        side.passed_over += bytes;
        if self.phase == Phase::Mqtt {
            context.counters.discarded += bytes;
        } else {
            context.counters.not_mqtt += bytes;
            side.counted_other += bytes;
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
    pub(super) fn tell_passed_over(
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
    pub(super) fn trim(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        direction: Direction,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let mode = self.sides.of(direction).mode;
        let undecided = self.phase == Phase::Undecided;
        let expectation = self.expectation(context, connection);
        let Some(deliberation) = self.deliberation.as_deref_mut() else {
            return;
        };
        let held = deliberation.held.of_mut(direction);
        if held.is_empty() || mode == Mode::Framing && !undecided {
            return;
        }
        let cap = if undecided && expectation == Expectation::None {
            UNKNOWN_CAP
        } else {
            SEEKING_CAP
        };
        let first = held
            .first_piece()
            .map(|piece| piece.stamp)
            .unwrap_or_default();
        let begin = held.bytes().get(..32).unwrap_or(held.bytes()).to_vec();
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
    pub(super) fn settle(
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
            let Some((piece, bytes)) = held.pop(&mut buffer, context) else {
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
            self.receive(context, &arrival, bytes, emit);
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

    /// Bytes never came.
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
        self.forget_aliases(context, direction);
        if self.phase == Phase::Mqtt {
            context.counters.gaps += 1;
            context.counters.missing += hole.length;
            let sender = self.sender(direction);
            emit(&Event::Gap(&hole.event(connection, sender, given_up)));
            self.settle(context, connection, emit);
        }
    }

    /// Gives up what is held of `direction`; how many bytes of an MQTT connection that is.
    pub(super) fn drop_held(&mut self, context: &mut Context, direction: Direction) -> u64 {
        if let Some(deliberation) = self.deliberation.as_deref_mut() {
            let held = deliberation.held.of_mut(direction);
            let end = held.end();
            let dropped = held.drop_before(context, end) as u64;
            held.candidates.clear();
            self.pass_over(context, direction, dropped);
        }
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
