//! Playing: does it go on?

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};

use super::jumps::out_of_play;
use crate::play::Play;
use crate::stage::{self, PLAYED, Stage};

/// How much of the link each of two players takes.
const SHARE: f64 = 0.3;

/// A player that starts with nothing in hand, beside another one, is in play after that.
const STARTED: Duration = Duration::from_secs(2);
/// Stalls before this are start-up.
const START: Duration = Duration::from_secs(5);

/// Plays and counts stalls.
pub(super) fn play(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = 1;
    let mut player = stage.open()?;
    let mut play = Play::new(stage.rate, PLAYED as u64);
    play.run(&mut *player, Duration::from_secs(stage.count(20, 8)))?;
    stage.sheet.note("rate, Mbit/s", stage.rate * 8.0 / 1e6);
    stage.sheet.note(
        "stalls in the first 5 s",
        (play.stalls.len() - play.stalls_after(START).len()) as f64,
    );
    stage.sheet.note_stalls(&play.stalls_after(START));
    Ok(())
}

/// The seeking player by itself.
pub(super) fn alone(stage: &mut Stage) -> Result<()> {
    out_of_play(stage, SHARE * stage.profile.bytes_per_second())
}

/// The seeking player, while another plays something else through the same engine.
pub(super) fn two(stage: &mut Stage) -> Result<()> {
    let rate = SHARE * stage.profile.bytes_per_second();
    let (mut player, _) = stage::open(&*stage.peer, &stage.other)?;
    // As long as the other one's seeks take if none of them waits, and a little less.
    let time = Duration::from_millis(1500 * stage.count(12, 3));
    let other = thread::spawn(move || {
        let mut play = Play::new(rate, PLAYED as u64);
        play.run(&mut *player, time)?;
        Ok::<_, anyhow::Error>([Duration::ZERO, STARTED].map(|from| play.stalls_after(from)))
    });
    let seeking = out_of_play(stage, rate);
    let [stalls, late] = other.join().map_err(|_| anyhow!("the other player panicked"))??;
    seeking?;
    // Those of the seeking one follow upon its seeks; here it is the other that counts.
    stage.sheet.note_stalls(&stalls);
    stage.sheet.note("stalls after its first 2 s", late.len() as f64);
    Ok(())
}
