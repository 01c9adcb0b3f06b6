//! What the scheduler shows of itself.

use crate::byte_range::ByteRange;
use crate::ids::{OriginId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::admit::Origin;
use crate::sched::event::{Estimate, ResourceView};
use crate::sched::resource::{Resource, Transfer};
use crate::sched::segment_map::{Piece, SegmentState};

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

    fn in_flight(&self, resource: &Resource) -> Vec<(ByteRange, crate::sched::Class)> {
        let in_flight = |(run, state): Piece| match state {
            Some(SegmentState::InFlight(id)) => Some((run, self.fetches.one(id)?.class)),
            _ => None,
        };
        resource.map.pieces(resource.map.all()).filter_map(in_flight).collect()
    }
}

/// What is queued or backs off, merged.
fn wanted(resource: &Resource) -> Vec<ByteRange> {
    let mut merged: Vec<ByteRange> = Vec::new();
    for (run, state) in resource.map.pieces(resource.map.all()) {
        if !matches!(state, Some(SegmentState::Queued | SegmentState::BackingOff)) {
            continue;
        }
        match merged.last_mut() {
            Some(last) if last.end == run.start => last.end = run.end,
            _ => merged.push(run),
        }
    }
    merged
}
