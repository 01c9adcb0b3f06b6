//! What failed, how often, and when it may be tried again.
//!
//! Attempts count per range and only without progress: a fetch that brought a byte starts again at
//! one. After the last attempt the range cools down: read-ahead leaves it alone, a read does not.

use crate::byte_range::ByteRange;
use crate::config::RetryConfig;
use crate::error::Error;
use crate::time::Micros;

/// How long read-ahead leaves a range alone whose attempts are used up.
const COOL_DOWN: Micros = Micros::from_millis(30_000);

/// A small generator of numbers that look random, the same for the same seed (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    /// A generator.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// At least 0, below 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// At least 0, below `bound`; 0 if that is 0.
    #[cfg(test)]
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}

/// The pause after the `attempts`-th attempt failed: doubling, capped, partly random.
pub(crate) fn pause(config: &RetryConfig, attempts: u32, rng: &mut Rng) -> Micros {
    let first = Micros::from(config.backoff).0;
    let doubled = first.saturating_mul(1 << attempts.saturating_sub(1).min(32));
    let whole = doubled.min(Micros::from(config.max_backoff).0) as f64;
    Micros((whole * (1.0 - config.jitter * rng.unit())) as u64)
}

/// What is known about a range that failed.
#[derive(Debug, Clone)]
pub(crate) struct Retry {
    /// Which bytes.
    pub(crate) range: ByteRange,
    /// Attempts so far without progress.
    pub(crate) attempts: u32,
    /// Until when nobody asks; `None` once that is over.
    pub(crate) until: Option<Micros>,
    /// Whether the pause is imposed on reads too: one waited when it failed, or the server named the time
    /// (`Retry-After`, RFC 9110 section 10.2.3).
    pub(crate) strict: bool,
    /// What went wrong last.
    pub(crate) error: Error,
}

/// The ranges of one resource that failed, sorted and apart from each other.
#[derive(Debug, Clone, Default)]
pub(crate) struct Retries(Vec<Retry>);

impl Retries {
    /// `retry` replaces what was known about its range.
    pub(crate) fn add(&mut self, retry: Retry) {
        if retry.range.is_empty() {
            return;
        }
        self.forget(retry.range);
        let at = self.0.partition_point(|known| known.range.start < retry.range.start);
        self.0.insert(at, retry);
    }

    /// Nothing is known about `range` any more.
    pub(crate) fn forget(&mut self, range: ByteRange) {
        if !self.0.iter().any(|known| known.range.overlaps(range)) {
            return;
        }
        let mut kept = Vec::with_capacity(self.0.len() + 1);
        for known in self.0.drain(..) {
            let before = known.range.until(range.start);
            let after = ByteRange::new(known.range.start.max(range.end), known.range.end);
            for part in [before, after] {
                if !part.is_empty() {
                    kept.push(Retry { range: part, ..known.clone() });
                }
            }
        }
        self.0 = kept;
    }

    /// Which ranges failed.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = ByteRange> + '_ {
        self.0.iter().map(|known| known.range)
    }

    /// What is known about the byte at `offset`.
    pub(crate) fn at(&self, offset: u64) -> Option<&Retry> {
        self.0.iter().find(|known| known.range.contains(offset))
    }

    /// The number of the next attempt at `range`; its past is forgotten, the fetch remembers it now.
    pub(crate) fn attempt(&mut self, range: ByteRange) -> u32 {
        let here = self.0.iter().filter(|known| known.range.overlaps(range));
        let past = here.map(|known| known.attempts).max().unwrap_or(0);
        self.forget(range);
        past + 1
    }

    /// A read waits for `range`: what backs off there for the sake of read-ahead, or has cooled down
    /// after its last attempt, may be tried at once and from the start. Returns those ranges.
    pub(crate) fn pardon(&mut self, range: ByteRange, max_attempts: u32) -> Vec<ByteRange> {
        let (pardoned, kept) = self.0.drain(..).partition(|known: &Retry| {
            known.range.overlaps(range) && (!known.strict || known.attempts >= max_attempts)
        });
        self.0 = kept;
        let pardoned: Vec<Retry> = pardoned;
        pardoned.into_iter().map(|known| known.range).collect()
    }

    /// Ends the pauses that are over at `now`. Returns their ranges.
    pub(crate) fn due(&mut self, now: Micros) -> Vec<ByteRange> {
        let mut due = Vec::new();
        for known in &mut self.0 {
            if known.until.is_some_and(|until| until <= now) {
                known.until = None;
                due.push(known.range);
            }
        }
        due
    }

    /// When the next pause ends.
    pub(crate) fn next(&self) -> Option<Micros> {
        self.0.iter().filter_map(|known| known.until).min()
    }

    /// When to leave a range alone until, after its attempts are used up at `now`.
    pub(crate) fn cool_down(now: Micros) -> Micros {
        now + COOL_DOWN
    }

    /// Nothing is known about what lies at or past `len`.
    pub(crate) fn set_len(&mut self, len: u64) {
        self.forget(ByteRange::new(len, u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(start: u64, end: u64, attempts: u32, until: Option<u64>) -> Retry {
        let range = ByteRange::new(start, end);
        let error = Error::Truncated { at: start };
        Retry { range, attempts, until: until.map(Micros), strict: true, error }
    }

    fn ranges(retries: &Retries) -> Vec<(u64, u64, u32)> {
        retries.0.iter().map(|r| (r.range.start, r.range.end, r.attempts)).collect()
    }

    #[test]
    fn n4_pauses_double_up_to_the_longest() {
        let config = RetryConfig { jitter: 0.0, ..Default::default() };
        let mut rng = Rng::new(0);
        let pauses: Vec<u64> =
            (1..8).map(|attempts| pause(&config, attempts, &mut rng).0 / 1000).collect();
        assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000]);
        assert_eq!(pause(&config, u32::MAX, &mut rng), Micros::from_millis(4000));
        assert_eq!(pause(&config, 0, &mut rng), Micros::from_millis(250));
    }

    #[test]
    fn n4_jitter_takes_away_its_share_at_most() {
        let config = RetryConfig { jitter: 0.3, ..Default::default() };
        let mut rng = Rng::new(7);
        let pauses: Vec<u64> = (0..1000).map(|_| pause(&config, 1, &mut rng).0).collect();
        assert!(pauses.iter().all(|pause| (175_000..=250_000).contains(pause)));
        assert!(pauses.iter().any(|pause| *pause < 180_000));
        assert!(pauses.iter().any(|pause| *pause > 245_000));
    }

    #[test]
    fn the_newest_failure_replaces_what_it_overlaps() {
        let mut retries = Retries::default();
        retries.add(retry(10, 40, 1, None));
        retries.add(retry(20, 30, 2, None));
        retries.add(retry(0, 0, 9, None));
        assert_eq!(ranges(&retries), [(10, 20, 1), (20, 30, 2), (30, 40, 1)]);
        assert_eq!(retries.at(30).map(|known| known.attempts), Some(1));
        assert!(retries.at(40).is_none());
        retries.set_len(25);
        assert_eq!(ranges(&retries), [(10, 20, 1), (20, 25, 2)]);
        retries.forget(ByteRange::new(12, 12));
        retries.forget(ByteRange::new(0, 15));
        assert_eq!(ranges(&retries), [(15, 20, 1), (20, 25, 2)]);
    }

    #[test]
    fn n4_the_next_attempt_counts_on_and_takes_the_past_with_it() {
        let mut retries = Retries::default();
        retries.add(retry(10, 20, 1, None));
        retries.add(retry(20, 40, 3, None));
        assert_eq!(retries.attempt(ByteRange::new(15, 30)), 4);
        assert_eq!(ranges(&retries), [(10, 15, 1), (30, 40, 3)]);
        assert_eq!(retries.attempt(ByteRange::new(50, 60)), 1);
    }

    #[test]
    fn pauses_end_one_by_one() {
        let mut retries = Retries::default();
        retries.add(retry(0, 10, 1, Some(50)));
        retries.add(retry(10, 20, 1, Some(30)));
        assert_eq!(retries.next(), Some(Micros(30)));
        assert_eq!(retries.due(Micros(29)), []);
        assert_eq!(retries.due(Micros(30)), [ByteRange::new(10, 20)]);
        assert_eq!(retries.next(), Some(Micros(50)));
        assert_eq!(retries.due(Micros(60)), [ByteRange::new(0, 10)]);
        assert_eq!(retries.next(), None);
        assert_eq!(ranges(&retries).len(), 2, "attempts are remembered");
    }

    #[test]
    fn e7_a_read_is_pardoned_what_was_not_its_own_pause() {
        let mut retries = Retries::default();
        let read_ahead = Retry { strict: false, ..retry(0, 10, 2, Some(9)) };
        retries.add(read_ahead);
        retries.add(retry(10, 20, 2, Some(9)));
        retries.add(retry(20, 30, 5, Some(9)));
        assert_eq!(retries.pardon(ByteRange::new(30, 31), 5), []);
        let pardoned = retries.pardon(ByteRange::new(5, 25), 5);
        assert_eq!(pardoned, [ByteRange::new(0, 10), ByteRange::new(20, 30)]);
        assert_eq!(ranges(&retries), [(10, 20, 2)]);
    }

    #[test]
    fn equal_seeds_give_equal_numbers() {
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..5).map(|_| rng.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(3), draw(3));
        assert_ne!(draw(3), draw(4));
        assert_eq!(Rng::new(1).below(0), 0);
    }

    /// The first numbers that splitmix64 gives for the seed 0, as its authors tell them.
    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut rng = Rng::new(0);
        let numbers = [rng.next(), rng.next(), rng.next()];
        assert_eq!(numbers, [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4, 0x06c4_5d18_8009_454f]);
        assert_eq!(Rng::new(0).unit(), (0xe220_a839_7b1d_cdaf_u64 >> 11) as f64 / 2f64.powi(53));
    }

    #[test]
    fn n4_a_range_whose_attempts_are_used_up_is_left_alone_for_half_a_minute() {
        assert_eq!(Retries::cool_down(Micros(7)), Micros(30_000_007));
    }
}
