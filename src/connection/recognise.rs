//! Recognition of MQTT by the first bytes of a direction; bytes that are none yet are held.

use crate::event::LooksLike;
use crate::stream::DIRECTIONS;

use super::classify::{self, Opening, Versions, begins_packet, could_begin};
use super::context::{Emit, Scope};
use super::packets::{Arrival, Mode};
use super::recognition::{Expectation, Phase, Recognition, is_on};
use super::resync::TRIES_CAP;

impl Recognition {
    /// Takes bytes of a connection that is known to be MQTT.
    #[inline]
    pub(super) fn receive(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) {
        if self.mode(arrival.direction) == Mode::Seeking {
            self.receive_undecided(scope, arrival, bytes);
        } else {
            self.packets.receive(scope, arrival, bytes);
        }
    }

    /// Takes bytes of a connection, or of a direction, that is undecided.
    #[cold]
    pub(super) fn receive_undecided(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) {
        if self.phase == Phase::Undecided && self.recognise(scope, arrival, bytes) {
            return;
        }
        let Arrival {
            direction,
            stamp,
            layers,
        } = *arrival;
        let side = self.packets.sides.of_mut(direction);
        side.active = true;
        if side.count_unread(&mut scope.context.counters, bytes) {
            return;
        }
        let undecided = self.undecided.get_or_insert_default();
        undecided.first.get_or_insert(*stamp);
        let held = undecided.held.of_mut(direction);
        held.push(scope.context, bytes, stamp, layers);
        self.search(scope, direction);
        self.decide(scope);
    }

    /// Looks at the very first bytes of a direction; returns `true` where they are dealt with.
    ///
    /// A CONNECT, or the user's word (`-d`), settles the connection at once. Bytes that can begin no
    /// packet are passed by. All others are held until the evidence suffices.
    fn recognise(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) -> bool {
        let Arrival {
            direction, stamp, ..
        } = *arrival;
        let mode = self.mode(direction);
        let undecided = self.undecided.as_deref();
        if !matches!(mode, Mode::Framing | Mode::Seeking)
            || undecided.is_some_and(|undecided| !undecided.held.of(direction).is_empty())
        {
            return false;
        }
        let expectation = self.expectation(scope);
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
            self.believe(scope, direction, stamp);
            self.packets.sides.of_mut(direction).proven = true;
            self.report_passed_over(scope, direction, stamp);
            // Nothing is held of the other direction either: no need to pass through the hold.
            let at_once = self.undecided.is_none();
            if at_once {
                self.packets.receive(scope, arrival, bytes);
            }
            return at_once;
        }
        // The version is not known without CONNECT: what either version allows is possible.
        let first = bytes.first().copied().unwrap_or(0);
        let possible = begins_packet(bytes).unwrap_or_else(|| could_begin(first, Versions::BOTH));
        // Nearly all that is not MQTT ends here, without a single byte being held.
        let other = expectation == Expectation::None && !possible && opening == Opening::Other;
        if other {
            self.pass_by(scope, arrival, bytes);
        }
        other
    }

    /// Counts bytes that begin no packet on a connection without other evidence for MQTT. The
    /// direction is given up at once where it was seen from its start or is a carrier on its own
    /// port; else after [`TRIES_CAP`] segments, since the capture may have begun amid a packet.
    fn pass_by(&mut self, scope: &mut Scope<'_, impl Emit>, arrival: &Arrival<'_>, bytes: &[u8]) {
        let direction = arrival.direction;
        self.pass_over(scope.context, direction, bytes.len() as u64);
        let from_start = self.mode(direction) == Mode::Framing;
        let port = scope.connection.responder.port;
        let on_its_port = match classify::looks_like(bytes) {
            LooksLike::Carrier(carrier, _) if is_on(scope.connection, carrier.ports()) => true,
            // What hides its content may carry MQTT on any port.
            LooksLike::Carrier(carrier, _) if from_start && carrier.encrypts() => carrier
                .introduction(bytes)
                .is_some_and(|first| first.asks && first.may_announce_mqtt(port)),
            _ => false,
        };
        let side = self.packets.sides.of_mut(direction);
        side.active = true;
        side.tries = side.tries.saturating_add(1);
        if side.mode == Mode::Framing || side.tries >= TRIES_CAP || on_its_port {
            side.mode = Mode::NotMqtt;
        }
        if on_its_port {
            self.packets
                .report_not_mqtt(scope, direction, arrival.stamp, bytes);
        }
        self.settle_other();
    }
}
