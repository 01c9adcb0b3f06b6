//! What happens to a resource as a whole, and its plan.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::Tunables;
use crate::ids::{HintId, OriginId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::{Action, Class};
use crate::sched::inflight::Inflight;
use crate::sched::plan::{Plan, plan};
use crate::sched::resource::{Hint, Resource, Transfer};
use crate::sched::retry::Retries;
use crate::sched::segment_map::SegmentMap;
use crate::sched::timer::Timer;
use crate::time::Micros;

impl Scheduler {
    /// A resource is open: what is stored of it is known.
    pub(super) fn on_resource_opened(
        &mut self,
        id: ResourceId,
        origin: OriginId,
        len: Option<u64>,
        covered: &[ByteRange],
        online: bool,
        out: &mut Vec<Action>,
    ) {
        let resource = Resource::new(id, origin, len, covered, online);
        let known = self.resources.insert(id, Box::new(resource));
        debug_assert!(known.is_none(), "{id} is open");
        self.origins.entry(origin).or_default().resources += 1;
        self.tell_end(id, out);
    }

    /// A resource is closed: its fetches stop, everything about it is forgotten.
    pub(super) fn on_resource_closed(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        self.cancel_all(id, out);
        self.forget_bound(id);
        let Some(resource) = self.resources.remove(&id) else {
            return;
        };
        self.changed.remove(&id);
        for (reader, _) in resource.cursors.all() {
            self.forget_reader(reader);
        }
        for hint in resource.hints.keys() {
            self.hints.remove(hint);
            self.timers.clear(Timer::HintExpiry(*hint));
        }
        self.timers.clear(Timer::Backoff(id));
        self.timers.clear(Timer::SeekGrace(id));
        self.dirty.remove(&id);
        if let Some(origin) = self.origins.get_mut(&resource.origin) {
            origin.queue.replace(id, &[]);
            origin.resources -= 1;
        }
    }

    /// The length is known: what was wanted beyond it is not wanted any more.
    pub(super) fn on_len_known(&mut self, id: ResourceId, len: u64, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        resource.map.set_len(len);
        resource.retries.set_len(len);
        self.timers.put(Timer::Backoff(id), resource.retries.next());
        let mut idle = Vec::new();
        for (fetch_id, fetch) in self.fetches.live_mut(id) {
            fetch.end = fetch.end.min(len);
            fetch.body_end = fetch.body_end.min(len);
            if fetch.low >= len {
                idle.push(fetch_id);
            }
        }
        for fetch in idle {
            self.cancel(fetch, out);
        }
        self.tell_end(id, out);
        self.dirty.insert(id);
    }

    /// Another resource is served from now on. Waits stay and are met by the new one.
    pub(super) fn on_generation_changed(
        &mut self,
        id: ResourceId,
        len: Option<u64>,
        out: &mut Vec<Action>,
    ) {
        self.cancel_all(id, out);
        self.fetches.make_stale(id);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        resource.map = SegmentMap::new(len);
        resource.queued.clear();
        resource.retries = Retries::default();
        resource.transfer = Transfer::Ranges;
        resource.end_told = false;
        self.timers.clear(Timer::Backoff(id));
        self.tell_end(id, out);
        self.dirty.insert(id);
    }

    /// Stored bytes are gone.
    pub(super) fn on_shrunk(&mut self, id: ResourceId, range: ByteRange) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        resource.map.uncover(range);
        if let Some((fetch, running)) = self.fetches.whole(id) {
            // A whole body still brings what lies before it, also what was there when it began.
            let to_come = ByteRange::new(range.start.max(running.head), range.end);
            resource.map.take(to_come.intersect(running.own()), fetch);
        }
        self.dirty.insert(id);
    }

    /// Somebody will probably want a range.
    pub(super) fn on_hinted(
        &mut self,
        id: ResourceId,
        hint: HintId,
        range: ByteRange,
        deadline: Option<Micros>,
    ) {
        self.on_hint_withdrawn(hint);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        if deadline.is_some_and(|deadline| deadline <= self.now) {
            return;
        }
        resource.hints.insert(hint, Hint { range, deadline });
        self.hints.insert(hint, id);
        self.timers.put(Timer::HintExpiry(hint), deadline);
        self.dirty.insert(id);
    }

    /// A hint holds no longer.
    pub(super) fn on_hint_withdrawn(&mut self, hint: HintId) {
        self.timers.clear(Timer::HintExpiry(hint));
        let Some(id) = self.hints.remove(&hint) else {
            return;
        };
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.hints.remove(&hint);
            self.judge_soon(id);
            self.dirty.insert(id);
        }
    }

    /// The consumption is declared, or no longer.
    pub(super) fn on_rate_declared(&mut self, id: ResourceId, rate: Option<u64>) {
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.declared = rate;
            self.dirty.insert(id);
        }
    }

    /// Playing begins or pauses: what was between is no consumption.
    pub(super) fn on_playing(&mut self, id: ResourceId, playing: bool) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        resource.playing = playing;
        for (_, cursor) in resource.cursors.all_mut() {
            cursor.consumption.rest(self.now);
        }
        self.dirty.insert(id);
    }

    /// The knobs were turned: every plan is out of date.
    pub(super) fn on_tuned(&mut self, tunables: Tunables) {
        self.tunables = tunables;
        self.dirty.extend(self.resources.keys().copied());
    }

    /// Makes a new plan for one resource and queues it.
    pub(super) fn replan(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        self.drop_met_demands(id);
        self.find_late(id, out);
        self.keep_within_bound(id, out);
        let Some(origin) = self.resources.get(&id).map(|resource| resource.origin) else {
            return;
        };
        self.measure_flows(origin);
        self.notice_dry(id);
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        reclass(resource, &mut self.fetches);
        let own = resource.own_knobs(&self.tunables);
        let knobs = own.as_ref().unwrap_or(&self.tunables);
        let outlook = Self::outlook(resource, self.now, knobs, &self.origins, &self.fetches);
        let plan = match resource.transfer {
            _ if !resource.online || resource.fatal.is_some() => Plan::default(),
            Transfer::Ranges => plan(resource, &outlook),
            Transfer::Whole => self.plan_whole(id, out),
        };
        if let Some(origin) = self.origins.get_mut(&origin) {
            origin.queue.replace(id, &plan.segments);
        }
        self.set_reviews(id, &plan.reviews);
        for (reader, at) in plan.refills {
            self.set_refill(id, reader, at, out);
        }
    }

    /// One look again for each reader that waits for a running fetch, none for the others.
    fn set_reviews(&mut self, id: ResourceId, reviews: &[(ReaderId, Micros)]) {
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let reviews: BTreeMap<ReaderId, Micros> = reviews.iter().copied().collect();
        for (reader, _) in resource.cursors.all() {
            let at = reviews.get(&reader).copied();
            let timer = Timer::WaitReview(reader);
            match (self.timers.at(timer), at) {
                (Some(set), Some(at)) if set <= at && set > self.now => {}
                _ => self.timers.put(timer, at),
            }
        }
    }

    fn set_refill(&mut self, id: ResourceId, reader: ReaderId, at: u64, out: &mut Vec<Action>) {
        let cursor = self.resources.get_mut(&id).and_then(|r| r.cursors.one_mut(reader));
        let Some(cursor) = cursor else {
            return;
        };
        let ahead = cursor.refill.filter(|set| *set > cursor.position);
        let filling = cursor.stream.as_ref().is_some_and(|stream| stream.filling);
        // A mark that is still ahead and comes sooner, or hardly later, does as well: no chatter.
        let near = at.abs_diff(cursor.position) / 8;
        let keep = ahead.is_some_and(|set| {
            set == at || (at != u64::MAX && (filling && set < at || set.abs_diff(at) <= near))
        });
        if !keep {
            cursor.refill = Some(at);
            out.push(Action::SetRefill { reader, at });
        }
    }

    /// Says that the end was reached, once per generation.
    pub(super) fn tell_end(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        if let Some(resource) = self.resources.get_mut(&id)
            && !resource.end_told
            && resource.map.is_complete()
        {
            resource.end_told = true;
            out.push(Action::EndOfStream { resource: id });
        }
    }
}

/// A running fetch that a read waits for is urgent, whatever it was started for; bookkeeping only.
fn reclass(resource: &Resource, fetches: &mut Inflight) {
    for (_, fetch) in fetches.live_mut(resource.id) {
        let waited_for = resource.is_waited_for(fetch.rest());
        match (waited_for, fetch.class) {
            (true, _) => fetch.class = Class::Blocked,
            (false, Class::Blocked) => fetch.class = Class::FirstWindow,
            (false, _) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sched::event::Event;
    use crate::sched::window::Stream;

    const NEVER: u64 = u64::MAX;

    /// Whether a reader at 1000 that was told the mark `set` is told the new mark `at`.
    fn is_told(filling: bool, set: u64, at: u64) -> bool {
        let (id, reader, origin) = (ResourceId(1), ReaderId(1), OriginId(1));
        let mut scheduler = Scheduler::new(Tunables::default(), 1, 0);
        let (len, covered, online) = (None, Vec::new(), true);
        for event in [
            Event::ResourceOpened { resource: id, origin, len, covered, online },
            Event::ReaderOpened { resource: id, reader, position: 1000 },
        ] {
            scheduler.handle(Micros(0), event, &mut Vec::new());
        }
        let resource = scheduler.resources.get_mut(&id);
        let cursor = resource.and_then(|resource| resource.cursors.one_mut(reader));
        let cursor = cursor.expect("it was opened");
        let mut stream = Stream::begin(0, Micros(0), &scheduler.tunables.readahead);
        stream.filling = filling;
        cursor.stream = Some(stream);
        cursor.refill = Some(set);
        let mut out = Vec::new();
        scheduler.set_refill(id, reader, at, &mut out);
        out.iter().any(|action| matches!(action, Action::SetRefill { at: told, .. } if *told == at))
    }

    #[test]
    fn p4_a_mark_is_not_told_twice_nor_one_that_is_hardly_another() {
        assert!(!is_told(false, 9000, 9000));
        assert!(!is_told(false, NEVER, NEVER));
        assert!(!is_told(false, 8000, 9000), "an eighth of the way is hardly another");
        assert!(is_told(false, 7999, 9000));
        assert!(is_told(false, 10_001, 9000));
    }

    #[test]
    fn p4_a_window_that_is_filled_keeps_an_earlier_mark_and_hears_of_an_earlier_one() {
        assert!(!is_told(true, 1001, 9000));
        assert!(is_told(false, 1001, 9000));
        assert!(is_told(true, 20_000, 9000));
    }

    #[test]
    fn p4_a_mark_that_the_reader_has_reached_is_replaced() {
        assert!(is_told(true, 1000, 9000));
        assert!(is_told(true, 999, 9000));
    }

    #[test]
    fn p4_no_mark_any_more_and_a_mark_again_are_always_told() {
        assert!(is_told(true, 1001, NEVER));
        assert!(is_told(false, NEVER, 9000));
    }
}
