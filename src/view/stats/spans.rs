//! Durations by the thousand: their number, their ends and their quantiles.
//!
//! Values are kept to three digits, in the buckets of an HDR histogram of that precision, but
//! only those buckets that came: a histogram with all of its counters takes 120 KB a topic.

use std::collections::BTreeMap;

use crate::base::Span;

/// Buckets of values below 2^20 ns are 2^9 ns wide; from there on each doubling of the value
/// doubles the width, so that 1,024 buckets or more lie in each.
const FINEST: u32 = 9;
const BUCKETS: u64 = 2_048;

/// Durations, to three digits; at most 40,000 buckets of 12 bytes, however many there are.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    count: u64,
    /// The shortest and the longest, exact, in nanoseconds.
    ends: Option<(u64, u64)>,
    /// How many durations lie in each bucket that came.
    buckets: BTreeMap<u32, u64>,
}

impl Spans {
    /// Counts a duration; a negative one, of a clock that was set back, as 0.
    pub fn add(&mut self, span: Span) {
        let nanos = span.nanos().max(0) as u64;
        self.count += 1;
        let (least, greatest) = self.ends.unwrap_or((nanos, nanos));
        self.ends = Some((least.min(nanos), greatest.max(nanos)));
        *self.buckets.entry(bucket(nanos)).or_default() += 1;
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Returns minimum, median, 95th and 99th percentile, maximum; `None` of no durations.
    pub fn quantiles(&self) -> Option<[Span; 5]> {
        let (least, greatest) = self.ends?;
        let at = |quantile| self.at(quantile).clamp(least, greatest);
        Some(
            [least, at(0.5), at(0.95), at(0.99), greatest]
                .map(|nanos| Span::from_nanos(nanos.min(i64::MAX as u64) as i64)),
        )
    }

    /// Returns the upper end of the bucket in which this quantile lies: as an HDR histogram does.
    fn at(&self, quantile: f64) -> u64 {
        let rank = ((quantile * self.count as f64).ceil() as u64).max(1);
        let mut so_far = 0;
        let found = self.buckets.iter().find(|(_, count)| {
            so_far += **count;
            so_far >= rank
        });
        found.map_or(u64::MAX, |(bucket, _)| upper_end(*bucket))
    }
}

/// Returns the bucket that a value lies in; a greater value lies in the same or a greater one.
fn bucket(nanos: u64) -> u32 {
    let octave = doublings(nanos);
    octave * BUCKETS as u32 + (nanos >> (FINEST + octave)) as u32
}

/// Returns how often the width of a value's bucket was doubled.
fn doublings(nanos: u64) -> u32 {
    let finest = BUCKETS << FINEST;
    (finest - 1).leading_zeros() - (nanos | (finest - 1)).leading_zeros()
}

/// Returns the greatest value of a bucket.
fn upper_end(bucket: u32) -> u64 {
    let (octave, place) = (bucket / BUCKETS as u32, u64::from(bucket) % BUCKETS);
    ((place + 1) << (FINEST + octave)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::Histogram;
    use proptest::prelude::*;

    #[test]
    fn quantiles_lie_between_the_least_and_the_greatest_which_are_exact() {
        let mut spans = Spans::default();
        assert_eq!(spans.quantiles(), None);
        for micros in [33_i64, 47, 106, 40_123] {
            spans.add(Span::from_nanos(micros * 1_000));
        }
        let quantiles = spans.quantiles().unwrap().map(Span::nanos);
        assert_eq!((quantiles[0], quantiles[4]), (33_000, 40_123_000));
        assert!((47_000..47_600).contains(&quantiles[1]), "{quantiles:?}");
        assert!(quantiles.is_sorted());
    }

    #[test]
    fn many_equal_spans_take_the_room_of_few() {
        let mut spans = Spans::default();
        for at in 0..100_000_i64 {
            spans.add(Span::from_nanos(at % 7 * 1_000_000));
        }
        assert_eq!((spans.count(), spans.buckets.len()), (100_000, 7));
        assert_eq!(spans.quantiles().unwrap()[4], Span::from_nanos(6_000_000));
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_an_hdr_histogram_of_three_digits(
            values in prop::collection::vec((0..62_u32, 0..i64::MAX), 1..400),
        ) {
            let mut spans = Spans::default();
            let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 10_000_000_000, 3).unwrap();
            histogram.auto(true);
            for (shift, value) in values {
                let value = value >> shift;
                spans.add(Span::from_nanos(value));
                histogram.record(value as u64).unwrap();
            }
            let (least, greatest) = spans.ends.unwrap();
            let at = |quantile| {
                let value = histogram.value_at_quantile(quantile).clamp(least, greatest);
                Span::from_nanos(value as i64)
            };
            let [_, median, most, nearly_all, _] = spans.quantiles().unwrap();
            prop_assert_eq!([median, most, nearly_all], [at(0.5), at(0.95), at(0.99)]);
        }
    }
}
