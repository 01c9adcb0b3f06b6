//! What a workload has in hand: a peer, a place, random positions, and the sheet that it writes on.

use std::io::SeekFrom;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::content;
use crate::peer::{self, Peer, Player, Tls};
use crate::profile::Profile;
use crate::run::Sheet;
use crate::wire::{Control, Source};

/// Read at once for the first byte.
const FIRST: usize = 4096;

/// What is read after a seek unless the workload says otherwise: the start of what a player needs.
pub(crate) const PLAYED: usize = 64 << 10;

/// Pseudo-random positions, the same for every peer in the same run.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    /// For the run of that number.
    pub(crate) fn of_run(run: u64) -> Self {
        Self(0x1234_5678_9ABC_DEF1 ^ run.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    /// Below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// How long something took: until the first byte, and until all of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    pub(crate) first: Duration,
    pub(crate) all: Duration,
}

/// One run of one workload through one peer.
pub(crate) struct Stage {
    pub(crate) peer: Box<dyn Peer>,
    /// To set the same peer up again, with nothing stored.
    pub(crate) name: String,
    pub(crate) tls: Option<Tls>,
    pub(crate) url: String,
    /// Another resource on the same server.
    pub(crate) other: String,
    pub(crate) len: u64,
    pub(crate) profile: Profile,
    pub(crate) rng: Rng,
    pub(crate) quick: bool,
    /// Bytes per second of the workload `play`.
    pub(crate) rate: f64,
    /// The scripted origin, if the resource is there.
    pub(crate) control: Option<Control>,
    pub(crate) source: Option<Source>,
    pub(crate) traces: PathBuf,
    pub(crate) sheet: Sheet,
}

impl Stage {
    /// `full`, or `quick` where that will do.
    pub(crate) fn count(&self, full: u64, quick: u64) -> u64 {
        if self.quick { quick } else { full }
    }

    /// Opens the resource and reads the first 64 KiB.
    pub(crate) fn open(&mut self) -> Result<Box<dyn Player>> {
        let (player, _) = open(&*self.peer, &self.url)?;
        Ok(player)
    }

    /// A peer anew, with nothing stored and no connection.
    pub(crate) fn fresh(&self) -> Result<Box<dyn Peer>> {
        peer::build(&self.name, self.tls.as_ref())
    }
}

/// Opens `url` and reads the first 64 KiB; how long that took from before the open.
pub(crate) fn open(peer: &dyn Peer, url: &str) -> Result<(Box<dyn Player>, Took)> {
    let begun = Instant::now();
    let mut player = peer.open(url).context("open")?;
    let opened = begun.elapsed();
    player.plan(PLAYED);
    let took = fill(&mut *player, 0, PLAYED)?;
    Ok((player, Took { first: opened + took.first, all: opened + took.all }))
}

/// Reads `n` bytes at `at`, where the player stands, and checks them.
pub(crate) fn fill(player: &mut dyn Player, at: u64, n: usize) -> Result<Took> {
    let mut buf = vec![0; n];
    let begun = Instant::now();
    let first = player.read(&mut buf[..n.min(FIRST)])?;
    let took = begun.elapsed();
    if first == 0 {
        bail!("false end at {at}");
    }
    player.read_exact(&mut buf[first..])?;
    let all = begun.elapsed();
    content::check(&buf, at)?;
    Ok(Took { first: took, all })
}

/// Seeks to `at`, reads `n` bytes there and checks them; how long that took from before the seek.
pub(crate) fn seek(player: &mut dyn Player, at: u64, n: usize) -> Result<Took> {
    player.plan(n);
    let begun = Instant::now();
    player.seek(SeekFrom::Start(at)).with_context(|| format!("seek to {at}"))?;
    let sought = begun.elapsed();
    let took = fill(player, at, n)?;
    Ok(Took { first: sought + took.first, all: sought + took.all })
}

/// In milliseconds.
pub(crate) fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
