//! The writer: the one thread on which received bytes reach the disk.
//!
//! It writes a chunk into the resource (which wakes the readers of it), notes it in the asset's
//! journal, and only then tells the scheduler. Since all writes and all restarts of generations
//! go through this one queue, a byte of an earlier generation can never land in a later one.
//!
//! Journals live here and nowhere else, so they need no lock. Syncs run elsewhere: a slow disk
//! must not keep a blocked reader from the bytes that have just come.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::assets::{Barrier, BarrierOutcome, Generation, Journal, SyncedBarrier};
use crate::byte_range::ByteRange;
use crate::engine::resource::Resource;
use crate::engine::shared::{Command, Shared};
use crate::error::{Error, StorageError};
use crate::events::SessionEvent;
use crate::ids::{FetchId, ResourceId};
use crate::sched::{Event, FetchOutcome};
use crate::storage::Landed;
use crate::sync::{Arc, Ordering};

/// Most jobs handled before a look at what is due.
const BATCH: usize = 32;

/// Work for the writer, in the order given.
pub(crate) enum Job {
    /// Received bytes.
    Write(Write),
    /// The fetch is over; everything it received was queued before this.
    Ended { fetch: FetchId, outcome: FetchOutcome },
    /// The resource's journal, to be kept here until `CloseJournal`.
    KeepJournal { resource: ResourceId, journal: Box<Journal> },
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
    CloseJournal { resource: ResourceId, discard: bool, done: watch::Sender<()> },
    /// A barrier was synced, or failed to be.
    BarrierSynced { resource: ResourceId, synced: SyncedBarrier },
    /// Close everything and end.
    Shutdown,
}

/// Received bytes on their way to the disk.
pub(crate) struct Write {
    pub(crate) fetch: FetchId,
    pub(crate) resource: Arc<Resource>,
    /// Generation of the resource that the bytes belong to.
    pub(crate) generation: u64,
    pub(crate) offset: u64,
    pub(crate) bytes: Bytes,
    /// Their share of the write budget, given back when they are written.
    pub(crate) permit: OwnedSemaphorePermit,
}

struct Kept {
    journal: Box<Journal>,
    resource: Option<Arc<Resource>>,
    /// A generation that the disk refused to begin.
    unbegun: Option<Generation>,
}

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    journals: BTreeMap<ResourceId, Kept>,
}

/// Tells the driver when the writer's thread ends, also by a panic.
struct Farewell(Arc<Shared>);

impl Drop for Farewell {
    fn drop(&mut self) {
        let _ = self.0.command(Command::WriterGone);
    }
}

impl Writer {
    /// Works until `Shutdown`, or until nobody is left to give work.
    pub(crate) fn run(shared: Arc<Shared>, jobs: Receiver<Job>) {
        let _farewell = Farewell(shared.clone());
        let mut writer = Self { shared, journals: BTreeMap::new() };
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
            let due = self.journals.values().filter_map(|kept| kept.journal.next_due()).min();
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
        match job {
            Job::Write(write) => self.write(write),
            Job::Ended { fetch, outcome } => self.ended(fetch, outcome),
            Job::KeepJournal { resource, journal } => {
                self.journals.insert(resource, Kept { journal, resource: None, unbegun: None });
            }
            Job::BeginGeneration { resource, generation } => self.begin(&resource, generation),
            Job::LenKnown { resource, len } => {
                if let Some(kept) = self.journals.get_mut(&resource) {
                    kept.journal.len_known(len);
                }
            }
            Job::Sealed { resource, len } => {
                if let Some(kept) = self.journals.get_mut(&resource) {
                    kept.journal.sealed(len);
                }
            }
            Job::Validated { resource } => {
                if let Some(kept) = self.journals.get_mut(&resource) {
                    kept.journal.validated(unix_now());
                }
            }
            Job::Restart { resource, notice } => self.restart(&resource, notice),
            Job::CloseJournal { resource, discard, done } => self.close(resource, discard, done),
            Job::BarrierSynced { resource, synced } => self.barrier_synced(resource, synced),
            Job::Shutdown => return false,
        }
        true
    }

    fn write(&mut self, write: Write) {
        let Write { fetch, resource, generation, offset, bytes, permit } = write;
        let len = bytes.len() as u64;
        let counters = &resource.counters;
        counters.bytes_fetched.fetch_add(len, Ordering::Relaxed);
        let begun = self.begin_again(resource.id);
        // The scheduler hears of the bytes before the reader that waits for them: that one soon asks for what
        // follows, and a fetch that seems to be behind by then would be taken for slow and doubled.
        let tell = |landed: &Landed| {
            if landed.withdrawn < len {
                self.shared.sched(Event::Written { fetch, range: ByteRange::at(offset, len) });
            }
        };
        let write = || resource.bytes.write_telling(generation, offset, &bytes, tell);
        match begun.and_then(|()| write()) {
            Ok(landed) if landed.withdrawn == len => {
                counters.bytes_wasted.fetch_add(len, Ordering::Relaxed);
            }
            Ok(landed) => {
                counters.bytes_wasted.fetch_add(len - landed.new, Ordering::Relaxed);
                if let Some(kept) = self.journals.get_mut(&resource.id) {
                    let now = self.shared.clock.now();
                    kept.journal.written(fetch, offset, &bytes, now);
                    kept.resource.get_or_insert(resource);
                }
            }
            Err(error) => {
                let error = Error::from(error);
                resource.events.emit(SessionEvent::StoreTrouble { error: error.clone() });
                let _ = self.shared.command(Command::StoreFailed { fetch, error });
            }
        }
        drop(permit);
    }

    fn ended(&mut self, fetch: FetchId, outcome: FetchOutcome) {
        for kept in self.journals.values_mut() {
            kept.journal.flow_ended(fetch);
        }
        self.shared.sched(Event::FetchEnded { fetch, outcome });
    }

    fn begin(&mut self, resource: &Arc<Resource>, generation: Generation) {
        let Some(kept) = self.journals.get_mut(&resource.id) else { return };
        kept.resource = Some(resource.clone());
        if let Err(error) = kept.journal.begin(&generation) {
            tracing::warn!(resource = %resource.id, %error, "a generation could not be begun");
            resource.events.emit(SessionEvent::StoreTrouble { error: error.into() });
            kept.unbegun = Some(generation);
        }
    }

    /// Begins again what could not be begun: not a byte may be written before that.
    fn begin_again(&mut self, resource: ResourceId) -> Result<(), StorageError> {
        let Some(kept) = self.journals.get_mut(&resource) else { return Ok(()) };
        let Some(generation) = kept.unbegun.take() else { return Ok(()) };
        kept.journal.begin(&generation).inspect_err(|_| kept.unbegun = Some(generation))
    }

    fn restart(&mut self, resource: &Arc<Resource>, notice: Error) {
        resource.begin_next_generation(notice);
        let _ = self.shared.command(Command::Restarted { resource: resource.id });
    }

    fn run_due(&mut self) {
        let now = self.shared.clock.now();
        for (&resource, kept) in &mut self.journals {
            if kept.journal.next_due().is_none_or(|due| due > now) {
                continue;
            }
            if let Some(barrier) = kept.journal.run_due(now) {
                sync_elsewhere(&self.shared, resource, barrier);
            }
            Self::report(kept);
        }
    }

    fn barrier_synced(&mut self, resource: ResourceId, synced: SyncedBarrier) {
        let Some(kept) = self.journals.get_mut(&resource) else { return };
        match kept.journal.barrier_done(synced) {
            BarrierOutcome::Done => {}
            BarrierOutcome::Next(barrier) => sync_elsewhere(&self.shared, resource, barrier),
            BarrierOutcome::Lost { ranges, error } => {
                let Some(resource) = &kept.resource else { return };
                for range in ranges {
                    resource.bytes.shrink(range);
                    self.shared.sched(Event::Shrunk { resource: resource.id, range });
                }
                resource.events.emit(SessionEvent::StoreTrouble { error: error.into() });
            }
        }
        Self::report(kept);
    }

    /// Tells listeners once that the journal had to stop recording.
    fn report(kept: &mut Kept) {
        if let (Some(error), Some(resource)) = (kept.journal.take_error(), &kept.resource) {
            resource.events.emit(SessionEvent::StoreTrouble { error: error.into() });
        }
    }

    fn close(&mut self, resource: ResourceId, discard: bool, done: watch::Sender<()>) {
        let Some(kept) = self.journals.remove(&resource) else { return };
        // A thread of its own: the engine's runtime may be going down, and drops what has not begun.
        let shared = self.shared.clone();
        let closing = move || {
            close_journal(kept.journal, discard);
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
        let journals = std::mem::take(&mut self.journals);
        let any = !journals.is_empty();
        for (_, kept) in journals {
            close_journal(kept.journal, false);
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

fn close_journal(journal: Box<Journal>, discard: bool) {
    let closed = if discard { journal.discard() } else { journal.close() };
    if let Err(error) = closed {
        tracing::warn!(%error, "the last barrier of an asset failed; unproven bytes will be fetched again");
    }
}
