//! Pace: read-ahead of a reader that has enough in hand takes the link with rests between its requests.
//!
//! Who has just sought will probably seek again, and a seek that finds the link free has its bytes to itself; what was on its
//! way already would share it. Read-ahead still comes faster than it is consumed.

use crate::ids::{OriginId, ReaderId};
use crate::sched::Scheduler;
use crate::sched::aside::lasts;
use crate::sched::estimator::{Link, SENDER_TIMEOUT};
use crate::sched::queue::Segment;
use crate::sched::resource::Resource;
use crate::time::Micros;

/// Who has sought will probably seek again within that time. Later what is in hand counts, for when the link fails.
const SOON: Micros = Micros::from_millis(10_000);
/// A reader with no more than that in hand has its read-ahead at once, in time of media.
const IN_HAND: Micros = Micros::from_millis(700);
/// Read-ahead comes at least so many times as fast as it is consumed,
const FASTER: f64 = 1.5;
/// and at least at such a part of what one flow brings.
const PART: f64 = 1.0 / 3.0;
/// Rests that take less than such a part of what the bytes take are none.
const WORTH: f64 = 0.25;
/// The longest rest: a while later its sender takes a connection for idle and begins to shut its window.
const LONGEST: Micros = Micros(SENDER_TIMEOUT.0 / 4 * 3);

/// At how many bytes per second read-ahead of `reader` comes, if with rests, and how long what it has in hand allows that.
fn pace(resource: &Resource, reader: ReaderId, link: &Link, now: Micros) -> Option<(f64, Micros)> {
    let cursor = resource.cursors.one(reader)?;
    let sought = cursor.stream.as_ref()?.is_after_seek(now, SOON);
    let rate = resource.rate(cursor).filter(|_| sought)?;
    let pace = (FASTER * rate).max(PART * link.flow);
    let rests = link.flow >= (1.0 + WORTH) * pace;
    let spare = lasts(resource, reader, now)?.since(IN_HAND);
    (rests && spare > Micros(0)).then_some((pace, spare))
}

impl Scheduler {
    /// Until when the read-ahead `segment` leaves the link free, at most: while something of its resource is on its way, and for a
    /// rest after that. Where several resources of the origin are open the link is not its own: they would take what it leaves.
    pub(super) fn rests_until(&self, origin: OriginId, segment: Segment) -> Option<Micros> {
        let its = self.origins.get(&origin).filter(|its| its.resources == 1)?;
        if segment.is_foretold() {
            return None;
        }
        let resource = self.resources.get(&segment.resource)?;
        let link = its.link();
        let (pace, spare) = pace(resource, segment.reader?, &link, self.now)?;
        let most = self.now + spare;
        if self.fetches.live(segment.resource).next().is_some() {
            return Some(most);
        }
        let time = |rate| Link::time_for(segment.range.len(), rate);
        let rest = time(pace).since(time(link.flow)).min(LONGEST);
        let until = its.rested_since(&|lane| self.fetches.over(origin, lane))? + rest;
        (until > self.now).then_some(until.min(most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::byte_range::ByteRange;
    use crate::ids::Lane;
    use crate::sched::admit::Origin;
    use crate::sched::aside::tests::{FILM, HOST, TOLD, cursor, film, other, segment};
    use crate::sched::event::Class;
    use crate::sched::window::Stream;

    /// A film of 1 MB/s with so many bytes in hand, a link of which 2.5 MB/s are guessed, and a connection that was busy until now.
    fn alone(hand: u64) -> Scheduler {
        let mut scheduler = film(hand);
        other(&mut scheduler).cancelled = true;
        let stream = Stream::begin(0, TOLD, &scheduler.tunables.readahead);
        cursor(&mut scheduler).stream = Some(stream.clone().after(Some(&stream)));
        let its = scheduler.origins.get_mut(&HOST).expect("it is known");
        its.resources = 1;
        its.lanes.entry(Lane::Bulk(0)).or_default().returned(TOLD);
        scheduler
    }

    fn until(scheduler: &Scheduler, bytes: u64) -> Option<Micros> {
        let range = ByteRange::at(50_000_000, bytes);
        scheduler.rests_until(HOST, Segment { range, ..segment() })
    }

    /// The same with 6 s in hand after `change`.
    fn after(change: impl FnOnce(&mut Scheduler)) -> Option<Micros> {
        let mut scheduler = alone(6_000_000);
        change(&mut scheduler);
        until(&scheduler, 300_000)
    }

    fn declare(scheduler: &mut Scheduler, rate: Option<u64>) {
        scheduler.resources.get_mut(&FILM).expect("it is open").declared = rate;
    }

    #[test]
    fn p4_a_rest_makes_read_ahead_half_as_fast_again_as_it_is_consumed() {
        // 200 ms at 1.5 MB/s, of which 120 are on the link.
        assert_eq!(after(|_| ()), Some(TOLD + Micros::from_millis(80)));
        assert_eq!(
            after(|it| it.now = TOLD + Micros::from_millis(79)),
            Some(TOLD + Micros::from_millis(80))
        );
        assert_eq!(after(|it| it.now = TOLD + Micros::from_millis(80)), None);
        // A third of the link at least: 360 ms.
        assert_eq!(after(|it| declare(it, Some(1))), Some(TOLD + LONGEST));
        assert_eq!(until(&alone(6_000_000), 3_000_000), Some(TOLD + LONGEST));
    }

    #[test]
    fn p4_who_has_little_in_hand_waits_for_no_rest() {
        assert_eq!(until(&alone(750_000), 300_000), Some(TOLD + Micros::from_millis(50)));
        assert_eq!(until(&alone(700_100), 300_000), Some(TOLD + Micros(100)));
        assert_eq!(until(&alone(700_000), 300_000), None);
    }

    #[test]
    fn p4_who_takes_much_of_the_link_or_an_unknown_part_of_it_has_no_rests() {
        assert_eq!(after(|it| declare(it, Some(1_333_334))), None);
        assert!(after(|it| declare(it, Some(1_333_333))).is_some());
        assert_eq!(after(|it| declare(it, None)), None);
    }

    #[test]
    fn p4_who_has_not_sought_for_ten_seconds_has_no_rests() {
        let since = |it: &mut Scheduler, at| {
            cursor(it).stream.as_mut().expect("it reads").since = at;
            it.now = TOLD + Micros(1);
        };
        assert!(after(|it| since(it, TOLD + Micros(1) - SOON)).is_some());
        assert_eq!(after(|it| since(it, TOLD - SOON)), None);
        let opened = |it: &mut Scheduler| {
            cursor(it).stream = Some(Stream::begin(0, TOLD, &it.tunables.readahead));
        };
        assert_eq!(after(opened), None, "it was opened there");
    }

    #[test]
    fn p4_what_is_on_its_way_comes_to_its_end_before_more_is_asked_for() {
        let own = |it: &mut Scheduler| {
            let fetch = other(it);
            (fetch.cancelled, fetch.resource) = (false, FILM);
        };
        assert_eq!(after(own), Some(TOLD + Micros::from_millis(5300)));
        let its = |it: &mut Scheduler, change: fn(&mut Origin)| {
            change(it.origins.get_mut(&HOST).expect("it is known"));
        };
        assert_eq!(after(|it| its(it, |its| its.resources = 2)), None, "it stands aside instead");
        assert_eq!(after(|it| its(it, |its| its.lanes.clear())), None);
        let hint = Segment { class: Class::Hint, ..segment() };
        assert_eq!(alone(6_000_000).rests_until(HOST, hint), None, "where a drag will be");
    }
}
