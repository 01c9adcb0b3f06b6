//! `demo`: generated music behind a simulated link, played and scrubbed, beside naive range requests.
//!
//! Everything is in this process: the origin, the link, the engine and a plain HTTP client. The two arms
//! take turns on the same link, each on connections of its own and only when the other is silent; strictly
//! in turns, so that the connections of both have rested as long. Requests and connections are counted
//! by the origin, not by the arms. Every byte that either arm delivers is compared with the music.
//!
//! All the while a page shows what the engine does, and goes on to when the report is out, unless it is to run once.

mod page;
mod report;

use std::time::{Duration, Instant};

use indicatif::HumanBytes;
use kithara_file::origin::{Content, Link, Origin};
use kithara_file::{AsyncReader, CancellationToken, Engine, Session};
use tokio::io::AsyncSeekExt as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::args::Demo;
use crate::coverage;
use crate::failure::Failure;
use crate::figures::{Random, Spread, ms};
use crate::live::Live;
use crate::naive::{Naive, client_builder};
use crate::{remark, say};
use page::Page;
use report::Report;

/// Length of the music: 318 MB, so that every seek can go far from all that is stored.
const MINUTES: f64 = 30.0;

/// Bytes of music per second: 44.1 kHz, two channels of 16 bits.
const RATE: u64 = 176_400;

/// What is read after each seek, in bytes.
const READ: usize = 64 << 10;

/// A player asks for the next bytes that often.
const TICK: Duration = Duration::from_millis(50);

/// Read-ahead that does not come to rest in this time is left alone.
const SETTLE: Duration = Duration::from_secs(4);

/// Our path and the naive client's: the same content, told apart in the origin's log.
const OURS: &str = "/music.wav";
const NAIVE: &str = "/naive.wav";

/// How long a seek took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seek {
    /// To the first byte.
    pub(crate) first: Duration,
    /// To the last byte.
    pub(crate) complete: Duration,
}

/// What one arm did.
#[derive(Debug, Default)]
struct Arm {
    /// The far seeks.
    seeks: Vec<Seek>,
    /// Bytes that were not those of the music.
    wrong: u64,
}

/// Runs the command.
pub(crate) async fn run(args: Demo, stop: CancellationToken) -> Result<(), Failure> {
    let link = Link::new(Duration::from_millis(args.rtt), args.mbit.saturating_mul(1_000_000));
    let origin = Origin::builder().link(link).start();
    let content = Content::wav(MINUTES);
    origin.put(OURS, content.clone());
    origin.put(NAIVE, content.clone());
    remark(&format!(
        "{} of music behind a link of {} ms and {} Mbit/s, opened through the engine; the report comes after {} far seeks",
        HumanBytes(content.len()),
        args.rtt,
        args.mbit,
        args.seeks
    ));
    let engine = Engine::builder().client_factory(std::sync::Arc::new(client_builder)).build()?;
    let page = match args.once {
        true => None,
        false => Some(Page::open(&engine, &origin.url(OURS), args.port, &stop)?),
    };
    let live = Live::new();
    let shown = stop.run_until_cancelled(show(&args, &origin, content, &engine, &live)).await;
    live.finish();
    let report = shown.unwrap_or_else(|| Err(Failure::interrupted("interrupted")))?;
    say(&report.to_text(&args))?;
    let checked = match report.wrong() {
        0 => Ok(()),
        wrong => Err(Failure::new(format!("{wrong} wrong bytes"))),
    };
    if let Some(page) = page.filter(|_| checked.is_ok()) {
        page.until_stopped().await;
    }
    checked
}

async fn show(
    args: &Demo,
    origin: &Origin,
    content: Content,
    engine: &Engine,
    live: &Live,
) -> Result<Report, Failure> {
    let started = Instant::now();
    let session = engine.open(origin.url(OURS)).await?;
    // As any player that has read the header.
    session.set_rate_hint(RATE);
    let mut stage = Stage {
        reader: session.async_reader(),
        session,
        live,
        content,
        naive: Naive::new(&origin.url(NAIVE))?,
        buf: vec![0; READ],
        ours: Arm::default(),
        theirs: Arm::default(),
    };
    let (opened, stalls) = stage.play(started, args.play).await?;
    stage.settle("playing").await;
    // Its connection is to be warm, as ours is since the opening.
    stage.naive.seek(0, &mut stage.buf).await?;
    let before = origin.log();
    let places = places(stage.content.len(), args.seeks);
    stage.far_seeks(&places).await?;
    let after = origin.log();
    let hits = stage.back(&places).await?;
    let Stage { ours, theirs, session, .. } = stage;
    let bar = coverage::bar(&session.snapshot());
    let report = Report { ours, theirs, opened, stalls, hits, bar, before, after };
    session.close().await;
    Ok(report)
}

/// Everything that a step needs.
struct Stage<'a> {
    live: &'a Live,
    content: Content,
    naive: Naive,
    session: Session,
    reader: AsyncReader,
    buf: Vec<u8>,
    ours: Arm,
    theirs: Arm,
}

impl Stage<'_> {
    /// Plays from the start in real time. Tells how long the first byte took, and how often the music
    /// would have stopped.
    async fn play(&mut self, started: Instant, seconds: u32) -> Result<(Duration, u32), Failure> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let portion = RATE as usize * TICK.as_millis() as usize / 1000;
        let count = u64::from(seconds) * 1000 / TICK.as_millis() as u64;
        let (mut opened, mut stalls) = (None, 0);
        for tick in 0..count.max(1) {
            ticks.tick().await;
            let asked = Instant::now();
            let first = self.read(asked, portion).await?.first;
            let came = asked.elapsed();
            if opened.is_none() {
                opened = Some(asked.duration_since(started) + first);
            } else if came > TICK {
                stalls += 1;
            }
            self.check_ours(tick * portion as u64, portion);
            self.say(&format!("playing, {:.1} s", (tick * TICK.as_millis() as u64) as f64 / 1e3));
        }
        let opened = opened.unwrap_or_default();
        self.lines(&format!(
            "played {seconds} s in real time: first byte after {:.0} ms, {stalls} stalls",
            ms(opened)
        ));
        Ok((opened, stalls))
    }

    /// Seeks far, in turns with the naive client.
    async fn far_seeks(&mut self, places: &[u64]) -> Result<(), Failure> {
        for (number, &place) in places.iter().enumerate() {
            let text = format!("far seek {} of {}", number + 1, places.len());
            self.seek_ours(place, &format!("{text}{}", self.so_far())).await?;
            self.seek_naive(place).await?;
            if (number + 1) % places.len().div_ceil(3) == 0 || number + 1 == places.len() {
                self.lines(&format!("{text}{}", self.so_far()));
            }
        }
        Ok(())
    }

    /// What the far seeks have shown up to now, so that nobody has to wait for the report.
    fn so_far(&self) -> String {
        let median =
            |arm: &Arm| Spread::of(&arm.seeks.iter().map(|seek| seek.first).collect::<Vec<_>>());
        match (median(&self.ours), median(&self.theirs)) {
            (Some(ours), Some(theirs)) => format!(
                "; to the first byte up to now {:.0} ms, naive {:.0} ms (p50)",
                ours.p50, theirs.p50
            ),
            _ => String::new(),
        }
    }

    /// Seeks back to what is stored, and gives the times to the first byte.
    async fn back(&mut self, places: &[u64]) -> Result<Vec<Duration>, Failure> {
        let mut times = Vec::new();
        for &place in places {
            times.push(self.seek_and_read(place).await?.first);
            self.check_ours(place, READ);
        }
        Ok(times)
    }

    async fn seek_ours(&mut self, place: u64, text: &str) -> Result<(), Failure> {
        let seek = self.seek_and_read(place).await?;
        self.ours.seeks.push(seek);
        self.check_ours(place, READ);
        self.settle(text).await;
        Ok(())
    }

    async fn seek_naive(&mut self, place: u64) -> Result<(), Failure> {
        let seek = self.naive.seek(place, &mut self.buf).await?;
        self.theirs.seeks.push(seek);
        self.theirs.wrong += wrong_bytes(&self.content, place, &self.buf);
        Ok(())
    }

    async fn seek_and_read(&mut self, place: u64) -> Result<Seek, Failure> {
        let started = Instant::now();
        let sought = self.reader.seek(std::io::SeekFrom::Start(place)).await;
        sought.map_err(|error| Failure::read(&error))?;
        self.read(started, READ).await
    }

    /// Reads `len` bytes into the buffer.
    async fn read(&mut self, started: Instant, len: usize) -> Result<Seek, Failure> {
        let mut first = None;
        let mut filled = 0;
        while filled < len {
            let n = self.reader.read(&mut self.buf[filled..len]).await?;
            first.get_or_insert_with(|| started.elapsed());
            if n == 0 {
                // What did not come counts as wrong.
                self.buf[filled..len].fill(0);
                break;
            }
            filled += n;
        }
        Ok(Seek { first: first.unwrap_or_default(), complete: started.elapsed() })
    }

    fn check_ours(&mut self, place: u64, len: usize) {
        self.ours.wrong += wrong_bytes(&self.content, place, &self.buf[..len]);
    }

    /// Waits until read-ahead has come to rest, so that the other arm has the link to itself.
    async fn settle(&self, text: &str) {
        let started = Instant::now();
        let mut looks = interval(Duration::from_millis(10));
        loop {
            looks.tick().await;
            let snapshot = self.session.snapshot();
            let is_quiet = snapshot.in_flight.is_empty() && snapshot.wanted.is_empty();
            self.live.show(&snapshot, text);
            if is_quiet || started.elapsed() > SETTLE {
                return;
            }
        }
    }

    fn say(&self, text: &str) {
        if !self.live.is_hidden() {
            self.live.show(&self.session.snapshot(), text);
        }
    }

    /// The bar as a line, where it cannot be drawn in place.
    fn lines(&self, text: &str) {
        if self.live.is_hidden() {
            remark(&format!("{} {text}", coverage::bar(&self.session.snapshot())));
        }
    }
}

/// Places in mixed order, each in a part of its own of the resource, the first part left out: far from each
/// other and from all that was read.
fn places(len: u64, seeks: u32) -> Vec<u64> {
    let mut random = Random::new(7);
    let part = len / (u64::from(seeks) + 1);
    let within = (part / 4).max(1);
    let mut places: Vec<u64> =
        (1..=u64::from(seeks)).map(|number| number * part + random.below(within)).collect();
    random.shuffle(&mut places);
    places
}

fn wrong_bytes(content: &Content, place: u64, got: &[u8]) -> u64 {
    let mut right = vec![0; got.len()];
    content.read_at(place, &mut right);
    right.iter().zip(got).filter(|(right, got)| right != got).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_far_from_every_other() {
        let mut places = places(300_000_000, 24);
        assert_eq!(places.len(), 24);
        places.sort_unstable();
        assert!(places[0] > 4 << 20);
        assert!(places.windows(2).all(|pair| pair[1] - pair[0] > 4 << 20));
        assert!(places[23] + (READ as u64) < 300_000_000);
    }

    #[test]
    fn a_wrong_byte_is_noticed() {
        let content = Content::wav(0.1);
        let mut bytes = vec![0; 1000];
        content.read_at(5000, &mut bytes);
        assert_eq!(wrong_bytes(&content, 5000, &bytes), 0);
        bytes[7] ^= 1;
        assert_eq!(wrong_bytes(&content, 5000, &bytes), 1);
    }
}
