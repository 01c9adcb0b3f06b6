//! What the scheduler shows of itself.

use crate::byte_range::ByteRange;
use crate::ids::{OriginId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::admit::Origin;
use crate::sched::event::{Estimate, ResourceView};
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::SegmentState;

impl Scheduler {
    /// What is going on with `resource`; nothing, if there is no such resource.
    pub(crate) fn view(&self, resource: ResourceId) -> ResourceView {
        let Some(resource) = self.resources.get(&resource) else {
            return ResourceView::default();
        };
        let origin = self.origins.get(&resource.origin);
        let link = origin.map_or_else(|| Origin::default().link(), Origin::link);
        let windows = resource.windows(self.now, &self.tunables.readahead, &link);
        ResourceView {
            in_flight: self.in_flight(resource),
            wanted: wanted(resource),
            cursors: resource.cursors.all().map(|(id, cursor)| (id, cursor.position)).collect(),
            window: windows.first().map_or(0, |window| window.size),
            ranges: resource.transfer == Transfer::Ranges,
            bytes_twice: resource.bytes_twice,
            hedges: resource.hedges,
        }
    }

    /// What is believed about `origin`.
    pub(crate) fn estimate(&self, origin: OriginId) -> Estimate {
        self.origins.get(&origin).map_or_else(Estimate::default, |o| o.estimator.estimate())
    }

    /// How many segments were ever popped from the queues: as many as fetches were started.
    pub(crate) fn popped(&self) -> u64 {
        self.origins.values().map(|origin| origin.queue.popped()).sum()
    }

    /// Looks at what belongs to its fetches alone, not at the whole map.
    fn in_flight(&self, resource: &Resource) -> Vec<(ByteRange, crate::sched::Class)> {
        let its = self.fetches.all().filter(|(_, fetch)| fetch.resource == resource.id);
        let mut runs: Vec<_> = its
            .flat_map(|(id, fetch)| {
                let own = Some(SegmentState::InFlight(id));
                let pieces = resource.map.pieces(fetch.own());
                pieces.filter(move |(_, state)| *state == own).map(|(run, _)| (run, fetch.class))
            })
            .collect();
        runs.sort_unstable_by_key(|(run, _)| run.start);
        runs
    }
}

/// What is queued or backs off, merged.
fn wanted(resource: &Resource) -> Vec<ByteRange> {
    let places = resource.queued.iter().copied().chain(resource.retries.ranges());
    let mut runs: Vec<ByteRange> = places
        .flat_map(|range| resource.map.pieces(range))
        .filter(|(_, state)| matches!(state, Some(SegmentState::Queued | SegmentState::BackingOff)))
        .map(|(run, _)| run)
        .collect();
    runs.sort_unstable();
    let mut merged: Vec<ByteRange> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
            _ => merged.push(run),
        }
    }
    merged
}
