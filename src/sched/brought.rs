//! Bytes that somebody else brought: another engine that stores the same resource.
//!
//! They are as good as those of a fetch, and nothing is learnt from them: no request of ours was sent, so they say
//! nothing about the network (N12), nor about what it costs to wait for it.

use crate::byte_range::ByteRange;
use crate::ids::{FetchId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::event::Action;
use crate::sched::inflight::Fetch;
use crate::sched::judge::{Verdict, wait_or_open};
use crate::sched::plan::Outlook;
use crate::sched::resource::Resource;
use crate::sched::segment_map::SegmentState;

/// What becomes of a running fetch of whose bytes some are there now.
enum Fate {
    /// Nothing that is worth its while is to come of it.
    Over,
    /// It goes on, and ends there.
    EndsAt(u64),
}

impl Scheduler {
    /// Bytes are stored that no fetch of ours has brought. Whoever waited for them is awake already.
    pub(super) fn on_brought(&mut self, id: ResourceId, range: ByteRange, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get_mut(&id) else {
            return;
        };
        let fresh = resource.map.cover(range);
        resource.retries.forget(range);
        resource.count_down(fresh);
        resource.progressed(self.now, range, range);
        self.dirty.insert(id);
        self.spare_fetches(id, range, out);
        self.look_at_bound(id);
        self.tell_end(id, out);
    }

    /// Stops or shortens the fetches that were to bring `range`.
    fn spare_fetches(&mut self, id: ResourceId, range: ByteRange, out: &mut Vec<Action>) {
        let Some(resource) = self.resources.get(&id) else {
            return;
        };
        let own = resource.own_knobs(&self.tunables);
        let knobs = own.as_ref().unwrap_or(&self.tunables);
        let outlook = Self::outlook(resource, self.now, knobs, &self.origins, &self.fetches);
        let fates: Vec<(FetchId, Fate)> = self
            .fetches
            .live(id)
            .filter(|(_, fetch)| fetch.rest().overlaps(range))
            .map(|(fetch_id, fetch)| (fetch_id, fate(resource, fetch, &outlook)))
            .collect();
        for (fetch_id, fate) in fates {
            match fate {
                Fate::Over => self.cancel(fetch_id, out),
                Fate::EndsAt(end) => {
                    if let Some(fetch) = self.fetches.one_mut(fetch_id) {
                        fetch.end = end;
                    }
                }
            }
        }
    }
}

/// A body cannot skip what is stored: it goes on over that if a new request would not be sooner beyond. A whole one has no
/// other way there.
fn fate(resource: &Resource, fetch: &Fetch, outlook: &Outlook<'_>) -> Fate {
    let rest = fetch.rest();
    let Some(first) = resource.map.first_uncovered(rest) else {
        return Fate::Over;
    };
    if fetch.whole {
        return Fate::EndsAt(fetch.end);
    }
    if first.start > fetch.head && wait_or_open(first.start, fetch, outlook) == Verdict::Open {
        return Fate::Over;
    }
    let covered = Some(SegmentState::Covered);
    let missing = resource.map.pieces(rest).filter(|(_, state)| *state != covered);
    Fate::EndsAt(missing.last().map_or(fetch.end, |(run, _)| run.end))
}
