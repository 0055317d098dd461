//! Remembers how lately delivered segments began and ended, to recognise a retransmission that
//! differs.
//!
//! Delivered bytes are not kept, and hashing every payload would cost a fifth of the whole
//! pipeline. So only the first and the last bytes of the latest segments, of all
//! connections together, are kept: a retransmission is compared with them when it begins
//! where the first copy began. Differences elsewhere in a delivered segment go unseen;
//! bytes still waiting are compared in full (`waiting.rs`).

/// Segments remembered; a power of two. 4096 of them take 128 KiB.
const SAMPLES: usize = 4096;

/// First bytes kept of each segment.
const HEAD: usize = 16;

/// Last bytes compared of each segment that is longer than its head.
const TAIL: usize = 8;

/// Half a cache line, since each delivered segment writes one.
#[derive(Clone, Copy, Default)]
#[repr(align(32))]
struct Sample {
    /// Which segment it is, and 0 for a place never written.
    key: Key,
    head: [u8; HEAD],
    length: u32,
    /// The last bytes, mixed.
    tail: u32,
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
    #[inline(always)]
    pub(super) fn record(&mut self, owner: u64, sequence: u32, bytes: &[u8]) {
        if self.places.is_empty() {
            self.places = vec![Sample::default(); SAMPLES].into_boxed_slice();
        }
        let key = Key::new(owner, sequence);
        if let Some(place) = self.places.get_mut(key.place()) {
            *place = Sample {
                key,
                head: head(bytes),
                length: bytes.len() as u32,
                tail: tail(bytes),
            };
        }
    }

    /// Whether `bytes`, sent again, visibly differ from what was delivered at `sequence`.
    pub(super) fn differs(&self, owner: u64, sequence: u32, bytes: &[u8]) -> bool {
        let key = Key::new(owner, sequence);
        let Some(first) = self
            .places
            .get(key.place())
            .filter(|first| first.key == key)
        else {
            return false;
        };
        let length = bytes.len() as u32;
        if length == first.length {
            return head(bytes) != first.head || tail(bytes) != first.tail;
        }
        let both = HEAD.min(bytes.len()).min(first.length as usize);
        bytes.get(..both) != first.head.get(..both)
    }
}

/// A segment by its connection and direction (the lower half of their number, which four
/// thousand million others have before it comes again) and its sequence number.
#[derive(Clone, Copy, Default, Eq, PartialEq)]
struct Key(u64);

impl Key {
    #[inline]
    fn new(owner: u64, sequence: u32) -> Self {
        // An odd factor: different segments stay different.
        Self(mixed(u64::from(owner as u32) | u64::from(sequence) << 32))
    }

    #[inline]
    fn place(self) -> usize {
        (self.0 >> (64 - SAMPLES.trailing_zeros())) as usize
    }
}

#[inline]
const fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// The first bytes, and NUL for those that are not there. Short ones in two pieces that
/// overlap: a copy of as many bytes as there are would be a call.
#[inline]
fn head(bytes: &[u8]) -> [u8; HEAD] {
    if let Some(head) = bytes.first_chunk() {
        return *head;
    }
    let length = bytes.len();
    let both = if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        u128::from(u64::from_le_bytes(*first))
            | u128::from(u64::from_le_bytes(*last)) << (8 * (length - 8))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk(), bytes.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        (u64::from(first) | u64::from(last) << (8 * (length - 4))).into()
    } else {
        (bytes.iter().rev()).fold(0, |head, byte| head << 8 | u128::from(*byte))
    };
    both.to_le_bytes()
}

#[inline]
fn tail(bytes: &[u8]) -> u32 {
    match bytes.last_chunk::<TAIL>() {
        Some(tail) if bytes.len() > HEAD => (mixed(u64::from_le_bytes(*tail)) >> 32) as u32,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_octets_again_do_not_differ_and_other_bytes_do() {
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
    fn the_head_is_the_first_bytes_of_any_number() {
        let bytes: Vec<u8> = (1..30).collect();
        for length in 0..bytes.len() {
            let mut expected = bytes[..length].to_vec();
            expected.resize(HEAD, 0);
            assert_eq!(head(&bytes[..length]), expected[..]);
        }
    }

    #[test]
    fn a_retransmission_cut_otherwise_is_compared_where_both_have_bytes() {
        let mut samples = Samples::default();
        samples.record(1, 5, b"abc");
        assert!(!samples.differs(1, 5, b"ab"));
        assert!(!samples.differs(1, 5, b"abcdefghijklmnopqrstuvwxyz"));
        assert!(samples.differs(1, 5, b"aXcdefghijklmnopqrstuvwxyz"));
    }
}
