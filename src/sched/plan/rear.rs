//! Far away: the rear of a slow request for one that may begin.
//!
//! Where packets are lost one flow may bring a tenth of another, and the reader comes to its bytes before they do. So what
//! may begin, for a reader that has run dry over a long way, first looks at the requests that run: a late one leaves it so much of its rear
//! that both end at once.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::flows;
use crate::sched::inflight::Fetch;
use crate::sched::plan::{Outlook, Planner};
use crate::sched::segment_map::SegmentState;
use crate::sched::share::Window;
use crate::time::Micros;

/// Less is not worth a request and the connection of the slow one, in bytes.
const WORTH: u64 = 512 << 10;
/// A body younger than so many round trips is still opening its window.
const ROUND_TRIPS: u64 = 2;
/// A request is late that brings its last byte so many seconds after its reader could have come there.
const LATE: f64 = 0.5;
/// And if that takes so many times as long as a new one takes to come to its full speed.
const SLOW: f64 = 2.0;
/// While requests run beside a free slot, they are looked at after so many more bytes.
const LOOK: u64 = 256 << 10;

impl Planner<'_> {
    /// What the first late request in front of the reader of `window` had better leave to a new one, if it has run dry, and
    /// one may begin. Not while it takes all that comes: over a fat path flows are uneven for long, and each cut costs a connection.
    pub(super) fn rear(&mut self, window: &Window) -> Option<ByteRange> {
        let Outlook { now, tunables, fetches, .. } = *self.outlook;
        let dry = self
            .stream(window)
            .map(|stream| stream.dry)
            .filter(|dry| dry.is_dry() && !dry.is_greedy())?;
        let running = fetches.live(self.resource.id).count();
        if running == 0 || running >= tunables.fetch.max_fetches as usize {
            return None;
        }
        self.watch(LOOK);
        // What a starved reader consumes is what it gets: it is there already.
        let rate = window.rate.filter(|_| !dry.is_starved(now));
        let at = window.range.start;
        let ahead = |(_, fetch): &(FetchId, &Fetch)| !fetch.whole && fetch.head >= at;
        let running = fetches.live(self.resource.id).filter(ahead);
        let late = running.filter_map(|(id, fetch)| self.late_rear(id, fetch, at, rate));
        let part = late.min_by_key(|part| part.start)?;
        // While it waits for its turn, the slow one goes on.
        self.watch(1);
        Some(part)
    }

    /// What `fetch` had better leave to a new request, if its reader, that is at `at` and consumes `rate`, comes to its end
    /// before it does.
    fn late_rear(
        &self,
        id: FetchId,
        fetch: &Fetch,
        at: u64,
        rate: Option<f64>,
    ) -> Option<ByteRange> {
        let Outlook { now, link, ramp, .. } = *self.outlook;
        let opening = Micros(link.round_trip.0.saturating_mul(ROUND_TRIPS));
        fetch.answered.filter(|answered| now.since(*answered) >= opening)?;
        let its = flows::settled(fetch, now, &link)?.max(1.0);
        let rest = fetch.rest().len() as f64;
        let distance = fetch.end.saturating_sub(at) as f64;
        let needed = rate.map_or(0.0, |rate| distance / rate.max(1.0));
        let first = (link.first_byte + ramp).as_secs_f64();
        let left = rest / its;
        if left < needed + LATE || left < SLOW * first {
            return None;
        }
        let kept = its * (first * link.flow + rest) / (its + link.flow);
        let part = ByteRange::new(fetch.head.saturating_add(kept as u64).min(fetch.end), fetch.end);
        // One that ran past its end may have brought some of it.
        let its = |state| state == Some(SegmentState::InFlight(id));
        let planned = |part: &ByteRange| self.plan.segments.iter().any(|s| s.range.overlaps(*part));
        let part = self.resource.map.first_run(part, its)?;
        (part.len() >= WORTH && !planned(&part)).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::plan::tests::{NOW, plan_with};

    /// What is left to a new request of one for the first 2 MB, of which 80 kB came in the last 0.8 s; its reader is at the start and
    /// consumes so much. The link: 100 ms, 1 MB/s.
    fn left(rate: Option<f64>, change: impl FnOnce(&mut Fetch)) -> Option<ByteRange> {
        let mut fetch = Fetch::sent(Micros(0), ByteRange::new(0, 2_000_000));
        fetch.answered = Some(Micros::from_millis(100));
        fetch.meter.begin(Micros::from_millis(100));
        fetch.meter.add(Micros::from_millis(900), 80_000);
        fetch.head = 80_000;
        change(&mut fetch);
        plan_with(&[], 1, |planner| {
            planner.resource.map.take(fetch.rest(), FetchId(1));
            let outlook = Outlook { ramp: Micros(0), ..*planner.outlook };
            Planner::new(planner.resource, &outlook).late_rear(FetchId(1), &fetch, 0, rate)
        })
    }

    #[test]
    fn p4_a_late_request_leaves_so_much_that_both_end_at_once() {
        let part = left(Some(1e6), |_| {}).expect("it has 19 s to go, and is needed in 2");
        assert_eq!(part.end, 2_000_000);
        let old = (part.start - 80_000) as f64 / 1e5;
        let new = 0.1 + part.len() as f64 / 1e6;
        assert!((old - new).abs() < 0.001, "{old} and {new} s");
    }

    #[test]
    fn p4_what_comes_in_time_is_left_alone() {
        // It has 19.2 s to go, and half a second of grace.
        assert_eq!(left(Some(2e6 / 18.8), |_| {}), None);
        assert!(left(Some(2e6 / 18.6), |_| {}).is_some());
        assert!(left(None, |_| {}).is_some(), "its reader is there");
        assert_eq!(left(None, |fetch| fetch.end = 600_000), None, "it is not worth a request");
    }

    #[test]
    fn p4_one_that_opens_its_window_is_not_yet_slow() {
        assert_eq!(left(None, |fetch| fetch.answered = Some(NOW)), None);
        assert_eq!(left(None, |fetch| fetch.answered = None), None);
    }
}
