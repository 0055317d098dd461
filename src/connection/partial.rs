//! The packet of a direction that is not complete: its bytes, or their number alone where they
//! are not worth keeping.

use crate::base::FrameStamp;
use crate::event::Incomplete;
use crate::mqtt::framer::{Framed, Framer, KEPT_BUFFER, RawPacket};
use crate::mqtt::{ControlPacket, PacketType, ProtocolVersion, Sender};

use super::context::Context;

/// A packet of up to this many bytes is held even where larger ones no longer are, so that
/// one endless packet doesn't hide all the small ones ...
const SMALL_PACKET: usize = 64 << 10;

/// ... as long as these, in bytes over all connections, do not exceed the limit by more.
const RESERVE: u64 = 16 << 20;

/// The first part of a packet whose end has not come.
#[derive(Debug)]
pub(super) struct Partial {
    /// Holds the bytes that came, as long as they are kept.
    pub(super) framer: Framer,
    /// The frames that carried them, each once, as many as are listed.
    pub(super) frames: Vec<u64>,
    /// Bytes that lie in a gap.
    missed: u64,
    /// The first bytes of a PUBLISH that the snapshot length cut.
    head: Vec<u8>,
    packet_type: PacketType,
    pub(super) fate: Fate,
    /// The frame that carried its first byte.
    first: FrameStamp,
}

/// The use of a packet's bytes when it is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fate {
    /// They are decoded.
    Kept,
    /// A gap cut it: they are counted.
    Cut,
    /// The snapshot length cut the payload of this PUBLISH: what came before is decoded, what comes
    /// behind is counted.
    Head,
    /// They reached the limit: they are counted.
    OverLimit,
}

impl Partial {
    /// Begins a packet with `bytes`, all of which belong to it.
    pub(super) fn new(context: &mut Context, bytes: &[u8], stamp: &FrameStamp) -> Box<Self> {
        let (framer, frames) = std::mem::take(&mut context.spare);
        let mut partial = Box::new(Self {
            framer,
            frames,
            missed: 0,
            head: Vec::new(),
            packet_type: PacketType::of(bytes.first().copied().unwrap_or(0)),
            fate: Fate::Kept,
            first: *stamp,
        });
        partial.grow(context, bytes, stamp.number);
        partial
    }

    /// Returns it as a packet of `sender` that never completed.
    pub(super) fn incomplete(&self, sender: Sender) -> Incomplete {
        let header = self.framer.header();
        Incomplete {
            sender,
            packet_type: self.packet_type,
            announced: header.map_or(0, |header| header.total_len() as u64),
            received: self.received(),
            stamp: self.first,
        }
    }

    /// Returns the bytes that came.
    pub(super) const fn received(&self) -> u64 {
        self.framer.passed() as u64 - self.missed
    }

    /// Returns the whole packet, if it is complete and was kept.
    pub(super) fn packet(&self) -> Option<RawPacket<'_>> {
        let header = self.framer.header().filter(|_| self.fate == Fate::Kept)?;
        let bytes = self.framer.bytes().get(..header.total_len())?;
        Some(RawPacket { bytes, header })
    }

    /// Adds the bytes that belong to it, which came in `frame`; also returns what follows them.
    pub(super) fn grow<'a>(
        &mut self,
        context: &mut Context,
        bytes: &'a [u8],
        frame: u64,
    ) -> (Framed<()>, &'a [u8]) {
        let (growth, rest) = self.framer.grow(bytes);
        let count = bytes.len() - rest.len();
        let unread = match self.fate {
            Fate::Kept => None,
            Fate::Cut | Fate::Head => Some(&mut context.counters.discarded),
            Fate::OverLimit => Some(&mut context.counters.over_cap),
        };
        if let Some(unread) = unread {
            *unread += count as u64;
            if self.fate == Fate::Head {
                self.list_frame(context, frame);
            }
            return (growth, rest);
        }
        context.hold(count);
        self.list_frame(context, frame);
        let held = self.framer.bytes().len();
        let reserve = if held <= SMALL_PACKET { RESERVE } else { 0 };
        let limit = context.options.limits.held as u64 + reserve;
        // A fixed header is always kept: without it the packet's end would be lost too.
        if self.framer.header().is_some() && context.held() > limit {
            context.counters.over_cap += held as u64;
            context.counters.packets_over_cap += 1;
            self.drop_bytes(context, Fate::OverLimit);
        }
        (growth, rest)
    }

    /// Lists a frame that carries a part of it.
    fn list_frame(&mut self, context: &mut Context, frame: u64) {
        if self.frames.last() == Some(&frame) {
            return;
        }
        if self.frames.len() < context.options.limits.frames_listed {
            self.frames.push(frame);
            context.held_frames += 1;
        } else {
            context.counters.frames_unlisted += 1;
        }
    }

    /// Returns the first bytes of a PUBLISH that the snapshot length cut, and how many of the whole
    /// are missing behind them; `None` where there are none to show.
    pub(super) fn head(&self) -> Option<(&[u8], u64)> {
        let header = self.framer.header().filter(|_| self.fate == Fate::Head)?;
        let missing = header.total_len().checked_sub(self.head.len())?;
        Some((&self.head, missing as u64))
    }

    /// Keeps what came of a PUBLISH before a gap of `length` bytes where that is all but the end of
    /// its payload, read by `version`. Returns whether it did.
    fn keep_head(&mut self, length: u64, version: ProtocolVersion) -> bool {
        let within = self.rest_holds(length);
        let bytes = self.framer.bytes();
        let reads = |bytes| ControlPacket::read_cut(bytes, version, &mut ()).is_ok();
        if self.packet_type != PacketType::Publish || !within || !reads(bytes) {
            return false;
        }
        self.head = bytes.to_vec();
        self.framer.drop_bytes();
        self.fate = Fate::Head;
        true
    }

    /// Whether a gap of `length` bytes lies within the packet.
    fn rest_holds(&self, length: u64) -> bool {
        (self.framer.rest()).is_some_and(|rest| (1..=rest as u64).contains(&length))
    }

    /// Takes a gap of `length` bytes, 0 where that is unknown; what came of a PUBLISH is kept where
    /// its `version` is given. Returns whether it lies within the packet, and the bytes that were
    /// held and are of no use now.
    pub(super) fn cut(
        &mut self,
        context: &mut Context,
        length: u64,
        version: Option<ProtocolVersion>,
    ) -> (bool, u64) {
        let mut held = 0;
        let is_kept = self.fate == Fate::Kept
            && version.is_some_and(|version| self.keep_head(length, version));
        let goes_on = self.rest_holds(length);
        if self.fate == Fate::Kept && !is_kept || self.fate == Fate::Head && !goes_on {
            held = (self.framer.bytes().len() + self.head.len()) as u64;
            context.counters.discarded += held;
            self.drop_bytes(context, Fate::Cut);
        }
        let within = self.framer.skip(length);
        if within {
            self.missed += length;
        }
        (within, held)
    }

    /// Gives its memory back. Returns the bytes it held.
    pub(super) fn release(mut self, context: &mut Context) -> usize {
        let held = self.let_go(context);
        self.framer.clear();
        self.frames.clear();
        let (spare, _) = &context.spare;
        let is_small = self.frames.capacity() * 8 <= KEPT_BUFFER;
        if is_small && self.framer.capacity() > spare.capacity() {
            context.spare = (self.framer, self.frames);
        }
        held
    }

    /// Gives the memory of its bytes back, which are counted only from now on.
    fn drop_bytes(&mut self, context: &mut Context, fate: Fate) {
        self.let_go(context);
        self.framer.drop_bytes();
        self.head = Vec::new();
        self.frames = Vec::new();
        self.fate = fate;
    }

    /// Counts its bytes and frames, which go, as held no longer. Returns how many bytes those are.
    fn let_go(&self, context: &mut Context) -> usize {
        let held = self.framer.bytes().len() + self.head.len();
        context.let_go(held);
        context.held_frames -= self.frames.len() as u64;
        held
    }
}
