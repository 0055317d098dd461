//! Remembers how lately delivered segments began and ended, to tell a retransmission that
//! differs.
//!
//! Delivered octets are not kept, and hashing every payload would cost a fifth of the whole
//! pipeline. So only the first and the last octets of the latest segments, of all
//! connections together, are kept: a retransmission is held against them when it begins
//! where the first copy began. Differences elsewhere in a delivered segment go unseen;
//! octets still waiting are compared in full (`waiting.rs`).

/// Segments remembered; a power of two. 4096 of them take 192 KiB.
const SAMPLES: usize = 4096;

/// First octets kept of each segment.
const HEAD: usize = 16;

/// Last octets kept of each segment that is longer than its head.
const TAIL: usize = 8;

#[derive(Clone, Copy, Default)]
struct Sample {
    /// Connection and direction, and 0 for a place never written.
    owner: u64,
    sequence: u32,
    length: u32,
    head: [u8; HEAD],
    tail: [u8; TAIL],
}

/// The latest delivered segments, each in the one place that its owner and sequence number
/// choose.
#[derive(Default)]
pub(super) struct Samples {
    /// Empty until the first segment.
    places: Box<[Sample]>,
}

impl Samples {
    /// Remembers a segment that was just delivered. `owner` must not be 0.
    #[inline]
    pub(super) fn record(&mut self, owner: u64, sequence: u32, octets: &[u8]) {
        if self.places.is_empty() {
            self.places = vec![Sample::default(); SAMPLES].into_boxed_slice();
        }
        if let Some(place) = self.places.get_mut(place_of(owner, sequence)) {
            *place = Sample {
                owner,
                sequence,
                length: octets.len() as u32,
                head: head(octets),
                tail: tail(octets),
            };
        }
    }

    /// Whether `octets`, sent again, visibly differ from what was delivered at `sequence`.
    pub(super) fn differs(&self, owner: u64, sequence: u32, octets: &[u8]) -> bool {
        let Some(first) = self.places.get(place_of(owner, sequence)) else {
            return false;
        };
        if first.owner != owner || first.sequence != sequence {
            return false;
        }
        let length = octets.len() as u32;
        if length == first.length {
            return head(octets) != first.head || tail(octets) != first.tail;
        }
        let both = HEAD.min(octets.len()).min(first.length as usize);
        octets.get(..both) != first.head.get(..both)
    }
}

#[inline]
fn place_of(owner: u64, sequence: u32) -> usize {
    let mixed = (owner ^ u64::from(sequence).rotate_left(32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (64 - SAMPLES.trailing_zeros())) as usize
}

#[inline]
fn head(octets: &[u8]) -> [u8; HEAD] {
    if let Some(head) = octets.first_chunk() {
        return *head;
    }
    let mut head = [0; HEAD];
    for (kept, octet) in head.iter_mut().zip(octets) {
        *kept = *octet;
    }
    head
}

#[inline]
fn tail(octets: &[u8]) -> [u8; TAIL] {
    match octets.last_chunk() {
        Some(tail) if octets.len() > HEAD => *tail,
        _ => [0; TAIL],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_octets_again_do_not_differ_and_other_octets_do() {
        let mut samples = Samples::default();
        assert!(!samples.differs(1, 5, b"never recorded"));
        let sent: Vec<u8> = (0..100).collect();
        samples.record(1, 5, &sent);
        assert!(!samples.differs(1, 5, &sent));
        assert!(samples.differs(1, 5, &[0; 100]));
        let mut last = sent.clone();
        last[99] ^= 1;
        assert!(samples.differs(1, 5, &last));
        assert!(!samples.differs(2, 5, &last), "another connection");
        assert!(!samples.differs(1, 6, &last), "another place");
    }

    #[test]
    fn a_retransmission_cut_otherwise_is_compared_where_both_have_octets() {
        let mut samples = Samples::default();
        samples.record(1, 5, b"abc");
        assert!(!samples.differs(1, 5, b"ab"));
        assert!(!samples.differs(1, 5, b"abcdefghijklmnopqrstuvwxyz"));
        assert!(samples.differs(1, 5, b"aXcdefghijklmnopqrstuvwxyz"));
    }
}
