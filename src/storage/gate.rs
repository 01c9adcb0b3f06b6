//! Gate: the one lock of a resource, and the epoch beside it.
//!
//! The lock guards [`State`]: coverage, length, failure and everybody who waits. It is held for
//! memory work only, never across I/O and never while waking.
//!
//! **The epoch** lets a hit read without the lock although coverage may shrink. It only grows, only
//! under the lock, and *before* anything goes: on a cut, a restart, and a fatal failure (so that
//! hits notice that too). A [`Run`] carries the epoch of its look. A hit reads its bytes, then asks
//! [`Gate::is_still`], and throws the bytes away if the epoch has moved. Nobody waits for hits.
//!
//! Why that is enough. Let a hit read a byte that a cut took away, or that a later generation
//! wrote. Whoever changed that byte did so after a release fence ([`Gate::begin_cut`] and
//! [`Gate::begin_write`] end with one) that comes after the epoch moved, as the lock puts them in
//! order. The hit has an acquire fence between reading the byte and loading the epoch. A byte read,
//! a release fence before it was written and an acquire fence after it was read: the two fences
//! synchronise, so the load sees the moved epoch and the byte is thrown away. Bytes in a file are
//! read and written by system calls, which are no atomics of the language model; there the same
//! two fences order the kernel's loads and stores on the processor that runs them.
//! The first epoch check, before the read, only saves the read; it proves nothing.

use std::task::{Poll, Waker};

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, ReaderId};
use crate::sync::{AtomicU64, Condvar, Mutex, Ordering, fence};

use super::coverage::Coverage;
use super::places::PlaceKey;
use super::run::Run;
use super::state::{LenConflict, Look, NotComplete, State, Waited};
use super::writes::Ticket;

/// The one lock of a resource, and the epoch beside it.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Everything that is known.
    pub(super) state: Mutex<State>,
    /// Grows before anything goes. Written under the lock only.
    epoch: AtomicU64,
    /// Rung when a write ends, for a newer generation that waits to write the same bytes.
    write_ended: Condvar,
}

/// A write that has begun, and must be ended.
#[derive(Debug)]
pub(crate) struct Begun {
    /// Its entry among the writes on their way.
    ticket: Ticket,
    /// What it is to cover.
    range: ByteRange,
}

/// What a write has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Landed {
    /// How many bytes are covered now and were not before.
    pub(crate) new: u64,
    /// How many bytes of the write do not count, as they were taken away, or their generation
    /// ended, while they were being written.
    pub(crate) withdrawn: u64,
    /// Whether every byte below a known length is covered now.
    pub(crate) complete: bool,
}

/// Why a write may not begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Its generation is over.
    Stale,
    /// It goes past the known length.
    PastEnd,
}

impl Gate {
    /// A gate in front of what is already there; coverage past the length does not count.
    pub(crate) fn new(len: Option<u64>, covered: impl IntoIterator<Item = ByteRange>) -> Self {
        let clip = |range: ByteRange| len.map_or(range, |len| range.until(len));
        let coverage: Coverage = covered.into_iter().map(clip).collect();
        Self {
            state: Mutex::new(State { coverage, len, ..State::default() }),
            epoch: AtomicU64::new(1),
            write_ended: Condvar::new(),
        }
    }

    /// The epoch as it is now.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Whether nothing has gone since the run was looked up. To be asked *after* its bytes were
    /// read; if not, they are worth nothing.
    pub(crate) fn is_still(&self, run: &Run) -> bool {
        // Orders the reading of the bytes before the load; see the head of this file.
        fence(Ordering::Acquire);
        self.epoch.load(Ordering::Relaxed) == run.epoch()
    }

    /// Looks and, if there is something to wait for, registers, under one lock: a change that comes
    /// later finds the waker, one that came earlier is seen.
    pub(crate) fn poll(
        &self,
        key: PlaceKey,
        range: ByteRange,
        demand: DemandId,
        waker: &Waker,
    ) -> Poll<Waited> {
        let waker = waker.clone();
        let mut state = self.state.lock();
        let epoch = self.epoch_locked();
        let waited = state.settle(key, range, demand, epoch);
        let old = state.places.at(key).and_then(|place| match waited {
            Some(_) => place.unregister(),
            None => place.register(range, demand, waker),
        });
        drop(state);
        drop(old);
        waited.map_or(Poll::Pending, Poll::Ready)
    }

    /// Looks at the byte at `offset`; with a place, its holder is told of a restart first.
    pub(crate) fn look(&self, key: Option<PlaceKey>, offset: u64) -> Look {
        let mut state = self.state.lock();
        let epoch = self.epoch_locked();
        match key {
            Some(key) => state.look_from(key, offset, epoch),
            None => state.look(offset, epoch),
        }
    }

    /// A new place for `reader`.
    pub(crate) fn enter(&self, reader: ReaderId) -> PlaceKey {
        self.state.lock().places.enter(reader)
    }

    /// The place is given up.
    pub(crate) fn leave(&self, key: PlaceKey) {
        let place = self.state.lock().places.leave(key);
        // Outside the lock: a waker's drop may run foreign code.
        drop(place);
    }

    /// The wait is given up, the place kept.
    pub(crate) fn withdraw_wait(&self, key: PlaceKey) {
        let mut state = self.state.lock();
        let old = state.places.at(key).and_then(|place| place.unregister());
        drop(state);
        drop(old);
    }

    /// Ends the wait of that place, or its next one if none is on.
    pub(crate) fn nudge(&self, key: PlaceKey) {
        self.change(|state| {
            if let Some(place) = state.places.at(key) {
                place.nudged = true;
            }
        });
    }

    /// A write of `range` begins. Waits only for an older generation's write to the same bytes.
    pub(crate) fn begin_write(&self, range: ByteRange, generation: u64) -> Result<Begun, Refused> {
        let mut state = self.state.lock();
        while state.generation == generation && state.writes.has_older(range, generation) {
            state.writes.queued += 1;
            state = self.write_ended.wait(state);
            state.writes.queued -= 1;
        }
        if state.generation != generation {
            return Err(Refused::Stale);
        }
        if state.clip(range) != range {
            return Err(Refused::PastEnd);
        }
        let ticket = state.writes.begin_write(range, generation);
        drop(state);
        // Whoever reads the bytes written from here on also sees the epoch as it is by now.
        fence(Ordering::Release);
        Ok(Begun { ticket, range })
    }

    /// The write has ended; if it was `good`, its bytes are there, `first` hears of it, and then who waited for
    /// them is woken.
    pub(crate) fn end_write(
        &self,
        begun: Begun,
        good: bool,
        first: impl FnOnce(&Landed),
    ) -> Landed {
        let mut state = self.state.lock();
        let parts = state.writes.end(begun.ticket);
        let parts = if good { parts } else { Vec::new() };
        let kept: u64 = parts.iter().map(|part| state.clip(*part).len()).sum();
        let new = state.cover(&parts);
        let landed =
            Landed { new, withdrawn: begun.range.len() - kept, complete: state.is_whole() };
        let wakes = state.take_ended();
        // To ring a bell that nobody hears costs a system call.
        let heard = state.writes.queued > 0;
        drop(state);
        if good {
            first(&landed);
        }
        wakes.wake();
        if heard {
            self.write_ended.notify_all();
        }
        landed
    }

    /// `range` is no longer there; its bytes may go once this has returned. Until
    /// [`Self::end_cut`], nothing written into it counts.
    pub(crate) fn begin_cut(&self, range: ByteRange) -> Ticket {
        let mut state = self.state.lock();
        self.move_epoch();
        state.withdraw(range);
        let ticket = state.writes.begin_cut(range);
        drop(state);
        // Whoever sees the bytes go also sees the epoch moved.
        fence(Ordering::Release);
        ticket
    }

    /// The bytes are gone.
    pub(crate) fn end_cut(&self, ticket: Ticket) {
        self.state.lock().writes.end(ticket);
    }

    /// Everything is void and a new generation begins.
    pub(crate) fn restart(&self, len: Option<u64>, notice: &Error) {
        self.change(|state| {
            self.move_epoch();
            state.restart(len, notice);
        });
        // A write of the old generation that waits for one still older must look again.
        self.write_ended.notify_all();
    }

    /// Sets the length.
    pub(crate) fn set_len(&self, len: u64) -> Result<(), LenConflict> {
        self.change(|state| state.set_len(len))
    }

    /// Marks the resource complete, if it is.
    pub(crate) fn commit(&self) -> Result<(), NotComplete> {
        self.change(State::commit)
    }

    /// The resource is finished for good; the first reason stays.
    pub(crate) fn fail(&self, error: Error) {
        self.change(|state| {
            self.move_epoch();
            state.fail(error);
        });
    }

    /// The demand of a reader failed.
    pub(crate) fn fail_wait(&self, reader: ReaderId, demand: DemandId, error: &Error) {
        self.change(|state| state.fail_wait(reader, demand, error));
    }

    /// Asks for something that changes nothing.
    pub(crate) fn ask<T>(&self, question: impl FnOnce(&State) -> T) -> T {
        question(&self.state.lock())
    }

    /// Changes the state and wakes, outside the lock, those whose wait ended by it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock();
        let result = change(&mut state);
        let wakes = state.take_ended();
        drop(state);
        wakes.wake();
        result
    }

    /// The epoch, for one who holds the lock: it cannot move meanwhile.
    fn epoch_locked(&self) -> u64 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// Moves the epoch, for one who holds the lock.
    fn move_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }
}
