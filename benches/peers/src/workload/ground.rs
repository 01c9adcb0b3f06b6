//! Places that were played or read ahead before, and the demuxer's habit of looking at the tail.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::content;
use crate::stage::{self, PLAYED, Stage, ms};

/// +10 s of sound at 128 kbit/s.
const FORTH: u64 = 160_000;

/// -10 s, less a little, so that it never ends where it began.
const BACK: u64 = 150_000;

/// Skips each way.
const SKIPS: u64 = 10;

/// What is played after a skip.
const HEARD: usize = 16 << 10;

/// What a demuxer wants of the tail.
const TAIL: usize = 200_000;

/// Ground that is all there, in bytes.
const THERE: u64 = 8 << 20;

/// A player's +10 s and -10 s keys.
pub(super) fn skip(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = 2 * SKIPS;
    let mut player = stage.open()?;
    let mut at = stage.len / 5;
    stage::seek(&mut *player, at, PLAYED)?;
    sleep(Duration::from_millis(1000));
    let waits = player.waits();
    for _ in 0..SKIPS {
        at += FORTH;
        let took = stage::seek(&mut *player, at, HEARD)?;
        stage.sheet.push("forth", ms(took.first));
        sleep(Duration::from_millis(300));
    }
    for _ in 0..SKIPS {
        at -= BACK;
        let took = stage::seek(&mut *player, at, HEARD)?;
        stage.sheet.push("back", ms(took.first));
        sleep(Duration::from_millis(100));
    }
    if let (Some(before), Some(after)) = (waits, player.waits()) {
        stage.sheet.note("reads that waited", (after - before) as f64);
    }
    Ok(())
}

/// The head's first bytes, the tail, and back to the head, from before the open on.
pub(super) fn tail(stage: &mut Stage) -> Result<()> {
    /// Enough to see that the index is not in front.
    const SNIFF: usize = 4096;
    stage.sheet.seeks = stage.count(3, 1);
    stage.sheet.anew = true;
    for _ in 0..stage.sheet.seeks {
        let peer = stage.fresh()?;
        let begun = Instant::now();
        let mut player = peer.open(&stage.url)?;
        player.plan(SNIFF);
        stage::fill(&mut *player, 0, SNIFF)?;
        let tail = stage::seek(&mut *player, stage.len - TAIL as u64, TAIL)?;
        let head = stage::seek(&mut *player, SNIFF as u64, PLAYED)?;
        stage.sheet.push("all of it", ms(begun.elapsed()));
        stage.sheet.push("tail", ms(tail.all));
        stage.sheet.push("head", ms(head.all));
    }
    Ok(())
}

/// What a seek costs where everything is there.
pub(super) fn hit(stage: &mut Stage) -> Result<()> {
    const LEN: usize = 4096;
    /// Who fetches each time would take a quarter of an hour.
    const PATIENCE: Duration = Duration::from_secs(8);
    let mut player = stage.open()?;
    stage::fill(&mut *player, PLAYED as u64, THERE as usize - PLAYED)?;
    sleep(Duration::from_millis(500));
    let seeks = stage.count(20_000, 2_000);
    let started = Instant::now();
    player.plan(LEN);
    let mut buf = [0; LEN];
    let mut micros = Vec::new();
    while stage.sheet.seeks < seeks && started.elapsed() < PATIENCE {
        stage.sheet.seeks += 1;
        let at = stage.rng.below(THERE - LEN as u64);
        let begun = Instant::now();
        player.seek(std::io::SeekFrom::Start(at))?;
        player.read_exact(&mut buf)?;
        micros.push(begun.elapsed().as_secs_f64() * 1e6);
        content::check(&buf, at)?;
    }
    let sorted = crate::stats::sorted(&micros);
    stage.sheet.note("p50, us", crate::stats::quantile(&sorted, 0.5));
    stage.sheet.note("p99, us", crate::stats::quantile(&sorted, 0.99));
    Ok(())
}
