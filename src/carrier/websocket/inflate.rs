//! Compressed messages (RFC 7692, permessage-deflate).

use flate2::{Decompress, FlushDecompress, Status};

use crate::base::limits::Limits;

/// The cost that all compressed messages of a run may expand to whatever their own size, beyond which
/// [`Limit::Inflated`](crate::base::limits::Limit::Inflated) holds.
const FREE: u64 = 64 << 20;

/// The cost of a control packet, in bytes, beside that of its own: what a row of JSON takes.
const PACKET: u64 = 256;

/// Bytes that may be read of a file before the next [`Inflation::took`].
const UNNOTED: u64 = 1 << 20;

/// The bytes that a sender leaves out at the end of each message (RFC 7692 §7.2.1).
pub(super) const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes handed on at a time.
const PART: usize = 16 << 10;

/// The state that all compressed directions of a run share.
#[derive(Debug, Default)]
pub(super) struct Inflation {
    limits: Limits,
    /// Inflaters in use.
    in_use: usize,
    deflated: u64,
    /// The cost of what came of those, in bytes.
    inflated: u64,
    /// Bytes taken from the captures' files, where that is known.
    taken: Option<u64>,
    /// Directions given up for want of an inflater.
    pub(super) refused: u64,
    /// Directions given up because they expand too far.
    pub(super) too_far: u64,
}

impl Inflation {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            ..Self::default()
        }
    }

    /// Notes how many bytes were taken from the captures' files so far.
    pub(super) fn took(&mut self, bytes: u64) {
        self.taken = Some(bytes);
    }

    /// Whether it expands too far. Where the files are compressed themselves, it is they that
    /// count: what expands twice is bounded as a whole.
    fn is_too_far(&self) -> bool {
        let taken = self.taken.map_or(u64::MAX, |bytes| bytes + UNNOTED);
        let source = self.deflated.min(taken);
        let most = source.saturating_mul(self.limits.inflated as u64);
        self.inflated.saturating_sub(FREE) > most
    }

    /// The same, as if the free bytes had been used up.
    #[cfg(test)]
    pub(super) fn after_free(self) -> Self {
        Self {
            inflated: FREE + self.deflated,
            ..self
        }
    }
}

/// Inflates the messages of one direction, whose window goes on from message to message.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

/// Why bytes are not inflated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Unreadable {
    /// They are not what a sender may send, or lean on what was lost.
    Corrupt,
    /// A cap is reached.
    Cap,
}

impl Inflater {
    pub(super) fn new(all: &mut Inflation) -> Result<Self, Unreadable> {
        if all.in_use >= all.limits.inflaters {
            all.refused += 1;
            return Err(Unreadable::Cap);
        }
        all.in_use += 1;
        Ok(Self(Decompress::new(false)))
    }

    /// Gives its place to others.
    pub(super) fn release(self, all: &mut Inflation) {
        all.in_use -= 1;
    }

    /// Inflates a part of a message and hands what comes of it to `each`, which returns the control
    /// packets in it.
    pub(super) fn push(
        &mut self,
        all: &mut Inflation,
        bytes: &[u8],
        each: &mut impl FnMut(&[u8]) -> u64,
    ) -> Result<(), Unreadable> {
        let mut part = [0; PART];
        let mut rest = bytes;
        loop {
            let (taken, made) = (self.0.total_in(), self.0.total_out());
            let status = self.0.decompress(rest, &mut part, FlushDecompress::Sync);
            let taken = self.0.total_in() - taken;
            let made = self.0.total_out() - made;
            // Neither is more than the slices hold.
            let out = part.get(..made as usize).unwrap_or_default();
            rest = rest.get(taken as usize..).unwrap_or_default();
            let status = status.map_err(|_| Unreadable::Corrupt)?;
            all.deflated += taken;
            all.inflated += made;
            if !out.is_empty() {
                all.inflated += PACKET * each(out);
            }
            if all.is_too_far() {
                all.too_far += 1;
                return Err(Unreadable::Cap);
            }
            let still = taken == 0 && made == 0;
            if status == Status::StreamEnd {
                // A sender may end each message with a last block (RFC 7692 §7.2.3.4); an empty
                // one follows it.
                self.0.reset(false);
            }
            if rest.is_empty() && out.len() < PART || still {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_and_files_that_are_compressed_count_in_the_expansion() {
        let mut all = Inflation::new(&Limits::default());
        all.deflated = 10 << 20;
        all.inflated = FREE + 100 * all.deflated;
        assert!(!all.is_too_far());
        // A file of a few bytes held all that.
        all.took(1000);
        assert!(all.is_too_far());
        all.took(10 << 20);
        assert!(!all.is_too_far());
        all.inflated += PACKET;
        assert!(all.is_too_far());
    }
}
