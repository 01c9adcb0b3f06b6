//! A resource whose disk refuses: reading goes on, and storing when it can.
//!
//! What the disk does not take is held in memory, within a window, and meanwhile little of it is read ahead. The disk is tried again after a while, less often the longer it refuses. Once it takes everything that
//! waited (the generation, the log, what is held), storing goes on. Listeners are told twice: when storing stops, and
//! when it goes on.

use super::{Kept, Room, Writer};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::byte_range::ByteRange;
use crate::engine::resource::Resource;
use crate::engine::shared::{Command, Shared};
use crate::error::{Error, StorageError};
use crate::events::SessionEvent;
use crate::ids::{FetchId, ResourceId};
use crate::sched::{Confined, Event};
use crate::storage::{Landed, WriteError};
use crate::sync::Arc;
use crate::time::Micros;

/// The pause between two tries grows to so many times the first one.
const LONGEST: u64 = 32;
/// What is read ahead is such a part of the memory window: the rest is for what was read, for jumps back, and for what is on
/// its way.
const AHEAD: u64 = 4;
/// Pages are given up until so much of the memory window is free, so that listeners hear of it in batches.
const FREE: u64 = 8;
/// The flow of bytes that were held; no request has this name.
const HELD: FetchId = FetchId(u64::MAX);

/// What a resource goes through while its disk refuses.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Whether received bytes are held in memory. If not, only the log refuses.
    pub(super) holding: bool,
    /// When the disk is tried again; `None` once it took everything, and only a barrier is to prove it.
    next_try: Option<Micros>,
    pause: Micros,
    /// Whether it is over only once a barrier has succeeded.
    unproven: bool,
    /// How many barriers had succeeded when that was last looked at.
    barriers: u64,
    /// What could not be read back.
    unreadable: Option<ByteRange>,
    /// Whether it stays so as long as the resource is open.
    for_good: bool,
}

/// What the disk refused to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// To take bytes, or a new generation.
    Bytes,
    /// To take a record.
    Record,
    /// To make what it took proof: what it says from now on is believed only after a barrier.
    Sync,
    /// To give back what is stored there.
    Read(ByteRange),
    /// To open the store, or the asset in it.
    Store(Room),
}

impl Kept {
    /// Whether what comes is to be held in memory.
    pub(super) fn is_holding(&self) -> bool {
        self.trouble.as_ref().is_some_and(|trouble| trouble.holding)
    }

    /// When there is something to do for this resource.
    pub(super) fn next_due(&self) -> Option<Micros> {
        let journal = self.journal.as_ref().and_then(|journal| journal.next_due());
        let again = self.trouble.as_ref().and_then(|trouble| trouble.next_try);
        let shed = self.may_shed().then_some(Micros(0));
        journal.into_iter().chain(again).chain(shed).min()
    }

    /// The disk refused something.
    pub(super) fn refused(&mut self, shared: &Shared, what: Refused, error: StorageError) {
        let now = shared.clock.now();
        let error = Error::from(error);
        let was_holding = self.is_holding();
        let pause = Micros::from(shared.config.store.retry_interval);
        let is_new = self.trouble.is_none();
        let trouble = self.trouble.get_or_insert(Trouble {
            holding: false,
            next_try: None,
            pause,
            unproven: false,
            barriers: 0,
            unreadable: None,
            for_good: false,
        });
        trouble.holding |= !matches!(what, Refused::Record | Refused::Store(Room::Scratch));
        trouble.for_good |= matches!(what, Refused::Store(_));
        trouble.unproven |= what == Refused::Sync;
        if let Refused::Read(range) = what {
            trouble.unreadable = Some(range);
        }
        if trouble.next_try.is_none() && !matches!(what, Refused::Store(_)) {
            trouble.next_try = Some(now + trouble.pause);
            trouble.pause = Micros(trouble.pause.0.saturating_mul(2).min(pause.0 * LONGEST));
        }
        // Who opened the resource has told that already.
        if is_new && !matches!(what, Refused::Store(_)) {
            let resource = &self.resource;
            tracing::warn!(resource_id = resource.id.0, %error, "the disk refuses; bytes are served, and stored when it does not");
            resource.set_storing(false);
            resource.events.emit(SessionEvent::StoreTrouble { error: error.clone() });
        }
        if self.is_holding() && !was_holding {
            let window = shared.config.store.memory_window / AHEAD;
            let to = Some(Confined { window, error });
            shared.sched(Event::Confined { resource: self.resource.id, to });
        }
    }

    /// Tries the disk again with everything that waits for it.
    fn try_again(&mut self, now: Micros) -> Result<(), (Refused, StorageError)> {
        let bytes = |error| (Refused::Bytes, error);
        if let (Some(journal), Some(generation)) = (&mut self.journal, &self.unbegun) {
            journal.begin(generation).map_err(bytes)?;
            self.unbegun = None;
        }
        if let Some(journal) = &mut self.journal {
            journal.resume().map_err(|error| (Refused::Record, error))?;
        }
        let journal = &mut self.journal;
        let settled = self.resource.bytes.settle_held(|offset, bytes| {
            if let Some(journal) = journal {
                journal.written(HELD, offset, bytes, now);
            }
        });
        if let Some(journal) = journal {
            journal.record_now();
        }
        settled.map_err(bytes)?;
        if let Some(range) = self.trouble.as_ref().and_then(|trouble| trouble.unreadable) {
            let probed = self.resource.bytes.probe(range);
            probed.map_err(|error| (Refused::Read(range), error))?;
        }
        match self.journal.as_mut().and_then(|journal| journal.take_error()) {
            Some(error) => Err((Refused::Record, error)),
            None => Ok(()),
        }
    }

    /// Tries again if it is time.
    pub(super) fn look_again(&mut self, shared: &Shared, now: Micros) {
        let is_due = |trouble: &Trouble| trouble.next_try.is_some_and(|at| at <= now);
        if !self.trouble.as_ref().is_some_and(is_due) {
            return;
        }
        let tried = self.try_again(now);
        let Some(trouble) = &mut self.trouble else { return };
        trouble.next_try = None;
        match tried {
            Ok(()) => self.took_all(shared),
            Err((what, error)) => {
                tracing::debug!(%error, "the disk still refuses");
                self.refused(shared, what, error);
            }
        }
    }

    /// The last chance before the journal is closed: `Ok` also if there was no trouble.
    pub(super) fn try_last(&mut self, now: Micros) {
        if self.trouble.is_some()
            && let Err((_, error)) = self.try_again(now)
        {
            tracing::warn!(%error, "the disk refused to the end; bytes that were held will be fetched again");
        }
    }

    fn took_all(&mut self, shared: &Shared) {
        let Some(trouble) = &mut self.trouble else { return };
        if trouble.holding {
            trouble.holding = false;
            shared.sched(Event::Confined { resource: self.resource.id, to: None });
        }
        match &mut self.journal {
            Some(journal) if trouble.unproven && journal.is_durable() => {
                trouble.barriers = journal.barriers();
                journal.hurry(shared.clock.now());
            }
            _ if trouble.for_good => {}
            _ => self.over(),
        }
    }

    /// A barrier has come back; that may be what was waited for.
    pub(super) fn look_at_proof(&mut self) {
        let Some(Trouble { next_try: None, barriers, .. }) = self.trouble else { return };
        if self.journal.as_ref().is_some_and(|journal| journal.barriers() > barriers) {
            self.over();
        }
    }

    fn over(&mut self) {
        self.trouble = None;
        self.resource.set_storing(true);
        self.resource.events.emit(SessionEvent::StoringResumed);
    }
}

impl Writer {
    /// Keeps the held bytes of `resource` within their window.
    pub(super) fn bound_held(&self, resource: &Resource) {
        let window = self.shared.config.store.memory_window;
        if resource.bytes.held() <= window {
            return;
        }
        let gone = resource.bytes.give_up_held(window - window / FREE, &resource.positions());
        for range in gone {
            self.shared.sched(Event::Shrunk { resource: resource.id, range });
        }
    }

    /// Holds in memory what the disk does not take, piece by piece, so that no more than the window and one piece is held. The
    /// scheduler is told of each, and given their `share` with the last.
    pub(super) fn hold(
        &mut self,
        resource: &Arc<Resource>,
        fetch: FetchId,
        generation: u64,
        offset: u64,
        pieces: &[Bytes],
        share: &mut Option<OwnedSemaphorePermit>,
    ) -> Result<Landed, StorageError> {
        let (mut all, mut at) = (Landed::default(), offset);
        for (nth, piece) in pieces.iter().enumerate() {
            let range = ByteRange::at(at, piece.len() as u64);
            let cut = self.kept.get(&resource.id).is_some_and(|kept| kept.is_cutting(range));
            let is_last = nth + 1 == pieces.len();
            let tell = |landed: &Landed| {
                if landed.withdrawn < range.len() || cut {
                    let share = share.take_if(|_| is_last);
                    let _ = self.shared.command(Command::Written { fetch, range, share });
                }
            };
            match resource.bytes.hold_telling(generation, at, piece, tell) {
                Ok(landed) => {
                    all.new += landed.new;
                    all.withdrawn += landed.withdrawn;
                    all.complete = landed.complete;
                }
                Err(WriteError::Misplaced(error) | WriteError::Disk(error)) => return Err(error),
            }
            self.give_up_held(resource.id);
            self.bound_held(resource);
            at = range.end;
        }
        Ok(all)
    }

    /// Stored bytes could not be read back; nobody is given them any more.
    pub(super) fn unreadable(
        &mut self,
        resource: &Resource,
        range: ByteRange,
        error: StorageError,
    ) {
        // Where another engine stored them no disk is to blame.
        let gone = resource.along.as_ref().map(|along| along.gone()).unwrap_or_default();
        gone.iter().for_each(|range| self.take_away(resource, *range));
        if gone.iter().any(|gone| gone.overlaps(range)) {
            return self.take_away(resource, range);
        }
        // Again, though the reader did: only what this thread takes away stays away from the scheduler.
        self.take_away(resource, range);
        let Some(kept) = self.kept.get_mut(&resource.id) else { return };
        if let Some(journal) = &mut kept.journal {
            journal.lost(range);
        }
        kept.refused(&self.shared, Refused::Read(range), error);
    }

    /// The disk refused to sync: `ranges` may never have reached it.
    pub(super) fn unsynced(&mut self, id: ResourceId, ranges: Vec<ByteRange>, error: StorageError) {
        let Some(resource) = self.kept.get(&id).map(|kept| kept.resource.clone()) else { return };
        for range in ranges {
            self.take_away(&resource, range);
        }
        if let Some(kept) = self.kept.get_mut(&id) {
            kept.refused(&self.shared, Refused::Sync, error);
        }
    }

    fn take_away(&self, resource: &Resource, range: ByteRange) {
        resource.bytes.shrink(range);
        self.shared.sched(Event::Shrunk { resource: resource.id, range });
    }
}
