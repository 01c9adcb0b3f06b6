//! Opening, and reading in order.

use std::io::SeekFrom;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::content;
use crate::measure::{cpu_seconds, peak_kib, thread_cpu_seconds};
use crate::stage::{self, Stage, ms};

/// Bytes of `whole`: long enough to be past every start, short enough for a slow link.
const WHOLE: u64 = 48 << 20;

/// The same for a quick look.
const WHOLE_QUICK: u64 = 8 << 20;

/// Bytes asked for at once by `whole`.
const PIECE: usize = 256 << 10;

/// Opens several times, each time as if for the first time.
pub(super) fn open(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = stage.count(8, 2);
    stage.sheet.anew = true;
    for _ in 0..stage.sheet.seeks {
        let peer = stage.fresh()?;
        // Whatever it starts when it is made is not what is timed here.
        std::thread::sleep(Duration::from_millis(50));
        let (player, took) = stage::open(&*peer, &stage.url)?;
        stage.sheet.push("first byte", ms(took.first));
        stage.sheet.push("64 KiB", ms(took.all));
        drop(player);
    }
    Ok(())
}

/// Reads in order up to a place, or to the end of a shorter file.
pub(super) fn whole(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = 1;
    let until = stage.count(WHOLE, WHOLE_QUICK).min(stage.len);
    let begun = Instant::now();
    let cpu = cpu_seconds();
    let mut player = stage.open()?;
    let mut at = stage::PLAYED as u64;
    player.plan(PIECE);
    let mut buf = vec![0; PIECE];
    let mut checking = 0.0;
    while at < until {
        let n = player.read(&mut buf)?;
        if n == 0 {
            bail!("false end at {at}");
        }
        let before = thread_cpu_seconds();
        content::check(&buf[..n], at)?;
        checking += thread_cpu_seconds() - before;
        at += n as u64;
    }
    if at == stage.len && player.read(&mut buf)? != 0 {
        bail!("no end at the end");
    }
    let seconds = begun.elapsed().as_secs_f64();
    stage.sheet.note("Mbit/s", at as f64 * 8.0 / seconds / 1e6);
    stage.sheet.note(
        "cpu without checking, s per GB",
        (cpu_seconds() - cpu - checking) / (at as f64 / 1e9),
    );
    stage.sheet.note("peak, MiB", peak_kib() as f64 / 1024.0);
    Ok(())
}

/// Reads through to the end as fast as it comes, looking at nothing, and checks in a second pass.
pub(super) fn line(stage: &mut Stage) -> Result<()> {
    stage.sheet.seeks = 1;
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let mut player = stage.peer.open(&stage.url)?;
    let mut buf = vec![0; PIECE];
    let mut at = 0;
    while !player.is_plain() {
        match player.read(&mut buf)? {
            0 => break,
            n => at += n as u64,
        }
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    if !player.is_plain() && at != stage.len {
        bail!("an end at {at}, of {} bytes", stage.len);
    }
    stage.sheet.note("MB/s", stage.len as f64 / seconds / 1e6);
    stage.sheet.note("cpu, s", cpu);
    stage.sheet.note("peak, MiB", peak_kib() as f64 / 1024.0);
    player.seek(SeekFrom::Start(0))?;
    for at in (0..stage.len).step_by(PIECE) {
        let n = usize::try_from(stage.len - at)?.min(PIECE);
        player.read_exact(&mut buf[..n])?;
        content::check(&buf[..n], at)?;
    }
    Ok(())
}
