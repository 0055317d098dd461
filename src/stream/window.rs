//! Segments that stand in the capture before others that were sent earlier: two capture points with
//! skewed clocks, several queues of one network card.
//!
//! An acknowledgement of bytes that have not come shows that they were lost by the capture, or that
//! they stand a few frames later. So that segment waits, and with it all segments behind it, of
//! every connection: what passes from one connection to another keeps its order. Once the bytes
//! come, they are taken first; at the end of the window they are given up, as they would have been
//! at once.
//!
//! ```text
//! in the capture:   PUBACK  copy  PUBLISH          the window: PUBACK, copy
//! taken:            PUBLISH  PUBACK  copy
//! ```

use std::collections::VecDeque;

use super::flow::distance;
use super::waiting::Span;
use crate::base::{Endpoint, FrameStamp, Layers, Span as TimeSpan};
use crate::wire::{Segment, TcpFlags};

/// The time that a segment waits, on the capture's clock: more than the skew of two capture points
/// that are set by the same time server, and little enough for a live view.
const TIME: TimeSpan = TimeSpan::from_nanos(200_000_000);

/// The frames that are waited for however long they take, in a capture that has shown frames out of
/// order: in a quiet one they may stand some places late too.
const FRAMES: u64 = 5;

/// A segment that waits.
#[derive(Debug)]
pub(super) struct Held {
    stamp: FrameStamp,
    source: Endpoint,
    destination: Endpoint,
    sequence: u32,
    acknowledgement: u32,
    flags: TcpFlags,
    window: u16,
    payload: Box<[u8]>,
    cut: u32,
    layers: Option<Box<Layers>>,
    /// Its end has sent more, which stands later in the capture.
    pub(super) gone_on: bool,
}

impl Held {
    fn new(segment: &Segment<'_>) -> Self {
        let empty = segment.layers.iter().next().is_none();
        Self {
            stamp: *segment.stamp,
            source: segment.source,
            destination: segment.destination,
            sequence: segment.sequence,
            acknowledgement: segment.acknowledgement,
            flags: segment.flags,
            window: segment.window,
            payload: segment.payload.into(),
            cut: segment.cut,
            layers: (!empty).then(|| Box::new(*segment.layers)),
            gone_on: false,
        }
    }

    pub(super) fn segment(&self) -> Segment<'_> {
        Segment {
            stamp: &self.stamp,
            source: self.source,
            destination: self.destination,
            sequence: self.sequence,
            acknowledgement: self.acknowledgement,
            flags: self.flags,
            window: self.window,
            payload: &self.payload,
            cut: self.cut,
            layers: self.layers.as_deref().unwrap_or(&Layers::NONE),
        }
    }
}

/// The segments that wait, in the order of the capture. The first waits for bytes.
#[derive(Debug, Default)]
pub(super) struct Window {
    held: VecDeque<Held>,
    /// Payload bytes of those.
    bytes: usize,
}

impl Window {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn get(&self, at: usize) -> Option<&Held> {
        self.held.get(at)
    }

    pub(super) fn push(&mut self, segment: &Segment<'_>) {
        if segment.flags.has(TcpFlags::ACK) && !segment.flags.has(TcpFlags::RST) {
            for held in &mut self.held {
                held.gone_on |= held.flags.has(TcpFlags::RST)
                    && held.source == segment.source
                    && held.destination == segment.destination;
            }
        }
        self.bytes += segment.payload.len();
        self.held.push_back(Held::new(segment));
    }

    pub(super) fn remove(&mut self, at: usize) -> Option<Held> {
        let held = self.held.remove(at)?;
        self.bytes -= held.payload.len();
        Some(held)
    }

    /// Takes the first, which has waited in vain, with what its end acknowledged since: the bytes
    /// that did not come are one gap, even where they are acknowledged one by one. Bytes that wait
    /// themselves are none of them.
    pub(super) fn take_first(&mut self) -> Option<Held> {
        let mut first = self.remove(0)?;
        if !first.flags.has(TcpFlags::ACK) {
            return Some(first);
        }
        let mut acknowledged = first.acknowledgement;
        let mut held = None;
        for later in &self.held {
            let segment = later.segment();
            let ahead = distance(first.acknowledgement, later.sequence);
            if goes_along(&segment, &first.segment()) {
                let further = distance(acknowledged, later.acknowledgement) > 0;
                if further && later.flags.has(TcpFlags::ACK) {
                    acknowledged = later.acknowledgement;
                }
            } else if goes_against(&segment, &first.segment())
                && !segment.payload.is_empty()
                && ahead >= 0
            {
                held = Some(held.map_or(ahead, |before: i32| before.min(ahead)));
            }
        }
        let most = distance(first.acknowledgement, acknowledged);
        let most = held.map_or(most, |ahead| most.min(ahead));
        first.acknowledgement = first.acknowledgement.wrapping_add(most.unsigned_abs());
        Some(first)
    }

    /// Returns whether the first has waited long enough when a frame is read, for `most` frames, or
    /// too many `bytes` wait. `disorder`: the capture has shown frames out of order.
    pub(super) fn is_over(
        &self,
        stamp: &FrameStamp,
        disorder: bool,
        most: usize,
        bytes: usize,
    ) -> bool {
        let Some(first) = self.held.front() else {
            return false;
        };
        let waited = match (first.stamp.time, stamp.time) {
            (Some(from), Some(to)) => to.since(from),
            _ => TimeSpan::ZERO,
        };
        let passed = stamp.number.saturating_sub(first.stamp.number);
        // Else a live view would hold back rows for what was lost.
        let long = waited > TIME && (passed > FRAMES || !disorder);
        passed >= most as u64 || long || self.bytes > bytes
    }
}

/// Returns whether `later` begins the connection of `first`: its SYN, or the answer to that.
pub(super) fn begins(later: &Segment<'_>, first: &Segment<'_>) -> bool {
    later.flags.has(TcpFlags::SYN) && (goes_along(later, first) || goes_against(later, first))
}

/// Returns whether `later`, which stands behind `first` in the capture, was sent before it: it has
/// bytes that `first` acknowledges, or is of the same end and comes earlier in its bytes. `next` is
/// where the two directions go on: that of `first`, and the other.
pub(super) fn precedes(later: &Segment<'_>, first: &Segment<'_>, next: (u32, u32)) -> bool {
    let length = Span::new(later.payload, later.cut).len();
    let fin = u32::from(later.flags.has(TcpFlags::FIN));
    let end = later.sequence.wrapping_add(length + fin);
    let fills = |next, until| distance(next, end) > 0 && distance(later.sequence, until) > 0;
    (goes_along(later, first) && fills(next.0, first.sequence))
        || (goes_against(later, first) && fills(next.1, first.acknowledgement))
}

/// Returns whether two segments are of one connection and one end.
fn goes_along(one: &Segment<'_>, other: &Segment<'_>) -> bool {
    one.source == other.source && one.destination == other.destination
}

/// Returns whether two segments are of the two ends of one connection.
fn goes_against(one: &Segment<'_>, other: &Segment<'_>) -> bool {
    one.source == other.destination && one.destination == other.source
}
