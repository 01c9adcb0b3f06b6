//! Figures of a series: percentiles, in milliseconds and in round trips.

use std::time::Duration;

use serde::Serialize;

/// Median, ninth decile and largest of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    /// Half of the values are at most this.
    pub(crate) p50: f64,
    /// Nine of ten values are at most this.
    pub(crate) p90: f64,
    /// The largest.
    pub(crate) max: f64,
}

impl Spread {
    /// Of times, in milliseconds; `None` of none.
    pub(crate) fn of(times: &[Duration]) -> Option<Self> {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        let rank = |share: f64| {
            let rank = (share * sorted.len() as f64).ceil() as usize;
            sorted.get(rank.saturating_sub(1)).map(|time| ms(*time))
        };
        Some(Self { p50: rank(0.5)?, p90: rank(0.9)?, max: rank(1.0)? })
    }

    /// The same in times of `unit`.
    pub(crate) fn in_units_of(self, unit: f64) -> Option<Self> {
        let unit = Some(unit).filter(|unit| *unit > 0.0)?;
        let share = |value: f64| round(value / unit);
        Some(Self { p50: share(self.p50), p90: share(self.p90), max: share(self.max) })
    }
}

/// Milliseconds, to the microsecond.
pub(crate) fn ms(time: Duration) -> f64 {
    round(time.as_secs_f64() * 1e3)
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// Pseudo-random numbers of a seed: the same on every machine (splitmix64).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// The series of `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `end`, which is above zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // The high half of the product: evenly spread over 0..end.
        ((u128::from(z ^ (z >> 31)) * u128::from(end)) >> 64) as u64
    }

    /// Mixes the order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            let with = self.below(at as u64 + 1);
            items.swap(at, with as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_series() {
        let times: Vec<_> = (1..=10).rev().map(Duration::from_millis).collect();
        assert_eq!(Spread::of(&times), Some(Spread { p50: 5.0, p90: 9.0, max: 10.0 }));
        let one = Spread::of(&times[..1]).expect("a value");
        assert_eq!(one, Spread { p50: 10.0, p90: 10.0, max: 10.0 });
        assert_eq!(one.in_units_of(4.0).map(|spread| spread.p50), Some(2.5));
        assert_eq!(one.in_units_of(0.0), None);
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn numbers_are_below_their_end_and_a_shuffle_loses_nothing() {
        let mut random = Random::new(1);
        for end in [1, 2, 3, 1000, u64::MAX] {
            assert!((0..100).all(|_| random.below(end) < end));
        }
        let mut items: Vec<u64> = (0..50).collect();
        random.shuffle(&mut items);
        assert_ne!(items, (0..50).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..50).collect::<Vec<_>>());
    }
}
