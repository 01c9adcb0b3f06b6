//! The read-ahead of one resource: a window for each run of each reader, and one budget for all of them.
//!
//! How many seconds of media are worth having is each reader's own affair. How many bytes that may be is the resource's:
//! where its readers want more together, who consumes faster gets more, so that all have the same time in hand;
//! nobody gets so little that each request is a stall, and who reads no more comes last.

use crate::byte_range::ByteRange;
use crate::config::ReadaheadConfig;
use crate::ids::ReaderId;
use crate::sched::cursors::Cursor;
use crate::sched::estimator::Link;
use crate::sched::resource::Resource;
use crate::sched::window::Stream;
use crate::time::Micros;

/// What a run is left of a scarce budget: what it consumes in so many first-byte times.
const LEAST_REQUESTS: f64 = 4.0;
/// A reader that was not heard of for so long, and for as long as its window lasts, is idle: it would have come to its mark.
const IDLE: Micros = Micros::from_millis(10_000);
/// How often a share is halved to find the one that uses up the budget.
const HALVINGS: usize = 64;

/// The window of a cursor that has read something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Window {
    /// Whose.
    pub(crate) reader: ReaderId,
    /// Whether its reader is the most recently used one.
    pub(crate) primary: bool,
    /// Whether its reader is there, and not elsewhere in turns.
    pub(crate) here: bool,
    /// How fast it is consumed.
    pub(crate) rate: Option<f64>,
    /// From the cursor on, clipped to the length.
    pub(crate) range: ByteRange,
    /// Its size before clipping, in bytes.
    pub(crate) size: u64,
    /// What is consumed while a request takes unusually long, in bytes.
    pub(crate) reserve: u64,
    /// Whether its reader went on from where it began.
    pub(crate) settled: bool,
    /// Where its run began, if it grows with what is read since then.
    pub(crate) grows_from: Option<u64>,
}

impl Window {
    /// With so little left of it, it is to be filled again: half, or what lasts until a late answer; but a quarter must
    /// be missing to be worth a request.
    pub(crate) fn low(&self) -> u64 {
        self.reserve.min(self.size - self.size / 4).max(self.size / 2)
    }
}

/// One run of a reader.
struct RunOf<'a> {
    stream: &'a Stream,
    position: u64,
    rate: Option<f64>,
}

/// How fast the reader of `runs` consumes all of them together, if that is known.
fn total(runs: &[RunOf<'_>]) -> Option<f64> {
    runs.iter().map(|run| run.rate).sum()
}

/// The part of its reader that `run` has, and how fast it is consumed if its reader consumes `total`. Runs share as they
/// are consumed, and evenly until that is known.
fn part(runs: &[RunOf<'_>], run: &RunOf<'_>, together: Option<f64>) -> (f64, Option<f64>) {
    let observed = total(runs).filter(|sum| *sum > 0.0);
    let part = match observed.zip(run.rate) {
        Some((sum, rate)) => rate / sum,
        None => 1.0 / runs.len() as f64,
    };
    (part, together.map(|rate| rate * part))
}

/// What a run would have in front of it if it were alone.
#[derive(Debug, Clone, Copy)]
struct Claim {
    /// All that is worth having, in bytes.
    want: u64,
    /// What it needs.
    least: u64,
    /// How fast it is consumed, if that is known.
    rate: Option<f64>,
    /// Whether its reader reads no more.
    idle: bool,
}

/// What each claim gets of `budget` bytes, which is never exceeded: those who read before those who do not.
fn split(budget: u64, claims: &[Claim]) -> Vec<u64> {
    let mut sizes = vec![0; claims.len()];
    let mut left = budget;
    for idle in [false, true] {
        let these: Vec<usize> = (0..claims.len()).filter(|nth| claims[*nth].idle == idle).collect();
        let of_these: Vec<Claim> = these.iter().map(|nth| claims[*nth]).collect();
        for (nth, size) in these.into_iter().zip(split_evenly(left, &of_these)) {
            sizes[nth] = size;
        }
        left = budget - sizes.iter().sum::<u64>();
    }
    sizes
}

/// The same among equals: so many seconds for everybody, but no more than is wanted and no less than is needed.
fn split_evenly(budget: u64, claims: &[Claim]) -> Vec<u64> {
    let all = |of: fn(&Claim) -> u64| claims.iter().map(of).fold(0, u64::saturating_add);
    if all(|claim| claim.want) <= budget {
        return claims.iter().map(|claim| claim.want).collect();
    }
    let needed = all(|claim| claim.least);
    if needed >= budget {
        let part = |claim: &Claim| {
            u128::from(claim.least) * u128::from(budget) / u128::from(needed.max(1))
        };
        return claims.iter().map(|claim| part(claim) as u64).collect();
    }
    let known: Vec<f64> = claims.iter().filter_map(|claim| claim.rate).collect();
    let usual = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let sizes = |seconds: f64| -> Vec<u64> {
        let bytes = |claim: &Claim| (claim.rate.unwrap_or(usual).max(1.0) * seconds) as u64;
        claims.iter().map(|claim| bytes(claim).clamp(claim.least, claim.want)).collect()
    };
    // At one byte per second everybody has what he wants, and more than the budget, after so many seconds.
    let (mut enough, mut too_much) = (0.0, budget as f64);
    for _ in 0..HALVINGS {
        let middle = (enough + too_much) / 2.0;
        match sizes(middle).iter().sum::<u64>() <= budget {
            true => enough = middle,
            false => too_much = middle,
        }
    }
    sizes(enough)
}

/// Whether the reader of `cursor` reads no more; `size` bytes at `rate` were in front of it.
fn is_idle(cursor: &Cursor, now: Micros, size: u64, rate: Option<f64>) -> bool {
    let lasts = rate.map_or(Micros(0), |rate| Link::time_for(size, rate));
    cursor.blocked().is_none() && now.since(cursor.told) > IDLE + lasts
}

/// What is consumed at `rate` while a request takes unusually long, in bytes.
fn reserve(rate: Option<f64>, link: &Link) -> u64 {
    (rate.unwrap_or(0.0) * link.late.as_secs_f64()) as u64
}

impl Resource {
    /// The windows of all cursors that have read something, the most recently used first, each with those of the runs
    /// that its reader reads in turns. Together they are no larger than the largest window.
    pub(crate) fn windows(
        &self,
        now: Micros,
        config: &ReadaheadConfig,
        link: &Link,
    ) -> Vec<Window> {
        let active = self.cursors.active();
        let (mut windows, mut claims) = (Vec::with_capacity(active.len()), Vec::new());
        for (rank, reader) in active.into_iter().enumerate() {
            let Some(cursor) = self.cursors.one(reader) else { continue };
            let runs = self.runs(cursor);
            let total = self.declared.map(|rate| rate as f64).or_else(|| total(&runs));
            // Half of it is to last until an answer that is late.
            let lasting = reserve(total, link).saturating_mul(2);
            let most = if config.enabled { config.max_window } else { 0 };
            let own = |run: &RunOf<'_>| {
                let window = run.stream.window(now, run.position, total, config);
                let least = if run.stream.confirmed { lasting } else { 0 };
                window.max(least.min(most))
            };
            let whole = runs.iter().map(own).max().unwrap_or(0);
            let idle = is_idle(cursor, now, whole, total);
            for (nth, run) in runs.iter().enumerate() {
                let (part, rate) = part(&runs, run, total);
                let first = config.initial_window;
                let want = ((whole as f64 * part) as u64).max(first.min(whole));
                let needed = LEAST_REQUESTS * rate.unwrap_or(0.0) * link.first_byte.as_secs_f64();
                let least = (needed as u64).max(first).min(want);
                claims.push(Claim { want, least, rate, idle });
                let settled = run.stream.confirmed;
                let grows_from = (settled && rate.is_none()).then_some(run.stream.start);
                let (primary, here) = (rank == 0, nth == 0);
                let (size, range, reserve) =
                    (want, ByteRange::at(run.position, 0), reserve(rate, link));
                windows.push(Window {
                    reader,
                    primary,
                    here,
                    rate,
                    range,
                    size,
                    reserve,
                    settled,
                    grows_from,
                });
            }
        }
        for (window, size) in windows.iter_mut().zip(split(config.max_window, &claims)) {
            window.size = size;
            window.range = ByteRange::at(window.range.start, size).until(self.map.end());
        }
        windows
    }

    /// The run that the reader is in, and those that it reads in turns with that.
    fn runs<'a>(&self, cursor: &'a Cursor) -> Vec<RunOf<'a>> {
        let here = cursor.stream.as_ref().map(|stream| RunOf {
            stream,
            position: cursor.position,
            rate: cursor.consumption.rate(),
        });
        let others = cursor.runs.in_use().map(|run| RunOf {
            stream: &run.stream,
            position: run.position,
            rate: run.consumption.rate(),
        });
        here.into_iter().chain(others).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DemandId, OriginId, ResourceId};
    use crate::sched::cursors::Demand;
    use crate::sched::event::Urgency;
    use crate::sched::retry::Rng;

    const MIB: u64 = 1 << 20;
    const READER: ReaderId = ReaderId(1);

    fn resource(len: Option<u64>) -> Resource {
        let mut resource = Resource::new(ResourceId(1), OriginId(1), len, &[], true);
        resource.cursors.open(READER, 0);
        resource
    }

    const KIB: u64 = 1 << 10;

    fn claim(want: u64, rate: Option<f64>) -> Claim {
        Claim { want, least: 10.min(want), rate, idle: false }
    }

    #[test]
    fn p4_the_window_is_shared_among_cursors_as_they_consume() {
        let of = |wants: &[(u64, f64)]| {
            let claims: Vec<Claim> = wants.iter().map(|(w, rate)| claim(*w, Some(*rate))).collect();
            split(1000, &claims)
        };
        assert_eq!(of(&[(1000, 7.0)]), [1000], "who is alone gets all");
        assert_eq!(of(&[(600, 1.0), (400, 9.0)]), [600, 400], "there is enough");
        assert_eq!(of(&[(1000, 3.0), (1000, 1.0)]), [750, 250]);
        assert_eq!(of(&[(1000, 100.0), (300, 100.0), (1000, 100.0)]), [350, 300, 350]);
        assert_eq!(of(&[(1000, 5000.0), (1000, 1.0)]), [990, 10], "a slow one does not starve");
    }

    #[test]
    fn p4_who_consumes_nobody_knows_how_fast_gets_what_is_usual() {
        let claims = [Some(3.0), None, Some(1.0)].map(|rate| claim(1000, rate));
        assert_eq!(split(600, &claims), [300, 200, 100]);
        assert_eq!(split(600, &[claim(1000, None); 2]), [300, 300]);
    }

    #[test]
    fn p4_a_budget_below_what_all_need_is_shared_as_they_need() {
        let needs = |least| Claim { want: 900, least, rate: Some(5.0), idle: false };
        assert_eq!(split(100, &[needs(300), needs(100)]), [75, 25]);
        assert_eq!(split(0, &[needs(300), needs(100)]), [0, 0]);
    }

    #[test]
    fn p4_who_reads_no_more_gets_what_the_others_leave() {
        let idle = Claim { idle: true, ..claim(1000, Some(9.0)) };
        assert_eq!(split(1000, &[idle, claim(700, Some(1.0))]), [300, 700]);
        assert_eq!(split(1000, &[idle, claim(2000, Some(1.0))]), [0, 1000]);
        assert_eq!(split(1000, &[idle]), [1000]);
    }

    /// Whatever is claimed, the sum is within the budget, and nothing is left over that somebody wants.
    #[test]
    fn p4_a_budget_is_never_exceeded_and_used_up_where_it_is_wanted() {
        let mut random = Rng::new(5);
        for round in 0..2000 {
            let mut claims = Vec::new();
            for _ in 0..1 + random.next() % 5 {
                let want = random.next() % (64 * MIB);
                let least = random.next() % (want + 1);
                let rate = random.next() % (1 << (random.next() % 40));
                let (rate, idle) =
                    ((!rate.is_multiple_of(3)).then_some(rate as f64), rate.is_multiple_of(5));
                claims.push(Claim { want, least, rate, idle });
            }
            let budget = random.next() % (64 * MIB);
            let sum: u64 = split(budget, &claims).iter().sum();
            let most = budget.min(claims.iter().map(|claim| claim.want).sum());
            assert!(sum <= most && sum + 200 >= most, "{round}: {sum} of {most}: {claims:?}");
        }
    }

    fn link() -> Link {
        crate::sched::estimator::Estimator::default().link()
    }

    /// Readers 1, 2, ... that have read to the end of each their MiB at so many bytes per second since 1 s, and are there at 2 s.
    fn readers(rates: &[u64]) -> Resource {
        let config = ReadaheadConfig::default();
        let mut resource = resource(Some(900 * MIB));
        resource.map.cover(ByteRange::new(0, 900 * MIB));
        for (nth, rate) in rates.iter().enumerate() {
            let (reader, at) = (ReaderId(1 + nth as u64), 90 * MIB * nth as u64);
            resource.cursors.open(reader, at);
            resource.cursors.moved(reader, at, 0, true, s(1), &config);
            resource.cursors.moved(reader, at + rate, *rate, true, s(2), &config);
        }
        resource
    }

    const fn s(n: u64) -> Micros {
        Micros::from_millis(n * 1000)
    }

    fn sizes(resource: &Resource, now: Micros, max_window: u64) -> Vec<(u64, u64)> {
        let config = ReadaheadConfig { max_window, ..ReadaheadConfig::default() };
        let windows = resource.windows(now, &config, &link());
        let mut sizes: Vec<_> = windows.iter().map(|w| (w.reader.0, w.size / KIB)).collect();
        sizes.sort_unstable();
        sizes
    }

    #[test]
    fn p4_the_windows_of_a_resource_are_together_no_larger_than_the_largest() {
        let resource = readers(&[900_000, 300_000]);
        assert_eq!(sizes(&resource, s(2), 64 * MIB), [(1, 9228), (2, 3076)], "10.5 s each");
        assert_eq!(sizes(&resource, s(2), 8 * MIB), [(1, 6144), (2, 2048)], "three to one");
    }

    #[test]
    fn p4_half_of_a_window_lasts_longer_than_a_late_answer_takes() {
        let resource = readers(&[500_000]);
        let window = |first_byte: u64, most: u64| {
            let start = std::time::Duration::ZERO;
            let config =
                ReadaheadConfig { start, min_window: 0, max_window: most, ..Default::default() };
            let late = Micros::from_millis(first_byte);
            resource.windows(s(2), &config, &Link { late, ..link() })[0]
        };
        let size_and_low = |window: Window| (window.size, window.low());
        assert_eq!(size_and_low(window(100, 64 * MIB)), (250_000, 125_000), "growth in 1 s");
        assert_eq!(size_and_low(window(900, 64 * MIB)), (900_000, 450_000));
        assert_eq!(size_and_low(window(900, 600_000)), (600_000, 450_000), "no more may be had");
        assert_eq!(size_and_low(window(9000, 600_000)), (600_000, 450_000));
    }

    #[test]
    fn p4_a_slow_reader_keeps_its_first_window_or_four_requests_worth() {
        let resource = readers(&[9_000_000, 10_000]);
        assert_eq!(sizes(&resource, s(2), 8 * MIB), [(1, 7936), (2, 256)]);
        let resource = readers(&[9_000_000, 2_000_000]);
        assert_eq!(sizes(&resource, s(2), 2 * MIB), [(1, 1569), (2, 478)], "of 2048 and 625");
    }

    /// Reader 2 of 500 kB/s has read on until `now`.
    fn the_other_reads_on(resource: &mut Resource, now: Micros) {
        let config = ReadaheadConfig::default();
        let at = 90 * MIB + 500_000 * (now.0 / 1_000_000 - 1);
        resource.cursors.moved(ReaderId(2), at, 64 * MIB, true, now, &config);
    }

    #[test]
    fn p4_a_reader_that_is_not_heard_of_gives_its_share_to_the_others() {
        let config = ReadaheadConfig::default();
        let mut resource = readers(&[500_000, 500_000]);
        let mut shares = |now| {
            the_other_reads_on(&mut resource, now);
            sizes(&resource, now, 4 * MIB)
        };
        // 4 MiB last for 8.4 s.
        assert_eq!(shares(s(20)), [(1, 2048), (2, 2048)]);
        assert_eq!(shares(s(21)), [(1, 0), (2, 4096)]);
        resource.cursors.moved(READER, 600_000, 0, true, s(21), &config);
        assert!(sizes(&resource, s(21), 4 * MIB)[0].1 >= 256, "it reads again");
    }

    #[test]
    fn p4_who_waits_is_not_idle() {
        let mut resource = readers(&[500_000, 500_000]);
        let (id, since, budget_from) = (DemandId(1), s(2), s(2));
        let (range, urgency) = (ByteRange::new(500_000, 500_001), Urgency::Blocked);
        let cursor = resource.cursors.one_mut(READER).expect("it was opened");
        cursor.demand = Some(Demand { id, range, urgency, since, budget_from });
        the_other_reads_on(&mut resource, s(90));
        assert_eq!(sizes(&resource, s(90), 4 * MIB), [(1, 2048), (2, 2048)]);
    }

    #[test]
    fn p4_only_a_reader_that_goes_on_at_an_unknown_rate_has_a_growing_window() {
        let config = ReadaheadConfig::default();
        let mut resource = resource(Some(100 * MIB));
        let grows = |resource: &Resource| {
            let windows = resource.windows(Micros(0), &config, &link());
            windows.iter().map(|window| (window.settled, window.grows_from)).collect::<Vec<_>>()
        };
        resource.cursors.moved(READER, 7, 0, true, Micros(0), &config);
        assert_eq!(grows(&resource), [(false, None)]);
        resource.cursors.moved(READER, 9, 0, true, Micros(0), &config);
        assert_eq!(grows(&resource), [(true, Some(7))]);
        resource.declared = Some(500_000);
        assert_eq!(grows(&resource), [(true, None)]);
    }

    #[test]
    fn p1_the_window_of_the_reader_that_read_last_is_the_primary_one() {
        let config = ReadaheadConfig::default();
        let mut resource = resource(Some(100 * MIB));
        resource.cursors.open(ReaderId(2), 0);
        for reader in [READER, ReaderId(2)] {
            resource.cursors.moved(reader, 7, 0, true, Micros(0), &config);
        }
        let windows = resource.windows(Micros(0), &config, &link());
        let primary: Vec<_> = windows.iter().map(|w| (w.reader.0, w.primary)).collect();
        assert_eq!(primary, [(2, true), (1, false)]);
    }

    #[test]
    fn p4_runs_have_the_parts_of_a_window_that_they_are_consumed_by() {
        let stream = Stream::begin(0, Micros(0), &ReadaheadConfig::default());
        let parts = |rates: &[Option<f64>]| {
            let run = |rate: &Option<f64>| RunOf { stream: &stream, position: 0, rate: *rate };
            let runs: Vec<_> = rates.iter().map(run).collect();
            runs.iter().map(|run| part(&runs, run, Some(8e5))).collect::<Vec<_>>()
        };
        let of = |part: f64| (part, Some(8e5 * part));
        assert_eq!(parts(&[Some(3e5), Some(1e5)]), [of(0.75), of(0.25)]);
        assert_eq!(parts(&[Some(3e5), None]), [of(0.5); 2], "one is not known yet");
        assert_eq!(parts(&[Some(0.0); 2]), [of(0.5); 2], "nobody reads");
        assert_eq!(parts(&[Some(3e5)]), [of(1.0)]);
    }
}
