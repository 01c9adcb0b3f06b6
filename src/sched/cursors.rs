//! The readers of one resource: where each is, what it waits for, and how it moves.

use std::collections::BTreeMap;

use crate::byte_range::ByteRange;
use crate::config::ReadaheadConfig;
use crate::ids::{DemandId, ReaderId};
use crate::sched::event::Urgency;
use crate::sched::random::Habit;
use crate::sched::runs::{Run, Runs, near};
use crate::sched::scrub::Scrub;
use crate::sched::window::{Consumption, Stream};
use crate::time::Micros;

/// A wait.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    /// Its name.
    pub(crate) id: DemandId,
    /// What is waited for.
    pub(crate) range: ByteRange,
    /// How urgently.
    pub(crate) urgency: Urgency,
    /// Since when.
    pub(crate) since: Micros,
    /// From when its time budget counts: moves on with every byte on the way to it.
    pub(crate) budget_from: Micros,
}

impl Demand {
    /// Whether a read is blocked on it.
    pub(crate) fn is_blocked(&self) -> bool {
        self.urgency == Urgency::Blocked
    }
}

/// Whether a move left the stream it was in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WentFar(pub(crate) bool);

/// One reader.
#[derive(Debug, Clone)]
pub(crate) struct Cursor {
    /// Where it is, as far as we were told.
    pub(crate) position: u64,
    /// What it waits for.
    pub(crate) demand: Option<Demand>,
    /// Its run; none before its first read.
    pub(crate) stream: Option<Stream>,
    /// How fast it consumes.
    pub(crate) consumption: Consumption,
    /// The mark it was told.
    pub(crate) refill: Option<u64>,
    /// The runs that it was in before.
    pub(crate) runs: Runs,
    /// How the user drags it about.
    pub(crate) scrub: Scrub,
    /// How it has jumped lately.
    pub(crate) habit: Habit,
    /// For how long its reads were blocked.
    waited: Micros,
    /// When it was at `position`.
    pub(crate) told: Micros,
    used: u64,
}

impl Cursor {
    fn new(position: u64) -> Self {
        Self {
            position,
            demand: None,
            stream: None,
            consumption: Consumption::default(),
            refill: None,
            runs: Runs::default(),
            scrub: Scrub::default(),
            habit: Habit::default(),
            waited: Micros(0),
            told: Micros(0),
            used: 0,
        }
    }

    /// The blocked read, if it waits in one.
    pub(crate) fn blocked(&self) -> Option<&Demand> {
        self.demand.as_ref().filter(|demand| demand.is_blocked())
    }

    /// Its wait is over.
    pub(crate) fn met(&mut self, now: Micros) {
        self.waited = self.waited(now);
        self.demand = None;
    }

    /// For how long its reads have been blocked.
    pub(crate) fn waited(&self, now: Micros) -> Micros {
        let current = self.blocked().map(|demand| now.since(demand.since));
        self.waited + current.unwrap_or_default()
    }

    /// The wait for a whole range, if there is one.
    pub(crate) fn fill(&self) -> Option<&Demand> {
        self.demand.as_ref().filter(|demand| !demand.is_blocked())
    }
}

/// All readers of one resource.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cursors {
    // Boxed: a node of the map has room for eleven, and mostly there is one.
    by_reader: BTreeMap<ReaderId, Box<Cursor>>,
    uses: u64,
}

impl Cursors {
    /// A reader is there.
    pub(crate) fn open(&mut self, reader: ReaderId, position: u64) {
        self.by_reader.insert(reader, Box::new(Cursor::new(position)));
    }

    /// It is gone.
    pub(crate) fn close(&mut self, reader: ReaderId) {
        self.by_reader.remove(&reader);
    }

    /// That reader.
    pub(crate) fn one(&self, reader: ReaderId) -> Option<&Cursor> {
        self.by_reader.get(&reader).map(Box::as_ref)
    }

    /// That reader.
    pub(crate) fn one_mut(&mut self, reader: ReaderId) -> Option<&mut Cursor> {
        self.by_reader.get_mut(&reader).map(Box::as_mut)
    }

    /// All, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = (ReaderId, &Cursor)> {
        self.by_reader.iter().map(|(reader, cursor)| (*reader, &**cursor))
    }

    /// All, by name.
    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = (ReaderId, &mut Cursor)> {
        self.by_reader.iter_mut().map(|(reader, cursor)| (*reader, &mut **cursor))
    }

    /// All waits, by reader.
    pub(crate) fn demands(&self) -> impl Iterator<Item = (ReaderId, &Demand)> {
        self.all().filter_map(|(reader, cursor)| Some((reader, cursor.demand.as_ref()?)))
    }

    /// The readers that have read something, the most recently used first.
    pub(crate) fn active(&self) -> Vec<ReaderId> {
        let mut used: Vec<(u64, ReaderId)> = self
            .all()
            .filter(|(_, cursor)| cursor.stream.is_some())
            .map(|(reader, cursor)| (cursor.used, reader))
            .collect();
        used.sort_unstable_by(|a, b| b.cmp(a));
        used.into_iter().map(|(_, reader)| reader).collect()
    }

    /// The reader is at `position` now and reads there. `reach` is how far ahead its stream goes; `read_on` is
    /// whether everything up to there is stored, so that it can have been read.
    pub(crate) fn moved(
        &mut self,
        reader: ReaderId,
        position: u64,
        reach: u64,
        read_on: bool,
        now: Micros,
        config: &ReadaheadConfig,
    ) -> WentFar {
        self.uses += 1;
        let used = self.uses;
        let Some(cursor) = self.by_reader.get_mut(&reader) else {
            return WentFar(false);
        };
        (cursor.used, cursor.told) = (used, now);
        let from = std::mem::replace(&mut cursor.position, position);
        let here = near(from, reach).contains(&position);
        // Where both are near, another run must be much nearer.
        let most =
            if here && cursor.stream.is_some() { position.abs_diff(from) / 4 } else { u64::MAX };
        if let Some(run) = cursor.runs.take(position, most) {
            return WentFar(cursor.go_back(run, from, reach, now, config));
        }
        match &mut cursor.stream {
            Some(stream) if here => {
                let read = if read_on { position.saturating_sub(from) } else { 0 };
                if read_on || position <= from {
                    stream.confirmed |= stream.goes_on_at(position);
                } else {
                    stream.jumped(position);
                }
                cursor.consumption.advance(now, read);
                cursor.runs.read_elsewhere(read);
                WentFar(false)
            }
            _ => WentFar(cursor.go_far(from, reach, now, config)),
        }
    }
}

impl Cursor {
    /// Begins a run here. Whether there was one before.
    fn go_far(&mut self, from: u64, reach: u64, now: Micros, config: &ReadaheadConfig) -> bool {
        if let Some(before) = &self.stream {
            self.habit.jumped(before, from, self.position, now);
        }
        let mut begun = Stream::begin(self.position, now, config).after(self.stream.as_ref());
        begun.short = self.habit.size();
        let left = self.stream.is_some();
        self.leave(begun, from, reach, now);
        self.consumption.rest(now);
        self.runs.stand_down();
        left
    }

    /// Goes on with a run that was left; one that was left for longer, and is not read in turns, begins anew. Whether
    /// the one before it is not read in turns either.
    fn go_back(
        &mut self,
        run: Run,
        from: u64,
        reach: u64,
        now: Micros,
        config: &ReadaheadConfig,
    ) -> bool {
        let Run { stream, consumption, position, .. } = &run;
        let mut next = match stream.is_shuttled() || run.is_fresh(now) {
            true => stream.clone(),
            false => Stream::begin(self.position, now, config).after(self.stream.as_ref()),
        };
        next.returns = stream.returns.saturating_add(1);
        let done = self.stream.as_ref().is_none_or(|before| !before.is_shuttled());
        let (turns, read) = (stream.is_shuttled(), self.position.saturating_sub(*position));
        let consumption = consumption.clone();
        self.leave(next, from, reach, now);
        self.runs.read_elsewhere(read);
        if turns {
            self.consumption = consumption;
            self.consumption.advance(now, read);
        } else {
            self.consumption.rest(now);
        }
        done
    }

    fn leave(&mut self, next: Stream, from: u64, reach: u64, now: Micros) {
        if let Some(stream) = self.stream.replace(next) {
            self.runs.leave(Run::new(stream, from, self.consumption.clone(), reach, now));
        }
    }

    /// The run at `offset`: where the reader is, or one that it reads in turns with that.
    pub(crate) fn stream_at(&mut self, offset: u64) -> Option<&mut Stream> {
        let here = (offset >= self.position).then(|| offset - self.position);
        let ahead = |run: &Run| offset.checked_sub(run.position);
        let other = self.runs.in_use().filter_map(ahead).min();
        match other.filter(|other| here.is_none_or(|here| *other < here)) {
            Some(other) => {
                let run = self.runs.in_use_mut().find(|run| run.position + other == offset);
                run.map(|run| &mut run.stream)
            }
            None => self.stream.as_mut(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn p4_a_move_within_the_stream_goes_on_and_a_far_one_begins_anew() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        let mut go = |to, ms| cursors.moved(reader, to, 0, true, Micros::from_millis(ms), &config);
        assert_eq!(go(5 * MIB, 0000), WentFar(false), "the first read leaves nothing behind");
        assert_eq!(go(6 * MIB, 1000), WentFar(false));
        assert_eq!(go(5 * MIB, 2000), WentFar(false));
        assert_eq!(go(6 * MIB + 1, 3000), WentFar(true));
        assert_eq!(go(5 * MIB, 4000), WentFar(true));
        let stream = cursors.one(reader).and_then(|cursor| cursor.stream.as_ref());
        assert!(stream.is_some_and(|s| s.start == 5 * MIB && !s.confirmed));
    }

    #[test]
    fn p3_going_back_at_once_goes_on_with_the_old_run() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        let mut go = |to, ms| {
            cursors.moved(reader, to, 4 * MIB, true, Micros::from_millis(ms), &config);
            cursors.one(reader).and_then(|cursor| cursor.stream.clone()).map(|stream| stream.start)
        };
        assert_eq!(go(0, 0), Some(0));
        assert_eq!(go(3 * MIB, 1000), Some(0));
        assert_eq!(go(90 * MIB, 2000), Some(90 * MIB));
        assert_eq!(go(7 * MIB, 2300), Some(0), "within 4 MiB of where it was, after 300 ms");
        assert_eq!(go(90 * MIB, 2300), Some(90 * MIB));
        assert_eq!(go(7 * MIB, 2601), Some(7 * MIB));
    }

    #[test]
    fn p4_a_reader_that_goes_back_and_forth_goes_on_at_both_places() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        let mut go = |to, ms| {
            let far = cursors.moved(reader, to, 0, true, Micros::from_millis(ms), &config);
            let cursor = cursors.one(reader).expect("it was opened");
            let others: Vec<u64> = cursor.runs.in_use().map(|run| run.position).collect();
            (far.0, cursor.stream.as_ref().map(|stream| stream.start), others)
        };
        assert_eq!(go(0, 0), (false, Some(0), vec![]));
        assert_eq!(go(90 * MIB, 1000), (true, Some(90 * MIB), vec![]));
        assert_eq!(go(10, 2000), (true, Some(10), vec![]), "once is what users do");
        assert_eq!(go(90 * MIB + 10, 3000), (true, Some(90 * MIB + 10), vec![]));
        assert_eq!(go(20, 4000), (true, Some(20), vec![]));
        assert_eq!(go(90 * MIB + 20, 5000), (false, Some(90 * MIB + 20), vec![20]));
        assert_eq!(go(30, 6000), (false, Some(20), vec![90 * MIB + 20]), "it goes on");
        assert_eq!(go(90 * MIB + 30, 7000), (false, Some(90 * MIB + 20), vec![30]));
        assert_eq!(go(50 * MIB, 8000), (true, Some(50 * MIB), vec![]), "a new place");
        assert_eq!(go(40, 9000), (true, Some(20), vec![]));
        assert_eq!(go(90 * MIB + 40, 9500), (false, Some(90 * MIB + 20), vec![40]));
    }

    #[test]
    fn p4_what_is_read_ahead_belongs_to_the_run_before_it() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        for round in 0..4 {
            for place in [0, 90 * MIB] {
                cursors.moved(
                    reader,
                    place + round,
                    0,
                    true,
                    Micros::from_millis(round * 1000),
                    &config,
                );
            }
        }
        let cursor = cursors.one_mut(reader).expect("it was opened");
        let mut start = |offset| cursor.stream_at(offset).map(|stream| stream.start / MIB);
        let at = [0, 3, 90 * MIB, 90 * MIB + 3, 95 * MIB].map(&mut start);
        assert_eq!(at, [90, 0, 0, 90, 90].map(Some));
    }

    #[test]
    fn the_most_recently_used_reader_is_the_first() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        for reader in 1..=3 {
            cursors.open(ReaderId(reader), 0);
        }
        for reader in [1, 2, 1] {
            cursors.moved(ReaderId(reader), 9, 0, true, Micros(0), &config);
        }
        assert_eq!(cursors.active(), [ReaderId(1), ReaderId(2)]);
    }

    #[test]
    fn p4_a_run_is_confirmed_by_reading_on_and_not_by_reading_the_same_byte_again() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        let mut go = |to| {
            cursors.moved(reader, to, 0, true, Micros(0), &config);
            cursors.one(reader).and_then(|cursor| cursor.stream.clone()).map(|s| s.confirmed)
        };
        assert_eq!([go(5), go(5), go(4), go(6)], [false, false, false, true].map(Some));
    }

    #[test]
    fn p4_a_jump_back_as_far_as_demuxers_interleave_is_no_seek() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        let mut go = |to| cursors.moved(reader, to, 0, true, Micros(0), &config);
        go(5 * MIB);
        assert_eq!(go(4 * MIB), WentFar(false));
        assert_eq!(go(3 * MIB - 1), WentFar(true));
    }

    #[test]
    fn p4_another_run_is_gone_back_to_where_it_is_much_nearer_or_the_one_left_is_out_of_reach() {
        let config = ReadaheadConfig::default();
        let start = |run: u64, reach: u64, from: u64, to: u64| {
            let mut cursors = Cursors::default();
            let reader = ReaderId(1);
            cursors.open(reader, 0);
            for (nth, place) in [run, from, to].into_iter().enumerate() {
                let now = Micros::from_millis(1000 + 10 * nth as u64);
                cursors.moved(reader, place, reach, true, now, &config);
            }
            cursors.one(reader)?.stream.as_ref().map(|stream| stream.start)
        };
        assert_eq!(start(0, 0, 2 * MIB, MIB), Some(2 * MIB), "a run that is as far is not");
        let (near, from) = (MIB - (100 << 10), 2 * MIB - 9);
        assert_eq!(start(near, 0, from, MIB), Some(near), "a run that is near is");
        assert_eq!(start(10 * MIB, 4 * MIB, 5 * MIB, 13 * MIB), Some(10 * MIB));
    }

    #[test]
    fn p4_a_jump_over_what_is_not_stored_is_no_reading_on() {
        let config = ReadaheadConfig::default();
        let confirmed = |read_on| {
            let mut cursors = Cursors::default();
            let reader = ReaderId(1);
            cursors.open(reader, 0);
            for position in [0, 5] {
                cursors.moved(reader, position, 0, read_on, Micros(0), &config);
            }
            cursors.one(reader)?.stream.as_ref().map(|stream| stream.confirmed)
        };
        assert_eq!([true, false].map(confirmed), [true, false].map(Some));
    }

    #[test]
    fn p4_what_is_read_ahead_of_the_other_run_belongs_to_it() {
        let config = ReadaheadConfig::default();
        let mut cursors = Cursors::default();
        let reader = ReaderId(1);
        cursors.open(reader, 0);
        for round in 0..4 {
            for place in [90 * MIB, 0] {
                let now = Micros::from_millis(round * 1000);
                cursors.moved(reader, place + round, 0, true, now, &config);
            }
        }
        let cursor = cursors.one_mut(reader).expect("it was opened");
        let mut start = |offset| cursor.stream_at(offset).map(|stream| stream.start / MIB);
        assert_eq!([5, 89 * MIB, 95 * MIB].map(&mut start), [0, 0, 90].map(Some));
    }
}
