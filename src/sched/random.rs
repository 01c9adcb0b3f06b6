//! Readers that jump from place to place and read little at each: archive tools, thumbnailers, databases.
//!
//! Such a reader is asked for what it reads, and a little more: one request of twice its mean read at each place, and
//! nothing ahead of that. Players jump too. But who listens rests for a moment where he looks, who drags goes one way for
//! many jumps, and who plays reads on; the next place, or the rest of this one, is as ever then.

use crate::sched::window::{HURRY, Stream};
use crate::time::Micros;

/// So many jumps in a row are a habit.
const HABIT: u32 = 4;
/// If so many of those that are remembered turned round: a drag turns once.
const TURNS: u32 = 2;
/// Jumps remembered.
const REMEMBERED: u32 = 8;
/// More than that is no short read, in bytes.
const SHORT: u64 = 512 << 10;
/// Nor is what takes longer: its rate is known then, as that of a player.
const BRIEF: Micros = Micros::from_millis(1000);
/// Least and most that is asked for at a place, in bytes.
const LEAST: u64 = 64 << 10;
const MOST: u64 = 1 << 20;

/// How a reader has jumped lately.
#[derive(Debug, Clone, Default)]
pub(crate) struct Habit {
    /// Short reads in a row that a jump followed at once.
    jumps: u32,
    /// Which way the jumps went, the newest in the lowest bit.
    ways: u8,
    mean: f64,
}

impl Habit {
    /// At `now` the reader went on from `from`, which is the end of its run `before`, to a new place far away, at `to`.
    pub(crate) fn jumped(&mut self, before: &Stream, from: u64, to: u64, now: Micros) {
        let read = from.saturating_sub(before.start);
        let at_once = now.since(before.answered) <= HURRY && now.since(before.since) <= BRIEF;
        // Who leaves before anything has come looks for a place.
        let looked = before.answered > before.since;
        if read > SHORT || !at_once || !looked {
            *self = Self::default();
            return;
        }
        self.jumps = self.jumps.saturating_add(1);
        self.mean += (read as f64 - self.mean) / f64::from(self.jumps.min(REMEMBERED));
        self.ways = self.ways << 1 | u8::from(to > from);
    }

    /// How much to ask for at the next place, if it is a habit.
    pub(crate) fn size(&self) -> Option<u64> {
        let random = self.jumps >= HABIT && self.turns() >= TURNS;
        random.then(|| ((2.0 * self.mean) as u64).clamp(LEAST, MOST))
    }

    /// How often the remembered jumps turned round.
    fn turns(&self) -> u32 {
        let pairs = self.jumps.min(REMEMBERED).saturating_sub(1);
        let turned = self.ways ^ (self.ways >> 1);
        (turned & ((1 << pairs) - 1)).count_ones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ReadaheadConfig;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    /// One run: where it is, how much is read there, when its last read is answered, and when it is left, in ms.
    struct Read(u64, u64, u64, u64);

    /// What is asked for after these reads, each of which begins when the one before it is left.
    fn after(reads: &[Read]) -> Option<u64> {
        let mut habit = Habit::default();
        let mut now = Micros(0);
        for pair in reads.windows(2) {
            let (Read(at, bytes, answered, left), Read(to, ..)) = (&pair[0], &pair[1]);
            let mut stream = Stream::begin(at * MIB, now, &ReadaheadConfig::default());
            stream.answered = now + Micros::from_millis(*answered);
            now = now + Micros::from_millis(*left);
            habit.jumped(&stream, at * MIB + bytes, to * MIB, now);
        }
        habit.size()
    }

    fn reads(places: &[u64], bytes: u64) -> Vec<Read> {
        places.iter().map(|at| Read(*at, bytes, 100, 130)).collect()
    }

    #[test]
    fn p4_who_reads_a_little_here_and_there_is_asked_for_twice_the_mean() {
        assert_eq!(after(&reads(&[9, 70, 30, 90, 10], 200 * KIB)), Some(400 * KIB));
        assert_eq!(after(&reads(&[9, 70, 30, 90], 200 * KIB)), None, "three times is no habit");
        assert_eq!(after(&reads(&[9, 70, 30, 90, 10], 0)), Some(64 * KIB));
        assert_eq!(after(&reads(&[9, 70, 30, 90, 10], 512 * KIB)), Some(MIB));
        assert_eq!(after(&reads(&[9, 70, 30, 90, 10], 512 * KIB + 1)), None, "it reads on");
    }

    #[test]
    fn p4_the_mean_follows_what_is_read() {
        let mut all = reads(&[9, 70, 30, 90, 10, 60, 20, 80], 100 * KIB);
        all.extend(reads(&[9, 70], 500 * KIB));
        // The last one is not left yet: eight of 100 KiB, one of 500 KiB, which is an eighth of what is remembered.
        assert_eq!(after(&all), Some(300 * KIB));
    }

    #[test]
    fn p5_who_drags_one_way_and_turns_once_is_no_random_reader() {
        assert_eq!(after(&reads(&[10, 20, 30, 40, 50, 60, 70], 4 * KIB)), None);
        assert_eq!(after(&reads(&[10, 20, 30, 40, 30, 20, 10], 4 * KIB)), None);
        assert_eq!(after(&reads(&[10, 20, 30, 20, 30, 20, 10], 4 * KIB)), Some(64 * KIB));
    }

    #[test]
    fn p4_who_rests_or_reads_for_long_is_no_random_reader() {
        let last = |answered, left| {
            let mut all = reads(&[9, 70, 30, 90], 64 * KIB);
            all.push(Read(10, 64 * KIB, answered, left));
            all.extend(reads(&[60], 0));
            after(&all)
        };
        assert_eq!(last(100, 400), Some(128 * KIB));
        assert_eq!(last(100, 401), None);
        assert_eq!(last(900, 1000), Some(128 * KIB));
        assert_eq!(last(900, 1001), None);
        assert_eq!(last(0, 100), None, "nothing has come");
    }
}
