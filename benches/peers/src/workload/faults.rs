//! Play that has to live through what the scripted origin does to it.

use std::time::Duration;

use anyhow::{Context, Result};

use crate::play::Play;
use crate::stage::{PLAYED, Stage};

/// Play before the fault.
const BEFORE: Duration = Duration::from_secs(5);

/// Play after it.
const AFTER: Duration = Duration::from_secs(10);

/// How much of the link the player takes.
const SHARE: f64 = 0.6;

/// Turned away for a second.
pub(super) fn limited(stage: &mut Stage) -> Result<()> {
    through(stage, "429")
}

/// One answer never goes on.
pub(super) fn stalled(stage: &mut Stage) -> Result<()> {
    through(stage, "stall")
}

/// Answers break off.
pub(super) fn reset(stage: &mut Stage) -> Result<()> {
    through(stage, "reset")
}

fn through(stage: &mut Stage, fault: &str) -> Result<()> {
    stage.sheet.seeks = 1;
    let control = stage.control.clone().context("faults need the scripted origin")?;
    let mut player = stage.open()?;
    let mut play = Play::new(SHARE * stage.profile.bytes_per_second(), PLAYED as u64);
    play.run(&mut *player, BEFORE)?;
    let before = play.stalls.len();
    control.script(fault)?;
    play.run(&mut *player, AFTER)?;
    stage.sheet.note("stalls before the fault", before as f64);
    stage.sheet.note_stalls(&play.stalls_after(BEFORE));
    Ok(())
}
