//! One direction of a connection: sequence numbers in, bytes in order out.
//!
//! What it promises: every byte is emitted once, the first copy of it, with the frame that
//! carried that copy; what cannot come any more is emitted as a gap, in its place.

use super::emitter::Emitter;
use super::event::{End, GapCause};
use super::waiting::{Span, Waiting};

/// How far from its place a sequence number may lie, in bytes: more than any window in
/// use, and little enough that a number from elsewhere seldom falls in.
const REACH: u32 = 1 << 26;

/// Facts known of a direction, one bit each.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
pub(super) struct Marks(u8);

impl Marks {
    /// `start` and `next` are known for certain.
    pub(super) const BASED: u8 = 1;
    /// ... from a SYN, or from the SYN-ACK that answered it.
    pub(super) const SYN: u8 = 2;
    /// No byte was seen yet; `start` and `next` are what the peer acknowledged first.
    pub(super) const PEER_BASED: u8 = 4;
    /// The peer acknowledged up to `acked`, which lies past `next`.
    pub(super) const UNSEEN: u8 = 8;
    /// The end went on to `sent`, which lies past `next`.
    pub(super) const SENT: u8 = 16;
    /// FIN stands at `fin`.
    pub(super) const FIN: u8 = 32;
    /// The end was emitted.
    pub(super) const ENDED: u8 = 64;
    /// The last segment was out of reach, and the next after it would begin at `stray`.
    pub(super) const STRAY: u8 = 128;

    /// Whether any of `bits` is set.
    pub(super) const fn has(self, bits: u8) -> bool {
        self.0 & bits != 0
    }

    pub(super) fn set(&mut self, bits: u8) {
        self.0 |= bits;
    }

    pub(super) fn clear(&mut self, bits: u8) {
        self.0 &= !bits;
    }
}

/// One direction of a connection. All numbers are sequence numbers as on the wire.
#[derive(Default)]
pub(super) struct Flow {
    /// Of the next byte to emit.
    pub(super) next: u32,
    /// Of the direction's first byte.
    pub(super) start: u32,
    /// The peer acknowledged up to here, where [`Marks::UNSEEN`].
    pub(super) acked: u32,
    /// The end went on up to here, where [`Marks::SENT`].
    pub(super) sent: u32,
    /// Where FIN stands, if [`Marks::FIN`].
    pub(super) fin: u32,
    /// Behind the last segment that was out of reach, where [`Marks::STRAY`].
    pub(super) stray: u32,
    pub(super) marks: Marks,
    pub(super) waiting: Option<Box<Waiting>>,
}

/// How far `to` lies after `from`, or, if negative, before it.
pub(super) const fn distance(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

const fn within_reach(distance: i32) -> bool {
    distance.unsigned_abs() <= REACH
}

impl Flow {
    /// Whether nothing but the ordinary is to be expected: a base, and nothing waiting,
    /// missing, ended or strange.
    #[inline]
    pub(super) fn is_plain(&self) -> bool {
        self.marks.0 & !Marks::SYN == Marks::BASED && self.waiting.is_none()
    }

    /// `count` bytes in turn were emitted by the caller, on a plain direction.
    #[inline]
    pub(super) fn advance_plain(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count);
    }

    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    pub(super) fn is_based(&self) -> bool {
        self.marks.has(Marks::BASED)
    }

    pub(super) fn has_syn(&self) -> bool {
        self.marks.has(Marks::SYN)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.marks.has(Marks::ENDED)
    }

    /// Whether anything was emitted, or anything is known past the first byte.
    pub(super) fn has_begun(&self) -> bool {
        self.is_based() && (self.next != self.start || self.waiting.is_some())
    }

    /// Whether the first byte is known to be `first`; `None` where nothing is known of it.
    pub(super) fn begins_at(&self, first: u32) -> Option<bool> {
        let known = self.marks.has(Marks::BASED | Marks::PEER_BASED);
        known.then_some(self.start == first)
    }

    /// Whether a segment with this sequence number can belong to this direction.
    pub(super) fn reaches(&self, sequence: u32) -> bool {
        !self.is_based() || within_reach(distance(self.next, sequence))
    }

    /// Whether a reset with this sequence number can be this direction's.
    pub(super) fn allows_reset(&self, sequence: u32) -> bool {
        self.reaches(sequence) && !self.is_older(sequence)
    }

    /// Returns whether a reset with this sequence number is of an older connection: before the first
    /// byte, one between the same ends is reset by the numbers of that one (the answer to its
    /// challenge ACK, RFC 5961 §4).
    pub(super) fn is_older(&self, sequence: u32) -> bool {
        let only_syn = self.has_syn() && !self.has_begun();
        only_syn && distance(self.start, sequence) < -1
    }

    /// Returns whether a reset with this sequence number is one that the peer believes (RFC 5961 §3.2):
    /// it stands where the direction goes on, as far as the capture shows that.
    pub(super) fn expects_reset(&self, sequence: u32) -> bool {
        let ahead = distance(self.next, sequence);
        let known = [self.unseen(), self.unsent(), self.waiting_end()];
        !self.is_based()
            || self.has_ended()
            || ahead == 0
            || ahead > 0 && known.contains(&ahead.unsigned_abs())
    }

    /// The direction's first byte has this number, known from a SYN.
    pub(super) fn begin_by_syn(&mut self, first: u32) {
        if !self.is_based() || !self.has_begun() {
            self.begin(first);
        }
        if self.start == first {
            self.marks.set(Marks::SYN);
        }
    }

    /// No segment of this end has come: its first is no ordinary one.
    pub(super) fn hide(&mut self) {
        self.marks.set(Marks::PEER_BASED);
    }

    /// The first segment of this end comes.
    pub(super) fn show(&mut self) {
        if self.is_based() {
            self.marks.clear(Marks::PEER_BASED);
        }
    }

    fn begin(&mut self, first: u32) {
        self.start = first;
        self.next = first;
        self.marks = Marks(Marks::BASED);
    }

    /// The peer acknowledged everything before `ack`. `answered`: the peer has sent a SYN or
    /// bytes of its own.
    pub(super) fn acknowledge(&mut self, ack: u32, answered: bool, emitter: &mut Emitter<'_>) {
        if self.marks.has(Marks::ENDED) {
            return;
        }
        if !self.marks.has(Marks::BASED | Marks::PEER_BASED) {
            self.start = ack;
            self.next = ack;
            self.marks.set(Marks::PEER_BASED);
            return;
        }
        let unseen = distance(self.next, ack);
        if unseen <= 0 || !within_reach(unseen) || self.is_challenged(answered) {
            return;
        }
        if unseen.unsigned_abs() > self.unseen() {
            self.acked = ack;
            self.marks.set(Marks::UNSEEN);
        }
        self.give_up_acknowledged(emitter);
    }

    /// Whether an acknowledgement past a SYN that was not answered is a challenge ACK of an older
    /// connection (RFC 5961 §4). `answered`: as in [`acknowledge`](Self::acknowledge).
    pub(super) fn is_challenged(&self, answered: bool) -> bool {
        self.has_syn() && !answered && !self.has_begun()
    }

    /// Whether bytes before `sequence` have not come that are still to come.
    pub(super) fn lacks(&self, sequence: u32) -> bool {
        let ahead = distance(self.next, sequence);
        self.is_based() && !self.has_ended() && ahead > 0 && within_reach(ahead)
    }

    /// Bytes past `next` that the peer acknowledged.
    pub(super) fn unseen(&self) -> u32 {
        self.past(Marks::UNSEEN, self.acked)
    }

    /// Bytes past `next` that the end is known to have sent.
    pub(super) fn unsent(&self) -> u32 {
        self.past(Marks::SENT, self.sent)
    }

    fn past(&self, mark: u8, number: u32) -> u32 {
        match self.marks.has(mark) {
            true => distance(self.next, number).max(0).unsigned_abs(),
            false => 0,
        }
    }

    /// The end is at `sequence`, though its segment carries no byte.
    pub(super) fn note_sent(&mut self, sequence: u32) {
        let ahead = distance(self.next, sequence);
        if !self.is_based() || self.has_ended() || ahead <= 0 || !within_reach(ahead) {
            return;
        }
        if ahead.unsigned_abs() > self.unsent() {
            self.sent = sequence;
            self.marks.set(Marks::SENT);
        }
    }

    /// Bytes came. `pushed`: with PSH, which no keep-alive probe has.
    pub(super) fn take(
        &mut self,
        sequence: u32,
        span: Span<'_>,
        pushed: bool,
        emitter: &mut Emitter<'_>,
    ) {
        if !self.is_based() {
            if !pushed && self.is_probe(sequence, span) {
                emitter.shared.counts.unplaced_bytes += span.captured();
                return;
            }
            self.begin(sequence);
        }
        let span = self.before_fin(sequence, span, emitter);
        if span.is_empty() {
            return;
        }
        let ahead = distance(self.next, sequence);
        if !within_reach(ahead) {
            self.out_of_reach(sequence, span, emitter);
            return;
        }
        self.marks.clear(Marks::STRAY);
        if ahead > 0 {
            self.hold(ahead.unsigned_abs(), span, emitter);
            return;
        }
        let old = ahead.unsigned_abs().min(span.len());
        if old > 0 {
            self.repeated(sequence, span, old, emitter);
        }
        let fresh = span.skip(old);
        if fresh.is_empty() {
            return;
        }
        let free = self.waiting.as_ref().and_then(|waiting| waiting.hole());
        if free.is_none_or(|free| fresh.len() <= free) {
            self.emit_span(fresh, None, emitter);
            self.drain(emitter);
        } else {
            // Some of it is held already, and the first copy stands.
            self.hold(0, fresh, emitter);
        }
    }

    /// The end sends nothing from `fin` on.
    pub(super) fn finish(&mut self, fin: u32, emitter: &mut Emitter<'_>) {
        if self.has_ended() || self.marks.has(Marks::FIN) && fin == self.fin {
            return;
        }
        if !self.is_based() {
            self.begin(fin);
        }
        let ahead = distance(self.next, fin);
        let is_behind = self.marks.has(Marks::FIN) && distance(self.fin, fin) > 0;
        if ahead < 0 || !within_reach(ahead) || is_behind {
            emitter.shared.counts.ignored_segments += 1;
            return;
        }
        if self.marks.has(Marks::FIN) {
            self.drop_fin(emitter);
        }
        self.fin = fin;
        self.marks.set(Marks::FIN);
        if ahead > 0 {
            self.waiting(emitter).fin = Some(emitter.stamp);
        }
        self.drain(emitter);
        self.give_up_acknowledged(emitter);
    }

    /// The connection was reset.
    pub(super) fn reset(&mut self, emitter: &mut Emitter<'_>) {
        if !self.has_ended() {
            self.marks.set(Marks::ENDED);
            emitter.end(End::Reset, None);
        }
    }

    /// A keep-alive probe may carry one byte that was acknowledged long ago (RFC 9293
    /// §3.8.4). It must not be taken for the direction's first byte.
    fn is_probe(&self, sequence: u32, span: Span<'_>) -> bool {
        if span.len() != 1 {
            return false;
        }
        if self.marks.has(Marks::PEER_BASED) {
            sequence.wrapping_add(1) == self.start
        } else {
            span.bytes() == [0]
        }
    }

    pub(super) fn before_fin<'s>(
        &self,
        sequence: u32,
        span: Span<'s>,
        emitter: &mut Emitter<'_>,
    ) -> Span<'s> {
        // One that waits may be forged: bytes beyond it are what shows that.
        if !self.has_ended() {
            return span;
        }
        let room = distance(sequence, self.fin).max(0).unsigned_abs();
        let kept = span.first(room);
        emitter.shared.counts.after_end_bytes += span.captured() - kept.captured();
        kept
    }

    /// `old` bytes of `span` lie before `next`.
    fn repeated(&self, sequence: u32, span: Span<'_>, old: u32, emitter: &mut Emitter<'_>) {
        let counts = &mut emitter.shared.counts;
        // Where the capture began in mid-connection, bytes from before the first that was
        // captured come too late to be emitted in order.
        let early = distance(sequence, self.start).max(0).unsigned_abs();
        let early = if early <= REACH { early.min(old) } else { 0 };
        let unplaced = span.first(early).captured();
        counts.unplaced_bytes += unplaced;
        counts.repeated_bytes += span.first(old).captured() - unplaced;
        // A probe's one byte is anything (RFC 9293 §3.8.4).
        let probe = span.len() == 1 && distance(self.next, sequence) == -1;
        let (samples, owner) = (&emitter.shared.samples, emitter.owner());
        if !probe && samples.differs(owner, sequence, span.bytes()) {
            emitter.conflict();
        }
    }

    /// A segment out of reach: a second one that continues it shows that the capture lost
    /// sight of the stream for longer than sequence numbers can show.
    fn out_of_reach(&mut self, sequence: u32, span: Span<'_>, emitter: &mut Emitter<'_>) {
        let continues = self.marks.has(Marks::STRAY) && self.stray == sequence;
        self.stray = sequence.wrapping_add(span.len());
        self.marks.set(Marks::STRAY);
        if !continues {
            emitter.shared.counts.unplaced_bytes += span.captured();
            return;
        }
        self.flush(GapCause::NotCaptured, emitter);
        if self.has_ended() {
            emitter.shared.counts.after_end_bytes += span.captured();
            return;
        }
        emitter.gap(0, GapCause::NotCaptured, None);
        self.begin(sequence);
        self.emit_span(span, None, emitter);
    }
}
