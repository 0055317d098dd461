//! Which messages have come more than once: a copy of one may be of another that was not seen.

use foldhash::HashSet;

/// Digests that are compared with those that follow.
const LATEST: usize = 4_096;
/// Repeated digests that are distinguished; beyond it every message counts as repeated.
const REPEATED: usize = 16_384;

/// The digests of published messages that came again.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// The latest ones, each at a place of its own.
    latest: Vec<u64>,
    repeated: HashSet<u64>,
}

impl Repeats {
    /// Notes a message that was published.
    pub(crate) fn note(&mut self, digest: u64) {
        if self.latest.is_empty() {
            self.latest = vec![0; LATEST];
        }
        let place = digest as usize % LATEST;
        if let Some(latest) = self.latest.get_mut(place)
            && std::mem::replace(latest, digest) == digest
            && self.repeated.len() < REPEATED
        {
            self.repeated.insert(digest);
        }
    }

    /// Returns whether a message of this digest was published, as far as the latest are remembered.
    pub(crate) fn has_come(&self, digest: u64) -> bool {
        let place = digest as usize % LATEST;
        self.latest.get(place) == Some(&digest) || self.is_repeated(digest)
    }

    /// Returns whether an equal message has come before, or may have.
    pub(crate) fn is_repeated(&self, digest: u64) -> bool {
        self.repeated.len() >= REPEATED || self.repeated.contains(&digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_repeated_once_it_came_again() {
        let mut repeats = Repeats::default();
        repeats.note(7);
        assert!(!repeats.is_repeated(7));
        repeats.note(8);
        repeats.note(7);
        assert!(repeats.is_repeated(7) && !repeats.is_repeated(8));
    }

    #[test]
    fn beyond_the_bound_every_message_counts_as_repeated() {
        let mut repeats = Repeats::default();
        for digest in 0..REPEATED as u64 {
            assert!(!repeats.is_repeated(u64::MAX));
            repeats.note(digest);
            repeats.note(digest);
        }
        assert!(repeats.is_repeated(u64::MAX));
    }
}
