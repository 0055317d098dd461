//! The packet of a direction that is not complete: its bytes, or their number alone where they
//! are not worth keeping.

use crate::base::FrameStamp;
use crate::event::Incomplete;
use crate::mqtt::framer::{Framed, Framer, KEPT_BUFFER, RawPacket};
use crate::mqtt::{PacketType, Sender};

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
            Fate::Cut => Some(&mut context.counters.discarded),
            Fate::OverLimit => Some(&mut context.counters.over_cap),
        };
        if let Some(unread) = unread {
            *unread += count as u64;
            return (growth, rest);
        }
        context.hold(count);
        if self.frames.last() != Some(&frame) {
            if self.frames.len() < context.options.limits.frames_listed {
                self.frames.push(frame);
                context.held_frames += 1;
            } else {
                context.counters.frames_unlisted += 1;
            }
        }
        let held = self.framer.bytes().len();
        let reserve = if held <= SMALL_PACKET { RESERVE } else { 0 };
        let limit = context.options.limits.held as u64 + reserve;
        // A fixed header is always kept: without it the packet's end would be lost too.
        if self.framer.header().is_some()
            && context.held.saturating_add(8 * context.held_frames) > limit
        {
            context.counters.over_cap += held as u64;
            context.counters.packets_over_cap += 1;
            self.drop_bytes(context, Fate::OverLimit);
        }
        (growth, rest)
    }

    /// Takes a gap of `length` bytes, 0 where that is unknown. Returns whether it lies within the
    /// packet, and the bytes that were held, which are of no use now.
    pub(super) fn cut(&mut self, context: &mut Context, length: u64) -> (bool, u64) {
        let held = self.framer.bytes().len() as u64;
        if self.fate == Fate::Kept {
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
        self.frames = Vec::new();
        self.fate = fate;
    }

    /// Counts its bytes and frames, which go, as held no longer. Returns how many bytes those are.
    fn let_go(&self, context: &mut Context) -> usize {
        let held = self.framer.bytes().len();
        context.let_go(held);
        context.held_frames -= self.frames.len() as u64;
        held
    }
}
