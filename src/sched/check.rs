//! Whether the state is sound. Run after each event in debug builds, sampled where that would be slow.

use crate::byte_range::ByteRange;
use crate::ids::FetchId;
use crate::sched::Scheduler;
use crate::sched::cursors::Demand;
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::{Piece, SegmentState};

/// With more runs than that in all maps, only each so many-th event is checked.
const LARGE: usize = 256;

impl Scheduler {
    /// Checks what must always hold. The error says what does not.
    pub(crate) fn check(&self) -> Result<(), String> {
        for resource in self.resources.values() {
            self.check_map(resource)?;
            self.check_queue(resource)?;
            self.check_demands(resource)?;
            self.check_windows(resource)?;
        }
        self.check_stored()?;
        self.check_fetches()
    }

    /// What all bounded resources have together is what each has.
    fn check_stored(&self) -> Result<(), String> {
        let (resources, bytes) = self.bounded_by_hand();
        match self.stored_now() == (resources, bytes) {
            true => Ok(()),
            false => Err(format!("{bytes} bytes of {resources} bounded resources are stored")),
        }
    }

    /// Runs `check` in debug builds, unless that would be slow.
    pub(super) fn check_sometimes(&self) {
        if cfg!(debug_assertions) && self.is_check_due() {
            #[cfg(test)]
            let looked = crate::sched::segment_map::LOOKED.get();
            assert_eq!(self.check(), Ok(()));
            // It is no part of a decision.
            #[cfg(test)]
            crate::sched::segment_map::LOOKED.set(looked);
        }
    }

    fn is_check_due(&self) -> bool {
        let runs: usize = self.resources.values().map(|resource| resource.map.runs()).sum();
        runs <= LARGE || self.handled.is_multiple_of(LARGE as u64)
    }

    /// Bytes in flight belong to a fetch that has not ended, and lie within its own range; the count is right.
    fn check_map(&self, resource: &Resource) -> Result<(), String> {
        let mut covered = 0;
        for (run, state) in resource.map.pieces(resource.map.all()) {
            match state {
                Some(SegmentState::InFlight(id)) => self.check_owner(resource, run, id)?,
                Some(SegmentState::Covered) => covered += run.len(),
                Some(SegmentState::BackingOff) if resource.retries.next().is_none() => {
                    return Err(format!("{}: {run} backs off for ever", resource.id));
                }
                Some(SegmentState::BackingOff | SegmentState::Queued) | None => {}
            }
        }
        if covered != resource.map.covered_bytes() {
            return Err(format!("{}: {covered} bytes are covered", resource.id));
        }
        if resource.end_told && resource.map.len().is_none() {
            return Err(format!("{}: an end without a length", resource.id));
        }
        Ok(())
    }

    fn check_owner(&self, resource: &Resource, run: ByteRange, id: FetchId) -> Result<(), String> {
        match self.fetches.one(id) {
            Some(f) if f.resource == resource.id && f.own().covers(run) => Ok(()),
            other => Err(format!("{}: {run} belongs to {id}, which is {other:?}", resource.id)),
        }
    }

    /// What is queued is in the queue; no two segments share a byte; none is covered.
    fn check_queue(&self, resource: &Resource) -> Result<(), String> {
        let Some(origin) = self.origins.get(&resource.origin) else {
            return Err(format!("{} has no origin", resource.id));
        };
        let mut segments: Vec<ByteRange> = origin.queue.of(resource.id).map(|s| s.range).collect();
        segments.sort_unstable();
        let whole = resource.transfer == Transfer::Whole;
        for (at, range) in segments.iter().enumerate() {
            if range.is_empty() || range.end > resource.map.end() {
                return Err(format!("{}: {range} is queued", resource.id));
            }
            if segments[..at].iter().any(|other| other.overlaps(*range)) {
                return Err(format!("{}: {range} is queued twice", resource.id));
            }
            let stored = |(_, state): Piece| state == Some(SegmentState::Covered);
            if !whole && resource.map.pieces(*range).any(stored) {
                return Err(format!("{}: {range} is queued and stored", resource.id));
            }
        }
        for (run, state) in resource.map.pieces(resource.map.all()) {
            let queued = segments.iter().any(|range| range.overlaps(run));
            if state == Some(SegmentState::Queued) && !queued {
                return Err(format!("{}: {run} is queued, but not in the queue", resource.id));
            }
        }
        Ok(())
    }

    /// Somebody works on every byte that a read is blocked on, or on what its reader asked for just before. A whole body brings
    /// all from its head on, also what it was not asked for before its length was known; the next one begins once the first
    /// byte that is waited for no longer backs off.
    fn check_demands(&self, resource: &Resource) -> Result<(), String> {
        let missing = |demand: &Demand| resource.map.first_uncovered(demand.range);
        let first = resource.cursors.demands().filter_map(|(_, d)| Some(missing(d)?.start)).min();
        let backs_off = |at| resource.map.state_at(at) == Some(SegmentState::BackingOff);
        let rests = first.is_some_and(backs_off);
        for (reader, demand) in resource.cursors.demands() {
            let at = demand.range.start;
            let whole = resource.transfer == Transfer::Whole;
            let ending = whole && (rests || self.fetches.is_ending(resource.id));
            let body = self.fetches.whole(resource.id).filter(|_| whole);
            let coming = body.is_some_and(|(_, fetch)| fetch.head <= at);
            let nobody = resource.map.state_at(at).is_none() && !ending && !coming;
            let scrubs = resource.cursors.one(reader).is_some_and(|cursor| cursor.scrub.is_on());
            let held = scrubs && self.fetches.live(resource.id).any(|(_, f)| !f.is_streaming());
            if demand.is_blocked() && at < resource.map.end() && nobody && !held {
                return Err(format!("{}: nobody fetches {at} for {reader}", resource.id));
            }
        }
        Ok(())
    }

    /// All windows together are within the budget.
    fn check_windows(&self, resource: &Resource) -> Result<(), String> {
        let own = resource.own_knobs(&self.tunables);
        let knobs = own.as_ref().unwrap_or(&self.tunables);
        let outlook = Self::outlook(resource, self.now, knobs, &self.origins, &self.fetches);
        let config = &knobs.readahead;
        let windows = resource.windows(self.now, config, &outlook.link);
        let sum: u64 = windows.iter().map(|window| window.size).sum();
        match sum <= config.max_window {
            true => Ok(()),
            false => Err(format!("{}: {sum} bytes are to be read ahead", resource.id)),
        }
    }

    fn check_fetches(&self) -> Result<(), String> {
        for (id, fetch) in self.fetches.all() {
            let known = self.resources.contains_key(&fetch.resource);
            if !known && !fetch.cancelled {
                return Err(format!("{id} fetches for a resource that is closed"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Tunables;
    use crate::ids::{OriginId, ResourceId};
    use crate::sched::Event;
    use crate::time::Micros;

    /// Of 600 events about a map of so many runs, how many are followed by a check.
    fn checks(runs: u64) -> usize {
        let mut scheduler = Scheduler::new(Tunables::default(), 1, 0);
        let covered = (0..runs).map(|run| ByteRange::at(run * 100, 10)).collect();
        let (resource, origin, len, online) = (ResourceId(1), OriginId(1), None, true);
        let opened = Event::ResourceOpened { resource, origin, len, covered, online };
        scheduler.handle(Micros(0), opened, &mut Vec::new());
        let mut due = |_: &usize| {
            scheduler.handle(Micros(0), Event::Tick, &mut Vec::new());
            scheduler.is_check_due()
        };
        (0..600).filter(|event| due(event)).count()
    }

    #[test]
    fn a_large_map_is_checked_now_and_then_and_a_small_one_always() {
        assert_eq!(checks(256), 600);
        assert_eq!(checks(257), 2);
    }
}
