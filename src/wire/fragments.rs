//! IP fragments put together again (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! Fragments may come in any order and more than once. Where two overlap, the bytes that
//! came first stand; receivers differ here (Linux drops such a datagram), but none takes
//! bytes of which part was never sent. A fragment that the snapshot length cut counts as
//! come: the datagram's payload then ends at the first byte that was cut.
//!
//! A datagram that is complete stays known until it is old, so that fragments captured twice
//! do not begin a second one that could never be completed and would spoil a later datagram
//! with the same identification.
//!
//! etherparse's pool is not used: it keeps whatever comes, without limit, and takes no
//! fragment that was cut.

use std::collections::{HashMap, VecDeque};
use std::iter;
use std::net::IpAddr;
use std::ops::Range;

use etherparse::IpNumber;
use foldhash::fast::RandomState;

use super::part::{FragmentHeader, Part};
use super::skipped::Skipped;
use crate::base::limits::Limits;
use crate::base::{Span, Timestamp};

/// The payload of an IP datagram is no longer than its length field allows.
const MAX_DATAGRAM: usize = 0xffff;

/// Counts of fragmented datagrams.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FragmentTally {
    /// Datagrams put together.
    pub rebuilt: u64,
    /// Datagrams given up since the rest did not come within the time allowed.
    pub expired: u64,
    /// Datagrams given up since a cap was reached.
    pub evicted: u64,
    /// Datagrams that still wait.
    pub waiting: u64,
}

/// The fields that the fragments of one datagram share. IPv6 leaves the protocol out, since
/// fragments may disagree on it (RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Key {
    source: IpAddr,
    destination: IpAddr,
    identification: u32,
    protocol: Option<IpNumber>,
}

/// A fragment as it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) header: FragmentHeader,
    pub(super) part: Part<'a>,
    pub(super) time: Option<Timestamp>,
}

impl Fragment<'_> {
    fn key(&self) -> Key {
        Key {
            source: self.source,
            destination: self.destination,
            identification: self.header.identification,
            protocol: self.source.is_ipv4().then_some(self.header.protocol),
        }
    }

    /// First byte and the one behind the last, within the datagram's payload. Every fragment
    /// but the last has a multiple of eight bytes.
    fn range(&self) -> Result<(usize, usize), Skipped> {
        let start = usize::from(self.header.offset);
        let length = self.part.length();
        let end = start.saturating_add(length);
        let odd = self.header.more && !length.is_multiple_of(8);
        if length == 0 || odd || end > MAX_DATAGRAM {
            return Err(Skipped::MalformedIp);
        }
        Ok((start, end))
    }
}

/// A datagram's payload as put together; its bytes are in the buffer that was given.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Rebuilt {
    /// The protocol of the payload's first header.
    pub(super) protocol: IpNumber,
    /// Bytes at the end that were cut.
    pub(super) cut: usize,
    /// Frames that brought bytes of it.
    pub(super) fragments: u16,
}

/// Fragments that wait for the others of their datagrams, bounded by [`Limits::fragmented_datagrams`],
/// [`Limits::fragments`] and [`Limits::fragment_seconds`]. Frames without a time never make a datagram
/// old.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    limits: Limits,
    datagrams: HashMap<Key, Datagram, RandomState>,
    /// The keys of `datagrams`, each once, oldest first.
    order: VecDeque<Key>,
    /// The sum over `datagrams` of their payload bytes.
    bytes: usize,
    tally: FragmentTally,
}

impl Fragments {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }

    pub(super) fn tally(&self) -> FragmentTally {
        let waiting = self.datagrams.values().filter(|d| !d.complete).count();
        FragmentTally {
            waiting: waiting as u64,
            ..self.tally
        }
    }

    /// Takes a fragment. If it completes its datagram, the payload goes to `payload`;
    /// otherwise the fragment's frame gives no segment.
    pub(super) fn add(
        &mut self,
        fragment: &Fragment<'_>,
        payload: &mut Vec<u8>,
    ) -> Result<Rebuilt, Skipped> {
        let key = fragment.key();
        let (start, end) = fragment.range()?;
        self.expire(&key, fragment.time);
        if let Some(datagram) = self.datagrams.get(&key)
            && datagram.complete
        {
            if datagram.holds(start, fragment.part.bytes) {
                return Err(Skipped::FragmentRepeated);
            }
            // Other bytes: the sender has come round to the same identification.
            self.remove(&key);
        }
        self.make_room(&key, end)?;

        let datagram = self.datagrams.entry(key).or_insert_with(|| {
            self.order.push_back(key);
            Datagram::new(fragment.time)
        });
        let before = datagram.bytes.len();
        let fresh = datagram.add(fragment, start, end);
        self.bytes = self.bytes - before + datagram.bytes.len();
        match datagram.rebuild(payload) {
            Some(rebuilt) => {
                self.tally.rebuilt += 1;
                Ok(rebuilt)
            }
            None if fresh => Err(Skipped::FragmentWaiting),
            None => Err(Skipped::FragmentRepeated),
        }
    }

    /// Gives up what has become old: the oldest of all, and the datagram of `key`, which may
    /// be old before its turn where the capture's clock went back.
    fn expire(&mut self, key: &Key, now: Option<Timestamp>) {
        let Some(now) = now else { return };
        while let Some(oldest) = self.order.front().copied()
            && self.expire_one(&oldest, now)
        {}
        self.expire_one(key, now);
    }

    /// Gives up a datagram if it is old; whether it was.
    fn expire_one(&mut self, key: &Key, now: Timestamp) -> bool {
        let age = Span::from_seconds(self.limits.fragment_seconds);
        let began = self.datagrams.get(key).and_then(|datagram| datagram.began);
        let old = began.is_some_and(|began| now.since(began) > age);
        if old {
            self.tally.expired += u64::from(self.remove(key));
        }
        old
    }

    /// Gives up the oldest datagrams until `end` bytes of the datagram of `key` can be kept.
    fn make_room(&mut self, key: &Key, end: usize) -> Result<(), Skipped> {
        loop {
            let held = self.datagrams.get(key).map(|d| d.bytes.len());
            let more = end.saturating_sub(held.unwrap_or(0));
            let count = self.datagrams.len() + usize::from(held.is_none());
            if self.bytes + more <= self.limits.fragments
                && count <= self.limits.fragmented_datagrams
            {
                return Ok(());
            }
            let oldest = self.order.iter().find(|oldest| *oldest != key).copied();
            let oldest = oldest.ok_or(Skipped::FragmentCap)?;
            self.tally.evicted += u64::from(self.remove(&oldest));
        }
    }

    /// Forgets a datagram; whether it was still waiting.
    fn remove(&mut self, key: &Key) -> bool {
        // Nearly always the first or, when making room for the first, the second.
        if let Some(at) = self.order.iter().position(|other| other == key) {
            self.order.remove(at);
        }
        let Some(datagram) = self.datagrams.remove(key) else {
            return false;
        };
        self.bytes -= datagram.bytes.len();
        !datagram.complete
    }
}

/// The fragments of one datagram so far.
#[derive(Debug, Default)]
struct Datagram {
    began: Option<Timestamp>,
    /// From the payload's first byte to the last that any fragment had.
    bytes: Vec<u8>,
    /// Where nothing has come, in order (RFC 815); none once `complete`.
    holes: Vec<Range<usize>>,
    /// The first byte that came in a fragment and was cut from it.
    cut_from: usize,
    /// Where the payload ends, once the last fragment has come.
    end: Option<usize>,
    /// The protocol of the payload's first header, once the first fragment has come.
    protocol: Option<IpNumber>,
    fragments: u16,
    /// The payload was handed out; the bytes stay, to know repeated fragments by.
    complete: bool,
}

impl Datagram {
    fn new(began: Option<Timestamp>) -> Self {
        Self {
            began,
            holes: iter::once(0..MAX_DATAGRAM).collect(),
            cut_from: usize::MAX,
            ..Self::default()
        }
    }

    /// Whether a complete datagram has these bytes at `start`.
    fn holds(&self, start: usize, bytes: &[u8]) -> bool {
        let there = self.bytes.get(start..).unwrap_or_default();
        there.starts_with(bytes)
    }

    /// Keeps the bytes of `fragment` that had not come yet; whether there were any.
    fn add(&mut self, fragment: &Fragment<'_>, start: usize, end: usize) -> bool {
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        let captured = fragment.part.bytes;
        let captured_end = start + captured.len();
        let first = self.holes.partition_point(|hole| hole.end <= start);
        let behind = self.holes.partition_point(|hole| hole.start < end);
        let filled: Vec<_> = self.holes.drain(first..behind).collect();
        for hole in &filled {
            let (from, to) = (hole.start.max(start), hole.end.min(end));
            if to > captured_end {
                self.cut_from = self.cut_from.min(from.max(captured_end));
            }
            let to = to.min(captured_end);
            let source = captured.get(from - start..to.saturating_sub(start));
            if let (Some(source), Some(target)) = (source, self.bytes.get_mut(from..to)) {
                target.copy_from_slice(source);
            }
        }
        if let (Some(lowest), Some(highest)) = (filled.first(), filled.last()) {
            self.fragments = self.fragments.saturating_add(1);
            let left = [lowest.start..start, end..highest.end];
            let left = left.into_iter().filter(|hole| !hole.is_empty());
            self.holes.splice(first..first, left);
        }
        if start == 0 {
            self.protocol.get_or_insert(fragment.header.protocol);
        }
        // The first last fragment stands, as the first copy of any byte does.
        if !fragment.header.more {
            self.end.get_or_insert(end);
        }
        !filled.is_empty()
    }

    /// Hands the payload out if all of it has come.
    fn rebuild(&mut self, payload: &mut Vec<u8>) -> Option<Rebuilt> {
        let (end, protocol) = (self.end?, self.protocol?);
        if self.holes.first().is_some_and(|hole| hole.start < end) {
            return None;
        }
        let intact = self.bytes.get(..self.cut_from.min(end))?;
        payload.clear();
        payload.extend_from_slice(intact);
        self.complete = true;
        self.holes = Vec::new();
        Some(Rebuilt {
            protocol,
            cut: end - payload.len(),
            fragments: self.fragments,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn pool(datagrams: usize, bytes: usize) -> Fragments {
        Fragments::new(Limits {
            fragmented_datagrams: datagrams,
            fragments: bytes,
            fragment_seconds: 1,
            ..Limits::default()
        })
    }

    /// A fragment of datagram `id` at `offset`; the last unless `more`.
    fn fragment(id: u32, offset: u16, more: bool, bytes: &[u8], cut: usize) -> Fragment<'_> {
        Fragment {
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            destination: IpAddr::V4(Ipv4Addr::LOCALHOST),
            header: FragmentHeader {
                identification: id,
                offset,
                more,
                protocol: IpNumber::TCP,
            },
            part: Part { bytes, cut },
            time: Some(Timestamp::from_nanos(0)),
        }
    }

    fn add(pool: &mut Fragments, fragment: Fragment<'_>) -> Result<(Vec<u8>, usize), Skipped> {
        let mut payload = Vec::new();
        let rebuilt = pool.add(&fragment, &mut payload)?;
        assert_eq!(rebuilt.protocol, IpNumber::TCP);
        Ok((payload, rebuilt.cut))
    }

    #[test]
    fn where_fragments_overlap_the_first_copy_stands() {
        let mut pool = pool(4, 1000);
        let waiting = add(&mut pool, fragment(1, 8, true, &[b'a'; 16], 0));
        assert_eq!(waiting, Err(Skipped::FragmentWaiting));
        let waiting = add(&mut pool, fragment(1, 0, true, &[b'b'; 16], 0));
        assert_eq!(waiting, Err(Skipped::FragmentWaiting));
        let (payload, _) = add(&mut pool, fragment(1, 16, false, &[b'c'; 12], 0)).unwrap();
        assert_eq!(payload, b"bbbbbbbbaaaaaaaaaaaaaaaacccc");
    }

    #[test]
    fn the_first_last_fragment_decides_where_the_datagram_ends() {
        let mut pool = pool(4, 1000);
        assert!(add(&mut pool, fragment(1, 16, false, &[1; 4], 0)).is_err());
        assert!(add(&mut pool, fragment(1, 24, false, &[2; 4], 0)).is_err());
        let (payload, _) = add(&mut pool, fragment(1, 0, true, &[3; 24], 0)).unwrap();
        assert_eq!(payload.len(), 20);
    }

    #[test]
    fn a_fragment_that_was_cut_ends_what_is_known_of_the_payload() {
        let mut pool = pool(4, 1000);
        assert!(add(&mut pool, fragment(1, 0, true, &[1; 10], 14)).is_err());
        let (payload, cut) = add(&mut pool, fragment(1, 24, false, &[2; 8], 0)).unwrap();
        assert_eq!((payload, cut), (vec![1; 10], 22));
        assert!(add(&mut pool, fragment(2, 0, true, &[1; 24], 0)).is_err());
        let (payload, cut) = add(&mut pool, fragment(2, 24, false, &[2; 2], 6)).unwrap();
        assert_eq!((payload.len(), cut), (26, 6));
    }

    #[test]
    fn a_fragment_fills_all_holes_that_it_covers() {
        let mut pool = pool(4, 1000);
        assert!(add(&mut pool, fragment(1, 8, true, &[1; 8], 0)).is_err());
        assert!(add(&mut pool, fragment(1, 24, true, &[2; 8], 0)).is_err());
        assert!(add(&mut pool, fragment(1, 40, false, &[3; 4], 0)).is_err());
        let repeated = add(&mut pool, fragment(1, 24, true, &[9; 8], 0));
        assert_eq!(repeated, Err(Skipped::FragmentRepeated));
        let (payload, _) = add(&mut pool, fragment(1, 0, true, &[0; 40], 0)).unwrap();
        let runs = [(0, 8), (1, 8), (0, 8), (2, 8), (0, 8), (3, 4)];
        assert_eq!(
            payload,
            runs.map(|(byte, count)| vec![byte; count]).concat()
        );
    }

    #[test]
    fn an_identification_used_again_begins_a_new_datagram() {
        let mut pool = pool(4, 1000);
        assert!(add(&mut pool, fragment(1, 0, true, &[1; 8], 0)).is_err());
        assert!(add(&mut pool, fragment(1, 8, false, &[2; 8], 0)).is_ok());
        let repeated = add(&mut pool, fragment(1, 0, true, &[1; 8], 0));
        assert_eq!(repeated, Err(Skipped::FragmentRepeated));
        let waiting = add(&mut pool, fragment(1, 0, true, &[3; 8], 0));
        assert_eq!(waiting, Err(Skipped::FragmentWaiting));
        let (payload, _) = add(&mut pool, fragment(1, 8, false, &[2; 8], 0)).unwrap();
        assert_eq!(payload[..9], [3, 3, 3, 3, 3, 3, 3, 3, 2]);
        assert_eq!(pool.tally().rebuilt, 2);
    }

    #[test]
    fn beyond_the_cap_on_datagrams_the_oldest_is_given_up() {
        let mut pool = pool(2, 1000);
        for id in 1..=3 {
            assert!(add(&mut pool, fragment(id, 0, true, &[1; 8], 0)).is_err());
        }
        assert_eq!((pool.tally().evicted, pool.tally().waiting), (1, 2));
        let gone = add(&mut pool, fragment(1, 8, false, &[2; 8], 0));
        assert_eq!(gone, Err(Skipped::FragmentWaiting));
        assert!(add(&mut pool, fragment(3, 8, false, &[2; 8], 0)).is_ok());
        assert_eq!(pool.order.len(), pool.datagrams.len());
    }

    #[test]
    fn beyond_the_cap_on_bytes_the_oldest_is_given_up_but_not_for_itself() {
        let mut pool = pool(10, 100);
        for id in 1..=4 {
            assert!(add(&mut pool, fragment(id, 0, true, &[1; 32], 0)).is_err());
        }
        assert_eq!((pool.tally().evicted, pool.bytes), (1, 96));
        let large = add(&mut pool, fragment(4, 96, true, &[1; 8], 0));
        assert_eq!(large, Err(Skipped::FragmentCap));
        assert_eq!((pool.tally().evicted, pool.bytes), (3, 32));
    }

    #[test]
    fn old_datagrams_are_given_up_by_the_captures_clock() {
        let mut pool = pool(10, 1000);
        assert!(add(&mut pool, fragment(1, 0, true, &[1; 8], 0)).is_err());
        let mut late = fragment(1, 8, false, &[2; 8], 0);
        late.time = Some(Timestamp::from_nanos(1_000_000_001));
        assert_eq!(add(&mut pool, late), Err(Skipped::FragmentWaiting));
        assert_eq!((pool.tally().expired, pool.tally().waiting), (1, 1));
        // A clock that goes back, or is absent, makes nothing old.
        let mut back = fragment(1, 0, true, &[1; 8], 0);
        back.time = Some(Timestamp::from_nanos(-500));
        assert!(add(&mut pool, back).is_ok());
    }

    #[test]
    fn fragments_that_no_sender_makes_are_malformed() {
        let mut pool = pool(10, 100_000);
        for wrong in [
            fragment(1, 0, true, &[], 0),
            fragment(1, 0, true, &[1; 7], 0),
            fragment(1, 65_528, false, &[1; 8], 0),
            fragment(1, 8, false, &[1; 8], usize::MAX),
        ] {
            assert_eq!(add(&mut pool, wrong), Err(Skipped::MalformedIp));
        }
        assert_eq!(pool.bytes, 0);
    }
}
