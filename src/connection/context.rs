//! The state that all connections of a run share: the user's wishes, limits, counts.

use foldhash::HashMap;

use crate::base::limits::Limits;
use crate::carrier::{Carriers, Proxied};
use crate::event::Event;
use crate::mqtt::Framer;
use crate::stream::{Connection, ConnectionId};

/// Frames that are remembered at a time for the packets that end in them.
const INDEXED: usize = 16;

/// The user's wishes for decoding.
#[derive(Clone, Debug, Default)]
pub struct DecodingOptions {
    /// Ports whose connections are MQTT whatever they look like (`-d tcp.port==N,mqtt`).
    pub decode_as: Vec<u16>,
    /// Whether a view wants [`crate::event::PacketEvent::layers`]; else they stay empty
    /// for packets that were held back.
    pub layers: bool,
    /// How much is held and remembered.
    pub limits: Limits,
    /// Secrets of encrypted connections in the format of SSLKEYLOGFILE (`--keylog`).
    pub secrets: Vec<u8>,
}

/// The fate of every byte that the streams brought, and the limits that were reached.
///
/// `bytes` equals the sum of `in_packets`, `discarded`, `over_cap`, `given_up`, `not_mqtt`,
/// `incomplete` and `wrapped` once every connection is closed; before that, what is missing is
/// held.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Bytes that the streams brought, and those that came out of WebSocket and TLS.
    pub bytes: u64,
    /// Control packets emitted, malformed ones included.
    pub packets: u64,
    /// Frames in which at least one of them ended.
    pub frames: u64,
    /// Malformed control packets emitted.
    pub malformed: u64,
    /// MQTT connections emitted.
    pub connections: u64,
    /// Bytes of packets that were emitted.
    pub in_packets: u64,
    /// Bytes of packets cut by a gap, or passed over while the start of a packet was sought.
    pub discarded: u64,
    /// Bytes of packets that the limit on held bytes kept from being emitted.
    pub over_cap: u64,
    /// Packets that the limit on held bytes kept from being emitted.
    pub packets_over_cap: u64,
    /// Bytes that follow broken framing, where nothing is guessed at.
    pub given_up: u64,
    /// Bytes of connections, or of directions, that are not MQTT.
    pub not_mqtt: u64,
    /// Bytes of packets that never completed.
    pub incomplete: u64,
    /// Bytes of WebSocket and TLS connections, but for those that count above because nothing came out
    /// of them.
    pub wrapped: u64,
    /// Bytes that came out of them.
    pub unwrapped: u64,
    /// Bytes of MQTT connections that never came, where their number is known.
    pub missing: u64,
    /// Gaps of MQTT connections.
    pub gaps: u64,
    /// Retransmissions that differed from the bytes first seen.
    pub conflicts: u64,
    /// Topic aliases that were not kept, because a connection's table was full.
    pub aliases_refused: u64,
    /// Client identifiers that were not kept, because those of all connections were too long.
    pub client_ids_refused: u64,
    /// Frames left out of a packet's list, because it was full.
    pub frames_unlisted: u64,
    /// Times that bytes held for want of evidence reached a limit and were passed over.
    pub holds_given_up: u64,
    /// Segments amid which no further packet was sought, because that took too much.
    pub searches_cut: u64,
}

/// The state that all connections of a run share.
#[derive(Debug, Default)]
pub struct Context {
    /// The user's wishes.
    pub options: DecodingOptions,
    /// Counts over all connections.
    pub counters: Counters,
    /// Bytes held now: unfinished packets and undecided connections.
    held: u64,
    /// Bytes that undecided connections take besides: room to grow, segments, candidates.
    overhead: u64,
    /// Frame numbers held now in the lists of unfinished packets.
    pub(super) held_frames: u64,
    /// The cost of all topic aliases, in bytes.
    pub(super) aliases: u64,
    /// Bytes of all client identifiers.
    pub(super) client_ids: u64,
    /// Frames that the last packets ended in, and how many packets have ended there. More
    /// than one, since a segment that fills holes on both sides of others that waited comes
    /// in parts, with the others in between.
    indexed: [(u64, u32); INDEXED],
    /// The place of the latest of them.
    latest: usize,
    /// The highest number of a frame that a packet ended in.
    highest: u64,
    /// The carriers of connections within others.
    pub(super) carriers: Carriers,
    /// The ends that proxies named of connections that are not recognised yet, each of which a
    /// carrier follows.
    pub(super) proxied: HashMap<ConnectionId, Proxied>,
    /// Buffers that an unfinished packet left behind, for the next one: for its bytes, and for the
    /// frames that carry them.
    pub(super) spare: (Framer, Vec<u64>),
}

/// A receiver of events.
pub(super) trait Emit: FnMut(&Event<'_>) {}

impl<F: FnMut(&Event<'_>)> Emit for F {}

/// Everything that stays the same while one event of a connection is dealt with.
pub(super) struct Scope<'a, E> {
    pub(super) context: &'a mut Context,
    pub(super) connection: &'a Connection,
    pub(super) emit: &'a mut E,
}

impl Context {
    /// Makes the context of a run.
    pub fn new(mut options: DecodingOptions) -> Self {
        let mut carriers = Carriers::new(&options.limits);
        carriers.learn(&std::mem::take(&mut options.secrets));
        Self {
            options,
            carriers,
            ..Self::default()
        }
    }

    /// Returns the carriers of connections within others.
    pub const fn carriers(&self) -> &Carriers {
        &self.carriers
    }

    /// Notes how many bytes were taken from the captures' files so far, compressed ones where they are
    /// compressed: what is compressed in them expands as a whole.
    pub fn took(&mut self, bytes: u64) {
        self.carriers.took(bytes);
    }

    /// Learns secrets of encrypted connections in the format of SSLKEYLOGFILE.
    pub fn learn_secrets(&mut self, text: &[u8]) {
        self.carriers.learn(text);
    }

    /// Returns the bytes that everything held takes at this moment.
    pub const fn held(&self) -> u64 {
        self.held + self.overhead + 8 * self.held_frames
    }

    /// Returns the place of the next packet that ends in `frame`.
    #[inline]
    pub(super) fn next_index(&mut self, frame: u64) -> u32 {
        let (number, count) = &mut self.indexed[self.latest % INDEXED];
        if *number == frame && *count > 0 {
            let index = *count;
            *count += 1;
            return index;
        }
        // Frames are numbered in turn: one above all that are remembered is not among them.
        if frame > self.highest {
            self.highest = frame;
            return self.first_index(frame);
        }
        self.next_index_elsewhere(frame)
    }

    /// Returns the place of the first packet that ends in `frame`; the oldest frame is forgotten.
    #[inline]
    fn first_index(&mut self, frame: u64) -> u32 {
        self.counters.frames += 1;
        self.latest = (self.latest + 1) % INDEXED;
        self.indexed[self.latest] = (frame, 1);
        0
    }

    #[cold]
    fn next_index_elsewhere(&mut self, frame: u64) -> u32 {
        let known = |(number, count): &(u64, u32)| *number == frame && *count > 0;
        let Some(at) = self.indexed.iter().position(known) else {
            return self.first_index(frame);
        };
        // What is asked for again stays longest.
        let (_, index) = self.indexed[at];
        self.indexed[at] = (0, 0);
        self.latest = (self.latest + 1) % INDEXED;
        self.indexed.swap(at, self.latest);
        self.indexed[self.latest] = (frame, index + 1);
        index
    }

    /// Counts bytes that are held from now on.
    pub(super) fn hold(&mut self, bytes: usize) {
        self.held += bytes as u64;
    }

    /// Charges `now` instead of `before` for what holding bytes takes besides.
    pub(super) fn charge(&mut self, before: usize, now: usize) {
        self.overhead = (self.overhead + now as u64).saturating_sub(before as u64);
    }

    /// Counts bytes that are held no longer.
    pub(super) fn let_go(&mut self, bytes: usize) {
        self.held = self.held.saturating_sub(bytes as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_of_a_frame_are_numbered_on_after_those_of_others_in_between() {
        let mut context = Context::default();
        let indices = [12, 12, 9, 12, 8, 9, 12, 0, 0, 13].map(|frame| context.next_index(frame));
        assert_eq!(indices, [0, 1, 0, 2, 0, 1, 3, 0, 1, 0]);
        assert_eq!(context.counters.frames, 5);
    }
}
