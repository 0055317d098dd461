//! The decoder of one connection: its own bytes, or those that a carrier carries in them.
//!
//! Whatever comes out of a carrier is a connection of its own, with a decoder of its own.

use crate::base::FrameStamp;
use crate::carrier::{Breach, Carried, CarrierError, Followed, Recognition as Carrier};
use crate::event::{Ended, Event, LooksLike, NotMqtt, TransportBreach};
use crate::mqtt::Sender;
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::{Closed, Connection, DIRECTIONS, Direction, GapCause, StreamEvent};

use super::classify::{Versions, may_begin};
use super::context::Context;
use super::packets::{Arrival, Mode};
use super::recognition::{Expectation, Phase, Recognition, on_carrier_port};
use super::resync::Hole;
use super::score;

/// Everything that a connection's bytes have shown so far.
#[derive(Debug, Default)]
pub struct Decoder {
    pub(super) own: Recognition,
    /// Its bytes are a carrier's: nothing of its own is of use then.
    inner: Option<Box<Inner>>,
    /// It is not carried, whatever it looks like.
    is_bare: bool,
    first_end: Option<Direction>,
}

impl Decoder {
    /// Takes what happens on `connection` and emits what that means.
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
                if self.own.phase == Phase::Mqtt && self.own.undecided.is_none() {
                    self.own.receive(context, &arrival, bytes, emit);
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
                self.own.gap(context, connection, &hole, emit);
            }
            StreamEvent::Conflict { .. } => context.counters.conflicts += 1,
            // A FIN and a RST both count; a RST after a FIN does not change who began.
            StreamEvent::End { direction, .. } => {
                self.first_end.get_or_insert(direction);
            }
            StreamEvent::Closed { why, stamp } => {
                self.close(context, connection, why, stamp, emit);
            }
        }
    }

    /// Takes bytes that may be a carrier's, as long as nothing is known of them.
    #[cold]
    fn receive_undecided(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        if bytes.is_empty() {
            return;
        }
        self.own.begin(arrival.connection);
        let open = matches!(
            self.own.mode(arrival.direction),
            Mode::Framing | Mode::Seeking
        );
        if self.own.phase == Phase::Undecided
            && !self.is_bare
            && open
            && self.recognise_carrier(context, arrival, bytes, emit)
        {
            return;
        }
        self.own.receive_undecided(context, arrival, bytes, emit);
    }

    /// Emits the end of the connection, and forgets it. A connection that was expected to be MQTT
    /// and stayed undecided is reported as not MQTT, so that it does not just vanish.
    fn close(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        why: Closed,
        stamp: &FrameStamp,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let own = &mut self.own;
        own.close(context, connection, stamp, emit);
        let incomplete =
            DIRECTIONS.map(|direction| own.packets.take_incomplete(context, direction));
        match own.phase {
            Phase::Mqtt => emit(&Event::Ended(&Ended {
                connection: connection.id,
                why,
                by: self.first_end.map(|end| own.packets.peers.sender(end)),
                stamp: *stamp,
                incomplete,
            })),
            Phase::Undecided if own.expectation(context, connection) != Expectation::None => {
                for direction in DIRECTIONS {
                    if own.packets.sides.of(direction).active {
                        own.packets
                            .report_not_mqtt(connection, direction, stamp, &[], emit);
                    }
                }
            }
            Phase::New | Phase::Undecided | Phase::Other => {}
        }
        for direction in DIRECTIONS {
            own.packets.forget_aliases(context, direction);
        }
        own.packets.peers.forget_client_id(context);
        *self = Self::default();
        self.own.phase = Phase::Other;
    }

    /// Whether the connection was recognised as MQTT.
    fn is_mqtt(&self) -> bool {
        self.own.phase == Phase::Mqtt
    }

    /// Finds out whether `bytes`, with which a segment begins, are a carrier's; `true` where they
    /// are, and dealt with.
    pub(super) fn recognise_carrier(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> bool {
        let carrier = match self.carrier_of(context, arrival.direction, bytes) {
            Carrier::Bare => return false,
            Carrier::Refused => {
                self.is_bare = true;
                return false;
            }
            Carrier::Followed(followed) => followed,
        };
        // Held in the belief that it may be bare MQTT.
        for direction in DIRECTIONS {
            self.own.drop_held(context, direction);
        }
        self.own.undecided = None;
        let mut decoder = Self::default();
        decoder.own.packets.transport = self.own.packets.transport.with(carrier.protocol);
        self.inner = Some(Box::new(Inner {
            carrier,
            decoder,
            reports: Reports::default(),
            mistaken: Vec::new(),
        }));
        let event = StreamEvent::Bytes {
            direction: arrival.direction,
            bytes,
            stamp: arrival.stamp,
            layers: arrival.layers,
        };
        self.carry(context, arrival.connection, event, emit);
        true
    }

    /// Asks the carriers for `bytes` of `direction`: whether they open a connection, as its very
    /// first bytes do, else whether they belong to one that was open before the capture began.
    fn carrier_of(&self, context: &mut Context, direction: Direction, bytes: &[u8]) -> Carrier {
        let carriers = &mut context.carriers;
        let outside = self.own.packets.transport;
        if self.own.undecided.is_none() {
            let opened = carriers.open(outside, direction, bytes);
            if !matches!(opened, Carrier::Bare) {
                return opened;
            }
        }
        if self.own.mode(direction) != Mode::Seeking {
            return Carrier::Bare;
        }
        carriers.join(outside, direction, bytes, |beginning| {
            begins_packet(beginning) && !is_packet(bytes)
        })
    }

    /// Passes on the events of a connection that carries another one. Where the carrier turns out
    /// to be none, the bytes that it was given are taken as bare after all; where no MQTT can come
    /// out of it any more, the connection is passed over.
    #[cold]
    pub(super) fn carry(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        inner.on(context, connection, event, emit);
        let mistaken = std::mem::take(&mut inner.mistaken);
        let is_mqtt = inner.decoder.is_mqtt();
        let is_bare = !is_mqtt && !mistaken.is_empty();
        inner.emit_reports(connection, emit);
        // Counted as wrapped when they came; now they count for what they turned out to be.
        let count: u64 = mistaken.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        context.counters.wrapped -= count;
        if !is_bare && inner.decoder.own.phase != Phase::Other {
            context.counters.not_mqtt += count;
            self.inner = Some(inner);
            return;
        }
        inner.close(context, connection, emit);
        match event {
            StreamEvent::Bytes { stamp, layers, .. } if is_bare => {
                self.is_bare = true;
                let seen = &inner.reports.seen;
                let reported = seen
                    .iter()
                    .any(|(seen, _)| matches!(seen, Report::Failed(_)));
                for direction in DIRECTIONS {
                    self.own.packets.sides.of_mut(direction).reported |= reported;
                }
                for (direction, bytes) in mistaken {
                    let arrival = Arrival {
                        stamp,
                        connection,
                        layers,
                        direction,
                    };
                    self.receive_undecided(context, &arrival, &bytes, emit);
                }
            }
            _ => {
                self.own.phase = Phase::Other;
                for direction in DIRECTIONS {
                    self.own.set_mode(direction, Mode::NotMqtt);
                }
            }
        }
    }
}

/// The connection that a carrier carries.
#[derive(Debug)]
pub(super) struct Inner {
    carrier: Followed,
    decoder: Decoder,
    reports: Reports,
    /// Bytes that turned out not to be the carrier's, by direction.
    mistaken: Vec<(Direction, Vec<u8>)>,
}

/// A report of a carrier on itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Report {
    Breach(Breach),
    Failed(CarrierError),
}

/// Reports wait until it is known that the connection is MQTT, or was meant to be; each is
/// emitted once for each end.
#[derive(Debug, Default)]
struct Reports {
    waiting: Vec<(Report, Direction, FrameStamp)>,
    seen: Vec<(Report, Direction)>,
}

impl Reports {
    fn add(&mut self, report: Report, direction: Direction, stamp: &FrameStamp) {
        if !self.seen.contains(&(report, direction)) {
            self.seen.push((report, direction));
            self.waiting.push((report, direction, *stamp));
        }
    }
}

impl Inner {
    /// Passes an event of the outer connection through the carrier to the decoder within.
    fn on(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Followed { protocol, slot, .. } = self.carrier;
        let inside = self.inside(connection);
        // Taken out, since the decoder within needs the rest of the context.
        let Some(mut carrier) = context.carriers.take(protocol) else {
            return;
        };
        let before = carrier.lost();
        match event {
            StreamEvent::Bytes {
                direction,
                bytes,
                stamp,
                layers,
            } => {
                context.counters.wrapped += bytes.len() as u64;
                let arrival = Arrival {
                    stamp,
                    connection: &inside,
                    layers,
                    direction,
                };
                carrier.push(slot, direction, bytes, &mut |carried| {
                    self.receive(context, &arrival, carried, emit);
                });
            }
            StreamEvent::Gap {
                direction,
                length,
                cause,
                stamp,
            } => {
                if let Some(length) = carrier.gap(slot, direction, length) {
                    let gap = StreamEvent::Gap {
                        direction,
                        length,
                        cause,
                        stamp,
                    };
                    self.decoder.on(context, &inside, gap, emit);
                }
            }
            StreamEvent::Conflict { .. } | StreamEvent::End { .. } | StreamEvent::Closed { .. } => {
                self.decoder.on(context, &inside, event, emit);
            }
        }
        let lost = carrier.lost();
        let discarded = lost.discarded - before.discarded;
        let given_up = lost.given_up - before.given_up;
        context.counters.wrapped -= discarded + given_up;
        if self.decoder.is_mqtt() || self.decoder.own.announced {
            context.counters.discarded += discarded;
        } else {
            context.counters.not_mqtt += discarded;
        }
        context.counters.given_up += given_up;
        self.decoder.own.announced |= carrier.announces_mqtt(slot);
        context.carriers.restore(protocol, carrier);
    }

    /// Returns the connection as the decoder within sees it.
    fn inside(&self, connection: &Connection) -> Connection {
        Connection {
            handshake_seen: connection.handshake_seen || self.carrier.from_start,
            ..*connection
        }
    }

    /// Takes what comes out of the carrier.
    fn receive(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        carried: Carried<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Arrival {
            stamp,
            connection,
            layers,
            direction,
        } = *arrival;
        let mut gap = |decoder: &mut Decoder, cause| {
            let gap = StreamEvent::Gap {
                direction,
                length: 0,
                cause,
                stamp,
            };
            decoder.on(context, connection, gap, emit);
        };
        match carried {
            Carried::Bytes(bytes) => {
                context.counters.unwrapped += bytes.len() as u64;
                let bytes = StreamEvent::Bytes {
                    direction,
                    bytes,
                    stamp,
                    layers,
                };
                self.decoder.on(context, connection, bytes, emit);
            }
            Carried::Gap => gap(&mut self.decoder, GapCause::NotCaptured),
            Carried::OverLimit => gap(&mut self.decoder, GapCause::Unreadable),
            Carried::Mistaken { direction, bytes } => {
                self.mistaken.push((direction, bytes.to_vec()));
            }
            Carried::Breach(breach) => self.reports.add(Report::Breach(breach), direction, stamp),
            Carried::Failed(error) => {
                if error == CarrierError::Broken {
                    // What is not read may have answered what is.
                    gap(&mut self.decoder, GapCause::Unreadable);
                }
                self.reports.add(Report::Failed(error), direction, stamp);
            }
        }
    }

    /// Ends what is carried.
    fn close(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let end = StreamEvent::Closed {
            why: Closed::CaptureEnd,
            stamp: &FrameStamp::default(),
        };
        let inside = self.inside(connection);
        self.decoder.on(context, &inside, end, emit);
        context.carriers.close(&self.carrier);
    }

    /// Emits the reports that need wait for nothing more.
    fn emit_reports(&mut self, connection: &Connection, emit: &mut impl FnMut(&Event<'_>)) {
        let is_mqtt = self.decoder.is_mqtt();
        let expected = is_mqtt || self.decoder.own.announced || on_carrier_port(connection);
        let due = |report: Report| match report {
            Report::Breach(_) => is_mqtt,
            // It was opened on purpose: secrets that fit are not given for nothing.
            Report::Failed(CarrierError::Unsupported(_)) => true,
            Report::Failed(_) => expected,
        };
        let waiting = &mut self.reports.waiting;
        for (report, direction, stamp) in waiting.extract_if(.., |(report, ..)| due(*report)) {
            match report {
                Report::Breach(breach) => emit(&Event::Breach(&TransportBreach {
                    connection: connection.id,
                    sender: if direction == self.carrier.client {
                        Sender::Client
                    } else {
                        Sender::Server
                    },
                    breach,
                    stamp,
                })),
                Report::Failed(error) => emit(&Event::NotMqtt(&NotMqtt {
                    connection: *connection,
                    direction,
                    stamp,
                    looks_like: LooksLike::Carrier(self.carrier.protocol, error),
                })),
            }
        }
    }
}

/// Whether a packet may begin with `bytes`, as many as a fixed header takes.
fn begins_packet(bytes: &[u8]) -> bool {
    match (fixed_header(bytes), bytes.first()) {
        (Header::Whole(header), Some(first)) => {
            let remaining = header.total_len() - header.header_len;
            !may_begin(*first, remaining, Versions::BOTH).is_empty()
        }
        _ => false,
    }
}

/// Whether a whole packet that breaks no rule stands at the front of `bytes`: a carrier's frame
/// and bare MQTT may begin alike, as a binary frame of WebSocket and a SUBSCRIBE do.
fn is_packet(bytes: &[u8]) -> bool {
    let packet = match fixed_header(bytes) {
        Header::Whole(header) => bytes.get(..header.total_len()),
        Header::Partial | Header::Malformed(_) => None,
    };
    packet.is_some_and(|packet| !score::versions(packet).is_empty())
}
