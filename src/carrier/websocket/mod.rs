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

use super::carried::{self, Breach, Call, Carried, Carrier, CarrierError, State};
use crate::base::field::{FieldDef, FieldType};
use crate::base::limits::{Limit, Limits};
use crate::stream::{ByDirection, DIRECTIONS, Direction};
use frame::{FrameHeader, HEADER_CAP, Header, Opcode, Sought};
use inflate::{Inflater, Inflation, TAIL, Unreadable};

/// With what HTTP begins: the methods of requests, and responses.
const METHODS: [&str; 9] = [
    "GET ", "HTTP/", "POST ", "PUT ", "HEAD ", "OPTIONS ", "DELETE ", "CONNECT ", "PATCH ",
];

/// The state that all WebSocket connections of a run share. Bytes of heads alone count as held.
pub type Shared = carried::Shared<Own>;

/// The part of it that no other carrier has.
#[derive(Debug, Default)]
pub struct Own {
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
    state: State<At>,
    /// Frames were sought here: what is no frame ends nothing.
    after_gap: bool,
    message: Message,
    /// The first part of a head or of a frame header.
    held: Vec<u8>,
    inflater: Option<Box<Inflater>>,
    /// Compressed messages lean on one that a gap cut.
    window_lost: bool,
}

/// The place of a direction's next bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum At {
    /// In the HTTP head.
    Head,
    /// In a frame header.
    #[default]
    Header,
    /// In a payload.
    Payload(Payload),
}

/// The payload that is under way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Payload {
    header: FrameHeader,
    /// Bytes of it that came or lie in a gap.
    passed: u64,
}

impl Payload {
    const fn left(&self) -> u64 {
        self.header.length - self.passed
    }

    /// Not a control frame's.
    fn is_data(&self) -> bool {
        !self.header.opcode.is_control()
    }
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
    type Own = Own;
    type At = At;

    const FIELD: &'static FieldDef = &FieldDef {
        name: "websocket",
        label: "WebSocket",
        kind: FieldType::Protocol,
        help: "WebSocket (RFC 6455).",
    };

    fn own(limits: &Limits) -> Self::Own {
        Own {
            inflation: Inflation::new(limits),
            ..Own::default()
        }
    }

    /// HTTP looks like it until an upgrade is asked for.
    fn resembles(bytes: &[u8]) -> bool {
        let mut methods = METHODS.iter();
        methods.any(|method| bytes.starts_with(method.as_bytes()))
    }

    /// A request that asks for it opens one, or the beginning of one, or a response that grants
    /// it.
    fn open(_: &Shared, direction: Direction, bytes: &[u8]) -> Option<Self> {
        let is_request = begins(bytes, b"GET ");
        if !is_request && !begins(bytes, b"HTTP/1.1 101 ") {
            return None;
        }
        if let Some(end) = upgrade::end_of_head(bytes, 0) {
            let head = bytes.get(..end)?;
            let read = if is_request {
                upgrade::request(head)
            } else {
                upgrade::response(head)
            };
            if !read?.upgrades {
                return None;
            }
        }
        if is_request {
            return Some(Self::new(direction, [State::At(At::Head); 2]));
        }
        // The request was not captured.
        let states = [State::Seeking, State::At(At::Head)];
        Some(Self::new(direction.reverse(), states))
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
        let joined = Self::new(client, [State::Seeking; 2]);
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

    fn state(&mut self, direction: Direction) -> &mut State<At> {
        &mut self.sides.of_mut(direction).state
    }

    fn step<'a>(&mut self, call: &mut Call<'_, Own>, at: At, bytes: &'a [u8]) -> &'a [u8] {
        match at {
            At::Head => self.head(call, bytes),
            At::Header => self.header(call, bytes),
            At::Payload(payload) => {
                let side = self.sides.of_mut(call.direction);
                side.payload(call, payload, bytes)
            }
        }
    }

    fn seek(&self, direction: Direction, bytes: &[u8]) -> Option<usize> {
        let sought = Sought {
            masked: Some(direction == self.client),
            compressed: self.deflates != Some(false),
        };
        frame::seek(bytes, sought)
    }

    fn gap(&mut self, shared: &mut Shared, direction: Direction, length: u64) -> Option<u64> {
        let side = self.sides.of_mut(direction);
        side.after_gap = true;
        match side.state {
            State::GivenUp => return None,
            State::At(At::Payload(mut payload)) if length > 0 && length <= payload.left() => {
                payload.passed += length;
                side.go_on(payload);
                if !payload.is_data() {
                    return None;
                }
                if side.message == Message::Plain {
                    return Some(length);
                }
                side.message = Message::Lost;
            }
            State::At(_) | State::Seeking => {
                shared.lost.discarded += side.let_go(shared).len() as u64;
                side.message = Message::Lost;
                side.state = State::Seeking;
            }
        }
        side.drop_inflater(shared);
        Some(0)
    }

    fn close(&mut self, shared: &mut Shared) {
        for direction in DIRECTIONS {
            let side = self.sides.of_mut(direction);
            side.let_go(shared);
            side.drop_inflater(shared);
        }
    }

    fn took(own: &mut Own, bytes: u64) {
        own.inflation.took(bytes);
    }

    fn client(&self) -> Direction {
        self.client
    }

    fn limits(own: &Own) -> Vec<(Limit, u64)> {
        vec![
            (Limit::Heads, own.heads_refused),
            (Limit::Inflaters, own.inflation.refused),
            (Limit::Inflated, own.inflation.too_far),
        ]
    }
}

impl WebSocket {
    /// Makes a connection of which the directions, first that of `client`, are in these states.
    fn new(client: Direction, states: [State<At>; 2]) -> Self {
        let mut sides: ByDirection<Side> = ByDirection::default();
        for (direction, state) in [client, client.reverse()].into_iter().zip(states) {
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
    fn head<'a>(&mut self, call: &mut Call<'_, Own>, bytes: &'a [u8]) -> &'a [u8] {
        let direction = call.direction;
        let shared = &mut *call.shared;
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
        shared.own.heads_refused += u64::from(end.is_none() && over_cap);
        let held = side.let_go(shared);
        if let Some(end) = end {
            let head = held.get(..end).unwrap_or_default();
            if upgrade::is_interim(head) || self.take_head(call, head) {
                return bytes.get(end.saturating_sub(known)..).unwrap_or_default();
            }
        }
        let other = direction.reverse();
        let waiting = self.sides.of_mut(other).let_go(call.shared);
        for direction in DIRECTIONS {
            let side = self.sides.of_mut(direction);
            if side.state == State::At(At::Head) {
                side.state = State::GivenUp;
            }
        }
        for (direction, bytes) in [(other, &waiting), (direction, &held)] {
            if !bytes.is_empty() {
                (call.sink)(Carried::Mistaken { direction, bytes });
            }
        }
        &[]
    }

    /// Takes a whole head. Returns whether frames follow it.
    fn take_head(&mut self, call: &mut Call<'_, Own>, head: &[u8]) -> bool {
        let from_client = call.direction == self.client;
        let head = if from_client {
            upgrade::request(head).unwrap_or_default()
        } else {
            let Some(response) = upgrade::response(head) else {
                return false;
            };
            self.deflates = Some(response.deflates);
            if !response.upgrades {
                (call.sink)(Carried::Failed(CarrierError::Refused(response.status)));
            }
            response
        };
        if !head.upgrades {
            return false;
        }
        self.of_mqtt |= head.names_any_mqtt;
        if from_client {
            self.offers_mqtt = Some(head.names_mqtt);
        }
        if !head.names_mqtt && from_client {
            (call.sink)(Carried::Breach(Breach::NotOffered));
        } else if !head.names_mqtt && self.offers_mqtt != Some(false) {
            // Nothing can be selected that was not offered.
            (call.sink)(Carried::Breach(Breach::NotSelected));
        }
        *self.state(call.direction) = State::default();
        true
    }

    /// Bytes of a frame header; what follows it.
    fn header<'a>(&mut self, call: &mut Call<'_, Own>, bytes: &'a [u8]) -> &'a [u8] {
        let side = self.sides.of_mut(call.direction);
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
                // These bytes are lost.
                side.held = Vec::new();
                side.drop_inflater(call.shared);
                side.state = call.break_off(known + bytes.len(), side.after_gap);
                side.message = Message::Lost;
                return &[];
            }
        };
        side.held = Vec::new();
        if header.mask.is_some() != (call.direction == self.client) {
            (call.sink)(Carried::Breach(Breach::Masking));
        }
        if header.opcode == Opcode::Text {
            (call.sink)(Carried::Breach(Breach::TextFrame));
        }
        side.begin_frame(call, header);
        let behind = header.size.saturating_sub(known);
        bytes.get(behind..).unwrap_or_default()
    }
}

impl Side {
    fn begin_frame(&mut self, call: &mut Call<'_, Own>, header: FrameHeader) {
        if matches!(header.opcode, Opcode::Text | Opcode::Binary) {
            self.message = match (header.compressed, self.window_lost) {
                (true, true) => Message::Lost,
                (true, false) => Message::Compressed,
                (false, _) => Message::Plain,
            };
        }
        let payload = Payload { header, passed: 0 };
        self.go_on(payload);
        if header.length == 0 {
            if header.opcode == Opcode::Close {
                // RFC 6455 section 7.1.5: a Close without a code counts as 1005.
                (call.sink)(Carried::Breach(Breach::Closed(1005)));
            }
            self.end_message(call, payload);
        }
    }

    /// Bytes of a payload; what follows it.
    fn payload<'a>(
        &mut self,
        call: &mut Call<'_, Own>,
        mut payload: Payload,
        bytes: &'a [u8],
    ) -> &'a [u8] {
        let wanted = usize::try_from(payload.left()).unwrap_or(usize::MAX);
        let (mine, behind) = bytes.split_at_checked(wanted).unwrap_or((bytes, &[]));
        let passed = payload.passed;
        payload.passed += mine.len() as u64;
        self.go_on(payload);
        if payload.is_data() && self.message == Message::Lost {
            call.shared.lost.discarded += mine.len() as u64;
        } else if payload.is_data() {
            let mut unmasked = std::mem::take(&mut call.shared.own.unmasked);
            let plain = match payload.header.mask {
                Some(key) => {
                    frame::unmask(mine, key, passed, &mut unmasked);
                    &unmasked
                }
                None => mine,
            };
            if self.message == Message::Compressed {
                self.inflate(call, Some(plain));
            } else {
                (call.sink)(Carried::Bytes(plain));
            }
            call.shared.own.unmasked = unmasked;
        } else if payload.header.opcode == Opcode::Close && passed == 0 {
            // A code that is cut is passed over.
            let code = mine.first_chunk().map(|code: &[u8; 2]| {
                let [first, second, ..] = payload.header.mask.unwrap_or_default();
                u16::from_be_bytes(*code) ^ u16::from_be_bytes([first, second])
            });
            if let Some(code) = code {
                (call.sink)(Carried::Breach(Breach::Closed(code)));
            }
        }
        if payload.left() == 0 {
            self.end_message(call, payload);
        }
        behind
    }

    /// A payload is under way, or over.
    fn go_on(&mut self, payload: Payload) {
        self.state = State::At(match payload.left() {
            0 => At::Header,
            _ => At::Payload(payload),
        });
    }

    /// A frame is over: so may be a compressed message.
    fn end_message(&mut self, call: &mut Call<'_, Own>, payload: Payload) {
        let over = payload.is_data() && payload.header.fin && self.state == State::At(At::Header);
        if over && self.message == Message::Compressed {
            self.inflate(call, None);
        }
    }

    /// Inflates a part of a message, or its end.
    fn inflate(&mut self, call: &mut Call<'_, Own>, bytes: Option<&[u8]>) {
        let all = &mut call.shared.own.inflation;
        let mut hand_on = |bytes: &[u8]| (call.sink)(Carried::Bytes(bytes));
        let done = match (&mut self.inflater, bytes) {
            (Some(inflater), _) => inflater.push(all, bytes.unwrap_or(&TAIL), &mut hand_on),
            (None, _) => Inflater::new(all).and_then(|inflater| {
                let inflater = self.inflater.insert(Box::new(inflater));
                bytes.map_or(Ok(()), |bytes| inflater.push(all, bytes, &mut hand_on))
            }),
        };
        let Err(why) = done else { return };
        self.drop_inflater(call.shared);
        let bytes = bytes.map_or(0, <[u8]>::len);
        match why {
            Unreadable::Corrupt if self.after_gap => {
                // What it leans on was lost, and so is what leans on it; frames go on.
                call.shared.lost.discarded += bytes as u64;
                self.message = Message::Lost;
                self.window_lost = true;
                (call.sink)(Carried::Gap);
            }
            Unreadable::Corrupt => self.state = call.break_off(bytes, false),
            Unreadable::Cap => self.state = call.stop_at_limit(bytes),
        }
    }

    /// Lets go of what was held of a head or of a frame header.
    fn let_go(&mut self, shared: &mut Shared) -> Vec<u8> {
        if self.state == State::At(At::Head) {
            shared.held -= self.held.len();
        }
        std::mem::take(&mut self.held)
    }

    fn drop_inflater(&mut self, shared: &mut Shared) {
        if let Some(inflater) = self.inflater.take() {
            inflater.release(&mut shared.own.inflation);
        }
    }
}

/// Whether `bytes` begin with `front`, as far as they go.
fn begins(bytes: &[u8], front: &[u8]) -> bool {
    bytes.starts_with(front) || !bytes.is_empty() && front.starts_with(bytes)
}
