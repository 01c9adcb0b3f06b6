//! What the driver tells of counters that others count: how much they moved since it last looked.
//!
//! So a read that hits touches its reader's atomics and nothing else. The price: those of a reader that only hits
//! are told when the driver wakes for another reason, at the latest when the reader goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::reader_state::ReaderState;
use crate::engine::resource::{Counters, Resource};
use crate::ids::{ReaderId, ResourceId};
use crate::observe::meters::{self, Metric};
use crate::sync::{Arc, AtomicU64, Ordering};

/// A counter of somebody else's, and how much of it was told.
fn tell(metric: &Metric, counter: &AtomicU64, told: &mut u64) {
    let now = counter.load(Ordering::Acquire);
    meters::add(metric, now.saturating_sub(*told));
    *told = now;
}

struct OfResource {
    counters: Arc<Counters>,
    told: [u64; 5],
    hedges: u64,
    stored: u64,
}

struct OfReader {
    state: Arc<ReaderState>,
    told: [u64; 3],
}

impl OfResource {
    fn tell(&mut self) {
        let (counters, told) = (&self.counters, &mut self.told);
        tell(&meters::REQUESTS, &counters.requests, &mut told[0]);
        tell(&meters::CONNECTIONS, &counters.connections, &mut told[1]);
        tell(&meters::FETCHED_BYTES, &counters.bytes_fetched, &mut told[2]);
        tell(&meters::WASTED_BYTES, &counters.bytes_wasted, &mut told[3]);
        tell(&meters::EVICTED_BYTES, &counters.bytes_evicted, &mut told[4]);
    }
}

impl OfReader {
    fn tell(&mut self) {
        let (state, told) = (&self.state, &mut self.told);
        tell(&meters::READ_BYTES, &state.bytes_read, &mut told[0]);
        tell(&meters::HITS, &state.hits, &mut told[1]);
        tell(&meters::WAITS, &state.waits, &mut told[2]);
    }
}

/// See the module. Empty without feature `metrics`.
#[derive(Default)]
pub(super) struct Meter {
    resources: BTreeMap<ResourceId, OfResource>,
    /// Closed ones, of which the writer may still have bytes to count.
    closed: Vec<OfResource>,
    readers: BTreeMap<ReaderId, OfReader>,
    /// The readers by their resources.
    members: BTreeSet<(ResourceId, ReaderId)>,
    in_flight: u64,
    open: u64,
}

impl Meter {
    /// From now on `resource` is looked at.
    pub(super) fn opened(&mut self, resource: &Resource) {
        if meters::ENABLED {
            let counters = resource.counters.clone();
            let of = OfResource { counters, told: [0; 5], hedges: 0, stored: 0 };
            self.resources.insert(resource.id, of);
        }
    }

    /// `resource` is closed.
    pub(super) fn closed(&mut self, resource: ResourceId) {
        for reader in self.readers_of(resource) {
            self.tell_reader(resource, reader, false);
        }
        if let Some(mut of) = self.resources.remove(&resource) {
            meters::shift(&meters::STORED_BYTES, &mut of.stored, 0);
            self.closed.push(of);
        }
    }

    /// From now on the reader of `resource` is looked at.
    pub(super) fn reader(&mut self, resource: ResourceId, state: &Arc<ReaderState>) {
        if meters::ENABLED {
            self.members.insert((resource, state.id));
            self.readers.insert(state.id, OfReader { state: state.clone(), told: [0; 3] });
        }
    }

    fn readers_of(&self, resource: ResourceId) -> Vec<ReaderId> {
        let all = (resource, ReaderId(0))..=(resource, ReaderId(u64::MAX));
        self.members.range(all).map(|(_, reader)| *reader).collect()
    }

    /// Of one that is not `alive`, for the last time.
    fn tell_reader(&mut self, resource: ResourceId, reader: ReaderId, alive: bool) {
        if let Some(of) = self.readers.get_mut(&reader) {
            of.tell();
        }
        if !alive {
            self.readers.remove(&reader);
            self.members.remove(&(resource, reader));
        }
    }

    /// What is known of `resource` besides its counters.
    pub(super) fn seen(&mut self, resource: &Resource, hedges: u64) {
        let Some(of) = self.resources.get_mut(&resource.id) else { return };
        meters::add(&meters::HEDGES, hedges.saturating_sub(of.hedges));
        of.hedges = of.hedges.max(hedges);
        if resource.key.is_some() {
            meters::shift(&meters::STORED_BYTES, &mut of.stored, resource.bytes.covered_bytes());
        }
    }

    /// Tells how much everything of the resources that were `touched` moved. Readers that are not `alive` are told of for
    /// the last time.
    pub(super) fn look(
        &mut self,
        touched: &BTreeSet<ResourceId>,
        in_flight: usize,
        alive: impl Fn(&ReaderId) -> bool,
    ) {
        if !meters::ENABLED {
            return;
        }
        meters::shift(&meters::IN_FLIGHT, &mut self.in_flight, in_flight as u64);
        meters::shift(&meters::RESOURCES, &mut self.open, self.resources.len() as u64);
        self.closed.retain_mut(|of| {
            // Looked at first: who lets go of it has counted before.
            let shared = Arc::strong_count(&of.counters) > 1;
            of.tell();
            shared
        });
        for &resource in touched {
            if let Some(of) = self.resources.get_mut(&resource) {
                of.tell();
            }
            for reader in self.readers_of(resource) {
                self.tell_reader(resource, reader, alive(&reader));
            }
        }
    }

    /// The engine goes.
    pub(super) fn end(&mut self) {
        let open: Vec<ResourceId> = self.resources.keys().copied().collect();
        open.into_iter().for_each(|resource| self.closed(resource));
        self.look(&BTreeSet::new(), 0, |_| false);
    }
}
