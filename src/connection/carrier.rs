//! MQTT that another protocol carries: the octets of a WebSocket connection's data frames are a
//! connection of their own, with a decoder of its own.

use crate::base::FrameStamp;
use crate::event::{Event, LooksLike, NotMqtt, TransportBreach};
use crate::mqtt::Sender;
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::websocket::{Breach, Shared, Unwrapped, WebSocket};
use crate::stream::{Closed, Connection, Direction, GapCause, StreamEvent};

use super::plausible::{Versions, may_begin};
use super::{Arrival, Context, DIRECTIONS, Decoder, Mode, Phase, Transport, weigh};

/// WebSocket connections that are followed at a time; each takes some 500 octets.
pub const CARRIERS_CAP: usize = 200_000;

/// What carries MQTT, and the decoder of what it carries.
#[derive(Debug)]
pub(super) struct Carrier {
    websocket: WebSocket,
    inner: Decoder,
    /// What it carries was captured from its begin.
    from_start: bool,
    notes: Notes,
}

/// What is to be told of the carrier itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Note {
    Breach(Breach),
    Not(LooksLike),
}

/// Notes are told when it is known that the connection is MQTT, each once of each end.
#[derive(Debug, Default)]
struct Notes {
    waiting: Vec<(Note, Direction, FrameStamp)>,
    taken: Vec<(Note, Direction)>,
}

impl Notes {
    fn take(&mut self, note: Note, direction: Direction, stamp: &FrameStamp) {
        if !self.taken.contains(&(note, direction)) {
            self.taken.push((note, direction));
            self.waiting.push((note, direction, *stamp));
        }
    }
}

impl Decoder {
    /// Finds out whether `octets`, with which a segment begins, are of a protocol that may carry
    /// MQTT; `true` where they are, and dealt with.
    pub(super) fn wrap(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        octets: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> bool {
        if self.deliberation.is_some() {
            return false;
        }
        let direction = arrival.direction;
        let opened = WebSocket::opened(direction, octets);
        let from_start = opened.is_some();
        let joined = || self.join(direction, octets);
        let Some(websocket) = opened.or_else(joined) else {
            return false;
        };
        if context.carriers >= CARRIERS_CAP {
            context.counters.carriers_refused += 1;
            self.plain = true;
            return false;
        }
        context.carriers += 1;
        self.carrier = Some(Box::new(Carrier {
            websocket,
            inner: Self {
                transport: match self.transport {
                    Transport::Tls | Transport::TlsWebSocket => Transport::TlsWebSocket,
                    Transport::Tcp | Transport::WebSocket => Transport::WebSocket,
                },
                plain: true,
                ..Self::default()
            },
            from_start,
            notes: Notes::default(),
        }));
        let event = StreamEvent::Octets {
            direction,
            octets,
            stamp: arrival.stamp,
            layers: arrival.layers,
        };
        self.carry(context, arrival.connection, event, emit);
        true
    }

    /// The WebSocket connection, open before the capture began, of which `octets` are whole
    /// frames, the first with a whole control packet.
    fn join(&self, direction: Direction, octets: &[u8]) -> Option<WebSocket> {
        if self.sides.of(direction).mode != Mode::Seeking {
            return None;
        }
        let (websocket, begin, length) = WebSocket::joined(direction, octets)?;
        let Header::Whole(header) = fixed_header(&begin) else {
            return None;
        };
        let remaining = header.total_len() - header.header_len;
        let first = begin.first().copied()?;
        let fills = header.total_len() as u64 == length;
        if !fills || may_begin(first, remaining, Versions::BOTH).is_empty() {
            return None;
        }
        // A binary frame and a SUBSCRIBE begin alike.
        let bare = match fixed_header(octets) {
            Header::Whole(header) => octets.get(..header.total_len()),
            Header::Partial | Header::Malformed(_) => None,
        };
        let is_bare = bare.is_some_and(|packet| !weigh::versions(packet).is_empty());
        (!is_bare).then_some(websocket)
    }

    /// Hears what happens on a connection that carries another one.
    #[cold]
    pub(super) fn carry(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Some(mut carrier) = self.carrier.take() else {
            return;
        };
        let others = carrier.hear(context, connection, event, emit);
        let is_mqtt = carrier.inner.phase == Phase::Mqtt;
        let is_none = !is_mqtt && !others.is_empty();
        if is_mqtt || is_none && carrier.websocket.is_of_mqtt() {
            carrier.tell(connection, emit);
        }
        let octets: u64 = others.iter().map(|(_, octets)| octets.len() as u64).sum();
        context.counters.wrapped -= octets;
        if !is_none && carrier.inner.phase != Phase::Other {
            context.counters.not_mqtt += octets;
            self.carrier = Some(carrier);
            return;
        }
        carrier.close(context, connection, emit);
        match event {
            StreamEvent::Octets { stamp, layers, .. } if is_none => {
                self.plain = true;
                for (direction, octets) in others {
                    let arrival = Arrival {
                        stamp,
                        connection,
                        layers,
                        direction,
                    };
                    self.receive_undecided(context, &arrival, &octets, emit);
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

impl Carrier {
    /// Hands what comes out to the decoder within. What turns out not to be carried, by
    /// direction.
    fn hear(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) -> Vec<(Direction, Vec<u8>)> {
        let inside = self.inside(connection);
        // Given back below: who listens needs the rest of the context.
        let mut shared = std::mem::take(&mut context.websockets);
        let before = shared.counts;
        let mut others = Vec::new();
        match event {
            StreamEvent::Octets {
                direction,
                octets,
                stamp,
                layers,
            } => {
                context.counters.wrapped += octets.len() as u64;
                let arrival = Arrival {
                    stamp,
                    connection: &inside,
                    layers,
                    direction,
                };
                others = self.octets(context, &mut shared, &arrival, octets, emit);
            }
            StreamEvent::Gap {
                direction,
                length,
                cause,
                stamp,
            } => {
                if let Some(length) = self.websocket.gap(&mut shared, direction, length) {
                    let gap = StreamEvent::Gap {
                        direction,
                        length,
                        cause,
                        stamp,
                    };
                    self.inner.on(context, &inside, gap, emit);
                }
            }
            StreamEvent::Conflict { .. } | StreamEvent::End { .. } | StreamEvent::Closed { .. } => {
                self.inner.on(context, &inside, event, emit);
            }
        }
        let discarded = shared.counts.discarded - before.discarded;
        let given_up = shared.counts.given_up - before.given_up;
        context.counters.wrapped -= discarded + given_up;
        context.counters.discarded += discarded;
        context.counters.given_up += given_up;
        context.websockets = shared;
        others
    }

    fn octets(
        &mut self,
        context: &mut Context,
        shared: &mut Shared,
        arrival: &Arrival<'_>,
        octets: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> Vec<(Direction, Vec<u8>)> {
        let Arrival {
            stamp,
            connection,
            layers,
            direction,
        } = *arrival;
        let Self {
            websocket,
            inner,
            notes,
            ..
        } = self;
        let mut others = Vec::new();
        websocket.push(
            shared,
            direction,
            octets,
            &mut |unwrapped| match unwrapped {
                Unwrapped::Octets(octets) => {
                    context.counters.unwrapped += octets.len() as u64;
                    let octets = StreamEvent::Octets {
                        direction,
                        octets,
                        stamp,
                        layers,
                    };
                    inner.on(context, connection, octets, emit);
                }
                Unwrapped::Gap => {
                    let gap = StreamEvent::Gap {
                        direction,
                        length: 0,
                        cause: GapCause::NotCaptured,
                        stamp,
                    };
                    inner.on(context, connection, gap, emit);
                }
                Unwrapped::Breach(breach) => notes.take(Note::Breach(breach), direction, stamp),
                Unwrapped::Broken => {
                    notes.take(Note::Not(LooksLike::BrokenFrames), direction, stamp);
                }
                Unwrapped::Refused(status) => {
                    let refused = LooksLike::RefusedUpgrade(status);
                    notes.take(Note::Not(refused), direction, stamp);
                }
                Unwrapped::Other { direction, octets } => others.push((direction, octets.to_vec())),
            },
        );
        inner.announced |= websocket.is_of_mqtt();
        others
    }

    /// The connection as the decoder within sees it.
    fn inside(&self, connection: &Connection) -> Connection {
        Connection {
            handshake_seen: connection.handshake_seen || self.from_start,
            ..*connection
        }
    }

    /// Nothing is carried any more.
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
        self.inner.on(context, &self.inside(connection), end, emit);
        self.websocket.close(&mut context.websockets);
        context.carriers -= 1;
    }

    /// Tells the notes that wait.
    fn tell(&mut self, connection: &Connection, emit: &mut impl FnMut(&Event<'_>)) {
        let client = self.websocket.client();
        for (note, direction, stamp) in self.notes.waiting.drain(..) {
            match note {
                Note::Breach(breach) => emit(&Event::Breach(&TransportBreach {
                    connection: connection.id,
                    sender: if direction == client {
                        Sender::Client
                    } else {
                        Sender::Server
                    },
                    breach,
                    stamp,
                })),
                Note::Not(looks_like) => emit(&Event::NotMqtt(&NotMqtt {
                    connection: *connection,
                    direction,
                    stamp,
                    looks_like,
                })),
            }
        }
    }
}
