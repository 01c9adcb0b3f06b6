//! StreamingResource: the bytes of one resource, written in any order while others read them.
//!
//! A byte becomes visible after it is written and not after it has gone; a hole never reads as
//! zeros. All I/O is outside the lock. What a hit needs (the epoch, the backend, what lies over it) is reached without it.
//!
//! Not here: why bytes are fetched or thrown away; what survives a crash.

use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::ids::{DemandId, ReaderId};
use crate::sync::Arc;

use super::backend::Backend;
use super::gate::{Gate, Landed, Refused};
use super::held::{Held, Part};
use super::run::{Grip, Run};
use super::state::{LenConflict, Look, NotComplete};
use super::waiter::Waiter;
use super::writes::Ticket;

/// Bytes read at once to see whether they can be.
const PROBE: usize = 64 * 1024;

/// One resource: its bytes, its coverage, its waiters.
#[derive(Debug)]
pub(crate) struct StreamingResource {
    /// Coverage and waiters, behind the one lock.
    gate: Arc<Gate>,
    /// The bytes.
    backend: Backend,
    /// Those that the backend did not take.
    held: Held,
}

/// Why a write was refused.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// It contradicts what is known: such bytes are of no use anywhere.
    Misplaced(StorageError),
    /// The disk did not take it; [`StreamingResource::hold_telling`] does.
    Disk(StorageError),
}

impl StreamingResource {
    /// A resource of which nothing is known.
    pub(crate) fn new(backend: Backend) -> Arc<Self> {
        Self::restored(backend, None, Vec::new())
    }

    /// A resource of which `covered` is already in `backend`. Not yet committed, even if whole.
    pub(crate) fn restored(
        backend: Backend,
        len: Option<u64>,
        covered: Vec<ByteRange>,
    ) -> Arc<Self> {
        let gate = Arc::new(Gate::new(len, covered));
        Arc::new(Self { gate, backend, held: Held::default() })
    }

    /// [`Self::write_of`] the current generation. Only for one who knows that `bytes` belong to it.
    #[cfg(test)]
    pub(crate) fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<Landed, StorageError> {
        self.write_of(self.generation(), offset, bytes)
    }

    /// [`Self::write_telling`] nobody.
    #[cfg(test)]
    pub(crate) fn write_of(
        &self,
        generation: u64,
        offset: u64,
        bytes: &[u8],
    ) -> Result<Landed, StorageError> {
        self.write_telling(generation, offset, &[bytes], |_| ()).map_err(|error| match error {
            WriteError::Misplaced(error) | WriteError::Disk(error) => error,
        })
    }

    /// Writes the bytes of `pieces`, one after the other, of `generation` from `offset` on, then covers them, then calls `first`, then wakes who waited
    /// for them: so `first` knows of the bytes before anybody asks for what follows.
    ///
    /// Any thread, any order, overlaps allowed: writing the same bytes again changes nothing. Blocks
    /// for the disk. Bytes of a generation that is over are thrown away ([`Landed::withdrawn`]).
    ///
    /// # Errors
    ///
    /// The backend refused, or the write goes past the known length; nothing of it is covered then.
    pub(crate) fn write_telling(
        &self,
        generation: u64,
        offset: u64,
        pieces: &[impl AsRef<[u8]>],
        first: impl FnOnce(&Landed),
    ) -> Result<Landed, WriteError> {
        self.land(generation, offset, total(pieces), first, |range| {
            self.backend.write_pieces_at(offset, pieces)?;
            // What was held there is older, or the same.
            self.held.remove(range);
            Ok(())
        })
    }

    /// The same for bytes that the disk does not take: they are kept in memory. Never blocks for long.
    ///
    /// # Errors
    ///
    /// The write goes past the known length.
    pub(crate) fn hold_telling(
        &self,
        generation: u64,
        offset: u64,
        bytes: &[u8],
        first: impl FnOnce(&Landed),
    ) -> Result<Landed, WriteError> {
        self.land(generation, offset, bytes.len(), first, |_| {
            self.held.put(offset, bytes);
            Ok(())
        })
    }

    fn land(
        &self,
        generation: u64,
        offset: u64,
        len: usize,
        first: impl FnOnce(&Landed),
        write: impl FnOnce(ByteRange) -> Result<(), StorageError>,
    ) -> Result<Landed, WriteError> {
        let range = written_range(offset, len).map_err(WriteError::Misplaced)?;
        let begun = match self.gate.begin_write(range, generation) {
            Ok(begun) => begun,
            Err(Refused::Stale) => {
                let complete = self.gate.ask(|state| state.is_whole());
                return Ok(Landed { new: 0, withdrawn: range.len(), complete });
            }
            Err(Refused::PastEnd) => {
                return Err(WriteError::Misplaced(refused("writing past the known length")));
            }
        };
        let wrote = write(range);
        let landed = self.gate.end_write(begun, wrote.is_ok(), first);
        wrote.map(|()| landed).map_err(WriteError::Disk)
    }

    /// Covers `range` of `generation`, whose bytes the backend has by other ways than a write, then calls `first`, then wakes
    /// who waited for them. Nothing if that generation is over; nothing past the length. Only the writer's thread does this.
    pub(crate) fn bring(&self, generation: u64, range: ByteRange, first: impl FnOnce(&Landed)) {
        let range = self.len().map_or(range, |len| range.until(len));
        if let Ok(begun) = self.gate.begin_write(range, generation) {
            self.gate.end_write(begun, true, first);
        }
    }

    /// Memory that held bytes take, in bytes.
    pub(crate) fn held(&self) -> u64 {
        self.held.allocated()
    }

    /// Gives up held bytes until no more than `most` bytes of memory are taken, and tells which: they are no longer there.
    /// Those at the places in `wanted` go last.
    pub(crate) fn give_up_held(&self, most: u64, wanted: &[u64]) -> Vec<ByteRange> {
        let gone = self.held.oldest_above(most, wanted);
        gone.iter().for_each(|range| self.shrink(*range));
        gone
    }

    /// Moves held bytes to the backend, and tells `moved` of each part that is there now.
    ///
    /// # Errors
    ///
    /// The backend refused; the rest is still held.
    pub(crate) fn settle_held(
        &self,
        mut moved: impl FnMut(u64, &[u8]),
    ) -> Result<(), StorageError> {
        let mut from = 0;
        while let Some((offset, bytes)) = self.held.first_from(from) {
            let range = ByteRange::at(offset, bytes.len() as u64);
            self.backend.write_all_at(offset, &bytes)?;
            self.held.remove(range);
            moved(offset, &bytes);
            from = range.end;
        }
        Ok(())
    }

    /// Whether the backend can be read there.
    ///
    /// # Errors
    ///
    /// It cannot.
    pub(crate) fn probe(&self, range: ByteRange) -> Result<(), StorageError> {
        let mut buf = vec![0; usize::try_from(range.len()).unwrap_or(usize::MAX).min(PROBE)];
        let mut at = range.start;
        while at < range.end {
            let n = buf.len().min(usize::try_from(range.end - at).unwrap_or(usize::MAX));
            self.backend.read_exact_at(at, &mut buf[..n])?;
            at += n as u64;
        }
        Ok(())
    }

    /// The length is `len`. Setting the same again is fine.
    ///
    /// # Errors
    ///
    /// Something is covered past it, or somebody was told another end, or that one was committed.
    pub(crate) fn set_len(&self, len: u64) -> Result<(), LenConflict> {
        self.gate.set_len(len)
    }

    /// `range` is no longer there; the bytes stay in the backend until they are written over.
    pub(crate) fn shrink(&self, range: ByteRange) {
        let ticket = self.gate.begin_cut(range);
        self.gate.end_cut(ticket);
        self.held.remove(range);
    }

    /// `range` is no longer there, and nothing written into it counts until the [`Cut`] is dropped:
    /// time to record the loss before [`Cut::discard`] gives the bytes back to the disk.
    pub(crate) fn cut(self: &Arc<Self>, range: ByteRange) -> Cut {
        Cut { resource: self.clone(), range, ticket: Some(self.gate.begin_cut(range)) }
    }

    /// A new generation: coverage and length are void, and each reader is told once, with `notice`.
    /// Writes of the old generation that are still on their way will not count.
    pub(crate) fn restart(&self, len: Option<u64>, notice: Error) {
        self.gate.restart(len, &notice);
        self.held.clear();
    }

    /// Marks the resource complete; from now on its length is settled.
    ///
    /// # Errors
    ///
    /// The length is not known, or there is a hole below it.
    pub(crate) fn commit(&self) -> Result<(), NotComplete> {
        self.gate.commit()
    }

    /// The resource is finished for good: every wait and every later look ends with `error`, at
    /// covered bytes and at the end too. The first error stays.
    pub(crate) fn fail(&self, error: Error) {
        self.gate.fail(error);
    }

    /// The demand of a reader failed: ends its wait, iff that is still for this demand and its bytes
    /// are not there. Kept if the reader has not come to wait for it yet.
    pub(crate) fn fail_wait(&self, reader: ReaderId, demand: DemandId, error: Error) {
        self.gate.fail_wait(reader, demand, &error);
    }

    /// Moves before anything goes.
    #[cfg(test)]
    pub(crate) fn epoch(&self) -> u64 {
        self.gate.epoch()
    }

    /// Counts the restarts; names what [`Self::write_telling`] writes.
    #[cfg(any(test, feature = "serve"))]
    pub(crate) fn generation(&self) -> u64 {
        self.gate.ask(|state| state.generation)
    }

    /// The length, once known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.gate.ask(|state| state.len)
    }

    /// Whether it was committed, and nothing went since.
    pub(crate) fn is_complete(&self) -> bool {
        self.gate.ask(|state| state.complete)
    }

    /// Why the resource is finished for good, if it is.
    #[cfg(test)]
    pub(crate) fn failure(&self) -> Option<Error> {
        self.gate.ask(|state| state.failed.clone())
    }

    /// What is there: sorted, apart from each other, none empty.
    pub(crate) fn covered(&self) -> Vec<ByteRange> {
        self.gate.ask(|state| state.coverage.ranges().collect())
    }

    /// How many bytes are there.
    pub(crate) fn covered_bytes(&self) -> u64 {
        self.gate.ask(|state| state.coverage.bytes())
    }

    /// Whether the byte at `offset` is there.
    pub(crate) fn covers(&self, offset: u64) -> bool {
        self.gate.ask(|state| state.coverage.covers(ByteRange::at(offset, 1)))
    }

    /// What of `range`, as far as the length goes, is not there.
    pub(crate) fn missing_in(&self, range: ByteRange) -> Vec<ByteRange> {
        self.gate.ask(|state| state.coverage.missing_in(state.clip(range)))
    }

    /// Bytes that the backend takes up on disk or in memory.
    #[cfg(test)]
    pub(crate) fn allocated(&self) -> Result<u64, StorageError> {
        self.backend.allocated()
    }

    /// How many waits are registered.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        self.gate.ask(|state| state.places.waiting())
    }

    /// A place among the waiters, for `reader`.
    pub(crate) fn waiter(self: &Arc<Self>, reader: ReaderId) -> Waiter {
        Waiter::new(&self.gate, reader)
    }

    /// Looks at the byte at `offset`; takes the lock, waits for nothing. Restarts are told by
    /// [`Waiter::look`] only.
    pub(crate) fn look(&self, offset: u64) -> Look {
        self.gate.look(None, offset)
    }

    /// Reads covered bytes from `offset` on without the lock: at most to the end of `run` and of
    /// `buf`, and all of that. `None` if `run` does not have the byte at `offset`, or has it no longer;
    /// `buf` then holds nothing of worth, and the way goes through a look.
    ///
    /// # Errors
    ///
    /// The disk refused, or the file ends before what was stored in it.
    pub(crate) fn read_run(
        &self,
        run: &mut Run,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<Option<usize>, StorageError> {
        let Some(part) = run.part(offset, buf.len()) else { return Ok(None) };
        // Saves the read; it proves nothing.
        if self.gate.epoch() != run.epoch() {
            run.void();
            return Ok(None);
        }
        // A part is never longer than the buffer.
        let n = part.len() as usize;
        let read = self.read_exact_with(&mut run.grip, offset, &mut buf[..n]);
        // After the read, and before an error counts: the bytes may have gone meanwhile.
        if !self.gate.is_still(run) {
            run.void();
            return Ok(None);
        }
        read.map(|()| Some(n))
    }

    /// Fills `buf` from `offset` on, from wherever the bytes are.
    fn read_exact_with(
        &self,
        grip: &mut Grip,
        offset: u64,
        buf: &mut [u8],
    ) -> Result<(), StorageError> {
        if self.held.is_empty() {
            return self.backend.read_exact_with(grip, offset, buf);
        }
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            done += match self.held.read_at(at, &mut buf[done..]) {
                Part::Here(n) => n,
                Part::Elsewhere(n) => {
                    self.backend.read_exact_with(grip, at, &mut buf[done..done + n])?;
                    n
                }
            };
        }
        Ok(())
    }
}

/// A range that is being given back to the disk; see [`StreamingResource::cut`].
#[derive(Debug)]
#[must_use = "dropping it ends the cut"]
pub(crate) struct Cut {
    /// Of which resource.
    resource: Arc<StreamingResource>,
    /// Which bytes.
    pub(crate) range: ByteRange,
    /// The entry among the writes on their way; taken on drop.
    ticket: Option<Ticket>,
}

impl Cut {
    /// Gives up what of them is held in memory.
    pub(crate) fn give_up_held(&self) {
        self.resource.held.remove(self.range);
    }

    /// Gives the bytes back to the disk.
    ///
    /// # Errors
    ///
    /// The disk cannot do that, or refused.
    pub(crate) fn discard(self) -> Result<(), StorageError> {
        self.give_up_held();
        self.resource.backend.discard(self.range)
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.resource.gate.end_cut(ticket);
        }
    }
}

/// How many bytes `pieces` have together.
fn total(pieces: &[impl AsRef<[u8]>]) -> usize {
    pieces.iter().map(|piece| piece.as_ref().len()).sum()
}

/// What a write of `len` bytes at `offset` covers; an error if it leaves the offsets there are.
fn written_range(offset: u64, len: usize) -> Result<ByteRange, StorageError> {
    u64::try_from(len)
        .ok()
        .and_then(|len| offset.checked_add(len))
        .map(|end| ByteRange::new(offset, end))
        .ok_or_else(|| {
            let kind = std::io::ErrorKind::FileTooLarge;
            StorageError::new("writing past the largest offset", kind.into())
        })
}

/// A write that contradicts what is known.
fn refused(doing: &'static str) -> StorageError {
    StorageError::new(doing, std::io::ErrorKind::InvalidInput.into())
}
