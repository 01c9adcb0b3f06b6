//! What fetches do.

use crate::byte_range::ByteRange;
use crate::connection::ConnectionUse;
use crate::ids::{FetchId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::budget::RESETS;
use crate::sched::event::{Action, BodyShape, FetchOutcome};
use crate::sched::resource::Transfer;
use crate::sched::timer::Timer;

impl Scheduler {
    /// The answer of a fetch begins.
    pub(super) fn on_fetch_started(
        &mut self,
        id: FetchId,
        shape: BodyShape,
        connection: ConnectionUse,
        multiplexed: bool,
        out: &mut Vec<Action>,
    ) {
        let now = self.now;
        let Some(fetch) = self.fetches.one_mut(id) else {
            return;
        };
        if let Some(origin) = self.origins.get_mut(&fetch.origin) {
            origin.answered(now, fetch, connection, multiplexed);
        }
        if fetch.cancelled {
            fetch.answered = Some(now);
            return;
        }
        let old = fetch.own();
        fetch.begin(now, shape);
        let resource = fetch.resource;
        match shape {
            BodyShape::Part(_) => self.took_part(resource, id, old),
            BodyShape::Whole => self.took_whole(resource, id, out),
        }
        self.dirty.insert(resource);
    }

    /// The answer brings a part, and maybe another one than asked for.
    fn took_part(&mut self, resource: ResourceId, id: FetchId, old: ByteRange) {
        let Some((resource, fetch)) = self.resources.get_mut(&resource).zip(self.fetches.one(id))
        else {
            return;
        };
        resource.transfer = Transfer::Ranges;
        resource.map.release(ByteRange::new(fetch.end, old.end), id);
        let before = ByteRange::new(fetch.low, old.start);
        while let Some(gap) = resource.map.first_gap(before) {
            resource.map.take(gap, id);
        }
    }

    /// Bytes of a fetch are stored.
    pub(super) fn on_written(&mut self, id: FetchId, range: ByteRange, out: &mut Vec<Action>) {
        let now = self.now;
        let Some(fetch) = self.fetches.one_mut(id) else {
            return;
        };
        fetch.meter.add(now, range.len());
        if let Some(origin) = self.origins.get_mut(&fetch.origin) {
            origin.estimator.received(now, range.len(), fetch.meter.rate());
            if fetch.is_streaming() {
                let (silent, link) = (now.since(fetch.last), origin.link());
                origin.hedging.went_on(now, silent, &link, &self.tunables.hedging);
            }
        }
        let Some(resource) = self.resources.get_mut(&fetch.resource).filter(|_| !fetch.stale)
        else {
            return;
        };
        // A fetch that was to end earlier still brings bytes that are queued again.
        let overran = resource.queued.iter().any(|queued| queued.overlaps(range));
        let fresh = resource.map.cover(range);
        resource.bytes_twice += range.len() - fresh;
        resource.retries.forget(range);
        let first = fetch.received == 0;
        fetch.received += range.len();
        fetch.fresh += fresh;
        fetch.head = fetch.head.max(range.end);
        fetch.last = now;
        let ahead = ByteRange::new(range.start, fetch.end.max(range.end));
        let resource_id = fetch.resource;
        let due = resource.count_down(range.len());
        let met = resource.progressed(now, range, ahead);
        if first
            || met
            || overran
            || due
            || resource.late.iter().any(|late| range.contains(late.from))
            || (resource.transfer == Transfer::Whole
                && resource.is_past_mark(fetch.head, &self.tunables))
        {
            self.dirty.insert(resource_id);
        }
        self.look_at_bound(resource_id);
        if first {
            self.stop_loser(id, out);
        }
        self.stop_at_end(id, out);
        self.tell_end(resource_id, out);
    }

    /// A fetch is over.
    pub(super) fn on_fetch_ended(
        &mut self,
        id: FetchId,
        outcome: FetchOutcome,
        out: &mut Vec<Action>,
    ) {
        let Some(fetch) = self.fetches.remove(id) else {
            return;
        };
        self.timers.clear(Timer::PausedBody(id));
        if let Some(origin) = self.origins.get_mut(&fetch.origin) {
            origin.ended(self.now, &fetch, &outcome);
        }
        self.heed(&fetch, &outcome);
        self.dirty.insert(fetch.resource);
        let Some(resource) = self.resources.get_mut(&fetch.resource) else {
            return;
        };
        let mut hole = resource.map.hole_of(fetch.own(), id);
        resource.map.release(fetch.own(), id);
        let all = resource.map.all();
        if self.give_back(&fetch, hole, &outcome) || fetch.cancelled {
            return;
        }
        if fetch.whole && !hole.is_empty() {
            // Whatever is missing would have to come from byte 0 on.
            hole = all;
        }
        match outcome {
            FetchOutcome::Cancelled => {}
            FetchOutcome::Complete => self.ended_short(&fetch, hole, out),
            FetchOutcome::Failed(failure) => self.failed(&fetch, hole, failure, out),
        }
    }

    /// Tells the driver to stop a fetch. Its slot is free, and what it did not bring is missing again,
    /// when it has ended: bytes that were received but not stored yet are not asked for twice.
    pub(super) fn cancel(&mut self, id: FetchId, out: &mut Vec<Action>) {
        let Some(fetch) = self.fetches.one_mut(id).filter(|fetch| !fetch.cancelled) else {
            return;
        };
        fetch.cancelled = true;
        let (resource, origin) = (fetch.resource, fetch.origin);
        if let Some(origin) = self.origins.get_mut(&origin).filter(|o| o.is_multiplexed()) {
            origin.resets.take(self.now, RESETS);
        }
        self.timers.clear(Timer::PausedBody(id));
        self.dirty.insert(resource);
        out.push(Action::CancelFetch { fetch: id });
    }

    /// Stops all fetches of a resource.
    pub(super) fn cancel_all(&mut self, resource: ResourceId, out: &mut Vec<Action>) {
        let live: Vec<FetchId> = self.fetches.live(resource).map(|(id, _)| id).collect();
        for id in live {
            self.cancel(id, out);
        }
    }
}
