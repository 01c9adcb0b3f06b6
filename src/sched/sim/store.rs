//! What is stored of one resource: the simulated owner of coverage.

use rangemap::RangeSet;

use crate::byte_range::ByteRange;
use crate::ids::{FetchId, OriginId, ResourceId};
use crate::sched::Event;
use crate::sched::sim::Sim;
use crate::sched::sim::policy::{Policy, Wake};

/// One resource.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pub(crate) origin: OriginId,
    /// How long it really is.
    pub(crate) len: u64,
    /// How long we know it is.
    pub(crate) known_len: Option<u64>,
    pub(crate) online: bool,
    covered: RangeSet<u64>,
}

impl Store {
    /// Nothing stored.
    pub(crate) fn new(origin: OriginId, len: u64, known_len: Option<u64>, online: bool) -> Self {
        Self { origin, len, known_len, online, covered: RangeSet::new() }
    }

    /// Stores; returns how many bytes are new.
    pub(crate) fn store(&mut self, range: ByteRange) -> u64 {
        let before = self.bytes();
        if !range.is_empty() {
            self.covered.insert(range.to_std());
        }
        self.bytes() - before
    }

    /// Loses bytes.
    pub(crate) fn lose(&mut self, range: ByteRange) {
        if !range.is_empty() {
            self.covered.remove(range.to_std());
        }
    }

    /// The end of the stored run at `offset`, if that byte is stored.
    pub(crate) fn run_end(&self, offset: u64) -> Option<u64> {
        self.covered.get(&offset).map(|run| run.end)
    }

    /// How much of `range` a read gets now, if it returns as `wake` says.
    pub(crate) fn readable(&self, range: ByteRange, wake: Wake) -> u64 {
        let Some(end) = self.run_end(range.start) else {
            return 0;
        };
        let end = match wake {
            Wake::FirstByte => end,
            Wake::Block(_) if end >= self.len => end,
            Wake::Block(size) => end / size * size,
        };
        end.min(range.end).saturating_sub(range.start)
    }

    /// Whether any byte of `range` is stored.
    pub(crate) fn has_any(&self, range: ByteRange) -> bool {
        !range.is_empty() && self.covered.overlaps(&range.to_std())
    }

    /// Whether every byte of `range` is stored.
    pub(crate) fn has_all(&self, range: ByteRange) -> bool {
        let range = range.until(self.len);
        range.is_empty() || self.run_end(range.start).is_some_and(|end| end >= range.end)
    }

    /// Whether the length is known and everything is stored.
    pub(crate) fn is_complete(&self) -> bool {
        self.known_len.is_some_and(|len| self.has_all(ByteRange::new(0, len)))
    }

    /// What is stored.
    pub(crate) fn runs(&self) -> Vec<ByteRange> {
        self.covered.iter().cloned().map(ByteRange::from).collect()
    }

    /// Number of stored bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.covered.iter().map(|run| run.end - run.start).sum()
    }
}

impl<P: Policy> Sim<P> {
    /// Number of stored bytes of the first resource.
    pub(crate) fn stored(&self) -> u64 {
        self.stores[&ResourceId(1)].bytes()
    }

    /// Whether all of `range` of the first resource is stored.
    pub(crate) fn has(&self, range: ByteRange) -> bool {
        self.stores[&ResourceId(1)].has_all(range)
    }

    /// Stored bytes of the first resource are gone.
    pub(crate) fn evict(&mut self, range: ByteRange) {
        if let Some(store) = self.stores.get_mut(&ResourceId(1)) {
            store.lose(range);
        }
        self.tell(Event::Shrunk { resource: ResourceId(1), range });
    }

    /// Bytes of the first resource are stored that no fetch brought.
    pub(crate) fn bring(&mut self, range: ByteRange) {
        let resource = ResourceId(1);
        let Some(store) = self.stores.get_mut(&resource) else { return };
        let range = range.until(store.len);
        store.store(range);
        self.tell(Event::Brought { resource, range });
        self.wake(resource);
    }

    /// What the scheduler gave up is gone.
    pub(super) fn shed(&mut self, resource: ResourceId, ranges: Vec<ByteRange>) {
        for range in ranges {
            if let Some(store) = self.stores.get_mut(&resource) {
                store.lose(range);
            }
            self.tell(Event::Shrunk { resource, range });
        }
        self.tell(Event::Shed { resource });
    }

    /// The first resource is another one from now on.
    pub(crate) fn change_generation(&mut self, len: u64) {
        let resource = ResourceId(1);
        if let Some(store) = self.stores.get_mut(&resource) {
            *store = Store::new(store.origin, len, None, store.online);
        }
        self.tell(Event::GenerationChanged { resource, len: None });
    }

    /// An answer tells the length, if the server does that.
    pub(super) fn learn_len(&mut self, resource: ResourceId) {
        let Some(store) = self.stores.get_mut(&resource) else {
            return;
        };
        if self.servers[&store.origin].tells_len && store.known_len.is_none() {
            let len = store.len;
            store.known_len = Some(len);
            self.tell(Event::LenKnown { resource, len });
            self.wake(resource);
        }
    }

    /// A refused range tells the length in any case.
    pub(super) fn learn_len_of(&mut self, fetch: FetchId) {
        let Some(resource) = self.flows.get(&fetch).map(|flow| flow.resource) else {
            return;
        };
        let Some(store) = self.stores.get_mut(&resource).filter(|s| s.known_len.is_none()) else {
            return;
        };
        let len = store.len;
        store.known_len = Some(len);
        self.tell(Event::LenKnown { resource, len });
        self.wake(resource);
    }
}
