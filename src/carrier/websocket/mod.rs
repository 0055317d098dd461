//! WebSocket (RFC 6455): the bytes that a connection's data frames carry.
//!
//! In: the bytes of each direction of a TCP connection, and its gaps. Out: the payload of its data
//! messages, unmasked and inflated, as if it were a stream of its own; masks, headers and control
//! frames fall away. Nothing is copied but what is masked or compressed, and what straddles
//! segments of a head or a frame header.

mod frame;
mod inflate;
#[cfg(test)]
mod tests;
mod upgrade;

use super::carried::{Breach, Carried, Carrier, CarrierError, Lost};
use crate::base::field::{FieldDef, FieldType};
use crate::base::limits::{Limit, Limits};
use crate::stream::{ByDirection, DIRECTIONS, Direction};
use frame::{FrameHeader, HEADER_CAP, Header, Opcode, Sought};
use inflate::{Inflater, Inflation, Unreadable};

/// With what HTTP begins: the methods of requests, and responses.
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HTTP/",
    b"POST ",
    b"PUT ",
    b"HEAD ",
    b"OPTIONS ",
    b"DELETE ",
    b"CONNECT ",
    b"PATCH ",
];

/// The state that all WebSocket connections of a run share.
#[derive(Debug, Default)]
pub struct Shared {
    limits: Limits,
    /// Bytes out of which nothing came.
    pub lost: Lost,
    /// Bytes of heads that are not whole yet.
    held: usize,
    heads_refused: u64,
    inflation: Inflation,
    unmasked: Vec<u8>,
}

/// One connection.
#[derive(Debug)]
pub struct WebSocket {
    /// The direction in which the one sends that opened the connection.
    client: Direction,
    /// Either head names MQTT as a subprotocol.
    of_mqtt: bool,
    /// Whether the request offers the subprotocol `mqtt`; `None` where it was not captured.
    offers_mqtt: Option<bool>,
    /// Whether messages may be compressed; `None` until the response came.
    deflates: Option<bool>,
    sides: ByDirection<Side>,
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    state: State,
    /// Frames were sought here: what is no frame ends nothing.
    after_gap: bool,
    message: Message,
    /// The first part of a head or of a frame header.
    held: Vec<u8>,
    inflater: Option<Box<Inflater>>,
    /// Compressed messages lean on one that a gap cut.
    window_lost: bool,
}

/// The meaning of a direction's next bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum State {
    /// Of the HTTP head.
    #[default]
    Head,
    /// Of a frame header.
    Header,
    Payload(Payload),
    /// Unknown: the next frame is sought.
    Seeking,
    /// They are counted.
    GivenUp,
}

/// The payload that is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Payload {
    left: u64,
    /// Bytes of it that came or lie in a gap.
    passed: u64,
    mask: Option<[u8; 4]>,
    /// Not a control frame's.
    data: bool,
    fin: bool,
}

/// The treatment of the data message under way.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Message {
    #[default]
    Plain,
    Compressed,
    /// A gap cut it, or one that it leans on.
    Lost,
}

impl Carrier for WebSocket {
    type Shared = Shared;

    const FIELD: &'static FieldDef = &FieldDef {
        name: "websocket",
        label: "WebSocket",
        kind: FieldType::Protocol,
        help: "WebSocket (RFC 6455).",
    };

    fn shared(limits: &Limits) -> Self::Shared {
        Shared {
            limits: *limits,
            inflation: Inflation::new(limits),
            ..Shared::default()
        }
    }

    /// HTTP looks like it until an upgrade is asked for.
    fn resembles(bytes: &[u8]) -> bool {
        METHODS.iter().any(|method| bytes.starts_with(method))
    }

    /// A request that asks for it opens one, or the beginning of one, or a response that grants
    /// it.
    fn open(_: &Self::Shared, direction: Direction, bytes: &[u8]) -> Option<Self> {
        let (is_request, is_response) = (begins(bytes, b"GET "), begins(bytes, b"HTTP/1.1 101 "));
        let client = match (is_request, is_response) {
            (true, _) => direction,
            (_, true) => direction.reverse(),
            _ => return None,
        };
        if let Some(end) = upgrade::end_of_head(bytes, 0) {
            let head = bytes.get(..end)?;
            let upgrades = if is_request {
                upgrade::request(head)?.upgrades
            } else {
                upgrade::response(head)?.upgrades
            };
            if !upgrades {
                return None;
            }
        }
        let mut opened = Self::new(client, State::Head);
        if is_response && !is_request {
            // The request was not captured.
            let side = opened.sides.of_mut(client);
            side.state = State::Seeking;
            side.after_gap = true;
        }
        Some(opened)
    }

    /// The segment must hold whole frames, the first with data; the beginning is as long as an
    /// MQTT fixed header.
    fn join(direction: Direction, bytes: &[u8]) -> Option<(Self, Vec<u8>)> {
        let Header::Whole(first) = frame::header(bytes) else {
            return None;
        };
        let sought = Sought {
            masked: None,
            compressed: false,
        };
        if first.opcode != Opcode::Binary || !frame::is_whole(bytes, sought) {
            return None;
        }
        let payload = bytes.get(first.size..)?;
        let length = usize::try_from(first.length.min(5)).ok()?;
        let mut begin = payload.get(..length)?.to_vec();
        if let Some(key) = first.mask {
            let masked = begin.clone();
            frame::unmask(&masked, key, 0, &mut begin);
        }
        let client = match first.mask {
            Some(_) => direction,
            None => direction.reverse(),
        };
        let joined = Self::new(client, State::Seeking);
        Some((joined, begin))
    }

    /// Whether the Client's HTTP head was captured.
    fn is_from_start(&self) -> bool {
        !self.sides.of(self.client).after_gap
    }

    /// One end named MQTT as its subprotocol.
    fn announces_mqtt(&self) -> bool {
        self.of_mqtt
    }

    fn push(
        &mut self,
        shared: &mut Self::Shared,
        direction: Direction,
        bytes: &[u8],
        sink: &mut dyn FnMut(Carried<'_>),
    ) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let side = self.sides.of_mut(direction);
            rest = match side.state {
                State::Head => self.head(shared, direction, rest, sink),
                State::Header => self.header(shared, direction, rest, sink),
                State::Payload(payload) => side.payload(shared, payload, rest, sink),
                State::Seeking => {
                    let sought = Sought {
                        masked: Some(direction == self.client),
                        compressed: self.deflates != Some(false),
                    };
                    // Once a segment, so that each is looked through once.
                    let fresh = rest.len() == bytes.len();
                    let found = fresh.then(|| frame::seek(rest, sought)).flatten();
                    let (passed, behind) = rest.split_at(found.unwrap_or(rest.len()));
                    shared.lost.discarded += passed.len() as u64;
                    if found.is_some() {
                        side.state = State::Header;
                    }
                    behind
                }
                State::GivenUp => {
                    shared.lost.given_up += rest.len() as u64;
                    return;
                }
            };
        }
    }

    fn gap(&mut self, shared: &mut Self::Shared, direction: Direction, length: u64) -> Option<u64> {
        let side = self.sides.of_mut(direction);
        side.after_gap = true;
        match side.state {
            State::GivenUp => return None,
            State::Payload(mut payload) if length > 0 && length <= payload.left => {
                payload.left -= length;
                payload.passed += length;
                if !payload.data {
                    side.go_on(payload);
                    return None;
                }
                let missing = if side.message == Message::Plain {
                    length
                } else {
                    side.message = Message::Lost;
                    side.drop_inflater(shared);
                    0
                };
                side.go_on(payload);
                return Some(missing);
            }
            State::Head | State::Header | State::Payload(_) | State::Seeking => {}
        }
        shared.lost.discarded += side.let_go(shared).len() as u64;
        side.drop_inflater(shared);
        side.message = Message::Lost;
        side.state = State::Seeking;
        Some(0)
    }

    fn close(&mut self, shared: &mut Self::Shared) {
        for direction in DIRECTIONS {
            let side = self.sides.of_mut(direction);
            side.let_go(shared);
            side.drop_inflater(shared);
        }
    }

    fn client(&self) -> Direction {
        self.client
    }

    fn lost(shared: &Self::Shared) -> Lost {
        shared.lost
    }

    fn held(shared: &Self::Shared) -> usize {
        shared.held
    }

    fn limits(shared: &Self::Shared) -> Vec<(Limit, u64)> {
        vec![
            (Limit::Heads, shared.heads_refused),
            (Limit::Inflaters, shared.inflation.refused),
            (Limit::Inflated, shared.inflation.too_far),
        ]
    }
}

impl WebSocket {
    fn new(client: Direction, state: State) -> Self {
        let mut sides: ByDirection<Side> = ByDirection::default();
        for direction in DIRECTIONS {
            let side = sides.of_mut(direction);
            side.state = state;
            side.after_gap = state == State::Seeking;
        }
        Self {
            client,
            of_mqtt: false,
            offers_mqtt: None,
            deflates: None,
            sides,
        }
    }

    /// Bytes of an HTTP head; what follows it.
    fn head<'a>(
        &mut self,
        shared: &mut Shared,
        direction: Direction,
        bytes: &'a [u8],
        sink: &mut dyn FnMut(Carried<'_>),
    ) -> &'a [u8] {
        let from_client = direction == self.client;
        let front: &[u8] = if from_client { b"GET " } else { b"HTTP/1." };
        let side = self.sides.of_mut(direction);
        let known = side.held.len();
        if known == 0 && !begins(bytes, front) {
            // Its head was not captured.
            side.after_gap = true;
            side.state = State::Seeking;
            return bytes;
        }
        shared.held += bytes.len();
        side.held.extend_from_slice(bytes);
        let end = upgrade::end_of_head(&side.held, known);
        let over_cap = shared.held > shared.limits.heads;
        let too_long = side.held.len() > shared.limits.head_bytes || over_cap;
        if end.is_none() && !too_long && begins(&side.held, front) {
            return &[];
        }
        shared.heads_refused += u64::from(end.is_none() && over_cap);
        let held = side.let_go(shared);
        if let Some(end) = end
            && held.get(..end).is_some_and(upgrade::is_interim)
        {
            return bytes.get(end.saturating_sub(known)..).unwrap_or_default();
        }
        let granted = end.filter(|end| self.take_head(direction, held.get(..*end), sink));
        if let Some(end) = granted {
            return bytes.get(end.saturating_sub(known)..).unwrap_or_default();
        }
        let other = direction.reverse();
        let waiting = self.sides.of_mut(other).let_go(shared);
        for direction in DIRECTIONS {
            let side = self.sides.of_mut(direction);
            if side.state == State::Head {
                side.state = State::GivenUp;
            }
        }
        for (direction, bytes) in [(other, &waiting), (direction, &held)] {
            if !bytes.is_empty() {
                sink(Carried::Mistaken { direction, bytes });
            }
        }
        &[]
    }

    /// Takes a whole head. Returns whether frames follow it.
    fn take_head(
        &mut self,
        direction: Direction,
        head: Option<&[u8]>,
        sink: &mut dyn FnMut(Carried<'_>),
    ) -> bool {
        let from_client = direction == self.client;
        let (upgrades, named) = if from_client {
            let request = head.and_then(upgrade::request).unwrap_or_default();
            (request.upgrades, request.offers)
        } else {
            let Some(response) = head.and_then(upgrade::response) else {
                return false;
            };
            self.deflates = Some(response.deflates);
            if !response.upgrades {
                sink(Carried::Failed(CarrierError::Refused(response.status)));
            }
            (response.upgrades, response.selects)
        };
        if !upgrades {
            return false;
        }
        self.of_mqtt |= named.of_mqtt;
        if from_client {
            self.offers_mqtt = Some(named.mqtt);
        }
        if !named.mqtt && from_client {
            sink(Carried::Breach(Breach::NotOffered));
        } else if !named.mqtt && self.offers_mqtt != Some(false) {
            // Nothing can be selected that was not offered.
            sink(Carried::Breach(Breach::NotSelected));
        }
        self.sides.of_mut(direction).state = State::Header;
        true
    }

    /// Bytes of a frame header; what follows it.
    fn header<'a>(
        &mut self,
        shared: &mut Shared,
        direction: Direction,
        bytes: &'a [u8],
        sink: &mut dyn FnMut(Carried<'_>),
    ) -> &'a [u8] {
        let side = self.sides.of_mut(direction);
        let known = side.held.len();
        let read = if known == 0 {
            frame::header(bytes)
        } else {
            side.held.extend(bytes.iter().take(HEADER_CAP));
            frame::header(&side.held)
        };
        let header = match read {
            Header::Partial => {
                if known == 0 {
                    side.held.extend_from_slice(bytes);
                }
                return &[];
            }
            // No end compresses what the other did not agree to.
            Header::Whole(header) if !header.compressed || self.deflates != Some(false) => header,
            Header::Whole(_) | Header::Broken => {
                side.held = Vec::new();
                side.break_off(shared, known + bytes.len(), sink);
                return &[];
            }
        };
        side.held = Vec::new();
        if header.mask.is_some() != (direction == self.client) {
            sink(Carried::Breach(Breach::Masking));
        }
        if header.opcode == Opcode::Text {
            sink(Carried::Breach(Breach::TextFrame));
        }
        let behind = header.size.saturating_sub(known);
        let side = self.sides.of_mut(direction);
        side.begin_frame(shared, &header, sink);
        bytes.get(behind..).unwrap_or_default()
    }
}

impl Side {
    fn begin_frame(
        &mut self,
        shared: &mut Shared,
        header: &FrameHeader,
        sink: &mut dyn FnMut(Carried<'_>),
    ) {
        match header.opcode {
            Opcode::Text | Opcode::Binary if header.compressed => {
                self.message = if self.window_lost {
                    Message::Lost
                } else {
                    Message::Compressed
                };
            }
            Opcode::Text | Opcode::Binary => self.message = Message::Plain,
            Opcode::Continuation | Opcode::Control => {}
        }
        let payload = Payload {
            left: header.length,
            passed: 0,
            mask: header.mask,
            data: header.opcode != Opcode::Control,
            fin: header.fin,
        };
        self.go_on(payload);
        if header.length == 0 {
            self.end_message(shared, payload, sink);
        }
    }

    /// Bytes of a payload; what follows it.
    fn payload<'a>(
        &mut self,
        shared: &mut Shared,
        mut payload: Payload,
        bytes: &'a [u8],
        sink: &mut dyn FnMut(Carried<'_>),
    ) -> &'a [u8] {
        let wanted = usize::try_from(payload.left).unwrap_or(usize::MAX);
        let (mine, behind) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
        let passed = payload.passed;
        payload.left -= mine.len() as u64;
        payload.passed += mine.len() as u64;
        self.go_on(payload);
        if payload.data && self.message == Message::Lost {
            shared.lost.discarded += mine.len() as u64;
        } else if payload.data {
            let mut unmasked = std::mem::take(&mut shared.unmasked);
            let plain = match payload.mask {
                Some(key) => {
                    frame::unmask(mine, key, passed, &mut unmasked);
                    &unmasked
                }
                None => mine,
            };
            if self.message == Message::Compressed {
                self.inflate(shared, Some(plain), sink);
            } else {
                sink(Carried::Bytes(plain));
            }
            shared.unmasked = unmasked;
        }
        if payload.left == 0 {
            self.end_message(shared, payload, sink);
        }
        behind
    }

    /// A payload is under way, or over.
    fn go_on(&mut self, payload: Payload) {
        self.state = match payload.left {
            0 => State::Header,
            _ => State::Payload(payload),
        };
    }

    /// A frame is over: so may be a compressed message.
    fn end_message(
        &mut self,
        shared: &mut Shared,
        payload: Payload,
        sink: &mut dyn FnMut(Carried<'_>),
    ) {
        let over = payload.data && payload.fin && self.state == State::Header;
        if over && self.message == Message::Compressed {
            self.inflate(shared, None, sink);
        }
    }

    /// Inflates a part of a message, or its end.
    fn inflate(
        &mut self,
        shared: &mut Shared,
        bytes: Option<&[u8]>,
        sink: &mut dyn FnMut(Carried<'_>),
    ) {
        let all = &mut shared.inflation;
        let mut hand_on = |bytes: &[u8]| sink(Carried::Bytes(bytes));
        let done = match (&mut self.inflater, bytes) {
            (Some(inflater), Some(bytes)) => inflater.push(all, bytes, &mut hand_on),
            (Some(inflater), None) => inflater.end_message(all, &mut hand_on),
            (None, _) => Inflater::new(all).and_then(|inflater| {
                let inflater = self.inflater.insert(Box::new(inflater));
                bytes.map_or(Ok(()), |bytes| inflater.push(all, bytes, &mut hand_on))
            }),
        };
        let Err(why) = done else { return };
        self.drop_inflater(shared);
        let bytes = bytes.map_or(0, <[u8]>::len) as u64;
        if self.after_gap && why == Unreadable::Corrupt {
            // What it leans on was lost, and so is what leans on it; frames go on.
            shared.lost.discarded += bytes;
            self.message = Message::Lost;
            self.window_lost = true;
            sink(Carried::Gap);
        } else {
            shared.lost.given_up += bytes;
            self.state = State::GivenUp;
            sink(match why {
                Unreadable::Corrupt => Carried::Failed(CarrierError::Broken),
                Unreadable::Cap => Carried::OverLimit,
            });
        }
    }

    /// Gives up what is no frame: behind a gap the next one is sought, else it never comes.
    /// These bytes are lost.
    fn break_off(&mut self, shared: &mut Shared, bytes: usize, sink: &mut dyn FnMut(Carried<'_>)) {
        self.drop_inflater(shared);
        if self.after_gap {
            shared.lost.discarded += bytes as u64;
            self.message = Message::Lost;
            self.state = State::Seeking;
            sink(Carried::Gap);
        } else {
            shared.lost.given_up += bytes as u64;
            self.state = State::GivenUp;
            sink(Carried::Failed(CarrierError::Broken));
        }
    }

    /// Lets go of what was held of a head or of a frame header.
    fn let_go(&mut self, shared: &mut Shared) -> Vec<u8> {
        if self.state == State::Head {
            shared.held -= self.held.len();
        }
        std::mem::take(&mut self.held)
    }

    fn drop_inflater(&mut self, shared: &mut Shared) {
        if let Some(inflater) = self.inflater.take() {
            inflater.release(&mut shared.inflation);
        }
    }
}

/// Whether `bytes` begin with `front`, as far as they go.
fn begins(bytes: &[u8], front: &[u8]) -> bool {
    bytes.starts_with(front) || !bytes.is_empty() && front.starts_with(bytes)
}
