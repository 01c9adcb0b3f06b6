//! Reading in order as fast as it comes, for some seconds: what the connections together bring.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::content;
use crate::stage::Stage;

/// Bytes asked for at once.
const PIECE: usize = 256 << 10;

/// What a throttled origin gives to one request, in bytes per second: 5 Mbit/s.
const EACH: f64 = 625_000.0;

/// Requests that our defaults let read ahead at once: `fetch.max_fetches` less the one that is kept for blocked reads.
const SLOTS: f64 = 3.0;

/// A rate has been come to once so many seconds together have that part of it.
const COME_TO: (usize, f64) = (3, 0.9);

/// Over a long fat link: the mean of seconds 5 to 10.
pub(super) fn fat(stage: &mut Stage) -> Result<()> {
    let seconds = reached_by_second(stage, 10)?;
    let line = stage.profile.bytes_per_second();
    let rate = mean(&seconds, 5, 10);
    stage.sheet.note("5 to 10 s, MB/s", rate / 1e6);
    stage.sheet.note("5 to 10 s, part of the line", rate / line);
    stage.sheet.note("0 to 5 s, MB/s", mean(&seconds, 0, 5) / 1e6);
    Ok(())
}

/// From an origin that holds each request down: the mean of seconds 15 to 30, as so many times one request.
pub(super) fn throttled(stage: &mut Stage) -> Result<()> {
    let seconds = reached_by_second(stage, 30)?;
    let rate = mean(&seconds, 15, 30);
    stage.sheet.note("15 to 30 s, MB/s", rate / 1e6);
    stage.sheet.note("15 to 30 s, requests' worth", rate / EACH);
    let (span, part) = COME_TO;
    let fast = |at: &usize| mean(&seconds, *at, at + span) >= part * SLOTS * EACH;
    let come_to = (0..=30 - span).find(fast);
    stage
        .sheet
        // -1 stands for never.
        .note("at nine tenths of three requests after, s", come_to.map_or(-1.0, |at| at as f64));
    Ok(())
}

/// The mean rate from second `from` to second `to`, in bytes per second.
fn mean(seconds: &[u64], from: usize, to: usize) -> f64 {
    (seconds[to] - seconds[from]) as f64 / (to - from) as f64
}

/// Reads for so many seconds; where the reader was at 0 s, at 1 s and so on.
fn reached_by_second(stage: &mut Stage, seconds: u32) -> Result<Vec<u64>> {
    stage.sheet.seeks = 1;
    let begun = Instant::now();
    let mut player = stage.peer.open(&stage.url)?;
    player.plan(usize::try_from(stage.len)?);
    let mut buf = vec![0; PIECE];
    let (mut at, mut reached) = (0, vec![0]);
    while reached.len() <= seconds as usize {
        let n = player.read(&mut buf)?;
        ensure!(n > 0, "an end at {at}, after {:?}: too short a file", begun.elapsed());
        // While a read waits it is where it was.
        while begun.elapsed() >= Duration::from_secs(reached.len() as u64) {
            reached.push(at);
        }
        content::check(&buf[..n], at)?;
        at += n as u64;
    }
    Ok(reached)
}
