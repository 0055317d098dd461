//! Bytes of a connection that nobody knows yet: what tells itself at once, and what must
//! be held.

use crate::event::{Event, LooksLike};
use crate::mqtt::framer::{Header, fixed_header};

use super::candidate::could_begin;
use super::opening::{self, Opening};
use super::plausible::{Versions, may_begin};
use super::{Arrival, Context, DIRECTIONS, Decoder, Deliberation, Expectation, Mode, Phase};

/// Segments of a connection met in its midst that may fail to begin a packet, where nothing
/// speaks for MQTT, before it counts as something else.
pub(super) const TRIES_CAP: u8 = 250;

impl Decoder {
    /// Bytes of a connection, or of a direction, that is undecided.
    #[cold]
    pub(super) fn receive_undecided(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if bytes.is_empty() {
            return;
        }
        let Arrival {
            connection,
            direction,
            stamp,
            layers,
        } = *arrival;
        if self.phase == Phase::New {
            self.begin(connection);
        }
        if self.phase == Phase::Undecided
            && !self.is_bare
            && matches!(self.sides.of(direction).mode, Mode::Framing | Mode::Seeking)
            && self.recognise_carrier(context, arrival, bytes, emit)
        {
            return;
        }
        if self.phase == Phase::Undecided && self.recognise(context, arrival, bytes, emit) {
            return;
        }
        let side = self.sides.of_mut(direction);
        side.heard = true;
        match side.mode {
            Mode::NotMqtt => context.counters.not_mqtt += bytes.len() as u64,
            Mode::GivenUp => context.counters.given_up += bytes.len() as u64,
            Mode::Framing | Mode::Doubtful | Mode::Seeking => {
                let deliberation = self.deliberation.get_or_insert_default();
                deliberation.first.get_or_insert(*stamp);
                let held = deliberation.held.of_mut(direction);
                held.push(context, bytes, stamp, layers);
                self.search(context, connection, direction);
                self.deliberate(context, connection, emit);
            }
        }
    }

    /// What the very first bytes of a direction tell at once; `true` where they are dealt
    /// with.
    fn recognise(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> bool {
        let Arrival {
            connection,
            direction,
            stamp,
            ..
        } = *arrival;
        let mode = self.sides.of(direction).mode;
        let waiting = |d: &Deliberation| !d.held.of(direction).is_empty();
        if !matches!(mode, Mode::Framing | Mode::Seeking)
            || self.deliberation.as_deref().is_some_and(waiting)
        {
            return false;
        }
        let expectation = self.expectation(context, connection);
        let opening = opening::opening(bytes);
        let insisted = expectation == Expectation::Insisted && mode == Mode::Framing;
        if opening == Opening::Connect || insisted {
            if opening == Opening::Connect {
                self.hear_connect(direction, bytes);
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
                self.receive(context, arrival, bytes, emit);
                return true;
            }
            return false;
        }
        let first = bytes.first().copied().unwrap_or(0);
        let possible = match fixed_header(bytes) {
            Header::Whole(header) => {
                let remaining = header.total_len() - header.header_len;
                !may_begin(first, remaining, Versions::BOTH).is_empty()
            }
            Header::Partial => could_begin(first, Versions::BOTH),
            Header::Malformed(_) => false,
        };
        // Nearly all that is not MQTT ends here, without a single byte being held.
        if expectation == Expectation::None && !possible && opening == Opening::Other {
            self.pass_by(context, arrival, bytes, emit);
            return true;
        }
        false
    }

    /// Bytes that begin no packet on a connection that nothing else speaks for.
    fn pass_by(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.pass_over(context, arrival.direction, bytes.len() as u64);
        let side = self.sides.of_mut(arrival.direction);
        side.heard = true;
        side.tries = side.tries.saturating_add(1);
        let ports = [
            arrival.connection.responder.port,
            arrival.connection.initiator.port,
        ];
        let carried = matches!(
            opening::looks_like(bytes),
            LooksLike::Carrier(protocol, _) if ports.iter().any(|port| protocol.ports().contains(port))
        );
        if side.mode == Mode::Framing || side.tries >= TRIES_CAP || carried {
            side.mode = Mode::NotMqtt;
        }
        if carried {
            self.tell_not_mqtt(
                arrival.connection,
                arrival.direction,
                arrival.stamp,
                bytes,
                emit,
            );
        }
        self.forget_others();
    }

    pub(super) fn forget_others(&mut self) {
        let over = |direction| self.sides.of(direction).mode == Mode::NotMqtt;
        if self.phase == Phase::Undecided && DIRECTIONS.into_iter().all(over) {
            self.phase = Phase::Other;
        }
    }
}
