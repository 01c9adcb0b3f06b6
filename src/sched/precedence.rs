//! Precedence: read-ahead of who came later waits while who has read on for longer has little in hand.
//!
//! Players of one origin share the link as their flows do, and who seeks takes most of it, for what it will soon leave behind. One
//! that goes on would pay for that: its request came over a flow that lost its first packets beside the other's, and what it has
//! in hand melts for seconds.

use crate::byte_range::ByteRange;
use crate::ids::{OriginId, ReaderId};
use crate::sched::Scheduler;
use crate::sched::cursors::Cursor;
use crate::sched::estimator::Link;
use crate::sched::inflight::Fetch;
use crate::sched::queue::Segment;
use crate::sched::resource::Resource;
use crate::time::Micros;

/// With more in hand nobody comes first, in time of media.
const LITTLE: Micros = Micros::from_millis(1500);
/// With what it asks for who came later has no more than that, or as much as who comes first, in time of media.
const SHARE: Micros = Micros::from_millis(800);
/// Who has no more in hand and on its way waits for nobody, in time of media; nor does who has no more than lasts for a request.
const OWN: Micros = Micros::from_millis(300);
/// How fast a reader consumes that has read on for less is not known at all.
const BEGUN: Micros = Micros::from_millis(300);
/// One that would have run dry so long ago, and is not blocked, reads no more.
const PAUSED: Micros = Micros::from_millis(500);

/// How long what is in front of a reader lasts, and since when it has read on.
struct Front {
    since: Micros,
    /// What it consumes, in bytes per second.
    rate: f64,
    /// What is stored.
    in_hand: Micros,
    /// What is stored, and what is on its way behind that without a hole.
    asked: Micros,
}

impl Scheduler {
    /// Until when the read-ahead `segment` waits at most for who has read on for longer and has less: a reader of another
    /// resource of `origin` of which bytes are on their way.
    pub(super) fn gives_way_until(&self, origin: OriginId, segment: Segment) -> Option<Micros> {
        let other = |fetch: &Fetch| {
            fetch.origin == origin && fetch.resource != segment.resource && !fetch.cancelled
        };
        let mut others =
            self.fetches.all().filter(|(_, fetch)| other(fetch)).map(|(_, fetch)| fetch).peekable();
        if others.peek().is_none() || segment.is_foretold() {
            return None;
        }
        let its = self.origins.get(&origin)?;
        let mine = self.resources.get(&segment.resource)?.front(segment.reader?, self.now)?;
        let theirs = others.filter_map(|fetch| self.resources.get(&fetch.resource));
        let fronts = theirs.flat_map(|it| {
            it.cursors
                .all()
                .filter_map(|(reader, _)| it.front(reader, self.now))
                .collect::<Vec<_>>()
        });
        let older = fronts.filter(|front| front.since < mine.since).map(|front| front.in_hand);
        let least = older.min().filter(|least| *least < LITTLE)?;
        let with_it = mine.asked + Link::time_for(segment.range.len(), mine.rate);
        let spare = with_it.since(least.max(SHARE)).min(mine.asked.since(its.open_cost().max(OWN)));
        (spare > Micros(0)).then(|| self.now + spare)
    }
}

impl Resource {
    /// How long what is in front of `reader` lasts at the rate that it has, or has had so far, if that is known. One that reads in
    /// turns may need something else.
    fn front(&self, reader: ReaderId, now: Micros) -> Option<Front> {
        let cursor = self.cursors.one(reader)?;
        let stream = cursor.stream.as_ref()?;
        let rate = self.rate_so_far(cursor, now)?;
        let (at, gone) = (cursor.position, now.since(cursor.told));
        let ahead = ByteRange::new(at, self.map.end());
        let upto = |run: Option<ByteRange>| {
            Link::time_for(run.map_or(ahead.end, |run| run.start).saturating_sub(at), rate)
        };
        let stored = upto(self.map.first_uncovered(ahead));
        if gone > stored + PAUSED && cursor.blocked().is_none() {
            return None;
        }
        let asked = upto(self.map.first_gap(ahead)).since(gone);
        Some(Front { since: stream.since, rate, in_hand: stored.since(gone), asked })
    }

    /// How fast `cursor` consumes, in bytes per second; until that is known, how fast it has read on so far.
    fn rate_so_far(&self, cursor: &Cursor, now: Micros) -> Option<f64> {
        let stream = cursor.stream.as_ref().filter(|_| cursor.runs.in_use().next().is_none())?;
        let time = now.since(stream.since);
        let read = cursor.position.saturating_sub(stream.start) as f64;
        let told = stream.confirmed && time >= BEGUN;
        let so_far = told.then(|| read / time.as_secs_f64());
        self.rate(cursor).or(so_far)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{DemandId, FetchId, ResourceId};
    use crate::sched::aside::tests::{FILM, HOST, OTHER, TOLD, cursor, film, other, segment};
    use crate::sched::cursors::Demand;
    use crate::sched::event::{Class, Event, Urgency};
    use crate::sched::window::{Consumption, Stream};

    const THEIRS: ReaderId = ReaderId(2);

    fn ms(ms: u64) -> Micros {
        Micros::from_millis(ms)
    }

    /// Two films of 1 MB/s. The reader of one has gone on for a second and has `mine` ms in hand, that of the other for two, and
    /// has `theirs`.
    fn two(mine: u64, theirs: u64) -> Scheduler {
        let most = mine.max(theirs);
        let mut it = film(most * 1000);
        let end = cursor(&mut it).position + most * 1000;
        cursor(&mut it).position = end - mine * 1000;
        let (resource, reader, position) = (OTHER, THEIRS, end - theirs * 1000);
        it.handle(TOLD, Event::ReaderOpened { resource, reader, position }, &mut Vec::new());
        let rate = Some(1_000_000);
        it.handle(TOLD, Event::RateDeclared { resource, bytes_per_second: rate }, &mut Vec::new());
        for (nth, resource) in [FILM, OTHER].into_iter().enumerate() {
            let since = TOLD.since(ms(1000 * (1 + nth as u64)));
            let config = it.tunables.readahead.clone();
            let cursor = reads(&mut it, resource);
            let mut begun = Stream::begin(cursor.position, since, &config);
            begun.confirmed = true;
            cursor.stream = Some(begun);
            cursor.told = TOLD;
        }
        it
    }

    fn reads(it: &mut Scheduler, resource: ResourceId) -> &mut Cursor {
        let reader = if resource == FILM { ReaderId(1) } else { THEIRS };
        let resource = it.resources.get_mut(&resource).expect("it is open");
        resource.cursors.one_mut(reader).expect("it was opened")
    }

    /// For how many ms the first of them waits, after `change`.
    fn waits(mut it: Scheduler, change: impl FnOnce(&mut Scheduler)) -> Option<u64> {
        change(&mut it);
        let segment = Segment { range: ByteRange::at(50_000_000, 500_000), ..segment() };
        Some(it.gives_way_until(HOST, segment)?.since(it.now).0 / 1000)
    }

    fn after(change: impl FnOnce(&mut Scheduler)) -> Option<u64> {
        waits(two(1400, 900), change)
    }

    #[test]
    fn p1_who_came_later_waits_until_it_has_no_more_than_who_has_read_on_for_longer() {
        // It asks for 500 ms more.
        assert_eq!(waits(two(700, 900), |_| ()), Some(300));
        assert_eq!([401, 400].map(|mine| waits(two(mine, 900), |_| ())), [Some(1), None]);
        assert_eq!([0, 800].map(|theirs| waits(two(700, theirs), |_| ())), [Some(400); 2]);
    }

    #[test]
    fn p1_who_came_later_does_not_wait_until_it_has_nothing() {
        assert_eq!(waits(two(1400, 0), |_| ()), Some(1100), "then it has 300 ms");
        // A request takes 240 ms until anything is known.
        assert_eq!([301, 300].map(|mine| waits(two(mine, 0), |_| ())), [Some(1), None]);
        let slow = |it: &mut Scheduler| {
            let its = it.origins.get_mut(&HOST).expect("it is known");
            its.estimator.began_cold(ms(900));
        };
        assert_eq!(waits(two(1400, 0), slow), Some(500), "a request takes 900 ms");
    }

    #[test]
    fn p1_who_has_much_in_hand_or_came_later_does_not_come_first() {
        assert_eq!([1499, 1500].map(|theirs| waits(two(3000, theirs), |_| ())), [Some(2001), None]);
        let since =
            |at: Micros| after(|it| reads(it, OTHER).stream.as_mut().expect("it reads").since = at);
        let mine = TOLD.since(ms(1000));
        assert_eq!([mine.since(Micros(1)), mine].map(since), [Some(1000), None]);
    }

    #[test]
    fn p1_what_is_on_its_way_counts_as_what_it_has() {
        let own = |it: &mut Scheduler| {
            let film = it.resources.get_mut(&FILM).expect("it is open");
            let end = film.map.first_uncovered(film.map.all()).expect("more is to come").start;
            film.map.take(ByteRange::at(end, 400_000), FetchId(901));
        };
        assert_eq!(after(own), Some(1400));
        let theirs = |it: &mut Scheduler| {
            let other = it.resources.get_mut(&OTHER).expect("it is open");
            let end = other.map.first_uncovered(other.map.all()).expect("more is to come").start;
            other.map.take(ByteRange::at(end, 400_000), FetchId(900));
        };
        assert_eq!(after(theirs), Some(1000), "what it has not, it may have to wait for");
    }

    #[test]
    fn p1_only_what_comes_of_another_resource_of_the_origin_holds_it_up() {
        assert_eq!(after(|it| other(it).cancelled = true), None);
        assert_eq!(after(|it| other(it).resource = FILM), None);
        assert_eq!(after(|it| other(it).origin = OriginId(2)), None);
        let of = |segment: Segment| two(1400, 900).gives_way_until(HOST, segment);
        assert_eq!(of(Segment { reader: None, ..segment() }), None);
        assert_eq!(of(Segment { class: Class::Hint, ..segment() }), None, "where a drag will be");
    }

    #[test]
    fn p1_who_reads_no_more_holds_nobody_up() {
        let told = |ago: u64| move |it: &mut Scheduler| reads(it, OTHER).told = TOLD.since(ms(ago));
        // It had 900 ms in hand then.
        assert_eq!([800, 1400].map(|ago| after(told(ago))), [Some(1100); 2]);
        assert_eq!(after(told(1401)), None, "it would be blocked by now");
        let blocked = |it: &mut Scheduler| {
            told(1401)(it);
            let cursor = reads(it, OTHER);
            let range = ByteRange::at(cursor.position + 900_000, 1);
            let (id, urgency, since) = (DemandId(1), Urgency::Blocked, TOLD);
            cursor.demand = Some(Demand { id, range, urgency, since, budget_from: since });
        };
        assert_eq!(after(blocked), Some(1100));
    }

    #[test]
    fn p1_until_a_rate_is_known_it_is_what_was_read_so_far() {
        let begun = |ago: u64, confirmed: bool| {
            move |it: &mut Scheduler| {
                let resource = it.resources.get_mut(&FILM).expect("it is open");
                resource.declared = None;
                let cursor = reads(it, FILM);
                cursor.consumption = Consumption::default();
                let stream = cursor.stream.as_mut().expect("it reads");
                stream.since = TOLD.since(ms(ago));
                stream.start = cursor.position - 3000;
                stream.confirmed = confirmed;
            }
        };
        // 1.4 MB at 10 kB/s, of which 300 ms are its own.
        assert_eq!(after(begun(300, true)), Some(139_700));
        assert_eq!(after(begun(299, true)), None, "who knows");
        assert_eq!(after(begun(300, false)), None, "nor whether it goes on");
    }
}
