//! A connection's bytes recognised as MQTT, framed, decoded.
//!
//! In: what [`crate::stream`] tells of one TCP connection. Out: [`Event`]s. Packets are told
//! straight from the segment that carried them; only one that straddles segments is copied.
//! Where it is not known that the bytes are MQTT, or where a packet begins (the capture's
//! begin in mid-connection, a gap that swallowed a fixed header), bytes are held back until
//! the evidence suffices: silence is better than a phantom. Every byte ends in exactly one
//! of the [`Counters`].

mod alias;
mod candidate;
mod carried;
mod context;
mod deliberate;
mod framing;
mod held;
mod opening;
mod plausible;
mod recognise;
mod settle;
mod tell;
mod weigh;

#[cfg(test)]
mod tests;

use crate::base::{FrameStamp, Layers};
use crate::carrier::Protocol;
use crate::event::{Ended, Event, Gap, Incomplete, NotMqtt, Opened, Transport};
use crate::mqtt::{ProtocolVersion, Sender};
use crate::stream::{
    ByDirection, Closed, Connection, DIRECTIONS, Direction, End, GapCause, StreamEvent,
};

pub use crate::carrier::CARRIERS_CAP;
pub use alias::{ALIASES_CAP, ALIASES_TOTAL, TOPICS_CAP};
pub use context::{CLIENT_IDS_TOTAL, Context, Counters, HELD_CAP, Options};
pub use framing::FRAMES_CAP;
pub use settle::{BEHIND_CAP, SEEKING_CAP, UNKNOWN_CAP};

use alias::Aliases;
use carried::Inner;
use deliberate::Deliberation;
use framing::Partial;

/// Ports where MQTT is expected, so that little evidence suffices.
pub const MQTT_PORTS: [u16; 2] = [1883, 1884];

/// What is known of a connection as a whole.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Phase {
    /// Nothing was heard yet.
    #[default]
    New,
    /// Nothing says yet what the bytes are.
    Undecided,
    Mqtt,
    /// Not MQTT in either direction.
    Other,
}

/// What is known of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Mode {
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
struct Side {
    mode: Mode,
    /// A gap, or the capture's begin, lies before what comes.
    after_gap: bool,
    /// A packet was read here, or the evidence sufficed.
    proven: bool,
    /// Bytes came.
    heard: bool,
    /// [`Event::NotMqtt`] was told.
    told_not: bool,
    /// Packets in a row whose structure is broken although their length seemed right.
    broken: u8,
    /// Segments tried in vain while a packet's begin was sought on an unknown connection.
    tries: u8,
    /// Bytes that belong to no packet that can be told, since it was last told of them.
    passed_over: u64,
    /// Those of them that were counted as not MQTT, since nothing told that they are.
    counted_other: u64,
    partial: Option<Box<Partial>>,
}

/// What a connection's bytes have shown so far.
#[derive(Debug, Default)]
pub struct Decoder {
    phase: Phase,
    version: Option<ProtocolVersion>,
    version_from: VersionFrom,
    /// How much structure speaks for 5.0 (above 0) where both versions fit.
    lean: i8,
    /// The direction in which the Client sends.
    client: Option<Direction>,
    /// A packet told who the Client is; else it is the likelier end.
    client_certain: bool,
    first_end: Option<Direction>,
    transport: Transport,
    sides: ByDirection<Side>,
    deliberation: Option<Box<Deliberation>>,
    aliases: ByDirection<Option<Box<Aliases>>>,
    /// The client identifier, once a CONNECT or a CONNACK named one.
    client_id: Option<Box<str>>,
    /// Its bytes are another protocol's, which may carry MQTT: nothing else here is of use then.
    inner: Option<Box<Inner>>,
    /// It is not carried, whatever it looks like.
    is_bare: bool,
    /// What carries it says that it is MQTT.
    announced: bool,
}

/// How the version is known.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum VersionFrom {
    /// Not yet, or from packets that fit other versions as well.
    #[default]
    Guess,
    /// From packets that fit no other version.
    Structure,
    /// From CONNECT, even where its level is none that is known.
    Connect,
}

/// Bytes on their way in, with where they came from.
///
/// In this order, so that `stamp` and `layers`, neighbours in [`StreamEvent`] and written
/// just before, are not read again as one wide word: the wait for that was 5 % of the table.
#[derive(Clone, Copy)]
#[repr(C)]
struct Arrival<'a> {
    stamp: &'a FrameStamp,
    connection: &'a Connection,
    layers: &'a Layers,
    direction: Direction,
}

/// What a port, or what carries the connection, says beforehand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Expectation {
    /// The user insists.
    Insisted,
    /// A registered port, or MQTT was agreed upon.
    Likely,
    None,
}

impl Decoder {
    /// Hears what happens on `connection` and tells what it means.
    ///
    /// All calls for one connection must name the same `connection`, and all calls of a run
    /// the same `context`.
    #[inline]
    pub fn on(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        match event {
            StreamEvent::Bytes {
                direction,
                bytes,
                stamp,
                layers,
            } => {
                let arrival = Arrival {
                    connection,
                    direction,
                    stamp,
                    layers,
                };
                context.counters.bytes += bytes.len() as u64;
                if self.phase == Phase::Mqtt && self.deliberation.is_none() {
                    self.receive(context, &arrival, bytes, emit);
                } else if self.inner.is_some() {
                    self.carry(context, connection, event, emit);
                } else {
                    self.receive_undecided(context, &arrival, bytes, emit);
                }
            }
            _ if self.inner.is_some() => self.carry(context, connection, event, emit),
            StreamEvent::Gap {
                direction,
                length,
                cause,
                stamp,
            } => {
                let hole = Hole {
                    direction,
                    length,
                    cause,
                    stamp,
                };
                self.gap(context, connection, &hole, emit);
            }
            StreamEvent::Conflict { .. } => context.counters.conflicts += 1,
            StreamEvent::End { direction, how, .. } => self.end(direction, how),
            StreamEvent::Closed { why, stamp } => {
                self.close(context, connection, why, stamp, emit);
            }
        }
    }

    fn end(&mut self, direction: Direction, how: End) {
        // Both count as the first end; a RST after a FIN does not change who began.
        let (End::Fin | End::Reset) = how;
        self.first_end.get_or_insert(direction);
    }

    /// Sets up what the connection's first event tells.
    fn begin(&mut self, connection: &Connection) {
        self.phase = Phase::Undecided;
        if connection.handshake_seen {
            return;
        }
        for direction in DIRECTIONS {
            let side = self.sides.of_mut(direction);
            side.mode = Mode::Seeking;
            side.after_gap = true;
        }
    }

    /// What is known of the connection before its bytes are.
    fn expectation(&self, context: &Context, connection: &Connection) -> Expectation {
        let ports = [connection.responder.port, connection.initiator.port];
        let any = |known: &[u16]| ports.iter().any(|port| known.contains(port));
        if any(&context.options.decode_as) {
            Expectation::Insisted
        } else if self.announced || any(&MQTT_PORTS) || any(self.carrier_ports()) {
            Expectation::Likely
        } else {
            Expectation::None
        }
    }

    /// Ports on which MQTT is expected in what carries this connection.
    fn carrier_ports(&self) -> &'static [u16] {
        self.transport.innermost().map_or(&[], Protocol::ports)
    }

    /// Which end sends in `direction`.
    #[inline]
    fn sender(&self, direction: Direction) -> Sender {
        let client = self.client.unwrap_or(Direction::Forward);
        [Sender::Client, Sender::Server][usize::from(client != direction)]
    }

    fn close(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        why: Closed,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.close_deliberation(context, connection, stamp, emit);
        let incomplete = DIRECTIONS.map(|direction| self.incomplete(context, direction));
        match self.phase {
            Phase::Mqtt => emit(&Event::Ended(&Ended {
                connection: connection.id,
                why,
                by: self.first_end.map(|direction| self.sender(direction)),
                stamp: *stamp,
                incomplete,
            })),
            Phase::Undecided if self.expectation(context, connection) != Expectation::None => {
                for direction in DIRECTIONS {
                    if self.sides.of(direction).heard {
                        self.tell_not_mqtt(connection, direction, stamp, &[], emit);
                    }
                }
            }
            Phase::New | Phase::Undecided | Phase::Other => {}
        }
        for direction in DIRECTIONS {
            self.forget_aliases(context, direction);
        }
        self.forget_client_id(context);
        *self = Self {
            phase: Phase::Other,
            ..Self::default()
        };
    }

    /// The packet of `direction` that never completed; its bytes are accounted for.
    fn incomplete(&mut self, context: &mut Context, direction: Direction) -> Option<Incomplete> {
        let sender = self.sender(direction);
        let partial = self.sides.of_mut(direction).partial.take()?;
        let incomplete = Incomplete {
            sender,
            packet_type: partial.packet_type(),
            announced: partial.announced(),
            received: partial.received(),
            stamp: *partial.first(),
        };
        context.counters.incomplete += partial.release(context) as u64;
        Some(incomplete)
    }

    fn tell_not_mqtt(
        &mut self,
        connection: &Connection,
        direction: Direction,
        stamp: &FrameStamp,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let side = self.sides.of_mut(direction);
        if side.told_not {
            return;
        }
        side.told_not = true;
        emit(&Event::NotMqtt(&NotMqtt {
            connection: *connection,
            direction,
            stamp: *stamp,
            looks_like: opening::looks_like(bytes),
        }));
    }

    fn open(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        self.phase = Phase::Mqtt;
        context.counters.connections += 1;
        let (client, server) = match self.client.unwrap_or(Direction::Forward) {
            Direction::Forward => (connection.initiator, connection.responder),
            Direction::Backward => (connection.responder, connection.initiator),
        };
        emit(&Event::Opened(&Opened {
            connection: *connection,
            server,
            client,
            transport: self.transport,
            stamp: *stamp,
        }));
    }
}

/// A [`StreamEvent::Gap`] on its way in.
#[derive(Clone, Copy)]
struct Hole<'a> {
    direction: Direction,
    length: u64,
    cause: GapCause,
    stamp: &'a FrameStamp,
}

impl Hole<'_> {
    fn event(&self, connection: &Connection, sender: Sender, discarded: u64) -> Gap {
        Gap {
            connection: connection.id,
            sender,
            direction: self.direction,
            length: self.length,
            cause: self.cause,
            stamp: *self.stamp,
            discarded,
        }
    }
}

/// Whether MQTT inside a carrier is expected: nothing is guessed there, but a carrier that is not
/// followed is reported.
fn on_carrier_port(connection: &Connection) -> bool {
    let ports = [connection.responder.port, connection.initiator.port];
    ports.iter().any(|port| is_carrier_port(*port))
}

fn is_carrier_port(port: u16) -> bool {
    Protocol::ALL
        .iter()
        .any(|protocol| protocol.ports().contains(&port))
}

/// The direction in which the Server sends, where one port alone is one on which it listens.
fn server_by_port(context: &Context, connection: &Connection) -> Option<Direction> {
    let expected = |port: u16| {
        MQTT_PORTS.contains(&port)
            || is_carrier_port(port)
            || context.options.decode_as.contains(&port)
    };
    match (
        expected(connection.initiator.port),
        expected(connection.responder.port),
    ) {
        (true, false) => Some(Direction::Forward),
        (false, true) => Some(Direction::Backward),
        _ => None,
    }
}

/// The direction of the end that opens, where no packet tells: it sent the SYN, else its
/// peer is on a port where MQTT is expected, else its port is the higher one.
fn likely_client(context: &Context, connection: &Connection) -> Direction {
    if connection.handshake_seen {
        return Direction::Forward;
    }
    match server_by_port(context, connection) {
        Some(server) => server.reverse(),
        None if connection.initiator.port < connection.responder.port => Direction::Backward,
        None => Direction::Forward,
    }
}
