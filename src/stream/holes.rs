//! Bytes that wait behind a hole, and when the hole is given up.
//!
//! An end acknowledges what it received, so once the peer has acknowledged bytes and later
//! ones are here, those that are not were never captured: a segment lost before the capture
//! point and sent again is not acknowledged before its second copy is seen. The acknowledging segment
//! has waited for them before it comes here (see `window`), and the hole is given up before its own
//! bytes are emitted: so a PUBACK never overtakes the PUBLISH that waited behind the hole.

use super::emitter::Emitter;
use super::event::{End, GapCause, Stall};
use super::flow::{Flow, Marks, distance};
use super::waiting::{Piece, Span, Waiting};

impl Flow {
    /// Nothing more comes: what waits is emitted, with the holes before it, and what is known
    /// to have been sent besides is a gap as well.
    pub(super) fn flush(&mut self, cause: GapCause, emitter: &mut Emitter<'_>) {
        while let Some(hole) = self.hole() {
            self.skip(hole, self.cause_of(hole, cause), emitter);
        }
        let missing = self.unseen().max(self.unsent());
        // A single number past the last byte is a FIN that was not captured.
        if missing > 1 && !self.has_ended() {
            emitter.gap(missing, self.cause_of(missing, cause), None);
            self.advance(missing);
        }
        self.marks.clear(Marks::UNSEEN | Marks::SENT);
        self.release(emitter);
    }

    /// Why the next `count` bytes are missing: for `cause`, unless the peer acknowledged them.
    fn cause_of(&self, count: u32, cause: GapCause) -> GapCause {
        match self.unseen() >= count {
            true => GapCause::NotCaptured,
            false => cause,
        }
    }

    /// Gives up the first hole because a cap was reached; `false` where there is none.
    pub(super) fn give_up_first(&mut self, emitter: &mut Emitter<'_>) -> bool {
        let Some(hole) = self.hole() else {
            return false;
        };
        emitter.shared.counts.waiting_cap += 1;
        self.skip(hole, GapCause::WaitingCap, emitter);
        true
    }

    pub(super) fn hold(&mut self, ahead: u32, span: Span<'_>, emitter: &mut Emitter<'_>) {
        let waiting = self.waiting(emitter);
        let before = waiting.cost();
        let most = emitter.shared.limits.overlaps;
        let added = waiting.add(ahead, span, most, &emitter.stamp, emitter.layers);
        emitter.shared.waiting += waiting.cost() - before;
        emitter.shared.counts.repeated_bytes += added.repeated;
        if added.conflict {
            emitter.conflict();
        }
        if added.left_off {
            emitter.shared.counts.overlaps_cut += 1;
            self.note_sent(self.next.wrapping_add(ahead + span.len()));
        }
        self.drain(emitter);
        self.give_up_acknowledged(emitter);
        while self.cost() > emitter.shared.limits.waiting && self.give_up_first(emitter) {}
    }

    /// Holes that the peer acknowledged, with something behind them, are given up.
    pub(super) fn give_up_acknowledged(&mut self, emitter: &mut Emitter<'_>) {
        while self.unseen() > 0 {
            let Some(hole) = self.hole() else {
                return;
            };
            self.skip(hole.min(self.unseen()), GapCause::NotCaptured, emitter);
        }
    }

    /// Bytes from `next` to the first that waits, or to FIN.
    fn hole(&self) -> Option<u32> {
        let piece = self.waiting.as_ref()?.hole();
        if !self.marks.has(Marks::FIN) || self.has_ended() {
            return piece;
        }
        let fin = distance(self.next, self.fin).max(0).unsigned_abs();
        Some(piece.map_or(fin, |piece| piece.min(fin)))
    }

    /// `count` bytes will never come.
    fn skip(&mut self, count: u32, cause: GapCause, emitter: &mut Emitter<'_>) {
        if count > 0 {
            emitter.gap(count, cause, None);
            self.advance(count);
        }
        self.drain(emitter);
    }

    /// Emits what waited and is in turn now, and the end if FIN is.
    pub(super) fn drain(&mut self, emitter: &mut Emitter<'_>) {
        while let Some(waiting) = &mut self.waiting {
            let before = waiting.cost();
            let Some(piece) = waiting.next() else {
                break;
            };
            emitter.shared.waiting -= before - waiting.cost();
            let span = self.before_fin(self.next, piece.span(), emitter);
            self.emit_span(span, Some(&piece), emitter);
        }
        if self.marks.has(Marks::FIN) && !self.has_ended() && self.next == self.fin {
            self.end_by_fin(emitter);
        } else if self.marks.has(Marks::FIN) && !self.has_ended() && self.is_past_fin() {
            self.drop_fin(emitter);
        }
        self.release(emitter);
    }

    /// Whether bytes were emitted that follow a FIN which waited.
    fn is_past_fin(&self) -> bool {
        distance(self.fin, self.next) > 0
    }

    /// Bytes go on where FIN stands, which waited for its turn, or end before: it is not believed.
    pub(super) fn drop_fin(&mut self, emitter: &mut Emitter<'_>) {
        self.marks.clear(Marks::FIN);
        emitter.shared.counts.ignored_segments += 1;
        let waiting = self.waiting.as_mut();
        let since = waiting.and_then(|waiting| waiting.fin.take());
        emitter.not_ended(Stall::FalseFin, &since.unwrap_or(emitter.stamp));
    }

    fn end_by_fin(&mut self, emitter: &mut Emitter<'_>) {
        let waiting = self.waiting.take();
        let waited = waiting.as_ref().and_then(|waiting| waiting.fin);
        if let Some(waiting) = waiting {
            emitter.shared.waiting -= waiting.cost();
            emitter.shared.counts.after_end_bytes += waiting.bytes();
        }
        // FIN takes a sequence number of its own.
        self.advance(1);
        self.marks.set(Marks::ENDED);
        emitter.end(End::Fin, waited);
    }

    /// Emits the next bytes, of a piece that `waited` or of the frame being read, and as a gap
    /// those that the snapshot length cut.
    pub(super) fn emit_span(
        &mut self,
        span: Span<'_>,
        waited: Option<&Piece>,
        emitter: &mut Emitter<'_>,
    ) {
        let bytes = span.bytes();
        if !bytes.is_empty() {
            let sequence = self.next;
            self.advance(bytes.len() as u32);
            emitter.bytes(sequence, bytes, waited);
        }
        if span.cut() > 0 {
            self.advance(span.cut());
            emitter.gap(span.cut(), GapCause::SnapshotLength, waited);
        }
    }

    fn advance(&mut self, count: u32) {
        self.next = self.next.wrapping_add(count);
        if let Some(waiting) = &mut self.waiting {
            waiting.advance(count);
        }
    }

    /// Bytes from `next` to behind the last that waits; 0 where none does.
    pub(super) fn waiting_end(&self) -> u32 {
        self.waiting.as_ref().map_or(0, |waiting| waiting.end())
    }

    fn cost(&self) -> usize {
        self.waiting.as_ref().map_or(0, |waiting| waiting.cost())
    }

    pub(super) fn waiting(&mut self, emitter: &mut Emitter<'_>) -> &mut Waiting {
        self.waiting.get_or_insert_with(|| {
            let waiting = Box::<Waiting>::default();
            emitter.shared.waiting += waiting.cost();
            waiting
        })
    }

    /// Forgets what is settled, so that the direction is plain again.
    fn release(&mut self, emitter: &mut Emitter<'_>) {
        if self.unseen() == 0 {
            self.marks.clear(Marks::UNSEEN);
        }
        if self.unsent() == 0 {
            self.marks.clear(Marks::SENT);
        }
        let settled = |waiting: &Waiting| waiting.is_empty() && waiting.fin.is_none();
        if self.waiting.as_deref().is_some_and(settled) {
            emitter.shared.waiting -= self.cost();
            self.waiting = None;
        }
    }
}
