//! What one origin's link looks like: first-byte times and rates, measured on network transfers only.
//!
//! Until something was measured: 80 ms and 20 Mbit/s.

use std::collections::VecDeque;

use crate::sched::event::Estimate;
use crate::time::Micros;

/// First-byte time until one was measured.
const FIRST_BYTE_GUESS: Micros = Micros::from_millis(80);
/// Bytes per second until they were measured: 20 Mbit/s.
const RATE_GUESS: f64 = 2_500_000.0;
/// First-byte times kept: enough for a median, few enough to follow a change of network.
const RECENT: usize = 32;
/// First-byte times kept for the slow end of them: enough that one in twenty is three of them.
const RECENT_TAIL: usize = 64;
/// Shortest time over which a rate is taken, so that bytes which the kernel had buffered do not pass
/// for a fast link.
const SAMPLE: Micros = Micros::from_millis(50);
/// A transfer that ends sooner than that counts if it had at least so many bytes.
const SAMPLE_BYTES: u64 = 64 << 10;
/// A first byte is hardly ever later than so many standard deviations.
const LATE_SPREADS: u64 = 4;
/// How fast old samples fade, in seconds.
const FADE: f64 = 0.5;
/// For so long a slow body may just be a connection that opens its window.
const RAMP: Micros = Micros::from_millis(500);
/// Bytes that a new or idle connection sends at once: ten packets.
pub(crate) const FIRST_FLIGHT: u64 = 14 << 10;
/// A sender takes an ack for overdue, or itself for idle, so long after a round trip.
pub(super) const SENDER_TIMEOUT: Micros = Micros::from_millis(200);

/// Bytes per second over the time in which bytes were coming.
#[derive(Debug, Clone, Default)]
pub(crate) struct Meter {
    begun: Option<Micros>,
    mark: Option<Micros>,
    bytes: u64,
    rate: Option<f64>,
}

impl Meter {
    /// From now on bytes are coming.
    pub(crate) fn begin(&mut self, now: Micros) {
        self.begun = Some(now);
        self.sample_from(now);
    }

    fn sample_from(&mut self, now: Micros) {
        self.mark = Some(now);
        self.bytes = 0;
    }

    /// So many came. Without `begin` this begins.
    pub(crate) fn add(&mut self, now: Micros, bytes: u64) {
        let Some(mark) = self.mark else {
            return self.begin(now);
        };
        self.bytes += bytes;
        if now.since(mark) >= SAMPLE {
            self.fold(now, mark);
            self.sample_from(now);
        }
    }

    /// No bytes are coming for a while.
    pub(crate) fn end(&mut self, now: Micros) {
        if let Some(mark) = self.mark.take()
            && self.bytes >= SAMPLE_BYTES
            && now > mark
        {
            self.fold(now, mark);
        }
        self.bytes = 0;
    }

    /// The rate, once there was a sample.
    pub(crate) fn rate(&self) -> Option<f64> {
        self.rate
    }

    fn fold(&mut self, now: Micros, mark: Micros) {
        let seconds = now.since(mark).as_secs_f64();
        let sample = self.bytes as f64 / seconds;
        let ramping = self.begun.is_some_and(|begun| now.since(begun) < RAMP);
        if ramping && sample < self.rate.unwrap_or(RATE_GUESS) {
            return;
        }
        let weight = seconds / (seconds + FADE);
        self.rate = Some(self.rate.map_or(sample, |rate| rate + (sample - rate) * weight));
    }
}

/// The first-byte times measured last.
#[derive(Debug, Clone, Default)]
struct FirstBytes(VecDeque<Micros>);

impl FirstBytes {
    fn add(&mut self, after: Micros) {
        self.0.push_back(after);
        if self.0.len() > RECENT {
            self.0.pop_front();
        }
    }

    fn least(&self) -> Option<Micros> {
        self.0.iter().min().copied()
    }

    fn median(&self) -> Option<Micros> {
        let mut sorted: Vec<Micros> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

/// Everything measured about one origin.
#[derive(Debug, Clone, Default)]
pub(crate) struct Estimator {
    /// Over a connection used before, while nothing else came in.
    warm: FirstBytes,
    /// The same while other bodies came in: their bytes stand in the queue before it.
    loaded: FirstBytes,
    /// Both of these, further back.
    tail: VecDeque<Micros>,
    cold: Option<Micros>,
    flow: Option<f64>,
    path: Meter,
    streaming: u32,
}

impl Estimator {
    /// An answer began `after` its request was sent; `warm` if over a connection used before, `loaded` if
    /// other bodies were coming in then.
    pub(crate) fn answered(&mut self, after: Micros, warm: bool, loaded: bool) {
        if warm {
            self.tail.push_back(after);
            if self.tail.len() > RECENT_TAIL {
                self.tail.pop_front();
            }
        }
        match (warm, loaded) {
            (true, false) => self.warm.add(after),
            (true, true) => self.loaded.add(after),
            (false, _) => self.cold = Some(after),
        }
    }

    /// An answer began `after` its request was sent over a connection whose handshakes had begun before.
    pub(crate) fn began_cold(&mut self, after: Micros) {
        if self.cold.is_none() && after > self.link().cold {
            self.cold = Some(after);
        }
    }

    /// Whether a body is coming in.
    pub(crate) fn is_loaded(&self) -> bool {
        self.streaming > 0
    }

    /// How much later a first byte comes for what stands in the queue before it now.
    pub(crate) fn queue(&self) -> Micros {
        let loaded = self.loaded.median().filter(|_| self.is_loaded());
        let alone = self.warm.median();
        loaded.zip(alone).map_or(Micros(0), |(loaded, alone)| loaded.since(alone))
    }

    /// One more body is coming in.
    pub(crate) fn body_began(&mut self, now: Micros) {
        self.streaming += 1;
        if self.streaming == 1 {
            self.path.begin(now);
        }
    }

    /// Bytes came, and the flow that brought them runs at `flow` bytes per second.
    pub(crate) fn received(&mut self, now: Micros, bytes: u64, flow: Option<f64>) {
        self.path.add(now, bytes);
        if flow.is_some() {
            self.flow = flow;
        }
    }

    /// One body less.
    pub(crate) fn body_ended(&mut self, now: Micros, flow: Option<f64>) {
        self.streaming = self.streaming.saturating_sub(1);
        if self.streaming == 0 {
            self.path.end(now);
        }
        if flow.is_some() {
            self.flow = flow;
        }
    }

    /// What to reckon with.
    pub(crate) fn link(&self) -> Link {
        let first_byte = self.first_byte().unwrap_or(FIRST_BYTE_GUESS);
        let least = [self.warm.least(), self.loaded.least()].into_iter().flatten().min();
        let round_trip = least.unwrap_or(FIRST_BYTE_GUESS);
        let cold = self.cold.unwrap_or(first_byte + Micros(2 * round_trip.0)).max(first_byte);
        let flow = self.flow.unwrap_or(RATE_GUESS).max(1.0);
        let path = self.path.rate().unwrap_or(RATE_GUESS).max(flow);
        let late = first_byte + Micros(self.spread().0.saturating_mul(LATE_SPREADS));
        Link { round_trip, first_byte, late, cold, flow, path }
    }

    /// What to show.
    pub(crate) fn estimate(&self) -> Estimate {
        Estimate { first_byte: self.first_byte(), rate: self.flow.map(|rate| rate as u64) }
    }

    /// The first-byte time that 19 of 20 warm answers keep to; `None` before the first measurement.
    pub(crate) fn p95(&self) -> Option<Micros> {
        let mut sorted: Vec<Micros> = self.tail.iter().copied().collect();
        sorted.sort_unstable();
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted.get(rank.checked_sub(1)?).copied()
    }

    /// The standard deviation of warm first-byte times.
    fn spread(&self) -> Micros {
        let count = self.tail.len().max(1) as f64;
        let mean = self.tail.iter().map(|after| after.0 as f64).sum::<f64>() / count;
        let off = |after: &Micros| (after.0 as f64 - mean) * (after.0 as f64 - mean);
        Micros((self.tail.iter().map(off).sum::<f64>() / count).sqrt() as u64)
    }

    fn first_byte(&self) -> Option<Micros> {
        self.warm.median().or(self.loaded.median())
    }
}

/// What decisions reckon with: measured where possible, guessed where not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Link {
    /// R: the round trip.
    pub(crate) round_trip: Micros,
    /// R + S: from a request on a warm connection to its first byte.
    pub(crate) first_byte: Micros,
    /// What hardly any of these takes longer than.
    pub(crate) late: Micros,
    /// The first-byte time on a new connection.
    pub(crate) cold: Micros,
    /// r: bytes per second of one flow.
    pub(crate) flow: f64,
    /// B: bytes per second of the path; never below `flow`.
    pub(crate) path: f64,
}

impl Link {
    /// B R: the bytes that fit into one round trip.
    pub(crate) fn bytes_per_round_trip(&self) -> f64 {
        self.path * self.round_trip.as_secs_f64()
    }

    /// How long a connection takes to open its window: a round trip per doubling.
    pub(crate) fn ramp(&self) -> Micros {
        let full = (self.bytes_per_round_trip() as u64 / FIRST_FLIGHT).max(1);
        Micros(self.round_trip.0.saturating_mul(u64::from(full.ilog2())))
    }

    /// How long a connection takes to open its window again that was idle for `idle`: its sender has halved it for
    /// each timeout gone by.
    pub(crate) fn ramp_after(&self, idle: Micros) -> Micros {
        let halved = idle.0 / (self.round_trip + SENDER_TIMEOUT).0;
        self.ramp().min(Micros(self.round_trip.0.saturating_mul(halved)))
    }

    /// How long `bytes` take at `rate` bytes per second.
    pub(crate) fn time_for(bytes: u64, rate: f64) -> Micros {
        Micros((bytes as f64 / rate.max(1.0) * 1e6) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    #[test]
    fn n12_before_any_measurement_the_guess_holds_and_is_not_shown() {
        let estimator = Estimator::default();
        assert_eq!(estimator.estimate(), Estimate::default());
        let link = estimator.link();
        assert_eq!((link.round_trip, link.first_byte, link.cold), (ms(80), ms(80), ms(240)));
        assert_eq!((link.flow, link.path), (2.5e6, 2.5e6));
        assert_eq!(link.bytes_per_round_trip(), 200_000.0);
    }

    #[test]
    fn n12_first_byte_is_the_median_and_the_round_trip_the_least_of_warm_answers() {
        let mut estimator = Estimator::default();
        estimator.answered(ms(500), false, false);
        for after in [50, 40, 90] {
            estimator.answered(ms(after), true, false);
        }
        let link = estimator.link();
        assert_eq!((link.round_trip, link.first_byte, link.cold), (ms(40), ms(50), ms(500)));
        assert_eq!(estimator.estimate().first_byte, Some(ms(50)));
    }

    #[test]
    fn p4_a_late_first_byte_is_four_standard_deviations_after_the_usual_one() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.link().late, ms(80));
        for after in [40, 60, 40, 60] {
            estimator.answered(ms(after), true, false);
        }
        estimator.answered(ms(900), false, false);
        assert_eq!((estimator.link().first_byte, estimator.link().late), (ms(60), ms(100)));
    }

    #[test]
    fn p7_of_the_last_64_first_byte_times_19_in_20_are_not_above_p95() {
        let mut estimator = Estimator::default();
        assert_eq!(estimator.p95(), None);
        estimator.answered(ms(9000), false, false);
        assert_eq!(estimator.p95(), None, "a new connection says nothing about the server");
        for after in [500, 40] {
            estimator.answered(ms(after), true, after % 2 == 0);
        }
        assert_eq!(estimator.p95(), Some(ms(500)));
        for after in 1..=60 {
            estimator.answered(ms(after), true, after % 2 == 0);
        }
        assert_eq!(estimator.p95(), Some(ms(58)), "the 59th of 62");
        for after in 101..=104 {
            estimator.answered(ms(after), true, after % 2 == 0);
        }
        assert_eq!(estimator.p95(), Some(ms(101)), "the 61st of the last 64");
        for after in std::iter::once(200).chain(1..=60).chain(101..=103) {
            estimator.answered(ms(after), true, false);
        }
        assert_eq!(estimator.p95(), Some(ms(101)), "the oldest one counts");
    }

    #[test]
    fn old_first_byte_times_are_forgotten() {
        let mut estimator = Estimator::default();
        estimator.answered(ms(1), true, false);
        for _ in 0..32 {
            estimator.answered(ms(70), true, false);
        }
        assert_eq!(estimator.link().round_trip, ms(70));
    }

    /// An answer that stood behind read-ahead says nothing about the link alone.
    #[test]
    fn n12_answers_under_load_are_kept_apart() {
        let mut estimator = Estimator::default();
        for after in [70, 90, 80] {
            estimator.answered(ms(after), true, true);
        }
        let link = estimator.link();
        assert_eq!((link.round_trip, link.first_byte), (ms(70), ms(80)), "better than a guess");
        for after in [44, 42, 43] {
            estimator.answered(ms(after), true, false);
        }
        let link = estimator.link();
        assert_eq!((link.round_trip, link.first_byte), (ms(42), ms(43)));
        assert_eq!(estimator.queue(), ms(0), "nothing is coming in");
        estimator.body_began(ms(0));
        assert_eq!(estimator.queue(), ms(37));
        estimator.body_ended(ms(9), None);
        assert_eq!(estimator.queue(), ms(0));
    }

    /// N12: what sat in a buffer and came at once says nothing about the link.
    #[test]
    fn n12_a_burst_shorter_than_the_sample_time_gives_no_rate() {
        let mut meter = Meter::default();
        meter.begin(ms(0));
        meter.add(ms(49), 1 << 20);
        assert_eq!(meter.rate(), None);
        meter.add(ms(50), 0);
        assert_eq!(meter.rate(), Some((1 << 20) as f64 / 0.05));
    }

    #[test]
    fn a_short_transfer_counts_at_its_end_if_it_was_large_enough() {
        let mut meter = Meter::default();
        meter.begin(ms(0));
        meter.add(ms(10), (64 << 10) - 1);
        meter.end(ms(10));
        assert_eq!(meter.rate(), None);
        meter.begin(ms(20));
        meter.add(ms(30), 64 << 10);
        meter.end(ms(30));
        assert_eq!(meter.rate(), Some(65536.0 / 0.01));
    }

    #[test]
    fn the_rate_follows_newer_samples_by_their_length() {
        let mut meter = Meter::default();
        meter.begin(ms(0));
        meter.add(ms(500), 500_000);
        assert_eq!(meter.rate(), Some(1e6));
        meter.add(ms(1000), 1_000_000);
        assert_eq!(meter.rate(), Some(1.5e6));
    }

    #[test]
    fn two_flows_together_are_the_path() {
        let mut estimator = Estimator::default();
        estimator.body_began(ms(0));
        estimator.body_began(ms(0));
        estimator.received(ms(50), 50_000, Some(1e6));
        estimator.received(ms(50), 50_000, Some(1e6));
        estimator.received(ms(100), 100_000, Some(1e6));
        assert_eq!(estimator.link().flow, 1e6);
        assert_eq!(estimator.link().path as u64, 3_000_000);
        estimator.body_ended(ms(100), None);
        estimator.body_ended(ms(100), Some(3e6));
        assert_eq!(estimator.estimate().rate, Some(3_000_000));
    }

    #[test]
    fn n12_the_median_and_the_last_32_answers_count() {
        let mut estimator = Estimator::default();
        for after in [10, 20, 30, 40, 50] {
            estimator.answered(ms(after), true, false);
        }
        assert_eq!(estimator.estimate().first_byte, Some(ms(30)));
        for _ in 0..27 {
            estimator.answered(ms(70), true, false);
        }
        assert_eq!(estimator.link().round_trip, ms(10), "the first one of 32");
        estimator.answered(ms(70), true, false);
        assert_eq!(estimator.link().round_trip, ms(20));
    }

    #[test]
    fn n12_a_newer_sample_weighs_a_third_after_a_quarter_of_a_second() {
        let mut meter = Meter::default();
        meter.begin(ms(0));
        meter.add(ms(500), 500_000);
        meter.add(ms(750), 1_000_000);
        assert_eq!(meter.rate().map(f64::round), Some(2e6), "1 MB/s, and then 4 MB/s");
    }

    /// While a connection opens its window, only a sample below what is believed already is left out.
    #[test]
    fn n12_a_body_as_fast_as_the_guess_counts_from_its_first_sample() {
        let rate_of = |bytes| {
            let mut meter = Meter::default();
            meter.begin(ms(0));
            meter.add(ms(50), bytes);
            meter.rate()
        };
        assert_eq!(rate_of(125_000), Some(RATE_GUESS));
        assert_eq!(rate_of(124_999), None);
    }

    #[test]
    fn n12_bytes_that_came_in_no_time_give_no_rate() {
        let mut meter = Meter::default();
        meter.begin(ms(5));
        meter.add(ms(5), 1 << 20);
        meter.end(ms(5));
        assert_eq!(meter.rate(), None);
    }

    /// The path is measured over the time in which any body is coming, and over no other.
    #[test]
    fn n12_the_path_is_measured_from_the_first_body_to_the_last() {
        let mut estimator = Estimator::default();
        estimator.body_began(ms(0));
        estimator.received(ms(40), 400_000, None);
        estimator.body_began(ms(40));
        estimator.body_ended(ms(45), None);
        estimator.received(ms(50), 200_000, None);
        assert_eq!(estimator.link().path, 12e6, "600 kB in 50 ms");
        estimator.body_ended(ms(50), None);
        estimator.body_began(ms(90_000));
        estimator.received(ms(90_040), 480_000, None);
        estimator.body_ended(ms(90_040), None);
        assert_eq!(estimator.link().path, 12e6, "a short one counts at its end");
        estimator.received(ms(90_500), 1, None);
        assert_eq!(estimator.link().path, 12e6);
    }
}
