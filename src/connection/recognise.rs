//! Recognition of MQTT by the first bytes of a direction; bytes that are none yet are held.

use crate::event::{Event, LooksLike};
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::DIRECTIONS;

use super::classify::{self, Opening, Versions, could_begin, may_begin};
use super::context::Context;
use super::packets::{Arrival, Mode};
use super::recognition::{Expectation, Phase, Recognition};
use super::resync::TRIES_CAP;

impl Recognition {
    /// Takes bytes of a connection that is known to be MQTT.
    #[inline]
    pub(super) fn receive(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if self.mode(arrival.direction) == Mode::Seeking {
            self.receive_undecided(context, arrival, bytes, emit);
        } else {
            self.packets.receive(context, arrival, bytes, emit);
        }
    }

    /// Takes bytes of a connection, or of a direction, that is undecided.
    #[cold]
    pub(super) fn receive_undecided(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if bytes.is_empty()
            || self.phase == Phase::Undecided && self.recognise(context, arrival, bytes, emit)
        {
            return;
        }
        let Arrival {
            connection,
            direction,
            stamp,
            layers,
        } = *arrival;
        let side = self.packets.sides.of_mut(direction);
        side.active = true;
        match side.mode {
            Mode::NotMqtt => context.counters.not_mqtt += bytes.len() as u64,
            Mode::GivenUp => context.counters.given_up += bytes.len() as u64,
            Mode::Framing | Mode::Doubtful | Mode::Seeking => {
                let undecided = self.undecided.get_or_insert_default();
                undecided.first.get_or_insert(*stamp);
                let held = undecided.held.of_mut(direction);
                held.push(context, bytes, stamp, layers);
                self.search(context, connection, direction);
                self.decide(context, connection, emit);
            }
        }
    }

    /// Looks at the very first bytes of a direction; returns `true` where they are dealt with.
    ///
    /// A CONNECT, or the user's word (`-d`), settles the connection at once. Bytes that can begin no
    /// packet are passed by. All others are held until the evidence suffices.
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
        let mode = self.mode(direction);
        let undecided = self.undecided.as_deref();
        if !matches!(mode, Mode::Framing | Mode::Seeking)
            || undecided.is_some_and(|undecided| !undecided.held.of(direction).is_empty())
        {
            return false;
        }
        let expectation = self.expectation(context, connection);
        let opening = classify::opening(bytes);
        let insisted = expectation == Expectation::Insisted && mode == Mode::Framing;
        if opening == Opening::Connect || insisted {
            if opening == Opening::Connect {
                self.packets.peers.learn_connect(direction, bytes);
            }
            if insisted {
                // Whatever comes is a packet, if a malformed one.
                for direction in DIRECTIONS {
                    self.packets.sides.of_mut(direction).proven = true;
                }
            }
            self.believe(context, connection, direction, stamp, emit);
            self.packets.sides.of_mut(direction).proven = true;
            self.report_passed_over(context, connection, direction, stamp, emit);
            // Nothing is held of the other direction either: no need to pass through the hold.
            if self.undecided.is_none() {
                self.packets.receive(context, arrival, bytes, emit);
                return true;
            }
            return false;
        }
        // The version is not known without CONNECT: what either version allows is possible.
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

    /// Counts bytes that begin no packet on a connection without other evidence for MQTT. The
    /// direction is given up at once where it was seen from its start or is a carrier on its own
    /// port; else after [`TRIES_CAP`] segments, since the capture may have begun amid a packet.
    fn pass_by(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Arrival {
            connection,
            direction,
            stamp,
            ..
        } = *arrival;
        self.pass_over(context, direction, bytes.len() as u64);
        let ports = [connection.responder.port, connection.initiator.port];
        let on_its_port = matches!(
            classify::looks_like(bytes),
            LooksLike::Carrier(carrier, _) if ports.iter().any(|port| carrier.ports().contains(port))
        );
        let side = self.packets.sides.of_mut(direction);
        side.active = true;
        side.tries = side.tries.saturating_add(1);
        if side.mode == Mode::Framing || side.tries >= TRIES_CAP || on_its_port {
            side.mode = Mode::NotMqtt;
        }
        if on_its_port {
            self.packets
                .report_not_mqtt(connection, direction, stamp, bytes, emit);
        }
        self.settle_other();
    }
}
