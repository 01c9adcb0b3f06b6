//! A player that consumes at a rate, and notices when it has to stop.
//!
//! It has no buffer of its own: a piece that comes after it was due is a stall, and the player's clock
//! goes on from there, as the picture would.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::content;
use crate::peer::Player;

/// Bytes consumed at once.
const PIECE: usize = 32 << 10;

/// Less than this is the machine's unrest, not a stall.
const NOTICED: Duration = Duration::from_millis(5);

/// A player at work.
#[derive(Debug)]
pub(crate) struct Play {
    /// Bytes per second; zero for as fast as it goes.
    rate: f64,
    /// Where it is.
    at: u64,
    begun: Instant,
    /// Bytes consumed since it began or last stalled.
    consumed: f64,
    /// When consuming began or went on after the last stall.
    clock: Instant,
    buf: Vec<u8>,
    /// When, counted from the beginning, and how long each time.
    pub(crate) stalls: Vec<(Duration, Duration)>,
}

impl Play {
    /// At `rate` bytes per second from `at` on.
    pub(crate) fn new(rate: f64, at: u64) -> Self {
        let now = Instant::now();
        Self {
            rate,
            at,
            begun: now,
            consumed: 0.0,
            clock: now,
            buf: vec![0; PIECE],
            stalls: vec![],
        }
    }

    /// Goes on at another place, with a clock of its own; the bytes from there on are due from now on.
    pub(crate) fn moved(&mut self, at: u64) {
        self.at = at;
        self.consumed = 0.0;
        self.clock = Instant::now();
    }

    /// Plays for so long.
    pub(crate) fn run(&mut self, player: &mut dyn Player, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.step(player)?;
        }
        Ok(())
    }

    /// Consumes one piece when it is due.
    fn step(&mut self, player: &mut dyn Player) -> Result<()> {
        let n = player.read(&mut self.buf)?;
        if n == 0 {
            bail!("false end at {}", self.at);
        }
        if self.rate > 0.0 {
            self.account(n);
        }
        content::check(&self.buf[..n], self.at)?;
        self.at += n as u64;
        Ok(())
    }

    /// Waits until `n` bytes that just came are due, or notes that they are late.
    fn account(&mut self, n: usize) {
        let due = self.clock + Duration::from_secs_f64(self.consumed / self.rate);
        let now = Instant::now();
        let late = now.saturating_duration_since(due);
        // The first piece after a start or a seek is a matter of latency, which is measured there.
        if late > NOTICED {
            if self.consumed > 0.0 {
                self.stalls.push((due.saturating_duration_since(self.begun), late));
            }
            self.clock += late;
        }
        self.consumed += n as f64;
        sleep(due.saturating_duration_since(now));
    }

    /// Stalls in milliseconds, those after `skip` from the beginning.
    pub(crate) fn stalls_after(&self, skip: Duration) -> Vec<f64> {
        let late = self.stalls.iter().filter(|(when, _)| *when >= skip);
        late.map(|(_, long)| long.as_secs_f64() * 1e3).collect()
    }
}
