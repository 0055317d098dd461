//! MQTT that another protocol carries: what comes out of a carrier is a connection of its own,
//! with a decoder of its own.

use crate::base::FrameStamp;
use crate::carrier::{Breach, Carried, CarrierError, Followed, Recognition};
use crate::event::{Event, LooksLike, NotMqtt, TransportBreach};
use crate::mqtt::Sender;
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::{Closed, Connection, Direction, GapCause, StreamEvent};

use super::plausible::{Versions, may_begin};
use super::{Arrival, Context, DIRECTIONS, Decoder, Mode, Phase, on_carrier_port, weigh};

/// What a carrier carries.
#[derive(Debug)]
pub(super) struct Inner {
    carrier: Followed,
    decoder: Decoder,
    reports: Reports,
    /// Bytes that turned out not to be the carrier's, by direction.
    mistaken: Vec<(Direction, Vec<u8>)>,
}

/// What a carrier reports of itself.
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

impl Decoder {
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
            Recognition::Bare => return false,
            Recognition::Refused => {
                self.is_bare = true;
                return false;
            }
            Recognition::Followed(followed) => followed,
        };
        // Held in the belief that it may be bare MQTT.
        for direction in DIRECTIONS {
            self.drop_held(context, direction);
        }
        self.deliberation = None;
        self.inner = Some(Box::new(Inner {
            carrier,
            decoder: Self {
                transport: self.transport.with(carrier.protocol),
                ..Self::default()
            },
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
    fn carrier_of(&self, context: &mut Context, direction: Direction, bytes: &[u8]) -> Recognition {
        let carriers = &mut context.carriers;
        if self.deliberation.is_none() {
            let opened = carriers.open(self.transport, direction, bytes);
            if !matches!(opened, Recognition::Bare) {
                return opened;
            }
        }
        if self.sides.of(direction).mode != Mode::Seeking {
            return Recognition::Bare;
        }
        carriers.join(self.transport, direction, bytes, |beginning| {
            begins_packet(beginning) && !is_packet(bytes)
        })
    }

    /// Passes on what happens on a connection that carries another one.
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
        let is_mqtt = inner.decoder.phase == Phase::Mqtt;
        let is_bare = !is_mqtt && !mistaken.is_empty();
        inner.emit_reports(connection, emit);
        let count: u64 = mistaken.iter().map(|(_, bytes)| bytes.len() as u64).sum();
        context.counters.wrapped -= count;
        if !is_bare && inner.decoder.phase != Phase::Other {
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
                    self.sides.of_mut(direction).told_not |= reported;
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
                self.phase = Phase::Other;
                for direction in DIRECTIONS {
                    self.sides.of_mut(direction).mode = Mode::NotMqtt;
                }
            }
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
        if self.decoder.phase == Phase::Mqtt || self.decoder.announced {
            context.counters.discarded += discarded;
        } else {
            context.counters.not_mqtt += discarded;
        }
        context.counters.given_up += given_up;
        self.decoder.announced |= carrier.announces_mqtt(slot);
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
        let is_mqtt = self.decoder.phase == Phase::Mqtt;
        let expected = is_mqtt || self.decoder.announced || on_carrier_port(connection);
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
    packet.is_some_and(|packet| !weigh::versions(packet).is_empty())
}
