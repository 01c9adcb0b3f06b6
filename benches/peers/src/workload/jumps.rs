//! Far seeks: out of rest, with a hint, and out of play.

use std::io::SeekFrom;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail, ensure};

use crate::content;
use crate::peer::{Mover, Player};
use crate::play::Play;
use crate::stage::{self, PLAYED, Stage, Took, ms};

/// A listener thinks that long between two jumps.
const PAUSE: Duration = Duration::from_millis(500);

/// From hovering over the scrub bar to the click.
const HOVER: Duration = Duration::from_millis(150);

/// Until a read that has begun in another thread is blocked; less than any round trip here.
const BLOCKED: Duration = Duration::from_millis(5);

/// How long a player plays before each seek out of play.
const PLAYING: Duration = Duration::from_millis(1500);

/// Never sought to: room for what is played from the last place on.
const MARGIN: u64 = 20_000_000;

/// Writes down how long a seek took.
pub(super) fn noted(stage: &mut Stage, took: Took) {
    stage.sheet.push("first byte", ms(took.first));
    stage.sheet.push("64 KiB", ms(took.all));
}

/// A listener who jumps about.
pub(super) fn far(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = stage.count(20, 5);
    let mut player = stage.open()?;
    sleep(PAUSE);
    for _ in 0..stage.sheet.seeks {
        let at = stage.rng.below(stage.len - MARGIN);
        let took = stage::seek(&mut *player, at, PLAYED)?;
        noted(stage, took);
        sleep(PAUSE);
    }
    Ok(())
}

/// The same, with a word before.
pub(super) fn hint(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = stage.count(20, 5);
    let mut player = stage.open()?;
    sleep(PAUSE);
    let mut told = 0.0;
    for _ in 0..stage.sheet.seeks {
        let at = stage.rng.below(stage.len - MARGIN);
        told += f64::from(u8::from(player.hint_seek(at)));
        sleep(HOVER);
        let took = stage::seek(&mut *player, at, PLAYED)?;
        noted(stage, took);
        sleep(PAUSE - HOVER);
    }
    stage.sheet.note("hints taken", told);
    Ok(())
}

/// Far seeks by another thread, each into a read that has just begun to wait.
pub(super) fn moved(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = stage.count(20, 5);
    let mut player = stage.open()?;
    let Some(mover) = player.mover() else {
        bail!("has no way to move a read that another thread is blocked in");
    };
    sleep(PAUSE);
    let mut missed = 0;
    while stage.sheet.count("first byte") < stage.sheet.seeks {
        let [from, to] = [(); 2].map(|()| stage.rng.below(stage.len - MARGIN));
        player.seek(SeekFrom::Start(from))?;
        match move_read(&mut *player, &mover, from, to)? {
            Some(took) => stage.sheet.push("first byte", ms(took)),
            None => missed += 1,
        }
        ensure!(missed < 100, "the reads never wait");
        sleep(PAUSE);
    }
    stage.sheet.note("reads that were over before they were moved", f64::from(missed));
    Ok(())
}

/// Moves a read that waits at `from` to `to`; how long its first byte took, unless it was over before.
fn move_read(
    player: &mut dyn Player,
    mover: &Mover,
    from: u64,
    to: u64,
) -> Result<Option<Duration>> {
    let mut buf = [0; 4096];
    std::thread::scope(|scope| {
        let reading = scope.spawn(move || {
            let n = player.read(&mut buf)?;
            let came = Instant::now();
            ensure!(n > 0, "false end");
            let moved = content::check(&buf[..n], from).is_err();
            if moved {
                content::check(&buf[..n], to)?;
            }
            Ok(moved.then_some(came))
        });
        sleep(BLOCKED);
        let begun = Instant::now();
        mover(to);
        let came = reading.join().map_err(|_| anyhow!("the reading thread panicked"))??;
        Ok(came.map(|came| came.duration_since(begun)))
    })
}

/// Seeks out of play at 60 % of the link.
pub(super) fn busy(stage: &mut Stage) -> Result<()> {
    let rate = 0.6 * stage.profile.bytes_per_second();
    out_of_play(stage, rate)
}

/// Seeks out of play at full speed.
pub(super) fn busy_full(stage: &mut Stage) -> Result<()> {
    out_of_play(stage, 0.0)
}

/// Plays at `rate` and seeks from time to time.
pub(super) fn out_of_play(stage: &mut Stage, rate: f64) -> Result<()> {
    stage.sheet.seeks = stage.count(12, 3);
    let mut player = stage.open()?;
    let mut play = Play::new(rate, PLAYED as u64);
    // What the link can bring while it plays on from there, with a little for what is read at once.
    let played = 1.1 * stage.profile.bytes_per_second() * PLAYING.as_secs_f64();
    let margin = MARGIN.max(played as u64);
    for _ in 0..stage.sheet.seeks {
        play.run(&mut *player, PLAYING)?;
        let at = stage.rng.below(stage.len - margin);
        let took = stage::seek(&mut *player, at, PLAYED)?;
        noted(stage, took);
        play.moved(at + PLAYED as u64);
    }
    if rate > 0.0 {
        stage.sheet.note_stalls(&play.stalls_after(Duration::ZERO));
    }
    Ok(())
}
