//! Beside another resource: the rear of a request that lags behind its reader, for a connection that was busy a moment ago.
//!
//! Players of one origin share the link as their flows do. One that began while another flow filled the link, and lost its first
//! packets, brings a fifth of the line for seconds: less than its reader consumes, whose time in hand melts while the others read
//! ahead. What it has to bring is large by then, and nobody else brings it.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::admit::slots_ahead;
use crate::sched::inflight::Fetch;
use crate::sched::plan::{LOOK, Outlook, Planner};
use crate::sched::share::Window;
use crate::time::Micros;

/// Who has more in hand than so many seconds of media need not be helped yet.
const IN_HAND: f64 = 2.0;
/// A request that brings so many times what its reader consumes does not lag.
const ENOUGH: f64 = 1.4;
/// A younger body tells nothing of its rate.
const OPENING: Micros = Micros::from_millis(250);
/// Less is not worth a request and the connection of the slow one, in bytes.
const WORTH: u64 = 256 << 10;
/// So many round trips over which a connection opens its window that was not idle for long are little beside a flow that lags.
const REOPENS: u64 = 2;
/// Beside one flow more it brings such a part of what it brought.
const BESIDE: f64 = 0.8;
/// So many seconds before its reader gets there it is to have brought what it keeps.
const BEFORE: f64 = 0.2;
/// It keeps what it brings in so many first-byte times, and no less than so many bytes: until then the new one has no answer.
const ANSWERED: f64 = 2.0;
const LEAST_KEPT: u64 = 64 << 10;

impl Planner<'_> {
    /// What the request in front of the reader of `window` had better leave to a new one: it brings too little for what is in
    /// hand, and a connection is idle whose window is not shut yet. Any other would be one more slow flow.
    pub(super) fn lagging(&mut self, window: &Window) -> Option<ByteRange> {
        let Outlook { now, tunables, fetches, ramp, alone, link, .. } = *self.outlook;
        let consumed = window.rate.filter(|_| window.settled && !alone)?;
        let at = window.range.start;
        let ahead = |(_, fetch): &(FetchId, &Fetch)| {
            !fetch.whole && fetch.head >= at && fetch.head < fetch.end
        };
        let id = self.resource.id;
        let (_, fetch) = fetches.live(id).filter(ahead).min_by_key(|(_, fetch)| fetch.head)?;
        let told = self.resource.cursors.one(window.reader)?.told;
        let hand = (fetch.head - at) as f64 / consumed.max(1.0) - now.since(told).as_secs_f64();
        let (rate, age) = self.rate_of(fetch)?;
        if rate > ENOUGH * consumed || hand > IN_HAND || fetch.rest().len() < WORTH {
            return None;
        }
        // The connection that is to bring the rear may be about to be idle.
        self.watch(LOOK);
        let running = fetches.live(id).count();
        let may_begin = age >= OPENING && running < slots_ahead(&tunables.fetch) as usize;
        let part = self.rear_behind(fetch, rate, hand, consumed);
        let planned = |part: &ByteRange| self.plan.segments.iter().any(|s| s.range.overlaps(*part));
        let open = ramp.0 <= link.round_trip.0.saturating_mul(REOPENS);
        part.filter(|part| may_begin && open && !planned(part))
    }

    /// What `fetch` brings, in bytes per second, if that can be told, and how old its body is.
    fn rate_of(&self, fetch: &Fetch) -> Option<(f64, Micros)> {
        let age = self.outlook.now.since(fetch.answered?);
        let mean = || (age >= OPENING).then(|| fetch.received as f64 / age.as_secs_f64());
        Some((fetch.meter.rate().or_else(mean)?.max(1.0), age))
    }

    /// What `fetch`, that brings `rate`, leaves to a new one: its reader consumes `consumed` bytes per second, and comes to its
    /// head in `hand` seconds.
    fn rear_behind(&self, fetch: &Fetch, rate: f64, hand: f64, consumed: f64) -> Option<ByteRange> {
        let Outlook { tunables, link, .. } = *self.outlook;
        // Both are to end at once, but the slow one in time.
        let others = (link.path - rate).max(rate);
        let even = fetch.rest().len() as f64 * rate / (rate + others);
        let melts = 1.0 / (rate * BESIDE) - 1.0 / consumed.max(1.0);
        let in_time = if melts > 0.0 { (hand - BEFORE).max(0.0) / melts } else { even };
        let meanwhile = (ANSWERED * link.first_byte.as_secs_f64() * rate) as u64;
        let kept = (even.min(in_time) as u64).max(meanwhile).max(LEAST_KEPT);
        let part = ByteRange::new(fetch.head.saturating_add(kept).min(fetch.end), fetch.end);
        (part.len() >= tunables.fetch.demand_min).then_some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::ResourceId;
    use crate::sched::inflight::Inflight;
    use crate::sched::plan::tests::{NOW, plan_with, window};

    const MB: u64 = 1_000_000;
    /// Where the reader is.
    const AT: u64 = 10 * MB;
    /// What it consumes, in bytes per second.
    const RATE: u64 = 500_000;

    /// What is left of the request for the 4 MB behind what is stored, of which 40 kB came in the 400 ms since its answer, by a
    /// reader with a second in hand; after `change`. The link: 100 ms, 1 MB/s, and a connection that was busy a moment ago.
    fn left(change: impl FnOnce(&mut Fetch, &mut Outlook<'_>, &mut Window)) -> Option<ByteRange> {
        looked_at(change).0
    }

    /// The same, and after how many more bytes it is looked at again.
    fn looked_at(
        change: impl FnOnce(&mut Fetch, &mut Outlook<'_>, &mut Window),
    ) -> (Option<ByteRange>, Option<u64>) {
        let head = AT + RATE;
        let answered = Micros(NOW.0 - 400_000);
        let mut fetch = Fetch::sent(Micros(0), ByteRange::new(head - 40_000, head + 4 * MB));
        (fetch.answered, fetch.received, fetch.head) = (Some(answered), 40_000, head);
        plan_with(&[ByteRange::new(0, head)], AT, |planner| {
            let mut outlook = Outlook { ramp: Micros(0), alone: false, ..*planner.outlook };
            let mut window = Window { rate: Some(RATE as f64), ..window(AT, 5 * MB, 5 * MB) };
            change(&mut fetch, &mut outlook, &mut window);
            let mut fetches = Inflight::default();
            for id in 1..=u64::from(fetch.attempt) {
                let later = ByteRange::at(fetch.head + id * 10 * MB, MB);
                let more = Fetch { resource: ResourceId(1), ..Fetch::sent(NOW, later) };
                fetches.insert(FetchId(id), if id == 1 { fetch.clone() } else { more });
            }
            let outlook = Outlook { fetches: &fetches, ..outlook };
            let mut planner = Planner::new(planner.resource, &outlook);
            (planner.lagging(&window), planner.plan.watch)
        })
    }

    #[test]
    fn p1_beside_another_resource_a_slow_request_leaves_its_rear_while_there_is_time() {
        let head = AT + RATE;
        let part = left(|_, _, _| {}).expect("it brings a fifth of what is consumed");
        assert_eq!(part.end, head + 4 * MB);
        // A tenth of 4 MB would let both end at once. At 80 kB/s its reader overtakes it after 0.8 s of 0.0105 s for each kB.
        let kept = (part.start - head) as f64;
        assert!((kept - 0.8 / (1.0 / 80e3 - 1.0 / 500e3)).abs() < 2.0, "{kept}");
        let little = left(|fetch, _, _| fetch.end = head + MB).expect("there is a rest");
        assert_eq!(little.start, part.start, "a tenth of it is more than that");
        let short = left(|fetch, _, _| fetch.end = head + 400_000).expect("there is a rest");
        assert_eq!(short.start, head + LEAST_KEPT, "a tenth of it is less");
    }

    #[test]
    fn p1_a_request_that_brings_enough_or_in_time_is_left_alone() {
        let with = |bytes: u64| left(|fetch, _, _| fetch.received = bytes).is_some();
        assert_eq!([280_000, 280_001].map(with), [true, false], "1.4 times what is consumed");
        let hand = |ms: u64| {
            let more = RATE * ms / 1000;
            left(|_, _, window| window.range = ByteRange::at(AT + RATE - more, 5 * MB)).is_some()
        };
        assert_eq!([2000, 2001].map(hand), [true, false]);
        let rest = |bytes: u64| left(|fetch, _, _| fetch.end = fetch.head + bytes).is_some();
        assert_eq!([WORTH - 1, WORTH].map(rest), [false, true]);
    }

    #[test]
    fn p1_it_is_helped_by_an_open_connection_alone_and_where_it_shares_the_link() {
        let reopens = |time: Micros| left(|_, outlook, _| outlook.ramp = time).is_some();
        let trips = Micros::from_millis(200);
        assert_eq!([trips, trips + Micros(1)].map(reopens), [true, false], "two round trips");
        assert_eq!(left(|_, outlook, _| outlook.alone = true), None);
        assert_eq!(left(|_, _, window| window.settled = false), None);
        assert_eq!(left(|_, _, window| window.rate = None), None);
        assert_eq!(left(|fetch, _, _| fetch.whole = true), None);
        assert_eq!(left(|fetch, _, _| fetch.attempt = 3), None, "three run already");
        assert!(left(|fetch, _, _| fetch.attempt = 2).is_some());
    }

    #[test]
    fn p1_a_young_one_is_none_and_a_slow_one_is_looked_at_again() {
        let young = |ms: u64| {
            let answered = Some(Micros(NOW.0 - ms * 1000));
            let (part, watch) = looked_at(|fetch, _, _| fetch.answered = answered);
            (part.is_some(), watch)
        };
        assert_eq!([249, 250].map(young), [(false, None), (true, Some(LOOK))]);
        let (part, watch) = looked_at(|_, outlook, _| outlook.ramp = Micros::from_millis(900));
        assert_eq!((part, watch), (None, Some(LOOK)), "a connection may be about to be idle");
    }
}
