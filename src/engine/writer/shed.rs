//! Giving stored bytes of an open resource back to the disk, when the scheduler says that its room is used up.
//!
//! In this order: the log says that they are gone; from here on no reader is given them, and nothing that is written there
//! counts; the log is synced and the holes are cut, on a thread that may block; the scheduler hears that they are gone. So
//! it asks for none of them again before new ones count.
//!
//! A resource that nothing is recorded of has no log, and its holes are cut at once.

use super::{GROWTH, Kept, LEAST_GROWTH, Writer, sync_elsewhere};
use crate::assets::{Barrier, Punching};
use crate::byte_range::ByteRange;
use crate::engine::shared::Shared;
use crate::error::StorageError;
use crate::ids::{FetchId, ResourceId};
use crate::sched::Event;
use crate::storage::Cut;
use crate::sync::Ordering;
use crate::time::Micros;

impl Kept {
    /// Whether there are bytes to give back, and it is their turn.
    pub(super) fn may_shed(&self) -> bool {
        let may_punch = || self.journal.as_ref().is_none_or(|journal| journal.may_punch());
        !self.to_shed.is_empty() && may_punch()
    }

    /// Whether bytes of `range` are being given back.
    pub(super) fn is_cutting(&self, range: ByteRange) -> bool {
        self.cuts.iter().any(|cut| cut.range.overlaps(range))
    }

    /// Begins, if it is time for that; what is to be run is given back.
    pub(super) fn begin_shedding(&mut self, shared: &Shared) -> Option<Barrier> {
        if !self.may_shed() {
            return None;
        }
        let ranges = std::mem::take(&mut self.to_shed);
        let bytes = &self.resource.bytes;
        let cut = |range: &ByteRange| {
            let cut = bytes.cut(*range);
            cut.give_up_held();
            cut
        };
        let Some(journal) = &mut self.journal else {
            let cuts: Vec<Cut> = ranges.iter().map(cut).collect();
            let done = cuts.into_iter().try_for_each(Cut::discard);
            self.are_gone(shared, &ranges);
            self.given_back(shared, &ranges, done);
            return None;
        };
        match journal.punch(&ranges) {
            Punching::Begun(barrier) => {
                self.cuts = ranges.iter().map(cut).collect();
                Some(*barrier)
            }
            Punching::Later => {
                self.to_shed = ranges;
                None
            }
            Punching::Refused => {
                tracing::info!(
                    resource_id = self.resource.id.0,
                    "nothing of this resource can be given back to the disk"
                );
                self.unbound(shared);
                None
            }
        }
    }

    /// The log is synced, and the holes are cut or refused.
    pub(super) fn punched(&mut self, shared: &Shared, done: Result<(), StorageError>) {
        let ranges: Vec<ByteRange> = self.cuts.iter().map(|cut| cut.range).collect();
        self.shed_done(shared);
        self.given_back(shared, &ranges, done);
    }

    /// No more is being given back; what was is gone in any case.
    pub(super) fn shed_done(&mut self, shared: &Shared) {
        let cuts = std::mem::take(&mut self.cuts);
        if cuts.is_empty() {
            return;
        }
        let ranges: Vec<ByteRange> = cuts.iter().map(|cut| cut.range).collect();
        drop(cuts);
        self.are_gone(shared, &ranges);
    }

    fn are_gone(&self, shared: &Shared, ranges: &[ByteRange]) {
        let resource = self.resource.id;
        for range in ranges {
            shared.sched(Event::Shrunk { resource, range: *range });
        }
        shared.sched(Event::Shed { resource });
    }

    fn given_back(&self, shared: &Shared, ranges: &[ByteRange], done: Result<(), StorageError>) {
        match done {
            Ok(()) => {
                let bytes = ranges.iter().map(|range| range.len()).sum();
                self.resource.counters.bytes_evicted.fetch_add(bytes, Ordering::Relaxed);
            }
            Err(error) => {
                tracing::warn!(resource_id = self.resource.id.0, %error, "it is stored whole from now on");
                self.unbound(shared);
            }
        }
    }

    fn unbound(&self, shared: &Shared) {
        shared.sched(Event::Bounded { resource: self.resource.id, to: None });
    }

    /// A new generation begins: there is nothing to give back that was to be.
    pub(super) fn forget_to_shed(&mut self, shared: &Shared) {
        if !std::mem::take(&mut self.to_shed).is_empty() {
            shared.sched(Event::Shed { resource: self.resource.id });
        }
    }
}

impl Writer {
    pub(super) fn shed(&mut self, id: ResourceId, ranges: Vec<ByteRange>) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        kept.to_shed = ranges;
        if let Some(barrier) = kept.begin_shedding(&self.shared) {
            sync_elsewhere(&self.shared, id, barrier);
        }
    }

    /// Notes in the journal what `fetch` has written, but not where bytes are being given back.
    pub(super) fn record(
        &mut self,
        id: ResourceId,
        fetch: FetchId,
        offset: u64,
        bytes: &[u8],
        now: Micros,
    ) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let Some(journal) = &mut kept.journal else { return };
        let mut cuts: Vec<ByteRange> = kept.cuts.iter().map(|cut| cut.range).collect();
        cuts.sort_unstable();
        let end = offset + bytes.len() as u64;
        let mut at = offset;
        for cut in cuts.into_iter().chain([ByteRange::new(end, end)]) {
            let to = cut.start.clamp(at, end);
            let part = &bytes[(at - offset) as usize..(to - offset) as usize];
            journal.written(fetch, at, part, now);
            at = cut.end.clamp(at, end);
        }
    }

    /// What was held of bytes that are being given back does not count, and must not be written later.
    pub(super) fn give_up_held(&self, id: ResourceId) {
        let cuts = self.kept.get(&id).into_iter().flat_map(|kept| &kept.cuts);
        cuts.for_each(Cut::give_up_held);
    }

    /// So many bytes were stored. Assets that are not open make room for those that are.
    pub(super) fn grow(&mut self, bytes: u64) {
        self.grown += bytes;
        if self.grown >= (self.shared.config.store.max_bytes / GROWTH).max(LEAST_GROWTH) {
            self.grown = 0;
            let shared = self.shared.clone();
            self.shared.own.spawn_blocking(move || shared.make_room());
        }
    }
}

#[cfg(all(test, any(target_os = "linux", target_os = "android")))]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::assets::{Acquired, AssetKey, Generation, Lease, Verdict};
    use crate::config::Config;
    use crate::engine::resource::{Info, Resource};
    use crate::engine::testing::Bench;
    use crate::engine::writer::{Job, Write};
    use crate::ids::OriginId;
    use crate::storage::StreamingResource;
    use crate::sync::Arc;

    const KIB: u64 = 1 << 10;

    fn range(start: u64, end: u64) -> ByteRange {
        ByteRange::new(start * KIB, end * KIB)
    }

    fn lease(bench: &Bench) -> Lease {
        let key = AssetKey::explicit("film").unwrap();
        match bench.shared.store.acquire(&key, false) {
            Ok(Acquired::Held(lease)) => lease,
            other => panic!("{other:?}"),
        }
    }

    /// A writer that keeps one resource, recorded in the store.
    fn scene() -> (Bench, Writer, Arc<Resource>) {
        let bench = Bench::new(Config::default());
        let lease = lease(&bench);
        let bytes = StreamingResource::restored(lease.bytes().unwrap(), None, Vec::new());
        let mut journal = lease.into_journal();
        journal.begin(&Generation::default()).unwrap();
        let (id, origin) = (bench.shared.names.resource(), OriginId(1));
        let resource = Arc::new(Resource::new(id, None, origin, bytes, None, Info::default()));
        let mut writer = Writer::new(bench.shared.clone());
        let journal = Some(Box::new(journal));
        writer.handle(Job::Keep { resource: resource.clone(), journal });
        (bench, writer, resource)
    }

    /// Bytes come, as from a fetch of that number; how many of them do not count.
    fn comes(writer: &mut Writer, resource: &Arc<Resource>, fetch: u64, bytes: ByteRange) -> u64 {
        let text: Bytes = (bytes.start..bytes.end).map(|at| (at >> 9) as u8 | 1).collect();
        let text = [text];
        writer.store(resource, FetchId(fetch), 0, bytes.start, &text, &mut None).unwrap().withdrawn
    }

    fn begin(writer: &mut Writer, resource: &Resource, hole: ByteRange) -> Option<Barrier> {
        let shared = writer.shared.clone();
        let kept = writer.kept.get_mut(&resource.id).unwrap();
        kept.to_shed = vec![hole];
        kept.begin_shedding(&shared)
    }

    fn synced(writer: &mut Writer, resource: &Resource, barrier: Barrier) {
        writer.handle(Job::BarrierSynced { resource: resource.id, synced: barrier.sync() });
    }

    /// What the next process finds, which is what is there.
    fn found(bench: &Bench, mut writer: Writer, resource: &Resource) -> Vec<ByteRange> {
        let kept = writer.kept.remove(&resource.id).unwrap();
        kept.close(Micros(0), false);
        let key = AssetKey::explicit("film").unwrap();
        let verified = bench.shared.store.verify(&key).unwrap();
        assert_eq!(verified[0].verdict, Verdict::Sound, "{verified:?}");
        lease(bench).recovered.covered.clone()
    }

    #[test]
    fn a6_what_comes_while_bytes_are_given_back_does_not_count_and_is_not_recorded() {
        let (bench, mut writer, resource) = scene();
        assert_eq!(comes(&mut writer, &resource, 1, range(0, 1024)), 0);
        let barrier = begin(&mut writer, &resource, range(256, 512)).unwrap();
        let missing = || resource.bytes.missing_in(range(0, 1024));
        assert_eq!(missing(), [range(256, 512)], "before the hole is cut");
        assert_eq!(comes(&mut writer, &resource, 2, range(200, 600)), 256 * KIB);
        assert_eq!(comes(&mut writer, &resource, 2, range(300, 310)), 10 * KIB);
        synced(&mut writer, &resource, barrier);
        assert_eq!(missing(), [range(256, 512)]);
        assert_eq!(comes(&mut writer, &resource, 3, range(400, 450)), 0, "now it does");
        assert_eq!(resource.counters.bytes_evicted.load(Ordering::Relaxed), 256 * KIB);
        let covered = resource.bytes.covered();
        assert_eq!(covered, [range(0, 256), range(400, 450), range(512, 1024)]);
        assert_eq!(found(&bench, writer, &resource), covered);
    }

    /// Else a body that comes faster than the scheduler hears of it could fill the disk before it is paused.
    #[test]
    fn d3_written_bytes_keep_their_share_of_the_budget_until_the_scheduler_has_heard_of_them() {
        let (bench, mut writer, resource) = scene();
        let budget = bench.shared.write_budget.clone();
        let all = budget.available_permits();
        let permit = budget.clone().try_acquire_many_owned(1000).unwrap();
        let (fetch, pieces) = (FetchId(1), vec![vec![7; 1000].into()]);
        let (resource, generation, offset) = (resource.clone(), 0, 0);
        writer.handle(Job::Write(Write { fetch, resource, generation, offset, pieces, permit }));
        assert_eq!(budget.available_permits(), all - 1000);
        drop(bench.driver);
        assert_eq!(budget.available_permits(), all, "nor for ever");
    }

    #[test]
    fn a6_a_generation_that_begins_meanwhile_has_no_hole() {
        let (bench, mut writer, resource) = scene();
        comes(&mut writer, &resource, 1, range(0, 1024));
        let barrier = begin(&mut writer, &resource, range(256, 512)).unwrap();
        writer.handle(Job::Restart {
            resource: resource.clone(),
            notice: crate::error::Error::Restarted,
        });
        let generation = Generation::default();
        writer.handle(Job::BeginGeneration { resource: resource.clone(), generation });
        let text = [vec![7; 1 << 20].into()];
        writer.store(&resource, FetchId(2), 1, 0, &text, &mut None).unwrap();
        synced(&mut writer, &resource, barrier);
        let covered = resource.bytes.covered();
        assert_eq!(covered, [range(0, 256), range(512, 1024)]);
        assert_eq!(found(&bench, writer, &resource), covered);
    }

    #[test]
    fn a6_bytes_that_are_only_held_go_and_are_not_stored_later() {
        let (bench, mut writer, resource) = scene();
        comes(&mut writer, &resource, 1, range(0, 512));
        let held = vec![9; 256 << 10];
        let bytes = &resource.bytes;
        bytes.hold_telling(0, 512 * KIB, &held, |_| ()).unwrap();
        let barrier = begin(&mut writer, &resource, range(400, 600)).unwrap();
        synced(&mut writer, &resource, barrier);
        assert_eq!(bytes.covered(), [range(0, 400), range(600, 768)]);
        let mut moved = Vec::new();
        bytes.settle_held(|offset, bytes| moved.push((offset, bytes.len() as u64))).unwrap();
        assert!(moved.iter().all(|(offset, _)| *offset >= 600 * KIB), "{moved:?}");
        assert_eq!(found(&bench, writer, &resource), [range(0, 400)]);
    }
}
