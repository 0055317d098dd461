//! A place where a packet may begin, and the chain of packets that would follow from it.

use std::hash::BuildHasher;

use crate::mqtt::framer::{FixedHeader, Header, fixed_header};
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Sender};

use super::classify::{self, Opening, Versions, agree, could_begin, may_begin, sender_of};
use super::pieces::Pieces;
use super::score::{self, Note};

/// Packets of a chain that are remembered, to know a repetition.
const REMEMBERED_CAP: usize = 64;

/// Questions and answers of a chain that are remembered, each.
const NOTES_CAP: usize = 16;

/// Bits that agreement with the other direction can give at most.
pub(super) const AGREEMENT_CAP: u32 = 36;

/// A packet that begins amid a segment on mere suspicion may announce this much, in bytes.
const SUSPECT_CAP: usize = 64 << 10;

/// The effort of reading a packet beside that for its bytes, in bytes.
const EFFORT_OF_A_PACKET: usize = 32;

/// Bytes of an incomplete packet's topic that are looked at.
const HEAD_CAP: usize = 256;

/// The packets that a direction may have, as known beforehand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    pub(super) versions: Versions,
    /// The end that alone may send there.
    pub(super) sender: Option<Sender>,
    /// Nothing came in this direction so far, so CONNACK may come.
    pub(super) may_open: bool,
}

/// A chain of packets from a place that was chosen because one may begin there.
#[derive(Debug, Default)]
pub(super) struct Candidate {
    /// In bytes from the start of what the direction held.
    pub(super) start: u64,
    /// Where the packet after the last complete one begins.
    pub(super) next: u64,
    /// It starts where a segment starts.
    pub(super) aligned: bool,
    /// The segment it starts in was filled up.
    pub(super) from_full: bool,
    /// Bits of evidence in its complete packets.
    pub(super) score: u32,
    /// Bits of evidence in what is there of its last, incomplete packet.
    pub(super) head: u32,
    pub(super) packets: u32,
    pub(super) versions: Versions,
    /// The end that alone can have sent its packets.
    pub(super) sender: Option<Sender>,
    pub(super) lean: i8,
    /// The first start of a segment that is the start of a packet in this chain, and the
    /// evidence before it.
    pub(super) meets_segment: Option<(u64, u32)>,
    /// The effort of reading, in bytes: that of its whole packets, and a share for each.
    pub(super) effort: usize,
    /// DISCONNECT came: nothing may follow.
    over: bool,
    remembered: Vec<u64>,
    asks: Vec<Note>,
    answers: Vec<Note>,
}

impl Candidate {
    pub(super) fn new(start: u64, aligned: bool, from_full: bool, expected: Expected) -> Self {
        Self {
            start,
            next: start,
            aligned,
            from_full,
            versions: expected.versions,
            sender: expected.sender,
            ..Self::default()
        }
    }

    /// Returns the bytes of memory that it takes beside its own size.
    pub(super) fn heap(&self) -> usize {
        let notes = self.asks.capacity() + self.answers.capacity();
        self.remembered.capacity() * size_of::<u64>() + notes * size_of::<Note>()
    }

    /// Whether the chain holds a packet, and nothing that is known by now speaks against it.
    pub(super) fn fits(&self, expected: Expected) -> bool {
        self.packets > 0
            && !self.versions.and(expected.versions).is_empty()
            && agree(self.sender, expected.sender)
    }

    /// Whether a packet has begun and is not complete.
    pub(super) fn is_open(&self, end: u64) -> bool {
        self.next < end
    }

    /// Reads on as far as `bytes`, which begin at the place `base`, go; `false` where no packet can
    /// stand where the chain led.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        base: u64,
        pieces: &Pieces,
        expected: Expected,
    ) -> bool {
        loop {
            let at = usize::try_from(self.next - base).unwrap_or(usize::MAX);
            let rest = bytes.get(at..).unwrap_or(&[]);
            let Some(first) = rest.first() else {
                self.head = 0;
                return true;
            };
            if self.next > self.start && self.meets_segment.is_none() && pieces.begins(self.next) {
                self.meets_segment = Some((self.next, self.score));
            }
            let packet_type = PacketType::of(*first);
            let sender = sender_of(packet_type);
            // A CONNECT with its name is one, if not in its place.
            let opens = match packet_type {
                PacketType::Connect => classify::opening(rest) == Opening::Other,
                packet_type => packet_type == PacketType::ConnAck,
            };
            let opening = expected.may_open && self.packets == 0;
            if self.over || !agree(self.sender, sender) || opens && !opening {
                return false;
            }
            let header = match fixed_header(rest) {
                Header::Whole(header) => header,
                // Flags may be wrong already; the length is taken as the likeliest.
                Header::Partial => return could_begin(*first, self.versions),
                Header::Malformed(_) => return false,
            };
            let total = header.total_len();
            let versions = may_begin(*first, total - header.header_len, self.versions);
            if versions.is_empty() || !self.aligned && total > SUSPECT_CAP {
                return false;
            }
            let Some(packet) = rest.get(..total) else {
                let head = open_head(rest, &header);
                self.head = head.unwrap_or(self.head);
                return head.is_some();
            };
            self.effort += total + EFFORT_OF_A_PACKET;
            if !self.take(packet, versions, pieces) {
                return false;
            }
            self.sender = self.sender.or(sender);
            self.next += total as u64;
        }
    }

    /// Reads one whole packet; `false` where no version can.
    fn take(&mut self, bytes: &[u8], versions: Versions, pieces: &Pieces) -> bool {
        let read = |wanted: bool, version| {
            wanted
                .then(|| score::read_strictly(bytes, version))
                .flatten()
        };
        let three = read(versions.three, ProtocolVersion::V3_1_1);
        let five = read(versions.five, ProtocolVersion::V5_0);
        let versions = Versions {
            three: three.is_some(),
            five: five.is_some(),
        };
        let Some(packet) = three.or(five) else {
            return false;
        };
        // It names the version, also of what came before it.
        let named = match &packet {
            ControlPacket::Connect(connect) => connect.version(),
            _ => None,
        };
        let versions = versions.and(named.map_or(Versions::BOTH, Versions::only));
        if versions.is_empty() {
            return false;
        }
        self.versions = versions;
        if versions.both() {
            self.lean = self.lean.saturating_add(score::lean_to_five(bytes));
        }
        self.packets += 1;
        self.over = matches!(packet, ControlPacket::Disconnect(_));
        let end = self.next + bytes.len() as u64;
        let place = pieces.place(self.next, end);
        let (asks, answers) = score::notes(&packet);
        // What was there before proves nothing more: payloads repeat themselves.
        if self.remember(bytes) {
            self.score += score::score(&packet, place);
        }
        for (notes, note) in [(&mut self.asks, asks), (&mut self.answers, answers)] {
            notes.extend(note.filter(|_| notes.len() < NOTES_CAP));
        }
        true
    }

    /// Whether these bytes are new to the chain.
    fn remember(&mut self, bytes: &[u8]) -> bool {
        // A fixed seed: a collision that somebody sought would only lose evidence.
        let hash = foldhash::fast::FixedState::with_seed(0).hash_one(bytes);
        if self.remembered.contains(&hash) {
            return false;
        }
        if self.remembered.len() < REMEMBERED_CAP {
            self.remembered.push(hash);
        }
        true
    }

    /// Bits of evidence in questions of one end that the other answered.
    pub(super) fn agreement(&self, other: &Self) -> u32 {
        let met = |asks: &[Note], answers: &[Note]| {
            asks.iter().filter(|note| answers.contains(note)).count()
        };
        let met = met(&self.asks, &other.answers) + met(&other.asks, &self.answers);
        u32::try_from(met * 6).map_or(AGREEMENT_CAP, |bits| bits.min(AGREEMENT_CAP))
    }
}

/// Returns the evidence in the first part of a packet, in bits; `None` where it can't become one.
fn open_head(bytes: &[u8], header: &FixedHeader) -> Option<u32> {
    if header.packet_type != PacketType::Publish {
        return Some(0);
    }
    let body = bytes.get(header.header_len..).unwrap_or(&[]);
    let Some((length, rest)) = body.split_first_chunk() else {
        return Some(0);
    };
    let length = usize::from(u16::from_be_bytes(*length));
    let identifier = if header.flags & 6 == 0 { 0 } else { 2 };
    if header.header_len + length + 2 + identifier > header.total_len() {
        return None;
    }
    // This is read again whenever a segment comes, so a bounded part must do.
    let length = length.min(HEAD_CAP);
    let topic = rest.get(..length).unwrap_or(rest);
    // The topic may be cut amid a character.
    let cut = |error: std::str::Utf8Error| error.error_len().is_none();
    let sound = std::str::from_utf8(topic).map_or_else(cut, |_| true);
    let forbidden = |byte: &u8| matches!(byte, 0..0x20 | b'#' | b'+' | 0x7f);
    if !sound || topic.iter().any(forbidden) {
        return None;
    }
    let whole = topic.len() == length;
    Some(if whole { 4 + score::text(topic) } else { 0 })
}
