//! Standing aside: read-ahead of a reader that has much in hand waits while bytes of another resource come in.
//!
//! Else two players of one origin share the link at every moment, and a seek of one finds the other's bytes in the queue
//! before its own. A reader is served again long before it runs dry: a slow flow must have time to bring what it needs.

use crate::byte_range::ByteRange;
use crate::ids::{OriginId, ReaderId};
use crate::sched::Scheduler;
use crate::sched::estimator::Link;
use crate::sched::inflight::Fetch;
use crate::sched::queue::Segment;
use crate::sched::resource::Resource;
use crate::time::Micros;

/// A reader with no more than that in hand stands aside for nobody, in time of media; and so many times what a request
/// takes until its body runs at full speed.
const IN_HAND: Micros = Micros::from_millis(3000);
const REQUESTS: u64 = 2;

impl Scheduler {
    /// Until when the read-ahead `segment` stands aside at most: what its reader has in hand lasts, and bytes of another
    /// resource of `origin` are on their way.
    pub(super) fn aside_until(&self, origin: OriginId, segment: Segment) -> Option<Micros> {
        let other = |fetch: &Fetch| fetch.origin == origin && fetch.resource != segment.resource;
        let others = self.fetches.all().any(|(_, fetch)| other(fetch) && !fetch.cancelled);
        if !others || segment.is_foretold() {
            return None;
        }
        let resource = self.resources.get(&segment.resource)?;
        let its = self.origins.get(&origin)?;
        let running = |lane| self.fetches.over(origin, lane);
        let request = its.open_cost() + its.ramp(self.now, &running);
        let needed = IN_HAND + Micros(request.0.saturating_mul(REQUESTS));
        let spare = lasts(resource, segment.reader?, self.now)?.since(needed);
        (spare > Micros(0)).then(|| self.now + spare)
    }
}

/// How long what is stored in front of `reader` lasts, if that is known. One that reads in turns may need something else.
pub(super) fn lasts(resource: &Resource, reader: ReaderId, now: Micros) -> Option<Micros> {
    let cursor = resource.cursors.one(reader)?;
    let rate = resource.rate(cursor).filter(|_| cursor.runs.in_use().next().is_none())?;
    let ahead = ByteRange::new(cursor.position, resource.map.end());
    let gap = resource.map.first_uncovered(ahead).map_or(ahead.end, |run| run.start);
    Some(Link::time_for(gap.saturating_sub(cursor.position), rate).since(now.since(cursor.told)))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Tunables;
    use crate::ids::{FetchId, ResourceId};
    use crate::sched::cursors::Cursor;
    use crate::sched::event::{Class, Event};
    use crate::sched::runs::Run;
    use crate::sched::window::{Consumption, Stream};

    pub(in crate::sched) const FILM: ResourceId = ResourceId(1);
    pub(in crate::sched) const OTHER: ResourceId = ResourceId(2);
    pub(in crate::sched) const HOST: OriginId = OriginId(1);
    const MINE: ReaderId = ReaderId(1);
    const MIB: u64 = 1 << 20;
    /// Where the reader is, and when it was there.
    const AT: u64 = 7000;
    pub(in crate::sched) const TOLD: Micros = Micros::from_millis(10_000);
    /// A new connection costs 240 ms before anything is known, 160 of them before its request. Of 200 kB in a round trip
    /// of 80 ms the first flight is less than a thirteenth: three doublings. Twice that is 1280 ms.
    const NEEDED: Micros = Micros::from_millis(3000 + 1280);

    /// A film of 1 MB/s whose reader has `hand` bytes in front of it, and a fetch of another resource.
    pub(in crate::sched) fn film(hand: u64) -> Scheduler {
        let mut scheduler = Scheduler::new(Tunables::default(), 2, 1);
        for resource in [FILM, OTHER] {
            let covered = vec![ByteRange::new(0, AT + hand)];
            let (origin, len, online) = (HOST, Some(256 * MIB), true);
            let opened = Event::ResourceOpened { resource, origin, len, covered, online };
            scheduler.handle(Micros(0), opened, &mut Vec::new());
        }
        let opened = Event::ReaderOpened { resource: FILM, reader: MINE, position: AT };
        scheduler.handle(Micros(0), opened, &mut Vec::new());
        let rate = Event::RateDeclared { resource: FILM, bytes_per_second: Some(1_000_000) };
        scheduler.handle(Micros(0), rate, &mut Vec::new());
        cursor(&mut scheduler).told = TOLD;
        scheduler.now = TOLD;
        let fetch =
            Fetch { resource: OTHER, origin: HOST, ..Fetch::sent(TOLD, ByteRange::new(0, MIB)) };
        scheduler.fetches.insert(FetchId(900), fetch);
        scheduler
    }

    pub(in crate::sched) fn cursor(scheduler: &mut Scheduler) -> &mut Cursor {
        let film = scheduler.resources.get_mut(&FILM).expect("it is open");
        film.cursors.one_mut(MINE).expect("it was opened")
    }

    pub(in crate::sched) fn segment() -> Segment {
        let (range, class, reader) = (ByteRange::at(50 * MIB, MIB), Class::Near, Some(MINE));
        Segment { resource: FILM, range, class, deadline: Micros(0), reader }
    }

    fn until(scheduler: &Scheduler) -> Option<Micros> {
        scheduler.aside_until(HOST, segment())
    }

    /// The same with 6 s in hand after `change`.
    fn after(change: impl FnOnce(&mut Scheduler)) -> Option<Micros> {
        let mut scheduler = film(6_000_000);
        change(&mut scheduler);
        until(&scheduler)
    }

    pub(in crate::sched) fn other(scheduler: &mut Scheduler) -> &mut Fetch {
        scheduler.fetches.one_mut(FetchId(900)).expect("it runs")
    }

    #[test]
    fn p1_read_ahead_stands_aside_until_little_more_than_two_requests_take_is_in_hand() {
        let needed = NEEDED.0;
        assert_eq!(until(&film(needed + 700_000)), Some(TOLD + Micros(700_000)));
        assert_eq!(until(&film(needed + 1)), Some(TOLD + Micros(1)));
        assert_eq!(until(&film(needed)), None);
        let later = |us| after(|it| it.now = TOLD + Micros(us));
        let due = 6_000_000 - needed;
        assert_eq!(later(500_000), Some(TOLD + Micros(due)), "it has played on since then");
        assert_eq!(later(due), None);
    }

    #[test]
    fn p1_read_ahead_stands_aside_for_what_comes_of_another_resource_of_its_origin_alone() {
        assert_eq!(after(|it| other(it).resource = FILM), None);
        assert_eq!(after(|it| other(it).origin = OriginId(2)), None);
        assert_eq!(after(|it| other(it).cancelled = true), None);
        assert_eq!(film(6_000_000).aside_until(OriginId(2), segment()), None);
    }

    #[test]
    fn p1_only_who_is_known_to_have_enough_stands_aside() {
        let of = |segment: Segment| film(6_000_000).aside_until(HOST, segment);
        assert_eq!(of(Segment { reader: None, ..segment() }), None);
        assert_eq!(of(Segment { class: Class::Hint, ..segment() }), None, "where a drag will be");
        let rate = |it: &mut Scheduler, rate| {
            it.resources.get_mut(&FILM).expect("it is open").declared = rate;
        };
        assert_eq!(after(|it| rate(it, None)), None);
        let in_turns = after(|it| {
            let mut stream = Stream::begin(0, TOLD, &it.tunables.readahead);
            stream.returns = 9;
            assert!(stream.is_shuttled());
            cursor(it).runs.leave(Run::new(stream, 0, Consumption::default(), 0, TOLD));
        });
        assert_eq!(in_turns, None);
    }
}
