//! A player as a program is one: it opens, reads, waits, sleeps and seeks, one thing after the other.
//!
//! It consumes at a rate and stalls where bytes come too late.

use crate::ids::ReaderId;
use crate::sched::sim::Sim;
use crate::sched::sim::policy::Policy;
use crate::time::Micros;

/// What a player consumes at once while it plays.
const PIECE: u64 = 32 << 10;
/// The first read after a seek: what a demuxer looks at.
const FIRST: u64 = 4096;
/// Later by less than that is no stall.
pub(super) const NOTICED: Micros = Micros::from_millis(1);
/// What the harness on the real link takes for the machine's unrest.
const UNREST: Micros = Micros::from_millis(5);

/// What a player does once the bytes are there that it stalled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stalled {
    /// It reads on without a rest until it is where it would be: it fills a buffer of its own.
    CatchesUp,
    /// It goes on at its rate from there, as the picture does. It has no buffer but for the next piece. So does the
    /// harness on the real link (`benches/peers`), and a stall counts anew for each piece that is late.
    GoesOn,
}

/// One seek, or the opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seek {
    /// Until the first byte.
    pub(crate) first: Micros,
    /// Until everything that it read there.
    pub(crate) all: Micros,
}

/// One player.
#[derive(Debug, Clone)]
pub(crate) struct Player {
    reader: ReaderId,
    /// Every seek so far, in order.
    pub(crate) seeks: Vec<Seek>,
    /// When each stall began, and how long it was.
    pub(crate) stalls: Vec<(Micros, Micros)>,
}

impl Player {
    /// A player of the first resource, at its beginning. It has read nothing.
    pub(crate) fn open<P: Policy>(sim: &mut Sim<P>) -> Self {
        Self { reader: sim.open_reader(0), seeks: Vec::new(), stalls: Vec::new() }
    }

    /// Seeks to `at` and reads `bytes` there.
    pub(crate) fn seek<P: Policy>(&mut self, sim: &mut Sim<P>, at: u64, bytes: u64) -> Seek {
        let start = sim.now();
        sim.scheduler.plan(bytes);
        sim.seek(self.reader, at);
        let mut got = sim.take(self.reader, FIRST.min(bytes));
        assert!(got > 0, "no byte at {at}");
        let first = sim.now().since(start);
        while got < bytes {
            let more = sim.take(self.reader, bytes - got);
            assert!(more > 0, "no byte at {}", at + got);
            got += more;
        }
        let seek = Seek { first, all: sim.now().since(start) };
        self.seeks.push(seek);
        seek
    }

    /// Seeks to `at` and begins a read there, as another thread that is going to be interrupted does.
    pub(crate) fn begin<P: Policy>(&mut self, sim: &mut Sim<P>, at: u64) {
        sim.seek(self.reader, at);
        sim.read(self.reader);
    }

    /// Takes `buffer` bytes as fast as they come and then plays at `rate`, for `time` in all.
    #[cfg(test)]
    pub(crate) fn fill<P: Policy>(
        &mut self,
        sim: &mut Sim<P>,
        buffer: u64,
        time: Micros,
        rate: u64,
    ) {
        let (start, mut got) = (sim.now(), 0);
        while got < buffer && sim.now().since(start) < time {
            got += sim.take(self.reader, PIECE);
        }
        self.play(sim, time.since(sim.now().since(start)), rate, Stalled::GoesOn);
    }

    /// Plays on for `time` at `rate` bytes per second, or as fast as it can at 0.
    pub(crate) fn play<P: Policy>(
        &mut self,
        sim: &mut Sim<P>,
        time: Micros,
        rate: u64,
        stalled: Stalled,
    ) {
        match stalled {
            Stalled::CatchesUp => self.play_and_catch_up(sim, time, rate),
            Stalled::GoesOn => self.play_and_go_on(sim, time, rate),
        }
    }

    /// A piece is read when the one before is due.
    fn play_and_go_on<P: Policy>(&mut self, sim: &mut Sim<P>, time: Micros, rate: u64) {
        let start = sim.now();
        // When the first byte was due, moved on by each stall.
        let (mut clock, mut read) = (start, 0_u64);
        while sim.now().since(start) < time {
            let got = sim.take(self.reader, PIECE);
            if got == 0 {
                return sim.run_for(time - sim.now().since(start));
            }
            let Some(used_up) = (read * 1_000_000).checked_div(rate) else {
                continue;
            };
            let due = clock + Micros(used_up);
            let late = sim.now().since(due);
            if late > UNREST {
                // How long the first piece takes is the seek's latency.
                if read > 0 {
                    self.stalls.push((due, late));
                }
                clock = clock + late;
            }
            read += got;
            sim.run_for(due.since(sim.now()));
        }
    }

    fn play_and_catch_up<P: Policy>(&mut self, sim: &mut Sim<P>, time: Micros, rate: u64) {
        let start = sim.now();
        let mut read = 0;
        // When what was read so far is used up, and since when it has been late.
        let (mut due, mut behind) = (start, None);
        while sim.now().since(start) < time {
            let got = sim.take(self.reader, PIECE);
            if got == 0 {
                return sim.run_for(time - sim.now().since(start));
            }
            let late = sim.now().since(due);
            if rate > 0 && late > NOTICED {
                self.late(due, late, &mut behind);
            } else {
                behind = None;
            }
            read += got;
            let used_up = (read * 1_000_000).checked_div(rate);
            due = used_up.map_or(sim.now(), |used| start + Micros(used));
            sim.run_for(due.since(sim.now()));
        }
    }

    /// A stall goes on until the player has caught up; it is as long as it was late at most.
    fn late(&mut self, due: Micros, late: Micros, behind: &mut Option<Micros>) {
        match (*behind, self.stalls.last_mut()) {
            (Some(_), Some((_, longest))) => *longest = late.max(*longest),
            _ => self.stalls.push((due, late)),
        }
        behind.get_or_insert(due);
    }
}
