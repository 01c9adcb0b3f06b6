//! The writer's side of an open asset: says on disk which bytes are there, and never too early.
//!
//! It is told of bytes after they were written to the data file, gathers them per flow with a running CRC,
//! appends `Covered` records without syncing, and hands out barriers: the data is synced, only then does the log
//! claim it, then the log is synced.
//!
//! One owner, no locks, no waiting but for log appends and, at [`begin`](Journal::begin), at the first record of a
//! life and at [`close`](Journal::close), for the disk. It keeps the asset until it is closed or dropped.
//!
//! Not here: the bytes themselves and who may read them (`storage`), threads (`engine`).
//!
//! Invariants:
//! 1. what the log on disk calls proven was synced in the data file before the log said so;
//! 2. no byte of a generation is recorded before its log has taken the place of the one before it;
//! 3. after a failed sync nothing since the last good barrier is claimed again, in memory or on disk;
//! 4. a log is put in place only where the asset's names still lead to what is open here;
//! 5. after a failed append nothing is recorded until a whole new log is in place ([`resume`](Journal::resume)), which
//!    says what came meanwhile as well; until then what was proven stays so;
//! 6. no hole is cut before the log says durably that the bytes are gone, and no other log can come back.

mod compact;
mod punch;
mod record;
mod rest;

pub(crate) use punch::Punching;

use super::barrier::{Barrier, BarrierOutcome, Half, InFlight, SyncedBarrier, Ticket};
use super::layout::{Durable, Kind, is_there};
use super::lease::{Generation, Place};
use super::log::{Header, MAX_OFFSET, MAX_RECORD_BYTES, Record};
use super::logfile::{Draft, LogFile, new_epoch};
use super::recovery::{Piece, Recovery};
use super::runs::Runs;
use crate::error::StorageError;
use crate::ids::FetchId;
use crate::storage::disk::{Depth, Disk};
use crate::sync::Arc;
use crate::time::Micros;

/// Barriers start at least this far apart: a sync costs the disk more than it saves.
const BARRIER_SPACING: Micros = Micros::from_millis(1000);

/// Records the coverage of one open asset.
#[derive(Debug)]
pub(crate) struct Journal {
    place: Place,
    /// Head of the current generation's log; `None` until one has begun.
    header: Option<Header>,
    /// The log of this life; `None` until there is something to record.
    log: Option<LogFile>,
    /// Number of `log`, to know an outcome that comes late.
    life: u64,
    runs: Runs,
    /// Synced, and claimed by a synced log.
    proven: Vec<Piece>,
    /// Recorded since, with sequence numbers.
    unproven: Vec<(Piece, u64)>,
    seq: u64,
    len: Option<u64>,
    sealed: bool,
    validated: Option<u64>,
    /// Whether something is known that no log says yet.
    unsaved: bool,
    /// Whether the names that lead to the log are still to be made proof; the next barrier does it.
    unnamed: bool,
    in_flight: Option<InFlight>,
    last_barrier: Option<Micros>,
    /// When the first byte came in that no barrier is about, and how many did since.
    dirty: Option<(Micros, u64)>,
    /// How many barriers have succeeded.
    barriers: u64,
    /// At that size of the log, in bytes, it is looked whether a shorter one would do.
    shorten_at: u64,
    /// Whether the log refused: what there is to record is kept in `unproven` until a new log can be written.
    stalled: bool,
    /// At so many pieces in `unproven` they are merged while that lasts.
    crowded: usize,
    trouble: Option<StorageError>,
}

impl Journal {
    /// Goes on where `found` ended, or waits for [`begin`](Self::begin).
    pub(super) fn new(place: Place, found: Option<Recovery>) -> Self {
        // Whoever began the asset may have been killed before the names were.
        let unnamed = place.sync() == Durable::Yes;
        let mut journal = Self {
            place,
            header: None,
            log: None,
            life: 0,
            runs: Runs::default(),
            proven: Vec::new(),
            unproven: Vec::new(),
            seq: 0,
            len: None,
            sealed: false,
            validated: None,
            unsaved: false,
            unnamed,
            in_flight: None,
            last_barrier: None,
            dirty: None,
            barriers: 0,
            shorten_at: compact::SHORTEN_AT,
            stalled: false,
            crowded: record::CROWDED,
            trouble: None,
        };
        if let Some(found) = found {
            // What the last life could not prove becomes proof with the first barrier of this one.
            journal.dirty = (!found.suspect.is_empty()).then_some((Micros(0), 0));
            journal.header = Some(found.header);
            journal.proven = found.trusted;
            journal.unproven = found.suspect.into_iter().map(|piece| (piece, 0)).collect();
            journal.len = found.len;
            journal.sealed = found.sealed;
            journal.validated = found.validated;
        }
        journal
    }

    /// Starts a new generation: the data file is emptied and a new log takes the place of the old one, for good,
    /// before a byte of the new generation may be written. Where there was no old one, nothing waits for the disk.
    ///
    /// The order matters. If the new log's name were not on stable storage first, a power loss could bring
    /// the old log back beside new bytes, and it would claim them as its own. The other way round nothing can
    /// go wrong: an old log beside an emptied file claims nothing, for nothing counts past the end of the data.
    ///
    /// # Errors
    ///
    /// The disk refused. Then not one byte of the generation may be written to the data file: it must be kept
    /// elsewhere, until another call succeeds.
    pub(crate) fn begin(&mut self, generation: &Generation) -> Result<(), StorageError> {
        let before = self.header.as_ref().map(|header| header.epoch);
        self.forget_all();
        // A new log is a new chance, whatever befell the old one.
        self.stalled = false;
        let result = self.try_begin(generation, before);
        if result.is_err() {
            self.header = None;
            // Claims nothing any more, but for good measure; the caller has the error that counts.
            let _ = self.empty_log();
        }
        result
    }

    fn try_begin(
        &mut self,
        generation: &Generation,
        before: Option<u32>,
    ) -> Result<(), StorageError> {
        let data = self.place.data()?;
        self.place.check()?;
        let failed = |error| StorageError::new("looking at a data file", error);
        // Where neither bytes nor a log were, no old log can come back: the first barrier makes the names
        // proof, and the first byte need not wait for that. Logs are emptied and not removed for this.
        let empty = data.metadata().map_err(failed)?.len() == 0;
        let fresh = empty && is_there(&self.place.paths().map, Kind::File)?.is_none();
        self.place.disk().set_len(&data, 0).map_err(|error| {
            StorageError::new("emptying a data file", error).at(&self.place.paths().data)
        })?;
        let durable = if fresh { Durable::No } else { self.place.sync() };
        if !fresh {
            self.place.sync_names()?;
        }
        self.unnamed = fresh && self.place.sync() == Durable::Yes;
        let header = Header {
            epoch: new_epoch(before),
            key: self.place.key.hash(),
            boot: self.place.store.boot,
            created: super::list::unix_now(),
            validator: generation.validator.clone(),
            content_type: generation.content_type.clone(),
            label: self.place.key.label().map(str::to_owned),
        };
        let draft = Draft::new(header.clone(), 1, &[], &[]);
        self.log = Some(LogFile::create(self.disk(), &self.place.paths().map, &draft, durable)?);
        self.place.store.room.asset();
        self.place.store.room.log();
        self.header = Some(header);
        Ok(())
    }

    fn disk(&self) -> Arc<dyn Disk> {
        self.place.store.layout.disk_handle()
    }

    fn forget_all(&mut self) {
        self.life += 1;
        self.log = None;
        self.runs.take();
        self.proven.clear();
        self.unproven.clear();
        (self.seq, self.len, self.sealed, self.validated) = (0, None, false, None);
        (self.unsaved, self.dirty) = (false, None);
    }

    /// Takes note of `bytes` that `flow` has written at `offset` of the data file.
    ///
    /// Bytes past 2^48 are served but not recorded. Problems with the log are kept for
    /// [`take_error`](Self::take_error).
    pub(crate) fn written(&mut self, flow: FetchId, offset: u64, bytes: &[u8], now: Micros) {
        let len = bytes.len() as u64;
        let fits = offset.checked_add(len).is_some_and(|end| end <= MAX_OFFSET);
        if self.header.is_none() || bytes.is_empty() || !fits || len > MAX_RECORD_BYTES {
            return;
        }
        let (since, dirty) = self.dirty.unwrap_or((now, 0));
        self.dirty = Some((since, dirty + len));
        let due = self.runs.add(flow, offset, bytes, now);
        self.record_all(due);
    }

    /// Records what has been written, without waiting for more.
    pub(crate) fn record_now(&mut self) {
        let rest = self.runs.take();
        self.record_all(rest);
    }

    /// The resource has `len` bytes.
    pub(crate) fn len_known(&mut self, len: u64) {
        if self.len != Some(len) {
            self.len = Some(len);
            self.note(Record::LenKnown { len });
        }
    }

    /// All bytes of the resource have been written.
    pub(crate) fn sealed(&mut self, len: u64) {
        if !self.sealed || self.len != Some(len) {
            (self.len, self.sealed) = (Some(len), true);
            self.record_now();
            self.note(Record::Sealed { len });
        }
    }

    /// The origin has confirmed the validator, at this time in Unix seconds.
    pub(crate) fn validated(&mut self, unix_seconds: u64) {
        self.validated = Some(unix_seconds);
        // Not worth a new log before there is something else to say.
        if self.log.is_some() {
            self.note(Record::Validated { at: unix_seconds });
        } else {
            self.unsaved = true;
        }
    }

    /// When [`run_due`](Self::run_due) is to be called next.
    pub(crate) fn next_due(&self) -> Option<Micros> {
        if !self.is_recording() {
            return None;
        }
        let long = self.is_long().then_some(Micros(0));
        self.runs.due().into_iter().chain(self.barrier_due()).chain(long).min()
    }

    fn barrier_due(&self) -> Option<Micros> {
        let (since, bytes) = self.dirty?;
        if self.in_flight.is_some() || self.place.sync() == Durable::No {
            return None;
        }
        let config = &self.place.store.config;
        let full = bytes >= config.barrier_bytes;
        let due = if full { since } else { since + config.barrier_interval.into() };
        let earliest = self.last_barrier.map_or(Micros(0), |last| last + BARRIER_SPACING);
        Some(due.max(earliest))
    }

    /// Records what is due, and starts a barrier if one is: run it off this thread, and give what comes of
    /// it to [`barrier_done`](Self::barrier_done).
    pub(crate) fn run_due(&mut self, now: Micros) -> Option<Barrier> {
        let aged = self.runs.aged(now);
        self.record_all(aged);
        if let Some(shorter) = self.shorten() {
            return Some(shorter);
        }
        if !self.is_recording() || self.barrier_due().is_none_or(|due| now < due) {
            return None;
        }
        self.record_now();
        self.last_barrier = Some(now);
        self.dirty = None;
        self.take_over();
        let data = self.place.check().and_then(|()| self.place.data()).and_then(|data| {
            data.try_clone().map_err(|error| StorageError::new("opening a file", error))
        });
        match data {
            Ok(data) if self.is_recording() => Some(self.barrier(data, Half::Data)),
            Ok(_) => None,
            Err(error) => {
                self.stall(error);
                None
            }
        }
    }

    /// Takes what came of a barrier.
    pub(crate) fn barrier_done(&mut self, synced: SyncedBarrier) -> BarrierOutcome {
        let SyncedBarrier { ticket, result, aside, holes } = synced;
        self.in_flight = None;
        if ticket.half == Half::Draft {
            self.adopt(ticket, aside);
            return BarrierOutcome::Done;
        }
        if let Some(holes) = holes.filter(|_| result.is_ok()) {
            return self.punched(ticket, holes);
        }
        if let Err(error) = result {
            // Whatever it was about: the system told this error once, and to us.
            return BarrierOutcome::Lost { ranges: self.lose(), error };
        }
        if ticket.life != self.life || self.header.is_none() {
            return BarrierOutcome::Done;
        }
        match ticket.half {
            Half::Draft | Half::Punch => BarrierOutcome::Done,
            Half::Data => self.claim(ticket.seq),
            Half::Log { end } => {
                self.unnamed = false;
                self.prove(ticket.seq);
                self.barriers += 1;
                if let Some(log) = &mut self.log {
                    log.proven_to(end);
                }
                BarrierOutcome::Done
            }
        }
    }

    /// The data up to `seq` is synced: says so in the log, which is to be synced next.
    fn claim(&mut self, seq: u64) -> BarrierOutcome {
        if !self.append(&[Record::Barrier { seq }]) {
            return BarrierOutcome::Done;
        }
        let log = self.log.as_mut().expect("it was just appended to");
        let end = log.end();
        match log.handle() {
            Ok(file) => {
                let ticket = Ticket { life: self.life, seq, half: Half::Log { end } };
                let path = self.place.paths().map.clone();
                let (barrier, in_flight) = Barrier::new(self.disk(), file, path, ticket);
                self.in_flight = Some(in_flight);
                let folders = if self.unnamed { self.place.folders() } else { Vec::new() };
                BarrierOutcome::Next(barrier.naming(folders))
            }
            Err(error) => {
                self.stall(error);
                BarrierOutcome::Done
            }
        }
    }

    fn barrier(&mut self, file: std::fs::File, half: Half) -> Barrier {
        let ticket = Ticket { life: self.life, seq: self.seq, half };
        let (barrier, in_flight) =
            Barrier::new(self.disk(), file, self.place.paths().data.clone(), ticket);
        self.in_flight = Some(in_flight);
        barrier
    }

    /// What went wrong with recording; told once for each time. The bytes received since are served, and found
    /// again after a restart only if [`resume`](Self::resume) succeeds, or `close`.
    pub(crate) fn take_error(&mut self) -> Option<StorageError> {
        self.trouble.take()
    }

    /// Whether this store outlives the process, so that there are barriers at all.
    pub(crate) fn is_durable(&self) -> bool {
        self.place.sync() == Durable::Yes
    }

    /// How many barriers have succeeded.
    pub(crate) fn barriers(&self) -> u64 {
        self.barriers
    }

    /// Makes a barrier due as soon as may be, if there is anything to prove.
    pub(crate) fn hurry(&mut self, now: Micros) {
        if !self.unproven.is_empty() || self.dirty.is_some() {
            let since = self.dirty.map_or(now, |(since, _)| since);
            self.dirty = Some((since, self.place.store.config.barrier_bytes));
        }
    }

    /// Whether what is written is recorded in time.
    pub(crate) fn is_recording(&self) -> bool {
        self.header.is_some() && !self.stalled
    }

    /// Records the rest, makes it proof and gives the asset free. Blocks until the disk is done; waits for a
    /// barrier that is still being run.
    ///
    /// # Errors
    ///
    /// The disk refused; what was proven before stays so, and the asset is free all the same.
    pub(crate) fn close(mut self) -> Result<(), StorageError> {
        self.place.hold.touch(&self.place.paths().lock);
        self.record_now();
        if let Some(in_flight) = self.in_flight.take()
            && let Ok(Err(error)) = in_flight.told.recv()
        {
            self.lose();
            return Err(error);
        }
        self.finish()
    }

    /// Puts a new log in place of one that says too much, durable when this returns, and gives the asset free. Its
    /// last use stays as it was. Blocks.
    ///
    /// # Errors
    ///
    /// The disk refused; the old log may still be there.
    pub(super) fn rewrite(mut self) -> Result<(), StorageError> {
        self.unsaved = true;
        self.finish()
    }

    /// Gives the asset free and forgets every byte of it: they are of a version that is gone.
    ///
    /// # Errors
    ///
    /// The disk refused to remove the log. The next opener then finds the old version, and finds out again.
    pub(crate) fn discard(mut self) -> Result<(), StorageError> {
        self.forget_all();
        self.header = None;
        self.empty_log()?;
        // Only now: a log beside an emptied file claims nothing, but why leave the question.
        let emptied = self.place.disk().set_len(&*self.place.data()?, 0);
        emptied.map_err(|error| {
            StorageError::new("emptying a data file", error).at(&self.place.paths().data)
        })
    }

    /// Leaves a log that claims nothing, if there is one. Not removed: an unlink that a power loss undoes
    /// would bring it back beside the bytes of whoever took its absence for a fresh start.
    fn empty_log(&self) -> Result<(), StorageError> {
        let map = &self.place.paths().map;
        let failed = |error| StorageError::new("emptying a coverage log", error).at(map);
        if is_there(map, Kind::File)?.is_none() {
            return Ok(());
        }
        let disk = self.place.disk();
        disk.open(map).and_then(|log| disk.set_len(&log, 0)).map_err(failed)
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        if self.header.is_none() {
            return Ok(());
        }
        self.place.check()?;
        // The last chance.
        self.resume()?;
        if self.unsaved || !self.unproven.is_empty() {
            self.take_over();
        }
        let sync = self.place.sync() == Durable::Yes;
        if sync && !self.unproven.is_empty() {
            let synced = self.place.disk().sync(&*self.place.data()?, Depth::Data);
            if let Err(error) = synced {
                self.lose();
                return Err(StorageError::new("syncing", error).at(&self.place.paths().data));
            }
            self.append(&[Record::Barrier { seq: self.seq }]);
        }
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        let Some(log) = &mut self.log else { return Ok(()) };
        log.trim()?;
        let mut synced = if sync { log.sync() } else { Ok(()) };
        if self.unnamed {
            synced = synced.and_then(|()| self.place.sync_names());
        }
        if synced.is_err() {
            self.lose();
        }
        synced
    }
}
