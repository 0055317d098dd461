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

/// Entries before equal ones are joined for the first time.
const FIRST_JOINED: usize = 64;

/// Spans of time, to three digits.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    count: u64,
    /// Steps and how often each came. Joined now and then, so there are at most twice as many
    /// entries as steps that came, which are 50,000 at most.
    steps: Vec<(u32, u32)>,
    /// The least and the greatest, exact, in nanoseconds.
    ends: Option<(u64, u64)>,
}

impl Spans {
    pub(super) fn add(&mut self, span: Span) {
        let nanos = span.nanos().max(0) as u64;
        self.count += 1;
        let (least, greatest) = self.ends.unwrap_or((nanos, nanos));
        self.ends = Some((least.min(nanos), greatest.max(nanos)));
        if self.steps.len() == self.steps.capacity() {
            self.make_room();
        }
        self.steps.push((step(nanos), 1));
    }

    #[cold]
    fn make_room(&mut self) {
        join(&mut self.steps);
        // With half of the room free again, joining costs each entry a few steps of a sort.
        let room = (2 * self.steps.len()).max(FIRST_JOINED);
        self.steps.reserve_exact(room - self.steps.len());
    }

    /// How many spans.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Minimum, median, 95th and 99th percentile, maximum.
    pub fn quantiles(&self) -> Option<[Span; 5]> {
        let (least, greatest) = self.ends?;
        let mut steps = self.steps.clone();
        join(&mut steps);
        let at = |quantile: f64| {
            let rank = ((quantile * self.count as f64).ceil() as u64).max(1);
            let mut so_far = 0;
            let step = steps.iter().find(|(_, times)| {
                so_far += u64::from(*times);
                so_far >= rank
            });
            // A value is known by the upper end of its step.
            step.map_or(greatest, |(step, _)| upper_end(*step))
                .clamp(least, greatest)
        };
        Some(
            [least, at(0.5), at(0.95), at(0.99), greatest]
                .map(|nanos| Span::from_nanos(nanos.min(i64::MAX as u64) as i64)),
        )
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

/// Sorts `steps` and makes one entry of equal ones, as far as its number can count them.
fn join(steps: &mut Vec<(u32, u32)>) {
    steps.sort_unstable();
    steps.dedup_by(|later, kept| {
        let sum = kept.1.checked_add(later.1).filter(|_| kept.0 == later.0);
        kept.1 = sum.unwrap_or(kept.1);
        sum.is_some()
    });
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
        assert!(spans.steps.capacity() <= 2 * FIRST_JOINED);
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
