//! StreamingResource: the bytes of one resource, written in any order while others read them.
//!
//! A byte becomes visible after it is written and not after it has gone; a hole never reads as
//! zeros. All I/O is outside the lock. What a hit needs (the epoch, the backend) is reached without it.
//!
//! Not here: why bytes are fetched or thrown away; what survives a crash.

use crate::byte_range::ByteRange;
use crate::error::{Error, StorageError};
use crate::ids::{DemandId, ReaderId};
use crate::sync::Arc;

use super::backend::Backend;
use super::gate::{Gate, Landed, Refused};
use super::run::Run;
use super::state::{LenConflict, Look, NotComplete};
use super::waiter::Waiter;
use super::writes::Ticket;

/// One resource: its bytes, its coverage, its waiters.
#[derive(Debug)]
pub(crate) struct StreamingResource {
    /// Coverage and waiters, behind the one lock.
    gate: Arc<Gate>,
    /// The bytes.
    backend: Backend,
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
        Arc::new(Self { gate: Arc::new(Gate::new(len, covered)), backend })
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
        self.write_telling(generation, offset, bytes, |_| ())
    }

    /// Writes `bytes` of `generation` at `offset`, then covers them, then calls `first`, then wakes who waited
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
        bytes: &[u8],
        first: impl FnOnce(&Landed),
    ) -> Result<Landed, StorageError> {
        let range = written_range(offset, bytes.len())?;
        let begun = match self.gate.begin_write(range, generation) {
            Ok(begun) => begun,
            Err(Refused::Stale) => {
                let complete = self.gate.ask(|state| state.is_whole());
                return Ok(Landed { new: 0, withdrawn: range.len(), complete });
            }
            Err(Refused::PastEnd) => return Err(refused("writing past the known length")),
        };
        let wrote = self.backend.write_all_at(offset, bytes);
        let landed = self.gate.end_write(begun, wrote.is_ok(), first);
        wrote.map(|()| landed)
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
        drop(self.cut(range));
    }

    /// `range` is no longer there, and nothing written into it counts until the [`Cut`] is dropped:
    /// time to record the loss before [`Cut::discard`] gives the bytes back to the disk.
    pub(crate) fn cut(&self, range: ByteRange) -> Cut<'_> {
        Cut { resource: self, range, ticket: Some(self.gate.begin_cut(range)) }
    }

    /// A new generation: coverage and length are void, and each reader is told once, with `notice`.
    /// Writes of the old generation that are still on their way will not count.
    pub(crate) fn restart(&self, len: Option<u64>, notice: Error) {
        self.gate.restart(len, &notice);
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
    pub(crate) fn epoch(&self) -> u64 {
        self.gate.epoch()
    }

    /// Counts the restarts; names what [`Self::write_of`] writes.
    #[cfg(test)]
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
        let read = self.backend.read_exact_at(offset, &mut buf[..n]);
        // After the read, and before an error counts: the bytes may have gone meanwhile.
        if !self.gate.is_still(run) {
            run.void();
            return Ok(None);
        }
        read.map(|()| Some(n))
    }
}

/// A range that is being given back to the disk; see [`StreamingResource::cut`].
#[derive(Debug)]
#[must_use = "dropping it ends the cut"]
pub(crate) struct Cut<'a> {
    /// Of which resource.
    resource: &'a StreamingResource,
    /// Which bytes.
    range: ByteRange,
    /// The entry among the writes on their way; taken on drop.
    ticket: Option<Ticket>,
}

impl Cut<'_> {
    /// Gives the bytes back to the disk, as far as it can take them.
    #[cfg_attr(not(test), expect(dead_code, reason = "no hole is punched into an open asset yet"))]
    pub(crate) fn discard(self) -> Result<(), StorageError> {
        self.resource.backend.discard(self.range)
    }
}

impl Drop for Cut<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.resource.gate.end_cut(ticket);
        }
    }
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
