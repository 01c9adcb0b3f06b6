//! Scrubbing: whether the user drags a reader about, and what follows from that.
//!
//! A drag begins with the second of two far seeks within a short time, or the fourth of nearer ones, or a seek
//! to where one was foretold; it ends when none comes for a while. Inside it requests are small, read-ahead
//! rests, the newest place replaces those that were not asked for yet, and each seek foretells the next ones.
//!
//! | file | knows |
//! |---|---|
//! | `spots` | which spans will probably be sought next, and whether they are worth fetching |
//! | `forecast` (beside) | where a drag goes |
//! | `plan::drag` | which of the spots is fetched now, and how many places at once |

pub(crate) mod spots;

use std::collections::VecDeque;

use crate::byte_range::ByteRange;
use crate::config::ReadaheadConfig;
use crate::ids::{ReaderId, ResourceId};
use crate::sched::Scheduler;
use crate::sched::cursors::Cursor;
use crate::sched::estimator::Link;
use crate::sched::resource::Resource;
use crate::sched::runs::{Run, near};
use crate::sched::segment_map::SegmentState;
use crate::sched::timer::Timer;
use crate::sched::window::{HURRY, Stream};
use crate::time::Micros;
use spots::Spots;

/// A longer jump is a seek; demuxers make shorter ones too, in bytes.
const FAR: u64 = 1 << 20;
/// What is within so many bytes of where a seek led belongs to it: headers are read again.
const SAME: u64 = 256 << 10;
/// A drag that rested no longer goes on with the next place that was foretold.
const REST: Micros = Micros::from_millis(2000);
/// Most bytes that were stored, and read, before it was told.
const UNTOLD: u64 = 128 << 10;
/// Two far jumps to bytes that are not there, or twice as many others, are a drag.
const DRAG: u32 = 4;
/// Places kept that reads have waited at.
const KEPT: usize = 8;

/// A move that nobody makes by reading on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Jump {
    position: u64,
    cached: bool,
    far: bool,
}

impl Jump {
    /// The jump that leads `reader` to `position`, if it is one.
    pub(crate) fn of(resource: &Resource, reader: ReaderId, position: u64) -> Option<Self> {
        let cursor = resource.cursors.one(reader)?;
        cursor.stream.as_ref()?;
        let from = cursor.position;
        let passed = ByteRange::new(from, position.max(from));
        let read_on = position >= from && is_read_through(resource, passed);
        let in_turn = |run: &Run| near(run.position, run.reach).contains(&position);
        if read_on || cursor.scrub.is_same(position) || cursor.runs.in_use().any(in_turn) {
            return None;
        }
        let (cached, far) = (resource.map.is_covered_at(position), position.abs_diff(from) > FAR);
        Some(Self { position, cached, far })
    }
}

/// Whether a reader may have read all of `passed`: what is stored, and a little of what is coming.
fn is_read_through(resource: &Resource, passed: ByteRange) -> bool {
    let mut untold = 0;
    for (run, state) in resource.map.pieces(passed) {
        match state {
            Some(SegmentState::Covered) => {}
            Some(SegmentState::InFlight(_)) => untold += run.len(),
            Some(SegmentState::Queued | SegmentState::BackingOff) | None => return false,
        }
    }
    untold <= UNTOLD
}

/// The drag of one reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scrub {
    on: bool,
    /// The newest seek.
    last: Option<(Micros, u64)>,
    /// How much the jumps lately look like a drag.
    quick: u32,
    /// Whether there was a drag that may go on.
    rests: bool,
    asked: VecDeque<u64>,
    /// Where it will be.
    pub(crate) spots: Spots,
}

impl Scrub {
    /// Whether the user scrubs.
    pub(crate) fn is_on(&self) -> bool {
        self.on
    }

    /// Whether going to `position` belongs to the seek that was last.
    fn is_same(&self, position: u64) -> bool {
        self.last.is_some_and(|(_, last)| position.abs_diff(last) <= SAME)
    }

    /// A read waits at `position`.
    pub(crate) fn asks(&mut self, position: u64) {
        if self.on {
            push(&mut self.asked, position, KEPT);
        }
    }

    /// Where reads have waited lately while the user scrubbed.
    pub(crate) fn asked(&self) -> impl Iterator<Item = u64> + '_ {
        self.asked.iter().copied()
    }

    fn jumped(&mut self, now: Micros, jump: Jump, link: &Link, share: f64) {
        let since = self.last.map(|(at, _)| now.since(at));
        let soon = self.on || since.is_some_and(|since| since <= HURRY);
        self.rests &= since.is_some_and(|since| since <= REST);
        self.last = Some((now, jump.position));
        let weight = if jump.far { DRAG / 2 } else { DRAG / 4 };
        self.quick = match (soon, jump.cached) {
            (true, true) => self.quick,
            (true, false) => self.quick.saturating_add(weight),
            (false, true) => 0,
            (false, false) => weight,
        };
        let foretold = self.spots.sought(now, jump.position, link, share);
        self.on |= self.quick >= DRAG || (self.rests && foretold);
        self.rests = self.on;
    }
}

impl Cursor {
    /// The user scrubs, and is here now.
    fn hurry(&mut self, now: Micros, config: &ReadaheadConfig) {
        let position = self.position;
        match &mut self.stream {
            Some(stream) if stream.start == position => stream.hurried = true,
            stream => *stream = Some(Stream::begin_hurried(position, now, config)),
        }
    }
}

impl Scheduler {
    /// `reader` jumped. Whether the user scrubs.
    pub(super) fn scrub(&mut self, id: ResourceId, reader: ReaderId, jump: Jump) -> bool {
        let Some(resource) = self.resources.get_mut(&id) else {
            return false;
        };
        let outlook =
            Self::outlook(resource, self.now, &self.tunables, &self.origins, &self.fetches);
        let link = outlook.link;
        let share = f64::from(self.tunables.fetch.foresight_percent) / 100.0;
        let Some(cursor) = resource.cursors.one_mut(reader) else {
            return false;
        };
        cursor.scrub.jumped(self.now, jump, &link, share);
        if !cursor.scrub.on {
            return false;
        }
        cursor.hurry(self.now, &self.tunables.readahead);
        self.timers.set(Timer::ScrubEnd(reader), self.now + HURRY);
        true
    }

    /// `reader` was not moved for a while.
    pub(super) fn on_scrub_end(&mut self, reader: ReaderId) {
        let Some(id) = self.readers.get(&reader).copied() else {
            return;
        };
        let cursor = self.resources.get_mut(&id).and_then(|r| r.cursors.one_mut(reader));
        let Some(cursor) = cursor else {
            return;
        };
        let went_on = cursor.stream.as_ref().is_some_and(|stream| stream.confirmed);
        if cursor.blocked().is_some() && !went_on {
            // Who waits for its first bytes cannot go on.
            return self.timers.set(Timer::ScrubEnd(reader), self.now + HURRY);
        }
        (cursor.scrub.on, cursor.scrub.quick) = (false, 0);
        if let Some(stream) = &mut cursor.stream {
            stream.hurried = false;
        }
        self.dirty.insert(id);
    }
}

/// Keeps the newest `most`.
fn push<T>(kept: &mut VecDeque<T>, newest: T, most: usize) {
    kept.push_back(newest);
    if kept.len() > most {
        kept.pop_front();
    }
}

#[cfg(test)]
mod tests;
