//! Drags of the scrub bar.
//!
//! One seek each 50 ms at the earliest, and later if the one before is not done: a player that waits for each frame.
//! The last place is where the user lets go and play begins, so it is reported by itself.

use std::f64::consts::FRAC_PI_2;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::stage::{self, PLAYED, Stage, ms};

/// Seeks of one drag.
const SEEKS: u64 = 60;

/// A display that follows the hand asks about that often.
const EACH: Duration = Duration::from_millis(50);

/// What a preview reads.
const PREVIEW: usize = 4096;

/// A hand is no machine: so far a place lies off the even way, in bytes.
const UNREST: u64 = 100_000;

/// From one end of the bar towards the other, at an even pace.
pub(super) fn even(stage: &mut Stage) -> Result<()> {
    drag(stage, |x| 0.04 + 0.88 * x)
}

/// Slowly at first.
pub(super) fn faster(stage: &mut Stage) -> Result<()> {
    drag(stage, |x| 0.04 + 0.88 * x * x)
}

/// There and half the way back, slowing down for the turn as a hand does.
pub(super) fn back(stage: &mut Stage) -> Result<()> {
    drag(stage, |x| 0.04 + 0.8 * (x * 1.5 * FRAC_PI_2).sin())
}

/// Anywhere.
pub(super) fn random(stage: &mut Stage) -> Result<()> {
    let len = stage.len - 2_000_000;
    let places: Vec<u64> = (0..SEEKS).map(|_| stage.rng.below(len)).collect();
    run(stage, &places)
}

/// Drags along `way`, which tells the share of the bar for the share of the time.
fn drag(stage: &mut Stage, way: fn(f64) -> f64) -> Result<()> {
    let len = stage.len as f64;
    let place = |i| (way(i as f64 / SEEKS as f64) * len) as u64;
    let places: Vec<u64> = (0..SEEKS).map(|i| place(i) + stage.rng.below(UNREST)).collect();
    run(stage, &places)
}

fn run(stage: &mut Stage, places: &[u64]) -> Result<()> {
    stage.sheet.seeks = places.len() as u64;
    let mut player = stage.open()?;
    sleep(Duration::from_millis(500));
    let begun = Instant::now();
    let (last, drag) = places.split_last().unwrap_or((&0, &[]));
    for (i, at) in drag.iter().enumerate() {
        sleep((EACH * i as u32).saturating_sub(begun.elapsed()));
        let took = stage::seek(&mut *player, *at, PREVIEW)?;
        stage.sheet.push("first byte", ms(took.first));
    }
    sleep((EACH * drag.len() as u32).saturating_sub(begun.elapsed()));
    stage.sheet.note("drag took, s", begun.elapsed().as_secs_f64());
    let took = stage::seek(&mut *player, *last, PLAYED)?;
    stage.sheet.push("last seek", ms(took.first));
    stage.sheet.push("last seek, 64 KiB", ms(took.all));
    Ok(())
}
