//! Segment map: the state of every byte of one resource.
//!
//! A byte is in exactly one state: missing (absent from the map), queued, in flight, backing off or
//! covered. Ranges are half-open and in bytes, counted from the start of the resource. The map
//! mirrors coverage; the owner of coverage is the storage.
//!
//! Not here: choosing what to fetch (`plan`), holding bytes, knowing the time. This file alone knows
//! `rangemap`: it never inserts an empty range (that panics), and `overlapping` is clipped here.
//!
//! Invariants:
//! 1. stored ranges are non-empty and end at or before the length, if that is known;
//! 2. a covered byte stays covered until it is uncovered or the map is made anew;
//! 3. `covered_bytes` counts the covered bytes.

use rangemap::RangeMap;

use crate::byte_range::ByteRange;
use crate::ids::FetchId;

/// What is the matter with a byte that is not simply missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentState {
    /// In the queue of its origin.
    Queued,
    /// Belongs to that running fetch.
    InFlight(FetchId),
    /// Failed a moment ago: nobody asks for it until its pause is over.
    BackingOff,
    /// Stored.
    Covered,
}

/// A run of bytes in one state; `None` is missing.
pub(crate) type Piece = (ByteRange, Option<SegmentState>);

#[cfg(test)]
thread_local! {
    /// How many pieces were looked at, of all maps.
    pub(crate) static LOOKED: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// The states of all bytes of one resource.
#[derive(Debug, Clone)]
pub(crate) struct SegmentMap {
    len: Option<u64>,
    states: RangeMap<u64, SegmentState>,
    covered: u64,
}

impl SegmentMap {
    /// Everything missing.
    pub(crate) fn new(len: Option<u64>) -> Self {
        Self { len, states: RangeMap::new(), covered: 0 }
    }

    /// The length, once it is known.
    pub(crate) fn len(&self) -> Option<u64> {
        self.len
    }

    /// One past the last byte that can exist: the length, or no bound at all.
    pub(crate) fn end(&self) -> u64 {
        self.len.unwrap_or(u64::MAX)
    }

    /// Everything that can exist.
    pub(crate) fn all(&self) -> ByteRange {
        ByteRange::new(0, self.end())
    }

    /// Takes over a length; what lies beyond it is forgotten.
    pub(crate) fn set_len(&mut self, len: u64) {
        self.len = None;
        self.put(ByteRange::new(len, u64::MAX), None);
        self.len = Some(len);
    }

    /// The state of the byte at `offset`.
    pub(crate) fn state_at(&self, offset: u64) -> Option<SegmentState> {
        self.states.get(&offset).copied()
    }

    /// Whether the byte at `offset` is stored.
    pub(crate) fn is_covered_at(&self, offset: u64) -> bool {
        self.state_at(offset) == Some(SegmentState::Covered)
    }

    /// Number of stored bytes.
    pub(crate) fn covered_bytes(&self) -> u64 {
        self.covered
    }

    /// Whether the length is known and every byte is stored.
    pub(crate) fn is_complete(&self) -> bool {
        self.len == Some(self.covered)
    }

    /// The runs of equal state in `range`, missing ones included, clipped to it and to the length.
    pub(crate) fn pieces(&self, range: ByteRange) -> impl Iterator<Item = Piece> + '_ {
        let range = range.until(self.end());
        let mut at = range.start;
        let mut stored = (!range.is_empty())
            .then(|| self.states.overlapping(range.to_std()))
            .into_iter()
            .flatten()
            .peekable();
        std::iter::from_fn(move || {
            if at >= range.end {
                return None;
            }
            #[cfg(test)]
            LOOKED.set(LOOKED.get() + 1);
            let start = at;
            match stored.peek() {
                Some((run, state)) if run.start <= at => {
                    let state = **state;
                    at = run.end.min(range.end);
                    stored.next();
                    Some((ByteRange::new(start, at), Some(state)))
                }
                Some((run, _)) => {
                    at = run.start;
                    Some((ByteRange::new(start, at), None))
                }
                None => {
                    at = range.end;
                    Some((ByteRange::new(start, at), None))
                }
            }
        })
    }

    /// The first run of `range` whose bytes nobody has or fetches: missing or queued.
    pub(crate) fn first_gap(&self, range: ByteRange) -> Option<ByteRange> {
        self.first_run(range, |state| matches!(state, None | Some(SegmentState::Queued)))
    }

    /// The first run of missing bytes in `range`, queued ones not included.
    pub(crate) fn first_missing(&self, range: ByteRange) -> Option<ByteRange> {
        self.first_run(range, |state| state.is_none())
    }

    /// The first run of `range` that is not stored, whoever may be fetching it.
    pub(crate) fn first_uncovered(&self, range: ByteRange) -> Option<ByteRange> {
        self.first_run(range, |state| state != Some(SegmentState::Covered))
    }

    /// The first run of bytes in `range` whose states all satisfy `wanted`.
    pub(crate) fn first_run(
        &self,
        range: ByteRange,
        wanted: impl Fn(Option<SegmentState>) -> bool,
    ) -> Option<ByteRange> {
        let mut found: Option<ByteRange> = None;
        for (run, state) in self.pieces(range) {
            match (&mut found, wanted(state)) {
                (Some(found), true) => found.end = run.end,
                (Some(_), false) => break,
                (None, true) => found = Some(run),
                (None, false) => {}
            }
        }
        found
    }

    /// From the first to the last byte of `range` that belongs to `fetch`; empty if none does.
    pub(crate) fn hole_of(&self, range: ByteRange, fetch: FetchId) -> ByteRange {
        let mut runs = self
            .pieces(range)
            .filter(|(_, state)| *state == Some(SegmentState::InFlight(fetch)))
            .map(|(run, _)| run);
        let Some(first) = runs.next() else {
            return ByteRange::new(range.start, range.start);
        };
        ByteRange::new(first.start, runs.last().map_or(first.end, |last| last.end))
    }

    /// Number of stored runs: how large the map is.
    pub(crate) fn runs(&self) -> usize {
        self.states.len()
    }

    /// The bytes of `range` are stored now. Returns how many were not before.
    pub(crate) fn cover(&mut self, range: ByteRange) -> u64 {
        let before = self.covered;
        self.put(range, Some(SegmentState::Covered));
        self.covered - before
    }

    /// Stored bytes of `range` are gone.
    pub(crate) fn uncover(&mut self, range: ByteRange) {
        self.change(range, |state| state == Some(SegmentState::Covered), None);
    }

    /// Missing bytes of `range` are in the queue now.
    pub(crate) fn queue(&mut self, range: ByteRange) {
        self.change(range, |state| state.is_none(), Some(SegmentState::Queued));
    }

    /// Queued bytes of `range` are in the queue no longer.
    pub(crate) fn unqueue(&mut self, range: ByteRange) {
        self.change(range, |state| state == Some(SegmentState::Queued), None);
    }

    /// All bytes of `range` that are not stored belong to `fetch` now, whosever they were.
    pub(crate) fn take(&mut self, range: ByteRange, fetch: FetchId) {
        let open = |state| state != Some(SegmentState::Covered);
        self.change(range, open, Some(SegmentState::InFlight(fetch)));
    }

    /// Bytes of `range` that belong to `fetch` are missing again.
    pub(crate) fn release(&mut self, range: ByteRange, fetch: FetchId) {
        self.change(range, |state| state == Some(SegmentState::InFlight(fetch)), None);
    }

    /// Missing and queued bytes of `range` back off.
    pub(crate) fn back_off(&mut self, range: ByteRange) {
        let gap = |state| matches!(state, None | Some(SegmentState::Queued));
        self.change(range, gap, Some(SegmentState::BackingOff));
    }

    /// Bytes of `range` that back off are missing again.
    pub(crate) fn resume(&mut self, range: ByteRange) {
        self.change(range, |state| state == Some(SegmentState::BackingOff), None);
    }

    /// Puts every run of `range` whose state is `from` into the state `to`.
    fn change(
        &mut self,
        range: ByteRange,
        from: impl Fn(Option<SegmentState>) -> bool,
        to: Option<SegmentState>,
    ) {
        let runs: Vec<ByteRange> =
            self.pieces(range).filter(|(_, state)| from(*state)).map(|(run, _)| run).collect();
        for run in runs {
            self.put(run, to);
        }
    }

    /// Puts all of `range` into one state and keeps the count.
    fn put(&mut self, range: ByteRange, to: Option<SegmentState>) {
        let range = range.until(self.end());
        if range.is_empty() {
            return;
        }
        let stored = |(run, state): Piece| match state {
            Some(SegmentState::Covered) => run.len(),
            _ => 0,
        };
        self.covered -= self.pieces(range).map(stored).sum::<u64>();
        match to {
            Some(state) => self.states.insert(range.to_std(), state),
            None => self.states.remove(range.to_std()),
        }
        if to == Some(SegmentState::Covered) {
            self.covered += range.len();
        }
    }
}

#[cfg(test)]
mod tests;
