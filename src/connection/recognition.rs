//! The state of recognition: whether a connection is MQTT, and the bytes that are held until it is
//! known what they are.
//!
//! While one direction is undecided its bytes are held, and those of the other direction behind
//! them, so that events come in the order of the frames.

use crate::base::{FrameStamp, Layers};
use crate::carrier::Protocol;
use crate::event::{Event, FirstEnd, Opened};
use crate::mqtt::Sender;
use crate::stream::{ByDirection, Connection, DIRECTIONS, Direction, End, GapCause};

use super::context::{Context, Emit, Scope};
use super::held::Held;
use super::packets::{Arrival, Mode, Packets};
use super::pieces::Piece;

/// Bytes of the direction that is not in doubt, held back for the order of the frames.
const BEHIND_CAP: usize = 256 << 10;

/// Ports where MQTT is expected, so that little evidence suffices.
const MQTT_PORTS: [u16; 2] = [1883, 1884];

/// The state of a connection as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing came yet.
    #[default]
    New,
    /// Nothing shows yet what the bytes are.
    Undecided,
    Mqtt,
    /// Not MQTT in either direction.
    Other,
}

/// The evidence for MQTT in a port, or in what carries the connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Expectation {
    /// The user insists.
    Insisted,
    /// A registered port, or MQTT was agreed upon.
    Likely,
    None,
}

/// The bytes that are held of a connection while something is undecided.
#[derive(Debug, Default)]
pub(super) struct Undecided {
    pub(super) held: ByDirection<Held>,
    /// The first frame that brought bytes.
    pub(super) first: Option<FrameStamp>,
}

/// A connection, MQTT or not, that nothing carries but its transport.
#[derive(Debug, Default)]
pub(super) struct Recognition {
    pub(super) phase: Phase,
    pub(super) packets: Packets,
    pub(super) undecided: Option<Box<Undecided>>,
    /// The carrier names MQTT as its content.
    pub(super) announced: bool,
}

impl Recognition {
    pub(super) fn mode(&self, direction: Direction) -> Mode {
        self.packets.sides.of(direction).mode
    }

    pub(super) fn set_mode(&mut self, direction: Direction, mode: Mode) {
        self.packets.sides.of_mut(direction).mode = mode;
    }

    /// Sets up a connection at its first event.
    pub(super) fn begin(&mut self, connection: &Connection) {
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Undecided;
        if connection.handshake_seen {
            return;
        }
        for direction in DIRECTIONS {
            let side = self.packets.sides.of_mut(direction);
            side.mode = Mode::Seeking;
            side.after_gap = true;
        }
    }

    /// Returns what is known of the connection before its bytes are.
    pub(super) fn expectation(&self, scope: &Scope<'_, impl Emit>) -> Expectation {
        let any = |known: &[u16]| is_on(scope.connection, known);
        let carrier = self.packets.transport.innermost();
        if any(&scope.context.options.decode_as) {
            Expectation::Insisted
        } else if self.announced || any(&MQTT_PORTS) || any(carrier.map_or(&[], Protocol::ports)) {
            Expectation::Likely
        } else {
            Expectation::None
        }
    }

    /// Returns the end that alone may send in `direction`: from packets, else from a port.
    pub(super) fn sender(
        &self,
        scope: &Scope<'_, impl Emit>,
        direction: Direction,
    ) -> Option<Sender> {
        let known = self.packets.peers.certain_sender(direction);
        known.or_else(|| {
            let server = server_by_port(scope)?;
            Some([Sender::Client, Sender::Server][usize::from(server == direction)])
        })
    }

    /// Believes that the connection is MQTT, and that packets of `direction` can be framed.
    pub(super) fn believe(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        stamp: &FrameStamp,
    ) {
        self.set_mode(direction, Mode::Framing);
        if self.phase == Phase::Mqtt {
            return;
        }
        self.phase = Phase::Mqtt;
        scope.context.counters.connections += 1;
        let connection = scope.connection;
        let server = server_by_port(scope);
        self.packets.peers.assume_client(connection, server);
        let (client, server) = match self.packets.peers.client() {
            Direction::Forward => (connection.initiator, connection.responder),
            Direction::Backward => (connection.responder, connection.initiator),
        };
        (scope.emit)(&Event::Opened(&Opened {
            connection: *connection,
            server,
            client,
            transport: self.packets.transport,
            proxied: scope.context.proxied.remove(&connection.id),
            stamp: *stamp,
        }));
    }

    /// Counts bytes of `direction` that belong to no packet that can be emitted.
    pub(super) fn pass_over(&mut self, context: &mut Context, direction: Direction, bytes: u64) {
        let side = self.packets.sides.of_mut(direction);
        side.passed_over += bytes;
        if self.phase == Phase::Mqtt {
            context.counters.discarded += bytes;
        } else {
            context.counters.not_mqtt += bytes;
            side.counted_other += bytes;
        }
    }

    /// Returns the bytes passed over in `direction` of an MQTT connection since the last call.
    fn take_passed_over(&mut self, context: &mut Context, direction: Direction) -> u64 {
        let side = self.packets.sides.of_mut(direction);
        let counted_other = std::mem::take(&mut side.counted_other);
        context.counters.not_mqtt -= counted_other;
        context.counters.discarded += counted_other;
        std::mem::take(&mut side.passed_over)
    }

    /// Reports the bytes passed over in `direction` until now.
    pub(super) fn report_passed_over(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        stamp: &FrameStamp,
    ) {
        let discarded = self.take_passed_over(scope.context, direction);
        if discarded > 0 {
            let cause = GapCause::PassedOver;
            self.packets
                .emit_gap(scope, direction, 0, cause, stamp, discarded);
        }
    }

    /// Gives up the bytes held of `direction`. Returns how many of an MQTT connection those are.
    pub(super) fn drop_held(&mut self, context: &mut Context, direction: Direction) -> u64 {
        if let Some(undecided) = self.undecided.as_deref_mut() {
            let held = undecided.held.of_mut(direction);
            let end = held.end();
            let dropped = held.drop_before(context, end) as u64;
            held.candidates.clear();
            held.charge(context);
            self.pass_over(context, direction, dropped);
        }
        if self.phase == Phase::Mqtt {
            self.take_passed_over(context, direction)
        } else {
            0
        }
    }

    /// Reports that an end of the connection sends nothing more.
    #[cold]
    pub(super) fn report_first_end(
        &self,
        scope: &mut Scope<'_, impl Emit>,
        direction: Direction,
        how: End,
        stamp: &FrameStamp,
    ) {
        if self.phase != Phase::Mqtt {
            return;
        }
        let client = (DIRECTIONS.into_iter())
            .find(|direction| self.packets.peers.sender(*direction) == Sender::Client);
        let partial = client.and_then(|side| self.packets.sides.of(side).partial.as_ref());
        (scope.emit)(&Event::FirstEnd(&FirstEnd {
            connection: scope.connection.id,
            by: self.packets.peers.sender(direction),
            reset: how == End::Reset,
            stamp: *stamp,
            incomplete: partial.map(|partial| partial.incomplete(Sender::Client)),
        }));
    }

    /// Reports at the end of a connection that one end asked for a carrier in vain.
    pub(super) fn report_unanswered(&self, scope: &mut Scope<'_, impl Emit>, stamp: &FrameStamp) {
        if !scope.connection.handshake_seen {
            return;
        }
        for direction in DIRECTIONS {
            let other = self.packets.sides.of(direction.reverse());
            if let Some(carrier) = self.packets.sides.of(direction).asked
                && !other.active
                && !other.after_gap
            {
                self.packets
                    .report_unanswered(scope, direction, carrier, stamp);
            }
        }
    }

    /// Takes the connection for another protocol's where both directions are.
    pub(super) fn settle_other(&mut self) {
        let other = |direction| self.mode(direction) == Mode::NotMqtt;
        if self.phase == Phase::Undecided && DIRECTIONS.into_iter().all(other) {
            self.phase = Phase::Other;
        }
    }

    /// Emits everything that is decided, in the order of the frames.
    pub(super) fn settle(&mut self, scope: &mut Scope<'_, impl Emit>) {
        self.settle_other();
        let Some(undecided) = self.undecided.as_deref() else {
            return;
        };
        let blocks = |direction: Direction| {
            let waits = self.mode(direction) == Mode::Seeking || self.phase == Phase::Undecided;
            waits && !undecided.held.of(direction).is_empty()
        };
        let full = scope.context.held() > scope.context.options.limits.held as u64;
        let is_long = |direction: Direction| {
            let held = undecided.held.of(direction).len();
            self.mode(direction) != Mode::Seeking && (held > BEHIND_CAP || full && held > 0)
        };
        if !DIRECTIONS.into_iter().any(blocks)
            || self.phase == Phase::Mqtt && DIRECTIONS.into_iter().any(is_long)
        {
            self.release(scope);
        }
    }

    /// Hands over the bytes held of every direction that is not in doubt.
    pub(super) fn release(&mut self, scope: &mut Scope<'_, impl Emit>) {
        let Some(mut undecided) = self.undecided.take() else {
            return;
        };
        let mut buffer = Vec::new();
        while let Some(direction) = self.next_to_release(&undecided) {
            let held = undecided.held.of_mut(direction);
            let Some((piece, bytes)) = held.pop(&mut buffer, scope.context) else {
                break;
            };
            let Piece { stamp, layers, .. } = piece;
            let none = Layers::default();
            let arrival = Arrival {
                direction,
                stamp: &stamp,
                layers: layers.as_deref().unwrap_or(&none),
            };
            self.packets.receive(scope, &arrival, bytes);
        }
        let kept = |direction: &Direction| !undecided.held.of(*direction).is_empty();
        if DIRECTIONS.iter().any(kept) {
            self.undecided = Some(undecided);
        }
    }

    /// Returns the direction whose first held segment is the older one, of those not in doubt.
    fn next_to_release(&self, undecided: &Undecided) -> Option<Direction> {
        DIRECTIONS
            .into_iter()
            .filter(|direction| self.mode(*direction) != Mode::Seeking)
            .filter_map(|direction| {
                let piece = undecided.held.of(direction).first_piece()?;
                Some((piece.stamp.number, direction))
            })
            .min_by_key(|(number, _)| *number)
            .map(|(_, direction)| direction)
    }

    /// Decides everything at the end of the connection, by giving up what is undecided.
    pub(super) fn close(&mut self, scope: &mut Scope<'_, impl Emit>, stamp: &FrameStamp) {
        if self.phase == Phase::Mqtt {
            self.release(scope);
        }
        for direction in DIRECTIONS {
            let discarded = self.drop_held(scope.context, direction);
            if discarded > 0 {
                let cause = GapCause::EndOfCapture;
                self.packets
                    .emit_gap(scope, direction, 0, cause, stamp, discarded);
            }
        }
        self.undecided = None;
    }
}

/// Whether either end has one of these ports.
pub(super) fn is_on(connection: &Connection, ports: &[u16]) -> bool {
    ports.contains(&connection.responder.port) || ports.contains(&connection.initiator.port)
}

/// Whether MQTT is expected, bare or inside a carrier: a carrier that is not followed is reported
/// there.
pub(super) fn on_known_port(connection: &Connection) -> bool {
    let mut carriers = Protocol::ALL.iter();
    is_on(connection, &MQTT_PORTS) || carriers.any(|protocol| is_on(connection, protocol.ports()))
}

/// Returns the direction in which the Server sends, where one port alone is one on which it
/// listens.
fn server_by_port(scope: &Scope<'_, impl Emit>) -> Option<Direction> {
    let carriers = Protocol::ALL.iter().flat_map(|protocol| protocol.ports());
    let expected = |port: u16| {
        MQTT_PORTS.contains(&port)
            || carriers.clone().any(|known| *known == port)
            || scope.context.options.decode_as.contains(&port)
    };
    let Connection {
        initiator,
        responder,
        ..
    } = scope.connection;
    match (expected(initiator.port), expected(responder.port)) {
        (true, false) => Some(Direction::Forward),
        (false, true) => Some(Direction::Backward),
        _ => None,
    }
}
