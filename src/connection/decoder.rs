//! The decoder of one connection: its own bytes, or those that a carrier carries in them.
//!
//! Whatever comes out of a carrier is a connection of its own, with a decoder of its own.

use crate::base::FrameStamp;
use crate::carrier::{Breach, Carried, CarrierError, Followed, Recognition as Carrier};
use crate::event::{Ended, Event, Introduction, LooksLike, NotMqtt, Stalled, TransportBreach};
use crate::mqtt::Sender;
use crate::mqtt::framer::{Cut, cut};
use crate::stream::{
    ByDirection, Closed, Connection, DIRECTIONS, Direction, GapCause, StreamEvent,
};

use super::classify::begins_packet;
use super::context::{Context, Emit, Scope};
use super::packets::{Arrival, Mode};
use super::recognition::{Expectation, Phase, Recognition, on_known_port};
use super::score;

/// Everything that a connection's bytes have shown so far.
#[derive(Debug, Default)]
pub struct Decoder {
    pub(super) own: Recognition,
    /// Its bytes are a carrier's: nothing of its own is of use then.
    inner: Option<Box<Inner>>,
    /// It is not carried, whatever it looks like.
    is_bare: bool,
    /// Boxed: it comes once, and every open connection has room for it.
    first_end: Option<Box<(Direction, FrameStamp)>>,
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
        let scope = &mut Scope {
            context,
            connection,
            emit,
        };
        match event {
            StreamEvent::Bytes {
                direction,
                bytes,
                stamp,
                layers,
            } => {
                let arrival = Arrival {
                    direction,
                    stamp,
                    layers,
                };
                scope.context.counters.bytes += bytes.len() as u64;
                if self.own.phase == Phase::Mqtt && self.own.undecided.is_none() {
                    self.own.receive(scope, &arrival, bytes);
                } else if self.inner.is_some() {
                    self.carry(scope, event);
                } else {
                    self.receive_undecided(scope, &arrival, bytes);
                }
            }
            _ if self.inner.is_some() => self.carry(scope, event),
            StreamEvent::Gap {
                direction,
                length,
                cause,
                stamp,
            } => self.own.gap(scope, direction, length, cause, stamp),
            StreamEvent::Stalled {
                direction,
                stall,
                since,
                lasting,
                stamp,
            } if self.own.phase == Phase::Mqtt => (scope.emit)(&Event::Stalled(&Stalled {
                connection: connection.id,
                sender: self.own.packets.peers.sender(direction),
                stall,
                since: *since,
                lasting,
                stamp: *stamp,
            })),
            StreamEvent::Stalled { .. } => {}
            StreamEvent::Conflict { .. } => scope.context.counters.conflicts += 1,
            // A FIN and a RST both count; a RST after a FIN does not change who began.
            StreamEvent::End {
                direction,
                how,
                stamp,
            } => {
                if self.first_end.is_none() {
                    self.first_end = Some(Box::new((direction, *stamp)));
                    self.own.report_first_end(scope, direction, how, stamp);
                }
            }
            StreamEvent::Closed { why, stamp } => self.close(scope, why, stamp),
        }
    }

    /// Takes bytes that may be a carrier's, as long as nothing is known of them.
    #[cold]
    fn receive_undecided(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) {
        if bytes.is_empty() {
            return;
        }
        self.own.begin(scope.connection);
        let mode = self.own.mode(arrival.direction);
        let is_carried = self.own.phase == Phase::Undecided
            && !self.is_bare
            && matches!(mode, Mode::Framing | Mode::Seeking)
            && self.recognise_carrier(scope, arrival, bytes);
        if !is_carried {
            self.own.receive_undecided(scope, arrival, bytes);
        }
    }

    /// Emits the end of the connection, and forgets it. A connection that was expected to be MQTT
    /// and stayed undecided is reported as not MQTT, so that it does not just vanish.
    fn close(&mut self, scope: &mut Scope<'_, impl Emit>, why: Closed, stamp: &FrameStamp) {
        let own = &mut self.own;
        own.close(scope, stamp);
        let incomplete =
            DIRECTIONS.map(|direction| own.packets.take_incomplete(scope.context, direction));
        if own.phase == Phase::Mqtt {
            let first = self.first_end.as_deref().copied();
            (scope.emit)(&Event::Ended(&Ended {
                connection: scope.connection.id,
                why,
                by: first.map(|(end, _)| own.packets.peers.sender(end)),
                first: first.map_or(*stamp, |(_, first)| first),
                both_seen: scope.connection.both_seen,
                stamp: *stamp,
                incomplete,
            }));
        }
        if matches!(why, Closed::Finished | Closed::Reset) {
            own.report_unanswered(scope, stamp);
        }
        let missed = own.phase == Phase::Undecided && own.expectation(scope) != Expectation::None;
        for direction in DIRECTIONS {
            if missed && own.packets.sides.of(direction).active {
                own.packets.report_not_mqtt(scope, direction, stamp, &[]);
            }
            own.packets.forget_aliases(scope.context, direction);
        }
        let is_expected = own.expectation(scope) != Expectation::None;
        if why == Closed::Refused && (is_expected || on_known_port(scope.connection)) {
            (scope.emit)(&Event::NotMqtt(&NotMqtt {
                connection: *scope.connection,
                direction: Direction::Backward,
                stamp: *stamp,
                looks_like: LooksLike::Refused,
                introduction: Introduction::default(),
                answers_mqtt: false,
            }));
        }
        own.packets.peers.forget_client_id(scope.context);
        *self = Self::default();
        self.own.phase = Phase::Other;
    }

    /// Whether the connection was recognised as MQTT.
    fn is_mqtt(&self) -> bool {
        self.own.phase == Phase::Mqtt
    }

    /// Finds out whether `bytes`, with which a segment begins, are a carrier's; `true` where they
    /// are, and dealt with.
    fn recognise_carrier(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        bytes: &[u8],
    ) -> bool {
        let carrier = match self.carrier_of(scope.context, arrival.direction, bytes) {
            Carrier::Bare => return false,
            Carrier::Refused => {
                self.is_bare = true;
                return false;
            }
            Carrier::Followed(followed) => followed,
        };
        // Held in the belief that it may be bare MQTT.
        for direction in DIRECTIONS {
            self.own.drop_held(scope.context, direction);
        }
        self.own.undecided = None;
        let mut decoder = Self::default();
        decoder.own.packets.transport = self.own.packets.transport.with(carrier.protocol);
        self.inner = Some(Box::new(Inner {
            carrier,
            decoder,
            reports: Vec::new(),
            mistaken: Vec::new(),
            came: ByDirection::default(),
            names_ends: false,
        }));
        self.carry(scope, arrival.event(bytes));
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
            begins_packet(beginning) == Some(true) && !is_packet(bytes)
        })
    }

    /// Passes on the events of a connection that carries another one. Where the carrier turns out
    /// to be none, the bytes that it was given are taken as bare after all; where no MQTT can come
    /// out of it any more, the connection is passed over.
    #[cold]
    fn carry(&mut self, scope: &mut Scope<'_, impl Emit>, event: StreamEvent<'_>) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        if let StreamEvent::Closed { why, stamp } = event {
            inner.close_unanswered(scope.connection, why, stamp);
        }
        inner.on(scope, event);
        let mistaken = std::mem::take(&mut inner.mistaken);
        let is_bare = !inner.decoder.is_mqtt() && !mistaken.is_empty();
        inner.emit_reports(scope);
        // Counted as wrapped when they came; now they count for what they turned out to be.
        let count: u64 = mistaken.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        scope.context.counters.wrapped -= count;
        if !is_bare && inner.decoder.own.phase != Phase::Other {
            scope.context.counters.not_mqtt += count;
            self.inner = Some(inner);
            return;
        }
        inner.close(scope);
        match event {
            StreamEvent::Bytes { stamp, layers, .. } if is_bare => {
                self.is_bare = true;
                let failed = |report: &Report| matches!(report.what, What::Failed(_));
                let reported = inner.reports.iter().any(failed);
                for direction in DIRECTIONS {
                    self.own.packets.sides.of_mut(direction).reported |= reported;
                }
                for (direction, bytes) in mistaken {
                    let arrival = Arrival {
                        stamp,
                        layers,
                        direction,
                    };
                    self.receive_undecided(scope, &arrival, &bytes);
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
struct Inner {
    carrier: Followed,
    decoder: Decoder,
    /// Each once for each end.
    reports: Vec<Report>,
    /// Bytes that turned out not to be the carrier's, by direction.
    mistaken: Vec<(Direction, Vec<u8>)>,
    /// Bytes came, or were missing.
    came: ByDirection<bool>,
    /// It named the ends of the connection.
    names_ends: bool,
}

/// A report of a carrier on itself. It waits until it is known that the connection is MQTT, or was
/// meant to be.
#[derive(Debug)]
struct Report {
    what: What,
    direction: Direction,
    stamp: FrameStamp,
    emitted: bool,
}

/// The content of a [`Report`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum What {
    Breach(Breach),
    Failed(CarrierError),
}

impl Inner {
    /// Passes an event of the outer connection through the carrier to the decoder within.
    fn on(&mut self, outer: &mut Scope<'_, impl Emit>, mut event: StreamEvent<'_>) {
        let Followed { protocol, slot, .. } = self.carrier;
        // Taken out, since the decoder within needs the rest of the context.
        let Some(mut carrier) = outer.context.carriers.take(protocol) else {
            return;
        };
        let inside = self.inside(outer.connection);
        let scope = &mut Scope {
            context: &mut *outer.context,
            connection: &inside,
            emit: &mut *outer.emit,
        };
        match event {
            StreamEvent::Bytes {
                direction,
                bytes,
                stamp,
                layers,
            } => {
                scope.context.counters.wrapped += bytes.len() as u64;
                *self.came.of_mut(direction) = true;
                let arrival = Arrival {
                    stamp,
                    layers,
                    direction,
                };
                carrier.push(slot, direction, bytes, &mut |carried| {
                    let before = scope.context.counters.packets;
                    self.receive(scope, &arrival, carried);
                    scope.context.counters.packets - before
                });
            }
            StreamEvent::Gap {
                direction,
                ref mut length,
                ..
            } => {
                *self.came.of_mut(direction) = true;
                if let Some(missing) = carrier.gap(slot, direction, *length) {
                    *length = missing;
                    self.pass(scope, event);
                }
            }
            _ => self.pass(scope, event),
        }
        let lost = carrier.take_lost();
        let counters = &mut scope.context.counters;
        counters.wrapped -= lost.discarded + lost.given_up;
        if self.decoder.is_mqtt() || self.decoder.own.announced {
            counters.discarded += lost.discarded;
        } else {
            counters.not_mqtt += lost.discarded;
        }
        counters.given_up += lost.given_up;
        self.decoder.own.announced |= carrier.announces_mqtt(slot);
        scope.context.carriers.restore(protocol, carrier);
    }

    /// Returns the connection as the decoder within sees it.
    fn inside(&self, connection: &Connection) -> Connection {
        Connection {
            handshake_seen: connection.handshake_seen || self.carrier.from_start,
            ..*connection
        }
    }

    /// Passes an event on to the decoder within.
    fn pass(&mut self, scope: &mut Scope<'_, impl Emit>, event: StreamEvent<'_>) {
        self.decoder
            .on(scope.context, scope.connection, event, scope.emit);
    }

    /// Takes what comes out of the carrier.
    fn receive(
        &mut self,
        scope: &mut Scope<'_, impl Emit>,
        arrival: &Arrival<'_>,
        carried: Carried<'_>,
    ) {
        let Arrival {
            stamp, direction, ..
        } = *arrival;
        let gap = |cause| StreamEvent::Gap {
            direction,
            length: 0,
            cause,
            stamp,
        };
        match carried {
            Carried::Bytes(bytes) => {
                scope.context.counters.unwrapped += bytes.len() as u64;
                self.pass(scope, arrival.event(bytes));
            }
            Carried::Proxied(proxied) => {
                let id = scope.connection.id;
                scope.context.proxied.insert(id, proxied);
                self.names_ends = true;
            }
            Carried::Gap => self.pass(scope, gap(GapCause::NotCaptured)),
            Carried::OverLimit => self.pass(scope, gap(GapCause::Unreadable)),
            Carried::Mistaken { direction, bytes } => {
                self.mistaken.push((direction, bytes.to_vec()));
            }
            Carried::Breach(breach) => self.report(What::Breach(breach), arrival),
            Carried::Failed(error) => {
                if error == CarrierError::Broken {
                    // What is not read may have answered what is.
                    self.pass(scope, gap(GapCause::Unreadable));
                }
                self.report(What::Failed(error), arrival);
            }
        }
    }

    /// Reports a connection that is closed although the carrier was never granted.
    fn close_unanswered(&mut self, connection: &Connection, why: Closed, stamp: &FrameStamp) {
        let Followed {
            protocol, client, ..
        } = self.carrier;
        let is_over = matches!(why, Closed::Finished | Closed::Reset);
        let is_silent = !*self.came.of(client.reverse());
        if is_over && is_silent && protocol.is_answered() && connection.handshake_seen {
            self.report_at(What::Failed(CarrierError::Unanswered), client, stamp);
        }
    }

    /// Ends what is carried.
    fn close(&mut self, scope: &mut Scope<'_, impl Emit>) {
        let end = StreamEvent::Closed {
            why: Closed::CaptureEnd,
            stamp: &FrameStamp::default(),
        };
        let inside = self.inside(scope.connection);
        self.decoder.on(scope.context, &inside, end, scope.emit);
        if self.names_ends {
            scope.context.proxied.remove(&inside.id);
        }
        scope.context.carriers.close(&self.carrier);
    }

    fn report(&mut self, what: What, arrival: &Arrival<'_>) {
        self.report_at(what, arrival.direction, arrival.stamp);
    }

    fn report_at(&mut self, what: What, direction: Direction, stamp: &FrameStamp) {
        let same = |known: &Report| known.what == what && known.direction == direction;
        if !self.reports.iter().any(same) {
            self.reports.push(Report {
                what,
                direction,
                stamp: *stamp,
                emitted: false,
            });
        }
    }

    /// Emits the reports that need wait for nothing more.
    fn emit_reports(&mut self, scope: &mut Scope<'_, impl Emit>) {
        let is_mqtt = self.decoder.is_mqtt();
        let connection = scope.connection;
        let expected = is_mqtt || self.decoder.own.announced || on_known_port(connection);
        for report in self.reports.iter_mut().filter(|report| !report.emitted) {
            let Report {
                direction, stamp, ..
            } = *report;
            report.emitted = match report.what {
                What::Breach(_) => is_mqtt,
                // It was opened on purpose: secrets that fit are not given for nothing.
                What::Failed(CarrierError::Unsupported(_)) => true,
                What::Failed(_) => expected,
            };
            if !report.emitted {
                continue;
            }
            match report.what {
                What::Breach(breach) => (scope.emit)(&Event::Breach(&TransportBreach {
                    connection: connection.id,
                    sender: if direction == self.carrier.client {
                        Sender::Client
                    } else {
                        Sender::Server
                    },
                    breach,
                    stamp,
                })),
                What::Failed(error) => (scope.emit)(&Event::NotMqtt(&NotMqtt {
                    connection: *connection,
                    direction,
                    stamp,
                    looks_like: LooksLike::Carrier(self.carrier.protocol, error),
                    introduction: Introduction::default(),
                    answers_mqtt: false,
                })),
            }
        }
    }
}

/// Whether a whole packet that breaks no rule stands at the front of `bytes`: a carrier's frame
/// and bare MQTT may begin alike, as a binary frame of WebSocket and a SUBSCRIBE do.
fn is_packet(bytes: &[u8]) -> bool {
    matches!(cut(bytes), Cut::Whole((packet, _)) if !score::versions(packet.bytes).is_empty())
}
