//! Two requests at once for a reader that has little in hand.
//!
//! A connection that lost packets while it opened its window brings half of the link for seconds, and a player that has a large
//! request come over it has nothing to live on when its origin asks for patience. Two connections seldom lose at once, and what one
//! leaves of the link the other takes; a request that is over in half a second holds nobody up for long.

use std::ops::RangeInclusive;

use crate::byte_range::ByteRange;
use crate::sched::dry::SOUGHT;
use crate::sched::plan::{Outlook, Planner};
use crate::sched::share::Window;
use crate::sched::size;
use crate::time::Micros;

/// So much in hand is little, in seconds of media: what a connection that lost packets costs, and a second of patience. Who has less
/// than the least of it has nothing, and one more flow would take from the one it waits for.
const LITTLE: RangeInclusive<f64> = 0.1..=3.0;
/// Over longer ways a connection needs so long to open its window that the second one takes more than it brings.
const NEAR: Micros = Micros::from_millis(100);
/// A reader that takes less of what the path brings has enough of a connection that lost packets.
const PART: f64 = 0.4;
/// So many requests run at once for who has no more.
const AT_ONCE: usize = 2;
/// And each takes so many seconds of transfer at most.
const SECONDS: f64 = 0.6;

impl Planner<'_> {
    /// Whether two requests at once bring what is in front of the reader of `window`: it goes on, has little in hand, and probably
    /// does not seek soon. Where several resources of the origin are open the link is not its own.
    pub(super) fn comes_in_pairs(&mut self, window: &Window) -> bool {
        let Outlook { now, link, alone, .. } = *self.outlook;
        let Some(rate) = window.rate.filter(|rate| *rate > PART * link.path) else {
            return false;
        };
        if !alone || link.round_trip > NEAR {
            return false;
        }
        let at = window.range.start;
        let ahead = ByteRange::new(at, self.resource.map.end());
        let gap = self.resource.map.first_uncovered(ahead).map_or(u64::MAX, |run| run.start);
        let little = LITTLE.contains(&((gap - at) as f64 / rate.max(1.0)));
        let cursor = self.resource.cursors.one(window.reader);
        let waited = cursor.map_or(now, |cursor| cursor.waited(now));
        let stream = self.stream(window).filter(|stream| stream.confirmed && stream.flows == 1);
        little
            && stream.is_some_and(|stream| {
                let playing = now.since(stream.since) >= Micros(waited.0.saturating_mul(2));
                playing && !stream.is_after_seek(now, SOUGHT)
            })
    }

    /// Whether one of two may begin.
    pub(super) fn lacks_one_of_a_pair(&self) -> bool {
        self.outlook.fetches.live(self.resource.id).count() < AT_ONCE
    }

    /// What one request asks for at most, in bytes, `in_pairs` or not. Where several resources of the origin are open none of them
    /// is to hold the link for long.
    pub(super) fn most_ahead(&self, in_pairs: bool) -> u64 {
        match in_pairs || !self.outlook.alone {
            true => size::worth(SECONDS, self.outlook),
            false => u64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DemandId, FetchId};
    use crate::sched::cursors::Demand;
    use crate::sched::event::Urgency;
    use crate::sched::inflight::{Fetch, Inflight};
    use crate::sched::plan::tests::{NOW, READER, plan_with, window};
    use crate::sched::window::Stream;

    const AT: u64 = 1_000_000;
    /// What the reader consumes: half of what the path brings.
    const RATE: u64 = 500_000;

    /// Whether two at once serve a reader with so many ms in hand, after `change`. The link: 100 ms, 1 MB/s.
    fn in_pairs(hand: u64, change: impl FnOnce(&mut Planner<'_>, &mut Outlook<'_>)) -> bool {
        let hand = RATE * hand / 1000;
        plan_with(&[ByteRange::new(0, AT + hand)], AT, |planner| {
            let mut outlook = *planner.outlook;
            change(planner, &mut outlook);
            let window = Window { rate: Some(RATE as f64), ..window(AT, RATE * 10, RATE * 10) };
            Planner::new(planner.resource, &outlook).comes_in_pairs(&window)
        })
    }

    fn stream<'a>(planner: &'a mut Planner<'_>) -> &'a mut Stream {
        let cursor = planner.resource.cursors.one_mut(READER).expect("it was opened");
        cursor.stream.as_mut().expect("it reads")
    }

    #[test]
    fn p4_who_has_a_tenth_of_a_second_to_three_in_hand_has_two_requests_at_once() {
        let served = [99, 100, 3000, 3001].map(|hand| in_pairs(hand, |_, _| ()));
        assert_eq!(served, [false, true, true, false]);
    }

    #[test]
    fn p4_a_pair_is_for_who_needs_it_alone_and_near_by() {
        assert!(!in_pairs(1000, |_, outlook| outlook.alone = false));
        assert!(!in_pairs(1000, |_, outlook| outlook.link.round_trip = Micros(100_001)));
        assert!(!in_pairs(1000, |_, outlook| outlook.link.path = 1_250_000.0), "two fifths");
        assert!(in_pairs(1000, |_, outlook| outlook.link.path = 1_249_999.0));
        assert!(!in_pairs(1000, |planner, _| stream(planner).flows = 2), "it has more already");
        assert!(!in_pairs(1000, |planner, _| stream(planner).confirmed = false));
    }

    #[test]
    fn p4_who_has_just_sought_or_takes_all_that_comes_has_none() {
        let sought = |at: Micros| {
            in_pairs(1000, |planner, outlook| {
                outlook.now = at;
                stream(planner).since = NOW;
                stream(planner).far = true;
            })
        };
        assert_eq!([SOUGHT, SOUGHT + Micros(1)].map(|after| sought(NOW + after)), [false, true]);
        let waited = |time: u64| {
            in_pairs(1000, |planner, outlook| {
                stream(planner).since = NOW;
                outlook.now = NOW + Micros(2000);
                let cursor = planner.resource.cursors.one_mut(READER).expect("it was opened");
                let since = NOW + Micros(2000 - time);
                let (id, range, urgency) = (DemandId(1), ByteRange::at(AT, 1), Urgency::Blocked);
                cursor.demand = Some(Demand { id, range, urgency, since, budget_from: since });
            })
        };
        assert_eq!([1000, 1001].map(waited), [true, false], "half of the time");
    }

    #[test]
    fn p4_no_third_one_begins_and_none_is_large() {
        let mut fetches = Inflight::default();
        let lacks = |fetches: &Inflight| {
            plan_with(&[], 1, |planner| {
                let outlook = Outlook { fetches, ..*planner.outlook };
                Planner::new(planner.resource, &outlook).lacks_one_of_a_pair()
            })
        };
        let lacking = [1, 2].map(|id| {
            fetches.insert(FetchId(id), Fetch::sent(NOW, ByteRange::at(id * AT, AT)));
            lacks(&fetches)
        });
        assert_eq!(lacking, [true, false]);
        let most = |in_pairs: bool, alone: bool| {
            plan_with(&[], 1, |planner| {
                let outlook = Outlook { alone, ..*planner.outlook };
                Planner::new(planner.resource, &outlook).most_ahead(in_pairs)
            })
        };
        assert_eq!(most(true, true), 600_000, "0.6 s of 1 MB/s");
        assert_eq!(most(false, false), 600_000, "others wait for the link");
        assert_eq!(most(false, true), u64::MAX);
    }
}
