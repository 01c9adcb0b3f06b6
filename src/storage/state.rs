//! State: what is known of one resource, and the judgement of every wait.
//!
//! Everything here happens under the one lock of [`Gate`](super::gate::Gate); nothing here takes a
//! lock, does I/O or wakes. What changes the state gives back the wakers of those whose wait ended
//! by it, and of nobody else.
//!
//! Invariants:
//! 1. nothing is covered at or past a known length;
//! 2. a length at which an end was told, or that was committed, does not change within its generation;
//! 3. a wait is registered only while [`State::judge`] says `Wait` for it.

use crate::byte_range::ByteRange;
use crate::error::Error;
use crate::ids::{DemandId, ReaderId};

use super::coverage::Coverage;
use super::places::{Place, PlaceKey, Places, Wakes};
use super::run::Run;
use super::writes::Writes;

/// How a wait ended.
#[derive(Debug, Clone)]
pub(crate) enum Waited {
    /// All bytes waited for, as far as the length goes, are there. The run begins at the first of
    /// them and reaches as far as is covered without a gap.
    Ready(Run),
    /// The wait began at or past the length.
    End,
    /// This wait cannot succeed. Waiting again may help, unless the error is fatal.
    Failed(Error),
    /// Somebody nudged; what was waited for may be there or not.
    Nudged,
}

/// What a look without waiting found.
#[derive(Debug, Clone)]
pub(crate) enum Look {
    /// The byte is there; the run begins with it.
    Covered(Run),
    /// The offset is at or past the length.
    End,
    /// The byte is not there (yet).
    Missing,
    /// The resource has failed for good, or a restart has to be told.
    Failed(Error),
}

/// A length that contradicts what readers were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "length {asked} contradicts what is known: length {known:?}, stored up to {covered_end}, end told: {end_told}"
)]
pub(crate) struct LenConflict {
    /// The length that was to be set.
    pub(crate) asked: u64,
    /// The length known before.
    pub(crate) known: Option<u64>,
    /// One past the last covered byte.
    pub(crate) covered_end: u64,
    /// Whether a reader was told the end at the known length, or it was committed.
    pub(crate) end_told: bool,
}

/// The resource cannot be committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not complete: length {len:?}, first hole {hole:?}")]
pub(crate) struct NotComplete {
    /// The length, if known.
    pub(crate) len: Option<u64>,
    /// The first hole below the length.
    pub(crate) hole: Option<ByteRange>,
}

/// What the lock guards.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Which bytes are there.
    pub(crate) coverage: Coverage,
    /// The length, once known.
    pub(crate) len: Option<u64>,
    /// Whether somebody was told that the resource ends at `len`.
    pub(crate) end_told: bool,
    /// Whether the resource was committed and nothing was taken away since.
    pub(crate) complete: bool,
    /// Why the resource is finished for good; the first reason stays.
    pub(crate) failed: Option<Error>,
    /// Counts the restarts.
    pub(crate) generation: u64,
    /// Writes and cuts on their way.
    pub(crate) writes: Writes,
    /// Who waits.
    pub(crate) places: Places,
}

/// What holds for a wait right now, in the order in which it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// A nudge goes first: whoever nudged wants the reader to look at something else.
    Nudged,
    /// Then the fatal failure of the resource, which is given at covered bytes and at the end too.
    Fatal,
    /// Then a restart: nothing of the new generation before it was told.
    Restarted,
    /// Then the end.
    End,
    /// Then bytes that are there, even if the demand for them has failed meanwhile.
    Ready,
    /// Then the failure of this demand.
    Failed,
    /// Otherwise there is something to wait for.
    Wait,
}

impl State {
    /// What holds for a wait of `place` for `range` under `demand`.
    pub(crate) fn judge(&self, place: &Place, range: ByteRange, demand: DemandId) -> Verdict {
        if place.nudged {
            Verdict::Nudged
        } else if self.failed.is_some() {
            Verdict::Fatal
        } else if place.notice.is_some() {
            Verdict::Restarted
        } else if self.is_end(range.start) {
            Verdict::End
        } else if self.coverage.covers(self.clip(range)) {
            Verdict::Ready
        } else if place.failure.as_ref().is_some_and(|(of, _)| *of == demand) {
            Verdict::Failed
        } else {
            Verdict::Wait
        }
    }

    /// Ends the wait if it has ended: what was latched for it is told now, and told once.
    /// `epoch` is the current one.
    pub(crate) fn settle(
        &mut self,
        key: PlaceKey,
        range: ByteRange,
        demand: DemandId,
        epoch: u64,
    ) -> Option<Waited> {
        self.places.at(key)?.turn_to(demand);
        let verdict = self.judge(self.places.peek(key)?, range, demand);
        let run = self.run_at(range.start, epoch);
        let place = self.places.at(key)?;
        let waited = match verdict {
            Verdict::Nudged => {
                place.nudged = false;
                Waited::Nudged
            }
            Verdict::Fatal => Waited::Failed(self.failed.clone()?),
            Verdict::Restarted => Waited::Failed(place.notice.take()?),
            Verdict::End => {
                self.end_told = true;
                Waited::End
            }
            Verdict::Ready => Waited::Ready(run),
            Verdict::Failed => Waited::Failed(place.failure.take()?.1),
            Verdict::Wait => return None,
        };
        if !matches!(waited, Waited::Nudged) {
            place.failure = None;
        }
        Some(waited)
    }

    /// Looks at the byte at `offset`, for nobody in particular.
    pub(crate) fn look(&mut self, offset: u64, epoch: u64) -> Look {
        if let Some(error) = &self.failed {
            return Look::Failed(error.clone());
        }
        if self.is_end(offset) {
            self.end_told = true;
            return Look::End;
        }
        match self.coverage.run_from(offset) {
            run if run.is_empty() => Look::Missing,
            _ => Look::Covered(self.run_at(offset, epoch)),
        }
    }

    /// What is there from `offset` on without a gap, and before it.
    fn run_at(&self, offset: u64, epoch: u64) -> Run {
        let run = Run::new(self.clip(self.coverage.run_from(offset)), epoch);
        run.reaching_back(self.coverage.run_to(offset)).of_whole(self.is_whole())
    }

    /// The same for the holder of a place, who is told of a restart first.
    pub(crate) fn look_from(&mut self, key: PlaceKey, offset: u64, epoch: u64) -> Look {
        if self.failed.is_none()
            && let Some(notice) = self.places.at(key).and_then(|place| place.notice.take())
        {
            return Look::Failed(notice);
        }
        self.look(offset, epoch)
    }

    /// Parts of a finished write become coverage, as far as the length goes. Gives how many bytes
    /// of them were not there before.
    pub(crate) fn cover(&mut self, parts: &[ByteRange]) -> u64 {
        let len = self.len.unwrap_or(u64::MAX);
        parts.iter().map(|part| self.coverage.insert(part.until(len))).sum()
    }

    /// Sets the length, if that contradicts nothing.
    pub(crate) fn set_len(&mut self, len: u64) -> Result<(), LenConflict> {
        if self.len == Some(len) {
            return Ok(());
        }
        let covered_end = self.coverage.end();
        if self.end_told || len < covered_end {
            let end_told = self.end_told;
            return Err(LenConflict { asked: len, known: self.len, covered_end, end_told });
        }
        self.len = Some(len);
        Ok(())
    }

    /// Takes `range` out of the coverage, and out of what is on its way.
    pub(crate) fn withdraw(&mut self, range: ByteRange) {
        self.writes.withdraw(range);
        if self.coverage.remove(range) > 0 {
            self.complete = false;
        }
    }

    /// A new generation begins; everybody is told.
    pub(crate) fn restart(&mut self, len: Option<u64>, notice: &Error) {
        self.generation += 1;
        self.writes.withdraw(ByteRange::new(0, u64::MAX));
        self.coverage.clear();
        self.len = len;
        self.end_told = false;
        self.complete = false;
        for place in self.places.all() {
            place.notice = Some(notice.clone());
            place.failure = None;
        }
    }

    /// Marks the resource complete, if it is.
    pub(crate) fn commit(&mut self) -> Result<(), NotComplete> {
        if !self.is_whole() {
            let whole = ByteRange::new(0, self.len.unwrap_or(u64::MAX));
            let hole = self.coverage.missing_in(whole).first().copied();
            return Err(NotComplete { len: self.len, hole });
        }
        self.complete = true;
        self.end_told = true;
        Ok(())
    }

    /// The resource is finished for good, unless it was already.
    pub(crate) fn fail(&mut self, error: Error) {
        self.failed.get_or_insert(error);
    }

    /// The demand of a reader failed.
    pub(crate) fn fail_wait(&mut self, reader: ReaderId, demand: DemandId, error: &Error) {
        self.places.of(reader).for_each(|place| place.fail(demand, error));
    }

    /// Takes out the wakers of all waits that have ended.
    pub(crate) fn take_ended(&mut self) -> Wakes {
        // The places are lent out while the rest judges them.
        let mut places = std::mem::take(&mut self.places);
        let wakes = places
            .take_ended(|place, wait| self.judge(place, wait.range, wait.demand) != Verdict::Wait);
        self.places = places;
        wakes
    }

    /// Whether every byte below a known length is there.
    pub(crate) fn is_whole(&self) -> bool {
        self.len.is_some_and(|len| self.coverage.covers(ByteRange::new(0, len)))
    }

    /// `range` as far as the length goes.
    pub(crate) fn clip(&self, range: ByteRange) -> ByteRange {
        self.len.map_or(range, |len| range.until(len))
    }

    /// Whether `offset` is at or past a known length.
    fn is_end(&self, offset: u64) -> bool {
        self.len.is_some_and(|len| offset >= len)
    }
}
