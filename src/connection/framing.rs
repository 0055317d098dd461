//! Bytes whose place is known, cut into packets; packets that straddle segments.

use crate::base::FrameStamp;
use crate::event::Event;
use crate::mqtt::PacketType;
use crate::mqtt::framer::{Header, fixed_header};
use crate::stream::Direction;

use super::{Arrival, Context, Decoder, Mode};

/// Frames that are listed for one packet; later ones are counted, and the last always
/// stands in its stamp. 256 MiB in segments of 1,460 bytes are 184,000 frames.
pub const FRAMES_CAP: usize = 1 << 18;

/// A packet of up to this many bytes is held even where larger ones no longer are, so that
/// one endless packet doesn't hide all the small ones ...
const SMALL_PACKET: usize = 64 << 10;

/// ... as long as these, in bytes over all connections, do not exceed the cap by more.
const RESERVE: u64 = 16 << 20;

/// Buffers up to this size, in bytes, are kept for the next packet that straddles segments.
const SPARE_CAP: usize = 64 << 10;

/// The begin of a packet whose end has not come.
#[derive(Debug)]
pub(super) struct Partial {
    /// What came, as long as it is kept.
    bytes: Vec<u8>,
    /// The frames that carried it, at most [`FRAMES_CAP`], each once.
    frames: Vec<u64>,
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

/// What becomes of a packet's bytes when it is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    /// They are decoded.
    Told,
    /// A gap cut it: they are counted.
    Cut,
    /// They reached the cap: they are counted.
    OverCap,
}

impl Partial {
    pub(super) fn packet_type(&self) -> PacketType {
        self.packet_type
    }

    /// Bytes of the whole packet; 0 where its length is not known.
    pub(super) fn announced(&self) -> u64 {
        self.total
    }

    /// Bytes that came.
    pub(super) fn received(&self) -> u64 {
        self.passed - self.missed
    }

    /// The frame that carried its first byte.
    pub(super) fn first(&self) -> &FrameStamp {
        &self.first
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }

    /// Bytes until its end, where its length is known.
    pub(super) fn rest(&self) -> Option<u64> {
        (self.total > 0).then(|| self.total - self.passed)
    }

    /// Gives its memory back; how many bytes it held.
    pub(super) fn release(mut self: Box<Self>, context: &mut Context) -> usize {
        let held = self.bytes.len();
        self.let_go(context);
        let larger = |spare: &Self| spare.bytes.capacity() >= self.bytes.capacity();
        let kept = self.bytes.capacity().max(self.frames.capacity() * 8) <= SPARE_CAP;
        if kept && !context.spare.as_deref().is_some_and(larger) {
            context.spare = Some(self);
        }
        held
    }

    /// The bytes and frames that it holds count no longer.
    fn let_go(&mut self, context: &mut Context) {
        context.let_go(self.bytes.len());
        context.held_frames -= self.frames.len() as u64;
        self.bytes.clear();
        self.frames.clear();
    }

    fn free(&mut self, context: &mut Context) {
        self.let_go(context);
        self.bytes = Vec::new();
        self.frames = Vec::new();
    }

    /// A gap of `length` bytes lies in it.
    fn cut(&mut self, context: &mut Context, length: u64) -> u64 {
        let held = self.bytes.len() as u64;
        if self.fate == Fate::Told {
            context.counters.discarded += held;
            self.free(context);
            self.fate = Fate::Cut;
        }
        self.passed += length;
        self.missed += length;
        held
    }

    fn over_cap(&mut self, context: &mut Context) {
        context.counters.over_cap += self.bytes.len() as u64;
        context.counters.packets_over_cap += 1;
        self.free(context);
        self.fate = Fate::OverCap;
    }

    /// Takes `bytes`, all of which belong to it.
    fn take(&mut self, context: &mut Context, bytes: &[u8], frame: u64) {
        self.passed += bytes.len() as u64;
        match self.fate {
            Fate::Told => {}
            Fate::Cut => {
                context.counters.discarded += bytes.len() as u64;
                return;
            }
            Fate::OverCap => {
                context.counters.over_cap += bytes.len() as u64;
                return;
            }
        }
        self.bytes.extend_from_slice(bytes);
        context.hold(bytes.len());
        if self.frames.last() != Some(&frame) {
            if self.frames.len() < FRAMES_CAP {
                self.frames.push(frame);
                context.held_frames += 1;
            } else {
                context.counters.frames_unlisted += 1;
            }
        }
        let cap = if self.bytes.len() > SMALL_PACKET {
            context.options.held_cap
        } else {
            context.options.held_cap.saturating_add(RESERVE)
        };
        // A fixed header is always kept: without it the packet's end would be lost too.
        if self.total > 0 && context.held.saturating_add(8 * context.held_frames) > cap {
            self.over_cap(context);
        }
    }
}

/// What became of a packet that bytes were added to.
enum Grown<'a> {
    /// Complete, and whether it was kept; what follows it.
    Complete(Box<Partial>, &'a [u8]),
    /// Its Remaining Length has a fifth byte.
    Broken(Box<Partial>, &'a [u8]),
}

impl Decoder {
    /// Bytes of an MQTT connection in a direction whose packets' places are known, or not.
    #[inline]
    pub(super) fn receive(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let side = self.sides.of_mut(arrival.direction);
        side.heard = true;
        match side.mode {
            Mode::Framing | Mode::Doubtful => self.frame(context, arrival, bytes, emit),
            Mode::Seeking => self.receive_undecided(context, arrival, bytes, emit),
            Mode::GivenUp => context.counters.given_up += bytes.len() as u64,
            Mode::NotMqtt => context.counters.not_mqtt += bytes.len() as u64,
        }
    }

    /// Cuts `bytes` into packets and tells each.
    #[inline]
    pub(super) fn frame(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) {
        let mut rest = bytes;
        if self.sides.of(arrival.direction).partial.is_some() {
            rest = self.go_on(context, arrival, rest, emit);
        }
        while !rest.is_empty() {
            let side = self.sides.of(arrival.direction);
            match side.mode {
                Mode::Framing => {}
                Mode::Doubtful => {
                    self.sides.of_mut(arrival.direction).mode = Mode::GivenUp;
                    continue;
                }
                Mode::NotMqtt => {
                    context.counters.not_mqtt += rest.len() as u64;
                    return;
                }
                Mode::GivenUp | Mode::Seeking => {
                    context.counters.given_up += rest.len() as u64;
                    return;
                }
            }
            if !side.proven && !self.may_be_first(rest, arrival.direction) {
                self.not_mqtt(context, arrival, rest, emit);
                return;
            }
            match fixed_header(rest) {
                Header::Whole(header) => match rest.split_at_checked(header.total_len()) {
                    Some((packet, after)) => {
                        let frames = [arrival.stamp.number];
                        self.tell_whole(context, arrival, &header, packet, &frames, emit);
                        rest = after;
                    }
                    None => {
                        let total = header.total_len() as u64;
                        return self.begin_partial(context, arrival, rest, total);
                    }
                },
                Header::Partial => return self.begin_partial(context, arrival, rest, 0),
                Header::Malformed(_) => {
                    let frames = [arrival.stamp.number];
                    let (broken, after) = rest.split_at_checked(5).unwrap_or((rest, &[]));
                    self.break_off(context, arrival, broken, &frames, emit);
                    context.counters.given_up += after.len() as u64;
                    return;
                }
            }
        }
        let side = self.sides.of_mut(arrival.direction);
        if side.mode == Mode::Doubtful {
            side.mode = Mode::Framing;
        }
    }

    fn begin_partial(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &[u8],
        total: u64,
    ) {
        // Never reserved from what is announced: 268,435,455 bytes cost five to announce.
        let fresh = Partial {
            bytes: Vec::new(),
            frames: Vec::new(),
            passed: 0,
            missed: 0,
            total,
            packet_type: PacketType::of(bytes.first().copied().unwrap_or(0)),
            fate: Fate::Told,
            first: *arrival.stamp,
        };
        let mut partial = match context.spare.take() {
            Some(mut spare) => {
                *spare = Partial {
                    bytes: std::mem::take(&mut spare.bytes),
                    frames: std::mem::take(&mut spare.frames),
                    ..fresh
                };
                spare
            }
            None => Box::new(fresh),
        };
        partial.take(context, bytes, arrival.stamp.number);
        self.sides.of_mut(arrival.direction).partial = Some(partial);
    }

    /// Gives the unfinished packet what belongs to it; what follows it.
    fn go_on<'a>(
        &mut self,
        context: &mut Context,
        arrival: &Arrival<'_>,
        bytes: &'a [u8],
        emit: &mut impl FnMut(&Event<'_>),
    ) -> &'a [u8] {
        let Some(partial) = self.sides.of_mut(arrival.direction).partial.take() else {
            return bytes;
        };
        match grow(context, partial, bytes, arrival.stamp.number) {
            Ok(Grown::Complete(partial, after)) => {
                if partial.fate == Fate::Told {
                    self.tell(context, arrival, &partial.bytes, &partial.frames, emit);
                } else if partial.fate == Fate::OverCap {
                    self.tell_over_cap(arrival, &partial, emit);
                }
                partial.release(context);
                after
            }
            Ok(Grown::Broken(partial, after)) => {
                self.break_off(context, arrival, &partial.bytes, &partial.frames, emit);
                partial.release(context);
                after
            }
            Err(partial) => {
                self.sides.of_mut(arrival.direction).partial = Some(partial);
                &[]
            }
        }
    }

    /// Bytes of `direction` never came: is the place of the next packet still known?
    /// Says so, and how many bytes of a cut packet were given up.
    pub(super) fn cut_partial(
        &mut self,
        context: &mut Context,
        direction: Direction,
        length: u64,
    ) -> (bool, u64) {
        let side = self.sides.of_mut(direction);
        let Some(partial) = side.partial.as_mut() else {
            return (false, 0);
        };
        match partial.rest() {
            Some(rest) if length > 0 && length <= rest => {
                let given_up = partial.cut(context, length);
                if length == rest
                    && let Some(partial) = side.partial.take()
                {
                    partial.release(context);
                }
                (true, given_up)
            }
            _ => {
                let Some(mut partial) = side.partial.take() else {
                    return (false, 0);
                };
                let given_up = partial.cut(context, 0);
                partial.release(context);
                (false, given_up)
            }
        }
    }
}

/// Adds to `partial` what belongs to it; `Err` gives it back unfinished.
fn grow<'a>(
    context: &mut Context,
    mut partial: Box<Partial>,
    bytes: &'a [u8],
    frame: u64,
) -> Result<Grown<'a>, Box<Partial>> {
    let mut rest = bytes;
    // The bytes of Remaining Length come one by one until it is complete.
    while partial.total == 0 {
        let Some((next, after)) = rest.split_at_checked(1) else {
            return Err(partial);
        };
        partial.take(context, next, frame);
        rest = after;
        match fixed_header(&partial.bytes) {
            Header::Whole(header) => partial.total = header.total_len() as u64,
            Header::Malformed(_) => return Ok(Grown::Broken(partial, rest)),
            Header::Partial => {}
        }
    }
    let wanted = partial.total - partial.passed;
    let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
    let (mine, after) = rest.split_at_checked(wanted).unwrap_or((rest, &[]));
    partial.take(context, mine, frame);
    if partial.passed < partial.total {
        return Err(partial);
    }
    Ok(Grown::Complete(partial, after))
}
