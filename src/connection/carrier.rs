//! MQTT that another protocol carries: what comes out of WebSocket, of TLS or of one in the other
//! is a connection of its own, with a decoder of its own.

use crate::base::FrameStamp;
use crate::carrier::tls::{self, Tls};
use crate::carrier::unwrapped::{Unwrap, Unwrapped};
use crate::carrier::websocket::{self, Breach, WebSocket};
use crate::event::{Event, LooksLike, NotMqtt, TransportBreach};
use crate::mqtt::Sender;
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::{Closed, Connection, Direction, GapCause, StreamEvent};

use super::plausible::{Versions, may_begin};
use super::{Arrival, Context, DIRECTIONS, Decoder, Mode, Phase, Transport, expects_tls, weigh};

/// Connections within others that are followed at a time; each takes some 500 octets.
pub const CARRIERS_CAP: usize = 200_000;

/// What carries MQTT, and what it carries.
#[derive(Debug)]
pub(super) struct Carrier {
    layer: Layer,
    within: Within,
    /// What it carries was captured from its begin.
    from_start: bool,
}

/// The protocol that carries another.
#[derive(Debug)]
enum Layer {
    WebSocket(Box<WebSocket>),
    Tls(Box<Tls>),
}

impl Layer {
    fn client(&self) -> Direction {
        match self {
            Self::WebSocket(websocket) => websocket.client(),
            Self::Tls(tls) => tls.client(),
        }
    }

    /// Whether it says of itself that it carries MQTT.
    fn announces(&self) -> bool {
        matches!(self, Self::WebSocket(websocket) if websocket.is_of_mqtt())
    }
}

/// What is carried.
#[derive(Debug, Default)]
struct Within {
    decoder: Decoder,
    notes: Notes,
    /// What turned out not to be carried, by direction.
    others: Vec<(Direction, Vec<u8>)>,
}

/// What is to be told of the carrier itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Note {
    Breach(Breach),
    Not(LooksLike),
}

/// Notes are told when it is known that the connection is MQTT, or was meant to be; each once of
/// each end.
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
        let Some((layer, from_start)) = self.layer(context, arrival.direction, octets) else {
            return false;
        };
        let full = context.carriers >= CARRIERS_CAP;
        let full_of_tls = context.tls_connections >= tls::CONNECTIONS_CAP;
        let is_tls = matches!(layer, Layer::Tls(_));
        if full || is_tls && full_of_tls {
            context.counters.carriers_refused += u64::from(full);
            context.counters.tls_refused += u64::from(!full);
            self.plain = true;
            return false;
        }
        // What was held in the belief that it may be bare.
        for direction in DIRECTIONS {
            self.drop_held(context, direction);
        }
        self.deliberation = None;
        context.carriers += 1;
        context.tls_connections += usize::from(is_tls);
        let transport = match (&layer, self.transport) {
            (Layer::Tls(_), _) => Transport::Tls,
            (Layer::WebSocket(_), Transport::Tls) => Transport::TlsWebSocket,
            (Layer::WebSocket(_), _) => Transport::WebSocket,
        };
        let decoder = Self {
            transport,
            // Layers are not stacked without end.
            plain: !is_tls,
            ..Self::default()
        };
        self.carrier = Some(Box::new(Carrier {
            layer,
            within: Within {
                decoder,
                ..Within::default()
            },
            from_start,
        }));
        let event = StreamEvent::Bytes {
            direction: arrival.direction,
            bytes: octets,
            stamp: arrival.stamp,
            layers: arrival.layers,
        };
        self.carry(context, arrival.connection, event, emit);
        true
    }

    /// The protocol that `octets` of `direction` are of, and whether they are its first.
    fn layer(
        &self,
        context: &Context,
        direction: Direction,
        octets: &[u8],
    ) -> Option<(Layer, bool)> {
        let fresh = self.deliberation.is_none();
        if fresh && let Some(opened) = WebSocket::opened(direction, octets) {
            let from_start = opened.is_from_start();
            return Some((Layer::WebSocket(Box::new(opened)), from_start));
        }
        let bare = fresh && self.transport == Transport::Tcp;
        if bare && let Some(opened) = Tls::opened(direction, octets, &context.tls.keylog) {
            return Some((Layer::Tls(Box::new(opened)), true));
        }
        let joined = self.join(direction, octets)?;
        Some((Layer::WebSocket(Box::new(joined)), false))
    }

    /// The WebSocket connection, open before the capture began, of which `octets` are whole
    /// frames, the first of which begins with what may be a control packet.
    fn join(&self, direction: Direction, octets: &[u8]) -> Option<WebSocket> {
        if self.sides.of(direction).mode != Mode::Seeking {
            return None;
        }
        let (websocket, begin) = WebSocket::joined(direction, octets)?;
        let Header::Whole(header) = fixed_header(&begin) else {
            return None;
        };
        let remaining = header.total_len() - header.header_len;
        let first = begin.first().copied()?;
        if may_begin(first, remaining, Versions::BOTH).is_empty() {
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
        carrier.hear(context, connection, event, emit);
        let others = std::mem::take(&mut carrier.within.others);
        let is_mqtt = carrier.within.decoder.phase == Phase::Mqtt;
        let is_none = !is_mqtt && !others.is_empty();
        if !carrier.within.notes.waiting.is_empty() {
            carrier.tell(connection, emit);
        }
        let octets: u64 = others.iter().map(|(_, octets)| octets.len() as u64).sum();
        context.counters.wrapped -= octets;
        if !is_none && carrier.within.decoder.phase != Phase::Other {
            context.counters.not_mqtt += octets;
            self.carrier = Some(carrier);
            return;
        }
        carrier.close(context, connection, emit);
        match event {
            StreamEvent::Bytes { stamp, layers, .. } if is_none => {
                self.plain = true;
                let taken = &carrier.within.notes.taken;
                let told = taken.iter().any(|(note, _)| matches!(note, Note::Not(_)));
                for direction in DIRECTIONS {
                    self.sides.of_mut(direction).told_not |= told;
                }
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
    fn hear(
        &mut self,
        context: &mut Context,
        connection: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let inside = self.inside(connection);
        let within = &mut self.within;
        match &mut self.layer {
            Layer::WebSocket(websocket) => {
                within.hear_through(&mut **websocket, websockets, context, &inside, event, emit);
            }
            Layer::Tls(tls) => {
                within.hear_through(&mut **tls, tls_shared, context, &inside, event, emit);
            }
        }
        self.within.decoder.announced |= self.layer.announces();
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
        let inside = self.inside(connection);
        self.within.decoder.on(context, &inside, end, emit);
        match &mut self.layer {
            Layer::WebSocket(websocket) => websocket.close(&mut context.websockets),
            Layer::Tls(tls) => {
                tls.close(&mut context.tls);
                context.tls_connections -= 1;
            }
        }
        context.carriers -= 1;
    }

    /// Tells the notes that wait for nothing more.
    fn tell(&mut self, connection: &Connection, emit: &mut impl FnMut(&Event<'_>)) {
        let client = self.layer.client();
        let is_mqtt = self.within.decoder.phase == Phase::Mqtt;
        let expected = is_mqtt || self.layer.announces() || expects_tls(connection);
        let due = |note: Note| match note {
            Note::Breach(_) => is_mqtt,
            // Secrets that fit are not given for nothing.
            Note::Not(LooksLike::TlsSuite(_)) => true,
            Note::Not(_) => expected,
        };
        let waiting = &mut self.within.notes.waiting;
        for (note, direction, stamp) in waiting.extract_if(.., |(note, ..)| due(*note)) {
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

const fn websockets(context: &mut Context) -> &mut websocket::Shared {
    &mut context.websockets
}

const fn tls_shared(context: &mut Context) -> &mut tls::Shared {
    &mut context.tls
}

impl Within {
    /// Hears what comes out of `layer`, which shares with others what `shared` finds.
    fn hear_through<U: Unwrap>(
        &mut self,
        layer: &mut U,
        shared: impl Fn(&mut Context) -> &mut U::Shared,
        context: &mut Context,
        inside: &Connection,
        event: StreamEvent<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        // Given back below: who listens needs the rest of the context.
        let mut all = std::mem::take(shared(context));
        let before = U::lost(&all);
        match event {
            StreamEvent::Bytes {
                direction,
                bytes: octets,
                stamp,
                layers,
            } => {
                context.counters.wrapped += octets.len() as u64;
                let arrival = Arrival {
                    stamp,
                    connection: inside,
                    layers,
                    direction,
                };
                layer.push(&mut all, direction, octets, &mut |unwrapped| {
                    self.unwrapped(context, &arrival, unwrapped, emit);
                });
            }
            StreamEvent::Gap {
                direction,
                length,
                cause,
                stamp,
            } => {
                if let Some(length) = layer.gap(&mut all, direction, length) {
                    let gap = StreamEvent::Gap {
                        direction,
                        length,
                        cause,
                        stamp,
                    };
                    self.decoder.on(context, inside, gap, emit);
                }
            }
            StreamEvent::Conflict { .. } | StreamEvent::End { .. } | StreamEvent::Closed { .. } => {
                self.decoder.on(context, inside, event, emit);
            }
        }
        let lost = U::lost(&all);
        let discarded = lost.discarded - before.discarded;
        let given_up = lost.given_up - before.given_up;
        context.counters.wrapped -= discarded + given_up;
        if self.decoder.phase == Phase::Mqtt || self.decoder.announced {
            context.counters.discarded += discarded;
        } else {
            context.counters.not_mqtt += discarded;
        }
        context.counters.given_up += given_up;
        *shared(context) = all;
    }

    fn unwrapped(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        unwrapped: Unwrapped<'_>,
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let Arrival {
            stamp,
            connection,
            layers,
            direction,
        } = *arrival;
        let gap = |cause| StreamEvent::Gap {
            direction,
            length: 0,
            cause,
            stamp,
        };
        let missing = gap(GapCause::NotCaptured);
        let unread = gap(GapCause::Unreadable);
        let note = match unwrapped {
            Unwrapped::Octets(octets) => {
                context.counters.unwrapped += octets.len() as u64;
                let octets = StreamEvent::Bytes {
                    direction,
                    bytes: octets,
                    stamp,
                    layers,
                };
                return self.decoder.on(context, connection, octets, emit);
            }
            Unwrapped::Gap => return self.decoder.on(context, connection, missing, emit),
            Unwrapped::OverCap => return self.decoder.on(context, connection, unread, emit),
            Unwrapped::Other { direction, octets } => {
                return self.others.push((direction, octets.to_vec()));
            }
            Unwrapped::Breach(breach) => Note::Breach(breach),
            Unwrapped::Refused(status) => Note::Not(LooksLike::RefusedUpgrade(status)),
            Unwrapped::Suite(suite) => Note::Not(LooksLike::TlsSuite(suite)),
            Unwrapped::Broken if self.decoder.transport == Transport::Tls => {
                Note::Not(LooksLike::BrokenTls)
            }
            Unwrapped::Broken => Note::Not(LooksLike::BrokenFrames),
        };
        if let Note::Not(LooksLike::BrokenFrames | LooksLike::BrokenTls) = note {
            // What is not read may have answered what is.
            self.decoder.on(context, connection, unread, emit);
        }
        self.notes.take(note, direction, stamp);
    }
}
