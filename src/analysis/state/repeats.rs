//! Which messages have come more than once: a copy of one may be of another that was not seen.

use foldhash::HashSet;

/// Digests of a generation: those of the latest messages, as many again of those before.
const GENERATION: usize = 16_384;
/// Repeated digests that are distinguished; beyond it every message counts as repeated.
const REPEATED: usize = 16_384;

/// The digests of published messages that came again.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    published: Latest,
    /// Those of copies whose messages were not seen.
    unseen: Latest,
    repeated: HashSet<u64>,
}

/// The latest digests, in two generations: when one is full, the one before it is forgotten.
#[derive(Debug, Default)]
struct Latest {
    current: HashSet<u64>,
    previous: HashSet<u64>,
}

impl Repeats {
    /// Notes a message that was published.
    pub(crate) fn note(&mut self, digest: u64) {
        let again = self.published.contains(digest) || self.unseen.contains(digest);
        self.published.insert(digest);
        if again && self.repeated.len() < REPEATED {
            self.repeated.insert(digest);
        }
    }

    /// Notes a copy whose message was not seen: an equal one that is published later is a repeated
    /// one.
    pub(crate) fn note_unseen(&mut self, digest: u64) {
        self.unseen.insert(digest);
    }

    /// Returns whether a message of this digest was published, as far as the latest are remembered.
    pub(crate) fn has_come(&self, digest: u64) -> bool {
        self.published.contains(digest) || self.is_repeated(digest)
    }

    /// Returns whether an equal message has come before, or may have.
    pub(crate) fn is_repeated(&self, digest: u64) -> bool {
        self.repeated.len() >= REPEATED || self.repeated.contains(&digest)
    }
}

impl Latest {
    fn contains(&self, digest: u64) -> bool {
        self.current.contains(&digest) || self.previous.contains(&digest)
    }

    fn insert(&mut self, digest: u64) {
        if self.current.len() >= GENERATION {
            self.previous = std::mem::take(&mut self.current);
        }
        self.current.insert(digest);
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
    fn no_message_between_hides_that_one_came_again() {
        // Digests that differ in their high bits alone.
        let (one, other) = (7, 7 + (1 << 32));
        let mut repeats = Repeats::default();
        for digest in [one, other, one, other] {
            repeats.note(digest);
        }
        assert!(repeats.is_repeated(one) && repeats.is_repeated(other));
        for digest in 100..100 + GENERATION as u64 {
            repeats.note(digest);
        }
        repeats.note(100);
        assert!(repeats.is_repeated(100) && !repeats.is_repeated(101));
    }

    #[test]
    fn two_generations_are_remembered() {
        let mut repeats = Repeats::default();
        for digest in 0..=2 * GENERATION as u64 {
            repeats.note(digest);
        }
        let first = GENERATION as u64;
        assert!(!repeats.has_come(0) && repeats.has_come(first));
        assert!(
            repeats.published.current.len() + repeats.published.previous.len() <= 2 * GENERATION
        );
    }

    #[test]
    fn a_message_after_a_copy_of_one_that_was_not_seen_is_repeated() {
        let mut repeats = Repeats::default();
        repeats.note_unseen(7);
        assert!(!repeats.has_come(7) && !repeats.is_repeated(7));
        repeats.note(7);
        repeats.note(8);
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
