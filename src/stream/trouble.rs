//! Signs of trouble in TCP: an end that does not read, bytes that are sent again and again.
//!
//! While a connection has any, none of its segments is an ordinary one: the acknowledgement or the
//! window that ends the trouble is seen here.

use super::direction::{ByDirection, DIRECTIONS, Direction};
use super::event::{Connection, Stall, StreamEvent};
use super::flow::distance;
use super::limits::Shared;
use super::waiting::Span;
use crate::base::{FrameStamp, Span as TimeSpan};
use crate::wire::Segment;

/// So many retransmissions of the same bytes ...
const TIMES: u32 = 3;
/// ... over this time are no copies of the capture's own, and no accident.
const LONG: TimeSpan = TimeSpan::from_nanos(1_000_000_000);

/// The troubles of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// Since when an end advertises a receive window of 0.
    closed: ByDirection<Option<Closed>>,
    /// The first bytes of an end that it sent again and that were not acknowledged since.
    again: ByDirection<Option<Again>>,
}

/// A receive window of 0.
#[derive(Clone, Copy, Debug)]
struct Closed {
    since: FrameStamp,
    /// It was advertised again: to each probe (RFC 9293 §3.8.6.1). A single one may be an older
    /// segment that comes late.
    confirmed: bool,
}

/// Bytes that were sent again.
#[derive(Clone, Copy, Debug)]
struct Again {
    sequence: u32,
    times: u32,
    first: FrameStamp,
    last: FrameStamp,
}

/// Observes a segment of `direction`, which goes on at `next` where that is known; returns how
/// long a window was closed that it opens.
pub(super) fn observe(
    trouble: &mut Option<Box<Trouble>>,
    direction: Direction,
    segment: &Segment<'_>,
    next: Option<u32>,
    shared: &mut Shared,
) -> Option<FrameStamp> {
    let span = Span::new(segment.payload, segment.cut);
    let sequence = segment.sequence;
    let repeats = next.is_some_and(|next| {
        // A probe has one byte, or none.
        let probe = span.len() == 1 && distance(next, sequence) == -1;
        let end = sequence.wrapping_add(span.len());
        !span.is_empty() && !probe && distance(next, end) <= 0
    });
    if trouble.is_none() && segment.window != 0 && !repeats {
        return None;
    }
    if trouble.is_none() {
        if shared.troubled >= shared.limits.troubled {
            shared.counts.not_watched += 1;
            return None;
        }
        shared.troubled += 1;
    }
    let here = trouble.get_or_insert_default();
    let peers = here.again.of_mut(direction.reverse());
    if peers.is_some_and(|again| distance(again.sequence, segment.acknowledgement) > 0) {
        *peers = None;
    }
    let closed = here.closed.of_mut(direction);
    let opened = match (segment.window, &mut *closed) {
        (0, Some(closed)) => {
            closed.confirmed = true;
            None
        }
        (0, none) => {
            *none = Some(Closed {
                since: *segment.stamp,
                confirmed: false,
            });
            None
        }
        _ => closed.take().filter(|closed| closed.confirmed),
    };
    let opened = opened.map(|closed| closed.since);
    if repeats {
        let fresh = Again {
            sequence,
            times: 1,
            first: *segment.stamp,
            last: *segment.stamp,
        };
        let again = here
            .again
            .of_mut(direction)
            .get_or_insert(Again { times: 0, ..fresh });
        match distance(again.sequence, sequence) {
            0 => {
                again.times = again.times.saturating_add(1);
                again.last = *segment.stamp;
            }
            // The first of those that wait shows how long they do.
            ahead if ahead < 0 => *again = fresh,
            _ => {}
        }
    }
    let over = DIRECTIONS
        .iter()
        .all(|&way| here.closed.of(way).is_none() && here.again.of(way).is_none());
    if over {
        *trouble = None;
        shared.troubled -= 1;
    }
    opened
}

/// Emits the troubles that last to the end of a connection.
pub(super) fn finish(
    trouble: &Trouble,
    connection: &Connection,
    stamp: &FrameStamp,
    emit: &mut dyn FnMut(StreamEvent<'_>),
) {
    for direction in DIRECTIONS {
        let lasting = true;
        if let Some(closed) = trouble.closed.of(direction)
            && closed.confirmed
        {
            emit(StreamEvent::Stalled {
                direction,
                stall: Stall::ZeroWindow,
                since: &closed.since,
                lasting,
                stamp,
            });
        }
        // The acknowledgements may be in a direction that was not captured.
        if let Some(again) = trouble.again.of(direction)
            && connection.both_seen
            && again.times >= TIMES
            && let (Some(first), Some(last)) = (again.first.time, again.last.time)
            && last.since(first) >= LONG
        {
            emit(StreamEvent::Stalled {
                direction,
                stall: Stall::NotAcknowledged { times: again.times },
                since: &again.first,
                lasting,
                stamp,
            });
        }
    }
}
