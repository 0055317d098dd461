//! The packet of a direction that is not complete: its bytes, or their number alone where they
//! are not worth keeping.

use crate::base::FrameStamp;
use crate::mqtt::PacketType;
use crate::mqtt::framer::{Header, fixed_header};

use super::context::{Buffers, Context};

/// A packet of up to this many bytes is held even where larger ones no longer are, so that
/// one endless packet doesn't hide all the small ones ...
const SMALL_PACKET: usize = 64 << 10;

/// ... as long as these, in bytes over all connections, do not exceed the limit by more.
const RESERVE: u64 = 16 << 20;

/// Buffers up to this size, in bytes, are kept for the next packet that straddles segments.
const SPARE_CAP: usize = 64 << 10;

/// The first part of a packet whose end has not come.
#[derive(Debug)]
pub(super) struct Partial {
    /// The bytes that came, as long as they are kept, and their frames, as many as are listed.
    buffers: Buffers,
    /// Bytes that came or lie in a gap.
    passed: u64,
    /// Bytes that lie in a gap.
    missed: u64,
    /// Bytes in all; 0 as long as Remaining Length is not complete.
    total: u64,
    packet_type: PacketType,
    fate: Fate,
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

/// The state of a packet that bytes were added to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Growth {
    /// It needs more.
    Unfinished,
    Complete,
    /// Its Remaining Length has a fifth byte: where it ends is unknown.
    Broken,
}

impl Partial {
    /// Begins a packet with `bytes`, of `total` bytes in all or 0 where its length is not known.
    ///
    /// Nothing is reserved from what is announced: 268,435,455 bytes cost five to announce.
    pub(super) fn new(
        context: &mut Context,
        bytes: &[u8],
        total: u64,
        stamp: &FrameStamp,
    ) -> Box<Self> {
        let mut partial = Box::new(Self {
            buffers: std::mem::take(&mut context.spare),
            passed: 0,
            missed: 0,
            total,
            packet_type: PacketType::of(bytes.first().copied().unwrap_or(0)),
            fate: Fate::Kept,
            first: *stamp,
        });
        partial.take(context, bytes, stamp.number);
        partial
    }

    pub(super) const fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// Returns the bytes of the whole packet; 0 where its length is not known.
    pub(super) const fn announced(&self) -> u64 {
        self.total
    }

    /// Returns the bytes that came.
    pub(super) const fn received(&self) -> u64 {
        self.passed - self.missed
    }

    /// Returns the frame that carried its first byte.
    pub(super) const fn first(&self) -> &FrameStamp {
        &self.first
    }

    pub(super) const fn fate(&self) -> Fate {
        self.fate
    }

    /// Returns the bytes that are kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffers.bytes
    }

    /// Returns the frames that carried them, each once.
    pub(super) fn frames(&self) -> &[u64] {
        &self.buffers.frames
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.buffers.bytes.capacity()
    }

    /// Returns the bytes until its end, where its length is known.
    pub(super) fn rest(&self) -> Option<u64> {
        (self.total > 0).then(|| self.total - self.passed)
    }

    /// Adds the bytes that belong to it, which came in `frame`; also returns what follows them.
    pub(super) fn grow<'a>(
        &mut self,
        context: &mut Context,
        bytes: &'a [u8],
        frame: u64,
    ) -> (Growth, &'a [u8]) {
        let mut rest = bytes;
        // The bytes of Remaining Length come one by one until it is complete.
        while self.total == 0 {
            let Some((next, after)) = rest.split_at_checked(1) else {
                return (Growth::Unfinished, rest);
            };
            self.take(context, next, frame);
            rest = after;
            match fixed_header(self.bytes()) {
                Header::Whole(header) => self.total = header.total_len() as u64,
                Header::Malformed(_) => return (Growth::Broken, rest),
                Header::Partial => {}
            }
        }
        let wanted = usize::try_from(self.total - self.passed).unwrap_or(usize::MAX);
        let (own, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
        self.take(context, own, frame);
        let growth = match self.rest() {
            Some(0) => Growth::Complete,
            _ => Growth::Unfinished,
        };
        (growth, after)
    }

    /// Takes `bytes`, all of which belong to it.
    fn take(&mut self, context: &mut Context, bytes: &[u8], frame: u64) {
        let count = bytes.len() as u64;
        self.passed += count;
        match self.fate {
            Fate::Kept => {}
            Fate::Cut => return context.counters.discarded += count,
            Fate::OverLimit => return context.counters.over_cap += count,
        }
        self.buffers.bytes.extend_from_slice(bytes);
        context.hold(bytes.len());
        if self.frames().last() != Some(&frame) {
            if self.frames().len() < context.options.limits.frames_listed {
                self.buffers.frames.push(frame);
                context.held_frames += 1;
            } else {
                context.counters.frames_unlisted += 1;
            }
        }
        let small = self.bytes().len() <= SMALL_PACKET;
        let limit = context.options.limits.held as u64 + if small { RESERVE } else { 0 };
        // A fixed header is always kept: without it the packet's end would be lost too.
        if self.total > 0 && context.held.saturating_add(8 * context.held_frames) > limit {
            context.counters.over_cap += self.bytes().len() as u64;
            context.counters.packets_over_cap += 1;
            self.drop_bytes(context, Fate::OverLimit);
        }
    }

    /// Notes a gap of `length` bytes in it, 0 where it ends the packet. Returns the bytes that
    /// were held, which are of no use now.
    pub(super) fn cut(&mut self, context: &mut Context, length: u64) -> u64 {
        let held = self.bytes().len() as u64;
        if self.fate == Fate::Kept {
            context.counters.discarded += held;
            self.drop_bytes(context, Fate::Cut);
        }
        self.passed += length;
        self.missed += length;
        held
    }

    /// Gives its memory back. Returns the bytes it held.
    pub(super) fn release(mut self, context: &mut Context) -> usize {
        let held = self.bytes().len();
        self.let_go(context);
        let capacity = self.buffers.bytes.capacity();
        let small = capacity.max(self.buffers.frames.capacity() * 8) <= SPARE_CAP;
        if small && capacity > context.spare.bytes.capacity() {
            context.spare = self.buffers;
        }
        held
    }

    /// Gives the memory of its bytes back, which are counted only from now on.
    fn drop_bytes(&mut self, context: &mut Context, fate: Fate) {
        self.let_go(context);
        self.buffers = Buffers::default();
        self.fate = fate;
    }

    /// Empties its buffers, which no longer count as held.
    fn let_go(&mut self, context: &mut Context) {
        context.let_go(self.bytes().len());
        context.held_frames -= self.frames().len() as u64;
        self.buffers.bytes.clear();
        self.buffers.frames.clear();
    }
}
