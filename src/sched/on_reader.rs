//! What readers do.

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, FetchId, ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::admit::Origin;
use crate::sched::budget::RESETS;
use crate::sched::cursors::{Demand, WentFar};
use crate::sched::event::{Action, Urgency};
use crate::sched::judge;
use crate::sched::resource::Resource;
use crate::sched::scrub::Jump;
use crate::sched::timer::Timer;
use crate::time::Micros;

impl Scheduler {
    /// A reader is there.
    pub(super) fn on_reader_opened(&mut self, id: ResourceId, reader: ReaderId, position: u64) {
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.cursors.open(reader, position);
            self.readers.insert(reader, id);
        }
    }

    /// A reader is gone, and its wait with it.
    pub(super) fn on_reader_closed(&mut self, reader: ReaderId) {
        let Some(id) = self.readers.get(&reader).copied() else {
            return;
        };
        self.forget_reader(reader);
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.cursors.close(reader);
            self.judge_soon(id);
            self.dirty.insert(id);
        }
    }

    /// Forgets the name and the timers of a reader.
    pub(super) fn forget_reader(&mut self, reader: ReaderId) {
        self.readers.remove(&reader);
        self.timers.clear(Timer::DemandBudget(reader));
        self.timers.clear(Timer::WaitReview(reader));
        self.timers.clear(Timer::Hedge(reader));
        self.timers.clear(Timer::ScrubEnd(reader));
    }

    /// A reader waits.
    pub(super) fn on_demand(
        &mut self,
        reader: ReaderId,
        id: DemandId,
        range: ByteRange,
        urgency: Urgency,
        out: &mut Vec<Action>,
    ) {
        let of = self.readers.get(&reader).copied();
        let Some(resource) = of.and_then(|of| self.resources.get_mut(&of)) else {
            return out.push(Action::FailDemand { reader, demand: id, error: Error::Cancelled });
        };
        if let Some(error) = refusal(resource, range, urgency) {
            return out.push(Action::FailDemand { reader, demand: id, error });
        }
        let resource_id = resource.id;
        if urgency == Urgency::Blocked {
            self.move_to(resource_id, reader, range.start, out);
            self.timers.set(
                Timer::DemandBudget(reader),
                self.now + Micros::from(self.tunables.retry.budget),
            );
        } else {
            self.timers.clear(Timer::DemandBudget(reader));
        }
        self.timers.clear(Timer::WaitReview(reader));
        self.pardon(resource_id, range, urgency);
        let (since, budget_from) = (self.now, self.now);
        let resource = self.resources.get_mut(&resource_id);
        if let Some(cursor) = resource.and_then(|r| r.cursors.one_mut(reader)) {
            cursor.demand = Some(Demand { id, range, urgency, since, budget_from });
            if urgency == Urgency::Blocked {
                cursor.scrub.asks(range.start);
            }
        }
        self.dirty.insert(resource_id);
    }

    /// A reader waits no longer.
    pub(super) fn on_demand_withdrawn(&mut self, reader: ReaderId, demand: DemandId) {
        let Some(id) = self.readers.get(&reader).copied() else {
            return;
        };
        let cursor = self.resources.get_mut(&id).and_then(|r| r.cursors.one_mut(reader));
        if let Some(cursor) = cursor
            && cursor.demand.as_ref().is_some_and(|newest| newest.id == demand)
        {
            cursor.demand = None;
            self.clear_wait(reader);
            self.judge_soon(id);
            self.dirty.insert(id);
        }
    }

    /// A reader reads stored bytes elsewhere, or has reached its mark.
    pub(super) fn on_moved(&mut self, reader: ReaderId, position: u64, out: &mut Vec<Action>) {
        if let Some(id) = self.readers.get(&reader).copied() {
            self.move_to(id, reader, position, out);
            self.dirty.insert(id);
        }
    }

    /// The reader reads at `position` now.
    fn move_to(&mut self, id: ResourceId, reader: ReaderId, position: u64, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let config = &self.tunables.readahead;
        let most = self.tunables.fetch.segment_max.saturating_mul(2);
        let reach = resource.reach(reader, self.now, config, most);
        if !resource.playing
            && let Some(cursor) = resource.cursors.one_mut(reader)
        {
            // What is read during a pause is no measure of how fast the media plays.
            cursor.consumption.rest(self.now);
        }
        let jump = Jump::of(resource, reader, position);
        let from = resource.cursors.one(reader).map_or(0, |cursor| cursor.position);
        let read_on = resource.map.first_uncovered(ByteRange::new(from, position)).is_none();
        let WentFar(far) =
            resource.cursors.moved(reader, position, reach, read_on, self.now, config);
        let dry = !resource.map.is_covered_at(position);
        let cursor = resource.cursors.one_mut(reader);
        if let Some(stream) = cursor.and_then(|cursor| cursor.stream.as_mut())
            && dry
            && stream.confirmed
        {
            stream.ran_dry(position, config);
        }
        let scrubs = jump.is_some_and(|jump| self.scrub(id, reader, jump));
        if far || scrubs {
            self.left(id, out);
        }
    }

    /// A cursor left its place. What runs there has a grace; a move during the grace ends it.
    fn left(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        if self.resources.get(&id).is_some_and(|resource| resource.in_grace) {
            self.judge(id, out);
        }
        self.timers.clear(Timer::SeekGrace(id));
        self.judge_soon(id);
        let armed = self.timers.at(Timer::SeekGrace(id)).is_some();
        if let Some(resource) = self.resources.get_mut(&id) {
            resource.in_grace = armed;
        }
    }

    /// Looks at the fetches of a resource after the grace, unless that is to happen anyway.
    pub(super) fn judge_soon(&mut self, id: ResourceId) {
        let timer = Timer::SeekGrace(id);
        if self.timers.at(timer).is_none() && self.fetches.live(id).next().is_some() {
            self.timers.set(timer, self.now + Micros::from(self.tunables.fetch.seek_grace));
        }
    }

    /// Cancels the fetches that nobody wants any more, unless they are as good as done.
    pub(super) fn judge(&mut self, id: ResourceId, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        resource.in_grace = false;
        let multiplexed = self.origins.get(&resource.origin).is_some_and(Origin::is_multiplexed);
        let own = resource.own_knobs(&self.tunables);
        let knobs = own.as_ref().unwrap_or(&self.tunables);
        let outlook = Self::outlook(resource, self.now, knobs, &self.origins, &self.fetches);
        for fetch in judge::unwanted(resource, &outlook, multiplexed) {
            match self.next_reset(fetch) {
                Some(at) => self.timers.set(Timer::SeekGrace(id), at),
                None => self.cancel(fetch, out),
            }
        }
        self.dirty.insert(id);
    }

    /// When a fetch that nobody wants may be reset, if it has to wait for that.
    fn next_reset(&self, fetch: FetchId) -> Option<Micros> {
        let origin = self.origins.get(&self.fetches.one(fetch)?.origin)?;
        Some(origin.resets.ready(self.now, RESETS)).filter(|at| *at > self.now)
    }

    /// Drops the demands that wait for nothing any more.
    pub(super) fn drop_met_demands(&mut self, id: ResourceId) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let met: Vec<ReaderId> = resource
            .cursors
            .demands()
            .filter(|(_, demand)| is_met(resource, demand))
            .map(|(reader, _)| reader)
            .collect();
        for reader in met {
            if let Some(cursor) = resource.cursors.one_mut(reader) {
                cursor.met(self.now);
                if let Some(stream) = &mut cursor.stream {
                    stream.answered = self.now;
                }
            }
            self.timers.clear(Timer::DemandBudget(reader));
            self.timers.clear(Timer::WaitReview(reader));
        }
    }

    /// The reader waits no longer.
    pub(super) fn clear_wait(&mut self, reader: ReaderId) {
        self.timers.clear(Timer::DemandBudget(reader));
        self.timers.clear(Timer::WaitReview(reader));
    }
}

/// Why a demand cannot be met whatever happens, if so.
fn refusal(resource: &Resource, range: ByteRange, urgency: Urgency) -> Option<Error> {
    let missing = resource.map.first_uncovered(range)?;
    if urgency == Urgency::Blocked && missing.start > range.start {
        return None;
    }
    if resource.online {
        let unfilled = || resource.no_fill().filter(|_| urgency == Urgency::Fill);
        return resource.fatal.clone().or_else(unfilled);
    }
    Some(Error::OfflineMiss { range: missing.to_std() })
}

/// Whether what is waited for is there, or cannot exist.
fn is_met(resource: &Resource, demand: &Demand) -> bool {
    let at = demand.range.start;
    match demand.urgency {
        Urgency::Blocked => at >= resource.map.end() || resource.map.is_covered_at(at),
        Urgency::Fill => resource.map.first_uncovered(demand.range).is_none(),
    }
}
