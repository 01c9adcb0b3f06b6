//! The writer: the one thread on which received bytes reach the disk.
//!
//! It writes a chunk into the resource (which wakes the readers of it), notes it in the asset's
//! journal, and only then tells the scheduler. Since all writes and all restarts of generations
//! go through this one queue, a byte of an earlier generation can never land in a later one.
//!
//! Journals live here and nowhere else, so they need no lock. Syncs run elsewhere: a slow disk
//! must not keep a blocked reader from the bytes that have just come. What happens while a disk refuses
//! is in `trouble`, how stored bytes are given back to it in `shed`.

mod follow;
mod rest;
mod shed;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::assets::{Barrier, BarrierOutcome, Generation, Journal, SyncedBarrier};
use crate::byte_range::ByteRange;
use crate::engine::resource::Resource;
use crate::engine::shared::{Command, Shared};
use crate::error::{Error, StorageError};
use crate::ids::{FetchId, ResourceId};
use crate::sched::{Event, FetchOutcome};
use crate::storage::{Cut, Landed, WriteError};
use crate::sync::{Arc, Ordering};
use crate::time::Micros;
pub(crate) use follow::Then;
use rest::Resting;
use trouble::{Refused, Trouble};

/// Most jobs handled before a look at what is due.
const BATCH: usize = 32;
/// The store is looked through again when it has grown by such a part of its limit.
const GROWTH: u64 = 32;
/// And by no less than that, in bytes.
const LEAST_GROWTH: u64 = 4 << 20;

/// Work for the writer, in the order given.
pub(crate) enum Job {
    /// Received bytes.
    Write(Write),
    /// The fetch is over; everything it received was queued before this.
    Ended { fetch: FetchId, outcome: FetchOutcome },
    /// A resource and its journal, if it has one, to be kept here until `Close`. Comes before all else of it.
    Keep { resource: Arc<Resource>, journal: Option<Box<Journal>> },
    /// The store has no place for the resource, which the scheduler knows by now.
    StoreRefused { resource: ResourceId, error: StorageError, room: Room },
    /// A generation begins whose validator is now known. Comes before its first byte.
    BeginGeneration { resource: Arc<Resource>, generation: Generation },
    /// The length is known.
    LenKnown { resource: ResourceId, len: u64 },
    /// The known length is fully covered.
    Sealed { resource: ResourceId, len: u64 },
    /// The stored bytes were compared with the server's validator.
    Validated { resource: ResourceId },
    /// Forget every byte and begin the next generation.
    Restart { resource: Arc<Resource>, notice: Error },
    /// Make what was written durable, then give up the asset's lock; `done` ends when that is done.
    Close { resource: ResourceId, discard: bool, done: watch::Sender<()> },
    /// Stored bytes could not be read back. The reader has withdrawn them: nobody is given them any more.
    Unreadable { resource: Arc<Resource>, range: ByteRange, error: StorageError },
    /// Give these stored bytes back to the disk.
    Shed { resource: ResourceId, ranges: Vec<ByteRange> },
    /// A reader has opened the file that it reads, which had come to rest.
    Opened { resource: ResourceId },
    /// See what another engine has stored of it meanwhile.
    Follow { resource: Arc<Resource>, then: Then },
    /// A barrier was synced, or failed to be.
    BarrierSynced { resource: ResourceId, synced: SyncedBarrier },
    /// Close everything and end.
    Shutdown,
}

impl Job {
    /// Whose state it may change.
    fn about(&self) -> Option<ResourceId> {
        match self {
            Self::Write(write) => Some(write.resource.id),
            Self::Keep { resource, .. }
            | Self::BeginGeneration { resource, .. }
            | Self::Restart { resource, .. }
            | Self::Unreadable { resource, .. }
            | Self::Follow { resource, .. } => Some(resource.id),
            Self::StoreRefused { resource, .. }
            | Self::LenKnown { resource, .. }
            | Self::Sealed { resource, .. }
            | Self::Validated { resource }
            | Self::Close { resource, .. }
            | Self::Opened { resource }
            | Self::Shed { resource, .. }
            | Self::BarrierSynced { resource, .. } => Some(*resource),
            Self::Ended { .. } | Self::Shutdown => None,
        }
    }
}

/// Where the bytes of a resource go that the store has no place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// To a file without a name, as long as it is open.
    Scratch,
    /// To no file at all.
    None,
}

/// Received bytes on their way to the disk.
pub(crate) struct Write {
    pub(crate) fetch: FetchId,
    pub(crate) resource: Arc<Resource>,
    /// Generation of the resource that the bytes belong to.
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    /// In order, without a gap.
    pub(crate) pieces: Vec<Bytes>,
    /// Their share of the write budget, given back when the scheduler has heard that they are written.
    pub(crate) permit: OwnedSemaphorePermit,
}

/// What is kept of one resource.
struct Kept {
    /// `None` if nothing of it is recorded.
    journal: Option<Box<Journal>>,
    resource: Arc<Resource>,
    /// A generation that the disk refused to begin: not a byte may be written before it does.
    unbegun: Option<Generation>,
    /// There while the disk refuses.
    trouble: Option<Trouble>,
    /// To be given back to the disk when it is their turn.
    to_shed: Vec<ByteRange>,
    /// What is being given back.
    cuts: Vec<Cut>,
}

impl Kept {
    fn new(resource: Arc<Resource>, journal: Option<Box<Journal>>) -> Self {
        let (to_shed, cuts) = (Vec::new(), Vec::new());
        Self { journal, resource, unbegun: None, trouble: None, to_shed, cuts }
    }

    /// Looks whether the journal had to stop recording.
    fn report(&mut self, shared: &Shared) {
        if let Some(error) = self.journal.as_mut().and_then(|journal| journal.take_error()) {
            self.refused(shared, Refused::Record, error);
        }
    }

    fn close(mut self, now: Micros, discard: bool) {
        if !discard {
            self.try_last(now);
        }
        let Some(journal) = self.journal else { return };
        let closed = if discard { journal.discard() } else { journal.close() };
        if let Err(error) = closed {
            tracing::warn!(%error, "the last barrier of an asset failed; unproven bytes will be fetched again");
        }
    }
}

/// How many bytes `pieces` have together.
fn len_of(pieces: &[Bytes]) -> u64 {
    pieces.iter().map(|piece| piece.len() as u64).sum()
}

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    // Boxed: the nodes of a map are half empty.
    kept: BTreeMap<ResourceId, Box<Kept>>,
    /// Those with something due at some time, and those that were looked for since that was last seen: who rests costs nothing.
    awake: BTreeSet<ResourceId>,
    /// Those whose files may be open.
    resting: Resting,
    /// Bytes stored since the store was last looked through.
    grown: u64,
}

/// Tells the driver when the writer's thread ends, also by a panic.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.command(Command::WriterGone);
    }
}

impl Writer {
    fn new(shared: Arc<Shared>) -> Self {
        let resting = Resting::new(shared.config.store.rest_after);
        Self { shared, kept: BTreeMap::new(), awake: BTreeSet::new(), resting, grown: 0 }
    }

    /// Works until `Shutdown`, or until nobody is left to give work.
    pub(crate) fn run(shared: Arc<Shared>, jobs: Receiver<Job>) {
        let _farewell = Farewell(shared.clone());
        let mut writer = Self::new(shared);
        while let Some(job) = writer.next_job(&jobs) {
            if !writer.handle(job) {
                break;
            }
            for _ in 1..BATCH {
                match jobs.try_recv() {
                    Ok(job) => {
                        if !writer.handle(job) {
                            writer.close_all();
                            return;
                        }
                    }
                    Err(_) => break,
                }
            }
            writer.run_due();
        }
        writer.close_all();
    }

    /// The next job; runs what is due in between.
    fn next_job(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        loop {
            let awake = self.awake.iter().filter_map(|resource| self.kept.get(resource));
            let due = awake.filter_map(|kept| kept.next_due()).chain(self.resting.due()).min();
            let Some(due) = due else { return jobs.recv().ok() };
            let wait = due.since(self.shared.clock.now()).to_duration();
            match jobs.recv_timeout(wait) {
                Ok(job) => return Some(job),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => self.run_due(),
            }
        }
    }

    /// Does one job; false to end.
    fn handle(&mut self, job: Job) -> bool {
        if let Some(resource) = job.about() {
            self.awake.insert(resource);
            self.resting.note(resource, self.shared.clock.now());
        }
        match job {
            Job::Write(write) => self.write(write),
            Job::Ended { fetch, outcome } => {
                self.shared.sched(Event::FetchEnded { fetch, outcome })
            }
            Job::Keep { resource, journal } => {
                let kept = Box::new(Kept::new(resource.clone(), journal));
                self.kept.insert(resource.id, kept);
            }
            Job::StoreRefused { resource, error, room } => {
                if let Some(kept) = self.kept.get_mut(&resource) {
                    kept.refused(&self.shared, Refused::Store(room), error);
                }
            }
            Job::BeginGeneration { resource, generation } => self.begin(&resource, generation),
            Job::LenKnown { resource, len } => {
                self.note(resource, |journal| journal.len_known(len))
            }
            Job::Sealed { resource, len } => self.note(resource, |journal| journal.sealed(len)),
            Job::Validated { resource } => {
                self.note(resource, |journal| journal.validated(unix_now()))
            }
            Job::Restart { resource, notice } => self.restart(&resource, notice),
            Job::Close { resource, discard, done } => self.close(resource, discard, done),
            Job::Unreadable { resource, range, error } => self.unreadable(&resource, range, error),
            Job::Opened { .. } => {}
            Job::Shed { resource, ranges } => self.shed(resource, ranges),
            Job::Follow { resource, then } => self.follow(&resource, then),
            Job::BarrierSynced { resource, synced } => self.barrier_synced(resource, synced),
            Job::Shutdown => return false,
        }
        true
    }

    fn note(&mut self, resource: ResourceId, note: impl FnOnce(&mut Journal)) {
        if let Some(journal) = self.kept.get_mut(&resource).and_then(|k| k.journal.as_mut()) {
            note(journal);
        }
    }

    fn write(&mut self, write: Write) {
        let Write { fetch, resource, generation, offset, pieces, permit } = write;
        let len = len_of(&pieces);
        let counters = &resource.counters;
        counters.bytes_fetched.fetch_add(len, Ordering::Relaxed);
        let landed =
            match self.store(&resource, fetch, generation, offset, &pieces, &mut Some(permit)) {
                Ok(landed) => landed,
                Err(error) => {
                    let error = Error::from(error);
                    let _ = self.shared.command(Command::StoreFailed { fetch, error });
                    return;
                }
            };
        let wasted = if landed.withdrawn == len { len } else { len - landed.new };
        counters.bytes_wasted.fetch_add(wasted, Ordering::Relaxed);
        self.grow(landed.new);
    }

    /// Writes to the disk, or to memory while that refuses. The scheduler is told, and given their `share` with it.
    fn store(
        &mut self,
        resource: &Arc<Resource>,
        fetch: FetchId,
        generation: u64,
        offset: u64,
        pieces: &[Bytes],
        share: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Landed, StorageError> {
        let (shared, len) = (self.shared.clone(), len_of(pieces));
        let range = ByteRange::at(offset, len);
        let cut = self.kept.get(&resource.id).is_some_and(|kept| kept.is_cutting(range));
        // The scheduler hears of the bytes before the reader that waits for them: that one soon asks for what
        // follows, and a fetch that seems to be behind by then would be taken for slow and doubled.
        let mut tell = |landed: &Landed| {
            // Of what is being given back it hears next.
            if landed.withdrawn < len || cut {
                let _ = shared.command(Command::Written { fetch, range, share: share.take() });
            }
        };
        if !self.kept.get(&resource.id).is_some_and(|kept| kept.is_holding()) {
            match resource.bytes.write_telling(generation, offset, pieces, &mut tell) {
                Ok(landed) => {
                    if landed.withdrawn < len {
                        let (now, mut at) = (shared.clock.now(), offset);
                        for bytes in pieces {
                            self.record(resource.id, fetch, at, bytes, now);
                            at += bytes.len() as u64;
                        }
                    }
                    return Ok(landed);
                }
                Err(WriteError::Misplaced(error)) => return Err(error),
                Err(WriteError::Disk(error)) => match self.kept.get_mut(&resource.id) {
                    Some(kept) => kept.refused(&shared, Refused::Bytes, error),
                    // Closed meanwhile: nobody wants the bytes.
                    None => return Err(error),
                },
            }
        }
        self.hold(resource, fetch, generation, offset, pieces, share)
    }

    fn begin(&mut self, resource: &Arc<Resource>, generation: Generation) {
        let Some(kept) = self.kept.get_mut(&resource.id) else { return };
        let Some(journal) = &mut kept.journal else { return };
        kept.unbegun = None;
        if let Err(error) = journal.begin(&generation) {
            kept.unbegun = Some(generation);
            kept.refused(&self.shared, Refused::Bytes, error);
        }
    }

    fn restart(&mut self, resource: &Arc<Resource>, notice: Error) {
        if let Some(kept) = self.kept.get_mut(&resource.id) {
            kept.unbegun = None;
            kept.forget_to_shed(&self.shared);
        }
        resource.begin_next_generation(notice);
        let _ = self.shared.command(Command::Restarted { resource: resource.id });
    }

    fn run_due(&mut self) {
        let now = self.shared.clock.now();
        self.rest(now);
        for &resource in &self.awake {
            let Some(kept) = self.kept.get_mut(&resource) else { continue };
            kept.report(&self.shared);
            if kept.next_due().is_none_or(|due| due > now) {
                continue;
            }
            kept.look_again(&self.shared, now);
            if let Some(barrier) = kept.begin_shedding(&self.shared) {
                sync_elsewhere(&self.shared, resource, barrier);
            }
            if let Some(barrier) = kept.journal.as_mut().and_then(|journal| journal.run_due(now)) {
                sync_elsewhere(&self.shared, resource, barrier);
            }
            kept.report(&self.shared);
        }
        let kept = &self.kept;
        self.awake.retain(|id| kept.get(id).is_some_and(|kept| kept.next_due().is_some()));
    }

    fn barrier_synced(&mut self, id: ResourceId, synced: SyncedBarrier) {
        let Some(kept) = self.kept.get_mut(&id) else { return };
        let Some(journal) = &mut kept.journal else { return };
        match journal.barrier_done(synced) {
            BarrierOutcome::Done => kept.look_at_proof(),
            BarrierOutcome::Next(barrier) => sync_elsewhere(&self.shared, id, barrier),
            BarrierOutcome::Lost { ranges, error } => {
                kept.shed_done(&self.shared);
                self.unsynced(id, ranges, error);
            }
            BarrierOutcome::Punched { cut } => kept.punched(&self.shared, cut),
        }
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.report(&self.shared);
        }
    }

    fn close(&mut self, resource: ResourceId, discard: bool, done: watch::Sender<()>) {
        let Some(kept) = self.kept.remove(&resource) else { return };
        // A thread of its own: the engine's runtime may be going down, and drops what has not begun.
        let shared = self.shared.clone();
        let closing = move || {
            kept.close(shared.clock.now(), discard);
            // First: nobody who waits for this asset waits for the others.
            drop(done);
            shared.make_room();
        };
        let spawned = std::thread::Builder::new().name("kithara-close".into()).spawn(closing);
        if let Err(error) = spawned {
            tracing::warn!(%error, "no thread for the last barrier; unproven bytes will be fetched again");
        }
    }

    fn close_all(&mut self) {
        let all = std::mem::take(&mut self.kept);
        let any = !all.is_empty();
        for (_, kept) in all {
            kept.close(self.shared.clock.now(), false);
        }
        if any {
            self.shared.make_room();
        }
    }
}

/// Runs the barrier on a thread that may block. One that is dropped by a runtime going down counts
/// as not synced.
fn sync_elsewhere(shared: &Arc<Shared>, resource: ResourceId, barrier: Barrier) {
    let told = shared.clone();
    shared.own.spawn_blocking(move || {
        let synced = barrier.sync();
        let _ = told.job(Job::BarrierSynced { resource, synced });
    });
}

fn unix_now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
