//! The runs that a reader has left, and may come back to.
//!
//! Demuxers go back and forth: sound here and pictures there, a table at the end of the file. A run that the reader has
//! come back to again and again is read as much as the one that it is in: it keeps its window. A place that was left for
//! good does not, and neither does any other as soon as a new place is visited: users seek.

use crate::sched::window::{Consumption, HURRY, Stream};
use crate::time::Micros;

/// How far back a reader may jump without having left its run, in bytes: demuxers interleave.
const NEAR_BEHIND: u64 = 1 << 20;
/// How far ahead it may jump at least, in bytes.
const NEAR_AHEAD: u64 = 1 << 20;
/// Most runs beside the one that the reader is in.
const MOST: usize = 3;
/// Coming back once is what users do, too.
const RETURNS: u32 = 2;
/// A reader that has read so much elsewhere does not go back and forth, in bytes. Files interleave in pieces of a few
/// megabytes at most; an index that is read every ten seconds has 10 MB of film between.
const ABSENCE: u64 = 16 << 20;

/// Where a reader may go from `position` without leaving its run.
pub(crate) fn near(position: u64, reach: u64) -> std::ops::RangeInclusive<u64> {
    position.saturating_sub(NEAR_BEHIND)..=position.saturating_add(reach.max(NEAR_AHEAD))
}

/// A run that was left.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// The run itself.
    pub(crate) stream: Stream,
    /// Where the reader was in it.
    pub(crate) position: u64,
    /// How fast it was consumed.
    pub(crate) consumption: Consumption,
    /// How far ahead it reached.
    pub(crate) reach: u64,
    /// When it was left.
    pub(crate) at: Micros,
    /// Bytes read elsewhere since.
    away: u64,
    /// Whether a new place was visited since.
    stale: bool,
}

impl Run {
    /// A run that is left now.
    pub(crate) fn new(
        stream: Stream,
        position: u64,
        consumption: Consumption,
        reach: u64,
        at: Micros,
    ) -> Self {
        Self { stream, position, consumption, reach, at, away: 0, stale: false }
    }

    /// Whether the reader will be back in a moment.
    pub(crate) fn is_in_use(&self) -> bool {
        self.stream.is_shuttled() && !self.stale
    }

    /// Whether it was left only just now.
    pub(crate) fn is_fresh(&self, now: Micros) -> bool {
        now.since(self.at) <= HURRY
    }
}

impl Stream {
    /// Whether the reader has come back to it so often that it will again.
    pub(crate) fn is_shuttled(&self) -> bool {
        self.returns >= RETURNS
    }
}

/// The runs that one reader has left, the last one first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    /// Those that are read in turns with the one that the reader is in.
    pub(crate) fn in_use(&self) -> impl Iterator<Item = &Run> {
        self.0.iter().filter(|run| run.is_in_use())
    }

    /// The same.
    pub(crate) fn in_use_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.0.iter_mut().filter(|run| run.is_in_use())
    }

    /// A run is left. The one that was left longest ago is forgotten.
    pub(crate) fn leave(&mut self, run: Run) {
        self.0.insert(0, run);
        self.0.truncate(MOST);
    }

    /// The reader went to a new place.
    pub(crate) fn stand_down(&mut self) {
        for run in &mut self.0 {
            run.stale = true;
        }
    }

    /// The reader read `bytes` where it is.
    pub(crate) fn read_elsewhere(&mut self, bytes: u64) {
        for run in &mut self.0 {
            run.away = run.away.saturating_add(bytes);
        }
        self.0.retain(|run| run.away <= ABSENCE);
    }

    /// Takes the run that `position` belongs to: the nearest, if it is no further than `most`.
    pub(crate) fn take(&mut self, position: u64, most: u64) -> Option<Run> {
        let distance = |run: &Run| run.position.abs_diff(position);
        let of = |run: &&(usize, &Run)| {
            near(run.1.position, run.1.reach).contains(&position) && distance(run.1) <= most
        };
        let runs: Vec<(usize, &Run)> = self.0.iter().enumerate().collect();
        let nearest = runs.iter().filter(of).min_by_key(|(_, run)| distance(run))?;
        let at = nearest.0;
        Some(self.0.remove(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ReadaheadConfig;

    const MIB: u64 = 1 << 20;

    /// A run that was left at `position`, come back to so often.
    fn run(position: u64, returns: u32) -> Run {
        let mut stream = Stream::begin(position, Micros(0), &ReadaheadConfig::default());
        stream.returns = returns;
        Run::new(stream, position, Consumption::default(), 4 * MIB, Micros(0))
    }

    fn runs(all: &[(u64, u32)]) -> Runs {
        let mut runs = Runs::default();
        all.iter().for_each(|(position, returns)| runs.leave(run(*position, *returns)));
        runs
    }

    #[test]
    fn p4_the_nearest_run_is_taken_and_none_that_is_too_far() {
        let taken = |at, most| {
            let mut runs = runs(&[(10 * MIB, 0), (12 * MIB, 0)]);
            runs.take(at, most).map(|run| run.position / MIB)
        };
        assert_eq!(taken(12 * MIB + 1, u64::MAX), Some(12));
        assert_eq!(taken(11 * MIB - 1, u64::MAX), Some(10));
        assert_eq!(taken(14 * MIB, u64::MAX), Some(12));
        assert_eq!(taken(16 * MIB + 1, u64::MAX), None, "out of reach");
        assert_eq!(taken(9 * MIB, u64::MAX), Some(10));
        assert_eq!(taken(9 * MIB - 1, u64::MAX), None);
        assert_eq!([MIB, MIB - 1].map(|most| taken(13 * MIB, most)), [Some(12), None]);
    }

    #[test]
    fn p4_only_what_was_come_back_to_twice_and_no_new_place_followed_is_in_use() {
        let in_use = |runs: &Runs| runs.in_use().map(|run| run.position).collect::<Vec<_>>();
        let mut some = runs(&[(1, 1), (2, 2), (3, 3)]);
        assert_eq!(in_use(&some), [3, 2]);
        some.stand_down();
        assert!(in_use(&some).is_empty());
        assert!(some.take(3, 0).is_some(), "it is known still");
    }

    #[test]
    fn p4_a_run_is_forgotten_after_16_mib_elsewhere_or_three_other_places() {
        let mut some = runs(&[(1, 2), (2, 2), (3, 2), (4, 2)]);
        assert_eq!(some.in_use().count(), 3);
        some.read_elsewhere(15 * MIB);
        some.leave(run(5, 2));
        some.read_elsewhere(MIB);
        assert_eq!(some.in_use().count(), 3);
        some.read_elsewhere(1);
        assert_eq!(some.in_use().map(|run| run.position).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn p3_a_run_is_fresh_for_300_ms() {
        assert!(run(1, 0).is_fresh(Micros(300_000)) && !run(1, 0).is_fresh(Micros(300_001)));
    }
}
