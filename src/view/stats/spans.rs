//! Spans of time by the thousand: their number, their ends and their quantiles.
//!
//! Values are kept to three digits, as an HDR histogram of that precision keeps them, but only
//! those that came: a histogram with all of its counters takes 120 KB a topic, and to clear
//! them took half of a run's system time.

use crate::base::Span;

/// Steps of values below 2^20 ns are of 2^9 ns; from there on each doubling of the value
/// doubles the step, so that 1,024 steps or more lie in each.
const FINEST: u32 = 9;
const STEPS: u64 = 2_048;

/// Spans that are listed before they are counted by step.
const LISTED: usize = 1_024;
/// Steps that share a page of counters: as many as a cache line has, since spans that are all
/// different, as an attacker can make them, take a page each.
const PAGE: usize = 16;

/// Spans of time, to three digits.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    count: u64,
    /// The least and the greatest, exact, in nanoseconds.
    ends: Option<(u64, u64)>,
    /// The steps of the latest, fewer than [`LISTED`].
    listed: Vec<u32>,
    /// How often each step came before those: in pages, of which only those are there in which
    /// a step came. To sort a list again and again instead was two thirds of what a handshake
    /// cost; and all that one list holds is counted in less than each by itself.
    pages: Vec<Option<Box<[u32; PAGE]>>>,
}

impl Spans {
    #[inline]
    pub(super) fn add(&mut self, span: Span) {
        let nanos = span.nanos().max(0) as u64;
        self.count += 1;
        let (least, greatest) = self.ends.unwrap_or((nanos, nanos));
        self.ends = Some((least.min(nanos), greatest.max(nanos)));
        self.listed.push(step(nanos));
        if self.listed.len() == LISTED {
            self.count_listed();
        }
    }

    #[inline(never)]
    fn count_listed(&mut self) {
        for step in self.listed.drain(..) {
            let (page, place) = (step as usize / PAGE, step as usize % PAGE);
            if page >= self.pages.len() {
                self.pages.resize(page + 1, None);
            }
            if let Some(page) = self.pages.get_mut(page) {
                let page = page.get_or_insert_with(|| Box::new([0; PAGE]));
                if let Some(count) = page.get_mut(place) {
                    *count = count.saturating_add(1);
                }
            }
        }
    }

    /// How many spans.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Minimum, median, 95th and 99th percentile, maximum.
    pub fn quantiles(&self) -> Option<[Span; 5]> {
        let (least, greatest) = self.ends?;
        let mut all = self.clone();
        if all.pages.is_empty() {
            all.listed.sort_unstable();
        } else {
            all.count_listed();
        }
        let at = |quantile: f64| {
            let rank = ((quantile * self.count as f64).ceil() as u64).max(1);
            let step = match all.pages.is_empty() {
                true => all.listed.get((rank - 1) as usize).copied(),
                false => all.step_of_rank(rank),
            };
            // A value is known by the upper end of its step.
            step.map_or(greatest, upper_end).clamp(least, greatest)
        };
        Some(
            [least, at(0.5), at(0.95), at(0.99), greatest]
                .map(|nanos| Span::from_nanos(nanos.min(i64::MAX as u64) as i64)),
        )
    }

    /// The step of the span that is the `rank`th, from 1, by the pages.
    fn step_of_rank(&self, rank: u64) -> Option<u32> {
        let mut so_far = 0;
        for (page, counts) in self.pages.iter().enumerate() {
            for (place, count) in counts.iter().flat_map(|counts| counts.iter().enumerate()) {
                so_far += u64::from(*count);
                if so_far >= rank {
                    return Some((page * PAGE + place) as u32);
                }
            }
        }
        None
    }
}

/// The step that a value lies in; a greater value lies in the same or a greater one.
fn step(nanos: u64) -> u32 {
    let octave = doublings(nanos);
    octave * STEPS as u32 + (nanos >> (FINEST + octave)) as u32
}

/// How often the step of a value was doubled.
fn doublings(nanos: u64) -> u32 {
    let finest = STEPS << FINEST;
    (finest - 1).leading_zeros() - (nanos | (finest - 1)).leading_zeros()
}

/// The greatest value of a step.
fn upper_end(step: u32) -> u64 {
    let (octave, place) = (step / STEPS as u32, u64::from(step) % STEPS);
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
        assert_eq!(spans.count(), 100_000);
        let pages = spans.pages.iter().flatten().count();
        assert!(
            spans.listed.capacity() <= LISTED && pages <= 7,
            "{pages} pages"
        );
        assert_eq!(spans.quantiles().unwrap()[4], Span::from_nanos(6_000_000));
    }

    proptest! {
        #[test]
        fn quantiles_are_those_of_an_hdr_histogram_of_three_digits(
            values in prop::collection::vec((0..62_u32, 0..i64::MAX), 1..400),
            // Enough of them are listed no longer.
            times in prop_oneof![Just(1_usize), Just(4)],
        ) {
            let mut spans = Spans::default();
            let mut histogram = Histogram::<u64>::new_with_bounds(1_000, 10_000_000_000, 3).unwrap();
            histogram.auto(true);
            for (shift, value) in values.repeat(times) {
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
