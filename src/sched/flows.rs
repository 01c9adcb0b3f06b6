//! Whether one more flow brings more: what an origin's path carries with each number of flows.
//!
//! Where packets are lost, or an origin holds each connection down, flows add up; where the link is full they do not, and
//! each further one only stands in the queue of blocked reads.

use std::collections::BTreeMap;

use crate::ids::OriginId;
use crate::sched::Scheduler;
use crate::sched::estimator::Link;
use crate::sched::inflight::Fetch;
use crate::time::Micros;

/// One more flow is worth its connection if so many times as much comes then (POLICY, "Read-ahead").
const GAIN: f64 = 1.15;
/// A body younger than that, or than so many round trips, is still opening its window.
const SETTLED: Micros = Micros::from_millis(600);
const ROUND_TRIPS: u64 = 4;
/// What was measured counts for so long: networks change.
const FRESH: Micros = Micros::from_millis(20_000);
/// A path that brings so much of its best is full.
const FULL: f64 = 0.8;
/// How fast the best fades, in seconds.
const FADE: f64 = 20.0;
/// What a new measurement counts for.
const WEIGHT: f64 = 0.3;

/// What came with some number of flows.
#[derive(Debug, Clone, Copy)]
struct Carried {
    /// Bytes per second.
    rate: f64,
    /// When that was measured last.
    at: Micros,
}

/// What the flows of an origin bring together, by their number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flows {
    by_count: BTreeMap<usize, Carried>,
    best: Option<Carried>,
}

impl Flows {
    /// `count` flows at their full speed bring `rate` bytes per second together.
    fn note(&mut self, now: Micros, count: usize, rate: f64) {
        let best = self.best(now).map_or(rate, |best| best.max(rate));
        self.best = Some(Carried { rate: best, at: now });
        let known = self.fresh(now, count).unwrap_or(rate);
        self.by_count.insert(count, Carried { rate: known + (rate - known) * WEIGHT, at: now });
    }

    /// Whether `count` flows bring more than one less; `None` while that is not known.
    pub(crate) fn gain(&self, now: Micros, count: usize) -> Option<bool> {
        let less = self.fresh(now, count.checked_sub(1)?)?;
        Some(self.fresh(now, count)? >= less * GAIN)
    }

    /// Whether `rate` is about what the path has brought at best lately, so that more flows would only share it.
    pub(crate) fn is_full(&self, now: Micros, rate: f64) -> bool {
        self.best(now).is_some_and(|best| rate >= best * FULL)
    }

    /// The best that came lately, fading.
    fn best(&self, now: Micros) -> Option<f64> {
        let best = self.best?;
        Some(best.rate * FADE / (FADE + now.since(best.at).as_secs_f64()))
    }

    fn fresh(&self, now: Micros, count: usize) -> Option<f64> {
        let known = self.by_count.get(&count).filter(|known| now.since(known.at) < FRESH);
        known.map(|known| known.rate)
    }
}

/// The rate of a flow that has come to its full speed, in bytes per second.
pub(crate) fn settled(fetch: &Fetch, now: Micros, link: &Link) -> Option<f64> {
    let opening = SETTLED.max(Micros(link.round_trip.0.saturating_mul(ROUND_TRIPS)));
    let least = if fetch.open { Micros(0) } else { opening };
    let age = fetch.answered.map(|at| now.since(at));
    fetch.meter.rate().filter(|_| age.is_some_and(|age| age >= least))
}

impl Scheduler {
    /// Looks at what comes of `id`.
    pub(super) fn measure_flows(&mut self, id: OriginId) {
        let Some(origin) = self.origins.get_mut(&id) else {
            return;
        };
        let link = origin.link();
        let its = |(_, fetch): &(_, &Fetch)| fetch.origin == id && !fetch.cancelled;
        let all = || self.fetches.all().filter(its);
        let sum = all().map(|(_, fetch)| settled(fetch, self.now, &link)).sum::<Option<f64>>();
        if let Some(sum) = sum.filter(|sum| *sum > 0.0) {
            origin.flows.note(self.now, all().count(), sum);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;

    const fn ms(n: u64) -> Micros {
        Micros::from_millis(n)
    }

    /// What one flow and what two bring, in kB/s, measured at 1 s.
    fn known(one: u64, two: u64) -> Flows {
        let mut flows = Flows::default();
        flows.note(ms(1000), 1, one as f64 * 1e3);
        flows.note(ms(1000), 2, two as f64 * 1e3);
        flows
    }

    #[test]
    fn p4_one_more_flow_is_worth_it_where_15_percent_more_comes_then() {
        assert_eq!(known(1000, 1150).gain(ms(1000), 2), Some(true));
        assert_eq!(known(1000, 1149).gain(ms(1000), 2), Some(false));
        assert_eq!(known(1000, 1150).gain(ms(1000), 3), None);
        assert_eq!(known(1000, 1150).gain(ms(1000), 0), None);
    }

    #[test]
    fn p4_what_flows_brought_counts_for_20_s() {
        let flows = known(1000, 2000);
        assert_eq!(flows.gain(ms(20_999), 2), Some(true));
        assert_eq!(flows.gain(ms(21_000), 2), None);
    }

    #[test]
    fn p4_a_path_is_full_that_brings_four_fifths_of_its_best() {
        let flows = known(1000, 2000);
        let full = |at, rate| flows.is_full(ms(at), rate);
        assert_eq!([1_599_999.0, 1_600_000.0].map(|rate| full(1000, rate)), [false, true]);
        assert!(full(21_000, 800_000.0), "after 20 s half of the best counts");
        assert!(!Flows::default().is_full(ms(0), 1e9));
    }

    #[test]
    fn p4_a_new_measurement_counts_for_three_tenths() {
        let mut flows = known(1000, 1000);
        flows.note(ms(2000), 2, 2_000_000.0);
        assert_eq!(flows.fresh(ms(2000), 2), Some(1_300_000.0));
        flows.note(ms(30_000), 2, 5_000_000.0);
        assert_eq!(flows.fresh(ms(30_000), 2), Some(5_000_000.0), "what is old does not count");
    }

    #[test]
    fn p4_a_flow_has_come_to_its_speed_after_600_ms_and_four_round_trips() {
        let link = |round_trip| {
            let (round_trip, rate) = (ms(round_trip), 1e6);
            Link {
                round_trip,
                first_byte: round_trip,
                cold: round_trip,
                flow: rate,
                path: rate,
                late: round_trip,
            }
        };
        let mut fetch = Fetch::sent(ms(0), ByteRange::new(0, 1 << 20));
        assert_eq!(settled(&fetch, ms(9000), &link(10)), None, "no answer yet");
        fetch.answered = Some(ms(1000));
        fetch.meter.begin(ms(1000));
        assert_eq!(settled(&fetch, ms(9000), &link(10)), None, "nothing came yet");
        fetch.meter.add(ms(1050), 500_000);
        let rate = Some(10_000_000.0);
        assert_eq!([1599, 1600].map(|at| settled(&fetch, ms(at), &link(10))), [None, rate]);
        assert_eq!([1799, 1800].map(|at| settled(&fetch, ms(at), &link(200))), [None, rate]);
        fetch.open = true;
        assert_eq!(settled(&fetch, ms(1050), &link(200)), rate, "its connection was open");
    }
}
